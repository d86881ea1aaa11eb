"""Counts of what differs, in all and by concept."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from dsvc.core.diffing.change import Change
from dsvc.core.diffing.grouping import Group
from dsvc.core.recasting import concept_of
from dsvc.model.node import has_conflict
from dsvc.model.tree import Tree

if TYPE_CHECKING:
    from dsvc.core.diffing.diff import Diff

INPUT_COUNTS = ("added", "changed", "renamed", "removed")
CONCEPT_COUNTS = ("added", "changed", "removed")
ANNOTATION_COUNTS = (
    "added",
    "changed",
    "removed",
    "moved",
    "reshaped",
    "relabelled",
    "attributes",
    "text",
    "other",
    "new_id",
    "conflict",
    "settled",
)
BY_CONCEPT = ("added", "removed", "moved", "reshaped", "relabelled_from", "relabelled_to", "other")
_PLACED = ("moved", "reshaped")


class Stat(msgspec.Struct, frozen=True):
    """Counts of changes. `by_concept` counts annotations by the concept that they have; None where they have none.

    Of annotations, `changed` are those on both sides; how they changed is counted besides, and they may have changed
    in several ways. A relabelled one counts for the concept that it had, and for the one that it has.
    """

    concepts: dict[str, int]
    inputs: dict[str, int]
    annotations: dict[str, int]
    by_concept: dict[str | None, dict[str, int]]

    def __bool__(self) -> bool:
        return any(any(counts.values()) for counts in (self.concepts, self.inputs, self.annotations))


class _Counts:
    def __init__(self) -> None:
        self.annotations: Counter[str] = Counter()
        self.by_concept: dict[str, Counter[str | None]] = {name: Counter() for name in BY_CONCEPT}

    def add_stored(self, tree: Tree, verb: str) -> None:
        """Count a whole tree of annotations."""
        self.annotations[verb] += len(tree)
        self.annotations["conflict"] += tree.conflicts if verb == "added" else 0
        by_concept = self.by_concept[verb]
        for keys, values in tree.runs():
            by_concept.update(map(concept_of, keys, values))

    def add_group(self, group: Group) -> bool:
        """Count annotations that are all on one side, and so need not be compared; False where they are not."""
        sides = {(one.old is None, one.new is None) for one in group.annotations}
        if len(sides) != 1 or sides == {(False, False)}:
            return False
        verb = "added" if (True, False) in sides else "removed"
        self.annotations[verb] += len(group.annotations)
        self.annotations["conflict"] += sum(one.new is not None and has_conflict(one.new) for one in group.annotations)
        key = group.key.encode()
        self.by_concept[verb].update(concept_of(key, one.new or one.old or b"") for one in group.annotations)
        return True

    def add(self, change: Change) -> None:
        """Count one change of an annotation."""
        old, new = (getattr(side, "concept", None) for side in (change.old, change.new))
        if change.verb != "changed":
            self.annotations.update(change.kinds)
            self.by_concept[change.verb][new if change.old is None else old] += 1
            return
        self.annotations.update(("changed", *change.kinds))
        concept = new if new is not None else old
        for kind in _PLACED:
            self.by_concept[kind][concept] += kind in change.kinds
        if "relabelled" in change.kinds:
            self.by_concept["relabelled_from"][old] += 1
            self.by_concept["relabelled_to"][new] += 1
        elif not any(kind in change.kinds for kind in _PLACED):
            self.by_concept["other"][concept] += 1

    def concepts(self) -> dict[str | None, dict[str, int]]:
        """By concept, those with the most changes first."""
        names = {name for counts in self.by_concept.values() for name, count in counts.items() if count}
        found = {name: {kind: self.by_concept[kind][name] for kind in BY_CONCEPT} for name in names}
        return dict(sorted(found.items(), key=lambda item: (-sum(item[1].values()), item[0] is None, item[0] or "")))


def stat_of(diff: Diff) -> Stat:
    """Count what differs. Annotations that are on one side only are read no further than their concept."""
    from dsvc.core.diffing.diff import InputDiff

    counts, inputs = _Counts(), Counter[str]()
    concepts = Counter[str](change.verb for change in diff.concepts())
    one_side = diff.is_whole and _count_one_side(diff, counts)
    for group in diff.groups(annotations=not one_side):
        found = InputDiff(diff, group)
        all_wanted = diff.wanted(group.key) is None
        if all_wanted and found.is_one_sided:
            inputs["added" if group.old is None else "removed"] += 1
        elif all_wanted and found.input is not None:
            inputs["renamed" if "renamed" in found.input.kinds else "changed"] += 1
        if not one_side and not (all_wanted and counts.add_group(group)):
            for change in found.annotations:
                counts.add(change)
    return Stat(
        {name: concepts[name] for name in CONCEPT_COUNTS},
        {name: inputs[name] for name in INPUT_COUNTS},
        {name: counts.annotations[name] for name in ANNOTATION_COUNTS},
        counts.concepts(),
    )


def _count_one_side(diff: Diff, counts: _Counts) -> bool:
    """Count the annotations at once where one side has none; whether that was done."""
    old, new = diff.old.annotation_tree, diff.new.annotation_tree
    if len(old) and len(new):
        return False
    counts.add_stored(new, "added")
    counts.add_stored(old, "removed")
    return True
