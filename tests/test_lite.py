"""The released network answers from TensorFlow Lite as from Keras' own file, and without it."""

import dataclasses
import shutil
import subprocess
import sys

import numpy as np
import pytest

from cxrlib import phantom, predict
from cxrlib.errors import InputError
from cxrlib.networks import lite, models
from cxrlib.study import runs
from tests.conftest import ROOT

RELEASED = ROOT / predict.RELEASED
FACTS = ("efficient", 224)
GROUPS = ("normal", "virus", "bacteria", "covid")


def simulated(size, n=4):
    return np.stack([phantom.simulate(i, size, target=GROUPS[i % 4]).image for i in range(n)])


@pytest.fixture
def kept(tmp_path):
    """A copy of the released run."""
    return runs.load(shutil.copytree(RELEASED, tmp_path / predict.RELEASED))


@pytest.fixture
def image(tmp_path):
    predict.write_png(phantom.simulate(1, 224).image, tmp_path / "one.png")
    return tmp_path / "one.png"


def test_the_released_network_answers_from_tensorflow_lite_as_keras_does():
    pixels, run = simulated(224, 8), runs.load(RELEASED)
    said = lite.read(lite.find(RELEASED / "model.keras", *FACTS))(pixels)
    assert said.dtype == np.float32 and said.shape == (8, 5)
    assert np.allclose(said, run.network.predict(pixels, verbose=0), atol=1e-4)


@pytest.mark.parametrize(
    "architecture", ["efficient", pytest.param("resnet50", marks=pytest.mark.slow)]
)
def test_a_network_is_written_once_and_answers_about_any_number_of_images(architecture, tmp_path):
    pixels, path = simulated(192), tmp_path / "model.keras"
    model = models.build(architecture, 192)
    model.save(path)
    (tmp_path / "model-00000000-00000000.tflite").write_bytes(b"of a network that is gone")
    lite.write(model, path, pixels, architecture, 192)
    (there,) = tmp_path.glob("*.tflite")
    assert there == lite.find(path, architecture, 192)
    assert np.allclose(lite.read(there)(pixels), model.predict(pixels, verbose=0), atol=1e-4)


def test_what_opencv_cannot_answer_from_is_never_kept(tmp_path):
    models.build("efficient", 121).save(tmp_path / "model.keras")
    with pytest.raises(InputError, match="OpenCV cannot answer from .*model.keras"):
        lite.write(models.build("efficient", 121), tmp_path / "model.keras", simulated(121))
    assert not [*tmp_path.glob("*.tflite")]


def test_answers_that_are_not_keras_own_are_never_kept(kept, monkeypatch):
    def wrong(content):
        return lambda pixels: np.full((len(pixels), 5), 2.0)

    monkeypatch.setattr(lite, "_answering", wrong)
    before = [*kept.folder.glob("*.tflite")]
    with pytest.raises(InputError, match="model.keras by .* otherwise than Keras"):
        predict.release(kept)
    assert [*kept.folder.glob("*.tflite")] == before


def cut(content):
    return content[: len(content) // 2]


def flipped(content):
    at = len(content) // 2
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


@pytest.mark.parametrize("damage", [cut, flipped, lambda content: b""])
def test_a_damaged_file_never_answers(damage, kept, image):
    path = lite.find(kept.folder / "model.keras", *FACTS)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match=f"{path.name} is damaged"):
        predict.predict(kept, [image])


def test_a_network_that_was_changed_answers_itself(kept, image):
    other = models.build("efficient", 224)
    other.save(kept.folder / "model.keras")
    seen = predict.radiograph(kept, image)
    said = predict.predict(kept, [image]).loc[0, list(predict.TARGETS)].astype(float)
    assert np.allclose(said, other.predict(seen[None], verbose=0)[0], atol=1e-5)


@pytest.mark.parametrize("fact", [{"image_size": 256}, {"architecture": "resnet50"}])
def test_a_run_that_says_what_its_network_is_not_is_refused(kept, image, fact):
    with pytest.raises(InputError):
        predict.predict(dataclasses.replace(kept, info=kept.info | fact), [image])


def test_the_command_that_answers_needs_no_tensorflow(image):
    code = (
        "import sys; from cxrlib.cli import main; sys.argv = ['cxr', 'predict', sys.argv[1]]\n"
        "try: main()\nfinally: print(sorted({'tensorflow', 'keras'} & set(sys.modules)))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, image], cwd=ROOT, capture_output=True, text=True, timeout=600
    )
    assert "Answered by" in ended.stdout
    assert ended.stdout.rstrip().endswith("[]")
