"""COVID detection in chest radiographs: a study that can be rerun, checked and measured.

A research study, not a medical device.
"""

__version__ = "0.1.0"
