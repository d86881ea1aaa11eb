"""The program that `dsvc train DATASET --trainer sklearn` runs: the environment says where the data are."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from dsvc.cli.exit import Exit
from dsvc.cli.render import out, shown
from dsvc.errors import UsageError

NAME = "dsvc train --trainer sklearn --"


@click.command("sklearn", context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--model", type=click.Choice(["svm", "logistic"]), default="svm", show_default=True, help="What learns.")
@click.option(
    "--size",
    metavar="N",
    type=click.IntRange(2, 256),
    help="Make pictures N x N pixels; else as large as they are, 32 at most.",
)
@click.option(
    "--holdout",
    metavar="SPLIT|PERCENT",
    help="Hold out this split, or so many percent; else test, else val, else 20 %.",
)
@click.option(
    "--seed", metavar="N", type=int, default=0, show_default=True, help="Of the hash that chooses a percentage."
)
@click.option(
    "--on-error",
    type=click.Choice(["stop", "skip"]),
    default="stop",
    show_default=True,
    help="What to do about pictures that cannot be read.",
)
def train_command(model: str, size: int | None, holdout: str | None, seed: int, on_error: str) -> None:
    """Learn the classes of a dataset's images with scikit-learn, and try them on those that are held out.

    It leaves metrics.json, predictions.json (a score for every class of each image that was held out, for
    dsvc evaluate) and the folder model with the model and the names of its classes.
    """
    from dsvc.core.training.images import Options, train_images

    data, run = _folder("DSVC_DATA"), _folder("DSVC_RUN")
    options = Options(model, size, holdout, seed, skip=on_error == "skip")
    train_images(data, run, options, lambda line: out(shown(line)))


def _folder(name: str) -> Path:
    """The folder that a variable of the environment names. Raises UsageError."""
    value = os.environ.get(name)
    if not value or not Path(value).is_dir():
        problem = f"is {value!r}, which is no folder" if value else "is not set"
        raise UsageError(f"{name} {problem}", "this is what runs in: dsvc train DATASET --trainer sklearn")
    return Path(value)


def check(arguments: Sequence[str]) -> None:
    """Raise click.UsageError for arguments that it does not take."""
    train_command.make_context(NAME, list(arguments)).close()


def run(arguments: Sequence[str]) -> int:
    """Run the program and give its exit code, one of those of dsvc; errors are printed."""
    try:
        train_command.main(list(arguments), prog_name=NAME, standalone_mode=False)
    except (KeyboardInterrupt, click.Abort):
        return Exit.INTERRUPTED
    except Exception as error:
        from dsvc.cli.failure import tell

        return tell(error)
    return Exit.DONE


def main() -> None:
    """Run the process's own arguments and exit. What is printed comes at once, whoever reads it."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace", line_buffering=True)
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
