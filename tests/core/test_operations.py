"""Undo, redo and the operation log."""

import pytest

import dsvc
from dsvc.core.dataset import Dataset
from dsvc.core.operations import operations, redo, restore, undo
from dsvc.core.repository import Repository
from dsvc.errors import NotFoundError, RefusedError, UsageError


def commands(repo: Repository) -> list[str]:
    return [logged.operation.command for logged in operations(repo)]


@pytest.fixture
def three(repo: Repository) -> Repository:
    """Three datasets, made one after the other."""
    for name in ("a", "b", "c"):
        repo.create(name)
    return repo


def names(repo: Repository) -> list[str]:
    return [d.name for d in repo.datasets()]


def test_undo_goes_back_step_by_step_and_redo_comes_again(three: Repository) -> None:
    assert undo(three).operation.command == "create c"
    assert undo(three).operation.command == "create b"
    assert names(three) == ["a"]
    redo(three)
    assert names(three) == ["a", "b"]
    redo(three)
    assert names(three) == ["a", "b", "c"]
    with pytest.raises(RefusedError, match="nothing to redo"):
        redo(three)
    assert undo(three).operation.command == "create c"


def test_something_new_ends_redo(three: Repository) -> None:
    undo(three)
    three.create("d")
    with pytest.raises(RefusedError, match="nothing to redo"):
        redo(three)
    assert undo(three).operation.command == "create d"
    assert undo(three).operation.command == "create b"


def test_undo_stops_at_the_beginning(repo: Repository) -> None:
    with pytest.raises(RefusedError, match="nothing to undo"):
        undo(repo)


def test_any_operation_can_be_undone_by_its_id(three: Repository) -> None:
    second = next(o for o in operations(three) if o.operation.command == "create b")
    undo(three, second.id.hex()[:8])
    assert names(three) == ["a", "c"]
    with pytest.raises(NotFoundError):
        undo(three, "0" * 20)
    with pytest.raises(UsageError):
        undo(three, "ab")


def test_what_moved_since_is_named(three: Repository) -> None:
    second = next(o for o in operations(three) if o.operation.command == "create b")
    three.describe("b", "changed")
    with pytest.raises(RefusedError, match="dataset b moved since"):
        undo(three, second.id.hex())
    assert names(three) == ["a", "b", "c"]


def test_undo_takes_back_what_this_workspace_did(three: Repository) -> None:
    assert three.root is not None
    other = dsvc.open(three.root)
    other.workspace._id = "1" * 16
    other.create("d")
    assert undo(three).operation.command == "create c"
    assert names(three) == ["a", "b", "d"]
    assert undo(other).operation.command == "create d"


def test_restore_sets_everything_and_can_be_undone(three: Repository) -> None:
    first = next(o for o in operations(three) if o.operation.command == "create a")
    restore(three, first.id.hex())
    assert names(three) == ["a"]
    undo(three)
    assert names(three) == ["a", "b", "c"]


def test_a_change_of_nothing_is_no_operation(three: Repository) -> None:
    before = commands(three)
    three.describe("a", "")
    three.dataset("a").discard()
    assert commands(three) == before


def test_every_step_of_a_dataset_can_be_undone(pets: Dataset, tmp_path: object) -> None:
    repo = pets.repository
    assert repo.root is not None
    views = [repo.view.tree.root]
    (repo.root / "a.txt").write_text("a")
    pets.add(repo.root / "a.txt")
    views.append(repo.view.tree.root)
    pets.annotate("a.txt", "cat")
    views.append(repo.view.tree.root)
    pets.commit("one")
    views.append(repo.view.tree.root)
    pets.create_version("v1")
    views.append(repo.view.tree.root)
    pets.remove("a.txt")
    for view in reversed(views):
        undo(repo)
        assert repo.view.tree.root == view
