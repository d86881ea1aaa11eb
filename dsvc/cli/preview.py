"""dsvc preview."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dsvc.cli.arguments import PATH, TEXT
from dsvc.cli.progress import progress
from dsvc.cli.render import json_option, note, out, plural, print_json, shown
from dsvc.cli.session import Session, pass_session, shared_options

if TYPE_CHECKING:
    from dsvc.core.pictures.previews import Preview

_NOTES = 10


@click.command("preview")
@click.argument("revision", metavar="[REV", type=TEXT, required=False)
@click.argument("other", metavar="[REV2]]", type=TEXT, required=False)
@click.option("--key", "keys", metavar="KEY", type=TEXT, multiple=True, help="This input; several in the order given.")
@click.option("--where", metavar="EXPR", type=TEXT, help="Only inputs that match; see the reference: Filters.")
@click.option("--limit", metavar="N", type=int, default=25, show_default=True, help="At most so many inputs.")
@click.option("--columns", metavar="N", type=int, help="So many in a row; by default as many as there are rows.")
@click.option("--size", metavar="PX", type=int, default=320, show_default=True, help="Width and height of a thumbnail.")
@click.option("-o", "--output", metavar="FILE", type=PATH, required=True, help="Write a file: .jpg or .png.")
@click.option("--force", is_flag=True, help="Replace FILE.")
@json_option
@shared_options
@pass_session
def preview_command(
    session: Session,
    revision: str | None,
    other: str | None,
    keys: tuple[str, ...],
    where: str | None,
    limit: int,
    columns: int | None,
    size: int,
    output: Path,
    force: bool,
    as_json: bool,
) -> None:
    """Draw a contact sheet of a revision, or of what differs between two.

    Each input's picture, with its boxes, polygons, masks, keypoints and points drawn on, and its key and concepts
    below; a concept has one colour everywhere. Without REV: what the dataset holds now, staged changes included.
    Without --key, the inputs are evenly spread over all (or over those that match), in the order of their keys: the
    same ones each time. With REV2, the inputs that differ: what is gone in red, what came in green, what changed in
    both, the old dashed. Media that is not here, or cannot be decoded, has a card that says so, and a note on stderr.

    \b
    JSON: {"path", "width", "height", "inputs": [KEY...], "of": COUNT, "problems": [{"key", "text"}...]}
    """
    from dsvc.core.pictures.encoding import encoded
    from dsvc.core.pictures.previews import Options, preview_diff, preview_state
    from dsvc.core.pictures.saving import SHEETS, check_target, save

    check_target(output, SHEETS, force)
    dataset = session.dataset()
    options = Options(keys, where, limit, columns, size)
    state = dataset.draft() if revision is None else dataset.at(revision)
    with progress() as report:
        if other is None:
            found = preview_state(state, options, report)
        else:
            found = preview_diff(state, dataset.at(other), options, report)
        save(output, SHEETS, force, lambda suffix: encoded(found.image, suffix))
    _tell(found, output, differing=other is not None, as_json=as_json)


def _tell(found: Preview, output: Path, *, differing: bool, as_json: bool) -> None:
    for key, problem in found.problems[:_NOTES]:
        note(f"note: {shown(key)}: {shown(problem)}")
    if len(found.problems) > _NOTES:
        note(f"note: ... and {len(found.problems) - _NOTES:,} more; all are in --json")
    if as_json:
        problems = [{"key": key, "text": problem} for key, problem in found.problems]
        size = {"width": found.image.width, "height": found.image.height}
        print_json({"path": str(output), **size, "inputs": list(found.keys), "of": found.of, "problems": problems})
        return
    of = f" of {found.of:,}" if found.of > len(found.keys) else ""
    what = " that differ" if differing and found.of > 1 else " that differs" if differing else ""
    inputs = f"{len(found.keys):,}{of} inputs" if of else plural(len(found.keys), "input")
    out(f"wrote {shown(str(output))}: {inputs}{what}")
