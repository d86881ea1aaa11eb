"""What a large COCO file takes in a repository, beside `zstd -3` of the file.

python tests/benchmarks/stored_size.py
"""

from __future__ import annotations

from typing import Any

from measure import MB, Bench, Row, folder_size, main


def compress(source: str, target: str) -> dict[str, Any]:
    import zstandard

    with open(source, "rb") as file, open(target, "wb") as out:
        _, size = zstandard.ZstdCompressor(level=3).copy_stream(file, out)
    return {"bytes": size}


def run(bench: Bench) -> list[Row]:
    source = bench.coco_file()
    ours = folder_size(bench.repository() / ".dsvc")
    with bench.scratch() as folder:
        theirs = bench.child(__file__, "compress", source, folder / "packed")["bytes"]
    return [
        Row(
            work=bench.label("860k: stored size of the structure"),
            value=ours / theirs,
            target=0.9,
            unit="x",
            measured="all of `.dsvc` after import and commit, beside `zstd -3` of the JSON file",
            times={
                "dsvc": f"{ours / MB:.0f} MB",
                "zstd -3": f"{theirs / MB:.0f} MB",
                "JSON": f"{source.stat().st_size / MB:.0f} MB",
            },
        )
    ]


if __name__ == "__main__":
    main(run)
