"""The audit finds what is planted in tiny cohorts whose truth is known, and nothing in noise."""

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxrlib import cohort, images, metrics, phantom
from cxrlib.cohort import audit, baselines, duplicates
from cxrlib.errors import InputError
from cxrlib.images import decode
from cxrlib.targets import GROUPS, TARGETS, encode

SHARED = Path(__file__).parents[1].parent / "shared" / "data"
real = pytest.mark.skipif(not SHARED.is_dir(), reason="needs the real radiographs in ../shared")


def table(groups, patients=None, **facts):
    """A cohort of these groups, each radiograph a patient unless told."""
    files = [f"{i:04d}.png" for i in range(len(groups))]
    made = pd.DataFrame({"file": files, "path": "", "group": groups}, dtype=str)
    made["patient"] = files if patients is None else patients
    made = made.assign(source="here", publication="", **facts)
    return pd.concat([made, pd.DataFrame(encode(groups), columns=list(TARGETS))], axis=1)


def noise(n, seed=0, size=64):
    """Thumbnails in which there is nothing to be found."""
    return np.random.default_rng(seed).integers(60, 180, (n, size, size), dtype=np.uint8)


def auc_of(result, **where):
    for name, value in where.items():
        result = result[result[name] == value]
    assert len(result) == 1
    return result.iloc[0]


@pytest.fixture(scope="module")
def radiograph():
    return phantom.simulate(3, 224, target="virus", mark="R").image


# Facts of the files


def test_facts_of_a_file_are_reported_as_they_are(tmp_path, radiograph):
    small = np.ascontiguousarray(radiograph[:150, :200])
    cv2.imwrite(str(tmp_path / "a.png"), small)
    tinted = small.copy()
    tinted[..., 0] //= 2
    cv2.imwrite(str(tmp_path / "b.jpg"), tinted)
    paths = [str(tmp_path / name) for name in ("a.png", "b.jpg")]
    facts = audit.facts(pd.DataFrame({"file": ["a", "b"], "path": paths}, index=[7, 3]))
    assert list(facts.index) == [7, 3]
    assert list(facts["format"]) == ["PNG", "JPEG"]
    assert list(facts["mode"]) == ["grey", "colour"]  # the first has three equal channels
    assert facts[["width", "height"]].to_numpy().tolist() == [[200, 150]] * 2
    assert list(facts["bytes"]) == [Path(path).stat().st_size for path in paths]
    assert facts["bytes_per_pixel"][7] == facts["bytes"][7] / 30_000
    assert facts["mean"][7] == pytest.approx(small.mean(), abs=1)
    assert list(facts["error"]) == ["", ""]


def test_each_file_is_decoded_once(tmp_path, monkeypatch):
    paths = [str(tmp_path / f"{i}.png") for i in range(5)]
    for path, image in zip(paths, noise(5)):
        cv2.imwrite(path, image)
    decoded, read = [], decode.read
    monkeypatch.setattr(decode, "read", lambda path: decoded.append(path) or read(path))
    audit.facts_and_thumbnails(pd.DataFrame({"file": paths, "path": paths}))
    assert sorted(decoded) == paths


def test_a_file_that_cannot_be_read_keeps_its_row_and_spoils_no_other(tmp_path):
    (tmp_path / "text.png").write_text("no image")
    cv2.imwrite(str(tmp_path / "fine.png"), noise(1)[0])
    names = ["text.png", "gone.png", "fine.png"]
    paths = [str(tmp_path / name) for name in names]
    facts = audit.facts(pd.DataFrame({"file": names, "path": paths})).set_index("file")
    assert facts.loc["text.png", "error"].startswith("is not an image that can be read: ")
    assert facts.loc["gone.png", "error"] == "No such file or directory"
    assert facts["mean"].isna().tolist() == [True, True, False]


def test_a_blurred_picture_is_less_sharp_whatever_its_size(radiograph):
    blurred = cv2.GaussianBlur(radiograph, (0, 0), 2)
    large = images.resize(blurred, 448)
    rows = pd.DataFrame({"file": list("abc"), "path": ""})
    sharpness = audit.facts(rows, [radiograph, blurred, large])["sharpness"]
    assert sharpness[1] < sharpness[0] / 2
    assert sharpness[2] < sharpness[0] / 2


