"""References: keys, what stays as it is, the journal of a run that was broken off, reading, comparing, copying in."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from blake3 import blake3

from dsvc.core.dataset import Dataset
from dsvc.core.draft import Draft
from dsvc.core.files.choosing import LeftOut
from dsvc.core.references import cloud as cloud_module
from dsvc.core.references import folders, gathering, journal, materializing, referring
from dsvc.core.references.asked import Asked, read_list
from dsvc.core.references.noting import encode_unread, note_references
from dsvc.core.references.places import ENOUGH, Look, Places
from dsvc.core.references.references import find_changed, same_look
from dsvc.core.references.referring import ReferenceReport
from dsvc.errors import InvalidRecordsError, NotFoundError, RefusedError, RemoteError
from dsvc.model.commit import Moment
from dsvc.model.records import Input, Media, Reference, encode_input
from dsvc.store.ids import Kind, ObjectId, object_id

JPEG = b"\xff\xd8\xff\xc0\0\x11\x08" + struct.pack(">HH", 480, 640) + bytes(50)
ROOT = os.geteuid() == 0


@pytest.fixture
def nas(tmp_path: Path) -> Path:
    """A folder outside the project: two pictures, a text, and what is passed over."""
    photos = tmp_path / "nas" / "photos"
    (photos / "day").mkdir(parents=True)
    (photos / "a.jpg").write_bytes(JPEG)
    (photos / "day" / "b.jpg").write_bytes(JPEG + b"b")
    (photos / "day" / "c.txt").write_bytes(b"words")
    (photos / ".hidden").write_bytes(b"x")
    return photos


def refer(dataset: Dataset, *places: object, problems: int = 0, **options: Any) -> ReferenceReport:
    report = dataset.add_references(*places, **options)
    assert len(report.problems) == problems, report.problems
    return report


def media_of(dataset: Dataset, key: str) -> Media:
    media = dataset.draft()[key].input.media
    assert media is not None
    return media


def reference_of(dataset: Dataset, key: str) -> Reference:
    reference = media_of(dataset, key).reference
    assert reference is not None
    return reference


def keys(dataset: Dataset) -> list[str]:
    return [sample.key for sample in dataset.draft()]


def changes(dataset: Dataset) -> dict[str, str]:
    return dict(find_changed(dataset.repository, dataset.draft().snapshot))


def stored(dataset: Dataset) -> int:
    root = dataset.repository.root
    assert root is not None
    return sum(path.stat().st_size for path in (root / ".dsvc" / "packs").iterdir())


# ---- what is kept


def test_a_folder_is_referred_to_and_nothing_is_copied(pets: Dataset, nas: Path) -> None:
    (nas / "large.png").write_bytes(os.urandom(300_000))
    (nas / "README.md").write_bytes(b"no media")
    (nas / "jpg").write_bytes(b"no media either, by its name")
    assert refer(pets, nas) == ReferenceReport(4, 0, 0, (), LeftOut(1, 0, 2), 0)
    assert keys(pets) == ["photos/a.jpg", "photos/day/b.jpg", "photos/day/c.txt", "photos/large.png"]
    status = (nas / "a.jpg").stat()
    digest = ObjectId(blake3(JPEG).digest())
    reference = Reference(place=str(nas / "a.jpg"), size=len(JPEG), mtime=status.st_mtime_ns, hash=digest)
    expected = Media(reference=reference, type="image/jpeg", size=len(JPEG), width=640, height=480)
    assert media_of(pets, "photos/a.jpg") == expected
    assert stored(pets) < 20_000
    assert refer(pets, nas) == ReferenceReport(0, 0, 4, (), LeftOut(1, 0, 2), 0)
    assert refer(pets, nas, all_files=True) == ReferenceReport(2, 0, 4, (), LeftOut(1), 0)


def test_without_a_hash_no_byte_is_read(pets: Dataset, nas: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Places, "open", lambda *_: pytest.fail("a place was opened"))
    assert refer(pets, nas, hash=False)[:3] == (3, 0, 0)
    status = (nas / "a.jpg").stat()
    reference = Reference(place=str(nas / "a.jpg"), size=len(JPEG), mtime=status.st_mtime_ns)
    assert media_of(pets, "photos/a.jpg") == Media(reference=reference, type="image/jpeg", size=len(JPEG))
    assert refer(pets, nas, hash=False)[:3] == (0, 0, 3)


def test_each_file_is_looked_at_once(pets: Dataset, nas: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    real = folders._look
    monkeypatch.setattr(folders, "_look", lambda entry: asked.append(entry.name) or real(entry))
    refer(pets, nas, hash=False)
    assert sorted(asked) == ["a.jpg", "b.jpg", "c.txt"]


def test_the_hash_can_come_later_and_is_not_lost(pets: Dataset, nas: Path) -> None:
    refer(pets, nas, hash=False)
    assert refer(pets, nas)[:3] == (0, 3, 0)
    hashed = media_of(pets, "photos/a.jpg")
    assert hashed.reference is not None and hashed.reference.hash is not None and hashed.width == 640
    assert refer(pets, nas, hash=False)[:3] == (0, 0, 3)
    assert media_of(pets, "photos/a.jpg") == hashed
    (nas / "a.jpg").write_bytes(b"other")
    assert refer(pets, nas, hash=False)[:3] == (0, 1, 2)
    assert media_of(pets, "photos/a.jpg").width is None and reference_of(pets, "photos/a.jpg").hash is None


def test_what_else_an_input_has_stays(
    pets: Dataset, nas: Path, coco: Callable[..., Any], write: Callable[..., Path]
) -> None:
    pets.import_(write(coco()))
    declared = pets.draft()["a.jpg"].input
    assert refer(pets, nas / "a.jpg", root=nas)[:3] == (0, 1, 0)
    now = pets.draft()["a.jpg"]
    assert msgspec.structs.replace(now.input, media=None) == declared and len(now.annotations) == 1
    assert now.read_bytes() == JPEG


@pytest.mark.parametrize(
    ("look", "type"),
    [
        (Look(5, None, 7), "image/jpeg"),
        (Look(0, None, -1), "text/plain"),
        (Look(2**40, '"e"', None), "image/jpeg"),
        (Look(5, None, 7), None),
        (Look(), None),
    ],
)
def test_a_new_reference_is_encoded_as_any_other_input(look: Look, type: str | None) -> None:
    reference = Reference(place="/ü/x", size=look.size, etag=look.etag, mtime=look.mtime)
    expected = encode_input(Input(key="", media=Media(reference=reference, type=type, size=look.size)))
    assert encode_unread("/ü/x", *look, type) == expected


# ---- keys


def test_keys_by_where_a_file_lies(
    pets: Dataset, nas: Path, tmp_path: Path, web: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    web.files = {"/set/x%20y.jpg": b"1", "/other/z.jpg?version=2": b"2"}
    (tmp_path / "project" / "own").mkdir()
    (tmp_path / "project" / "own" / "d.txt").write_bytes(b"mine")
    monkeypatch.chdir(tmp_path / "nas")
    refer(pets, "photos/day/b.jpg", "../project/own", web.url("/set/x%20y.jpg"), web.url("/other/z.jpg?version=2"))
    refer(pets, nas / "day", root=tmp_path / "nas")
    assert keys(pets) == [
        "day/b.jpg",
        "other/z.jpg",
        "own/d.txt",
        "photos/day/b.jpg",
        "photos/day/c.txt",
        "set/x y.jpg",
    ]
    refer(pets, web.url("/set/x%20y.jpg"), root=web.url("/set"))
    assert "x y.jpg" in keys(pets)


def test_a_place_outside_the_root_is_refused(pets: Dataset, nas: Path, tmp_path: Path) -> None:
    for place, root in ((nas, tmp_path / "na"), (nas, "https://h/x"), ("https://h/xy/a", "https://h/x")):
        with pytest.raises(RefusedError, match="lies outside"):
            pets.add_references(place, root=root)
    with pytest.raises(RefusedError, match="belongs to the repository itself"):
        pets.add_references(tmp_path / "project" / ".dsvc" / "head")
    with pytest.raises(NotFoundError, match="there is no such file or folder"):
        pets.add_references(nas / "none")
    assert not pets.has_draft()


def test_two_places_of_one_key_are_both_named_and_neither_is_taken(pets: Dataset, nas: Path, tmp_path: Path) -> None:
    second = tmp_path / "other" / "photos"
    second.mkdir(parents=True)
    (second / "a.jpg").write_bytes(JPEG)
    for hash in (True, False):
        report = refer(pets, nas, second, hash=hash, problems=1)
        text = f"{nas / 'a.jpg'}: would be the input 'photos/a.jpg', and so would {second / 'a.jpg'}"
        assert str(report.problems[0]) == text
        assert "photos/a.jpg" not in keys(pets)
    assert refer(pets, nas, nas / "a.jpg", nas)[:3] == (1, 0, 2)


def test_hostile_names_are_named_or_kept(pets: Dataset, nas: Path) -> None:
    good = ("new\nline.jpg", "ü.jpg", "a\\b.jpg", "x" * 246 + ".jpg")
    for name in good:
        (nas / name).write_bytes(b"1")
    (nas / "bad\udcff.jpg").write_bytes(b"1")
    (nas / "up\\..\\x.jpg").write_bytes(b"1")
    os.mkfifo(nas / "pipe")
    (nas / "in.jpg").symlink_to("a.jpg")
    (nas / "out").symlink_to("/etc/hosts")
    (nas / "loop").symlink_to("loop")
    (nas / "folder").symlink_to("day")
    for hash in (True, False):
        report = refer(pets, nas, hash=hash, problems=6)
        reasons = {Path(problem.place).name: problem.reason for problem in report.problems}
        assert reasons["pipe"] == "is a named pipe, and only regular files are read"
        assert reasons["folder"] == "is a link to a folder, and only regular files are read"
        assert reasons["out"].startswith("is a link that leads out of the folder")
        assert "circle" in reasons["loop"] and "not Unicode" in reasons["bad\udcff.jpg"]
        assert "`..`" in reasons["up\\..\\x.jpg"]
    assert {f"photos/{name}" for name in (*good, "in.jpg")} < set(keys(pets))
    assert reference_of(pets, "photos/in.jpg").place == str(nas / "in.jpg")


def test_a_key_that_is_too_long_is_named(pets: Dataset, tmp_path: Path) -> None:
    deep = tmp_path / "deep"
    for _ in range(5):
        deep /= "d" * 200
    deep.mkdir(parents=True)
    for name in ("a.jpg", "b" * 36 + ".jpg"):
        (deep / name).write_bytes(b"1")
    report = refer(pets, tmp_path / "deep", hash=False, problems=1)
    assert report.new == 1 and "1,050 bytes" in report.problems[0].reason


# ---- what is there already


def test_stored_bytes_stay_and_the_hash_decides(pets: Dataset, nas: Path, tmp_path: Path) -> None:
    same = tmp_path / "project" / "photos"
    (same / "day").mkdir(parents=True)
    (same / "a.jpg").write_bytes(JPEG)
    (same / "day" / "b.jpg").write_bytes(JPEG + b"B")
    pets.add(same)
    before = {key: media_of(pets, key) for key in keys(pets)}
    report = refer(pets, nas, hash=False, problems=2)
    assert report[:3] == (1, 0, 0)
    assert all("leave --no-hash out" in problem.reason for problem in report.problems)
    report = refer(pets, nas, problems=1)
    assert report[:3] == (0, 2, 0) and "'photos/day/b.jpg' has other bytes" in report.problems[0].reason
    noted = media_of(pets, "photos/a.jpg")
    assert noted.reference is not None and noted.reference.place == str(nas / "a.jpg")
    assert msgspec.structs.replace(noted, reference=None) == before["photos/a.jpg"]
    assert media_of(pets, "photos/day/b.jpg") == before["photos/day/b.jpg"]
    assert refer(pets, nas / "a.jpg", hash=False)[:3] == (0, 0, 1)


def test_a_reference_to_another_place_stays_unless_the_bytes_are_the_same(
    pets: Dataset, nas: Path, tmp_path: Path
) -> None:
    refer(pets, nas)
    moved = tmp_path / "new" / "photos"
    moved.mkdir(parents=True)
    (moved / "a.jpg").write_bytes(JPEG)
    report = refer(pets, moved, hash=False, problems=1)
    assert f"'photos/a.jpg' refers to {nas / 'a.jpg'}" in report.problems[0].reason
    assert refer(pets, moved)[:3] == (0, 1, 0)
    assert reference_of(pets, "photos/a.jpg").place == str(moved / "a.jpg")
    (moved / "a.jpg").write_bytes(b"other")
    assert refer(pets, moved)[:3] == (0, 1, 0)
    refer(pets, nas / "a.jpg", problems=1)


@pytest.mark.parametrize("few", [1, 10**9])
def test_both_ways_to_find_what_is_there(pets: Dataset, nas: Path, monkeypatch: pytest.MonkeyPatch, few: int) -> None:
    for number in range(300):
        (nas / f"{number}.jpg").write_bytes(b"%d" % number)
    refer(pets, nas, hash=False)
    monkeypatch.setattr("dsvc.core.references.noting._FEW", few)
    tree = pets.draft().snapshot.input_tree
    found = dict(list(tree)[50:60]) | {b"photos/new": encode_unread("/x", 1, None, 1, None)}
    noted = note_references(tree, found)
    assert (list(noted.edits), noted.new, noted.changed, noted.problems) == ([b"photos/new"], 1, 0, [])


def test_another_writer_came_first(pets: Dataset, nas: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Draft.finish

    def late(draft: Draft) -> None:
        monkeypatch.setattr(Draft, "finish", real)
        pets.add_references(nas / "day", root=nas)
        real(draft)

    monkeypatch.setattr(Draft, "finish", late)
    refer(pets, nas / "a.jpg", root=nas)
    assert keys(pets) == ["a.jpg", "day/b.jpg", "day/c.txt"]


# ---- lists


def test_a_list_has_places_and_keys(pets: Dataset, nas: Path, tmp_path: Path) -> None:
    text = f"\ufeff# what we have\r\n\r\n{nas / 'a.jpg'}\tpicture one.jpg\n{nas / 'day'}\n{nas / 'a.jpg'}\tagain\n"
    asked = read_list(text.encode(), "list.txt")
    assert [one.line for one in asked] == [3, 4, 5]
    assert refer(pets, *asked)[:3] == (4, 0, 0)
    assert keys(pets) == ["again", "day/b.jpg", "day/c.txt", "picture one.jpg"]
    assert media_of(pets, "again").type == "image/jpeg"
    report = refer(pets, Asked(str(nas / "day"), "key", 1), Asked(str(nas / "none"), None, 2), problems=2)
    assert [problem.reason for problem in report.problems] == ["is a folder, and a key names one input", "is not there"]


def test_errors_of_a_list_name_their_lines(pets: Dataset, nas: Path) -> None:
    with pytest.raises(InvalidRecordsError) as wrong:
        read_list(b"a\n\xff\n\tkey\nb\t\n", "list.txt")
    assert [problem.partition(":")[0] for problem in wrong.value.problems] == ["line 2", "line 3", "line 4"]
    asked = read_list(f"{nas}\nftp://h/x\n/a\t../up\nhttps://a:b@h/\n".encode(), "list.txt")
    with pytest.raises(InvalidRecordsError, match=r"list\.txt: 3 errors") as wrong:
        pets.add_references(*asked, name="list.txt")
    assert [problem.partition(":")[0] for problem in wrong.value.problems] == ["line 2", "line 3", "line 4"]
    assert not pets.has_draft()


# ---- runs that are broken off


class BrokenError(Exception):
    """What ends a run in the middle."""


def breaking(at: int) -> Callable[[str, int, int | None], None]:
    def progress(what: str, done: int, total: int | None) -> None:
        if done >= at:
            raise BrokenError

    return progress


@pytest.fixture
def many(tmp_path: Path) -> Path:
    folder = tmp_path / "many"
    for number in range(20):
        (folder / f"{number:02}").mkdir(parents=True)
        for name in range(10):
            (folder / f"{number:02}" / f"{name}.txt").write_bytes(b"%d %d" % (number, name))
    return folder


def journals(dataset: Dataset) -> list[Path]:
    folder = dataset.repository.cache_folder
    assert folder is not None
    return sorted(folder.glob("references-*")) if folder.exists() else []


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is looked at or read from here on, by name."""
    names: list[str] = []
    look, read = folders._look, referring.read_place
    monkeypatch.setattr(folders, "_look", lambda entry: names.append(entry.name) or look(entry))
    monkeypatch.setattr(
        referring, "read_place", lambda places, place, name: names.append(place) or read(places, place, name)
    )
    return names


