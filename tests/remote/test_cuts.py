"""The connection is cut at each request in turn: once, and for good. Nobody's work is lost or done twice.

By default each way of failing is tried at some of the requests; with DSVC_CUTS=all at every one.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import dsvc
from dsvc.core.operations import operations
from dsvc.core.repository import Repository
from dsvc.errors import RemoteError
from dsvc.model.view import BRANCH, REMOTE
from dsvc.remote.cloning import clone
from dsvc.remote.places import open_place
from dsvc.remote.sending import push
from dsvc.remote.settings import add_remote, find_remote
from dsvc.remote.tracking import fetch

from .buckets import Bucket
from .proxy import HOWS, How, Proxy
from .workspaces import ADA, head, is_whole, project, say

STEP = 1 if os.environ.get("DSVC_CUTS") == "all" else 3
FOR_GOOD = 300


class Line:
    """A bucket behind a proxy: a project's remote through the one, and what lies there past it."""

    def __init__(self, bucket: Bucket, proxy: Proxy, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bucket = bucket
        self.proxy = proxy
        self.url = url
        self._monkeypatch = monkeypatch
        self.through()

    def through(self) -> None:
        """Lead this process through the proxy."""
        self._monkeypatch.setenv("AWS_ENDPOINT_URL", self.proxy.url)

    def there(self) -> Repository:
        """The remote as it is, past the proxy."""
        self._monkeypatch.setenv("AWS_ENDPOINT_URL", self.bucket.endpoint)
        opened = Repository(open_place(self.url, None))
        self.through()
        return opened

    def is_empty(self) -> bool:
        """Whether no repository was made there."""
        return "head" not in self.bucket.objects(self.url)


@pytest.fixture
def line(bucket_server: Bucket, bucket_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Line]:
    monkeypatch.setattr("dsvc.store.attempts.PAUSE", 0.002)
    monkeypatch.setattr("dsvc.store.attempts.PATIENCE", 0.02)
    monkeypatch.setattr("dsvc.store.attempts.FIRST_PATIENCE", 0.02)
    with Proxy(bucket_server.endpoint, delay=0.05) as proxy:
        yield Line(bucket_server, proxy, bucket_url, monkeypatch)


def numbers(how: How, step: int = STEP) -> Iterator[int]:
    """The requests at which a way of failing is tried; each way begins at another one."""
    at = 1 + HOWS.index(how) % step
    while True:
        yield at
        at += step


def stands(there: Repository, dataset: str = "pets") -> object:
    """The commit on which a dataset's branch stands at a remote."""
    ref = there.view.get(BRANCH, dataset, "main")
    return ref.commit if ref is not None else None


def seen(repository: Repository, dataset: str = "pets") -> object:
    """Where a dataset's branch stood at origin when it was last fetched."""
    found = [ref.commit for _, ref in repository.view.list(REMOTE, "origin", dataset)]
    return found[0] if found else None


def pushes(there: Repository) -> int:
    """How many operations a remote has seen."""
    return len(list(operations(there)))


def attempt(work: object) -> RemoteError | None:
    """Do something, which may fail for the connection's sake only, and then says so once and clearly."""
    try:
        work()  # type: ignore[operator]
    except RemoteError as error:
        assert error.hint and "\n" not in error.message and "127.0.0.1" not in error.message, error.message
        return error
    return None


ONCE: tuple[How, ...] = HOWS if STEP == 1 else ("drop", "lost", "half", 500)
ON: tuple[How, ...] = ("drop", "lost", 500) if STEP == 1 else ("lost",)
WAYS = [(how, 1) for how in ONCE] + [(how, FOR_GOOD) for how in ON]
ways = pytest.mark.parametrize(("how", "times"), WAYS, ids=[f"{how}-{'once' if n == 1 else 'on'}" for how, n in WAYS])


@ways
def test_a_push_is_done_once_or_not_at_all(how: How, times: int, line: Line, tmp_path: Path) -> None:
    ours = project(tmp_path / "ours")
    remote = add_remote(ours.repository, "origin", line.url)
    push(ours.repository, remote, "pets", "main")
    failed = 0
    for number in numbers(how):
        old, new = head(ours), say(ours, f"{how} {number}")
        before = pushes(line.there())
        line.proxy.reset()
        line.proxy.break_at(number, how, times)
        error = attempt(lambda: push(ours.repository, remote, "pets", "main"))
        broken = line.proxy.broken
        line.proxy.reset()
        there = line.there()
        assert stands(there) in ((old, new) if error else (new,)) and is_whole(there)
        failed += error is not None
        push(ours.repository, remote, "pets", "main")
        there = line.there()
        assert stands(there) == new and is_whole(there) and pushes(there) == before + 1
        if broken == 0:
            break
    # One answer that fails is asked for again; a connection that stays away is told.
    assert number > STEP and (failed == 0 if times == 1 else failed > 0)


@pytest.mark.parametrize("times", [1, FOR_GOOD], ids=["once", "on"])
def test_a_push_whose_swap_is_cut(times: int, line: Line, tmp_path: Path) -> None:
    """The one request that decides, in every way."""
    ours = project(tmp_path / "ours")
    remote = add_remote(ours.repository, "origin", line.url)
    push(ours.repository, remote, "pets", "main")
    for how in HOWS:
        old, new = head(ours), say(ours, str(how))
        before = pushes(line.there())
        line.proxy.reset()
        line.proxy.break_next("PUT", "/head", how, lambda how=how: line.proxy.break_at(1, how, times - 1))
        error = attempt(lambda: push(ours.repository, remote, "pets", "main"))
        assert line.proxy.broken and (error is None) >= (times == 1)
        line.proxy.reset()
        assert stands(line.there()) in ((old, new) if error else (new,)) and is_whole(line.there())
        push(ours.repository, remote, "pets", "main")
        assert stands(line.there()) == new and is_whole(line.there()) and pushes(line.there()) == before + 1


@ways
def test_a_first_push_makes_one_repository_or_none(how: How, times: int, line: Line, tmp_path: Path) -> None:
    ours = project(tmp_path / "ours")
    failed = 0
    for number in numbers(how):
        line.url = line.bucket.new_url()
        remote = add_remote(ours.repository, f"r{number}", line.url)
        line.proxy.reset()
        line.proxy.break_at(number, how, times)
        error = attempt(lambda remote=remote: push(ours.repository, remote, "pets", "main"))
        broken = line.proxy.broken
        line.proxy.reset()
        failed += error is not None
        assert error or stands(line.there()) == head(ours)
        if not line.is_empty():
            assert stands(line.there()) in (None, head(ours)) and is_whole(line.there())
        push(ours.repository, remote, "pets", "main")
        there = line.there()
        assert stands(there) == head(ours) and is_whole(there) and pushes(there) == 2
        if broken == 0:
            break
    assert number > STEP and (failed == 0 if times == 1 else failed > 0)


@ways
def test_a_fetch_brings_all_or_nothing(how: How, times: int, line: Line, tmp_path: Path) -> None:
    ours = project(tmp_path / "ours")
    push(ours.repository, add_remote(ours.repository, "origin", line.url), "pets", "main")
    theirs = clone(line.url, tmp_path / "theirs", ADA).repository
    failed = 0
    for number in itertools.count(1):  # it takes few requests
        old, new = head(ours), say(ours, f"{how} {number}")
        push(ours.repository, find_remote(ours.repository), "pets", "main")
        line.proxy.reset()
        line.proxy.break_at(number, how, times)
        error = attempt(lambda: fetch(theirs, find_remote(theirs)))
        broken = line.proxy.broken
        line.proxy.reset()
        failed += error is not None
        assert seen(theirs) in ((old, new) if error else (new,)) and is_whole(theirs)
        fetch(theirs, find_remote(theirs))
        assert seen(theirs) == new and is_whole(theirs)
        if broken == 0:
            break
    assert number > 2 and (failed == 0 if times == 1 else failed > 0)


@ways
def test_a_clone_is_whole_or_can_be_made_again(how: How, times: int, line: Line, tmp_path: Path) -> None:
    ours = project(tmp_path / "ours")
    push(ours.repository, add_remote(ours.repository, "origin", line.url), "pets", "main")
    failed = 0
    for number in numbers(how):
        folder = tmp_path / f"clone{number}"
        line.proxy.reset()
        line.proxy.break_at(number, how, times)
        error = attempt(lambda folder=folder: clone(line.url, folder, ADA))
        broken = line.proxy.broken
        line.proxy.reset()
        failed += error is not None
        made = clone(line.url, folder, ADA).repository if error else dsvc.open(folder)
        assert made.dataset("pets").head == head(ours) and is_whole(made)
        if broken == 0:
            break
    assert number > STEP and (failed == 0 if times == 1 else failed > 0)