def test_simulated_radiographs_have_facts_of_their_pixels_and_none_of_a_file(radiograph):
    facts = audit.facts(pd.DataFrame({"file": ["a"], "path": [""]}), [radiograph])
    assert facts["mode"][0] == "grey"
    assert facts["deviation"][0] == pytest.approx(radiograph.std(), abs=0.5)
    assert facts[["width", "height", "bytes"]].isna().all(axis=None)
    assert facts["format"][0] == ""


def thumbnails(pictures):
    """Returns the thumbnails of images that are in no file."""
    rows = pd.DataFrame({"file": range(len(pictures)), "path": ""})
    return audit.facts_and_thumbnails(rows, pictures)[1]


def test_thumbnails_of_files_and_of_their_pixels_are_the_same(tmp_path, radiograph):
    pixels = [radiograph, np.ascontiguousarray(radiograph[:, ::-1])]
    paths = [str(tmp_path / f"{i}.png") for i in range(2)]
    for path, image in zip(paths, pixels):
        cv2.imwrite(path, image)
    _, files = audit.facts_and_thumbnails(pd.DataFrame({"file": paths, "path": paths}))
    assert files.shape == (2, 64, 64) and files.dtype == np.uint8
    assert (files == thumbnails(pixels)).all()
    assert thumbnails([]).shape == (0, 64, 64)


def test_an_unreadable_file_has_a_black_thumbnail_and_an_error(tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    rows = pd.DataFrame({"file": ["broken.jpg"], "path": [str(tmp_path / "broken.jpg")]})
    rows, thumbs = audit.facts_and_thumbnails(rows)
    assert "a JPEG and cut short" in rows["error"][0]
    assert not thumbs.any()


# Confounders


def test_a_source_that_settles_a_target_is_the_strongest_confounder():
    rows = table(["covid"] * 20 + ["normal"] * 60)
    rows["source"] = np.where(rows["COVID"] == 1, "journal", "hospital")
    rows["view"] = ["PA", "AP"] * 40  # evenly, whatever the group
    found = audit.confounders(rows)
    assert auc_of(found, fact="source", target="COVID")["value"] == pytest.approx(1)
    assert auc_of(found, fact="view", target="COVID")["value"] == 0
    assert found["fact"].iloc[0] == "source"


def test_a_number_that_is_smaller_in_the_target_is_as_strong_as_one_that_is_larger():
    rows = table(["covid"] * 10 + ["normal"] * 10, sharpness=np.arange(20.0))
    row = auc_of(audit.confounders(rows), fact="sharpness", target="COVID")
    assert (row["measure"], row["value"], row["strength"]) == ("auc", 0, 1)


def test_unknown_facts_are_not_counted_and_absent_ones_left_out():
    rows = table(["covid", "normal"] * 10, mean=[np.nan] * 10 + [1.0, 2.0] * 5)
    rows["view"], rows["width"] = [""] * 16 + ["PA", "AP"] * 2, np.nan
    found = audit.confounders(rows)
    rows.index = [0] * 20  # of rows put together from two cohorts, say
    pd.testing.assert_frame_equal(found, audit.confounders(rows))
    assert set(found["fact"]) == {"source", "view", "mean"}
    assert set(found[found["fact"] == "view"]["n"]) == {4}
    assert auc_of(found, fact="mean", target="COVID")["n"] == 10
    assert auc_of(found, fact="mean", target="COVID")["value"] == 0


def test_what_never_changes_is_undefined_and_not_zero():
    rows = table(["virus", "normal"] * 10, mean=np.arange(20.0), width=224.0)
    found = audit.confounders(rows)
    for fact, target, note in (
        ("source", "Virus", "undefined: one source"),
        ("width", "Virus", "undefined: one width"),
        ("mean", "COVID", "undefined: no COVID radiograph"),
    ):
        row = auc_of(found, fact=fact, target=target)
        assert np.isnan(row["value"]) and np.isnan(row["strength"]) and row["note"] == note
    assert auc_of(found, fact="mean", target="Virus")["note"] == ""


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(sorted(GROUPS)), st.sampled_from(["", "a", "b", "c"])),
        min_size=1,
        max_size=40,
    )
)
def test_an_association_lies_between_nothing_and_everything(rows):
    groups, views = zip(*rows)
    found = audit.confounders(table(list(groups), view=list(views)))
    value = found["value"].dropna()
    assert ((value >= 0) & (value <= 1 + 1e-9)).all()
    assert (found["note"] != "").equals(found["value"].isna())


