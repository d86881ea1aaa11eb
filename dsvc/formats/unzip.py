"""Reading a ZIP archive that somebody else may have made: all of it is checked before it is believed.

An entry is a view of the archive where it is stored, and of an unnamed file on disk where it is packed; it is never
whole in memory. What is unpacked is bounded by what the archive says, and what it says by what it can hold.
"""

from __future__ import annotations

import errno
import io
import mmap
import os
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dsvc.core.keys import display
from dsvc.errors import InvalidRecordsError, RefusedError
from dsvc.formats.container import check_entry_name

PIECE = 1 << 20
MAX_ENTRIES = 2_000_000
# Entries, and archives, that unpack to no more than this may be packed as tightly as they like.
HARMLESS = 64 << 20
# What text of annotations packs to is a tenth or a twentieth; what packs tighter than this was made to harm.
MAX_RATIO = 250
_LOCAL = struct.Struct("<IHHHHHIIIHH")
_AGAIN = "copy it, or export it, again"


class Archive:
    """The entries of a ZIP archive, by name, in its order. Raises InvalidRecordsError for what cannot be trusted."""

    def __init__(self, data: memoryview, name: str) -> None:
        self.name = name
        self._data = data
        try:
            with zipfile.ZipFile(_View(data)) as archive:
                found = archive.infolist()
                self._end = archive.start_dir
        except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error, EOFError, RuntimeError) as error:
            reason = str(error) or type(error).__name__
            raise self.refusal(f"is no ZIP archive, or is cut short or damaged ({reason})", _AGAIN) from None
        if len(found) > MAX_ENTRIES:
            raise self.refusal(f"has {len(found):,} entries, and {MAX_ENTRIES:,} are the most", _AGAIN)
        self.entries: dict[str, zipfile.ZipInfo] = {}
        for entry in found:
            self._check(entry)
        self._check_places()
        self._check_sizes()

    def refusal(self, what: str, hint: str | None = None, entry: str | None = None) -> InvalidRecordsError:
        """The error of an archive, or of one of its entries."""
        where = f"{self.name}: {display(entry)}" if entry is not None else self.name
        return InvalidRecordsError(f"{where} {what}", (), hint)

    # ---- before anything is read

    def _check(self, entry: zipfile.ZipInfo) -> None:
        name = entry.orig_filename
        is_folder = name.endswith("/")
        try:
            check_entry_name(name[:-1] if is_folder else name)
        except RefusedError:
            raise self.refusal(f"has an entry named {display(name)[:200]!r}, which would lie outside", _AGAIN) from None
        if is_folder:
            return
        if name in self.entries:
            raise self.refusal("is there twice", "keep one of the two", name)
        if entry.flag_bits & 0x1:
            raise self.refusal("is encrypted", "unpack it with its password, and import what was in it", name)
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            hint = "unpack it, and pack it again as plain ZIP (stored or deflated)"
            raise self.refusal(f"is packed by a method that is not known here ({entry.compress_type})", hint, name)
        if entry.compress_type == zipfile.ZIP_STORED and entry.file_size != entry.compress_size:
            raise self.refusal("says two sizes of itself", _AGAIN, name)
        self.entries[name] = entry

    def _check_places(self) -> None:
        """Refuse entries that lie one over the other, or beyond the archive."""
        end = 0
        for name, entry in sorted(self.entries.items(), key=lambda item: item[1].header_offset):
            if entry.header_offset < end:
                raise self.refusal("lies over another entry", _AGAIN, name)
            end = self._start(name) + entry.compress_size
            if end > self._end:
                raise self.refusal("is cut short: it ends beyond the archive", _AGAIN, name)

    def _check_sizes(self) -> None:
        size = packed = 0
        for name, entry in self.entries.items():
            size, packed = size + entry.file_size, packed + entry.compress_size
            self._check_ratio(entry.file_size, entry.compress_size, name)
        self._check_ratio(size, packed, None)

    def _check_ratio(self, size: int, packed: int, name: str | None) -> None:
        if size > HARMLESS and size > packed * MAX_RATIO:
            what = f"would unpack from {packed:,} bytes to {size:,}, as a ZIP bomb does"
            raise self.refusal(what, "unpack it yourself, if it is meant, and import what was in it", name)

    def _start(self, name: str) -> int:
        """Where an entry's bytes begin."""
        entry = self.entries[name]
        at = entry.header_offset
        header = bytes(self._data[at : at + _LOCAL.size])
        if len(header) < _LOCAL.size or header[:4] != b"PK\x03\x04":
            raise self.refusal("is not where the archive says that it is", _AGAIN, name)
        fields = _LOCAL.unpack(header)
        start = at + _LOCAL.size + int(fields[9]) + int(fields[10])
        spelled = bytes(self._data[at + _LOCAL.size : at + _LOCAL.size + int(fields[9])])
        if spelled not in (name.encode(), name.encode("cp437", "replace")):
            raise self.refusal("has another name where its bytes are", _AGAIN, name)
        return start

    # ---- reading

    @contextmanager
    def open(self, name: str) -> Iterator[memoryview]:
        """All bytes of an entry, checked. Raises InvalidRecordsError, and RefusedError where the disk is full."""
        entry, start = self.entries[name], self._start(name)
        raw = self._data[start : start + entry.compress_size]
        if entry.compress_type == zipfile.ZIP_STORED:
            self._check_sum(name, _checksum(raw))
            yield raw
            _forget(self._data, start, start + len(raw))
            return
        with tempfile.TemporaryFile() as file:
            with _disk(self.name):
                self._unpack(name, raw, file)
                file.flush()
            if not entry.file_size:
                yield memoryview(b"")
                return
            mapped = mmap.mmap(file.fileno(), entry.file_size, access=mmap.ACCESS_READ)
            view = memoryview(mapped)
            try:
                yield view
            finally:
                _release(view, mapped)

    def read(self, name: str, most: int) -> bytes:
        """The bytes of a small entry. Raises InvalidRecordsError, also where there are more than `most`."""
        if self.entries[name].file_size > most:
            raise self.refusal(f"has {self.entries[name].file_size:,} bytes", _AGAIN, name)
        with self.open(name) as view:
            return bytes(view)

    def extract(self, folder: Path) -> None:
        """Write all entries below a folder. Raises InvalidRecordsError, RefusedError."""
        for name, entry in self.entries.items():
            place, start = folder / name, self._start(name)
            raw = self._data[start : start + entry.compress_size]
            with _disk(self.name):
                place.parent.mkdir(parents=True, exist_ok=True)
                with place.open("xb") as file:
                    if entry.compress_type == zipfile.ZIP_STORED:
                        self._check_sum(name, _checksum(raw))
                        file.write(raw)
                    else:
                        self._unpack(name, raw, file)

    def _unpack(self, name: str, raw: memoryview, file: io.BufferedIOBase) -> None:  # type: ignore[override,unused-ignore]
        size = self.entries[name].file_size
        stream, checksum, written = zlib.decompressobj(-15), 0, 0
        try:
            for at in range(0, max(len(raw), 1), PIECE):
                left = bytes(raw[at : at + PIECE])
                while True:
                    piece = stream.decompress(left, PIECE)
                    written += len(piece)
                    if written > size:
                        raise self.refusal(f"is longer than the {size:,} bytes that it says", _AGAIN, name)
                    checksum = zlib.crc32(piece, checksum)
                    file.write(piece)
                    left = stream.unconsumed_tail
                    if not left and len(piece) < PIECE:
                        break
        except zlib.error as error:
            raise self.refusal(f"cannot be unpacked: {error}", _AGAIN, name) from None
        if written != size or not stream.eof:
            raise self.refusal(f"is cut short: it has {written:,} of {size:,} bytes", _AGAIN, name)
        self._check_sum(name, checksum)

    def _check_sum(self, name: str, checksum: int) -> None:
        if checksum != self.entries[name].CRC:
            raise self.refusal("is damaged: its checksum is wrong", _AGAIN, name)


