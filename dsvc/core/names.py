"""Names of datasets, branches and versions."""

from __future__ import annotations

import re

from dsvc.errors import UsageError

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
RESERVED = "auto-generated-"


def check_name(name: str, what: str) -> str:
    """`name` if it may name a `what`. Raises UsageError."""
    if not NAME.fullmatch(name):
        hint = "letters, digits, '.', '_' and '-', up to 64, beginning with a letter or digit"
        raise UsageError(f"{name!r} cannot name a {what}", hint)
    if name == "HEAD":
        raise UsageError("HEAD is the name of the current branch's last commit", "choose another name")
    if name.startswith(RESERVED):
        raise UsageError(f"names that begin with {RESERVED!r} are reserved", "choose another name")
    return name
