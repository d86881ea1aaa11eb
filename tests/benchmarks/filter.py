"""A filter over 860,000 annotations.

python tests/benchmarks/filter.py
"""

from __future__ import annotations

import shutil
import statistics
from time import perf_counter
from typing import Any

from measure import MB, Bench, Row, dsvc, main

TARGET = 2.0
ANNOTATIONS, INPUTS = "concept = 'thing 1' and area > 1024", "concept = 'thing 1' and width > 600"


def match(folder: str, noun: str, where: str) -> dict[str, Any]:
    begin = perf_counter()
    import dsvc
    from dsvc.core.filters.query import match_annotations, match_inputs

    snapshot = dsvc.open(folder).dataset("coco").at("@v1").snapshot
    found = (match_inputs if noun == "inputs" else match_annotations)(snapshot, where)
    return {"seconds": perf_counter() - begin, "found": len(found)}


def run(bench: Bench) -> list[Row]:
    folder = bench.repository()
    questions = (("annotations", ANNOTATIONS), ("inputs", INPUTS))
    rows = [_match(bench, str(folder), noun, where) for noun, where in questions]
    with bench.scratch() as scratch:
        copy = scratch / "repository"
        shutil.copytree(folder, copy)
        command = dsvc("rm", "--annotations", "--where", ANNOTATIONS, "--dry-run")
        whole, start = bench.medians(
            3, lambda: bench.process(command, copy), lambda: bench.process(dsvc("--version"), copy)
        )
    work = "`dsvc rm --annotations --where ... --dry-run` among 860k, over start-up"
    times = {"rm": f"{whole:.2f} s", "--version": f"{start * 1000:.0f} ms"}
    measured = "the whole process, less the whole process `dsvc --version`"
    rows.append(Row(bench.label(work), whole - start, TARGET, "s", measured, times))
    return rows


def _match(bench: Bench, folder: str, noun: str, where: str) -> Row:
    rounds = [bench.child(__file__, "match", folder, noun, where) for _ in range(bench.repeats(3))]
    seconds = statistics.median(found["seconds"] for found in rounds)
    return Row(
        work=bench.label(f"filter over 860k annotations, the {noun} where {where}"),
        value=seconds,
        target=TARGET,
        unit="s",
        measured="from `import dsvc` in a fresh process to the sorted matches",
        times={
            "filter": f"{seconds:.2f} s",
            "matches": f"{rounds[0]['found']:,}",
            "peak": f"{rounds[0]['peak'] / MB:.0f} MB",
        },
    )


if __name__ == "__main__":
    main(run)
