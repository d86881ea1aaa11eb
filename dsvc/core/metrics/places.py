"""Where regions lie: the middles of their boxes, as shares of the picture's width and height."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dsvc.core.filters.parts import unpacked
from dsvc.core.metrics.columns import GRID
from dsvc.model.numbers import unpack_joined, unpack_numbers
from dsvc.model.runs import MAX_PIXELS

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

_NOWHERE = float("nan")


def ring_middles(rings: list[bytes]) -> Array:
    """Twice the middles (x, y) of the boxes around rings, in their own unit. Each holds points, and one at least."""
    import numpy as np

    values, counts = unpack_joined(rings)
    starts = (counts.cumsum() - counts) // 2
    points = values.reshape(-1, 2)
    return np.minimum.reduceat(points, starts) + np.maximum.reduceat(points, starts)


def cells(middles: Array) -> Array:
    """The numbers of the cells, row by row, in which shares (x, y) lie; what lies beyond the picture is in the nearest.

    What is nowhere, NaN, is in none.
    """
    import numpy as np

    there = middles[np.isfinite(middles).all(axis=1)]
    at = np.minimum((np.clip(there, 0.0, 1.0) * GRID).astype(np.int64), GRID - 1)
    found: Array = at[:, 1] * GRID + at[:, 0]
    return found


def point_middles(packed: list[bytes | None]) -> Array:
    """Twice the points (x, y) of packed pairs; NaN where there is none."""
    found: Array = unpacked(packed, 2).T * 2
    return found


def keypoints_middle(packed: bytes) -> tuple[float, float]:
    """Twice the middle of the box around the keypoints that are labelled, in their own unit."""
    values = unpack_numbers(packed)
    points = [(x, y) for x, y, seen in zip(values[::3], values[1::3], values[2::3], strict=True) if seen > 0]
    if not points:
        return _NOWHERE, _NOWHERE
    xs, ys = zip(*points, strict=True)
    return float(min(xs) + max(xs)), float(min(ys) + max(ys))


def mask_middle(mask: tuple[int, int, str | bytes]) -> tuple[float, float]:
    """Twice the middle of the box around a mask, as shares of its grid; NaN where it is empty or cannot be drawn."""
    import numpy as np

    height, width, counts = mask
    runs = _runs(counts)
    if runs is None or min(height, width) < 1 or height * width > MAX_PIXELS:
        return _NOWHERE, _NOWHERE
    if (runs < 0).any() or runs.sum() != height * width:
        return _NOWHERE, _NOWHERE
    ends = runs.cumsum()
    filled = runs[1::2] > 0
    first, last = (ends - runs)[1::2][filled], ends[1::2][filled] - 1
    if not len(first):
        return _NOWHERE, _NOWHERE
    left, right = first // height, last // height
    # A run that goes on in the next column has the end of the one and the begin of the other.
    over = left < right
    top = np.where(over, 0, first % height).min()
    bottom = np.where(over, height - 1, last % height).max()
    return (left.min() + right.max() + 1) / width, (top + bottom + 1) / height


def _runs(counts: str | bytes) -> Array | None:
    """The runs of a mask; None where there are none to be read."""
    import numpy as np

    if isinstance(counts, bytes):
        return unpack_joined([counts])[0].astype(np.int64) if counts else None
    digits = np.frombuffer(counts.encode(), dtype=np.uint8).astype(np.int64) - 48
    if not len(digits) or digits.min() < 0 or digits.max() > 63 or digits[-1] & 32:
        return None
    ends = np.flatnonzero(digits & 32 == 0)
    starts = np.concatenate(([0], ends[:-1] + 1))
    lengths = ends - starts + 1
    if lengths.max() > 12:
        return None
    shifts = (np.arange(len(digits)) - np.repeat(starts, lengths)) * 5
    values = np.add.reduceat((digits & 31) << shifts, starts)
    values -= np.where(digits[ends] & 16, np.int64(1) << (lengths * 5), 0)
    # From the fourth on, they are differences to the last but one.
    for part in (1, 2):
        values[part::2] = values[part::2].cumsum()
    return values
