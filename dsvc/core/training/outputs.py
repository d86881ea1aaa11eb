"""What a command left in its run folder: the files to keep, and its metrics; and what is wrong with them, in words."""

from __future__ import annotations

import json
import math
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from dsvc.core.keys import check_key, display
from dsvc.core.training.folder import RunFolder
from dsvc.core.training.process import read_tail
from dsvc.errors import RefusedError

METRICS_BYTES = 1 << 20
METRICS = 1000
_NOTES = 20
_NESTING = 20


class Outputs(NamedTuple):
    """The files of a run by name, with where their bytes are, its metrics, and notes on what was left out."""

    files: dict[str, Path | bytes]
    metrics: dict[str, int | float]
    notes: list[str]


def gather(folder: RunFolder, log: BinaryIO | None = None) -> Outputs:
    """Find what a run left; `log` is the log where it is open still. Raises OSError where a folder cannot be read."""
    files: dict[str, Path | bytes] = {}
    notes: list[str] = []
    root = Path(os.path.realpath(folder.path))
    if not folder.path.is_dir():
        notes.append("the command took its run folder away, with all that it had left there")
    for name in ("metrics.json", "predictions.json"):
        path = folder.path / name
        if os.path.lexists(path) and (place := _place(path, name, root, notes)):
            files[name] = place
    files |= _model_files(folder.model, root, notes)
    if (tail := _tail(folder.log, log)) is not None:
        files["log.txt"] = tail
    metrics = _metrics(files.get("metrics.json"), notes)
    more = len(notes) - _NOTES
    return Outputs(files, metrics, [*notes[:_NOTES], f"... and {more:,} more"] if more > 0 else notes)


# ---- files


def _model_files(model: Path, root: Path, notes: list[str]) -> Iterator[tuple[str, Path | bytes]]:
    if model.is_symlink() or (os.path.lexists(model) and not model.is_dir()):
        notes.append("model is no folder: nothing of it is kept")
        return
    for path in _walk(model, notes):
        name = f"model/{path.relative_to(model).as_posix()}"
        try:
            check_key(name)
        except RefusedError as error:
            notes.append(f"{error.message.removeprefix('the input key ')}; not kept")
            continue
        if place := _place(path, name, root, notes):
            yield name, place


def _walk(folder: Path, notes: list[str]) -> Iterator[Path]:
    """Everything below a folder that is no folder; links to folders are told."""
    if not folder.is_dir():
        return

    def unreadable(error: OSError) -> None:
        notes.append(f"{display(str(error.filename))}: {error.strerror}; not kept")

    for place, folders, names in os.walk(folder, onerror=unreadable):
        folders.sort()
        for name in folders:
            if (path := Path(place, name)).is_symlink():
                notes.append(f"model/{display(path.relative_to(folder).as_posix())} is a link to a folder; not kept")
        yield from (Path(place, name) for name in sorted(names))


def _place(path: Path, name: str, root: Path, notes: list[str]) -> Path | None:
    """Where the bytes of a file are, a link inside of the run folder followed; None, and a note, where it has none."""
    target = os.path.realpath(path)
    if path.is_symlink() and not target.startswith(f"{root}{os.sep}"):
        notes.append(f"{display(name)} is a link that leads out of the run folder; not kept")
        return None
    try:
        found = os.stat(target)  # noqa: PTH116 - a text
        if not stat.S_ISREG(found.st_mode):
            notes.append(f"{display(name)} is no regular file; not kept")
            return None
        with open(target, "rb"):
            return Path(target)
    except OSError as error:
        notes.append(f"{display(name)}: {error.strerror}; not kept")
        return None


def _tail(path: Path, log: BinaryIO | None) -> bytes | None:
    """What is kept of the log; None where there is none."""
    try:
        with open(os.dup(log.fileno()), "rb") if log is not None else path.open("rb") as file:
            return read_tail(file)
    except (OSError, ValueError):
        return None


# ---- metrics


def _metrics(file: Path | bytes | None, notes: list[str]) -> dict[str, int | float]:
    """The numbers of metrics.json, nested ones by names with dots."""
    if not isinstance(file, Path):
        return {}
    found: dict[str, int | float] = {}
    try:
        with file.open("rb") as stream:
            data = stream.read(METRICS_BYTES + 1)
        if len(data) > METRICS_BYTES:
            raise ValueError(f"it has more than {METRICS_BYTES:,} bytes")
        values = json.loads(data.decode("utf-8-sig"), object_pairs_hook=_Object)
        if not isinstance(values, _Object):
            raise ValueError("it holds no object of names and numbers")
        for name, value in _flat("", values, 0):
            _take(found, name, value, notes)
    except (OSError, ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else error
        notes.append(f"metrics.json cannot be read: {reason}")
    return found


class _Object(list[tuple[str, Any]]):
    """An object of JSON: its names and values, those too whose name is there before."""


def _flat(lead: str, values: _Object, depth: int) -> Iterator[tuple[str, Any]]:
    if depth > _NESTING:
        raise RecursionError
    for name, value in values:
        if isinstance(value, _Object):
            yield from _flat(f"{lead}{name}.", value, depth + 1)
        else:
            yield f"{lead}{name}", value


def _take(found: dict[str, int | float], name: str, value: Any, notes: list[str]) -> None:
    wrong = None
    if not name:
        wrong = "a value without a name"
    elif isinstance(value, bool) or not isinstance(value, (int, float)):
        wrong = f"is {_kind(value)}, and no number"
    elif isinstance(value, float) and not math.isfinite(value):
        wrong = "is NaN or infinite, and no finite number"
    elif isinstance(value, int) and value.bit_length() > 1023:
        wrong = "is too large a number"
    elif name in found:
        wrong = "is there a second time"
    elif any("\ud800" <= char <= "\udfff" for char in name):
        wrong = "is a name that is not Unicode"
    elif len(found) == METRICS:
        wrong = f"is one too many: {METRICS:,} are kept"
    if wrong:
        notes.append(f"metrics.json: {f'{display(name[:100])} ' if name else ''}{wrong}; left out")
    else:
        found[name] = value


def _kind(value: Any) -> str:
    return {bool: "true or false", str: "a text", list: "a list"}.get(type(value), "null")
