"""What a merge makes of two sides' records, rule by rule."""

from collections.abc import Callable, Iterable
from typing import Any

import msgspec
import pytest

from dsvc.core.dataset import Dataset
from dsvc.core.draft import Draft
from dsvc.core.merging.merge import MergeOutcome
from dsvc.errors import RefusedError
from dsvc.model.clashes import clashes_of
from dsvc.model.records import Annotation, Concept, Input, Media, Shape, encode_concept, encode_input
from dsvc.model.snapshot import SnapshotEdits

BOX, MOVED = (1, 2, 3, 4), (2, 2, 3, 4)
Act = Callable[[Draft], Any]
Merge = Callable[..., MergeOutcome]


@pytest.fixture
def start(pets: Dataset) -> Dataset:
    """Two inputs of two annotations each, and a concept that nothing names; committed, with a branch `side`."""
    with pets.edit() as draft:
        draft.put_media({key: Media(type="image/png") for key in ("a.png", "b.png")})
        for key in ("a.png", "b.png"):
            draft.annotate(Annotation(key=key, id="1", concept="cat", shape=Shape(box=BOX), attributes={"n": 1}))
            draft.annotate(Annotation(key=key, id="2", concept="dog", shape=Shape(box=BOX)))
    put(pets, Concept(id="cow", name="cow"))
    pets.commit("start")
    pets.create_branch("side")
    return pets


@pytest.fixture
def merge(start: Dataset) -> Merge:
    """Merge into the main branch, where `ours` was done, the other one, where `theirs` was."""

    def merge(ours: Act, theirs: Act, **asked: Any) -> MergeOutcome:
        for branch, act in (("main", ours), ("side", theirs)):
            dataset = start.repository.dataset("pets", branch)
            with dataset.edit() as draft:
                act(draft)
            if dataset.has_draft():
                dataset.commit(branch)
        return start.merge("pets:side", **asked)

    return merge


def put(dataset: Dataset, *records: Concept | Input) -> None:
    """Stage records as they are."""
    with dataset.edit() as draft:
        put_records(draft, records)


def put_records(draft: Draft, records: Iterable[Concept | Input]) -> None:
    def step(store: Any, state: Any) -> Any:
        edits = SnapshotEdits()
        for record in records:
            if isinstance(record, Concept):
                edits.concepts[record.id.encode()] = encode_concept(record)
            else:
                edits.inputs[record.key.encode()] = encode_input(record)
        return draft.edited(store, state, edits)

    draft.apply(step)


def change(key: str, id: str, **fields: Any) -> Act:
    return lambda draft: draft.change_annotation(key, id, fields)


def change_input(key: str, **fields: Any) -> Act:
    def act(draft: Draft) -> None:
        old = draft.snapshot.input(key)
        assert old is not None
        put_records(draft, [msgspec.structs.replace(old, **fields)])

    return act


def remove(key: str, id: str | None = None) -> Act:
    return lambda draft: draft.remove_annotation(key, id) if id is not None else draft.remove_inputs([key])


def delete_concept(name: str) -> Act:
    from dsvc.core.concepts import delete_concept as delete

    return lambda draft: delete(draft, name, True)


def both(*acts: Act) -> Act:
    return lambda draft: [act(draft) for act in acts]


def nothing(draft: Draft) -> None:
    pass


def annotation(dataset: Dataset, key: str, id: str) -> Annotation:
    found = dataset.draft().snapshot.annotation(key, id)
    assert found is not None
    return found


def names(dataset: Dataset) -> list[str]:
    """Inputs with their annotations."""
    return [f"{sample.input.key} {' '.join(one.id for one in sample.annotations)}" for sample in dataset.draft()]


def conflicts(dataset: Dataset) -> list[tuple[str, str, tuple[Any, ...]]]:
    found = dataset.conflicts()
    return [(one.place.name, one.place.field, tuple(c.value for c in one.candidates)) for one in found]


# ---- fields


def test_edits_of_different_fields_combine(start: Dataset, merge: Merge) -> None:
    made = merge(change("a.png", "1", concept="dog"), change("a.png", "1", shape=Shape(box=MOVED)))
    found = annotation(start, "a.png", "1")
    assert (found.concept, found.shape, found.conflicts) == ("dog", Shape(box=MOVED), {})
    assert (made.report.annotations.combined, made.conflicts) == (1, 0)


