"""A digest of code changes when what is executed changes, and only then."""

import dataclasses
import functools
import shutil
from pathlib import Path

import pytest

from cxrlib import study
from cxrlib.pages import notebooks
from cxrlib.study import arms, data, experiments, provenance

ROOT = Path(__file__).parents[1]
TRAINING = (
    "networks.training.fit", "networks.models.efficient", "images.treat", "images.clahe",
    "study.data.with_copies",
)  # fmt: skip
HEATMAPS = ("heatmaps.write", "heatmaps.saliency")


@pytest.fixture
def library(tmp_path):
    """Changes text in a copy; returns whether the digests of training and heatmaps change."""
    folders = [tmp_path / name for name in ("before", "after")]
    for folder in folders:
        shutil.copytree(ROOT / "cxrlib", folder / "cxrlib", ignore=shutil.ignore_patterns("*.pyc"))

    def changed(module, old, new):
        path = folders[1] / "cxrlib" / module
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))
        digests = [
            [provenance.digest(*names, place=folder) for names in (TRAINING, HEATMAPS)]
            for folder in folders
        ]
        return tuple(one != other for one, other in zip(*digests))

    return changed


@pytest.mark.parametrize(
    ("module", "old", "new", "expected"),
    [
        ("networks/training.py", "amsgrad=True", "amsgrad=False", (True, False)),
        ("networks/training.py", "binary_crossentropy", "binary_focal_crossentropy", (True, False)),
        (
            "networks/batches.py",
            "rng.permutation(self.rows)",
            "rng.choice(self.rows)",
            (True, False),
        ),
        ("networks/models.py", "(16, 32, 48, 64, 80)", "(16, 32, 48, 64, 96)", (True, False)),
        ("images/__init__.py", "CLAHE_CLIP = 3.0", "CLAHE_CLIP = 2.0", (True, False)),
        ("heatmaps/__init__.py", "SMOOTHING = 5 / 768", "SMOOTHING = 6 / 768", (False, True)),
    ],
)
def test_a_change_of_what_is_executed_changes_what_it_makes(library, module, old, new, expected):
    assert library(module, old, new) == expected


def makers(monkeypatch, profile, name, table, place):
    """Returns the digests of a run's training and of its pixels, with the library of a folder."""
    with monkeypatch.context() as patch:
        patch.setattr(provenance, "digest", functools.partial(provenance.digest, place=place))
        experiment = profile.experiment(name)
        keys = data._pixel_keys(profile, experiment, table)
        return arms._code(profile, "efficient", experiment.treatment)["training"], keys[-1]


