"""Importing: a source's file becomes a commit on the source's own line, and the draft takes it in."""

from __future__ import annotations

import mmap
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import msgspec

from dsvc.core.registry import importer
from dsvc.core.sorter import Sorter
from dsvc.core.union import unite
from dsvc.errors import InvalidRecordsError, NotFoundError, RefusedError
from dsvc.model.commit import Author, Commit, Moment, load_commit, store_commit
from dsvc.model.incoming import Incoming, Progress
from dsvc.model.node import Store
from dsvc.model.records import Concept, encode_concept, encode_input
from dsvc.model.snapshot import Roots, load_roots, store_roots
from dsvc.model.tree import build_tree

if TYPE_CHECKING:
    from dsvc.core.draft import Draft, DraftState

SHOWN = 20
OnError = Literal["stop", "skip"]


class ImportReport(NamedTuple):
    """What an import did. `rejects` is the file of refused records; `missing` and `extra` are about media."""

    source: str
    inputs: int
    annotations: int
    concepts: int
    changed: bool
    refused: int
    rejects: Path | None
    problems: tuple[str, ...]
    notes: tuple[str, ...]
    missing: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()


def import_file(
    draft: Draft,
    path: Path,
    *,
    format: str | None = None,
    images: str | Path | None = None,
    source: str | None = None,
    on_error: OnError = "stop",
    progress: Progress | None = None,
) -> ImportReport:
    """Import one file into a draft.

    `images` is a folder whose files become the inputs' media. `source` names the line of the file, by default its
    name without suffix. With `on_error="skip"` refused records go to a file beside it and the rest is imported.
    Raises InvalidRecordsError, RefusedError, NotFoundError.
    """
    folder = Path(images) if images is not None else None
    if folder is not None and not folder.is_dir():
        raise NotFoundError(f"no folder {folder}", "--images takes the folder that the file's names are relative to")
    with _mapped(path) as data:
        name = source_name(source or path.stem)
        incoming = importer(format, path, data).open(data, path.name, progress)
        roots, counts = _store_source(draft, incoming, name, progress)
        # Views of the mapped file live in what was read; they must be gone before it is closed.
        rejects = _settle(incoming, path, on_error)
        changed, doubled = _take(draft, name, roots)
        notes = list(incoming.notes)
        if doubled:
            notes.append(
                f"{doubled} annotations have the number of one that was there, but say something else: both stand"
            )
        report = ImportReport(
            source=name,
            inputs=counts["inputs"],
            annotations=counts["annotations"],
            concepts=counts["concepts"],
            changed=changed,
            refused=incoming.problems.count,
            rejects=rejects,
            problems=tuple(incoming.problems.found),
            notes=tuple(notes),
        )
        del incoming
    return _with_media(draft, report, folder, roots, progress) if folder is not None else report


class _mapped:  # noqa: N801 - reads as a verb where it is used
    """A file's bytes, mapped rather than read, so that they need not stay in memory."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> memoryview:
        try:
            handle = os.open(self._path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        except FileNotFoundError:
            raise NotFoundError(f"no file {self._path}") from None
        except OSError as error:
            raise RefusedError(f"{self._path} cannot be read: {error.strerror}") from error
        try:
            if os.path.isdir(self._path):  # noqa: PTH112
                raise RefusedError(f"{self._path} is a folder", "name the file of annotations in it")
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise RefusedError(f"{self._path} is no regular file", "save it to a file first, and import that")
            if os.fstat(handle).st_size == 0:
                raise InvalidRecordsError(f"{self._path} is empty", (), "export it again, or name another file")
            self._map = mmap.mmap(handle, 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:
            raise RefusedError(f"{self._path} cannot be read: {error}", "name a regular file") from error
        finally:
            os.close(handle)
        self._view = memoryview(self._map)
        return self._view

    def __exit__(self, *_: object) -> None:
        try:
            self._view.release()
            self._map.close()
        except BufferError:
            # An error is on its way and its frames still hold views; the mapping goes when they do.
            pass


def source_name(text: str) -> str:
    """A name for a source: what a dataset's name may be, other characters as '-'."""
    import re

    name = re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-._")[:64]
    if not name:
        raise RefusedError(f"{text!r} cannot name a source", "give a name: --source NAME")
    return name


def _store_source(
    draft: Draft, incoming: Incoming, name: str, progress: Progress | None
) -> tuple[Roots, dict[str, int]]:
    """Store the three trees of a source's records."""
    store: Store = draft.transaction.writer
    root = draft.dataset.repository.root
    sorter = Sorter(root / ".dsvc" if root is not None else None)
    annotations = 0
    try:
        concepts = incoming.concepts()
        inputs = sorted((i.key.encode(), encode_input(i)) for i in incoming.inputs())
        for batch in incoming.annotations():
            sorter.extend(batch)
            annotations += len(batch)
            if progress:
                progress("read annotations", annotations, None)
        if incoming.problems.count and not annotations and not inputs:
            return draft.snapshot.roots, {"inputs": 0, "annotations": 0, "concepts": 0}
        roots = Roots(
            concepts=build_tree(store, _concept_entries(concepts)),
            inputs=build_tree(store, inputs),
            annotations=build_tree(store, _counted(with_ordinals(sorter.sorted()), annotations, progress)),
            meta={incoming.format: {name: dict(incoming.meta)}},
        )
    finally:
        sorter.close()
    return roots, {"inputs": len(inputs), "annotations": annotations, "concepts": len(concepts)}


