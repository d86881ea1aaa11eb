"""The hooks, run by the real git: what they call, in which order, and with what standard input."""

import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from hooked import World

from dsvc.git.install.hookfiles import NAMES, State, shim, state
from dsvc.git.install.installing import uninstall

ZERO = "0" * 40
SHELLS = [shell for name in ("sh", "bash", "dash", "ash", "zsh", "ksh", "mksh") if (shell := shutil.which(name))]


@pytest.fixture
def remote(world: World) -> Path:
    world.git("init", "-q", "--bare", str(world.folder / "remote"), cwd=world.folder)
    world.git("remote", "add", "origin", str(world.folder / "remote"))
    return world.folder / "remote"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_reads_them(world: World, name: str, shell: str) -> None:
    file = world.script(world.folder / name, shim(name))
    assert subprocess.run([shell, "-n", file], capture_output=True, check=True).stderr == b""


def test_they_call_dsvc_with_their_arguments(world: World, remote: Path) -> None:
    world.install()
    world.commit("one")
    one = world.head()
    assert world.read_diary() == "ours [git] [hook] [pre-commit]\n"
    world.git("checkout", "-q", "-b", "side")
    assert world.read_diary() == f"ours [git] [hook] [post-checkout] [{one}] [{one}] [1]\n"
    world.commit("two")
    two = world.head()
    world.read_diary()
    world.git("checkout", "-q", "main")
    world.git("merge", "-q", "side")
    assert world.read_diary().splitlines()[1:] == ["ours [git] [hook] [post-merge] [0]"]
    world.git("commit", "-q", "--amend", "-m", "three")
    three = world.head()
    expected = f"ours [git] [hook] [pre-commit]\nours [git] [hook] [post-rewrite] [amend]\n  {two} {three}\n"
    assert world.read_diary() == expected
    world.git("push", "-q", "origin", "main")
    line = f"  refs/heads/main {three} refs/heads/main {ZERO}\n"
    assert world.read_diary() == f"ours [git] [hook] [pre-push] [origin] [{remote}]\n{line}"


def test_after_a_commit_only_where_it_changes_the_lock(world: World) -> None:
    world.install()
    after = "ours [git] [hook] [post-commit]\n"
    world.git("add", "dsvc.lock")
    world.commit("with the lock")
    assert world.read_diary() == "ours [git] [hook] [pre-commit]\n" + after
    world.commit("without")
    assert world.read_diary() == "ours [git] [hook] [pre-commit]\n"
    world.git("checkout", "-q", "-b", "side")
    (world.work / "dsvc.lock").write_text("# changed\n")
    world.git("commit", "-q", "-a", "-m", "changed")
    world.git("checkout", "-q", "main")
    world.read_diary()
    world.git("cherry-pick", "side")
    assert after in world.read_diary()
    world.git("commit", "-q", "--allow-empty", "-m", "empty", DSVC_HOOKS="0")
    assert world.read_diary() == ""


def test_without_a_lock_they_do_nothing(world: World, remote: Path) -> None:
    world.install()
    (world.work / "dsvc.lock").unlink()
    world.commit("one")
    world.git("checkout", "-q", "-b", "side")
    world.commit("two", "--amend")
    world.git("push", "-q", "origin", "side")
    assert world.read_diary() == ""


def test_a_push_of_a_lock_that_is_not_checked_out(world: World, remote: Path) -> None:
    world.install()
    world.git("add", "dsvc.lock")
    world.commit("with a lock")
    world.git("checkout", "-q", "--orphan", "other")
    world.git("rm", "-q", "-f", "dsvc.lock")
    world.commit("without")
    world.read_diary()
    world.git("push", "-q", "origin", "other")
    assert world.read_diary() == ""
    world.answer(3)
    world.git("push", "-q", "origin", "main", code=1)
    assert world.read_diary().startswith("ours [git] [hook] [pre-push] [origin]")
    world.answer(0)
    world.git("push", "-q", "origin", "main", "HEAD~0:refs/heads/a", ":refs/heads/gone")
    assert world.read_diary().count("\n") == 4
    world.git("push", "-q", "origin", "main:again")  # the remote has it
    assert world.read_diary() == ""


def test_a_push_of_nothing_calls_only_theirs(world: World, remote: Path) -> None:
    world.script(world.hooks / "pre-push", "#!/bin/sh\n" + world.theirs())
    world.install()
    world.commit()
    world.git("push", "-q", "origin", "main")
    assert world.read_diary().count("ours") == 2
    world.git("push", "-q", "origin", "main")
    assert world.read_diary() == f"theirs [origin] [{remote}]\n"


