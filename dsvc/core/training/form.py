"""The form of a run's record: which fields there are, and what they hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_TEXT, _MAYBE_TEXT, _MAYBE_INT = (str,), (str, type(None)), (int, type(None))
# Field -> what it may hold, and what is taken for it where a record, written by another program, has something else.
_FIELDS: dict[str, tuple[tuple[type, ...], Any]] = {
    "id": (_TEXT, ""),
    "dataset": (_TEXT, ""),
    "version": (_TEXT, ""),
    "commit": (_TEXT, ""),
    "command": ((list,), []),
    "trainer": (_MAYBE_TEXT, None),
    "folder": (_MAYBE_TEXT, None),
    "format": (_TEXT, ""),
    "where": (_MAYBE_TEXT, None),
    "message": (_TEXT, ""),
    "status": (_TEXT, "killed"),
    "exit_code": (_MAYBE_INT, None),
    "signal": (_MAYBE_TEXT, None),
    "began": (_TEXT, ""),
    "seconds": ((int, float), 0.0),
    "git": ((dict, type(None)), None),
    "environment": ((dict,), {}),
    "metrics": ((dict,), {}),
    "reproduces": (_MAYBE_TEXT, None),
    "notes": ((list,), []),
}


def run_record(record: Mapping[str, Any]) -> dict[str, Any]:
    """A run's record with every field, in order. What has another form than it should is left out."""
    found = {name: _fitting(record.get(name), *form) for name, form in _FIELDS.items()}
    for name in ("command", "notes"):
        found[name] = [word for word in found[name] if isinstance(word, str)]
    found["metrics"] = {name: value for name, value in found["metrics"].items() if _is_number(value)}
    git = found["git"]
    if git is not None and not isinstance(git.get("commit"), str):
        found["git"] = None
    elif git is not None:
        dirty = git.get("dirty")
        found["git"] = {"commit": git["commit"], "dirty": dirty if isinstance(dirty, bool) else None}
    return found


def _fitting(value: Any, kinds: tuple[type, ...], otherwise: Any) -> Any:
    return value if isinstance(value, kinds) and not isinstance(value, bool) else otherwise


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
