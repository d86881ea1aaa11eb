"""Adding media: files on disk become blobs and inputs of the draft."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from dsvc.core.av_facts import lacks_facts, missing_facts
from dsvc.core.files.choosing import LeftOut, rules_for
from dsvc.core.files.comparing import stored_blob
from dsvc.core.files.filetable import now
from dsvc.core.files.reading import ChangedFileError, read_files
from dsvc.core.files.seen import mark, note_seen
from dsvc.core.files.tracking import Tracked, make_tracked, merged, owner, relative_path
from dsvc.core.files.workfiles import FileStatus, WorkFiles, in_order
from dsvc.core.files.worktree import FoundFile, Problem, Report, find_files, real_start
from dsvc.core.keys import display
from dsvc.core.media import MediaFacts
from dsvc.core.moving import with_other_key
from dsvc.core.purging.tombstones import leave_purged
from dsvc.errors import RefusedError
from dsvc.model.incoming import Progress
from dsvc.model.node import Store
from dsvc.model.records import Media
from dsvc.model.snapshot import Snapshot, SnapshotEdits
from dsvc.store.cutting import BIG
from dsvc.store.ids import Kind, ObjectId

if TYPE_CHECKING:
    from dsvc.core.draft import Draft, DraftState
    from dsvc.core.layout.taking import EditedFile
    from dsvc.store.writer import ObjectWriter


class AddReport(NamedTuple):
    """How many inputs are new, changed, unchanged; what could not be taken; how many files were passed over.

    `moved` and `removed` are inputs whose file has another name or is gone, `tracked` the folders that are tracked from
    now on; `notes` say what else should be known of what was taken. `edited` are annotation files of folders that are
    laid out, with how many annotations their edits changed.
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
    edited: tuple[EditedFile, ...] = ()


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
    media are passed over; with `all_files`, ignored ones only. A file that is named itself is taken, whatever it is.
    Without a root, keys are those that the tracked folder gives in which a path lies, else paths in the project.
    """
    base = root or draft.dataset.repository.root
    if base is None:
        raise RefusedError("this repository has no project folder", "give the folder that keys are relative to: root")
    places = [(path, real_start(path, base)) for path in paths]
    _refuse_checkouts(draft, [place for _, place in places])
    folders = _Folders(draft, base, root is None, all_files)
    others: dict[Path, list[Path]] = {}
    for path, place in places:
        if not (Path(place).is_dir() and folders.take(place)):
            others.setdefault(folders.root_of(place), []).append(path)
    report, files = AddReport(0, 0, 0, (), notes=tuple(folders.notes)), None
    if folders.starts:
        found, files = _add_folders(draft, folders, progress, team)
        report = _joined(report, found)
    for root_of, named in others.items():
        # Those that were taken with their folder are not counted again.
        left = [path for path in named if files is None or not files.takes(folders.path(real_start(path, base)) or "")]
        if left:
            report = _joined(report, _add_others(draft, left, root_of, progress, all_files))
    return report


def _refuse_checkouts(draft: Draft, places: list[str]) -> None:
    """Refuse what lies in a folder that was laid out: its files are inputs already, under other keys."""
    from dsvc.core.layout.folders import are_remembered, remembered

    repository = draft.dataset.repository
    root = repository.root
    if root is None or not are_remembered(repository.workspace):
        return
    from dsvc.core.layout.record import laid_folders

    laid = laid_folders(repository)
    for one in remembered(repository.workspace):
        if one.folder in laid and any((path := relative_path(root, place)) and one.holds(path) for place in places):
            name = display(one.folder)
            hint = f"take in what was changed there: dsvc add -A; or first: dsvc checkout --forget {shlex.quote(name)}"
            raise RefusedError(f"{name} is a checkout of {one.dataset}", hint)


class _Folders:
    """The folders among the paths to add, as ones that are tracked, or will be."""

    def __init__(self, draft: Draft, base: Path, is_default: bool, all_files: bool) -> None:
        repository, self._dataset = draft.dataset.repository, draft.dataset.name
        self._project = repository.root
        self._base = Path(os.path.realpath(base))
        self._is_default = is_default
        self._all_files = all_files
        # The dataset's, with those that are to be.
        self.tracked = draft.tracked
        self.new: list[Tracked] = []
        self.starts: list[str] = []
        self.notes: list[str] = []

    def take(self, place: str) -> bool:
        """Whether a folder, named by its real path, is one to track."""
        path = self.path(place)
        if path is None or self._project is None:
            return False
        above = owner(self.tracked, path)
        root, all_files = self._base, self._all_files
        if self._is_default and above is not None:
            root, all_files = self._base / above.root, all_files or above.all_files
        one = make_tracked(self._project, place, str(root), self._dataset, all_files)
        if one is None:
            if self.path(str(root)) is None:
                self.notes.append(f"{path or '.'} is not tracked, since its keys begin outside the project folder")
            return False
        self.new.append(one)
        if above is None or not above.sees_to(one):
            self.tracked = merged([one, *self.tracked])
        self.starts.append(path)
        return True

    def path(self, place: str) -> str | None:
        """A real path as one below the project's root; None for one outside."""
        return relative_path(self._project, place) if self._project is not None else None

    def place(self, folder: str) -> str:
        """Where a folder of the project lies."""
        return str(Path(self._project or Path(), folder))

    def root_of(self, place: str) -> Path:
        """The folder that the key of a file, or of a folder that is not tracked, is relative to."""
        path = self.path(place) if self._is_default else None
        above = owner(self.tracked, path) if path is not None else None
        return self._base / above.root if above is not None else self._base


