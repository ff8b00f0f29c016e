"""Chapters say whole sentences, with the numbers of runs, whatever ran and whoever was tested."""

import ast
import json
import re
from pathlib import Path

import jupytext
import numpy as np
import pandas as pd
import pytest
from IPython.display import Markdown

from cxrlib import labels, study
from cxrlib.heatmaps import sanity
from cxrlib.pages import tables
from cxrlib.study import runs
from tests.conftest import ROOT, make_run

pytestmark = pytest.mark.slow

ARMS = {"efficient": "none", "densenet121": "none"}


def read(chapter, **parameters):
    """Runs a chapter's cells here, without a kernel, and lists what they show."""
    path = Path("notebooks") / f"{chapter}.md"
    names, shown = {}, []
    for cell in jupytext.read(ROOT / path, fmt="md:myst").cells:
        if cell.cell_type != "code":
            continue
        tree = ast.parse(cell.source)
        last = tree.body.pop() if isinstance(tree.body and tree.body[-1], ast.Expr) else None
        exec(compile(tree, path, "exec"), names)
        if "parameters" in cell.metadata.get("tags", []):
            names |= parameters
        if last:
            shown.append(eval(compile(ast.Expression(last.value), path, "eval"), names))
    return shown


def sentences(shown):
    """What a reader reads: the Markdown among it, in one line, blanks as they come."""
    said = " ".join(one.data for one in shown if hasattr(one, "data"))
    return " ".join(said.replace("\u00a0", " ").replace("\u2060", "").split())


@pytest.fixture
def studied(monkeypatch, tmp_path):
    """Makes a study of made-up runs: a function of the groups tested and of what ran."""
    monkeypatch.chdir(ROOT)

    def make(
        groups=("normal", "virus", "bacteria", "covid"),
        arms=ARMS,
        looked=None,
        learnt=True,
        **changed,
    ):
        says = property(lambda run: run.finished and learnt)
        monkeypatch.setattr(runs.Run, "learnt", says)
        made = {
            (letter, name): make_run(tmp_path, name, weights, letter, groups=groups, **changed)
            for letter in "ABC"
            for name, weights in arms.items()
        }
        test = next(iter(made.values())).test_predictions
        answers = test.filter(like="y_").rename(columns=lambda name: name.removeprefix("y_"))
        cohort = test[["file", "group", "patient", "copy", "split"]].join(answers)

        def ensure(profile, name):
            return [run for (letter, _), run in made.items() if letter == name]

        def lung_attention(profile, run):
            return pd.DataFrame(columns=["region"]) if looked is None else looked(run)

        monkeypatch.setattr(study, "ensure", ensure)
        monkeypatch.setattr(study, "every", ensure)
        by_experiment = {letter: ensure(None, letter) for letter in "ABC"}
        monkeypatch.setattr(study, "by_experiment", lambda profile: by_experiment)
        monkeypatch.setattr(study, "lung_attention", lung_attention)
        monkeypatch.setattr(study, "radiographs", lambda profile, experiment: cohort)
        pixels = np.zeros((len(cohort), 16, 16, 3), np.uint8)
        monkeypatch.setattr(study, "pixels", lambda profile, experiment: pixels)
        monkeypatch.setattr(sanity, "layer_choice", lambda runs, images, target: {})
        return made

    return make


def test_an_experiments_chapter_speaks_for_the_arm_with_the_lowest_validation_loss(studied):
    made = studied()
    history = made["A", "densenet121"].history
    history["val_loss"] = 0.1
    history.to_csv(made["A", "densenet121"].folder / "history.csv", index=False)
    said = sentences(read("02-experiment-a"))
    assert "The arm with the lowest validation loss is DenseNet-121 (random) (epoch 2)." in said
    harsh = 100 * made["A", "densenet121"].measure("accuracy")[0]
    assert f"all five of its answers are right for {harsh:.1f} % (" in said
    assert "the commonest group would be right for 25.0 %." in said
    assert "of the COVID radiographs, which show 5 patients on 5 test images." in said
    assert "no network ran from both starts" in said


