"""A filter over 860,000 annotations, for the first time and again, when its columns are kept in the cache folder.

python tests/benchmarks/filter.py
"""

from __future__ import annotations

import shutil
import statistics
from pathlib import Path
from time import perf_counter
from typing import Any

from measure import MB, Bench, Row, dsvc, main

TARGET, AGAIN = 2.0, 0.5
ANNOTATIONS, INPUTS = "concept = 'thing 1' and area > 1024", "concept = 'thing 1' and width > 600"


def match(folder: str, noun: str, where: str) -> dict[str, Any]:
    begin = perf_counter()
    import dsvc
    from dsvc.core.filters.query import match_annotations, match_inputs

    snapshot = dsvc.open(folder).dataset("coco").at("@v1").snapshot
    found = (match_inputs if noun == "inputs" else match_annotations)(snapshot, where)
    return {"seconds": perf_counter() - begin, "found": len(found)}


def run(bench: Bench) -> list[Row]:
    questions = (("annotations", ANNOTATIONS), ("inputs", INPUTS))
    with bench.scratch() as scratch:
        copy = scratch / "repository"
        shutil.copytree(bench.repository(), copy)
        rows = [_match(bench, copy, noun, where, kept) for kept in (False, True) for noun, where in questions]
        return [*rows, _remove(bench, copy)]


def _remove(bench: Bench, folder: Path) -> Row:
    command = dsvc("rm", "--annotations", "--where", ANNOTATIONS, "--dry-run")

    def first() -> float:
        _forget(folder)
        return bench.process(command, folder)

    whole, again, start = bench.medians(
        3, first, lambda: bench.process(command, folder), lambda: bench.process(dsvc("--version"), folder)
    )
    work = "`dsvc rm --annotations --where ... --dry-run` among 860k, over start-up"
    times = {"rm": f"{whole:.2f} s", "again": f"{again:.2f} s", "--version": f"{start * 1000:.0f} ms"}
    measured = "the whole process, less the whole process `dsvc --version`"
    return Row(bench.label(work), whole - start, TARGET, "s", measured, times)


def _match(bench: Bench, folder: Path, noun: str, where: str, kept: bool) -> Row:
    rounds = []
    for _ in range(bench.repeats(3)):
        _forget(folder)
        if kept:
            bench.child(__file__, "match", folder, noun, where)
        rounds.append(bench.child(__file__, "match", folder, noun, where))
    seconds = statistics.median(found["seconds"] for found in rounds)
    size = sum(path.stat().st_size for path in (folder / ".dsvc" / "cache").glob("columns*"))
    return Row(
        work=bench.label(f"filter over 860k annotations{', again' if kept else ''}, the {noun} where {where}"),
        value=seconds,
        target=AGAIN if kept else TARGET,
        unit="s",
        measured="from `import dsvc` in a fresh process to the sorted matches",
        times={
            "filter": f"{seconds:.2f} s",
            "matches": f"{rounds[0]['found']:,}",
            "peak": f"{rounds[0]['peak'] / MB:.0f} MB",
            "kept": f"{size / MB:.0f} MB",
        },
    )


def _forget(folder: Path) -> None:
    """Take away what is kept of earlier filters."""
    shutil.rmtree(folder / ".dsvc" / "cache", ignore_errors=True)


if __name__ == "__main__":
    main(run)