# Models without anatomy


def test_the_border_shows_nothing_of_the_middle_and_the_histogram_nothing_of_the_place():
    thumbs = noise(2)
    thumbs[0] = thumbs[1]
    thumbs[0, 4:-4, 4:-4] = thumbs[0, 4:-4, 4:-4][:, ::-1]
    seen = baselines.features(thumbs)
    assert {name: values.shape for name, values in seen.items()} == {
        "border": (2, 960), "thumbnail": (2, 256), "histogram": (2, 32),
    }  # fmt: skip
    for name in ("border", "histogram"):
        assert (seen[name][0] == seen[name][1]).all()
    assert (seen["thumbnail"][0] != seen["thumbnail"][1]).any()
    assert seen["histogram"].sum(axis=1) == pytest.approx(1)


@pytest.fixture(scope="module")
def marked():
    """Noise with a bright square: in COVID's left upper corner, elsewhere in the others' right."""
    rows = table(["covid", "normal", "virus", "bacteria"] * 40)
    thumbs = noise(len(rows))
    thumbs[rows["COVID"] == 1, 0:4, 0:12] = 255
    thumbs[rows["COVID"] == 0, 0:4, 52:64] = 255
    return rows, thumbs


def test_a_mark_on_the_border_is_found_by_the_border_and_not_by_the_histogram(marked):
    rows, thumbs = marked
    found = baselines.measure(baselines.features(thumbs), rows)
    assert auc_of(found, features="border", target="COVID")["auc"] == 1
    histogram = auc_of(found, features="histogram", target="COVID")
    assert histogram["low"] < 0.5 < histogram["high"]


