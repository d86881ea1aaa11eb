"""What a bucket is asked: a push of one annotation more, a cold log of many packs, a clone; many small commits' files.

python tests/benchmarks/remote_requests.py
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

from measure import MB, Bench, Row, main
from measure import dsvc as dsvc_command

PUSHES = 8
PACKS = 1000


@contextmanager
def bucket() -> Iterator[tuple[Any, Any, str]]:
    """A bucket of an S3 server on loopback, a proxy before it, and a place there; the environment finds the proxy."""
    sys.path.insert(0, str(Path(__file__).parents[2]))
    from tests.remote.buckets import serving
    from tests.remote.proxy import Proxy

    with serving() as served, Proxy(served.endpoint) as proxy:
        os.environ.update(served.at(proxy.url).environment)
        yield served, proxy, served.new_url()


def share(project: str) -> dict[str, Any]:
    """Pushes a project, then one annotation more at a time; clones it. The requests and bytes of each."""
    import dsvc
    from dsvc.model.records import split_annotation_key
    from dsvc.remote.cloning import clone
    from dsvc.remote.sending import push
    from dsvc.remote.settings import add_remote, find_remote

    author = dsvc.Author("Benchmark", "benchmark@example.org")
    with bucket() as (_, proxy, url):
        add_remote(dsvc.open(project), "origin", url)
        pushes = []
        for number in range(PUSHES + 1):
            repository = dsvc.open(project, author=author)  # as another process does
            dataset = repository.dataset()
            if number:
                tree = dataset.at().snapshot.annotation_tree
                key, annotation = split_annotation_key(tree.at(len(tree) // 2)[0])
                with dataset.edit() as draft:
                    draft.change_annotation(key, annotation, {"status": f"number {number}"})
                dataset.commit(f"number {number}")
            proxy.reset()
            push(repository, find_remote(repository))
            pushes.append([proxy.requests, proxy.bytes_up + proxy.bytes_down])
        proxy.reset()
        clone(url, Path(project).with_name("theirs"), author)
        return {"pushes": pushes[1:], "first": pushes[0], "clone": [proxy.requests, proxy.bytes_down]}


def log(folder: str, packs: int) -> dict[str, Any]:
    """A cold log of a repository in a bucket that has so many packs and commits; its requests."""
    import obstore

    import dsvc
    from dsvc.store import merge

    merge.packs_to_fold = lambda packs, size: []  # as if each pack were a full one
    repository = dsvc.init(f"{folder}/many", author=dsvc.Author("Benchmark", "benchmark@example.org"))
    dataset = repository.create("files")
    file = Path(folder, "many", "file.txt")
    for number in range(packs):
        file.write_text(f"number {number}")
        with dataset.edit() as draft:
            draft.add(file)
        dataset.commit(f"number {number}")
    names = repository.store.backend.names()
    with bucket() as (served, proxy, url):
        for name in [*names, "head"]:
            obstore.put(served.store(), f"{url.split('/', 3)[3]}/{name}", Path(folder, "many", ".dsvc", name))
        proxy.reset()
        environment = {**os.environ, "XDG_CACHE_HOME": f"{folder}/cache"}
        command = dsvc_command("-R", url, "log", "--oneline")
        done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
        assert len(done.stdout.splitlines()) == packs
        held = sum(name.startswith("packs/") for name in names)
        return {"requests": proxy.requests, "packs": held, "bytes": proxy.bytes_down}


def commits(count: int) -> dict[str, Any]:
    """Many small transactions; the most packs and segments that there were at any time."""
    import random

    from dsvc.store.ids import Kind
    from dsvc.store.memory import MemoryBackend
    from dsvc.store.objects import ObjectStore

    backend, rng, packs, segments = MemoryBackend(), random.Random(1), 0, 0
    store = ObjectStore.create(backend)
    begin = perf_counter()
    for _ in range(count):
        with store.writer() as writer:
            for _ in range(4):
                writer.put(Kind.NODE, rng.randbytes(3500))
            writer.put(Kind.BLOB, rng.randbytes(300))
            writer.history.put(Kind.NODE, rng.randbytes(900))
            writer.put(Kind.COMMIT, rng.randbytes(300))
            writer.publish(writer.put(Kind.OPERATION, rng.randbytes(200)))
        packs = max(packs, len(backend.names("packs/")))
        segments = max(segments, len(backend.names("index/")))
    return {"packs": packs, "segments": segments, "seconds": perf_counter() - begin}


def run(bench: Bench) -> list[Row]:
    with bench.scratch() as folder:
        shutil.copytree(bench.repository(), folder / "ours")
        shared = bench.child(__file__, "share", folder / "ours")
        packs = bench.count(PACKS)
        logged = bench.child(__file__, "log", folder, packs)
    small = bench.child(__file__, "commits", bench.count(10_000))
    requests = max(requests for requests, _ in shared["pushes"])
    sizes = sorted(size / 1000 for _, size in shared["pushes"])
    pushed = {"each": ", ".join(f"{requests}: {size / 1000:.0f} kB" for requests, size in shared["pushes"])}
    what = "requests that pass a proxy before an S3 server"
    cloned = {"clone": f"{shared['clone'][0]} requests, {shared['clone'][1] / MB:.0f} MB"}
    told = {"log": f"{logged['packs']:,} packs, {logged['bytes'] / 1000:.0f} kB"}
    push, small_commits = "860k: push of one annotation more to a bucket", f"{bench.count(10_000):,} small commits"
    most = "the most at any time"
    rows = [
        (push, requests, 8, "requests", what, pushed),
        (f"{push}, median", sizes[len(sizes) // 2], 200, "kB", "bytes both ways", pushed),
        ("860k: clone of a bucket", shared["clone"][0], 200, "requests", what, cloned),
        (f"a cold `dsvc -R URL log`, {packs:,} commits", logged["requests"], 6, "requests", what, told),
        (f"{small_commits}: packs", small["packs"], 30, "packs", most, {}),
        (f"{small_commits}: segments", small["segments"], 30, "segments", most, {}),
    ]
    return [
        Row(bench.label(work), float(value), target, unit, how, times) for work, value, target, unit, how, times in rows
    ]


if __name__ == "__main__":
    main(run)
