"""dsvc create, list, use, describe, rename, delete."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from dsvc.cli.arguments import TEXT
from dsvc.cli.distant import fit
from dsvc.cli.render import dry_run_option, holdings, json_option, out, plural, print_json, shown, table
from dsvc.cli.session import Session, pass_session, shared_options, warn_of_override
from dsvc.errors import NotFoundError, RefusedError

if TYPE_CHECKING:
    from dsvc.core.dataset import Dataset

message_option = click.option("-m", "--message", "description", metavar="TEXT", type=TEXT, help="What it is for.")


@click.command("create")
@click.argument("name", type=TEXT)
@message_option
@shared_options
@pass_session
def create_command(session: Session, name: str, description: str | None) -> None:
    """Make a dataset and make it the current one.

    A name has letters, digits, '.', '_' and '-', up to 64.
    """
    session.repository(signed=True).create(name, description or "")
    out(f"made dataset {name}, now the current one")
    warn_of_override(name)
    out("next: dsvc add PATH, or dsvc import FILE --images DIR")


@click.command("list")
@json_option
@shared_options
@pass_session
def list_command(session: Session, as_json: bool) -> None:
    """List the datasets.

    `*` marks the current one. What is staged is counted, too.

    \b
    JSON: {"datasets": [{"name", "current", "description", "branch", "version": the one that is looked at or null,
           "head", "draft", "inputs", "annotations", "concepts", "versions": [NAME...]}]}
           "head" and the counts are null where the branch or version that is selected is no more.
    """
    repository = session.repository()
    rows = [_describe(dataset, repository.workspace.dataset) for dataset in repository.datasets()]
    if as_json:
        print_json({"datasets": rows})
    elif not rows:
        out("no datasets yet" + fit("; next: dsvc create NAME -m TEXT"))
    else:
        for line in table([_row(row) for row in rows], right=(1, 2, 3)):
            out(line)


def _describe(dataset: Dataset, current: str | None) -> dict[str, Any]:
    try:
        head, counts = dataset.head, dict[str, int | None](dataset.draft().counts())
    except NotFoundError:
        head, counts = None, {"concepts": None, "inputs": None, "annotations": None}
    return {
        "name": dataset.name,
        "current": dataset.name == current,
        "description": dataset.description,
        "branch": dataset.branch if dataset.pinned is None else None,
        "version": dataset.pinned,
        "head": head.hex() if head else None,
        "draft": dataset.has_draft(),
        **counts,
        "versions": [version.name for version in dataset.versions()],
    }


def _row(row: dict[str, Any]) -> tuple[str, ...]:
    found = row["inputs"] is not None
    counts = [plural(row[f"{noun}s"], noun) if found else "?" for noun in ("input", "annotation")]
    staged = "staged changes" if row["draft"] else ""
    mark = "*" if row["current"] else " "
    place = f"@{row['version']}" if row["version"] else f":{row['branch']}" if row["branch"] != "main" else ""
    return (
        f"{mark} {row['name']}{place}{'' if found else ' (is no more)'}",
        *counts,
        plural(len(row["versions"]), "version"),
        staged,
        shown(row["description"]),
    )


@click.command("use")
@click.argument("name", metavar="NAME[:BRANCH|@VERSION]", type=TEXT)
@shared_options
@pass_session
def use_command(session: Session, name: str) -> None:
    """Make a dataset the current one, or look at a version of it.

    With a branch, that is its current branch from then on. With a version, that is what all commands read, and nothing
    can be changed until a branch is chosen again: `dsvc use NAME` goes back to the branch before. The choice is this
    workspace's own. --dataset and DSVC_DATASET override the choice.
    """
    from dsvc.core.repository import MAIN
    from dsvc.core.selection import parse_selection

    selection = parse_selection(name)
    dataset = session.repository().use(*selection)
    if selection.version is not None:
        out(f"now on dataset {dataset.name}, version {selection.version}, read-only")
        out(f"back to branch {dataset.branch}: dsvc use {dataset.name}")
    else:
        branch = f", branch {dataset.branch}" if selection.branch or dataset.branch != MAIN else ""
        out(f"now on dataset {dataset.name}{branch}")
    warn_of_override(*selection)


@click.command("describe")
@click.argument("name", type=TEXT, required=False)
@click.option("-m", "--message", "description", metavar="TEXT", type=TEXT, required=True, help="What it is for.")
@shared_options
@pass_session
def describe_command(session: Session, name: str | None, description: str) -> None:
    """Say what a dataset (by default the current one) is for."""
    repository = session.repository(signed=True)
    dataset = repository.dataset(name)
    repository.describe(dataset.name, description)
    out(f"described {dataset.name}")


@click.command("rename")
@click.argument("name", type=TEXT)
@click.argument("new", type=TEXT)
@shared_options
@pass_session
def rename_command(session: Session, name: str, new: str) -> None:
    """Give a dataset another name.

    Its branches, versions and drafts follow.
    """
    session.repository(signed=True).rename(name, new)
    out(f"renamed {name} to {new}")


@click.command("delete")
@click.argument("name", type=TEXT)
@click.option("--yes", is_flag=True, help="Do not ask.")
@dry_run_option
@shared_options
@pass_session
def delete_command(session: Session, name: str, yes: bool, dry_run: bool) -> None:
    """Take a dataset away with its branches, versions and drafts.

    Asks for the name to be typed. `dsvc undo` brings the dataset back whole.
    """
    repository = session.repository(signed=True)
    dataset = repository.dataset(name)
    held = _held(dataset)
    if dry_run:
        out(f"would delete {name}: {held}")
        return
    if not yes:
        _ask(name, held)
    repository.delete(name)
    out(f"deleted {name}: {held}")
    out("dsvc undo brings it back")


def _held(dataset: Dataset) -> str:
    """What goes with a dataset, in words: runs and evaluations where there are some."""
    from dsvc.model.view import EVALUATION, RUN

    held = f"{holdings(dataset.draft().counts())}, {plural(len(dataset.versions()), 'version')}"
    for kind in (RUN, EVALUATION):
        if count := sum(1 for _ in dataset.repository.view.list(kind, dataset.name)):
            held += f", {plural(count, kind)}"
    return held


def _ask(name: str, held: str) -> None:
    if not sys.stdin.isatty():
        raise RefusedError(f"deleting {name!r} needs its name typed on a terminal", "or say: --yes")
    typed = click.prompt(f"{name} holds {held}.\nType its name to delete it", err=True, default="", show_default=False)
    if typed != name:
        raise RefusedError(f"{typed!r} is not {name!r}; nothing was deleted", f"type {name}, or say: --yes")
