"""Branches, and what a workspace works on."""

import pytest

import dsvc
from dsvc.core.dataset import Dataset
from dsvc.core.operations import undo
from dsvc.core.repository import Repository
from dsvc.core.selection import parse_selection
from dsvc.errors import NotFoundError, RefusedError, UsageError


def commit(dataset: Dataset, name: str) -> str:
    root = dataset.repository.root
    assert root is not None
    (root / f"{name}.txt").write_text(name)
    dataset.add(root / f"{name}.txt")
    return dataset.commit(name).id.hex()


def keys(dataset: Dataset) -> list[str]:
    return [record.key for record in dataset.draft().inputs()]


@pytest.fixture
def first(pets: Dataset) -> str:
    return commit(pets, "first")


def again(repo: Repository) -> Repository:
    """The repository as the next process finds it."""
    assert repo.root is not None
    return dsvc.open(repo.root, author=repo.author)


# ---- making and going


def test_a_branch_begins_at_head_and_the_current_one_stays(repo: Repository, pets: Dataset, first: str) -> None:
    made = pets.create_branch("cleanup")
    assert (made.branch, made.head and made.head.hex()) == ("cleanup", first)
    assert [(b.name, b.is_current, b.commit and b.commit.message) for b in pets.branches()] == [
        ("cleanup", False, "first"),
        ("main", True, "first"),
    ]
    assert repo.dataset().branch == "main"


def test_a_branch_begins_at_a_revision(pets: Dataset, first: str) -> None:
    pets.create_version("v1")
    commit(pets, "second")
    heads = [pets.create_branch(f"b{n}", text).head for n, text in enumerate(("@v1", "HEAD~1", first[:8], "main"))]
    assert [head and head.hex() for head in heads[:3]] == [first] * 3 and heads[3] == pets.head


def test_switching_is_remembered_and_is_no_operation(repo: Repository, pets: Dataset, first: str) -> None:
    pets.create_branch("cleanup")
    before = repo.operation
    pets.switch("cleanup")
    second = commit(pets, "second")
    assert again(repo).dataset().branch == "cleanup" and keys(again(repo).dataset()) == ["first.txt", "second.txt"]
    pets.switch("main")
    assert keys(pets) == ["first.txt"] and pets.head is not None and pets.head.hex() == first
    assert repo.dataset("pets", "cleanup").head is not None and before != repo.operation
    assert str(pets.at("cleanup").commit) == second, "a bare word is a branch of the dataset"


def test_what_is_staged_stays_with_its_branch(pets: Dataset, first: str) -> None:
    pets.annotate("first.txt", "cat")
    done = pets.switch("cleanup", create=True)
    assert done.came_from == "main" and done.found is None
    assert done.left is not None and done.left.annotations["added"] == 1
    assert not pets.has_draft() and pets.draft().counts()["annotations"] == 0
    pets.annotate("first.txt", "dog")
    done = pets.switch("main")
    assert done.left is not None and done.found is not None
    assert [annotation.concept for annotation in pets.draft().annotations("first.txt")] == ["cat"]
    assert pets.switch("main").came_from is None


def test_a_dataset_without_commits_can_branch(pets: Dataset) -> None:
    pets.switch("cleanup", create=True)
    commit(pets, "first")
    assert [(b.name, b.id is None) for b in pets.branches()] == [("cleanup", False), ("main", True)]


@pytest.mark.parametrize("name", ["", "a b", "HEAD", "auto-generated-1", "-x", "a:b"])
def test_names_that_cannot_be(pets: Dataset, name: str) -> None:
    with pytest.raises(UsageError):
        pets.create_branch(name)


def test_branches_and_versions_share_their_names(pets: Dataset, first: str) -> None:
    pets.create_branch("v1")
    assert pets.create_version().revision.version == "v2", "names that are made up pass over branches"
    with pytest.raises(RefusedError, match="'v1' is a branch"):
        pets.create_version("v1")
    with pytest.raises(RefusedError, match="'v2' is a version"):
        pets.create_branch("v2")
    with pytest.raises(RefusedError, match="a branch 'v1' already"):
        pets.switch("v1", create=True)
    assert pets.branch == "main"


def test_no_branch_on_what_a_source_delivered(pets: Dataset, coco, write) -> None:
    pets.import_(write(coco()))
    logged = pets.commit("import")
    (line,) = logged.commit.sources.values()
    with pytest.raises(RefusedError, match="what a source delivered"):
        pets.create_branch("x", line.hex())


