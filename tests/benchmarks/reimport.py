"""Import a large COCO file that is in the dataset already, beside reading it with the same reader, storing nothing.

python tests/benchmarks/reimport.py [--annotations 860001]
"""

from __future__ import annotations

import statistics
from pathlib import Path
from time import perf_counter
from typing import Any

from measure import MB, Bench, Row, main


def again(source: str, folder: str, name: str) -> dict[str, Any]:
    """Import the file into a repository that has its records, as the source of this name."""
    begin = perf_counter()
    import dsvc

    dataset = dsvc.open(folder).dataset("coco")
    report = dataset.import_(source, source=name)
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
    name = Path(source).stem
    bench.child(__file__, "again", source, folder, name)  # notes the file, as the first import does
    with bench.scratch() as scratch:
        # The same records in a file that has other bytes each time, so that it has to be read.
        others = scratch / "others.json"
        others.write_bytes(source.read_bytes())
        found = [
            ("the same file again", _times(bench, source, folder, name, b"")),
            ("the same records in another file", _times(bench, others, folder, name, b"\n")),
        ]
    return [_row(bench.label(f"860k: import {work}"), *times) for work, times in found]


Times = list[tuple[float, float]]


def _times(bench: Bench, path: Path, folder: Path, name: str, more: bytes) -> tuple[Times, Times]:
    """Seconds and MB of importing and of reading."""
    times, memory = [], []
    for _ in range(bench.repeats(3)):
        if more:
            with path.open("ab") as file:
                file.write(more)
        ours = bench.child(__file__, "again", path, folder, name)
        theirs = bench.child(__file__, "parse", path)
        times.append((ours["seconds"], theirs["seconds"]))
        memory.append((ours["peak"] / MB, theirs["peak"] / MB))
    return times, memory


def _row(work: str, times: Times, memory: Times) -> Row:
    return Row(
        work=work,
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


if __name__ == "__main__":
    main(run)
