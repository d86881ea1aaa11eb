"""dsvc concept list, rename, merge, delete."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dsvc.cli.arguments import TEXT
from dsvc.cli.author import signed
from dsvc.cli.distant import fit
from dsvc.cli.progress import progress
from dsvc.cli.render import NEXT, dry_run_option, json_option, out, plural, print_json, shown, table
from dsvc.cli.session import Session, pass_session, shared_options

if TYPE_CHECKING:
    from dsvc.core.concepts import ConceptCount, ConceptReport
    from dsvc.core.dataset import Dataset
    from dsvc.model.commit import Author, Moment

message_option = click.option(
    "-m", "--message", metavar="TEXT", type=TEXT, help="Commit at once; else the change is staged."
)


@click.group("concept")
@shared_options
def concept_command() -> None:
    """List, rename, merge and delete concepts.

    A concept is what annotations name. Annotations follow every change, and keep their ids.
    """


@concept_command.command("list")
@click.argument("revision", metavar="[REV]", type=TEXT, required=False)
@json_option
@shared_options
@pass_session
def list_concepts(session: Session, revision: str | None, as_json: bool) -> None:
    """List the concepts, with how many annotations and inputs use each.

    Without REV: as they are now, staged changes included. The last column is the number that a COCO file gave.

    \b
    JSON: {"dataset", "concepts": [{"id", "name", "supercategory", "keypoints", "skeleton", "number", "annotations",
           "inputs"}]}; what a concept does not have is null
    """
    dataset = session.dataset()
    counts = dataset.count_concepts(revision)
    if as_json:
        print_json({"dataset": dataset.name, "concepts": [_count_json(count) for count in counts]})
    elif not counts:
        out("no concepts yet" + fit("; next: dsvc import FILE, or dsvc annotate KEY --concept NAME"))
    else:
        for line in table([_row(count) for count in counts], right=(1, 2, 3)):
            out(line)


def _count_json(count: ConceptCount) -> dict[str, Any]:
    names = ("id", "name", "supercategory", "keypoints", "skeleton", "number")
    fields = {name: getattr(count.concept, name) for name in names}
    return {**fields, "annotations": count.annotations, "inputs": count.inputs}


def _row(count: ConceptCount) -> tuple[str, ...]:
    concept = count.concept
    number = f"number {shown(str(concept.number))}" if concept.number is not None else ""
    return shown(concept.id), plural(count.annotations, "annotation"), plural(count.inputs, "input"), number


@concept_command.command("rename")
@click.argument("old", type=TEXT)
@click.argument("new", type=TEXT)
@message_option
@signed
@json_option
@shared_options
@pass_session
def rename(
    session: Session,
    old: str,
    new: str,
    message: str | None,
    author: Author | None,
    date: Moment | None,
    as_json: bool,
) -> None:
    """Give a concept another name.

    \b
    JSON: {"dataset", "dry_run": false, "names": {OLD: NEW or null}, "annotations", "inputs", "lists", "doubles",
           "commit": ID or null}
    """
    dataset = session.dataset(author, signed=True)
    with progress() as watch:
        report = dataset.rename_concept(old, new, progress=watch, message=message, author=author, time=date)
    _tell(dataset, report, f"renamed concept {shown(old)} to {shown(new)}", message, as_json)


@concept_command.command("merge")
@click.argument("names", metavar="A [B...] into C", type=TEXT, nargs=-1, required=True)
@message_option
@signed
@json_option
@shared_options
@pass_session
def merge(
    session: Session,
    names: tuple[str, ...],
    message: str | None,
    author: Author | None,
    date: Moment | None,
    as_json: bool,
) -> None:
    """Make one concept of several.

    C may be a new name. It keeps what it says of itself, and the smallest of their numbers. Annotations that become
    equal stay, and are counted. Concepts of different keypoints are not merged.

    \b
    JSON: as that of `dsvc concept rename`
    """
    if len(names) < 3 or names[-2] != "into":
        raise click.UsageError("say what goes into what: dsvc concept merge A B into C")
    *merged, _, into = names
    dataset = session.dataset(author, signed=True)
    with progress() as watch:
        report = dataset.merge_concepts(*merged, into=into, progress=watch, message=message, author=author, time=date)
    gone = ", ".join(map(shown, report.names))
    _tell(dataset, report, f"merged {gone} into {shown(into)}", message, as_json)


@concept_command.command("delete")
@click.argument("name", type=TEXT)
@click.option("--with-annotations", is_flag=True, help="Take away what names it, too.")
@message_option
@signed
@dry_run_option
@json_option
@shared_options
@pass_session
def delete(
    session: Session,
    name: str,
    with_annotations: bool,
    message: str | None,
    author: Author | None,
    date: Moment | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Take a concept away that nothing names.

    \b
    JSON: as that of `dsvc concept rename`
    """
    dataset = session.dataset(author, signed=True)
    with progress() as watch:
        if dry_run:
            from dsvc.core.concepts import plan_deletion

            report = plan_deletion(dataset.draft().snapshot, name, with_annotations)
        else:
            signature = {"message": message, "author": author, "time": date}
            report = dataset.delete_concept(name, with_annotations, progress=watch, **signature)
    verb = "would delete" if dry_run else "deleted"
    _tell(dataset, report, f"{verb} concept {shown(name)}", message, as_json, dry_run)


def _tell(
    dataset: Dataset, report: ConceptReport, done: str, message: str | None, as_json: bool, dry_run: bool = False
) -> None:
    if as_json:
        counts = {name: getattr(report, name) for name in ("annotations", "inputs", "lists", "doubles")}
        commit = report.commit.id.hex() if report.commit is not None else None
        print_json({"dataset": dataset.name, "dry_run": dry_run, "names": report.names, **counts, "commit": commit})
        return
    out(f"{done}, with {plural(report.annotations, 'annotation')} on {plural(report.inputs, 'input')}")
    if report.lists:
        out(f"the lists of concepts of {plural(report.lists, 'input')} changed with it")
    if report.doubles:
        equal = "equals" if report.doubles == 1 else "equal"
        out(f"note: {plural(report.doubles, 'annotation')} now {equal} another; none is taken away")
    if report.commit is not None and message is not None:
        out(f"[{dataset.name} {dataset.branch} {report.commit.id.short()}] {shown(message.strip().splitlines()[0])}")
        out("dsvc undo takes back both the commit and the change")
    elif not dry_run:
        out(f"{NEXT}, or take it back: dsvc undo")
