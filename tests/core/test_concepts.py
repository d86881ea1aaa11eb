"""Concepts as a whole: annotations and lists follow, ids stay, and one undo takes it all back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

import dsvc
from dsvc.core.concepts import rename_concept
from dsvc.core.dataset import Dataset
from dsvc.core.operations import operations, undo
from dsvc.errors import NotFoundError, RefusedError, UsageError
from dsvc.model import rewrite
from dsvc.model.records import (
    Annotation,
    Concept,
    Shape,
    encode_annotation,
    encode_concept,
    encode_input,
)
from dsvc.model.snapshot import SnapshotEdits, edit_roots
from dsvc.store import codec


@pytest.fixture
def labelled(pets: Dataset, coco: Callable[..., Any], write: Callable[..., Path]) -> Dataset:
    """Inputs a.jpg (a cat) and b.jpg (a dog), committed."""
    pets.import_(write(coco()))
    pets.commit("first")
    return pets


@pytest.fixture(params=["edit", "build"])
def each_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Once by editing the tree, once by building it anew."""
    monkeypatch.setattr(rewrite, "DENSE", 0 if request.param == "edit" else 10**9)
    return str(request.param)


def records(dataset: Dataset) -> dict[str, Annotation]:
    return {f"{key}#{a.id}": a for key in keys(dataset) for a in dataset.draft().annotations(key)}


def keys(dataset: Dataset) -> list[str]:
    return [record.key for record in dataset.draft().inputs()]


def concepts(dataset: Dataset) -> dict[str, int]:
    return {count.concept.id: count.annotations for count in dataset.count_concepts()}


def put(dataset: Dataset, *concepts: Concept, **annotations: dict[str, Any]) -> None:
    """Put concepts as they are, and annotations into b.jpg by id, past the checks that edits make."""

    def step(store: Any, state: Any) -> Any:
        edits = SnapshotEdits()
        edits.concepts = {concept.id.encode(): encode_concept(concept) for concept in concepts}
        for id, fields in annotations.items():
            edits.annotations[f"b.jpg\0{id}".encode()] = encode_annotation(Annotation(key="b.jpg", id=id, **fields))
        return msgspec.structs.replace(state, roots=edit_roots(store, state.roots, edits))

    with dataset.edit() as draft:
        draft.apply(step)


# ---- counting


def test_counts_are_of_annotations_and_of_inputs(labelled: Dataset) -> None:
    labelled.annotate("a.jpg", "cat", text="again")
    labelled.annotate("b.jpg", "cat")
    labelled.annotate("b.jpg", text="no concept at all")
    found = [(c.concept.id, c.concept.number, c.annotations, c.inputs) for c in labelled.count_concepts()]
    assert found == [("cat", 1, 3, 2), ("dog", 3, 1, 1)]
    assert [c.annotations for c in labelled.count_concepts("HEAD")] == [1, 1]


# ---- renaming


def test_annotations_follow_and_keep_their_ids(labelled: Dataset, each_way: str) -> None:
    before = records(labelled)
    report = labelled.rename_concept("cat", "kitty")
    after = records(labelled)
    assert (report.names, report.annotations, report.inputs) == ({"cat": "kitty"}, 1, 1)
    assert after.keys() == before.keys()
    changed = [name for name in before if after[name] != before[name]]
    assert [msgspec.structs.replace(before[name], concept="kitty") for name in changed] == [after[n] for n in changed]
    assert concepts(labelled) == {"dog": 1, "kitty": 1}
    kitty = labelled.draft().snapshot.concept("kitty")
    assert kitty is not None and (kitty.name, kitty.number, kitty.supercategory) == ("kitty", 1, "animal")
    undo(labelled.repository)
    assert records(labelled) == before and not labelled.has_draft()


def test_the_root_is_that_of_a_dataset_that_was_always_so(labelled: Dataset, each_way: str) -> None:
    roots = labelled.draft().snapshot.roots
    for old, new in (("cat", "kitty"), ("dog", "a name of quite another length " * 20), ("kitty", "cat")):
        labelled.rename_concept(old, new)
    labelled.rename_concept("a name of quite another length " * 20, "dog")
    assert labelled.draft().snapshot.roots == roots


