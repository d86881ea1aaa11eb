"""Samples by index, as far as they need no PyTorch: in this process and in others."""

import multiprocessing
import os
import pickle
import shutil
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from loading_workers import read_all, read_of_parent

import dsvc
from dsvc.core.dataset import Dataset
from dsvc.core.loading.entries import choose
from dsvc.core.loading.samples import Samples
from dsvc.core.purging.sweeping import bury, sweep
from dsvc.core.repository import Repository
from dsvc.errors import (
    DamagedError,
    FilterError,
    NotFoundError,
    NotRepositoryError,
    PurgedError,
    RefusedError,
    UsageError,
)
from dsvc.store.memory import MemoryBackend

from .conftest import encoded, flat, opened


def samples(state: Any, split: Any = None, where: str | None = None, **options: Any) -> Samples:
    entries = choose(state.snapshot, split=split, where=where)
    return Samples(state, entries, **{"decode": "bytes", "target": "label", **options})


# ---- by index


def test_the_kth_is_that_of_the_kth_key(pictures: Dataset) -> None:
    data = samples(pictures.at("v1"))
    assert len(data) == 40 and data.classes == ("even", "odd")
    for at in (0, 7, 39, -1, -40):
        item, place = data[at], at % 40
        assert item == {"key": f"{place:02d}.png", "bytes": encoded(flat(place)), "target": place % 2}
        assert data.key(at) == item["key"]
    for at in (40, -41):
        with pytest.raises(IndexError):
            data[at]
    assert [item["target"] for item in data.__getitems__([3, 2, -1])] == [1, 0, 1]
    assert len(list(data)) == 40  # as a sequence


@pytest.mark.parametrize(
    "split, where, places",
    [
        ("val", None, range(30, 40)),
        (["val", "train"], None, range(40)),
        (None, "concept = 'odd'", range(1, 40, 2)),
        ("val", "concept = 'odd'", range(31, 40, 2)),
    ],
)
def test_inputs_are_chosen(pictures: Dataset, split: Any, where: str | None, places: range) -> None:
    data = samples(pictures.at("v1"), split, where)
    assert [item["key"] for item in data] == [f"{place:02d}.png" for place in places]
    assert [item["target"] for item in data] == [place % 2 for place in places]


def test_what_is_not_there_is_refused(pictures: Dataset) -> None:
    v1 = pictures.at("v1")
    with pytest.raises(RefusedError, match="no input has split 'test'") as caught:
        samples(v1, "test")
    assert caught.value.hint == "there is: train, val"
    with pytest.raises(RefusedError, match="no input matches"):
        samples(v1, where="width > 1000")
    with pytest.raises(FilterError):
        samples(v1, where="widht > 1000")
    for wrong in ({"decode": "jpeg"}, {"target": "box"}, {"on_error": "ignore"}, {"classes": ["evn"]}):
        with pytest.raises(UsageError):
            samples(v1, **wrong)
    with pytest.raises(UsageError, match="twice"):
        samples(v1, classes=["odd", "odd"])


def test_classes_are_those_that_are_named(pictures: Dataset) -> None:
    data = samples(pictures.at("v1"), classes=["odd"])
    assert [data[at]["target"] for at in range(4)] == [-1, 0, -1, 0]


def test_an_empty_dataset_has_no_samples(pets: Dataset) -> None:
    assert len(samples(pets.draft())) == 0 and list(samples(pets.draft()).sampler()) == []


def test_a_draft_is_what_it_was(pictures: Dataset) -> None:
    """Later edits change nothing of what is loaded."""
    with pictures.edit() as draft:
        draft.remove_inputs(["00.png"])
    data = samples(pictures.draft())
    pictures.remove("01.png")
    pictures.discard()
    assert len(data) == 39 and data[0] == {"key": "01.png", "bytes": encoded(flat(1)), "target": 1}


def test_what_is_no_image_comes_as_bytes(pets: Dataset, add: Callable[..., None]) -> None:
    add(pets, {"a.txt": b"hello", "b.png": encoded(flat(3))})
    data = samples(pets.draft(), decode="image")
    assert data[0] == {"key": "a.txt", "bytes": b"hello", "target": -1}
    assert data[1]["image"].getpixel((0, 0)) == (3, 3, 3)


def test_big_media_is_read(pets: Dataset, add: Callable[..., None]) -> None:
    big = bytes(range(256)) * (80 << 10)
    add(pets, {"big.bin": big})
    assert samples(pets.draft())[0]["bytes"] == big


# ---- media that is not there


def test_media_that_is_absent_is_named(pets: Dataset, coco: Callable[..., Any], write: Callable[..., Path]) -> None:
    pets.import_(write(coco()))
    data = samples(pets.draft())
    with pytest.raises(NotFoundError, match=r"a\.jpg"):
        data[0]
    with pytest.raises(RefusedError, match=r"2 of 2 inputs have no media: a\.jpg, b\.jpg"):
        choose(pets.draft().snapshot).require_media()


def test_media_that_was_purged_is_named(pictures: Dataset) -> None:
    media = pictures.at("v1")["07.png"].input.media
    assert media is not None and media.blob is not None
    data = samples(pictures.at("v1"))
    bury(pictures.repository, {media.blob: 9}, "they asked", "purge")
    sweep(pictures.repository, {media.blob})
    with pytest.raises(PurgedError, match=r"07\.png: .*they asked"):
        data[7]
    assert data[8]["target"] == 0


