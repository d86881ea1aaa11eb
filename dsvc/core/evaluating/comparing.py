"""Two evaluations of a dataset against each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from dsvc.core.evaluating.evaluation import read_scores
from dsvc.core.scoring.comparing import Comparison, compare_scores

if TYPE_CHECKING:
    from dsvc.core.dataset import Dataset
    from dsvc.core.ledger import Entry


class Compared(NamedTuple):
    """What changed from one evaluation to another; `notes` say where they are not of the same."""

    comparison: Comparison
    notes: tuple[str, ...]


def compare_evaluations(dataset: Dataset, old: Entry, new: Entry) -> Compared:
    """Compare two evaluations. Raises RefusedError where their numbers mean different things, DamagedError."""
    comparison = compare_scores(read_scores(dataset, old), read_scores(dataset, new))
    return Compared(comparison, tuple(_notes(old, new, comparison)))


def _notes(old: Entry, new: Entry, comparison: Comparison) -> list[str]:
    notes = []
    before, after = old.record["truth"], new.record["truth"]
    if before["commit"] != after["commit"]:
        revisions = f"{before['revision']} and {after['revision']}"
        diff = f"dsvc diff @{before['commit'][:12]} @{after['commit'][:12]}"
        notes.append(f"the ground truths differ, {revisions}; see how: {diff}")
    filters = [entry.record["where"] or "all inputs" for entry in (old, new)]
    if filters[0] != filters[1]:
        notes.append(f"the filters differ: {filters[0]}, and {filters[1]}")
    if old.record["predicted"] != new.record["predicted"]:
        notes.append("one is of inputs that have predictions only, the other of all")
    for keys, name in ((comparison.removed, "first"), (comparison.added, "second")):
        if keys:
            notes.append(f"{len(keys):,} input{'' if len(keys) == 1 else 's'} only in the {name} evaluation")
    return notes