def test_a_branch_that_is_not_there_is_named_with_those_like_it(pets: Dataset, first: str) -> None:
    pets.create_branch("cleanup")
    with pytest.raises(NotFoundError) as error:
        pets.switch("clenup")
    assert "did you mean cleanup?" in str(error.value.hint)
    pets.create_version("v1")
    with pytest.raises(NotFoundError) as error:
        pets.switch("v1")
    assert "dsvc use pets@v1" in str(error.value.hint)


# ---- deleting


def test_a_deleted_branch_comes_back(repo: Repository, pets: Dataset, first: str) -> None:
    pets.create_branch("cleanup")
    assert pets.delete_branch("cleanup", dry_run=True) == pets.head and len(pets.branches()) == 2
    assert pets.delete_branch("cleanup") == pets.head
    assert [b.name for b in pets.branches()] == ["main"]
    undo(repo)
    assert [b.name for b in pets.branches()] == ["cleanup", "main"]


def test_what_is_refused_to_be_deleted(repo: Repository, pets: Dataset, first: str) -> None:
    with pytest.raises(RefusedError, match="the current branch"):
        pets.delete_branch("main", force=True)
    with pytest.raises(NotFoundError, match="no branch 'nope'"):
        pets.delete_branch("nope")
    pets.switch("cleanup", create=True)
    commit(pets, "second")
    commit(pets, "third")
    pets.annotate("first.txt", "cat")
    pets.switch("main")
    for dry_run in (True, False):
        with pytest.raises(RefusedError, match="has staged changes"):
            pets.delete_branch("cleanup", dry_run=dry_run)
    pets.switch("cleanup")
    pets.discard()
    pets.switch("main")
    with pytest.raises(RefusedError, match="has 2 commits that no other branch or version reaches"):
        pets.delete_branch("cleanup")
    pets.create_version("kept", revision="cleanup~1")
    with pytest.raises(RefusedError, match="has a commit that"):
        pets.delete_branch("cleanup")
    pets.create_version("all", revision="cleanup")
    pets.delete_branch("cleanup")


def test_force_takes_what_is_staged_too_and_undo_brings_both_back(repo: Repository, pets: Dataset, first: str) -> None:
    pets.switch("cleanup", create=True)
    commit(pets, "second")
    pets.annotate("first.txt", "cat")
    pets.switch("main")
    before = dict(repo.view.tree)
    pets.delete_branch("cleanup", force=True)
    assert not [ref for ref, _ in repo.view.list("draft")]
    undo(repo)
    assert dict(repo.view.tree) == before


def test_undoing_a_branch_with_something_staged_on_it_is_refused(repo: Repository, pets: Dataset, first: str) -> None:
    pets.create_branch("cleanup")
    made = repo.store.head.operation.hex()
    pets.switch("cleanup")
    pets.annotate("first.txt", "cat")
    with pytest.raises(RefusedError, match="something is staged on that branch"):
        undo(repo, made)


def test_a_current_branch_that_is_no_more_is_said_so(repo: Repository, pets: Dataset, first: str) -> None:
    pets.switch("cleanup", create=True)
    undo(repo)
    for action in (pets.status, pets.draft, pets.at, lambda: pets.annotate("first.txt", "cat"), lambda: len(pets)):
        with pytest.raises(NotFoundError, match="no branch 'cleanup'"):
            action()
    assert pets.switch("main").left is None
    assert pets.status().branch == "main"


def test_a_branch_that_goes_away_under_an_edit(repo: Repository, pets: Dataset, first: str) -> None:
    pets.switch("cleanup", create=True)
    other = again(repo).dataset("pets", "main")
    with pytest.raises(NotFoundError, match="no branch 'cleanup'"), pets.edit() as draft:
        draft.remove_inputs(["first.txt"])
        other.delete_branch("cleanup")
    assert [ref for ref, _ in repo.view.list("draft")] == []
    with pytest.raises(NotFoundError, match="no branch 'cleanup'"):
        pets.commit("x", allow_empty=True)
    assert [b.name for b in pets.branches()] == ["main"]


def test_two_who_begin_the_same_branch(repo: Repository, pets: Dataset, first: str) -> None:
    other = again(repo).dataset("pets")
    pets.create_branch("cleanup")
    with pytest.raises(RefusedError, match="a branch 'cleanup' already"):
        other.switch("cleanup", create=True)
    assert other.branch == "main" and again(repo).dataset("pets").branch == "main"


# ---- a version that is looked at