@pytest.mark.parametrize("hash", [True, False])
def test_a_run_that_was_broken_off_goes_on(pets: Dataset, many: Path, asked: list[str], hash: bool) -> None:
    with pytest.raises(BrokenError):
        pets.add_references(many, hash=hash, progress=breaking(100))
    assert not pets.has_draft() and len(journals(pets)) == 1
    asked.clear()
    told: list[int] = []
    assert refer(pets, many, hash=hash, tell=told.append) == ReferenceReport(200, 0, 0, (), LeftOut(0), told[0])
    assert 100 <= told[0] < 200 and len(asked) == 200 - told[0]
    assert journals(pets) == []
    whole = pets.draft().snapshot.roots
    pets.discard()
    refer(pets, many, hash=hash)
    assert pets.draft().snapshot.roots == whole


def test_a_folder_of_many_files_goes_on_in_its_middle(
    pets: Dataset, tmp_path: Path, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "CHUNK", 10)
    flat = tmp_path / "flat"
    flat.mkdir()
    for number in range(95):
        (flat / f"{number}.jpg").write_bytes(b"1")
    os.mkfifo(flat / "pipe")
    with pytest.raises(BrokenError):
        pets.add_references(flat, hash=False, progress=breaking(40))
    asked.clear()
    (flat / "0.jpg").unlink()
    report = refer(pets, flat, hash=False, problems=1)
    assert (report.new, report.resumed, len(asked)) == (95, 40, 55)


