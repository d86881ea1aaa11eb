"""Packs: immutable files of many objects, with their own index at the end.

    8 bytes magic | frames | index: 16 nonce, 1 class, 4 count, (32 id, 4 offset)* by id | 8 index offset, 8 magic

Bytes between frames that no index names have no meaning: a big blob that turned out to be known leaves such gaps.
"""

from __future__ import annotations

import enum
import secrets
import struct
import threading
from collections.abc import Callable, Iterable, Iterator, Set
from dataclasses import dataclass

from dsvc.errors import CollectedError, DamagedError, NotFoundError, RefusedError
from dsvc.store.backend import Backend, Upload
from dsvc.store.cached import SMALL, begin, near
from dsvc.store.chunklist import MAX_LIST
from dsvc.store.frame import (
    CHUNKED,
    Entry,
    damaged,
    frame_parts,
    squeeze,
)
from dsvc.store.ids import PACK_CONTEXT, Kind, ObjectId, blob_hasher, derived_id

PACK_MAGIC = b"dsvcpack"
PACK_END = b"dsvcPEND"
PACK_HEAD = struct.Struct(">16sBI")
PACK_ROW = struct.Struct(">32sI")
PACK_FOOT = struct.Struct(">Q8s")
PACK_TARGET = 64 << 20
PIECE = 1 << 20
_BUFFER = 1 << 16  # bigger writes measured slower: the kernel takes bigger, colder pages for them


Frames = list[tuple[ObjectId, Entry]]
HISTORY_KINDS = frozenset((Kind.SNAPSHOT, Kind.COMMIT, Kind.OPERATION))


class PackClass(enum.IntEnum):
    """Media lies apart from structure, so that a clone can take structure alone, and history apart from both, so that
    a log is read in few pieces.

    History is commits, snapshots, operations and the nodes of views. A history pack may hold other structure too, but
    never media.
    """

    STRUCTURE = 0
    MEDIA = 1
    HISTORY = 2

    @classmethod
    def of(cls, kind: int) -> PackClass:
        """The class of packs that objects of `kind` go to."""
        if kind in HISTORY_KINDS:
            return cls.HISTORY
        return cls.MEDIA if kind == Kind.BLOB else cls.STRUCTURE


@dataclass(frozen=True)
class PackInfo:
    """One pack: its id, its file's byte size, its class."""

    id: ObjectId
    size: int
    pack_class: PackClass

    @property
    def name(self) -> str:
        """Its file name."""
        return pack_name(self.id)


def pack_name(id: ObjectId) -> str:
    """The file name of a pack."""
    return f"packs/{id}"


