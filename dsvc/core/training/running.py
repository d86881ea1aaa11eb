"""A training run from end to end: what is checked first, the version, the data, the command, the entry."""

from __future__ import annotations

import contextlib
import platform
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from dsvc.core.automatic import commit_data
from dsvc.core.exporting import ExportReport, export_state, walk_of
from dsvc.core.ledger import Entry, auto_name, set_auto_version
from dsvc.core.registry import code_reader, exporter
from dsvc.core.training.folder import Note, Process, RunFolder
from dsvc.core.training.process import Log, Outcome, find_program, run_command, stop_name
from dsvc.core.training.record import enter, runs_folder
from dsvc.errors import DsvcError, NotFoundError, RefusedError
from dsvc.model.view import TRAINING, VersionRef
from dsvc.store.clock import seconds

if TYPE_CHECKING:
    from dsvc.core.dataset import Dataset
    from dsvc.core.state import State
    from dsvc.core.transaction import Refs
    from dsvc.model.commit import Author, Moment
    from dsvc.model.incoming import Progress
    from dsvc.store.ids import ObjectId


class Plan(NamedTuple):
    """What to run, and on what: `environment` is the command's, `folder` where it runs, `reproduces` the id of the run
    that is run again."""

    command: tuple[str, ...]
    environment: Mapping[str, str]
    folder: Path
    format: str = "coco"
    where: str | None = None
    trainer: str | None = None
    message: str = ""
    keep_data: bool = False
    reproduces: str | None = None


class Watch:
    """What is told while a run goes on. This one keeps silent."""

    # What the command prints goes there, in pieces.
    show: Callable[[bytes], None] | None = None

    def laying_out(self, state: State) -> AbstractContextManager[tuple[State, Progress | None]]:
        """Entered while a state is laid out: the state to read, and what to report the progress to."""
        return nullcontext((state, None))

    def begins(self, record: Mapping[str, Any], is_new: bool, report: ExportReport) -> None:
        """The data of a version, one made for it or not, is laid out in the run folder, and the command begins."""

    def kept(self, entry: Entry) -> None:
        """The run is over, and kept."""


class Source(NamedTuple):
    """The data of a run: a version that is there, a commit, or (neither) what a dataset holds now."""

    dataset: Dataset
    state: State
    version: str | None = None
    commit: ObjectId | None = None


def find_source(dataset: Dataset, revision: str) -> Source:
    """The data that a revision names. Raises NotFoundError, UsageError."""
    found = dataset._resolve(revision)
    owner = dataset
    if (found.dataset, found.branch or dataset.branch) != (dataset.name, dataset.branch):
        owner = dataset.repository.dataset(found.dataset, found.branch)
    if found.is_pinned:
        return Source(owner, owner.state_of(found), found.version, found.commit)
    return Source(owner, owner.draft())


def train(source: Source, plan: Plan, watch: Watch | None = None) -> Entry:
    """Run a command on a dataset's data, and keep the run: whether it is done, failed or killed says its record.

    Raises, with nothing changed, NotFoundError for the command, UsageError, FilterError, RefusedError. Where laying
    out the data fails, the run is kept as failed, and the error is raised; where dsvc is stopped, KeyboardInterrupt.
    """
    repository = source.dataset.repository
    program = _check(source, plan)
    author = source.dataset._author(None)
    runs = runs_folder(repository)
    if runs is None:
        raise RefusedError("a repository without a folder of its own has no place for a run", "clone it: dsvc clone")
    folder = RunFolder.make(runs)
    try:
        return _Run(source, plan, watch or Watch(), folder, author).run(program)
    finally:
        folder.release()


def _check(source: Source, plan: Plan) -> str:
    """See that a run can begin; the program to run."""
    if not plan.folder.is_dir():
        raise NotFoundError(f"no folder {plan.folder} to run the command in", "name the folder where it shall run")
    program = find_program(plan.command, plan.environment, plan.folder)
    exporter(plan.format)
    walk_of(source.state, media=False, where=plan.where)
    return program


