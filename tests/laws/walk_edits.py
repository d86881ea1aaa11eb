"""Edits of a real repository and of its plain model alike, chosen at random."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

from plain import Path as Field
from plain import (
    Record,
    World,
    apart,
    merge,
    owner,
    values,
    world_of,
)
from plain_lines import EMPTY, Content, Line, Lines, PlainCommit, count_conflicts
from worlds import DictStore

import dsvc
from dsvc.core.dataset import Dataset
from dsvc.core.draft import draft_ref
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


class Edits:
    """One repository, its model, and what may be edited in both."""

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
