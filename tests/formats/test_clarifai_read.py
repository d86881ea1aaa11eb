"""Archives that dsvc wrote come back: the same records, the same ids, and from these the same bytes."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import dsvc
from dsvc.core.dataset import Dataset
from dsvc.core.repository import Repository
from dsvc.formats.clarifai import JsonExporter, ProtobufExporter, reading
from dsvc.formats.clarifai.importer import ClarifaiImporter
from dsvc.formats.container import open_target
from dsvc.formats.masks import compressed
from dsvc.model.commit import Author
from dsvc.model.records import (
    Annotation,
    Concept,
    Input,
    Mask,
    Shape,
    annotation_key,
    decode_annotation,
    encode_annotation,
    encode_input,
)
from dsvc.model.walk import Sample

_SPEC = importlib.util.spec_from_file_location("clarifai_samples", Path(__file__).with_name("clarifai_samples.py"))
samples = importlib.util.module_from_spec(_SPEC)
sys.modules["clarifai_samples"] = samples
_SPEC.loader.exec_module(samples)

EXPORTERS = {"clarifai-protobuf": ProtobufExporter, "clarifai-json": JsonExporter}
FORMATS = tuple(EXPORTERS)


def sha(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_archive(walk: Any, format: str, path: Path, **options: Any) -> Path:
    with open_target(path, "zip") as target:
        EXPORTERS[format]().export(walk, target, **options)
    return path


def open_archive(path: Path) -> Any:
    incoming = ClarifaiImporter().open(memoryview(path.read_bytes()), path.name)
    assert incoming.problems.found == []
    return incoming


def same_as(walk: Any, path: Path) -> None:
    """What an archive gives, without media, is what was written into it."""
    incoming = open_archive(path)
    assert list(incoming.concepts()) == list(walk.concepts())
    found = {record.key: encode_input(record) for record in incoming.inputs()}

    wanted = {r.key: encode_input(msgspec.structs.replace(r, media=None)) for r in (s.input for s in walk.samples())}
    assert found == wanted
    entries = dict(entry for batch in incoming.annotations() for entry in batch)
    for sample in walk.samples():
        for one in sample.annotations:
            tree_key = annotation_key(one.key, one.id)
            assert decode_annotation(tree_key, entries.pop(tree_key)) == decode_annotation(
                tree_key, encode_annotation(one)
            )
    assert entries == {}
    assert (incoming.dataset_meta or {}) == walk.meta


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("media", [False, True])
def test_one_of_everything_comes_back(format: str, media: bool, tmp_path: Path) -> None:
    walk = samples.dataset()
    same_as(walk, write_archive(walk, format, tmp_path / "x.zip", media=media))


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("stored", [False, True])
def test_many_batches_of_several_rings(format: str, stored: bool, tmp_path: Path) -> None:
    walk = samples.simple(700, rings=3)
    same_as(walk, write_archive(samples.StoredWalk(walk) if stored else walk, format, tmp_path / "x.zip"))


@pytest.mark.parametrize("format", FORMATS)
def test_a_second_process_reads_the_same(format: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    walk = samples.MemoryWalk(samples.CONCEPTS, [*samples.dataset().samples(), *samples.simple(300).samples()])
    path = write_archive(walk, format, tmp_path / "x.zip")
    monkeypatch.setattr(reading, "PIECE", 1 << 10)
    alone = sorted(entry for batch in open_archive(path).annotations() for entry in batch)
    monkeypatch.setattr(reading, "WORTHWHILE", 0)
    monkeypatch.setattr(reading, "worker_count", lambda: 1)
    assert sorted(entry for batch in open_archive(path).annotations() for entry in batch) == alone


@pytest.mark.parametrize("weight", [0, 100])
def test_where_the_work_is_cut_does_not_show(weight: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_archive(samples.dataset(), "clarifai-json", tmp_path / "x.zip")
    whole = sorted(entry for batch in open_archive(path).annotations() for entry in batch)
    monkeypatch.setattr(reading, "MAX_WEIGHT", weight)
    monkeypatch.setattr(reading, "PIECE", weight)
    batches = list(open_archive(path).annotations())
    assert sorted(entry for batch in batches for entry in batch) == whole
    assert len(batches) > 2


def test_the_table_of_concepts_is_found_wherever_it_is(tmp_path: Path) -> None:
    """The first input by key may lie behind those of another split."""
    key = "x"
    found = [Sample(Input(key="a", split="late"), ()), Sample(Input(key=key, split="early"), ())]
    shape = Shape(box=(0, 0, 1, 1))
    one = Annotation(key=key, id="a", concept="a name that is much too long for an id, and more", shape=shape)
    found[1] = Sample(Input(key=key, split="early", declared_width=9, declared_height=9), (one,))
    walk = samples.MemoryWalk(samples.CONCEPTS, found)
    same_as(walk, write_archive(walk, "clarifai-protobuf", tmp_path / "x.zip"))


# ---- through a repository


def exported(dataset: Dataset, format: str, path: Path, **options: Any) -> Path:
    dataset.at().export(format, path, **options)
    return path


def into_new(repository: Repository, path: Path, name: str) -> Dataset:
    dataset = repository.create(name)
    dataset.import_(path)
    dataset.commit("import")
    return dataset


@pytest.fixture
def other(tmp_path: Path) -> Repository:
    return dsvc.init(tmp_path / "other", author=Author("Bob", "bob@example.org"))


FILES = (
    *("coco/instances_val2014_100.json", "coco/lvis_val_100.json", "coco/mmpose_coco_wholebody.json"),
    *("coco/roboflow_bccd_train.coco.json", "coco/labelformat_instances_with_binary_mask.json"),
    *("coco/mmdet_vis_sample.json", "coco/datumaro_stuff_val.json"),
)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("format", [*FORMATS, "coco"])
def test_real_data_go_out_come_in_and_go_out_the_same(
    name: str, format: str, pets: Dataset, other: Repository, corpus: Path, tmp_path: Path
) -> None:
    source = corpus / name
    if not source.is_file():
        found = [path for path in (corpus / "coco").rglob("*.json") if path.name == source.name]
        source = found[0]
    pets.import_(source)
    pets.commit("import")
    first = exported(pets, format, tmp_path / "first.zip")
    again = into_new(other, first, "again")
    assert sha(exported(again, format, tmp_path / "second.zip")) == sha(first)
    assert again.at().counts() == pets.at().counts()


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("media", [False, True])
def test_a_dataset_that_takes_in_its_own_export_stays_as_it_is(
    format: str, media: bool, pets: Dataset, coco: Callable[..., Any], write: Callable[..., Path], tmp_path: Path
) -> None:
    images = tmp_path / "images"
    images.mkdir()
    (images / "a.jpg").write_bytes(samples.IMAGE)
    pets.import_(write(coco()), images=images)
    with pets.edit() as draft:
        shape = Shape(polygons=((1, 1, 5, 1, 5, 5),), mask=Mask(height=2, width=2, counts=(1, 3)))
        draft.annotate(Annotation(key="a.jpg", id="", concept="cat", shape=shape, frame=3, attributes={"a": 1.0}))
        draft.annotate(Annotation(key="b.jpg", id="", text="a caption"))
    pets.commit("import")
    before = pets.at().snapshot.roots
    path = exported(pets, format, tmp_path / "own.zip", media=media)
    for source in ("own", "own", "another"):
        report = pets.import_(path, source=source)
        assert (report.changed, report.notes) == (False, ())
        assert pets.draft().snapshot.roots == before


@pytest.mark.parametrize("format", FORMATS)
def test_media_come_back_with_their_facts(
    format: str, pets: Dataset, other: Repository, video: Callable[..., bytes], tmp_path: Path
) -> None:
    files = {"a.png": samples.IMAGE, "b.txt": samples.TEXT, "c.mp4": video()}
    for name, data in files.items():
        (tmp_path / "files").mkdir(exist_ok=True)
        (tmp_path / "files" / name).write_bytes(data)
    pets.add(tmp_path / "files", root=tmp_path / "files")
    pets.commit("add")
    first = exported(pets, format, tmp_path / "first.zip", media=True)
    again = into_new(other, first, "again")
    assert list(again.at().inputs()) == list(pets.at().inputs())
    assert {s.input.key: s.read_bytes() for s in again.at()} == files
    assert sha(exported(again, format, tmp_path / "second.zip", media=True)) == sha(first)


@pytest.mark.parametrize("format", FORMATS)
def test_without_media_their_facts_stay_and_only_the_blob_is_missing(
    format: str, pets: Dataset, other: Repository, tmp_path: Path
) -> None:
    (tmp_path / "a.png").write_bytes(samples.IMAGE)
    pets.add(tmp_path / "a.png", root=tmp_path)
    pets.commit("add")
    first = exported(pets, format, tmp_path / "first.zip")
    again = into_new(other, first, "again")
    assert again.import_(first).missing == ("a.png",)
    (record,) = again.at().inputs()
    assert record.media is not None
    assert (record.media.blob, record.media.type, record.media.width) == (None, "image/png", 1)
    second = exported(again, format, tmp_path / "second.zip")
    third = exported(into_new(other, second, "third"), format, tmp_path / "third.zip")
    assert sha(second) == sha(third)
    # Where the bytes are known, they are the input's.
    same = into_new(pets.repository, first, "same")
    assert sha(exported(same, format, tmp_path / "same.zip")) == sha(first)


def test_facts_take_no_bytes_away(pets: Dataset, other: Repository, tmp_path: Path) -> None:
    """An archive without media does not replace media that are here."""
    (tmp_path / "a.png").write_bytes(samples.IMAGE)
    pets.add(tmp_path / "a.png", root=tmp_path)
    pets.commit("add")
    path = exported(pets, "clarifai-json", tmp_path / "first.zip")
    theirs = other.create("theirs")
    (tmp_path / "a.png").write_bytes(samples.IMAGE + b"more")
    theirs.add(tmp_path / "a.png", root=tmp_path)
    before = list(theirs.draft().inputs())
    theirs.import_(path)
    assert list(theirs.draft().inputs()) == before


def test_an_archive_is_followed(pets: Dataset, other: Repository, coco: Any, write: Any, tmp_path: Path) -> None:
    pets.import_(write(coco()))
    pets.commit("import")
    path = exported(pets, "clarifai-protobuf", tmp_path / "pets.zip")
    theirs = other.create("theirs")
    theirs.import_(path)
    theirs.commit("import")
    (mine, *_) = theirs.at().annotations("a.jpg")
    with theirs.edit() as draft:
        draft.change_annotation("a.jpg", mine.id, {"status": "checked"})
    (one, *_) = pets.at().annotations("b.jpg")
    with pets.edit() as draft:
        draft.change_annotation("b.jpg", one.id, {"crowd": 1})
    pets.commit("edit")
    exported(pets, "clarifai-protobuf", path, force=True)
    report = theirs.import_(path)
    assert report.changed
    (kept, *_) = theirs.draft().annotations("a.jpg")
    (changed, *_) = theirs.draft().annotations("b.jpg")
    assert (kept.status, changed.crowd) == ("checked", 1)


def test_a_split_can_be_given(pets: Dataset, other: Repository, coco: Any, write: Any, tmp_path: Path) -> None:
    pets.import_(write(coco()))
    pets.commit("import")
    theirs = other.create("theirs")
    theirs.import_(exported(pets, "clarifai-json", tmp_path / "pets.zip"), split="val")
    assert {record.split for record in theirs.draft().inputs()} == {"val"}


# ---- any dataset

NUMBERS = st.floats(0, 700, width=32) | st.integers(0, 700).map(float) | st.decimals(0, 700, places=2).map(float)
ODD = NUMBERS | st.sampled_from([-1.0, -0.0, 1e300, 1e-30, 0.1, 1 / 3])
BOX = st.tuples(ODD, ODD, ODD, ODD)
RING = st.lists(ODD, min_size=6, max_size=10).filter(lambda ring: len(ring) % 2 == 0).map(tuple)
NAMES = ("cat", "猫", "a name that is much too long for an id, and more")
TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=8)


@st.composite
def masks(draw: Any) -> Mask:
    height, width = draw(st.integers(1, 9)), draw(st.integers(1, 20))
    pixels = np.array(draw(st.lists(st.booleans(), min_size=height * width, max_size=height * width)))
    edges = np.flatnonzero(np.diff(pixels.astype(np.int8))) + 1
    counts = np.diff([0, *edges.tolist(), height * width]).tolist()
    counts = (0, *counts) if pixels[0] else tuple(counts)
    return Mask(height=height, width=width, counts=compressed(counts) if draw(st.booleans()) else counts)


@st.composite
def annotations(draw: Any, key: str, id_: str) -> Annotation:
    maybe = lambda strategy: draw(st.none() | strategy)  # noqa: E731
    shape = Shape(
        box=maybe(BOX),
        polygons=maybe(st.lists(RING, max_size=3).map(tuple)),
        mask=maybe(masks()),
        area=maybe(ODD),
        unit=draw(st.sampled_from(["pixel", "relative"])),
    )
    points = st.lists(st.tuples(ODD, ODD, st.sampled_from([0, 1, 2, 0.5])), min_size=1, max_size=3)
    parts = (shape.box, shape.polygons, shape.mask, shape.area)
    return Annotation(
        key=key,
        id=id_,
        concept=maybe(st.sampled_from(NAMES)),
        shape=shape if any(part is not None for part in parts) else None,
        keypoints=maybe(points.map(lambda rows: tuple(n for row in rows for n in row))),
        point=maybe(st.tuples(ODD, ODD)),
        text=maybe(TEXT),
        span=maybe(st.tuples(st.integers(0, 9), st.integers(0, 2**33))),
        time=maybe(st.tuples(ODD, ODD)),
        frame=maybe(st.integers(-1, 3)),
        track=maybe(TEXT | st.integers(0, 5)),
        value=maybe(st.sampled_from([0, 1, 0.5, 0.1, 1e39])),
        crowd=maybe(st.integers(0, 1)),
        number=maybe(st.integers(0, 2**70) | TEXT),
        attributes=maybe(st.dictionaries(TEXT, ODD | TEXT | st.none(), max_size=2)),
    )


@st.composite
def walks(draw: Any) -> Any:
    keys = draw(st.lists(st.sampled_from(["a", "b/c.jpg", "Ü 1", "x-p2"]), min_size=1, max_size=3, unique=True))
    found = []
    for key in keys:
        ids = draw(st.lists(st.sampled_from(["a", "a b", "a-p2", "猫", "0" * 40, "Z"]), max_size=4, unique=True))
        record = Input(
            key=key,
            declared_width=draw(st.none() | st.sampled_from([640, 333, 10.5])),
            declared_height=480,
            split=draw(st.none() | st.sampled_from(["train", "a split"])),
            number=draw(st.none() | st.integers(0, 9)),
            metadata=draw(st.dictionaries(TEXT, ODD | TEXT | st.integers() | st.lists(st.none()), max_size=2)),
            geo=draw(st.none() | st.tuples(ODD, ODD)),
        )
        ids.sort(key=str.encode)
        found.append(Sample(record, tuple(draw(annotations(key, id_)) for id_ in ids)))
    concepts = [Concept(id=name, name=name) for name in NAMES]
    return samples.MemoryWalk(concepts, found, draw(st.sampled_from([{}, {"coco": {"x": {"info": {"year": 1.0}}}}])))


@pytest.mark.parametrize("format", FORMATS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(walk=walks())
def test_any_dataset_comes_back(format: str, walk: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("any") / "x.zip"
    same_as(walk, write_archive(samples.StoredWalk(walk), format, path))
