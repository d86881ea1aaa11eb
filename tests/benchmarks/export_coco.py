"""Export a large dataset to COCO, beside `json.dumps` and a write of the same document.

python tests/benchmarks/export_coco.py
"""

from __future__ import annotations

import json
from pathlib import Path
from time import perf_counter
from typing import Any

from measure import HERE, MB, Bench, Row, main


def with_json(source: str, target: str) -> dict[str, Any]:
    document = json.loads(Path(source).read_bytes())
    begin = perf_counter()
    text = json.dumps(document)
    with open(target, "w") as file:
        file.write(text)
    return {"seconds": perf_counter() - begin}


def run(bench: Bench) -> list[Row]:
    with bench.scratch() as folder:
        target = folder / "instances.json"
        ours = bench.child(HERE / "repositories.py", "exported", bench.repository(), "coco", target)
        theirs = bench.child(__file__, "with_json", target, folder / "dumped.json")
    return [
        Row(
            work=bench.label("860k: export to COCO"),
            value=ours["seconds"] / theirs["seconds"],
            target=0.3,
            unit="x",
            measured="from opening to the finished file, beside `json.dumps` and a write of that document",
            times={
                "dsvc": f"{ours['seconds']:.1f} s, {ours['peak'] / MB:.0f} MB",
                "json.dumps": f"{theirs['seconds']:.1f} s",
            },
        )
    ]


if __name__ == "__main__":
    main(run)
