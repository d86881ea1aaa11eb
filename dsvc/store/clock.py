"""A clock that only goes forward."""

from __future__ import annotations

import time

# Of two machines' clocks only the rates are compared. This one goes on while the machine sleeps.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", None)


def seconds() -> float:
    """Seconds since some moment, whatever becomes of this machine's time of day."""
    return time.monotonic() if _CLOCK is None else time.clock_gettime(_CLOCK)
