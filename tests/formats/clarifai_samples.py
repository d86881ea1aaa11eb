"""A small dataset with one of everything, the way back from Clarifai's messages, and a Walk in memory."""

from __future__ import annotations

import base64
import io
import json
import re
import struct
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from blake3 import blake3
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, struct_pb2

from dsvc.formats.clarifai.residue import read_exact
from dsvc.formats.clarifai.schema import SCHEMA, VISIBILITY
from dsvc.formats.masks import compressed
from dsvc.model.records import (
    Annotation,
    Concept,
    Input,
    Mask,
    Media,
    Reference,
    Shape,
    annotation_key,
    decode_annotation,
    decode_input,
    encode_annotation,
    encode_input,
)
from dsvc.model.walk import Sample
from dsvc.store.ids import ObjectId


class MemoryWalk:
    """Records as they are, never stored: the long way of the exporter."""

    def __init__(self, concepts, samples, meta=None, blobs=()):
        self._concepts, self._samples = concepts, samples
        self.meta: Mapping[str, Any] = meta or {}
        self._blobs = {blob_id(blob): blob for blob in blobs}

    def concepts(self) -> Iterator[Concept]:
        return iter(sorted(self._concepts, key=lambda concept: concept.id))

    def inputs(self) -> Iterator[Input]:
        return (sample.input for sample in self.samples())

    def samples(self) -> Iterator[Sample]:
        return iter(sorted(self._samples, key=lambda sample: sample.input.key.encode()))

    def read_blob(self, blob: ObjectId) -> Iterator[bytes]:
        yield self._blobs[blob]

    def read_media(self, record: Input) -> Iterator[bytes]:
        yield self._blobs[record.media.blob]


class StoredWalk:
    """The same records as they come back from a repository, and their entries: the quick way."""

    def __init__(self, walk: MemoryWalk):
        self.meta = walk.meta
        self.concepts, self.read_blob, self.read_media = walk.concepts, walk.read_blob, walk.read_media
        self._inputs, self._annotations = {}, {}
        for record, found in walk.samples():
            self._inputs[record.key.encode()] = encode_input(record)
            for one in found:
                self._annotations[annotation_key(one.key, one.id)] = encode_annotation(one)

    def input_entries(self) -> Iterator[tuple[bytes, bytes]]:
        return iter(sorted(self._inputs.items()))

    def annotation_entries(self) -> Iterator[tuple[bytes, bytes]]:
        return iter(sorted(self._annotations.items()))

    def samples(self) -> Iterator[Sample]:
        for key, value in self.input_entries():
            found = [decode_annotation(*row) for row in self.annotation_entries() if row[0].startswith(key + b"\0")]
            yield Sample(decode_input(key, value), tuple(found))

    def unstored(self) -> MemoryWalk:
        """The records that came back, for the long way."""
        walk = MemoryWalk(tuple(self.concepts()), tuple(self.samples()), self.meta)
        walk.read_blob, walk.read_media = self.read_blob, self.read_media
        return walk


def blob_id(data: bytes) -> ObjectId:
    return ObjectId(blake3(data).digest())


# ---- one of everything

IMAGE = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABAQAAAAA3bvkkAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==")
TEXT = "Ein schöner Satz.".encode()
NO_TEXT = b"\xff\xfe\x00"
BLOBS = (IMAGE, TEXT, NO_TEXT)
CONCEPTS = (
    Concept(id="cat", name="cat", number=1, supercategory="animal"),
    Concept(id="猫", name="猫", number=2, extras={"coco": {"note": None, "rank": 1.0}}),
    Concept(id="person", name="person", keypoints=("nose", "eye"), skeleton=((1, 2),), number=10**20),
    Concept(id="a name that is much too long for an id, and more", name="long"),
    Concept(id="cat-0123456789abcdef", name="looks mapped"),
)
F32 = struct.unpack("<f", struct.pack("<f", 0.3333))[0]


def dataset() -> MemoryWalk:
    samples = [_shapes(), _odd_shapes(), _relative(), _metadata(), _video(), _text(), _no_text(), _bare(), _remote()]
    return MemoryWalk(CONCEPTS, samples, {"coco": {"info": {"year": 2017, "version": "1.0", "ratio": 2.0}}}, BLOBS)


