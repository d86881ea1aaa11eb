"""Edits of all that a filter is true of: one step, one operation, evaluated on the state that it changes."""

from pathlib import Path

import pytest

import dsvc
from dsvc.core.dataset import Dataset
from dsvc.core.filters import bulk, narrowing
from dsvc.core.filters.patch import Patch
from dsvc.errors import FilterError, RefusedError, UsageError
from dsvc.model.commit import Author
from dsvc.model.records import Annotation, Shape

NIGHT = Patch(fields={"concept": "night"})


@pytest.fixture
def labelled(pets: Dataset, tmp_path: Path) -> Dataset:
    """Ten inputs 0.txt to 9.txt, each with a box of its number, a cat where it is even, else a dog; committed."""
    folder = tmp_path / "data"
    folder.mkdir()
    for n in range(10):
        (folder / f"{n}.txt").write_text(str(n))
    pets.add(folder, root=folder)
    with pets.edit() as draft:
        for n in range(10):
            concept = "dog" if n % 2 else "cat"
            shape = Shape(box=(n, n, 10, 10), area=100)
            draft.annotate(Annotation(key=f"{n}.txt", id="", concept=concept, shape=shape, attributes={"n": n}))
    pets.commit("first")
    return pets


def operations(dataset: Dataset) -> str:
    return str(dataset.repository.operation.command)


def found(dataset: Dataset, key: str) -> list[Annotation]:
    return list(dataset.draft().annotations(key))


# ---- taking away


def test_inputs_go_with_their_annotations(labelled: Dataset) -> None:
    outcome = labelled.remove_matching("inputs", "concept = 'cat' and x > 2")
    assert outcome == (("4.txt", "6.txt", "8.txt"), 3, 3)
    assert labelled.draft().counts() == {"concepts": 2, "inputs": 7, "annotations": 7}
    assert operations(labelled) == "rm --inputs --where concept = 'cat' and x > 2"
    labelled.repository.undo()
    assert not labelled.has_draft()


