"""Adding files: what an input has stays, what cannot be taken is named, and nothing half is stored."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from dsvc.core.dataset import Dataset
from dsvc.core.draft import _encode_fresh
from dsvc.core.files import reading
from dsvc.core.media import probe
from dsvc.model.records import Input, Media, Reference, encode_input
from dsvc.store.ids import Kind, object_id
from dsvc.store.verify import verify


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def add(dataset: Dataset, folder: Path, **options: Any) -> tuple[int, int, int]:
    report = dataset.add(folder, root=folder, **options)
    assert report.problems == ()
    return report[:3]


def test_what_else_an_input_has_stays(
    pets: Dataset, folder: Path, coco: Callable[..., Any], write: Callable[..., Path]
) -> None:
    pets.import_(write(coco()))
    (folder / "a.jpg").write_bytes(b"one")
    declared = pets.draft()["a.jpg"].input
    assert declared.declared_width == 640 and declared.license is not None and declared.media is None
    assert add(pets, folder) == (0, 1, 0)
    first = pets.draft()["a.jpg"].input
    assert first.media is not None and msgspec.structs.replace(first, media=None) == declared
    pets.commit("with media")
    assert add(pets, folder) == (0, 0, 1)
    assert not pets.has_draft() and pets.draft()["a.jpg"].input == first
    (folder / "a.jpg").write_bytes(b"two")
    assert add(pets, folder) == (0, 1, 0)
    second = pets.draft()["a.jpg"]
    assert second.read_bytes() == b"two"
    assert msgspec.structs.replace(second.input, media=None) == declared
    assert len(list(pets.draft().annotations("a.jpg"))) == 1


@pytest.mark.parametrize(
    "media",
    [
        Media(blob=object_id(Kind.BLOB, b"x"), size=0),
        Media(blob=object_id(Kind.BLOB, b"x"), size=2**40, type="image/jpeg", width=640, height=480),
        Media(blob=object_id(Kind.BLOB, b"x"), size=5, type="video/mp4", duration=2.0, fps=29.97),
        Media(reference=Reference(place="s3://b/k"), size=5),
        Media(),
    ],
)
def test_a_new_input_is_encoded_as_any_other(media: Media) -> None:
    assert _encode_fresh(media) == encode_input(Input(key="a", media=media))


def test_a_large_file_that_changes_while_it_is_stored_is_named_and_left_out(
    pets: Dataset, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = {name: os.urandom(20_000) for name in ("a.jpg", "c.jpg")}
    for name, data in others.items():
        (folder / name).write_bytes(data)
    large = os.urandom(reading.LARGE + 5)
    (folder / "b.jpg").write_bytes(large)
    real, pieces = os.read, []

    def changing(handle: int, size: int) -> bytes:
        data = real(handle, size)
        if size == reading.PIECE:
            pieces.append(data)
            if len(pieces) == 4:
                os.utime(folder / "b.jpg", ns=(1, 1))
        return data

    monkeypatch.setattr(os, "read", changing)
    report = pets.add(folder, root=folder)
    monkeypatch.undo()
    assert report[:3] == (2, 0, 0) and len(pieces) > 4
    assert [str(problem) for problem in report.problems] == [f"{folder.resolve() / 'b.jpg'}: changed while it was read"]
    pets.commit("the rest")
    store = pets.repository.store
    assert [found for found in verify(store) if found.problem != "orphan"] == []
    for end in (4 * reading.PIECE, len(large)):
        assert not store.has(object_id(Kind.BLOB, large[:end]))
    assert {sample.key: sample.read_bytes() for sample in pets.at()} == others
    assert add(pets, folder) == (1, 0, 2)
    assert pets.draft()["b.jpg"].read_bytes() == large


def test_a_large_file_that_changes_leaves_no_bytes_where_it_was_alone(
    pets: Dataset, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "b.jpg").write_bytes(bytes(reading.LARGE + 5))
    real = reading._stream

    def cut(path: str, stamp: reading.Stamp) -> Any:
        pieces = real(path, stamp)
        yield next(pieces)
        os.truncate(path, 100)
        yield from pieces

    monkeypatch.setattr(reading, "_stream", cut)
    report = pets.add(folder, root=folder)
    assert report[:3] == (0, 0, 0) and [problem.path.name for problem in report.problems] == ["b.jpg"]
    assert not pets.has_draft()
    root = pets.repository.root
    assert root is not None
    assert sum(path.stat().st_size for path in (root / ".dsvc").rglob("*") if path.is_file()) < 100_000


def test_progress_is_told(pets: Dataset, folder: Path) -> None:
    for number in range(200):
        (folder / f"{number}.txt").write_bytes(b"%d" % number)
    told: list[tuple[str, int, int | None]] = []
    assert add(pets, folder, progress=lambda *step: told.append(step)) == (200, 0, 0)
    assert [done for what, done, _ in told if what == "read files"] == [64, 128, 192, 200]
    assert {what for what, _, _ in told} == {"read files"}


def test_facts_are_those_of_the_bytes(pets: Dataset, folder: Path) -> None:
    data = b"\xff\xd8\xff\xc0\0\x11\x08" + (480).to_bytes(2, "big") + (640).to_bytes(2, "big") + bytes(100_000)
    (folder / "a").write_bytes(data)
    assert add(pets, folder) == (1, 0, 0)
    media = pets.draft()["a"].input.media
    assert media is not None and (media.type, media.width, media.height) == tuple(probe(data, "a")[:3])
    assert (media.type, media.width, media.height, media.size) == ("image/jpeg", 640, 480, len(data))
