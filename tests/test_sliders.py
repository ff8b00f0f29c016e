"""What the reader moves, and what stands there without a script."""

import json
from html.parser import HTMLParser

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from cxrlib.pages.sliders import Dial, Threshold

VERSIONS = ("tied", "random", "reversed", "moved", "removed")
PROBABILITIES = st.lists(st.tuples(st.booleans(), st.floats(0, 1, width=32)), min_size=1)


def answers(rows):
    return pd.DataFrame(rows, columns=["y_COVID", "p_COVID"]).astype({"y_COVID": int})


@given(PROBABILITIES, st.integers(0, 100))
def test_what_is_right_of_the_line_is_called_covid(rows, at):
    has, said = zip(*rows)
    yes = [p >= at / 100 for p in said]
    found = sum(y for y, h in zip(yes, has) if h)
    cleared = sum(not y for y, h in zip(yes, has) if not h)
    counted = Threshold({"here": answers(rows)}).at(at)
    assert counted == {"here": ((found, sum(has)), (cleared, len(has) - sum(has)))}


class Page(HTMLParser):
    """The texts of a page, and the data that its script reads."""

    def __init__(self, text):
        super().__init__()
        self.texts, self.data = [], {}
        self.feed(text)

    def handle_data(self, data):
        self.texts.append(data)

    def handle_starttag(self, tag, attributes):
        self.data |= {name: value for name, value in attributes if name.startswith("data-")}


def test_without_a_script_the_table_says_what_holds_at_one_half():
    rows = [(True, 0.9), (True, 0.5), (True, 0.499), (False, 0.2)]
    page = Page(Threshold({"here & <now>": answers(rows)})._repr_html_())
    assert page.texts[:4] == [
        "Where yes begins at 50 %",
        "Asked about",
        "Sensitivity",
        "Specificity",
    ]
    assert page.texts[4:] == ["here & <now>", "67 % (2 of 3)", "100 % (1 of 1)"]
    said = json.loads(page.data["data-said"])
    assert said == {"here & <now>": {"with": [900, 500, 499], "without": [200]}}


def test_of_none_nothing_is_said():
    assert "<td>–</td>" in Threshold({"here": answers([(True, 1.0)])})._repr_html_()


def test_without_a_script_the_dial_says_what_is_lost_where_marks_are_wholly_tied():
    keys = [(e, t, s, v) for e in "CA" for t in (0.0, 1.0) for s in (1, 2) for v in VERSIONS]
    table = pd.DataFrame(keys, columns=["experiment", "tie", "seed", "version"])
    lost = (
        (table["version"] == "random") * table["tie"] * table["experiment"].map({"A": 0.4, "C": 0})
    )
    page = Page(Dial(table.assign(target="all", auc=0.9 - lost))._repr_html_())
    assert page.texts[0] == "AUC where the tie was 100 % in training"
    assert page.texts[5:] == ["A", "0.90", "0.50", "0.40 (0.40 to 0.40)",
                              "C", "0.90", "0.90", "0.00 (0.00 to 0.00)"]  # fmt: skip
    assert list(json.loads(page.data["data-said"])) == ["0 %", "100 %"]
