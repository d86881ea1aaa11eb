"""The graph of commits: what lies behind a commit, and what two commits have in common.

A commit that took a part of another one (a filtered merge) counts as one of those behind it: what was taken from a
commit is contained in it, and in all that came after.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from dsvc.core.history.walking import History
from dsvc.model.commit import TAKEN_FROM, Commit
from dsvc.model.node import Reader
from dsvc.store.ids import ObjectId

# Which commits took a part of a commit.
Taken = Mapping[ObjectId, list[ObjectId]]


class Graph:
    """The commits of a store, those of sources' lines among them."""

    def __init__(self, store: Reader) -> None:
        self._history = History(store)

    def commit(self, id: ObjectId) -> Commit:
        """The commit of an id. Raises DamagedError."""
        return self._history.commit(id)

    def behind(self, heads: Iterable[ObjectId], taken: Taken | None = None) -> set[ObjectId]:
        """These commits and all that lie behind them, by their parents; with `taken` also by the parts of them."""
        queue = list(heads)
        seen = set(queue)
        while queue:
            new = self._before(queue.pop(), taken or {}) - seen
            seen |= new
            queue += new
        return seen

    def _before(self, id: ObjectId, taken: Taken) -> set[ObjectId]:
        return {*self.commit(id).parents, *taken.get(id, ())}

    def contains(self, head: ObjectId, id: ObjectId) -> bool:
        """Whether a commit is another one or lies behind it."""
        return head == id or id in self.behind([head])

    def bases(self, ours: Iterable[ObjectId], theirs: Iterable[ObjectId]) -> list[ObjectId]:
        """The last commits that both sides have in common, sorted; none where the sides are unrelated."""
        ours, theirs = list(ours), list(theirs)
        taken = self._taken(self.behind([*ours, *theirs]))
        common = self.behind(ours, taken) & self.behind(theirs, taken)
        return sorted(common.difference(*(self._before(id, taken) for id in common)))

    def _taken(self, ids: set[ObjectId]) -> Taken:
        found: dict[ObjectId, list[ObjectId]] = {}
        for id in ids:
            origin = self.commit(id).notes.get(TAKEN_FROM)
            if isinstance(origin, bytes) and len(origin) == ObjectId.SIZE:
                found.setdefault(ObjectId(origin), []).append(id)
        return found
