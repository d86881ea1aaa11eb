"""Import a large COCO file that is in the dataset already, beside reading it with the same reader, storing nothing.

python tests/benchmarks/reimport.py [--annotations 860001]
"""

from __future__ import annotations

import statistics
from pathlib import Path
from time import perf_counter
from typing import Any

from measure import MB, Bench, Row, main


def again(source: str, folder: str) -> dict[str, Any]:
    """Import the file into a repository that has it, as the source that it is."""
    begin = perf_counter()
    import dsvc

    dataset = dsvc.open(folder).dataset("coco")
    report = dataset.import_(source, source=Path(source).stem)
    seconds = perf_counter() - begin
    assert report.again and not report.changed and not dataset.has_draft()
    return {"seconds": seconds}


def parse(source: str) -> dict[str, Any]:
    """Read the file to records as they are stored: concepts, inputs, annotations with their ids."""
    begin = perf_counter()
    import mmap

    from dsvc.core.registry import importer
    from dsvc.model.records import encode_concept, encode_input

    path = Path(source)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        data = memoryview(mapped)
        incoming = importer("coco", path, data).open(data, path.name)
        concepts = [(one.id, encode_concept(one)) for one in incoming.concepts()]
        inputs = [(one.key, encode_input(one)) for one in incoming.inputs()]
        annotations = [entry for batch in incoming.annotations() for entry in batch]
        seconds = perf_counter() - begin
        assert concepts and inputs and annotations
        del incoming
        data.release()
    return {"seconds": seconds}


def run(bench: Bench) -> list[Row]:
    source, folder = bench.coco_file(), bench.repository()
    times, memory = [], []
    for _ in range(bench.repeats(3)):
        ours = bench.child(__file__, "again", source, folder)
        theirs = bench.child(__file__, "parse", source)
        times.append((ours["seconds"], theirs["seconds"]))
        memory.append((ours["peak"] / MB, theirs["peak"] / MB))
    return [
        Row(
            work=bench.label("860k: import the same file again"),
            value=statistics.median(a / b for a, b in times),
            target=1.2,
            unit="x",
            measured="beside reading it to records with the same reader, storing nothing",
            times={
                "dsvc import": f"{statistics.median(a for a, _ in times):.1f} s, "
                f"{statistics.median(a for a, _ in memory):.0f} MB",
                "reading": f"{statistics.median(b for _, b in times):.1f} s, "
                f"{statistics.median(b for _, b in memory):.0f} MB",
            },
        )
    ]


if __name__ == "__main__":
    main(run)
