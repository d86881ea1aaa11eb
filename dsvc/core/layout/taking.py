"""Taking in what was changed in the folders that are laid out: `dsvc add -A`.

What was changed is one side of a merge, whose base is what was laid out; the other side is the draft. So an edit that
the draft knows changes nothing, and two that clash become a conflict.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from dsvc.core.files.adding import clash_notes, follow, media_notes, read_keys
from dsvc.core.files.filetable import NO_BLOB
from dsvc.core.files.workfiles import FileStatus
from dsvc.core.files.worktree import Problem
from dsvc.core.keys import display
from dsvc.core.layout.basis import basis_of
from dsvc.core.layout.changes import GONE, LaidFiles, edited_files, taken_of
from dsvc.core.layout.contents import contents_of
from dsvc.core.layout.edits import Edit, FileEdits
from dsvc.core.layout.folders import Checkout, remembered
from dsvc.core.layout.ground import BlockedError, Ground
from dsvc.core.layout.kept import Kept, kept_lines, leave_kept
from dsvc.core.layout.record import Record, Records
from dsvc.core.merging.roots import merge_roots
from dsvc.core.merging.states import store_source_commit
from dsvc.errors import RefusedError
from dsvc.model.node import Store
from dsvc.model.snapshot import Roots, Snapshot
from dsvc.store.ids import ObjectId

if TYPE_CHECKING:
    from dsvc.core.draft import Draft, DraftState
    from dsvc.model.incoming import Progress


class EditedFile(NamedTuple):
    """An annotation file, by its path below the project's root, and how many annotations came, changed and went."""

    path: str
    added: int
    changed: int
    removed: int


class TakenFolder(NamedTuple):
    """What a folder brought: inputs new, changed, moved, removed, with how many annotations; and edited files."""

    new: int = 0
    changed: int = 0
    moved: int = 0
    removed: int = 0
    removed_annotations: int = 0
    edited: tuple[EditedFile, ...] = ()
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()


def folders_of(draft: Draft) -> list[Checkout]:
    """The folders that are laid out of a draft's dataset."""
    return [one for one in remembered(draft.dataset.repository.workspace) if one.dataset == draft.dataset.name]


def take_folder(draft: Draft, checkout: Checkout, progress: Progress | None = None) -> TakenFolder:
    """Take in what was changed in a folder. Raises RefusedError where it is not there, InvalidRecordsError for records
    of an annotation file that cannot be read; then nothing is taken."""
    repository = draft.dataset.repository
    records = Records(repository, checkout.folder)
    record = records.load()
    place = Path(repository.root or Path()) / checkout.folder
    if not record.layers:
        return TakenFolder()
    if record.is_pending:
        return TakenFolder(problems=(Problem(place, "it is not laid out to its end; next: dsvc checkout"),))
    if contents_of(repository, record.layers[-1]) is None:
        return TakenFolder(problems=(Problem(place, f"{GONE}; next: dsvc checkout"),))
    ground = Ground(str(Path(repository.root or Path()).resolve()))
    try:
        is_there = ground.has(checkout.folder) and ground.has(checkout.media) is not None
    except BlockedError as error:
        raise RefusedError(str(error), "name a folder that is a real one") from error
    base = basis_of(draft.transaction.writer, repository, record, draft.snapshot)
    files = LaidFiles(draft.dataset, checkout, record, draft.transaction.writer)
    status = files.outside(files.compare(base, progress))
    changed, kept = leave_kept(status, repository, draft.tracked)
    if not is_there or status.absent:
        raise _gone(checkout, len(status.missing))
    return _Taking(draft, checkout, record, files, kept, progress).run(base, changed, ground, records)


def _gone(checkout: Checkout, count: int) -> RefusedError:
    name = display(checkout.folder)
    came = "1 input was" if count == 1 else f"{count:,} inputs were"
    word = shlex.quote(name)
    hint = f"lay them out again: dsvc checkout; to do without the folder: dsvc checkout --forget {word}"
    return RefusedError(f"{name}: not there, or without files, and {came} laid out in it", hint)


