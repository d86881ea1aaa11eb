"""Long walks over a real repository, with a plain model of all its lines beside it: after every step both agree.

Two datasets of two branches are edited, imported, committed, merged (whole, filtered, left in the draft), settled and
undone. The walks are chosen by fixed seeds, so that a run does the same everywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from plain import (
    EXISTS,
    NO,
    Record,
    World,
    dangling,
    differences,
    path_of,
    roots_of,
    values,
    world_of,
)
from plain import Path as Field
from plain_lines import Content, Id, Line, PlainCommit, count_conflicts
from walk_edits import BRANCHES, Edits, drop_input

from dsvc.core.draft import draft_ref
from dsvc.errors import RefusedError
from dsvc.model.commit import load_commit

SEEDS, STEPS, CONFLICTING = range(6), 170, 9
WHERE: dict[str, Callable[[bytes, Record], bool]] = {
    "key = 'a.jpg'": lambda key, record: key == b"a.jpg",
    "key in ('b.jpg', 'x.jpg')": lambda key, record: key == b"b.jpg",
    "split = 'train'": lambda key, record: record.get(("split",)) == values("train"),
}


class Walk(Edits):
    """Edits, merges, and ways back."""

    def step(self) -> None:
        """Do something, and compare."""
        rules = self.rules()
        rule = self.rng.choices([rule for rule, _ in rules], [weight for _, weight in rules])[0]
        if rule in (self.merge, self.merge_part, self.merge_into_draft):
            for line in list(self.plain.refs.drafts):
                if self.rng.random() < 0.7:
                    self.do(self.commit, line)
        line = self.choose(self.plain.refs.heads)
        for _ in range(self.choose((1, 1, 20)) if rule == self.resolve else 1):
            self.do(rule, line)
        self.compare(line)
        self.compare(self.choose(self.plain.refs.heads))

    def do(self, rule: Callable[[Line], None], line: Line) -> None:
        """One operation at most, noted for `undo`."""
        before = self.plain.refs
        rule(line)
        self.steps += rule != self.resolve or self.plain.refs != before
        if rule not in (self.undo, self.redo) and self.plain.refs != before:
            self.done.append((before, self.plain.refs))
            self.undone.clear()

    def rules(self) -> list[tuple[Callable[[Line], None], int]]:
        """What may be done, and how often."""
        return [
            (self.add_input, 4),
            (self.annotate, 12),
            (self.set_fields, 20),
            (self.change_annotation, 25),
            (self.remove_input, 2),
            (self.remove_annotation, 3),
            (self.delete_concept, 2),
            (self.commit, 6),
            (self.branch, 3),
            (self.merge, 16),
            (self.merge_part, 10),
            (self.merge_into_draft, 5),
            (self.resolve, 14),
            (self.discard, 1),
            (self.import_again, 6),
            (self.undo, 4),
            (self.redo, 3),
        ]

    # ---- lines

    def commit(self, line: Line) -> None:
        draft = self.plain.refs.drafts.get(line)
        if draft is None:
            with pytest.raises(RefusedError, match="nothing to commit"):
                self.dataset(line).commit("no")
            return
        id = self.dataset(line).commit("work").id
        known = self.plain.commits[draft.base].content.sources
        new = [source for name, source in sorted(draft.content.sources.items()) if known.get(name) != source]
        self.plain.drop(line)
        self.plain.commits[id] = PlainCommit(draft.content, (draft.base, *draft.merged, *new))
        assert load_commit(self.repo.store, id).parents == self.plain.commits[id].parents
        self.plain.move(line, id)

    def branch(self, line: Line) -> None:
        free = [name for name in BRANCHES if (line[0], name) not in self.plain.refs.heads]
        if free:
            name = self.choose(free)
            self.dataset(line).create_branch(name)
            heads = {**self.plain.refs.heads, (line[0], name): self.plain.refs.heads[line]}
            self.plain.refs = self.plain.refs._replace(heads=heads)

    def other(self, line: Line) -> Line:
        """Another line, mostly one that has something new."""
        heads = self.plain.refs.heads
        others = [other for other in heads if other != line]
        fresh = [other for other in others if self.plain.bases([heads[line]], [heads[other]]) != [heads[other]]]
        return self.choose(fresh if fresh and self.rng.random() < 0.85 else others)

    def merge(self, line: Line) -> None:
        """All of another line, into the branch; what is staged is laid over it."""
        other = self.other(line)
        plain, theirs, head = self.plain, self.plain.refs.heads[other], self.plain.refs.heads[line]
        bases = plain.bases([head], [theirs])
        made = self.dataset(line).merge(":".join(other))
        if theirs in bases:
            assert made.kind == "up to date"
        elif bases == [head]:
            assert made.kind == "fast-forward"
            plain.move(line, theirs)
        else:
            assert made.kind == "merged"
            content = plain.merge(plain.base(bases), plain.committed(line), plain.commits[theirs].content)
            self.merged(line, made, content, theirs)

    def merged(self, line: Line, made: Any, content: Content, theirs: Id) -> None:
        head = self.plain.refs.heads[line]
        self.note_conflicts(made, content)
        self.plain.commits[made.commit] = PlainCommit(content, (head, theirs))
        real = load_commit(self.repo.store, made.commit)
        assert (real.parents, real.sources) == ((head, theirs), content.sources)
        self.plain.move(line, made.commit)

    def note_conflicts(self, made: Any, content: Content) -> None:
        assert made.conflicts == count_conflicts(content.world)
        self.conflicting += made.report.conflicts > 0

    def merge_part(self, line: Line) -> None:
        """What a filter is true of in another line."""
        other, where = self.other(line), self.choose(WHERE)
        plain, theirs, head = self.plain, self.plain.refs.heads[other], self.plain.refs.heads[line]
        bases = plain.bases([head], [theirs])
        made = self.dataset(line).merge(":".join(other), where=where)
        part = self.part(bases, theirs, where)
        if part is None:
            assert made.kind == "up to date"
            return
        assert made.kind == "merged"
        id = load_commit(self.repo.store, made.commit).parents[1]
        plain.commits[id] = PlainCommit(part, tuple(bases), theirs)
        self.merged(line, made, plain.merge(plain.base(bases), plain.committed(line), part), id)

    def part(self, bases: list[Id], theirs: Id, where: str) -> Content | None:
        if theirs in bases:
            return None
        inputs = self.plain.commits[theirs].content.world.inputs
        return self.plain.part(bases, theirs, {key for key, record in inputs.items() if WHERE[where](key, record)})

    def merge_into_draft(self, line: Line) -> None:
        """All of another line or a part, left in the draft."""
        other, where = self.other(line), self.choose([None, None, *WHERE])
        plain, theirs, head = self.plain, self.plain.refs.heads[other], self.plain.refs.heads[line]
        draft, ours = plain.refs.drafts.get(line), plain.content(line)
        bases = plain.bases([head, *(draft.merged if draft else ())], [theirs])
        made = self.dataset(line).merge(":".join(other), where=where, commit=False)
        part = self.part(bases, theirs, where) if where else plain.commits[theirs].content
        if theirs in bases or part is None:
            assert made.kind == "up to date"
            return
        assert made.kind == "staged"
        ref = self.repo.view.get(*draft_ref(self.dataset(line)))
        id = ref.merged[-1]
        if where:
            plain.commits[id] = PlainCommit(part, tuple(bases), theirs)
        content = plain.merge(plain.base(bases), ours, part)
        self.note_conflicts(made, content)
        plain.stage(line, content, (id,))

    # ---- conflicts

    def resolve(self, line: Line) -> None:
        """Settle one of the conflicts."""
        places = open_places(self.world(line))
        found = self.dataset(line).conflicts()
        assert [(one.place.noun, one.place.tree_key, path_of(one.place.path)) for one in found] == [
            place for place, _ in places
        ]
        assert [tuple(c.encoded for c in one.candidates) for one in found] == [some for _, some in places]
        if places:
            number = self.rng.randrange(len(places))
            self.settle(line, found[number].place, *places[number])

    def settle(self, line: Line, shown: Any, place: tuple[str, bytes, Field], some: tuple[bytes, ...]) -> None:
        noun, key, path = place
        take = self.rng.randrange(len(some))
        try:
            self.dataset(line).resolve(shown.name, shown.field, concept=noun == "concept", take=take + 1)
        except RefusedError as error:
            assert noun == "concept" and path == EXISTS and some[take] == NO and "is used by" in error.message
            return

        def change(world: World) -> None:
            tree = getattr(world, f"{noun}s")
            if path == EXISTS and some[take] == NO:
                del tree[key]
                if noun == "input":
                    drop_input(world, key)
            elif path == EXISTS:
                del tree[key][EXISTS]
            else:
                tree[key][path] = frozenset([some[take]])

        self.stage(line, change)

    # ---- back and forth

    def undo(self, line: Line) -> None:
        if self.done:
            self.repo.undo()
            before, after = self.done.pop()
            assert self.plain.refs == after
            self.plain.refs = before
            self.undone.append((before, after))

    def redo(self, line: Line) -> None:
        if self.undone:
            self.repo.redo()
            before, after = self.undone.pop()
            self.plain.refs = after
            self.done.append((before, after))

    # ---- comparing

    def compare(self, line: Line) -> None:
        """The line's head and draft are what the model says, and nothing in them names what is not there."""
        if line not in self.plain.refs.heads:  # an undone branch
            return
        dataset = self.dataset(line)
        assert dataset.head == self.plain.refs.heads[line]
        draft = self.repo.view.get(*draft_ref(dataset))
        assert dict(draft.sources if draft else {}) == (self.plain.content(line).sources if draft else {})
        assert dataset.has_draft() == (line in self.plain.refs.drafts)
        for state, world in (
            (dataset.draft(), self.world(line)),
            (dataset.at(), self.plain.committed(line).world),
        ):
            if state.snapshot.roots != roots_of(self.store, world):
                assert differences(world_of(self.repo.store, state.snapshot.roots), world) == []
            assert state.snapshot.roots == roots_of(self.store, world)
            assert dangling(world) == []
            assert state.snapshot.conflicts == count_conflicts(world)


