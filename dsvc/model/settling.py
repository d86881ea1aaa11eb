"""Settling what clashes in a record by saying what holds: a field that gets a value is in conflict no more."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from dsvc.model.facts import stored_path
from dsvc.model.records import CONFLICTS, Annotation, Clashes


def settle(fields: dict[str, Any], paths: Collection[str]) -> None:
    """Drop what clashes in some fields, by path, of a stored record's map."""
    clashes = fields.get(CONFLICTS)
    if clashes:
        left = {path: values for path, values in clashes.items() if path not in paths}
        if left:
            fields[CONFLICTS] = left
        else:
            del fields[CONFLICTS]


def left_open(old: Annotation, changes: Mapping[str, Any]) -> Clashes:
    """What still clashes in an annotation when some of its fields, by the record's names, get values."""
    paths = annotation_paths(changes)
    return {path: values for path, values in old.conflicts.items() if path not in paths}


def annotation_paths(changes: Mapping[str, Any]) -> frozenset[str]:
    """The paths of fields of an annotation, by the record's names; of attributes, those that are in them."""
    attributes: Iterable[str] = changes.get("attributes") or ()
    paths = (stored_path("annotation", name) for name in changes)
    return frozenset([*paths, *(f"at\0{name}" for name in attributes)])
