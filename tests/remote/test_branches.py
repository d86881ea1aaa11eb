"""Branches that are pushed, fetched and pulled: where they stand, what is refused, what a pull merges."""

import shutil
from pathlib import Path

import pytest

from dsvc.core.dataset import Dataset
from dsvc.errors import NotFoundError, RefusedError, UsageError
from dsvc.model.view import BRANCH, DATASET, PIN, REMOTE, VERSION, DatasetRef
from dsvc.remote.fetching import fetch_commits
from dsvc.remote.pulling import pull_branch
from dsvc.remote.sending import push
from dsvc.remote.settings import Remote
from dsvc.remote.tracking import Seen, fetch

from .workspaces import clone, head, is_whole, opened, refs, say


@pytest.fixture
def theirs(ours: Dataset, origin: Remote, tmp_path: Path) -> tuple[Dataset, Remote]:
    """Somebody else's dataset, begun from what ours has pushed, and their remote."""
    push(ours.repository, origin, "pets", "main")
    repository, remote = clone(tmp_path / "theirs", tmp_path / "store")
    dataset = repository.create("pets")
    pull_branch(dataset, remote)
    return dataset, remote


def test_a_pull_begins_a_branch(ours: Dataset, theirs: tuple[Dataset, Remote]) -> None:
    dataset, remote = theirs
    assert head(dataset) == head(ours) and dataset.at("@v1").revision.commit == head(ours)
    again = pull_branch(dataset, remote)
    assert (again.merged.kind, again.fetched.commits, again.versions, again.kept) == ("up to date", 0, [], [])


def test_a_pull_merges_and_what_is_staged_is_laid_over_it(
    ours: Dataset, origin: Remote, theirs: tuple[Dataset, Remote]
) -> None:
    dataset, remote = theirs
    say(ours, "mine")
    ours.create_version("v2")
    push(ours.repository, origin, "pets", "main")
    say(dataset, "theirs", key="images/1.txt")
    dataset.annotate("images/2.txt", text="staged")
    with pytest.raises(RefusedError, match="pets:main has commits at origin that are not here; nothing was") as error:
        push(dataset.repository, remote, "pets", "main")
    assert error.value.hint == "take them in first: dsvc pull"
    pulled = pull_branch(dataset, remote)
    assert (pulled.merged.kind, pulled.merged.rebased, pulled.versions) == ("merged", True, [("pets", "v2")])
    assert pulled.fetched.changes[0] == Seen("origin/pets:main", "pets", dataset.at("v1").commit, head(ours))
    texts = {a.text for sample in dataset.draft() for a in sample.annotations}
    assert {"mine", "theirs", "staged"} <= texts
    sent = push(dataset.repository, remote, "pets", "main")
    assert sent.commits == 2 and sent.branches[0][1].before == head(ours)
    assert next(iter(dataset.log())).commit.message == "merge origin/pets:main"
    pull_branch(ours, origin)
    assert head(ours) == head(dataset) and is_whole(ours.repository) and is_whole(dataset.repository)


def test_a_push_of_what_is_behind_moves_nothing(ours: Dataset, origin: Remote, theirs: tuple[Dataset, Remote]) -> None:
    dataset, remote = theirs
    id = say(dataset, "theirs")
    push(dataset.repository, remote, "pets", "main")
    fetch(ours.repository, origin)
    sent = push(ours.repository, origin, "pets", "main")
    assert sent.branches == [("pets", ("main", id, "current", id))] and sent.objects == 0
    assert ours.at("origin/pets:main").commit == id


def test_fetch_notes_what_stands_where_and_moves_nothing_else(
    ours: Dataset, origin: Remote, theirs: tuple[Dataset, Remote], tmp_path: Path
) -> None:
    dataset, remote = theirs
    ours.create_branch("side")
    aside = say(ours.repository.dataset("pets", "side"), "aside")
    push(ours.repository, origin)
    before = [refs(dataset.repository, kind) for kind in (DATASET, BRANCH, VERSION, PIN)]
    fetched = fetch(dataset.repository, remote)
    assert fetched.changes == [Seen("origin/pets:side", "pets", None, aside)] and fetched.commits == 1
    assert [refs(dataset.repository, kind) for kind in (DATASET, BRANCH, VERSION, PIN)] == before
    assert refs(dataset.repository, REMOTE) == [
        ("origin", "pets", "branch", "main"),
        ("origin", "pets", "branch", "side"),
        ("origin", "pets", "version", "v1"),
    ]
    assert dataset.at("origin/pets:side").commit == aside == dataset.at(f"@{aside.hex()[:8]}").commit
    store = opened(tmp_path / "store")
    store.dataset("pets").delete_branch("side", force=True)
    assert fetch(dataset.repository, remote).changes == [Seen("origin/pets:side", "pets", aside, None)]
    with pytest.raises(NotFoundError, match="no origin/pets:side is known here"):
        dataset.at("origin/pets:side")
    dataset.repository.undo()
    assert dataset.at("origin/pets:side").commit == aside


