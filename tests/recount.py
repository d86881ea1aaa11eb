"""Counting a state again, slowly and plainly, from its samples: what the metrics must say."""

import json
from collections import Counter
from collections.abc import Sequence
from itertools import combinations, pairwise
from typing import Any

from dsvc.core.state import State
from dsvc.model.geometry import box_of
from dsvc.model.records import Annotation, Input, Shape

Counts = dict[str, Any]
RATIOS = (1 / 4, 1 / 2, 2 / 3, 9 / 10, 10 / 9, 3 / 2, 2, 4)


def recount(state: State, by: str | None = None) -> Counts:
    """All numbers of a state, in the form of `said`."""
    counts: Counter[str] = Counter()
    concepts: dict[str, Counter[str]] = {concept.id: Counter() for concept in state.concepts()}
    tallies: dict[str, Counter[Any]] = {
        name: Counter()
        for name in (
            *("types", "kinds", "splits", "pixels", "aspect_ratios", "box_aspect_ratios", "locations", "pairs"),
            *("annotations_count", "concepts_count", "bounding_boxes_count", "polygons_count", "points_count"),
            "masks_count",
        )
    }
    groups: dict[str, Counter[str]] = {}
    blobs: Counter[bytes] = Counter()
    for sample in state.samples():
        mine: Counter[str] = Counter(inputs=1)
        count_input(sample.input, mine, tallies, blobs)
        count_annotations(sample.input, sample.annotations, mine, concepts, tallies)
        for name in ("annotations", "bounding_boxes", "polygons", "points", "masks"):
            tallies[f"{name}_count"][mine[name]] += 1
        counts += mine
        if by is not None and by != "concept":
            groups.setdefault(group_of(sample.input, by), Counter()).update(mine)
    repeated = [count for count in blobs.values() if count > 1]
    counts["duplicate_inputs"], counts["duplicate_groups"] = sum(repeated) - len(repeated), len(repeated)
    counts["concepts"] = len(concepts)
    return {
        "counts": plain(counts),
        "concepts": {name: plain(found) for name, found in concepts.items()},
        **{name: plain(found) for name, found in tallies.items()},
        "groups": {name: plain(found) for name, found in (concepts if by == "concept" else groups).items()},
    }


def plain(counts: Counter[Any]) -> dict[Any, int]:
    return {name: count for name, count in counts.items() if count}


def said(metrics: Any) -> Counts:
    """The numbers that metrics say, in a form to compare; zeros are left out."""

    def ranges(found: Any) -> dict[Any, int]:
        return {(one.start, one.end): one.count for one in found}

    locations = {(x, y): n for y, row in enumerate(metrics.locations) for x, n in enumerate(row)}
    return {
        "counts": plain(metrics.counts),
        "concepts": {name: plain(found) for name, found in metrics.concepts.items()},
        **{name: plain(getattr(metrics, name)) for name in ("types", "kinds", "splits")},
        **metrics.per_input,
        "pixels": ranges(metrics.pixels),
        "aspect_ratios": ranges(metrics.aspect_ratios),
        "box_aspect_ratios": ranges(metrics.box_aspect_ratios),
        "locations": plain(locations),
        "pairs": {(first, second): count for first, second, count in metrics.co_occurrence},
        "groups": {name: plain(found) for name, found in (metrics.groups or {}).items()},
    }


# ---- inputs


def size_of(record: Input) -> tuple[float, float] | None:
    sizes = [(record.declared_width, record.declared_height)]
    if record.media is not None:
        sizes.append((record.media.width, record.media.height))
    return next(((w, h) for w, h in sizes if w is not None and h is not None and w > 0 and h > 0), None)


def kind_of(record: Input) -> str:
    if record.media is not None and record.media.type is not None:
        return record.media.type.split("/")[0]
    width = record.media.width if record.media is not None else None
    return "(none)" if record.declared_width is None and width is None else "image"


def group_of(record: Input, by: str) -> str:
    if by == "type":
        return kind_of(record)
    if by == "split":
        return record.split or "(none)"
    field = by.split(".", 1)[1]
    if field not in record.metadata:
        return "(none)"
    value = record.metadata[field]
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False)


def ratio_range(ratio: float) -> tuple[float | None, float | None]:
    limits = (None, *RATIOS, None)
    return next(
        (low, high)
        for low, high in pairwise(limits)
        if (low is None or ratio >= low) and (high is None or ratio < high)
    )


