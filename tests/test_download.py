"""A download arrives whole or not at all, goes on after a cut, and failing says what to do."""

import contextlib
import errno
import hashlib
import io
import random
import shutil
import subprocess
import sys
import threading
import types
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from cxrlib.cohort import download
from cxrlib.errors import InputError

CONTENT = random.Random(1).randbytes(1_000_000)
DIGEST = hashlib.sha256(CONTENT).hexdigest()
CXR = Path(sys.executable).with_name("cxr")


@contextlib.contextmanager
def serving(answer):
    """Serves what a function writes to each request; gives the address and the headers."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):  # noqa: N802, the name that http.server calls
            asked.append(dict(self.headers))
            with contextlib.suppress(ConnectionError):
                answer(self, len(asked))

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/data.zip", asked
    finally:
        server.shutdown()
        server.server_close()


def send(request, body, status=200, claimed=None, **headers):
    """Sends a response that may claim another length than its own."""
    request.send_response(status)
    request.send_header("Content-Length", str(len(body) if claimed is None else claimed))
    for name, value in headers.items():
        request.send_header(name.replace("_", "-"), value)
    request.end_headers()
    request.wfile.write(body)


@pytest.fixture(autouse=True)
def direct(monkeypatch):
    """No proxy stands between the test and its own server, and no pause between attempts."""
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr("pooch.core.time", types.SimpleNamespace(sleep=lambda seconds: None))


def fetch(url, path, **options):
    return download.fetch(url, path, **options)


def failure(folder, url, **options):
    """Returns the line with which a download fails, and checks that it left nothing."""
    with pytest.raises(InputError) as caught:
        fetch(url, folder / "data.zip", **options)
    assert list(folder.iterdir()) == []
    assert url in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_file_arrives_whole_and_is_not_downloaded_twice(tmp_path):
    with serving(lambda request, _: send(request, CONTENT)) as (url, asked):
        for _ in range(2):
            path = fetch(url, tmp_path / "new" / "data.zip", sha256=DIGEST)
        assert len(asked) == 1
    assert path.read_bytes() == CONTENT
    assert [file.name for file in path.parent.iterdir()] == ["data.zip"]


def test_a_file_with_other_content_is_downloaded_again(tmp_path):
    (tmp_path / "data.zip").write_bytes(b"old")
    with serving(lambda request, _: send(request, CONTENT)) as (url, _):
        fetch(url, tmp_path / "data.zip", sha256=DIGEST)
    assert (tmp_path / "data.zip").read_bytes() == CONTENT


def test_a_server_that_cuts_at_the_same_place_for_ever_is_given_up(tmp_path):
    with serving(lambda r, _: send(r, CONTENT[:50_000], claimed=len(CONTENT))) as (url, asked):
        assert "cut again and again" in failure(tmp_path, url)
        assert len(asked) == download.ATTEMPTS


def test_a_download_that_was_cut_begins_anew(tmp_path):
    def answer(request, number):
        send(request, CONTENT[: None if number == 3 else 400_000], claimed=len(CONTENT))

    with serving(answer) as (url, asked):
        fetch(url, tmp_path / "data.zip")
        assert len(asked) == 3
    assert (tmp_path / "data.zip").read_bytes() == CONTENT


def redirect(request, target):
    request.send_response(302)
    if target is not None:
        request.send_header("Location", target)
    request.send_header("Content-Length", "0")
    request.end_headers()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (lambda r: send(r, b"0123456789", 206, Content_Range="bytes 0-9/50000"), "says 206"),
        (lambda r: send(r, b"", 204), "says 204"),
        (lambda r: send(r, b"", 203), "says 203"),
        (lambda r: redirect(r, None), "says 302"),
        (lambda r: redirect(r, "http://[::1"), "an address that is none"),
        (lambda r: redirect(r, "http://a..b:99999999/"), "an address that is none"),
        (lambda r: redirect(r, "file:///etc/passwd"), "an address that is none"),
        (lambda r: redirect(r, r.path), "no connection"),
        (lambda r: send(r, CONTENT, claimed="many"), "says that it is 'many' bytes long"),
        (lambda r: send(r, CONTENT, claimed="-5"), "says that it is '-5' bytes long"),
        (lambda r: send(r, CONTENT, claimed="²"), "bytes long"),
        (lambda r: r.wfile.write(b"no HTTP at all\r\n\r\n"), "no connection"),
    ],
)
def test_an_answer_that_is_not_the_whole_file_never_counts_as_one(tmp_path, answer, reason):
    with serving(lambda request, _: answer(request)) as (url, _):
        assert reason in failure(tmp_path, url)


def test_corrupt_content_is_refused(tmp_path):
    wrong = CONTENT[:-1] + b"?"
    with serving(lambda request, _: send(request, wrong)) as (url, _):
        assert "SHA-256" in failure(tmp_path, url, sha256=DIGEST)


@pytest.mark.parametrize("lie", [-10, 10])
def test_a_false_length_is_no_whole_file(tmp_path, lie):
    claimed = len(CONTENT) + lie
    with serving(lambda request, _: send(request, CONTENT, claimed=claimed)) as (url, _):
        failure(tmp_path, url, sha256=DIGEST)


def test_a_server_that_stalls_once_is_asked_for_the_rest(tmp_path):
    done = threading.Event()

    def answer(request, number):
        send(request, CONTENT[: 600_000 if number == 1 else None], claimed=len(CONTENT))
        if number == 1:
            done.wait()

    with serving(answer) as (url, asked):
        fetch(url, tmp_path / "data.zip", sha256=DIGEST, timeout=1)
        done.set()
    assert len(asked) == 2


def test_a_server_that_always_stalls_is_named(tmp_path, monkeypatch):
    asked = []

    def stall(url, **_):
        asked.append(url)
        raise requests.ReadTimeout("Read timed out. (read timeout=60)")  # its own words

    monkeypatch.setattr(requests, "get", stall)
    assert "stalled" in failure(tmp_path, "http://127.0.0.1/data.zip")
    assert len(asked) == download.ATTEMPTS


@pytest.mark.parametrize(("status", "attempts"), [(404, 1), (403, 1), (500, 5), (503, 5), (429, 5)])
def test_a_refusal_is_final_and_a_failure_of_the_server_is_not(tmp_path, status, attempts):
    with serving(lambda request, _: send(request, b"no", status)) as (url, asked):
        assert f"the server says {status}" in failure(tmp_path, url)
        assert len(asked) == attempts


def test_a_server_that_fails_once_is_asked_again(tmp_path):
    def answer(request, number):
        send(request, b"busy", 503) if number < 4 else send(request, CONTENT)

    with serving(answer) as (url, _):
        fetch(url, tmp_path / "data.zip", sha256=DIGEST)


def test_without_a_network_it_says_so(tmp_path):
    with serving(lambda *_: None) as (url, _):
        pass  # the server is gone again
    assert "no connection" in failure(tmp_path, url)


def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch):
    def full(*args, **how):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(requests.Response, "iter_content", full)
    with serving(lambda request, _: send(request, CONTENT)) as (url, asked):
        with pytest.raises(OSError, match=r"No space left.*data\.zip"):
            fetch(url, tmp_path / "data.zip")
        assert len(asked) == 1
    assert list(tmp_path.iterdir()) == []


def test_no_bar_is_drawn_for_a_machine(tmp_path, capfd):
    with serving(lambda request, _: send(request, CONTENT)) as (url, _):
        fetch(url, tmp_path / "data.zip")
    assert capfd.readouterr() == ("", "")


# Archives


def zipped(members, compression=zipfile.ZIP_DEFLATED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


COLLECTION = {"repo-cec70df/metadata.csv": "filename\na.png\n", "repo-cec70df/images/a.png": "x"}


def test_an_archive_is_unpacked_without_the_folder_around_it(tmp_path):
    (tmp_path / "a.zip").write_bytes(zipped(COLLECTION))
    folder = download.unpack(tmp_path / "a.zip", tmp_path / "out")
    assert (folder / "metadata.csv").read_text() == "filename\na.png\n"
    assert (folder / "images" / "a.png").read_text() == "x"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zip", "out"]


@pytest.mark.parametrize("name", ["../evil", "/tmp/evil", "a/../../evil", "a/b/../../../evil"])
def test_an_archive_that_would_leave_the_folder_is_refused(tmp_path, name):
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "a.zip").write_bytes(zipped({"good": "x", name: "x"}))
    with pytest.raises(InputError, match="not to be trusted"):
        download.unpack(inner / "a.zip", inner / "out")
    assert [path.name for path in tmp_path.rglob("*")] == ["inner", "a.zip"]


@settings(max_examples=150, deadline=None)
@given(at=st.integers(0, 10_000), byte=st.integers(0, 255), cut=st.booleans())
def test_a_damaged_archive_is_unpacked_whole_or_not_at_all(tmp_path_factory, at, byte, cut):
    folder = tmp_path_factory.mktemp("zip")
    members = {f"images/{i}.png": CONTENT[:700] for i in range(3)} | {"metadata.csv": "filename"}
    content = bytearray(zipped(members))
    at %= len(content)
    content[at:] = b"" if cut else bytes([byte]) + content[at + 1 :]
    (folder / "a.zip").write_bytes(content)
    try:
        out = download.unpack(folder / "a.zip", folder / "out")
        assert len([path for path in out.rglob("*") if path.is_file()]) <= 4
    except (InputError, OSError) as error:
        assert "a.zip" in str(error)
        assert [path.name for path in folder.iterdir()] == ["a.zip"]
    finally:
        shutil.rmtree(folder)


def test_a_disk_that_fills_while_unpacking_leaves_nothing(tmp_path, monkeypatch):
    (tmp_path / "a.zip").write_bytes(zipped(COLLECTION))

    def full(self, folder):
        (Path(folder) / "half").write_text("x")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(zipfile.ZipFile, "extractall", full)
    with pytest.raises(OSError, match="No space left"):
        download.unpack(tmp_path / "a.zip", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


# Datasets


def seen(folder):
    """Returns what lies in a folder, locks aside."""
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".lock"))


@pytest.fixture
def cohen(monkeypatch):
    """Lets the collection come from a server of the test's own; gives the answers to script."""
    answers = []
    with serving(lambda request, _: answers.pop(0)(request)) as (url, asked):
        real = download.fetch
        monkeypatch.setattr(download, "fetch", lambda _, path: real(url, path))
        yield answers, asked


