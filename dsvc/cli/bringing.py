"""Bringing commits here that a lock names: from other working trees of the project, then from the remotes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from dsvc.cli.render import note
from dsvc.errors import DsvcError
from dsvc.model.view import VERSION
from dsvc.store.ids import Kind

if TYPE_CHECKING:
    from dsvc.core.repository import Repository
    from dsvc.git.lockfile import Locked
    from dsvc.git.working import GitRepository
    from dsvc.model.incoming import Progress
    from dsvc.remote.settings import Remote
    from dsvc.store.ids import ObjectId

Wanted = Mapping[str, set["ObjectId"]]


def missing(repository: Repository, wanted: Wanted) -> dict[str, set[ObjectId]]:
    """Those of some commits, by dataset, that are not here."""
    store = repository.store
    store.refresh()
    found = {name: {id for id in ids if not store.has(id, Kind.COMMIT)} for name, ids in wanted.items()}
    return {name: ids for name, ids in found.items() if ids}


def bring_versions(repository: Repository, lines: Iterable[Locked], progress: Progress | None = None) -> None:
    """Fetch the versions that a lock names and that are not here, of commits that are."""
    view, store = repository.view, repository.store
    wanted = {
        line.dataset: {line.commit}
        for line in lines
        if line.version is not None
        and view.get(VERSION, line.dataset, line.version) is None
        and store.has(line.commit, Kind.COMMIT)
    }
    for remote in _places(repository) if wanted else ():
        try:
            _fetch(repository, remote, wanted, progress)
        except DsvcError as error:
            note(f"note: {error.message}")


def share_with_main(repository: Repository, git: GitRepository, lines: Iterable[Locked]) -> None:
    """Bring the commits of some lines from a linked working tree to the main one, where the data is there."""
    from dsvc.git.siblings import main_project
    from dsvc.remote.pushing import push_commits
    from dsvc.remote.settings import Remote

    main = main_project(git, repository.root or Path())
    wanted = {line.dataset: {line.commit} for line in lines if repository.store.has(line.commit)}
    if main is None or not wanted:
        return
    try:
        push_commits(repository, Remote("main working tree", str(main), is_team=False), wanted, tips={})
    except DsvcError as error:
        note(f"note: {error.message}")


def bring(repository: Repository, wanted: Wanted, progress: Progress | None = None) -> dict[str, set[ObjectId]]:
    """Fetch what is not here of some commits, by dataset, without asking anybody; what is missing still.

    A place that is out of reach is told of and passed over, as is a remote that was never agreed to.
    """
    lacking = missing(repository, wanted)
    if not lacking:
        return {}
    for remote in _places(repository):
        try:
            _fetch(repository, remote, lacking, progress)
        except DsvcError as error:
            note(f"note: {error.message}; {error.hint}" if error.hint else f"note: {error.message}")
        lacking = missing(repository, lacking)
        if not lacking:
            break
    return lacking


def _fetch(repository: Repository, remote: Remote, wanted: Wanted, progress: Progress | None) -> None:
    from dsvc.remote.fetching import fetch_commits

    fetch_commits(repository, remote, wanted, progress)


def _places(repository: Repository) -> list[Remote]:
    """The other working trees, and the remotes that were agreed to."""
    from dsvc.remote.settings import is_trusted, list_remotes

    return [*_siblings(repository), *(one for one in list_remotes(repository) if is_trusted(repository, one))]


def _siblings(repository: Repository) -> list[Remote]:
    from dsvc.git.siblings import sibling_projects
    from dsvc.git.working import GitRepository
    from dsvc.remote.settings import Remote

    project = repository.root or Path()
    git = GitRepository.find(project)
    if git is None:
        return []
    with git:
        return [Remote("working tree", str(path), is_team=False) for path in sibling_projects(git, project)]