def _joined(first: AddReport, second: AddReport) -> AddReport:
    def add(a: Any, b: Any) -> Any:
        return LeftOut(*map(sum, zip(a, b, strict=True))) if isinstance(a, LeftOut) else a + b

    return AddReport(*map(add, first, second))


def _add_others(draft: Draft, paths: list[Path], base: Path, progress: Progress | None, all_files: bool) -> AddReport:
    """Take single files, which may be any, and folders that cannot be tracked."""
    problems: list[Problem] = []
    rules = rules_for(os.path.realpath(base), "", all_files)
    found = find_files(paths, base.absolute(), report=problems.append, rules=rules)
    media = read_media(draft, found, problems.append, progress)
    inputs = draft.snapshot.input_tree
    clashes = clash_notes(draft, [key for key in media if key.encode() not in inputs])
    counts = draft.put_media(media) if media else (0, 0, 0)
    _note_named(draft, base, media)
    return AddReport(*counts, tuple(problems), found.left_out, notes=(*clashes, *media_notes(draft, media)))


def _note_named(draft: Draft, base: Path, media: Mapping[str, Media]) -> None:
    """Note, of files that were taken by their own names, those that lie in tracked folders, where their keys lead."""
    repository, tracked = draft.dataset.repository, draft.tracked
    start = relative_path(repository.root, os.path.realpath(base)) if repository.root is not None else None
    if start is None or not tracked:
        return
    marks = []
    for key, found in media.items():
        path = f"{start}/{key}" if start else key
        one = owner(tracked, path)
        if one is not None and one.path(key) == path and found.blob is not None:
            marks.append(mark(path, found.blob))
    note_seen(repository.workspace, draft.dataset.name, marks)


def _add_folders(draft: Draft, folders: _Folders, progress: Progress | None, team: bool) -> tuple[AddReport, WorkFiles]:
    files = WorkFiles(draft.dataset, draft.transaction.writer, folders.tracked, folders.starts)
    status = files.compare(draft.snapshot.roots, progress, read=False)
    problems = list(status.problems)
    to_read = (*status.new, *status.modified, *status.unread)
    media = read_keys(draft, files, to_read, problems.append, progress)
    fresh = [key for key in status.new if key in media]
    told = (*clash_notes(draft, fresh), *_told_twice(draft, folders.new, fresh))
    renamed = _from_lost_folders(draft, folders, files, {key: media[key] for key in fresh})
    moved, _, _ = follow(draft, FileStatus((), renamed=renamed))
    new, changed, unchanged = draft.put_media(media) if media else (0, 0, 0)
    # Files that were not read are those of inputs already.
    unread = files.count - files.count_taken(to_read)
    files.note_seen()
    draft.after(files.save)
    # A folder of which nothing could be taken is refused, and then it is not tracked either.
    is_refused = bool(problems) and not new + changed + unchanged + moved + unread
    report = AddReport(
        new,
        changed,
        unchanged - moved + unread,
        tuple(problems),
        status.left_out,
        moved=moved,
        tracked=tuple(one.name for one in draft.track(() if is_refused else folders.new, team)),
        notes=(*told, *media_notes(draft, media)),
    )
    return report, files


