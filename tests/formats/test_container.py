"""A target is complete or not there; an equal one is left alone; nothing that matters is ever replaced."""

from __future__ import annotations

import os
import resource
import zipfile
from pathlib import Path

import pytest

from dsvc.errors import DsvcError, RefusedError, UsageError
from dsvc.formats.container import check_entry_name, open_target
from dsvc.formats.zip import ZipWriter

ELSEWHERE = "choose another folder, or move it away"
KINDS = ("folder", "zip", "json")
FILES = {"annotations/a.json": b"one", "images/sub/b.bin": b"\0" * 5000}
MARKED = {".dsvc-export": b"dsvc export\n"}


def fill(path, kind, files=None, force=False):
    files = files if files is not None else ({"x": b"{}"} if kind == "json" else FILES)
    with open_target(path, kind, force) as target:
        for name, data in files.items():
            with target.add(name) as stream:
                stream.write(data[:3])
                stream.write(data[3:])
    return target


def tree(folder: Path):
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in sorted(folder.rglob("*"))}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_added_is_there(kind, tmp_path):
    target = fill(tmp_path / "out", kind)
    assert not target.unchanged
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    if kind == "folder":
        found = tree(tmp_path / "out")
        assert {name: data for name, data in found.items() if data is not None} == {**FILES, **MARKED}
    elif kind == "zip":
        with zipfile.ZipFile(tmp_path / "out") as archive:
            assert archive.testzip() is None
            assert {name: archive.read(name) for name in archive.namelist()} == FILES
    else:
        assert (tmp_path / "out").read_bytes() == b"{}"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("error", [ValueError("stop"), KeyboardInterrupt()])
def test_after_an_error_nothing_is_there(kind, error, tmp_path):
    fill(tmp_path / "old", kind)
    before = tree(tmp_path)
    for name in ("new", "old"):
        with pytest.raises(type(error)), open_target(tmp_path / name, kind, True) as target, target.add("x") as stream:
            stream.write(b"half")
            raise error
    assert tree(tmp_path) == before


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("force", [False, True])
def test_an_equal_target_is_left_alone(kind, force, tmp_path):
    fill(tmp_path / "out", kind)
    os.utime(tmp_path / "out", ns=(1, 1))
    assert fill(tmp_path / "out", kind, force=force).unchanged
    assert (tmp_path / "out").stat().st_mtime_ns == 1
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_target_that_differs_is_refused_and_force_replaces_it(kind, tmp_path):
    fill(tmp_path / "out", kind)
    before = tree(tmp_path)
    with pytest.raises(RefusedError, match="differs") as caught:
        fill(tmp_path / "out", kind, {"new": b"1234"})
    assert "--force" in caught.value.hint
    assert tree(tmp_path) == before
    assert not fill(tmp_path / "out", kind, {"new": b"1234"}, force=True).unchanged
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    if kind == "folder":
        assert tree(tmp_path / "out") == {"new": b"1234", **MARKED}


@pytest.mark.parametrize("extra", ["file", "folder", "link"])
def test_a_folder_with_more_in_it_differs(extra, tmp_path):
    out = tmp_path / "out"
    fill(out, "folder")
    {
        "file": lambda: (out / "mine").write_text("x"),
        "folder": (out / "mine").mkdir,
        "link": lambda: (out / "mine").symlink_to("mimetype"),
    }[extra]()
    before = tree(out)
    with pytest.raises(RefusedError, match="differs") as caught:
        fill(out, "folder")
    assert caught.value.hint == ELSEWHERE
    with pytest.raises(RefusedError, match=r"holds what no export writes: mine/?; --force") as caught:
        fill(out, "folder", force=True)
    assert caught.value.hint == ELSEWHERE
    assert tree(out) == before
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("force", [False, True])
def test_a_folder_that_is_no_export_is_never_replaced(force, tmp_path):
    """Not even one whose files are called as an export calls them."""
    out = tmp_path / "out"
    for name in ("annotations/mine.json", "images/1.jpg", "images/2.jpg", "images/3.jpg", "images/4.jpg"):
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_bytes(b"mine")
    before = tree(tmp_path)
    with pytest.raises(RefusedError) as caught:
        fill(out, "folder", force=force)
    assert caught.value.hint == ELSEWHERE
    if force:
        assert caught.value.message == (
            f"{out} is no earlier export of dsvc: it holds annotations/mine.json, images/1.jpg, "
            "images/2.jpg and 2 more; --force replaces earlier exports only"
        )
    assert tree(tmp_path) == before


@pytest.mark.parametrize("mark", ["other", "dsvc export", "dsvc export\n\n", None])
def test_a_marker_is_what_an_export_writes(mark, tmp_path):
    out = tmp_path / "out"
    fill(out, "folder")
    (out / ".dsvc-export").unlink()
    if mark is None:
        (tmp_path / "mark").write_bytes(MARKED[".dsvc-export"])
        (out / ".dsvc-export").symlink_to(tmp_path / "mark")
    else:
        (out / ".dsvc-export").write_text(mark)
    for force in (False, True):
        with pytest.raises(RefusedError):
            fill(out, "folder", {"mimetype": b"x"}, force=force)
    assert (out / "annotations" / "a.json").read_bytes() == b"one"


