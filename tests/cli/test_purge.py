"""dsvc purge, told exactly, and what it means for a clone that still has the bytes."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

SIGNED = ("--author", "Ada <ada@example.org>", "--date", "2024-05-01T12:00:00+00:00")

PURGED = "1 media file is purged; why: dsvc purge --list"


@pytest.fixture
def secret(project: Path) -> bytes:
    return (project / "images/a.jpg").read_bytes()


def packs(folder: Path) -> Iterator[bytes]:
    return (path.read_bytes() for path in folder.rglob("packs/*"))


def holds(folder: Path, data: bytes) -> bool:
    """Whether a pack below a folder holds some bytes, as they are or compressed."""
    from dsvc.store.frame import squeeze
    from dsvc.store.ids import Kind

    _, packed = squeeze(Kind.BLOB, data)
    return any(data in content or packed in content for content in packs(folder))


def purged(result) -> str:
    """What was printed, without what differs from run to run."""
    import re

    text = re.sub(r"\b[0-9a-f]{12}\b", "ID", result.out)
    return re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4}", "WHEN", text)


def test_it_is_asked_for_and_told(dsvc, project: Path, secret: bytes, monkeypatch) -> None:
    monkeypatch.setenv("DSVC_AUTHOR_NAME", "Ada")
    monkeypatch.setenv("DSVC_AUTHOR_EMAIL", "ada@example.org")
    assert dsvc("purge", "--list").out == "nothing was purged\n"
    result = dsvc("purge", "a.jpg", code=2)
    assert result.err.startswith("error: a purge needs a reason, which stays for everybody to read\n")
    result = dsvc("purge", "a.jpg", "--reason", "they asked", code=3)
    assert result.err == "error: a purge is for good, and needs a word typed on a terminal\nhint: or say: --yes\n"
    result = dsvc("purge", "a.jpg", "--reason", "they asked", "--dry-run")
    lines = purged(result).splitlines()
    assert lines[0].startswith("a.jpg: ID, ") and lines[0].endswith(", in ID")
    assert lines[1] == "would purge 1 media file here only"
    assert holds(project / ".dsvc", secret)
    result = dsvc("purge", "a.jpg", "--reason", "they asked", "--yes")
    lines = purged(result).splitlines()
    assert lines[1] == "purged 1 media file by Ada, WHEN: they asked"
    assert lines[2].startswith("here: ") and lines[2].endswith(" gone, 1 pack rewritten")
    assert lines[3:] == ["the record stays; to take the input out: dsvc rm a.jpg"] and result.err == ""
    assert not holds(project / ".dsvc", secret)
    listed = purged(dsvc("purge", "--list")).split()
    assert listed[0] == "ID" and listed[-4:] == ["WHEN", "Ada", "they", "asked"]
    document = json.loads(dsvc("purge", "--list", "--json").out)["purged"]
    assert [(one["reason"], one["author"]["name"]) for one in document] == [("they asked", "Ada")]
    assert PURGED in dsvc("check", code=1).out.splitlines()
    assert json.loads(dsvc("check", "--json", code=1).out)["purged"] == 1
    result = dsvc("export", "pets@v1", "--format", "coco", "--media", "-o", "out")
    assert result.out == "wrote out: coco/1, 2 inputs, 2 annotations\nnote: 1 image has no bytes in the repository\n"
    assert not Path("out/images/a.jpg").exists() and Path("out/images/b.jpg").exists()
    result = dsvc("undo", code=3)
    assert result.err.startswith("error: 'purge a.jpg: they asked' cannot be taken back: the bytes are gone\n")
    result = dsvc("purge", "a.jpg", "--reason", "again", "--yes", "--json")
    (place,) = json.loads(result.out)["places"]
    assert place == {
        "place": None, "objects": 0, "bytes": 0, "packs": 0, "orphans": 0, "cached": 0, "kept_chunks": 0
    }  # fmt: skip
    assert json.loads(dsvc("purge", "--list", "--json").out)["purged"] == document


def test_adding_the_bytes_again_is_refused(dsvc, project: Path, secret: bytes) -> None:
    dsvc("purge", "a.jpg", "--reason", "they asked", "--yes")
    result = dsvc("add", "images/a.jpg", "--root", "images", code=3)
    assert "images/a.jpg: was purged on " in result.err and result.err.count("they asked") == 1
    assert not holds(project / ".dsvc", secret)


def test_what_is_wrong_is_said_and_nothing_changes(dsvc, project: Path) -> None:
    log = dsvc("op", "log").out
    result = dsvc("purge", "c.jpg", "--reason", "x", "--yes", code=4)
    assert result.err.startswith("error: no input 'c.jpg' in the history of pets\n")
    (project / "images/twin.jpg").write_bytes((project / "images/a.jpg").read_bytes())
    dsvc("add", "images/twin.jpg", "--root", "images")
    log = dsvc("op", "log").out
    result = dsvc("purge", "a.jpg", "--reason", "x", "--yes", code=3)
    assert result.err.splitlines() == [
        "error: 1 other input has the same bytes: twin.jpg (dataset pets); nothing was purged",
        "hint: name them too, or purge the bytes of all of them: --everywhere",
    ]
    result = dsvc("purge", "a.jpg", "--reason", "x", "--local-only", "--remote", "origin", code=2)
    result = dsvc("purge", "a.jpg", "--reason", "x", "--remote", "nowhere", code=4)
    assert dsvc("op", "log").out == log
    assert "its bytes are gone" in dsvc("purge", "a.jpg", "--reason", "x", "--everywhere", "--yes").out


def test_a_clone_that_still_has_the_bytes_does_not_bring_them_back(
    dsvc, project: Path, secret: bytes, tmp_path: Path, monkeypatch
) -> None:
    dsvc("remote", "add", "origin", "../store")
    dsvc("push")
    monkeypatch.chdir(tmp_path)
    dsvc("clone", "store", "bo")
    assert holds(tmp_path / "bo", secret)
    monkeypatch.chdir(project)
    result = dsvc("purge", "a.jpg", "--reason", "they asked", "--yes")
    assert "here: " in result.out and "origin: " in result.out
    assert not holds(tmp_path / "store", secret)
    monkeypatch.chdir(tmp_path / "bo")
    dsvc("annotate", "a.jpg", "--text", "from bo")
    dsvc("commit", "-m", "From Bo", *SIGNED)
    dsvc("push")
    assert not holds(tmp_path / "store", secret)
    dsvc("fetch")
    assert "they asked" in dsvc("purge", "--list").out
    note = "note: 1 media file has a tombstone, and bytes here still, which dsvc gc removes"
    assert note in dsvc("check", code=1).out.splitlines()
    dsvc("purge", "a.jpg", "--reason", "as they did", "--yes", "--local-only")
    assert not holds(tmp_path / "bo", secret)
    assert "they asked" in dsvc("purge", "--list").out  # whose word was first holds
    monkeypatch.chdir(project)
    dsvc("pull")
    assert not holds(project, secret)
    assert PURGED in dsvc("check", code=1).out.splitlines()
    monkeypatch.chdir(tmp_path)
    dsvc("clone", "store", "cy")
    monkeypatch.chdir(tmp_path / "cy")
    assert PURGED in dsvc("check", code=1).out.splitlines()


def test_a_remote_that_is_gone(dsvc, project: Path, secret: bytes, tmp_path: Path) -> None:
    dsvc("remote", "add", "origin", "../store")
    dsvc("push")
    (tmp_path / "store").rename(tmp_path / "away")
    result = dsvc("purge", "a.jpg", "--reason", "they asked", "--yes", code=6)
    assert holds(project, secret) and dsvc("purge", "--list").out == "nothing was purged\n"
    result = dsvc("purge", "a.jpg", "--reason", "they asked", "--yes", "--local-only")
    assert "origin" not in result.out and not holds(project, secret)


def test_remotes_that_are_passed_over(dsvc, project: Path) -> None:
    dsvc("remote", "add", "later", "../later")
    result = dsvc("purge", "a.jpg", "--reason", "they asked", "--yes")
    assert result.err == "note: remote later is left as it is: nothing was pushed there or fetched from here\n"
