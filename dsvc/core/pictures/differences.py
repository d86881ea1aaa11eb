"""Differences to draw: what the cell of an input that differs is made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dsvc.core.pictures.cells import Entry, Subject
from dsvc.core.pictures.colours import ADDED, REMOVED, Colour
from dsvc.core.pictures.marks import Mark, Marker
from dsvc.core.pictures.samples import announced
from dsvc.errors import NotFoundError
from dsvc.model.records import Annotation

if TYPE_CHECKING:
    from dsvc.core.diffing.change import Change
    from dsvc.core.diffing.diff import InputDiff
    from dsvc.core.state import State

_COLOURS = {"added": ADDED, "removed": REMOVED, "changed": ADDED}


def announce(found: Sequence[InputDiff], old: State, new: State) -> None:
    """Say of which inputs media is read next."""
    for side in (old, new):
        announced(side, [one.key for one in found if _is_there(one) == (side is new)])


def differing(found: InputDiff, old: State, new: State, marker: Marker) -> Subject:
    """What the cell of an input that differs is made of. Where it was removed, it is shown as it was."""
    state = new if _is_there(found) else old
    record = state.input(found.key)
    if record is None:
        raise NotFoundError(f"no input {found.key!r}", "see what differs: dsvc diff A B")
    marks = [mark for change in found.annotations for mark in _marks(change, marker)]
    if not found.is_one_sided:
        told = {change.new.id for change in found.annotations if isinstance(change.new, Annotation)}
        marks += [marker.same(one) for one in state.annotations(found.key) if one.id not in told]
    frame, sign = _frame(found)
    was = f"{found.group.old_key} -> " if found.group.old_key is not None else ""
    fields = tuple(found.input.fields()) if found.input is not None and not found.is_one_sided else ()
    return Subject(state, record, f"{sign}{was}{found.key}", marks, _legend(found, marks), fields, frame)


def _is_there(found: InputDiff) -> bool:
    """Whether an input that differs is on the new side."""
    return found.group.same or found.group.new is not None


def _frame(found: InputDiff) -> tuple[Colour | None, str]:
    if not found.is_one_sided:
        return None, ""
    return (ADDED, "+ ") if _is_there(found) else (REMOVED, "- ")


def _marks(change: Change, marker: Marker) -> Sequence[Mark]:
    """The marks of an annotation that differs."""
    old, new = change.old, change.new
    if isinstance(old, Annotation) and isinstance(new, Annotation):
        return marker.changed(old, new)
    if isinstance(new, Annotation):
        return (marker.added(new),)
    return (marker.removed(old),) if isinstance(old, Annotation) else ()


def _legend(found: InputDiff, marks: Sequence[Mark]) -> tuple[Entry, ...]:
    """The classes of the whole picture that differ, and how many annotations came, went and changed."""
    classes = (Entry(mark.colour, mark.label, True) for mark in marks if not mark.has_place and mark.label)
    verbs = [change.verb for change in found.annotations]
    counts = (Entry(colour, f"{verbs.count(verb):,} {verb}") for verb, colour in _COLOURS.items() if verb in verbs)
    return (*classes, *counts)
