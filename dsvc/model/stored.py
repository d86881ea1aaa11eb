"""Stored records as maps: whether the fields are those of the format, and of the types that it gives them.

Whoever wrote a record need not have been dsvc. Values of metadata, attributes and extras may be anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dsvc.errors import DamagedError, RefusedError
from dsvc.store import codec
from dsvc.store.ids import ObjectId
from dsvc.store.limits import FEW_BYTES, MADE_BYTES, MADE_ITEMS

Fields = dict[str, Any]
Types = frozenset[type]
Form = Types | Callable[[Any], bool]

_INT, _TEXT, _BYTES, _MAP = frozenset((int,)), frozenset((str,)), frozenset((bytes,)), frozenset((dict,))
_NUMBER, _NUMBERING = frozenset((int, float)), frozenset((int, str))
_CONFLICTS = "!"
_TOO_BIG = "keep what is that long in a file of its own, as an input; nothing was changed"


def _list_of(types: Types, length: int | None = None) -> Callable[[Any], bool]:
    return lambda value: (
        type(value) is list and length in (None, len(value)) and all(type(item) in types for item in value)
    )


def _is_mask(value: Any) -> bool:
    if type(value) is not list or len(value) != 3:
        return False
    height, width, counts = value
    return type(height) is int and type(width) is int and type(counts) in (str, bytes)


def _is_id(value: Any) -> bool:
    return type(value) is bytes and len(value) == ObjectId.SIZE


def _is_extras(value: Any) -> bool:
    # A source format's fields; beside it, in a list, the names of those that a source did not have.
    return type(value) is dict and all(type(below) in (dict, list) for below in value.values())


def _is_skeleton(value: Any) -> bool:
    return type(value) is list and all(map(_list_of(_INT, 2), value))


def _is_reference(value: Any) -> bool:
    return type(value) is dict and "place" in value and _wrong_field(value, _REFERENCE) is None


def _is_media(value: Any) -> bool:
    return type(value) is dict and _wrong_field(value, _MEDIA) is None


def _is_shape(value: Any) -> bool:
    return type(value) is dict and _wrong_field(value, _SHAPE) is None


def _is_embeddings(value: Any) -> bool:
    return type(value) is dict and all(type(vector) is bytes for vector in value.values())


_REFERENCE: Mapping[str, Form] = {"etag": _TEXT, "hash": _is_id, "mtime": _INT, "place": _TEXT, "size": _INT}
_MEDIA: Mapping[str, Form] = {
    "blob": _is_id,
    "chunks": _is_id,
    "duration": _NUMBER,
    "fps": _NUMBER,
    "height": _INT,
    "reference": _is_reference,
    "size": _INT,
    "type": _TEXT,
    "width": _INT,
}
_SHAPE: Mapping[str, Form] = {"a": _NUMBER, "b": _BYTES, "m": _is_mask, "p": _list_of(_BYTES), "u": _INT}
_CONCEPT: Mapping[str, Form] = {
    "extras": _is_extras,
    "keypoints": _list_of(_TEXT),
    "name": _TEXT,
    "number": _NUMBERING,
    "skeleton": _is_skeleton,
    "supercategory": _TEXT,
}
_INPUT: Mapping[str, Form] = {
    "embeddings": _is_embeddings,
    "extras": _is_extras,
    "geo": _BYTES,
    "height": _NUMBER,
    "license": _TEXT,
    "media": _is_media,
    "metadata": _MAP,
    "number": _NUMBERING,
    "split": _TEXT,
    "width": _NUMBER,
}
_ANNOTATION: Mapping[str, Form] = {
    **_SHAPE,
    "at": _MAP,
    "au": _TEXT,
    "c": _TEXT,
    "cr": _INT,
    "f": _INT,
    "k": _BYTES,
    "n": _NUMBERING,
    "pt": _BYTES,
    "sp": _list_of(_INT, 2),
    "st": _TEXT,
    "t": _TEXT,
    "ti": _BYTES,
    "tr": _NUMBERING,
    "v": _NUMBER,
    "x": _is_extras,
}
# Of a record of which it is not known what it is, any of these.
_RECORD: Mapping[str, Form] = {**_CONCEPT, **_INPUT, **_ANNOTATION}
_FORMS = {"concept": _CONCEPT, "input": _INPUT, "annotation": _ANNOTATION, "record": _RECORD}
# Below these, a field in conflict is one of somebody's own.
_OPEN = frozenset(("metadata", "at", "extras", "x"))
_WHOLE: Mapping[str, Form] = {"shape": _is_shape, "media": _is_media, "exists": frozenset((bool,))}


def stored_fields(value: bytes, noun: str, key: bytes | str = b"") -> Fields:
    """The map of a stored record, the fields of which are of their types. `noun` says what it is: concept, input,
    annotation, or "record" where that is not known. Raises DamagedError, which names the record of a `key`."""
    shown = key.decode(errors="replace") if isinstance(key, bytes) else key
    name = f"{noun} {shown!r}" if key else f"a stored {noun}"
    fields = codec.decode(value, name)
    if type(fields) is not dict:
        raise DamagedError(f"{name} cannot be read: it is no map")
    wrong = _wrong_field(fields, _FORMS[noun])
    if wrong is not None:
        raise DamagedError(f"{name} cannot be read: its field {wrong[:80]!r} is not what it should be")
    return fields


def require_makeable(value: bytes, noun: str, name: str) -> None:
    """Raise RefusedError where the encoding of a record that somebody makes is too big. What merges make of such
    records may be bigger: conflicts hold several values."""
    if len(value) <= FEW_BYTES:
        return
    if len(value) > MADE_BYTES:
        raise RefusedError(f"{noun} {name!r} has {len(value):,} bytes, and {MADE_BYTES:,} are the most", _TOO_BIG)
    if codec.count_items(value, MADE_ITEMS) > MADE_ITEMS:
        message = f"{noun} {name!r} has lists and maps of more than {MADE_ITEMS:,} parts in all"
        raise RefusedError(message, _TOO_BIG)


def _wrong_field(fields: Fields, forms: Mapping[str, Form]) -> str | None:
    """The first field of a map that has another form than it should, or is none; None where all are right."""
    for name, value in fields.items():
        form = forms.get(name)
        if form is None:
            if name != _CONFLICTS or not _are_conflicts(value, forms):
                return name
        elif type(form) is frozenset:
            if type(value) not in form:
                return name
        elif not form(value):  # type: ignore[operator] # mypy takes it for the other half of the union
            return name
    return None


def _are_conflicts(value: Any, forms: Mapping[str, Form]) -> bool:
    """Whether a record's conflicts are paths of its fields, each with two values or more of its type."""
    if type(value) is not dict:
        return False
    for path, values in value.items():
        first, *rest = path.split("\0", 1)
        if type(values) is not list or len(values) < 2 or (first not in forms and first not in _WHOLE):
            return False
        if rest:
            if first not in _OPEN and first != "embeddings":
                return False
            if first == "embeddings" and not all(type(vector) is bytes for vector in values):
                return False
        else:
            form = _WHOLE.get(first) or forms[first]
            if any(_wrong_field({first: one}, {first: form}) for one in values):
                return False
    return True
