"""What the sources of a format said of themselves, as a snapshot keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from dsvc.errors import DamagedError


def said_by_sources(meta: Mapping[str, Any], format: str, form: type) -> list[Mapping[str, Any]]:
    """What each source of a format said, in the order of their names. Raises DamagedError where one has not the fields
    of a form, of their types."""
    found: list[Mapping[str, Any]] = []
    for name, said in sorted(meta.get(format, {}).items()):
        try:
            msgspec.convert(said, form)
        except msgspec.ValidationError as error:
            raise DamagedError(f"what source {name!r} said of itself cannot be read: {error}") from error
        found.append(said)
    return found
