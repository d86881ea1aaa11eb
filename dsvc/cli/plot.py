"""dsvc plot."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dsvc.cli.arguments import PATH, TEXT
from dsvc.cli.render import json_option, out, print_json, shown
from dsvc.cli.session import Session, pass_session, shared_options
from dsvc.errors import UsageError

if TYPE_CHECKING:
    from dsvc.core.dataset import Dataset


@click.command("plot")
@click.argument("revision", metavar="[REV]", type=TEXT, required=False)
@click.option("--evaluation", metavar="ID", type=TEXT, help="Plot an evaluation: `dsvc evaluate list` tells its ID.")
@click.option(
    "--kind",
    "kinds",
    metavar="KIND",
    type=TEXT,
    multiple=True,
    help="balance, sizes, locations or inputs; of an evaluation curves or confusion. All of them by default.",
)
@click.option("-o", "--output", metavar="FILE", type=PATH, required=True, help="Write a file: .png, .svg or .pdf.")
@click.option("--force", is_flag=True, help="Replace FILE.")
@json_option
@shared_options
@pass_session
def plot_command(
    session: Session,
    revision: str | None,
    evaluation: str | None,
    kinds: tuple[str, ...],
    output: Path,
    force: bool,
    as_json: bool,
) -> None:
    """Plot what a revision holds, or the curves of an evaluation.

    Of a revision (without REV: what the dataset holds now): annotations by concept, sizes of boxes beside COCO's small,
    medium and large, where on the picture they lie, and how many annotations inputs have. Of an evaluation: precision
    and recall by concept, and the confusion matrix. The same numbers give the same file with the same Matplotlib.

    \b
    JSON: {"path", "dataset", "evaluation": ID or null, "kinds": [KIND...]}
    """
    from dsvc.core.pictures.figures import figure_bytes
    from dsvc.core.pictures.results import KINDS
    from dsvc.core.pictures.saving import PLOTS, check_target, save

    if revision is not None and evaluation is not None:
        raise UsageError("a revision and an evaluation do not go together", "give either REV, or --evaluation ID")
    check_target(output, PLOTS, force)
    dataset = session.dataset()
    if evaluation is not None:
        drawn = dict.fromkeys(kinds or KINDS)
        figure = _evaluation(dataset, evaluation, kinds)
    else:
        from dsvc.core.pictures.plots import draw_panels, gather_panels

        state = dataset.draft() if revision is None else dataset.at(revision)
        drawn = gather_panels(state, kinds)
        figure = draw_panels(state, drawn)
    save(output, PLOTS, force, lambda suffix: figure_bytes(figure, suffix))
    if as_json:
        head = {"path": str(output), "dataset": dataset.name, "evaluation": evaluation}
        print_json({**head, "kinds": list(drawn)})
    else:
        out(f"wrote {shown(str(output))}")


def _evaluation(dataset: Dataset, id: str, kinds: tuple[str, ...]) -> Any:
    """The figure of an evaluation."""
    from dsvc.core.evaluating.record import describe
    from dsvc.core.pictures.extras import require_matplotlib
    from dsvc.core.pictures.results import plot_scores

    require_matplotlib()
    entry = dataset.evaluation(id)
    said = describe(entry, dataset.name)
    return plot_scores(dataset.scores(entry.id), f"{said.source} beside {said.truth}", kinds)
