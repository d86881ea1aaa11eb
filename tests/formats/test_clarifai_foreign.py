"""Archives of Clarifai's own: what their fields become, and that what comes in goes out again."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dsvc
from dsvc.core.dataset import Dataset
from dsvc.core.repository import Repository
from dsvc.formats.masks import compressed, png
from dsvc.model.commit import Author
from dsvc.model.records import Annotation, Mask, Media, Reference, Shape

JSON = "application/x.clarifai-data+json"
PIXEL = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABAQAAAAA3bvkkAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==")
CAT = {"id": "cat", "name": "cat", "value": 1}
BOX = {"boundingBox": {"topRow": 0.1, "leftCol": 0.25, "bottomRow": 0.3, "rightCol": 0.75}}


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def f32(value: float) -> float:
    return float(np.float32(value))


@pytest.fixture
def bring(pets: Dataset, tmp_path: Path) -> Callable[..., Dataset]:
    """Import inputs in Clarifai's JSON form, packed as Clarifai packs them."""

    def bring(*inputs: Any, folder: str = "all", name: str = "export.zip", **options: Any) -> Dataset:
        path = tmp_path / name
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(f"{folder}/0_n{len(inputs)}", json.dumps({"inputs": inputs}, indent=2))
            archive.writestr("mimetype", JSON)
        pets.import_(path, **options)
        return pets

    return bring


def only(dataset: Dataset, key: str = "a") -> Annotation:
    (found,) = dataset.draft().annotations(key)
    return found


def an_input(key: str = "a", **data: Any) -> dict[str, Any]:
    return {"id": key, "data": data}


def region(info: Any, id_: str = "r1", **fields: Any) -> dict[str, Any]:
    return {"id": id_, "regionInfo": info, "data": {"concepts": [CAT]}, **fields}


def test_a_box_keeps_its_id_and_its_coordinates(bring: Any) -> None:
    one = only(bring(an_input(regions=[region(BOX)])))
    assert (one.id, one.concept, one.value) == ("r1", "cat", None)
    left, right, top, bottom = (f32(edge) for edge in (0.25, 0.75, 0.1, 0.3))
    assert one.shape == Shape(box=(left, top, right - left, bottom - top), unit="relative")


def test_a_polygon_and_more_than_rows_and_columns(bring: Any, pets: Dataset) -> None:
    ring = [{"row": 0.1, "col": 0.2}, {"row": 0.3}, {"col": 0.5, "row": 0.7, "z": 1.5}]
    one = only(bring(an_input(regions=[region({"polygon": {"points": ring}})])))
    points = (f32(0.2), f32(0.1), 0.0, f32(0.3), 0.5, f32(0.7))
    assert one.shape == Shape(polygons=(points,), unit="relative")


def test_a_mask(bring: Any) -> None:
    picture = np.array([[0, 1, 1], [0, 0, 1]], dtype=np.uint8)
    mask = {"mask": {"image": {"base64": text(png(picture))}}}
    one = only(bring(an_input(regions=[region(mask)])))
    assert one.shape == Shape(mask=Mask(height=2, width=3, counts=compressed((2, 1, 1, 2))))


def test_a_grey_mask_of_eight_bits(bring: Any) -> None:
    image = pytest.importorskip("PIL.Image")
    file = io.BytesIO()
    image.fromarray(np.array([[0, 255], [255, 0]], dtype=np.uint8)).save(file, "PNG")
    one = only(bring(an_input(regions=[region({"mask": {"image": {"base64": text(file.getvalue())}}})])))
    assert one.shape == Shape(mask=Mask(height=2, width=2, counts=compressed((1, 2, 1))))


SIZED = {"imageInfo": {"width": 640, "height": 480, "format": "JPEG"}}


