"""The metrics of real files are what a plain recount says: of the samples, of the file itself, of its export."""

import json
import zipfile
from collections import Counter
from itertools import combinations
from pathlib import Path

import pytest
from recount import recount, said

from dsvc.core.dataset import Dataset
from dsvc.errors import DsvcError

FILES = (
    "clarifai_coco10/annotations/instances_val2017_subset.json",
    "coco/datumaro_stuff_val.json",
    "coco/instances_val2014_100.json",
    "coco/labelformat_instances_with_binary_mask.json",
    "coco/labelformat_weird_filenames/train.json",
    "coco/lvis_val_100.json",
    "coco/mmdet_vis_sample.json",
    "coco/mmpose_coco_wholebody.json",
    "coco/roboflow_bccd_train.coco.json",
    "coco/roboflow_bccd_valid.coco.json",
)


@pytest.mark.parametrize("name", FILES)
def test_recount(pets: Dataset, corpus: Path, name: str) -> None:
    """Every number of every file, in all groupings."""
    pets.import_(corpus / name)
    state = pets.draft()
    for by in (None, "concept", "type", "split", "metadata.license"):
        assert said(state.metrics(by)) == recount(state, by)


@pytest.mark.parametrize("name", FILES)
def test_source(pets: Dataset, corpus: Path, name: str) -> None:
    """What a COCO file itself says."""
    pets.import_(corpus / name)
    metrics = pets.draft().metrics()
    file = json.loads((corpus / name).read_bytes())
    images, annotations = file["images"], file["annotations"]
    names = {category["id"]: category["name"] for category in file["categories"]}
    of_image: dict[object, set[str]] = {image["id"]: set() for image in images}
    for one in annotations:
        of_image[one["image_id"]].add(names[one["category_id"]])
    pairs = Counter(pair for found in of_image.values() for pair in combinations(sorted(found), 2))
    segmentations = [one.get("segmentation") for one in annotations]
    rings = sum(len(segmentation) for segmentation in segmentations if isinstance(segmentation, list))
    assert metrics.counts["inputs"] == len(images)
    assert metrics.counts["annotations"] == metrics.counts["positive_labels"] == len(annotations)
    assert metrics.counts["bounding_boxes"] == sum("bbox" in one for one in annotations)
    assert metrics.counts["polygons"] == rings
    assert metrics.counts["masks"] == sum(isinstance(one, dict) for one in segmentations)
    assert metrics.counts["unlabeled_inputs"] == sum(not found for found in of_image.values())
    assert {pair[:2]: pair[2] for pair in metrics.co_occurrence} == pairs
    labels = Counter(names[one["category_id"]] for one in annotations)
    assert {name: found["positive_labels"] for name, found in metrics.concepts.items() if any(found.values())} == labels


@pytest.mark.parametrize("name", FILES)
def test_export(pets: Dataset, corpus: Path, tmp_path: Path, name: str) -> None:
    """What Clarifai would count in what is exported."""
    pets.import_(corpus / name)
    state = pets.draft()
    counts = state.metrics().counts
    exported = count_archive(state, tmp_path / "out.zip")
    exported["regions_without_size"] = 0
    assert {name: counts[name] for name in exported} == exported


def count_archive(state, path: Path) -> dict[str, int]:
    state.export("clarifai-json", path)
    with zipfile.ZipFile(path) as archive:
        batches = [json.loads(archive.read(name)) for name in archive.namelist() if name != "mimetype"]
    found = dict.fromkeys(
        ("inputs", "regions", "bounding_boxes", "polygons", "points", "masks", "frames", "frame_inputs"), 0
    )
    found |= dict.fromkeys(("region_frames", "region_inputs", "unlabeled_inputs"), 0)
    found |= dict.fromkeys(("positive_input_tags", "positive_region_tags", "positive_frame_tags"), 0)
    for one in (one for batch in batches for one in batch["inputs"]):
        count_exported(one["data"], found)
    return found


def count_exported(data: dict, found: dict[str, int]) -> None:
    frames, segments = data.get("frames", []), data.get("timeSegments", [])
    below = [part.get("data", {}) for part in (*frames, *segments)]
    regions = [region for part in (data, *below) for region in part.get("regions", [])]
    found["inputs"] += 1
    found["regions"] += len(regions)
    found["region_inputs"] += bool(regions)
    found["frames"] += len(frames)
    found["frame_inputs"] += bool(frames)
    found["region_frames"] += sum(bool(frame["data"].get("regions")) for frame in frames)
    for region in regions:
        info = region["regionInfo"]
        for name, field in (
            *(("bounding_boxes", "boundingBox"), ("polygons", "polygon"), ("points", "point"), ("masks", "mask")),
        ):
            found[name] += field in info
    tags = {
        "input": positives(data),
        "region": sum(positives(region.get("data", {})) for region in regions),
        "frame": sum(positives(frame["data"]) for frame in frames),
    }
    for name, count in tags.items():
        found[f"positive_{name}_tags"] += count
    found["unlabeled_inputs"] += not any((*tags.values(), *map(positives, below)))


def positives(data: dict) -> int:
    return sum(concept["value"] > 0 for concept in data.get("concepts", []))


def test_all_files_are_named(corpus: Path, pets: Dataset) -> None:
    """No COCO file of the collection that can be imported is left out."""
    for path in sorted((corpus / "coco").rglob("*.json")):
        if str(path.relative_to(corpus)) not in FILES:
            with pytest.raises(DsvcError):
                pets.import_(path)
