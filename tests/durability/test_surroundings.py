"""Bad surroundings: one clear error, nothing changed, nothing left running, and the next try succeeds."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from harness import (
    AUTHOR,
    Place,
    Trap,
    coco_file,
    dsvc_threads,
    files_below,
    in_child,
    is_whole,
    keys,
    needs_fork,
    no_space,
    pets,
    picture,
    places_of,
    project,
    write_files,
)

import dsvc
import dsvc.core.exporting
import dsvc.core.imports.importing
from dsvc.core import workspace
from dsvc.core.check import check
from dsvc.core.files.adding import add_files
from dsvc.core.imports import sorter
from dsvc.core.operations import restore, undo
from dsvc.errors import (
    DamagedError,
    DsvcError,
    NotFoundError,
    NotRepositoryError,
    RefusedError,
    UnsupportedFormatError,
)
from dsvc.model.commit import Moment

Work = Callable[[Path], object]
NOBODY = 65534


def prepared(folder: Path) -> Path:
    """A repository with a commit, a version, a draft, and files that wait to be added."""
    project(folder, before=3)
    pets(folder).add(folder / "before")
    pets(folder).commit("first")
    pets(folder).create_version("v1")
    pets(folder).annotate("before/000.jpg", "cat")
    write_files(folder / "new", 6, 70_000)
    coco_file(folder / "new.json", "coco", 40, 20)
    return folder


OPERATIONS: dict[str, Work] = {
    "add": lambda folder: pets(folder).add(folder / "new"),
    "import": lambda folder: pets(folder).import_(folder / "new.json"),
    "annotate": lambda folder: pets(folder).annotate("before/001.jpg", "dog"),
    "remove": lambda folder: pets(folder).remove("before/001.jpg"),
    "discard": lambda folder: pets(folder).discard(),
    "commit": lambda folder: pets(folder).commit("second"),
    "version": lambda folder: pets(folder).create_version("v2", commit=True),
    "delete version": lambda folder: pets(folder).delete_version("v1"),
    "create": lambda folder: dsvc.open(folder, author=AUTHOR).create("other"),
    "describe": lambda folder: dsvc.open(folder).describe("pets", "all of them"),
    "rename": lambda folder: dsvc.open(folder).rename("pets", "animals"),
    "delete": lambda folder: dsvc.open(folder).delete("pets"),
    "undo": lambda folder: undo(dsvc.open(folder)),
    "restore": lambda folder: restore(dsvc.open(folder), dsvc.open(folder).store.head.operation.hex()[:8]),
}
CHANGING = [name for name in OPERATIONS if name != "restore"]  # which changes nothing here


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda fd: None)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepared(tmp_path_factory.mktemp("surroundings") / "base")


@pytest.fixture
def fresh(base: Path, tmp_path: Path) -> Iterator[Callable[[], Path]]:
    """Gives a new copy of the prepared project; the one before is gone."""

    def fresh() -> Path:
        folder = tmp_path / "work"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(base, folder)
        return folder

    yield fresh
    assert dsvc_threads() == []


def head(folder: Path) -> bytes:
    return (folder / ".dsvc" / "head").read_bytes()


def leftovers(folder: Path) -> list[Path]:
    return list((folder / ".dsvc" / "tmp").iterdir())


def spread(places: list[Place], most: int) -> list[Place]:
    return [places[n * len(places) // most] for n in range(most)] if len(places) > most else places


# ---- a full disk


def full_from(number: int, phase: str, once: bool) -> Trap:
    """A disk that is full at one place, or from there on; removing files goes on working."""

    def act(place: Place, path: Path) -> None:
        hit = (place.number, place.phase) == (number, phase)
        if hit or (not once and place.number > number and place.call in ("create", "write", "sync", "make_folder")):
            raise no_space(path)

    return Trap(act)


@pytest.mark.parametrize("once", [True, False], ids=["once", "from-then-on"])
@pytest.mark.parametrize("name", CHANGING)
def test_a_full_disk_changes_nothing(name: str, once: bool, fresh: Callable[[], Path]) -> None:
    work, folder = OPERATIONS[name], fresh()
    places = [p for p in places_of(lambda: work(folder)) if p.phase == ("half" if p.call == "write" else "before")]
    failed = 0
    for place in spread(places, 20):
        folder = fresh()
        before = head(folder)
        try:
            with full_from(place.number, place.phase, once).set():
                work(folder)
        except DsvcError as error:
            failed += 1
            assert "No space left on device" in error.message, place
            assert error.hint, place
            assert head(folder) == before, place
            assert leftovers(folder) == [], place
            assert dsvc_threads() == [], place
            work(folder)
        assert head(folder) != before, place
        assert is_whole(folder), place
    assert failed >= 5


@needs_fork
@pytest.mark.parametrize("limit", [0, 100, 3_000, 60_000, 200_000])
def test_a_file_that_may_not_grow_changes_nothing(limit: int, fresh: Callable[[], Path]) -> None:
    import resource

    folder = fresh()
    before = head(folder)

    def work() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        with contextlib.suppress(DsvcError):
            pets(folder).add(folder / "new")
            raise AssertionError("there was room")
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        assert head(folder) == before
        assert leftovers(folder) == []
        pets(folder).add(folder / "new")

    assert in_child(work) == 0
    assert is_whole(folder)


def test_a_big_file_on_a_full_disk_is_no_mere_problem_of_that_file(fresh: Callable[[], Path]) -> None:
    folder = fresh()
    (folder / "new" / "0-big.jpg").write_bytes(os.urandom(17 << 20))
    before = head(folder)
    writes = [p for p in places_of(lambda: OPERATIONS["add"](fresh())) if p.call == "write"]
    folder = fresh()
    (folder / "new" / "0-big.jpg").write_bytes(os.urandom(17 << 20))
    with full_from(writes[0].number + 9, "half", once=True).set(), pytest.raises(RefusedError, match="No space left"):
        pets(folder).add(folder / "new")
    assert head(folder) == before
    assert leftovers(folder) == []
    assert pets(folder).add(folder / "new").new == 7
    assert is_whole(folder)


def test_a_pack_that_was_half_written_is_never_published(fresh: Callable[[], Path]) -> None:
    """Whoever catches the error and goes on in the same edit must not get a pack whose offsets are off."""
    folder = fresh()
    big = folder / "new" / "0-big.jpg"
    big.write_bytes(os.urandom(17 << 20))
    before = head(folder)
    dataset = pets(folder)
    writes: list[Place] = []

    def act(place: Place, path: Path) -> None:
        if place.call == "write" and place.phase == "half" and place.file == "pack":
            writes.append(place)
            if len(writes) == 6:  # the small file before is written by then
                raise no_space(path)

    with Trap(act).set(), pytest.raises(DsvcError), dataset.edit() as draft:
        add_files(draft, [folder / "new" / "000.jpg"], None)
        with pytest.raises(RefusedError):
            add_files(draft, [big], None)
        add_files(draft, [folder / "new" / "001.jpg"], None)
    assert len(writes) >= 6
    assert head(folder) == before
    assert is_whole(folder)


def test_a_sort_that_finds_no_room_says_so(fresh: Callable[[], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sorter.Sorter.__init__, "__defaults__", (None, 10_000))  # bytes a run
    folder = fresh()
    before = head(folder)

    def full(*_: object, **__: object) -> object:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(sorter.tempfile, "TemporaryFile", full)
        with pytest.raises(RefusedError, match="No space left on device"):
            OPERATIONS["import"](folder)
    assert head(folder) == before
    OPERATIONS["import"](folder)
    assert is_whole(folder)


@pytest.mark.parametrize("name", ["create", "rename"])
def test_a_workspace_file_that_finds_no_room_stops_it_all(
    name: str, fresh: Callable[[], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What also moves the current dataset must not have half happened."""
    folder = fresh()
    before = files_below(folder / ".dsvc")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(workspace, "os", SimpleNamespace(fsync=full))
        with pytest.raises(RefusedError, match="No space left on device"):
            OPERATIONS[name](folder)
    assert files_below(folder / ".dsvc") == before
    OPERATIONS[name](folder)
    assert dsvc.open(folder).dataset().name == {"create": "other", "rename": "animals"}[name]


