"""Networks: what there are, how they learn, and (in its modules) building and training them.

Importing this room is fast; its modules bring Keras along, which takes seconds. An architecture is
one row of `ARCHITECTURES`: with it and a builder in `networks.models` it can be trained, explained,
tabulated and drawn.
"""

from dataclasses import dataclass
from typing import NamedTuple

from cxrlib.errors import InputError
from cxrlib.files import root
from cxrlib.images import SMALLEST


class Architecture(NamedTuple):
    """What the study knows of a kind of network.

    Args:
        label: What readers call it.
        builder: What builds it: a function of `networks.models`, or a class of
            `keras.applications` by its name.
        colours: Of its curves and dots, from random weights and from ImageNet's (Okabe and Ito's
            colours, which colour-blind people tell apart).
        heatmap: How the paper explains it: a name of `heatmaps.METHODS`.
        smallest: Smallest edge of an image in pixels; the final feature map has a pixel left then.
        pretrained: Whether ImageNet weights exist. Such a network is deep: it has two arms, and a
            profile's `deep_epochs` shorten its training.
        steps_per_call: Training steps that TensorFlow takes at a call. Between two calls Python
            takes a tenth of the time of Efficient's short steps; a deep network's steps are long,
            and the loop would make DenseNet-121 start 10 s later.
    """

    label: str
    builder: str
    colours: tuple[str, ...]
    heatmap: str
    smallest: int
    pretrained: bool
    steps_per_call: int = 1


ARCHITECTURES = {
    "densenet121": Architecture(
        "DenseNet-121", "DenseNet121", ("#0072b2", "#56b4e9"), "Grad-CAM", 32, True
    ),
    "resnet50": Architecture("ResNet-50", "ResNet50", ("#d55e00", "#e69f00"), "Grad-CAM", 32, True),
    "efficient": Architecture(
        "Efficient",
        "efficient",
        ("#009e73",),
        "guided saliency",
        SMALLEST,
        False,
        steps_per_call=16,
    ),
}
"""The networks of the study by name, the deep ones first."""


@dataclass(frozen=True)
class Schedule:
    """How long and how fast a network learns: Adam with AMSGrad, binary cross-entropy.

    norm_images: training images that batch normalisation's averages are taken from anew before each
    validation; 0 leaves the running averages, as the paper does.
    """

    batch_size: int
    epochs: int
    passes_per_epoch: int
    reduce_after: int
    stop_after: int
    learning_rate: float = 1e-4
    reduce_factor: float = 0.5
    reduce_min_delta: float = 1e-4
    reduce_cooldown: int = 2
    min_learning_rate: float = 1e-8
    norm_images: int = 0


class Recipe(NamedTuple):
    """Everything that decides a network's training but its images.

    Args:
        architecture: A name of `ARCHITECTURES`.
        weights: To start from, as `models.build` takes them.
        schedule: How long and how fast it learns.
        online: `augment.Ranges` for training images, or None.
        seed: Of initial weights, order and augmentation.
        precision: "float32" or "bfloat16" (weights stay float32).
    """

    architecture: str
    weights: str | None
    schedule: Schedule
    online: object
    seed: int
    precision: str = "float32"


UNET = "results/lungs/unet.keras"
"""The network that outlines lungs (`networks.unet`), from the study's folder."""


def released_unet():
    """Returns the path of `UNET`.

    Raises:
        InputError: It is not there.
    """
    path = root() / UNET
    if not path.is_file():
        raise InputError(
            f"{UNET} is not there: `git checkout {UNET}` brings it back, `cxr lungs` trains it anew"
        )
    return path
