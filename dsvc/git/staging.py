"""A lock in Git's index: the sides of a conflict, and marking it as settled."""

from __future__ import annotations

from pathlib import Path

from dsvc.git.working import GitRepository


def stages_of(path: Path) -> dict[int, bytes]:
    """The sides of a file that Git has in conflict: the base (1), ours (2), theirs (3), as far as there are any."""
    git = GitRepository.find(path.parent)
    if git is None:
        return {}
    with git:
        found = git.stages(git.inside(path))
    return {stage: data for stage, data in found.items() if stage}


def stage(path: Path) -> bool:
    """Stage a file as it is in the working tree; whether a Git repository is there. Raises RefusedError."""
    git = GitRepository.find(path.parent)
    if git is None:
        return False
    with git:
        git.stage(git.inside(path))
    return True
