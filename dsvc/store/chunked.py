"""Reading blobs that lie in chunks: whole, in pieces, or a range of them. Every chunk is verified before it is used."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from dsvc.errors import DamagedError
from dsvc.store.chunklist import ChunkList, Part
from dsvc.store.ids import ObjectId, blob_hasher

# Gives a blob, verified, by its id and the most bytes that it may have; None where it has more.
Take = Callable[[ObjectId, int], bytes | None]
# Is told which chunks are read next.
Announce = Callable[[Sequence[ObjectId]], None]
_WINDOW = 32  # chunks that are announced at a time
_HINT = "see all that is damaged: dsvc check; mend it: dsvc check --repair"


def read_pieces(take: Take, id: ObjectId, chunks: ChunkList, ahead: Announce | None = None) -> Iterator[bytes]:
    """The chunks of a blob in order; raises DamagedError, at the end, if the whole does not hash to `id`."""
    hasher = blob_hasher()
    for part in _announced(chunks.parts(), ahead):
        data = read_chunk(take, id, part)
        hasher.update(data)
        yield data
    if hasher.digest() != id:
        raise wrong_list(id)


def read_range(
    take: Take, id: ObjectId, chunks: ChunkList, start: int, length: int, ahead: Announce | None = None
) -> bytes:
    """The bytes of a range, as the chunks that cover it hold them."""
    parts = _announced(chunks.parts(start, length), ahead)
    return b"".join(read_chunk(take, id, part)[part.start : part.stop] for part in parts)


def _announced(parts: Iterator[Part], ahead: Announce | None) -> Iterator[Part]:
    """The parts, which are announced some time before they come."""
    now: list[Part] = []
    while (coming := list(islice(parts, _WINDOW))) or now:
        if ahead is not None and coming:
            ahead([part.id for part in coming])
        yield from now
        now = coming


def read_chunk(take: Take, id: ObjectId, part: Part) -> bytes:
    """One chunk of a blob. Raises DamagedError where it is missing, damaged, or not as long as the list says."""
    try:
        data = take(part.id, part.length)
    except DamagedError as error:
        raise DamagedError(f"blob {id} is incomplete: {error.message}", error.hint) from error
    if data is None or len(data) != part.length:
        raise DamagedError(f"blob {id} is damaged: chunk {part.id} has another length than its list says", _HINT)
    return data


def wrong_list(id: ObjectId) -> DamagedError:
    """The error for a blob whose chunks are whole, but do not make up the blob."""
    return DamagedError(f"blob {id} is damaged: its chunks together do not hash to its id", _HINT)


def cut_range(pieces: Iterator[bytes], start: int, length: int) -> bytes:
    """A range of a blob that comes in pieces, all of which are read, so that the whole is verified."""
    kept, at = [], 0
    for piece in pieces:
        begin, end = max(0, start - at), start + length - at
        if begin < len(piece) and end > 0:
            kept.append(piece[begin:end])
        at += len(piece)
    return b"".join(kept)
