"""Inputs written by two processes, for large exports."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import chain

import msgspec

from dsvc.formats.clarifai.build import Encoded, Mapper, Names
from dsvc.formats.clarifai.form import Form
from dsvc.formats.clarifai.quick import Piece, QuickMapper
from dsvc.formats.clarifai.text import Text
from dsvc.formats.clarifai.wire import Wire
from dsvc.formats.worker import Worker, share, worker_count

_FORMS: dict[bytes, Form] = {form.mimetype: form for form in (Wire(), Text())}
_encode = msgspec.msgpack.Encoder().encode


class _Answer(msgspec.Struct, array_like=True, gc=False):
    inputs: list[Encoded]
    counts: dict[str, int]


_decode_answer = msgspec.msgpack.Decoder(_Answer).decode
_decode_tables = msgspec.msgpack.Decoder(tuple[bytes, Names]).decode
_decode_piece = msgspec.msgpack.Decoder(Piece).decode


def encode_shared(pieces: Iterator[Piece], quick: QuickMapper, names: Names) -> Iterator[Encoded]:
    """The inputs of all pieces, in order, with the help of a second process where there is a processor for it."""
    following = next(pieces, None)
    if following is None:
        return
    pieces = chain([following], pieces)
    if not worker_count():
        for piece in pieces:
            yield from quick.encode(piece)
        return

    def here(piece: Piece) -> list[Encoded]:
        return list(quick.encode(piece))

    def answered(_: Piece, data: bytes | bytearray) -> list[Encoded]:
        answer = _decode_answer(data)
        quick.counts.update(answer.counts)
        return answer.inputs

    with Worker(f"{__name__}:answer_pieces", _encode((quick.form.mimetype, names))) as worker:
        for made in share(worker, pieces, _encode, here, answered):
            yield from made


def answer_pieces(setup: bytes) -> Callable[[bytes], bytes]:
    """What a worker does: the form and the table of concepts give a function from a piece to its inputs and counts."""
    kind, names = _decode_tables(setup)
    counts: Counter[str] = Counter()
    quick = QuickMapper(Mapper(_FORMS[kind], names, None, counts))

    def answer(request: bytes) -> bytes:
        counts.clear()
        inputs = list(quick.encode(_decode_piece(request)))
        return _encode(_Answer(inputs, dict(counts)))

    return answer
