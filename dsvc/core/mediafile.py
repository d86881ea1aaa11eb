"""Media as open files: read and seek in bytes that lie in the repository, without writing them anywhere."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterable
from typing import BinaryIO, cast

from dsvc.errors import DamagedError
from dsvc.model.records import Media
from dsvc.store.cutting import BIG
from dsvc.store.ids import Kind, ObjectId
from dsvc.store.objects import ObjectStore

_IN_MEMORY = 32 << 20  # bytes: more of what cannot be read in parts goes to a temporary file
_BUFFER = 64 << 10


def open_blob(store: ObjectStore, blob: ObjectId) -> BinaryIO:
    """A blob as a file: of a big one, the chunks are read, and verified, in which it is read. Raises DamagedError."""
    if store.blob_size(blob) <= BIG:
        return io.BytesIO(store.get(blob, Kind.BLOB))
    if store.chunk_list(blob) is None:
        return spooled(store.open_blob(blob))
    return io.BufferedReader(ChunkedFile(store, blob), _BUFFER)


def require_list(store: ObjectStore, media: Media) -> None:
    """Raise DamagedError where a blob's chunks are listed otherwise than its input says: of a part of them, nothing
    else would tell that they are this blob's."""
    if media.blob is None or media.chunks is None:
        return
    chunks = store.chunk_list(media.blob)
    if chunks is not None and chunks.id != media.chunks:
        raise DamagedError(f"blob {media.blob} has other chunks than its input says", "Run `dsvc check`.")


def spooled(pieces: Iterable[bytes]) -> BinaryIO:
    """Pieces as a file, which is temporary where they are many."""
    file = cast(BinaryIO, tempfile.SpooledTemporaryFile(_IN_MEMORY))  # noqa: SIM115 - the caller closes it
    for piece in pieces:
        file.write(piece)
    file.seek(0)
    return file


class ChunkedFile(io.RawIOBase):
    """A blob that lies in chunks, to be read anywhere; holds the last chunk that was read."""

    def __init__(self, store: ObjectStore, blob: ObjectId) -> None:
        super().__init__()
        self._store = store
        self._blob = blob
        self._size = store.blob_size(blob)
        self._at = 0
        self._start, self._chunk = 0, b""

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """Where it is read next."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move, and say where to. Raises ValueError before the beginning."""
        at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        if at < 0:
            raise ValueError(f"there is nothing before the beginning: {at}")
        self._at = at
        return at

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Fill a buffer as far as one chunk does. Raises DamagedError."""
        view = memoryview(buffer).cast("B")
        if not 0 <= self._at - self._start < len(self._chunk):
            self._load()
        begin = self._at - self._start
        data = self._chunk[begin : begin + len(view)]
        view[: len(data)] = data
        self._at += len(data)
        return len(data)

    def _load(self) -> None:
        """Read the chunk of the present place."""
        chunks = self._store.chunk_list(self._blob)
        part = next(chunks.parts(self._at, 1), None) if chunks is not None else None
        if part is None:
            self._start, self._chunk = self._at, b""
            return
        self._start = self._at - part.start
        self._chunk = self._store.read_blob(self._blob, self._start, part.length)