def count_input(record: Input, mine: Counter[str], tallies: dict[str, Counter[Any]], blobs: Counter[bytes]) -> None:
    mine["inputs_with_metadata"] = int(bool(record.metadata))
    mine["inputs_with_geo"] = int(record.geo is not None)
    mine["embeddings"] = len(record.embeddings or {})
    tallies["kinds"][kind_of(record)] += 1
    tallies["splits"][record.split or "(none)"] += 1
    size = size_of(record)
    if size is None:
        tallies["pixels"][None, None] += 1
        tallies["aspect_ratios"][None, None] += 1
    else:
        low = 1
        while low * 2 <= size[0] * size[1]:
            low *= 2
        tallies["pixels"][low if low > 1 else 0, low * 2] += 1
        tallies["aspect_ratios"][ratio_range(size[0] / size[1])] += 1
    media = record.media
    if media is None:
        mine["media_absent"] = 1
        return
    tallies["types"][media.type or "unknown"] += 1
    mine["media_bytes"] = media.size or 0
    mine["media_stored" if media.blob is not None or media.reference is None else "media_elsewhere"] = 1
    blob = media.blob or (media.reference.hash if media.reference is not None else None)
    if blob is not None:
        blobs[bytes(blob)] += 1


# ---- annotations


def parts_of(annotation: Annotation) -> dict[str, int]:
    """How many of each part that can be read; rings count each, where all of them can be."""
    shape = annotation.shape or Shape()
    rings = shape.polygons or ()
    keypoints, span = annotation.keypoints, annotation.span
    return {
        "bounding_boxes": int(shape.box is not None and len(shape.box) == 4),
        "polygons": len(rings) if all(ring and len(ring) % 2 == 0 for ring in rings) else 0,
        "points": int(annotation.point is not None and len(annotation.point) == 2),
        "masks": int(shape.mask is not None),
        "keypoints": int(keypoints is not None and len(keypoints) > 0 and len(keypoints) % 3 == 0),
        "spans": int(span is not None and all(0 <= place < 2**32 for place in span)),
    }


def count_annotations(
    record: Input,
    annotations: tuple[Annotation, ...],
    mine: Counter[str],
    concepts: dict[str, Counter[str]],
    tallies: dict[str, Counter[Any]],
) -> None:
    frames, region_frames, tracks, positive = set(), set(), set(), set()
    for annotation in annotations:
        one = count_annotation(record, annotation, tallies)
        mine.update(one)
        if annotation.frame is not None and 0 <= annotation.frame < 2**32:
            frames.add(annotation.frame)
            region_frames |= {annotation.frame} if one["regions"] else set()
        if annotation.track is not None:
            tracks.add(annotation.track)
        if annotation.concept is not None:
            concepts.setdefault(annotation.concept, Counter()).update(one)
            positive |= {annotation.concept} if one["positive_labels"] else set()
    for concept in positive:
        concepts[concept]["inputs"] += 1
    tallies["concepts_count"][len(positive)] += 1
    if len(positive) <= 256:
        tallies["pairs"].update(combinations(sorted(positive), 2))
    mine["unlabeled_inputs"] = int(not positive)
    mine["unannotated_inputs"] = int(not annotations)
    mine["region_inputs"] = int(mine["regions"] > 0)
    mine["frame_inputs"] = int(bool(frames))
    mine["frames"], mine["region_frames"], mine["tracks"] = len(frames), len(region_frames), len(tracks)


def count_annotation(record: Input, annotation: Annotation, tallies: dict[str, Counter[Any]]) -> Counter[str]:
    found: Counter[str] = Counter(parts_of(annotation), annotations=1)
    found["regions"] = found["polygons"] or int(any(found[name] for name in parts_of(annotation)))
    shape = annotation.shape or Shape()
    labelled = annotation.concept is not None
    positive = labelled and (annotation.value is None or annotation.value > 0)
    found["positive_labels"], found["negative_labels"] = int(positive), int(labelled and not positive)
    has_place = any(
        part is not None
        for part in (*(shape.box, shape.polygons, shape.mask, annotation.keypoints, annotation.point, annotation.span),)
    )
    if positive and not has_place:
        framed = annotation.frame is not None and 0 <= annotation.frame < 2**32
        where = "frame" if framed else "segment" if annotation.time is not None else "input"
        found[f"positive_{where}_tags"] = 1
    found["positive_region_tags"] = found["regions"] if positive else 0
    found["crowds"] = int(bool(annotation.crowd))
    size = size_of(record)
    drawn = any(found[name] for name in ("bounding_boxes", "polygons", "points", "keypoints"))
    if drawn and shape.unit == "pixel" and size is None:
        found["regions_without_size"] = found["regions"] - int(bool(found["masks"] or found["spans"]))
    if found["bounding_boxes"]:
        count_box(shape, size, found, tallies)
    for place in places(annotation, size, found):
        tallies["locations"][place] += 1
    count_tasks(annotation, shape, found)
    return found


