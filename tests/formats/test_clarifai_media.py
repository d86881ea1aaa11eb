"""Annotations of videos, sounds and text, of real files, through the library into both Clarifai archives."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format

from dsvc.core.dataset import Dataset
from dsvc.errors import RefusedError, UsageError
from dsvc.model.records import Shape

_SPEC = importlib.util.spec_from_file_location("clarifai_samples", Path(__file__).with_name("clarifai_samples.py"))
samples = importlib.util.module_from_spec(_SPEC)
sys.modules["clarifai_samples"] = samples
_SPEC.loader.exec_module(samples)

BATCH = samples.messages()
FORMATS = ("clarifai-protobuf", "clarifai-json")
TEXT = "Grüße: the cat sat.\n"
BOX = Shape(box=(16, 12, 32, 24))


@pytest.fixture
def media(pets: Dataset, video: Callable[..., bytes], sound: Callable[..., bytes], tmp_path: Path) -> dict[str, bytes]:
    """Files of every kind, added and annotated."""
    folder = tmp_path / "data"
    folder.mkdir()
    files = {
        "clip.mp4": video("mp4", "libx264"),
        "film.mkv": video("matroska", "libx264", frames=5),
        "bark.wav": sound("wav", "pcm_s16le", seconds=2),
        "bird.flac": sound("flac", "flac"),
        "song.ogg": sound("ogg", "flac"),
        "note.txt": TEXT.encode(),
    }
    for name, data in files.items():
        (folder / name).write_bytes(data)
    pets.add(folder, root=folder)
    pets.annotate("clip.mp4", "cat", frame=3, shape=BOX, track="t1")
    pets.annotate("clip.mp4", "cat", frame=7, shape=Shape(box=(0, 0, 64, 48)), track="t1")
    pets.annotate(
        "clip.mp4", "dog", frame=7, shape=Shape(polygons=((0, 0, 64, 0, 64, 48), (1, 1, 2, 1, 2, 2))), track=5
    )
    pets.annotate("clip.mp4", "indoor", frame=0)
    pets.annotate("clip.mp4", "runs", time=(0.25, 0.75))
    pets.annotate("clip.mp4", "jumps", time=(0.5, 0.75), shape=BOX, track="t2")
    pets.annotate("clip.mp4", "short")
    pets.annotate("bark.wav", "bark", time=(0.5, 1.25))
    pets.annotate("bark.wav", "noise", value=0)
    pets.annotate("note.txt", "animal", span=(11, 14), text="cat")
    pets.annotate("note.txt", "greeting", span=(0, 5))
    pets.commit("all kinds")
    return files


def exported(pets: Dataset, format: str, path: Path, media: bool = False) -> tuple[dict[str, Any], Any]:
    """The Data of every input by key, and the report."""
    report = pets.at().export(format, path, media=media)
    inputs = []
    for name, data in samples.archive(path).items():
        if name != "mimetype":
            parse = BATCH.FromString if format == "clarifai-protobuf" else lambda text: json_format.Parse(text, BATCH())
            inputs += parse(data).inputs
    _, found, _ = samples.rebuild(inputs)
    keys = sorted(pets.draft().inputs(), key=lambda record: record.key)
    assert [sample.input for sample in found] == keys
    for sample in found:
        assert list(sample.annotations) == list(pets.at().annotations(sample.input.key))
    by_id = {message.id: message.data for message in inputs}
    from dsvc.formats.clarifai.ids import input_id

    return {record.key: by_id[input_id(record.key)] for record in keys}, report


@pytest.mark.parametrize("format", FORMATS)
def test_frames_hold_what_was_said_of_them(format: str, pets: Dataset, media: Any, tmp_path: Path) -> None:
    clip = exported(pets, format, tmp_path / "x.zip")[0]["clip.mp4"]
    infos = [(f.frame_info.index, f.frame_info.number, f.frame_info.time) for f in clip.frames]
    assert infos == [(0, 0, 0), (3, 3, 300), (7, 7, 700)]
    assert [concept.name for concept in clip.frames[0].data.concepts] == ["indoor"]
    (cat,) = clip.frames[1].data.regions
    box = cat.region_info.bounding_box
    assert (box.top_row, box.left_col, box.bottom_row, box.right_col) == (0.25, 0.25, 0.75, 0.75)
    assert (cat.track_id, cat.data.concepts[0].name, cat.data.concepts[0].value) == ("t1", "cat", 1.0)
    others = clip.frames[2].data.regions
    assert sorted(region.track_id for region in others) == ["5", "5", "t1"]
    assert sum(region.region_info.HasField("polygon") for region in others) == 2
    assert [concept.name for concept in clip.concepts] == ["short"] and not clip.regions


@pytest.mark.parametrize("format", FORMATS)
def test_time_ranges_become_segments(format: str, pets: Dataset, media: Any, tmp_path: Path) -> None:
    data, _ = exported(pets, format, tmp_path / "x.zip")
    clip = {"jumps" if segment.data.regions else "runs": segment for segment in data["clip.mp4"].time_segments}
    assert (clip["runs"].time_info.begin_time, clip["runs"].time_info.end_time) == (0.25, 0.75)
    assert [concept.name for concept in clip["runs"].data.concepts] == ["runs"]
    assert clip["jumps"].data.regions[0].track_id == "t2"
    (bark,) = data["bark.wav"].time_segments
    assert (bark.time_info.begin_time, bark.time_info.end_time) == (0.5, 1.25)
    assert bark.data.concepts[0].name == "bark" and bark.id
    assert [(concept.name, concept.value) for concept in data["bark.wav"].concepts] == [("noise", 0.0)]


@pytest.mark.parametrize("format", FORMATS)
def test_spans_of_text(format: str, pets: Dataset, media: Any, tmp_path: Path) -> None:
    note = exported(pets, format, tmp_path / "x.zip", media=True)[0]["note.txt"]
    assert note.text.raw == TEXT
    spans = {region.data.concepts[0].name: region.region_info.span for region in note.regions}
    cat = spans["animal"]
    assert (cat.char_start, cat.char_end, cat.raw_text) == (11, 14, "cat") and TEXT[11:14] == "cat"
    assert (spans["greeting"].char_start, spans["greeting"].char_end) == (0, 5)


@pytest.mark.parametrize("format", FORMATS)
def test_the_media_and_their_facts(format: str, pets: Dataset, media: dict[str, bytes], tmp_path: Path) -> None:
    data, report = exported(pets, format, tmp_path / "x.zip", media=True)
    clip, film = data["clip.mp4"].video, data["film.mkv"].video
    info = clip.video_info
    assert (info.width, info.height, info.fps, info.duration_seconds) == (64, 48, 10, 1)
    assert (film.video_info.width, film.video_info.duration_seconds) == (64, 0.5)
    assert clip.base64 == media["clip.mp4"] and film.base64 == media["film.mkv"]
    for name, seconds in (("bark.wav", 2), ("bird.flac", 1), ("song.ogg", 1)):
        assert data[name].audio.base64 == media[name]
        assert data[name].audio.audio_info.duration_seconds == seconds
        assert not data[name].HasField("image") and not data[name].HasField("video")
    assert not [note for note in report.notes if "left out" in note]


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"frame": -1}, "a frame is counted from 0, not -1"),
        ({"time": (2.0, 1.0)}, "a time is begin and end in seconds, from 0"),
        ({"time": (-1.0, 1.0)}, "a time is begin and end in seconds, from 0"),
        ({"time": (0.0, float("inf"))}, "infinity are not allowed"),
        ({"time": (0.0, float("nan"))}, "infinity are not allowed"),
        ({"frame": 1.5}, "int"),
        ({"span": (5, 2)}, "a span is the first character"),
        ({"track": 1.5}, "int"),
    ],
)
def test_what_cannot_be_meant_is_refused(pets: Dataset, media: Any, fields: dict[str, Any], wrong: str) -> None:
    with pytest.raises((UsageError, RefusedError), match=wrong):
        pets.annotate("clip.mp4", "cat", **fields)
    assert not pets.has_draft()