@pytest.mark.parametrize(
    ("module", "old", "new", "of"),
    [
        ("study/data.py", 'if row["copy"] else made', 'if row["copy"] > 1 else made', "BCDr"),
        ("study/data.py", "return images.treat(image, treatment)", "return image", "BCDr"),
        ("study/data.py", "treated(made, experiment.treatment,", "treated(made, 'raw',", "BCDr"),
        ("study/data.py", "default_rng([copy, ", "default_rng([copy + 1, ", "BCDr"),
        ("study/data.py", "known.lungs)", "known.lesions)", "BCDr"),
        ("images/__init__.py", "np.uint8(0), image)", "np.uint8(9), image)", "BCDr"),
        ("images/augment.py", "def draw(ranges, rng):", "def draw(ranges, rng, turned=0):", "BCDr"),
        ("study/experiments.py", 'if split == "test":', 'if split != "train":', "BCDr"),
        ("images/__init__.py", "CLAHE_CLIP = 3.0", "CLAHE_CLIP = 2.0", "CD"),
        ("networks/unet.py", "PARTS = 2", "PARTS = 1", "D"),
        ("phantom/__init__.py", "return grey", "return grey + 1", "BCD"),
        ("images/__init__.py", "cv2.INTER_AREA if", "cv2.INTER_CUBIC if", "BCDr"),
        ("images/decode.py", "def read(path):", "def read(path, page=0):", "r"),
        (
            "images/marks.py",
            "def paint_over(image, mask):",
            "def paint_over(image, mask, x=0):",
            "r",
        ),
    ],
)
def test_what_makes_a_pixel_is_known_to_the_run_and_to_the_pixels_alike(
    project, monkeypatch, tiny, module, old, new, of
):
    """Of phantoms in B, C and D, and of real radiographs in A (r)."""
    for name in ("cxrlib", "results/lungs"):
        shutil.copytree(ROOT / name, project / name)
    path = project / "cxrlib" / module
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    real = dataclasses.replace(tiny, cohort="folder")
    films = study.cohort(tiny).assign(copy=0, path=str(path))
    made = [(tiny, name, study.radiographs(tiny, tiny.experiment(name)), name) for name in "BCD"]
    for profile, name, table, told in [*made, (real, "A", films, "r")]:
        before, after = (
            makers(monkeypatch, profile, name, table, place) for place in (ROOT, project)
        )
        changed = [one != other for one, other in zip(before, after)]
        assert changed == [told in of] * 2, told


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        ("networks/training.py", '"""A training left no network', '"""No network is left'),
        ("networks/training.py", "ops = keras.ops", "ops = keras.ops  # short"),
        ("cohort/__init__.py", '"""Cohorts: tables', '"""Tables'),
        ("pages/figures/drawn.py", "WIDTH = 8.0", "WIDTH = 9.0"),
        ("networks/__init__.py", '"#009e73"', '"#000000"'),
        ("study/experiments.py", 'title="images as they are"', 'title="untouched"'),
        ("networks/models.py", "unknown architecture", "no such architecture"),
        ("cohort/readers.py", '"file", "path", "group"', '"path", "file", "group"'),
    ],
)
def test_words_colours_and_what_is_not_called_change_nothing(library, module, old, new):
    assert library(module, old, new) == (False, False)


def test_a_program_changes_with_the_code_that_it_uses_and_not_with_its_comments():
    program = "from cxrlib.pages import figures\nfigures.groups(table)"
    assert provenance.digest_of_text(program) == provenance.digest_of_text(
        f"# A remark.\n{program}"
    )
    other = program.replace("groups", "target_counts")
    assert provenance.digest_of_text(program) != provenance.digest_of_text(other)


def chapters(monkeypatch, place=ROOT):
    """Returns what each chapter is made from, with the library of a folder."""
    monkeypatch.setattr(provenance, "HERE", place)
    return {name: notebooks.made_from(name) for name in notebooks.names()}


def differing(before, after):
    return {name for name in before if before[name] != after[name]}


@pytest.mark.slow
def test_another_colour_reaches_the_chapters_that_show_it_and_no_other(tmp_path, monkeypatch):
    before = chapters(monkeypatch)
    shutil.copytree(ROOT / "cxrlib", tmp_path / "cxrlib")
    figures, rows = (
        tmp_path / "cxrlib" / p for p in ("pages/figures/drawn.py", "networks/__init__.py")
    )
    text = figures.read_text()
    figures.write_text(text.replace('"lesion removed": "#e69f00"', '"lesion removed": "#000000"'))
    provenance._module.cache_clear()
    assert differing(before, chapters(monkeypatch, tmp_path)) == {"07-shortcuts"}
    figures.write_text(text)
    rows.write_text(rows.read_text().replace('("#009e73",)', '("#000000",)'))
    provenance._module.cache_clear()
    reached = differing(before, chapters(monkeypatch, tmp_path))
    assert {"02-experiment-a", "05-comparison", "06-paper-audit"} <= reached


@pytest.mark.slow
def test_another_experiment_reaches_the_chapters_that_show_all_of_them(monkeypatch):
    before = chapters(monkeypatch)
    monkeypatch.setitem(experiments.EXPERIMENTS, "E", experiments.C)
    reached = differing(before, chapters(monkeypatch))
    assert {notebooks.FRONT, "05-comparison", "10-gallery"} <= reached
    assert not reached & {"01-data", "02-experiment-a", "04-experiment-c", "06-paper-audit"}


def test_a_name_that_is_not_there_is_an_error():
    assert provenance.knows("networks.training.fit")
    assert not provenance.knows("networks.training.fitt")
    with pytest.raises(KeyError, match="networks.training.fitt"):
        provenance.digest("networks.training.fitt")
