"""Where an export goes: a folder, a ZIP archive or one file, complete or not there at all.

Everything is written under a temporary name beside the target, brought to the disk, and renamed at the end.
"""

from __future__ import annotations

import errno
import io
import os
import re
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Literal, Protocol, Self

from dsvc.core.files.choosing import EXPORT_MARK
from dsvc.errors import RefusedError, UsageError
from dsvc.formats.zip import ZipWriter

Kind = Literal["folder", "zip", "json"]
CHUNK = 1 << 20
# Beyond this many files one sync of the file systems is cheaper than one of every file.
SYNC_EACH = 64
PROTECTED = frozenset((".dsvc", ".git"))
# What a folder holds beside its entries, so that it is known to be an export later on.
MARKER, MARK = EXPORT_MARK, b"dsvc export\n"
# The entries of exports to a folder: of COCO, of both Clarifai forms, and of masks.
_ENTRY = re.compile(
    r"annotations/[^/]+\.json|images/.+|mimetype|[^/]+/[0-9]{6,}_n[0-9]+|masks/.+\.png|classes\.json", re.DOTALL
)
_NAMED = 3
_ELSEWHERE = "choose another folder, or move it away"
_REASONS = {
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.EROFS: "the file system is read-only",
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file system does not allow a file this large",
    errno.ENAMETOOLONG: "a name is too long for the file system",
    errno.ENOENT: "the folder that should hold it does not exist",
    errno.ENOTDIR: "a part of the path is a file, not a folder",
}


@dataclass(frozen=True)
class ExportReport:
    """What an export wrote; `notes` say, with counts, what was converted or has no field in the format.

    `losses` are those of the notes that say what the export does not hold.
    """

    entries: int
    inputs: int
    annotations: int
    notes: tuple[str, ...] = ()
    losses: tuple[str, ...] = ()


class Writable(Protocol):
    """The one thing that an entry's stream does."""

    def write(self, data: bytes, /) -> int:
        """Append `data`. Raises RefusedError where the disk does not take it."""


class Target(Protocol):
    """An export while it is written: entries are added one after the other."""

    def add(self, name: str, size: int | None = None) -> AbstractContextManager[Writable]:
        """Begin the entry `name`; give its size in bytes where it is known."""


