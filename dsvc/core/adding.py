"""Adding media: files on disk become blobs and inputs of the draft."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from dsvc.core.av_facts import lacks_facts, missing_facts
from dsvc.core.reading import ChangedFileError, read_files
from dsvc.core.worktree import FoundFile, Problem, Report, find_files
from dsvc.errors import RefusedError
from dsvc.model.incoming import Progress
from dsvc.model.records import Media
from dsvc.store.ids import Kind

if TYPE_CHECKING:
    from dsvc.core.draft import Draft


class AddReport(NamedTuple):
    """How many inputs are new, changed, unchanged; what could not be taken; how many files were passed over.

    `notes` say what else should be known of what was taken.
    """

    new: int
    changed: int
    unchanged: int
    problems: tuple[Problem, ...]
    skipped: int
    notes: tuple[str, ...] = ()


def add_files(draft: Draft, paths: list[Path], root: Path | None, progress: Progress | None = None) -> AddReport:
    """Take files and folders into a draft. Raises RefusedError, NotFoundError where a path cannot be meant."""
    base = root or draft.dataset.repository.root
    if base is None:
        raise RefusedError("this repository has no project folder", "give the folder that keys are relative to: root")
    problems: list[Problem] = []
    found = find_files(paths, base.absolute(), report=problems.append)
    media = read_media(draft, found, problems.append, progress)
    counts = draft.put_media(media) if media else (0, 0, 0)
    return AddReport(*counts, tuple(problems), found.hidden, media_notes(draft, media))


def media_notes(draft: Draft, media: Mapping[str, Media]) -> tuple[str, ...]:
    """What to tell of media that a draft has taken: what of it is not known, since a library is missing."""
    lacking = [key for key, found in media.items() if lacks_facts(found)]
    if not lacking:
        return ()
    snapshot = draft.snapshot  # which may know the facts from elsewhere
    known = [record.media for key in lacking if (record := snapshot.input(key)) is not None]
    text = missing_facts(one for one in known if one is not None)
    return (text,) if text is not None else ()


def read_media(
    draft: Draft, found: Iterable[FoundFile], report: Report, progress: Progress | None = None
) -> dict[str, Media]:
    """Store the bytes of files; what became of each, by key."""
    writer, media = draft.transaction.writer, dict[str, Media]()
    total = len(found) if isinstance(found, list) else None
    for file in read_files(found, report=report):
        if file.data is not None:
            blob = writer.put(Kind.BLOB, file.data, file.id)
        else:
            try:
                blob = writer.put_blob(file.pieces(), file.size)
            except ChangedFileError as error:  # a full disk is no problem of this file alone, and ends it all
                report(Problem(Path(file.path), error.reason))
                continue
        facts = file.facts
        media[file.key] = Media(
            blob=blob,
            type=facts.type,
            size=file.size,
            width=facts.width,
            height=facts.height,
            duration=facts.duration,
            fps=facts.fps,
        )
        if progress and len(media) % 64 == 0:
            progress("read files", len(media), total)
    if progress and media:
        progress("read files", len(media), total)
    return media
