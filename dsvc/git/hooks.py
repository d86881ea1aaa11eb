"""What Git's hooks do: keep the lock as the data is, the data as the lock is, and push both together."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from dsvc.core.following import Followed, Target, follow
from dsvc.core.repository import FOLDER, LOCK_FILE
from dsvc.errors import RefusedError
from dsvc.git.lockfile import Locked, read_lock, write_lock
from dsvc.git.pinning import Kept, Standing, path_in, pinned_by, readable, stand
from dsvc.git.working import NOTHING
from dsvc.git.written import written_lines

if TYPE_CHECKING:
    from dsvc.core.repository import Repository
    from dsvc.git.working import GitRepository
    from dsvc.store.ids import ObjectId

# The hooks after which datasets go where the lock says.
FOLLOWING = ("post-checkout", "post-commit", "post-merge", "post-rewrite")
# A commit of named files only has an index of its own, of this name; what is staged in it stays out of the real one.
_PARTIAL = "next-index-"
DRAFT_RULES = ("warn", "block", "commit")


def projects(git: GitRepository, *, checked_out: bool = True) -> list[Path]:
    """The folders that the hooks are for, sorted: those of `dsvc git install`, with `checked_out` if a lock is in the
    working tree; where another program runs the hooks, all that hold one."""
    from dsvc.git.install.record import read_record

    with suppress(ValueError, OSError):
        if installed := read_record(git.common / "config").projects:
            folders = sorted({git.root / name for name in installed})
            return [folder for folder in folders if not checked_out or (folder / LOCK_FILE).exists()]
    names = _run(git, "ls-files", "-z", "--", LOCK_FILE, f":(glob)**/{LOCK_FILE}").split(b"\0")
    found = {(git.root / os.fsdecode(name)).parent for name in names if name}
    if (git.root / LOCK_FILE).exists():
        found.add(git.root)
    return sorted(found)


def is_empty_clone(project: Path) -> bool:
    """Whether a project's data was never brought here."""
    return not (project / FOLDER / "head").exists()


# ---- before a commit


class Refreshed(NamedTuple):
    """What became of a lock before a commit.

    The datasets whose line was `written`; those whose line Git moved while the data stayed `elsewhere`, and those that
    have gone `apart` from it, of both only where the commit leaves the line as it is: else they are followed after it;
    and those whose commit is nowhere here. `left_out` tells that the commit is of named files: the lock is
    written, and no part of it; `is_alone` that it is all that is staged, which Git does not see any more in a commit
    that it takes for empty.
    """

    written: list[Standing]
    elsewhere: list[Standing]
    apart: list[Standing]
    absent: list[Standing]
    left_out: bool
    is_alone: bool


def refresh_lock(repository: Repository, git: GitRepository, project: Path) -> Refreshed:
    """Bring a project's lock up to date and stage it. Raises RefusedError where the lock cannot be read.

    A line is written where the data only went on from it. Where Git moved the line and the data did not follow (after
    `git reset`, or `git stash`), and where both went their own ways, the line stays: no work leaves a lock unseen.
    """
    path, name = project / LOCK_FILE, path_in(git, project)
    lock = read_lock(path) if path.exists() else {}
    head = git.head()
    committed = readable(git.read(head, name)) if head is not None else {}
    written, elsewhere, apart, absent = _sort(
        stand(repository, lock), committed, Kept(repository, git, name), written_lines(repository)
    )
    found = Refreshed(written, elsewhere, apart, absent, _is_partial(), False)
    lines = dict(lock)
    for standing in written:
        if standing.here is None:
            lines.pop(standing.dataset, None)
        else:
            lines[standing.dataset] = standing.here
    if lines != lock or not path.exists():
        write_lock(path, lines.values())
    if found.left_out:
        return found
    is_like = path.read_bytes() == (git.read(head, name) if head is not None else None)
    was_empty = not is_like and _is_nothing_staged(git)
    _run(git, "update-index", "--add", "--", os.fsdecode(name))
    # What differs on disk may be the same to Git: the ends of lines.
    return found._replace(is_alone=was_empty and not _is_nothing_staged(git))


def _sort(
    standings: Iterable[Standing], committed: Mapping[str, Locked], kept: Kept, written: Mapping[str, ObjectId]
) -> tuple[list[Standing], list[Standing], list[Standing], list[Standing]]:
    """The datasets whose lines are to be written, those that are elsewhere, apart, and absent."""
    lists: tuple[list[Standing], ...] = ([], [], [], [])
    for standing in standings:
        at = _judge(standing, committed, kept, written)
        if at is not None:
            lists[at].append(standing)
    return lists[_WRITTEN], lists[_ELSEWHERE], lists[_APART], lists[_ABSENT]


_WRITTEN, _ELSEWHERE, _APART, _ABSENT = range(4)


