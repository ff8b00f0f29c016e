"""Training is written for Keras, not for one of its backends, nor for one device."""

import json
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


SHARED = """
import json, sys
import numpy as np
import pandas as pd
from pathlib import Path
from cxrlib import phantom
from cxrlib.networks import backend, training
from cxrlib.study import experiments
from cxrlib.targets import TARGETS

pixels = np.stack([phantom.simulate(i, 121).image for i in range(27)])
radiographs = pd.DataFrame(np.eye(5, dtype=int)[np.arange(27) % 5], columns=list(TARGETS))
radiographs["split"] = ["train"] * 18 + ["validation"] * 5 + ["test"] * 4
radiographs[["file", "group", "patient", "copy"]] = "x"
schedule = experiments.Schedule(4, 3, 1, reduce_after=9, stop_after=9, norm_images=8)
history = training.train(
    Path(sys.argv[1]), architecture="efficient", weights=None, schedule=schedule,
    online=experiments.C.online, pixels=pixels, radiographs=radiographs, seed=1, lines=True,
)
print(json.dumps([backend.devices(4), history["loss"].tolist(), history["val_loss"].tolist()]))
"""


@pytest.mark.slow
def test_two_devices_that_share_each_batch_train_the_network_that_one_would(tmp_path):
    pytest.importorskip("jax", reason="jax is not installed: pip install jax")
    devices, losses, val_losses = zip(*(_trained(tmp_path, count) for count in (1, 2)))
    assert [len(used) for used in devices] == [0, 2]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
    assert val_losses[0] == pytest.approx(val_losses[1], rel=1e-3)  # 5 radiographs for 2 devices


def _trained(folder, devices):
    simulated = {"XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}"}
    (folder / str(devices)).mkdir()
    outcome = subprocess.run(
        [sys.executable, "-c", SHARED, folder / str(devices)],
        cwd=ROOT, env={**os.environ, "KERAS_BACKEND": "jax", **simulated}, capture_output=True,
        text=True,
    )  # fmt: skip
    assert outcome.returncode == 0, outcome.stderr[-3000:]
    return json.loads(outcome.stdout.splitlines()[-1])
