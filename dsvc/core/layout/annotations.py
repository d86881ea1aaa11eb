"""The annotation files of a folder: what an export of its inputs makes, with names that lead to the files beside."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from blake3 import blake3

from dsvc.core.filters.matching import Part
from dsvc.core.filters.narrowing import Entry
from dsvc.core.imports.sorter import many_objects
from dsvc.core.keys import check_key
from dsvc.core.layout.contents import Contents
from dsvc.core.moving import with_other_key
from dsvc.core.registry import container, exporter
from dsvc.core.state import State
from dsvc.model.extras import ABSENT, SPELLING
from dsvc.store.files import refusing

# Formats that are one archive, and its name.
ARCHIVES = {"clarifai-json": "annotations.zip"}
_SPELLED = (SPELLING.encode(), ABSENT.encode())


class Laid(Part):
    """What an exporter sees: the inputs of a folder, all their annotations, and all concepts.

    Inputs go by their keys, which are the paths of their files, whatever a source had called them.
    """

    def __init__(self, state: State, contents: Contents) -> None:
        super().__init__(state, contents.keys)

    def input_entries(self) -> Iterator[Entry]:
        """The inputs as they are stored, but for the names that sources had for them."""
        for key, value in super().input_entries():
            is_spelled = any(name in value for name in _SPELLED)
            yield key, with_other_key(value) if is_spelled else value


class _Hashed:
    """A stream into a file that hashes what goes by."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self._file, self._path = file, path
        self.hasher = blake3()

    def write(self, data: bytes, /) -> int:
        """Append bytes. Raises RefusedError where the disk does not take them."""
        self.hasher.update(data)
        with refusing(self._path):
            return self._file.write(data)


class _Staging:
    """Where an exporter writes: files below a folder, whose hashes are kept by name."""

    kind = "folder"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.hashes: dict[str, bytes] = {}

    @contextmanager
    def add(self, name: str, size: int | None = None) -> Iterator[_Hashed]:
        """Begin an entry."""
        path = self._folder / check_key(name)
        with refusing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            file = path.open("xb", buffering=1 << 20)
        stream = _Hashed(file, path)
        try:
            yield stream
        finally:
            with refusing(path):
                file.close()
        self.hashes[name] = stream.hasher.digest()


class Staged:
    """The annotation files of a folder, written to another one: their hashes by name, and what was left out."""

    def __init__(self, folder: Path, hashes: dict[str, bytes], notes: tuple[str, ...]) -> None:
        self._folder = folder
        self.hashes = hashes
        self.notes = notes

    def path(self, name: str) -> Path:
        """Where a file was written."""
        return self._folder / name


def stage(state: State, contents: Contents, format: str, folder: Path) -> Staged:
    """Write the annotation files of some inputs of a state to an empty folder. Raises RefusedError."""
    writer, walk, archive = exporter(format), Laid(state, contents), ARCHIVES.get(format)
    with many_objects():
        if archive is None:
            staging = _Staging(folder)
            report = writer.export(walk, staging)
            return Staged(folder, staging.hashes, tuple(report.notes))
        with container().open_target(folder / archive, "zip") as target:
            report = writer.export(walk, target)
    hasher = blake3()
    with refusing(folder / archive), (folder / archive).open("rb") as file:
        while piece := file.read(1 << 20):
            hasher.update(piece)
    return Staged(folder, {archive: hasher.digest()}, tuple(report.notes))
