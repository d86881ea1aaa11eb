"""dsvc diff."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from dsvc.cli.arguments import TEXT
from dsvc.cli.exit import Exit
from dsvc.cli.render import json_option, out, plural, print_json, print_json_list
from dsvc.cli.session import Session, pass_session, shared_options

if TYPE_CHECKING:
    from dsvc.core.compare import RecordChange

SHOWN = 200


@click.command("diff")
@click.argument("old", metavar="[A", type=TEXT, default="HEAD")
@click.argument("new", metavar="[B]]", type=TEXT, required=False)
@click.option("--stat", is_flag=True, help="Only counts.")
@click.option("--exit-code", is_flag=True, help="Exit with 1 where something differs.")
@json_option
@shared_options
@pass_session
def diff_command(session: Session, old: str, new: str | None, stat: bool, exit_code: bool, as_json: bool) -> int:
    """Show what changed between two revisions, or what is staged.

    From A (by default HEAD) to B (by default the draft): `+` added, `-` removed, `~` changed, with the fields that
    differ. The first 200 changes are shown; --json gives all.

    \b
    JSON: {"from", "to": REVISION or null for the draft, "changes": [{"verb", "noun", "name", "fields": [NAME...],
           "old": RECORD or null, "new": RECORD or null}]}; with --stat {"from", "to", "stat": {NOUN: {VERB: COUNT}}}
    """
    changes = session.dataset().diff(old, new)
    first = next(changes, None)
    found = itertools.chain([first], changes) if first is not None else iter(())
    if as_json:
        _print_json({"from": old, "to": new}, found, stat)
    elif stat:
        _print_stat(found)
    else:
        _print_changes(found)
    return Exit.NO if exit_code and first is not None else Exit.DONE


def _print_changes(changes: Iterator[RecordChange]) -> None:
    from dsvc.cli.records import change_text

    for change in itertools.islice(changes, SHOWN):
        out(change_text(change))
    more = sum(1 for _ in changes)
    if more:
        out(f"... and {plural(more, 'more change')}; counts: --stat, all: --json")


def _print_stat(changes: Iterator[RecordChange]) -> None:
    from dsvc.cli.status import staged_lines
    from dsvc.core.compare import summarize

    lines = staged_lines(summarize(changes))[1:]
    for line in lines:
        out(line.strip())
    if not lines:
        out("no differences")


def _print_json(head: dict[str, str | None], changes: Iterator[RecordChange], stat: bool) -> None:
    from dsvc.cli.records import change_json

    if not stat:
        print_json_list(head, "changes", map(change_json, changes))
        return
    from dsvc.cli.status import summary_json
    from dsvc.core.compare import summarize

    print_json({**head, "stat": summary_json(summarize(changes))})