def test_brightness_is_found_by_the_histogram(marked):
    rows, thumbs = marked
    darker = np.where((rows["Virus"] == 1).to_numpy()[:, None, None], thumbs // 2, thumbs)
    found = baselines.measure(baselines.features(darker), rows)
    assert auc_of(found, features="histogram", target="Virus")["auc"] > 0.99


def test_with_pure_noise_the_interval_holds_one_half():
    rng, holds = np.random.default_rng(5), []
    rows = table([*GROUPS] * 30)
    for _ in range(12):
        found = baselines.measure({"noise": rng.normal(size=(120, 150))}, rows)
        holds += list((found["low"] < 0.5) & (found["high"] > 0.5))
    assert np.mean(holds) > 0.9  # without the correction for shared training data: 0.78


def test_perfect_separation_by_few_patients_is_not_certain(marked):
    rows, thumbs = marked
    few = np.r_[np.flatnonzero(rows["COVID"] == 1)[:8], np.flatnonzero(rows["COVID"] == 0)]
    found = baselines.measure(
        baselines.features(thumbs[few]), rows.iloc[few].reset_index(drop=True)
    )
    row = auc_of(found, features="border", target="COVID")
    assert (row["auc"], row["high"], row["positives"]) == (1, 1, 8)
    assert 0.5 < row["low"] < 0.95


def test_a_patient_with_many_radiographs_counts_about_as_one():
    groups, thumbs = ["covid", "normal"] * 60, noise(120)
    alone = baselines.measure(baselines.features(thumbs), table(groups))
    patients = [f"{group}{i // 20}" for i, group in enumerate(groups)]
    shared = baselines.measure(baselines.features(thumbs), table(groups, patients))
    for name in ("border", "thumbnail", "histogram"):
        wide, narrow = (auc_of(found, features=name, target="COVID") for found in (shared, alone))
        assert (wide["positives"], narrow["positives"]) == (6, 60)
        assert wide["high"] - wide["low"] > 2 * (narrow["high"] - narrow["low"])


def test_a_target_without_a_positive_is_undefined_and_not_zero(marked):
    _, thumbs = marked
    rows = table(["normal", "virus"] * 80)
    found = baselines.measure(baselines.features(thumbs), rows)
    covid = found[found["target"] == "COVID"]
    assert covid[["auc", "low", "high"]].isna().all(axis=None)
    assert set(covid["note"]) == {"undefined: no COVID radiograph"}
    assert found[found["target"] == "Virus"]["auc"].notna().all()


def test_a_target_of_a_single_patient_cannot_be_tested_and_says_so():
    rows = table(["covid"] * 3 + ["normal"] * 30, patients=["p"] * 3 + list(range(30)))
    found = baselines.measure(baselines.features(noise(33)), rows)
    row = auc_of(found, features="border", target="COVID")
    assert np.isnan(row["auc"]) and "no fold" in row["note"]


def test_a_split_by_image_flatters_a_model_that_knows_patients():
    rng = np.random.default_rng(0)
    patients = np.repeat(np.arange(60), 4)
    groups = np.where(rng.random(60) < 0.5, "normal", "virus")[patients]
    seen = {"habit": rng.normal(size=(60, 400))[patients] + 0.1 * rng.normal(size=(240, 400))}
    rows = table(list(groups), patients=patients)
    rows["split"] = rng.choice(["train", "test"], 240)
    by_image = baselines.measure(seen, rows, baselines.given(rows))
    by_patient = baselines.measure(seen, rows, baselines.by_patient(rows))
    assert auc_of(by_image, target="Virus")["auc"] > 0.95
    assert auc_of(by_patient, target="Virus")["low"] < 0.5


def test_a_given_split_trains_on_train_and_tests_on_test_alone(marked):
    rows, thumbs = marked
    rows = rows.assign(split=["train"] * 80 + ["validation"] * 40 + ["test"] * 40)
    seen = baselines.features(thumbs)
    first = baselines.measure(seen, rows, baselines.given(rows))
    thumbs = thumbs.copy()
    thumbs[80:120] = 0
    assert first.equals(baselines.measure(baselines.features(thumbs), rows, baselines.given(rows)))
    assert auc_of(first, features="border", target="COVID")["positives"] == 10


def test_a_split_that_is_not_there_is_asked_for():
    with pytest.raises(InputError, match="no column split"):
        baselines.given(table(["normal"]))


clusters = st.lists(
    st.tuples(st.sampled_from(sorted(GROUPS)), st.integers(0, 8), st.sampled_from(["", "a", "b"])),
    max_size=40,
)


@settings(max_examples=80, deadline=None)
@given(clusters, st.integers(2, 6))
def test_no_patient_and_no_publication_is_on_both_sides_of_a_fold(rows, n):
    groups, patients, publications = zip(*rows) if rows else ([], [], [])
    made = table(list(groups), [f"p{patient}" for patient in patients])
    made = made.assign(publication=list(publications))
    folds = baselines.by_patient(made, n)
    assert len(folds) <= n
    for train, test in folds:
        assert not set(made["patient"].iloc[train]) & set(made["patient"].iloc[test])
        published = made["publication"].iloc
        assert not set(published[train]) & set(published[test]) - {""}
        assert sorted([*train, *test]) == list(range(len(made)))
    if folds:
        assert sorted(np.concatenate([test for _, test in folds])) == list(range(len(made)))


def test_folds_do_not_depend_on_the_order_of_the_rows():
    rows = table([*GROUPS] * 15, patients=[f"p{i % 23}" for i in range(60)])
    mixed = rows.sample(frac=1, random_state=0)
    first, second = (
        {frozenset(table["file"].iloc[test]) for _, test in baselines.by_patient(table)}
        for table in (rows, mixed.reset_index(drop=True))
    )
    assert first == second


def test_unknown_facts_of_a_file_do_not_stop_a_model():
    rows = table(["covid", "normal"] * 30, format="PNG", mode="grey")
    rows = rows.assign(width=[np.nan, 200.0] * 30, height=200.0, bytes_per_pixel=0.5)
    rows["bytes"] = [2e4, 1e4, 2e4, np.nan] * 15  # half of the pairs can be told apart
    found = baselines.measure(baselines.features(noise(60), rows), rows)
    assert auc_of(found, features="metadata", target="COVID")["auc"] == pytest.approx(0.75)


def test_without_files_there_is_no_metadata_to_learn_from():
    rows = audit.facts(table(["covid"]), noise(1))
    assert set(baselines.features(noise(1), rows)) == {"border", "thumbnail", "histogram"}


# Where a radiograph comes from


def test_the_origin_is_undefined_within_one_source(marked):
    rows, thumbs = marked
    found = baselines.origin(baselines.features(thumbs), rows)
    assert found[["auc", "low", "high"]].isna().all(axis=None)
    assert set(found["note"]) == {"undefined: one source"}


def test_an_origin_that_the_group_settles_is_said_to_be_confounded(marked):
    rows, thumbs = marked
    rows = rows.assign(source=np.where(rows["COVID"] == 1, "journal", "hospital"))
    found = baselines.origin(baselines.features(thumbs), rows)
    everywhere = auc_of(found, features="border", compared="all")
    within = auc_of(found, features="border", compared="within a group")
    assert everywhere["auc"] == 1 and "confounded" in everywhere["note"]
    assert np.isnan(within["auc"]) and "undefined" in within["note"]


def test_an_origin_that_the_group_does_not_settle_is_recognised_within_a_group(marked):
    rows, thumbs = marked
    rows = rows.assign(source=np.random.default_rng(0).choice(["a", "b", "c"], len(rows)))
    stamped = thumbs.copy()
    stamped[rows["source"] == "c", 60:, 20:30] = 0
    found = baselines.origin(baselines.features(stamped), rows)
    c = found[(found["features"] == "border") & (found["source"] == "c")]
    assert list(c["auc"]) == [1, 1] and list(c["note"]) == ["", ""]
    assert set(found["source"]) == {"a", "b", "c"}


# Intervals


@settings(max_examples=100, deadline=None)
@given(st.floats(0, 1), st.floats(0.2, 500), st.floats(0.2, 500))
def test_an_interval_holds_its_auc_stays_in_range_and_shrinks_with_patients(auc, yes, no):
    low, high = metrics.auc_interval(auc, yes, no)
    assert 0 <= low <= auc + 1e-9 and auc - 1e-9 <= high <= 1
    assert high - low > 0
    nearer = metrics.auc_interval(auc, 4 * yes + 4, 4 * no + 4)
    assert nearer[1] - nearer[0] < high - low


@pytest.mark.slow
def test_an_interval_covers_the_truth_where_positives_are_few():
    rng, held = np.random.default_rng(3), 0
    positive = np.arange(212) < 12
    for _ in range(300):
        score = rng.normal(size=212) + 2.66 * positive  # a true AUC of 0.97
        rows = table(["covid"] * 12 + ["normal"] * 200, mean=score)
        value = auc_of(audit.confounders(rows), fact="mean", target="COVID")["value"]
        low, high = metrics.auc_interval(value, 12, 200)
        held += low <= 0.97 <= high
    assert held >= 280


# Near-duplicates

COPIES = {
    "rescaled": lambda image: images.resize(image, 130),
    "compressed": lambda image: cv2.imdecode(cv2.imencode(".jpg", image, [1, 20])[1], 1),
    "brighter": lambda image: np.clip(image * 1.15 + 10, 0, 255).astype(np.uint8),
    "darker": lambda image: (255 * (image / 255) ** 1.5).astype(np.uint8),
    "lettered": lambda image: cv2.putText(image.copy(), "R", (196, 26), 0, 0.6, (255,) * 3, 2),
    "cropped": lambda image: image[3:-3, 3:-3],
}


@pytest.fixture(scope="module")
def population():
    """Sixty phantoms of different patients."""
    rows = phantom.table({"normal": 60, "virus": 20, "bacteria": 20, "covid": 20}).assign(path="")
    rows = rows.drop_duplicates("patient").head(60).reset_index(drop=True)
    simulated = [
        phantom.simulate(index, 224, target=group, mark=mark).image
        for index, group, mark in zip(rows["index"], rows["group"], rows["mark"])
    ]
    return rows, simulated


@pytest.mark.parametrize("name", COPIES)
def test_a_copy_is_found_whatever_was_done_to_it(population, name):
    rows, pictures = population
    copies = [COPIES[name](picture) for picture in pictures[:12]]
    thumbs = thumbnails([*pictures, *copies])
    both = pd.concat([rows, rows.head(12)], ignore_index=True)
    both["split"] = ["train"] * 60 + ["test"] * 12
    found = duplicates.near_duplicates(both, thumbs)
    assert (found["file_a"] == found["file_b"]).all()
    assert set(found["split_a"]) == {"train"} and set(found["split_b"]) == {"test"}
    assert len(found) >= 10  # phantoms have little detail: an alignment may fail


def test_different_patients_are_not_near_duplicates(population):
    rows, pictures = population
    assert duplicates.near_duplicates(rows, thumbnails(pictures)).empty


def test_every_pair_of_three_copies_is_listed_once_and_the_surest_first(population):
    rows, pictures = population
    three = [pictures[0], pictures[0], COPIES["compressed"](pictures[0]), pictures[1]]
    found = duplicates.near_duplicates(rows.head(4), thumbnails(three))
    names = list(rows["file"].head(3))
    assert list(zip(found["file_a"], found["file_b"])) == [
        (names[0], names[1]), (names[0], names[2]), (names[1], names[2]),
    ]  # fmt: skip
    assert found["distance"].is_monotonic_increasing
    assert set(found["split_a"]) == {""}


@settings(deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 40), st.integers(0, 40), st.integers(0, 140))
def test_pairs_are_found_as_by_looking_at_each(seed, n, m, most):
    rng = np.random.default_rng(seed)
    one, other = (rng.integers(0, 2**64, (k, 4), dtype=np.uint64) for k in (n, m))
    one[n // 2 :] = ~one[: n - n // 2]  # all 256 bits apart
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(duplicates, "_TILE", 7)
        found = duplicates._alike(one, other, most).T.tolist()
        once = duplicates._alike(one, one, most, once=True).T.tolist()

    def looked_at(others):
        apart = np.bitwise_count(one[:, None] ^ others).sum(axis=2, dtype=int)
        return [[a, b, apart[a, b]] for a, b in np.argwhere(apart <= most)]

    assert found == looked_at(other)
    assert once == [[a, b, bits] for a, b, bits in looked_at(one) if a < b]


def test_pictures_of_one_grey_have_no_duplicates():
    flat = np.full((3, 64, 64), 9, np.uint8)
    assert duplicates.near_duplicates(table(["normal"] * 3), flat).empty
    assert duplicates.near_duplicates(table([]), flat[:0]).empty


# Problems


@pytest.fixture
def folder(tmp_path, radiograph):
    """A folder in which everything is wrong."""
    other = np.ascontiguousarray(radiograph[::-1])
    cv2.imwrite(str(tmp_path / "fine.png"), radiograph)
    cv2.imwrite(str(tmp_path / "same pixels.png"), radiograph, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    cv2.imwrite(str(tmp_path / "other.png"), other)
    (tmp_path / "same bytes.png").write_bytes((tmp_path / "other.png").read_bytes())
    cv2.imwrite(str(tmp_path / "small.png"), radiograph[:100, :150])
    cv2.imwrite(str(tmp_path / "grey.png"), np.full((224, 224), 77, np.uint8))
    cv2.imwrite(str(tmp_path / "faint.png"), radiograph // 20)
    (tmp_path / "broken.png").write_text("no image")
    rows = [
        ("fine.png", "virus"), ("same pixels.png", "virus"), ("other.png", "virus"),
        ("same bytes.png", "covid"), ("small.png", "normal"), ("grey.png", "normal"),
        ("faint.png", "normal"),
        ("broken.png", "normal"), ("missing.png", "normal"), ("fine.png", "covd"),
    ]  # fmt: skip
    pd.DataFrame(rows, columns=["file", "group"]).to_csv(tmp_path / "cohort.csv", index=False)
    return tmp_path


def test_everything_wrong_with_a_folder_is_listed_at_once(folder):
    found = audit.problems(cohort.listed(folder))
    assert list(found.columns) == ["file", "problem", "mend"]
    assert set(zip(found["file"], found["problem"])) == {
        ("fine.png", "listed twice"),
        ("fine.png", "group 'covd' is unknown"),
        ("missing.png", "missing"),
        ("broken.png", "is not an image that can be read"),
        ("small.png", "150 × 100 px is too small"),
        ("grey.png", "is of one grey all over or nearly"),
        ("faint.png", "shows hardly anything (most in greys 0 to 10 of 255)"),
        ("same pixels.png", "same pixels as fine.png"),
        ("same bytes.png", "same bytes as other.png, but group covid against virus"),
    }
    assert (found["mend"] != "").all()
    pd.testing.assert_frame_equal(found, audit.problems(cohort.listed(folder / "cohort.csv")))


def test_targets_that_are_neither_0_nor_1_are_listed(folder):
    answers = pd.DataFrame([(1, 0, 0, 0, 0), (0, 1, 2, 0, "")], columns=list(TARGETS))
    answers.insert(0, "file", ["fine.png", "other.png"])
    answers.to_csv(folder / "cohort.csv", index=False)
    found = audit.problems(cohort.listed(folder))
    assert list(found["problem"]) == ["Virus '2' is unknown", "COVID '' is unknown"]


def test_a_folder_without_a_table_is_looked_through_and_its_labels_asked_for(folder):
    (folder / "cohort.csv").unlink()
    found = audit.problems(cohort.listed(folder))
    assert found.iloc[0]["problem"] == "no labels"
    assert {"broken.png", "grey.png", "small.png"} < set(found["file"])


def test_nothing_is_wrong_with_sound_radiographs(population):
    rows, pictures = population
    assert audit.problems(audit.facts(rows, pictures)).empty


def test_places_without_radiographs_are_refused(tmp_path):
    with pytest.raises(InputError, match="no images below"):
        audit.problems(cohort.listed(tmp_path))
    with pytest.raises(InputError, match="no file or folder"):
        audit.problems(cohort.listed(tmp_path / "nowhere"))
    (tmp_path / "names.csv").write_text("name\na.png\n")
    with pytest.raises(InputError, match="lacks the column file"):
        audit.problems(cohort.listed(tmp_path / "names.csv"))


# The whole audit


@pytest.mark.slow
def test_the_report_of_simulated_radiographs_holds_every_part(population):
    rows, pictures = population
    rows = rows.assign(path="", publication="", view="AP", age_group="child")
    rows = cohort.split_by_image(rows)
    shown = dict(zip(population[0]["file"], pictures))
    report = audit.report(rows, [shown[file] for file in rows["file"]])
    assert set(report) == {
        "Problems", "Patients in training and test", "Baselines", "Origin", "Confounders",
        "Near-duplicates",
    }  # fmt: skip
    assert set(report["Baselines"]["tested"]) == {"by patient", "given split"}
    assert report["Near-duplicates"].empty
    assert "mark" in set(report["Confounders"]["fact"])


def test_an_unreadable_file_is_among_the_problems_and_stops_nothing(tmp_path, population):
    rows = population[0].iloc[::3]
    pictures = [population[1][i] for i in rows.index]
    paths = [str(tmp_path / file) for file in rows["file"]]
    for path, picture in zip(paths, pictures):
        cv2.imwrite(path, picture)
    Path(paths[4]).write_text("no image")
    report = audit.report(rows.assign(path=paths, publication=""))
    assert list(report["Problems"]["problem"]) == ["is not an image that can be read"]
    assert set(report["Confounders"]["n"]) == {19}


def test_where_nothing_can_be_read_only_the_problems_are_reported():
    assert set(audit.report(table(["normal"]).assign(path="nowhere.png"))) == {"Problems"}


# Real radiographs


@pytest.mark.slow
@real
def test_covid_is_told_from_the_border_of_the_papers_radiographs():
    rows = cohort.paper_split(cohort.read_coronahack(SHARED / "coronahack-224"))
    rows = pd.concat([rows[rows["group"] == "covid"], rows[rows["group"] != "covid"].head(400)])
    rows, thumbs = audit.facts_and_thumbnails(rows.reset_index(drop=True))
    found = baselines.measure({"border": baselines.features(thumbs)["border"]}, rows)
    assert auc_of(found, target="COVID")["low"] > 0.8
    source = auc_of(audit.confounders(rows), fact="source", target="COVID")
    assert source["value"] == pytest.approx(1)
    assert audit.problems(rows)["problem"].str.startswith("same bytes").all()


@real
def test_a_cropped_and_tinted_copy_under_another_patients_number_is_found():
    rows = cohort.read_covid_chestxray(SHARED / "covid-chestxray-224")
    names = ["A7E260CE-8A00-4C5F-A7F5-27336527A981.jpeg", "case_76_1-3.png"]
    rows = pd.concat([rows[rows["file"].isin(names)], rows.head(60)]).drop_duplicates("file")
    found = duplicates.near_duplicates(*audit.facts_and_thumbnails(rows.reset_index(drop=True)))
    assert list(zip(found["file_a"], found["file_b"])) == [tuple(names)]
    assert found["patient_a"][0] != found["patient_b"][0]
