"""What tests of tracked folders share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from project_files import put

import dsvc
from dsvc.core.dataset import Dataset
from dsvc.core.files import reading


@pytest.fixture
def root(pets: Dataset) -> Path:
    """The project folder of `pets`."""
    assert pets.repository.root is not None
    return pets.repository.root


@pytest.fixture
def fresh(root: Path, pets: Dataset) -> Callable[..., Dataset]:
    """Open a dataset anew, as another process would."""

    def fresh(name: str = "pets") -> Dataset:
        return dsvc.open(root, author=pets.repository.author).dataset(name)

    return fresh


@pytest.fixture
def data(root: Path, pets: Dataset) -> Path:
    """The folder `data`, tracked, with a.jpg, b.jpg and sub/c.jpg, all of them committed."""
    put(root, "data/a.jpg", "data/b.jpg", "data/sub/c.jpg")
    pets.add(root / "data")
    pets.commit("first")
    return root / "data"


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The names of the files that are read, as they are."""
    found: list[str] = []
    real = reading._open

    def opened(path: str) -> int:
        found.append(Path(path).name)
        return real(path)

    monkeypatch.setattr(reading, "_open", opened)
    yield found


@contextmanager
def nothing_read(reads: list[str]) -> Iterator[None]:
    reads.clear()
    yield
    assert reads == []
