"""Laying versions out, and keeping folders current."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from project_files import PNG

from dsvc.core.dataset import Dataset
from dsvc.core.layout import folders
from dsvc.core.layout.checkout import checkout, checkout_all, forget_folder, update_folders
from dsvc.core.layout.folders import Checkout, remembered
from dsvc.core.layout.record import Records
from dsvc.core.repository import Repository
from dsvc.errors import DamagedError, NotFoundError, RefusedError, UsageError
from dsvc.model.records import Media
from dsvc.store.ids import ObjectId

Look = Callable[..., dict[str, bytes]]
Picture = Callable[[str], bytes]


def counts(update: Any) -> tuple[int, int, int]:
    return update.added, update.changed, update.removed


def left(updates: list[Any]) -> list[tuple[str, str]]:
    return [tuple(one) for update in updates for one in update.left]


def test_a_version_as_files(dataset: Dataset, look: Look, picture: Picture, root: Path) -> None:
    update = checkout(dataset.repository, "pets")
    assert counts(update) == (3, 0, 0) and update.is_whole and update.commit == dataset.head
    assert look() == {f"images/{name}": picture(name) for name in ("a.jpg", "b.jpg", "deep/c.jpg")}
    assert update.annotations == ("annotations/instances.json",)
    # It is what an export with media writes.
    dataset.at().export("coco", root / "out", media=True)
    assert look(annotations=True) == look("out", annotations=True)
    assert not (root / "pets/.dsvc-checkout").exists()
    # It is no data for Git, nor for a folder around it that is tracked.
    assert (root / "pets/.gitignore").read_text() == "*\n" and (root / "pets/.dsvc-export").exists()


def test_an_import_understands_the_folder(dataset: Dataset, root: Path, repo: Repository) -> None:
    checkout(repo, "pets")
    other = repo.create("other")
    report = other.import_(root / "pets")
    assert (report.inputs, report.annotations, report.missing) == (3, 3, ())


def test_files_have_the_names_of_keys_whatever_the_source_called_them(
    dataset: Dataset, document: Callable[..., Any]
) -> None:
    with dataset.edit() as draft:
        draft.import_(_spelled(dataset), source="spelled")
    dataset.commit("spelled")
    checkout(dataset.repository, "pets")
    names = [image["file_name"] for image in document()["images"]]
    assert names == ["a.jpg", "b.jpg", "deep/c.jpg", "win/d.jpg"]


def _spelled(dataset: Dataset) -> Path:
    assert dataset.repository.root is not None
    path = dataset.repository.root / "incoming" / "spelled.json"
    document = {"images": [{"id": 9, "file_name": "win\\d.jpg"}], "annotations": [], "categories": []}
    path.write_text(json.dumps(document))
    return path


def test_a_folder_follows_its_branch(
    dataset: Dataset, look: Look, picture: Picture, change: Callable[..., None], document: Callable[..., Any]
) -> None:
    checkout(dataset.repository, "pets")
    change(gone=("b.jpg", "deep/c.jpg"), a="new a", d="d", up__e="e")
    [update] = update_folders(dataset.repository)
    assert counts(update) == (2, 1, 2)
    assert look() == {
        "images/a.jpg": picture("new a"),
        "images/d.jpg": picture("d"),
        "images/up/e.jpg": picture("e"),
    }
    assert not (dataset.repository.root / "pets/images/deep").exists()  # type: ignore[operator]
    assert [image["file_name"] for image in document()["images"]] == ["a.jpg", "d.jpg", "up/e.jpg"]
    assert update_folders(dataset.repository) == []


def test_only_files_that_differ_are_touched(dataset: Dataset, root: Path, change: Callable[..., None]) -> None:
    checkout(dataset.repository, "pets")
    before = {path: path.stat() for path in (root / "pets/images").rglob("*.jpg")}
    change(a="new a")
    update_folders(dataset.repository)
    same = {path.name for path, was in before.items() if os.path.samestat(was, path.stat())}
    assert same == {"b.jpg", "c.jpg"}


def test_the_annotation_file_is_written_if_it_says_something_else(
    dataset: Dataset, root: Path, change: Callable[..., None], document: Callable[..., Any]
) -> None:
    checkout(dataset.repository, "pets")
    before = (root / "pets/annotations/instances.json").stat()
    change(a="new a")
    [update] = update_folders(dataset.repository)
    assert (update.changed, update.annotations) == (1, ())
    assert os.path.samestat(before, (root / "pets/annotations/instances.json").stat())
    dataset.at().export("coco", root / "out")
    assert (root / "out/annotations/instances.json").read_text() == (
        root / "pets/annotations/instances.json"
    ).read_text()
    # Other facts of the media may be in it.
    change(b="RIFF")
    (root / "incoming/d.jpg").write_bytes(PNG)
    dataset.add(root / "incoming/d.jpg", root=root / "incoming")
    dataset.commit("a picture with a size")
    update_folders(dataset.repository)
    assert document()["images"][2]["width"] == 2
    (root / "incoming/d.jpg").write_bytes(PNG.replace(b"\0\0\0\x02", b"\0\0\0\x03"))
    dataset.add(root / "incoming/d.jpg", root=root / "incoming")
    dataset.commit("another size")
    [update] = update_folders(dataset.repository)
    assert update.annotations == ("annotations/instances.json",) and document()["images"][2]["width"] == 3


def test_a_branch_a_version_and_a_commit(dataset: Dataset, change: Callable[..., None]) -> None:
    repo, first = dataset.repository, dataset.head
    assert first is not None
    dataset.create_version("v1")
    dataset.create_branch("side")
    for number, text in enumerate(("pets", "HEAD", "pets:main", "side", "pets:side", "pets@v1", "pets~0", "v1")):
        checkout(repo, text, repo.root / f"out{number}")  # type: ignore[operator]
    expected = ["pets", "pets", "pets:main", "pets:side", "pets:side", "pets@v1", "pets@" + first.hex(), "pets@v1"]
    assert [one.revision for one in remembered(repo.workspace)] == expected
    change(a="new a")
    assert [update.checkout.folder for update in update_folders(repo)] == ["out0", "out1", "out2"]
    dataset.switch("side")
    assert [update.checkout.folder for update in update_folders(repo)] == ["out0", "out1"]


def test_what_one_command_selects_moves_no_folder(dataset: Dataset, change: Callable[..., None]) -> None:
    dataset.create_branch("side")
    change(a="new a")
    checkout(dataset.repository, "pets")
    dataset.repository.workspace.select("pets", "side")
    assert update_folders(dataset.repository) == []
    assert checkout(dataset.repository, "HEAD", dataset.repository.root / "side").checkout.revision == "pets:side"  # type: ignore[operator]


def test_local_changes_are_left_alone(
    dataset: Dataset, look: Look, picture: Picture, root: Path, change: Callable[..., None]
) -> None:
    checkout(dataset.repository, "pets")
    images = root / "pets/images"
    (images / "a.jpg").write_bytes(picture("mine"))
    (images / "b.jpg").unlink()
    (images / "deep/c.jpg").write_bytes(picture("mine, too"))
    (images / "d.jpg").write_bytes(picture("a stranger"))
    (images / "notes.txt").write_text("mine")
    change(gone=("deep/c.jpg",), a="new a", b="new b", d="d")
    updates = update_folders(dataset.repository)
    assert left(updates) == [
        ("pets/images/a.jpg", "was changed here"),
        ("pets/images/b.jpg", "was deleted here"),
        ("pets/images/d.jpg", "is there already, and is another file"),
        ("pets/images/deep/c.jpg", "was changed here"),
    ]
    assert look() == {
        "images/a.jpg": picture("mine"),
        "images/d.jpg": picture("a stranger"),
        "images/deep/c.jpg": picture("mine, too"),
        "images/notes.txt": b"mine",
    }
    # They are named once, again by whoever asks, and brought up to date once the changes are taken back.
    assert update_folders(dataset.repository) == []
    (images / "a.jpg").write_bytes(picture("a.jpg"))
    (images / "d.jpg").unlink()
    [update] = update_folders(dataset.repository)
    assert counts(update) == (1, 1, 0) and len(update.left) == 2
    assert look()["images/a.jpg"] == picture("new a") and look()["images/d.jpg"] == picture("d")


def test_a_checkout_brings_missing_files_back(dataset: Dataset, look: Look, picture: Picture, root: Path) -> None:
    checkout(dataset.repository, "pets")
    before = look(annotations=True)
    for name in ("images/a.jpg", "annotations/instances.json"):
        (root / "pets" / name).unlink()
    assert update_folders(dataset.repository) == []
    [update] = checkout_all(dataset.repository)
    assert counts(update) == (1, 0, 0) and update.annotations == ("annotations/instances.json",)
    assert look(annotations=True) == before


def test_a_whole_folder_that_is_gone(dataset: Dataset, root: Path, change: Callable[..., None], look: Look) -> None:
    checkout(dataset.repository, "pets")
    (root / "pets").rename(root / "away")
    change(a="new a")
    [update] = update_folders(dataset.repository)
    assert update.problem is not None and "is not there any more" in update.problem
    assert not (root / "pets").exists()
    checkout_all(dataset.repository)
    assert len(look()) == 3


def test_an_annotation_file_that_was_edited_is_left_alone(
    dataset: Dataset, root: Path, change: Callable[..., None]
) -> None:
    checkout(dataset.repository, "pets")
    file = root / "pets/annotations/instances.json"
    file.write_text(file.read_text().replace('"bbox":[1,2,10,10]', '"bbox":[3,2,10,10]'))
    edited = file.read_bytes()
    change(gone=("b.jpg",))
    assert left(update_folders(dataset.repository)) == [("pets/annotations/instances.json", "was changed here")]
    assert file.read_bytes() == edited


def test_a_file_that_becomes_a_folder_and_back(dataset: Dataset, look: Look, picture: Picture, root: Path) -> None:
    incoming = root / "incoming"
    checkout(dataset.repository, "pets")
    dataset.remove("a.jpg")
    with dataset.edit() as draft:
        media = Media(blob=draft.transaction.writer.put(_blob(), picture("in a")), size=7)
        draft.put_media({"a.jpg/x.jpg": media})
    dataset.commit("a folder")
    [update] = update_folders(dataset.repository)
    assert update.is_whole and look()["images/a.jpg/x.jpg"] == picture("in a")
    dataset.remove("a.jpg/x.jpg")
    dataset.add(incoming / "a.jpg", root=incoming)
    dataset.commit("a file")
    [update] = update_folders(dataset.repository)
    assert update.is_whole and look()["images/a.jpg"] == picture("a.jpg")


def _blob() -> Any:
    from dsvc.store.ids import Kind

    return Kind.BLOB


def test_a_filter(dataset: Dataset, look: Look, change: Callable[..., None], document: Callable[..., Any]) -> None:
    repo = dataset.repository
    checkout(repo, "pets", where="key like '%a.jpg' or key like '%d.jpg'")
    assert sorted(look()) == ["images/a.jpg"] and len(document()["images"]) == 1
    change(d="d", e="e")
    [update] = update_folders(repo)
    assert counts(update) == (1, 0, 0) and sorted(look()) == ["images/a.jpg", "images/d.jpg"]
    update = checkout(repo, "pets", where="key = 'b.jpg'")
    assert counts(update) == (1, 0, 2) and sorted(look()) == ["images/b.jpg"]
    [one] = remembered(repo.workspace)
    assert one.where == "key = 'b.jpg'"


def test_clarifai(dataset: Dataset, look: Look, root: Path, repo: Repository) -> None:
    update = checkout(repo, "pets", format="clarifai-json")
    assert update.annotations == ("annotations.zip",)
    assert sorted(look()) == ["media/a.jpg", "media/b.jpg", "media/deep/c.jpg"]
    other = repo.create("other")
    assert other.import_(root / "pets/annotations.zip").annotations == 3
    with pytest.raises(RefusedError, match="holds the layout of clarifai-json"):
        checkout(repo, "pets", format="coco")
    with pytest.raises(UsageError, match="no layout has the format 'mask'"):
        checkout(repo, "pets", format="mask")


def test_hard_links(dataset: Dataset, look: Look, root: Path, picture: Picture, change: Callable[..., None]) -> None:
    repo = dataset.repository
    checkout(repo, "pets", link=True)
    checkout(repo, "pets:main", root / "other", link=True)
    one, other = (root / folder / "images/a.jpg" for folder in ("pets", "other"))
    assert one.samefile(other) and stat.S_IMODE(one.stat().st_mode) == 0o444
    change(a="new a")
    assert all(update.is_whole for update in update_folders(repo))
    assert one.read_bytes() == picture("new a") and one.samefile(other)
    # Whoever writes to a link all the same has changed both, and no new one is made of it.
    one.chmod(0o644)
    one.write_bytes(picture("spoilt"))
    checkout(repo, "pets:main", root / "third", link=True)
    assert (root / "third/images/a.jpg").read_bytes() == picture("new a")
    assert [path for path, _ in left(checkout_all(repo))] == ["other/images/a.jpg", "pets/images/a.jpg"]


def test_inputs_without_bytes_here(dataset: Dataset, root: Path, look: Look) -> None:
    (root / "far").mkdir()
    (root / "far/f.jpg").write_bytes(b"\xff\xd8\xfffar")
    dataset.add_references(root / "far/f.jpg")
    with dataset.edit() as draft:
        draft.put_media({"lost.jpg": Media(blob=ObjectId(bytes(32)), size=3)})
    dataset.commit("without bytes")
    update = checkout(dataset.repository, "pets")
    assert (update.absent, update.elsewhere, update.added) == (("lost.jpg",), 1, 3)
    assert not update.is_whole and "images/lost.jpg" not in look()
    assert update_folders(dataset.repository) == []
    [again] = checkout_all(dataset.repository)
    assert again.absent == ("lost.jpg",)


# ---- places


@pytest.mark.parametrize("place", [".", "..", "../out", "a/../../out", ".dsvc", ".dsvc/out", ".git/x", "sub/.GIT"])
def test_no_place_for_a_checkout(dataset: Dataset, root: Path, place: str) -> None:
    with pytest.raises(RefusedError):
        checkout(dataset.repository, "pets", root / place)
    assert remembered(dataset.repository.workspace) == [] and not (root.parent / "out").exists()


def test_links_are_never_followed(dataset: Dataset, root: Path, tmp_path: Path, change: Callable[..., None]) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (root / "link").symlink_to(outside)
    for place in ("link", "link/pets"):
        with pytest.raises(RefusedError):
            checkout(dataset.repository, "pets", root / place)
    checkout(dataset.repository, "pets")
    images = root / "pets/images"
    (images / "deep/c.jpg").unlink()
    (images / "deep").rmdir()
    (images / "deep").symlink_to(outside)
    (images / "a.jpg").unlink()
    (images / "a.jpg").symlink_to(outside / "a.jpg")
    change(a="new a", deep__c="new c")
    assert left(update_folders(dataset.repository)) == [
        ("pets/images/a.jpg", "is a link here"),
        ("pets/images/deep/c.jpg", "pets/images/deep is a link, and no folder"),
    ]
    assert list(outside.iterdir()) == []
    for path in sorted((root / "pets").rglob("*"), reverse=True):
        path.unlink() if path.is_symlink() or path.is_file() else path.rmdir()
    (root / "pets").rmdir()
    (root / "pets").symlink_to(outside)
    [update] = checkout_all(dataset.repository)
    assert update.problem is not None and "is a link" in update.problem
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize(
    "key", [".git/config", "x/.GIT/hooks/y", ".dsvc/head", "git~1/x", ".g\u200cit/x", "a/.git. /x"]
)
def test_keys_that_would_be_harmful_files(dataset: Dataset, root: Path, key: str) -> None:
    with dataset.edit() as draft:
        media = Media(blob=draft.transaction.writer.put(_blob(), b"evil"), size=4)
        draft.put_media({key: media})
    dataset.commit("evil")
    update = checkout(dataset.repository, "pets")
    assert [one.path for one in update.left] == [f"pets/images/{key}"] and update.added == 3
    assert sorted(path.name for path in (root / "pets/images").iterdir()) == ["a.jpg", "b.jpg", "deep"]


def test_a_name_that_the_file_system_cannot_hold(dataset: Dataset) -> None:
    with dataset.edit() as draft:
        media = Media(blob=draft.transaction.writer.put(_blob(), b"long"), size=4)
        draft.put_media({"x" * 300 + ".jpg": media})
    dataset.commit("long")
    update = checkout(dataset.repository, "pets")
    assert len(update.left) == 1 and update.added == 3


def test_folders_that_lie_in_each_other_or_are_tracked(dataset: Dataset, root: Path) -> None:
    repo = dataset.repository
    checkout(repo, "pets", root / "out/pets")
    for place in ("out", "out/pets/more"):
        with pytest.raises(RefusedError, match="which is a checkout"):
            checkout(repo, "pets", root / place)
    dataset.add(root / "incoming")
    for place in ("incoming", "incoming/.."):
        with pytest.raises(RefusedError):
            checkout(repo, "pets:main", root / place)
    checkout(repo, "pets:main", root / "incoming/below")
    with pytest.raises(RefusedError, match="inputs of pets came from incoming/deep, which is tracked"):
        checkout(repo, "pets", root / "incoming/deep")
    # Nor is it laid out because somebody has written that into dsvc.toml.
    (root / "dsvc.toml").write_text("[[folders]]\nfolder = 'incoming/deep'\nrevision = 'pets'\n")
    repo = Repository.open(root)
    [update] = update_folders(repo)
    assert update.problem is not None and "came from incoming/deep" in update.problem
    assert sorted(path.name for path in (root / "incoming/deep").iterdir()) == ["c.jpg"]
    # Where none is laid out yet, its files are what they were.
    assert repo.dataset("pets").files().is_clean


def test_foreign_files_stay(dataset: Dataset, root: Path, look: Look, picture: Picture) -> None:
    images = root / "pets/images"
    images.mkdir(parents=True)
    (images / "a.jpg").write_bytes(picture("a.jpg"))
    (images / "b.jpg").write_bytes(picture("another"))
    (root / "pets/README").write_text("mine")
    update = checkout(dataset.repository, "pets")
    assert left([update]) == [("pets/images/b.jpg", "is there already, and is another file")]
    assert counts(update) == (1, 0, 0) and (root / "pets/README").read_text() == "mine"
    assert not (root / "pets/.gitignore").exists()
    assert look()["images/b.jpg"] == picture("another")


# ---- settings and records


def test_the_teams_folders(dataset: Dataset, root: Path, look: Look) -> None:
    repo = dataset.repository
    checkout(repo, "pets", team=True)
    assert (root / "dsvc.toml").read_text() == '[[folders]]\nfolder = "pets"\nrevision = "pets"\nformat = "coco"\n'
    forget_folder(repo, root / "pets")
    assert remembered(repo.workspace) == [] and update_folders(repo) == []
    repo.workspace.save(checkouts=[])
    # To others, it is one that was never laid out: it is laid out as soon as they have the dataset.
    for path in sorted((root / "pets").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    (root / "pets").rmdir()
    [update] = update_folders(repo)
    assert update.added == 3 and len(look()) == 3
    forget_folder(repo, root / "pets", team=True)
    assert "folders" not in (root / "dsvc.toml").read_text() and len(look()) == 3


@pytest.mark.parametrize("folder", ["../x", "/x", ".", "a/../..", ".dsvc/x", "x/.git", ""])
def test_a_folder_of_dsvc_toml_that_lies_outside(dataset: Dataset, root: Path, folder: str) -> None:
    (root / "dsvc.toml").write_text(f'[[folders]]\nfolder = "{folder}"\nrevision = "pets"\n')
    repo = Repository.open(root)
    with pytest.raises(DamagedError, match=r"dsvc\.toml"):
        update_folders(repo)


@pytest.mark.parametrize(
    "text", ["folders = 1", "[[folders]]\nfolder = 1", "[[folders]]\nfolder = 'x'", "[folders]\nx = 1",
             "[[folders]]\nfolder = 'x'\nrevision = 'p'\nformat = 'no'",
             "[[folders]]\nfolder = 'x'\nrevision = '@1'", "[[folders]]\nfolder = 'x'\nrevision = 'p'\nlink = 'soft'"],
)  # fmt: skip
def test_settings_that_make_no_sense(dataset: Dataset, root: Path, text: str) -> None:
    (root / "dsvc.toml").write_text(text)
    with pytest.raises(DamagedError, match=r"dsvc\.toml"):
        update_folders(Repository.open(root))


def test_a_renamed_dataset_keeps_its_folders(dataset: Dataset, root: Path) -> None:
    repo = dataset.repository
    checkout(repo, "pets:main", root / "out")
    checkout(repo, "pets", root / "teams", team=True)
    repo.rename("pets", "animals")
    assert [one.revision for one in remembered(repo.workspace)] == ["animals:main", "animals"]
    assert update_folders(repo) == []


def test_a_branch_that_is_gone(dataset: Dataset, change: Callable[..., None], root: Path) -> None:
    dataset.create_branch("side")
    checkout(dataset.repository, "pets:side")
    dataset.delete_branch("side")
    [update] = update_folders(dataset.repository)
    assert update.problem is not None and "has no branch 'side'" in update.problem


def test_without_a_record_nothing_is_mistaken(
    dataset: Dataset, root: Path, change: Callable[..., None], look: Look, picture: Picture
) -> None:
    checkout(dataset.repository, "pets")
    (root / "pets/images/b.jpg").write_bytes(picture("mine"))
    for path in (root / ".dsvc/checkouts").glob("*.json"):
        path.write_bytes(b"{ damaged")
    change(a="new a")
    # What is there and is not what is to be there may be anybody's.
    updates = update_folders(dataset.repository)
    assert [path for path, _ in left(updates)] == ["pets/images/a.jpg", "pets/images/b.jpg"]
    assert look()["images/b.jpg"] == picture("mine")


def test_the_table_of_files_is_a_cache(dataset: Dataset, root: Path, change: Callable[..., None], look: Look) -> None:
    checkout(dataset.repository, "pets")
    table = Records(dataset.repository, "pets").table_path
    assert table is not None and table.exists()
    for damage in (b"", b"dsvcfiles2" + bytes(100)):
        table.write_bytes(damage)
        change(a=f"new {damage!r}", message="again")
        [update] = update_folders(dataset.repository)
        assert counts(update) == (0, 1, 0) and update.is_whole


def test_an_edit_in_the_same_instant_is_seen(
    dataset: Dataset, root: Path, change: Callable[..., None], picture: Picture
) -> None:
    checkout(dataset.repository, "pets")
    path = root / "pets/images/a.jpg"
    was = path.stat()
    with path.open("r+b") as file:
        file.write(picture("A.jpg"))
    os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))
    change(a="new a")
    assert left(update_folders(dataset.repository)) == [("pets/images/a.jpg", "was changed here")]


def test_refusals(dataset: Dataset, root: Path, repo: Repository) -> None:
    repo.create("empty")
    with pytest.raises(RefusedError, match="has no commit yet"):
        checkout(repo, "empty")
    with pytest.raises(NotFoundError):
        checkout(repo, "nothing")
    with pytest.raises(NotFoundError, match="'out' is no checkout"):
        forget_folder(repo, root / "out")
    repo.workspace.save(checkouts=[{"folder": "out", "revision": "empty"}])
    [update] = checkout_all(repo)
    assert update.commit is None and update.checkout == Checkout("out", "empty")


def test_a_checkout_is_forgotten(dataset: Dataset, root: Path, look: Look) -> None:
    checkout(dataset.repository, "pets")
    forget_folder(dataset.repository, root / "pets")
    assert len(look()) == 3 and remembered(dataset.repository.workspace) == []
    assert folders.remembered(Repository.open(root).workspace) == []


def test_open_conflicts_keep_a_folder_where_it_is(dataset: Dataset, root: Path, look: Look) -> None:
    checkout(dataset.repository, "pets")
    before = look(annotations=True)
    dataset.create_branch("side")
    id = next(dataset.draft().annotations("a.jpg")).id
    for branch, concept in (("side", "dog"), ("main", "bird")):
        dataset.switch(branch)
        with dataset.edit() as draft:
            draft.change_annotation("a.jpg", id, {"concept": concept})
        dataset.commit(branch)
    update_folders(dataset.repository)
    before = look(annotations=True)
    dataset.merge("side")
    [update] = update_folders(dataset.repository)
    assert update.problem is not None and "open conflicts" in update.problem
    assert look(annotations=True) == before
