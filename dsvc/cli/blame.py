"""dsvc blame."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dsvc.cli.arguments import TEXT
from dsvc.cli.render import author_json, iso, json_option, out, print_json, shown, table, when
from dsvc.cli.session import Session, pass_session, shared_options

if TYPE_CHECKING:
    from dsvc.core.history.blame import Blamed
    from dsvc.core.history.origins import Origin


@click.command("blame")
@click.argument("key", metavar="KEY[#ANN]", type=TEXT)
@json_option
@shared_options
@pass_session
def blame_command(session: Session, key: str, as_json: bool) -> None:
    """Tell who brought an input and each of its annotations, and who changed them last.

    With the commit, and the source where one brought it. What is in no commit yet is staged.

    \b
    JSON: {"dataset", "records": [{"noun": "input" or "annotation", "name", "concept", "brought": BY, "changed": BY}]}
          BY is {"commit", "author": {"name", "email"}, "time", "message", "source": NAME or null}, or null: staged
    """
    dataset = session.dataset()
    found = dataset.blame(key)
    if as_json:
        print_json({"dataset": dataset.name, "records": [_json(blamed) for blamed in found]})
        return
    out(shown(found[0].record.key))
    for line in table([_row(blamed) for blamed in found]):
        out(f"  {line}")


def _row(blamed: Blamed) -> tuple[str, str, str, str]:
    concept = getattr(blamed.record, "concept", None)
    if concept is None and "c" in blamed.record.conflicts:
        concept = "(in conflict)"
    label = f"#{shown(blamed.record.id)}" if hasattr(blamed.record, "id") else blamed.noun
    if blamed.brought is None:
        return (label, shown(concept or ""), "staged", "")
    changed = "" if _same(blamed) else "changed: staged" if blamed.changed is None else f"changed {_by(blamed.changed)}"
    return (label, shown(concept or ""), f"brought {_by(blamed.brought)}", changed)


def _same(blamed: Blamed) -> bool:
    return blamed.brought is not None and blamed.changed is not None and blamed.brought.id == blamed.changed.id


def _by(origin: Origin) -> str:
    source = f" from source {shown(origin.source)}" if origin.source is not None else ""
    commit = origin.commit
    return f"by {shown(commit.author.name)}, {when(commit.time)}, commit {origin.id.short()}{source}"


def _json(blamed: Blamed) -> dict[str, Any]:
    return {
        "noun": blamed.noun,
        "name": blamed.name,
        "concept": getattr(blamed.record, "concept", None),
        "brought": _origin_json(blamed.brought),
        "changed": _origin_json(blamed.changed),
    }


def _origin_json(origin: Origin | None) -> dict[str, Any] | None:
    if origin is None:
        return None
    return {
        "commit": origin.id.hex(),
        "author": author_json(origin.commit.author),
        "time": iso(origin.commit.time),
        "message": origin.commit.message,
        "source": origin.source,
    }
