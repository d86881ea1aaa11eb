"""What was changed in a folder that is laid out: status sees it, `add -A` takes it in, a commit makes it current."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dsvc.core.dataset import Dataset
from dsvc.core.draft import new_annotation
from dsvc.core.layout.changes import FolderChanges
from dsvc.core.layout.checkout import checkout, checkout_all, update_folders
from dsvc.core.layout.record import Records
from dsvc.core.repository import Repository
from dsvc.errors import InvalidRecordsError, RefusedError
from dsvc.model.records import Shape
from dsvc.store.ids import ObjectId

Document = Callable[..., Any]
Picture = Callable[[str], bytes]


@pytest.fixture
def out(dataset: Dataset, root: Path) -> Path:
    """The folder pets, laid out."""
    checkout(dataset.repository, "pets")
    return root / "pets"


@pytest.fixture
def edit(root: Path) -> Callable[..., None]:
    """Change the annotation file of a folder, and write it as another program would."""

    def edit(change: Callable[[Any], None], folder: str = "pets", name: str = "instances") -> None:
        path = root / folder / f"annotations/{name}.json"
        document = json.loads(path.read_text())
        change(document)
        path.write_text(json.dumps(document, indent=1))

    return edit


def seen(dataset: Dataset) -> dict[str, Any]:
    """What of a folder is not as it was laid out."""
    [one] = dataset.folders()
    media = one.media
    found = {"new": media.new, "modified": media.modified, "missing": media.missing, "renamed": media.renamed}
    found |= {"edited": one.edited, "lost": one.lost, "problem": one.problem}
    return {name: value for name, value in found.items() if value}


def boxes(dataset: Dataset, key: str) -> list[tuple[str | None, tuple[float, ...]]]:
    return [(one.concept, tuple(one.shape.box)) for one in dataset.draft().annotations(key) if one.shape]  # type: ignore[union-attr,arg-type]


def test_an_untouched_folder_changes_nothing(dataset: Dataset, out: Path, edit: Callable[..., None]) -> None:
    assert seen(dataset) == {}
    report = dataset.add_all()
    assert (report.new, report.changed, report.removed, report.edited) == (0, 0, 0, ())
    assert not dataset.has_draft()
    # The same in other words: nothing but the bytes of the file has changed.
    edit(lambda document: document["images"].reverse())
    assert seen(dataset) == {"edited": ("annotations/instances.json",)}
    [found] = dataset.add_all().edited
    assert tuple(found) == ("pets/annotations/instances.json", 0, 0, 0)
    assert dataset.status().is_clean and seen(dataset) == {}


def test_media(dataset: Dataset, out: Path, picture: Picture, look: Callable[..., Any]) -> None:
    images = out / "images"
    (images / "a.jpg").write_bytes(picture("mine"))
    (images / "deep/c.jpg").unlink()
    (images / "b.jpg").rename(images / "moved.jpg")
    (images / "more").mkdir()
    (images / "more/new.jpg").write_bytes(picture("new"))
    (images / ".hidden.jpg").write_bytes(picture("hidden"))
    (images / "notes.md").write_text("no medium")
    assert seen(dataset) == {
        "new": ("more/new.jpg",),
        "modified": ("a.jpg",),
        "missing": ("deep/c.jpg",),
        "renamed": (("b.jpg", "moved.jpg"),),
    }
    report = dataset.add_all()
    assert (report.new, report.changed, report.moved, report.removed, report.removed_annotations) == (1, 1, 1, 1, 1)
    assert [sample.key for sample in dataset.draft()] == ["a.jpg", "more/new.jpg", "moved.jpg"]
    assert boxes(dataset, "moved.jpg") == [("cat", (2, 2, 10, 10))] and dataset.draft()[
        "a.jpg"
    ].read_bytes() == picture("mine")
    assert seen(dataset) == {} and dataset.add_all().new == 0
    dataset.commit("mine")
    [update] = update_folders(dataset.repository)
    assert update.is_whole and (update.added, update.changed, update.removed) == (0, 0, 0)
    assert update.annotations == ("annotations/instances.json",)
    assert seen(dataset) == {} and len(look()) == 5


def test_edits_of_the_annotation_file(
    dataset: Dataset, out: Path, edit: Callable[..., None], document: Document
) -> None:
    ids = {sample.key: sample.annotations[0].id for sample in dataset.at()}

    def change(document: Any) -> None:
        document["annotations"][0]["bbox"] = [1, 2, 11, 10]
        document["annotations"][1]["category_id"] = 2
        del document["annotations"][2]
        document["annotations"].append({"id": 77, "image_id": 3, "category_id": 3, "bbox": [5, 5, 5, 5], "area": 25})
        document["categories"].append({"id": 3, "name": "bird"})

    edit(change)
    [found] = dataset.add_all().edited
    assert tuple(found) == ("pets/annotations/instances.json", 1, 2, 1)
    assert boxes(dataset, "a.jpg") == [("cat", (1, 2, 11, 10))]
    assert boxes(dataset, "b.jpg") == [("dog", (2, 2, 10, 10))]
    assert boxes(dataset, "deep/c.jpg") == [("bird", (5, 5, 5, 5))]
    kept = {key: next(dataset.draft().annotations(key)).id for key in ("a.jpg", "b.jpg")}
    assert kept == {key: ids[key] for key in kept}
    dataset.commit("edited")
    assert (out / "annotations/instances.json").read_text().startswith("{\n")
    [update] = update_folders(dataset.repository)
    # It is written anew, in the form that exports have.
    assert update.is_whole and update.annotations == ("annotations/instances.json",)
    assert len(document()["annotations"]) == 3 and seen(dataset) == {}
    assert not (out / "annotations/instances.json").read_text().startswith("{\n")


def test_images_of_the_annotation_file(
    dataset: Dataset, out: Path, edit: Callable[..., None], picture: Picture
) -> None:
    def change(document: Any) -> None:
        document["images"].append({"id": 50, "file_name": "d.jpg", "width": 9, "height": 8})
        document["annotations"].append({"id": 50, "image_id": 50, "category_id": 1, "bbox": [1, 1, 2, 2], "area": 4})
        document["images"] = [image for image in document["images"] if image["file_name"] != "b.jpg"]
        document["annotations"] = [one for one in document["annotations"] if one["image_id"] != 2]

    edit(change)
    (out / "images/d.jpg").write_bytes(picture("d"))
    report = dataset.add_all()
    assert [sample.key for sample in dataset.draft()] == ["a.jpg", "b.jpg", "d.jpg", "deep/c.jpg"]
    record = dataset.draft().input("d.jpg")
    assert record is not None and (record.declared_width, record.number) == (9, 50) and record.media is not None
    # The file says all of what it lists, and of other inputs nothing.
    assert len(boxes(dataset, "b.jpg")) == 1 and boxes(dataset, "d.jpg") == [("cat", (1, 1, 2, 2))]
    assert any("1 input stays that it lists no more" in note for note in report.notes)


def test_edits_go_on_after_they_were_taken(
    dataset: Dataset, out: Path, edit: Callable[..., None], picture: Picture
) -> None:
    for number in (3, 4, 5):
        edit(lambda document, n=number: document["annotations"][0].update(bbox=[n, 2, 10, 10]))
        (out / "images/b.jpg").write_bytes(picture(f"mine {number}"))
        report = dataset.add_all()
        assert (report.changed, [tuple(one)[1:] for one in report.edited]) == (1, [(0, 1, 0)])
        assert boxes(dataset, "a.jpg") == [("cat", (number, 2, 10, 10))]
        assert dataset.draft().snapshot.conflicts == 0
    # Taken back by hand, too.
    edit(lambda document: document["annotations"][0].update(bbox=[1, 2, 10, 10]))
    (out / "images/b.jpg").write_bytes(picture("b.jpg"))
    dataset.add_all()
    assert dataset.status().is_clean


def test_a_draft_that_is_dropped_has_taken_nothing(
    dataset: Dataset, out: Path, edit: Callable[..., None], picture: Picture
) -> None:
    edit(lambda document: document["annotations"][0].update(bbox=[3, 2, 10, 10]))
    (out / "images/b.jpg").write_bytes(picture("mine"))
    (out / "images/deep/c.jpg").unlink()
    everything = seen(dataset)
    dataset.add_all()
    assert seen(dataset) == {}
    dataset.discard()
    assert seen(dataset) == everything
    dataset.add_all()
    dataset.repository.undo()
    assert seen(dataset) == everything
    dataset.repository.redo()
    assert seen(dataset) == {}
    dataset.commit("mine")
    [update] = update_folders(dataset.repository)
    assert update.is_whole and seen(dataset) == {}
    assert (out / "images/b.jpg").read_bytes() == picture("mine")


def test_the_draft_goes_its_own_way_meanwhile(dataset: Dataset, out: Path, edit: Callable[..., None]) -> None:
    """What was changed in the draft is no change of the folder, and edits of both are joined."""
    id = next(dataset.draft().annotations("a.jpg")).id
    with dataset.edit() as draft:
        draft.change_annotation("a.jpg", id, {"attributes": {"sleepy": True}})
        draft.annotate(new_annotation("b.jpg", "dog", shape=Shape(box=(1, 1, 5, 5))))
    assert seen(dataset) == {}
    edit(lambda document: document["annotations"][0].update(bbox=[3, 2, 10, 10]))
    dataset.add_all()
    made = dataset.draft().snapshot.annotation("a.jpg", id)
    assert made is not None and made.attributes == {"sleepy": True} and boxes(dataset, "a.jpg")[0][1] == (3, 2, 10, 10)
    assert len(boxes(dataset, "b.jpg")) == 2
    dataset.commit("both")
    [update] = update_folders(dataset.repository)
    assert update.is_whole


def test_two_edits_that_clash_are_a_conflict(dataset: Dataset, out: Path, edit: Callable[..., None]) -> None:
    id = next(dataset.draft().annotations("a.jpg")).id
    with dataset.edit() as draft:
        draft.change_annotation("a.jpg", id, {"concept": "dog"})
    edit(
        lambda document: (
            document["annotations"][0].update(category_id=3) or document["categories"].append({"id": 3, "name": "bird"})
        )
    )
    dataset.add_all()
    made = dataset.draft().snapshot.annotation("a.jpg", id)
    assert made is not None and sorted(made.conflicts["c"]) == ["bird", "dog"]


def test_a_change_that_was_left_alone_is_taken_from_where_it_was_made(
    dataset: Dataset, out: Path, change: Callable[..., None], picture: Picture, edit: Callable[..., None]
) -> None:
    (out / "images/a.jpg").write_bytes(picture("mine"))
    (out / "images/deep/c.jpg").unlink()
    edit(lambda document: document["annotations"][1].update(bbox=[9, 9, 9, 9]))
    change(a="theirs", b="b, too", gone=("deep/c.jpg",))
    update_folders(dataset.repository)
    assert seen(dataset) == {"modified": ("a.jpg",), "edited": ("annotations/instances.json",)}
    dataset.add_all()
    record = dataset.draft().input("a.jpg")
    assert record is not None and len(record.conflicts["media"]) == 2
    assert boxes(dataset, "b.jpg") == [("cat", (9, 9, 9, 9))]
    assert [sample.key for sample in dataset.draft()] == ["a.jpg", "b.jpg"]


def test_records_that_a_format_cannot_say_stay(dataset: Dataset, root: Path, edit: Callable[..., None]) -> None:
    """Annotations without a number, in relative units, with attributes: an edit changes what was edited alone."""
    with dataset.edit() as draft:
        shape = Shape(box=(0.25, 0.25, 0.5, 0.5), unit="relative")
        draft.annotate(new_annotation("a.jpg", "dog", shape=shape, attributes={"x": 1}))
        draft.annotate(new_annotation("a.jpg", "dog", shape=Shape(box=(0.5, 0.5, 0.25, 0.25), unit="relative")))
    dataset.commit("relative")
    before = {one.id: one for one in dataset.at().annotations("a.jpg")}
    checkout(dataset.repository, "pets")

    def change(document: Any) -> None:
        [one] = [one for one in document["annotations"] if one["bbox"] == [16, 12, 32, 24]]
        one["bbox"] = [16, 12, 32, 25]

    edit(change)
    assert [tuple(one)[1:] for one in dataset.add_all().edited] == [(0, 1, 0)]
    after = {one.id: one for one in dataset.draft().annotations("a.jpg")}
    assert after.keys() == before.keys()
    [id] = [id for id in after if after[id] != before[id]]
    assert after[id].attributes == {"x": 1} and tuple(after[id].shape.box) == (16, 12, 32, 25)  # type: ignore[union-attr,arg-type]
    assert dataset.draft().snapshot.conflicts == 0


def test_splits(dataset: Dataset, root: Path, edit: Callable[..., None]) -> None:
    dataset.set("a.jpg", split="train")
    dataset.commit("split")
    update = checkout(dataset.repository, "pets")
    assert update.annotations == ("annotations/instances_train.json", "annotations/instances.json")

    def change(document: Any) -> None:
        document["images"].append({"id": 60, "file_name": "t.jpg"})
        document["annotations"][0]["bbox"] = [7, 7, 7, 7]

    edit(change, name="instances_train")
    assert [one.path for one in dataset.add_all().edited] == ["pets/annotations/instances_train.json"]
    record = dataset.draft().input("t.jpg")
    assert record is not None and record.split == "train"
    assert boxes(dataset, "a.jpg") == [("cat", (7, 7, 7, 7))]


def test_a_filter_leaves_the_rest_alone(
    dataset: Dataset, root: Path, edit: Callable[..., None], picture: Picture
) -> None:
    checkout(dataset.repository, "pets", where="key = 'a.jpg'")
    assert seen(dataset) == {} and dataset.add_all().removed == 0
    edit(lambda document: document.update(annotations=[]))
    (root / "pets/images/b.jpg").write_bytes(picture("not b"))
    report = dataset.add_all()
    assert len(report.problems) == 1 and "the filter leaves out" in report.problems[0].reason
    assert boxes(dataset, "a.jpg") == [] and len(boxes(dataset, "b.jpg")) == 1 and len(dataset) == 3
    assert dataset.draft()["b.jpg"].read_bytes() == picture("b.jpg")


def test_clarifai(dataset: Dataset, root: Path) -> None:
    checkout(dataset.repository, "pets", format="clarifai-json")
    assert seen(dataset) == {}
    other = dataset.repository.create("other")
    other.import_(root / "pets/annotations.zip")
    with other.edit() as draft:
        [one] = other.draft().annotations("a.jpg")
        draft.remove_annotation("a.jpg", one.id)
    other.commit("one less")
    other.at().export("clarifai-json", root / "pets/annotations.zip", force=True)
    assert seen(dataset) == {"edited": ("annotations.zip",)}
    assert [tuple(one)[1:] for one in dataset.add_all().edited] == [(0, 0, 1)]
    assert boxes(dataset, "a.jpg") == [] and len(boxes(dataset, "b.jpg")) == 1


@pytest.mark.parametrize("text", ["", "{", "[]", '{"images": 1}', '{"images": [{"id": 1, "file_name": "../x"}]}'])
def test_an_annotation_file_that_cannot_be_read(
    dataset: Dataset, out: Path, text: str, change: Callable[..., None], picture: Picture
) -> None:
    file = out / "annotations/instances.json"
    file.write_text(text)
    (out / "images/new.jpg").write_bytes(picture("new"))
    with pytest.raises((InvalidRecordsError, RefusedError)) as caught:
        dataset.add_all()
    assert "instances.json" in caught.value.message and not dataset.has_draft()
    change(a="theirs")
    [update] = update_folders(dataset.repository)
    assert [one.reason for one in update.left] == ["was changed here"] and file.read_text() == text


def test_what_a_file_says_of_the_whole_is_not_taken(
    dataset: Dataset, out: Path, edit: Callable[..., None], change: Callable[..., None]
) -> None:
    edit(lambda document: document.update(info={"mine": True}))
    report = dataset.add_all()
    assert any("was changed: that is not taken in" in note for note in report.notes)
    change(gone=("b.jpg",))
    [update] = update_folders(dataset.repository)
    assert [one.reason for one in update.left] == ["was changed here"]


def test_a_lost_annotation_file(dataset: Dataset, out: Path) -> None:
    (out / "annotations/instances.json").unlink()
    assert seen(dataset) == {"lost": ("annotations/instances.json",)}
    dataset.add_all()
    assert not dataset.has_draft()
    checkout_all(dataset.repository)
    assert seen(dataset) == {}


def test_all_files_gone(dataset: Dataset, out: Path, root: Path) -> None:
    (out / "images").rename(root / "away")
    with pytest.raises(RefusedError, match="not there, or without files"):
        dataset.add_all()
    (root / "away").rename(out / "images")
    out.rename(root / "other")
    [one] = dataset.folders()
    assert one.problem == "it is not there any more"
    with pytest.raises(RefusedError, match="not there, or without files"):
        dataset.add_all()


def test_a_checkout_in_a_tracked_project_is_counted_once(dataset: Dataset, root: Path, picture: Picture) -> None:
    dataset.add(root)
    dataset.commit("all")
    checkout(dataset.repository, "pets")
    files = dataset.files()
    assert files.is_clean and seen(dataset) == {}
    (root / "pets/images/new.jpg").write_bytes(picture("new"))
    assert dataset.files().is_clean and seen(dataset) == {"new": ("new.jpg",)}
    dataset.add_all()
    assert "new.jpg" in dataset.draft() and "pets/images/new.jpg" not in dataset.draft()
    # Nor without the mark.
    (root / "pets/.dsvc-export").unlink()
    assert dataset.files().is_clean
    for place in (root / "pets", root / "pets/images/new.jpg"):
        with pytest.raises(RefusedError, match="is a checkout of pets"):
            dataset.add(place)


def test_a_pinned_version(dataset: Dataset, root: Path, change: Callable[..., None], edit: Callable[..., None]) -> None:
    dataset.create_version("v1")
    checkout(dataset.repository, "pets@v1")
    change(a="theirs")
    edit(lambda document: document["annotations"][0].update(bbox=[3, 2, 10, 10]))
    dataset.add_all()
    assert boxes(dataset, "a.jpg") == [("cat", (3, 2, 10, 10))] and dataset.draft().snapshot.conflicts == 0
    assert seen(dataset) == {}
    dataset.commit("from v1")
    assert update_folders(dataset.repository) == [] and seen(dataset) == {}


def test_a_folder_that_is_on_its_way(dataset: Dataset, out: Path) -> None:
    records = Records(dataset.repository, "pets")
    record = records.load()
    records.save(record._replace(layers=record.layers * 2))
    assert seen(dataset) == {"problem": "it is not laid out to its end"}
    report = dataset.add_all()
    assert "next: dsvc checkout" in report.problems[0].reason
    checkout_all(dataset.repository)
    assert seen(dataset) == {}


def test_a_commit_that_is_not_stored_any_more(dataset: Dataset, out: Path, picture: Picture) -> None:
    records = Records(dataset.repository, "pets")
    record = records.load()
    records.save(record._replace(layers=(record.layers[0]._replace(commit=ObjectId(bytes(32))),)))
    (out / "images/a.jpg").write_bytes(picture("mine"))
    assert seen(dataset) == {"problem": "the commit that was laid out is not stored any more"}
    assert "next: dsvc checkout" in dataset.add_all().problems[0].reason
    [update] = checkout_all(dataset.repository)
    assert [one.path for one in update.left] == ["pets/images/a.jpg"]


def test_a_folder_that_has_fallen_behind(dataset: Dataset, out: Path, change: Callable[..., None]) -> None:
    change(a="theirs")
    [one] = dataset.folders()
    assert isinstance(one, FolderChanges) and one.wanted == dataset.head and one.is_clean


def test_missing_media_are_no_deletions(dataset: Dataset, root: Path) -> None:
    from dsvc.model.records import Media

    with dataset.edit() as draft:
        draft.put_media(
            {"lost.jpg": Media(blob=ObjectId(bytes(32)), size=3), ".git/x.jpg": Media(blob=ObjectId(bytes(32)))}
        )
    dataset.commit("without bytes")
    checkout(dataset.repository, "pets")
    assert seen(dataset) == {} and dataset.add_all().removed == 0 and "lost.jpg" in dataset.draft()


def test_the_repository_is_whole_afterwards(
    dataset: Dataset, out: Path, edit: Callable[..., None], repo: Repository
) -> None:
    edit(lambda document: document["annotations"][0].update(bbox=[3, 2, 10, 10]))
    dataset.add_all()
    dataset.commit("edited")
    update_folders(repo)
    assert repo.check().damage == () and not list((out.parent / ".dsvc/checkouts").glob("edits-*"))
