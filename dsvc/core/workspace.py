"""The workspace: one working copy's id, its current dataset and branch, and its settings."""

from __future__ import annotations

import contextlib
import os
import secrets
import tomllib
from collections.abc import Iterator, Mapping, MutableMapping
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
        # A dataset to take as the current one for as long as this object lives; it is not saved.
        self.selected: str | None = None

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

    def branch(self, dataset: str) -> str:
        """The current branch of a dataset here."""
        branches = self._values.get("branches")
        name = branches.get(dataset) if isinstance(branches, dict) else None
        return name if isinstance(name, str) else "main"

    def setting(self, section: str, name: str) -> Any:
        """A setting of this workspace, else of the team's `dsvc.toml`, else None."""
        for values in (self._values, self._team):
            table = values.get(section)
            if isinstance(table, dict) and name in table:
                return table[name]
        return None

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
