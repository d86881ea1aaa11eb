"""-R: reading straight from a repository elsewhere."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import SIGNED, Result

Run = Callable[..., Result]


@pytest.fixture
def store(project: Path, dsvc: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A remote with one dataset; the current folder is outside any project."""
    dsvc("remote", "add", "origin", "../store")
    dsvc("switch", "-c", "side")
    dsvc("annotate", "a.jpg", "--concept", "cat")
    dsvc("commit", "-m", "Aside", *SIGNED)
    dsvc("push", "--all")
    (tmp_path / "nowhere").mkdir()
    monkeypatch.chdir(tmp_path / "nowhere")
    return tmp_path / "store"


READERS = [
    ("log",),
    ("show", "pets@v1"),
    ("show", "a.jpg"),
    ("list", "--json"),
    ("version", "list"),
    ("version", "show", "v1"),
    ("metrics", "v1"),
    ("metrics", "v1", "pets:side", "--by", "type"),
    ("blame", "a.jpg"),
    ("diff", "v1", "pets:side"),
    ("query", "select key from inputs", "--at", "HEAD"),
    ("conflicts",),
    ("concept", "list"),
    ("branch",),
]


@pytest.mark.parametrize("command", READERS, ids=" ".join)
def test_reads(
    store: Path, dsvc: Run, tmp_path: Path, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a command says of a repository elsewhere is what it says in a clone, and nothing is written."""
    before = sorted(path for path in store.rglob("*"))
    for options in (("-R", store, *command), (*command, "--repository", store), ("-R", store.as_uri(), *command)):
        there = dsvc(*options)
        assert there.err == ""
        assert sorted(path for path in store.rglob("*")) == before
    assert list(Path().iterdir()) == []
    dsvc("clone", store, tmp_path / "clone")
    monkeypatch.chdir(tmp_path / "clone")
    assert there.out == dsvc(*command).out


def test_export(store: Path, dsvc: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An export with media is the same from there."""
    dsvc("-R", store, "export", "pets@v1", "--format", "coco", "--media", "-o", tmp_path / "there.zip")
    monkeypatch.chdir(tmp_path / "project")
    dsvc("export", "pets@v1", "--format", "coco", "--media", "-o", tmp_path / "here.zip")
    assert (tmp_path / "there.zip").read_bytes() == (tmp_path / "here.zip").read_bytes()


def test_check(store: Path, dsvc: Run) -> None:
    """A repository elsewhere can be checked."""
    assert "all whole" in dsvc("-R", store, "check", code=1).out or "odd" in dsvc("-R", store, "check", code=1).out


WRITERS = [
    ("status",),
    ("init",),
    ("clone", "somewhere"),
    ("demo", "somewhere"),
    ("create", "cats"),
    ("use", "pets"),
    ("commit", "-m", "x"),
    ("add", "a.jpg"),
    ("rm", "a.jpg"),
    ("undo",),
    ("push",),
    ("fetch",),
    ("remote", "list"),
    ("version", "create", "v2"),
    ("checkout", "v1", "work"),
    ("merge", "side"),
]


@pytest.mark.parametrize("command", WRITERS, ids=" ".join)
def test_writers_are_refused(store: Path, dsvc: Run, command: tuple[str, ...]) -> None:
    """What needs a workspace says how to get one."""
    words = " ".join(command[:2] if command[0] in ("version",) else command[:1])
    assert dsvc("-R", store, *command, code=3) == (
        3,
        "",
        f"error: dsvc {words} needs a clone; -R only reads\nhint: clone it: dsvc clone {store}\n",
    )
    assert list(Path().iterdir()) == []


def test_a_branch_cannot_be_begun(store: Path, dsvc: Run) -> None:
    """A command that reads, and changes something with an argument, only reads."""
    for arguments in (("new",), ("--delete", "side")):
        refused = dsvc("-R", store, "branch", *arguments, code=3).err
        assert refused == (
            f"error: {store} is only read here; nothing was changed\nhint: clone it: dsvc clone {store}\n"
        )


def test_a_bucket(store: Path, dsvc: Run, bucket_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A bucket is read with no clone; copies of its records lie in the person's cache folder."""
    monkeypatch.chdir(tmp_path / "project")
    expected = dsvc("log", "side").out
    dsvc("remote", "add", "bucket", bucket_url, "--local")
    dsvc("push", "bucket", "--all")
    monkeypatch.chdir(tmp_path / "nowhere")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cached"))
    assert dsvc("-R", bucket_url, "log", "side", "--stat").out == expected
    assert "change" not in dsvc("-R", bucket_url, "log", "side").out
    assert any((tmp_path / "cached" / "dsvc" / "remotes").rglob("*"))
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert dsvc("-R", bucket_url, "log", "side", "--stat").out == expected
    assert any((tmp_path / "home" / ".cache" / "dsvc" / "remotes").rglob("*"))
    assert dsvc("-R", f"{bucket_url}/none", "log", code=6).err.startswith(f"error: {bucket_url}/none holds no reposit")
    assert dsvc("-R", bucket_url, "commit", "-m", "x", code=3).err.endswith(f"dsvc clone {bucket_url}\n")


def test_by_name(store: Path, dsvc: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In a project, a remote's name stands for it, and so does its trust."""
    assert dsvc("-R", "origin", "log", code=4).err == (
        "error: no remote and no folder 'origin'\nhint: -R takes a URL, the name of a remote here, or a path\n"
    )
    monkeypatch.chdir(tmp_path / "project")
    assert dsvc("-R", "origin", "log", "side").out == dsvc("log", "side").out
    assert dsvc("-R", "origin", "undo", code=3).err.endswith(f"hint: clone it: dsvc clone {store}\n")
    (tmp_path / "project" / ".dsvc" / "workspace.toml").write_text("")
    Path("dsvc.toml").write_text(f'[remotes.theirs]\nurl = "{store}"\n')
    assert dsvc("-R", "theirs", "log", code=3).err.startswith("error: remote theirs came with the project, and was not")


def test_several_datasets(store: Path, dsvc: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Of several datasets, one has to be named: by -d, or by the revision."""
    monkeypatch.chdir(tmp_path / "project")
    dsvc("create", "zoo")
    dsvc("push", "--all")
    monkeypatch.chdir(tmp_path)
    assert dsvc("-R", store, "log", code=4).err == (
        f"error: {store} holds several datasets\nhint: name one of them (-d of the command): pets, zoo\n"
    )
    assert "Aside" in dsvc("-R", store, "log", "-d", "pets:side").out
    assert "First batch" in dsvc("-R", store, "log", "pets@v1").out
    assert dsvc("-R", store, "show", "pets").out == dsvc("-R", store, "-d", "pets", "show", "HEAD").out
    assert [one["name"] for one in json.loads(dsvc("-R", store, "list", "--json").out)["datasets"]] == ["pets", "zoo"]


def test_hints_can_be_followed(store: Path, dsvc: Run) -> None:
    """A hint that names a command names it with -R, and none needs a clone."""
    assert dsvc("-R", store, "show", "pets@v9", code=4).err.endswith(
        "hint: there is: v1; of a commit's id, give 4 digits or more\n"
    )
    assert dsvc("-R", store, "query", "select key from inputs", "--at", "v1~9", code=4).err.endswith(
        f"hint: see: dsvc -R {store} log\n"
    )
    assert dsvc("-R", store, "show", "side:z", code=4).err.endswith("hint: there is: pets\n")
    assert dsvc("-R", store, "-d", "cats", "log", code=4).err.endswith("hint: there is: pets\n")


def test_what_is_no_repository(store: Path, dsvc: Run, tmp_path: Path) -> None:
    """A place that holds no repository says so."""
    assert dsvc("-R", tmp_path / "nowhere", "log", code=6).err.startswith(
        f"error: {tmp_path}/nowhere holds no repository yet"
    )
    assert dsvc("-R", "", "log", code=4).err.startswith("error: no remote and no folder ''")
    assert dsvc("-R", "gopher://x/y", "log", code=3).err.startswith("error: gopher://x/y")
    for path in (store / "packs").iterdir():
        path.write_bytes(path.read_bytes()[:10])
    assert dsvc("-R", store, "log", code=None).err.startswith("error: ")


def test_nothing_is_repaired(store: Path, dsvc: Run) -> None:
    """A repair writes, so it is refused there; what is damaged is told, with no hint that cannot be followed."""
    for path in (store / "packs").iterdir():
        data = bytearray(path.read_bytes())
        data[len(data) // 3] ^= 1
        path.write_bytes(data)
    before = {path: path.read_bytes() for path in store.rglob("*") if path.is_file()}
    told = dsvc("-R", store, "check", code=None)
    assert told.code in (5, 6)
    assert "--repair" not in told.err + told.out
    dsvc("-R", store, "check", "--repair", code=None)
    assert {path: path.read_bytes() for path in store.rglob("*") if path.is_file()} == before
