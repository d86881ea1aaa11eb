"""Remotes in buckets: two people over S3, places where none can be, and whose endpoint is believed."""

from __future__ import annotations

import signal
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest

import dsvc
from dsvc.core.dataset import Dataset
from dsvc.core.repository import Repository
from dsvc.errors import RefusedError, RemoteError
from dsvc.remote.cloning import clone
from dsvc.remote.places import open_place
from dsvc.remote.sending import push
from dsvc.remote.settings import Remote, add_remote, find_remote, is_trusted, require_trusted, trust
from dsvc.remote.tracking import fetch
from dsvc.store.bucket import BucketBackend

from .buckets import Bucket
from .proxy import Proxy
from .workspaces import ADA, head, is_whole, say


def test_two_people_share_a_bucket(ours: Dataset, bucket_url: str, bucket_server: Bucket, tmp_path: Path) -> None:
    remote = add_remote(ours.repository, "origin", bucket_url)
    assert push(ours.repository, remote, "pets", "main").commits == 2
    theirs = clone(bucket_url, tmp_path / "theirs", ADA).repository
    assert theirs.dataset("pets").head == head(ours) and is_whole(theirs)
    said = say(theirs.dataset("pets"), "theirs")
    push(theirs, find_remote(theirs), "pets", "main")
    mine = say(ours, "ours", "images/1.txt")
    with pytest.raises(RefusedError):
        push(ours.repository, remote, "pets", "main")
    fetch(ours.repository, remote)
    ours.merge("origin/pets:main")
    push(ours.repository, remote, "pets", "main")
    fetch(theirs, find_remote(theirs))
    theirs.dataset("pets").merge("origin/pets:main")
    assert theirs.dataset("pets").head == head(ours)
    assert {said, mine} <= {logged.id for logged in ours.log()}
    there = Repository(open_place(bucket_url, None))
    assert is_whole(there)
    assert {name.split("/")[0] for name in bucket_server.objects(bucket_url)} == {"head", "packs", "index", "manifests"}


def test_a_whole_bucket_can_be_a_repository(bucket_server: Bucket, bucket_url: str, ours: Dataset) -> None:
    import urllib.request

    bucket = Bucket(bucket_server.endpoint, "only-pets")
    urllib.request.urlopen(urllib.request.Request(f"{bucket.endpoint}/{bucket.name}", method="PUT")).close()
    push(ours.repository, add_remote(ours.repository, "origin", "s3://only-pets"), "pets", "main")
    assert is_whole(Repository(open_place("s3://only-pets/", None)))


def test_places_that_are_no_remotes(bucket_server: Bucket, bucket_url: str, ours: Dataset) -> None:
    import obstore

    store, prefix = bucket_server.store(), bucket_url.split("/", 3)[3]
    obstore.put(store, f"{prefix}/full/thesis.pdf", b"x")
    obstore.put(store, f"{prefix}/deep/more/thesis.pdf", b"x")
    obstore.put(store, f"{prefix}/lost/packs/one", bytes(9000))
    obstore.put(store, f"{prefix}/begun/packs/one", bytes(10))
    told = {
        f"{bucket_url}/empty": ("holds no repository yet", False),
        f"{bucket_url}/begun": ("holds no repository yet", False),
        f"{bucket_url}/full": ("holds other files, and no dsvc repository", True),
        f"{bucket_url}/deep": ("holds other files, and no dsvc repository", True),
        f"{bucket_url}/lost": ("holds a repository's packs but no head, which names them", True),
        "s3://no-such-bucket/x": ("there is no such bucket", True),
    }
    for number, (url, (message, also_for_pushes)) in enumerate(told.items()):
        remote = add_remote(ours.repository, f"r{number}", url, local=True)
        with pytest.raises(RemoteError, match=message) as error:
            fetch(ours.repository, remote)
        assert error.value.message.startswith(f"remote r{number}: {url}") and error.value.hint
        if also_for_pushes:
            with pytest.raises(RemoteError, match=message):
                push(ours.repository, remote, "pets", "main")
        else:
            push(ours.repository, remote, "pets", "main")
            assert is_whole(Repository(open_place(url, None)))
    assert bucket_server.objects(f"{bucket_url}/full") == {"thesis.pdf": b"x"}


