"""Lazy media and reading straight from there over S3 and over a web server, with requests counted."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from bare import bare_clone, blobs

import dsvc
from dsvc.core.check import check
from dsvc.errors import RefusedError, RemoteError
from dsvc.remote.media import fetch_media
from dsvc.remote.sending import push
from dsvc.remote.settings import add_remote

from .buckets import Bucket
from .proxy import Proxy
from .workspaces import project

FILES = 300


@pytest.fixture
def shared(bucket_url: str, tmp_path: Path) -> str:
    """A bucket with a dataset of some hundred files."""
    ours = project(tmp_path / "ours", images=FILES)
    push(ours.repository, add_remote(ours.repository, "origin", bucket_url))
    return bucket_url


@pytest.fixture
def line(bucket_server: Bucket, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """A proxy on the way to the bucket, with some latency."""
    with Proxy(bucket_server.endpoint, latency=0.002) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        yield proxy


def test_an_export_over_s3(shared: str, line: Proxy, tmp_path: Path) -> None:
    """An export of some hundred files from a clone without media takes a handful of requests."""
    bare = bare_clone(shared, tmp_path / "bare")
    line.reset()
    bare.dataset("pets").at().export("coco", tmp_path / "out.zip", media=True)
    assert line.requests <= 8
    bare.store.close()
    assert all(bare.store.has_media(blob) for blob in blobs(bare))
    assert check(bare).damage == ()


def test_an_index_is_read_once(shared: str, line: Proxy, tmp_path: Path) -> None:
    """The index of a remote is kept: a second reader asks for the head, and for the bytes."""
    bare = bare_clone(shared, tmp_path / "bare")
    names = iter(bare.dataset("pets").at())
    next(names).read_bytes()
    bare.store.close()
    line.reset()
    again = dsvc.open(tmp_path / "bare")
    list(again.dataset("pets").at())[-1].read_bytes()
    assert line.requests <= 4


def test_fetching_goes_on(shared: str, line: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fetch of media that is cut off is one error, and the next one brings the rest."""
    for name, value in (("PAUSE", 0.002), ("PATIENCE", 0.02), ("FIRST_PATIENCE", 0.02)):
        monkeypatch.setattr(f"dsvc.store.attempts.{name}", value)
    bare = bare_clone(shared, tmp_path / "bare")
    line.reset()
    line.break_at(1, "drop", times=10_000)
    with pytest.raises(RemoteError, match=r"^(images/\S+: )?remote origin: "):
        fetch_media(bare.dataset("pets").at())
    line.reset()
    bare = dsvc.open(tmp_path / "bare")
    done = fetch_media(bare.dataset("pets").at())
    assert done.files + done.here == FILES
    assert done.missing == ()
    line.reset()
    assert fetch_media(dsvc.open(tmp_path / "bare").dataset("pets").at()).here == FILES
    assert line.requests == 0


def test_straight_from_s3(shared: str, line: Proxy, tmp_path: Path) -> None:
    """An export straight from a bucket takes few requests, and the second one fewer: indexes and records are kept."""
    cache = tmp_path / "cache"
    counts = []
    for name in ("one", "two"):
        line.reset()
        repo = dsvc.open(shared, cache=cache)
        repo.dataset().at().export("coco", tmp_path / f"{name}.zip", media=True)
        counts.append(line.requests)
    assert counts[0] <= 20
    assert counts[1] <= counts[0]
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    with pytest.raises(RefusedError, match="is only read here"):
        repo.create("cats")


@pytest.fixture
def web(shared: str, bucket_server: Bucket, tmp_path: Path) -> Iterator[str]:
    """The same repository on a plain web server, which knows no ranges."""
    folder = tmp_path / "www"
    for name, data in bucket_server.objects(shared).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def test_straight_from_a_web_server(web: str, tmp_path: Path) -> None:
    """A repository on a web server is read with no clone."""
    repo = dsvc.open(web, cache=tmp_path / "cache")
    assert len(repo.dataset().at()) == FILES
    assert repo.dataset().at()["images/7.txt"].read_bytes() == b"ours 7" * 40
    assert len(list(repo.dataset().at().query("select key from inputs"))) == FILES
