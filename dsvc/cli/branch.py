"""dsvc branch, switch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dsvc.cli.arguments import TEXT
from dsvc.cli.distant import fit
from dsvc.cli.progress import progress
from dsvc.cli.render import (
    counts_text,
    dry_run_option,
    holdings,
    iso,
    json_option,
    out,
    print_json,
    shown,
    subject,
    table,
    when,
)
from dsvc.cli.session import Session, pass_session, shared_options, warn_of_override
from dsvc.errors import UsageError

if TYPE_CHECKING:
    from dsvc.core.branching import Branch, Switched
    from dsvc.core.dataset import Dataset
    from dsvc.store.ids import ObjectId


@click.command("branch")
@click.argument("name", type=TEXT, required=False)
@click.option("--from", "revision", metavar="REV", type=TEXT, help="Begin it at this revision, not at HEAD.")
@click.option("--where", metavar="EXPR", type=TEXT, help="Begin it with the inputs that match, and what is on them.")
@click.option("--delete", metavar="NAME", type=TEXT, help="Take a branch away.")
@click.option("--force", is_flag=True, help="With --delete: even where commits or staged changes go with it.")
@dry_run_option
@json_option
@shared_options
@pass_session
def branch_command(
    session: Session,
    name: str | None,
    revision: str | None,
    where: str | None,
    delete: str | None,
    force: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """List the branches, begin one, or take one away.

    Without NAME they are listed; `*` marks the current one. With NAME a branch begins at HEAD or at --from REV, and the
    current one stays: `dsvc switch` goes there. With --where it begins with a part: the inputs that a filter is true
    of, with their annotations; what is changed there can be merged back, and nothing else is taken away by that.
    --delete is refused for the current branch, and where commits would be out of reach, or staged changes lost;
    `dsvc undo` brings the branch back.

    \b
    JSON: {"dataset", "branches": [{"name", "current", "head", "time", "message", "staged"}...]}
          of NAME and --delete: {"dataset", "branch", "head", "created" or "deleted": whether it was done}
    """
    _check(name, revision or where, delete, force, dry_run)
    dataset = session.dataset(signed=name is not None or delete is not None)
    if delete is not None:
        head = dataset.delete_branch(delete, force=force, dry_run=dry_run)
        _tell_deleted(dataset, delete, head, dry_run, as_json)
    elif name is not None:
        with progress() as report:
            made = dataset.create_branch(name, revision or "HEAD", where, report)
        if as_json:
            print_json({"dataset": made.name, "branch": name, "head": _hex(made.head), "created": True})
        else:
            held = f", holds {holdings(made.at().counts())}" if where is not None else ""
            out(f"made branch {name} of {made.name}, {_at(made.head)}{held}")
            out(f"next: dsvc switch {name}")
    elif as_json:
        print_json({"dataset": dataset.name, "branches": [_json(branch) for branch in dataset.branches()]})
    else:
        _list(dataset)


def _check(name: str | None, revision: str | None, delete: str | None, force: bool, dry_run: bool) -> None:
    """Refuse options that do not go together."""
    if delete is None and (force or dry_run):
        option = "--force" if force else "--dry-run"
        raise UsageError(f"{option} goes with --delete", f"dsvc branch --delete NAME {option}")
    if delete is not None and (name is not None or revision is not None):
        raise UsageError("--delete takes one name, and nothing else", "dsvc branch --delete NAME")
    if name is None and revision is not None:
        raise UsageError("--from and --where need a name for the branch", "dsvc branch NAME --from REV")


def _list(dataset: Dataset) -> None:
    for line in table([_row(branch) for branch in dataset.branches()]):
        out(line)
    if dataset.pinned is not None:
        out(
            f"on version {dataset.pinned}, read-only"
            + fit(f"; back to branch {dataset.branch}: dsvc use {dataset.name}")
        )


def _row(branch: Branch) -> tuple[str, ...]:
    mark = "*" if branch.is_current else " "
    staged = "staged changes" if branch.has_draft else ""
    if branch.id is None or branch.commit is None:
        return (f"{mark} {branch.name}", "no commits yet", "", "", staged)
    time, text = when(branch.commit.time), shown(subject(branch.commit.message))
    return (f"{mark} {branch.name}", branch.id.short(), time, text, staged)


def _json(branch: Branch) -> dict[str, Any]:
    return {
        "name": branch.name,
        "current": branch.is_current,
        "head": _hex(branch.id),
        "time": iso(branch.commit.time) if branch.commit is not None else None,
        "message": branch.commit.message if branch.commit is not None else None,
        "staged": branch.has_draft,
    }


def _tell_deleted(dataset: Dataset, name: str, head: ObjectId | None, dry_run: bool, as_json: bool) -> None:
    if as_json:
        print_json({"dataset": dataset.name, "branch": name, "head": _hex(head), "deleted": not dry_run})
    elif dry_run:
        out(f"would delete branch {name} of {dataset.name}, {_at(head)}")
    else:
        out(f"deleted branch {name} of {dataset.name}, {_at(head)}")
        out("dsvc undo brings it back")


@click.command("switch")
@click.argument("name", metavar="BRANCH", type=TEXT)
@click.option("-c", "--create", is_flag=True, help="Begin the branch first.")
@click.option("--from", "revision", metavar="REV", type=TEXT, help="With -c: begin it at this revision, not at HEAD.")
@shared_options
@pass_session
def switch_command(session: Session, name: str, create: bool, revision: str | None) -> None:
    """Go to another branch of the dataset.

    The choice is this workspace's own. What is staged stays staged on the branch that it was staged on.
    """
    if revision is not None and not create:
        raise UsageError("--from goes with -c", f"dsvc switch -c {name} --from {revision}")
    dataset = session.dataset(signed=create)
    done = dataset.switch(name, create=create, revision=revision or "HEAD")
    verb = "made branch" if create else "already on branch" if done.came_from is None else "now on branch"
    out(f"{verb} {name} of {dataset.name}, {'now the current one, ' if create else ''}{_at(dataset.head)}")
    _tell_staged(done)
    warn_of_override(dataset.name, branch=name)


def _tell_staged(done: Switched) -> None:
    if done.left:
        out(f"staged changes stay on {done.came_from}: {counts_text(done.left)}")
    if done.found:
        out(f"staged here: {counts_text(done.found)}")


def _at(head: ObjectId | None) -> str:
    return f"at {head.short()}" if head is not None else "no commits yet"


def _hex(head: ObjectId | None) -> str | None:
    return head.hex() if head is not None else None
