"""Who Git thinks its user is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path


def git_user(project: Path, user_files: Iterable[Path]) -> tuple[str, str] | None:
    """The name and e-mail of Git's user, or None: the project's Git repository speaks first, then `user_files`.

    A file that is absent or cannot be read has nothing to say.
    """
    name, email = None, None
    for file in (*_repository_files(project), *user_files):
        found_name, found_email = _read(file)
        name, email = name or found_name, email or found_email
        if name and email:
            break
    return (name, email or "") if name else None


def _read(file: Path) -> tuple[str | None, str | None]:
    from dulwich.config import ConfigFile  # the only module of dulwich that this costs

    try:
        config = ConfigFile.from_path(str(file))
    except (OSError, ValueError):
        return None, None
    return _value(config, b"name"), _value(config, b"email")


def _value(config: object, name: bytes) -> str | None:
    try:
        value: bytes = config.get((b"user",), name)  # type: ignore[attr-defined]
    except KeyError:
        return None
    return value.decode("utf-8", "replace").strip() or None


def _repository_files(project: Path) -> Iterator[Path]:
    """The configuration of the Git repository that a folder lies in: its own, also when it is a worktree."""
    for folder in (project, *project.parents):
        git = folder / ".git"
        if git.is_dir():
            yield git / "config"
            return
        if git.is_file():
            yield from _linked_files(git)
            return


def _linked_files(link: Path) -> Iterator[Path]:
    """The configuration behind a `.git` file, which says `gitdir: PATH`."""
    target = _first_line(link).removeprefix("gitdir:").strip()
    if not target:
        return
    git = link.parent / target
    yield git / "config.worktree"
    common = _first_line(git / "commondir")
    yield (git / common / "config") if common else git / "config"


def _first_line(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="surrogateescape").partition("\n")[0].strip()
    except OSError:
        return ""
