"""Cutting entries into leaves beside a tree that has most of them: leaves that are the same are taken over."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice, pairwise

from dsvc.model.node import MAX_INLINE, Child, Store, cut_leaves, encode_leaf
from dsvc.store.ids import Kind, object_id

Entry = tuple[bytes, bytes]


def recut_leaves(store: Store, entries: Iterable[Entry], known: Iterable[Child]) -> Iterator[Child]:
    """The leaves that `cut_leaves` makes of sorted entries. `known` names those of another tree, in order.

    A leaf's end depends on what it holds alone. So where one ends, and what follows is a leaf that is known, that is
    the next one: it need not be cut, nor put. But a tree's last leaf may have ended since there was no more.
    """
    ahead = _Ahead(entries)
    cuts = cut_leaves(store, ahead)
    last = b""
    for child, _ in pairwise(known):
        if child.key <= last:
            continue
        part = ahead.take(child.entries)
        if _is_leaf(part, child):
            last = child.key
            yield child
            continue
        ahead.put_back(part)
        while last < child.key:
            made = next(cuts, None)
            if made is None:
                return
            last = made.key
            yield made
    yield from cuts


def _is_leaf(part: list[Entry], child: Child) -> bool:
    """Whether entries are those of a leaf."""
    if len(part) != child.entries or part[-1][0] != child.key:
        return False
    keys, values = [key for key, _ in part], [value for _, value in part]
    if max(map(len, values)) > MAX_INLINE:
        return False
    return object_id(Kind.NODE, encode_leaf(keys, values)) == child.id


class _Ahead:
    """Entries, of which some can be put back."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._entries = iter(entries)
        self._waiting: deque[Entry] = deque()

    def __iter__(self) -> Iterator[Entry]:
        return self

    def __next__(self) -> Entry:
        return self._waiting.popleft() if self._waiting else next(self._entries)

    def take(self, count: int) -> list[Entry]:
        """So many, or all that are left."""
        return list(islice(self if self._waiting else self._entries, count))

    def put_back(self, part: list[Entry]) -> None:
        """Give some again, before all others."""
        self._waiting.extendleft(reversed(part))
