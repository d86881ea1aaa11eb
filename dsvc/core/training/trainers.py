"""The trainers that come with dsvc, each a program of its own that is run as any other command is."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.util import find_spec
from typing import NamedTuple

from dsvc.errors import RefusedError, UsageError


class Trainer(NamedTuple):
    """A trainer: the module that is run, the module that it needs, and what that is called where it is installed."""

    module: str
    needs: str
    package: str


TRAINERS = {"sklearn": Trainer("dsvc.cli.trainers.sklearn", "sklearn", "scikit-learn")}


def trainer_command(name: str, arguments: Sequence[str]) -> tuple[str, ...]:
    """The command of a trainer by name. Raises UsageError for an unknown one, RefusedError for what it lacks here."""
    trainer = TRAINERS.get(name)
    if trainer is None:
        raise UsageError(f"no trainer named {name!r}", f"there is: {', '.join(TRAINERS)}")
    if find_spec(trainer.needs) is None:
        raise RefusedError(f"the trainer {name} needs {trainer.package}", f"pip install 'dsvc[{name}]'")
    return (sys.executable, "-m", trainer.module, *arguments)


def trainer_arguments(command: Sequence[str]) -> Sequence[str]:
    """What was passed on to a trainer, of the command that it made."""
    return command[3:]
