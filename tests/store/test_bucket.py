"""Repositories in buckets: swaps whose answers are lost, stores that are not fit, and what errors say."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from loopback import serving
from remote.buckets import Bucket
from remote.proxy import Proxy

from dsvc.errors import DsvcError, NotFoundError, RefusedError, RemoteError
from dsvc.store import attempts
from dsvc.store.bucket import BucketBackend
from dsvc.store.ids import Kind
from dsvc.store.objects import ObjectStore


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "PAUSE", 0.002)
    monkeypatch.setattr(attempts, "PATIENCE", 0.05)
    monkeypatch.setattr(attempts, "FIRST_PATIENCE", 0.02)


@pytest.fixture
def proxy(bucket_server: Bucket) -> Iterator[Proxy]:
    with Proxy(bucket_server.endpoint, delay=0.05) as proxy:
        yield proxy


@pytest.fixture
def through(bucket_server: Bucket, proxy: Proxy) -> Callable[[], BucketBackend]:
    """Backends of one place of the bucket, through the proxy."""
    prefix = bucket_server.new_url().split("/", 3)[3]
    return lambda: BucketBackend(bucket_server.at(proxy.url).store(), prefix, "s3://datasets/pets")


def put(backend: BucketBackend, name: str, data: bytes) -> None:
    upload = backend.create()
    upload.write(data)
    upload.finish(name)


def publish(store: ObjectStore, operation: bytes) -> None:
    with store.writer() as writer:
        writer.publish(writer.put(Kind.OPERATION, operation))


# ---- the head


def test_a_swap_whose_answer_is_lost_has_taken_effect(through: Callable[[], BucketBackend], proxy: Proxy) -> None:
    backend = through()
    assert backend.swap_head(None, b"one")
    proxy.reset()
    proxy.break_at(1, "lost")
    assert backend.swap_head(b"one", b"two")
    # The second attempt was refused: what it found there was the first one's.
    assert [(one.method, one.status) for one in proxy.passed] == [("PUT", 0), ("PUT", 412), ("GET", 200)]
    assert through().read_head() == b"two" and backend.swap_head(b"two", b"three")


def test_a_swap_that_never_arrived_is_tried_again(through: Callable[[], BucketBackend], proxy: Proxy) -> None:
    backend = through()
    assert backend.swap_head(None, b"one")
    proxy.break_at(1, "drop")
    assert backend.swap_head(b"one", b"two") and through().read_head() == b"two"


def test_a_swap_that_is_lost_to_a_rival_says_so(through: Callable[[], BucketBackend], proxy: Proxy) -> None:
    backend = through()
    assert backend.swap_head(None, b"one")
    proxy.break_at(1, "drop", then=lambda: through().swap_head(b"one", b"rival"))
    assert not backend.swap_head(b"one", b"two") and through().read_head() == b"rival"


def test_an_operation_that_a_rival_built_on_counts_as_published(
    through: Callable[[], BucketBackend], proxy: Proxy
) -> None:
    """The answer was lost, and another head is there by now: ours is in its chain."""
    publish(ObjectStore(through()), b"first")
    mine, rival = ObjectStore(through()), ObjectStore(through())
    mine.refresh()

    def follow() -> None:
        rival.refresh()
        publish(rival, b"rival")

    with mine.writer() as writer:
        id = writer.put(Kind.OPERATION, b"mine")
        proxy.break_next("PUT", "/head", "lost", then=follow)
        writer.publish(id)
    assert proxy.broken == 1
    fresh = ObjectStore(through())
    assert fresh.get(id, Kind.OPERATION) == b"mine" and fresh.head.operation != id


def test_a_swap_that_is_never_answered_raises(through: Callable[[], BucketBackend], proxy: Proxy) -> None:
    backend = through()
    assert backend.swap_head(None, b"one")
    proxy.break_at(1, "lost", times=1000)
    with pytest.raises(RemoteError, match="s3://datasets/pets: cannot be reached: the connection broke"):
        backend.swap_head(b"one", b"two")
    proxy.reset()
    assert through().read_head() == b"two"


def test_a_store_that_ignores_conditions_gets_no_repository(bucket_server: Bucket) -> None:
    for header in ("if-match", "if-none-match"):
        with Proxy(bucket_server.endpoint, without=(header,)) as proxy:
            url = bucket_server.new_url()
            backend = BucketBackend(bucket_server.at(proxy.url).store(), url.split("/", 3)[3], url)
            with pytest.raises(RefusedError, match="does not do conditional writes") as error:
                backend.swap_head(None, b"one")
            assert error.value.hint and bucket_server.objects(url) == {}


def test_the_head_is_not_to_be_cached(bucket_server: Bucket, through: Callable[[], BucketBackend]) -> None:
    import obstore

    backend = through()
    backend.swap_head(None, b"one")
    found = obstore.get(bucket_server.store(), backend._path("head"))
    assert found.attributes["Cache-Control"] == "no-store"


def test_a_head_that_is_looked_at_while_opening_is_read_once(
    through: Callable[[], BucketBackend], proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = through()
    backend.swap_head(None, b"one")
    proxy.reset()
    assert backend.peek_head() == backend.read_head() == b"one" and proxy.requests == 1
    through().swap_head(b"one", b"two")
    assert backend.read_head() == b"two"
    backend.peek_head()
    monkeypatch.setattr(attempts, "_AT_ONCE", 0.0)
    through().swap_head(b"two", b"three")
    assert backend.read_head() == b"three", "what was looked at long ago is asked for again"


# ---- files


def test_a_big_file_goes_in_parts_and_a_middling_one_whole(
    through: Callable[[], BucketBackend], proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dsvc.store.bucket._WHOLE", 6 << 20)
    monkeypatch.setattr("dsvc.store.bucket._PART", 5 << 20)
    backend = through()
    for size, methods in ((6 << 20, {"PUT": 1}), (7 << 20, {"POST": 2, "PUT": 2})):
        data = os.urandom(1 << 20) * (size >> 20)
        proxy.reset()
        put(backend, f"packs/{size}", data)
        assert proxy.methods == methods
        assert (
            backend.read(f"packs/{size}") == data and backend.read(f"packs/{size}", 5 << 20, 9) == data[5 << 20 :][:9]
        )
    for how in ("drop", "lost", 500):
        proxy.break_at(2, how)
        put(backend, f"packs/again {how}", data)
        assert backend.size(f"packs/again {how}") == len(data)


def test_a_thousand_files_go_in_one_request(
    through: Callable[[], BucketBackend], proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = through()
    for number in range(25):
        put(backend, f"index/{number:02}", b"x")
    proxy.reset()
    backend.delete_all(f"index/{number:02}" for number in range(20))
    assert proxy.methods == {"POST": 1}
    assert backend.names("index/") == [f"index/{number}" for number in range(20, 25)]
    monkeypatch.setattr("dsvc.store.bucket._BATCH", 3)
    proxy.reset()
    backend.delete_all(backend.names())
    assert proxy.methods["POST"] == 2 and backend.names() == []


def test_what_else_lies_below_the_prefix_is_left_alone(bucket_server: Bucket, bucket_url: str) -> None:
    import obstore

    prefix = bucket_url.split("/", 3)[3]
    for name in ("thesis.pdf", "packs-old/a", "packs/b", "other/packs/c"):
        obstore.put(bucket_server.store(), f"{prefix}/{name}", b"x")
    assert BucketBackend(bucket_server.store(), prefix).names() == ["packs/b"]


def test_a_machine_without_room_for_a_file_on_its_way_says_so(
    through: Callable[[], BucketBackend], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(RefusedError, match="a temporary file cannot be written: No such file") as error:
        put(through(), "packs/one", bytes(2 << 20))
    assert "TMPDIR" in (error.value.hint or "")


# ---- errors

_XML = "<Error><Code>{}</Code><Message>{}</Message><AWSAccessKeyId>AKIASECRET</AWSAccessKeyId></Error>"
ANSWERS = [
    (403, _XML.format("AccessDenied", "no"), "the credentials do not allow it (AccessDenied)", 1),
    (403, _XML.format("SignatureDoesNotMatch", "no"), "the credentials do not allow it (SignatureDoesNotMatch)", 1),
    (401, "", "the credentials do not allow it", 1),
    (400, _XML.format("ExpiredToken", "old"), "the credentials do not allow it (ExpiredToken)", 1),
    (403, _XML.format("RequestTimeTooSkewed", "now"), "this machine's clock is wrong", 1),
    (404, _XML.format("NoSuchBucket", "?"), "there is no such bucket", 1),
    (301, "", "the bucket lies in another region", 1),
    (
        400,
        _XML.format("AuthorizationHeaderMalformed", "the region 'us-east-1' is wrong; expecting 'eu-west-1'"),
        "the bucket lies in region eu-west-1",
        1,
    ),
    (501, _XML.format("NotImplemented", "?"), "it answers 501 Not Implemented (NotImplemented)", 1),
    (405, "", "it answers 405 Method Not Allowed", 1),
    (500, "", "it answers 500 Internal Server Error", 2),
    (503, _XML.format("SlowDown", "?"), "it answers 503 Service Unavailable (SlowDown)", 2),
    (429, "", "it answers 429 Too Many Requests", 2),
]


@pytest.mark.parametrize(("status", "body", "told", "least"), ANSWERS, ids=[f"{a[0]}-{a[2]}" for a in ANSWERS])
def test_every_refusal_has_one_clear_message(status: int, body: str, told: str, least: int) -> None:
    pytest.importorskip("obstore")

    def answer(handler: Any) -> None:
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body.encode())

    with serving() as web:
        web.rules["/datasets/pets/head"] = answer
        backend = BucketBackend(Bucket(web.root).store(), "pets", "s3://datasets/pets")
        with pytest.raises(RemoteError) as error:
            backend.read_head()
    assert error.value.message == f"s3://datasets/pets: {told}" and error.value.hint
    assert "AKIA" not in f"{error.value.message}{error.value.hint}"
    assert len(web.asked) == 1 if least == 1 else len(web.asked) >= least, "what may pass is asked again"


def test_places_that_do_not_answer(bucket_server: Bucket) -> None:
    pytest.importorskip("obstore")
    from obstore.store import S3Store

    told = {"http://127.0.0.1:9": "nothing answers there", "http://host.invalid": "its name is not known"}
    for endpoint, what in told.items():
        with pytest.raises(RemoteError, match=rf"^x: cannot be reached: {what}$"):
            BucketBackend(Bucket(endpoint).store(), "", "x").read_head()
    with Proxy(bucket_server.endpoint, latency=0.3) as proxy:
        store = S3Store(
            "datasets",
            endpoint=proxy.url,
            region="us-east-1",
            skip_signature=True,
            client_options={"allow_http": True, "timeout": timedelta(seconds=0.05)},
            retry_config={"max_retries": 0},
        )
        with pytest.raises(RemoteError, match=r"^x: cannot be reached: no answer in time$"):
            BucketBackend(store, "", "x").read_head()


def test_a_bug_is_not_blamed_on_the_place() -> None:
    def fail() -> None:
        raise KeyError("ours")

    with pytest.raises(KeyError):
        attempts.Attempts("x").do(fail)


def test_trouble_that_passes_is_waited_for_and_what_is_missing_is_not(
    through: Callable[[], BucketBackend], proxy: Proxy
) -> None:
    backend = through()
    put(backend, "packs/one", b"hello")
    work: list[tuple[Callable[[], object], object]] = [
        (lambda: backend.read("packs/one", 1, 3), b"ell"),
        (lambda: backend.size("packs/one"), 5),
        (lambda: backend.names("packs/"), ["packs/one"]),
        (lambda: backend.delete("packs/two"), None),
        (lambda: backend.delete_all(["packs/three"]), None),
        (backend.read_head, None),
    ]
    for how in ("drop", "lost", "half", 500, 503):
        for ask, expected in work:
            proxy.break_at(1, how)  # type: ignore[arg-type]
            assert ask() == expected
    proxy.reset()
    with pytest.raises(NotFoundError, match="s3://datasets/pets: packs/none does not exist"):
        backend.read("packs/none", 0, 4)
    assert proxy.requests == 1


def test_the_client_is_told_of_by_its_kind_alone() -> None:
    class ConfigError(Exception):
        __module__ = "obstore.exceptions"

    def fail() -> None:
        raise ConfigError("Generic S3 error: credential could not be read: {secret: hunter2}")

    with pytest.raises(DsvcError) as error:
        attempts.Attempts("x").do(fail)
    assert error.value.message == "x: the client cannot ask: credential could not be read"
