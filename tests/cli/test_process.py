"""The command as a process of its own: pipes, signals, terminals."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dsvc.cli.main import run

DSVC = [sys.executable, "-m", "dsvc.cli.main"]


def start(*arguments: str, **options) -> subprocess.Popen[str]:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options}
    return subprocess.Popen([*DSVC, *arguments], **pipes)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A COCO file of 60,000 annotations, which takes a second or more to import."""
    path = tmp_path_factory.mktemp("large") / "large.json"
    images = [{"id": n, "file_name": f"{n}.jpg", "width": 640, "height": 480} for n in range(6000)]
    ring = [n + 0.25 for n in range(40)]
    annotations = [
        {"id": n, "image_id": n % 6000, "category_id": 1, "bbox": [1, 2, 3, 4 + n], "segmentation": [ring]}
        for n in range(60_000)
    ]
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "x"}]}))
    return path


def wait_until_it_reads(process: subprocess.Popen[str], path: Path) -> None:
    """Return when a process has mapped a file, so that Python and the command have started."""
    maps = Path(f"/proc/{process.pid}/maps")
    for _ in range(2000):
        if process.poll() is not None or (maps.exists() and str(path) in maps.read_text()):
            return
        time.sleep(0.01)


@pytest.mark.parametrize("delay", [0, 0.2, 0.5])
def test_an_interrupted_import_changes_nothing(dsvc, project: Path, large: Path, delay: float) -> None:
    before = (project / ".dsvc" / "head").read_bytes()
    process = start("import", str(large))
    wait_until_it_reads(process, large)
    time.sleep(delay)
    if process.poll() is not None:
        pytest.skip("this machine imports 60,000 annotations before it can be interrupted")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    if process.returncode == 0:
        pytest.skip("the import was done when the interrupt came")
    assert (process.returncode, out, err) == (130, "", "interrupted; nothing changed\n")
    assert (project / ".dsvc" / "head").read_bytes() == before
    assert dsvc("status").out.endswith("nothing staged\n")
    assert dsvc("check", code=1).out.splitlines()[-1].endswith("all whole, 4 odd records")


def test_a_reader_that_has_enough(dsvc, project: Path) -> None:
    (project / "many").mkdir()
    for number in range(3000):
        (project / "many" / f"{number:0200}.txt").touch()
    dsvc("add", "many")
    process = start("show", "--inputs", cwd=project)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait() == 0


def test_a_second_interrupt_ends_it_quietly(dsvc, project: Path) -> None:
    """Nobody reads what is printed, so that the first one leaves it waiting to print the rest."""
    (project / "many").mkdir()
    for number in range(1500):
        (project / "many" / f"{number:0200}.txt").touch()
    dsvc("add", "many")
    process = start("show", "--inputs", cwd=project)
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.read(1) == "a"
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    assert process.stderr.readline() == "interrupted; nothing changed\n"
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) == 130
    assert process.stderr.read() == ""


@pytest.mark.parametrize("pause", [0, 0.0005, 0.002, 0.01])
def test_interrupts_in_a_row_print_no_traceback(project: Path, large: Path, pause: float) -> None:
    process = start("import", str(large), cwd=project)
    wait_until_it_reads(process, large)
    while process.poll() is None:
        process.send_signal(signal.SIGINT)
        time.sleep(pause)
    out, err = process.communicate()
    if process.returncode == 0:
        pytest.skip("the import was done when the interrupt came")
    said = "interrupted; nothing changed\n"
    assert (process.returncode, out, err or said) == (130, "", said)


def test_an_interrupt_while_the_rest_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(sys.stdout, "flush", interrupt)
        patch.setattr("dsvc.cli.main._drop_stdout", lambda: None)
        assert run(["--version"]) == 130


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_output_that_cannot_be_written(project: Path) -> None:
    with open("/dev/full", "w") as full:
        process = start("log", stdout=full, cwd=project)
        _, err = process.communicate()
    assert process.returncode == 3
    assert err.startswith("error: standard output: No space left on device\nhint: ")


def test_a_terminal_that_knows_ascii_only(project: Path) -> None:
    (project / "ü.txt").touch()
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    assert start("add", "ü.txt", cwd=project, env=environment).wait() == 0
    out, err = start("show", "--inputs", cwd=project, env=environment).communicate()
    assert (out, err) == ("a.jpg\nb.jpg\n\\xfc.txt\n", "")


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="this system has no pseudo-terminals")
def test_progress_on_a_terminal_only(dsvc, project: Path, large: Path) -> None:
    pytest.importorskip("rich")
    controller, terminal = os.openpty()
    process = start("import", str(large), stderr=terminal, cwd=project)
    os.close(terminal)
    seen = b""
    while chunk := _read(controller):
        seen += chunk
    assert process.wait() == 0
    assert b"annotations" in seen
    dsvc("undo")
    assert dsvc("import", large).err == ""


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # the other end is closed
        return b""


def test_the_installed_command(project: Path) -> None:
    command = Path(sys.executable).with_name("dsvc")
    if not command.exists():
        pytest.skip("dsvc is not installed beside this Python")
    result = subprocess.run([command, "status", "--json"], cwd=project, capture_output=True, text=True, check=True)
    assert json.loads(result.stdout)["dataset"] == "pets"
