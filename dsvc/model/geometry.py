"""Where annotations lie: their boxes, how far two agree, and which of two sets are the same but for their ids."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import NamedTuple, TypeVar

from dsvc.model.records import Annotation, Input, Numbers, Shape, annotation_fields
from dsvc.model.runs import extent, runs
from dsvc.store import codec

Box = tuple[float, float, float, float]
Size = tuple[float, float]
T = TypeVar("T")
_MOST = 1e300
SAME_PLACE = 0.9
# Comparing each with each in Python is quicker than loading numpy for so many comparisons.
_FEW = 100_000
# So many of the best partners are kept for each annotation of a large set.
_BEST = 64


class Pair(NamedTuple):
    """Two annotations in one place, and their IoU; it is None where neither has a place."""

    old: Annotation
    new: Annotation
    iou: float | None


# ---- boxes


def box_of(annotation: Annotation, size: Size | None = None) -> Box | None:
    """The box of an annotation as x, y, width, height in pixels, or None where it has no place on the picture.

    It is the shape's box, else that around its polygons, its mask, its keypoints that are labelled, its point.
    `size` is the input's width and height in pixels; without it a relative shape has no box.
    """
    shape = annotation.shape
    if shape is not None and (found := _shape_box(shape, size)) is not None:
        return found
    if annotation.keypoints is not None:
        xs, ys, seen = (annotation.keypoints[part::3] for part in range(3))
        found = _around([(x, y) for x, y, visibility in zip(xs, ys, seen, strict=False) if visibility > 0])
        if found is not None:
            return found
    point = annotation.point
    return (point[0], point[1], 0.0, 0.0) if point is not None and len(point) == 2 else None


def _shape_box(shape: Shape, size: Size | None) -> Box | None:
    relative = shape.unit == "relative"
    if relative and size is None:
        return None
    found = _own_box(shape.box) or _around([point for ring in shape.polygons or () for point in _points(ring)])
    if found is not None:
        return _scaled(found, size) if relative and size is not None else found
    if shape.mask is None:
        return None
    try:
        found = extent(runs(shape.mask), shape.mask.height)
    except ValueError:  # kept as it came, and nobody can draw it
        return None
    if found is not None and relative and size is not None:
        # The grid of a mask is its own; the input may be of another size.
        return _scaled(found, (size[0] / shape.mask.width, size[1] / shape.mask.height))
    return found


def _own_box(box: Numbers | None) -> Box | None:
    """A box with its corners in order; None for what has not four numbers."""
    if box is None or len(box) != 4:
        return None
    x, y, width, height = box
    return (min(x, x + width), min(y, y + height), abs(width), abs(height))


def _points(ring: Numbers) -> Iterable[tuple[float, float]]:
    return zip(ring[::2], ring[1::2], strict=False)


def _around(points: Sequence[tuple[float, float]]) -> Box | None:
    if not points:
        return None
    xs, ys = zip(*points, strict=True)
    left, top = min(xs), min(ys)
    return (left, top, max(xs) - left, max(ys) - top)


def _scaled(box: Box | tuple[int, ...], size: Size) -> Box:
    x, y, width, height = box
    return (x * size[0], y * size[1], width * size[0], height * size[1])


def iou(a: Box, b: Box) -> float:
    """Intersection over union of two boxes, 0 to 1. Equal boxes have 1, even where they have no area."""
    if a == b:
        return 1.0
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    # Rounding may make the union smaller than what is shared; numbers near the end of float64 make it infinite.
    share = shared / ((a[2] * a[3] + b[2] * b[3]) - shared or math.inf)
    return min(share, 1.0) if share >= 0 else 0.0


# ---- pairs


class Place(NamedTuple):
    """A box, in pixels or in a measure of its own, and what else must be equal for two to be in one place."""

    kind: Hashable
    box: Box


class Extent(NamedTuple):
    """A box and what it is measured in: `picture`, or `span` and `time`, where a length is a box of height 1."""

    measure: str
    box: Box


def extent_of(annotation: Annotation, size: Size | None = None) -> Extent | None:
    """How far an annotation reaches on the picture (see `box_of`), else in the text, else in time; or None."""
    box = box_of(annotation, size)
    if box is not None:
        return Extent("picture", box)
    for measure, ends in (("span", annotation.span), ("time", annotation.time)):
        if ends is not None:
            begin, end = map(_bounded, ends)
            return Extent(measure, (begin, 0.0, end - begin, 1.0))
    return None


def _bounded(number: float) -> float:
    """A number as float64; integers have no bounds where they are kept."""
    return float(max(-_MOST, min(number, _MOST)))


def size_of(record: Input | None) -> Size | None:
    """The width and height of an input in pixels: as declared, else as its media has them; None where unknown."""
    if record is None:
        return None
    width, height = record.declared_width, record.declared_height
    if record.media is not None:
        width = record.media.width if width is None else width
        height = record.media.height if height is None else height
    return (_bounded(width), _bounded(height)) if width and height else None


class _Placed(NamedTuple):
    annotation: Annotation
    place: Place


class _Match(NamedTuple):
    """Two annotations that may be one. The best sort first; it makes no difference which of the two is which."""

    minus: float
    lower: str
    upper: str
    old: Annotation
    new: Annotation


def pair_by_place(
    removed: Iterable[Annotation],
    added: Iterable[Annotation],
    threshold: float = SAME_PLACE,
    same_concept: bool = True,
    size: Size | None = None,
) -> list[Pair]:
    """Which annotations of one input are the same but for their ids: the best IoU first, each at most once.

    Their IoU is at least `threshold` (above 0), their concept (unless `same_concept` is False), frame and crowd are
    the same. Those without a box are compared by their span or time likewise, else only equal content matches.
    Among equally good pairs the lower ids come first; the order of the sets makes no difference. `size` is the
    input's, in pixels; without it shapes in pixels and relative ones don't match. Sorted by the ids of `removed`.
    """
    old, new = ({annotation.id: annotation for annotation in side} for side in (removed, added))
    if not old or not new:
        return []
    # Equal ones first: they are best anyway, and a file that came again with other ids has nothing else.
    found = _take_equal(old, new, _content)
    pairs = [Pair(a, b, 1.0 if _place(a, size) is not None else None) for a, b in found]
    here, there = _all_placed(old, same_concept, size), _all_placed(new, same_concept, size)
    pairs += [Pair(a.annotation, b.annotation, 1.0) for a, b in _take_equal(here, there, lambda one: one.place)]
    pairs += _take_best(here, there, threshold)
    return sorted(pairs, key=lambda pair: pair.old.id)


def _content(annotation: Annotation) -> bytes:
    return codec.encode({name: value for name, value in annotation_fields(annotation).items() if name != "n"})


def _place(annotation: Annotation, size: Size | None, same_concept: bool = True) -> Place | None:
    # Relative numbers can be compared with each other without a size.
    extent = extent_of(annotation, size or (1.0, 1.0))
    if extent is None:
        return None
    unit = annotation.shape.unit if size is None and annotation.shape is not None else None
    concept = annotation.concept if same_concept else None
    span = annotation.span if extent.measure != "span" else None
    time = annotation.time if extent.measure != "time" else None
    return Place((extent.measure, unit, concept, bool(annotation.crowd), annotation.frame, span, time), extent.box)


def _all_placed(side: dict[str, Annotation], same_concept: bool, size: Size | None) -> dict[str, _Placed]:
    places = ((annotation, _place(annotation, size, same_concept)) for annotation in side.values())
    return {annotation.id: _Placed(annotation, place) for annotation, place in places if place is not None}


def _take_equal(old: dict[str, T], new: dict[str, T], key: Callable[[T], Hashable]) -> list[tuple[T, T]]:
    """Take out of both sides what has equal keys, in the order of the ids."""
    waiting: dict[Hashable, list[str]] = {}
    for id in sorted(new, reverse=True):
        waiting.setdefault(key(new[id]), []).append(id)
    partners = ((id, waiting.get(key(old[id]))) for id in sorted(old))
    return [(old.pop(id), new.pop(ids.pop())) for id, ids in partners if ids]


def _take_best(old: dict[str, _Placed], new: dict[str, _Placed], threshold: float) -> Iterator[Pair]:
    """The pairs of different places that reach the threshold, the best of each kind first."""
    kinds: dict[Hashable, list[_Placed]] = {}
    for _, one in sorted(new.items()):
        kinds.setdefault(one.place.kind, []).append(one)
    groups: dict[Hashable, list[_Placed]] = {}
    for _, one in sorted(old.items()):
        if one.place.kind in kinds:
            groups.setdefault(one.place.kind, []).append(one)
    for kind, group in groups.items():
        others = kinds[kind]
        compare = _compare_few if len(group) * len(others) <= _FEW else _compare_many
        taken_old, taken_new = set(), set()
        for match in sorted(compare(group, others, threshold), key=lambda match: match[:3]):
            if match.old.id not in taken_old and match.new.id not in taken_new:
                taken_old.add(match.old.id)
                taken_new.add(match.new.id)
                yield Pair(match.old, match.new, -match.minus)


def _match(a: Annotation, b: Annotation, share: float) -> _Match:
    lower, upper = sorted((a.id, b.id))
    return _Match(-share, lower, upper, a, b)


def _compare_few(group: list[_Placed], others: list[_Placed], threshold: float) -> Iterator[_Match]:
    for a in group:
        for b in others:
            share = iou(a.place.box, b.place.box)
            if share >= threshold:
                yield _match(a.annotation, b.annotation, share)


def _compare_many(group: list[_Placed], others: list[_Placed], threshold: float) -> Iterator[_Match]:
    """As `_compare_few` does, with the nearest of the others at once; and no more than some of the best for each."""
    import numpy as np

    others = sorted(others, key=lambda one: one.place.box[0])
    lefts, tops, widths, heights = np.array([one.place.box for one in others], dtype=np.float64).T
    rights, bottoms, areas = lefts + widths, tops + heights, widths * heights
    for a in group:
        x, y, width, height = a.place.box
        # Further to the left or to the right nothing shares enough of its width.
        near = slice(*np.searchsorted(lefts, (x - width / threshold, x + width)).tolist())
        with np.errstate(all="ignore"):
            shared = (np.minimum(x + width, rights[near]) - np.maximum(x, lefts[near])).clip(0)
            shared *= (np.minimum(y + height, bottoms[near]) - np.maximum(y, tops[near])).clip(0)
            shares = np.minimum(shared / (width * height + areas[near] - shared), 1.0)
        hits = np.flatnonzero(shares >= threshold)
        hits = hits[np.argsort(-shares[hits], kind="stable")][:_BEST]
        for at, share in zip(hits.tolist(), shares[hits].tolist(), strict=True):
            yield _match(a.annotation, others[near.start + at].annotation, share)