def test_single_places_and_urls_go_on(pets: Dataset, web: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "_SOME", 5)
    web.files = {f"/x/{number}.jpg": b"%d" % number for number in range(30)}
    places = [web.url(path) for path in web.files]
    for hash, method in ((False, "HEAD"), (True, "GET")):
        with pytest.raises(BrokenError):
            pets.add_references(*places, hash=hash, progress=breaking(15))
        web.asked.clear()
        report = refer(pets, *places, hash=hash)
        assert report.resumed >= 15 and sum(report[:3]) == 30
        # Threads of the run that was broken off may still ask for what comes later.
        assert not {path for _, path in web.asked} & set(list(web.files)[:15])
        assert {how for how, _ in web.asked} == {method}


def test_an_other_question_has_another_journal(pets: Dataset, many: Path) -> None:
    with pytest.raises(BrokenError):
        pets.add_references(many, hash=False, progress=breaking(100))
    for options in ({"hash": True}, {"hash": False, "root": many}):
        with pytest.raises(BrokenError):
            pets.add_references(many, progress=breaking(100), **options)
    assert len({path.name.split("-")[1] for path in journals(pets)}) == 3
    assert refer(pets, many / "01", hash=False).resumed == 0
    assert refer(pets, many, hash=False).resumed > 0
    assert len(journals(pets)) == 2