# ---- Ctrl-C


@pytest.mark.parametrize("name", CHANGING)
def test_an_interrupt_at_any_call_leaves_all_or_nothing(name: str, fresh: Callable[[], Path]) -> None:
    work, folder = OPERATIONS[name], fresh()
    places = [p for p in places_of(lambda: work(folder)) if p.phase != "before"]
    interrupted = 0
    for place in spread(places, 25):
        folder = fresh()
        before = head(folder)

        def act(now: Place, _: Path, place: Place = place) -> None:
            if now[:2] == place[:2] and now.phase == place.phase:
                assert threading.current_thread() is threading.main_thread()
                raise KeyboardInterrupt

        try:
            with Trap(act).set():
                work(folder)
        except KeyboardInterrupt:
            interrupted += 1
        else:
            pytest.fail(f"{place}: the interrupt was swallowed")
        assert dsvc_threads() == [], place
        # Of a file that was just made, the descriptor had not come back yet.
        assert len(leftovers(folder)) <= (place.call == "create"), place
        assert is_whole(folder), place
        if head(folder) == before:
            assert not place.swapped, place
            work(folder)
            assert head(folder) != before
        else:
            assert place.call in ("replace", "sync_folder", "unlink"), place
    assert interrupted >= 10


# ---- permissions


