"""Collecting remotes, in a folder and in a bucket, alone and while several push and fetch.

So many rounds each as DSVC_COLLECTION_ROUNDS says.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from dsvc.core.collecting.collector import Collector
from dsvc.core.dataset import Dataset
from dsvc.core.repository import Repository
from dsvc.errors import DsvcError, RefusedError
from dsvc.remote.cloning import clone
from dsvc.remote.opening import open_remote
from dsvc.remote.places import open_place
from dsvc.remote.sending import push
from dsvc.remote.settings import Remote, add_remote, find_remote
from dsvc.remote.tracking import fetch

from .workspaces import ADA, head, is_whole, say

ROUNDS = max(1, int(os.environ.get("DSVC_COLLECTION_ROUNDS", "20")) // 10)


@pytest.fixture(params=["folder", "bucket"])
def remote(request: pytest.FixtureRequest, ours: Dataset, tmp_path: Path) -> Remote:
    """A remote that has our dataset."""
    url = str(tmp_path / "store") if request.param == "folder" else request.getfixturevalue("bucket_url")
    remote = add_remote(ours.repository, "origin", url)
    push(ours.repository, remote, "pets", "main")
    return remote


def there(remote: Remote, ours: Dataset) -> Repository:
    """The remote, opened anew."""
    return Repository(open_place(remote.url, ours.repository.root), None, ADA)


def collect(remote: Remote, ours: Dataset, grace: int = 0) -> None:
    """Collect the remote, as another person would; what others do at once may be too much for it."""
    target = open_remote(ours.repository, remote)
    Collector(target, keep=0, grace=grace, is_far=True).run()


def test_a_remote_keeps_what_its_refs_reach(remote: Remote, ours: Dataset, tmp_path: Path) -> None:
    first = head(ours)
    say(ours, "gone")
    push(ours.repository, remote, "pets", "main")
    gone = head(ours)
    target = there(remote, ours)
    target.change("back", lambda refs: refs.set(("branch", "pets", "main"), _branch(refs, first)))
    before = sum(info.size for info in target.store.backend.files())
    collect(remote, ours)
    target = there(remote, ours)
    assert is_whole(target) and not target.store.has(gone)
    assert sum(info.size for info in target.store.backend.files()) < before
    assert clone(remote.url, tmp_path / "theirs", ADA).repository.dataset("pets").head == first
    # The clone that has what is gone there pushes it again.
    push(ours.repository, remote, "pets", "main")
    assert is_whole(there(remote, ours)) and there(remote, ours).store.has(gone)


def _branch(refs, commit):  # type: ignore[no-untyped-def]
    from dsvc.model.view import BranchRef

    return BranchRef(commit)


def people(remote: Remote, ours: Dataset, folder: Path) -> Iterator[Dataset]:
    """Two who work at the remote, each on a branch of their own."""
    for name in ("ada", "bo"):
        dataset = clone(remote.url, folder / name, ADA).repository.dataset("pets")
        dataset.create_branch(name)
        dataset.switch(name)
        yield dataset.repository.dataset("pets", name)


def test_nothing_that_is_pushed_goes_while_others_collect(remote: Remote, ours: Dataset, tmp_path: Path) -> None:
    workers = list(people(remote, ours, tmp_path))
    for number in range(ROUNDS):
        failures: list[BaseException] = []
        work: list[Callable[[], object]] = [partial(work_on, dataset, f"{number}") for dataset in workers]
        work.append(lambda: [collect(remote, ours) for _ in range(3)])
        threads = [threading.Thread(target=guarded, args=(one, failures)) for one in work]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        assert failures == []
        target = there(remote, ours)
        assert is_whole(target)
        for dataset in workers:
            ref = target.view.get("branch", "pets", dataset.branch)
            assert ref is not None and ref.commit == head(dataset)  # type: ignore[union-attr]
        assert is_whole(clone(remote.url, tmp_path / f"clone {number}", ADA).repository)


def work_on(dataset: Dataset, text: str) -> None:
    """Commit and push, again where a collection took what was on its way; and fetch what the others did."""
    say(dataset, f"{dataset.branch} {text}")
    for attempt in range(20):
        try:
            push(dataset.repository, find_remote(dataset.repository), "pets", dataset.branch)
            break
        except RefusedError:
            if attempt == 19:
                raise
    fetch(dataset.repository, find_remote(dataset.repository))


def guarded(work: Callable[[], object], failures: list[BaseException]) -> None:
    """Do some work; what goes wrong is noted, but for a collection that others keep from its end."""
    try:
        work()
    except DsvcError as error:
        if "all the time" not in error.message:
            failures.append(error)
    except BaseException as error:
        failures.append(error)
