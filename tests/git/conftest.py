"""A Git repository around a project, made and moved by the real `git`."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Git = Callable[..., str]
SETTINGS = {
    "user.name": "Ada",
    "user.email": "ada@example.org",
    "init.defaultBranch": "main",
    "core.abbrev": "7",
    "advice.detachedHead": "false",
    "advice.skippedCherryPicks": "false",
    "protocol.file.allow": "always",
    "commit.gpgSign": "false",
    "pull.rebase": "false",
}


@pytest.fixture(autouse=True)
def git_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings of the person who runs the tests, for dsvc and for Git."""
    for name in [*os.environ]:
        if name.startswith(("GIT_", "DSVC_")) or name == "XDG_CONFIG_HOME":
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir(exist_ok=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(home / "gitconfig"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for name, value in SETTINGS.items():
        subprocess.run(["git", "config", "--global", name, value], check=True)


@pytest.fixture
def git() -> Git:
    """Run `git`; what it prints. It must succeed."""

    def git(folder: Path, *arguments: str, code: int = 0) -> str:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    return git
