"""dsvc materialize."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import click

from dsvc.cli.arguments import TEXT
from dsvc.cli.exit import Exit
from dsvc.cli.progress import progress
from dsvc.cli.render import NEXT, dry_run_option, json_option, note, out, plural, print_json, shown, size
from dsvc.cli.session import Session, pass_session, shared_options
from dsvc.errors import UsageError

if TYPE_CHECKING:
    from dsvc.core.references.materializing import MaterializeReport


@click.command("materialize")
@click.argument("keys", metavar="[KEY...]", type=TEXT, nargs=-1)
@click.option("--all", "all_inputs", is_flag=True, help="All inputs that refer to bytes elsewhere.")
@click.option("--where", metavar="EXPR", type=TEXT, help="The inputs for which this SQL condition holds.")
@click.option(
    "--on-error",
    type=click.Choice(["stop", "skip"]),
    default="stop",
    help="What to do where bytes are gone or changed: stop, or copy the rest.",
)
@dry_run_option
@json_option
@shared_options
@pass_session
def materialize_command(
    session: Session,
    keys: tuple[str, ...],
    all_inputs: bool,
    where: str | None,
    on_error: Literal["stop", "skip"],
    dry_run: bool,
    as_json: bool,
) -> int:
    """Copy in the bytes that inputs refer to.

    They must be what they were when they were added: of the same size, and of the same hash where it is known, else
    of the same ETag or time. What is gone or changed is named, and then nothing is copied; with --on-error skip the
    rest is, and the exit code is 1. The inputs keep their references.

    \b
    JSON: {"dataset", "dry_run", "inputs": [KEY...], "bytes", "held", "problems": [{"key", "reason"}]}
    """
    if sum((bool(keys), all_inputs, where is not None)) != 1:
        raise UsageError("name the inputs in one way", "dsvc materialize KEY..., or --where EXPR, or --all")
    dataset = session.dataset(signed=True)
    with progress() as report:
        result = dataset.materialize(
            *keys, where=where, all=all_inputs, on_error=on_error, dry_run=dry_run, progress=report
        )
    if as_json:
        head = {"dataset": dataset.name, "dry_run": dry_run, "inputs": list(result.keys), "bytes": result.bytes}
        problems = [{"key": key, "reason": reason} for key, reason in result.problems]
        print_json({**head, "held": result.held, "problems": problems})
    else:
        _print(result, dry_run)
    if result.problems:
        from dsvc.cli.failure import tell_problems

        note(f"error: the bytes of {plural(len(result.problems), 'input')} could not be copied")
        tell_problems(tuple(f"{shown(key)}: {reason}" for key, reason in result.problems))
        return Exit.NO
    return Exit.DONE


def _print(result: MaterializeReport, dry_run: bool) -> None:
    words = f"{plural(len(result.keys), 'input')}, {size(result.bytes)}" if result.keys else "nothing"
    held = f"; {result.held:,} held already" if result.held else ""
    out(f"{'would copy' if dry_run else 'copied'} {words}{held}")
    if result.keys and not dry_run:
        out(NEXT)
