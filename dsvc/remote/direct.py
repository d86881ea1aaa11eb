"""Straight on a remote: a repository in another place that is read without a clone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from dsvc.core.references.places import shown_place
from dsvc.core.repository import ANONYMOUS, MAIN, Repository
from dsvc.errors import DamagedError, DsvcError, NotFoundError, RefusedError
from dsvc.model.view import BRANCH, DATASET
from dsvc.remote.bringing import Place
from dsvc.remote.caching import with_cache
from dsvc.remote.guarded import GuardedBackend, blaming
from dsvc.remote.lazy import Remotes
from dsvc.remote.opening import open_remote
from dsvc.remote.places import open_place
from dsvc.store.cached import CachedBackend

if TYPE_CHECKING:
    from dsvc.core.dataset import Dataset
    from dsvc.core.transaction import Transaction
    from dsvc.model.commit import Author
    from dsvc.remote.settings import Remote
    from dsvc.store.backend import Backend, Upload
    from dsvc.store.ids import ObjectId


class _ReadingBackend(GuardedBackend):
    """A distant place that nothing writes to."""

    def __init__(self, backend: Backend, name: str, place: str) -> None:
        super().__init__(backend, name)
        self._place = place

    def create(self) -> Upload:
        """Raises RefusedError."""
        raise _only_read(self._place)

    def delete(self, name: str) -> None:
        """Raises RefusedError."""
        raise _only_read(self._place)

    def delete_all(self, names: Iterable[str]) -> None:
        """Raises RefusedError."""
        raise _only_read(self._place)

    def swap_head(self, expected: bytes | None, new: bytes) -> bool:
        """Raises RefusedError."""
        raise _only_read(self._place)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Who only reads takes no turn."""
        yield


def _only_read(place: str) -> RefusedError:
    return RefusedError(f"{place} is only read here; nothing was changed", f"clone it: dsvc clone {place}")


class DistantRepository(Repository):
    """A repository in another place, which is only read. `place` is how it may be shown."""

    def __init__(self, backend: Backend, place: str, author: Author | None = None) -> None:
        super().__init__(backend, None, author or ANONYMOUS)
        self.place = place
        # Media that is announced comes in few requests. It is kept nowhere.
        self.store.read_ahead(_Itself(self))

    def transaction(self, command: str) -> Transaction:
        """Nothing is changed here. Raises RefusedError."""
        raise _only_read(self.place)

    def default_branch(self, dataset: str) -> str:
        """The branch of a dataset that a clone would begin on."""
        branches = [ref[2] for ref, _ in self.view.list(BRANCH, dataset)]
        return MAIN if MAIN in branches or not branches else branches[0]

    def dataset(self, name: str | None = None, branch: str | None = None) -> Dataset:
        """A dataset by name, or the only one. Raises NotFoundError."""
        if name is None and self.workspace.dataset is None:
            names = [ref[1] for ref, _ in self.view.list(DATASET)]
            if len(names) != 1:
                hint = f"name one of them (-d of the command): {', '.join(names[:8])}" if names else None
                raise NotFoundError(f"{self.place} holds {'several datasets' if names else 'no dataset'}", hint)
            self.workspace.select(names[0], self.default_branch(names[0]))
        return super().dataset(name, branch)

    def __repr__(self) -> str:
        return f"Repository({self.place!r})"


class _Itself(Remotes):
    """A distant repository's own store, read many blobs at a time."""

    def __init__(self, repository: DistantRepository) -> None:
        super().__init__(repository)
        self._opened = [Place.of(repository, repository.place)]
        self._place = repository.place

    def explain(self, id: ObjectId) -> DsvcError:
        """The error for a blob that is not there, and was not purged."""
        return DamagedError(f"{self._place} lacks blob {id.short()}", "push it there from a clone that has it")


def open_distant(url: str, author: Author | None = None, cache: Path | None = None) -> DistantRepository:
    """The repository at a URL, or at an absolute path, to be read. `cache` is a folder for copies of its indexes and
    records, which may be shared and removed at any time; without, nothing is kept. Raises RemoteError, RefusedError."""
    place, there = shown_place(url), open_place(url, None)
    backend = with_cache(there, _ReadingBackend(there, place, place), url, cache, is_read=True)
    found = _opened(backend, place, author)
    found.reopen = partial(open_distant, url, author, cache)
    return found


def open_named(repository: Repository, remote: Remote) -> DistantRepository:
    """A remote of a repository, to be read. Raises RefusedError where it is not trusted, RemoteError."""
    there = open_remote(repository, remote, dry_run=True, is_read=True)
    backend: Backend = there.store.backend
    if isinstance(backend, CachedBackend):
        backend.distant = _ReadingBackend(backend.distant, remote.name, remote.place)
    else:
        backend = _ReadingBackend(backend, remote.name, remote.place)
    return _opened(backend, remote.place, repository.author)


def _opened(backend: Backend, place: str, author: Author | None) -> DistantRepository:
    with blaming(place):
        found = DistantRepository(backend, place, author)
        found.store.patience = 1.0  # for what follows here
        if len(list(found.view.list(DATASET))) == 1:
            found.dataset()  # then it is the current one
        found.store.patience = 0.0
        return found