def test_cohens_collection_is_had_once(tmp_path, cohen):
    answers, asked = cohen
    answers.append(lambda request: send(request, zipped(COLLECTION)))
    folder = tmp_path / "data" / "covid"
    assert download.get("covid-chestxray", folder) == (folder, False)
    assert download.get("covid-chestxray", folder) == (folder, True)
    assert len(asked) == 1
    assert (folder / "images" / "a.png").exists()
    assert seen(folder.parent) == ["covid"]


def test_what_a_killed_download_left_is_cleared_away(tmp_path, cohen):
    cohen[0].append(lambda request: send(request, zipped(COLLECTION)))
    (tmp_path / ".covid.part").mkdir()
    (tmp_path / ".covid.part" / "half.zip").write_text("x")
    (tmp_path / "covid").mkdir()  # an empty folder is no obstacle
    folder, found = download.get("covid-chestxray", tmp_path / "covid")
    assert not found
    assert sorted(path.name for path in folder.iterdir()) == ["images", "metadata.csv"]
    assert seen(tmp_path) == ["covid"]


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (b"<html>moved</html>", 200, "damaged"),
        (zipped(COLLECTION)[:-30], 200, "damaged"),
        (zipped({"a/readme.md": "x", "a/b": "x"}), 200, "holds no metadata.csv"),
        (b"", 404, "404"),
    ],
)
def test_a_failed_download_says_what_to_do_by_hand(tmp_path, cohen, body, status, reason):
    cohen[0].append(lambda request: send(request, body, status))
    with pytest.raises(InputError, match=reason) as caught:
        download.get("covid-chestxray", tmp_path / "covid")
    line = str(caught.value)
    assert "\n" not in line
    assert "by hand: download https://github.com/ieee8023/covid-chestxray-dataset" in line
    assert line.endswith(f"unpack it in {tmp_path / 'covid'}")
    assert seen(tmp_path) == []


