"""Networks as plain files that OpenCV answers from: half a second, where Keras takes four to begin.

Heatmaps need gradients, which a plain file does not give: Keras' own file stays beside it.
"""

import hashlib
import tempfile

import cv2
import numpy as np

from cxrlib.errors import InputError
from cxrlib.files import reading, replacing

CLOSE = 1e-4
"""How far a probability may lie from Keras' own at most."""

_TRIED = 4


def beside(path):
    """Returns where the plain file of a network is, if it was written.

    Its name has a part of the network's digest in it, so that no other network's is ever taken.

    Args:
        path: The network's own file, model.keras.
    """
    with reading(path), path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return path.with_name(f"{path.stem}-{digest[:8]}.tflite")


def write(model, path):
    """Writes a network as TensorFlow Lite, in single precision whatever it was trained in.

    Args:
        model: What `models.build` or `models.load` returned.
        path: The file.

    Raises:
        InputError: OpenCV cannot answer from it (of images so small that the last feature map has
            one pixel), or answers farther than `CLOSE` from Keras.
    """
    import tensorflow

    from cxrlib.networks import models

    size = model.input_shape[1]
    exact = models.build(model.name, size)
    exact.set_weights(model.get_weights())
    with tempfile.TemporaryDirectory() as folder:
        exact.export(folder, verbose=False)
        content = tensorflow.lite.TFLiteConverter.from_saved_model(folder).convert()
    with replacing(path) as temporary:
        temporary.write_bytes(content)
        coarse = np.random.default_rng(0).integers(0, 256, (_TRIED, 8, 8, 3), np.uint8)
        pixels = np.stack([cv2.resize(one, (size, size)) for one in coarse])
        try:
            said = read(temporary)(pixels)
        except InputError as error:
            raise InputError(f"OpenCV cannot answer from {path.name}") from error
        off = np.abs(said - exact.predict(pixels, verbose=0)).max()
        if not off <= CLOSE:
            raise InputError(f"OpenCV answers from {path.name} by {off:.2g} otherwise than Keras")


def read(path):
    """Reads what `write` wrote.

    Args:
        path: The file.

    Returns:
        Function of pixels, (n, size, size, 3) from 0 to 255, that returns probabilities, float32
        (n, 5).

    Raises:
        InputError: The file is damaged, which may be seen at the first answer only.
    """
    with reading(path):
        network = cv2.dnn.readNetFromTFLite(np.frombuffer(path.read_bytes(), np.uint8))

    def answer(pixels):
        rows = []
        with reading(path):
            for image in pixels:
                network.setInput(image.transpose(2, 0, 1)[None].astype(np.float32))
                rows.append(network.forward()[0])
        return np.stack(rows)

    return answer
