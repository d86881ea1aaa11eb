"""Tracked folders: how they are noted, which one a file belongs to, and what is said of wrong notes."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from project_files import OLD, put

import dsvc
from dsvc.core.dataset import Dataset
from dsvc.core.files.tracking import Tracked, make_tracked, merged, not_noted, owner
from dsvc.core.workspace import Workspace
from dsvc.errors import DamagedError, NotFoundError, RefusedError

Fresh = Callable[..., Dataset]


def noted(root: Path, file: str = ".dsvc/workspace.toml") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = tomllib.loads((root / file).read_text()).get("track", [])
    return found


def keys(dataset: Dataset) -> list[str]:
    return [sample.key for sample in dataset.draft()]


# ---- keys


@pytest.mark.parametrize(
    ("one", "prefix", "path", "key"),
    [
        (Tracked("data"), "data/", "data/a/x.jpg", "data/a/x.jpg"),
        (Tracked("data", "data"), "", "data/a/x.jpg", "a/x.jpg"),
        (Tracked("data/a", "data"), "a/", "data/a/x.jpg", "a/x.jpg"),
        (Tracked(""), "", "a/x.jpg", "a/x.jpg"),
        (Tracked("..data"), "..data/", "..data/x.jpg", "..data/x.jpg"),
    ],
)
def test_keys_and_paths(one: Tracked, prefix: str, path: str, key: str) -> None:
    assert (one.prefix, one.key(path), one.path(key)) == (prefix, key, path)
    assert one.path("elsewhere/x.jpg") == (None if prefix else one.path("") + "elsewhere/x.jpg")


def test_a_file_belongs_to_the_innermost_folder() -> None:
    folders = [Tracked(""), Tracked("data", "data"), Tracked("data/sub", "data/sub"), Tracked("data2")]
    for path, folder in (("x", ""), ("data", "data"), ("data/x", "data"), ("data/sub/x", "data/sub"), ("dat", "")):
        found = owner(folders, path)
        assert found is not None and found.folder == folder
    assert owner(folders[1:], "x") is None and owner([], "x") is None


def test_folders_that_repeat_the_one_around_them_are_left_out() -> None:
    outer, other, same = Tracked("d"), Tracked("d/a", "d/a"), Tracked("d/a/b")
    assert merged([same, Tracked("d/b"), outer, other]) == [outer, other, same]
    assert merged([same, outer]) == [outer]
    assert merged([outer, Tracked("d/h", all_files=True)]) == [outer, Tracked("d/h", all_files=True)]
    assert merged([outer._replace(all_files=True), Tracked("d/h")]) == [outer._replace(all_files=True)]
    hidden = Tracked("d/.h/a")
    assert merged([outer, hidden]) == [outer, hidden]
    assert merged([Tracked("d", "d"), outer]) == [Tracked("d", "d")]


def test_what_need_not_be_noted() -> None:
    own, team = Tracked("d"), Tracked("t", team=True)
    new = [Tracked("d"), Tracked("d/a"), Tracked("d/a", "d"), Tracked("t/x"), Tracked("e")]
    assert not_noted([own, team], new, False) == [new[2], new[4]]
    assert not_noted([own, team], new, True) == [*new[:3], new[4]]


def test_what_lies_outside_is_not_tracked(tmp_path: Path) -> None:
    root = os.path.realpath(tmp_path)
    assert make_tracked(tmp_path, f"{root}/d", root, "pets", False) == Tracked("d", "", "pets")
    assert make_tracked(tmp_path, root, root, "pets", True) == Tracked("", "", "pets", True)
    assert make_tracked(tmp_path, f"{root}/d", f"{root}/d", "pets", False) == Tracked("d", "d", "pets")
    assert make_tracked(tmp_path, f"{root}2/d", root, "pets", False) is None
    assert make_tracked(tmp_path, f"{root}/d", str(Path(root).parent), "pets", False) is None
    assert make_tracked(tmp_path, f"{root}/d\udcff", root, "pets", False) is None


# ---- adding folders


def test_a_folder_is_noted_once(root: Path, pets: Dataset, fresh: Fresh) -> None:
    put(root, "data/a.jpg", "data/sub/b.jpg", "line\n'\"\x7f/c.jpg")
    assert pets.add(root / "data").tracked == ("data",)
    assert fresh().add(root / "data").tracked == ()
    assert fresh().add(root / "data/sub").tracked == ()
    assert fresh().add(root / "line\n'\"\x7f").tracked == ("line\n'\"\x7f",)
    assert noted(root) == [{"folder": name, "dataset": "pets"} for name in ("data", "line\n'\"\x7f")]
    assert fresh().files().is_clean
    assert fresh().add(root).tracked == (".",)
    assert [one.folder for one in fresh().files().tracked] == [""]
    assert keys(fresh()) == ["data/a.jpg", "data/sub/b.jpg", "line\n'\"\x7f/c.jpg"]


def test_what_fails_tracks_nothing(root: Path, pets: Dataset) -> None:
    put(root, "data/a.jpg")
    with pytest.raises(NotFoundError):
        pets.add(root / "data", root / "nowhere")
    with pytest.raises(RuntimeError), pets.edit() as draft:
        draft.add(root / "data")
        raise RuntimeError
    assert noted(root) == [] and pets.files().tracked == ()


def test_keys_of_folders_of_the_same_names_do_not_clash(root: Path, pets: Dataset) -> None:
    put(root, "train/1.jpg", "val/1.jpg")
    pets.add(root / "train", root / "val")
    assert keys(pets) == ["train/1.jpg", "val/1.jpg"]


def test_files_that_would_have_the_same_key_are_named(root: Path, pets: Dataset, fresh: Fresh) -> None:
    put(root, "train/1.jpg", "train/x/2.jpg", "val/1.jpg", "val/x/2.jpg", "val/3.jpg")
    pets.add(root / "train", root=root / "train")
    clashes = [
        f"{root}/val/1.jpg: its key, 1.jpg, is that of train/1.jpg",
        f"{root}/val/x/2.jpg: its key, x/2.jpg, is that of train/x/2.jpg",
    ]
    report = pets.add(root / "val", root=root / "val")
    assert report.new == 1 and [str(problem) for problem in report.problems] == clashes
    assert pets.draft()["1.jpg"].read_bytes() == b"train/1.jpg"
    for _ in range(2):
        status = fresh().files()
        assert status.is_clean and [str(problem) for problem in status.problems] == clashes
        shutil.rmtree(root / ".dsvc" / "cache")
    (root / "train/1.jpg").unlink()
    status = fresh().files()
    assert status.modified == ("1.jpg",) and len(status.problems) == 1
    assert fresh().add_all().changed == 1


@pytest.mark.parametrize("inside", [True, False])
def test_a_root_above_the_project(inside: bool, root: Path, pets: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys that begin with the project's own name would be others where it is called otherwise."""
    put(root, "data/a.jpg", "data/sub/b.jpg")
    monkeypatch.chdir(root / "data" if inside else root)
    report = pets.add(root / "data", root=root.parent)
    assert report.tracked == () and noted(root) == []
    assert report.notes == ("data is not tracked, since its keys begin outside the project folder",)
    assert keys(pets) == ["project/data/a.jpg", "project/data/sub/b.jpg"]


