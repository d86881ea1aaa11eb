"""Pins that nothing needs any more: those of commits that no lock file names."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from dsvc.model.view import PIN, PinRef, Ref

if TYPE_CHECKING:
    from dsvc.core.repository import Repository
    from dsvc.core.transaction import Refs
    from dsvc.store.ids import ObjectId

# Whether a lock file names a commit of a dataset.
IsLocked = Callable[[str, "ObjectId"], bool]


def idle_pins(repository: Repository, is_locked: IsLocked) -> frozenset[Ref]:
    """The pins of commits that no lock file names."""
    pins = repository.view.list(PIN)
    return frozenset(ref for ref, pin in pins if not is_locked(ref[1], cast(PinRef, pin).commit))


def drop_pins(repository: Repository, pins: frozenset[Ref]) -> None:
    """Take pins away, which is an operation, so that `undo` brings them back as long as it is kept."""

    def change(refs: Refs) -> None:
        for ref in pins:
            refs.set(ref, None)

    if pins:
        repository.change(f"gc: {len(pins)} pin{'' if len(pins) == 1 else 's'}", change)
