"""dsvc diff."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import click

from dsvc.cli.arguments import TEXT
from dsvc.cli.exit import Exit
from dsvc.cli.progress import progress
from dsvc.cli.render import json_option, out, plural, print_json, print_json_list
from dsvc.cli.session import Session, pass_session, shared_options

if TYPE_CHECKING:
    from dsvc.core.diffing.diff import Diff
    from dsvc.core.diffing.stat import Stat

SHOWN = 200
_WHERE = "Only inputs that a filter is true of, see the reference: Filters. Of a removed one, what it was counts."


@click.command("diff")
@click.argument("old", metavar="[A", type=TEXT, default="HEAD")
@click.argument("new", metavar="[B]]", type=TEXT, required=False)
@click.option("--stat", is_flag=True, help="Only counts, in all and by concept.")
@click.option("--key", "keys", metavar="KEY", type=TEXT, multiple=True, help="Only this input, or annotation: KEY#ANN.")
@click.option("--where", metavar="EXPR", type=TEXT, help=_WHERE)
@click.option("--exit-code", is_flag=True, help="Exit with 1 where something differs.")
@json_option
@shared_options
@pass_session
def diff_command(
    session: Session,
    old: str,
    new: str | None,
    stat: bool,
    keys: tuple[str, ...],
    where: str | None,
    exit_code: bool,
    as_json: bool,
) -> int:
    """Show what changed between two revisions, or what is staged.

    From A (by default HEAD) to B (by default the draft), input by input: `+` added, `-` removed, `~` changed, and how:
    moved, reshaped, relabelled, renamed, or the fields that differ. An annotation that is gone and one that came in its
    place (IoU 0.9 or more, same concept) are one change. The first 200 inputs are shown; --json gives all. The words
    and numbers are explained in the reference: Diff.

    \b
    JSON: {"from", "to": REVISION or null for the draft, "changes": [{"verb": "added", "removed" or "changed", "noun",
           "name", "old_name": NAME or null, "kind": [WORD...], "iou", "pixels": NUMBER or null, "fields": [NAME...],
           "in_conflict": [NAME...], "settled": [NAME...], "old": RECORD or null, "new": RECORD or null}]};
    with --stat {"from", "to", "stat": {"inputs", "annotations", "concepts": {VERB or WORD: COUNT},
           "by_concept": [{"concept": NAME or null, WORD: COUNT...}]}}
    """
    head = {"from": old, "to": new}
    with progress() as report:
        diff = session.dataset().diff(old, new, keys=keys, where=where, progress=report)
        # A filter is evaluated here, as long as progress is shown.
        counts = diff.stat() if stat else None
        differs = bool(counts) if counts is not None else next(iter(diff), None) is not None
    if counts is not None:
        _tell_stat(counts, head, as_json)
    elif as_json:
        from dsvc.cli.changes import change_json

        print_json_list(head, "changes", map(change_json, diff))
    elif differs:
        _tell_changes(diff)
    return Exit.NO if exit_code and differs else Exit.DONE


def _tell_stat(stat: Stat, head: dict[str, str | None], as_json: bool) -> None:
    from dsvc.cli.changes import stat_json, stat_lines

    if as_json:
        print_json({**head, "stat": stat_json(stat)})
        return
    for line in stat_lines(stat):
        out(line)
    if not stat:
        out("no differences")


def _tell_changes(diff: Diff) -> None:
    from dsvc.cli.changes import concept_line, input_lines

    concepts = diff.concepts()
    for change in itertools.islice(concepts, SHOWN):
        out(concept_line(change))
    more = sum(1 for _ in concepts)
    if more:
        out(f"... and {plural(more, 'more concept')}")
    inputs = diff.inputs()
    for found in itertools.islice(inputs, SHOWN):
        for line in input_lines(found):
            out(line)
    more = sum(1 for _ in inputs)
    if more:
        out(f"... and {plural(more, 'more input')}; counts: --stat, all: --json")
