"""Merging lines: their bases, what is staged on them, and taking a merge back."""

from pathlib import Path

import pytest

import dsvc
from dsvc.core.dataset import Dataset
from dsvc.core.repository import Repository
from dsvc.errors import RefusedError
from dsvc.model.commit import Author, load_commit
from dsvc.model.records import Annotation, Media, Shape

BOX = Shape(box=(1, 2, 3, 4))


@pytest.fixture
def main(pets: Dataset) -> Dataset:
    """One input with a cat; committed, with a branch `side`."""
    with pets.edit() as draft:
        draft.put_media({"a.png": Media(type="image/png")})
        draft.annotate(Annotation(key="a.png", id="1", concept="cat", shape=BOX))
    pets.commit("start")
    pets.create_branch("side")
    return pets


@pytest.fixture
def side(main: Dataset) -> Dataset:
    return main.repository.dataset("pets", "side")


def call(dataset: Dataset, concept: str | None = None, text: str | None = None, commit: bool = True) -> None:
    """Say what the annotation shows."""
    fields = {"concept": concept} if concept is not None else {"text": text}
    with dataset.edit() as draft:
        draft.change_annotation("a.png", "1", fields)
    if commit:
        dataset.commit(str(fields))


def found(dataset: Dataset) -> tuple[str | None, str | None]:
    annotation = dataset.draft().snapshot.annotation("a.png", "1")
    assert annotation is not None
    return annotation.concept, annotation.text


def clashes(dataset: Dataset) -> list[tuple[str, tuple[object, ...]]]:
    return [(one.place.field, tuple(c.value for c in one.candidates)) for one in dataset.conflicts()]


# ---- bases


def test_two_who_merged_each_other_have_two_ancestors_in_common(main: Dataset, side: Dataset) -> None:
    """Criss-cross: with either of them alone as the base, one side's word would count as new."""
    call(main, "dog")
    call(side, text="hi")
    ours, theirs = main.head, side.head
    main.merge("pets:side")
    side.merge(f"pets@{ours.hex() if ours else ''}")
    assert main.head != side.head
    call(main, "bird")
    call(side, text="ho")
    assert main.head is not None and side.head is not None
    from dsvc.core.merging.graph import Graph

    assert Graph(main.repository.store).bases([main.head], [side.head]) == sorted({ours, theirs})
    main.merge("pets:side")
    assert found(main) == ("bird", "ho") and clashes(main) == []


def test_a_conflict_that_both_have_is_settled_by_who_settles_it(main: Dataset, side: Dataset) -> None:
    call(main, "dog")
    call(side, "bird")
    ours = main.head
    main.merge("pets:side")
    side.merge(f"pets@{ours.hex() if ours else ''}")
    assert main.at().snapshot.roots == side.at().snapshot.roots
    side.resolve("a.png#1", "concept", take=1)
    side.commit("settled")
    main.merge("pets:side")
    assert found(main) == ("dog", None) and clashes(main) == []


def test_what_both_settled_otherwise_is_a_conflict_again(main: Dataset, side: Dataset) -> None:
    call(main, "dog")
    call(side, "bird")
    main.merge("pets:side")
    side.merge("pets:main")
    for dataset, take in ((main, 1), (side, 2)):
        dataset.resolve("a.png#1", "concept", take=take)
        dataset.commit("settled")
    main.merge("pets:side")
    assert clashes(main) == [("concept", ("dog", "bird"))]


def test_without_a_base_all_is_united(repo: Repository, main: Dataset) -> None:
    other = repo.create("other")
    with other.edit() as draft:
        draft.put_media({"a.png": Media(type="image/png", width=5), "b.png": Media(type="image/png")})
        draft.annotate(Annotation(key="a.png", id="1", concept="dog", shape=BOX, text="hi"))
        draft.annotate(Annotation(key="a.png", id="2", concept="cat", shape=BOX))
    other.commit("start")
    made = main.merge("other")
    record = main.at().snapshot.input("a.png")
    assert record is not None and record.media == Media(
        type="image/png", width=5
    )  # the one with all parts of the other
    assert found(main) == (None, "hi") and clashes(main) == [("concept", ("cat", "dog"))]
    assert (made.report.inputs.added, made.report.annotations.added, made.report.concepts.added) == (1, 1, 1)
    assert {twin.decode() for twin in made.twins.annotations} == set()
    assert main.merge("other").kind == "up to date"


def test_twins_of_unrelated_datasets_are_told_and_folded(repo: Repository, main: Dataset) -> None:
    other = repo.create("other")
    with other.edit() as draft:
        draft.put_media({"a.png": Media(type="image/png")})
        draft.annotate(Annotation(key="a.png", id="x", concept="cat", shape=BOX, number=9))
    other.commit("start")
    assert main.merge("other", dry_run=True).twins.annotations == {b"a.png\0x": b"a.png\x001"}
    made = main.merge("other", dedupe=True)
    assert made.folded and [one.id for one in main.at().annotations("a.png")] == ["1"]


# ---- drafts


