"""Stored records that the quick way takes, decoded straight from their bytes; and small values as JSON texts."""

from __future__ import annotations

from typing import Any

import msgspec
import orjson

from dsvc.formats.clarifai.residue import exact_text
from dsvc.model.records import Input, decode_input, decode_media
from dsvc.store.codec import unpack_extension

# How msgpack begins a float64. Bytes without it hold no float, whose text orjson would write in another way.
_FLOAT = b"\xcb"


class Stored(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """The fields of a stored annotation that are usual; see the specification for their names."""

    a: float | int | None = None
    at: msgspec.Raw = msgspec.Raw()
    au: str | None = None
    b: bytes | None = None
    c: str | None = None
    cr: int | None = None
    k: bytes | None = None
    m: tuple[int, int, Any] | None = None
    n: int | str | None = None
    p: list[bytes] | None = None
    st: str | None = None
    t: str | None = None
    u: int | None = None
    v: float | int | None = None
    x: msgspec.Raw = msgspec.Raw()


class _StoredInput(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    media: dict[str, Any] | None = None
    width: float | int | None = None
    height: float | int | None = None
    split: str | None = None
    license: str | None = None
    number: int | str | None = None
    metadata: dict[str, Any] = {}
    extras: dict[str, Any] = {}


def _extension(code: int, data: memoryview) -> Any:
    return unpack_extension(code, bytes(data))


# Raises msgspec.MsgspecError where a record is not of the usual kind.
decode_stored = msgspec.msgpack.Decoder(Stored).decode
_decode_input = msgspec.msgpack.Decoder(_StoredInput, ext_hook=_extension).decode
_decode_any = msgspec.msgpack.Decoder(ext_hook=_extension).decode


def stored_input(key: bytes, value: bytes) -> tuple[Input, bool]:
    """The input of a tree entry, and whether orjson writes its values as Python does. Raises DamagedError."""
    try:
        made = _decode_input(value)
        media = decode_media(made.media) if made.media is not None else None
    except (msgspec.MsgspecError, TypeError, ValueError):
        return decode_input(key, value), False
    record = Input(
        key=key.decode(),
        media=media,
        declared_width=made.width,
        declared_height=made.height,
        split=made.split,
        license=made.license,
        number=made.number,
        metadata=made.metadata,
        extras=made.extras,
    )
    return record, _FLOAT not in value


def raw_value(raw: msgspec.Raw) -> tuple[Any, bool]:
    """The value of a part of a record, and whether orjson writes it as Python does."""
    return _decode_any(raw), _FLOAT not in bytes(raw)


def plain_float(value: float) -> bool:
    """Whether orjson writes a float as Python does: it does so without an exponent."""
    return 1e-4 <= value < 1e16


def json_text(value: Any, plain: bool) -> bytes:
    """`exact_text` in UTF-8; sooner for a `plain` value, whose floats are none or `plain_float`."""
    if plain:
        try:
            return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
        except TypeError:  # it holds bytes, or integers beyond 64 bits
            pass
    return exact_text(value).encode()