def test_a_pre_commit_that_fails_stops_the_commit(world: World) -> None:
    world.install()
    world.answer(3)
    before = world.head()
    world.commit(code=1)
    assert world.head() == before
    world.git("commit", "-q", "-m", "x", DSVC_HOOKS="0")


@pytest.mark.parametrize("hook", ["post-checkout", "pre-commit"])
def test_switched_off_only_theirs_run(world: World, hook: str) -> None:
    world.script(world.hooks / "pre-commit", "#!/bin/sh\n" + world.theirs())
    world.script(world.hooks / "post-checkout", "#!/usr/bin/env python3\n" + _python(world))
    world.install()
    world.commit(DSVC_HOOKS="0")
    assert world.read_diary() == "theirs\n"
    world.git("checkout", "-q", "-b", "side", DSVC_HOOKS="0")
    assert world.read_diary() == f"python {[world.head(), world.head(), '1']} ''\n"


# ---- two kinds of hooks that were there before


def _python(world: World, code: int = 0) -> str:
    return (
        f"import sys\nwith open({str(world.diary)!r}, 'a') as file:\n"
        f"    print('python', sys.argv[1:], repr(sys.stdin.read()), file=file)\nsys.exit({code})\n"
    )


def _failing(world: World, kind: str) -> str:
    if kind == "shell":
        return "#!/bin/sh\n" + world.theirs(code=7)
    return "#!/usr/bin/env python3\n" + _python(world, 7)


SHELL_ENDS = ["", "exit 0\n", "exec true\n", "exec cat >/dev/null\n", "set -e\ntrue\n", "trap 'exit 0' EXIT\n"]


@pytest.mark.parametrize("end", SHELL_ENDS)
@pytest.mark.parametrize("line", ["#!/bin/sh -eu", "#!/usr/bin/env bash", *(f"#! {shell}" for shell in SHELLS)])
def test_a_script_runs_first_and_both_get_the_standard_input(world: World, remote: Path, line: str, end: str) -> None:
    for name in ("pre-commit", "pre-push", "post-rewrite"):
        world.script(world.hooks / name, f"{line}\n{world.theirs()}{end}")
    world.install()
    world.commit()
    assert world.read_diary() == "theirs\nours [git] [hook] [pre-commit]\n"
    old = world.head()
    world.commit("y", "--amend")
    new = world.head()
    pair = f"  {old} {new}\n"
    expected = f"theirs [amend]\n{pair}ours [git] [hook] [post-rewrite] [amend]\n{pair}"
    assert world.read_diary().partition("[pre-commit]\n")[2] == expected
    world.git("push", "-q", "origin", "main", "main:refs/heads/b")
    lines = "".join(f"  refs/heads/main {new} refs/heads/{name} {ZERO}\n" for name in ("main", "b"))
    arguments = f"[origin] [{remote}]\n{lines}"
    assert world.read_diary() == f"theirs {arguments}ours [git] [hook] [pre-push] {arguments}"


@pytest.mark.parametrize("kind", ["shell", "python"])
def test_theirs_that_fails_stops_the_commit_and_the_push(world: World, remote: Path, kind: str) -> None:
    for name in ("pre-commit", "pre-push"):
        world.script(world.hooks / name, _failing(world, kind))
    world.install()
    world.commit(code=1)
    assert "ours" not in world.read_diary()
    world.git("commit", "-q", "--no-verify", "-m", "x")
    world.git("push", "-q", "origin", "main", code=1)
    assert "ours" not in world.read_diary()
    assert "main" not in world.git("ls-remote", "origin")


@pytest.mark.parametrize("kind", ["shell", "python"])
def test_theirs_that_fails_after_the_work_leaves_no_data_behind(world: World, kind: str) -> None:
    world.script(world.hooks / "post-checkout", _failing(world, kind))
    world.install()
    world.commit()
    world.read_diary()
    world.git("checkout", "-q", "-b", "side", code=1)
    assert [line.split()[0] for line in world.read_diary().splitlines()] == [
        "theirs" if kind == "shell" else "python",
        "ours",
    ]


def test_a_program_of_another_kind_runs_first(world: World, remote: Path) -> None:
    for name in ("pre-commit", "pre-push"):
        world.script(world.hooks / name, "#!/usr/bin/env python3\n" + _python(world))
    world.install()
    world.commit()
    assert world.read_diary() == "python [] ''\nours [git] [hook] [pre-commit]\n"
    world.git("push", "-q", "origin", "main")
    line = f"refs/heads/main {world.head()} refs/heads/main {ZERO}\n"
    python = f"python {['origin', str(remote)]} {line!r}\n"
    assert world.read_diary() == f"{python}ours [git] [hook] [pre-push] [origin] [{remote}]\n  {line}"


