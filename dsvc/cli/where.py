"""The options --inputs, --annotations and --where, by which a command takes all that a filter is true of."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from dsvc.cli.arguments import TEXT
from dsvc.errors import UsageError

if TYPE_CHECKING:
    from dsvc.core.filters.bulk import Noun

F = TypeVar("F", bound=Callable[..., Any])
NOTHING = "nothing matches"


def where_options(function: F) -> F:
    """The three options."""
    inputs = click.option("--inputs", is_flag=True, help="With --where: all inputs that match.")
    annotations = click.option("--annotations", is_flag=True, help="With --where: all annotations that match.")
    help = "A filter such as \"concept = 'cat' and area > 1024\"; see the reference: Filters."
    where = click.option("--where", metavar="EXPR", type=TEXT, help=help)
    return inputs(annotations(where(function)))


def find_noun(
    names: Sequence[str], inputs: bool, annotations: bool, where: str | None, ways: dict[Noun, tuple[str, str]]
) -> Noun | None:
    """What --where is over; None where names say what is meant. Raises UsageError for what cannot be meant.

    `ways` has for each noun what the command does with it, and the command with EXPR in the place of the filter.
    """
    if where is None:
        if inputs or annotations:
            option = "--inputs" if inputs else "--annotations"
            raise UsageError(f"{option} needs a filter", f"say which: {option} --where EXPR")
        return None
    if names:
        raise UsageError("a filter and names do not go together", "give either --where EXPR, or names")
    if inputs == annotations:
        quoted = _quoted(where)
        text = "; ".join(f"{what}: {how.replace('EXPR', quoted)}" for what, how in ways.values())
        what = "both --inputs and --annotations" if inputs else "neither --inputs nor --annotations"
        raise UsageError(f"--where with {what}", text)
    return "inputs" if inputs else "annotations"


def _quoted(where: str) -> str:
    """A filter as one word of a shell. Texts in it stand in single quotes, so double ones are easier to read."""
    return shlex.quote(where) if set('"$`\\!') & set(where) else f'"{where}"'
