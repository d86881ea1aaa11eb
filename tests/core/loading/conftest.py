"""What the tests of loading share: a dataset of small pictures with annotations of all kinds."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import dsvc
from dsvc.core.dataset import Dataset
from dsvc.core.repository import Repository
from dsvc.model.records import Annotation, Mask, Shape


def encoded(picture: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    out = io.BytesIO()
    picture.save(out, form, **options)
    return out.getvalue()


def flat(number: int, size: tuple[int, int] = (12, 8)) -> Image.Image:
    """A picture whose every pixel is its number."""
    return Image.fromarray(np.full((size[1], size[0], 3), number % 256, dtype=np.uint8))


@pytest.fixture
def add(repo: Repository) -> Callable[..., None]:
    """Add files, by key, to a dataset."""

    def add(dataset: Dataset, files: dict[str, bytes]) -> None:
        assert repo.root is not None
        root = repo.root / "files"
        for key, data in files.items():
            path = root / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        dataset.add(*[root / key for key in files], root=root)

    return add


@pytest.fixture
def pictures(pets: Dataset, add: Callable[..., None]) -> Dataset:
    """Forty pictures of classes `even` and `odd`, each in a split, with its number in its pixels; committed as v1."""
    add(pets, {f"{n:02d}.png": encoded(flat(n)) for n in range(40)})
    with pets.edit() as draft:
        for n in range(40):
            draft.annotate(Annotation(key=f"{n:02d}.png", id="", concept="odd" if n % 2 else "even"))
    pets.set(*[f"{n:02d}.png" for n in range(30)], split="train")
    pets.set(*[f"{n:02d}.png" for n in range(30, 40)], split="val")
    pets.commit("forty")
    pets.create_version("v1")
    return pets


@pytest.fixture
def shapes(pets: Dataset, add: Callable[..., None]) -> Dataset:
    """Two pictures of 12 x 8 pixels, the second of which has shapes of every kind; committed."""
    add(pets, {"a.png": encoded(flat(1)), "b.png": encoded(flat(2))})

    def note(id: str, concept: str | None, shape: Shape | None = None, **fields: Any) -> Annotation:
        return Annotation(key="b.png", id=id, concept=concept, shape=shape, **fields)

    notes = [
        note("01", "cat", Shape(box=(1, 2, 3, 4.5))),
        note("02", "dog", Shape(box=(0.25, 0.5, 0.5, 0.25), unit="relative", area=0.1)),
        note("03", "dog", Shape(polygons=((2, 2, 6, 2, 6, 6, 2, 6),), area=7), crowd=1),
        note("04", "cat", Shape(mask=Mask(height=8, width=12, counts=(8, 16, 72)))),
        note("05", "cat", keypoints=(1, 1, 2, 4, 5, 1, 0, 0, 0)),
        note("06", "cat", Shape(box=(3, 5, 2, 2))),
        note("07", "cat", Shape(box=(5, 5, 0, 2))),
        note("08", "cat", Shape(box=(5, 5, 1, 2)), value=0),
        note("09", None, Shape(box=(5, 5, 1, 2))),
        note("10", "dog"),
        note("11", "cat", value=0.25),
        note("12", "cat", value=0),
        note("13", "cat", point=(1, 1)),
        note("14", "cat", text="a cat", span=(0, 3)),
    ]
    with pets.edit() as draft:
        for one in notes:
            draft.annotate(one)
    pets.commit("shapes")
    return pets


def opened(dataset: Dataset, *, draft: bool = False) -> dsvc.State:
    """The committed state, or the draft, of a repository that is opened anew."""
    root = dataset.repository.root
    assert root is not None
    found = dsvc.open(Path(root)).dataset(dataset.name)
    return found.draft() if draft else found.at()
