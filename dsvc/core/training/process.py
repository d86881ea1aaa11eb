"""Running the command: what it prints is shown and kept, and whoever stops dsvc stops it too."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, BinaryIO, NamedTuple

from dsvc.core.training.folder import Process
from dsvc.errors import NotFoundError, RefusedError, UsageError

LOG_LIMIT = 256 << 20  # bytes of a log on disk
LOG_BYTES = 8 << 20  # of a log, the last so many are kept with the run
LEFT_OUT = b"... (what came before this is left out)\n"
GRACE = 10.0  # seconds that a command has to end by itself, once it is asked to
_REST = 1.0  # seconds to read what is left of the output, where something that the command started still runs
_PIECE = 1 << 16
_KILL = getattr(signal, "SIGKILL", signal.SIGTERM)
EXAMPLE = "such as: dsvc train pets -- python train.py"


class Stopped(KeyboardInterrupt):
    """Somebody ends dsvc by a signal, which goes on to the command."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


class Outcome(NamedTuple):
    """How a command ended: by itself with a code, by a signal, or (`stop`) because dsvc was stopped."""

    exit_code: int | None
    signal: str | None = None
    stop: KeyboardInterrupt | None = None

    @property
    def status(self) -> str:
        """In one word: done, failed or killed."""
        if self.signal is not None:
            return "killed"
        return "done" if self.exit_code == 0 else "failed"


class Log:
    """The file that keeps what a command prints: all of it, or once that is more than `LOG_LIMIT`, the end.

    Where the disk does not take it, it ends early.
    """

    def __init__(self, path: Path, show: Callable[[bytes], None] | None) -> None:
        self._size = 0
        self.file = path.open("a+b", buffering=0)  # the command may write to it, too
        self.failure: str | None = None
        self._show = show

    def write(self, data: bytes) -> None:
        """Show and keep a piece of output."""
        if self._show is not None:
            try:
                self._show(data)
            except (OSError, ValueError):  # nobody looks any more; the command goes on
                self._show = None
        if self.failure is None and not self.file.closed:
            try:
                self._size += self.file.write(data)
                if self._size > LOG_LIMIT:
                    self._shorten()
            except (OSError, ValueError) as error:
                self.failure = getattr(error, "strerror", None) or str(error)

    def _shorten(self) -> None:
        """Leave the end of the file only: a command that never stops printing must not fill the disk."""
        tail = read_tail(self.file)
        self.file.truncate(0)
        self._size = self.file.write(tail)


def read_tail(file: BinaryIO) -> bytes:
    """The bytes of a log, of one that is longer than `LOG_BYTES` the end, from the begin of a line. Raises OSError."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - LOG_BYTES))
    data = b""
    while piece := file.read(LOG_BYTES - len(data)):
        data += piece
    if size <= LOG_BYTES:
        return data
    line = data.find(b"\n", 0, len(data) // 2) + 1
    return LEFT_OUT + data[line:]


def find_program(command: Sequence[str], environment: Mapping[str, str], folder: Path) -> str:
    """The file that a command's first word means in a folder. Raises NotFoundError, UsageError."""
    if not command or not command[0]:
        raise UsageError("there is no command to run", EXAMPLE)
    name = command[0]
    if any("\0" in word for word in command):
        raise UsageError("a command cannot hold NUL characters", EXAMPLE)
    place = folder / name if os.path.dirname(name) else name  # noqa: PTH120 - a name alone is looked up
    found = shutil.which(place, path=environment.get("PATH", os.defpath))
    if found is not None:
        return str(folder / found)
    path = folder / name
    if path.is_dir():
        raise NotFoundError(f"{name} is a folder, not a command", EXAMPLE)
    if path.is_file():
        ways = f"python {name}" if path.suffix == ".py" else f"./{name}, once it may be run: chmod +x {name}"
        raise NotFoundError(f"{name} is a file, and no command", f"did you mean: {ways}")
    near = shutil.which("python3", path=environment.get("PATH", os.defpath)) if name == "python" else None
    hint = "did you mean python3?" if near else "see that it is installed, and in PATH; or give its path"
    raise NotFoundError(f"no command {name!r}", hint)