def test_a_folder_with_other_things_in_it_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("x")
    with pytest.raises(InputError, match="holds something other"):
        download.get("covid-chestxray", tmp_path)
    with pytest.raises(InputError, match="holds something other"):
        download.get("covid-chestxray", tmp_path / "thesis.txt")
    assert (tmp_path / "thesis.txt").read_text() == "x"


def test_the_commit_that_is_had_is_fixed():
    assert len(download.COHEN) == 40
    assert download.COHEN in download.DATASETS["covid-chestxray"].page


@pytest.fixture
def kaggle(monkeypatch):
    """Puts a module of our own in kagglehub's place, for one step of a test."""

    def pretend(step):
        module = types.SimpleNamespace(dataset_download=step)
        monkeypatch.setitem(sys.modules, "kagglehub", module)

    return pretend


def test_coronahack_comes_by_kaggles_own_client(tmp_path, kaggle):
    def give(handle, output_dir):
        assert handle == "praveengovi/coronahack-chest-xraydataset"
        Path(output_dir).mkdir(parents=True)
        (Path(output_dir) / "Chest_xray_Corona_Metadata.csv").write_text("x")
        return output_dir

    kaggle(give)
    assert download.get("coronahack", tmp_path / "here") == (tmp_path / "here", False)
    assert seen(tmp_path / "here") == ["Chest_xray_Corona_Metadata.csv"]
    assert download.get("coronahack", tmp_path / "here") == (tmp_path / "here", True)