def test_two_runs_have_two_journals_and_the_next_takes_both(pets: Dataset, many: Path) -> None:
    for at in (30, 150):
        with pytest.raises(BrokenError):
            pets.add_references(many, hash=False, progress=breaking(at))
    assert len(journals(pets)) == 2
    report = refer(pets, many, hash=False)
    assert report.resumed >= 150 and report.new == 200 and journals(pets) == []


@pytest.mark.parametrize("damage", ["torn", "flipped", "foreign", "empty", "folder"])
def test_a_damaged_journal_costs_time_alone(pets: Dataset, many: Path, damage: str) -> None:
    with pytest.raises(BrokenError):
        pets.add_references(many, hash=False, progress=breaking(100))
    (path,) = journals(pets)
    data = path.read_bytes()
    if damage == "torn":
        path.write_bytes(data[:-7])
    elif damage == "flipped":
        path.write_bytes(data[:500] + bytes([data[500] ^ 1]) + data[501:])
    elif damage == "foreign":
        payload = b"\x93\x01\x02\xc0"
        frame = struct.pack("<IQ", len(payload), journal.xxh3_64_intdigest(payload)) + payload
        path.write_bytes(journal.MAGIC + frame + b"\xff" * 40)
    else:
        path.unlink()
        path.mkdir() if damage == "folder" else path.write_bytes(b"")
    report = refer(pets, many, hash=False)
    assert report[:3] == (200, 0, 0) and (0 < report.resumed < 100) == (damage in ("torn", "flipped"))


