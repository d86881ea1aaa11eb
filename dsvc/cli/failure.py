"""How an error is told: what is wrong, which records, what to do; all on stderr."""

from __future__ import annotations

import errno
import os
import sys
import traceback

import click

from dsvc.cli.exit import Exit, exit_code
from dsvc.cli.render import width
from dsvc.errors import DsvcError, FilterError, InvalidRecordsError

SHOWN = 20
_AROUND = 60  # characters that are shown on both sides of a place
REPORT = "this is a bug in dsvc: please report it, with what DSVC_DEBUG=1 prints"
_PERMISSION = "check who owns the file and its folder, and their permissions"
_HINTS = {
    errno.ENOSPC: "free some space and run the command again; what was committed is safe",
    errno.EDQUOT: "free some space and run the command again; what was committed is safe",
    errno.EFBIG: "a limit of the file system or of the shell (ulimit -f) is in the way",
    errno.EROFS: "the file system is read-only; use a writable copy",
    errno.EACCES: _PERMISSION,
    errno.EPERM: _PERMISSION,
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
}


def tell(error: BaseException) -> Exit:
    """Print an error on stderr and give its exit code."""
    if isinstance(error, click.ClickException):
        return _tell_click(error)
    code = exit_code(error)
    if code is Exit.INTERNAL:
        _print("error", f"internal error: {type(error).__name__}: {error}")
        _print("hint", REPORT)
    elif isinstance(error, DsvcError):
        _print("error", error.message)
        if isinstance(error, InvalidRecordsError):
            tell_problems(error.problems, error.count)
        if isinstance(error, FilterError) and error.at is not None:
            _tell_place(error.where, error.at)
        if error.hint:
            _print("hint", error.hint)
    elif isinstance(error, OSError):
        _tell_os(error)
    else:
        _print("error", "there is not enough memory")
    if os.environ.get("DSVC_DEBUG"):
        traceback.print_exception(error)
    return code


def tell_problems(problems: tuple[str, ...], count: int | None = None) -> None:
    """Print the first problems, indented, and how many more there are."""
    for problem in problems[:SHOWN]:
        click.echo("  " + _line(problem), err=True)
    more = (len(problems) if count is None else count) - min(len(problems), SHOWN)
    if more > 0:
        click.echo(f"  ... and {more:,} more", err=True)


def _tell_place(text: str, at: int) -> None:
    """Print the part of a text's line that is around a character, and a caret under that."""
    begin, end = text.rfind("\n", 0, at) + 1, text.find("\n", at)
    line, at = text[begin : end if end >= 0 else None], at - begin
    start = max(0, at - _AROUND)
    before, after = _line(line[start:at]), _line(line[at : at + _AROUND])
    click.echo(f"  {before}{after}", err=True)
    click.echo(" " * (2 + width(before)) + "^", err=True)


def _tell_os(error: OSError) -> None:
    reason = error.strerror or str(error)
    _print("error", f"{error.filename}: {reason}" if error.filename is not None else reason)
    _print("hint", _HINTS.get(error.errno or 0, "check the disk and the path, and run the command again"))


def _tell_click(error: click.ClickException) -> Exit:
    if type(error).__name__ == "NoArgsIsHelpError":  # only newer clicks have it
        click.echo(error.format_message(), err=True)
        return Exit.USAGE
    message = error.format_message().rstrip(".")
    _print("error", message[:1].lower() + message[1:])
    context = getattr(error, "ctx", None)
    if context is not None:
        _print("hint", f"see: {context.command_path} --help")
    return Exit.USAGE


def _print(label: str, text: str) -> None:
    styled = click.style(f"{label}:", fg="red" if label == "error" else "cyan", bold=True)
    click.echo(f"{styled} {_line(text)}", err=True, color=None if sys.stderr.isatty() else False)


def _line(text: str) -> str:
    from dsvc.core.keys import display

    return display(text)
