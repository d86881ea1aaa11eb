"""A small repository of everything: what the fuzzer changes."""

from __future__ import annotations

import json
import random
from itertools import count
from pathlib import Path
from typing import Any

from dsvc.core.dataset import Dataset
from dsvc.core.repository import Repository
from dsvc.model.commit import Author, Moment
from dsvc.model.records import Annotation, Mask, Shape
from dsvc.store.memory import MemoryBackend

ADA, BOB = Author("Ada", "ada@example.org"), Author("Bob")
BOXES = 150  # more than one leaf holds


def sample_repository(folder: Path) -> MemoryBackend:
    """Two datasets with media, sources, branches, a merge with conflicts, versions, a draft, an undone step."""
    repository = Repository.create_in(MemoryBackend(), None, ADA)
    seconds = count(4_102_444_800)  # after any clock that a test meets
    repository.now = lambda: Moment(next(seconds), 60)
    pets = repository.create("pets", "cats and dogs")
    fill(pets, folder)
    pets.commit("first batch")
    pets.create_version("v1", "as it came")
    pets.create_branch("side")
    side = repository.dataset("pets", "side")
    for dataset, concept, split in ((pets, "dog", "train"), (side, "lynx", "val")):
        with dataset.edit() as draft:
            draft.change_annotation("images/0.txt", "one", {"concept": concept})
        dataset.set("images/1.txt", split=split, metadata={"camera": concept})
        dataset.commit(f"a {concept}")
    pets.merge("pets:side")
    more = repository.create("more")
    more.merge("pets@v1", where="key = 'images/1.txt'")
    more.annotate("images/1.txt", "cow", text="staged")
    pets.annotate("images/2.txt", "cat", text="undone")
    repository.undo()
    backend: Any = repository.store.backend
    return backend


def fill(dataset: Dataset, folder: Path) -> None:
    """Media, a COCO file with boxes, polygons and a mask, and annotations of all other kinds."""
    (folder / "images").mkdir(parents=True)
    noise = random.Random(5)
    for number in range(4):
        data = noise.randbytes(3000) if number == 3 else f"text {number} ".encode() * 60
        (folder / "images" / f"{number}.txt").write_bytes(data)
    with dataset.edit() as draft:
        draft.add(folder / "images", root=folder)
    ring = [noise.randrange(1000) / 8 for _ in range(3000)]  # a value that lies outside its leaf
    document = {
        "info": {"year": 2024},
        "images": [{"id": n + 1, "file_name": f"images/{n}.txt", "width": 90, "height": 80} for n in range(4)],
        "categories": [{"id": 1, "name": "cat", "supercategory": "animal", "keypoints": ["nose", "tail"]}],
        "annotations": [
            {"id": n + 1, "image_id": n % 4 + 1, "category_id": 1, "bbox": [n, 1, 2, 3.5], "area": 7, "score": n / 8}
            for n in range(BOXES)
        ]
        + [{"id": 900, "image_id": 1, "category_id": 1, "segmentation": [ring], "keypoints": [1, 2, 2, 3, 4, 1]}],
    }
    path = folder / "pets.json"
    path.write_text(json.dumps(document))
    dataset.import_(path)
    parts: list[dict[str, Any]] = [
        {"shape": Shape(box=(1, 2, 3, 4), unit="pixel"), "concept": "cat"},
        {"shape": Shape(mask=Mask(height=2, width=2, counts=(1, 2, 1)))},
        {"text": "hello", "span": (1, 4), "attributes": {"color": "red", "deep": {"a": [1, 2.5, None]}}},
        {"time": (0.5, 2.5), "track": 7, "frame": 3, "value": 0.25, "status": "done", "author": "Ada"},
        {"point": (3, 4), "crowd": 1, "keypoints": (1, 2, 2)},
    ]
    with dataset.edit() as draft:
        for id, fields in zip(("one", "two", "three", "four", "five"), parts, strict=True):
            draft.annotate(Annotation(key="images/0.txt", id=id, **fields))
