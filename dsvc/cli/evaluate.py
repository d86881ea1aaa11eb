"""dsvc evaluate, and its list, show, compare, delete."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from dsvc.cli.arguments import TEXT
from dsvc.cli.author import signed
from dsvc.cli.deleted import tell_ways_back
from dsvc.cli.distant import fit, require_reading
from dsvc.cli.progress import progress
from dsvc.cli.render import dry_run_option, json_option, out, out_notes, plural, print_json
from dsvc.cli.session import Session, pass_session, shared_options

if TYPE_CHECKING:
    from dsvc.core.scoring.scores import Kind
    from dsvc.model.commit import Author, Moment

TYPES: tuple[Kind, ...] = ("box", "mask", "keypoints", "classification")
_SHARED = ("folder", "dataset", "place", "help")
_BELOW = "dsvc.evaluate.below"


class Evaluating(click.Group):
    """A command with arguments and options of its own that has commands below it, too: whose names go first."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the command line of a command below, or else of the evaluation itself."""
        first = _first_word(args, [param for param in self.params if param.name in _SHARED])
        ctx.meta[_BELOW] = first in self.commands
        if ctx.meta[_BELOW]:
            return super().parse_args(ctx, args)
        ctx.allow_extra_args, ctx.allow_interspersed_args = False, True
        return click.Command.parse_args(self, ctx, args)

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """The parameters that the command line may have."""
        params = super().get_params(ctx)
        return [param for param in params if param.name in _SHARED] if ctx.meta.get(_BELOW) else params


def _first_word(args: Sequence[str], options: Sequence[click.Parameter]) -> str | None:
    """The first word that is no option, nor an option's value."""
    taking = {name for option in options for name in option.opts}
    words = iter(args)
    for word in words:
        if not word.startswith("-"):
            return word
        if word not in taking:
            return None
        next(words, None)
    return None


@click.group("evaluate", cls=Evaluating, invoke_without_command=True, subcommand_metavar="")
@click.argument("revision", metavar="REV", type=TEXT, required=False)
@click.argument("predictions", metavar="[PREDICTIONS]", type=TEXT, required=False)
@click.option(
    "--type", "kind", type=click.Choice(TYPES), help="What is predicted; by default what the predictions are."
)
@click.option("--where", metavar="EXPR", type=TEXT, help="Only the inputs that match; see the reference: Filters.")
@click.option("--predicted", is_flag=True, help="Only the inputs that have a prediction.")
@click.option("--iou", metavar="NUMBER", type=float, default=0.5, help="What is found overlaps so far; by default 0.5.")
@click.option("--score", metavar="NUMBER", type=float, default=0.5, help="What counts scores so high; by default 0.5.")
@click.option("--made-on", metavar="REV", type=TEXT, help="The revision whose export has the numbers of the images.")
@click.option(
    "--numbers",
    type=click.Choice(("split", "single")),
    default="split",
    help="That export was to a folder, each split numbered by itself (split, the default), or to one file (single).",
)
@click.option("--run", metavar="ID", type=TEXT, help="The predictions that a training run left; REV is then its own.")
@click.option("-m", "--message", metavar="TEXT", type=TEXT, default="", help="What it is.")
@signed
@json_option
@shared_options
@click.pass_context
def evaluate_command(context: click.Context, /, **options: Any) -> None:
    """Score predictions against a revision, and keep both, and the numbers.

    PREDICTIONS is a COCO results file: a list of {"image_id", "category_id", "score"} with a "bbox", a "segmentation"
    or "keypoints"; with none of them it classifies the image. Numbers are those of `dsvc export --format coco`;
    of an export to one file, where splits share numbers: --numbers single. "file_name" may stand for "image_id", and
    "category" (a concept's id or name) for "category_id". Or it is a revision, of this dataset or another one, with the
    same keys: there an annotation's value is its score, and where none has a value, all have the score 1.

    Figures are COCO's, by pycocotools; for classes scikit-learn's. --iou and --score are the thresholds of what is
    counted as found, wrong and missed. Ground truth and predictions become auto-generated versions. A revision that
    is called like a command below goes by @list.

    \b
    JSON: {"id", "type", "dataset", "message", "truth": {"version", "commit", "revision"}, "predictions": {"version",
           "commit", "run", "file", "revision"}, "where", "predicted", "iou", "score", "counts": {"inputs",
           "annotations", "predictions"}, "figures": {NAME: NUMBER or null}, "concepts": {ID: {NAME: NUMBER or null}},
           "author": {"name", "email"}, "time", "notes": [TEXT...]}
    """
    if context.invoked_subcommand is None:
        _evaluate(context.ensure_object(Session), **options)