class PackWriter:
    """A pack that grows at its end, and whose frames can be read back at any time.

    One thread may append while others read.
    """

    def __init__(self, backend: Backend, pack_class: PackClass, nonce: bytes | None = None) -> None:
        self.pack_class = pack_class
        self.info: PackInfo | None = None
        self.size = 0
        # Two writers that pack the same objects must not share a file: one may delete it after a merge.
        self._nonce = secrets.token_bytes(16) if nonce is None else nonce
        self._backend = backend
        self._upload: Upload | None = None  # begun when the buffer is full: what is small may go elsewhere
        self._lock = threading.Lock()
        # One buffer for the pack's life: joining many frames in fresh memory costs more than hashing them.
        self._buffer = memoryview(bytearray(_BUFFER))
        self._buffered = 0
        self._failed = False
        self._rows: list[tuple[ObjectId, int]] = []
        self._write(PACK_MAGIC)

    @property
    def full(self) -> bool:
        """Whether it is time to close this pack."""
        return self.size >= PACK_TARGET

    @property
    def is_held(self) -> bool:
        """Whether all of it is in memory still, which is at most 64 KiB."""
        return self._upload is None

    @property
    def ids(self) -> list[ObjectId]:
        """The ids of its objects, in the order of their frames."""
        return [id for id, _ in self._rows]

    def append(self, id: ObjectId, kind: int, data: bytes) -> Entry:
        """Add one object, compressed when that helps."""
        return self.append_packed(id, kind, len(data), *squeeze(kind, data))

    def append_packed(self, id: ObjectId, kind: int, size: int, codec: int, payload: bytes) -> Entry:
        """Add one object of `size` bytes whose payload is made."""
        parts = frame_parts(id, kind, codec, size, payload)
        with self._lock:
            entry = Entry(self.size, len(payload), size, kind, codec)
            self._write(*parts)
        self._rows.append((id, entry.offset))
        return entry

    def append_frame(self, id: ObjectId, entry: Entry, frame: bytes) -> Entry:
        """Add a verified frame of another pack as it is."""
        with self._lock:
            moved = entry._replace(offset=self.size)
            self._write(frame)
        self._rows.append((id, moved.offset))
        return moved

    def take_over(self, other: PackWriter) -> int:
        """Add all frames of a pack that is still in memory; returns by how much their offsets move."""
        assert other.is_held
        with self._lock:
            moved = self.size - len(PACK_MAGIC)
            self._write(other._buffer[len(PACK_MAGIC) : other._buffered])
        self._rows += [(id, offset + moved) for id, offset in other._rows]
        return moved

    def append_run(self, run: memoryview, rows: Iterable[tuple[ObjectId, Entry]]) -> list[tuple[ObjectId, Entry]]:
        """Add verified frames that lie one after the other, as they are; `rows` has where in the run each begins.

        Gives where each lies now.
        """
        with self._lock:
            start = self.size
            self._write(run)
        moved = [(id, Entry(start + at, stored, raw, kind, codec)) for id, (at, stored, raw, kind, codec) in rows]
        self._rows += [(id, entry.offset) for id, entry in moved]
        return moved

    def append_pieces(self, id: ObjectId, entry: Entry, pieces: Iterable[bytes]) -> Entry:
        """Add a frame of another pack as it is, piece by piece, whether it is whole or not."""
        moved = entry._replace(offset=self.size)
        for piece in pieces:
            with self._lock:
                self._write(piece)
        self._rows.append((id, moved.offset))
        return moved

    def unlist(self, ids: Set[ObjectId]) -> None:
        """Leave what was added of these objects as gaps."""
        self._rows = [row for row in self._rows if row[0] not in ids]

    def _write(self, *parts: bytes | memoryview) -> None:
        for part in parts:
            length = len(part)
            end = self._buffered + length
            if end > _BUFFER:
                self._flush()
                end = length
            if length > _BUFFER:
                self._send(part)
            else:
                self._buffer[self._buffered : end] = part
                self._buffered = end
            self.size += length

    def _flush(self) -> None:
        if self._buffered:
            self._send(self._buffer[: self._buffered])
            self._buffered = 0

    def _send(self, data: bytes | memoryview) -> None:
        """Write to the file, unless a write failed before: it may hold a part of that, and no offset would be right."""
        if self._failed:
            raise RefusedError("a pack could not be written", "Nothing was changed. Run the command again.")
        self._failed = True
        if self._upload is None:
            self._upload = begin(self._backend, PACK_TARGET if self.pack_class is PackClass.HISTORY else SMALL)
        self._upload.write(data)
        self._failed = False

    def read(self, offset: int, length: int) -> bytes:
        """Bytes of what was written so far."""
        with self._lock:
            if self._upload is None:
                return bytes(self._buffer[offset : min(offset + length, self._buffered)])
            if self.info is None:
                self._flush()
                return self._upload.read(offset, length)
        return self._backend.read(self.info.name, offset, length)

    def finish(self) -> PackInfo:
        """Write the index, and make the pack durable and visible."""
        with self._lock:
            start = self.size
            rows = sorted(self._rows)
            index = PACK_HEAD.pack(self._nonce, self.pack_class, len(rows)) + b"".join(
                PACK_ROW.pack(*row) for row in rows
            )
            self._write(index, PACK_FOOT.pack(start, PACK_END))
            self._flush()
            id = derived_id(PACK_CONTEXT, index)
            assert self._upload is not None  # flushed
            try:
                self._upload.finish(pack_name(id))
            except NotFoundError as error:  # where others collect with a grace that is too short for this writer
                message = f"what this command was writing was collected as left over: {error.message}"
                raise CollectedError(message, "Nothing was changed. Run the command again.") from error
            self.info = PackInfo(id, self.size, self.pack_class)
            return self.info

    def abort(self) -> None:
        """Drop the pack, unless it is finished."""
        if self._upload is not None:
            self._upload.abort()


