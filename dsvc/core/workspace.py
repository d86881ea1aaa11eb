"""The workspace: one working copy's id, its current dataset and branch, and its settings."""

from __future__ import annotations

import contextlib
import os
import secrets
import tomllib
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from pathlib import Path
from typing import Any

from dsvc.errors import DamagedError, RefusedError
from dsvc.model.commit import Author
from dsvc.store.files import refusing
from dsvc.store.locks import take_lock

FILE = "workspace.toml"
TEAM_FILE = "dsvc.toml"


class Workspace:
    """`workspace.toml` of a repository's folder; without a folder, kept in memory."""

    def __init__(self, folder: Path | None) -> None:
        # Where it is kept, beside what the repository holds; None in memory.
        self.folder = folder
        self._path = folder / FILE if folder is not None else None
        self._values = read_toml(self._path) if self._path is not None else {}
        self._team = read_toml(folder.parent / TEAM_FILE) if folder is not None else {}
        self._id = str(self._values.get("id") or secrets.token_hex(8))
        # A dataset, and a branch or version of it, to take as the current ones for as long as this object lives; it is
        # not saved.
        self.selected: str | None = None
        self._selected_at: tuple[str | None, str | None] = (None, None)

    @property
    def id(self) -> str:
        """What names this workspace's drafts and operations: 16 hex digits."""
        return self._id

    @property
    def dataset(self) -> str | None:
        """The current dataset's name, if one was selected or chosen."""
        return self.selected or self.chosen

    @property
    def chosen(self) -> str | None:
        """The dataset that the file names as the current one."""
        name = self._values.get("dataset")
        return name if isinstance(name, str) else None

    def select(self, dataset: str, branch: str | None = None, version: str | None = None) -> None:
        """Take a dataset, and a branch or a version of it, as the current ones for as long as this object lives."""
        self.selected, self._selected_at = dataset, (branch, version)

    def branch(self, dataset: str) -> str:
        """The current branch of a dataset here."""
        selected = self._selected_at[0] if dataset == self.selected else None
        return selected or self._name_in("branches", dataset) or "main"

    def kept_branch(self, dataset: str) -> str | None:
        """The branch that the file names as a dataset's current one."""
        return self._name_in("branches", dataset)

    @property
    def kept(self) -> tuple[Any, ...]:
        """The branches and versions of datasets that the file names."""
        return self._values.get("branches"), self._values.get("versions")

    def kept_version(self, dataset: str) -> str | None:
        """The version of a dataset that the file names as the one that is looked at."""
        return self._name_in("versions", dataset)

    def version(self, dataset: str) -> str | None:
        """The version of a dataset that is selected here, to be read only."""
        if dataset == self.selected and any(self._selected_at):
            return self._selected_at[1]
        return self._name_in("versions", dataset)

    def _name_in(self, table: str, dataset: str) -> str | None:
        names = self._values.get(table)
        name = names.get(dataset) if isinstance(names, dict) else None
        return name if isinstance(name, str) else None

    def selecting(self, dataset: str, branch: str | None, version: str | None) -> dict[str, Any]:
        """What to save so that a branch and a version of a dataset are selected, or with None not mentioned."""
        wanted = {"branches": branch, "versions": version}
        return {
            table: _naming(dataset, dataset, name)
            for table, name in wanted.items()
            if name != self._name_in(table, dataset)
        }

    def renaming(self, dataset: str, new: str) -> dict[str, Any]:
        """What to save so that what is selected of a dataset is selected under a new name of it."""
        names = {
            table: (self._name_in(table, dataset), self._name_in(table, new)) for table in ("branches", "versions")
        }
        changes: dict[str, Any] = {
            table: _naming(dataset, new, name) for table, (name, other) in names.items() if name or other
        }
        return {**changes, "dataset": new} if self.chosen == dataset else changes

    def setting(self, section: str, name: str) -> Any:
        """A setting of this workspace, else of the team's `dsvc.toml`, else None."""
        for values in (self._values, self._team):
            table = values.get(section)
            if isinstance(table, dict) and name in table:
                return table[name]
        return None

    def sections(self, section: str) -> list[tuple[dict[str, Any], bool]]:
        """What the team's file, then this workspace's, says under `[section]`, each with whether it is the team's.

        Raises DamagedError where something else goes by that name.
        """
        found: list[tuple[dict[str, Any], bool]] = []
        for values, team in ((self._team, True), (self._values, False)):
            table = values.get(section, {})
            if not isinstance(table, dict):
                file = TEAM_FILE if team else FILE
                raise DamagedError(f"{file}: {section} is no table", f"write it as [{section}]")
            found.append((table, team))
        return found

    def tables(self, section: str) -> list[tuple[Any, bool]]:
        """The tables `[[section]]` of this workspace, then of the team's file, each with whether it is the team's.

        Raises DamagedError where something else goes by that name.
        """
        found: list[tuple[Any, bool]] = []
        for values, team in ((self._values, False), (self._team, True)):
            tables = values.get(section, [])
            if not isinstance(tables, list):
                file = TEAM_FILE if team else FILE
                raise DamagedError(f"{file}: {section} is no list of tables", f"write each one as [[{section}]]")
            found += [(table, team) for table in tables]
        return found

    @property
    def author(self) -> Author | None:
        """The author that the settings name under [author]."""
        name, email = self.setting("author", "name"), self.setting("author", "email")
        return Author(str(name), str(email or "")) if name else None

    def keep(self) -> None:
        """See that the id is on disk: what is done under an id that nobody finds again is lost to sight."""
        if self._path is not None and self._values.get("id") != self._id:
            self.save()

    def save(self, **changes: Any) -> None:
        """Set top-level values (None takes one away) and keep the rest of the file as it is, comments too."""
        with self.saving(**changes):
            pass

    @contextlib.contextmanager
    def saving(self, **changes: Any) -> Iterator[None]:
        """Save once the body has succeeded. What can fail of it, a full disk say, fails before the body begins.

        A change that is a function gets the value that is there, and gives the new one.
        """
        if self._path is None:
            yield
            _change(self._values, changes)
            return
        with _replacing(self._path, {"id": self._id, **changes}):
            yield
        self._values = read_toml(self._path)

    @contextlib.contextmanager
    def saving_team(self, **changes: Any) -> Iterator[None]:
        """The same for the team's file."""
        if self._path is None:
            yield
            _change(self._team, changes)
            return
        path = self._path.parent.parent / TEAM_FILE
        with _replacing(path, changes):
            yield
        self._team = read_toml(path)


