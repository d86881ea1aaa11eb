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
    # Floats hold whole numbers below 10**12 exactly, so the floors of these quotients are right.
    high = np.floor(units / 1e8)
    rest = units - high * 1e8
    middle = np.floor(rest / 1e4)
    low = rest - middle * 1e4
    groups = np.empty((len(values), 3), dtype=np.uint32)
    table = _table()
    groups[:, 2] = table[low.astype(np.int32) + 10_000]
    groups[:, 1] = table[(middle + (low == 0) * 1e4).astype(np.int32)]
    groups[:, 0] = table[(high + (rest == 0) * 1e4).astype(np.int32)]
    rows = np.empty((len(values), WIDTH), dtype=np.uint8)
    rows[:, 0] = (values == 1) + np.uint8(ord("0"))
    rows[:, 1] = ord(".")
    rows[:, 2:] = groups.view(np.uint8)
    rows[units == 0, 2] = ord("0")
    small = np.flatnonzero((values < 1e-4) & (values > 0))
    for index in small.tolist():
        text = shortest(float(values[index])).encode()
        rows[index] = np.frombuffer(text.ljust(WIDTH, b"\0"), dtype=np.uint8)
    return rows


def _decimal_units(np: Any, values: Any) -> Any:
    """Each number in units of 10^-12: the fewest decimals, from six on, that read back as the same float32."""
    exact = values.astype(np.float64)
    units = np.rint(exact * 1e8)
    right = (units / 1e8).astype(np.float32) == values
    units *= 1e4
    # Eight decimals are enough for most; do with fewer, or take more, where that is so.
    for decimals in (7, 6):
        rows = np.flatnonzero(right)
        whole = np.rint(exact[rows] * 10.0**decimals)
        fewer = (whole / 10.0**decimals).astype(np.float32) == values[rows]
        units[rows[fewer]] = whole[fewer] * 10.0 ** (_DECIMALS - decimals)
    left = np.flatnonzero(~right & (values >= 1e-4))
    for decimals in range(9, _DECIMALS + 1):
        whole = np.rint(exact[left] * 10.0**decimals)
        enough = (whole / 10.0**decimals).astype(np.float32) == values[left]
        units[left[enough]] = whole[enough] * 10.0 ** (_DECIMALS - decimals)
        left = left[~enough]
    units[(values < 1e-4) | (values == 1)] = 0
    return units


@cache
def _table() -> Any:
    """The four digits of 0 to 9999; then the same with NULs for the zeros at the end."""
    import numpy as np

    full = [f"{number:04d}" for number in range(10_000)]
    text = "".join(full) + "".join(digits.rstrip("0").ljust(4, "\0") for digits in full)
    return np.frombuffer(text.encode(), dtype=np.uint32)
