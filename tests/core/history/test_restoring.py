"""Bringing back what was: restore, revert."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dsvc.core.dataset import Dataset
from dsvc.core.repository import Repository
from dsvc.errors import NotFoundError, RefusedError, UsageError


@pytest.fixture
def labelled(pets: Dataset, coco: Callable[..., dict[str, Any]], write: Callable[..., Path]) -> Dataset:
    """a.jpg with a cat, b.jpg with a dog: version v1."""
    pets.import_(write(coco()))
    pets.commit("first")
    pets.create_version("v1")
    return pets


def concepts(dataset: Dataset, key: str) -> list[str | None]:
    return sorted(str(annotation.concept) for annotation in dataset.draft().annotations(key))


def change(dataset: Dataset, key: str, concept: str) -> None:
    (annotation,) = dataset.draft().annotations(key)
    with dataset.edit() as draft:
        draft.change_annotation(key, annotation.id, {"concept": concept})


# ---- restore


def test_an_input_comes_back_with_its_annotations_and_their_concepts(labelled: Dataset) -> None:
    labelled.delete_concept("cat", with_annotations=True)
    labelled.remove("a.jpg")
    labelled.annotate("b.jpg", "bird")
    labelled.commit("less")
    done = labelled.restore("v1", "a.jpg")
    assert done.summary.inputs["added"] == done.summary.annotations["added"] == done.summary.concepts["added"] == 1
    assert concepts(labelled, "a.jpg") == ["cat"] and concepts(labelled, "b.jpg") == ["bird", "dog"]
    before, after = labelled.at("v1"), labelled.draft()
    assert list(before.annotations("a.jpg")) == list(after.annotations("a.jpg"))
    assert before.snapshot.concept("cat") == after.snapshot.concept("cat")


def test_annotations_that_came_later_go(labelled: Dataset) -> None:
    labelled.annotate("a.jpg", "bird")
    change(labelled, "b.jpg", "cat")
    labelled.commit("more")
    labelled.restore("HEAD~1", "a.jpg", "b.jpg")
    assert concepts(labelled, "a.jpg") == ["cat"] and concepts(labelled, "b.jpg") == ["dog"]


def test_one_annotation_comes_back_with_its_input(labelled: Dataset) -> None:
    (annotation,) = labelled.draft().annotations("a.jpg")
    labelled.remove("a.jpg")
    labelled.commit("less")
    labelled.restore("v1", f"a.jpg#{annotation.id}")
    assert labelled.draft().snapshot.input("a.jpg") == labelled.at("v1").snapshot.input("a.jpg")
    assert list(labelled.draft().annotations("a.jpg")) == [annotation]


def test_everything_comes_back(labelled: Dataset) -> None:
    labelled.annotate("a.jpg", "bird")
    labelled.remove("b.jpg")
    labelled.commit("more and less")
    labelled.restore("v1")
    assert labelled.draft().snapshot.roots == labelled.at("v1").snapshot.roots
    assert labelled.commit("as it was").commit.snapshot == list(labelled.log())[-1].commit.snapshot


def test_restoring_everything_also_forgets_what_was_imported_since(
    labelled: Dataset, coco: Callable[..., dict[str, Any]], write: Callable[..., Path]
) -> None:
    images = [{"id": 7, "file_name": "c.jpg", "width": 10, "height": 10}]
    file = write(coco(images=images, annotations=[]), "more.json")
    labelled.import_(file)
    labelled.commit("more")
    labelled.restore("v1")
    assert labelled.draft().input("c.jpg") is None
    labelled.import_(file)
    assert labelled.draft().input("c.jpg") is not None, "the same file can be imported again"


def test_what_the_draft_has_already_is_nothing_to_restore(labelled: Dataset) -> None:
    before = labelled.repository.operation
    assert not labelled.restore("v1").summary and not labelled.restore("v1", "a.jpg").summary
    assert labelled.repository.operation == before and not labelled.has_draft()


def test_a_dry_run_tells_the_same_and_changes_nothing(labelled: Dataset) -> None:
    labelled.remove("a.jpg")
    labelled.commit("less")
    before = labelled.repository.operation
    told = labelled.restore("v1", "a.jpg", dry_run=True), labelled.revert("HEAD", dry_run=True)
    assert labelled.repository.operation == before and not labelled.has_draft()
    assert [told[1].summary] == [labelled.revert("HEAD").summary]
    labelled.discard()
    assert told[0] == labelled.restore("v1", "a.jpg")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("c.txt", "it is there now; to take it out: dsvc rm 'c.txt'"),
        ("c.txt#1", "add it first: dsvc add PATH; list: dsvc show --inputs"),
        ("a.jpg#1", "see: dsvc show v1 'a.jpg'"),
        ("A.jpg", "did you mean a.jpg, b.jpg?"),
    ],
)
def test_what_a_revision_does_not_have(labelled: Dataset, name: str, hint: str) -> None:
    root = labelled.repository.root
    assert root is not None
    (root / "c.txt").write_text("c")
    labelled.add(root / "c.txt")
    before = labelled.repository.operation
    with pytest.raises(NotFoundError, match="v1 has no") as error:
        labelled.restore("v1", "a.jpg", name)
    assert error.value.hint == hint and labelled.repository.operation == before


# ---- revert


def test_a_commit_is_taken_back_and_what_came_after_stays(labelled: Dataset) -> None:
    labelled.remove("a.jpg")
    gone = labelled.commit("less")
    labelled.annotate("b.jpg", "bird")
    labelled.commit("more")
    done = labelled.revert(gone.id.hex()[:12])
    assert (done.commit, done.conflicts) == (gone.id, 0)
    assert done.summary.inputs["added"] == 1 and done.summary.annotations["added"] == 1
    assert concepts(labelled, "a.jpg") == ["cat"] and concepts(labelled, "b.jpg") == ["bird", "dog"]
    labelled.commit("back")
    assert not labelled.revert(gone.id.hex()).summary


def test_twice_reverted_is_as_before(labelled: Dataset) -> None:
    labelled.remove("a.jpg")
    labelled.annotate("b.jpg", "bird")
    labelled.commit("less")
    roots = labelled.at().snapshot.roots
    labelled.revert("HEAD")
    labelled.commit("revert")
    assert labelled.draft().snapshot.roots == labelled.at("v1").snapshot.roots
    labelled.revert("HEAD")
    assert labelled.draft().snapshot.roots == roots


def test_what_was_changed_again_since_is_a_conflict(labelled: Dataset) -> None:
    change(labelled, "a.jpg", "dog")
    changed = labelled.commit("dog")
    change(labelled, "a.jpg", "bird")
    labelled.commit("bird")
    done = labelled.revert(changed.id.hex())
    assert done.conflicts == 1 and labelled.status().conflicts == 1


def test_the_first_commit_can_be_reverted_and_its_source_imported_again(labelled: Dataset, tmp_path: Path) -> None:
    labelled.revert("v1")
    assert labelled.draft().counts() == {"concepts": 0, "inputs": 0, "annotations": 0}
    labelled.commit("nothing")
    labelled.import_(tmp_path / "file.json")
    assert labelled.draft().snapshot.roots == labelled.at("v1").snapshot.roots


def test_of_a_merge_a_parent_has_to_be_said(repo: Repository, labelled: Dataset) -> None:
    labelled.switch("side", create=True)
    labelled.annotate("b.jpg", "bird")
    labelled.commit("bird")
    labelled.switch("main")
    labelled.annotate("a.jpg", "fox")
    ours = labelled.commit("fox")
    labelled.merge("side")
    assert concepts(labelled, "a.jpg") == ["cat", "fox"] and concepts(labelled, "b.jpg") == ["bird", "dog"]
    with pytest.raises(RefusedError, match="is a merge") as error:
        labelled.revert("HEAD")
    assert f"--parent N; 1 is {ours.id.short()}, 2 is " in str(error.value.hint)
    for number in (0, 3, -1):
        with pytest.raises(UsageError, match=f"has no parent {number}"):
            labelled.revert("HEAD", parent=number)
    labelled.revert("HEAD", parent=1)
    assert concepts(labelled, "a.jpg") == ["cat", "fox"] and concepts(labelled, "b.jpg") == ["dog"]
    labelled.discard()
    labelled.revert("HEAD", parent=2)
    assert concepts(labelled, "a.jpg") == ["cat"] and concepts(labelled, "b.jpg") == ["bird", "dog"]


def test_what_a_source_delivered_cannot_be_reverted(labelled: Dataset) -> None:
    (line,) = next(labelled.log()).commit.sources.values()
    with pytest.raises(RefusedError, match="what a source delivered"):
        labelled.revert(line.hex())
    labelled.restore(line.hex(), "a.jpg")  # but looked at and restored from


def test_a_version_that_is_looked_at_is_left_alone(repo: Repository, labelled: Dataset) -> None:
    dataset = repo.use("pets", version="v1")
    for action in (lambda: dataset.restore("v1"), lambda: dataset.revert("v1")):
        with pytest.raises(RefusedError, match="read-only"):
            action()


# ---- log and blame of a dataset


def test_the_log_has_all_lines(labelled: Dataset) -> None:
    labelled.switch("side", create=True)
    labelled.annotate("b.jpg", "bird")
    labelled.commit("bird")
    labelled.switch("main")
    labelled.annotate("a.jpg", "fox")
    labelled.commit("fox")
    labelled.merge("side", message="both")
    found = list(labelled.log())
    assert [logged.commit.message for logged in found] == ["both", "fox", "bird", "first"]
    assert [len(logged.parents) for logged in found] == [2, 1, 1, 0]
    assert labelled.change_of(found[0].id).annotations == {"added": 1, "removed": 0, "changed": 0}
    assert [logged.commit.message for logged in labelled.log(key="a.jpg")] == ["fox", "first"]
    assert [logged.commit.message for logged in labelled.log("side", key="b.jpg")] == ["bird", "first"]


def test_blame_of_an_import_an_edit_and_a_draft(labelled: Dataset) -> None:
    change(labelled, "a.jpg", "dog")
    labelled.commit("dog")
    made = labelled.annotate("a.jpg", "fox")
    (input, *others) = labelled.blame("a.jpg")
    assert input.brought is not None and (input.name, input.brought.source) == ("a.jpg", "file")
    found = {one.name.partition("#")[2]: one for one in others}
    staged = found.pop(made.id)
    assert (staged.brought, staged.changed) == (None, None)
    ((_, old),) = found.items()
    assert old.brought is not None and old.changed is not None
    assert (old.brought.commit.message, old.brought.source) == ("first", "file")
    assert (old.changed.commit.message, old.changed.source) == ("dog", None)
    assert [one.name for one in labelled.blame(f"a.jpg#{made.id}")] == [f"a.jpg#{made.id}"]


def test_blame_of_what_is_not_there(labelled: Dataset) -> None:
    labelled.remove("a.jpg")
    with pytest.raises(NotFoundError, match="is not in the dataset any more") as error:
        labelled.blame("a.jpg")
    assert error.value.hint == "its history: dsvc log --key 'a.jpg'"
    with pytest.raises(NotFoundError, match="no input 'nope'"):
        labelled.blame("nope")
