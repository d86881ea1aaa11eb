"""The metrics of 860,000 annotations: counted first, beside a plain walk, and again after one has changed.

python tests/benchmarks/metrics.py
"""

from __future__ import annotations

import shutil
import statistics
from pathlib import Path
from time import perf_counter
from typing import Any

from measure import HERE, MB, Bench, Row, main

FIRST, REFRESH, AGAIN = 1.5, 0.1, 0.2


def walk(folder: str) -> dict[str, Any]:
    state = _state(folder)
    begin = perf_counter()
    annotations = sum(len(sample.annotations) for sample in state.samples())
    return {"seconds": perf_counter() - begin, "annotations": annotations}


def count(folder: str) -> dict[str, Any]:
    state = _state(folder)
    begin = perf_counter()
    metrics = state.metrics()
    return {"seconds": perf_counter() - begin, "annotations": metrics.counts["annotations"]}


def refresh(folder: str, key: str, annotation: str, times: int) -> dict[str, Any]:
    """Count, then so many times: change one annotation, commit, count the new version."""
    from repositories import DATASET, author

    import dsvc

    dataset = dsvc.open(folder, author=author()).dataset(DATASET)
    dataset.at("HEAD").metrics()
    found = []
    for number in range(times):
        with dataset.edit() as draft:
            # Another value each time: a state that was there before would be known.
            draft.change_annotation(key, annotation, {"value": -number - 1})
        dataset.commit("change one")
        begin = perf_counter()
        metrics = dataset.at("HEAD").metrics()
        found.append(perf_counter() - begin)
        assert metrics.counts["negative_labels"] == 1
    return {"seconds": found}


def _state(folder: str) -> Any:
    from repositories import DATASET

    import dsvc

    return dsvc.open(folder).dataset(DATASET).at("@v1")


def run(bench: Bench) -> list[Row]:
    with bench.scratch() as scratch:
        folder = scratch / "repository"
        shutil.copytree(bench.repository(), folder)
        place = bench.child(HERE / "repositories.py", "first_annotation", folder)
        return [
            *_counts(bench, folder),
            _refresh(bench, folder, place["key"], place["annotation"]),
        ]


def _counts(bench: Bench, folder: Path) -> list[Row]:
    cache = folder / ".dsvc" / "cache"
    rounds = []
    for _ in range(bench.repeats(3)):
        shutil.rmtree(cache, ignore_errors=True)
        rounds.append([bench.child(__file__, name, folder) for name in ("walk", "count", "count")])
    assert len({found["annotations"] for one in rounds for found in one}) == 1
    walked, first, again = (statistics.median(found["seconds"] for found in side) for side in zip(*rounds, strict=True))
    size = sum(path.stat().st_size for path in cache.glob("metrics*"))
    times = {
        "count": f"{first:.2f} s",
        "walk": f"{walked:.2f} s",
        "peak": f"{rounds[0][1]['peak'] / MB:.0f} MB",
        "kept": f"{size / MB:.1f} MB",
    }
    measured = "`State.metrics()`, beside `for sample in state.samples()`, each in a fresh process"
    return [
        Row(bench.label("860k: the first count of all metrics"), first / walked, FIRST, "x", measured, times),
        Row(
            work=bench.label("860k: the metrics of a version that was counted, in another process"),
            value=again,
            target=AGAIN,
            unit="s",
            measured="`State.metrics()` in a fresh process",
            times={"again": f"{again * 1000:.0f} ms"},
        ),
    ]


def _refresh(bench: Bench, folder: Path, key: str, annotation: str) -> Row:
    found = bench.child(__file__, "refresh", folder, key, annotation, 2 * bench.repeats(5))["seconds"]
    return Row(
        work=bench.label("860k: the metrics of a new version, in which one annotation has changed"),
        value=statistics.median(found),
        target=REFRESH,
        unit="s",
        measured="`State.metrics()` of the new commit, in a process that counted the one before",
        times={"median": f"{statistics.median(found) * 1000:.0f} ms", "longest": f"{max(found) * 1000:.0f} ms"},
    )


if __name__ == "__main__":
    main(run)
