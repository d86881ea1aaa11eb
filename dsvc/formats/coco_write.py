"""The COCO exporter, profile `coco/1`: a folder or archive of annotation files and images, or one annotation file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

import msgspec

from dsvc.errors import RefusedError
from dsvc.formats.coco_numbers import Numbering
from dsvc.formats.coco_tables import ABSENT, CATEGORY_LISTS, Licences
from dsvc.formats.container import ExportReport, Target, Writable
from dsvc.model.records import Annotation, Concept, Input, Mask, Number, Shape
from dsvc.model.walk import Sample, Walk

BATCH = 512
INSTANCES, KEYPOINTS, CAPTIONS = "instances", "person_keypoints", "captions"
# Parts of an annotation that COCO has no field for.
FOREIGN = ("point", "span", "time", "frame", "track", "value", "status", "author")
_encode = msgspec.json.Encoder().encode


class CocoExporter:
    """Writes COCO."""

    profile = "coco/1"
    single_file = True

    def export(self, walk: Walk, target: Target, *, media: bool = False) -> ExportReport:
        """Write a walk to a target. Raises RefusedError where one file cannot hold what there is."""
        tables = _Tables(walk)
        single = getattr(target, "kind", "folder") == "json"
        if single and len(tables.tasks) > 1:
            names = ", ".join(f"{task}.json" for task in tables.tasks)
            raise RefusedError(f"this dataset makes several COCO files: {names}", "export to a folder or a .zip")
        written = 0
        for task in tables.tasks:
            name = f"{task}.json" if single else f"annotations/{task}.json"
            with target.add(name) as out:
                written += _write_file(out, walk, tables, task)
        entries = len(tables.tasks)
        if media:
            entries += _write_media(walk, target, tables)
        return ExportReport(entries, tables.images, written, tuple(tables.notes()))


class _Tables:
    """What is known before records are written: numbers of images, concepts and licences, and the files to make."""

    def __init__(self, walk: Walk) -> None:
        sources = walk.meta.get("coco", {})
        self.sources = [sources[name] for name in sorted(sources)]
        self.fields = self._join_fields()
        self.licences = Licences(self.fields.get("licenses"))
        self.left_out: dict[str, int] = {}
        self.images = 0
        self._image_numbers(walk)
        self._concept_numbers(walk)
        self.annotations = Numbering()
        self.tasks = self._join_tasks(walk)

    def _join_fields(self) -> dict[str, Any]:
        """The sources' top-level fields: of each the first source's value, and all their licences."""
        if not self.sources:
            return {"info": {}, "licenses": []}
        fields: dict[str, Any] = {}
        for source in self.sources:
            for name, value in source["fields"].items():
                known = fields.setdefault(name, value)
                if name == "licenses" and isinstance(known, list) and isinstance(value, list):
                    fields[name] = known + [row for row in value if row not in known]
        return fields

    def _image_numbers(self, walk: Walk) -> None:
        self.numbers: dict[str, Number] = {}
        as_text = False
        for record in walk.inputs():
            self.images += 1
            as_text = as_text or isinstance(record.number, str)
        numbering = Numbering(as_text)
        for record in walk.inputs():
            number = numbering.number(record.number, record.key)
            if number != record.number:
                self.numbers[record.key] = number
        self.images_renumbered = numbering.renumbered

    def _concept_numbers(self, walk: Walk) -> None:
        self.concepts: dict[str, Number] = {}
        numbering = Numbering()
        for concept in walk.concepts():
            self.concepts[concept.id] = numbering.number(concept.number, concept.id)
        self.concepts_renumbered = numbering.renumbered

    def _join_tasks(self, walk: Walk) -> list[str]:
        """The files to make: those that the sources were, and captions where there are some beside."""
        tasks = {source["task"] for source in self.sources} or {INSTANCES}
        if tasks == {CAPTIONS} and next(walk.concepts(), None) is not None:
            tasks.add(INSTANCES)
        return [task for task in (INSTANCES, KEYPOINTS, CAPTIONS) if task in tasks]

    def belongs(self, annotation: Annotation, task: str) -> bool:
        """Whether an annotation goes into the file of a task."""
        if len(self.tasks) == 1:
            return True
        if task == CAPTIONS:
            return is_caption(annotation)
        if CAPTIONS in self.tasks and is_caption(annotation):
            return False
        if task == KEYPOINTS:
            return annotation.keypoints is not None or INSTANCES not in self.tasks
        return annotation.concept is not None or annotation.shape is not None or annotation.keypoints is None

    def image_number(self, record: Input) -> Number:
        """The number of an image."""
        number = self.numbers.get(record.key)
        return number if number is not None else record.number  # type: ignore[return-value]

    def count(self, what: str) -> None:
        """Count something that has no place in COCO."""
        self.left_out[what] = self.left_out.get(what, 0) + 1

    def notes(self) -> Iterator[str]:
        """What was renumbered and left out, with counts."""
        for noun, count in (
            ("images", self.images_renumbered),
            ("categories", self.concepts_renumbered),
            ("annotations", self.annotations.renumbered),
        ):
            if count:
                yield f"{count} {noun} renumbered, since their numbers were taken"
        for what, count in sorted(self.left_out.items()):
            yield f"{count} {what}"


def is_caption(annotation: Annotation) -> bool:
    """Whether an annotation is a caption: text about the whole image."""
    return annotation.text is not None and annotation.concept is None and annotation.shape is None


def _write_file(out: Writable, walk: Walk, tables: _Tables, task: str) -> int:
    """One annotation file; how many annotations it holds."""
    absent = {name for source in tables.sources for name in source.get("absent", ())}
    for name, value in tables.fields.items():
        out.write((b"{" if name == next(iter(tables.fields)) else b",") + _encode(name) + b":" + _encode(value))
    out.write(b"," if tables.fields else b"{")
    out.write(b'"images":')
    _write_list(out, (_image(record, tables) for record in walk.inputs()))
    concepts = list(walk.concepts())
    if concepts or ("categories" not in absent and task != CAPTIONS):
        if task != CAPTIONS or tables.tasks == [CAPTIONS]:
            out.write(b',"categories":')
            _write_list(out, (_category(concept, tables, task) for concept in concepts))
    elif task == CAPTIONS and "categories" not in absent and tables.tasks == [CAPTIONS]:
        out.write(b',"categories":[]')
    tables.annotations = Numbering()
    rows = _annotations(walk.samples(), tables, task)
    first = next(rows, None)
    written = 0
    if first is not None or "annotations" not in absent:
        out.write(b',"annotations":')
        written = _write_list(out, _chain(first, rows))
    out.write(b"}\n")
    return written


def _chain(first: Any, rest: Iterator[Any]) -> Iterator[Any]:
    if first is not None:
        yield first
        yield from rest


def _write_list(out: Writable, rows: Iterable[dict[str, Any]]) -> int:
    """A JSON list, a row a line; how many rows."""
    stream, count = iter(rows), 0
    out.write(b"[")
    while batch := list(islice(stream, BATCH)):
        lead = b",\n" if count else b"\n"
        out.write(lead + b",\n".join(map(_encode, batch)))
        count += len(batch)
    out.write(b"]")
    return count


def _image(record: Input, tables: _Tables) -> dict[str, Any]:
    extras = dict(record.extras.get("coco", {}))
    row: dict[str, Any] = {"id": tables.image_number(record)}
    if ABSENT not in record.extras:
        row["file_name"] = extras.pop("file_name", record.key)
    media, is_native = record.media, record.number is None
    for side in ("width", "height"):
        size = getattr(record, f"declared_{side}")
        if size is None and media is not None and is_native:
            size = getattr(media, side)
        if size is not None:
            row[side] = size
    if record.license is not None:
        row["license"] = tables.licences.numbers.get(record.license, record.license)
    for name in CATEGORY_LISTS:
        if isinstance(extras.get(name), list):
            extras[name] = [_concept_number(entry, tables) for entry in extras[name]]
    return row | extras


def _concept_number(entry: Any, tables: _Tables) -> Any:
    return tables.concepts.get(entry, entry) if isinstance(entry, str) else entry


def _category(concept: Concept, tables: _Tables, task: str) -> dict[str, Any]:
    row: dict[str, Any] = {"id": tables.concepts[concept.id], "name": concept.name}
    if concept.supercategory is not None:
        row["supercategory"] = concept.supercategory
    if task == KEYPOINTS or KEYPOINTS not in tables.tasks:
        if concept.keypoints is not None:
            row["keypoints"] = concept.keypoints
        if concept.skeleton is not None:
            row["skeleton"] = concept.skeleton
    row.update(concept.extras.get("coco", {}))
    return row


def _annotations(samples: Iterator[Sample], tables: _Tables, task: str) -> Iterator[dict[str, Any]]:
    both = KEYPOINTS in tables.tasks and INSTANCES in tables.tasks
    with_keypoints = task == KEYPOINTS or not both
    for record, found in samples:
        image = tables.image_number(record)
        for annotation in found:
            if tables.belongs(annotation, task):
                number = tables.annotations.number(annotation.number, f"{annotation.key}#{annotation.id}")
                yield _annotation(annotation, record, tables, (number, image), with_keypoints)


def _annotation(
    annotation: Annotation, record: Input, tables: _Tables, ids: tuple[Number, Number], with_keypoints: bool
) -> dict[str, Any]:
    row: dict[str, Any] = {"id": ids[0], "image_id": ids[1]}
    if annotation.concept is not None:
        row["category_id"] = tables.concepts[annotation.concept]
    shape = annotation.shape
    if shape is not None:
        _put_shape(row, shape if shape.unit == "pixel" else _in_pixels(shape, record, tables))
    if annotation.number is None:
        _complete(row)
    if annotation.crowd is not None:
        row["iscrowd"] = annotation.crowd
    extras: Mapping[str, Any] = annotation.extras.get("coco", {}) if annotation.extras else {}
    if with_keypoints:
        if annotation.keypoints is not None:
            row["keypoints"] = annotation.keypoints
    else:
        extras = {name: value for name, value in extras.items() if name != "num_keypoints"}
    if annotation.text is not None:
        row["caption"] = annotation.text
    if annotation.attributes is not None:
        row["attributes"] = annotation.attributes
    for name in FOREIGN:
        if getattr(annotation, name) is not None:
            tables.count(f"annotations lost their {name}, which COCO has no field for")
    row.update(extras)
    return row


def _complete(row: dict[str, Any]) -> None:
    """Give an annotation that came from no COCO file what COCO's own tools need of one with a place."""
    box, rings = row.get("bbox"), row.get("segmentation")
    if box is None and isinstance(rings, tuple) and any(rings):
        xs, ys = [x for ring in rings for x in ring[::2]], [y for ring in rings for y in ring[1::2]]
        box = row["bbox"] = (min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys))
    if box is not None:
        area = sum(map(_ring_area, rings)) if isinstance(rings, tuple) and any(rings) else box[2] * box[3]
        row.setdefault("area", area)
        row.setdefault("iscrowd", 0)


