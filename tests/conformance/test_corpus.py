"""Real datasets, exported, are read by Clarifai's own reader with every input, concept, region and point."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

pytest.importorskip("clarifai", reason="needs the extra 'conformance': pip install 'dsvc[conformance]'")

from dsvc.core.dataset import Dataset

IMAGES = {
    "clarifai_coco10/annotations/instances_val2017_subset.json": "clarifai_coco10/images",
    "coco/labelformat_weird_filenames/train.json": "coco/labelformat_weird_filenames/data",
}
FILES = [
    *IMAGES,
    "coco/datumaro_stuff_val.json",
    "coco/instances_val2014_100.json",
    "coco/labelformat_instances_with_binary_mask.json",
    "coco/lvis_val_100.json",
    "coco/mmdet_vis_sample.json",
    "coco/mmpose_coco_wholebody.json",
    "coco/roboflow_bccd_train.coco.json",
    "coco_invalid/datumaro_labels_val_no_bbox.json",
    "coco_invalid/mmdet_coco_wrong_format_sample.json",
    "panoptic/panoptic_coco_detection_format.json",
]


@pytest.fixture(scope="module")
def reader() -> ModuleType:
    place = Path(__file__).with_name("test_clarifai_reader.py")
    spec = importlib.util.spec_from_file_location("clarifai_reader_checks", place)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", FILES)
def test_the_real_reader_reads_real_datasets(
    pets: Dataset, corpus: Path, tmp_path: Path, reader: ModuleType, name: str
) -> None:
    images = IMAGES.get(name)
    pets.import_(corpus / name, images=corpus / images if images else None)
    pets.commit("first")
    reader.check_walk(pets.at(), tmp_path, media=images is not None)


def test_pictures_of_every_kind_go_inline(pets: Dataset, corpus: Path, tmp_path: Path, reader: ModuleType) -> None:
    pets.add(corpus / "images", root=corpus / "images")
    pets.commit("pictures")
    reader.check_walk(pets.at(), tmp_path, media=True)
