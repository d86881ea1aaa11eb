"""Metrics for people: what a dataset's owner wants to know first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from dsvc.cli.distant import fit
from dsvc.cli.render import plural, short, shown, table, width, word

if TYPE_CHECKING:
    from dsvc.core.metrics.comparing import Comparison, Differences
    from dsvc.core.metrics.metrics import Metrics

SHOWN = 10  # concepts
ROWS = 50  # of groups, or differences
_PAIRS = 3
_BAR = 24
_MANY = 20.0  # times as many labels of one concept as of another

Row = tuple[str, str, str]


def metrics_lines(metrics: Metrics, revision: str) -> Iterator[str]:
    """The numbers of a state that matter most, and what is odd about it."""
    yield from table(_rows(metrics), right=(1,))
    yield from _concept_lines(metrics)
    pairs = [f"{short(a)} + {short(b)} {count:,}" for a, b, count in metrics.co_occurrence[:_PAIRS]]
    if pairs:
        yield f"together in inputs: {', '.join(pairs)}"
    for line in _oddities(metrics, revision):
        yield f"note: {line}"


def _rows(metrics: Metrics) -> Iterator[Row]:
    counts = metrics.counts
    inputs, annotations = counts["inputs"], counts["annotations"]
    yield "inputs", f"{inputs:,}", ", ".join(f"{count:,} {shown(name)}" for name, count in metrics.kinds.items())
    for name, column in (("unlabeled", "unlabeled_inputs"), ("unannotated", "unannotated_inputs")):
        yield from _some(f"  {name}", counts[column], _share(counts[column], inputs))
    yield from _some("  with metadata", counts["inputs_with_metadata"])
    yield from _some("  with geo", counts["inputs_with_geo"])
    yield from _some("embeddings", counts["embeddings"])
    most = max(metrics.per_input["annotations_count"], default=0)
    yield "annotations", f"{annotations:,}", f"{annotations / inputs:,.1f} an input, at most {most:,}" if inputs else ""
    yield from _some("  negative labels", counts["negative_labels"])
    yield from _some("regions", counts["regions"], f"in {plural(counts['region_inputs'], 'input')}")
    for name in ("bounding_boxes", "polygons", "points", "masks", "keypoints", "spans"):
        sizes = _box_sizes(metrics) if name == "bounding_boxes" else ""
        yield from _some(f"  {name.replace('bounding_', '')}", counts[name], sizes)
    of_frames = f"in {plural(counts['frame_inputs'], 'input')}, {counts['region_frames']:,} with regions"
    yield from _some("frames", counts["frames"], of_frames)
    yield from _some("tracks", counts["tracks"])
    tags = {name: counts[f"positive_{name}_tags"] for name in ("input", "region", "frame", "segment")}
    detail = ", ".join(f"{count:,} of {name}s" for name, count in tags.items() if count)
    yield from _some("positive tags", sum(tags.values()), detail)


def _some(name: str, count: int, detail: str = "") -> Iterator[Row]:
    """A row, where there are any."""
    if count:
        yield name, f"{count:,}", detail


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else ""


def _box_sizes(metrics: Metrics) -> str:
    sizes, boxes = metrics.box_sizes, metrics.counts["bounding_boxes"]
    return ", ".join(f"{_share(count, boxes)} {name}" for name, count in sizes.items() if count)


def _concept_lines(metrics: Metrics) -> Iterator[str]:
    labels = {name: found["positive_labels"] for name, found in metrics.concepts.items()}
    total = sum(labels.values())
    if not labels:
        return
    ranked = sorted(labels.items(), key=lambda item: (-item[1], item[0]))
    most = max(ranked[0][1], 1)
    yield f"concepts: {len(labels):,}"
    names = [f"  {short(name)}" for name, _ in ranked[:SHOWN]]
    widest = max(map(width, names))
    number = max(len(f"{count:,}") for _, count in ranked[:SHOWN])
    for name, (_, count) in zip(names, ranked, strict=False):
        bar = "#" * -(-_BAR * count // most)
        share = f"{_share(count, total):>7}" if total else ""
        yield f"{name}{' ' * (widest - width(name))}  {count:>{number},}  {share}  {bar}".rstrip()
    if len(ranked) > SHOWN:
        yield f"  ... and {len(ranked) - SHOWN:,} more" + fit("; all: --by concept")


def _oddities(metrics: Metrics, revision: str) -> Iterator[str]:
    """What somebody should look at."""
    counts, balance = metrics.counts, metrics.balance
    at = f" {word(revision)}" if revision else ""
    if counts["duplicate_inputs"]:
        text = f"{plural(counts['duplicate_inputs'], 'duplicate')}: inputs whose bytes an earlier one has"
        yield text + fit(f"; see: dsvc metrics{at} --duplicates")
    unused = sum(not found["positive_labels"] for found in metrics.concepts.values())
    if unused:
        yield f"{plural(unused, 'concept')} without a positive label"
    if balance.ratio is not None and balance.ratio >= _MANY:
        yield f"the most common concept has {balance.ratio:,.0f} times the labels of the rarest one"
    for name, one, text in (
        ("regions_without_size", "region", "in pixels in inputs whose size is not known"),
        ("boxes_out_of_bounds", "box", "beyond the picture"),
        ("empty_boxes", "box", "without width or height"),
    ):
        count = counts[name]
        if count:
            noun = one if count == 1 else "boxes" if one == "box" else f"{one}s"
            yield f"{count:,} {noun} {text}"


# ---- groups

_OF_INPUTS = (
    "inputs",
    "unlabeled_inputs",
    "annotations",
    "regions",
    "bounding_boxes",
    "polygons",
    "points",
    "masks",
    "frames",
)
_OF_CONCEPTS = ("inputs", "annotations", "negative_labels", "regions", "bounding_boxes", "polygons", "points", "masks")


def group_lines(metrics: Metrics) -> Iterator[str]:
    """The numbers of groups as a table, the largest group first."""
    groups = metrics.groups or {}
    first = "annotations" if metrics.by == "concept" else "inputs"
    names = _OF_CONCEPTS if metrics.by == "concept" else _OF_INPUTS
    columns = [name for name in names if any(found[name] for found in groups.values()) or name == first]
    ranked = sorted(groups, key=lambda name: (-groups[name][first], name))
    rows = [(shown(metrics.by or ""), *(name.replace("_", " ") for name in columns))]
    rows += [(short(name), *(f"{groups[name][column]:,}" for column in columns)) for name in ranked[:ROWS]]
    yield from table(rows, right=range(1, len(columns) + 1))
    if len(ranked) > ROWS:
        yield f"... and {len(ranked) - ROWS:,} more; all: --json"


# ---- two


def comparison_lines(found: Comparison, by: str | None) -> Iterator[str]:
    """What differs, with signs."""
    yield from table(_differences(found.counts), right=(1, 2, 3))
    sections = [("concepts", found.concepts, ("positive_labels", "annotations"))]
    if by is not None and by != "concept":
        sections.append((f"by {by}", found.groups, ("inputs", "annotations")))
    for title, groups, columns in sections:
        rows = [
            (f"  {short(name)}", *row)
            for name, differences in groups.items()
            for row in _differences({column: differences[column] for column in columns if column in differences})
        ]
        if rows:
            yield f"{shown(title)}:"
            yield from table(rows[:ROWS], right=(2, 3, 4))
        if len(rows) > ROWS:
            yield f"  ... and {len(rows) - ROWS:,} more; all: --json"


def _differences(found: Differences) -> list[tuple[str, str, str, str]]:
    apart = ("task_",)
    return [
        (name.replace("_", " "), f"{old:,}", f"{new:,}", f"{new - old:+,}")
        for name, (old, new) in found.items()
        if not name.startswith(apart)
    ]
