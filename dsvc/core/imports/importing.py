"""Importing: a source's file or folder becomes a commit on the source's own line, and the draft takes it in."""

from __future__ import annotations

import mmap
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from dsvc.core.files.adding import clash_notes
from dsvc.core.imports.archived import DraftMedia, settle_meta, take_media
from dsvc.core.imports.delivery import Tally
from dsvc.core.imports.finding import FileFinder
from dsvc.core.imports.near import unknown_key
from dsvc.core.imports.originals import MediaReport, listed_keys, take_images, take_origins
from dsvc.core.imports.packed import told_of, unpacked
from dsvc.core.imports.rejects import stop_on_errors, write_rejects
from dsvc.core.imports.remembered import fingerprint, recall, remember
from dsvc.core.imports.reports import ImportReport, Options, Part, Unlisted, join_reports
from dsvc.core.imports.sources import FOLLOWED, Taken, source_name, store_source, take_source
from dsvc.core.names import check_name
from dsvc.core.registry import coco_parts, folder_importer, importer, packed_format
from dsvc.errors import InvalidRecordsError, NotFoundError, RefusedError, UsageError
from dsvc.model.incoming import Incoming, Setup
from dsvc.model.snapshot import Roots
from dsvc.model.tree import Tree

if TYPE_CHECKING:
    from dsvc.core.draft import Draft

_BESIDE = "COCO beside images"
FOLDER_FORMATS = ("folder", "mask")
# The sources that each option is for; other options are for all. What other packages read gets all options.
_FOR = {
    "images": ("coco", "table", "mask"),
    "root": (_BESIDE, "folder"),
    "classes": ("mask",),
    "concept": ("mask",),
    "ignore": ("mask",),
    "suffix": ("mask",),
    "hash": ("table",),
}
_NAMES = {
    "coco": "COCO files",
    _BESIDE: "folders of COCO files beside their images",
    "table": "tables",
    "clarifai": "Clarifai's archives",
    "folder": "--format folder",
    "mask": "--format mask",
}


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
    table are not read. `sync` says what goes of what the source lists no more: "annotations" of the inputs that it
    lists, or "inputs" too, which `approve` may refuse. With `dry_run` nothing changes, and media are not looked at.
    Raises InvalidRecordsError, RefusedError, NotFoundError, UsageError.
    """
    given = Options(images=_path(images), root=_path(root), classes=_path(classes), **options)
    if given.split is not None:
        check_name(given.split, "split")
    if given.images is not None and not given.images.is_dir() and given.format != "mask":
        hint = "--images takes the folder that the file's names are relative to"
        raise NotFoundError(f"no folder {given.images}", hint)
    if path.is_dir():
        return _import_folder(draft, path, given)
    if given.format in FOLDER_FORMATS:
        what = "is no folder" if os.path.lexists(path) else "is not there"
        raise UsageError(f"{path} {what}", f"--format {given.format} takes a folder")
    with MappedFile(path) as data:
        packed = packed_format(path, data) if given.format in (None, "coco") else None
        if packed == "coco":
            return _import_packed(draft, path, data, given)
    if packed is not None and given.format is not None:
        raise UsageError(f"{path} is an archive of Clarifai's, and no COCO", f"dsvc import {path}")
    return _import_file(draft, path, given._replace(format=packed or given.format)).report


def _check_options(given: Options, *kinds: str) -> None:
    """Raise UsageError for an option that has no meaning for a source that is of some kinds; of none: any may have."""
    for name, wanted in _FOR.items():
        if kinds and getattr(given, name) != Options._field_defaults[name] and not set(kinds).intersection(wanted):
            option = "no-hash" if name == "hash" else name
            raise UsageError(f"--{option} goes with {' and '.join(_NAMES[kind] for kind in wanted)}")


def _kinds(reader: Any) -> list[str]:
    return [reader.format] if hasattr(reader, "format") else []


def _path(value: str | Path | None) -> Path | None:
    return Path(value) if value is not None else None


class _Place(NamedTuple):
    """Of one of a folder's files: what keys have before the file's names, and where its images may lie."""

    prefix: str
    images: tuple[Path, ...]


def _import_file(draft: Draft, path: Path, given: Options, place: _Place | None = None) -> Part:
    name = source_name(given.source or path.stem)
    finder = FileFinder(given.images or path.parent, draft.dataset.repository.root)
    with MappedFile(path) as data:
        reader: Any = importer(given.format, path, data)
        more: dict[str, Any] = {"prefix": place.prefix} if place else {}
        if getattr(reader, "wants_path", False):
            more |= {"path": path, "wrong_key": unknown_key(draft), "wrong_path": finder.problem}
        if getattr(reader, "wants_store", False):
            more["store"] = DraftMedia(draft)
        if place is None:
            _check_options(given, *_kinds(reader))
        asked = (given.split or "", given.sync, place.prefix if place else "")
        file = fingerprint(data) if _kinds(reader) == ["coco"] else ""
        incoming: Any = None
        known = recall(draft, name, file, asked) if file else None
        if known is None:
            incoming = reader.open(data, path.name, given.progress, **more)
            known = _take(draft, incoming, name, path, given)
            if file and not given.dry_run:
                remember(draft, known, file, asked)
        report, roots = known
        if not given.dry_run:
            report = report.with_media(_media(draft, incoming, (path, finder), roots, given, place))
            if incoming is not None:
                report = report._replace(rejects=write_rejects(incoming, path))
        # Views of the mapped file live in what was read; they must be gone before it is closed.
        del incoming
    return Part(report, roots)


def _media(
    draft: Draft,
    incoming: Any,
    source: tuple[Path, FileFinder],
    roots: Roots,
    given: Options,
    place: _Place | None,
) -> MediaReport:
    """Take the media of a file's inputs: from where it says that they are, from within it, or from a folder."""
    path, finder = source
    if hasattr(incoming, "origins"):
        rows = getattr(incoming, "rows", {})
        return take_origins(draft, incoming.origins, path, finder, rows, given.progress, given.hash)
    if hasattr(incoming, "media"):
        return take_media(draft, incoming.media)
    folders = (given.images,) if given.images is not None else place.images if place else ()
    if not folders:
        return MediaReport()
    prefix = place.prefix if place else ""
    keys, is_named = listed_keys(draft, roots), given.images is not None
    return take_images(draft, keys, folders, prefix, given.progress, path, is_named)