def test_an_old_journal_is_not_used(pets: Dataset, many: Path, asked: list[str]) -> None:
    with pytest.raises(BrokenError):
        pets.add_references(many, hash=False, progress=breaking(100))
    now = pets.repository.now()
    pets.repository.now = lambda: Moment(now.seconds + journal.AGE + 60)
    asked.clear()
    assert refer(pets, many, hash=False).resumed == 0 and len(asked) == 200
    assert journals(pets) == []


@pytest.mark.skipif(ROOT, reason="root may write everywhere")
def test_a_cache_that_cannot_be_written_ends_nothing(pets: Dataset, many: Path) -> None:
    folder = pets.repository.cache_folder
    assert folder is not None
    folder.mkdir()
    folder.chmod(0o500)
    with pytest.raises(BrokenError):
        pets.add_references(many, hash=False, progress=breaking(100))
    assert refer(pets, many, hash=False).new == 200


def test_a_cache_that_is_no_folder_ends_nothing(pets: Dataset, many: Path) -> None:
    folder = pets.repository.cache_folder
    assert folder is not None
    folder.write_bytes(b"")
    with pytest.raises(BrokenError):
        pets.add_references(many, hash=False, progress=breaking(100))
    assert refer(pets, many, hash=False).new == 200


def test_results_are_written_while_the_run_goes_on(pets: Dataset, many: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "INTERVAL", 0)
    sizes: list[int] = []

    def progress(what: str, done: int, total: int | None) -> None:
        sizes.append(sum(path.stat().st_size for path in journals(pets)))

    refer(pets, many, hash=False, progress=progress)
    assert 0 < sizes[1] < sizes[5] < sizes[-1]


