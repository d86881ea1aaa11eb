"""dsvc pull."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dsvc.cli.arguments import TEXT
from dsvc.cli.checkout import keep_folders
from dsvc.cli.exit import Exit
from dsvc.cli.locking import chosen_lines, followed_lines
from dsvc.cli.progress import progress
from dsvc.cli.render import json_option, note, out, print_json, shown
from dsvc.cli.session import Session, pass_session, shared_options
from dsvc.core.repository import FOLDER, LOCK_FILE
from dsvc.errors import DsvcError, NotFoundError, RefusedError, RemoteError

if TYPE_CHECKING:
    from dsvc.core.following import Followed
    from dsvc.core.repository import Repository


@click.command("pull")
@click.argument("remote", type=TEXT, required=False)
@click.option("--yes", is_flag=True, help="Use a remote that came with the project without asking.")
@json_option
@shared_options
@pass_session
def pull_command(session: Session, remote: str | None, yes: bool, as_json: bool) -> int:
    """Bring what dsvc.lock names; without one, what the remote has of the current branch.

    What is not here is fetched, and the datasets and the folders that are laid out move to it. In a fresh clone of the
    project's Git repository it makes the repository first. A remote that came with the project is shown and asked about
    once. Staged changes are laid over what comes. A dataset with commits that nothing else keeps stays where it is, and
    is named; exit 1.

    Without dsvc.lock, or where REMOTE is named, the remote's branch of the same name is fetched and merged into the
    current one, as `dsvc fetch` and `dsvc merge` do, and the versions on it come along.

    \b
    JSON: {"made": whether the repository was made,
           "datasets": [{"dataset", "branch", "commit", "before": ID or null, "rebased", "conflicts",
                         "what": "here" | "made" | "moved" | "left" | "missing" | "unfit"}...]}
    """
    is_new = _begin()
    repository = session.repository(signed=True)
    path = (repository.root or Path()) / LOCK_FILE
    if remote is not None or not path.exists():
        return _pull_branch(repository, remote, yes, as_json)
    chosen = repository.workspace.chosen
    found = _follow(repository, path, yes)
    lacking = [one.target.dataset for one in found if one.what == "missing"]
    if not lacking:
        keep_folders(repository)
    if as_json:
        print_json({"made": is_new, "datasets": [_json(one) for one in found]})
    else:
        _print(repository, found, is_new)
        for line in chosen_lines(chosen, repository):
            out(line)
    if is_new:
        _offer_hooks(repository)
    if lacking:
        raise RemoteError(f"not all that {LOCK_FILE} names could be brought: {', '.join(lacking)}", _way(repository))
    return Exit.NO if any(one.what in ("left", "unfit") for one in found) else Exit.DONE


def _pull_branch(repository: Repository, remote: str | None, yes: bool, as_json: bool) -> int:
    from dsvc.cli.pulling import pull_current
    from dsvc.remote.settings import list_remotes

    if not list_remotes(repository):
        hint = "name a remote: dsvc remote add origin PATH; or write the lock: dsvc lock"
        raise NotFoundError(f"there is no {LOCK_FILE} that says what to bring, and no remote to ask", hint)
    pull_current(repository, remote, yes, as_json)
    keep_folders(repository)
    return Exit.DONE


def _begin() -> bool:
    """Make the repository of a fresh clone; whether it was made."""
    from dsvc.core.repository import Repository
    from dsvc.git.lockfile import has_markers, parse_lock, read_text

    here = Path().absolute()
    for folder in (here, *here.parents):
        if (folder / FOLDER / "head").exists():
            return False
        if (folder / LOCK_FILE).is_file():
            text = read_text(folder / LOCK_FILE)
            if not has_markers(text):
                parse_lock(text)  # what is wrong with it is told before anything is made
            Repository.init(folder)
            return True
    return False


def _follow(repository: Repository, path: Path, yes: bool) -> list[Followed]:
    from dsvc.cli.bringing import bring, bring_versions, missing
    from dsvc.core.following import Target, follow
    from dsvc.git.conflicts import named
    from dsvc.git.lockfile import has_markers, parse_lock, read_text
    from dsvc.git.pinning import Kept, path_in
    from dsvc.git.staging import stages_of
    from dsvc.git.working import GitRepository

    text = read_text(path)
    sides = named(stages_of(path), text) if has_markers(text) else {}
    lock = {} if sides else parse_lock(text)
    wanted = sides or {line.dataset: {line.commit} for line in lock.values()}
    with progress() as report:
        lacking = bring(repository, wanted, report)
    if lacking and _agree(repository, yes):
        with progress() as report:
            bring(repository, missing(repository, wanted), report)
    if sides:
        raise RefusedError(f"{LOCK_FILE} holds the conflict markers of a Git merge", "finish it: dsvc lock --resolve")
    bring_versions(repository, lock.values())
    targets = [Target(line.dataset, line.branch, line.commit) for line in lock.values()]
    git = GitRepository.find(path.parent)
    if git is None:
        return follow(repository, targets, lambda dataset, commit: False, "pull")
    with git:
        return follow(repository, targets, Kept(repository, git, path_in(git, path.parent)), "pull")


def _agree(repository: Repository, yes: bool) -> bool:
    """See whether remotes that came with the project may be used; whether any more may than before. Raises
    RefusedError where nobody can be asked."""
    from dsvc.remote.settings import full_place, is_trusted, list_remotes, trust

    agreed = False
    for remote in list_remotes(repository):
        if is_trusted(repository, remote):
            continue
        place = shown(full_place(repository, remote))
        if not yes:
            if not _is_terminal():
                message = f"remote {remote.name} came with the project, and was not used here yet: {place}"
                raise RefusedError(message, "if that is the right place: dsvc pull --yes")
            if not click.confirm(f"fetch from {place}, which dsvc.toml names as {remote.name}?", err=True):
                continue
        trust(repository, remote)
        agreed = True
    return agreed


def _offer_hooks(repository: Repository) -> None:
    """Where the project is in a Git repository without the hooks, ask for them, or say how to have them."""
    from dsvc.cli.git import install_for
    from dsvc.git.install.status import status

    try:
        is_whole = all(part.state == "installed" for part in status(repository.root or Path(), None))
    except DsvcError:  # no Git here
        return
    if is_whole:
        return
    if _is_terminal() and click.confirm("install the Git hooks, so that the data follows the code?", err=True):
        install_for(repository)
    else:
        note("so that the data follows the code from now on: dsvc git install")


def _is_terminal() -> bool:
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()


def _print(repository: Repository, found: list[Followed], is_new: bool) -> None:
    if is_new:
        out(f"made a repository in {shown(str((repository.root or Path()) / FOLDER))}")
    lines = followed_lines(one for one in found if one.what != "missing")
    for line in lines:
        out(line)
    if all(one.what == "here" for one in found):
        out(f"all is as {LOCK_FILE} says")
    if is_new and len(found) > 1 and repository.workspace.chosen is not None:
        out(f"now on dataset {repository.workspace.chosen}; to another one: dsvc use NAME")


def _way(repository: Repository) -> str:
    from dsvc.remote.settings import list_remotes

    if list_remotes(repository):
        elsewhere = "where the remote lies elsewhere for you: dsvc remote add origin PATH --local"
        return f"{elsewhere}; else whoever pinned them has to push them: dsvc push"
    return "name the place where they are: dsvc remote add origin PATH"


def _json(one: Followed) -> dict[str, Any]:
    return {
        "dataset": one.target.dataset,
        "branch": one.target.branch,
        "commit": one.target.commit.hex(),
        "before": one.before.hex() if one.before is not None else None,
        "what": one.what,
        "rebased": one.rebased,
        "conflicts": one.conflicts,
    }
