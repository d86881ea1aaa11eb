"""Tables as CSV and TSV: encodings, delimiters, quotes, and the types of columns."""

import csv
import gzip
import io
import zipfile
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsvc.errors import InvalidRecordsError
from dsvc.formats.table import TableImporter, TableIncoming


def read(text: str | bytes, name: str = "meta.csv") -> TableIncoming:
    data = text.encode() if isinstance(text, str) else text
    return TableImporter().open(memoryview(data), name)


def refusal(text: str | bytes, name: str = "meta.csv") -> tuple[str, str | None]:
    with pytest.raises(InvalidRecordsError) as caught:
        read(text, name)
    return caught.value.message.removeprefix(f"{name}: "), caught.value.hint


def metadata(table: TableIncoming) -> list[dict[str, Any]]:
    assert table.problems.found == []
    return [dict(one.metadata) for one in table.inputs()]


def column(*cells: str) -> list[Any]:
    """What the cells of one column of metadata become."""
    target = io.StringIO(newline="")
    csv.writer(target).writerows([("key", "metadata.x"), *((f"k{n}", cell) for n, cell in enumerate(cells))])
    return [found.get("x") for found in metadata(read(target.getvalue()))]


def typed(values: list[Any]) -> list[tuple[type, Any]]:
    return [(type(value), value) for value in values]


# ---- types of columns


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["1", "-2.5", "", "1e3", " 7 "], [1, -2.5, None, 1000.0, 7]),
        (["1.0", "-0", "0.10"], [1.0, 0, 0.1]),
        (["123456789012345678901234567890", "-9223372036854775809"], [123456789012345678901234567890, -(2**63) - 1]),
        (["true", "FALSE", "", "True"], [True, False, None, True]),
        (["007", "12"], ["007", "12"]),
        (["1", "true"], ["1", "true"]),
        (["1", "+2"], ["1", "+2"]),
        (["1", ".5"], ["1", ".5"]),
        (["1", "0x10"], ["1", "0x10"]),
        (["1", "1_000"], ["1", "1_000"]),
        (["1", "\u0663"], ["1", "\u0663"]),
        (["1", "NaN"], ["1", "NaN"]),
        (["1", "1e999"], ["1", "1e999"]),
        (["1", "9" * 4301], ["1", "9" * 4301]),
        (["2024-02-03", " a "], ["2024-02-03", " a "]),
        (["yes", "no"], ["yes", "no"]),
        (["", ""], [None, None]),
    ],
)
def test_a_column_has_one_type(cells: list[str], values: list[Any]) -> None:
    assert typed(column(*cells)) == typed(values)


def test_a_cell_that_makes_numbers_text_is_told() -> None:
    rows = "".join(f"k{n},{n}\n" for n in range(20))
    table = read(f"key,metadata.age\n{rows}x,n/a\ny,\n")
    assert table.notes == ["metadata.age is kept as text: row 22 has 'n/a', where most have numbers"]
    assert metadata(table)[1] == {"age": "1"}


def test_a_column_of_text_with_some_numbers_is_not_told() -> None:
    assert read("key,metadata.x\na,1\nb,left\n").notes == []


def test_refused_rows_take_part_in_the_type_of_a_column() -> None:
    table = read("key,metadata.x,geo\na,1,\nb,left,x\n")
    assert [one.metadata for one in table.inputs()] == [{"x": "1"}]


@given(cells=st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)))
def test_text_comes_as_it_was_written(cells: list[str]) -> None:
    assert column("left", *cells) == ["left", *cells]


# ---- delimiters and quotes


@pytest.mark.parametrize(
    ("name", "delimiter", "notes"),
    [
        ("meta.csv", ",", []),
        ("meta.csv", ";", ["its cells are parted by semicolons"]),
        ("meta.csv", "\t", ["its cells are parted by tabs"]),
        ("meta.csv", "|", ["its cells are parted by '|'"]),
        ("meta.tsv", "\t", []),
        ("meta.tsv", ",", ["its cells are parted by commas"]),
    ],
)
def test_delimiters_are_found_in_the_header(name: str, delimiter: str, notes: list[str]) -> None:
    table = read(delimiter.join(("key", "split", '"concepts"')) + f"\na{delimiter}train{delimiter}cat\n", name)
    assert [(one.key, one.split) for one in table.inputs()] == [("a", "train")]
    assert table.notes == notes and table.rejects_suffix == name[-4:]


