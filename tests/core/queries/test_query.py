"""Queries: what they answer, which columns they need, what is wrong with them and where."""

import csv
import json
from pathlib import Path

import duckdb
import msgspec
import pytest

from dsvc.core.dataset import Dataset
from dsvc.core.queries.answer import AnswerColumn
from dsvc.core.queries.tables import TABLES
from dsvc.errors import FilterError, RefusedError, UsageError
from dsvc.model.records import Annotation, Concept, Input, Media, Shape, encode_annotation, encode_concept, encode_input
from dsvc.model.snapshot import SnapshotEdits, edit_roots

BIG = 10**30
INPUTS = (
    Input(key="a.jpg", split="train", declared_width=100, declared_height=50, metadata={"camera": "left", "n": [1]}),
    Input(key="b.jpg", split="val", media=Media(width=640, height=480, type="image/jpeg", size=12)),
    Input(key="é, \"b'\n.jpg", declared_width=BIG),
)
ANNOTATIONS = (
    Annotation(key="a.jpg", id="1", concept="cat", shape=Shape(box=(0.1, 0.2, 0.5, 0.5), unit="relative")),
    Annotation(key="a.jpg", id="2", concept="dog", shape=Shape(box=(1, 2, 3, 4)), attributes={"color": "red"}),
    Annotation(key="b.jpg", id="1", concept="cat", text="", crowd=1),
)
CONCEPTS = (
    Concept(id="cat", name="Cat", supercategory="animal", keypoints=("nose", 'the "tail"')),
    Concept(id="dog", name="dog"),
)


@pytest.fixture
def pair(pets: Dataset) -> Dataset:
    """Version v1 with the records above; the draft, in which a dog has become a wolf and b.jpg is gone."""
    edits = SnapshotEdits()
    edits.inputs = {one.key.encode(): encode_input(one) for one in INPUTS}
    edits.annotations = {f"{one.key}\0{one.id}".encode(): encode_annotation(one) for one in ANNOTATIONS}
    edits.concepts = {one.id.encode(): encode_concept(one) for one in CONCEPTS}
    with pets.edit() as draft:
        draft.apply(lambda store, state: msgspec.structs.replace(state, roots=edit_roots(store, state.roots, edits)))
    pets.create_version("v1", commit=True)
    with pets.edit() as draft:
        draft.change_annotation("a.jpg", "2", {"concept": "wolf"})
        draft.remove_inputs(["b.jpg"])
    return pets