def _from_lost_folders(
    draft: Draft, folders: _Folders, files: WorkFiles, fresh: dict[str, Media]
) -> tuple[tuple[str, str], ...]:
    """Inputs of tracked folders that are gone, each with a new file of its bytes: the folder has another name."""
    lost = [one for one in folders.tracked if one.prefix and not os.path.isdir(folders.place(one.folder))]  # noqa: PTH112
    if not lost or not fresh:
        return ()
    inputs, olds = draft.snapshot.input_tree, dict[bytes, list[str]]()
    for one in lost:
        for tree_key, value in inputs.prefix(one.prefix.encode()):
            blob = stored_blob(value)
            if blob is not None and files.was_here(key := tree_key.decode(), blob):
                olds.setdefault(blob, []).append(key)
    pairs = []
    for key in sorted(fresh, key=str.encode):
        found = olds.get(fresh[key].blob or b"")
        if found:
            pairs.append((found.pop(0), key))
    return tuple(pairs)


def _told_twice(draft: Draft, tracked: list[Tracked], new: list[str]) -> tuple[str, ...]:
    """What to tell of files whose inputs are there already under the path below the folder, as imports name them."""
    inputs = draft.snapshot.input_tree
    for prefix, folder in ((one.prefix, display(one.folder)) for one in tracked if one.prefix):
        below = [key[len(prefix) :] for key in new if key.startswith(prefix)]
        found = [rest for rest in below if rest.encode() in inputs]
        if found:
            more = f" and {len(found) - 1:,} more are" if len(found) > 1 else " is"
            way = f"dsvc undo, then: dsvc add {folder} --root {folder}"
            return (f"{display(found[0])}{more} in the dataset without {folder}/: the same files? {way}",)
    return ()


def add_all(draft: Draft, progress: Progress | None = None) -> AddReport:
    """Take in all that changed in the tracked folders: new files, other bytes, other names, and files that are gone;
    and what was changed in those that are laid out, edits of their annotation files too.

    An input whose file has another name now moves with its annotations; one whose file is gone goes with them. Raises
    RefusedError where nothing is tracked or laid out, or where a whole folder is gone.
    """
    from dsvc.core.layout.taking import folders_of, take_folder

    laid = folders_of(draft)
    if draft.dataset.repository.root is None:
        raise RefusedError("this repository has no project folder", "name the files to take: dsvc add PATH")
    if not draft.tracked and not laid:
        raise RefusedError("no folder is tracked", "add one: dsvc add FOLDER")
    report = _add_tracked(draft, progress) if draft.tracked else AddReport(0, 0, 0, ())
    for checkout in laid:
        taken = take_folder(draft, checkout, progress)
        report = _joined(report, AddReport(unchanged=0, **taken._asdict()))
    return report


def _add_tracked(draft: Draft, progress: Progress | None) -> AddReport:
    files = WorkFiles(draft.dataset, draft.transaction.writer, draft.tracked)
    status = files.compare(draft.snapshot.roots, progress)
    lost = [one for one in files.tracked if one.name in status.absent]
    if lost:
        raise _folder_gone(lost, status, files)
    problems = list(status.problems)
    to_read = (*status.new, *status.modified)
    media = read_keys(draft, files, to_read, problems.append, progress)
    new, changed, unchanged = draft.put_media(media) if media else (0, 0, 0)
    moved, removed, annotations = follow(draft, status)
    unread = files.count - files.count_taken({*to_read, *status.unread, *(pair[1] for pair in status.renamed)})
    # Of names that are gone now, nothing is said.
    clashes = clash_notes(draft, [*(key for key in status.new if key in media), *(new for _, new in status.renamed)])
    files.note_seen()
    draft.after(files.save)
    return AddReport(
        new,
        changed,
        unchanged + unread,
        tuple(problems),
        status.left_out,
        moved=moved,
        removed=removed,
        removed_annotations=annotations,
        notes=(*clashes, *media_notes(draft, media)),
    )


def _folder_gone(lost: list[Tracked], status: FileStatus, files: WorkFiles) -> RefusedError:
    keys = [key for key in status.missing if any(files.any_from(one, [key]) for one in lost)]
    names = ", ".join(display(one.name) for one in lost)
    first = shlex.quote(display(lost[0].name))
    hint = f"is it mounted? has it another name: dsvc add NAME; to look there no more: dsvc untrack {first}"
    came = "1 input came" if len(keys) == 1 else f"{len(keys):,} inputs came"
    return RefusedError(f"{names}: not there, or without files, and {came} from it", hint)