def _naming(old: str, new: str, name: str | None) -> Callable[[Any], dict[str, str] | None]:
    """A change of a table of names: what it says of `old` goes, and of `new` it says `name`, or with None nothing."""

    def change(table: Any) -> dict[str, str] | None:
        names = table.items() if isinstance(table, dict) else ()
        kept = {key: value for key, value in names if key not in (old, new)}
        return {**kept, **({new: name} if name is not None else {})} or None

    return change


def _change(values: MutableMapping[str, Any], changes: Mapping[str, Any]) -> None:
    """Set values; a list of tables becomes `[[name]]`."""
    for name, value in changes.items():
        old = values.get(name)
        plain = old.unwrap() if old is not None and hasattr(old, "unwrap") else old
        new = value(plain) if callable(value) else value
        if new is None or isinstance(new, list):
            values.pop(name, None)
        if new is not None and new != []:
            values[name] = new


def _edited(text: str, changes: Mapping[str, Any]) -> str:
    """The text of a TOML file with top-level values set."""
    import tomlkit

    document = tomlkit.parse(text)
    _change(document, changes)
    return tomlkit.dumps(document)


def read_toml(path: Path) -> dict[str, Any]:
    """The values of a TOML file; none where it is absent. Raises DamagedError, RefusedError."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DamagedError(f"{path} cannot be read: {error}", hint="mend the file by hand") from error
    except OSError as error:
        raise RefusedError(f"{path} cannot be read: {error.strerror}") from error


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


@contextlib.contextmanager
def _replacing(path: Path, changes: Mapping[str, Any]) -> Iterator[None]:
    """Replace a TOML file once the body has succeeded; what others wrote to it meanwhile stays."""
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}.tmp")
    before = _text(path)
    try:
        _write(temporary, path, _edited(before, changes))
        yield
        with _alone(path):
            now = _text(path)
            if now != before:
                _write(temporary, path, _edited(now, changes))
            with refusing(path):
                temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def _write(temporary: Path, path: Path, text: str) -> None:
    with refusing(path), temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold the file's folder against others who replace a file there; where locks don't work, without."""
    try:
        handle = os.open(path.parent, os.O_RDONLY)
    except OSError:  # Windows opens no folders
        yield
        return
    try:
        with contextlib.suppress(OSError, RefusedError):
            take_lock(handle, path.parent)
        yield
    finally:
        os.close(handle)