def test_points_become_pixels_and_give_back_the_same_float32(bring: Any) -> None:
    points = [{"row": 0.1, "col": 0.2, "visibility": name} for name in ("VISIBLE", "NOT_VISIBLE", "NOT_PRESENT")]
    info = {"keypointLocations": [*points, {"row": 0.5}], "point": {"row": 0.3, "col": 0.7}}
    one = only(bring(an_input(image=SIZED, regions=[region(info)])))
    assert one.keypoints is not None and one.point is not None
    assert one.keypoints[2::3] == (2, 1, 0, 2)
    assert one.keypoints[:2] == (f32(0.2) * 640, f32(0.1) * 480)
    assert np.float32(one.point[0] / 640) == np.float32(0.7)


def test_points_without_a_size_are_kept(bring: Any, pets: Dataset, tmp_path: Path) -> None:
    bring(an_input(regions=[region({"point": {"row": 0.25, "col": 0.5}})]))
    one = only(pets)
    assert one.point is None
    assert one.extras["clarifai"]["regionInfo"] == {"point": {"row": 0.25, "col": 0.5}}


def test_a_span_of_text(bring: Any) -> None:
    span = {"span": {"charStart": 2, "charEnd": 5, "rawText": "abc"}}
    one = only(bring(an_input(text={"raw": "x abc"}, regions=[region(span)])))
    assert (one.span, one.text, one.shape) == ((2, 5), "abc", None)


def test_text_and_attributes_of_a_region(bring: Any) -> None:
    data = {"concepts": [CAT], "text": {"raw": "STOP"}, "metadata": {"lang": "en", "n": 2}}
    one = only(bring(an_input(regions=[{**region(BOX), "data": data}])))
    assert (one.text, one.attributes) == ("STOP", {"lang": "en", "n": 2})


def test_several_concepts_of_one_region(bring: Any, pets: Dataset) -> None:
    dog = {"id": "ai_dog", "name": "dog", "value": 0}
    bring(an_input(regions=[{**region(BOX), "data": {"concepts": [CAT, dog]}}]))
    first, second = pets.draft().annotations("a")
    assert (first.id, first.concept, first.value) == ("r1", "cat", None)
    assert (second.id, second.concept, second.value) == ("r1-c2", "dog", 0)
    assert first.shape == second.shape and first.shape is not None
    concepts = {concept.id: concept.extras for concept in pets.draft().concepts()}
    assert concepts == {"cat": {}, "dog": {"clarifai": {"id": "ai_dog"}}}


def test_concepts_of_an_input_have_ids_of_their_content(bring: Any, pets: Dataset) -> None:
    concepts = [CAT, {"id": "night", "name": "night", "value": 0}, {"id": "x", "value": 0.25}, CAT]
    bring(an_input(concepts=concepts))
    found = {(one.concept, one.value): one.id for one in pets.draft().annotations("a")}
    assert set(found) == {("cat", None), ("night", 0), ("x", 0.25)}
    assert sum(1 for _ in pets.draft().annotations("a")) == 4
    before = pets.draft().snapshot.roots
    bring(an_input(concepts=concepts[::-1]))
    assert pets.draft().snapshot.roots == before


def test_concepts_of_one_name_do_not_fold(bring: Any, pets: Dataset) -> None:
    """Whichever comes first in the archive, the first by its id has the name."""
    concepts = [{"id": id_, "name": "cat", "value": 1} for id_ in ("z", "b", "a")]
    bring(an_input(concepts=concepts))
    assert {c.id: c.extras["clarifai"]["id"] for c in pets.draft().concepts()} == {
        "cat": "a",
        "cat#b": "b",
        "cat#z": "z",
    }
    assert {one.concept for one in pets.draft().annotations("a")} == {"cat", "cat#b", "cat#z"}


