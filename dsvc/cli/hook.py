"""dsvc git hook: what Git's hooks run."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dsvc.cli.exit import Exit
from dsvc.cli.locking import TOLD, chosen_lines, elsewhere_words, followed_lines, more_lines, standing_words
from dsvc.cli.progress import progress
from dsvc.cli.render import note, plural, shown, size
from dsvc.core.repository import LOCK_FILE
from dsvc.errors import DsvcError, RefusedError, RemoteError
from dsvc.store.ids import Kind

if TYPE_CHECKING:
    from dsvc.core.repository import Repository
    from dsvc.git.hooks import Pushing
    from dsvc.git.working import GitRepository
    from dsvc.remote.settings import Remote

HOOKS = ("pre-commit", "post-checkout", "post-commit", "post-merge", "post-rewrite", "pre-push")
Work = Callable[["_Here", list[str], bytes], int]


class _Here:
    """A project of the Git repository that a hook runs in."""

    def __init__(self, git: GitRepository, folder: Path) -> None:
        self.git, self.folder = git, folder

    def open(self) -> Repository:
        """Its repository, signed as the command's are."""
        from dsvc.cli.author import find_author
        from dsvc.core.repository import Repository
        from dsvc.remote.lazy import attach

        repository = Repository.open(self.folder)
        attach(repository)
        repository.author = find_author(self.folder, repository.workspace.author)
        return repository

    def say(self, line: str) -> None:
        """Tell something of the project."""
        where = self.folder.relative_to(self.git.root).as_posix()
        note(f"dsvc: {line}" if where == "." else f"dsvc: {shown(where)}: {line}")


