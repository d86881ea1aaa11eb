"""A dataset to evaluate on, and a way to say what a results file holds."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dsvc.core.dataset import Dataset
from dsvc.errors import DsvcError, InvalidRecordsError

Record = dict[str, Any]
CAT = {"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4.5], "score": 0.9}
DOG = {"image_id": 2, "category_id": 3, "bbox": [0, 0, 9, 9], "score": 0.8}


@pytest.fixture
def labelled(pets: Dataset, write: Callable[..., Path], coco: Callable[..., dict[str, Any]]) -> Dataset:
    """Dataset pets with a version v1: a cat with a box on a.jpg (1), a dog with polygons on b.jpg (2)."""
    with pets.edit() as draft:
        draft.import_(write(coco()))
    pets.commit("all")
    pets.create_version("v1")
    return pets


@pytest.fixture
def refused(labelled: Dataset, write: Callable[..., Path]) -> Iterator[Callable[..., DsvcError]]:
    """The error of an evaluation of what a file holds, which leaves no trace."""

    def refused(content: Any, error: type[DsvcError] = InvalidRecordsError, **options: Any) -> Any:
        before = labelled.repository.store.head
        with pytest.raises(error) as found:
            labelled.evaluate("pets@v1", write(content, "results.json"), **options)
        labelled.repository.store.refresh()
        assert labelled.repository.store.head == before
        return found.value

    yield refused