@pytest.mark.parametrize("name", ["cat", "c" * 128])
def test_bytes_that_only_look_like_the_concept_stay(labelled: Dataset, each_way: str, name: str) -> None:
    if name != "cat":
        labelled.rename_concept("cat", name)
    encoded = b"\xa1c" + codec.pack(name)
    # The name's length makes a letter of what comes before it, so that even a text can hold the bytes.
    text = "\xe1c\u0640" + name
    assert (encoded in text.encode()) == (name != "cat")
    put(
        labelled,
        text={"concept": "dog", "text": text},
        extras={"concept": "dog", "extras": {"x": {"c": name}}},
        attributes={"attributes": {"c": name, "deep": {"c": [name, 1 << 70]}}},
        both={"concept": name, "text": text, "extras": {"x": {"c": name, "big": -(1 << 70)}}},
        raw={"concept": "dog", "extras": {"x": {"raw": encoded}}},
    )
    before = records(labelled)
    assert sum(encoded in encode_annotation(a) for a in before.values() if a.concept != name) >= 3
    assert labelled.rename_concept(name, "kitty").annotations == 2
    after = records(labelled)
    for label, old in before.items():
        assert after[label] == (msgspec.structs.replace(old, concept="kitty") if old.concept == name else old)


def test_a_value_that_outgrows_its_node_follows(labelled: Dataset, each_way: str) -> None:
    put(labelled, inside={"concept": "cat", "text": "x" * 4050}, outside={"concept": "cat", "text": "x" * 9000})
    labelled.rename_concept("cat", "c" * 1000)
    labelled.rename_concept("c" * 1000, "kitty")
    assert {a.concept for a in records(labelled).values() if a.text} == {"kitty"}
    assert labelled.repository.check().findings == ()


@pytest.mark.parametrize("name", ["", "  ", "a\0b", "x" * 1025, "\ud800"])
def test_names_that_no_concept_can_have(labelled: Dataset, name: str) -> None:
    with pytest.raises(UsageError, match="cannot name a concept"):
        labelled.rename_concept("cat", name)
    with pytest.raises(UsageError, match="cannot name a concept"):
        labelled.merge_concepts("cat", "dog", into=name)
    assert not labelled.has_draft()


def test_a_taken_name_and_an_unknown_one_are_refused(labelled: Dataset) -> None:
    with pytest.raises(RefusedError, match="there is a concept 'dog' already") as caught:
        labelled.rename_concept("cat", "dog")
    assert caught.value.hint == "join them: dsvc concept merge cat into dog"
    with pytest.raises(NotFoundError, match="no concept 'Cats'") as unknown:
        labelled.rename_concept("Cats", "x")
    assert unknown.value.hint == "did you mean cat?"
    with pytest.raises(NotFoundError) as far:
        labelled.delete_concept("zebra\ud800")
    assert far.value.hint == "see: dsvc concept list"
    with pytest.raises(RefusedError, match="has this name already"):
        labelled.rename_concept("cat", "cat")
    assert not labelled.has_draft()


def test_names_are_compared_in_nfc_and_kept_as_spelled(labelled: Dataset) -> None:
    composed, apart = "caf\xe9", "cafe\u0301"
    labelled.rename_concept("cat", apart)
    record = labelled.draft().snapshot.concept(composed)
    assert record is not None and record.name == apart
    assert {a.concept for a in labelled.draft().annotations("a.jpg")} == {composed}
    report = labelled.rename_concept(apart, composed)
    assert (report.names, report.annotations) == ({}, 0)
    assert [c.name for c in labelled.draft().concepts()] == [composed, "dog"]
    labelled.rename_concept(composed, "cat")
    assert not labelled.has_draft()


