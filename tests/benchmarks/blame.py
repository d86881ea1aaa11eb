"""The blame of one input among a million annotations, through 100 commits.

python tests/benchmarks/blame.py
"""

from __future__ import annotations

import shutil
import statistics
from time import perf_counter
from typing import Any

from measure import HERE, MB, Bench, Row, dsvc, main


def blame(folder: str, key: str) -> dict[str, Any]:
    begin = perf_counter()
    import dsvc

    found = dsvc.open(folder).dataset("coco").blame(key)
    return {"seconds": perf_counter() - begin, "records": len(found)}


def run(bench: Bench) -> list[Row]:
    commits = max(5, bench.count(100))
    with bench.scratch() as scratch:
        folder = scratch / "repository"
        shutil.copytree(bench.repository(1_000_000), folder)
        bench.child(HERE / "repositories.py", "change_again_and_again", folder, commits)
        key = bench.child(HERE / "repositories.py", "first_annotation", folder)["key"]
        rounds = [bench.child(__file__, "blame", folder, key) for _ in range(bench.repeats(5))]
        whole, start = bench.medians(
            5,
            lambda: bench.process(dsvc("blame", key), folder),
            lambda: bench.process(dsvc("--version"), folder),
        )
    assert all(found["records"] > 1 for found in rounds), rounds
    seconds = statistics.median(found["seconds"] for found in rounds)
    return [
        Row(
            work=bench.label("blame of one input among 1M, a commit"),
            value=seconds / (commits + 1) * 1000,
            target=20,
            unit="ms",
            measured=f"{commits + 1} commits, each of which changes 100 scattered annotations and all of that input, "
            "from `import dsvc` in a fresh process to the last record",
            times={"blame": f"{seconds * 1000:.0f} ms", "peak": f"{rounds[0]['peak'] / MB:.0f} MB"},
        ),
        Row(
            work=bench.label("`dsvc blame` of one input among 1M, over start-up, a commit"),
            value=(whole - start) / (commits + 1) * 1000,
            target=20,
            unit="ms",
            measured="the whole process, less the whole process `dsvc --version`",
            times={"blame": f"{whole * 1000:.0f} ms", "--version": f"{start * 1000:.0f} ms"},
        ),
    ]


if __name__ == "__main__":
    main(run)
