"""dsvc restore, revert."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dsvc.cli.arguments import TEXT
from dsvc.cli.render import counts_text, dry_run_option, json_option, out, plural, print_json, shown, subject
from dsvc.cli.session import Session, pass_session, shared_options

if TYPE_CHECKING:
    from dsvc.core.dataset import Dataset
    from dsvc.core.history.restoring import Restored


@click.command("restore")
@click.argument("revision", metavar="REV", type=TEXT)
@click.argument("names", metavar="[KEY|KEY#ANN]...", type=TEXT, nargs=-1)
@dry_run_option
@json_option
@shared_options
@pass_session
def restore_command(session: Session, revision: str, names: tuple[str, ...], dry_run: bool, as_json: bool) -> None:
    """Bring inputs back into the draft as they were in a revision.

    Each with all its annotations, or KEY#ANN alone; without names, everything. The concepts that they name come along.
    Files on disk are not touched.

    \b
    JSON: {"dataset", "commit", "dry_run", "changes": {NOUN: {"added", "removed", "changed"}}}
    """
    dataset = session.dataset(signed=True)
    done = dataset.restore(revision, *names, dry_run=dry_run)
    if as_json:
        print_json(_json(dataset, done, dry_run))
    elif not done.summary:
        out(f"nothing to restore: the draft has the same as {shown(revision)}")
    else:
        out(f"{'would restore' if dry_run else 'restored'} from {shown(revision)}: {counts_text(done.summary)}")
        _tell_next(dry_run, f"dsvc commit -m 'Restore {shown(revision)}'")


@click.command("revert")
@click.argument("revision", metavar="COMMIT", type=TEXT)
@click.option("--parent", metavar="N", type=int, help="Of a merge: the parent to go back to, from 1.")
@dry_run_option
@json_option
@shared_options
@pass_session
def revert_command(session: Session, revision: str, parent: int | None, dry_run: bool, as_json: bool) -> None:
    """Take the changes of a commit back, as a change of the draft.

    What came after it stays. Where that changed the same, it is a conflict: `dsvc conflicts`. Of a merge, --parent says
    which side stays.

    \b
    JSON: {"dataset", "commit", "dry_run", "changes": {NOUN: {"added", "removed", "changed"}}, "conflicts": COUNT}
    """
    dataset = session.dataset(signed=True)
    done = dataset.revert(revision, parent=parent, dry_run=dry_run)
    assert done.commit is not None
    if as_json:
        print_json({**_json(dataset, done, dry_run), "conflicts": done.conflicts})
        return
    text = subject(dataset.history.commit(done.commit).message)
    if not done.summary:
        out(f"nothing to revert: the draft has no change of {done.commit.short()} {shown(text)}")
        return
    out(f"{'would revert' if dry_run else 'reverted'} {done.commit.short()} {shown(text)}: {counts_text(done.summary)}")
    if done.conflicts:
        verb = "would have" if dry_run else "with"
        out(f"{plural(done.conflicts, 'record')} {verb} open conflicts" + ("" if dry_run else "; next: dsvc conflicts"))
    else:
        _tell_next(dry_run, f"dsvc commit -m 'Revert {done.commit.short()}'")


def _tell_next(dry_run: bool, command: str) -> None:
    if not dry_run:
        out(f"next: {command}, or take it back: dsvc undo")


def _json(dataset: Dataset, done: Restored, dry_run: bool) -> dict[str, Any]:
    from dsvc.cli.status import summary_json

    commit = done.commit.hex() if done.commit is not None else None
    return {"dataset": dataset.name, "commit": commit, "dry_run": dry_run, "changes": summary_json(done.summary)}
