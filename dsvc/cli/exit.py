"""Exit codes: one table, and the one function that reads it."""

from __future__ import annotations

import enum

from dsvc import errors


class Exit(enum.IntEnum):
    """What the command's exit code says."""

    DONE = 0
    NO = 1  # the answer is no: differences, findings, files that could not be taken
    USAGE = 2
    REFUSED = 3
    NOT_FOUND = 4
    DAMAGED = 5
    REMOTE = 6
    INTERNAL = 70
    INTERRUPTED = 130


# The first row that fits an error counts.
TABLE: tuple[tuple[type[BaseException], Exit], ...] = (
    (errors.UsageError, Exit.USAGE),
    (errors.RefusedError, Exit.REFUSED),
    (errors.NotFoundError, Exit.NOT_FOUND),
    (errors.DamagedError, Exit.DAMAGED),
    (errors.RemoteError, Exit.REMOTE),
    (errors.DsvcError, Exit.REFUSED),
    (OSError, Exit.REFUSED),
    (MemoryError, Exit.REFUSED),
    (KeyboardInterrupt, Exit.INTERRUPTED),
)


def exit_code(error: BaseException) -> Exit:
    """The exit code of an error; what is in no row is a bug of dsvc."""
    for kind, code in TABLE:
        if isinstance(error, kind):
            return code
    return Exit.INTERNAL
