"""The gallery holds every test radiograph once, judged as the tables judge, and can be used."""

import base64
import json
import os
import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import expect, sync_playwright

from cxrlib import images, metrics, phantom
from cxrlib.pages import gallery
from cxrlib.study import runs
from cxrlib.study.experiments import EXPERIMENTS
from cxrlib.targets import TARGETS
from tests import browser
from tests.conftest import make_run

STATIC = Path(__file__).parents[1] / "book" / "_static"
SIZE = 32


def no_regions(row):
    return {}


def left_lung(row):
    mask = np.zeros((SIZE, SIZE), bool)
    mask[8:24, 4:12] = True
    return {"lungs": mask}


def radiographs_of(run):
    """The test radiographs of a made-up run, after some that it trained on."""
    test = run.test_predictions.rename(columns={f"y_{target}": target for target in TARGETS})
    train = test.head(4).assign(split="train", file=["a", "b", "c", "d"])
    return pd.concat([train, test], ignore_index=True)


def pixels_of(radiographs):
    """Images as bright as their place in the table."""
    places = np.arange(len(radiographs), dtype=np.uint8)
    return np.broadcast_to(places[:, None, None, None] * 8, (len(places), SIZE, SIZE, 3))


def panel_of(made_runs, regions=left_lung, **options):
    radiographs = radiographs_of(made_runs[0])
    return gallery.panel(made_runs, radiographs, pixels_of(radiographs), regions, **options)


def decoded(base64_text):
    return cv2.imdecode(np.frombuffer(base64.b64decode(base64_text), np.uint8), -1)[..., 0]


def test_every_test_radiograph_is_there_once_with_its_own_pixels(made_runs):
    shown = panel_of(made_runs)["radiographs"]
    assert [one.file for one in shown] == [str(i) for i in range(20)]
    brightness = [decoded(one.image).mean() for one in shown]
    assert np.allclose(brightness, 8 * np.arange(4, 24), atol=2)


def test_radiographs_that_two_experiments_share_are_stored_once(tmp_path):
    panels = [panel_of([make_run(tmp_path, experiment=e)]) for e in "AB"]
    data = gallery.join(panels)
    assert len(data["radiographs"]) == 20
    assert data["experiments"][0]["radiographs"] == data["experiments"][1]["radiographs"]


def test_an_augmented_copy_is_another_radiograph(tmp_path):
    first, second = (panel_of([make_run(tmp_path, experiment=e)]) for e in "AB")
    second["radiographs"] = [one._replace(copy=1) for one in second["radiographs"]]
    assert len(gallery.join([first, second])["radiographs"]) == 40


def test_an_answer_is_right_missed_or_a_false_alarm_and_half_means_yes():
    truth = np.array([[1, 0, 1, 0, 1]])
    scores = np.array([[0.5, 0.499, 0.499, 0.5, 0.9]])
    names = [gallery.OUTCOMES[place] for place in gallery.outcomes(truth, scores)[0]]
    assert names == ["right", "right", "missed", "false alarm", "right"]


def test_outcomes_add_up_to_the_measured_accuracy(made_runs):
    places = np.array(panel_of(made_runs)["arms"][0]["outcomes"])
    measured = metrics.of_predictions(made_runs[0].test_predictions)
    overall = measured[(measured["target"] == "all") & (measured["metric"] == "accuracy")]
    assert (places == 0).all(axis=1).mean() == pytest.approx(overall["value"].item())


def test_an_arm_that_was_not_run_is_named_with_its_reason(made_runs):
    panel = panel_of(made_runs)
    assert [arm["label"] for arm in panel["arms"]] == ["Efficient"]
    assert panel["missing"] == ["ResNet-50 (ImageNet): weights unavailable"]


def test_the_arm_that_has_learnt_best_comes_first_and_one_that_has_not_says_so(
    tmp_path, monkeypatch
):
    arms = {name: make_run(tmp_path, name) for name in ("efficient", "resnet50", "densenet121")}
    losses = dict(zip(arms, (0.3, 0.1, 0.2)))
    history = pd.DataFrame({"val_loss": [0.0]})
    monkeypatch.setattr(
        runs.Run, "history", property(lambda run: history + losses[run.architecture])
    )
    learnt = property(lambda run: run.architecture != "resnet50")
    monkeypatch.setattr(runs.Run, "learnt", learnt)
    arms = panel_of(list(arms.values()), no_regions)["arms"]
    assert [arm["label"].split()[0] for arm in arms] == ["DenseNet-121", "Efficient", "ResNet-50"]
    assert [arm["note"] for arm in arms] == ["", "", ": not trained enough to say"]


