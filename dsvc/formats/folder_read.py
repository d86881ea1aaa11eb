"""The importer of folders of classes: a subfolder is a concept, and folders train, val and test above are splits."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dsvc.core.files.choosing import rules_for
from dsvc.core.files.worktree import FoundFile, Problem, find_files
from dsvc.core.imports.splits import split_of
from dsvc.core.keys import display
from dsvc.errors import RefusedError
from dsvc.model.incoming import Entry, Origin, Problems, Progress, Setup
from dsvc.model.records import Concept, Input, annotation_hasher, concept_id
from dsvc.store import codec

_MAX_NAME = 1024


class ClassFolderImporter:
    """Reads folders of classes."""

    format = "folder"

    def open_folder(self, folder: Path, setup: Setup, progress: Progress | None = None) -> ClassFolderIncoming:
        """Look through a folder. Raises RefusedError where no folder in it holds media."""
        return ClassFolderIncoming(folder, setup, progress)


class ClassFolderIncoming:
    """One folder; see `dsvc.model.incoming.IncomingMedia`."""

    format = "folder"

    def __init__(self, folder: Path, setup: Setup, progress: Progress | None) -> None:
        self.problems = Problems()
        self.notes: list[str] = []
        root = setup.root.absolute()
        rules = rules_for(os.path.realpath(root), "", all_files=False)
        found = find_files([folder], root, report=self._report, rules=rules)
        base = os.path.relpath(os.path.realpath(folder), os.path.realpath(root)).replace(os.sep, "/")
        files = list(found)
        if progress:
            progress("find files", len(files), None)
        self._prefix = "" if base == "." else f"{base}/"
        self._has_splits = self._look_for_splits(files)
        self._places = [(file, *self._place(file)) for file in files]
        self.origins = {file.key: Origin(file=file.path) for file in files}
        self._check(folder, found.left_out.other)

    def _report(self, problem: Problem) -> None:
        self.problems.add(str(problem))

    def _parts(self, file: FoundFile) -> list[str]:
        return file.key[len(self._prefix) :].split("/")

    def _look_for_splits(self, files: list[FoundFile]) -> bool:
        """Whether all folders at the top are splits: a class may be called train, but hardly all of them."""
        tops = {parts[0] for file in files if len(parts := self._parts(file)) > 1}
        return bool(tops) and all(split_of(top) for top in tops)

    def _place(self, file: FoundFile) -> tuple[str | None, str | None]:
        """The split and the concept of a file."""
        parts = self._parts(file)
        split = split_of(parts[0]) if self._has_splits and len(parts) > 1 else None
        rest = parts[1:] if split else parts
        return split, rest[0] if len(rest) > 1 else None

    def _check(self, folder: Path, others: int) -> None:
        loose = [file for file, _, name in self._places if name is None]
        if len(loose) == len(self._places) and not self.problems.count:
            hint = "a folder of classes holds a subfolder for each, with its images; plain images: dsvc add FOLDER"
            raise RefusedError(f"no file in {display(str(folder))} lies in the folder of a class", hint)
        for _, _, name in self._places:
            if name is not None and len(concept_id(name).encode()) > _MAX_NAME:
                self.problems.add(f"{display(name)}: the name of a class has at most {_MAX_NAME:,} bytes")
        if loose:
            several = f"{len(loose):,} files lie in no class's folder, and have"
            what = several if len(loose) > 1 else "1 file lies in no class's folder, and has"
            self.notes.append(f"{what} no annotation: {display(loose[0].key)}" +
                              (" ..." if len(loose) > 1 else ""))  # fmt: skip
        if others:
            what = "1 file that is no media was" if others == 1 else f"{others:,} files that are no media were"
            self.notes.append(f"{what} passed over")

    @property
    def meta(self) -> Mapping[str, Any]:
        """Nothing belongs to the folder as a whole."""
        return {}

    def concepts(self) -> list[Concept]:
        """The classes."""
        names: dict[str, str] = {}
        for name in sorted({name for _, _, name in self._places if name is not None}):
            names.setdefault(concept_id(name), name)
        return [Concept(id=id, name=name) for id, name in sorted(names.items())]

    def inputs(self) -> Iterator[Input]:
        """The files, without media."""
        for file, split, _ in self._places:
            yield Input(key=file.key, split=split)

    def annotations(self) -> Iterator[list[Entry]]:
        """One annotation for each file in a class's folder."""
        contents: dict[str, bytes] = {}
        hash_of = annotation_hasher()
        entries: list[Entry] = []
        for file, _, name in self._places:
            if name is not None:
                content = contents.setdefault(name, codec.encode({"c": concept_id(name)}))
                prefix = f"{file.key}\0".encode()
                hasher = hash_of.copy()
                hasher.update(prefix + content)
                entries.append((prefix + hasher.digest(length=6).hex().encode(), content))
        yield entries

    def rejects(self) -> bytes | None:
        """None: what could not be taken is mended where it is."""
        return None
