"""Tables, whatever their form: which columns there are, what a row becomes, and which rows are refused."""

import gc
import json
from typing import Any

import pytest

from dsvc.errors import InvalidRecordsError
from dsvc.formats.table import TableImporter, TableIncoming, looks_like_table
from dsvc.model.incoming import Origin
from dsvc.model.records import (
    Annotation,
    Concept,
    Input,
    annotation_fields,
    content_id,
    decode_annotation,
    encode_annotation,
)


def read(text: str | bytes, name: str = "meta.csv") -> TableIncoming:
    data = text.encode() if isinstance(text, str) else text
    return TableImporter().open(memoryview(data), name)


def read_objects(*objects: dict[str, Any]) -> TableIncoming:
    return read("".join(json.dumps(one) + "\n" for one in objects), "meta.jsonl")


def refusal(text: str | bytes, name: str = "meta.csv") -> tuple[str, str | None]:
    with pytest.raises(InvalidRecordsError) as caught:
        read(text, name)
    return caught.value.message, caught.value.hint


def inputs(table: TableIncoming) -> dict[str, Input]:
    return {one.key: one for one in table.inputs()}


def said(table: TableIncoming) -> set[tuple[str, str, int]]:
    """Each annotation as its key, concept and value."""
    found = [decode_annotation(stem, value) for batch in table.annotations() for stem, value in batch]
    return {(one.key, str(one.concept), 1 if one.value is None else int(one.value)) for one in found}


# ---- the name


@pytest.mark.parametrize(
    "name",
    ["a.csv", "a.CSV", "a.tsv", "a.jsonl", "a.ndjson", "a.parquet", "a.csv.gz", "x.y.tsv.zip", "a.xlsx", "a.ods"],
)
def test_names_of_tables(name: str) -> None:
    assert looks_like_table(name)


@pytest.mark.parametrize("name", ["a.json", "csv", ".csv", "a.csv.json", "a.gz", "a.zip", "a.jpg", "", "a.csv.d"])
def test_names_of_other_files(name: str) -> None:
    assert not looks_like_table(name)


@pytest.mark.parametrize("text", ["key,split\na,train\n", '{"key": "a", "split": "train"}\n'])
def test_a_name_without_a_suffix_goes_by_the_content(text: str) -> None:
    assert inputs(read(text, "meta"))["a"].split == "train"


# ---- what a row becomes


def test_a_whole_row() -> None:
    table = read(
        "path,concepts,split,geo.longitude,geo.latitude,metadata.camera,metadata.iso\n"
        "images/a.jpg,cat;-dog,train,13.4,52.5,left,100\n"
    )
    assert list(table.inputs()) == [
        Input(key="images/a.jpg", split="train", geo=(13.4, 52.5), metadata={"camera": "left", "iso": 100})
    ]
    assert said(table) == {("images/a.jpg", "cat", 1), ("images/a.jpg", "dog", 0)}
    assert table.concepts() == [Concept(id="cat", name="cat"), Concept(id="dog", name="dog")]
    assert table.origins == {"images/a.jpg": Origin(file="images/a.jpg")}
    assert table.rows == {"images/a.jpg": 2}
    assert (table.format, table.problems.count, table.notes, table.rejects()) == ("table", 0, [], None)
    assert table.meta == {
        "columns": [
            "path",
            "concepts",
            "split",
            "geo.longitude",
            "geo.latitude",
            "metadata.camera",
            "metadata.iso",
        ]
    }


def test_annotations_have_the_ids_of_their_content() -> None:
    (batch,) = read("key,concepts\nimages/ä.jpg,Katze|-Hund\n").annotations()
    for (stem, value), concept, sign in zip(batch, ("Katze", "Hund"), (None, 0), strict=True):
        made = Annotation(key="images/ä.jpg", id="", concept=concept, value=sign)
        assert stem == f"images/ä.jpg\0{content_id(made.key, annotation_fields(made))}".encode()
        assert value == encode_annotation(made)


def test_a_row_may_have_a_key_alone() -> None:
    table = read("key\na.jpg\n")
    assert list(table.inputs()) == [Input(key="a.jpg")] and table.origins == {} and list(table.annotations()) == []


def test_progress_is_told() -> None:
    told: list[tuple[str, int, int | None]] = []
    TableImporter().open(memoryview(b"key\na\nb\n"), "a.csv", lambda *args: told.append(args))
    assert told == [("read rows", 0, 2)]


def test_the_search_for_cycles_goes_on_after_reading() -> None:
    read("key\na\n")
    assert gc.isenabled()
    refusal("nothing\n")
    assert gc.isenabled()


# ---- keys and where the bytes are