def open_places(world: World) -> list[tuple[tuple[str, bytes, Field], tuple[bytes, ...]]]:
    """The fields in conflict with their values, in order."""
    return [
        ((noun, key, path), tuple(sorted(some)))
        for noun in ("concept", "input", "annotation")
        for key, record in sorted(getattr(world, f"{noun}s").items())
        for path, some in sorted(record.items())
        if len(some) > 1
    ]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_walk(seed: int, tmp_path: Path) -> None:
    """Over 1,000 steps and 50 conflicting merges in all of them together."""
    walk = Walk(tmp_path / "project", seed)
    while walk.steps < STEPS or (walk.conflicting < CONFLICTING and walk.steps < 3 * STEPS):
        walk.step()
    assert walk.steps >= STEPS and walk.conflicting >= CONFLICTING
    for line in walk.plain.refs.heads:
        walk.compare(line)
    assert walk.repo.check().damage == ()
    export_all(walk, tmp_path)


def export_all(walk: Walk, folder: Path) -> None:
    """A line exports if and only if it has no open conflict."""
    for name, branch in walk.plain.refs.heads:
        state = walk.dataset((name, branch)).draft()
        target = folder / f"{name}-{branch}.json"
        if state.snapshot.conflicts:
            with pytest.raises(RefusedError, match="open conflicts"):
                state.export("coco", target)
        else:
            state.export("coco", target)
            assert target.stat().st_size


def test_the_walks_are_long_enough() -> None:
    assert len(SEEDS) * STEPS >= 1000 and len(SEEDS) * CONFLICTING >= 50
