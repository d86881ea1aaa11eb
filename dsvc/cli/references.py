"""What `dsvc add --reference` does: the list of places is read, and the run is told."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dsvc.cli.progress import Report
from dsvc.cli.render import note, plural, shown
from dsvc.core.references.asked import Asked, read_list
from dsvc.errors import NotFoundError, RefusedError

if TYPE_CHECKING:
    from dsvc.core.dataset import Dataset
    from dsvc.core.references.referring import ReferenceReport

STDIN = "-"


def refer(
    dataset: Dataset, places: tuple[str, ...], listed: str | None, report: Report | None, **options: Any
) -> ReferenceReport:
    """Add references to the places of a command line and of a list. Raises NotFoundError, RefusedError."""
    asked = [Asked(place) for place in places]
    name = "the list"
    if listed is not None:
        name = "standard input" if listed == STDIN else listed
        asked += read_list(_read(listed), name)

    def tell(count: int) -> None:
        note(f"going on with {plural(count, 'reference')} of an earlier run")

    return dataset.add_references(*asked, name=name, progress=report, tell=tell, **options)


def _read(listed: str) -> bytes:
    if listed == STDIN:
        return sys.stdin.buffer.read()
    try:
        return Path(listed).read_bytes()
    except FileNotFoundError:
        raise NotFoundError(f"{shown(listed)}: there is no such file", "--from takes a file of places") from None
    except OSError as error:
        raise RefusedError(f"{shown(listed)}: {error.strerror}", "--from takes a file of places") from error
