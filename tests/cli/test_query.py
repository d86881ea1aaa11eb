"""dsvc query, and export --where."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest

from dsvc.cli import grid

EXAMPLE = "hint: a query is such as: select concept, count(*) from annotations group by 1\n"


def test_a_table(dsvc, project: Path) -> None:
    assert dsvc("query", "select concept, count(*) as n, sum(area) from annotations group by 1 order by 1").out == (
        "concept  n  sum(area)\n-------  -  ---------\ncat      1       13.5\ndog      1         81\n"
        "(2 rows; the draft of pets)\n"
    )
    assert dsvc("query", "select key, split, stored from inputs order by key", "--at", "v1").out == (
        "key    split  stored\n-----  -----  ------\na.jpg         true\nb.jpg         true\n(2 rows; pets@v1)\n"
    )
    assert dsvc("query", "select 1 as one").out == "one\n---\n  1\n(1 row)\n"
    assert dsvc("query", "select key from inputs where false").out == "key\n---\n(0 rows; the draft of pets)\n"


def test_two_revisions(dsvc, project: Path) -> None:
    dsvc("annotate", "--annotations", "--where", "concept = 'dog'", "--concept", "wolf")
    sql = "select o.concept was, n.concept as now from v1.annotations o join annotations n using (key, id) order by 2"
    assert dsvc("query", sql, "--at", "v1=@v1").out == (
        "was  now\n---  ----\ncat  cat\ndog  wolf\n(2 rows; the draft of pets; v1: pets@v1)\n"
    )
    dsvc("commit", "-m", "wolves", "--author", "Ada <ada@example.org>")
    both = "select concept from a.annotations except select concept from b.annotations"
    assert dsvc("query", both, "--at", "a=pets", "--at", "b=pets@v1", "--format", "csv").out == "concept\nwolf\n"


def test_csv_and_json(dsvc, project: Path) -> None:
    sql = "select key, width, '' as empty, null as nothing, metadata from inputs order by key limit 1"
    assert dsvc("query", sql, "--format", "csv").out == 'key,width,empty,nothing,metadata\na.jpg,640,"",,\n'
    expected = {
        "columns": [
            {"name": "key", "type": "VARCHAR"},
            {"name": "width", "type": "DOUBLE"},
            {"name": "empty", "type": "VARCHAR"},
            {"name": "nothing", "type": "INTEGER"},
            {"name": "metadata", "type": "JSON"},
        ],
        "rows": [{"key": "a.jpg", "width": 640.0, "empty": "", "nothing": None, "metadata": None}],
    }
    columns = expected["columns"]
    found = json.loads(dsvc("query", sql, "--json").out)
    columns[3]["type"] = found["columns"][3]["type"]  # of null alone, it differs between editions of DuckDB
    assert found == expected
    assert dsvc("query", sql, "--format", "json").out == dsvc("query", sql, "--json").out


def test_files(dsvc, project: Path) -> None:
    sql = "select key, width from inputs order by key"
    assert dsvc("query", sql, "-o", "a.parquet").out == "wrote a.parquet: 2 rows\n"
    assert duckdb.read_parquet("a.parquet").fetchall() == [("a.jpg", 640.0), ("b.jpg", 320.0)]
    assert dsvc("query", sql, "-o", "a.csv").out == "wrote a.csv: 2 rows\n"
    assert Path("a.csv").read_text() == "key,width\na.jpg,640\nb.jpg,320\n"
    document = json.loads(dsvc("query", sql, "-o", "a.txt", "--format", "json", "--json").out)
    columns = [{"name": "key", "type": "VARCHAR"}, {"name": "width", "type": "DOUBLE"}]
    assert document == {"path": "a.txt", "format": "json", "columns": columns, "rows": 2}
    assert len(json.loads(Path("a.txt").read_text())["rows"]) == 2
    assert dsvc("query", "select 1", "-o", "a.csv", code=3).err == (
        "error: a.csv exists already\nhint: name another file, or replace it: --force\n"
    )
    dsvc("query", "select 1", "-o", "a.csv", "--force")
    assert Path("a.csv").read_text() == "1\n1\n"
    dsvc("query", "select cast(key as int) from inputs", "-o", "b.csv", code=2)
    assert sorted(path.name for path in Path().iterdir() if path.suffix in (".csv", ".tmp")) == ["a.csv"]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("selec 1",), f'error: in the query: syntax error at or near "selec"\n  selec 1\n  ^\n{EXAMPLE}'),
        (
            ("select 'é日', conept from annotations",),
            'error: in the query: referenced column "conept" not found in FROM clause\n'
            "  select 'é日', conept from annotations\n                ^\n"
            "hint: did you mean concept? a text stands in single quotes: 'conept'\n",
        ),
        (
            ("select key from input",),
            "error: in the query: no table 'input'\n  select key from input\n                  ^\n"
            "hint: did you mean inputs?\n",
        ),
        (
            ("select content from read_text('pets.json')",),
            "error: in the query: read_text() cannot be used in a query\n"
            "  select content from read_text('pets.json')\n                      ^\n"
            "hint: a query sees its tables and nothing else: no files, no network, no settings\n",
        ),
        (("drop table inputs",), f"error: in the query: a query is one SELECT, and nothing else\n{EXAMPLE}"),
        ((" ",), f"error: the query is empty\n{EXAMPLE}"),
        (("select 1", "--format", "xml"), "error: no format 'xml'\nhint: there is: table, csv, json, parquet\n"),
        (("select 1", "--format", "parquet"), "error: Parquet goes to a file\nhint: say which: -o answer.parquet\n"),
        (("select 1", "--format", "csv", "--json"), "error: --json and --format csv\nhint: leave one of them out\n"),
        (("select 1", "--format", "table", "-o", "x"), "error: no format 'table' of files\n"),
        (("select 1", "-o", "x.txt"), "error: x.txt: its name does not say which format\n"),
        (("select 1", "--at", "v1", "--at", "pets"), "error: two revisions have no name\n"),
        (("select 1", "--at", "a=v1", "--at", "A=pets"), "error: two revisions are called 'a'\n"),
        (("select 1", "--at", "inputs=v1"), "error: 'inputs' cannot name a state in a query\n"),
        ((), "error: missing argument 'SQL'\n"),
    ],
)
def test_what_cannot_be_meant(dsvc, project: Path, arguments: tuple[str, ...], error: str) -> None:
    result = dsvc("query", *arguments, code=2)
    assert result.err.startswith(error) and result.out == ""


def test_a_revision_that_is_not_there(dsvc, project: Path) -> None:
    assert dsvc("query", "select 1", "--at", "old=@v9", code=4).err.startswith("error: dataset 'pets' has no version")
    assert dsvc("query", "select 1", "--at", "", code=2).err.startswith("error: '' is not a revision")


def test_of_many_rows_the_first_are_shown(dsvc, project: Path) -> None:
    lines = dsvc("query", "select range as n, 'é日' || range as t from range(12345)").out.splitlines()
    assert lines[:3] == [" n  t", "--  -----", " 0  é日0"]
    assert lines[-2:] == ["... and 12,245 more; all of them: --format csv, or -o FILE", "(12,345 rows)"]
    assert len(lines) == 104
    assert dsvc("query", "select range from range(12345)", "--format", "csv").out.count("\n") == 12346


def test_a_table_fits_on_the_terminal(dsvc, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wide = "select 'a' as a, repeat('x', 5000000) as long, repeat('日本 ', 30) as cjk, 'b\ne\x1b' as b"
    names, _, row, _ = dsvc("query", wide).out.splitlines()
    assert "b\\ne\\x1b" in row and "x…  日本" in row and len(names) < 200
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    for columns in (200, 60, 40, 5):
        monkeypatch.setenv("COLUMNS", str(columns))
        lines = list(
            grid.grid(["a", "long", "cjk"], [["a", "x" * 300, "日本 " * 30], [None, "", "日"]], [True, False, True])
        )
        widest = max(map(grid.width, lines))
        assert widest <= max(columns, 21) and len({line.count("  ") for line in lines}) >= 1
        assert lines[2].startswith("a  xxxx") and lines[2].endswith("…")


def test_an_interrupt_ends_it(project: Path) -> None:
    sql = "select sum(a.range * b.range) from range(9000000) a, range(9000000) b"
    command = [sys.executable, "-m", "dsvc.cli.main", "query", sql]

    # Where the tests run in the background, their children would ignore interrupts.
    def hear() -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)

    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes, preexec_fn=hear) as process:
        time.sleep(2)
        process.send_signal(signal.SIGINT)
        try:
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert (process.returncode, out, err) == (130, "", "interrupted; nothing changed\n")


class TestExport:
    def test_only_what_matches(self, dsvc, project: Path) -> None:
        where = ("--where", "concept = 'cat'")
        done = dsvc("export", "v1", "--format", "coco", "-o", "cats.json", *where)
        assert done.out == "wrote cats.json: coco/1, 1 input, 1 annotation\n"
        document = json.loads(Path("cats.json").read_text())
        assert [image["file_name"] for image in document["images"]] == ["a.jpg"]
        assert [category["name"] for category in document["categories"]] == ["cat", "dog"]
        again = dsvc("export", "v1", "--format", "coco", "-o", "cats.json", *where)
        assert again.out == "cats.json holds the same already: coco/1, 1 input, 1 annotation\n"
        dsvc("export", "v1", "--format", "coco", "-o", "cats", "--media", *where)
        assert [path.name for path in Path("cats").rglob("*.jpg")] == ["a.jpg"]

    def test_what_is_wrong(self, dsvc, project: Path) -> None:
        arguments = ("export", "v1", "--format", "coco", "-o", "cats.json", "--where")
        assert dsvc(*arguments, "conept = 'cat'", code=2).err == (
            "error: in the filter: no column 'conept'\n  conept = 'cat'\n  ^\n"
            "hint: did you mean concept? a text stands in single quotes: 'conept'\n"
        )
        assert dsvc(*arguments, "concept = 'cow'", code=3).err == (
            "error: no input matches; nothing was written\n"
            'hint: see what there is, such as: dsvc query "select key, split from inputs"\n'
        )
        assert not Path("cats.json").exists()
