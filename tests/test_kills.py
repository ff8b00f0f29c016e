"""A killed process or a full disk loses nothing: the next process ends with the same run.

A whole study is killed only when asked for, since that takes a quarter of an hour:

    pytest tests/test_kills.py --kills 20
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from tests.conftest import copy_study

CXR = Path(sys.executable).with_name("cxr")
STUDY = [CXR, "study", "--profile", "tiny.yml"]
COMMAND = [CXR, "train", "C", "efficient", "--profile", "tiny.yml", "--lines"]
RUN = "runs/*/C/efficient"
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


def killed_at(folder, left):
    """Starts the training, and kills it as soon as it has written such a file."""
    process = subprocess.Popen(
        COMMAND, cwd=folder, stderr=subprocess.DEVNULL, start_new_session=True
    )
    while not any(folder.glob(left)):
        assert process.poll() is None, f"ended without {left}"
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "it had ended before it was killed"


def killed(folder, seconds, command=COMMAND):
    """Runs a command, kills it after so many seconds, and returns whether it had ended."""
    process = subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, start_new_session=True)
    try:
        _, said = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return False
    assert process.returncode == 0, said.decode()
    return True


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The folder of a project whose arm was trained undisturbed."""
    folder = project(tmp_path_factory.mktemp("kills") / "alone")
    assert killed(folder, 600)
    return folder


def same(one, other):
    """Checks that two projects hold the same run, and that nothing half-written was left."""
    one, other = (next(folder.glob("runs/*/C/efficient")) for folder in (one, other))
    pd.testing.assert_frame_equal(
        *(pd.read_csv(run / "predictions.csv") for run in (one, other)), check_exact=True
    )
    assert (one / "heatmaps.npy").read_bytes() == (other / "heatmaps.npy").read_bytes()
    assert {path.name for path in one.iterdir()} == {path.name for path in other.iterdir()}


def test_a_training_killed_again_and_again_ends_as_an_undisturbed_one(alone, tmp_path):
    disturbed = project(tmp_path / "disturbed")
    for left in ("data/pixels/*", f"{RUN}/checkpoint-0001.*", f"{RUN}/checkpoint-0004.*",
                 f"{RUN}/predictions.csv", f"{RUN}/model.keras"):  # fmt: skip
        killed_at(disturbed, left)
    assert killed(disturbed, 600)
    same(alone, disturbed)


FILLING = """\
mount -t tmpfs -o size=80m none "$1"; cd "$1"; touch Snakefile; cp ../tiny.yml .; shift
for room in 1000 3000 4000; do  # kB: too few for the pixels, for a checkpoint, for a second one
    rm -f ballast; free=$(df --output=avail -k . | tail -1)
    head -c $((free - room))k /dev/zero > ballast
    "$@" && exit 9
    test $? -eq 1 || exit 8
done
rm ballast; "$@" && cp -r runs ../after
"""


def test_a_full_disk_is_reported_and_with_room_again_training_ends_as_an_undisturbed_one(
    alone, tmp_path
):
    if (
        not shutil.which("unshare")
        or subprocess.run(["unshare", "-rm", "mount", "-t", "tmpfs", "none", tmp_path]).returncode
    ):
        pytest.skip("no small disk can be mounted here")
    (tmp_path / "tiny.yml").write_text(PROFILE)
    (tmp_path / "disk").mkdir()
    (tmp_path / "after").mkdir()
    script = ["unshare", "-rm", "sh", "-c", FILLING, "sh", tmp_path / "disk", *COMMAND]
    outcome = subprocess.run(script, capture_output=True, text=True)
    assert outcome.returncode == 0, outcome.stderr
    said = [line for line in outcome.stderr.splitlines() if line.startswith("cxr: ")]
    for line, file in zip(said, (".npy", "-0001.keras", "-0002.keras"), strict=True):
        assert f"No space left on device: '{tmp_path}" in line and f"{file}': nothing" in line
    assert "Traceback" not in outcome.stderr
    same(alone, tmp_path / "after")


def test_a_study_killed_again_and_again_ends_as_an_undisturbed_one(request, tmp_path):
    kills = request.config.getoption("--kills")
    if not kills:
        pytest.skip("takes a quarter of an hour: pytest tests/test_kills.py --kills 20")
    alone, disturbed = tmp_path / "alone", tmp_path / "disturbed"
    for folder in (alone, disturbed):
        (copy_study(folder) / "tiny.yml").write_text(PROFILE)
    assert killed(alone, 3600, STUDY)
    rng = random.Random(11)
    while kills:
        if killed(disturbed, rng.uniform(3, 35), STUDY):
            shutil.rmtree(disturbed / "_build")  # so that there is something left to do
        else:
            kills -= 1
    runs = next((alone / "runs").glob("tiny-*/A")).parent
    assert killed(disturbed, 3600, [*STUDY, "--check", runs])
    left, others = (
        {path.relative_to(folder) for path in folder.rglob("*") if _lasts(path)}
        for folder in (alone, disturbed)
    )
    assert left == others


def _lasts(path):
    """Returns whether a study leaves this file behind: no snapshot of Snakemake's, no cache."""
    return path.is_file() and not {".snakemake", "__pycache__"} & set(path.parts)
