"""dsvc fetch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dsvc.cli.arguments import TEXT
from dsvc.cli.entered import entered_json, refused_json, tell_entered
from dsvc.cli.exit import Exit
from dsvc.cli.fetch_media import expect_media, media_options, run_fetch_media
from dsvc.cli.progress import progress
from dsvc.cli.remote import chosen_remote, left_out, yes_option
from dsvc.cli.render import json_option, out, plural, print_json, shown, size
from dsvc.cli.session import Session, pass_session, shared_options

if TYPE_CHECKING:
    from dsvc.core.repository import Repository
    from dsvc.remote.settings import Remote
    from dsvc.remote.tracking import FetchedAll, Seen
    from dsvc.store.ids import ObjectId


@click.command("fetch")
@click.argument("remote", type=TEXT, required=False)
@media_options
@yes_option
@json_option
@shared_options
@pass_session
def fetch_command(
    session: Session,
    remote: str | None,
    media: str | None,
    where: str | None,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> int:
    """Bring what is new at a remote, and note where its branches and versions stand.

    They are revisions then: origin/pets:main, origin/pets@v1. Nothing else moves; `dsvc merge origin/pets:main` takes
    them in. Training runs and evaluations come along for the datasets that are here, with the auto-generated versions
    of their data, and are listed with those made here.

    Only what is not here yet travels, and all of it is seen here at once, or nothing. What came before a fetch broke
    off does not come again. What `dsvc clone --no-media` or --dataset left at the remote stays there.

    With --media nothing of that is done: what the inputs of a revision name and is not here comes, from the first
    remote that has it. What came stays, so that a fetch that broke off goes on where it was. The exit code is 1 where
    no remote has some of it.

    \b
    JSON: {"remote", "url", "commits", "objects", "bytes", what came,
           "left_out": media that was purged, "runs" and "evaluations": [{"dataset", "id"}...] that are new here,
           "refused": [{"kind", "dataset", "id", "why"}...] of these that are not sound,
           "changes": [{"name": such as "origin/pets:main", "dataset", "before": ID or null where it is new,
                        "commit": ID or null where it is gone,
                        "went_back": true where the commit before is not behind it}...]}
          with --media {"files", "bytes", what came, "here", what was here already, "purged",
           "missing": [KEY of an input whose media no remote has...], "dry_run"}
    """
    if expect_media(media, where, dry_run):
        return run_fetch_media(session, str(media), where, remote, yes, dry_run, as_json)
    from dsvc.remote.tracking import fetch

    repository = session.repository(signed=True)
    chosen = chosen_remote(repository, remote, yes)
    with progress() as report:
        fetched = fetch(repository, chosen, report)
    if as_json:
        print_json(_fetched_json(chosen, fetched))
    else:
        _tell_fetched(repository, chosen, fetched)
    return Exit.DONE


def _hex(id: ObjectId | None) -> str | None:
    return id.hex() if id is not None else None


def _fetched_json(remote: Remote, fetched: FetchedAll) -> dict[str, Any]:
    changes = [
        {
            "name": seen.name,
            "dataset": seen.dataset,
            "before": _hex(seen.old),
            "commit": _hex(seen.new),
            "went_back": seen.went_back,
        }
        for seen in fetched.changes
    ]
    counts: dict[str, Any] = {"commits": fetched.commits, "objects": fetched.objects, "bytes": fetched.bytes}
    counts |= {"left_out": fetched.left_out, **entered_json(fetched.entered)}
    counts |= {"refused": refused_json(fetched.entered)}
    return {"remote": remote.name, "url": remote.place, **counts, "changes": changes}


def _tell_fetched(repository: Repository, remote: Remote, fetched: FetchedAll) -> None:
    for seen in fetched.changes:
        out(f"{shown(seen.name)}: {_seen(seen)}")
    tell_entered(fetched.entered, f"at {remote.name}", "here")
    left_out(fetched.left_out, f"here or at {remote.name}")
    if not fetched.changes and not fetched.objects and not fetched.entered.new:
        out(f"nothing new at {remote.name}: {shown(remote.place)}")
        return
    load = f"{plural(fetched.commits, 'commit')}, {plural(fetched.objects, 'object')}, {size(fetched.bytes)}"
    out(f"received {load} from {remote.name}: {shown(remote.place)}")
    _tell_next(repository, remote, fetched)


def _seen(seen: Seen) -> str:
    if seen.new is None:
        return "gone"
    if seen.old is None:
        return f"new, at {seen.new.short()}"
    moved = f"{seen.old.short()} -> {seen.new.short()}"
    if not seen.went_back:
        return moved
    what = "names another commit now" if "@" in seen.name else "went back: the one before is not behind it"
    return f"{moved}, {what}"


def _tell_next(repository: Repository, remote: Remote, fetched: FetchedAll) -> None:
    """How to take in what is new of the current dataset, or, where there is none, of the first that came."""
    name = repository.workspace.dataset
    new = [seen for seen in fetched.changes if seen.new is not None]
    if name is not None:
        branch = f"{remote.name}/{name}:{repository.workspace.branch(name)}"
        if any(seen.name == branch for seen in new):
            out(f"next: dsvc merge {branch}")
    elif new:
        out(f"next: dsvc create {new[0].dataset}, then dsvc merge {new[0].name}")
