"""The second look at a sample: its annotations become regions, concepts, frames and time segments of one Input."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from dsvc.formats.clarifai.form import Form
from dsvc.formats.clarifai.ids import input_id, part_id, short_id
from dsvc.formats.clarifai.media import MediaWriter, frame_time
from dsvc.formats.clarifai.plan import NO_SHAPE, UNSIGNED, Plan, Planner, Solved, drawn_size
from dsvc.formats.clarifai.residue import (
    exact_text,
    input_residue,
    is_float32,
    struct_values,
    whole_annotation,
)
from dsvc.formats.clarifai.stored import json_text
from dsvc.model.records import Annotation, Input
from dsvc.model.walk import Sample, Walk

NOT_PLACED = "annotations with no field at Clarifai, kept in metadata only"
SEVERAL = "annotations of several polygons, written as several regions"
DEEP = "inputs with metadata that a Struct cannot show whole (exact in metadata)"
BEYOND_FLOAT = "positions and embeddings beyond float32 (exact in metadata)"
LARGEST = 3.0e38
NO_FRAMES: Mapping[str, list[bytes] | None] = {}


# The id at Clarifai and the name of each concept.
Names = dict[str, tuple[str, str]]


class Encoded(NamedTuple):
    """One input, ready for a batch."""

    split: str | None
    data: bytes
    annotations: int


class Place:
    """What one Data holds of annotations: that of the input or of a frame."""

    def __init__(self) -> None:
        self.concepts: list[bytes] = []
        self.regions: list[bytes] = []


class Mapper:
    """Takes samples with `add` and gives their inputs with `drain`; `weight` says how much waits.

    The bytes of `media` go inline where that is given.
    """

    def __init__(self, form: Form, names: Names, media: Walk | None, counts: Counter[str]) -> None:
        self.form = form
        self.counts = counts
        self._media = MediaWriter(form, media, counts)
        self._names = names
        # Concept, Data of it, and True: of concepts without a value of which nothing is kept. For the quick way.
        self.usual: dict[str, tuple[bytes, bytes, bool]] = {}
        self._encoded: dict[tuple[str, float], tuple[bytes, bytes]] = {}
        self._planner = Planner(self.counts)
        self._waiting: list[tuple[Input, list[Plan], Mapping[str, str]]] = []

    @property
    def weight(self) -> int:
        """A measure of the memory that waiting samples take."""
        return self._planner.weight + len(self._waiting)

    def add(self, sample: Sample, dataset: Mapping[str, str]) -> None:
        """Take one sample; the texts of `dataset` go into its reserved metadata."""
        size = drawn_size(sample.input)
        plans = [self._planner.plan(annotation, size) for annotation in sample.annotations]
        self._waiting.append((sample.input, plans, dataset))

    def drain(self) -> Iterator[Encoded]:
        """The inputs of all samples taken, in order."""
        solved = self._planner.solve(self.form)
        waiting, self._waiting = self._waiting, []
        self._planner = Planner(self.counts)
        for record, plans, dataset in waiting:
            yield Encoded(record.split, self._input(record, plans, solved, dataset), len(plans))

    # ---- one input

    def _input(self, record: Input, plans: list[Plan], solved: Solved, dataset: Mapping[str, str]) -> bytes:
        whole, frames, segments = Place(), dict[int, Place](), list[bytes]()
        for plan in plans:
            annotation = plan.annotation
            frame = annotation.frame
            if frame is not None and 0 <= frame < UNSIGNED:
                self._annotation(plan, solved, frames.setdefault(frame, Place()))
            elif annotation.time is not None and _is_time(annotation.time):
                segments.append(self._segment(plan, solved))
            else:
                self._annotation(plan, solved, whole)
        text = exact_text([plan.kept for plan in plans]).encode() if plans else None
        extra = {
            "frames": [self._frame(record, at, frames[at]) for at in sorted(frames)] or None,
            "timeSegments": segments or None,
        }
        return self.message(record, False, whole, text, dataset, extra)

    def message(
        self,
        record: Input,
        plain: bool,
        whole: Place,
        kept: bytes | None,
        dataset: Mapping[str, str],
        extra: Mapping[str, list[bytes] | None] = NO_FRAMES,
    ) -> bytes:
        """The Input of a record, of what its annotations became, and of the text of what is kept of these.

        `plain` says that orjson writes the record's values as Python does.
        """
        message = self.form.message
        id_ = input_id(record.key)
        media = self._media.fields(record)
        fields = {
            "image": media.get("image"),
            "video": media.get("video"),
            "concepts": whole.concepts or None,
            "metadata": self._metadata(record, id_, plain, kept, dataset),
            "geo": self._geo(record),
            "embeddings": self._embeddings(record),
            "regions": whole.regions or None,
            "frames": extra.get("frames"),
            "text": media.get("text"),
            "audio": media.get("audio"),
            "timeSegments": extra.get("timeSegments"),
        }
        return message("Input", {"id": id_, "data": message("Data", fields)})

    def _metadata(self, record: Input, id_: str, plain: bool, kept: bytes | None, dataset: Mapping[str, str]) -> bytes:
        shown, exact = struct_values(record.metadata) if record.metadata else ({}, True)
        self.counts[DEEP] += len(shown) < len(record.metadata)
        texts = {name: text.encode() for name, text in dataset.items()}
        texts["input"] = json_text(input_residue(record, id_, exact), plain)
        if kept is not None:
            texts["annotations"] = kept
        return self.form.metadata(shown, texts)

    def _geo(self, record: Input) -> bytes | None:
        if record.geo is None or not self._floats(record.geo):
            return None
        longitude, latitude = record.geo
        point = self.form.message("GeoPoint", {"longitude": longitude, "latitude": latitude})
        return self.form.message("Geo", {"geoPoint": point})

    def _embeddings(self, record: Input) -> list[bytes] | None:
        vectors = [vector for _, vector in sorted((record.embeddings or {}).items())]
        message = self.form.message
        for index, vector in enumerate(vectors):
            if not self._floats(vector):
                vectors[index] = tuple(max(-LARGEST, min(LARGEST, number)) for number in vector)
        return [message("Embedding", {"vector": v, "numDimensions": len(v)}) for v in vectors] or None

    def _floats(self, values: tuple[float, ...]) -> bool:
        try:
            struct.pack(f"<{len(values)}f", *values)
        except OverflowError:
            self.counts[BEYOND_FLOAT] += 1
            return False
        return True

    def _frame(self, record: Input, index: int, place: Place) -> bytes:
        time = frame_time(record, index)
        info = self.form.message("FrameInfo", {"index": index, "time": time, "number": index})
        return self.form.message("Frame", {"frameInfo": info, "data": self._place(place)})

    def _place(self, place: Place) -> bytes:
        return self.form.message("Data", {"concepts": place.concepts or None, "regions": place.regions or None})

    def _segment(self, plan: Plan, solved: Solved) -> bytes:
        place = Place()
        self._annotation(plan, solved, place)
        begin, end = plan.annotation.time or (0.0, 0.0)
        info = self.form.message("TimeInfo", {"beginTime": begin, "endTime": end})
        id_ = short_id(plan.annotation.id)
        return self.form.message("TimeSegment", {"id": id_, "data": self._place(place), "timeInfo": info})

    # ---- one annotation

    def _annotation(self, plan: Plan, solved: Solved, place: Place) -> None:
        annotation = plan.annotation
        if plan.placed:
            self._regions(plan, solved, place)
        elif annotation.concept is not None and not _has_shape(annotation):
            self._loose(plan)
            plan.kept["in"] = "concept"
            place.concepts.append(self.concept(annotation.concept, annotation.value, plan.kept)[0])
        else:
            self.counts[NOT_PLACED] += 1
            plan.kept.clear()
            plan.kept.update(whole_annotation(annotation))
            plan.kept.update({"id": annotation.id, "in": "none"})

    def _loose(self, plan: Plan) -> None:
        """Keep what only a region would say."""
        annotation, kept = plan.annotation, plan.kept
        kept["id"] = annotation.id
        if annotation.track is not None:
            kept["tr"] = annotation.track
        if annotation.text is not None:
            kept["t"] = annotation.text

    def _regions(self, plan: Plan, solved: Solved, place: Place) -> None:
        annotation, kept = plan.annotation, plan.kept
        solved.keep(plan)
        message = self.form.message
        id_ = short_id(annotation.id)
        if id_ != annotation.id:
            kept["id"] = annotation.id
        data = None
        if annotation.concept is not None:
            data = self.concept(annotation.concept, annotation.value, kept)[1]
        elif annotation.value is not None:
            kept["v"] = annotation.value
        track = self._track(annotation, kept)
        first = -1
        if plan.polygons >= 0:
            first = solved.planner.polygons.first[plan.polygons]
        if plan.simple and track is None:
            box = solved.boxes[plan.box] if plan.box >= 0 else None
            region = self.form.region(id_, box, solved.rings[first] if first >= 0 else None, data)
        else:
            info = message("RegionInfo", self._info(plan, solved, first))
            fields = {"id": id_, "regionInfo": info, "data": data, "trackId": track}
            region = self.form.item(message("Region", fields))
        place.regions.append(region)
        rings = len((annotation.shape or NO_SHAPE).polygons or ()) if first >= 0 else 1
        if rings > 1:
            kept["r"] = rings
            self.counts[SEVERAL] += 1
        for part in range(1, rings):
            ring, name = solved.rings[first + part], part_id(id_, part + 1)
            if track is None:
                place.regions.append(self.form.region(name, None, ring, data))
            else:
                info = message("RegionInfo", {"polygon": ring})
                fields = {"id": name, "regionInfo": info, "data": data, "trackId": track}
                place.regions.append(self.form.item(message("Region", fields)))

    def _info(self, plan: Plan, solved: Solved, first: int) -> dict[str, Any]:
        info: dict[str, Any] = {}
        if plan.box >= 0:
            info["boundingBox"] = solved.boxes[plan.box]
        if plan.mask is not None:
            image = self.form.message("Image", {"base64": plan.mask})
            info["mask"] = self.form.message("Mask", {"image": image})
        if first >= 0:
            info["polygon"] = solved.rings[first]
        if plan.point >= 0:
            col, row = solved.points[plan.point]
            info["point"] = self.form.message("Point", {"row": row, "col": col})
        if plan.span:
            info["span"] = self._span(plan.annotation)
        if plan.annotation.text is not None and not (plan.span and plan.annotation.text):
            plan.kept["t"] = plan.annotation.text
        if plan.keypoints >= 0:
            info["keypointLocations"] = solved.keypoints[plan.keypoints]
        return info

    def _span(self, annotation: Annotation) -> bytes:
        start, end = annotation.span or (0, 0)
        text = annotation.text if annotation.text else None
        return self.form.message("Span", {"charStart": start, "charEnd": end, "rawText": text})

    def _track(self, annotation: Annotation, kept: dict[str, Any]) -> str | None:
        track = annotation.track
        if track is None:
            return None
        if track == "" or not isinstance(track, str):
            kept["tr"] = track
        return str(track)

    def concept(self, concept: str, value: float | None, kept: dict[str, Any]) -> tuple[bytes, bytes]:
        """The Concept of an annotation, and a Data of it alone; what these do not say is kept."""
        if concept not in self._names:
            kept["c"] = concept
        shown = 1.0 if value is None else value
        if value is not None and (value == 1 or not is_float32((value,))):
            kept["v"] = value
            shown = value if abs(value) < 1e38 else 1.0
        found = self._encoded.get((concept, shown))
        if found is None:
            id_, name = self._names.get(concept) or (short_id(concept), concept)
            message = self.form.message("Concept", {"id": id_, "name": name, "value": shown})
            found = message, self.form.message("Data", {"concepts": [message]})
            if shown in (0.0, 1.0):
                self._encoded[concept, shown] = found
        return found


def _has_shape(annotation: Annotation) -> bool:
    shape = annotation.shape or NO_SHAPE
    parts = (shape.box, shape.polygons, shape.mask, annotation.keypoints, annotation.point, annotation.span)
    return any(part is not None for part in parts)


def _is_time(time: tuple[float, float]) -> bool:
    return all(abs(place) < 1e38 for place in time)
