"""What differs between two trees, found by visiting only nodes that differ."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from dsvc.model.node import Leaf, load_value
from dsvc.model.tree import Tree


class Change(NamedTuple):
    """One key whose value differs: `old` or `new` is None where the key is absent."""

    key: bytes
    old: bytes | None
    new: bytes | None


class _Side:
    """One tree as a stack whose top comes first: nodes not yet opened, and entries."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        root = tree.node(tree.root)
        self.stack: list[tuple[int, bytes, Any]] = []
        if root.count:
            self.stack.append((root.level, root.keys[-1], tree.root))

    def open(self) -> None:
        """Replace the node on top by its entries."""
        _, _, id = self.stack.pop()
        node = self.tree.node(id)
        if isinstance(node, Leaf):
            pairs = zip(reversed(node.keys), reversed(node.values), strict=True)
            self.stack.extend((-1, key, value) for key, value in pairs)
        else:
            below = node.level - 1
            self.stack.extend((below, child.key, child.id) for child in reversed(node.children))


def diff_trees(old: Tree, new: Tree) -> Iterator[Change]:
    """The keys whose values differ, in order. Equal subtrees are skipped unread."""
    if old.root == new.root:
        return
    a, b = _Side(old), _Side(new)
    while a.stack and b.stack:
        level_a, key_a, item_a = a.stack[-1]
        level_b, key_b, item_b = b.stack[-1]
        if level_a == level_b and key_a == key_b and item_a == item_b:
            a.stack.pop()
            b.stack.pop()
        elif level_a < 0 and level_b < 0:
            yield from _step(a, b, key_a, key_b)
        elif level_a >= level_b:
            a.open()
            if level_a == level_b:
                b.open()
        else:
            b.open()
    yield from _rest(a, True)
    yield from _rest(b, False)


def _step(a: _Side, b: _Side, key_a: bytes, key_b: bytes) -> Iterator[Change]:
    """Both tops are entries that differ: take the lower one, or both where their keys are equal."""
    old = load_value(a.tree.store, a.stack.pop()[2]) if key_a <= key_b else None
    new = load_value(b.tree.store, b.stack.pop()[2]) if key_b <= key_a else None
    yield Change(min(key_a, key_b), old, new)


def _rest(side: _Side, is_old: bool) -> Iterator[Change]:
    while side.stack:
        level, key, item = side.stack[-1]
        if level >= 0:
            side.open()
            continue
        side.stack.pop()
        value = load_value(side.tree.store, item)
        yield Change(key, value, None) if is_old else Change(key, None, value)
