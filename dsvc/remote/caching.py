"""The caches of remotes: where they lie, and how big they may become."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dsvc.errors import RefusedError
from dsvc.store.cached import CachedBackend
from dsvc.store.ids import Kind, object_id
from dsvc.store.local import LocalBackend
from dsvc.store.shelf import Shelf

if TYPE_CHECKING:
    from pathlib import Path

    from dsvc.core.repository import Repository
    from dsvc.store.backend import Backend

FOLDER = "remotes"
_LIMIT = 2 << 30
_KEY = 32  # hexadecimal digits


def remote_folder(cache: Path, url: str) -> Path:
    """The folder of what is known here of a remote, and can be found out anew, in a cache folder."""
    return cache / FOLDER / object_id(Kind.BLOB, url.encode()).hex()[:_KEY]


def cached(place: Backend, backend: Backend, url: str, repository: Repository, *, is_read: bool = False) -> Backend:
    """The `backend` of a `place` with a cache below the repository's cache folder; a folder on a disk needs none.

    With `is_read`, what is read of structure is kept there as well: it is not stored in this repository anyway.
    Raises RefusedError where the setting makes no sense.
    """
    limit = cache_limit(repository)
    return with_cache(place, backend, url, repository.cache_folder, limit, is_read=is_read)


def with_cache(
    place: Backend, backend: Backend, url: str, cache: Path | None, limit: int = _LIMIT, *, is_read: bool = False
) -> Backend:
    """The backend of a distant place with its cache below the folder `cache`, or in memory without one."""
    if isinstance(place, LocalBackend):
        return backend
    shelf = Shelf(None, limit) if cache is None else Shelf(remote_folder(cache, url), limit, cache / FOLDER)
    return CachedBackend(backend, shelf, keeps_blocks=is_read)


def cache_limit(repository: Repository) -> int:
    """How many bytes the caches of all remotes may have: the setting `remotes` under [cache], or 2 GiB.

    Raises RefusedError.
    """
    found = repository.workspace.setting("cache", "remotes")
    if found is None:
        return _LIMIT
    if type(found) is not int or found < 0:
        raise RefusedError("the setting remotes under [cache] is no number of bytes", "write: remotes = 2147483648")
    return found