def _sample(record: Input, *annotations: Annotation) -> Sample:
    return Sample(record, tuple(sorted(annotations, key=lambda annotation: annotation.id.encode())))


def _of(key: str):
    return lambda id_, **fields: Annotation(key=key, id=id_, **fields)


def _shapes() -> Sample:
    key = "images/000001.jpg"
    one = _of(key)
    media = Media(blob=blob_id(IMAGE), type="image/png", size=len(IMAGE), width=1, height=1)
    record = Input(
        key=key, media=media, declared_width=640, declared_height=480, number=7, license="CC BY", split="train"
    )
    ring = (10.25, 20.5, 100, 20.5, 100.75, 200.01, 10, 199.99)
    return _sample(
        record,
        one(
            "a1",
            concept="cat",
            number=11,
            crowd=0,
            shape=Shape(box=(10, 20, 90.75, 180.01), polygons=(ring,), area=702.1057499999998),
        ),
        one("a2", concept="猫", value=0, shape=Shape(box=(0, 0, 640, 480))),
        one("a3", concept="cat", value=0.5, shape=Shape(polygons=(ring, (0, 0, 5, 0, 5, 5)), area=3)),
        one(
            "a4",
            concept="cat",
            value=1,
            attributes={"pose": "left", "n": 1.0},
            shape=Shape(mask=Mask(height=3, width=4, counts=(0, 5, 7))),
        ),
        one("a5", concept="person", keypoints=(100, 100, 2, 0, 0, 0, 5.5, 7.125, 1), shape=Shape(box=(1, 1, 2, 2))),
        one(
            "a6",
            concept="cat",
            crowd=1,
            shape=Shape(mask=Mask(height=10, width=10, counts=compressed((3, 4, 83, 10))), box=(0, 0, 9, 9)),
        ),
        one("a7", concept="cat"),
        one("a8", concept="cat", value=0.1, author="me", status="done", track=3),
        one("a9", text="a caption", number=99),
        one("b1", concept="cat", point=(5.5, 6.25), track="t1"),
        one("b2", point=(5.123456789, 6.25), track=12, extras={"coco": {"x": [1, 1.0, None, True]}}),
        one("id with spaces / and 猫", concept="cat", shape=Shape(box=(5, 5, 1, 1))),
        one("x-p2", concept="cat", shape=Shape(box=(5, 5, 1, 1))),
    )


def _odd_shapes() -> Sample:
    key = "odd.jpg"
    one = _of(key)
    record = Input(key=key, declared_width=100, declared_height=50, split="val")
    return _sample(
        record,
        one("a", concept="cat", shape=Shape(box=(10, 10, 0, 5))),
        one("b", concept="cat", shape=Shape(box=(90, 10, 30, 5))),
        one("c", concept="cat", shape=Shape(box=(50, 40, -10, -5))),
        one("d", concept="cat", shape=Shape(box=(100, 50, 0, 0))),
        one("e", concept="cat", shape=Shape(box=(1e300, -1e300, 1e308, 1e308))),
        one("f", concept="cat", shape=Shape(box=(1, 2, 3))),
        one("g", concept="cat", shape=Shape(polygons=((1, 2, 3),))),
        one("h", concept="cat", shape=Shape(polygons=())),
        one("i", concept="cat", shape=Shape(polygons=((-1, 2, 3, 4, 500, 6),), area=0)),
        one("j", concept="cat", shape=Shape(polygons=((1 / 3, 2 / 3, 3.14159265, 4, 5, 6), (1, 2, 3, 4)))),
        one("k", concept="cat", shape=Shape(box=(-0.0, 0, 1, 1))),
        one("l", concept="cat", shape=Shape(mask=Mask(height=2, width=2, counts=(1, 1)))),
        one("m", concept="cat", shape=Shape(mask=Mask(height=2, width=2, counts=(1, 0, 3)))),
        one("n", concept="cat", shape=Shape(mask=Mask(height=2, width=2, counts="~~~"))),
        one("o", concept="cat", keypoints=(1, 1, 0.25, 1.5, 1.5, 2)),
        one("p", concept="cat", keypoints=(1, 1)),
        one("q", concept="cat", shape=Shape(box=(1.2345, 2.3456, 10.0001, 5))),
        one("r", concept="cat", shape=Shape(box=(1e-6, 1e-30, 10, 5))),
        one("s", concept="not in the table", shape=Shape(area=5)),
        one("t", value=0.5, shape=Shape(box=(1, 1, 2, 2))),
        one("u", concept="cat", value=1e39, shape=Shape(box=(1, 1, 2, 2))),
        one("v", concept="cat", value=1e39),
    )


