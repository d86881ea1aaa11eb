"""dsvc push."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dsvc.cli.arguments import TEXT
from dsvc.cli.entered import entered_json, tell_entered
from dsvc.cli.progress import progress
from dsvc.cli.remote import chosen_remote, left_out, yes_option
from dsvc.cli.render import dry_run_option, json_option, note, out, plural, print_json, shown, size
from dsvc.cli.session import Session, pass_session, shared_options
from dsvc.core.repository import LOCK_FILE
from dsvc.errors import RefusedError, UsageError

if TYPE_CHECKING:
    from dsvc.core.repository import Repository
    from dsvc.remote.deleting import Deleted
    from dsvc.remote.pushing import Moved
    from dsvc.remote.sending import Sent
    from dsvc.remote.settings import Remote


@click.command("push")
@click.argument("remote", type=TEXT, required=False)
@click.option("--all", "all_", is_flag=True, help="All branches and versions of all datasets.")
@click.option(
    "--force-with-lease", "force", is_flag=True, help="Move the branch there back or aside, if nobody else did."
)
@click.option(
    "--delete",
    "deleted",
    type=TEXT,
    multiple=True,
    metavar="REF",
    help="Take a branch, a version, a run, an evaluation or a dataset away there instead; repeatable.",
)
@yes_option
@dry_run_option
@json_option
@shared_options
@pass_session
def push_command(
    session: Session,
    remote: str | None,
    all_: bool,
    force: bool,
    deleted: tuple[str, ...],
    yes: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Bring the current dataset to a remote.

    Its branches only go forward there, and the versions that they reach go along. Where the current branch has commits
    there that are not here, the push is refused: pull, and push again; other branches that have gone another way are
    left, and named. A version whose name stands for another commit there is refused. --force-with-lease moves the
    current branch all the same, if it stands there where it was last seen (origin/pets:main). What dsvc.lock names goes
    along in any case, and is pinned there, so that whoever has the code can pull it. What is staged stays here.

    The dataset's training runs and evaluations go along, each with the data that it is of and the files that it left,
    and so do auto-generated versions. They are united with those that are there; none is ever replaced.

    Only what is not there yet travels, and all of it is seen there at once, or nothing. What was sent before a push
    broke off is not sent again.

    Nothing goes away at a remote but by --delete REF: pets, pets:side, pets@v1, pets@ID for the run or the evaluation
    of an id, or such a name in the current dataset. With a run go the auto-generated versions of its data. The
    operation log there can bring it back; so does a push from a clone that still has it.

    \b
    JSON: {"remote", "url", "commits", "objects", "bytes", what was sent (of --dry-run, the commits alone),
           "branches": [{"dataset", "branch", "move": "new" | "forward" | "current" | "diverged" | "forced",
                         "before": ID or null, "commit": ID of where it stands there now}...],
           "versions": [{"dataset", "name"}...] that are new there, "runs" and "evaluations": [{"dataset", "id"}...]
           that are new there, "left_out": media that was purged, "dry_run"};
          of --delete: {"remote", "url", "deleted": [{"kind": "dataset" | "branch" | "version" | "run" | "evaluation",
                        "name", "commit": ID where it stood, or null}...], "dry_run"}
    """
    repository = session.repository(signed=True)
    if all_ and session.dataset_name is not None:
        raise UsageError("--all takes all datasets, and -d one of them", "leave one of the two out")
    if deleted and (all_ or force):
        raise UsageError("--delete sends nothing", "leave --all and --force-with-lease out")
    if deleted:
        _delete(session, repository, remote, deleted, yes, dry_run, as_json)
        return
    dataset = None if all_ else repository.dataset()
    chosen = chosen_remote(repository, remote, yes)
    session.remote = chosen.name
    branch = (dataset.name, dataset.branch) if dataset is not None else (None, None)
    sent = _send(repository, chosen, branch, force, dry_run)
    pinned = 0 if dry_run else _push_lock(repository, chosen)
    if as_json:
        print_json(_sent_json(chosen, sent, dry_run))
    else:
        _tell_sent(chosen, sent, dry_run)
        if pinned:
            out(f"and {plural(pinned, 'commit')} more that {LOCK_FILE} names")


def _send(
    repository: Repository, remote: Remote, branch: tuple[str | None, str | None], force: bool, dry_run: bool
) -> Sent:
    from dsvc.remote.sending import push

    try:
        with progress() as report:
            return push(repository, remote, *branch, force=force, dry_run=dry_run, progress=report)
    except RefusedError:
        if not dry_run and _push_lock(repository, remote):
            note(f"note: what {LOCK_FILE} names went there all the same, and is pinned; the branch is not moved")
        raise


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


def _delete(
    session: Session,
    repository: Repository,
    name: str | None,
    refs: tuple[str, ...],
    yes: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    from dsvc.remote.deleting import delete_refs

    remote = chosen_remote(repository, name, yes)
    session.remote = remote.name
    current = session.dataset_name or repository.workspace.dataset
    gone = delete_refs(repository, remote, refs, current, dry_run=dry_run)
    if as_json:
        rows = [
            {"kind": one.kind, "name": one.name, "commit": one.commit.hex() if one.commit else None} for one in gone
        ]
        print_json({"remote": remote.name, "url": remote.place, "deleted": rows, "dry_run": dry_run})
        return
    for one in gone:
        out(f"{'would delete' if dry_run else 'deleted'} {_gone(one)} at {remote.name}")
    if not dry_run:
        note(f"note: the operation log at {remote.name} has it still: dsvc op log, then dsvc undo --op ID, there")


def _gone(deleted: Deleted) -> str:
    stood = f", which stood at {deleted.commit.short()}" if deleted.commit is not None else ""
    return f"{deleted.kind} {shown(deleted.name)}{stood}"


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
                "before": moved.before.hex() if moved.before is not None else None,
                "commit": moved.commit.hex(),
            }
            for dataset, moved in sent.branches
        ],
        "versions": [{"dataset": dataset, "name": name} for dataset, name in sent.versions],
        **entered_json(sent.entered),
        "left_out": sent.left_out,
        "dry_run": dry_run,
    }


def _tell_sent(remote: Remote, sent: Sent, dry_run: bool) -> None:
    for dataset, moved in sent.branches:
        out(f"{dataset}:{moved.branch}: {_moved(moved, remote)}")
    for dataset, name in sent.versions:
        out(f"{dataset}@{name}: new")
    tell_entered(sent.entered, "here", f"at {remote.name}")
    if dry_run:
        out(f"would send {plural(sent.commits, 'commit')} to {remote.name}: {shown(remote.place)}")
        return
    left_out(sent.left_out, f"here or at {remote.name}")
    is_more = sent.versions or sent.entered.new
    if sent.objects or is_more or any(moved.move in ("new", "forward", "forced") for _, moved in sent.branches):
        load = f"{plural(sent.commits, 'commit')}, {plural(sent.objects, 'object')}, {size(sent.bytes)}"
        out(f"sent {load} to {remote.name}: {shown(remote.place)}")
    elif all(moved.move == "current" for _, moved in sent.branches):
        out(f"{remote.name} has all of it: {shown(remote.place)}")
    else:
        out(f"nothing to send to {remote.name}: {shown(remote.place)}")


def _moved(moved: Moved, remote: Remote) -> str:
    commit = moved.commit.short()
    if moved.move == "diverged":
        return f"left, it has commits at {remote.name} that are not here"
    if moved.before is None:
        return f"new, at {commit}"
    if moved.move == "current":
        return f"stays at {commit}"
    return f"{moved.before.short()} -> {commit}{', which does not go forward' if moved.move == 'forced' else ''}"
