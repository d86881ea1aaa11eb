"""Collect a repository of a million objects, a quarter of them garbage, beside reading the same bytes.

python tests/benchmarks/gc.py
"""

from __future__ import annotations

import random
import shutil
import statistics
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

from measure import MB, Bench, Row, folder_size, main

OBJECTS = 1_000_000


def make(folder: str, objects: int) -> dict[str, Any]:
    """A repository of about so many objects: four fifths are small media, the rest is the structure of commits that
    change inputs here and there. A quarter of all belongs to a branch that was deleted."""
    import dsvc

    repository = dsvc.init(folder, author=dsvc.Author("Benchmark", "benchmark@example.org"))
    dataset, rng = repository.create("files"), random.Random(1)
    add(dataset, range(objects * 3 // 5))
    edit(dataset, objects * 3 // 20, objects * 3 // 5, rng)
    dataset.create_branch("side")
    side = repository.dataset("files", "side")
    add(side, range(objects * 3 // 5, objects * 4 // 5))
    edit(side, objects // 20, objects * 4 // 5, rng)
    dataset.delete_branch("side", force=True)
    segments = repository.store.state.catalog.manifest.segments
    return {"objects": sum(segment.rows for segment in segments)}


def add(dataset: Any, numbers: range) -> None:
    """A commit of inputs with media of their own."""
    from dsvc.model.records import Media
    from dsvc.store.ids import Kind

    media = {}
    with dataset.edit() as draft:
        for number in numbers:
            data = b"media %d" % number
            blob = draft.transaction.writer.put(Kind.BLOB, data)
            media[f"{number % 997:03}/{number:08}.jpg"] = Media(blob=blob, type="image/jpeg", size=len(data))
        draft.put_media(media)
    dataset.commit("add")


def edit(dataset: Any, nodes: int, inputs: int, rng: random.Random) -> None:
    """Commits that change inputs here and there, until there are so many nodes more."""
    each = max(1, min(2000, inputs // 100))
    for number in range(max(1, nodes // each)):
        chosen = (rng.randrange(inputs) for _ in range(each))
        with dataset.edit() as draft:
            from dsvc.model.records import Media

            draft.put_media(
                {f"{one % 997:03}/{one:08}.jpg": Media(type="image/jpeg", size=rng.randrange(10**6)) for one in chosen}
            )
        dataset.commit(f"edit {number}")


def collect(folder: str) -> dict[str, Any]:
    """Collect all that nothing reaches now."""
    import dsvc

    repository = dsvc.open(folder)
    begin, cpu = perf_counter(), process_time()
    plan = repository.collect(keep=0, grace=0)
    spent = {"seconds": perf_counter() - begin, "cpu": process_time() - cpu}
    return {**spent, "freed": plan.freed.number, "objects": plan.objects}


def read(folder: str) -> dict[str, Any]:
    """Read all files."""
    begin, size = perf_counter(), 0
    for path in Path(folder, ".dsvc").rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                while data := file.read(1 << 20):
                    size += len(data)
    return {"seconds": perf_counter() - begin, "size": size}


def run(bench: Bench) -> list[Row]:
    times: list[tuple[float, float, float]] = []
    peak, objects, freed = 0, 0, 0
    with bench.scratch() as scratch:
        made, folder = scratch / "made", scratch / "collected"
        bench.child(__file__, "make", made, bench.count(OBJECTS))
        size = folder_size(made / ".dsvc")
        for _ in range(bench.repeats(3)):
            shutil.copytree(made, folder)
            plain = bench.child(__file__, "read", folder)
            done = bench.child(__file__, "collect", folder)
            times.append((done["seconds"], plain["seconds"], done["cpu"]))
            peak, objects, freed = max(peak, done["peak"]), done["objects"], done["freed"]
            assert freed > 0
            shutil.rmtree(folder)
    seconds, plain_seconds, cpu = (statistics.median(column) for column in zip(*times, strict=True))
    return [
        Row(
            work=bench.label("1M objects: gc"),
            value=seconds,
            target=20,
            unit="s",
            measured="a collection that keeps the present alone, of media and history of which a quarter goes",
            times={
                "objects": f"{objects:,}",
                "freed": f"{freed:,}",
                "gc": f"{seconds:.1f} s",
                "of which on the processor": f"{cpu:.1f} s",
                f"reading the same {size / MB:.0f} MB": f"{plain_seconds:.2f} s",
                "ratio": f"{seconds / plain_seconds:.0f} x",
                "peak memory": f"{peak / MB:.0f} MB",
            },
        )
    ]


if __name__ == "__main__":
    main(run)