def test_media_is_found_where_it_lies_by_now(pictures: Dataset) -> None:
    """Packs are rewritten while somebody reads."""
    data, repository = samples(opened(pictures)), pictures.repository
    expected = [data[at] for at in range(40)]
    assert repository.root is not None
    before = set((repository.root / ".dsvc" / "packs").iterdir())
    media = pictures.at("v1")["07.png"].input.media
    assert media is not None and media.blob is not None
    bury(repository, {media.blob: 9}, "they asked", "purge")
    sweep(repository, {media.blob})
    assert before - set((repository.root / ".dsvc" / "packs").iterdir())
    again = pickle.loads(pickle.dumps(data))
    assert [again[at] for at in range(40) if at != 7] == expected[:7] + expected[8:]


def test_media_that_is_damaged_is_named(pictures: Dataset) -> None:
    data, root = samples(opened(pictures)), pictures.repository.root
    assert root is not None
    damaged = 0
    for pack in (root / ".dsvc" / "packs").iterdir():
        content = pack.read_bytes()
        at = content.find(encoded(flat(9)))
        if at >= 0:
            damaged += 1
            pack.chmod(0o644)
            pack.write_bytes(content[: at + 20] + b"?" + content[at + 21 :])
    assert damaged == 1
    with pytest.raises(DamagedError, match=r"^09\.png: blob "):
        data[9]


def test_references_are_read(pets: Dataset, repo: Repository, add: Callable[..., None]) -> None:
    place = repo.root / "elsewhere" / "a.bin"
    place.parent.mkdir()
    place.write_bytes(b"there")
    pets.add_references(place)
    data = samples(pets.draft())
    assert data[0]["bytes"] == b"there"
    place.unlink()
    with pytest.raises(RefusedError, match=r"^elsewhere/a\.bin: .* is not there"):
        data[0]


def test_what_cannot_be_decoded_is_named_or_left_out(pets: Dataset, add: Callable[..., None]) -> None:
    whole = encoded(flat(9, (40, 40)))
    add(pets, {"a.png": whole, "b.png": whole[:60], "c.png": encoded(flat(2))})
    with pytest.raises(RefusedError, match=r"b\.png: cannot be decoded") as caught:
        samples(pets.draft(), decode="image")[1]
    assert caught.value.hint == "see all that cannot be decoded: dsvc check --media"
    data = samples(pets.draft(), decode="image", on_error="skip")
    with pytest.warns(UserWarning, match=r"left out: b\.png"):
        batch = data.__getitems__([0, 1, 2])
    assert [item["key"] for item in batch] == ["a.png", "c.png"]
    with warnings.catch_warnings():  # it is told once
        warnings.simplefilter("error")
        assert len(data.__getitems__([1, 2])) == 1
    with pytest.raises(RefusedError, match=r"b\.png"):
        data.__getitems__([1])


# ---- other processes


def test_it_is_pickled_before_and_after_it_is_used(pictures: Dataset) -> None:
    data = samples(opened(pictures).repository.at("pets@v1"))
    for _ in range(2):
        copy = pickle.loads(pickle.dumps(data))
        assert copy[5] == data[5] and len(copy) == 40


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_read_on_their_own(pictures: Dataset, method: str) -> None:
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {method} here")
    data = samples(opened(pictures), "train", target=("label", "ids", "annotations"))
    expected = [data[at] for at in range(len(data))]
    with multiprocessing.get_context(method).Pool(2) as pool:
        halves = pool.starmap(read_all, [(data, range(15)), (data, range(15, 30))])
    assert halves[0] + halves[1] == expected


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork here")
def test_a_forked_process_shares_no_open_file(pictures: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    data = samples(opened(pictures))
    monkeypatch.setattr("loading_workers.PARENTS", [data])
    expected = data[5]
    with multiprocessing.get_context("fork").Pool(1) as pool:
        first, second = pool.map(read_of_parent, [5, 5])
    assert first[:2] == (expected, True) and second[:2] == (expected, False)
    assert first[2] == second[2] != os.getpid()


def test_a_repository_that_is_gone_is_named(pictures: Dataset, tmp_path: Path) -> None:
    data = samples(opened(pictures))
    root = pictures.repository.root
    assert root is not None
    sent = pickle.dumps(data)
    dsvc.init(root.parent, author=pictures.repository.author)  # which is not the one
    shutil.rmtree(root)
    with pytest.raises(NotRepositoryError, match="is no more"):
        pickle.loads(sent)[0]


def test_a_repository_in_memory_stays_in_its_process() -> None:
    dataset = Repository.create_in(MemoryBackend()).create("pets")
    data = samples(dataset.draft())
    assert len(data) == 0
    with pytest.raises(RefusedError, match="another one cannot open it"):
        pickle.dumps(data)


def test_a_repository_at_a_url_is_opened_again(pictures: Dataset) -> None:
    root = pictures.repository.root
    assert root is not None
    data = samples(dsvc.open((root / ".dsvc").as_uri()).at("pets@v1"))
    assert pickle.loads(pickle.dumps(data))[5] == data[5]
    assert [item["target"] for item in data.__getitems__([1, 2])] == [1, 0]


def test_without_pytorch_it_says_what_to_install(pictures: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(RefusedError, match="to_torch needs PyTorch") as caught:
        pictures.at("v1").to_torch()
    assert caught.value.hint == "pip install 'dsvc[torch]'"
