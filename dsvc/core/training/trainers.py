"""The trainers that come with dsvc, each a program of its own that is run as any other command is."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from dsvc.errors import UsageError

TRAINERS = {"sklearn": "dsvc.cli.trainers.sklearn"}


def trainer_command(name: str, arguments: Sequence[str]) -> tuple[str, ...]:
    """The command of a trainer by name. Raises UsageError for an unknown one."""
    if name not in TRAINERS:
        raise UsageError(f"no trainer named {name!r}", f"there is: {', '.join(TRAINERS)}")
    # -P: what lies in the folder where it runs, a file random.py perhaps, is no part of it.
    return (sys.executable, "-P", "-m", TRAINERS[name], *arguments)


def trainer_arguments(command: Sequence[str]) -> Sequence[str]:
    """What was passed on to a trainer, of the command that it made."""
    return command[4:]