class OpenTarget:
    """A target on disk, made by `open_target`; after the `with` block, `unchanged` tells an identical one was there."""

    def __init__(self, path: Path, kind: Kind, force: bool) -> None:
        with _refusing(path):
            self.path = path.resolve()
        self.kind = kind
        self.force = force
        self.unchanged = False
        self._temporary = self.path.parent / f".dsvc-export-{secrets.token_hex(8)}.tmp"
        self._names: set[str] = {MARKER} if kind == "folder" else set()
        self._open = False
        self._file: BinaryIO | None = None
        self._zip: ZipWriter | None = None

    def __enter__(self) -> Self:
        with _refusing(self.path):
            self._check_place()
            if self.kind == "folder":
                self._temporary.mkdir()
            else:
                self._file = _create(self._temporary)
        if self._file is not None and self.kind == "zip":
            self._zip = ZipWriter(self._file)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                with _refusing(self.path):
                    self._finish()
        finally:
            if self._file is not None:
                with suppress(OSError):
                    self._file.close()
            _remove(self._temporary)

    @contextmanager
    def add(self, name: str, size: int | None = None) -> Iterator[Writable]:
        """Begin the entry `name`, relative and with forward slashes; `size` in bytes where it is known."""
        check_entry_name(name)
        if name in self._names:
            raise RefusedError(f"two entries of the export are called {name!r}")
        if self._open:
            raise UsageError(f"the entry before {name!r} is still being written")
        if self.kind == "json" and self._names:
            raise UsageError("an export to one file holds one entry")
        self._names.add(name)
        self._open = True
        try:
            with self._entry(name, size) as stream:
                yield stream
        finally:
            self._open = False

    @contextmanager
    def _entry(self, name: str, size: int | None) -> Iterator[Writable]:
        if self._zip is not None:
            with _refusing(self.path):
                self._zip.begin(name, size)
            yield _Sink(self._zip.write, self.path)
            with _refusing(self.path):
                self._zip.end()
        elif self._file is not None:
            yield _Sink(self._file.write, self.path)
        else:
            place = self._temporary / name
            with _refusing(self.path / name):
                place.parent.mkdir(parents=True, exist_ok=True)
                file = _create(place)
            try:
                yield _Sink(file.write, self.path / name)
            except BaseException:
                with suppress(OSError):
                    file.close()
                raise
            with _refusing(self.path / name):
                file.close()

    # ---- before

    def _check_place(self) -> None:
        if not self.path.name:
            raise RefusedError(f"cannot export over {self.path}", "choose another name for the export")
        state = _lstat(self.path)
        if not self.path.parent.is_dir():
            raise RefusedError(f"cannot export to {self.path}: {_REASONS[errno.ENOENT]}", "create the folder first")
        if state is None:
            return
        right = stat.S_ISDIR(state.st_mode) if self.kind == "folder" else stat.S_ISREG(state.st_mode)
        if not right:
            what = "a folder" if self.kind == "folder" else "a file"
            raise RefusedError(
                f"{self.path} is there and is not {what}", "choose another name, or remove what is there"
            )
        if self.kind == "folder" and self.force:
            _check_replaceable(self.path)
            _check_entries(self.path)  # a stranger in it is told before all is written

    # ---- after

    def _finish(self) -> None:
        if self._zip is not None:
            self._zip.close()
        if self._file is not None:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
        else:
            with _create(self._temporary / MARKER) as marker:
                marker.write(MARK)
            _sync_tree(self._temporary, len(self._names))
        state = _lstat(self.path)
        if state is None or (self.kind == "folder" and not any(self.path.iterdir())):
            self._temporary.replace(self.path)
        elif _same(self._temporary, self.path):
            self.unchanged = True
            return
        elif not self.force:
            is_ours = self.kind != "folder" or (_is_marked(self.path) and not _strangers(self.path))
            hint = "use --force to replace it" if is_ours else _ELSEWHERE
            raise RefusedError(f"{self.path} exists and differs from this export", hint)
        elif self.kind == "folder":
            self._swap_folder()
        else:
            self._temporary.replace(self.path)
        _sync_folder(self.path.parent)

    def _swap_folder(self) -> None:
        _check_replaceable(self.path)
        _check_former(self.path)
        old = self.path.parent / f".dsvc-replaced-{secrets.token_hex(8)}.tmp"
        self.path.rename(old)
        try:
            self._temporary.rename(self.path)
        except BaseException:
            old.rename(self.path)
            raise
        _sync_folder(self.path.parent)
        try:
            shutil.rmtree(old)
        except OSError as error:
            raise RefusedError(
                f"the export is in place, but the folder it replaced could not be removed: {error.strerror}",
                f"remove {old}",
            ) from error


def open_target(path: Path, kind: Kind, force: bool = False) -> OpenTarget:
    """The target of an export, for a `with` block: nothing appears at `path` unless the block ends well.

    An existing target that is the same, byte for byte, is left alone; one that differs is refused unless `force`, and
    even then a folder is replaced only where it is an earlier export and holds nothing else.
    Raises RefusedError, also where the disk, the folder or a name does not allow it.
    """
    return OpenTarget(path, kind, force)


def check_entry_name(name: str) -> None:
    """Raise RefusedError for an entry name that is absolute or would leave the target."""
    parts = re.split(r"[/\\]", name)
    bad = not name or "\0" in name or name.startswith(("/", "\\")) or re.match(r"[A-Za-z]:[/\\]", name)
    if bad or ".." in parts or any(part in ("", ".") for part in name.split("/")):
        raise RefusedError(f"{name!r} cannot be the name of a file in an export: it must be relative and plain")


class _Sink(io.RawIOBase):
    """A stream that only takes bytes, and refuses with a clear message when the disk does not."""

    def __init__(self, write: Callable[[bytes], int], path: Path) -> None:
        self._write = write
        self._path = path

    def writable(self) -> bool:
        return True

    def write(self, data: bytes, /) -> int:  # type: ignore[override]
        try:
            return self._write(data)
        except OSError as error:
            raise _refusal(self._path, error) from error


@contextmanager
def _refusing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _refusal(path, error) from error


def _refusal(path: Path, error: OSError) -> RefusedError:
    reason = _REASONS.get(error.errno or 0) or error.strerror or str(error)
    is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    hint = (
        "free some room there, or take less of it: --where EXPR" if is_full else "choose another place for the export"
    )
    return RefusedError(f"cannot export to {path}: {reason}", hint)


