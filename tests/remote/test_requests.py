"""How many requests a bucket is asked, counted where they pass."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import dsvc
from dsvc.core.dataset import Dataset
from dsvc.errors import DsvcError, RefusedError
from dsvc.remote.cloning import clone
from dsvc.remote.sending import push
from dsvc.remote.settings import Remote, add_remote, find_remote
from dsvc.remote.tracking import fetch

from .buckets import Bucket
from .proxy import Proxy
from .workspaces import ADA, head, is_whole, project, say


@pytest.fixture
def proxy(bucket_server: Bucket, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    with Proxy(bucket_server.endpoint) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        yield proxy


@pytest.fixture
def ours(tmp_path: Path) -> Dataset:
    return project(tmp_path / "ours", images=200, boxes=30)


@pytest.fixture
def remote(ours: Dataset, bucket_url: str, proxy: Proxy) -> Remote:
    remote = add_remote(ours.repository, "origin", bucket_url)
    push(ours.repository, remote, "pets", "main")
    proxy.reset()
    return remote


def test_a_push_of_one_annotation_takes_eight_requests(ours: Dataset, remote: Remote, proxy: Proxy) -> None:
    for number in range(6):
        say(ours, f"number {number}")
        proxy.reset()
        push(ours.repository, remote, "pets", "main")
        assert proxy.requests <= 8, proxy.passed
        assert proxy.bytes_up + proxy.bytes_down < 200_000


def test_so_does_one_after_a_clone(
    ours: Dataset, remote: Remote, bucket_url: str, proxy: Proxy, tmp_path: Path
) -> None:
    theirs = clone(bucket_url, tmp_path / "theirs", ADA).repository
    assert proxy.requests <= 12
    said = say(theirs.dataset("pets"), "theirs")
    proxy.reset()
    push(theirs, find_remote(theirs), "pets", "main")
    assert proxy.requests <= 8 and proxy.bytes_up + proxy.bytes_down < 200_000
    proxy.reset()
    fetch(ours.repository, remote)
    assert proxy.requests <= 5
    ours.merge("origin/pets:main")
    assert head(ours) == said and is_whole(ours.repository)


def test_a_cold_log_takes_six_requests(
    ours: Dataset, remote: Remote, bucket_url: str, proxy: Proxy, tmp_path: Path
) -> None:
    for number in range(12):
        say(ours, f"number {number}", f"images/{number}.txt")
        push(ours.repository, remote, "pets", "main")
    told = []
    # What each commit changed is no history; the second time, nothing but the head is asked for.
    for most, stat in ((6, "--no-stat"), (6, "--number=1"), (8, "--stat"), (1, "--no-stat"), (1, "--stat")):
        proxy.reset()
        command = [sys.executable, "-m", "dsvc.cli.main", "-R", bucket_url, "log", "--json", stat]
        environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert proxy.requests <= most, [one.path.split("/")[4] for one in proxy.passed]
        told.append(done.stdout)
    assert told[0] == told[3] and told[2] == told[4] and head(ours).hex() in told[2]


def test_a_check_reads_packs_whole(ours: Dataset, remote: Remote, bucket_url: str, proxy: Proxy) -> None:
    report = dsvc.open(bucket_url).check()
    assert report.damage == () and report.objects > 200
    assert proxy.requests <= 20


def test_the_copies_stay_within_a_setting(ours: Dataset, remote: Remote, proxy: Proxy) -> None:
    folder = ours.repository.cache_folder
    assert folder is not None and any(path.is_file() for path in (folder / "remotes").rglob("*"))
    ours.repository.workspace.save(cache=lambda table: {**(table or {}), "remotes": "much"})
    with pytest.raises(RefusedError, match="no number of bytes"):
        fetch(ours.repository, remote)


def test_what_was_found_damaged_is_read_anew(
    ours: Dataset, remote: Remote, bucket_server: Bucket, bucket_url: str, tmp_path: Path
) -> None:
    """What a remote gave while it was damaged is not believed any longer once it is mended there."""
    import obstore

    held, store, prefix = bucket_server.objects(bucket_url), bucket_server.store(), bucket_url.split("/", 3)[3]
    for number, (name, data) in enumerate(held.items()):
        if name == "head":
            continue
        cache = tmp_path / f"cache {number}"
        hurt = bytearray(data)
        hurt[len(hurt) // 3] ^= 1
        obstore.put(store, f"{prefix}/{name}", bytes(hurt))
        with contextlib.suppress(DsvcError):
            opened = dsvc.open(bucket_url, cache=cache)
            state = opened.dataset("pets").at()
            list(opened.dataset("pets").log())
            list(state)
        obstore.put(store, f"{prefix}/{name}", data)
        state = dsvc.open(bucket_url, cache=cache).dataset("pets").at()
        assert len(list(state)) == 200