def read_pack_index(backend: Backend, pack: PackInfo) -> list[tuple[ObjectId, int]]:
    """The ids and frame offsets of a pack, by id. Raises NotFoundError or DamagedError."""
    return pack_index(lambda at, length: backend.read(pack.name, at, length), backend.size(pack.name), pack)


def pack_index(read: Callable[[int, int], bytes], size: int, pack: PackInfo) -> list[tuple[ObjectId, int]]:
    """The ids and frame offsets of a pack of `size` bytes, which `read` gives by offset and length.

    Raises DamagedError.
    """
    where = f"pack {pack.id.short()}"
    least = len(PACK_MAGIC) + PACK_HEAD.size + PACK_FOOT.size
    if size != pack.size or size < least:
        raise DamagedError(f"{where} has {size} bytes, not {pack.size}")
    start, magic = PACK_FOOT.unpack(read(size - PACK_FOOT.size, PACK_FOOT.size))
    if magic != PACK_END or not len(PACK_MAGIC) <= start <= size - PACK_FOOT.size - PACK_HEAD.size:
        raise DamagedError(f"{where} is damaged: its end is not an end")
    index = read(start, size - PACK_FOOT.size - start)
    if derived_id(PACK_CONTEXT, index) != pack.id:
        raise DamagedError(f"{where} is damaged: its index does not hash to its id")
    if read(0, len(PACK_MAGIC)) != PACK_MAGIC:
        raise DamagedError(f"{where} is damaged: its beginning is no pack's")
    return _parse_index(index, pack, where)


def _parse_index(index: bytes, pack: PackInfo, where: str) -> list[tuple[ObjectId, int]]:
    _, pack_class, count = PACK_HEAD.unpack_from(index)
    if pack_class != pack.pack_class or len(index) != PACK_HEAD.size + count * PACK_ROW.size:
        raise DamagedError(f"{where} is malformed")
    return [(ObjectId(id), at) for id, at in PACK_ROW.iter_unpack(memoryview(index)[PACK_HEAD.size :])]


def split_history(frames: Frames) -> tuple[Frames, Frames]:
    """History, and the other structure that lies behind it: both in the order of their frames."""
    frames = sorted(frames, key=lambda frame: frame[1].offset)
    ends = [number for number, (_, entry) in enumerate(frames) if entry.kind in HISTORY_KINDS]
    end = ends[-1] + 1 if ends else 0
    return frames[:end], frames[end:]


def read_frame(backend: Backend, pack: PackInfo, id: ObjectId, entry: Entry) -> bytes:
    """A frame's bytes, not yet verified. Raises NotFoundError or DamagedError."""
    if entry.offset + entry.length > pack.size:
        raise damaged(id, entry.kind, f"pack {pack.id.short()}", "its frame lies beyond the pack's end")
    if entry.codec == CHUNKED and entry.stored > MAX_LIST:
        raise damaged(id, entry.kind, f"pack {pack.id.short()}", "its list of chunks is too long")
    if pack.pack_class is PackClass.MEDIA:
        return backend.read(pack.name, entry.offset, entry.length)
    return near(backend, pack.name, pack.size, entry.offset, entry.length)


def stream_payload(
    read: Callable[[int, int], bytes], size: int, id: ObjectId, where: str, most: int = PIECE
) -> Iterator[bytes]:
    """A blob of `size` bytes in pieces of at most `most`, which `read` fetches by offset and length.

    Raises DamagedError at the end when the whole does not hash to `id`.
    """
    hasher, at = blob_hasher(), 0
    while at < size:
        piece = read(at, min(most, size - at))
        if not piece:
            raise damaged(id, Kind.BLOB, where, "the pack ends too early")
        hasher.update(piece)
        at += len(piece)
        yield piece
    if hasher.digest() != id:
        raise damaged(id, Kind.BLOB, where, "its bytes do not hash to its id")
