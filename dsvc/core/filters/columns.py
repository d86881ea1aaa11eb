"""The columns that a filter or a query can name, and what each takes from a stored record."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec

from dsvc.model.records import CONFLICTS
from dsvc.store.codec import unpack_extension

TEXT, NUMBER, INTEGER, BOOLEAN, JSON = "VARCHAR", "DOUBLE", "BIGINT", "BOOLEAN", "JSON"


class Column(NamedTuple):
    """A column: its SQL type, the stored fields that it needs, and what it takes from a record that has them.

    With `part`, what it takes is packed numbers, `width` of them, of which it is the one of this index. `clash` is the
    path of the field that it says something of even where that is absent: where that is in conflict, it is null.
    """

    type: str
    fields: tuple[str, ...]
    get: Callable[[Any], Any]
    part: int | None = None
    width: int = 0
    clash: str | None = None


class _Reference(msgspec.Struct, gc=False):
    place: str | None = None
    size: Any = None


class _Media(msgspec.Struct, gc=False):
    blob: bytes | None = None
    reference: _Reference | None = None
    type: str | None = None
    size: Any = None
    width: Any = None
    height: Any = None
    duration: Any = None
    fps: Any = None


_NO_POLYGONS = b"\x90"  # an empty list in MessagePack
# The stored fields by their names in the specification. Numbers may be integers beyond 64 bits, which only Any takes.
_TYPES: dict[str, Any] = {
    **dict.fromkeys(("width", "height", "metadata", "a", "at", "cr", "f", "sp", "tr", "u", "v"), Any),
    **dict.fromkeys(("split", "license", "c", "t", "st", "au"), str | None),
    **dict.fromkeys(("geo", "b", "ti"), bytes | None),
    **dict.fromkeys(("k", "m", "p", "pt"), msgspec.Raw),  # whether they are there is all that is asked
    "media": _Media | None,
    "clashes": Any,
}
_RENAMED = {"clashes": CONFLICTS}


def _plain(type: str, field: str) -> Column:
    return Column(type, (field,), attrgetter(field))


def _media(type: str, name: str) -> Column:
    get = attrgetter(name)
    return Column(type, ("media",), lambda row: get(row.media) if row.media is not None else None)


def _packed(field: str, part: int, width: int) -> Column:
    return Column(NUMBER, (field,), attrgetter(field), part, width)


def _size(name: str) -> Column:
    """The declared size, else the media's; null where the declared one is in conflict."""
    get = attrgetter(name)

    def found(row: Any) -> Any:
        declared = get(row)
        return declared if declared is not None or row.media is None else get(row.media)

    return Column(NUMBER, (name, "media"), found, clash=name)


def _there(field: str, clash: str) -> Column:
    get = attrgetter(field)
    return Column(BOOLEAN, (field,), lambda row: get(row) is not None, clash=clash)


def _has_polygons(row: Any) -> bool:
    # An empty list, as files of boxes have it, is none.
    return row.p is not None and bytes(row.p) != _NO_POLYGONS


def _bytes(row: Any) -> Any:
    media = row.media
    if media is None or media.size is not None or media.reference is None:
        return media.size if media is not None else None
    return media.reference.size


def _place(row: Any) -> Any:
    return row.media.reference.place if row.media is not None and row.media.reference is not None else None


def _stored(row: Any) -> bool:
    return row.media is not None and row.media.blob is not None


def _unit(row: Any) -> Any:
    if row.a is None and row.b is None and row.m is None and row.p is None:
        return None
    return "relative" if row.u else "pixel"


def _character(at: int) -> Callable[[Any], Any]:
    return lambda row: row.sp[at] if row.sp is not None else None


KEY = Column(TEXT, (), lambda row: None)  # it is the record's place in the tree
CONFLICTED = Column(BOOLEAN, ("clashes",), lambda row: row.clashes is not None)
INPUT_COLUMNS: dict[str, Column] = {
    "key": KEY,
    "split": _plain(TEXT, "split"),
    "type": _media(TEXT, "type"),
    "size": Column(INTEGER, ("media",), _bytes),
    "width": _size("width"),
    "height": _size("height"),
    "duration": _media(NUMBER, "duration"),
    "fps": _media(NUMBER, "fps"),
    "license": _plain(TEXT, "license"),
    "longitude": _packed("geo", 0, 2),
    "latitude": _packed("geo", 1, 2),
    "place": Column(TEXT, ("media",), _place),
    "stored": Column(BOOLEAN, ("media",), _stored, clash="media"),
    "metadata": _plain(JSON, "metadata"),
    "conflicted": CONFLICTED,
}
ANNOTATION_COLUMNS: dict[str, Column] = {
    "id": KEY,
    "concept": _plain(TEXT, "c"),
    **{name: _packed("b", part, 4) for part, name in enumerate("xywh")},
    "area": _plain(NUMBER, "a"),
    "unit": Column(TEXT, ("a", "b", "m", "p", "u"), _unit),
    "text": _plain(TEXT, "t"),
    "begin_char": Column(INTEGER, ("sp",), _character(0)),
    "end_char": Column(INTEGER, ("sp",), _character(1)),
    "begin_time": _packed("ti", 0, 2),
    "end_time": _packed("ti", 1, 2),
    "frame": _plain(INTEGER, "f"),
    "track": Column(TEXT, ("tr",), lambda row: str(row.tr) if row.tr is not None else None),
    "value": _plain(NUMBER, "v"),
    "crowd": Column(BOOLEAN, ("cr",), lambda row: bool(row.cr), clash="cr"),
    "status": _plain(TEXT, "st"),
    "author": _plain(TEXT, "au"),
    "attributes": _plain(JSON, "at"),
    "has_box": _there("b", "shape"),
    "has_polygons": Column(BOOLEAN, ("p",), _has_polygons, clash="shape"),
    "has_mask": _there("m", "shape"),
    "has_keypoints": _there("k", "k"),
    "has_point": _there("pt", "pt"),
    "conflicted": CONFLICTED,
}
COLUMNS = {**INPUT_COLUMNS, **ANNOTATION_COLUMNS}
# Whether an annotation's numbers are 0 to 1: gathered beside the columns of places.
RELATIVE = "relative"
RELATIVE_COLUMN = _plain(BOOLEAN, "u")
# The box of an annotation that has no area of its own.
BOX_SIDES = {
    name: Column(NUMBER, ("a", "b"), lambda row: row.b if row.a is None else None, part, 4)
    for name, part in (("box_w", 2), ("box_h", 3))
}
PLACES = frozenset(("x", "y", "w", "h", "area"))


def record_decoder(columns: Iterable[Column]) -> Callable[[bytes], Any]:
    """What decodes a stored record as far as these columns need; it raises msgspec.DecodeError, ValueError."""
    fields = {field for column in columns for field in column.fields}
    fields |= {"clashes" for column in columns if column.clash}
    types = [(field, _TYPES[field], None) for field in sorted(fields)]
    record = msgspec.defstruct("Record", types, gc=False, rename=_RENAMED)
    return msgspec.msgpack.Decoder(record, ext_hook=lambda code, data: unpack_extension(code, bytes(data))).decode


def getter(column: Column) -> Callable[[Any], Any]:
    """What takes a column from a decoded record."""
    get, clash = column.get, column.clash
    if clash is None:
        return get
    return lambda row: None if row.clashes is not None and clash in row.clashes else get(row)
