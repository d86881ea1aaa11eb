"""Remotes as they are typed: naming one, pushing, fetching, merging what came; and what is refused."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from .conftest import SIGNED, Result

Run = Callable[..., Result]


@pytest.fixture
def shared(project: Path, dsvc: Run, tmp_path: Path) -> Path:
    """The project with a remote that has its dataset; the remote's folder."""
    dsvc("remote", "add", "origin", "../store")
    dsvc("push")
    return tmp_path / "store"


@pytest.fixture
def colleague(shared: Path, dsvc: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Another project with the same remote, whose settings came with the code. It is the current folder."""
    other = tmp_path / "other"
    other.mkdir()
    (other / "dsvc.toml").write_text((tmp_path / "project" / "dsvc.toml").read_text())
    monkeypatch.chdir(other)
    dsvc("init")
    return other


def without_ids(text: str) -> str:
    """A text with every commit's id as ID, and sizes and counts of bytes as they come."""
    return re.sub(r"\b[0-9a-f]{12}\b", "ID", text)


def size_of(text: str) -> str:
    found = re.search(r"objects?, (.*?) (?:to|from) ", text)
    assert found is not None, text
    return found[1]


def test_a_remote_is_named_and_pushed_to(project: Path, dsvc: Run, tmp_path: Path) -> None:
    assert dsvc("remote", "list").out == "no remotes; next: dsvc remote add origin PATH\n"
    assert dsvc("push", code=4).err == "error: no remote is set\nhint: name one: dsvc remote add origin PATH\n"
    assert dsvc("remote", "add", "origin", "../store").out == (
        "remote origin: ../store\n"
        "note: it stands in dsvc.toml: commit that to Git, and everybody has it\n"
        "next: dsvc push origin, or dsvc fetch origin\n"
    )
    assert (project / "dsvc.toml").read_text() == '[remotes.origin]\nurl = "../store"\n'
    assert dsvc("fetch", code=6).err == (
        f"error: remote origin: {tmp_path}/store does not exist\n"
        "hint: is its disk mounted? or push there first: dsvc push\n"
    )
    dry = dsvc("push", "--dry-run")
    assert without_ids(dry.out) == ("pets:main: new, at ID\npets@v1: new\nwould send 2 commits to origin: ../store\n")
    assert not (tmp_path / "store").exists()
    sent = dsvc("push")
    assert without_ids(sent.out) == (
        f"pets:main: new, at ID\npets@v1: new\nsent 2 commits, 10 objects, {size_of(sent.out)} to origin: ../store\n"
    )
    assert sent.err == ""
    assert without_ids(dsvc("push").out) == "pets:main: stays at ID\norigin has all of it: ../store\n"
    document = json.loads(dsvc("push", "--json").out)
    head = json.loads(dsvc("branch", "--json").out)["branches"][0]["head"]
    assert document == {
        "remote": "origin",
        "url": "../store",
        "commits": 0,
        "objects": 0,
        "bytes": 0,
        "branches": [{"dataset": "pets", "branch": "main", "move": "current", "before": head, "commit": head}],
        "versions": [],
        "runs": [],
        "evaluations": [],
        "left_out": 0,
        "dry_run": False,
    }


def test_a_colleague_fetches_changes_and_sends_back(
    colleague: Path, dsvc: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert dsvc("fetch", code=3).err == (
        "error: remote origin came with the project, and was not used here yet: ../store\n"
        "hint: if that is the right place, say --yes\n"
    )
    assert dsvc("remote", "list").out == "* origin  ../store  not used here yet\n"
    came = dsvc("fetch", "--yes")
    assert without_ids(came.out) == (
        "origin/pets:main: new, at ID\n"
        "origin/pets@v1: new, at ID\n"
        f"received 2 commits, 10 objects, {size_of(came.out)} from origin: ../store\n"
        "next: dsvc create pets, then dsvc merge origin/pets:main\n"
    )
    assert dsvc("fetch").out == "nothing new at origin: ../store\n"
    assert dsvc("remote", "list").out == "* origin  ../store\n"
    dsvc("create", "pets")
    merged = dsvc("merge", "origin/pets:main")
    assert without_ids(merged.out).startswith("[pets main ID] went forward to origin/pets:main\n")
    dsvc("annotate", "a.jpg", "--concept", "cat")
    dsvc("commit", "-m", "A cat more", *SIGNED)
    sent = dsvc("push")
    assert without_ids(sent.out).startswith("pets:main: ID -> ID\nsent 1 commit, ")
    assert dsvc("check", code=1).out.endswith(": all whole, 4 odd records\n")

    monkeypatch.chdir(tmp_path / "project")
    dsvc("annotate", "b.jpg", "--concept", "dog")
    dsvc("commit", "-m", "A dog more", *SIGNED)
    assert dsvc("push", code=3).err == (
        "error: pets:main has commits at origin that are not here; nothing was pushed\n"
        "hint: take them in first: dsvc pull\n"
    )
    came = dsvc("fetch", "--json")
    document = json.loads(came.out)
    change = document.pop("changes")[0]
    assert (change["name"], change["dataset"]) == ("origin/pets:main", "pets") and change["before"] != change["commit"]
    assert document | {"objects": 0, "bytes": 0} == {
        "remote": "origin",
        "url": "../store",
        "commits": 1,
        "objects": 0,
        "bytes": 0,
        "left_out": 0,
        "runs": [],
        "evaluations": [],
        "refused": [],
    }
    assert "A cat more" in dsvc("log", "origin/pets:main").out and "A cat more" not in dsvc("log").out
    assert dsvc("diff", "origin/pets:main~1", "origin/pets:main", "--stat").out.startswith("annotations")
    merged = dsvc("merge", "origin/pets:main", "--author", "Ada")
    assert without_ids(merged.out).startswith("[pets main ID] merged origin/pets:main\n")
    assert without_ids(dsvc("push").out).startswith("pets:main: ID -> ID\nsent 2 commits, ")
    assert dsvc("log").out.count("commit ") == 4


def test_what_was_fetched_is_a_revision(shared: Path, project: Path, dsvc: Run) -> None:
    for name in ("origin/pets", "origin/pets:main", "origin/pets@v1", "origin/pets@v1~0"):
        assert "First batch" in dsvc("log", name).out
    assert dsvc("export", "origin/pets@v1", "--format", "coco", "-o", "out.json").out.startswith("wrote out.json")
    assert dsvc("log", "origin/pets:mian", code=4).err == (
        "error: no origin/pets:mian is known here\n"
        "hint: did you mean origin/pets:main, origin/pets@v1? what is new there comes with: dsvc fetch origin\n"
    )
    assert dsvc("log", "elsewhere/pets", code=4).err == (
        "error: 'elsewhere/pets' is no revision: nothing was fetched from a remote 'elsewhere'\n"
        "hint: see: dsvc remote list; then: dsvc fetch REMOTE\n"
    )


def test_undo_says_what_stays_at_the_remote(shared: Path, project: Path, dsvc: Run) -> None:
    assert dsvc("undo").out == (
        "undid: push origin (origin/pets:main, origin/pets@v1)\n"
        "note: what was pushed stays at the remote; undone is only what is noted here of it\n"
        "dsvc redo brings it back\n"
    )
    assert without_ids(dsvc("push").out) == "pets:main: stays at ID\norigin has all of it: ../store\n"


def test_all_datasets_and_branches_go(project: Path, dsvc: Run, tmp_path: Path) -> None:
    dsvc("switch", "-c", "side")
    dsvc("annotate", "a.jpg", "--concept", "cat")
    dsvc("commit", "-m", "aside", *SIGNED)
    dsvc("version", "create", "v2", *SIGNED)
    dsvc("create", "zoo")
    dsvc("remote", "add", "origin", tmp_path / "store", "--local")
    assert dsvc("push", code=3).err == (
        "error: zoo:main has no commit yet\nhint: commit what is staged: dsvc commit -m TEXT\n"
    )
    assert dsvc("push", "--all", "-d", "pets", code=2).err == (
        "error: --all takes all datasets, and -d one of them\nhint: leave one of the two out\n"
    )
    sent = dsvc("push", "-d", "pets:main").out
    assert without_ids(sent).startswith(
        "pets:main: new, at ID\npets:side: new, at ID\npets@v1: new\npets@v2: new\nsent 3 commits"
    )
    dsvc("import", "pets.json", "-d", "zoo")
    dsvc("commit", "-d", "zoo", "-m", "Animals", *SIGNED)
    sent = dsvc("push", "--all").out
    assert without_ids(sent).startswith("pets:main: stays at ID\npets:side: stays at ID\nzoo:main: new, at ID\nsent ")


def test_a_version_that_is_another_one_there_is_refused(colleague: Path, dsvc: Run) -> None:
    dsvc("fetch", "--yes")
    dsvc("create", "pets")
    dsvc("merge", "origin/pets:main")
    dsvc("annotate", "a.jpg", "--concept", "cat")
    dsvc("commit", "-m", "A cat more", *SIGNED)
    dsvc("version", "create", "v1", *SIGNED)
    refused = dsvc("push", code=3)
    assert without_ids(refused.err) == (
        "error: pets@v1 is ID at origin, and ID here; nothing was pushed\n"
        "hint: give yours another name: dsvc version create NAME --at v1; dsvc version delete v1\n"
    )
    dsvc("version", "create", "mine", "--at", "v1", *SIGNED)
    dsvc("version", "delete", "v1")
    assert "pets@mine: new\n" in dsvc("push").out


def test_remotes_are_listed_and_removed(
    project: Path, dsvc: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "images" / "deep").mkdir()
    monkeypatch.chdir(project / "images" / "deep")
    dsvc("remote", "add", "origin", "../../shared store")
    dsvc("remote", "add", "home", "~/data", "--local")
    dsvc("remote", "add", "url", "file:///mnt/data", "--local")
    rows = [line.split(None, 2) for line in dsvc("remote", "list").out.splitlines()]
    assert rows[0] == ["*", "origin", "shared store"]
    assert rows[1] == ["home", f"{tmp_path}/home/data", "this workspace's own"]
    assert rows[2] == ["url", "file:///mnt/data", "this workspace's own"]
    assert json.loads(dsvc("remote", "list", "--json").out)["remotes"][:2] == [
        {"name": "origin", "url": "shared store", "default": True, "team": True, "trusted": True},
        {"name": "home", "url": f"{tmp_path}/home/data", "default": False, "team": False, "trusted": True},
    ]
    assert dsvc("remote", "remove", "url", "--dry-run").out == "would remove remote url: file:///mnt/data\n"
    assert dsvc("remote", "remove", "url").out == "removed remote url: file:///mnt/data\n"
    assert dsvc("remote", "remove", "hom", code=4).err == ("error: no remote named 'hom'\nhint: did you mean home?\n")


def test_urls_that_are_refused(project: Path, dsvc: Run) -> None:
    assert dsvc("remote", "add", "origin", "ftp://example.org/pets", code=3).err == (
        "error: ftp://example.org/pets: no place of this kind is known\nhint: a path, or https, s3, gs, az, file\n"
    )
    refused = dsvc("remote", "add", "origin", "https://ada:hunter2@example.org/pets", code=3)
    assert "holds a user name or password, and is not kept" in refused.err and "hunter2" not in refused.err
    assert dsvc("remote", "add", "a/b", "x", code=2).err.startswith("error: 'a/b' cannot name a remote\n")
    assert not (project / "dsvc.toml").exists()


@pytest.mark.parametrize("answer", [True, False])
def test_on_a_terminal_it_asks_once(answer: bool, colleague: Path, dsvc: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr("dsvc.cli.remote.is_watched", lambda: True)
    monkeypatch.setattr(click, "confirm", lambda text, **_: asked.append(text) or answer)
    result = dsvc("fetch", code=0 if answer else 3)
    assert asked == ["remote origin came with the project: ../store\nuse it?"]
    if answer:
        dsvc("fetch")
        assert len(asked) == 1
    else:
        assert result.err == (
            "error: the remote is not used\nhint: name another one: dsvc remote add NAME PATH --local\n"
        )


def test_an_interrupted_push_does_not_say_that_nothing_changed_there(
    shared: Path, dsvc: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("dsvc.remote.travel.Copier", interrupt)
    assert dsvc("push", code=130).err == (
        "interrupted; origin has all of it, or nothing; to see which: dsvc fetch origin\n"
    )
