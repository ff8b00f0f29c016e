"""Networks: built, fed with batches, trained. On any backend of Keras 3.

Importing this room is fast; its modules bring Keras along, which takes seconds.
"""

ARCHITECTURES = ("densenet121", "resnet50", "efficient")
