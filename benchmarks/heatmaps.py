"""How long heatmaps take against one forward pass: `python benchmarks/heatmaps.py`.

The forward pass is what a user does anyway (`model.predict` on the same images). Grad-CAM through
tf-keras-vis is what a user would otherwise do for the heatmaps.
"""

import statistics
import time

import numpy as np

from cxrlib import heatmaps, models, phantom

EDGE, COUNT, TIMES = 128, 32, 3
FINAL = {"densenet121": "relu", "resnet50": "conv5_block3_out", "efficient": "block5_average"}


def seconds(call):
    """Times a call: the median of three, after one that traces the network."""
    call()
    taken = []
    for _ in range(TIMES):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def through_tf_keras_vis(model, images):
    """Grad-CAM on the final feature map as tf-keras-vis does it."""
    from tf_keras_vis.gradcam import Gradcam
    from tf_keras_vis.utils.model_modifiers import ReplaceToLinear
    from tf_keras_vis.utils.scores import CategoricalScore

    explain = Gradcam(model, model_modifier=ReplaceToLinear(), clone=True)
    for start in range(0, len(images), heatmaps.CHUNK):
        explain(
            CategoricalScore(4), images[start : start + heatmaps.CHUNK],
            penultimate_layer=FINAL[model.name], seek_penultimate_conv_layer=False,
        )  # fmt: skip


if __name__ == "__main__":
    radiographs = np.stack([phantom.simulate(i, EDGE).image for i in range(COUNT)])
    images = radiographs.astype(np.float32) / 255
    for architecture in models.ARCHITECTURES:
        model = models.build(architecture, EDGE)
        forward = seconds(lambda m=model: m.predict(images, batch_size=heatmaps.CHUNK, verbose=0))
        ours = seconds(lambda m=model: heatmaps.grad_cam(m, images, "COVID"))
        theirs = seconds(lambda m=model: through_tf_keras_vis(m, images))
        saliency = seconds(lambda m=model: heatmaps.saliency(m, images, "COVID"))
        print(
            f"{architecture:12s} {COUNT / forward:6.0f} images a second forward;"
            f" Grad-CAM {ours / forward:4.2f} times that time, through tf-keras-vis"
            f" {theirs / forward:4.2f}, guided saliency {saliency / forward:4.2f}"
        )
