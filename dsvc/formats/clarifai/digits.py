"""float32 numbers as the shortest decimal text that reads back as the same float32.

The text is that of Python's `repr` of `%.Ng`, for the least N from 6 to 9 that is exact: what Protobuf's JSON
printer writes. Numbers from 0 to 1 are written many at a time.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float32]

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


def json_numbers(values: Floats) -> bytes:
    """The JSON list of numbers from -1 to 1; those for which `needs_exponent` holds are in another form.

    From 0.0001 to 1 its text of every float32 is that of `shortest`: all 112 million have been compared.
    """
    import orjson

    return orjson.dumps(values, option=orjson.OPT_SERIALIZE_NUMPY)


def needs_exponent(values: Floats) -> npt.NDArray[np.bool_]:
    """Which of the numbers from 0 to 1 are written with an exponent."""
    found: npt.NDArray[np.bool_] = (values < SMALL) & (values > 0)
    return found


def texts(values: Floats) -> list[bytes]:
    """The text of each of one or more numbers from 0 to 1."""
    import numpy as np

    values = np.ascontiguousarray(values).reshape(-1)
    found = json_numbers(values)[1:-1].split(b",")
    for index in np.flatnonzero(needs_exponent(values)).tolist():
        found[index] = shortest(float(values[index])).encode()
    return found
