"""The diff of two versions that differ in 1,000 of a million annotations.

python tests/benchmarks/diff.py
"""

from __future__ import annotations

import shutil
import statistics
from time import perf_counter
from typing import Any

from measure import HERE, MB, Bench, Row, dsvc, main


def diff(folder: str) -> dict[str, Any]:
    begin = perf_counter()
    import dsvc

    found = sum(1 for _ in dsvc.open(folder).dataset("coco").diff("@v1", "@v2"))
    return {"seconds": perf_counter() - begin, "changes": found}


def run(bench: Bench) -> list[Row]:
    changes = bench.count(1000)
    with bench.scratch() as scratch:
        folder = scratch / "repository"
        shutil.copytree(bench.repository(1_000_000), folder)
        bench.child(HERE / "repositories.py", "change_annotations", folder, changes, False)
        rounds = [bench.child(__file__, "diff", folder) for _ in range(bench.repeats(5))]
        whole, start = bench.medians(
            5,
            lambda: bench.process(dsvc("diff", "--stat", "@v1", "@v2"), folder),
            lambda: bench.process(dsvc("--version"), folder),
        )
    assert all(found["changes"] == changes for found in rounds), rounds
    seconds = statistics.median(found["seconds"] for found in rounds)
    return [
        Row(
            work=bench.label("diff of 1,000 changes among 1M"),
            value=seconds,
            target=0.5,
            unit="s",
            measured="scattered changes of annotations, from `import dsvc` in a fresh process to the last change",
            times={"diff": f"{seconds * 1000:.0f} ms", "peak": f"{rounds[0]['peak'] / MB:.0f} MB"},
        ),
        Row(
            work=bench.label("`dsvc diff --stat` of 1,000 changes among 1M, over start-up"),
            value=whole - start,
            target=0.5,
            unit="s",
            measured="the whole process, less the whole process `dsvc --version`",
            times={"diff": f"{whole * 1000:.0f} ms", "--version": f"{start * 1000:.0f} ms"},
        ),
    ]


if __name__ == "__main__":
    main(run)
