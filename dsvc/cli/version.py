"""dsvc version create, list, show, delete."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dsvc.cli.arguments import TEXT
from dsvc.cli.author import signed
from dsvc.cli.distant import fit
from dsvc.cli.render import (
    author_json,
    dry_run_option,
    holdings,
    iso,
    json_option,
    out,
    plural,
    print_json,
    shown,
    table,
    when,
)
from dsvc.cli.session import Session, pass_session, shared_options
from dsvc.errors import DsvcError
from dsvc.model.view import MANUAL, VERSION

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dsvc.core.dataset import Dataset
    from dsvc.core.ledger import Uses
    from dsvc.core.state import State
    from dsvc.core.versioning import NamedVersion
    from dsvc.model.commit import Author, Moment


@click.group("version")
@shared_options
def version_command() -> None:
    """Create, list, show and delete versions.

    A version is an immutable, named tag on a commit.
    """


@version_command.command("create")
@click.argument("name", type=TEXT, required=False)
@click.option("-m", "--message", metavar="TEXT", type=TEXT, default="", help="What it is.")
@click.option("--commit", "commits", is_flag=True, help="Commit what is staged first.")
@click.option("--at", "revision", metavar="REV", type=TEXT, help="Tag this revision, not the branch's head.")
@signed
@json_option
@shared_options
@pass_session
def create(
    session: Session,
    name: str | None,
    message: str,
    commits: bool,
    revision: str | None,
    author: Author | None,
    date: Moment | None,
    as_json: bool,
) -> None:
    """Tag the head of the current branch as a version.

    Without NAME: v1, v2, ... Creating the same version of the same commit again changes nothing.

    \b
    JSON: {"created": whether it is new, and the members of `dsvc version show --json`}
    """
    dataset = session.dataset(author, signed=True)
    before = {version.name for version in dataset.versions()}
    state = dataset.create_version(name, message, revision=revision, commit=commits, author=author, time=date)
    made = dataset.version(state.revision.version or "")
    if as_json:
        print_json({"created": made.name not in before, **_json(dataset, made, dataset.uses())})
    elif made.name in before:
        out(f"version {made.name} of {dataset.name} is at {made.version.commit.short()} already")
    else:
        out(f"made version {made.name} of {dataset.name} at {made.version.commit.short()}")
        out(f"holds {holdings(state.counts())}")
        out(f"next: dsvc export {dataset.name}@{made.name} -o OUT")


@version_command.command("list")
@click.option("--auto", is_flag=True, help="Those that training and evaluation made by themselves.")
@json_option
@shared_options
@pass_session
def list_versions(session: Session, auto: bool, as_json: bool) -> None:
    """List the versions, the oldest first.

    Those that `dsvc train` and `dsvc evaluate` made of their data are auto-generated, and are listed apart: with
    --auto, each with where it comes from and which run or evaluation it is the data of.

    \b
    JSON: {"dataset", "auto_generated": how many auto-generated ones there are,
           "versions": [{as in `dsvc version show --json`}...]}
    """
    dataset = session.dataset()
    versions, generated = dataset.versions(), dataset.versions(auto=True)
    listed = generated if auto else versions
    if as_json:
        uses = dataset.uses()
        rows = [_json(dataset, version, uses) for version in listed]
        print_json({"dataset": dataset.name, "auto_generated": len(generated), "versions": rows})
        return
    if not listed:
        out("no auto-generated versions" if auto else "no versions yet" + fit("; next: dsvc version create"))
    for line in _lines(dataset, listed, auto):
        out(line)
    if generated and not auto:
        out(f"and {plural(len(generated), 'auto-generated version')}" + fit(": dsvc version list --auto"))


def _lines(dataset: Dataset, listed: list[NamedVersion], auto: bool) -> Iterable[str]:
    if not listed:
        return ()
    if auto:
        uses = dataset.uses()
        return table([_auto_row(version, uses) for version in listed])
    return table([_row(dataset, version) for version in listed], right=(4, 5))


def _row(dataset: Dataset, named: NamedVersion) -> tuple[str, ...]:
    version = named.version
    subject = shown(version.message.strip().partition("\n")[0])
    try:
        counts = _counts(dataset, named)
        holds = plural(counts["inputs"], "input"), plural(counts["annotations"], "annotation")
    except DsvcError:  # the others are listed all the same
        holds = "cannot be read", ""
    return (shown(named.name), version.commit.short(), when(version.time), shown(version.author.name), *holds, subject)


def _auto_row(named: NamedVersion, uses: Uses) -> tuple[str, ...]:
    version = named.version
    # The time is in the name.
    return (shown(named.name), version.commit.short(), version.origin, _users(named, uses))


def _users(named: NamedVersion, uses: Uses) -> str:
    """The runs and evaluations that are of a version, in words."""
    return ", ".join(f"{kind} {id}" for kind, _, id in uses.of(*named))


@version_command.command("show")
@click.argument("name", type=TEXT)
@json_option
@shared_options
@pass_session
def show(session: Session, name: str, as_json: bool) -> None:
    """Show one version. What is in it: dsvc show NAME.

    \b
    JSON: {"dataset", "name", "commit", "message", "author": {"name", "email"}, "time",
           "origin": "manual" | "training" | "eval_ground_truth" | "eval_predictions",
           "used_by": [{"kind": "run" | "evaluation", "id"}...], those that it is the data of, or, where it is
                      auto-generated, that name it,
           "inputs", "annotations", "concepts",
           "unlabeled_inputs": COUNT, or null where that was not counted yet: see dsvc metrics NAME}
    """
    dataset = session.dataset()
    named, uses = dataset.version(name), dataset.uses()
    if as_json:
        print_json(_json(dataset, named, uses))
        return
    version, unlabeled = named.version, _unlabeled(dataset, named)
    out(f"version {shown(named.name)} of {dataset.name}, commit {version.commit.short()}")
    out(f"{shown(str(version.author))}, {when(version.time)}")
    if version.origin != MANUAL:
        out(f"auto-generated, origin {version.origin}")
    if users := _users(named, uses):
        out(f"data of {users}")
    for line in version.message.strip().splitlines():
        out(f"    {shown(line)}".rstrip())
    out(f"holds {holdings(_counts(dataset, named))}")
    if unlabeled:
        out(f"without a label: {plural(unlabeled, 'input')}")


@version_command.command("delete")
@click.argument("name", type=TEXT)
@dry_run_option
@shared_options
@pass_session
def delete(session: Session, name: str, dry_run: bool) -> None:
    """Take a version's name away; its commit stays.

    An auto-generated version that is the data of a run or an evaluation goes with that, and not before.
    """
    from dsvc.core.automatic import require_unkept

    dataset = session.dataset(signed=True)
    commit = dataset.version(name).version.commit.short()
    if dry_run:
        require_unkept(dataset.repository.view, dataset.repository.store, (VERSION, dataset.name, name))
        out(f"would delete version {name} of {dataset.name}, at {commit}")
        return
    dataset.delete_version(name)
    out(f"deleted version {name} of {dataset.name}, at {commit}")
    out("dsvc undo brings it back")


def _counts(dataset: Dataset, named: NamedVersion) -> dict[str, int]:
    return _state(dataset, named).counts()


def _unlabeled(dataset: Dataset, named: NamedVersion) -> int | None:
    """How many inputs have no label; None where it would take long to count them."""
    from dsvc.core.metrics.metrics import known_metrics

    found = known_metrics(_state(dataset, named).snapshot)
    return found.counts["unlabeled_inputs"] if found is not None else None


def _state(dataset: Dataset, named: NamedVersion) -> State:
    return dataset.at(f"{dataset.name}@{named.name}")


def _json(dataset: Dataset, named: NamedVersion, uses: Uses) -> dict[str, Any]:
    version = named.version
    return {
        "dataset": dataset.name,
        "name": named.name,
        "commit": version.commit.hex(),
        "message": version.message,
        "author": author_json(version.author),
        "time": iso(version.time),
        "origin": version.origin,
        "used_by": [{"kind": kind, "id": id} for kind, _, id in uses.of(*named)],
        **_counts(dataset, named),
        "unlabeled_inputs": _unlabeled(dataset, named),
    }
