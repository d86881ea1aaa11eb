"""Building a tree beside another one gives the root of a fresh build, and puts only what is new."""

from __future__ import annotations

import random

import pytest
from deliveries import DictStore

from dsvc.model.tree import Tree, build_tree
from dsvc.store.ids import Kind, ObjectId


class Counted(DictStore):
    """A store that counts what is put."""

    puts = 0

    def put(self, kind: Kind, data: bytes) -> ObjectId:
        self.puts += 1
        return super().put(kind, data)


@pytest.mark.parametrize("size", [0, 1, 40, 500, 20_000])
@pytest.mark.parametrize("chance", [0, 0.0005, 0.02, 1])
def test_the_root_is_that_of_a_fresh_build(size: int, chance: float) -> None:
    store, dice = DictStore(), random.Random(size)
    known = {b"%06d" % n: dice.randbytes(dice.choice((5, 20, 20, 20, 5000 if n % 50 == 0 else 1))) for n in range(size)}
    tree = Tree(store, build_tree(store, known.items()))
    changed = {key: dice.choice((b"new", b"y" * 5000, None)) for key in known if dice.random() < chance}
    added = {b"%06d" % dice.randrange(size + 9) + b"x": b"more" for _ in range(round(size * chance))}
    entries = sorted((k, v) for k, v in {**known, **changed, **added}.items() if v is not None)
    expected = build_tree(store, entries)
    assert build_tree(store, iter(entries), tree) == expected
    assert build_tree(store, iter(known.items()), Tree(store, expected)) == tree.root


@pytest.mark.parametrize("more", [1, 30, 200])
def test_a_last_leaf_goes_on_where_there_is_more(more: int) -> None:
    store = DictStore()
    entries = [(b"%06d" % n, b"value") for n in range(3000)]
    for size in range(2700, 2760):
        tree = Tree(store, build_tree(store, entries[:size]))
        assert build_tree(store, entries[: size + more], tree) == build_tree(store, entries[: size + more])


def test_what_is_known_is_not_put_again() -> None:
    store = Counted()
    entries = [(b"%06d" % n, b"value %d" % n) for n in range(20_000)]
    tree = Tree(store, build_tree(store, entries))
    leaves, first = len(list(tree.leaves())), store.puts
    assert leaves > 200
    entries[10_000] = (entries[10_000][0], b"other")
    build_tree(store, entries, tree)
    assert store.puts - first < leaves / 10


def test_entries_out_of_order_are_refused() -> None:
    store = DictStore()
    entries = [(b"%06d" % n, b"value") for n in range(3000)]
    tree = Tree(store, build_tree(store, entries))
    with pytest.raises(ValueError, match="out of order"):
        build_tree(store, [*entries[:2000], *entries[1000:]], tree)
