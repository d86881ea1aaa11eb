"""Entering runs: the record and the files become an entry of the ledger, once a run is over or was broken off."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, cast

from dsvc.core.ledger import Entry, find_entry, set_auto_version, set_entry, stage_file, store_entry
from dsvc.core.names import RESERVED
from dsvc.core.training.folder import RUNS, Note, Process, RunFolder, run_folders
from dsvc.core.training.form import run_record
from dsvc.core.training.outputs import gather
from dsvc.core.training.process import LEFT_OUT, is_running
from dsvc.errors import DsvcError, RefusedError
from dsvc.model.view import DATASET, RUN, TRAINING, VERSION, VersionRef
from dsvc.store.files import replace_file
from dsvc.store.ids import Kind, ObjectId

if TYPE_CHECKING:
    from dsvc.core.repository import Repository
    from dsvc.core.transaction import Refs, Transaction
    from dsvc.model.records import Media

BROKEN_OFF = "dsvc itself was killed, or the machine went down"


class Entered(NamedTuple):
    """A run that had been left behind: `error` says why it could not be entered; `process` is its command, if that
    still runs."""

    id: str
    dataset: str
    status: str
    process: Process | None = None
    error: DsvcError | None = None


def runs_folder(repository: Repository) -> Path | None:
    """Where a repository's run folders are; None for one without a folder of its own."""
    return repository.root / ".dsvc" / RUNS if repository.root is not None else None


# ---- entering


def enter(repository: Repository, folder: RunFolder, note: Note, log: BinaryIO | None = None) -> Entry:
    """Enter a run that is over, with what it left in its folder, in one operation. Raises RefusedError, DsvcError."""
    outputs = gather(folder, log)
    record = {**note.record, "metrics": outputs.metrics, "notes": [*note.record["notes"], *outputs.notes]}
    time = repository.now()
    with repository.transaction(f"train: run {folder.id}") as transaction:
        staged = transaction.steadily(lambda: _stage(transaction, outputs.files))

        def change(refs: Refs) -> str:
            if transaction.has_lost:
                staged.update(_stage(transaction, outputs.files))
            dataset, data = _home(refs, record), ObjectId.parse(record["commit"])
            if not transaction.writer.has(data, Kind.COMMIT):
                hint = f"drop the run: dsvc runs delete {folder.id}"
                raise RefusedError(f"commit {data.short()}, the data of run {folder.id}, was collected", hint)
            if is_made_by(record) and refs.get(VERSION, dataset, record["version"]) is None:  # undone meanwhile
                version = VersionRef(data, record["message"], note.author, time, TRAINING)
                set_auto_version(refs, dataset, record["version"], version)
            kept = {**record, "dataset": dataset}
            commit = store_entry(transaction.writer, RUN, kept, staged, [data], note.author, time)
            set_entry(refs, RUN, dataset, folder.id, commit)
            return dataset

        dataset = transaction.run(change)
    with contextlib.suppress(DsvcError, OSError):  # the command may have taken its folder away
        folder.write(note._replace(stage="recorded"))
        _shorten_log(folder, outputs.files.get("log.txt"))
    return find_entry(repository.dataset(dataset), RUN, folder.id)


def _shorten_log(folder: RunFolder, kept: Path | bytes | None) -> None:
    """Leave of a log no more on disk than is kept with the run."""
    if isinstance(kept, bytes) and kept.startswith(LEFT_OUT) and folder.log.stat().st_size > len(kept):
        replace_file(folder.log, kept)


def is_made_by(record: Mapping[str, Any]) -> bool:
    """Whether a run's version was made by that run: then they share an id."""
    version = str(record["version"])
    return version.startswith(RESERVED) and version.endswith(f"-{record['id']}")


def _stage(transaction: Transaction, files: Mapping[str, Path | bytes]) -> dict[str, Media]:
    return {name: stage_file(transaction.writer, source) for name, source in files.items()}


def _home(refs: Refs, record: Mapping[str, Any]) -> str:
    """The dataset that a run belongs to; it may have got another name meanwhile. Raises RefusedError."""
    name: str = record["dataset"]
    versions = [ref[1] for ref, _ in refs.list(VERSION) if ref[2] == record["version"]] if is_made_by(record) else []
    if refs.get(DATASET, name) is not None and (name in versions or not versions):
        return name
    if versions:
        return versions[0]
    hint = f"bring it back, such as by dsvc undo; or drop the run: dsvc runs delete {record['id']}"
    raise RefusedError(f"dataset {name!r}, which run {record['id']} is of, is no more", hint)


# ---- what was left behind


def enter_left(repository: Repository) -> Iterator[Entered]:
    """Enter the runs that nobody looks after any more: as killed, unless they were over. Give each, entered or not.

    A folder that was left before anything came into it is taken away.
    """
    runs = runs_folder(repository)
    for folder, note in run_folders(runs) if runs is not None else ():
        if note is None:
            folder.remove_empty()
        elif note.stage != "recorded" and folder.hold():
            try:
                yield from _enter_left(repository, folder)
            finally:
                folder.release()


def going_on(repository: Repository, dataset: str) -> Iterator[Note]:
    """The notes of the runs of a dataset that are going on."""
    runs = runs_folder(repository)
    for folder, note in run_folders(runs) if runs is not None else ():
        if note is not None and note.stage != "recorded" and note.record["dataset"] == dataset:
            if folder.hold():
                folder.release()
            else:
                yield note


def _enter_left(repository: Repository, folder: RunFolder) -> Iterator[Entered]:
    note = folder.read()  # anew: another one may have entered it
    if note is None or note.stage == "recorded":
        return
    note = note._replace(record={**run_record(note.record), "id": folder.id})
    record = note.record
    process = note.process if note.process is not None and is_running(note.process) else None
    try:
        if any(ref[2] == folder.id for ref, _ in repository.view.list(RUN)):  # it broke off right after it was entered
            folder.write(note._replace(stage="recorded"))
            return
        if not record["commit"] and not _find_commit(repository, record):
            folder.remove()  # it broke off before the version was made
            return
        if note.stage == "running":
            record |= {"status": "killed", "seconds": _lasted(folder, record), "notes": [*record["notes"], BROKEN_OFF]}
            if process is None:
                folder.drop_data()
        enter(repository, folder, note)
    except DsvcError as error:
        yield Entered(folder.id, record["dataset"], record["status"], process, error)
    except (OSError, ValueError) as error:
        wrong = RefusedError(f"{folder.path}: {error}", f"to drop the run: dsvc runs delete {folder.id}")
        yield Entered(folder.id, record["dataset"], record["status"], process, wrong)
    else:
        yield Entered(folder.id, record["dataset"], record["status"], process)


def _find_commit(repository: Repository, record: dict[str, Any]) -> bool:
    """Find the commit of the version that a run was about to make; whether there is one."""
    for ref, value in repository.view.list(VERSION):
        if ref[2] == record["version"]:
            record["commit"] = cast(VersionRef, value).commit.hex()
            return True
    return False


def _lasted(folder: RunFolder, record: Mapping[str, Any]) -> float:
    """Seconds from the begin of a run to the last sign of life, which is its log."""
    try:
        began = datetime.fromisoformat(record["began"]).timestamp()
        return round(max(0.0, folder.log.stat().st_mtime - began), 3)
    except OSError:
        return 0.0
