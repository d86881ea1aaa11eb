"""Lazy media: blobs that are not here come from the remotes, the first that has one, in the order of the settings."""

from __future__ import annotations

import threading
import weakref
from functools import partial
from typing import TYPE_CHECKING, cast

from dsvc.errors import DamagedError, DsvcError, PurgedError, RefusedError, RemoteError
from dsvc.model.view import TombstoneRef, View, tombstone_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from dsvc.core.repository import Repository
    from dsvc.remote.bringing import Place
    from dsvc.remote.settings import Remote
    from dsvc.store.frame import Entry, Packed
    from dsvc.store.ids import ObjectId

_PURGED_HINT = "a purge is for good; the record stays"


def attach(repository: Repository, remote: Remote | None = None) -> None:
    """Let a repository read media that it does not hold from its remotes, or from one. Costs nothing until that is
    needed."""
    repository.store.elsewhere = Remotes(repository, remote)
    if repository.reopen is not None:
        repository.reopen = partial(_reattached, repository.reopen, remote)


def _reattached(reopen: Callable[[], Repository], remote: Remote | None) -> Repository:
    """The same in another process."""
    repository = reopen()
    attach(repository, remote)
    return repository


class Remotes:
    """The remotes of a repository, opened when they are first asked. One that is not trusted is never asked."""

    def __init__(self, repository: Repository, remote: Remote | None = None) -> None:
        """All of them, or only the one that is given."""
        self._repository = weakref.ref(repository)  # whose store refers to this
        self._only = remote
        self._lock = threading.Lock()
        self._opened: list[Place] | None = None

    def _places(self) -> list[Place]:
        """The remotes that may be asked. A remote that is out of reach says so when it is."""
        with self._lock:
            repository = self._repository()
            if self._opened is None and repository is not None:
                from dsvc.remote.bringing import Place
                from dsvc.remote.settings import is_trusted, list_remotes

                remotes = list_remotes(repository) if self._only is None else [self._only]
                trusted = [remote for remote in remotes if is_trusted(repository, remote)]
                self._opened = [Place(repository, remote) for remote in trusted]
            return self._opened or []

    def has(self, id: ObjectId) -> bool:
        """Whether a remote has a blob. Raises RemoteError where none is known to, and one is out of reach."""
        return self.entry(id) is not None

    def entry(self, id: ObjectId) -> Entry | None:
        """What a remote's index says of a blob. Raises RemoteError where none has it, and one is out of reach."""
        found = self._first(id)
        return found[1] if found is not None else None

    def _first(self, id: ObjectId) -> tuple[Place, Entry] | None:
        failed: RemoteError | None = None
        for place in self._places():
            try:
                if (found := place.find(id)) is not None:
                    return place, found.entry
            except RemoteError as error:
                failed = failed or error
        if failed is not None:
            raise failed
        return None

    def entries(self, ids: Sequence[ObjectId]) -> dict[ObjectId, Entry]:
        """What the remotes' indexes say of blobs. Raises RemoteError where some were not found, and one is out of
        reach."""
        found: dict[ObjectId, Entry] = {}
        failed: RemoteError | None = None
        for place in self._places():
            left = [id for id in ids if id not in found]
            if not left:
                break
            try:
                found |= {id: location.entry for id, location in place.find_all(left).items()}
            except RemoteError as error:
                failed = failed or error
        if failed is not None and len(found) < len(set(ids)):
            raise failed
        return found

    def fetch(self, ids: Sequence[ObjectId]) -> Iterator[Packed]:
        """Bring blobs. Raises RemoteError, after what could be brought."""
        from dsvc.remote.bringing import Trip

        trip = Trip(self._places(), ids)
        trip.begin()
        return trip.blobs()

    def pieces(self, id: ObjectId) -> Iterator[bytes]:
        """One big blob, piece by piece. Raises RemoteError."""
        found = self._first(id)
        if found is None:
            raise RemoteError(f"blob {id.short()} is at no remote any more", "look again: dsvc fetch")
        return found[0].pieces(id)

    def explain(self, id: ObjectId) -> DsvcError:
        """The error for a blob that is neither here nor at a remote: whether it was purged, or which remote is not
        asked."""
        repository = self._repository()
        if repository is None:
            return DamagedError(f"blob {id} is missing")
        for place in self._places():  # what this repository knows of it, it has told before
            if (told := purged(place.view, id)) is not None:
                return told
        return _nowhere(repository, id)


def purged(view: View, id: ObjectId) -> DsvcError | None:
    """The error for a blob of which a tombstone says that it was purged, and why; None where none does."""
    from dsvc.core.purging.tombstones import told

    found = cast("TombstoneRef | None", view.get(*tombstone_of(id)))
    return PurgedError(f"media {id.short()} was {told(found)}", _PURGED_HINT) if found is not None else None


def _nowhere(repository: Repository, id: ObjectId) -> DsvcError:
    from dsvc.remote.settings import is_trusted, list_remotes

    remotes = list_remotes(repository)
    unused = [remote.name for remote in remotes if not is_trusted(repository, remote)]
    message = f"blob {id.short()} is not here"
    if unused:
        name = unused[0]
        return RefusedError(f"{message}, and remote {name}, which may have it, was not used here yet", _agree(name))
    if remotes:
        names = ", ".join(remote.name for remote in remotes)
        return DamagedError(f"{message}, nor at {names}", "bring it back from another clone: push it from there")
    return DamagedError(f"{message}, and there is no remote", "name one that has it: dsvc remote add origin URL")


def _agree(name: str) -> str:
    return f"if that is the right place: dsvc fetch {name} --yes"
