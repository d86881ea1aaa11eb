"""Whether an annotation that somebody makes can be meant. What comes from files is kept as it came, odd or not."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import msgspec

from dsvc.errors import UsageError
from dsvc.model.records import Annotation, Mask, Shape
from dsvc.store import codec

SAYS = ("concept", "shape", "keypoints", "point", "text", "span", "time", "frame", "attributes")


REFERENCE = "see the library's reference: Annotation"


def check_annotation(annotation: Annotation) -> None:
    """Raise UsageError, naming the input, for an annotation of wrong types, counts or ranges, or that says nothing."""
    wrong = wrong_annotation(annotation)
    if wrong:
        raise UsageError(f"an annotation of {annotation.key!r}: {wrong}", REFERENCE)


def wrong_annotation(annotation: Annotation) -> str | None:
    """What is wrong with an annotation; or None."""
    wrong = wrong_part(annotation)
    if not wrong and not annotation.conflicts and not any(getattr(annotation, name) is not None for name in SAYS):
        return "says nothing: give a concept, a shape, text or another part"
    return wrong


def wrong_part(annotation: Annotation) -> str | None:
    """What is wrong with the types, counts or ranges of an annotation's parts; or None."""
    return _wrong_types(annotation) or next(_wrong_values(annotation), None)


def _wrong_types(annotation: Annotation) -> str | None:
    try:
        plain = msgspec.to_builtins(annotation)
        msgspec.convert(plain, Annotation)
        codec.canonical(plain)
    except (msgspec.ValidationError, codec.EncodeError, TypeError, ValueError) as error:
        return str(error)
    return None


def _wrong_values(annotation: Annotation) -> Iterator[str]:
    if annotation.concept is not None and (not annotation.concept or "\0" in annotation.concept):
        yield "a concept has at least one character, and no NUL"
    if annotation.keypoints is not None and len(annotation.keypoints) % 3:
        yield f"keypoints are x, y, visibility for each point, not {len(annotation.keypoints)} numbers"
    elif annotation.keypoints is not None and any(seen not in (0, 1, 2) for seen in annotation.keypoints[2::3]):
        yield "a keypoint's visibility is 0 (not there), 1 (hidden) or 2 (visible)"
    if annotation.point is not None and len(annotation.point) != 2:
        yield f"a point is x, y, not {len(annotation.point)} numbers"
    if annotation.crowd not in (None, 0, 1):
        yield f"crowd is 0 or 1, not {annotation.crowd}"
    if annotation.span is not None and not 0 <= annotation.span[0] <= annotation.span[1]:
        yield "a span is the first character and the one after the last"
    if annotation.frame is not None and annotation.frame < 0:
        yield f"a frame is counted from 0, not {annotation.frame}"
    if annotation.time is not None and not 0 <= annotation.time[0] <= annotation.time[1] < math.inf:
        yield "a time is begin and end in seconds, from 0, the end not before the begin"
    if not all(isinstance(fields, Mapping | list | tuple) for fields in annotation.extras.values()):
        yield "extras are maps of fields, by the name of a source format"
    if annotation.shape is not None:
        yield from _wrong_shape(annotation.shape)


def _wrong_shape(shape: Shape) -> Iterator[str]:
    if shape.box is not None:
        if len(shape.box) != 4:
            yield f"a box is x, y, width, height, not {len(shape.box)} numbers"
        elif shape.box[2] < 0 or shape.box[3] < 0:
            yield "a box's width and height cannot be below 0"
    for ring in shape.polygons or ():
        if len(ring) < 6 or len(ring) % 2:
            yield f"a polygon is x, y of three points or more, not {len(ring)} numbers"
    if shape.mask is not None and (wrong := wrong_mask(shape.mask)):
        yield wrong
    if shape.area is not None and not (math.isfinite(shape.area) and shape.area >= 0):
        yield "an area cannot be below 0"


def wrong_mask(mask: Mask) -> str | None:
    """What is wrong with a mask's runs, where they are not compressed; or None."""
    if isinstance(mask.counts, str):
        return None
    if sum(mask.counts) != mask.height * mask.width or any(run < 0 for run in mask.counts):
        return f"the runs of a mask of {mask.height} x {mask.width} do not add up to it"
    return None
