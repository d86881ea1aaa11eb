"""What Clarifai's own message classes write is read, in every way in which they write it."""

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
from clarifai_grpc.grpc.api import resources_pb2, service_pb2
from google.protobuf import json_format
from google.protobuf.timestamp_pb2 import Timestamp

from dsvc.formats.clarifai import ProtobufExporter
from dsvc.formats.clarifai.importer import ClarifaiImporter
from dsvc.formats.clarifai.read_schema import READ
from dsvc.formats.container import open_target
from dsvc.model.records import encode_concept, encode_input

_SAMPLES = Path(__file__).parents[1] / "formats" / "clarifai_samples.py"
_SPEC = importlib.util.spec_from_file_location("clarifai_samples", _SAMPLES)
samples = importlib.util.module_from_spec(_SPEC)
sys.modules["clarifai_samples"] = samples
_SPEC.loader.exec_module(samples)

PROTOBUF, JSON = "application/x.clarifai-data+protobuf", "application/x.clarifai-data+json"


def pack(path: Path, kind: str, content: bytes | str, count: int) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"train/0_n{count}", content)
        archive.writestr("mimetype", kind)
    return path


def read(path: Path) -> Any:
    """All that an archive gives, in a form to compare."""
    incoming = ClarifaiImporter().open(memoryview(path.read_bytes()), path.name)
    assert incoming.problems.found == []
    return (
        {concept.id: encode_concept(concept) for concept in incoming.concepts()},
        {record.key: encode_input(record) for record in incoming.inputs()},
        sorted(entry for batch in incoming.annotations() for entry in batch),
        {key: (found.media, found.said) for key, found in incoming.media.items()},
        incoming.dataset_meta,
    )


def all_ways(batch: Any, folder: Path) -> list[Any]:
    """What is read of a batch, in Protobuf and in each of the JSON forms."""
    count = len(batch.inputs)
    made = [pack(folder / "a.zip", PROTOBUF, batch.SerializeToString(), count)]
    for number, option in enumerate(
        ({}, {"preserving_proto_field_name": True}, {"always_print_fields_with_no_presence": True})
    ):
        text = json.dumps(json_format.MessageToDict(batch, **option), indent=number or None)
        made.append(pack(folder / f"{number}.zip", JSON, text, count))
    return [read(path) for path in made]


def exported(folder: Path) -> Any:
    """One of everything, as real messages."""
    path = folder / "own.zip"
    with open_target(path, "zip") as target:
        ProtobufExporter().export(samples.dataset(), target, media=True)
    with DatasetExportReader(local_archive_path=str(path)) as reader:
        return path, service_pb2.PostInputsRequest, resources_pb2.InputBatch(inputs=list(reader))


def test_what_their_classes_write_of_our_export(tmp_path: Path) -> None:
    path, _, batch = exported(tmp_path)
    ours = read(path)
    for found in all_ways(batch, tmp_path):
        assert found == ours


def test_all_forms_of_an_archive_without_our_metadata_say_the_same(tmp_path: Path) -> None:
    _, _, batch = exported(tmp_path)
    for message in batch.inputs:
        del message.data.metadata.fields["_dsvc"]
    first, *others = all_ways(batch, tmp_path)
    assert len(first[1]) == 9 and len(first[2]) > 30
    assert first[4] is None
    for found in others:
        assert found[1:] == first[1:]


def test_fields_that_an_export_does_not_write(tmp_path: Path) -> None:
    message = resources_pb2.Input(
        id="x", dataset_ids=["d"], created_at=Timestamp(seconds=1714564800, nanos=500_000_000)
    )
    message.data.image.hosted.prefix, message.data.image.hosted.suffix = "https://h.example", "a.jpg"
    message.data.image.hosted.sizes.append("orig")
    message.data.image.image_info.format = "JPEG"
    message.data.concepts.add(id="c1", name="cat", value=0.5, app_id="main", language="en")
    region = message.data.regions.add(id="r", value=0.25)
    region.region_info.token.char_end = 4
    region.region_info.polygon.points.add(row=0, col=0.5)
    region.region_info.polygon.points.add(row=0.5, col=0)
    region.region_info.polygon.points.add(row=1, col=1, z=2)
    track = message.data.tracks.add(id="t")
    track.time_info.end_time = 2
    track.data.concepts.add(id="c1", name="cat", value=1)
    first, *others = all_ways(resources_pb2.InputBatch(inputs=[message]), tmp_path)
    for found in others:
        assert found == first
    assert len(first[2]) == 3
    assert b"2024-05-01T12:00:00.500Z" in first[1]["x"]
    assert first[3]["x"][0].reference.place == "https://h.example/orig/a.jpg"


def test_the_schema_to_read_is_clarifais() -> None:
    for kind, fields in READ.items():
        if kind == "Timestamp":
            continue
        real = _message(kind)
        for name, field in fields.items():
            (found,) = [row for row in real.DESCRIPTOR.fields if row.json_name == name]
            assert (found.number, found.is_repeated) == (field.number, field.repeated), (kind, name)
            if found.message_type is not None and (kind, name) != ("RegionInfo", "token"):  # of the same fields
                assert found.message_type.name == field.type, (kind, name)


def _message(kind: str) -> Any:
    from clarifai_grpc.grpc.api.status import status_pb2

    return next(getattr(module, kind) for module in (resources_pb2, service_pb2, status_pb2) if hasattr(module, kind))
