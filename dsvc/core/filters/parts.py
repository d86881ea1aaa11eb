"""Parts of columns: what one part of a tree has in a column, as an array, and as bytes to keep.

Numbers and booleans are arrays of float64 in which NaN, which no record holds, stands for nothing; texts are arrays
of objects with None. So a column can be spread over the rows of a join before DuckDB sees it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from dsvc.model.numbers import unpack_joined

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array = npt.NDArray[Any]

_SAME, _EACH = b"=", b"#"
_encode = msgspec.msgpack.Encoder().encode
_decode_texts = msgspec.msgpack.Decoder(tuple[list[str | None], bytes | None]).decode
_decode_keys = msgspec.msgpack.Decoder(list[bytes]).decode
_decode_owners = msgspec.msgpack.Decoder(tuple[list[bytes], bytes]).decode


class Form(NamedTuple):
    """How a part is kept: `pack` gives its bytes; `unpack` the part of so many records, or raises ValueError."""

    pack: Callable[[Any], bytes]
    unpack: Callable[[bytes, int], Any]


class Owners(NamedTuple):
    """The input keys of sorted annotations, and how many annotations in a row have each."""

    keys: list[bytes]
    counts: Array


class Keys:
    """The tree keys of sorted records, in parts, each decoded when it is asked for."""

    def __init__(self, parts: Iterable[tuple[list[bytes] | bytes, int]]) -> None:
        self._parts: list[list[bytes] | bytes] = []
        self._ends: list[int] = []
        end = 0
        for part, count in parts:
            end += count
            self._parts.append(part)
            self._ends.append(end)

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __iter__(self) -> Iterator[bytes]:
        for at in range(len(self._parts)):
            yield from self._part(at)

    def select(self, rows: Sequence[int] | Array) -> list[bytes]:
        """The keys of some rows, whose numbers are sorted."""
        import numpy as np

        if not len(rows):
            return []
        numbers = np.asarray(rows, dtype=np.int64)
        cuts = np.searchsorted(numbers, self._ends).tolist()
        found, begin, first = list[bytes](), 0, 0
        for at, cut in enumerate(cuts):
            if cut > begin:
                part = self._part(at)
                found += map(part.__getitem__, (numbers[begin:cut] - first).tolist())
            begin, first = cut, self._ends[at]
        return found

    def _part(self, at: int) -> list[bytes]:
        part = self._parts[at]
        if isinstance(part, bytes):
            part = self._parts[at] = _decode_keys(part)
        return part


# ---- making parts


def texts(found: Sequence[str | None]) -> Array:
    """A part of texts."""
    import numpy as np

    array = np.empty(len(found), dtype=object)
    array[:] = found
    return array


def floats(found: list[Any]) -> npt.NDArray[np.float64]:
    """A part of numbers; those beyond what float64 reaches are infinite."""
    import numpy as np

    try:
        return np.array(found, dtype=np.float64)
    except OverflowError:
        return np.array([_float(value) for value in found], dtype=np.float64)


def _float(value: Any) -> float:
    try:
        return float(value) if value is not None else float("nan")
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def unpacked(packed: list[bytes | None], width: int) -> Array:
    """The numbers of packed sequences, an array for each place in them; NaN where there are not `width` numbers."""
    import numpy as np

    parts = np.full((width, len(packed)), np.nan)
    filled = [at for at, data in enumerate(packed) if data]
    numbers, counts = unpack_joined([data for data in packed if data])
    whole = counts == width
    rows = np.array(filled, dtype=np.int64)[whole]
    starts = (counts.cumsum() - counts)[whole]
    for part in range(width):
        parts[part, rows] = numbers[starts + part]
    return parts


def owners(keys: Sequence[bytes]) -> Owners:
    """Of the tree keys of annotations."""
    import numpy as np

    names = [key.partition(b"\0")[0] for key in keys]
    starts = [at for at, name in enumerate(names) if not at or name != names[at - 1]]
    return Owners([names[at] for at in starts], np.diff(np.array([*starts, len(names)], dtype=np.int64)))


# ---- parts as bytes


def _pack_numbers(part: Array) -> bytes:
    bits = part.view("<i8")
    if len(bits) and (bits == bits[0]).all():
        return _SAME + part[:1].tobytes()
    return _EACH + part.tobytes()


def _unpack_numbers(data: bytes, count: int) -> Array:
    import numpy as np

    numbers = np.frombuffer(data, dtype="<f8", offset=1)
    if data[:1] == _SAME and len(numbers) == 1:
        return np.full(count, numbers[0])
    if data[:1] != _EACH or len(numbers) != count:
        raise ValueError("numbers of another count")
    return numbers


def _pack_texts(part: Array) -> bytes:
    import numpy as np

    found = part.tolist()
    places = {text: at for at, text in enumerate(dict.fromkeys(found))}
    if 2 * len(places) > len(found):
        return _encode((found, None))
    codes = np.fromiter(map(places.__getitem__, found), dtype="<u4", count=len(found))
    return _encode((list(places), codes.tobytes()))


def _unpack_texts(data: bytes, count: int) -> Array:
    import numpy as np

    found, codes = _decode_texts(data)
    part = texts(found)
    if codes is not None:
        part = part.take(np.frombuffer(codes, dtype="<u4"))  # beyond the end it raises IndexError
    if len(part) != count:
        raise ValueError("texts of another count")
    return part


def _pack_owners(part: Owners) -> bytes:
    return _encode((part.keys, part.counts.astype("<u4").tobytes()))


def _unpack_owners(data: bytes, count: int) -> Owners:
    import numpy as np

    keys, packed = _decode_owners(data)
    counts = np.frombuffer(packed, dtype="<u4").astype(np.int64)
    if len(counts) != len(keys) or counts.sum() != count:
        raise ValueError("owners of another count")
    return Owners(keys, counts)


def _unpack_keys(data: bytes, count: int) -> bytes:
    """The bytes themselves: most keys are never asked for."""
    size = 0 if count < 1 << 4 else 2 if count < 1 << 16 else 4
    head = bytes([0x90 | count]) if not size else bytes([0xDC + size // 4]) + count.to_bytes(size, "big")
    if not data.startswith(head):
        raise ValueError("keys of another count")
    return data


NUMBERS = Form(_pack_numbers, _unpack_numbers)
TEXTS = Form(_pack_texts, _unpack_texts)
KEYS = Form(_encode, _unpack_keys)
OWNERS = Form(_pack_owners, _unpack_owners)
