"""Clones: all that a remote has, in a new folder; or nothing."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import SIGNED, Result

Run = Callable[..., Result]


@pytest.fixture
def shared(project: Path, dsvc: Run, tmp_path: Path) -> Path:
    """A remote that has two datasets, one of them with two branches."""
    dsvc("remote", "add", "origin", "../shared")
    dsvc("switch", "-c", "side")
    dsvc("annotate", "a.jpg", "--concept", "cat")
    dsvc("commit", "-m", "Aside", *SIGNED)
    dsvc("create", "zoo", "-m", "All other animals")
    dsvc("push", "--all")
    return tmp_path / "shared"


def test_a_clone_has_all(shared: Path, dsvc: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    made = dsvc("clone", "../shared")
    first, second, *rest = made.out.splitlines()
    assert first == "made a repository in shared/.dsvc"
    assert second.startswith("received 3 commits, 13 objects, ") and second.endswith(f" from origin: {shared}")
    assert rest == ["* pets", "  zoo", "next: cd shared, and dsvc show"]
    monkeypatch.chdir(tmp_path / "work" / "shared")
    assert "First batch" in dsvc("log").out and "Aside" in dsvc("log", "side").out
    assert dsvc("branch").out.startswith("* main ")
    assert dsvc("version", "list").out.startswith("v1 ")
    assert [d["description"] for d in json.loads(dsvc("list", "--json").out)["datasets"]] == [
        "Cats and dogs",
        "All other animals",
    ]
    assert dsvc("fetch").out == f"nothing new at origin: {shared}\n"
    assert dsvc("push").out.endswith(f"origin has all of it: {shared}\n")
    assert not Path("dsvc.toml").exists()
    assert "odd" in dsvc("check", code=1).out and "damaged" not in dsvc("check", code=1).out


def test_a_clone_of_a_project_by_url_to_a_folder(shared: Path, dsvc: Run, tmp_path: Path) -> None:
    document = json.loads(dsvc("clone", (tmp_path / "project").as_uri(), tmp_path / "here" / "deep", "--json").out)
    assert document["datasets"] == ["pets", "zoo"] and document["dataset"] == "pets" and document["commits"] == 3
    assert document["folder"] == str(tmp_path / "here" / "deep") and document["url"].startswith("file:///")


def test_what_cannot_be_cloned_leaves_nothing(shared: Path, dsvc: Run, tmp_path: Path) -> None:
    target = tmp_path / "new" / "clone"
    assert dsvc("clone", tmp_path / "nowhere", target, code=6).err == (
        f"error: {tmp_path}/nowhere does not exist\nhint: is its disk mounted? or push there first: dsvc push\n"
    )
    assert dsvc("clone", "http://example.org/x", target, code=3).err == (
        "error: http://example.org/x is not encrypted: whoever is on the way could change what comes\n"
        "hint: use https, or where that is meant: allow_http = true below [web] in dsvc.toml\n"
    )
    assert dsvc("clone", "/", code=3).err.endswith("hint: say where to: dsvc clone URL FOLDER\n")
    assert dsvc("clone", "", code=2).err == "error: an empty text names no remote\nhint: dsvc clone PATH\n"
    for path in (shared / "packs").iterdir():
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert dsvc("clone", shared, target, code=6).err.startswith("error: remote origin: ")
    assert not (tmp_path / "new").exists()
    project = tmp_path / "project"
    assert dsvc("clone", shared, project, code=3).err == (
        f"error: {project} holds a repository already\nhint: clone to another folder: dsvc clone URL FOLDER\n"
    )


def test_a_clone_that_broke_off_goes_on(shared: Path, dsvc: Run, tmp_path: Path) -> None:
    target = tmp_path / "target"
    dsvc("init", target)
    assert "received 3 commits" in dsvc("clone", shared, target).out
    assert dsvc("clone", shared, target, code=3).err.startswith(f"error: {target} holds a repository already")


def test_an_empty_remote_is_cloned(dsvc: Run, tmp_path: Path) -> None:
    dsvc("init", tmp_path / "empty")
    assert dsvc("clone", tmp_path / "empty", tmp_path / "clone").out.splitlines()[1:] == [
        f"received 0 commits, 0 objects, 0 bytes from origin: {tmp_path}/empty",
        f"next: cd {tmp_path}/clone",
    ]


def test_without_a_lock_a_pull_takes_in_what_the_remote_has(
    shared: Path, dsvc: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dsvc("clone", shared, tmp_path / "bo")
    monkeypatch.chdir(tmp_path / "bo")
    dsvc("annotate", "b.jpg", "--concept", "dog")
    dsvc("commit", "-m", "Bo's", *SIGNED)
    dsvc("version", "create", "v2", *SIGNED)
    dsvc("push")
    assert dsvc("pull").out == "already up to date with origin/pets:main\n"
    head = json.loads(dsvc("branch", "--json").out)["branches"][0]["head"]
    monkeypatch.chdir(tmp_path / "project")
    dsvc("use", "pets:main")
    came, version, *rest = dsvc("pull").out.splitlines()
    assert came.startswith("received 1 commit, ") and came.endswith(" from origin: ../shared")
    assert version == "pets@v2: new"
    assert rest == [
        f"[pets main {head[:12]}] went forward to origin/pets:main",
        "  annotations  1 added",
        rest[-1],
    ]
    dsvc("annotate", "a.jpg", "--concept", "cat")
    dsvc("commit", "-m", "Ada's", *SIGNED)
    dsvc("push")
    monkeypatch.chdir(tmp_path / "bo")
    document = json.loads(dsvc("pull", "--json").out)
    after = json.loads(dsvc("branch", "--json").out)["branches"][0]["head"]
    row = {"dataset": "pets", "branch": "main", "commit": after, "before": head, "what": "moved"}
    assert document == {"made": False, "datasets": [row | {"rebased": False, "conflicts": 0}]}
    dsvc("switch", "-c", "mine")
    assert dsvc("pull", code=4).err == (
        "error: origin has no branch 'mine' of pets\nhint: bring it there: dsvc push origin\n"
    )


def test_a_pull_with_nothing_to_pull_from(project: Path, dsvc: Run) -> None:
    assert dsvc("pull", code=4).err == (
        "error: there is no dsvc.lock that says what to bring, and no remote to ask\n"
        "hint: name a remote: dsvc remote add origin PATH; or write the lock: dsvc lock\n"
    )
