"""Where a workspace notes what travelled to or from a remote and is listed nowhere yet."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from dsvc.errors import DsvcError
from dsvc.remote import caching
from dsvc.store.resuming import Journal

if TYPE_CHECKING:
    from collections.abc import Collection

    from dsvc.core.repository import Repository
    from dsvc.core.transaction import Transaction
    from dsvc.remote.settings import Remote
    from dsvc.store.ids import ObjectId

SENT, RECEIVED = "sent", "received"


def remote_folder(repository: Repository, remote: Remote) -> Path | None:
    """The folder of what is known here of a remote, and can be found out anew; None for a repository without one."""
    with contextlib.suppress(DsvcError):
        folder = repository.cache_folder
        if folder is not None:
            return caching.remote_folder(folder, remote.url)
    return None


def resume(
    transaction: Transaction, repository: Repository, remote: Remote, what: str, purged: Collection[ObjectId]
) -> None:
    """Let a transaction take up what one that broke off has `SENT` or `RECEIVED`, and note what it does itself. Packs
    that hold `purged` blobs are left alone."""
    folder = remote_folder(repository, remote)
    if folder is not None:
        transaction.writer.resume(Journal(folder / what), purged)


def has_notes(repository: Repository, remote: Remote) -> bool:
    """Whether something came from a remote that the next transaction can take up."""
    folder = remote_folder(repository, remote)
    return folder is not None and any(Journal(folder / RECEIVED).load())
