"""Rasters: run-length masks as pixels of a drawing. Only what is seen is worked out, however large a mask is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dsvc.core.pictures.frames import SWAPPING, Frame
from dsvc.model.records import Mask, Unit
from dsvc.model.runs import extent, runs

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Pixels = npt.NDArray[np.uint8]


def raster(mask: Mask, unit: Unit, frame: Frame) -> tuple[int, int, Pixels] | None:
    """The part of a drawing that a mask covers: left, top and an array (rows, columns) of 0 and 1; None of nothing.

    A mask in pixels lies on those of the picture; a relative one covers all of it, whatever its grid.
    Raises ValueError where its runs cannot be drawn.
    """
    import numpy as np

    counts = runs(mask)
    found = extent(counts, mask.height)
    if found is None:
        return None
    scale = (frame.width, frame.height) if unit == "pixel" else (mask.width, mask.height)
    corners = [
        frame.place(x / scale[0], y / scale[1], "relative")
        for x, y in ((found[0], found[1]), (found[0] + found[2], found[1] + found[3]))
    ]
    left, right = _range([corner[0] for corner in corners], frame.to_width)
    top, bottom = _range([corner[1] for corner in corners], frame.to_height)
    if left >= right or top >= bottom:
        return None
    # Orientations swap and mirror, so that columns and rows of the grid each follow one side of the drawing.
    across = (np.arange(left, right) + 0.5) / frame.to_width
    down = (np.arange(top, bottom) + 0.5) / frame.to_height
    across = 1 - across if frame.orientation in (2, 3, 6, 7) else across
    down = 1 - down if frame.orientation in (3, 4, 7, 8) else down
    us, vs = (down, across) if frame.orientation in SWAPPING else (across, down)
    columns, rows = _cells(us, scale[0]), _cells(vs, scale[1])
    seen = _looked_up(counts, mask, columns, rows)
    return left, top, np.ascontiguousarray(seen if frame.orientation in SWAPPING else seen.T)


def _range(ends: list[float], most: int) -> tuple[int, int]:
    low, high = sorted(ends)
    return max(0, int(low)), min(most, int(high) + 1)


def _cells(shares: Any, scale: float) -> Any:
    import numpy as np

    return np.clip(np.floor(shares * scale), -1, 2.0**40).astype(np.int64)


def _looked_up(counts: tuple[int, ...], mask: Mask, columns: Any, rows: Any) -> Pixels:
    """Whether a mask covers each of some cells, by column and row; what lies beside its grid is not covered."""
    import numpy as np

    inside = ((columns >= 0) & (columns < mask.width))[:, None] & ((rows >= 0) & (rows < mask.height))[None, :]
    places = np.where(inside, columns[:, None] * mask.height + rows[None, :], 0)
    covered = np.searchsorted(np.cumsum(counts), places, side="right") & 1
    found: Pixels = (covered.astype(np.uint8) & inside).astype(np.uint8)
    return found