def _relative() -> Sample:
    key = "relative"
    one = _of(key)
    return _sample(
        Input(key=key),
        one("a", concept="cat", shape=Shape(box=(F32, 0.25, 0.5, 0.25), unit="relative")),
        one("b", concept="cat", shape=Shape(polygons=((F32, F32, 0.1, 0.2, 1, 0),), unit="relative")),
        one("c", concept="cat", shape=Shape(polygons=((1 / 3, 0.1, 0.1, 0.2, 1, 0),), unit="relative")),
        one("d", concept="cat", shape=Shape(box=(1, 2, 3, 4))),
        one("e", concept="cat", shape=Shape(box=(0, 0, 0.1, 0.9), unit="relative", area=0.09)),
        one("f", concept="cat", keypoints=(1, 1, 2)),
    )


def _metadata() -> Sample:
    deep: Any = "end"
    for _ in range(40):
        deep = [deep]
    metadata = {
        "text": 'ü\n"',
        "int": 5,
        "float": 5.0,
        "big": 2**60,
        "huge": 10**400,
        "minus zero": -0.0,
        "none": None,
        "list": [1, [2.5, {"a": False}]],
        "deep": deep,
        "_dsvc": "taken",
        "": {},
        "bytes": b"\0\1",
    }
    extras = {"coco": {"flickr_url": None, "id": 2**70}}
    embeddings = {"clip": (0.5, F32, -1.0), "b": (0.1, 1e300)}
    record = Input(
        key="Meta data 日本.JPG",
        metadata=metadata,
        extras=extras,
        geo=(13.4, 52.5),
        embeddings=embeddings,
        number="seven",
        declared_width=10.5,
        declared_height=3,
    )
    return _sample(record)


def _video() -> Sample:
    key = "clip"
    one = _of(key)
    media = Media(type="video/mp4", width=100, height=100, duration=12.5, fps=29.97, size=5)
    return _sample(
        Input(key=key, media=media, geo=(0.0, 0.5), metadata={"plain": 1}),
        one("a", concept="cat", frame=30, shape=Shape(box=(1, 2, 3, 4)), track="x"),
        one("b", concept="cat", frame=30, value=0),
        one("c", concept="cat", frame=0, shape=Shape(box=(1, 2, 3, 4))),
        one("d", concept="cat", time=(0.5, 2.1)),
        one("e", concept="cat", time=(0.5, 2), shape=Shape(box=(1, 2, 3, 4))),
        one("f", concept="cat", frame=2, time=(1, 2)),
        one("g", concept="cat", frame=-1),
        one("h", concept="cat", time=(0, 1e300)),
        one("i", frame=30, text="only a note"),
    )


def _text() -> Sample:
    key = "sentence"
    one = _of(key)
    media = Media(blob=blob_id(TEXT), type="text/plain", size=len(TEXT))
    return _sample(
        Input(key=key, media=media, split="train"),
        one("a", concept="cat", span=(0, 3), text="Ein"),
        one("b", concept="cat", span=(4, 11)),
        one("c", span=(2, 2**40), text=""),
        one("d", span=(0, 0), text=""),
        one("e", text="summary", concept="cat"),
    )


def _no_text() -> Sample:
    return _sample(Input(key="no-text", media=Media(blob=blob_id(NO_TEXT), type="text/plain", size=3)))


def _bare() -> Sample:
    return _sample(Input(key="bare", split="a split / with 猫"))


