"""The other working trees of a Git repository: what one of them has, the others need not fetch from afar."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from dsvc.core.repository import FOLDER

if TYPE_CHECKING:
    from dsvc.git.working import GitRepository


def sibling_projects(git: GitRepository, project: Path) -> list[Path]:
    """The same project in the other working trees, where its data is there."""
    try:
        inside = project.absolute().relative_to(git.root)
    except ValueError:
        return []
    trees = (tree for tree in _trees(git.common) if not _is_same(tree, git.root))
    return [tree / inside for tree in trees if (tree / inside / FOLDER / "head").is_file()]


def main_project(git: GitRepository, project: Path) -> Path | None:
    """The same project in the main working tree, where its data is there."""
    if git.common.name != ".git":
        return None
    return next((found for found in sibling_projects(git, project) if found.is_relative_to(git.common.parent)), None)


def _trees(common: Path) -> Iterator[Path]:
    """The main working tree, then the linked ones."""
    if common.name == ".git":
        yield common.parent
    for link in sorted((common / "worktrees").glob("*/gitdir")):
        try:
            yield Path(link.read_text(encoding="utf-8", errors="surrogateescape").strip()).parent
        except OSError:
            continue


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False
