"""What a model shall say of an input: its annotations as rows of numbers, classes by their index."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from dsvc.core.keys import display
from dsvc.core.nearest import near_names
from dsvc.errors import RefusedError, UsageError
from dsvc.model.geometry import Box, Size, box_of
from dsvc.model.records import Annotation, Concept, Numbers, Shape
from dsvc.model.runs import runs

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

Weights = Sequence[tuple[int, float]]
PARTS = ("label", "multi_hot", "boxes", "labels", "area", "iscrowd", "ids", "masks", "keypoints", "annotations")
DEFAULT = ("label", "boxes", "labels")


class Row(NamedTuple):
    """An annotation that has a place on the picture, the index of its class, and its box x, y, width, height."""

    annotation: Annotation
    label: int
    box: Box


class Place(NamedTuple):
    """A box, in pixels or from 0 to 1."""

    box: Box
    is_relative: bool


class Classes:
    """The classes of a model: the ids of concepts, by index. What names another concept is left out."""

    def __init__(self, concepts: Iterable[Concept], names: Sequence[str] | None = None) -> None:
        """All concepts, or those of some ids in their order. Raises UsageError for one that is not there, or twice."""
        found = {concept.id: concept for concept in concepts}
        self.names = tuple(found if names is None else names)
        for at, name in enumerate(self.names):
            if name not in found:
                near = near_names(name, list(found))
                raise UsageError(f"no concept {name!r}", f"did you mean {', '.join(near)}?" if near else None)
            if name in self.names[:at]:
                raise UsageError(f"class {name!r} is named twice")
        self._index = {name: at for at, name in enumerate(self.names)}
        self.points = max((len(found[name].keypoints or ()) for name in self.names), default=0)

    def __len__(self) -> int:
        return len(self.names)

    def index(self, annotation: Annotation) -> int | None:
        """The index of an annotation's class; None where it is none of these, or says that the class is not there."""
        return self.index_of(annotation.concept, annotation.value)

    def index_of(self, concept: str | None, value: float | None) -> int | None:
        """The same of its concept and value."""
        return None if concept is None or value == 0 else self._index.get(concept)

    # ---- of the input as a whole

    def weights(self, annotations: Iterable[Annotation]) -> Weights:
        """The classes that the input as a whole has, each with its value, which is 1 where none is given."""
        found = []
        for annotation in annotations:
            label = self.index(annotation) if is_whole(annotation) else None
            if label is not None:
                found.append((label, weight(annotation.value)))
        return found

    # ---- of places on the picture

    def rows(self, annotations: Iterable[Annotation], size: Size | None, key: str) -> list[Row]:
        """The annotations with a shape or keypoints, in the order of their ids. A box without extent is left out.

        Raises RefusedError where a place is relative and the size is not known.
        """
        found = []
        for annotation in annotations:
            label = self.index(annotation)
            place = place_of(annotation) if label is not None else None
            if label is None or place is None:
                continue
            if place.is_relative and size is None:
                raise no_size(key)
            found.append(Row(annotation, label, scaled(place.box, size) if place.is_relative and size else place.box))
        return found


def place_of(annotation: Annotation) -> Place | None:
    """Where an annotation with a shape or keypoints is; None for one without, or whose box has no extent."""
    shape, points = annotation.shape, annotation.keypoints
    is_relative = shape is not None and shape.unit == "relative"
    box = _box(annotation, None, shape, (1.0, 1.0) if is_relative else None)
    if box is None:
        is_relative, box = False, _box(annotation, points, None, None)
    return Place(box, is_relative) if box is not None and box[2] > 0 and box[3] > 0 else None


def _box(annotation: Annotation, keypoints: Numbers | None, shape: Shape | None, size: Size | None) -> Box | None:
    alone = Annotation(key=annotation.key, id=annotation.id, keypoints=keypoints, shape=shape)
    return box_of(alone, size)


def scaled(box: Box, size: Size) -> Box:
    """A box of 0 to 1 in pixels."""
    return (box[0] * size[0], box[1] * size[1], box[2] * size[0], box[3] * size[1])


def weight(value: float | None) -> float:
    """What a class counts whose annotation has a value, or none."""
    return 1.0 if value is None else float(value)


