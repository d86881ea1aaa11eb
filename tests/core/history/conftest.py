"""Histories made by hand: commits of any shape, with a few annotations each."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from dsvc.core.history.walking import History
from dsvc.errors import DamagedError
from dsvc.model.commit import Author, Commit, Moment, store_commit
from dsvc.model.records import Annotation, Input, annotation_key, encode_annotation, encode_input
from dsvc.model.snapshot import SnapshotEdits, edit_roots, empty_roots, store_roots
from dsvc.store.ids import Kind, ObjectId, object_id


class MemoryStore:
    """Objects in memory; `reads` names those that were read."""

    def __init__(self) -> None:
        self.objects: dict[ObjectId, bytes] = {}
        self.reads: list[ObjectId] = []

    def put(self, kind: Kind, data: bytes) -> ObjectId:
        id = object_id(kind, data)
        self.objects[id] = data
        return id

    def get(self, id: ObjectId, kind: Kind) -> bytes:
        self.reads.append(id)
        if id not in self.objects:
            raise DamagedError(f"{id.short()} is missing")
        return self.objects[id]


class Graph:
    """Commits by name. Each is a second newer than the one made before it."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.ids: dict[str, ObjectId] = {}
        self.names: dict[ObjectId, str] = {}

    def commit(
        self,
        name: str,
        *parents: str,
        concepts: Mapping[str, str] | None = None,
        seconds: int | None = None,
        source: str | None = None,
        notes: Mapping[str, Any] | None = None,
    ) -> ObjectId:
        """A commit of inputs with annotations: "a.jpg#1" -> the concept of the annotation."""
        edits = SnapshotEdits()
        for record, concept in (concepts or {}).items():
            key, _, id = record.partition("#")
            annotation = Annotation(key=key, id=id, concept=concept)
            edits.inputs[key.encode()] = encode_input(Input(key=key))
            edits.annotations[annotation_key(key, id)] = encode_annotation(annotation)
        roots = edit_roots(self.store, empty_roots(self.store), edits)
        commit = Commit(
            snapshot=store_roots(self.store, roots),
            parents=tuple(self.ids[parent] for parent in parents),
            author=Author(name),
            time=Moment(len(self.ids) if seconds is None else seconds),
            message=name,
            notes={"source": source} if source else notes or {},
        )
        self.ids[name] = id = store_commit(self.store, commit)
        self.names[id] = name
        return id

    @property
    def history(self) -> History:
        return History(self.store)

    def walk(self, *heads: str) -> list[str]:
        return [self.names[id] for id in self.history.walk(self.ids[head] for head in heads)]


@pytest.fixture
def graph() -> Graph:
    return Graph()


@pytest.fixture
def criss_cross(graph: Graph) -> Callable[[], Graph]:
    """Two lines that merged each other: m1 has l1 and r1, m2 has r1 and l1, and `top` has both."""

    def made() -> Graph:
        graph.commit("base")
        graph.commit("l1", "base")
        graph.commit("r1", "base")
        graph.commit("m1", "l1", "r1")
        graph.commit("m2", "r1", "l1")
        graph.commit("top", "m1", "m2")
        return graph

    return made
