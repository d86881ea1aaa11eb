"""Commits, branches and drafts a second time, plainly: worlds in dictionaries, merged by `plain.merge`.

Written after the specification; slow, and shares nothing with `dsvc.core.merging`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from plain import World, differences, merge, merge_meta, named, owner

EMPTY = World({}, {}, {}, {})
Id = bytes
Line = tuple[str, str]


class PlainCommit(NamedTuple):
    """A commit: what it holds, its parents, and of which commit it took a part."""

    world: World
    parents: tuple[Id, ...]
    taken_from: Id | None = None


class PlainDraft(NamedTuple):
    """What is staged on a line, and the commits that were merged into it."""

    base: Id
    world: World
    merged: tuple[Id, ...] = ()


class Refs(NamedTuple):
    """All lines: their heads and their drafts."""

    heads: dict[Line, Id]
    drafts: dict[Line, PlainDraft]


class Lines:
    """Commits by their real ids (the order of ids is the order in which several bases are merged), and the refs now."""

    def __init__(self) -> None:
        self.commits: dict[Id, PlainCommit] = {}
        self.refs = Refs({}, {})

    def world(self, line: Line) -> World:
        """What a line holds with what is staged."""
        draft = self.refs.drafts.get(line)
        return draft.world if draft is not None else self.commits[self.refs.heads[line]].world

    def stage(self, line: Line, world: World, merged: tuple[Id, ...] = ()) -> None:
        """Stage a world; what changes nothing is nothing."""
        drafts, head = dict(self.refs.drafts), self.refs.heads[line]
        before = drafts.pop(line, None)
        merged = tuple(dict.fromkeys((*(before.merged if before else ()), *merged)))
        if merged or differences(world, self.commits[head].world):
            drafts[line] = PlainDraft(head, world, merged)
        self.refs = Refs(self.refs.heads, drafts)

    def move(self, line: Line, head: Id) -> None:
        """Move a line's head; what is staged is laid over it."""
        draft = self.refs.drafts.get(line)
        self.refs = Refs({**self.refs.heads, line: head}, {k: v for k, v in self.refs.drafts.items() if k != line})
        if draft is not None:
            base = self.base(self.bases([draft.base, *draft.merged], [head]))
            merged = tuple(id for id in draft.merged if id not in self._behind([head], False))
            self.stage(line, merge(base, draft.world, self.commits[head].world), merged)

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

    def base(self, ids: list[Id]) -> World | None:
        """What the last commits in common hold, merged into one."""
        if not ids:
            return None
        world = self.commits[ids[0]].world
        for at, id in enumerate(ids[1:], 1):
            world = merge(self.base(self.bases(ids[:at], [id])), world, self.commits[id].world)
        return world

    # ---- parts

    def part(self, bases: list[Id], theirs: Id, matched: set[bytes]) -> World:
        """What both lines have in common, with some inputs of theirs and those that were taken before."""
        ground, line = self.base(bases) or EMPTY, self.commits[theirs].world
        keys = matched.union(*(self._taken(id) for id in bases))
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
            return ground
        return part._replace(meta=merge_meta({}, ground.meta, line.meta))

    def _taken(self, id: Id) -> set[bytes]:
        commit = self.commits[id]
        if commit.taken_from is None:
            return set()
        before, keys = self.base(sorted(commit.parents)) or EMPTY, set[bytes]()
        for noun in ("inputs", "annotations"):
            old, new = getattr(before, noun), getattr(commit.world, noun)
            keys |= {owner(key) for key in old.keys() | new.keys() if old.get(key) != new.get(key)}
        return keys.union(*map(self._taken, commit.parents))


def count_conflicts(world: World) -> int:
    """How many records hold a conflict."""
    records: list[Any] = [one for tree in world[:3] for one in tree.values()]
    return sum(any(len(some) > 1 for some in record.values()) for record in records)
