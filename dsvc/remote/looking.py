"""Looking at structure while it comes: what the walk through trees asks of it then, so that nothing is read again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dsvc.model.plain import are_annotation_keys, plain_inputs, plain_leaf
from dsvc.store.ids import Kind

if TYPE_CHECKING:
    from dsvc.model.node import Child
    from dsvc.store.ids import ObjectId

ANNOTATIONS, INPUTS = "annotations", "inputs"
_KEPT = 64 << 20  # bytes of other objects that are kept until they are asked for


class Seen:
    """What verified objects were found to be.

    Of most leaves of annotations it is enough to know the last key and how many there are: nothing that they hold names
    another object. So it is with inputs, unless their `blobs` matter. Of other objects some are kept, up to a
    bound in bytes.
    """

    def __init__(self, *, blobs: bool) -> None:
        self._blobs = blobs
        self._leaves: dict[ObjectId, tuple[str, bytes, int]] = {}
        self._kept: dict[tuple[ObjectId, int], bytes] = {}
        self._room = _KEPT

    def look(self, id: ObjectId, kind: int, data: bytes) -> None:
        """Note what an object of a kind is. No value passes for a node, whatever its bytes."""
        leaf = plain_leaf(data) if kind == Kind.NODE else None
        if leaf is not None:
            keys, values = leaf
            if are_annotation_keys(keys):
                self._leaves[id] = (ANNOTATIONS, keys[-1], len(keys))
                return
            if not self._blobs and plain_inputs(keys, values) is not None:
                self._leaves[id] = (INPUTS, keys[-1], len(keys))
                return
        if len(data) <= self._room:
            self._room -= len(data)
            self._kept[id, kind] = data

    def take(self, id: ObjectId, kind: int) -> bytes | None:
        """The bytes of an object of a kind, if they were kept; they are no more."""
        return self._kept.pop((id, kind), None)

    def is_plain(self, id: ObjectId, promised: Child, tree: str) -> bool:
        """Whether an object is a sound leaf of a tree, just what its parent says, and names no other object."""
        return promised.conflicts == 0 and self._leaves.get(id) == (tree, promised.key, promised.entries)
