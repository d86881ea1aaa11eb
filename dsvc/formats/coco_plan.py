"""What a COCO export decides before it writes: which files there are, and the numbers of their records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple
from urllib.parse import quote

import msgspec

from dsvc.formats.coco_licences import JoinedLicences
from dsvc.formats.coco_losses import Losses, summarize
from dsvc.formats.coco_numbers import Numbering
from dsvc.formats.coco_rows import Stored, has_shape
from dsvc.formats.counted import counted
from dsvc.formats.said import said_by_sources
from dsvc.model.records import Annotation, Number
from dsvc.model.walk import Walk

INSTANCES, KEYPOINTS, CAPTIONS, LABELS = "instances", "person_keypoints", "captions", "labels"
_NO_FILE = (
    "annotations of whole images were left out: COCO's tools need a box, and one file has no place for them beside"
)
# Formats whose sources say nothing of the whole but which columns there were.
_SAYING_NOTHING = frozenset({"table", "folder"})
_encode = msgspec.json.Encoder().encode


class File(NamedTuple):
    """One annotation file: of a task, and of a split where inputs have any."""

    task: str
    split: str | None = None

    @property
    def name(self) -> str:
        """The file's name without suffix: instances_train."""
        return self.task if self.split is None else f"{self.task}_{quote(self.split, safe='')}"


class _Said(msgspec.Struct):
    """What a source has said of itself."""

    fields: dict[str, Any]
    task: Literal["instances", "person_keypoints", "captions", "labels"]
    absent: list[str] = []
    split: str | None = None