def test_opening_takes_one_request(bucket_server: Bucket, bucket_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with Proxy(bucket_server.endpoint) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        open_place(bucket_url, None, create=True).swap_head(None, b"x")
        proxy.reset()
        assert open_place(bucket_url, None).read_head() == b"x" and proxy.requests == 1


# ---- settings


def settings(dataset: Dataset, text: str, file: str = "dsvc.toml") -> Repository:
    root = dataset.repository.root
    assert root is not None
    with (root / file).open("a") as opened:
        opened.write(f"\n{text}\n")
    return dsvc.open(root, author=ADA)


def test_an_endpoint_of_the_team_s_file_needs_somebody_s_word(
    ours: Dataset, bucket_server: Bucket, bucket_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The environment leads elsewhere: what is used is the setting's, and only once it was agreed to."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    with Proxy(bucket_server.endpoint) as one, Proxy(bucket_server.endpoint) as other:
        add_remote(ours.repository, "origin", bucket_url, local=True)
        repository = settings(ours, f'[s3]\nendpoint = "{one.url}"')
        remote = find_remote(repository)
        assert not remote.is_team and not is_trusted(repository, remote)
        with pytest.raises(RefusedError) as error:
            push(repository, remote, "pets", "main")
        assert error.value.message == (
            f"remote origin leads to a place that came with the project: {bucket_url} at {one.url}"
        )
        assert error.value.hint == "if that is the right place, say --yes" and one.requests == 0
        trust(repository, remote)
        push(repository, remote, "pets", "main")
        assert one.requests > 0
        root = repository.root
        assert root is not None
        (root / "dsvc.toml").write_text(f'[s3]\nendpoint = "{other.url}"\n')
        moved = dsvc.open(root)
        with pytest.raises(RefusedError, match="leads to a place that came with the project"):
            fetch(moved, find_remote(moved))
        assert other.requests == 0
        # One's own file has the last word.
        own = settings(ours, f'[s3]\nendpoint = "{other.url}"', ".dsvc/workspace.toml")
        fetch(own, find_remote(own))
        assert other.requests > 0


def test_who_names_a_remote_agrees_to_its_endpoint(ours: Dataset, bucket_server: Bucket, bucket_url: str) -> None:
    repository = settings(ours, f'[s3]\nendpoint = "{bucket_server.endpoint}"')
    remote = add_remote(repository, "origin", bucket_url)
    assert is_trusted(repository, remote) and push(repository, remote, "pets", "main").commits == 2
    other = Remote("other", "gs://bucket/x", False)
    assert is_trusted(repository, other), "an endpoint of S3 says nothing of another cloud"


def test_an_account_of_the_team_s_file_is_agreed_to_like_an_endpoint(ours: Dataset) -> None:
    repository = settings(ours, '[az]\naccount = "evil"')
    remote = Remote("origin", "az://box/pets", False)
    with pytest.raises(RefusedError, match="az://box/pets at evil"):
        require_trusted(repository, remote)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[s3]\nsecret_access_key = "hunter2"', "secret_access_key under .s3. may be a secret"),
        ('[s3]\naccess_key_id = "hunter2"', "may be a secret"),
        ('[s3]\nSession_Token = "hunter2"', "may be a secret"),
        ('[az]\nsas = "hunter2"', "may be a secret"),
        ('[az]\naccount_key = "hunter2"', "may be a secret"),
        ('[s3]\nendpoint = "https://ada:hunter2@host"', "holds a secret"),
        ('[s3]\nregoin = "x"', "dsvc.toml: regoin under .s3. is no setting"),
        ("[s3]\nregion = 5", "region under .s3. is no text"),
        ('[s3]\nallow_http = "yes"', "allow_http under .s3. is neither true nor false"),
        ("[az]\naccount = 5", "account under .az. is no text"),
    ],
)
def test_settings_that_are_refused(text: str, told: str, ours: Dataset) -> None:
    repository = settings(ours, text)
    kind = text[1:3]
    remote = add_remote(repository, "origin", f"{kind}://bucket/x")
    with pytest.raises(RefusedError, match=told) as error:
        push(repository, remote, "pets", "main")
    assert "hunter2" not in f"{error.value.message}{error.value.hint}" and error.value.hint


def test_slow_uploads_are_waited_for_and_stalled_answers_are_not(
    bucket_server: Bucket, bucket_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dsvc.store.clouds._STALL", timedelta(seconds=0.15))
    monkeypatch.setattr("dsvc.store.attempts.PATIENCE", 0.0)
    with Proxy(bucket_server.endpoint) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        backend = open_place(bucket_url, None, create=True)
        proxy.bandwidth = 8 << 20
        upload = backend.create()
        upload.write(bytes(2 << 20))
        upload.finish("packs/one")
        proxy.bandwidth, proxy.latency = None, 0.5
        with pytest.raises(RemoteError, match="no answer in time"):
            backend.size("packs/one")


def test_whoever_waits_for_a_bucket_can_interrupt(
    bucket_server: Bucket, bucket_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Proxy(bucket_server.endpoint, latency=20) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)

        def interrupt() -> None:
            while not proxy.requests:
                time.sleep(0.01)
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

        threading.Thread(target=interrupt, daemon=True).start()
        began = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            open_place(bucket_url, None)
        assert time.monotonic() - began < 15, "before the answer came"


def test_a_head_that_another_one_makes_meanwhile_is_seen(
    bucket_server: Bucket, bucket_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefix = bucket_url.split("/", 3)[3]
    with Proxy(bucket_server.endpoint) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        rival = BucketBackend(bucket_server.store(), prefix)
        proxy.break_at(1, "delay", then=lambda: rival.swap_head(None, b"theirs"))
        assert open_place(bucket_url, None, create=True).read_head() == b"theirs"
