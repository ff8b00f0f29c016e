"""The paper's published numbers, as facts to compare with (Albert 2020, Tables 4 to 9)."""

from importlib import resources

import pandas as pd

ARCHITECTURES = {"DenseNet-121": "densenet121", "ResNet-50": "resnet50", "Efficient": "efficient"}


def published():
    """Reads the paper's tables as printed.

    Returns:
        DataFrame: experiment, architecture, weights, target ("all" for overall), metric, value,
        low, high; shares in [0, 1] where the paper prints per cent, intervals as printed (Wald).
    """
    with resources.files("cxrlib.facts").joinpath("published_tables.csv").open() as file:
        table = pd.read_csv(file, keep_default_na=False)
    per_cent = table["metric"].ne("hamming_loss").map({True: 100, False: 1})
    half = table["ci95_half_width"].astype(float)
    half = half / per_cent
    value = table["value"].astype(float) / per_cent
    return pd.DataFrame(
        {
            "experiment": table["experiment"],
            "architecture": table["architecture"].map(ARCHITECTURES),
            "weights": table["weights"],
            "target": table["target"],
            "metric": table["metric"],
            "value": value,
            "low": value - half,
            "high": value + half,
        }
    )
