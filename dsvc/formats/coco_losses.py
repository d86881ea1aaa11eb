"""What a COCO export leaves out, by count: what it has no field for, and inputs that are no images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import msgspec

from dsvc.core.media import media_kind
from dsvc.formats.coco_rows import Stored
from dsvc.formats.counted import counted
from dsvc.model.extras import ABSENT
from dsvc.model.records import Concept, Number
from dsvc.model.stored import stored_fields

NO_FIELD = "which COCO has no field for"
# Fields of an input that COCO has none for.
_FIELDS = ("metadata", "split", "geo", "embeddings")
_OWN = {"coco", ABSENT}
_NONE: dict[str, Any] = {}


class _Type(msgspec.Struct, gc=False):
    type: str | None = None


class Summary(msgspec.Struct, gc=False):
    """What the plan of an export looks at of a stored input."""

    number: int | str | None = None
    media: _Type | None = None
    metadata: msgspec.Raw = msgspec.Raw()
    split: str | None = None
    license: str | None = None
    geo: bytes | None = None
    embeddings: msgspec.Raw = msgspec.Raw()
    extras: dict[str, msgspec.Raw] = {}

    @property
    def kind(self) -> str:
        """The kind of sample that an input is; what came from a COCO file, or is of no known type, is an image."""
        if self.number is not None or self.media is None or self.media.type is None or self.extras.keys() & _OWN:
            return "image"
        return media_kind(self.media.type)


_decode = msgspec.msgpack.Decoder(Summary).decode


def summarize(value: bytes) -> Summary:
    """The summary of a stored input."""
    try:
        return _decode(value)
    except msgspec.MsgspecError:  # its number is beyond 64 bits
        number: Number = stored_fields(value, "input")["number"]
        found = msgspec.msgpack.decode(value, type=dict[str, msgspec.Raw])
        found.pop("number", None)
        rest = _decode(msgspec.msgpack.encode(found))
        rest.number = number
        return rest


class Losses:
    """Counts what has no place in COCO."""

    def __init__(self, with_splits: bool = False) -> None:
        # With a file for each split, splits are not lost.
        self._fields = tuple(name for name in _FIELDS if not (with_splits and name == "split"))
        self._counts: Counter[str] = Counter()
        self._kinds: Counter[str] = Counter()
        self._annotations = 0

    def count(self, what: str) -> None:
        """Count one more of something: `what` is the end of a sentence that begins with the number."""
        self._counts[what] += 1

    def input(self, seen: Summary) -> None:
        """Count what an image has that COCO has no field for."""
        for name in self._fields:
            if getattr(seen, name):
                self.count(f"inputs lost their {name}, {NO_FIELD}")
        if seen.extras.keys() - _OWN:
            self.count(f"inputs lost fields of other formats, {NO_FIELD}")

    def concept(self, concept: Concept) -> None:
        """Count what a concept has that COCO has no field for."""
        if concept.extras.keys() - {"coco"}:
            self.count(f"concepts lost fields of other formats, {NO_FIELD}")

    def annotations(self, stored: list[Stored]) -> None:
        """Count what usual annotations have that COCO has no field for."""
        for made in stored:
            if made.x is not None or (made.p is not None and made.m is not None):
                self.parts(made.p is not None and made.m is not None, made.x or _NONE)

    def parts(self, both: bool, extras: Any) -> None:
        """Count what an annotation loses that has `both` polygons and a mask, or has extras of other formats."""
        if both:
            self.count("annotations lost their mask, since COCO has one segmentation and they have polygons")
        if extras.keys() - {"coco"}:
            self.count(f"annotations lost fields of other formats, {NO_FIELD}")

    def leave_out(self, kind: str) -> None:
        """Count an input that is no image."""
        self._kinds[kind] += 1

    def leave_out_annotation(self) -> None:
        """Count an annotation of an input that is no image."""
        self._annotations += 1

    def notes(self) -> Iterator[str]:
        """All that was left out, with counts."""
        if self._kinds:
            count = self._kinds.total()
            kinds = ", ".join(f"{kind} {self._kinds[kind]:,}" for kind in sorted(self._kinds))
            what = "1 input is no image" if count == 1 else f"{count:,} inputs are no images"
            with_them = f" with {self._annotations:,} annotations" if self._annotations else ""
            yield f"{what}, left out{with_them}: {kinds}"
        for what, count in sorted(self._counts.items()):
            yield counted(count, what)
