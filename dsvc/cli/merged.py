"""What a merge did, in lines of text: for dsvc merge, Git's merge driver and dsvc lock --resolve."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from dsvc.cli.render import listed, plural, table

if TYPE_CHECKING:
    from dsvc.core.merging.report import MergeReport
    from dsvc.git.merging import Clash, Joined, MergedLock

VERBS = ("added", "removed", "changed", "combined", "restored", "conflicts")
NOUNS = ("inputs", "annotations", "concepts")


def report_lines(report: MergeReport) -> Iterator[str]:
    """Counts of what a merge did to our side, a line each kind of record."""
    rows = []
    for noun in NOUNS:
        counts = getattr(report, noun)
        words = [
            f"{getattr(counts, verb):,} {'in conflict' if verb == 'conflicts' else verb}"
            for verb in VERBS
            if getattr(counts, verb)
        ]
        if words:
            rows.append((f"  {noun}", ", ".join(words)))
    yield from table(rows or [("  no record changes: all of it was here", "")])
    if any(getattr(report, noun).restored for noun in NOUNS):
        yield "restored: one side deleted them, and what the other side has needs them"


def lock_lines(merged: MergedLock) -> Iterator[str]:
    """What the merge of a lock did, dataset by dataset."""
    for old, new in merged.renamed.items():
        yield f"{old} was renamed to {new}, and goes by that name"
    for joined in merged.joined:
        yield f"[{joined.line.dataset} {joined.line.branch} {joined.line.commit.short()}] {_how(joined)}"
        if joined.merged.kind != "same":
            yield from report_lines(joined.merged.report)
    for name in merged.kept:
        yield f"{name} was taken out on one side and changed on the other: it stays; to take it out: dsvc delete {name}"
    if merged.is_baseless:
        yield "what both sides had in common could not be read: what only one of them has stays"
    open_ones = [one for one in merged.joined if one.merged.conflicts]
    if open_ones:
        count = sum(one.merged.conflicts for one in open_ones)
        yield f"{plural(count, 'record')} with open conflicts: versions and exports wait until they are settled"
        names = " and ".join(f"dsvc -d {one.line.dataset} conflicts" for one in open_ones)
        yield f"next, once Git has the merge: {names}"


def _how(joined: Joined) -> str:
    ours, theirs = joined.clash.ours.commit.short(), joined.clash.theirs.commit.short()
    match joined.merged.kind:
        case "same":
            return f"has all that {theirs} brings"
        case "forward":
            return f"went forward from {ours}"
        case "changed":
            return f"took the change of {theirs} on {ours}"
        case "reverted":
            base = joined.clash.base
            return f"took {base.commit.short() if base is not None else ''} back to {theirs}, on {ours}"
    return f"merged {ours} and {theirs}"


def unsettled_words(merged: MergedLock) -> str:
    """What could not be merged, and which commits are missing for it."""
    return "; ".join(f"{clash.dataset} cannot be merged: {_missing(clash, merged)}" for clash in merged.unsettled)


def _missing(clash: Clash, merged: MergedLock) -> str:
    missing = merged.missing[clash.dataset]
    names = listed([line.commit.short() for line in clash.lines if line.commit in missing])
    return f"commit{'' if len(missing) == 1 else 's'} {names} {'is' if len(missing) == 1 else 'are'} not here"
