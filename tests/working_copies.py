"""A project in a real Git repository, whose lock Git merges by the driver."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import dsvc
from dsvc.core.dataset import Dataset
from dsvc.core.repository import Repository
from dsvc.git.lockfile import Locked, format_lock, read_lock
from dsvc.model.commit import Author, Moment, load_commit
from dsvc.model.records import Annotation, Media, Shape
from dsvc.model.snapshot import Snapshot, load_roots
from dsvc.store.ids import ObjectId

ADA, BOB = Author("Ada", "ada@example.org"), Author("Bob", "bob@example.org")
PACKAGE = Path(dsvc.__file__).parents[1]
START = 1_700_000_000


class Done(NamedTuple):
    """What a run of Git gave."""

    code: int
    out: str
    err: str


class Copy:
    """A working copy, with its repository of datasets."""

    def __init__(self, folder: Path, home: Path) -> None:
        self.folder, self.home = folder, home
        self._branches = 0

    @property
    def repository(self) -> Repository:
        return Repository.open(self.folder, ADA)

    @property
    def lock_file(self) -> Path:
        return self.folder / "dsvc.lock"

    def lock(self) -> dict[str, Locked]:
        return read_lock(self.lock_file)

    def git(self, *arguments: str, code: int | None = 0, folder: str = ".") -> Done:
        """Run Git; `code` is what it must exit with (None: any)."""
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "DSVC_"))},
            "HOME": str(self.home),
            "GIT_CONFIG_GLOBAL": str(self.home / "gitconfig"),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_EDITOR": "true",
            "PYTHONPATH": str(PACKAGE),
        }
        run = subprocess.run(
            ["git", *arguments], cwd=self.folder / folder, env=environment, capture_output=True, text=True, check=False
        )
        done = Done(run.returncode, run.stdout, run.stderr)
        assert code is None or done.code == code, done
        assert "Traceback" not in done.err + done.out
        return done

    def pin(self, message: str, *lines: Locked, file: str = "dsvc.lock") -> None:
        """Commit a lock of these lines to Git."""
        self.pin_text(message, format_lock(lines), file)

    def pin_text(self, message: str, text: str, file: str = "dsvc.lock") -> None:
        (self.folder / file).write_text(text)
        self.git("add", file)
        self.git("commit", "-qm", message)

    def commit(
        self,
        *inputs: str,
        on: ObjectId | None = None,
        dataset: str = "pets",
        author: Author = ADA,
        concept: str = "",
        time: int = 0,
        folder: str = ".",
    ) -> Locked:
        """A commit of a dataset on another commit, on a branch of its own: with new inputs, one cat on each, and the
        first one's called something else. Its line on the branch main."""
        repository = Repository.open(self.folder / folder, author)
        if dataset not in [one.name for one in repository.datasets()]:
            repository.create(dataset)
        place = self._branch(repository, dataset, on)
        with place.edit() as draft:
            draft.put_media({key: Media(type="image/png") for key in inputs})
            for key in inputs:
                draft.annotate(Annotation(key=key, id="1", concept="cat", shape=Shape(box=(1, 2, 3, 4))))
            if concept:
                draft.change_annotation("a.png", "1", {"concept": concept})
        name = " ".join((*inputs, concept)).strip()
        return Locked(dataset, "main", place.commit(name, author=author, time=Moment(START + time)).id)

    def _branch(self, repository: Repository, dataset: str, on: ObjectId | None) -> Dataset:
        place = repository.dataset(dataset)
        if on is None and place.head is None:
            return place
        self._branches += 1
        place.create_branch(f"b{self._branches}", f"@{on or place.head}")
        return repository.dataset(dataset, f"b{self._branches}")

    def keys(self, line: Locked, folder: str = ".") -> list[str]:
        """The inputs of the commit that a line names."""
        store = Repository.open(self.folder / folder).store
        roots = load_roots(store, load_commit(store, line.commit).snapshot)
        return [one.key for one in Snapshot(store, roots).inputs()]

    def clone(self, folder: Path) -> Copy:
        """Another copy of both, as somebody has it who fetched all."""
        shutil.copytree(self.folder, folder)
        return Copy(folder, self.home)


def new_copy(folder: Path, home: Path) -> Copy:
    """A Git repository with the drivers set up, and a repository of datasets in it."""
    copy = Copy(folder, home)
    home.mkdir(exist_ok=True)
    (home / "gitconfig").write_text("[user]\n\tname = Ada\n\temail = ada@example.org\n[init]\n\tdefaultBranch = main\n")
    dsvc.init(folder, author=ADA)
    copy.git("init", "-q")
    set_drivers(copy)
    copy.pin_text("attributes", "dsvc.lock merge=dsvc-lock diff=dsvc-lock\n", ".gitattributes")
    return copy


def set_drivers(copy: Copy) -> None:
    """Configure the drivers, as `dsvc git install` does."""
    run = shlex.join((sys.executable, "-m", "dsvc.cli.main", "git"))
    copy.git("config", "merge.dsvc-lock.name", "dsvc")
    copy.git("config", "merge.dsvc-lock.driver", f"{run} merge-driver %O %A %B %P %L")
    copy.git("config", "diff.dsvc-lock.command", f"{run} diff-driver")
    copy.git("config", "diff.dsvc-lock.textconv", f"{run} diff-driver")