def test_a_key_beside_a_path_may_be_any_name() -> None:
    table = read("key,path\ncat,../shared/cat.jpg\n")
    assert table.origins == {"cat": Origin(file="../shared/cat.jpg")}


def test_a_row_without_a_key_takes_its_path() -> None:
    assert set(inputs(read("key,path\n,b.jpg\na,b.jpg\n"))) == {"b.jpg", "a"}


def test_names_of_windows_become_plain_keys() -> None:
    table = read("path\nimages\\a.jpg\n./b//c.jpg\nd.jpg\n")
    assert table.origins == {
        "images/a.jpg": Origin(file="images\\a.jpg"),
        "b/c.jpg": Origin(file="./b//c.jpg"),
        "d.jpg": Origin(file="d.jpg"),
    }
    assert table.notes == ["2 names have backslashes or needless dots; their keys are plain"]


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("https://example.org/images/a.jpg", "images/a.jpg"),
        ("HTTPS://example.org/a%20b%2Fc.jpg?size=1#top", "a b/c.jpg"),
        ("https://example.org:80//a.jpg", "a.jpg"),
        ("s3://bucket/a%20b?c#d.jpg", "a%20b?c#d.jpg"),
        ("file:///data/a.jpg", "data/a.jpg"),
    ],
)
def test_a_url_gives_the_key(url: str, key: str) -> None:
    table = read_objects({"url": url})
    assert table.problems.found == []
    assert table.origins == {key: Origin(place=url)}


def test_text_makes_a_text_input() -> None:
    table = read('key,text\na," två\r\nrader"\nb,\n')
    assert table.origins == {"a": Origin(data=" två\r\nrader".encode())}
    assert set(inputs(table)) == {"a", "b"}


@pytest.mark.parametrize(
    ("row", "wrong"),
    [
        ({"key": "a", "path": "b", "url": "s3://c/d"}, "has both path and url: an input's bytes come from one place"),
        ({"key": "a", "path": "b", "text": "c"}, "has both path and text: an input's bytes come from one place"),
        ({"key": "a", "url": "s3://c/d", "text": "c"}, "has both url and text: an input's bytes come from one place"),
        (
            {"key": "a", "path": "https://x/y"},
            "path is 'https://x/y', which is a URL: put it into a column url",
        ),
        (
            {"key": "a", "url": "b.jpg"},
            "url is 'b.jpg', which does not begin as a URL does (https://, s3://): put the path of a file into a "
            "column path",
        ),
        ({"key": "a", "path": "b\0c"}, "path holds a NUL character"),
        ({"key": "a", "url": "s3://b/\0c"}, "url holds a NUL character"),
    ],
)
def test_one_place_and_a_possible_one(row: dict[str, Any], wrong: str) -> None:
    table = read_objects(row)
    assert table.problems.found == [f"row 1 (key 'a'): {wrong}"]
    assert inputs(table) == {} and table.origins == {}


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({"path": "../x"}, "row 1: the input key '../x' has a component `..`, which leads out of the folder"),
        ({"path": "/etc/passwd"}, "row 1: the input key '/etc/passwd' is absolute"),
        ({"path": "C:\\a.jpg"}, "row 1: the input key 'C:\\a.jpg' is absolute"),
        ({"key": "a\0b"}, "row 1 (key 'a\\x00b'): the input key 'a\\x00b' holds a NUL character"),
        ({"key": "s3://b/c"}, "row 1 (key 's3://b/c'): key is a URL: put it into a column url"),
        ({"key": True}, "row 1 (key 'True'): key is True, which is no text"),
        ({"key": 1.5}, "row 1 (key '1.5'): key is 1.5, which is no text"),
        ({"key": " ", "text": "x"}, "row 1: has no key, no path and no url"),
        ({"url": "https://h/"}, "row 1: url 'https://h/' names nothing below its host: give a column key"),
        ({"url": "https://h/%ff"}, "row 1: url 'https://h/%ff' is not UTF-8 when decoded: give a column key"),
        (
            {"url": "https://h/a/%2e%2e/b"},
            "row 1: the input key 'a/../b' has a component `..`, which leads out of the folder",
        ),
    ],
)
def test_keys_that_cannot_be(row: dict[str, Any], problem: str) -> None:
    assert read_objects(row).problems.found == [problem]


def test_keys_with_control_characters_are_keys_and_are_escaped_in_messages() -> None:
    table = read_objects({"key": "a\x1b[31m"}, {"key": "a\x1b[31m"})
    assert set(inputs(table)) == {"a\x1b[31m"}
    assert table.problems.found == ["row 2 (key 'a\\x1b[31m'): its key is also that of row 1"]


