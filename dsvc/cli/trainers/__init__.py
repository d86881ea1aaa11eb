"""Ready trainers: programs that `dsvc train` runs where it is given no command."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module


def check_arguments(trainer: str, arguments: Sequence[str]) -> None:
    """See, before anything is made, that a trainer takes its arguments and can run. Raises what it would raise."""
    from dsvc.core.training.trainers import TRAINERS

    import_module(TRAINERS[trainer]).check(arguments)