def _remote() -> Sample:
    reference = Reference(place="https://example.org/x.wav", size=5, etag="e", mtime=7, hash=blob_id(b"x"))
    return _sample(Input(key="remote", media=Media(reference=reference, type="audio/wav", duration=1.5)))


def simple(count: int, rings: int = 1) -> MemoryWalk:
    """Boxes and polygons of whole numbers on `count` images."""
    samples = []
    for index in range(count):
        key = f"{index:06d}"
        ring = (index % 50, 5, 60, 5, 60, 70.25)
        shape = Shape(box=(index % 50, 5, 60 - index % 50, 65.25), polygons=(ring,) * rings)
        annotation = Annotation(key=key, id="a", concept="cat", shape=shape, number=index)
        samples.append(Sample(Input(key=key, declared_width=99, declared_height=77), (annotation,)))
    return MemoryWalk((Concept(id="cat", name="cat"),), samples)


# ---- messages of the schema, to read what the exporter wrote by hand

PACKAGE = "dsvc.clarifai.v1"
_SCALARS = {"string": 9, "bytes": 12, "float": 2, "int32": 5, "uint32": 13, "uint64": 4, "enum": 14}


def messages() -> Any:
    """The class of InputBatch, from descriptors of our own in a pool of their own."""
    file = descriptor_pb2.FileDescriptorProto(name="dsvc.proto", package=PACKAGE, syntax="proto3")
    file.dependency.append("google/protobuf/struct.proto")
    enum = file.enum_type.add(name="Visibility")
    for number, name in enumerate(VISIBILITY):
        enum.value.add(name=name, number=number)
    for kind, fields in SCHEMA.items():
        message = file.message_type.add(name=kind)
        for name, field in fields.items():
            _field(message, name, field)
    pool = descriptor_pool.DescriptorPool()
    known = descriptor_pb2.FileDescriptorProto()
    struct_pb2.DESCRIPTOR.CopyToProto(known)
    pool.Add(known)
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.InputBatch"))


def _field(message: Any, name: str, field: Any) -> None:
    snake = re.sub(r"([A-Z])", lambda found: "_" + found[0].lower(), name)
    added = message.field.add(name=snake, number=field.number, json_name=name, label=3 if field.repeated else 1)
    added.type = _SCALARS.get(field.type, 11)
    if field.type == "enum":
        added.type_name = f".{PACKAGE}.Visibility"
    elif added.type == 11:
        added.type_name = ".google.protobuf.Struct" if field.type == "Struct" else f".{PACKAGE}.{field.type}"


# ---- the way back


def plain(value: Any) -> Any:
    """A Struct's value; whole numbers below 2**53 as int."""
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        return {key: plain(item) for key, item in value.struct_value.fields.items()}
    if kind == "list_value":
        return [plain(item) for item in value.list_value.values]
    if kind == "null_value":
        return None
    found = getattr(value, kind)
    return int(found) if kind == "number_value" and found.is_integer() and abs(found) < 2**53 else found


def rebuild(inputs: list[Any]) -> tuple[list[Concept], list[Sample], dict[str, Any]]:
    """The records of an archive's inputs."""
    concepts: list[Concept] = []
    names, meta = {}, {}
    for message in inputs:
        reserved = plain(message.data.metadata.fields["_dsvc"])
        assert reserved["version"] == 1
        if "concepts" in reserved:
            for row in read_exact(reserved["concepts"]):
                id_ = row.pop("clarifai")
                row["keypoints"] = tuple(row["keypoints"]) if "keypoints" in row else None
                row["skeleton"] = tuple(map(tuple, row["skeleton"])) if "skeleton" in row else None
                concepts.append(Concept(**row))
                names[id_] = concepts[-1].id
            meta = read_exact(reserved.get("meta", "{}"))
    samples = [_rebuild_sample(message, names) for message in inputs]
    return concepts, sorted(samples, key=lambda sample: sample.input.key.encode()), meta