def _lstat(path: Path) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except FileNotFoundError:
        return None


def _create(path: Path) -> BinaryIO:
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    return os.fdopen(os.open(path, flags, 0o666), "w+b", buffering=CHUNK)


def _remove(path: Path) -> None:
    with suppress(OSError):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _check_replaceable(path: Path) -> None:
    """Refuse to replace a folder that is, holds or surrounds a place where somebody works."""
    hint = "export to a folder of its own"
    if PROTECTED.intersection(path.parts):
        raise RefusedError(f"{path} is part of a repository, so it is not replaced", hint)
    working = Path.cwd()
    if working == path or path in working.parents:
        raise RefusedError(f"{path} is the folder you are in, so it is not replaced", hint)
    for folder, folders, files in os.walk(path):
        found = PROTECTED.intersection((*folders, *files))
        if found:
            raise RefusedError(f"{folder} holds {sorted(found)[0]}, so it is not replaced", hint)


def _check_former(path: Path) -> None:
    """Refuse to replace a folder that is no earlier export, or that holds more than one."""
    if not _is_marked(path):
        raise _in_the_way(path, "is no earlier export of dsvc: it holds", _contents(path))
    _check_entries(path)


def _check_entries(path: Path) -> None:
    """Refuse to replace a folder that holds what no export writes."""
    strangers = _strangers(path)
    if strangers:
        raise _in_the_way(path, "holds what no export writes:", strangers)


def _in_the_way(path: Path, what: str, names: list[str]) -> RefusedError:
    found = ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else "")
    return RefusedError(f"{path} {what} {found}; --force replaces earlier exports only", _ELSEWHERE)


def _is_marked(path: Path) -> bool:
    marker = path / MARKER
    state = _lstat(marker)
    return state is not None and stat.S_ISREG(state.st_mode) and state.st_size == len(MARK) and _read(marker) == MARK


def _read(path: Path) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _strangers(path: Path) -> list[str]:
    """What is in a folder and is no part of any export."""
    return [name for name in _contents(path) if name != MARKER and not _is_entry(path, name)]


def _is_entry(root: Path, name: str) -> bool:
    if name.endswith("/"):
        return name == "annotations/" or name.startswith(("images/", "masks/"))
    return _ENTRY.fullmatch(name) is not None and stat.S_ISREG(os.lstat(root / name).st_mode)


def _contents(root: Path) -> list[str]:
    """The files and links below a folder, and the folders (ending in a slash) with nothing in them."""
    names = []
    for folder, folders, files in os.walk(root, onerror=_raise):
        base = Path(folder)
        folders.sort()
        links = [name for name in folders if (base / name).is_symlink()]
        names += [(base / name).relative_to(root).as_posix() for name in sorted(files + links)]
        if base != root and not folders and not files:
            names.append(base.relative_to(root).as_posix() + "/")
    return names


def _raise(error: OSError) -> None:
    raise error


def _sync_tree(root: Path, files: int) -> None:
    if files > SYNC_EACH and hasattr(os, "sync"):
        os.sync()
        return
    for folder, _, names in os.walk(root):
        for name in names:
            with open(Path(folder) / name, "rb+") as file:
                os.fsync(file.fileno())
        _sync_folder(Path(folder))


def _sync_folder(path: Path) -> None:
    if os.name == "posix":
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _same(new: Path, old: Path) -> bool:
    """Whether two files, or two exports to a folder, are equal; the marker may be missing in the old one."""
    if new.is_dir():
        names = _tree(old)
        if names is None or sorted({*names, MARKER}) != _tree(new):
            return False
        return all(_same(new / name, old / name) for name in names)
    if new.stat().st_size != old.stat().st_size:
        return False
    with open(new, "rb") as left, open(old, "rb") as right:
        while chunk := left.read(CHUNK):
            if chunk != right.read(CHUNK):
                return False
    return True


def _tree(root: Path) -> list[str] | None:
    """The files under `root`, sorted; None where there is anything that an export never writes."""
    names = []
    for folder, folders, files in os.walk(root):
        base = Path(folder)
        if any((base / name).is_symlink() for name in folders) or (base != root and not folders and not files):
            return None
        for name in files:
            if not stat.S_ISREG(os.lstat(base / name).st_mode):
                return None
            names.append(os.path.relpath(base / name, root))
    return sorted(names)
