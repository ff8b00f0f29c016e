"""Exposure: from organs to attenuation, through the beam to light, from light to grey values."""

import cv2
import numpy as np

from cxrlib.phantom.outlines import blur

RENDERINGS = {
    "digital": {"zoom": (1.0, 1.0), "contrast": 1.0, "grain": 0.002, "noise": 1.0},
    "film": {"zoom": (1.0, 1.0), "contrast": 0.85, "grain": 0.004, "noise": 2.0},
    "figure": {"zoom": (1.02, 1.10), "contrast": 0.75, "grain": 0.005, "noise": 1.0},
}
"""Where an image comes from, and what that does to it.

A digital detector's image is as exposed. A film has a steeper curve, coarser grain and fog, and was
scanned on a light box with dark edges. A figure in a publication was cut close to the chest, its
contrast raised and its grey levels reduced. Each has a zoom (drawn from a range), the width of its
film curve against a digital one, the size of its grain as a fraction of the image, and its noise
against a digital one's.
"""

LAYERS = ("tissue", "heart", "bones", "air", "lesion", "device")
"""What adds to a beam's attenuation, or spares it (air), in the order it is summed up."""

_FULL_LUNG = 1.20  # what a lung's air spares the beam, at most
_GAS = {"trachea": 0.28, "stomach": 0.40}
_BONES = {"spine": 0.17, "posterior": 0.22, "anterior": 0.14, "girdle": 0.42}
_HEART, _VESSELS = 0.14, {"mediastinum": 0.12, "aorta": 0.10}
_SCATTER = 0.08  # share of the light that comes from elsewhere


def attenuation(body, organs, opacity, device):
    """Sums up what the beam meets.

    Args:
        body, organs: As `anatomy.patient` and `anatomy.draw` give them.
        opacity: The share of the lung's air that a lesion replaces, float32 (size, size).
        device: What a device adds, float32 (size, size).

    Returns:
        A float32 array (size, size) for each of `LAYERS`: natural logarithms of how much light is
        lost; they add up to the whole beam's.
    """
    size = len(opacity)
    y = ((np.arange(size, dtype=np.float32) + 0.5) / size)[:, None]
    thick = 1.60 + 0.50 * np.minimum(y / 0.3, 1)
    belly = 0.25 * np.clip((y - 0.45) / 0.4, 0, 1) * organs["trunk"]
    uneven = 1 + 0.02 * cv2.resize(body["tissue"], (size, size), interpolation=cv2.INTER_CUBIC)
    tissue = np.maximum(body["thick"] * thick * organs["trunk"], 1.15 * organs["arms"]) * uneven
    tissue += belly + body["breast"] * organs["breasts"]
    # the heart rests on the belly: they share the trunk's depth, and do not add up
    heart = np.maximum(_HEART * organs["heart"] - belly, 0)
    for name, amount in _VESSELS.items():
        heart += amount * organs[name]
    bones = sum(body["bone"] * amount * organs[name] for name, amount in _BONES.items())
    lung = _FULL_LUNG * organs["air"]
    gas = sum(amount * organs[name] for name, amount in _GAS.items())
    parts = (tissue, heart, bones, -blur(lung, 0.0015) - gas, blur(lung * opacity, 0.0015), device)
    return dict(zip(LAYERS, parts, strict=True))


def expose(layers, source, pose, rendering, noise):
    """Lets the beam through (Beer-Lambert), adds scatter and quantum noise, develops.

    Args:
        layers: As `attenuation` returns them.
        source: One of `RENDERINGS`.
        pose, rendering, noise: The radiograph's generators: how it was exposed, what its source
            did to it, and its noise.

    Returns:
        Grey values, float32 (size, size) from 0 to 255. A lesion or a device changes no pixel but
        its own.
    """
    size, kind = len(layers["air"]), RENDERINGS[source]
    contrast, exposure = pose.uniform(0.42, 0.62), pose.normal(1.55, 0.10)
    photons = 10 ** pose.uniform(8.1, 8.8) / size**2  # a pixel, where nothing is in the beam
    healthy = sum(layers[name] for name in LAYERS[:4])
    # scatter of the bare, healthy body: else a lesion would change pixels far away from it
    scatter = _SCATTER * blur(np.exp(-healthy), 0.06)
    light = (1 - _SCATTER) * np.exp(-healthy - layers["lesion"] - layers["device"]) + scatter
    grain = blur(noise.standard_normal((size, size), dtype=np.float32), kind["grain"])
    light += kind["noise"] * np.sqrt(light / photons) * grain
    density = -np.log(np.maximum(light, 1e-4))
    exposure += rendering.normal(0, 0.12) * (source == "film")
    grey = 255 / (1 + np.exp((exposure - density) / (contrast * kind["contrast"])))
    return {"digital": _as_is, "film": _scanned, "figure": _printed}[source](grey, rendering)


def _as_is(grey, rng):
    return grey


def _scanned(grey, rng):
    """Adds fog, a light box that is brightest in its middle, and the dark beyond the film."""
    size = len(grey)
    fog, fall, edge = rng.uniform(12, 30), rng.uniform(0.08, 0.2), rng.uniform(0.006, 0.016)
    at = (np.arange(size, dtype=np.float32) + 0.5) / size - 0.5
    lit = 1 - fall * 2 * (at[:, None] ** 2 + at**2)
    beyond = np.maximum(np.abs(at)[:, None], np.abs(at)) > 0.5 - edge
    return np.where(beyond, 8, (fog + grey * (255 - fog) / 255) * lit).astype(np.float32)


def _printed(grey, rng):
    """Leaves a few dozen grey levels."""
    step = 255 / rng.integers(28, 56)
    return np.rint(grey / step) * step
