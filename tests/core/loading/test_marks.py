"""Marks, the table of labels and boxes, say what the records do."""

from pathlib import Path

import numpy as np
import pytest

from dsvc.core.dataset import Dataset
from dsvc.core.loading.entries import choose
from dsvc.core.loading.marks import make_marks
from dsvc.core.loading.targets import Classes, areas, corners
from dsvc.core.state import State


def compare(state: State, classes: list[str] | None = None, where: str | None = None) -> int:
    """Both ways beside each other, for some inputs; how many rows there were."""
    entries, known = choose(state.snapshot, where=where), Classes(state.concepts(), classes)
    marks, count = make_marks(state.snapshot, entries, known), 0
    for at in range(len(entries)):
        key, size = entries.key(at), entries.pixels(at)
        records = tuple(state.annotations(key))
        rows = known.rows(records, size, key)
        assert list(marks.weights(at)) == list(known.weights(records))
        assert marks.labels(at).tolist() == [row.label for row in rows]
        assert marks.crowds(at).tolist() == [int(bool(row.annotation.crowd)) for row in rows]
        expected = np.array(corners(rows), dtype=np.float32).reshape(-1, 4)
        assert marks.corners(at, size, key).tolist() == expected.tolist()
        expected = np.array([row.box for row in rows], dtype=np.float32).reshape(-1, 4)
        assert marks.boxes(at, size, key).tolist() == expected.tolist()
        assert marks.areas(at, size, key).tolist() == pytest.approx(areas(rows, size))
        count += len(rows)
    return count


def test_they_say_the_same_of_every_kind_of_shape(shapes: Dataset) -> None:
    assert compare(shapes.at()) == 6
    assert compare(shapes.at(), ["dog"]) == 2
    assert compare(shapes.at(), ["dog", "cat"], where="key = 'b.png'") == 6


def test_they_say_the_same_of_whole_inputs(pictures: Dataset) -> None:
    assert compare(pictures.at(), ["odd"], where="split = 'val'") == 0


@pytest.mark.parametrize("name", ["instances_val2014_100.json", "lvis_val_100.json", "mmpose_coco_wholebody.json"])
def test_they_say_the_same_of_real_files(pets: Dataset, corpus: Path, name: str) -> None:
    found = sorted(corpus.rglob(name))
    if not found:
        pytest.skip(f"the corpus has no {name}")
    pets.import_(found[0])
    count, first = compare(pets.draft()), next(pets.draft().concepts()).id
    assert count > 5 and compare(pets.draft(), [first], where="width > 0") <= count
