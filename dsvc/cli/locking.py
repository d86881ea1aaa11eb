"""The lock beside the command: kept as the data is, and told in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from dsvc.cli.render import plural
from dsvc.core.repository import LOCK_FILE
from dsvc.errors import DsvcError

if TYPE_CHECKING:
    from dsvc.core.following import Followed
    from dsvc.core.repository import Repository
    from dsvc.git.lockfile import Locked
    from dsvc.git.pinning import Standing

# So many datasets are told of that a lock moved, and as many that it did not; a lock can name thousands.
TOLD = 20


class LockKeeper:
    """Brings a project's lock up to date after a command that moved a branch, if it was up to date before."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._path = (repository.root or Path()) / LOCK_FILE
        self._before: dict[str, Locked] | None = None
        if repository.root is not None and self._path.is_file():
            with suppress(DsvcError):  # what is wrong, the command itself tells
                self._before = self._lines()

    def _lines(self) -> dict[str, Locked]:
        from dsvc.git.pinning import lines_here

        return lines_here(self._repository)

    def update(self) -> None:
        """Write the lines of the datasets that the command moved and that the lock named as they were before, or whose
        line it took in, by a merge say; and of those that the lock does not name, and that have gone on."""
        from dsvc.git.lockfile import read_lock, write_lock
        from dsvc.git.written import note_written

        if self._before is None:
            return
        with suppress(DsvcError):  # a lock that cannot be read, or be written, `dsvc status` and the hooks tell of
            after = self._lines()
            if after == self._before:
                return
            lock = read_lock(self._path)
            lines = dict(lock)
            for name in {*self._before, *after}:
                sides = lock.get(name), self._before.get(name), after.get(name)
                if _place(sides[0]) == _place(sides[1]) or self._is_taken_in(*sides) or self._is_new(name, *sides):
                    _take(lines, name, self._before.get(name), after.get(name))
            if lines != lock:
                write_lock(self._path, lines.values())
                note_written(self._repository, (line for name, line in lines.items() if line != lock.get(name)))

    def _is_new(self, name: str, line: Locked | None, before: Locked | None, after: Locked | None) -> bool:
        """Whether a dataset that the lock does not name has gone on, to where no lock of Git's has been."""
        if line is not None or before is None or after is None or after.commit == before.commit:
            return False
        from dsvc.git.pinning import Kept, path_in
        from dsvc.git.working import GitRepository

        project = self._path.parent
        git = GitRepository.find(project)
        if git is None:
            return False
        with git:
            return not Kept(self._repository, git, path_in(git, project))(name, after.commit)

    def _is_taken_in(self, line: Locked | None, before: Locked | None, after: Locked | None) -> bool:
        """Whether a dataset holds the commit of its line now, and did not before."""
        if line is None or before is None or after is None or after.commit == before.commit:
            return False
        from dsvc.core.merging.graph import Graph

        graph = Graph(self._repository.store)
        return graph.contains(after.commit, line.commit) and not graph.contains(before.commit, line.commit)


def _place(line: Locked | None) -> tuple[object, ...] | None:
    return line[:3] if line is not None else None


def _take(lines: dict[str, Locked], name: str, before: Locked | None, after: Locked | None) -> None:
    if after is None:
        lines.pop(name, None)
    elif _place(before) != _place(after) or (before is not None and before.version != after.version):
        lines[name] = after


def standing_lines(repository: Repository, path: Path, found: Iterable[Standing]) -> list[str]:
    """What is told of datasets that are not what a lock says."""
    from dsvc.git.pinning import Kept, path_in
    from dsvc.git.working import GitRepository

    standings = list(found)
    git = GitRepository.find(path.parent) if standings else None
    if git is None:
        return [standing_words(one) for one in standings]
    with git:
        kept = Kept(repository, git, path_in(git, path.parent))
        # What Git keeps is no work of now: Git moved the lock away from it.
        moved = [one.here is not None and kept(one.dataset, one.here.commit) for one in standings]
    # A dataset that another of Git's commits has, or had, need not be in this one's lock.
    told = [(one, is_moved) for one, is_moved in zip(standings, moved, strict=True) if one.line or not is_moved]
    return [elsewhere_words(one) if is_moved else standing_words(one) for one, is_moved in told]


