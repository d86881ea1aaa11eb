"""Facts: a stored record taken apart into its fields, each with the set of its values, and put together again.

A field without a value is absent, one with a value is as it should be, one with several is a conflict. The path of a
field is its stored name, or its group's; of a field within metadata, attributes and extras, the names that lead to it,
joined by NUL. Values are told apart by their encodings, so true, 1 and 1.0 are three.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from dsvc.model.records import CONFLICTS
from dsvc.store import codec

Noun = Literal["concept", "input", "annotation"]
Fields = dict[str, Any]
# A field's values: encoding -> value.
Values = dict[bytes, Any]
Facts = dict[str, Values]

EXISTS = "exists"
SHAPE = "shape"
SHAPE_PARTS = ("a", "b", "m", "p", "u")
# Fields whose maps are fields of their own, to this depth; all others are one value.
NESTED = {"extras": 2, "metadata": 1, "x": 2, "at": 1, "embeddings": 1}
# Groups: of these fields, a part that only one side has joins the equal parts of the other.
GROUPS = frozenset(("media", SHAPE))
# The names of fields as people know them, by noun; those that are not here are called as they are stored.
_NAMES: dict[Noun, dict[str, str]] = {
    "concept": {},
    "input": {"width": "declared_width", "height": "declared_height"},
    "annotation": {
        "at": "attributes",
        "au": "author",
        "c": "concept",
        "cr": "crowd",
        "f": "frame",
        "k": "keypoints",
        "n": "number",
        "pt": "point",
        "sp": "span",
        "st": "status",
        "t": "text",
        "ti": "time",
        "tr": "track",
        "v": "value",
        "x": "extras",
    },
}


def facts_of(fields: Fields) -> Facts:
    """The facts of a stored record's map. Where fields are in conflict, these have several values."""
    found: Facts = {}
    shape = {name: fields[name] for name in SHAPE_PARTS if name in fields}
    if shape:
        found[SHAPE] = values_of(shape)
    for name, value in fields.items():
        if name == CONFLICTS:
            for path, values in value.items():
                found.setdefault(path, {}).update(values_of(*values))
        elif name not in SHAPE_PARTS:
            for path, one in _unfolded(name, value, NESTED.get(name, 0)):
                found.setdefault(path, {})[codec.encode(one)] = one
    return found


def values_of(*values: Any) -> Values:
    """A set of values."""
    return {codec.encode(value): value for value in values}


def _unfolded(path: str, value: Any, depth: int) -> Iterator[tuple[str, Any]]:
    if depth == 0 or type(value) is not dict or not value:
        yield path, value
        return
    for name, below in value.items():
        yield from _unfolded(f"{path}\0{name}", below, depth - 1)


def fields_of(facts: Facts) -> Fields:
    """The map of a stored record of these facts, as it is encoded."""
    fields: Fields = {}
    clashes: dict[str, list[Any]] = {}
    for path in sorted(facts):
        values = facts[path]
        if len(values) > 1:
            clashes[path] = [values[encoded] for encoded in sorted(values)]
        elif values:
            (value,) = values.values()
            if path == SHAPE:
                fields |= value
            elif value != {} or not _leads_on(path, facts):
                _fold(fields, split_path(path), value)
    return {CONFLICTS: clashes, **fields} if clashes else fields


def _leads_on(path: str, facts: Facts) -> bool:
    """Whether there are values below a path, in conflict or not."""
    return any(values and other.startswith(f"{path}\0") for other, values in facts.items())


def _fold(fields: Fields, path: tuple[str, ...], value: Any) -> None:
    """Put a value where its path leads. A value that stands where others lead through gives way to them."""
    *outer, last = path
    for name in outer:
        below = fields.get(name)
        below = dict(below) if type(below) is dict else {}
        fields[name] = below
        fields = below
    if not (type(fields.get(last)) is dict and fields[last]):
        fields[last] = value


def split_path(path: str) -> tuple[str, ...]:
    """The names that a field's path is made of: the first, and those that lead into it."""
    name = path.partition("\0")[0]
    return tuple(path.split("\0", NESTED.get(name, 0)))


def shown_path(noun: Noun, path: str) -> str:
    """A field's path as people write it: `concept`, `metadata.camera`, `extras.coco.score`."""
    first, *rest = split_path(path)
    return ".".join([_NAMES[noun].get(first, first), *rest])


def stored_path(noun: Noun, text: str) -> str:
    """The path that somebody writes as `attributes.color`; what names no field is given back as it is."""
    names = {name: stored for stored, name in _NAMES[noun].items()}
    first, *rest = text.split(".", 1)
    stored = names.get(first, first)
    depth = NESTED.get(stored, 0)
    return "\0".join([stored, *(rest[0].split(".", depth - 1) if rest and depth else rest)])


def clashing(fields: Mapping[str, Any]) -> Mapping[str, list[Any]]:
    """What clashes in a stored record's map: path -> values."""
    found: Mapping[str, list[Any]] = fields.get(CONFLICTS, {})
    return found