def test_a_name_that_a_file_declares_twice(pets: Dataset, coco: Callable[..., Any], write: Callable[..., Path]) -> None:
    categories = [
        {"id": 1, "name": "mouse", "supercategory": "animal"},
        {"id": 3, "name": "mouse", "supercategory": "device"},
    ]
    pets.import_(write(coco(categories=categories)))
    assert concepts(pets) == {"mouse": 1, "mouse#device": 1}
    pets.rename_concept("mouse#device", "pointer")
    assert concepts(pets) == {"mouse": 1, "pointer": 1}
    assert pets.merge_concepts("pointer", into="mouse").annotations == 1
    assert concepts(pets) == {"mouse": 2}


# ---- lists of concepts in inputs


@pytest.fixture
def lvis(pets: Dataset, coco: Callable[..., Any], write: Callable[..., Path]) -> Dataset:
    """Two images with lists of categories: of a.jpg dog and cat, of b.jpg dog; and one that has only numbers."""
    images = coco()["images"]
    images[0] |= {"neg_category_ids": [3, 1], "not_exhaustive_category_ids": []}
    images[1] |= {"neg_category_ids": [3]}
    images.append({"id": 9, "file_name": "c.jpg", "neg_category_ids": [77, 3]})
    pets.import_(write(coco(images=images)))
    pets.commit("first")
    return pets


def lists(dataset: Dataset) -> list[Any]:
    return [record.extras["coco"].get("neg_category_ids") for record in dataset.draft().inputs()]


def test_lists_of_concepts_follow(lvis: Dataset) -> None:
    assert lists(lvis) == [["dog", "cat"], ["dog"], [77, 3]]
    assert lvis.rename_concept("dog", "hound").lists == 2
    assert lists(lvis) == [["hound", "cat"], ["hound"], [77, 3]]
    assert lvis.merge_concepts("hound", into="cat").lists == 2
    assert lists(lvis) == [["cat"], ["cat"], [77, 3]]
    assert lvis.delete_concept("cat", with_annotations=True).lists == 2
    assert lists(lvis) == [[], [], [77, 3]]
    assert lvis.draft().input("a.jpg").extras["coco"]["not_exhaustive_category_ids"] == []


def test_exported_lists_have_the_numbers_of_the_new_names(lvis: Dataset, tmp_path: Path) -> None:
    lvis.rename_concept("dog", "hound", message="renamed")
    lvis.at().export("coco", tmp_path / "out.json")
    document = msgspec.json.decode((tmp_path / "out.json").read_bytes())
    assert [image["neg_category_ids"] for image in document["images"]] == [[3, 1], [3], [77, 3]]
    assert [(c["id"], c["name"]) for c in document["categories"]] == [(1, "cat"), (3, "hound")]


def test_a_concept_that_only_lists_name_is_used(lvis: Dataset) -> None:
    lvis.remove("b.jpg")
    with pytest.raises(RefusedError, match="concept 'dog' is used by the lists of 1 input"):
        lvis.delete_concept("dog")
    assert lvis.delete_concept("dog", with_annotations=True).annotations == 0


# ---- merging


def test_merging_keeps_the_record_of_the_target(labelled: Dataset, each_way: str) -> None:
    report = labelled.merge_concepts("cat", into="dog")
    assert (report.names, report.annotations, report.inputs, report.doubles) == ({"cat": "dog"}, 1, 1, 0)
    (dog,) = labelled.draft().concepts()
    assert (dog.name, dog.supercategory, dog.number) == ("dog", None, 1)
    assert concepts(labelled) == {"dog": 2}


def test_a_new_name_gets_the_record_of_the_first(labelled: Dataset) -> None:
    labelled.merge_concepts("dog", "cat", "dog", into="pet")
    (pet,) = labelled.draft().concepts()
    assert (pet.id, pet.name, pet.supercategory, pet.number) == ("pet", "pet", None, 1)


def test_what_becomes_equal_stays_and_is_counted(labelled: Dataset, each_way: str) -> None:
    box = Shape(box=(5, 5, 2, 2))
    for concept in ("cat", "dog", "hound"):
        labelled.annotate("b.jpg", concept, shape=box)
    labelled.annotate("a.jpg", "dog", shape=box)
    labelled.annotate("b.jpg", "dog", shape=box)  # equal to another one already
    before = len(records(labelled))
    report = labelled.merge_concepts("cat", "hound", into="dog")
    assert report.doubles == 2
    assert len(records(labelled)) == before