def test_edits_of_different_attributes_combine(start: Dataset, merge: Merge) -> None:
    merge(change("a.png", "1", attributes={"n": 2}), change("a.png", "1", attributes={"n": 1, "who": "x"}))
    assert annotation(start, "a.png", "1").attributes == {"n": 2, "who": "x"}


def test_two_values_are_a_conflict_with_both(start: Dataset, merge: Merge) -> None:
    made = merge(change("a.png", "1", concept="dog"), change("a.png", "1", concept="bird"))
    assert conflicts(start) == [("a.png#1", "concept", ("dog", "bird"))]  # in the order of their encodings
    assert annotation(start, "a.png", "1").concept is None
    assert made.conflicts == made.report.annotations.conflicts == 1


def test_the_same_edit_on_both_sides_is_one(start: Dataset, merge: Merge) -> None:
    made = merge(change("a.png", "1", concept="dog"), change("a.png", "1", concept="dog"))
    assert annotation(start, "a.png", "1").concept == "dog" and not made.report.annotations


def test_values_that_differ_in_type_alone_differ(start: Dataset, merge: Merge) -> None:
    merge(change("a.png", "1", attributes={"n": True}), change("a.png", "1", attributes={"n": 1.0}))
    ((_, field, values),) = conflicts(start)
    assert field == "attributes.n" and {type(value) for value in values} == {bool, float}


def test_absent_against_present_is_no_clash(start: Dataset, merge: Merge) -> None:
    """One side has a text, the other a new media of an input that had none."""
    merge(change("a.png", "2", text="hi"), change_input("a.png", split="train"))
    found = start.draft().snapshot.input("a.png")
    assert found is not None and found.split == "train"
    assert annotation(start, "a.png", "2").text == "hi" and conflicts(start) == []


def test_taken_away_against_changed_is_changed(start: Dataset, merge: Merge) -> None:
    merge(change("a.png", "1", concept=None), change("a.png", "1", concept="dog"))
    assert annotation(start, "a.png", "1").concept == "dog" and conflicts(start) == []


@pytest.mark.parametrize(("side", "expected"), [("ours", "dog"), ("theirs", "bird")])
def test_a_side_may_be_preferred(start: Dataset, merge: Merge, side: str, expected: str) -> None:
    made = merge(change("a.png", "1", concept="dog"), change("a.png", "1", concept="bird"), prefer=side)
    assert annotation(start, "a.png", "1").concept == expected and made.conflicts == 0


def test_groups_gain_parts_of_either_side(start: Dataset, merge: Merge) -> None:
    polygons = ((0.0, 0.0, 1.0, 0.0, 1.0, 1.0),)
    merge(
        change("a.png", "1", shape=Shape(box=BOX, area=12)),
        change("a.png", "1", shape=Shape(box=BOX, polygons=polygons)),
    )
    assert annotation(start, "a.png", "1").shape == Shape(box=BOX, area=12, polygons=polygons)


def test_groups_whose_parts_disagree_clash_whole(start: Dataset, merge: Merge) -> None:
    """A box is not taken from one side and its area from the other."""
    merge(change("a.png", "1", shape=Shape(box=MOVED, area=12)), change("a.png", "1", shape=Shape(box=BOX, area=11)))
    ((_, field, values),) = conflicts(start)
    assert field == "shape" and set(values) == {Shape(box=MOVED, area=12), Shape(box=BOX, area=11)}


def test_shapes_of_different_units_never_join(start: Dataset, merge: Merge) -> None:
    """What one side meant as pixels does not come to be shares of the picture."""
    merge(
        change("a.png", "1", shape=Shape(box=BOX, unit="relative")), change("a.png", "1", shape=Shape(box=BOX, area=12))
    )
    ((_, field, values),) = conflicts(start)
    assert field == "shape" and {shape.unit for shape in values} == {"pixel", "relative"}


def test_numbers_never_clash_and_never_count(start: Dataset, merge: Merge) -> None:
    made = merge(change("a.png", "1", number=7), both(change("a.png", "1", number=5), change("b.png", "1", number=5)))
    assert annotation(start, "a.png", "1").number == 5 and annotation(start, "b.png", "1").number == 5
    assert conflicts(start) == [] and not made.report.annotations


def test_a_number_does_not_hold_against_a_deletion(start: Dataset, merge: Merge) -> None:
    merge(remove("a.png", "1"), change("a.png", "1", number=5))
    assert names(start)[0] == "a.png 2" and conflicts(start) == []


