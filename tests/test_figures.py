"""Figures say what their axes are, and show what is in their frames."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from IPython.core.interactiveshell import InteractiveShell

from cxrlib import phantom
from cxrlib.heatmaps import attention
from cxrlib.labels import GROUP_LABELS
from cxrlib.pages import answers, drawings, figures
from cxrlib.pages.figures import drawn
from cxrlib.study import elsewhere, runs
from cxrlib.targets import GROUPS, TARGETS, encode
from tests.conftest import make_run


@pytest.fixture(scope="module")
def radiographs():
    groups = np.repeat(list(GROUPS), 5)
    splits = ["train", "train", "train", "validation", "test"] * 4
    answers = pd.DataFrame(encode(groups), columns=list(TARGETS))
    return answers.assign(group=groups, split=splits)


def lengths(axis):
    return sum(bar.get_width() for bars in axis.containers for bar in bars)


def test_bars_count_each_radiograph_once_and_all_its_targets(radiographs):
    groups = figures.groups(radiographs).axes[0]
    assert groups.get_xlabel() == "Radiographs"
    assert lengths(groups) == 20
    targets = figures.target_counts(radiographs).axes[0]
    assert lengths(targets) == radiographs[["Normal", "Pneumonia", "Virus"]].sum().sum() + 10


def test_curves_show_training_and_validation_of_each_arm_that_ran(tmp_path):
    made_runs = [
        make_run(tmp_path),
        make_run(tmp_path, "densenet121"),
        make_run(tmp_path, "resnet50", "imagenet", state=runs.NOT_RUN, reason="weights"),
    ]
    accuracy, loss = figures.training_curves(made_runs).axes
    assert accuracy.get_xlabel() == loss.get_xlabel() == "Epoch"
    assert "Accuracy" in accuracy.get_title()
    assert "Loss" in loss.get_title()
    assert len(accuracy.lines) == len(loss.lines) == 4


def test_a_comparison_has_a_row_for_each_arm_of_this_study_and_of_the_paper(tmp_path):
    made_runs = [
        make_run(tmp_path, cohort="coronahack"),
        make_run(tmp_path, "resnet50", "none", experiment="B", cohort="coronahack"),
    ]
    axis = figures.comparison(made_runs).axes[0]
    assert "Harsh accuracy, per cent (95 % interval)" in axis.get_xlabel()
    rows = [label.get_text() for label in axis.get_yticklabels()]
    assert len(rows) == 11 + 1
    assert "B\u2002ResNet-50 (random)" in rows


def test_phantoms_stand_beside_no_dot_of_the_paper(tmp_path):
    figure = figures.comparison([make_run(tmp_path)])
    assert len(figure.axes[0].get_yticklabels()) == 1
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["this study"]


def test_beside_an_arm_that_did_not_run_the_paper_stands_alone(tmp_path):
    missing = make_run(tmp_path, state=runs.NOT_RUN, reason="weights", cohort="coronahack")
    paper_alone = figures.comparison([missing]).axes[0]
    assert len(paper_alone.get_yticklabels()) == 11


def test_a_dollar_in_a_name_is_no_formula():
    images = [np.zeros((8, 8, 3), np.uint8)] * 2
    figure = figures.sheet(images, ["$\\frac{1}$", "a$b$c"])
    figure.canvas.draw()  # a formula that is none would raise here


def test_a_gallery_of_no_finished_arm_still_shows_the_radiographs(tmp_path, radiographs):
    missing = make_run(tmp_path, state=runs.NOT_RUN, reason="weights")
    figure = figures.gallery([missing], radiographs, np.zeros((20, 16, 16, 3), np.uint8))
    assert [axis.get_ylabel() for axis in figure.axes] == ["Normal", "Bacteria", "COVID"]


def test_a_sheet_draws_the_outlines_it_is_given():
    images = np.zeros((5, 16, 16, 3), np.uint8)
    square = np.zeros((16, 16), bool)
    square[4:9, 4:9] = True
    masks = [{"lungs": square, "marks": ~square & False}] + [{}] * 4
    figure = figures.sheet(images, "abcde", masks=masks)
    assert [axis.get_title() for axis in figure.axes] == ["a", "b", "c", "d", "e", "", "", ""]
    assert len(figure.axes[0].collections) == 1


def test_figures_are_drawn_and_none_is_left_open(made_runs, radiographs):
    pixels = np.zeros((20, 16, 16, 3), np.uint8)
    half = np.eye(16, dtype=bool)
    drawn = [
        figures.groups(radiographs),
        figures.target_counts(radiographs),
        figures.sheet(pixels[:3], "abc", masks=[{"lungs": half}, {}, {"marks": ~half}]),
        figures.training_curves(made_runs),
        figures.gallery(made_runs, radiographs.assign(split="test"), pixels),
        figures.comparison(made_runs, "COVID", "recall"),
        figures.reliability(made_runs[0]),
        figures.decision(made_runs[:1]),
    ]
    assert all(isinstance(figure, plt.Figure) for figure in drawn)
    assert plt.get_fignums() == []
    gallery = drawn[4]
    assert len(gallery.axes) == 3 * 2 + 1  # and what the colours mean
    assert "COVID" in gallery.axes[5].get_xlabel()


@pytest.fixture
def notebook():
    """What a notebook does with what a cell ends with."""
    yield InteractiveShell.instance().display_formatter.format
    InteractiveShell.clear_instance()


def test_a_notebook_shows_a_figure_as_svg_and_the_same_each_time(notebook, radiographs):
    first, second = (notebook(figures.groups(radiographs))[0] for _ in range(2))
    assert first["image/svg+xml"] == second["image/svg+xml"]
    assert "image/png" not in first


def test_many_dots_are_drawn_as_pixels_and_few_as_shapes(notebook):
    for count, pixels in ((drawn.DENSE + 1, 1), (drawn.DENSE, 0)):
        figures.style()
        figure, axis = plt.subplots()
        axis.plot(np.arange(count), np.arange(count), ".")
        axis.plot([0, 1], [0, 1])
        svg = notebook(figures.closed(figure))[0]["image/svg+xml"]
        assert svg.count("<image") == pixels


def test_heatmaps_say_what_their_colours_mean(tmp_path, radiographs):
    pixels, tested = np.zeros((20, 16, 16, 3), np.uint8), radiographs.assign(split="test")
    for figure in (
        figures.gallery([make_run(tmp_path)], tested, pixels),
        figures.layer_choice({"Efficient": np.zeros((2, 1, 16, 16))}, pixels),
        answers.mean_heatmaps({"Efficient": np.ones((4, 16, 16))}, {"Efficient": None}),
    ):
        shown = [label.get_text() for label in figure.axes[-1].get_yticklabels()]
        assert shown == ["0", "most"]


def test_facts_without_a_measurable_association_are_left_out_of_the_grid():
    rows = [("source", t, 1.0) for t in TARGETS] + [("width", t, np.nan) for t in TARGETS]
    table = pd.DataFrame(rows, columns=["fact", "target", "strength"])
    axis = figures.confounders(table).axes[0]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["source"]


def test_facts_of_files_are_named_as_a_reader_would_ask_for_them():
    rows = [(fact, t, 0.5) for fact in ("view", "mode", "deviation") for t in TARGETS]
    table = pd.DataFrame(rows, columns=["fact", "target", "strength"])
    shown = [label.get_text() for label in figures.confounders(table).axes[0].get_yticklabels()]
    assert shown == ["view", "colour or grey", "contrast (spread of greys)"]


def test_models_without_anatomy_have_a_row_for_each_target_and_view():
    table = pd.DataFrame(
        {
            "features": ["border", "border", "histogram"], "target": ["Normal", "COVID", "COVID"],
            "auc": [0.6, 0.9, np.nan], "low": 0.5, "high": 0.95, "tested": "by patient",
        }
    )  # fmt: skip
    axis = figures.baselines(table).axes[0]
    names = [label.get_text() for label in axis.get_yticklabels()]
    assert names == ["Normal, border", "COVID, border"]


def test_a_phantoms_layers_are_a_panel_each_beside_its_radiograph():
    example = phantom.simulate(2, 48, target="covid", device="line")
    figure = figures.layers(example)
    titles = [axis.get_title() for axis in figure.axes]
    assert [title.split(":")[0] for title in titles[:-2]] == list(phantom.LAYERS)
    assert titles[-2:] == ["radiograph", "with outlines"]
    assert "−" in titles[list(phantom.LAYERS).index("air")]


def test_roc_curves_stand_side_by_side_for_the_test_split_and_for_new_patients(tmp_path):
    tested, other = make_run(tmp_path), make_run(tmp_path, experiment="B")
    answers = tested.test_predictions.drop(columns=["copy", "split"])
    answers = answers.assign(p_COVID=1 - answers["y_COVID"])
    elsewhere.write(tested.folder / "external" / "mine", {"predictions": answers})
    missing = make_run(tmp_path, "resnet50", state=runs.NOT_RUN, reason="weights")
    left, right = figures.roc([tested, other, missing], "mine").axes
    assert [len(axis.lines) for axis in (left, right)] == [3, 2]  # the last one is the coin's
    assert right.get_title() == "New patients (mine)"
    assert left.lines[0].get_color() == drawn.EXPERIMENT_COLOURS["A"]
    wrong, found = right.lines[0].get_data()
    assert found[wrong < 100].max() == 0  # a network that has it the wrong way round
    assert (left.get_xlim(), left.get_ylim()) == (right.get_xlim(), right.get_ylim())


def test_scores_have_a_panel_for_each_group_that_says_how_many(made_runs):
    figure = figures.scores(made_runs[0])
    counts = made_runs[0].test_predictions["group"].value_counts()
    expected = {
        f"{name} ({counts[group]})" for group, name in GROUP_LABELS.items() if group in counts
    }
    assert {axis.get_title() for axis in figure.axes} == expected
    for axis in figure.axes:
        assert sum(bar.get_height() for bar in axis.patches) == pytest.approx(1)


def compared():
    """Two kinds of heatmap over three depths, as `sanity.cascades` gives them."""
    shares, measures = [0.1, 0.5, 1.0], ["ssim", "rank"]
    rows = [
        [name, f"{share} random", share, measure, value - share / 2, 0.1, 0.9, 0.3, 20, "like"]
        for name, value in (("one", 0.9), ("other", 0.6))
        for share in shares
        for measure in measures
    ]
    columns = ["heatmap", "change", "share", "measure", "value", "low", "high", "pairs", "n"]
    return pd.DataFrame(rows, columns=[*columns, "verdict"])


def test_a_cascade_has_a_line_for_each_kind_of_heatmap_beside_its_chance():
    figure = figures.cascade(compared())
    assert len(figure.axes) == 2
    for axis in figure.axes:
        assert "per cent" in axis.get_xlabel()
        solid, dashed = axis.lines[0], axis.lines[1]
        assert list(solid.get_xdata()) == [10, 50, 100]
        assert list(solid.get_ydata()) == pytest.approx([0.85, 0.65, 0.4])
        assert set(dashed.get_ydata()) == {0.3}
        assert len(axis.lines) == 4


def test_the_papers_layer_stands_beside_ours_for_each_arm():
    images = np.zeros((3, 16, 16, 3), np.uint8)
    maps = np.stack([np.full((3, 16, 16), 0.25), np.full((3, 16, 16), 0.75)])
    figure = figures.layer_choice(
        {"ResNet-50 (random)": maps, "DenseNet-121 (random)": maps}, images
    )
    assert [axis.get_title() for axis in figure.axes[:3]] == [
        "Radiograph", "Final feature map", "Last convolution (paper)"
    ]  # fmt: skip
    shown = [axis.images[-1].get_array() for axis in figure.axes[1:3]]
    assert [float(heatmap.mean()) for heatmap in shown] == [0.25, 0.75]
    assert len(figures.layer_choice({}, images).axes) == 3


def test_without_measurements_an_attention_figure_is_empty():
    columns = ["experiment", "architecture", "weights", "group", "region", *attention.MEASURES]
    assert figures.attention(pd.DataFrame(columns=columns)).axes[0].get_yticks().size == 0


def test_groups_and_targets_that_were_not_tested_are_left_out(made_runs, radiographs):
    """As in a cohort of two groups, or where a group has no test radiograph."""
    pixels = np.zeros((20, 16, 16, 3), np.uint8)
    two = radiographs.assign(split=np.where(radiographs["group"] == "bacteria", "train", "test"))
    assert len(figures.gallery(made_runs, two, pixels).axes) == 2 * 2 + 1
    virus = radiographs.assign(split=np.where(radiographs["group"] == "virus", "test", "train"))
    assert len(figures.gallery(made_runs, virus, pixels).axes) == 1 * 2 + 1
    run = made_runs[0]
    answers = pd.read_csv(run.folder / "predictions.csv").assign(y_COVID=0)
    answers.to_csv(run.folder / "predictions.csv", index=False)
    assert len(figures.decision([runs.load(run.folder)]).axes[0].lines) == 1  # the zero alone


def test_answers_here_and_elsewhere_stand_side_by_side_with_their_auc(tmp_path):
    said = make_run(tmp_path).test_predictions
    figure = answers.probabilities({"A": said, "C": said}, {"A": said, "C": said[:11]})
    titles = [axis.get_title() for axis in figure.axes]
    assert [title.split(": AUC")[0] for title in titles] == [
        "A, test split", "A, new patients", "C, test split", "C, new patients"
    ]  # fmt: skip
    assert "AUC nan" in titles[3]  # no COVID among the first eleven
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names == ["COVID (5)", "others (15)"]


def test_each_answer_that_fits_no_group_is_counted_as_other():
    table = pd.DataFrame({"group": ["normal", "normal", "covid"]})
    table[[f"p_{target}" for target in TARGETS]] = [
        [0.9, 0.1, 0.1, 0.1, 0.1], [0.9, 0.9, 0.1, 0.1, 0.1], [0.1, 0.9, 0.9, 0.1, 0.5]
    ]  # fmt: skip
    counts = answers.confusion(table)
    assert list(counts.index) == ["normal", "covid"]
    assert counts.loc["normal"].tolist() == [1, 0, 0, 0, 1]
    assert counts.loc["covid", "COVID"] == 1
    with_others = pd.concat([table, table.assign(group="other")])
    assert answers.confusion(with_others).equals(counts)  # no answer is right of all of these


def test_confusions_have_a_panel_a_run(tmp_path):
    these = [make_run(tmp_path, experiment=letter) for letter in "ABC"]
    figure = answers.confusions([*these, make_run(tmp_path, "resnet50")])
    shown = [axis.get_title() for axis in figure.axes if axis.axison]
    assert shown == [f"{letter}\u2002Efficient" for letter in "ABC"] + ["A\u2002ResNet-50 (random)"]


def test_the_right_answer_is_bold_whichever_groups_were_tested(tmp_path):
    axis = answers.confusions([make_run(tmp_path, groups=("normal", "covid"))]).axes[0]
    bold = [text.get_position() for text in axis.texts if text.get_fontweight() == "bold"]
    assert [answers.ANSWERS[int(x)] for x, _ in bold] == ["Normal", "COVID"]


def test_models_without_lungs_stand_beside_networks(tmp_path):
    run = make_run(tmp_path)
    models = pd.DataFrame(
        {"features": ["border"], "auc": [0.99], "low": [0.9], "high": [1.0]}
    ).assign(target="COVID", tested="by patient")
    axis = answers.without_lungs(models, [run], [run.test_predictions]).axes[0]
    names = [label.get_text() for label in axis.get_yticklabels()]
    assert names == ["border alone", "A\u2002Efficient"]


def test_mean_heatmaps_have_a_line_a_run_and_the_lungs_drawn_in():
    maps = {"A": np.ones((4, 64, 64)), "C": np.full((4, 64, 64), np.nan)}
    lungs = np.zeros((64, 64))
    lungs[16:48, 16:48] = 1
    figure = answers.mean_heatmaps(maps, {"A": lungs, "C": None})
    drawn = [len(axis.collections) for axis in figure.axes[:8]]
    assert drawn == [1, 1, 1, 1, 0, 0, 0, 0]


@pytest.mark.parametrize("name", drawings.DIAGRAMS)
def test_the_words_of_a_diagram_lie_in_its_boxes_and_every_box_is_on_a_way(name):
    figure = drawings.diagram(name)
    figure.canvas.draw()
    (axis,) = figure.axes
    boxes = [patch.get_window_extent() for patch in axis.patches]
    words = [text for text in axis.texts if text.get_gid()]
    assert len(words) == len(boxes)
    for text, box in zip(words, boxes):
        own = text.get_window_extent()
        assert box.x0 <= own.x0 and own.x1 <= box.x1 and box.y0 <= own.y0 and own.y1 <= box.y1
    drawn = drawings.DIAGRAMS[name]
    assert {end for arrow in (*drawn.arrows, *drawn.over) for end in arrow} == set(drawn.boxes)


def test_names_of_a_chest_point_to_what_they_name():
    made = phantom.simulate(3, 128, target="normal", mark="R")
    (axis,) = drawings.chest(made).axes
    at = {text.get_text(): text.xy for text in axis.texts if hasattr(text, "xy")}
    inside = {name: made.lungs[int(y), int(x)] for name, (x, y) in at.items()}
    assert inside["right lung"] and inside["left lung"] and not inside["side letter"]
    assert at["right lung"][0] < 64 < at["left lung"][0], "the patient's right is on our left"
    x, y = at["heart"]
    assert made.layers["heart"][int(y), int(x)] > 0
    x, y = at["diaphragm"]
    assert made.lungs[int(y), int(x)] and not made.lungs[int(y) + 1, int(x)]


def test_grad_cams_steps_show_two_maps_for_the_target_and_one_against_it():
    features = np.ones((2, 2, 4)) * [1, 3, 1, 2]
    figure = drawings.grad_cam(
        np.zeros((8, 8, 3), np.uint8), features, np.array([0.1, 1, -0.5, 1]), np.ones((8, 8))
    )
    titles = [axis.get_title() for axis in figure.axes]
    assert [title[:9] for title in titles[1:4]] == ["2. map 2,", "2. map 4,", "2. map 3,"]
    assert {text.get_text() for text in figure.axes[4].texts} == {"4.6"}
