"""Where Git keeps its hooks and its configuration for a project: Git itself is asked, and it is asked only."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from dsvc.errors import NotFoundError, RefusedError

_INSTALL_GIT = "install Git, and see that this shell finds it: git --version"


@dataclass(frozen=True)
class Place:
    """A working tree of Git, and what it shares with its other working trees."""

    root: Path  # the working tree's folder
    common: Path  # what all working trees share: `.git`
    hooks: Path  # where Git looks for hooks
    hooks_path: str | None  # what core.hooksPath says, where that is where it looks
    hooks_origin: str | None  # the file that says it

    @property
    def config(self) -> Path:
        """The configuration that all working trees share."""
        return self.common / "config"

    @property
    def usual_hooks(self) -> Path:
        """Where hooks lie unless core.hooksPath says otherwise."""
        return self.common / "hooks"

    @property
    def is_shared(self) -> bool:
        """Whether the hooks lie outside of this repository, where other repositories run them too."""
        own = [self.root, self.common] + ([self.common.parent] if self.common.name == ".git" else [])
        hooks = self.hooks.resolve()
        return not any(hooks.is_relative_to(folder.resolve()) for folder in own)

    @property
    def is_in_tree(self) -> bool:
        """Whether the hooks lie in the working tree, and are a part of what is committed."""
        hooks = self.hooks.resolve()
        if not hooks.is_relative_to(self.root.resolve()) or hooks.is_relative_to(self.common.resolve()):
            return False
        return self.ask("check-ignore", "--quiet", "--", str(self.hooks / "pre-commit")) is None

    def inside(self, project: Path) -> str:
        """A folder's path from the working tree's folder, `.` for that itself. Raises RefusedError where outside."""
        try:
            return project.resolve().relative_to(self.root.resolve()).as_posix()
        except ValueError:
            raise RefusedError(f"{project} lies outside of the working tree {self.root}") from None

    def named(self, path: Path) -> str:
        """A path for people: from the working tree's folder where it lies there."""
        return str(path.relative_to(self.root)) if path.is_relative_to(self.root) else str(path)

    def ask(self, *arguments: str) -> bytes | None:
        """What Git answers in the working tree; None where it says no."""
        return ask(self.root, *arguments)

    def is_tracked(self, path: Path) -> bool:
        """Whether Git's index holds a file."""
        return bool(self.ask("--literal-pathspecs", "ls-files", "-z", "--", str(path)))


def find_place(folder: Path) -> Place:
    """The working tree that a folder lies in. Raises NotFoundError, RefusedError."""
    bare = _run(folder, "rev-parse", "--is-bare-repository")
    if bare.returncode != 0:
        raise _no_repository(folder, os.fsdecode(bare.stderr))
    top = ask(folder, "rev-parse", "--show-toplevel")
    if not top:
        kind = "a bare repository" if bare.stdout.strip() == b"true" else "the inside of a Git repository"
        raise RefusedError(
            f"{folder.absolute()} is {kind}: there is no working tree for data to lie beside",
            "run it in a clone that has a working tree",
        )
    root = Path(os.fsdecode(top))
    common = root / os.fsdecode(ask(root, "rev-parse", "--git-common-dir") or b".git")
    hooks = root / os.fsdecode(ask(root, "rev-parse", "--git-path", "hooks") or b".git/hooks")
    said = (ask(root, "config", "--show-origin", "-z", "--get", "core.hooksPath") or b"").split(b"\0")
    origin, value = (
        (os.fsdecode(said[0]).removeprefix("file:"), os.fsdecode(said[1])) if len(said) > 1 else (None, None)
    )
    return Place(root, Path(os.path.normpath(common)), Path(os.path.normpath(hooks)), value, origin)


def ask(folder: Path, *arguments: str) -> bytes | None:
    """What Git answers in a folder, without the last line's end; None where it says no. Raises RefusedError."""
    done = _run(folder, *arguments)
    return done.stdout.removesuffix(b"\n") if done.returncode == 0 else None


def _run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            ["git", "-C", str(folder), *arguments], stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
    except FileNotFoundError:
        raise RefusedError("the program git is not found", _INSTALL_GIT) from None
    except OSError as error:
        raise RefusedError(f"the program git cannot be run: {error.strerror}", _INSTALL_GIT) from error


def _no_repository(folder: Path, words: str) -> NotFoundError | RefusedError:
    folder = folder.absolute()
    if any((place / ".git").exists() for place in (folder, *folder.parents)):
        said = (words.strip().splitlines() or ["no reason given"])[0].removeprefix("fatal: ")
        return RefusedError(f"Git does not take the repository of {folder}: {said}", "see: git status")
    return NotFoundError(f"no Git repository in {folder} or above", "make one with: git init; or go on without Git")
