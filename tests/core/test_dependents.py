"""What is damaged is named with what depends on it."""

import json
from pathlib import Path

import pytest

from dsvc.core.check import Damage, check
from dsvc.core.dataset import Dataset
from dsvc.model.commit import load_commit
from dsvc.store.ids import ObjectId


@pytest.fixture
def photos(pets: Dataset, write) -> Dataset:
    """Two commits: `b.txt` comes with the second, which is version v2."""
    root = pets.repository.root or Path()
    for name in ("a", "b"):
        write(name.encode() * 50, f"project/{name}.txt")
        with pets.edit() as draft:
            draft.add(root / f"{name}.txt")
        pets.annotate(f"{name}.txt", text=name)
        pets.commit(name)
    pets.create_version("v2", "two")
    return pets


def spoil(dataset: Dataset, id: ObjectId) -> None:
    """Flip a bit of the frame of an object."""
    repository = dataset.repository
    found = repository.store.state.catalog.find(id)
    assert found is not None and repository.root is not None
    path = repository.root / ".dsvc" / found.pack.name
    data = bytearray(path.read_bytes())
    data[found.entry.offset + 22] ^= 1
    path.write_bytes(data)
    repository.cache.__init__(folder=repository.cache.folder)  # type: ignore[misc]


def blob_of(dataset: Dataset, key: str) -> ObjectId:
    record = dataset.at().input(key)
    assert record is not None and record.media is not None and record.media.blob is not None
    return record.media.blob


def damaged(dataset: Dataset) -> Damage:
    (damage,) = check(dataset.repository).damage
    return damage


def test_media(photos: Dataset) -> None:
    second = photos.head
    assert second is not None
    spoil(photos, blob_of(photos, "b.txt"))
    found = damaged(photos)
    assert found.objects == {blob_of(photos, "b.txt")}
    assert found.needed.inputs == ("b.txt",) and found.needed.commits == (second,)
    assert found.needed.branches == ("pets:main",) and found.needed.versions == ("pets@v2",)
    assert found.needed.datasets == ("pets",)
    assert found.needed.words() == f"commit {second.short()}; pets:main, pets@v2; input b.txt"


def test_a_node_that_names_inputs(photos: Dataset) -> None:
    spoil(photos, photos.at().snapshot.roots.inputs)
    found = damaged(photos)
    assert found.needed.ranges == ("all inputs",) and found.needed.commits == (photos.head,)


def test_a_commit_and_what_comes_after_it(photos: Dataset) -> None:
    head = photos.head
    assert head is not None
    (first,) = load_commit(photos.repository.store, head).parents
    spoil(photos, first)
    found = damaged(photos)
    assert found.needed.commits == (first,) and found.needed.versions == ("pets@v2",)


def test_what_only_earlier_operations_need(photos: Dataset) -> None:
    blob = blob_of(photos, "b.txt")
    photos.repository.delete("pets")
    spoil(photos, blob)
    found = damaged(photos)
    assert not found.needed and found.needed.words() == ""


def test_a_lost_pack_is_told_once(photos: Dataset) -> None:
    repository = photos.repository
    found = repository.store.state.catalog.find(blob_of(photos, "b.txt"))
    assert found is not None and repository.root is not None
    (repository.root / ".dsvc" / found.pack.name).unlink()
    repository.store.backend.__init__(repository.root / ".dsvc")  # type: ignore[misc]
    damage = damaged(photos)
    assert damage.kind == "pack" and damage.text.endswith("does not exist; 2 objects in it cannot be read")
    assert damage.needed.inputs == ("a.txt", "b.txt")
    assert json.dumps(damage.needed.json())
