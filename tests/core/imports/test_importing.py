"""Importing files and folders into a dataset: sources, refusals, rejects, and what is told."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dsvc.core.dataset import Dataset
from dsvc.core.imports.delivery import Tally
from dsvc.core.imports.reports import ImportReport
from dsvc.core.imports.sources import source_name
from dsvc.core.repository import Repository
from dsvc.errors import InvalidRecordsError, NotFoundError, RefusedError, UsageError
from dsvc.model.records import Annotation, Input

Write = Callable[..., Path]
Document = dict[str, Any]


def inputs(dataset: Dataset) -> dict[str, Input]:
    return {one.key: one for one in dataset.draft().inputs()}


def said(dataset: Dataset) -> set[tuple[str, str | None, tuple[float, ...] | None]]:
    """Each annotation as its key, concept and box."""
    found: set[tuple[str, str | None, tuple[float, ...] | None]] = set()
    for sample in dataset.draft():
        for one in sample.annotations:
            found.add((sample.key, one.concept, one.shape.box if one.shape is not None else None))
    return found


def whole(dataset: Dataset) -> tuple[Any, ...]:
    """All that a dataset holds, encoded."""
    state = dataset.draft()
    return list(state.concepts()), list(state.input_entries()), list(state.annotation_entries()), dict(state.meta)


@pytest.fixture
def boxes(pets: Dataset, coco: Callable[..., Document], write: Write) -> Path:
    """A COCO file that is in the dataset."""
    path = write(coco(), "pets.json")
    pets.import_(path)
    return path


BOXES = {("a.jpg", "cat", (1, 2, 3, 4.5)), ("b.jpg", "dog", (0, 0, 9, 9))}


# ---- a table and a COCO file about the same inputs


def test_a_table_adds_to_what_a_coco_file_said(pets: Dataset, boxes: Path, write: Write) -> None:
    table = write("key,split,concepts,metadata.site\na.jpg,train,sunny,1\nb.jpg,val,-sunny,2\n", "meta.csv")
    report = pets.import_(table)
    assert (report.source, report.inputs, report.annotations, report.concepts) == ("meta", 2, 2, 1)
    assert report.changed and report.notes == () and report.missing == ()
    assert said(pets) == BOXES | {("a.jpg", "sunny", None), ("b.jpg", "sunny", None)}
    one = inputs(pets)["a.jpg"]
    assert (one.split, one.metadata, one.declared_width, one.license) == ("train", {"site": 1}, 640, "Free")
    assert not pets.import_(table).changed and not pets.import_(boxes).changed


def test_a_coco_file_after_a_table_is_the_same(repo: Repository, pets: Dataset, boxes: Path, write: Write) -> None:
    table = write("key,split,concepts\na.jpg,train,sunny\nb.jpg,val,\n", "meta.csv")
    pets.import_(table)
    other = repo.create("other")
    text = write("path,split,concepts\na.jpg,train,sunny\nb.jpg,val,\n", "meta.csv")
    for name in ("a.jpg", "b.jpg"):
        write("bytes", name)
    other.import_(text)
    other.import_(boxes)
    assert said(other) == said(pets)
    assert {key: one.split for key, one in inputs(other).items()} == {"a.jpg": "train", "b.jpg": "val"}


def test_a_coco_file_does_not_touch_a_split_that_was_set(
    pets: Dataset, coco: Callable[..., Document], write: Write
) -> None:
    pets.import_(write(coco(), "pets.json"))
    pets.set("a.jpg", split="test")
    pets.import_(write(coco(annotations=[]), "more.json"))
    assert inputs(pets)["a.jpg"].split == "test"
    report = pets.import_(write(coco(annotations=[]), "more.json"), source="third", split="train")
    assert (report.changed, report.conflicts) == (True, 1)
    found = inputs(pets)
    assert (found["a.jpg"].split, found["a.jpg"].conflicts) == (None, {"split": ("test", "train")})
    assert found["b.jpg"].split == "train"


def test_a_file_has_one_split(pets: Dataset, coco: Callable[..., Document], write: Write) -> None:
    path = write(coco(), "pets.json")
    pets.import_(path, split="val")
    assert {one.split for one in inputs(pets).values()} == {"val"}
    assert not pets.import_(path, split="val").changed
    pets.set("b.jpg", metadata={"ours": 1})
    assert pets.import_(path, split="train").changed
    assert {one.split for one in inputs(pets).values()} == {"train"}
    with pytest.raises(UsageError, match="'a b' cannot name a split"):
        pets.import_(path, split="a b", source="other")


# ---- sources


@pytest.mark.parametrize(
    ("text", "name"),
    [("meta", "meta"), ("my meta (2)", "my-meta-2"), ("été", "t"), ("..x--", "x"), ("a" * 70, "a" * 64)],
)
def test_names_of_sources(text: str, name: str) -> None:
    assert source_name(text) == name


def test_a_name_without_letters_is_asked_for(pets: Dataset, write: Write) -> None:
    with pytest.raises(RefusedError, match="cannot name a source") as error:
        pets.import_(write("path,split\n", "日本.csv"))
    assert error.value.hint == "give a name: --source NAME"


def test_a_source_keeps_its_format(pets: Dataset, boxes: Path, write: Write) -> None:
    """Or what the COCO file said would count as what the table said before, and go."""
    table = write("key,split\na.jpg,train\n", "pets.csv")
    with pytest.raises(RefusedError) as error:
        pets.import_(table)
    assert error.value.message == "source 'pets' is of the format coco here, and not table"
    assert said(pets) == BOXES
    pets.import_(table, source="splits")
    assert said(pets) == BOXES and inputs(pets)["a.jpg"].split == "train"


def test_a_corrected_table_is_followed(pets: Dataset, boxes: Path, write: Write) -> None:
    pets.import_(write("key,split,concepts,metadata.n\na.jpg,train,x;y,1\nb.jpg,train,x,1\n", "meta.csv"))
    pets.set("a.jpg", metadata={"ours": "kept"})
    report = pets.import_(write("key,split,concepts,metadata.n\na.jpg,val,y,2\n", "meta.csv"))
    stays = "1 input that the source listed before, and does not list now, stays; remove it with --sync=inputs"
    assert report.notes == (stays,)
    assert said(pets) == BOXES | {("a.jpg", "y", None), ("b.jpg", "x", None)}
    assert (inputs(pets)["a.jpg"].split, inputs(pets)["a.jpg"].metadata) == ("val", {"n": 2, "ours": "kept"})
    assert inputs(pets)["b.jpg"].metadata == {"n": 1}


def test_what_both_changed_is_a_conflict(pets: Dataset, boxes: Path, write: Write) -> None:
    pets.import_(write("key,split,concepts\na.jpg,train,x\nb.jpg,train,\n", "meta.csv"))
    pets.set("a.jpg", split="test")
    report = pets.import_(write("key,split,concepts\na.jpg,val,\nb.jpg,val,\n", "meta.csv"))
    assert (report.conflicts, report.removed, report.tally.gone) == (1, (0, 1), 1)
    found = inputs(pets)
    assert (found["a.jpg"].conflicts, found["b.jpg"].split) == ({"split": ("val", "test")}, "val")
    assert said(pets) == BOXES and pets.status().conflicts == 1


def test_what_was_removed_here_stays_away(pets: Dataset, write: Write) -> None:
    for name in ("a.txt", "b.txt"):
        write(name, f"set/{name}")
    table = write("path,concepts\na.txt,x\nb.txt,x\n", "set/meta.csv")
    pets.import_(table)
    pets.remove("a.txt")
    report = pets.import_(table)
    assert not report.changed and report.notes == ("1 input that was taken away here stays away",)
    assert set(inputs(pets)) == {"b.txt"}


# ---- errors and rejects


def test_keys_that_are_not_there_name_the_near_one(pets: Dataset, boxes: Path, write: Write) -> None:
    rows = "key,split\nimages/A.JPG,train\nb.jpeg,train\nquite/another.png,train\na.jpg,train\n"
    with pytest.raises(InvalidRecordsError) as error:
        pets.import_(write(rows, "meta.csv"))
    assert error.value.problems == (
        "row 2 (key 'images/A.JPG'): is not in the dataset; there is 'a.jpg'",
        "row 3 (key 'b.jpeg'): is not in the dataset; there is 'b.jpg'",
        "row 4 (key 'quite/another.png'): is not in the dataset; add it, or give its path, url or text",
    )
    assert inputs(pets)["a.jpg"].split is None


def test_rejects_are_mended_and_imported_as_the_same_source(pets: Dataset, boxes: Path, write: Write) -> None:
    table = write("key,split,concepts\na.jpg,train,x\nbb.jpg,val,y\n", "meta.csv")
    report = pets.import_(table, on_error="skip")
    assert (report.inputs, report.refused, report.rejects_options) == (1, 1, "--source meta")
    assert report.rejects is not None and report.rejects.name == "meta.rejects.csv"
    assert report.rejects.read_text() == "key,split,concepts\nbb.jpg,val,y\n"
    report.rejects.write_text(report.rejects.read_text().replace("bb.jpg", "b.jpg"))
    assert pets.import_(report.rejects, source="meta").changed
    all_of_it = whole(pets)
    assert said(pets) == BOXES | {("a.jpg", "x", None), ("b.jpg", "y", None)}
    # The table itself, mended, says what is there already.
    table.write_text(table.read_text().replace("bb.jpg", "b.jpg"))
    assert not pets.import_(table).changed and whole(pets) == all_of_it
    # And it goes on to be followed.
    table.write_text(table.read_text().replace("val", "test"))
    pets.import_(table)
    assert inputs(pets)["b.jpg"].split == "test"


def test_a_row_that_is_refused_is_followed_once_it_is_mended(pets: Dataset, boxes: Path, write: Write) -> None:
    pets.import_(write("key,split,geo\na.jpg,train,\nb.jpg,train,\n", "meta.csv"))
    pets.import_(write('key,split,geo\na.jpg,val,"999,1"\nb.jpg,val,\n', "meta.csv"), on_error="skip")
    assert {key: one.split for key, one in inputs(pets).items()} == {"a.jpg": "train", "b.jpg": "val"}
    report = pets.import_(write('key,split,geo\na.jpg,val,"9,1"\nb.jpg,val,\n', "meta.csv"))
    assert report.changed and inputs(pets)["a.jpg"].split == "val"


def test_a_table_of_which_all_is_refused_says_nothing(pets: Dataset, boxes: Path, write: Write) -> None:
    """It is not remembered as having said all that the dataset holds, or mending it would take that away."""
    report = pets.import_(write("key,concepts\naa.jpg,x\nbb.jpg,y\n", "meta.csv"), on_error="skip")
    assert (report.changed, report.inputs, report.refused) == (False, 0, 2)
    report = pets.import_(write("key,concepts\na.jpg,x\nb.jpg,y\n", "meta.csv"))
    assert said(pets) == BOXES | {("a.jpg", "x", None), ("b.jpg", "y", None)}


def test_no_file_of_rejects_is_left_where_nothing_was_imported(pets: Dataset, boxes: Path, write: Write) -> None:
    table = write("key,split\na.jpg,train\nbb.jpg,val\n", "pets.csv")
    with pytest.raises(RefusedError, match="source 'pets' is of the format coco here, and not table"):
        pets.import_(table, on_error="skip")
    assert not list(table.parent.glob("*.rejects*"))


def test_a_table_without_rows_is_no_source(pets: Dataset, write: Write) -> None:
    report = pets.import_(write("key,split\n", "meta.csv"))
    assert (report.changed, report.notes) == (False, ("meta.csv has no rows",))
    assert not pets.has_draft()


def test_files_of_rejects_never_overwrite_another(pets: Dataset, boxes: Path, write: Write) -> None:
    names = []
    for wrong in ("x", "y", "x"):
        table = write(f"key,split\n{wrong}.jpg,train\n", "meta.csv")
        report = pets.import_(table, on_error="skip")
        assert report.rejects is not None
        names.append(report.rejects.name)
    assert names == ["meta.rejects.csv", "meta.rejects-2.csv", "meta.rejects.csv"]


# ---- options and paths


@pytest.mark.parametrize(
    ("name", "options", "error"),
    [
        ("pets.json", {"root": "."}, "--root goes with folders of COCO files beside their images and --format folder"),
        ("pets.json", {"classes": "c.txt"}, "--classes goes with --format mask"),
        ("pets.json", {"concept": "x"}, "--concept goes with --format mask"),
        ("pets.json", {"ignore": (255,)}, "--ignore goes with --format mask"),
        ("pets.json", {"suffix": "_m"}, "--suffix goes with --format mask"),
        ("pets.json", {"hash": False}, "--no-hash goes with tables"),
        ("meta.csv", {"concept": "x"}, "--concept goes with --format mask"),
        ("cls", {"format": "folder", "classes": "c.txt"}, "--classes goes with --format mask"),
        ("cls", {"format": "folder", "images": "."}, "--images goes with COCO files and tables and --format mask"),
        ("cls", {"format": "mask", "root": "."}, "--root goes with folders of COCO files beside their images and"),
        ("cls", {"format": "table"}, "is a folder"),
        ("meta.csv", {"format": "mask"}, "meta.csv is no folder"),
        ("none", {"format": "folder"}, "none is not there"),
        ("pets.json", {"format": "yolo"}, "no format named 'yolo'"),
        ("cls", {"format": "yolo"}, "no format named 'yolo'"),
    ],
)
def test_options_that_cannot_be_meant(
    pets: Dataset, coco: Callable[..., Document], write: Write, name: str, options: Any, error: str, tmp_path: Path
) -> None:
    write(coco(), "pets.json")
    write("key\n", "meta.csv")
    write("x", "cls/cat/a.txt")
    with pytest.raises(UsageError) as caught:
        pets.import_(tmp_path / name, **options)
    assert error in caught.value.message
    assert not pets.has_draft()


def test_the_formats_of_folders_are_listed(pets: Dataset, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as error:
        pets.import_(tmp_path, format="yolo")
    assert error.value.hint == "there is: coco, folder, mask"


def test_a_folder_of_images_that_is_not_there(pets: Dataset, boxes: Path) -> None:
    with pytest.raises(NotFoundError, match="no folder none"):
        pets.import_(boxes, images="none")


# ---- folders of COCO files


@pytest.fixture
def splits(write: Write, coco: Callable[..., Document], tmp_path: Path) -> Path:
    """Two splits as Roboflow lays them out, with the same numbers, each with its two images and one more."""
    for split in ("train", "valid"):
        write(coco(info={"split": split}), f"set/{split}/_annotations.coco.json")
        for name in ("a.jpg", "b.jpg", "more.jpg"):
            write(f"{split} {name}", f"set/{split}/{name}")
    return tmp_path / "set"


def test_the_splits_of_a_folder_are_sources(pets: Dataset, splits: Path) -> None:
    report = pets.import_(splits)
    assert [part.source for part in report.parts] == ["set-train", "set-val"]
    assert report == ImportReport(
        source="set-train, set-val",
        inputs=4,
        annotations=4,
        concepts=2,
        changed=True,
        refused=0,
        rejects=None,
        problems=(),
        notes=(),
        missing=(),
        extra=("train/more.jpg", "valid/more.jpg"),
        parts=report.parts,
        tally=Tally(new=4),
        altered=(4, 0),
    )
    assert {key: one.split for key, one in inputs(pets).items()} == {
        "train/a.jpg": "train",
        "train/b.jpg": "train",
        "valid/a.jpg": "val",
        "valid/b.jpg": "val",
    }
    again = pets.import_(splits)
    assert not again.changed and again.extra == report.extra


def test_keys_begin_at_the_project_or_where_it_is_said(repo: Repository, pets: Dataset, splits: Path) -> None:
    assert repo.root is not None
    inside = splits.rename(repo.root / "set")
    pets.import_(inside)
    assert "set/train/a.jpg" in inputs(pets)
    other = repo.create("other")
    other.import_(inside, root=inside)
    assert set(inputs(other)) == {"train/a.jpg", "train/b.jpg", "valid/a.jpg", "valid/b.jpg"}
    with pytest.raises(RefusedError, match="lies outside"):
        other.import_(inside, root=inside / "train")


def test_the_errors_of_all_files_are_told(pets: Dataset, splits: Path) -> None:
    for file in splits.rglob("*.json"):
        file.write_text(file.read_text().replace('"category_id": 3', '"category_id": 9'))
    with pytest.raises(InvalidRecordsError) as error:
        pets.import_(splits)
    wrong = "its category 9 is not declared in the file"
    assert error.value.message == f"{splits}: errors in 2 files"
    assert error.value.problems == (
        f"train/_annotations.coco.json: annotation 6 (image 'train/b.jpg'): {wrong}",
        f"valid/_annotations.coco.json: annotation 6 (image 'valid/b.jpg'): {wrong}",
    )
    assert not pets.has_draft()


def test_rejects_of_a_split_name_their_images_by_key(pets: Dataset, splits: Path) -> None:
    file = splits / "valid/_annotations.coco.json"
    file.write_text(file.read_text().replace('"category_id": 3', '"category_id": 9'))
    report = pets.import_(splits, on_error="skip")
    rejects = report.parts[1].rejects
    assert rejects is not None and report.notes == (
        f"set-val: refused records are in {rejects}: mend them, and import that file too with --split val",
    )
    rejects.write_text(rejects.read_text().replace('"category_id": 9', '"category_id": 3'))
    pets.import_(rejects, split="val")
    assert len(inputs(pets)) == 4 and ("valid/b.jpg", "dog", (0, 0, 9, 9)) in said(pets)


def test_a_file_of_rejects_is_no_part_of_the_folder(pets: Dataset, splits: Path, write: Write) -> None:
    write("{}", "apart/annotations/instances_train.rejects.json")
    write("{}", "apart/annotations/instances_train.rejects-2.json")
    with pytest.raises(RefusedError, match="is a folder without COCO files"):
        pets.import_(splits.parent / "apart")


def test_one_split_alone(pets: Dataset, splits: Path) -> None:
    for path in (splits / "valid").iterdir():
        path.unlink()
    report = pets.import_(splits)
    assert (report.source, report.parts, {one.split for one in inputs(pets).values()}) == ("set", (), {"train"})


def test_tasks_of_one_split_are_sources_of_their_own(
    pets: Dataset, coco: Callable[..., Document], write: Write, tmp_path: Path
) -> None:
    points = coco()
    for one in points["annotations"]:
        one["keypoints"] = [1, 2, 2]
    write(coco(), "set/annotations/instances_train.json")
    write(points, "set/annotations/person_keypoints_train.json")
    write(coco(images=[{"id": 1, "file_name": "c.jpg"}], annotations=[]), "set/annotations/instances_val.json")
    write({}, "set/annotations/stuff_train.json")
    report = pets.import_(tmp_path / "set")
    assert [part.source for part in report.parts] == ["set-instances_train", "set-val", "set-person_keypoints_train"]
    assert report.notes == ("annotations/stuff_train.json was passed over: its name says no task or split",)
    assert (report.inputs, len(inputs(pets)), len(said(pets))) == (3, 3, 2)


def test_names_that_say_nothing_are_told(pets: Dataset, coco: Callable[..., Document], write: Write) -> None:
    folder = write(coco(), "set/labels.json").parent
    with pytest.raises(RefusedError) as error:
        pets.import_(folder)
    assert error.value.message == f"{folder} is a folder whose files don't say by their names what they are"
    assert error.value.hint == f"name the file, and where its images are: dsvc import {folder}/labels.json --images DIR"


def test_a_split_that_cannot_be_one(pets: Dataset, coco: Callable[..., Document], write: Write) -> None:
    file = write(coco(), "set/annotations/instances_a b.json")
    with pytest.raises(RefusedError) as error:
        pets.import_(file.parents[1])
    assert error.value.message == f"{file}: 'a b' cannot name a split"
    assert error.value.hint == f"rename it, or import it by itself: dsvc import {file} --split NAME"


def test_long_names_of_folders_do_not_swallow_the_split(
    pets: Dataset, coco: Callable[..., Document], write: Write
) -> None:
    long = "blood-cells-" * 7
    for split in ("train", "test"):
        file = write(coco(), f"{long}/{split}/_annotations.coco.json")
    report = pets.import_(file.parents[1])
    assert [part.source[-6:] for part in report.parts] == ["s-test", "-train"]


def test_two_splits_with_one_name_of_an_image_are_in_conflict(
    pets: Dataset, coco: Callable[..., Document], write: Write
) -> None:
    for split in ("train", "val"):
        file = write(coco(annotations=[]), f"set/annotations/instances_{split}.json")
    assert pets.import_(file.parents[1]).conflicts == 2
    assert inputs(pets)["a.jpg"].conflicts == {"split": ("val", "train")}
    assert not pets.import_(file.parents[1]).changed


# ---- all of it is one operation


@pytest.mark.parametrize("what", ["table", "folder", "coco"])
def test_an_import_is_undone_whole(
    repo: Repository, pets: Dataset, splits: Path, write: Write, what: str, tmp_path: Path
) -> None:
    pets.annotate(pets_input(pets, write), "cat")
    before = whole(pets)
    write("x", "cls/dog/x.txt")
    path, options = {
        "table": (write("key,text,concepts\nt.txt,hello,x\n", "meta.csv"), {}),
        "folder": (tmp_path / "cls", {"format": "folder"}),
        "coco": (splits, {}),
    }[what]
    pets.import_(path, **options)
    after = whole(pets)
    assert after != before
    repo.undo()
    assert whole(pets) == before
    # An undone import is no import: it can be done again.
    assert pets.import_(path, **options).changed
    assert whole(pets) == after


def pets_input(pets: Dataset, write: Write) -> str:
    pets.add(write("bytes", "first.txt"), root=write("bytes", "first.txt").parent)
    return "first.txt"


def test_the_meta_of_each_source_is_kept(pets: Dataset, splits: Path) -> None:
    pets.import_(splits)
    meta = pets.draft().meta["coco"]
    assert {name: (one["split"], one["fields"]["info"]) for name, one in meta.items()} == {
        "set-train": ("train", {"split": "train"}),
        "set-val": ("val", {"split": "valid"}),
    }
    assert json.dumps(meta)


def test_annotations_keep_their_identity_through_a_correction(pets: Dataset, boxes: Path, write: Write) -> None:
    pets.import_(write("key,concepts\na.jpg,x\n", "meta.csv"))
    before = {one.id for one in pets.draft()["a.jpg"].annotations}
    pets.import_(write("key,concepts,metadata.n\na.jpg,x;z,3\n", "meta.csv"))
    after: list[Annotation] = list(pets.draft()["a.jpg"].annotations)
    assert before < {one.id for one in after} and len(after) == len(before) + 1
