"""Stored records decoded as far as counting needs, without an object for every coordinate."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import msgspec

from dsvc.core.metrics.columns import NONE
from dsvc.errors import DamagedError
from dsvc.model.records import decode_annotation, decode_input
from dsvc.model.stored import stored_fields
from dsvc.store import codec

Entry = tuple[bytes, bytes]
Number = float | int | None
T = TypeVar("T", bound=msgspec.Struct)
# The largest whole number that is counted with.
MOST = 1 << 62
# Characters of a value of metadata that tell it from others.
MAX_VALUE = 500


class _Reference(msgspec.Struct, gc=False):
    hash: bytes | None = None


class _Media(msgspec.Struct, gc=False):
    blob: bytes | None = None
    reference: _Reference | None = None
    type: str | None = None
    size: int | None = None
    width: int | None = None
    height: int | None = None


class InputRow(msgspec.Struct, gc=False):
    """The fields of a stored input that count, by their names in the specification."""

    embeddings: dict[str, bytes] | None = None
    geo: bytes | None = None
    height: Number = None
    width: Number = None
    media: _Media | None = None
    metadata: msgspec.Raw | None = None
    split: str | None = None


class AnnotationRow(msgspec.Struct, gc=False):
    """The fields of a stored annotation that count, by their names in the specification."""

    a: Number = None
    b: bytes | None = None
    c: str | None = None
    cr: int | None = None
    f: int | None = None
    k: bytes | None = None
    m: tuple[int, int, Any] | None = None  # its counts are text or bytes
    p: list[bytes] | None = None
    pt: bytes | None = None
    sp: tuple[int, int] | None = None
    t: str | None = None
    ti: bytes | None = None
    tr: int | str | None = None
    u: int | None = None
    v: Number = None


class Rows(NamedTuple):
    """Some inputs and their annotations: of each of these, the index of its input."""

    inputs: list[InputRow]
    annotations: list[AnnotationRow]
    owners: list[int]


def _extension(code: int, data: memoryview) -> Any:
    return codec.unpack_extension(code, bytes(data))


_quick_input = msgspec.msgpack.Decoder(InputRow, ext_hook=_extension).decode
_quick_annotation = msgspec.msgpack.Decoder(AnnotationRow, ext_hook=_extension).decode
_decode_map = msgspec.msgpack.Decoder(dict[str, Any], ext_hook=_extension).decode


def decode_rows(inputs: Sequence[Entry], annotations: Sequence[Entry]) -> Rows:
    """Inputs and their annotations, both sorted. Raises DamagedError, which names the record."""
    return Rows(
        _decoded(inputs, _quick_input, _slow_input),
        _decoded(annotations, _quick_annotation, _slow_annotation),
        _owners(inputs, annotations),
    )


def _decoded(entries: Sequence[Entry], quick: Callable[[bytes], T], slow: Callable[[bytes, bytes], T]) -> list[T]:
    try:
        return [quick(value) for _, value in entries]
    except (msgspec.MsgspecError, ValueError):
        return [slow(key, value) for key, value in entries]


def _owners(inputs: Sequence[Entry], annotations: Sequence[Entry]) -> list[int]:
    place = {key + b"\0": at for at, (key, _) in enumerate(inputs)}
    try:
        return [place[key[: key.index(b"\0") + 1]] for key, _ in annotations]
    except (KeyError, ValueError):
        for key, _ in annotations:
            if key.partition(b"\0")[0] + b"\0" not in place or b"\0" not in key:
                raise DamagedError(f"annotation {key.decode(errors='replace')!r} has no input") from None
        raise


def require_readable(noun: str, key: bytes, value: bytes) -> None:
    """Raise DamagedError, which names the record, where it is not what it should be."""
    decode: Callable[[bytes, bytes], Any] = decode_input if noun == "input" else decode_annotation
    try:
        decode(key, value)
    except DamagedError as error:
        name = repr(key.decode(errors="replace"))
        text = error.message if name in error.message else f"{noun} {name} cannot be read: {error.message}"
        raise DamagedError(text, error.hint) from error


def _slow_input(key: bytes, value: bytes) -> InputRow:
    """As the quick way, also where whole numbers are beyond 64 bits."""
    require_readable("input", key, value)
    fields = stored_fields(value, "input", key)
    metadata = fields.pop("metadata", None)
    row: InputRow = _converted(fields, InputRow)
    row.metadata = msgspec.Raw(codec.encode(metadata)) if metadata is not None else None
    return row


def _slow_annotation(key: bytes, value: bytes) -> AnnotationRow:
    require_readable("annotation", key, value)
    row: AnnotationRow = _converted(stored_fields(value, "annotation", key), AnnotationRow)
    return row


def _converted(fields: dict[str, Any], kind: type[T]) -> T:
    wanted = {field.name: field.name for field in msgspec.structs.fields(kind)}
    return msgspec.convert({name: _bounded(value) for name, value in fields.items() if name in wanted}, kind)


def _bounded(value: Any) -> Any:
    """A value in which whole numbers have 64 bits at most."""
    if type(value) is int:
        return max(-MOST, min(value, MOST))
    if type(value) is list:
        return list(map(_bounded, value))
    return {name: _bounded(below) for name, below in value.items()} if type(value) is dict else value


def metadata_value(row: InputRow, field: str) -> str:
    """What an input's metadata says in a field: a text as it is, anything else as JSON, or `NONE`. Of a long one, the
    begin."""
    if row.metadata is None:
        return NONE
    found = _decode_map(row.metadata).get(field, NONE)
    return (found if isinstance(found, str) else json.dumps(found, ensure_ascii=False, sort_keys=True))[:MAX_VALUE]
