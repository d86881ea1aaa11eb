"""`dsvc --version`, beside `python -c pass`.

python tests/benchmarks/startup.py
"""

from __future__ import annotations

import sys

from measure import Bench, Row, dsvc, main


def run(bench: Bench) -> list[Row]:
    ours, python = bench.medians(
        21,
        lambda: bench.process(dsvc("--version")),
        lambda: bench.process([sys.executable, "-c", "pass"]),
    )
    return [
        Row(
            work="`dsvc --version`",
            value=ours / python,
            target=6,
            unit="x",
            measured="whole processes, beside `python -c pass`",
            times={"dsvc": f"{ours * 1000:.0f} ms", "python": f"{python * 1000:.0f} ms"},
        )
    ]


if __name__ == "__main__":
    main(run)
