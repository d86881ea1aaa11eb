"""The columns that a filter can name, and how they are gathered from the trees: those that are asked for, and no more.

Numbers and booleans become arrays of float64 in which NaN, which no record holds, stands for nothing; texts become
arrays of objects with None. So a column can be spread over the rows of a join before DuckDB sees it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from dsvc.errors import DamagedError
from dsvc.model.incoming import Progress
from dsvc.model.numbers import unpack_joined
from dsvc.model.tree import Tree
from dsvc.store.codec import unpack_extension

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array = npt.NDArray[Any]

TEXT, NUMBER, INTEGER, BOOLEAN, JSON = "VARCHAR", "DOUBLE", "BIGINT", "BOOLEAN", "JSON"
_TOLD = 8192
_EXACT = 2.0**53
_json: Callable[[Any], bytes] = msgspec.json.Encoder().encode


class Column(NamedTuple):
    """A column: its SQL type, the stored fields that it needs, and what it takes from a record that has them.

    With `part`, what it takes is packed numbers, `width` of them, of which it is the one of this index.
    """

    type: str
    fields: tuple[str, ...]
    get: Callable[[Any], Any]
    part: int | None = None
    width: int = 0


class Values(NamedTuple):
    """A gathered column: its SQL type and one value a record."""

    type: str
    array: Array


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


# The stored fields by their names in the specification. Numbers may be integers beyond 64 bits, which only Any takes.
_TYPES: dict[str, Any] = {
    **dict.fromkeys(("width", "height", "metadata", "a", "at", "cr", "f", "sp", "tr", "u", "v"), Any),
    **dict.fromkeys(("split", "license", "c", "t", "st", "au"), str | None),
    **dict.fromkeys(("geo", "b", "ti"), bytes | None),
    **dict.fromkeys(("k", "m", "p", "pt"), msgspec.Raw),  # whether they are there is all that is asked
    "media": _Media | None,
}


def _plain(type: str, field: str) -> Column:
    return Column(type, (field,), attrgetter(field))


def _media(type: str, name: str) -> Column:
    get = attrgetter(name)
    return Column(type, ("media",), lambda row: get(row.media) if row.media is not None else None)


def _packed(field: str, part: int, width: int) -> Column:
    return Column(NUMBER, (field,), attrgetter(field), part, width)


def _size(name: str) -> Column:
    """The declared size, else the media's."""
    get = attrgetter(name)

    def found(row: Any) -> Any:
        declared = get(row)
        return declared if declared is not None or row.media is None else get(row.media)

    return Column(NUMBER, (name, "media"), found)


def _there(field: str) -> Column:
    get = attrgetter(field)
    return Column(BOOLEAN, (field,), lambda row: get(row) is not None)


def _bytes(row: Any) -> Any:
    media = row.media
    if media is None or media.size is not None or media.reference is None:
        return media.size if media is not None else None
    return media.reference.size


def _place(row: Any) -> Any:
    return row.media.reference.place if row.media is not None and row.media.reference is not None else None


def _unit(row: Any) -> Any:
    if row.a is None and row.b is None and row.m is None and row.p is None:
        return None
    return "relative" if row.u else "pixel"


def _character(at: int) -> Callable[[Any], Any]:
    return lambda row: row.sp[at] if row.sp is not None else None


KEY = Column(TEXT, (), lambda row: None)  # it is the record's place in the tree
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
    "stored": Column(BOOLEAN, ("media",), lambda row: row.media is not None and row.media.blob is not None),
    "metadata": _plain(JSON, "metadata"),
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
    "crowd": Column(BOOLEAN, ("cr",), lambda row: bool(row.cr)),
    "status": _plain(TEXT, "st"),
    "author": _plain(TEXT, "au"),
    "attributes": _plain(JSON, "at"),
    "has_box": _there("b"),
    "has_polygons": _there("p"),
    "has_mask": _there("m"),
    "has_keypoints": _there("k"),
    "has_point": _there("pt"),
}
COLUMNS = {**INPUT_COLUMNS, **ANNOTATION_COLUMNS}
# Whether an annotation's numbers are 0 to 1: gathered beside the columns of places.
RELATIVE = "relative"
# The box of an annotation that has no area of its own.
_BOX_SIDES = {
    name: Column(NUMBER, ("a", "b"), lambda row: row.b if row.a is None else None, part, 4)
    for name, part in (("box_w", 2), ("box_h", 3))
}
PLACES = frozenset(("x", "y", "w", "h", "area"))


class Gathered(NamedTuple):
    """Records of a tree: their tree keys in order, and the columns by name."""

    keys: list[bytes]
    columns: dict[str, Values]


def gather_inputs(tree: Tree, names: Iterable[str], progress: Progress | None = None) -> Gathered:
    """All inputs with the columns of these names. Raises DamagedError."""
    wanted = {name: INPUT_COLUMNS[name] for name in names}
    keys, columns = _gather(tree, wanted, "input", progress)
    if "key" in wanted:
        columns["key"] = Values(TEXT, _texts([key.decode() for key in keys]))
    return Gathered(keys, columns)