def rows(dataset: Dataset, sql: str, at: str | None = "@v1", **others: str) -> list[tuple[object, ...]]:
    return list(dataset.query(sql, at, **others))


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ("select concept, count(*) from annotations group by 1 order by 1", [("cat", 2), ("dog", 1)]),
        ("SELECT Key FROM Inputs ORDER BY Width DESC LIMIT 1;", [(INPUTS[2].key,)]),
        ("select count(*) from annotations", [(3,)]),
        ("select count(*) from inputs where split is null", [(1,)]),
        ("select x, y, w, h, area from annotations where id = '1' and key = 'a.jpg'", [(10, 10, 50, 25, 1250)]),
        ("select x, area from annotations where concept = 'dog'", [(1, 12)]),
        ("select key, name from annotations join concepts using (concept) where crowd", [("b.jpg", "Cat")]),
        ("select i.split, a.concept from inputs i left join annotations a using (key) order by all limit 2",
         [("train", "cat"), ("train", "dog")]),
        ("select metadata->>'camera' from inputs where metadata->>'camera' = 'left' and split = 'train'", [("left",)]),
        ("select i.metadata->'n'->>0 from inputs i where i.metadata->>'camera' = 'left' and true", [("1",)]),
        ("select keypoints[2] from concepts where concept = 'cat'", [('the "tail"',)]),
        ("select key from inputs where key not in (select key from annotations)", [(INPUTS[2].key,)]),
        ("with c as (select concept from annotations) select distinct concept from c order by 1", [("cat",), ("dog",)]),
        ("with annotations as (select 'x' as concept) select concept from annotations", [("x",)]),
        ("with recursive t(n) as (select 1 union all select n + 1 from t where n < 3) select max(n) from t", [(3,)]),
        ("select row_number() over (order by id desc), sum(area) over () from annotations where key = 'a.jpg'",
         [(1, 1262), (2, 1262)]),
        ("select a.id, lag(id) over w from annotations a where key = 'a.jpg' window w as (order by id)",
         [("1", None), ("2", "1")]),
        ("from concepts select concept where supercategory is null", [("dog",)]),
        ("select unnest(keypoints) from concepts where concept = 'cat' limit 1", [("nose",)]),
        ("select r.range, u.n from range(2) r, unnest([7]) u(n) order by 1", [(0, 7), (1, 7)]),
        ("values (1, 'a'), (2, null)", [(1, "a"), (2, None)]),
        ("select concept from annotations except select concept from concepts where supercategory is null",
         [("cat",)]),
        ("select key from inputs where exists (from annotations a where a.key = inputs.key and crowd)", [("b.jpg",)]),
        ("select * from (pivot annotations on concept in ('cat', 'dog') using count(*) group by key) order by key",
         [("a.jpg", 1, 1), ("b.jpg", 1, 0)]),
        ("select a from (select concept as a, * from annotations) order by all limit 1", [("cat",)]),
        ("select a.crowd, b.crowd from annotations a join annotations b using (key, id) where a.crowd", [(True, True)]),
        ("select count(*) from annotations natural join inputs", [(3,)]),
        ("select split from inputs as i(a, split) where a = 'b.jpg'", [("val",)]),
        ("select i.split from inputs i where i = (select j from inputs j where key = 'b.jpg')", [("val",)]),
        ("select (columns('^spl')) from inputs where key = 'b.jpg'", [("val",)]),
        ("select string_agg(distinct concept, ',' order by concept) from annotations", [("cat,dog",)]),
        ("select sum(1) filter (where text = '') from annotations having count(*) = 3", [(1,)]),
        ("/* a comment */ select 1 -- and another ; one", [(1,)]),
        ("select * exclude (metadata, conflicted) from inputs where key = 'b.jpg'",
         [("b.jpg", "val", "image/jpeg", 12, 640, 480, None, None, None, None, None, None, False)]),
        ("select cast(null as integer), interval 1 day is null", [(None, False)]),
    ],
)  # fmt: skip
def test_what_it_answers(pair: Dataset, sql: str, found: list[tuple[object, ...]]) -> None:
    answer = pair.query(sql, "@v1")
    assert list(answer) == found
    assert list(answer) == found  # again


def test_the_draft_is_asked_unless_a_revision_is_named(pair: Dataset) -> None:
    sql = "select count(*) from inputs"
    assert (rows(pair, sql, None), rows(pair, sql, "@v1"), rows(pair, sql, "HEAD")) == ([(2,)], [(3,)], [(3,)])
    assert list(pair.at("@v1").query(sql)) == [(3,)]


def test_two_states_in_one_query(pair: Dataset) -> None:
    changed = """
        select key, id, o.concept, n.concept from old.annotations o join annotations n using (key, id)
        where o.concept <> n.concept
    """
    assert rows(pair, changed, None, old="@v1") == [("a.jpg", "2", "dog", "wolf")]
    assert list(pair.draft().query(changed, OLD=pair.at("@v1"))) == [("a.jpg", "2", "dog", "wolf")]
    gone = "select key from one.inputs except select key from two.inputs"
    assert rows(pair, gone, one="@v1", two="HEAD") == []
    names = "select count(*), (select count(*) from v1.inputs), (select count(*) from main2.inputs) from inputs"
    assert rows(pair, names, None, v1="@v1", main2="@v1") == [(2, 3, 3)]


@pytest.mark.parametrize("name", ["main", "TEMP", "pg_catalog", "information_schema", "inputs", "1", "a-b", "a.b", "ä"])
def test_names_that_no_state_can_have(pair: Dataset, name: str) -> None:
    with pytest.raises(UsageError, match="cannot name a state"):
        pair.query("select 1", None, **{name: "@v1"})


