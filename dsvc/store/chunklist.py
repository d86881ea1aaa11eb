"""The list of a big blob's chunks: what the frame under the blob's own id holds."""

from __future__ import annotations

import struct
import sys
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from functools import cached_property
from itertools import accumulate
from typing import NamedTuple

from dsvc.errors import DamagedError, RefusedError
from dsvc.store import codec
from dsvc.store.cutting import BIG, MAX_CHUNK
from dsvc.store.ids import CHUNKS_CONTEXT, ObjectId, derived_id

MAX_CHUNKS = 1_500_000
MAX_LIST = 64 << 20  # bytes: more than a list of so many takes
_SIZE = ObjectId.SIZE
_IDS, _LENGTHS = b"\x82\xa3ids", b"\xa7lengths"  # how the encoding begins, and goes on
_WIDTHS = {b"\xc4": (1, 0), b"\xc5": (2, 1 << 8), b"\xc6": (4, 1 << 16)}  # of a byte string's length: bytes, the least


class Part(NamedTuple):
    """A chunk that covers some of a range: its id and length, and which of its bytes belong to the range."""

    id: ObjectId
    length: int
    start: int
    stop: int


class ChunkList:
    """A blob's chunks in their order: ids and lengths in bytes."""

    def __init__(self, ids: bytes, lengths: Iterable[int]) -> None:
        """`ids` are those of all chunks, one after the other."""
        self._ids = ids
        self._ends = array("Q", accumulate(lengths))

    @property
    def size(self) -> int:
        """The blob's byte size."""
        return self._ends[-1] if self._ends else 0

    def __len__(self) -> int:
        return len(self._ends)

    def ids(self) -> Iterator[ObjectId]:
        """The ids of the chunks, as often as they occur."""
        return (self._id(number) for number in range(len(self)))

    def _id(self, number: int) -> ObjectId:
        return ObjectId(self._ids[number * _SIZE : (number + 1) * _SIZE])

    def lengths(self) -> Iterator[int]:
        """The byte sizes of the chunks."""
        start = 0
        for end in self._ends:
            yield end - start
            start = end

    def parts(self, start: int = 0, length: int | None = None) -> Iterator[Part]:
        """The chunks that cover `length` bytes from `start`, or all that follow it; none beyond the blob's end."""
        stop = self.size if length is None else min(self.size, start + length)
        number = bisect_right(self._ends, start)
        while start < stop:
            begin, end = self._ends[number - 1] if number else 0, self._ends[number]
            yield Part(self._id(number), end - begin, start - begin, min(end, stop) - begin)
            start, number = end, number + 1

    def encode(self) -> bytes:
        """The bytes of the list. Raises RefusedError where it has more chunks than a list may have."""
        if len(self) > MAX_CHUNKS:
            raise RefusedError(
                f"a file of {self.size:,} bytes has more than {MAX_CHUNKS:,} chunks", "Split it into several files."
            )
        return codec.encode({"ids": self._ids, "lengths": struct.pack(f">{len(self)}I", *self.lengths())})

    @cached_property
    def id(self) -> ObjectId:
        """The list's own id, which an input records beside the blob's."""
        return list_id(self.encode())

    @classmethod
    def decode(cls, data: bytes | memoryview, what: str = "a list of chunks") -> ChunkList:
        """Read a list. Raises DamagedError, naming `what`, for one that no blob has."""
        if len(data) > MAX_LIST:
            raise DamagedError(f"{what} is too long")
        # Not by the codec, which would make objects of whatever else so many bytes may hold.
        ids, at = _bytes_after(_IDS, memoryview(data), 0, what)
        packed, at = _bytes_after(_LENGTHS, memoryview(data), at, what)
        if at != len(data):
            raise DamagedError(f"{what} is malformed")
        return cls(bytes(ids), _lengths(len(ids), packed, what))


def _bytes_after(key: bytes, data: memoryview, at: int, what: str) -> tuple[memoryview, int]:
    """The byte string that follows `key` in a canonical encoding, and where it ends."""
    at += len(key)
    width, least = _WIDTHS.get(bytes(data[at : at + 1]), (0, 0))
    size = int.from_bytes(data[at + 1 : at + 1 + width], "big")
    start = at + 1 + width
    if data[at - len(key) : at] != key or not width or size < least or start + size > len(data):
        raise DamagedError(f"{what} is malformed")
    return data[start : start + size], start + size


def _lengths(ids: int, packed: memoryview, what: str) -> array[int]:
    count, left = divmod(len(packed), 4)
    if left or ids != count * _SIZE or count > MAX_CHUNKS:
        raise DamagedError(f"{what} is malformed")
    lengths = array("I", packed.tobytes())
    if sys.byteorder == "little":
        lengths.byteswap()
    if count == 0 or min(lengths) == 0 or max(lengths) > MAX_CHUNK or sum(lengths) <= BIG:
        raise DamagedError(f"{what} has chunks of impossible lengths")
    return lengths


def list_id(data: bytes) -> ObjectId:
    """The id of an encoded list."""
    return derived_id(CHUNKS_CONTEXT, data)
