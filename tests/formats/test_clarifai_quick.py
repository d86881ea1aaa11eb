"""The quick way of the Clarifai exporters, from stored bytes, writes what the long way writes of the same records."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsvc.errors import DamagedError
from dsvc.formats import worker
from dsvc.formats.clarifai import JsonExporter, ProtobufExporter, exporter, quick, share
from dsvc.formats.clarifai.build import Mapper
from dsvc.formats.clarifai.pictures import MAX_WIDTH, Runs, pictures
from dsvc.formats.clarifai.residue import exact_text
from dsvc.formats.clarifai.stored import json_text, raw_value
from dsvc.formats.masks import bitmap, compressed, png
from dsvc.model.numbers import count_numbers, pack_numbers, unpack_joined, unpack_numbers
from dsvc.model.records import Annotation, Concept, Input, Mask, Media, Shape
from dsvc.model.walk import Sample
from dsvc.store import codec

_SPEC = importlib.util.spec_from_file_location("clarifai_samples", Path(__file__).with_name("clarifai_samples.py"))
samples = importlib.util.module_from_spec(_SPEC)
sys.modules.setdefault("clarifai_samples", samples)
_SPEC.loader.exec_module(samples)

EXPORTERS = (ProtobufExporter, JsonExporter)


@dataclass
class Sink:
    """A target in memory."""

    entries: dict[str, bytes] = field(default_factory=dict)

    @contextlib.contextmanager
    def add(self, name, size=None):
        pieces = []
        self.write = lambda data: pieces.append(bytes(data)) or len(data)
        yield self
        self.entries[name] = b"".join(pieces)
        assert size == len(self.entries[name])


def export(exporter_class, walk, **options):
    sink = Sink()
    report = exporter_class().export(walk, sink, **options)
    return sink.entries, report


def same(exporter_class, walk, **options):
    """Assert that both ways agree; the entries."""
    stored = samples.StoredWalk(walk)
    quick = export(exporter_class, stored, **options)
    assert quick == export(exporter_class, stored.unstored(), **options)
    return quick[0]


@pytest.mark.parametrize("exporter_class", EXPORTERS)
@pytest.mark.parametrize("media", [False, True])
@pytest.mark.parametrize("weight", [1, 300, 100_000])
def test_one_of_everything(exporter_class, media, weight, monkeypatch):
    monkeypatch.setattr(exporter, "MAX_WEIGHT", weight)
    same(exporter_class, samples.dataset(), media=media)


@pytest.mark.parametrize("exporter_class", EXPORTERS)
def test_polygons_of_many_inputs(exporter_class):
    same(exporter_class, samples.simple(300, rings=2))


@pytest.mark.parametrize("exporter_class", EXPORTERS)
def test_no_inputs(exporter_class):
    walk = samples.StoredWalk(samples.MemoryWalk(samples.CONCEPTS, []))
    entries, report = export(exporter_class, walk)
    assert list(entries) == ["mimetype"]
    assert report.inputs == report.annotations == 0
    assert report.notes == (f"{exporter.NO_INPUTS}: 5",)
    assert export(exporter_class, samples.StoredWalk(samples.MemoryWalk((), [])))[1].notes == ()


def test_usual_records_go_the_quick_way(monkeypatch):
    def refuse(*_):
        raise AssertionError

    monkeypatch.setattr(Mapper, "add", refuse)
    export(ProtobufExporter, samples.StoredWalk(samples.simple(3, rings=2)))


def test_an_annotation_without_an_input_is_damage():
    walk = samples.StoredWalk(samples.simple(2))
    del walk._inputs[b"000000"]
    with pytest.raises(DamagedError, match="has no input"):
        export(ProtobufExporter, walk)


def test_damaged_numbers_are_found():
    for data in (b"\x89\x01", b"\x2f\x01\x01", b"\x22\x01"):
        with pytest.raises(DamagedError):
            unpack_joined([b"\x00\x01", data])
        walk = samples.StoredWalk(samples.simple(2))
        walk._annotations[b"000000\0a"] = codec.encode({"b": data})
        with pytest.raises(DamagedError):
            export(ProtobufExporter, walk)


# ---- the second process


@pytest.fixture
def shared(monkeypatch):
    """Every piece after the first may go to a second process; a list of those processes."""
    made = []

    class Counted(worker.Worker):
        def __init__(self, *args):
            super().__init__(*args)
            made.append(self)
            self.given = 0

        def submit(self, piece):
            self.given += 1
            return super().submit(piece)

    monkeypatch.setattr(share, "Worker", Counted)
    monkeypatch.setattr(share, "worker_count", lambda: 1)
    monkeypatch.setattr(exporter, "WORTHWHILE", 0)
    monkeypatch.setattr(quick, "PIECE", 3000)
    yield made
    assert all(one._process is None or one._process.returncode is not None for one in made)


@pytest.mark.parametrize("exporter_class", EXPORTERS)
def test_a_second_process_writes_the_same(exporter_class, shared):
    walk = samples.dataset()
    more = samples.simple(1000, rings=2)
    walk._samples += list(more.samples())
    same(exporter_class, walk)
    assert shared[0].given > 1
    assert not shared[0]._dead
    assert shared[0]._process.returncode


@pytest.mark.parametrize("program", ["raise SystemExit", "import os; os.kill(os.getpid(), 9)"])
def test_a_second_process_that_dies_is_not_missed(program, shared, monkeypatch):
    monkeypatch.setattr(worker, "_PROGRAM", program)
    same(ProtobufExporter, samples.simple(1000))
    assert shared[0].given


def test_a_second_process_that_dies_between_is_not_missed(shared, monkeypatch):
    main = "from dsvc.formats import worker\ngive = worker._send\n"
    main += "def once(stream, data):\n    give(stream, data)\n    raise SystemExit\nworker._send = once\n"
    program = worker._PROGRAM.replace("from dsvc.formats.worker import main\n", main + "main = worker.main\n")
    assert program != worker._PROGRAM
    monkeypatch.setattr(worker, "_PROGRAM", program)
    same(ProtobufExporter, samples.simple(1000))
    assert shared[0].given


def test_a_second_process_that_cannot_start_is_not_missed(shared, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/there/is/no/python")
    same(ProtobufExporter, samples.simple(1000))


def test_damage_in_a_second_process_is_told(shared):
    walk = samples.StoredWalk(samples.simple(1000))
    for key in list(walk._annotations)[200:]:
        walk._annotations[key] = codec.encode({"b": b"\x89\x01"})
    with pytest.raises(DamagedError):
        export(ProtobufExporter, walk)
    assert shared


def test_a_target_that_fails_ends_the_second_process(shared):
    class Full(Sink):
        def add(self, name, size=None):
            if name.startswith("all/000003"):
                raise OSError("full")
            return super().add(name, size)

    with pytest.raises(OSError, match="full"):
        ProtobufExporter().export(samples.StoredWalk(samples.simple(1000)), Full())
    assert shared


def test_media_are_read_here(shared):
    walk = samples.dataset()
    walk._samples += list(samples.simple(300).samples())
    same(ProtobufExporter, walk, media=True)
    assert not shared


# ---- any records

coordinates = st.one_of(
    st.integers(-10, 700),
    st.decimals(0, 640, places=2).map(float),
    st.floats(0, 640, width=32),
    st.floats(-1e6, 1e6),
    st.sampled_from([-0.0, 1e-5, 1e-3, 1e300]),
)
rows = st.lists(coordinates, max_size=9).map(tuple)
rings = st.lists(st.lists(coordinates, min_size=2, max_size=6).map(lambda found: tuple(found)), max_size=3).map(tuple)
counts = st.lists(st.integers(0, 30), max_size=6).map(tuple)
masks = st.builds(
    Mask, height=st.integers(1, 6), width=st.integers(1, 10), counts=counts | counts.map(compressed) | st.just("~")
)


@st.composite
def drawn_masks(draw):
    height, width = draw(st.integers(1, 30)), draw(st.integers(1, 30))
    pixels = draw(st.lists(st.booleans(), min_size=height * width, max_size=height * width))
    found = runs_of(np.array(pixels, dtype=np.uint8).reshape(width, height).T)
    return Mask(height=height, width=width, counts=compressed(found) if draw(st.booleans()) else tuple(found))


def runs_of(picture):
    flat = picture.T.reshape(-1)
    edges = np.flatnonzero(np.diff(flat)) + 1
    found = np.diff([0, *edges.tolist(), len(flat)]).tolist()
    return [0, *found] if flat[0] else found


plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=3) | st.binary(max_size=2),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)  # fmt: skip
maps = st.dictionaries(st.text(max_size=4), plain, max_size=2)
extras = st.dictionaries(st.text(max_size=4), maps, max_size=2)
shapes = st.builds(
    Shape,
    box=st.none() | rows | st.tuples(*[coordinates] * 4),
    polygons=st.none() | rings,
    mask=st.none() | masks | drawn_masks(),
    area=st.none() | st.floats(0, 1e20) | st.integers(0, 10**6) | st.just(1e-5) | st.just(-1.5),
    unit=st.sampled_from(["pixel", "relative"]),
)
optional = {
    "concept": st.sampled_from(["cat", "猫", "not in the table"]),
    "keypoints": rows | st.lists(st.tuples(coordinates, coordinates, st.integers(0, 3))).map(lambda p: sum(p, ())),
    "text": st.text(max_size=4),
    "value": st.sampled_from([0, 1, 0.5, 0.1, 1e39]),
    "crowd": st.integers(0, 1),
    "status": st.just("done"),
    "author": st.just("me"),
    "number": st.integers(0, 2**70) | st.just("n"),
    "attributes": maps,
    "extras": extras,
    "point": st.tuples(coordinates, coordinates),
    "track": st.integers(0, 9) | st.just("t"),
    "frame": st.integers(0, 3),
    "time": st.just((0.5, 1.5)),
    "span": st.just((0, 4)),
}
ids = st.from_regex(r"[0-9a-f]{12}", fullmatch=True) | st.text(min_size=1, max_size=3).filter(lambda t: "\0" not in t)
usual = list(optional)[:10]


@st.composite
def datasets(draw):
    found = []
    for key in draw(st.lists(ids, max_size=3, unique=True)):
        media = draw(st.sampled_from([None, Media(width=9, height=9), Media(type="video/mp4", fps=25.0)]))
        width, height = draw(st.sampled_from([(640, 480), (1, 1), (333, 7777), (0.5, 3.25), (None, None)]))
        record = Input(
            key=key,
            media=media,
            declared_width=width,
            declared_height=height,
            split=draw(st.sampled_from([None, "train"])),
            number=draw(st.none() | optional["number"]),
            metadata=draw(maps),
            extras=draw(extras),
            geo=draw(st.sampled_from([None, (0.5, 1.25), (0.1, 1e300)])),
            embeddings=draw(st.sampled_from([None, {"a": (0.5, 0.1)}])),
        )
        names = usual if draw(st.integers(0, 4)) else list(optional)
        rows = []
        for id_ in sorted(draw(st.lists(ids, max_size=4, unique=True)), key=str.encode):
            fields = {name: draw(optional[name]) for name in draw(st.lists(st.sampled_from(names), unique=True))}
            rows.append(Annotation(key=key, id=id_, shape=draw(st.none() | shapes), **fields))
        found.append(Sample(record, tuple(rows)))
    return samples.MemoryWalk((Concept(id="cat", name="cat"), Concept(id="猫", name="Cat")), found)


@settings(max_examples=300, deadline=None)
@given(datasets(), st.sampled_from(EXPORTERS))
def test_any_dataset(walk, exporter_class):
    same(exporter_class, walk)


# ---- parts


@settings(max_examples=300)
@given(st.lists(st.lists(coordinates, min_size=1, max_size=5).map(pack_numbers), max_size=6))
def test_packed_numbers_end_to_end(packed):
    values, counts = unpack_joined(packed)
    assert counts.tolist() == [count_numbers(data) for data in packed]
    wanted = [float(value) for data in packed for value in unpack_numbers(data)]
    assert values.tobytes() == np.array(wanted, dtype=np.float64).tobytes()


@settings(max_examples=200)
@given(maps)
def test_json_texts_are_those_of_python(value):
    import msgspec

    raw = msgspec.Raw(codec.encode(value))
    assert json_text(*raw_value(raw)) == exact_text(codec.decode(bytes(raw))).encode()


def test_json_texts_of_every_character():
    text = "".join(map(chr, [*range(0xD800), *range(0xE000, 0x10200)]))
    assert json_text({"a": text}, True) == exact_text({"a": text}).encode()


pixels = st.tuples(st.integers(1, 40), st.integers(1, 70), st.integers(0, 2**32 - 1), st.floats(0, 1), st.booleans())


@settings(max_examples=200, deadline=None)
@given(st.lists(pixels, max_size=4))
def test_pictures_from_runs_are_those_from_pixels(drawn):
    todo, wanted = [], []
    for height, width, seed, filled, blocks in drawn:
        picture = (np.random.default_rng(seed).random((height, width)) < filled).astype(np.uint8)
        if blocks:
            picture[:] = 0
            picture[height // 4 :, width // 3 : width - width // 4] = 1
        found = runs_of(picture)
        todo.append(Runs(height, width, np.array(found)))
        wanted.append(png(bitmap(Mask(height=height, width=width, counts=tuple(found)), found)))
    assert pictures(todo) == wanted


@pytest.mark.parametrize("size", [(1, MAX_WIDTH), (2, MAX_WIDTH), (700, 2100), (3000, 5)])
def test_pictures_of_any_size(size):
    height, width = size
    found = [height * width // 3, 5, height * width - height * width // 3 - 5]
    mask = Mask(height=height, width=width, counts=tuple(found))
    assert pictures([Runs(height, width, np.array(found))]) == [png(bitmap(mask, found))]


@pytest.mark.parametrize("exporter_class", EXPORTERS)
def test_a_mask_wider_than_one_can_copy_from(exporter_class):
    mask = Mask(height=1, width=MAX_WIDTH + 1, counts=(5, MAX_WIDTH - 4))
    record = Input(key="a", declared_width=5, declared_height=5)
    one = Annotation(key="a", id="a", concept="cat", shape=Shape(mask=mask))
    same(exporter_class, samples.MemoryWalk((Concept(id="cat", name="cat"),), [Sample(record, (one,))]))