def test_a_key_twice_names_both_rows() -> None:
    table = read("key,split\na,train\nb,val\na,val\n")
    assert table.problems.found == ["row 4 (key 'a'): its key is also that of row 2"]
    assert inputs(table)["a"].split == "train"
    assert table.rejects() == b"key,split\na,val\n"


def test_a_key_of_a_refused_row_is_taken_too() -> None:
    table = read("path,geo\na,x\n./a,\n")
    assert table.problems.found == [
        "row 2 (key 'a'): geo is 'x', which is not LONGITUDE,LATITUDE in degrees",
        "row 3 (key 'a'): its key is also that of row 2",
    ]


# ---- concepts


def test_concepts_are_parted_trimmed_and_folded() -> None:
    table = read("key,concepts\na, cat ;; dog|- big bird;cat\nb,\nc,;|\n")
    assert said(table) == {("a", "cat", 1), ("a", "dog", 1), ("a", "big bird", 0)}
    assert [one.id for one in table.concepts()] == ["big bird", "cat", "dog"]


def test_a_list_of_concepts_keeps_separators_in_names() -> None:
    table = read_objects({"key": "a", "concepts": ["cat;dog", " -bird ", "", 7]})
    assert said(table) == {("a", "cat;dog", 1), ("a", "bird", 0), ("a", "7", 1)}


@pytest.mark.parametrize("order", [1, -1])
def test_spellings_of_one_name_do_not_depend_on_the_order_of_rows(order: int) -> None:
    rows = ["a,caf\u00e9", "b,cafe\u0301", "c,-ape"][::order]
    table = read("key,concepts\n" + "\n".join(rows))
    assert table.concepts() == [Concept(id="ape", name="ape"), Concept(id="caf\u00e9", name="cafe\u0301")]
    assert said(table) == {("a", "caf\u00e9", 1), ("b", "caf\u00e9", 1), ("c", "ape", 0)}


def test_concepts_of_refused_rows_are_left_out() -> None:
    assert read("key,concepts,geo\na,cat,x\nb,dog,\n").concepts() == [Concept(id="dog", name="dog")]


@pytest.mark.parametrize(
    ("value", "wrong"),
    [
        ("cat;-cat", "concepts has both 'cat' and '-cat'"),
        (["caf\u00e9", "-cafe\u0301"], "concepts has both 'cafe\u0301' and '-cafe\u0301'"),
        ("cat;-", "concepts has '-': a name must have 1 to 1024 bytes, and no NUL"),
        ("a\0b", "concepts has 'a\\x00b': a name must have 1 to 1024 bytes, and no NUL"),
        ("x" * 1025, f"concepts has '{'x' * 60}...': a name must have 1 to 1024 bytes, and no NUL"),
        (["cat", None], "concepts[1] is None, which is no text"),
        ([["cat"]], "concepts[0] is ['cat'], which is no text"),
        ({"cat": 1}, "concepts is {'cat': 1}, which is no text"),
        (True, "concepts is True, which is no text"),
    ],
)
def test_concepts_that_cannot_be_meant(value: Any, wrong: str) -> None:
    assert read_objects({"key": "a", "concepts": value}).problems.found == [f"row 1 (key 'a'): {wrong}"]


# ---- split and place on earth


def test_splits_are_trimmed_text() -> None:
    table = read_objects({"key": "a", "split": " train "}, {"key": "b", "split": 3}, {"key": "c", "split": " "})
    assert {key: one.split for key, one in inputs(table).items()} == {"a": "train", "b": "3", "c": None}
    assert read_objects({"key": "a", "split": 1.5}).problems.found == [
        "row 1 (key 'a'): split is 1.5, which is no text"
    ]


