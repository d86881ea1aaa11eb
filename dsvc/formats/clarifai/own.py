"""The annotations of an input that dsvc wrote: what was kept of each, and the regions that it became."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from dsvc.formats.clarifai.geometry import PLAIN, Size
from dsvc.formats.clarifai.ids import part_id, short_id
from dsvc.formats.clarifai.parts import NOTHING, Parts, Said, put_named
from dsvc.formats.clarifai.places import Fields, way_of
from dsvc.formats.clarifai.plan import RELATIVE, UNSIGNED
from dsvc.formats.clarifai.read_schema import BadMessage
from dsvc.formats.clarifai.residue_read import Kept
from dsvc.model.numbers import pack_numbers
from dsvc.model.records import plain_number

_MAX_TIME = 1e38
_PIXELS = 2


class DiffersError(Exception):
    """The regions of an input are no longer those that dsvc wrote."""


class _Pair(NamedTuple):
    """An annotation: what was kept, its id, its regions, and what these or its Concept say."""

    kept: Kept
    id: str
    regions: list[dict[str, Any]]
    said: Said


class _Place:
    """What one Data holds, taken in order."""

    def __init__(self, data: dict[str, Any]) -> None:
        self.regions = iter(data.get("regions", ()))
        self.concepts = iter(data.get("concepts", ()))

    def is_empty(self) -> bool:
        return next(self.regions, None) is None and next(self.concepts, None) is None


def own_annotations(
    parts: Parts, data: dict[str, Any], rows: list[Kept], drawn: Size | None
) -> Iterator[tuple[str, Fields]]:
    """Id and fields of each annotation. Raises DiffersError before the first, BadMessage."""
    pairs = _pairs(parts, data, rows)
    return ((pair.id, _fields(parts, pair, drawn)) for pair in pairs)


def _pairs(parts: Parts, data: dict[str, Any], rows: list[Kept]) -> list[_Pair]:
    fields = parts.form.fields
    whole = _Place(data)
    frames: dict[int, _Place] = {}
    for raw in data.get("frames", ()):
        frame = fields("Frame", raw)
        index = fields("FrameInfo", frame.get("frameInfo", parts.form.empty)).get("number", 0)
        frames[index] = _Place(fields("Data", frame["data"]) if "data" in frame else {})
    segments = iter(data.get("timeSegments", ()))
    pairs: list[_Pair] = []
    last = b""
    for kept in rows:
        place: _Place | None = whole
        if kept.f is not None and 0 <= kept.f < UNSIGNED:
            place = frames.get(kept.f)
        elif kept.ti is not None and all(abs(time) < _MAX_TIME for time in kept.ti):
            segment = next(segments, None)
            inner = fields("TimeSegment", segment).get("data") if segment is not None else None
            place = _Place(fields("Data", inner) if inner is not None else {})
        pair = _pair(parts, kept, place)
        name = pair.id.encode()
        if name <= last:
            raise DiffersError
        last = name
        pairs.append(pair)
    if next(segments, None) is not None or not all(place.is_empty() for place in (whole, *frames.values())):
        raise DiffersError
    return pairs


def _pair(parts: Parts, kept: Kept, place: _Place | None) -> _Pair:
    if kept.place == "none":
        if kept.id is None:
            raise BadMessage("keeps an annotation without an id")
        return _Pair(kept, kept.id, [], NOTHING)
    if place is None:
        raise DiffersError
    if kept.place == "concept":
        concept = next(place.concepts, None)
        if concept is None or kept.id is None:
            raise DiffersError
        return _Pair(kept, kept.id, [], Said((parts.named(concept, kept.c),), {}))
    raw = [region for _, region in zip(range(max(kept.r, 1)), place.regions, strict=False)]
    if len(raw) != kept.r:
        raise DiffersError
    regions = [parts.form.fields("Region", region) for region in raw]
    name = regions[0].get("id", "")
    id_ = kept.id if kept.id is not None else name
    others = [region.get("id") for region in regions[1:]]
    if short_id(id_) != name or others != [part_id(name, part) for part in range(2, kept.r + 1)]:
        raise DiffersError
    said = parts.said(regions[0].get("data"), kept.c)
    if len(said.concepts) > 1 or said.rest:
        raise DiffersError
    return _Pair(kept, id_, regions, said)


def _fields(parts: Parts, pair: _Pair, drawn: Size | None) -> Fields:
    """The fields of an annotation; those with coordinates come when these are solved."""
    kept = pair.kept
    fields: Fields = {}
    if kept.a is not None:
        fields["a"] = plain_number(kept.a)
    if kept.n is not None:
        fields["n"] = kept.n
    if kept.cr is not None:
        fields["cr"] = kept.cr
    if pair.said.concepts:
        put_named(fields, pair.said.concepts[0])
    if pair.regions:
        _region(parts, pair, fields, drawn)
    if kept.t is not None:
        fields["t"] = kept.t
    if kept.tr is not None:
        fields["tr"] = kept.tr
    _rare(kept, fields)
    return fields


def _rare(kept: Kept, fields: Fields) -> None:
    """Fields that few annotations have."""
    if kept.c is not None:
        fields["c"] = kept.c
    if kept.v is not None:
        fields["v"] = plain_number(kept.v)
    for name, value in (("st", kept.st), ("au", kept.au), ("at", kept.at), ("f", kept.f), ("u", kept.u)):
        if value is not None:
            fields[name] = value
    if kept.x:
        fields["x"] = kept.x
    if kept.sp is not None:
        fields["sp"] = list(kept.sp)
    try:
        for name, numbers in (("b", kept.b), ("k", kept.k), ("pt", kept.pt), ("ti", kept.ti)):
            if numbers is not None:
                fields[name] = pack_numbers(numbers)
        if kept.p is not None:
            fields["p"] = [pack_numbers(ring) for ring in kept.p]
        if isinstance(kept.m, tuple):
            height, width, counts = kept.m
            fields["m"] = [height, width, counts if isinstance(counts, str) else pack_numbers(counts)]
    except ValueError as error:
        raise BadMessage(f"keeps annotation numbers that are none: {error}") from None


def _region(parts: Parts, pair: _Pair, fields: Fields, drawn: Size | None) -> None:
    kept, first, places = pair.kept, pair.regions[0], parts.places
    size: Size | None = RELATIVE if kept.u else drawn
    usual = PLAIN if kept.u else _PIXELS
    if size is None:
        size, usual = RELATIVE, PLAIN
    if track := first.get("trackId"):
        fields["tr"] = track
    info = first.get("regionInfo")
    shape = parts.form.usual_shape(info) if info is not None else (None, None)
    rest: dict[str, Any] = {}
    if shape is None:
        rest = parts.form.fields("RegionInfo", info)
        shape = rest.get("boundingBox"), rest.get("polygon")
    box, polygon = shape
    if box is not None and kept.b is None:
        places.box(bytes(box), fields, size, way_of(kept.db, usual))
    if polygon is not None and kept.p is None:
        rings = [bytes(polygon), *(_ring(parts, region) for region in pair.regions[1:])]
        places.rings(rings, fields, size, way_of(kept.dp, usual))
    if rest:
        _others(parts, pair, fields, rest, (size, usual))


def _others(parts: Parts, pair: _Pair, fields: Fields, rest: dict[str, Any], back: tuple[Size, int]) -> None:
    kept, (size, usual) = pair.kept, back
    if "keypointLocations" in rest and kept.k is None:
        points, seen = parts.keypoints(rest["keypointLocations"])
        parts.places.points("k", points, fields, size, way_of(kept.dk, usual), seen)
    if "point" in rest and kept.pt is None:
        points = [parts.point(rest["point"])]
        parts.places.points("pt", points, fields, size, way_of(kept.dpt, usual), [])
    if "span" in rest:
        fields["sp"], text = parts.span(rest["span"])
        if text is not None:
            fields["t"] = text
    if "mask" in rest and not isinstance(kept.m, tuple):
        mask = parts.mask(rest["mask"], kept.m == 1)
        if mask is not None:
            fields["m"] = mask


def _ring(parts: Parts, region: dict[str, Any]) -> bytes:
    polygon = parts.form.fields("RegionInfo", region.get("regionInfo", parts.form.empty)).get("polygon")
    if polygon is None:
        raise BadMessage("has a part of an annotation without a polygon")
    return bytes(polygon)
