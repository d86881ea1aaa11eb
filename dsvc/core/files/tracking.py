"""Tracked folders: folders of the project whose files `status` compares with a dataset, and `add -A` takes in.

They are noted as `[[track]]` in workspace.toml, or in dsvc.toml for the team. Nothing is removed by forgetting one.
A file belongs to the innermost tracked folder that holds it.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

from dsvc.core.files.choosing import OWN_FOLDERS
from dsvc.core.files.seen import load_seen, note_seen
from dsvc.core.keys import display
from dsvc.core.workspace import FILE, TEAM_FILE, Workspace
from dsvc.errors import DamagedError, NotFoundError

SECTION = "track"
_NEEDS = 'it needs folder = "PATH", and may have dataset, root and all_files'
_FIELDS = {"folder": str, "root": str, "dataset": str, "all_files": bool}


class Tracked(NamedTuple):
    """A tracked folder by its path below the project's root ("" for the root), and the folder that keys are relative
    to: itself or one above it. Without a dataset, it is every dataset's."""

    folder: str
    root: str = ""
    dataset: str | None = None
    all_files: bool = False
    team: bool = False

    @property
    def prefix(self) -> str:
        """What the keys of its files begin with: "" or a path that ends in a slash."""
        path = self.folder if not self.root else self.folder[len(self.root) + 1 :]
        return f"{path}/" if path else ""

    @property
    def name(self) -> str:
        """Its path, for people."""
        return self.folder or "."

    def key(self, path: str) -> str:
        """The key of a file by its path below the project's root."""
        return path[len(self.root) + 1 :] if self.root else path

    def path(self, key: str) -> str | None:
        """The path at which the file of a key would be; None for keys of elsewhere."""
        if not key.startswith(self.prefix):
            return None
        return f"{self.root}/{key}" if self.root else key

    def holds(self, path: str) -> bool:
        """Whether a path below the project's root lies in the folder."""
        return is_in(path, self.folder)

    def sees_to(self, other: Tracked) -> bool:
        """Whether it takes all of another folder, which lies in it, that this one would take, under the same keys."""
        is_hidden = any(part.startswith(".") for part in other.folder[len(self.folder) :].split("/"))
        return self.root == other.root and self.all_files >= (other.all_files or is_hidden)


def is_in(path: str, folder: str) -> bool:
    """Whether a path is a folder's or lies in it, both below the project's root."""
    return not folder or path == folder or path.startswith(f"{folder}/")


def owner(tracked: Iterable[Tracked], path: str) -> Tracked | None:
    """The innermost folder that holds a path."""
    return max((one for one in tracked if one.holds(path)), key=lambda one: len(one.folder), default=None)


def tracked_folders(workspace: Workspace, dataset: str) -> list[Tracked]:
    """The folders of a dataset, each once, but for those that only repeat the one that they lie in.

    This workspace's word counts before the team's, and what is said of this dataset before what is said of all. Raises
    DamagedError.
    """
    found = [one for one in _all(workspace) if one.dataset in (None, dataset)]
    return merged(sorted(found, key=lambda one: (one.team, one.dataset is None)))


def merged(folders: Iterable[Tracked]) -> list[Tracked]:
    """Folders in order, each once: the first one counts; without those that repeat the one that they lie in."""
    first: dict[str, Tracked] = {}
    for one in folders:
        first.setdefault(one.folder, one)
    kept: list[Tracked] = []
    for one in sorted(first.values(), key=lambda one: one.folder):
        above = owner(kept, one.folder)
        if above is None or not above.sees_to(one):
            kept.append(one)
    return kept


def _all(workspace: Workspace) -> list[Tracked]:
    return [_read(table, team) for table, team in workspace.tables(SECTION)]


def _read(table: Any, team: bool) -> Tracked:
    """One table of the settings. Raises DamagedError."""
    file = TEAM_FILE if team else FILE

    def refuse(text: str, hint: str = _NEEDS) -> DamagedError:
        return DamagedError(f"{file}: {text}", hint)

    if not isinstance(table, dict):
        raise refuse(f"{SECTION} is no list of tables", f"write each one as [[{SECTION}]]; {_NEEDS}")
    for name, value in table.items():
        if type(value) is not _FIELDS.get(name):
            raise refuse(f"a [[{SECTION}]] table has {name} = {value!r}")
    folder, root = table.get("folder"), table.get("root", ".")
    if not folder or not root:
        raise refuse(f"a [[{SECTION}]] table names no {'root' if folder else 'folder'}")
    folder, root = (_plain(posixpath.normpath(path)) for path in (folder, root))
    named = f"the tracked folder '{display(folder or '.')}'"
    if folder.startswith("/") or folder.split("/")[0] == ".." or "\0" in folder:
        raise refuse(f"{named} lies outside the project", "a tracked folder is named by its path in the project")
    if OWN_FOLDERS.intersection(folder.split("/")):
        raise refuse(f"{named} holds no data", "name a folder of data")
    if not is_in(folder, root):
        raise refuse(
            f"{named} does not lie in its root, '{display(root)}'", "root is the folder itself, or one above it"
        )
    return Tracked(folder, root, table.get("dataset"), table.get("all_files", False), team)


