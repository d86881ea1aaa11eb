"""The COCO exporter, profile `coco/1`: a folder or archive of annotation files and images, or one annotation file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Any, NamedTuple

import msgspec
from msgpack import Packer

from dsvc.errors import RefusedError
from dsvc.formats.coco_foreign import decode_foreign, foreign_row
from dsvc.formats.coco_plan import INSTANCES, KEYPOINTS, LABELS, File, Plan
from dsvc.formats.coco_rows import RowWriter, Stored, StoredImage, decode_image, decode_stored
from dsvc.formats.container import ExportReport, Target, Writable
from dsvc.formats.worker import Worker, share, worker_count
from dsvc.model.extras import ABSENT, CATEGORY_LISTS
from dsvc.model.records import Annotation, Concept
from dsvc.model.walk import Walk

BATCH = 512
ROWS = 4096
# With fewer images a second process would start when all is done.
WORTHWHILE = 20_000
_encode = msgspec.json.Encoder().encode


class CocoExporter:
    """Writes COCO."""

    profile = "coco/1"
    single_file = True
    # What of an input's media the annotation files follow from.
    media_facts = ("type", "width", "height")

    def export(self, walk: Walk, target: Target, *, media: bool = False) -> ExportReport:
        """Write a walk to a target. Raises RefusedError where one file cannot hold what there is."""
        single = getattr(target, "kind", "folder") == "json"
        plan = Plan(walk, single)
        if single and len(plan.files) > 1:
            names = ", ".join(f"{file.name}.json" for file in plan.files)
            raise RefusedError(f"this dataset makes several COCO files: {names}", "export to a folder or a .zip")
        entries = written = 0
        for file in plan.files:
            with target.add(f"{file.name}.json" if single else f"annotations/{file.name}.json") as out:
                written += _write_file(out, walk, plan, file)
            entries += 1
            if plan.labels:
                with target.add(f"annotations/{file._replace(task=LABELS).name}.json") as out:
                    written += _write_labels(out, walk, plan)
                entries += 1
        if media:
            entries += _write_media(walk, target, plan)
        return ExportReport(entries, plan.images, written, tuple(plan.notes()), tuple(plan.losses.notes()))


def _write_file(out: Writable, walk: Walk, plan: Plan, file: File) -> int:
    """One annotation file; how many annotations it holds."""
    plan.restart(file)
    task = file.task
    _write_tables(out, walk, plan, task)
    batches = _annotations(walk, plan, task)
    first, written = next(batches, Rows(b"", 0)), 0
    if first.total or "annotations" not in plan.absent:
        out.write(b',"annotations":')
        written = _write_rows(out, chain([first], batches))
    out.write(b"}\n")
    return written


def _write_labels(out: Writable, walk: Walk, plan: Plan) -> int:
    """The file of what was said of whole images, beside the present one."""
    _write_tables(out, walk, plan, LABELS)
    out.write(b',"annotations":')
    written = _write_rows(out, [_joined(plan.labels)])
    out.write(b"}\n")
    return written


def _write_tables(out: Writable, walk: Walk, plan: Plan, task: str) -> None:
    """The beginning of a file, up to its annotations."""
    lead = b"{"
    for name, value in plan.fields.items():
        out.write(lead + _encode(name) + b":" + _encode(value))
        lead = b","
    out.write(lead + b'"images":')
    _write_rows(out, _images(walk, plan))
    concepts = list(walk.concepts())
    if plan.has_categories(task, bool(concepts)):
        out.write(b',"categories":')
        _write_rows(out, [_joined([_encode(_category(concept, plan, task)) for concept in concepts])])


def _write_rows(out: Writable, batches: Iterable[Rows]) -> int:
    """A JSON list of encoded rows, one a line; how many."""
    count = 0
    out.write(b"[")
    for batch in batches:
        if batch.total:
            out.write((b",\n" if count else b"\n") + batch.text)
            count += batch.total
    out.write(b"]")
    return count


def _images(walk: Walk, plan: Plan) -> Iterator[Rows]:
    entries = (entry for entry in walk.input_entries() if plan.holds(entry[0]))
    while chunk := list(islice(entries, BATCH)):
        yield _joined([_image(key, decode_image(key, value), plan) for key, value in chunk])


def _image(key: bytes, record: StoredImage, plan: Plan) -> bytes:
    extras: dict[str, Any] = dict(record.extras.get("coco", {}))
    row: dict[str, Any] = {}
    if ABSENT not in record.extras:
        row["file_name"] = extras.pop("file_name", key.decode())
    for side, declared in (("width", record.width), ("height", record.height)):
        size = declared
        if size is None and record.number is None and record.media is not None:
            # Its header tells, where no COCO file ever said something else.
            size = record.media.get(side)
        if size is not None:
            row[side] = size
    if record.license is not None:
        row["license"] = plan.licences.numbers.get(record.license, record.license)
    for name in CATEGORY_LISTS:
        if isinstance(extras.get(name), list):
            extras[name] = [plan.concepts.get(n, n) if isinstance(n, str) else n for n in extras[name]]
    row.update(extras)
    return b'{"id":%b%b' % (plan.numbers[key], b"," + _encode(row)[1:] if row else b"}")


def _category(concept: Concept, plan: Plan, task: str) -> dict[str, Any]:
    row: dict[str, Any] = {"id": plan.concepts[concept.id], "name": concept.name}
    if concept.supercategory is not None:
        row["supercategory"] = concept.supercategory
    if task == KEYPOINTS or KEYPOINTS not in plan.tasks:
        if concept.keypoints is not None:
            row["keypoints"] = concept.keypoints
        if concept.skeleton is not None:
            row["skeleton"] = concept.skeleton
    row.update(concept.extras.get("coco", {}))
    return row


def _annotations(walk: Walk, plan: Plan, task: str) -> Iterator[Rows]:
    """The rows of a task's annotations, in batches. Of a large dataset, a second process makes some of them."""
    both = KEYPOINTS in plan.tasks and INSTANCES in plan.tasks
    with_keypoints = task == KEYPOINTS or not both
    concepts = {id: b',"category_id":' + _encode(number) for id, number in plan.concepts.items()}
    writer = RowWriter(concepts, with_keypoints)
    batches = _Batches(walk, plan, task, writer)
    if len(plan.tasks) == 1 and plan.images >= WORTHWHILE and worker_count():
        with Worker("dsvc.formats.coco_rows:answer_rows", Packer().pack([concepts, with_keypoints])) as worker:
            for (rows,) in share(worker, batches.plans(), _Planned.request, batches.here, batches.answered):
                yield rows
    else:
        for planned in batches.plans():
            yield from batches.here(planned)


