"""Pulling: a fetch, and a merge of what the remote has of a branch."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

from dsvc.core.history.walking import History
from dsvc.errors import NotFoundError
from dsvc.model.view import BRANCH, VERSION, VersionRef
from dsvc.remote.fetching import Versions, take_in, versions_on
from dsvc.remote.guarded import blaming
from dsvc.remote.opening import open_remote
from dsvc.remote.tracking import FetchedAll, fetch, tracking_ref

if TYPE_CHECKING:
    from dsvc.core.dataset import Dataset
    from dsvc.core.merging.merge import MergeOutcome
    from dsvc.model.incoming import Progress
    from dsvc.remote.settings import Remote


class Pulled(NamedTuple):
    """What a pull did: what was fetched, and what became of the branch.

    `versions` came, by dataset and name; `kept` are those whose name stands for something else here: that stays.
    """

    fetched: FetchedAll
    merged: MergeOutcome
    versions: Versions
    kept: Versions


def pull_branch(dataset: Dataset, remote: Remote, progress: Progress | None = None) -> Pulled:
    """Fetch, and merge what the remote has of the dataset's current branch by set union, with the versions behind it.

    Raises NotFoundError where the remote has no such branch, RefusedError, RemoteError.
    """
    repository = dataset.repository
    fetched = fetch(repository, remote, progress)
    text = f"{remote.name}/{dataset.name}:{dataset.branch}"
    if repository.view.get(*tracking_ref(remote, (BRANCH, dataset.name, dataset.branch))) is None:
        hint = f"bring it there: dsvc push {remote.name}"
        raise NotFoundError(f"{remote.name} has no branch {dataset.branch!r} of {dataset.name}", hint)
    merged = dataset.merge(text, progress=progress)
    versions, kept = _take_versions(dataset, remote)
    return Pulled(fetched, merged, versions, kept)


def _take_versions(dataset: Dataset, remote: Remote) -> tuple[Versions, Versions]:
    """The remote's versions of commits that are behind the branch now."""
    repository = dataset.repository
    with blaming(remote.name):
        listed = list(open_remote(repository, remote).view.list(VERSION, dataset.name))
    commits = {cast(VersionRef, version).commit for _, version in listed}
    ours = set(History(repository.store).walk([dataset.head] if dataset.head else [])) if commits else set()
    news = versions_on(listed, ours)
    with repository.transaction(f"pull {remote.name}") as transaction:
        return transaction.run(lambda refs: take_in(refs, news))
