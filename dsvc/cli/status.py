"""dsvc status."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dsvc.cli.render import holdings, json_option, out, plural, print_json
from dsvc.cli.session import Session, pass_session, shared_options

if TYPE_CHECKING:
    from dsvc.core.compare import Summary
    from dsvc.core.dataset import Status


@click.command("status")
@json_option
@shared_options
@pass_session
def status_command(session: Session, as_json: bool) -> None:
    """Show where the dataset stands and what is staged.

    \b
    JSON: {"dataset", "branch", "head", "versions": [NAME...], "inputs", "annotations", "concepts", "clean",
           "staged": {NOUN: {"added", "changed", "removed"}}, "conflicts"}
    """
    dataset = session.dataset()
    status = dataset.status()
    if as_json:
        print_json(_json(status))
        return
    at = f"at {status.head.short()}" if status.head else "no commits yet"
    versions = f" ({', '.join(status.versions)})" if status.versions else ""
    out(f"dataset {status.dataset}, branch {status.branch}, {at}{versions}")
    out(f"holds {holdings(status.counts)}")
    for line in staged_lines(status.summary):
        out(line)
    if status.conflicts:
        out(f"{plural(status.conflicts, 'record')} with open conflicts; next: dsvc conflicts")
    out(_next(status, dataset.has_draft()))


def _next(status: Status, has_draft: bool) -> str:
    if has_draft and status.is_clean:
        return "staged: no records, only what was taken from a source; next: dsvc commit -m TEXT"
    if has_draft:
        return "next: dsvc diff, then dsvc commit -m TEXT"
    if status.head is None:
        return "nothing staged; next: dsvc add PATH, or dsvc import FILE"
    return "nothing staged"


def staged_lines(summary: Summary) -> list[str]:
    """Counts of changes, a line per noun."""
    lines = []
    for noun in ("input", "annotation", "concept"):
        verbs = getattr(summary, f"{noun}s")
        words = [f"{verbs[verb]:,} {verb}" for verb in ("added", "changed", "removed") if verbs[verb]]
        if words:
            lines.append(f"  {noun}s: {', '.join(words)}")
    return ["staged:", *lines] if lines else []


def _json(status: Status) -> dict[str, object]:
    return {
        "dataset": status.dataset,
        "branch": status.branch,
        "head": status.head.hex() if status.head else None,
        "versions": status.versions,
        **status.counts,
        "clean": status.is_clean,
        "staged": summary_json(status.summary),
        "conflicts": status.conflicts,
    }


def summary_json(summary: Summary) -> dict[str, dict[str, int]]:
    """Counts of changes as JSON, by noun and verb."""
    return {noun: getattr(summary, noun) for noun in ("inputs", "annotations", "concepts")}