def test_frames_segments_and_tracks(bring: Any, pets: Dataset) -> None:
    video = {"url": "https://example.org/v.mp4", "videoInfo": {"width": 100, "height": 50, "fps": 10}}
    frames = [
        {"frameInfo": {"index": 3, "time": "300", "number": 3}, "data": {"regions": [region(BOX, trackId="t")]}},
        {"frameInfo": {"index": 4, "time": "123"}, "data": {"concepts": [CAT]}},
    ]
    segments = [{"id": "s1", "timeInfo": {"beginTime": 1.5, "endTime": 2}, "data": {"concepts": [CAT]}}]
    tracks = [{"id": "t", "quality": 0.5, "timeInfo": {"numFrames": 2, "endTime": 1}, "data": {"concepts": [CAT]}}]
    bring(an_input(video=video, frames=frames, timeSegments=segments, tracks=tracks))
    found = {one.id: one for one in pets.draft().annotations("a")}
    assert (found["r1"].frame, found["r1"].track, found["r1"].extras) == (3, "t", {})
    assert (found["s1"].time, found["s1"].concept) == ((1.5, 2), "cat")
    assert (found["track-t"].track, found["track-t"].time) == ("t", (0, 1))
    assert found["track-t"].extras["clarifai"] == {"track": {"quality": 0.5, "numFrames": 2}}
    (other,) = [one for one in found.values() if one.frame == 4]
    assert other.extras["clarifai"] == {"frame": {"frameInfo": {"time": 123, "number": 4}}}
    (record,) = pets.draft().inputs()
    assert record.media == Media(
        reference=Reference(place="https://example.org/v.mp4"), type="video/mp4", width=100, height=50, fps=10
    )


def test_inputs(bring: Any, pets: Dataset) -> None:
    data = {
        "image": {"base64": text(PIXEL), **SIZED, "hosted": {"prefix": "https://h.example", "suffix": "x"}},
        "metadata": {"site": "Ü", "n": 5, "f": 2.5, "list": [1, None, {"a": True}]},
        "geo": {"geoPoint": {"longitude": 13.4, "latitude": 52.5}},
        "embeddings": [{"vector": [0.5, 0.1], "numDimensions": 2}, {"vector": [1]}],
        "clusters": [{"id": "c"}],
    }
    more = {"createdAt": "2024-05-01T12:00:00.5Z", "status": {"code": 30000}, "datasetIds": ["d"]}
    bring({"id": "IMG 1", "data": data, **more}, folder="train")
    (record,) = pets.draft().inputs()
    assert (record.key, record.split) == ("IMG 1", "train")
    assert record.metadata == data["metadata"]
    assert record.geo == (f32(13.4), f32(52.5))
    assert record.embeddings == {"clarifai": (0.5, f32(0.1)), "clarifai-2": (1,)}
    assert (record.declared_width, record.declared_height) == (640, 480)
    assert record.media is not None and record.media.reference is None
    assert (record.media.type, record.media.size, record.media.width) == ("image/png", len(PIXEL), 1)
    kept = record.extras["clarifai"]
    assert kept.pop("image") == {
        "hosted": {"prefix": "https://h.example", "suffix": "x"},
        "imageInfo": {"format": "JPEG"},
        "url": "https://h.example/orig/x",
    }
    assert kept == {**more, "data": {"clusters": [{"id": "c"}]}}


@pytest.mark.parametrize(
    ("field", "message", "place", "type_"),
    [
        ("image", {"url": "https://h.example/a.jpg?x=1"}, "https://h.example/a.jpg?x=1", "image/jpeg"),
        ("image", {"url": "https://h.example/a", "imageInfo": {"format": "PNG"}}, "https://h.example/a", "image/png"),
        ("audio", {"url": "s3://bucket/a"}, "s3://bucket/a", "audio/*"),
        (
            "text",
            {"hosted": {"prefix": "https://h", "suffix": "t", "sizes": ["orig"]}},
            "https://h/orig/t",
            "text/plain",
        ),
    ],
)
def test_urls_become_references(bring: Any, pets: Dataset, field: str, message: Any, place: str, type_: str) -> None:
    bring(an_input(**{field: message}))
    (record,) = pets.draft().inputs()
    assert record.media is not None and record.media.reference == Reference(place=place)
    assert record.media.type == type_


