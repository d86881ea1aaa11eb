"""Rewriting a tree gives the root of a fresh build, whether few entries change or nearly all."""

from __future__ import annotations

import random

import pytest

from dsvc.model import rewrite
from dsvc.model.rewrite import Entry, rewrite_tree
from dsvc.model.tree import Tree, build_tree
from dsvc.store.ids import Kind, ObjectId, object_id


class DictStore(dict[ObjectId, bytes]):
    """Objects in memory."""

    def get(self, id: ObjectId, kind: Kind) -> bytes:
        return self[id]

    def put(self, kind: Kind, data: bytes) -> ObjectId:
        id = object_id(kind, data)
        self[id] = data
        return id


@pytest.mark.parametrize("size", [0, 1, 500, 20_000])
@pytest.mark.parametrize("chance", [0, 0.001, 0.1, 1])
def test_the_root_is_that_of_a_fresh_build(size: int, chance: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rewrite, "BATCH", 10)
    store, dice = DictStore(), random.Random(size)
    content = {b"%06d" % n: dice.randbytes(dice.choice((5, 20, 5000))) for n in range(size)}
    wanted = {key: dice.choice((b"new", b"y" * 5000, None)) for key in content if dice.random() < chance}
    seen: list[bytes] = []

    def rewriter(chunk: list[Entry]) -> dict[int, bytes | None]:
        seen.extend(key for key, _ in chunk)
        assert all(content[key] == value for key, value in chunk)
        return {at: wanted[key] for at, (key, _) in enumerate(chunk) if key in wanted}

    tree = Tree(store, build_tree(store, content.items()))
    root = rewrite_tree(store, tree, rewriter)
    expected = sorted((k, v) for k, v in {**content, **wanted}.items() if v is not None)
    assert seen == sorted(content)
    assert root == build_tree(store, expected)
    assert list(Tree(store, root)) == expected


def test_many_edits_at_once_give_the_root_of_a_fresh_build() -> None:
    store = DictStore()
    content = {b"%06d" % n: b"%d" % n for n in range(2000)}
    tree = Tree(store, build_tree(store, content.items()))
    edits: dict[bytes, bytes | None] = {key: value + b"!" for key, value in content.items() if key[-1] % 3}
    edits |= {b"%06d" % n: None for n in range(500)} | {b"zz": b"new"}
    expected = {k: v for k, v in {**content, **edits}.items() if v is not None}
    assert tree.edit(store, edits) == build_tree(store, sorted(expected.items()))
    assert tree.edit(store, dict.fromkeys(content)) == build_tree(store, [])
