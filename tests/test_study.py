"""A profile becomes a cohort, pixels and fingerprints; the same every time."""

import dataclasses
import json
import subprocess
import sys
from importlib import resources
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pandas as pd
import pytest

from cxrlib import cohort as cohorts
from cxrlib import files, heatmaps, images, study
from cxrlib.errors import InputError
from cxrlib.networks import models
from cxrlib.study import arms, data, experiments, profiles
from cxrlib.targets import GROUPS
from tests.conftest import make_finished, make_run


def test_pixels_follow_the_radiographs_and_are_made_once(tiny, project):
    experiment = tiny.experiment("A")
    table = study.radiographs(tiny, experiment)
    pixels = study.pixels(tiny, experiment)
    assert pixels.shape == (len(table), 121, 121, 3)
    assert (pixels[3] == study.image(tiny, table.iloc[3])).all()
    cached = list((project / "data" / "pixels").glob("*.npy"))
    written = cached[0].stat().st_mtime_ns
    study.pixels(tiny, experiment)
    assert cached[0].stat().st_mtime_ns == written


def test_copies_differ_from_their_original_and_from_each_other(tiny, project):
    experiment = tiny.experiment("B")
    table = study.radiographs(tiny, experiment)
    pixels = study.pixels(tiny, experiment)
    original = table[table["copy"] == 1].iloc[0]
    places = table.index[table["file"] == original["file"]]
    assert len(places) == 2
    assert (pixels[places[0]] != pixels[places[1]]).any()
    assert (pixels[places[0]] != study.image(tiny, original)).any()


def test_experiment_c_crops_and_equalises(tiny, project):
    b, c = (study.pixels(tiny, tiny.experiment(name)) for name in "BC")
    assert b.shape == c.shape
    contrast = [np.abs(np.diff(p[:5].astype(int), axis=2)).mean() for p in (b, c)]
    assert contrast[1] > 1.3 * contrast[0]


def test_truth_is_known_for_phantoms_only(tiny):
    row = study.cohort(tiny).iloc[0]
    assert set(study.truth(tiny, row)) == {"lungs", "lesions", "marks", "devices"}
    row = row.copy()
    row["path"] = "radiograph.png"
    assert study.truth(tiny, row) == {}


def test_the_fingerprint_follows_cohort_and_copies(tiny):
    def fingerprint(name="B", **changed):
        profile = dataclasses.replace(tiny, **changed)
        return study.fingerprint(profile, profile.experiment(name))

    assert fingerprint() == fingerprint(epochs=9)
    assert len({fingerprint(), fingerprint("A"), fingerprint(covid=7), fingerprint(copies=3)}) == 4


def test_real_radiographs_without_a_folder_are_refused(tiny, project):
    profile = dataclasses.replace(tiny, cohort="coronahack")
    with pytest.raises(InputError, match="data is empty"):
        study.cohort(profile)
    with pytest.raises(InputError, match="no folder .*nowhere"):
        study.cohort(dataclasses.replace(profile, data="nowhere"))


def test_an_experiment_without_wanted_arms_says_so(tiny):
    profile = dataclasses.replace(tiny, arms=("resnet50-best",))
    with pytest.raises(InputError, match="no arm of experiment A"):
        study.ensure(dataclasses.replace(profile, arms=("densenet121-best",)), "A")


def test_every_treatment_of_an_experiment_exists():
    from cxrlib import images

    for experiment in experiments.EXPERIMENTS.values():
        assert experiment.treatment in images.TREATMENTS


def test_the_same_profile_renders_the_same_bytes_on_another_machine(
    tiny, project, tmp_path_factory
):
    experiment = tiny.experiment("B")
    here = np.array(study.pixels(tiny, experiment))
    with pytest.MonkeyPatch.context() as patch:
        elsewhere = tmp_path_factory.mktemp("elsewhere")
        (elsewhere / "Snakefile").touch()
        patch.chdir(elsewhere)
        assert (study.pixels(tiny, experiment) == here).all()


def test_pixels_outlive_a_change_that_does_not_touch_them(tiny, project):
    study.pixels(tiny, tiny.experiment("B"))
    longer = dataclasses.replace(tiny, epochs=9, batch_size=2, seed=4)
    study.pixels(longer, longer.experiment("B"))
    more = dataclasses.replace(tiny, copies=3)
    assert len(list((project / "data" / "pixels").glob("*.npy"))) == 1
    study.pixels(more, more.experiment("B"))
    assert len(list((project / "data" / "pixels").glob("*.npy"))) == 2


