"""What a study will train, why and roughly how long is said before it begins, and made up never."""

import dataclasses
import json

import pytest

from cxrlib import study
from cxrlib.study import experiments, outlook, packing, runs
from tests.conftest import make_finished, make_run


@pytest.fixture
def plain(tiny, project, monkeypatch):
    """The smallest profile, of a study that has the Experiments A and B alone."""
    known = {name: experiments.EXPERIMENTS[name] for name in "AB"}
    monkeypatch.setattr(experiments, "EXPERIMENTS", known)
    return tiny


def finish(profile, *names):
    return [make_finished(profile, name, profile.experiment(name).arms[-1]) for name in names]


def rewrite(run, **changed):
    (run.folder / "run.json").write_text(json.dumps(run.info | changed))


def told(profile):
    return [(task.name, task.why) for task in outlook.tasks(profile)[0]]


def written(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_a_new_study_trains_every_arm_and_no_time_is_made_up(plain):
    tasks, total = outlook.tasks(plain)
    assert total == 2
    assert [task[:2] for task in tasks] == [
        ("A efficient", "no run yet"), ("B efficient", "no run yet"),
    ]  # fmt: skip
    lines = outlook.lines(plain, tasks, total, 2)
    where = f"runs/{plain.folder_name}"
    assert lines[0] == f"Study tiny in {where}: 2 of 2 arms are left to train"
    assert lines[1:] == ["  A efficient  no run yet", "  B efficient  no run yet"]


def test_what_is_finished_is_not_trained_and_nothing_is_touched(plain, project):
    finish(plain, "A")
    assert told(plain) == [("B efficient", "no run yet")]
    finish(plain, "B")
    before = written(project)
    tasks, total = outlook.tasks(plain)
    (line,) = outlook.lines(plain, tasks, total, 2)
    assert line == f"Study tiny in runs/{plain.folder_name}: all 2 arms are trained"
    assert written(project) == before


@pytest.mark.parametrize(
    ("fact", "was", "why"),
    [
        ("code", {}, "again: other code"),
        ("fingerprint", "0", "again: other radiographs"),
        ("image_size", 128, "again: image size 121 instead of 128"),
        ("treatment", "clahe", "again: treatment raw instead of clahe"),
        ("online", {"rotation": 3}, "again: other augmentation"),
    ],
)
def test_what_changed_since_an_arm_was_trained_is_said_in_a_few_words(plain, fact, was, why):
    run, _ = finish(plain, "A", "B")
    rewrite(run, **{fact: was})
    assert told(plain) == [("A efficient", why)]


def test_what_changed_in_a_schedule_is_named(plain):
    run, _ = finish(plain, "A", "B")
    rewrite(run, schedule=run.info["schedule"] | {"epochs": 2})
    assert told(plain) == [("A efficient", "again: epochs 3 instead of 2")]


def test_heatmaps_of_other_code_are_made_anew_without_training(plain):
    run, _ = finish(plain, "A", "B")
    rewrite(run, code=run.info["code"] | {"heatmaps": "0"})
    assert told(plain) == [("A efficient", "no training, its heatmaps anew: other code")]
    assert outlook.tasks(plain)[0][0].seconds is None


def test_an_arm_that_was_stopped_goes_on_after_its_last_epoch(plain):
    run, _ = finish(plain, "A", "B")
    rewrite(run, state=runs.RUNNING)
    assert told(plain) == [("A efficient", "goes on after epoch 2 of 3")]
    (run.folder / "history.csv").unlink()
    assert told(plain) == [("A efficient", "was stopped in epoch 1")]


def test_a_run_that_is_there_packed_alone_is_not_trained_again(plain):
    for run in finish(plain, "A", "B"):
        packing.pack(run.folder, run.folder.with_name(f"{run.folder.name}.zip"))
        run.folder.rename(run.folder.parents[3] / f"away-{run.experiment}")
    assert told(plain) == []


def test_the_time_is_what_earlier_runs_of_the_network_took_at_this_size(plain, project):
    table = study.radiographs(plain, plain.experiment("A"))
    images = int((table["split"] == "train").sum())
    earlier = project / "runs" / "earlier"
    make_run(earlier, image_size=121, epochs=2, images_per_epoch=10, training_seconds=100.0)
    make_run(earlier, "resnet50", image_size=121, training_seconds=9e9)
    make_run(earlier, experiment="B", image_size=224, training_seconds=9e9)
    (earlier / "C" / "x").mkdir(parents=True)
    (earlier / "C" / "x" / "run.json").write_text("damaged")
    task = outlook.tasks(plain)[0][0]
    assert task.seconds == pytest.approx(5.0 * images * 3)


def test_arms_side_by_side_take_as_long_as_the_longest(plain):
    tasks = [outlook.Task(f"A {i}", "no run yet", 60.0 * i) for i in (1, 2, 3)]
    tasks.append(outlook.Task("A 4", "no run yet", None))
    last = [outlook.lines(plain, tasks, 9, at_once)[-1] for at_once in (1, 2, 8)]
    rest = "of training, as earlier runs here took; of 1 of them none tells"
    assert last == [f"Roughly {n} {rest}" for n in ("6 minutes", "3 minutes", "3 minutes")]
    assert outlook.at_once(dataclasses.replace(plain, threads=2), 5) == 2
    assert outlook.at_once(dataclasses.replace(plain, threads=0), 5) == 1


def test_the_best_of_a_waits_for_what_a_trains(tiny, project):
    deep = dataclasses.replace(tiny, arms=("resnet50-none", "resnet50-imagenet"))
    a, b = deep.experiment("A"), deep.experiment("B")
    ran = [make_finished(deep, "A", arm, loss=i) for i, arm in enumerate(a.arms, 1)]
    arm = b.arms[0]._replace(weights=ran[0].weights)
    make_finished(deep, "B", arm, folder="resnet50-best")
    assert not [name for name, _ in told(deep) if name.startswith(("A", "B"))]
    ran[1].history.assign(val_loss=0.1).to_csv(ran[1].folder / "history.csv", index=False)
    ((name, why),) = [one for one in told(deep) if one[0].startswith("B")]
    assert name == "B resnet50-best"
    assert f"weights {ran[1].weights} instead of {ran[0].weights}" in why
    rewrite(ran[1], fingerprint="0")
    assert [name for name, _ in told(deep) if name[0] in "AB"] == [f"A {ran[1].arm}"]


def test_an_arm_that_cannot_be_begun_says_so(tiny, project):
    whys = dict(told(tiny))
    assert "unet.keras is not there" in whys["D efficient"]


def test_what_was_not_run_is_said_with_the_reason_once(plain):
    for run in finish(plain, "A", "B"):
        rewrite(run, state=runs.NOT_RUN, reason="weights unavailable")
    assert outlook.not_run(plain) == ["not run: A efficient, B efficient: weights unavailable"]
    whys = [why for _, why in told(plain)]
    assert whys == ["once more: weights unavailable"] * 2


def test_trials_of_a_study_are_told_apart(plain):
    several = dataclasses.replace(plain, more_seeds=(719,))
    names = [name for name, _ in told(several)]
    assert names[:1] + names[2:3] == ["A efficient seed-718", "A efficient seed-719"]
