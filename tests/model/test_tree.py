"""Prolly trees: shaped by content alone, and cheap to read, edit and compare."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsvc.errors import DamagedError
from dsvc.model.node import LEAF_LATE, LEAF_MAX, Inner, decode_node, encode_leaf
from dsvc.model.tree import Tree, build_tree, empty_tree
from dsvc.model.treediff import diff_to, diff_trees
from dsvc.model.treemerge import walk_sides, walk_theirs
from dsvc.store.ids import Kind, ObjectId, object_id


class DictStore:
    """Objects in a dict, counting reads."""

    def __init__(self) -> None:
        self.objects: dict[ObjectId, bytes] = {}
        self.reads = 0
        self.writes = 0

    def get(self, id: ObjectId, kind: Kind) -> bytes:
        self.reads += 1
        return self.objects[id]

    def put(self, kind: Kind, data: bytes) -> ObjectId:
        id = object_id(kind, data)
        self.writes += id not in self.objects
        self.objects[id] = data
        return id


def build(store: DictStore, content: dict[bytes, bytes]) -> Tree:
    return Tree(store, build_tree(store, sorted(content.items())))


def key(number: int) -> bytes:
    return b"k%07d" % number


keys = st.one_of(st.integers(0, 3000).map(key), st.binary(min_size=1, max_size=5))
values = st.one_of(st.binary(max_size=30), st.just(b"v" * 5000), st.just(b"w" * 3000))


@given(
    st.integers(0, 2500),
    st.lists(st.tuples(st.booleans(), st.dictionaries(keys, st.none() | values, max_size=60)), max_size=3),
    st.randoms(use_true_random=False),
)
@settings(max_examples=250, deadline=None)
def test_edits_and_a_fresh_build_give_the_same_root(size: int, batches: list, rng: random.Random) -> None:
    store = DictStore()
    content = {key(rng.randrange(4000)): b"%d" % n for n in range(size)}
    tree = build(store, content)
    for wipe, batch in batches:
        edits = dict(batch)
        if wipe:
            low = rng.randrange(4000)
            edits |= {k: None for k in content if key(low) <= k <= key(low + 1500)}
        before, old = tree, dict(content)
        for k, v in edits.items():
            content.pop(k, None) if v is None else content.__setitem__(k, v)
        tree = Tree(store, tree.edit(store, edits))
        assert tree.root == build(store, content).root
        changes = {c.key: (c.old, c.new) for c in diff_trees(before, tree)}
        touched = old.keys() | content.keys()
        assert changes == {k: (old.get(k), content.get(k)) for k in touched if old.get(k) != content.get(k)}
    assert dict(tree) == content and len(tree) == len(content)


@pytest.fixture(scope="module")
def big() -> tuple[DictStore, Tree, dict[bytes, bytes]]:
    store = DictStore()
    content = {key(n * 3): b"value %d" % n for n in range(60_000)}
    return store, build(store, content), content


def test_ranges_and_the_kth_entry(big: tuple[DictStore, Tree, dict[bytes, bytes]]) -> None:
    _, tree, content = big
    ordered = sorted(content.items())
    assert list(tree.items(key(100), key(5000))) == [(k, v) for k, v in ordered if key(100) <= k < key(5000)]
    for index in (0, 1, 777, 59_999, -1, -60_000):
        assert tree.at(index) == ordered[index]
    for index in (60_000, -60_001):
        with pytest.raises(IndexError):
            tree.at(index)
    assert [k for k, _ in tree.prefix(b"k00001")] == [k for k, _ in ordered if k.startswith(b"k00001")]


def test_a_lookup_reads_one_path(big: tuple[DictStore, Tree, dict[bytes, bytes]]) -> None:
    store, tree, content = big
    height = store_height(store, tree)
    assert height >= 3
    for number in (0, 90_000, 179_997, 1, 500_000):
        store.reads = 0
        assert Tree(store, tree.root).get(key(number)) == content.get(key(number))
        assert store.reads <= height
        store.reads = 0
        Tree(store, tree.root).at(number % 60_000)
        assert store.reads <= height


def store_height(store: DictStore, tree: Tree) -> int:
    return decode_node(store.get(tree.root, Kind.NODE), tree.root).level + 1


def test_one_edit_writes_one_path_and_its_diff_reads_two(big: tuple[DictStore, Tree, dict[bytes, bytes]]) -> None:
    store, tree, _ = big
    store.writes = 0
    edited = Tree(store, Tree(store, tree.root).edit(store, {key(90_000): b"new"}))
    assert store.writes <= 2 * store_height(store, tree)
    store.reads = 0
    assert [c.new for c in diff_trees(Tree(store, tree.root), edited)] == [b"new"]
    assert store.reads <= 4 * store_height(store, tree)


def test_keys_without_natural_cuts_are_cut_at_the_cap() -> None:
    store = DictStore()
    from xxhash import xxh3_64_intdigest

    stubborn = [k for n in range(3000) if xxh3_64_intdigest(k := key(n), 0) >= LEAF_LATE]
    tree = build(store, dict.fromkeys(stubborn, b""))
    root = tree.node(tree.root)
    assert isinstance(root, Inner) and root.children[0].entries == LEAF_MAX
    edited = Tree(store, tree.edit(store, {stubborn[5]: None}))
    assert edited.root == build(store, dict.fromkeys(stubborn[:5] + stubborn[6:], b"")).root


def test_conflicts_are_counted_on_the_way_up() -> None:
    store = DictStore()
    content = {key(n): b"\x81\xa1a\x01" for n in range(5000)}
    content |= {key(n): b"\x81\xa1!\x01" for n in (3, 4000)} | {key(7): b"\x81\xa1!" + b"x" * 5000}
    tree = build(store, content)
    assert tree.conflicts == 3
    assert Tree(store, tree.edit(store, {key(3): None})).conflicts == 2


def test_the_empty_tree() -> None:
    store = DictStore()
    tree = Tree(store, empty_tree(store))
    assert len(tree) == 0 and list(tree) == [] and tree.get(b"a") is None
    assert build(store, {}).root == tree.root
    one = Tree(store, tree.edit(store, {b"a": b"1", b"b": None}))
    assert list(one) == [(b"a", b"1")]
    assert one.edit(store, {b"a": None}) == tree.root


def test_unsorted_entries_are_refused() -> None:
    with pytest.raises(ValueError, match="out of order"):
        build_tree(DictStore(), [(b"b", b""), (b"a", b"")])


@pytest.mark.parametrize(
    "data",
    [
        encode_leaf([b"b", b"a"], [b"", b""]),
        encode_leaf([b"a"], []),
        b"\x93\x00",
        b"\x93\x01\xc0\xc0",
        b"\x90",
        b"\x01",
    ],
)
def test_what_is_no_node_is_refused(data: bytes) -> None:
    with pytest.raises(DamagedError):
        decode_node(data, object_id(Kind.NODE, data))


owned = st.builds(
    lambda owner, rest: owner + rest,
    st.binary(min_size=1, max_size=2).map(lambda b: b.hex().encode()),
    st.sampled_from([b"", b"\0a", b"\0b", b"\0\xff"]),
)
contents = st.dictionaries(owned, st.sampled_from([b"1", b"2", b"v" * 5000]), max_size=400)


@given(contents, contents, contents, st.sets(st.binary(min_size=1, max_size=2).map(lambda b: b.hex().encode())))
@settings(max_examples=60, deadline=None)
def test_a_comparison_in_part_gives_what_the_whole_one_does(one: dict, two: dict, three: dict, owners: set) -> None:
    """Trees that share the entries of `one`, so that there are equal subtrees to be skipped."""
    store = DictStore()
    many = {key(n): b"%d" % n for n in range(1500)}
    base, ours, theirs = (build(store, many | side) for side in (one, one | two, one | three))
    changes = list(diff_trees(ours, theirs))
    assert list(diff_to(ours, theirs)) == [change for change in changes if change.new is not None]
    narrow = [change for change in diff_trees(ours, theirs, sorted(owners)) if change.key.partition(b"\0")[0] in owners]
    assert narrow == [change for change in changes if change.key.partition(b"\0")[0] in owners]
    sides = walk_sides(base, ours, theirs)
    assert list(walk_theirs(base, ours, theirs)) == [side for side in sides if side.base != side.theirs]


def test_what_only_the_other_side_has_is_not_read(big: tuple[DictStore, Tree, dict[bytes, bytes]]) -> None:
    store, tree, _ = big
    few = build(store, {b"m%d" % n: b"" for n in range(500)})
    some = build(store, {key(n): b"" for n in range(1, 300, 3)})
    for read in (
        lambda: list(diff_to(tree, few)),
        lambda: list(diff_to(tree, some)),
        lambda: list(diff_trees(few, tree, [key(30), key(90_000)])),
        lambda: list(walk_theirs(some, Tree(store, tree.root), build(store, {key(7): b"new"}))),
    ):
        store.reads = 0
        tree.cache, few.cache = type(tree.cache)(), type(few.cache)()
        read()
        assert store.reads < 100, "a part of one tree reads much of the other"
