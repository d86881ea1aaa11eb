"""One input of an archive as a record, and its media; its annotations stay as they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from dsvc.core.keys import check_key
from dsvc.errors import RefusedError
from dsvc.formats.clarifai.concepts import Concepts
from dsvc.formats.clarifai.geometry import Size
from dsvc.formats.clarifai.leftovers import left_over
from dsvc.formats.clarifai.media_read import FoundMedia, MediaStore, foreign_media, own_media
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
    reserved_of,
)
from dsvc.model.records import Input, encode_input
from dsvc.store import codec

_KNOWN = (
    *("image", "video", "text", "audio", "concepts", "metadata", "geo", "embeddings", "regions", "frames"),
    *("timeSegments", "tracks"),
)


class OneInput(NamedTuple):
    """An input: its record, its media, the size in which it was drawn, and the fields of its Data.

    `kept` is the text of what dsvc kept of its annotations; None where dsvc did not write it.
    """

    record: Input
    media: FoundMedia
    drawn: Size | None
    data: dict[str, Any]
    kept: str | None


class InputReader:
    """Reads Inputs. `meta` are the metadata of the whole dataset, None until an input shows that dsvc wrote it."""

    def __init__(self, form: Any, concepts: Concepts, store: MediaStore | None) -> None:
        self._form = form
        self._concepts = concepts
        self._store = store
        self.meta: Mapping[str, Any] | None = None

    def read(self, raw: Any, split: str | None) -> OneInput:
        """An input that lies in the folder of a split. Raises BadMessage."""
        fields = self._form.fields("Input", raw)
        data = self._form.fields("Data", fields["data"]) if "data" in fields else {}
        metadata, reserved = self._metadata(data)
        if reserved is not None:
            record, media = self._own(fields, data, metadata, reserved)
        else:
            record, media = self._foreign(fields, data, metadata, split)
        try:
            encode_input(record)
        except (codec.EncodeError, ValueError) as error:
            raise BadMessage(f"cannot be stored: {error}") from None
        drawn = drawn_size(msgspec.structs.replace(record, media=media.said or media.media))
        return OneInput(record, media, drawn, data, reserved.annotations if reserved is not None else None)

    def learn_concepts(self, raw: Any) -> None:
        """Take dsvc's own table of concepts from an Input that has it. Raises BadMessage."""
        fields = self._form.fields("Input", raw)
        _, reserved = self._metadata(self._form.fields("Data", fields["data"]) if "data" in fields else {})
        if reserved is not None and reserved.concepts:
            self._concepts.learn(kept_concepts(reserved.concepts))

    def _metadata(self, data: dict[str, Any]) -> tuple[dict[str, Any], Reserved | None]:
        if "metadata" not in data:
            return {}, None
        metadata = self._form.struct(data["metadata"])
        reserved = reserved_of(metadata)
        return as_metadata(metadata), reserved

    def _own(
        self, fields: dict[str, Any], data: dict[str, Any], metadata: dict[str, Any], reserved: Reserved
    ) -> tuple[Input, FoundMedia]:
        kept = kept_input(reserved.input)
        if reserved.concepts:
            self._concepts.learn(kept_concepts(reserved.concepts))
        if reserved.meta:
            self.meta = kept_meta(reserved.meta)
        elif self.meta is None:
            self.meta = {}
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
        return record, own_media(self._form, data, said, self._store, key)

    def _foreign(
        self, fields: dict[str, Any], data: dict[str, Any], metadata: dict[str, Any], split: str | None
    ) -> tuple[Input, FoundMedia]:
        key = _key(fields.get("id", ""))
        media = foreign_media(self._form, data, self._store, key)
        more = left_over(self._form, "Input", fields, ("id", "data")) | dict(media.more)
        if rest := left_over(self._form, "Data", data, _KNOWN):
            more["data"] = rest
        vectors = self._vectors(data)
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
        return record, media

    def _geo(self, data: dict[str, Any]) -> tuple[float, float] | None:
        if "geo" not in data:
            return None
        point = self._form.fields("Geo", data["geo"]).get("geoPoint")
        fields = self._form.fields("GeoPoint", point) if point is not None else None
        return (fields.get("longitude", 0.0), fields.get("latitude", 0.0)) if fields is not None else None

    def _vectors(self, data: dict[str, Any]) -> list[list[float]]:
        return [self._form.fields("Embedding", raw).get("vector", []) for raw in data.get("embeddings", ())]

    def _kept_embeddings(
        self, data: dict[str, Any], kept: dict[str, Any] | None
    ) -> dict[str, tuple[float, ...]] | None:
        if not kept:
            return None
        vectors = self._vectors(data)
        if len(vectors) != len(kept):
            raise BadMessage(f"has {len(vectors)} embeddings, and keeps the names of {len(kept)}")
        pairs = zip(sorted(kept), vectors, strict=True)
        return {name: tuple(kept[name] if kept[name] is not None else vector) for name, vector in pairs}


def _key(text: str) -> str:
    try:
        return check_key(text)
    except RefusedError as error:
        raise BadMessage(f"has no key that can be one: {error.message}") from None
