"""Two real files whose numbers all collide, merged: every annotation stays on its own image, with its own concept."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from dsvc.core.dataset import Dataset
from dsvc.core.repository import Repository

PARTS = {"train": "coco/roboflow_bccd_train.coco.json", "valid": "coco/roboflow_bccd_valid.coco.json"}


@pytest.fixture
def parts(repo: Repository, corpus: Path) -> dict[str, Dataset]:
    """A dataset of each file."""
    found = {}
    for name, file in PARTS.items():
        found[name] = repo.create(name)
        found[name].import_(corpus / file)
        found[name].commit(name)
    return found


def read(file: Path) -> dict[str, Any]:
    """A COCO file, in which 145 and 145.0 are one number."""
    document: dict[str, Any] = json.loads(file.read_text(), parse_int=float)
    return document


def sayings(document: dict[str, Any]) -> Counter[str]:
    """What a COCO file says of which image: the fields of every annotation, numbers as names."""
    images = {image["id"]: image["file_name"] for image in document["images"]}
    names = {category["id"]: category["name"] for category in document["categories"]}
    return Counter(
        json.dumps(
            {
                **{field: value for field, value in annotation.items() if field != "id"},
                "image_id": images[annotation["image_id"]],
                "category_id": names[annotation["category_id"]],
            },
            sort_keys=True,
        )
        for annotation in document["annotations"]
    )


def test_all_ids_collide_and_nothing_is_lost(parts: dict[str, Dataset], corpus: Path, tmp_path: Path) -> None:
    train, _ = parts.values()
    sources = [read(corpus / file) for file in PARTS.values()]
    numbers = [{image["id"] for image in source["images"]} for source in sources]
    assert numbers[1] < numbers[0]

    merged = train.merge("valid")
    assert (merged.kind, merged.conflicts, bool(merged.twins)) == ("merged", 0, False)
    assert train.at().counts() == {"inputs": 230, "annotations": 5417, "concepts": len(list(train.at().concepts()))}

    train.at().export("coco", tmp_path / "out")
    (file,) = (tmp_path / "out").rglob("*.json")
    document = read(file)
    for part in ("images", "annotations", "categories"):
        given = [one["id"] for one in document[part]]
        assert len(given) == len(set(given))
    assert (len(document["images"]), len(document["annotations"])) == (230, 5417)
    assert sayings(document) == sayings(sources[0]) + sayings(sources[1])
    named = {category["name"] for source in sources for category in source["categories"]}
    assert {category["name"] for category in document["categories"]} >= named


def test_merging_again_changes_nothing(parts: dict[str, Dataset]) -> None:
    train, valid = parts.values()
    head = train.merge("valid").commit
    assert train.merge("valid").kind == "up to date"
    assert train.head == head
    forward = valid.merge("train")
    assert (forward.kind, valid.head) == ("fast-forward", head)
    assert train.merge("valid").kind == "up to date"


def test_the_order_of_the_merge_is_no_matter(parts: dict[str, Dataset], repo: Repository) -> None:
    train, _ = parts.values()
    other = repo.create("other")
    other.merge("valid")
    other.merge("train")
    train.merge("valid")
    assert other.at().snapshot.roots == train.at().snapshot.roots


def test_the_client_of_coco_reads_it(parts: dict[str, Dataset], tmp_path: Path) -> None:
    coco = pytest.importorskip("pycocotools.coco")
    train, _ = parts.values()
    train.merge("valid")
    train.at().export("coco", tmp_path / "out")
    (file,) = (tmp_path / "out").rglob("*.json")
    client = coco.COCO(str(file))
    assert (len(client.getImgIds()), len(client.getAnnIds())) == (230, 5417)
    assert sum(len(client.getAnnIds(imgIds=[image])) for image in client.getImgIds()) == 5417
