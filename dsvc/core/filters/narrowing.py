"""Narrowing: of a snapshot, what belongs to the inputs that a filter is true of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

import msgspec

from dsvc.core.filters.query import match_inputs
from dsvc.errors import DamagedError
from dsvc.model.extras import CATEGORY_LISTS, COCO, concept_lists
from dsvc.model.incoming import Progress
from dsvc.model.records import CONFLICTS
from dsvc.model.snapshot import Snapshot
from dsvc.model.tree import Tree
from dsvc.store.codec import unpack_extension

Entry = tuple[bytes, bytes]
# From one in so many inputs on, a walk over the tree is quicker than a search for each.
_FEW = 16
# The paths of the lists of concepts, as conflicts have them.
_LISTS = frozenset(f"extras\0{COCO}\0{name}" for name in CATEGORY_LISTS)


class _Naming(msgspec.Struct, gc=False):
    """What of a record may name concepts: an annotation's concept, an input's extras, what is in conflict of both."""

    c: str | None = None
    extras: Any = None
    conflicts: Any = msgspec.field(name=CONFLICTS, default=None)


_decode = msgspec.msgpack.Decoder(_Naming, ext_hook=lambda code, data: unpack_extension(code, bytes(data))).decode


def matching_keys(snapshot: Snapshot, where: str, progress: Progress | None = None) -> list[bytes]:
    """The tree keys of the inputs that a filter is true of, sorted. Raises FilterError."""
    return [key.encode() for key in match_inputs(snapshot, where, progress)]


def named_concepts(snapshot: Snapshot, keys: Sequence[bytes]) -> set[bytes]:
    """The concepts, by tree key, that some inputs, given by sorted tree keys, and their annotations name."""
    names = set[bytes]()
    for _ in _noting(chain(input_entries(snapshot, keys), annotation_entries(snapshot, keys)), names):
        pass
    return names


def input_entries(snapshot: Snapshot, keys: Sequence[bytes]) -> Iterator[Entry]:
    """Some inputs as they are stored, by sorted tree keys that the snapshot has."""
    return some_entries(snapshot.input_tree, keys)


def some_entries(tree: Tree, keys: Sequence[bytes]) -> Iterator[Entry]:
    """Some entries of a tree that holds them all; the keys come sorted."""
    if len(keys) * _FEW < len(tree):
        for key in keys:
            value = tree.get(key)
            assert value is not None
            yield key, value
        return
    wanted = set(keys)
    for some, values in tree.runs():
        yield from (entry for entry in zip(some, values, strict=True) if entry[0] in wanted)


def annotation_entries(snapshot: Snapshot, keys: Sequence[bytes]) -> Iterator[Entry]:
    """The annotations of some inputs as they are stored, in order."""
    tree = snapshot.annotation_tree
    if len(keys) * _FEW < len(snapshot):
        for key in keys:
            yield from tree.prefix(key + b"\0")
        return
    wanted = set(keys)
    for some, values in tree.runs():
        yield from (entry for entry in zip(some, values, strict=True) if entry[0].partition(b"\0")[0] in wanted)


# ---- concepts that records name


def _noting(entries: Iterable[Entry], names: set[bytes]) -> Iterator[Entry]:
    """The same entries; what concepts they name is added to `names`."""
    for key, value in entries:
        try:
            names.update(_named(value))
        except (msgspec.DecodeError, ValueError) as error:
            name = key.decode(errors="replace").replace("\0", "#")
            raise DamagedError(f"the record {name!r} cannot be read") from error
        yield key, value


def _named(value: bytes) -> list[bytes]:
    """The concepts that a stored record names, as tree keys."""
    record = _decode(value)
    named: list[Any] = [record.c]
    if type(record.extras) is dict:
        for _, listed in concept_lists({"extras": record.extras}):
            named += listed
    if type(record.conflicts) is dict:
        for path, values in record.conflicts.items():
            named += _candidates(path, values)
    return [name.encode() for name in named if isinstance(name, str)]


def _candidates(path: str, values: list[Any]) -> Iterable[Any]:
    """The concepts that one field in conflict may come to name."""
    if path == "c":
        return values
    if path in _LISTS:
        return chain.from_iterable(listed for listed in values if isinstance(listed, list))
    return ()
