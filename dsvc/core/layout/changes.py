"""What was changed in folders that are laid out: media that are new, modified, missing, renamed; annotation files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from xxhash import xxh3_128_digest, xxh3_128_hexdigest

from dsvc.core.draft import load_state
from dsvc.core.files.tracking import Tracked, is_in, tracked_folders
from dsvc.core.files.workfiles import FileStatus, WorkFiles
from dsvc.core.files.worktree import Problem
from dsvc.core.layout.basis import Scratch, basis_of
from dsvc.core.layout.checkout import revision_of
from dsvc.core.layout.contents import contents_of
from dsvc.core.layout.folders import Checkout, remembered
from dsvc.core.layout.ground import BlockedError, Ground
from dsvc.core.layout.kept import Kept, leave_kept
from dsvc.core.layout.placing import Files
from dsvc.core.layout.record import LaidTable, Record, Records
from dsvc.core.transaction import Refs
from dsvc.errors import DsvcError
from dsvc.model.node import Reader
from dsvc.model.snapshot import Snapshot
from dsvc.store.ids import ObjectId

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dsvc.core.dataset import Dataset
    from dsvc.core.repository import Repository
    from dsvc.model.incoming import Progress


# What is wrong with a folder whose commit was collected as garbage.
GONE = "the commit that was laid out is not stored any more"


class FolderChanges(NamedTuple):
    """A folder beside what was laid out in it: its media, and the names of annotation files that were edited or are
    gone. `wanted` is the commit that it is to hold, where that is another one; `problem` says why it was not looked at.
    `kept` are inputs whose file is gone here, and still in a tracked folder.
    """

    checkout: Checkout
    commit: ObjectId | None
    media: FileStatus = FileStatus(())
    edited: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    wanted: ObjectId | None = None
    problem: str | None = None
    kept: tuple[Kept, ...] = ()

    @property
    def is_clean(self) -> bool:
        """Whether there is nothing to take in."""
        return self.media.is_clean and not self.edited


class LaidFiles(WorkFiles):
    """The media of a folder beside the inputs that were laid out there."""

    def __init__(self, dataset: Dataset, checkout: Checkout, record: Record, reader: Reader | None = None) -> None:
        tracked = Tracked(checkout.media, checkout.media, dataset.name)
        super().__init__(dataset, reader, tracked=[tracked])
        records = Records(dataset.repository, checkout.folder)
        self.table: LaidTable = records.table()
        self._before = self.table.version
        self._plan = None
        cache = dataset.repository.cache_folder
        mark = xxh3_128_hexdigest(f"{checkout.folder}\0{dataset.name}".encode("utf-8", "surrogateescape"))
        self._verdicts = cache / "status" / mark if cache is not None else None
        keys = record.layers[-1].keys
        self._keys = frozenset(keys) if keys is not None else None

    def owns(self, key: str) -> bool:
        """Whether a file was laid out for a key."""
        assert self._scan is not None
        if self._keys is not None and key not in self._keys:
            return False
        path = self.tracked[0].path(key)
        return path is not None and not any(is_in(path, folder) for folder in self._scan.unreadable)

    def was_here(self, key: str, blob: bytes) -> bool:
        """Always: the files of all that the folder has of its own were laid out."""
        return True

    def outside(self, status: FileStatus) -> FileStatus:
        """A status without the files of inputs that the folder's filter leaves out; they are problems."""
        if self._keys is None:
            return status
        wrong = [key for key in status.modified if key not in self._keys]
        problems = [
            Problem(
                Path(self.root, self.tracked[0].folder, key), "its key is that of an input that the filter leaves out"
            )
            for key in wrong
        ]
        modified = tuple(key for key in status.modified if key in self._keys)
        return status._replace(modified=modified, problems=(*status.problems, *problems))

    def _config(self) -> list[Any]:
        keys = sorted(self._keys) if self._keys is not None else []
        return [*super()._config(), xxh3_128_digest("\0".join(keys).encode())]


def folder_changes(dataset: Dataset, progress: Progress | None = None) -> list[FolderChanges]:
    """What was changed in the folders that are laid out of a dataset, beside what was taken in already."""
    repository = dataset.repository
    if repository.root is None:
        return []
    mine = [one for one in remembered(repository.workspace) if one.dataset == dataset.name]
    return [_look(dataset, one, progress) for one in mine]


def _look(dataset: Dataset, checkout: Checkout, progress: Progress | None) -> FolderChanges:
    repository = dataset.repository
    record = Records(repository, checkout.folder).load()
    if not record.layers:
        return FolderChanges(checkout, None, problem="it is not laid out yet")
    if record.is_pending:
        return FolderChanges(checkout, record.commit, problem="it is not laid out to its end")
    ground = Ground(str(Path(repository.root or Path()).resolve()))
    try:
        wrong = None if ground.has(checkout.folder) else "it is not there any more"
        ground.has(checkout.media)
    except BlockedError as error:
        wrong = str(error)
    wanted = _wanted(repository, checkout, record)
    if wrong is None and contents_of(repository, record.layers[-1]) is None:
        wrong = GONE
    if wrong is not None:
        return FolderChanges(checkout, record.commit, wanted=wanted, problem=wrong)
    scratch = Scratch(repository.store)
    state = load_state(scratch, Refs(repository.view), dataset)
    basis = basis_of(scratch, repository, record, Snapshot(scratch, state.roots, repository.cache))
    files = LaidFiles(dataset, checkout, record, scratch)
    tracked = tracked_folders(repository.workspace, dataset.name)
    media, kept = leave_kept(files.outside(files.compare(basis, progress)), repository, tracked)
    edited, lost = edited_files(ground, files.table, checkout, record, state.sources)
    files.table.save()
    return FolderChanges(checkout, record.commit, media, edited, lost, wanted, kept=kept)


def _wanted(repository: Repository, checkout: Checkout, record: Record) -> ObjectId | None:
    try:
        commit = revision_of(repository, checkout).commit
    except DsvcError:
        return None
    return commit if commit != record.commit else None


def edited_files(
    ground: Ground, table: LaidTable, checkout: Checkout, record: Record, sources: Mapping[str, ObjectId]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The annotation files of a folder that say something else than what was laid out and taken in; and lost ones."""
    edited, lost, files = [], [], Files(ground, table)
    for name, hashes in record.files.items():
        path = f"{checkout.folder}/{name}"
        try:
            stamp = ground.stamp(path)
            hash = files.hash(path, stamp).hex() if stamp is not None else None
        except BlockedError:
            hash = ""
        if hash is None:
            lost.append(name)
        elif hash not in hashes and hash != (taken_of(record, name, sources) or ("", ""))[0]:
            edited.append(name)
    return tuple(sorted(edited)), tuple(sorted(lost))


def taken_of(record: Record, name: str, sources: Mapping[str, ObjectId]) -> tuple[str, str] | None:
    """How an annotation file was taken in, if these sources have that: its hash, and the commit of the line."""
    taken = record.taken.get(name)
    return taken if taken is not None and any(id.hex() == taken[1] for id in sources.values()) else None
