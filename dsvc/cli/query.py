"""dsvc query."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dsvc.cli.arguments import PATH, TEXT
from dsvc.cli.progress import progress
from dsvc.cli.render import json_option, out, plural, print_json, shown, write
from dsvc.cli.session import Session, pass_session, shared_options
from dsvc.errors import UsageError

if TYPE_CHECKING:
    from dsvc.core.dataset import Dataset
    from dsvc.core.queries.answer import Answer
    from dsvc.core.state import State

FORMATS = ("table", "csv", "json", "parquet")
_NUMBERS = ("INTEGER", "DOUBLE", "FLOAT", "DECIMAL")
_ROWS = 100  # what a table shows of many


@click.command("query")
@click.argument("sql", metavar="SQL", type=TEXT)
@click.option(
    "--at",
    "revisions",
    metavar="[NAME=]REV",
    type=TEXT,
    multiple=True,
    help="The revision to ask; by default the draft. Several, by names: --at old=pets@v1 --at new=pets@v2.",
)
@click.option("--format", metavar="FORMAT", type=TEXT, help="table (the default), csv, json or parquet.")
@click.option("-o", "--output", metavar="FILE", type=PATH, help="Write a file: .csv, .json or .parquet.")
@click.option("--force", is_flag=True, help="Replace FILE.")
@json_option
@shared_options
@pass_session
def query_command(
    session: Session,
    sql: str,
    revisions: tuple[str, ...],
    format: str | None,
    output: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    """Ask one SELECT of DuckDB's SQL over the tables inputs, annotations and concepts.

    Without --at, they are those of the draft. A revision with a name goes by it: --at old=pets@v1 makes the tables
    old.inputs, old.annotations and old.concepts. The reference, Queries, says what columns there are. A query sees
    these tables and nothing else: no files, no network, no settings.

    \b
    JSON: {"columns": [{"name", "type"}...], "rows": [{COLUMN: VALUE}...]}
          with -o {"path", "format", "columns", "rows": COUNT}
    """
    form = _form(format, output, as_json)
    states = _states(session.dataset(), revisions)
    from dsvc.core.queries.answer import ask

    with progress() as report:
        answer = ask({name: state.snapshot for name, state in states.items()}, sql, report)
        if output is not None:
            _write_file(answer, output, form, force, as_json)
            return
        answer.load()
    if form == "table":
        _print_table(answer, states)
    else:
        from dsvc.core.queries.writing import write_csv, write_json

        (write_csv if form == "csv" else write_json)(answer, write)


def _form(format: str | None, output: Path | None, as_json: bool) -> str:
    """The format that is meant. Raises UsageError."""
    if format is not None and format not in FORMATS:
        raise UsageError(f"no format {format!r}", f"there is: {', '.join(FORMATS)}")
    if output is None:
        if as_json and format not in (None, "json"):
            raise UsageError(f"--json and --format {format}", "leave one of them out")
        if format == "parquet":
            raise UsageError("Parquet goes to a file", "say which: -o answer.parquet")
        return "json" if as_json else format or "table"
    from dsvc.core.queries.writing import format_of

    return format_of(output, format)


def _states(dataset: Dataset, revisions: tuple[str, ...]) -> dict[str, State]:
    """The states by the names that they go by; "" for the one that needs none. Raises UsageError, NotFoundError."""
    from dsvc.core.queries.answer import check_name

    named: dict[str, str] = {}
    for text in revisions:
        name, mark, revision = text.rpartition("=")
        name = check_name(name) if mark else ""
        if name in named:
            what = f"two revisions are called {name!r}" if name else "two revisions have no name"
            raise UsageError(what, "give each its own: --at old=pets@v1 --at new=pets@v2")
        named[name] = revision
    states = {name: dataset.at(revision) for name, revision in named.items()}
    return {"": dataset.draft(), **states}


def _print_table(answer: Answer, states: dict[str, State]) -> None:
    from dsvc.cli.grid import grid
    from dsvc.core.queries.writing import value_text

    rows, columns = iter(answer), answer.columns
    first = [[value_text(value) for value in row] for row in islice(rows, _ROWS)]
    right = [column.type.endswith("INT") or column.type.startswith(_NUMBERS) for column in columns]
    for line in grid([column.name for column in columns], first, right):
        out(line)
    more = sum(1 for _ in rows)
    if more:
        out(f"... and {more:,} more; all of them: --format csv, or -o FILE")
    asked = [_called(name, states[name]) for name in states if name in answer.schemas]
    out(f"({'; '.join([plural(len(first) + more, 'row'), *asked])})")


def _called(name: str, state: State) -> str:
    revision = state.revision
    if revision.version is not None:
        what = f"{revision.dataset}@{revision.version}"
    elif revision.commit is not None:
        what = f"{revision.dataset}@{revision.commit.short()}"
    else:
        what = f"the draft of {revision.dataset}"
    return f"{name}: {what}" if name else what


def _write_file(answer: Answer, output: Path, form: str, force: bool, as_json: bool) -> None:
    count = answer.write(output, form, force=force)
    if as_json:
        columns = [column._asdict() for column in answer.columns]
        print_json({"path": str(output), "format": form, "columns": columns, "rows": count})
    else:
        out(f"wrote {shown(str(output))}: {plural(count, 'row')}")