@pytest.mark.parametrize(
    "error",
    [
        requests.HTTPError("401 Client Error.\n\nYou don't have permission to access resource"),
        requests.ConnectionError("no route to host"),
        RuntimeError("User is not authenticated"),
    ],
)
def test_without_kaggle_credentials_or_network_it_says_what_to_do(tmp_path, kaggle, error):
    def refuse(handle, output_dir):
        Path(output_dir).mkdir(parents=True)
        (Path(output_dir) / "half").write_text("x")
        raise error

    kaggle(refuse)
    with pytest.raises(InputError) as caught:
        download.get("coronahack", tmp_path / "here")
    line = str(caught.value)
    assert "\n" not in line
    assert "Kaggle token" in line
    assert "by hand: download https://www.kaggle.com/datasets/praveengovi/" in line
    assert line.endswith(f"unpack it in {tmp_path / 'here'}")
    assert seen(tmp_path) == []


def test_a_full_disk_under_kaggles_client_leaves_nothing(tmp_path, kaggle):
    def fill(handle, output_dir):
        Path(output_dir).mkdir(parents=True)
        raise OSError(errno.ENOSPC, "No space left on device")

    kaggle(fill)
    with pytest.raises(OSError, match="No space left"):
        download.get("coronahack", tmp_path / "here")
    assert seen(tmp_path) == []


@pytest.mark.slow
def test_the_command_says_that_it_is_there_and_refuses_unknown_names(project):
    here = project / "data" / "coronahack"
    here.mkdir(parents=True)
    (here / "Chest_xray_Corona_Metadata.csv").write_text("x")

    def command(*arguments):
        found = subprocess.run([CXR, "data", "get", *arguments], capture_output=True, text=True)
        return found.returncode, found.stdout, found.stderr

    status, told, _ = command("coronahack")
    assert status == 0
    assert told == f"{here} holds it already\n"
    status, _, wrong = command("coronahak")
    assert status == 2
    assert wrong == "cxr: no dataset 'coronahak': expected one of coronahack, covid-chestxray\n"


def test_kaggles_client_takes_what_we_give_it():
    code = (
        "import inspect, kagglehub\n"
        "assert 'output_dir' in inspect.signature(kagglehub.dataset_download).parameters"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.slow
def test_importing_the_module_does_not_import_kaggles():
    code = "import sys, cxrlib.cohort.download\nassert 'kagglehub' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
