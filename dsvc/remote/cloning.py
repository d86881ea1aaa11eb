"""Cloning: a repository of one's own, with all that a remote has."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from dsvc.core.repository import FOLDER, MAIN, Repository
from dsvc.core.workspace import Workspace
from dsvc.errors import RefusedError
from dsvc.model.view import BRANCH
from dsvc.remote.journals import has_notes
from dsvc.remote.places import check_url, open_place
from dsvc.remote.settings import DEFAULT_NAME, Remote, add_remote, list_remotes, remove_remote
from dsvc.remote.tracking import FetchedAll, bring

if TYPE_CHECKING:
    from dsvc.model.commit import Author
    from dsvc.model.incoming import Progress


class Cloned(NamedTuple):
    """The new repository, what was fetched, and the dataset that is the current one there."""

    repository: Repository
    fetched: FetchedAll
    dataset: str | None


def clone(
    url: str,
    folder: Path,
    author: Author | None = None,
    progress: Progress | None = None,
    *,
    media: bool = True,
    datasets: tuple[str, ...] = (),
) -> Cloned:
    """Make a repository in a folder with the datasets, branches and versions of a remote, which it calls `origin`.

    Without `media` that stays there, and with `datasets` all but these do; later fetches leave it there, too. A path
    must be absolute. One that broke off is taken up again. Raises RefusedError where there is a repository already,
    NotFoundError where the remote lacks a dataset, RemoteError; then nothing was made, unless much came already.
    """
    open_place(check_url(url), None, workspace=Workspace(folder / FOLDER))  # before anything is made here
    is_new = not (folder / FOLDER).exists()
    made = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    repository, remote = _begin(url, folder, author, media, datasets)
    try:
        fetched = bring(repository, remote, f"clone {url}", adopt=True, progress=progress)
    except BaseException:
        if is_new and not has_notes(repository, remote):
            _take_back(folder, made)
        raise
    dataset = next((found.name for found in repository.datasets()), None)
    if dataset is not None:
        branches = [ref[2] for ref, _ in repository.view.list(BRANCH, dataset)]
        repository.use(dataset, MAIN if MAIN in branches or not branches else branches[0])
    return Cloned(repository, fetched, dataset)


def _begin(
    url: str, folder: Path, author: Author | None, media: bool, datasets: tuple[str, ...]
) -> tuple[Repository, Remote]:
    """The repository and its remote, new ones or those of a clone that broke off."""
    if not (folder / FOLDER / "head").exists():
        repository = Repository.init(folder, author)
    else:
        repository = Repository.open(folder, author)
    own = [remote for remote in list_remotes(repository) if not remote.is_team]
    is_begun = repository.workspace.chosen is None and all(remote.url == url for remote in own)
    if not is_begun or (not own and any(repository.datasets())):
        raise RefusedError(f"{folder} holds a repository already", "clone to another folder: dsvc clone URL FOLDER")
    if own and (own[0].media, own[0].datasets) == (media, datasets):
        return repository, own[0]
    for remote in own:  # begun with other wishes
        remove_remote(repository, remote.name)
    return repository, add_remote(repository, DEFAULT_NAME, url, local=True, media=media, datasets=datasets)


def _take_back(folder: Path, made: list[Path]) -> None:
    """Take away what a clone that failed has made."""
    shutil.rmtree(folder / FOLDER, ignore_errors=True)
    with contextlib.suppress(OSError):  # something else lies there by now
        for parent in made:
            parent.rmdir()