def test_the_front_page_says_what_real_radiographs_showed_and_then_what_ran_here(studied):
    made = studied()
    said = sentences(read("00-front-page"))
    assert re.match(r"- \*\*\d+ of 12\*\* COVID radiographs of the paper's test split", said)
    assert re.search(
        r"\*\*0\.\d\d\*\* is the AUC of the same network on \d+ radiographs of new", said
    )
    assert "a coin scores 0.50" in said
    assert re.search(r"\*\*0\.99\*\* is the AUC of COVID from the outermost pixels", said)
    assert "made by the profile *quick* on phantoms" in said
    assert "6 of 6 arms were trained" in said
    best = 100 * max(run.measure("accuracy") for run in made.values())[0]
    assert f"all five targets right for {best:.1f} % (" in said


def looking(run):
    """Where a made-up run looks: an Efficient one into the lungs."""
    energy = 0.6 if run.architecture == "efficient" else 0.4
    facts = dict(zip(("experiment", "architecture", "weights"), run.key))
    measured = {"energy": energy, "pointing": 1.0, "area": 0.3, "gaussian": 0.5}
    table = pd.DataFrame({"patient": range(4), "region": "lungs", "group": "covid"})
    return table.assign(target="COVID", **facts, **measured)


def test_the_arms_that_look_at_the_lungs_more_than_a_blot_does_are_counted(studied):
    studied(looked=looking)
    said = sentences(read("07-shortcuts"))
    assert "Of 6 arms, 3 have more energy in the lungs than the Gaussian has." in said


def test_arms_that_have_not_learnt_are_left_out_of_claims_about_heatmaps(studied):
    studied(looked=looking, learnt=False)
    assert "No arm was trained enough to say anything, so nothing is" in sentences(
        read("07-shortcuts")
    )
    assert "Without a network that was trained enough" in sentences(read("11-sanity"))
    table = next(one.frame for one in read("05-comparison") if isinstance(one, tables.Table))
    assert set(table["State"]) == {"finished: not trained enough to say"}


def test_nothing_of_the_paper_stands_beside_phantoms(studied):
    studied()
    for chapter in ("02-experiment-a", "03-experiment-b", "04-experiment-c", "05-comparison"):
        shown = [one for one in read(chapter) if isinstance(one, tables.Table)]
        for table in [one for one in shown if "as published" not in one.caption]:
            text = table.frame.to_string()
            assert "paper" not in text.replace("as in the paper", "").lower(), chapter


def test_effort_counts_what_ran_and_what_did_not(studied):
    made = studied()
    for letter in "ABC":
        run = made[letter, "densenet121"]
        info = {**run.info, "state": runs.NOT_RUN, "reason": "weights unavailable"}
        (run.folder / "run.json").write_text(json.dumps(info))
        run.info.update(info)
    said = sentences(read("09-how-this-was-run"))
    assert "3 arms were trained and 3 were not run" in said
    assert "Together the epochs took 15.0 minutes" in said
    assert "computed in float32" in said


def compared(heatmap, change, verdict, value, depth=0, share=0.0):
    """One comparison of heatmaps, both measures of it, as `sanity.cascades` returns them."""
    facts = {"heatmap": heatmap, "change": change, "depth": depth, "share": share, "layer": "l"}
    ends = {"low": value - 0.1, "high": value + 0.1, "pairs": 0.25, "n": 3, "verdict": verdict}
    return [facts | {"measure": m, "value": value} | ends for m in ("ssim", "rank")]


