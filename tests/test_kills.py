"""A process killed at any moment loses nothing: the next one goes on and ends the same."""

import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

CXR = Path(sys.executable).with_name("cxr")
COMMAND = [CXR, "train", "C", "efficient", "--profile", "tiny.yml", "--lines"]
PROFILE = """\
name: tiny
image_size: 121
normal: 12
virus: 6
bacteria: 6
covid: 6
arms: [efficient]
epochs: 6
batch_size: 4
copies: 2
norm_images: 8
precision: float32
"""
pytestmark = pytest.mark.slow


def project(folder):
    folder.mkdir()
    (folder / "Snakefile").touch()
    (folder / "tiny.yml").write_text(PROFILE)
    return folder


def killed(folder, seconds):
    """Runs the command for so long, then kills all it started; says whether it had ended."""
    process = subprocess.Popen(COMMAND, cwd=folder, stderr=subprocess.PIPE, start_new_session=True)
    try:
        _, said = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return False
    assert process.returncode == 0, said.decode()
    return True


def test_a_training_killed_again_and_again_ends_as_one_left_alone(tmp_path):
    alone, disturbed = project(tmp_path / "alone"), project(tmp_path / "disturbed")
    assert killed(alone, 600)
    rng = random.Random(7)
    # Imports take some seconds, in which nothing can be lost; the last rounds let it end.
    rounds = [not killed(disturbed, rng.uniform(4, 12)) for _ in range(6)]
    assert sum(rounds) >= 2, "it was hardly killed: shorten the rounds"
    assert killed(disturbed, 600)
    one, other = (next(folder.glob("runs/*/C/efficient")) for folder in (alone, disturbed))
    pd.testing.assert_frame_equal(
        *(pd.read_csv(run / "predictions.csv") for run in (one, other)), check_exact=True
    )
    assert (one / "heatmaps.npy").read_bytes() == (other / "heatmaps.npy").read_bytes()
    left = {path.name for path in other.iterdir() if "checkpoint" in path.name}
    assert left == set()
    shutil.rmtree(disturbed)