def test_only_one_process_at_a_time_works_on_a_run(tmp_path):
    attempt = (
        "import fcntl, sys\n"
        "try: fcntl.flock(open(sys.argv[1], 'w'), fcntl.LOCK_EX | fcntl.LOCK_NB)\n"
        "except BlockingIOError: sys.exit(7)"
    )

    def other():
        return subprocess.run([sys.executable, "-c", attempt, tmp_path / ".run.lock"]).returncode

    with files.locked(tmp_path / "run"):
        assert other() == 7
    assert other() == 0


def test_a_killed_process_leaves_its_lock_to_its_child_and_others_say_that_they_wait(tmp_path):
    run = tmp_path / "run"
    code = (
        "import os, subprocess, sys; from cxrlib import files\n"
        "with files.locked(sys.argv[1]) as lock:\n"
        "    subprocess.Popen(['cat'], pass_fds=[lock.fileno()])\n"  # until its input ends
        "    os.kill(os.getpid(), 9)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, run], stdin=subprocess.PIPE)
    assert holder.wait() == -9
    code = "import sys; from cxrlib import files\nwith files.locked(sys.argv[1]): pass"
    other = [sys.executable, "-c", code, run]
    with subprocess.Popen(other, stderr=subprocess.PIPE, text=True) as waiting:
        said = waiting.stderr.readline()
        assert said == f"cxr: waiting for another process that works on {run}\n"
        assert waiting.poll() is None
        holder.stdin.close()
        assert waiting.wait() == 0
    assert subprocess.run(other, capture_output=True, text=True).stderr == ""


@pytest.fixture
def real(project):
    """Twelve radiographs of each group in CoronaHack's layout, and a profile that takes them."""
    covid = pd.read_csv(resources.files("cxrlib.cohort").joinpath("facts", "covid_images.csv"))[
        "file"
    ]
    names = {
        "normal": [f"IM-{i:04d}-0001.jpeg" for i in range(12)],
        "virus": [f"person{i}_virus_1.jpeg" for i in range(12)],
        "bacteria": [f"person{i}_bacteria_1.jpeg" for i in range(12)],
        "covid": [name for name in covid if name not in cohorts.LATERAL][:12],
    }
    facts = {
        "normal": ("Normal", None, None),
        "virus": ("Pnemonia", None, "Virus"),
        "bacteria": ("Pnemonia", None, "bacteria"),
        "covid": ("Pnemonia", "COVID-19", "Virus"),
    }
    rows = []
    for group, files_of_group in names.items():
        for name in files_of_group:
            label, virus, cause = facts[group]
            rows.append((name, label, "TRAIN", virus, cause))
            path = project / "data" / "kaggle" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), np.full((9, 7), len(rows), np.uint8))
    columns = [
        "X_ray_image_name", "Label", "Dataset_type", "Label_2_Virus_category",
        "Label_1_Virus_category",
    ]  # fmt: skip
    pd.DataFrame(rows, columns=columns).to_csv(project / "data" / "kaggle" / "meta.csv")
    profile = profiles.Profile(
        name="real", cohort="coronahack", data="data/kaggle", image_size=121, normal=6, virus=6,
        bacteria=6, covid=6,
    )  # fmt: skip
    study.cohort.cache_clear()
    yield profile
    study.cohort.cache_clear()


def test_real_radiographs_come_as_their_files_are(real):
    table = study.radiographs(real, real.experiment("A"))
    pixels = study.pixels(real, real.experiment("A"))
    assert table["group"].value_counts().to_dict() == dict.fromkeys(GROUPS, 6)
    for place in (0, 11, 23):
        grey = cv2.imread(table["path"][place], cv2.IMREAD_GRAYSCALE)[0, 0]
        assert (pixels[place] == grey).all()
    assert study.truth(real, table.iloc[0]) == {}


def test_a_changed_radiograph_changes_the_fingerprint(real):
    experiment = real.experiment("A")
    before = study.fingerprint(real, experiment)
    path = study.radiographs(real, experiment)["path"][3]
    cv2.imwrite(path, np.random.default_rng(0).integers(0, 255, (40, 40), np.uint8))
    assert study.fingerprint(real, experiment) != before


def test_only_a_changed_radiograph_is_rendered_again(real, monkeypatch):
    experiment = real.experiment("A")
    study.pixels(real, experiment)
    table = study.radiographs(real, experiment)
    noise = np.random.default_rng(1).integers(0, 255, (40, 40), np.uint8)
    cv2.imwrite(table["path"][3], noise)
    rendered = []
    load = images.load
    monkeypatch.setattr(
        images, "load", lambda path, size: rendered.append(path) or load(path, size)
    )
    pixels = study.pixels(real, experiment)
    assert rendered == [table["path"][3]]
    assert (pixels[3] == load(table["path"][3], 121)).all()


