"""The three networks are the paper's to the parameter."""

import random
import socket
import zipfile

import numpy as np
import pytest

from cxrlib import images
from cxrlib.errors import InputError
from cxrlib.networks import ARCHITECTURES, models
from cxrlib.targets import TARGETS

slow = pytest.mark.slow
DEEP = [pytest.param(name, marks=slow) for name in ("densenet121", "resnet50")]


@pytest.mark.parametrize(
    ("architecture", "parameters", "final_map"),
    [
        pytest.param("densenet121", 7_042_629, (4, 4, 1024), marks=slow),
        pytest.param("resnet50", 23_597_957, (4, 4, 2048), marks=slow),
        ("efficient", 233_605, (1, 1, 80)),
    ],
)
def test_a_network_has_the_papers_size_and_an_output_a_target(architecture, parameters, final_map):
    model = models.build(architecture, 128)
    assert model.count_params() == parameters
    assert model.name == architecture
    assert model.output_shape == (None, len(TARGETS))
    pooling = next(layer for layer in model.layers if "GlobalAverage" in type(layer).__name__)
    assert pooling.input.shape[1:] == final_map


def test_unknown_and_too_small_are_refused():
    with pytest.raises(InputError, match="unknown architecture 'vgg16': expected one of densenet"):
        models.build("vgg16", 128)
    with pytest.raises(InputError, match="image_size 120 is too small for efficient: at least 121"):
        models.build("efficient", 120)
    with pytest.raises(InputError, match="no ImageNet weights for efficient"):
        models.build("efficient", 128, "imagenet")


@slow
def test_a_file_in_keras_layout_gives_its_weights_to_the_network(tmp_path):
    keras = models.keras
    source = keras.applications.ResNet50(
        include_top=False, weights=None, input_shape=(64, 64, 3), pooling="avg"
    )
    source.save_weights(tmp_path / "resnet50.weights.h5")
    model = models.build("resnet50", 64, str(tmp_path / "resnet50.weights.h5"))
    name = "conv3_block2_2_conv"
    theirs, ours = (m.get_layer(name).get_weights()[0] for m in (source, model))
    assert (theirs == ours).all()


@pytest.mark.parametrize("architecture", [DEEP[0], "efficient"])
def test_a_file_that_is_no_weights_is_named(tmp_path, architecture):
    (tmp_path / "notes.h5").write_text("not weights")
    with pytest.raises(InputError, match=rf"notes\.h5 does not fit {architecture}"):
        models.build(architecture, 128, str(tmp_path / "notes.h5"))
    with pytest.raises(InputError, match=r"no weights file .*gone\.h5"):
        models.build(architecture, 128, str(tmp_path / "gone.h5"))


def test_imagenet_weights_that_cannot_be_had_are_said_to_be_unavailable(monkeypatch, tmp_path):
    monkeypatch.setattr(models.keras.utils, "get_file", lambda *a, **k: tmp_path / "missing.h5")
    import keras.src.applications.densenet as densenet

    def unreachable(*args, **kwargs):
        raise Exception("URL fetch failure on https://example.invalid: None -- no network")

    monkeypatch.setattr(densenet.file_utils, "get_file", unreachable)
    with pytest.raises(models.WeightsUnavailable, match="weights unavailable"):
        models.build("densenet121", 64, "imagenet")


def test_a_profile_and_an_audit_ask_for_what_every_network_takes():
    assert max(row.smallest for row in ARCHITECTURES.values()) == images.SMALLEST


@slow
def test_every_networks_smallest_image_leaves_one_pixel_of_the_final_map():
    for architecture, smallest in ((k, row.smallest) for k, row in ARCHITECTURES.items()):
        model = models.build(architecture, smallest)
        pooling = next(layer for layer in model.layers if "GlobalAverage" in type(layer).__name__)
        assert pooling.input.shape[1:3] == (1, 1)


def test_efficient_averages_two_convolutions_with_a_shortcut_in_five_blocks():
    model = models.build("efficient", 256)
    averages = [layer for layer in model.layers if type(layer).__name__ == "Average"]
    assert [layer.output.shape[-1] for layer in averages] == [16, 32, 48, 64, 80]
    assert [layer.output.shape[1] for layer in averages] == [64, 31, 15, 7, 3]
    kernels = [w.shape[:2] for w in model.trainable_weights if len(w.shape) == 4]
    assert kernels.count((3, 3)) == 10
    assert kernels.count((1, 1)) == 5


def test_efficients_first_shortcut_looks_at_every_fourth_pixel():
    """As a 1x1 convolution with stride 4 does."""
    model = models.build("efficient", 128)
    shortcut = model.get_layer("block1_shortcut_conv")
    ours = models.keras.Model(model.input, shortcut.output)
    image = np.random.default_rng(0).random((1, 128, 128, 3), dtype=np.float32)
    expected = image[:, ::4, ::4] @ shortcut.get_weights()[0][0, 0]
    assert np.abs(ours.predict(255 * image, verbose=0) - expected).max() < 1e-5


def test_outputs_are_five_probabilities_that_need_not_add_to_one():
    model = models.build("efficient", 128)
    image = 255 * np.random.default_rng(0).random((3, 128, 128, 3), dtype=np.float32)
    outputs = model.predict(image, verbose=0)
    assert outputs.min() > 0
    assert outputs.max() < 1
    assert np.abs(outputs.sum(1) - 1).max() > 0.01