@pytest.fixture
def open_to_all(base: Path) -> Iterator[Path]:
    """A copy of the project in a folder that everyone may enter, so that nobody can be asked to work there."""
    top = Path(tempfile.mkdtemp(prefix="dsvc-durability-"))
    top.chmod(0o755)
    folder = top / "project"
    shutil.copytree(base, folder)
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    yield folder
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755)
    shutil.rmtree(top)


def as_nobody(work: Callable[[], None]) -> None:
    """Run as a user to whom permissions mean something."""

    def drop_and_work() -> None:
        if os.getuid() == 0:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
        work()

    assert in_child(drop_and_work) == 0


def chmod_all(folder: Path, mode: int) -> None:
    """Take those permissions away from a folder and all in it."""
    for path in [*folder.rglob("*"), folder]:
        path.chmod(stat.S_IMODE(path.stat().st_mode) & ~mode)


@needs_fork
def test_a_read_only_repository_can_be_read_and_refuses_all_else(open_to_all: Path, tmp_path: Path) -> None:
    folder = open_to_all
    chmod_all(folder / ".dsvc", 0o222)
    before, told = files_below(folder / ".dsvc"), picture(folder)

    def work() -> None:
        assert picture(folder) == told
        pets(folder).status()
        assert is_whole(folder)
        assert sum(1 for _ in pets(folder).changes()) == 2  # an annotation and its concept
        for name in CHANGING:
            try:
                OPERATIONS[name](folder)
            except DsvcError as error:
                assert "denied" in error.message or "read-only" in error.message.lower(), name
                assert error.hint, name
            else:
                raise AssertionError(f"{name} was not refused")
        assert dsvc_threads() == []

    as_nobody(work)
    assert files_below(folder / ".dsvc") == before


@needs_fork
@pytest.mark.parametrize("part", [".", "head", "workspace.toml", "packs", "index", "manifests", "lock", "tmp"])
def test_a_part_without_permission_is_named_in_the_error(part: str, open_to_all: Path) -> None:
    folder = open_to_all
    before = files_below(folder / ".dsvc")
    shut = folder / ".dsvc" / part
    shut.chmod(0)
    for path in shut.iterdir() if shut.is_dir() and part != "." else ():
        path.chmod(0)

    def work() -> None:
        with pytest.raises(DsvcError, match="denied"):
            OPERATIONS["add"](folder)
        if part not in ("lock", "tmp"):
            with pytest.raises(DsvcError, match="denied"):
                list(pets(folder).draft().samples())

    as_nobody(work)
    for path in [shut, *(shut.iterdir() if shut.is_dir() else ())]:
        path.chmod(0o755)
    assert files_below(folder / ".dsvc") == before


