"""Large files: stored in chunks, changed for a few MiB, read in parts, and laid out again."""

from __future__ import annotations

import io
import os
import random
import zipfile
from pathlib import Path

import msgspec
import pytest
from blake3 import blake3

from dsvc.core.check import check
from dsvc.core.dataset import Dataset
from dsvc.core.draft import new_annotation
from dsvc.core.layout.checkout import checkout
from dsvc.errors import DamagedError
from dsvc.model.merging import merge_record
from dsvc.model.records import Input, Media, Shape, decode_input, encode_input
from dsvc.store.chunklist import ChunkList
from dsvc.store.frame import RAW, Entry, Packed, frame_parts
from dsvc.store.ids import Kind, ObjectId, object_id

MIB = 1 << 20
LARGE = blake3(b"large").digest(length=20 * MIB)
BLOB = object_id(Kind.BLOB, LARGE)


@pytest.fixture
def large(pets: Dataset, tmp_path: Path) -> Path:
    """A large file, which is in the first commit."""
    path = tmp_path / "large.bin"
    path.write_bytes(LARGE)
    assert add(pets, path) == (1, 0, 0)
    pets.commit("a large file")
    return path


def add(dataset: Dataset, path: Path) -> tuple[int, int, int]:
    report = dataset.add(path, root=path.parent)
    assert report.problems == ()
    return report[:3]


def stored(dataset: Dataset) -> int:
    backend = dataset.repository.store.backend
    return sum(backend.size(name) for name in backend.names())


def is_whole(dataset: Dataset) -> bool:
    return check(dataset.repository, media=True)[1:3] == ((), ())


def test_an_input_records_the_list_of_its_chunks(pets: Dataset, large: Path) -> None:
    media = pets.at()["large.bin"].input.media
    chunks = pets.repository.store.chunk_list(BLOB)
    assert media is not None and chunks is not None
    assert media == Media(blob=BLOB, chunks=chunks.id, size=len(LARGE))
    assert pets.at()["large.bin"].read_bytes() == LARGE
    assert is_whole(pets)


def test_what_changes_in_a_large_file_is_all_that_is_stored(pets: Dataset, large: Path) -> None:
    before = stored(pets)
    data = LARGE[: 8 * MIB] + os.urandom(1000) + LARGE[8 * MIB :]
    large.write_bytes(data)
    assert add(pets, large) == (0, 1, 0)
    pets.commit("changed")
    assert stored(pets) - before < 4 * MIB
    assert pets.at()["large.bin"].read_bytes() == data and pets.at("~1")["large.bin"].read_bytes() == LARGE
    assert is_whole(pets)


def test_the_same_file_again_changes_nothing(pets: Dataset, large: Path) -> None:
    before = stored(pets)
    large.touch()
    assert add(pets, large) == (0, 0, 1) and not pets.has_draft()
    assert stored(pets) < before + 4000


def test_a_large_file_of_before_there_were_chunks_stays_as_it_is(pets: Dataset, tmp_path: Path) -> None:
    media = Media(blob=BLOB, size=len(LARGE))
    with pets.edit() as draft:
        entry = Entry(0, len(LARGE), len(LARGE), Kind.BLOB, RAW)
        frame = b"".join(frame_parts(BLOB, Kind.BLOB, RAW, len(LARGE), LARGE))
        draft.transaction.writer.put_packed(Packed(BLOB, entry, frame, LARGE))
        draft.put_media({"large.bin": media})
    pets.commit("as it was done")
    assert "chunked" not in pets.repository.store.head.must
    before, path = stored(pets), tmp_path / "large.bin"
    path.write_bytes(LARGE)
    assert add(pets, path) == (0, 0, 1) and not pets.has_draft()
    assert stored(pets) < before + 4000
    sample = pets.at()["large.bin"]
    assert sample.input.media == media and sample.read_bytes(5 * MIB, 7) == LARGE[5 * MIB : 5 * MIB + 7]
    with sample.open() as file:
        assert file.seek(-3, io.SEEK_END) == len(LARGE) - 3 and file.read() == LARGE[-3:]
    assert is_whole(pets)


def test_a_large_file_is_laid_out_again(pets: Dataset, large: Path, tmp_path: Path) -> None:
    update = checkout(pets.repository, "pets")
    root = pets.repository.root
    assert root is not None and update.is_whole and update.added == 1
    assert [path.read_bytes() for path in (root / "pets").rglob("large.bin")] == [LARGE]


# ---- reading in parts


def test_parts_of_a_sample(pets: Dataset, large: Path) -> None:
    sample = pets.at()["large.bin"]
    for start, length in ((0, 5), (3 * MIB, 2 * MIB), (len(LARGE) - 2, 10), (len(LARGE) + 5, 1), (7, 0)):
        assert sample.read_bytes(start, length) == LARGE[start : start + length]
    assert sample.read_bytes(19 * MIB) == LARGE[19 * MIB :]
    with pytest.raises(ValueError):
        sample.read_bytes(-1, 5)


