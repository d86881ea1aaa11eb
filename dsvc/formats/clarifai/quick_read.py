"""The quick way from an input that dsvc wrote to its annotations: of boxes and polygons in pixels, and nothing rare.

What this way does not take goes, input by input, to `own`, which says the same of the same regions.
"""

from __future__ import annotations

from typing import Any

import msgspec

from dsvc.formats.clarifai.geometry import Size
from dsvc.formats.clarifai.ids import part_id
from dsvc.formats.clarifai.parts import Parts
from dsvc.formats.clarifai.places import WAYS, Fields
from dsvc.formats.clarifai.read_schema import BadMessage
from dsvc.model.records import plain_number

Number = int | str
_PIXELS = 2
# The fields of an input's Data beside which it may have others.
_OTHERS = ("frames", "timeSegments", "concepts")


class Plain(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """What is kept of a usual annotation."""

    a: float | int | None = None
    cr: int | None = None
    n: Number | None = None
    r: int = 1
    db: int | None = None
    dp: int | None = None


_decode = msgspec.json.Decoder(list[Plain]).decode
Entry = tuple[bytes, Fields]


class _Other(Exception):  # noqa: N818 - not an error
    """An input for the long way."""


class QuickReader:
    """Reads inputs, whose coordinates then wait in the places of `parts`."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._usual = parts.form.usual_region
        self._concepts: dict[bytes | None, tuple[str | None, float | int | None]] = {}

    def annotations(self, data: dict[str, Any], kept: str, drawn: Size | None) -> list[Entry] | None:
        """Id and fields of each annotation; None, and nothing has changed, for an input for the long way."""
        if drawn is None or any(name in data for name in _OTHERS):
            return None
        try:
            return self._read(data.get("regions", []), _decode(kept), drawn)
        except (_Other, msgspec.MsgspecError, BadMessage, RecursionError):
            return None

    def _read(self, regions: list[Any], rows: list[Plain], drawn: Size) -> list[Entry]:
        made: list[Entry] = []
        boxes: list[tuple[bytes, Fields, int]] = []
        rings: list[tuple[list[bytes], Fields, int]] = []
        following, last, usual = iter(regions), b"", self._usual
        for row in rows:
            found = usual(next(following, None))
            if found is None or found[0] <= last:
                raise _Other
            last, box, polygon, said = found
            fields: Fields = {}
            # In the order of the names, since that is how they are stored.
            if row.a is not None:
                fields["a"] = plain_number(row.a)
            if box is not None:
                fields["b"] = None
                boxes.append((box, fields, _PIXELS if row.db is None else row.db))
            concept, value = self._concepts.get(said) or self._named(said)
            if concept is not None:
                fields["c"] = concept
            if row.cr is not None:
                fields["cr"] = row.cr
            if row.n is not None:
                fields["n"] = row.n
            if polygon is not None:
                fields["p"] = None
                more = [polygon] if row.r == 1 else [polygon, *(self._others(following, last, row.r))]
                rings.append((more, fields, _PIXELS if row.dp is None else row.dp))
            elif row.r != 1:
                raise _Other
            if value is not None:
                fields["v"] = value
            made.append((last, fields))
        if next(following, None) is not None:
            raise _Other
        self._place(boxes, rings, drawn)
        return made

    def _named(self, said: bytes | None) -> tuple[str | None, float | int | None]:
        """The concept that a region's Data names, and its value."""
        found = self._parts.said(said)
        if len(found.concepts) > 1 or found.rest:
            raise _Other
        named = found.concepts[0] if found.concepts else None
        made = (named.concept, named.value) if named is not None else (None, None)
        if len(self._concepts) >= 10_000:
            self._concepts.clear()
        self._concepts[said] = made
        return made

    def _others(self, following: Any, name: bytes, count: int) -> list[bytes]:
        """The other polygons of an annotation."""
        rings = []
        for part in range(2, count + 1):
            found = self._usual(next(following, None))
            if found is None or found[1] is not None or found[2] is None:
                raise _Other
            if found[0] != part_id(name.decode(), part).encode():
                raise _Other
            rings.append(found[2])
        return rings

    def _place(
        self, boxes: list[tuple[bytes, Fields, int]], rings: list[tuple[list[bytes], Fields, int]], size: Size
    ) -> None:
        places = self._parts.places
        if not WAYS.issuperset([way for _, _, way in boxes]) or not WAYS.issuperset([way for _, _, way in rings]):
            raise _Other
        for box, fields, way in boxes:
            places.box(box, fields, size, way)
        for more, fields, way in rings:
            places.rings(more, fields, size, way)
