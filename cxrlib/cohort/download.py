"""The real radiographs, from where their owners keep them to a folder here.

A folder has its name only when everything is in it: a cut, a full disk or a killed process leaves
nothing that looks like a dataset.
"""

import errno
import hashlib
import shutil
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import requests
from tqdm import tqdm

from cxrlib import files
from cxrlib.errors import InputError

ATTEMPTS = 5
"""Attempts in a row that may bring nothing new before a download is given up."""

TIMEOUT = 30.0
"""Seconds without a byte after which a server counts as stalled."""

PAUSE = 1.0
"""Seconds to wait after a cut; doubled with each attempt that brings nothing."""

CHUNK = 2**14
KAGGLE = "praveengovi/coronahack-chest-xraydataset"
COHEN = "cec70df07d40383581484c70bb6ada1e6a2fc077"
"""A commit after July 2020; its own README counts 654 frontal radiographs."""


@dataclass(frozen=True)
class Dataset:
    """Where a dataset is had.

    Attributes:
        metadata: Name of the file that tells that a folder holds it.
        page: Where a person can download it.
        bring: Function that puts it in or below a folder and gives the folder that holds it.
    """

    metadata: str
    page: str
    bring: Callable


def get(name, folder=None):
    """Downloads a dataset, unless it is there.

    Args:
        name: One of `DATASETS`.
        folder: Where it is to be; `data/NAME` in the study's folder by default.

    Returns:
        The folder, and whether it was there already.

    Raises:
        InputError: No such dataset, a folder that holds something else, or a download that failed;
            the message then says what to download by hand and where to put it.
        OSError: It cannot be written. Nothing is left behind.
    """
    if name not in DATASETS:
        raise InputError(f"no dataset {name!r}: expected one of {', '.join(DATASETS)}")
    dataset = DATASETS[name]
    folder = files.root() / "data" / name if folder is None else Path(folder)
    with files.locked(folder):
        if _holds(folder, dataset):
            return folder, True
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise InputError(
                f"{folder} holds something other than {name}: name a new folder or empty it"
            )
        building = _fresh(folder)
        try:
            brought = dataset.bring(building)
            if not _holds(brought, dataset):
                raise InputError(f"what was downloaded holds no {dataset.metadata}")
            brought.replace(folder)
        except InputError as error:
            raise InputError(
                f"{error}; by hand: download {dataset.page} and unpack it in {folder}"
            ) from error
        finally:
            shutil.rmtree(building, ignore_errors=True)
    return folder, False


def _holds(folder, dataset):
    return folder.is_dir() and next(folder.rglob(dataset.metadata), None) is not None


def _fresh(folder):
    """Makes an empty folder beside another, where it is filled before it is renamed."""
    building = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(building, ignore_errors=True)  # what a killed process left
    building.mkdir(parents=True)
    return building


def _from_kaggle(folder):
    """Downloads CoronaHack by Kaggle's own client, which finds the user's credentials."""
    try:
        import kagglehub

        kagglehub.dataset_download(KAGGLE, output_dir=str(folder / "coronahack"))
    except Exception as error:
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
            raise
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        if isinstance(error, requests.ConnectionError):
            reason = "there is no connection"
        raise InputError(
            f"Kaggle did not give {KAGGLE}: {reason}; it looks for your Kaggle token in "
            "~/.kaggle and KAGGLE_API_TOKEN"
        ) from error
    return folder / "coronahack"


def _from_cohen(folder):
    """Downloads Cohen et al.'s collection as it was at one commit."""
    repository = "https://codeload.github.com/ieee8023/covid-chestxray-dataset"
    archive = fetch(f"{repository}/zip/{COHEN}", folder / "covid-chestxray.zip")
    return unpack(archive, folder / "covid-chestxray")


DATASETS = {
    "coronahack": Dataset(
        "Chest_xray_Corona_Metadata.csv", f"https://www.kaggle.com/datasets/{KAGGLE}", _from_kaggle
    ),
    "covid-chestxray": Dataset(
        "metadata.csv",
        f"https://github.com/ieee8023/covid-chestxray-dataset/archive/{COHEN}.zip",
        _from_cohen,
    ),
}


