"""Folders of COCO files: with a file in each split's folder, as Roboflow's, or with a folder `annotations`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

from dsvc.core.imports.splits import split_of

_BESIDE = ("_annotations.coco.json",)
_NAMED = re.compile(r"(?:instances|person_keypoints|captions)(?:_(?P<split>.+))?")


class CocoPart(NamedTuple):
    """One annotation file of a folder, the folders in which its images may lie, and its split.

    With `beside`, the images lie beside the file, and their keys are their paths; else keys are the file's names.
    """

    file: Path
    images: tuple[Path, ...]
    split: str | None
    beside: bool


def find_parts(folder: Path) -> list[CocoPart]:
    """The COCO files of a folder, by name; none where it is no such folder. Raises OSError."""
    return _beside(folder) or _apart(folder)


def _beside(folder: Path) -> list[CocoPart]:
    places = [folder, *sorted(path for path in folder.iterdir() if path.is_dir())]
    found = [(place, place / name) for place in places for name in _BESIDE if (place / name).is_file()]
    return [CocoPart(file, (place,), split_of(place.name) if place != folder else None, True) for place, file in found]


def _apart(folder: Path) -> list[CocoPart]:
    annotations = folder / "annotations"
    if not annotations.is_dir():
        return []
    parts = []
    for file in sorted(annotations.glob("*.json")):
        found = _NAMED.fullmatch(file.stem)
        if found:
            name = found["split"]
            split = (split_of(name) or unquote(name)) if name else None
            parts.append(CocoPart(file, _images(folder, name), split, False))
    return parts


def _images(folder: Path, name: str | None) -> tuple[Path, ...]:
    """Where the images of a file may lie: in a folder of its split's name, or in one for all."""
    names = [name, f"images/{name}"] if name else []
    names += [other for split in [split_of(name) if name else None] if split for other in (split, f"images/{split}")]
    return tuple(folder / place for place in (*names, "images") if (folder / place).is_dir())
