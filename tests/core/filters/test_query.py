"""Filters: what they match, what they refuse, and what they cannot reach."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from dsvc.core.dataset import Dataset
from dsvc.core.filters import columns as catalog
from dsvc.core.filters.query import match_annotations, match_inputs
from dsvc.errors import DamagedError, FilterError, UsageError
from dsvc.model.records import (
    Annotation,
    Input,
    Mask,
    Media,
    Reference,
    Shape,
    annotation_key,
    encode_annotation,
    encode_input,
)
from dsvc.model.snapshot import Snapshot, edit_roots
from dsvc.model.snapshot import SnapshotEdits as Edits
from dsvc.store.ids import ObjectId

BIG = 10**30
BLOB = ObjectId(b"x" * 32)
QUOTED = "night/é'\"#\n.jpg"
INPUTS = (
    Input(
        key="a.jpg",
        split="train",
        license="Free",
        geo=(1.5, -2.5),
        declared_width=100,
        declared_height=50,
        metadata={
            "camera": "left",
            "deep": {"list": [1, {"x": "y"}]},
            "n": BIG,
            "it's": "é",
            "none": None,
            "on": True,
        },
        media=Media(type="image/jpeg", width=7, height=8, reference=Reference(place="s3://bucket/a", size=5)),
    ),
    Input(
        key="b.mp4", metadata={"camera": "right"}, media=Media(blob=ObjectId(b"x" * 32), size=9, duration=2.5, fps=25)
    ),
    Input(key="c.jpg", declared_width=BIG, media=Media(blob=BLOB, width=640, height=480)),
    Input(key=QUOTED),
)
ANNOTATIONS = (
    Annotation(key="a.jpg", id="1", concept="cat", shape=Shape(box=(0.1, 0.2, 0.5, 0.5), unit="relative"), crowd=1),
    Annotation(key="a.jpg", id="2", concept="dog's", shape=Shape(box=(1, 2, 3, 4), area=7), text="hi\0é", value=0),
    Annotation(key="b.mp4", id="1", concept="cat", time=(1, 2.5), frame=3, track=7, attributes={"ok": True}),
    Annotation(key="b.mp4", id="2", frame=2**60, track=BIG, status="done", author="Bo", span=(2, 5)),
    Annotation(key="c.jpg", id="1", shape=Shape(polygons=((0, 0, 1, 1, 2, 2),)), keypoints=(1, 1, 2), point=(1, 2)),
    Annotation(key="c.jpg", id="2", shape=Shape(mask=Mask(height=2, width=2, counts=(4,)), box=(), area=BIG)),
)
ALL = ["a.jpg", "b.mp4", "c.jpg", QUOTED]


def snapshot_of(dataset: Dataset, *entries: Input | Annotation | tuple[str, bytes, bytes]) -> Snapshot:
    """The draft with these records in it; a tuple is a tree, a key and a value as they are."""
    edits = Edits()
    for entry in entries:
        if isinstance(entry, Input):
            edits.inputs[entry.key.encode()] = encode_input(entry)
        elif isinstance(entry, Annotation):
            edits.annotations[annotation_key(entry.key, entry.id)] = encode_annotation(entry)
        else:
            getattr(edits, entry[0])[entry[1]] = entry[2]
    with dataset.edit() as draft:
        draft.apply(lambda store, state: msgspec.structs.replace(state, roots=edit_roots(store, state.roots, edits)))
    return dataset.draft().snapshot


@pytest.fixture
def snapshot(pets: Dataset) -> Snapshot:
    return snapshot_of(pets, *INPUTS, *ANNOTATIONS)


def names(snapshot: Snapshot, where: str) -> list[str]:
    return ["#".join(found) for found in match_annotations(snapshot, where)]


# ---- what matches


@pytest.mark.parametrize(
    ("where", "keys"),
    [
        ("key = 'a.jpg'", ["a.jpg"]),
        ("KEY like 'night/%'", [QUOTED]),
        ("key = 'night/é''\"#\n.jpg'", [QUOTED]),
        ("\"key\" = 'a.jpg' -- a comment", ["a.jpg"]),
        ("split = 'train' and license = 'Free'", ["a.jpg"]),
        ("split is null", ALL[1:]),
        ("type = 'image/jpeg'", ["a.jpg"]),
        ("size = 5 or size > 8", ["a.jpg", "b.mp4"]),
        ("width = 100 and height = 50", ["a.jpg"]),
        ("width > 100", ["c.jpg"]),
        ("height = 480", ["c.jpg"]),
        ("duration = 2.5 and fps = 25", ["b.mp4"]),
        ("longitude = 1.5 and latitude = -2.5", ["a.jpg"]),
        ("place like 's3://%'", ["a.jpg"]),
        ("stored", ["b.mp4", "c.jpg"]),
        ("not stored", ["a.jpg", QUOTED]),
        ("true", ALL),
        ("false", []),
        ("width between 1 and 200 and key in ('a.jpg', 'c.jpg')", ["a.jpg"]),
        ("case when split = 'train' then true else stored end", ALL[:3]),
        ("coalesce(split, 'none') = 'none' and length(key) = 5", ["b.mp4", "c.jpg"]),
        ("regexp_matches(key, '^[ab]')", ["a.jpg", "b.mp4"]),
        ("md5_number_lower(key) % 2 in (0, 1)", ALL),
    ],
)
def test_columns_of_inputs(snapshot: Snapshot, where: str, keys: list[str]) -> None:
    assert match_inputs(snapshot, where) == keys


@pytest.mark.parametrize(
    ("where", "keys"),
    [
        ("metadata->>'camera' = 'left'", ["a.jpg"]),
        ("split = 'train' and metadata->>'camera' = 'left' or stored", ALL[:3]),
        ("not metadata->>'camera' = 'left'", ["b.mp4"]),
        ("metadata->>'camera' in ('left', 'right') and concept = 'cat'", ["a.jpg", "b.mp4"]),
        ("METADATA ->> 'camera' = 'left'", ["a.jpg"]),
        ("(metadata->>'camera') = 'left'", ["a.jpg"]),
        ("metadata->'deep'->'list'->>0 = '1'", ["a.jpg"]),
        ("metadata->>'$.deep.list[1].x' = 'y'", ["a.jpg"]),
        ("metadata.deep->'list'->1->>'x' = 'y'", ["a.jpg"]),
        ("metadata->>'it''s' = 'é'", ["a.jpg"]),
        ("(metadata->>'n')::double > 1e29", ["a.jpg"]),
        ("metadata->>'none' is null and metadata->>'on' = 'true'", ["a.jpg"]),
        ("metadata is null", ["c.jpg", QUOTED]),
    ],
)
def test_metadata(snapshot: Snapshot, where: str, keys: list[str]) -> None:
    assert match_inputs(snapshot, where) == keys


@pytest.mark.parametrize(
    ("where", "keys"),
    [
        ("concept = 'cat'", ["a.jpg", "b.mp4"]),
        ("concept = 'dog''s'", ["a.jpg"]),
        ("concept = 'cat' and concept = 'dog''s'", []),  # of one annotation
        ("concept <> 'cat'", ["a.jpg"]),
        ("concept is null", ["b.mp4", "c.jpg", QUOTED]),
        ("id is null", [QUOTED]),
        ("concept = 'cat' or split is null", ALL),
        ("concept = 'cat' and stored", ["b.mp4"]),
        ("crowd is null", [QUOTED]),
    ],
)
def test_over_inputs_an_annotations_column_is_that_of_at_least_one(
    snapshot: Snapshot, where: str, keys: list[str]
) -> None:
    assert match_inputs(snapshot, where) == keys


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ("concept = 'cat'", ["a.jpg#1", "b.mp4#1"]),
        ("id = '2' and concept is not null", ["a.jpg#2"]),
        ("key = 'b.mp4'", ["b.mp4#1", "b.mp4#2"]),
        ("split = 'train' and not crowd", ["a.jpg#2"]),
        ("crowd", ["a.jpg#1"]),
        ("x = 1 and y = 2 and w = 3 and h = 4", ["a.jpg#2"]),
        ("area = 7", ["a.jpg#2"]),
        ("area > 1e29", ["c.jpg#2"]),
        ("text = 'hi' || chr(0) || 'é'", ["a.jpg#2"]),
        ("value = 0", ["a.jpg#2"]),
        ("begin_time >= 1 and end_time < 3", ["b.mp4#1"]),
        ("frame = 3", ["b.mp4#1"]),
        ("frame > 1e18", ["b.mp4#2"]),
        ("track = '7'", ["b.mp4#1"]),
        (f"track = '{BIG}'", ["b.mp4#2"]),
        ("begin_char = 2 and end_char = 5", ["b.mp4#2"]),
        ("status = 'done' and author = 'Bo'", ["b.mp4#2"]),
        ("attributes->>'ok' = 'true' and frame = 3", ["b.mp4#1"]),
        ("unit = 'pixel'", ["a.jpg#2", "c.jpg#1", "c.jpg#2"]),
        ("has_box", ["a.jpg#1", "a.jpg#2", "c.jpg#2"]),
        ("has_polygons and has_keypoints and has_point", ["c.jpg#1"]),
        ("has_mask", ["c.jpg#2"]),
        ("x is null and has_box", ["c.jpg#2"]),  # a box that has no numbers
        ("true", ["#".join((a.key, a.id)) for a in ANNOTATIONS]),
        ("len(list_filter([1, 2], lambda n: n > frame)) = 0 and frame = 3", ["b.mp4#1"]),
    ],
)
def test_columns_of_annotations(snapshot: Snapshot, where: str, found: list[str]) -> None:
    if "lambda" in where and not has_lambdas():
        pytest.skip("this DuckDB is older than lambda")
    assert names(snapshot, where) == found


def has_lambdas() -> bool:
    import duckdb

    return tuple(map(int, duckdb.__version__.split(".")[:2])) >= (1, 3)


def test_every_column_can_be_named(snapshot: Snapshot) -> None:
    for name in catalog.COLUMNS:
        assert match_inputs(snapshot, f"{name} is null or {name} is not null") == ALL
        assert len(match_annotations(snapshot, f"{name} is null or {name} is not null")) == len(ANNOTATIONS)
    assert catalog.INPUT_COLUMNS.keys() & catalog.ANNOTATION_COLUMNS.keys() == {"conflicted"}


def test_relative_places_are_in_pixels(pets: Dataset) -> None:
    shape = Shape(box=(0.1, 0.2, 0.5, 0.5), unit="relative")
    snapshot = snapshot_of(
        pets,
        Input(key="a", declared_width=100, declared_height=50),
        Input(key="b", media=Media(width=1000, height=500)),
        Input(key="no size"),
        *(Annotation(key=key, id="1", shape=shape) for key in ("a", "b", "no size")),
        Annotation(key="b", id="2", shape=msgspec.structs.replace(shape, area=0.5)),
    )
    assert names(snapshot, "x = 10 and y = 10 and w = 50 and h = 25 and area = 1250") == ["a#1"]
    assert names(snapshot, "area = 250000") == ["b#2"]
    assert match_inputs(snapshot, "area = 125000 and x = 100") == ["b"]
    assert names(snapshot, "x is null and unit = 'relative'") == ["no size#1"]


def test_the_order_is_that_of_utf8(pets: Dataset) -> None:
    keys = ["b", "a", "a!", "a\x01", "\U0001f600", "\uffff", "é"]
    snapshot = snapshot_of(
        pets, *(Input(key=key) for key in keys), *(Annotation(key=key, id=id, text=key) for key in keys for id in "21")
    )
    ordered = sorted(keys, key=str.encode)
    assert match_inputs(snapshot, "true") == ordered
    assert match_inputs(snapshot, "text = key") == ordered
    assert match_annotations(snapshot, "text = key") == [(key, id) for key in ordered for id in "12"]


def test_an_empty_dataset(pets: Dataset) -> None:
    snapshot = pets.draft().snapshot
    assert match_inputs(snapshot, "concept = 'cat'") == match_inputs(snapshot, "true") == []
    assert match_annotations(snapshot, "key = 'a' and area > 1") == []
    with pytest.raises(FilterError):
        match_inputs(snapshot, "conept = 'cat'")


def test_many_records(pets: Dataset) -> None:
    inputs = [Input(key=f"{n:05d}", declared_width=n) for n in range(3000)]
    annotations = [
        Annotation(key=f"{n % 2000:05d}", id=str(n), concept=f"c{n % 3}", shape=Shape(box=(n, 0, 1, n / 8)))
        for n in range(6000)
    ]
    snapshot = snapshot_of(pets, *inputs, *annotations)
    told: list[tuple[str, int, int | None]] = []
    found = match_annotations(
        snapshot, "concept = 'c1' and area >= 500 and width < 1000", lambda *told_: told.append(told_)
    )
    assert found == sorted(
        (a.key, a.id) for n, a in enumerate(annotations) if n % 3 == 1 and n / 8 >= 500 and n % 2000 < 1000
    )
    assert told[-1] == ("read inputs", 3000, 3000)
    assert match_inputs(snapshot, "concept is null") == [f"{n:05d}" for n in range(2000, 3000)]


def test_a_long_list(snapshot: Snapshot) -> None:
    wanted = ", ".join(f"'{n}.jpg'" for n in range(5000))
    assert match_inputs(snapshot, f"key in ({wanted}, 'a.jpg')") == ["a.jpg"]
    assert match_inputs(snapshot, "true" + " and true" * 3000) == ALL


def test_damage_is_named(pets: Dataset) -> None:
    snapshot = snapshot_of(pets, Input(key="a"), ("annotations", b"a\x001", b"\x81\xa1c\x01"))
    with pytest.raises(DamagedError, match="annotation 'a#1' cannot be read"):
        match_inputs(snapshot, "concept = 'x'")
    lost = snapshot_of(pets, ("annotations", b"b\x001", b"\x80"))
    with pytest.raises(DamagedError, match="without an input"):
        match_annotations(lost, "key = 'b'")


# ---- errors


@pytest.mark.parametrize(
    ("where", "message", "at"),
    [
        ("", "the filter is empty", None),
        (" \n", "the filter is empty", None),
        ("conept = 'cat'", "in the filter: no column 'conept'", 0),
        ("'é' = split and conept = 'cat'", "in the filter: no column 'conept'", 16),
        ("inputs.key = 'a'", "in the filter: no column 'inputs.key'", 0),
        ("concept.name = 'a'", "in the filter: no column 'concept.name'", 0),
        ("split = 'a' and lenght(key) > 1", "in the filter: no function lenght()", 16),
        ("metadata->>'a' = 'b' and abs(key) > 1", "in the filter: no function matches the given name", 25),
        ("area > 'x'", "in the filter: could not convert string 'x' to DOUBLE", None),
        ("area", "the filter is of type DOUBLE, not true or false", None),
        ("key", "the filter is of type VARCHAR, not true or false", None),
        ("1", "the filter is of type INTEGER, not true or false", None),
        ("x = (1 +", "in the filter: syntax error", None),
        ("key = 'a", "in the filter: unterminated", 6),
        ("key \0= 'a'", "the filter holds a NUL character", None),
        ("key = '\udcff'", "the filter holds a NUL character, or is not Unicode", None),
        ("(" * 200_000, "in the filter: nested deeper", 100),
        ("not " * 1000 + "true", "in the filter: nested deeper", None),
        ("x = 1" + " + 1" * 1000, "in the filter: nested deeper", None),
        ("x = " + "1" * 1_000_001, "the filter has 1,000,005 characters", None),
    ],
)
def test_what_is_wrong_and_where(snapshot: Snapshot, where: str, message: str, at: int | None) -> None:
    for match in (match_inputs, match_annotations):
        with pytest.raises(UsageError) as error:
            match(snapshot, where)
        assert isinstance(error.value, FilterError)
        assert error.value.message.startswith(message)
        assert "\n" not in error.value.message
        if at is not None:
            assert error.value.at == at


def test_hints(snapshot: Snapshot) -> None:
    def hint(where: str) -> str:
        with pytest.raises(FilterError) as error:
            match_inputs(snapshot, where)
        return error.value.hint or ""

    assert hint("conept = 'cat'") == "did you mean concept? a text stands in single quotes: 'conept'"
    assert hint('concept = "it\'s"') == "a text stands in single quotes: 'it''s'"
    assert "columns of inputs: key, split, " in hint("concept = zebra")
    assert "md5_number_lower(key) % 10 = 0" in hint("random() < 0.1")
    assert hint("lenght(key) = 1").startswith("did you mean length")
    assert "regexp_matches(" in hint("key ~ 'a'")


def test_bad_data_is_one_line(snapshot: Snapshot) -> None:
    with pytest.raises(FilterError, match=r"could not convert string '.*' to INT32") as error:
        match_inputs(snapshot, "cast(key as integer) > 3")
    assert (error.value.at, error.value.hint) == (0, "where a value may not convert, try_cast(... as TYPE) gives null")
    assert match_inputs(snapshot, "try_cast(key as integer) > 3") == []
    with pytest.raises(FilterError, match="out of range"):
        match_inputs(snapshot, "width::integer > 3")


# ---- breaking out


@pytest.fixture
def secret(write: Callable[..., Path]) -> Path:
    return write("answer\n42\n", "secret.csv")


@pytest.mark.parametrize(
    "where",
    [
        "(select count(*) from read_csv('FILE')) > 0",
        "exists (select 1 from read_text('FILE'))",
        "exists (from 'FILE')",
        "key in (select answer from 'FILE')",
        "key = any (select content from read_text('FILE'))",
        "true or (with x as (select 1) select true from x)",
        "(select true)",
        "true from 'FILE'",
        "true) from 'FILE' where (true",
        "key = 'a') union all select 1 from 'FILE' where (true",
        "key = 'a') or (true",
        "true union select 1",
        "true; drop table x",
        "true; select 1",
        "true;",
        "true;;",
        "true, true",
        "true,",
        "true as x",
        "x: true",
        "distinct true",
        "all true",
        "true where true",
        "true group by 1",
        "true having true",
        "true order by 1",
        "true limit 1",
        "true using sample 1",
        "true qualify true",
        "true) --",
        "true) /*",
        "true /* ",
        "-- true",
        "/* true */",
        "set threads = 1",
        "install httpfs",
        "load 'FILE'",
        "attach 'FILE' as x",
        "copy x to 'FILE'",
        "pragma version",
        "getenv('HOME') is null",
        "main.getenv('HOME') is null",
        "current_setting('home_directory') = ''",
        "getvariable('x') is null",
        "current_user = 'x'",
        "current_user() = 'x'",
        "session_user() = 'x'",
        "current_database() = 'x'",
        "version() = 'x'",
        "pg_typeof(key) = 'x'",
        "query('select 1') is null",
        "json_serialize_plan('select 1') is null",
        "json_deserialize_sql('{}') is null",
        "read_text('FILE') is null",
        "glob('FILE') is null",
        "unnest([true])",
        "nextval('x') > 0",
        "random() < 2",
        "uuid() is null",
        "now() is null",
        "today() is null",
        "age(timestamp '2020-01-01') is null",
        "current_date is null",
        "error('x') is null",
        "write_log('x') is null",
        "sum(width) > 0",
        "count(*) > 0",
        "row_number() over () > 0",
        "columns(*) is null",
        "* is null",
        "#1 is null",
        "? is null",
        "$1 is null",
        "$name is null",
        "default",
        "dsvc_records is null",
        "c0 is null",
        "row is null",
    ],
)
def test_a_filter_is_one_expression_and_sees_records_only(snapshot: Snapshot, secret: Path, where: str) -> None:
    for match in (match_inputs, match_annotations):
        with pytest.raises(FilterError) as error:
            match(snapshot, where.replace("FILE", str(secret)))
        assert "42" not in error.value.message
    assert secret.read_text() == "answer\n42\n"


def test_variables_of_the_program_are_no_tables(snapshot: Snapshot) -> None:
    import numpy as np

    loot = {"answer": np.array([42])}
    with pytest.raises(FilterError):
        match_inputs(snapshot, "exists (select answer from loot)")
    assert loot


def test_duckdb_itself_is_shut(secret: Path) -> None:
    import duckdb

    from dsvc.core.filters.duck import connect

    for statement in (
        f"select * from read_text('{secret}')",
        f"from '{secret}'",
        f"copy (select 1) to '{secret}'",
        f"attach '{secret}.db' as x",
        "install httpfs",
        "load httpfs",
        "set enable_external_access = true",
        "set lock_configuration = false",
        "reset threads",
    ):
        with pytest.raises(duckdb.Error):
            connect().execute(statement)
    assert secret.read_text() == "answer\n42\n"


HUNGRY = """
import resource, dsvc
from dsvc.core.filters.query import match_inputs
snapshot = dsvc.open().dataset().draft().snapshot
assert len(match_inputs(snapshot, "length(repeat('x', 10)) = 10")) == 4
resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
try:
    match_inputs(snapshot, "length(repeat('x', 4000000000)) > 1")
except dsvc.DsvcError as error:
    print(type(error).__name__, error.message)
"""


def test_too_much_memory_is_refused(snapshot: Snapshot, pets: Dataset) -> None:
    pytest.importorskip("resource")
    command = [sys.executable, "-c", HUNGRY]
    done = subprocess.run(command, cwd=pets.repository.root, capture_output=True, text=True)
    assert done.stdout == "RefusedError the filter needs more memory than there is\n", done.stderr
