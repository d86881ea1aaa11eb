"""The graph of commits: what lies behind a commit, and what two commits have in common.

A commit that took a part of another one (a filtered merge) counts as one of those behind it: what was taken from a
commit is contained in it, and in all that came after.
"""

from __future__ import annotations

from collections.abc import Iterable

from dsvc.model.commit import Commit, load_commit
from dsvc.model.node import Reader
from dsvc.store.ids import ObjectId

# In a commit's notes: the commit of which it took a part.
TAKEN_FROM = "taken_from"


class Graph:
    """Commits, each loaded once."""

    def __init__(self, store: Reader) -> None:
        self._store = store
        self._commits: dict[ObjectId, Commit] = {}

    def commit(self, id: ObjectId) -> Commit:
        """The commit of an id. Raises DamagedError."""
        found = self._commits.get(id)
        if found is None:
            found = self._commits[id] = load_commit(self._store, id)
        return found

    def behind(self, heads: Iterable[ObjectId]) -> set[ObjectId]:
        """These commits and all that lie behind them by their parents."""
        queue = list(heads)
        seen = set(queue)
        while queue:
            for parent in self.commit(queue.pop()).parents:
                if parent not in seen:
                    seen.add(parent)
                    queue.append(parent)
        return seen

    def contains(self, head: ObjectId, id: ObjectId) -> bool:
        """Whether a commit is another one or lies behind it."""
        return head == id or id in self.behind([head])

    def bases(self, ours: Iterable[ObjectId], theirs: Iterable[ObjectId]) -> list[ObjectId]:
        """The last commits that both sides have in common, sorted; none where the sides are unrelated."""
        ours, theirs = list(ours), list(theirs)
        taken = self._taken(self.behind([*ours, *theirs]))
        common = self._contained(ours, taken) & self._contained(theirs, taken)
        earlier = {before for id in common for before in (*self.commit(id).parents, *taken.get(id, ()))}
        return sorted(common - earlier)

    def _taken(self, ids: set[ObjectId]) -> dict[ObjectId, list[ObjectId]]:
        """Of which commits others took a part: commit -> those that did."""
        found: dict[ObjectId, list[ObjectId]] = {}
        for id in ids:
            origin = self.commit(id).notes.get(TAKEN_FROM)
            if isinstance(origin, bytes) and len(origin) == ObjectId.SIZE:
                found.setdefault(ObjectId(origin), []).append(id)
        return found

    def _contained(self, heads: list[ObjectId], taken: dict[ObjectId, list[ObjectId]]) -> set[ObjectId]:
        queue = list(heads)
        seen = set(queue)
        while queue:
            id = queue.pop()
            for before in (*self.commit(id).parents, *taken.get(id, ())):
                if before not in seen:
                    seen.add(before)
                    queue.append(before)
        return seen
