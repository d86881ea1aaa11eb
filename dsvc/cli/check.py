"""dsvc check."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from dsvc.cli.exit import Exit
from dsvc.cli.progress import progress
from dsvc.cli.render import json_option, note, out, plural, print_json, shown
from dsvc.cli.session import Session, pass_session, shared_options

if TYPE_CHECKING:
    from dsvc.core.check import Damage

SHOWN = 100


@click.command("check")
@click.option("--media", is_flag=True, help="Decode the media, too.")
@json_option
@shared_options
@pass_session
def check_command(session: Session, media: bool, as_json: bool) -> int:
    """Verify that everything stored is whole.

    Records that are odd but whole are named too: sizes that disagree with the file, boxes of no size, names that
    clash on other systems. With --media, so is every file that does not decode or is not what its name says.

    Exit code 5 where something is damaged, 1 where records are odd but whole, else 0.

    \b
    JSON: {"objects", "damage": [{"kind", "name", "text", "objects": [ID...], "needed": {"datasets", "branches",
           "versions", "others": [NAME...], "commits": [ID...], "inputs": [KEY...], "ranges": [TEXT...], those that
           cannot be named}}...],
            "findings": [{"kind", "name", "text"}], "orphans",
           "notes": [TEXT...], what could not be decoded here,
           "elsewhere", media that only a remote has, "purged", media that a tombstone names: COUNT}
    """
    from dsvc.core.check import check

    with progress() as report:
        result = check(session.repository(), media=media, progress=report)
    findings = [finding._asdict() for finding in result.findings]
    if as_json:
        damage = [_damage_json(one) for one in result.damage]
        document = {"objects": result.objects, "damage": damage, "findings": findings, "orphans": result.orphans}
        counts = {"elsewhere": result.elsewhere, "purged": result.purged}
        print_json({**document, "notes": list(result.notes), **counts})
    else:
        _print_damage(result.damage)
        _print("odd", findings)
        for text in result.notes:
            out(f"note: {shown(text)}")
        if result.elsewhere:
            out(f"{_media(result.elsewhere)} not here, and at a remote")
        if result.purged:
            out(f"{_media(result.purged)} purged; why: dsvc purge --list")
        out(f"{plural(result.objects, 'object')}: {_verdict(len(result.damage), len(findings))}")
    if result.damage:
        count = plural(len(result.damage), "part")
        note(f"error: {count} of the repository cannot be trusted")
        note("hint: keep a copy of this folder as it is, and mend it from a remote: dsvc check --repair")
        return Exit.DAMAGED
    return Exit.NO if findings else Exit.DONE


def _media(count: int) -> str:
    return "1 medium is" if count == 1 else f"{count:,} media are"


def _damage_json(one: Damage) -> dict[str, Any]:
    objects = [id.hex() for id in sorted(one.objects)]
    return {"kind": one.kind, "name": one.name, "text": one.text, "objects": objects, "needed": one.needed.json()}


def _print_damage(damage: Sequence[Damage]) -> None:
    for one in damage[:SHOWN]:
        out(f"damaged: {one.kind} {shown(one.name)}: {shown(one.text)}")
        if one.objects:
            words = one.needed.words()
            out(f"  needed by {shown(words)}" if words else "  nothing that stands today needs it")
    if len(damage) > SHOWN:
        out(f"... and {len(damage) - SHOWN:,} more; all: --json")


def _verdict(damage: int, findings: int) -> str:
    if damage:
        return f"{damage:,} damaged"
    return "all whole" + (f", {plural(findings, 'odd record')}" if findings else "")


def _print(word: str, findings: list[dict[str, str]]) -> None:
    for finding in findings[:SHOWN]:
        out(f"{word}: {finding['kind']} {shown(finding['name'])}: {shown(finding['text'])}")
    if len(findings) > SHOWN:
        out(f"... and {len(findings) - SHOWN:,} more; all: --json")
