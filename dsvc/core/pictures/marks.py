"""Marks: annotations as they are to be drawn, with their colour, their name and how heavy they are."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple

from dsvc.core.pictures.colours import ADDED, REMOVED, SAME, Colour, colour_of
from dsvc.model.records import Annotation, Concept

Skeleton = tuple[tuple[int, int], ...]
_TEXT = 40


class Line(Enum):
    """How an outline is drawn."""

    PLAIN = "plain"
    DASHED = "dashed"
    THIN = "thin"


class Mark(NamedTuple):
    """An annotation to draw; without a `label`, none is written."""

    annotation: Annotation
    colour: Colour
    label: str | None = None
    skeleton: Skeleton = ()
    line: Line = Line.PLAIN
    is_filled: bool = True

    @property
    def has_place(self) -> bool:
        """Whether it lies somewhere on the picture."""
        one = self.annotation
        shape = one.shape
        drawn = shape is not None and (shape.box or shape.polygons or shape.mask)
        return bool(drawn or one.keypoints or one.point)


class Marker:
    """Makes marks; knows the concepts of a state."""

    def __init__(self, *concepts: Mapping[str, Concept]) -> None:
        self._concepts = concepts

    def plain(self, annotation: Annotation) -> Mark:
        """The mark of an annotation in its concept's colour."""
        return Mark(annotation, colour_of(annotation.concept), self.name(annotation), self._skeleton(annotation))

    def added(self, annotation: Annotation) -> Mark:
        """The mark of one that came."""
        return Mark(annotation, ADDED, _signed("+", self.name(annotation)), self._skeleton(annotation))

    def removed(self, annotation: Annotation) -> Mark:
        """The mark of one that is gone."""
        return Mark(annotation, REMOVED, _signed("-", self.name(annotation)), self._skeleton(annotation))

    def changed(self, old: Annotation, new: Annotation) -> tuple[Mark, Mark]:
        """The marks of one that changed: what it was, dashed, and what it is."""
        before, after = self.name(old), self.name(new)
        label = f"{before} -> {after}" if before is not None and before != after else after
        was = Mark(old, REMOVED, None, self._skeleton(old), Line.DASHED, is_filled=False)
        return was, Mark(new, ADDED, _signed("~", label), self._skeleton(new))

    def same(self, annotation: Annotation) -> Mark:
        """The mark of one that did not change."""
        return Mark(annotation, SAME, None, self._skeleton(annotation), Line.THIN, is_filled=False)

    def name(self, annotation: Annotation) -> str | None:
        """What is written at an annotation: its concept, else its text; and what else is to be seen at once."""
        concept = self._concept(annotation)
        name = concept.name if concept is not None else annotation.concept
        if name is None and annotation.text is not None:
            name = f"\u201c{annotation.text[:_TEXT]}\u201d"
        if name is None:
            return None
        if annotation.value is not None and annotation.value != 1:
            name = f"not {name}" if annotation.value == 0 else f"{name} {annotation.value:.2g}"
        return f"{name} (crowd)" if annotation.crowd else name

    def _concept(self, annotation: Annotation) -> Concept | None:
        found = (concepts.get(annotation.concept or "") for concepts in self._concepts)
        return next((concept for concept in found if concept is not None), None)

    def _skeleton(self, annotation: Annotation) -> Skeleton:
        concept = self._concept(annotation) if annotation.keypoints is not None else None
        return (concept.skeleton or ()) if concept is not None else ()


def _signed(sign: str, label: str | None) -> str:
    return f"{sign} {label}" if label else sign
