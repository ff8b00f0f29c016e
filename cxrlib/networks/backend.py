"""Keras on this machine: imported without chatter, with the threads and the precision asked for.

Importing this module takes seconds, so only modules that train or explain do.
"""

import contextlib
import ctypes
import functools
import logging
import os
import platform
import re
from pathlib import Path

from cxrlib.errors import InputError

PRECISIONS = {"float32": "float32", "bfloat16": "mixed_bfloat16"}


@contextlib.contextmanager
def _muted():
    """Sends what C++ code prints to stderr nowhere: TensorFlow prints six lines as it loads."""
    kept = os.dup(2)
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _keep_freed_memory():
    """Has glibc keep some freed memory instead of giving it back to the system.

    Each batch is an array of some megabytes. Given back and asked for again at every step, its
    pages cost a tenth of Efficient's time. No more than a few hundred megabytes are kept.
    """
    if platform.libc_ver()[0] == "glibc":
        for parameter, value in _MALLOPT.values():
            ctypes.CDLL(None).mallopt(parameter, value)


# Parameters as malloc.h numbers them; without the padding, threads' memory is given back whole.
_MALLOPT = {
    "M_TRIM_THRESHOLD": (-1, 256 << 20),
    "M_TOP_PAD": (-2, 64 << 20),
    "M_MMAP_THRESHOLD": (-3, 32 << 20),
}

_keep_freed_memory()
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
with _muted():
    import keras
# Set here, not taken from a user's ~/.keras/keras.json: they change results.
keras.config.set_floatx("float32")
keras.config.set_epsilon(1e-7)
keras.config.set_image_data_format("channels_last")
# In a notebook TensorFlow would print that it traces each of several networks anew.
logging.getLogger("tensorflow").setLevel(logging.ERROR)


def set_threads(threads):
    """Limits the processor threads of this process; 0 leaves the backend's choice.

    Takes effect once: TensorFlow fixes its threads when it first computes.
    """
    if threads and keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        with contextlib.suppress(RuntimeError):  # it has computed already: the limit stands or not
            tf.config.threading.set_intra_op_parallelism_threads(threads)
            tf.config.threading.set_inter_op_parallelism_threads(threads)


def count_threads(threads):
    """Returns how many processor threads a training takes: all there are for 0.

    Elsewhere than on TensorFlow it always takes all. Sums over several threads round otherwise
    than on one, so their number changes results.
    """
    limited = threads and keras.backend.backend() == "tensorflow"
    return threads if limited else len(os.sched_getaffinity(0))


def processor():
    """Returns the kind of processor: the same seed gives other results on another one."""
    info = Path("/proc/cpuinfo")
    told = info.read_text() if info.exists() else ""
    name = re.search(r"^model name\s*:\s*(.+)$", told, re.MULTILINE)
    sets = [one for one in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if f" {one}" in told]
    return ", ".join([name.group(1) if name else platform.machine(), *sets[-1:]])


def devices(batch_size):
    """Returns the devices that share each batch of a training: as many in sight as divide it.

    Several only on JAX, whose Keras backend has data parallelism; elsewhere the default one.

    Args:
        batch_size: Images a batch.

    Returns:
        Names as `keras.distribution` takes them; empty for the backend's default device.
    """
    if keras.backend.backend() != "jax":
        return []
    seen = keras.distribution.list_devices()
    count = max(n for n in range(1, len(seen) + 1) if batch_size % n == 0)
    return seen[:count] if count > 1 else []


def shared(names):
    """Returns the context in which networks are made and trained on all of these devices."""
    return _distribution(tuple(names)).scope() if names else contextlib.nullcontext()


@functools.cache  # so that networks of one shape can be one network
def _distribution(names):
    return keras.distribution.DataParallel(devices=names)


def choose_precision(name):
    """Resolves the precision of training.

    Args:
        name: "float32", "bfloat16", or "auto": bfloat16 where the processor computes in it.

    Returns:
        "float32" or "bfloat16".

    Raises:
        InputError: Another name.
    """
    if name == "auto":
        flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
        return "bfloat16" if "avx512_bf16" in flags or "amx_bf16" in flags else "float32"
    if name not in PRECISIONS:
        raise InputError(f"unknown precision {name!r}: expected auto, {', '.join(PRECISIONS)}")
    return name
