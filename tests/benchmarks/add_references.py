"""Add references to many files without reading them, beside one look at every file: `os.scandir` and stat.

python tests/benchmarks/add_references.py
"""

from __future__ import annotations

import os
import statistics
from pathlib import Path
from time import perf_counter
from typing import Any

from measure import MB, Bench, Row, main

IN_FOLDER = 1000


def make(folder: str, count: int) -> dict[str, Any]:
    """So many nearly empty files in folders of a thousand."""
    for first in range(0, count, IN_FOLDER):
        place = Path(folder) / f"batch-{first // IN_FOLDER:03}"
        place.mkdir(parents=True)
        for number in range(first, min(first + IN_FOLDER, count)):
            with open(f"{place}/{number:08}.jpg", "wb") as file:
                file.write(b"\xff\xd8\xff")
    return {}


def with_dsvc(images: str, folder: str) -> dict[str, Any]:
    begin = perf_counter()
    import dsvc

    dataset = dsvc.init(folder, author=dsvc.Author("Benchmark", "benchmark@example.org")).create("files")
    report = dataset.add_references(images, hash=False)
    seconds = perf_counter() - begin
    assert report.new and not report.problems, report
    return {"seconds": seconds, "count": report.new}


def floor(images: str, folder: str) -> dict[str, Any]:
    begin = perf_counter()
    stack, count = [images], 0
    while stack:
        with os.scandir(stack.pop()) as found:
            for entry in found:
                if entry.is_dir(follow_symlinks=False):
                    stack.append(entry.path)
                else:
                    entry.stat(follow_symlinks=False)
                    count += 1
    return {"seconds": perf_counter() - begin, "count": count}


def run(bench: Bench) -> list[Row]:
    with bench.scratch() as workload:
        images = workload / "images"
        bench.child(__file__, "make", images, bench.count(200_000))

        def side(function: str) -> dict[str, Any]:
            os.sync()  # what the other side left to be written must not slow this one
            with bench.scratch() as folder:
                return bench.child(__file__, function, images, folder)

        side("floor")  # the system knows the files from here on, for every side
        rounds = [(side("with_dsvc"), side("floor")) for _ in range(bench.repeats(5))]
    assert all(ours["count"] == least["count"] for ours, least in rounds)
    ours, least = (statistics.median(found["seconds"] for found in column) for column in zip(*rounds, strict=True))
    peak = max(found["peak"] for found, _ in rounds)
    return [
        Row(
            work=bench.label("200k references: add --reference --no-hash"),
            value=statistics.median(a["seconds"] / b["seconds"] for a, b in rounds),
            target=3,
            unit="x",
            measured="beside `os.scandir` and a stat of every file of the same tree",
            times={"dsvc": f"{ours:.2f} s, {peak / MB:.0f} MB", "floor": f"{least:.2f} s"},
        )
    ]


if __name__ == "__main__":
    main(run)
