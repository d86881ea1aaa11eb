"""Worlds as trees in one store: merged, and committed to lines that merge each other."""

from __future__ import annotations

import os
from collections.abc import Iterable

from hypothesis import settings
from plain import World, roots_of, world_of
from worlds import store_of

from dsvc.core.merging.roots import merge_roots
from dsvc.core.merging.states import Merger
from dsvc.core.merging.taking import take_inputs
from dsvc.model.commit import Author, Commit, Moment, store_commit
from dsvc.model.merging import Prefer
from dsvc.model.node import Store
from dsvc.model.snapshot import Roots, store_roots
from dsvc.store.ids import ObjectId

# Derandomized, so that a run finds the same everywhere. DSVC_LAW_CASES=100000 tries as many others.
CASES = os.environ.get("DSVC_LAW_CASES")
law = settings(max_examples=int(CASES or 2000), derandomize=not CASES, deadline=None)


class Merging:
    """Worlds as trees in one store, and their merges."""

    def __init__(self) -> None:
        self.store: Store = store_of()

    def __call__(self, *worlds: World) -> list[Roots]:
        return [roots_of(self.store, world) for world in worlds]

    def merge(self, base: Roots | None, ours: Roots, theirs: Roots, prefer: Prefer | None = None) -> Roots:
        return merge_roots(self.store, base, ours, theirs, prefer).roots

    def id(self, roots: Roots) -> ObjectId:
        return store_roots(self.store, roots)

    def world(self, roots: Roots) -> World:
        return world_of(self.store, roots)


class Lines(Merging):
    """Commits, and merges of them as the command makes them."""

    def __init__(self) -> None:
        super().__init__()
        self.merger = Merger(self.store)
        self._clock = 0

    def commit(self, world: World | Roots, *parents: ObjectId) -> ObjectId:
        """A commit of its own, even where another one holds the same."""
        self._clock += 1
        roots = world if isinstance(world, Roots) else roots_of(self.store, world)
        return store_commit(
            self.store,
            Commit(
                snapshot=store_roots(self.store, roots),
                parents=parents,
                author=Author("Ada"),
                time=Moment(self._clock),
                message="m",
            ),
        )

    def at(self, id: ObjectId) -> Roots:
        return self.merger.content(id).roots

    def content(self, id: ObjectId) -> ObjectId:
        return self.id(self.at(id))

    def bases(self, ours: ObjectId, theirs: ObjectId) -> list[ObjectId]:
        return self.merger.graph.bases([ours], [theirs])

    def full(self, ours: ObjectId, theirs: ObjectId) -> ObjectId:
        """Our line with all of theirs."""
        bases = self.bases(ours, theirs)
        if theirs in bases:
            return ours
        contents = (self.merger.content(ours), self.merger.content(theirs))
        made = self.merger.merge(self.merger.base(bases), *contents)
        return self.commit(made.content.roots, ours, theirs)

    def part(self, ours: ObjectId, theirs: ObjectId, keys: Iterable[bytes]) -> ObjectId:
        """Our line with some inputs of theirs."""
        bases = self.bases(ours, theirs)
        if theirs in bases:
            return ours
        there = [key for key in sorted(keys) if key in self.world(self.at(theirs)).inputs]
        part = take_inputs(self.merger, bases, theirs, there, "some")
        if part.commit is None:
            return ours
        made = self.merger.merge(self.merger.base(bases), self.merger.content(ours), part.content)
        return self.commit(made.content.roots, ours, part.commit)
