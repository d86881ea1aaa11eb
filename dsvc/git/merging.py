"""Merging locks: of each dataset that both sides moved, the set union of its two commits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from dsvc.core.merging.commits import MergedCommit, merge_commits
from dsvc.core.merging.graph import Graph
from dsvc.core.repository import LOCK_FILE
from dsvc.errors import DamagedError, RefusedError
from dsvc.git import conflicts
from dsvc.git.lockfile import Lock, Locked, decode, parse_lock
from dsvc.model.view import PinRef, pin_of
from dsvc.store.ids import Kind, ObjectId

if TYPE_CHECKING:
    from dsvc.core.repository import Repository
    from dsvc.core.transaction import Refs, Transaction

Wanted = Mapping[str, set[ObjectId]]
# Fetches what it can of some commits, by dataset, and gives those that are still missing.
Bring = Callable[["Repository", Wanted], Wanted]


class Clash(NamedTuple):
    """A dataset that both sides moved: its lines as each side has them, by whatever name; `base` is what they had in
    common, if anything."""

    dataset: str
    base: Locked | None
    ours: Locked
    theirs: Locked

    @property
    def lines(self) -> list[Locked]:
        """All of them, as far as there are."""
        return [line for line in (self.base, self.ours, self.theirs) if line is not None]


class Joined(NamedTuple):
    """A dataset that both sides moved, the line that it has now, and what the merge did."""

    clash: Clash
    line: Locked
    merged: MergedCommit


class MergedLock(NamedTuple):
    """A merged lock: `lines` are those that are settled, `joined` tells of the ones that both sides had moved.

    `kept` names datasets that one side took out and the other changed, `renamed` maps the old name of a dataset that
    one side renamed to the new one. Of `unsettled` ones commits are `missing`. `is_baseless` says that what both sides
    had in common could not be read.
    """

    lines: dict[str, Locked]
    joined: list[Joined]
    kept: list[str]
    renamed: dict[str, str]
    unsettled: list[Clash]
    missing: dict[str, set[ObjectId]]
    is_baseless: bool = False

    def text(self, size: int = conflicts.SIZE) -> str:
        """The lock's text; a dataset that is not settled is a conflict in it."""
        return conflicts.mark(self.lines, {one.dataset: one[1:] for one in self.unsettled}, size)


def merge_locks(repository: Repository | None, base: Lock, ours: Lock, theirs: Lock, bring: Bring) -> MergedLock:
    """Merge two locks and the datasets that they name; without a repository, all commits are missing.

    New commits are pinned, in one operation. Raises DamagedError.
    """
    renamed = _renames(repository, base, (ours, theirs), bring)
    base, ours, theirs = (_under_new_names(lock, renamed) for lock in (base, ours, theirs))
    merged = MergedLock({}, [], [], renamed, [], {})
    clashes = []
    for name in sorted({*base, *ours, *theirs}):
        clash = _settle(name, (base.get(name), ours.get(name), theirs.get(name)), merged)
        if clash is not None:
            clashes.append(clash)
    missing = _bring(repository, [line for clash in clashes for line in clash.lines], bring)
    for clash in clashes:
        if lacking := [line for line in clash.lines if line.commit in missing]:
            merged.unsettled.append(clash)
            merged.missing[clash.dataset] = {line.commit for line in lacking}
    found = [clash for clash in clashes if clash.dataset not in merged.missing]
    if repository is not None and found:
        merged.joined.extend(_join(repository, found))
        merged.lines.update((one.line.dataset, one.line) for one in merged.joined)
    return merged


def resolve_lock(
    repository: Repository | None, stages: Mapping[int, bytes], text: str, bring: Bring, name: str = LOCK_FILE
) -> MergedLock:
    """Finish a lock that Git left in conflict: from the stages of Git's index, or without them from the markers in its
    text. Raises RefusedError where it is in no conflict, or a side is gone or cannot be read; DamagedError."""
    sides = _sides(stages, text, name)
    base, is_baseless = dict[str, Locked](), False
    try:
        base = parse_lock(sides.base or "", f"the base of {name}")
    except RefusedError:
        is_baseless = True
    ours = parse_lock(sides.ours, f"our side of {name}")
    theirs = parse_lock(sides.theirs, f"their side of {name}")
    return merge_locks(repository, base, ours, theirs, bring)._replace(is_baseless=is_baseless)


def _sides(stages: Mapping[int, bytes], text: str, name: str) -> conflicts.Sides:
    if not {1, 2, 3} & stages.keys():
        found = conflicts.split(text, name)
        if found is None:
            raise RefusedError(f"{name} is in no conflict", "see whether it is current: dsvc lock --check")
        return found
    if not {2, 3} <= stages.keys():
        side, other = ("ours", "theirs") if 2 in stages else ("theirs", "ours")
        hint = f"keep it: git checkout --{side} {name} and git add {name}; or take it out: git rm {name}"
        raise RefusedError(f"{name} is gone on one side ({other}), and changed on the other", hint)
    base = stages[1].decode("utf-8", "replace") if 1 in stages else None
    ours, theirs = decode(stages[2], f"our side of {name}"), decode(stages[3], f"their side of {name}")
    return conflicts.Sides(base, ours, theirs)


