"""What COCO's own evaluation takes: annotations and predictions of one input as rows of its format, in pixels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from dsvc.core.keys import display
from dsvc.core.scoring.masks import Size, mask_area, mask_of, ring_area
from dsvc.core.scoring.scores import Kind
from dsvc.model.geometry import box_of, size_of
from dsvc.model.incoming import Problems
from dsvc.model.records import Annotation, Numbers, Shape
from dsvc.model.walk import Sample

Row = dict[str, Any]
NO_SIZE = "the input's size in pixels is not known"
# Beyond this, products of two numbers leave float64; no picture is so large.
_FAR = 1e100


class Scene(NamedTuple):
    """What is compared with each other: the annotations and predictions of one input, of a video those of one frame.

    `whose` is the input's index among all.
    """

    whose: int
    truth: list[Row]
    predicted: list[Row]


class Rows:
    """Turns records into rows of COCO's format for one kind of shape; what cannot be is named in `problems`."""

    def __init__(self, kind: Kind) -> None:
        self.problems = Problems()
        self._kind = kind
        # Concept -> how many keypoints it has.
        self.points: dict[str, int] = {}

    def scenes(self, whose: int, sample: Sample, predicted: Sequence[Annotation]) -> list[Scene]:
        """The scenes of an input: one, or as many as frames are annotated or predicted."""
        size = size_of(sample.input)
        found: dict[int | None, Scene] = {}
        for records, is_truth in ((sample.annotations, True), (predicted, False)):
            for annotation in records:
                row = self._row(annotation, size, is_truth)
                if row is not None:
                    scene = found.setdefault(annotation.frame, Scene(whose, [], []))
                    (scene.truth if is_truth else scene.predicted).append(row)
        if self._kind == "mask":
            self._require_one_grid(sample.input.key, found.values())
        return list(found.values()) or [Scene(whose, [], [])]

    def _row(self, annotation: Annotation, size: Size | None, is_truth: bool) -> Row | None:
        """The row of a record; None for one that has no shape of the kind, no concept, or says what is not there."""
        if annotation.concept is None or (is_truth and annotation.value == 0):
            return None
        try:
            row = self._shaped(annotation, size, is_truth)
            if row is None:
                return None
            if not is_truth:
                row["score"] = _score(annotation)
        except ValueError as error:
            name = f"#{annotation.id}" if is_truth else f": a prediction of {annotation.concept!r}"
            self.problems.add(f"{display(annotation.key)}{display(name)}: {error}")
            return None
        row["concept"] = annotation.concept
        row["iscrowd"] = 1 if is_truth and annotation.crowd else 0
        return row

    def _shaped(self, annotation: Annotation, size: Size | None, is_truth: bool) -> Row | None:
        if self._kind == "mask":
            return _mask_row(annotation, size, is_truth)
        if self._kind == "keypoints":
            return self._keypoints_row(annotation, size, is_truth)
        box = _box(annotation, size)
        return None if box is None else {"bbox": box, "area": _area(annotation, box, size, is_truth)}

    def _keypoints_row(self, annotation: Annotation, size: Size | None, is_truth: bool) -> Row | None:
        points, concept = annotation.keypoints, annotation.concept
        if not points or concept is None:
            return None
        number = len(points) // 3
        known = self.points.setdefault(concept, number)
        if len(points) % 3:
            raise ValueError(f"{len(points)} numbers are not x, y, visibility of each keypoint")
        if known != number:
            raise ValueError(f"it has {number} keypoints, others of its concept have {known}")
        box = _box(annotation, size) if is_truth else _predicted_box(annotation, points, size)
        box = box or [0.0, 0.0, 0.0, 0.0]
        return {
            "keypoints": [_bounded(number) for number in points],
            "num_keypoints": sum(seen > 0 for seen in points[2::3]),
            "bbox": box,
            "area": _area(annotation, box, size, is_truth),
        }

    def _require_one_grid(self, key: str, scenes: Any) -> None:
        """COCO's evaluation takes masks of different sizes for masks that share nothing, and does not say so."""
        grids = {tuple(row["segmentation"]["size"]) for _, *sides in scenes for side in sides for row in side}
        if len(grids) > 1:
            sizes = ", ".join(f"{width} x {height}" for height, width in sorted(grids))
            self.problems.add(f"{display(key)}: its masks are of different sizes in pixels: {sizes}")


