"""Snapshots in memory, made of records."""

from collections.abc import Iterable

from dsvc.model.records import (
    Annotation,
    Concept,
    Input,
    annotation_key,
    encode_annotation,
    encode_concept,
    encode_input,
)
from dsvc.model.snapshot import Roots, Snapshot
from dsvc.model.tree import build_tree
from dsvc.store.ids import Kind, ObjectId, object_id

Record = Concept | Input | Annotation


class MemoryStore:
    """Objects in memory; `reads` counts."""

    def __init__(self) -> None:
        self.objects: dict[ObjectId, bytes] = {}
        self.reads = 0

    def put(self, kind: Kind, data: bytes) -> ObjectId:
        id = object_id(kind, data)
        self.objects[id] = data
        return id

    def get(self, id: ObjectId, kind: Kind) -> bytes:
        self.reads += 1
        return self.objects[id]


def snapshot_of(records: Iterable[Record], store: MemoryStore | None = None) -> Snapshot:
    """A snapshot of records. Inputs that annotations need and that are not given are made."""
    trees: dict[str, dict[bytes, bytes]] = {"concepts": {}, "inputs": {}, "annotations": {}}
    for record in records:
        if isinstance(record, Concept):
            trees["concepts"][record.id.encode()] = encode_concept(record)
        elif isinstance(record, Input):
            trees["inputs"][record.key.encode()] = encode_input(record)
        else:
            trees["inputs"].setdefault(record.key.encode(), encode_input(Input(key=record.key)))
            trees["annotations"][annotation_key(record.key, record.id)] = encode_annotation(record)
    store = store or MemoryStore()
    return Snapshot(store, Roots(**{name: build_tree(store, sorted(tree.items())) for name, tree in trees.items()}))