@needs_fork
def test_a_project_folder_that_may_not_be_written_gets_no_repository(tmp_path: Path) -> None:
    top = Path(tempfile.mkdtemp(prefix="dsvc-durability-"))
    top.chmod(0o555)

    def work() -> None:
        with pytest.raises(RefusedError, match=r"cannot be made|denied"):
            dsvc.init(top / "project")
        with pytest.raises(RefusedError, match=r"cannot be made|denied"):
            dsvc.init(top)

    as_nobody(work)
    assert list(top.iterdir()) == []
    top.rmdir()


# ---- damage from outside


def test_a_newer_format_is_told_from_damage(fresh: Callable[[], Path]) -> None:
    folder = fresh()
    path = folder / ".dsvc" / "head"
    path.write_bytes(head(folder).replace(b"dsvc 1\n", b"dsvc 2\n"))
    before = stored_below(folder)
    for name, work in OPERATIONS.items():
        with pytest.raises(UnsupportedFormatError, match="format 2"):
            work(folder)
        assert stored_below(folder) == before, name
    path.write_bytes(b"dsvc 7\nand things that nobody knows yet")
    with pytest.raises(UnsupportedFormatError, match="format 7"):
        check(dsvc.open(folder))


def test_a_feature_that_must_be_understood_is_refused(fresh: Callable[[], Path]) -> None:
    import xxhash

    folder = fresh()
    body = head(folder).rpartition(b"check ")[0].replace(b"\nmust\n", b"\nmust telepathy\n")
    (folder / ".dsvc" / "head").write_bytes(body + f"check {xxhash.xxh3_64_hexdigest(body)}\n".encode())
    for work in OPERATIONS.values():
        with pytest.raises(UnsupportedFormatError, match="telepathy"):
            work(folder)


