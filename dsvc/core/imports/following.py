"""Following a source: what it changed since it was last taken in is laid over a dataset, field by field.

Where the dataset still says what the source said before, it follows; what was edited here stays. A field that both
changed is an error that names the record. What the source no longer lists stays, but for annotations of inputs that it
lists. What a new annotation names is restored where it was taken away here.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

from dsvc.core.imports.union import CHUNK, NESTED, is_same, smaller, unite_meta
from dsvc.errors import InvalidRecordsError
from dsvc.model.incoming import Problems
from dsvc.model.node import Store
from dsvc.model.records import split_annotation_key
from dsvc.model.snapshot import Roots
from dsvc.model.tree import Tree
from dsvc.model.treediff import diff_trees
from dsvc.store import codec
from dsvc.store.ids import ObjectId

_ABSENT = object()
_HINT = "let both say the same, in the source or here (dsvc set, dsvc annotate), and import it again"
Fields = dict[str, Any]


class Said(NamedTuple):
    """What a source says in all, and how many of its inputs it no longer lists."""

    roots: Roots
    dropped: int


def last_word(store: Store, before: Roots, after: Roots) -> Said:
    """A source's new records, with those of inputs and concepts that it does not list any more as it left them.

    So an input that comes back (or a row that was refused, and is mended) is compared with what the source said of it.
    """
    inputs = _dropped(store, before.inputs, after.inputs)
    concepts = _dropped(store, before.concepts, after.concepts)
    lost = _dropped(store, before.annotations, after.annotations)
    annotations = {key: value for key, value in lost.items() if key[: key.index(0)] in inputs}
    roots = Roots(
        concepts=Tree(store, after.concepts).edit(store, concepts),
        inputs=Tree(store, after.inputs).edit(store, inputs),
        annotations=Tree(store, after.annotations).edit(store, annotations),
        meta=after.meta,
    )
    return Said(roots, len(inputs))


def _dropped(store: Store, before: ObjectId, after: ObjectId) -> dict[bytes, bytes | None]:
    """The entries whose keys only the older tree has."""
    changes = diff_trees(Tree(store, before), Tree(store, after))
    return {key: old for key, old, new in changes if new is None}


def follow(store: Store, ours: Roots, before: Roots, after: Roots) -> Roots:
    """A dataset with what a source changed; `after` has the source's last word on all that `before` has.

    Raises InvalidRecordsError that names the records that both changed.
    """
    problems = Problems()
    inputs = _follow_records(store, "input", (ours.inputs, before.inputs, after.inputs), problems)
    concepts = _follow_records(store, "concept", (ours.concepts, before.concepts, after.concepts), problems)
    edits = _follow_annotations(store, (ours.annotations, before.annotations, after.annotations), problems)
    if problems.count:
        verb = "record was" if problems.count == 1 else "records were"
        message = f"{problems.count:,} {verb} changed both here and in the source"
        raise InvalidRecordsError(message, problems.found, _HINT)
    added = [(key, value) for key, value in edits.items() if value is not None]
    keys = {split_annotation_key(key)[0].encode() for key, _ in added}
    names = {fields["c"].encode() for _, value in added if "c" in (fields := codec.decode(value, "annotation"))}
    return Roots(
        concepts=_restored(store, concepts, after.concepts, names),
        inputs=_restored(store, inputs, after.inputs, keys),
        annotations=Tree(store, ours.annotations).edit(store, edits),
        meta=unite_meta(ours.meta, after.meta),
    )


def _restored(store: Store, root: ObjectId, source: ObjectId, keys: set[bytes]) -> ObjectId:
    """A tree with those of some records that only the source has."""
    mine, other = Tree(store, root), Tree(store, source)
    missing = {key: other.get(key) for key in keys if key not in mine}
    return mine.edit(store, {key: value for key, value in missing.items() if value is not None})


Sides = tuple[ObjectId, ObjectId, ObjectId]


def _follow_records(store: Store, noun: str, sides: Sides, problems: Problems) -> ObjectId:
    """Inputs or concepts."""
    mine, before, after = (Tree(store, root) for root in sides)
    changes = iter(diff_trees(before, after))
    while chunk := list(islice(changes, CHUNK)):
        edits: dict[bytes, bytes | None] = {}
        for key, old, new in chunk:
            current = mine.get(key)
            if new is not None and new != current:
                edits[key] = new if current is None else _merge(noun, key, (current, old, new), problems)
        mine = Tree(store, mine.edit(store, edits))
    return mine.root


def _follow_annotations(store: Store, sides: Sides, problems: Problems) -> dict[bytes, bytes | None]:
    mine, before, after = (Tree(store, root) for root in sides)
    edits: dict[bytes, bytes | None] = {}
    for key, old, new in diff_trees(before, after):
        current = mine.get(key)
        if new is None:
            # What was edited here since stays.
            if current is not None and current == old:
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
        if is_same(now, was) or is_same(mine, now):
            continue
        below = [_as_map(side) for side in (mine, was, now)] if depth < NESTED.get(path or name, 0) else []
        if is_same(mine, was):
            found = now
        elif below and None not in below:
            found = _merge_maps(tuple(below), clashes, path or name, depth + 1) or _ABSENT  # type: ignore[arg-type]
        elif mine is _ABSENT:
            found = now
        elif name in ("number", "n") and now is not _ABSENT:
            found = smaller(mine, now)
        else:
            clashes.append(_clash(f"{path}.{name}" if path else name, mine, now))
            continue
        if found is _ABSENT:
            merged.pop(name, None)
        else:
            merged[name] = found
    return merged


def _as_map(side: Any) -> Fields | None:
    """A side of fields that lie within a field: none where it is absent; None for what is no map."""
    return {} if side is _ABSENT else side if isinstance(side, dict) else None


def _names(old: Fields, new: Fields) -> Iterator[str]:
    yield from new
    yield from (name for name in old if name not in new)


def _clash(name: str, mine: Any, now: Any) -> str:
    text = "nothing" if now is _ABSENT else repr(now)
    return f"{name} was changed here to {mine!r}, and in the source to {text}"[:300]
