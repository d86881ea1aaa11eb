"""Usual annotations read by two processes, for large archives."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

import msgspec

from dsvc.formats.clarifai.annotation_read import AnnotationReader, Wanted
from dsvc.formats.clarifai.concepts import Concepts
from dsvc.formats.clarifai.geometry import Size
from dsvc.formats.clarifai.residue_read import KeptConcept
from dsvc.formats.clarifai.text_read import TextReader
from dsvc.formats.clarifai.wire_read import WireReader
from dsvc.formats.worker import Worker, share
from dsvc.model.incoming import Entry, Problems

FORMS: dict[bytes, WireReader | TextReader] = {form.mimetype: form for form in (WireReader(), TextReader())}
Piece = list[Wanted]
# An input as the worker takes it: key, size, regions, and what was kept.
_Asked = tuple[str, Size, list[bytes], str]
_encode = msgspec.msgpack.Encoder().encode


class _Answer(msgspec.Struct, array_like=True, gc=False):
    """The annotations of a piece, and which of its inputs need the long way."""

    entries: list[Entry]
    others: list[int]


_decode_answer = msgspec.msgpack.Decoder(_Answer).decode
_decode_setup = msgspec.msgpack.Decoder(tuple[bytes, dict[str, str]]).decode
_decode_piece = msgspec.msgpack.Decoder(list[_Asked]).decode


def read_shared(
    pieces: Iterable[Piece], reader: AnnotationReader, mimetype: bytes, concepts: Concepts
) -> Iterator[list[Entry]]:
    """The annotations of all pieces, with the help of a second process."""

    def here(piece: Piece) -> list[Entry]:
        return read_here(piece, reader)

    def answered(piece: Piece, data: bytes | bytearray) -> list[Entry]:
        answer = _decode_answer(data)
        return [*answer.entries, *here([piece[at] for at in answer.others])]

    with Worker(f"{__name__}:answer_pieces", _encode((mimetype, concepts.ids))) as worker:
        yield from share(worker, pieces, _request, here, answered)


def read_here(piece: Piece, reader: AnnotationReader) -> list[Entry]:
    """The annotations of a piece, and those that waited."""
    for wanted in piece:
        reader.add(wanted)
    return reader.drain()


def _request(piece: Piece) -> bytes | None:
    if not piece:
        return None
    return _encode([(one.record.key, one.drawn, one.data.get("regions", ()), one.kept) for one in piece])


def answer_pieces(setup: bytes) -> Callable[[bytes], bytes]:
    """What a worker does: the form and the ids of concepts give a function from a piece to its annotations."""
    mimetype, ids = _decode_setup(setup)
    concepts = Concepts()
    concepts.learn(KeptConcept(clarifai=clarifai, id=id_, name=id_) for clarifai, id_ in ids.items())
    concepts.is_closed = True
    problems = Problems()
    reader = AnnotationReader(FORMS[mimetype], concepts, problems, Counter())

    def answer(request: bytes) -> bytes:
        asked = _decode_piece(request)
        others = []
        for at, (key, drawn, regions, kept) in enumerate(asked):
            if not reader.add_own(key, drawn, {"regions": regions}, kept):
                others.append(at)
        before = problems.count
        entries = reader.drain()
        if problems.count > before:  # to be told at home
            entries, others = [], list(range(len(asked)))
        return _encode(_Answer(entries, others))

    return answer