def follow(draft: Draft, status: FileStatus) -> tuple[int, int, int]:
    """Move inputs to the names that their files have now, and take those away whose file is gone.

    How many inputs moved and went, and how many annotations went. An input whose bytes another writer has changed
    meanwhile stays.
    """
    if not status.renamed and not status.missing:
        return 0, 0, 0
    olds = [*status.missing, *(old for old, _ in status.renamed)]
    before = draft.snapshot.input_tree
    blobs = {key: stored_blob(value) for key in olds if (value := before.get(key.encode())) is not None}
    counts = (0, 0, 0)

    def step(store: Store, state: DraftState) -> DraftState:
        nonlocal counts
        snapshot = Snapshot(store, state.roots, draft.dataset.repository.cache)
        edits, counts = _following(snapshot, status, blobs)
        return draft.edited(store, state, edits)

    draft.apply(step)
    return counts


def _following(
    snapshot: Snapshot, status: FileStatus, blobs: Mapping[str, bytes | None]
) -> tuple[SnapshotEdits, tuple[int, int, int]]:
    values = {key: snapshot.input_tree.get(key.encode()) for key in blobs}
    there = {key: v for key, v in values.items() if v is not None and stored_blob(v) == blobs[key]}
    gone = [key for key in status.missing if key in there]
    moves = {new: old for old, new in status.renamed if old in there}
    while stuck := _stuck(snapshot, moves, gone):
        for new in stuck:
            del moves[new]
    edits, annotations = SnapshotEdits(), 0
    for keys, is_lost in ((gone, True), (moves.values(), False)):
        for key in keys:
            edits.inputs[key.encode()] = None
            for tree_key, _ in snapshot.annotation_tree.prefix(f"{key}\0".encode()):
                edits.annotations[tree_key] = None
                annotations += is_lost
    for new, old in moves.items():
        edits.inputs[new.encode()] = with_other_key(there[old])
        start = f"{old}\0".encode()
        for tree_key, annotation in snapshot.annotation_tree.prefix(start):
            edits.annotations[f"{new}\0".encode() + tree_key[len(start) :]] = annotation
    return edits, (len(moves), len(gone), annotations)


def _stuck(snapshot: Snapshot, moves: Mapping[str, str], gone: Iterable[str]) -> list[str]:
    """The new names that are not free: an input has them, and it does not leave."""
    free = {*moves.values(), *gone}
    return [new for new in moves if new not in free and new.encode() in snapshot.input_tree]


def read_keys(
    draft: Draft, files: WorkFiles, keys: Iterable[str], report: Report, progress: Progress | None
) -> dict[str, Media]:
    """Store the bytes of the files of keys; what became of each, by key."""
    return read_media(draft, files.found(in_order(keys)), report, progress, files)


def media_of(facts: MediaFacts, blob: ObjectId, size: int, chunks: ObjectId | None = None) -> Media:
    """The media of bytes that the repository holds, by what they tell of themselves."""
    return Media(
        blob=blob,
        chunks=chunks,
        type=facts.type,
        size=size,
        width=facts.width,
        height=facts.height,
        duration=facts.duration,
        fps=facts.fps,
    )


def list_of(writer: ObjectWriter, blob: ObjectId, size: int) -> ObjectId | None:
    """The id of the list of a blob's chunks, of one that is big enough to have any."""
    return writer.list_id(blob) if size > BIG else None


def clash_notes(draft: Draft, keys: Iterable[str]) -> tuple[str, ...]:
    """What to tell of some keys of a draft, or before they enter it: names that other systems forbid, or mistake."""
    from dsvc.core.files.portability import find_clashes

    return tuple(find_clashes(keys, draft.snapshot.input_tree))


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
    for file in leave_purged(draft.dataset.repository, read_files(found, report=report), report):
        if file.data is not None:
            blob, chunks = writer.put(Kind.BLOB, file.data, file.id), None
        else:
            try:
                blob = writer.put_blob(file.pieces(), file.size)
                chunks = list_of(writer, blob, file.size)
            except ChangedFileError as error:  # a full disk is no problem of this file alone, and ends it all
                report(Problem(Path(file.path), error.reason))
                continue
        media[file.key] = media_of(file.facts, blob, file.size, chunks)
        if files is not None:
            files.learn(FoundFile(file.key, file.path), file.stamp[:3], blob, start)
        if progress and len(media) % 64 == 0:
            progress("read files", len(media), total)
    if progress and media:
        progress("read files", len(media), total)
    return media
