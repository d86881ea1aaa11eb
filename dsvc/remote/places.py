"""Where remotes lie: the backend of a remote's URL. A kind of place more is one row more of `_OPENERS`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from dsvc.core.clouds import cloud_settings
from dsvc.core.references.places import WEB, parse_place, scheme, shown_place
from dsvc.core.repository import FOLDER, INIT_BYTES, has_packs
from dsvc.errors import RefusedError, RemoteError
from dsvc.store.backend import FOLDERS, Backend
from dsvc.store.clouds import import_obstore, is_loopback, open_bucket
from dsvc.store.local import LocalBackend

if TYPE_CHECKING:
    from dsvc.core.workspace import Workspace
    from dsvc.store.bucket import BucketBackend

HEAD = "head"
# What a first push that broke off leaves in the folder.
_BEGUN = frozenset((*FOLDERS, "lock"))
_WEB_HINT = "name the place that it serves, a folder or a bucket, as a remote of its own, and push there"


def check_url(url: str) -> str:
    """A remote's URL as it is kept, if a remote can lie there.

    Raises RefusedError for one that holds a secret, and for places that are not supported.
    """
    kind = scheme(url)
    place = parse_place(url, Path("/"))
    if kind in WEB and "?" in place:
        raise RefusedError(f"{shown_place(url)}: is no beginning of URLs", "https://HOST/PATH")
    return place if kind not in ("", "file") else url


def open_place(url: str, project: Path | None, *, create: bool = False, workspace: Workspace | None = None) -> Backend:
    """The backend of a remote's URL; a path is relative to the project's folder, `workspace` has the settings.

    It has a head, but with `create` it may have none yet. Raises RemoteError where there is no repository, and with
    `create` where none can be made; RefusedError for URLs that are no remote's.
    """
    url = check_url(url)
    return _OPENERS[scheme(url)](url, project, create, workspace)


# ---- folders


def _open_folder(url: str, project: Path | None, create: bool, _: Workspace | None) -> Backend:
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
        if not path.parent.is_dir() and not create:
            raise RemoteError(f"{path} does not exist", "see its spelling, and whether its disk is mounted")
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
        raise RemoteError(f"{path} holds no repository yet", "see its spelling, or push there first: dsvc push")
    return path


@contextmanager
def _unreadable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RemoteError(
            f"{error.filename or path}: {error.strerror}", "check the path and its permissions"
        ) from error


# ---- object stores and web servers


def _open_bucket(url: str, project: Path | None, create: bool, workspace: Workspace | None) -> Backend:
    from dsvc.store.bucket import BucketBackend

    kind = scheme(url)
    bucket, _, prefix = url[len(kind) + 3 :].partition("/")
    settings = cloud_settings(workspace, kind)
    store = open_bucket(kind, bucket, settings)
    uploads = partial(open_bucket, kind, bucket, settings, for_uploads=True)
    backend = BucketBackend(store, prefix, shown_place(url), uploads)
    if backend.peek_head() is None:
        _require_room(backend, store, prefix.strip("/"), create)
    return backend


def _require_room(backend: BucketBackend, store: object, prefix: str, create: bool) -> None:
    """See in one listing that a repository can be made below a prefix. Raises RemoteError."""
    place, obstore = backend.attempts.place, import_obstore()
    found = backend.attempts.do(lambda: obstore.list_with_delimiter(store, prefix=prefix or None))
    paths = [*found["common_prefixes"], *(meta["path"] for meta in found["objects"] if meta["size"])]
    names = {path[len(prefix) :].strip("/") for path in paths}
    if HEAD in names and backend.peek_head() is not None:  # another one has made it meanwhile
        return
    if names - _BEGUN:
        raise RemoteError(f"{place} holds other files, and no dsvc repository", "name a repository, or an empty prefix")
    if "packs" in names and sum(info.size for info in backend.files("packs/")) > INIT_BYTES:
        message = f"{place} holds a repository's packs but no head, which names them"
        raise RemoteError(message, "bring the object head back from an older version of it, or name another prefix")
    if not create:
        raise RemoteError(f"{place} holds no repository yet", "see its spelling, or push there first: dsvc push")


def _open_web(url: str, _: Path | None, create: bool, workspace: Workspace | None) -> Backend:
    from dsvc.store.web import WebBackend

    if scheme(url) == "http" and not is_loopback(url) and not cloud_settings(workspace, "http").allow_http:
        message = f"{shown_place(url)} is not encrypted: whoever is on the way could change what comes"
        raise RefusedError(message, "use https, or where that is meant: allow_http = true below [web] in dsvc.toml")
    if create:
        raise RefusedError(f"{shown_place(url)}: a web server cannot be written to", _WEB_HINT)
    # A project that is served as it is has the repository in its folder.
    wrong: RemoteError | None = None
    for backend in (WebBackend(url, shown_place(url)), WebBackend(url, shown_place(url)).below(FOLDER)):
        try:
            if backend.peek_head() is not None:
                return backend
        except RemoteError as error:
            if not backend.attempts.has_answered:
                raise
            wrong = wrong or error
    hint = "is that the folder with the file head? a web server cannot be pushed to: copy a repository there"
    raise wrong or RemoteError(f"{shown_place(url)} holds no dsvc repository", hint)


_OPENERS: Mapping[str, Callable[[str, Path | None, bool, Workspace | None], Backend]] = {
    "": _open_folder,
    "file": _open_folder,
    **dict.fromkeys(("s3", "gs", "az"), _open_bucket),
    **dict.fromkeys(WEB, _open_web),
}
