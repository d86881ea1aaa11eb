"""The differing entries of two snapshots, input by input."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

from dsvc.core.diffing.annotations import Stored
from dsvc.model.snapshot import Snapshot
from dsvc.model.treediff import Change as Entry
from dsvc.model.treediff import diff_trees


class Group(NamedTuple):
    """One input whose record or annotations differ: its encoded value before and after, None where there is none.

    Where the record itself does not differ, both are None and `same` is True. `old_key` is the key that it had.
    """

    key: str
    old: bytes | None
    new: bytes | None
    same: bool
    annotations: list[Stored]
    old_key: str | None = None


def groups(old: Snapshot, new: Snapshot, annotations: bool = True) -> Iterator[Group]:
    """All inputs that differ, in the order of their keys; with `annotations`, those whose annotations do.

    One input's entries at a time are in memory.
    """
    inputs = ((entry.key, entry, list[Entry]()) for entry in diff_trees(old.input_tree, new.input_tree))
    differing = diff_trees(old.annotation_tree, new.annotation_tree) if annotations else iter(())
    owned = ((owner, None, list(some)) for owner, some in groupby(differing, key=lambda e: e.key.partition(b"\0")[0]))
    # Both come in the order of the inputs' keys: NUL sorts before all that a key may hold.
    for key, parts in groupby(heapq.merge(inputs, owned, key=itemgetter(0)), key=itemgetter(0)):
        entry, found = None, list[Stored]()
        for _, one, some in parts:
            entry = one or entry
            found += [Stored(e.key[len(key) + 1 :].decode(), e.old, e.new) for e in some]
        yield _group(key.decode(), entry, found)


def _group(key: str, entry: Entry | None, annotations: list[Stored]) -> Group:
    if entry is None:
        return Group(key, None, None, True, annotations)
    return Group(key, entry.old, entry.new, False, annotations)


def group_of(old: Snapshot, new: Snapshot, key: str, old_key: str | None = None) -> Group | None:
    """One input, where it or its annotations differ. Reads nothing but its own path."""
    before = old.input_tree.get((old_key or key).encode())
    after = new.input_tree.get(key.encode())
    sides = [annotation_entries(old, old_key or key), annotation_entries(new, key)]
    ids = sorted(id for id in sides[0].keys() | sides[1].keys() if sides[0].get(id) != sides[1].get(id))
    annotations = [Stored(id.decode(), sides[0].get(id), sides[1].get(id)) for id in ids]
    if before == after and not annotations and old_key is None:
        return None
    return Group(key, before, after, before == after and old_key is None, annotations, old_key)


def annotation_entries(snapshot: Snapshot, key: str) -> dict[bytes, bytes]:
    """The annotations of one input as they are stored, by id."""
    start = f"{key}\0".encode()
    return {found[len(start) :]: value for found, value in snapshot.annotation_tree.prefix(start)}
