"""The three networks are the paper's to the parameter."""

import pytest

from cxrlib.errors import InputError
from cxrlib.targets import TARGETS

models = pytest.importorskip("cxrlib.models")


@pytest.mark.parametrize(
    ("architecture", "parameters", "final_map"),
    [
        ("densenet121", 7_042_629, (4, 4, 1024)),
        ("resnet50", 23_597_957, (4, 4, 2048)),
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


@pytest.mark.parametrize("architecture", ["densenet121", "efficient"])
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
