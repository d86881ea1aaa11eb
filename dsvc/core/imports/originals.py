"""The media of imported inputs: files beside the source, files and places that it names, texts that it holds."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from dsvc.core.files.adding import media_notes, media_of, read_media
from dsvc.core.files.worktree import FoundFile, Problem, find_files, reason, wrong_kind
from dsvc.core.keys import display
from dsvc.errors import InvalidRecordsError
from dsvc.model.commit import load_commit
from dsvc.model.incoming import Origin, Progress
from dsvc.model.snapshot import load_roots
from dsvc.model.tree import Tree
from dsvc.store.ids import Kind

if TYPE_CHECKING:
    from dsvc.core.draft import Draft
    from dsvc.model.records import Media


class MediaReport(NamedTuple):
    """What became of the media: inputs without a file, files that no record names, whether anything changed."""

    missing: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    changed: bool = False
    notes: tuple[str, ...] = ()


def take_images(
    draft: Draft, source: str, folders: tuple[Path, ...], prefix: str, progress: Progress | None
) -> MediaReport:
    """Take the media of a source's inputs from a folder: of several, the first that has any of them.

    Keys are the paths below the folder, behind a prefix.
    """
    keys = _keys_of(draft, source)
    problems: list[Problem] = []
    found: list[FoundFile] = []
    extra: list[FoundFile] = []
    for folder in folders:
        found, extra, problems = [], [], []
        for file in find_files([folder], folder.absolute(), report=problems.append):
            named = file._replace(key=prefix + file.key)
            (found if named.key in keys else extra).append(named)
        if found:
            break
    media = read_media(draft, found, problems.append, progress)
    new, changed, _ = draft.put_media(media) if media else (0, 0, 0)
    notes = [*media_notes(draft, media), *map(str, problems)]
    if keys and not media:
        notes.insert(0, f"none of the file's names is below {folders[0]}: is it another folder?")
    missing = tuple(sorted(keys - media.keys()))
    return MediaReport(missing, tuple(file.key for file in extra), bool(new or changed), tuple(notes))


def _keys_of(draft: Draft, source: str) -> set[str]:
    """The keys of the inputs that a source lists."""
    store = draft.transaction.writer
    roots = load_roots(store, load_commit(store, draft.sources[source]).snapshot)
    return {key.decode() for key, _ in Tree(store, roots.inputs)}


def take_origins(
    draft: Draft,
    origins: Mapping[str, Origin],
    path: Path,
    images: Path | None,
    rows: Mapping[str, int],
    progress: Progress | None,
    hash: bool = True,
) -> MediaReport:
    """Take the media of inputs from where a source says that they are.

    Paths are relative to `images`, else to the folder of a file, and must stay in it or in the project: a list from
    elsewhere takes no other file in. Without `hash`, no byte of what URLs name is read. Raises InvalidRecordsError that
    names every row whose file cannot be taken.
    """
    base = images or (path if path.is_dir() else path.parent)
    wrong: list[str] = []

    def refuse(key: str, text: str) -> None:
        row = f"row {rows[key]} (key {key!r})" if key in rows else display(key)
        wrong.append(f"{row}: {text}")

    files: list[FoundFile] = []
    texts: dict[str, bytes] = {}
    places: dict[str, str] = {}
    for key in sorted(origins, key=str.encode):
        origin = origins[key]
        if origin.file is not None:
            found, problem = _find(draft, base, origin.file)
            if problem:
                refuse(key, problem)
            else:
                files.append(FoundFile(key, found))
        elif origin.place is not None:
            places[key] = origin.place
        elif origin.data is not None:
            texts[key] = origin.data
    if wrong:
        raise InvalidRecordsError(
            f"{path}: {len(wrong)} files cannot be taken", wrong, "mend the paths; nothing changed"
        )
    by_path = {file.path: file.key for file in files}
    media = read_media(draft, files, lambda p: refuse(by_path.get(str(p.path), ""), p.reason), progress)
    if wrong:
        raise InvalidRecordsError(f"{path}: {len(wrong)} files cannot be read", wrong, "nothing changed")
    media |= {key: _text(draft, key, data) for key, data in texts.items()}
    new, changed, _ = draft.put_media(media) if media else (0, 0, 0)
    is_changed = bool(new or changed)
    if not places:
        return MediaReport(changed=is_changed, notes=media_notes(draft, media))
    from dsvc.core.references.referring import refer_to

    asked = [(place, key, rows.get(key, 0)) for key, place in places.items()]
    report, journal = refer_to(draft, asked, hash=hash, name=path.name, progress=progress)
    draft.after(journal.remove)
    if report.problems:
        problems = list(map(str, report.problems))
        raise InvalidRecordsError(f"{path}: {len(problems)} places cannot be referred to", problems, "nothing changed")
    return MediaReport(changed=is_changed or bool(report.new or report.changed), notes=media_notes(draft, media))


def _find(draft: Draft, base: Path, name: str) -> tuple[str, str | None]:
    """Where the file of a path is, and why it cannot be taken."""
    place = os.path.realpath(base / name)
    homes = [os.path.realpath(base)]
    if draft.dataset.repository.root is not None:
        homes.append(os.path.realpath(draft.dataset.repository.root))
    if not any(place.startswith(home.rstrip(os.sep) + os.sep) for home in homes):
        return place, f"path {display(name)!r} leads out of {display(homes[0])} and of the project"
    if {".dsvc", ".git"}.intersection(Path(place).parts):
        return place, f"path {display(name)!r} is no data"
    try:
        mode = os.stat(place).st_mode  # noqa: PTH116
    except OSError as error:
        return place, f"path {display(name)!r} {reason(error)}"
    wrong = wrong_kind(mode) if not stat.S_ISREG(mode) else None
    return place, f"path {display(name)!r} {wrong}" if wrong else None


def _text(draft: Draft, key: str, data: bytes) -> Media:
    from dsvc.core.media import MediaFacts

    blob = draft.transaction.writer.put(Kind.BLOB, data)
    return media_of(MediaFacts("text/plain"), blob, len(data))
