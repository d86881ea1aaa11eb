"""Where remotes lie: the backend of a remote's URL. A kind of place more is one row more of `_OPENERS`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from dsvc.core.references.places import parse_place, scheme, shown_place
from dsvc.core.repository import FOLDER, has_packs
from dsvc.errors import RefusedError, RemoteError
from dsvc.store.backend import FOLDERS, Backend
from dsvc.store.local import LocalBackend

HEAD = "head"
# What a first push that broke off leaves in the folder.
_BEGUN = frozenset((*FOLDERS, "lock"))


def check_url(url: str) -> str:
    """A remote's URL as it is kept, if a remote can lie there.

    Raises RefusedError for one that holds a secret, and for places that are not supported.
    """
    kind = scheme(url)
    parse_place(url, Path("/"))
    if kind not in _OPENERS:
        message = f"{shown_place(url)}: remotes in object stores and on web servers come with a later release"
        raise RefusedError(message, "name a folder, which may lie on a network disk: dsvc remote add NAME PATH")
    return url


def open_place(url: str, project: Path | None, *, create: bool = False) -> Backend:
    """The backend of a remote's URL; a path is relative to the project's folder.

    It has a head, but with `create` it may have none yet. Raises RemoteError where there is no repository, and with
    `create` where none can be made; RefusedError for URLs that are no remote's.
    """
    return _OPENERS[scheme(check_url(url))](url, project, create)


def _open_folder(url: str, project: Path | None, create: bool) -> Backend:
    path = Path(parse_place(url, project or Path()))
    with _unreadable(path):
        folder = _layout(path)
        if folder is None:
            folder = _new_layout(path, create)
    if project is not None and folder.resolve() == (project / FOLDER).resolve():
        raise RefusedError(f"{path} is this repository itself", "name another place: dsvc remote add NAME PATH")
    return LocalBackend(folder)


def _layout(path: Path) -> Path | None:
    """The folder that has the head: of a project, or the layout alone."""
    return next((folder for folder in (path / FOLDER, path) if (folder / HEAD).is_file()), None)


def _new_layout(path: Path, create: bool) -> Path:
    """The folder where a repository can be made. Raises RemoteError."""
    if not path.exists():
        if not path.parent.is_dir():
            raise RemoteError(f"{path.parent} does not exist", f"is its disk mounted? or make it: mkdir -p {path}")
        if not create:
            raise RemoteError(f"{path} does not exist", "is its disk mounted? or push there first: dsvc push")
        return path
    others = {child.name for child in path.iterdir()} - _BEGUN
    has_lost_head = has_packs(path)
    if (path / HEAD).is_file():  # another one has made it meanwhile
        return path
    if others:
        raise RemoteError(f"{path} holds other files, and no dsvc repository", "name a repository, or a new folder")
    if has_lost_head:
        message = f"{path} holds a repository's packs but no head, which names them"
        raise RemoteError(message, "bring the file head back from a backup, or move the folder away")
    if not create:
        raise RemoteError(f"{path} holds no repository yet", "push there first: dsvc push")
    return path


@contextmanager
def _unreadable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RemoteError(
            f"{error.filename or path}: {error.strerror}", "check the path and its permissions"
        ) from error


_OPENERS: Mapping[str, Callable[[str, Path | None, bool], Backend]] = {"": _open_folder, "file": _open_folder}
