"""dsvc fetch --media."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from dsvc.cli.arguments import TEXT
from dsvc.cli.exit import Exit
from dsvc.cli.progress import progress
from dsvc.cli.remote import agree
from dsvc.cli.render import note, out, plural, print_json, shown, size
from dsvc.errors import UsageError

if TYPE_CHECKING:
    from dsvc.cli.session import Session
    from dsvc.core.repository import Repository
    from dsvc.remote.media import MediaFetched

F = TypeVar("F", bound=Callable[..., Any])
_TOLD = 20  # keys of inputs whose media nobody has


def media_options(function: F) -> F:
    """The options --media, --where and --dry-run of `fetch`."""
    media = click.option("--media", metavar="REV", type=TEXT, help="Bring the media of a revision that is not here.")
    where = click.option("--where", metavar="EXPR", type=TEXT, help="With --media: only of the inputs that match.")
    dry_run = click.option("--dry-run", is_flag=True, help="With --media: only say what would come.")
    return media(where(dry_run(function)))


def expect_media(media: str | None, where: str | None, dry_run: bool) -> bool:
    """Whether media is to be fetched. Raises UsageError for options that have no meaning without it."""
    if media is None and (where is not None or dry_run):
        raise UsageError(
            f"{'--where' if where is not None else '--dry-run'} goes with --media", "name a revision: HEAD"
        )
    return media is not None


def run_fetch_media(
    session: Session, revision: str, where: str | None, remote: str | None, yes: bool, dry_run: bool, as_json: bool
) -> int:
    """Bring the media of a revision, and tell of it. The exit code is 1 where some is at no remote."""
    from dsvc.remote.media import fetch_media

    repository = session.repository()
    _choose(repository, remote, yes)
    state = repository.at(revision)
    with progress() as report:
        fetched = fetch_media(state, where=where, dry_run=dry_run, progress=report)
    if as_json:
        print_json({**fetched._asdict(), "missing": list(fetched.missing), "dry_run": dry_run})
    else:
        _tell(fetched, dry_run)
    return Exit.NO if fetched.missing else Exit.DONE


def _choose(repository: Repository, name: str | None, yes: bool) -> None:
    """Ask one remote alone where it is named; where none may be asked yet, agree to the default one."""
    from dsvc.remote.lazy import attach
    from dsvc.remote.settings import find_remote, is_trusted, list_remotes

    if name is not None or not any(is_trusted(repository, remote) for remote in list_remotes(repository)):
        remote = find_remote(repository, name)
        agree(repository, remote, yes)
        attach(repository, remote)


def _tell(fetched: MediaFetched, dry_run: bool) -> None:
    if fetched.files:
        out(f"{'would fetch' if dry_run else 'fetched'} {plural(fetched.files, 'file')}, {size(fetched.bytes)}")
    else:
        out("nothing to fetch")
    if fetched.here:
        out(f"here already: {plural(fetched.here, 'file')}")
    if fetched.purged:
        out(f"purged, and gone for good: {plural(fetched.purged, 'file')}")
    for key in fetched.missing[:_TOLD]:
        note(f"{shown(key)}: no remote has its bytes")
    if len(fetched.missing) > _TOLD:
        note(f"and {len(fetched.missing) - _TOLD:,} inputs more")
