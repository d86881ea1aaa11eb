"""The optional packages that pictures are made with."""

from __future__ import annotations

import importlib.util
from typing import Any

from dsvc.errors import RefusedError

HINT = "pip install 'dsvc[pictures]'"


def require_pillow(what: str = "a preview") -> Any:
    """The module `PIL.Image`. Raises RefusedError where Pillow is not installed."""
    try:
        from PIL import Image
    except ImportError as error:
        raise RefusedError(f"{what} needs Pillow", HINT) from error
    return Image


def require_matplotlib() -> None:
    """Raise RefusedError where Matplotlib is not installed. It is not loaded yet."""
    if importlib.util.find_spec("matplotlib") is None:
        raise RefusedError("a plot needs Matplotlib", HINT)