def test_every_column_is_there_and_of_its_type(pair: Dataset) -> None:
    for table, columns in TABLES.items():
        answer = pair.query(f"select * from {table}", "@v1")
        assert dict(answer.columns) == columns
        assert len(list(answer)) == {"inputs": 3, "annotations": 3, "concepts": 2}[table]
        for name in columns:
            assert len(rows(pair, f'select "{name}" from {table}')) == len(list(answer))


def test_an_empty_dataset(pets: Dataset) -> None:
    for table, columns in TABLES.items():
        answer = pets.query(f"select *, 1 from {table}")
        assert list(answer) == [] and len(answer.columns) == len(columns) + 1
    assert list(pets.query("select count(*), sum(area) from annotations")) == [(0, None)]


def test_whole_numbers_beyond_what_is_exact(pair: Dataset, tmp_path: Path) -> None:
    with pair.edit() as draft:
        for frame in (3, 2**60):
            draft.annotate(Annotation(key="a.jpg", id="", concept="cat", frame=frame))
    answer = pair.query("select frame from annotations where frame is not null order by 1")
    assert list(answer) == [(3.0,), (float(2**60),)]
    assert answer.columns == (AnswerColumn("frame", "DOUBLE"),)
    pair.query("select frame from annotations order by 1").write(tmp_path / "a.json")
    assert json.loads((tmp_path / "a.json").read_text())["columns"] == [{"name": "frame", "type": "DOUBLE"}]


@pytest.mark.parametrize(
    ("sql", "names"),
    [
        ("select concept, count(*) from annotations group by 1", {"concept"}),
        ("select count(*) from annotations", set()),
        ("select CONCEPT from annotations a where a.Text is null", {"concept", "text"}),
        ("select 1 from annotations a join annotations b using (key, track)", {"key", "track"}),
        ("select a.concept from annotations a order by a.value", {"concept", "value"}),
        ("select a from annotations a", None),
        ("select * from annotations", None),
        ("select a.* from annotations a", None),
        ("select columns('x') from annotations", None),
        ("select x from annotations natural join inputs", None),
        ("select c1 from annotations as a(c1)", None),
        ("select annotations from annotations", None),
        ("select row(a) from annotations a", None),
    ],
)
def test_only_what_is_needed_is_gathered(pair: Dataset, sql: str, names: set[str] | None, monkeypatch) -> None:
    from dsvc.core.queries import tables

    asked = []
    real = tables._annotations
    monkeypatch.setitem(
        tables._GATHER,
        "annotations",
        lambda snapshot, wanted, progress: asked.append(set(wanted)) or real(snapshot, wanted, progress),
    )
    answer = pair.query(sql, "@v1")
    assert asked == []  # not before it is needed
    list(answer)
    assert asked == [names if names is not None else set(TABLES["annotations"])]


def test_what_was_not_seen_to_be_needed_is_fetched(pair: Dataset, monkeypatch) -> None:
    from dsvc.core.queries import statement

    right = rows(pair, "select concept, x from annotations order by all")
    for wrong in (frozenset(), frozenset({"concept"})):
        monkeypatch.setattr(statement, "_needed", lambda tree, tables, wrong=wrong: dict.fromkeys(tables, wrong))
        assert rows(pair, "select concept, x from annotations order by all") == right
        assert len(pair.query("select * from annotations", "@v1").columns) == len(TABLES["annotations"])
        assert len(rows(pair, "select * from annotations")[0]) == len(TABLES["annotations"])


# ---- errors

UNKNOWN = 'in the query: referenced column "{}" not found'


