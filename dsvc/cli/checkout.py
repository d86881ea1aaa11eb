"""dsvc checkout, and keeping the folders current that it has laid out."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dsvc.cli.arguments import PATH, TEXT
from dsvc.cli.exit import Exit
from dsvc.cli.progress import progress
from dsvc.cli.render import json_option, note, out, out_notes, plural, print_json, shown, table
from dsvc.cli.session import Session, pass_session, shared_options
from dsvc.errors import UsageError

if TYPE_CHECKING:
    from dsvc.core.layout.folders import Checkout
    from dsvc.core.layout.updating import FolderUpdate
    from dsvc.core.repository import Repository


@click.command("checkout")
@click.argument("revision", metavar="[REV]", type=TEXT, required=False)
@click.argument("target", metavar="[FOLDER]", type=PATH, required=False)
@click.option("--format", metavar="FORMAT", type=TEXT, help="coco (the default) or clarifai-json.")
@click.option("--where", metavar="EXPR", type=TEXT, help="Only the inputs that match; see the reference: Filters.")
@click.option("--link", type=click.Choice(["hard", "no"]), help="hard: media are read-only hard links, and no copies.")
@click.option("--team", is_flag=True, help="Note the folder in dsvc.toml, for the team.")
@click.option("--list", "as_list", is_flag=True, help="List the folders that are laid out.")
@click.option("--forget", metavar="FOLDER", type=PATH, help="Keep a folder current no more; its files stay.")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@json_option
@shared_options
@pass_session
def checkout_command(session: Session, /, as_json: bool, **given: Any) -> int:
    """Lay a revision out as files in a folder of the project, and keep it current.

    Media go to FOLDER/images under their keys, annotations to FOLDER/annotations, as `dsvc export --format coco
    --media` writes them; with --format clarifai-json, to FOLDER/media and FOLDER/annotations.zip. Without FOLDER it is
    the dataset's only such folder, else one of its name in the project.

    A folder of pets or pets:BRANCH follows the branch: it is brought up to date whenever a command moves it. One of
    pets@v1 stays. Without REV, all folders are brought up to date, and a run that was broken off is finished. Files
    that are missing come back; files that were changed here are left alone and named, and the exit code is 1 then.
    `dsvc status` shows what was changed in such folders, and `dsvc add -A` takes it in. Inputs that refer to bytes
    elsewhere are not copied.

    \b
    JSON: {"folders": [{"folder", "revision", "dataset", "format", "where", "link", "team", "commit", "added",
           "changed", "removed", "annotations": [NAME of a file that was written...],
           "left": [{"path", "reason"}...], "absent": [KEY...], "elsewhere", "bare", "notes": [TEXT...],
           "problem": why nothing was done, or null}...]};
    with --list, of each folder the first seven and "commit"; with --forget: {"forgotten": FOLDER}
    """
    _check(given)
    repository = session.repository()
    if given["as_list"]:
        return _list(repository, as_json)
    if given["forget"] is not None:
        return _forget(repository, given["forget"], given["team"], as_json)
    from dsvc.core.layout.checkout import checkout, checkout_all

    with progress() as report:
        options = {"dry_run": given["dry_run"], "progress": report}
        if given["revision"] is None:
            updates = checkout_all(repository, **options)
        else:
            link = given["link"] == "hard" if given["link"] is not None else None
            options |= {name: given[name] for name in ("format", "where", "team")}
            updates = [checkout(repository, given["revision"], given["target"], link=link, **options)]
    if as_json:
        print_json({"folders": [_json(update) for update in updates]})
    else:
        if not updates:
            out("no folder is laid out; next: dsvc checkout REV")
        for update in updates:
            _tell(update, given["dry_run"])
    tell_left(updates)
    return Exit.DONE if all(update.is_whole for update in updates) else Exit.NO


def _check(given: dict[str, Any]) -> None:
    """Refuse what does not go together. Raises UsageError."""
    used = [name for name in ("revision", "format", "where", "link", "dry_run") if given[name]]
    if given["forget"] is not None and (used or given["as_list"]):
        raise UsageError("--forget takes a folder, and --team", "dsvc checkout --forget FOLDER")
    if given["as_list"] and (used or given["team"]):
        raise UsageError("--list takes nothing else", "dsvc checkout --list")
    needing = [name for name in ("format", "where", "link", "team") if given[name]]
    if given["revision"] is None and needing and given["forget"] is None:
        raise UsageError("no revision is named", "dsvc checkout REV [FOLDER]")


def _forget(repository: Repository, folder: Path, team: bool, as_json: bool) -> int:
    from dsvc.core.layout.checkout import forget_folder

    found = forget_folder(repository, folder, team=team)
    if as_json:
        print_json({"forgotten": found.folder})
    else:
        out(f"{shown(found.folder)} is kept current no more; its files stay")
    return Exit.DONE


def _list(repository: Repository, as_json: bool) -> int:
    from dsvc.core.layout.folders import remembered
    from dsvc.core.layout.record import Records

    found = [(one, Records(repository, one.folder).load()) for one in remembered(repository.workspace)]
    if as_json:
        commits = [record.commit.hex() if record.commit else None for _, record in found]
        heads = [{**_head(one), "commit": commit} for (one, _), commit in zip(found, commits, strict=True)]
        print_json({"folders": heads})
        return Exit.DONE
    if not found:
        out("no folder is laid out; next: dsvc checkout REV")
    rows = []
    for one, record in found:
        at = f"at {record.commit.short()}" if record.commit is not None else "not laid out yet"
        more = [f"where {shown(one.where)}" if one.where else "", "links" if one.link else "", "team" * one.team]
        at += ", not finished" if record.is_pending else ""
        rows.append((shown(one.folder), shown(one.revision), one.format, at, ", ".join(filter(None, more))))
    for line in table(rows):
        out(line)
    return Exit.DONE


def _head(one: Checkout) -> dict[str, Any]:
    return {
        "folder": one.folder,
        "revision": one.revision,
        "dataset": one.dataset,
        "format": one.format,
        "where": one.where,
        "link": "hard" if one.link else None,
        "team": one.team,
    }


def _json(update: FolderUpdate) -> dict[str, Any]:
    counts = {name: getattr(update, name) for name in ("added", "changed", "removed")}
    return {
        **_head(update.checkout),
        "commit": update.commit.hex() if update.commit is not None else None,
        **counts,
        "annotations": list(update.annotations),
        "left": [one._asdict() for one in update.left],
        "absent": list(update.absent),
        "elsewhere": update.elsewhere,
        "bare": update.bare,
        "notes": list(update.notes),
        "problem": update.problem,
    }


def _tell(update: FolderUpdate, dry_run: bool) -> None:
    one = update.checkout
    if update.problem is not None:
        return
    if update.commit is None:
        out(f"{shown(one.folder)}: {one.dataset} has no commit yet")
        return
    would = "would hold" if dry_run else "holds"
    out(f"{shown(one.folder)} {would} {shown(one.revision)} at {update.commit.short()}: {_words(update)}")
    if update.elsewhere:
        out(f"{plural(update.elsewhere, 'input')} left where the bytes are; to copy them in: dsvc materialize --all")
    if update.bare:
        out(f"{plural(update.bare, 'input')} without media: no file is laid out; to take the bytes in: dsvc add PATH")
    out_notes(update.notes)


def _words(update: FolderUpdate) -> str:
    words = [
        f"{plural(update.added, 'file')} added" if update.added else "",
        f"{update.changed:,} changed" if update.changed else "",
        f"{update.removed:,} removed" if update.removed else "",
        f"{', '.join(map(shown, update.annotations))} written" if update.annotations else "",
    ]
    return ", ".join(filter(None, words)) or "nothing to do"


def tell_left(updates: list[FolderUpdate]) -> None:
    """Name on stderr what was left as it is, and folders of which nothing was done."""
    from dsvc.cli.failure import tell_problems

    sys.stdout.flush()
    for update in updates:
        folder = shown(update.checkout.folder)
        if update.problem is not None:
            note(f"{folder} is as it was: {shown(update.problem)}")
        if update.left:
            note(f"{folder}: {plural(len(update.left), 'file')} left alone")
            tell_problems(tuple(f"{one.path}: {one.reason}" for one in update.left))
        if update.absent:
            note(f"{folder}: the repository does not hold the bytes of {plural(len(update.absent), 'input')}")
            tell_problems(update.absent)


def keep_folders(repository: Repository) -> None:
    """Bring the folders up to date that follow what a command has moved, and tell of it on stderr."""
    from dsvc.core.layout.folders import are_remembered

    if repository.root is None or not are_remembered(repository.workspace):
        return
    from dsvc.core.layout.checkout import update_folders

    with progress() as report:
        updates = update_folders(repository, progress=report)
    if updates:
        sys.stdout.flush()  # in one file, what the command has said comes first
    for update in updates:
        if update.is_changed and update.commit is not None:
            note(f"{shown(update.checkout.folder)} is now at {update.commit.short()}: {_words(update)}")
    tell_left(updates)
