"""dsvc purge."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from dsvc.cli.arguments import TEXT
from dsvc.cli.progress import progress
from dsvc.cli.remote import agree
from dsvc.cli.render import (
    author_json,
    dry_run_option,
    iso,
    json_option,
    listed,
    note,
    out,
    plural,
    print_json,
    shown,
    size,
    when,
)
from dsvc.cli.session import Session, pass_session, shared_options
from dsvc.errors import RefusedError, UsageError

if TYPE_CHECKING:
    from dsvc.core.dataset import Dataset
    from dsvc.core.repository import Repository
    from dsvc.model.view import TombstoneRef
    from dsvc.remote.purging import Receipt
    from dsvc.remote.settings import Remote
    from dsvc.store.ids import ObjectId

Chosen = tuple[list["Remote"], list[tuple[str, str]]]


@click.command("purge")
@click.argument("keys", metavar="KEY...", type=TEXT, nargs=-1)
@click.option("--reason", metavar="TEXT", type=TEXT, help="Why. It stays, for everybody to read.")
@click.option("--remote", "names", metavar="NAME", type=TEXT, multiple=True, help="Here and at this remote only.")
@click.option("--local-only", is_flag=True, help="Here only.")
@click.option("--everywhere", is_flag=True, help="Also where other inputs have the same bytes: theirs go too.")
@click.option("--list", "list_", is_flag=True, help="List what was purged.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@dry_run_option
@json_option
@shared_options
@pass_session
def purge_command(
    session: Session,
    keys: tuple[str, ...],
    reason: str | None,
    names: tuple[str, ...],
    local_only: bool,
    everywhere: bool,
    list_: bool,
    yes: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Remove an input's media for good, from all history and from all remotes.

    Every file that the input ever had goes, in whichever commit, out of every pack here and at the remotes, those that
    this workspace has used. Records and commits stay as they are. In place of the bytes is a tombstone that says who
    purged them, when and why; it travels with fetch and push, and keeps the bytes from coming back. There is no undo.

    Bytes that another input has too, in any commit, dataset or draft, are kept, and the purge is refused, unless you
    say --everywhere. Files in the project folder stay: they are yours. Out of reach are other people's clones, backups,
    earlier versions that a bucket keeps, and what was exported.

    \b
    JSON: {"dataset", "keys", "reason", "author": {"name", "email"}, "time", "dry_run",
           "blobs": [{"key", "blob", "bytes", "commits": [ID...]}...],
           "shared": [{"place": REMOTE or null for here, "dataset", "key", "blob",
                       "of": such as "run 1a2b3c4d" where the key is the name of a file of it, else null}...],
           "places": [{"place", "objects", "bytes", "packs": rewritten ones, "orphans": packs that nothing listed,
                       "cached": files, "kept_chunks": those that other media have too}...],
           "passed_over": [{"remote", "why"}...]}
    with --list: {"purged": [{"blob", "bytes", "reason", "author", "time"}...]}
    """
    if list_:
        _list(session.repository(), as_json)
        return
    if not keys:
        raise UsageError("no input is named", "dsvc purge KEY --reason TEXT, or dsvc purge --list")
    if reason is None:
        raise UsageError("a purge needs a reason, which stays for everybody to read", "add: --reason TEXT")
    if local_only and names:
        raise UsageError("--local-only leaves all remotes out, and --remote names one", "leave one of the two out")
    dataset = session.dataset(signed=True)
    remotes, passed_over = _choose(dataset.repository, names, local_only, yes)
    run = partial(_run, dataset, keys, reason, remotes, passed_over, everywhere)
    if not dry_run and not yes:
        _ask(run(dry_run=True), remotes, everywhere)
    receipt = run(dry_run=dry_run)
    if as_json:
        print_json({**_json(receipt), "dry_run": dry_run})
    else:
        _tell(receipt, remotes, dry_run)
        if not dry_run:
            _tell_next(dataset.repository, dataset.name, keys)


def _run(
    dataset: Dataset,
    keys: tuple[str, ...],
    reason: str,
    remotes: list[Remote],
    passed_over: list[tuple[str, str]],
    everywhere: bool,
    *,
    dry_run: bool,
) -> Receipt:
    from dsvc.remote.purging import purge

    with progress() as report:
        return purge(
            dataset.repository,
            dataset.name,
            keys,
            reason,
            remotes,
            passed_over=passed_over,
            everywhere=everywhere,
            dry_run=dry_run,
            progress=report,
        )


def _choose(repository: Repository, names: tuple[str, ...], local_only: bool, yes: bool) -> Chosen:
    """The remotes to purge, and those that are passed over, with why. Raises NotFoundError, RefusedError."""
    from dsvc.remote.purging import remotes_to_purge
    from dsvc.remote.settings import find_remote

    if local_only:
        return [], []
    if names:
        chosen = [find_remote(repository, name) for name in dict.fromkeys(names)]
        for remote in chosen:
            agree(repository, remote, yes)
        return chosen, []
    return remotes_to_purge(repository)


