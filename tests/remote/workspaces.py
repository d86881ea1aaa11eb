"""What the tests of remotes share: projects with a dataset, and what a place holds."""

from __future__ import annotations

import json
from pathlib import Path

import dsvc
from dsvc.core.check import check
from dsvc.core.dataset import Dataset
from dsvc.core.repository import Repository
from dsvc.model.commit import Author
from dsvc.remote.settings import Remote, add_remote
from dsvc.store.ids import ObjectId
from dsvc.store.local import LocalBackend

ADA = Author("Ada", "ada@example.org")


def project(folder: Path, images: int = 3, boxes: int = 4) -> Dataset:
    """A project with a dataset `pets` of small files and boxes on them, committed."""
    dataset = dsvc.init(folder, author=ADA).create("pets", "cats and dogs")
    (folder / "images").mkdir()
    for number in range(images):
        (folder / "images" / f"{number}.txt").write_bytes(f"{folder.name} {number}".encode() * 40)
    add_files(dataset)
    document = {
        "images": [{"id": n + 1, "file_name": f"images/{n}.txt", "width": 9, "height": 9} for n in range(images)],
        "annotations": [
            {"id": n * boxes + b + 1, "image_id": n + 1, "category_id": 1, "bbox": [b, 1, 2, 3], "area": 6}
            for n in range(images)
            for b in range(boxes)
        ],
        "categories": [{"id": 1, "name": "cat"}],
    }
    (folder / "pets.json").write_text(json.dumps(document))
    dataset.import_(folder / "pets.json")
    dataset.commit("first")
    return dataset


def add_files(dataset: Dataset) -> None:
    """Stage the folder of files."""
    root = dataset.repository.root
    assert root is not None
    with dataset.edit() as draft:
        draft.add(root / "images")


def say(dataset: Dataset, text: str, key: str = "images/0.txt") -> ObjectId:
    """A commit of one annotation more."""
    dataset.annotate(key, text=text)
    return dataset.commit(text).id


def head(dataset: Dataset) -> ObjectId:
    """The commit that the dataset's branch stands on."""
    assert dataset.head is not None
    return dataset.head


def clone(folder: Path, store: Path) -> tuple[Repository, Remote]:
    """A new repository that has the store as its remote."""
    repository = dsvc.init(folder, author=ADA)
    return repository, add_remote(repository, "origin", str(store))


def opened(store: Path) -> Repository:
    """A remote's folder as a repository."""
    return Repository(LocalBackend(store))


def is_whole(repository: Repository) -> bool:
    """Whether a check finds no damage; says what it found."""
    repository.store.refresh()
    damage = check(repository).damage
    assert damage == (), damage
    return True


def refs(repository: Repository, kind: str) -> list[tuple[str, ...]]:
    """The names of the refs of a kind."""
    return [ref[1:] for ref, _ in repository.view.list(kind)]
