"""What an edit says about annotations: fields to set, attributes to add, parts of the shape to put in."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import msgspec

from dsvc.errors import RefusedError, UsageError
from dsvc.model.clashes import settle
from dsvc.model.facts import SHAPE, SHAPE_PARTS, clashing, facts_of, fields_of, values_of
from dsvc.model.records import (
    Annotation,
    Numbers,
    Shape,
    Unit,
    annotation_fields,
    annotation_key,
    concept_id,
    decode_annotation,
    decode_shape,
    encode_annotation,
)
from dsvc.model.stored import stored_fields
from dsvc.model.validate import REFERENCE, wrong_annotation, wrong_part
from dsvc.store import codec

NOTHING: Mapping[str, Any] = {}


class Patch(msgspec.Struct, frozen=True, kw_only=True):
    """Changes to one annotation, or to many alike.

    `fields` are those of `Annotation`, the concept by name, but for `shape` and `attributes`. What is None or not
    given stays as it is.
    """

    fields: Mapping[str, Any] = NOTHING
    attributes: Mapping[str, Any] = NOTHING
    box: Numbers | None = None
    polygons: tuple[Numbers, ...] | None = None
    unit: Unit | None = None

    def changes(self) -> dict[str, Any]:
        """The fields that a new annotation gets. Raises UsageError."""
        fields = self._fields()
        if self.attributes:
            fields["attributes"] = dict(self.attributes)
        if self._has_shape:
            fields["shape"] = self._reshape(None)
        return fields

    def check(self, *, alone: bool) -> None:
        """Raise UsageError for what no annotation can have; with `alone`, for what is none by itself, too."""
        try:
            annotation = Annotation(key="", id="", **self.changes())
            wrong = wrong_annotation(annotation) if alone else wrong_part(annotation)
        except TypeError as error:
            wrong = str(error)
        if wrong:
            raise UsageError(f"the annotation: {wrong}", REFERENCE)

    def encoded(self) -> dict[str, Any]:
        """The fields that are the same for every annotation, as they are stored: all but attributes and shape."""
        return annotation_fields(Annotation(key="", id="", **self._fields()))

    def encode(self, stored: bytes, encoded: Mapping[str, Any]) -> bytes:
        """A stored annotation with the changes in it. `encoded` is what the method of this name gives.

        Raises RefusedError where its shape stands in the way, DamagedError.
        """
        fields = {**stored_fields(stored, "annotation"), **encoded}
        if self.attributes:
            fields["at"] = codec.canonical({**fields.get("at", NOTHING), **self.attributes})
        settle(fields, (*encoded, *(f"at\0{name}" for name in self.attributes)))
        if self._has_shape:
            fields = self._reshaped(fields)
        ordered = {name: fields[name] for name in sorted(fields)}
        try:
            return codec.pack(ordered)
        except OverflowError:  # an integer beyond 64 bits
            return codec.encode(ordered)

    def changed(self, old: Annotation) -> Annotation:
        """An annotation with the changes in it; what is set is in conflict no more. Raises UsageError, RefusedError."""
        return decode_annotation(annotation_key(old.key, old.id), self.encode(encode_annotation(old), self.encoded()))

    def _fields(self) -> dict[str, Any]:
        fields = {name: value for name, value in self.fields.items() if value is not None}
        if isinstance(fields.get("concept"), str):
            fields["concept"] = concept_id(fields["concept"])
        return fields

    @property
    def _has_shape(self) -> bool:
        return self.box is not None or self.polygons is not None or self.unit is not None

    def _reshaped(self, fields: dict[str, Any]) -> dict[str, Any]:
        """The stored fields with the parts of the shape put in; into all its values, where it is in conflict: it stays
        so where they differ in other parts."""
        if SHAPE in clashing(fields):
            facts = facts_of(fields)
            made = (self._reshape(decode_shape(value)) for value in facts[SHAPE].values())
            facts[SHAPE] = values_of(*(_encoded_shape(shape) for shape in made))
            return fields_of(facts)
        shape = self._reshape(decode_shape(fields))
        return {name: value for name, value in fields.items() if name not in SHAPE_PARTS} | _encoded_shape(shape)

    def _reshape(self, old: Shape | None) -> Shape | None:
        """The old shape with the parts that are given; the area follows the parts that it was the area of."""
        given = {"box": self.box, "polygons": self.polygons}
        parts: dict[str, Any] = {name: part for name, part in given.items() if part is not None}
        if not parts and (old is None or self.unit == old.unit):
            if old is None:
                raise UsageError("a unit is that of a box or of polygons, and there are none", "give them, too")
            return old
        before = old or Shape(unit=self.unit or "pixel")
        kept = [part for part in ("box", "polygons", "mask") if getattr(before, part) is not None and part not in parts]
        unit = self.unit or before.unit
        if unit != before.unit and kept:
            hint = f"give all parts of the shape in the new unit, or leave --unit {before.unit}"
            raise RefusedError(f"the shape keeps its {', '.join(kept)}, in unit {before.unit}", hint)
        return msgspec.structs.replace(before, **parts, unit=unit, area=_area(before, parts))


def _encoded_shape(shape: Shape | None) -> dict[str, Any]:
    return annotation_fields(Annotation(key="", id="", shape=shape))


def _area(before: Shape, parts: dict[str, Any]) -> float | None:
    if before.area is None or before.mask is not None:
        return before.area
    if "polygons" in parts:
        return _plain(sum(map(_ring_area, parts["polygons"])))
    # An empty list of polygons, as files of boxes have it, is no outline.
    box = before.box if not before.polygons and "box" in parts else None
    if box is not None and math.isclose(before.area, box[2] * box[3], rel_tol=1e-3):
        return _plain(parts["box"][2] * parts["box"][3])
    return before.area


def _plain(value: float) -> float:
    return int(value) if float(value).is_integer() and abs(value) < 1e15 else value


def _ring_area(ring: Numbers) -> float:
    points = list(zip(ring[::2], ring[1::2], strict=True))
    turned = zip(points, points[1:] + points[:1], strict=True)
    return abs(sum(x * b - a * y for (x, y), (a, b) in turned)) / 2