@pytest.mark.parametrize(
    ("sql", "message", "at", "hint"),
    [
        ("", "the query is empty", None, "a query is such as: select concept, count(*)"),
        ("selec 1", 'in the query: syntax error at or near "selec"', 0, "a query is such as"),
        ("select 'é', from from", "in the query: syntax error", None, ""),
        ("select conept from annotations", UNKNOWN.format("conept"), 7, "did you mean concept?"),
        ("select 'é日', conept from annotations", UNKNOWN.format("conept"), 13, ""),
        ("select bbox from annotations", UNKNOWN.format("bbox"), 7, "did you mean x, y, w, h?"),
        ("select 1 from images", "in the query: no table 'images'", 14, "did you mean inputs?"),
        ("select a.conept from annotations a", "in the query: table ", 7, "did you mean concept?"),
        ("select key from inputs where split = zebra", UNKNOWN.format("zebra"), 37, "there is: key, split,"),
        ("select key from inputs where split = \"val\"", UNKNOWN.format("val"), 37, ""),
        ("select metadata->>'a', conept from annotations join inputs using (key)", "in the query: referenced", 23, ""),
        ("select 1 from annotatons", "in the query: no table 'annotatons'", 14, "did you mean annotations, "),
        ("select 1 from zebra", "in the query: no table 'zebra'", 14, "there is: inputs, annotations, concepts"),
        ("select 1 from old.annotation", "in the query: no table 'old.annotation'", 14, "did you mean "),
        ("select 1 from older.inputs", "in the query: no table 'older.inputs'", 14, "did you mean old.inputs"),
        ("select lenght(key) from inputs", "in the query: no function lenght()", 7, "did you mean length"),
        ("select key from inputs group by split", 'in the query: column "key" must appear in the GROUP BY', 7, ""),
        ("select 1; select 2", "in the query: a query is one SELECT, and nothing else", None, ""),
        ("drop table inputs", "in the query: a query is one SELECT, and nothing else", None, ""),
        ("select read_text('x')", "in the query: no function read_text()", 7, ""),
        ("select * from read_text('x')", "in the query: read_text() cannot", 14, "a query sees its tables"),
        ("select random()", "in the query: random() cannot be used in a query", 7, "order by md5_number_lower(key)"),
        ("select ?", "in the query: a query has no parameters", None, ""),
        ("select key ~ 'a' from inputs", "in the query: ~ has no fixed meaning", 11, "regexp_matches("),
        ("(" * 200 + "select 1", "in the query: nested deeper", 100, ""),
        ("select " + "not " * 2000 + "true", "in the query: nested deeper", None, ""),
        ("select " + "1" * 1_000_001, "the query has 1,000,008 characters", None, ""),
        ("select '\0'", "the query holds a NUL", None, ""),
        ("select '\udcff'", "the query holds a NUL character, or is not Unicode", None, ""),
    ],
)  # fmt: skip
def test_what_is_wrong_and_where(pair: Dataset, sql: str, message: str, at: int | None, hint: str) -> None:
    with pytest.raises(FilterError) as error:
        pair.query(sql, None, old="@v1")
    assert error.value.message.startswith(message)
    assert "\n" not in error.value.message
    if at is not None:
        assert error.value.at == at
    assert hint in (error.value.hint or "")


def test_what_goes_wrong_with_the_data(pair: Dataset) -> None:
    answer = pair.query("select key, cast(key as integer) from inputs", "@v1")
    with pytest.raises(FilterError, match=r"could not convert string '.*' to INT32") as error:
        list(answer)
    assert error.value.hint == "where a value may not convert, try_cast(... as TYPE) gives null"
    assert error.value.at == 12
    with pytest.raises(FilterError):
        rows(pair, "select (select key from inputs) from inputs")
    with pytest.raises(FilterError):
        rows(pair, "select date '200000-01-01' + interval 300000 years")


# ---- files

TYPED = """
    select key, split, width, width > 200 as wide, [1.5, null] as list, {'a': key} as struct, date '2024-02-03' as day,
    timestamp '2024-02-03 04:05:06' as time, 1.25::decimal(5, 2) as money, metadata, ''::varchar as empty,
    'nan'::double as nan, '\\xAB'::blob as bytes, 1 as "key", '00000000-0000-0000-0000-00000000000a'::uuid as id
    from inputs order by split
"""


