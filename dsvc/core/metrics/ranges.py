"""Counting a state part by part: a part is the inputs below one node, with all their annotations.

What is kept of a part goes by what it is made of: the node of its inputs, and the nodes of the other tree in which
their annotations lie. A commit changes few of these, so most parts of a new state have been counted before.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from dsvc.core.metrics.keeping import Keeper
from dsvc.core.metrics.measuring import Grouping, Measured, measure
from dsvc.core.metrics.rows import Entry
from dsvc.core.metrics.summary import add, add_tables, finished, pack, pack_table, unpack, unpack_table
from dsvc.errors import UsageError
from dsvc.model.incoming import Progress
from dsvc.model.node import Child, Inner, Leaf, load_value
from dsvc.model.snapshot import Snapshot
from dsvc.model.tree import Tree
from dsvc.store.ids import ObjectId

# To be counted up where what is counted, or its form, changes.
_EDITION = b"metrics 1"
_COUNTS = "counts"
# Annotations that are counted in one go, or a little more; those of one input always are.
MANY = 8192
MAX_GROUPS = 10_000
_EMPTY = Leaf([], [])


class _Part(NamedTuple):
    """Inputs below one node: those behind `after`, up to `last`; all that are left where that is None."""

    node: Child
    level: int
    after: bytes
    last: bytes | None

    @property
    def begin(self) -> bytes:
        """From where on the keys of their annotations lie."""
        return self.after + b"\1" if self.after else b""

    @property
    def end(self) -> bytes | None:
        """Before what the keys of their annotations lie."""
        return self.last + b"\1" if self.last is not None else None


class Counter:
    """Counts a snapshot, with groups where `by` names something that inputs are grouped by."""

    def __init__(
        self, snapshot: Snapshot, keeper: Keeper, by: str | None, grouping: Grouping | None, progress: Progress | None
    ) -> None:
        self._inputs = snapshot.input_tree
        self._annotations = snapshot.annotation_tree
        self._keeper = keeper
        self._grouping = grouping
        self._by = by
        self._groups = f"by {by}"
        self._progress = progress
        self._done = 0

    @property
    def key(self) -> ObjectId:
        """What the whole snapshot goes by."""
        return self._key(self._root())

    def count(self) -> Measured:
        """The counts of the whole snapshot. Raises DamagedError."""
        made = self._count(self._root())
        return Measured(finished(made.summary), made.groups)

    def _root(self) -> _Part:
        node = self._inputs.node(self._inputs.root)
        last = node.keys[-1] if node.keys else b""
        return _Part(Child(last, self._inputs.root, node.count, 0), node.level, b"", None)

    def _count(self, part: _Part) -> Measured:
        node = self._inputs.below(part.node, part.level, part.after or None) if part.node.entries else _EMPTY
        if isinstance(node, Inner):
            return self._sum([self._below(child) for child in _children(part, node)])
        values = [load_value(self._inputs.store, value) for value in node.values]
        made = self._measure(list(zip(node.keys, values, strict=True)), part.begin, part.end)
        self._report(part)
        return made

    def _below(self, part: _Part) -> Measured:
        key = self._key(part)
        found = self._kept(key)
        if found is None:
            found = self._count(part)
            self._keep(key, found)
        else:
            self._report(part)
        return found

    def _measure(self, inputs: list[Entry], begin: bytes, end: bytes | None) -> Measured:
        """The counts of some inputs of a leaf; those with very many annotations are halved, and halved again."""
        middle = len(inputs) // 2
        if middle and sum(child.entries for child in cover(self._annotations, begin, end)) > MANY:
            cut = inputs[middle - 1][0] + b"\1"
            return self._sum([self._half(inputs[:middle], begin, cut), self._half(inputs[middle:], cut, end)])
        return measure(inputs, list(self._annotations.items(begin, end)), self._grouping)

    def _half(self, inputs: list[Entry], begin: bytes, end: bytes | None) -> Measured:
        key = self._hashed(b"inputs", [text for entry in inputs for text in entry], begin, end)
        found = self._kept(key)
        if found is None:
            found = self._measure(inputs, begin, end)
            self._keep(key, found)
        return found

    def _sum(self, parts: list[Measured]) -> Measured:
        tables = [part.groups for part in parts if part.groups is not None]
        groups = add_tables(tables) if tables else None
        if groups is not None and len(groups.names) > MAX_GROUPS:
            text = f"{self._by} has more than {MAX_GROUPS:,} different values"
            raise UsageError(text, "group by a field that has few; or ask: dsvc query")
        return Measured(add([part.summary for part in parts]), groups)

    def _report(self, part: _Part) -> None:
        self._done += part.node.entries
        if self._progress:
            self._progress("count inputs", self._done, len(self._inputs))

    # ---- what is kept

    def _kept(self, key: ObjectId) -> Measured | None:
        names = (_COUNTS,) if self._grouping is None else (_COUNTS, self._groups)
        found = self._keeper.load(key, names)
        try:
            summary = unpack(found[_COUNTS])
            return Measured(summary, unpack_table(found[self._groups]) if self._grouping is not None else None)
        except (KeyError, ValueError, msgspec.MsgspecError):
            return None

    def _keep(self, key: ObjectId, made: Measured) -> None:
        parts = {_COUNTS: pack(made.summary)}
        if made.groups is not None:
            parts[self._groups] = pack_table(made.groups)
        self._keeper.keep(key, parts)

    def _key(self, part: _Part) -> ObjectId:
        """What a part goes by."""
        return self._hashed(b"node", [part.node.id], part.begin, part.end)

    def _hashed(self, kind: bytes, inputs: list[bytes], begin: bytes, end: bytes | None) -> ObjectId:
        """A hash of inputs and of the nodes that have their annotations, which lie from `begin` to before `end`."""
        hasher = hashlib.blake2b(_EDITION + kind, digest_size=ObjectId.SIZE)
        for text in (begin, end or b"", *inputs):
            hasher.update(len(text).to_bytes(4, "big") + text)
        hasher.update(b"".join([child.id for child in cover(self._annotations, begin, end)]))
        return ObjectId(hasher.digest())


def _children(part: _Part, node: Inner) -> Iterator[_Part]:
    """The parts below one; the last goes on to the end of it, so that no annotation is passed over."""
    after = part.after
    for at, child in enumerate(node.children):
        yield _Part(child, node.level - 1, after, child.key if at + 1 < len(node.children) else part.last)
        after = child.key


def cover(tree: Tree, begin: bytes, end: bytes | None) -> list[Child]:
    """The nodes of a tree in which all entries from `begin` to before `end` lie: whole ones as high up as may be,
    and at both ends leaves that may hold other entries too. Reads only what lies above these leaves."""
    root = tree.node(tree.root)
    if isinstance(root, Leaf) or (not begin and end is None):
        return [Child(root.keys[-1] if root.keys else b"", tree.root, root.count, 0)]
    found: list[Child] = []
    _cover(tree, root, b"", (begin, end), found)
    return found


def _cover(tree: Tree, node: Inner, before: bytes, limits: tuple[bytes, bytes | None], found: list[Child]) -> None:
    """Add the nodes below one whose entries come after the key `before`."""
    begin, end = limits
    first = bisect_left(node.keys, begin)
    last = bisect_left(node.keys, end) if end is not None else len(node.keys)
    if node.level == 1:
        found += node.children[first : last + 1]
        return
    for at in range(first, min(last + 1, len(node.keys))):
        child, previous = node.children[at], node.keys[at - 1] if at else before
        if previous >= begin and (end is None or child.key < end):
            found.append(child)
        else:
            below = tree.below(child, node.level - 1, previous or None)
            assert isinstance(below, Inner)  # its level is above 0
            _cover(tree, below, previous, limits, found)
