"""Every command where it cannot do its work: one clear error with its exit code, and nothing changed."""

import gc
import importlib
import os
import pkgutil
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import xxhash

import dsvc as library
from dsvc.model.commit import Moment

SIGNED = ("--author", "Ada <ada@example.org>")
READING = {
    "list": ("list",),
    "show": ("show", "HEAD"),
    "status": ("status",),
    "log": ("log",),
    "diff": ("diff", "HEAD", "HEAD"),
    "version list": ("version", "list"),
    "version show": ("version", "show", "v1"),
    "op log": ("op", "log"),
    "concept list": ("concept", "list"),
    "evaluate list": ("evaluate", "list"),
}
WRITING = {
    "create": ("create", "birds"),
    "use": ("use", "other"),
    "describe": ("describe", "pets", "-m", "x"),
    "rename": ("rename", "pets", "animals"),
    "delete": ("delete", "pets", "--yes"),
    "add": ("add", "images"),
    "import": ("import", "more.json"),
    "annotate": ("annotate", "a.jpg", "--concept", "bird"),
    "concept rename": ("concept", "rename", "cat", "kitty"),
    "concept merge": ("concept", "merge", "cat", "into", "dog"),
    "concept delete": ("concept", "delete", "cat", "--with-annotations"),
    "set": ("set", "a.jpg", "--split", "val"),
    "split": ("split", "--ratio", "50/50"),
    "mv": ("mv", "a.jpg", "c.jpg"),
    "rm": ("rm", "a.jpg"),
    "rm --where": ("rm", "--inputs", "--where", "key = 'a.jpg'"),
    "annotate --where": ("annotate", "--inputs", "--where", "true", "--concept", "night"),
    "discard": ("discard",),
    "commit": ("commit", "-m", "x", *SIGNED),
    "version create": ("version", "create", "v9", "--at", "HEAD", *SIGNED),
    "version delete": ("version", "delete", "v1"),
    "evaluate": ("evaluate", "pets@v1", "pets@v1", *SIGNED),
    "undo": ("undo",),
    "op restore": ("op", "restore", "{created}"),
}
OTHER = {"check": ("check",), "export": ("export", "v1", "-o", "out"), "redo": ("redo",)}
ALL = {**READING, **WRITING, **OTHER}
ROOT = hasattr(os, "geteuid") and os.geteuid() == 0
NOBODY = 65534