class Rows(NamedTuple):
    """Encoded rows, joined."""

    text: bytes | bytearray
    total: int


def _joined(rows: list[bytes]) -> Rows:
    return Rows(b",\n".join(rows), len(rows))


class _Planned(NamedTuple):
    """A batch of entries. `images` has each one's image number where all are plain and keep their own numbers."""

    entries: list[tuple[bytes, bytes]]
    stored: list[Stored]
    images: list[bytes] | None

    def request(self) -> bytes | None:
        """The batch as a worker takes it; None where it needs more than the fast way."""
        if self.images is None:
            return None
        packed: bytes = Packer().pack([[value for _, value in self.entries], self.images])
        return packed


class _Batches:
    """The batches of one file. Numbers are given while batches are planned, so in the order of the keys."""

    def __init__(self, walk: Walk, plan: Plan, task: str, writer: RowWriter) -> None:
        self._walk = walk
        self._plan = plan
        self._task = task
        self._writer = writer

    def plans(self) -> Iterator[_Planned]:
        """The batches, in order. One that is not plain must be done before the next is planned."""
        entries = self._of_file() if self._plan.is_parted else self._walk.annotation_entries()
        while chunk := list(islice(entries, ROWS)):
            yield self._planned(chunk)

    def _of_file(self) -> Iterator[tuple[bytes, bytes]]:
        """The annotations of the images of the file; in the first file, those of what is no image are counted."""
        plan, holds = self._plan, self._plan.holds
        is_first = plan.file == plan.files[0]
        for key, value in self._walk.annotation_entries():
            image = key[: key.index(0)]
            if holds(image):
                yield key, value
            elif is_first and image in plan.left_out:
                plan.losses.leave_out_annotation()

    def _planned(self, chunk: list[tuple[bytes, bytes]]) -> _Planned:
        try:
            stored = [decode_stored(value) for _, value in chunk]
        except (msgspec.ValidationError, msgspec.DecodeError):
            return _Planned(chunk, [], None)
        if len(self._plan.tasks) > 1 or not self._plan.keep_numbers(stored):
            return _Planned(chunk, [], None)
        self._plan.losses.annotations(stored)
        numbers = self._plan.numbers
        return _Planned(chunk, stored, [numbers[key[: key.index(0)]] for key, _ in chunk])

    def here(self, batch: _Planned) -> list[Rows]:
        """The rows of a batch."""
        if batch.images is not None:
            return [_joined(self._writer.rows(batch.stored, batch.images))]
        return [_joined(_mixed_rows(batch.entries, self._walk, self._plan, self._task, self._writer))]

    def answered(self, batch: _Planned, text: bytes | bytearray) -> list[Rows]:
        """The rows that a worker made."""
        return [Rows(text, len(batch.entries))]


