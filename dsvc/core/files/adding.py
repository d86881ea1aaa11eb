"""Adding media: files on disk become blobs and inputs of the draft."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from dsvc.core.av_facts import lacks_facts, missing_facts
from dsvc.core.files.choosing import LeftOut, rules_for
from dsvc.core.files.filetable import now
from dsvc.core.files.reading import ChangedFileError, read_files
from dsvc.core.files.tracking import Tracked, make_tracked, tracked_folders
from dsvc.core.files.workfiles import FileStatus, WorkFiles
from dsvc.core.files.worktree import FoundFile, Problem, Report, find_files, real_start
from dsvc.core.keys import display
from dsvc.core.media import MediaFacts
from dsvc.errors import RefusedError
from dsvc.model.incoming import Progress
from dsvc.model.node import Store
from dsvc.model.records import Media
from dsvc.model.snapshot import Snapshot, SnapshotEdits
from dsvc.store.ids import Kind, ObjectId

if TYPE_CHECKING:
    from dsvc.core.draft import Draft, DraftState


class AddReport(NamedTuple):
    """How many inputs are new, changed, unchanged; what could not be taken; how many files were passed over.

    `moved` and `removed` are inputs whose file has another name or is gone, `tracked` the folders that are tracked from
    now on; `notes` say what else should be known of what was taken.
    """

    new: int
    changed: int
    unchanged: int
    problems: tuple[Problem, ...]
    left_out: LeftOut = LeftOut()
    moved: int = 0
    removed: int = 0
    removed_annotations: int = 0
    tracked: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def add_files(
    draft: Draft,
    paths: list[Path],
    root: Path | None,
    progress: Progress | None = None,
    *,
    all_files: bool = False,
    team: bool = False,
) -> AddReport:
    """Take files and folders into a draft. Raises RefusedError, NotFoundError where a path cannot be meant.

    Folders inside the project are tracked from then on. Of folders, hidden files, ignored ones and those that are no
    media are passed over; with `all_files`, ignored ones only.
    """
    base = root or draft.dataset.repository.root
    if base is None:
        raise RefusedError("this repository has no project folder", "give the folder that keys are relative to: root")
    places = [(path, real_start(path, base)) for path in paths]
    tracked = [_tracked(draft, place, base, root is None, all_files) for _, place in places if Path(place).is_dir()]
    inside = [one for one in tracked if one is not None]
    others = [path for path, place in places if not any(_is_in(draft, place, one) for one in inside)]
    report = _add_folders(draft, inside, progress, team) if inside else AddReport(0, 0, 0, ())
    if others:
        report = _joined(report, _add_others(draft, others, base, progress, all_files))
    return report


def _tracked(draft: Draft, place: str, base: Path, is_default: bool, all_files: bool) -> Tracked | None:
    """A folder as one to track; where it is tracked already and no other root is named, with the keys that it has."""
    repository = draft.dataset.repository
    if repository.root is None:
        return None
    real = os.path.realpath(base)
    one = make_tracked(repository.root, place, real, draft.dataset.name, all_files)
    if one is not None and is_default:
        for known in tracked_folders(repository.workspace, draft.dataset.name):
            if known.holds(one.folder):
                return one._replace(root=known.root, all_files=all_files or known.all_files)
    return one


def _is_in(draft: Draft, place: str, tracked: Tracked) -> bool:
    root = draft.dataset.repository.root
    return root is not None and tracked.holds(os.path.relpath(place, os.path.realpath(root)).replace(os.sep, "/"))


def _joined(first: AddReport, second: AddReport) -> AddReport:
    def add(a: Any, b: Any) -> Any:
        return LeftOut(*map(sum, zip(a, b, strict=True))) if isinstance(a, LeftOut) else a + b

    return AddReport(*map(add, first, second))


def _add_others(draft: Draft, paths: list[Path], base: Path, progress: Progress | None, all_files: bool) -> AddReport:
    """Take single files, which may be any, and folders outside the project."""
    problems: list[Problem] = []
    rules = rules_for(os.path.realpath(base), "", all_files)
    found = find_files(paths, base.absolute(), report=problems.append, rules=rules)
    media = read_media(draft, found, problems.append, progress)
    inputs = draft.snapshot.input_tree
    clashes = clash_notes(draft, [key for key in media if key.encode() not in inputs])
    counts = draft.put_media(media) if media else (0, 0, 0)
    return AddReport(*counts, tuple(problems), found.left_out, notes=(*clashes, *media_notes(draft, media)))


def _add_folders(draft: Draft, tracked: list[Tracked], progress: Progress | None, team: bool) -> AddReport:
    files = WorkFiles(draft.dataset, tracked, draft.transaction.writer)
    status = files.compare(draft.snapshot.roots, progress, read=False)
    problems = list(status.problems)
    media = _read_keys(draft, files, (*status.new, *status.modified, *status.unread), problems.append, progress)
    clashes = (*clash_notes(draft, [key for key in status.new if key in media]), *_twice(draft, tracked, status.new))
    new, changed, unchanged = draft.put_media(media) if media else (0, 0, 0)
    # Files that were not read are those of inputs already.
    unread = files.count - len(status.new) - len(status.modified) - len(status.unread)
    draft.after(files.save)
    return AddReport(
        new,
        changed,
        unchanged + unread,
        tuple(problems),
        status.left_out,
        tracked=tuple(one.folder or "." for one in draft.track(tracked, team)),
        notes=(*clashes, *media_notes(draft, media)),
    )


def _twice(draft: Draft, tracked: list[Tracked], new: tuple[str, ...]) -> tuple[str, ...]:
    """What to tell of files whose inputs are there already under the path below the folder, as imports name them."""
    inputs = draft.snapshot.input_tree
    if not len(inputs):
        return ()
    for one in tracked:
        prefix = one.prefix
        found = [
            rest for key in new if prefix and key.startswith(prefix) and (rest := key[len(prefix) :]).encode() in inputs
        ]
        if found:
            folder = display(one.folder)
            what = (
                f"{display(found[0])} is" if len(found) == 1 else f"{display(found[0])} and {len(found) - 1:,} more are"
            )
            way = f"dsvc undo, then: dsvc add {folder} --root {folder}"
            return (f"{what} in the dataset without {folder}/: the same files? {way}",)
    return ()


def add_all(draft: Draft, progress: Progress | None = None) -> AddReport:
    """Take in all that changed in the tracked folders: new files, other bytes, other names, and files that are gone.

    An input whose file has another name now moves with its annotations; one whose file is gone goes with them. Raises
    RefusedError where nothing is tracked, or where a whole folder is gone.
    """
    files = WorkFiles(draft.dataset, reader=draft.transaction.writer)
    if not files.tracked:
        raise RefusedError("no folder is tracked", "add one: dsvc add FOLDER")
    status = files.compare(draft.snapshot.roots, progress)
    if status.absent:
        raise _folder_gone(status, files)
    problems = list(status.problems)
    media = _read_keys(draft, files, (*status.new, *status.modified), problems.append, progress)
    clashes = clash_notes(draft, [*(key for key in status.new if key in media), *(new for _, new in status.renamed)])
    new, changed, _ = draft.put_media(media) if media else (0, 0, 0)
    removed = _follow(draft, status) if status.renamed or status.missing else 0
    draft.after(files.save)
    return AddReport(
        new,
        changed,
        files.count - new - changed - len(status.renamed),
        tuple(problems),
        status.left_out,
        moved=len(status.renamed),
        removed=len(status.missing),
        removed_annotations=removed,
        notes=(*clashes, *media_notes(draft, media)),
    )


def _folder_gone(status: FileStatus, files: WorkFiles) -> RefusedError:
    lost = [t for t in files.tracked if (t.folder or ".") in status.absent]
    count = sum(1 for key in status.missing if any(t.path(key) is not None for t in lost))
    names = ", ".join(status.absent)
    hint = f"is it mounted? to look there no more: dsvc untrack {status.absent[0]}; inputs go with: dsvc rm"
    return RefusedError(f"{names}: not there, or without files, and {count:,} inputs came from it", hint)


def _follow(draft: Draft, status: FileStatus) -> int:
    """Move inputs to the names that their files have now, and take those away whose file is gone."""
    removed = 0

    def step(store: Store, state: DraftState) -> DraftState:
        nonlocal removed
        snapshot, edits = Snapshot(store, state.roots, draft.dataset.repository.cache), SnapshotEdits()
        for old, new in status.renamed:
            value = snapshot.input_tree.get(old.encode())
            if value is not None and new.encode() not in snapshot.input_tree:
                edits.inputs[old.encode()], edits.inputs[new.encode()] = None, value
                for tree_key, annotation in snapshot.annotation_tree.prefix(f"{old}\0".encode()):
                    edits.annotations[tree_key] = None
                    edits.annotations[new.encode() + tree_key[len(old.encode()) :]] = annotation
        before = len(edits.annotations)
        for key in status.missing:
            if key.encode() in snapshot.input_tree:
                edits.inputs[key.encode()] = None
                for tree_key, _ in snapshot.annotation_tree.prefix(f"{key}\0".encode()):
                    edits.annotations[tree_key] = None
        removed = len(edits.annotations) - before
        return draft.edited(store, state, edits)

    draft.apply(step)
    return removed


def _read_keys(
    draft: Draft, files: WorkFiles, keys: Iterable[str], report: Report, progress: Progress | None
) -> dict[str, Media]:
    found = files.found(sorted(keys, key=lambda key: key.encode("utf-8", "surrogateescape")))
    return read_media(draft, found, report, progress, files)


def media_of(facts: MediaFacts, blob: ObjectId, size: int) -> Media:
    """The media of bytes that the repository holds, by what they tell of themselves."""
    return Media(
        blob=blob,
        type=facts.type,
        size=size,
        width=facts.width,
        height=facts.height,
        duration=facts.duration,
        fps=facts.fps,
    )


def clash_notes(draft: Draft, new: Iterable[str]) -> tuple[str, ...]:
    """What to tell of keys before they enter a draft: names that other systems forbid, or take for another's."""
    from dsvc.core.files.portability import find_clashes

    return tuple(find_clashes(new, draft.snapshot.input_tree))


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
    draft: Draft,
    found: Iterable[FoundFile],
    report: Report,
    progress: Progress | None = None,
    files: WorkFiles | None = None,
) -> dict[str, Media]:
    """Store the bytes of files; what became of each, by key. `files` learns the stamps of its own."""
    writer, media, start = draft.transaction.writer, dict[str, Media](), now()
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
        media[file.key] = media_of(file.facts, blob, file.size)
        if files is not None:
            files.learn(file.key, file.stamp[:3], blob, start)
        if progress and len(media) % 64 == 0:
            progress("read files", len(media), total)
    if progress and media:
        progress("read files", len(media), total)
    return media
