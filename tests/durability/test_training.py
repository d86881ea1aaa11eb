"""Training runs that are stopped, killed, or meet a full disk: each is kept as what it was, and nothing runs on."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from harness import AUTHOR, in_child, is_whole, needs_fork, pets, project, write_files

import dsvc
from dsvc.core.training.record import enter_left
from dsvc.errors import RefusedError

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals")
ROOT = hasattr(os, "geteuid") and os.geteuid() == 0
PACKAGE = Path(dsvc.__file__).parents[1]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project with a commit."""
    made = project(tmp_path / "project", images=3)
    pets(made).add(made / "images")
    pets(made).commit("first")
    return made


def environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(PACKAGE), "DSVC_AUTHOR_NAME": "Ada", "HOME": str(folder.parent)}


def begin(folder: Path, script: str, *options: str) -> subprocess.Popen[str]:
    """Begin a run of a script of the shell as a process; when this returns, the script has printed a line."""
    command = [sys.executable, "-m", "dsvc.cli.main", "train", *options, "--", "sh", "-c", script]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL}
    process = subprocess.Popen(command, cwd=folder, env=environment(folder), text=True, **pipes)
    assert process.stdout is not None
    while (line := process.stdout.readline()) and not line.startswith("up"):
        pass
    assert line, process.communicate()
    return process


def listed(folder: Path) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "dsvc.cli.main", "runs", "list", "--json"]
    done = subprocess.run(command, cwd=folder, env=environment(folder), text=True, capture_output=True, check=True)
    return [*json.loads(done.stdout)["runs"], *json.loads(done.stdout)["running"]]


def wait_for(what: Callable[[], object]) -> None:
    end = time.monotonic() + 20
    while not what():
        assert time.monotonic() < end
        time.sleep(0.01)


