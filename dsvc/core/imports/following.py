"""Following a source: what it says now is merged into a dataset, with what it said last as the base."""

from __future__ import annotations

from typing import Any

import msgspec

from dsvc.core.merging.roots import Merged, merge_meta, merge_roots
from dsvc.model.node import Reader, Store
from dsvc.model.snapshot import Roots
from dsvc.model.tree import NodeCache, Tree, build_tree
from dsvc.model.treediff import diff_trees
from dsvc.store.ids import Kind, ObjectId, object_id

# Where the source says something new about one input in so many of the dataset's, or more, all are looked at.
_SHARE = 4


def follow(store: Store, last: Roots | None, ours: Roots, theirs: Roots, cache: NodeCache | None = None) -> Merged:
    """What `merge_roots` gives, at a cost that follows what the source changed and not what the dataset holds."""
    limit = len(Tree(store, ours.inputs, cache)) // _SHARE
    touched = _touched(store, last, theirs, limit)
    if touched is None:
        return merge_roots(store, last, ours, theirs, cache=cache)
    return follow_inputs(store, last, ours, theirs, touched)


def _touched(store: Store, last: Roots | None, theirs: Roots, limit: int) -> set[bytes] | None:
    """The keys of the inputs about which a source says something else; None where there are more than `limit`."""
    found: set[bytes] = set()
    for name in ("inputs", "annotations"):
        new = Tree(store, getattr(theirs, name))
        changes: Any = diff_trees(Tree(store, getattr(last, name)), new) if last is not None else new
        for key, *_ in changes:
            found.add(key.partition(b"\0")[0])
            if len(found) > limit:
                return None
    return found


def follow_inputs(store: Store, last: Roots | None, ours: Roots, theirs: Roots, keys: set[bytes]) -> Merged:
    """The merge of these inputs' records, and of all concepts, laid over a dataset: the others don't differ."""
    scratch = _Scratch(store)
    mine = _only(scratch, ours, keys)
    merged = merge_roots(
        scratch, _only(scratch, last, keys) if last is not None else None, mine, _only(scratch, theirs, keys)
    )

    def edited(name: str) -> ObjectId:
        changes = diff_trees(Tree(scratch, getattr(mine, name)), Tree(scratch, getattr(merged.roots, name)))
        edits = {key: new for key, _, new in changes}
        return Tree(store, getattr(ours, name)).edit(store, edits)

    return merged._replace(
        roots=Roots(
            concepts=edited("concepts"),
            inputs=edited("inputs"),
            annotations=edited("annotations"),
            meta=merge_meta(last.meta if last is not None else {}, ours.meta, theirs.meta),
        )
    )


def _only(scratch: Store, roots: Roots, keys: set[bytes]) -> Roots:
    """Some inputs with their annotations, and all concepts."""
    inputs, annotations = Tree(scratch, roots.inputs), Tree(scratch, roots.annotations)
    ordered = sorted(keys)
    found = ((key, inputs.get(key)) for key in ordered)
    return msgspec.structs.replace(
        roots,
        inputs=build_tree(scratch, ((key, value) for key, value in found if value is not None)),
        annotations=build_tree(scratch, (entry for key in ordered for entry in annotations.prefix(key + b"\0"))),
    )


class _Scratch:
    """A store that keeps what is put in memory."""

    def __init__(self, store: Reader) -> None:
        self._store = store
        self._objects: dict[ObjectId, bytes] = {}

    def get(self, id: ObjectId, kind: Kind) -> bytes:
        """The bytes of an object."""
        found = self._objects.get(id)
        return found if found is not None else self._store.get(id, kind)

    def put(self, kind: Kind, data: bytes) -> ObjectId:
        """Keep an object."""
        id = object_id(kind, data)
        self._objects[id] = data
        return id
