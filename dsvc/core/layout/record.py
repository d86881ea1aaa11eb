"""What a folder holds of what was laid out there: kept in `.dsvc/checkouts`, and no cache.

A record names the commit whose files the folder has, or, while it is brought up to date, that one and those on whose
way it is: a file may then be of any of these. Files are known by size, mtime and inode in a table beside it, which is a
cache: of a file that it does not know, the bytes are read.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from array import array
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from xxhash import xxh3_128_hexdigest

from dsvc.core.files.choosing import TAKEN
from dsvc.core.files.filetable import GRAIN, FileTable, Folder
from dsvc.core.files.scanning import STAMP, UNSURE, Stamp, packed
from dsvc.core.layout.folders import remembered
from dsvc.core.repository import Repository
from dsvc.store.files import refusing
from dsvc.store.ids import ObjectId
from dsvc.store.locks import take_lock

FOLDER = "checkouts"


class Layer(NamedTuple):
    """A commit whose files a folder may have; with a filter, the keys of the inputs that were laid out."""

    commit: ObjectId
    keys: tuple[str, ...] | None = None


class Record(NamedTuple):
    """`layers` are one commit, or several while the folder is on its way to the last of them.

    `files` are the hashes of annotation files that were laid out, those on the way too, by name. `behind` are files
    that were left alone: by key (of annotation files, a slash and the name) the commit whose file they come from, or ""
    where nothing was laid out. `taken` says of annotation files as they were taken in which commit of a source's line
    they are: name -> (hash, commit); `media` of media that were, the ids of their bytes by key, or "" where a file was
    gone; `moved` of those that have another key now.
    """

    layers: tuple[Layer, ...] = ()
    files: Mapping[str, tuple[str, ...]] = {}
    behind: Mapping[str, str] = {}
    taken: Mapping[str, tuple[str, str]] = {}
    media: Mapping[str, str] = {}
    moved: Mapping[str, str] = {}
    format: str = "coco"
    where: str | None = None

    @property
    def is_pending(self) -> bool:
        """Whether the folder is on its way."""
        return len(self.layers) > 1

    @property
    def commit(self) -> ObjectId | None:
        """The commit that is laid out, or is about to be."""
        return self.layers[-1].commit if self.layers else None


class Records:
    """The record of one folder, its table of files, and the lock that whoever changes the folder holds."""

    def __init__(self, repository: Repository, folder: str) -> None:
        assert repository.root is not None
        self._name = xxh3_128_hexdigest(folder.encode("utf-8", "surrogateescape"))
        self._folder = repository.root / ".dsvc" / FOLDER
        self._path = self._folder / f"{self._name}.json"
        self._of = folder
        cache = repository.cache_folder
        self.table_path = cache / FOLDER / self._name if cache is not None else None

    def load(self) -> Record:
        """The record; an empty one where there is none, or where it is damaged."""
        try:
            with refusing(self._path):
                return _decode(json.loads(self._path.read_bytes()), self._of)
        except Exception:  # then bytes are compared, and what is neither old nor new is left alone
            return Record()

    def save(self, record: Record) -> None:
        """Replace the record. Raises RefusedError."""
        temporary = self._path.with_name(f"{self._path.name}.{secrets.token_hex(4)}.tmp")
        with refusing(self._path):
            self._folder.mkdir(exist_ok=True)
            try:
                temporary.write_bytes(json.dumps(_encode(record, self._of)).encode())
                temporary.replace(self._path)
            except BaseException:
                with contextlib.suppress(OSError):
                    temporary.unlink(missing_ok=True)
                raise

    def drop(self) -> None:
        """Take the record away, and the table."""
        for path in (self._path, self.table_path):
            if path is not None:
                with refusing(path):
                    path.unlink(missing_ok=True)

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Keep others from changing the folder meanwhile. Raises RefusedError."""
        path = self._folder / f"{self._name}.lock"
        with refusing(path):
            self._folder.mkdir(exist_ok=True)
            handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o666)
            try:
                take_lock(handle, path)
            except BaseException:
                os.close(handle)
                raise
        try:
            yield
        finally:
            os.close(handle)

    def table(self) -> LaidTable:
        """The table of the folder's files."""
        return LaidTable(self.table_path)


