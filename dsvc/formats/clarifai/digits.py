"""float32 numbers as the shortest decimal text that reads back as the same float32.

The text is that of Python's `repr` of `%.Ng`, for the least N from 6 to 9 that is exact: what Protobuf's JSON
printer writes. Numbers from 0 to 1 are written many at a time.
"""

from __future__ import annotations

import struct
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

WIDTH = 14  # of a row: "0." and twelve decimals, the most that a float32 from 0.0001 to 1 needs
_DECIMALS = 12


def shortest(value: float) -> str:
    """The text of a finite number that is a float32 already."""
    for digits in range(6, 9):
        text = f"{value:.{digits}g}"
        if _narrow(float(text)) == value:
            return repr(float(text))
    return repr(float(f"{value:.9g}"))


def _narrow(value: float) -> float:
    try:
        narrowed: float = struct.unpack("<f", struct.pack("<f", value))[0]
    except OverflowError:  # the rounded text of the largest float32 can lie beyond it
        return float("inf")
    return narrowed


def shortest_rows(values: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """A row of `WIDTH` characters for each number from 0 to 1, with NULs behind the text."""
    import numpy as np

    units = _decimal_units(np, values)
    ones = values == 1
    rows = np.empty((len(values), WIDTH), dtype=np.uint8)
    rows[:, 0] = np.where(ones, ord("1"), ord("0"))
    rows[:, 1] = ord(".")
    groups = rows[:, 2:]
    table = _table()
    high, low = np.divmod(units, 100_000_000)
    middle, low = np.divmod(low.astype(np.uint32), 10_000)
    low_empty = low == 0
    middle_empty = low_empty & (middle == 0)
    groups[:, 8:] = table[low + 10_000]
    groups[:, 4:8] = table[middle + low_empty * np.uint32(10_000)]
    groups[:, :4] = table[high + middle_empty * 10_000]
    groups[units == 0, 0] = ord("0")
    small = np.flatnonzero((values < 1e-4) & (values > 0))
    for index in small.tolist():
        text = shortest(float(values[index])).encode()
        rows[index] = np.frombuffer(text.ljust(WIDTH, b"\0"), dtype=np.uint8)
    return rows


def _decimal_units(np: Any, values: Any) -> Any:
    """Each number in units of 10^-12: the fewest decimals, from six on, that read back as the same float32."""
    exact = values.astype(np.float64)
    units = np.zeros(len(values), dtype=np.int64)
    left = np.flatnonzero((values >= 1e-4) & (values < 1))
    rest, narrow = exact[left], values[left]
    for decimals in range(6, _DECIMALS + 1):
        scale = 10.0**decimals
        whole = np.rint(rest * scale)
        right = (whole / scale).astype(np.float32) == narrow
        units[left[right]] = (whole[right] * 10.0 ** (_DECIMALS - decimals)).astype(np.int64)
        wrong = ~right
        left, rest, narrow = left[wrong], rest[wrong], narrow[wrong]
        if not len(left):
            break
    return units


@cache
def _table() -> Any:
    """The four digits of 0 to 9999; then the same with NULs for the zeros at the end."""
    import numpy as np

    full = [f"{number:04d}" for number in range(10_000)]
    text = "".join(full) + "".join(digits.rstrip("0").ljust(4, "\0") for digits in full)
    return np.frombuffer(text.encode(), dtype=np.uint8).reshape(20_000, 4)
