"""A folder on its way from what it holds to a commit: what all steps of that share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from dsvc.core.layout.ground import BlockedError

if TYPE_CHECKING:
    from dsvc.core.layout.contents import Contents
    from dsvc.core.layout.folders import Checkout
    from dsvc.core.layout.placing import Files
    from dsvc.core.layout.record import Record
    from dsvc.core.repository import Repository
    from dsvc.core.state import State
    from dsvc.model.incoming import Progress
    from dsvc.store.ids import ObjectId


class Left(NamedTuple):
    """A file that was left as it is, by its path below the project's root, and why."""

    path: str
    reason: str


@dataclass
class Move:
    """`new` is what the folder is to hold, of `commit`, and `olds` what it may hold by now, by its `record`.

    With `is_full`, all files are looked at, and those that are missing are written; else those alone that differ
    between the commits. `left` are files that are left alone, by path.
    """

    repository: Repository
    checkout: Checkout
    commit: ObjectId
    state: State
    record: Record
    olds: list[Contents]
    new: Contents
    is_full: bool
    files: Files
    progress: Progress | None = None
    left: dict[str, Left] = field(default_factory=dict)

    def path(self, name: str) -> str:
        """The path, below the project's root, of a file of the folder."""
        return f"{self.checkout.folder}/{name}"

    def leave(self, path: str, reason: str) -> None:
        """Leave a file alone."""
        self.left[path] = Left(path, reason)

    def guard(self, path: str, work: Callable[[], None]) -> None:
        """Do some work on a file; what is in the way of it leaves the file alone."""
        try:
            work()
        except BlockedError as error:
            self.leave(path, str(error))
