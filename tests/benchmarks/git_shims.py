"""The hooks of `dsvc git install` in a Git repository without dsvc.lock, beside `sh -c :`.

python tests/benchmarks/git_shims.py
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from measure import Bench, Row, main

FILES = 20_000


def prepare(folder: str, files: int) -> dict[str, Any]:
    """A Git repository of so many files, one commit, with the hooks installed and without a lock; the hooks' names."""
    from dsvc.git.install.hookfiles import NAMES
    from dsvc.git.install.installing import install

    for number in range(files):
        path = Path(folder, f"{number // 1000}", f"{number}.txt")
        path.parent.mkdir(exist_ok=True)
        path.write_text("x")
    who = ["-c", "user.name=Benchmark", "-c", "user.email=benchmark@example.org"]
    for arguments in (["init", "-q"], ["add", "."], [*who, "commit", "-q", "-m", "x"]):
        subprocess.run(["git", "-C", folder, *arguments], check=True)
    install(Path(folder), None)
    Path(folder, "dsvc.lock").unlink()
    return {"names": NAMES}


def run(bench: Bench) -> list[Row]:
    with bench.scratch() as folder:
        names = bench.child(__file__, "prepare", folder, bench.count(FILES))["names"]
        head = subprocess.run(["git", "-C", folder, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
        pushed = Path(folder) / ".git" / "pushed"
        pushed.write_text(f"refs/heads/main {head.stdout.strip()} refs/heads/main {'0' * 40}\n")

        def hook(name: str) -> float:
            return bench.process(["sh", "-c", f'.git/hooks/{name} origin "$PWD" <.git/pushed'], folder)

        *times, shell = bench.medians(
            21, *(lambda name=name: hook(name) for name in names), lambda: bench.process(["sh", "-c", ":"], folder)
        )
    slowest = max(times)
    return [
        Row(
            work=bench.label("20k files: a Git hook where there is no dsvc.lock, over `sh -c :`"),
            value=slowest - shell,
            target=0.03,
            unit="s",
            measured="the slowest of the hooks, which is pre-push: it looks for a lock in the pushed commits",
            times={
                **{name: f"{time * 1000:.1f} ms" for name, time in zip(names, times, strict=True)},
                "sh": f"{shell * 1000:.1f} ms",
            },
        )
    ]


if __name__ == "__main__":
    main(run)
