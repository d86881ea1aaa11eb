"""The ground on which files are laid: folders of the project that are real ones. Links are never followed."""

from __future__ import annotations

import os
import re
import shutil
import stat
from contextlib import suppress
from pathlib import Path

from dsvc.core.files.choosing import OWN_FOLDERS
from dsvc.core.files.portability import forbidden
from dsvc.core.files.scanning import Stamp
from dsvc.core.keys import check_key, display
from dsvc.core.layout.folders import wrong_place
from dsvc.errors import RefusedError
from dsvc.store.files import refusing

# The folder in a checkout in which files are written before they get their names.
WORK = ".dsvc-checkout"
_ELSEWHERE = "name a folder of its own inside the project"
# Other spellings that file systems take for .git: Windows' short name of it, and letters that macOS drops.
_GIT = re.compile(r"\.git|git~[0-9]+", re.IGNORECASE)
_DROPPED = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")


class BlockedError(Exception):
    """Something is in the way of a file; its text says what."""


def checkout_folder(root: Path, folder: Path) -> str:
    """A folder that a person names, by its path below the project's root. Raises RefusedError."""
    absolute = Path(os.path.abspath(folder))  # noqa: PTH100 - `resolve` would follow the last part, too
    real = absolute.parent.resolve() / absolute.name
    path = os.path.relpath(real, os.path.realpath(root)).replace(os.sep, "/")
    if wrong := wrong_place(path):
        raise RefusedError(f"{display(str(folder))} {wrong}", _ELSEWHERE)
    try:
        check_key(path)
    except RefusedError as error:
        raise RefusedError(f"{display(str(folder))} cannot be the name of a checkout", _ELSEWHERE) from error
    return path


def wrong_key(key: str) -> str | None:
    """Why no file may be laid out for a key, which anybody may have made; or None."""
    try:
        check_key(key)
    except RefusedError as error:
        return error.message
    for part in re.split(r"[/\\]", key):
        plain = _DROPPED.sub("", part).rstrip(". ")
        if plain.casefold() in OWN_FOLDERS or _GIT.fullmatch(plain):
            return f"a file of the name {part} would belong to {'Git' if 'git' in plain.casefold() else 'dsvc'} itself"
    return forbidden(key) if os.name == "nt" else None


class Ground:
    """Folders below the project's root, looked at once each."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._known: dict[str, bool] = {"": True}

    def look_again(self) -> None:
        """Look at folders anew."""
        self._known = {"": True}

    def place(self, path: str) -> str:
        """Where a path below the root lies."""
        return f"{self._root}/{path}"

    def has(self, folder: str) -> bool:
        """Whether a folder is there. Raises BlockedError where something else is, a link for example."""
        known = self._known.get(folder)
        if known is None:
            above = folder.rpartition("/")[0]
            known = self._known[folder] = self.has(above) and self._look(folder)
        return known

    def _look(self, folder: str) -> bool:
        try:
            mode = os.lstat(self.place(folder)).st_mode
        except FileNotFoundError:
            return False
        except OSError as error:
            raise BlockedError(f"{display(folder)}: {error.strerror}") from error
        if not stat.S_ISDIR(mode):
            what = "a link" if stat.S_ISLNK(mode) else "a file"
            raise BlockedError(f"{display(folder)} is {what}, and no folder")
        return True

    def make(self, folder: str) -> None:
        """See that a folder is there. Raises BlockedError, OSError."""
        if self.has(folder):
            return
        self.make(folder.rpartition("/")[0])
        with suppress(FileExistsError):
            Path(self.place(folder)).mkdir()
        self._known[folder] = self._look(folder)

    def stamp(self, path: str) -> Stamp | None:
        """Size, mtime and inode of a file, or None where none is. Raises BlockedError for what is no file."""
        folder = path.rpartition("/")[0]
        if not self.has(folder):
            return None
        try:
            found = os.lstat(self.place(path))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise BlockedError(error.strerror or str(error)) from error
        if not stat.S_ISREG(found.st_mode):
            kind = {stat.S_IFLNK: "a link", stat.S_IFDIR: "a folder"}.get(stat.S_IFMT(found.st_mode), "no file")
            raise BlockedError(f"is {kind} here")
        return found.st_size, found.st_mtime_ns, found.st_ino

    def sweep(self, folder: str, end: str) -> None:
        """Remove a folder, and those above it up to `end`, `end` itself too, as far as they are empty."""
        while folder == end or folder.startswith(f"{end}/"):
            try:
                if self.has(folder):
                    Path(self.place(folder)).rmdir()
            except (OSError, BlockedError):
                return
            self._known[folder] = False
            folder = folder.rpartition("/")[0]

    def workplace(self, folder: str) -> str:
        """Make an empty folder to write files in. Raises BlockedError, OSError."""
        self.make(folder)
        self.clear(folder)
        place = self.place(f"{folder}/{WORK}")
        Path(place).mkdir()
        return place

    def clear(self, folder: str) -> None:
        """Remove what a run has left in its workplace."""
        place = Path(self.place(f"{folder}/{WORK}"))
        with refusing(place):
            if place.is_symlink() or place.is_file():
                place.unlink()
            elif place.exists():
                shutil.rmtree(place)
