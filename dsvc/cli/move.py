"""dsvc mv."""

from __future__ import annotations

import click

from dsvc.cli.arguments import TEXT
from dsvc.cli.render import NEXT, json_option, out, plural, print_json, shown
from dsvc.cli.session import Session, pass_session, shared_options


@click.command("mv")
@click.argument("names", metavar="KEY NEW | KEY... FOLDER/", type=TEXT, nargs=-1, required=True)
@json_option
@shared_options
@pass_session
def mv_command(session: Session, names: tuple[str, ...], as_json: bool) -> None:
    """Give an input another key, or move inputs to a folder.

    A folder ends in /. Annotations follow, and keep their ids. Files on disk are not touched.

    \b
    JSON: {"dataset", "moves": {OLD: NEW}, "annotations": COUNT}
    """
    if len(names) < 2:
        raise click.UsageError("say which input gets which key: dsvc mv KEY NEW, or dsvc mv KEY... FOLDER/")
    *keys, target = names
    dataset = session.dataset(signed=True)
    report = dataset.move(*keys, to=target)
    if as_json:
        print_json({"dataset": dataset.name, "moves": report.moves, "annotations": report.annotations})
        return
    ((first, new), *others) = report.moves.items()
    what = f"{plural(len(others) + 1, 'input')} to {shown(target)}" if others else f"{shown(first)} to {shown(new)}"
    out(f"moved {what}, with {plural(report.annotations, 'annotation')}; files on disk are not touched")
    out(f"{NEXT}, or take it back: dsvc undo")
