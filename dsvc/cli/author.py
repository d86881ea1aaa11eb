"""Who signs, and when: the options --author and --date, the environment, the settings, Git's user."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from dsvc.cli.arguments import text

if TYPE_CHECKING:
    from datetime import datetime

    from dsvc.model.commit import Author, Moment

F = TypeVar("F", bound=Callable[..., Any])

_AUTHOR = re.compile(r"\s*([^<>\n\0]*[^<>\s\0])\s*(?:<([^<>\s\0]*)>)?\s*")
_SECONDS = re.compile(r"@(\d{1,12})(?:\s+([+-])(\d\d):?([0-5]\d))?")


def find_author(project: Path, settings: Author | None = None) -> Author | None:
    """DSVC_AUTHOR_NAME and DSVC_AUTHOR_EMAIL, else what dsvc's settings say, else Git's user, else None."""
    from dsvc.model.commit import Author

    name, email = os.environ.get("DSVC_AUTHOR_NAME"), os.environ.get("DSVC_AUTHOR_EMAIL")
    if name:
        return Author(text(name), text(email or ""))
    found = settings or _git_author(project)
    return Author(found.name, email) if found is not None and email else found


def _git_author(project: Path) -> Author | None:
    from dsvc.git.identity import git_user
    from dsvc.model.commit import Author

    user = git_user(project.absolute(), _git_files())
    return Author(*user) if user else None


def _git_files() -> Iterator[Path]:
    """The files where Git keeps its user's settings, as Git itself looks for them."""
    chosen = os.environ.get("GIT_CONFIG_GLOBAL")
    if chosen is not None:
        yield Path(chosen)
        return
    home = Path(os.path.expanduser("~"))  # noqa: PTH111 - never raises
    yield home / ".gitconfig"
    yield Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config") / "git" / "config"


class AuthorType(click.ParamType):  # type: ignore[type-arg] # generic in newer clicks only
    """NAME <EMAIL>."""

    name = "NAME <EMAIL>"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The author of a text."""
        from dsvc.model.commit import Author

        match = _AUTHOR.fullmatch(text(value)) if isinstance(value, str) else None
        if match is None:
            self.fail(f"{value!r} is not of the form 'NAME <EMAIL>'", param, ctx)
        return Author(match.group(1), match.group(2) or "")


class DateType(click.ParamType):  # type: ignore[type-arg] # generic in newer clicks only
    """A moment: ISO 8601, or @seconds with an offset."""

    name = "DATE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The moment of a text. Without an offset, the clock's own counts."""
        try:
            return parse_date(value)
        except (ValueError, OverflowError, OSError):
            self.fail(
                f"{value!r} is no date: give ISO 8601 (2024-05-01T12:00:00+02:00) or '@SECONDS +HHMM'", param, ctx
            )


def parse_date(value: str) -> Moment:
    """The moment of an ISO 8601 date, or of `@seconds [+HHMM]`. Raises ValueError, OverflowError, OSError."""
    from datetime import datetime, timedelta, timezone

    match = _SECONDS.fullmatch(value.strip())
    if match is None:
        time = datetime.fromisoformat(value.strip())
        return _moment(time if time.tzinfo is not None else time.astimezone())
    seconds, sign, hours, minutes = match.groups()
    offset = int(f"{sign or '+'}1") * (int(hours or 0) * 60 + int(minutes or 0))
    return _moment(datetime.fromtimestamp(int(seconds), timezone(timedelta(minutes=offset))))


def _moment(time: datetime) -> Moment:
    from dsvc.model.commit import Moment

    offset = time.utcoffset()
    minutes, rest = divmod(offset.total_seconds(), 60) if offset is not None else (0, 0)
    if rest:
        raise ValueError("an offset is of whole minutes")
    return Moment(int(time.timestamp() // 1), int(minutes))


def signed(function: F) -> F:
    """The options --author and --date."""
    date = click.option("--date", type=DateType(), help="When: ISO 8601, or '@SECONDS +HHMM'.")
    return click.option("--author", type=AuthorType(), help="Who signs.")(date(function))