def _checksum(raw: memoryview) -> int:
    checksum = 0
    for at in range(0, len(raw), PIECE):
        checksum = zlib.crc32(raw[at : at + PIECE], checksum)
    return checksum


def _forget(data: memoryview, start: int, end: int) -> None:
    """Let the pages of a mapped file go from memory; who reads them again has them read again."""
    if isinstance(data.obj, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        first = start // mmap.PAGESIZE * mmap.PAGESIZE
        with suppress(OSError, ValueError):
            data.obj.madvise(mmap.MADV_DONTNEED, first, end - first)


def _release(view: memoryview, mapped: mmap.mmap) -> None:
    try:
        view.release()
        mapped.close()
    except BufferError:  # an error is on its way, and its frames still hold views; the mapping goes when they do
        pass


@contextmanager
def _disk(name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        place = tempfile.gettempdir()
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            hint = f"make room in {place}, or set TMPDIR to a folder with more"
            raise RefusedError(f"{name} cannot be unpacked: the disk is full", hint) from error
        reason = os.strerror(error.errno) if error.errno else str(error)
        hint = f"unpack it yourself, and import what was in it; it was tried in {place}"
        raise RefusedError(f"{name} cannot be unpacked: {reason}", hint) from error


class _View(io.RawIOBase):
    """A mapped file as one that can be read and sought, for `zipfile`."""

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._at = 0

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = 0) -> int:
        at = offset + (0, self._at, len(self._data))[whence]
        if at < 0:
            raise OSError(errno.EINVAL, "before the beginning")
        self._at = at
        return at

    def read(self, size: int | None = -1, /) -> bytes:
        end = len(self._data) if size is None or size < 0 else self._at + size
        found = bytes(self._data[self._at : end])
        self._at += len(found)
        return found