def _rebuild_sample(message: Any, names: dict[str, str]) -> Sample:
    metadata = {key: plain(value) for key, value in message.data.metadata.fields.items()}
    reserved = metadata.pop("_dsvc")
    kept = read_exact(reserved["input"])
    media = kept.pop("media", None)
    if media is not None:
        if "blob" in media:
            media["blob"] = ObjectId.parse(media["blob"])
        if "reference" in media:
            reference = media["reference"]
            media["reference"] = Reference(**reference | ({"hash": ObjectId.parse(reference["hash"])}))
        media = Media(**media)
    geo = kept.pop("geo", None)
    if geo is None and message.data.HasField("geo"):
        geo = (message.data.geo.geo_point.longitude, message.data.geo.geo_point.latitude)
    embeddings = kept.pop("embeddings", None)
    if embeddings:
        rows = zip(sorted(embeddings), message.data.embeddings, strict=True)
        embeddings = {name: tuple(embeddings[name] or row.vector) for name, row in rows}
    record = Input(
        key=kept.pop("key", message.id),
        media=media,
        geo=tuple(geo) if geo else None,
        embeddings=embeddings,
        metadata=kept.pop("metadata", metadata),
        **kept,
    )
    annotations = _Annotations(message, record, names)
    rows = read_exact(reserved.get("annotations", "[]"))
    return Sample(record, tuple(annotations.one(row) for row in rows))


class _Annotations:
    def __init__(self, message: Any, record: Input, names: dict[str, str]) -> None:
        self.record, self.names = record, names
        data = message.data
        self.whole = (iter(data.concepts), iter(data.regions))
        self.frames = {f.frame_info.number: (iter(f.data.concepts), iter(f.data.regions)) for f in data.frames}
        self.segments = iter(data.time_segments)
        media = record.media
        sizes = [(record.declared_width, record.declared_height)] + ([(media.width, media.height)] if media else [])
        self.size = next((size for size in sizes if None not in size and min(size) > 0), None)

    def one(self, kept: dict[str, Any]) -> Annotation:
        where = kept.pop("in", "region")
        place = self._place(kept) if where != "none" else ()
        fields: dict[str, Any] = {"key": self.record.key}
        if where == "region":
            first, *rest = [next(place[1]) for _ in range(kept.pop("r", 1))]
            self._region(first, rest, kept, fields)
        elif where == "concept":
            self._concept(next(place[0]), fields)
        long = {
            "id": "id",
            "c": "concept",
            "n": "number",
            "cr": "crowd",
            "st": "status",
            "au": "author",
            "at": "attributes",
            "f": "frame",
            "tr": "track",
            "t": "text",
            "v": "value",
            "x": "extras",
        }
        for short, name in (("ti", "time"), ("sp", "span"), ("k", "keypoints"), ("pt", "point")):
            if short in kept:
                fields[name] = tuple(kept.pop(short))
        fields["shape"] = self._shape(kept, fields)
        for short, name in long.items():
            if short in kept:
                fields[name] = kept.pop(short)
        assert not kept, kept
        return Annotation(**fields)

    def _place(self, kept: dict[str, Any]) -> Any:
        if 0 <= kept.get("f", -1) < 2**32:
            return self.frames[kept["f"]]
        if "ti" in kept and all(abs(time) < 1e38 for time in kept["ti"]):
            data = next(self.segments).data
            return iter(data.concepts), iter(data.regions)
        return self.whole

    def _concept(self, concept: Any, fields: dict[str, Any]) -> None:
        fields["concept"] = self.names.get(concept.id)
        fields["value"] = concept.value if concept.value != 1 else None

    def _region(self, region: Any, rest: list[Any], kept: dict[str, Any], fields: dict[str, Any]) -> None:
        fields["id"] = region.id
        info = region.region_info
        for concept in region.data.concepts:
            self._concept(concept, fields)
        fields["track"] = region.track_id or None
        relative = kept.get("u")
        size = (1.0, 1.0) if relative else self.size
        usual = 9 if relative else 2
        ways = {name: kept.pop("d" + name, usual) for name in ("b", "p", "k", "pt")}

        def back(points: Any, way: int) -> list[float]:
            flat = np.array([(p.col, p.row) for p in points]) * size
            return rounded(flat, way).reshape(-1).tolist()

        if info.HasField("bounding_box"):
            box = info.bounding_box
            low = rounded(np.array([box.left_col, box.top_row]) * size, ways["b"])
            high = rounded(np.array([box.right_col, box.bottom_row]) * size, ways["b"])
            fields["b"] = (*low.tolist(), *rounded(high - low, ways["b"]).tolist())
        if info.HasField("polygon"):
            fields["p"] = tuple(tuple(back(r.region_info.polygon.points, ways["p"])) for r in (region, *rest))
        if info.HasField("point"):
            fields["point"] = tuple(back([info.point], ways["pt"]))
        if info.keypoint_locations:
            flat = back(info.keypoint_locations, ways["k"])
            seen = [{3: 0, 2: 1, 1: 2}.get(p.visibility) for p in info.keypoint_locations]
            fields["keypoints"] = tuple(
                n for x, y, v in zip(flat[::2], flat[1::2], seen, strict=True) for n in (x, y, v)
            )
        if info.HasField("span"):
            fields["span"] = (info.span.char_start, info.span.char_end)
            fields["text"] = info.span.raw_text or None
        if info.HasField("mask"):
            fields["m"] = _mask(info.mask.image.base64, kept.pop("m", 0))

    def _shape(self, kept: dict[str, Any], fields: dict[str, Any]) -> Shape | None:
        box, rings, mask = fields.pop("b", None), fields.pop("p", None), fields.pop("m", None)
        box = tuple(kept.pop("b")) if "b" in kept else box
        rings = tuple(tuple(ring) for ring in kept.pop("p")) if "p" in kept else rings
        if "m" in kept:
            height, width, counts = kept.pop("m")
            mask = Mask(height=height, width=width, counts=counts if isinstance(counts, str) else tuple(counts))
        area, unit = kept.pop("a", None), "relative" if kept.pop("u", 0) else "pixel"
        if box is None and rings is None and mask is None and area is None:
            return None
        return Shape(box=box, polygons=rings, mask=mask, area=area, unit=unit)


