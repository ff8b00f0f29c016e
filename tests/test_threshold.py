"""A threshold that the reader moves."""

import json
from html.parser import HTMLParser

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from cxrlib.pages.threshold import Threshold

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
