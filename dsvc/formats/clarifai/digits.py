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
SMALL = 1e-4  # what is smaller is written with an exponent


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


def shortest_rows(values: npt.NDArray[np.float32]) -> npt.NDArray[np.void]:
    """The text of each number from 0 to 1, in `WIDTH` bytes with NULs behind it."""
    import numpy as np

    first, tail = _decimals(np, values)
    high = first // 10_000
    low = first - high * 10_000
    last = tail == 0
    table = _table()
    groups = np.empty((len(values), 3), dtype=np.uint32)
    groups[:, 2] = table[tail + 10_000]
    groups[:, 1] = table[low + last * np.int32(10_000)]
    last &= low == 0
    groups[:, 0] = table[high + last * np.int32(10_000)]
    rows = np.frombuffer(bytearray(b"0." + bytes(_DECIMALS)) * len(values), dtype=f"S1,S1,V{_DECIMALS}")
    rows["f2"] = groups.view(f"V{_DECIMALS}")[:, 0]
    text = rows.view(np.uint8).reshape(-1, WIDTH)
    ends = np.flatnonzero(first == 0)
    text[ends[tail[ends] == 0], 2] = ord("0")
    text[values == 1, 0] = ord("1")
    for index in ends[(values[ends] < SMALL) & (values[ends] > 0)].tolist():
        exponent = shortest(float(values[index])).encode()
        text[index] = np.frombuffer(exponent.ljust(WIDTH, b"\0"), dtype=np.uint8)
    whole: npt.NDArray[np.void] = rows.view(f"V{WIDTH}")
    return whole


def _decimals(np: Any, values: Any) -> tuple[Any, Any]:
    """The first eight decimals of each number and the next four: no more than it takes to read back the same float32.

    Numbers that are written in another way (0, 1, and those with an exponent) get zeros.
    """
    exact = values.astype(np.float64)
    eight = np.rint(exact * 1e8)
    seven = np.rint(exact * 1e7)
    enough = (eight / 1e8).astype(np.float32) == values
    # Where six or fewer decimals are enough, seven end in zeros.
    first = np.where((seven / 1e7).astype(np.float32) == values, seven * 10, eight).astype(np.int32)
    tail = np.zeros(len(values), dtype=np.int32)
    other = (values < SMALL) | (values == 1)
    first[other] = 0
    left = np.flatnonzero(~enough & ~other)
    for decimals in range(9, _DECIMALS + 1):
        if not len(left):
            break
        whole = np.rint(exact[left] * 10.0**decimals)
        right = (whole / 10.0**decimals).astype(np.float32) == values[left]
        units = whole[right] * 10.0 ** (_DECIMALS - decimals)
        # Floats hold whole numbers below 10**12 exactly, so the floor of this quotient is right.
        start = np.floor(units / 1e4)
        first[left[right]] = start
        tail[left[right]] = units - start * 1e4
        left = left[~right]
    return first, tail


@cache
def _table() -> Any:
    """The four digits of 0 to 9999; then the same with NULs for the zeros at the end."""
    import numpy as np

    full = [f"{number:04d}" for number in range(10_000)]
    text = "".join(full) + "".join(digits.rstrip("0").ljust(4, "\0") for digits in full)
    return np.frombuffer(text.encode(), dtype=np.uint32)