def run_command(
    command: Sequence[str],
    program: str,
    folder: Path,
    environment: Mapping[str, str],
    log: Log,
    started: Callable[[Process], None],
) -> Outcome:
    """Run a command in a folder until it ends. Raises RefusedError where it cannot be started.

    Where dsvc is stopped meanwhile, the command gets the same signal, and some seconds; then it is killed, with all
    that it started.
    """
    process = _start(command, program, folder, environment)
    reader = threading.Thread(target=_read, args=(process.stdout, log), name="dsvc-output", daemon=True)
    stops: list[KeyboardInterrupt] = []
    try:
        reader.start()
        started(Process(process.pid, process_mark(process.pid)))
    except KeyboardInterrupt as stop:
        stops.append(stop)
        _send(process, _number(stop))
    code = _wait(process, stops)
    _finish(reader)
    if stops:
        return Outcome(code if code >= 0 else None, stop_name(stops[0]), stops[0])
    return Outcome(code) if code >= 0 else Outcome(None, _name(-code))


def _start(
    command: Sequence[str], program: str, folder: Path, environment: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    own: dict[str, Any] = {"process_group": 0} if os.name == "posix" else {}
    try:
        return subprocess.Popen(
            command,
            executable=program,
            cwd=folder,
            env=dict(environment),
            stdin=None if _has_input() else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
            **own,
        )
    except OSError as error:
        hint = "see that it is a program; a script begins with a line such as #!/bin/sh"
        raise RefusedError(f"{command[0]} cannot be started: {error.strerror}", hint) from error


def _has_input() -> bool:
    """Whether there is input to hand on; that of a terminal is not for a process in the background."""
    try:
        os.fstat(0)
    except OSError:
        return False
    return not os.isatty(0)


def _read(pipe: IO[bytes], log: Log) -> None:
    with contextlib.suppress(OSError, ValueError):
        while data := pipe.read(_PIECE):
            log.write(data)


def _finish(reader: threading.Thread) -> None:
    """Let the rest of the output come; not for ever, since what runs on in the background may hold it open."""
    with contextlib.suppress(KeyboardInterrupt, RuntimeError):  # it may not have begun
        reader.join(_REST)


def _wait(process: subprocess.Popen[bytes], stops: list[KeyboardInterrupt]) -> int:
    """Wait for a process to end, and give its code. Who stops dsvc a second time does not wait for the grace."""
    while True:
        try:
            code = process.wait(None if not stops else GRACE if len(stops) == 1 else 0)
            break
        except KeyboardInterrupt as stop:
            stops.append(stop)
            if len(stops) == 1:
                _send(process, _number(stop))
        except subprocess.TimeoutExpired:
            _send(process, _KILL)
            code = process.wait()
            break
    if stops:
        _send(process, _KILL)  # what it left running
    return code


def stop_name(stop: KeyboardInterrupt) -> str:
    """The name of the signal that stopped dsvc."""
    return _name(_number(stop))


def _number(stop: KeyboardInterrupt) -> int:
    return stop.number if isinstance(stop, Stopped) else int(signal.SIGINT)


def _send(process: subprocess.Popen[bytes], number: int) -> None:
    """Send a signal to a process and to all that it started."""
    with contextlib.suppress(OSError, ValueError):
        if os.name == "posix":
            os.killpg(process.pid, number)
        else:
            process.terminate()


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time one
        return f"signal {number}"


def process_mark(id: int) -> str | None:
    """When a process began, as Linux says it: a later process of the same id has another one. None elsewhere, and for
    one that has ended."""
    try:
        fields = Path(f"/proc/{id}/stat").read_text(errors="replace").rpartition(")")[2].split()
        return fields[19] if fields[0] not in "ZX" else None
    except (OSError, IndexError):
        return None


def is_running(process: Process) -> bool:
    """Whether a process that was noted still runs."""
    if process.mark is not None:
        return process_mark(process.id) == process.mark
    if os.name != "posix":
        return False
    try:
        os.kill(process.id, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
