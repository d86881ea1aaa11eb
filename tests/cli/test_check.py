"""dsvc check: odd names and media, told exactly."""

import json
import random
import sys
from pathlib import Path

import pytest

from dsvc.cli.check import _tell_repaired
from dsvc.core.check import CheckReport
from dsvc.core.oddities import Finding
from dsvc.core.repairing.repair import RepairReport
from dsvc.core.repository import Repository


@pytest.fixture
def odd(dsvc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with names that clash, a text that is called a picture, and an empty file."""
    folder = tmp_path / "odd"
    folder.mkdir()
    monkeypatch.chdir(folder)
    dsvc("init")
    dsvc("create", "pets")
    for name, data in (("A.txt", b"one"), ("a.txt", b"two"), ("photo.jpg", b"<html>404"), ("empty.png", b"")):
        (folder / name).write_bytes(data)
    if len(list(folder.glob("?.txt"))) < 2:
        pytest.skip("this file system takes A.txt and a.txt for one")
    dsvc("add", "A.txt", "a.txt", "photo.jpg", "empty.png")
    return folder


def test_names_that_clash_elsewhere(dsvc, odd: Path) -> None:
    result = dsvc("check", code=1)
    lines = result.out.splitlines()
    assert lines[0] == "odd: input a.txt: differs from A.txt in case only: Windows and macOS take the two for one"
    assert len(lines) == 2 and lines[1].endswith("objects: all whole, 1 odd record")
    assert result.err == ""


def test_media_that_is_not_what_it_is_called(dsvc, odd: Path) -> None:
    result = dsvc("check", "--media", code=1)
    assert result.out.splitlines()[:-1] == [
        "odd: input empty.png: has no bytes",
        "odd: input photo.jpg: named .jpg, but its bytes are text/plain",
        "odd: input a.txt: differs from A.txt in case only: Windows and macOS take the two for one",
    ]
    assert result.err == ""


def test_what_cannot_be_decoded_here_is_said_and_no_finding(dsvc, project: Path, monkeypatch) -> None:
    for name in ("a.jpg", "b.jpg"):
        dsvc("rm", name)
        Path("images", name).rename(Path("images", name).with_suffix(".png"))
    dsvc("add", "images")
    dsvc("commit", "-m", "only png", "--author", "Ada <ada@example.org>")
    dsvc("version", "delete", "v1")
    monkeypatch.setitem(sys.modules, "PIL", None)
    note = "2 images were not decoded, since Pillow is not here: pip install 'dsvc[images]'"
    result = dsvc("check", "--media")
    assert result.out.splitlines()[0] == f"note: {note}" and len(result.out.splitlines()) == 2
    document = json.loads(dsvc("check", "--media", "--json").out)
    assert document["notes"] == [note] and document["findings"] == []
    assert json.loads(dsvc("check", "--json").out)["notes"] == []


def spoil(project: Path, *, lose: bool = False) -> None:
    """Damage the pack that holds the media of a.jpg, or lose it."""
    repository = Repository.open(project)
    record = repository.dataset("pets").at().input("a.jpg")
    found = repository.store.state.catalog.find(record.media.blob)
    path = project / ".dsvc" / found.pack.name
    data = bytearray(path.read_bytes())
    data[found.entry.offset + 24] ^= 1
    path.write_bytes(data)
    if lose:
        path.unlink()


def test_repair_from_a_remote(dsvc, project: Path) -> None:
    dsvc("remote", "add", "origin", "../store")
    dsvc("push")
    spoil(project)
    result = dsvc("check", code=5)
    assert result.out.startswith("damaged: ") and "\n  needed by " in result.out
    assert result.err.splitlines() == [
        "error: 1 part of the repository cannot be trusted",
        "hint: mend it, from a remote where that is needed: dsvc check --repair",
    ]
    (damage,) = json.loads(dsvc("check", "--json", code=5).out)["damage"]
    assert damage["needed"]["branches"] == ["pets:main"] and damage["needed"]["inputs"] == ["a.jpg"]
    before = {path.name for path in (project / ".dsvc/packs").iterdir()}
    result = dsvc("check", "--repair", "--dry-run", code=1)
    assert "would repair: object " in result.out and ": brought from origin\n" in result.out
    assert {path.name for path in (project / ".dsvc/packs").iterdir()} == before
    result = dsvc("check", "--repair", code=1)
    assert "repaired: object " in result.out and f"what was replaced lies in {project / '.dsvc/damaged'}" in result.out
    assert ": all whole" in result.out and "damaged: " not in dsvc("check", code=1).out
    assert dsvc("check", "--repair", code=1).out.startswith("nothing to repair\n")
    document = json.loads(dsvc("check", "--repair", "--json", code=1).out)
    assert document["repaired"] == [] and document["aside"] is None


def test_repair_of_a_lost_head(dsvc, project: Path) -> None:
    (project / "noise.txt").write_bytes(random.Random(1).randbytes(20_000))
    dsvc("add", "noise.txt")
    (project / ".dsvc/head").unlink()
    result = dsvc("log", code=4)
    assert result.err.endswith("hint: bring the head back: dsvc check --repair\n")
    result = dsvc("check", "--repair", code=1)
    assert result.out.startswith("repaired: head: lost; set to operation ")
    assert dsvc("log").out.startswith("commit ")


def test_what_cannot_be_repaired_is_named(dsvc, project: Path) -> None:
    spoil(project, lose=True)
    result = dsvc("check", "--repair", code=5)
    assert result.out.startswith("nothing could be repaired\ndamaged: pack ")
    assert result.err.splitlines()[-1].startswith("hint: name another place that has it: dsvc remote add NAME URL")
    assert dsvc("check", "--dry-run", code=2).err.startswith("error: --dry-run goes with --repair")


def test_many_alike_repairs_are_counted_not_listed(capsys: pytest.CaptureFixture[str]) -> None:
    many = [Finding("object", f"{at:064x}", "brought from origin") for at in range(11)]
    one = Finding("index", "index", "1 of 3 segments lost; made anew from packs")
    _tell_repaired(RepairReport((*many, one), CheckReport(0, (), ()), None), False)
    assert capsys.readouterr().out == (
        "repaired: 11 objects: brought from origin\nrepaired: index: 1 of 3 segments lost; made anew from packs\n"
    )
