"""dsvc init."""

from __future__ import annotations

from pathlib import Path

import click

from dsvc.cli.arguments import PATH
from dsvc.cli.render import out, shown
from dsvc.cli.session import shared_options


@click.command("init")
@click.argument("path", type=PATH, default=".")
@shared_options
def init_command(path: Path) -> None:
    """Make a repository in a project folder.

    It lies in the folder .dsvc of PATH (by default the current folder), and Git ignores it.
    """
    from dsvc.cli.author import find_author
    from dsvc.core.repository import Repository

    Repository.init(path, find_author(path))
    out(f"made a repository in {shown(str(path / '.dsvc'))}")
    out("next: dsvc create NAME -m TEXT")
