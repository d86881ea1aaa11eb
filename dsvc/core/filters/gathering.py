"""Gathering columns from the trees: those that are asked for, and no more.

A tree is taken in parts, and what a part has in a column is kept for the next time; see `columncache`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from dsvc.core.filters.columncache import ColumnCache
from dsvc.core.filters.columns import (
    ANNOTATION_COLUMNS,
    BOX_SIDES,
    INPUT_COLUMNS,
    INTEGER,
    JSON,
    NUMBER,
    PLACES,
    RELATIVE,
    RELATIVE_COLUMN,
    TEXT,
    Column,
    getter,
    record_decoder,
)
from dsvc.core.filters.parts import KEYS, NUMBERS, OWNERS, TEXTS, Form, Keys, Owners, floats, owners, texts, unpacked
from dsvc.errors import DamagedError
from dsvc.model.incoming import Progress
from dsvc.model.tree import Tree

if TYPE_CHECKING:
    from dsvc.core.filters.parts import Array

_EXACT = 2.0**53
_KEYS, _OWNERS = "#keys", "#owners"
_OTHERS = {_KEYS: KEYS, _OWNERS: OWNERS}
_json: Callable[[Any], bytes] = msgspec.json.Encoder().encode


class Values(NamedTuple):
    """A gathered column: its SQL type and one value a record."""

    type: str
    array: Array


class Gathered(NamedTuple):
    """Records of a tree: their tree keys in order, the columns by name, and for annotations their inputs."""

    keys: Keys
    columns: dict[str, Values]
    owners: list[Owners]


def gather_inputs(tree: Tree, names: Iterable[str], progress: Progress | None = None) -> Gathered:
    """All inputs with the columns of these names. Raises DamagedError."""
    return _gather(tree, {name: INPUT_COLUMNS[name] for name in names}, "input", progress)


def gather_annotations(
    tree: Tree, names: Iterable[str], progress: Progress | None = None, *, owned: bool = True
) -> Gathered:
    """All annotations with the columns of these names, places in their own unit. Raises DamagedError.

    With `owned`, the keys of their inputs too.
    """
    wanted = {name: ANNOTATION_COLUMNS[name] for name in names}
    if wanted.keys() & PLACES:
        wanted[RELATIVE] = RELATIVE_COLUMN
    if "area" in wanted:
        wanted |= BOX_SIDES
    found = _gather(tree, wanted, "annotation", progress, (_OWNERS,) if owned else ())
    if "area" in wanted:
        columns = found.columns
        columns["area"] = Values(NUMBER, _areas(*(columns[name].array for name in ("area", *BOX_SIDES))))
    return found


def _areas(declared: Array, width: Array, height: Array) -> Array:
    """The declared area, else the box's."""
    import numpy as np

    with np.errstate(over="ignore"):  # a box beyond all pictures is infinitely large
        return np.where(np.isnan(declared), width * height, declared)


def _gather(
    tree: Tree, wanted: dict[str, Column], noun: str, progress: Progress | None, others: tuple[str, ...] = ()
) -> Gathered:
    """All that is wanted of a tree; what was not kept is read."""
    forms = {name: _OTHERS[name] for name in (_KEYS, *others)}
    forms |= {name: TEXTS if column.type in (TEXT, JSON) else NUMBERS for name, column in wanted.items()}
    found: dict[str, list[Any]] = {name: [] for name in forms}
    counts = list[int]()
    reader = _Reader(wanted, noun)
    with ColumnCache(tree) as cache:
        for child in tree.parts():
            parts = _unpack(forms, cache.load(child.id, forms), child.entries)
            missing = forms.keys() - parts.keys()
            if missing:
                made = reader.read(tree.part(child), missing)
                cache.keep(child.id, {name: partial(forms[name].pack, part) for name, part in made.items()})
                parts |= made
            for name, list_of in found.items():
                list_of.append(parts[name])
            counts.append(child.entries)
            if progress and child.entries:
                progress(f"read {noun}s", sum(counts), len(tree))
    keys = Keys(zip(found.pop(_KEYS), counts, strict=True))
    owned = found.pop(_OWNERS, [])
    return Gathered(keys, {name: _joined(wanted[name].type, parts) for name, parts in found.items()}, owned)


