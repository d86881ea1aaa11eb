"""Snapshots: the state of a dataset at one moment, as the roots of its three trees and its metadata."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from dsvc.errors import DamagedError, RefusedError
from dsvc.model.node import Reader, Store
from dsvc.model.records import (
    Annotation,
    Concept,
    Input,
    annotation_key,
    decode_annotation,
    decode_concept,
    decode_input,
)
from dsvc.model.tree import Edits, NodeCache, TextTree, Tree, empty_tree
from dsvc.model.walk import Sample
from dsvc.store import codec
from dsvc.store.ids import Kind, ObjectId
from dsvc.store.limits import FEW_BYTES, MAX_ITEMS

TREES = ("concepts", "inputs", "annotations")


class Roots(msgspec.Struct, frozen=True, kw_only=True):
    """What a snapshot is made of. `meta` maps a source format to what belongs to the whole dataset."""

    concepts: ObjectId
    inputs: ObjectId
    annotations: ObjectId
    meta: Mapping[str, Any] = {}


def empty_roots(store: Store) -> Roots:
    """The snapshot of a dataset that holds nothing."""
    root = empty_tree(store)
    return Roots(concepts=root, inputs=root, annotations=root)


def store_roots(store: Store, roots: Roots) -> ObjectId:
    """Keep a snapshot and give its id. Raises codec.EncodeError, RefusedError."""
    fields = {name: bytes(getattr(roots, name)) for name in TREES}
    data = codec.encode({**fields, "meta": roots.meta})
    if len(data) > FEW_BYTES and codec.count_items(data, MAX_ITEMS) > MAX_ITEMS:
        message = f"what sources say of themselves has more than {MAX_ITEMS:,} parts; nothing was changed"
        raise RefusedError(message, "keep long lists in files of their own, as inputs")
    return store.put(Kind.SNAPSHOT, data)


def load_roots(store: Reader, id: ObjectId) -> Roots:
    """The snapshot of an id. Raises DamagedError."""
    return decode_roots(store.get(id, Kind.SNAPSHOT), id)


def decode_roots(data: bytes, id: ObjectId) -> Roots:
    """The snapshot of its bytes. Raises DamagedError."""
    fields = codec.decode(data, f"snapshot {id.short()}")
    try:
        meta = fields["meta"]
        if type(meta) is not dict or not all(type(said) is dict for said in meta.values()):
            raise TypeError("no map of maps")
        return Roots(meta=meta, **{name: ObjectId(fields[name]) for name in TREES})
    except (KeyError, TypeError, ValueError) as error:
        raise DamagedError(f"snapshot {id.short()} is damaged") from error


class SnapshotEdits:
    """Changes to lay over a snapshot: per tree, key -> new value or None, and metadata by format."""

    def __init__(self) -> None:
        self.concepts: dict[bytes, bytes | None] = {}
        self.inputs: dict[bytes, bytes | None] = {}
        self.annotations: dict[bytes, bytes | None] = {}
        self.meta: dict[str, Any] = {}

    def __bool__(self) -> bool:
        return bool(self.concepts or self.inputs or self.annotations or self.meta)


def edit_roots(store: Store, roots: Roots, edits: SnapshotEdits, cache: NodeCache | None = None) -> Roots:
    """`roots` with `edits` laid over it."""

    def edited(root: ObjectId, changes: Edits) -> ObjectId:
        return Tree(store, root, cache).edit(store, changes)

    return Roots(
        concepts=edited(roots.concepts, edits.concepts),
        inputs=edited(roots.inputs, edits.inputs),
        annotations=edited(roots.annotations, edits.annotations),
        meta={**roots.meta, **edits.meta} if edits.meta else roots.meta,
    )


class Snapshot:
    """A snapshot to read: its trees, and its records as streams and by key."""

    def __init__(self, store: Reader, roots: Roots, cache: NodeCache | None = None) -> None:
        cache = cache or NodeCache()
        self.roots = roots
        self.concept_tree = TextTree(store, roots.concepts, cache)
        self.input_tree = TextTree(store, roots.inputs, cache)
        self.annotation_tree = TextTree(store, roots.annotations, cache)

    @property
    def meta(self) -> Mapping[str, Any]:
        """The dataset's metadata, by source format."""
        return self.roots.meta

    def __len__(self) -> int:
        return len(self.input_tree)

    @property
    def conflicts(self) -> int:
        """How many records hold a conflict."""
        return self.concept_tree.conflicts + self.input_tree.conflicts + self.annotation_tree.conflicts

    def counts(self) -> dict[str, int]:
        """How many concepts, inputs and annotations there are."""
        trees = (self.concept_tree, self.input_tree, self.annotation_tree)
        return {name: len(tree) for name, tree in zip(TREES, trees, strict=True)}

    def concept(self, id: str) -> Concept | None:
        """The concept of an id, or None."""
        value = self.concept_tree.get(id.encode())
        return decode_concept(id.encode(), value) if value is not None else None

    def input(self, key: str) -> Input | None:
        """The input of a key, or None."""
        value = self.input_tree.get(key.encode())
        return decode_input(key.encode(), value) if value is not None else None

    def annotation(self, key: str, id: str) -> Annotation | None:
        """The annotation of an input key and an annotation id, or None."""
        tree_key = annotation_key(key, id)
        value = self.annotation_tree.get(tree_key)
        return decode_annotation(tree_key, value) if value is not None else None

    def annotations(self, key: str) -> Iterator[Annotation]:
        """The annotations of one input, by id."""
        for tree_key, value in self.annotation_tree.prefix(f"{key}\0".encode()):
            yield decode_annotation(tree_key, value)

    def concepts(self) -> Iterator[Concept]:
        """All concepts, by id."""
        for tree_key, value in self.concept_tree:
            yield decode_concept(tree_key, value)

    def inputs(self) -> Iterator[Input]:
        """All inputs, by key."""
        for tree_key, value in self.input_tree:
            yield decode_input(tree_key, value)

    def samples(self, start: str = "") -> Iterator[Sample]:
        """All inputs from a key on, each with its annotations: two sorted streams read in step."""
        first = start.encode()
        annotations = self.annotation_tree.items(first)
        pending = next(annotations, None)
        for tree_key, value in self.input_tree.items(first):
            prefix = tree_key + b"\0"
            found = []
            while pending is not None and pending[0].startswith(prefix):
                found.append(decode_annotation(*pending))
                pending = next(annotations, None)
            yield Sample(decode_input(tree_key, value), tuple(found))
            if pending is not None and pending[0] < prefix:
                break
        if pending is not None:
            raise DamagedError(f"annotation {pending[0].decode(errors='replace')!r} has no input")
