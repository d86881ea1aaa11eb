"""A file that was imported is known again by its bytes, and not read."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dsvc.core.dataset import Dataset
from dsvc.core.imports import importing


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are read to their records."""
    found: list[str] = []
    take = importing._take

    def noting(draft: Any, incoming: Any, name: str, path: Path, given: Any) -> Any:
        found.append(path.name)
        return take(draft, incoming, name, path, given)

    monkeypatch.setattr(importing, "_take", noting)
    return found


def test_the_same_file_is_not_read_again(pets: Dataset, write, coco, read: list[str]) -> None:
    path = write(coco())
    first = pets.import_(path)
    pets.commit("first")
    again = pets.import_(path)
    assert read == ["file.json"]
    assert (again.changed, again.again, again.inputs, again.annotations, again.concepts) == (False, True, 2, 2, 2)
    assert again.notes == first.notes
    assert not pets.has_draft()


def test_what_was_edited_here_stays(pets: Dataset, write, coco, read: list[str]) -> None:
    path = write(coco())
    pets.import_(path)
    pets.remove("a.jpg")
    before = pets.draft().snapshot.roots
    assert not pets.import_(path).changed
    assert pets.draft().snapshot.roots == before
    assert read == ["file.json"]


@pytest.mark.parametrize(
    "change",
    [
        lambda path, document: path.write_text(json.dumps(document) + "\n"),
        lambda path, document: path.write_text(json.dumps({**document, "annotations": []})),
    ],
)
def test_another_file_is_read(pets: Dataset, write, coco, read: list[str], change: Callable[..., Any]) -> None:
    path = write(coco())
    pets.import_(path)
    change(path, coco())
    pets.import_(path)
    assert read == ["file.json"] * 2


def test_other_options_are_obeyed(pets: Dataset, write, coco, read: list[str]) -> None:
    path = write(coco())
    pets.import_(path)
    assert pets.import_(path, split="val").changed
    assert {record.split for record in pets.draft().inputs()} == {"val"}
    pets.import_(path, split="val")
    assert len(read) == 2


def test_after_undo_it_is_read(pets: Dataset, write, coco, read: list[str]) -> None:
    path = write(coco())
    pets.import_(path)
    pets.repository.undo()
    assert pets.import_(path).changed
    assert len(read) == 2


def test_a_source_that_leaves_something_out_is_compared_again(pets: Dataset, write, coco, read: list[str]) -> None:
    path = write(coco())
    pets.import_(path)
    write(coco(annotations=[]))
    assert pets.import_(path).tally.gone == 2
    assert pets.import_(path).tally.gone == 2
    assert len(read) == 3


def test_media_are_looked_at_all_the_same(pets: Dataset, write, coco, read: list[str]) -> None:
    path, images = write(coco()), write("x", "images/a.jpg").parent
    pets.import_(path, images=images)
    write("other", "images/a.jpg")
    again = pets.import_(path, images=images)
    assert again.changed and again.missing == ("b.jpg",)
    assert len(read) == 1


@pytest.mark.parametrize("damage", [b"", b"{}", b"\xff" * 100, None])
def test_what_is_remembered_may_be_damaged_or_gone(pets: Dataset, write, coco, read: list[str], damage: Any) -> None:
    path = write(coco())
    pets.import_(path)
    folder = pets.repository.cache_folder
    assert folder is not None
    (place,) = (folder / "imports").iterdir()
    if damage is None:
        place.unlink()
    else:
        place.write_bytes(damage)
    assert not pets.import_(path).changed
    assert len(read) == 2


def test_a_cache_that_cannot_be_written_changes_nothing(pets: Dataset, write, coco, read: list[str]) -> None:
    folder = pets.repository.cache_folder
    assert folder is not None
    folder.mkdir(exist_ok=True)
    (folder / "imports").write_text("no folder")
    path = write(coco())
    assert pets.import_(path).changed
    assert not pets.import_(path).changed
    assert len(read) == 2
