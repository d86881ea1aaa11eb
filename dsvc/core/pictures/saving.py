"""Saving pictures: a file whole or not at all, in the format that its name ends in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from dsvc.errors import RefusedError, UsageError
from dsvc.store.files import refusing, replace_file

SHEETS = (".jpg", ".jpeg", ".png")
PLOTS = (".png", ".svg", ".pdf")


def check_target(path: Path, suffixes: Sequence[str], force: bool) -> None:
    """Raise UsageError where a name does not say the format, RefusedError where no file can be, or one is."""
    if path.suffix.lower() not in suffixes:
        names = f"{', '.join(suffixes[:-1])} or {suffixes[-1]}"
        what = f"no picture has the form {path.suffix}" if path.suffix else f"{path.name!r} does not say which form"
        raise UsageError(what, f"let the name end in {names}")
    with refusing(path):
        if path.is_dir():
            raise RefusedError(f"{path} is a folder", f"name a file: -o sheet{suffixes[0]}")
        if path.exists() and not force:
            raise RefusedError(f"{path} exists already", "name another file, or replace it: --force")
        if not path.absolute().parent.is_dir():
            raise RefusedError(f"{path.parent} is no folder", "make it first, or name another file")
    if ".dsvc" in path.absolute().parts:
        raise RefusedError(f"{path} lies in a repository's own folder", "name another place")


def save(path: Path, suffixes: Sequence[str], force: bool, make: Callable[[str], bytes]) -> None:
    """Write what `make` gives for a suffix (in lower case) to a file. Raises UsageError, RefusedError."""
    data = make(path.suffix.lower())
    check_target(path, suffixes, force)  # again: it took a while
    replace_file(path, data)
