"""Two scores of one kind against each other: what got better, what worse, and which inputs account for it."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from dsvc.core.scoring.scores import Counts, Figures, Kind, Scores
from dsvc.errors import RefusedError


class Change(msgspec.Struct, frozen=True):
    """A figure on both sides, and how much it grew; None where it is not defined, or on one side only."""

    old: int | float | None
    new: int | float | None
    delta: int | float | None


class InputChange(msgspec.Struct, frozen=True):
    """An input whose counts changed. `mistakes` says by how many of them: below 0 there are fewer."""

    key: str
    old: Counts
    new: Counts
    mistakes: int


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Two scores compared. `better` and `worse` have the inputs with fewer and more mistakes, the most changed first.

    `even` has those that changed and have as many mistakes, `removed` and `added` the keys of one side only.
    A mistake is something wrong or something missed.
    """

    kind: Kind
    iou: float
    score: float
    figures: Mapping[str, Change]
    concepts: Mapping[str, Mapping[str, Change]]
    better: tuple[InputChange, ...]
    worse: tuple[InputChange, ...]
    even: tuple[InputChange, ...]
    removed: tuple[str, ...]
    added: tuple[str, ...]


def compare_scores(before: Scores, after: Scores) -> Comparison:
    """What changed from one evaluation to another. Raises RefusedError where their numbers mean different things."""
    for name, old, new in (
        ("type", before.kind, after.kind),
        ("IoU", before.iou, after.iou),
        ("score", before.score, after.score),
    ):
        if old != new:
            message = f"evaluations of different {name} cannot be compared: {old} and {new}"
            raise RefusedError(message, f"evaluate again, with the same {name}")
    changed = _changed_inputs(before.inputs, after.inputs)
    return Comparison(
        kind=before.kind,
        iou=before.iou,
        score=before.score,
        figures=_changes(before.figures, after.figures),
        concepts={
            name: _changes(before.concepts.get(name, {}), after.concepts.get(name, {}))
            for name in sorted(before.concepts.keys() | after.concepts.keys())
        },
        better=tuple(one for one in changed if one.mistakes < 0),
        worse=tuple(one for one in changed if one.mistakes > 0),
        even=tuple(one for one in changed if one.mistakes == 0),
        removed=tuple(sorted(before.inputs.keys() - after.inputs.keys())),
        added=tuple(sorted(after.inputs.keys() - before.inputs.keys())),
    )


def _changes(old: Figures, new: Figures) -> dict[str, Change]:
    names = [*old, *(name for name in new if name not in old)]
    return {name: _change(old.get(name), new.get(name)) for name in names}


def _change(old: int | float | None, new: int | float | None) -> Change:
    return Change(old, new, None if old is None or new is None else new - old)


def _changed_inputs(old: Mapping[str, Counts], new: Mapping[str, Counts]) -> list[InputChange]:
    """The inputs of both sides whose counts differ, the greatest change first, among equals by key."""
    changed = [
        InputChange(key, old[key], new[key], new[key].wrong + new[key].missed - old[key].wrong - old[key].missed)
        for key in old.keys() & new.keys()
        if old[key] != new[key]
    ]
    return sorted(changed, key=lambda one: (-abs(one.mistakes), one.key))
