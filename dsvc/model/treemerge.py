"""What three trees hold of each key that a merge has to look at: found by visiting only nodes that differ."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from dsvc.model.tree import Tree
from dsvc.model.treediff import Change, Side, diff_to, diff_trees


class Sides(NamedTuple):
    """One key that differs, and its values in the base and on both sides; None where it is absent."""

    key: bytes
    base: bytes | None
    ours: bytes | None
    theirs: bytes | None


def walk_theirs(base: Tree | None, ours: Tree, theirs: Tree) -> Iterator[Sides]:
    """The keys that theirs changed since the base, in order; without a base, those that ours has not alike.

    What ours changed elsewhere is skipped unread.
    """
    if base is None:
        for key, mine, other in diff_to(ours, theirs):
            yield Sides(key, None, mine, other)
        return
    side = Side(ours)
    for key, was, other in diff_trees(base, theirs):
        yield Sides(key, was, side.seek(key), other)


def walk_sides(base: Tree, ours: Tree, theirs: Tree) -> Iterator[Sides]:
    """The keys that either side changed since the base, in order."""
    left, right = diff_trees(base, ours), diff_trees(base, theirs)
    a, b = next(left, None), next(right, None)
    while a is not None or b is not None:
        if b is None or (a is not None and a.key < b.key):
            assert a is not None
            yield Sides(a.key, a.old, a.new, a.old)
            a = next(left, None)
        elif a is None or b.key < a.key:
            yield Sides(b.key, b.old, b.old, b.new)
            b = next(right, None)
        else:
            yield _both(a, b)
            a, b = next(left, None), next(right, None)


def _both(a: Change, b: Change) -> Sides:
    return Sides(a.key, a.old, a.new, b.new)