def test_a_link_to_a_script_of_the_project_runs_first_and_is_left_alone(world: World) -> None:
    target = world.script(world.work / "tools" / "check.sh", "#!/bin/sh\n" + world.theirs())
    before = target.read_bytes()
    (world.hooks / "pre-commit").symlink_to("../../tools/check.sh")
    world.install()
    world.commit()
    assert world.read_diary() == "theirs\nours [git] [hook] [pre-commit]\n"
    assert target.read_bytes() == before


@pytest.mark.parametrize("linked", [False, True])
def test_a_program_that_goes_by_its_name_has_it(world: World, linked: bool) -> None:
    """One program serves all hooks, and looks at what it is called as; it imports what lies beside it."""
    python = "#!/usr/bin/env python3\nimport sys, common\n" + _python(world).replace(
        "sys.argv[1:]", "sys.argv[0][-11:]"
    )
    for name in ("pre-commit", "post-checkout"):
        if linked:
            world.script(world.hooks / "all", python)
            (world.hooks / name).symlink_to("all")
        else:
            world.script(world.hooks / name, python)
    (world.hooks / "common.py").write_text("")
    before = world.seen()
    world.install()
    world.commit()
    assert world.read_diary() == "python /pre-commit ''\nours [git] [hook] [pre-commit]\n"
    world.git("checkout", "-q", "-b", "side")
    assert world.read_diary().startswith("python st-checkout ''\nours")
    uninstall(world.work)
    after = {name: seen for name, seen in world.seen().items() if name in before}
    assert {name: seen for name, seen in after.items() if "/hooks/" in name} == {
        name: seen for name, seen in before.items() if "/hooks/" in name
    }
    assert not (world.hooks / "before-dsvc").exists()


def test_a_hook_that_is_not_executable_is_not_run(world: World) -> None:
    world.script(world.hooks / "pre-commit", "#!/bin/sh\n" + world.theirs(code=1), 0o644)
    world.install()
    world.commit()
    assert world.read_diary() == "ours [git] [hook] [pre-commit]\n"


def test_a_script_that_calls_itself_again(world: World) -> None:
    """As husky does, to have its own options for the shell."""
    again = 'if [ -z "$again" ]; then again=1; export again; sh -e "$0" "$@"; exit $?; fi\n'
    world.script(world.hooks / "pre-commit", "#!/bin/sh\n" + again + world.theirs())
    world.install()
    world.commit()
    assert world.read_diary() == "theirs\nours [git] [hook] [pre-commit]\n"


def test_a_script_that_commits_in_another_repository(world: World) -> None:
    other = world.folder / "other"
    world.git("init", "-q", str(other), cwd=world.folder)
    world.git("commit", "-q", "--allow-empty", "-m", "root", cwd=other)
    world.install(other)
    unset = "unset GIT_DIR GIT_INDEX_FILE GIT_PREFIX\n"
    world.script(world.hooks / "pre-commit", f"#!/bin/sh\n{unset}cd '{other}' && git commit -q --allow-empty -m x\n")
    world.install()
    world.commit()
    assert world.read_diary() == "ours [git] [hook] [pre-commit]\n" * 2


def test_lines_that_another_program_adds_at_the_end_run(world: World) -> None:
    world.install()
    with (world.hooks / "pre-commit").open("a") as file:
        file.write(world.theirs())
    world.commit()
    assert world.read_diary() == "theirs\nours [git] [hook] [pre-commit]\n"


PRE_COMMIT = """#!/usr/bin/env bash
# File generated by pre-commit: https://pre-commit.com
# ID: 138fd403232d2ddd5efb44317e38bf03
here="$(cd "$(dirname "$0")" && pwd)"
if [ -n "${PRE_COMMIT_RUNNING_LEGACY-}" ]; then echo "bug: installed in migration mode"; exit 1; fi
if [ -x "$here/pre-commit.legacy" ]; then PRE_COMMIT_RUNNING_LEGACY=1 "$here/pre-commit.legacy" "$@" || exit 1; fi
"""


