"""dsvc git install, uninstall, status; and what Git itself calls: hook, merge-driver, diff-driver."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dsvc.cli.exit import Exit
from dsvc.cli.render import dry_run_option, json_option, out, print_json, shown, table
from dsvc.cli.session import Session, pass_session, shared_options
from dsvc.core.repository import LOCK_FILE

if TYPE_CHECKING:
    from dsvc.core.repository import Repository
    from dsvc.git.install.installing import Change
    from dsvc.git.install.place import Place

# What Git calls, and nobody types: name -> (module, attribute).
_CALLED = {
    "hook": ("hook", "hook_command"),
    "merge-driver": ("drivers", "merge_driver_command"),
    "diff-driver": ("drivers", "diff_driver_command"),
}


class GitGroup(click.Group):
    """The commands for people, and those that Git calls, which are imported when it does."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Find a command of either kind."""
        if cmd_name not in _CALLED:
            return super().get_command(ctx, cmd_name)
        module, name = _CALLED[cmd_name]
        command = getattr(import_module(f"dsvc.cli.{module}"), name)
        assert isinstance(command, click.Command)
        return command


@click.group("git", cls=GitGroup)
@shared_options
def git_command() -> None:
    """Install, remove and look at the Git hooks and drivers.

    With them, a commit of Git names the data that goes with the code in dsvc.lock, `git checkout`, `git merge` and
    `git rebase` bring the data along, `git diff` shows what changed in it, and `git push` pushes it first.
    DSVC_HOOKS=0 in the environment switches the hooks off. As `git dsvc`, everything here is reached from Git too.
    """


@git_command.command("install")
@click.option("--shared", is_flag=True, help="Even where other repositories run the same hooks (core.hooksPath).")
@dry_run_option
@json_option
@shared_options
@pass_session
def install_command(session: Session, shared: bool, dry_run: bool, as_json: bool) -> None:
    """Install the Git hooks, the merge and the diff driver of dsvc.lock, and write it where there is none.

    Hooks that are there already are kept and run first: a script of the shell gets a marked block, a program of
    another kind is kept as NAME.before-dsvc. Where one of them fails, the commit or the push is stopped as before.
    Again, it brings up to date what an older dsvc has put there, and changes nothing else.

    \b
    JSON: {"changed": [{"file", "done"}...], "installed": whether it was done}
    """
    repository = session.repository()
    place, changes = install_for(repository, shared=shared, dry_run=dry_run)
    if as_json:
        print_json({"changed": _json(changes), "installed": not dry_run})
        return
    _tell(changes, dry_run, "everything is installed: nothing changed")
    if place.is_in_tree:
        out(f"note: {shown(place.named(place.hooks))} lies in the working tree: commit what changed there")
    for folder in _unignored(repository, place):
        out(f"note: Git does not ignore {shown(folder)}, whose files dsvc keeps: echo {_word(folder)} >> .gitignore")
    files = [change.file for change in changes if Path(change.file).name in (".gitattributes", LOCK_FILE)]
    if files and not dry_run:
        out(f"next: git add {' '.join(map(_word, files))}")


def _unignored(repository: Repository, place: Place) -> list[str]:
    """The tracked folders that Git would take into commits of code."""
    from dsvc.core.files.tracking import tracked_folders

    root = repository.root or Path()
    names = {
        one.folder for dataset in repository.datasets() for one in tracked_folders(repository.workspace, dataset.name)
    }
    return [name for name in sorted(names) if name and not place.ask("check-ignore", "--", str(root / name))]


def install_for(repository: Repository, *, shared: bool = False, dry_run: bool = False) -> tuple[Place, list[Change]]:
    """Install everything for a project, and write its lock as the data is. Raises NotFoundError, RefusedError."""
    from dsvc.git.install.installing import install

    project = repository.root or Path()
    place, changes = install(project, this_command(), shared=shared, dry_run=dry_run)
    if not dry_run and any(Path(change.file).name == LOCK_FILE for change in changes):
        from dsvc.git.lockfile import write_lock
        from dsvc.git.pinning import lines_here

        write_lock(project / LOCK_FILE, lines_here(repository).values())
    return place, changes


@git_command.command("uninstall")
@click.option("--all", "every", is_flag=True, help="For every project of the Git repository.")
@click.option("--shared", is_flag=True, help="Also the hooks that other repositories run too (core.hooksPath).")
@dry_run_option
@json_option
@shared_options
def uninstall_command(every: bool, shared: bool, dry_run: bool, as_json: bool) -> None:
    """Take out what install has put there, and nothing else.

    Hooks that were there before come back as they were. A dsvc.lock that is committed stays. Where another project of
    the same Git repository has the hooks too, they stay for it.

    \b
    JSON: {"changed": [{"file", "done"}...], "uninstalled": whether it was done}
    """
    from dsvc.git.install.installing import uninstall

    changes = uninstall(_project(), every=every, shared=shared, dry_run=dry_run)
    if as_json:
        print_json({"changed": _json(changes), "uninstalled": not dry_run})
    else:
        _tell(changes, dry_run, "nothing is installed: nothing changed")


@git_command.command("status")
@json_option
@shared_options
@click.pass_context
def status_command(context: click.Context, as_json: bool) -> None:
    """Tell whether hooks and drivers are installed, and whether something is in their way.

    Exit code 1 where anything is not as it should be.

    \b
    JSON: {"installed": whether all is, "parts": [{"kind": "hook", "driver", "attributes", "lock" or "command", "name",
           "state": "installed", "outdated", "missing", "disabled" or "overridden", "where", "hint": TEXT or null}...]}
    """
    from dsvc.git.install.status import status

    parts = status(_project(), _on_path())
    whole = all(part.state == "installed" for part in parts)
    if as_json:
        print_json({"installed": whole, "parts": [part._asdict() for part in parts]})
    else:
        for line in table([(f"{part.kind} {part.name}", part.state, shown(part.where)) for part in parts]):
            out(line)
        for hint in dict.fromkeys(part.hint for part in parts if part.hint):
            out(f"next: {shown(hint)}")
    context.exit(Exit.DONE if whole else Exit.NO)


def _tell(changes: list[Change], dry_run: bool, nothing: str) -> None:
    for file, done in changes:
        out(f"{'would change ' if dry_run else ''}{shown(file)}: {shown(done)}")
    if not changes:
        out(nothing)


def _json(changes: list[Change]) -> list[dict[str, str]]:
    return [change._asdict() for change in changes]


def _word(path: str) -> str:
    from dsvc.cli.render import word

    return word(path)


def _project() -> Path:
    """The project that the current folder lies in, or that folder: what is taken out need not be a project any more."""
    here = Path().absolute()
    for folder in (here, *here.parents):
        if (folder / ".dsvc").exists() or (folder / "dsvc.lock").exists():
            return folder
    return here


def this_command() -> Path | None:
    """This very dsvc as a program that hooks can call, or None."""
    called, beside = Path(sys.argv[0]), Path(sys.executable).parent / "dsvc"
    for path in (called if called.name in ("dsvc", "git-dsvc") else beside, beside, _on_path()):
        if path is not None and path.is_file() and os.access(path, os.X_OK):
            return path.absolute()
    return None


def _on_path() -> Path | None:
    import shutil

    found = shutil.which("dsvc")
    return Path(found).absolute() if found else None