def rounded(values: Any, way: int) -> Any:
    return values if way == 9 else np.rint(values * 10.0**way) / 10.0**way


def _mask(data: bytes, kept: Any) -> Mask:
    from PIL import Image
    from pycocotools import mask as coco

    picture = np.asfortranarray(np.array(Image.open(io.BytesIO(data))).astype(np.uint8))
    height, width = picture.shape
    if isinstance(kept, list):
        return Mask(height=kept[0], width=kept[1], counts=kept[2] if isinstance(kept[2], str) else tuple(kept[2]))
    if kept == 0:
        return Mask(height=height, width=width, counts=coco.encode(picture)["counts"].decode())
    flat = picture.T.reshape(-1)
    edges = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff([0, *edges.tolist(), len(flat)]).tolist()
    return Mask(height=height, width=width, counts=tuple(([0] if flat[0] else []) + counts))


def archive(path: Path) -> dict[str, bytes]:
    """An archive's entries."""
    with zipfile.ZipFile(path) as file:
        assert file.testzip() is None
        return {name: file.read(name) for name in file.namelist()}


def same_records(walk: Any, inputs: list[Any]) -> None:
    """Assert that an archive's inputs give back the records of a walk, every field equal."""
    concepts, samples, meta = rebuild(inputs)
    assert concepts == list(walk.concepts())
    assert meta == dict(walk.meta)
    assert json.dumps(meta, sort_keys=True) == json.dumps(dict(walk.meta), sort_keys=True)
    wanted = list(walk.samples())
    assert [sample.input.key for sample in samples] == [sample.input.key for sample in wanted]
    for found, sample in zip(samples, wanted, strict=True):
        assert repr(_typed(found.input)) == repr(_typed(sample.input))
        assert len(found.annotations) == len(sample.annotations)
        for one, other in zip(found.annotations, sample.annotations, strict=True):
            assert one == other, (one, other)


def _typed(record: Input) -> Any:
    """Metadata and extras with types that compare; maps in order."""

    def order(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: order(value[key]) for key in sorted(value)}
        return [order(item) for item in value] if isinstance(value, list) else value

    return [order(getattr(record, name)) for name in record.__struct_fields__ if name != "embeddings"]
