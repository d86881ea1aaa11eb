"""Streams for Hugging Face's `datasets`: offline, in parts that processes share."""

import sys
from collections.abc import Callable
from typing import Any

import pytest

from dsvc.core.dataset import Dataset
from dsvc.errors import RefusedError, UsageError

from .conftest import encoded, flat, opened


@pytest.fixture
def datasets(monkeypatch: pytest.MonkeyPatch) -> Any:
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"):
        monkeypatch.setenv(name, "1")
    return pytest.importorskip("datasets", reason="needs the extra 'huggingface': pip install 'dsvc[huggingface]'")


def keys(examples: Any) -> list[str]:
    return [example["key"] for example in examples]


def test_examples_are_streamed(pictures: Dataset, datasets: Any) -> None:
    stream = opened(pictures).to_huggingface(split="val")
    assert isinstance(stream, datasets.IterableDataset)
    assert stream.features["label"].names == ["even", "odd"]
    found = list(stream)
    assert keys(found) == [f"{n}.png" for n in range(30, 40)]
    assert [example["label"] for example in found] == [0, 1] * 5
    assert [example["image"].getpixel((0, 0)) for example in found] == [(n, n, n) for n in range(30, 40)]
    assert found[0]["objects"] == {"bbox": [], "category": [], "area": [], "iscrowd": []}


def test_objects_are_those_of_the_input(shapes: Dataset, datasets: Any) -> None:
    example = next(iter(shapes.at().to_huggingface(where="key = 'b.png'", classes=["dog"])))
    assert example["label"] == 0
    objects = example["objects"]
    assert [list(box) for box in objects["bbox"]] == [[3, 4, 6, 2], [2, 2, 4, 4]]
    assert objects["category"] == [0, 0] and objects["iscrowd"] == [False, True]
    assert objects["area"] == pytest.approx([9.6, 7])


def test_what_is_no_image_comes_as_bytes(pets: Dataset, add: Callable[..., None], datasets: Any) -> None:
    add(pets, {"a.txt": b"hello", "b.png": encoded(flat(1))})
    found = list(pets.draft().to_huggingface())
    assert [(example["bytes"][:5], example["type"]) for example in found] == [
        (b"hello", "text/plain"),
        (b"\x89PNG\r", "image/png"),
    ]
    assert [example["label"] for example in found] == [None, None]


def test_processes_share_the_parts(pictures: Dataset, datasets: Any) -> None:
    from datasets.distributed import split_dataset_by_node

    stream = opened(pictures).to_huggingface(shards=6).remove_columns("image")
    parts = [keys(split_dataset_by_node(stream, rank, 3)) for rank in range(3)]
    expected = [f"{n:02d}.png" for n in range(40)]
    assert sorted(key for part in parts for key in part) == expected and min(map(len, parts)) >= 12
    shuffled = keys(stream.shuffle(seed=1, buffer_size=10))
    assert sorted(shuffled) == expected != shuffled


def test_workers_read_on_their_own(pictures: Dataset, datasets: Any) -> None:
    loading = pytest.importorskip("torch.utils.data", reason="needs the extra 'torch': pip install 'dsvc[torch]'")
    stream = opened(pictures).to_huggingface(shards=4).remove_columns(["image", "objects"])
    loader = loading.DataLoader(stream, num_workers=2, batch_size=None)
    assert sorted(keys(loader)) == [f"{n:02d}.png" for n in range(40)]


def test_what_makes_no_sense_is_refused(pictures: Dataset, datasets: Any) -> None:
    with pytest.raises(UsageError):
        pictures.at().to_huggingface(shards=0)
    with pytest.raises(UsageError, match="no concept 'ood'"):
        pictures.at().to_huggingface(classes=["ood"])
    with pytest.raises(RefusedError, match="no input matches"):
        pictures.at().to_huggingface(where="width > 1000")


def test_without_datasets_it_says_what_to_install(pictures: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(RefusedError, match="to_huggingface needs datasets") as caught:
        pictures.at().to_huggingface()
    assert caught.value.hint == "pip install 'dsvc[huggingface]'"
