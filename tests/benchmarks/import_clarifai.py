"""Import a large archive of Clarifai's, Protobuf and JSON, and commit it, beside the export that wrote it.

python tests/benchmarks/import_clarifai.py
"""

from __future__ import annotations

from measure import HERE, MB, Bench, Row, main

FORMATS = {"clarifai-protobuf": "Clarifai Protobuf", "clarifai-json": "Clarifai JSON"}


def run(bench: Bench) -> list[Row]:
    repository = bench.repository()
    rows = []
    for format, title in FORMATS.items():
        with bench.scratch() as folder:
            archive = folder / "dataset.zip"
            export = bench.child(HERE / "repositories.py", "exported", repository, format, archive)
            found = bench.child(HERE / "repositories.py", "import_and_commit", archive, folder / "repository")
        rows.append(
            Row(
                work=bench.label(f"860k: import of {title} + commit, durable"),
                value=found["seconds"] / export["seconds"],
                target=2,
                unit="x",
                measured="from opening to the commit, beside the export of the same archive",
                times={
                    "import": f"{found['seconds']:.1f} s, {found['peak'] / MB:.0f} MB",
                    "export": f"{export['seconds']:.1f} s, {export['peak'] / MB:.0f} MB",
                },
            )
        )
    return rows


if __name__ == "__main__":
    main(run)