def test_what_the_heatmaps_showed_is_told_in_words(studied, monkeypatch):
    studied()
    guided, cam = "Efficient, guided saliency", "ResNet-50 (random), Grad-CAM"
    rows = compared(guided, "top 52 %", "above", 0.9, 16, 16 / 31)
    rows += compared(guided, "all layers random", "like", 0.3, 31, 1.0)
    rows += compared(cam, "output layer random", "below", -0.05, 1, 0.5)
    again = compared(guided, "another seed", "above", 0.75)
    again += compared(guided, "another seed, shuffled labels", "like", 0.5)
    monkeypatch.setattr(sanity, "cascades", lambda *asked: pd.DataFrame(rows))
    monkeypatch.setattr(sanity, "retrained", lambda *asked: pd.DataFrame(again))
    said = sentences(read("11-sanity"))
    assert "on 15 radiographs, in two ways" in said
    assert "With 52 % of the layers random" in said
    assert "correlation of 0.90: they are more alike than the trained network's" in said
    assert "With all of them random it is 0.30: about as alike as those of two different" in said
    assert f"With nothing but the output layer random, the heatmaps of {cam} and the" in said
    assert (
        "network's have a rank correlation of −0.05: they are less alike than heatmaps of" in said
    )
    assert "guided saliency is 0.75: the two networks' heatmaps of one radiograph are more" in said
    assert "one taught nonsense it is 0.50: about as alike as those of two radiographs." in said
    assert "Efficient, guided saliency (rank correlation 0.90, two radiographs 0.25)." in said
    assert f"no more alike than those of two different radiographs: {cam} (rank" in said
    monkeypatch.setattr(sanity, "cascades", lambda *asked: pd.DataFrame(rows[:4]))
    said = sentences(read("11-sanity"))
    assert "No deep network was trained enough, so Grad-CAM was not tried" in said
    monkeypatch.setattr(sanity, "cascades", lambda *asked: pd.DataFrame(rows[4:]))
    said = sentences(read("11-sanity"))
    assert "Efficient was not trained enough, so guided saliency was not tried." in said
    assert "Efficient had not learnt enough, so it was not trained again." in said


def test_the_papers_layer_and_ours_are_compared_in_words(studied, monkeypatch):
    studied()
    assert "No deep network was run, so there is nothing to set" in sentences(
        read("02-experiment-a")
    )
    maps = np.random.default_rng(0).random((2, 15, 16, 16))
    choice = {"ResNet-50 (random)": maps}
    monkeypatch.setattr(sanity, "layer_choice", lambda *asked: choice)
    said = sentences(read("02-experiment-a"))
    assert re.search(r"is [−.\d]+ \([−.\d]+ to [−.\d]+\) over 15 radiographs for ResNet-50", said)


@pytest.mark.parametrize("state", [runs.FINISHED, runs.NOT_RUN])
def test_a_chapters_answer_has_the_numbers_and_says_what_did_not_run(studied, state):
    made = studied(state=state, reason="weights unavailable")
    for chapter in OF_RUNS[1:]:
        answer = sentences(read(chapter)).partition("**Answer.**")[2]
        assert re.search(r"\d\.\d|\d arms", answer), chapter
    harsh = labels.per_cent(*made["B", "efficient"].measure("accuracy"))
    said = sentences(read("03-experiment-b"))
    assert (sentences([Markdown(harsh)]) in said) == (state == runs.FINISHED)
    assert ("No arm of Experiment B was trained" in said) == (state == runs.NOT_RUN)


def test_the_data_says_what_is_a_phantom_and_what_the_border_tells(monkeypatch):
    monkeypatch.chdir(ROOT)
    few = {"normal": 12, "virus": 6, "bacteria": 6, "covid": 6, "image_size": 121}
    said = sentences(read("01-data", **few))
    assert "The radiographs of this copy are phantoms" in said
    assert re.search(r"Tested by patient, the border has an AUC of 0\.\d\d \(", said)
    assert re.search(r"\d of \d test radiographs show a patient who also has one in tra", said)
    assert re.search(r"\*\*Answer\.\*\* The paper's networks see 2,858 radiographs, 58 w", said)


