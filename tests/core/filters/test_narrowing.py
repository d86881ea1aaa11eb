"""Narrowing a snapshot to the inputs that a filter is true of."""

import pytest

from dsvc.core.filters.narrowing import annotation_entries, input_entries, matching_keys, named_concepts
from dsvc.errors import DamagedError, FilterError
from dsvc.model.records import Annotation, Concept, Input, encode_annotation, encode_concept, encode_input
from dsvc.model.snapshot import Roots, Snapshot, SnapshotEdits, edit_roots, empty_roots
from dsvc.model.tree import build_tree
from dsvc.store import codec
from dsvc.store.ids import Kind, ObjectId, object_id

CONCEPTS = ("bird", "cat", "cow", "dog", "emu", "fox", "gnu", "hen")
META = {"coco": {"info": {"year": 2024}}}


class DictStore(dict[ObjectId, bytes]):
    def get(self, id: ObjectId, kind: Kind) -> bytes:
        return self[id]

    def put(self, kind: Kind, data: bytes) -> ObjectId:
        id = object_id(kind, data)
        self[id] = data
        return id


def stored(store: DictStore, concepts: tuple[str, ...], entries: dict[str, bytes]) -> Roots:
    """The roots of these concepts, and of inputs and annotations (KEY#ID) as they are encoded."""
    edits = SnapshotEdits()
    edits.concepts = {name.encode(): encode_concept(Concept(id=name, name=name)) for name in concepts}
    for name, value in entries.items():
        edits_of = edits.annotations if "#" in name else edits.inputs
        edits_of[name.replace("#", "\0").encode()] = value
    edits.meta = dict(META)
    return edit_roots(store, empty_roots(store), edits)


def narrowed_roots(store: DictStore, snapshot: Snapshot, keys: list[bytes]) -> Roots:
    """What belongs to some inputs, as a snapshot of its own."""
    names = named_concepts(snapshot, keys)
    return Roots(
        concepts=build_tree(store, (entry for entry in snapshot.concept_tree if entry[0] in names)),
        inputs=build_tree(store, input_entries(snapshot, keys)),
        annotations=build_tree(store, annotation_entries(snapshot, keys)),
        meta=snapshot.meta,
    )


def matching_roots(store: DictStore, snapshot: Snapshot, where: str) -> Roots:
    return narrowed_roots(store, snapshot, matching_keys(snapshot, where))


def annotated(concept: str) -> bytes:
    return encode_annotation(Annotation(key="", id="", concept=concept, text="t"))


def many(count: int) -> dict[str, bytes]:
    """Inputs of two annotations each; every tenth one has cats, all others have dogs, and none has a cow."""
    entries = {}
    for number in range(count):
        key, concept = f"{number:04}.jpg", "dog" if number % 10 else "cat"
        entries[key] = encode_input(Input(key=key, split="train" if number % 10 else "val"))
        entries |= {f"{key}#{id}": annotated(concept) for id in "12"}
    return entries


@pytest.mark.parametrize(
    ("where", "chosen", "concepts"),
    [
        ("split = 'val'", lambda number: number % 10 == 0, ("cat",)),
        ("concept = 'dog'", lambda number: number % 10 != 0, ("dog",)),
        ("key = '0030.jpg'", lambda number: number == 30, ("cat",)),
        ("key in ('0030.jpg', '0031.jpg')", lambda number: number in (30, 31), ("cat", "dog")),
        ("true", lambda number: True, ("cat", "dog")),
        ("false", lambda number: False, ()),
    ],
)
def test_it_is_what_a_fresh_snapshot_of_the_same_records_is(where, chosen, concepts) -> None:
    store, entries = DictStore(), many(300)
    snapshot = Snapshot(store, stored(store, CONCEPTS, entries))
    kept = {name: value for name, value in entries.items() if chosen(int(name[:4]))}
    assert matching_roots(store, snapshot, where) == stored(store, concepts, kept)
    keys = [name.encode() for name in kept if "#" not in name]
    assert matching_keys(snapshot, where) == keys
    assert narrowed_roots(store, snapshot, keys) == stored(store, concepts, kept)


def test_keys_that_begin_alike_are_told_apart() -> None:
    store = DictStore()
    entries = {"a": encode_input(Input(key="a")), "a\1": encode_input(Input(key="a\1")), "a#1": annotated("cat")}
    entries |= {"ab": encode_input(Input(key="ab")), "ab#1": annotated("dog"), "a\1#1": annotated("cow")}
    entries |= {f"z{n}": encode_input(Input(key=f"z{n}")) for n in range(40)}
    snapshot = Snapshot(store, stored(store, CONCEPTS, entries))
    kept = {name: entries[name] for name in ("a", "a#1")}
    assert matching_roots(store, snapshot, "key = 'a'") == stored(store, ("cat",), kept)
    kept = {name: value for name, value in entries.items() if not name.startswith("a")}
    assert matching_roots(store, snapshot, "key <> 'a' and key not like 'a%'") == stored(store, (), kept)


@pytest.mark.parametrize("where", ["key like 'a%'", "true"])
def test_concepts_that_are_named_elsewhere_come_along(where: str) -> None:
    """By LVIS' lists of concepts, and by what clashes, which may be settled either way."""
    listed = {"neg_category_ids": ["bird", "cow"], "not_exhaustive_category_ids": ["gone", "emu"], "more": "hen"}
    clash = {"!": {"c": ["cat", "dog"], "t": ["hen", "x"], "v": [0, 1]}, "au": "hen"}
    clashing = {"!": {"extras\0coco\0neg_category_ids": [["fox"], ["gnu", 7]], "metadata\0a": [["hen"], 1]}}
    entries = {
        "a": encode_input(Input(key="a", extras={"coco": listed}, metadata={"coco": {"neg_category_ids": ["hen"]}})),
        "a2": codec.encode(clashing),
        "a2#1": codec.encode(clash),
        "b": encode_input(Input(key="b")),
    }
    store = DictStore()
    snapshot = Snapshot(store, stored(store, CONCEPTS, entries))
    found = Snapshot(store, matching_roots(store, snapshot, where))
    assert [concept.id for concept in found.concepts()] == ["bird", "cat", "cow", "dog", "emu", "fox", "gnu"]
    assert found.conflicts == 2
    assert found.meta == META


def test_what_cannot_be_read_is_named() -> None:
    store = DictStore()
    entries = {"a": encode_input(Input(key="a")), "b": encode_input(Input(key="b")), "a#1": b"\xc1"}
    snapshot = Snapshot(store, stored(store, (), entries))
    assert matching_roots(store, snapshot, "key = 'b'").inputs != snapshot.roots.inputs
    with pytest.raises(DamagedError, match="the record 'a#1' cannot be read"):
        matching_roots(store, snapshot, "key = 'a'")
    with pytest.raises(FilterError, match="no column 'kye'"):
        matching_roots(store, snapshot, "kye = 'a'")
