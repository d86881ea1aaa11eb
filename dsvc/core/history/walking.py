"""The graph of commits: whose parents are whose, and every commit before its parents."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator
from itertools import count

from dsvc.errors import DsvcError
from dsvc.model.commit import TAKEN_FROM, Commit, load_commit
from dsvc.model.node import Reader
from dsvc.model.snapshot import Roots, Snapshot, load_roots
from dsvc.model.tree import NodeCache
from dsvc.store.ids import ObjectId

Parents = Callable[[ObjectId], tuple[ObjectId, ...]]
# So many commits, and so many snapshots, are kept once they were read; beyond, all are dropped and read again.
KEPT = 20_000


class History:
    """The commits of a repository. What was read of them is kept for the next question."""

    def __init__(self, store: Reader, nodes: NodeCache | None = None) -> None:
        self.store = store
        self.nodes = nodes or NodeCache()
        self._commits: dict[ObjectId, Commit] = {}
        self._roots: dict[ObjectId, Roots] = {}

    def commit(self, id: ObjectId) -> Commit:
        """The commit of an id. Raises DamagedError."""
        found = self._commits.get(id)
        if found is None:
            if len(self._commits) >= KEPT:
                self._commits.clear()
            found = self._commits[id] = load_commit(self.store, id)
        return found

    def roots(self, id: ObjectId) -> Roots:
        """What a commit holds. Raises DamagedError."""
        snapshot = self.commit(id).snapshot
        found = self._roots.get(snapshot)
        if found is None:
            if len(self._roots) >= KEPT:
                self._roots.clear()
            found = self._roots[snapshot] = load_roots(self.store, snapshot)
        return found

    def snapshot(self, id: ObjectId) -> Snapshot:
        """What a commit holds, to read."""
        return Snapshot(self.store, self.roots(id), self.nodes)

    def is_source(self, id: ObjectId) -> bool:
        """Whether a commit is one of a source's line: what that source delivered, and no state of a dataset."""
        return "source" in self.commit(id).notes

    def parents(self, id: ObjectId) -> tuple[ObjectId, ...]:
        """A commit's parents but those on lines of sources, the line that it goes on with first.

        Of a commit on a source's line, the parents on that line.
        """
        commit = self.commit(id)
        if "source" in commit.notes:
            return commit.parents
        return tuple(parent for parent in commit.parents if not self.is_source(parent))

    def givers(self, id: ObjectId) -> tuple[ObjectId, ...]:
        """The commits that a commit may have its records from: its parents, then the one that it took a part of."""
        parents, origin = self.parents(id), self.commit(id).notes.get(TAKEN_FROM)
        if not isinstance(origin, bytes) or len(origin) != ObjectId.SIZE:
            return parents
        try:
            self.commit(ObjectId(origin))
        except DsvcError:  # a part can be here without the line that it was taken from
            return parents
        return (*parents, ObjectId(origin))

    def sources(self, id: ObjectId) -> dict[str, ObjectId]:
        """The sources that a commit took something in from: a source's name -> the commit of its line."""
        commit = self.commit(id)
        if "source" in commit.notes:
            return {}
        found = ((self.commit(parent).notes.get("source"), parent) for parent in commit.parents)
        lines = {str(name): parent for name, parent in found if name is not None}
        return {name: line for name, line in lines.items() if not self._was_taken(name, line, commit.parents)}

    def _was_taken(self, name: str, line: ObjectId, parents: Iterable[ObjectId]) -> bool:
        """Whether one of a commit's parents had taken a source in further than to this commit of its line: a revert
        goes back to that, and takes nothing in."""
        for parent in parents:
            later = self.commit(parent).sources.get(name)
            if later is None or later in (line, *self.commit(line).parents):
                continue
            at: ObjectId | None = later
            while at is not None and at != line:
                at = next(iter(self.commit(at).parents), None)
            if at == line:
                return True
        return False

    def ancestor(self, id: ObjectId, steps: int) -> ObjectId | None:
        """The commit so many steps back along first parents; None where history does not go back that far."""
        for _ in range(steps):
            parents = self.parents(id)
            if not parents:
                return None
            id = parents[0]
        return id

    def walk(self, heads: Iterable[ObjectId], parents: Parents | None = None) -> Iterator[ObjectId]:
        """These commits and all behind them, each once: a commit before its parents, else the newest first.

        It is read as it is asked for, no further than from one place where all lines meet to the next such place.
        `parents` may leave commits out.
        """
        parents = parents or self.parents
        frontier = list(dict.fromkeys(heads))
        while frontier:
            found, frontier = self._gather(frontier, parents)
            yield from self._sort(found)

    def _gather(
        self, heads: list[ObjectId], parents: Parents
    ) -> tuple[dict[ObjectId, tuple[ObjectId, ...]], list[ObjectId]]:
        """Commits with their parents, the newest first, until a single one is left that all others lead to."""
        order, seen, ends = count(), set(heads), False
        heap = [(-self._seconds(id), next(order), id) for id in heads]
        heapq.heapify(heap)
        found: dict[ObjectId, tuple[ObjectId, ...]] = {}
        # Once a line has ended, the one commit that is left need not be behind all of them.
        while heap and (not found or ends or len(heap) > 1):
            _, _, id = heapq.heappop(heap)
            found[id] = behind = parents(id)
            ends = ends or not behind
            for parent in behind:
                if parent not in seen:
                    seen.add(parent)
                    heapq.heappush(heap, (-self._seconds(parent), next(order), parent))
        return found, [id for _, _, id in heap]

    def _sort(self, found: dict[ObjectId, tuple[ObjectId, ...]]) -> Iterator[ObjectId]:
        waiting = dict.fromkeys(found, 0)
        for behind in found.values():
            for parent in set(behind) & waiting.keys():
                waiting[parent] += 1
        # Of equally new ones, those of the line that was just walked come first: lines stay together.
        order = count(0, -1)
        ready = [(-self._seconds(id), next(order), id) for id in reversed(found) if not waiting[id]]
        heapq.heapify(ready)
        while ready:
            _, _, id = heapq.heappop(ready)
            yield id
            for parent in reversed(list(dict.fromkeys(found[id]))):
                if parent in waiting:
                    waiting[parent] -= 1
                    if not waiting[parent]:
                        heapq.heappush(ready, (-self._seconds(parent), next(order), parent))

    def _seconds(self, id: ObjectId) -> int:
        return self.commit(id).time.seconds