def test_several_seeds_have_a_table_and_one_has_none(studied):
    studied()
    seeds = "the mean ± standard deviation over seeds"
    assert seeds not in captions(read("02-experiment-a"))
    assert seeds in captions(read("02-experiment-a", more_seeds=[719]))


def captions(shown):
    return " ".join(one.caption for one in shown if isinstance(one, tables.Table))


def test_captions_say_what_they_are_about(studied):
    studied()
    assert "Experiments B and C, arm against arm" in captions(read("05-comparison"))
    said = captions(read("09-how-this-was-run"))
    assert "The same 5 seeds" in said
    assert "each measured beside the alternative; Linux" in said


def test_captions_name_the_split(studied):
    studied()
    assert captions(read("02-experiment-a")).count("split by image, as in the paper") == 3
    folded = captions(read("02-experiment-a", split="by-patient", folds=2))
    assert folded.count("split by patient, fold 1 of 2") == 3
    assert "2 folds of patients, pooled" in folded


OF_RUNS = [
    "00-front-page", "02-experiment-a", "03-experiment-b", "04-experiment-c", "05-comparison",
    "07-shortcuts", "09-how-this-was-run",
]  # fmt: skip


@pytest.mark.parametrize("chapter", [*OF_RUNS, "11-sanity"])
def test_a_study_of_which_no_arm_ran_says_so_and_shows_no_empty_table(studied, chapter):
    studied(state=runs.NOT_RUN, reason="weights unavailable")
    shown = read(chapter)
    assert re.search(r"[Nn]o arm|not run|[Nn]obody|Without a network", sentences(shown))
    assert all(len(one.frame) for one in shown if isinstance(one, tables.Table))


@pytest.mark.parametrize("chapter", OF_RUNS)
@pytest.mark.parametrize("groups", [("normal", "covid"), ("normal", "bacteria")])
def test_two_groups_are_enough_for_every_chapter(studied, chapter, groups):
    studied(groups=groups, arms={"efficient": "none"})
    said = sentences(read(chapter))
    assert "nan" not in said.replace("nant", "")
    real = ("00-front-page", "07-shortcuts", "09-how-this-was-run")
    if "covid" not in groups and chapter not in real:
        assert "No test radiograph" in said


@pytest.mark.slow
def test_no_sentence_names_a_role_or_a_key(studied):
    """In JupyterLab or as plain HTML a role would stand there as it is typed."""
    studied()
    for chapter in (*OF_RUNS, "06-paper-audit", "08-real-radiographs", "12-limits"):
        assert not re.search(r"\{\w+(:\w)?\}`|[{}]", sentences(read(chapter))), chapter


def test_sentences_are_read_whole_and_their_code_is_folded():
    for path in sorted((ROOT / "notebooks").glob("*.md")):
        for cell in jupytext.read(path, fmt="md:myst").cells:
            if cell.cell_type == "code" and re.search(r"^Markdown\(", cell.source, re.M):
                assert "remove-input" in cell.metadata["tags"], path.name
                assert cell.metadata["jupyter"] == {"source_hidden": True}
            assert "glue" not in cell.source


def test_the_primers_table_of_two_by_two_makes_its_scores(monkeypatch):
    monkeypatch.chdir(ROOT)
    shown = read("14-primer")
    table = next(one.frame for one in shown if isinstance(one, tables.Table))
    counts = table.set_index(["Asked about", "Radiographs"]).astype(int)
    ill, well = counts.loc[("New patients", "with COVID")], counts.loc["New patients"].iloc[1]
    sensitivity = 100 * ill.iloc[0] / ill.sum()
    said = sentences(shown)
    assert (
        f"the network finds {ill.iloc[0]} of {ill.sum()}, a sensitivity of {sensitivity:.1f} %"
        in said
    )
    specificity = 100 * well.iloc[1] / well.sum()
    assert f"a specificity of {specificity:.1f} % (" in said
    assert f"Among the {ill.sum() * well.sum():,} such pairs" in said