def test_csv(pair: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "answer.csv"
    assert pair.query(TYPED, "@v1").write(path) == 3
    text = path.read_text(encoding="utf-8")
    assert text.splitlines()[:2] == [
        "key,split,width,wide,list,struct,day,time,money,metadata,empty,nan,bytes,key_1,id",
        'a.jpg,train,100,false,"[1.5, null]","{""a"": ""a.jpg""}",2024-02-03,2024-02-03 04:05:06,1.25,'
        '"{""camera"":""left"",""n"":[1]}","",nan,ab,1,00000000-0000-0000-0000-00000000000a',
    ]
    found = list(csv.reader(text.splitlines(keepends=True)))
    assert len(found) == 4 and found[3][0] == INPUTS[2].key


def test_json(pair: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "answer.JSON"
    assert pair.query(TYPED, "@v1").write(path) == 3
    document = json.loads(path.read_text(encoding="utf-8"))
    assert document["columns"][:2] == [{"name": "key", "type": "VARCHAR"}, {"name": "split", "type": "VARCHAR"}]
    assert document["rows"][0] == {
        "key": "a.jpg", "split": "train", "width": 100.0, "wide": False, "list": [1.5, None], "struct": {"a": "a.jpg"},
        "day": "2024-02-03", "time": "2024-02-03 04:05:06", "money": 1.25, "metadata": {"camera": "left", "n": [1]},
        "empty": "", "nan": None, "bytes": "ab", "key_1": 1, "id": "00000000-0000-0000-0000-00000000000a",
    }  # fmt: skip
    assert document["rows"][2]["key"] == INPUTS[2].key
    pair.query("select 1 where false").write(path, "json", force=True)
    assert json.loads(path.read_text()) == {"columns": [{"name": "1", "type": "INTEGER"}], "rows": []}


def test_parquet(pair: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "it's.parquet"
    answer = pair.query(TYPED, "@v1")
    assert answer.write(path) == 3
    found = duckdb.read_parquet(str(path))
    assert list(zip(found.columns, map(str, found.types), strict=True)) == [
        (name, type) for name, type in answer.columns
    ]
    assert [str(row) for row in found.fetchall()] == [str(row) for row in answer]
    pair.query("select key from inputs where false", "@v1").write(path, force=True)
    assert duckdb.read_parquet(str(path)).fetchall() == []


def test_a_file_is_whole_or_not_there(pair: Dataset, tmp_path: Path) -> None:
    good, bad = pair.query("select 1"), pair.query("select cast(key as integer) from inputs")
    (tmp_path / "here").mkdir()
    for name in ("a.csv", "a.json", "a.parquet"):
        path = tmp_path / "here" / name
        with pytest.raises(FilterError):
            bad.write(path)
        assert not path.exists()
        assert good.write(path) == 1
        before = path.read_bytes()
        with pytest.raises(RefusedError, match="exists already"):
            good.write(path)
        with pytest.raises(FilterError):
            bad.write(path, force=True)
        assert path.read_bytes() == before
        good.write(path, force=True)
    with pytest.raises(UsageError, match="which format"):
        good.write(tmp_path / "here" / "a.txt")
    with pytest.raises(UsageError, match="no format 'xml'"):
        good.write(tmp_path / "here" / "a.csv", "xml")
    with pytest.raises(RefusedError, match="is no folder"):
        good.write(tmp_path / "nowhere" / "a.csv")
    with pytest.raises(RefusedError, match="is a folder"):
        good.write(tmp_path / "here", "csv", force=True)
    with pytest.raises(RefusedError, match="own folder"):
        good.write(tmp_path / "project" / ".dsvc" / "a.csv")
    assert sorted(path.name for path in (tmp_path / "here").iterdir()) == ["a.csv", "a.json", "a.parquet"]


def test_rows_come_as_they_are_worked_out(pair: Dataset) -> None:
    rows = iter(pair.query("select range from range(1000000000000)"))
    assert [next(rows) for _ in range(5000)][-1] == (4999,)


def test_two_answers_at_once(pair: Dataset) -> None:
    one, other = pair.query("select range from range(5000)"), pair.query("select range + 1 from range(5000)")
    assert all(first[0] + 1 == second[0] for first, second in zip(one, other, strict=True))
