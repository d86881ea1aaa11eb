"""Datasets, drafts, commits and versions, through the library."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import dsvc
from dsvc.core.dataset import Dataset
from dsvc.core.repository import Repository
from dsvc.errors import NotFoundError, NotRepositoryError, RefusedError, UsageError
from dsvc.model.commit import Author, Moment
from dsvc.model.records import Shape


@pytest.fixture
def labelled(pets: Dataset, coco: Callable[..., Any], write: Callable[..., Path]) -> Dataset:
    """Two inputs, two annotations, committed and tagged v1."""
    pets.import_(write(coco()))
    pets.commit("first")
    pets.create_version("v1", "the start")
    return pets


def verbs(changes: Any) -> list[str]:
    return [f"{change.verb} {change.noun} {change.name.split('#')[0]}" for change in changes]


# ---- repositories and datasets


def test_a_repository_opens_from_below(repo: Repository) -> None:
    assert repo.root is not None
    deep = repo.root / "a" / "b"
    deep.mkdir(parents=True)
    assert dsvc.open(deep).root == repo.root
    with pytest.raises(NotRepositoryError):
        dsvc.open(repo.root.parent)
    with pytest.raises(RefusedError, match="already"):
        dsvc.init(repo.root)


def test_datasets_are_made_listed_described_and_renamed(repo: Repository, labelled: Dataset) -> None:
    repo.create("birds")
    assert [d.name for d in repo.datasets()] == ["birds", "pets"]
    assert repo.dataset().name == "birds"
    repo.use("pets")
    assert repo.dataset().name == "pets" and repo.dataset().description == "cats and dogs"
    repo.describe("pets", "all pets")
    head = labelled.head
    labelled.annotate("a.jpg", "bird")
    repo.rename("pets", "animals")
    animals = repo.dataset()
    assert (animals.name, animals.description, animals.head) == ("animals", "all pets", head)
    assert [v.name for v in animals.versions()] == ["v1"] and animals.has_draft()
    with pytest.raises(NotFoundError, match="no dataset named 'pets'"):
        repo.dataset("pets")
    with pytest.raises(RefusedError, match="exists already"):
        repo.create("birds")


@pytest.mark.parametrize("name", ["", ".x", "a/b", "a b", "ä", "x" * 65, "-x", "auto-generated-1"])
def test_names_that_cannot_be(repo: Repository, name: str) -> None:
    with pytest.raises(UsageError):
        repo.create(name)


def test_a_deleted_dataset_comes_back_whole(repo: Repository, labelled: Dataset) -> None:
    from dsvc.core.operations import undo

    labelled.annotate("a.jpg", "bird")
    before = dict(repo.view.tree)
    repo.delete("pets")
    assert list(repo.datasets()) == []
    with pytest.raises(NotFoundError):
        labelled.status()
    undo(repo)
    assert dict(repo.view.tree) == before


# ---- drafts


def test_status_counts_what_is_staged(labelled: Dataset) -> None:
    assert labelled.status().is_clean and labelled.status().versions == ["v1"]
    labelled.annotate("a.jpg", "bird", shape=Shape(box=(0, 0, 1, 1)))
    labelled.remove("b.jpg")
    status = labelled.status()
    assert status.summary.annotations == {"added": 1, "removed": 1, "changed": 0}
    assert status.summary.inputs == {"added": 0, "removed": 1, "changed": 0}
    assert status.summary.concepts == {"added": 1, "removed": 0, "changed": 0}
    assert status.counts == {"concepts": 3, "inputs": 1, "annotations": 2}


def test_a_change_taken_back_leaves_no_draft(labelled: Dataset) -> None:
    made = labelled.annotate("a.jpg", "cat")
    assert labelled.has_draft()
    labelled.remove(f"a.jpg#{made.id}")
    assert not labelled.has_draft()


def test_discard_drops_all_or_some(labelled: Dataset) -> None:
    labelled.remove("b.jpg")
    labelled.annotate("a.jpg", "cat")
    labelled.discard("b.jpg")
    assert verbs(labelled.changes()) == ["added annotation a.jpg"]
    labelled.discard()
    assert not labelled.has_draft()
    with pytest.raises(NotFoundError):
        labelled.discard("none.jpg")


def test_an_edit_is_all_or_nothing(labelled: Dataset) -> None:
    operation = labelled.repository.store.head.operation
    with pytest.raises(NotFoundError, match=r"no input 'none\.jpg'"), labelled.edit() as draft:
        draft.remove_inputs(["a.jpg"])
        draft.remove_inputs(["none.jpg"])
    assert labelled.repository.store.head.operation == operation
    assert not labelled.has_draft()


def test_equal_annotations_are_told_apart_and_the_highest_goes_first(labelled: Dataset) -> None:
    ids = [labelled.annotate("a.jpg", "cat", shape=Shape(box=(9, 9, 1, 1))).id for _ in range(3)]
    assert ids == [ids[0], f"{ids[0]}-2", f"{ids[0]}-3"]
    labelled.remove(f"a.jpg#{ids[0]}")
    left = {a.id for a in labelled.draft().annotations("a.jpg")}
    assert ids[0] in left and ids[1] in left and ids[2] not in left


def test_an_edited_annotation_keeps_its_id(labelled: Dataset) -> None:
    (old,) = labelled.draft().annotations("a.jpg")
    with labelled.edit() as draft:
        draft.change_annotation("a.jpg", old.id, {"concept": "dog"})
    (new,) = labelled.draft().annotations("a.jpg")
    assert (new.id, new.concept, new.shape) == (old.id, "dog", old.shape)
    (change,) = labelled.changes()
    assert (change.verb, change.fields()) == ("changed", ["concept"])


def test_files_are_added_once(pets: Dataset, write: Callable[..., Path], tmp_path: Path) -> None:
    write(b"one", "data/x/1.txt")
    write(b"two", "data/2.txt")
    report = pets.add(tmp_path / "data", root=tmp_path / "data")
    assert (report.new, report.changed, report.unchanged) == (2, 0, 0)
    write(b"TWO", "data/2.txt")
    report = pets.add(tmp_path / "data", root=tmp_path / "data")
    assert (report.new, report.changed, report.unchanged) == (0, 1, 1)
    assert [s.key for s in pets.draft()] == ["2.txt", "x/1.txt"]
    assert pets.draft()["2.txt"].read_bytes() == b"TWO"
    assert pets.draft()["2.txt"].input.media.type == "text/plain"
    with pytest.raises(NotFoundError):
        pets.add(tmp_path / "none")


def test_one_edit_takes_in_files_annotations_and_more(
    pets: Dataset, coco: Callable[..., Any], write: Callable[..., Path], tmp_path: Path
) -> None:
    write(b"a", "images/a.jpg")
    path = write(coco())
    with pets.edit() as draft:
        draft.add(tmp_path / "images", root=tmp_path / "images")
        draft.import_(path)
        draft.remove_inputs(["b.jpg"])
    assert pets.draft().counts() == {"concepts": 2, "inputs": 1, "annotations": 1}
    assert pets.draft()["a.jpg"].read_bytes() == b"a"


def test_a_large_file_is_streamed(pets: Dataset, write: Callable[..., Path], tmp_path: Path) -> None:
    content = bytes(range(256)) * (70 << 10)
    write(content, "data/big.jpg")
    pets.add(tmp_path / "data", root=tmp_path / "data")
    pets.commit("big")
    assert pets.at()["big.jpg"].read_bytes() == content


# ---- commits


def test_commits_form_a_line(labelled: Dataset) -> None:
    labelled.annotate("a.jpg", "cat")
    second = labelled.commit("second")
    assert [logged.commit.message for logged in labelled.log()] == ["second", "first"]
    assert labelled.head == second.id
    with pytest.raises(RefusedError, match="nothing to commit"):
        labelled.commit("third")
    with pytest.raises(UsageError):
        labelled.commit("  ")


def test_a_commit_needs_an_author(tmp_path: Path) -> None:
    repo = dsvc.init(tmp_path / "p")
    dataset = repo.create("x")
    (tmp_path / "p/a.txt").write_text("a")
    dataset.add(tmp_path / "p/a.txt")
    with pytest.raises(RefusedError, match="no author") as error:
        dataset.commit("m")
    assert "DSVC_AUTHOR_NAME" in str(error.value.hint)
    made = dataset.commit("m", author=Author("Bo"), time=Moment(5, 60))
    assert (made.commit.author, made.commit.time) == (Author("Bo"), Moment(5, 60))


def test_settings_name_an_author(tmp_path: Path) -> None:
    dsvc.init(tmp_path)
    (tmp_path / "dsvc.toml").write_text('[author]\nname = "Team"\nemail = "t@example.org"\n')
    assert dsvc.open(tmp_path).author == Author("Team", "t@example.org")


def test_a_clock_that_ran_backwards_is_refused(labelled: Dataset) -> None:
    labelled.annotate("a.jpg", "cat")
    now = labelled.repository.now()
    labelled.repository.now = lambda: Moment(now.seconds - 100_000)
    with pytest.raises(RefusedError, match="clock"):
        labelled.commit("late")
    labelled.annotate("a.jpg", "cat")  # does not make the wrong clock the right one
    with pytest.raises(RefusedError, match="clock"):
        labelled.commit("late")
    assert labelled.has_draft()
    assert labelled.commit("late", time=Moment(now.seconds))


def test_the_same_facts_in_another_order_have_the_same_roots(
    repo: Repository, tmp_path: Path, coco: Callable[..., Any], write: Callable[..., Path]
) -> None:
    path = write(coco())
    write(b"a", "images/a.jpg")
    write(b"b", "images/b.jpg")
    one = repo.create("one")
    one.import_(path, images=tmp_path / "images")
    other = dsvc.init(tmp_path / "other", author=Author("Other")).create("two")
    other.add(tmp_path / "images/b.jpg", root=tmp_path / "images")
    other.import_(path)
    other.add(tmp_path / "images", root=tmp_path / "images")
    assert one.draft().snapshot.roots == other.draft().snapshot.roots


# ---- versions


def test_versions_are_bound_for_good(labelled: Dataset) -> None:
    labelled.create_version("v1")
    assert [v.name for v in labelled.versions()] == ["v1"]
    labelled.annotate("a.jpg", "cat")
    with pytest.raises(RefusedError, match="draft has changes") as error:
        labelled.create_version("v2")
    assert "--commit" in str(error.value.hint)
    labelled.commit("second")
    with pytest.raises(RefusedError, match="bound to another commit"):
        labelled.create_version("v1")
    assert labelled.create_version().revision.version == "v2"
    labelled.annotate("a.jpg", "cat")
    assert labelled.create_version(commit=True).revision.version == "v3"
    assert not labelled.has_draft()
    labelled.delete_version("v2")
    assert [v.name for v in labelled.versions()] == ["v1", "v3"]
    with pytest.raises(NotFoundError):
        labelled.version("v2")


def test_an_empty_dataset_has_nothing_to_tag(pets: Dataset) -> None:
    with pytest.raises(RefusedError, match="no commit yet"):
        pets.create_version("v1")


def test_a_version_is_read_like_a_sequence(labelled: Dataset) -> None:
    version = labelled.at("@v1")
    assert len(version) == 2
    assert [s.key for s in version] == ["a.jpg", "b.jpg"]
    assert version[0].key == version["a.jpg"].key == version[-2].key == "a.jpg"
    assert version[1].annotations[0].concept == "dog"
    with pytest.raises(IndexError):
        version[2]
    with pytest.raises(NotFoundError):
        version["c.jpg"]
    with pytest.raises(NotFoundError):
        version[0].read_bytes()


def test_versions_are_compared(labelled: Dataset) -> None:
    labelled.remove("b.jpg")
    second = labelled.create_version("v2", commit=True)
    assert verbs(labelled.at("@v1").diff(second)) == ["removed input b.jpg", "removed annotation b.jpg"]
    assert verbs(labelled.diff("@v2", "@v1")) == ["added input b.jpg", "added annotation b.jpg"]
    assert verbs(labelled.diff("@v1")) == verbs(labelled.diff("@v1", "@v2"))


def test_records_that_come_out_cannot_be_changed(labelled: Dataset) -> None:
    sample = labelled.at()[0]
    with pytest.raises(AttributeError):
        sample.input.split = "train"
    with pytest.raises(AttributeError):
        sample.annotations[0].concept = "dog"


# ---- another writer


def test_a_draft_is_replayed_on_what_another_process_left(labelled: Dataset) -> None:
    assert labelled.repository.root is not None
    other = dsvc.open(labelled.repository.root, author=Author("Bo")).dataset("pets")
    with labelled.edit() as draft:
        draft.remove_inputs(["b.jpg"])
        other.annotate("a.jpg", "bird")
        other.commit("by another")
    assert verbs(labelled.changes()) == ["removed input b.jpg", "removed annotation b.jpg"]
    labelled.commit("by us")
    assert [logged.commit.message for logged in labelled.log()] == ["by us", "by another", "first"]
    assert labelled.at().counts() == {"concepts": 3, "inputs": 1, "annotations": 2}


def test_a_draft_of_another_workspace_is_rebased_at_commit(labelled: Dataset) -> None:
    root = labelled.repository.root
    assert root is not None
    labelled.annotate("a.jpg", "bird")
    other = dsvc.open(root, author=Author("Bo"))
    other.workspace._id = "1" * 16
    other.now = labelled.repository.now
    theirs = other.dataset("pets")
    assert not theirs.has_draft()
    theirs.remove("b.jpg")
    theirs.commit("by another")
    labelled.commit("by us")
    assert [logged.commit.message for logged in labelled.log()] == ["by us", "by another", "first"]
    assert labelled.at().counts() == {"concepts": 3, "inputs": 1, "annotations": 2}


def test_a_draft_that_clashes_with_a_commit_is_rebased_with_a_conflict(labelled: Dataset) -> None:
    root = labelled.repository.root
    assert root is not None
    (old,) = labelled.draft().annotations("a.jpg")
    other = dsvc.open(root, author=Author("Bo"))
    other.workspace._id = "1" * 16
    other.now = labelled.repository.now
    for dataset, concept in ((labelled, "dog"), (other.dataset("pets"), "bird")):
        with dataset.edit() as draft:
            draft.change_annotation("a.jpg", old.id, {"concept": concept})
    other.dataset("pets").commit("by another")
    assert [change.name for change in labelled.diff()] == [f"a.jpg#{old.id}"]  # what is staged, no more
    labelled.commit("by us")
    (both,) = labelled.at().annotations("a.jpg")
    assert (both.id, both.concept, both.conflicts) == (old.id, None, {"c": ("dog", "bird")})
    assert labelled.at().snapshot.conflicts == 1


# ---- what cannot be meant


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"span": 3},
        {"span": (5, 2)},
        {"shape": Shape(box=(1, 2, 3))},
        {"shape": Shape(box=(1, 2, -3, 4))},
        {"shape": Shape(box=(1, 2, 3, float("nan")))},
        {"shape": Shape(polygons=((1, 2, 3, 4),))},
        {"shape": Shape(box=(1, 2, 3, 4), unit="percent")},
        {"shape": Shape(mask=dsvc.Mask(height=2, width=2, counts=(1, 2)))},
        {"text": 5},
        {"attributes": 3},
        {"keypoints": (1, 2)},
        {"point": (1, 2, 3)},
        {"crowd": 5},
        {"concept": "cat", "value": "x"},
        {"concept": "cat", "frame": "a"},
        {"concept": ""},
        {"concept": "cat", "attributes": {"a": float("inf")}},
    ],
)
def test_an_annotation_that_cannot_be_meant_is_refused(labelled: Dataset, fields: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"a\.jpg"):
        labelled.annotate(dsvc.Annotation(key="a.jpg", id="", **fields))
    assert not labelled.has_draft()


def test_an_edit_that_cannot_be_meant_is_refused(labelled: Dataset) -> None:
    (old,) = labelled.draft().annotations("a.jpg")
    with pytest.raises(UsageError), labelled.edit() as draft:
        draft.change_annotation("a.jpg", old.id, {"keypoints": (1, 2)})
    with pytest.raises(UsageError):
        labelled.annotate("a.jpg", "cat", nonsense=1)
    assert not labelled.has_draft()


def test_keys_are_asked_for_with_in(labelled: Dataset) -> None:
    assert "a.jpg" in labelled.at() and "none.jpg" not in labelled.at() and 3 not in labelled.at()


def test_a_wrong_key_leads_to_the_right_one(labelled: Dataset) -> None:
    with pytest.raises(NotFoundError) as error:
        labelled.annotate("images/a.jpg", "cat")
    assert error.value.hint == "did you mean a.jpg?"


def test_a_lost_head_is_not_made_anew(labelled: Dataset, write: Callable[..., Path], tmp_path: Path) -> None:
    root = labelled.repository.root
    assert root is not None
    write(random.Random(1).randbytes(20_000), "data/a.jpg")
    labelled.add(tmp_path / "data", root=tmp_path / "data")
    head = (root / ".dsvc/head").read_bytes()
    (root / ".dsvc/head").unlink()
    with pytest.raises(RefusedError, match="packs but no head"):
        dsvc.init(root)
    (root / ".dsvc/head").write_bytes(head)
    assert dsvc.open(root).dataset("pets").status().counts["inputs"] == 2


def test_a_first_import_is_counted_without_reading_it(
    pets: Dataset, coco: Callable[..., Any], write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from dsvc.core import compare

    pets.import_(write(coco()))
    monkeypatch.setattr(compare, "diff_trees", None)
    assert pets.status().summary.annotations == {"added": 2, "removed": 0, "changed": 0}


def test_undo_of_a_create_says_what_to_use(repo: Repository, labelled: Dataset) -> None:
    repo.create("second")
    repo.undo()
    with pytest.raises(NotFoundError, match="is no more") as error:
        repo.dataset()
    assert error.value.hint == "dsvc use pets"
    repo.redo()
    assert repo.dataset().name == "second" and not repo.check().damage


def test_head_names_no_version_and_no_dataset(repo: Repository, labelled: Dataset) -> None:
    for make in (repo.create, labelled.create_version):
        with pytest.raises(UsageError):
            make("HEAD")