def test_efficient_takes_up_the_weights_that_it_saved(tmp_path):
    source = models.build("efficient", 121)
    source.save_weights(tmp_path / "own.weights.h5")
    model = models.build("efficient", 121, tmp_path / "own.weights.h5")
    assert all((a == b).all() for a, b in zip(source.get_weights(), model.get_weights()))


@pytest.mark.filterwarnings("ignore::UserWarning")  # Keras tells layer by layer
def test_another_networks_weights_are_refused_by_the_files_name(tmp_path):
    file = tmp_path / "efficient.weights.h5"
    models.build("efficient", 121).save_weights(file)
    with pytest.raises(InputError, match=r"efficient\.weights\.h5 does not fit resnet50"):
        models.build("resnet50", 64, str(file))


def test_the_same_seed_builds_the_same_network():
    built = []
    for _ in range(2):
        models.keras.utils.set_random_seed(9)
        built.append(models.build("efficient", 121).get_weights())
    assert all((a == b).all() for a, b in zip(*built))


def test_a_failed_download_leaves_no_timeout_behind(monkeypatch):
    import keras.src.applications.resnet as resnet

    def unreachable(*args, **kwargs):
        assert socket.getdefaulttimeout() is not None  # a silent network is given up, too
        raise OSError("[Errno -3] Temporary failure in name resolution")

    monkeypatch.setattr(resnet.file_utils, "get_file", unreachable)
    before = socket.getdefaulttimeout()
    with pytest.raises(models.WeightsUnavailable, match="name resolution"):
        models.build("resnet50", 64, "imagenet")
    assert socket.getdefaulttimeout() == before


@pytest.mark.parametrize("architecture", [*DEEP, "efficient"])
def test_a_saved_network_takes_pixels_as_they_are(tmp_path, architecture):
    models.keras.utils.set_random_seed(2)
    model, pixels = models.build(architecture, 121), np.arange(256, dtype=np.uint8)
    images = np.random.default_rng(0).choice(pixels, (2, 121, 121, 3))
    model.save(tmp_path / "model.keras")
    read = models.keras.saving.load_model(tmp_path / "model.keras", compile=False)
    after_scaling = models.keras.Model(read.layers[1].output, read.output)
    expected = after_scaling.predict(images / np.float32(255), verbose=0)
    assert read.layers[1].name == "scale"
    assert np.abs(read.predict(images, verbose=0) - expected).max() < 1e-6
    assert (
        read.predict(images.astype(np.float32), verbose=0) == read.predict(images, verbose=0)
    ).all()


def test_a_network_of_an_earlier_version_that_took_scaled_pixels_is_refused(tmp_path):
    model = models.build("efficient", 121)
    models.keras.Model(model.layers[1].output, model.output).save(tmp_path / "model.keras")
    with pytest.raises(InputError, match="made by an earlier version"):
        models.load(tmp_path / "model.keras")


def saved(tmp_path, model):
    model.save(tmp_path / "model.keras")
    return tmp_path / "model.keras"


def test_a_network_that_is_not_the_runs_is_named(tmp_path):
    three = models.build("efficient", 121)
    three = models.keras.Model(
        three.input, models.layers.Dense(3)(three.layers[-2].output), name="efficient"
    )
    with pytest.raises(InputError, match=r"model\.keras is damaged .*gives .*no five probabil"):
        models.load(saved(tmp_path, three))
    lost = models.build("efficient", 121)
    lost.layers[-1].set_weights([w * np.nan for w in lost.layers[-1].get_weights()])
    with pytest.raises(InputError, match=r"model\.keras is damaged .*targets/kernel is no number"):
        models.load(saved(tmp_path, lost))
    right = saved(tmp_path, models.build("efficient", 121))
    assert models.load(right, "efficient", 121).name == "efficient"
    with pytest.raises(InputError, match=r"model\.keras is damaged .*network is efficient"):
        models.load(right, "resnet50", 121)
    with pytest.raises(InputError, match=r"takes .None, 121, 121, 3., the run's images are 128 px"):
        models.load(right, "efficient", 128)


def test_a_damaged_network_is_named(tmp_path):
    path = saved(tmp_path, models.build("efficient", 121))
    content, rng = path.read_bytes(), random.Random(3)
    config = content.index(b"config.json")
    wrong = [b"", b"x", content[:-9], content[: len(content) // 2], rng.randbytes(5000)]
    wrong += [content[: config + 40] + rng.randbytes(60) + content[config + 100 :]]
    with zipfile.ZipFile(path) as packed:
        members = {name: packed.read(name) for name in packed.namelist()}
    for told in (b"", b"{}", b"[" * 9**5, b'{"class_name": "Dense", "config": {"units": 3}}'):
        with zipfile.ZipFile(path, "w") as odd:
            for name, own in members.items():
                odd.writestr(name, told if name == "config.json" else own)
        wrong.append(path.read_bytes())
    for told in wrong:
        path.write_bytes(told)
        with pytest.raises(InputError, match=r"model\.keras is damaged .*delete it and run again"):
            models.load(path)
