"""What differs between two trees, found by visiting only nodes that differ."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from dsvc.errors import DamagedError
from dsvc.model.node import Leaf, load_value
from dsvc.model.tree import Tree


class Change(NamedTuple):
    """One key whose value differs: `old` or `new` is None where the key is absent."""

    key: bytes
    old: bytes | None
    new: bytes | None


class Side:
    """One tree to be read along, as a stack whose top comes first: nodes not yet opened, and entries."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        # No key that is still to come is lower.
        self.low = b""
        self._is_begun = False
        root = tree.node(tree.root)
        self.stack: list[tuple[int, bytes, Any]] = []
        if root.count:
            self.stack.append((root.level, root.keys[-1], tree.root))

    def open(self) -> None:
        """Replace the node on top by its entries."""
        level, key, id = self.stack.pop()
        node = self.tree.node(id)
        if node.level != level or node.keys[-1:] != [key]:
            raise DamagedError(f"node {id.short()} is not what its parent says")
        if self._is_begun:
            self.tree.check_order(node.keys, self.low)
        if isinstance(node, Leaf):
            pairs = zip(reversed(node.keys), reversed(node.values), strict=True)
            self.stack.extend((-1, key, value) for key, value in pairs)
        else:
            below = node.level - 1
            self.stack.extend((below, child.key, child.id) for child in reversed(node.children))

    def take(self) -> Any:
        """Leave what is on top behind, and give it."""
        _, self.low, item = self.stack.pop()
        self._is_begun = True
        return item

    def leave(self, owners: Sequence[bytes]) -> bool:
        """Leave what is on top behind, unread, where it holds nothing of any owner; whether it did."""
        key = self.stack[-1][1]
        at = bisect_right(owners, key)
        if at and owners[at - 1] + b"\1" > self.low:
            return False
        self.take()
        return True

    def seek(self, key: bytes) -> bytes | None:
        """The value of a key, or None. Keys are asked for in order; what lies between them is skipped unread."""
        while self.stack and (self.stack[-1][1] < key or self.stack[-1][0] >= 0):
            if self.stack[-1][1] < key:
                self.take()
            else:
                self.open()
        return load_value(self.tree.store, self.stack[-1][2]) if self.stack and self.stack[-1][1] == key else None


def diff_trees(old: Tree, new: Tree, owners: Sequence[bytes] | None = None) -> Iterator[Change]:
    """The keys whose values differ, in order. Equal subtrees are skipped unread.

    With `owners`, the sorted keys of inputs, so are those that hold nothing of them; other keys that are passed by the
    way may come along.
    """
    if old.root == new.root:
        return
    a, b = Side(old), Side(new)
    while a.stack and b.stack:
        if owners is not None and (a.leave(owners) or b.leave(owners)):
            continue
        level_a, key_a, item_a = a.stack[-1]
        level_b, key_b, item_b = b.stack[-1]
        if level_a == level_b and key_a == key_b and item_a == item_b:
            a.take()
            b.take()
        elif level_a < 0 and level_b < 0:
            yield from _step(a, b, key_a, key_b)
        elif level_a >= level_b:
            a.open()
            if level_a == level_b:
                b.open()
        else:
            b.open()
    yield from _rest(a, True, owners)
    yield from _rest(b, False, owners)


def diff_to(old: Tree, new: Tree) -> Iterator[Change]:
    """Of what `diff_trees` gives, the keys that the new tree has. What only the old one has is skipped unread."""
    a, b = Side(old), Side(new)
    while a.stack and b.stack:
        level_a, key_a, item_a = a.stack[-1]
        level_b, key_b, item_b = b.stack[-1]
        if level_a == level_b and key_a == key_b and item_a == item_b:
            a.take()
            b.take()
        elif key_a < (key_b if level_b < 0 else b.low):
            a.take()
        elif level_a < 0 and level_b < 0:
            yield from _step(a, b, key_a, key_b)
        elif level_a >= level_b:
            a.open()
            if level_a == level_b:
                b.open()
        else:
            b.open()
    yield from _rest(b, False)


def _step(a: Side, b: Side, key_a: bytes, key_b: bytes) -> Iterator[Change]:
    """Both tops are entries that differ: take the lower one, or both where their keys are equal."""
    old = load_value(a.tree.store, a.take()) if key_a <= key_b else None
    new = load_value(b.tree.store, b.take()) if key_b <= key_a else None
    yield Change(min(key_a, key_b), old, new)


def _rest(side: Side, is_old: bool, owners: Sequence[bytes] | None = None) -> Iterator[Change]:
    while side.stack:
        if owners is not None and side.leave(owners):
            continue
        level, key, _ = side.stack[-1]
        if level >= 0:
            side.open()
            continue
        value = load_value(side.tree.store, side.take())
        yield Change(key, value, None) if is_old else Change(key, None, value)
