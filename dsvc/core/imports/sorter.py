"""Sorting more entries than memory should hold: sorted runs on disk, merged when they are read."""

from __future__ import annotations

import gc
import heapq
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import IO, Any

from msgpack import Packer, Unpacker

from dsvc.store.files import refusing

RUN_BYTES = 640 << 20
# Comparing this alone is three times as fast as comparing pairs.
_FIRST = itemgetter(0)
# What a tuple and two bytes objects cost beside their contents.
_OVERHEAD = 150


@contextmanager
def many_objects() -> Iterator[None]:
    """Pause the search for cycles while many objects are made that stay, or it would look at each again and again."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


class Sorter:
    """Takes pairs of bytes in any order and gives them sorted. `folder` is where runs are spilled to."""

    def __init__(self, folder: Path | None = None, run_bytes: int = RUN_BYTES) -> None:
        self._folder = folder
        self._limit = run_bytes
        self._pairs: list[tuple[bytes, bytes]] = []
        self._size = 0
        self._runs: list[IO[bytes]] = []

    def extend(self, pairs: Iterable[tuple[bytes, bytes]]) -> None:
        """Take some more pairs. Raises RefusedError where there is no room for them."""
        before = len(self._pairs)
        self._pairs.extend(pairs)
        new = self._pairs[before:]
        self._size += sum(map(len, chain.from_iterable(new))) + _OVERHEAD * len(new)
        if self._size >= self._limit:
            self._spill()

    def _spill(self) -> None:
        self._pairs.sort(key=_FIRST)
        pack: Any = Packer(use_bin_type=True).pack
        with refusing(self._folder or Path(tempfile.gettempdir())):
            run: IO[bytes] = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115
            for pair in self._pairs:
                run.write(pack(pair))
            run.flush()
        self._runs.append(run)
        self._pairs, self._size = [], 0

    def sorted(self) -> Iterable[tuple[bytes, bytes]]:
        """All pairs in the order of their first halves; of equal ones all come, in any order."""
        self._pairs.sort(key=_FIRST)
        if not self._runs:
            return self._pairs
        runs: list[Iterator[tuple[bytes, bytes]]] = [iter(self._pairs)]
        for run in self._runs:
            run.seek(0)
            runs.append(map(tuple, Unpacker(run, raw=False, read_size=1 << 20)))
        return heapq.merge(*runs, key=_FIRST)

    def close(self) -> None:
        """Drop the runs."""
        for run in self._runs:
            run.close()
