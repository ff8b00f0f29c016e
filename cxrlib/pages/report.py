"""What `cxr data check` prints: frames of the audit in, a report for a person or a machine out."""

import pandas as pd

from cxrlib import labels

UNKNOWN = "–"
"""Stands where nothing could be measured."""

MEANING = {
    "Patients in training and test": "Test radiographs whose patient is in training too.",
    "Baselines": "Models that see no anatomy: where their AUC is not 0.5, something else than lungs"
    " tells the target. Intervals of 95 % count patients; those of one publication are one.",
    "Origin": "The same models, asked which source a radiograph comes from.",
    "Confounders": "What one fact alone tells of a target: strength 0 is nothing, 1 settles it.",
    "Near-duplicates": "Two files of one picture: bits of 256 in which they differ, and how far"
    " their fine detail agrees.",
}
"""What a table of the report says, in a sentence."""

_COLUMNS = {
    "features": "sees", "n": "radiographs", "positives": "patients with",
    "negatives": "patients without", "auc": "AUC", "note": "remark", "file_a": "file",
    "file_b": "same picture as",
}  # fmt: skip
_MEASURES = {"auc": "AUC", "cramers_v": "Cramér's V"}


def shown(frame):
    """Writes a frame of the audit as text: three decimals at most, and nothing undefined.

    Args:
        frame: One of the frames of `audit.check`.

    Returns:
        DataFrame of text, and a list of lines that say what could not be measured, and why.
    """
    value = next((name for name in ("auc", "value") if name in frame), None)
    measured = frame if value is None else frame[frame[value].notna()]
    lines = _unmeasured(frame[~frame.index.isin(measured.index)])
    text = measured.copy()
    if {"auc", "low", "high"} <= set(text):
        rows = zip(*(text.pop(name) for name in ("low", "high")), text["auc"])
        text["auc"] = [labels.ranged(auc, low, high) for low, high, auc in rows]
    if "measure" in text:
        text["measure"] = text["measure"].map(_MEASURES)
    text = text.drop(columns=[name for name in text if len(text) and (text[name] == "").all()])
    return text.rename(columns=_column).map(_cell), lines


def plain(frame):
    """Turns a frame of the audit into plain values for JSON, whole: None where undefined."""
    rows = frame.astype(object).to_dict("records")
    return [{name: _value(cell) for name, cell in row.items()} for row in rows]


def _unmeasured(rows):
    """Says of which rows nothing could be measured: a line a reason."""
    told = []
    for note, those in rows.groupby("note", sort=False) if len(rows) else ():
        names = ", ".join(dict.fromkeys(those.iloc[:, 0]))
        told.append(f"not measured: {names}: {note.removeprefix('undefined: ')}")
    return told


def _column(name):
    return _COLUMNS.get(name, name.replace("_", " "))


def _cell(value):
    if isinstance(value, float):
        return UNKNOWN if pd.isna(value) else f"{value:.3f}"
    return UNKNOWN if value is None else str(value)


def _value(cell):
    if cell is None or (isinstance(cell, float) and pd.isna(cell)):
        return None
    return cell.item() if hasattr(cell, "item") else cell
