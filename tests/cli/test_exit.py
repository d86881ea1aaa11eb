"""Exit codes, and how an error is told."""

import errno
from collections.abc import Callable
from typing import Any

import click
import pytest

from dsvc import errors
from dsvc.cli import main
from dsvc.cli.exit import TABLE, Exit, exit_code
from dsvc.cli.failure import tell
from dsvc.store.head import HeadMovedError


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.UsageError("x"), 2),
        (errors.RefusedError("x"), 3),
        (errors.InvalidRecordsError("x", []), 3),
        (errors.UnsupportedFormatError("x"), 3),
        (errors.NotFoundError("x"), 4),
        (errors.NotRepositoryError("x"), 4),
        (errors.DamagedError("x"), 5),
        (errors.RemoteError("x"), 6),
        (HeadMovedError("x"), 3),
        (OSError(errno.ENOSPC, "No space left on device"), 3),
        (PermissionError(errno.EACCES, "Permission denied"), 3),
        (FileNotFoundError(errno.ENOENT, "No such file or directory"), 3),
        (MemoryError(), 3),
        (KeyboardInterrupt(), 130),
        (ValueError("x"), 70),
        (RecursionError("x"), 70),
    ],
)
def test_every_error_has_its_exit_code(error: BaseException, code: int) -> None:
    assert exit_code(error) == code


def test_every_kind_of_error_is_in_the_table() -> None:
    kinds = {kind for kind, _ in TABLE}
    named = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, Exception)]
    for kind in named:
        assert any(issubclass(kind, known) for known in kinds), kind


def test_codes_are_those_of_the_design() -> None:
    assert {code.name: int(code) for code in Exit} == {
        "DONE": 0,
        "NO": 1,
        "USAGE": 2,
        "REFUSED": 3,
        "NOT_FOUND": 4,
        "DAMAGED": 5,
        "REMOTE": 6,
        "INTERNAL": 70,
        "INTERRUPTED": 130,
    }


def test_an_error_says_what_is_wrong_then_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert tell(errors.NotFoundError("no x", "make it: y")) == 4
    assert capsys.readouterr() == ("", "error: no x\nhint: make it: y\n")


def test_the_first_twenty_problems_are_shown_and_the_rest_counted(capsys: pytest.CaptureFixture[str]) -> None:
    tell(errors.InvalidRecordsError("f: 1023 errors", [f"record {n}" for n in range(1023)], "mend it"))
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "error: f: 1023 errors"
    assert lines[1:21] == [f"  record {n}" for n in range(20)]
    assert lines[21:] == ["  ... and 1,003 more", "hint: mend it"]


def test_what_a_terminal_would_act_on_is_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    tell(errors.RefusedError("a\x1b[31mb\nc", "d\x07"))
    assert capsys.readouterr().err == "error: a\\x1b[31mb\\nc\nhint: d\\x07\n"


def test_an_unexpected_failure_of_the_system_is_refused_with_a_way_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert tell(OSError(errno.EROFS, "Read-only file system", "/x/y")) == 3
    text = "error: /x/y: Read-only file system\nhint: the file system is read-only; use a writable copy\n"
    assert capsys.readouterr().err == text


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], None]:
    """Make every command raise an error."""

    def breaks(error: BaseException) -> None:
        def invoke(*_: Any) -> int:
            raise error

        monkeypatch.setattr(main, "_invoke", invoke)

    return breaks


def test_a_bug_asks_to_be_reported(broken: Any, capsys: pytest.CaptureFixture[str]) -> None:
    broken(ZeroDivisionError("division by zero"))
    assert main.run(["list"]) == 70
    err = capsys.readouterr().err
    assert err.startswith("error: internal error: ZeroDivisionError: division by zero\nhint: this is a bug")
    assert "Traceback" not in err


def test_a_traceback_comes_when_it_is_asked_for(
    broken: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DSVC_DEBUG", "1")
    broken(ZeroDivisionError("division by zero"))
    assert main.run(["list"]) == 70
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize("error", [KeyboardInterrupt(), click.Abort()])
def test_an_interrupt_is_told_in_one_line(broken: Any, capsys: pytest.CaptureFixture[str], error: Any) -> None:
    broken(error)
    assert main.run(["list"]) == 130
    assert capsys.readouterr() == ("", "interrupted; nothing changed\n")


def test_a_closed_pipe_is_silent(broken: Any, capsys: pytest.CaptureFixture[str]) -> None:
    broken(BrokenPipeError(errno.EPIPE, "Broken pipe"))
    assert main.run(["list"]) == 0
    assert capsys.readouterr() == ("", "")
