"""Following a source: what it changed since it was last taken in is laid over a dataset, field by field.

Where the dataset still says what the source said before, it follows; what was edited here stays. A field that both
changed is an error that names the record. What the source no longer lists stays, but for annotations of inputs that it
lists. What a new annotation names is restored where it was taken away here.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

from dsvc.core.imports.union import CHUNK, NESTED, refuse_clashes, smaller, unite_meta
from dsvc.model.incoming import Problems
from dsvc.model.node import Store
from dsvc.model.records import split_annotation_key
from dsvc.model.snapshot import Roots
from dsvc.model.tree import Tree
from dsvc.model.treediff import diff_trees
from dsvc.store import codec
from dsvc.store.ids import ObjectId

_ABSENT = object()
Fields = dict[str, Any]


class Followed(NamedTuple):
    """The dataset after a source, and how many inputs the source no longer lists."""

    roots: Roots
    dropped: int


def follow(store: Store, ours: Roots, before: Roots, after: Roots) -> Followed:
    """Lay what a source changed over a dataset. Raises InvalidRecordsError that names the records that both changed."""
    problems = Problems()
    inputs, dropped = _follow_records(store, "input", (ours.inputs, before.inputs, after.inputs), problems)
    concepts, _ = _follow_records(store, "concept", (ours.concepts, before.concepts, after.concepts), problems)
    sides = (ours.annotations, before.annotations, after.annotations)
    edits = _follow_annotations(store, sides, Tree(store, after.inputs), problems)
    refuse_clashes(problems)
    added = [(key, value) for key, value in edits.items() if value is not None]
    keys = {split_annotation_key(key)[0].encode() for key, _ in added}
    names = {fields["c"].encode() for _, value in added if "c" in (fields := codec.decode(value, "annotation"))}
    roots = Roots(
        concepts=_restored(store, concepts, after.concepts, names),
        inputs=_restored(store, inputs, after.inputs, keys),
        annotations=Tree(store, ours.annotations).edit(store, edits),
        meta=unite_meta(ours.meta, after.meta),
    )
    return Followed(roots, dropped)


def _restored(store: Store, root: ObjectId, source: ObjectId, keys: set[bytes]) -> ObjectId:
    """A tree with those of some records that only the source has."""
    mine, other = Tree(store, root), Tree(store, source)
    missing = {key: other.get(key) for key in keys if key not in mine}
    return mine.edit(store, {key: value for key, value in missing.items() if value is not None})


Sides = tuple[ObjectId, ObjectId, ObjectId]


def _follow_records(store: Store, noun: str, sides: Sides, problems: Problems) -> tuple[ObjectId, int]:
    """Inputs or concepts: those that the source no longer lists stay, and are counted."""
    mine, before, after = (Tree(store, root) for root in sides)
    changes, dropped = iter(diff_trees(before, after)), 0
    while chunk := list(islice(changes, CHUNK)):
        edits: dict[bytes, bytes | None] = {}
        for key, old, new in chunk:
            if new is None:
                dropped += 1
                continue
            current = mine.get(key)
            merged = new if current is None else _merge(noun, key, (current, old, new), problems)
            if merged != current:
                edits[key] = merged
        mine = Tree(store, mine.edit(store, edits))
    return mine.root, dropped


def _follow_annotations(store: Store, sides: Sides, listed: Tree, problems: Problems) -> dict[bytes, bytes | None]:
    mine, before, after = (Tree(store, root) for root in sides)
    edits: dict[bytes, bytes | None] = {}
    for key, old, new in diff_trees(before, after):
        current = mine.get(key)
        if new is None:
            # What was edited here since stays.
            if current == old and split_annotation_key(key)[0].encode() in listed:
                edits[key] = None
        elif current is None:
            edits[key] = new
        elif current != new:
            edits[key] = _merge("annotation", key, (current, old, new), problems)
    return edits


def _merge(noun: str, key: bytes, values: tuple[bytes, bytes | None, bytes], problems: Problems) -> bytes:
    """A record that both sides have: fields by their three values."""
    current, old, new = (codec.decode(value, noun) if value is not None else {} for value in values)
    clashes: list[str] = []
    merged = _merge_maps((current, old, new), clashes, "")
    if clashes:
        name = key.decode().replace("\0", "#")
        problems.add(f"{noun} {name!r}: " + "; ".join(clashes))
        return values[0]
    return codec.encode(merged)


def _merge_maps(sides: tuple[Fields, Fields, Fields], clashes: list[str], path: str, depth: int = 0) -> Fields:
    current, old, new = sides
    merged = dict(current)
    for name in _names(old, new):
        mine, was, now = (side.get(name, _ABSENT) for side in sides)
        if now == was or mine == now:
            continue
        if mine == was or mine is _ABSENT:
            found = now
        elif name in ("number", "n") and now is not _ABSENT:
            found = smaller(mine, now)
        elif isinstance(mine, dict) and isinstance(now, dict) and depth < NESTED.get(path or name, 0):
            below = (mine, was if isinstance(was, dict) else {}, now)
            found = _merge_maps(below, clashes, path or name, depth + 1)
        else:
            clashes.append(_clash(f"{path}.{name}" if path else name, mine, now))
            continue
        if found is _ABSENT or (found == {} and depth == 0):
            merged.pop(name, None)
        else:
            merged[name] = found
    return merged


def _names(old: Fields, new: Fields) -> Iterator[str]:
    yield from new
    yield from (name for name in old if name not in new)


def _clash(name: str, mine: Any, now: Any) -> str:
    text = "nothing" if now is _ABSENT else repr(now)
    return f"{name} was changed here to {mine!r}, and in the source to {text}"[:300]
