"""dsvc clone."""

from __future__ import annotations

import os
from pathlib import Path, PurePath

import click

from dsvc.cli.arguments import PATH, PLACE, TEXT
from dsvc.cli.entered import entered_json, refused_json, tell_entered
from dsvc.cli.progress import progress
from dsvc.cli.remote import left_out
from dsvc.cli.render import json_option, out, plural, print_json, shown, size
from dsvc.cli.session import folder_option
from dsvc.errors import RefusedError, UsageError


@click.command("clone")
@click.argument("url", type=PLACE)
@click.argument("target", metavar="[FOLDER]", type=PATH, required=False)
@click.option("--no-media", "lazy", is_flag=True, help="Leave media at the remote until it is read.")
@click.option(
    "-d", "--dataset", "datasets", type=TEXT, multiple=True, metavar="NAME", help="Only this dataset; repeatable."
)
@json_option
@folder_option
def clone_command(url: str, target: Path | None, lazy: bool, datasets: tuple[str, ...], as_json: bool) -> None:
    """Make a repository with all that a remote has.

    URL is the folder of a remote, by path or as file://, or of a project. The repository is made in FOLDER, which is
    called like the remote's by default, with all its datasets, branches and versions; the remote is called origin
    there. Where a project's code is cloned with Git and has a dsvc.lock, `dsvc pull` is what you want.

    With --no-media all records come, and media when it is read; with --dataset only the history of some datasets. That
    is kept in .dsvc/workspace.toml: fetches and pulls leave the rest at the remote, too. A clone that broke off goes on
    where it was when it is run again.

    \b
    JSON: {"folder", "url", "dataset": the current one or null, "datasets": [NAME...], "media": whether it came along,
           "commits", "objects", "bytes", what came, "runs", "evaluations": [{"dataset", "id"}...] of these,
           "left_out": media that was purged, "refused": [{"kind", "dataset", "id", "why"}...] of runs and evaluations
           that are not sound}
    """
    from dsvc.cli.author import find_author
    from dsvc.core.references.places import shown_place
    from dsvc.remote.cloning import clone

    place = _absolute(url)
    target = target if target is not None else Path(_name(place))
    with progress() as report:
        done = clone(place, target, find_author(target), report, media=not lazy, datasets=datasets)
    names = [dataset.name for dataset in done.repository.datasets()]
    fetched = done.fetched
    if as_json:
        head = {"folder": str(target), "url": shown_place(place), "dataset": done.dataset, "datasets": names}
        counts = {"commits": fetched.commits, "objects": fetched.objects, "bytes": fetched.bytes}
        more = {"left_out": fetched.left_out, "refused": refused_json(fetched.entered)}
        print_json({**head, "media": not lazy, **counts, **entered_json(fetched.entered), **more})
        return
    out(f"made a repository in {shown(str(target / '.dsvc'))}")
    came = f"{plural(fetched.commits, 'commit')}, {plural(fetched.objects, 'object')}, {size(fetched.bytes)}"
    out(f"received {came} from origin: {shown(shown_place(place))}")
    tell_entered(fetched.entered, "at origin", "here")
    left_out(fetched.left_out, "at origin")
    if lazy:
        out("media stays there, and comes when it is read")
    for name in names:
        out(f"{'*' if name == done.dataset else ' '} {shown(name)}")
    out(f"next: cd {shown(str(target))}" + (", and dsvc show" if names else ""))


def _absolute(url: str) -> str:
    """A URL as it is, a path without `~` and from the root on."""
    from dsvc.core.references.places import scheme

    if not url:
        raise UsageError("an empty text names no remote", "dsvc clone PATH")
    if scheme(url):
        return url
    return os.path.abspath(os.path.expanduser(url))  # noqa: PTH100, PTH111 - no `..` is kept, and `~nobody` stays one


def _name(place: str) -> str:
    """What a clone is called by default: as the remote's folder is."""
    from urllib.parse import unquote, urlsplit

    from dsvc.core.references.places import scheme

    path = PurePath(unquote(urlsplit(place).path) if scheme(place) else place)
    name = path.parent.name if path.name == ".dsvc" else path.name
    if not name:
        raise RefusedError(
            f"{shown(place)} has no name that a folder could have", "say where to: dsvc clone URL FOLDER"
        )
    return name
