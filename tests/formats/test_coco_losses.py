"""What has no place in COCO is said, by count; strict exports refuse; inputs that are no images stay out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from dsvc.core.dataset import Dataset
from dsvc.errors import InvalidRecordsError, RefusedError
from dsvc.model.records import Annotation, Concept, Input, Mask, Media, Reference, Shape, encode_concept, encode_input
from dsvc.model.snapshot import SnapshotEdits, edit_roots

EXTRAS = {"coco": {"z": 1}, "voc": {"y": 2}}
BOX = Shape(box=(1, 2, 3, 4))
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\7\0\0\0\5\x08\2\0\0\0"
Write = Callable[..., Path]


@pytest.fixture
def mixed(pets: Dataset, write: Write, tmp_path: Path) -> Dataset:
    """One image and one input of every other kind, each with a box, and what is of no known type."""
    media = {
        "a.png": PNG,
        "b.mp4": b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom",
        "c.wav": b"RIFF\0\0\0\0WAVE",
        "d.txt": b"text",
    }
    media |= {"e.pdf": b"%PDF-1.4\n\xff", "f.npy": b"\x93NUMPY\x01\0"}
    for name, data in media.items():
        write(data, f"data/{name}")
    pets.add(tmp_path / "data", root=tmp_path / "data", all_files=True)
    for name in media:
        pets.annotate(name, "cat", shape=BOX)
    pets.commit("all kinds")
    return pets


def put(dataset: Dataset, *records: Input | Concept) -> None:
    """Put records in as they are, as another importer would."""
    edits = SnapshotEdits()
    for record in records:
        if isinstance(record, Input):
            edits.inputs[record.key.encode()] = encode_input(record)
        else:
            edits.concepts[record.id.encode()] = encode_concept(record)
    with dataset.edit("put") as draft:
        draft.apply(lambda store, state: msgspec.structs.replace(state, roots=edit_roots(store, state.roots, edits)))


def exported(dataset: Dataset, path: Path, **options: Any) -> tuple[dict[str, Any], Any]:
    report = dataset.draft().export("coco", path, force=True, **options)
    return json.loads((path / "annotations/instances.json").read_text()), report


def test_inputs_that_are_no_images_are_left_out_and_counted(mixed: Dataset, tmp_path: Path) -> None:
    document, report = exported(mixed, tmp_path / "out", media=True)
    assert [row["file_name"] for row in document["images"]] == ["a.png", "f.npy"]
    assert len(document["annotations"]) == 2
    assert {row["image_id"] for row in document["annotations"]} == {row["id"] for row in document["images"]}
    note = "4 inputs are no images, left out with 4 annotations: audio 1, other 1, text 1, video 1"
    assert report.notes == report.losses == (note,)
    assert (report.inputs, report.annotations) == (2, 2)
    assert sorted(path.name for path in (tmp_path / "out/images").iterdir()) == ["a.png", "f.npy"]


def test_one_input_that_is_no_image(pets: Dataset, write: Write, tmp_path: Path) -> None:
    write(b"text", "data/d.txt")
    pets.add(tmp_path / "data", root=tmp_path / "data", all_files=True)
    document, report = exported(pets, tmp_path / "out")
    assert document["images"] == [] and report.notes == ("1 input is no image, left out: text 1",)


def test_what_came_from_a_coco_file_goes_out_whatever_its_bytes_are(
    pets: Dataset, coco: Callable[..., Any], write: Write, tmp_path: Path
) -> None:
    write(b"<html>404", "images/a.jpg")
    pets.import_(write(coco()), images=tmp_path / "images")
    media = pets.draft()["a.jpg"].input.media
    assert media is not None and media.type == "text/plain"
    document, report = exported(pets, tmp_path / "out")
    assert len(document["images"]) == 2 and report.notes == ()


def test_strict_refuses_and_writes_nothing(mixed: Dataset, tmp_path: Path) -> None:
    mixed.annotate("a.png", "cat", shape=BOX, time=(1, 2), track=5)
    mixed.annotate("a.png", "cat", frame=3)
    mixed.annotate("a.png", text="no concept")
    mixed.commit("more")
    whole = (
        "1 annotation of whole images was left out: COCO's tools need a box, and one file has no place for them beside"
    )
    frames = "1 annotation lost its frame, which COCO has no field for"
    for name in ("out", "out.zip", "out.json"):
        with pytest.raises(InvalidRecordsError) as error:
            mixed.at().export("coco", tmp_path / name, strict=True)
        assert set(error.value.problems) == {
            "4 inputs are no images, left out with 4 annotations: audio 1, other 1, text 1, video 1",
            "1 annotation lost its time, which COCO has no field for",
            "1 annotation lost its track, which COCO has no field for",
            "1 annotation without a concept was left out, since COCO's tools cannot read them",
            whole if name == "out.json" else frames,
        }
        assert not (tmp_path / name).exists()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".dsvc-export")] == []


def test_strict_leaves_an_earlier_export_as_it_was(pets: Dataset, write: Write, tmp_path: Path) -> None:
    write(PNG, "data/a.png")
    pets.add(tmp_path / "data", root=tmp_path / "data", all_files=True)
    first, report = exported(pets, tmp_path / "out", strict=True)
    assert report.losses == ()
    assert exported(pets, tmp_path / "out", strict=True)[1].unchanged
    pets.annotate("a.png", "cat", point=(1, 2))
    with pytest.raises(InvalidRecordsError):
        exported(pets, tmp_path / "out", strict=True)
    assert json.loads((tmp_path / "out/annotations/instances.json").read_text()) == first


def test_bytes_that_are_not_here_are_lost_where_media_is_wanted(
    pets: Dataset, coco: Callable[..., Any], write: Write, tmp_path: Path
) -> None:
    pets.import_(write(coco()))
    assert exported(pets, tmp_path / "out", strict=True)[1].losses == ()
    with pytest.raises(InvalidRecordsError) as error:
        exported(pets, tmp_path / "out", strict=True, media=True)
    assert error.value.problems == ("2 images have no bytes in the repository",)


def test_fields_of_inputs_and_concepts_that_coco_has_not(pets: Dataset, tmp_path: Path) -> None:
    big = 2**70
    put(
        pets,
        Input(key="a", number=1, metadata={"site": "x"}, split="train", declared_width=5),
        Input(key="b", number=2, metadata={"site": "y"}, geo=(1.0, 2.0), embeddings={"clip": (1.0,)}),
        Input(key="c", number=big, split="val", extras={"coco": {"x": 1}, "voc": {"pose": "left"}}),
        Input(key="d", number=4, extras={"coco": {"x": None}}),
        Concept(id="cat", name="cat", extras={"voc": {"y": 1}}),
    )
    document, report = exported(pets, tmp_path / "out")
    assert [row["id"] for row in document["images"]] == [2, 4]
    (row,) = json.loads((tmp_path / "out/annotations/instances_val.json").read_text())["images"]
    assert row["id"] == big
    whole = pets.draft().export("coco", tmp_path / "out.json")
    assert whole.losses == (*report.losses, "2 inputs lost their split, which COCO has no field for")
    assert [row["id"] for row in json.loads((tmp_path / "out.json").read_text())["images"]] == [1, 2, big, 4]
    assert (
        report.notes
        == report.losses
        == (
            "1 concept lost fields of other formats, which COCO has no field for",
            "1 input lost fields of other formats, which COCO has no field for",
            "1 input lost its embeddings, which COCO has no field for",
            "1 input lost its geo, which COCO has no field for",
            "2 inputs lost their metadata, which COCO has no field for",
        )
    )


@pytest.mark.parametrize("number", [None, 7])
def test_a_mask_beside_polygons_and_fields_of_others(number: int | None, pets: Dataset, tmp_path: Path) -> None:
    put(pets, Input(key="a", number=1))
    mask = Mask(height=2, width=2, counts=(1, 3))
    shape = Shape(polygons=((0, 0, 1, 0, 1, 1),), mask=mask)
    pets.annotate(
        Annotation(
            key="a", id="x", concept="cat", shape=shape, number=number, extras={"coco": {"z": 1}, "voc": {"y": 2}}
        )
    )
    document, report = exported(pets, tmp_path / "out")
    assert document["annotations"][0]["segmentation"] == [[0, 0, 1, 0, 1, 1]] and document["annotations"][0]["z"] == 1
    assert report.losses == (
        "1 annotation lost fields of other formats, which COCO has no field for",
        "1 annotation lost its mask, since COCO has one segmentation and it has polygons",
    )


def test_what_two_files_share_is_counted_once(
    pets: Dataset, coco: Callable[..., Any], write: Write, tmp_path: Path
) -> None:
    points = {"keypoints": [1, 2, 2], "num_keypoints": 1}
    people = [{"id": 1, "name": "cat", "keypoints": ["nose"], "skeleton": []}]
    rows = [{**coco()["annotations"][0], **points}]
    pets.import_(write(coco(), "instances.json"))
    pets.import_(write(coco(annotations=rows, categories=people), "person_keypoints.json"))
    pets.annotate("a.jpg", "cat", keypoints=(1, 2, 2), time=(1, 2))
    pets.annotate("a.jpg", keypoints=(1, 2, 2))
    pets.draft().export("coco", tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out/annotations").iterdir()) == [
        "instances.json", "person_keypoints.json"]  # fmt: skip
    assert pets.draft().export("coco", tmp_path / "out").losses == (
        "1 annotation lost its time, which COCO has no field for",
        "1 annotation without a concept was left out, since COCO's tools cannot read them",
    )


def test_a_caption_with_a_box_and_no_concept_is_counted(
    pets: Dataset, coco: Callable[..., Any], write: Write, tmp_path: Path
) -> None:
    captions = [{"id": 9, "image_id": 1, "caption": "a cat"}]
    pets.import_(write(coco(), "instances.json"))
    pets.import_(
        write({key: value for key, value in coco(annotations=captions).items() if key != "categories"}, "c.json")
    )
    pets.annotate("a.jpg", text="here", shape=BOX)
    pets.annotate("a.jpg", text="of the whole")
    report = pets.draft().export("coco", tmp_path / "out")
    assert report.losses == ("1 annotation without a concept was left out, since COCO's tools cannot read them",)
    rows = json.loads((tmp_path / "out/annotations/captions.json").read_text())["annotations"]
    assert {row["caption"] for row in rows} == {"a cat", "of the whole"}


def test_fields_that_two_files_have_are_counted(
    pets: Dataset, coco: Callable[..., Any], write: Write, tmp_path: Path
) -> None:
    pets.import_(write(coco(), "one.json"))
    other = coco(info={"year": 1999}, images=[{"id": 8, "file_name": "z.jpg"}], annotations=[])
    pets.import_(write(other, "two.json"))
    document, report = exported(pets, tmp_path / "out")
    assert document["info"] == {"year": 2024}
    assert report.losses == ("1 field of whole files was left out, since another file has them too",)


def test_clarifai_keeps_all_of_it(mixed: Dataset, tmp_path: Path) -> None:
    """What has no field of its own is exact in the metadata: no loss."""
    mixed.annotate("a.png", text="no concept", time=(1, 2))
    mixed.commit("more")
    for format in ("clarifai-protobuf", "clarifai-json"):
        report = mixed.at().export(format, tmp_path / f"{format}.zip", strict=True)
        assert report.notes and report.losses == ()
        with pytest.raises(InvalidRecordsError) as error:
            mixed.at().export(format, tmp_path / "media.zip", strict=True, media=True)
        assert error.value.problems == ("media files that are no image, video, audio or text, left out: 2",)
        assert not (tmp_path / "media.zip").exists()


def test_clarifai_says_what_it_has_not(pets: Dataset, coco: Callable[..., Any], write: Write, tmp_path: Path) -> None:
    pets.import_(write(coco()))
    with pytest.raises(InvalidRecordsError) as error:
        pets.draft().export("clarifai-json", tmp_path / "x.zip", strict=True, media=True)
    assert "media files that dsvc does not hold, left out: 2" in error.value.problems


def test_a_reference_whose_bytes_are_gone(pets: Dataset, tmp_path: Path) -> None:
    place = Reference(place=str(tmp_path / "gone.png"))
    put(pets, Input(key="a.png", media=Media(reference=place, type="image/png")))
    assert exported(pets, tmp_path / "out")[1].losses == ()
    with pytest.raises(RefusedError, match=r"a\.png: .*gone\.png: is not there"):
        pets.draft().export("coco", tmp_path / "media", media=True)
    assert not (tmp_path / "media").exists()
