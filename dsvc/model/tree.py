"""Prolly trees: sorted maps of bytes to bytes whose shape is a function of what they hold alone.

A tree is named by its root's id; the empty tree is an empty leaf. Reading goes through a `Reader`, which may
cache decoded nodes; writing gives a new root and leaves the old one as it was.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from dsvc.errors import DamagedError
from dsvc.model.node import (
    MAX_KEY,
    Child,
    Inner,
    InnerChunker,
    Leaf,
    LeafChunker,
    Node,
    Reader,
    Store,
    cut_leaves,
    decode_node,
    encode_leaf,
    find,
    has_conflict,
    load_value,
    store_value,
)
from dsvc.model.recut import recut_leaves
from dsvc.store.ids import Kind, ObjectId

Edits = Mapping[bytes, bytes | None]


class NodeCache:
    """Decoded nodes by id, the least recently used leaving first.

    `folder` says where else what follows from nodes may be kept on disk, or None.
    """

    def __init__(self, size: int = 512, folder: Callable[[], Path | None] = lambda: None) -> None:
        self._nodes: OrderedDict[ObjectId, Node] = OrderedDict()
        self._size = size
        self.folder = folder

    def load(self, store: Reader, id: ObjectId) -> Node:
        """The node of an id. Raises DamagedError."""
        node = self._nodes.get(id)
        if node is None:
            node = decode_node(store.get(id, Kind.NODE), id)
            self._nodes[id] = node
            if len(self._nodes) > self._size:
                self._nodes.popitem(last=False)
        else:
            self._nodes.move_to_end(id)
        return node


class Tree:
    """One tree to read: like a sorted dict of bytes. Raises DamagedError where its nodes are damaged."""

    def __init__(self, store: Reader, root: ObjectId, cache: NodeCache | None = None) -> None:
        self.store = store
        self.root = root
        self.cache = cache or NodeCache()

    def node(self, id: ObjectId) -> Node:
        """A node of this tree."""
        return self.cache.load(self.store, id)

    def __len__(self) -> int:
        return self.node(self.root).count

    @property
    def conflicts(self) -> int:
        """How many records hold a conflict."""
        return self.node(self.root).conflicts

    def get(self, key: bytes) -> bytes | None:
        """The value of a key, or None. Reads one path."""
        node = self.node(self.root)
        while isinstance(node, Inner):
            at = find(node.keys, key)
            if at == len(node.keys):
                return None
            node = self._child(node, at)
        at = find(node.keys, key)
        if at < len(node.keys) and node.keys[at] == key:
            return load_value(self.store, node.values[at])
        return None

    def __contains__(self, key: bytes) -> bool:
        return self.get(key) is not None

    def _child(self, node: Inner, at: int) -> Node:
        return self.below(node.children[at], node.level - 1)

    def below(self, child: Child, level: int, after: bytes | None = None) -> Node:
        """A child's node, if it is what its parent says, and all its keys come after one that came before."""
        node = self.node(child.id)
        if node.level != level or node.keys[-1:] != [child.key] or node.count != child.entries:
            raise DamagedError(f"node {child.id.short()} is not what its parent says")
        if after is not None:
            self.check_order(node.keys, after)
        return node

    def check_order(self, keys: list[bytes], after: bytes) -> None:
        """Raise DamagedError where the first of some keys is not beyond one that came before: so no walk goes in
        circles, and none gives a key twice."""
        if keys and keys[0] <= after:
            raise DamagedError(f"a tree is damaged: its key {keys[0][:80]!r} comes twice, or too late")

    def items(self, start: bytes = b"", end: bytes | None = None) -> Iterator[tuple[bytes, bytes]]:
        """Entries with start <= key < end, in order."""
        for leaf in self._leaves(start):
            keys, values = leaf.keys, leaf.values
            at = find(keys, start) if start else 0
            to = find(keys, end) if end is not None else len(keys)
            if at or to < len(keys):
                keys, values = keys[at:to], values[at:to]
            if leaf.has_pointers:
                values = [load_value(self.store, value) for value in values]
            yield from zip(keys, values, strict=True)
            if to < len(leaf.keys):
                return

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        return self.items()

    def runs(self) -> Iterator[tuple[list[bytes], list[bytes]]]:
        """All keys and their values in order, some at a time: quicker than one by one."""
        for leaf in self._leaves(b""):
            yield (
                leaf.keys,
                [load_value(self.store, value) for value in leaf.values] if leaf.has_pointers else leaf.values,
            )

    def leaves(self) -> Iterator[Child]:
        """The names of all leaves, in order. A tree that is one leaf gives none."""
        stack: list[Iterator[Child]] = []
        root, last = self.node(self.root), b""
        if isinstance(root, Inner):
            stack.append(iter(root.children))
        while stack:
            child = next(stack[-1], None)
            if child is None:
                stack.pop()
            elif len(stack) == root.level:
                self.check_order([child.key], last)
                last = child.key
                yield child
            else:
                below = self.below(child, root.level - len(stack), last)
                assert isinstance(below, Inner)  # its level is above 0
                stack.append(iter(below.children))

    def _leaves(self, start: bytes) -> Iterator[Leaf]:
        stack: list[tuple[Node, int]] = [(self.node(self.root), -1)]
        last: bytes | None = None
        while stack:
            node, at = stack.pop()
            if isinstance(node, Leaf):
                if last is not None:
                    self.check_order(node.keys, last)
                last = node.keys[-1] if node.keys else last
                yield node
                continue
            at = find(node.keys, start) if at < 0 else at
            if at < len(node.keys):
                stack.append((node, at + 1))
                stack.append((self._child(node, at), -1))

    def parts(self) -> Iterator[Child]:
        """Nodes that together hold all entries, in order: those right above the leaves, or the root where that is
        lower. Reads only what lies above them."""
        root = self.node(self.root)
        if root.level <= 1:
            yield Child(root.keys[-1] if root.keys else b"", self.root, root.count, root.conflicts)
            return
        stack: list[Node] = [root]
        last = b""
        while stack:
            node = stack.pop()
            assert isinstance(node, Inner)
            if node.level == 2:
                self.check_order(node.keys, last)
                last = node.keys[-1]
                yield from node.children
            else:
                stack += [self._child(node, at) for at in range(len(node.children) - 1, -1, -1)]

    def part(self, child: Child) -> Tree:
        """The tree below a node that `parts` gave. Raises DamagedError where it is not what its parent says."""
        below = self.node(child.id)
        if below.count != child.entries or (below.keys[-1] if below.keys else b"") != child.key:
            raise DamagedError(f"node {child.id.short()} is not what its parent says")
        return type(self)(self.store, child.id, self.cache)

    def prefix(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Entries whose key begins with `prefix`, in order."""
        for key, value in self.items(prefix):
            if not key.startswith(prefix):
                return
            yield key, value

    def conflicting(self) -> Iterator[tuple[bytes, bytes]]:
        """The entries that hold a conflict, in order. Reads no nodes but those on the way to them."""
        stack: list[tuple[Child | None, int]] = [(None, 0)]
        last = b""
        while stack:
            child, level = stack.pop()
            node = self.node(self.root) if child is None else self.below(child, level, last)
            if isinstance(node, Inner):
                stack.extend((child, node.level - 1) for child in reversed(node.children) if child.conflicts)
            else:
                last = node.keys[-1] if node.keys else last
                for key, value in zip(node.keys, node.values, strict=True):
                    if has_conflict(value):
                        yield key, load_value(self.store, value)

    def at(self, index: int) -> tuple[bytes, bytes]:
        """The entry at an index from 0, or from the end below 0. Raises IndexError. Reads one path."""
        node = self.node(self.root)
        index += node.count if index < 0 else 0
        if not 0 <= index < node.count:
            raise IndexError(index)
        while isinstance(node, Inner):
            for at, child in enumerate(node.children):
                if index < child.entries:
                    node = self._child(node, at)
                    break
                index -= child.entries
            else:
                raise DamagedError("a node's counts are not what its parent says")
        return node.keys[index], load_value(self.store, node.values[index])

    def edit(self, store: Store, edits: Edits) -> ObjectId:
        """The root of this tree with `edits` applied: key -> new value, None to take it away."""
        return edit_tree(store, self, edits)


class TextTree(Tree):
    """A tree whose keys are texts, as those of records are. Raises DamagedError where one is none."""

    def node(self, id: ObjectId) -> Node:
        """A node of this tree."""
        node = super().node(id)
        if isinstance(node, Leaf):
            try:
                b"\n".join(node.keys).decode()
            except UnicodeDecodeError as error:
                raise DamagedError(f"node {id.short()} is damaged: a key in it is no text") from error
        return node


def empty_tree(store: Store) -> ObjectId:
    """The root of the tree without entries."""
    return store.put(Kind.NODE, encode_leaf([], []))


def build_tree(store: Store, entries: Iterable[tuple[bytes, bytes]], like: Tree | None = None) -> ObjectId:
    """The root of a tree of entries that come sorted by key, each key once. Raises ValueError for others.

    It is built quicker where a tree that is `like` it has most of them.
    """
    leaves = cut_leaves(store, entries) if like is None else recut_leaves(store, entries, like.leaves())
    return _build_up(store, leaves, 1)


def _build_up(store: Store, children: Iterable[Child], level: int) -> ObjectId:
    """Stack levels on a sequence of nodes until one node is left."""
    while True:
        stream = iter(children)
        first, second = next(stream, None), next(stream, None)
        if first is None:
            return empty_tree(store)
        if second is None:
            return first.id
        children = list(_cut_inner(store, chain((first, second), stream), level))
        level += 1


def _cut_inner(store: Store, children: Iterable[Child], level: int) -> Iterator[Child]:
    chunker = InnerChunker(store, level)
    for child in children:
        if node := chunker.add(child.key, child):
            yield node
    if node := chunker.close():
        yield node


def edit_tree(store: Store, tree: Tree, edits: Edits) -> ObjectId:
    """Apply `edits` by rewriting only the nodes that they touch; the root is that of a fresh build."""
    if not edits:
        return tree.root
    for key in edits:
        if len(key) > MAX_KEY:
            raise ValueError(f"a key of {len(key)} bytes")
    root = tree.node(tree.root)
    if 2 * len(edits) > root.count:
        # Most leaves change, and a fresh build is faster; it needs no more memory than the edits do.
        entries = {**dict(tree), **edits}
        return build_tree(store, sorted((k, v) for k, v in entries.items() if v is not None))
    changes: dict[bytes, Any] = {
        key: None if value is None else store_value(store, value) for key, value in edits.items()
    }
    top = root.level
    for level in range(top):
        changes = _edit_level(store, tree, level, changes)
        if not changes:
            return tree.root
    nodes = [n for n in _edit_level(store, tree, top, changes).values() if n is not None]
    nodes.sort(key=lambda child: child.key)
    return _lowest_root(store, _build_up(store, nodes, top + 1))


def _lowest_root(store: Store, root: ObjectId) -> ObjectId:
    """Below inner nodes with a single child, which a fresh build would not have made."""
    while True:
        node = decode_node(store.get(root, Kind.NODE), root)
        if isinstance(node, Leaf) or len(node.children) > 1:
            return root
        root = node.children[0].id


def _edit_level(store: Store, tree: Tree, level: int, changes: dict[bytes, Any]) -> dict[bytes, Child | None]:
    """Apply changes to the nodes of one level; what that changes in the level above, by last key.

    From each node that a change falls into, entries are cut anew until a cut coincides with an old one.
    """
    above: dict[bytes, Child | None] = {}
    pending = sorted(changes)
    at = 0
    cursor = _Cursor(tree, level)
    while at < len(pending):
        chunker = LeafChunker(store) if level == 0 else InnerChunker(store, level)
        node: Node | None = cursor.seek(pending[at])
        while node is not None:
            above.setdefault(node.keys[-1], None)
            last = cursor.is_last
            end = len(pending) if last else at + _below(pending, at, node.keys[-1])
            for key, item in _merged(node, pending[at:end], changes):
                if made := chunker.add(key, item):
                    above[made.key] = made
            at = end
            if chunker.is_empty or last:
                break
            node = cursor.next()
        if made := chunker.close():
            above[made.key] = made
    return above


def _below(pending: list[bytes], at: int, limit: bytes) -> int:
    count = 0
    while at + count < len(pending) and pending[at + count] <= limit:
        count += 1
    return count


def _merged(node: Node, keys: list[bytes], changes: dict[bytes, Any]) -> Iterator[tuple[bytes, Any]]:
    """A node's entries with changes laid over them, in order."""
    old = dict(zip(node.keys, node.values if isinstance(node, Leaf) else node.children, strict=True))
    if not keys:
        yield from old.items()
        return
    for key in keys:
        old[key] = changes[key]
    for key in sorted(old):
        if old[key] is not None:
            yield key, old[key]


class _Cursor:
    """Walks the nodes of one level of a tree from any key on."""

    def __init__(self, tree: Tree, level: int) -> None:
        self._tree = tree
        self._level = level
        self._path: list[tuple[Inner, int]] = []

    def seek(self, key: bytes) -> Node:
        """The node into which a key falls; the last one for keys beyond all."""
        self._path = []
        return self._descend(self._tree.node(self._tree.root), key)

    def _descend(self, node: Node, key: bytes) -> Node:
        while isinstance(node, Inner) and node.level > self._level:
            at = min(find(node.keys, key), len(node.keys) - 1)
            self._path.append((node, at))
            node = self._tree.below(node.children[at], node.level - 1)
        return node

    @property
    def is_last(self) -> bool:
        """Whether no node of this level follows."""
        return all(at == len(node.keys) - 1 for node, at in self._path)

    def next(self) -> Node | None:
        """The node after this one."""
        while self._path:
            node, at = self._path.pop()
            if at + 1 < len(node.keys):
                self._path.append((node, at + 1))
                found = self._descend(self._tree.below(node.children[at + 1], node.level - 1), b"")
                self._tree.check_order(found.keys, node.keys[at])
                return found
        return None