def test_a_delimiter_inside_a_quoted_name_does_not_count() -> None:
    assert read('key;"metadata.a,b";"metadata.c,d"\nx;1;2\n').notes == ["its cells are parted by semicolons"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_of_every_system(end: str) -> None:
    lines = ["key,metadata.note", 'a,"one', 'two"', "", "b,x", ""]
    table = read(end.join(lines))
    assert metadata(table) == [{"note": f"one{end}two"}, {"note": "x"}]
    assert table.rows == {"a": 2, "b": 4}


def test_rows_count_as_a_spreadsheet_shows_them() -> None:
    table = read('\nkey,geo\n"a\nb",x\n\n,\nc,x\n')
    assert table.problems.found == [
        "row 3 (key 'a\\nb'): geo is 'x', which is not LONGITUDE,LATITUDE in degrees",
        "row 6 (key 'c'): geo is 'x', which is not LONGITUDE,LATITUDE in degrees",
    ]


def test_blank_rows_are_skipped() -> None:
    table = read("key,foo,split\n\na,,train\n,,\n , , \n,,,,,\nb,,val\n")
    assert table.problems.found == [] and table.rows == {"a": 3, "b": 7}


def test_a_row_that_has_no_key_is_not_blank() -> None:
    assert read("key,foo\n,x\n").problems.found == ["row 2: has no key, no path and no url"]


def test_rows_that_do_not_fit_the_header() -> None:
    table = read("split,key,geo\ntrain,a\ntrain\ntrain,c,13.4,52.5\n")
    assert table.problems.found == [
        "row 2 (key 'a'): has 2 cells, and the header has 3",
        "row 3: has 1 cell, and the header has 3",
        "row 4 (key 'c'): has 4 cells, and the header has 3 (quote a cell that holds commas)",
    ]
    assert table.rejects() == b"split,key,geo\ntrain,a\ntrain\ntrain,c,13.4,52.5\n"


def test_quotes_that_are_broken() -> None:
    hint = 'close the quote; one inside a quoted cell is doubled: ""'
    assert refusal('key,split\na,b\nc,"d\ne,f\n') == (
        "row 3 (lines 3 to 4): a quote is opened and never closed",
        hint,
    )
    assert refusal('key,split\n"a"b,train\n') == ("row 2 (line 2): ',' expected after '\"'", hint)
    assert refusal("key,split\na\rb,train\n") == (
        "row 2 (line 2): a carriage return stands in a cell without quotes",
        "quote the cell",
    )


def test_a_quote_within_a_cell_is_a_character() -> None:
    assert metadata(read('key,metadata.x\na,12" wide\n')) == [{"x": '12" wide'}]


def test_huge_cells() -> None:
    before = csv.field_size_limit()
    table = read('key,text\na,"' + "x\n" * 500_000 + '"\n')
    assert len(table.origins["a"].data or b"") == 1_000_000
    assert csv.field_size_limit() == before
    assert refusal("x" * 500_000)[0].startswith(
        "has no column key (nor path, nor url): its first row is one cell, 'xxx"
    )


# ---- headers


def test_headers() -> None:
    rename = "rename one of the two"
    assert refusal("key,split,foo,split\n") == ("columns 2 and 4 are both named split", rename)
    assert refusal("key,foo,foo \n") == ("columns 2 and 3 are both named foo", rename)
    assert refusal(",path\n0,a.jpg\n") == (
        "column 1 has no name",
        "name it, or take it away; an index without a name comes from pandas: to_csv(..., index=False)",
    )
    assert refusal("key,a\0b\n")[0] == "the name of column 2 holds a NUL character"
    assert refusal("hello world\nx\n") == (
        "has no column key (nor path, nor url): its first row is one cell, 'hello world', without a comma, semicolon, "
        "tab or '|'",
        "the first row must name the columns",
    )


def test_blanks_around_names_of_columns_are_taken_away() -> None:
    assert [one.split for one in read("key , split\na,train\n").inputs()] == ["train"]


@pytest.mark.parametrize("text", ["key,split", "key,split\n", "\ufeffkey,split\r\n\r\n,,\r\n"])
def test_a_header_alone_is_told(text: str) -> None:
    table = read(text)
    assert list(table.inputs()) == [] and table.notes == ["meta.csv has no rows"] and table.rejects() is None


# ---- bytes that are no table


def zipped(name: str) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr(name, "x")
    return target.getvalue()


CSV = "save it as CSV in UTF-8, and import that"


@pytest.mark.parametrize(
    ("data", "looks", "hint"),
    [
        (b"", "is empty", "export it again"),
        (b" \r\n\t", "holds only white space", "export it again"),
        (b',,\n"",\n', "holds only blank cells", "export it again"),
        (gzip.compress(b"key\n", mtime=0), "looks gzipped", "unpack it first: gunzip meta.csv"),
        (zipped("meta.csv"), "looks like a ZIP archive", "unpack it first, and import the table in it"),
        (zipped("[Content_Types].xml"), "looks like an Excel workbook", CSV),
        (zipped("xl/workbook.xml"), "looks like an Excel workbook", CSV),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "looks like an old Excel workbook", CSV),
        (b"PAR1....PAR1", "looks like Parquet", "give it a name that ends in .parquet"),
        ("key,x\n".encode("utf-16"), "looks like UTF-16 text", "save it as UTF-8"),
        ("key,x\n".encode("utf-16-be"), "looks like UTF-16 text", "save it as UTF-8"),
        ("key,x\n".encode("utf-16-le"), "looks like UTF-16 text", "save it as UTF-8"),
        (b"\0" * 100, "is not text: it holds NUL bytes", "name a CSV, TSV, JSON lines or Parquet file"),
        (b"<!DOCTYPE html><p>", "looks like a web page or XML", "download the table itself"),
        (b'{"key": "a"}\n', "looks like JSON", "name it so, with one object a line: meta.jsonl"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
            "is a pointer of Git LFS, not the file itself",
            "fetch the file: git lfs pull",
        ),
        (
            "key,split\na,été\n".encode("latin-1"),
            "is not UTF-8 text: line 2 holds the byte 0xe9 (byte 13 of the file)",
            "save it as UTF-8; it may be Latin-1 or Windows-1252, or cut short",
        ),
    ],
)
def test_other_files_are_named(data: bytes, looks: str, hint: str) -> None:
    assert refusal(data) == (looks, hint)


def test_a_byte_order_mark_is_accepted() -> None:
    assert [one.key for one in read("\ufeffkey\na\n").inputs()] == ["a"]


def test_a_nul_refuses_its_row() -> None:
    table = read("key,metadata.x\na,b\0c\nd,e\n")
    assert table.problems.found == ["row 2 (key 'a'): holds a NUL character"]
    assert [one.key for one in table.inputs()] == ["d"]