def test_numbers_make_no_difference_between_doubles(labelled: Dataset) -> None:
    put(labelled, one={"concept": "cat", "text": "x", "number": 7}, two={"concept": "dog", "text": "x", "number": 8})
    assert labelled.merge_concepts("cat", "dog", into="pet").doubles == 1


def test_nothing_to_merge(labelled: Dataset) -> None:
    for names in ((), ("dog",), ("dog", "dog")):
        with pytest.raises(UsageError, match="nothing to merge"):
            labelled.merge_concepts(*names, into="dog")
    with pytest.raises(NotFoundError, match="no concept 'dogs'"):
        labelled.merge_concepts("cat", "dogs", into="x")
    assert not labelled.has_draft()


@pytest.mark.parametrize("numbers", [(5, 3), (3, 5), (3, "1"), (None, 3)])
def test_the_smallest_number_is_kept(labelled: Dataset, numbers: tuple[Any, Any]) -> None:
    put(labelled, *(Concept(id=f"n{at}", name=f"n{at}", number=n) for at, n in enumerate(numbers)))
    labelled.merge_concepts("n0", into="n1")
    found = labelled.draft().snapshot.concept("n1")
    assert found is not None and found.number == 3


def test_other_keypoints_are_refused(labelled: Dataset) -> None:
    put(
        labelled,
        Concept(id="man", name="man", keypoints=("nose", "chin"), skeleton=((1, 2),)),
        Concept(id="woman", name="woman", keypoints=("nose", "chin"), skeleton=((1, 2),)),
        Concept(id="fox", name="fox", keypoints=("nose", "tail")),
        Concept(id="elf", name="elf", keypoints=("nose", "chin"), skeleton=((2, 1),)),
    )
    with pytest.raises(RefusedError, match="concepts 'man' and 'fox' have different keypoints"):
        labelled.merge_concepts("man", into="fox")
    with pytest.raises(RefusedError, match="concepts 'man' and 'elf' have different skeleton"):
        labelled.merge_concepts("man", "elf", into="being")
    labelled.merge_concepts("man", "woman", into="cat")
    cat = labelled.draft().snapshot.concept("cat")
    assert cat is not None and (cat.keypoints, cat.skeleton) == (("nose", "chin"), ((1, 2),))


# ---- deleting


def test_a_used_concept_is_not_deleted(labelled: Dataset) -> None:
    labelled.annotate("b.jpg", "cat")
    labelled.annotate("b.jpg", "cat")
    with pytest.raises(RefusedError, match="concept 'cat' is used by 3 annotations on 2 inputs") as caught:
        labelled.delete_concept("cat")
    assert caught.value.hint == "take them away too: dsvc concept delete cat --with-annotations"


def test_annotations_go_with_their_concept(labelled: Dataset, each_way: str) -> None:
    report = labelled.delete_concept("cat", with_annotations=True)
    assert (report.names, report.annotations, report.inputs) == ({"cat": None}, 1, 1)
    assert concepts(labelled) == {"dog": 1} and keys(labelled) == ["a.jpg", "b.jpg"]
    labelled.delete_concept("dog", with_annotations=True)
    assert concepts(labelled) == {} and records(labelled) == {}


def test_an_unused_concept_is_deleted(labelled: Dataset) -> None:
    put(labelled, Concept(id="bird", name="bird"))
    labelled.delete_concept("bird")
    assert not labelled.has_draft()


# ---- committing at once


def test_a_commit_at_once_is_one_operation(labelled: Dataset) -> None:
    head, before = labelled.head, len(list(operations(labelled.repository)))
    report = labelled.rename_concept("cat", "kitty", message="Kitties")
    assert report.commit is not None and labelled.head == report.commit.id
    assert report.commit.commit.message == "Kitties" and report.commit.commit.parents == (head,)
    assert len(list(operations(labelled.repository))) == before + 1
    assert not labelled.has_draft() and concepts(labelled) == {"dog": 1, "kitty": 1}
    undo(labelled.repository)
    assert labelled.head == head and concepts(labelled) == {"cat": 1, "dog": 1} and not labelled.has_draft()