@pytest.mark.parametrize("force", [False, True])
def test_an_equal_folder_without_a_marker_is_left_alone(force, tmp_path):
    fill(tmp_path / "out", "folder")
    (tmp_path / "out" / ".dsvc-export").unlink()
    before = tree(tmp_path)
    assert fill(tmp_path / "out", "folder", force=force).unchanged
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    "name", ["annotations/x/y.json", "annotations/x.txt", "mimetype/x", "images", "all/0_n1", "all/x/000000_n1", "a_n1"]
)
def test_names_that_no_export_writes(name, tmp_path):
    out = tmp_path / "out"
    fill(out, "folder", {"mimetype": b"x"} if "mimetype" not in name else {"images/x": b""})
    (out / name).parent.mkdir(parents=True, exist_ok=True)
    (out / name).write_bytes(b"mine")
    with pytest.raises(RefusedError, match="what no export writes") as caught:
        fill(out, "folder", force=True)
    assert name in caught.value.message
    assert (out / name).read_bytes() == b"mine"


@pytest.mark.parametrize("name", ["annotations", "images", "images/x", "all/000000_n1"])
def test_a_link_in_an_export_is_not_of_it(name, tmp_path):
    fill(tmp_path / "out", "folder", {"mimetype": b"x"})
    (tmp_path / "mine").mkdir()
    (tmp_path / "out" / name).parent.mkdir(exist_ok=True)
    (tmp_path / "out" / name).symlink_to(tmp_path / "mine")
    with pytest.raises(RefusedError, match=f"holds what no export writes: {name};"):
        fill(tmp_path / "out", "folder", force=True)
    assert (tmp_path / "out" / name).is_symlink()


def test_every_former_export_can_be_replaced(tmp_path):
    out = tmp_path / "out"
    coco = {"annotations/captions.json": b"1", "images/a/b/c.jpg": b"2", "images/\n": b"3"}
    for files in (coco, {"mimetype": b"4", "all/000000_n128": b"5", "val-1/1000000_n1": b"6"}, {"mimetype": b"7"}):
        fill(out, "folder", files, force=True)
        assert {name: data for name, data in tree(out).items() if data is not None} == {**files, **MARKED}
        (out / "images" / "empty").mkdir(parents=True, exist_ok=True)


def test_the_marker_is_no_entry(tmp_path):
    with pytest.raises(RefusedError, match="two entries"):
        fill(tmp_path / "out", "folder", {".dsvc-export": b"x"})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["zip", "json"])
def test_one_file_has_no_marker(kind, tmp_path):
    fill(tmp_path / "out", kind, {"x": b"1"})
    assert b"dsvc" not in (tmp_path / "out").read_bytes()


def test_an_empty_folder_is_as_good_as_none(tmp_path):
    (tmp_path / "out").mkdir()
    fill(tmp_path / "out", "folder")
    assert (tmp_path / "out" / "annotations" / "a.json").read_bytes() == b"one"


@pytest.mark.parametrize("inside", [".git", ".dsvc", "deep/er/.dsvc", "deep/.git"])
def test_a_folder_that_holds_a_project_is_never_replaced(inside, tmp_path):
    out = tmp_path / "out"
    (out / inside).mkdir(parents=True)
    with pytest.raises(RefusedError, match="not replaced"):
        fill(out, "folder", force=True)
    assert (out / inside).is_dir()
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_the_folder_one_works_in_is_never_replaced(tmp_path, monkeypatch):
    (tmp_path / "out" / "sub").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "out" / "sub")
    for path in (tmp_path / "out", Path(".."), Path()):
        with pytest.raises(RefusedError, match="folder you are in"):
            fill(path, "folder", force=True)


def test_a_part_of_a_repository_is_never_replaced(tmp_path):
    (tmp_path / ".dsvc" / "packs").mkdir(parents=True)
    (tmp_path / ".dsvc" / "packs" / "x").write_text("x")
    with pytest.raises(RefusedError, match="part of a repository"):
        fill(tmp_path / ".dsvc" / "packs", "folder", force=True)


