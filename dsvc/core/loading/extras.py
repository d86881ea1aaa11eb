"""What training code has and dsvc does without: libraries that are asked for when they are needed."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from dsvc.errors import RefusedError


def require(module: str, what: str, extra: str, name: str | None = None) -> Any:
    """A library's module. Raises RefusedError, which names the extra that has it, where it is not installed."""
    try:
        return import_module(module)
    except ImportError as error:
        raise RefusedError(f"{what} needs {name or module}", f"pip install 'dsvc[{extra}]'") from error
