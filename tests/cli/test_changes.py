"""The words for changes that are rare on the command line."""

from typing import Any

import msgspec
import pytest
from snapshots import MemoryStore, Record, snapshot_of

from dsvc.cli.changes import concept_line, input_lines, stat_lines
from dsvc.core.diffing.diff import Diff
from dsvc.model.records import Annotation, Concept, Input, Mask, Media, Reference, Shape
from dsvc.store.ids import ObjectId


def lines(old: list[Record], new: list[Record]) -> list[str]:
    store = MemoryStore()
    diff = Diff(snapshot_of(old, store), snapshot_of(new, store))
    return [*map(concept_line, diff.concepts()), *(line for found in diff.inputs() for line in input_lines(found))]


def cat(**fields: Any) -> Annotation:
    return Annotation(key="a", id="1", **{"concept": "cat", **fields})


BLOB = ObjectId(bytes(32))
MASK = Mask(height=1, width=4, counts=(0, 2, 2))
PNG = Media(blob=BLOB, type="image/png", width=4, height=3, size=100)
RINGS: Any = ((0, 0, 9, 0, 9, 9),), ((0, 0, 9, 0, 9, 5),)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (cat(span=(3, 9)), cat(span=(3, 12)), "moved (characters 3,9 -> 3,12, IoU 0.666)"),
        (cat(time=(0.0, 1.5)), cat(time=(1.0, 2.5)), "moved (seconds 0,1.5 -> 1,2.5, IoU 0.2)"),
        (cat(frame=3), cat(frame=4), "moved (frame 3 -> 4)"),
        (cat(frame=3), cat(), "moved (frame 3 -> none)"),
        (cat(), cat(shape=Shape(box=(1, 2, 3, 4))), "reshaped (box added)"),
        (cat(shape=Shape(box=(1, 2, 3, 4), area=12)), cat(), "reshaped (box taken away, area taken away)"),
        (cat(shape=Shape(mask=MASK)), cat(shape=Shape(polygons=RINGS[0])),
         "moved by 8 px (IoU 0.024) and reshaped (polygons added, mask taken away)"),
        (cat(shape=Shape(polygons=RINGS[0])), cat(shape=Shape(polygons=RINGS[1])),
         "moved by 4 px (IoU 0.555) and reshaped (polygons)"),
        (cat(shape=Shape(box=(0, 0, 1, 1), area=1)), cat(shape=Shape(box=(0, 0, 1, 1), area=2)),
         "reshaped (area 1 -> 2)"),
        (cat(shape=Shape(box=(0, 0, 9, 1e5))), cat(shape=Shape(box=(0, 0, 9, 100000.01))),
         "moved by 0.01 px (IoU 0.999)"),
        (cat(shape=Shape(box=(0, 0, 9, 9))), cat(shape=Shape(box=(0, 0, 9, 5009))), "moved by 5,000 px (IoU 0.001)"),
        (cat(shape=Shape(box=(0, 0, 0.5, 0.5), unit="relative")), cat(shape=Shape(box=(0, 0, 0.5, 1), unit="relative")),
         "moved (IoU 0.5)"),
        (cat(attributes={"tags": [1]}), cat(attributes={"tags": [2]}), "attributes.tags changed"),
        (cat(attributes={"ok": True}), cat(attributes={"ok": 1}), "attributes.ok true -> 1"),
        (cat(text="x" * 70 + "y"), cat(text="x" * 70 + "z"), "text changed"),
        (cat(crowd=1), cat(crowd=0, track=7, value=0.5), "crowd 1 -> 0, track none -> 7, value none -> 0.5"),
        (cat(), cat(concept=None, conflicts={"c": ("cat", "dog"), "at\0color": (1, 2)}),
         "in conflict: attributes.color, concept"),
        (cat(concept=None, conflicts={"c": ("cat", "dog")}), cat(), "conflict settled: concept -> cat"),
        (cat(text="x", concept=None, conflicts={"c": ("cat", "dog")}), cat(text="y", conflicts={"cr": (0, 1)}),
         "text x -> y, in conflict: crowd, conflict settled: concept -> cat"),
    ],
)  # fmt: skip
def test_an_annotation(old: Annotation, new: Annotation, words: str) -> None:
    assert lines([old], [new]) == ["  input a", f"    ~ cat 1: {words}"]