def gather_annotations(tree: Tree, names: Iterable[str], progress: Progress | None = None) -> Gathered:
    """All annotations with the columns of these names, places in their own unit. Raises DamagedError."""
    wanted = {name: ANNOTATION_COLUMNS[name] for name in names}
    if wanted.keys() & PLACES:
        wanted[RELATIVE] = _plain(BOOLEAN, "u")
    if "area" in wanted:
        wanted |= _BOX_SIDES
    keys, columns = _gather(tree, wanted, "annotation", progress)
    if "id" in wanted:
        columns["id"] = Values(TEXT, _texts([key.partition(b"\0")[2].decode() for key in keys]))
    if "area" in wanted:
        columns["area"] = Values(NUMBER, _areas(*(columns[name].array for name in ("area", *_BOX_SIDES))))
    return Gathered(keys, columns)


def _areas(declared: Array, width: Array, height: Array) -> Array:
    """The declared area, else the box's."""
    import numpy as np

    return np.where(np.isnan(declared), width * height, declared)


def _gather(
    tree: Tree, wanted: dict[str, Column], noun: str, progress: Progress | None
) -> tuple[list[bytes], dict[str, Values]]:
    """Walk a tree once. A record is decoded as far as its columns need, and dropped when they are taken."""
    fields = sorted({field for column in wanted.values() for field in column.fields})
    record = msgspec.defstruct("Record", [(field, _TYPES[field], None) for field in fields], gc=False)
    decode = msgspec.msgpack.Decoder(record, ext_hook=lambda code, data: unpack_extension(code, bytes(data))).decode
    # Columns that are parts of one packed sequence share what is taken.
    takes = {_slot(*item): (item[1].get, list[Any]()) for item in wanted.items() if item[1].fields}
    keys, told, total = list[bytes](), 0, len(tree)
    for some, values in tree.runs():
        keys += some
        if takes:
            try:
                rows = [decode(value) for value in values]
            except (msgspec.DecodeError, ValueError) as error:
                raise _damaged(noun, zip(some, values, strict=True), decode) from error
            for get, found in takes.values():
                found += map(get, rows)
        if progress and len(keys) - told >= _TOLD:
            told = len(keys)
            progress(f"read {noun}s", told, total)
    if progress and keys:
        progress(f"read {noun}s", total, total)
    taken = {slot: found for slot, (_, found) in takes.items()}
    return keys, _columns(wanted, taken)


def _slot(name: str, column: Column) -> tuple[str, ...]:
    return column.fields if column.part is not None else (name,)


def _columns(wanted: dict[str, Column], taken: dict[tuple[str, ...], list[Any]]) -> dict[str, Values]:
    unpacked: dict[tuple[str, ...], Array] = {}
    columns = {}
    for name, column in wanted.items():
        if not column.fields:
            continue
        slot = _slot(name, column)
        if column.part is None:
            columns[name] = _values(column.type, taken[slot])
            continue
        if slot not in unpacked:
            unpacked[slot] = _unpacked(taken[slot], column.width)
        columns[name] = Values(NUMBER, unpacked[slot][column.part])
    return columns


def _values(type: str, found: list[Any]) -> Values:
    if type == TEXT:
        return Values(TEXT, _texts(found))
    if type == JSON:
        return Values(JSON, _texts([_json(value).decode() if value is not None else None for value in found]))
    numbers = _floats(found)
    if type == INTEGER and (abs(numbers) >= _EXACT).any():
        return Values(NUMBER, numbers)
    return Values(type, numbers)


def _texts(found: Sequence[str | None]) -> Array:
    import numpy as np

    array = np.empty(len(found), dtype=object)
    array[:] = found
    return array


def _floats(found: list[Any]) -> npt.NDArray[np.float64]:
    import numpy as np

    try:
        return np.array(found, dtype=np.float64)
    except OverflowError:  # an integer beyond what float64 reaches
        return np.array([_float(value) for value in found], dtype=np.float64)


def _float(value: Any) -> float:
    try:
        return float(value) if value is not None else float("nan")
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def _unpacked(packed: list[bytes | None], width: int) -> Array:
    """The numbers of packed sequences, an array for each place in them; NaN where there are not `width` numbers."""
    import numpy as np

    parts = np.full((width, len(packed)), np.nan)
    filled = [at for at, data in enumerate(packed) if data]
    numbers, counts = unpack_joined([data for data in packed if data])
    whole = counts == width
    rows = np.array(filled, dtype=np.int64)[whole]
    starts = (counts.cumsum() - counts)[whole]
    for part in range(width):
        parts[part, rows] = numbers[starts + part]
    return parts


def _damaged(noun: str, batch: Iterable[tuple[bytes, bytes]], decode: Callable[[bytes], Any]) -> DamagedError:
    for key, value in batch:
        try:
            decode(value)
        except (msgspec.DecodeError, ValueError):
            name = key.decode(errors="replace").replace("\0", "#")
            return DamagedError(f"{noun} {name!r} cannot be read")
    return DamagedError(f"an {noun} cannot be read")
