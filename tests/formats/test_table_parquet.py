"""Tables as Parquet: what types become, and files that cannot be read."""

from pathlib import Path
from typing import Any

import duckdb
import pytest

from dsvc.errors import InvalidRecordsError
from dsvc.formats.table import TableImporter, TableIncoming


@pytest.fixture
def parquet(tmp_path: Path) -> Any:
    """Writes the rows of a query; gives the bytes."""

    def write(query: str) -> bytes:
        path = tmp_path / "written.parquet"
        duckdb.connect(":memory:").execute(f"copy ({query}) to '{path}' (format parquet)")
        return path.read_bytes()

    return write


def read(data: bytes, path: Path | None = None) -> TableIncoming:
    return TableImporter().open(memoryview(data), "meta.parquet", path=path)


def refusal(data: bytes) -> tuple[str, str | None]:
    with pytest.raises(InvalidRecordsError) as caught:
        read(data)
    return caught.value.message.removeprefix("meta.parquet: "), caught.value.hint


@pytest.mark.parametrize(
    ("sql", "value"),
    [
        ("1::tinyint", 1),
        ("18446744073709551615::ubigint", 18446744073709551615),
        ("1.50::decimal(10,2)", 1.5),
        ("7::decimal(18,0)", 7),
        ("12345678901234567890123456789012345678::decimal(38,0)", 12345678901234567890123456789012345678),
        ("0.5::float", 0.5),
        ("1::double", 1.0),
        ("true", True),
        ("'007'", "007"),
        ("date '2024-02-03'", "2024-02-03"),
        ("time '01:02:03.5'", "01:02:03.5"),
        ("timestamp '2024-02-03 04:05:06'", "2024-02-03T04:05:06"),
        ("timestamp_ns '2024-02-03 04:05:06.123456789'", "2024-02-03T04:05:06.123456789"),
        ("timestamptz '2024-02-03 04:05:06+02'", "2024-02-03T02:05:06+00:00"),
        ("timestamp '12024-02-03 04:05:06'", "12024-02-03T04:05:06"),
        ("'00112233-4455-6677-8899-aabbccddeeff'::uuid", "00112233-4455-6677-8899-aabbccddeeff"),
        ("'a'::enum('a', 'b')", "a"),
        ("[1, null]", [1, None]),
        ("[timestamp '2024-02-03 04:05:06', null]", ["2024-02-03T04:05:06", None]),
        ("{'a': 1, 'b': null::int, 'c': [date '2024-02-03']}", {"a": 1, "b": None, "c": ["2024-02-03"]}),
        ("{'a': 1.5::decimal(3,1), 'b': null::timestamp}", {"a": 1.5, "b": None}),
        ("map {'a': timestamptz '2024-02-03 04:05:06+00'}", {"a": "2024-02-03T04:05:06+00:00"}),
        ("map {'a': 1}", {"a": 1}),
    ],
)
def test_types(parquet: Any, sql: str, value: Any) -> None:
    table = read(parquet(f"""select 'a' as key, {sql} as "metadata.x" """))
    (one,) = table.inputs()
    assert repr(dict(one.metadata)) == repr({"x": value})


def test_a_whole_row(parquet: Any) -> None:
    table = read(
        parquet(
            "select 'a.jpg' as path, ['cat', '-dog'] as concepts, 'train' as split, [13.4, 52.5]::double[] as geo, "
            "{'x': 1, 'y': null::int} as metadata, 'bytes'::blob as image"
        )
    )
    (one,) = table.inputs()
    assert (one.key, one.split, one.geo, one.metadata) == ("a.jpg", "train", (13.4, 52.5), {"x": 1})
    assert [concept.id for concept in table.concepts()] == ["cat", "dog"]
    assert table.meta == {"columns": ["path", "concepts", "split", "geo", "metadata", "image"]}
    assert table.notes == [
        "column not known and left out: image (did you mean path?); rename it, or name it metadata.image to keep the "
        "values"
    ]


def test_rows_count_from_1_across_batches(parquet: Any) -> None:
    table = read(parquet('select i::varchar as key, i as "metadata.i" from range(10000) t(i)'))
    assert table.rows["0"] == 1 and table.rows["9999"] == 10000
    assert [one.metadata["i"] for one in table.inputs()] == list(range(10000))


