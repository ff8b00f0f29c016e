"""A study in a folder of its own, as small as one can be."""

import pytest

from cxrlib import profiles


@pytest.fixture(scope="session")
def tiny():
    """The smallest profile: Efficient on thirty phantoms for three epochs."""
    return profiles.Profile(
        name="tiny", image_size=121, normal=12, virus=6, bacteria=6, covid=6, arms=("efficient",),
        epochs=3, batch_size=4, copies=2, norm_images=8, precision="float32",
    )  # fmt: skip


@pytest.fixture
def project(tmp_path, monkeypatch):
    """An empty study folder, and the working directory in it."""
    (tmp_path / "Snakefile").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path
