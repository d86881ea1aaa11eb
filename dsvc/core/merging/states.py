"""Merging what commits hold: their snapshots, and how far they have taken in each source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from dsvc.core.merging.graph import Graph
from dsvc.core.merging.roots import Merged, merge_roots
from dsvc.model.commit import Author, Commit, Moment, store_commit
from dsvc.model.merging import Prefer
from dsvc.model.node import Store
from dsvc.model.snapshot import Roots, load_roots, store_roots
from dsvc.model.tree import NodeCache
from dsvc.store.ids import ObjectId

Sources = Mapping[str, ObjectId]
# Bases of bases of bases: beyond so many, one of several stands for all.
MAX_DEPTH = 100


class Content(NamedTuple):
    """What a commit holds: its snapshot, and per source the commit of its line that was taken in."""

    roots: Roots
    sources: Sources


class MergedContent(NamedTuple):
    """The content of a merge, and what it did to our side."""

    content: Content
    merged: Merged


class Merger:
    """Merges in one store, over one graph."""

    def __init__(self, store: Store, cache: NodeCache | None = None) -> None:
        self.store = store
        self.graph = Graph(store)
        self.cache = cache or NodeCache()
        self._virtual: dict[tuple[ObjectId, ...], Content] = {}

    def content(self, id: ObjectId) -> Content:
        """What a commit holds."""
        commit = self.graph.commit(id)
        return Content(load_roots(self.store, commit.snapshot), commit.sources)

    def base(self, ids: Sequence[ObjectId], depth: int = 0) -> Content | None:
        """What is the base of a merge whose sides have these commits in common: several are merged first."""
        if not ids:
            return None
        if len(ids) == 1 or depth >= MAX_DEPTH:
            return self.content(ids[0])
        key = tuple(ids)
        found = self._virtual.get(key)
        if found is None:
            found = self.content(ids[0])
            for at, id in enumerate(ids[1:], 1):
                before = self.base(self.graph.bases(ids[:at], [id]), depth + 1)
                found = self.merge(before, found, self.content(id)).content
            self._virtual[key] = found
        return found

    def merge(
        self, base: Content | None, ours: Content, theirs: Content, prefer: Prefer | None = None
    ) -> MergedContent:
        """Both contents by the rules of the merge."""
        merged = merge_roots(
            self.store, base.roots if base is not None else None, ours.roots, theirs.roots, prefer, self.cache
        )
        sources = self._merge_sources(base.sources if base is not None else {}, ours.sources, theirs.sources)
        return MergedContent(Content(merged.roots, sources), merged)

    def _merge_sources(self, base: Sources, ours: Sources, theirs: Sources) -> Sources:
        merged: dict[str, ObjectId] = {}
        for name in sorted(ours.keys() | theirs.keys()):
            was, mine, other = base.get(name), ours.get(name), theirs.get(name)
            found = mine if other in (mine, was) else other if mine == was else self._join_line(name, mine, other)
            if found is not None:
                merged[name] = found
        return merged

    def _join_line(self, name: str, ours: ObjectId | None, theirs: ObjectId | None) -> ObjectId | None:
        """The commit of a source's line that has what two of it have: the later one, or a merge of both."""
        if ours is None or theirs is None:
            return ours or theirs
        for later, earlier in ((ours, theirs), (theirs, ours)):
            if self.graph.contains(later, earlier):
                return later
        first, second = sorted((ours, theirs))
        base = self.base(self.graph.bases([first], [second]))
        merged = self.merge(base, self.content(first), self.content(second)).content
        return store_source_commit(self.store, name, merged.roots, (first, second))


def store_source_commit(store: Store, name: str, roots: Roots, parents: tuple[ObjectId, ...] = ()) -> ObjectId:
    """A commit on a source's line: a function of its records, so that two people who import the same file share it."""
    commit = Commit(
        snapshot=store_roots(store, roots),
        parents=parents,
        author=Author(f"source {name}"),
        time=Moment(0),
        message=f"source {name}",
        notes={"source": name},
    )
    return store_commit(store, commit)