def test_refused_rows_become_json_lines_that_can_be_mended(parquet: Any) -> None:
    rows = (
        "('a', 'nan'::double, '1,2', date '2024-02-03'), ('a', 1, null, null), (null, 2, null, null), "
        "('b', 1, '1,2', null)"
    )
    table = read(parquet(f"""select * from (values {rows}) t(key, "metadata.x", geo, "metadata.day")"""))
    assert table.problems.found == [
        "row 1 (key 'a'): metadata.x is nan, which is no number",
        "row 2 (key 'a'): its key is also that of row 1",
        "row 3: has no key, no path and no url",
    ]
    assert table.rows == {"b": 4}
    rejects = table.rejects()
    assert rejects is not None and table.rejects_suffix == ".jsonl"
    assert rejects.splitlines()[0] == b'{"key": "a", "metadata.x": NaN, "geo": "1,2", "metadata.day": "2024-02-03"}'
    mended = TableImporter().open(memoryview(rejects.splitlines()[0].replace(b"NaN", b"3")), "meta.rejects.jsonl")
    (one,) = mended.inputs()
    assert (one.geo, one.metadata) == ((1.0, 2.0), {"x": 3, "day": "2024-02-03"})


def test_types_that_cannot_be_kept_are_refused_by_column(parquet: Any) -> None:
    query = """select 'a' as key, 'x'::blob as "metadata.b", interval 1 day as "metadata.i", ['x'::blob] as concepts,
        map {1: 2} as "metadata.m", {'a': 'x'::blob} as metadata, 'x'::blob as foo"""
    assert refusal(parquet(query)) == (
        "has columns of types that cannot be kept: metadata.b (BLOB), metadata.i (INTERVAL), concepts (BLOB[]), "
        "metadata.m (MAP(INTEGER, INTEGER)), metadata (STRUCT(a BLOB))",
        "change their types, or leave the columns out",
    )


def test_columns_that_have_one_name(parquet: Any) -> None:
    data = parquet("select 'a' as key, 1 as kez").replace(b"kez", b"key")
    assert refusal(data) == ("columns 1 and 2 are both named key", "rename one of the two")


def test_columns_that_differ_in_case_alone_are_two(parquet: Any) -> None:
    data = parquet('select \'a\' as key, 1 as "metadata.x", 2 as "metadata.y"').replace(b"metadata.y", b"metadata.X")
    (one,) = read(data).inputs()
    assert one.metadata == {"x": 1, "X": 2}


def test_a_table_without_a_key(parquet: Any) -> None:
    assert refusal(parquet("select 'a' as file_name")) == (
        "has no column key (nor path, nor url); its columns are file_name",
        "did you mean path by file_name? rename it",
    )


def test_a_table_without_rows(parquet: Any) -> None:
    assert read(parquet("select 'a' as key where false")).notes == ["meta.parquet has no rows"]


@pytest.mark.parametrize("name", ["meta.parquet", "a[1]*?.parquet", "it's.parquet", "split=train/meta.parquet"])
def test_a_path_is_no_pattern(parquet: Any, tmp_path: Path, name: str) -> None:
    data = parquet("select 'a' as key")
    path = tmp_path / "data" / name
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    (path.parent / "a1b.parquet").write_bytes(parquet("select 'other' as key"))
    table = read(data, path)
    assert [one.key for one in table.inputs()] == ["a"] and table.meta == {"columns": ["key"]}


def test_damaged_files(parquet: Any, tmp_path: Path) -> None:
    data = parquet("select i::varchar as key, i::varchar || 'x' as split from range(10000) t(i)")
    again = "copy or export it again"
    assert refusal(b"") == ("is empty", "export it again")
    assert refusal(b"key,split\n") == ("does not look like Parquet", "a Parquet file begins with PAR1")
    assert refusal(data[:-20]) == ("is cut short: a Parquet file ends with PAR1", again)
    for damaged in (data[:100] + bytes(5000) + data[5100:], data[:1000] + data[-500:], b"PAR1....PAR1"):
        message, hint = refusal(damaged)
        assert message.startswith("cannot be read as Parquet: ") and hint == again
        assert str(tmp_path) not in message and "\n" not in message


def test_a_name_that_is_not_utf_8_is_refused(parquet: Any) -> None:
    assert refusal(parquet("select 'a' as key, 1 as foo").replace(b"foo", b"f\xff\xff"))[0].startswith(
        "cannot be read as Parquet: "
    )