def test_slow_looks_are_made_side_by_side(pets: Dataset, many: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    threads: set[str] = set()
    real = folders._look
    monkeypatch.setattr(folders, "_look", lambda entry: threads.add(threading.current_thread().name) or real(entry))
    monkeypatch.setattr(folders, "SLOW", 10)
    refer(pets, many, hash=False)
    assert threads == {threading.current_thread().name}
    monkeypatch.setattr(folders, "SLOW", 0)
    refer(pets, many, hash=False)
    assert len(threads) > 1


def test_a_network_that_is_gone_ends_the_run_which_can_go_on(pets: Dataset, web: Any) -> None:
    web.files = {f"/x/{number:03}.jpg": b"1" for number in range(ENOUGH + 40)}
    places = [web.url(path) for path in web.files]
    web.rules = {f"/x/{number:03}.jpg": lambda answer: answer.send_error(500) for number in range(20, ENOUGH + 40)}
    for hash in (True, False):
        with pytest.raises(RemoteError, match="50 places in a row are out of reach"):
            pets.add_references(*places, hash=hash)
        assert not pets.has_draft()
    rules, web.rules = web.rules, {}
    assert refer(pets, *places).resumed == 20
    assert rules


# ---- reading


def test_bytes_elsewhere_are_read_and_verified(pets: Dataset, nas: Path, web: Any) -> None:
    web.files, web.etags = {"/x/w.jpg": JPEG}, {"/x/w.jpg": '"1"'}
    refer(pets, nas, web.url("/x/w.jpg"))
    pets.commit("all")
    state = pets.at()
    assert {sample.key: sample.read_bytes() for sample in state} == {
        "photos/a.jpg": JPEG,
        "photos/day/b.jpg": JPEG + b"b",
        "photos/day/c.txt": b"words",
        "x/w.jpg": JPEG,
    }
    (nas / "a.jpg").write_bytes(b"x" * len(JPEG))
    (nas / "day" / "b.jpg").write_bytes(b"longer" * 100)
    (nas / "day" / "c.txt").unlink()
    web.files = {}
    for key, wrong, kind in (
        ("photos/a.jpg", "has other bytes than when it was added", RefusedError),
        ("photos/day/b.jpg", "has 600 bytes, and had 62", RefusedError),
        ("photos/day/c.txt", "is not there", RefusedError),
        ("x/w.jpg", "is not there: the server answers 404", RefusedError),
    ):
        with pytest.raises(kind, match=f"{key}: .*{wrong}"):
            state[key].read_bytes()
    web.rules = {"/x/w.jpg": lambda answer: answer.send_error(503)}
    with pytest.raises(RemoteError, match=r"x/w\.jpg: .*503"):
        state["x/w.jpg"].read_bytes()


def test_without_a_hash_another_time_or_etag_counts_as_a_change(pets: Dataset, nas: Path, web: Any) -> None:
    web.files, web.etags = {"/w.jpg": JPEG}, {"/w.jpg": '"1"'}
    refer(pets, nas, web.url("/w.jpg"), hash=False)
    state = pets.draft()
    assert state["photos/a.jpg"].read_bytes() == state["w.jpg"].read_bytes() == JPEG
    os.utime(nas / "a.jpg", ns=(5, 5))
    web.etags = {"/w.jpg": '"2"'}
    for key in ("photos/a.jpg", "w.jpg"):
        with pytest.raises(RefusedError, match=f"{key}: .*has changed since it was added"):
            state[key].read_bytes()


def test_times_that_a_file_system_cuts_off_are_the_same() -> None:
    reference = Reference(place="/a", mtime=1_700_000_000_123_456_789)
    same = (1_700_000_000_123_456_789, 1_700_000_000_123_456_700, 1_700_000_000_123_000_000, 1_700_000_000_000_000_000)
    assert all(same_look(reference, Look(1, None, mtime)) for mtime in same)
    others = (1_700_000_000_123_456_788, 1_700_000_000_123_456_600, 1_700_000_001_000_000_000, None)
    assert not any(same_look(reference, Look(1, None, mtime)) for mtime in others)
    assert same_look(Reference(place="/a"), Look(1, '"x"', 5))
    assert not same_look(Reference(place="/a", etag='"x"'), Look(1, None, 5))


# ---- comparing


def test_changes_are_found(pets: Dataset, nas: Path, web: Any) -> None:
    web.files, web.etags = {"/w.jpg": JPEG, "/gone.jpg": b"1"}, {"/w.jpg": '"1"'}
    refer(pets, nas, web.url("/w.jpg"), web.url("/gone.jpg"))
    assert changes(pets) == {}
    (nas / "a.jpg").write_bytes(b"x" * len(JPEG))
    os.utime(nas / "day" / "b.jpg", ns=(5, 5))
    (nas / "day" / "c.txt").unlink()
    web.etags = {"/w.jpg": '"2"'}
    web.rules = {"/gone.jpg": lambda answer: answer.send_error(500)}
    assert changes(pets) == {
        "photos/a.jpg": f"its bytes at {nas}/a.jpg changed: the place has other bytes than when it was added",
        "photos/day/c.txt": f"its bytes at {nas}/day/c.txt: is not there",
        "gone.jpg": f"its bytes at {web.url('/gone.jpg')}: the server answers 500 Internal Server Error",
    }
    (nas / "a.jpg").write_bytes(b"short")
    assert changes(pets)["photos/a.jpg"] == f"its bytes at {nas}/a.jpg changed: the place has 5 bytes, and had 61"


def test_what_was_never_hashed_may_have_changed(pets: Dataset, nas: Path) -> None:
    refer(pets, nas, hash=False)
    told: list[tuple[str, int, int | None]] = []
    assert list(find_changed(pets.repository, pets.draft().snapshot, lambda *step: told.append(step))) == []
    os.utime(nas / "a.jpg", ns=(5, 5))
    text = "may have changed: the time of change did, and no hash is known"
    assert changes(pets) == {"photos/a.jpg": f"its bytes at {nas}/a.jpg {text}"}
    pets.discard()
    refer(pets, nas)
    pets.materialize(all=True)
    (nas / "a.jpg").unlink()
    assert changes(pets) == {}


# ---- copying in


def test_bytes_are_copied_in_and_the_reference_stays(pets: Dataset, nas: Path, web: Any) -> None:
    web.files = {"/x/w.jpg": JPEG}
    refer(pets, nas, web.url("/x/w.jpg"), hash=False)
    before = reference_of(pets, "photos/a.jpg")
    dry = pets.materialize("photos/a.jpg", "x/w.jpg", dry_run=True)
    assert (dry.keys, dry.bytes, dry.held) == (("photos/a.jpg", "x/w.jpg"), 2 * len(JPEG), 0)
    assert media_of(pets, "photos/a.jpg").blob is None
    report = pets.materialize("photos/a.jpg")
    assert report == (("photos/a.jpg",), len(JPEG), 0, ())
    media = media_of(pets, "photos/a.jpg")
    assert media.reference == before and media.blob == object_id(Kind.BLOB, JPEG) and media.width == 640
    assert pets.materialize(all=True)[1:] == (len(JPEG) * 2 + 1 + 5, 1, ())
    (nas / "a.jpg").unlink()
    assert pets.draft()["photos/a.jpg"].read_bytes() == JPEG
    assert pets.materialize(all=True) == ((), 0, 4, ())


def test_large_files_and_those_of_unknown_size_come_in_pieces(
    pets: Dataset, nas: Path, web: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(materializing, "SMALL", 10)
    large = JPEG + os.urandom(3_000_000)
    (nas / "large.jpg").write_bytes(large)

    def endless(answer: Any) -> None:
        answer.send_response(200)
        answer.end_headers()
        answer.wfile.write(large)

    web.rules = {"/x.jpg": endless}
    refer(pets, nas / "large.jpg", web.url("/x.jpg"), hash=False)
    assert reference_of(pets, "x.jpg").size is None
    pets.materialize(all=True)
    for key in ("photos/large.jpg", "x.jpg"):
        assert pets.draft()[key].read_bytes() == large
        media = media_of(pets, key)
        assert (media.size, media.width, media.blob) == (len(large), 640, object_id(Kind.BLOB, large))


def test_a_server_that_sends_more_and_more_is_cut_off(pets: Dataset, web: Any) -> None:
    refer(pets, web.url("/x.jpg"), hash=False, problems=1)
    web.files = {"/x.jpg": b"12345"}
    refer(pets, web.url("/x.jpg"), hash=False)

    def endless(answer: Any) -> None:
        answer.send_response(200)
        answer.end_headers()
        while True:
            answer.wfile.write(bytes(100_000))

    web.rules = {"/x.jpg": endless}
    with pytest.raises(RefusedError, match="has more than 5 bytes"):
        pets.draft()["x.jpg"].read_bytes()
    with pytest.raises(InvalidRecordsError, match="the bytes of 1 input cannot"):
        pets.materialize("x.jpg")


@pytest.mark.parametrize("small", [10, materializing.SMALL])
def test_what_changed_is_named_and_nothing_is_copied(
    pets: Dataset, nas: Path, monkeypatch: pytest.MonkeyPatch, small: int
) -> None:
    monkeypatch.setattr(materializing, "SMALL", small)
    refer(pets, nas)
    (nas / "a.jpg").write_bytes(b"x" * len(JPEG))
    (nas / "day" / "c.txt").unlink()
    before = pets.draft().snapshot.roots
    with pytest.raises(InvalidRecordsError, match="the bytes of 2 inputs cannot be copied") as wrong:
        pets.materialize(all=True)
    assert wrong.value.problems == (
        f"photos/a.jpg: {nas}/a.jpg: has other bytes than when it was added",
        f"photos/day/c.txt: {nas}/day/c.txt: is not there",
    )
    assert pets.draft().snapshot.roots == before
    report = pets.materialize(all=True, on_error="skip")
    assert report.keys == ("photos/day/b.jpg",) and [key for key, _ in report.problems] == [
        "photos/a.jpg",
        "photos/day/c.txt",
    ]
    with pytest.raises(InvalidRecordsError):
        pets.materialize("photos/a.jpg", "photos/day/b.jpg")


def test_what_has_no_reference_is_refused(pets: Dataset, nas: Path, write: Callable[..., Path], coco: Any) -> None:
    pets.import_(write(coco()))
    refer(pets, nas)
    with pytest.raises(RefusedError, match=r"a\.jpg: refers to no bytes"):
        pets.materialize("a.jpg")
    with pytest.raises(NotFoundError, match="no input 'none'"):
        pets.materialize("none")
    assert len(pets.materialize(all=True).keys) == 3


def test_a_reference_that_changes_meanwhile_is_no_loss(
    pets: Dataset, nas: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refer(pets, nas)
    real = Draft.finish

    def late(draft: Draft) -> None:
        monkeypatch.setattr(Draft, "finish", real)
        pets.remove("photos/a.jpg")
        real(draft)

    monkeypatch.setattr(Draft, "finish", late)
    with pytest.raises(RefusedError, match=r"photos/a\.jpg: was changed by another command"):
        pets.materialize(all=True)
    assert keys(pets) == ["photos/day/b.jpg", "photos/day/c.txt"]


# ---- exports


@pytest.mark.parametrize("format", ["coco", "clarifai-protobuf", "clarifai-json"])
def test_exports_have_the_bytes_or_are_refused_whole(pets: Dataset, nas: Path, tmp_path: Path, format: str) -> None:
    refer(pets, nas)
    pets.commit("all")
    elsewhere = tmp_path / "elsewhere.zip"
    pets.at().export(format, elsewhere, media=True)
    pets.materialize(all=True)
    pets.commit("held")
    pets.at().export(format, tmp_path / "held.zip", media=True)
    if format == "coco":
        assert elsewhere.read_bytes() == (tmp_path / "held.zip").read_bytes()
    else:
        sizes = [path.stat().st_size for path in (elsewhere, tmp_path / "held.zip")]
        assert sizes[0] > 3 * 61 and abs(sizes[0] - sizes[1]) < 1000
    (nas / "day" / "b.jpg").write_bytes(b"y" * 62)
    (nas / "a.jpg").unlink()
    with pytest.raises(RefusedError, match=r"photos/a\.jpg: .* is not there"):
        pets.at("HEAD~1").export(format, tmp_path / "new.zip", media=True)
    (nas / "a.jpg").write_bytes(JPEG)
    with pytest.raises(RefusedError, match=r"photos/day/b\.jpg: .* has other bytes"):
        pets.at("HEAD~1").export(format, tmp_path / "new.zip", media=True)
    assert sorted(path.name for path in tmp_path.glob("*.zip")) == ["elsewhere.zip", "held.zip"]
    assert not list(tmp_path.glob(".dsvc-export*"))


def test_clarifai_takes_a_url_as_it_is(pets: Dataset, web: Any, tmp_path: Path) -> None:
    web.files = {"/w.jpg": JPEG}
    refer(pets, web.url("/w.jpg"))
    pets.commit("all")
    web.asked.clear()
    pets.at().export("clarifai-json", tmp_path / "out.zip", media=True)
    assert web.asked == [] and web.url("/w.jpg").encode() in (tmp_path / "out.zip").read_bytes()


# ---- object stores


@pytest.fixture(scope="module")
def bucket() -> Iterator[Any]:
    """A bucket of an S3 server on loopback, as a client of it; its endpoint is `client.meta.endpoint_url`."""
    reason = "the extra conformance, which brings an S3 server, is missing"
    server_module = pytest.importorskip("moto.server", reason=reason)
    boto3 = pytest.importorskip("boto3", reason=reason)
    pytest.importorskip("obstore", reason=reason)
    server = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    client = boto3.client(
        "s3",
        endpoint_url=f"http://{host}:{port}",
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    client.create_bucket(Bucket="photos")
    yield client
    server.stop()


@pytest.fixture
def cloud(pets: Dataset, bucket: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Put objects into the bucket, which the repository's settings lead to; None takes one away."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    for found in bucket.list_objects_v2(Bucket="photos").get("Contents", ()):
        bucket.delete_object(Bucket="photos", Key=found["Key"])
    repository = pets.repository
    assert repository.root is not None
    settings = f'[s3]\nendpoint = "{bucket.meta.endpoint_url}"\nregion = "us-east-1"\nallow_http = true\n'
    with (repository.root / ".dsvc" / "workspace.toml").open("a") as file:
        file.write(settings)
    repository.workspace = type(repository.workspace)(repository.root / ".dsvc")

    def put(objects: dict[str, bytes | None]) -> None:
        for name, data in objects.items():
            if data is None:
                bucket.delete_object(Bucket="photos", Key=name)
            else:
                bucket.put_object(Bucket="photos", Key=name, Body=data)

    return put


def test_objects_and_prefixes_are_referred_to(pets: Dataset, cloud: Callable[..., None]) -> None:
    cloud({"set/a.jpg": JPEG, "set/b c#%20ü.txt": b"words", "set/sub/": b"", "set/sub/d.jpg": b"1", "set/.x": b"2"})
    for hash, counts in ((False, (3, 0, 0)), (True, (0, 3, 0)), (False, (0, 0, 3))):
        assert refer(pets, "s3://photos/set/", hash=hash)[:3] == counts
    assert keys(pets) == ["set/a.jpg", "set/b c#%20ü.txt", "set/sub/d.jpg"]
    media = media_of(pets, "set/a.jpg")
    assert media.reference is not None and media.reference.place == "s3://photos/set/a.jpg"
    assert media.reference.hash == object_id(Kind.BLOB, JPEG) and media.reference.etag and media.width == 640
    assert pets.draft()["set/b c#%20ü.txt"].read_bytes() == b"words"
    assert refer(pets, "s3://photos/set/sub/d.jpg", root="s3://photos/set")[:3] == (1, 0, 0)
    assert "sub/d.jpg" in keys(pets)
    report = refer(pets, "s3://photos/none", hash=False, problems=1)
    assert str(report.problems[0]) == "s3://photos/none: is not there"
    report = refer(pets, "s3://nowhere/x/", problems=1)
    assert str(report.problems[0]) == "s3://nowhere/x/: cannot be reached: 404 Not Found"


def test_objects_that_change_are_found_and_not_copied(pets: Dataset, cloud: Callable[..., None]) -> None:
    cloud({"set/a.jpg": JPEG, "set/b.jpg": b"1", "set/c.jpg": b"2"})
    refer(pets, "s3://photos/set/")
    assert changes(pets) == {}
    cloud({"set/a.jpg": b"x" * len(JPEG), "set/b.jpg": None})
    found = changes(pets)
    assert list(found) == ["set/a.jpg", "set/b.jpg"]
    assert "has other bytes" in found["set/a.jpg"] and "is not there" in found["set/b.jpg"]
    assert pets.materialize(all=True, on_error="skip").keys == ("set/c.jpg",)
    cloud({"set/c.jpg": None})
    assert pets.draft()["set/c.jpg"].read_bytes() == b"2"


def test_an_endpoint_that_came_with_the_project_gets_no_credentials(
    pets: Dataset, cloud: Callable[..., None], tmp_path: Path
) -> None:
    """The server refuses what is not signed: nothing of this person's reaches it before they agree."""
    cloud({"set/a.jpg": JPEG})
    root = pets.repository.root
    assert root is not None
    own = root / ".dsvc" / "workspace.toml"
    text = own.read_text()
    (root / "dsvc.toml").write_text(text[text.index("[s3]") :])
    own.write_text(text[: text.index("[s3]")])
    pets.repository.workspace = type(pets.repository.workspace)(root / ".dsvc")
    report = refer(pets, "s3://photos/set/a.jpg", problems=1)
    assert "without credentials, and its endpoint or account came with the project" in str(report.problems[0])
    own.write_text(text)
    pets.repository.workspace = type(pets.repository.workspace)(root / ".dsvc")
    assert refer(pets, "s3://photos/set/a.jpg").new == 1


def test_a_listing_that_was_broken_off_goes_on(
    pets: Dataset, cloud: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cloud_module, "BATCH", 50)
    cloud({f"set/{number:03}.jpg": b"%d" % number for number in range(120)})
    with pytest.raises(BrokenError):
        pets.add_references("s3://photos/set/", hash=False, progress=breaking(40))
    report = refer(pets, "s3://photos/set/", hash=False)
    assert report.new == 120 and 40 <= report.resumed < 120
