"""Rewriting a whole tree: every value is looked at, and what has changed is written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain, islice

from dsvc.model.node import Store
from dsvc.model.tree import Tree, build_tree
from dsvc.store.ids import ObjectId

Entry = tuple[bytes, bytes]
# Some entries of a tree in order -> the new values of those that change, by index; None takes an entry away.
Rewriter = Callable[[list[Entry]], Mapping[int, bytes | None]]

CHUNK = 8192
# From one change in so many entries on, most leaves change, and building the tree anew is faster than editing it.
DENSE = 64
# Edits wait in memory until there are so many.
BATCH = 50_000


def chunks_of(tree: Tree) -> Iterator[list[Entry]]:
    """All entries of a tree in order, in lists."""
    entries = iter(tree)
    while chunk := list(islice(entries, CHUNK)):
        yield chunk


def rewrite_tree(store: Store, tree: Tree, rewriter: Rewriter) -> ObjectId:
    """The root of a tree after `rewriter` has seen all its entries, in order, once.

    The first chunk decides between building and editing; both give the same root.
    """
    steps = ((chunk, rewriter(chunk)) for chunk in chunks_of(tree))
    first = next(steps, None)
    if first is None:
        return tree.root
    chunk, changes = first
    rewritten = chain([first], steps)
    if len(changes) * DENSE >= len(chunk):
        return build_tree(store, _laid_over(rewritten))
    edited, edits = tree, dict[bytes, bytes | None]()
    for chunk, changes in rewritten:
        edits.update((chunk[at][0], value) for at, value in changes.items())
        if len(edits) >= BATCH:
            edited, edits = Tree(store, edited.edit(store, edits)), {}
    return edited.edit(store, edits)


def _laid_over(rewritten: Iterable[tuple[list[Entry], Mapping[int, bytes | None]]]) -> Iterator[Entry]:
    for chunk, changes in rewritten:
        for at, value in changes.items():
            if value is not None:
                chunk[at] = (chunk[at][0], value)
        if None in changes.values():
            yield from (entry for at, entry in enumerate(chunk) if changes.get(at, b"") is not None)
        else:
            yield from chunk