# ---- line by line


def _settle(name: str, sides: tuple[Locked | None, Locked | None, Locked | None], merged: MergedLock) -> Clash | None:
    """Settle a dataset by its lines alone, of base, ours and theirs; or give what they clash in."""
    base, ours, theirs = sides
    if ours is None or theirs is None:
        line = ours or theirs
        if line is not None and (base is None or line != base):
            merged.lines[name] = line._replace(dataset=name)
            if base is not None:
                merged.kept.append(name)
        return None
    was = base.commit if base is not None else None
    if ours.commit != theirs.commit and was not in (ours.commit, theirs.commit):
        return Clash(name, base, ours, theirs)
    commit = theirs.commit if ours.commit == was else ours.commit
    merged.lines[name] = _line(Clash(name, base, ours, theirs), commit)
    return None


def _line(clash: Clash, commit: ObjectId) -> Locked:
    """The line of a merged dataset: a branch's name that only one side changed is that side's, else ours; a version's
    name belongs to its commit."""
    base, ours, theirs = clash.base, clash.ours, clash.theirs
    branch = theirs.branch if base is not None and ours.branch == base.branch else ours.branch
    was = base.version if base is not None and base.commit == commit else None
    names = [side.version for side in (ours, theirs) if side.commit == commit]
    version = next((name for name in names if name != was), was if names else None)
    return Locked(clash.dataset, branch, commit, version)


# ---- datasets that one side renamed


def _renames(repository: Repository | None, base: Lock, sides: tuple[Lock, Lock], bring: Bring) -> dict[str, str]:
    """The datasets that one side has by a new name, or both by the same: old name -> new."""
    ours, theirs = (_renamed(repository, base, side, bring) for side in sides)
    found = {}
    for old in sorted({*ours, *theirs}):
        new = ours.get(old, theirs.get(old, ""))
        in_both = old in ours and old in theirs
        if ours.get(old, new) == theirs.get(old, new) and (in_both or not all(new in side for side in sides)):
            found[old] = new
    return found


def _renamed(repository: Repository | None, base: Lock, side: Lock, bring: Bring) -> dict[str, str]:
    """The datasets that are gone on a side, where one came that goes on from their commit."""
    gone, came = base.keys() - side.keys(), side.keys() - base.keys()
    if not gone or not came:
        return {}
    _bring(repository, [*(base[name] for name in gone), *(side[name] for name in came)], bring)
    found = {old: [new for new in came if _goes_on(repository, base[old], side[new])] for old in gone}
    all_names = [name for names in found.values() for name in names]
    return {old: names[0] for old, names in found.items() if len(names) == 1 and all_names.count(names[0]) == 1}


def _goes_on(repository: Repository | None, old: Locked, new: Locked) -> bool:
    if old.commit == new.commit:
        return True
    if repository is None or not all(_has(repository, line.commit) for line in (old, new)):
        return False
    return Graph(repository.store).contains(new.commit, old.commit)


def _under_new_names(lock: Lock, renamed: Mapping[str, str]) -> Lock:
    return {renamed.get(name, name): line for name, line in lock.items()}


# ---- commits


def _bring(repository: Repository | None, lines: list[Locked], bring: Bring) -> set[ObjectId]:
    """Fetch the commits of some lines that are not here; what is still missing."""
    if repository is None:
        return {line.commit for line in lines}
    wanted: dict[str, set[ObjectId]] = {}
    for line in lines:
        if not _has(repository, line.commit):
            wanted.setdefault(line.dataset, set()).add(line.commit)
    if not wanted:
        return set()
    bring(repository, wanted)
    repository.store.refresh()
    return {id for ids in wanted.values() for id in ids if not _has(repository, id)}


def _has(repository: Repository, id: ObjectId) -> bool:
    """Whether a commit is here; then all that it needs is."""
    try:
        repository.store.get(id, Kind.COMMIT)
    except DamagedError:
        return False
    return True


def _join(repository: Repository, clashes: list[Clash]) -> list[Joined]:
    """Merge all that clash in one operation, which pins the new commits: no branch stands on them yet."""
    names = ", ".join(clash.dataset for clash in clashes)
    with repository.transaction(f"git merge {names}"[:200]) as transaction:
        return transaction.run(lambda refs: list(_merge(transaction, repository, refs, clashes)))


def _merge(transaction: Transaction, repository: Repository, refs: Refs, clashes: Iterable[Clash]) -> Iterator[Joined]:
    for clash in clashes:
        base = clash.base.commit if clash.base is not None else None
        made = merge_commits(transaction.writer, repository.cache, clash.ours.commit, clash.theirs.commit, base)
        if made.kind not in ("same", "forward"):
            refs.set(pin_of(clash.dataset, made.commit), PinRef(made.commit))
        yield Joined(clash, _line(clash, made.commit), made)