def _judge(
    standing: Standing, committed: Mapping[str, Locked], kept: Kept, written: Mapping[str, ObjectId]
) -> int | None:
    """Which list a dataset belongs to; None for one whose line is right. `written` is what dsvc wrote last."""
    line, here = standing.line, standing.here
    if standing.place == "same":
        is_alike = line is not None and here is not None and (line.branch, line.version) == (here.branch, here.version)
        return None if is_alike else _WRITTEN
    if standing.place == "absent":
        return _ABSENT
    if standing.place == "new":  # or one that a commit of Git's took out, or that another branch of Git's has
        return None if here is not None and kept(standing.dataset, here.commit) else _WRITTEN
    # A commit that Git keeps is no work of now: Git moved the line away from it.
    is_moved = line != committed.get(standing.dataset)
    if standing.is_deleted:  # or came with a merge under way, by a new name: that is followed after the commit
        return None if is_moved else _WRITTEN
    if standing.place == "ahead" and not is_moved and here is not None and here.commit == written.get(here.dataset):
        return _ELSEWHERE  # somebody has put the lock back
    if standing.place == "ahead" and (is_moved or here is None or not kept(standing.dataset, here.commit)):
        return _WRITTEN
    if is_moved:
        return None
    is_apart = standing.place == "apart" and here is not None and not kept(standing.dataset, here.commit)
    return _APART if is_apart else _ELSEWHERE


def _is_partial() -> bool:
    return Path(os.environ.get("GIT_INDEX_FILE", "")).name.startswith(_PARTIAL)


def _is_nothing_staged(git: GitRepository) -> bool:
    return git.head() is not None and _git(git, "diff", "--cached", "--quiet").returncode == 0


# ---- after Git moved


def follow_lock(
    repository: Repository, git: GitRepository, project: Path, commits: Iterable[bytes], command: str
) -> list[Followed]:
    """Move the datasets of a project to what its lock says. `commits` are Git's own, where it was before.

    Raises RefusedError where the lock cannot be read.
    """
    path = project / LOCK_FILE
    if not path.exists():
        return []
    targets = [Target(line.dataset, line.branch, line.commit) for line in read_lock(path).values()]
    return follow(repository, targets, Kept(repository, git, path_in(git, project), commits), command)


def came_from(name: str, arguments: list[str], stdin: bytes) -> list[bytes]:
    """The commits that Git was at before, as a hook's arguments and standard input tell them."""
    words = arguments[:1] if name == "post-checkout" else [] if name != "post-rewrite" else stdin.decode().splitlines()
    return [word.split()[0].encode() for word in words if word.strip()]


# ---- before a push


class Pushing(NamedTuple):
    """What a push of Git's needs of the data, per dataset: the `commits` that the locks of what it sends name, those of
    them that are `new` to the remote of the code, and where it sends the main branch, the branch and commit of the last
    lock there, `tips`."""

    commits: dict[str, set[ObjectId]]
    new: dict[str, set[ObjectId]]
    tips: dict[str, tuple[str, ObjectId]]


def pushed_commits(git: GitRepository, project: Path, remote: str, stdin: bytes) -> Pushing:
    """What a push needs of the data. `stdin` is what Git tells the hook."""
    name, found = path_in(git, project), Pushing({}, {}, {})
    for line in stdin.decode().splitlines():
        words = line.split()
        if len(words) != 4 or words[1].encode() == NOTHING:
            continue
        lines = readable(git.read(words[1].encode(), name)).values()
        for locked in lines:
            found.commits.setdefault(locked.dataset, set()).add(locked.commit)
        for _, locked in pinned_by(git, name, _sent(git, name, remote, words[1], words[3])):
            for commits in (found.commits, found.new):
                commits.setdefault(locked.dataset, set()).add(locked.commit)
        if words[2] in _main_refs(git, remote):
            found.tips.update({line.dataset: (line.branch, line.commit) for line in lines})
    return found


def _main_refs(git: GitRepository, remote: str) -> list[str]:
    """The ref of a remote's main branch: what it told when it was cloned, else those that go by the usual names."""
    told = _git(git, "symbolic-ref", "--quiet", f"refs/remotes/{remote}/HEAD").stdout.decode().strip()
    branch = told.removeprefix(f"refs/remotes/{remote}/")
    return [f"refs/heads/{name}" for name in ([branch] if branch else ["main", "master"])]


def _sent(git: GitRepository, name: bytes, remote: str, local: str, there: str) -> list[bytes]:
    """The commits that a push sends and that change the lock."""
    known = [f"^{there}"] if there.encode() != NOTHING and _has(git, there) else []
    others = ["--not", f"--remotes={remote}"] if remote and "/" not in remote and not remote.startswith("-") else []
    return _run(git, "rev-list", "--full-history", local, *known, *others, "--", os.fsdecode(name)).split()


def _has(git: GitRepository, commit: str) -> bool:
    return _git(git, "cat-file", "-e", commit).returncode == 0


def _run(git: GitRepository, *arguments: str) -> bytes:
    """What Git prints. Raises RefusedError where it fails."""
    done = _git(git, *arguments)
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["it gives no reason"]
        raise RefusedError(f"git {arguments[0]} failed: {said[0]}", "see what Git says: git status")
    return done.stdout


def _git(git: GitRepository, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(["git", *arguments], cwd=git.root, capture_output=True, check=False)
    except OSError as error:
        raise RefusedError(f"git cannot be run: {error.strerror}", "is Git installed, and on the PATH?") from error