class Plan:
    """The plan of one export. `numbers` has encoded image numbers by encoded key, `concepts` numbers by concept.

    `left_out` has the encoded keys of inputs that are no images. `file`, `fields`, `licences` and `absent` are those of
    the present file: see `restart`.
    """

    def __init__(self, walk: Walk, single: bool = False) -> None:
        with_splits = not single
        self._is_single = single
        # Rows of annotations of whole images that were made here, for a file of their own beside the present one.
        self.labels: list[bytes] = []
        self._sources = said_by_sources(walk.meta, "coco", _Said)
        self.losses = Losses(with_splits)
        self.left_out: set[bytes] = set()
        # The split of each image, where there is a file for each.
        self._splits: dict[bytes, str] = {}
        self.numbers: dict[bytes, bytes] = {}
        # The licences that the images of each split have.
        self._licences: dict[str | None, set[str]] = {}
        self._images_renumbered = self._annotations_renumbered = 0
        self._lost_fields: set[str] = set()
        self._number_images(walk, with_splits)
        self._number_concepts(walk)
        self._annotations = Numbering()
        self.tasks = self._join_tasks()
        self.files = self._find_files()
        self.restart(self.files[0])
        if walk.meta.keys() - _SAYING_NOTHING - {"coco"}:
            self.losses.count("datasets lost what files of other formats said of the whole")

    def _find_files(self) -> list[File]:
        splits: list[str | None] = [*sorted(set(self._splits.values()))]
        if len(self._splits) < self.images or not splits:
            splits.append(None)
        return [File(task, split) for task in self.tasks for split in splits]

    def restart(self, file: File) -> None:
        """Begin a file: its annotations are numbered by themselves, and it has the fields of the files that it was."""
        self._annotations_renumbered += self._annotations.renumbered
        self._annotations = Numbering()
        self.file = file
        self.labels = []
        mine = [s for s in self._sources if file.split is None or s.get("split") in (None, file.split)]
        # A split that was made here has no file that it was.
        mine = mine or self._sources
        self.absent = {name for source in mine for name in source.get("absent", ())}
        self.licences = JoinedLicences()
        self.fields = self._join_fields(mine)
        self._find_licences(self._licences.get(file.split, set()))

    def _find_licences(self, wanted: set[str]) -> None:
        """Take in the licences that images of the present file have from files of other splits."""
        if not wanted <= self.licences.numbers.keys():
            for source in self._sources:
                self.licences.add(source["fields"].get("licenses"), wanted)
            if isinstance(self.fields.get("licenses", []), list) and self.licences.rows:
                self.fields["licenses"] = self.licences.rows

    @property
    def is_parted(self) -> bool:
        """Whether a file has not the annotations of all inputs."""
        return bool(self._splits or self.left_out)

    def holds(self, key: bytes) -> bool:
        """Whether the present file has the image of an encoded key."""
        if key in self.left_out:
            return False
        return not self._splits or self._splits.get(key) == self.file.split

    def _join_fields(self, sources: list[Mapping[str, Any]]) -> dict[str, Any]:
        """The sources' top-level fields: of each the first source's value, and all their licences."""
        if not self._sources:
            return {"info": {}, "licenses": []}
        fields: dict[str, Any] = {}
        for source in sources:
            self.licences.add(source["fields"].get("licenses"))
            for name, value in source["fields"].items():
                known = fields.setdefault(name, value)
                if name == "licenses" and isinstance(known, list) and isinstance(value, list):
                    fields[name] = self.licences.rows
                elif known != value and name not in self._lost_fields:
                    self._lost_fields.add(name)
                    self.losses.count("fields of whole files were left out, since another file has them too")
        return fields

    def _number_images(self, walk: Walk, with_splits: bool) -> None:
        """Number the images of each split by themselves."""
        groups: dict[str | None, list[tuple[bytes, Number | None]]] = {}
        for key, value in walk.input_entries():
            seen = summarize(value)
            kind = seen.kind
            if kind == "image":
                split = seen.split if with_splits else None
                groups.setdefault(split, []).append((key, seen.number))
                if seen.license is not None:
                    self._licences.setdefault(split, set()).add(seen.license)
                if split is not None:
                    self._splits[key] = split
                self.losses.input(seen)
            else:
                self.left_out.add(key)
                self.losses.leave_out(kind)
        self.images = sum(map(len, groups.values()))
        for wanted in groups.values():
            self._number(wanted)

    def _number(self, wanted: list[tuple[bytes, Number | None]]) -> None:
        numbers = [number for _, number in wanted if number is not None]
        numbering = Numbering(any(isinstance(number, str) for number in numbers))
        if len(numbers) == len(wanted) and numbering.take_all(numbers):
            self.numbers |= {key: str(number).encode() for key, number in wanted}
        else:
            self.numbers |= {key: _encode(numbering.number(number, key.decode())) for key, number in wanted}
        self._images_renumbered += numbering.renumbered

    def _number_concepts(self, walk: Walk) -> None:
        numbering = Numbering()
        self.concepts = {}
        for concept in walk.concepts():
            self.concepts[concept.id] = numbering.number(concept.number, concept.id)
            self.losses.concept(concept)
        self._concepts_renumbered = numbering.renumbered

    def _join_tasks(self) -> list[str]:
        """The files to make: those that the sources were."""
        tasks = {source["task"] for source in self._sources} or {INSTANCES}
        if tasks == {CAPTIONS} and self.concepts:
            tasks.add(INSTANCES)
        return [task for task in (INSTANCES, KEYPOINTS, CAPTIONS, LABELS) if task in tasks]

    def has_categories(self, task: str, are_some: bool) -> bool:
        """Whether the file of a task lists categories."""
        if task == CAPTIONS and len(self.tasks) > 1:
            return False
        return are_some or "categories" not in self.absent

    def belongs(self, made: Stored | Annotation, task: str) -> bool:
        """Whether an annotation goes into the file of a task."""
        if isinstance(made, Annotation) and made.number is None and made.concept is None and task != CAPTIONS:
            # Made here: COCO's tools read no annotation without a category, and captions have a file of their own.
            if CAPTIONS not in self.tasks or made.text is None or made.shape is not None:
                self.count("annotations without a concept were left out, since COCO's tools cannot read them")
            return False
        if isinstance(made, Annotation) and made.value == 0:
            self.count("negative annotations were left out, since COCO can only say what is there")
            return False
        if self.is_label(made) or len(self.tasks) == 1:
            return len(self.tasks) == 1 and not self.is_label(made)
        if LABELS in self.tasks and (task == LABELS or _is_bare(made)):
            return task == LABELS and _is_bare(made)
        if isinstance(made, Stored):
            is_caption = made.t is not None and made.c is None and not has_shape(made)
            has_keypoints = made.k is not None
        else:
            is_caption = made.text is not None and made.concept is None and made.shape is None
            has_keypoints = made.keypoints is not None
        if task == CAPTIONS or (CAPTIONS in self.tasks and is_caption):
            return task == CAPTIONS and is_caption
        return task == INSTANCES or has_keypoints or INSTANCES not in self.tasks

    def is_label(self, made: Stored | Annotation) -> bool:
        """Whether an annotation of a whole image was made here, so that no file of the sources' is meant for it."""
        return LABELS not in self.tasks and isinstance(made, Annotation) and made.number is None and _is_bare(made)

    def takes_label(self) -> bool:
        """Whether labels that are met now are to be kept for the file of labels, or counted as left out."""
        if self._is_single:
            self.count(_NO_FILE)
        return not self._is_single and self.file.task == self.tasks[0]

    @property
    def is_counting(self) -> bool:
        """Whether what the present file leaves out is counted: not what the file of instances has said already."""
        return self.file.task != KEYPOINTS or INSTANCES not in self.tasks

    def keep_numbers(self, stored: list[Stored]) -> bool:
        """Whether all of these keep the numbers that they came with, which are taken then; else none is."""
        return self._annotations.take_all([made.n for made in stored])  # type: ignore[misc]

    def number(self, key: bytes, wanted: Number | None) -> Number:
        """The number of the annotation of a tree key."""
        return self._annotations.number(wanted, key)

    def count(self, what: str) -> None:
        """Count something of an annotation that has no place in COCO."""
        if self.is_counting:
            self.losses.count(what)

    def notes(self) -> Iterator[str]:
        """What was renumbered and left out, with counts."""
        for noun, count in (
            ("images", self._images_renumbered),
            ("categories", self._concepts_renumbered),
            ("annotations", self._annotations_renumbered + self._annotations.renumbered),
        ):
            if count:
                yield counted(count, f"{noun} renumbered, since their numbers were taken")
        yield from self.losses.notes()


def _is_bare(made: Stored | Annotation) -> bool:
    """Whether an annotation says what a whole image is, and nothing of where."""
    if isinstance(made, Stored):
        return made.c is not None and made.k is None and made.t is None and not has_shape(made)
    return made.concept is not None and made.keypoints is None and made.text is None and made.shape is None