def test_the_pre_commit_framework_installed_before_and_after(world: World) -> None:
    """It moves a hook that it finds to NAME.legacy and runs it."""
    generated = PRE_COMMIT + world.theirs("framework")
    world.script(world.hooks / "pre-commit", generated)
    world.install()
    assert (world.hooks / "pre-commit.before-dsvc").read_text() == generated
    world.commit("one")
    assert world.read_diary() == "framework\nours [git] [hook] [pre-commit]\n"
    (world.hooks / "pre-commit").rename(world.hooks / "pre-commit.legacy")
    world.script(world.hooks / "pre-commit", generated)
    world.commit("two")
    assert world.read_diary() == "ours [git] [hook] [pre-commit]\nframework\n"
    assert state(world.hooks, "pre-commit") is State.INSTALLED
    assert world.install() == []
    uninstall(world.work)
    assert [path.name for path in world.hooks.iterdir() if path.suffix != ".sample"] == ["pre-commit"]
    assert (world.hooks / "pre-commit").read_text() == generated


def test_a_script_of_husky(world: World) -> None:
    """It finds what it runs by its own name and folder, and ends with that."""
    world.git("config", "core.hooksPath", ".husky/_")
    folder = world.work / ".husky" / "_"
    world.script(folder / "pre-commit", '#!/usr/bin/env sh\n. "$(dirname "$0")/h"')
    h = 's="$(dirname "$(dirname "$0")")/$(basename "$0")"\n[ ! -f "$s" ] && exit 0\nsh -e "$s" "$@"\nexit $?\n'
    world.script(folder / "h", h, 0o644)
    world.script(world.work / ".husky" / "pre-commit", world.theirs(), 0o644)
    world.install()
    world.commit()
    assert world.read_diary() == "theirs\nours [git] [hook] [pre-commit]\n"


PROVIDED = Path(__file__).parents[3] / ".pre-commit-hooks.yaml"
ONE, TWO = "1" * 40, "2" * 40
PUSHED = {
    "PRE_COMMIT_REMOTE_NAME": "origin", "PRE_COMMIT_REMOTE_URL": "a b", "PRE_COMMIT_LOCAL_BRANCH": "refs/heads/main",
    "PRE_COMMIT_REMOTE_BRANCH": "refs/heads/x",
}  # fmt: skip


@pytest.mark.parametrize(
    ("check", "stage", "variables", "called"),
    [
        ("dsvc-lock", "pre-commit", {}, "[lock] [--check]\n"),
        ("dsvc-follow", "post-commit", {}, "[git] [hook] [post-commit]\n"),
        ("dsvc-follow", "post-merge", {"PRE_COMMIT_IS_SQUASH_MERGE": "0"}, "[git] [hook] [post-merge] [0]\n"),
        (
            "dsvc-follow", "post-rewrite", {"PRE_COMMIT_REWRITE_COMMAND": "amend"},
            "[git] [hook] [post-rewrite] [amend]\n",
        ),
        (
            "dsvc-follow", "post-checkout",
            {"PRE_COMMIT_FROM_REF": ONE, "PRE_COMMIT_TO_REF": TWO, "PRE_COMMIT_CHECKOUT_TYPE": "1"},
            f"[git] [hook] [post-checkout] [{ONE}] [{TWO}] [1]\n",
        ),
        (
            "dsvc-push", "pre-push", {**PUSHED, "PRE_COMMIT_FROM_REF": ONE, "PRE_COMMIT_TO_REF": TWO},
            f"[git] [hook] [pre-push] [origin] [a b]\n  refs/heads/main {TWO} refs/heads/x {ONE}\n",
        ),
        (
            "dsvc-push", "pre-push", PUSHED,
            f"[git] [hook] [pre-push] [origin] [a b]\n  refs/heads/main HEAD refs/heads/x {ZERO}\n",
        ),
    ],
)  # fmt: skip
def test_the_checks_for_the_pre_commit_framework(
    world: World, check: str, stage: str, variables: dict[str, str], called: str
) -> None:
    """The framework splits the entry as a shell would, and tells in the environment what Git said."""
    yaml = pytest.importorskip("yaml")
    provided = {hook["id"]: hook for hook in yaml.safe_load(PROVIDED.read_text())}
    assert stage in provided[check]["stages"]
    assert provided[check]["always_run"] is True
    assert provided[check]["pass_filenames"] is False
    command = shlex.split(provided[check]["entry"])
    path = f"{world.bin}{os.pathsep}{world.environment['PATH']}"
    environment = world.environment | {"PATH": path, "PRE_COMMIT": "1"} | variables
    subprocess.run(command, env=environment, cwd=world.work, stdin=subprocess.DEVNULL, check=True)
    assert world.read_diary() == "ours " + called.replace("HEAD", world.head())