def test_a_sample_as_a_file(pets: Dataset, large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backend, read = pets.repository.store.backend, [0]
    real = backend.read

    def counting(name: str, offset: int = 0, length: int | None = None) -> bytes:
        data = real(name, offset, length)
        read[0] += len(data) * name.startswith("packs/")
        return data

    monkeypatch.setattr(backend, "read", counting)
    with pets.at()["large.bin"].open() as file:
        assert file.seekable() and file.readable() and not file.writable()
        assert file.read(10) == LARGE[:10]
        assert file.seek(-10, io.SEEK_END) == len(LARGE) - 10 and file.read() == LARGE[-10:] and file.read(1) == b""
        assert file.seek(6 * MIB) == 6 * MIB and file.read(1000) == LARGE[6 * MIB : 6 * MIB + 1000]
        assert file.seek(50, io.SEEK_CUR) == 6 * MIB + 1050 and file.tell() == 6 * MIB + 1050
        assert file.seek(len(LARGE) + 7) and file.read(1) == b""
        with pytest.raises(ValueError):
            file.seek(-1)
        assert read[0] < 6 * MIB
        plain = io.BytesIO(LARGE)
        for _ in range(200):
            at, length = random.Random(_).randrange(len(LARGE)), random.Random(_).randrange(3000)
            assert (file.seek(at), file.read(length)) == (plain.seek(at), plain.read(length))
        file.seek(0)
        assert b"".join(iter(lambda: file.read(100_000), b"")) == LARGE


def test_a_small_sample_as_a_file(pets: Dataset, tmp_path: Path) -> None:
    (tmp_path / "small.txt").write_bytes(b"some text")
    add(pets, tmp_path / "small.txt")
    sample = pets.draft()["small.txt"]
    with sample.open() as file:
        assert file.seek(5) == 5 and file.read() == b"text"
    assert sample.read_bytes(5) == b"text" and sample.read_bytes(5, 2) == b"te"


# ---- another list than the right one


def test_a_record_that_names_another_list_is_found(pets: Dataset, large: Path) -> None:
    other = ObjectId(b"\1" * 32)
    with pets.edit() as draft:
        draft.put_media({"large.bin": Media(blob=BLOB, chunks=other, size=len(LARGE))})
    (found,) = check(pets.repository).damage
    assert found.text == "input 'large.bin' names another list of chunks than its bytes have"
    sample = pets.draft()["large.bin"]
    for read in (sample.open, lambda: sample.read_bytes(0, 5)):
        with pytest.raises(DamagedError, match="has other chunks than its input says"):
            read()
    assert sample.read_bytes() == LARGE  # of the whole, its id tells


def test_the_right_list_takes_the_place_of_a_wrong_one(pets: Dataset, large: Path) -> None:
    before = pets.at()["large.bin"].input
    with pets.edit() as draft:
        draft.put_media({"large.bin": Media(blob=BLOB, chunks=ObjectId(b"\1" * 32), size=len(LARGE))})
    large.touch()
    assert add(pets, large) == (0, 1, 0)
    assert pets.draft()["large.bin"].input == before


# ---- records


def media_of(value: bytes | None) -> Media | None:
    assert value is not None
    return decode_input(b"a", value).media


def test_a_list_that_one_side_knows_is_no_conflict() -> None:
    without = Media(blob=BLOB, size=len(LARGE))
    with_list = msgspec.structs.replace(without, chunks=ObjectId(b"\2" * 32))
    other = Media(blob=ObjectId(b"\3" * 32), chunks=ObjectId(b"\4" * 32), size=5)
    plain, listed, changed = (encode_input(Input(key="a", media=media)) for media in (without, with_list, other))
    assert media_of(merge_record(plain, listed, plain)) == with_list
    assert media_of(merge_record(None, plain, listed)) == with_list
    assert media_of(merge_record(plain, plain, changed)) == other
    assert media_of(merge_record(listed, changed, listed)) == other


def test_a_list_is_found_by_its_id() -> None:
    lists = [ChunkList(bytes(32) * 5, [4 * MIB] * count + [3 * MIB] * (5 - count)) for count in range(5)]
    assert len({chunks.id for chunks in lists}) == 5


# ---- exports and imports know nothing of chunks


@pytest.mark.parametrize("format", ["coco", "clarifai-protobuf"])
def test_an_export_with_media_comes_back_the_same(pets: Dataset, large: Path, tmp_path: Path, format: str) -> None:
    out = tmp_path / "out.zip"
    with pets.edit() as draft:
        draft.annotate(new_annotation("large.bin", "cat", shape=Shape(box=(1, 2, 3, 4))))
    pets.commit("a box")
    pets.at().export(format, out, media=True)
    assert bytes(pets.at()["large.bin"].input.media.chunks).hex() not in _texts(out)  # type: ignore[union-attr,arg-type]
    other = pets.repository.create("other")
    report = other.import_(out)
    assert report.inputs == 1
    media = {sample.input.media for sample in other.draft()}
    assert media == {pets.at()["large.bin"].input.media}
    other.commit("came back")
    other.import_(out)
    assert not other.has_draft()


def _texts(path: Path) -> str:
    with zipfile.ZipFile(path) as archive:
        parts = [archive.read(info) for info in archive.infolist() if info.file_size < MIB]
    return b"".join(parts).decode(errors="replace")
