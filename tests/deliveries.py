"""Sources that deliver again and again: their records in memory, and what a dataset makes of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from dsvc.core.imports.delivery import Sync, Tally, deliver
from dsvc.core.imports.sources import with_ordinals
from dsvc.core.merging.roots import merge_roots
from dsvc.model.records import (
    Annotation,
    Concept,
    Input,
    annotation_fields,
    annotation_key,
    content_id,
    decode_annotation,
    decode_input,
    encode_annotation,
    encode_concept,
    encode_input,
)
from dsvc.model.snapshot import Roots, empty_roots
from dsvc.model.tree import Tree, build_tree
from dsvc.store.ids import Kind, ObjectId, object_id

Entry = tuple[bytes, bytes]


class DictStore:
    """Objects in a dict."""

    def __init__(self) -> None:
        self.objects: dict[ObjectId, bytes] = {}

    def get(self, id: ObjectId, kind: Kind) -> bytes:
        return self.objects[id]

    def put(self, kind: Kind, data: bytes) -> ObjectId:
        id = object_id(kind, data)
        self.objects[id] = data
        return id


class Taken(NamedTuple):
    """A dataset, what its source has said in all, and what became of its last delivery."""

    roots: Roots
    said: Roots
    tally: Tally
    conflicts: int


def entry(made: Annotation) -> Entry:
    """An annotation as an importer gives it."""
    return annotation_key(made.key, content_id(made.key, annotation_fields(made))), encode_annotation(made)


def told(
    store: DictStore, inputs: Iterable[Input], annotations: Iterable[Annotation], concepts: Iterable[str] = ()
) -> Roots:
    """A source's records; concepts are those that are named, and perhaps some more."""
    annotations = list(annotations)
    names = {*concepts, *(one.concept for one in annotations if one.concept is not None)}
    return Roots(
        concepts=build_tree(store, sorted((one.encode(), encode_concept(Concept(id=one, name=one))) for one in names)),
        inputs=build_tree(store, sorted((one.key.encode(), encode_input(one)) for one in inputs)),
        annotations=build_tree(store, with_ordinals(iter(sorted(map(entry, annotations))))),
    )


def take(store: DictStore, state: Taken | None, new: Roots, sync: Sync = "annotations") -> Taken:
    """Import what a source says."""
    ours, last = (state.roots, state.said) if state is not None else (empty_roots(store), None)
    delivery = deliver(store, last, ours, new, sync)
    merged = merge_roots(store, last, ours, delivery.theirs)
    return Taken(merged.roots, delivery.said, delivery.tally, merged.report.conflicts)


def edit(store: DictStore, state: Taken, **trees: dict[bytes, bytes | None]) -> Taken:
    """Local edits."""
    made = {name: Tree(store, getattr(state.roots, name)).edit(store, edits) for name, edits in trees.items()}
    roots = {name: made.get(name, getattr(state.roots, name)) for name in ("concepts", "inputs", "annotations")}
    return state._replace(roots=Roots(**roots))


def inputs_of(store: DictStore, roots: Roots) -> dict[str, Input]:
    return {key.decode(): decode_input(key, value) for key, value in Tree(store, roots.inputs)}


def annotations_of(store: DictStore, roots: Roots) -> list[Annotation]:
    return [decode_annotation(key, value) for key, value in Tree(store, roots.annotations)]


def check_whole(store: DictStore, roots: Roots) -> None:
    """Every annotation has its input and its concept."""
    inputs, concepts = Tree(store, roots.inputs), Tree(store, roots.concepts)
    for found in annotations_of(store, roots):
        assert found.key.encode() in inputs, found
        assert found.concept is None or found.concept.encode() in concepts, found
