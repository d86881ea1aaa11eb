"""Long walks over a real repository, with a plain model of all its lines beside it: after every step both agree.

Three datasets of several branches are edited, committed, merged (whole, filtered, left in the draft), settled and
undone. The walks are chosen by fixed seeds, so that a run does the same everywhere.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import pytest
from plain import (
    EXISTS,
    NO,
    Record,
    World,
    apart,
    dangling,
    differences,
    merge,
    owner,
    path_of,
    roots_of,
    values,
    world_of,
)
from plain import Path as Field
from plain_lines import EMPTY, Content, Id, Line, Lines, PlainCommit, count_conflicts
from worlds import DictStore

import dsvc
from dsvc.core.dataset import Dataset
from dsvc.core.draft import draft_ref
from dsvc.errors import RefusedError
from dsvc.model.commit import Author, Moment, load_commit
from dsvc.model.records import (
    Annotation,
    Concept,
    Input,
    Media,
    Shape,
    annotation_fields,
    content_id,
    encode_annotation,
    encode_concept,
    encode_input,
)
from dsvc.model.snapshot import load_roots

KEYS = ("a.jpg", "b.jpg")
CONCEPTS = ("cat", "dog")
VENDOR = "vendor"
NAMES = ("pets", "more")
BRANCHES = ("side",)
SEEDS, STEPS, CONFLICTING = range(6), 170, 9
WHERE: dict[str, Callable[[bytes, Record], bool]] = {
    "key = 'a.jpg'": lambda key, record: key == b"a.jpg",
    "key in ('b.jpg', 'x.jpg')": lambda key, record: key == b"b.jpg",
    "split = 'train'": lambda key, record: record.get(("split",)) == values("train"),
}


class Walk:
    """One repository and its model."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.rng = Random(seed)
        self.repo = dsvc.init(folder, author=Author("Ada"))
        seconds = count(4_102_444_800)  # after any clock that a test meets
        self.repo.now = lambda: Moment(next(seconds))
        self.store = DictStore()
        self.plain = Lines(self.store)
        self.folder = folder
        self.steps = self.conflicting = 0
        self.done: list[Any] = []
        self.undone: list[Any] = []
        for name in NAMES:
            line = (name, "main")
            dataset = self.repo.create(name)
            with dataset.edit() as draft:
                draft.put_media({KEYS[0]: Media(type="image/png")})
            world = EMPTY.copy()
            world.inputs[KEYS[0].encode()] = apart(encode_input(Input(key="", media=Media(type="image/png"))))
            self.plain.refs.heads[line] = id = dataset.commit("begin").id
            self.plain.commits[id] = PlainCommit(Content(world))

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

    def choose(self, some: Any) -> Any:
        return self.rng.choice(list(some))

    def dataset(self, line: Line) -> Dataset:
        return self.repo.dataset(*line)

    # ---- edits

    def stage(self, line: Line, change: Callable[[World], Any]) -> None:
        """Change the model as the draft was changed."""
        content = self.plain.content(line)
        world = content.world.copy()
        change(world)
        self.plain.stage(line, content._replace(world=world))

    def world(self, line: Line) -> World:
        return self.plain.content(line).world

    def add_input(self, line: Line) -> None:
        key, media = self.choose(KEYS), Media(type=self.choose(("image/png", "image/gif")), width=self.choose((1, 2)))
        with self.dataset(line).edit() as draft:
            draft.put_media({key: media})
        made = apart(encode_input(Input(key="", media=media)))
        self.stage(line, lambda world: world.inputs.setdefault(key.encode(), {}).update(made))

    def new_annotation(self, key: str) -> Annotation:
        box = (1, 2, 3, self.choose((4, 5)))
        parts = self.choose(({"box": box}, {"box": box, "area": 2}, {"area": 2}, {"box": box, "unit": "relative"}))
        fields = {"shape": Shape(**parts), "text": self.choose(("x", "y"))}
        kept = {name: value for name, value in fields.items() if self.rng.random() < 0.6}
        return Annotation(key=key, id="", concept=self.choose(CONCEPTS), **kept)

    def annotate(self, line: Line) -> None:
        world = self.world(line)
        if not world.inputs:
            return
        annotation = self.new_annotation(self.choose(sorted(world.inputs)).decode())
        id = content_id(annotation.key, annotation_fields(annotation))
        if f"{annotation.key}\0{id}".encode() in world.annotations:
            return  # copies have ids of their own, and a test of their own
        assert self.dataset(line).annotate(annotation).id == id

        def change(world: World) -> None:
            world.annotations[f"{annotation.key}\0{id}".encode()] = apart(encode_annotation(annotation))
            self.add_concept(world, annotation.concept)

        self.stage(line, change)

    def add_concept(self, world: World, name: str | None) -> None:
        if name is not None:
            world.concepts.setdefault(name.encode(), apart(encode_concept(Concept(id=name, name=name))))

    def set_fields(self, line: Line) -> None:
        keys = sorted(self.world(line).inputs)
        if not keys:
            return
        key, path = self.choose(keys), self.choose([("metadata", "camera"), ("metadata", "room"), ("split",)])
        value = self.choose(("train", "val", None) if path == ("split",) else (1, 1.0, True, None))
        if value is None:
            self.dataset(line).set(key.decode(), unset=[".".join(path)])
        elif path == ("split",):
            self.dataset(line).set(key.decode(), split=value)
        else:
            self.dataset(line).set(key.decode(), metadata={path[1]: value})
        self.stage(line, lambda world: put(world.inputs[key], path, value))

    def change_annotation(self, line: Line) -> None:
        world = self.world(line)
        if not world.annotations:
            return
        tree_key = self.choose(sorted(world.annotations))
        key, id = tree_key.decode().split("\0")
        other = self.new_annotation(key)
        name = self.choose([name for name in ("concept", "shape", "text") if getattr(other, name) is not None])
        if self.rng.random() < 0.3:
            name, value = "attributes", {"color": self.choose(("red", 1, True))}
        else:
            value = getattr(other, name)
        with self.dataset(line).edit() as draft:
            draft.change_annotation(key, id, {name: value})
        made = apart(encode_annotation(Annotation(key="", id="", **{name: value})))

        def change(world: World) -> None:
            world.annotations[tree_key].update(made)
            self.add_concept(world, other.concept if name == "concept" else None)

        self.stage(line, change)

    def remove_input(self, line: Line) -> None:
        keys = sorted(self.world(line).inputs)
        if keys:
            key = self.choose(keys)
            self.dataset(line).remove(key.decode())
            self.stage(line, lambda world: drop_input(world, key))

    def remove_annotation(self, line: Line) -> None:
        keys = sorted(self.world(line).annotations)
        if keys:
            key = self.choose(keys)
            self.dataset(line).remove(key.decode().replace("\0", "#"))
            self.stage(line, lambda world: world.annotations.pop(key))

    def delete_concept(self, line: Line) -> None:
        world = self.world(line)
        if not world.concepts or count_conflicts(world):
            return
        name = self.choose(sorted(world.concepts))
        self.dataset(line).delete_concept(name.decode(), with_annotations=True)

        def change(world: World) -> None:
            del world.concepts[name]
            for key in [k for k, one in world.annotations.items() if one.get(("c",)) == values(name.decode())]:
                del world.annotations[key]

        self.stage(line, change)

    def discard(self, line: Line) -> None:
        self.dataset(line).discard()
        self.plain.drop(line)

    def import_again(self, line: Line) -> None:
        """A vendor delivers a file, mostly changed: what it said last is the base of a merge."""
        before = self.plain.content(line)
        last = before.sources.get(VENDOR)
        if last is None and any(("n",) in record for record in before.world.annotations.values()):
            return  # what another source numbered alike would be joined
        path = self.folder / "vendor.json"
        path.write_text(json.dumps(self.delivery()))
        dataset = self.dataset(line)
        dataset.import_(path, source=VENDOR)
        ref = self.repo.view.get(*draft_ref(dataset))
        id = (ref or load_commit(self.repo.store, dataset.head)).sources[VENDOR]
        if id == last:
            self.plain.stage(line, before)
            return
        said = world_of(self.repo.store, load_roots(self.repo.store, load_commit(self.repo.store, id).snapshot))
        assert id == self.plain.source(VENDOR, said, (last,) if last else ())
        base = self.plain.commits[last].content.world if last else None
        world = merge(base, before.world, said)
        self.conflicting += count_conflicts(world) > count_conflicts(before.world)
        self.plain.stage(line, Content(world, {**before.sources, VENDOR: id}))

    def delivery(self) -> dict[str, Any]:
        """A small COCO file."""
        images = [{"id": n, "file_name": key, "width": self.choose((4, 5))} for n, key in enumerate(KEYS, 1)]
        boxes = [[1, 2, 3, 4], [1, 2, 3, 5], [40, 40, 9, 9]]
        return {
            "images": images,
            "annotations": [
                {
                    "id": n,
                    "image_id": self.choose((1, 2)),
                    "category_id": self.choose((1, 2)),
                    "bbox": self.choose(boxes),
                }
                for n in range(1, 4)
                if self.rng.random() < 0.7
            ],
            "categories": [{"id": n, "name": name} for n, name in enumerate(CONCEPTS, 1)],
        }

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


def put(record: Record, path: Field, value: Any) -> None:
    """Set a field, or take it away."""
    record.pop(path, None)
    if value is not None:
        record[path] = values(value)


def drop_input(world: World, key: bytes) -> None:
    """An input goes with its annotations."""
    world.inputs.pop(key, None)
    for name in [name for name in world.annotations if owner(name) == key]:
        del world.annotations[name]


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
