"""Version control for machine-learning datasets that works the way Git works.

import dsvc

repo = dsvc.init(".")
pets = repo.create("pets", description="Cats and dogs")
with pets.edit() as draft:
    draft.add("images")
    draft.import_("instances.json")
pets.commit("first batch")
v1 = pets.create_version("v1")
v1.export("coco", "out")
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from dsvc.core.dataset import Dataset
    from dsvc.core.diffing.change import Change
    from dsvc.core.diffing.diff import Diff
    from dsvc.core.draft import Draft
    from dsvc.core.filters.patch import Patch
    from dsvc.core.queries.answer import Answer
    from dsvc.core.repository import Repository
    from dsvc.core.state import State
    from dsvc.errors import DsvcError
    from dsvc.model.commit import Author, Moment
    from dsvc.model.records import Annotation, Concept, Input, Mask, Media, Shape

__version__ = "0.1.0"

_PLACES = {
    "Annotation": "dsvc.model.records",
    "Answer": "dsvc.core.queries.answer",
    "Author": "dsvc.model.commit",
    "Change": "dsvc.core.diffing.change",
    "Concept": "dsvc.model.records",
    "Dataset": "dsvc.core.dataset",
    "Diff": "dsvc.core.diffing.diff",
    "Draft": "dsvc.core.draft",
    "DsvcError": "dsvc.errors",
    "Input": "dsvc.model.records",
    "Mask": "dsvc.model.records",
    "Media": "dsvc.model.records",
    "Moment": "dsvc.model.commit",
    "Patch": "dsvc.core.filters.patch",
    "Repository": "dsvc.core.repository",
    "Shape": "dsvc.model.records",
    "State": "dsvc.core.state",
}

__all__ = [
    "Annotation",
    "Answer",
    "Author",
    "Change",
    "Concept",
    "Dataset",
    "Diff",
    "Draft",
    "DsvcError",
    "Input",
    "Mask",
    "Media",
    "Moment",
    "Patch",
    "Repository",
    "Shape",
    "State",
    "__version__",
    "init",
    "open",
]


def open(path: str | Path = ".", author: Author | None = None, *, cache: str | Path | None = None) -> Repository:
    """The repository of a folder or of the nearest one above it; `author` signs. Raises NotRepositoryError.

    A URL, such as `s3://bucket/pets`, is a repository elsewhere, which is read straight from there and cannot be
    changed; `cache` is a folder for copies of its indexes and records: without, nothing is kept. Raises RemoteError.
    """
    from pathlib import Path

    if isinstance(path, str) and "://" in path:
        from dsvc.remote.direct import open_distant

        return open_distant(path, author, Path(cache) if cache is not None else None)
    from dsvc.core.repository import Repository
    from dsvc.remote.lazy import attach

    repository = Repository.open(Path(path), author)
    attach(repository)
    return repository


def init(path: str | Path = ".", author: Author | None = None) -> Repository:
    """Make a repository in a project folder. Raises RefusedError where one is."""
    from pathlib import Path

    from dsvc.core.repository import Repository

    return Repository.init(Path(path), author)


def __dir__() -> list[str]:
    return sorted(__all__)


def __getattr__(name: str) -> Any:
    # Names load their modules when they are first used, so that `import dsvc` costs next to nothing.
    if name in _PLACES:
        from importlib import import_module

        return getattr(import_module(_PLACES[name]), name)
    raise AttributeError(f"module 'dsvc' has no attribute {name!r}")
