"""The merge of two branches that changed 1,000 of a million annotations each, beside the diff of the two.

python tests/benchmarks/merge.py
"""

from __future__ import annotations

import shutil
import statistics
from time import perf_counter
from typing import Any

from measure import HERE, MB, Bench, Row, main
from repositories import DATASET, author


def diff(folder: str) -> dict[str, Any]:
    """Compare the two branches."""
    begin = perf_counter()
    import dsvc

    found = sum(1 for _ in dsvc.open(folder).dataset(DATASET).diff("coco:main", "coco:side"))
    return {"seconds": perf_counter() - begin, "records": found}


def merge(folder: str) -> dict[str, Any]:
    """Merge the one into the other, durably; then take it back."""
    begin = perf_counter()
    import dsvc

    repository = dsvc.open(folder, author=author())
    made = repository.dataset(DATASET).merge("coco:side")
    seconds = perf_counter() - begin
    repository.undo()
    return {"seconds": seconds, "records": made.report.annotations.changed, "conflicts": made.conflicts}


def run(bench: Bench) -> list[Row]:
    changes = bench.count(1000)
    with bench.scratch() as scratch:
        folder = scratch / "repository"
        shutil.copytree(bench.repository(1_000_000), folder)
        bench.child(HERE / "repositories.py", "diverge", folder, changes)
        rounds = [
            (bench.child(__file__, "merge", folder), bench.child(__file__, "diff", folder))
            for _ in range(bench.repeats(5))
        ]
    for merged, differ in rounds:
        assert (merged["records"], merged["conflicts"], differ["records"]) == (changes, 0, 2 * changes), rounds
    seconds, floor = (statistics.median(side["seconds"] for side in column) for column in zip(*rounds, strict=True))
    peak = max(merged["peak"] for merged, _ in rounds)
    return [
        Row(
            work=bench.label("merge of 1,000 changes on either side among 1M"),
            value=seconds / floor,
            target=3,
            unit="x",
            measured="merge and commit, durable, beside the diff of the branches; scattered changes, each "
            "from `import dsvc` in a fresh process",
            times={
                "merge": f"{seconds * 1000:.0f} ms",
                "diff": f"{floor * 1000:.0f} ms",
                "peak": f"{peak / MB:.0f} MB",
            },
        )
    ]


if __name__ == "__main__":
    main(run)
