"""`dsvc push` of a dataset: what is left, forced and deleted, and clones of a part, as they are typed."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import SIGNED, Result
from .test_remote import without_ids

Run = Callable[..., Result]


@pytest.fixture
def shared(project: Path, dsvc: Run, tmp_path: Path) -> Path:
    """A remote that has the project's dataset with two branches."""
    dsvc("remote", "add", "origin", "../store")
    dsvc("branch", "side")
    dsvc("push")
    return tmp_path / "store"


@pytest.fixture
def colleague(shared: Path, dsvc: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone of it, which is the current folder."""
    dsvc("clone", shared, tmp_path / "other")
    monkeypatch.chdir(tmp_path / "other")
    return tmp_path / "other"


def change(dsvc: Run, text: str, branch: str = "main") -> None:
    """A commit on a branch."""
    dsvc("switch", branch)
    dsvc("annotate", "a.jpg", "--text", text)
    dsvc("commit", "-m", text, *SIGNED)
    dsvc("switch", "main")


def test_other_branches_are_left_and_named(
    colleague: Path, dsvc: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(dsvc, "theirs", "side")
    dsvc("push")
    monkeypatch.chdir(tmp_path / "project")
    change(dsvc, "mine", "side")
    pushed = dsvc("push")
    assert without_ids(pushed.out) == (
        "pets:main: stays at ID\n"
        "pets:side: left, it has commits at origin that are not here\n"
        "nothing to send to origin: ../store\n"
    )
    document = json.loads(dsvc("push", "--json").out)
    assert [(row["branch"], row["move"]) for row in document["branches"]] == [("main", "current"), ("side", "diverged")]
    change(dsvc, "more")
    assert without_ids(dsvc("push").out).splitlines()[:2] == [
        "pets:main: ID -> ID",
        "pets:side: left, it has commits at origin that are not here",
    ]


def test_a_branch_is_put_aside_by_who_has_seen_it(
    colleague: Path, dsvc: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(dsvc, "theirs")
    dsvc("push")
    monkeypatch.chdir(tmp_path / "project")
    change(dsvc, "mine")
    assert dsvc("push", code=3).err == (
        "error: pets:main has commits at origin that are not here; nothing was pushed\n"
        "hint: take them in first: dsvc pull\n"
    )
    assert dsvc("push", "--force-with-lease", code=3).err == (
        "error: pets:main has moved at origin since it was last seen; nothing was pushed\n"
        "hint: look at it first: dsvc fetch origin, then dsvc log origin/pets:main\n"
    )
    dsvc("fetch")
    forced = without_ids(dsvc("push", "--force-with-lease").out)
    assert forced.startswith("pets:main: ID -> ID, which does not go forward\npets:side: stays at ID\nsent 1 commit, ")


def test_deletions(colleague: Path, dsvc: Run) -> None:
    assert without_ids(dsvc("push", "--delete", "pets:side", "--dry-run").out) == (
        "would delete branch pets:side, which stood at ID at origin\n"
    )
    gone = dsvc("push", "--delete", "side", "--delete", "@v1")
    assert without_ids(gone.out) == (
        "deleted branch pets:side, which stood at ID at origin\ndeleted version pets@v1, which stood at ID at origin\n"
    )
    assert gone.err == ("note: the operation log at origin has it still: dsvc op log, then dsvc undo --op ID, there\n")
    assert dsvc("branch").out.count("\n") == 2, "here nothing went away"
    assert dsvc("push", "--delete", "pets:sied", code=4).err.startswith("error: origin has no pets:sied\nhint: ")
    assert dsvc("push", "--delete", "pets", "--all", code=2).err == (
        "error: --delete sends nothing\nhint: leave --all and --force-with-lease out\n"
    )
    document = json.loads(dsvc("push", "--delete", "pets", "--json").out)
    assert document["deleted"] == [{"kind": "dataset", "name": "pets", "commit": None}] and not document["dry_run"]
    assert dsvc("fetch").out.splitlines()[0] == "nothing new at origin: " + document["url"]


def test_a_clone_without_media_and_one_of_a_dataset(shared: Path, dsvc: Run, tmp_path: Path) -> None:
    dsvc("create", "zoo")
    dsvc("import", "pets.json")
    dsvc("commit", "-m", "Animals", *SIGNED)
    dsvc("push", "--all")
    made = dsvc("clone", shared, tmp_path / "lazy", "--no-media").out.splitlines()
    assert made[2:] == ["media stays there, and comes when it is read", "* pets", "  zoo", *made[-1:]]
    document = json.loads(dsvc("clone", shared, tmp_path / "part", "-d", "zoo", "--no-media", "--json").out)
    assert document["datasets"] == ["zoo"] and document["media"] is False and document["left_out"] == 0
    assert 'media = false\ndatasets = ["zoo"]' in (tmp_path / "part" / ".dsvc" / "workspace.toml").read_text()
    assert "nothing new at origin" in dsvc("-C", tmp_path / "part", "fetch").out
    checked = dsvc("-C", tmp_path / "lazy", "check", code=1).out
    assert "damage" not in checked
    assert dsvc("clone", shared, tmp_path / "none", "-d", "zo", code=4).err == (
        "error: origin has no dataset 'zo'\nhint: there is: zoo\n"
    )
    assert not (tmp_path / "none").exists()


def test_a_pull_from_a_remote_by_name(
    colleague: Path, dsvc: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(dsvc, "theirs")
    monkeypatch.chdir(tmp_path / "project")
    dsvc("remote", "add", "bo", colleague, "--local")
    pulled = without_ids(dsvc("pull", "bo").out)
    assert "went forward to bo/pets:main" in pulled and "theirs" in dsvc("log").out
    assert dsvc("pull", "ob", code=4).err.startswith("error: no remote named 'ob'\n")