def test_experiments_that_treat_images_alike_share_their_pixels(tiny, project, monkeypatch):
    tiny = dataclasses.replace(tiny, image_size=122)
    a, b = tiny.experiment("A"), tiny.experiment("B")
    pixels = study.pixels(tiny, a)
    rendered = []
    image = study.image
    monkeypatch.setattr(data, "image", lambda _, row: rendered.append(row) or image(tiny, row))
    copies = study.pixels(tiny, b)
    assert len(rendered) == (study.radiographs(tiny, b)["copy"] > 0).sum()
    kept = study.radiographs(tiny, b).query("copy == 0")
    files_of_a = study.radiographs(tiny, a)["file"].tolist()
    places = [files_of_a.index(file) for file in kept["file"]]
    assert (copies[kept.index] == pixels[places]).all()


def test_a_radiograph_that_cannot_be_read_is_named_and_leaves_no_pixels(real, project):
    broken = study.radiographs(real, real.experiment("A"))["path"][7]
    Path(broken).write_text("not an image")
    with pytest.raises(InputError, match=Path(broken).name):
        study.pixels(real, real.experiment("A"))
    assert list((project / "data" / "pixels").glob("*.npy")) == []


class Killed(BaseException):
    """What `kill -9` would do at this line."""


def train_efficient(profile, **options):
    experiment = profile.experiment("A")
    return study.train(profile, experiment, experiment.arms[-1], **options)


@pytest.mark.slow
def test_a_run_killed_while_its_heatmaps_are_made_goes_on(tiny, project, monkeypatch):
    def killed(*_):
        raise Killed

    once = dataclasses.replace(tiny, epochs=1)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(heatmaps, "write", killed)
        train_efficient(once)
    run = train_efficient(once)
    assert run.finished
    assert not list(run.folder.glob("checkpoint-*"))


@pytest.mark.slow
def test_a_folder_without_run_json_is_trained_anew(tiny, project):
    once = dataclasses.replace(tiny, epochs=1)
    run = train_efficient(once)
    (run.folder / "run.json").unlink()  # as where the removal of an outdated run was cut short
    (run.folder / "history.csv").write_text("of an unknown run")
    assert train_efficient(once).finished


def test_random_weights_are_never_read_from_a_file(tiny, project, tmp_path):
    with pytest.raises(InputError, match="efficient starts from random weights"):
        train_efficient(tiny, weights=tmp_path / "some.weights.h5")
    deep = dataclasses.replace(tiny, arms=("resnet50-none", "resnet50-imagenet"))
    for arm in deep.experiment("A").arms:  # random weights validated better in A
        make_finished(deep, "A", arm, loss={"none": 0.4, "imagenet": 0.7}[arm.weights])
    with pytest.raises(InputError, match="resnet50-best starts from random weights"):
        study.train(
            deep, deep.experiment("B"), deep.experiment("B").arms[0],
            weights=tmp_path / "some.weights.h5",
        )  # fmt: skip


def test_another_weights_file_is_another_run_and_without_one_the_run_stays(
    tiny, project, tmp_path, monkeypatch
):
    built = []

    def unavailable(architecture, size, weights):
        built.append(weights)
        raise models.WeightsUnavailable("weights unavailable")

    monkeypatch.setattr(models, "build", unavailable)
    experiment = tiny.experiment("A")
    arm = dataclasses.replace(tiny, arms=("resnet50-imagenet",)).experiment("A").arms[0]
    one, other = tmp_path / "one.h5", tmp_path / "other.h5"
    one.write_text("one")
    other.write_text("other")
    for weights in (one, one, other, None):
        study.train(tiny, experiment, arm, weights=weights)
    assert built == [one, other]


def test_a_namesake_on_other_data_is_refused_and_deletes_nothing(real, project):
    arm = experiments.find_arm(real.experiment("A"), "efficient")
    where = study.run_folder(real, real.experiment("A"), arm)
    made = make_run(project / "made", profile=dataclasses.asdict(real))
    where.parent.mkdir(parents=True)
    made.folder.rename(where)
    (project / "data" / "kaggle").rename(project / "data" / "moved")
    moved = dataclasses.replace(real, data="data/moved")
    with pytest.raises(InputError, match="made from data 'data/kaggle'.*give it another name"):
        study.train(moved, moved.experiment("A"), arm)
    assert (where / "predictions.csv").exists()


@pytest.mark.parametrize("code", [None, "x", 5, [], {}, {"answers": 1}, "absent"])
def test_a_run_that_does_not_say_which_code_made_it_is_trained_again(real, project, code, capsys):
    experiment = real.experiment("A")
    arm = experiments.find_arm(experiment, "efficient")
    where = study.run_folder(real, experiment, arm)
    facts = study.inputs(real, experiment, arm) | {"code": code}
    if code == "absent":
        del facts["code"]
    made = make_run(project / "made", arm=arm.name, **facts)
    where.parent.mkdir(parents=True)
    made.folder.rename(where)
    assert arms.plan_arm(real, experiment, arm).info == {}
    assert "is trained again: new" in capsys.readouterr().err and not where.exists()


