"""The runs of COCO's run-length masks."""

from __future__ import annotations

from collections.abc import Sequence

from dsvc.model.records import Mask

MAX_PIXELS = 1 << 28


def runs(mask: Mask) -> tuple[int, ...]:
    """The runs of a mask, column by column, zeros first. Raises ValueError where they don't fill the picture."""
    counts = _parse(mask.counts) if isinstance(mask.counts, str) else tuple(mask.counts)
    pixels = mask.height * mask.width
    if min(mask.height, mask.width) < 1 or pixels > MAX_PIXELS:
        raise ValueError(f"a mask of {mask.width} × {mask.height} pixels cannot be drawn")
    if any(run < 0 for run in counts):
        raise ValueError("a run of a mask is below 0")
    if sum(counts) != pixels:
        raise ValueError(f"the runs of a mask cover {sum(counts)} pixels, not {pixels}")
    return counts


def _parse(text: str) -> tuple[int, ...]:
    """COCO's compressed text: five bits a character, and from the fourth run on the difference to the last but one."""
    counts: list[int] = []
    value, shift = 0, 0
    for character in text.encode():
        digit = character - 48
        if not 0 <= digit < 64 or shift > 60:
            raise ValueError("the text of a mask is damaged")
        value |= (digit & 31) << shift
        shift += 5
        if not digit & 32:
            if digit & 16:
                value -= 1 << shift
            counts.append(value + counts[-2] if len(counts) > 2 else value)
            value, shift = 0, 0
    if shift:
        raise ValueError("the text of a mask ends too early")
    return tuple(counts)


def extent(counts: Sequence[int], height: int) -> tuple[int, int, int, int] | None:
    """The least box, as x, y, width, height, around the ones of runs in columns of `height`; None where all is zero."""
    left = top = right = bottom = -1
    at = 0
    for index, run in enumerate(counts):
        if index % 2 and run:
            first, last = at // height, (at + run - 1) // height
            # A run that goes on in the next column has the end of the one and the begin of the other.
            upper, lower = (at % height, (at + run - 1) % height) if first == last else (0, height - 1)
            left = first if left < 0 else left
            right = last
            top = upper if top < 0 else min(top, upper)
            bottom = max(bottom, lower)
        at += run
    return (left, top, right - left + 1, bottom - top + 1) if left >= 0 else None
