"""Folders of COCO files: with a file in each split's folder, as Roboflow's, or with a folder `annotations`."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

from dsvc.core.imports.splits import split_of

_BESIDE = "_annotations.coco.json"
_NAMED = re.compile(r"(?:instances|person_keypoints|captions|labels)(?:_(?P<split>.+))?")
# What an import that skips errors writes beside a file.
_REJECTS = re.compile(r".*\.rejects(?:-[0-9]+)?")


class CocoPart(NamedTuple):
    """One annotation file of a folder, the folders in which its images may lie, and its split.

    `name` is the part's own among the folder's, empty for the file of a whole folder. With `beside`, the images lie
    beside the file, and their keys are their paths; else keys are the file's names.
    """

    file: Path
    name: str
    images: tuple[Path, ...]
    split: str | None
    beside: bool


class CocoFolder(NamedTuple):
    """The COCO files of a folder, by name, and files that may be some, but don't say of what."""

    parts: tuple[CocoPart, ...] = ()
    others: tuple[Path, ...] = ()


def find_parts(folder: Path) -> CocoFolder:
    """The COCO files of a folder; no parts where it is no such folder. Raises OSError."""
    beside = _beside(folder)
    if beside:
        return CocoFolder(_named(beside))
    parts, others = _apart(folder)
    return CocoFolder(_named(parts), tuple(others))


def _named(parts: list[CocoPart]) -> tuple[CocoPart, ...]:
    """Parts that are called by their split, where no other one has it too."""
    times = Counter(part.split for part in parts)
    return tuple(
        part._replace(name=part.split) if part.split is not None and times[part.split] == 1 else part for part in parts
    )


def _beside(folder: Path) -> list[CocoPart]:
    places = [folder, *sorted(path for path in folder.iterdir() if path.is_dir())]
    found = [(place, place / _BESIDE) for place in places if (place / _BESIDE).is_file()]
    parts = []
    for place, file in found:
        name, split = (place.name, split_of(place.name)) if place != folder else ("", None)
        parts.append(CocoPart(file, name, (place,), split, True))
    return parts


def _apart(folder: Path) -> tuple[list[CocoPart], list[Path]]:
    annotations = folder / "annotations"
    if not annotations.is_dir():
        return [], _json_files(folder)
    parts, others = [], []
    for file in _json_files(annotations):
        found = _NAMED.fullmatch(file.stem)
        name = found["split"] if found else file.stem
        split = split_of(name) if name else None
        if found and name and split is None:
            split = unquote(name)
        if found or split is not None:
            parts.append(CocoPart(file, file.stem, _images(folder, name), split, False))
        else:
            others.append(file)
    return parts, others


def _json_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.json") if path.is_file() and not _REJECTS.fullmatch(path.stem))


def _images(folder: Path, name: str | None) -> tuple[Path, ...]:
    """Where the images of a file may lie: in a folder of its split's name, or in one for all, which comes last."""
    names = [name, f"images/{name}"] if name else []
    names += [other for split in [split_of(name) if name else None] if split for other in (split, f"images/{split}")]
    places = dict.fromkeys((*names, "images"))
    return tuple(folder / place for place in places if (folder / place).is_dir())