def _import_folder(draft: Draft, folder: Path, given: Options) -> ImportReport:
    if given.format in (None, "coco"):
        return _import_parts(draft, folder, given)
    if given.format == "table":
        raise UsageError(f"{folder} is a folder", "name the file of the table")
    reader: Any = folder_importer(given.format)
    _check_options(given, *_kinds(reader))
    root = _root(draft, folder, given)
    setup = Setup(
        inputs=lambda: draft.snapshot.inputs(),
        root=root,
        classes=given.classes,
        concept=given.concept,
        ignore=given.ignore,
        suffix=given.suffix,
        prefix=given.images.as_posix().strip("/") if given.images is not None else "",
    )
    name = source_name(given.source or folder.resolve().name)
    incoming = reader.open_folder(folder, setup, given.progress)
    report, _ = _take(draft, incoming, name, folder, given)
    if given.dry_run or not hasattr(incoming, "origins"):
        return report
    finder = FileFinder(folder, draft.dataset.repository.root)
    return report.with_media(take_origins(draft, incoming.origins, folder, finder, {}, given.progress))


def _import_parts(draft: Draft, folder: Path, given: Options) -> ImportReport:
    """A folder of COCO files. Of several, each is a source of its own."""
    found = coco_parts(folder)
    if not found.parts:
        raise _no_coco(folder, found.others)
    is_beside = any(part.beside for part in found.parts)
    _check_options(given, "coco", *([_BESIDE] if is_beside else []))
    if is_beside and given.images is not None:
        raise UsageError("the images lie beside these files", f"leave out --images: dsvc import {folder}")
    stem, root = source_name(given.source or folder.resolve().name), _root(draft, folder, given)
    reports: list[Part] = []
    errors: list[tuple[str, InvalidRecordsError]] = []
    for part in found.parts:
        name = stem if len(found.parts) == 1 or not part.name else f"{stem[: 63 - len(part.name)]}-{part.name}"
        if part.split is not None:
            _check_split(part.split, part.file)
        prefix = _below(part.images[0], root) if part.beside else ""
        asked = given._replace(format="coco", source=name, split=given.split or part.split)
        try:
            reports.append(_import_file(draft, part.file, asked, _Place(prefix, part.images)))
        except InvalidRecordsError as error:  # all files are looked through before
            errors.append((part.file.relative_to(folder).as_posix(), error))
    if errors:
        raise _joined_errors(folder, errors)
    report = join_reports(draft, reports)
    notes = [f"{other.relative_to(folder)} was passed over: its name says no task or split" for other in found.others]
    return report._replace(notes=(*report.notes, *notes))


def _import_packed(draft: Draft, path: Path, data: memoryview, given: Options) -> ImportReport:
    """A ZIP archive of COCO files, with or without their images."""
    if given.on_error != "stop":
        hint = f"unpack {path}, and import the folder: what is refused is written beside its files"
        raise UsageError("--on-error skip goes with files and folders, and not with an archive of COCO files", hint)
    name = source_name(given.source or path.stem)
    with unpacked(data, path) as folder:
        found = coco_parts(folder)
        asked = given._replace(format="coco", source=name)
        if not found.parts and len(found.others) == 1:
            return told_of(_import_file(draft, found.others[0], asked).report, folder, path)
        return told_of(_import_parts(draft, folder, asked), folder, path)


