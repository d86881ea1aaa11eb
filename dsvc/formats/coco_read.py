"""The COCO importer: instances, keypoints of any number, captions, and whatever else the records carry."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Raw

from dsvc.formats.coco_annotations import read_batch
from dsvc.formats.coco_file import (
    DuplicateKey,
    InvalidNumber,
    batches,
    count_keys,
    join_batch,
    records,
    refuse,
    split_sections,
    value_of,
)
from dsvc.formats.coco_plain import Tables, pack_tables, unpack_answer
from dsvc.formats.coco_tables import Categories, Images, Licences, is_id, what_is_wrong
from dsvc.formats.worker import Worker, share, worker_count
from dsvc.model.incoming import Entry, Problems, Progress
from dsvc.model.records import Concept, Input

LISTS = ("images", "annotations", "categories")
# Text below this is encoded at home before a second process would have started.
WORTHWHILE = 32 << 20


class CocoImporter:
    """Reads COCO files."""

    format = "coco"

    def open(self, data: memoryview, name: str, progress: Progress | None = None, prefix: str = "") -> CocoIncoming:
        """Read a file's tables; keys are file names behind a prefix. Raises InvalidRecordsError where it is none."""
        return CocoIncoming(data, name, prefix)


class CocoIncoming:
    """One COCO file; see `dsvc.model.incoming.Incoming`."""

    format = "coco"

    def __init__(self, data: memoryview, name: str, prefix: str = "") -> None:
        self.name = name
        self.problems = Problems()
        self.notes: list[str] = []
        self._size = len(data)
        self._sections, _ = split_sections(data, name)
        self._annotations = self._records("annotations")
        self._check_kind()
        self.licences = Licences(value_of(self._sections.get("licenses")))
        self.categories = Categories(map(value_of, self._records("categories")), self.problems)
        self.images = Images(self.problems, self.notes, prefix)
        self._refused: list[Any] = []
        self._captions = self._keypoints = self._others = 0

    def _records(self, section: str) -> list[Any]:
        return records(self._sections[section], section, self.name) if section in self._sections else []

    def _check_kind(self) -> None:
        keys = set(self._sections)
        if "images" not in keys:
            looks = "has no 'images': " + (f"its keys are {', '.join(sorted(keys)[:8])}" if keys else "it is {}")
            raise refuse(self.name, looks, "a COCO file has images, annotations and categories")
        if self._annotations:
            first = value_of(self._annotations[0])
            if isinstance(first, dict) and "segments_info" in first and "id" not in first:
                raise refuse(self.name, "is panoptic: not yet", "import its detection-style file")

    @property
    def meta(self) -> Mapping[str, Any]:
        """The file's task, its other top-level fields, and which lists it has not. Complete after `annotations`."""
        others = {name: value_of(raw) for name, raw in self._sections.items() if name not in LISTS}
        if wrong := what_is_wrong(others):
            raise refuse(self.name, wrong, "mend it in the file")
        absent = [name for name in LISTS if name not in self._sections]
        return {"fields": others, "task": self._task()} | ({"absent": absent} if absent else {})

    def _task(self) -> str:
        """What COCO's own files of this kind are called."""
        if self._captions and not self._others and not self._keypoints:
            return "captions"
        if self._keypoints and not self._others:
            return "person_keypoints"
        # Annotations without a place look like instances that lack some; only the file's name tells them.
        return (
            "labels" if self.name.startswith("labels") and not self._captions and not self._keypoints else "instances"
        )

    def concepts(self) -> list[Concept]:
        """The file's categories."""
        return self.categories.concepts

    def inputs(self) -> Iterator[Input]:
        """The file's images."""
        return self.images.inputs(self._rows(), self.licences, self.categories)

    def _rows(self) -> Iterator[tuple[Any, bool]]:
        """The images, parsed, each with whether a strict parser did it."""
        from msgspec import json as fast_json

        for batch in batches(self._records("images")):
            if not isinstance(batch[0], Raw):
                yield from ((row, False) for row in batch)
                continue
            text = join_batch(batch)
            try:
                found = fast_json.decode(text, type=list[dict[str, Any]])
            except (ValueError, RecursionError):
                found = None
            if found is not None and count_keys(text) == sum(map(_keys_in, found)):
                yield from ((row, True) for row in found)
            else:
                yield from ((value_of(row), False) for row in batch)

    def annotations(self) -> Iterator[list[Entry]]:
        """The file's annotations, encoded, in batches. The inputs must have been walked before."""
        if self._size >= WORTHWHILE and worker_count() and self._annotations and isinstance(self._annotations[0], Raw):
            with Worker("dsvc.formats.coco_plain:answer_plain", pack_tables(self.tables)) as worker:
                yield from share(worker, batches(self._annotations), join_batch, self._read, self._answered)
        else:
            yield from map(self._read, batches(self._annotations))
        self._annotations = []

    def _read(self, batch: list[Any]) -> list[Entry]:
        return read_batch(batch, self)

    def _answered(self, batch: list[Any], answer: bytes | bytearray) -> list[Entry] | None:
        found = unpack_answer(answer)
        if found is None:
            return None
        self.count_parts(len(found.entries), found.keypoints, found.captions)
        return found.entries

    @property
    def tables(self) -> Tables:
        """What annotations refer to by number. Complete when the inputs have been walked."""
        return Tables(self.images.prefixes, self.categories.packed)

    def count_parts(self, annotations: int, keypoints: int, captions: int) -> None:
        """Note what annotations are, for the file's task."""
        self._keypoints += keypoints
        self._captions += captions
        self._others += annotations - keypoints - captions

    def refuse_annotation(self, record: Any, wrong: str | None) -> None:
        """Note the error of an annotation and keep the record for the file of rejects."""
        known = isinstance(record, dict)
        number = record.get("id") if known else None
        image = record.get("image_id") if known else None
        key = self.images.keys.get(image) if is_id(image) else None
        label = f"annotation {number!r}" if is_id(number) else "an annotation"
        where = f" (image {key!r})" if key else f" (image {image!r})" if is_id(image) else ""
        self.problems.add(f"{label}{where}: {wrong}")
        self._refused.append(record)

    def rejects(self) -> bytes | None:
        """The refused records, with the images and categories that they name, as a COCO file."""
        if not (self._refused or self.images.rejected or self.categories.rejected):
            return None
        rows = [row for row in self._refused if isinstance(row, dict)]
        named = {row["image_id"] for row in rows if is_id(row.get("image_id"))}
        refused = [row.get("id") for row in self.images.rejected if isinstance(row, dict)]
        kept = [r for r, _ in self._rows() if isinstance(r, dict) and r.get("id") in named and r["id"] not in refused]
        images = [self.images.renamed(row) for row in (*kept, *self.images.rejected)]
        document = {
            "images": images,
            "annotations": self._refused,
            # All of them, so that a mended annotation may name any.
            "categories": [*self.categories.declared.values(), *self.categories.rejected],
        }
        return json.dumps(_plain(document), indent=1, ensure_ascii=True).encode()


def _keys_in(value: Any) -> int:
    """How many keys all objects in a parsed value have together."""
    if type(value) is dict:
        nested = [v for v in value.values() if type(v) is dict or type(v) is list]
        return len(value) + (sum(map(_keys_in, nested)) if nested else 0)
    if type(value) is list:
        return sum(_keys_in(v) for v in value if type(v) in (dict, list))
    return 0


def _plain(value: Any) -> Any:
    """A parsed value with wrong numbers as Python writes them, so that the person sees what to mend."""
    if isinstance(value, InvalidNumber):
        return float(value.text)
    if isinstance(value, DuplicateKey):
        return None
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, list) else value
