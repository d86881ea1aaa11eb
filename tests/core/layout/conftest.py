"""A dataset of a few pictures with boxes, and the look of a folder."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dsvc.core.dataset import Dataset
from dsvc.core.repository import Repository

Look = Callable[..., dict[str, bytes]]


@pytest.fixture
def root(repo: Repository) -> Path:
    assert repo.root is not None
    return repo.root


@pytest.fixture
def picture() -> Callable[[str], bytes]:
    """The bytes of a file that begins like a JPEG."""
    return lambda text: b"\xff\xd8\xff" + text.encode()


@pytest.fixture
def dataset(pets: Dataset, root: Path, picture: Callable[[str], bytes]) -> Dataset:
    """Inputs a.jpg, b.jpg and deep/c.jpg, with a box each, committed."""
    incoming = root / "incoming"
    for name in ("a.jpg", "b.jpg", "deep/c.jpg"):
        (incoming / name).parent.mkdir(parents=True, exist_ok=True)
        (incoming / name).write_bytes(picture(name))
    document = {
        "images": [
            {"id": n, "file_name": name, "width": 64, "height": 48}
            for n, name in enumerate(("a.jpg", "b.jpg", "deep/c.jpg"), 1)
        ],
        "annotations": [
            {"id": n, "image_id": n, "category_id": 1, "bbox": [n, 2, 10, 10], "area": 100, "iscrowd": 0}
            for n in (1, 2, 3)
        ],
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
    }
    (incoming / "pets.json").write_text(json.dumps(document))
    pets.import_(incoming / "pets.json", images=incoming)
    pets.commit("first")
    return pets


@pytest.fixture
def look(root: Path) -> Look:
    """The files of a folder with their bytes, but for the mark; annotation files too when that is asked for."""

    def look(folder: str = "pets", annotations: bool = False) -> dict[str, bytes]:
        found = {
            path.relative_to(root / folder).as_posix(): path.read_bytes()
            for path in (root / folder).rglob("*")
            if path.is_file() and path.name not in (".dsvc-export", ".gitignore")
        }
        return {name: data for name, data in found.items() if annotations or name.startswith(("images/", "media/"))}

    return look


@pytest.fixture
def document(root: Path) -> Callable[..., dict[str, Any]]:
    """The annotation file of a folder, parsed."""
    return lambda folder="pets": json.loads((root / folder / "annotations/instances.json").read_bytes())


@pytest.fixture
def change(dataset: Dataset, root: Path, picture: Callable[[str], bytes]) -> Callable[..., None]:
    """Give inputs other bytes, or take them away, and commit."""

    def change(message: str = "change", gone: tuple[str, ...] = (), **files: str) -> None:
        incoming = root / "incoming"
        for name, text in files.items():
            path = incoming / f"{name.replace('__', '/')}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(picture(text))
            dataset.add(path, root=incoming)
        if gone:
            dataset.remove(*gone)
        dataset.commit(message)

    return change


def older(path: Path) -> None:
    """Make a file older than the clock's grain, so that its stamp is relied on."""
    os.utime(path, (1_600_000_000, 1_600_000_000))
