"""Fixtures that all tests share: a repository, small COCO files, and the corpus where it is at hand."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

import dsvc
from dsvc.core.dataset import Dataset
from dsvc.core.repository import Repository
from dsvc.model.commit import Author, Moment

sys.path.insert(0, str(Path(__file__).parent))  # for what tests of several folders share

CORPUS = Path(__file__).parents[2] / "shared" / "corpus"
AUTHOR = Author("Ada", "ada@example.org")


@pytest.fixture
def corpus() -> Path:
    if not CORPUS.is_dir():
        pytest.skip("../shared/corpus, the collection of real annotation files, is not here")
    return CORPUS


@pytest.fixture
def repo(tmp_path: Path) -> Repository:
    project = tmp_path / "project"
    repository = dsvc.init(project, author=AUTHOR)
    seconds = count(int(time.time()))
    repository.now = lambda: Moment(next(seconds))
    return repository


@pytest.fixture
def pets(repo: Repository) -> Dataset:
    return repo.create("pets", "cats and dogs")


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write a JSON document, or text or bytes as they are, to a file."""

    def write(content: Any, name: str = "file.json") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return path

    return write


@pytest.fixture
def coco() -> Callable[..., dict[str, Any]]:
    """A small COCO document; keyword arguments replace its top-level fields."""

    def coco(**fields: Any) -> dict[str, Any]:
        return {
            "info": {"year": 2024},
            "licenses": [{"id": 1, "name": "Free", "url": "u"}],
            "images": [
                {"id": 1, "file_name": "a.jpg", "width": 640, "height": 480, "license": 1},
                {"id": 2, "file_name": "b.jpg", "width": 320, "height": 240},
            ],
            "annotations": [
                {"id": 5, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4.5], "area": 13.5, "iscrowd": 0},
                {
                    "id": 6,
                    "image_id": 2,
                    "category_id": 3,
                    "bbox": [0, 0, 9, 9],
                    "area": 81,
                    "segmentation": [[0.5, 0.5, 9, 0, 9, 9.25], [1, 1, 2, 2, 3, 1]],
                },
            ],
            "categories": [{"id": 1, "name": "cat", "supercategory": "animal"}, {"id": 3, "name": "dog"}],
            **fields,
        }

    return coco


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A web server on loopback, see `loopback.Web`. Questions that go wrong in passing are asked again at once."""
    from loopback import serving

    from dsvc.core import web

    monkeypatch.setattr(web, "PAUSES", (0, 0))
    with serving() as server:
        yield server
