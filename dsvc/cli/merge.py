"""dsvc merge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dsvc.cli.arguments import TEXT
from dsvc.cli.author import signed
from dsvc.cli.merged import NOUNS, VERBS, report_lines
from dsvc.cli.progress import progress
from dsvc.cli.render import NEXT, json_option, out, plural, print_json, shown, word
from dsvc.cli.session import Session, pass_session, shared_options
from dsvc.errors import UsageError

if TYPE_CHECKING:
    from dsvc.core.dataset import Dataset
    from dsvc.core.merging.merge import MergeOutcome
    from dsvc.core.merging.report import Counts
    from dsvc.model.commit import Author, Moment
    from dsvc.store.ids import ObjectId

_PAIRS = 5


@click.command("merge")
@click.argument("revision", metavar="REV", type=TEXT)
@click.option(
    "--where", metavar="EXPR", type=TEXT, help="Only the inputs of REV that match, with all their annotations."
)
@click.option(
    "--prefer", type=click.Choice(["ours", "theirs"]), help="Whose word holds where both changed one field; else both."
)
@click.option("--dedupe", is_flag=True, help="Make one of what is there twice: the same bytes, equal annotations.")
@click.option("--no-commit", is_flag=True, help="Leave the result in the draft.")
@click.option("-m", "--message", metavar="TEXT", type=TEXT, help="The commit's message; else: merge REV.")
@click.option("--dry-run", is_flag=True, help="Only say what it would do.")
@signed
@json_option
@shared_options
@pass_session
def merge_command(
    session: Session,
    /,
    revision: str,
    no_commit: bool,
    dry_run: bool,
    author: Author | None,
    date: Moment | None,
    as_json: bool,
    **asked: Any,
) -> None:
    """Merge another dataset, branch, version or commit into the current branch.

    What either side added or changed since they parted is in the result, and what either took away is not. Edits of
    different fields combine. Where both changed one field to different values, both are kept as a conflict, which
    `dsvc conflicts` lists and `dsvc resolve` settles; until then versions and exports are refused. A record that one
    side deleted and the other changed stays, in conflict whether it exists; an input that was deleted stays where the
    other side gave it annotations.

    With --where, the inputs of REV that a filter is true of are taken, with all their annotations and the concepts
    those name. The same again takes what is new; a merge without --where takes the rest.

    \b
    JSON: {"dataset", "branch", "kind": "up to date" | "fast-forward" | "merged" | "staged", "theirs": ID,
           "commit": ID of where the branch stands now, or null, "matched": COUNT or null, "dry_run",
           "inputs", "annotations", "concepts": {"added", "removed", "changed", "combined", "restored", "conflicts"},
           "conflicts": COUNT of records with open conflicts, "folded",
           "same_bytes": [[KEY, OTHER KEY]...], "equal_annotations": [[KEY#ANN, OTHER KEY#ANN]...],
           "draft": null or {"conflicts": COUNT of records in the rebased draft}}
    """
    if no_commit and asked["message"] is not None:
        raise UsageError("with --no-commit there is no commit yet that -m could describe", "leave one of the two out")
    dataset = session.dataset(author, signed=True)
    before = dataset.head
    with progress() as report:
        outcome = dataset.merge(
            revision, dry_run=dry_run, commit=not no_commit, author=author, time=date, progress=report, **asked
        )
    if as_json:
        print_json(_json(dataset, outcome, dry_run))
    else:
        _print(dataset, revision, outcome, dry_run)
        if outcome.kind == "fast-forward" and asked["message"] is not None:
            out("note: the branch only goes forward, and there is no commit that -m could describe")
        _print_next(outcome, before, dry_run)


def _json(dataset: Dataset, outcome: MergeOutcome, dry_run: bool) -> dict[str, Any]:
    report, twins = outcome.report, outcome.twins
    return {
        "dataset": dataset.name,
        "branch": dataset.branch,
        "kind": outcome.kind,
        "commit": outcome.commit.hex() if outcome.commit and not (dry_run and outcome.kind == "merged") else None,
        "theirs": outcome.theirs.hex(),
        "matched": outcome.matched,
        "dry_run": dry_run,
        **{noun: _counts(getattr(report, noun)) for noun in NOUNS},
        "conflicts": outcome.conflicts,
        "folded": outcome.folded,
        "same_bytes": _pairs(twins.inputs),
        "equal_annotations": _pairs(twins.annotations),
        "draft": {"conflicts": outcome.draft_conflicts} if outcome.rebased else None,
    }


def _counts(counts: Counts) -> dict[str, int]:
    return {verb: getattr(counts, verb) for verb in VERBS}


def _pairs(found: dict[bytes, bytes]) -> list[list[str]]:
    return [[key.decode().replace("\0", "#") for key in pair] for pair in found.items()]


def tell_merged(dataset: Dataset, revision: str, outcome: MergeOutcome, before: ObjectId | None) -> None:
    """Print what a merge did to a branch that stood on a commit before."""
    _print(dataset, revision, outcome, dry_run=False)
    _print_next(outcome, before, dry_run=False)


def _print(dataset: Dataset, revision: str, outcome: MergeOutcome, dry_run: bool) -> None:
    out(_headline(dataset, revision, outcome, dry_run))
    if outcome.kind != "up to date":
        for line in report_lines(outcome.report):
            out(line)
    _print_twins(revision, outcome, dry_run)
    if outcome.rebased:
        found = outcome.draft_conflicts
        clash = f", {plural(found, 'record')} of them in conflict with it" if found else ""
        out(f"staged changes {'would be' if dry_run else 'were'} laid over it{clash}")


def _print_next(outcome: MergeOutcome, before: ObjectId | None, dry_run: bool) -> None:
    conflicts = outcome.conflicts + outcome.draft_conflicts
    if conflicts and outcome.kind != "up to date":
        verb = "would have" if dry_run else "with"
        out(f"{plural(conflicts, 'record')} {verb} open conflicts: versions and exports wait until they are settled")
    if dry_run:
        out("nothing was changed")
    elif outcome.kind == "staged":
        out("next: dsvc conflicts, dsvc resolve; then: dsvc commit -m TEXT" if conflicts else NEXT)
    elif outcome.kind != "up to date":
        out(f"next: {_look(outcome, before) if not conflicts else 'dsvc conflicts'}, or take it back: dsvc undo")


def _look(outcome: MergeOutcome, before: ObjectId | None) -> str:
    """The command that shows what came in."""
    if before is None:
        return "dsvc show"
    return "dsvc diff HEAD~1 HEAD" if outcome.kind == "merged" else f"dsvc diff @{before.short()} HEAD"


def _headline(dataset: Dataset, revision: str, outcome: MergeOutcome, dry_run: bool) -> str:
    matched = f", of which {_matching(outcome.matched)}" if outcome.matched is not None else ""
    name = shown(revision)
    if outcome.kind == "up to date":
        if outcome.matched == 0:
            return f"nothing to take: no input of {name} matches; what there is: dsvc show {word(revision)}"
        return f"already up to date with {name}{matched}"
    if outcome.kind == "staged":
        return f"{'would stage' if dry_run else 'staged'} the merge of {name}{matched}"
    commit = outcome.commit.short() if outcome.commit else ""
    if outcome.kind == "fast-forward":
        verb = "would go" if dry_run else "went"
        return f"[{dataset.name} {dataset.branch} {commit}] {verb} forward to {name}"
    if dry_run:
        return f"would merge {name} into {dataset.name} {dataset.branch}{matched}"
    return f"[{dataset.name} {dataset.branch} {commit}] merged {name}{matched}"


def _matching(count: int) -> str:
    return f"{plural(count, 'input')} {'matches' if count == 1 else 'match'}"


def _print_twins(revision: str, outcome: MergeOutcome, dry_run: bool) -> None:
    for what, found in (("same bytes", outcome.twins.inputs), ("equal annotations", outcome.twins.annotations)):
        if not found:
            continue
        verb = "both stay" if not outcome.folded else "would be made one" if dry_run else "made one"
        pairs = [f"{shown(new)} and {shown(old)}" for new, old in _pairs(found)[:_PAIRS]]
        more = f" and {len(found) - _PAIRS:,} more" if len(found) > _PAIRS else ""
        out(f"{what}, {verb}: {', '.join(pairs)}{more}")
    if outcome.twins and not outcome.folded:
        back = "" if dry_run else "dsvc undo, then "
        out(f"to make one of each two: {back}dsvc merge {word(revision)} --dedupe")
