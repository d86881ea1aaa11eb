"""dsvc git install and uninstall as library calls, in real repositories: what is there before is there afterwards."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hooked import World

from dsvc.errors import NotFoundError, RefusedError
from dsvc.git.install import hookfiles
from dsvc.git.install.attributes import LINE
from dsvc.git.install.installing import install, uninstall
from dsvc.git.install.status import Part, status
from dsvc.git.lockfile import format_lock

NAMES = list(hookfiles.NAMES)


def states(world: World, project: Path | None = None, found: Path | None = None) -> dict[str, str]:
    return {part.name: part.state for part in status(project or world.work, found)}


def not_installed(parts: list[Part]) -> dict[str, tuple[str, str | None]]:
    return {part.name: (part.state, part.hint) for part in parts if part.state != "installed"}


def test_installed_and_taken_out_again_nothing_is_left(world: World) -> None:
    world.script(world.hooks / "pre-commit", "#!/bin/sh\necho mine; exit 0", 0o700)
    world.script(world.hooks / "pre-push", "#!/usr/bin/env python3\n")
    world.script(world.hooks / "post-merge", "#!/bin/sh\n", 0o600)
    (world.hooks / "post-rewrite").symlink_to("nowhere")
    with (world.work / ".git" / "config").open("a") as file:
        file.write("; mine\n[alias]\n\tx = !true")
    (world.work / ".gitattributes").write_bytes(b"*.png binary\r\n*.x -text")
    before = world.seen()
    planned = world.install(dry_run=True)
    assert world.seen() == before
    done = world.install()
    assert done == planned
    assert [change.file for change in done] == [
        ".git/config", *(f".git/hooks/{name}" for name in NAMES), "dsvc.lock", ".gitattributes"
    ]  # fmt: skip
    assert (world.work / "dsvc.lock").read_text() == format_lock([])
    assert (world.work / ".gitattributes").read_bytes() == b"*.png binary\r\n*.x -text\r\n" + LINE
    assert not not_installed(status(world.work))
    installed = world.seen()
    assert world.install() == []
    assert world.seen() == installed
    planned = uninstall(world.work, dry_run=True)
    assert world.seen() == installed
    assert uninstall(world.work) == planned
    assert world.seen() == before
    assert uninstall(world.work) == []


def test_a_repository_without_hooks_folder_or_attributes(world: World) -> None:
    shutil.rmtree(world.hooks)
    before = world.seen()
    world.install()
    uninstall(world.work)
    assert world.seen() == before
    assert not world.hooks.exists()


def test_what_was_changed_since_stays(world: World) -> None:
    world.install()
    with (world.work / ".gitattributes").open("a") as file:
        file.write("*.png binary\n")
    world.git("config", "user.name", "Eve")
    world.git("add", "dsvc.lock")
    uninstall(world.work)
    assert (world.work / ".gitattributes").read_text() == "*.png binary\n"
    assert "name = Eve" in (world.work / ".git" / "config").read_text()
    assert "dsvc" not in (world.work / ".git" / "config").read_text()
    assert (world.work / "dsvc.lock").exists()  # it is committed: a part of the project


def test_a_line_that_came_with_the_project_stays(world: World) -> None:
    """Somebody else of the team has installed and committed it."""
    world.install()
    world.git("add", "-A")
    world.commit()
    clone = world.folder / "clone"
    world.git("clone", "-q", world.work, clone)
    before = (clone / ".gitattributes").read_bytes()
    files = [change.file for change in world.install(clone)]
    assert files == [".git/config", *(f".git/hooks/{name}" for name in NAMES)]
    uninstall(clone)
    assert (clone / ".gitattributes").read_bytes() == before
    assert world.git("status", "--porcelain", cwd=clone) == ""


def test_attributes_that_stand_elsewhere_are_enough(world: World) -> None:
    project = world.work / "data"
    project.mkdir()
    (world.work / ".gitattributes").write_bytes(b"*.lock merge=dsvc-lock diff=dsvc-lock\n")
    world.install(project)
    assert not (project / ".gitattributes").exists()
    assert not not_installed(status(project))


def test_attributes_that_are_overridden_are_told(world: World) -> None:
    info = world.work / ".git" / "info" / "attributes"
    info.parent.mkdir(exist_ok=True)
    info.write_text("*.lock -diff\n")
    world.install()
    assert world.install() == []
    hint = (
        "another line says merge=dsvc-lock diff=unset: see git check-attr -a dsvc.lock, .git/info/attributes comes last"
    )
    assert not_installed(status(world.work)) == {".gitattributes": ("overridden", hint)}


def test_an_attributes_file_that_is_a_link_is_refused(world: World) -> None:
    (world.work / "elsewhere").write_text("")
    (world.work / ".gitattributes").symlink_to("elsewhere")
    before = world.seen()
    with pytest.raises(RefusedError, match="is a link, which Git does not follow"):
        world.install()
    assert world.seen() == before


# ---- several projects


def test_projects_of_one_repository_share_the_hooks(world: World) -> None:
    first, second = world.work / "a", world.work / "b c"
    for project in (first, second):
        project.mkdir()
    before = world.seen()
    world.install(first)
    alone = world.seen()
    files = [change.file for change in world.install(second)]
    assert files == [".git/config", "b c/dsvc.lock", "b c/.gitattributes"]
    world.commit()
    assert world.read_diary() == "ours [git] [hook] [pre-commit]\n"
    world.git("reset", "-q", "--hard", "HEAD~1")
    assert [change.file for change in uninstall(second)] == ["b c/.gitattributes", "b c/dsvc.lock", ".git/config"]
    assert world.seen() == alone
    uninstall(first)
    assert world.seen() == before
    world.install(first)
    world.install(second)
    uninstall(world.work, every=True)
    assert world.seen() == before


# ---- core.hooksPath


def test_hooks_in_the_working_tree(world: World) -> None:
    sub = world.work / "sub"
    sub.mkdir()
    world.git("config", "core.hooksPath", ".githooks")
    world.script(world.work / ".githooks" / "pre-commit", "#!/bin/sh\n" + world.theirs())
    before = world.seen()
    world.install(sub)
    assert not (world.hooks / "pre-commit").exists()
    world.commit()
    assert world.read_diary() == "theirs\nours [git] [hook] [pre-commit]\n"
    world.git("config", "core.hooksPath", "elsewhere")
    parts = status(sub)
    assert {part.name: part.state for part in parts if part.kind == "hook"} == dict.fromkeys(NAMES, "overridden")
    assert parts[0].hint == "core.hooksPath is elsewhere, as .git/config says; dsvc git install"
    assert parts[0].where == ".githooks/pre-commit"
    world.install(sub)
    assert sorted(path.name for path in (world.work / ".githooks").iterdir()) == ["pre-commit"]
    assert sorted(path.name for path in (world.work / "elsewhere").iterdir()) == sorted(NAMES)
    world.git("config", "core.hooksPath", ".githooks")
    uninstall(sub)
    world.git("reset", "-q", "--hard", "HEAD~1")
    assert world.seen() == before


def test_hooks_that_other_repositories_run_too(world: World) -> None:
    shared = world.folder / "hooks of all"
    world.script(shared / "pre-commit", "#!/bin/sh\n" + world.theirs())
    world.git("config", "--global", "core.hooksPath", shared)
    before = world.seen()
    with pytest.raises(RefusedError, match="other repositories run the hooks of") as caught:
        world.install()
    assert f"as {world.folder / 'home' / 'config'} says" in caught.value.message
    assert caught.value.hint == (
        "put ours there, which leave repositories without dsvc alone: dsvc git install --shared; or for this "
        f"repository alone: git config core.hooksPath {world.hooks}"
    )
    assert world.seen() == before
    world.install(shared=True)
    assert not not_installed(status(world.work))
    world.commit()
    assert world.read_diary() == "theirs\nours [git] [hook] [pre-commit]\n"
    other = world.folder / "other"
    world.git("init", "-q", other, cwd=world.folder)
    world.git("commit", "-q", "--allow-empty", "-m", "x", cwd=other)
    assert world.read_diary() == "theirs\n"
    uninstall(world.work)
    assert (shared / "pre-push").exists()
    uninstall(world.work, shared=True)
    assert [path.name for path in shared.iterdir()] == ["pre-commit"]
    assert (shared / "pre-commit").read_text() == "#!/bin/sh\n" + world.theirs()


def test_hooks_that_are_switched_off(world: World) -> None:
    world.git("config", "core.hooksPath", "/dev/null")
    with pytest.raises(RefusedError, match=r"Git runs no hooks: core\.hooksPath is /dev/null, as \.git/config says"):
        world.install(shared=True)


# ---- kinds of repositories


def test_a_linked_working_tree_has_the_hooks_of_the_main_one(world: World) -> None:
    world.commit()
    linked = world.folder / "linked"
    world.git("worktree", "add", "-q", linked)
    before = world.seen()
    world.install(linked)
    assert (world.hooks / "pre-commit").exists()
    assert (linked / "dsvc.lock").exists()
    assert not not_installed(status(linked))
    assert not_installed(status(world.work)) == {
        ".gitattributes": ("missing", "dsvc git install"), "dsvc.lock": ("missing", "dsvc git install")
    }  # fmt: skip
    uninstall(linked)
    assert world.seen() == before


def test_a_configuration_of_its_own_for_each_working_tree(world: World) -> None:
    world.commit()
    world.git("config", "extensions.worktreeConfig", "true")
    linked = world.folder / "linked"
    world.git("worktree", "add", "-q", linked)
    world.git("config", "--worktree", "core.hooksPath", "own", cwd=linked)
    with (world.work / ".git" / "config").open("a") as file:
        file.write("[include]\n\tpath = more\n")
    (world.work / ".git" / "more").write_text("[core]\n\teditor = vi\n")
    world.install(linked)
    assert (linked / "own" / "pre-commit").exists()
    assert not (world.hooks / "pre-commit").exists()
    assert world.git("config", "core.editor") == "vi\n"
    assert states(world, linked)["pre-commit"] == "installed"
    assert states(world)["pre-commit"] == "missing"


def test_a_bare_repository_and_the_inside_of_one(world: World) -> None:
    bare = world.folder / "bare"
    world.git("init", "-q", "--bare", bare, cwd=world.folder)
    with pytest.raises(RefusedError, match="is a bare repository: there is no working tree for data to lie beside"):
        install(bare, None)
    with pytest.raises(RefusedError, match="is the inside of a Git repository"):
        install(world.work / ".git", None)


def test_no_git_repository_and_no_git(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotFoundError, match=r"no Git repository in .* or above") as caught:
        install(world.folder, None)
    assert caught.value.hint == "make one with: git init; or go on without Git"
    (world.work / ".git" / "config").write_text("[core\n")
    with pytest.raises(RefusedError, match=r"Git does not take the repository of .*: bad config line 1"):
        install(world.work, None)
    monkeypatch.setenv("PATH", str(world.folder))
    with pytest.raises(RefusedError, match="the program git is not found"):
        install(world.work, None)


# ---- what goes wrong


def test_a_hook_that_is_refused_leaves_everything_as_it_was(world: World) -> None:
    (world.hooks / "pre-push").mkdir()
    before = world.seen()
    with pytest.raises(RefusedError, match="pre-push is a folder"):
        world.install()
    assert world.seen() == before


@pytest.mark.skipif(os.geteuid() == 0 and not shutil.which("setpriv"), reason="everything can be written by root")
def test_a_hooks_folder_that_cannot_be_written(world: World) -> None:
    world.hooks.chmod(0o555)
    before = world.seen()
    done = _as_somebody(world, "install(Path(sys.argv[1]), None)")
    assert f"RefusedError: {world.hooks} cannot be written" in done.stderr.decode()
    assert world.seen() == before
    world.hooks.chmod(0o755)


def _as_somebody(world: World, code: str) -> subprocess.CompletedProcess[bytes]:
    """Run some lines of Python as a user who is not root."""
    lines = f"import sys\nfrom pathlib import Path\nfrom dsvc.git.install.installing import install\n{code}\n"
    drop = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []
    if drop:
        for path in [world.folder, *world.folder.parents]:
            if path.owner() == "root" and path != Path("/"):
                path.chmod(path.stat().st_mode | 0o055)
        subprocess.run(["chown", "-R", "65534", world.work], check=True)
    environment = world.environment | {
        "PYTHONPATH": os.pathsep.join(sys.path),
        "HOME": str(world.folder),
        "PATH": os.defpath,
    }
    return subprocess.run(
        [*drop, sys.executable, "-c", lines, world.work], env=environment, capture_output=True, check=False
    )


@pytest.mark.parametrize("act", ["install", "uninstall"])
def test_killed_at_any_step_the_next_run_finishes(world: World, act: str) -> None:
    """The process is killed before its n-th change of a file; then it is run again, and after that undone."""
    world.script(world.hooks / "pre-commit", "#!/bin/sh\ntrue\n")
    world.script(world.hooks / "pre-push", "#!/usr/bin/env python3\n# argv[0]\n")
    (world.work / ".gitattributes").write_bytes(b"*.x -text")
    before = world.seen()
    world.install()
    installed = world.seen()
    for number in range(1, 200):
        if act == "install":
            uninstall(world.work)
        else:
            world.install()
        killed = _killed(world, act, number)
        if act == "install":
            world.install()
            assert _but_leftovers(world.seen()) == _but_leftovers(installed), number
            uninstall(world.work)
        else:
            uninstall(world.work)
        assert _but_leftovers(world.seen()) == _but_leftovers(before), number
        if not killed:
            assert number > 12
            return
    raise AssertionError("it never came to its end")


def _but_leftovers(seen: dict[str, tuple[int, bytes]]) -> dict[str, tuple[int, bytes]]:
    """Without temporary files, which a killed process may leave."""
    return {name: what for name, what in seen.items() if not name.endswith((".tmp", ".dsvc-new"))}


def _killed(world: World, act: str, number: int) -> bool:
    """Run install or uninstall in a process that is killed at its n-th change; whether it came to that."""
    child = os.fork()
    if child == 0:
        count = iter(range(number))

        def hook(event: str, _: object) -> None:
            changes = event in ("os.link", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "os.symlink")
            if changes and next(count, None) is None:
                os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        try:
            install(world.work, world.dsvc) if act == "install" else uninstall(world.work)
        finally:
            os._exit(0)
    return os.waitpid(child, 0)[1] != 0


def test_several_installs_at_once(world: World) -> None:
    world.script(world.hooks / "pre-push", "#!/usr/bin/env python3\n")
    before = world.seen()
    world.install()
    installed = world.seen()
    uninstall(world.work)
    lines = (
        "import sys\nfrom pathlib import Path\nfrom dsvc.git.install.installing import install\n"
        "install(Path(sys.argv[1]), Path(sys.argv[2]))\n"
    )
    environment = world.environment | {"PYTHONPATH": os.pathsep.join(sys.path)}
    runs = [subprocess.Popen([sys.executable, "-c", lines, world.work, world.dsvc], env=environment) for _ in range(6)]
    assert [run.wait() for run in runs] == [0] * 6
    assert world.seen() == installed
    uninstall(world.work)
    assert world.seen() == before


# ---- status


def test_what_status_sees(world: World) -> None:
    assert set(states(world).values()) == {"missing"}
    world.install()
    (world.hooks / "pre-push").chmod(0o644)
    (world.hooks / "post-merge").unlink()
    (world.hooks / "pre-commit").write_text((world.hooks / "pre-commit").read_text().replace("dsvc_wanted", "old"))
    world.git("config", "merge.dsvc-lock.driver", "dsvc-0.1 %O %A %B")
    world.git("config", "--global", "diff.dsvc-lock.command", "global")
    world.git("config", "--unset", "diff.dsvc-lock.command")
    world.dsvc.unlink()
    hint = "dsvc git install"
    assert not_installed(status(world.work, Path("/bin/dsvc"))) == {
        "pre-push": ("disabled", f"Git runs no hook that is not executable; {hint}"),
        "post-merge": ("missing", hint),
        "pre-commit": ("outdated", hint),
        "merge.dsvc-lock.driver": ("outdated", hint),
        "diff.dsvc-lock.command": ("overridden", f"take it out of {world.folder / 'home' / 'config'}"),
        "dsvc": ("outdated", f"it is gone: hooks call /bin/dsvc; {hint}"),
    }
    assert states(world)["dsvc"] == "missing"
    world.script(world.dsvc, "#!/bin/sh\n")
    world.install()
    assert not not_installed(status(world.work))


def test_a_project_that_the_hooks_do_not_look_at(world: World) -> None:
    other = world.work / "other"
    other.mkdir()
    world.install()
    assert {states(world, other)[name] for name in NAMES} == {"outdated"}
