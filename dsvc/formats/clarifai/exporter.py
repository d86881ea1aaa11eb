"""The two exporters: samples in, an archive of batches out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing

from dsvc.errors import RefusedError
from dsvc.formats.clarifai.build import Encoded, Mapper
from dsvc.formats.clarifai.form import Form
from dsvc.formats.clarifai.ids import short_id
from dsvc.formats.clarifai.media import NO_KIND, NOT_HERE, NOT_TEXT, TOO_LARGE
from dsvc.formats.clarifai.quick import MAX_WEIGHT, NO_TEXTS, PIECE, QuickMapper, pieces
from dsvc.formats.clarifai.residue import concept_residue, exact_text
from dsvc.formats.clarifai.text import Text
from dsvc.formats.clarifai.wire import Wire
from dsvc.formats.container import ExportReport, Target
from dsvc.model.records import Concept
from dsvc.model.walk import Walk

MAX_INPUTS = 128
MAX_BYTES = 32 << 20
# Stored records below this are written before a second process would have started.
WORTHWHILE = 4 << 20
NO_SPLIT = "all"
NO_INPUTS = "concepts and metadata of a dataset without inputs, left out"
# What an archive does not hold at all. All else that is counted is exact in its metadata.
LOST = frozenset({NO_INPUTS, NO_KIND, NOT_HERE, NOT_TEXT, TOO_LARGE})


class Batches:
    """The inputs that wait for their batch, one batch for each split."""

    def __init__(self, form: Form, target: Target) -> None:
        self.form = form
        self.target = target
        self.entries = 0
        self._waiting: dict[str, list[bytes]] = {}
        self._sizes: dict[str, int] = {}
        self._written: dict[str, int] = {}

    def add(self, encoded: Encoded) -> None:
        """Take an input; a batch that has no room for it is written first, and the largest when too much waits."""
        folder = short_id(encoded.split) if encoded.split is not None else NO_SPLIT
        if self._sizes.get(folder, 0) + len(encoded.data) > MAX_BYTES:
            self._write(folder)
        self._waiting.setdefault(folder, []).append(encoded.data)
        self._sizes[folder] = self._sizes.get(folder, 0) + len(encoded.data)
        if len(self._waiting[folder]) >= MAX_INPUTS:
            self._write(folder)
        while sum(self._sizes.values()) > MAX_BYTES:
            self._write(max(self._sizes, key=lambda name: (self._sizes[name], name)))

    def finish(self) -> None:
        """Write what waits, split by split."""
        for folder in sorted(self._waiting):
            self._write(folder)

    def _write(self, folder: str) -> None:
        inputs = self._waiting.pop(folder, [])
        self._sizes.pop(folder, None)
        if not inputs:
            return
        number = self._written.get(folder, 0)
        self._written[folder] = number + 1
        pieces = self.form.batch(inputs)
        self._put(f"{folder}/{number:06d}_n{len(inputs)}", pieces)

    def _put(self, name: str, pieces: list[bytes]) -> None:
        with self.target.add(name, sum(map(len, pieces))) as stream:
            for piece in pieces:
                stream.write(piece)
        self.entries += 1

    def begin(self) -> None:
        """Write the entry that says what the archive is."""
        self._put("mimetype", [self.form.mimetype])


class _Exporter:
    profile: str
    _form: Form

    def export(self, walk: Walk, target: Target, *, media: bool = False) -> ExportReport:
        """Write all of `walk` into a ZIP target; with `media`, the bytes of images, videos, audio and text too.

        Raises RefusedError for two concepts that would get one id, and whatever the walk and the target raise.
        """
        batches = Batches(self._form, target)
        batches.begin()
        counts: Counter[str] = Counter()
        inputs = annotations = 0
        with closing(_encode(self._form, walk, media, counts)) as found:
            for encoded in found:
                batches.add(encoded)
                inputs += 1
                annotations += encoded.annotations
        batches.finish()
        if not inputs:
            counts[NO_INPUTS] = sum(1 for _ in walk.concepts()) + len(walk.meta)
        notes = {what: f"{what}: {count}" for what, count in sorted(counts.items()) if count}
        losses = tuple(note for what, note in notes.items() if what in LOST)
        return ExportReport(batches.entries, inputs, annotations, tuple(notes.values()), losses)


def _encode(form: Form, walk: Walk, media: bool, counts: Counter[str]) -> Generator[Encoded, None, None]:
    dataset = _dataset_texts(walk)
    names = {concept.id: (short_id(concept.id), concept.name) for concept in walk.concepts()}
    mapper = Mapper(form, names, walk if media else None, counts)
    if not hasattr(walk, "annotation_entries"):  # records that were never stored
        yield from _encode_samples(walk, mapper, dataset)
        return
    quick, done = QuickMapper(mapper), 0
    found = pieces(walk)
    for piece in found:
        yield from quick.encode(piece, MAX_WEIGHT, dataset)
        dataset = NO_TEXTS
        done += PIECE
        if done >= WORTHWHILE and not media:
            from dsvc.formats.clarifai.share import encode_shared

            yield from encode_shared(found, quick, names)


def _encode_samples(walk: Walk, mapper: Mapper, dataset: Mapping[str, str]) -> Iterator[Encoded]:
    for sample in walk.samples():
        mapper.add(sample, dataset)
        dataset = NO_TEXTS
        if mapper.weight >= MAX_WEIGHT:
            yield from mapper.drain()
    yield from mapper.drain()


def _dataset_texts(walk: Walk) -> Mapping[str, str]:
    """What belongs to the whole dataset, for the first input to carry."""
    table: dict[str, Concept] = {}
    for concept in walk.concepts():
        other = table.setdefault(short_id(concept.id), concept)
        if other is not concept:
            raise RefusedError(f"the concepts {other.id!r} and {concept.id!r} would get the same id at Clarifai")
    texts = {"concepts": exact_text(concept_residue(table.items()))}
    if walk.meta:
        texts["meta"] = exact_text(walk.meta)
    return texts


class ProtobufExporter(_Exporter):
    """Clarifai-Data-Protobuf: a ZIP of serialized InputBatch messages."""

    profile = "clarifai-protobuf/1"
    _form = Wire()


class JsonExporter(_Exporter):
    """Clarifai-Data-JSON: the same archive, each batch in Protobuf's JSON mapping."""

    profile = "clarifai-json/1"
    _form = Text()
