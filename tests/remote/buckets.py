"""Buckets for tests: moto's S3 server on loopback, one for all tests of a process, and places in it.

Tests take the fixtures `bucket_server` and `bucket_url` of tests/conftest.py.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

REGION = "us-east-1"
_numbers = itertools.count()


class Bucket:
    """A bucket of an S3 server at `endpoint`; `environment` is what finds it, for a command or for this process."""

    def __init__(self, endpoint: str, name: str = "datasets") -> None:
        self.endpoint = endpoint
        self.name = name

    @property
    def environment(self) -> dict[str, str]:
        """What a person's environment has."""
        return {
            "AWS_ACCESS_KEY_ID": "test-key",
            "AWS_SECRET_ACCESS_KEY": "test-secret",
            "AWS_REGION": REGION,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ALLOW_HTTP": "true",
        }

    def at(self, endpoint: str) -> Bucket:
        """The same bucket behind another endpoint, such as a proxy's."""
        return Bucket(endpoint, self.name)

    def new_url(self) -> str:
        """A place in the bucket that nobody has used."""
        return f"s3://{self.name}/{os.getpid()}/{next(_numbers)}"

    def store(self, **options: Any) -> Any:
        """A client of obstore, without the patience of the project's own."""
        from obstore.store import S3Store

        return S3Store(
            self.name,
            endpoint=self.endpoint,
            region=REGION,
            access_key_id="test-key",
            secret_access_key="test-secret",
            client_options={"allow_http": True},
            retry_config={"max_retries": 0},
            **options,
        )

    def objects(self, url: str) -> dict[str, bytes]:
        """What lies below a URL of the bucket: names below it, and bytes."""
        import obstore

        prefix = url.split("/", 3)[3]
        store = self.store()
        paths = [meta["path"] for batch in obstore.list(store, prefix=prefix) for meta in batch]
        return {path[len(prefix) + 1 :]: bytes(obstore.get(store, path).bytes()) for path in paths}


@contextlib.contextmanager
def serving() -> Iterator[Bucket]:
    """Start a server with an empty bucket; skips the test where what it needs is missing."""
    reason = "the extra conformance, which brings an S3 server, is missing"
    moto = pytest.importorskip("moto.server", reason=reason)
    pytest.importorskip("obstore", reason=reason)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    bucket = Bucket(f"http://{host}:{port}")
    request = urllib.request.Request(f"{bucket.endpoint}/{bucket.name}", method="PUT")
    urllib.request.urlopen(request).close()
    try:
        yield bucket
    finally:
        server.stop()
