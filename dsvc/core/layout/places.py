"""Where a version may be laid out: in a folder of its own, from which no data come."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from dsvc.core.files.tracking import Tracked, is_in, owner, tracked_folders
from dsvc.core.keys import display
from dsvc.errors import RefusedError

if TYPE_CHECKING:
    from dsvc.core.dataset import Dataset
    from dsvc.core.layout.folders import Checkout
    from dsvc.core.repository import Repository

_OTHER = "choose another folder"


def check_place(repository: Repository, path: str, known: Iterable[Checkout]) -> None:
    """Refuse a new folder that lies in another checkout, or holds one, or from which data come. Raises RefusedError."""
    for other in (one.folder for one in known if one.folder != path):
        if is_in(other, path) or is_in(path, other):
            what = "lies in" if is_in(path, other) else "holds"
            raise RefusedError(f"{display(path)} {what} {display(other)}, which is a checkout", _OTHER)
    for dataset in repository.datasets():
        tracked = tracked_folders(repository.workspace, dataset.name)
        for one in tracked:
            if is_in(one.folder, path):
                hint = f"{_OTHER}, or first: dsvc untrack {display(one.name)}"
                raise RefusedError(f"{display(one.name)} is tracked: {dataset.name} comes from there", hint)
        above = owner(tracked, path)
        if above is not None and _came_from(dataset, above, path):
            raise RefusedError(f"inputs of {dataset.name} came from {display(path)}, which is tracked", _OTHER)


def _came_from(dataset: Dataset, above: Tracked, path: str) -> bool:
    """Whether an input has the key of a file in a folder."""
    inputs = dataset.draft().snapshot.input_tree
    return next(inputs.prefix(above.key(f"{path}/").encode()), None) is not None
