"""`dsvc status` of tracked folders beside `git status` of the same files, with nothing changed and with a few changes.

python tests/benchmarks/track.py
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

from measure import ENVIRONMENT, Bench, Row, dsvc, main

FOLDER_FILES = 1000
CHANGED = 10
# Git without helpers that look for changes in its place, and without a process that cleans up while we measure.
GIT = ["git", *("-c", "core.fsmonitor=false"), *("-c", "core.untrackedCache=false"), *("-c", "gc.auto=0")]


def prepare(folder: str, count: int) -> dict[str, Any]:
    """A project folder of many small files that Git and dsvc both have committed."""
    import dsvc

    project = Path(folder)
    for number in range(count):
        place = project / "data" / f"{number // FOLDER_FILES:03}"
        if number % FOLDER_FILES == 0:
            place.mkdir(parents=True)
        file = place / f"{number % FOLDER_FILES:04}.jpg"
        file.write_bytes(b"%d" % number)
        os.utime(file, (1_700_000_000 + number,) * 2)
    dataset = dsvc.init(folder, author=dsvc.Author("Benchmark", "benchmark@example.org")).create("files")
    dataset.add(project / "data")
    dataset.commit("add")
    git(folder, "init", "-q")
    git(folder, "config", "gc.auto", "0")  # or it packs in the background what is measured
    git(folder, "add", "data")
    git(folder, "-c", "user.name=B", "-c", "user.email=b@example.org", "commit", "-q", "-m", "add")
    return {}


def git(folder: str | Path, *arguments: str) -> None:
    subprocess.run([*GIT, *arguments], cwd=folder, check=True, env=ENVIRONMENT, capture_output=True)


def touch_some(folder: Path, count: int, round: int) -> None:
    """Give a few files, spread over the folders, other bytes."""
    for number in range(0, count, max(1, count // CHANGED)):
        path = folder / "data" / f"{number // FOLDER_FILES:03}" / f"{number % FOLDER_FILES:04}.jpg"
        path.write_bytes(b"changed %d %d" % (number, round))


def run(bench: Bench) -> list[Row]:
    count = bench.count(200_000)
    with bench.scratch() as folder:
        bench.child(__file__, "prepare", folder, count)
        if hasattr(os, "sync"):
            os.sync()  # what was prepared is still being written, which takes a processor away from both
        start, unchanged = _measure(bench, folder, "nothing changed")
        touch_some(folder, count, 1)
        _, changed = _measure(bench, folder, f"{CHANGED} files changed", start)
    return [unchanged, changed]


def _measure(bench: Bench, folder: Path, what: str, start: float | None = None) -> tuple[float, Row]:
    ours, gits, start_up = bench.medians(
        9,
        lambda: bench.process(dsvc("status"), folder),
        lambda: bench.process([*GIT, "status"], folder),
        lambda: bench.process(dsvc("--version"), folder),
    )
    row = Row(
        work=bench.label(f"200k files: status with {what}, beside Git's"),
        value=(ours - start_up) / gits,
        target=1.5,
        unit="x",
        measured="the whole process `dsvc status`, less `dsvc --version`, beside `git status`; both had looked before",
        times={
            "status": f"{ours * 1000:.0f} ms",
            "--version": f"{start_up * 1000:.0f} ms",
            "git": f"{gits * 1000:.0f} ms",
        },
    )
    return start_up, row


if __name__ == "__main__":
    main(run)
