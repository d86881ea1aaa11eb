"""Add and commit many small files, beside the floor (read, hash, append to one file, fsync) and beside `git add`.

python tests/benchmarks/add_files.py
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
from pathlib import Path
from time import perf_counter
from typing import Any

from measure import MB, Bench, Row, main


def with_dsvc(images: str, folder: str) -> dict[str, Any]:
    begin = perf_counter()
    import dsvc

    author = dsvc.Author("Benchmark", "benchmark@example.org")
    dataset = dsvc.init(folder, author=author).create("files")
    report = dataset.add(images, root=Path(images).parent)
    dataset.commit("add")
    seconds = perf_counter() - begin
    assert report.new == len(list(Path(images).rglob("*.jpg"))), report
    return {"seconds": seconds}


def floor(images: str, folder: str) -> dict[str, Any]:
    begin = perf_counter()
    from blake3 import blake3

    with open(Path(folder) / "all", "wb") as target:
        for place, _, names in os.walk(images):
            for name in names:
                with open(f"{place}/{name}", "rb") as file:
                    content = file.read()
                blake3(content).digest()
                target.write(content)
        target.flush()
        os.fsync(target.fileno())
    return {"seconds": perf_counter() - begin}


def with_git(images: str, folder: str) -> dict[str, Any]:
    git = ["git", f"--git-dir={folder}/.git", f"--work-tree={Path(images).parent}"]
    identity = ["-c", "user.name=Benchmark", "-c", "user.email=benchmark@example.org"]
    subprocess.run(["git", "init", "--quiet", folder], check=True)
    begin = perf_counter()
    subprocess.run([*git, "add", images], check=True)
    subprocess.run([*git, *identity, "commit", "--quiet", "-m", "add"], check=True)
    return {"seconds": perf_counter() - begin}


def run(bench: Bench) -> list[Row]:
    images = bench.image_files()

    def side(function: str) -> dict[str, Any]:
        os.sync()  # what the other side left to be written must not slow this one
        with bench.scratch() as folder:
            return bench.child(__file__, function, images, folder)

    side("floor")  # the files are in the system's cache from here on, for every side
    rounds = [(side("with_dsvc"), side("floor")) for _ in range(bench.repeats(3))]
    ours, least = (statistics.median(found["seconds"] for found in column) for column in zip(*rounds, strict=True))
    peak = max(found["peak"] for found, _ in rounds)
    rows = [
        Row(
            work=bench.label("20k files: add + commit"),
            value=statistics.median(a["seconds"] / b["seconds"] for a, b in rounds),
            target=2,
            unit="x",
            measured="beside the floor: read, BLAKE3, append to one file, fsync, in one thread",
            times={"dsvc": f"{ours:.1f} s, {peak / MB:.0f} MB", "floor": f"{least:.1f} s"},
        )
    ]
    if shutil.which("git"):
        git = side("with_git")["seconds"]
        rows.append(
            Row(
                work=bench.label("20k files: add + commit, beside Git"),
                value=ours / git,
                target=0.2,
                unit="x",
                measured="beside `git add` and `git commit` of the same files",
                times={"dsvc": f"{ours:.1f} s", "git": f"{git:.1f} s"},
            )
        )
    return rows


if __name__ == "__main__":
    main(run)