def _plain(path: str) -> str:
    return "" if path == "." else path


# ---- noting folders


def make_tracked(project: Path, folder: str, root: str, dataset: str, all_files: bool) -> Tracked | None:
    """A folder, given with `root` as real paths, as one to track.

    None for one that is not inside the project, or has a root that is not, or whose name is no Unicode.
    """
    inside, above = relative_path(project, folder), relative_path(project, root)
    if inside is None or above is None or any("\ud800" <= char <= "\udfff" for char in inside):
        return None
    return Tracked(inside, above, dataset, all_files)


def relative_path(project: Path, path: str) -> str | None:
    """A real path as one below the project's root; None for one outside."""
    relative = os.path.relpath(path, os.path.realpath(project)).replace(os.sep, "/")
    return None if relative.split("/")[0] == ".." else _plain(relative)


def not_noted(known: Sequence[Tracked], new: Iterable[Tracked], team: bool) -> list[Tracked]:
    """Of folders, those that tracking `known` does not see to; for the team, only its own word counts."""
    seen = merged(one for one in known if one.team) if team else merged(known)
    return [one for one in new if (above := owner(seen, one.folder)) is None or not above.sees_to(one)]


def track(workspace: Workspace, new: Iterable[Tracked], team: bool = False) -> AbstractContextManager[None]:
    """Note folders once the body has succeeded."""
    added = list(new)
    places = {(one.folder, one.dataset) for one in added}

    def change(tables: list[Any] | None) -> list[Any]:
        kept = [table for table in tables or () if _place(table, team) not in places]
        return [*kept, *map(_table, added)]

    return _saving(workspace, team, change) if added else nullcontext()


def untrack(workspace: Workspace, folders: Iterable[str], dataset: str) -> None:
    """Look at folders no more; inputs and files stay. Raises NotFoundError before anything is changed."""
    gone = {_plain(posixpath.normpath(folder.replace(os.sep, "/"))) for folder in folders}
    mine = (None, dataset)
    noted = [one for one in _all(workspace) if one.dataset in mine]
    if unknown := sorted(gone - {one.folder for one in noted}):
        known = ", ".join(one.name for one in tracked_folders(workspace, dataset))
        hint = f"there is: {display(known)}" if known else "see: dsvc status"
        raise NotFoundError(f"no tracked folder '{display(unknown[0] or '.')}'", hint)
    with ExitStack() as stack:
        for team in {one.team for one in noted if one.folder in gone}:

            def change(tables: list[Any] | None, team: bool = team) -> list[Any]:
                places = [(table, *_place(table, team)) for table in tables or ()]
                return [table for table, folder, whose in places if folder not in gone or whose not in mine]

            stack.enter_context(_saving(workspace, team, change))


@contextmanager
def renaming(workspace: Workspace, old: str, new: str) -> Iterator[None]:
    """Have what the settings say of a dataset said of its new name, once the body has succeeded."""

    from dsvc.core.layout.folders import names
    from dsvc.core.layout.folders import renaming as renaming_folders

    folders = renaming_folders(old, new)

    def change(tables: list[Any] | None) -> list[Any]:
        return [{**table, "dataset": new} if _is_of(table, old) else table for table in tables or ()]

    with ExitStack() as stack:
        for team in (False, True):
            tables = [table for table, of_team in workspace.tables(SECTION) if of_team == team]
            changes: dict[str, Any] = {SECTION: change} if any(_is_of(table, old) for table in tables) else {}
            section, follow = folders[team]
            if names([table for table, of_team in workspace.tables(section) if of_team == team], old):
                changes[section] = follow
            if not team:
                changes |= workspace.renaming(old, new)
            if changes:
                stack.enter_context(workspace.saving_team(**changes) if team else workspace.saving(**changes))
        note_seen(workspace, new, load_seen(workspace, old))
        yield


def _is_of(table: Any, dataset: str) -> bool:
    return isinstance(table, dict) and table.get("dataset") == dataset


def _place(table: Any, team: bool) -> tuple[str, str | None]:
    one = _read(table, team)
    return one.folder, one.dataset


def _saving(
    workspace: Workspace, team: bool, change: Callable[[list[Any] | None], list[Any]]
) -> AbstractContextManager[None]:
    save: Callable[..., AbstractContextManager[None]] = workspace.saving_team if team else workspace.saving
    return save(**{SECTION: change})


def _table(one: Tracked) -> dict[str, Any]:
    table: dict[str, Any] = {"folder": one.name}
    if one.dataset is not None:
        table["dataset"] = one.dataset
    if one.root:
        table["root"] = one.root
    if one.all_files:
        table["all_files"] = True
    return table
