"""Importing: a source's file or folder becomes a commit on the source's own line, and the draft takes it in."""

from __future__ import annotations

import mmap
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from dsvc.core.files.adding import clash_notes
from dsvc.core.imports.originals import MediaReport, take_images, take_origins
from dsvc.core.imports.sources import source_name, store_source, take_source
from dsvc.core.registry import coco_parts, folder_importer, importer
from dsvc.errors import InvalidRecordsError, NotFoundError, RefusedError, UsageError
from dsvc.model.commit import load_commit
from dsvc.model.incoming import Incoming, Progress, Setup
from dsvc.model.snapshot import Roots, load_roots
from dsvc.model.tree import Tree

if TYPE_CHECKING:
    from dsvc.core.draft import Draft

SHOWN = 20
OnError = Literal["stop", "skip"]
FOLDER_FORMATS = ("folder", "mask")


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
    # Of a folder of several sources, what each of them did.
    parts: tuple[ImportReport, ...] = ()


class Options(NamedTuple):
    """What an import is told beside the path; see `import_path`."""

    format: str | None = None
    images: Path | None = None
    source: str | None = None
    split: str | None = None
    root: Path | None = None
    classes: Path | None = None
    concept: str | None = None
    ignore: tuple[int, ...] = ()
    suffix: str = ""
    on_error: OnError = "stop"
    hash: bool = True
    progress: Progress | None = None


def import_path(
    draft: Draft,
    path: Path,
    *,
    images: str | Path | None = None,
    root: str | Path | None = None,
    classes: str | Path | None = None,
    **options: Any,
) -> ImportReport:
    """Import a file, or a folder, into a draft.

    `images` is a folder whose files become the inputs' media. `source` names the line of the file, by default its
    name without suffix. `split` is the split of all its inputs. With `on_error="skip"` refused records go to a file
    beside it and the rest is imported. Of folders, `root` is what keys are relative to, by default the project's
    folder; `classes`, `concept`, `ignore` and `suffix` say what masks mean. Without `hash`, the bytes at the URLs of a
    table are not read. Raises InvalidRecordsError, RefusedError,
    NotFoundError, UsageError.
    """
    given = Options(images=_path(images), root=_path(root), classes=_path(classes), **options)
    if given.split is not None:
        from dsvc.core.names import check_name

        check_name(given.split, "split")
    if given.images is not None and not given.images.is_dir() and given.format != "mask":
        hint = "--images takes the folder that the file's names are relative to"
        raise NotFoundError(f"no folder {given.images}", hint)
    if path.is_dir():
        return _import_folder(draft, path, given)
    if given.format in FOLDER_FORMATS:
        raise UsageError(f"{path} is no folder", f"--format {given.format} takes one")
    return _import_file(draft, path, given)


def _path(value: str | Path | None) -> Path | None:
    return Path(value) if value is not None else None


def _import_file(
    draft: Draft, path: Path, given: Options, prefix: str = "", images: tuple[Path, ...] = ()
) -> ImportReport:
    name = source_name(given.source or path.stem)
    with _mapped(path) as data:
        reader: Any = importer(given.format, path, data)
        more: dict[str, Any] = {"prefix": prefix} if prefix else {}
        if getattr(reader, "wants_path", False):
            more |= {"path": path, "wrong_key": _unknown_key(draft)}
        incoming = reader.open(data, path.name, given.progress, **more)
        report = _take(draft, incoming, name, path, given)
        places = dict(incoming.origins) if hasattr(incoming, "origins") else None
        rows = dict(incoming.rows) if hasattr(incoming, "rows") else {}
        # Views of the mapped file live in what was read; they must be gone before it is closed.
        del incoming
    if places is not None:
        return _with_media(report, take_origins(draft, places, path, given.images, rows, given.progress, given.hash))
    folders = images or ((given.images,) if given.images is not None else ())
    if not folders:
        return report
    return _with_media(report, take_images(draft, name, folders, prefix, given.progress))


def _import_folder(draft: Draft, folder: Path, given: Options) -> ImportReport:
    if given.format in (None, "coco"):
        parts = coco_parts(folder)
        if parts:
            return _joined(draft, [_import_part(draft, folder, part, len(parts) > 1, given) for part in parts])
        hint = "subfolders that are classes: --format folder; PNG masks: --format mask; plain media: dsvc add FOLDER"
        raise RefusedError(f"{folder} is a folder without COCO files", hint)
    reader = folder_importer(given.format)
    setup = Setup(
        inputs=lambda: draft.snapshot.inputs(),
        root=_root(draft, folder, given),
        classes=given.classes,
        concept=given.concept,
        ignore=given.ignore,
        suffix=given.suffix,
        prefix=given.images.as_posix().strip("/") if given.images is not None else "",
    )
    name = source_name(given.source or folder.resolve().name)
    incoming = reader.open_folder(folder, setup, given.progress)
    report = _take(draft, incoming, name, folder, given)
    origins = getattr(incoming, "origins", None)
    if origins is None:
        return report
    return _with_media(report, take_origins(draft, origins, folder, None, {}, given.progress))


