"""What is printed: counts, sizes, times, tables and JSON."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from dsvc.core.compare import Summary
    from dsvc.model.commit import Author, Moment

F = TypeVar("F", bound=Callable[..., Any])
NEXT = "next: dsvc commit -m TEXT"
NOUNS = ("input", "annotation", "concept")
# How many characters of a name stand in a table.
_NAME = 60
SIGNS = {"added": "+", "removed": "-", "changed": "~"}


def json_option(function: F) -> F:
    """The option --json."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document, described above.")(function)


def dry_run_option(function: F) -> F:
    """The option --dry-run."""
    return click.option("--dry-run", is_flag=True, help="Only say what would go.")(function)


def out(line: str = "") -> None:
    """Print a line on stdout."""
    write(f"{line}\n")


def write(text: str) -> None:
    """Write text to stdout as it is."""
    try:
        sys.stdout.write(text)
    except OSError as error:
        raise OSError(error.errno, error.strerror, "standard output") from error


def note(line: str) -> None:
    """Print a line on stderr, after all that was printed on stdout so far."""
    with contextlib.suppress(OSError, ValueError):  # whatever is wrong with it, the end of the run tells
        sys.stdout.flush()
    click.echo(line, err=True)


def shown(text: str) -> str:
    """A key, a name or a message as one safe line: control and invisible characters come as escapes."""
    from dsvc.core.keys import display

    return display(text)


def short(text: str, places: int = _NAME) -> str:
    """A name in a table as one safe line, cut where it is so long that the other columns would go out of sight."""
    line = shown(text)
    return line if len(line) <= places else f"{line[: places - 3]}..."


def word(text: str) -> str:
    """A text as one safe word of a command line, for bash and zsh."""
    import shlex

    if shown(text) == text:
        return shlex.quote(text)
    return f"$'{''.join(map(_escaped, text))}'"


def _escaped(char: str) -> str:
    if char in "\\'":
        return f"\\{char}"
    code = ord(char)
    return char if shown(char) == char else f"\\x{code:02x}" if code < 0x80 else f"\\U{code:08x}"


def width(text: str) -> int:
    """How many places a text takes on a terminal."""
    if text.isascii():
        return len(text)
    import unicodedata

    wide = sum(unicodedata.east_asian_width(char) in "WF" for char in text)
    return len(text) + wide - sum(map(bool, map(unicodedata.combining, text)))


def plural(count: int, noun: str) -> str:
    """A count and its noun: `1 input`, `2,000 inputs`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def holdings(counts: Mapping[str, int]) -> str:
    """Counts of a state in words."""
    return ", ".join(plural(counts[f"{noun}s"], noun) for noun in NOUNS)


def counts_text(summary: Summary) -> str:
    """Counts of changes in a line: `inputs +1 -2 ~3, annotations +4`; added, removed, changed."""
    parts = []
    for noun in ("inputs", "annotations", "concepts"):
        verbs = getattr(summary, noun)
        words = [f"{sign}{verbs[verb]:,}" for verb, sign in SIGNS.items() if verbs[verb]]
        parts += [f"{noun} {' '.join(words)}"] if words else []
    return ", ".join(parts) or "no records"


def subject(message: str) -> str:
    """The first line of a message."""
    return message.strip().partition("\n")[0]


def listed(names: Sequence[str], limit: int = 5) -> str:
    """The first names of many."""
    text = ", ".join(shown(name) for name in names[:limit])
    return text + (f" and {len(names) - limit:,} more" if len(names) > limit else "")


def out_notes(notes: Sequence[str], limit: int = 10) -> None:
    """Print the first of what else is to be told."""
    for text in notes[:limit]:
        out(f"note: {shown(text)}")
    if len(notes) > limit:
        out(f"note: ... and {len(notes) - limit:,} more; all are in --json")


def size(count: int) -> str:
    """Bytes for people, in powers of 1,000."""
    if count < 1000:
        return plural(count, "byte")
    value = float(count)
    for unit in ("kB", "MB", "GB", "TB"):
        value /= 1000
        if value < 999.95 or unit == "TB":
            break
    return f"{value:,.1f} {unit}"


def table(rows: Iterable[Sequence[str]], right: Sequence[int] = ()) -> Iterator[str]:
    """Rows as aligned lines without the columns that are empty; those numbered in `right` are flush right."""
    kept = [tuple(row) for row in rows]
    filled = [at for at, column in enumerate(zip(*kept, strict=True)) if any(column)]
    widths = [max(len(cell) for cell in column) for column in zip(*kept, strict=True)]
    for row in kept:
        cells = [
            cell.rjust(width) if at in right else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
            if at in filled
        ]
        yield "  ".join(cells).rstrip()


def when(moment: Moment) -> str:
    """A time for people: 2024-05-01 12:00:00 +0200."""
    date, t, rest = iso(moment).partition("T")
    return f"{date} {rest[:8]} {rest[8:].replace(':', '')}" if t else date


def iso(moment: Moment) -> str:
    """A time in ISO 8601."""
    from datetime import datetime, timedelta, timezone

    try:
        zone = timezone(timedelta(minutes=moment.offset))
        time = datetime(1970, 1, 1, tzinfo=zone) + timedelta(seconds=moment.seconds, minutes=moment.offset)
        return time.isoformat()
    except (ValueError, OverflowError):  # written by another program
        return f"@{moment.seconds} {moment.offset:+d}min"


def author_json(author: Author) -> dict[str, str]:
    """An author as JSON."""
    return {"name": author.name, "email": author.email}


def print_json(value: Any) -> None:
    """Print one JSON document."""
    text = json.dumps(value, ensure_ascii=False, indent=2)
    # A file name that is no Unicode comes as JSON's escapes of what Python makes of it.
    out(text.encode("utf-8", "backslashreplace").decode())


def print_json_list(head: Mapping[str, Any], name: str, items: Iterable[Any]) -> None:
    """Print one JSON document whose last member is a list that need not fit into memory."""
    start = json.dumps(dict(head), ensure_ascii=False, indent=2).removesuffix("\n}") + "," if head else "{"
    write(f"{start}\n  {json.dumps(name)}: [")
    separator = ""
    for item in items:
        write(f"{separator}\n    {json.dumps(item, ensure_ascii=False)}")
        separator = ","
    out("\n  ]\n}" if separator else "]\n}")