def test_a_remote_without_the_branch(ours: Dataset, theirs: tuple[Dataset, Remote]) -> None:
    dataset, remote = theirs
    dataset.create_branch("mine")
    with pytest.raises(NotFoundError, match="origin has no branch 'mine' of pets") as error:
        pull_branch(dataset.repository.dataset("pets", "mine"), remote)
    assert error.value.hint == "bring it there: dsvc push origin"
    with pytest.raises(NotFoundError, match="has no branch 'nine'"):
        push(dataset.repository, remote, "pets", "nine")


def test_a_branch_and_a_version_of_one_name(ours: Dataset, origin: Remote, theirs: tuple[Dataset, Remote]) -> None:
    dataset, remote = theirs
    say(ours, "mine")
    ours.create_version("next")
    push(ours.repository, origin, "pets", "main")
    dataset.create_branch("next")
    with pytest.raises(RefusedError, match="'next' is a version of pets at origin, and a branch here; nothing was"):
        push(dataset.repository, remote, "pets", "next")
    pulled = pull_branch(dataset, remote)
    assert pulled.versions == [] and pulled.kept == [("pets", "next")]
    fetched = fetch_commits(dataset.repository, remote, {"pets": {head(ours)}})
    assert fetched.kept == [("pets", "next")] and refs(dataset.repository, VERSION) == [("pets", "v1")]
    ours.create_branch("other")
    push(ours.repository, origin, "pets", "other")
    say(dataset, "theirs")
    dataset.create_version("other")
    with pytest.raises(RefusedError, match="'other' is a branch of pets at origin, and a version here; nothing was"):
        push(dataset.repository, remote, "pets", "main")


def test_a_dataset_that_is_there_keeps_its_description(
    ours: Dataset, origin: Remote, theirs: tuple[Dataset, Remote], tmp_path: Path
) -> None:
    dataset, remote = theirs
    dataset.repository.describe("pets", "mine")
    push(dataset.repository, remote, "pets", "main")
    assert opened(tmp_path / "store").view.get(DATASET, "pets") == DatasetRef("cats and dogs")
    assert dataset.description == "mine"


@pytest.mark.parametrize("text", ["origin/", "/pets", "/", "origin/pets/x", "origin/HEAD", "pets/origin:main"])
def test_revisions_that_name_nothing_at_a_remote(text: str, theirs: tuple[Dataset, Remote]) -> None:
    with pytest.raises((NotFoundError, UsageError)):
        theirs[0].at(text)


def test_who_pushed_is_in_the_log_there_and_not_theirs_to_undo(
    ours: Dataset, origin: Remote, theirs: tuple[Dataset, Remote], tmp_path: Path
) -> None:
    store = opened(tmp_path / "store")
    operation = store.operation
    assert operation.author.name == "Ada" and operation.workspace == ours.repository.workspace.id
    assert operation.command == f"push from {operation.workspace}"
    with pytest.raises(RefusedError, match="nothing to undo"):
        store.undo()


def test_a_remote_that_goes_back_is_told(ours: Dataset, origin: Remote, tmp_path: Path) -> None:
    """An old head that is shown again is valid; who has seen a newer one is told."""
    push(ours.repository, origin)
    store, old = tmp_path / "store", tmp_path / "old"
    shutil.copytree(store, old)
    repository, remote = clone(tmp_path / "theirs", store)
    fetch(repository, remote)
    before = head(ours)
    after = say(ours, "more")
    push(ours.repository, origin)
    assert fetch(repository, remote).changes == [Seen("origin/pets:main", "pets", before, after)]
    shutil.rmtree(store)
    old.rename(store)
    assert fetch(repository, remote).changes == [Seen("origin/pets:main", "pets", after, before, went_back=True)]
