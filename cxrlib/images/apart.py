"""Decoding in a process of its own, whose memory and time are bounded.

A server holds the libraries and forks itself for every file, which takes milliseconds where a new
Python takes a third of a second. What a file breaks goes with its fork.
"""

import atexit
import contextlib
import errno
import json
import os
import resource
import selectors
import signal
import socket
import struct
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import numpy as np

from cxrlib.errors import InputError
from cxrlib.images import seen
from cxrlib.images.bounded import Bounded

MEMORY = 400e6
"""Bytes that decoding one image may take, beside the 90 MB of the libraries themselves."""

SECONDS = 60
"""Seconds of computing that decoding one image may take; a busy machine is not its fault."""

SECONDS_PASSED = 600
"""Seconds after which a decoder that gets nowhere is stopped."""

STARTED, LIMITED = b"started", b"limited"
"""First word of a decoder: within its own limit of memory, or within a lower one."""

LACK = "it cannot be decoded in the memory that is allowed here (`ulimit -v`)"

COMMAND = ("-P", "-c", "from cxrlib.images import decode; decode.serve()")
"""What the server's Python is told."""

_LINES, _PIECE = 2**16, 2**20
_LOCK = threading.Lock()
_server = None


def decode(file, notes):
    """Decodes an open file in a process of its own.

    The answer comes through a pipe: a word once the decoder has started, a line of facts, and the
    pixels. How the decoder ended comes through another.

    Args:
        file: The open file, a `Bounded`.
        notes: List to which a line is added where the file is not read as it stands.

    Returns:
        uint8 array (height, width) or (height, width, 3), RGB.

    Raises:
        OSError: The machine lacks what decoding takes.
        InputError: The file is damaged, or takes too long or too much memory.
    """
    answers, ends, place = os.pipe(), os.pipe(), file.raw.tell()
    try:
        _send(file.raw.fileno(), answers[1], ends[1])
        told, end = _heard(answers[0], ends[0])
    finally:
        os.close(answers[0])
        os.close(ends[0])
    file.raw.seek(place)  # which the decoder has moved
    state, line, *_ = (*told[:_LINES].split(b"\n", 2), b"", b"")
    start = len(state) + len(line) + 2
    facts = json.loads(line) if start <= len(told) else {}
    shape = facts.get("shape", (0,))
    whole = len(told) - start == np.prod(shape)
    if "refusal" in facts:
        raise InputError(facts["refusal"])
    if "lack" in facts:
        raise OSError(errno.ENOMEM, facts["lack"])
    status = struct.unpack("i", end)[0] if end else -signal.SIGKILL
    if status == 0 and whole:
        notes += facts["notes"]
        return np.frombuffer(told, np.uint8, offset=start).reshape(shape)
    if status in (-signal.SIGALRM, -signal.SIGXCPU):
        raise InputError("takes longer to decode than any radiograph: save it anew or drop its row")
    if not state or status in (-signal.SIGKILL, -signal.SIGTERM, -signal.SIGHUP):
        lack = "was stopped" if state else "could not start"
        raise OSError(errno.ENOMEM, f"its decoder {lack}, perhaps for want of memory: try again")
    if state == LIMITED:
        raise OSError(errno.ENOMEM, LACK)
    raise InputError(seen.unreadable(file))


def _heard(answer, end):
    """Reads two pipes until the second has said how the decoder ended.

    Their end is not waited for: another fork of this process may hold them open.

    Returns:
        What came through each: a bytearray, and 4 bytes, or none where the decoder's guard ended.
    """
    told = bytearray()
    os.set_blocking(answer, False)
    with selectors.DefaultSelector() as pipes:
        for pipe in (answer, end):
            pipes.register(pipe, selectors.EVENT_READ)
        while ready := {key.fd for key, _ in pipes.select(SECONDS_PASSED + 60)}:
            if answer in ready and not _drained(answer, told):
                pipes.unregister(answer)
            if end in ready:
                _drained(answer, told)
                return told, os.read(end, 4)
    return told, b""


def _drained(pipe, told):
    """Takes what is in a pipe now; returns whether more may come."""
    with contextlib.suppress(BlockingIOError):
        while part := os.read(pipe, _PIECE):
            told += part
        return False
    return True