def _joined(draft: Draft, parts: list[ImportReport]) -> ImportReport:
    """The reports of several sources as one."""
    if len(parts) == 1:
        return parts[0]
    store, ids = draft.transaction.writer, set[bytes]()
    for part in parts:
        roots = load_roots(store, load_commit(store, draft.sources[part.source]).snapshot)
        ids.update(key for key, _ in Tree(store, roots.concepts))
    several = [f"{part.source}: {note}" for part in parts for note in part.notes]
    refused = [f"{part.source}: refused records are in {part.rejects}" for part in parts if part.rejects is not None]
    return ImportReport(
        source=", ".join(part.source for part in parts),
        inputs=sum(part.inputs for part in parts),
        annotations=sum(part.annotations for part in parts),
        concepts=len(ids),
        changed=any(part.changed for part in parts),
        refused=sum(part.refused for part in parts),
        rejects=None,
        problems=tuple(problem for part in parts for problem in part.problems),
        notes=(*several, *refused),
        missing=tuple(sorted(key for part in parts for key in part.missing)),
        extra=tuple(sorted({key for part in parts for key in part.extra})),
        parts=tuple(parts),
    )


def _import_part(draft: Draft, folder: Path, part: Any, several: bool, given: Options) -> ImportReport:
    """One COCO file of a folder. Of several, each is a source of its own."""
    stem = given.source or folder.resolve().name
    own = part.split or part.file.stem
    prefix = _below(part.images[0], _root(draft, folder, given)) if part.beside else ""
    asked = given._replace(format="coco", source=f"{stem}-{own}" if several else stem, split=given.split or part.split)
    images = (given.images,) if given.images is not None else part.images
    return _import_file(draft, part.file, asked, prefix, images)


def _below(folder: Path, root: Path) -> str:
    path = os.path.relpath(folder.resolve(), root.resolve()).replace(os.sep, "/")
    return "" if path == "." else f"{path}/"


def _root(draft: Draft, folder: Path, given: Options) -> Path:
    """What the keys of a folder's files are relative to: the project, or the folder itself where it lies outside."""
    root = given.root or draft.dataset.repository.root
    inside = root is not None and folder.resolve().is_relative_to(root.resolve())
    if given.root is not None and not inside:
        raise RefusedError(f"{folder} lies outside {given.root}", "name a folder that holds it with --root")
    return root if root is not None and inside else folder


def _unknown_key(draft: Draft) -> Callable[[str], str | None]:
    """What to say of a key that is not in the dataset, with the one that has its name; None of one that is."""
    known: set[str] = set()
    names: dict[str, str] = {}

    def wrong(key: str) -> str | None:
        if not known:
            known.update(tree_key.decode() for tree_key, _ in draft.snapshot.input_tree)
        if key in known:
            return None
        if not names:
            names.update({other.rpartition("/")[2].casefold(): other for other in sorted(known, reverse=True)})
        near = names.get(key.rpartition("/")[2].casefold())
        return "is not in the dataset" + (f"; there is {near!r}" if near else "; add it, or give its path, url or text")

    return wrong


def _take(draft: Draft, incoming: Incoming, name: str, path: Path, given: Options) -> ImportReport:
    """Store what was read, settle what was refused, and take the rest into the draft."""
    stored = store_source(draft, incoming, name, given.progress, given.split)
    rejects = _settle(incoming, path, given.on_error)
    clashes = () if incoming.format == "coco" else _clashes(draft, stored.roots)
    changed, doubled, dropped = take_source(draft, name, stored.roots, incoming.format)
    notes = [*incoming.notes, *clashes]
    if doubled:
        notes.append(f"{doubled} annotations have the number of one that was there, but say something else: both stand")
    if dropped:
        what = "1 input that the source no longer lists stays" if dropped == 1 else ""
        notes.append(what or f"{dropped:,} inputs that the source no longer lists stay")
    return ImportReport(
        source=name,
        inputs=stored.inputs,
        annotations=stored.annotations,
        concepts=stored.concepts,
        changed=changed,
        refused=incoming.problems.count,
        rejects=rejects,
        problems=tuple(incoming.problems.found),
        notes=tuple(notes),
    )


def _clashes(draft: Draft, roots: Roots) -> tuple[str, ...]:
    inputs = draft.snapshot.input_tree
    keys = (key for key, _ in Tree(draft.transaction.writer, roots.inputs))
    return clash_notes(draft, [key.decode() for key in keys if key not in inputs])


def _with_media(report: ImportReport, media: MediaReport) -> ImportReport:
    return report._replace(
        missing=media.missing,
        extra=media.extra,
        changed=report.changed or media.changed,
        notes=(*report.notes, *media.notes),
    )


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
    return _write_beside(path, content, getattr(incoming, "rejects_suffix", ".json"))


def _write_beside(path: Path, content: bytes, suffix: str) -> Path:
    stem = path.name.removesuffix(path.suffix)
    for number in range(1, 1000):
        target = path.with_name(f"{stem}.rejects{'' if number == 1 else f'-{number}'}{suffix}")
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
