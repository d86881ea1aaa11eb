"""Classified images as a COCO export lays them out: each picture's file, its class and its split."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

import msgspec

from dsvc.core.imports.splits import split_of
from dsvc.core.keys import display, normalize_name
from dsvc.errors import InvalidRecordsError, RefusedError

_FILE = re.compile(r"(?:instances|person_keypoints|captions|labels)(?:_(?P<split>.+))?")
# What an annotation has that says something of a part of the image, or says it in words.
_PARTS = ("bbox", "segmentation", "keypoints", "caption")
_COCO = "the ready trainer reads COCO: leave --format out"
_CLASSES = "say what whole images show: dsvc annotate KEY --concept NAME, or dsvc import FOLDER --format folder"


class Picture(NamedTuple):
    """One classified image: `key` is the path of its file below `images`, or where there is none its COCO file name.

    `file` is None where there are no bytes of it. `number` and `concept` are the numbers of the image and of its class.
    """

    key: str
    file: Path | None
    number: int | str
    concept: int | str
    split: str | None


class Classified(NamedTuple):
    """The classified images of a folder by key, the name of each class by number, how many images have none, and
    whether no two images have one number: each split's file has numbers of its own."""

    pictures: list[Picture]
    names: dict[int | str, str]
    without_class: int
    is_numbered: bool


class _Image(msgspec.Struct):
    id: int | str
    file_name: str = ""


class _Category(msgspec.Struct):
    id: int | str
    name: str


class _Document(msgspec.Struct):
    images: list[_Image] = []
    categories: list[_Category] = []
    annotations: list[dict[str, Any]] = []


def read_classified(data: Path) -> Classified:
    """The classified images of a folder that a COCO export with media made.

    Raises RefusedError where it is none, or nothing in it is classified; InvalidRecordsError names images of more
    than one class.
    """
    places = _Places(data / "images")
    names: dict[int | str, str] = {}
    images: dict[tuple[str | None, int | str], str] = {}
    classes: dict[tuple[str | None, int | str], set[int | str]] = {}
    for split, document in _documents(data):
        names |= {category.id: category.name for category in document.categories}
        images |= {(split, image.id): image.file_name for image in document.images}
        for row in document.annotations:
            if row.get("category_id") in names and not any(row.get(part) for part in _PARTS):
                classes.setdefault((split, row.get("image_id", "")), set()).add(row["category_id"])
    _require_one_class(images, classes, names)
    pictures = []
    for (split, number), name in images.items():
        for concept in classes.get((split, number), ()):
            key = places.find(name, split)
            file = data / "images" / key if key is not None else None
            pictures.append(Picture(key or name, file, number, concept, split))
    pictures.sort(key=lambda one: one.key)
    is_numbered = len({number for _, number in images}) == len(images)
    return Classified(pictures, names, len(images) - len(pictures), is_numbered)


def _documents(data: Path) -> Iterator[tuple[str | None, _Document]]:
    """The COCO files, each with its split. Raises RefusedError."""
    found = False
    for file in sorted((data / "annotations").glob("*.json")):
        if name := _FILE.fullmatch(file.stem):
            found = True
            split = unquote(name["split"]) if name["split"] else None
            try:
                document = msgspec.json.decode(file.read_bytes(), type=_Document)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise RefusedError(f"{display(str(file))} is no COCO file: {error}", _COCO) from error
            yield (split_of(split) or split if split else None), document
    if not found:
        raise RefusedError(f"{display(str(data))} holds no COCO files", _COCO)


def _require_one_class(
    images: dict[tuple[str | None, int | str], str],
    classes: dict[tuple[str | None, int | str], set[int | str]],
    names: dict[int | str, str],
) -> None:
    if not classes:
        how_many = {0: "there is no image", 1: "the image is not classified"}.get(
            len(images), f"none of the {len(images):,} images is classified"
        )
        raise RefusedError(f"{how_many}: no annotation says what a whole image shows", _CLASSES)
    several = {image: found for image, found in classes.items() if len(found) > 1}
    if several:
        problems = [
            f"{images.get(image) or image[1]}: {', '.join(sorted(names[concept] for concept in found))}"
            for image, found in sorted(several.items(), key=lambda one: images.get(one[0], ""))
        ]
        what = "1 image has" if len(several) == 1 else f"{len(several):,} images have"
        hint = "the ready trainer learns one class an image; leave these images out with --where, or take classes away"
        raise InvalidRecordsError(f"{what} more than one class", problems, hint)


class _Places:
    """The files below a folder of images, found by what a COCO file calls them."""

    def __init__(self, folder: Path) -> None:
        self._keys = frozenset(
            os.path.relpath(os.path.join(base, name), folder).replace(os.sep, "/")  # noqa: PTH118 - names of os.walk, of many files
            for base, _, names in os.walk(folder)
            for name in names
        )
        self._endings: dict[str, list[str]] = {}

    def find(self, name: str, split: str | None) -> str | None:
        """The path of a file below the folder. A file may lie deeper than its name says, as of files of splits that
        each had its own folder; of several such the one of its split is taken, and none where that is not clear."""
        with suppress(RefusedError):
            name, _ = normalize_name(name)
        if name in self._keys:
            return name
        if not self._endings:
            for key in self._keys:
                self._endings.setdefault(key.rpartition("/")[2], []).append(key)
        ending = name.rpartition("/")[2]
        found = [key for key in self._endings.get(ending, ()) if key.endswith("/" + name)]
        if len(found) > 1:
            found = [key for key in found if any(split == (split_of(part) or part) for part in key.split("/")[:-1])]
        return found[0] if len(found) == 1 else None
