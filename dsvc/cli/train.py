"""dsvc train."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dsvc.cli.arguments import TEXT, text
from dsvc.cli.exit import Exit
from dsvc.cli.render import json_option, note, out, plural, print_json, shown, size
from dsvc.cli.runtext import command_text, how_it_ended, metrics_text, run_json, seconds_text
from dsvc.cli.session import Session, pass_session, shared_options
from dsvc.core.training.running import Watch
from dsvc.errors import DsvcError, RefusedError, UsageError

if TYPE_CHECKING:
    from dsvc.core.exporting import ExportReport
    from dsvc.core.ledger import Entry
    from dsvc.core.repository import Repository
    from dsvc.core.state import State
    from dsvc.core.training.comparing import KeptRun
    from dsvc.core.training.running import Plan, Source
    from dsvc.model.incoming import Progress

EXAMPLE = "such as: dsvc train pets -- python train.py"
_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")


class TrainCommand(click.Command):
    """A command that ends with another one, after `--`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the options before `--`; what comes after it is the command, as it is."""
        at = args.index("--") if "--" in args else len(args)
        after = [text(word) for word in args[at + 1 :]]
        rest = super().parse_args(ctx, args[:at])
        if ctx.params["command"]:
            raise UsageError(f"the command to run comes after --, not {ctx.params['command'][0]!r}", EXAMPLE)
        ctx.params["command"] = tuple(after)
        return rest


@click.command("train", cls=TrainCommand)
@click.argument("revision", metavar="[DATASET[@VERSION]]", type=TEXT, default="HEAD")
@click.argument("command", metavar="-- COMMAND...", type=TEXT, nargs=-1)
@click.option("--format", metavar="FORMAT", type=TEXT, default="coco", show_default=True, help="As dsvc export has it.")
@click.option("--where", metavar="EXPR", type=TEXT, help="Only the inputs that match; see the reference: Filters.")
@click.option("--trainer", metavar="NAME", type=TEXT, help="A ready trainer, sklearn; what follows -- is for it.")
@click.option("--keep-data", is_flag=True, help="Leave the data in the run folder afterwards.")
@click.option("-m", "--message", metavar="TEXT", type=TEXT, default="", help="What is tried.")
@json_option
@shared_options
@pass_session
def train_command(
    session: Session,
    revision: str,
    command: tuple[str, ...],
    format: str,
    where: str | None,
    trainer: str | None,
    keep_data: bool,
    message: str,
    as_json: bool,
) -> int:
    """Run a command on the data of a version, and keep the run.

    Without @VERSION one is made of what the dataset holds, staged changes too: auto-generated-TIME-ID. The data is laid
    out in a folder, and the command runs where you are, with DSVC_VERSION (DATASET@VERSION), DSVC_DATA (the folder of
    the data) and DSVC_RUN (the run's folder) in its environment. What it leaves in DSVC_RUN is kept with the run: the
    files in model, metrics.json (names and numbers), predictions.json (COCO results), and what it printed.

    Exits with 1 where the command fails; the run is kept as well. See the reference: Training runs.

    \b
    JSON: {as in `dsvc runs show --json`}; what the command prints goes to stderr then
    """
    from dsvc.cli.trainers import check_arguments
    from dsvc.core.training.running import Plan, find_source
    from dsvc.core.training.trainers import trainer_command

    if trainer is not None:
        arguments, command = command, trainer_command(trainer, command)
        check_arguments(trainer, arguments)
    if not command:
        raise UsageError("there is no command to run", EXAMPLE)
    dataset = session.dataset(signed=True)
    enter_left(dataset.repository)
    source = find_source(dataset, revision)
    plan = Plan(command, dict(os.environ), Path.cwd(), format, where, trainer, message, keep_data)
    run, code = run_plan(source, plan, as_json)
    if run is None:
        return code
    if as_json:
        print_json(run_json(run))
    else:
        out(f"next: dsvc runs show {run.entry.id}")
    return tell_failure(run)


def run_plan(source: Source, plan: Plan, as_json: bool) -> tuple[KeptRun | None, int]:
    """Run what is planned; the run, or None and the exit code where dsvc was stopped meanwhile."""
    from dsvc.core.training.comparing import KeptRun
    from dsvc.core.training.process import Stopped
    from dsvc.core.training.running import train

    watch = _Terminal(as_json)
    try:
        with _stopping():
            entry = train(source, plan, watch)
    except Stopped as stop:
        note(f"interrupted{watch.what_is_kept()}")
        source.dataset.repository.store.close()  # media that came is kept
        return None, 128 + stop.number
    except (DsvcError, OSError):
        if watch.entry is not None:
            note(f"note: run {watch.entry.id} is kept as {watch.entry.record['status']}")
        raise
    # Read anew: while it went on, the dataset may have got another name.
    run = KeptRun(source.dataset.repository.dataset(entry.record["dataset"]), entry)
    if not as_json:
        _tell_end(run, plan.keep_data)
    return run, Exit.DONE


@contextlib.contextmanager
def _stopping() -> Iterator[None]:
    """Let signals that end dsvc reach the run, which passes them on, instead."""
    from dsvc.core.training.process import Stopped

    def stop(number: int, _: object) -> None:
        raise Stopped(number)

    before = {}
    for name in _SIGNALS:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            before[number] = signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Terminal(Watch):
    """Tells on the terminal what a run does."""

    def __init__(self, as_json: bool) -> None:
        self.entry: Entry | None = None
        self._id: str | None = None
        self._as_json = as_json
        self.show = self._show

    def _show(self, data: bytes) -> None:
        stream = sys.stderr if self._as_json else sys.stdout
        binary = getattr(stream, "buffer", None)
        if binary is not None:
            stream.flush()
            binary.write(data)
            binary.flush()
        else:
            stream.write(data.decode(errors="backslashreplace"))

    @contextlib.contextmanager
    def laying_out(self, state: State) -> Iterator[tuple[State, Progress | None]]:
        """Show a bar meanwhile."""
        from dsvc.cli.progress import progress, watched

        with progress() as report:
            yield watched(state, report), report

    def begins(self, record: Mapping[str, Any], is_new: bool, report: ExportReport) -> None:
        """Say what the command works on."""
        self._id = record["id"]
        if self._as_json:
            return
        with contextlib.suppress(OSError):  # nobody reads; the command runs all the same
            name = f"{record['dataset']}@{record['version']}"
            out(f"made version {record['version']} of {record['dataset']}" if is_new else f"on {shown(name)}")
            counts = f"{plural(report.inputs, 'input')}, {plural(report.annotations, 'annotation')}"
            out(f"laid out {counts} as {report.profile}")
            for line in report.notes:
                out(f"note: {shown(line)}")
            out(f"run {record['id']}: {command_text(record['command'])}")
            sys.stdout.flush()

    def kept(self, entry: Entry) -> None:
        """Note that the run is kept."""
        self.entry = entry

    def what_is_kept(self) -> str:
        """What an interrupt left behind, as the end of a sentence."""
        if self.entry is not None:
            return f"; run {self.entry.id} is kept as killed: dsvc runs show {self.entry.id}"
        if self._id is not None:
            return f"; run {self._id} is over, and this keeps it: dsvc runs list"
        return " before the command began"


def _tell_end(run: KeptRun, keep_data: bool) -> None:
    """Say how a run ended and what is kept of it."""
    record, files = run.record, run_json(run)["files"]
    metrics = f": {metrics_text(record['metrics'])}" if record["metrics"] else ""
    out(f"run {run.entry.id} {how_it_ended(record)}, after {seconds_text(record['seconds'])}{metrics}")
    out(f"kept {plural(len(files), 'file')}, {size(sum(file['size'] or 0 for file in files))}")
    if keep_data:
        out(f"its data stays in .dsvc/runs/{run.entry.id}/data")
    for line in record["notes"]:
        out(f"note: {shown(line)}")


def tell_failure(run: KeptRun) -> int:
    """Report a command that failed; the exit code for how it ended."""
    from dsvc.cli.failure import tell

    if run.record["status"] == "done":
        return Exit.DONE
    message = f"the command {how_it_ended(run.record)}"
    with contextlib.suppress(OSError, ValueError):  # first what was said on stdout
        sys.stdout.flush()
    tell(RefusedError(message, f"what it printed is kept: dsvc runs show {run.entry.id} --log"))
    return Exit.NO


def enter_left(repository: Repository) -> None:
    """Enter the runs that were left behind, and say so."""
    from dsvc.core.training.record import enter_left as entering

    for found in entering(repository):
        if found.error is not None:
            hint = f"; {found.error.hint}" if found.error.hint else ""
            note(f"note: run {found.id} cannot be kept yet: {shown(found.error.message + hint)}")
        else:
            note(f"note: run {found.id} of {shown(found.dataset)} was left behind; it is kept as {found.status}")
        if found.process is not None:
            note(f"note: the command of run {found.id} still runs, as process {found.process.id}")
