"""What somebody asks to refer to: places, each with the key or the beginning of keys that it gets."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from dsvc.core.keys import check_key, display
from dsvc.core.references.places import WEB, parse_place, scheme, shown_place
from dsvc.errors import InvalidRecordsError, RefusedError

COMMENT = "#"


class Asked(NamedTuple):
    """A place as somebody wrote it, the key that was given for it, and the line of a list that it stands in."""

    text: str
    key: str | None = None
    line: int | None = None


class Start(NamedTuple):
    """A place to refer to: a file, or a folder or prefix with all below it. `cut` is what keys leave out of it.

    `cut` is None where the key depends on whether the place is a folder. `given` is a key that was given;
    `is_listed` that the place stands in a list, where one that is missing ends nothing.
    """

    place: str
    cut: str | None = None
    given: str | None = None
    is_listed: bool = False


def read_list(data: bytes, name: str) -> list[Asked]:
    """The places of a list: one a line, or PLACE TAB KEY; empty lines and those that begin with `#` count for nothing.

    Raises InvalidRecordsError, which names the lines.
    """
    found, wrong = [], []
    for number, raw in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        try:
            line = raw.removesuffix(b"\r").decode()
        except UnicodeDecodeError:
            wrong.append(f"line {number}: is not UTF-8")
            continue
        if not line.strip() or line.startswith(COMMENT):
            continue
        text, tab, key = line.partition("\t")
        if not text or (tab and not key):
            wrong.append(f"line {number}: is not PLACE, or PLACE, a tab and a KEY")
            continue
        found.append(Asked(text, key or None, number))
    if wrong:
        raise _invalid(name, wrong)
    return found


def _invalid(name: str, wrong: list[str]) -> InvalidRecordsError:
    count = f"{len(wrong):,} error{'' if len(wrong) == 1 else 's'}"
    return InvalidRecordsError(f"{display(name)}: {count}", wrong, "nothing was taken; mend these lines")


def parse_asked(asked: Iterable[Asked], root: str | None, project: Path | None, name: str) -> list[Start]:
    """The places that are asked for; paths are relative to the current folder, keys to `root` where it is given.

    Raises RefusedError for what is no place, InvalidRecordsError that names all such lines of a list.
    """
    here, wrong, found = Path.cwd(), [], []
    cut = _cut(parse_place(root, here), root) if root is not None else None
    projects = [] if project is None else [_slashed(str(project.absolute())), _slashed(os.path.realpath(project))]
    for one in asked:
        try:
            found.append(_start(one, here, cut, projects)._replace(is_listed=one.line is not None))
        except RefusedError as error:
            if one.line is None:
                raise
            wrong.append(f"line {one.line}: {error.message}")
    if wrong:
        raise _invalid(name, wrong)
    return found


def _cut(root: str, text: str) -> str:
    if scheme(root) in WEB and "?" in root:
        raise RefusedError(f"{shown_place(text)}: is no beginning of URLs", "--root HTTPS://HOST/PATH/")
    return _slashed(root)


def _slashed(place: str) -> str:
    mark = "/" if scheme(place) else os.sep
    return place if place.endswith(mark) else place + mark


def _start(asked: Asked, here: Path, cut: str | None, projects: list[str]) -> Start:
    place = parse_place(asked.text, here)
    if not scheme(place) and ".dsvc" in Path(place).parts:
        raise RefusedError(f"{display(place)}: belongs to the repository itself", "name the files that are data")
    if asked.key is not None:
        return Start(place, given=check_key(asked.key))
    if cut is not None:
        if not _slashed(place).startswith(cut):
            hint = "name a folder or prefix that holds it with --root, or leave --root out"
            raise RefusedError(f"{shown_place(place)}: lies outside {shown_place(cut)}", hint)
        return Start(place, cut)
    if scheme(place):
        parts = place.split("/", 3)
        return Start(place, "/".join(parts[:3]) + "/")
    inside = next((project for project in projects if _slashed(place).startswith(project)), None)
    return Start(place, inside)


def file_key(start: Start) -> str:
    """The key of a place that is a file: what was given, else the path below what is cut, else FOLDER/NAME.

    Raises RefusedError.
    """
    if start.given is not None:
        return start.given
    place = start.place
    cut = start.cut if start.cut is not None else _slashed(os.path.dirname(os.path.dirname(place)))  # noqa: PTH120
    if scheme(place) in WEB:
        return check_key(unquote(urlsplit(place).path[len(urlsplit(cut).path) :]))
    return check_key(place[len(cut) :].replace(os.sep, "/"))


def folder_key(start: Start) -> str:
    """What the keys below a folder or prefix begin with: empty, or a path that ends in `/`. Raises RefusedError."""
    place = _slashed(start.place)
    cut = start.cut if start.cut is not None else _slashed(os.path.dirname(start.place))  # noqa: PTH120
    lead = place[len(cut) :].replace(os.sep, "/")
    if lead:
        check_key(lead.removesuffix("/"))
    return lead
