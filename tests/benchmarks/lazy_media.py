"""Exports with media over a slow link: from a clone without media, and straight from a remote.

python tests/benchmarks/lazy_media.py
"""

from __future__ import annotations

import os
import shutil
import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter
from typing import Any

from measure import MB, Bench, Row, main

from dsvc.store.local import LocalBackend

LATENCY = 0.020  # seconds before each answer
BANDWIDTH = 100e6  # bytes a second, of all requests together
PART = 8 << 20
THREADS = 6


class Link(LocalBackend):
    """A folder at the end of a link, with a count of its requests and bytes."""

    requests = 0
    bytes = 0
    _line = threading.Lock()

    def read(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        """Read after the latency, and for as long as the bytes take on the one line."""
        time.sleep(LATENCY)
        data = super().read(name, offset, length)
        with Link._line:
            Link.requests += 1
            Link.bytes += len(data)
            time.sleep(len(data) / BANDWIDTH)
        return data

    def read_head(self) -> bytes | None:
        """Read the head, a request too."""
        time.sleep(LATENCY)
        Link.requests += 1
        return super().read_head()


def prepare(images: str, folder: str) -> dict[str, Any]:
    """A remote that has the files in a commit, and a clone of it without media."""
    import dsvc
    from dsvc.remote.cloning import clone
    from dsvc.remote.sending import push
    from dsvc.remote.settings import add_remote

    ada = dsvc.Author("Benchmark", "benchmark@example.org")
    repository = dsvc.init(f"{folder}/ours", author=ada)
    dataset = repository.create("files")
    dataset.add(images, root=Path(images).parent)
    dataset.commit("add")
    push(repository, add_remote(repository, "origin", f"{folder}/store"))
    clone(f"{folder}/store", Path(folder) / "bare", ada, media=False)
    return {}


def export(folder: str, place: str) -> dict[str, Any]:
    """Export all with media, over the link."""
    import dsvc
    from dsvc.remote import caching, places

    places.LocalBackend = Link  # type: ignore[misc]
    caching.LocalBackend = ()  # type: ignore[assignment, misc] # it counts as distant, although it is a folder
    repository = dsvc.open(place)
    state = repository.dataset("files").at("HEAD")
    begin = perf_counter()
    state.export("coco", f"{folder}/out.zip", media=True)
    repository.store.close()
    seconds = perf_counter() - begin
    return {"seconds": seconds, "requests": Link.requests, "bytes": Link.bytes}


def transfer(folder: str, size: int) -> dict[str, Any]:
    """The floor: so many bytes over the link in big parts, several at once, and to one file until they are synced."""
    place = Path(folder) / "store"
    link = Link(place)
    parts = [
        (f"packs/{path.name}", at, min(PART, path.stat().st_size - at))
        for path in sorted((place / "packs").iterdir())
        for at in range(0, path.stat().st_size, PART)
    ]
    left, wanted = size, []
    for name, at, length in parts:
        wanted.append((name, at, min(length, left)))
        left -= length
        if left <= 0:
            break
    begin = perf_counter()
    with open(f"{folder}/floor", "wb") as file, ThreadPoolExecutor(THREADS) as pool:
        for data in pool.map(lambda part: link.read(*part), wanted):
            file.write(data)
        file.flush()
        os.fsync(file.fileno())
    return {"seconds": perf_counter() - begin, "requests": Link.requests}


def run(bench: Bench) -> list[Row]:
    images = bench.image_files(10_000)
    rounds = []
    with bench.scratch() as folder:
        bench.child(__file__, "prepare", images, folder)
        shutil.copytree(folder / "bare", folder / "fresh")
        for _ in range(bench.repeats(3)):
            lazy = bench.child(__file__, "export", folder, folder / "bare")
            direct_target = folder / "direct"
            direct_target.mkdir(exist_ok=True)
            direct = bench.child(__file__, "export", direct_target, (folder / "store").as_uri())
            floor = bench.child(__file__, "transfer", folder, lazy["bytes"])
            near = bench.child(__file__, "export", direct_target, folder / "ours")
            rounds.append((lazy, direct, floor, near))
            shutil.rmtree(direct_target)
            shutil.rmtree(folder / "bare")
            shutil.copytree(folder / "fresh", folder / "bare")
            (folder / "out.zip").unlink()
    return [
        _row(bench.label(f"export of 10k images, {word}"), [(one[at], one[2], one[3]) for one in rounds])
        for at, word in ((0, "media at a remote"), (1, "straight from a remote"))
    ]


def _row(work: str, rounds: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]]) -> Row:
    ours, floor, near = (statistics.median(side["seconds"] for side in column) for column in zip(*rounds, strict=True))
    first, plain, _ = rounds[0]
    return Row(
        work=work,
        value=statistics.median(one["seconds"] / (floor["seconds"] + near["seconds"]) for one, floor, near in rounds),
        target=1.2,
        unit="x",
        measured="beside the plain transfer of the same bytes over the same link (20 ms, 100 MB/s), and then the same "
        "export with all media here",
        times={
            "dsvc": f"{ours:.1f} s, {first['requests']} requests, {first['bytes'] / MB:.0f} MB",
            "peak memory": f"{first['peak'] / MB:.0f} MB",
            "transfer": f"{floor:.1f} s, {plain['requests']} requests",
            "export": f"{near:.1f} s",
        },
    )


if __name__ == "__main__":
    main(run)
