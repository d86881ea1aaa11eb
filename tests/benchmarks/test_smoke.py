"""The benchmarks run, at a size at which their figures mean nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SCRIPTS = sorted(path.stem for path in HERE.glob("*.py") if "\n    main(run)\n" in path.read_text())


def script(name: str, *options: str) -> str:
    command = [sys.executable, str(HERE / f"{name}.py"), "--scale", "0.0002", "--repeat", "1", *options]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("benchmarks")


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_benchmark_measures(name: str, cache: Path) -> None:
    rows = json.loads(script(name, "--cache", str(cache), "--json"))
    assert rows
    assert all(row["target"] > 0 and row["measured"] for row in rows)


def test_the_page_names_all_benchmarks() -> None:
    text = (HERE / "run_all.py").read_text()
    assert [name for name in SCRIPTS if f'"{name}"' not in text] == []
