"""Frames: how one object lies in a pack.

2 bytes magic, 1 kind, 1 codec, 8 raw length, 8 stored length | payload | 32 object id, 8 XXH3-64 of all before
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import xxhash
import zstandard
from blake3 import blake3

from dsvc.errors import DamagedError
from dsvc.store.chunklist import ChunkList
from dsvc.store.ids import Kind, ObjectId, blob_hasher, context_of, object_id

FRAME_HEAD = struct.Struct(">2sBBQQ")
FRAME_TAIL = struct.Struct(">32sQ")
FRAME_OVERHEAD = FRAME_HEAD.size + FRAME_TAIL.size
FRAME_MAGIC = b"dF"
RAW = 0
ZSTD = 1
CHUNKED = 2  # the payload lists the chunks of a blob, which are objects of their own
MAX_COMPRESSED = 64 << 20  # a bigger object is stored raw, so that no frame can unfold into more
_PIECEWISE = 1 << 20  # bytes of a compressed blob from which on it is verified piece by piece
_LEVEL = 3
_SAMPLE = 16 << 10
_WORTH = 0.95  # a blob is compressed when that saves a twentieth: media that was compressed already never does
# How what is always compressed begins: JPEG, gzip, zstd, Ogg, FLAC, Matroska. (PNG and ZIP not always.)
_DENSE = (b"\xff\xd8\xff", b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"OggS", b"fLaC", b"\x1aE\xdf\xa3")
_DAMAGE_HINT = "see all that is damaged: dsvc check; mend it: dsvc check --repair"


class Entry(NamedTuple):
    """Where in its pack a frame lies, and what it holds."""

    offset: int
    stored: int
    raw: int
    kind: int
    codec: int

    @property
    def length(self) -> int:
        """The frame's bytes in the pack."""
        return self.stored + FRAME_OVERHEAD


class Packed(NamedTuple):
    """An object, verified, and the frame that holds it in some pack."""

    id: ObjectId
    entry: Entry
    frame: bytes
    data: bytes


class _Zstd(threading.local):
    """One compressor and one decompressor per thread: neither may be shared."""

    def __init__(self) -> None:
        self.compress = zstandard.ZstdCompressor(level=_LEVEL).compress
        self.decompress = zstandard.ZstdDecompressor().decompress


_zstd = _Zstd()


def is_dense(data: bytes) -> bool:
    """Whether a blob is compressed already, as its first bytes or a sample tell: then it is stored as it is.

    False for a small one, since compressing all of it costs no more than a sample.
    """
    size = len(data)
    if size <= _SAMPLE:
        return False
    if data.startswith(_DENSE) or data[4:8] == b"ftyp" or data[8:12] == b"WEBP":
        return True
    middle = (size - _SAMPLE) // 2
    sample = memoryview(data)[middle : middle + _SAMPLE]
    return len(_zstd.compress(sample)) > _SAMPLE * _WORTH


def squeeze(kind: int, data: bytes) -> tuple[int, bytes]:
    """The codec and payload to store `data` with: compressed where that helps."""
    size = len(data)
    if size > MAX_COMPRESSED:
        return RAW, data
    if kind != Kind.BLOB:
        packed = _zstd.compress(data)
        return (ZSTD, packed) if len(packed) < size else (RAW, data)
    packed = _zstd.compress(data)
    return (ZSTD, packed) if len(packed) <= size * _WORTH else (RAW, data)


def frame_parts(id: ObjectId, kind: int, codec: int, raw: int, payload: bytes) -> tuple[bytes, bytes, bytes]:
    """A frame as three pieces to be written one after the other."""
    head = FRAME_HEAD.pack(FRAME_MAGIC, kind, codec, raw, len(payload))
    check = xxhash.xxh3_64(head)
    check.update(payload)
    check.update(id)
    return head, payload, FRAME_TAIL.pack(id, check.intdigest())


def damaged(id: ObjectId, kind: int, where: str, why: str) -> DamagedError:
    """The error for an object that is not what was written."""
    name = Kind(kind).name.lower() if kind in _KINDS else f"kind {kind}"
    return DamagedError(f"{name} {id} in {where} is damaged: {why}", _DAMAGE_HINT)


_KINDS = frozenset(int(kind) for kind in Kind)
_STRUCTURE = frozenset(Kind) - {Kind.BLOB}


def check_frame_head(head: bytes, id: ObjectId, entry: Entry, where: str) -> None:
    """Raise DamagedError unless a frame's first bytes agree with what the index says of it."""
    if head != FRAME_HEAD.pack(FRAME_MAGIC, entry.kind, entry.codec, entry.raw, entry.stored):
        raise damaged(id, entry.kind, where, "its frame is not what the index says")


def check_frame(frame: bytes | memoryview, id: ObjectId, entry: Entry, where: str) -> memoryview:
    """The payload of a whole frame whose checksum was verified. Raises DamagedError."""
    if len(frame) != entry.length:
        raise damaged(id, entry.kind, where, "the pack ends too early")
    view = memoryview(frame)
    check_frame_head(bytes(view[: FRAME_HEAD.size]), id, entry, where)
    if view[-FRAME_TAIL.size :] != FRAME_TAIL.pack(id, xxhash.xxh3_64_intdigest(view[:-8])):
        raise damaged(id, entry.kind, where, "its checksum does not match")
    return view[FRAME_HEAD.size : -FRAME_TAIL.size]


