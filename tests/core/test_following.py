"""Following a lock: branches go where it says, what is staged with them, and nothing is left behind unseen."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import dsvc
from dsvc.core.dataset import Dataset
from dsvc.core.following import Followed, Target, follow
from dsvc.core.operations import undo
from dsvc.core.repository import Repository
from dsvc.model.commit import load_commit
from dsvc.model.records import Annotation
from dsvc.model.view import PIN
from dsvc.store.ids import ObjectId

UNKNOWN = ObjectId(b"?" * 32)


def commit(dataset: Dataset, *names: str) -> ObjectId:
    stage(dataset, *names)
    return dataset.commit(" ".join(names)).id


def stage(dataset: Dataset, *names: str) -> None:
    root = dataset.repository.root
    assert root is not None
    for name in names:
        (root / f"{name}.txt").write_text(name)
        dataset.add(root / f"{name}.txt")


def keys(dataset: Dataset) -> list[str]:
    return [record.key.removesuffix(".txt") for record in dataset.draft().inputs()]


def go(repository: Repository, id: ObjectId, *, kept: bool = True, branch: str = "main") -> Followed:
    (found,) = follow(repository, [Target("pets", branch, id)], lambda dataset, left: kept, "follow")
    return found


def pins(repository: Repository) -> list[str]:
    return [ref[2] for ref, _ in repository.view.list(PIN, "pets")]


@pytest.fixture
def line(pets: Dataset) -> list[ObjectId]:
    """Three commits, one after the other; the branch stands on the last."""
    return [commit(pets, name) for name in ("a", "b", "c")]


def test_a_branch_goes_back_where_its_commits_are_kept_and_forward_in_any_case(
    repo: Repository, pets: Dataset, line: list[ObjectId]
) -> None:
    back = go(repo, line[0])
    assert (back.what, back.before, pets.head, keys(pets)) == ("moved", line[2], line[0], ["a"])
    assert pins(repo) == [line[2].hex()]  # so that it stays, and is found by its id
    assert pets.at(f"@{line[2].hex()[:12]}").commit == line[2]
    forward = go(repo, line[1], kept=False)
    assert (forward.what, pets.head) == ("moved", line[1])


def test_no_branch_is_set_to_what_is_no_commit_of_a_dataset(
    repo: Repository, pets: Dataset, line: list[ObjectId], coco: Callable[..., Any], write: Callable[..., Path]
) -> None:
    snapshot = load_commit(repo.store, line[2]).snapshot
    assert go(repo, snapshot).what == "missing"
    pets.import_(write(coco()))
    (source,) = load_commit(repo.store, pets.commit("imported").id).sources.values()
    assert go(repo, source) == Followed(Target("pets", "main", source), "unfit", pets.head)


def test_what_nothing_else_keeps_is_left_alone_and_named(repo: Repository, pets: Dataset, line: list[ObjectId]) -> None:
    before = repo.view.get("branch", "pets", "main")
    found = go(repo, line[0], kept=False)
    assert (found.what, found.before) == ("left", line[2])
    assert repo.view.get("branch", "pets", "main") == before


@pytest.mark.parametrize("keeper", ["branch", "version"])
def test_another_branch_or_a_version_keeps_commits(
    repo: Repository, pets: Dataset, line: list[ObjectId], keeper: str
) -> None:
    if keeper == "branch":
        pets.create_branch("mine")
    else:
        pets.create_version("v1")
    assert go(repo, line[0], kept=False).what == "moved"


def test_where_it_is_already_nothing_happens(repo: Repository, pets: Dataset, line: list[ObjectId]) -> None:
    before = repo.store.head.operation
    assert go(repo, line[2]).what == "here"
    assert repo.store.head.operation == before


def test_a_commit_that_is_not_here_is_missing(repo: Repository, pets: Dataset, line: list[ObjectId]) -> None:
    assert go(repo, UNKNOWN).what == "missing"
    assert pets.head == line[2]


def test_staged_changes_are_laid_over_the_new_commit(repo: Repository, pets: Dataset, line: list[ObjectId]) -> None:
    stage(pets, "d")
    found = go(repo, line[0])
    assert (found.rebased, found.conflicts) == (True, 0)
    assert keys(pets) == ["a", "d"] and pets.has_draft()
    go(repo, line[2])
    assert keys(pets) == ["a", "b", "c", "d"]
    assert commit(pets, "e") and keys(pets) == ["a", "b", "c", "d", "e"]


def test_staged_changes_that_the_new_commit_has_are_none_any_more(
    repo: Repository, pets: Dataset, line: list[ObjectId]
) -> None:
    go(repo, line[1])
    stage(pets, "c")
    found = go(repo, line[2])
    assert found.rebased and not pets.has_draft()


def test_clashes_with_staged_changes_are_conflicts_in_the_draft(repo: Repository, pets: Dataset) -> None:
    commit(pets, "a")
    with pets.edit() as draft:
        draft.annotate(Annotation(key="a.txt", id="1", concept="cat"))
    first = pets.commit("a cat").id
    with pets.edit() as draft:
        draft.change_annotation("a.txt", "1", {"concept": "dog"})
    second = pets.commit("a dog").id
    go(repo, first)
    with pets.edit() as draft:
        draft.change_annotation("a.txt", "1", {"concept": "owl"})
    found = go(repo, second)
    assert (found.what, found.rebased, found.conflicts) == ("moved", True, 1)
    assert pets.count_conflicts() == 1


def test_it_is_one_operation_that_undo_takes_back(repo: Repository, pets: Dataset, line: list[ObjectId]) -> None:
    cars = repo.create("cars")
    first = commit(cars, "x")
    last = commit(cars, "y")
    targets = [Target("cars", "main", first), Target("pets", "main", line[0])]
    assert [one.what for one in follow(repo, targets, lambda *_: True, "follow")] == ["moved", "moved"]
    assert undo(repo).operation.command == "follow"
    assert (cars.head, pets.head) == (last, line[2])


def test_the_branch_becomes_the_current_one_and_an_absent_dataset_is_made(
    repo: Repository, pets: Dataset, line: list[ObjectId]
) -> None:
    found = follow(repo, [Target("new", "night", line[1])], lambda *_: False, "follow")
    assert [one.what for one in found] == ["made"]
    assert repo.root is not None
    again = dsvc.open(repo.root)
    assert (again.dataset("new").branch, again.dataset("new").head) == ("night", line[1])
    assert again.dataset().name == "pets"
    go(repo, line[2], branch="other")
    assert dsvc.open(repo.root).dataset("pets").branch == "other"
    go(repo, line[2], branch="main")
    assert dsvc.open(repo.root).dataset("pets").branch == "main"


def test_in_a_new_repository_a_dataset_is_selected(repo: Repository, pets: Dataset, line: list[ObjectId]) -> None:
    repo.delete("pets")
    follow(repo, [Target("b", "main", line[0]), Target("a", "main", line[0])], lambda *_: False, "follow")
    assert repo.dataset().name == "a"


def test_what_was_left_alone_does_not_become_current(repo: Repository, pets: Dataset, line: list[ObjectId]) -> None:
    pets.create_branch("other", f"@{line[0].hex()}")
    pets.switch("other")
    commit(pets, "mine")
    pets.switch("main")
    assert go(repo, line[1], kept=False, branch="other").what == "left"
    assert repo.dataset("pets").branch == "main"


def test_a_second_writer_is_followed_over(repo: Repository, pets: Dataset, line: list[ObjectId]) -> None:
    assert repo.root is not None
    go(repo, line[0])
    other = dsvc.open(repo.root, author=repo.author)
    asked: list[ObjectId] = []

    def is_kept(dataset: str, left: ObjectId) -> bool:
        if not asked:
            commit(other.dataset("pets"), "late")
        asked.append(left)
        return False

    go(repo, line[1])
    found = follow(repo, [Target("pets", "main", line[0])], is_kept, "follow")
    # What came meanwhile is no commit that may be left.
    assert (found[0].what, len(asked)) == ("left", 2)
    assert "late" in keys(pets)
