"""Which folders are laid out, and of what: `[[checkouts]]` in workspace.toml, `[[folders]]` in dsvc.toml for the team.

What is said here is what a folder is to hold. What it does hold is in its record (see `record`).
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

from dsvc.core.files.choosing import OWN_FOLDERS
from dsvc.core.keys import display
from dsvc.core.workspace import FILE, TEAM_FILE, Workspace
from dsvc.errors import DamagedError, NotFoundError

MINE, TEAM = "checkouts", "folders"
# The folder of a layout that its media lie in, by format.
MEDIA = {"coco": "images", "clarifai-json": "media"}
_NEEDS = 'it needs folder = "PATH" and revision = "REV", and may have format, where and link'
_FIELDS = {"folder": str, "revision": str, "format": str, "where": str, "link": str, "off": bool}
_NAME = re.compile(r"[^:@~\0]+")


class Checkout(NamedTuple):
    """A folder by its path below the project's root, and the revision that is laid out there.

    `pets` follows the current branch, `pets:BRANCH` and `REMOTE/pets:BRANCH` that one, `pets@v1` stays. `where` is a
    filter of inputs; with `link`, media are hard links that cannot be written to.
    """

    folder: str
    revision: str
    format: str = "coco"
    where: str | None = None
    link: bool = False
    team: bool = False

    @property
    def dataset(self) -> str:
        """The dataset's name."""
        return self.revision.partition(":")[0].partition("@")[0].rpartition("/")[2]

    @property
    def media(self) -> str:
        """The folder of media below the project's root."""
        return f"{self.folder}/{MEDIA[self.format]}"

    def holds(self, path: str) -> bool:
        """Whether a path below the project's root is the folder's or lies in it."""
        return path == self.folder or path.startswith(f"{self.folder}/")


def remembered(workspace: Workspace) -> list[Checkout]:
    """The folders that are laid out, by path; this workspace's word counts before the team's. Raises DamagedError."""
    found: dict[str, Checkout | None] = {}
    for table, team in _tables(workspace):
        folder = _folder(table, team)
        if folder not in found:
            found[folder] = None if table.get("off") else _read(table, folder, team)
    return sorted(one for one in found.values() if one is not None)


def are_remembered(workspace: Workspace) -> bool:
    """Whether there may be any."""
    return bool(_tables(workspace))


def _tables(workspace: Workspace) -> list[tuple[Any, bool]]:
    mine = [(table, team) for table, team in workspace.tables(MINE) if not team]
    return mine + [(table, team) for table, team in workspace.tables(TEAM) if team]


def _refuse(team: bool, text: str, hint: str = _NEEDS) -> DamagedError:
    return DamagedError(f"{TEAM_FILE if team else FILE}: {text}", hint)


def _folder(table: Any, team: bool) -> str:
    """The folder of one table of the settings. Raises DamagedError."""
    section = TEAM if team else MINE
    if not isinstance(table, dict):
        raise _refuse(team, f"{section} is no list of tables", f"write each one as [[{section}]]; {_NEEDS}")
    for name, value in table.items():
        if type(value) is not _FIELDS.get(name):
            raise _refuse(team, f"a [[{section}]] table has {name} = {value!r}")
    named = table.get("folder", "")
    folder = posixpath.normpath(named) if named else ""
    if not folder:
        raise _refuse(team, f"a [[{section}]] table names no folder")
    if wrong := wrong_place(folder):
        hint = "a folder is named by its path in the project"
        raise _refuse(team, f"the folder '{display(named)}' {wrong}", hint)
    return folder


def wrong_place(folder: str) -> str | None:
    """Why no version may be laid out at a plain path below the project's root, or None."""
    parts = re.split(r"[/\\]", folder)
    if folder == ".":
        return "is the project itself"
    if folder.startswith(("/", "\\")) or ".." in parts or "\0" in folder or re.match(r"[A-Za-z]:", folder):
        return "lies outside the project"
    own = [part for part in parts if part.casefold() in OWN_FOLDERS]
    if own:
        return "belongs to the repository itself" if own[0].casefold() == ".dsvc" else "belongs to Git"
    return None


