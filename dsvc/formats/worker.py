"""A second process that shares long work of a format: a pure function of bytes, applied to one request after another.

It runs this module: it reads a setup and then requests from a socket, and answers each. Where it cannot start, or dies,
its requests come back as None, and the work is done at home.
"""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from importlib import import_module
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")
Buffer = bytes | bytearray
_LENGTH = struct.Struct("<Q")
# How many requests the worker has at a time, so that it is never idle; and how many results may wait for their turn.
AHEAD = 2
WAITING = 8
# The calling process's search path, so that the worker finds the same packages wherever it was started from.
_PROGRAM = """
import os, sys
sys.path[:] = sys.argv[2].split(os.pathsep)
from dsvc.formats.worker import main
main(sys.argv[1], int(sys.argv[3]))
"""


class Worker:
    """A running worker. `function`, "module:name", takes the setup and gives what turns a request into an answer."""

    def __init__(self, function: str, setup: bytes) -> None:
        # Two threads, since the worker may be sent the next request while it answers this one.
        self._sender = ThreadPoolExecutor(1, "dsvc-sender")
        self._receiver = ThreadPoolExecutor(1, "dsvc-receiver")
        self._process: subprocess.Popen[bytes] | None = None
        self._busy: deque[Future[Buffer | None]] = deque()
        self._dead = False
        self._socket, self._other = socket.socketpair()
        self._sender.submit(self._start, function, setup)

    def _start(self, function: str, setup: bytes) -> None:
        with self._other as other:
            path = os.pathsep.join(sys.path)
            command = [sys.executable, "-I", "-c", _PROGRAM, function, path, str(other.fileno())]
            # A session of its own, so that Ctrl-C reaches the main process alone, which then ends the worker.
            with suppress(OSError):
                self._process = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, pass_fds=[other.fileno()], start_new_session=True
                )
        self._give(setup)

    def _give(self, data: bytes) -> None:
        # Where the worker is gone, there is no answer either.
        with suppress(OSError):
            _send(self._socket, data)

    def _take(self) -> Buffer | None:
        if self._dead:
            return None
        try:
            return _receive(self._socket)
        except (OSError, ValueError):
            self._dead = True
            return None

    @property
    def free(self) -> bool:
        """Whether it lives and has too little to do."""
        while self._busy and self._busy[0].done():
            self._busy.popleft()
        return not self._dead and len(self._busy) < AHEAD

    def submit(self, request: bytes) -> Future[Buffer | None]:
        """Have a request answered. None comes back where the worker did not do it."""
        self._sender.submit(self._give, request)
        self._busy.append(self._receiver.submit(self._take))
        return self._busy[-1]

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        # The threads end when the socket does.
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        for pool in (self._sender, self._receiver):
            pool.shutdown(cancel_futures=True)
        self._socket.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()


def share(
    worker: Worker,
    pieces: Iterable[T],
    request: Callable[[T], bytes | None],
    here: Callable[[T], list[R]],
    answered: Callable[[T, Buffer], list[R] | None],
) -> Iterator[list[R]]:
    """Work done by two, in the order of the pieces.

    A piece whose `request` is None is done here before the next one is taken; so is one whose answer makes None.
    """
    waiting: deque[tuple[T, Future[Buffer | None] | list[R]]] = deque()

    def first() -> list[R]:
        piece, result = waiting.popleft()
        if isinstance(result, list):
            return result
        answer = result.result()
        made = answered(piece, answer) if answer is not None else None
        return here(piece) if made is None else made

    def is_ready(result: Future[Buffer | None] | list[R]) -> bool:
        return isinstance(result, list) or result.done()

    for piece in pieces:
        text = request(piece) if worker.free else None
        waiting.append((piece, here(piece) if text is None else worker.submit(text)))
        while waiting and (is_ready(waiting[0][1]) or len(waiting) > WAITING):
            yield first()
    while waiting:
        yield first()


def worker_count() -> int:
    """How many processors there are beside this one's; 0 where a worker cannot be given a socket."""
    if os.name != "posix":
        return 0
    return (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1) - 1


def _send(stream: socket.socket, data: bytes) -> None:
    stream.sendall(_LENGTH.pack(len(data)))
    stream.sendall(data)


def _receive(stream: socket.socket) -> bytearray:
    (size,) = _LENGTH.unpack(_exactly(stream, _LENGTH.size))
    return _exactly(stream, size)


def _exactly(stream: socket.socket, size: int) -> bytearray:
    """So many bytes, mostly in one call, since after each call this thread waits until the other lets it run."""
    data = bytearray(size)
    left = memoryview(data)
    while left:
        count = stream.recv_into(left, len(left), socket.MSG_WAITALL)
        if not count:
            raise ValueError("the other side is gone")
        left = left[count:]
    return data


def main(function: str, number: int) -> None:
    """Answer requests until the socket ends. An error ends the worker; it is raised where the work is done again."""
    module, _, name = function.partition(":")
    with socket.socket(fileno=number) as stream, suppress(Exception, KeyboardInterrupt):
        answer = getattr(import_module(module), name)(_receive(stream))
        while True:
            _send(stream, answer(_receive(stream)))
