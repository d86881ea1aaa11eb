"""Archives of Clarifai's whose content is wrong: one clear error that names the entry or the record."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dsvc.core.dataset import Dataset
from dsvc.errors import DsvcError, InvalidRecordsError
from dsvc.formats.clarifai.importer import ClarifaiImporter
from dsvc.formats.clarifai.read_schema import READ, BadMessage
from dsvc.formats.clarifai.text_read import TextReader
from dsvc.formats.clarifai.wire_read import WireReader

PROTOBUF, JSON = "application/x.clarifai-data+protobuf", "application/x.clarifai-data+json"


def archive(content: bytes, kind: str = PROTOBUF, name: str = "all/000000_n1") -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("mimetype", kind)
        made.writestr(name, content)
    return file.getvalue()


def in_json(*inputs: Any) -> bytes:
    return archive(json.dumps({"inputs": list(inputs)}).encode(), JSON, f"all/000000_n{len(inputs)}")


def problems(data: bytes) -> list[str]:
    return ClarifaiImporter().open(memoryview(data), "x.zip").problems.found


def refused(data: bytes) -> str:
    with pytest.raises(InvalidRecordsError) as caught:
        ClarifaiImporter().open(memoryview(data), "x.zip")
    return caught.value.message


KEPT = "has wrong _dsvc metadata"


def varint(value: int) -> bytes:
    parts = bytearray()
    while value > 127:
        parts.append(value & 127 | 128)
        value >>= 7
    return bytes([*parts, value])


def field(number: int, data: bytes, wire: int = 2) -> bytes:
    return varint(number << 3 | wire) + (varint(len(data)) if wire == 2 else b"") + data


def an_input(data: bytes = b"", id_: bytes = b"a") -> bytes:
    return field(1, field(1, id_) + field(2, data))


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"\x0a", "ends in the middle of a number"),
        (b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "has a number of more than ten bytes"),
        (b"\x0a\xff\xff\xff\xff\x7f", "is cut short: an input of 34,359,738,367 bytes has 0"),
        (b"\x12\x01a", "is no batch of inputs: it has a field 2 of wire type 2"),
        (b"PK\x03\x04", "is no batch of inputs: it has a field 10 of wire type 0"),
        (b"", "holds 0 inputs, and its name says 1"),
        (an_input() * 2, "holds 2 inputs, and its name says 1"),
    ],
)
def test_batches_that_cannot_be_read(content: bytes, text: str) -> None:
    assert refused(archive(content)) == f"x.zip: all/000000_n1 {text}"


def region(info: bytes, id_: bytes = b"r") -> bytes:
    return field(11, field(1, id_) + field(2, info))


INFINITE = b"\x00\x00\x80\x7f"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (field(1, field(1, b"a") + b"\x12\xff\x01ab"), "is cut short: field 2 of Input has 255 bytes, not 2"),
        (field(1, b"\x0d\0\0\0\0"), "has id of Input with the wrong wire type 5"),
        (field(1, b"\x0a\x02\xff\xff"), "has text in Input that is not UTF-8"),
        (field(1, b"\x0b"), "has a field of wire type 3, which no message of Clarifai's has"),
        (field(1, b""), "has no key that can be one: the input key '' is empty"),
        (an_input(id_=b"../a"), "has a component `..`"),
        (an_input(b"\x28\x01"), "has metadata of Data with the wrong wire type 0"),
        (an_input(field(5, b"\x0a\x03\x0a")), "has metadata that are cut short"),
        (an_input(region(field(1, b"\x0d" + INFINITE))), "annotation 'r': has a coordinate that is no number"),
        (
            an_input(region(field(5, field(1, b"\x0d" + INFINITE)))),
            "annotation 'r': has a coordinate that is no number",
        ),
        (an_input(region(field(6, b"\x0d" + INFINITE) + field(1, b""))), "has a coordinate that is no number"),
        (an_input(region(field(4, field(2, field(2, b"no PNG"))))), "has a mask whose picture is no PNG file"),
        (an_input(region(b"", id_=b"\0")), "has an annotation whose id cannot be one"),
        (an_input(field(1, field(1, b"file:///etc/passwd"))), "has media at 'file:///etc/passwd', which is no URL"),
        (an_input(field(1, field(1, b"https://u:p@host/x"))), "holds a user name or password"),
        (an_input(field(3, field(3, INFINITE, 5))), "has concept '' with a value that is no number"),
        (an_input(field(3, b"")), "has a concept with no name"),
        (an_input(field(6, field(1, field(1, INFINITE, 5)))), "cannot be stored"),
    ],
)
def test_records_that_are_wrong(content: bytes, text: str) -> None:
    (problem,) = problems(archive(content))
    assert problem.startswith("all/000000_n1, input 1")
    assert text in problem


def nested(depth: int) -> bytes:
    value = b"\x08\0"
    for _ in range(depth):
        value = field(6, field(1, value))
    return field(5, field(1, field(1, b"k") + field(2, value)))


def test_metadata_that_are_nested_too_deeply() -> None:
    assert problems(archive(an_input(nested(50)))) == []
    for depth in (70, 100, 5000):
        (problem,) = problems(archive(an_input(nested(depth))))
        assert "nested deeper than 60 levels" in problem


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (b"", "is no valid JSON"),
        (b"[]", "is no valid JSON"),
        (b'{"inputs": [{"id": "a"}', "is no valid JSON"),
        (b'{"inputs": {}}', "is no valid JSON"),
        (b'{"outputs": []}', "is no batch of inputs: it has a field 'outputs'"),
        (b'{"inputs": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "holds lists or objects that are nested too deeply"),
        (b'\xff\xfe{"inputs": []}', "is no valid JSON"),
    ],
)
def test_json_that_is_none(text: bytes, wrong: str) -> None:
    assert wrong in refused(archive(text, JSON))


@pytest.mark.parametrize(
    ("record", "text"),
    [
        ({"id": 5}, "has a wrong id in Input"),
        ([], "is no valid JSON"),
        ({"id": "a", "data": []}, "is no valid JSON"),
        ({"id": "a", "data": {"image": {"base64": "a b"}}}, "has a wrong base64 in Image"),
        ({"id": "a", "data": {"geo": {"geoPoint": {"longitude": "NaN"}}}}, "cannot be stored"),
        ({"id": "a", "data": {"geo": {"geoPoint": {"longitude": 1e300}}}}, "has a wrong longitude in GeoPoint"),
        ({"id": "a", "data": {"image": {"imageInfo": {"width": 1.5}}}}, "has a wrong width in ImageInfo"),
        ({"id": "a", "data": {"metadata": []}}, "has metadata that are no object"),
        ({"id": "a", "data": {"regions": [{"regionInfo": {"boundingBox": {"topRow": "x"}}}]}}, "has a wrong topRow"),
        ({"id": "a", "data": {"regions": [{"regionInfo": {"polygon": {"points": [{"row": []}]}}}]}}, "has a wrong row"),
        ({"id": "a", "data": {"frames": [{"frameInfo": {"index": -1}}]}}, "has a wrong index in FrameInfo"),
        ({"id": "a", "data": {"metadata": {"_dsvc": {"version": 2, "input": "{}"}}}}, "metadata of version 2.0"),
        ({"id": "a", "data": {"metadata": {"_dsvc": {"version": 1, "input": "{"}}}}, KEPT),
        (
            {"id": "a", "data": {"metadata": {"_dsvc": {"version": 1, "input": '{"key": 5}'}}}},
            KEPT,
        ),
        (
            {"id": "a", "data": {"metadata": {"_dsvc": {"version": 1, "input": "msgpack:!"}}}},
            KEPT,
        ),
        ({"id": "a", "data": {"metadata": {"_dsvc": {"version": 1, "input": '{"key": "/etc"}'}}}}, "is absolute"),
    ],
)
def test_records_of_json_that_are_wrong(record: Any, text: str) -> None:
    (problem,) = problems(in_json(record))
    assert problem.startswith("all/000000_n1, input 1")
    assert text in problem


def kept(rows: Any, **data: Any) -> dict[str, Any]:
    reserved = {"version": 1, "input": '{"declared_width": 9, "declared_height": 9}', "annotations": json.dumps(rows)}
    return {"id": "a", "data": {"metadata": {"_dsvc": reserved}, **data}}


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        ([{"in": "none"}], "keeps an annotation without an id"),
        ([{"in": "none", "id": "a", "b": ["x"]}], KEPT),
        ([{"in": "none", "id": "a", "x": {"a": [[]] * 2}, "zz": 1}], KEPT),
        ([{"in": "none", "id": "a", "m": [2, 2, [2**80 + 1]]}], "keeps annotation numbers that are none"),
        ({}, KEPT),
    ],
)
def test_what_was_kept_is_checked(rows: Any, text: str) -> None:
    (problem,) = problems(in_json(kept(rows)))
    assert text in problem


BOX = {"boundingBox": {"topRow": 0, "leftCol": 0, "bottomRow": 0.5, "rightCol": 0.5}}


@pytest.mark.parametrize(
    ("rows", "ids"),
    [
        ([{}], ["r", "s"]),  # one was added
        ([{}, {}], ["r"]),  # one was taken away
        ([{}, {}], ["s", "r"]),  # they have changed places
        ([{"id": "other"}], ["r"]),
        ([{"r": 2}], ["r", "s"]),
        ([{"in": "concept", "id": "r"}], ["r"]),
        ([{"f": 5}], ["r"]),
        ([{"r": 10**9}], ["r"]),
    ],
)
def test_regions_that_have_changed_since_are_taken_as_they_are(rows: Any, ids: list[str]) -> None:
    regions = [{"id": id_, "regionInfo": BOX} for id_ in ids]
    incoming = ClarifaiImporter().open(memoryview(in_json(kept(rows, regions=regions))), "x.zip")
    found = sorted(key.decode() for batch in incoming.annotations() for key, _ in batch)
    assert found == sorted(f"a\0{id_}" for id_ in ids)
    assert len(incoming.notes) == 1 and "taken as they are now" in incoming.notes[0]


def test_a_key_that_comes_twice() -> None:
    assert problems(in_json({"id": "a"}, {"id": "a"})) == [
        "all/000000_n2, input 2 ('a'): is there twice, since another input has this key"
    ]


@pytest.mark.parametrize("kind", ["", "application/zip", PROTOBUF + "x" * 2000])
def test_other_kinds_of_archives(kind: str) -> None:
    assert refused(archive(b"", kind)).startswith("x.zip")


def test_nothing_changes(pets: Dataset, tmp_path: Path) -> None:
    image = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()
    path = tmp_path / "x.zip"
    path.write_bytes(in_json({"id": "a", "data": {"image": {"base64": image}}}, {"id": ""}))
    with pytest.raises(InvalidRecordsError) as caught:
        pets.import_(path)
    assert caught.value.problems == ("all/000000_n2, input 2: has no key that can be one: the input key '' is empty",)
    assert not pets.has_draft()
    report = pets.import_(path, on_error="skip")
    assert (report.inputs, report.refused, report.rejects) == (1, 1, None)


# ---- bytes of any kind

FORMS = {PROTOBUF: WireReader(), JSON: TextReader()}


@pytest.mark.parametrize("kind", list(READ))
@settings(max_examples=40, deadline=None)
@given(raw=st.binary(max_size=60))
def test_any_bytes_as_any_message(kind: str, raw: bytes) -> None:
    for form in FORMS.values():
        try:
            form.fields(kind, raw)
        except BadMessage as error:
            assert str(error)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), kind=st.sampled_from([PROTOBUF, JSON]))
def test_a_damaged_batch_is_an_error_or_a_batch(data: Any, kind: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    content = bytearray(_batch(kind))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(content) - 1))
        if data.draw(st.booleans()):
            content[at] = data.draw(st.integers(0, 255))
        else:
            del content[at:]
            break
    try:
        incoming = ClarifaiImporter().open(memoryview(archive(bytes(content), kind, "all/x")), "x.zip")
        for batch in incoming.annotations():
            assert all(type(key) is bytes for key, _ in batch)
        list(incoming.inputs())
    except DsvcError as error:
        assert error.message.startswith("x.zip")


def _batch(kind: str) -> bytes:
    rows = [{"n": 5, "a": 2.5}, {"b": [1, 2, 3.5, 4]}, {"k": [1, 1, 2]}]
    point = {"row": 0.25, "col": 0.5, "visibility": "VISIBLE"}
    infos = [
        {**BOX, "polygon": {"points": [{"row": 0.1, "col": 0.2}] * 3}},
        BOX,
        {"keypointLocations": [point], "point": point, "span": {"charStart": 1, "charEnd": 2, "rawText": "x"}},
    ]
    regions = [
        {"id": f"r{at}", "regionInfo": info, "data": {"concepts": [{"id": "cat", "name": "cat", "value": 1}]}}
        for at, info in enumerate(infos)
    ]
    message = {"inputs": [kept(rows, regions=regions), {"id": "b", "data": {"regions": regions, "geo": {}}}]}
    if kind == JSON:
        return json.dumps(message, separators=(",", ":")).encode()
    from google.protobuf import json_format

    made: bytes = json_format.ParseDict(message, _messages()()).SerializeToString()
    return made


def _messages() -> Any:
    import importlib.util
    import sys

    spec = importlib.util.spec_from_file_location("clarifai_samples", Path(__file__).with_name("clarifai_samples.py"))
    assert spec is not None and spec.loader is not None
    samples = importlib.util.module_from_spec(spec)
    sys.modules["clarifai_samples"] = samples
    spec.loader.exec_module(samples)
    return samples.messages()
