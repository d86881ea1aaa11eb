"""Rows for annotations that came from no COCO file, or have what COCO has no field for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from dsvc.formats.coco_losses import NO_FIELD
from dsvc.formats.masks import compressed, runs
from dsvc.model.records import Annotation, Input, Mask, Shape, decode_annotation
from dsvc.model.walk import Walk

if TYPE_CHECKING:
    from dsvc.formats.coco_plan import Plan

# Parts of an annotation that COCO has no field for.
FOREIGN = ("point", "span", "time", "frame", "track", "value", "status", "author")
_encode = msgspec.json.Encoder().encode
decode_foreign = decode_annotation


def foreign_row(made: Annotation, walk: Walk, plan: Plan, place: tuple[bytes, bytes], with_keypoints: bool) -> bytes:
    """The row of an annotation, as JSON; `place` has its number and its image's."""
    row: dict[str, Any] = {}
    if made.concept is not None:
        row["category_id"] = plan.concepts[made.concept]
    shape = made.shape
    if shape is not None:
        _put_shape(row, shape if shape.unit == "pixel" else _in_pixels(shape, walk.input(made.key), plan))
    if made.number is None and made.concept is not None and (shape is not None or made.keypoints is not None):
        _complete(row, made)
    if made.crowd is not None:
        row["iscrowd"] = made.crowd
    if with_keypoints and made.keypoints is not None:
        row["keypoints"] = made.keypoints
    if made.text is not None:
        row["caption"] = made.text
    if made.attributes is not None:
        row["attributes"] = made.attributes
    for name in FOREIGN:
        if getattr(made, name) is not None:
            plan.count(f"annotations lost their {name}, {NO_FIELD}")
    if plan.is_counting:
        plan.losses.parts(shape is not None and shape.polygons is not None and shape.mask is not None, made.extras)
    row.update(made.extras.get("coco", {}))
    if not with_keypoints:
        row.pop("num_keypoints", None)
    return b'{"id":%b,"image_id":%b' % place + (b"," + _encode(row)[1:] if row else b"}")


def _complete(row: dict[str, Any], made: Annotation) -> None:
    """Give an annotation that came from no COCO file what COCO's own tools need of one."""
    box, rings = row.get("bbox"), row.get("segmentation")
    polygons = rings if isinstance(rings, tuple) and any(rings) else None
    area = None
    if polygons is not None:
        box = box or _extent([x for ring in polygons for x in ring[::2]], [y for ring in polygons for y in ring[1::2]])
        area = sum(map(ring_area, polygons))
    elif made.shape is not None and made.shape.mask is not None and (measured := _measured(made.shape.mask)):
        box, area = box or measured[0], measured[1]
    elif box is None and made.keypoints is not None:
        points = list(zip(*[iter(made.keypoints)] * 3, strict=True))
        there = [point for point in points if point[2]] or points
        box = _extent([x for x, _, _ in there], [y for _, y, _ in there])
    if box is not None:
        row["bbox"] = box
    if area is None:
        area = box[2] * box[3] if box is not None else 0
    row.setdefault("segmentation", ())
    row.setdefault("area", area)
    row.setdefault("iscrowd", 0)


def _extent(xs: list[float], ys: list[float]) -> tuple[float, ...]:
    return min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)


def _measured(mask: Mask) -> tuple[tuple[float, ...], float] | None:
    """A mask's box and area; None for one that cannot be drawn."""
    from pycocotools import mask as coco_mask

    try:
        text = compressed(runs(mask)).encode()
    except ValueError:
        return None
    packed = {"size": [mask.height, mask.width], "counts": text}
    return tuple(map(float, coco_mask.toBbox(packed))), float(coco_mask.area(packed))


def ring_area(ring: tuple[float, ...]) -> float:
    """The area that a ring x, y, x, y, ... encloses, by the shoelace formula."""
    points = list(zip(ring[::2], ring[1::2], strict=False))
    following = points[1:] + points[:1]
    return abs(sum(x * b - a * y for (x, y), (a, b) in zip(points, following, strict=True))) / 2


def _put_shape(row: dict[str, Any], shape: Shape) -> None:
    if shape.polygons is not None:
        row["segmentation"] = shape.polygons
    elif shape.mask is not None:
        row["segmentation"] = _runs(shape.mask)
    if shape.area is not None:
        row["area"] = shape.area
    if shape.box is not None:
        row["bbox"] = shape.box


def _runs(mask: Mask) -> dict[str, Any]:
    return {"size": (mask.height, mask.width), "counts": mask.counts}


def _in_pixels(shape: Shape, record: Input | None, plan: Plan) -> Shape:
    """A relative shape in pixels of the declared size, or else of the media's."""
    media = record.media if record else None
    width = (record.declared_width if record else None) or (media.width if media else None)
    height = (record.declared_height if record else None) or (media.height if media else None)
    if not width or not height:
        plan.count("shapes stayed relative, since their image's size is not known")
        return shape

    def scaled(values: tuple[float, ...]) -> tuple[float, ...]:
        return tuple(v * (height if n % 2 else width) for n, v in enumerate(values))

    return Shape(
        box=scaled(shape.box) if shape.box is not None else None,
        polygons=tuple(map(scaled, shape.polygons)) if shape.polygons is not None else None,
        mask=shape.mask,
        area=shape.area * width * height if shape.area is not None else None,
    )
