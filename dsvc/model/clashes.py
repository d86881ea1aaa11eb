"""What clashes in a record, as people name and see it."""

from __future__ import annotations

from typing import Any, NamedTuple

from dsvc.model.facts import EXISTS, SHAPE, Noun, shown_path, split_path
from dsvc.model.numbers import unpack_numbers
from dsvc.model.records import Annotation, Concept, Input, decode_media, decode_shape

_PACKED = frozenset(("k", "pt", "ti", "geo", "embeddings"))


class Clash(NamedTuple):
    """One field in conflict: its name as people write it, its path as it is stored, and its values in their order.

    Values are those that the record's field would have: a Shape, a Media, numbers, text; of `exists`, no and yes.
    """

    field: str
    path: str
    values: tuple[Any, ...]


def noun_of(record: Concept | Input | Annotation) -> Noun:
    """What kind of record it is."""
    return "concept" if isinstance(record, Concept) else "input" if isinstance(record, Input) else "annotation"


def clashes_of(record: Concept | Input | Annotation) -> list[Clash]:
    """The fields of a record that are in conflict, in the order of their paths."""
    noun = noun_of(record)
    return [
        Clash(shown_path(noun, path), path, tuple(plain_value(path, value) for value in values))
        for path, values in sorted(record.conflicts.items())
    ]


def plain_value(path: str, value: Any) -> Any:
    """A stored value of a field as the record's field has it."""
    if path == EXISTS:
        return "yes" if value else "no"
    if path == SHAPE:
        return decode_shape(value)
    first = split_path(path)[0]
    if first == "media":
        return decode_media(value)
    if first in _PACKED and isinstance(value, bytes):
        return tuple(unpack_numbers(value))
    return tuple(value) if isinstance(value, list) else value
