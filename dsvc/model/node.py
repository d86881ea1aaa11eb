"""Tree nodes: their bytes, and the rule that cuts a sequence of entries into nodes."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, Protocol

import msgspec
from msgpack import ExtType
from xxhash import xxh3_64_intdigest

from dsvc.errors import DamagedError, RefusedError
from dsvc.store import codec
from dsvc.store.ids import Kind, ObjectId
from dsvc.store.limits import FEW_BYTES, MAX_ITEMS

# Format 1 for ever. A node may end after an entry whose key's hash falls under a limit: a low one while the node is
# small, a high one from `NORMAL` entries on, so that sizes vary little. Then most edits rewrite a node of common size.
LEAF_MIN, LEAF_NORMAL, LEAF_MAX = 12, 26, 128
LEAF_EARLY, LEAF_LATE = (1 << 64) // 128, (1 << 64) // 8
INNER_MIN, INNER_NORMAL, INNER_MAX = 32, 100, 512
INNER_EARLY, INNER_LATE = (1 << 64) // 512, (1 << 64) // 32
MAX_NODE_BYTES = 32768
MAX_INLINE = 4096
MAX_KEY = 4096
POINTER_SIZE = 33
MAX_LEVEL = 40
MAX_ENTRIES = 1 << 53  # below one child
# The first key, "!", of the map that a conflicted record is; it follows the map's head of one byte or three.
CONFLICT_MARK = b"\xa1!"


class Reader(Protocol):
    """Where nodes come from."""

    def get(self, id: ObjectId, kind: Kind) -> bytes:
        """The bytes of an object, verified."""


class Store(Reader, Protocol):
    """Where nodes come from and go to."""

    def put(self, kind: Kind, data: bytes) -> ObjectId:
        """Keep an object and give its id."""


class Child(NamedTuple):
    """An inner node's entry: a child's last key, its id, and the entries and conflicts below it."""

    key: bytes
    id: ObjectId
    entries: int
    conflicts: int


class Leaf(msgspec.Struct, frozen=True):
    """Sorted keys and their values; a value that lies outside the node is an ExtType that names it."""

    keys: list[bytes]
    values: list[Any]
    has_pointers: bool = False

    @property
    def level(self) -> int:
        """How many levels lie below."""
        return 0

    @property
    def count(self) -> int:
        """Entries below this node."""
        return len(self.keys)

    @property
    def conflicts(self) -> int:
        """Records below this node that hold a conflict."""
        return sum(map(has_conflict, self.values))


class Inner(msgspec.Struct, frozen=True):
    """The children of a node, in the order of their last keys."""

    level: int
    keys: list[bytes]
    children: list[Child]

    @property
    def count(self) -> int:
        """Entries below this node."""
        return sum(child.entries for child in self.children)

    @property
    def conflicts(self) -> int:
        """Records below this node that hold a conflict."""
        return sum(child.conflicts for child in self.children)


Node = Leaf | Inner


def has_conflict(value: Any) -> bool:
    """Whether an encoded record holds a conflict (a value outside its node carries that in its pointer)."""
    if type(value) is ExtType:
        return bool(value.data[0])
    return bool(
        (value[1:3] == CONFLICT_MARK and 0x80 < value[0] <= 0x8F) or (value[3:5] == CONFLICT_MARK and value[0] == 0xDE)
    )


def encode_leaf(keys: list[bytes], values: list[Any]) -> bytes:
    """The bytes of a leaf."""
    return codec.pack((0, keys, values))


def encode_inner(level: int, children: list[Child]) -> bytes:
    """The bytes of an inner node of a level from 1."""
    return codec.pack(
        (
            level,
            [child.key for child in children],
            b"".join([child.id for child in children]),
            [child.entries for child in children],
            [child.conflicts for child in children],
        )
    )


def decode_node(data: bytes, id: ObjectId) -> Node:
    """The node of its bytes. Raises DamagedError for whatever `encode` would not have written."""
    what = f"node {id.short()}"
    fields = codec.decode(data, what)
    try:
        level, keys = fields[:2]
        if type(level) is not int or not _are_keys(keys):
            raise ValueError("its keys make no sense")
        if level == 0:
            _, _, values = fields
            others = [value for value in values if type(value) is not bytes]
            node: Node = Leaf(keys, values, bool(others))
            sound = type(values) is list and len(keys) == len(values) and all(map(_is_pointer, others))
            sound = sound and all(len(value) <= MAX_INLINE for value in values if type(value) is bytes)
        else:
            _, _, ids, counts, conflicts = fields
            columns = zip(keys, _ids(ids), counts, conflicts, strict=True)
            node = Inner(level, keys, [Child(*column) for column in columns])
            sound = 0 < level <= MAX_LEVEL and len(keys) > 0 and all(map(_is_count, counts, conflicts))
        if not sound or not all(map(bytes.__lt__, keys, keys[1:])):
            raise ValueError("entries out of order")
    except (TypeError, ValueError, IndexError, KeyError) as error:
        raise DamagedError(f"{what} is damaged: {error}") from error
    return node


def _are_keys(keys: Any) -> bool:
    return type(keys) is list and {*map(type, keys)} <= {bytes} and max(map(len, keys), default=0) <= MAX_KEY


def _is_count(entries: Any, conflicts: Any) -> bool:
    """Whether a child may have so many entries, and so many in conflict."""
    return type(entries) is type(conflicts) is int and 0 <= conflicts <= entries <= MAX_ENTRIES


def keeps_promise(node: Node, promised: Child, level: int, data: bytes | None = None) -> bool:
    """Whether a node, found below another one, is what that says of it. Its bytes save looking at a leaf closely."""
    if node.level != level or node.keys[-1:] != [promised.key] or node.count != promised.entries:
        return False
    if data is not None and isinstance(node, Leaf) and not node.has_pointers and CONFLICT_MARK not in data:
        return promised.conflicts == 0
    return node.conflicts == promised.conflicts


def _ids(joined: bytes) -> list[ObjectId]:
    size = ObjectId.SIZE
    return [ObjectId(joined[at : at + size]) for at in range(0, len(joined), size)]


def _is_pointer(value: Any) -> bool:
    is_one = type(value) is ExtType and value.code == codec.OUTSIDE_VALUE and len(value.data) == POINTER_SIZE
    return is_one and value.data[0] <= 1


def store_value(store: Store, value: bytes) -> Any:
    """What a leaf holds for a value: itself, or a pointer where it is larger than `MAX_INLINE`."""
    if len(value) <= MAX_INLINE:
        return value
    if len(value) > FEW_BYTES and codec.count_items(value, MAX_ITEMS) > MAX_ITEMS:
        message = f"a record of more than {MAX_ITEMS:,} parts cannot be stored; nothing was changed"
        raise RefusedError(message, "keep long lists in files of their own, as inputs")
    return ExtType(codec.OUTSIDE_VALUE, bytes([has_conflict(value)]) + store.put(Kind.VALUE, value))


def load_value(store: Reader, value: Any) -> bytes:
    """The value that a leaf's entry stands for."""
    if type(value) is bytes:
        return value
    return store.get(ObjectId(value.data[1:]), Kind.VALUE)


