"""Tracked folders: folders of the project whose files `status` compares with a dataset, and `add -A` takes in.

They are noted as `[[track]]` in workspace.toml, or in dsvc.toml for the team. Nothing is removed by forgetting one.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

from dsvc.core.workspace import Workspace
from dsvc.errors import DamagedError, NotFoundError

SECTION = "track"


class Tracked(NamedTuple):
    """A tracked folder by its path below the project's root ("" for the root), and the folder that keys are relative
    to, as a path relative to the project's root. Without a dataset, it is every dataset's."""

    folder: str
    root: str = ""
    dataset: str | None = None
    all_files: bool = False
    team: bool = False

    @property
    def prefix(self) -> str:
        """What the keys of its files begin with: "" or a path that ends in a slash."""
        path = posixpath.relpath(self.folder or ".", self.root or ".")
        return "" if path == "." else f"{path}/"

    def key(self, path: str) -> str:
        """The key of a file by its path below the project's root."""
        return self.prefix + (path[len(self.folder) + 1 :] if self.folder else path)

    def path(self, key: str) -> str | None:
        """The path at which the file of a key would be; None for keys of elsewhere."""
        prefix = self.prefix
        if not key.startswith(prefix):
            return None
        rest = key[len(prefix) :]
        return f"{self.folder}/{rest}" if self.folder else rest

    def holds(self, path: str) -> bool:
        """Whether a path below the project's root lies in the folder."""
        return not self.folder or path == self.folder or path.startswith(f"{self.folder}/")


def tracked_folders(workspace: Workspace, dataset: str) -> list[Tracked]:
    """The folders of a dataset, each once, none within another that gives the same keys. Raises DamagedError."""
    found = [_read(table, team) for table, team in workspace.tables(SECTION)]
    mine = sorted({t.folder: t for t in found if t.dataset in (None, dataset)}.values())
    kept: list[Tracked] = []
    for one in mine:
        if not any(o.holds(one.folder) and o.root == one.root and o.all_files >= one.all_files for o in kept):
            kept.append(one)
    return kept


def _read(table: Any, team: bool) -> Tracked:
    values = table if isinstance(table, dict) else {}
    folder, root, dataset = values.get("folder"), values.get("root", "."), values.get("dataset")
    if not isinstance(folder, str) or not isinstance(root, str) or not isinstance(dataset, str | None):
        hint = 'it needs folder = "PATH", and may have dataset, root and all_files'
        raise DamagedError("a [[track]] table of the settings cannot be read", hint)
    folder = posixpath.normpath(folder)
    if folder.startswith(("/", "..")):
        raise DamagedError(f"the tracked folder {folder!r} lies outside the project", "mend [[track]] in the settings")
    return Tracked(_plain(folder), _plain(posixpath.normpath(root)), dataset, bool(values.get("all_files")), team)


def _plain(path: str) -> str:
    return "" if path == "." else path


def make_tracked(project: Path, folder: str, root: str, dataset: str, all_files: bool) -> Tracked | None:
    """A folder, given with `root` as real paths, as one to track; None for one that is not inside the project."""
    base = os.path.realpath(project)
    inside = folder == base or folder.startswith(base + os.sep)
    if not inside:
        return None
    relative = os.path.relpath(folder, base).replace(os.sep, "/")
    return Tracked(_plain(relative), _plain(os.path.relpath(root, base).replace(os.sep, "/")), dataset, all_files)


def track(workspace: Workspace, new: Iterable[Tracked], team: bool = False) -> AbstractContextManager[None]:
    """Note folders once the body has succeeded."""
    tables = with_folders(workspace, new, team)
    if tables is None:
        return nullcontext()
    return workspace.saving_team(track=tables) if team else workspace.saving(track=tables)


def untrack(workspace: Workspace, folder: str, dataset: str) -> None:
    """Look at a folder no more; inputs and files stay. Raises NotFoundError."""
    folder = _plain(posixpath.normpath(folder.replace(os.sep, "/")))
    found = False
    for team, saving in ((False, workspace.saving), (True, workspace.saving_team)):
        tables = without_folder(workspace, folder, dataset, team)
        if tables is not None:
            found = True
            with saving(track=tables):
                pass
    if not found:
        known = ", ".join(t.folder or "." for t in tracked_folders(workspace, dataset))
        raise NotFoundError(f"no tracked folder {folder or '.'!r}", f"there is: {known}" if known else None)


def with_folders(workspace: Workspace, new: Iterable[Tracked], team: bool) -> list[dict[str, Any]] | None:
    """The workspace's own (or the team's) tables with some folders noted; None where nothing changes."""
    tables = [table for table, of_team in workspace.tables(SECTION) if of_team == team]
    before = [_read(table, team) for table in tables]
    known = [_read(table, is_team) for table, is_team in workspace.tables(SECTION)]
    added = [one for one in new if not any(covers(old, one) for old in known)]
    if not added:
        return None
    kept = [t for t, old in zip(tables, before, strict=True) if not any(_same_place(old, one) for one in added)]
    return [*kept, *map(_table, added)]


def without_folder(workspace: Workspace, folder: str, dataset: str, team: bool) -> list[dict[str, Any]] | None:
    """The tables without one folder; None where it is not among them."""
    tables = [table for table, of_team in workspace.tables(SECTION) if of_team == team]
    kept = [t for t in tables if (r := _read(t, team)).folder != folder or r.dataset not in (None, dataset)]
    return kept if len(kept) < len(tables) else None


def covers(old: Tracked, new: Tracked) -> bool:
    """Whether all files of the second are files of the first, under the same keys."""
    same_keys = old.root == new.root and old.all_files >= new.all_files
    return old.dataset in (None, new.dataset) and old.holds(new.folder) and same_keys


def _same_place(old: Tracked, new: Tracked) -> bool:
    return old.folder == new.folder and old.dataset == new.dataset


def _table(one: Tracked) -> dict[str, Any]:
    table: dict[str, Any] = {"folder": one.folder or "."}
    if one.dataset is not None:
        table["dataset"] = one.dataset
    if one.root:
        table["root"] = one.root
    if one.all_files:
        table["all_files"] = True
    return table