def _check_split(name: str, file: Path) -> None:
    try:
        check_name(name, "split")
    except UsageError as error:
        hint = f"rename it, or import it by itself: dsvc import {file} --split NAME"
        raise RefusedError(f"{file}: {error.message}", hint) from None


def _joined_errors(folder: Path, errors: list[tuple[str, InvalidRecordsError]]) -> InvalidRecordsError:
    if len(errors) == 1:
        return errors[0][1]
    problems = [f"{name}: {problem}" for name, error in errors for problem in error.problems or [error.message]]
    return InvalidRecordsError(f"{folder}: errors in {len(errors)} files", problems, errors[0][1].hint)


def _no_coco(folder: Path, others: tuple[Path, ...]) -> RefusedError:
    if others:
        hint = f"name the file, and where its images are: dsvc import {others[0]} --images DIR"
        return RefusedError(f"{folder} is a folder whose files don't say by their names what they are", hint)
    hint = "subfolders that are classes: --format folder; PNG masks: --format mask; plain media: dsvc add FOLDER"
    return RefusedError(f"{folder} is a folder without COCO files", hint)


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


def _take(draft: Draft, incoming: Incoming, name: str, path: Path, given: Options) -> Part:
    """Store what was read, unless errors stop it, and merge it into the draft."""
    stored = store_source(draft, incoming, name, given.progress, given.split)
    stop_on_errors(incoming, path, given.on_error)
    refused, followed = incoming.problems.count, incoming.format in FOLLOWED
    if given.sync and refused:
        raise RefusedError(f"{path}: what is refused would count as listed no more", "mend it, or leave out --sync")
    clashes = () if incoming.format == "coco" else _clashes(draft, stored.roots)
    taken, before = Taken(), draft.snapshot.roots
    others = sorted(draft.sources) if name not in draft.sources else []
    # Where all was refused, or there are no rows, the source says nothing, and is as it was.
    if stored.inputs or stored.annotations or not (refused or followed):
        sync = given.sync or ("annotations" if followed else "")
        taken = take_source(draft, name, stored.roots, incoming.format, sync)
        if given.sync == "inputs" and taken.tally.unlisted_inputs and given.approve is not None and not given.dry_run:
            given.approve(Unlisted(name, taken.tally.unlisted_inputs, taken.tally.unlisted_annotations))
        if (meta := getattr(incoming, "dataset_meta", None)) is not None:
            settle_meta(draft, incoming.format, name, meta, before.meta)
            taken = taken._replace(changed=draft.snapshot.roots != before)
    split = f"--split {given.split}" if given.split is not None else ""
    tally = taken.tally
    staying = [] if refused else _staying(tally, given, path, followed)
    report = ImportReport(
        source=name,
        inputs=stored.inputs,
        annotations=stored.annotations,
        concepts=stored.concepts,
        changed=False,
        refused=refused,
        rejects=None,
        problems=tuple(incoming.problems.found),
        notes=(*incoming.notes, *clashes, *_doubled(tally.doubled, others), *staying),
        rejects_options=" ".join(filter(None, [f"--source {name}" if followed else "", split])),
    )
    return Part(report.with_taken(taken), stored.roots)


def _doubled(count: int, others: list[str]) -> list[str]:
    """What to say of annotations that came beside others of their numbers; `others` are the sources that were before,
    of which a file under a new name may be a new delivery."""
    if not count:
        return []
    who = "1 annotation has" if count == 1 else f"{count:,} annotations have"
    says = "says" if count == 1 else "say"
    notes = [f"{who} the number of one that was there, but {says} something else: both stand"]
    if others:
        name, one = (others[0], f"source {others[0]}") if len(others) == 1 else ("NAME", "one of the other sources")
        notes.append(f"if this is a new delivery of {one}: dsvc undo, then import it with --source {name}")
    return notes


def _staying(tally: Tally, given: Options, path: Path, followed: bool) -> list[str]:
    """What stays though the source lists it no more, and how to remove it."""
    counts = {
        "annotation": 0 if given.sync or followed else tally.gone,
        "input": 0 if given.sync == "inputs" else tally.unlisted_inputs,
    }
    if not any(counts.values()):
        return []
    what = " and ".join(_counted(count, noun) for noun, count in counts.items() if count)
    verb, them = ("stays", "it") if sum(counts.values()) == 1 else ("stay", "them")
    note = f"{what} that the source listed before, and does not list now, {verb}"
    if ".rejects" in path.name:
        return [note]
    ways = {"annotation": "--sync", "input": "--sync=inputs"}
    return [f"{note}; remove {them} with {' or '.join(ways[noun] for noun, count in counts.items() if count)}"]


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _clashes(draft: Draft, roots: Roots) -> tuple[str, ...]:
    inputs = draft.snapshot.input_tree
    keys = (key for key, _ in Tree(draft.transaction.writer, roots.inputs))
    return clash_notes(draft, [key.decode() for key in keys if key not in inputs])


class MappedFile:
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
