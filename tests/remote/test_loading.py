"""Loading in processes of their own what lies elsewhere: in few requests, kept, and with a word where it cannot be."""

from __future__ import annotations

import multiprocessing
from pathlib import Path
from typing import Any

import pytest
from bare import bare_clone, blobs
from loading_workers import read_all, read_batch

import dsvc
from dsvc.core.loading.entries import choose
from dsvc.core.loading.samples import Samples
from dsvc.core.state import State
from dsvc.errors import RemoteError
from dsvc.remote.sending import push
from dsvc.remote.settings import add_remote
from dsvc.store.local import LocalBackend

from .workspaces import project


def samples(state: State) -> Samples:
    return Samples(state, choose(state.snapshot), decode="bytes", target="label")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A remote with forty small files."""
    ours = project(tmp_path / "ours", images=40)
    push(ours.repository, add_remote(ours.repository, "origin", str(tmp_path / "store")))
    return tmp_path / "store"


def test_a_batch_comes_in_few_requests(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = samples(bare_clone(store, tmp_path / "bare").at("pets"))
    reads: list[str] = []
    plain = LocalBackend.read

    def read(self: LocalBackend, name: str, *rest: Any) -> bytes:
        if self.root == store and name.startswith("packs/"):
            reads.append(name)
        return plain(self, name, *rest)

    monkeypatch.setattr(LocalBackend, "read", read)
    found = [item["bytes"] for start in (0, 20) for item in data.__getitems__(range(start, start + 20))]
    names = sorted(str(number) for number in range(40))
    assert found == [f"ours {name}".encode() * 40 for name in names]
    assert len(reads) <= 4


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_what_a_worker_brought_is_kept(store: Path, tmp_path: Path, method: str) -> None:
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {method} here")
    bare = bare_clone(store, tmp_path / "bare")
    data = samples(bare.at("pets"))
    worker = multiprocessing.get_context(method).Process(target=read_batch, args=(data, range(10)))
    worker.start()
    worker.join()
    assert worker.exitcode == 0
    bare.store.refresh()
    assert [bare.store.has_media(blob) for blob in blobs(bare)] == [True] * 10 + [False] * 30


def test_a_bucket_is_read_by_workers_that_are_started_anew(bucket_url: str, tmp_path: Path) -> None:
    """The client does not live on in a forked process: there it says so, and does not wait for ever."""
    ours = project(tmp_path / "ours")
    push(ours.repository, add_remote(ours.repository, "origin", bucket_url))
    data = samples(dsvc.open(bucket_url).at("pets"))
    expected = [data[at] for at in range(3)]
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(read_all, (data, range(3))) == expected
    if "fork" in multiprocessing.get_all_start_methods():
        with multiprocessing.get_context("fork").Pool(1) as pool, pytest.raises(RemoteError, match="forked"):
            pool.apply_async(read_all, (data, range(3))).get(timeout=30)
