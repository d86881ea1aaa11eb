"""Which files of a project are taken: media, but for hidden ones and for what `.dsvcignore` files name."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from typing import NamedTuple

from xxhash import xxh3_128_digest

from dsvc.core.files.extensions import is_media_name
from dsvc.core.registry import ignore_reader

IGNORE_FILE = ".dsvcignore"
# What marks a folder as an export of dsvc's own, which is no place that data comes from.
EXPORT_MARK = ".dsvc-export"
OWN_FOLDERS = frozenset({".git", ".dsvc"})
# What becomes of a file. A wrong one cannot be taken; one that is passed by lies in a folder that is not taken.
TAKEN, HIDDEN, IGNORED, OTHER, WRONG, PASSED = b"mhinxp"
_HEAD = 8192
_LIMIT = 1 << 20
_FLAGS = os.O_RDONLY
for _flag in ("O_NONBLOCK", "O_CLOEXEC", "O_BINARY"):
    _FLAGS |= getattr(os, _flag, 0)
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)

# Told of an ignore file that cannot be used: its path and why.
Unusable = Callable[[str, OSError], None]


class LeftOut(NamedTuple):
    """How many files were passed over: hidden ones, ignored ones, and those that are no media. A folder counts once."""

    hidden: int = 0
    ignored: int = 0
    other: int = 0


class Rules:
    """What is taken in one folder. `digest` stands for all that decides it; in a closed folder nothing is taken."""

    def __init__(
        self,
        patterns: tuple[tuple[str, Callable[[str], bool | None]], ...],
        all_files: bool,
        digest: bytes,
        closed: int | None = None,
    ) -> None:
        self._patterns = patterns
        self._all_files = all_files
        self._closed = closed
        self.digest = digest

    def below(self, path: str, content: bytes | None) -> Rules:
        """The rules of the folder at `path`, from the project's root, that has an ignore file of this content."""
        if content is None or self._closed is not None:
            return self
        digest = xxh3_128_digest(self.digest + path.encode("utf-8", "surrogateescape") + b"\0" + content)
        prefix = f"{path}/" if path else ""
        return Rules(((prefix, ignore_reader()(content)), *self._patterns), self._all_files, digest)

    def read(self, root: str, path: str, report: Unusable) -> Rules:
        """The rules of the folder at `path` below `root`, with its own ignore file if it has one.

        Where that cannot be read, nothing is taken that it may have named.
        """
        place = f"{root}/{path}" if path else root
        try:
            return self.below(path, read_ignore_file(place))
        except OSError as error:
            report(f"{place}/{IGNORE_FILE}", error)
            return self.closed()

    def closed(self, kind: int = IGNORED) -> Rules:
        """The rules of a folder of which nothing is taken: all in it is of one kind."""
        return Rules((), self._all_files, xxh3_128_digest(self.digest + b"closed%d" % kind), kind)

    def folder(self, path: str, name: str) -> int:
        """What becomes of a folder in the folder of these rules."""
        if self._closed is not None:
            return self._closed
        if name.startswith(".") and (name in OWN_FOLDERS or not self._all_files):
            return HIDDEN
        return IGNORED if self.ignores(f"{path}/") else TAKEN

    def file(self, path: str, name: str) -> int | None:
        """What becomes of a file by its name; None where only its bytes tell whether it is taken."""
        if self._closed is not None:
            return self._closed
        if name.startswith(".") and (name in OWN_FOLDERS or name == IGNORE_FILE or not self._all_files):
            return HIDDEN
        if self._patterns and self.ignores(path):
            return IGNORED
        known = self._all_files or is_media_name(name)
        return known if known is None else TAKEN if known else OTHER

    def ignores(self, path: str) -> bool:
        """Whether ignore files name a path from the project's root, one that ends in a slash being a folder."""
        for prefix, is_ignored in self._patterns:  # the innermost file's word counts
            found = is_ignored(path[len(prefix) :])
            if found is not None:
                return found
        return False


def rules_for(
    root: str, folder: str, all_files: bool, report: Unusable = lambda place, error: None, seed: bytes = b""
) -> Rules:
    """The rules of a folder by its path below the project's root ("" for the root), its own ignore file aside.

    What names the folder, or one above it, closes it. `seed` goes into the digest.
    """
    rules = Rules((), all_files, xxh3_128_digest(seed + (b"\0all" if all_files else b"\0media")))
    path = ""
    for part in folder.split("/") if folder else ():
        rules = rules.read(root, path, report)
        path = f"{path}/{part}" if path else part
        if rules.ignores(f"{path}/"):
            return rules.closed()
    return rules


def read_ignore_file(folder: str) -> bytes | None:
    """The content of a folder's ignore file; None where it has none. Raises OSError, also for one over 1 MiB."""
    try:
        handle = os.open(f"{folder}/{IGNORE_FILE}", _FLAGS)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            return None
        content = os.read(handle, _LIMIT + 1)
    finally:
        os.close(handle)
    if len(content) > _LIMIT:
        raise OSError(errno.EFBIG, "it is larger than 1 MiB")
    return content


def looks_like_media(place: str) -> bool | None:
    """Whether a file's bytes, or those of the file that a link leads to, begin like an image, a video or a sound.

    None where they cannot be read.
    """
    from dsvc.core.media import media_kind, probe

    try:
        mode = os.lstat(place).st_mode
        target = os.path.realpath(place) if stat.S_ISLNK(mode) else place
        if target != place:
            mode = os.lstat(target).st_mode
        if not stat.S_ISREG(mode):  # what else there is may wait for somebody when it is opened
            return False
        handle = os.open(target, _FLAGS | _NO_FOLLOW)
        try:
            found = probe(os.read(handle, _HEAD), "")
        finally:
            os.close(handle)
    except OSError:
        return None
    return media_kind(found.type) in ("image", "video", "audio")