def test_a_head_that_was_cut_off_is_damage(fresh: Callable[[], Path]) -> None:
    folder = fresh()
    whole = head(folder)
    for length in [0, 1, 6, 7, 20, len(whole) // 2, len(whole) - 2, len(whole) - 1]:
        (folder / ".dsvc" / "head").write_bytes(whole[:length])
        before = stored_below(folder)
        for work in OPERATIONS.values():
            with pytest.raises(DamagedError, match="head"):
                work(folder)
        assert stored_below(folder) == before
    (folder / ".dsvc" / "head").write_bytes(whole)
    assert is_whole(folder)


def test_every_flipped_byte_of_the_head_is_noticed(fresh: Callable[[], Path]) -> None:
    folder = fresh()
    whole = head(folder)
    for at in range(len(whole)):
        (folder / ".dsvc" / "head").write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises((DamagedError, UnsupportedFormatError)):
            dsvc.open(folder).dataset("pets")


def test_a_missing_head_is_no_repository(fresh: Callable[[], Path]) -> None:
    folder = fresh()
    (folder / ".dsvc" / "head").unlink()
    for work in OPERATIONS.values():
        with pytest.raises(NotRepositoryError):
            work(folder)


def test_a_folder_in_place_of_the_head_is_refused(fresh: Callable[[], Path]) -> None:
    folder = fresh()
    (folder / ".dsvc" / "head").unlink()
    (folder / ".dsvc" / "head").mkdir()
    for work in OPERATIONS.values():
        with pytest.raises(RefusedError, match="head"):
            work(folder)


@pytest.mark.parametrize("part", ["manifests", "index", "packs"])
def test_a_missing_file_is_damage_that_is_named(part: str, fresh: Callable[[], Path]) -> None:
    folder = fresh()
    count = len(list((folder / ".dsvc" / part).iterdir()))
    for number in range(count):
        folder = fresh()
        gone = sorted((folder / ".dsvc" / part).iterdir())[number]
        gone.unlink()
        before = head(folder)
        with contextlib.suppress(DamagedError):  # what lies elsewhere can be worked with
            OPERATIONS["annotate"](folder)
            before = head(folder)
        assert head(folder) == before
        if part == "manifests":
            with pytest.raises(DamagedError, match=gone.name[:8]):
                check(dsvc.open(folder))
        else:
            damage = check(dsvc.open(folder)).damage
            assert any(gone.name[:8] in finding.text + finding.name for finding in damage)


def test_every_truncated_file_is_damage(fresh: Callable[[], Path]) -> None:
    folder = fresh()
    for path in sorted(p for part in ("manifests", "index", "packs") for p in (folder / ".dsvc" / part).iterdir()):
        whole = path.read_bytes()
        for length in (0, len(whole) // 2, len(whole) - 1):
            path.write_bytes(whole[:length])
            try:
                assert check(dsvc.open(folder)).damage, path
            except DamagedError:
                assert path.parent.name == "manifests"
        path.write_bytes(whole)
    assert is_whole(folder)


def test_empty_folders_that_a_copy_left_out_are_made_again(fresh: Callable[[], Path]) -> None:
    folder = fresh()
    (folder / ".dsvc" / "tmp").rmdir()
    (folder / ".dsvc" / "lock").unlink()
    OPERATIONS["add"](folder)
    assert is_whole(folder)


def test_a_damaged_workspace_file_is_named(fresh: Callable[[], Path]) -> None:
    folder = fresh()
    for content in (b"id = \n", b"\xff\xfe"):
        (folder / ".dsvc" / "workspace.toml").write_bytes(content)
        for work in OPERATIONS.values():
            with pytest.raises(DamagedError, match=r"workspace\.toml"):
                work(folder)


def test_work_in_a_repository_without_its_workspace_file_is_kept(fresh: Callable[[], Path]) -> None:
    folder = fresh()
    (folder / ".dsvc" / "workspace.toml").unlink()
    pets(folder).add(folder / "new")
    assert [key for key in keys(pets(folder)) if key.startswith("new")] == [f"new/{n:03}.jpg" for n in range(6)]


# ---- clocks


def test_a_clock_that_runs_backwards_signs_no_commit(fresh: Callable[[], Path]) -> None:
    folder = fresh()
    last = dsvc.open(folder).operation.time.seconds
    for back in (86_500, 10 * 365 * 86_400, last):
        dataset = pets(folder)
        dataset.repository.now = lambda back=back: Moment(last - back)
        before = head(folder)
        with pytest.raises(RefusedError, match="clock"):
            dataset.commit("in the past")
        with pytest.raises(RefusedError, match="clock"):
            dataset.create_version("old", commit=True)
        assert head(folder) == before
    dataset.commit("on purpose", time=Moment(last - 10**6))


def test_a_clock_a_little_behind_loses_nothing(fresh: Callable[[], Path]) -> None:
    folder = fresh()
    last = dsvc.open(folder).operation.time.seconds
    dataset = pets(folder)
    ticks = iter(range(last, 0, -600))
    dataset.repository.now = lambda: Moment(next(ticks))
    for number in range(6):
        dataset.add(folder / "new" / f"{number:03}.jpg")
        dataset.commit(f"step {number}")
    messages = [logged.commit.message for logged in dataset.log()]
    assert messages == [*(f"step {number}" for number in (5, 4, 3, 2, 1, 0)), "first"]
    undo(dataset.repository)
    assert [logged.commit.message for logged in pets(folder).log()] == messages[1:]
    assert is_whole(folder)


def stored_below(folder: Path) -> dict[str, bytes]:
    """What a repository keeps, less what is true whatever became of an edit: which files were read and lay here."""
    found = files_below(folder / ".dsvc")
    return {name: data for name, data in found.items() if not name.startswith(("cache/", "seen/"))}


def test_the_work_of_an_edit_that_fails_is_dropped_whole(fresh: Callable[[], Path]) -> None:
    folder = fresh()
    before = stored_below(folder)
    with pytest.raises(NotFoundError), pets(folder).edit() as draft:
        add_files(draft, [folder / "new"], None)
        draft.remove_inputs(["nowhere"])
    assert stored_below(folder) == before
    assert dsvc_threads() == []