def _concept_entries(concepts: Iterable[Concept]) -> list[tuple[bytes, bytes]]:
    return sorted((concept.id.encode(), encode_concept(concept)) for concept in concepts)


def _counted(
    entries: Iterator[tuple[bytes, bytes]], total: int, progress: Progress | None
) -> Iterator[tuple[bytes, bytes]]:
    if progress is None:
        return entries

    def counted() -> Iterator[tuple[bytes, bytes]]:
        for done, entry in enumerate(entries):
            if done % 8192 == 0:
                progress("store annotations", done, total)
            yield entry

    return counted()


def with_ordinals(pairs: Iterator[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
    """Make the stems of sorted entries unique: equal copies are numbered from 2 in the order of their encodings."""
    pending: tuple[bytes, bytes] | None = None
    copies: list[bytes] = []
    for pair in pairs:
        if pending is not None:
            if pair[0] == pending[0]:
                copies.append(pair[1])
                continue
            if copies:
                yield from _numbered(pending[0], [pending[1], *copies])
                copies = []
            else:
                yield pending
        pending = pair
    if pending is not None:
        yield from _numbered(pending[0], [pending[1], *copies])


def _numbered(stem: bytes, copies: list[bytes]) -> list[tuple[bytes, bytes]]:
    named = [(stem if n == 1 else b"%b-%d" % (stem, n), copy) for n, copy in enumerate(copies, 1)]
    return sorted(named)


def _settle(incoming: Incoming, path: Path, on_error: OnError) -> Path | None:
    """Refuse a file with errors, or write what was refused beside it."""
    problems = incoming.problems
    if not problems.count:
        return None
    if on_error == "stop":
        noun = "error" if problems.count == 1 else "errors"
        hint = "nothing was imported; mend the file, or import the rest: --on-error skip"
        raise InvalidRecordsError(f"{path}: {problems.count} {noun}", problems.found, hint)
    content = incoming.rejects()
    if content is None:
        return None
    return _write_beside(path, content)


def _write_beside(path: Path, content: bytes) -> Path:
    stem = path.name.removesuffix(".json")
    for number in range(1, 1000):
        target = path.with_name(f"{stem}.rejects{'' if number == 1 else f'-{number}'}.json")
        try:
            with target.open("xb") as file:
                file.write(content)
            return target
        except FileExistsError:
            if target.read_bytes() == content:
                return target
        except OSError as error:
            raise RefusedError(
                f"{target} cannot be written: {error.strerror}", "the refused records need it"
            ) from error
    raise RefusedError(f"too many files of rejects beside {path}", "take the old ones away")


def _take(draft: Draft, name: str, roots: Roots) -> tuple[bool, int]:
    """Note the records on the source's line and unite them with the draft. Whether anything changed, and how many
    annotations now stand beside others of their number."""
    store: Store = draft.transaction.writer
    # A source's commit is a function of its records, so that two people who import the same file share it.
    commit = Commit(
        snapshot=store_roots(store, roots),
        author=Author(f"source {name}"),
        time=Moment(0),
        message=f"source {name}",
        notes={"source": name},
    )
    id = store_commit(store, commit)
    before, doubled = draft.snapshot.roots, 0

    def step(store: Store, state: DraftState) -> DraftState:
        nonlocal doubled
        if state.sources.get(name) == id:
            return state
        _refuse_changed(state, name)
        united = unite(store, state.roots, load_roots(store, load_commit(store, id).snapshot))
        doubled = united.doubled
        return msgspec.structs.replace(state, roots=united.roots, sources={**state.sources, name: id})

    draft.apply(step)
    return draft.snapshot.roots != before, doubled


def _refuse_changed(state: DraftState, name: str) -> None:
    if name in state.sources:
        raise RefusedError(
            f"source {name!r} was imported before with other records",
            "importing a changed file is not possible yet: import it into a dataset of its own (dsvc create NAME), or "
            "undo the first import; under another name (--source NAME) the old annotations stay beside the new",
        )


def _with_media(
    draft: Draft, report: ImportReport, folder: Path, roots: Roots, progress: Progress | None
) -> ImportReport:
    from dsvc.core.adding import media_notes, read_media
    from dsvc.core.worktree import FoundFile, Problem, find_files
    from dsvc.model.tree import Tree

    keys = {key.decode() for key, _ in Tree(draft.transaction.writer, roots.inputs)}
    problems: list[Problem] = []
    notes: list[str] = []
    found: list[FoundFile] = []
    extra: list[FoundFile] = []
    for file in find_files([folder], folder.absolute(), report=problems.append):
        (found if file.key in keys else extra).append(file)
    media = read_media(draft, found, problems.append, progress)
    new, changed, _ = draft.put_media(media) if media else (0, 0, 0)
    if keys and not media:
        notes.append(f"none of the file's names is below {folder}: is it another folder?")
    notes += media_notes(draft, media)
    return report._replace(
        missing=tuple(sorted(keys - media.keys())),
        extra=tuple(file.key for file in extra),
        changed=report.changed or bool(new or changed),
        notes=(*report.notes, *notes, *map(str, problems)),
    )
