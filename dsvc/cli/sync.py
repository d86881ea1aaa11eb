"""dsvc push, fetch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dsvc.cli.arguments import TEXT
from dsvc.cli.exit import Exit
from dsvc.cli.fetch_media import expect_media, media_options, run_fetch_media
from dsvc.cli.progress import progress
from dsvc.cli.remote import agree, yes_option
from dsvc.cli.render import dry_run_option, json_option, note, out, plural, print_json, shown, size
from dsvc.cli.session import Session, pass_session, shared_options
from dsvc.core.repository import LOCK_FILE
from dsvc.errors import RefusedError, UsageError

if TYPE_CHECKING:
    from dsvc.core.repository import Repository
    from dsvc.remote.pushing import Moved
    from dsvc.remote.sending import Sent
    from dsvc.remote.settings import Remote
    from dsvc.remote.tracking import FetchedAll, Seen
    from dsvc.store.ids import ObjectId


@click.command("push")
@click.argument("remote", type=TEXT, required=False)
@click.option("--all", "all_", is_flag=True, help="All branches and versions of all datasets.")
@yes_option
@dry_run_option
@json_option
@shared_options
@pass_session
def push_command(session: Session, remote: str | None, all_: bool, yes: bool, dry_run: bool, as_json: bool) -> None:
    """Bring the current branch to a remote, with its versions.

    The branch only goes forward there. Where it has commits there that are not here, the push is refused: fetch, merge
    and push again. So it is for a version whose name stands for another commit there. What dsvc.lock names goes along
    in any case, and is pinned there, so that whoever has the code can pull it. What is staged stays here. Only what is
    not there yet travels, and all of it is seen there at once, or nothing.

    \b
    JSON: {"remote", "url", "commits", "objects", "bytes", what was sent (of --dry-run, the commits alone),
           "branches": [{"dataset", "branch", "move": "new" | "forward" | "current",
                         "before": ID or null, "commit": ID of where it stands there now}...],
           "versions": [{"dataset", "name"}...] that are new there, "dry_run"}
    """
    from dsvc.remote.sending import push

    repository = session.repository(signed=True)
    if all_ and session.dataset_name is not None:
        raise UsageError("--all takes all datasets, and -d one of them", "leave one of the two out")
    dataset = None if all_ else repository.dataset()
    chosen = _chosen(repository, remote, yes)
    session.remote = chosen.name
    try:
        with progress() as report:
            sent = push(
                repository,
                chosen,
                dataset.name if dataset is not None else None,
                dataset.branch if dataset is not None else None,
                dry_run=dry_run,
                progress=report,
            )
    except RefusedError:
        if not dry_run and _push_lock(repository, chosen):
            note(f"note: what {LOCK_FILE} names went there all the same, and is pinned; the branch is not moved")
        raise
    pinned = 0 if dry_run else _push_lock(repository, chosen)
    if as_json:
        print_json(_sent_json(chosen, sent, dry_run))
    else:
        _tell_sent(chosen, sent, dry_run)
        if pinned:
            out(f"and {plural(pinned, 'commit')} more that {LOCK_FILE} names")


def _push_lock(repository: Repository, remote: Remote) -> int:
    """Bring all that the project's lock names to a remote, where it is pinned, whatever branches stand on there; how
    many commits went."""
    from dsvc.git.lockfile import read_lock
    from dsvc.remote.pushing import push_commits

    path = (repository.root or Path()) / LOCK_FILE
    try:
        lines = read_lock(path).values() if path.is_file() else ()
    except RefusedError as error:
        note(f"note: {error.message}; {error.hint}")
        return 0
    wanted = {line.dataset: {line.commit} for line in lines if repository.store.has(line.commit)}
    if not wanted:
        return 0
    with progress() as report:
        return push_commits(repository, remote, wanted, report, tips={}).commits


def _chosen(repository: Repository, name: str | None, yes: bool) -> Remote:
    from dsvc.remote.settings import find_remote

    remote = find_remote(repository, name)
    agree(repository, remote, yes)
    return remote


def _sent_json(remote: Remote, sent: Sent, dry_run: bool) -> dict[str, Any]:
    return {
        "remote": remote.name,
        "url": remote.place,
        "commits": sent.commits,
        "objects": sent.objects,
        "bytes": sent.bytes,
        "branches": [
            {
                "dataset": dataset,
                "branch": moved.branch,
                "move": moved.move,
                "before": _hex(moved.before),
                "commit": moved.commit.hex(),
            }
            for dataset, moved in sent.branches
        ],
        "versions": [{"dataset": dataset, "name": name} for dataset, name in sent.versions],
        "dry_run": dry_run,
    }


def _tell_sent(remote: Remote, sent: Sent, dry_run: bool) -> None:
    for dataset, moved in sent.branches:
        out(f"{dataset}:{moved.branch}: {_moved(moved)}")
    for dataset, name in sent.versions:
        out(f"{dataset}@{name}: new")
    if dry_run:
        out(f"would send {plural(sent.commits, 'commit')} to {remote.name}: {shown(remote.place)}")
    elif not sent.objects and not sent.versions and all(moved.move == "current" for _, moved in sent.branches):
        out(f"{remote.name} has all of it: {shown(remote.place)}")
    else:
        out(f"sent {_load(sent)} to {remote.name}: {shown(remote.place)}")


def _moved(moved: Moved) -> str:
    commit = moved.commit.short()
    if moved.before is None:
        return f"new, at {commit}"
    return f"stays at {commit}" if moved.move == "current" else f"{moved.before.short()} -> {commit}"


def _load(done: Sent | FetchedAll) -> str:
    return f"{plural(done.commits, 'commit')}, {plural(done.objects, 'object')}, {size(done.bytes)}"


def _hex(id: ObjectId | None) -> str | None:
    return id.hex() if id is not None else None


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
    them in. Only what is not here yet travels, and all of it is seen here at once, or nothing.

    With --media nothing of that is done: what the inputs of a revision name and is not here comes, from the first
    remote that has it. What came stays, so that a fetch that broke off goes on where it was. The exit code is 1 where
    no remote has some of it.

    \b
    JSON: {"remote", "url", "commits", "objects", "bytes", what came,
           "changes": [{"name": such as "origin/pets:main", "dataset", "before": ID or null where it is new,
                        "commit": ID or null where it is gone}...]}
          with --media {"files", "bytes", what came, "here", what was here already, "purged",
           "missing": [KEY of an input whose media no remote has...], "dry_run"}
    """
    if expect_media(media, where, dry_run):
        return run_fetch_media(session, str(media), where, remote, yes, dry_run, as_json)
    from dsvc.remote.tracking import fetch

    repository = session.repository(signed=True)
    chosen = _chosen(repository, remote, yes)
    with progress() as report:
        fetched = fetch(repository, chosen, report)
    if as_json:
        print_json(_fetched_json(chosen, fetched))
    else:
        _tell_fetched(repository, chosen, fetched)
    return Exit.DONE


def _fetched_json(remote: Remote, fetched: FetchedAll) -> dict[str, Any]:
    changes = [
        {"name": seen.name, "dataset": seen.dataset, "before": _hex(seen.old), "commit": _hex(seen.new)}
        for seen in fetched.changes
    ]
    counts = {"commits": fetched.commits, "objects": fetched.objects, "bytes": fetched.bytes}
    return {"remote": remote.name, "url": remote.place, **counts, "changes": changes}


def _tell_fetched(repository: Repository, remote: Remote, fetched: FetchedAll) -> None:
    for seen in fetched.changes:
        out(f"{shown(seen.name)}: {_seen(seen)}")
    if not fetched.changes and not fetched.objects:
        out(f"nothing new at {remote.name}: {shown(remote.place)}")
        return
    out(f"received {_load(fetched)} from {remote.name}: {shown(remote.place)}")
    _tell_next(repository, remote, fetched)


def _seen(seen: Seen) -> str:
    if seen.new is None:
        return "gone"
    return f"new, at {seen.new.short()}" if seen.old is None else f"{seen.old.short()} -> {seen.new.short()}"


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
