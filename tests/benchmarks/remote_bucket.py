"""Push to an S3 server on this machine and clone from there, beside plain transfers of the same bytes.

python tests/benchmarks/remote_bucket.py

The server is moto's, in a process of its own. Requests are counted in a round of their own, by a proxy.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter
from typing import Any

from measure import MB, Bench, Row, folder_size, main

sys.path.insert(0, str(Path(__file__).parents[1]))

PART = 64 << 20
HANDS = 3  # parts that are on their way at once, as many as a push sends
BUCKET = "datasets"


def prepare(images: str, project: str) -> dict[str, Any]:
    """A project that has the files in a commit."""
    import dsvc

    repository = dsvc.init(project, author=dsvc.Author("Benchmark", "benchmark@example.org"))
    dataset = repository.create("files")
    dataset.add(images, root=Path(images).parent)
    dataset.commit("add")
    return {}


def push(project: str, url: str, environment: dict[str, str]) -> dict[str, Any]:
    """Push all to a place where nothing is."""
    import dsvc
    from dsvc.remote.sending import push
    from dsvc.remote.settings import add_remote, list_remotes, remove_remote

    os.environ |= environment
    repository = dsvc.open(project)
    for remote in list_remotes(repository):
        remove_remote(repository, remote.name)
    remote = add_remote(repository, "origin", url, local=True)
    begin = perf_counter()
    sent = push(repository, remote)
    seconds = perf_counter() - begin
    assert sent.commits > 0
    return {"seconds": seconds, "bytes": sent.bytes}


def clone(url: str, folder: str, environment: dict[str, str]) -> dict[str, Any]:
    """Clone the structure."""
    from dsvc.remote.cloning import clone

    os.environ |= environment
    begin = perf_counter()
    done = clone(url, Path(folder), media=False)
    seconds = perf_counter() - begin
    assert done.fetched.commits > 0
    return {"seconds": seconds, "bytes": done.fetched.bytes}


def put_parts(images: str, environment: dict[str, str]) -> dict[str, Any]:
    """The floor of a push: the files' bytes, joined to parts of 64 MiB, put several at once."""
    import obstore

    store = _store(environment)
    begin = perf_counter()

    def put(part: tuple[int, bytes]) -> None:
        obstore.put(store, f"parts/{part[0]}", part[1], use_multipart=False)

    with ThreadPoolExecutor(HANDS) as pool:
        waiting = []
        for part in enumerate(_parts(images)):
            waiting.append(pool.submit(put, part))
            if len(waiting) > HANDS:
                waiting.pop(0).result()
        for one in waiting:
            one.result()
    return {"seconds": perf_counter() - begin}


def _parts(images: str) -> Iterator[bytes]:
    part = bytearray()
    for path in _files(images):
        part += path.read_bytes()
        if len(part) >= PART:
            yield bytes(part)
            part.clear()
    yield bytes(part)


def _files(images: str) -> list[Path]:
    return sorted(path for path in Path(images).rglob("*") if path.is_file())


def put_one_by_one(images: str, environment: dict[str, str]) -> dict[str, Any]:
    """What a copy of the folder does: a request for every file."""
    import obstore

    store, files = _store(environment), _files(images)
    begin = perf_counter()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda path: obstore.put(store, f"files/{path.name}", path.read_bytes()), files))
    return {"seconds": perf_counter() - begin, "requests": len(files)}


def get_packs(url: str, target: str, environment: dict[str, str]) -> dict[str, Any]:
    """The floor of a clone: the packs' bytes to one file, several at once, until they are on the disk."""
    import obstore

    store = _store(environment)
    prefix = url.split("/", 3)[3] + "/packs"
    found = [meta for batch in obstore.list(store, prefix=prefix) for meta in batch]
    begin = perf_counter()
    with ThreadPoolExecutor(HANDS) as pool, open(target, "wb") as file:
        for data in pool.map(lambda meta: obstore.get(store, meta["path"]).bytes(), found):
            file.write(memoryview(data))
        file.flush()
        os.fsync(file.fileno())
    return {"seconds": perf_counter() - begin}


def _store(environment: dict[str, str]) -> Any:
    from obstore.store import S3Store

    return S3Store(
        BUCKET,
        endpoint=environment["AWS_ENDPOINT_URL"],
        region=environment["AWS_REGION"],
        access_key_id=environment["AWS_ACCESS_KEY_ID"],
        secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        client_options={"allow_http": True},
    )


