"""A second process that shares long work of a format: a pure function of bytes, applied to one request after another.

It runs this module: it reads a setup and then requests from its standard input, and writes the answers to its standard
output. Where it cannot start, or dies, its requests come back as None, and the work is done at home.
"""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from importlib import import_module
from typing import IO, TypeVar

T = TypeVar("T")
R = TypeVar("R")
_LENGTH = struct.Struct("<Q")
# Enough that the worker is never idle while the main process does one piece itself.
QUEUE = 3
# The calling process's search path, so that the worker finds the same packages wherever it was started from.
_PROGRAM = """
import os, sys
sys.path[:] = sys.argv[2].split(os.pathsep)
from dsvc.formats.worker import main
main(sys.argv[1])
"""


class Worker:
    """A running worker. `function`, "module:name", takes the setup and gives what turns a request into an answer."""

    def __init__(self, function: str, setup: bytes) -> None:
        self._thread = ThreadPoolExecutor(1, "dsvc-worker")
        self._process: subprocess.Popen[bytes] | None = None
        self._started = self._thread.submit(self._start, function, setup)

    def _start(self, function: str, setup: bytes) -> None:
        command = [sys.executable, "-I", "-c", _PROGRAM, function, os.pathsep.join(sys.path)]
        # A session of its own, so that Ctrl-C reaches the main process alone, which then ends the worker.
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
        self._send(setup)

    def _send(self, data: bytes) -> None:
        assert self._process is not None and self._process.stdin is not None
        self._process.stdin.write(_LENGTH.pack(len(data)))
        self._process.stdin.write(data)
        self._process.stdin.flush()

    def submit(self, request: bytes) -> Future[bytes | None]:
        """Have a request answered; None where the worker has died."""
        return self._thread.submit(self._run, request)

    def _run(self, request: bytes) -> bytes | None:
        try:
            self._started.result()
            self._send(request)
            assert self._process is not None and self._process.stdout is not None
            return _receive(self._process.stdout)
        except (OSError, ValueError):
            return None

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)
        process = self._process
        if process is not None:
            process.kill()
            self._thread.shutdown(wait=True)
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with suppress(OSError):
                        pipe.close()
            process.wait()


def share(
    worker: Worker,
    pieces: Iterable[T],
    request: Callable[[T], bytes | None],
    here: Callable[[T], list[R]],
    answered: Callable[[T, bytes], list[R]],
) -> Iterator[list[R]]:
    """Work done by two, in the order of the pieces. A piece whose `request` is None is done here."""
    waiting: deque[tuple[T, Future[bytes | None] | list[R]]] = deque()
    busy = 0

    def first() -> list[R]:
        nonlocal busy
        piece, result = waiting.popleft()
        if isinstance(result, list):
            return result
        answer = result.result()
        busy -= 1
        return here(piece) if answer is None else answered(piece, answer)

    for piece in pieces:
        while waiting and (isinstance(waiting[0][1], list) or waiting[0][1].done()):
            yield first()
        text = request(piece) if busy < QUEUE else None
        if text is not None:
            busy += 1
            waiting.append((piece, worker.submit(text)))
        else:
            waiting.append((piece, here(piece)))
    while waiting:
        yield first()


def worker_count() -> int:
    """How many processors there are beside this one's."""
    return max(0, len(os.sched_getaffinity(0)) - 1) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1) - 1


def _receive(stream: IO[bytes]) -> bytes:
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        raise ValueError("the other side is gone")
    (size,) = _LENGTH.unpack(head)
    data = stream.read(size)
    if len(data) < size:
        raise ValueError("the other side is gone")
    return data


def main(function: str) -> None:
    """Answer requests until the input ends."""
    source, out = os.fdopen(0, "rb"), os.fdopen(1, "wb")
    module, _, name = function.partition(":")
    try:
        answer = getattr(import_module(module), name)(_receive(source))
        while True:
            made = answer(_receive(source))
            out.write(_LENGTH.pack(len(made)))
            out.write(made)
            out.flush()
    except (ValueError, OSError, KeyboardInterrupt):
        pass
