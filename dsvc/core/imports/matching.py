"""Matching one input's annotations as a source delivers them with those that it delivered before.

Two are one where their content is the same; then where their numbers are, and their places agree; then where concept
and place are the same, or all but the concept is; then where number and concept are. The best pairs come first, each
annotation has one partner at most, and the order in a file makes no difference.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dsvc.model.geometry import SAME_PLACE, box_of, iou, pair_by_place
from dsvc.model.records import Annotation, annotation_fields, annotation_key, decode_annotation
from dsvc.store import codec

# From this IoU on, two annotations of one number are one, whatever their concepts.
NEAR = 0.5
# A box to compare relative shapes by: their unit is the whole picture.
_WHOLE = (1.0, 1.0)
Values = dict[str, bytes]


class Matches:
    """Which incoming annotation is which one from before: id -> id, by the rule that found it."""

    def __init__(self) -> None:
        self.same: dict[str, str] = {}
        self.by_number: dict[str, str] = {}
        self.by_place: dict[str, str] = {}
        # How many of `same` have another number now.
        self.renumbered = 0

    def all(self) -> dict[str, str]:
        """All pairs."""
        return {**self.same, **self.by_number, **self.by_place}


def match(key: str, before: Values, incoming: Values) -> Matches:
    """Match the stored annotations of one input, by their ids."""
    found = Matches()
    old, new = _take_same(before, incoming, found)
    if old and new:
        left = _Left(key, {id: before[id] for id in old}, {id: incoming[id] for id in new})
        found.by_number |= left.take(left.numbered(is_near=True))
        pairs = pair_by_place(left.old.values(), left.new.values(), SAME_PLACE)
        found.by_place |= left.take((0.0, pair.old.id, pair.new.id) for pair in pairs)
        found.by_place |= left.take(left.relabelled())
        # Where what is the same has new numbers, a number alone says nothing.
        if found.renumbered * 2 <= len(found.same):
            found.by_number |= left.take(left.numbered(is_near=False))
    return found


def _take_same(before: Values, incoming: Values, found: Matches) -> tuple[list[str], list[str]]:
    """Match equal content, of equal copies the lowest ids first; the ids on both sides that are left."""
    before, incoming = _without_equal(before, incoming, found)
    waiting: dict[bytes, list[tuple[str, Any]]] = {}
    for id in _in_order(before)[::-1]:
        content, number = _content(before[id])
        waiting.setdefault(content, []).append((id, number))
    new: list[str] = []
    for id in _in_order(incoming):
        content, number = _content(incoming[id])
        partners = waiting.get(content)
        if partners:
            partner, was = partners.pop()
            found.same[id] = partner
            found.renumbered += (type(was), was) != (type(number), number)
        else:
            new.append(id)
    return [id for left in waiting.values() for id, _ in left], new


def _without_equal(before: Values, incoming: Values, found: Matches) -> tuple[Values, Values]:
    """Match what is stored alike, its number too, and give the rest. Where there are copies, their order counts."""
    if any("-" in id for side in (before, incoming) for id in side):
        return before, incoming
    known = {value: id for id, value in before.items()}
    same = {id: known[value] for id, value in incoming.items() if value in known}
    found.same |= same
    taken = set(same.values())
    return (
        {id: value for id, value in before.items() if id not in taken},
        {id: value for id, value in incoming.items() if id not in same},
    )


def _in_order(ids: Iterable[str]) -> list[str]:
    """Ids with ordinals in their order: the 10th copy after the 9th."""
    return sorted(ids, key=lambda id: (len(id), id))


def _content(value: bytes) -> tuple[bytes, Any]:
    """An annotation's content and its number."""
    fields = codec.unpack(value, "annotation")
    number = fields.pop("n", None)
    return codec.repack(fields), number


Scored = tuple[float, str, str]


class _Left:
    """The annotations of both sides that have no partner yet."""

    def __init__(self, key: str, before: Values, incoming: Values) -> None:
        self.old, self.new = ({id: _decoded(key, id, side[id]) for id in side} for side in (before, incoming))

    def numbered(self, is_near: bool) -> list[Scored]:
        """The pairs of one number that lie near each other, whatever the concept; or that have one concept."""
        numbers: dict[Any, list[Annotation]] = {}
        for one in self.old.values():
            if one.number is not None:
                numbers.setdefault(one.number, []).append(one)
        found: list[Scored] = []
        for new in self.new.values():
            for old in numbers.get(new.number, ()):
                share, agrees = _share(old, new), old.concept == new.concept
                if agrees if not is_near or share is None else share >= NEAR:
                    found.append((-(share or 0.0) - agrees, old.id, new.id))
        return found

    def relabelled(self) -> list[Scored]:
        """The pairs that have a place, and differ in nothing but the concept and the number."""
        waiting: dict[bytes, list[str]] = {}
        for id, old in self.old.items():
            if box_of(old, _WHOLE) is not None:
                waiting.setdefault(_all_but_concept(old), []).append(id)
        return [(0.0, old, id) for id, new in self.new.items() for old in waiting.get(_all_but_concept(new), ())]

    def take(self, pairs: Iterable[Scored]) -> dict[str, str]:
        """Take pairs out, the best first: id of the incoming -> id from before."""
        taken: dict[str, str] = {}
        for _, old, new in sorted(pairs):
            if old in self.old and new in self.new:
                del self.old[old], self.new[new]
                taken[new] = old
        return taken


def _decoded(key: str, id: str, value: bytes) -> Annotation:
    return decode_annotation(annotation_key(key, id), value)


def _all_but_concept(one: Annotation) -> bytes:
    return codec.encode({name: value for name, value in annotation_fields(one).items() if name not in ("c", "n")})


def _share(a: Annotation, b: Annotation) -> float | None:
    """The IoU of the places of two annotations; None where one has none."""
    if a.shape is not None and b.shape is not None and a.shape.unit != b.shape.unit:
        return None
    left, right = box_of(a, _WHOLE), box_of(b, _WHOLE)
    return iou(left, right) if left is not None and right is not None else None
