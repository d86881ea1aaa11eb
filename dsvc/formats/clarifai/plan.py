"""The first look at a sample: what of each annotation can be placed, gathered so that numpy does it all at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from dsvc.formats.clarifai.form import Form
from dsvc.formats.clarifai.geometry import NO_WAY, PLAIN, Boxes, Keypoints, Parts, Points, Polygons, Size
from dsvc.formats.clarifai.residue import annotation_residue, mask_residue
from dsvc.formats.masks import bitmap, canonical_runs, compressed, png, runs
from dsvc.model.records import Annotation, Input, Mask, Numbers, Shape

NO_SHAPE = Shape()
RELATIVE: Size = (1.0, 1.0)
NO_SIZE = "shapes in pixels whose input has no known size, kept in metadata only"
NO_FORM = "shapes with a wrong number of coordinates, kept in metadata only"
BAD_MASK = "masks that cannot be drawn, kept in metadata only"
CLIPPED = "shapes that reach beyond the picture, clipped (exact in metadata)"
WIDENED = "boxes of no width or height, widened by the least step (exact in metadata)"
UNSIGNED = 1 << 32


class Plan(NamedTuple):
    """One annotation and where its parts wait to be placed: rows, -1 for none."""

    annotation: Annotation
    kept: dict[str, Any]
    box: int = -1
    polygons: int = -1
    keypoints: int = -1
    point: int = -1
    mask: bytes | None = None
    span: bool = False
    simple: bool = False  # nothing but a box and polygons

    @property
    def placed(self) -> bool:
        """True where any part becomes a region."""
        rows = self.box >= 0 or self.polygons >= 0 or self.keypoints >= 0 or self.point >= 0
        return rows or self.mask is not None or self.span


class Planner:
    """Plans annotations; `weight` grows with what waits."""

    def __init__(self, counts: Counter[str]) -> None:
        self.counts = counts
        self.weight = 0
        self.boxes = Boxes()
        self.polygons = Polygons()
        self.keypoints = Keypoints()
        self.points = Points()

    def plan(self, annotation: Annotation, drawn: Size | None) -> Plan:
        """Look at one annotation of an input that was drawn in this size."""
        shape = annotation.shape or NO_SHAPE
        size = RELATIVE if shape.unit == "relative" else drawn
        kept = annotation_residue(annotation)
        box = polygons = keypoints = point = -1
        self.weight += 1
        if shape.box is not None:
            box = self._part(self.boxes, shape.box, size, kept, "b")
        if shape.polygons is not None:
            polygons = self._rings(shape.polygons, size, kept)
        if _is_simple(annotation, shape):
            return Plan(annotation, kept, box, polygons, simple=True)
        if annotation.keypoints is not None:
            keypoints = self._part(self.keypoints, annotation.keypoints, size, kept, "k")
        if annotation.point is not None:
            point = self._part(self.points, annotation.point, size, kept, "pt")
        mask = self._mask(shape.mask, kept) if shape.mask is not None else None
        span = annotation.span is not None and _is_span(annotation.span, kept)
        return Plan(annotation, kept, box, polygons, keypoints, point, mask, span)

    def _part(self, parts: Parts, values: Numbers, size: Size | None, kept: dict[str, Any], name: str) -> int:
        count = len(values)
        fits = count == parts.length if parts.length else count > 0 and count % 3 == 0
        if size is None or not fits:
            self.counts[NO_SIZE if fits else NO_FORM] += 1
            kept[name] = values
            return -1
        self.weight += count
        return parts.add(values, size)

    def _rings(self, rings: Sequence[Numbers], size: Size | None, kept: dict[str, Any]) -> int:
        fits = not any(not ring or len(ring) % 2 for ring in rings)
        if size is None or not rings or not fits:
            self.counts[NO_SIZE if fits else NO_FORM] += bool(rings)
            kept["p"] = rings
            return -1
        self.weight += sum(map(len, rings))
        return self.polygons.add_rings(rings, size)

    def _mask(self, mask: Mask, kept: dict[str, Any]) -> bytes | None:
        try:
            counts = runs(mask)
        except ValueError:
            self.counts[BAD_MASK] += 1
            kept["m"] = mask_residue(mask)
            return None
        text = isinstance(mask.counts, str)
        if not canonical_runs(counts) or (text and compressed(counts) != mask.counts):
            kept["m"] = mask_residue(mask)
        elif not text:
            kept["m"] = 1
        drawn = png(bitmap(mask, counts))
        self.weight += len(drawn)
        return drawn

    def solve(self, form: Form) -> Solved:
        """Place all parts."""
        solved = Solved(
            self.boxes.solve(form),
            self.polygons.solve(form),
            self.keypoints.solve(form),
            self.points.solve(),
            self,
        )
        self.counts[CLIPPED] += sum(parts.clipped for parts in (self.boxes, self.polygons, self.keypoints, self.points))
        self.counts[WIDENED] += self.boxes.widened
        return solved


class Solved(NamedTuple):
    """The parts of many annotations, as bytes of messages."""

    boxes: list[bytes]
    rings: list[bytes]
    keypoints: list[bytes]
    points: list[list[float]]
    planner: Planner

    def keep(self, plan: Plan) -> None:
        """Add to what is kept of an annotation how its coordinates come back, or the coordinates themselves."""
        planner, kept = self.planner, plan.kept
        shape = plan.annotation.shape or NO_SHAPE
        usual = PLAIN if shape.unit == "relative" else 2
        if plan.box >= 0 and (way := planner.boxes.ways[plan.box]) != usual:
            _keep(kept, "b", way, shape.box)
        if plan.polygons >= 0 and (way := planner.polygons.ways[plan.polygons]) != usual:
            _keep(kept, "p", way, shape.polygons)
        if plan.keypoints >= 0 and (way := planner.keypoints.ways[plan.keypoints]) != usual:
            _keep(kept, "k", way, plan.annotation.keypoints)
        if plan.point >= 0 and (way := planner.points.ways[plan.point]) != usual:
            _keep(kept, "pt", way, plan.annotation.point)


def _keep(kept: dict[str, Any], name: str, way: int, values: Any) -> None:
    if way == NO_WAY:
        kept[name] = values
    else:
        kept["d" + name] = way


def drawn_size(record: Input) -> Size | None:
    """The size in which an input's shapes were drawn: the declared one, else that of the media."""
    media = record.media
    for width, height in (
        (record.declared_width, record.declared_height),
        (media.width, media.height) if media is not None else (None, None),
    ):
        if width is not None and height is not None and width > 0 and height > 0:
            return float(width), float(height)
    return None


def _is_simple(annotation: Annotation, shape: Shape) -> bool:
    if shape.mask is not None or annotation.keypoints is not None or annotation.point is not None:
        return False
    return annotation.span is None and annotation.text is None


def _is_span(span: tuple[int, int], kept: dict[str, Any]) -> bool:
    if all(0 <= place < UNSIGNED for place in span):
        return True
    kept["sp"] = span
    return False
