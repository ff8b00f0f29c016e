"""The released network answers from a plain file as from Keras' own, and without TensorFlow."""

import shutil
import subprocess
import sys

import numpy as np
import pytest

from cxrlib import phantom, predict
from cxrlib.errors import InputError
from cxrlib.networks import models, plain
from cxrlib.study import runs
from tests.conftest import ROOT

RELEASED = ROOT / predict.RELEASED


@pytest.fixture(scope="module")
def pixels():
    made = [phantom.simulate(i, 224, target=group) for i, group in enumerate(("covid", "normal"))]
    return np.stack([one.image for one in made])


def test_the_released_network_answers_from_its_plain_file_as_keras_does(pixels):
    said = plain.read(plain.beside(RELEASED / "model.keras"))(pixels)
    assert said.dtype == np.float32 and said.shape == (2, 5)
    assert np.allclose(said, runs.load(RELEASED).network.predict(pixels, verbose=0), atol=1e-4)


@pytest.mark.parametrize(
    "architecture", ["efficient", pytest.param("resnet50", marks=pytest.mark.slow)]
)
def test_a_plain_file_is_written_and_answers_from_any_number_of_images(architecture, tmp_path):
    model = models.build(architecture, 192)
    path = tmp_path / "model.tflite"
    plain.write(model, path)
    made = np.stack([phantom.simulate(i, 192).image for i in range(3)])
    assert np.allclose(plain.read(path)(made), model.predict(made, verbose=0), atol=1e-4)


def test_what_opencv_cannot_answer_from_is_never_kept(tmp_path):
    with pytest.raises(InputError, match="OpenCV cannot answer from model.tflite"):
        plain.write(models.build("efficient", 121), tmp_path / "model.tflite")
    assert not [*tmp_path.iterdir()]


def test_answers_that_are_not_keras_own_are_never_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(plain, "read", lambda path: lambda pixels: np.full((len(pixels), 5), 2.0))
    with pytest.raises(InputError, match="model.tflite by .* otherwise than Keras"):
        plain.write(models.build("efficient", 121), tmp_path / "model.tflite")
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("left", [0, 10, 500_000])
def test_a_damaged_plain_file_is_named(left, pixels, tmp_path):
    content = plain.beside(RELEASED / "model.keras").read_bytes()
    (tmp_path / "model.tflite").write_bytes(content[:left])
    with pytest.raises(InputError, match="model.tflite is damaged"):
        plain.read(tmp_path / "model.tflite")(pixels)


def test_a_network_that_was_changed_never_answers_from_the_plain_file_of_another(tmp_path):
    folder = shutil.copytree(RELEASED, tmp_path / "kept")
    other = models.build("efficient", 224)
    other.save(folder / "model.keras")
    assert not plain.beside(folder / "model.keras").exists()
    image = tmp_path / "one.png"
    predict.write_png(phantom.simulate(1, 224).image, image)
    run = runs.load(folder)
    seen = predict.radiograph(run, image)
    said = predict.predict(run, [image]).loc[0, list(predict.TARGETS)].astype(float)
    assert np.allclose(said, other.predict(seen[None], verbose=0)[0], atol=1e-5)


def test_the_command_that_answers_needs_no_tensorflow(tmp_path):
    image = tmp_path / "one.png"
    predict.write_png(phantom.simulate(1, 224).image, image)
    code = (
        "import sys; from cxrlib.cli import main; sys.argv = ['cxr', 'predict', sys.argv[1]]\n"
        "try: main()\nfinally: print(sorted({'tensorflow', 'keras'} & set(sys.modules)))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, image], cwd=ROOT, capture_output=True, text=True, timeout=600
    )
    assert "Answered by" in ended.stdout
    assert ended.stdout.rstrip().endswith("[]")


def test_the_plain_file_of_a_released_network_takes_the_place_of_an_older_ones(
    tmp_path, monkeypatch
):
    folder = shutil.copytree(RELEASED, tmp_path / predict.RELEASED)
    monkeypatch.setattr(predict, "root", lambda: tmp_path)
    (own,) = folder.glob("model-*.tflite")
    own.rename(folder / "model-00000000.tflite")  # of a network that was there before
    predict.release()
    assert [*folder.glob("model-*.tflite")] == [own]
