"""A clone without media: what works though its remote is gone, and bringing media."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from bare import bare_clone

from .conftest import SIGNED, Result, picture

Run = Callable[..., Result]


@pytest.fixture
def store(project: Path, dsvc: Run, tmp_path: Path) -> Path:
    """A remote with the project's dataset."""
    dsvc("remote", "add", "origin", "../store")
    dsvc("switch", "-c", "side")
    dsvc("annotate", "a.jpg", "--concept", "cat")
    dsvc("commit", "-m", "Aside", *SIGNED)
    dsvc("push", "--all")
    return tmp_path / "store"


@pytest.fixture
def bare(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone of it without media; it is the current folder."""
    bare_clone(store, tmp_path / "bare").use("pets", "main")
    monkeypatch.chdir(tmp_path / "bare")
    monkeypatch.setenv("DSVC_AUTHOR_NAME", "Ada")
    monkeypatch.setenv("DSVC_AUTHOR_EMAIL", "ada@example.org")
    return tmp_path / "bare"


def test_no_media_needed(bare: Path, store: Path, dsvc: Run, tmp_path: Path) -> None:
    """Nothing but reading media asks for it: with the remote gone, all else works."""
    shutil.rmtree(store)
    dsvc("status")
    dsvc("show")
    dsvc("show", "a.jpg")
    dsvc("show", "--inputs")
    dsvc("log")
    dsvc("blame", "a.jpg")
    dsvc("list")
    dsvc("version", "list")
    dsvc("query", "select key, size from inputs")
    assert "a.jpg" in dsvc("diff", "main", "side").out
    dsvc("annotate", "b.jpg", "--concept", "cat")
    dsvc("set", "a.jpg", "--split", "train")
    dsvc("diff")
    dsvc("commit", "-m", "Mine", *SIGNED)
    dsvc("merge", "side")
    dsvc("conflicts")
    dsvc("mv", "b.jpg", "c.jpg")
    dsvc("discard")
    dsvc("rm", "b.jpg")
    dsvc("commit", "-m", "One less", *SIGNED)
    dsvc("undo")
    dsvc("redo")
    dsvc("version", "create", "v2", *SIGNED)
    dsvc("export", "v2", "--format", "coco", "-o", tmp_path / "out.json")
    dsvc("import", tmp_path / "out.json")
    (bare / "images").mkdir()
    (bare / "images" / "a.jpg").write_bytes(picture(color=7))
    dsvc("add", "images", "--root", "images")
    dsvc("status")
    dsvc("commit", "-m", "A new picture", *SIGNED)
    dsvc("op", "log")


def test_reading_says_what_is_gone(bare: Path, store: Path, dsvc: Run, tmp_path: Path) -> None:
    """Reading media with the remote gone is one error that names the input."""
    shutil.rmtree(store)
    failed = dsvc("export", "v1", "--format", "coco", "--media", "-o", tmp_path / "out", code=6)
    assert failed.err == (
        f"error: a.jpg: remote origin: {store} does not exist\n"
        "hint: is its disk mounted? if it is gone for good: dsvc remote remove origin, and add it again\n"
    )
    assert not (tmp_path / "out").exists()


def test_an_export_brings_media(bare: Path, store: Path, dsvc: Run, tmp_path: Path) -> None:
    """What an export has brought is here for the next one."""
    dsvc("export", "v1", "--format", "coco", "--media", "-o", tmp_path / "one.zip")
    shutil.rmtree(store)
    dsvc("export", "v1", "--format", "coco", "--media", "-o", tmp_path / "two.zip")
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()


def test_fetch_media(bare: Path, store: Path, dsvc: Run) -> None:
    """Media is brought by revision, and once."""
    size = json.loads(dsvc("fetch", "--media", "HEAD", "--dry-run", "--json").out)["bytes"]
    assert dsvc("fetch", "--media", "HEAD", "--dry-run").out == f"would fetch 2 files, {size} bytes\n"
    assert dsvc("fetch", "--media", "pets@v1", "--where", "key = 'b.jpg'").out.startswith("fetched 1 file, ")
    assert json.loads(dsvc("fetch", "--media", "origin/pets:side", "--json").out) == {
        "files": 1,
        "bytes": size // 2,
        "here": 1,
        "purged": 0,
        "missing": [],
        "dry_run": False,
    }
    shutil.rmtree(store)
    assert dsvc("fetch", "--media", "HEAD").out == "nothing to fetch\nhere already: 2 files\n"
    assert "damaged" not in dsvc("check", "--media", code=None).out


def test_fetch_media_of_one_remote(bare: Path, store: Path, dsvc: Run, tmp_path: Path) -> None:
    """A remote that is named is asked alone; what it lacks is told of."""
    hollow = tmp_path / "hollow"
    shutil.copytree(bare / ".dsvc", hollow)
    dsvc("remote", "add", "hollow", hollow)
    failed = dsvc("fetch", "hollow", "--media", "HEAD", code=1)
    assert failed == (1, "nothing to fetch\n", "a.jpg: no remote has its bytes\nb.jpg: no remote has its bytes\n")
    assert dsvc("fetch", "origin", "--media", "HEAD").out.startswith("fetched 2 files, ")


def test_fetch_media_refusals(bare: Path, store: Path, dsvc: Run) -> None:
    """What makes no sense is refused."""
    assert dsvc("fetch", "--where", "true", code=2).err == (
        "error: --where goes with --media\nhint: name a revision: HEAD\n"
    )
    assert dsvc("fetch", "--dry-run", code=2).err.startswith("error: --dry-run goes with --media")
    assert dsvc("fetch", "--media", "nothing", code=4).err.startswith("error: no dataset, branch, version or commit")
    shutil.rmtree(store)
    assert dsvc("fetch", "--media", "HEAD", code=6).err.startswith("error: remote origin: ")


def test_a_remote_of_the_project_is_asked_for(bare: Path, store: Path, dsvc: Run) -> None:
    """A remote that came with the code is used once somebody has agreed."""
    (bare / ".dsvc" / "workspace.toml").write_text('dataset = "pets"\n')
    (bare / "dsvc.toml").write_text(f'[remotes.theirs]\nurl = "{store}"\n')
    assert dsvc("fetch", "--media", "HEAD", code=3).err.startswith("error: remote theirs came with the project")
    assert dsvc("fetch", "--media", "HEAD", "--yes").out.startswith("fetched 2 files, ")
