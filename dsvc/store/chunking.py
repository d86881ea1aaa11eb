"""Storing a big blob: it is cut as it comes, and what is stored already is not stored again."""

from __future__ import annotations

import contextlib
from array import array
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from dsvc.errors import DamagedError, RefusedError
from dsvc.store.chunklist import ChunkList, list_id
from dsvc.store.cutting import Cutter
from dsvc.store.ids import Kind, ObjectId, blob_hasher, object_id

if TYPE_CHECKING:
    from dsvc.store.staging import Staging
    from dsvc.store.writer import ObjectWriter


def put_chunked(
    writer: ObjectWriter, staging: Staging, pieces: Iterable[bytes | memoryview], size: int
) -> tuple[ObjectId, ObjectId]:
    """Stage a blob of `size` bytes in chunks, and give its id and its list's. Raises RefusedError for another size.

    Nothing of it stays staged then, nor where the blob is stored whole, as a repository may have it from before.
    """
    own: list[ObjectId] = []
    staging.make_room(size)
    try:
        id, chunks = _stage_chunks(writer, pieces, size, own)
        payload = chunks.encode()
    except Exception:
        with contextlib.suppress(Exception):  # what went wrong first is what counts
            staging.forget(own)
        raise
    if not writer.has(id, Kind.BLOB) or _has_other_list(writer, id, payload):
        staging.put_list(id, size, payload)
    elif writer.chunk_list(id) is None:
        staging.forget(own)
    return id, list_id(payload)


def _has_other_list(writer: ObjectWriter, id: ObjectId, payload: bytes) -> bool:
    """Whether a list is stored under a blob's id that is not the right one: a blob has only one."""
    try:
        held = writer.chunk_list(id)
    except DamagedError:
        return True
    return held is not None and held.encode() != payload


def _stage_chunks(
    writer: ObjectWriter, pieces: Iterable[bytes | memoryview], size: int, own: list[ObjectId]
) -> tuple[ObjectId, ChunkList]:
    """Stage the chunks that are neither staged nor stored, and note them in `own`."""
    hasher, cutter = blob_hasher(), Cutter()
    ids, lengths, left = bytearray(), array("Q"), size

    def take(chunks: Iterator[bytes]) -> None:
        for data in chunks:
            id = object_id(Kind.BLOB, data)
            if not writer.has(id, Kind.BLOB):
                own.append(writer.put(Kind.BLOB, data, id))
            ids.extend(id)
            lengths.append(len(data))

    for piece in pieces:
        left -= len(piece)
        if left < 0:
            break
        hasher.update(piece)
        take(cutter.feed(piece))
    require_size(size, left)
    take(cutter.finish())
    return ObjectId(hasher.digest()), ChunkList(bytes(ids), lengths)


def require_size(size: int, left: int) -> None:
    """Raise RefusedError unless all `size` bytes of a blob came: `left` are missing, or too many where below 0."""
    if left:
        more = "more" if left < 0 else "fewer"
        raise RefusedError(
            f"a blob was announced with {size} bytes, but {more} came",
            "The file changed while it was read: run the command again.",
        )
