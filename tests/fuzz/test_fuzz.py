"""Mutations of a repository give clean errors: no crash, no hang, no memory. DSVC_FUZZ says how many; some are run
always."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

COUNT = int(os.environ.get("DSVC_FUZZ", "300"))
# A run of its own from time to time: what is found is told with the number of the mutation, by which it comes again.
SEED = int(os.environ.get("DSVC_FUZZ_SEED", "1"))
HERE = Path(__file__).parent


@pytest.mark.parametrize("part", range(2))
def test_mutations_give_clean_errors(part: int) -> None:
    paths = [str(HERE.parents[1]), str(HERE), os.environ.get("PYTHONPATH", "")]
    run = subprocess.run(
        [sys.executable, HERE / "fuzz.py", str(SEED + part), str(COUNT // 2)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    found = json.loads(run.stdout)
    assert found["defects"] == {}
    assert found["mutations"] == COUNT // 2 and found["outcomes"]["clean"] and found["outcomes"]["fine"]
