"""Laws of tables: what is written is what is read, in whatever order; and no bytes are a surprise."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from dsvc.errors import InvalidRecordsError
from dsvc.formats.table import TableImporter, TableIncoming
from dsvc.model.incoming import Entry
from dsvc.model.records import Input, annotation_fields, content_id, decode_annotation, encode_input

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6)
KEYS = st.from_regex(r"[a-z0-9äé][a-z0-9/]{0,4}[a-z0-9]", fullmatch=True).filter(lambda key: "//" not in key)
LEAVES = st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.booleans(), TEXT)
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner | st.none()), max_leaves=4)
ROWS = st.lists(
    st.fixed_dictionaries(
        {"key": KEYS},
        optional={
            "metadata": st.dictionaries(TEXT, VALUES, max_size=3),
            "split": st.sampled_from(["train", "val"]),
            "concepts": st.lists(st.sampled_from(["cat", "dog", "-bird"])),
        },
    ),
    min_size=1,
    unique_by=lambda row: row["key"],
)


def read(data: bytes, name: str = "meta.jsonl") -> TableIncoming:
    return TableImporter().open(memoryview(data), name)


def read_objects(rows: list[dict[str, Any]]) -> TableIncoming:
    return read("".join(json.dumps(row) + "\n" for row in rows).encode())


def inputs(table: TableIncoming) -> dict[str, Input]:
    return {one.key: one for one in table.inputs()}


def entries(table: TableIncoming) -> list[Entry]:
    return [entry for batch in table.annotations() for entry in batch]


@settings(deadline=None)
@given(rows=ROWS)
def test_what_is_written_as_json_lines_is_what_is_read(rows: list[dict[str, Any]]) -> None:
    table = read_objects(rows)
    assert table.problems.found == []
    found = inputs(table)
    for row in rows:
        one = found[row["key"]]
        assert repr(dict(one.metadata)) == repr(row.get("metadata", {})) and one.split == row.get("split")
        encode_input(one)
    said = [decode_annotation(*entry) for entry in entries(table)]
    assert {(one.key, one.concept, one.value) for one in said} == {
        (row["key"], name.removeprefix("-"), 0 if name[0] == "-" else None)
        for row in rows
        for name in row.get("concepts", ())
    }
    assert all(one.id == content_id(one.key, annotation_fields(one)) for one in said)


@settings(deadline=None)
@given(rows=ROWS, seed=st.randoms())
def test_the_order_of_rows_does_not_matter(rows: list[dict[str, Any]], seed: Any) -> None:
    table = read_objects(rows)
    seed.shuffle(rows)
    other = read_objects(rows)
    assert inputs(table) == inputs(other) and table.concepts() == other.concepts() and table.meta == other.meta
    assert set(entries(table)) == set(entries(other))


@settings(deadline=None)
@given(data=st.binary(max_size=60), name=st.sampled_from(["a.csv", "a.tsv", "a.jsonl", "a.parquet", "a"]))
def test_any_bytes_give_a_table_or_one_clear_error(data: bytes, name: str) -> None:
    for text in (data, b"key,metadata.x\n" + data, b'{"key":"a","metadata":' + data, b"PAR1" + data + b"PAR1"):
        try:
            table = read(text, name)
        except InvalidRecordsError as error:
            assert error.message.startswith(f"{name}: ") and error.hint
        else:
            for one in table.inputs():
                encode_input(one)