def test_an_annotation_that_never_had_a_concept() -> None:
    assert lines([Input(key="a")], [cat(concept=None, text="hi", crowd=1)]) == [
        "  input a",
        "    + (no concept) 1: 'hi', crowd",
    ]
    other = msgspec.structs.replace(cat(), id="2")
    assert lines([cat()], [other]) == ["  input a", "    ~ cat 1 -> 2: same content, new id"]
    assert lines([cat()], [cat(concept=None)]) == ["  input a", "    ~ cat 1: relabelled cat -> none"]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ({}, {"media": PNG}, "media image/png, 4 x 3, 100 bytes, blob 000000000000 added"),
        ({"media": PNG}, {}, "media taken away"),
        ({"media": PNG}, {"media": msgspec.structs.replace(PNG, blob=ObjectId(b"\1" * 32), width=8)},
         "media 4 x 3 -> 8 x 3, blob 000000000000 -> 010101010101"),
        ({"media": PNG}, {"media": msgspec.structs.replace(PNG, fps=1.5)}, "media changed"),
        ({"media": Media(reference=Reference(place="s3://a/b"))}, {"media": Media(reference=Reference(place="s3://a/c"))},
         "media at s3://a/b, not hashed yet -> at s3://a/c, not hashed yet"),
        ({"geo": (1.0, 2.5)}, {"geo": (1.0, 3.0)}, "geo 1,2.5 -> 1,3"),
        ({}, {"embeddings": {"clip": (1.0,) * 8}}, "embeddings.clip added"),
        ({"embeddings": {"clip": (1.0,) * 8}}, {}, "embeddings.clip taken away"),
        ({"metadata": {"a": 1}}, {"conflicts": {"metadata\0a": (1, 2)}}, "in conflict: metadata.a"),
        ({"split": "val"}, {"conflicts": {"exists": (False, True)}, "split": "val"}, "in conflict: exists"),
    ],
)  # fmt: skip
def test_an_input(old: dict[str, Any], new: dict[str, Any], words: str) -> None:
    assert lines([Input(key="a", **old)], [Input(key="a", **new)]) == [f"~ input a: {words}"]


def test_inputs_that_come_and_go() -> None:
    many = [Annotation(key="a", id=str(n), concept=f"c{n % 8}" if n % 8 < 7 else None) for n in range(20)]
    assert lines([], many) == ["+ input a: 3 c0, 3 c1, 3 c2, 3 c3, 2 c4, 6 of other concepts"]
    assert lines([cat(concept=None)], []) == ["- input a: 1 (no concept)"]
    clash = Input(key="a", conflicts={"split": ("train", "val")})
    assert lines([], [clash]) == ["+ input a: in conflict: split"]


def test_concepts() -> None:
    old = [Concept(id="b", name="b"), Concept(id="c", name="c", supercategory="pet")]
    new = [Concept(id="a", name="a"), Concept(id="c", name="c", keypoints=("nose",))]
    assert lines([*old], [*new]) == [
        "+ concept a",
        "- concept b",
        "~ concept c: keypoints added, supercategory pet -> none",
    ]


def test_counts_of_conflicts_and_new_ids() -> None:
    old = [cat(), msgspec.structs.replace(cat(concept="dog"), id="2")]
    new = [cat(concept=None, conflicts={"c": ("cat", "dog")}), msgspec.structs.replace(cat(concept="dog"), id="3")]
    assert list(stat_lines(Diff(snapshot_of(old), snapshot_of(new)).stat())) == [
        "annotations: 2 changed (1 with a new id), 1 in conflict",
        "by concept  other",
        "  cat           1",
        "  dog           1",
    ]


def test_an_annotation_that_comes_with_a_conflict_tells_of_it_once() -> None:
    clash = cat(concept=None, conflicts={"c": ("cat", "dog")})
    assert lines([Input(key="a")], [Input(key="a"), clash])[1:] == ["    + (no concept) 1: in conflict: concept"]
