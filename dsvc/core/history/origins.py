"""Who set a value: the commits that first brought what stands in one record."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Hashable
from itertools import count
from typing import Generic, NamedTuple, TypeVar

from dsvc.core.compare import Noun
from dsvc.core.history.walking import History
from dsvc.model.commit import Commit
from dsvc.model.tree import Tree
from dsvc.store.ids import ObjectId

V = TypeVar("V", bound=Hashable)
ValuesOf = Callable[[bytes | None], Collection[V]]


class Origin(NamedTuple):
    """The commit that brought something, and the name of the source that it came from, if from one."""

    id: ObjectId
    commit: Commit
    source: str | None = None


def who_set(
    history: History, head: ObjectId, noun: Noun, tree_key: bytes, values_of: ValuesOf[V]
) -> dict[V, list[Origin]]:
    """For each value that stands in a record at `head`, the commits that brought it there, the newest first.

    `values_of` gives the values (hashable) that stand in a record, of its encoded value as the trees hold it, or of
    None where the record is absent. It says what a value is: of the whole record `lambda value: {value}`; of one field
    the field's value, or several of them where the field is in conflict; `{value is not None}` for "exists". It is
    called once for every state in which the record's tree differs, and only the path to the record is read.

    A value is followed from each commit to every parent that has it too. The commit where no parent has it brought it:
    one per line on which it was brought independently, and the last time where it had gone in between. A merge counts
    as the one that brought a value only where none of its parents has the value, and a commit that took a part of
    another one only where that one has not. What does not stand at `head` is not
    looked for: ask of a head that has it.

    `source` names the source that the value came from: what that commit took in from the source has the value, and
    what the source had said before has not.
    """
    values = _Values(history, noun, tree_key, values_of)
    found: dict[V, list[Origin]] = {value: [] for value in values.at(head)}
    order, heap = count(), [(0, 0, head)]
    pending, done = {head: set(found)}, dict[ObjectId, set[V]]()
    while heap:
        _, _, id = heapq.heappop(heap)
        wanted = pending.pop(id, set()) - done.setdefault(id, set())
        done[id] |= wanted
        left = set(wanted)
        for parent in history.givers(id) if wanted else ():
            passed = wanted & set(values.at(parent))
            left -= passed
            if passed:
                pending.setdefault(parent, set()).update(passed)
                heapq.heappush(heap, (-history.commit(parent).time.seconds, next(order), parent))
        for value in left:
            found[value].append(Origin(id, history.commit(id), values.source_of(id, value)))
    return found


class _Values(Generic[V]):
    """What `values_of` says of one record at commits."""

    def __init__(self, history: History, noun: Noun, tree_key: bytes, values_of: ValuesOf[V]) -> None:
        self._history = history
        self._tree = f"{noun}s"
        self._key = tree_key
        self._values_of = values_of
        self._known: dict[ObjectId, frozenset[V]] = {}

    def at(self, id: ObjectId) -> frozenset[V]:
        """The values at a commit."""
        root: ObjectId = getattr(self._history.roots(id), self._tree)
        if root not in self._known:
            value = Tree(self._history.store, root, self._history.nodes).get(self._key)
            self._known[root] = frozenset(self._values_of(value))
        return self._known[root]

    def source_of(self, id: ObjectId, value: V) -> str | None:
        """The source, of those that a commit took in, that says a value now and did not say it before."""
        for name, line in self._history.sources(id).items():
            before = [self.at(parent) for parent in self._history.parents(line)]
            before = before or [frozenset(self._values_of(None))]
            if value in self.at(line) and not any(value in values for values in before):
                return name
        return None
