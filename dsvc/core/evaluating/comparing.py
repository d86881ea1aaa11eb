"""Two evaluations of a dataset against each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from dsvc.core.evaluating.evaluation import read_scores
from dsvc.core.evaluating.record import describe
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
    return Compared(comparison, tuple(_notes(dataset.name, old, new, comparison)))


def _notes(dataset: str, old: Entry, new: Entry, comparison: Comparison) -> list[str]:
    notes = []
    before, after = describe(old, dataset), describe(new, dataset)
    commits = [entry.record["truth"]["commit"][:12] for entry in (old, new)]
    if commits[0] != commits[1]:
        diff = f"dsvc diff @{commits[0]} @{commits[1]}"
        notes.append(f"the ground truths differ, {before.truth} and {after.truth}; see how: {diff}")
    if before.where != after.where:
        notes.append(f"the filters differ: {before.where or 'all inputs'}, and {after.where or 'all inputs'}")
    if before.predicted != after.predicted:
        notes.append("one is of inputs that have predictions only, the other of all")
    for keys, name in ((comparison.removed, "first"), (comparison.added, "second")):
        if keys:
            notes.append(f"{len(keys):,} input{'' if len(keys) == 1 else 's'} only in the {name} evaluation")
    return notes
