"""The trainers that come with dsvc, each a program of its own that is run as any other command is."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.util import find_spec
from typing import NamedTuple

from dsvc.errors import RefusedError, UsageError


class Trainer(NamedTuple):
    """A trainer: the module that is run, and the modules that it needs, each with the package that it comes in."""

    module: str
    needs: tuple[tuple[str, str], ...]


TRAINERS = {"sklearn": Trainer("dsvc.cli.trainers.sklearn", (("sklearn", "scikit-learn"), ("PIL", "Pillow")))}


def find_trainer(name: str) -> Trainer:
    """A trainer by name. Raises UsageError for an unknown one, RefusedError for what it lacks here."""
    trainer = TRAINERS.get(name)
    if trainer is None:
        raise UsageError(f"no trainer named {name!r}", f"there is: {', '.join(TRAINERS)}")
    for module, package in trainer.needs:
        if find_spec(module) is None:
            raise RefusedError(f"the trainer {name} needs {package}", f"pip install 'dsvc[{name}]'")
    return trainer


def trainer_command(name: str, arguments: Sequence[str]) -> tuple[str, ...]:
    """The command of a trainer by name. Raises what `find_trainer` does."""
    # -P: what lies in the folder where it runs, a file random.py perhaps, is no part of it.
    return (sys.executable, "-P", "-m", find_trainer(name).module, *arguments)


def trainer_arguments(command: Sequence[str]) -> Sequence[str]:
    """What was passed on to a trainer, of the command that it made."""
    return command[4:]
