"""The lock file: which commit of each dataset goes with the code beside it.

A text of one line per dataset, sorted: dataset, branch, the commit's id, and a version's name if the commit bears one.
Lines that begin with # say something to people. There is one way to write a lock, so the same lock is the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from dsvc.core.names import check_name
from dsvc.core.repository import LOCK_FILE
from dsvc.errors import InvalidRecordsError, NotFoundError, RefusedError, UsageError
from dsvc.store.files import replace_file
from dsvc.store.ids import ObjectId

HEADER = (
    "# The data that goes with this code, one dataset a line: dataset, branch, commit, version. See: dsvc lock --help\n"
)
# More than any project has; a file beyond it is something else.
MAX_BYTES = 1 << 20
MARKERS = ("<<<<<<<", "|||||||", "=======", ">>>>>>>")


class Locked(NamedTuple):
    """What a lock says of one dataset."""

    dataset: str
    branch: str
    commit: ObjectId
    version: str | None = None


Lock = Mapping[str, Locked]


def format_lock(lines: Iterable[Locked]) -> str:
    """The text of a lock."""
    found = sorted(lines, key=lambda line: line.dataset.encode())
    return HEADER + "".join(
        " ".join(filter(None, (line.dataset, line.branch, line.commit.hex(), line.version))) + "\n" for line in found
    )


def parse_lock(text: str, name: str = LOCK_FILE) -> dict[str, Locked]:
    """The datasets that a lock's text names. Raises InvalidRecordsError, which names each line that is wrong."""
    found, wrong = dict[str, Locked](), list[str]()
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            locked = _parse_line(line, found)
        except ValueError as error:
            wrong.append(f"line {number}: {error}")
            continue
        found[locked.dataset] = locked
    if wrong:
        raise _damaged(name, text, wrong)
    return found


def _parse_line(line: str, before: Lock) -> Locked:
    words = line.split()
    if not 3 <= len(words) <= 4:
        raise ValueError(f"not dataset, branch, commit and perhaps version: {line[:80]!r}")
    for word in (words[0], words[1], *words[3:]):
        try:
            check_name(word, "line")
        except UsageError:  # a lock comes from anybody, and must bring no name that nobody could give
            raise ValueError(f"{word[:80]!r} is no name") from None
    if words[0] in before:
        raise ValueError(f"dataset {words[0]!r} stands there twice")
    try:
        commit = ObjectId.parse(words[2])
    except ValueError:
        raise ValueError(f"{words[2][:80]!r} is no commit's id") from None
    return Locked(words[0], words[1], commit, words[3] if len(words) == 4 else None)


def _damaged(name: str, text: str, wrong: list[str]) -> InvalidRecordsError | RefusedError:
    if has_markers(text):
        return RefusedError(f"{name} holds the conflict markers of a Git merge", "finish it with: dsvc lock --resolve")
    hint = f"bring it back from Git: git checkout HEAD -- {name}; or write it anew: dsvc lock"
    return InvalidRecordsError(f"{name} cannot be read", wrong, hint)


def has_markers(text: str) -> bool:
    """Whether Git left conflict markers in a lock."""
    return any(line.startswith(MARKERS) for line in text.splitlines())


def read_text(path: Path) -> str:
    """The text of a lock file. Raises NotFoundError, RefusedError."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise NotFoundError(f"no {path.name} in {path.parent}", "write one: dsvc lock") from None
    except OSError as error:
        raise RefusedError(f"{path} cannot be read: {error.strerror}") from error
    return decode(data, path.name)


def decode(data: bytes, name: str = LOCK_FILE) -> str:
    """The text of a lock's bytes. Raises RefusedError."""
    hint = f"bring it back from Git: git checkout HEAD -- {name}; or write it anew: dsvc lock"
    if len(data) > MAX_BYTES:
        raise RefusedError(f"{name} is larger than any lock file", hint)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise RefusedError(f"{name} is no text: byte {error.start} is not UTF-8", hint) from error


def read_lock(path: Path) -> dict[str, Locked]:
    """What a lock file says. Raises NotFoundError, RefusedError, InvalidRecordsError."""
    return parse_lock(read_text(path), path.name)


def write_lock(path: Path, lines: Iterable[Locked]) -> bool:
    """Write a lock file, whole or not at all; whether it changed. Raises RefusedError."""
    data = format_lock(lines).encode()
    try:
        if path.read_bytes() == data:
            return False
    except OSError:
        pass
    replace_file(path, data)
    return True
