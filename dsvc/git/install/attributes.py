"""The line of .gitattributes that names the drivers of dsvc.lock."""

from __future__ import annotations

import re
from pathlib import Path

from dsvc.core.repository import LOCK_FILE
from dsvc.errors import RefusedError
from dsvc.git.install.place import Place
from dsvc.git.install.record import DRIVER
from dsvc.store.files import refusing, replace_file

FILE = ".gitattributes"
LINE = f"{LOCK_FILE} merge={DRIVER} diff={DRIVER}".encode()


def drivers_of(place: Place, lock: Path) -> dict[str, str]:
    """What Git's attributes, wherever they stand, say of a lock: {"merge": driver, "diff": driver}."""
    said = place.ask("check-attr", "-z", "merge", "diff", "--", str(lock)) or b""
    parts = said.split(b"\0")
    return {
        name.decode(): value.decode("utf-8", "replace") for name, value in zip(parts[1::3], parts[2::3], strict=False)
    }


def are_named(place: Place, lock: Path) -> bool:
    """Whether Git's attributes name both drivers for a lock."""
    beside = lock.with_name(FILE)
    # Of a file that was taken away, Git still reads what its index has.
    if not beside.exists() and place.is_tracked(beside):
        return False
    return drivers_of(place, lock) == {"merge": DRIVER, "diff": DRIVER}


def read(file: Path) -> bytes | None:
    """What an attributes file holds, or None. Raises RefusedError where Git would not read it."""
    if file.is_symlink():
        raise RefusedError(f"{file} is a link, which Git does not follow", "put a file in its place")
    with refusing(file):
        return file.read_bytes() if file.exists() else None


def put_line(file: Path) -> None:
    """Add the line to an attributes file, which is made if it is not there. Raises RefusedError."""
    replace_file(file, added(read(file) or b""))


def without_line(file: Path) -> bytes | None:
    """An attributes file without the line; None where it is not there. Raises RefusedError."""
    return removed(read(file) or b"") if has_line(file) else None


def has_line(file: Path) -> bool:
    """Whether the line stands in an attributes file. Raises RefusedError."""
    return LINE in (line.removesuffix(b"\r") for line in (read(file) or b"").split(b"\n"))


def added(data: bytes) -> bytes:
    """A text with the line at its end; where its last line had no end, this one has none either."""
    end = b"\r\n" if b"\r\n" in data else b"\n"
    return data + LINE + end if not data or data.endswith(b"\n") else data + end + LINE


def removed(data: bytes) -> bytes:
    """A text without the last of those lines."""
    lines = re.findall(rb"[^\n]*\n|[^\n]+", data)
    for at in reversed(range(len(lines))):
        if lines[at].rstrip(b"\r\n") == LINE:
            if lines[at] == LINE and at:  # the line before had no end
                lines[at - 1] = lines[at - 1].removesuffix(b"\n").removesuffix(b"\r")
            del lines[at]
            break
    return b"".join(lines)
