"""Tables as JSON lines: types are kept, wrong lines are named, other JSON is refused."""

from typing import Any

import pytest

from dsvc.errors import InvalidRecordsError
from dsvc.formats.table import TableImporter, TableIncoming


def read(text: str, name: str = "meta.jsonl") -> TableIncoming:
    return TableImporter().open(memoryview(text.encode()), name)


def refusal(text: str) -> tuple[str, str | None]:
    with pytest.raises(InvalidRecordsError) as caught:
        read(text)
    return caught.value.message.removeprefix("meta.jsonl: "), caught.value.hint


def metadata(text: str) -> dict[str, Any]:
    table = read(text)
    assert table.problems.found == []
    (one,) = table.inputs()
    return dict(one.metadata)


def test_types_are_kept() -> None:
    found = metadata(
        '{"key": "a", "metadata.n": 1, "metadata": {"f": 1.0, "big": 123456789012345678901234567890, "t": "007", '
        '"e": "", "b": true, "day": "2024-02-03", "null": null, "list": [1, null, {"a": {}}], "a.b": 2}, '
        '"metadata.null": null}'
    )
    assert repr(found) == repr(
        {
            "n": 1,
            "f": 1.0,
            "big": 123456789012345678901234567890,
            "t": "007",
            "e": "",
            "b": True,
            "day": "2024-02-03",
            "list": [1, None, {"a": {}}],
            "a.b": 2,
        }
    )


def test_rows_are_lines_and_blank_ones_are_skipped() -> None:
    table = read('\ufeff{"key": "a"}\r\n\n  \n{"key": "b", "metadata": {"x": "\u2028"}}')
    assert table.rows == {"a": 1, "b": 4} and table.problems.found == []


@pytest.mark.parametrize("name", ["m.jsonl", "m.NDJSON"])
def test_wrong_lines_are_named_and_come_back_as_they_were(name: str) -> None:
    good, bad = '{"key": "a"}\n', '{"key": "b"\n{"key":  "c"} x\n'
    table = read(good + bad + good, name)
    assert table.problems.found == [
        "row 2: is not JSON: Expecting ',' delimiter (character 12)",
        "row 3: is not JSON: Extra data (character 15)",
        "row 4 (key 'a'): its key is also that of row 1",
    ]
    assert table.rejects() == (bad + good).encode()
    assert table.rejects_suffix == name[1:].lower()


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("[1]", "row 2: is a list, and not an object"),
        ('"a"', "row 2: is text, and not an object"),
        ("3", "row 2: is a number, and not an object"),
        ("true", "row 2: is true or false, and not an object"),
        ("null", "row 2: is null, and not an object"),
        ("NaN", "row 2: is no number, and not an object"),
        ('{"key": "b", "key": "c"}', "row 2: has 'key' twice in one object"),
        ('{"key": "b", "metadata": {"x": {"y": 1, "y": 2}}}', "row 2: has 'y' twice in one object"),
        ('{"key": "b", "metadata": {"x": 1}, "metadata.x": 2}', "row 2 (key 'b'): metadata.x is given twice"),
        ('{"key": "b", "metadata": [1]}', "row 2 (key 'b'): metadata is [1], which is no object"),
        ('{"key": "b", "metadata": {"x": NaN}}', "row 2 (key 'b'): metadata.x is NaN, which is no number"),
        ('{"key": "b", "metadata.x": [-Infinity]}', "row 2 (key 'b'): metadata.x[0] is -Infinity, which is no number"),
        ('{"key": "b", "metadata.x": 1e999}', "row 2 (key 'b'): metadata.x is inf, which is no number"),
        ('{"key": NaN}', "row 2 (key 'NaN'): key is NaN, which is no text"),
        ('{"key": "b", "geo": [NaN, 1]}', "row 2 (key 'b'): geo is [NaN, 1], which is not LONGITUDE,LATITUDE in "
                                          "degrees"),
        ('{"key": "b", "metadata.x": %s}' % ("9" * 4301), "row 2: holds a whole number of more than 4,300 digits"),
        ("[" * 100_000, "row 2: holds lists or objects that are nested too deeply"),
        ('{"key": "\\ud800"}', "row 2 (key '\\ud800'): key: a lone surrogate in '\\ud800'"),
    ],
)  # fmt: skip
def test_wrong_lines(line: str, wrong: str) -> None:
    table = read(f'{{"key": "a"}}\n{line}\n')
    assert table.problems.found == [wrong]
    assert [one.key for one in table.inputs()] == ["a"]


def test_deep_metadata_is_refused_before_it_is_stored() -> None:
    (problem,) = read('{"key": "a", "metadata": {"x": ' + "[" * 60 + "]" * 60 + "}}").problems.found
    assert problem.startswith("row 1 (key 'a'): metadata.x[0]") and problem.endswith("nested deeper than 56 levels")


@pytest.mark.parametrize("where", ['"metadata": {"\\ud800": 1}', '"metadata.x": "\\ud800"', '"split": "\\ud800"',
                                   '"text": "\\ud800"', '"concepts": "\\ud800"', '"path": "\\ud800"'])  # fmt: skip
def test_half_characters_are_refused_by_row(where: str) -> None:
    (problem,) = read(f'{{"key": "a", {where}}}').problems.found
    assert problem.startswith("row 1 (key 'a'): ") and "surrogate" in problem


def test_wrong_numbers_in_columns_that_are_left_out_do_not_matter() -> None:
    table = read('{"key": "a", "foo": NaN}')
    assert table.problems.found == [] and table.notes[0].startswith("column not known and left out: foo;")


def test_columns_are_those_of_all_lines_in_order() -> None:
    table = read('{"path": "b"}\n{"key": "a", "\\ud800": 1, "metadata": {"x": 1}}')
    assert table.meta == {"columns": ["key", "metadata", "path", "\\ud800"]}


def test_other_json_is_refused() -> None:
    assert refusal('[\n{"key": "a"}\n]') == (
        "is one JSON list",
        "write one object a line: jq -c '.[]' meta.jsonl > NEW.jsonl",
    )
    assert refusal('{\n"key": "a"\n}') == (
        "is one JSON object over several lines",
        "write one object a line, each about one input",
    )
    assert refusal("key,split\na,b\n") == (
        "does not look like JSON lines",
        'each line is an object, such as {"key": "a.jpg"}',
    )
    assert refusal("") == ("is empty", "export it again")
    assert refusal("\n \n") == ("holds only white space", "export it again")


def test_a_first_line_that_is_cut_is_an_error_of_that_line() -> None:
    table = read('{"key": "a\n{"key": "b"}\n')
    assert table.problems.found == ["row 1: is not JSON: Unterminated string starting at (character 9)"]
    assert table.rows == {"b": 2}
