"""One run of the command: the global options, and the repository and dataset that they lead to."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from dsvc.cli.exit import Exit
from dsvc.errors import NotFoundError, RefusedError

if TYPE_CHECKING:
    from dsvc.cli.locking import LockKeeper
    from dsvc.core.dataset import Dataset
    from dsvc.core.repository import Repository
    from dsvc.model.commit import Author
    from dsvc.store.ids import ObjectId

F = TypeVar("F", bound=Callable[..., Any])


class Session:
    """What the global options say, and what was opened."""

    def __init__(self) -> None:
        self.dataset_name: str | None = None
        # What -R names: a repository elsewhere, which is only read.
        self.place: str | None = None
        # The remote that is written to, once one is.
        self.remote: str | None = None
        self._opened: Repository | None = None
        self._before: ObjectId | None = None
        self._lock: LockKeeper | None = None
        self._selected: object = None
        self._heads: object = None

    def repository(self, author: Author | None = None, *, signed: bool = False) -> Repository:
        """Open the repository of the folder; with `signed`, find out who signs. Raises NotRepositoryError."""
        from dsvc.core.repository import LOCK_FILE, Repository
        from dsvc.remote.lazy import attach

        if self.place is not None:
            from dsvc.cli.distant import open_at

            words = [word for word in click.get_current_context().params.values() if isinstance(word, str)]
            return open_at(self.place, self.dataset_name, words)
        repository = Repository.open(Path())
        attach(repository)
        if selected := self.dataset_name or os.environ.get("DSVC_DATASET"):
            from dsvc.core.selection import parse_selection

            repository.workspace.select(*parse_selection(selected))
        if author is not None or signed:
            from dsvc.cli.author import find_author

            repository.author = author or find_author(repository.root or Path(), repository.workspace.author)
        self._opened, self._before = repository, repository.store.head.operation
        self._selected = repository.workspace.kept
        self._heads = _heads(repository)
        if self._lock is None and repository.root is not None and (repository.root / LOCK_FILE).is_file():
            from dsvc.cli.locking import LockKeeper

            self._lock = LockKeeper(repository)
        return repository

    def after_command(self) -> int:
        """Bring what follows the datasets up to date, where the command has moved one, or selected something else."""
        opened = self._opened
        if opened is None or opened.root is None:
            return Exit.DONE
        try:
            return self._follow(opened)
        finally:
            opened.store.close()  # media that came is kept

    def _follow(self, opened: Repository) -> int:
        if opened.store.head.operation == self._before and opened.workspace.kept == self._selected:
            return Exit.DONE
        if self._lock is not None:
            self._lock.update()
        if _heads(opened) != self._heads:
            from dsvc.cli.checkout import keep_folders

            keep_folders(opened)
        return Exit.DONE

    def dataset(self, author: Author | None = None, *, signed: bool = False) -> Dataset:
        """The dataset that is meant: of --dataset, of DSVC_DATASET, or the current one. Raises NotFoundError."""
        return self.repository(author, signed=signed).dataset()

    def fitting(self, error: BaseException) -> BaseException:
        """An error whose hint can be followed where the command works."""
        if self.place is None:
            return error
        from dsvc.cli.distant import fitting

        return fitting(error, self.place)

    def interrupted(self) -> int:
        """Say that the run was interrupted, and whether it had changed something by then."""
        text = "interrupted; nothing changed"
        if self._opened is not None:
            try:
                self._opened.store.close()
                self._opened.store.refresh()
                if self._opened.store.head.operation != self._before:
                    text = "interrupted, after the change was made; take it back with: dsvc undo"
            except Exception:  # whatever is wrong with it, the next command says so
                text = "interrupted"
        if self.remote is not None:
            text = f"interrupted; {self.remote} has all of it, or nothing; to see which: dsvc fetch {self.remote}"
        click.echo(text, err=True)
        return Exit.INTERRUPTED


def _heads(repository: Repository) -> object:
    """What folders that are laid out follow, to be compared; None where there are none."""
    from dsvc.errors import DsvcError
    from dsvc.model.view import BRANCH, VERSION

    try:
        if not any(repository.workspace.tables(name) for name in ("checkouts", "folders")):
            return None
        refs = [*repository.view.list(BRANCH), *repository.view.list(VERSION)]
    except DsvcError:  # what is wrong, the command itself tells
        return None
    return refs, repository.workspace.kept


def warn_of_override(dataset: str, branch: str | None = None, version: str | None = None) -> None:
    """Say so where DSVC_DATASET selects something else than what was just selected."""
    override = os.environ.get("DSVC_DATASET")
    if override and override not in (dataset, f"{dataset}:{branch}", f"{dataset}@{version}"):
        from dsvc.cli.render import note, shown

        note(f"note: DSVC_DATASET is set, and still selects {shown(override)}")


pass_session = click.make_pass_decorator(Session)


def _enter(context: click.Context, _: click.Parameter, folder: str | None) -> None:
    if folder is None or context.resilient_parsing:
        return
    try:
        os.chdir(folder)
    except FileNotFoundError:
        raise NotFoundError(f"no folder {folder}", "-C takes the folder to work in") from None
    except OSError as error:
        raise RefusedError(f"{folder}: {error.strerror}", "-C takes the folder to work in") from error


def _select(context: click.Context, _: click.Parameter, name: str | None) -> None:
    if name is not None:
        context.ensure_object(Session).dataset_name = name


def _read(context: click.Context, _: click.Parameter, place: str | None) -> None:
    session = context.ensure_object(Session)
    session.place = place if place is not None else session.place
    if session.place is None or context.resilient_parsing or isinstance(context.command, click.Group):
        return
    from dsvc.cli.distant import require_reading

    require_reading(context.command_path.partition(" ")[2], session.place)


def folder_option(function: F) -> F:
    """The option that says where a command works, which may stand before and after its name."""
    return click.option(
        "-C",
        "folder",
        metavar="DIR",
        callback=_enter,
        expose_value=False,
        is_eager=True,
        help="Work as if started in this folder.",
    )(function)


def shared_options(function: F) -> F:
    """The options that may stand before and after a command's name."""
    dataset = click.option(
        "-d",
        "--dataset",
        metavar="NAME[:BRANCH|@VERSION]",
        callback=_select,
        expose_value=False,
        help="Work on this dataset, and branch, not on the current one.",
    )
    place = click.option(
        "-R",
        "--repository",
        metavar="URL|REMOTE|PATH",
        callback=_read,
        expose_value=False,
        help="Read straight from this repository, without a clone.",
    )
    return folder_option(dataset(place(function)))
