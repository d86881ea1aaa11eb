"""What every backend must do."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from dsvc.errors import NotFoundError, RefusedError
from dsvc.store.backend import Backend
from dsvc.store.bucket import BucketBackend
from dsvc.store.files import OsFiles
from dsvc.store.local import LocalBackend


def put(backend: Backend, name: str, data: bytes) -> None:
    upload = backend.create()
    upload.write(data)
    upload.finish(name)


def test_a_finished_file_is_read_back(backend: Backend) -> None:
    put(backend, "packs/one", b"hello world")
    assert backend.read("packs/one") == b"hello world"
    assert backend.size("packs/one") == 11


@pytest.mark.parametrize(
    ("offset", "length", "expected"),
    [(0, 5, b"hello"), (6, None, b"world"), (6, 99, b"world"), (11, 3, b""), (50, 3, b""), (2, 0, b"")],
)
def test_ranges_end_where_the_file_ends(backend: Backend, offset: int, length: int | None, expected: bytes) -> None:
    put(backend, "packs/one", b"hello world")
    assert backend.read("packs/one", offset, length) == expected


def test_a_missing_file_is_not_found(backend: Backend) -> None:
    with pytest.raises(NotFoundError):
        backend.read("packs/none")
    with pytest.raises(NotFoundError):
        backend.size("packs/none")


def test_reading_an_empty_place_creates_nothing(tmp_path: Path) -> None:
    backend = LocalBackend(tmp_path / "nowhere")
    assert backend.read_head() is None
    assert backend.names() == []
    assert not (tmp_path / "nowhere").exists()


def test_an_upload_is_readable_by_its_writer_only(backend: Backend) -> None:
    upload = backend.create()
    upload.write(b"abc")
    upload.write(memoryview(b"def"))
    assert upload.read(2, 3) == b"cde"
    assert backend.names("packs/") == []
    # What is on its way to a bucket lies on this machine.
    assert len(backend.names("tmp/")) == (0 if isinstance(backend, BucketBackend) else 1)
    upload.finish("packs/one")
    assert backend.names() == ["packs/one"]


def test_an_aborted_upload_leaves_nothing(backend: Backend) -> None:
    upload = backend.create()
    upload.write(b"abc")
    upload.abort()
    upload.abort()
    assert backend.names() == []


def test_abort_after_finish_does_nothing(backend: Backend) -> None:
    upload = backend.create()
    upload.finish("index/one")
    upload.abort()
    assert backend.read("index/one") == b""


def test_delete_removes_once_and_is_repeatable(backend: Backend) -> None:
    put(backend, "packs/one", b"x")
    assert backend.read("packs/one") == b"x"
    backend.delete("packs/one")
    backend.delete("packs/one")
    assert backend.names() == []
    with pytest.raises(NotFoundError):
        backend.read("packs/one")


def test_names_are_sorted_and_filtered(backend: Backend) -> None:
    for name in ("packs/b", "packs/a", "index/c"):
        put(backend, name, b"")
    assert backend.names() == ["index/c", "packs/a", "packs/b"]
    assert backend.names("packs/") == ["packs/a", "packs/b"]


def test_the_head_is_swapped_only_from_what_was_expected(backend: Backend) -> None:
    assert backend.read_head() is None
    assert not backend.swap_head(b"x", b"one")
    assert backend.swap_head(None, b"one")
    assert not backend.swap_head(None, b"two")
    assert backend.swap_head(b"one", b"two")
    assert backend.read_head() == b"two"


def rival(backend: Backend) -> Backend:
    """Another writer's backend of the same place."""
    if isinstance(backend, BucketBackend):
        return BucketBackend(backend._store, backend._prefix)
    return LocalBackend(backend.root) if isinstance(backend, LocalBackend) else backend


def test_of_two_who_read_the_same_head_one_wins(backend: Backend) -> None:
    backend.swap_head(None, b"one")
    other = rival(backend)
    assert backend.read_head() == other.read_head() == b"one"
    assert other.swap_head(b"one", b"theirs")
    assert not backend.swap_head(b"one", b"ours"), "it was read before the other swap"
    assert backend.read_head() == b"theirs"
    assert backend.swap_head(b"theirs", b"ours") and other.read_head() == b"ours"


