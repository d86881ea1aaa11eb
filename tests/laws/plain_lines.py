"""Commits, branches and drafts a second time, plainly: worlds in dictionaries, merged by `plain.merge`.

Written after the specification; slow, and shares nothing with `dsvc.core.merging` but how the id of a source's commit
comes about.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, cast

from plain import World, differences, merge, merge_meta, named, owner, roots_of

from dsvc.core.merging.states import store_source_commit
from dsvc.model.node import Store

EMPTY = World({}, {}, {}, {})
Id = bytes
Line = tuple[str, str]


class Content(NamedTuple):
    """What a commit or a draft holds: its world, and per source the commit of its line that was taken in."""

    world: World
    sources: Mapping[str, Id] = MappingProxyType({})


class PlainCommit(NamedTuple):
    """A commit: what it holds, its parents, and of which commit it took a part."""

    content: Content
    parents: tuple[Id, ...] = ()
    taken_from: Id | None = None


class PlainDraft(NamedTuple):
    """What is staged on a line, and the commits that were merged into it."""

    base: Id
    content: Content
    merged: tuple[Id, ...] = ()


class Refs(NamedTuple):
    """All lines: their heads and their drafts."""

    heads: dict[Line, Id]
    drafts: dict[Line, PlainDraft]


class Lines:
    """Commits by their real ids (the order of ids is the order in which several bases are merged), and the refs now."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.commits: dict[Id, PlainCommit] = {}
        self.refs = Refs({}, {})

    def committed(self, line: Line) -> Content:
        """What a line's head holds."""
        return self.commits[self.refs.heads[line]].content

    def content(self, line: Line) -> Content:
        """What a line holds with what is staged."""
        draft = self.refs.drafts.get(line)
        return draft.content if draft is not None else self.committed(line)

    def stage(self, line: Line, content: Content, merged: tuple[Id, ...] = ()) -> None:
        """Stage something; what changes nothing is nothing."""
        drafts, clean = dict(self.refs.drafts), self.committed(line)
        before = drafts.pop(line, None)
        merged = tuple(dict.fromkeys((*(before.merged if before else ()), *merged)))
        if merged or content.sources != clean.sources or differences(content.world, clean.world):
            drafts[line] = PlainDraft(self.refs.heads[line], content, merged)
        self.refs = Refs(self.refs.heads, drafts)

    def drop(self, line: Line) -> None:
        """Forget what is staged."""
        drafts = {other: draft for other, draft in self.refs.drafts.items() if other != line}
        self.refs = Refs(self.refs.heads, drafts)

    def move(self, line: Line, head: Id) -> None:
        """Move a line's head; what is staged is laid over it."""
        draft = self.refs.drafts.get(line)
        self.drop(line)
        self.refs = Refs({**self.refs.heads, line: head}, self.refs.drafts)
        if draft is not None:
            base = self.base(self.bases([draft.base, *draft.merged], [head]))
            merged = tuple(id for id in draft.merged if id not in self._behind([head], False))
            self.stage(line, self.merge(base, draft.content, self.commits[head].content), merged)

    # ---- merging

    def merge(self, base: Content | None, ours: Content, theirs: Content) -> Content:
        """Both worlds, and how far both have taken in each source."""
        world = merge(base.world if base else None, ours.world, theirs.world)
        sources = {}
        for name in ours.sources.keys() | theirs.sources.keys():
            was, mine, other = (side.sources.get(name) if side else None for side in (base, ours, theirs))
            if mine == other or other == was:
                found = mine
            elif mine == was:
                found = other
            else:
                found = self._join(name, mine, other)
            if found is not None:
                sources[name] = found
        return Content(world, sources)

    def _join(self, name: str, one: Id | None, other: Id | None) -> Id | None:
        if one is None or other is None:
            return one or other
        for later, earlier in ((one, other), (other, one)):
            if earlier in self._behind([later], False):
                return later
        first, second = sorted((one, other))
        contents = (self.commits[first].content, self.commits[second].content)
        joined = self.merge(self.base(self.bases([first], [second])), *contents)
        return self.source(name, joined.world, (first, second))

    def source(self, name: str, world: World, parents: tuple[Id, ...]) -> Id:
        """A commit on a source's line: its id follows from what it holds."""
        id = store_source_commit(self.store, name, roots_of(self.store, world), cast(Any, parents))
        self.commits[id] = PlainCommit(Content(world), parents)
        return id

    # ---- the graph

    def _behind(self, heads: list[Id], with_parts: bool = True) -> set[Id]:
        found, queue = set[Id](), list(heads)
        while queue:
            id = queue.pop()
            if id not in found:
                found.add(id)
                queue += self.commits[id].parents
                if with_parts:
                    queue += [part for part, commit in self.commits.items() if commit.taken_from == id]
        return found

    def bases(self, ours: list[Id], theirs: list[Id]) -> list[Id]:
        """The last commits in common."""
        common = self._behind(ours) & self._behind(theirs)
        return sorted(id for id in common if not any(id in self._behind([o]) for o in common - {id}))

    def base(self, ids: list[Id]) -> Content | None:
        """What the last commits in common hold, merged into one."""
        if not ids:
            return None
        content = self.commits[ids[0]].content
        for at, id in enumerate(ids[1:], 1):
            content = self.merge(self.base(self.bases(ids[:at], [id])), content, self.commits[id].content)
        return content

    # ---- parts

    def part(self, bases: list[Id], theirs: Id, matched: set[bytes]) -> Content | None:
        """What both lines have in common, with some inputs of theirs and those that were taken before; None where that
        is nothing new."""
        base = self.base(bases) or Content(EMPTY)
        ground, line = base.world, self.commits[theirs].content.world
        behind = self._behind([theirs], with_parts=False)
        keys = matched.union(*(self._taken(id, behind) for id in bases))
        part = ground.copy()
        for key in keys:
            for name in [name for name in part.annotations if owner(name) == key]:
                del part.annotations[name]
            part.annotations.update({name: one for name, one in line.annotations.items() if owner(name) == key})
            part.inputs.pop(key, None)
            if key in line.inputs:
                part.inputs[key] = line.inputs[key]
        taken = [line.inputs[key] for key in keys if key in line.inputs]
        taken += [one for name, one in line.annotations.items() if owner(name) in keys]
        for name in set().union(*map(named, taken)):
            part.concepts[name] = line.concepts[name]
        if not differences(part, ground):
            return None
        return Content(part._replace(meta=merge_meta({}, ground.meta, line.meta)), base.sources)

    def _taken(self, id: Id, line: set[Id]) -> set[bytes]:
        commit = self.commits[id]
        if commit.taken_from is None or id in line:
            return set()
        before, keys = self.base(sorted(commit.parents)) or Content(EMPTY), set[bytes]()
        for noun in ("inputs", "annotations"):
            old, new = getattr(before.world, noun), getattr(commit.content.world, noun)
            keys |= {owner(key) for key in old.keys() | new.keys() if old.get(key) != new.get(key)}
        return keys.union(*(self._taken(parent, line) for parent in commit.parents))


def count_conflicts(world: World) -> int:
    """How many records hold a conflict."""
    records: list[Any] = [one for tree in world[:3] for one in tree.values()]
    return sum(any(len(some) > 1 for some in record.values()) for record in records)