def pick_label(weights: Weights) -> int:
    """The class with the highest value, the first of equals; -1 where there is none."""
    return min(weights, key=lambda found: (-found[1], found[0]))[0] if weights else -1


def is_whole(annotation: Annotation) -> bool:
    """Whether an annotation is of the input as a whole, and of no part of it."""
    parts = (annotation.shape, annotation.keypoints, annotation.point, annotation.span, annotation.time)
    return all(part is None for part in (*parts, annotation.frame))


def no_size(key: str) -> RefusedError:
    """The error for places that cannot be told in pixels."""
    message = f"{display(key)}: its annotations are relative to the size of the picture, which is not known"
    return RefusedError(message, "add its file, whose header says it: dsvc add PATH")


def corners(rows: Sequence[Row]) -> list[tuple[float, float, float, float]]:
    """The boxes as left, top, right, bottom, in pixels."""
    return [(x, y, x + width, y + height) for _, _, (x, y, width, height) in rows]


def areas(rows: Sequence[Row], size: Size | None) -> list[float]:
    """The declared area in square pixels, else that of the box."""
    found = []
    for annotation, _, (_, _, width, height) in rows:
        shape = annotation.shape
        if shape is None or shape.area is None:
            found.append(width * height)
        elif shape.unit == "relative" and size is not None:
            found.append(float(shape.area) * size[0] * size[1])
        else:
            found.append(float(shape.area))
    return found


def keypoints(rows: Sequence[Row], points: int) -> Array:
    """Float32 of shape (rows, points, 3): x and y in pixels, and COCO's visibility; all 0 where there is no point."""
    import numpy as np

    most = max((len(row.annotation.keypoints or ()) // 3 for row in rows), default=0)
    found = np.zeros((len(rows), max(points, most), 3), dtype=np.float32)
    for at, row in enumerate(rows):
        numbers = row.annotation.keypoints or ()
        count = len(numbers) // 3
        found[at, :count] = np.array(numbers[: count * 3]).reshape(count, 3)
    return found


# ---- masks


def masks(rows: Sequence[Row], size: Size | None, key: str) -> Array:
    """Uint8 of shape (rows, height, width), 1 where the annotation is: of its mask, else its polygons; a box alone has
    no mask, so that all of it is 0. Raises RefusedError."""
    import numpy as np

    if size is None:
        raise no_size(key)
    width, height = round(size[0]), round(size[1])
    found = np.zeros((len(rows), height, width), dtype=np.uint8)
    for at, row in enumerate(rows):
        shape = row.annotation.shape
        try:
            if shape is not None and shape.mask is not None:
                found[at] = _fitted(_drawn(runs(shape.mask), shape.mask.height), height, width)
            elif shape is not None and shape.polygons:
                scale = size if shape.unit == "relative" else (1.0, 1.0)
                found[at] = _filled(shape.polygons, scale, height, width)
        except ValueError as error:
            message = f"{display(key)}#{row.annotation.id}: its mask cannot be drawn: {error}"
            raise RefusedError(message, "see what else is odd: dsvc check") from error
    return found


def _drawn(counts: Sequence[int], height: int) -> Array:
    """The picture of runs in columns, zeros first."""
    import numpy as np

    values = np.arange(len(counts), dtype=np.int64) % 2
    return np.repeat(values, counts).astype(np.uint8).reshape(-1, height).T


def _fitted(mask: Array, height: int, width: int) -> Array:
    """A mask on the grid of the picture, by its nearest pixels where its own grid is another one."""
    import numpy as np

    if mask.shape == (height, width):
        return mask
    down = (np.arange(height) * mask.shape[0]) // height
    across = (np.arange(width) * mask.shape[1]) // width
    fitted: Array = mask[down[:, None], across]
    return fitted


def _filled(polygons: Sequence[Sequence[float]], scale: Size, height: int, width: int) -> Array:
    """The area in any of some polygons, drawn as COCO draws them."""
    import numpy as np
    from pycocotools import mask as coco

    rings = [ring for ring in polygons if len(ring) >= 6 and len(ring) % 2 == 0]
    if not rings:
        return np.zeros((height, width), dtype=np.uint8)
    flat = [[number * scale[at % 2] for at, number in enumerate(ring)] for ring in rings]
    drawn: Array = coco.decode(coco.merge(coco.frPyObjects(flat, height, width)))
    return drawn
