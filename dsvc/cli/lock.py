"""dsvc lock."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dsvc.cli.exit import Exit
from dsvc.cli.locking import standing_lines
from dsvc.cli.render import json_option, note, out, plural, print_json, table
from dsvc.cli.session import Session, pass_session, shared_options
from dsvc.core.repository import LOCK_FILE
from dsvc.errors import NotFoundError, RefusedError, UsageError

if TYPE_CHECKING:
    from dsvc.core.repository import Repository
    from dsvc.git.lockfile import Locked
    from dsvc.git.pinning import Standing


@click.command("lock")
@click.option("--check", is_flag=True, help="Only tell whether the lock says what is here; exit 1 if not.")
@click.option("--resolve", is_flag=True, help="Finish a lock that Git left in conflict: merge what both sides name.")
@json_option
@shared_options
@pass_session
def lock_command(session: Session, check: bool, resolve: bool, as_json: bool) -> int:
    """Write dsvc.lock: which commit of each dataset goes with the code beside it.

    It is a text of one line per dataset, beside .dsvc, to be committed to Git. Once it is there, each command that
    moves a branch brings it up to date, and so do the Git hooks.

    \b
    JSON: {"file", "current": whether it says what is here, "changed": whether it was written,
           "datasets": [{"dataset", "branch", "commit", "version": NAME or null,
                         "standing": "same" | "ahead" | "behind" | "apart" | "new" | "absent",
                         "here": ID of the commit that the dataset is at, or null}...]}
    """
    if check and resolve:
        raise UsageError("--check only looks, and --resolve writes", "leave one of the two out")
    repository = session.repository(signed=True)
    path = (repository.root or Path()) / LOCK_FILE
    if resolve:
        return _resolve(repository, path, as_json)
    return _check(repository, path, as_json) if check else _write(repository, path, as_json)


def _check(repository: Repository, path: Path, as_json: bool) -> int:
    from dsvc.git.lockfile import read_lock
    from dsvc.git.pinning import stand

    lock = read_lock(path)
    found = stand(repository, lock)
    wrong = standing_lines(repository, path, (one for one in found if not _is_current(one)))
    if as_json:
        print_json(_json(lock, found, is_current=not wrong, is_changed=False))
    elif wrong:
        out(f"{LOCK_FILE} does not say what is here")
        for line in wrong:
            out(f"  {line}")
    else:
        out(f"{LOCK_FILE} is current: {plural(len(lock), 'dataset')}")
    return Exit.NO if wrong else Exit.DONE


def _is_current(standing: Standing) -> bool:
    line, here = standing.line, standing.here
    return line is not None and here is not None and line == here


def _write(repository: Repository, path: Path, as_json: bool) -> int:
    from dsvc.errors import InvalidRecordsError
    from dsvc.git.lockfile import read_lock, write_lock
    from dsvc.git.pinning import lines_here, stand

    try:
        before = read_lock(path)
    except (NotFoundError, InvalidRecordsError):
        before = {}
    found = stand(repository, before)
    lines = lines_here(repository, before=before)
    # What was never brought here stays: this clone has nothing to say of it.
    lines |= {
        one.dataset: one.line for one in found if one.place == "absent" and one.here is None and one.line is not None
    }
    is_changed = write_lock(path, lines.values())
    if as_json:
        print_json(_json(lines, stand(repository, lines), is_current=True, is_changed=is_changed))
        return Exit.DONE
    out(f"{'wrote' if is_changed else 'nothing to write:'} {LOCK_FILE}{'' if is_changed else ' is current'}")
    for row in table((f"  {one.dataset}", one.branch, one.commit.short(), one.version or "") for one in _sorted(lines)):
        out(row.rstrip())
    for standing in found:
        if standing.place == "apart" and standing.line is not None:
            note(f"note: {standing.dataset} does not hold {standing.line.commit.short()}, which the lock named before")
    for dataset in repository.datasets():
        if dataset.has_draft():
            note(f"note: what is staged in {dataset.name} is in no commit: dsvc -d {dataset.name} commit -m TEXT")
    if not lines:
        note("note: no dataset has a commit yet: dsvc commit -m TEXT")
    return Exit.DONE


def _sorted(lines: dict[str, Locked]) -> list[Locked]:
    return [lines[name] for name in sorted(lines)]


def _resolve(repository: Repository, path: Path, as_json: bool) -> int:
    from dsvc.cli.bringing import bring
    from dsvc.cli.merged import lock_lines, unsettled_words
    from dsvc.git.lockfile import read_text, write_lock
    from dsvc.git.merging import resolve_lock
    from dsvc.git.pinning import stand
    from dsvc.git.staging import stage, stages_of

    merged = resolve_lock(repository, stages_of(path), read_text(path), bring)
    if merged.unsettled:
        hint = f"dsvc remote add names who has them, then again; or keep one line a dataset, and: git add {LOCK_FILE}"
        raise RefusedError(unsettled_words(merged), hint)
    write_lock(path, merged.lines.values())
    is_staged = stage(path)
    if as_json:
        print_json(_json(merged.lines, stand(repository, merged.lines), is_current=False, is_changed=True))
        return Exit.DONE
    for line in lock_lines(merged):
        out(line)
    out(f"{LOCK_FILE} is merged{' and staged' if is_staged else ''}")
    out(f"next: {'' if is_staged else f'git add {LOCK_FILE}, '}git commit, or git rebase --continue; then dsvc pull")
    return Exit.DONE


def _json(lines: dict[str, Locked], found: list[Standing], *, is_current: bool, is_changed: bool) -> dict[str, Any]:
    places = {one.dataset: one for one in found}
    return {
        "file": LOCK_FILE,
        "current": is_current,
        "changed": is_changed,
        "datasets": [
            {
                "dataset": line.dataset,
                "branch": line.branch,
                "commit": line.commit.hex(),
                "version": line.version,
                "standing": places[line.dataset].place,
                "here": here.commit.hex() if (here := places[line.dataset].here) is not None else None,
            }
            for line in _sorted(lines)
        ],
    }