@contextlib.contextmanager
def serving() -> Iterator[str]:
    """A server with a bucket, in a process of its own; its endpoint."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    endpoint = f"http://127.0.0.1:{port}"
    try:
        for _ in range(200):
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port)).close()
                break
            time.sleep(0.1)
        empty(endpoint)
        yield endpoint
    finally:
        server.terminate()
        server.wait()


def empty(endpoint: str) -> None:
    """Forget all that the server holds, and make the bucket."""
    urllib.request.urlopen(urllib.request.Request(f"{endpoint}/moto-api/reset", method="POST")).close()
    urllib.request.urlopen(urllib.request.Request(f"{endpoint}/{BUCKET}", method="PUT")).close()


def environment_of(endpoint: str) -> dict[str, str]:
    """What finds the server."""
    from remote.buckets import Bucket

    return Bucket(endpoint, BUCKET).environment


def run(bench: Bench) -> list[Row]:
    with serving() as endpoint, bench.scratch() as folder:
        rows = _push(bench, endpoint, folder)
        empty(endpoint)
        rows.append(_clone(bench, endpoint, folder))
    return rows


def _push(bench: Bench, endpoint: str, folder: Path) -> list[Row]:
    from remote.proxy import Proxy

    images, project, environment = bench.image_files(), folder / "ours", environment_of(endpoint)
    bench.child(__file__, "prepare", images, project)
    rounds = []
    for number in range(bench.repeats(3)):
        empty(endpoint)
        floor = bench.child(__file__, "put_parts", images, environment)
        empty(endpoint)
        ours = bench.child(__file__, "push", project, f"s3://{BUCKET}/{number}", environment)
        rounds.append((ours, floor))
    empty(endpoint)
    single = bench.child(__file__, "put_one_by_one", images, environment)
    empty(endpoint)
    with Proxy(endpoint) as proxy:
        bench.child(__file__, "push", project, f"s3://{BUCKET}/counted", environment_of(proxy.url))
        requests = proxy.requests
    ours, floor = (statistics.median(side["seconds"] for side in column) for column in zip(*rounds, strict=True))
    peak = max(found["peak"] for found, _ in rounds)
    return [
        Row(
            work=bench.label("20k files: push to an S3 server"),
            value=statistics.median(a["seconds"] / b["seconds"] for a, b in rounds),
            target=1.5,
            unit="x",
            measured="beside putting the same bytes in parts of 64 MiB, three at once",
            times={
                "dsvc": f"{ours:.1f} s, {peak / MB:.0f} MB",
                "parts": f"{floor:.1f} s",
                "one by one": f"{single['seconds']:.1f} s",
            },
        ),
        Row(
            work=bench.label("20k files: requests of a push to an S3 server"),
            value=100 * requests / single["requests"],
            target=1,
            unit="%",
            measured="beside one for each file",
            times={"dsvc": f"{requests} requests", "one by one": f"{single['requests']:,}"},
        ),
    ]


def _clone(bench: Bench, endpoint: str, folder: Path) -> Row:
    environment, url = environment_of(endpoint), f"s3://{BUCKET}/structure"
    project = folder / "records"
    shutil.copytree(bench.repository(), project)
    bench.child(__file__, "push", project, url, environment)
    rounds = []
    for _ in range(bench.repeats(3)):
        os.sync()
        floor = bench.child(__file__, "get_packs", url, folder / "plain", environment)
        ours = bench.child(__file__, "clone", url, folder / "copy", environment)
        rounds.append((ours, floor))
        size = folder_size(folder / "copy" / ".dsvc" / "packs")
        shutil.rmtree(folder / "copy")
    ours, floor = (statistics.median(side["seconds"] for side in column) for column in zip(*rounds, strict=True))
    peak = max(found["peak"] for found, _ in rounds)
    return Row(
        work=bench.label("860k: clone --no-media from an S3 server"),
        value=statistics.median(a["seconds"] / b["seconds"] for a, b in rounds),
        target=1.5,
        unit="x",
        measured=f"beside the plain transfer of its {size / MB:.0f} MB of packs to a file",
        times={"dsvc": f"{ours:.2f} s, {peak / MB:.0f} MB", "transfer": f"{floor:.2f} s"},
    )


if __name__ == "__main__":
    main(run)