def _evaluate(
    session: Session,
    *,
    author: Author | None,
    date: Moment | None,
    as_json: bool,
    revision: str | None,
    predictions: str | None,
    **options: Any,
) -> None:
    from dsvc.cli.evaluated import entry_json, evaluation_lines

    if session.place is not None:
        require_reading("evaluate", session.place)
    dataset = session.dataset(author, signed=True)
    with progress() as report:
        made = dataset.evaluate(revision, predictions, **options, author=author, time=date, progress=report)
    if as_json:
        print_json({**entry_json(made.entry), "notes": list(made.notes)})
        return
    for line in evaluation_lines(made.entry, made.scores, brief=True):
        out(line)
    out_notes(made.notes)
    id = made.entry.id
    out(f"next: dsvc evaluate show {id}, dsvc plot --evaluation {id} -o FILE.png, dsvc evaluate compare OTHER {id}")


@evaluate_command.command("list")
@json_option
@shared_options
@pass_session
def list_evaluations(session: Session, as_json: bool) -> None:
    """List the evaluations, the oldest first.

    \b
    JSON: {"dataset", "evaluations": [{as in `dsvc evaluate --json`, without "notes"}...]}
    """
    from dsvc.cli.evaluated import entry_json, list_lines

    dataset = session.dataset()
    entries = dataset.evaluations()
    if as_json:
        print_json({"dataset": dataset.name, "evaluations": [entry_json(entry, dataset.name) for entry in entries]})
    elif not entries:
        out("no evaluations yet" + fit("; next: dsvc evaluate REV PREDICTIONS"))
    for line in list_lines(entries, dataset.name) if entries and not as_json else ():
        out(line)


@evaluate_command.command("show")
@click.argument("id", metavar="ID", type=TEXT)
@json_option
@shared_options
@pass_session
def show(session: Session, id: str, as_json: bool) -> None:
    """Show an evaluation: its figures, its concepts, what was taken for what, and where the mistakes are.

    ID is that of `dsvc evaluate list`, or its first digits, at least 4; `last` is the newest, `last~1` the one before.

    \b
    JSON: {as in `dsvc evaluate --json`, without "notes"; "confusion": {"labels": [ID...], "rows": [[COUNT...]...]} of
           what is ROW and was predicted as COLUMN, "inputs": {KEY: {"found", "wrong", "missed"}},
           "curves": {CONCEPT: {"recall": [...], "precision": [...], "scores": [...]}}}
    """
    from dsvc.cli.evaluated import entry_json, evaluation_lines, scores_json

    dataset = session.dataset()
    entry = dataset.evaluation(id)
    scores = dataset.scores(entry.id)
    if as_json:
        print_json({**entry_json(entry, dataset.name), **scores_json(scores)})
        return
    for line in evaluation_lines(entry, scores, dataset.name):
        out(line)


@evaluate_command.command("compare")
@click.argument("a", metavar="A", type=TEXT)
@click.argument("b", metavar="B", type=TEXT)
@json_option
@shared_options
@pass_session
def compare(session: Session, a: str, b: str, as_json: bool) -> None:
    """Compare two evaluations: what got better from A to B, what worse, and which inputs account for it.

    Such as last~1 and last. They must be of the same type, IoU and score.

    \b
    JSON: {"from": ID, "to": ID, "type", "iou", "score", "figures": {NAME: {"old", "new", "delta"}}, "concepts":
           {ID: {NAME: {"old", "new", "delta"}}}, "inputs": {"better", "worse", "even": [{"key", "mistakes": HOW MANY
           MORE, "old", "new": {"found", "wrong", "missed"}}...], "removed", "added": [KEY...]}, "notes": [TEXT...]}
    """
    from dsvc.cli.evaluated import comparison_json, comparison_lines
    from dsvc.core.evaluating.comparing import compare_evaluations

    dataset = session.dataset()
    old, new = dataset.evaluation(a), dataset.evaluation(b)
    found = compare_evaluations(dataset, old, new)
    if as_json:
        print_json({"from": old.id, "to": new.id, **comparison_json(found)})
        return
    for line in comparison_lines(old, new, found, dataset.name):
        out(line)


@evaluate_command.command("delete")
@click.argument("id", metavar="ID", type=TEXT)
@dry_run_option
@shared_options
@pass_session
def delete(session: Session, id: str, dry_run: bool) -> None:
    """Take an evaluation away, with the auto-generated versions of its data that nothing else needs."""
    from dsvc.core.ledger import bare_entry
    from dsvc.model.view import EVALUATION

    dataset = session.dataset(signed=True)
    entry = bare_entry(dataset, EVALUATION, id)
    gone = dataset.delete_evaluation(entry.id, dry_run=dry_run)
    with_them = f", with {plural(len(gone), 'auto-generated version')}" if gone else ""
    out(f"{'would delete' if dry_run else 'deleted'} evaluation {entry.id} of {dataset.name}{with_them}")
    if not dry_run:
        tell_ways_back(dataset, entry.id)
