"""The quick way from stored records to inputs, for annotations of boxes, polygons, masks, keypoints, or none of these.

Coordinates go from their stored bytes into one array for many annotations, and from there to bytes. What this way does
not take goes, input by input, to the `Mapper`, which says the same of the same records.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from dsvc.errors import DamagedError
from dsvc.formats.clarifai.build import NOT_PLACED, SEVERAL, Encoded, Mapper, Place
from dsvc.formats.clarifai.geometry import NO_WAY, PLAIN, Parts, Size
from dsvc.formats.clarifai.ids import part_id, short_id
from dsvc.formats.clarifai.pictures import MAX_WIDTH, Runs, pictures
from dsvc.formats.clarifai.plan import RELATIVE, Planner, drawn_size
from dsvc.formats.clarifai.stored import Stored, decode_stored, json_text, plain_float, raw_value, stored_input
from dsvc.formats.masks import MAX_PIXELS, compressed, runs
from dsvc.model.numbers import count_numbers, unpack_joined, unpack_numbers
from dsvc.model.records import Input, Mask, decode_annotation, decode_input
from dsvc.model.walk import Sample, Walk

Entry = tuple[bytes, bytes]
# Keys and values of inputs, each with its annotations' ids and values.
Piece = list[tuple[bytes, bytes, list[Entry]]]
PIECE = 1 << 18
Row = tuple[str, Stored]


MAX_WEIGHT = 100_000
NO_TEXTS: Mapping[str, str] = {}


class _Odd(Exception):  # noqa: N818 - not an error
    """An input for the long way."""


class _Waiting(NamedTuple):
    record: Input
    plain: bool
    rows: list[Row]
    dataset: Mapping[str, str]


class _Found:
    """The parts of one input, until all of its annotations are known to be usual."""

    def __init__(self) -> None:
        self.boxes: list[bytes] = []
        self.box_sizes: list[Size] = []
        self.rings: list[bytes] = []
        self.firsts: list[int] = []
        self.polygon_sizes: list[Size] = []
        self.keypoints: list[bytes] = []
        self.keypoint_sizes: list[Size] = []
        self.masks: list[Runs] = []


def pieces(walk: Walk) -> Iterator[Piece]:
    """All records in pieces of about `PIECE` bytes: two sorted streams read in step."""
    annotations = walk.annotation_entries()
    pending = next(annotations, None)
    piece: Piece = []
    size = 0
    for key, value in walk.input_entries():
        prefix = key + b"\0"
        start, found = len(prefix), []
        while pending is not None and pending[0].startswith(prefix):
            found.append((pending[0][start:], pending[1]))
            size += len(pending[1])
            pending = next(annotations, None)
        piece.append((key, value, found))
        size += len(value)
        if pending is not None and pending[0] < prefix:
            raise DamagedError(f"annotation {pending[0].decode(errors='replace')!r} has no input")
        if size >= PIECE:
            yield piece
            piece, size = [], 0
    if piece:
        yield piece


class QuickMapper:
    """Takes stored inputs with `add` and gives them with `drain`, as `Mapper` does with samples."""

    def __init__(self, mapper: Mapper) -> None:
        self._mapper = mapper
        self.form = mapper.form
        self.counts = mapper.counts
        self._waiting: list[_Waiting | None] = []  # None is one for the mapper
        self._planner = Planner(mapper.counts)
        self._masks: list[Runs] = []
        self._weight = 0

    def encode(
        self, piece: Piece, weight: int = MAX_WEIGHT, dataset: Mapping[str, str] = NO_TEXTS
    ) -> Iterator[Encoded]:
        """The inputs of a piece, worked off whenever they weigh so much; the texts of `dataset` go into the first."""
        for key, value, found in piece:
            self.add(key, value, found, dataset)
            dataset = NO_TEXTS
            if self.weight >= weight:
                yield from self.drain()
        yield from self.drain()

    @property
    def weight(self) -> int:
        """A measure of the memory that waiting inputs take."""
        return self._weight + self._mapper.weight

    def add(self, key: bytes, value: bytes, annotations: list[Entry], dataset: Mapping[str, str]) -> None:
        """Take one input; the texts of `dataset` go into its reserved metadata."""
        try:
            rows = [(id_.decode(), decode_stored(made)) for id_, made in annotations]
            record, plain = stored_input(key, value)
            self._find(rows, drawn_size(record))
        except (_Odd, msgspec.MsgspecError, IndexError):  # the last for damaged numbers
            self._waiting.append(None)
            found = [decode_annotation(key + b"\0" + id_, made) for id_, made in annotations]
            self._mapper.add(Sample(decode_input(key, value), tuple(found)), dataset)
        else:
            self._waiting.append(_Waiting(record, plain, rows, dataset))
            self._weight += len(rows) + 1

    def _find(self, rows: list[Row], drawn: Size | None) -> None:
        """Gather the parts of one input. Raises _Odd before anything has changed."""
        found, weight = _Found(), 0
        for _, made in rows:
            box, rings, keypoints = made.b, made.p, made.k
            size = drawn
            if made.u:
                size = RELATIVE
                if box is None and rings is None and made.m is None and made.a is None:
                    raise _Odd
            if box is not None:
                if size is None or count_numbers(box) != 4:
                    raise _Odd
                found.boxes.append(box)
                found.box_sizes.append(size)
                weight += 4
            if rings is not None:
                if size is None or not rings:
                    raise _Odd
                found.firsts.append(len(found.rings))
                for ring in rings:
                    count = count_numbers(ring)
                    if not count or count & 1:
                        raise _Odd
                    weight += count
                found.rings += rings
                found.polygon_sizes.append(size)
            if keypoints is not None:
                count = count_numbers(keypoints)
                if size is None or not count or count % 3:
                    raise _Odd
                found.keypoints.append(keypoints)
                found.keypoint_sizes.append(size)
                weight += count
            if made.m is not None:
                mask = _runs(*made.m)
                found.masks.append(mask)
                weight += len(mask.counts) * 4 + mask.width * mask.height // 256
        planner = self._planner
        _extend(planner.boxes, found.boxes, found.box_sizes)
        _extend(planner.keypoints, found.keypoints, found.keypoint_sizes)
        before = len(planner.polygons.packed)
        planner.polygons.first += [before + first for first in found.firsts]
        _extend(planner.polygons, found.rings, found.polygon_sizes)
        self._masks += found.masks
        self._weight += weight

    def drain(self) -> Iterator[Encoded]:
        """All inputs taken, in order."""
        odd = self._mapper.drain()
        writer = _Writer(self._mapper, self._planner, self._masks)
        waiting, self._waiting, self._masks, self._weight = self._waiting, [], [], 0
        self._planner = Planner(self.counts)
        for one in waiting:
            if one is None:
                yield next(odd)
            else:
                place, text = writer.annotations(one.rows)
                data = self._mapper.message(one.record, one.plain, place, text, one.dataset)
                yield Encoded(one.record.split, data, len(one.rows))


def _extend(parts: Parts, packed: Iterable[bytes], sizes: Iterable[Size]) -> None:
    parts.packed += packed
    parts.sizes += sizes


def _runs(height: int, width: int, counts: str | bytes) -> Runs:
    """The runs of a mask. Raises _Odd for one that its PNG does not give back."""
    import numpy as np

    if not counts:
        raise _Odd
    if isinstance(counts, bytes):
        found, _ = unpack_joined([counts])
        whole = found.astype(np.int64)
        if (whole != found).any():
            raise _Odd
    else:
        try:
            parsed = runs(Mask(height=height, width=width, counts=counts))
        except ValueError:
            raise _Odd from None
        if compressed(parsed) != counts:
            raise _Odd
        whole = np.array(parsed, dtype=np.int64)
    fills = len(whole) and whole[0] >= 0 and whole[1:].min(initial=1) > 0 and whole.sum() == height * width
    if not fills or min(height, width) < 1 or height * width > MAX_PIXELS or width > MAX_WIDTH:
        raise _Odd
    return Runs(height, width, whole)


class _Writer:
    """Writes the annotations of many inputs, in the order in which their parts were found."""

    def __init__(self, mapper: Mapper, planner: Planner, masks: list[Runs]) -> None:
        self._mapper = mapper
        self._form = mapper.form
        self._counts = mapper.counts
        self._usual = mapper.usual
        solved = planner.solve(mapper.form)
        self._box = zip(solved.boxes, planner.boxes.ways, strict=True).__next__
        self._ring = iter(solved.rings).__next__
        self._ring_way = iter(planner.polygons.ways).__next__
        self._keypoints = zip(solved.keypoints, planner.keypoints.ways, strict=True).__next__
        self._picture = iter(pictures(masks)).__next__

    def annotations(self, rows: list[Row]) -> tuple[Place, bytes | None]:
        """The regions and concepts of an input's annotations, and the text of what is kept of them."""
        place, plain = Place(), True
        kept: list[dict[str, Any]] = []
        for id_, made in rows:
            rest: dict[str, Any] = {}
            if made.a is not None:
                rest["a"] = made.a
                plain = plain and (type(made.a) is int or plain_float(made.a))
            if made.n is not None:
                rest["n"] = made.n
            if made.cr is not None:
                rest["cr"] = made.cr
            if made.t is not None:
                rest["t"] = made.t
            if made.au is not None or made.st is not None or made.u or made.at or made.x:
                plain = _rest(made, rest) and plain
            if made.b is not None or made.p is not None or made.m is not None or made.k is not None:
                plain = self._region(id_, made, rest, place) and plain
            elif made.c is not None:
                rest["id"], rest["in"] = id_, "concept"
                message, _, exact = self._concept(made, rest)
                place.concepts.append(message)
                plain = exact and plain
            else:
                self._counts[NOT_PLACED] += 1
                rest["id"], rest["in"] = id_, "none"
                if made.v is not None:
                    rest["v"] = made.v
                    plain = False
            kept.append(rest)
        return place, json_text(kept, plain) if kept else None

    def _concept(self, made: Stored, rest: dict[str, Any]) -> tuple[bytes, bytes, bool]:
        """The Concept, the Data of it, and whether what is kept is plain."""
        usual = made.v is None and self._usual.get(made.c or "")
        if usual:
            return usual
        before = len(rest)
        message, data = self._mapper.concept(made.c or "", made.v, rest)
        found = message, data, len(rest) == before
        if made.v is None and found[2]:
            self._usual[made.c or ""] = found
        return found

    def _region(self, id_: str, made: Stored, rest: dict[str, Any], place: Place) -> bool:
        """Add the regions of an annotation; whether what is kept is plain."""
        plain, usual = True, PLAIN if made.u else 2
        box = polygon = data = None
        if made.b is not None:
            box, way = self._box()
            plain = way == usual or _keep(rest, "b", way, made.b)
        rings = made.p
        if rings is not None:
            polygon, way = self._ring(), self._ring_way()
            plain = (way == usual or _keep(rest, "p", way, rings)) and plain
        name = short_id(id_)
        if name != id_:
            rest["id"] = id_
        if made.c is not None:
            _, data, exact = self._concept(made, rest)
            plain = exact and plain
        elif made.v is not None:
            rest["v"] = made.v
            plain = False
        if made.m is None and made.k is None:
            place.regions.append(self._form.region(name, box, polygon, data))
        else:
            info = {"boundingBox": box, "mask": self._mask(made, rest), "polygon": polygon}
            if made.k is not None:
                info["keypointLocations"], way = self._keypoints()
                plain = (way == usual or _keep(rest, "k", way, made.k)) and plain
            message = self._form.message
            region = message("Region", {"id": name, "regionInfo": message("RegionInfo", info), "data": data})
            place.regions.append(self._form.item(region))
        if rings is not None and len(rings) > 1:
            rest["r"] = len(rings)
            self._counts[SEVERAL] += 1
            for part in range(2, len(rings) + 1):
                place.regions.append(self._form.region(part_id(name, part), None, self._ring(), data))
        return plain

    def _mask(self, made: Stored, rest: dict[str, Any]) -> bytes | None:
        if made.m is None:
            return None
        if type(made.m[2]) is bytes:
            rest["m"] = 1
        image = self._form.message("Image", {"base64": self._picture()})
        return self._form.message("Mask", {"image": image})


def _rest(made: Stored, rest: dict[str, Any]) -> bool:
    """Keep rarer fields as they are; whether they are plain."""
    plain = True
    if made.au is not None:
        rest["au"] = made.au
    if made.st is not None:
        rest["st"] = made.st
    if made.u:
        rest["u"] = 1
    for name, raw in (("at", made.at), ("x", made.x)):
        if raw:
            value, exact = raw_value(raw)
            plain = plain and exact
            if value or name == "at":
                rest[name] = value
    return plain


def _keep(rest: dict[str, Any], name: str, way: int, packed: bytes | list[bytes]) -> bool:
    """Keep how coordinates come back, or the coordinates themselves; whether it is plain."""
    if way != NO_WAY:
        rest["d" + name] = way
        return True
    rest[name] = unpack_numbers(packed) if isinstance(packed, bytes) else [unpack_numbers(ring) for ring in packed]
    return False