def _ring_area(ring: tuple[float, ...]) -> float:
    """The area that a ring encloses, by the shoelace formula."""
    xs, ys = ring[::2], ring[1::2]
    return (
        abs(sum(x * b - a * y for x, y, a, b in zip(xs, ys, (*xs[1:], *xs[:1]), (*ys[1:], *ys[:1]), strict=False))) / 2
    )


def _put_shape(row: dict[str, Any], shape: Shape) -> None:
    if shape.polygons is not None:
        row["segmentation"] = shape.polygons
    elif shape.mask is not None:
        row["segmentation"] = _runs(shape.mask)
    if shape.area is not None:
        row["area"] = shape.area
    if shape.box is not None:
        row["bbox"] = shape.box


def _runs(mask: Mask) -> dict[str, Any]:
    return {"size": (mask.height, mask.width), "counts": mask.counts}


def _in_pixels(shape: Shape, record: Input, tables: _Tables) -> Shape:
    """A relative shape in pixels of the declared size, or else of the media's."""
    media = record.media
    width = record.declared_width or (media.width if media else None)
    height = record.declared_height or (media.height if media else None)
    if not width or not height:
        tables.count("shapes stayed relative, since their image's size is not known")
        return shape

    def scaled(values: tuple[float, ...]) -> tuple[float, ...]:
        return tuple(v * (height if n % 2 else width) for n, v in enumerate(values))

    return Shape(
        box=scaled(shape.box) if shape.box is not None else None,
        polygons=tuple(map(scaled, shape.polygons)) if shape.polygons is not None else None,
        mask=shape.mask,
        area=shape.area * width * height if shape.area is not None else None,
    )


def _write_media(walk: Walk, target: Target, tables: _Tables) -> int:
    """The bytes of all inputs that the repository holds, under `images/`; how many."""
    written = 0
    for record in walk.inputs():
        media = record.media
        if media is None or media.blob is None:
            tables.count("images have no bytes in the repository")
            continue
        with target.add(f"images/{record.key}", media.size) as out:
            for piece in walk.read_blob(media.blob):
                out.write(piece)
        written += 1
    return written
