"""The parts of regions that both ways of reading have in common: dsvc's own archives, and Clarifai's."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from dsvc.formats.clarifai.concepts import Concepts
from dsvc.formats.clarifai.leftovers import left_over
from dsvc.formats.clarifai.mask_back import mask_runs
from dsvc.formats.clarifai.places import Fields, Places
from dsvc.formats.clarifai.read_schema import BadMessage
from dsvc.formats.masks import compressed
from dsvc.model.numbers import pack_ragged
from dsvc.model.records import plain_number

_CACHED = 10_000
# Clarifai's enum as COCO's visibility; what is not set counts as seen.
_SEEN = (2, 2, 1, 0)


class Named(NamedTuple):
    """A concept that is named, and its value."""

    concept: str
    value: float | None


class Said(NamedTuple):
    """What the Data of a region says: its concepts, and its other fields."""

    concepts: tuple[Named, ...]
    rest: dict[str, Any]


NOTHING = Said((), {})


class Parts:
    """Reads parts of messages; coordinates wait in `places`."""

    def __init__(self, form: Any, concepts: Concepts) -> None:
        self.form = form
        self.concepts = concepts
        self.places = Places(form)
        self._said: dict[bytes, Said] = {}

    def begin(self) -> None:
        """Begin with new coordinates."""
        self.places = Places(self.form)

    def said(self, raw: Any, concept: str | None = None) -> Said:
        """What the Data of a region says; of `concept`, where that is known already. Raises BadMessage."""
        if raw is None:
            return NOTHING
        key = bytes(raw)
        found = self._said.get(key) if concept is None else None
        if found is None:
            rest = self.form.fields("Data", key)
            found = Said(tuple(self.named(one, concept) for one in rest.pop("concepts", ())), rest)
            if len(key) < 512 and concept is None:
                if len(self._said) >= _CACHED:
                    self._said.clear()
                self._said[key] = found
        return found

    def named(self, raw: Any, concept: str | None = None) -> Named:
        """A Concept, which is `concept` where that is known already. Raises BadMessage."""
        fields = self.form.fields("Concept", raw)
        id_, name, value = fields.get("id", ""), fields.get("name", ""), fields.get("value", 0.0)
        if not math.isfinite(value):
            raise BadMessage(f"has concept {id_ or name!r} with a value that is no number")
        if concept is None:
            more = left_over(self.form, "Concept", fields, ("id", "name", "value")) if len(fields) > 3 else {}
            concept = self.concepts.id_of(id_ or name, name, more)
        return Named(concept, None if value == 1.0 else plain_number(value))

    def keypoints(self, raw: list[Any]) -> tuple[list[tuple[float, float]], list[int]]:
        """The points of keypoints, and their visibility. Raises BadMessage."""
        read = [self.form.fields("Point", point) for point in raw]
        kinds = [point.get("visibility", 0) for point in read]
        seen = [_SEEN[kind] if kind < len(_SEEN) else 2 for kind in kinds]
        return [(point.get("col", 0.0), point.get("row", 0.0)) for point in read], seen

    def point(self, raw: Any) -> tuple[float, float]:
        """A point as (x, y). Raises BadMessage."""
        fields = self.form.fields("Point", raw)
        return fields.get("col", 0.0), fields.get("row", 0.0)

    def span(self, raw: Any) -> tuple[list[int], str | None]:
        """The first character and the one after the last, and the text. Raises BadMessage."""
        fields = self.form.fields("Span", raw)
        return [fields.get("charStart", 0), fields.get("charEnd", 0)], fields.get("rawText") or None

    def mask(self, raw: Any, as_numbers: bool) -> list[Any] | None:
        """The mask of a Mask; None where its picture is not in it. Raises BadMessage."""
        image = self.form.fields("Mask", raw).get("image")
        data = self.form.fields("Image", image).get("base64") if image is not None else None
        if not data:
            return None
        height, width, counts = mask_runs(bytes(data))
        if as_numbers:
            return [height, width, pack_ragged(counts.astype("float64"), [len(counts)])[0]]
        return [height, width, compressed(counts.tolist())]


def put_named(fields: Fields, named: Named) -> None:
    """Give an annotation its concept and value."""
    fields["c"] = named.concept
    if named.value is not None:
        fields["v"] = named.value
