"""Merging two commits without any branch: whoever merges the same two makes the same commit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from dsvc.core.merging.graph import Graph
from dsvc.core.merging.report import MergeReport
from dsvc.core.merging.states import Content, MergedContent, Merger
from dsvc.model.commit import Commit, Moment, store_commit
from dsvc.model.node import Store
from dsvc.model.snapshot import Snapshot, store_roots
from dsvc.model.tree import NodeCache
from dsvc.store.ids import ObjectId

# In a commit's notes: that it is a function of its parents alone.
MACHINE = "merged_by"
Kind = Literal["same", "forward", "merged", "changed", "reverted"]


class MergedCommit(NamedTuple):
    """What two commits became. `kind` tells how: it is ours (`same`); it is theirs, which has all of ours (`forward`);
    both were `merged` in a new commit; ours was `changed`, in a new commit, by what theirs changed of the base; or ours
    was `reverted` so, since theirs is what was before the base.

    `report` tells what it did to ours; `conflicts` counts all records of the result that hold an open conflict.
    """

    commit: ObjectId
    kind: Kind
    report: MergeReport
    conflicts: int


def merge_commits(
    store: Store, cache: NodeCache | None, ours: ObjectId, theirs: ObjectId, base: ObjectId | None = None
) -> MergedCommit:
    """The set union of two commits, in a commit that both have in their history unless one of them is that already.

    The commit is the same whichever side is ours. Where a `base` is given that is not behind both sides, only what
    theirs changed of that base is laid over ours: that is what Git asks for when it picks a commit, takes one back, or
    merges a line that was moved back. It never fails: what clashes is a conflict in the result. Raises DamagedError.
    """
    return _Merging(store, cache, ours, theirs).run(base)


class _Merging:
    def __init__(self, store: Store, cache: NodeCache | None, ours: ObjectId, theirs: ObjectId) -> None:
        self._store, self._ours, self._theirs = store, ours, theirs
        self._merger = Merger(store, cache)
        self._graph: Graph = self._merger.graph

    def run(self, base: ObjectId | None) -> MergedCommit:
        """Merge."""
        if self._ours == self._theirs:
            return self._existing(self._ours, "same", MergeReport())
        behind = [self._graph.behind([id]) for id in (self._ours, self._theirs)]
        if base is not None and not all(self._is_in(base, side) for side in behind):
            return self._change(base, base in behind[1])
        if self._theirs in behind[0]:
            return self._existing(self._ours, "same", MergeReport())
        if self._ours in behind[1]:
            ours, theirs = self._contents()
            return self._existing(self._theirs, "forward", self._merger.merge(ours, ours, theirs).merged.report)
        return self._join()

    def _is_in(self, base: ObjectId, behind: set[ObjectId]) -> bool:
        """Whether a line has a base: it is behind its head, or is a merge that Git made in passing of such."""
        if base in behind:
            return True
        commit = self._graph.commit(base)
        return MACHINE in commit.notes and all(self._is_in(parent, behind) for parent in commit.parents)

    def _contents(self) -> tuple[Content, Content]:
        return self._merger.content(self._ours), self._merger.content(self._theirs)

    def _existing(self, id: ObjectId, kind: Kind, report: MergeReport) -> MergedCommit:
        return MergedCommit(id, kind, report, self._conflicts(self._merger.content(id)))

    def _conflicts(self, content: Content) -> int:
        return Snapshot(self._store, content.roots, self._merger.cache).conflicts

    def _join(self) -> MergedCommit:
        """A commit with both as its parents, the earlier one first, of the author and time of the later one."""
        bases = self._graph.bases([self._ours], [self._theirs])
        made = self._merger.merge(self._merger.base(bases), *self._contents())
        earlier, later = sorted((self._ours, self._theirs), key=self._when)
        last = self._graph.commit(later)
        commit = Commit(
            snapshot=store_roots(self._store, made.content.roots),
            parents=(earlier, later),
            author=last.author,
            time=last.time,
            message=f"merge {earlier.short()} and {later.short()}",
            sources=made.content.sources,
            notes={MACHINE: "git"},
        )
        return self._new(commit, "merged", made)

    def _change(self, base: ObjectId, is_forward: bool) -> MergedCommit:
        """A commit on ours of what theirs changed of a base; ours itself where that changes nothing.

        What went on from the base comes with its author, time and message. Where theirs is before the base, the change
        between is taken back, by whoever made the later one of what it is taken back from.
        """
        ours, theirs = self._contents()
        made = self._merger.merge(self._merger.content(base), ours, theirs)
        mine = self._graph.commit(self._ours)
        snapshot = store_roots(self._store, made.content.roots)
        if snapshot == mine.snapshot and dict(made.content.sources) == dict(mine.sources):
            return self._existing(self._ours, "same", MergeReport())
        back = not is_forward and self._theirs in self._graph.behind([base])
        said = self._graph.commit(max(self._ours, base, key=self._when) if back else self._theirs)
        commit = Commit(
            snapshot=snapshot,
            parents=(self._ours, *_new_lines(mine.sources, made.content.sources)),
            author=said.author,
            time=said.time,
            message=f"take back {base.short()} to {self._theirs.short()}" if back else said.message,
            sources=made.content.sources,
        )
        return self._new(commit, "reverted" if back else "changed", made)

    def _new(self, commit: Commit, kind: Kind, made: MergedContent) -> MergedCommit:
        id = store_commit(self._store, commit)
        return MergedCommit(id, kind, made.merged.report, self._conflicts(made.content))

    def _when(self, id: ObjectId) -> tuple[int, ObjectId]:
        moment: Moment = self._graph.commit(id).time
        return moment.seconds, id


def _new_lines(before: Mapping[str, ObjectId], after: Mapping[str, ObjectId]) -> list[ObjectId]:
    """The commits of sources' lines that were taken in further."""
    return [id for name, id in sorted(after.items()) if before.get(name) != id]
