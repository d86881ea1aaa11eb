"""Coordinates in bytes: a decimal exponent and the narrowest integers where that is exact, else floats.

A packed sequence is one header byte and a little-endian array. The header's low half is the exponent e, its
high half the type of the array; each number is `integer / 10**e`. The choice is a function of the values alone:
the smallest e from 0 to 9 for which every value is exact, then the narrowest type; else float32 where that is
exact; else float64. The empty sequence is no bytes at all.
"""

from __future__ import annotations

import math
import sys
from array import array
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from dsvc.errors import DamagedError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Rows = npt.NDArray[np.int64]
    Flags = npt.NDArray[np.bool_]

MAX_EXPONENT = 9
FLOAT32, FLOAT64 = 6, 7
# Type number -> array typecode; unsigned before signed of the same width.
_TYPECODES = "BbHhIifd"
_ITEM_SIZES = (1, 1, 2, 2, 4, 4, 4, 8)
_UNSIGNED = ((0, 0xFF), (2, 0xFFFF), (4, 0xFFFFFFFF))
_SIGNED = ((1, 0x7F), (3, 0x7FFF), (5, 0x7FFFFFFF))
_SCALES = tuple(10.0**e for e in range(MAX_EXPONENT + 1))
_SWAP = sys.byteorder == "big"


def pack_numbers(values: Sequence[float]) -> bytes:
    """Pack finite numbers. Raises ValueError for NaN, infinity, and integers that float64 cannot hold."""
    if not values:
        return b""
    for value in values:
        if not math.isfinite(value):
            raise ValueError("NaN and infinity are not numbers that can be kept")
        if float(value) != value:
            raise ValueError(f"{value} is beyond what float64 holds exactly")
    for exponent, scale in enumerate(_SCALES):
        whole = _scaled(values, scale)
        if whole is not None:
            number = _integer_type(min(whole), max(whole))
            if number is not None:
                return bytes([number << 4 | exponent]) + _bytes(array(_TYPECODES[number], whole))
            break
    floats = array("d", values)
    try:
        narrow = array("f", floats)
    except OverflowError:
        narrow = array("f")
    if list(narrow) == list(floats):
        return bytes([FLOAT32 << 4]) + _bytes(narrow)
    return bytes([FLOAT64 << 4]) + _bytes(floats)


def _scaled(values: Sequence[float], scale: float) -> list[int] | None:
    """The integers i with `i / scale == value`, or None where one value has none (-0.0 never has)."""
    whole = []
    for value in values:
        product = value * scale
        if not -4294967296.0 < product < 4294967296.0:
            return None
        integer = round(product)
        if integer / scale != value or (integer == 0 and math.copysign(1.0, value) < 0):
            return None
        whole.append(integer)
    return whole


def _integer_type(low: int, high: int) -> int | None:
    for number, limit in _UNSIGNED if low >= 0 else _SIGNED:
        if high <= limit and low >= (0 if low >= 0 else -limit - 1):
            return number
    return None


def _bytes(values: array[int] | array[float]) -> bytes:
    if _SWAP:
        values.byteswap()
    return values.tobytes()


def unpack_numbers(data: bytes) -> Sequence[float]:
    """The numbers of a packed sequence; whole ones (exponent 0) as int. Raises DamagedError."""
    if not data:
        return ()
    number, exponent = data[0] >> 4, data[0] & 15
    if number > FLOAT64 or exponent > MAX_EXPONENT or (len(data) - 1) % _ITEM_SIZES[number] or len(data) == 1:
        raise DamagedError("packed numbers are damaged")
    values: array[int] | array[float] = array(_TYPECODES[number])
    values.frombytes(data[1:])
    if _SWAP:
        values.byteswap()
    if number >= FLOAT32 and not all(map(math.isfinite, values)):
        raise DamagedError("packed numbers are damaged")
    if exponent == 0:
        return values.tolist()
    scale = _SCALES[exponent]
    return [value / scale for value in values]