def _unpack(forms: Mapping[str, Form], kept: Mapping[str, bytes], count: int) -> dict[str, Any]:
    """The parts that were kept; one that is not what it should be was not."""
    parts = {}
    for name, data in kept.items():
        try:
            parts[name] = forms[name].unpack(data, count)
        except (ValueError, IndexError, msgspec.MsgspecError):
            continue
    return parts


def _joined(type: str, parts: list[Array]) -> Values:
    """A column of its parts. Whole numbers that float64 does not hold exactly are numbers like all others."""
    import numpy as np

    array = np.concatenate(parts)
    if type == INTEGER and (abs(array) >= _EXACT).any():
        type = NUMBER
    return Values(type, array)


class _Reader:
    """Makes parts of columns from records, each decoded as far as the columns need."""

    def __init__(self, wanted: Mapping[str, Column], noun: str) -> None:
        self._wanted = wanted
        self._noun = noun
        self._decoders: dict[frozenset[str], Callable[[bytes], Any]] = {}

    def read(self, tree: Tree, names: Collection[str]) -> dict[str, Any]:
        """The parts of these names that a tree has. Raises DamagedError."""
        wanted = {name: column for name, column in self._wanted.items() if name in names and column.fields}
        # Columns that are parts of one packed sequence share what is taken.
        takes = {_slot(*item): (getter(item[1]), list[Any]()) for item in wanted.items()}
        decode, keys = self._decoder(wanted), list[bytes]()
        for some, values in tree.runs():
            keys += some
            if takes:
                try:
                    rows = [decode(value) for value in values]
                except (msgspec.DecodeError, ValueError) as error:
                    raise self._damaged(zip(some, values, strict=True), decode) from error
                for get, found in takes.values():
                    found += map(get, rows)
        parts = _parts(wanted, {slot: found for slot, (_, found) in takes.items()})
        for name in names - wanted.keys():
            parts[name] = self._of_keys(name, keys)
        return parts

    def _decoder(self, wanted: Mapping[str, Column]) -> Callable[[bytes], Any]:
        names = frozenset(wanted)
        if names not in self._decoders:
            self._decoders[names] = record_decoder(wanted.values())
        return self._decoders[names]

    def _of_keys(self, name: str, keys: list[bytes]) -> Any:
        if name == _KEYS:
            return keys
        if name == _OWNERS:
            return owners(keys)
        # An input's key, or what follows it in an annotation's.
        return texts([key.rpartition(b"\0")[2].decode() for key in keys])

    def _damaged(self, batch: Iterable[tuple[bytes, bytes]], decode: Callable[[bytes], Any]) -> DamagedError:
        for key, value in batch:
            try:
                decode(value)
            except (msgspec.DecodeError, ValueError):
                name = key.decode(errors="replace").replace("\0", "#")
                return DamagedError(f"{self._noun} {name!r} cannot be read")
        return DamagedError(f"an {self._noun} cannot be read")


def _slot(name: str, column: Column) -> tuple[str, ...]:
    return column.fields if column.part is not None else (name,)


def _parts(wanted: Mapping[str, Column], taken: Mapping[tuple[str, ...], list[Any]]) -> dict[str, Any]:
    apart: dict[tuple[str, ...], Array] = {}
    parts: dict[str, Any] = {}
    for name, column in wanted.items():
        slot = _slot(name, column)
        if column.part is None:
            parts[name] = _part(column.type, taken[slot])
            continue
        if slot not in apart:
            apart[slot] = unpacked(taken[slot], column.width)
        parts[name] = apart[slot][column.part]
    return parts


def _part(type: str, found: list[Any]) -> Array:
    """A column of some records. Raises DamagedError where a value is of another type."""
    try:
        if type == TEXT:
            return texts(found)
        if type == JSON:
            return texts([_json(value).decode() if value is not None else None for value in found])
        return floats(found)
    except (TypeError, ValueError) as error:
        raise DamagedError("a record holds a value of another type than its field has", "see: dsvc check") from error
