"""What Git's hooks add: to a commit of code beside a large dataset, and to a switch that changes a folder of files.

python tests/benchmarks/git_hooks.py
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from checkout_folders import CHANGED, copied
from measure import ENVIRONMENT, HERE, Bench, Row, dsvc, main

WHO = ("-c", "user.name=Benchmark", "-c", "user.email=benchmark@example.org")
ALLOWED = 0.5  # seconds beside the copying


def begin(project: Path) -> None:
    """A Git repository around a project, with the hooks installed, of one commit that holds its lock."""
    git(project, "init", "-q", "-b", "main")
    subprocess.run(dsvc("git", "install"), cwd=project, env=ENVIRONMENT, check=True, capture_output=True)
    git(project, "add", "dsvc.lock", ".gitattributes")
    git(project, "commit", "-q", "-m", "begin")


def git(project: Path, *arguments: str) -> None:
    command = ["git", "-C", str(project), *WHO, *arguments]
    subprocess.run(command, env=ENVIRONMENT, check=True, capture_output=True)


def committed(bench: Bench) -> Row:
    """A commit of code alone, with the hooks and without."""
    with bench.scratch() as folder:
        project = folder / "project"
        shutil.copytree(bench.repository(), project)
        begin(project)

        def commit(switch: str) -> float:
            with Path(project, "code.py").open("a") as file:
                file.write("pass\n")
            git(project, "add", "code.py")
            return bench.process(["env", f"DSVC_HOOKS={switch}", "git", *WHO, "commit", "-q", "-m", "code"], project)

        with_hooks, without = bench.medians(11, lambda: commit("1"), lambda: commit("0"))
    return Row(
        work=bench.label("860k: `git commit` of code alone, over the same without hooks"),
        value=with_hooks - without,
        target=0.25,
        unit="s",
        measured="the whole process with the hooks, and with DSVC_HOOKS=0",
        times={"with": f"{with_hooks * 1000:.0f} ms", "without": f"{without * 1000:.0f} ms"},
    )


def switched(bench: Bench) -> Row:
    """A switch to a branch of Git's whose data differs by some files, with a folder that follows."""
    files = bench.image_files()
    with bench.scratch() as folder:
        project = folder / "project"
        bench.child(HERE / "checkout_folders.py", "prepare", project, files, CHANGED)
        begin(project)
        bench.process(dsvc("checkout", "files", "out"), project)
        git(project, "switch", "-q", "-c", "other")
        bench.process(dsvc("merge", "other"), project)
        git(project, "commit", "-q", "-a", "-m", "other data")
        if hasattr(os, "sync"):
            os.sync()
        branches = iter(["main", "other"] * 100)
        switch, few = bench.medians(
            9,
            lambda: bench.process(["git", "switch", "-q", next(branches)], project),
            lambda: copied(project / "changes", folder / "few"),
        )
    return Row(
        work=bench.label(f"20k files: `git switch` where {CHANGED} files differ, less 2 x their copying"),
        value=max(0.0, switch - 2 * few),
        target=ALLOWED,
        unit="s",
        measured="the whole process with a folder that follows; `cp -r` of the files that differ",
        times={"switch": f"{switch * 1000:.0f} ms", "cp -r": f"{few * 1000:.0f} ms"},
    )


def run(bench: Bench) -> list[Row]:
    return [committed(bench), switched(bench)]


if __name__ == "__main__":
    main(run)
