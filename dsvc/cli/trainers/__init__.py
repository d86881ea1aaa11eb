"""Ready trainers: programs that `dsvc train` runs where it is given no command."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module


def check_arguments(trainer: str, arguments: Sequence[str]) -> None:
    """See, before anything is made, that a trainer takes its arguments. Raises click.UsageError, and what
    `find_trainer` does."""
    from dsvc.core.training.trainers import find_trainer

    import_module(find_trainer(trainer).module).check(arguments)
