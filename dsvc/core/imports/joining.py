"""Annotations of several sources that are one: those of the same number, concept and box gain each other's parts."""

from __future__ import annotations

from typing import Any, NamedTuple

from dsvc.model.facts import EXISTS, NESTED, SHAPE, SHAPE_PARTS, facts_of, fields_of, values_of
from dsvc.model.merging import NUMBERING, merge_facts
from dsvc.model.records import CONFLICTS
from dsvc.store import codec

Fields = dict[str, Any]
Place = tuple[Any, ...]


class Joined(NamedTuple):
    """Which annotation of the dataset an incoming one is, and what the merge is to be told that it says."""

    id: str
    value: bytes


class Others:
    """The annotations of one input that a source did not bring, to be found by number, concept and box."""

    def __init__(self, values: dict[str, bytes]) -> None:
        self._values = values
        self._places: dict[Place, str] = {}
        self._numbers: set[Any] = set()
        for id in sorted(values, reverse=True):
            fields = codec.unpack(values[id], "annotation")
            if (place := _place(fields)) is not None:
                self._places[place] = id
            if "n" in fields and "t" not in fields:
                self._numbers.add(fields["n"])

    def take(self, value: bytes) -> Joined | None:
        """The annotation that an incoming one is, which is found once; None where there is none, or they disagree."""
        fields = codec.unpack(value, "annotation")
        place = _place(fields)
        if place is None or (id := self._places.get(place)) is None:
            return None
        joined = _join(self._values[id], value, fields)
        if joined is None:
            return None
        del self._places[place]
        return Joined(id, joined)

    def has_number(self, value: bytes) -> bool:
        """Whether one of them has the number of an incoming annotation that is no text."""
        fields = codec.unpack(value, "annotation")
        return fields.get("n") in self._numbers and "t" not in fields


def _place(fields: Fields) -> Place | None:
    number, box = fields.get("n"), fields.get("b")
    return (type(number), number, fields.get("c"), box, fields.get("u")) if number is not None and box else None


def _join(ours: bytes, theirs: bytes, fields: Fields) -> bytes | None:
    """What is merged into ours for both to be in it; None where a part that both have differs."""
    mine = codec.unpack(ours, "annotation")
    common = mine.keys() & fields.keys() - NUMBERING
    is_plain = CONFLICTS not in mine and common.isdisjoint(NESTED)
    if is_plain and all(type(mine[name]) is type(fields[name]) and mine[name] == fields[name] for name in common):
        parts = [side.keys() & set(SHAPE_PARTS) for side in (mine, fields)]
        if parts[0] <= parts[1] or parts[1] <= parts[0]:
            return theirs
    left, right = facts_of(mine), facts_of(fields)
    shapes = [next(iter(side[SHAPE].values())) for side in (left, right) if len(side.get(SHAPE, ())) == 1]
    if len(shapes) == 2:
        right[SHAPE] = values_of({**shapes[0], **shapes[1]})
    merged = merge_facts({}, left, right)
    if any(len(values) > 1 and len(left.get(path, ())) < 2 for path, values in merged.items() if path != EXISTS):
        return None
    return codec.encode(fields_of(right))