def test_other_staged_changes_stand_in_the_way_of_a_commit_at_once(labelled: Dataset) -> None:
    labelled.annotate("a.jpg", "dog")
    for change in (
        lambda: labelled.rename_concept("cat", "kitty", message="x"),
        lambda: labelled.merge_concepts("cat", into="dog", message="x"),
        lambda: labelled.delete_concept("cat", with_annotations=True, message="x"),
    ):
        with pytest.raises(RefusedError, match="other changes are staged") as caught:
            change()
        assert caught.value.hint == "commit them first: dsvc commit -m TEXT, or drop them: dsvc discard"
    assert concepts(labelled) == {"cat": 1, "dog": 2}


def test_a_commit_at_once_needs_a_message_and_an_author(labelled: Dataset) -> None:
    with pytest.raises(UsageError, match="needs a message"):
        labelled.rename_concept("cat", "kitty", message=" ")
    labelled.repository.author = None
    with pytest.raises(RefusedError, match="no author"):
        labelled.rename_concept("cat", "kitty", message="x")
    labelled.rename_concept("cat", "kitty", message="x", author=dsvc.Author("Bob"))
    assert [logged.commit.author.name for logged in labelled.log()] == ["Bob", "Ada"]
    assert not labelled.has_draft()


def test_staged_work_of_another_program_is_not_committed_along(labelled: Dataset) -> None:
    other = dsvc.open(labelled.repository.root or "", author=dsvc.Author("Bob")).dataset("pets")
    with pytest.raises(RefusedError, match="other changes are staged"), labelled.edit(message="x") as draft:
        rename_concept(draft, "cat", "kitty")
        other.annotate("b.jpg", "bird")
    assert {c.id for c in other.draft().concepts()} == {"bird", "cat", "dog"}


# ---- with others


def test_what_another_program_added_meanwhile_follows_too(labelled: Dataset) -> None:
    other = dsvc.open(labelled.repository.root or "", author=dsvc.Author("Bob")).dataset("pets")
    with labelled.edit() as draft:
        report = rename_concept(draft, "cat", "kitty")
        assert report.annotations == 1
        other.annotate("b.jpg", "cat")
    assert report.annotations == 2 and report.inputs == 2
    assert concepts(labelled) == {"dog": 1, "kitty": 2}


def test_a_damaged_annotation_is_named(labelled: Dataset) -> None:
    from dsvc.core.recasting import concept_of
    from dsvc.errors import DamagedError

    for value in (b"", b"\xc1", codec.pack({"c": 5}), b"\x81\xa1c"):
        with pytest.raises(DamagedError, match=r"annotation 'b\.jpg\\x00id'"):
            concept_of(b"b.jpg\0id", value)


def test_open_conflicts_are_settled_first(labelled: Dataset) -> None:
    def step(store: Any, state: Any) -> Any:
        edits = SnapshotEdits()
        edits.annotations[b"b.jpg\0clash"] = codec.encode({"!": {"c": ["cat", "dog"]}})
        return msgspec.structs.replace(state, roots=edit_roots(store, state.roots, edits))

    with labelled.edit() as draft:
        draft.apply(step)
    with pytest.raises(RefusedError, match="there are open conflicts, in 1 record"):
        labelled.rename_concept("cat", "kitty")


def test_inputs_without_lists_are_left_alone(lvis: Dataset) -> None:
    from dsvc.model.extras import rename_listed

    for extras in ({}, {"coco": {}}, {"coco": {"neg_category_ids": 5}}, {"other": {"neg_category_ids": ["dog"]}}):
        fields: dict[str, Any] = {"extras": extras} if extras else {}
        assert not rename_listed(fields, {"dog": "hound"})
    record = lvis.draft().input("c.jpg")
    assert record is not None
    lvis.rename_concept("dog", "hound")
    after = lvis.draft().input("c.jpg")
    assert after is not None and encode_input(after) == encode_input(record)
