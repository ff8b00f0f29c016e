"""The real radiographs, from where their owners keep them to a folder here.

A folder has its name only when everything is in it: a cut, a full disk or a killed process leaves
nothing that looks like a dataset.
"""

import errno
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pooch
import requests
from tqdm import tqdm
from urllib3.exceptions import HTTPError

from cxrlib import files
from cxrlib.errors import InputError, printable

ATTEMPTS = 5
"""Attempts before a download is given up."""

TIMEOUT = 30.0
"""Seconds without a byte after which a server counts as stalled."""

CHUNK = 2**14
LARGEST = 2**36
"""Bytes that a dataset's archive may unpack to."""

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


class _Refused(Exception):
    """An answer that another attempt would not better."""


def fetch(url, path, sha256=None, timeout=TIMEOUT):
    """Downloads a file, whole or not at all.

    Cuts, stalls and errors of the server are tried again, `ATTEMPTS` times in all, from the
    beginning: the archives that are had here cannot be gone on with from the middle.

    Args:
        url: What to download.
        path: Where to keep it; a file that is there, with the right content, is kept.
        sha256: Hexadecimal digest of the right content, where it is known.
        timeout: Seconds without a byte after which the server counts as stalled.

    Returns:
        `path`, which holds the whole content.

    Raises:
        InputError: It cannot be had: no network, the server refuses, or other content came.
        OSError: It cannot be written. Nothing is left behind.
    """
    path = Path(path)
    if path.is_file() and sha256 in (None, pooch.file_hash(path)):
        return path
    pooch.get_logger().setLevel("WARNING")
    with files.replacing(path) as temporary:
        name = temporary.name
        keeper = pooch.create(
            temporary.parent, "", registry={name: sha256}, urls={name: url},
            retry_if_failed=ATTEMPTS - 1,
        )  # fmt: skip
        bar = tqdm(desc=path.name, total=1, unit="B", unit_scale=True, disable=None)
        ask = pooch.HTTPDownloader(
            bar, CHUNK, timeout=timeout, hooks={"response": _look},
            headers={"Accept-Encoding": "identity"},
        )  # fmt: skip
        try:
            keeper.fetch(name, downloader=ask)
        except (_Refused, ValueError, requests.RequestException, HTTPError) as error:
            raise InputError(f"{url} cannot be had: {_reason(error)}") from error
        finally:
            bar.close()
    return path


def _look(response, **kwargs):
    """Refuses an answer that cannot be the whole file; pooch would take it for one.

    Raises:
        _Refused: The server does not want to give it, or gives something else.
        requests.HTTPError: The server has trouble of its own, which may pass.
    """
    status, said = response.status_code, f"{response.status_code} {response.reason}"
    if response.is_redirect:
        return
    if status >= 500 or status in (requests.codes.too_many, requests.codes.request_timeout):
        raise requests.HTTPError(f"the server says {said}", response=response)
    if status != requests.codes.ok:
        raise _Refused(f"the server says {said}")
    length = response.headers.get("Content-Length", "0")
    if not (length.isascii() and length.isdigit()):
        raise _Refused(f"the server says that it is {printable(length)[:40]!r} bytes long")


def _reason(error):
    if isinstance(error, (_Refused, requests.HTTPError)):
        return str(error)
    if "known hash" in str(error):
        return "it is not the file that is wanted: its SHA-256 differs"
    if isinstance(error, ValueError):
        return "the server sends on to an address that is none"
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
        with files.reading(archive), zipfile.ZipFile(archive) as members:
            files.refuse_odd(members, LARGEST)
            members.extractall(building)
        tops = list(building.iterdir())
        (tops[0] if len(tops) == 1 and tops[0].is_dir() else building).replace(folder)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return folder