class _Run:
    """A run while it goes on."""

    def __init__(self, source: Source, plan: Plan, watch: Watch, folder: RunFolder, author: Author) -> None:
        self.dataset, self.source, self.plan, self.watch, self.folder = source.dataset, source, plan, watch, folder
        self.repository = source.dataset.repository
        self.time = source.dataset._now()
        self.note = Note("running", author, self._record())
        self.log: Log | None = None

    def _record(self) -> dict[str, Any]:
        plan, source = self.plan, self.source
        code = code_reader()(plan.folder)
        return {
            "id": self.folder.id,
            "command": list(plan.command),
            "trainer": plan.trainer,
            "dataset": self.dataset.name,
            "version": source.version or auto_name(self.folder.id, self.time),
            "commit": source.commit.hex() if source.version is not None and source.commit is not None else None,
            "message": plan.message,
            "format": plan.format,
            "where": plan.where,
            "folder": _inside(plan.folder, self.repository.root),
            "status": "killed",
            "exit_code": None,
            "signal": None,
            "began": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "seconds": 0.0,
            "git": {"commit": code[0], "dirty": code[1]} if code is not None else None,
            "environment": {"python": platform.python_version(), "platform": platform.platform()},
            "metrics": {},
            "reproduces": plan.reproduces,
            "notes": [],
        }

    @property
    def record(self) -> dict[str, Any]:
        """The record so far."""
        return self.note.record

    def run(self, program: str) -> Entry:
        """Do all of it."""
        self._begin()
        failure: DsvcError | OSError | None = None
        try:
            self._lay_out()
            outcome = self._execute(program)
        except KeyboardInterrupt as stop:
            outcome = Outcome(None, stop_name(stop), stop)
        except (DsvcError, OSError) as error:
            failure, outcome = error, Outcome(None)
            self.record["notes"].append(error.message if isinstance(error, DsvcError) else str(error))
        try:
            entry = self._finish(outcome)
        except DsvcError:
            if failure is None:
                raise
            raise failure from None
        self.watch.kept(entry)
        if failure is not None or outcome.stop is not None:
            raise failure or outcome.stop or KeyboardInterrupt
        return entry

    def _begin(self) -> None:
        """Make the version, unless there is one. Nothing is left behind where that fails."""
        try:
            self.folder.write(self.note)
            if self.source.version is None:
                self.record["commit"] = self._make_version().hex()
                self.folder.write(self.note)
        except BaseException:
            if self.record["commit"] is None:
                self.folder.remove()
            raise

    def _make_version(self) -> ObjectId:
        name, plan, dataset = self.record["version"], self.plan, self.dataset
        signed: tuple[Author, Moment] = (self.note.author, self.time)

        def change(refs: Refs) -> ObjectId:
            data = self.source.commit
            if data is None:
                data = commit_data(dataset, refs, transaction.writer, plan.message or "training data", *signed)
            set_auto_version(refs, dataset.name, name, VersionRef(data, plan.message, *signed, TRAINING))
            return data

        with self.repository.transaction(f"train: version {name}") as transaction:
            return transaction.run(change)

    def _lay_out(self) -> None:
        plan, record = self.plan, self.record
        state = self.dataset.at(f"{self.dataset.name}@{record['version']}")
        with self.watch.laying_out(state) as (watched, progress):
            walk = walk_of(watched, media=True, where=plan.where, progress=progress)
            report = export_state(walk, plan.format, self.folder.data, media=True, force=False, is_own=True)
        self.watch.begins(record, self.source.version is None, report)

    def _execute(self, program: str) -> Outcome:
        own = {
            "DSVC_VERSION": f"{self.dataset.name}@{self.record['version']}",
            "DSVC_DATA": str(self.folder.data),
            "DSVC_RUN": str(self.folder.path),
        }
        # What Python prints comes at once, as it does on a terminal.
        environment = {"PYTHONUNBUFFERED": "1", **self.plan.environment, **own}
        self.log = Log(self.folder.log, self.watch.show)
        self.record["began"] = datetime.now(UTC).isoformat(timespec="milliseconds")
        begin = seconds()
        try:
            return run_command(self.plan.command, program, self.plan.folder, environment, self.log, self._note_process)
        finally:
            self.record["seconds"] = round(seconds() - begin, 3)

    def _note_process(self, process: Process) -> None:
        self.note = self.note._replace(process=process)
        self._write()

    def _finish(self, outcome: Outcome) -> Entry:
        """Note how the run ended, then enter it. Raises RefusedError that says where its files are."""
        record, folder = self.record, self.folder
        record |= {"status": outcome.status, "exit_code": outcome.exit_code, "signal": outcome.signal}
        if self.log is not None and self.log.failure is not None:
            record["notes"].append(f"log.txt ends early: {self.log.failure}")
        self.note = self.note._replace(stage="over", process=None)
        if not self.plan.keep_data:
            folder.drop_data()
        self._write()
        try:
            return enter(self.repository, folder, self.note, self.log.file if self.log is not None else None)
        except (DsvcError, OSError) as error:
            reason = error.message if isinstance(error, DsvcError) else str(error)
            hint = f"all that it left is in {folder.path}; once that is mended, this keeps it: dsvc runs list"
            raise RefusedError(f"run {folder.id} is {record['status']}, but cannot be kept: {reason}", hint) from error
        finally:
            if self.log is not None:
                self.log.file.close()

    def _write(self) -> None:
        """Write the note, as far as that goes: the command may have taken the folder away, or filled the disk."""
        with contextlib.suppress(DsvcError, OSError):
            self.folder.write(self.note)


def _inside(folder: Path, root: Path | None) -> str | None:
    """A folder as a path from the project's, or None where it lies outside."""
    try:
        return folder.resolve().relative_to(root.resolve()).as_posix() if root is not None else None
    except (OSError, ValueError):
        return None
