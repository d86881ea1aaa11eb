"""The `dsvc` command: what there is, each loaded only when it is run."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
from collections.abc import Callable, Sequence
from importlib import import_module

import click

from dsvc import __version__
from dsvc.cli.exit import Exit
from dsvc.cli.session import Session, shared_options

# Section -> command -> (module, one line of help). The line stands here too, so that --help loads no command.
SECTIONS: dict[str, dict[str, tuple[str, str]]] = {
    "Begin": {
        "init": ("begin", "Make a repository in a project folder."),
        "demo": ("demo", "Make a small dataset in a new folder and show the whole story."),
    },
    "Datasets": {
        "create": ("dataset", "Make a dataset and make it the current one."),
        "list": ("dataset", "List the datasets."),
        "use": ("dataset", "Make a dataset the current one, or look at a version of it."),
        "branch": ("branch", "List the branches, begin one, or take one away."),
        "switch": ("branch", "Go to another branch of the dataset."),
        "show": ("show", "Show what a dataset, a revision, an input or an annotation holds."),
        "describe": ("dataset", "Say what a dataset (by default the current one) is for."),
        "rename": ("dataset", "Give a dataset another name."),
        "delete": ("dataset", "Take a dataset away with its branches, versions and drafts."),
    },
    "Change": {
        "add": ("add", "Take files and folders into the draft."),
        "untrack": ("add", "Track folders no more."),
        "import": ("importing", "Import a file or a folder into the draft."),
        "materialize": ("materialize", "Copy in the bytes that inputs refer to."),
        "annotate": ("annotate", "Add an annotation to an input, or change one."),
        "concept": ("concept", "List, rename, merge and delete concepts."),
        "set": ("set", "Set fields of inputs: metadata, split, geo."),
        "split": ("set", "Split inputs into train, val and test by a hash."),
        "mv": ("move", "Give an input another key, or move inputs to a folder."),
        "rm": ("remove", "Take inputs and annotations out of the draft."),
        "status": ("status", "Show where the dataset stands, what is staged, and what changed in its folders."),
        "discard": ("remove", "Drop staged changes: all, or those of some inputs."),
    },
    "History": {
        "commit": ("history", "Commit what is staged."),
        "log": ("history", "List the commits, the last first."),
        "blame": ("blame", "Tell who brought an input and each of its annotations, and who changed them last."),
        "restore": ("restore", "Bring inputs back into the draft as they were in a revision."),
        "revert": ("restore", "Take the changes of a commit back, as a change of the draft."),
        "diff": ("diff", "Show what changed between two revisions, or what is staged."),
        "merge": ("merge", "Merge another dataset, branch, version or commit into the current branch."),
        "conflicts": ("conflicts", "List the open conflicts, each with its candidates and who brought them."),
        "resolve": ("conflicts", "Settle conflicts in the draft: say which candidate of a field holds."),
        "query": ("query", "Ask one SELECT of DuckDB's SQL over the tables inputs, annotations and concepts."),
        "version": ("version", "Create, list, show and delete versions."),
        "checkout": ("checkout", "Lay a revision out as files in a folder of the project, and keep it current."),
        "export": ("export", "Write a revision as Clarifai Protobuf, Clarifai JSON, COCO or PNG masks."),
    },
    "Know": {
        "metrics": ("metrics", "Count what a revision holds, or compare the numbers of two."),
        "evaluate": ("evaluate", "Score predictions against a revision, and keep both, and the numbers."),
        "train": ("train", "Run a command on the data of a version, and keep the run."),
        "runs": ("runs", "List, show, compare, reproduce, extract and delete training runs."),
        "preview": ("preview", "Draw a contact sheet of a revision, or of what differs between two."),
        "plot": ("plot", "Plot what a revision holds, or the curves of an evaluation."),
    },
    "Git": {
        "git": ("git", "Install, remove and look at the Git hooks and drivers."),
        "lock": ("lock", "Write dsvc.lock: which commit of each dataset goes with the code beside it."),
    },
    "Share": {
        "remote": ("remote", "Name the places that datasets are shared through."),
        "clone": ("clone", "Make a repository with all that a remote has."),
        "push": ("push", "Bring the current dataset to a remote."),
        "fetch": ("sync", "Bring what is new at a remote, and note where its branches and versions stand."),
        "pull": ("pull", "Bring what dsvc.lock names; without one, what the remote has of the current branch."),
    },
    "Safety": {
        "undo": ("undo", "Take back the last operation of this workspace."),
        "redo": ("undo", "Take back the last undo."),
        "op": ("undo", "List operations, and go back to one."),
        "check": ("check", "Verify that everything stored is whole."),
        "gc": ("gc", "Free the room of what nothing needs any more."),
        "purge": ("purge", "Remove an input's media for good, from all history and from all remotes."),
    },
}
COMMANDS = {name: place for section in SECTIONS.values() for name, place in section.items()}


class LazyGroup(click.Group):
    """The commands of the table, imported one at a time."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"dsvc.cli.{COMMANDS[cmd_name][0]}")
        command = getattr(module, f"{cmd_name}_command")
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; the error for an unknown one names those near it."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            import difflib

            near = difflib.get_close_matches(args[0], COMMANDS, 3)
            did_you_mean = f"; did you mean {', '.join(near)}?" if near else ""
            raise click.UsageError(f"no command {args[0]!r}{did_you_mean}", ctx)
        if args and args[0] in COMMANDS and ctx.ensure_object(Session).place is not None:
            from dsvc.cli.distant import require_reading

            require_reading(args[0], ctx.ensure_object(Session).place or "", begins=True)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table."""
        for title, commands in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name, text) for name, (_, text) in commands.items()])


@click.group(
    "dsvc",
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 done, 1 the answer is no, 2 usage, 3 refused, 4 not found, 5 damaged, 6 remote, "
    "130 interrupted.",
)
@click.version_option(__version__, message="dsvc %(version)s")
@shared_options
@click.pass_context
def cli(context: click.Context) -> None:
    """Version control for machine-learning datasets that works the way Git works."""


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command line (by default the process's own) and give its exit code; errors are printed."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    session = Session()
    code = _guarded(session, lambda: _invoke(given, session))
    if code != Exit.INTERRUPTED:
        # Also where a command failed half way, or nobody reads all that it says: what it changed by then is changed.
        after = _guarded(session, session.after_command)
        code = code or after
    if signal.getsignal(signal.SIGINT) is _interrupt_again:
        signal.signal(signal.SIGINT, _leave)  # all is cleaned up, and whoever reads the rest may be slow
    try:
        sys.stdout.flush()
    except KeyboardInterrupt:
        _drop_stdout()
        return Exit.INTERRUPTED
    except OSError as error:
        _drop_stdout()
        if code == Exit.DONE and not isinstance(error, BrokenPipeError):
            from dsvc.cli.failure import tell

            return tell(OSError(error.errno, error.strerror, "standard output"))
    return code


def _guarded(session: Session, work: Callable[[], int]) -> int:
    """Do some work; an error is printed, and gives its exit code."""
    try:
        return work()
    except BrokenPipeError:
        return Exit.DONE  # whoever reads has read enough
    except (KeyboardInterrupt, click.Abort):
        return session.interrupted()
    except Exception as error:
        from dsvc.cli.failure import tell

        return tell(session.fitting(error))


def _invoke(arguments: list[str], session: Session) -> int:
    try:
        with cli.make_context("dsvc", arguments, obj=session) as context:
            result = cli.invoke(context)
            return result if isinstance(result, int) else Exit.DONE
    except click.exceptions.Exit as done:
        return done.exit_code


def _drop_stdout() -> None:
    """Point stdout nowhere, so that Python has nothing to complain of when it closes it."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _interrupt(*_: object) -> None:
    """Stop the work at the first interrupt."""
    signal.signal(signal.SIGINT, _interrupt_again)
    raise KeyboardInterrupt


def _interrupt_again(*_: object) -> None:
    """Let the cleaning up come to its end at the second; raising again would leave a part of it undone."""
    signal.signal(signal.SIGINT, _leave)


def _leave(*_: object) -> None:
    """End at once."""
    os._exit(Exit.INTERRUPTED)


def main() -> None:
    """The entry point: run the process's command line and exit."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # whoever started it has closed it
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A name that is not Unicode, or that the terminal cannot show, is printed as an escape.
            stream.reconfigure(errors="backslashreplace")
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)
    try:
        code = run()
    except KeyboardInterrupt:
        code = Exit.INTERRUPTED
    if code == Exit.INTERRUPTED:
        _leave()  # Python may print something of its own, or end with another code
    # The work is done: an interrupt comes too late to stop it. One that waits already is taken by the first of these.
    signal.signal(signal.SIGINT, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit(code)


if __name__ == "__main__":
    main()
