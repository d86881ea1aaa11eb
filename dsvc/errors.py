"""One tree of errors: what is wrong (`message`), and what to do about it (`hint`).

Errors are grouped by what a caller would do about them; the command maps each group to an exit code.
"""

from __future__ import annotations

from collections.abc import Sequence


class DsvcError(Exception):
    """Anything that dsvc reports to its user. `hint` names the way out, or is None."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(DsvcError):
    """The call itself is wrong: an argument that cannot be meant."""


class FilterError(UsageError):
    """A filter or query that cannot be evaluated. `where` is its text, `at` the index of a character of it, or None."""

    def __init__(self, message: str, where: str, at: int | None = None, hint: str | None = None) -> None:
        super().__init__(message, hint)
        self.where = where
        self.at = at


class RefusedError(DsvcError):
    """The call is well formed, but doing it would be wrong now. Nothing changed."""


class InvalidRecordsError(RefusedError):
    """Input data has errors; `problems` names the records in the order of the source, `count` is how many there are."""

    def __init__(
        self, message: str, problems: Sequence[str], hint: str | None = None, *, count: int | None = None
    ) -> None:
        super().__init__(message, hint)
        self.problems = tuple(problems)
        self.count = len(problems) if count is None else count


class NotFoundError(DsvcError):
    """What was named is not there."""


class PurgedError(NotFoundError):
    """Media that was purged, for good. The message says when, by whom and why."""


class NotRepositoryError(NotFoundError):
    """No `.dsvc` folder here or above."""


class DamagedError(DsvcError):
    """Stored bytes are not what they were when they were written."""


class CollectedError(DamagedError, RefusedError):
    """What was found some time ago is there no more, since the repository was collected meanwhile. Nothing changed."""


class UnsupportedFormatError(RefusedError):
    """The repository needs a newer dsvc."""


class RemoteError(DsvcError):
    """A remote or the network did not do what was asked."""
