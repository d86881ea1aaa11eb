"""What clashes in a record, as people name and see it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, TypeVar

import msgspec

from dsvc.model.facts import EXISTS, SHAPE, Noun, shown_path, split_path, stored_path
from dsvc.model.numbers import unpack_numbers
from dsvc.model.records import CONFLICTS, Annotation, Concept, Input, decode_media, decode_shape

R = TypeVar("R", Concept, Input, Annotation)

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


# ---- setting a field by hand settles it


def with_fields(record: R, fields: Mapping[str, Any]) -> R:
    """A record with some of its fields set. What is set is in conflict no more; all other conflicts stay.

    Of attributes and the like, those are set that are named; without any, all are taken away.
    """
    if not record.conflicts:
        return msgspec.structs.replace(record, **fields)
    noun = noun_of(record)
    stored = {stored_path(noun, name): value for name, value in fields.items()}
    left = {path: values for path, values in record.conflicts.items() if not _says(stored, path)}
    return msgspec.structs.replace(record, **fields, conflicts=left)


def _says(stored: Mapping[str, Any], path: str) -> bool:
    """Whether fields, by the names they are stored under, say what stands at a path."""
    value: Any = stored
    for name in split_path(path):
        if not isinstance(value, Mapping) or not (value or value is stored):
            return True
        if name not in value:
            return False
        value = value[name]
    return True


def settle(fields: dict[str, Any], paths: Iterable[str]) -> None:
    """Take what clashes at some paths out of a stored record's map: these fields are set there, or taken away."""
    clashes = fields.get(CONFLICTS)
    if clashes is None:
        return
    settled = set(paths)
    left = {path: values for path, values in clashes.items() if path not in settled}
    if left:
        fields[CONFLICTS] = left
    else:
        del fields[CONFLICTS]
