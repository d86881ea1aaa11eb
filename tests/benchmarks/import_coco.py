"""Import and commit a large COCO file, beside `pycocotools.coco.COCO(file)`: time and peak memory.

python tests/benchmarks/import_coco.py [--annotations 860001]
"""

from __future__ import annotations

import contextlib
import os
import statistics
from time import perf_counter
from typing import Any

from measure import HERE, MB, Bench, Row, main


def with_pycocotools(source: str) -> dict[str, Any]:
    begin = perf_counter()
    from pycocotools.coco import COCO

    with contextlib.redirect_stdout(open(os.devnull, "w")):
        COCO(source)
    return {"seconds": perf_counter() - begin}


def run(bench: Bench) -> list[Row]:
    source = bench.coco_file()
    times, memory, rows = [], [], list[Row]()
    for _ in range(bench.repeats(1)):
        with bench.scratch() as folder:
            ours = bench.child(HERE / "repositories.py", "import_and_commit", source, folder / "repository")
        theirs = bench.child(__file__, "with_pycocotools", source)
        times.append((ours["seconds"], theirs["seconds"]))
        memory.append((ours["peak"] / MB, theirs["peak"] / MB))
    for what, pairs, unit in (("time", times, "s"), ("peak memory", memory, "MB")):
        digits = 1 if unit == "s" else 0
        rows.append(
            Row(
                work=bench.label(f"860k: import + commit, durable: {what}"),
                value=statistics.median(a / b for a, b in pairs),
                target=0.6,
                unit="x",
                measured="beside `pycocotools.coco.COCO(file)`",
                times={
                    "dsvc": f"{statistics.median(a for a, _ in pairs):.{digits}f} {unit}",
                    "pycocotools": f"{statistics.median(b for _, b in pairs):.{digits}f} {unit}",
                },
            )
        )
    return rows


if __name__ == "__main__":
    main(run)
