"""dsvc remote: add, list, remove; and the question before a remote that came with the project is used."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dsvc.cli.arguments import PLACE, TEXT
from dsvc.cli.render import dry_run_option, json_option, out, print_json, shown, table
from dsvc.cli.session import Session, pass_session, shared_options
from dsvc.errors import RefusedError

if TYPE_CHECKING:
    from dsvc.core.repository import Repository
    from dsvc.remote.settings import Remote

yes_option = click.option("--yes", is_flag=True, help="Agree to use a remote that came with the project.")


@click.group("remote")
@shared_options
def remote_command() -> None:
    """Name the places that datasets are shared through.

    A remote is a repository in another place: a folder, on a network disk or of a colleague's project; a bucket; or a
    web server, for reading. The first one that was added is the default. The team's remotes stand in dsvc.toml, which
    belongs into Git; this workspace's own in .dsvc.
    """


@remote_command.command("add")
@click.argument("name", type=TEXT)
@click.argument("url", type=PLACE)
@click.option("--local", is_flag=True, help="For this workspace only, not for the team.")
@shared_options
@pass_session
def remote_add(session: Session, name: str, url: str, local: bool) -> None:
    """Name a remote, and trust it.

    URL is a folder, by path or as file://: of a project that has .dsvc, or one that is empty or new, where the first
    push makes a repository; or a place in a bucket: s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, az://CONTAINER/PREFIX; or
    https:// for one that is only read. A relative path is kept relative to the project, `~` is the home folder.
    """
    from dsvc.remote.settings import add_remote

    repository = session.repository()
    remote = add_remote(repository, name, _kept(url, repository), local=local)
    out(f"remote {remote.name}: {shown(remote.place)}")
    if not local:
        out("note: it stands in dsvc.toml: commit that to Git, and everybody has it")
    out(f"next: dsvc push {remote.name}, or dsvc fetch {remote.name}")


def _kept(url: str, repository: Repository) -> str:
    """A URL as it is kept: with the home folder in place of `~`; a path relative to the project, where it came so."""
    from dsvc.core.references.places import scheme

    if scheme(url) or not url:
        return url
    path = os.path.expanduser(url)  # noqa: PTH111 (a Path would take a final separator away unseen)
    if os.path.isabs(path) or repository.root is None:  # noqa: PTH117 (the same)
        return path
    return Path(os.path.relpath(Path.cwd() / path, repository.root)).as_posix()


@remote_command.command("list")
@json_option
@shared_options
@pass_session
def remote_list(session: Session, as_json: bool) -> None:
    """List the remotes, the default one first.

    \b
    JSON: {"remotes": [{"name", "url", "default", "team": whether dsvc.toml names it,
           "trusted": whether it is used here without asking}...]}
    """
    from dsvc.remote.settings import is_trusted, list_remotes

    repository = session.repository()
    remotes = list_remotes(repository)
    if as_json:
        rows = [
            {
                "name": remote.name,
                "url": remote.place,
                "default": at == 0,
                "team": remote.is_team,
                "trusted": is_trusted(repository, remote),
            }
            for at, remote in enumerate(remotes)
        ]
        print_json({"remotes": rows})
        return
    if not remotes:
        out("no remotes; next: dsvc remote add origin PATH")
    for line in table([_row(repository, remote, at == 0) for at, remote in enumerate(remotes)]):
        out(line)


def _row(repository: Repository, remote: Remote, is_default: bool) -> tuple[str, ...]:
    from dsvc.remote.settings import is_trusted

    notes = [] if remote.is_team else ["this workspace's own"]
    notes += [] if is_trusted(repository, remote) else ["not used here yet"]
    return (f"{'*' if is_default else ' '} {shown(remote.name)}", shown(remote.place), ", ".join(notes))


@remote_command.command("remove")
@click.argument("name", type=TEXT)
@dry_run_option
@shared_options
@pass_session
def remote_remove(session: Session, name: str, dry_run: bool) -> None:
    """Name a remote no more.

    What is there stays there, and what was fetched stays here.
    """
    from dsvc.remote.settings import remove_remote

    remote = remove_remote(session.repository(), name, dry_run=dry_run)
    out(f"{'would remove' if dry_run else 'removed'} remote {shown(remote.name)}: {shown(remote.place)}")


def agree(repository: Repository, remote: Remote, yes: bool) -> None:
    """See that a remote may be used here: one that came with the project, once somebody has said yes. Asks on a
    terminal. Raises RefusedError where nobody agrees."""
    from dsvc.remote.settings import full_place, is_trusted, require_trusted, trust

    if is_trusted(repository, remote):
        return
    if not yes:
        if not is_watched():
            require_trusted(repository, remote)
        question = (
            f"remote {shown(remote.name)} came with the project: {shown(full_place(repository, remote))}\nuse it?"
        )
        if not click.confirm(question, err=True):
            raise RefusedError("the remote is not used", "name another one: dsvc remote add NAME PATH --local")
    trust(repository, remote)


def is_watched() -> bool:
    """Whether somebody sits at a terminal, who can answer."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def chosen_remote(repository: Repository, name: str | None, yes: bool) -> Remote:
    """The remote of a name, or the default one, which may be used here. Raises NotFoundError, RefusedError."""
    from dsvc.remote.settings import find_remote

    remote = find_remote(repository, name)
    agree(repository, remote, yes)
    return remote


def left_out(count: int, where: str) -> None:
    """Tell of media that did not travel, since it was purged."""
    if count:
        out(f"{count:,} media {'was' if count == 1 else 'were'} purged {where}: left out")
