"""States as Arrow tables and data frames: the columns of a query, by key, with media where it is wished."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pytest

from dsvc.core.dataset import Dataset
from dsvc.core.queries.tables import TABLES
from dsvc.errors import FilterError, NotFoundError, RefusedError, UsageError

from .conftest import encoded, flat, opened


@pytest.mark.parametrize("table", list(TABLES))
def test_a_table_is_that_of_a_query(shapes: Dataset, table: Any) -> None:
    state = shapes.at()
    expected = list(state.query(f"select * from {table}"))
    reader = state.to_arrow(table, rows=3)
    assert isinstance(reader, pyarrow.RecordBatchReader) and reader.schema.names == list(TABLES[table])
    batches = list(reader)
    assert max(batch.num_rows for batch in batches) <= 3
    found = pyarrow.Table.from_batches(batches).to_pylist()
    assert [tuple(row.values()) for row in found] == expected
    frame = state.to_pandas(table)
    assert list(frame.columns) == list(TABLES[table]) and len(frame) == len(expected)
    first = next(iter(TABLES[table]))
    assert frame[first].tolist() == [row[0] for row in expected]


def test_rows_come_by_key(pictures: Dataset) -> None:
    keys = [f"{n:02d}.png" for n in range(40)]
    assert pictures.at().to_arrow("inputs").read_all()["key"].to_pylist() == keys
    assert pictures.at().to_pandas()["key"].tolist() == keys


@pytest.mark.parametrize(
    "split, where, places",
    [("val", None, range(30, 40)), (None, "concept = 'odd'", range(1, 40, 2)), ("val", "key > '35'", range(35, 40))],
)
def test_inputs_are_chosen(pictures: Dataset, split: str | None, where: str | None, places: range) -> None:
    """Those of a split or filter, and of annotations theirs; columns need not have the key."""
    state, keys = pictures.at(), [f"{n:02d}.png" for n in places]
    for table in ("inputs", "annotations"):
        chosen: dict[str, Any] = {"split": split, "where": where}
        assert state.to_arrow(table, rows=7, **chosen).read_all()["key"].to_pylist() == keys  # type: ignore[arg-type]
        assert state.to_pandas(table, **chosen)["key"].tolist() == keys  # type: ignore[arg-type]
    wanted = ["even", "odd"]
    labels = [wanted[n % 2] for n in places]
    found = state.to_arrow(columns=["value", "concept"], split=split, where=where).read_all()
    assert found.schema.names == ["value", "concept"] and found["concept"].to_pylist() == labels
    frame = state.to_pandas(columns=["concept"], split=split, where=where)
    assert list(frame.columns) == ["concept"] and frame["concept"].tolist() == labels
    assert frame.index.tolist() == list(range(len(places)))


def test_media_comes_with_inputs(pictures: Dataset) -> None:
    state = opened(pictures)
    for options in ({}, {"split": "val"}, {"where": "concept = 'odd'"}):
        reader = state.to_arrow("inputs", columns=["type"], media=True, rows=3, **options)  # type: ignore[arg-type]
        keys = state.to_pandas("inputs", **options)["key"]  # type: ignore[arg-type]
        table = reader.read_all()
        assert table.schema.names == ["type", "media"]
        assert table["media"].to_pylist() == [encoded(flat(int(key[:2]))) for key in keys]


def test_what_has_no_media_has_null(
    pets: Dataset, add: Callable[..., None], coco: Callable[..., Any], write: Callable[..., Path]
) -> None:
    pets.import_(write(coco()))
    add(pets, {"a.jpg": b"bytes"})
    assert pets.draft().to_arrow("inputs", media=True).read_all()["media"].to_pylist() == [b"bytes", None]


def test_media_that_is_gone_is_named(pets: Dataset, tmp_path: Path) -> None:
    assert pets.repository.root is not None
    place = pets.repository.root / "a.bin"
    place.write_bytes(b"there")
    pets.add_references(place)
    reader = pets.draft().to_arrow("inputs", media=True)
    place.unlink()
    with pytest.raises(RefusedError, match=r"a\.bin"):
        reader.read_all()


def test_a_query_goes_to_arrow_and_pandas(shapes: Dataset) -> None:
    state = shapes.at()
    answer = state.query("select concept, count(*) as n, 1 as n from annotations group by 1 order by 1 nulls last")
    table = answer.to_arrow().read_all()
    assert table.schema.names == ["concept", "n", "n_1"]
    assert table["concept"].to_pylist() == ["cat", "dog", None] and table["n"].to_pylist() == [10, 3, 1]
    assert list(answer.to_pandas().columns) == ["concept", "n", "n_1"]
    failing = state.query("select cast(concept as integer) from annotations")
    with pytest.raises(FilterError):
        failing.to_arrow().read_all()
    with pytest.raises(FilterError):
        failing.to_pandas()


def test_an_empty_state_has_empty_tables(pets: Dataset) -> None:
    table = pets.draft().to_arrow("inputs", media=True).read_all()
    assert table.num_rows == 0 and table.schema.names == [*TABLES["inputs"], "media"]
    assert pets.draft().to_pandas().empty


def test_what_makes_no_sense_is_refused(pictures: Dataset) -> None:
    state = pictures.at()
    wrong: list[dict[str, Any]] = [
        {"table": "images"},
        {"columns": ["conept"]},
        {"columns": []},
        {"columns": "key"},
        {"columns": ["key", "key"]},
        {"table": "concepts", "split": "val"},
    ]
    for options in wrong:
        for load in (state.to_arrow, state.to_pandas):
            with pytest.raises(UsageError):
                load(**options)
    with pytest.raises(UsageError, match="media belongs to inputs"):
        state.to_arrow(media=True)
    with pytest.raises(UsageError):
        state.to_arrow(rows=0)
    with pytest.raises(RefusedError, match="no input has split"):
        state.to_arrow(split="test")
    with pytest.raises(NotFoundError):
        pictures.at("v2")


@pytest.mark.parametrize("module, extra", [("pyarrow", "arrow"), ("pandas", "pandas")])
def test_without_a_library_it_says_what_to_install(
    pictures: Dataset, monkeypatch: pytest.MonkeyPatch, module: str, extra: str
) -> None:
    state = pictures.at()
    monkeypatch.setitem(sys.modules, module, None)
    for load in (getattr(state, f"to_{extra}"), getattr(state.query("select 1"), f"to_{extra}")):
        with pytest.raises(RefusedError, match=f"to_{extra} needs {module}") as caught:
            load()
        assert caught.value.hint == f"pip install 'dsvc[{extra}]'"