def _read(table: Any, folder: str, team: bool) -> Checkout:
    section = TEAM if team else MINE
    revision, format, link = table.get("revision"), table.get("format", "coco"), table.get("link")
    if not revision or _NAME.match(revision) is None:
        raise _refuse(team, f"a [[{section}]] table names no revision of a dataset")
    if format not in MEDIA:
        raise _refuse(team, f"'{display(folder)}' has the format {format!r}", f"there is: {', '.join(MEDIA)}")
    if link not in (None, "hard"):
        raise _refuse(team, f"'{display(folder)}' has link = {link!r}", 'there is: link = "hard"')
    return Checkout(folder, revision, format, table.get("where"), link == "hard", team)


def _table(one: Checkout) -> dict[str, Any]:
    table: dict[str, Any] = {"folder": one.folder, "revision": one.revision, "format": one.format}
    if one.where is not None:
        table["where"] = one.where
    if one.link:
        table["link"] = "hard"
    return table


# ---- noting


def _saving(workspace: Workspace, team: bool, change: Callable[[list[Any]], list[Any]]) -> AbstractContextManager[None]:
    def changed(tables: list[Any] | None) -> list[Any]:
        return change(list(tables or ()))

    save: Callable[..., AbstractContextManager[None]] = workspace.saving_team if team else workspace.saving
    return save(**{TEAM if team else MINE: changed})


def remember(workspace: Workspace, one: Checkout) -> None:
    """Note a folder, in place of what was said of it; the team's where that is meant."""
    if one.team:
        _save(workspace, True, _without(one.folder, True, [_table(one)]))
        _save_if_there(workspace, one.folder, [])
    else:
        _save(workspace, False, _without(one.folder, False, [_table(one)]))


def forget(workspace: Workspace, folder: str, team: bool = False) -> Checkout:
    """Keep a folder current no more; its files stay. One of the team's is forgotten here only, or with `team` for all.

    Raises NotFoundError.
    """
    known = {one.folder: one for one in remembered(workspace)}
    found = known.get(folder)
    if found is None:
        hint = f"there is: {display(', '.join(known))}" if known else "lay one out: dsvc checkout REV FOLDER"
        raise NotFoundError(f"'{display(folder)}' is no checkout", hint)
    is_teams = any(team and _folder(table, team) == folder for table, team in _tables(workspace))
    if is_teams and team:
        _save(workspace, True, _without(folder, True, []))
    if not is_teams or team:
        _save_if_there(workspace, folder, [])
    else:
        _save(workspace, False, _without(folder, False, [{"folder": folder, "off": True}]))
    return found


def _save(workspace: Workspace, team: bool, change: Callable[[list[Any]], list[Any]]) -> None:
    with _saving(workspace, team, change):
        pass


def _save_if_there(workspace: Workspace, folder: str, new: list[Any]) -> None:
    if any(not team and _folder(table, team) == folder for table, team in _tables(workspace)):
        _save(workspace, False, _without(folder, False, new))


def _without(folder: str, team: bool, new: list[Any]) -> Callable[[list[Any]], list[Any]]:
    return lambda tables: [*(table for table in tables if _folder(table, team) != folder), *new]


def renaming(old: str, new: str) -> dict[bool, tuple[str, Callable[[Any], list[Any]]]]:
    """The changes of settings, the team's and this workspace's, by which folders follow a dataset to its new name."""

    def change(tables: Any) -> list[Any]:
        return [_renamed(table, old, new) for table in tables or ()]

    return {True: (TEAM, change), False: (MINE, change)}


def names(tables: Iterable[Any], dataset: str) -> bool:
    """Whether any of some tables is about a dataset."""
    return any(_renamed(table, dataset, "") != table for table in tables)


def _renamed(table: Any, old: str, new: str) -> Any:
    revision = table.get("revision") if isinstance(table, dict) else None
    found = _NAME.match(revision) if isinstance(revision, str) else None
    if revision is None or found is None or found[0] != old:
        return table
    return {**table, "revision": new + revision[found.end() :]}
