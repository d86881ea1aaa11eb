"""Hard links in place of copies: media lie as plain files, which nobody can write to, in `.dsvc/cache/media`.

Two folders that hold the same bytes share them so. Whoever writes to such a file all the same writes to all of them:
before a link is made, the bytes are compared with their id, and made anew where they are others.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from pathlib import Path

from blake3 import blake3

from dsvc.core.files.scanning import Stamp
from dsvc.core.layout.placing import Make, copies
from dsvc.core.repository import Repository
from dsvc.errors import RefusedError
from dsvc.store.files import refusing
from dsvc.store.ids import ObjectId

FOLDER = "media"
_MODE = 0o444
_NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})


def links(repository: Repository) -> Make:
    """Makes files that are links. Raises RefusedError where the folder lies on another disk, or one without links."""
    cache = repository.cache_folder
    assert cache is not None
    folder, copy = cache / FOLDER, copies(repository.store)

    def make(place: str, blob: ObjectId) -> Stamp:
        kept = _kept_in(cache, blob)
        if not _is_whole(kept, blob):
            _keep(kept, blob, copy)
        try:
            os.link(kept, place)
        except OSError as error:
            if error.errno == errno.EXDEV:
                hint = f"lay it out on the disk of {folder}, or without --link hard"
                raise RefusedError(f"{Path(place).parent.parent} lies on another disk than {folder}", hint) from error
            if error.errno in _NO_LINKS:
                raise RefusedError(f"hard links don't work there: {error.strerror}", "leave out --link hard") from error
            raise
        found = os.lstat(place)
        return found.st_size, found.st_mtime_ns, found.st_ino

    return make


def _kept_in(cache: Path, blob: ObjectId) -> Path:
    return cache / FOLDER / blob.hex()[:2] / blob.hex()


def kept_file(repository: Repository, blob: ObjectId) -> Path | None:
    """Where the file of a blob lies that links lead to, if there is one; None for a repository without a folder."""
    cache = repository.cache_folder
    return _kept_in(cache, blob) if cache is not None else None


def _keep(kept: Path, blob: ObjectId, copy: Make) -> None:
    """Write a file of the cache, in place of one that is damaged."""
    temporary = kept.with_name(f"{kept.name}.{secrets.token_hex(4)}.tmp")
    with refusing(kept):
        kept.parent.mkdir(parents=True, exist_ok=True)
        try:
            copy(str(temporary), blob)
            temporary.chmod(_MODE)
            temporary.replace(kept)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise


def _is_whole(kept: Path, blob: ObjectId) -> bool:
    hasher = blake3()
    try:
        with kept.open("rb") as file:
            while piece := file.read(1 << 20):
                hasher.update(piece)
    except OSError:
        return False
    return hasher.digest() == blob