def test_what_a_run_is_made_from_follows_the_experiment_and_reads_back_the_same(tiny, project):
    def made(name="C", **changed):
        experiment = dataclasses.replace(tiny.experiment(name), **changed)
        return study.inputs(tiny, experiment, experiment.arms[-1])

    assert made() == json.loads(json.dumps(made()))
    others = [made("B"), made(treatment="raw"), made(online=None), made(copies=None)]
    assert len({json.dumps(each) for each in [made(), *others]}) == 5


def test_regions_follow_the_copy_and_the_crop(tiny, project):
    """Where marks were, the network's image is bright; where lungs were painted, it is black."""
    covered = dataclasses.replace(tiny, cover="lungs")
    experiment = covered.experiment("C")
    table = study.radiographs(covered, experiment)
    pixels = study.pixels(covered, experiment)
    for place in [table.index[table["copy"] > 0][0], table.index[table["copy"] == 0][0]]:
        regions = study.regions(tiny, experiment, table.loc[place])
        inner = cv2.erode(regions["lungs"].astype(np.uint8), np.ones((5, 5))) > 0
        assert pixels[place][inner].mean() < 30
        assert pixels[place][~regions["lungs"]].mean() > 60


def test_a_covered_study_is_another_study(tiny):
    covered = dataclasses.replace(tiny, cover="centre")
    experiment = tiny.experiment("A")
    assert study.fingerprint(tiny, experiment) != study.fingerprint(covered, experiment)
    assert covered.folder_name != tiny.folder_name


@pytest.mark.slow
def test_every_seed_and_fold_of_a_study_is_trained_and_found_again(tiny, project):
    folded = dataclasses.replace(
        tiny,
        epochs=1,
        split="by-patient",
        folds=2,
        more_seeds=(719,),
        virus=12,
        bacteria=12,
        covid=12,
    )
    ran = study.every(folded, "A")
    assert [(run.info["seed"], run.info["split"]) for run in ran] == [
        (718, "fold 1 of 2"), (718, "fold 2 of 2"), (719, "fold 1 of 2"), (719, "fold 2 of 2"),
    ]  # fmt: skip
    tested = [file for run in ran[:2] for file in run.test_predictions["file"]]
    assert sorted(tested) == sorted(study.cohort(folded)["file"])
    written = [run.folder.joinpath("run.json").stat().st_mtime_ns for run in ran]
    again = [run.folder.joinpath("run.json").stat().st_mtime_ns for run in study.every(folded, "A")]
    assert written == again


def test_an_arm_that_takes_the_best_of_none_is_not_run_and_says_why(tiny, project, monkeypatch):
    from cxrlib.networks import training

    def diverge(*_, **__):
        raise training.Diverged("training diverged: no validation loss in 3 epochs")

    monkeypatch.setattr(training, "fit", diverge)
    profile = dataclasses.replace(tiny, arms=("densenet121-none", "efficient"))
    runs_of_b = study.ensure(profile, "B")
    assert [run.info["state"] for run in runs_of_b] == ["not run", "not run"]
    reason = "no DenseNet-121 finished in experiment A, whose best it takes"
    assert runs_of_b[0].info["reason"] == reason
    assert runs_of_b[0].arm == "densenet121-best"
    assert study.ensure(profile, "B") == runs_of_b


@pytest.mark.parametrize(
    ("kernel", "session", "lines"), [(0, 0, False), (1, 0, True), (1, 1, False)]
)
def test_an_executed_notebook_trains_in_lines_and_one_that_is_open_with_a_bar(
    tiny, project, monkeypatch, kernel, session, lines
):
    from cxrlib.networks import training

    asked = []

    def stop(*_, **options):
        asked.append(options["lines"])
        raise training.Diverged("stopped")

    monkeypatch.setattr(training, "fit", stop)
    application = SimpleNamespace(IPKernelApp=SimpleNamespace(initialized=lambda: bool(kernel)))
    monkeypatch.setitem(sys.modules, "ipykernel.kernelapp", application)
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    if session:
        monkeypatch.setenv("JPY_SESSION_NAME", "02-experiment-a.ipynb")
    train_efficient(tiny)
    assert asked == [lines]


@pytest.mark.slow
def test_where_networks_look_in_real_radiographs_is_measured_by_predicted_lungs(collections):
    profile, _ = collections
    experiment = profile.experiment("A")
    run = study.train(profile, experiment, experiment.arms[0])
    looked = study.attention_of([(profile, run)])
    assert set(looked["region"]) == {study.PREDICTED}
    assert (looked["seed"] == profile.seed).all()
    test = run.test_predictions
    assert 0 < looked["n"].max() <= len(test)
