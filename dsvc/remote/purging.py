"""Purging: an input's media goes from this repository and from its remotes, and tombstones say so everywhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, NamedTuple

from dsvc.core.purging.planning import Doomed, find_doomed, find_shared, require_alone, require_found
from dsvc.core.purging.sweeping import Swept, bury, sweep
from dsvc.core.purging.uses import Histories, Use
from dsvc.core.references.places import scheme
from dsvc.errors import DsvcError, RefusedError, RemoteError
from dsvc.remote.guarded import blaming
from dsvc.remote.opening import open_remote
from dsvc.remote.settings import Remote, is_trusted, list_remotes, was_used

if TYPE_CHECKING:
    from dsvc.core.repository import Repository
    from dsvc.model.commit import Author, Moment
    from dsvc.model.incoming import Progress
    from dsvc.store.ids import ObjectId

HERE = ""


class Receipt(NamedTuple):
    """What was purged, or would be: blobs by key; why, by whom, when; and what went from which place ("" is here).

    `shared` are inputs that had the same bytes, with the places where they had. `passed_over` are remotes of the
    settings that were not touched, each with why.
    """

    dataset: str
    keys: tuple[str, ...]
    doomed: tuple[Doomed, ...]
    shared: tuple[tuple[str, Use], ...]
    reason: str
    author: Author
    time: Moment
    places: Mapping[str, Swept]
    passed_over: tuple[tuple[str, str], ...]


def remotes_to_purge(repository: Repository) -> tuple[list[Remote], list[tuple[str, str]]]:
    """The remotes that a purge goes to where none is named, and those that it passes over, each with why."""
    chosen, passed_over = [], []
    for remote in list_remotes(repository):
        if not is_trusted(repository, remote):
            passed_over.append((remote.name, "it came with the project, and was not used here yet"))
        elif scheme(remote.url) in ("http", "https"):
            passed_over.append((remote.name, "it can only be read; purge what it is made from"))
        elif not was_used(repository, remote):
            passed_over.append((remote.name, "nothing was pushed there or fetched from here"))
        else:
            chosen.append(remote)
    return chosen, passed_over


def purge(
    repository: Repository,
    dataset: str,
    keys: Sequence[str],
    reason: str,
    remotes: Sequence[Remote],
    *,
    passed_over: Iterable[tuple[str, str]] = (),
    everywhere: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> Receipt:
    """Take all media that inputs ever had out of this repository and of remotes, and leave tombstones.

    Bytes that other inputs have too are purged with `everywhere` alone. Raises NotFoundError, RefusedError, RemoteError
    before anything is changed; where a place fails later, the error says which are done, and purging again goes on.
    """
    if not reason.strip():
        raise RefusedError("a purge needs a reason, which stays", "dsvc purge KEY --reason TEXT")
    # Whoever is out of reach is missed before anything begins.
    opened = [(one.name, open_remote(repository, one, dry_run=dry_run, is_read=True)) for one in remotes]
    places = [_Place(HERE, repository), *(_Place(name, there) for name, there in opened)]
    doomed = _all_doomed(places, dataset, keys, progress)
    require_found(repository, dataset, keys, doomed)
    blobs = {one.blob: one.size for one in doomed}
    shared = tuple((place.name, use) for place in places for use in place.find_shared(dataset, keys, blobs))
    if not everywhere and not dry_run:
        require_alone(shared)
    moment = repository.now()
    command = f"purge {' '.join(keys)}: {reason}"[:200]
    swept = {} if dry_run else _carry_out(places, blobs, reason, command, moment)
    who = repository.identity
    return Receipt(dataset, tuple(keys), doomed, shared, reason, who, moment, swept, tuple(passed_over))


class _Place:
    """A repository that media is purged from, which tells of its damage as its own: this one, or a remote's."""

    def __init__(self, name: str, repository: Repository) -> None:
        self.name = name
        self.repository = repository
        with self._blamed():
            self._histories = Histories(repository)

    def _blamed(self) -> AbstractContextManager[None]:
        return blaming(self.name) if self.name != HERE else nullcontext()

    def find_doomed(self, dataset: str, keys: Sequence[str]) -> list[Doomed]:
        """What the inputs of some keys ever had here."""
        with self._blamed():
            return find_doomed(self.repository, self._histories, dataset, keys)

    def find_shared(self, dataset: str, keys: Sequence[str], blobs: Mapping[ObjectId, int]) -> list[Use]:
        """The other inputs that had some blobs here."""
        with self._blamed():
            return find_shared(self._histories, dataset, keys, blobs)

    def bury(self, blobs: Mapping[ObjectId, int], reason: str, command: str, moment: Moment) -> None:
        """Set tombstones here."""
        with self._blamed():
            bury(self.repository, blobs, reason, command, moment)

    def sweep(self, blobs: Mapping[ObjectId, int]) -> Swept:
        """Take the bytes away here."""
        with self._blamed():
            return sweep(self.repository, blobs)


def _all_doomed(
    places: Sequence[_Place], dataset: str, keys: Sequence[str], progress: Progress | None
) -> tuple[Doomed, ...]:
    """What the inputs of some keys ever had in any of the places."""
    found: dict[tuple[str, ObjectId], Doomed] = {}
    for count, place in enumerate(places):
        if progress is not None:
            progress("look through histories", count, len(places))
        for one in place.find_doomed(dataset, keys):
            known = found.get((one.key, one.blob), one)
            commits = tuple(dict.fromkeys((*known.commits, *one.commits)))
            found[one.key, one.blob] = known._replace(commits=commits, size=known.size or one.size)
    return tuple(found.values())


def _carry_out(
    places: Sequence[_Place], blobs: Mapping[ObjectId, int], reason: str, command: str, moment: Moment
) -> dict[str, Swept]:
    """Set tombstones everywhere, so that nobody brings the bytes back, and then take the bytes away everywhere."""
    swept: dict[str, Swept] = {}
    place = places[0]
    try:
        for place in places:
            place.bury(blobs, reason, command, moment)
        for place in places:
            swept[place.name] = place.sweep(blobs)
    except DsvcError as error:
        done = ", ".join(name or "here" for name in swept) or "nowhere yet"
        hint = f"the bytes are gone: {done}; run the same command again, and it goes on"
        kind = RemoteError if place.name != HERE else type(error)
        raise kind(error.message, hint) from error
    return swept
