"""Content-defined cutting: where a big blob is cut into chunks, by its content alone.

An edit moves the cuts near it and no others, so that two versions of a file share most of their chunks. The rule
belongs to the format (see docs/spec/format-v1.md): every writer MUST cut in the same places.

A cut needs two things of the bytes before it: a 16-bit rolling hash of the last 16 that equals `ROLLING_MATCH`, which
numpy finds for many places at once, and an XXH3 of the last 64 under a bound, looked at in those places alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import xxhash

if TYPE_CHECKING:
    from numpy.typing import NDArray

BIG = 16 << 20  # bytes: a bigger blob is stored in chunks
MIN_CHUNK = 256 << 10
NORMAL_CHUNK = 768 << 10
MAX_CHUNK = 4 << 20
WINDOW = 64  # bytes before a cut that the second hash sees
ROLLING_MATCH = 0x5C3A
STRICT = 1 << 58  # the bound of XXH3 before `NORMAL_CHUNK` bytes: one match in 64
EASY = 1 << 62  # and from there on: one in 4
_FACTORS = (0x9E37, 0xB1C5)
_FOLD = 7
_ROLLED = 16  # bytes that the rolling hash sees, since it has 16 bits
_AT_ONCE = 128 << 10  # places looked at in one go: their arrays fit a processor's cache


def rolling_table() -> list[int]:
    """What each byte adds to the rolling hash: a 16-bit number for each of 256."""
    first, second = _FACTORS
    mixed = [byte * first & 0xFFFF for byte in range(256)]
    return [(x ^ x >> _FOLD) * second & 0xFFFF for x in mixed]


class Cutter:
    """Cuts one blob, which comes in pieces of any size, into its chunks. Holds little more than a chunk of it."""

    def __init__(self) -> None:
        self._held = bytearray()  # what follows the last cut
        self._seen = MIN_CHUNK - 1  # of that, the first byte after which a cut was not looked for
        self._scan = _Scan()

    def feed(self, piece: bytes | memoryview) -> Iterator[bytes]:
        """The chunks that end within `piece`; it has to be used up before more comes."""
        view = memoryview(piece)
        for at in range(0, len(view), _AT_ONCE):
            self._held += view[at : at + _AT_ONCE]
            if len(self._held) >= self._seen + _AT_ONCE:
                yield from self._chunks()

    def finish(self) -> Iterator[bytes]:
        """The chunks that are left: the last one may be shorter than all others."""
        yield from self._chunks()
        if self._held:
            yield bytes(self._held)
            self._held.clear()

    def _chunks(self) -> Iterator[bytes]:
        while (end := self._cut()) is not None:
            yield bytes(memoryview(self._held)[:end])
            del self._held[:end]
            self._seen = MIN_CHUNK - 1

    def _cut(self) -> int | None:
        """Where the first chunk of what is held ends, if that is known by now."""
        while self._seen < (end := min(len(self._held), MAX_CHUNK)):
            stop = min(self._seen + _AT_ONCE, end)
            for last in self._scan.matches(self._held, self._seen, stop):
                strength = xxhash.xxh3_64_intdigest(self._held[last + 1 - WINDOW : last + 1])
                if strength < (STRICT if last + 1 < NORMAL_CHUNK else EASY):
                    return last + 1
            self._seen = stop
        return MAX_CHUNK if len(self._held) >= MAX_CHUNK else None


class _Scan:
    """The rolling hash of many places at once, in arrays that are made once."""

    def __init__(self) -> None:
        import numpy

        self._np: Any = numpy
        room = _AT_ONCE + _ROLLED
        self._hash: NDArray[Any] = numpy.empty(room, numpy.uint16)
        self._other: NDArray[Any] = numpy.empty(room, numpy.uint16)
        self._found: NDArray[Any] = numpy.empty(room, numpy.bool_)

    def matches(self, data: bytearray, start: int, stop: int) -> list[int]:
        """The places from `start` to before `stop` whose byte ends a match; at least 15 bytes lie before them."""
        np = self._np
        begin = start - _ROLLED + 1
        count = stop - begin
        x, y = self._hash[:count], self._other[:count]
        first, second = map(np.uint16, _FACTORS)
        # The table's rule, worked out for every byte: faster than looking it up.
        np.multiply(np.frombuffer(data, np.uint8, count, begin), first, out=x, dtype=np.uint16)
        np.right_shift(x, np.uint16(_FOLD), out=y)
        np.bitwise_xor(x, y, out=x)
        np.multiply(x, second, out=x)
        # After a round, `x` holds the hash of twice as many bytes. The first places lack what lies before them.
        span = 1
        while span < _ROLLED:
            np.left_shift(x[:-span], np.uint16(span), out=y[span:])
            np.add(x[span:], y[span:], out=x[span:])
            span *= 2
        found = np.equal(x, np.uint16(ROLLING_MATCH), out=self._found[:count])
        places: list[int] = np.flatnonzero(found[_ROLLED - 1 :]).tolist()
        return [start + place for place in places]