def _mask_row(annotation: Annotation, size: Size | None, is_truth: bool) -> Row | None:
    shape = annotation.shape
    if shape is None:
        return None
    if shape.mask is None and not shape.polygons and not is_truth:
        shape = _rectangle(shape)
    mask = mask_of(shape, size)
    if mask is None:
        return None
    own = _own_area(shape, size) if is_truth else None
    return {"segmentation": mask, "area": mask_area(mask) if own is None else own}


def _rectangle(shape: Shape) -> Shape:
    """A box as a polygon."""
    if shape.box is None or len(shape.box) != 4:
        return shape
    x, y, width, height = shape.box
    ring = (x, y, x, y + height, x + width, y + height, x + width, y)
    return Shape(polygons=(ring,), unit=shape.unit)


def _box(annotation: Annotation, size: Size | None) -> list[float] | None:
    """The box of an annotation, or that around its polygons, its mask or its keypoints.

    One whose size is below 0 stays so, and overlaps nothing: that is what COCO's evaluation makes of it.
    """
    shape = annotation.shape
    if shape is None and annotation.keypoints is None:
        return None
    if shape is not None and shape.unit == "relative" and size is None:
        raise ValueError(NO_SIZE)
    if shape is not None and shape.box is not None and len(shape.box) == 4:
        scale = size if size is not None and shape.unit == "relative" else (1.0, 1.0)
        return [_bounded(number * scale[at % 2]) for at, number in enumerate(shape.box)]
    if shape is not None and shape.mask is not None and not shape.polygons:
        mask_of(shape, size)  # a mask that cannot be drawn is told, not left out
    box = box_of(Annotation(key="", id="", shape=shape, keypoints=annotation.keypoints), size)
    return [_bounded(number) for number in box] if box is not None else None


def _predicted_box(annotation: Annotation, points: Numbers, size: Size | None) -> list[float] | None:
    """The box of predicted keypoints: their own, or that around all of them, whatever their visibility."""
    if annotation.shape is not None:
        return _box(annotation, size)
    xs, ys = points[::3], points[1::3]
    return [_bounded(number) for number in (min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys))]


def _area(annotation: Annotation, box: list[float], size: Size | None, is_truth: bool) -> float:
    """The area in pixels² by which COCO calls something small, medium or large.

    That of ground truth is its own, else that of its polygons or its mask; predictions have that of their box.
    """
    shape = annotation.shape
    if shape is None or (shape.box is not None and not is_truth):
        return box[2] * box[3]
    own = _own_area(shape, size) if is_truth else None
    if own is not None:
        return own
    if shape.polygons or shape.mask is None:
        return box[2] * box[3]
    mask = mask_of(shape, size)
    return box[2] * box[3] if mask is None else mask_area(mask)


def _own_area(shape: Shape, size: Size | None) -> float | None:
    area, scale = shape.area, 1.0
    if area is None and shape.polygons:
        area = sum(ring_area(ring) for ring in shape.polygons)
    if area is None:
        return None
    if shape.unit == "relative":
        if size is None:
            raise ValueError(NO_SIZE)
        scale = size[0] * size[1]
    return _bounded(area * scale)


def _score(annotation: Annotation) -> float:
    """The score of a prediction; 1 where it has none."""
    value = 1.0 if annotation.value is None else annotation.value
    if not math.isfinite(value):
        raise ValueError(f"its score is {value}")
    return float(value)


def _bounded(number: float) -> float:
    return float(max(-_FAR, min(number, _FAR)))


def by_number(scenes: list[Scene], numbers: Sequence[Any]) -> list[Scene]:
    """The scenes in the order of their inputs' numbers where all have one of their own, else as they are.

    Equal scores are told apart by the order of the images; in this one it is that of COCO's own tool.
    """
    if len(set(numbers)) < len(numbers) or not all(type(number) is int for number in numbers):
        return scenes
    return sorted(scenes, key=lambda scene: numbers[scene.whose])
