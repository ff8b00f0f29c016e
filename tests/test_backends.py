"""Training is written for Keras, not for one of its backends."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_the_tests_of_training_pass_on_another_backend(backend):
    pytest.importorskip(backend, reason=f"{backend} is not installed: pip install {backend}")
    tests = [ROOT / "tests" / f"test_{name}.py" for name in ("batches", "models", "training")]
    outcome = subprocess.run(
        [sys.executable, "-m", "pytest", *tests],
        cwd=ROOT, env={**os.environ, "KERAS_BACKEND": backend}, capture_output=True, text=True,
    )  # fmt: skip
    assert outcome.returncode == 0, outcome.stdout[-3000:]
