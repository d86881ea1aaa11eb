"""A ZIP archive whose bytes depend on its entries alone: stored, with fixed times and permissions, streamed."""

from __future__ import annotations

import struct
import zlib
from typing import BinaryIO, NamedTuple

from dsvc.errors import RefusedError

_LIMIT32 = 0xFFFFFFFF
_LIMIT16 = 0xFFFF
_UNIX = 3 << 8
_MODE = 0o100644 << 16
_DATE = 1 << 5 | 1  # 1980-01-01, the first day that ZIP knows


class _Entry(NamedTuple):
    name: bytes
    flags: int
    checksum: int
    size: int
    offset: int
    zip64: bool


class ZipWriter:
    """Writes entries one after the other into a seekable file.

    An entry of known size has a plain header. One of unknown size, or beyond 4 GiB, has the ZIP64 form.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._entries: list[_Entry] = []
        self._at = 0
        self._name = b""
        self._expected: int | None = None
        self._start = 0
        self._size = 0
        self._checksum = 0

    def begin(self, name: str, size: int | None) -> None:
        """Begin an entry."""
        self._name = name.encode()
        if len(self._name) > _LIMIT16:
            raise RefusedError(f"a name is too long for a ZIP archive: {name[:60]!r}...")
        self._expected, self._start, self._size, self._checksum = size, self._at, 0, 0
        self._put(self._header(size or 0))

    def write(self, data: bytes) -> int:
        """Append to the entry."""
        self._checksum = zlib.crc32(data, self._checksum)
        self._size += len(data)
        self._put(data)
        return len(data)

    def end(self) -> None:
        """Complete the entry: its header gets the checksum and the size."""
        if self._expected is not None and self._expected != self._size:
            raise ValueError(f"entry {self._name!r} has {self._size} bytes, not {self._expected} as announced")
        header = self._header(self._size)
        self._file.seek(self._start)
        self._file.write(header)
        self._file.seek(self._at)
        wide = self._wide()
        self._entries.append(_Entry(self._name, self._flags(), self._checksum, self._size, self._start, wide))

    def close(self) -> None:
        """Write the directory; the file itself stays open."""
        start = self._at
        for entry in self._entries:
            self._put(_directory_entry(entry))
        size, count = self._at - start, len(self._entries)
        if count >= _LIMIT16 or size >= _LIMIT32 or start >= _LIMIT32:
            end = self._at
            self._put(struct.pack("<IQHHIIQQQQ", 0x06064B50, 44, _UNIX | 45, 45, 0, 0, count, count, size, start))
            self._put(struct.pack("<IIQI", 0x07064B50, 0, end, 1))
        low = min(count, _LIMIT16)
        self._put(struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, low, low, min(size, _LIMIT32), min(start, _LIMIT32), 0))

    def _put(self, data: bytes) -> None:
        self._file.write(data)
        self._at += len(data)

    def _flags(self) -> int:
        return 0 if self._name.isascii() else 0x800

    def _wide(self) -> bool:
        return self._expected is None or self._expected >= _LIMIT32

    def _header(self, size: int) -> bytes:
        wide = self._wide()
        shown = _LIMIT32 if wide else size
        extra = struct.pack("<HHQQ", 1, 16, size, size) if wide else b""
        fixed = struct.pack(
            "<IHHHHHIIIHH",
            *(0x04034B50, 45 if wide else 20, self._flags(), 0, 0, _DATE),
            *(self._checksum, shown, shown, len(self._name), len(extra)),
        )
        return fixed + self._name + extra


def _directory_entry(entry: _Entry) -> bytes:
    wide = []
    if entry.size >= _LIMIT32:
        wide += [entry.size, entry.size]
    if entry.offset >= _LIMIT32:
        wide.append(entry.offset)
    extra = struct.pack(f"<HH{len(wide)}Q", 1, 8 * len(wide), *wide) if wide else b""
    version = 45 if wide or entry.zip64 else 20
    size, offset = min(entry.size, _LIMIT32), min(entry.offset, _LIMIT32)
    fixed = struct.pack(
        "<IHHHHHHIIIHHHHHII",
        *(0x02014B50, _UNIX | version, version, entry.flags, 0, 0, _DATE, entry.checksum, size, size),
        *(len(entry.name), len(extra), 0, 0, 0, _MODE, offset),
    )
    return fixed + entry.name + extra
