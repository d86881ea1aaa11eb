"""Clarifai's own reader on video, sound and text with frames, time ranges, tracks and spans."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("clarifai", reason="needs the extra 'conformance': pip install 'dsvc[conformance]'")

from clarifai.datasets.export.inputs_annotations import DatasetExportReader

from dsvc.core.dataset import Dataset
from dsvc.model.records import Shape


@pytest.fixture
def media(pets: Dataset, tmp_path: Path, video: Callable[..., bytes], sound: Callable[..., bytes]) -> dict[str, bytes]:
    found = {"clip.mp4": video(), "call.flac": sound(), "note.txt": b"A cat sat."}
    (tmp_path / "data").mkdir()
    for name, data in found.items():
        (tmp_path / "data" / name).write_bytes(data)
    pets.add(tmp_path / "data", root=tmp_path / "data")
    pets.annotate("clip.mp4", "cat", frame=3, track=7, shape=Shape(box=(0, 0, 32, 24)))
    pets.annotate("clip.mp4", "dog", frame=5, shape=Shape(box=(0.5, 0.5, 0.25, 0.5), unit="relative"))
    pets.annotate("call.flac", "bark", time=(0.25, 0.75))
    pets.annotate("note.txt", "animal", span=(2, 5), text="cat")
    pets.set("clip.mp4", split="val")
    return found


def test_the_reader_finds_all_of_it(pets: Dataset, media: dict[str, bytes], tmp_path: Path) -> None:
    path = tmp_path / "out.zip"
    pets.draft().export("clarifai-protobuf", path, media=True)
    with DatasetExportReader(local_archive_path=str(path)) as reader:
        inputs: list[Any] = list(reader)
        assert len(reader) == len(inputs) == 3
    clip = next(one.data for one in inputs if one.data.HasField("video"))
    call = next(one.data for one in inputs if one.data.HasField("audio"))
    note = next(one.data for one in inputs if one.data.HasField("text"))
    assert clip.video.base64 == media["clip.mp4"] and clip.video.video_info.fps == 10
    assert (clip.video.video_info.width, clip.video.video_info.height) == (64, 48)
    assert [(frame.frame_info.index, frame.frame_info.time) for frame in clip.frames] == [(3, 300), (5, 500)]
    cat, dog = (frame.data.regions[0] for frame in clip.frames)
    assert cat.track_id == "7" and cat.data.concepts[0].name == "cat"
    assert (cat.region_info.bounding_box.right_col, cat.region_info.bounding_box.bottom_row) == (0.5, 0.5)
    assert (dog.region_info.bounding_box.left_col, dog.region_info.bounding_box.bottom_row) == (0.5, 1.0)
    assert call.audio.base64 == media["call.flac"]
    (segment,) = call.time_segments
    assert (segment.time_info.begin_time, segment.time_info.end_time) == (0.25, 0.75)
    assert segment.data.concepts[0].name == "bark"
    assert note.text.raw == "A cat sat."
    (region,) = note.regions
    span = region.region_info.span
    assert (span.char_start, span.char_end, span.raw_text) == (2, 5, "cat")
