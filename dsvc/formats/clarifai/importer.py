"""The importer of Clarifai's archives: those that dsvc exports, and Clarifai's own, Protobuf and JSON."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from msgpack import Packer, Unpacker

from dsvc.core.imports.sorter import many_objects
from dsvc.formats.clarifai.concepts import Concepts
from dsvc.formats.clarifai.media_read import FoundMedia, MediaStore
from dsvc.formats.clarifai.reading import MIMETYPE, Reading
from dsvc.formats.clarifai.shared_read import FORMS
from dsvc.formats.unzip import Archive
from dsvc.model.incoming import Entry, Problems, Progress
from dsvc.model.records import Concept, Input
from dsvc.store.files import refusing

_MAX_MIMETYPE = 1024


class ClarifaiImporter:
    """Reads archives."""

    format = "clarifai"
    # The bytes of media that lie in an archive are stored while it is read.
    wants_store = True

    def open(
        self, data: memoryview, name: str, progress: Progress | None = None, store: MediaStore | None = None
    ) -> ClarifaiIncoming:
        """Read an archive. Raises InvalidRecordsError where it is none, or is damaged."""
        return ClarifaiIncoming(Archive(data, name), progress, store)


class ClarifaiIncoming:
    """One archive; see `dsvc.model.incoming.Incoming`. It is read when it is made.

    Annotations wait in a file on disk until they are asked for.
    """

    format = "clarifai"

    def __init__(self, archive: Archive, progress: Progress | None, store: MediaStore | None) -> None:
        form = _form(archive)
        self._concepts = Concepts()
        self._spool: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        first = True
        while first or self._concepts.is_stale:
            # A second time where concepts turned out to have other ids: all are known by then.
            self._concepts.again()
            self.problems = Problems()
            reading = Reading(archive, form, self._concepts, self.problems, store, progress)
            if first:
                reading.find_concepts()
            self._concepts.is_stale = first = False
            with many_objects():
                self._read(reading)
        self.notes = [f"{what}: {count:,}" for what, count in sorted(reading.counts.items()) if count]
        # What belongs to the dataset as a whole, of which this archive is all; None where Clarifai wrote it.
        self.dataset_meta: Mapping[str, Any] | None = reading.reader.meta
        # The media of inputs, by key.
        self.media: Mapping[str, FoundMedia] = reading.media
        self._inputs = reading.inputs

    def _read(self, reading: Reading) -> None:
        self._spool.seek(0)
        self._spool.truncate()
        pack: Any = Packer(use_bin_type=True).pack
        for batch in reading.entries():
            with refusing(Path(tempfile.gettempdir())):
                self._spool.write(pack(batch))
        with refusing(Path(tempfile.gettempdir())):
            self._spool.flush()

    @property
    def meta(self) -> Mapping[str, Any]:
        """Nothing belongs to the archive as a source."""
        return {}

    def concepts(self) -> list[Concept]:
        """dsvc's own table, or the concepts that inputs and regions name."""
        return self._concepts.records()

    def inputs(self) -> Iterator[Input]:
        """The inputs, without media."""
        return iter(self._inputs)

    def annotations(self) -> Iterator[list[Entry]]:
        """The annotations, in batches."""
        self._spool.seek(0)
        for batch in Unpacker(self._spool, raw=False, use_list=False, read_size=1 << 20, max_buffer_size=0):
            yield list(batch)

    def rejects(self) -> bytes | None:
        """None: an archive cannot be mended record by record."""
        return None


def _form(archive: Archive) -> Any:
    if MIMETYPE not in archive.entries:
        raise archive.refusal("is no archive of Clarifai's: it has no entry 'mimetype'", "see: dsvc import --help")
    kind = archive.read(MIMETYPE, _MAX_MIMETYPE).strip()
    form = FORMS.get(kind)
    if form is None:
        known = " and ".join(sorted(one.decode() for one in FORMS))
        raise archive.refusal(f"is of the type {kind.decode(errors='replace')!r}", f"{known} can be read")
    return form
