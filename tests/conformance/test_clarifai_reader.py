"""Clarifai's own reader and message classes read what the exporters write. Nothing here touches a network."""

from __future__ import annotations

import importlib.util
import json
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("clarifai", reason="needs the extra 'conformance': pip install 'dsvc[conformance]'")

from clarifai.datasets.export.inputs_annotations import DatasetExportReader
from clarifai_grpc.grpc.api import resources_pb2
from google.protobuf import json_format

from dsvc.formats.clarifai import JsonExporter, ProtobufExporter
from dsvc.formats.clarifai.schema import SCHEMA, VISIBILITY
from dsvc.formats.container import open_target
from dsvc.model.walk import Walk

_SAMPLES = Path(__file__).parents[1] / "formats" / "clarifai_samples.py"
_SPEC = importlib.util.spec_from_file_location("clarifai_samples", _SAMPLES)
samples = importlib.util.module_from_spec(_SPEC)
sys.modules["clarifai_samples"] = samples
_SPEC.loader.exec_module(samples)


def check_walk(walk: Walk, folder: Path, *, media: bool = False) -> None:
    """Export any walk in both profiles, read it back with the real classes, and compare with what the walk holds."""
    protobuf, text = folder / "protobuf.zip", folder / "json.zip"
    for exporter, path in ((ProtobufExporter(), protobuf), (JsonExporter(), text)):
        with open_target(path, "zip") as target:
            report = exporter.export(walk, target, media=media)
    with DatasetExportReader(local_archive_path=str(protobuf)) as reader:
        inputs = list(reader)
        assert len(reader) == len(inputs) == report.inputs
        first = next((name for name in reader.file_name_list), "")
        assert reader.split_dir == first.partition("/")[0]
    assert inputs == read_json(text)
    check_inputs(walk, inputs)
    samples.same_records(walk, inputs)


def read_json(path: Path) -> list[Any]:
    """The inputs of a JSON archive; the real reader takes Protobuf only, so its message classes parse them."""
    inputs = []
    with zipfile.ZipFile(path) as archive:
        assert archive.read("mimetype") == b"application/x.clarifai-data+json"
        for name in archive.namelist()[1:]:
            batch = json_format.Parse(archive.read(name), resources_pb2.InputBatch())
            assert len(batch.inputs) == int(name.split("_n")[-1])
            inputs.extend(batch.inputs)
    return inputs


def check_inputs(walk: Walk, inputs: list[Any]) -> None:
    """Every concept, region and point where the records say; independent of the reserved metadata but for keys."""
    by_key = {}
    for message in inputs:
        reserved = samples.plain(message.data.metadata.fields["_dsvc"])
        by_key[json.loads(_text(reserved["input"])).get("key", message.id)] = message
    names = {concept.id: concept.name for concept in walk.concepts()}
    assert len(by_key) == len(inputs) == sum(1 for _ in walk.inputs())
    for sample in walk.samples():
        data = by_key[sample.input.key].data
        regions = {region.id: region for region in _all_regions(data)}
        for annotation in sample.annotations:
            region = regions.get(annotation.id)
            if region is None or annotation.shape is None:
                continue
            if annotation.concept is not None:
                (concept,) = region.data.concepts
                assert concept.name == names.get(annotation.concept, annotation.concept)
                if annotation.value is None:
                    assert concept.value == 1
            check_shape(sample.input, annotation, region.region_info)


def _text(text: str) -> str:
    return json.dumps(samples.read_exact(text), default=str) if text.startswith("msgpack:") else text


def _all_regions(data: Any) -> list[Any]:
    places = [data, *(frame.data for frame in data.frames), *(segment.data for segment in data.time_segments)]
    return [region for place in places for region in place.regions]


def check_shape(record: Any, annotation: Any, info: Any) -> None:
    """A box and the first polygon lie at the record's coordinates, clipped to the picture, to float32."""
    shape = annotation.shape
    width, height = record.declared_width, record.declared_height
    if shape.unit == "relative":
        width = height = 1
    elif width is None or height is None:
        media = record.media
        width, height = (media.width, media.height) if media is not None else (None, None)
    if width is None or height is None:
        return
    if shape.box is not None and len(shape.box) == 4:
        x, y, w, h = shape.box
        box = info.bounding_box
        assert (box.left_col, box.top_row) == pytest.approx(
            (_clip(min(x, x + w) / width), _clip(min(y, y + h) / height)), abs=1e-6
        )
        assert (box.right_col, box.bottom_row) == pytest.approx(
            (_clip(max(x, x + w) / width), _clip(max(y, y + h) / height)), abs=1e-6
        )
    if shape.polygons and info.HasField("polygon"):
        wanted = [_clip(n / (height if i % 2 else width)) for i, n in enumerate(shape.polygons[0])]
        found = [n for point in info.polygon.points for n in (point.col, point.row)]
        assert found == pytest.approx(wanted, abs=1e-6)


def _clip(value: float) -> float:
    return min(1.0, max(0.0, value))


@pytest.mark.parametrize("media", [False, True])
def test_the_real_reader_reads_one_of_everything(media, tmp_path):
    check_walk(samples.dataset(), tmp_path, media=media)


def test_the_real_reader_reads_many_batches(tmp_path):
    check_walk(samples.simple(700, rings=3), tmp_path)


def test_the_real_reader_reads_an_archive_without_inputs(tmp_path):
    walk = samples.MemoryWalk(samples.CONCEPTS, [])
    with open_target(tmp_path / "x.zip", "zip") as target:
        ProtobufExporter().export(walk, target)
    with DatasetExportReader(local_archive_path=str(tmp_path / "x.zip")) as reader:
        assert len(reader) == 0
        assert list(reader) == []


def test_the_schema_is_clarifais():
    """Field names, numbers and types are those of the real messages; Struct is Protobuf's own."""
    for kind, fields in SCHEMA.items():
        real = (resources_pb2 if hasattr(resources_pb2, kind) else _service()).__dict__.get(kind) or getattr(
            _service(), kind
        )
        for name, field in fields.items():
            (found,) = [row for row in real.DESCRIPTOR.fields if row.json_name == name]
            assert found.number == field.number, (kind, name)
            repeated = found.is_repeated if hasattr(found, "is_repeated") else found.label == found.LABEL_REPEATED
            assert repeated == field.repeated, (kind, name)
            if found.message_type is not None:
                assert found.message_type.name == field.type, (kind, name)
            elif found.enum_type is None:
                assert found.type == samples._SCALARS[field.type], (kind, name)
    visibility = resources_pb2.Point.DESCRIPTOR.fields_by_name["visibility"].enum_type
    assert [visibility.values_by_number[number].name for number in range(4)] == list(VISIBILITY)


def _service() -> Any:
    from clarifai_grpc.grpc.api import service_pb2

    return service_pb2
