"""Opening a remote as a repository, which it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dsvc.core.references.places import scheme
from dsvc.core.repository import Repository
from dsvc.errors import RefusedError, RemoteError
from dsvc.remote.caching import cached
from dsvc.remote.guarded import GuardedBackend, blaming
from dsvc.remote.places import open_place
from dsvc.remote.settings import Remote, note_used, require_trusted, was_used
from dsvc.store.head import HeadMovedError
from dsvc.store.memory import MemoryBackend

if TYPE_CHECKING:
    from dsvc.store.backend import Backend


def open_remote(
    repository: Repository, remote: Remote, *, create: bool = False, dry_run: bool = False, is_read: bool = False
) -> Repository:
    """The remote as a repository, in which this one's author and workspace sign. With `create` it is made in an empty
    or new folder; a `dry_run` makes it in memory then. With `is_read`, its cache keeps structure for the next time.

    Raises RefusedError where the remote is not trusted, RemoteError where it is out of reach or cannot be read.
    """
    require_trusted(repository, remote)
    # Where one was before and none is now, a disk is missing, say; one made anew would take the pushes in its place.
    create = create and not was_used(repository, remote)
    try:
        place = open_place(remote.url, repository.root, create=create, workspace=repository.workspace)
    except RemoteError as error:
        first = "is its disk mounted?" if scheme(remote.url) in ("", "file") else f"{error.hint};"
        gone = f"{first} if it is gone for good: dsvc remote remove {remote.name}, and add it again"
        hint = gone if was_used(repository, remote) else error.hint
        raise RemoteError(f"remote {remote.name}: {error.message}", hint) from error
    backend = cached(place, GuardedBackend(place, remote.name), remote.url, repository, is_read=is_read)
    with blaming(remote.name):
        if create and backend.read_head() is None:
            backend = MemoryBackend() if dry_run else backend
            _make(backend, repository)
        opened = Repository(backend, None, repository.author, repository.now)
        opened.store.preload()
        # What is done there was done from here, and is for no other workspace to undo.
        opened.workspace = repository.workspace
    if not dry_run:
        note_used(repository, remote)
    return opened


def _make(backend: Backend, repository: Repository) -> None:
    try:
        Repository.create_in(backend, None, repository.author)
    except (HeadMovedError, RefusedError):  # another one has made it meanwhile
        if backend.read_head() is None:
            raise
