"""Places in object stores: s3://, gs:// and az://, by obstore, which takes credentials as the clouds' own tools do."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from dsvc.core.clouds import cloud_settings
from dsvc.core.references.places import CLOUD, PIECE, Look, PlaceError, Source, scheme
from dsvc.errors import DsvcError
from dsvc.store.clouds import import_obstore, open_bucket

if TYPE_CHECKING:
    from dsvc.core.workspace import Workspace

RETRIES = 3
BATCH = 1000  # objects of a listing that are handed on together
_UNSIGNED = (
    "may not be read without credentials, and its endpoint or account came with the project; "
    "if that is the right one, write it into .dsvc/workspace.toml, too"
)
_URL = re.compile(r"https?://\S+")
_STATUS = re.compile(r"status code: (\d{3} [A-Za-z ]+)")


class Cloud:
    """The buckets that were met so far, each opened once. The settings are [s3] endpoint, region, allow_http."""

    def __init__(self, workspace: Workspace | None) -> None:
        self._workspace = workspace
        self._stores: dict[str, Any] = {}
        self._unsigned: set[str] = set()  # kinds whose endpoint came with the project
        self._lock = threading.Lock()

    def require(self, places: Iterable[str]) -> None:
        """Open the buckets of places, so that what is wrong with the settings shows at once. Raises RefusedError."""
        for place in places:
            if scheme(place) in CLOUD:
                self._find(place)

    def look(self, place: str) -> Look:
        """What an object store tells of an object. Raises PlaceError, RefusedError."""
        store, path = self._find(place)
        try:
            return _look(import_obstore().head(store, path))
        except Exception as error:
            raise self._told(place, error) from error

    @contextmanager
    def open(self, place: str) -> Iterator[Source]:
        """Open an object, as a context. Raises PlaceError, RefusedError."""
        store, path = self._find(place)
        try:
            found = import_obstore().get(store, path)
            look = _look(found.meta)
        except Exception as error:
            raise self._told(place, error) from error
        yield Source(look, self._pieces(place, found, look.size or 0))

    def list(self, prefix: str, after: str = "") -> Iterator[list[tuple[str, Look]]]:
        """The objects below a prefix that ends in `/`, in batches: name below it, and what the store tells.

        `after` is the name to go on after. Raises PlaceError, RefusedError.
        """
        store, path = self._find(prefix)
        below = path.rstrip("/")
        lead = f"{below}/" if below else ""
        offset = lead + after if after else None
        held: list[tuple[str, Look]] = []
        try:
            for batch in import_obstore().list(store, prefix=below or None, offset=offset, chunk_size=BATCH):
                found = held + [(meta["path"][len(lead) :], _look(meta)) for meta in batch if meta["path"] != below]
                found = _without_markers(found)
                # The last one may be a folder's marker, which the next one tells.
                held = found[-1:]
                yield found[:-1]
        except Exception as error:
            raise self._told(prefix, error) from error
        yield held

    def _find(self, place: str) -> tuple[Any, str]:
        kind = scheme(place)
        bucket, _, path = place[len(kind) + 3 :].partition("/")
        root = f"{kind}://{bucket}"
        with self._lock:
            if root not in self._stores:
                settings = cloud_settings(self._workspace, kind)
                self._stores[root] = open_bucket(kind, bucket, settings, RETRIES)
                if not settings.is_own:
                    self._unsigned.add(kind)
            return self._stores[root], path

    def _pieces(self, place: str, found: Any, size: int) -> Iterator[bytes]:
        read = 0
        try:
            for piece in found.stream(min_chunk_size=PIECE):
                read += len(piece)
                yield bytes(piece)
        except Exception as error:
            raise self._told(place, error) from error
        if read != size:
            raise PlaceError(place, "unreachable", f"the store sent {read:,} of {size:,} bytes")

    def _told(self, place: str, error: Exception) -> Exception:
        """What an error of obstore says of a place; errors of dsvc stay as they are."""
        if isinstance(error, DsvcError | PlaceError):
            return error
        name = type(error).__name__
        if name == "InvalidPathError":
            return PlaceError(place, "refused", "has an object whose name cannot be part of a key: empty, `.` or `..`")
        if isinstance(error, FileNotFoundError):
            return PlaceError(place, "gone", "is not there")
        told = _reason(error)
        if name in ("PermissionDeniedError", "UnauthenticatedError") or told.startswith(("401", "403")):
            if scheme(place) in self._unsigned:
                return PlaceError(place, "refused", _UNSIGNED)
            return PlaceError(place, "refused", "may not be read with the credentials that the environment has")
        return PlaceError(place, "unreachable", f"cannot be reached: {told}")


def _look(meta: Any) -> Look:
    etag = meta["e_tag"] or None
    moment = None if etag else int(meta["last_modified"].timestamp()) * 1_000_000_000
    return Look(meta["size"], etag, moment)


def _without_markers(found: list[tuple[str, Look]]) -> list[tuple[str, Look]]:
    """Without the empty objects that stand for folders: what lies below one follows it."""
    kept = []
    for at, (name, look) in enumerate(found):
        following = found[at + 1][0] if at + 1 < len(found) else ""
        if look.size or not following.startswith(f"{name}/"):
            kept.append((name, look))
    return kept


def _reason(error: Exception) -> str:
    """The telling part of obstore's long text, without addresses, which may be signed."""
    line = (str(error).splitlines() or [""])[0]
    status = _STATUS.search(line)
    return status[1].strip() if status else _URL.sub("...", line.rpartition(" - ")[2])[:200]
