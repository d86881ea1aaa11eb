"""dsvc init."""

from __future__ import annotations

from pathlib import Path

import click

from dsvc.cli.arguments import PATH
from dsvc.cli.render import out, shown
from dsvc.cli.session import shared_options
from dsvc.errors import NotFoundError


@click.command("init")
@click.argument("path", type=PATH, default=".")
@shared_options
def init_command(path: Path) -> None:
    """Make a repository in a project folder.

    It lies in the folder .dsvc of PATH (by default the current folder), and Git ignores it.
    """
    from dsvc.cli.author import find_author
    from dsvc.core.repository import FOLDER, LOCK_FILE, Repository

    if (path / LOCK_FILE).is_file() and not (path / FOLDER).exists():
        raise NotFoundError(f"{path} has a {LOCK_FILE}, and its data is not here yet", "dsvc pull")
    Repository.init(path, find_author(path))
    out(f"made a repository in {shown(str(path / '.dsvc'))}")
    out("next: dsvc create NAME -m TEXT")