def test_keys_do_not_depend_on_the_current_folder(root: Path, pets: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    put(root, "data/sub/a.jpg", "data/sub/b.jpg")
    monkeypatch.chdir(root / "data")
    pets.add("sub", root=".")
    assert noted(root) == [{"folder": "data/sub", "dataset": "pets", "root": "data"}]
    put(root, "data/sub/c.jpg")
    for folder in (root, root / "data/sub", root.parent):
        monkeypatch.chdir(folder)
        assert pets.files().new == ("sub/c.jpg",)
    monkeypatch.chdir(root / "data/sub")
    pets.add_all()
    assert keys(pets) == ["sub/a.jpg", "sub/b.jpg", "sub/c.jpg"]


def test_a_folder_in_a_tracked_one_that_has_other_keys(root: Path, pets: Dataset, fresh: Fresh) -> None:
    put(root, "data/a.jpg", "data/sub/b.jpg", "data/sub/deep/c.jpg")
    pets.add(root / "data/sub", root=root / "data/sub")
    report = fresh().add(root / "data")
    assert report[:3] == (1, 0, 2) and report.tracked == ("data",)
    assert keys(fresh()) == ["b.jpg", "data/a.jpg", "deep/c.jpg"]
    # Without a root, what lies there has the keys that it has.
    put(root, "data/sub/deep/d.jpg", "data/sub/n.json")
    assert fresh().add(root / "data/sub/deep")[:3] == (1, 0, 1)
    assert fresh().add(root / "data/sub/n.json")[:3] == (1, 0, 0)
    assert keys(fresh()) == ["b.jpg", "data/a.jpg", "deep/c.jpg", "deep/d.jpg", "n.json"]
    assert fresh().files().is_clean
    shutil.rmtree(root / "data/sub")
    assert fresh().files().absent == ("data/sub",)
    with pytest.raises(RefusedError, match="data/sub: not there, or without files, and 4 inputs came from it"):
        fresh().add_all()


def test_a_folder_gets_another_root(root: Path, pets: Dataset, fresh: Fresh) -> None:
    put(root, "data/sub/a.jpg")
    for base, key in ((root / "data", "sub/a.jpg"), (root, "data/sub/a.jpg"), (root / "data/sub", "a.jpg")):
        report = fresh().add(root / "data/sub", root=base)
        assert report.new == 1 and report.tracked == ("data/sub",) and len(noted(root)) == 1
        assert fresh().files().new == () and key in keys(fresh())
    fresh().add(root / "data")
    fresh().add(root / "data/sub", root=root)
    assert fresh().files().is_clean and len(noted(root)) == 2


def test_hidden_folders_that_are_named(root: Path, pets: Dataset, fresh: Fresh) -> None:
    put(root, "data/a.jpg", "data/.h/b.jpg")
    pets.add(root / "data")
    assert fresh().add(root / "data/.h").tracked == ("data/.h",)
    put(root, "data/.h/c.jpg")
    assert fresh().files().new == ("data/.h/c.jpg",)


def test_the_teams_folders(root: Path, pets: Dataset, fresh: Fresh) -> None:
    put(root, "data/a.jpg", "own/b.jpg")
    (root / "dsvc.toml").write_text("# ours\n[author]\nname = 'Team'\n")
    pets.add(root / "data", team=True)
    pets.add(root / "own")
    assert noted(root, "dsvc.toml") == [{"folder": "data", "dataset": "pets"}]
    assert (root / "dsvc.toml").read_text().startswith("# ours\n[author]\nname = 'Team'\n")
    assert noted(root) == [{"folder": "own", "dataset": "pets"}]
    # One that this workspace has already can be told to the team, and this workspace's word counts first.
    assert fresh().add(root / "own", team=True).tracked == ("own",)
    fresh().add(root / "own", root=root / "own")
    assert [(one.folder, one.root) for one in fresh().files().tracked] == [("data", ""), ("own", "own")]
    fresh().untrack("own")
    assert [one.folder for one in fresh().files().tracked] == ["data"] and noted(root) == []
    fresh().untrack("data")
    assert "track" not in (root / "dsvc.toml").read_text()


def test_a_folder_of_every_dataset(root: Path, pets: Dataset, fresh: Fresh) -> None:
    put(root, "data/a.jpg")
    (root / "dsvc.toml").write_text('[[track]]\nfolder = "./data/"\n')
    fresh().repository.create("birds")
    for name in ("pets", "birds"):
        assert fresh(name).files().new == ("data/a.jpg",)
        assert fresh(name).add(root / "data").tracked == ()
    # What is said of one dataset counts before what is said of all.
    fresh("birds").add(root / "data", root=root / "data")
    assert keys(fresh("birds")) == ["a.jpg", "data/a.jpg"]
    assert fresh("birds").files().tracked[0].root == "data" and fresh().files().tracked[0].root == ""


# ---- forgetting folders


def test_untracking_changes_nothing_else(data: Path, root: Path, fresh: Fresh) -> None:
    put(root, "other/x.jpg")
    fresh().add(root / "other")
    with pytest.raises(NotFoundError) as caught:
        fresh().untrack("data", "nowhere")
    assert str(caught.value) == "no tracked folder 'nowhere'" and caught.value.hint == "there is: data, other"
    assert len(noted(root)) == 2
    fresh().untrack("data/", "./other")
    assert noted(root) == [] and len(fresh()) == 4 and (data / "a.jpg").exists()
    with pytest.raises(NotFoundError) as caught:
        fresh().untrack(".")
    assert caught.value.hint == "see: dsvc status"
    put(data, "a.jpg", data=b"other", mtime=OLD + 1)
    assert fresh().files().is_clean
    fresh().add(data)
    assert fresh().files().is_clean and len(fresh().files().tracked) == 1


# ---- wrong notes


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("track = 'data'", "track is no list of tables"),
        ("[track]\nfolder = 'data'", "track is no list of tables"),
        ("track = ['data']", "track is no list of tables"),
        ("[[track]]", "a [[track]] table names no folder"),
        ("[[track]]\nfolder = ''", "a [[track]] table names no folder"),
        ("[[track]]\nfolder = 5", "a [[track]] table has folder = 5"),
        ("[[track]]\nfolder = ['a', 'b']", "a [[track]] table has folder = ['a', 'b']"),
        ("[[track]]\nfolder = 'data'\nroot = ''", "a [[track]] table names no root"),
        ("[[track]]\nfolder = 'data'\nall_files = 'no'", "a [[track]] table has all_files = 'no'"),
        ("[[track]]\nfolder = 'data'\nall_files = 1", "a [[track]] table has all_files = 1"),
        ("[[track]]\nfolder = 'data'\ndataset = 1", "a [[track]] table has dataset = 1"),
        ("[[track]]\nfolder = 'data'\nroots = 'data'", "a [[track]] table has roots = 'data'"),
        ("[[track]]\nfolder = '/data'", "the tracked folder '/data' lies outside the project"),
        ("[[track]]\nfolder = 'a/../../data'", "the tracked folder '../data' lies outside the project"),
        ('[[track]]\nfolder = "a\\u0000b"', "the tracked folder 'a\\x00b' lies outside the project"),
        ("[[track]]\nfolder = '.dsvc'", "the tracked folder '.dsvc' holds no data"),
        ("[[track]]\nfolder = 'a/.git/b'", "the tracked folder 'a/.git/b' holds no data"),
        ("[[track]]\nfolder = 'data'\nroot = 'other'", "the tracked folder 'data' does not lie in its root, 'other'"),
        ("[[track]]\nfolder = 'data'\nroot = '..'", "the tracked folder 'data' does not lie in its root, '..'"),
        (
            "[[track]]\nfolder = 'data'\nroot = 'data/sub'",
            "the tracked folder 'data' does not lie in its root, 'data/sub'",
        ),
    ],
)
@pytest.mark.parametrize("file", ["dsvc.toml", ".dsvc/workspace.toml"])
def test_what_is_wrong_is_said(file: str, text: str, message: str, root: Path, pets: Dataset, fresh: Fresh) -> None:
    put(root, "data/a.jpg")
    before = (root / file).read_text() if (root / file).exists() else ""
    (root / file).write_text(f"{before}\n{text}\n")
    for work in (
        lambda: fresh().files(),
        lambda: fresh().add_all(),
        lambda: fresh().add(root / "data"),
        lambda: fresh().untrack("data"),
    ):
        with pytest.raises(DamagedError) as caught:
            work()
        assert str(caught.value) == f"{Path(file).name}: {message}" and caught.value.hint
    assert len(fresh()) == 0