@pytest.mark.parametrize("few", [1, 10_000])
def test_few_and_many_are_found_alike(labelled: Dataset, few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(narrowing, "_FEW", few)
    labelled.annotate("1.txt", "cat")
    assert labelled.remove_matching("inputs", "key <= '1.txt'").annotations == 3
    assert labelled.annotate_matching("annotations", "concept = 'cat'", Patch(fields={"text": "x"})).changed == 4
    assert labelled.draft().counts() == {"concepts": 2, "inputs": 8, "annotations": 8}
    assert [a.text for key in ("2.txt", "3.txt") for a in found(labelled, key)] == ["x", None]


def test_annotations_go_alone(labelled: Dataset) -> None:
    assert labelled.remove_matching("annotations", "area > 1024") == ((), 0, 0)
    assert labelled.remove_matching("annotations", "key like '1%' or concept = 'cat'") == ((), 6, 6)
    assert labelled.draft().counts() == {"concepts": 2, "inputs": 10, "annotations": 4}


def test_nothing_that_matches_is_no_operation(labelled: Dataset) -> None:
    before = labelled.repository.store.head.operation
    assert labelled.remove_matching("inputs", "concept = 'cow'") == ((), 0, 0)
    assert labelled.annotate_matching("inputs", "concept = 'cow'", NIGHT) == ((), 0, 0)
    assert labelled.annotate_matching("annotations", "concept = 'cow'", NIGHT) == ((), 0, 0)
    assert labelled.annotate_matching("annotations", "concept = 'cat'", Patch(fields={"concept": "cat"}))[2] == 0
    assert labelled.repository.store.head.operation == before
    assert labelled.draft().counts()["concepts"] == 2


def test_a_dry_run_changes_nothing(labelled: Dataset) -> None:
    before = labelled.repository.store.head.operation
    assert labelled.remove_matching("inputs", "true", dry_run=True).annotations == 10
    assert labelled.annotate_matching("inputs", "true", NIGHT, dry_run=True).changed == 10
    assert labelled.repository.store.head.operation == before
    assert not labelled.has_draft()


def test_of_equal_copies_the_lowest_stay(labelled: Dataset) -> None:
    ids = [labelled.annotate("0.txt", "bird").id for _ in range(4)]
    other = labelled.annotate("0.txt", "bird", text="another").id
    assert labelled.remove_matching("annotations", f"id in ('{ids[0]}', '{ids[2]}')").annotations == 2
    left = {a.id for a in found(labelled, "0.txt") if a.concept == "bird"}
    assert left == {ids[0], ids[1], other}
    assert labelled.remove_matching("annotations", f"id like '{ids[0]}%'").annotations == 2
    assert labelled.remove_matching("annotations", "concept = 'bird'").annotations == 1


def test_an_id_with_a_dash_is_no_copy(labelled: Dataset) -> None:
    for id in ("a", "a-b", "a-2", "550e8400-e29b"):
        with labelled.edit() as draft:
            draft.annotate(Annotation(key="0.txt", id=id, concept="bird"))
    assert labelled.remove_matching("annotations", "id in ('a', 'a-b', '550e8400-e29b')").annotations == 3
    assert {a.id for a in found(labelled, "0.txt") if a.concept == "bird"} == {"a"}


# ---- adding and changing


def test_every_input_that_matches_gets_one(labelled: Dataset) -> None:
    one = labelled.annotate("3.txt", "night")
    patch = Patch(fields={"concept": "night", "text": None, "value": 0}, attributes={"by": "hand"})
    assert labelled.annotate_matching("inputs", "concept = 'dog' and x > 2", patch).inputs == (
        "3.txt",
        "5.txt",
        "7.txt",
        "9.txt",
    )
    assert labelled.draft().counts() == {"concepts": 3, "inputs": 10, "annotations": 15}
    again = labelled.annotate_matching("inputs", "key = '3.txt'", NIGHT)
    assert again.changed == 1
    ids = {a.id for a in found(labelled, "3.txt") if a.concept == "night" and a.value is None}
    assert ids == {one.id, f"{one.id}-2"}


def test_ids_are_those_of_one_at_a_time(labelled: Dataset) -> None:
    labelled.annotate_matching("inputs", "key < '2'", Patch(fields={"concept": "cafe\u0301"}, box=(1, 2, 3.5, 4)))
    together = labelled.draft().snapshot.roots
    labelled.discard()
    for key in ("1.txt", "0.txt"):
        labelled.annotate(key, "café", shape=Shape(box=(1, 2, 3.5, 4)))
    assert labelled.draft().snapshot.roots == together


def test_changes_are_those_of_one_at_a_time(labelled: Dataset) -> None:
    patch = Patch(
        fields={"concept": "tiger", "time": (0, 1.5), "span": (1, 2), "frame": 3, "track": 10**30, "crowd": 0},
        attributes={"big": 10**30, "n": "new"},
        box=(1, 1, 2, 2),
    )
    assert labelled.annotate_matching("annotations", "concept = 'cat'", patch).changed == 5
    together = labelled.draft().snapshot.roots
    labelled.discard()
    with labelled.edit() as draft:
        for n in (0, 2, 4, 6, 8):
            (old,) = draft.snapshot.annotations(f"{n}.txt")
            draft.change_annotation(old.key, old.id, patch)
    assert labelled.draft().snapshot.roots == together
    (changed,) = found(labelled, "4.txt")
    assert changed.shape == Shape(box=(1, 1, 2, 2), area=4)
    assert changed.attributes == {"n": "new", "big": 10**30}
    assert labelled.annotate_matching("annotations", "concept = 'tiger'", patch) == ((), 5, 0)


def test_records_that_are_large_keep_the_rest(labelled: Dataset) -> None:
    polygon = tuple(float(n) + 0.5 for n in range(3000))
    made = labelled.annotate("0.txt", "cat", shape=Shape(polygons=(polygon,)))
    labelled.annotate_matching("annotations", "has_polygons", Patch(fields={"status": "done"}))
    changed = labelled.draft().snapshot.annotation("0.txt", made.id)
    assert changed is not None and changed.shape == made.shape and changed.status == "done"


def test_what_cannot_be_changed_is_named(labelled: Dataset) -> None:
    polygon = (0, 0, 1, 0, 1, 1)
    made = labelled.annotate("0.txt", "cat", shape=Shape(polygons=(polygon,)))
    with pytest.raises(RefusedError, match=rf"0\.txt#{made.id}: the shape keeps its polygons, in unit pixel"):
        labelled.annotate_matching("annotations", "has_polygons", Patch(box=(0, 0, 1, 1), unit="relative"))


@pytest.mark.parametrize(
    ("patch", "message"),
    [
        (Patch(), "says nothing"),
        (Patch(fields={"concept": ""}), "at least one character"),
        (Patch(fields={"frame": -1}), "a frame is counted from 0"),
        (Patch(fields={"time": (2, 1)}), "a time is begin and end"),
        (Patch(fields={"time": (-1, 1)}), "a time is begin and end"),
        (Patch(fields={"span": (2, 1)}), "a span is"),
        (Patch(fields={"color": "red"}), "color"),
        (Patch(box=(1, 2)), "a box is x, y, width, height"),
        (Patch(unit="relative"), "a unit is that of a box"),
    ],
)
def test_patches_that_no_annotation_can_have(labelled: Dataset, patch: Patch, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        labelled.annotate_matching("inputs", "false", patch)


def test_unknown_nouns_and_bad_filters(labelled: Dataset) -> None:
    with pytest.raises(UsageError, match="inputs or annotations"):
        labelled.remove_matching("concepts", "true")
    with pytest.raises(FilterError):
        labelled.remove_matching("inputs", "nope = 1")
    assert not labelled.has_draft()


# ---- another writer


def test_a_filter_is_evaluated_anew_on_what_another_writer_left(labelled: Dataset) -> None:
    assert labelled.repository.root is not None
    other = dsvc.open(labelled.repository.root, author=Author("Bo")).dataset("pets")
    with labelled.edit() as draft:
        applied = bulk.Applied(draft, bulk.removal("inputs", "concept = 'bird' or key = '0.txt'"))
        assert applied.outcome.inputs == ("0.txt",)
        other.annotate("7.txt", "bird")
    assert applied.outcome == (("0.txt", "7.txt"), 3, 3)
    assert "7.txt" not in labelled.draft()