def test_of_two_spellings_the_smaller_holds(start: Dataset, merge: Merge) -> None:
    cow = Concept(id="cow", name="Cow")
    merge(
        lambda draft: put_records(draft, [cow]),
        lambda draft: put_records(draft, [msgspec.structs.replace(cow, name="COW", supercategory="animal")]),
    )
    assert start.draft().snapshot.concept("cow") == Concept(id="cow", name="COW", supercategory="animal")


def test_what_a_file_did_not_have_is_what_neither_had(start: Dataset, merge: Merge) -> None:
    merge(
        change_input("a.png", extras={"coco:absent": ["file_name", "height"]}),
        change_input("a.png", extras={"coco:absent": ["height", "width"], "coco": {"x:absent": [1]}}),
    )
    found = start.draft().snapshot.input("a.png")
    assert found is not None and found.extras == {"coco:absent": ["height"], "coco": {"x:absent": [1]}}


def test_a_field_that_is_called_like_that_is_none_of_those(start: Dataset, merge: Merge) -> None:
    merge(
        change_input("a.png", extras={"coco": {"x:absent": [1]}}),
        change_input("a.png", extras={"coco": {"x:absent": [2]}}),
    )
    assert conflicts(start) == [("a.png", "extras.coco.x:absent", ((1,), (2,)))]


# ---- deletions


def test_deleted_against_unchanged_is_deleted(start: Dataset, merge: Merge) -> None:
    made = merge(change("b.png", "1", concept="dog"), both(remove("a.png"), remove("b.png", "2")))
    assert names(start) == ["b.png 1"] and conflicts(start) == []
    assert (made.report.inputs.removed, made.report.annotations.removed) == (1, 3)


@pytest.mark.parametrize("is_ours", [True, False])
def test_deleted_against_changed_asks_whether_it_exists(start: Dataset, merge: Merge, is_ours: bool) -> None:
    acts = remove("a.png", "1"), change("a.png", "1", concept="dog")
    made = merge(*(acts if is_ours else acts[::-1]))
    assert conflicts(start) == [("a.png#1", "exists", ("no", "yes"))]
    assert annotation(start, "a.png", "1").concept == "dog" and made.conflicts == 1
    start.resolve("a.png#1", "exists", take=1)
    assert names(start)[0] == "a.png 2"


@pytest.mark.parametrize(("side", "left"), [("ours", "a.png 2"), ("theirs", "a.png 1 2")])
def test_a_preferred_side_decides_whether_it_exists(start: Dataset, merge: Merge, side: str, left: str) -> None:
    made = merge(remove("a.png", "1"), change("a.png", "1", concept="dog"), prefer=side)
    assert names(start)[0] == left and made.conflicts == 0


@pytest.mark.parametrize("is_ours", [True, False])
def test_an_input_that_was_deleted_and_labelled_comes_back_whole(start: Dataset, merge: Merge, is_ours: bool) -> None:
    label = Annotation(key="a.png", id="3", concept="cat")
    acts: list[Act] = [remove("a.png"), lambda draft: draft.annotate(label)]
    made = merge(*(acts if is_ours else acts[::-1]))
    assert names(start)[0] == "a.png 1 2 3" and conflicts(start) == []
    assert made.report.inputs.restored == 1 and made.report.annotations.restored == 2
    assert start.draft().snapshot.input("a.png") == Input(key="a.png", media=Media(type="image/png"))


def test_what_the_other_side_took_away_itself_does_not_come_back(start: Dataset, merge: Merge) -> None:
    label = Annotation(key="a.png", id="3", concept="cat")
    merge(remove("a.png"), both(remove("a.png", "2"), lambda draft: draft.annotate(label)))
    assert names(start)[0] == "a.png 1 3"


def test_an_input_that_was_deleted_and_changed_is_one_question(start: Dataset, merge: Merge) -> None:
    """Its annotations stay with it, and none of them is a question of its own."""
    made = merge(remove("a.png"), both(change_input("a.png", split="val"), change("a.png", "1", concept="dog")))
    assert names(start)[0] == "a.png 1 2" and conflicts(start) == [("a.png", "exists", ("no", "yes"))]
    assert (made.report.inputs.conflicts, made.report.annotations.restored) == (1, 2)
    assert made.report.annotations.conflicts == 0
    start.resolve("a.png", "exists", take=1)
    assert names(start) == ["b.png 1 2"]


def test_a_changed_annotation_of_a_deleted_input_brings_it_back(start: Dataset, merge: Merge) -> None:
    made = merge(remove("a.png"), change("a.png", "1", concept="dog"))
    assert names(start)[0] == "a.png 1 2" and conflicts(start) == [("a.png#1", "exists", ("no", "yes"))]
    assert (made.report.inputs.restored, made.report.annotations.restored) == (1, 1)


