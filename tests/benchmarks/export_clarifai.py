"""Export a large dataset to Clarifai Protobuf and to Clarifai JSON, beside the export to COCO.

python tests/benchmarks/export_clarifai.py
"""

from __future__ import annotations

from typing import Any

from measure import HERE, MB, Bench, Row, main

FORMATS = {"clarifai-protobuf": "Clarifai Protobuf", "clarifai-json": "Clarifai JSON"}


def run(bench: Bench) -> list[Row]:
    repository = bench.repository()

    def export(format: str, name: str) -> dict[str, Any]:
        with bench.scratch() as folder:
            return bench.child(HERE / "repositories.py", "exported", repository, format, folder / name)

    coco = export("coco", "instances.json")
    rows = []
    for format, title in FORMATS.items():
        found = export(format, "dataset.zip")
        rows.append(
            Row(
                work=bench.label(f"860k: export to {title}"),
                value=found["seconds"] / coco["seconds"],
                target=3,
                unit="x",
                measured="from opening to the finished archive, beside the export to COCO",
                times={
                    title: f"{found['seconds']:.1f} s, {found['peak'] / MB:.0f} MB",
                    "COCO": f"{coco['seconds']:.1f} s",
                },
            )
        )
    return rows


if __name__ == "__main__":
    main(run)