def _ask(plan: Receipt, remotes: list[Remote], everywhere: bool) -> None:
    """Let a person type what goes for good. Raises RefusedError."""
    from dsvc.core.purging.planning import require_alone

    if not everywhere:
        require_alone(plan.shared)
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise RefusedError("a purge is for good, and needs a word typed on a terminal", "or say: --yes")
    for line in _doomed_lines(plan):
        click.echo(line, err=True)
    question = f"This is for good, {_where(remotes)}.\nType purge to go on"
    typed = click.prompt(question, err=True, default="", show_default=False)
    if typed != "purge":
        raise RefusedError(f"{typed!r} is not purge; nothing was purged", "type purge, or say: --yes")


def _where(remotes: list[Remote]) -> str:
    return "here" + (f" and at {listed([remote.name for remote in remotes])}" if remotes else " only")


def _doomed_lines(receipt: Receipt) -> list[str]:
    lines = []
    for one in receipt.doomed:
        commits = listed([commit.short() for commit in one.commits], 3) if one.commits else "no commit, a draft only"
        lines.append(f"{shown(one.key)}: {one.blob.short()}, {size(one.size)}, in {commits}")
    return lines


def _tell(receipt: Receipt, remotes: list[Remote], dry_run: bool) -> None:
    for line in _doomed_lines(receipt):
        out(line)
    others = sorted({(use.dataset, use.name) for _, use in receipt.shared})
    for dataset, key in others[:20]:
        out(
            f"shared with {shown(key)} of {shown(dataset)}: {'needs --everywhere' if dry_run else 'its bytes are gone'}"
        )
    if len(others) > 20:
        out(f"... and {len(others) - 20:,} more; all: --json")
    media = plural(len({one.blob for one in receipt.doomed}), "media file")
    if dry_run:
        out(f"would purge {media} {_where(remotes)}")
    else:
        out(f"purged {media} by {shown(receipt.author.name)}, {when(receipt.time)}: {shown(receipt.reason)}")
    for name, swept in receipt.places.items():
        cached = f", {plural(swept.cached, 'file')} of the cache" if swept.cached else ""
        left_over = f", {plural(swept.orphans, 'pack')} that nothing listed removed" if swept.orphans else ""
        packs = f"{plural(swept.packs, 'pack')} rewritten{left_over}{cached}"
        out(f"{shown(name) or 'here'}: {size(swept.bytes)} gone, {packs}")
        if swept.kept:
            out(f"note: {plural(swept.kept, 'chunk')} stay, which other media have too")
    for name, why in receipt.passed_over:
        note(f"note: remote {shown(name)} is left as it is: {why}")


def _tell_next(repository: Repository, dataset: str, keys: tuple[str, ...]) -> None:
    """What is left for the person to do."""
    root, state = repository.root, repository.dataset(dataset).draft()
    files = [key for key in keys if root is not None and (root / key).is_file()]
    if files:
        verb = "is" if len(files) == 1 else "are"
        note(f"note: {listed(files)} in the project folder {verb} yours, and still there")
    left = [key for key in keys if key in state]
    if left:
        out(f"the record stays; to take the input out: dsvc rm {shown(left[0])}{' ...' if len(left) > 1 else ''}")


def _json(receipt: Receipt) -> dict[str, Any]:
    blobs = [
        {"key": one.key, "blob": one.blob.hex(), "bytes": one.size, "commits": [id.hex() for id in one.commits]}
        for one in receipt.doomed
    ]
    shared = [
        {"place": place or None, "dataset": use.dataset, "key": use.key, "of": use.of, "blob": use.blob.hex()}
        for place, use in receipt.shared
    ]
    places = [
        {
            "place": name or None,
            "objects": swept.objects,
            "bytes": swept.bytes,
            "packs": swept.packs,
            "orphans": swept.orphans,
            "cached": swept.cached,
            "kept_chunks": swept.kept,
        }
        for name, swept in receipt.places.items()
    ]
    return {
        "dataset": receipt.dataset,
        "keys": list(receipt.keys),
        "reason": receipt.reason,
        "author": author_json(receipt.author),
        "time": iso(receipt.time),
        "blobs": blobs,
        "shared": shared,
        "places": places,
        "passed_over": [{"remote": name, "why": why} for name, why in receipt.passed_over],
    }


def _list(repository: Repository, as_json: bool) -> None:
    from dsvc.model.view import tombstones

    found = sorted(tombstones(repository.view).items(), key=lambda one: (one[1].time.seconds, one[0]))
    if as_json:
        print_json({"purged": [_stone_json(blob, stone) for blob, stone in found]})
        return
    if not found:
        out("nothing was purged")
    for blob, stone in found:
        text = f"{blob.short()}  {size(stone.size)}  {when(stone.time)}  {shown(stone.author.name)}"
        out(f"{text}  {shown(stone.reason)}")


def _stone_json(blob: ObjectId, stone: TombstoneRef) -> dict[str, Any]:
    return {
        "blob": blob.hex(),
        "bytes": stone.size,
        "reason": stone.reason,
        "author": author_json(stone.author),
        "time": iso(stone.time),
    }
