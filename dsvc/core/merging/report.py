"""What a merge did to our side, counted."""

from __future__ import annotations

import msgspec

from dsvc.model.merging import same_but_number
from dsvc.model.node import has_conflict
from dsvc.model.treemerge import Sides


class Counts(msgspec.Struct):
    """Records of one kind. `combined` have what both sides changed of them; `restored` are there though one side had
    deleted them, since something else needs them; in `conflicts`, a field was changed to different values."""

    added: int = 0
    removed: int = 0
    changed: int = 0
    combined: int = 0
    restored: int = 0
    conflicts: int = 0

    def __bool__(self) -> bool:
        return any((self.added, self.removed, self.changed, self.combined, self.restored, self.conflicts))

    def count(self, sides: Sides, merged: bytes | None, times: int = 1) -> None:
        """Note what became of one record that differs; -1 times takes it back."""
        ours = sides.ours
        if merged == ours:
            return
        if merged is None:
            self.removed += times
        elif has_conflict(merged) and not (ours is not None and has_conflict(ours)):
            self.conflicts += times
        elif ours is None:
            self.added += times
        elif not same_but_number(merged, ours):
            if ours == sides.base or merged == sides.theirs:
                self.changed += times
            else:
                self.combined += times


class MergeReport(msgspec.Struct):
    """What a merge did to our side, by the kind of record."""

    concepts: Counts = msgspec.field(default_factory=Counts)
    inputs: Counts = msgspec.field(default_factory=Counts)
    annotations: Counts = msgspec.field(default_factory=Counts)

    @property
    def conflicts(self) -> int:
        """In how many records a conflict was opened."""
        return self.concepts.conflicts + self.inputs.conflicts + self.annotations.conflicts

    def __bool__(self) -> bool:
        return bool(self.concepts or self.inputs or self.annotations)