def _send(file, answer, end):
    """Hands an open file and two pipes to the server, which is started where there is none."""
    global _server
    try:
        with _LOCK:
            if _server is None or _server[0].poll() is not None:
                _server = _start()
            with contextlib.suppress(ConnectionError):  # a server that ended: nothing is answered
                request = [struct.pack("d", SECONDS_PASSED)]
                socket.send_fds(_server[1], request, [file, answer, end])
    finally:
        os.close(answer)
        os.close(end)


def _start():
    """Starts a server in a session of its own, so that a Ctrl-C for this process leaves it."""
    ours, theirs = socket.socketpair()
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # each reserves memory
    with theirs:
        process = subprocess.Popen(
            [sys.executable, *COMMAND], env={**os.environ, **threads}, stdin=theirs,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
    return process, ours


@atexit.register
def stop():
    """Ends the server and what it decodes; the next file starts another."""
    global _server
    with _LOCK:
        if _server is not None:
            process, door = _server
            door.close()
            process.wait()
        _server = None


def _forget():
    """Leaves the server to the process that this one was forked from."""
    global _server, _LOCK
    if _server is not None:
        _server[1].close()  # so that the server sees the end of the process that it is for
    _server, _LOCK = None, threading.Lock()


os.register_at_fork(after_in_child=_forget)


# In the server


def serve(decoded):
    """Decodes what `decode` asks for until nobody asks any more, and ends what is not finished.

    Args:
        decoded: Function of an open file, a `Bounded`, and a list of notes that returns pixels.
    """
    door = socket.socket(fileno=sys.stdin.fileno())
    while True:
        request, handles, *_ = socket.recv_fds(door, struct.calcsize("d"), 3)
        if not request:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            os.killpg(0, signal.SIGTERM)
            _reap(0)
            return
        _forked(partial(_attend, decoded, *handles, *struct.unpack("d", request)))
        for handle in handles:
            os.close(handle)
        _reap(os.WNOHANG)


def _reap(options):
    """Waits for forks that have ended or, without options, for all of them."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, options)[0]:
            pass


def _forked(step):
    """Runs a step in a fork of this process; returns the fork's number."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        step()
        status = 0
    finally:
        os._exit(status)


def _attend(decoded, file, answer, end, seconds):
    """Has a file decoded in a fork, and says how that ended."""
    child = _forked(partial(_answer, decoded, file, answer, seconds))
    os.close(answer)
    _, status = os.waitpid(child, 0)
    os.write(end, struct.pack("i", os.waitstatus_to_exitcode(status)))


def _answer(decoded, handle, answer, seconds):
    """Decodes a file and writes what `decode` reads."""
    own = _limit()
    signal.setitimer(signal.ITIMER_REAL, seconds)  # ends this process
    os.write(answer, (STARTED if own else LIMITED) + b"\n")
    notes = []
    with open(answer, "wb") as pipe:  # noqa: PTH123
        try:
            with open(handle, "rb", buffering=0) as raw, Bounded(raw) as file:  # noqa: PTH123
                pixels = decoded(file, notes)
            facts = {"notes": notes, "shape": pixels.shape}
        except InputError as error:
            # Decoders call the want of memory damage, too: libtiff's, for one.
            short = not own and str(error).startswith(seen.UNREADABLE)
            facts = {"lack": LACK} if short else {"refusal": str(error)}
        except OSError as error:
            megabytes = int(MEMORY / 1e6)
            refusal = f"takes more than {megabytes} MB to decode: save it smaller or drop its row"
            ours = own and error.errno == errno.ENOMEM
            facts = {"refusal": refusal} if ours else {"lack": error.strerror}
        pipe.write(json.dumps(facts).encode() + b"\n")
        if "shape" in facts:
            pipe.write(pixels.data)


def _limit():
    """Limits memory and computing; returns whether no lower limit of memory holds already."""
    with contextlib.suppress(ValueError, OSError):  # where a lower limit holds already
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 5))
    taken = Path("/proc/self/statm")
    if not taken.exists():  # Linux; elsewhere the sizes that are checked must do
        return True
    limit = int(taken.read_text().split()[0]) * resource.getpagesize() + int(MEMORY)
    held = resource.getrlimit(resource.RLIMIT_AS)
    if held[0] != resource.RLIM_INFINITY and held[0] < limit:
        return False
    resource.setrlimit(resource.RLIMIT_AS, (limit, held[1]))
    return True