def verify_frame(frame: memoryview, id: ObjectId, entry: Entry, where: str) -> None:
    """Verify the object in a frame against its id, without a copy where it lies raw. Raises DamagedError."""
    if entry.codec == ZSTD and entry.kind == Kind.BLOB and entry.raw > _PIECEWISE:
        _verify_piecewise(check_frame(frame, id, entry, where), id, entry, where)
    elif entry.codec != RAW or entry.raw != entry.stored or entry.kind not in _KINDS:
        open_frame(bytes(frame), id, entry, where)
    elif object_id(Kind(entry.kind), check_frame(frame, id, entry, where)) != id:
        raise damaged(id, entry.kind, where, "its bytes do not hash to its id")


def open_frame(frame: bytes, id: ObjectId, entry: Entry, where: str) -> bytes:
    """The object in a frame, verified against its id. Raises DamagedError.

    With codec CHUNKED it is the blob's list: well-formed, but whether it is the right one, only the chunks can tell.
    """
    payload = check_frame(frame, id, entry, where)
    data = unpack_payload(payload, id, entry, where)
    if entry.codec != CHUNKED and object_id(Kind(entry.kind), data) != id:
        raise damaged(id, entry.kind, where, "its bytes do not hash to its id")
    return data


def open_structure(data: bytes, start: int, frames: Iterable[tuple[ObjectId, Entry]]) -> Iterator[bytes | None]:
    """The objects in the frames of structure of a pack that `data` holds from `start` on, each verified as `open_frame`
    does; None for one that is not sound. One loop, since a clone spends its time here."""
    view, decompress, checksum = memoryview(data), _zstd.decompress, xxhash.xxh3_64_intdigest
    content_size, contexts = zstandard.frame_content_size, {int(kind): context_of(kind) for kind in _STRUCTURE}
    for id, (offset, stored, raw, kind, codec) in frames:
        at = offset - start
        body, end = at + FRAME_HEAD.size, at + FRAME_HEAD.size + stored + FRAME_TAIL.size
        payload, context = view[body : body + stored], contexts.get(kind)
        is_sound = (
            context is not None
            and raw <= MAX_COMPRESSED
            and data[at:body] == FRAME_HEAD.pack(FRAME_MAGIC, kind, codec, raw, stored)
            and data[body + stored : end] == FRAME_TAIL.pack(id, checksum(view[at : end - 8]))
        )
        found = None
        try:
            if is_sound and codec == ZSTD and content_size(payload) == raw:
                found = decompress(payload, allow_extra_data=False)
            elif is_sound and codec == RAW and raw == stored:
                found = bytes(payload)
        except zstandard.ZstdError:
            found = None
        if found is None or context is None or blake3(found, derive_key_context=context).digest() != id:
            found = None
        yield found


def unpack_payload(payload: memoryview, id: ObjectId, entry: Entry, where: str) -> bytes:
    """Undo the codec, within the length that the index promises. Raises DamagedError."""
    if entry.kind not in _KINDS:
        raise damaged(id, entry.kind, where, "its kind is unknown")
    if entry.codec == RAW and entry.raw == entry.stored:
        return bytes(payload)
    if entry.codec == CHUNKED:
        return _unpack_list(payload, id, entry, where)
    # The length is compared before anything of that size is allocated.
    if entry.codec != ZSTD or entry.raw > MAX_COMPRESSED or _content_size(payload) != entry.raw:
        raise damaged(id, entry.kind, where, "its lengths or its codec make no sense")
    try:
        data: bytes = _zstd.decompress(payload, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise damaged(id, entry.kind, where, "it cannot be decompressed") from error
    return data


def _verify_piecewise(payload: memoryview, id: ObjectId, entry: Entry, where: str) -> None:
    """Verify a compressed blob that is never whole in memory: a few bytes may unfold into many, in many threads."""
    hasher, size = blob_hasher(), 0
    if entry.raw > MAX_COMPRESSED or _content_size(payload) != entry.raw:
        raise damaged(id, entry.kind, where, "its lengths or its codec make no sense")
    try:
        for piece in zstandard.ZstdDecompressor().read_to_iter(payload):
            hasher.update(piece)
            size += len(piece)
    except zstandard.ZstdError as error:
        raise damaged(id, entry.kind, where, "it cannot be decompressed") from error
    if size != entry.raw or hasher.digest() != id:
        raise damaged(id, entry.kind, where, "its bytes do not hash to its id")


def _unpack_list(payload: memoryview, id: ObjectId, entry: Entry, where: str) -> bytes:
    data = bytes(payload)
    try:
        size = ChunkList.decode(data).size
    except DamagedError as error:
        raise damaged(id, entry.kind, where, error.message) from error
    if entry.kind != Kind.BLOB or size != entry.raw:
        raise damaged(id, entry.kind, where, "its chunks do not add up to its length")
    return data


def _content_size(payload: Any) -> int:
    try:
        return zstandard.frame_content_size(payload)
    except zstandard.ZstdError:
        return -1
