"""-R: commands that read, straight on a remote, without a clone."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dsvc.errors import DsvcError, NotFoundError, NotRepositoryError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dsvc.core.repository import Repository
    from dsvc.remote.direct import DistantRepository
    from dsvc.remote.settings import Remote

# The commands that work so; all others need a workspace.
READING = frozenset(
    (
        "blame",
        "branch",
        "check",
        "concept list",
        "conflicts",
        "diff",
        "evaluate compare",
        "evaluate list",
        "evaluate show",
        "export",
        "list",
        "log",
        "metrics",
        "op log",
        "plot",
        "preview",
        "query",
        "runs compare",
        "runs extract",
        "runs list",
        "runs show",
        "show",
        "version list",
        "version show",
    )
)
_COMMANDS = re.compile(r"dsvc ([a-z]+)( [a-z]+)?")

_PATIENCE = 60.0  # seconds: one command looks at one moment of a distant place


def require_reading(command: str, text: str, *, begins: bool = False) -> None:
    """Raise RefusedError for a command, by its words or the first one (`begins`), that doesn't work with `-R text`."""
    if not any(words == command or (begins and words.startswith(f"{command} ")) for words in READING):
        raise RefusedError(f"dsvc {command} needs a clone; -R only reads", f"clone it: dsvc clone {_clonable(text)}")


def _clonable(text: str) -> str:
    """What to clone, for a person to type."""
    from dsvc.core.references.places import parse_place, shown_place

    project = _project()
    remote = _remote(project, text) if project is not None else None
    if project is not None and remote is not None:
        text = parse_place(remote.url, project.root or Path())
    return shlex.quote(shown_place(text))


def open_at(text: str, selected: str | None, words: Iterable[str]) -> DistantRepository:
    """The repository that `-R text` names: a remote of the project by name, a URL, or a path. Of several datasets the
    current one is the `selected` one, else the first that one of the command's `words` names.

    Raises NotFoundError, RefusedError, RemoteError, UsageError.
    """
    from dsvc.core.selection import parse_selection

    found = _open(text)
    found.store.patience = _PATIENCE
    if selected is not None:
        dataset, branch, version = parse_selection(selected)
        found.workspace.select(dataset, branch or (found.default_branch(dataset) if version is None else None), version)
    elif found.workspace.dataset is None:
        names = {dataset.name for dataset in found.datasets()}
        meant = next((name for word in words if (name := re.split("[:@~]", word)[0]) in names), None)
        if meant is not None:
            found.workspace.select(meant, found.default_branch(meant))
    return found


def _open(text: str) -> DistantRepository:
    from dsvc.core.references.places import scheme
    from dsvc.remote.direct import open_distant, open_named

    project = _project()
    remote = _remote(project, text) if project is not None else None
    if project is not None and remote is not None:
        return open_named(project, remote)
    if scheme(text):
        return open_distant(text, cache=_cache())
    path = os.path.abspath(os.path.expanduser(text))  # noqa: PTH100, PTH111 - no `..` is kept
    if not text or not os.path.exists(path):  # noqa: PTH110 - the same path
        raise NotFoundError(f"no remote and no folder {text!r}", "-R takes a URL, the name of a remote here, or a path")
    return open_distant(path, cache=_cache())


def _project() -> Repository | None:
    """The repository of the folder, if there is one."""
    from dsvc.core.repository import Repository

    try:
        return Repository.open(Path())
    except NotRepositoryError:
        return None


def _remote(project: Repository, text: str) -> Remote | None:
    from dsvc.remote.settings import list_remotes

    return next((remote for remote in list_remotes(project) if remote.name == text), None)


def _cache() -> Path | None:
    """Where copies of remotes' indexes and records are kept for this person; None where there is no home."""
    folder = os.environ.get("XDG_CACHE_HOME")
    if folder and os.path.isabs(folder):  # noqa: PTH117
        return Path(folder) / "dsvc"
    try:
        return Path.home() / ".cache" / "dsvc"
    except RuntimeError:
        return None


def fit(hint: str) -> str:
    """A hint at what to do next as it can be followed: with -R its commands get that option, and one that needs a
    clone is left out."""
    from dsvc.cli.session import Session

    context = click.get_current_context(silent=True)
    session = context.find_object(Session) if context is not None else None
    return hint if session is None or session.place is None else _fitting(hint, session.place)


def _fitting(hint: str, text: str) -> str:
    for first, second in _COMMANDS.findall(hint):
        if first != "clone" and first not in READING and first + second not in READING:
            return ""
    return re.sub(r"dsvc (?!clone\b)(?=[a-z])", lambda _: f"dsvc -R {shlex.quote(text)} ", hint)


def fitting(error: BaseException, text: str) -> BaseException:
    """An error whose hint works with `-R text`: commands get that option, and a hint at what needs a clone goes."""
    if isinstance(error, DsvcError) and error.hint:
        error.hint = _fitting(error.hint, text) or None
    return error