def find(keys: list[bytes], key: bytes) -> int:
    """The index of the first entry whose key is not below `key`."""
    return bisect_left(keys, key)


def ends_leaf(key: bytes, entries: int, size: int) -> bool:
    """Whether a leaf of so many entries and so many bytes ends after this key."""
    if entries < LEAF_MIN:
        return size >= MAX_NODE_BYTES
    limit = LEAF_EARLY if entries < LEAF_NORMAL else LEAF_LATE
    return xxh3_64_intdigest(key, 0) < limit or entries >= LEAF_MAX or size >= MAX_NODE_BYTES


def ends_inner(key: bytes, level: int, entries: int, size: int) -> bool:
    """Whether an inner node of so many children and so many bytes ends after this key."""
    if entries < INNER_MIN:
        return size >= MAX_NODE_BYTES and entries >= 2
    limit = INNER_EARLY if entries < INNER_NORMAL else INNER_LATE
    return xxh3_64_intdigest(key, level) < limit or entries >= INNER_MAX or size >= MAX_NODE_BYTES


def cut_leaves(store: Store, entries: Iterable[tuple[bytes, bytes]]) -> Iterator[Child]:
    """Cut sorted entries into leaves, store them and name them. Raises ValueError for entries out of order.

    The same cuts as `LeafChunker` makes, in one loop, since bulk builds spend their time here.
    """
    chunker = LeafChunker(store)
    keys, values, size, count, last = list[bytes](), list[Any](), 0, 0, b""
    for key, value in entries:
        if key <= last or len(key) > MAX_KEY:
            raise ValueError(f"a key out of order or too long: {key[:80]!r} after {last[:80]!r}")
        last = key
        keys.append(key)
        if len(value) <= MAX_INLINE:
            values.append(value)
            size += len(key) + len(value)
        else:
            values.append(store_value(store, value))
            size += len(key) + POINTER_SIZE
        count += 1
        if (count >= LEAF_MIN or size >= MAX_NODE_BYTES) and ends_leaf(key, count, size):
            yield chunker.store(keys, values)
            keys, values, size, count = [], [], 0, 0
    if keys:
        yield chunker.store(keys, values)