def test_heatmaps_belong_to_their_radiographs_and_an_empty_one_is_left_out(made_runs):
    heatmaps = np.zeros((20, 16, 16), np.uint8)
    heatmaps[7] = 200
    np.save(made_runs[0].folder / "heatmaps.npy", heatmaps)
    kept = panel_of(made_runs, limit=16)["arms"][0]["heatmaps"]
    assert [i for i, one in enumerate(kept) if one] == [6]  # 4 of each 5: place 4 is left out
    assert decoded(kept[6]).mean() == pytest.approx(200, abs=2)


def test_a_small_group_is_whole_before_a_large_one_gets_more():
    groups = np.repeat(["normal", "covid", "virus"], [10, 2, 10])
    assert gallery.choose(groups, 8).tolist() == [0, 1, 2, 10, 11, 12, 13, 14]
    assert gallery.choose(groups).tolist() == list(range(22))


def test_lungs_that_nobody_knows_have_no_outline(made_runs):
    assert {one.lungs for one in panel_of(made_runs, no_regions)["radiographs"]} == {""}
    assert gallery.outline(np.zeros((8, 8), bool)) == ""


def test_an_outline_encloses_the_mask_at_any_image_size(made_runs):
    path = panel_of(made_runs)["radiographs"][0].lungs
    corners = np.array(re.findall(r"(\d+) (\d+)", path), int)
    step = gallery.LUNGS_GRID / SIZE
    assert np.allclose(corners.min(axis=0), np.array([4.5, 8.5]) * step, atol=1)
    assert np.allclose(corners.max(axis=0), np.array([11.5, 23.5]) * step, atol=1)


def test_images_are_no_larger_than_the_page_needs(made_runs):
    radiographs = radiographs_of(made_runs[0])
    large = np.zeros((len(radiographs), 256, 256, 3), np.uint8)
    np.save(made_runs[0].folder / "heatmaps.npy", np.full((20, 200, 200), 9, np.uint8))
    panel = gallery.panel(made_runs, radiographs, large, no_regions)
    assert decoded(panel["radiographs"][0].image).shape == (224, 224)
    assert decoded(panel["arms"][0]["heatmaps"][0]).shape == (96, 96)


def test_three_hundred_radiographs_of_nine_arms_take_less_than_ten_megabytes(tmp_path):
    rng = np.random.default_rng(3)
    panels = []
    for experiment in "ABC":
        arms = ("densenet121", "resnet50", "efficient")
        made_runs = [make_run(tmp_path, arm, experiment=experiment) for arm in arms]
        for run in made_runs:
            speckles = [cv2.GaussianBlur(rng.random((96, 96)), (0, 0), 3) for _ in range(20)]
            scaled = [255 * (one - one.min()) / np.ptp(one) for one in speckles]
            np.save(run.folder / "heatmaps.npy", np.array(scaled).astype(np.uint8))
        radiographs = radiographs_of(made_runs[0])
        start = 100 * "ABC".index(experiment)  # no radiograph is shared
        simulated = [phantom.simulate(start + i, 224).image for i in range(len(radiographs))]
        treatment = EXPERIMENTS[experiment].treatment
        pixels = np.array([images.treat(image, treatment) for image in simulated])
        panels.append(gallery.panel(made_runs, radiographs, pixels, no_regions))
    page = gallery.Gallery(panels)._repr_mimebundle_()["text/html"]
    assert len(page) * 300 / 20 < 10e6


def test_no_name_of_a_file_can_end_the_data_early(made_runs):
    panel = panel_of(made_runs)
    named = panel["radiographs"][0]._replace(file="</script><b>")
    panel["radiographs"] = [named, *panel["radiographs"][1:]]
    page = gallery.Gallery([panel])._repr_mimebundle_()["text/html"]
    assert page.count("</script>") == 1
    content = re.search(r'<script type="application/json">(.*)</script>', page).group(1)
    assert json.loads(content)["radiographs"][0]["file"] == "</script><b>"


