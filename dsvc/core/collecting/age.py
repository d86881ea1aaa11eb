"""Ages as they are typed: 30d, 12h, 2w, now."""

from __future__ import annotations

import re

from dsvc.errors import UsageError

MINUTE, HOUR, DAY, WEEK = 60, 3600, 86400, 604800
_UNITS = {"m": MINUTE, "h": HOUR, "d": DAY, "w": WEEK}
_AGE = re.compile(r"([0-9]{1,6})([mhdw])")
_WORDS = {DAY: "day", HOUR: "hour", MINUTE: "minute", 1: "second"}


def parse_age(text: str) -> int:
    """Seconds, of a number with m, h, d or w behind it; "0" and "now" are none. Raises UsageError."""
    if text in ("0", "now"):
        return 0
    match = _AGE.fullmatch(text)
    if match is None:
        raise UsageError(f"{text!r} is no age", "write for instance 30d, 12h, 2w, 45m, or now")
    return int(match[1]) * _UNITS[match[2]]


def age_words(seconds: int) -> str:
    """An age for people, in the largest unit that says it exactly: 14 days."""
    unit = next((unit for unit in (DAY, HOUR, MINUTE) if seconds % unit == 0), 1)
    return f"{seconds // unit:,} {_WORDS[unit]}{'' if seconds == unit else 's'}"
