"""Run folders: `.dsvc/runs/ID`, where a command finds its data and leaves what it makes.

While a run goes on it is known by its folder alone: `run.json` says what it is, and a lock on the folder that somebody
looks after it. One whose lock is free, and which is not entered into the ledger yet, was broken off.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

from dsvc.core.ledger import new_id
from dsvc.model.commit import Author
from dsvc.store.files import refusing, replace_file
from dsvc.store.locks import take_lock, try_lock

RUNS = "runs"
_ID = re.compile(r"[0-9a-f]{8}")
_LOCK = "lock"

Stage = Literal["running", "over", "recorded"]
_STAGES = ("running", "over", "recorded")


class Process(NamedTuple):
    """A process: its id, and what tells it from a later one of that id, where the system says so."""

    id: int
    mark: str | None


class Note(NamedTuple):
    """What `run.json` says: how far the run is, who signs, the record so far, and the command's process."""

    stage: Stage
    author: Author
    record: dict[str, Any]
    process: Process | None = None


class RunFolder:
    """The folder of one run. What is kept of it lies under names that its properties give."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle: int | None = None

    @staticmethod
    def is_id(text: str) -> bool:
        """Whether a text may be the id of a run."""
        return _ID.fullmatch(text) is not None

    @property
    def id(self) -> str:
        """The run's id."""
        return self.path.name

    @property
    def data(self) -> Path:
        """Where the data is laid out."""
        return self.path / "data"

    @property
    def model(self) -> Path:
        """Where the command leaves files to be kept."""
        return self.path / "model"

    @property
    def log(self) -> Path:
        """What the command printed."""
        return self.path / "log.txt"

    @classmethod
    def make(cls, runs: Path) -> RunFolder:
        """Make a new one, and hold it. Raises RefusedError where it cannot be made."""
        with refusing(runs):
            runs.mkdir(exist_ok=True)
        while True:
            made = cls(runs / new_id())
            with refusing(made.path):
                try:
                    made.path.mkdir()
                except FileExistsError:
                    continue
            try:
                with refusing(made.path / _LOCK):
                    if made._settle():
                        return made
            except BaseException:
                made.remove()
                raise

    def _settle(self) -> bool:
        """Hold a folder that was just made; whether it is there still. Until it is held, it looks like one that was
        left behind, and another process may take it away."""
        with contextlib.suppress(FileNotFoundError):
            self._handle = os.open(self.path / _LOCK, os.O_RDWR | os.O_CREAT, 0o666)
            take_lock(self._handle, self.path / _LOCK)
            if os.path.samestat(os.fstat(self._handle), (self.path / _LOCK).stat()):
                self.model.mkdir()
                return True
        self.release()
        return False

    # ---- the lock

    def hold(self) -> bool:
        """Take the lock, if nobody has it; whether it was taken."""
        try:
            handle = os.open(self.path / _LOCK, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError:
            return False
        with contextlib.suppress(OSError):
            if try_lock(handle):
                self._handle = handle
                return True
        os.close(handle)
        return False

    def release(self) -> None:
        """Let the lock go."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    # ---- the note

    def write(self, note: Note) -> None:
        """Replace the note. Raises NotFoundError where the folder is no more, RefusedError."""
        text = json.dumps({**note._asdict(), "author": [note.author.name, note.author.email]}, indent=2)
        replace_file(self.path / "run.json", text.encode())

    def read(self) -> Note | None:
        """The note; None where there is none that can be read."""
        try:
            found = json.loads((self.path / "run.json").read_bytes())
            stage, record, process = found["stage"], found["record"], found["process"]
            author = Author(*map(str, found["author"]))
            valid = stage in _STAGES and isinstance(record, dict) and isinstance(record["dataset"], str)
            return Note(stage, author, record, Process(*process) if process else None) if valid else None
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            return None

    # ---- taking away

    def drop_data(self) -> None:
        """Take away the data that is laid out, or was about to be, as far as that goes."""
        for path in (self.data, *self.path.glob(".dsvc-export-*.tmp")):
            _remove(path)

    def remove_empty(self) -> None:
        """Take the folder away where nobody holds it, and nothing came into it yet."""
        if self._is_empty() and self.hold():
            with contextlib.suppress(OSError):  # something came into it
                if self.model.exists():
                    self.model.rmdir()
                if [path.name for path in self.path.iterdir()] == [_LOCK]:
                    (self.path / _LOCK).unlink()
                    self.path.rmdir()
            self.release()

    def _is_empty(self) -> bool:
        try:
            found = {entry.name: entry.is_dir(follow_symlinks=False) for entry in os.scandir(self.path)}
            return found.items() <= {"model": True, _LOCK: False}.items() and not any(self.model.glob("*"))
        except OSError:
            return False

    def remove(self) -> bool:
        """Take the folder away; whether it is gone."""
        self.release()
        _remove(self.path)
        return not os.path.lexists(self.path)


def _remove(path: Path) -> None:
    """Take a folder away, one whose folders are read-only too; nothing behind links."""
    if path.is_symlink():
        with contextlib.suppress(OSError):
            path.unlink()
        return
    shutil.rmtree(path, ignore_errors=True)
    if not path.exists():
        return
    for folder, _, _ in os.walk(path):
        with contextlib.suppress(OSError):
            os.chmod(folder, stat.S_IRWXU)  # noqa: PTH101 - a name of os.walk
    shutil.rmtree(path, ignore_errors=True)


def run_folders(runs: Path) -> Iterator[tuple[RunFolder, Note | None]]:
    """The run folders, by id, with their notes; None where there is none that can be read."""
    try:
        names = sorted(path.name for path in runs.iterdir() if _ID.fullmatch(path.name))
    except OSError:
        return
    for name in names:
        folder = RunFolder(runs / name)
        yield folder, folder.read()
