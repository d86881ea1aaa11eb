"""Which files of a project are taken: media, but for hidden ones and for what `.dsvcignore` files name."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import NamedTuple

from xxhash import xxh3_128_digest

from dsvc.core.files.extensions import is_media_name
from dsvc.core.registry import ignore_reader

IGNORE_FILE = ".dsvcignore"
OWN_FOLDERS = frozenset({".git", ".dsvc"})
TAKEN, HIDDEN, IGNORED, OTHER, WRONG = b"mhinx"  # what becomes of a file; the last one has a name that is no key
_HEAD = 8192
_LIMIT = 1 << 20
_FLAGS = os.O_RDONLY
for _flag in ("O_NONBLOCK", "O_NOFOLLOW", "O_CLOEXEC", "O_BINARY"):
    _FLAGS |= getattr(os, _flag, 0)


class LeftOut(NamedTuple):
    """How many files were passed over: hidden ones, ignored ones, and those that are no media. A folder counts once."""

    hidden: int = 0
    ignored: int = 0
    other: int = 0


class Rules:
    """What is taken in one folder. `digest` stands for all that decides it."""

    def __init__(self, patterns: tuple[tuple[str, Callable[[str], bool | None]], ...], all_files: bool, digest: bytes):
        self._patterns = patterns
        self._all_files = all_files
        self.digest = digest

    def below(self, path: str, content: bytes | None) -> Rules:
        """The rules of the folder at `path`, from the project's root, that has an ignore file of this content."""
        if content is None:
            return self
        digest = xxh3_128_digest(self.digest + path.encode("utf-8", "surrogateescape") + b"\0" + content)
        prefix = f"{path}/" if path else ""
        return Rules(((prefix, ignore_reader()(content)), *self._patterns), self._all_files, digest)

    def folder(self, path: str, name: str) -> int:
        """What becomes of a folder in the folder of these rules."""
        if name.startswith(".") and (name in OWN_FOLDERS or not self._all_files):
            return HIDDEN
        return IGNORED if self._is_ignored(f"{path}/") else TAKEN

    def file(self, path: str, name: str, place: str) -> int:
        """What becomes of a file; `place` is where its bytes can be looked at."""
        if name.startswith(".") and (name in OWN_FOLDERS or name == IGNORE_FILE or not self._all_files):
            return HIDDEN
        if self._patterns and self._is_ignored(path):
            return IGNORED
        if self._all_files:
            return TAKEN
        known = is_media_name(name)
        return TAKEN if (known if known is not None else looks_like_media(place)) else OTHER

    def _is_ignored(self, path: str) -> bool:
        for prefix, is_ignored in self._patterns:  # the innermost file's word counts
            found = is_ignored(path[len(prefix) :])
            if found is not None:
                return found
        return False


def rules_for(root: str, folder: str, all_files: bool) -> Rules:
    """The rules of a folder by its path below the project's root ("" for the root), its own ignore file aside."""
    rules = Rules((), all_files, b"all" if all_files else b"media")
    if not folder:
        return rules
    path = ""
    for part in folder.split("/"):
        rules = rules.below(path, read_ignore_file(f"{root}/{path}" if path else root))
        path = f"{path}/{part}" if path else part
    return rules


def read_ignore_file(folder: str) -> bytes | None:
    """The content of a folder's ignore file, of which 1 MiB counts; None where it has none that can be read."""
    try:
        handle = os.open(f"{folder}/{IGNORE_FILE}", _FLAGS & ~getattr(os, "O_NOFOLLOW", 0))
    except OSError:
        return None
    try:
        return os.read(handle, _LIMIT)
    except OSError:
        return None
    finally:
        os.close(handle)


def looks_like_media(place: str) -> bool:
    """Whether a file's bytes begin like those of an image, a video or a sound."""
    from dsvc.core.media import media_kind, probe

    try:
        handle = os.open(place, _FLAGS)
    except OSError:
        return False
    try:
        found = probe(os.read(handle, _HEAD), "")
    except OSError:
        return False
    finally:
        os.close(handle)
    return media_kind(found.type) in ("image", "video", "audio")