def count_box(
    shape: Shape, size: tuple[float, float] | None, found: Counter[str], tallies: dict[str, Counter[Any]]
) -> None:
    assert shape.box is not None
    x, y, width, height = shape.box
    scale = (1.0, 1.0) if shape.unit == "pixel" else size
    area = None
    if scale is not None:
        area = shape.area * scale[0] * scale[1] if shape.area is not None else None
        area = abs(width * scale[0]) * abs(height * scale[1]) if area is None else area
    name = "boxes_of_unknown_size" if area is None else "small" if area < 1024 else "medium" if area < 9216 else "large"
    found[name if area is None else f"{name}_boxes"] = 1
    if not width or not height:
        found["empty_boxes"] = 1
    else:
        ratio = abs(width * scale[0] / (height * scale[1])) if scale is not None else None
        tallies["box_aspect_ratios"][ratio_range(ratio) if ratio is not None else (None, None)] += 1
    whole = size if shape.unit == "pixel" else (1.0, 1.0)
    if whole is not None:
        sides = ((x, width, whole[0]), (y, height, whole[1]))
        ends = [end / side for begin, length, side in sides for end in (begin, begin + length)]
        found["boxes_out_of_bounds"] = int(min(ends) < 0 or max(ends) > 1)


def places(annotation: Annotation, size: tuple[float, float] | None, found: Counter[str]) -> list[tuple[int, int]]:
    """The cells of an annotation's regions: each ring beyond the first is one of its own."""
    shape = annotation.shape or Shape()
    whole = (1.0, 1.0) if shape.unit == "relative" else size
    middles = [middle_of(ring[::2], ring[1::2]) for ring in shape.polygons or ()] if found["polygons"] else []
    if found["bounding_boxes"]:
        assert shape.box is not None
        x, y, width, height = shape.box
        middles[:1] = [(x + width / 2, y + height / 2)]
    if not middles and shape.mask is not None:
        box = box_of(Annotation(key="", id="", shape=Shape(mask=shape.mask)))
        if box is not None:
            whole = (float(shape.mask.width), float(shape.mask.height))
            middles = [(box[0] + box[2] / 2, box[1] + box[3] / 2)]
    if not middles and found["keypoints"]:
        assert annotation.keypoints is not None
        points = [annotation.keypoints[at : at + 3] for at in range(0, len(annotation.keypoints), 3)]
        seen = [point for point in points if point[2] > 0]
        middles = [middle_of([x for x, _, _ in seen], [y for _, y, _ in seen])] if seen else []
    if not middles and found["points"]:
        assert annotation.point is not None
        middles = [(annotation.point[0], annotation.point[1])]
    return [cell(middle, whole) for middle in middles] if whole is not None else []


def middle_of(xs: Sequence[float], ys: Sequence[float]) -> tuple[float, float]:
    return (min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2


def cell(middle: tuple[float, float], whole: tuple[float, float]) -> tuple[int, int]:
    x, y = (min(int(max(0.0, min(place / side, 1.0)) * 10), 9) for place, side in zip(middle, whole, strict=True))
    return x, y


def count_tasks(annotation: Annotation, shape: Shape, found: Counter[str]) -> None:
    teaches = {
        "boxes": shape.box is not None,
        "polygons": bool(shape.polygons),
        "masks": shape.mask is not None,
        "keypoints": annotation.keypoints is not None,
        "points": annotation.point is not None,
        "texts": annotation.text is not None,
        "spans": annotation.span is not None,
    }
    found.update({f"task_{name}": int(there) for name, there in teaches.items()})
    found["task_classes"] = int(not any(teaches.values()))