def fetch(url, path, sha256=None, timeout=TIMEOUT, pause=PAUSE):
    """Downloads a file, going on where a cut stopped it.

    Where the server cannot go on from the middle, or the file there has changed, it begins anew.
    Cuts, stalls and errors of the server are tried again until `ATTEMPTS` in a row brought nothing
    new.

    Args:
        url: What to download.
        path: Where to keep it; a file that is there, with the right content, is kept.
        sha256: Hexadecimal digest of the right content, where it is known.
        timeout: Seconds without a byte after which the server counts as stalled.
        pause: Seconds to wait after a cut; doubled with each attempt that brings nothing.

    Returns:
        `path`, which holds the whole content.

    Raises:
        InputError: It cannot be had: no network, the server refuses, or other content came.
        OSError: It cannot be written. Nothing is left behind.
    """
    path = Path(path)
    if path.is_file() and sha256 in (None, _digest(path)):
        return path
    with files.replacing(path) as temporary:
        _receive(url, temporary, timeout, pause)
        if sha256 is not None and _digest(temporary) != sha256:
            raise InputError(f"{url} is not the file that is wanted: its SHA-256 differs")
    return path


def _digest(path):
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _receive(url, path, timeout, pause):
    """Writes what a URL holds to a file, attempt by attempt."""
    failures, most, version = 0, 0, None
    bar = tqdm(desc=path.name.lstrip("."), unit="B", unit_scale=True, disable=None)
    with bar, path.open("wb") as file:
        while True:
            try:
                with _ask(url, file.tell(), version, timeout) as response:
                    version = _version(response)
                    _append(response, file, bar)
                return
            except requests.RequestException as error:
                failures = 0 if file.tell() > most else failures + 1
                if failures >= ATTEMPTS or not _may_pass(error):
                    raise InputError(f"{url} cannot be had: {_reason(error)}") from error
            most = max(most, file.tell())
            time.sleep(pause * 2**failures)


def _ask(url, start, version, timeout):
    """Requests a URL from some byte on, if it still is the version that the first bytes are of."""
    headers = {"Accept-Encoding": "identity"}
    if start and version:
        headers |= {"Range": f"bytes={start}-", "If-Range": version}
    response = requests.get(url, headers=headers, stream=True, timeout=timeout)
    response.raise_for_status()
    return response


def _version(response):
    """Returns what tells this version of a file from others, or None."""
    tag = response.headers.get("ETag", "")
    return tag if tag.startswith('"') else response.headers.get("Last-Modified")


def _append(response, file, bar):
    """Writes a response where it belongs: after what is there or, if it is the whole, anew."""
    if response.status_code != requests.codes.partial_content:
        file.seek(0)
        file.truncate()
    elif not response.headers.get("Content-Range", "").startswith(f"bytes {file.tell()}-"):
        raise requests.RequestException("another part than was asked for")
    bar.n = file.tell()
    bar.total = bar.n + int(response.headers.get("Content-Length", 0)) or None
    for chunk in response.iter_content(CHUNK):
        file.write(chunk)
        bar.update(len(chunk))


def _may_pass(error):
    """Returns whether to try again: a server that refuses will refuse again."""
    if not isinstance(error, requests.HTTPError):
        return True
    status = error.response.status_code
    return status >= 500 or status in (requests.codes.too_many, requests.codes.request_timeout)


def _reason(error):
    if isinstance(error, requests.HTTPError):
        return f"the server says {error.response.status_code} {error.response.reason}"
    if "timed out" in str(error):
        return "the server stalled"
    return "there is no connection, or it was cut again and again"


def unpack(archive, folder):
    """Unpacks a zip archive, whole or not at all.

    A folder at its top that holds all the rest, as GitHub adds it, is left out.

    Args:
        archive: The zip file.
        folder: Where its content is to be; a new folder.

    Returns:
        `folder`.

    Raises:
        InputError: The archive is damaged, or a member of it would leave the folder.
        OSError: It cannot be written. Nothing is left behind.
    """
    building = _fresh(folder)
    try:
        with zipfile.ZipFile(archive) as members:
            for name in members.namelist():
                if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
                    raise InputError(f"{archive} is not to be trusted: it holds {name!r}")
            members.extractall(building)
        tops = list(building.iterdir())
        (tops[0] if len(tops) == 1 and tops[0].is_dir() else building).replace(folder)
    except Exception as error:  # a damaged archive raises anything, also a seek to before its start
        of_disk = isinstance(error, OSError) and error.errno != errno.EINVAL
        if of_disk or isinstance(error, InputError):
            raise
        raise InputError(f"{archive} is damaged: delete it and get it again") from error
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return folder
