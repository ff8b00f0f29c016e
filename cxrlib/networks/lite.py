"""Networks as TensorFlow Lite, from which OpenCV answers at once; Keras takes seconds to begin.

Heatmaps need gradients, which such a file does not give: Keras' own file stays beside it.
"""

import hashlib
import tempfile

import cv2
import numpy as np

from cxrlib.errors import InputError
from cxrlib.files import reading, replacing

CLOSE = 1e-4
"""How far a probability may lie from Keras' own, of the pixels that `write` tries."""


def find(path, *facts):
    """Finds the TensorFlow Lite file of a network.

    Its name tells which network it is of, and what its own content is, so that neither another's
    nor a damaged one ever answers.

    Args:
        path: The network's own file, model.keras.
        facts: What its run says of it: architecture, image size.

    Returns:
        Path beside it, or None where there is none.
    """
    there = path.parent.glob(f"{path.stem}-*.tflite")
    return next((one for one in there if one.stem.startswith(_stem(path, facts))), None)


def write(model, path, pixels, *facts):
    """Writes a network as TensorFlow Lite beside its own file, in single precision.

    Those of other networks that lie there go.

    Args:
        model: What `models.load` returned.
        path: Its file, model.keras.
        pixels: uint8 array (n, size, size, 3), of which OpenCV and Keras must say the same.
        facts: As `find` takes them.

    Raises:
        InputError: OpenCV cannot answer from it (of images so small that the last feature map has
            one pixel), or answers farther than `CLOSE` from Keras.
    """
    import tensorflow

    from cxrlib.networks import models

    exact = models.build(model.name, model.input_shape[1])
    exact.set_weights(model.get_weights())
    with tempfile.TemporaryDirectory() as folder:
        exact.export(folder, verbose=False)
        content = tensorflow.lite.TFLiteConverter.from_saved_model(folder).convert()
    try:
        said = _answering(content)(pixels)
    except cv2.error as error:
        raise InputError(f"OpenCV cannot answer from {path} as TensorFlow Lite") from error
    off = np.abs(said - exact.predict(pixels, verbose=0)).max()
    if not off <= CLOSE:
        raise InputError(f"OpenCV answers from {path} by {off:.2g} otherwise than Keras")
    for other in path.parent.glob(f"{path.stem}-*.tflite"):
        other.unlink()
    with replacing(path.with_name(f"{_stem(path, facts)}-{_digest(content)}.tflite")) as temporary:
        temporary.write_bytes(content)


def read(path):
    """Reads what `write` wrote.

    Args:
        path: What `find` returned.

    Returns:
        Function of pixels, (n, size, size, 3) from 0 to 255, that returns probabilities, float32
        (n, 5).

    Raises:
        InputError: The file is damaged.
    """
    with reading(path):
        content = path.read_bytes()
        if not path.stem.endswith(_digest(content)):
            raise ValueError("its content is not what its name says")
        return _answering(content)


def _answering(content):
    """Returns a function of pixels that answers from a TensorFlow Lite file's content."""
    network = cv2.dnn.readNetFromTFLite(np.frombuffer(content, np.uint8))

    def answer(pixels):
        rows = []
        for image in pixels:
            network.setInput(image.transpose(2, 0, 1)[None].astype(np.float32))
            rows.append(network.forward()[0])
        return np.stack(rows)

    return answer


def _stem(path, facts):
    with reading(path):
        return f"{path.stem}-{_digest(path.read_bytes() + repr(facts).encode())}"


def _digest(content):
    return hashlib.sha256(content).hexdigest()[:8]