def test_snake_case_is_read_too(bring: Any) -> None:
    box = {"bounding_box": {"top_row": 0, "left_col": 0, "bottom_row": 0.5, "right_col": 0.5}}
    one = only(bring(an_input(regions=[{"id": "r", "region_info": box, "track_id": "t"}])))
    assert (one.track, one.shape) == ("t", Shape(box=(0, 0, 0.5, 0.5), unit="relative"))


def test_values_and_unknown_fields_of_regions_are_kept(bring: Any) -> None:
    one = only(bring(an_input(regions=[region({**BOX, "token": {"charEnd": 3}}, value=0.5, new={"a": [1]})])))
    assert one.extras["clarifai"] == {"value": 0.5, "new": {"a": [1]}, "regionInfo": {"token": {"charEnd": 3}}}


@pytest.mark.parametrize("format", ["clarifai-protobuf", "clarifai-json"])
def test_what_came_in_goes_out_and_comes_back(bring: Any, pets: Dataset, tmp_path: Path, format: str) -> None:
    ring = {"polygon": {"points": [{"row": 0.1, "col": 0.2}, {"row": 0.3, "col": 1 / 3}, {"row": 1, "col": 0}]}}
    point = {"point": {"row": 0.1, "col": 1 / 3}}
    regions = [region(BOX), region(ring, "r2", value=0.5), region(point, "r3"), region({}, "r4")]
    bring(
        an_input(image={"base64": text(PIXEL), **SIZED}, regions=regions, concepts=[CAT], metadata={"n": 1}),
        an_input("b", text={"raw": "abc"}, regions=[region({"span": {"charEnd": 3}})]),
        an_input("c", image={"url": "https://h.example/c.jpg"}, regions=regions[:2]),
    )
    pets.commit("import")
    first = tmp_path / "first.zip"
    pets.at().export(format, first, media=True)
    other: Repository = dsvc.init(tmp_path / "other", author=Author("Bob", "b@example.org"))
    again = other.create("again")
    again.import_(first)
    again.commit("import")
    second = tmp_path / "second.zip"
    again.at().export(format, second, media=True)
    assert first.read_bytes() == second.read_bytes()
    assert again.at().snapshot.roots == pets.at().snapshot.roots


def test_ids_are_those_of_one_annotation_for_good(bring: Any, pets: Dataset) -> None:
    """Whatever changes about it, and whatever else is like it."""

    def box(left: float) -> Any:
        return {"boundingBox": {"leftCol": left, "bottomRow": 0.9, "rightCol": 0.9}}

    def said() -> dict[str, Any]:
        return {one.id: (one.concept, one.shape.box[0]) for one in pets.draft().annotations("a") if one.shape}

    dog = {"concepts": [{"id": "dog", "name": "dog", "value": 1}]}
    bring(an_input(regions=[region(box(0.25), "a-1-x"), {**region(box(0.5), "0b-2"), "data": dog}]))
    assert said() == {"a-1-x": ("cat", 0.25), "0b-2": ("dog", 0.5)}
    # They change places, and one comes that says what another said.
    bring(an_input(regions=[{**region(box(0.5), "a-1-x"), "data": dog}, region(box(0.25), "new-q")]))
    assert said() == {"a-1-x": ("dog", 0.5), "new-q": ("cat", 0.25)}
    # Another source that knows them says something else: both words stand, until somebody chooses.
    bring(an_input(regions=[region(box(0.5), "a-1-x")]), name="other.zip")
    (one, other) = pets.draft().annotations("a")
    assert (one.id, one.concept, set(one.conflicts["c"])) == ("a-1-x", None, {"cat", "dog"})
    assert (other.id, other.conflicts) == ("new-q", {})
