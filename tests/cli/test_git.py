"""dsvc git install, uninstall and status, as they are typed."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

NAMES = ("pre-commit", "post-checkout", "post-commit", "post-merge", "post-rewrite", "pre-push")


@pytest.fixture
def repository(dsvc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project in a Git repository, and a dsvc at a known place."""
    folder = tmp_path / "project"
    git("init", "-q", folder)
    monkeypatch.chdir(folder)
    dsvc("init")
    program = tmp_path / "bin" / "dsvc"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "argv", [str(program), "git"])
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    return folder


def git(*arguments: object) -> None:
    subprocess.run(["git", *map(str, arguments)], check=True, capture_output=True)


INSTALLED = (
    ".git/config: what hooks and drivers need\n"
    + "".join(f".git/hooks/{name}: written\n" for name in NAMES)
    + "dsvc.lock: written\n"
    ".gitattributes: dsvc.lock merge=dsvc-lock diff=dsvc-lock\n"
)
UNINSTALLED = (
    "".join(f".git/hooks/{name}: taken away\n" for name in NAMES)
    + ".gitattributes: taken away\n"
    "dsvc.lock: taken away\n"
    ".git/config: what install put there is taken out\n"
)  # fmt: skip


def would(text: str) -> str:
    return "".join(f"would change {line}\n" for line in text.splitlines())


def test_install_status_and_uninstall(dsvc, repository: Path) -> None:
    assert dsvc("git", "install", "--dry-run").out == would(INSTALLED)
    assert dsvc("git", "install").out == INSTALLED + "next: git add dsvc.lock .gitattributes\n"
    assert dsvc("git", "install").out == "everything is installed: nothing changed\n"
    status = dsvc("git", "status").out
    assert status == (
        "hook pre-commit                 installed  .git/hooks/pre-commit\n"
        "hook post-checkout              installed  .git/hooks/post-checkout\n"
        "hook post-commit                installed  .git/hooks/post-commit\n"
        "hook post-merge                 installed  .git/hooks/post-merge\n"
        "hook post-rewrite               installed  .git/hooks/post-rewrite\n"
        "hook pre-push                   installed  .git/hooks/pre-push\n"
        "driver merge.dsvc-lock.driver   installed  .git/config\n"
        "driver diff.dsvc-lock.command   installed  .git/config\n"
        "driver diff.dsvc-lock.textconv  installed  .git/config\n"
        "attributes .gitattributes       installed  .gitattributes\n"
        "lock dsvc.lock                  installed  dsvc.lock\n"
        f"command dsvc                    installed  {repository.parent}/bin/dsvc\n"
    )
    assert dsvc("git", "uninstall", "--dry-run").out == would(UNINSTALLED)
    assert dsvc("git", "uninstall").out == UNINSTALLED
    assert dsvc("git", "uninstall").out == "nothing is installed: nothing changed\n"
    assert sorted(path.name for path in repository.iterdir()) == [".dsvc", ".git"]


def test_from_a_folder_of_the_project(dsvc, repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (repository / "sub").mkdir()
    monkeypatch.chdir(repository / "sub")
    dsvc("git", "install")
    assert (repository / "dsvc.lock").exists()
    dsvc("git", "status")
    shutil.rmtree(repository / ".dsvc")
    dsvc("git", "uninstall")
    assert not (repository / "dsvc.lock").exists()


def test_json(dsvc, repository: Path) -> None:
    changed = [{"file": line.partition(": ")[0], "done": line.partition(": ")[2]} for line in INSTALLED.splitlines()]
    planned = json.loads(dsvc("git", "install", "--dry-run", "--json").out)
    assert planned == {"changed": changed, "installed": False}
    assert json.loads(dsvc("git", "install", "--json").out) == {"changed": changed, "installed": True}
    (repository / ".git" / "hooks" / "pre-push").unlink()
    status = json.loads(dsvc("git", "status", "--json", code=1).out)
    assert not status["installed"]
    assert status["parts"][5] == {
        "kind": "hook", "name": "pre-push", "state": "missing", "where": ".git/hooks/pre-push",
        "hint": "dsvc git install",
    }  # fmt: skip
    gone = json.loads(dsvc("git", "uninstall", "--json").out)
    assert gone["uninstalled"]
    assert gone["changed"][-1] == {"file": ".git/config", "done": "what install put there is taken out"}


def test_what_stands_in_the_way_is_told(dsvc, repository: Path) -> None:
    git("config", "core.hooksPath", ".githooks")
    result = dsvc("git", "install")
    assert "note: .githooks lies in the working tree: commit what changed there\n" in result.out
    dsvc("git", "uninstall")
    (repository / ".githooks").mkdir()
    (repository / ".githooks" / ".gitignore").write_text("*\n")
    assert "note:" not in dsvc("git", "install").out
    git("config", "core.hooksPath", "")
    git("config", "core.hooksPath", "/dev/null")
    assert "overridden  .githooks/pre-push\n" in (told := dsvc("git", "status", code=1).out)
    assert told.endswith("next: core.hooksPath is /dev/null, as .git/config says; dsvc git install\n")
    assert dsvc("git", "install", code=3).err == (
        "error: Git runs no hooks: core.hooksPath is /dev/null, as .git/config says, and that is no folder\n"
        f"hint: to have hooks for this repository alone: git config core.hooksPath {repository}/.git/hooks\n"
    )


def test_without_a_project_or_git(dsvc, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    dsvc("git", "install", code=4)
    for command in ("status", "uninstall"):
        assert dsvc("git", command, code=4).err == (
            f"error: no Git repository in {tmp_path} or above\nhint: make one with: git init; or go on without Git\n"
        )
    dsvc("init", "alone")
    monkeypatch.chdir(tmp_path / "alone")
    assert "no Git repository in" in dsvc("git", "install", code=4).err
    monkeypatch.setenv("PATH", str(tmp_path))
    assert dsvc("git", "install", code=3).err == (
        "error: the program git is not found\n"
        "hint: install Git, and see that this shell finds it: git --version\n"
    )  # fmt: skip


def test_unknown_commands_and_hidden_ones(dsvc) -> None:
    assert dsvc("git", "instal", code=2).err.startswith("error: no such command 'instal'")
    text = dsvc("git", "--help").out
    assert [line.split()[0] for line in text.partition("Commands:\n")[2].splitlines()] == [
        "install", "status", "uninstall"
    ]  # fmt: skip


def test_as_a_command_of_git(repository: Path) -> None:
    """Git finds git-dsvc on the path."""
    program = Path(sys.executable).with_name("git-dsvc")
    if not program.exists():
        program = repository.parent / "bin" / "git-dsvc"
        program.write_text(f"#!/bin/sh\nexec '{sys.executable}' -m dsvc.cli.main \"$@\"\n")
        program.chmod(0o755)
    path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(["git", "dsvc", "git", "status"], env=environment, capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    assert done.stdout.endswith("next: dsvc git install\n")
