"""Run all benchmarks and write docs/benchmarks.md.

python tests/benchmarks/run_all.py [--cache DIR] [--scale 1] [--output FILE]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import measure

SCRIPTS = (
    "import_coco",
    "reimport",
    "export_coco",
    "export_clarifai",
    "import_clarifai",
    "add_files",
    "add_references",
    "status",
    "track",
    "checkout_folders",
    "one_annotation",
    "startup",
    "diff",
    "merge",
    "blame",
    "rewrite",
    "filter",
    "metrics",
    "git_hooks",
    "git_shims",
    "stored_size",
    "version_growth",
    "remote_folder",
    "remote_requests",
    "remote_bucket",
    "large_files",
    "lazy_media",
    "loaders",
    "gc",
)
OUTPUT = measure.HERE.parent.parent / "docs" / "benchmarks.md"
HEAD = """# Benchmarks

What dsvc costs, each figure beside a peer or a floor that was measured in the same run. Ratios carry over from one
machine to another; bare times do not, and stand here only for scale. `python tests/benchmarks/run_all.py`
measures all rows and writes this page; each script also runs alone, and with `--scale 0.01` in seconds.
Memory is the peak of the process.

"860k" is a COCO file of 388 MB: 118,287 images, 860,001 annotations, 36 million coordinates, and a crowd mask for one
annotation in a hundred. "1M" is such a file of 1,000,000 annotations. "20k files" is 20,000 files of about 50 kB in
20 folders (1 GB). The scripts make them, the same ones everywhere.
"""
MISSED = """
## Missed, and why

- **Import, time.** Half of what is left is spent on the annotations themselves: about 10 µs each for finding the
  fields, parsing and packing the coordinates, hashing the content and putting the record together, in Python that
  calls C for each step. A second process shares that half. The rest, sorting and building the trees, is one
  stream. The peer builds no store; it parses with a C parser and makes dictionaries. Less would need a compiled
  importer.
- **COCO export, time.** Coordinates go from stored bytes to text a batch at a time, without a Python number, and
  a second process makes about half of the rows. What remains is reading and verifying nodes and about 3 µs a row.
  `json.dumps` writes documents that are already in memory; dsvc reads, verifies and numbers them on the way.
- **Import of Clarifai's archives, time.** Each region is a map of maps (JSON) or a message of messages; reading one
  back takes Python longer than writing it did, and then its records are stored as any import's are. Batches are
  shared with a second process already.
- **Clone without media, from a server at hand.** Every object is hashed, unpacked and looked at before it is used:
  about 0.6 s of processor time in one process for 31,000 frames (zstd, BLAKE3, canonical form, the order of keys), and
  as much again for reading, rows and writing. The plain transfer on loopback takes 0.2 to 0.4 s, which no office's
  network does: where 120 MB take three seconds or longer, the work is done meanwhile. Less would need a second process
  that verifies.
"""


def run(options: argparse.Namespace) -> list[tuple[str, list[dict[str, Any]]]]:
    shared = ["--cache", str(options.cache), "--scale", str(options.scale), "--json"]
    shared += ["--repeat", str(options.repeat)] if options.repeat else []
    found = []
    for name in SCRIPTS:
        print(f"{name} ...", file=sys.stderr, flush=True)
        command = [sys.executable, str(measure.HERE / f"{name}.py"), *shared]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        rows = json.loads(done.stdout)
        for row in rows:
            print(f"  {row['result']:6}  {measure.figure(row['value'], row['unit']):>8}  {row['work']}", flush=True)
        found.append((name, rows))
    return found


def page(found: list[tuple[str, list[dict[str, Any]]]]) -> str:
    """The page: ratios and targets first, then how each was measured, with the bare figures of one machine."""
    lines = [HEAD, "| work | measured | target | |", "|---|---|---|---|"]
    for _, rows in found:
        for row in rows:
            value, target = (measure.figure(row[name], row["unit"]) for name in ("value", "target"))
            lines.append(f"| {row['work']} | **{value}** | at most {target} | {row['result']} |")
    if any(row["result"] == "MISSED" for _, rows in found for row in rows):
        lines.append(MISSED)
    lines += ["", "## How each was measured", ""]
    lines += ["| work | what was measured | command | on one 2-core machine |", "|---|---|---|---|"]
    for name, rows in found:
        for row in rows:
            times = "; ".join(f"{side} {time}" for side, time in row["times"].items())
            lines.append(f"| {row['work']} | {row['measured']} | `python tests/benchmarks/{name}.py` | {times} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description="Run all benchmarks and write docs/benchmarks.md.")
    measure.arguments(parser)
    parser.add_argument("--output", type=Path, default=OUTPUT)
    options = parser.parse_args()
    options.output.write_text(page(run(options)))
    print(f"wrote {options.output}")


if __name__ == "__main__":
    main()