def each(commands: dict[str, tuple[str, ...]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("command", commands.values(), ids=commands.keys())


def state_of(folder: Path) -> dict[str, bytes]:
    """What must not change: the head, the workspace, and what lies beside .dsvc."""
    kept = [folder / ".dsvc" / "head", folder / ".dsvc" / "workspace.toml"]
    kept += [path for path in folder.rglob("*") if path.is_file() and ".dsvc" not in path.parts]
    return {str(path): path.read_bytes() for path in kept if path.exists()}


@pytest.fixture
def staged(dsvc, project: Path, write, coco) -> Path:
    """The project with another dataset, with staged changes, and a file that is not imported yet."""
    dsvc("create", "other")
    dsvc("use", "pets")
    write(coco(images=coco()["images"][:1], annotations=[]), "project/more.json")
    dsvc("annotate", "b.jpg", "--concept", "dog")
    return project


def filled(dsvc, command: tuple[str, ...]) -> list[str]:
    """The command with the id of an early operation in place of {created}."""
    if "{created}" not in command:
        return list(command)
    line = next(line for line in dsvc("op", "log").out.splitlines() if line.endswith("create pets"))
    return [line.split()[0] if part == "{created}" else part for part in command]


@each(ALL)
def test_no_repository(dsvc, command: tuple[str, ...], files: Path, monkeypatch) -> None:
    monkeypatch.chdir(files)
    before = state_of(files)
    assert dsvc(*command, code=4).err == (
        f"error: no dsvc repository in {files} or above\nhint: make one with: dsvc init\n"
    )
    assert state_of(files) == before
    assert not (files / ".dsvc").exists()


NAMELESS = {"create", "use", "describe", "rename", "delete", "list", "op log", "op restore", "undo", "redo", "check"}


@each({name: command for name, command in ALL.items() if name not in NAMELESS})
@pytest.mark.parametrize("how", ["option", "environment", "selection"])
def test_unknown_dataset(dsvc, staged: Path, command: tuple[str, ...], how: str, monkeypatch) -> None:
    expected = "error: no dataset named 'petz'\nhint: there is: pets\n"
    arguments = ["-d", "petz", *command] if how == "option" else list(command)
    if how == "environment":
        monkeypatch.setenv("DSVC_DATASET", "petz")
    if how == "selection":
        path = staged / ".dsvc" / "workspace.toml"
        path.write_text(path.read_text().replace('dataset = "pets"', 'dataset = "petz"'))
        expected = "error: the current dataset, 'petz', is no more\nhint: dsvc use pets\n"
    before = state_of(staged)
    assert dsvc(*arguments, code=4).err == expected
    assert state_of(staged) == before


@pytest.mark.parametrize("command", [("use", "petz"), ("describe", "petz", "-m", "x"), ("delete", "petz", "--yes")])
def test_unknown_dataset_by_name(dsvc, staged: Path, command: tuple[str, ...]) -> None:
    before = state_of(staged)
    assert dsvc(*command, code=4).err == "error: no dataset named 'petz'\nhint: there is: pets\n"
    assert state_of(staged) == before


def test_rename_of_an_unknown_dataset(dsvc, staged: Path) -> None:
    assert dsvc("rename", "petz", "x", code=4).err == "error: no dataset named 'petz'\nhint: see: dsvc list\n"
    assert dsvc("rename", "pets", "other", code=3).err.startswith("error: dataset 'other' exists already\n")


@each({n: c for n, c in ALL.items() if n in ("show", "status", "log", "diff", "add", "rm", "commit", "export")})
def test_no_dataset_selected(dsvc, files: Path, command: tuple[str, ...], monkeypatch) -> None:
    monkeypatch.chdir(files)
    dsvc("init")
    assert dsvc(*command, code=4).err == (
        "error: no dataset is selected here\nhint: choose one: dsvc use NAME, or make one: dsvc create NAME\n"
    )


@pytest.mark.parametrize(
    "command",
    [
        ("show", "pets@v7"),
        ("show", "v7"),
        ("log", "pets@v7"),
        ("diff", "pets@v7"),
        ("diff", "v1", "pets@v7"),
        ("diff", "HEAD~9"),
        ("export", "pets@v7", "-o", "out"),
        ("version", "show", "v7"),
        ("version", "delete", "v7"),
        ("version", "delete", "v7", "--dry-run"),
        ("version", "create", "x", "--at", "pets@v7", *SIGNED),
        ("op", "restore", "00000000"),
    ],
    ids=" ".join,
)
def test_unknown_version(dsvc, staged: Path, command: tuple[str, ...]) -> None:
    before = state_of(staged)
    error = dsvc(*command, code=4).err
    assert "v7" in error or "~9" in error or "00000000" in error
    assert "hint: " in error
    assert state_of(staged) == before


@pytest.mark.parametrize("revision", ["@", "a:b:c", "v1@v1~x", "pets:main@v1"])
@pytest.mark.parametrize("command", [("log",), ("diff",), ("show",), ("export", "-o", "out")], ids=" ".join)
def test_what_is_no_revision(dsvc, staged: Path, command: tuple[str, ...], revision: str) -> None:
    dsvc(*command, revision, code=2)


class TestFiles:
    """Files that are not what they should be."""

    def test_an_empty_file(self, dsvc, staged: Path) -> None:
        (staged / "empty.json").touch()
        assert dsvc("import", "empty.json", code=3).err.startswith("error: empty.json is empty\n")
        assert dsvc("add", "empty.json").out.startswith("1 input added")  # an empty file is a file

    def test_a_folder_instead_of_a_file(self, dsvc, staged: Path) -> None:
        assert dsvc("import", "images", code=3).err.startswith("error: images is a folder without COCO files\n")

    def test_a_file_instead_of_a_folder(self, dsvc, staged: Path) -> None:
        dsvc("import", "more.json", "--images", "pets.json", code=4)
        dsvc("init", "pets.json", code=3)
        dsvc("demo", "pets.json", code=3)
        dsvc("-C", "pets.json", "list", code=3)
        dsvc("export", "v1", "-o", "pets.json", "--format", "coco", code=3)
        dsvc("export", "v1", "-o", "pets.json/out", "--format", "coco", code=3)

    def test_what_is_not_there(self, dsvc, staged: Path) -> None:
        assert dsvc("import", "nope.json", code=4).err.startswith("error: no file nope.json")
        assert dsvc("import", "more.json", "--images", "nope", code=4).err.startswith("error: no folder nope\n")
        assert dsvc("add", "nope", code=4).err.startswith("error: nope: there is no such file or folder")
        assert dsvc("-C", "nope", "list", code=4).err == (
            "error: no folder nope\nhint: -C takes the folder to work in\n"
        )

    @pytest.mark.parametrize("content", [b"{", b"[]", b"null", b"\xff\xfe", b"{}" * 2, b"[" * 100_000, b"\0" * 100])
    def test_no_coco_file(self, dsvc, staged: Path, write, content: bytes) -> None:
        write(content, "project/bad.json")
        before = state_of(staged)
        assert "bad.json" in dsvc("import", "bad.json", code=3).err
        assert state_of(staged) == before

    def test_a_pipe_is_not_waited_for(self, dsvc, staged: Path) -> None:
        os.mkfifo(staged / "pipe")
        dsvc("import", "pipe", code=3)

    def test_a_target_inside_the_repository(self, dsvc, staged: Path) -> None:
        dsvc("export", "v1", "-o", ".dsvc/out", "--format", "coco", code=3)


# ---- places that cannot be written to, or read


@pytest.fixture
def plain_user(staged: Path) -> Iterator[Path]:
    """The project where an ordinary user may work in it, and this process as that user."""
    if not ROOT:
        yield staged
        return
    # Root passes every permission, so the commands run as nobody, in a folder that nobody may reach. Nobody may not
    # be able to read this Python's own files, so what the commands import is imported first.
    for name in ("difflib", "tomlkit", *(info.name for info in pkgutil.walk_packages(library.__path__, "dsvc."))):
        importlib.import_module(name)
    place = Path(tempfile.mkdtemp(prefix="dsvc-test-"))
    folder = place / "project"
    shutil.copytree(staged, folder)
    for path in (place, *place.rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    os.chdir(folder)
    # numpy and DuckDB import parts of themselves late, and the plain user may not be allowed to read where they are.
    import numpy.ma

    from dsvc.core.filters.duck import connect

    connect().register("records", {"row": numpy.arange(1), "key": numpy.array(["a"], dtype=object)})
    connect().execute("select 1").fetchnumpy()

    os.seteuid(NOBODY)
    try:
        yield folder
    finally:
        os.seteuid(0)
        os.chdir(staged)
        subprocess.run(["chmod", "-R", "u+rwX", str(place)], check=True)
        shutil.rmtree(place)


def read_only(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        path.chmod(path.stat().st_mode & ~0o222)


@each(WRITING)
def test_a_read_only_repository(dsvc, plain_user: Path, command: tuple[str, ...]) -> None:
    arguments = filled(dsvc, command)
    before = state_of(plain_user)
    read_only(plain_user / ".dsvc")
    error = dsvc(*arguments, code=3).err
    assert "ermission denied" in error
    assert "hint: " in error
    assert state_of(plain_user) == before


@each({**READING, "check": ("check",), "export": ("export", "v1", "-o", "out", "--format", "coco")})
def test_a_read_only_repository_can_be_read(dsvc, plain_user: Path, command: tuple[str, ...]) -> None:
    read_only(plain_user / ".dsvc")
    assert dsvc(*command, code=None).code in (0, 1)


@each(ALL)
def test_a_repository_without_permission(dsvc, plain_user: Path, command: tuple[str, ...]) -> None:
    arguments = filled(dsvc, command)
    (plain_user / ".dsvc").chmod(0)
    error = dsvc(*arguments, code=None)
    (plain_user / ".dsvc").chmod(0o700)
    assert error.code in (3, 4), error
    assert "error: " in error.err


class TestNoPermission:
    def test_files(self, dsvc, plain_user: Path) -> None:
        before = state_of(plain_user)
        (plain_user / "more.json").chmod(0)
        (plain_user / "images" / "a.jpg").chmod(0)
        assert "more.json cannot be read: Permission denied" in dsvc("import", "more.json", code=3).err
        assert "a.jpg: " in dsvc("add", "images/a.jpg", code=3).err
        assert "a.jpg: " in dsvc("add", "images", code=1).err
        (plain_user / "more.json").chmod(0o600)
        (plain_user / "images" / "a.jpg").chmod(0o600)
        dsvc("undo")
        assert state_of(plain_user).keys() == before.keys()

    def test_folders(self, dsvc, plain_user: Path) -> None:
        (plain_user / "locked").mkdir(mode=0o500)
        dsvc("init", "locked", code=3)
        dsvc("init", "locked/new", code=3)
        dsvc("demo", "locked/new", code=3)
        dsvc("export", "v1", "-o", "locked/out", "--format", "coco", code=3)
        dsvc("export", "v1", "-o", "locked/out.zip", code=3)
        (plain_user / "locked").chmod(0)
        dsvc("-C", "locked", "list", code=3)
        dsvc("add", "locked", code=3)
        dsvc("import", "more.json", "--images", "locked")
        (plain_user / "locked").chmod(0o700)

    def test_rejects_that_cannot_be_written(self, dsvc, plain_user: Path, coco, write) -> None:
        import json

        (plain_user / "in").mkdir()
        wrong = coco(annotations=[{"id": 1, "image_id": 99, "category_id": 1, "bbox": [1, 2, 3, 4]}])
        (plain_user / "in" / "wrong.json").write_text(json.dumps(wrong))
        (plain_user / "in").chmod(0o500)
        before = state_of(plain_user)
        dsvc("import", "in/wrong.json", "--on-error", "skip", code=3)
        assert state_of(plain_user) == before
        (plain_user / "in").chmod(0o700)


@pytest.fixture
def small_disk(staged: Path, tmp_path: Path) -> Iterator[Path]:
    """The project on a disk of 2 MB that a file called `filler` fills."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(place)]
    if not ROOT or not shutil.which("mount") or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("a small disk needs the right to mount one")
    try:
        shutil.copytree(staged, place / "project")
        os.chdir(place / "project")
        yield place / "project"
    finally:
        os.chdir(tmp_path)
        gc.collect()  # what still holds files open
        subprocess.run(["umount", str(place)], check=True)


def fill(folder: Path) -> Path:
    filler = folder / "filler"
    with open(filler, "wb", buffering=0) as file:
        for size in (65536, 4096, 1):
            try:
                while file.write(b"x" * size) == size:
                    pass
            except OSError:
                continue
    return filler


@each({**WRITING, "export": ("export", "v1", "-o", "out"), "coco": ("export", "v1", "-o", "out", "--format", "coco")})
def test_a_full_disk(dsvc, small_disk: Path, command: tuple[str, ...]) -> None:
    arguments = filled(dsvc, command)
    before = state_of(small_disk)
    filler = fill(small_disk.parent)
    error = dsvc(*arguments, code=3).err
    assert "space" in error.lower() or "full" in error.lower()
    assert state_of(small_disk) == before
    filler.unlink()
    dsvc("check", code=1)
    dsvc(*arguments)


def test_a_full_disk_for_new_repositories(dsvc, small_disk: Path) -> None:
    filler = fill(small_disk.parent)
    dsvc("init", "../new", code=3)
    dsvc("demo", "../demo", code=3)
    filler.unlink()
    dsvc("init", "../new")


@each(ALL)
def test_a_newer_format(dsvc, staged: Path, command: tuple[str, ...]) -> None:
    head = staged / ".dsvc" / "head"
    head.write_bytes(head.read_bytes().replace(b"dsvc 1\n", b"dsvc 2\n"))
    before = state_of(staged)
    error = dsvc(*command, code=3).err
    assert error.startswith("error: the repository has format 2\nhint: ")
    assert state_of(staged) == before


@each(ALL)
def test_a_needed_feature(dsvc, staged: Path, command: tuple[str, ...]) -> None:
    head = staged / ".dsvc" / "head"
    body = head.read_bytes().partition(b"check ")[0].replace(b"must\n", b"must teleport\n")
    head.write_bytes(body + f"check {xxhash.xxh3_64_hexdigest(body)}\n".encode())
    assert dsvc(*command, code=3).err.startswith("error: the repository needs the feature teleport\nhint: ")


@each(ALL)
def test_a_damaged_head(dsvc, staged: Path, command: tuple[str, ...]) -> None:
    head = staged / ".dsvc" / "head"
    head.write_bytes(head.read_bytes()[:-20])
    assert dsvc(*command, code=5).err.startswith("error: the repository's head is damaged\n")


def test_damaged_settings(dsvc, staged: Path) -> None:
    (staged / ".dsvc" / "workspace.toml").write_text("id = [")
    assert "workspace.toml cannot be read" in dsvc("status", code=5).err


def test_a_clock_that_ran_backwards(dsvc, staged: Path) -> None:
    repository = library.open(staged)
    now = repository.now()
    repository.now = lambda: Moment(now.seconds + 3 * 86400)
    repository.describe("pets", "from the future")
    before = state_of(staged)
    expected = (
        "error: the clock is more than a day behind this repository's last operation\n"
        "hint: set the clock, or give the time: --date\n"
    )
    assert dsvc("commit", "-m", "x", *SIGNED, code=3).err == expected
    assert dsvc("version", "create", "--commit", *SIGNED, code=3).err == expected
    assert state_of(staged) == before
    dsvc("commit", "-m", "x", *SIGNED, "--date", "2024-05-01T12:00:00Z")
