"""Git's configuration as text: our sections are written at its end and taken out again, and nothing else is touched."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from dsvc.errors import RefusedError
from dsvc.store.files import refusing

Section = tuple[bytes, bytes | None]  # the name in lower case, and the quoted name within
_HEADER = re.compile(rb'\[([A-Za-z0-9.-]+)(?:[ \t]+"((?:[^"\\\n]|\\.)*)")?\]')
_KEY = re.compile(rb"[A-Za-z][A-Za-z0-9-]*")
_ESCAPES = {b"n": b"\n", b"t": b"\t", b"b": b"\b", b'"': b'"', b"\\": b"\\"}
_PATIENCE = 2.0  # seconds that another program may take to write the configuration


class Item(NamedTuple):
    """A header (`key` is None) or a value, and the bytes that it takes, its line's end included."""

    section: Section
    key: bytes | None
    value: bytes
    start: int
    end: int


def items(data: bytes) -> Iterator[Item]:
    """The headers and values of a configuration. Raises ValueError where it is none."""
    at, section = 3 if data.startswith(b"\xef\xbb\xbf") else 0, None
    while at < len(data):
        start = at
        while at < len(data) and data[at : at + 1].isspace() and data[at : at + 1] != b"\n":
            at += 1
        char = data[at : at + 1]
        if char == b"[":
            section, at = _header(data, at)
            at = _line_end(data, at)
            yield Item(section, None, b"", start, at)
        elif char in (b"", b"\n", b"#", b";"):
            at = _next_line(data, at)
        else:
            found = _KEY.match(data, at)
            if found is None or section is None:
                raise ValueError(f"byte {at} begins neither a section nor a value")
            value, at = _value(data, found.end())
            yield Item(section, found[0].lower(), value, start, at)


def _header(data: bytes, at: int) -> tuple[Section, int]:
    found = _HEADER.match(data, at)
    if found is None:
        raise ValueError(f"byte {at} begins no section")
    name, _, old = found[1].partition(b".")
    within = re.sub(rb"\\(.)", rb"\1", found[2]) if found[2] is not None else old.lower() or None
    return (name.lower(), within), found.end()


def _next_line(data: bytes, at: int) -> int:
    end = data.find(b"\n", at)
    return len(data) if end < 0 else end + 1


def _line_end(data: bytes, at: int) -> int:
    """Past the line, where nothing more stands in it."""
    end = _next_line(data, at)
    return end if not data[at:end].strip() else at


def _value(data: bytes, at: int) -> tuple[bytes, int]:
    """The value behind a key, unquoted, and where its last line ends."""
    found, kept, quoted = bytearray(), 0, False
    while data[at : at + 1] in (b" ", b"\t"):
        at += 1
    if data[at : at + 1] != b"=":
        return b"", _next_line(data, at)
    at += 1
    while at < len(data):
        char = data[at : at + 1]
        if char == b"\n" or (char in b"#;" and not quoted):
            break
        at += 1
        if char == b"\\":
            line_ends = re.compile(rb"\r?\n").match(data, at)
            char = b"" if line_ends else _ESCAPES.get(data[at : at + 1], b"")
            at = line_ends.end() if line_ends else at + 1
        elif char == b'"':
            quoted = not quoted
            char = b""
        elif char.isspace() and not quoted:
            if found:
                found += char
            continue
        found += char
        kept = len(found)
    return bytes(found[:kept]), _next_line(data, at)


def read(data: bytes, sections: Iterable[Section]) -> list[tuple[Section, bytes, bytes]]:
    """The values of some sections, in order."""
    wanted = set(sections)
    return [(item.section, item.key, item.value) for item in items(data) if item.section in wanted and item.key]


def without(data: bytes, ours: Callable[[Section, bytes], bool]) -> bytes:
    """A configuration without the values that are ours, nor headers that only they stood under."""
    gone = list[Item]()
    for header, values in _grouped(data):
        own = [item for item in values if ours(item.section, item.key or b"")]
        gone += [header] if own and len(own) == len(values) and not _comments(data, header, values) else []
        gone += own
    gone.sort(key=lambda item: item.start)
    kept, at = bytearray(), 0
    for item in gone:
        kept += data[at : item.start]
        at = item.end
    kept += data[at:]
    if gone and at == len(data) and not data.endswith(b"\n"):  # there was no last line's end before ours
        return bytes(kept.removesuffix(b"\n"))
    return bytes(kept)


def _grouped(data: bytes) -> list[tuple[Item, list[Item]]]:
    groups = list[tuple[Item, list[Item]]]()
    for item in items(data):
        if item.key is None:
            groups.append((item, []))
        else:
            groups[-1][1].append(item)
    return groups


def _comments(data: bytes, header: Item, values: list[Item]) -> bool:
    """Whether something is said between a section's header and its values."""
    return any(data[a.end : b.start].strip() for a, b in itertools.pairwise([header, *values]))


def appended(data: bytes, text: bytes) -> bytes:
    """A configuration with sections at its end; where its last line had no end, theirs has none either."""
    if not data or data.endswith(b"\n"):
        return data + text
    return data + b"\n" + text.removesuffix(b"\n")


def quote(value: bytes) -> bytes:
    """A value as it is written, whatever it holds."""
    for char, escape in ((b"\\", b"\\\\"), (b'"', b'\\"'), (b"\n", b"\\n"), (b"\t", b"\\t"), (b"\b", b"\\b")):
        value = value.replace(char, escape)
    return b'"' + value + b'"'


def update(path: Path, change: Callable[[bytes], bytes]) -> bool:
    """Write a configuration anew as Git does it, under Git's lock; whether it changed. Raises RefusedError."""
    path = path.resolve()
    lock, new = path.with_name(f"{path.name}.lock"), path.with_name(f"{path.name}.dsvc-new")
    give_up = time.monotonic() + _PATIENCE
    try:
        with refusing(path):
            while (wanted := _changed(path, change, data := _read(path))) != data:
                _fill(new, wanted, like=path)
                if not _taken(lock, new, give_up):
                    time.sleep(0.05)
                elif _read(path) == data:
                    lock.replace(path)
                    return True
                else:  # somebody wrote it just before the lock was ours
                    lock.unlink()
        return False
    finally:
        with contextlib.suppress(OSError):
            new.unlink(missing_ok=True)


def _taken(lock: Path, new: Path, give_up: float) -> bool:
    """Make a file Git's lock, unless another is it. Raises RefusedError where that one stays."""
    try:
        os.link(new, lock)
        return True
    except FileExistsError:
        pass
    except OSError:  # no links here
        with contextlib.suppress(FileExistsError), lock.open("xb") as file:
            file.write(new.read_bytes())
            return True
    if time.monotonic() < give_up:
        return False
    if lock.read_bytes() == new.read_bytes():  # what a killed run of the same command has left
        return True
    message = f"{lock} is there: another program is writing Git's configuration, or was killed when it did"
    raise RefusedError(message, f"if no Git command is running, take it away and run it again: rm {lock}")


def _changed(path: Path, change: Callable[[bytes], bytes], data: bytes) -> bytes:
    try:
        return change(data)
    except ValueError as error:
        raise RefusedError(f"{path} is no configuration of Git: {error}", "see what Git says: git config -l") from None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def _fill(path: Path, data: bytes, like: Path) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    if like.exists():
        path.chmod(stat.S_IMODE(like.stat().st_mode))
