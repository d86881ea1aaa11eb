"""Donors: the remotes that a repository can be repaired from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from dsvc.core.repairing.mending import Donor
from dsvc.errors import DsvcError
from dsvc.remote.opening import open_remote
from dsvc.remote.settings import is_trusted, list_remotes

if TYPE_CHECKING:
    from dsvc.core.repository import Repository


def open_donors(repository: Repository, note: Callable[[str], None]) -> Iterator[Donor]:
    """The remotes that this workspace trusts, as donors. `note` is told of those that cannot be asked."""
    for remote in list_remotes(repository):
        if not is_trusted(repository, remote):
            note(f"remote {remote.name} is not asked: it came with the project, and was not used here yet")
            continue
        try:
            yield Donor(remote.name, open_remote(repository, remote).store)
        except DsvcError as error:
            note(error.message)