def standing_words(standing: Standing) -> str:
    """What is told of a dataset that is not what the lock says, and what to do about it."""
    name, line, here = standing.dataset, standing.line, standing.here
    there = line.commit.short() if line is not None else ""
    at = here.commit.short() if here is not None else ""
    if standing.place == "new":
        return f"{name}, at {at}, is not in {LOCK_FILE}; to pin it: dsvc lock"
    if standing.place == "absent":
        return f"{name}: {LOCK_FILE} names {there}, which is not here; to bring it: dsvc pull"
    if standing.is_deleted:
        return f"{name} is no more, and {LOCK_FILE} names it; to write what is here: dsvc lock"
    if here is None:
        return f"{name}: {LOCK_FILE} names {there}, and the branch has no commit; to go there: dsvc pull"
    if standing.place == "ahead":
        return f"{name}, at {at}, goes on from {there}, which {LOCK_FILE} names; to pin it: dsvc lock"
    if standing.place == "behind":
        return f"{name}, at {at}, is behind {there}, which {LOCK_FILE} names; to go there: dsvc pull"
    if standing.place == "apart":
        ways = f"to combine both: dsvc -d {name} merge {name}@{there}; to pin what is here: dsvc lock"
        return f"{name}, at {at}, and {there}, which {LOCK_FILE} names, went different ways; {ways}"
    return f"{name}, at {at}, is not told in full in {LOCK_FILE}; to write it: dsvc lock"


def elsewhere_words(standing: Standing) -> str:
    """What is told of a dataset that stayed while Git moved its line."""
    if standing.line is None or standing.here is None or standing.place in ("same", "absent"):
        return standing_words(standing)
    there, at = standing.line.commit.short(), standing.here.commit.short()
    return (
        f"{standing.dataset} is at {at}, and {LOCK_FILE} names {there}; to go there: dsvc pull; to pin {at}: dsvc lock"
    )


def chosen_lines(before: str | None, repository: Repository) -> list[str]:
    """What is told where a lock has another name for the dataset that was the current one."""
    after = repository.workspace.chosen
    return [f"now on dataset {after}"] if before is not None and after not in (None, before) else []


def followed_lines(found: Iterable[Followed]) -> list[str]:
    """What is told of the datasets that a lock moved, and did not, of each kind the first."""
    lines, told = [], Counter[str]()
    for one in found:
        told[one.what] += one.what != "here"
        if told[one.what] > TOLD:
            continue
        (name, branch, commit), before = one.target, one.before
        at = before.short() if before is not None else ""
        place = f"{name} at {commit.short()}" + (f", branch {branch}" if branch != "main" else "")
        if one.what in ("moved", "made"):
            lines.append(f"{place}{f', was at {at}' if at else ''}")
        elif one.what == "left":
            there = commit.short()
            lines.append(f"{name} stays at {at}: it has commits that nothing else keeps, and {LOCK_FILE} names {there}")
            first = "pin them: dsvc lock" if one.is_ahead else f"combine both: dsvc -d {name} merge {name}@{there}"
            lines.append(f"  to {first}; to go there: dsvc -d {name} branch NAME keeps them, then dsvc pull")
        elif one.what == "missing":
            lines.append(f"{name}: {commit.short()}, which {LOCK_FILE} names, is not here; to bring it: dsvc pull")
        elif one.what == "unfit":
            lines.append(f"{name}: {commit.short()}, which {LOCK_FILE} names, is what a source delivered, and no state")
            lines.append("  of a dataset; to pin what is here: dsvc lock")
        if one.rebased:
            clash = f", {one.conflicts} of them in conflict: dsvc conflicts" if one.conflicts else ""
            lines.append(f"  staged changes were laid over it{clash}")
    return lines + more_lines(sum(max(0, count - TOLD) for count in told.values()))


def more_lines(count: int) -> list[str]:
    """What is told of datasets that are not told of one by one."""
    return [f"... and {plural(count, 'more dataset')}"] if count > 0 else []