def test_jupyterlab_is_told_where_the_gallery_is(made_runs):
    shown = gallery.Gallery([panel_of(made_runs)])._repr_mimebundle_()
    assert "make book" in shown["text/plain"]
    assert shown["text/plain"] in shown["text/html"]


def written(folder, panels):
    """Writes a page with the gallery alone, to be opened from the folder."""
    for name in ("gallery.js", "gallery.css"):
        shutil.copy(STATIC / name, folder)
    body = gallery.Gallery(panels)._repr_mimebundle_()["text/html"]
    page = folder / "page.html"
    page.write_text(
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Gallery</title>'
        '<link rel="stylesheet" href="gallery.css"><script src="gallery.js"></script>'
        f"<body><p>Before</p>{body}</body></html>"
    )
    return page


@pytest.fixture
def page():
    """A narrow page in a browser, which must show no fault in the end."""
    if browser.executable() is None and "CI" not in os.environ:
        pytest.skip("no Chromium here: apt install chromium")
    faults = []
    with sync_playwright() as playwright, browser.window(playwright, 390, "light") as empty:
        browser.listen(empty, faults.append)
        yield empty
    assert faults == []


@pytest.fixture
def opened(tmp_path, made_runs, page):
    """The page with Efficient in A and B, and what it answers in A."""
    rng = np.random.default_rng(2)
    heatmaps = rng.integers(0, 256, (20, 16, 16)).astype(np.uint8)
    np.save(made_runs[0].folder / "heatmaps.npy", heatmaps)
    panels = [panel_of(made_runs), panel_of([make_run(tmp_path, experiment="B")], no_regions)]
    page.goto(written(tmp_path, panels).as_uri())
    return page, made_runs[0].test_predictions


slow = pytest.mark.slow


@slow
def test_filters_leave_the_radiographs_that_match_and_say_how_many(opened):
    page, predictions = opened
    tiles, status = page.locator(".cxr-tiles button"), page.get_by_role("status")
    expect(tiles).to_have_count(20)
    expect(status).to_have_text("20 of 20 test radiographs match.")
    page.get_by_label("Target").select_option("Virus")
    page.get_by_label("Outcome").select_option("missed")
    missed = predictions["y_Virus"].eq(1) & predictions["p_Virus"].lt(0.5)
    assert missed.any()
    expect(tiles).to_have_count(int(missed.sum()))
    expect(tiles.get_by_role("img").first).to_have_attribute(
        "alt", re.compile(r"Experiment A, Efficient: Virus \d+\s%, truth yes, missed")
    )
    page.get_by_label("Confidence").select_option("sure: 90 % or more")
    expect(status).to_have_text("0 of 20 test radiographs match.")
    page.get_by_role("button", name="Show all").click()
    expect(status).to_have_text("20 of 20 test radiographs match.")
    expect(page.get_by_role("button", name="Show all")).to_be_hidden()
    expect(page.get_by_label("Target")).to_have_value("2")
    page.get_by_label("Outcome").select_option("missed")
    page.get_by_label("Outcome").select_option("any")
    page.get_by_label("Confidence").select_option("unsure: less than 70 %")
    unsure = predictions["p_Virus"].between(0.3, 0.7, inclusive="neither")
    assert 0 < unsure.sum() < 20
    expect(tiles).to_have_count(int(unsure.sum()))
    page.get_by_label("Confidence").select_option("sure: 90 % or more")
    page.get_by_label("Group").select_option("COVID")
    sure = predictions["p_Virus"].ge(0.9) | predictions["p_Virus"].le(0.1)
    expect(tiles).to_have_count(int((sure & predictions["group"].eq("covid")).sum()))
    expect(page.get_by_text("Not run in A: ResNet-50 (ImageNet): weights unav")).to_be_visible()


