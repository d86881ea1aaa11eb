"""What plots of a state are made of: few numbers, worked out where the records are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from dsvc.core.state import State

# Bins of sides of boxes: so many to each doubling, from 1 pixel to 2 ** 14.
BINS = 4
DOUBLINGS = 14
GRID = 32  # cells each way of the map of locations; half as many where boxes are few
_FEW = 4000

_BALANCE = """
select c.concept, count(a.key) filter (where a.value is null or a.value > 0),
       count(a.key) filter (where a.value <= 0)
from concepts c left join annotations a using (concept) group by 1 order by 2 desc, 3 desc, 1
"""
# As COCO and `metrics` have it: by the area that an annotation has, else by that of its box.
_SIZES = f"""
select cast(floor(least(greatest(log2(sqrt(area)), 0), {DOUBLINGS}) * {BINS}) as int), count(*)
from annotations where has_box and area > 0 group by 1
"""
_RANGES = """
select count(*) filter (where area < 1024), count(*) filter (where area >= 1024 and area < 9216),
       count(*) filter (where area >= 9216) from annotations where has_box and area > 0
"""
_LOCATIONS = f"""
select cast(floor((a.y + a.h / 2) / i.height * {GRID}) as int),
       cast(floor((a.x + a.w / 2) / i.width * {GRID}) as int), count(*)
from annotations a join inputs i using (key)
where i.width > 0 and i.height > 0 and a.x + a.w / 2 >= 0 and a.x + a.w / 2 < i.width
  and a.y + a.h / 2 >= 0 and a.y + a.h / 2 < i.height group by 1, 2
"""
_PER_INPUT = """
select n, count(*) from (select i.key, count(a.key) as n from inputs i left join annotations a using (key) group by 1)
group by 1 order by 1
"""


class Label(NamedTuple):
    """A concept by id, how often it is said to be there, and how often not."""

    concept: str
    positive: int
    negative: int


class Sizes(NamedTuple):
    """Boxes by bins of their size (the root of the area), `BINS` to each doubling; and by COCO's sizes."""

    bins: Mapping[int, int]
    small: int
    medium: int
    large: int


def class_balance(state: State) -> list[Label]:
    """All concepts, those of most annotations first."""
    return [Label(str(concept), int(there), int(not_there)) for concept, there, not_there in state.query(_BALANCE)]


def box_sizes(state: State) -> Sizes | None:
    """The sizes of boxes, in pixels; None without boxes."""
    small, medium, large = next(iter(state.query(_RANGES)))
    if not small + medium + large:
        return None
    return Sizes({int(bin_): int(count) for bin_, count in state.query(_SIZES)}, int(small), int(medium), int(large))


def locations(state: State) -> list[list[int]]:
    """How many boxes have their middle in each cell of a grid laid over their picture, row by row; [] without any."""
    found = [(int(row), int(column), int(count)) for row, column, count in state.query(_LOCATIONS)]
    if not found:
        return []
    coarse = 2 if sum(count for _, _, count in found) < _FEW else 1
    cells = GRID // coarse
    rows = [[0] * cells for _ in range(cells)]
    for row, column, count in found:
        # A middle that lies next to the edge may be rounded beyond it.
        rows[min(row // coarse, cells - 1)][min(column // coarse, cells - 1)] += count
    return rows


def per_input(state: State) -> dict[int, int]:
    """How many inputs have so many annotations."""
    return {int(annotations): int(inputs) for annotations, inputs in state.query(_PER_INPUT)}
