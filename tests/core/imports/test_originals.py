"""The media of imported inputs: which paths are taken, from which folder, places elsewhere, and texts."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dsvc.core.dataset import Dataset
from dsvc.core.imports.finding import FileFinder
from dsvc.core.repository import Repository
from dsvc.errors import InvalidRecordsError
from dsvc.model.records import Input

ROOT = hasattr(os, "geteuid") and os.geteuid() == 0
Write = Callable[..., Path]
Document = dict[str, Any]


def inputs(dataset: Dataset) -> dict[str, Input]:
    return {one.key: one for one in dataset.draft().inputs()}


def content(dataset: Dataset) -> dict[str, bytes]:
    """The bytes of each input that has any."""
    return {one.key: one.read_bytes() for one in dataset.draft() if one.input.media is not None}


# ---- which files may be taken


@pytest.fixture
def finder(tmp_path: Path, write: Write) -> FileFinder:
    """Finds files of the folder project/data; the project has other files, and so has the folder beside it."""
    for name in ("project/data/a.jpg", "project/b.jpg", "project/.dsvc/head", "project/.git/config", "beside/c.jpg"):
        write(name, name)
    data = tmp_path / "project/data"
    os.mkfifo(data / "pipe.jpg")
    (data / "folder.jpg").mkdir()
    for name, target in (
        ("good.jpg", "a.jpg"),
        ("up.jpg", "../b.jpg"),
        ("out.jpg", "../../beside/c.jpg"),
        ("dead.jpg", "none.jpg"),
        ("loop.jpg", "loop.jpg"),
        ("head.jpg", "../.dsvc/head"),
        ("away", "../../beside"),
        ("here", "."),
    ):
        (data / name).symlink_to(target)
    return FileFinder(data, tmp_path / "project")


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("a.jpg", "data/a.jpg"),
        ("./a.jpg", "data/a.jpg"),
        ("here/here/a.jpg", "data/a.jpg"),
        ("folder.jpg/../a.jpg", "data/a.jpg"),
        ("good.jpg", "data/a.jpg"),
        ("up.jpg", "b.jpg"),
        ("../b.jpg", "b.jpg"),
    ],
)
def test_files_of_the_folder_and_of_the_project(finder: FileFinder, tmp_path: Path, name: str, found: str) -> None:
    assert finder.find(name) == (str(tmp_path / "project" / found), None)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("../../beside/c.jpg", "leads out of {data} and of the project"),
        ("{tmp}/beside/c.jpg", "leads out of {data} and of the project"),
        ("/etc/passwd", "leads out of {data} and of the project"),
        ("out.jpg", "leads out of {data} and of the project"),
        ("away/c.jpg", "leads out of {data} and of the project"),
        ("away/none.jpg", "leads out of {data} and of the project"),
        ("", "leads out of {data} and of the project"),
        ("..", "leads out of {data} and of the project"),
        ("none.jpg", "is not there"),
        ("a.jpg/b.jpg", "cannot be read: Not a directory"),
        ("dead.jpg", "is not there any more, or a link to nothing"),
        ("loop.jpg", "is a link that leads in a circle, or became one while it was read"),
        ("folder.jpg", "is a folder, and only regular files are read"),
        ("pipe.jpg", "is a named pipe, and only regular files are read"),
        ("head.jpg", "is no data"),
        ("../.dsvc/head", "is no data"),
        ("../.git/config", "is no data"),
        ("x" * 300, "cannot be read: File name too long"),
    ],
)
def test_what_may_not_be_taken(finder: FileFinder, tmp_path: Path, name: str, why: str) -> None:
    name, why = (text.format(tmp=tmp_path, data=tmp_path / "project/data") for text in (name, why))
    if not name or name == "..":
        # The folder itself, and the project: nothing below them.
        assert finder.problem(name) is not None
    else:
        assert finder.problem(name) == f"path {name!r} {why}"


def test_without_a_project_the_folder_is_all(tmp_path: Path, write: Write) -> None:
    write("x", "other/b.jpg")
    finder = FileFinder(write("x", "data/a.jpg").parent, None)
    assert finder.problem("a.jpg") is None
    assert finder.problem("../other/b.jpg") == f"path '../other/b.jpg' leads out of {tmp_path / 'data'}"


@pytest.mark.skipif(ROOT, reason="root may read everything")
def test_a_file_without_permission(finder: FileFinder, tmp_path: Path) -> None:
    (tmp_path / "project/data/a.jpg").chmod(0)
    assert finder.problem("a.jpg") == "path 'a.jpg' cannot be read: Permission denied"


# ---- tables


def test_paths_are_relative_to_the_table_and_keys_are_what_is_said(pets: Dataset, write: Write) -> None:
    write("A", "set/images/a.txt")
    pets.import_(write("path\nimages/a.txt\n", "set/one.csv"))
    pets.import_(write("key,path\nother/name.txt,images/a.txt\n", "set/two.csv"))
    assert content(pets) == {"images/a.txt": b"A", "other/name.txt": b"A"}


def test_or_to_the_folder_of_images(pets: Dataset, write: Write, tmp_path: Path) -> None:
    write("A", "set/images/a.txt")
    table = write("path,split\na.txt,val\n", "meta.csv")
    with pytest.raises(InvalidRecordsError) as error:
        pets.import_(table)
    assert error.value.problems == ("row 2 (key 'a.txt'): path 'a.txt' is not there",)
    pets.import_(table, images=tmp_path / "set/images")
    assert content(pets) == {"a.txt": b"A"} and inputs(pets)["a.txt"].split == "val"


def test_wrong_paths_are_rejects(pets: Dataset, write: Write, tmp_path: Path) -> None:
    write("A", "set/a.txt")
    table = write("path,split\n../out.txt,train\na.txt,val\nb.txt,test\n", "set/meta.csv")
    write("out", "out.txt")
    with pytest.raises(InvalidRecordsError) as error:
        pets.import_(table)
    assert error.value.problems == (
        "row 2: the input key '../out.txt' has a component `..`, which leads out of the folder",
        "row 4 (key 'b.txt'): path 'b.txt' is not there",
    )
    report = pets.import_(table, on_error="skip")
    assert report.rejects is not None and report.refused == 2
    assert report.rejects.read_text() == "path,split\n../out.txt,train\nb.txt,test\n"
    assert set(inputs(pets)) == {"a.txt"}
    report.rejects.write_text("path,split\nb.txt,test\n")
    write("B", "set/b.txt")
    pets.import_(report.rejects, source="meta")
    assert content(pets) == {"a.txt": b"A", "b.txt": b"B"}


def test_a_file_that_changed_is_taken_again(pets: Dataset, write: Write) -> None:
    table = write("path,split\na.txt,val\n", "meta.csv")
    write("first", "a.txt")
    pets.import_(table)
    assert not pets.import_(table).changed
    write("second", "a.txt")
    assert pets.import_(table).changed
    assert content(pets) == {"a.txt": b"second"}


def test_texts_are_bytes_of_inputs(pets: Dataset, write: Write) -> None:
    table = write('key,text,concepts\n1,"two\nlines",good\n2,né,\n', "meta.csv")
    report = pets.import_(table)
    assert report.changed and content(pets) == {"1": b"two\nlines", "2": "né".encode()}
    media = inputs(pets)["2"].media
    assert media is not None and (media.type, media.size) == ("text/plain", 3)
    assert not pets.import_(table).changed
    table.write_text(table.read_text().replace("né", "new"))
    assert pets.import_(table).changed and content(pets)["2"] == b"new"


# ---- places elsewhere


def test_places_are_referred_to(pets: Dataset, write: Write, web: Any) -> None:
    web.files = {"/set/a.txt": b"A", "/set/b%20c.txt": b"BC"}
    table = write(f"url,split\n{web.url('/set/a.txt')},train\n{web.url('/set/b%20c.txt')},val\n", "meta.csv")
    assert pets.import_(table).changed
    found = inputs(pets)
    assert {key: one.split for key, one in found.items()} == {"set/a.txt": "train", "set/b c.txt": "val"}
    assert content(pets) == {"set/a.txt": b"A", "set/b c.txt": b"BC"}
    reference = found["set/a.txt"].media and found["set/a.txt"].media.reference
    assert reference is not None and reference.hash is not None and reference.place == web.url("/set/a.txt")
    assert not pets.import_(table).changed


def test_places_are_not_read_without_a_hash(pets: Dataset, write: Write, web: Any) -> None:
    web.files = {"/a.txt": b"A"}
    pets.import_(write(f"key,url\nk,{web.url('/a.txt')}\n", "meta.csv"), hash=False)
    assert {method for method, _ in web.asked} == {"HEAD"}
    media = inputs(pets)["k"].media
    assert media is not None and media.reference is not None
    assert (media.reference.hash, media.reference.size) == (None, 1)


def test_places_that_do_not_answer_name_their_rows(pets: Dataset, write: Write, web: Any) -> None:
    web.files = {"/a.txt": b"A"}
    rows = f"key,url\nk,{web.url('/a.txt')}\nl,{web.url('/none.txt')}\nm,http://127.0.0.1:1/x.txt\n"
    with pytest.raises(InvalidRecordsError) as error:
        pets.import_(write(rows, "meta.csv"))
    assert "meta.csv: 2 places cannot be referred to" in error.value.message
    one, other = error.value.problems
    assert one.startswith(f"row 3 (key 'l'): {web.url('/none.txt')}: ") and "404" in one
    assert other.startswith("row 4 (key 'm'): http://127.0.0.1:1/x.txt: ")
    assert not pets.has_draft()


# ---- files beside a COCO file


@pytest.fixture
def named(coco: Callable[..., Document]) -> Callable[..., Document]:
    """A COCO document of images by these names."""

    def named(*names: str) -> Document:
        return coco(images=[{"id": n, "file_name": name} for n, name in enumerate(names)], annotations=[])

    return named


def test_missing_and_extra_files(pets: Dataset, named: Callable[..., Document], write: Write) -> None:
    for name in ("a.jpg", "x/extra.jpg", ".hidden.jpg"):
        folder = write(name, f"images/{name}").parents[name.count("/")]
    report = pets.import_(write(named("a.jpg", "b.jpg"), "pets.json"), images=folder)
    assert (report.missing, report.extra, report.notes) == (("b.jpg",), ("x/extra.jpg",), ())


def test_the_file_itself_is_not_left_over(pets: Dataset, named: Callable[..., Document], write: Write) -> None:
    file = write(named("a.jpg"), "pets.json")
    write("a", "a.jpg")
    assert pets.import_(file, images=file.parent).extra == ()


def test_another_folder_is_asked_about(pets: Dataset, named: Callable[..., Document], write: Write) -> None:
    folder = write("x", "images/x/a.jpg").parents[1]
    report = pets.import_(write(named("a.jpg"), "pets.json"), images=folder)
    assert report.notes == (f"none of the file's names is below {folder}: is it another folder?",)
    assert report.missing == ("a.jpg",)


def test_what_was_removed_here_gets_no_file(pets: Dataset, named: Callable[..., Document], write: Write) -> None:
    for name in ("a.jpg", "b.jpg"):
        folder = write(name, f"images/{name}").parent
    file = write(named("a.jpg", "b.jpg"), "pets.json")
    pets.import_(file)
    pets.remove("a.jpg")
    report = pets.import_(file, images=folder)
    assert (report.missing, report.extra) == ((), ())
    assert report.notes == ("1 input that was taken away here stays away",)
    assert content(pets) == {"b.jpg": b"b.jpg"}


@pytest.mark.parametrize(
    ("names", "layout"),
    [
        (("a.jpg",), "train2017/"),
        (("a.jpg",), "images/train2017/"),
        (("a.jpg",), "train/"),
        (("a.jpg",), "images/train/"),
        (("a.jpg",), "images/"),
        (("train2017/a.jpg",), "images/"),
    ],
)
def test_images_are_found_where_they_usually_lie(
    pets: Dataset, named: Callable[..., Document], write: Write, names: tuple[str, ...], layout: str
) -> None:
    file = write(named(*names), "set/annotations/instances_train2017.json")
    for name in names:
        write(name, f"set/{layout}{name}")
    report = pets.import_(file.parents[1])
    assert (report.missing, report.extra) == ((), ())
    assert content(pets) == {name: name.encode() for name in names}


def test_a_folder_that_is_called_like_a_split_is_not_mistaken(
    pets: Dataset, repo: Repository, write: Write, tmp_path: Path
) -> None:
    """An export has all files below `images`: there, images/train/a.jpg is not the file of a.jpg."""
    both = {name: b"\xff\xd8\xff" + name.encode() for name in ("a.jpg", "train/a.jpg")}
    for name, data in both.items():
        write(data, f"in/{name}")
    pets.add(tmp_path / "in", root=tmp_path / "in")
    pets.set("a.jpg", "train/a.jpg", split="train")
    pets.commit("both")
    pets.at().export("coco", tmp_path / "out", media=True)
    other = repo.create("other")
    other.import_(tmp_path / "out")
    assert content(other) == both