def test_of_many_who_make_the_first_head_one_wins(backend: Backend) -> None:
    won: list[int] = []

    def make(number: int) -> None:
        if rival(backend).swap_head(None, b"%d" % number):
            won.append(number)

    threads = [threading.Thread(target=make, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1 and backend.read_head() == b"%d" % won[0]


def test_a_swap_inside_a_turn_does_not_deadlock(backend: Backend) -> None:
    with backend.turn(), backend.turn():
        assert backend.swap_head(None, b"one")
    assert backend.read_head() == b"one"


def test_a_turn_holds_off_other_threads(backend: Backend) -> None:
    done = threading.Event()

    def rival() -> None:
        backend.swap_head(None, b"rival")
        done.set()

    thread = threading.Thread(target=rival)
    with backend.turn():
        thread.start()
        assert backend.swap_head(None, b"mine")
        assert not done.wait(0.05)
    thread.join()
    assert backend.read_head() == b"mine"


def test_two_local_backends_share_one_lock(tmp_path: Path) -> None:
    one, two = LocalBackend(tmp_path / "r"), LocalBackend(tmp_path / "r")
    thread = threading.Thread(target=two.swap_head, args=(None, b"two"))
    with one.turn():
        thread.start()
        assert one.swap_head(None, b"one")
    thread.join()
    assert one.read_head() == b"one"


def test_more_files_than_the_cache_holds(tmp_path: Path) -> None:
    backend = LocalBackend(tmp_path / "r")
    for number in range(100):
        put(backend, f"packs/{number:03}", b"%d" % number)
    for _ in range(2):
        assert [int(backend.read(name)) for name in backend.names("packs/")] == list(range(100))


def test_readers_survive_the_eviction_of_their_file(tmp_path: Path) -> None:
    backend = LocalBackend(tmp_path / "r")
    for number in range(80):
        put(backend, f"packs/{number:03}", b"%03d" % number * 100)
    wrong: list[str] = []

    def read(start: int) -> None:
        for step in range(2000):
            name = f"{(start + step * 7) % 80:03}"
            if backend.read(f"packs/{name}", 3, 3) != name.encode():
                wrong.append(name)

    threads = [threading.Thread(target=read, args=(start,)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


class FailingFiles(OsFiles):
    """Every write fails as the operating system would."""

    def __init__(self, number: int) -> None:
        self.number = number

    def write(self, fd: int, path: Path, data: bytes | memoryview) -> None:
        from dsvc.store.files import refusing

        with refusing(path):
            raise OSError(self.number, "no good")


@pytest.mark.parametrize("number", [28, 30, 13, 1, 122])
def test_failures_of_the_disk_are_refused_with_path_and_hint(tmp_path: Path, number: int) -> None:
    backend = LocalBackend(tmp_path / "r", FailingFiles(number))
    with pytest.raises(RefusedError) as caught:
        put(backend, "packs/one", b"x")
    assert str(tmp_path) in caught.value.message
    assert caught.value.hint


def test_a_folder_in_place_of_a_file_is_refused(tmp_path: Path) -> None:
    backend = LocalBackend(tmp_path / "r")
    (tmp_path / "r" / "packs" / "one").mkdir(parents=True)
    with pytest.raises(RefusedError):
        backend.read("packs/one")


def test_a_file_in_place_of_the_repository_is_refused(tmp_path: Path) -> None:
    (tmp_path / "r").write_text("I am a file")
    with pytest.raises(RefusedError):
        LocalBackend(tmp_path / "r").create()


def test_files_tell_size_and_time_by_the_clock_of_the_place(backend: Backend) -> None:
    before = backend.clock()
    put(backend, "packs/one", b"abc")
    put(backend, "index/two", b"")
    found = backend.files()
    assert [(info.name, info.size) for info in found] == [("index/two", 0), ("packs/one", 3)]
    # A second's slack: object stores tell whole seconds.
    assert all(before - 1 <= info.modified <= backend.clock() + 1 for info in found)
    assert [info.name for info in backend.files("packs/")] == ["packs/one"]
    assert backend.names() == ["index/two", "packs/one"]  # asking the time leaves nothing


def test_many_are_removed_at_once(backend: Backend) -> None:
    for name in ("packs/a", "packs/b", "index/c"):
        put(backend, name, b"x")
    backend.delete_all(["packs/a", "index/c", "packs/never"])
    backend.delete_all([])
    assert backend.names() == ["packs/b"]
