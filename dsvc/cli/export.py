"""dsvc export."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dsvc.cli.arguments import TEXT
from dsvc.cli.progress import progress, watched
from dsvc.cli.render import json_option, out, plural, print_json, shown
from dsvc.cli.session import Session, pass_session, shared_options
from dsvc.errors import RefusedError, UsageError

if TYPE_CHECKING:
    from dsvc.core.dataset import Dataset
    from dsvc.core.state import State

FORMS = "name a folder, a .zip or, with --format coco, a .json"
# What else people call a file; any other suffix may well be part of a folder's name, as in pets-1.2.
FILES = re.compile(
    r"\.(7z|bin|bz2|csv|gz|html?|jpe?g|jsonl|md|ndjson|npz|parquet|pb|pdf|png|rar|tar|tbz|tgz|tsv|txt|txz|xml|xz|ya?ml|zst)",
    re.IGNORECASE,
)


class OutputType(click.Path):
    """Where an export goes: a folder, a .zip or a .json."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path. Raises UsageError for what names no place, or a file of another kind."""
        name = str(value)
        if not name.strip():
            raise UsageError("-o names no place for the export", FORMS)
        if name == "-":
            raise UsageError("an export cannot go to standard output", FORMS)
        suffix = Path(name).suffix
        if FILES.fullmatch(suffix):
            raise UsageError(f"no export has the form {suffix}", FORMS)
        return super().convert(value, param, ctx)


@click.command("export")
@click.argument("revision", metavar="[REV]", type=TEXT, default="HEAD")
@click.option(
    "--format",
    metavar="FORMAT",
    type=TEXT,
    default="clarifai-protobuf",
    show_default=True,
    help="clarifai-protobuf, clarifai-json, coco or mask; clarifai-protobuf/1 names the profile.",
)
@click.option(
    "-o",
    "--output",
    metavar="OUT",
    type=OutputType(path_type=Path, readable=False),
    required=True,
    help="A folder, a .zip, or (coco) one .json.",
)
@click.option("--where", metavar="EXPR", type=TEXT, help="Only the inputs that match; see the reference: Filters.")
@click.option("--media", is_flag=True, help="The bytes of the inputs, too.")
@click.option("--force", is_flag=True, help="Replace an earlier export at OUT.")
@click.option("--strict", is_flag=True, help="Refuse where anything would be left out, and write nothing.")
@click.option("--committed", is_flag=True, help="Leave staged changes out, without asking.")
@json_option
@shared_options
@pass_session
def export_command(
    session: Session,
    revision: str,
    format: str,
    output: Path,
    where: str | None,
    media: bool,
    force: bool,
    strict: bool,
    committed: bool,
    as_json: bool,
) -> None:
    """Write a revision as Clarifai Protobuf, Clarifai JSON, COCO or PNG masks.

    Where changes are staged, the revision has to be pinned (pets@v1, HEAD~1), or say --committed. The same revision
    gives the same bytes; what is at OUT already is left untouched when it is the same, and refused when it differs.
    With --where, only inputs that a filter is true of are written, with all their annotations; all concepts stay, so
    that each part of a version has the same list of classes.

    \b
    JSON: {"dataset", "commit", "path", "profile", "entries", "inputs", "annotations", "unchanged", "notes": [TEXT...],
           "losses": those of the notes that say what was left out}
    """
    dataset = session.dataset()
    state = dataset.at(revision)
    _expect_committed(dataset, state, committed)
    with progress() as report:
        options: dict[str, Any] = {"media": media, "force": force, "strict": strict, "where": where}
        result = watched(state, report).export(format, output, **options, progress=report)
    if as_json:
        fields = {name: getattr(result, name) for name in ("profile", "entries", "inputs", "annotations", "unchanged")}
        commit = state.commit.hex() if state.commit else None
        head = {"dataset": state.revision.dataset, "commit": commit, "path": str(output)}
        print_json({**head, **fields, "notes": list(result.notes), "losses": list(result.losses)})
        return
    what = f"{plural(result.inputs, 'input')}, {plural(result.annotations, 'annotation')}"
    if result.unchanged:
        out(f"{shown(str(output))} holds the same already: {result.profile}, {what}")
    else:
        out(f"wrote {shown(str(output))}: {result.profile}, {what}")
    for text in result.notes:
        out(f"note: {shown(text)}")


def _expect_committed(current: Dataset, state: State, committed: bool) -> None:
    """Refuse a branch that has staged changes or no commit."""
    revision = state.revision
    if not revision.is_pinned and not committed:
        dataset = current.repository.dataset(revision.dataset, revision.branch)
        if dataset.has_draft():
            hint = "commit them: dsvc commit -m TEXT, or leave them out: --committed"
            raise RefusedError(f"{dataset.name} has staged changes that are in no commit", hint)
    if revision.commit is None:
        raise RefusedError(f"{revision.dataset} has no commit yet", "dsvc add PATH, then dsvc commit -m TEXT")
