"""What became of runs and evaluations that travelled, in words and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dsvc.cli.render import note, out, plural, shown
from dsvc.model.view import EVALUATION, RUN

if TYPE_CHECKING:
    from dsvc.model.view import Ref
    from dsvc.remote.ledgers import Entered

_TOLD = 5  # of those that were refused


def tell_entered(entered: Entered, source: str, target: str) -> None:
    """Tell of runs and evaluations that came from one place, such as `at origin`, to another."""
    for dataset in entered.datasets:
        counts = [(kind, entered.count_new(kind, dataset)) for kind in (RUN, EVALUATION)]
        out(f"{shown(dataset)}: {' and '.join(plural(count, f'new {kind}') for kind, count in counts if count)}")
    for ref in entered.kept:
        note(f"note: {_words(ref)} is another one {source} than {target}, and stays what it is {target}")
    for ref, wrong in entered.refused[:_TOLD]:
        note(f"note: {_words(ref)} {source} was left out: {shown(wrong)}")
    if len(entered.refused) > _TOLD:
        note(f"note: {len(entered.refused) - _TOLD:,} more were left out; all: --json")


def entered_json(entered: Entered) -> dict[str, Any]:
    """The members `runs` and `evaluations` of what is new."""
    return {f"{kind}s": [_row(ref) for ref in entered.new if ref[0] == kind] for kind in (RUN, EVALUATION)}


def refused_json(entered: Entered) -> list[dict[str, str]]:
    """What was left out, and why."""
    return [{"kind": ref[0], **_row(ref), "why": wrong} for ref, wrong in entered.refused]


def _row(ref: Ref) -> dict[str, str]:
    return {"dataset": ref[1], "id": ref[2]}


def _words(ref: Ref) -> str:
    return f"{ref[0]} {shown(ref[2])} of {shown(ref[1])}"