def count_numbers(data: bytes) -> int:
    """How many numbers a packed sequence holds."""
    return (len(data) - 1) // _ITEM_SIZES[data[0] >> 4] if data else 0


def unpack_ragged(packed: list[bytes], separator: float) -> npt.NDArray[np.float64]:
    """The numbers of many packed sequences, none of them empty, end to end in float64, `separator` after each."""
    import numpy as np

    heads = np.frombuffer(bytes([data[0] for data in packed]), dtype=np.uint8)
    sizes = np.array(_ITEM_SIZES, dtype=np.int64)
    types = heads >> 4
    if len(types) and types.max() > FLOAT64:
        raise DamagedError("packed numbers are damaged")
    lengths = np.array(list(map(len, packed)), dtype=np.int64) - 1
    counts = lengths // sizes[types]
    if (counts * sizes[types] != lengths).any() or (heads & 15 > MAX_EXPONENT).any():
        raise DamagedError("packed numbers are damaged")
    ends = np.cumsum(counts + 1)
    values = np.full(int(ends[-1]) if len(ends) else 0, separator, dtype=np.float64)
    starts = ends - counts - 1
    different = np.unique(heads).tolist()
    for head in different:
        rows = np.flatnonzero(heads == head)
        chosen = [packed[row] for row in rows.tolist()] if len(different) > 1 else packed
        body = b"".join([data[1:] for data in chosen])
        part = np.frombuffer(body, dtype=np.dtype(_TYPECODES[head >> 4]).newbyteorder("<"))
        before = np.cumsum(counts[rows]) - counts[rows]
        places = np.repeat(starts[rows] - before, counts[rows]) + np.arange(len(part))
        if head >> 4 >= FLOAT32 and not np.isfinite(part).all():
            raise DamagedError("packed numbers are damaged")
        values[places] = part / _SCALES[head & 15] if head & 15 else part
    return values


