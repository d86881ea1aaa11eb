"""Laying versions out in folders of the project, and keeping these folders current."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from dsvc.core.keys import display
from dsvc.core.layout import folders
from dsvc.core.layout.folders import MEDIA, Checkout, remembered
from dsvc.core.layout.ground import checkout_folder
from dsvc.core.layout.places import check_place
from dsvc.core.layout.record import Records
from dsvc.core.layout.updating import FolderUpdate, lay_out
from dsvc.core.revisions import Revision, resolve
from dsvc.errors import DsvcError, NotFoundError, RefusedError, RemoteError, UsageError

if TYPE_CHECKING:
    from dsvc.core.dataset import Dataset
    from dsvc.core.repository import Repository
    from dsvc.model.incoming import Progress

MAIN = "main"


def checkout(
    repository: Repository,
    revision: str,
    folder: str | Path | None = None,
    *,
    format: str | None = None,
    where: str | None = None,
    link: bool | None = None,
    team: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> FolderUpdate:
    """Lay a revision out in a folder of the project, and remember that. A folder that is one already is brought there.

    Without a folder, it is the dataset's only one, else one of its name. What is not given stays as it was, or is
    COCO, all inputs, copies. Raises NotFoundError, UsageError, RefusedError, FilterError.
    """
    root = _root(repository)
    found, text = _named(repository, revision)
    if found.commit is None:
        raise RefusedError(f"{found.dataset} has no commit yet", "dsvc add PATH, then dsvc commit -m TEXT")
    known = remembered(repository.workspace)
    path = checkout_folder(root, Path(folder)) if folder is not None else _only(known, found.dataset, text)
    before = next((one for one in known if one.folder == path), None)
    if format is not None and format not in MEDIA:
        raise UsageError(f"no layout has the format {format!r}", f"there is: {', '.join(MEDIA)}")
    one = Checkout(
        path,
        text,
        format or (before.format if before else "coco"),
        where if where is not None else before.where if before else None,
        link if link is not None else before.link if before else False,
        team or (before.team if before else False),
    )
    if before is None:
        check_place(repository, path, known)

    def begin() -> None:  # noted first, so that a run that is killed can be finished
        if one != before:
            folders.remember(repository.workspace, one)

    return lay_out(repository, one, found, restore=True, dry_run=dry_run, begin=begin, progress=progress)


def checkout_all(
    repository: Repository, *, dry_run: bool = False, progress: Progress | None = None
) -> list[FolderUpdate]:
    """Bring all folders that are laid out to what they are to hold; files that are missing come back."""
    _root(repository)
    found = remembered(repository.workspace)
    return [_updated(repository, one, restore=True, dry_run=dry_run, progress=progress) for one in found]


def update_folders(
    repository: Repository, datasets: Iterable[str] | None = None, progress: Progress | None = None
) -> list[FolderUpdate]:
    """Bring the folders of datasets, by default of all, to where what they follow stands by now.

    Only files that differ are touched; files that were changed here are left alone. What cannot be done at all is
    said of a folder, and stops no other. Folders of which there is nothing new are not in the result.
    """
    if repository.root is None or not folders.are_remembered(repository.workspace):
        return []
    wanted = set(datasets) if datasets is not None else None
    found = [one for one in remembered(repository.workspace) if wanted is None or one.dataset in wanted]
    updates = [_updated(repository, one, progress=progress) for one in found]
    return [one for one in updates if one.is_changed or (one.is_news and not one.is_whole)]


def forget_folder(repository: Repository, folder: str | Path, *, team: bool = False) -> Checkout:
    """Keep a folder current no more; its files stay. Raises NotFoundError."""
    found = folders.forget(repository.workspace, checkout_folder(_root(repository), Path(folder)), team)
    Records(repository, found.folder).drop()
    return found


def _updated(
    repository: Repository,
    one: Checkout,
    *,
    restore: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> FolderUpdate:
    try:
        revision = revision_of(repository, one)
        if revision.commit is None:
            return FolderUpdate(one)
        if not Records(repository, one.folder).load().layers:  # one that somebody else has named
            check_place(repository, one.folder, remembered(repository.workspace))
        return lay_out(repository, one, revision, restore=restore, dry_run=dry_run, progress=progress)
    except (NotFoundError, RefusedError, RemoteError, UsageError) as error:
        return FolderUpdate(one, problem=_in_one(error))


def _in_one(error: DsvcError) -> str:
    return f"{error.message}; {error.hint}" if error.hint else error.message


def _root(repository: Repository) -> Path:
    if repository.root is None:
        raise RefusedError("this repository has no project folder", "open the project that it belongs to")
    return repository.root


# ---- revisions


def revision_of(repository: Repository, one: Checkout) -> Revision:
    """Where what a folder holds stands now. Raises NotFoundError, UsageError.

    Of a dataset's bare name it is the branch or version that the workspace is on, whatever one command has selected.
    """
    name = one.dataset
    if one.revision != name:
        return resolve(repository, one.revision)
    return resolve(repository, f"{name}@HEAD", _kept(repository, name))


def _kept(repository: Repository, name: str) -> Dataset:
    workspace = repository.workspace
    dataset = repository.dataset(name, workspace.kept_branch(name) or MAIN)
    dataset.pinned = workspace.kept_version(name)
    return dataset


def _named(repository: Repository, text: str) -> tuple[Revision, str]:
    """A revision, and how it is remembered: by the dataset's name where it is the one that the workspace is on."""
    found = resolve(repository, text)
    name = found.dataset
    if text in (name, "HEAD", f"{name}@HEAD") and found == resolve(repository, f"{name}@HEAD", _kept(repository, name)):
        return found, name
    if found.remote is not None:
        return found, found.remote
    if not found.is_pinned:
        return found, f"{name}:{found.branch}"
    assert found.commit is not None
    return found, f"{name}@{found.version or found.commit.hex()}"


# ---- places


def _only(known: list[Checkout], dataset: str, text: str) -> str:
    """The folder that is meant where none is named."""
    mine = [one for one in known if one.dataset == dataset]
    same = [one for one in mine if one.revision == text]
    if len(mine) > 1 and len(same) != 1:
        names = ", ".join(display(one.folder) for one in mine)
        raise UsageError(f"{dataset} is laid out in {len(mine)} folders", f"name the one that is meant: {names}")
    return (same or mine)[0].folder if mine else dataset
