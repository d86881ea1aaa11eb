"""Both Clarifai profiles: every record comes back, the bytes never change, and both say the same."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from pathlib import Path

import pytest
from google.protobuf import json_format
from hypothesis import given, settings
from hypothesis import strategies as st

from dsvc.errors import RefusedError
from dsvc.formats.clarifai import JsonExporter, ProtobufExporter, build, exporter
from dsvc.formats.clarifai.wire import Wire
from dsvc.formats.container import open_target
from dsvc.model.records import Annotation, Concept, Input, Media, Shape
from dsvc.model.walk import Sample

_SPEC = importlib.util.spec_from_file_location("clarifai_samples", Path(__file__).with_name("clarifai_samples.py"))
samples = importlib.util.module_from_spec(_SPEC)
sys.modules["clarifai_samples"] = samples
_SPEC.loader.exec_module(samples)

BATCH = samples.messages()
EXPORTERS = (ProtobufExporter, JsonExporter)


def export(exporter_class, walk, path, **options):
    with open_target(path, "zip") as target:
        report = exporter_class().export(walk, target, **options)
    return report, samples.archive(path)


def parse(entries):
    """The batches of an archive, by name."""
    kind = entries["mimetype"]
    batches = {}
    for name, data in entries.items():
        if name == "mimetype":
            continue
        if kind.endswith(b"json"):
            batches[name] = json_format.Parse(data, BATCH())
        else:
            batches[name] = BATCH.FromString(data)
    return batches


def inputs_of(entries):
    return [message for batch in parse(entries).values() for message in batch.inputs]


@pytest.mark.parametrize("exporter_class", EXPORTERS)
@pytest.mark.parametrize("media", [False, True])
def test_every_record_comes_back(exporter_class, media, tmp_path):
    walk = samples.dataset()
    report, entries = export(exporter_class, walk, tmp_path / "x.zip", media=media)
    samples.same_records(walk, inputs_of(entries))
    assert report.inputs == 9
    assert report.annotations == sum(len(sample.annotations) for sample in walk.samples())
    assert report.entries == len(entries)


def test_both_forms_say_the_same(tmp_path):
    _, protobuf = export(ProtobufExporter, samples.dataset(), tmp_path / "a.zip", media=True)
    _, text = export(JsonExporter, samples.dataset(), tmp_path / "b.zip", media=True)
    assert list(protobuf) == list(text)
    assert parse(protobuf) == parse(text)


def test_the_archive_is_what_the_reader_expects(tmp_path):
    _, entries = export(ProtobufExporter, samples.dataset(), tmp_path / "x.zip")
    names = list(entries)
    assert names[0] == "mimetype"
    assert entries["mimetype"] == b"application/x.clarifai-data+protobuf"
    assert {name.split("/")[0] for name in names[1:]} >= {"train", "val", "all"}
    for name, batch in parse(entries).items():
        assert int(name.split("_n")[-1]) == len(batch.inputs)


GOLDEN = {
    ("clarifai-protobuf/1", False): "9da68875ba654ec1945588e672e4234766f9234816401d3b4a4b6ac9c89b9f2d",
    ("clarifai-protobuf/1", True): "63327957721c86a6b6fa02411d7e555f245a1861cbc164cb8fa05b6968584892",
    ("clarifai-json/1", False): "09ab7a7452775cd3bf2e653d7450174ab4642cbd03aeeb4cc957e67ffee35abb",
    ("clarifai-json/1", True): "1c45975a8f3039120866611a580dfa2e28ef4df6e2fe81eb508baf1ffafe4d7b",
}


@pytest.mark.parametrize("exporter_class", EXPORTERS)
@pytest.mark.parametrize("media", [False, True])
def test_the_bytes_of_a_profile_never_change(exporter_class, media, tmp_path):
    export(exporter_class, samples.dataset(), tmp_path / "x.zip", media=media)
    digest = hashlib.sha256((tmp_path / "x.zip").read_bytes()).hexdigest()
    assert digest == GOLDEN[exporter_class.profile, media]


def test_the_hand_written_wire_format_is_what_protobuf_writes(tmp_path):
    """But for explicit zeros of points and edges, which `simple` has none of in its polygons after the first."""
    walk = samples.MemoryWalk(samples.CONCEPTS, [samples._shapes()], {}, samples.BLOBS)
    _, entries = export(ProtobufExporter, walk, tmp_path / "x.zip", media=True)
    for batch in parse(entries).values():
        for message in batch.inputs:
            for region in message.data.regions:
                if any(p.row == 0 or p.col == 0 for p in region.region_info.polygon.points):
                    continue
                assert region.SerializeToString(deterministic=True) == Wire().message("Region", _fields(region))


def _fields(region):
    info = region.region_info.SerializeToString(deterministic=True)
    data = region.data.SerializeToString(deterministic=True) if region.HasField("data") else None
    return {"id": region.id, "regionInfo": info, "data": data, "trackId": region.track_id}


def test_json_is_written_as_protobufs_printer_writes_it(tmp_path):
    """Except that points, boxes and values that are zero are always there."""
    walk = samples.simple(3)
    _, entries = export(JsonExporter, walk, tmp_path / "x.zip")
    (batch,) = parse(entries).values()
    printed = json_format.MessageToJson(
        batch, indent=None, ensure_ascii=False, always_print_fields_with_no_presence=False
    )
    import json

    def filled(value):
        if isinstance(value, dict):
            value = {key: filled(item) for key, item in value.items()}
            if "col" in value or "row" in value:
                value = {"row": 0, "col": 0} | value
            if "rightCol" in value:
                value = {"topRow": 0, "leftCol": 0} | value
            return value
        return [filled(item) for item in value] if isinstance(value, list) else value

    found = json.loads(next(data for name, data in entries.items() if name != "mimetype"))
    assert found == filled(json.loads(printed))


def test_zeros_are_written_in_json(tmp_path):
    shape = Shape(box=(0, 0, 5, 5), polygons=((0, 0, 5, 0, 5, 5),))
    annotation = Annotation(key="a", id="a", concept="cat", value=0, shape=shape)
    record = Input(key="a", declared_width=10, declared_height=10)
    walk = samples.MemoryWalk((Concept(id="cat", name="cat"),), [Sample(record, (annotation,))])
    _, entries = export(JsonExporter, walk, tmp_path / "x.zip")
    text = entries["all/000000_n1"].decode()
    assert '"boundingBox":{"topRow":0.0,"leftCol":0.0,"bottomRow":0.5,"rightCol":0.5}' in text
    assert '{"row":0.0,"col":0.0}' in text
    assert '"value":0.0' in text


@pytest.mark.parametrize("exporter_class", EXPORTERS)
def test_batches_hold_at_most_128_inputs(exporter_class, tmp_path):
    _, entries = export(exporter_class, samples.simple(300, rings=2), tmp_path / "x.zip")
    assert list(entries)[1:] == ["all/000000_n128", "all/000001_n128", "all/000002_n44"]
    samples.same_records(samples.simple(300, rings=2), inputs_of(entries))


@pytest.mark.parametrize("exporter_class", EXPORTERS)
def test_where_the_work_is_cut_does_not_show(exporter_class, tmp_path, monkeypatch):
    _, one = export(exporter_class, samples.dataset(), tmp_path / "a.zip", media=True)
    monkeypatch.setattr(exporter, "MAX_WEIGHT", 1)
    _, other = export(exporter_class, samples.dataset(), tmp_path / "b.zip", media=True)
    assert one == other


def test_batches_are_bounded_in_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(exporter, "MAX_BYTES", 2000)
    _, entries = export(ProtobufExporter, samples.simple(20), tmp_path / "x.zip")
    assert len(entries) > 3
    assert max(map(len, entries.values())) < 2200
    assert len(inputs_of(entries)) == 20


def test_boxes_are_such_that_the_reader_accepts_them(tmp_path):
    report, entries = export(ProtobufExporter, samples.dataset(), tmp_path / "x.zip")
    boxes = 0
    for message in inputs_of(entries):
        for region in message.data.regions:
            if region.region_info.HasField("bounding_box"):
                box = region.region_info.bounding_box
                assert 0 <= box.top_row < box.bottom_row <= 1
                assert 0 <= box.left_col < box.right_col <= 1
                boxes += 1
            for point in region.region_info.polygon.points:
                assert 0 <= point.row <= 1
                assert 0 <= point.col <= 1
    assert boxes > 10
    assert any("clipped" in note for note in report.notes)
    assert any("widened" in note for note in report.notes)


def test_usual_coordinates_are_not_written_twice(tmp_path):
    """Two decimals come back from float32, so the reserved key holds no numbers."""
    _, entries = export(ProtobufExporter, samples.simple(2), tmp_path / "x.zip")
    reserved = samples.plain(inputs_of(entries)[1].data.metadata.fields["_dsvc"])
    assert reserved == {"version": 1, "input": '{"declared_height":77,"declared_width":99}', "annotations": '[{"n":1}]'}


def test_media_go_inline_only_when_asked(tmp_path):
    _, without = export(ProtobufExporter, samples.dataset(), tmp_path / "a.zip")
    report, inline = export(ProtobufExporter, samples.dataset(), tmp_path / "b.zip", media=True)
    before = {message.id: message.data for message in inputs_of(without)}
    after = {message.id: message.data for message in inputs_of(inline)}
    (image,) = [data for data in after.values() if data.image.base64]
    assert image.image.base64 == samples.IMAGE
    assert after["sentence"].text.raw == samples.TEXT.decode()
    assert not any(data.image.base64 or data.text.raw for data in before.values())
    assert before["remote"].audio.url == after["remote"].audio.url == "https://example.org/x.wav"
    assert after["remote"].audio.audio_info.duration_seconds == 1.5
    assert before["clip"].video.video_info.fps == pytest.approx(29.97)
    assert "text files that are not UTF-8, left out: 1" in report.notes
    assert "media files that dsvc does not hold, left out: 6" in report.notes


def test_media_that_are_too_large_are_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr("dsvc.formats.clarifai.media.MAX_INLINE", 10)
    report, entries = export(ProtobufExporter, samples.dataset(), tmp_path / "x.zip", media=True)
    assert "media files over 128 MiB, left out: 2" in report.notes
    assert not any(message.data.image.base64 for message in inputs_of(entries))


def test_frames_and_times(tmp_path):
    _, entries = export(ProtobufExporter, samples.dataset(), tmp_path / "x.zip")
    (data,) = [message.data for message in inputs_of(entries) if message.id == "clip"]
    assert [frame.frame_info.number for frame in data.frames] == [0, 2, 30]
    assert [frame.frame_info.time for frame in data.frames] == [0, 67, 1001]
    assert len(data.frames[2].data.regions) == len(data.frames[2].data.concepts) == 1
    assert [segment.id for segment in data.time_segments] == ["d", "e"]


def test_an_empty_dataset(tmp_path):
    walk = samples.MemoryWalk(samples.CONCEPTS, [])
    report, entries = export(ProtobufExporter, walk, tmp_path / "x.zip")
    assert list(entries) == ["mimetype"]
    assert report.notes == (f"{exporter.NO_INPUTS}: 5",)


def test_two_concepts_with_one_id_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(exporter, "short_id", lambda text: "same")
    with pytest.raises(RefusedError, match="same id"):
        export(ProtobufExporter, samples.dataset(), tmp_path / "x.zip")
    assert list(tmp_path.iterdir()) == []


def test_unused_imports_of_heavy_packages():
    """Importing the exporters must not import numpy: it is slow, and most commands never export."""
    import subprocess

    code = "import sys, dsvc.formats.clarifai; sys.exit('numpy' in sys.modules or 'google.protobuf' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2]).returncode == 0


# ---- any shape

coordinates = st.one_of(
    st.integers(-10, 700),
    st.decimals(0, 640, places=2).map(float),
    st.floats(0, 640, width=32),
    st.floats(-1e6, 1e6),
)
rings = st.lists(st.lists(st.tuples(coordinates, coordinates), min_size=1, max_size=6), min_size=1, max_size=3)
shapes = st.builds(
    Shape,
    box=st.none() | st.tuples(coordinates, coordinates, coordinates, coordinates),
    polygons=st.none() | rings.map(lambda found: tuple(tuple(n for point in ring for n in point) for ring in found)),
    area=st.none() | st.floats(0, 1e9),
    unit=st.sampled_from(["pixel", "relative"]),
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(shapes, max_size=6),
    st.sampled_from([(640, 480), (1, 1), (333, 7777), (0.5, 3)]),
    st.sampled_from(EXPORTERS),
)
def test_any_shape_comes_back(found, size, exporter_class):
    class Sink:
        def __init__(self):
            self.entries = {}

        def add(self, name, size=None):
            import contextlib
            import io

            @contextlib.contextmanager
            def stream():
                buffer = io.BytesIO()
                yield buffer
                self.entries[name] = buffer.getvalue()
                assert size == len(buffer.getvalue())

            return stream()

    rows = []
    for index, shape in enumerate(found):
        if shape.box is None and shape.polygons is None and shape.area is None:
            continue
        rows.append(Annotation(key="k", id=f"{index}", concept="cat", shape=shape))
    record = Input(key="k", media=Media(width=9, height=9), declared_width=size[0], declared_height=size[1])
    walk = samples.MemoryWalk((Concept(id="cat", name="cat"),), [Sample(record, tuple(rows))])
    sink = Sink()
    exporter_class().export(walk, sink)
    samples.same_records(walk, inputs_of(sink.entries))
    assert build.Encoded._fields
