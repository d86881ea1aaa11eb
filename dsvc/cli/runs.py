"""dsvc runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dsvc.cli.render import author_json, iso, shown
from dsvc.cli.session import shared_options

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dsvc.core.dataset import Dataset
    from dsvc.core.ledger import Entry

METRICS_SHOWN = 3


@click.group("runs")
@shared_options
def runs_command() -> None:
    """List, show, compare, reproduce and delete training runs."""


def metrics_text(metrics: Mapping[str, Any], lead: str = "", most: int = METRICS_SHOWN) -> str:
    """The first metrics in a line; nothing where there are none."""
    words = [f"{shown(name)} {number_text(value)}" for name, value in list(metrics.items())[:most]]
    return lead + ", ".join(words) if words else ""


def number_text(value: float) -> str:
    """A metric for people: six digits that count."""
    return f"{value:.6g}" if isinstance(value, float) else f"{value}"


def run_json(dataset: Dataset, entry: Entry) -> dict[str, Any]:
    """A run as JSON."""
    from dsvc.core.ledger import entry_files

    files = [
        {"name": file.key, "size": file.media.size, "hash": file.media.blob.hex()}
        for file in entry_files(dataset, entry)
        if file.media is not None and file.media.blob is not None
    ]
    return {
        **entry.record,
        "dataset": dataset.name,
        "author": author_json(entry.author),
        "time": iso(entry.time),
        "files": files,
    }
