"""Types of arguments: texts and paths."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

# Whether a file can be read is found out by reading it: that error is no error of usage.
PATH = click.Path(path_type=Path, readable=False)
# A path or a URL, as it was written: a Path would take one of the slashes of a URL away.
PLACE = click.Path(readable=False)


def text(value: str) -> str:
    """A text of the command line, which must be Unicode."""
    if not value.isascii() and any("\ud800" <= char <= "\udfff" for char in value):
        raise click.BadParameter(f"{value!r} is not Unicode")
    return value


class TextType(click.ParamType):  # type: ignore[type-arg] # generic in newer clicks only
    """A text, which must be Unicode."""

    name = "TEXT"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The text itself."""
        return text(str(value))


TEXT = TextType()