class LeafChunker:
    """Takes sorted entries one by one and gives a leaf's name whenever one is full."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._keys: list[bytes] = []
        self._values: list[Any] = []
        self._size = 0

    def add(self, key: bytes, value: Any) -> Child | None:
        """Take the next entry; the name of the leaf that it completes, if it does."""
        self._keys.append(key)
        self._values.append(value)
        self._size += len(key) + (len(value) if type(value) is bytes else POINTER_SIZE)
        if ends_leaf(key, len(self._keys), self._size):
            return self.close()
        return None

    @property
    def is_empty(self) -> bool:
        """Whether the next entry begins a new leaf."""
        return not self._keys

    def close(self) -> Child | None:
        """End the leaf here; its name, or None where it has no entry."""
        keys, values = self._keys, self._values
        if not keys:
            return None
        self._keys, self._values, self._size = [], [], 0
        return self.store(keys, values)

    def store(self, keys: list[bytes], values: list[Any]) -> Child:
        """Keep a leaf and name it."""
        data = encode_leaf(keys, values)
        # Nearly no leaf has the mark anywhere, and one search is cheaper than a look at every value.
        marked = CONFLICT_MARK in data or any(type(value) is not bytes for value in values)
        conflicts = sum(map(has_conflict, values)) if marked else 0
        return Child(keys[-1], self._store.put(Kind.NODE, data), len(keys), conflicts)


class InnerChunker:
    """Takes sorted children one by one and gives an inner node's name whenever one is full."""

    def __init__(self, store: Store, level: int) -> None:
        self._store = store
        self._level = level
        self._children: list[Child] = []
        self._size = 0

    def add(self, key: bytes, child: Child) -> Child | None:
        """Take the next child; the name of the node that it completes, if it does."""
        self._children.append(child)
        self._size += len(key) + 40
        if ends_inner(key, self._level, len(self._children), self._size):
            return self.close()
        return None

    @property
    def is_empty(self) -> bool:
        """Whether the next child begins a new node."""
        return not self._children

    def close(self) -> Child | None:
        """End the node here; its name, or None where it has no child."""
        children = self._children
        if not children:
            return None
        self._children, self._size = [], 0
        id = self._store.put(Kind.NODE, encode_inner(self._level, children))
        count = sum(child.entries for child in children)
        return Child(children[-1].key, id, count, sum(child.conflicts for child in children))
