"""The annotations of an input that Clarifai wrote: each region, and each concept outside of one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from dsvc.formats.clarifai.geometry import PLAIN, Size
from dsvc.formats.clarifai.leftovers import left_over
from dsvc.formats.clarifai.media import frame_time
from dsvc.formats.clarifai.parts import Named, Parts, put_named
from dsvc.formats.clarifai.places import Fields
from dsvc.formats.clarifai.plan import RELATIVE
from dsvc.formats.clarifai.residue_read import as_metadata
from dsvc.model.numbers import pack_numbers
from dsvc.model.records import Input

SEVERAL = "regions of several concepts, of which each is an annotation"
NO_SIZE = "points and keypoints of inputs without a known size, kept in the extras only"
NO_MASK = "masks whose picture is not in the archive, kept in the extras only"
_PLACES = ("frames", "timeSegments", "tracks")


class _Where(NamedTuple):
    """What all annotations of one Data have: frame, time and track; `id` for one of them that has none."""

    fields: Mapping[str, Any]
    more: Mapping[str, Any]
    id: str = ""


class ForeignReader:
    """Reads the annotations of one input; `counts` says how many of them are not what they were."""

    def __init__(self, parts: Parts, record: Input, drawn: Size | None, counts: dict[str, int]) -> None:
        self._parts = parts
        self._form = parts.form
        self._record = record
        self._drawn = drawn
        self._counts = counts

    def annotations(self, data: dict[str, Any]) -> Iterator[tuple[str, Fields]]:
        """Id, empty where there is none, and fields of each annotation. Raises BadMessage."""
        yield from self._data(data, _Where({}, {}))
        for raw in data.get("frames", ()):
            yield from self._frame(self._form.fields("Frame", raw))
        for kind, name in (("TimeSegment", "timeSegments"), ("Track", "tracks")):
            for raw in data.get(name, ()):
                yield from self._span_of_time(kind, self._form.fields(kind, raw))

    def _frame(self, frame: dict[str, Any]) -> Iterator[tuple[str, Fields]]:
        info = self._form.fields("FrameInfo", frame.get("frameInfo", self._form.empty))
        index = info.get("index", info.get("number", 0))
        more = left_over(self._form, "Frame", frame, ("frameInfo", "data"))
        time, number = info.get("time", 0), info.get("number", index)
        if number != index or time != frame_time(self._record, index):
            more["frameInfo"] = {"time": time, "number": number}
        where = _Where({"f": index}, {"frame": more} if more else {})
        yield from self._data(self._inner(frame), where)

    def _span_of_time(self, kind: str, message: dict[str, Any]) -> Iterator[tuple[str, Fields]]:
        info = self._form.fields("TimeInfo", message.get("timeInfo", self._form.empty))
        begin, end, id_ = info.get("beginTime", 0.0), info.get("endTime", 0.0), message.get("id", "")
        more = left_over(self._form, kind, message, ("id", "data", "timeInfo"))
        if "numFrames" in info:
            more["numFrames"] = info["numFrames"]
        fields: Fields = {"ti": pack_numbers((begin, end))}
        if kind == "Track":
            if id_:
                fields["tr"] = id_
            id_ = f"track-{id_}" if id_ else ""
        name = "track" if kind == "Track" else "timeSegment"
        yield from self._data(self._inner(message), _Where(fields, {name: more} if more else {}, id_))

    def _inner(self, message: dict[str, Any]) -> dict[str, Any]:
        inner: dict[str, Any] = self._form.fields("Data", message["data"]) if "data" in message else {}
        return inner

    def _data(self, data: dict[str, Any], where: _Where) -> Iterator[tuple[str, Fields]]:
        regions, concepts = data.get("regions", ()), data.get("concepts", ())
        # A segment's id is that of the one thing that it says.
        id_ = where.id if len(regions) + len(concepts) == 1 else ""
        for raw in regions:
            yield from self._region(self._form.fields("Region", raw), where._replace(id=id_))
        for raw in concepts:
            fields = dict(where.fields)
            put_named(fields, self._parts.named(raw))
            yield id_, _with_extras(fields, where.more)

    # ---- regions

    def _region(self, region: dict[str, Any], where: _Where) -> Iterator[tuple[str, Fields]]:
        fields, form = dict(where.fields), self._form
        more = dict(where.more) | left_over(form, "Region", region, ("id", "regionInfo", "data", "trackId"))
        if track := region.get("trackId"):
            fields["tr"] = track
        if "regionInfo" in region:
            self._shape(region["regionInfo"], fields, more)
        said = self._parts.said(region.get("data"))
        if said.rest:
            self._rest(said.rest, fields, more)
        names: tuple[Named | None, ...] = said.concepts or (None,)
        if len(names) > 1:
            self._counts[SEVERAL] = self._counts.get(SEVERAL, 0) + 1
        id_ = region.get("id") or where.id
        for number, named in enumerate(names, 1):
            made = self._parts.places.copy(fields) if number > 1 else fields
            if named is not None:
                put_named(made, named)
            yield f"{id_}-c{number}" if id_ and number > 1 else id_, _with_extras(made, more)

    def _rest(self, rest: dict[str, Any], fields: Fields, more: dict[str, Any]) -> None:
        """What a region's Data has beside concepts: text, and metadata, which are attributes."""
        form, known = self._form, []
        if "text" in rest and "t" not in fields:
            text = form.fields("Text", rest["text"])
            if text.keys() == {"raw"}:
                fields["t"] = text["raw"]
                known.append("text")
        if "metadata" in rest:
            fields["at"] = as_metadata(form.struct(rest["metadata"]))
            known.append("metadata")
        if data := left_over(form, "Data", rest, known):
            more["data"] = data

    def _shape(self, info: Any, fields: Fields, more: dict[str, Any]) -> None:
        form, places = self._form, self._parts.places
        usual = form.usual_shape(info)
        rest = dict(zip(("boundingBox", "polygon"), usual, strict=True)) if usual else form.fields("RegionInfo", info)
        box, polygon = rest.pop("boundingBox", None), rest.pop("polygon", None)
        if box is not None:
            places.box(bytes(box), fields, RELATIVE, PLAIN)
        if polygon is not None:
            places.rings([bytes(polygon)], fields, RELATIVE, PLAIN)
        is_relative = box is not None or polygon is not None
        if is_relative:
            fields["u"] = 1
        if rest:
            self._others(rest, fields, more, RELATIVE if is_relative else self._drawn)

    def _others(self, rest: dict[str, Any], fields: Fields, more: dict[str, Any], size: Size | None) -> None:
        form, parts, known = self._form, self._parts, []
        if size is None and rest.keys() & {"point", "keypointLocations"}:
            self._counts[NO_SIZE] = self._counts.get(NO_SIZE, 0) + 1
        if "keypointLocations" in rest and size is not None:
            points, seen = parts.keypoints(rest["keypointLocations"])
            parts.places.points("k", points, fields, size, PLAIN, seen)
            known.append("keypointLocations")
        if "point" in rest and size is not None:
            parts.places.points("pt", [parts.point(rest["point"])], fields, size, PLAIN, [])
            known.append("point")
        if "span" in rest:
            fields["sp"], text = parts.span(rest["span"])
            if text is not None:
                fields["t"] = text
            known.append("span")
        if "mask" in rest:
            mask = parts.mask(rest["mask"], as_numbers=False)
            if mask is not None:
                fields["m"] = mask
                known.append("mask")
            else:
                self._counts[NO_MASK] = self._counts.get(NO_MASK, 0) + 1
        if info := left_over(form, "RegionInfo", rest, known):
            more["regionInfo"] = info


def _with_extras(fields: Fields, more: Mapping[str, Any]) -> Fields:
    if more:
        fields["x"] = {"clarifai": dict(more)}
    return fields