class _Taking:
    def __init__(
        self,
        draft: Draft,
        checkout: Checkout,
        record: Record,
        files: LaidFiles,
        kept: tuple[Kept, ...],
        progress: Progress | None,
    ) -> None:
        self._draft, self._checkout, self._record = draft, checkout, record
        self._files, self._kept, self._progress = files, kept, progress
        self._problems: list[Problem] = []

    def run(self, base: Roots, status: FileStatus, ground: Ground, records: Records) -> TakenFolder:
        """Take all in."""
        theirs = self._draft.beside(base)
        self._problems += status.problems
        to_read = (*status.new, *status.modified)
        media = read_keys(theirs, self._files, to_read, self._problems.append, self._progress)
        new, changed, _ = theirs.put_media(media) if media else (0, 0, 0)
        moved, removed, annotations = follow(theirs, status)
        noted = {key: found.blob.hex() for key, found in media.items() if found.blob is not None}
        noted |= dict.fromkeys((*status.missing, *(old for old, _ in status.renamed)), "")
        noted |= {new: self._blob(new) for _, new in status.renamed}
        taken = self._taken_moves(base)
        self._old_keys = _resolved(taken, ())
        self._keys = _resolved({**taken, **dict(status.renamed)}, status.missing)
        # An input that keeps its key has it in the annotation file, too, which may have its file's new name.
        self._keys |= {one.new: one.key for one in self._kept if one.new is not None}
        clashes = clash_notes(self._draft, [key for key in status.new if key in media])
        names, _ = edited_files(ground, self._files.table, self._checkout, self._record, self._draft.sources)
        base, edited, edits = self._edits(names, base, theirs.snapshot.roots)
        lines = self._merge(base, edited, edits)
        self._draft.after(self._files.save)
        moves = dict(status.renamed)
        self._draft.after(lambda: self._note(records, noted, moves, edits, lines))
        return TakenFolder(
            new,
            changed,
            moved,
            removed,
            annotations,
            tuple(self._counts(edit) for edit in edits),
            tuple(self._problems),
            (*clashes, *media_notes(theirs, media), *kept_lines(self._kept, self._checkout.media), *self._notes(edits)),
        )

    def _blob(self, key: str) -> str:
        found = self._files.find(key)
        return found.blob.hex() if found is not None and found.blob != NO_BLOB else ""

    def _edits(self, names: tuple[str, ...], base: Roots, edited: Roots) -> tuple[Roots, Roots, list[Edit]]:
        """The records with the edits of annotation files laid over them: those taken in before, and all."""
        edits: list[Edit] = []
        if not names:
            return base, edited, edits
        with FileEdits(self._draft, self._checkout, self._record, self._keys, self._old_keys, self._progress) as reader:
            for name in names:
                taken = taken_of(self._record, name, self._draft.sources)
                edit = reader.read(name, taken[1] if taken is not None else None, base, edited)
                base, edited = edit.base, edit.edited
                edits.append(edit)
        return base, edited, edits

    def _merge(self, base: Roots, edited: Roots, edits: list[Edit]) -> dict[str, ObjectId]:
        """Merge what was changed into the draft; the commits on the lines of the annotation files, once it has run."""
        lines: dict[str, ObjectId] = {}
        if base == edited and not edits:
            return lines

        def step(store: Store, state: DraftState) -> DraftState:
            merged = merge_roots(store, base, state.roots, edited)
            lines.clear()
            for edit in edits:
                before = state.sources.get(edit.source)
                parents = (before,) if before is not None else ()
                lines[edit.source] = store_source_commit(store, edit.source, edit.said, parents)
            return msgspec.structs.replace(state, roots=merged.roots, sources={**state.sources, **lines})

        self._draft.apply(step)
        return lines

    def _taken_moves(self, base: Roots) -> dict[str, str | None]:
        """The keys that inputs have now whose file had another name, or was gone, when it was taken in."""
        inputs = Snapshot(self._draft.transaction.writer, base).input_tree
        gone = [key for key, blob in self._record.media.items() if not blob and key.encode() not in inputs]
        return {key: self._record.moved.get(key) for key in gone}

    def _note(
        self,
        records: Records,
        media: dict[str, str],
        moves: dict[str, str],
        edits: list[Edit],
        lines: dict[str, ObjectId],
    ) -> None:
        """Note what was taken in, unless the folder has moved on meanwhile."""
        if not media and not edits:
            return
        # What says something else of the whole file has not been taken in to its end.
        whole = [edit for edit in edits if not edit.has_other_meta]
        taken = {edit.name: (edit.hash, lines[edit.source].hex()) for edit in whole}
        with records.lock():
            record = records.load()
            if record.layers == self._record.layers:
                new = {**record.media, **media}
                moved = {**record.moved, **moves}
                records.save(record._replace(media=new, moved=moved, taken={**record.taken, **taken}))

    def _counts(self, edit: Edit) -> EditedFile:
        tally = edit.tally
        return EditedFile(f"{self._checkout.folder}/{edit.name}", tally.new + tally.joined, tally.changed, tally.gone)

    def _notes(self, edits: list[Edit]) -> list[str]:
        notes = []
        for edit in edits:
            where = f"{self._checkout.folder}/{edit.name}"
            notes += [f"{where}: {note}" for note in edit.notes]
            count = edit.tally.unlisted_inputs
            if count:
                what = "1 input stays" if count == 1 else f"{count:,} inputs stay"
                notes.append(f"{where}: {what} that it lists no more; an input goes with its file")
        return notes


def _resolved(moved: Mapping[str, str | None], gone: Iterable[str]) -> dict[str, str | None]:
    """The last key of each input that moved, perhaps several times; None where it is gone."""
    lost = set(gone)
    keys: dict[str, str | None] = dict.fromkeys(lost)
    for old, first in moved.items():
        new, seen = first, {old}
        while new is not None and new in moved and new not in seen:
            seen.add(new)
            new = moved[new]
        keys[old] = None if new in lost else new
    return keys
