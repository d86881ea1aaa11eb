"""One archive, read from beginning to end: its inputs, and its annotations in batches."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from dsvc.core.keys import check_key, display
from dsvc.errors import InvalidRecordsError, RefusedError
from dsvc.formats.clarifai.concepts import Concepts
from dsvc.formats.clarifai.foreign import ForeignReader
from dsvc.formats.clarifai.leftovers import left_over
from dsvc.formats.clarifai.media_read import FoundMedia, MediaStore, foreign_media, own_media
from dsvc.formats.clarifai.own import DiffersError, own_annotations
from dsvc.formats.clarifai.parts import Parts
from dsvc.formats.clarifai.places import DEEP, Fields
from dsvc.formats.clarifai.plan import drawn_size
from dsvc.formats.clarifai.read_schema import BadMessage
from dsvc.formats.clarifai.residue import struct_values
from dsvc.formats.clarifai.residue_read import (
    Reserved,
    as_metadata,
    joined_metadata,
    kept_concepts,
    kept_input,
    kept_media,
    kept_meta,
    kept_rows,
    reserved_of,
)
from dsvc.formats.unzip import Archive
from dsvc.model.incoming import Entry, Problems, Progress
from dsvc.model.records import Input, content_id
from dsvc.store import codec

MIMETYPE = "mimetype"
NO_SPLIT = "all"
MAX_WEIGHT = 200_000
CHANGED = "inputs whose regions are no longer those that dsvc wrote: taken as they are now, in relative coordinates"
DEEPER = "polygons whose points have more than a row and a column, which is left out"
_KNOWN_DATA = (
    *("image", "video", "text", "audio", "concepts", "metadata", "geo", "embeddings", "regions", "frames"),
    *("timeSegments", "tracks"),
)
_COUNT = re.compile(r"_n([0-9]{1,18})")
_ODD = frozenset(("at", "x"))
_AGAIN = "export it again, or leave the record out"


class Found:
    """What was read of an archive."""

    def __init__(self) -> None:
        self.inputs: list[Input] = []
        self.media: dict[str, FoundMedia] = {}
        self.meta: Mapping[str, Any] | None = None  # of the whole dataset, where dsvc wrote the archive
        self.is_own = False
        self.counts: Counter[str] = Counter()
        self.keys: set[str] = set()


class Reading:
    """Reads the batches of an archive in the order in which they lie in it."""

    def __init__(
        self,
        archive: Archive,
        form: Any,
        concepts: Concepts,
        problems: Problems,
        store: MediaStore | None,
        progress: Progress | None,
    ) -> None:
        self.found = Found()
        self._archive = archive
        self._form = form
        self._concepts = concepts
        self._problems = problems
        self._store = store
        self._progress = progress
        self._parts = Parts(form, concepts)
        self._waiting: list[tuple[str, bytes, str, Fields]] = []  # where, prefix, id, fields
        self._wrong: dict[int, str] = {}
        self._batch = ""

    def tables(self) -> None:
        """Look for dsvc's own table of concepts where an export puts it: with the first input of a split's folder."""
        folders: set[str] = set()
        for name in self._archive.entries:
            folder = name.rpartition("/")[0]
            if name == MIMETYPE or folder in folders:
                continue
            folders.add(folder)
            with self._archive.open(name) as batch:
                try:
                    first = next(iter(self._form.inputs(batch)), None)
                    reserved = self._reserved(first)[1] if first is not None else None
                    if reserved is not None and reserved.concepts:
                        self._concepts.learn(kept_concepts(reserved.concepts))
                except BadMessage:  # told when all is read
                    continue
                finally:
                    first = None

    def entries(self) -> Iterator[list[Entry]]:
        """The annotations of all inputs, in batches. Raises InvalidRecordsError for an entry that cannot be read."""
        for name in self._archive.entries:
            if name != MIMETYPE:
                yield from self._entry(name)
        yield self._drain()

    def _entry(self, name: str) -> Iterator[list[Entry]]:
        folder = name.rpartition("/")[0]
        split = folder if folder not in ("", NO_SPLIT) else None
        self._batch, count = name, 0
        with self._archive.open(name) as batch:
            try:
                for raw in self._form.inputs(batch):
                    count += 1
                    self._input(raw, count, split)
                    if self._parts.places.weight >= MAX_WEIGHT or len(self._waiting) >= 8192:
                        yield self._drain()
                    if self._progress and count % 64 == 0:
                        self._progress("read inputs", len(self.found.inputs), None)
            except BadMessage as error:
                raise self._archive.refusal(f"{error}", "export it again", name) from None
            finally:
                raw = None
        self._check_count(name, count)

    def _check_count(self, name: str, count: int) -> None:
        said = _COUNT.fullmatch(name[name.rfind("_n") :]) if "_n" in name else None
        if said is not None and int(said[1]) != count:
            raise self._archive.refusal(f"holds {count:,} inputs, and its name says {int(said[1]):,}", _AGAIN, name)

    # ---- one input

    def _input(self, raw: Any, number: int, split: str | None) -> None:
        where = f"{display(self._batch)}, input {number}"
        waiting = len(self._waiting)
        try:
            fields = self._form.fields("Input", raw)
            where += f" ({display(fields['id'])[:80]!r})" if "id" in fields else ""
            self._take(fields, where, split)
        except BadMessage as error:
            # What already waits of it has its coordinates waiting too: it is dropped when these are known.
            for _, _, _, made in self._waiting[waiting:]:
                self._wrong[id(made)] = ""
            self._problems.add(f"{where}: {error}")

    def _take(self, fields: dict[str, Any], where: str, split: str | None) -> None:
        form = self._form
        data = form.fields("Data", fields["data"]) if "data" in fields else {}
        metadata, reserved = self._metadata(data)
        if reserved is not None:
            record, media = self._own(fields, data, metadata, reserved)
        else:
            record, media = self._foreign(fields, data, metadata, split)
        if record.key in self.found.keys:
            raise BadMessage(f"is there twice: another input has the key {display(record.key)!r}")
        seen = msgspec.structs.replace(record, media=media.said or media.media)
        drawn = drawn_size(seen)
        made = self._annotations(data, reserved, seen, drawn)
        prefix = f"{record.key}\0".encode()
        for id_, annotation in made:
            if "\0" in id_ or len(id_) > 1024:
                raise BadMessage(f"has an annotation whose id cannot be one: {id_[:60]!r}")
            self._waiting.append((where, prefix, id_, annotation))
        self.found.keys.add(record.key)
        self.found.inputs.append(record)
        if media.media is not None:
            self.found.media[record.key] = media

    def _metadata(self, data: dict[str, Any]) -> tuple[dict[str, Any], Reserved | None]:
        if "metadata" not in data:
            return {}, None
        metadata = self._form.struct(data["metadata"])
        reserved = reserved_of(metadata)
        return as_metadata(metadata), reserved

    def _reserved(self, raw: Any) -> tuple[dict[str, Any], Reserved | None]:
        fields = self._form.fields("Input", raw)
        return self._metadata(self._form.fields("Data", fields["data"]) if "data" in fields else {})

    def _annotations(
        self, data: dict[str, Any], reserved: Reserved | None, record: Input, drawn: Any
    ) -> Iterator[tuple[str, Fields]]:
        if reserved is not None:
            try:
                return own_annotations(self._parts, data, kept_rows(reserved.annotations), drawn)
            except DiffersError:
                self.found.counts[CHANGED] += 1
        return ForeignReader(self._parts, record, drawn, self.found.counts).annotations(data)

    def _own(
        self, fields: dict[str, Any], data: dict[str, Any], metadata: dict[str, Any], reserved: Reserved
    ) -> tuple[Input, FoundMedia]:
        """An input that dsvc wrote."""
        kept = kept_input(reserved.input)
        self.found.is_own = True
        if reserved.concepts:
            self._concepts.learn(kept_concepts(reserved.concepts))
        if reserved.meta:
            self.found.meta = kept_meta(reserved.meta)
        key = _key(kept.key if kept.key is not None else fields.get("id", ""))
        said = kept_media(kept.media) if kept.media is not None else None
        if kept.metadata is not None:
            metadata = joined_metadata(metadata, kept.metadata, struct_values)
        record = Input(
            key=key,
            declared_width=kept.declared_width,
            declared_height=kept.declared_height,
            split=kept.split,
            license=kept.license,
            geo=kept.geo if kept.geo is not None else self._geo(data),
            embeddings=self._kept_embeddings(data, kept.embeddings),
            number=kept.number,
            metadata=metadata,
            extras=kept.extras,
        )
        return _encodable(record), own_media(self._form, data, said, self._store, key)

    def _foreign(
        self, fields: dict[str, Any], data: dict[str, Any], metadata: dict[str, Any], split: str | None
    ) -> tuple[Input, FoundMedia]:
        """An input of Clarifai's."""
        key = _key(fields.get("id", ""))
        media = foreign_media(self._form, data, self._store, key)
        more = left_over(self._form, "Input", fields, ("id", "data")) | dict(media.more)
        if rest := left_over(self._form, "Data", data, _KNOWN_DATA):
            more["data"] = rest
        vectors = [self._form.fields("Embedding", raw).get("vector", []) for raw in data.get("embeddings", ())]
        names = ["clarifai", *(f"clarifai-{number}" for number in range(2, len(vectors) + 1))]
        record = Input(
            key=key,
            declared_width=media.width,
            declared_height=media.height,
            split=split,
            geo=self._geo(data),
            embeddings={name: tuple(vector) for name, vector in zip(names, vectors, strict=False)} or None,
            metadata=metadata,
            extras={"clarifai": more} if more else {},
        )
        return _encodable(record), media

    def _geo(self, data: dict[str, Any]) -> tuple[float, float] | None:
        if "geo" not in data:
            return None
        point = self._form.fields("Geo", data["geo"]).get("geoPoint")
        fields = self._form.fields("GeoPoint", point) if point is not None else None
        return (fields.get("longitude", 0.0), fields.get("latitude", 0.0)) if fields is not None else None

    def _kept_embeddings(
        self, data: dict[str, Any], kept: dict[str, Any] | None
    ) -> dict[str, tuple[float, ...]] | None:
        if not kept:
            return None
        raw = data.get("embeddings", ())
        if len(raw) != len(kept):
            raise BadMessage(f"has {len(raw)} embeddings, and keeps the names of {len(kept)}")
        vectors = [self._form.fields("Embedding", one).get("vector", []) for one in raw]
        pairs = zip(sorted(kept), vectors, strict=True)
        return {name: tuple(kept[name] if kept[name] is not None else vector) for name, vector in pairs}

    # ---- annotations whose coordinates are known

    def _drain(self) -> list[Entry]:
        parts, waiting = self._parts, self._waiting
        parts.places.solve(lambda fields, text: self._wrong.__setitem__(id(fields), text))
        entries: list[Entry] = []
        for where, prefix, id_, fields in waiting:
            wrong = self._wrong.get(id(fields)) if self._wrong else None
            if wrong is None:
                try:
                    entries.append(self._encoded(prefix, id_, fields))
                except codec.EncodeError as error:
                    wrong = str(error)
            if wrong:
                self._problems.add(f"{where}, annotation {display(id_)[:80]!r}: {wrong}")
        self._waiting, self._wrong = [], {}
        parts.begin()
        return entries

    def _encoded(self, prefix: bytes, id_: str, fields: Fields) -> Entry:
        if DEEP in fields:
            del fields[DEEP]
            self.found.counts[DEEPER] += 1
        if not id_:
            id_ = content_id(prefix[:-1].decode(), fields)
        if _ODD.isdisjoint(fields):
            try:
                return prefix + id_.encode(), codec.pack(dict(sorted(fields.items())))
            except (OverflowError, UnicodeEncodeError):  # integers beyond 64 bits; text that is none
                pass
        return prefix + codec_text(id_), codec.encode(fields)


def codec_text(text: str) -> bytes:
    """A text as UTF-8. Raises EncodeError."""
    codec.check_text(text)
    return text.encode()


def _encodable(record: Input) -> Input:
    """The same input, where it can be stored. Raises BadMessage."""
    from dsvc.model.records import encode_input

    try:
        encode_input(record)
    except (codec.EncodeError, ValueError) as error:
        raise BadMessage(f"cannot be stored: {error}") from None
    return record


def _key(text: str) -> str:
    try:
        return check_key(text)
    except RefusedError as error:
        raise BadMessage(f"has no key: {error.message}") from None


__all__ = ["InvalidRecordsError", "Reading"]