def unpack_joined(packed: list[bytes]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """The numbers of many packed sequences, none of them empty, end to end in float64, and how many each holds."""
    import numpy as np

    if not packed:
        return np.empty(0), np.empty(0, dtype=np.int64)
    data = np.frombuffer(b"".join(packed), dtype=np.uint8)
    lengths = np.fromiter(map(len, packed), dtype=np.int64, count=len(packed))
    starts = lengths.cumsum() - lengths
    heads = data[starts]
    if heads.max() >> 4 > FLOAT64 or (heads & 15).max() > MAX_EXPONENT:
        raise DamagedError("packed numbers are damaged")
    sizes = np.array(_ITEM_SIZES, dtype=np.int64)[heads >> 4]
    lengths -= 1
    counts = lengths // sizes
    if (counts * sizes != lengths).any():
        raise DamagedError("packed numbers are damaged")
    body = np.delete(data, starts)
    kinds = np.unique(heads).tolist()
    values = np.empty(int(counts.sum()), dtype=np.float64)
    for head in kinds:
        chosen = heads == head
        whole = len(kinds) == 1
        part = body if whole else body[np.repeat(chosen, lengths)]
        numbers = part.view(np.dtype(_TYPECODES[head >> 4]).newbyteorder("<")).astype(np.float64)
        if head >> 4 >= FLOAT32 and not np.isfinite(numbers).all():
            raise DamagedError("packed numbers are damaged")
        if head & 15:
            numbers /= _SCALES[head & 15]
        values[slice(None) if whole else np.repeat(chosen, counts)] = numbers
    return values, counts


def pack_ragged(values: npt.NDArray[np.float64], counts: Iterable[int]) -> list[bytes]:
    """Pack many sequences at once, laid end to end in `values`, `counts[i]` numbers each.

    Gives the very bytes of `pack_numbers` for each. All values must be finite.
    """
    import numpy as np

    lengths = np.fromiter(counts, dtype=np.int64)
    packed: list[bytes] = [b""] * len(lengths)
    rows = np.flatnonzero(lengths)
    if not len(rows):
        return packed
    lengths = lengths[rows]
    starts = np.concatenate(([0], np.cumsum(lengths)[:-1]))
    for exponent, scale in enumerate(_SCALES):
        exact, low, high = _exact_rows(values, starts, scale)
        if exact.any():
            _emit_integers(packed, values, (rows, lengths), (exact, low, high), exponent)
            # A row that is exact but too large for 32 bits gets no second chance: it becomes floats.
            late = exact & ~_fits(low, high)
            _emit_floats(packed, values, rows[late], starts[late], lengths[late])
            values, rows, starts, lengths = _keep(values, rows, lengths, ~exact)
            if not len(rows):
                return packed
    _emit_floats(packed, values, rows, starts, lengths)
    return packed


def _exact_rows(values: Floats, starts: Rows, scale: float) -> tuple[Flags, Floats, Floats]:
    import numpy as np

    with np.errstate(over="ignore"):
        product = values * scale
    whole = np.rint(product)
    bad = (whole / scale != values) | (np.abs(product) >= 4294967296.0)
    bad |= (whole == 0) & np.signbit(values)
    exact = ~np.logical_or.reduceat(bad, starts)
    return exact, np.minimum.reduceat(whole, starts), np.maximum.reduceat(whole, starts)


def _fits(low: Floats, high: Floats) -> Flags:
    fits: Flags = ((low >= 0) & (high <= 0xFFFFFFFF)) | ((low < 0) & (low >= -0x80000000) & (high <= 0x7FFFFFFF))
    return fits


def _keep(values: Floats, rows: Rows, lengths: Rows, mask: Flags) -> tuple[Floats, Rows, Rows, Rows]:
    import numpy as np

    values = values[np.repeat(mask, lengths)]
    rows, lengths = rows[mask], lengths[mask]
    starts = np.concatenate(([0], np.cumsum(lengths)[:-1])) if len(rows) else lengths
    return values, rows, starts, lengths


def _emit_integers(
    packed: list[bytes],
    values: Floats,
    table: tuple[Rows, Rows],
    found: tuple[Flags, Floats, Floats],
    exponent: int,
) -> None:
    import numpy as np

    rows, lengths = table
    exact, low, high = found
    left = exact.copy()
    for limits, sign in ((_UNSIGNED, low >= 0), (_SIGNED, low < 0)):
        for number, limit in limits:
            chosen = left & sign & (high <= limit) & (low >= -limit - 1)
            if chosen.any():
                left &= ~chosen
                part = values[np.repeat(chosen, lengths)]
                whole = np.rint(part * _SCALES[exponent]).astype("<" + np.dtype(_TYPECODES[number]).str[1:])
                _slice(packed, rows[chosen], lengths[chosen], whole, number << 4 | exponent)


def _emit_floats(packed: list[bytes], values: Floats, rows: Rows, starts: Rows, lengths: Rows) -> None:
    import numpy as np

    if not len(rows):
        return
    for row, start, length in zip(rows.tolist(), starts.tolist(), lengths.tolist(), strict=True):
        part = values[start : start + length]
        with np.errstate(over="ignore"):
            narrow = part.astype("<f4")
        if (narrow.astype("<f8") == part).all():
            packed[row] = bytes([FLOAT32 << 4]) + narrow.tobytes()
        else:
            packed[row] = bytes([FLOAT64 << 4]) + part.astype("<f8").tobytes()


def _slice(packed: list[bytes], rows: Rows, lengths: Rows, whole: npt.NDArray[Any], header: int) -> None:
    data, size, lead, at = whole.tobytes(), whole.itemsize, bytes([header]), 0
    for row, length in zip(rows.tolist(), lengths.tolist(), strict=True):
        end = at + length * size
        packed[row] = lead + data[at:end]
        at = end