@click.command("hook", hidden=True, context_settings={"ignore_unknown_options": True})
@click.argument(
    "name", type=click.Choice(["pre-commit", "post-checkout", "post-commit", "post-merge", "post-rewrite", "pre-push"])
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def hook_command(name: str, arguments: tuple[str, ...]) -> int:
    """Do the work of a Git hook, in every project of the repository.

    Hooks that come after the fact stop nothing: what Git did is done, and what could not follow is told of. Where that
    is the data of a checkout, the exit code is 1, which is Git's then.
    """
    from dsvc.git.hooks import is_empty_clone, projects
    from dsvc.git.working import GitRepository

    stdin = _stdin() if name in ("post-rewrite", "pre-push") else b""
    code: int = Exit.DONE
    git = GitRepository.find(Path())
    if git is None:
        note("dsvc: no .git lies here or above, and the data does not follow where GIT_DIR names another folder")
        note(
            "dsvc:   by hand: dsvc lock before a commit, dsvc pull after a checkout or a merge, dsvc push before a push"
        )
        return Exit.DONE
    with git:
        for folder in projects(git, checked_out=name != "pre-push"):
            here = _Here(git, folder)
            if is_empty_clone(folder):
                code = max(code, _without_data(here, name, list(arguments), stdin))
                continue
            code = max(code, _guarded(here, name, list(arguments), stdin))
    return code


def _without_data(here: _Here, name: str, arguments: list[str], stdin: bytes) -> int:
    """In a clone whose data was never brought, or is gone: tell of it; a push of changed locks is stopped."""
    if name in ("post-checkout", "post-merge"):
        here.say(f"{LOCK_FILE} names data that is not here yet; to bring it: dsvc pull")
    if name != "pre-push":
        return Exit.DONE
    from dsvc.git.hooks import pushed_commits

    if not pushed_commits(here.git, here.folder, arguments[0] if arguments else "", stdin).new:
        return Exit.DONE
    here.say(f"what is pushed changes {LOCK_FILE}, and its data is not here; to bring it: dsvc pull")
    here.say("this stopped Git; to go on without dsvc: git push --no-verify")
    return Exit.REFUSED


def _guarded(here: _Here, name: str, arguments: list[str], stdin: bytes) -> int:
    """Do a project's work; an error is told, with how to go on without dsvc."""
    from dsvc.cli.failure import tell

    try:
        return _WORK[name](here, arguments, stdin)
    except (DsvcError, OSError) as error:
        code = tell(error)
        if name not in ("pre-commit", "pre-push"):
            return Exit.DONE
        way = "git commit" if name == "pre-commit" else "git push"
        here.say(f"this stopped Git; to go on without dsvc: {way} --no-verify")
        return code


def _stdin() -> bytes:
    if sys.stdin is None or sys.stdin.isatty():
        return b""
    return sys.stdin.buffer.read()


# ---- before a commit


def _pre_commit(here: _Here, arguments: list[str], stdin: bytes) -> int:
    from dsvc.git.hooks import refresh_lock

    repository = here.open()
    code = _drafts(here, repository)
    if code:
        return code
    found = refresh_lock(repository, here.git, here.folder)
    if found.left_out and found.written:
        here.say(f"{LOCK_FILE} is not part of a commit of named files; commit it too: git commit {LOCK_FILE}")
    elif found.written:
        pinned = [f"{one.dataset} at {one.here.commit.short()}" for one in found.written if one.here is not None]
        names = ", ".join(pinned[:TOLD]) + (f" and {len(pinned) - TOLD:,} more" if len(pinned) > TOLD else "")
        here.say(f"this commit pins {names}" if names else f"{LOCK_FILE} was brought up to date")
    if found.is_alone:
        here.say(f"{LOCK_FILE} is staged now, and nothing else: where Git says that nothing is, say git commit again")
    lines = [*map(elsewhere_words, found.elsewhere), *map(standing_words, (*found.apart, *found.absent))]
    for line in (*lines[:TOLD], *more_lines(len(lines) - TOLD)):
        here.say(line)
    return Exit.DONE


def _drafts(here: _Here, repository: Repository) -> int:
    """Do with what is staged as the team's settings say: warn of it, commit it, or stop."""
    from dsvc.git.hooks import DRAFT_RULES

    rule = repository.workspace.setting("git", "draft") or "warn"
    if rule not in DRAFT_RULES:
        raise RefusedError(f"the setting draft under [git] is {rule!r}", f"it is one of: {', '.join(DRAFT_RULES)}")
    for dataset in repository.datasets():
        if not dataset.has_draft():
            continue
        if rule == "commit":
            made = dataset.commit("staged changes, committed with the code")
            here.say(f"committed what was staged in {dataset.name}: {made.id.short()}")
            continue
        here.say(f"{dataset.name} has staged changes that this commit does not pin")
        name = dataset.name
        here.say(f"  to commit them: dsvc -d {name} commit -m TEXT; to drop them: dsvc -d {name} discard")
        if rule == "block":
            here.say('  dsvc.toml has draft = "block" under [git]; to go on without: git commit --no-verify')
            return Exit.REFUSED
    return Exit.DONE


# ---- after Git moved


def _follow(name: str) -> Work:
    def work(here: _Here, arguments: list[str], stdin: bytes) -> int:
        from dsvc.cli.checkout import keep_folders
        from dsvc.git.hooks import came_from, follow_lock

        repository = here.open()
        _bring(repository, here, versions=name == "post-merge")
        chosen = repository.workspace.chosen
        found = follow_lock(repository, here.git, here.folder, came_from(name, arguments, stdin), f"git {name}")
        for line in (*followed_lines(found), *chosen_lines(chosen, repository)):
            here.say(line)
        keep_folders(repository)
        if name != "post-checkout":
            _share(repository, here)
            return Exit.DONE
        # A checkout whose data did not come is no base for what runs next, `git bisect run` for example.
        is_whole = all(one.what not in ("left", "missing", "unfit") for one in found)
        return Exit.DONE if is_whole or arguments[2:3] != ["1"] else Exit.NO

    return work


def _share(repository: Repository, here: _Here) -> None:
    """Of a linked working tree, bring what its lock names to the main one: it may be taken away with all it holds."""
    from dsvc.cli.bringing import share_with_main
    from dsvc.git.lockfile import read_lock

    path = here.folder / LOCK_FILE
    if here.git.folder != here.git.common and path.exists():
        share_with_main(repository, here.git, read_lock(path).values())


def _bring(repository: Repository, here: _Here, *, versions: bool) -> None:
    """Fetch the commits that a project's lock names and that are not here, and the `versions`."""
    from dsvc.cli.bringing import bring, bring_versions, missing
    from dsvc.git.lockfile import read_lock

    path = here.folder / LOCK_FILE
    lock = read_lock(path) if path.exists() else {}
    wanted = {line.dataset: {line.commit} for line in lock.values()}
    if missing(repository, wanted):
        with progress() as report:
            bring(repository, wanted, report)
    if versions:
        bring_versions(repository, lock.values())


# ---- before a push


def _pre_push(here: _Here, arguments: list[str], stdin: bytes) -> int:
    from dsvc.git.hooks import pushed_commits
    from dsvc.remote.settings import list_remotes

    repository = here.open()
    pushing = pushed_commits(here.git, here.folder, arguments[0] if arguments else "", stdin)
    if not pushing.commits:
        return Exit.DONE
    remotes = list_remotes(repository)
    if not remotes:
        _warn_of_no_remote(here, repository)
        return Exit.DONE
    _push(here, repository, remotes[0], pushing)
    return Exit.DONE


def _push(here: _Here, repository: Repository, remote: Remote, pushing: Pushing) -> None:
    """Push, and tell what went. Raises RefusedError, RemoteError."""
    from dsvc.core.history.walking import History
    from dsvc.remote.pushing import push_commits
    from dsvc.remote.settings import require_trusted

    try:
        require_trusted(repository, remote)
    except RefusedError as error:  # nobody can be asked here
        error.hint = f"if that is the right place: dsvc push --yes {shown(remote.name)}, then git push again"
        raise
    with progress() as report:
        done = push_commits(repository, remote, pushing.commits, report, tips=pushing.tips)
    if done.commits:
        here.say(f"pushed {plural(done.commits, 'commit')} of data, {size(done.bytes)}, to {shown(remote.place)}")
    for dataset, moved in sorted(done.branches.items()):
        if moved.move == "diverged":
            here.say(f"{dataset}: branch {moved.branch} stands elsewhere there; what was pushed is there, pinned")
    for dataset, (_, commit) in sorted(pushing.tips.items()):
        is_here = repository.store.has(commit, Kind.COMMIT)
        count = History(repository.store).snapshot(commit).conflicts if is_here else 0
        if count:
            here.say(f"{dataset} has {plural(count, 'record')} in conflict: dsvc -d {dataset} conflicts")
    stuck = []
    for dataset, ids in sorted(done.missing.items()):
        short = ", ".join(id.short() for id in sorted(ids))
        here.say(f"{dataset}: {short} is neither here nor there")
        stuck += [dataset] if ids & pushing.new.get(dataset, set()) else []
    if stuck:
        hint = f"whoever made it has to push it; or pin what is here, and commit: dsvc lock, git commit {LOCK_FILE}"
        raise RemoteError(f"{LOCK_FILE} would name data that nobody has: {', '.join(stuck)}", hint)


def _warn_of_no_remote(here: _Here, repository: Repository) -> None:
    """Say, once in a workspace, that the data stays behind."""
    if repository.workspace.setting("git", "warned"):
        return
    here.say("no remote is set, and the data that the lock names stays here; to push it along with the code:")
    here.say("  dsvc remote add origin PATH")
    repository.workspace.save(git=lambda table: {**(table if isinstance(table, dict) else {}), "warned": True})


_WORK: dict[str, Work] = {
    "pre-commit": _pre_commit,
    "pre-push": _pre_push,
    **{name: _follow(name) for name in ("post-checkout", "post-commit", "post-merge", "post-rewrite")},
}
