"""The media of imported inputs: files beside the source, files and places that it names, texts that it holds."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from dsvc.core.files.adding import media_notes, media_of, read_media
from dsvc.core.files.worktree import FoundFile, Problem, find_files
from dsvc.core.imports.finding import FileFinder
from dsvc.core.keys import display
from dsvc.errors import InvalidRecordsError
from dsvc.model.incoming import Origin, Progress
from dsvc.model.tree import Tree
from dsvc.store.ids import Kind

if TYPE_CHECKING:
    from dsvc.core.draft import Draft
    from dsvc.model.records import Media
    from dsvc.model.snapshot import Roots


class MediaReport(NamedTuple):
    """What became of the media: inputs without a file, files that no record names, whether anything changed."""

    missing: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    changed: bool = False
    notes: tuple[str, ...] = ()


def take_images(
    draft: Draft,
    keys: set[str],
    folders: tuple[Path, ...],
    prefix: str,
    progress: Progress | None,
    own: Path,
    is_named: bool,
) -> MediaReport:
    """Take the media of inputs, by their keys, from a folder: of several, the one that has most of them.

    Keys are the paths below the folder, behind a prefix. `own` is the source's file, which is no medium. `is_named`
    says that somebody has named the folder, and may have meant another one.
    """
    present, gone = _present(draft, keys)
    best: tuple[list[FoundFile], list[FoundFile], list[Problem]] = [], [], []
    # The outermost is the last; with as many it is the one, since a folder in it may have files of the same names.
    for folder in folders:
        looked = _look(folder, prefix, keys, own)
        if len(looked[0]) >= len(best[0]):
            best = looked
    found, extra, problems = best
    media = read_media(draft, [file for file in found if file.key in present], problems.append, progress)
    new, changed, _ = draft.put_media(media) if media else (0, 0, 0)
    notes = [*media_notes(draft, media), *map(str, problems), *gone_note(len(gone))]
    if keys and not found and is_named:
        notes.insert(0, f"none of the file's names is below {folders[0]}: is it another folder?")
    missing = tuple(sorted(present - media.keys()))
    return MediaReport(missing, tuple(file.key for file in extra), bool(new or changed), tuple(notes))


def _look(
    folder: Path, prefix: str, keys: set[str], own: Path
) -> tuple[list[FoundFile], list[FoundFile], list[Problem]]:
    """The files of a folder that have one of some keys, those that have none, and what cannot be taken."""
    problems: list[Problem] = []
    found: list[FoundFile] = []
    extra: list[FoundFile] = []
    mine = os.path.realpath(own)
    for file in find_files([folder], folder.absolute(), report=problems.append):
        named = file._replace(key=prefix + file.key)
        if named.key in keys:
            found.append(named)
        elif file.path != mine:
            extra.append(named)
    return found, extra, problems


def listed_keys(draft: Draft, roots: Roots) -> set[str]:
    """The keys of the inputs that a source lists."""
    return {key.decode() for key, _ in Tree(draft.transaction.writer, roots.inputs)}


def _present(draft: Draft, keys: Iterable[str]) -> tuple[set[str], set[str]]:
    """Which of some keys are in the draft, and which were taken away here: those stay away."""
    known = {key.decode() for key, _ in draft.snapshot.input_tree}
    wanted = set(keys)
    return wanted & known, wanted - known


def gone_note(count: int) -> list[str]:
    """What to tell of inputs that a source has, and that were taken away here."""
    if not count:
        return []
    return ["1 input that was taken away here stays away" if count == 1 else
            f"{count:,} inputs that were taken away here stay away"]  # fmt: skip


def take_origins(
    draft: Draft,
    origins: Mapping[str, Origin],
    path: Path,
    finder: FileFinder,
    rows: Mapping[str, int],
    progress: Progress | None,
    hash: bool = True,
) -> MediaReport:
    """Take the media of inputs from where a source says that they are.

    Without `hash`, no byte of what URLs name is read. Raises InvalidRecordsError that names every row whose file cannot
    be taken.
    """
    wrong: list[str] = []

    def refuse(key: str, text: str) -> None:
        wrong.append(f"{_named(key, rows)}: {text}")

    present, gone = _present(draft, origins)
    files: list[FoundFile] = []
    texts: dict[str, bytes] = {}
    places: dict[str, str] = {}
    for key in sorted(present, key=str.encode):
        origin = origins[key]
        if origin.file is not None:
            found, problem = finder.find(origin.file)
            if problem:
                refuse(key, problem)
            else:
                files.append(FoundFile(key, found))
        elif origin.place is not None:
            places[key] = origin.place
        elif origin.data is not None:
            texts[key] = origin.data
    _raise_wrong(path, wrong, "taken")
    by_path = {file.path: file.key for file in files}
    media = read_media(draft, files, lambda p: refuse(by_path.get(str(p.path), ""), p.reason), progress)
    _raise_wrong(path, wrong, "read")
    media |= {key: _text(draft, key, data) for key, data in texts.items()}
    new, changed, _ = draft.put_media(media) if media else (0, 0, 0)
    is_changed = bool(new or changed)
    if places:
        is_changed |= _refer(draft, places, path, rows, progress, hash)
    return MediaReport(changed=is_changed, notes=(*media_notes(draft, media), *gone_note(len(gone))))


def _named(key: str, rows: Mapping[str, int]) -> str:
    return f"row {rows[key]} (key {key!r})" if key in rows else display(key)


def _raise_wrong(path: Path, wrong: list[str], done: str) -> None:
    if wrong:
        what = "1 file" if len(wrong) == 1 else f"{len(wrong):,} files"
        raise InvalidRecordsError(f"{path}: {what} cannot be {done}", wrong, "nothing was imported; mend the paths")


def _refer(
    draft: Draft, places: dict[str, str], path: Path, rows: Mapping[str, int], progress: Progress | None, hash: bool
) -> bool:
    """Refer to places; whether anything changed. Raises InvalidRecordsError."""
    from dsvc.core.references.referring import refer_to

    asked = [(place, key, rows.get(key, 0)) for key, place in places.items()]
    report, journal = refer_to(draft, asked, hash=hash, name=path.name, progress=progress)
    draft.after(journal.remove)
    if report.problems:
        keys = {place: key for key, place in reversed(places.items())}
        wrong = sorted(report.problems, key=lambda one: rows.get(keys.get(one.place, ""), 0))
        named = [(_named(keys[one.place], rows), one) if one.place in keys else ("", one) for one in wrong]
        problems = [f"{name}: {one}" if name else str(one) for name, one in named]
        what = "1 place" if len(problems) == 1 else f"{len(problems):,} places"
        raise InvalidRecordsError(f"{path}: {what} cannot be referred to", problems, "nothing was imported")
    return bool(report.new or report.changed)


def _text(draft: Draft, key: str, data: bytes) -> Media:
    from dsvc.core.media import MediaFacts

    blob = draft.transaction.writer.put(Kind.BLOB, data)
    return media_of(MediaFacts("text/plain"), blob, len(data))
