"""Twins: after a merge, inputs of the same bytes under two keys, and annotations that are equal in all but their id.

They are found among what the merge brought, and folded where that is asked for: our record stays, and gets what only
the other one has.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from dsvc.core.merging.report import Counts, MergeReport
from dsvc.core.merging.roots import Merged
from dsvc.errors import DamagedError
from dsvc.model.facts import Fields
from dsvc.model.merging import NUMBERING, merge_record
from dsvc.model.node import Store
from dsvc.model.snapshot import Roots, Snapshot, SnapshotEdits, edit_roots
from dsvc.model.stored import stored_fields
from dsvc.model.tree import Tree
from dsvc.model.treediff import diff_trees
from dsvc.model.treemerge import Sides
from dsvc.store import codec
from dsvc.store.codec import unpack_extension


class Twins(NamedTuple):
    """Inputs that the merge brought -> the input of ours with the same bytes; annotations, as tree keys, that the merge
    brought -> the equal one."""

    inputs: dict[bytes, bytes]
    annotations: dict[bytes, bytes]

    def __bool__(self) -> bool:
        return bool(self.inputs or self.annotations)


class _Media(msgspec.Struct, gc=False):
    blob: bytes | None = None


class _Input(msgspec.Struct, gc=False):
    """What is asked of an input, where there are many."""

    media: _Media | None = None


_decode = msgspec.msgpack.Decoder(_Input, ext_hook=lambda code, data: unpack_extension(code, bytes(data))).decode


def find_twins(store: Store, ours: Roots, merged: Merged) -> Twins:
    """The twins among what a merge brought."""
    before, after = Snapshot(store, ours), Snapshot(store, merged.roots)
    inputs = _same_bytes(before, after, merged.inputs)
    annotations: dict[bytes, bytes] = {}
    brought = set(merged.inputs)
    for owner in merged.labelled:
        if owner in brought:  # none of ours is there
            continue
        old, new = dict[bytes, bytes](), list[tuple[bytes, bytes]]()
        for key, value in after.annotation_tree.prefix(owner + b"\0"):
            content = _content(value)
            if before.annotation_tree.get(key) is None:
                new.append((content, key))
            else:
                old.setdefault(content, key)
        # Where the other side has two equal ones itself, each needs one of ours.
        for content, key in new:
            if content in old:
                annotations[key] = old.pop(content)
    return Twins(inputs, annotations)


def _same_bytes(before: Snapshot, after: Snapshot, brought: Iterable[bytes]) -> dict[bytes, bytes]:
    """Which of the inputs that came have the bytes of one of ours, whose key the other side does not know."""
    blobs: dict[bytes, list[bytes]] = {}
    for key in brought:
        value = after.input_tree.get(key)
        if value is not None and (blob := _blob(value)) is not None:
            blobs.setdefault(blob, []).append(key)
    found: dict[bytes, bytes] = {}
    if blobs:
        for keys, values in before.input_tree.runs():
            for key, value in zip(keys, values, strict=True):
                blob = _blob(value)
                if blob in blobs:
                    found |= {other: key for other in blobs[blob] if other not in found}
    return found


def _blob(value: bytes) -> bytes | None:
    try:
        media = _decode(value).media
    except (msgspec.MsgspecError, ValueError) as error:
        raise DamagedError("an input cannot be read") from error
    return media.blob if media is not None else None


def _content(value: bytes) -> bytes:
    fields: Fields = stored_fields(value, "annotation")
    return codec.encode({name: part for name, part in fields.items() if name not in NUMBERING})


def fold_twins(store: Store, roots: Roots, twins: Twins) -> Roots:
    """A snapshot in which each twin that came is one with its other."""
    snapshot, edits = Snapshot(store, roots), SnapshotEdits()
    tree = snapshot.annotation_tree
    for key, other in twins.annotations.items():
        edits.annotations[key] = None
        edits.annotations[other] = merge_record(None, edits.annotations.get(other, tree.get(other)), tree.get(key))
    for key, other in twins.inputs.items():
        mine = edits.inputs.get(other, snapshot.input_tree.get(other))
        edits.inputs[key], edits.inputs[other] = None, merge_record(None, mine, snapshot.input_tree.get(key))
        _move(snapshot, edits, key, other)
    return edit_roots(store, roots, edits)


def count_folded(store: Store, report: MergeReport, ours: Roots, merged: Roots, folded: Roots) -> None:
    """Correct what a merge is said to have done by what folding the twins changed in it."""
    for name in ("inputs", "annotations"):
        counts: Counts = getattr(report, name)
        mine = Tree(store, getattr(ours, name))
        for key, before, after in diff_trees(Tree(store, getattr(merged, name)), Tree(store, getattr(folded, name))):
            was = mine.get(key)
            if before == was:  # not counted yet
                counts.count(Sides(key, was, was, None), after)
            elif was is None:
                counts.count(Sides(key, None, None, before), before, -1)
                counts.count(Sides(key, None, None, after), after)


def _move(snapshot: Snapshot, edits: SnapshotEdits, key: bytes, other: bytes) -> None:
    """Give an input the annotations of another one; those that it has already go."""
    tree = snapshot.annotation_tree
    there = {_content(value): place for place, value in tree.prefix(other + b"\0")}
    for place, value in tree.prefix(key + b"\0"):
        if place in edits.annotations and edits.annotations[place] is None:
            continue
        edits.annotations[place] = None
        if there.pop(_content(value), None) is not None:
            continue
        target = stem = other + place[place.index(0) :]
        ordinal = 1
        while target in tree or target in edits.annotations:
            ordinal += 1
            target = b"%b-%d" % (stem, ordinal)
        edits.annotations[target] = value
