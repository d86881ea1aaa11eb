"""Media that is not here: in order where it was purged or a remote has it, else damage. None is fetched to check."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from dsvc.core.check import check
from dsvc.core.dataset import Dataset
from dsvc.core.repository import Repository
from dsvc.core.transaction import Refs
from dsvc.model.commit import Moment
from dsvc.model.view import TombstoneRef, tombstone_of
from dsvc.store.ids import ObjectId


@pytest.fixture
def photos(pets: Dataset, write) -> Dataset:
    for name in ("a", "b", "c"):
        write(name.encode() * 50, f"project/{name}.txt")
    with pets.edit() as draft:
        draft.add(*((pets.repository.root or Path()) / f"{name}.txt" for name in ("a", "b", "c")))
    pets.commit("three")
    return pets


def blobs(dataset: Dataset) -> list[ObjectId]:
    return [record.media.blob for record in dataset.at().inputs() if record.media and record.media.blob]


def lose(repository: Repository, gone: Iterable[ObjectId]) -> None:
    """Take blobs out of the index, as a clone without media never has them."""
    gone, found = set(gone), type(repository.store.state.catalog).find
    catalog = repository.store.state.catalog
    catalog.find = lambda id, *rest: None if id in gone else found(catalog, id, *rest)  # type: ignore[method-assign]


class Remote:
    """A remote's index."""

    def __init__(self, ids: Iterable[ObjectId]) -> None:
        self.ids = set(ids)

    def has(self, id: ObjectId) -> bool:
        return id in self.ids

    def fetch(self, ids: Iterable[ObjectId]) -> None:
        raise AssertionError("fetched")


def bury(repository: Repository, blob: ObjectId) -> None:
    assert repository.author is not None
    stone = TombstoneRef("they asked", repository.author, Moment(1), 50)

    def change(refs: Refs) -> None:
        refs.set(tombstone_of(blob), stone)

    repository.change("purge", change)


def test_absent_media_is_damage_unless_a_remote_has_it_or_it_was_purged(photos: Dataset) -> None:
    repository = photos.repository
    a, b, c = blobs(photos)
    bury(repository, a)
    lose(repository, (a, b, c))
    repository.store.elsewhere = Remote([b])  # type: ignore[assignment]
    report = check(repository)
    assert (report.purged, report.elsewhere) == (1, 1)
    assert [(found.kind, found.text) for found in report.damage] == [
        ("blob", "the bytes of input 'c.txt' are missing"),
    ]
    repository.store.elsewhere = Remote([b, c])  # type: ignore[assignment]
    report = check(repository)
    assert (report.purged, report.elsewhere, report.damage, report.findings) == (1, 2, (), ())


def test_absent_media_is_not_fetched_to_be_decoded(photos: Dataset) -> None:
    repository = photos.repository
    a, b, _ = blobs(photos)
    lose(repository, (a, b))
    repository.store.elsewhere = Remote([a, b])  # type: ignore[assignment]
    report = check(repository, media=True)
    assert report.damage == report.findings == ()
    assert report.notes == ("2 files were not decoded, since their bytes are not here",)