def test_what_is_staged_is_laid_over_a_merge(main: Dataset, side: Dataset) -> None:
    call(side, "dog")
    call(main, text="hi", commit=False)
    made = main.merge("pets:side")
    assert made.kind == "fast-forward" and made.rebased and made.draft_conflicts == 0
    assert found(main) == ("dog", "hi")
    assert main.at().snapshot.annotation("a.png", "1") != main.draft().snapshot.annotation("a.png", "1")
    main.commit("mine")
    assert found(main) == ("dog", "hi")


def test_what_is_staged_clashes_in_the_draft_alone(main: Dataset, side: Dataset) -> None:
    call(side, "dog")
    call(main, "bird", commit=False)
    made = main.merge("pets:side")
    assert (made.conflicts, made.draft_conflicts) == (0, 1)
    assert clashes(main) == [("concept", ("dog", "bird"))]
    main.resolve("a.png#1", "concept", take=2)
    main.commit("mine")
    assert found(main) == ("bird", None)


def test_a_merge_that_is_staged_is_committed_with_its_parent(main: Dataset, side: Dataset) -> None:
    call(side, "dog")
    call(main, text="hi")
    head, theirs = main.head, side.head
    assert main.merge("pets:side", commit=False).kind == "staged" and main.head == head
    made = main.commit("both")
    assert made.commit.parents == (head, theirs) and found(main) == ("dog", "hi")
    assert main.merge("pets:side").kind == "up to date"


def test_a_line_that_was_staged_may_be_staged_again_as_it_goes_on(main: Dataset, side: Dataset) -> None:
    """The draft has what it took before, so that this is no change of its own."""
    call(main, text="hi")
    call(side, "dog")
    main.merge("pets:side", commit=False)
    assert main.merge("pets:side", commit=False).kind == "up to date"
    call(side, "bird")
    main.merge("pets:side", commit=False)
    assert found(main) == ("bird", "hi") and clashes(main) == []


def test_a_staged_merge_is_laid_over_the_same_merge(main: Dataset, side: Dataset) -> None:
    """What others settled of it meanwhile is settled in the draft."""
    call(main, "dog")
    call(side, "bird")
    main.merge("pets:side", commit=False)
    assert clashes(main) == [("concept", ("dog", "bird"))]
    other = workspace(main, "1")
    other.merge("pets:side")
    other.resolve("a.png#1", "concept", take=2)
    other.commit("settled")
    main.merge("pets:side")  # nothing new in it, and the draft comes along at the next commit
    call(main, text="hi", commit=False)
    main.commit("mine")
    assert found(main) == ("bird", "hi") and clashes(main) == []


def workspace(dataset: Dataset, digit: str) -> Dataset:
    """The dataset as another workspace of the repository has it."""
    root = dataset.repository.root
    assert root is not None
    other = dsvc.open(root, author=Author("Bo"))
    other.workspace._id = digit * 16
    other.now = dataset.repository.now
    return other.dataset(dataset.name, dataset.branch)


def test_a_draft_of_another_workspace_is_rebased_when_it_is_committed(main: Dataset, side: Dataset) -> None:
    other = workspace(main, "1")
    call(other, text="hi", commit=False)
    call(main, "bird")
    call(side, "dog")
    main.merge("pets:side", prefer="theirs")
    assert found(other) == ("cat", "hi")  # as it was when it was staged
    other.commit("mine")
    assert found(other) == found(main) == ("dog", "hi")


def test_a_draft_that_lies_behind_its_branch_is_brought_up_before_a_merge_into_it(main: Dataset, side: Dataset) -> None:
    other = workspace(main, "1")
    call(other, text="hi", commit=False)
    call(main, "bird")
    call(side, text="ho")
    other.merge("pets:side", commit=False)
    other.commit("mine")
    assert found(other)[0] == "bird" and clashes(other) == [("text", ("hi", "ho"))]


# ---- back again


def test_a_merge_is_undone_and_redone(main: Dataset, side: Dataset) -> None:
    call(side, "dog")
    call(main, text="hi")
    call(main, text="staged", commit=False)
    head, draft = main.head, main.draft().snapshot.roots
    made = main.merge("pets:side")
    main.repository.undo()
    assert main.head == head and main.draft().snapshot.roots == draft
    main.repository.redo()
    assert main.head == made.commit and found(main) == ("dog", "staged")


def test_a_merge_is_undone_after_others_went_on_elsewhere(main: Dataset, side: Dataset) -> None:
    call(side, "dog")
    call(main, text="hi")
    head = main.head
    main.merge("pets:side")
    call(workspace(side, "1"), "bird")
    main.repository.undo()
    assert main.head == head and found(side) == ("bird", None)


def test_a_merge_that_others_built_on_is_not_undone(main: Dataset, side: Dataset) -> None:
    call(side, "dog")
    call(main, text="hi")
    made = main.merge("pets:side")
    call(workspace(main, "1"), "bird")
    with pytest.raises(RefusedError, match="moved since"):
        main.repository.undo()
    head = main.head
    assert head is not None and load_commit(main.repository.store, head).parents == (made.commit,)


def test_a_dry_run_merges_nothing(main: Dataset, side: Dataset, tmp_path: Path) -> None:
    call(side, "dog")
    call(main, "bird")
    head, operation = main.head, main.repository.store.head.operation
    made = main.merge("pets:side", dry_run=True)
    assert made.conflicts == 1 and main.head == head and main.repository.store.head.operation == operation