def laid_folders(repository: Repository) -> list[str]:
    """The folders in which a version is laid out here, or partly."""
    found = (one.folder for one in remembered(repository.workspace))
    return [folder for folder in found if Records(repository, folder).load().layers]


def _encode(record: Record, folder: str) -> dict[str, Any]:
    return {
        "folder": folder,
        "format": record.format,
        "where": record.where,
        "layers": [[layer.commit.hex(), layer.keys] for layer in record.layers],
        "files": record.files,
        "behind": record.behind,
        "taken": record.taken,
        "media": record.media,
        "moved": record.moved,
    }


def _decode(value: Any, folder: str) -> Record:
    if value["folder"] != folder:
        raise ValueError(folder)
    return Record(
        tuple(
            Layer(ObjectId(bytes.fromhex(commit)), tuple(map(str, keys)) if keys is not None else None)
            for commit, keys in value["layers"]
        ),
        {str(name): tuple(map(str, hashes)) for name, hashes in value["files"].items()},
        {str(key): str(commit) for key, commit in value["behind"].items()},
        {str(name): (str(hash), str(commit)) for name, (hash, commit) in value["taken"].items()},
        {str(key): str(blob) for key, blob in value["media"].items()},
        {str(old): str(new) for old, new in value["moved"].items()},
        str(value["format"]),
        str(value["where"]) if value["where"] is not None else None,
    )


class LaidTable(FileTable):
    """A table of files, by their paths below the project's root, that also takes files as they are written.

    What was written within the clock's grain before the table was saved is not sure: see `filetable`.
    """

    def __init__(self, path: Path | None) -> None:
        super().__init__(path)
        self._noted: dict[str, dict[str, tuple[Stamp, bytes] | None]] = {}
        if path is not None and self.folders:
            with contextlib.suppress(OSError):
                self._doubt(path.stat().st_mtime_ns - GRAIN)

    def _doubt(self, since: int) -> None:
        for folder in self.folders.values():
            times = array("q", bytes(folder.stamps))[1::3]
            late = [at for at, time in enumerate(times) if time >= since]
            if late:
                stamps, unsure = bytearray(folder.stamps), packed(UNSURE)
                for at in late:
                    stamps[at * STAMP : (at + 1) * STAMP] = unsure
                folder.stamps = stamps

    def blob(self, path: str, stamp: Stamp) -> bytes | None:
        """The id of a file's bytes, if it has a stamp that is known."""
        found = self.find(path)
        if found is None or found.stamp != stamp or not any(found.blob):
            return None
        return found.blob

    def note(self, path: str, stamp: Stamp, blob: bytes) -> None:
        """Take a file."""
        folder, _, name = path.rpartition("/")
        self._noted.setdefault(folder, {})[name] = (stamp, blob)

    def drop(self, path: str) -> None:
        """A file is no more."""
        folder, _, name = path.rpartition("/")
        self._noted.setdefault(folder, {})[name] = None

    def save(self) -> None:
        """Write the table if it has changed."""
        for path, files in self._noted.items():
            self._take(path, files)
        if self._noted:
            self.touch()
        self._noted = {}
        super().save()

    def _take(self, path: str, files: dict[str, tuple[Stamp, bytes] | None]) -> None:
        old = self.folders.get(path)
        held: dict[str, tuple[bytes, int, bytes]] = {}
        if old is not None:
            stamps, blobs = bytes(old.stamps), bytes(old.blobs)
            for at, name in enumerate(old.listed()):
                held[name] = (stamps[at * STAMP : (at + 1) * STAMP], old.kinds[at], blobs[at * 32 : (at + 1) * 32])
        for name, file in files.items():
            if file is None:
                held.pop(name, None)
            else:
                held[name] = (packed(file[0]), TAKEN, file[1])
        if not held:
            self.folders.pop(path, None)
            return
        names = "\0".join(held).encode("utf-8", "surrogateescape")
        stamps, kinds, blobs = (b"".join(part) for part in _columns(held))
        self.folders[path] = Folder(names, stamps, kinds, blobs, b"")


def _columns(held: dict[str, tuple[bytes, int, bytes]]) -> tuple[list[bytes], list[bytes], list[bytes]]:
    rows = held.values()
    return [stamp for stamp, _, _ in rows], [bytes([kind]) for _, kind, _ in rows], [blob for _, _, blob in rows]
