"""A second process that writes inputs, for large exports.

It is this module run as a program: it reads the table of concepts and then pieces of stored records from a socket, and
answers each with what `QuickMapper` makes of it. Without it, or when it dies, its work is done at home.
"""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from itertools import chain

import msgspec

from dsvc.errors import DsvcError
from dsvc.formats.clarifai.build import Encoded, Mapper, Names
from dsvc.formats.clarifai.form import Form
from dsvc.formats.clarifai.quick import Piece, QuickMapper
from dsvc.formats.clarifai.text import Text
from dsvc.formats.clarifai.wire import Wire

# How many pieces the worker has at a time, and how many may wait for those before them.
AHEAD = 2
WAITING = 8
_LENGTH = struct.Struct("<Q")
_FORMS: dict[bytes, Form] = {form.mimetype: form for form in (Wire(), Text())}
_encode = msgspec.msgpack.Encoder().encode


class _Answer(msgspec.Struct, array_like=True, gc=False):
    inputs: list[Encoded]
    counts: dict[str, int]


_decode_answer = msgspec.msgpack.Decoder(_Answer | None).decode
_decode_tables = msgspec.msgpack.Decoder(tuple[bytes, Names]).decode
_decode_piece = msgspec.msgpack.Decoder(Piece).decode


def encode_shared(pieces: Iterator[Piece], quick: QuickMapper, names: Names) -> Iterator[Encoded]:
    """The inputs of all pieces, in order, with the help of a second process where there is a processor for it."""
    following = next(pieces, None)
    if following is None:
        return
    if os.name != "posix" or _processors() < 2:
        for piece in chain([following], pieces):
            yield from quick.encode(piece)
        return
    with Worker(quick.form, names) as worker:
        yield from _shared(chain([following], pieces), quick, worker)


def _shared(pieces: Iterator[Piece], quick: QuickMapper, worker: Worker) -> Iterator[Encoded]:
    waiting: deque[tuple[Piece, Future[_Answer | None]] | list[Encoded]] = deque()

    def first() -> Iterator[Encoded]:
        made = waiting.popleft()
        if isinstance(made, list):
            yield from made
        elif (answer := made[1].result()) is not None:
            quick.counts.update(answer.counts)
            yield from answer.inputs
        else:
            yield from quick.encode(made[0])

    for piece in pieces:
        if worker.free:
            waiting.append((piece, worker.submit(piece)))
        else:
            waiting.append(list(quick.encode(piece)))
        while waiting and (isinstance(waiting[0], list) or waiting[0][1].done() or len(waiting) > WAITING):
            yield from first()
    while waiting:
        yield from first()


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Worker:
    """A running worker. Use as a context; pieces given to it come back as futures, one after the other."""

    def __init__(self, form: Form, names: Names) -> None:
        self._sender = ThreadPoolExecutor(1, "clarifai-sender")
        self._receiver = ThreadPoolExecutor(1, "clarifai-receiver")
        self._process: subprocess.Popen[bytes] | None = None
        self._busy: deque[Future[_Answer | None]] = deque()
        self._dead = False
        self._socket, self._other = socket.socketpair()
        self._sender.submit(self._start, _encode((form.mimetype, names)))

    def _start(self, tables: bytes) -> None:
        with self._other as other:
            command = [sys.executable, "-I", "-c", _PROGRAM, os.pathsep.join(sys.path), str(other.fileno())]
            with suppress(OSError):
                self._process = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, pass_fds=[other.fileno()], start_new_session=True
                )
        self._give(tables)

    def _give(self, data: bytes) -> None:
        # Where the worker is gone, there is no answer either.
        with suppress(OSError):
            _send(self._socket, data)

    def _take(self) -> _Answer | None:
        if self._dead:
            return None
        try:
            answer: _Answer | None = _decode_answer(_receive(self._socket))
            return answer
        except (OSError, ValueError, msgspec.MsgspecError):
            self._dead = True
            return None

    @property
    def free(self) -> bool:
        """Whether it lives and has too little to do."""
        while self._busy and self._busy[0].done():
            self._busy.popleft()
        return not self._dead and len(self._busy) < AHEAD

    def submit(self, piece: Piece) -> Future[_Answer | None]:
        """Have a piece written. None comes back where the worker did not do it."""
        self._sender.submit(lambda: self._give(_encode(piece)))
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


# The importing process's search path, so that the worker finds the same packages wherever it was started from.
_PROGRAM = """
import os, sys
sys.path[:] = sys.argv[1].split(os.pathsep)
from dsvc.formats.clarifai.worker import main
main(int(sys.argv[2]))
"""


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


def main(number: int) -> None:
    """Answer pieces until the socket ends."""
    with socket.socket(fileno=number) as stream, suppress(OSError, ValueError, KeyboardInterrupt):
        kind, names = _decode_tables(_receive(stream))
        counts: Counter[str] = Counter()
        quick = QuickMapper(Mapper(_FORMS[kind], names, None, counts))
        while True:
            piece = _decode_piece(_receive(stream))
            try:
                answer = _Answer(list(quick.encode(piece)), dict(counts))
            except DsvcError:  # it is raised at home
                _send(stream, _encode(None))
                return
            counts.clear()
            _send(stream, _encode(answer))
