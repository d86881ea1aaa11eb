"""One archive, read from beginning to end: its inputs, and its annotations in batches."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import msgspec

from dsvc.core.keys import display
from dsvc.formats.clarifai.annotation_read import AnnotationReader, Wanted
from dsvc.formats.clarifai.concepts import Concepts
from dsvc.formats.clarifai.input_read import InputReader
from dsvc.formats.clarifai.media_read import FoundMedia, MediaStore
from dsvc.formats.clarifai.read_schema import BadMessage
from dsvc.formats.clarifai.shared_read import Piece, read_here, read_shared
from dsvc.formats.unzip import Archive
from dsvc.formats.worker import worker_count
from dsvc.model.incoming import Entry, Problems, Progress
from dsvc.model.records import Input

MIMETYPE = "mimetype"
NO_SPLIT = "all"
MAX_WEIGHT = 200_000
PIECE = 1 << 18
# Archives below this are read before a second process would have started.
WORTHWHILE = 8 << 20
_COUNT = re.compile(r".*_n([0-9]{1,18})", re.DOTALL)
# What sends an input the long way beside what `quick_read` finds.
_RARE = ("frames", "timeSegments", "tracks", "concepts")


class Reading:
    """Reads the batches of an archive in the order in which they lie in it; the inputs are complete at the end."""

    def __init__(
        self,
        archive: Archive,
        form: Any,
        concepts: Concepts,
        problems: Problems,
        store: MediaStore | None,
        progress: Progress | None,
    ) -> None:
        self.inputs: list[Input] = []
        self.media: dict[str, FoundMedia] = {}
        self.counts: Counter[str] = Counter()
        self.reader = InputReader(form, concepts, store)
        self._archive = archive
        self._form = form
        self._concepts = concepts
        self._problems = problems
        self._progress = progress
        self._annotations = AnnotationReader(form, concepts, problems, self.counts)
        self._keys: set[str] = set()

    def find_concepts(self) -> None:
        """Look for dsvc's own table where an export puts it: with the first input of a split's folder."""
        folders: set[str] = set()
        for name in self._archive.entries:
            folder = name.rpartition("/")[0]
            if name == MIMETYPE or folder in folders:
                continue
            folders.add(folder)
            with self._archive.open(name) as batch:
                try:
                    for raw in self._form.inputs(batch):
                        self.reader.learn_concepts(raw)
                        break
                except BadMessage:  # told when all is read
                    continue
                finally:
                    raw = None

    def entries(self) -> Iterator[list[Entry]]:
        """The annotations of all inputs, in batches. Raises InvalidRecordsError for an entry that cannot be read."""
        size = sum(entry.file_size for entry in self._archive.entries.values())
        if size >= WORTHWHILE and worker_count():
            yield from read_shared(self._pieces(), self._annotations, self._form.mimetype, self._concepts)
        else:
            yield from (read_here(piece, self._annotations) for piece in self._pieces())
        yield self._annotations.drain()

    def _pieces(self) -> Iterator[Piece]:
        """Inputs whose annotations may be usual, in pieces; all others are read at once."""
        piece: Piece = []
        weight = 0
        for wanted in self._all():
            if wanted.kept is None or wanted.drawn is None or any(name in wanted.data for name in _RARE):
                self._annotations.add(wanted)
                if self._annotations.weight >= MAX_WEIGHT:
                    yield []  # so that what waits is worked off
                continue
            # Copies, since the entry that they lie in is closed before they are read.
            regions = [bytes(region) for region in wanted.data.get("regions", ())]
            piece.append(wanted._replace(data={"regions": regions}))
            weight += sum(map(len, regions)) + 256
            if weight >= PIECE:
                yield piece
                piece, weight = [], 0
        if piece:
            yield piece

    def _all(self) -> Iterator[Wanted]:
        for name in self._archive.entries:
            if name != MIMETYPE:
                yield from self._entry(name)

    def _entry(self, name: str) -> Iterator[Wanted]:
        folder = name.rpartition("/")[0]
        split = folder if folder not in ("", NO_SPLIT) else None
        count = 0
        with self._archive.open(name) as batch:
            try:
                for raw in self._form.inputs(batch):
                    count += 1
                    wanted = self._input(raw, f"{display(name)}, input {count}", split)
                    if wanted is not None:
                        yield wanted
                    if self._progress and count % 64 == 0:
                        self._progress("read inputs", len(self.inputs), None)
            except BadMessage as error:
                raise self._archive.refusal(str(error), "export it again", name) from None
            finally:
                raw = wanted = None
        said = _COUNT.fullmatch(name)
        if said is not None and int(said[1]) != count:
            what = f"holds {count:,} inputs, and its name says {int(said[1]):,}"
            raise self._archive.refusal(what, "export it again", name)

    def _input(self, raw: Any, where: str, split: str | None) -> Wanted | None:
        try:
            one = self.reader.read(raw, split)
        except BadMessage as error:
            self._problems.add(f"{where}: {error}")
            return None
        key = one.record.key
        where += f" ({display(key)[:80]!r})"
        if key in self._keys:
            self._problems.add(f"{where}: is there twice, since another input has this key")
            return None
        self._keys.add(key)
        self.inputs.append(one.record)
        if one.media.media is not None:
            self.media[key] = one.media
        record = msgspec.structs.replace(one.record, media=one.media.said or one.media.media)
        return Wanted(where, record, one.drawn, one.data, one.kept)
