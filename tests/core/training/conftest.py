"""A dataset to train on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pictures import picture

from dsvc.core.dataset import Dataset


@pytest.fixture
def labelled(pets: Dataset, tmp_path: Path, write: Callable[..., Path], coco: Callable[..., dict[str, Any]]) -> None:
    """Two pictures with an annotation each, committed, and version v1."""
    for number, name in enumerate(("a.jpg", "b.jpg")):
        write(picture(color=number), f"images/{name}")
    with pets.edit() as draft:
        draft.import_(write(coco()), images=tmp_path / "images")
    pets.commit("first")
    pets.create_version("v1")