# ---- datasets that get other names


def test_folders_follow_a_dataset_to_its_new_name(data: Path, root: Path, fresh: Fresh) -> None:
    put(root, "team/x.jpg", "bare/y.jpg")
    fresh().add(root / "team", team=True)
    fresh().add(root / "bare", root=root / "bare")
    fresh().repository.create("birds").add(root / "team")
    repository = fresh().repository
    repository.use("pets")
    repository.rename("pets", "animals")
    assert {one["dataset"] for one in noted(root)} == {"animals", "birds"}
    for name in ("animals", "pets", "animals"):
        dataset = fresh(name)
        assert dsvc.open(root).workspace.chosen == name
        assert [one.folder for one in dataset.files().tracked] == ["bare", "data", "team"]
        (root / "bare/y.jpg").rename(root / "y.jpg")
        assert dataset.files().missing == ("y.jpg",)
        (root / "y.jpg").rename(root / "bare/y.jpg")
        assert dataset.files().is_clean
        (dataset.repository.undo if name == "animals" else dataset.repository.redo)()
    assert [one.folder for one in fresh("birds").files().tracked] == ["team"]
    assert noted(root, "dsvc.toml") == [{"folder": "team", "dataset": "pets"}]


def test_a_rename_that_is_refused_changes_no_note(data: Path, root: Path, fresh: Fresh) -> None:
    fresh().repository.create("birds")
    before = noted(root)
    with pytest.raises(RefusedError):
        fresh().repository.rename("pets", "birds")
    assert noted(root) == before


# ---- several at once


def _add(root: Path, name: str) -> None:
    dsvc.open(root, author=dsvc.Author("Ada")).dataset("pets").add(root / name)


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="there is no fork here")
def test_folders_that_are_added_at_once_are_all_noted(root: Path, pets: Dataset, fresh: Fresh) -> None:
    names = [f"data{number}" for number in range(8)]
    for name in names:
        put(root, f"{name}/a.jpg")
    context = multiprocessing.get_context("fork")
    others = [context.Process(target=_add, args=(root, name)) for name in names]
    for other in others:
        other.start()
    for other in others:
        other.join()
    assert sorted(one["folder"] for one in noted(root)) == names
    assert fresh().files().is_clean and len(fresh()) == 8


def test_what_others_wrote_meanwhile_stays(root: Path) -> None:
    first, second = Workspace(root / ".dsvc"), Workspace(root / ".dsvc")
    with first.saving(track=lambda tables: [*(tables or ()), {"folder": "a"}]):
        second.save(track=[{"folder": "b"}], author={"name": "Eve"})
    assert noted(root) == [{"folder": "b"}, {"folder": "a"}]
    assert first.setting("author", "name") == "Eve"
    assert not list((root / ".dsvc").glob("*.tmp"))
