"""What is counted, by name. The reference, Metrics, says what each name means."""

from __future__ import annotations

from bisect import bisect_right

# Of an input by itself, or of all its annotations together.
INPUT_COLUMNS = (
    "inputs",
    "unlabeled_inputs",
    "unannotated_inputs",
    "inputs_with_metadata",
    "inputs_with_geo",
    "embeddings",
    "frames",
    "tracks",
    "region_inputs",
    "region_frames",
    "frame_inputs",
    "media_stored",
    "media_elsewhere",
    "media_absent",
    "media_bytes",
)
# Of an annotation.
ANNOTATION_COLUMNS = (
    "annotations",
    "positive_labels",
    "negative_labels",
    "regions",
    "bounding_boxes",
    "polygons",
    "points",
    "masks",
    "keypoints",
    "spans",
    "positive_input_tags",
    "positive_region_tags",
    "positive_frame_tags",
    "positive_segment_tags",
    "crowds",
    "small_boxes",
    "medium_boxes",
    "large_boxes",
    "boxes_of_unknown_size",
    "empty_boxes",
    "boxes_out_of_bounds",
    "regions_without_size",
)
TASKS = ("boxes", "polygons", "masks", "keypoints", "points", "texts", "spans", "classes")
TASK_COLUMNS = tuple(f"task_{name}" for name in TASKS)
STATED = (*ANNOTATION_COLUMNS, *TASK_COLUMNS)
COLUMNS = (*INPUT_COLUMNS, *STATED)
# Of a concept: the inputs that have it, and its annotations.
CONCEPT_COLUMNS = ("inputs", *STATED)
BOX_SIZES = {
    "small": "small_boxes",
    "medium": "medium_boxes",
    "large": "large_boxes",
    "unknown": "boxes_of_unknown_size",
}

# Inputs by how many of these they have, and so on. The order is that of the numbers in what is kept.
HISTOGRAMS = (
    "annotations_count",
    "concepts_count",
    "bounding_boxes_count",
    "polygons_count",
    "points_count",
    "masks_count",
    "pixels_count",
    "aspect_ratio",
    "box_aspect_ratio",
    "region_location",
)
COUNTED = HISTOGRAMS[:6]
GRID = 10  # rows and columns of the matrix of locations
UNKNOWN = -1  # in a histogram
# Width over height; what is at a limit belongs to the range that begins there.
RATIOS = (0.25, 0.5, 2 / 3, 0.9, 10 / 9, 1.5, 2.0, 4.0)
MAX_PIXEL_RANGE = 62
# Square pixels, from COCO.
SMALL, LARGE = 32.0**2, 96.0**2
# An input of more concepts takes no part in the pairs: there would be too many.
MAX_PAIRED = 256
NONE = "(none)"


def ratio_range(number: int) -> tuple[float | None, float | None]:
    """From where, and below what, the ratios of a range lie; None for no limit."""
    low = RATIOS[number - 1] if number else None
    return low, RATIOS[number] if number < len(RATIOS) else None


def ratio_number(ratio: float) -> int:
    """The number of the range of a ratio."""
    return bisect_right(RATIOS, ratio)


def pixel_range(number: int) -> tuple[int, int]:
    """From where, and below what, the pixels of a range lie: 2^n and 2^(n+1), and below 1 for the first."""
    return (1 << number, 2 << number) if number else (0, 2)