# ---- what is named stays


@pytest.mark.parametrize("is_ours", [True, False])
def test_a_concept_that_was_deleted_and_used_comes_back(start: Dataset, merge: Merge, is_ours: bool) -> None:
    acts = [delete_concept("cow"), change("a.png", "1", concept="cow")]
    made = merge(*(acts if is_ours else acts[::-1]))
    assert start.draft().snapshot.concept("cow") == Concept(id="cow", name="cow")
    assert made.report.concepts.restored == 1 and conflicts(start) == []


def test_a_concept_that_is_a_candidate_comes_back(start: Dataset, merge: Merge) -> None:
    merge(both(delete_concept("cow"), change("a.png", "1", concept="dog")), change("a.png", "1", concept="cow"))
    assert conflicts(start) == [("a.png#1", "concept", ("cow", "dog"))]
    assert start.draft().snapshot.concept("cow") is not None


def test_a_concept_of_a_list_comes_back(start: Dataset, merge: Merge) -> None:
    """LVIS's lists of concepts name them, too; in conflict as well."""
    listed = {"coco": {"neg_category_ids": ["cow"]}}
    merge(delete_concept("cow"), change_input("a.png", extras=listed))
    assert start.draft().snapshot.concept("cow") is not None


def test_a_concept_of_a_list_in_conflict_comes_back(start: Dataset, merge: Merge) -> None:
    ours, theirs = ({"coco": {"neg_category_ids": [name]}} for name in ("dog", "cow"))
    merge(both(delete_concept("cow"), change_input("a.png", extras=ours)), change_input("a.png", extras=theirs))
    assert conflicts(start) == [("a.png", "extras.coco.neg_category_ids", (("cow",), ("dog",)))]
    assert start.draft().snapshot.concept("cow") is not None


def test_a_concept_that_nothing_names_goes(start: Dataset, merge: Merge) -> None:
    made = merge(change("a.png", "1", concept="dog"), delete_concept("cow"))
    assert start.draft().snapshot.concept("cow") is None and made.report.concepts.removed == 1


def test_a_concept_that_was_deleted_and_changed_is_a_question(start: Dataset, merge: Merge) -> None:
    merge(delete_concept("cow"), lambda draft: put_records(draft, [Concept(id="cow", name="cow", supercategory="x")]))
    assert conflicts(start) == [("cow", "exists", ("no", "yes"))]
    record = start.draft().snapshot.concept("cow")
    assert record is not None and [clash.values for clash in clashes_of(record)] == [("no", "yes")]


def test_an_annotation_and_its_concept_that_were_deleted_come_back_together(start: Dataset, merge: Merge) -> None:
    """The other side goes on with the input: its annotation, and the concept that only this one names, are there."""
    label = Annotation(key="a.png", id="3", concept="bird")
    merge(both(remove("a.png"), delete_concept("cat")), lambda draft: draft.annotate(label))
    assert names(start) == ["a.png 1 2 3", "b.png 2"]
    assert [concept.id for concept in start.draft().concepts()] == ["bird", "cat", "cow", "dog"]


def test_a_concept_that_a_list_names_cannot_be_settled_away(start: Dataset, merge: Merge) -> None:
    changed = [Concept(id="cow", name="cow", supercategory="x")]
    listed = {"coco": {"neg_category_ids": ["cow"]}}
    merge(
        delete_concept("cow"),
        both(lambda draft: put_records(draft, changed), change_input("a.png", extras=listed)),
    )
    with pytest.raises(RefusedError, match=r"'cow' is used by a\.png, and cannot go"):
        start.resolve("cow", concept=True, take=1)


def test_a_concept_goes_with_what_named_it_when_all_is_settled(start: Dataset, merge: Merge) -> None:
    """The annotation that might have named it is settled otherwise in the same step."""
    changed = [Concept(id="cow", name="cow", supercategory="x")]
    merge(
        both(delete_concept("cow"), change("a.png", "1", concept="dog")),
        both(lambda draft: put_records(draft, changed), change("a.png", "1", concept="cow")),
    )
    with pytest.raises(RefusedError, match=r"'cow' is used by a\.png#1"):
        start.resolve("cow", concept=True, take=1)
    start.resolve(revision="pets:main~1")
    assert start.draft().snapshot.concept("cow") is None and annotation(start, "a.png", "1").concept == "dog"
