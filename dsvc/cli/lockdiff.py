"""Differences of locks as text: what changed in the data, in as many lines as people read."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import msgspec

from dsvc.cli.render import holdings, shown, subject, when

if TYPE_CHECKING:
    from dsvc.core.diffing.diff import Diff
    from dsvc.git.diffing import Behind, LineChange, Told
    from dsvc.git.lockfile import Lock, Locked
    from dsvc.store.ids import ObjectId

# Lines at most: of a dataset in a diff, and of one commit in a lock's text.
DATASET_LINES, COMMIT_LINES = 40, 16
# Concepts at most, in the same: of the counts, and of those that differ themselves.
_DATASET_CONCEPTS, _COMMIT_CONCEPTS = (10, 5), (3, 2)
# To be counted up where the lines of a commit are told otherwise.
FORM = "1"
MISSING = "what it holds is not here; to bring it: dsvc pull"


# ---- two locks


def change_lines(change: LineChange, behind: Behind | None) -> Iterator[str]:
    """What changed in a dataset whose line differs."""
    old, new = change.old, change.new
    if behind is None or not behind.has(old, new):
        yield from (f"{sign}{_plain(line)}" for sign, line in (("-", old), ("+", new)) if line is not None)
        yield f"  {MISSING}"
        return
    yield _headline(change)
    if new is None:
        yield f"  it held {holdings(behind.snapshot(_id(old)).counts())}"
        return
    if old is None:
        yield f"  {holdings(behind.snapshot(new.commit).counts())}"
    if _id(old) != new.commit:
        rest = f"dsvc show {_at(new)}" if old is None else f"dsvc diff {_at(old)} {_at(new)}"
        yield from _indented(_bounded(behind.diff(_id(old), new.commit), DATASET_LINES, _DATASET_CONCEPTS, rest))


def _id(line: Locked | None) -> ObjectId | None:
    return line.commit if line is not None else None


def _at(line: Locked) -> str:
    return f"@{line.commit.short()}"


def _plain(line: Locked) -> str:
    return " ".join(filter(None, (line.dataset, line.branch, line.commit.hex(), line.version)))


def _headline(change: LineChange) -> str:
    """`pets main 3fa9c1d2e4f5 -> 7bc01d2240aa (v2)`."""
    old, new = change.old, change.new
    if old is None or new is None:
        line, sign = (old, "-") if new is None else (new, "+")
        assert line is not None
        return f"{sign} {change.dataset} {line.branch} {line.commit.short()}{_version(line)}"
    branch = old.branch if old.branch == new.branch else f"{old.branch} -> {new.branch}"
    places = [f"{line.commit.short()}{_version(line)}" for line in (old, new)]
    return f"~ {change.dataset} {branch} {' -> '.join(dict.fromkeys(places))}"


def _version(line: Locked) -> str:
    return f" ({line.version})" if line.version is not None else ""


def _indented(lines: Iterable[str]) -> Iterator[str]:
    return (f"  {line}" for line in lines)


def _bounded(diff: Diff, most: int, concepts: tuple[int, int], rest: str = "") -> Iterator[str]:
    """Counts, then what changed one by one, in so many lines; `rest` is the command that shows all."""
    from dsvc.cli.changes import concept_line, input_lines, stat_lines

    stat = diff.stat()
    few = dict(itertools.islice(stat.by_concept.items(), concepts[0]))
    told = list(stat_lines(msgspec.structs.replace(stat, by_concept=few)))
    told += _more(len(stat.by_concept) - len(few), "  ")
    told += map(concept_line, itertools.islice(diff.concepts(), concepts[1]))
    told += _more(sum(stat.concepts.values()) - concepts[1])
    yield from told
    if not stat:
        yield "no record differs"
    inputs = itertools.chain.from_iterable(map(input_lines, diff.inputs()))
    yield from itertools.islice(inputs, most - len(told) - 1)
    if next(inputs, None) is not None:
        yield f"... the rest: {rest}" if rest else "..."


def _more(count: int, indent: str = "") -> list[str]:
    return [f"{indent}... and {count:,} more concept{'' if count == 1 else 's'}"] if count > 0 else []


def text_diff(old: str, new: str, path: str) -> Iterator[str]:
    """What differs between two texts, line by line, as a diff of Git's form."""
    before, after = ([shown(line) for line in text.splitlines()] for text in (old, new))
    yield from difflib.unified_diff(before, after, f"a/{path}", f"b/{path}", lineterm="")


# ---- one lock


def lock_text(lock: Lock, behind: Behind, told: Told) -> Iterator[str]:
    """A lock as a text whose lines stay as they are while history goes on, so that the difference of two such texts is
    what happened between them."""
    for name in sorted(lock):
        line = lock[name]
        yield f"{name} {line.branch} {line.commit.short()}{_version(line)}"
        if not behind.has(line):
            yield f"  {MISSING}"
            continue
        snapshot = behind.snapshot(line.commit)
        yield f"  {holdings(snapshot.counts())}"
        if snapshot.conflicts:
            yield f"  {snapshot.conflicts:,} in conflict"
        earlier, ids = behind.last(line.commit)
        yield f"  commits{f', after {earlier:,} earlier ones' if earlier else ''}:"
        for id in ids:
            yield from _indented(_told_of(id, behind, told))


def _told_of(id: ObjectId, behind: Behind, told: Told) -> list[str]:
    lines = told.get(id)
    if lines is None:
        lines = list(_commit_lines(id, behind))
        told.keep(id, lines)
    return lines


def _commit_lines(id: ObjectId, behind: Behind) -> Iterator[str]:
    """A commit and what it changed; of a merge only what it is: the commits that it brought are told of themselves."""
    commit, parents = behind.commit(id), behind.parents(id)
    yield f"  {id.short()} {when(commit.time)} {shown(commit.author.name)}: {shown(subject(commit.message))}"
    if len(parents) > 1:
        opened = behind.snapshot(id).conflicts - max(behind.snapshot(parent).conflicts for parent in parents)
        if opened > 0:
            yield f"      {opened:,} came into conflict"
        return
    diff = behind.diff(parents[0] if parents else None, id)
    yield from (f"      {line}" for line in _bounded(diff, COMMIT_LINES, _COMMIT_CONCEPTS))
