"""Heatmaps of a set of radiographs, against one forward pass over it (what a user does anyway).

And against Grad-CAM through tf-keras-vis, what a user would otherwise do.
"""

import functools

import numpy as np

from benchmarks.timing import Row, seconds
from cxrlib import heatmaps, phantom
from cxrlib.networks import models

EDGE, COUNT = 128, 64
FINAL = {"densenet121": "relu", "resnet50": "conv5_block3_out", "efficient": "block5_average"}


def measure(architectures=tuple(FINAL), edge=EDGE, count=COUNT):
    """Yields the rows of this benchmark."""
    images = np.stack([phantom.simulate(i, edge).image for i in range(count)]).astype(np.float32)
    for architecture in architectures:
        model = models.build(architecture, edge)
        rate = {
            name: count / seconds(functools.partial(explain, model, images))
            for name, explain in WAYS.items()
        }
        what = f"Grad-CAM {architecture}, {edge} px"
        yield Row(what, rate["ours"], "model.predict", rate["predict"], "images/s")
        yield Row(what, rate["ours"], "tf-keras-vis", rate["tf-keras-vis"], "images/s")
        what = f"guided saliency {architecture}, {edge} px"
        yield Row(what, rate["saliency"], "model.predict", rate["predict"], "images/s")


def _through_tf_keras_vis(model, images):
    """Grad-CAM on the final feature map as tf-keras-vis does it."""
    from tf_keras_vis.gradcam import Gradcam
    from tf_keras_vis.utils.model_modifiers import ReplaceToLinear
    from tf_keras_vis.utils.scores import CategoricalScore

    explain = Gradcam(model, model_modifier=ReplaceToLinear(), clone=True)
    for start in range(0, len(images), heatmaps.BATCH):
        explain(
            CategoricalScore(4), images[start : start + heatmaps.BATCH],
            penultimate_layer=FINAL[model.name], seek_penultimate_conv_layer=False,
        )  # fmt: skip


WAYS = {
    "ours": lambda model, images: heatmaps.grad_cam(model, images, "COVID"),
    "predict": lambda model, images: model.predict(images, batch_size=heatmaps.BATCH, verbose=0),
    "tf-keras-vis": _through_tf_keras_vis,
    "saliency": lambda model, images: heatmaps.saliency(model, images, "COVID"),
}
