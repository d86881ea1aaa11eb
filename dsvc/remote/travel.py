"""What both directions share: the refs as they were seen, what was purged on either side, and how objects travel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dsvc.model.view import TOMBSTONE, View, tombstones
from dsvc.remote.copying import Copier
from dsvc.remote.guarded import owning
from dsvc.remote.journals import RECEIVED, SENT, resume

if TYPE_CHECKING:
    from dsvc.core.repository import Repository
    from dsvc.core.transaction import Refs, Transaction
    from dsvc.model.incoming import Progress
    from dsvc.remote.settings import Remote
    from dsvc.remote.source import Source


def seen(repository: Repository) -> View:
    """The refs as they were when the repository was last looked at, without another look."""
    return View(repository.store.history, repository.operation.view, repository.cache)


def receiver(
    transaction: Transaction, there: Repository, remote: Remote, source: Source, progress: Progress | None
) -> Copier:
    """Brings what a transaction of this repository needs of a remote."""
    repository = transaction.repository
    purged = tombstones(seen(there)).keys() | tombstones(seen(repository)).keys()
    resume(transaction, repository, remote, RECEIVED, purged)
    return Copier(source, transaction.writer, progress, media=remote.media, purged=purged)


def sender(
    transaction: Transaction, repository: Repository, remote: Remote, source: Source, progress: Progress | None
) -> Copier:
    """Brings what a transaction of a remote needs of this repository."""
    with owning():
        ours = tombstones(repository.view)
    purged = ours.keys() | tombstones(seen(transaction.repository)).keys()
    resume(transaction, repository, remote, SENT, purged)
    return Copier(source, transaction.writer, progress, purged=purged)


def unite_tombstones(refs: Refs, other: View) -> None:
    """Take in the tombstones of the other side. Those that are here stay as they are."""
    for ref, value in other.list(TOMBSTONE):
        if refs.get(*ref) is None:
            refs.set(ref, value)