@slow
def test_a_radiograph_opens_beside_its_heatmap_with_slider_outline_and_answers(opened):
    page, predictions = opened
    page.locator(".cxr-tiles button").nth(19).click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_have_accessible_name("Radiograph 20 of 20: COVID")
    sides = dialog.locator(".cxr-picture")
    left, right = (sides.nth(i).bounding_box() for i in (0, 1))
    assert left["y"] == right["y"]
    assert left["x"] + left["width"] <= right["x"]
    heat = dialog.locator(".cxr-heat")
    for share in ("0", "35", "100"):
        dialog.get_by_label("Heatmap opacity").fill(share)
        expect(heat).to_have_css("opacity", f"{int(share) / 100:g}")
    expect(dialog.locator(".cxr-lungs").first).to_be_visible()
    dialog.get_by_label("Outline of the lungs").uncheck()
    expect(dialog.locator(".cxr-lungs").first).to_be_hidden()
    rows = dialog.locator("tbody tr")
    expect(rows).to_have_count(5)
    for i, target in enumerate(TARGETS):
        share = predictions.loc[19, f"p_{target}"]
        cells = rows.nth(i).locator("th, td").all_inner_texts()
        truth = "yes" if predictions.loc[19, f"y_{target}"] else "no"
        assert cells[0] == target
        assert int(cells[1].removesuffix("\u00a0%")) == pytest.approx(100 * share, abs=0.6)
        assert cells[2:4] == ["yes" if share >= 0.5 else "no", truth]
    dialog.get_by_role("button", name="Close").click()
    expect(dialog).to_be_hidden()


@slow
def test_heatmaps_are_coloured_as_in_the_books_figures(opened):
    page, _ = opened
    page.locator(".cxr-tiles button").first.click()
    page.get_by_label("Heatmap opacity").fill("100")
    page.get_by_label("Outline of the lungs").uncheck()
    picture = page.get_by_role("dialog").locator(".cxr-picture").nth(1).screenshot()
    shown = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR).reshape(-1, 3)
    colours = (gallery.colormaps["inferno"](np.arange(256))[:, 2::-1] * 255).round()
    nearest = np.abs(shown[:, None].astype(int) - colours).max(axis=2).min(axis=1)
    assert np.quantile(nearest, 0.95) <= 6
    assert np.ptp(shown, axis=0).max() > 100


@slow
def test_the_keyboard_alone_goes_everywhere(opened):
    page, _ = opened
    page.keyboard.press("Tab")
    expect(page.get_by_label("Experiment")).to_be_focused()
    for _ in range(6):
        page.keyboard.press("Tab")
    expect(page.get_by_label("Heatmaps on the tiles")).to_be_focused()
    page.keyboard.press("Space")
    expect(page.locator(".cxr-tiles .cxr-heat").first).to_be_hidden()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Past the radiographs")).to_be_focused()
    page.keyboard.press("Tab")
    tiles = page.locator(".cxr-tiles button")
    expect(tiles.first).to_be_focused()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    heading = page.get_by_role("dialog").get_by_role("heading")
    expect(heading).to_have_text("Radiograph 2 of 20: Normal")
    page.keyboard.press("ArrowRight")
    expect(heading).to_have_text("Radiograph 3 of 20: Normal")
    for _ in range(3):
        page.keyboard.press("ArrowLeft")
    expect(heading).to_have_text("Radiograph 20 of 20: COVID")
    slider = page.get_by_label("Heatmap opacity")
    slider.focus()
    page.keyboard.press("ArrowRight")
    expect(slider).to_have_value("51")
    expect(heading).to_have_text("Radiograph 20 of 20: COVID")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(tiles.last).to_be_focused()
    page.keyboard.press("Home")
    expect(tiles.first).to_be_focused()


@slow
def test_another_experiment_brings_its_own_radiographs_and_keeps_the_other_choices(opened):
    page, _ = opened
    page.get_by_label("Target").select_option("Normal")
    page.get_by_label("Group").select_option("Virus")
    page.get_by_label("Experiment").select_option("B")
    expect(page.get_by_role("status")).to_have_text("5 of 20 test radiographs match.")
    page.locator(".cxr-tiles button").first.click()
    expect(page.get_by_label("Outline of the lungs")).to_be_hidden()  # nobody knows them there
    expect(page.get_by_text("The heatmap is empty: nothing speaks for Virus")).to_be_visible()
    expect(page.get_by_role("dialog").locator(".cxr-heat")).to_be_hidden()


@slow
def test_where_no_arm_has_run_the_page_says_so(tmp_path, page):
    run = make_run(tmp_path, "resnet50", "imagenet", state=runs.NOT_RUN, reason="no weights")
    page.goto(written(tmp_path, [panel_of([run])]).as_uri())
    words = "Not run in A: ResNet-50 (ImageNet): no weights."
    expect(page.locator(".cxr-gallery")).to_have_text(words)
