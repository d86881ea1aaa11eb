"""A second process that encodes plain batches, for large files.

It is this module run as a program: it reads the file's tables and then batches from its standard input, and writes
what `read_plain` makes of each to its standard output. Without it, or when it dies, its work is done at home.
"""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import IO, Any

from msgpack import Packer, unpackb

from dsvc.formats.coco_plain import PlainBatch, Tables, read_plain

_LENGTH = struct.Struct("<Q")
# Text below this is encoded at home before a second process would have started.
WORTHWHILE = 32 << 20


class Worker:
    """A running worker. Use as a context; batches given to it come back as futures, one after the other."""

    def __init__(self, tables: Tables) -> None:
        self._thread = ThreadPoolExecutor(1, "coco-worker")
        self._process: subprocess.Popen[bytes] | None = None
        self._started = self._thread.submit(self._start, tables)

    def _start(self, tables: Tables) -> None:
        command = [sys.executable, "-I", "-c", _PROGRAM, os.pathsep.join(sys.path)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
        # Pairs, since a map's keys would have to be of one type.
        self._send(Packer().pack([list(tables.prefixes.items()), list(tables.concepts.items())]))

    def _send(self, data: bytes) -> None:
        assert self._process is not None and self._process.stdin is not None
        self._process.stdin.write(_LENGTH.pack(len(data)))
        self._process.stdin.write(data)
        self._process.stdin.flush()

    def submit(self, text: bytes) -> Future[PlainBatch | None]:
        """Have a batch encoded. None comes back for what is not plain, and where the worker has died."""
        return self._thread.submit(self._run, text)

    def _run(self, text: bytes) -> PlainBatch | None:
        try:
            self._started.result()
            self._send(text)
            assert self._process is not None and self._process.stdout is not None
            answer = _receive(self._process.stdout)
            fields = unpackb(answer, raw=False, use_list=False) if answer else None
            return PlainBatch(list(fields[0]), fields[1], fields[2]) if fields else None
        except (OSError, ValueError):
            return None

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown(cancel_futures=True)
        process = self._process
        if process is not None:
            process.kill()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with suppress(OSError):
                        pipe.close()
            process.wait()


# The importing process's search path, so that the worker finds the same packages wherever it was started from.
_PROGRAM = """
import os, sys
sys.path[:] = sys.argv[1].split(os.pathsep)
from dsvc.formats.coco_worker import main
main()
"""


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


def main() -> None:
    """Answer batches until the input ends."""
    source, out = os.fdopen(0, "rb"), os.fdopen(1, "wb")
    pack: Any = Packer(use_bin_type=True).pack
    try:
        prefixes, concepts = unpackb(_receive(source), raw=False, use_list=False)
        tables = Tables(dict(prefixes), dict(concepts))
        while True:
            found = read_plain(_receive(source), tables)
            answer = pack(found) if found is not None else pack(None)
            out.write(_LENGTH.pack(len(answer)) + answer)
            out.flush()
    except (ValueError, OSError, KeyboardInterrupt):
        pass