# ---- finding dsvc


def test_the_recorded_dsvc_is_gone_and_one_is_on_the_path(world: World) -> None:
    world.install()
    elsewhere = world.script(world.folder / "elsewhere" / "dsvc", world.dsvc.read_bytes())
    world.dsvc.unlink()
    world.commit(PATH=f"{elsewhere.parent}{os.pathsep}{world.environment['PATH']}")
    assert world.read_diary() == "ours [git] [hook] [pre-commit]\n"


@pytest.mark.parametrize("how", ["gone", "a folder", "its interpreter is gone"])
def test_no_dsvc_at_all(world: World, remote: Path, how: str) -> None:
    world.install()
    world.dsvc.unlink()
    if how == "a folder":
        world.dsvc.mkdir()
    elif how != "gone":
        world.script(world.dsvc, "#!/nowhere/python\n")
    said = world.commit()
    assert "warning: the command dsvc is not found: dsvc.lock may name older data than this commit goes with\n" in said
    assert said.endswith("hint: pip install dsvc; once without it: git commit --no-verify; "
                         "to undo: dsvc git uninstall\n")  # fmt: skip
    assert "the datasets stay where they are" in world.git("checkout", "-q", "-b", "side")
    said = world.git("push", "origin", "side", code=1)
    assert "error: the command dsvc is not found: the data of these commits cannot be pushed\nhint: " in said
    world.git("push", "-q", "--no-verify", "origin", "side")


# ---- where projects lie


@pytest.mark.parametrize(
    "folder", ["data", "a b", 'it\'s "x"', "süß", "back\\slash", "new\nline", "-n", "$HOME", "\\n"]
)
def test_a_project_in_a_folder_of_the_repository(world: World, folder: str) -> None:
    project = world.work / folder
    project.mkdir()
    world.install(project)
    world.commit()
    assert world.read_diary() == "ours [git] [hook] [pre-commit]\n"
    (project / "dsvc.lock").rename(world.work / "dsvc.lock")
    world.commit("y")
    assert world.read_diary() == ""


def test_a_repository_in_a_folder_with_an_awkward_name(world: World) -> None:
    awkward = world.folder / 'it\'s "a" $(repo)\nümlaut \\n'
    world.work.rename(awkward)
    world.work = awkward
    world.script(world.hooks / "pre-commit", "#!/usr/bin/env python3\n" + _python(world))
    world.install()
    world.commit()
    assert world.read_diary() == "python [] ''\nours [git] [hook] [pre-commit]\n"


def test_a_push_from_within_the_git_folder(world: World, remote: Path) -> None:
    world.install()
    world.git("add", "dsvc.lock")
    world.commit()
    world.read_diary()
    world.git("push", "-q", "origin", "main", cwd=world.work / ".git")
    assert world.read_diary().startswith("ours [git] [hook] [pre-push]")


def test_linked_worktrees_and_clones_in_submodules(world: World) -> None:
    world.install()
    world.git("add", "dsvc.lock")
    world.commit()
    world.read_diary()
    linked = world.folder / "linked"
    world.git("worktree", "add", "-q", linked)
    head = world.head()
    assert world.read_diary() == f"ours [git] [hook] [post-checkout] [{ZERO}] [{head}] [1]\n"
    world.git("commit", "-q", "--allow-empty", "-m", "x", cwd=linked)
    assert world.read_diary() == "ours [git] [hook] [pre-commit]\n"

    outer = world.folder / "outer"
    world.git("init", "-q", outer, cwd=world.folder)
    world.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", world.work, "sub", cwd=outer)
    world.install(outer / "sub")
    world.git("commit", "-q", "--allow-empty", "-m", "x", cwd=outer / "sub")
    assert world.read_diary() == "ours [git] [hook] [pre-commit]\n"
    world.git("commit", "-q", "-m", "x", cwd=outer)
    assert world.read_diary() == ""


def test_a_rebase_calls_the_hook_once_with_all_commits(world: World) -> None:
    world.install()
    world.commit("base")
    world.git("checkout", "-q", "-b", "side")
    for number in range(3):
        world.git("commit", "-q", "--allow-empty", "-m", str(number))
    world.git("checkout", "-q", "main")
    world.git("commit", "-q", "--allow-empty", "-m", "main")
    world.read_diary()
    world.git("rebase", "-q", "main", "side")
    assert "ours [git] [hook] [post-rewrite] [rebase]\n" in (text := world.read_diary())
    assert len([line for line in text.splitlines() if line.startswith("  ")]) == 3