def test_a_version_is_selected_read_only(repo: Repository, pets: Dataset, first: str) -> None:
    pets.create_version("v1")
    commit(pets, "second")
    pets.annotate("first.txt", "cat")
    repo.use("pets", version="v1")
    for dataset in (repo.dataset(), again(repo).dataset()):
        assert keys(dataset) == ["first.txt"] and str(dataset.at().commit) == first
        assert dataset.status().version == "v1" and dataset.status().is_clean and not dataset.has_draft()
        assert dataset.draft().counts()["annotations"] == 0
        assert [logged.commit.message for logged in dataset.log()] == ["first"]
    before = dict(repo.view.tree)
    dataset = repo.dataset()
    assert repo.root is not None
    for action in (
        lambda: dataset.annotate("first.txt", "dog"),
        lambda: dataset.commit("x"),
        lambda: dataset.add(repo.root),
        lambda: dataset.discard(),
    ):
        with pytest.raises(RefusedError, match="pets@v1 is a version, which is read-only") as error:
            action()
        assert error.value.hint == "go back to branch main: dsvc use pets; or begin one here: dsvc switch -c NAME"
    assert dict(repo.view.tree) == before
    repo.use("pets")
    assert repo.dataset().has_draft() and repo.dataset().pinned is None


def test_a_branch_begins_at_the_version_that_is_looked_at(repo: Repository, pets: Dataset, first: str) -> None:
    pets.create_version("v1")
    commit(pets, "second")
    dataset = repo.use("pets", version="v1")
    assert dataset.switch("fix", create=True).came_from == "v1"
    assert str(dataset.head) == first and again(repo).dataset().branch == "fix"


def test_a_version_tagged_while_one_is_looked_at_is_of_the_same_commit(
    repo: Repository, pets: Dataset, first: str
) -> None:
    pets.create_version("v1")
    commit(pets, "second")
    pets.annotate("first.txt", "cat")
    dataset = repo.use("pets", version="v1")
    assert str(dataset.create_version("same", commit=True).commit) == first


def test_a_selected_version_that_is_no_more_is_said_so(repo: Repository, pets: Dataset, first: str) -> None:
    pets.create_version("v1")
    dataset = repo.use("pets", version="v1")
    dataset.delete_version("v1")
    with pytest.raises(NotFoundError, match="no version 'v1'") as error:
        repo.dataset().status()
    assert error.value.hint == "go back to branch main: dsvc use pets"
    repo.use("pets")
    assert repo.dataset().status().version is None


def test_using_what_is_not_there_changes_nothing(repo: Repository, pets: Dataset, first: str) -> None:
    for selected in ({"branch": "nope"}, {"version": "v9"}):
        with pytest.raises(NotFoundError):
            repo.use("pets", **selected)
    with pytest.raises(NotFoundError):
        repo.use("nope")
    assert again(repo).dataset().branch == "main"


def test_each_dataset_has_its_branch(repo: Repository, pets: Dataset, first: str) -> None:
    pets.switch("cleanup", create=True)
    repo.create("birds")
    assert repo.dataset().branch == "main" and repo.dataset("pets").branch == "cleanup"
    assert repo.use("pets").branch == "cleanup"


def test_a_renamed_dataset_keeps_what_is_selected_of_it(repo: Repository, pets: Dataset, first: str) -> None:
    pets.switch("cleanup", create=True)
    repo.rename("pets", "cats")
    assert (again(repo).dataset().name, again(repo).dataset().branch) == ("cats", "cleanup")
    undo(repo)
    assert (again(repo).dataset().name, again(repo).dataset().branch) == ("pets", "cleanup")


def test_a_deleted_dataset_leaves_no_selection(repo: Repository, pets: Dataset, first: str) -> None:
    pets.switch("cleanup", create=True)
    pets.create_version("v1")
    repo.use("pets", version="v1")
    repo.delete("pets")
    repo.create("pets")
    dataset = again(repo).dataset()
    assert (dataset.branch, dataset.pinned) == ("main", None)


def test_a_selection_for_one_run(repo: Repository, pets: Dataset, first: str) -> None:
    pets.create_branch("cleanup")
    pets.create_version("v1")
    other = again(repo)
    other.workspace.select(*parse_selection("pets:cleanup"))
    assert (other.dataset().branch, other.dataset().pinned) == ("cleanup", None)
    other.workspace.select(*parse_selection("pets@v1"))
    assert other.dataset().pinned == "v1"
    assert again(repo).dataset().branch == "main" and again(repo).dataset().pinned is None


@pytest.mark.parametrize("text", ["", "pets:", "pets@", ":x", "@v1", "pets:a@b", "pets~1", "a:b:c"])
def test_what_names_no_dataset(text: str) -> None:
    with pytest.raises(UsageError):
        parse_selection(text)