@pytest.mark.parametrize(
    "fields",
    [
        {"geo": "13.4,-52"},
        {"geo": " 13.4 , -52 "},
        {"geo": [13.4, -52]},
        {"geo": {"latitude": -52, "longitude": 13.4}},
        {"geo.longitude": 13.4, "geo.latitude": "-52"},
        {"geo": " ", "geo.longitude": 13.4, "geo.latitude": -52.0},
    ],
)
def test_ways_to_write_a_place(fields: dict[str, Any]) -> None:
    assert inputs(read_objects({"key": "a", **fields}))["a"].geo == (13.4, -52.0)


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"geo": "52.5,113.4"}, "geo is '52.5,113.4': latitude 113.4 is not from -90 to 90; the order is "
                                "LONGITUDE,LATITUDE"),
        ({"geo": [180.1, 0]}, "geo is [180.1, 0]: longitude 180.1 is not from -180 to 180; the order is "
                              "LONGITUDE,LATITUDE"),
        ({"geo": f"{10**400},0"}, f"geo is '1{'0' * 59}...': longitude 1{'0' * 400} is not from -180 to 180; the order "
                                  "is LONGITUDE,LATITUDE"),
        ({"geo": "1;2"}, "geo is '1;2', which is not LONGITUDE,LATITUDE in degrees"),
        ({"geo": "1,2,3"}, "geo is '1,2,3', which is not LONGITUDE,LATITUDE in degrees"),
        ({"geo": [True, 1]}, "geo is [True, 1], which is not LONGITUDE,LATITUDE in degrees"),
        ({"geo": {"lat": 1, "lon": 2}}, "geo is {'lat': 1, 'lon': 2}, which is not LONGITUDE,LATITUDE in degrees"),
        ({"geo": 5}, "geo is 5, which is not LONGITUDE,LATITUDE in degrees"),
        ({"geo.longitude": 1}, "has geo.longitude without geo.latitude"),
        ({"geo.latitude": 1}, "has geo.latitude without geo.longitude"),
        ({"geo": [1, 2], "geo.latitude": 1}, "has both geo and geo.longitude or geo.latitude"),
    ],
)  # fmt: skip
def test_places_that_cannot_be(fields: dict[str, Any], wrong: str) -> None:
    assert read_objects({"key": "a", **fields}).problems.found == [f"row 1 (key 'a'): {wrong}"]


# ---- columns


def test_a_table_must_say_which_inputs_it_is_about() -> None:
    assert refusal("file_name,label\na.jpg,cat\n") == (
        "meta.csv: has no column key (nor path, nor url); its columns are file_name, label",
        "did you mean path by file_name? rename it",
    )
    assert refusal("ID;x\n1;2\n")[1] == "did you mean key by ID? rename it"
    assert refusal("keys,x\n1,2\n")[1] == "did you mean key by keys? rename it"
    assert refusal("a.jpg,cat\nb.jpg,dog\n") == (
        "meta.csv: has no column key (nor path, nor url); its columns are a.jpg, cat",
        "the first row must name the columns: key (the input's key), path (a file) or url (a place elsewhere)",
    )
    assert refusal('{"text": "a"}\n', "meta.jsonl") == (
        "meta.jsonl: has no column key (nor path, nor url); its columns are text",
        "the objects must name the columns: key (the input's key), path (a file) or url (a place elsewhere)",
    )


def test_unknown_columns_are_left_out_and_told() -> None:
    assert read("key,foo\na,1\n").notes == [
        "column not known and left out: foo; name it metadata.foo to keep the values"
    ]
    assert read("key,label,lat,Metadata.x,foo,metadata\na,,,,,\n").notes == [
        "columns not known and left out: label (did you mean concepts?), lat (did you mean geo.latitude?), "
        "Metadata.x (did you mean metadata.x?), foo, metadata (did you mean metadata.NAME?); rename them, or name them "
        "metadata.foo to keep the values"
    ]
    assert read_objects({"key": "a", "concept": "cat", "metadata": {}}).notes == [
        "column not known and left out: concept (did you mean concepts?); rename it, or name it metadata.concept to "
        "keep the values"
    ]
    many = ",".join(f"x{number}" for number in range(20))
    assert read(f"key,{many}\n").notes[0].startswith("columns not known and left out: x0, x1, x2, x3, x4, x5, x6, x7, ")
    assert "x11 and 8 more; name them metadata.x0" in read(f"key,{many}\n").notes[0]


def test_names_in_notes_are_escaped_and_cut() -> None:
    (note,) = read_objects({"key": "a", "\x1b[31m" + "x" * 100: 1}).notes
    assert note.startswith(f"column not known and left out: \\x1b[31m{'x' * 55}...; name it")


# ---- refused rows


def test_sound_rows_are_kept_beside_refused_ones() -> None:
    table = read("key,geo\na,1\nb,\nc,x\n")
    assert set(inputs(table)) == {"b"} == set(table.rows)
    assert table.problems.count == 2 and table.rejects() == b"key,geo\na,1\nc,x\n"
    assert table.rejects_suffix == ".csv"


def test_rejects_can_be_mended_and_read() -> None:
    text = 'key;metadata.note;geo\r\n"a;b";"two\r\nlines ""quoted""";x\r\n'
    rejects = read(text).rejects()
    assert rejects is not None
    mended = read(rejects.replace(b";x", b";1,2"))
    assert list(mended.inputs()) == [Input(key="a;b", geo=(1.0, 2.0), metadata={"note": 'two\r\nlines "quoted"'})]
