"""Plans: what a collection would free, and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from dsvc.store.frame import FRAME_OVERHEAD
from dsvc.store.ids import Kind

if TYPE_CHECKING:
    from dsvc.store.fates import Fates
    from dsvc.store.table import Array, Table

# Why something goes: nothing that is kept reaches it; it is an operation older than is kept; it is media that a
# tombstone names; it is stored twice; it is a file that nothing lists, left over by work that broke off.
REASONS = ("unreached", "operations", "purged", "twice", "leftover")


class Amount(NamedTuple):
    """So many objects, or files, of so many bytes."""

    number: int = 0
    bytes: int = 0


class Plan(NamedTuple):
    """What would go, by reason, objects and, of "leftover", files; `objects` is how many there are.

    `young` would go but for the grace. `moved` are the bytes of packs that are written anew, `packs` how many there
    are; `operations` is how many operations are kept, `pins` how many pins go.
    """

    objects: int
    reasons: Mapping[str, Amount]
    young: Amount
    moved: int
    packs: int
    operations: int
    pins: int = 0

    @property
    def freed(self) -> Amount:
        """All that would go together."""
        return Amount(sum(one.number for one in self.reasons.values()), sum(one.bytes for one in self.reasons.values()))


def summarize(
    table: Table, fates: Fates, marks: tuple[Array, Array], banned: Array, leftovers: Mapping[str, int], operations: int
) -> Plan:
    """The plan of what was decided. `marks` tell which rows stay, and which of these not for the grace alone."""
    live, reached = marks
    stored = table.rows["stored"].astype("i8") + FRAME_OVERHEAD
    kinds = table.rows["kind"]
    gone = ~fates.kept & table.is_first & ~live
    parts = {
        "unreached": gone & ~banned & (kinds != Kind.OPERATION),
        "operations": gone & ~banned & (kinds == Kind.OPERATION),
        "purged": banned,
        "twice": ~table.is_first & ~banned,
    }
    reasons = {name: Amount(int(rows.sum()), int(stored[rows].sum())) for name, rows in parts.items()}
    reasons["leftover"] = Amount(len(leftovers), sum(leftovers.values()))
    young = live & ~reached
    moved = sum(pack.size for pack, moves in zip(table.packs, fates.move.tolist(), strict=True) if moves)
    return Plan(
        objects=int(table.is_first.sum()),
        reasons=reasons,
        young=Amount(int(young.sum()), int(stored[young].sum())),
        moved=moved,
        packs=len(table.packs),
        operations=operations,
    )