def _mixed_rows(chunk: list[tuple[bytes, bytes]], walk: Walk, plan: Plan, task: str, writer: RowWriter) -> list[bytes]:
    stored: list[Stored] = []
    images: list[bytes] = []
    # Rows that the fast way cannot make, with where they stand among all.
    others: list[tuple[int, bytes]] = []
    for key, value in chunk:
        made = _decode(key, value)
        if plan.belongs(made, task):
            image = plan.numbers[key[: key.index(0)]]
            if isinstance(made, Stored):
                made.n = plan.number(key, made.n)
                stored.append(made)
                images.append(image)
            else:
                place = (_encode(plan.number(key, made.number)), image)
                row = foreign_row(made, walk, plan, place, writer.with_keypoints)
                others.append((len(stored) + len(others), row))
        elif isinstance(made, Annotation) and plan.is_label(made) and made.value != 0 and plan.takes_label():
            place = (_encode(plan.number(key, None)), plan.numbers[key[: key.index(0)]])
            plan.labels.append(foreign_row(made, walk, plan, place, False))
    if plan.is_counting:
        plan.losses.annotations(stored)
    rows = writer.rows(stored, images)
    for at, row in others:
        rows.insert(at, row)
    return rows


def _decode(key: bytes, value: bytes) -> Stored | Annotation:
    """An annotation of fields that COCO has, in pixels, that came with a number; else the whole record."""
    try:
        made = decode_stored(value)
    except (msgspec.ValidationError, msgspec.DecodeError):
        return decode_foreign(key, value)
    return made if made.n is not None else decode_foreign(key, value)


def _write_media(walk: Walk, target: Target, plan: Plan) -> int:
    """The bytes of all inputs that have any, here or elsewhere, under `images/`; how many."""
    written = 0
    for record in walk.inputs():
        media = record.media
        if record.key.encode() in plan.left_out:
            continue
        if media is None or (media.blob is None and media.reference is None):
            plan.losses.count("images have no bytes in the repository")
            continue
        with target.add(f"images/{record.key}", media.size) as out:
            for piece in walk.read_media(record):
                out.write(piece)
        written += 1
    return written
