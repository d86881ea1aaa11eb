"""dsvc runs list, show, compare, reproduce, extract, delete."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dsvc.cli.arguments import PATH, TEXT
from dsvc.cli.deleted import tell_ways_back
from dsvc.cli.distant import fit
from dsvc.cli.exit import Exit
from dsvc.cli.render import dry_run_option, json_option, note, out, plural, print_json, shown, size, write
from dsvc.cli.runtext import (
    command_text,
    file_pairs,
    how_it_ended,
    metric_pairs,
    metrics_json,
    pairs_json,
    run_json,
    run_lines,
    run_row,
    run_table,
    running_row,
)
from dsvc.cli.session import Session, pass_session, shared_options
from dsvc.errors import DamagedError, NotFoundError, RefusedError

if TYPE_CHECKING:
    from dsvc.core.repository import Repository
    from dsvc.core.training.comparing import KeptRun, Pair
    from dsvc.core.training.folder import Note, RunFolder


@click.group("runs")
@shared_options
def runs_command() -> None:
    """List, show, compare, reproduce, extract and delete training runs.

    ID is what `dsvc runs list` shows, or its first digits, at least 4; `last` is the last run, `last~1` the one before.
    """


@runs_command.command("list")
@json_option
@shared_options
@pass_session
def list_runs(session: Session, as_json: bool) -> None:
    """List the runs of the dataset, the oldest first: id, when, version, status, metrics, how long it took.

    The version that a run made itself is called auto here, one that another run made auto and that one's id; the whole
    name says `dsvc runs show`.

    \b
    JSON: {"dataset", "runs": [{as in `dsvc runs show --json`}...], "running": [{"id", "version", "command",
           "began"}...]}
    """
    from dsvc.core.training.comparing import kept_runs
    from dsvc.core.training.record import going_on

    dataset = session.dataset(signed=True)
    _enter_left(dataset.repository)
    runs = kept_runs(dataset)
    running = [_running_json(found) for found in going_on(dataset.repository, dataset.name)]
    if as_json:
        print_json({"dataset": dataset.name, "runs": [run_json(run) for run in runs], "running": running})
        return
    rows = [run_row(run) for run in runs]
    rows += [running_row(one["id"], one["version"], one["began"]) for one in running]
    if not rows:
        out("no runs yet" + fit("; next: dsvc train -- COMMAND"))
        return
    for line in run_table(rows):
        out(line)


def _running_json(found: Note) -> dict[str, Any]:
    from dsvc.core.training.form import run_record

    record = run_record(found.record)
    return {name: record[name] for name in ("id", "version", "command", "began")}


@runs_command.command("show")
@click.argument("id", type=TEXT)
@click.option("--log", is_flag=True, help="Print what the command printed, and nothing else.")
@json_option
@shared_options
@pass_session
def show(session: Session, id: str, log: bool, as_json: bool) -> None:
    """Show one run: command, data, code, metrics, files with the first digits of their hashes.

    \b
    JSON: {"id", "dataset", "version", "commit", "command": [WORD...], "trainer", "folder": where it ran, from the
           project's, "format", "where", "message", "status": "done", "failed" or "killed", "exit_code", "signal",
           "began", "seconds", "git": {"commit", "dirty"} or null, "environment": {"python", "platform"},
           "metrics": {NAME: NUMBER}, "reproduces": ID or null, "notes": [TEXT...], "author", "time",
           "files": [{"name", "size", "hash"}...]}
    """
    run = _find(session, id)
    if log:
        _print_log(run)
    elif as_json:
        print_json(run_json(run))
    else:
        for line in run_lines(run):
            out(line)


def _print_log(run: KeptRun) -> None:
    """Print a log; what is no text comes as escapes, and nothing in it acts on the terminal."""
    from dsvc.core.ledger import read_file

    text = b"".join(read_file(run.dataset, run.entry, "log.txt")).decode("utf-8", "backslashreplace")
    for line in text.splitlines(keepends=True):
        end = "\n" if line.endswith(("\n", "\r")) else ""
        write("".join(c if c == "\t" else shown(c) for c in line.rstrip("\r\n")) + end)


@runs_command.command("compare")
@click.argument("old", metavar="A", type=TEXT)
@click.argument("new", metavar="B", type=TEXT)
@json_option
@shared_options
@pass_session
def compare(session: Session, old: str, new: str, as_json: bool) -> None:
    """Compare two runs: their data, commands, metrics and files.

    \b
    JSON: {"from", "to": ID, "data": {"same": whether it is, taken by the same format and where,
           "stat": as in `dsvc diff --stat --json`},
           "command", "format", "where", "git": {"old", "new"},
           "metrics": [{"name", "old", "new": NUMBER or null, "delta"}...],
           "files": [{"name", "verb": "same", "changed", "added" or "removed", "old", "new": HASH or null}...]}
    """
    from dsvc.cli.changes import stat_json, stat_lines
    from dsvc.cli.progress import progress
    from dsvc.core.training.comparing import compare_data, compare_files, compare_metrics

    before, after = _find(session, old), _find(session, new)
    with progress() as report:
        stat = compare_data(before, after, report)
    metrics, files = compare_metrics(before, after), compare_files(before, after)
    sides = {name: {"old": before.record[name], "new": after.record[name]} for name in _SIDES}
    if as_json:
        is_same = not stat and not _taken_otherwise(sides)
        head = {"from": before.entry.id, "to": after.entry.id, "data": {"same": is_same, "stat": stat_json(stat)}}
        print_json({**head, **sides, "metrics": metrics_json(metrics), "files": pairs_json(files)})
        return
    out(f"run {before.entry.id} -> {after.entry.id}")
    otherwise = " and ".join(_taken_otherwise(sides))
    same = f"the same but for {otherwise}" if otherwise else "the same"
    out("data: " + (same if not stat else f"{_version(before)} -> {_version(after)}"))
    for line in stat_lines(stat):
        out(f"  {line}")
    _tell_sides(sides)
    for line in (*metric_pairs(metrics), *file_pairs(files)):
        out(line)


_SIDES = ("command", "format", "where", "git")


def _taken_otherwise(sides: dict[str, dict[str, Any]]) -> list[str]:
    """In what the data was taken otherwise, were it of the same version."""
    return [name for name in ("format", "where") if sides[name]["old"] != sides[name]["new"]]


def _version(run: KeptRun) -> str:
    return shown(f"{run.dataset.name}@{run.record['version']}")


def _tell_sides(sides: dict[str, dict[str, Any]]) -> None:
    """Print what was asked for otherwise."""
    commands = sides["command"]
    out("command: " + ("the same" if commands["old"] == commands["new"] else "differs"))
    if commands["old"] != commands["new"]:
        out(f"  - {command_text(commands['old'])}")
        out(f"  + {command_text(commands['new'])}")
    for name in ("format", "where"):
        old, new = (value if value is not None else "all" for value in sides[name].values())
        if old != new:
            out(f"{name}: {shown(old)} -> {shown(new)}")
    old, new = ((git or {}).get("commit", "none")[:12] for git in sides["git"].values())
    if old != new:
        out(f"code: Git's commit {shown(old)} -> {shown(new)}")


@runs_command.command("reproduce")
@click.argument("id", type=TEXT)
@click.option("--keep-data", is_flag=True, help="Leave the data in the run folder afterwards.")
@json_option
@shared_options
@pass_session
def reproduce(session: Session, id: str, keep_data: bool, as_json: bool) -> int:
    """Run the command of a run again on the same data, as a new run, and say whether the result is the same.

    It runs in the same folder of the project. Compared are metrics, the files in model, and predictions. Exits with 1
    where they differ, or the command fails.

    \b
    JSON: {"same": whether all is, "run": {as in `dsvc runs show --json`}, "metrics", "files": as in
           `dsvc runs compare --json`}; what the command prints goes to stderr then
    """
    from dsvc.cli.train import run_plan, tell_failure
    from dsvc.core.training.again import plan_again
    from dsvc.core.training.comparing import compare_files, compare_metrics

    before = _find(session, id)
    again = plan_again(before, dict(os.environ), Path.cwd(), keep_data)
    for line in again.notes:
        note(f"note: {shown(line)}")
    after, code = run_plan(again.source, again.plan, as_json)
    if after is None:
        return code
    metrics, files = compare_metrics(before, after), compare_files(before, after)
    statuses = [run.record[name] for name in ("status", "exit_code") for run in (before, after)]
    same = all(pair.verb == "same" for pair in (*metrics, *files)) and statuses[::2] == statuses[1::2]
    if as_json:
        compared = {"metrics": metrics_json(metrics), "files": pairs_json(files)}
        print_json({"same": same, "run": run_json(after), **compared})
    else:
        _tell_again(before, after, same, metrics, files)
    return tell_failure(after) or (Exit.DONE if same else Exit.NO)


def _tell_again(before: KeptRun, after: KeptRun, same: bool, metrics: list[Pair], files: list[Pair]) -> None:
    out(f"run {after.entry.id} reproduces {before.entry.id}: {'the same' if same else 'not the same'}")
    if before.record["status"] != after.record["status"]:
        out(f"the command {how_it_ended(after.record)}; then it {how_it_ended(before.record)}")
    for line in (*metric_pairs(metrics), *file_pairs(files)):
        out(line)


@runs_command.command("extract")
@click.argument("id", type=TEXT)
@click.option("-o", "--output", metavar="FOLDER", type=PATH, required=True, help="A new folder, or an empty one.")
@json_option
@shared_options
@pass_session
def extract_command(session: Session, id: str, output: Path, as_json: bool) -> None:
    """Write the files that a run left to a folder: model, metrics.json, predictions.json, log.txt.

    \b
    JSON: {"id", "path", "files", "bytes"}
    """
    from dsvc.cli.progress import progress
    from dsvc.core.training.extracting import extract

    run = _find(session, id)
    with progress() as report:
        count, total = extract(run.dataset, run.entry, output, report)
    if as_json:
        print_json({"id": run.entry.id, "path": str(output), "files": count, "bytes": total})
    else:
        out(f"wrote {plural(count, 'file')}, {size(total)} to {shown(str(output))}")


@runs_command.command("delete")
@click.argument("id", type=TEXT)
@dry_run_option
@shared_options
@pass_session
def delete(session: Session, id: str, dry_run: bool) -> None:
    """Take a run away, with its folder, and with the version that was made for it unless another run names that."""
    from dsvc.core.ledger import bare_entry
    from dsvc.core.training.comparing import KeptRun
    from dsvc.core.training.dropping import drop_run, find_folder
    from dsvc.model.view import RUN

    dataset = session.dataset(signed=True)
    _enter_left(dataset.repository)
    try:
        run = _find(session, id)
    except NotFoundError:
        folder = find_folder(dataset.repository, id)
        if folder is None:
            raise
        _drop_folder(folder, dry_run)
        return
    except DamagedError:
        run = KeptRun(dataset, bare_entry(dataset, RUN, id))
    verb = "would delete" if dry_run else "deleted"
    gone, is_clear = drop_run(run, dry_run=dry_run)
    began = f", made {run.record['began']}" if dry_run and run.record["began"] else ""
    out(f"{verb} run {run.entry.id} of {shown(run.dataset.name)}{began}")
    for name in gone:
        out(f"{verb} version {name}")
    if dry_run:
        return
    if not is_clear:
        note(f"note: its folder could not be taken away: .dsvc/runs/{run.entry.id}")
    tell_ways_back(run.dataset, run.entry.id)


def _drop_folder(folder: RunFolder, dry_run: bool) -> None:
    """Take the folder of a run away that is no run of any dataset."""
    if not dry_run and not folder.remove():
        raise RefusedError(f"{folder.path} could not be taken away", "see who owns it, and its permissions")
    out(f"{'would delete' if dry_run else 'deleted'} the folder of run {folder.id}, which is in no dataset")


# ---- shared


def _find(session: Session, id: str) -> KeptRun:
    """The run of an id: of the current dataset, else of another one. Raises NotFoundError, UsageError."""
    from dsvc.core.training.comparing import find_run

    repository = session.repository(signed=True)  # one that was left behind may be entered
    _enter_left(repository)
    others = list(repository.datasets())
    current = repository.dataset() if repository.workspace.dataset is not None or not others else others[0]
    for dataset in (current, *others) if not id.startswith("last") else ():
        with contextlib.suppress(NotFoundError):
            return find_run(dataset, id)
    return find_run(current, id)


def _enter_left(repository: Repository) -> None:
    from dsvc.cli.train import enter_left

    if repository.root is not None:
        enter_left(repository)