def is_gone(id: int) -> bool:
    """Whether a process has ended; one that nobody has asked after counts as ended."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{id}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    try:
        os.kill(id, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)], ids=lambda n: str(int(n))
)
def test_who_stops_dsvc_stops_the_command(folder: Path, number: signal.Signals, code: int) -> None:
    process = begin(folder, "echo w > $DSVC_RUN/model/w; sleep 60 & echo $! > $DSVC_RUN/sleeper; echo up; wait")
    (run,) = (folder / ".dsvc" / "runs").iterdir()
    sleeper = int((run / "sleeper").read_text())
    process.send_signal(number)
    _, error = process.communicate(timeout=20)
    assert (process.returncode, error) == (
        code,
        f"interrupted; run {run.name} is kept as killed: dsvc runs show {run.name}\n",
    )
    wait_for(lambda: is_gone(sleeper))
    (entry,) = pets(folder).runs()
    assert (entry.record["status"], entry.record["signal"], entry.record["exit_code"]) == ("killed", number.name, None)
    assert not (run / "data").exists() and is_whole(folder)
    assert list(enter_left(dsvc.open(folder))) == []


def test_the_command_may_tidy_up(folder: Path) -> None:
    script = (
        "trap 'echo last words; echo {} > $DSVC_RUN/metrics.json; exit 0' TERM; echo up; while :; do sleep 0.05; done"
    )
    process = begin(folder, script)
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=20)
    assert process.returncode == 143 and "last words\n" in out
    (entry,) = pets(folder).runs()
    assert (entry.record["status"], entry.record["signal"], entry.record["exit_code"]) == ("killed", "SIGTERM", 0)


def test_a_second_interrupt_kills_a_command_that_does_not_listen(folder: Path) -> None:
    process = begin(folder, "trap '' INT; echo up; while :; do sleep 0.05; done")
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=5)
    assert process.returncode == 130
    assert pets(folder).runs()[0].record["status"] == "killed"


def test_dsvc_is_killed(folder: Path) -> None:
    process = begin(folder, "echo half > $DSVC_RUN/model/w; echo $$ > $DSVC_RUN/shell; echo up; exec sleep 60")
    (run,) = (folder / ".dsvc" / "runs").iterdir()
    shell = int((run / "shell").read_text())
    assert [one.get("status") for one in listed(folder)] == [None]  # it goes on
    process.kill()
    process.communicate()
    (found,) = enter_left(dsvc.open(folder))
    assert (found.id, found.status, found.error) == (run.name, "killed", None)
    assert found.process is not None and found.process.id == shell and not is_gone(shell)
    os.kill(shell, signal.SIGKILL)
    (entry,) = pets(folder).runs()
    assert entry.record["signal"] is None and entry.record["version"].endswith(run.name)
    assert [one["status"] for one in listed(folder)] == ["killed"]
    assert is_whole(folder)


def test_dsvc_is_killed_with_its_command(folder: Path) -> None:
    process = begin(folder, "echo $$ > $DSVC_RUN/shell; echo up; exec sleep 60")
    (run,) = (folder / ".dsvc" / "runs").iterdir()
    process.kill()
    process.communicate()
    shell = int((run / "shell").read_text())
    os.kill(shell, signal.SIGKILL)
    wait_for(lambda: is_gone(shell))
    (found,) = enter_left(dsvc.open(folder))
    assert found.process is None and not (run / "data").exists()


def test_two_at_once_and_one_that_lists(folder: Path) -> None:
    runs = [begin(folder, "echo up; while [ ! -e go ]; do sleep 0.05; done") for _ in range(2)]
    assert len([one for one in listed(folder) if "status" not in one]) == 2
    (folder / "go").touch()
    for process in runs:
        process.communicate(timeout=20)
        assert process.returncode == 0
    assert [one["status"] for one in listed(folder)] == ["done", "done"]


def test_nobody_reads_what_is_printed(folder: Path) -> None:
    process = begin(folder, "echo up; sleep 0.2; yes | head -c 300000; echo w > $DSVC_RUN/model/w")
    assert process.stdout is not None
    process.stdout.close()
    process.wait(timeout=20)
    (entry,) = pets(folder).runs()
    assert entry.record["status"] == "done"


# ---- full disks


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A project on a disk of 3 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=3m", "none", str(place)]
    if not ROOT or not shutil.which("mount") or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("a small disk needs the right to mount one")
    try:
        made = project(place / "project")
        write_files(made / "images", 2, 100_000)
        pets(made).add(made / "images")
        pets(made).commit("first")
        shutil.rmtree(made / "images")
        yield made
    finally:
        import gc

        gc.collect()  # what still holds files open
        subprocess.run(["umount", str(place)], check=True)


def fill(folder: Path, leave: int) -> Path:
    """Fill a disk but for some bytes."""
    filler = folder / "filler"
    free = os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize
    filler.write_bytes(b"x" * max(0, free - leave))
    return filler


def train(folder: Path, script: str) -> Any:
    return pets(folder).train(["sh", "-c", script], environment=os.environ, folder=folder)


def test_the_data_does_not_fit(small: Path) -> None:
    filler = fill(small.parent, 150_000)
    with pytest.raises(RefusedError, match=r"(?i)no space|full"):
        train(small, "true")
    (entry,) = pets(small).runs()
    assert (entry.record["status"], entry.record["exit_code"]) == ("failed", None)
    assert len(entry.record["notes"]) == 1
    (run,) = (small / ".dsvc" / "runs").iterdir()
    assert not (run / "data").exists() and not list(run.glob(".dsvc*"))
    filler.unlink()
    assert train(small, "true").record["status"] == "done"
    assert is_whole(small)


def test_the_model_does_not_fit(small: Path) -> None:
    script = "head -c 1000000 /dev/urandom > $DSVC_RUN/model/w"
    filler = fill(small.parent, 1_350_000)
    before = pets(small).runs()
    with pytest.raises(RefusedError, match="is done, but cannot be kept: ") as found:
        train(small, script)
    (run,) = (small / ".dsvc" / "runs").iterdir()
    assert found.value.hint == f"all that it left is in {run}; once that is mended, this keeps it: dsvc runs list"
    assert pets(small).runs() == before and (run / "model" / "w").stat().st_size == 1_000_000
    (left,) = enter_left(dsvc.open(small, author=AUTHOR))
    assert left.error is not None
    filler.unlink()
    (left,) = enter_left(dsvc.open(small, author=AUTHOR))
    assert (left.status, left.error) == ("done", None)
    assert is_whole(small)


def test_there_is_no_room_at_all(small: Path) -> None:
    operation = dsvc.open(small).operation
    filler = fill(small.parent, 0)
    with pytest.raises(RefusedError):
        train(small, "true")
    filler.unlink()
    assert dsvc.open(small).operation == operation
    with contextlib.suppress(FileNotFoundError):
        assert list((small / ".dsvc" / "runs").iterdir()) == []


def test_the_log_does_not_fit(small: Path) -> None:
    fill(small.parent, 400_000)
    record = train(small, "yes | head -c 1000000").record
    assert (record["status"], record["notes"]) == ("done", ["log.txt ends early: No space left on device"])


@needs_fork
def test_a_repository_that_cannot_be_written() -> None:
    top = Path(tempfile.mkdtemp(prefix="dsvc-durability-"))
    try:
        made = project(top / "project", images=1)
        pets(made).add(made / "images")
        pets(made).commit("first")
        operation = dsvc.open(made).operation
        for path in [top, *top.rglob("*")]:
            path.chmod(0o555 if path.is_dir() else 0o444)

        def work() -> None:
            if os.getuid() == 0:
                os.setgroups([])
                os.setuid(65534)
            with pytest.raises(RefusedError, match="Permission denied"):
                train(made, "true")
            assert dsvc.open(made).operation == operation

        assert in_child(work) == 0
        assert not (made / ".dsvc" / "runs").exists()
    finally:
        for path in [top, *top.rglob("*")]:
            path.chmod(0o755)
        shutil.rmtree(top)