@pytest.mark.parametrize("force", [False, True])
def test_a_file_never_replaces_a_folder_nor_a_folder_a_file(force, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("x")
    for name, kind in (("folder", "zip"), ("folder", "json"), ("file", "folder")):
        with pytest.raises(RefusedError, match="is not a"):
            fill(tmp_path / name, kind, force=force)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(RefusedError, match="is not a file"):
        fill(tmp_path / "pipe", "zip", force=force)


def test_a_link_is_followed(tmp_path):
    fill(tmp_path / "real", "zip")
    (tmp_path / "link").symlink_to("real")
    fill(tmp_path / "link", "zip", {"new": b"1"}, force=True)
    assert (tmp_path / "link").is_symlink()
    assert zipfile.ZipFile(tmp_path / "real").namelist() == ["new"]


@pytest.mark.parametrize(
    "name", ["", "/a", "../a", "a/../b", "a//b", "./a", "a/", "C:\\a", "C:/a", "..\\a", "\\a", "a\0b"]
)
def test_names_that_would_leave_the_target_are_refused(name, tmp_path):
    with pytest.raises(RefusedError, match="cannot be the name"):
        check_entry_name(name)
    with pytest.raises(RefusedError), open_target(tmp_path / "x", "folder") as target, target.add(name):
        pass
    assert list(tmp_path.iterdir()) == []


def test_entries_come_one_after_the_other_and_once(tmp_path):
    with pytest.raises(UsageError), open_target(tmp_path / "x", "zip") as target, target.add("a"), target.add("b"):
        pass
    with pytest.raises(RefusedError, match="two entries"), open_target(tmp_path / "x", "folder") as target:
        for _ in range(2):
            with target.add("a"):
                pass
    with pytest.raises(UsageError):
        fill(tmp_path / "x", "json", {"a": b"", "b": b""})
    with pytest.raises(RefusedError):
        fill(tmp_path / "x", "folder", {"a": b"", "a/b": b""})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", KINDS)
def test_clear_messages_for_what_the_disk_refuses(kind, tmp_path):
    cases = {
        tmp_path / "missing" / "x": "does not exist",
        tmp_path / ("n" * 300): "too long",
    }
    for path, message in cases.items():
        with pytest.raises(RefusedError, match=message):
            fill(path, kind)
    if os.geteuid():
        (tmp_path / "locked").mkdir(mode=0o500)
        with pytest.raises(RefusedError, match="permission denied"):
            fill(tmp_path / "locked" / "x", kind)
        (tmp_path / "locked").rmdir()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [10_000, 5_000_000])
def test_a_disk_that_takes_no_more(kind, size, tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, hard))
    try:
        with pytest.raises(DsvcError, match="does not allow a file this large"):
            fill(tmp_path / "x", kind, {"a": b"\0" * size})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


def test_a_name_too_long_for_an_entry(tmp_path):
    with pytest.raises(RefusedError, match="too long"):
        fill(tmp_path / "x", "folder", {"n" * 300: b""})
    with pytest.raises(RefusedError, match="too long"):
        fill(tmp_path / "x", "zip", {"n" * 70_000: b""})


def test_zip_bytes_depend_on_the_entries_alone(tmp_path):
    fill(tmp_path / "a", "zip")
    old = os.umask(0o077)
    try:
        fill(tmp_path / "b", "zip")
    finally:
        os.umask(old)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    for info in zipfile.ZipFile(tmp_path / "a").infolist():
        assert info.date_time == (1980, 1, 1, 0, 0, 0)
        assert info.compress_type == zipfile.ZIP_STORED
        assert info.create_system == 3
        assert info.external_attr >> 16 == 0o100644


def test_zip_entries_of_known_size_have_plain_headers(tmp_path):
    with open_target(tmp_path / "x", "zip") as target, target.add("mimetype", 3) as stream:
        stream.write(b"a/b")
    assert (tmp_path / "x").read_bytes().startswith(b"PK\x03\x04\x14\0\0\0\0\0\0\0!\0")
    assert (tmp_path / "x").read_bytes()[30:41] == b"mimetypea/b"
    target = open_target(tmp_path / "y", "zip")
    with pytest.raises(ValueError, match="announced"), target, target.add("a", 3) as stream:
        stream.write(b"1")


def test_zip_names_in_any_script(tmp_path):
    fill(tmp_path / "x", "zip", {"猫/ü": b"1"})
    assert zipfile.ZipFile(tmp_path / "x").namelist() == ["猫/ü"]


def test_zip_with_more_entries_than_sixteen_bits_count(tmp_path):
    with open_target(tmp_path / "x", "zip") as target:
        for index in range(66_000):
            with target.add(f"{index}", 0):
                pass
    assert len(zipfile.ZipFile(tmp_path / "x").namelist()) == 66_000


def test_zip_beyond_four_gigabytes(tmp_path):
    """The file is sparse: zeros are skipped, not written, so that the test is quick."""

    class Sparse:
        def __init__(self, path):
            self.file = open(path, "w+b")  # noqa: SIM115

        def write(self, data):
            if len(data) > 1 << 20:
                self.file.seek(len(data), 1)
                return len(data)
            return self.file.write(data)

        def seek(self, place):
            return self.file.seek(place)

    sparse = Sparse(tmp_path / "x")
    writer = ZipWriter(sparse)
    block = bytes(1 << 28)
    for name, size in (("big", None), ("known", 17 << 28), ("after", 3)):
        writer.begin(name, size)
        for _ in range(17 if name != "after" else 0):
            writer.write(block)
        if name == "after":
            writer.write(b"end")
        writer.end()
    writer.close()
    sparse.file.close()
    with zipfile.ZipFile(tmp_path / "x") as archive:
        sizes = {info.filename: info.file_size for info in archive.infolist()}
        assert sizes == {"big": 17 << 28, "known": 17 << 28, "after": 3}
        assert archive.read("after") == b"end"
