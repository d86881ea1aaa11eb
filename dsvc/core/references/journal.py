"""The journal of a long run: what it has found so far, so that a run that was broken off can go on.

A run has a file of its own in the cache folder, named after what it was asked. It is a line that says what it is,
and frames: length, XXH3 of the payload, payload. What is torn or damaged is passed over; losing a journal costs
time alone.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from struct import Struct
from time import monotonic
from types import TracebackType
from typing import Any, BinaryIO, Self

from xxhash import xxh3_64_intdigest

from dsvc.core.references.folders import Listing, Row
from dsvc.errors import DamagedError
from dsvc.store import codec

INTERVAL = 1.0  # seconds between two writes
AGE = 86400  # seconds: what is older may well have changed
MAGIC = b"dsvc journal 1\n"
_HEAD = Struct("<IQ")
_LISTED, _READ = 0, 1


class Journal:
    """What runs that were asked the same have found. A context: whatever ends it, what was noted is written.

    `listed` has listings by folder or prefix ("" for single places), `read` what was told by reading a place. Without
    a folder nothing is kept.
    """

    def __init__(self, folder: Path | None, asked: bytes, now: int) -> None:
        self.listed: dict[str, Listing] = {}
        self.read: dict[str, tuple[Any, ...]] = {}
        self._folder = folder
        self._name = f"references-{xxh3_64_intdigest(asked):016x}"
        self._now = now
        self._pending: list[tuple[Any, ...]] = []
        self._written = monotonic()
        self._file: BinaryIO | None = None
        self._path: Path | None = None
        self._earlier = self._find()
        self._load()

    def _find(self) -> list[Path]:
        """The journals of earlier runs of the same. Old ones, of whatever run, are removed."""
        found = []
        with contextlib.suppress(OSError):
            for path in sorted(self._folder.glob("references-*.journal")) if self._folder else ():
                if self._now - path.stat().st_mtime > AGE:
                    path.unlink()
                elif path.name.startswith(f"{self._name}-"):
                    found.append(path)
        return found

    def _load(self) -> None:
        rows: dict[str, dict[str, Row]] = {}
        ends: dict[str, tuple[list[str] | None, int]] = {}
        for frame in (frame for path in self._earlier for frame in _frames(path)):
            with contextlib.suppress(ValueError, TypeError, IndexError):
                moment, kind, *rest = frame
                if not 0 <= self._now - moment <= AGE:
                    continue
                if kind == _READ:
                    self.read.update((row[0], tuple(row[1:])) for row in rest[0])
                elif kind == _LISTED:
                    folder, found, inner, hidden = rest
                    known = rows.setdefault(folder, {})
                    known.update((name, (name, size, etag, mtime)) for name, size, etag, mtime in found)
                    before = ends.get(folder, (None, 0))
                    ends[folder] = (inner if inner is not None else before[0], max(hidden, before[1]))
        for folder, known in rows.items():
            self.listed[folder] = Listing(folder, list(known.values()), *ends[folder])

    def note_listed(self, listing: Listing) -> None:
        """Note what a folder or prefix was found to hold."""
        self._note((_LISTED, *listing))

    def note_read(self, rows: list[tuple[Any, ...]]) -> None:
        """Note what reading places told: the place, and whatever it is."""
        if rows:
            self._note((_READ, rows))

    def _note(self, entry: tuple[Any, ...]) -> None:
        self._pending.append(entry)
        if monotonic() - self._written > INTERVAL:
            self._write()

    def _write(self) -> None:
        self._written = monotonic()
        pending, self._pending = self._pending, []
        if self._folder is None or not pending:
            return
        payloads = [codec.pack((self._now, *entry)) for entry in pending]
        try:
            if self._file is None:
                self._folder.mkdir(parents=True, exist_ok=True)
                self._path = self._folder / f"{self._name}-{os.getpid()}-{secrets.token_hex(4)}.journal"
                self._file = self._path.open("xb")
                self._file.write(MAGIC)
            for payload in payloads:
                self._file.write(_HEAD.pack(len(payload), xxh3_64_intdigest(payload)) + payload)
            self._file.flush()
        except OSError:
            self._folder = None  # a full disk must not end a run that may need no room

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._write()
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
            self._file = None

    def remove(self) -> None:
        """Remove this journal and the earlier ones: what they hold is published."""
        for path in (*self._earlier, self._path):
            if path is not None:
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)


def _frames(path: Path) -> Iterator[list[Any]]:
    """The frames of a journal up to the first that is torn or damaged."""
    with contextlib.suppress(OSError, DamagedError):
        data = path.read_bytes()
        at = len(MAGIC) if data.startswith(MAGIC) else len(data)
        while at + _HEAD.size <= len(data):
            length, digest = _HEAD.unpack_from(data, at)
            at += _HEAD.size
            payload = data[at : at + length]
            if len(payload) != length or xxh3_64_intdigest(payload) != digest:
                return
            at += length
            yield codec.decode(payload, "a journal")
