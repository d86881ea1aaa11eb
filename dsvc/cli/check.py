"""dsvc check."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dsvc.cli.distant import fit
from dsvc.cli.exit import Exit
from dsvc.cli.progress import progress
from dsvc.cli.render import json_option, listed, note, out, plural, print_json, shown
from dsvc.cli.session import Session, pass_session, shared_options
from dsvc.errors import UsageError

if TYPE_CHECKING:
    from dsvc.core.check import CheckReport, Damage
    from dsvc.core.repairing.mending import Donor
    from dsvc.core.repairing.repair import RepairReport
    from dsvc.core.repository import Repository

SHOWN = 100
ALIKE = 10  # so many repairs of one kind are named; --json names all


@click.command("check")
@click.option("--media", is_flag=True, help="Decode the media, too.")
@click.option("--repair", "mend", is_flag=True, help="Mend what is damaged, from remotes and from what is whole.")
@click.option("--dry-run", is_flag=True, help="With --repair: say what it would do, and change nothing.")
@json_option
@shared_options
@pass_session
def check_command(session: Session, media: bool, mend: bool, dry_run: bool, as_json: bool) -> int:
    """Verify that everything stored is whole.

    What is damaged or lost is named with what depends on it. Media that is not here is in order where a remote has it,
    or where it was purged; none is fetched for a check.

    Records that are odd but whole are named too: sizes that disagree with the file, boxes of no size, names that
    clash on other systems. With --media, so is every file that does not decode or is not what its name says.

    With --repair, what is damaged or lost is brought from the remotes, and the head and the index are made anew from
    the packs, if need be. A damaged copy goes when a good one is in its place, and lies in .dsvc/damaged then. The
    cache is dropped. Let nobody else write to the repository meanwhile. What is said of damage is what is left of it.

    Exit code 5 where something is damaged, 1 where records are odd but whole, else 0.

    \b
    JSON: {"objects", "damage": [{"kind", "name", "text", "objects": [ID...], "needed": {"datasets", "branches",
           "versions", "others": [NAME...], "commits": [ID...], "inputs": [KEY...], "ranges": [TEXT...], those that
           cannot be named, "operations": whether earlier ones do}}...],
           "findings": [{"kind", "name", "text"}], "orphans", "notes": [TEXT...], what could not be decoded here,
           "elsewhere", media that only a remote has, "purged", media that a tombstone names: COUNT}
    with --repair also: {"repaired": [{"kind", "name", "text"}...], "aside": FOLDER or null, "dry_run"}
    """
    from dsvc.core.repository import Repository

    repaired = None
    if mend:
        repaired = _repair(session, media, dry_run)
        result = repaired.after
    elif dry_run:
        raise UsageError("--dry-run goes with --repair: a check changes nothing", "dsvc check --repair --dry-run")
    else:
        from dsvc.core.check import check

        with progress() as report:
            result = check(session.repository(), media=media, progress=report)
    if as_json:
        print_json(_json(result) | (_repaired_json(repaired, dry_run) if repaired is not None else {}))
    else:
        if repaired is not None:
            _tell_repaired(repaired, dry_run)
        _tell(result, _remote_names(Repository.open(Path())) if result.elsewhere else ())
    if result.damage:
        note(f"error: {plural(len(result.damage), 'part')} of the repository cannot be trusted")
        more = "name another place that has it: dsvc remote add NAME URL, and again; or restore .dsvc from a backup"
        hint = more if mend else "mend it, from a remote where that is needed: dsvc check --repair"
        if session.place is None:
            note(f"hint: {hint}")
        return Exit.DAMAGED
    return Exit.NO if result.findings else Exit.DONE


def _repair(session: Session, media: bool, dry_run: bool) -> RepairReport:
    """Mend the repository of the folder, which may be one that cannot be opened."""
    from dsvc.core.repairing.repair import find_broken, repair
    from dsvc.remote.donors import open_donors

    def tell(text: str) -> None:
        note(f"note: {shown(text)}")

    def donors(repository: Repository) -> Iterator[Donor]:
        return open_donors(repository, tell)

    with progress() as report:
        return repair(find_broken(Path()), donors, media=media, dry_run=dry_run, progress=report)


def _json(result: CheckReport) -> dict[str, Any]:
    return {
        "objects": result.objects,
        "damage": [_damage_json(one) for one in result.damage],
        "findings": [finding._asdict() for finding in result.findings],
        "orphans": result.orphans,
        "notes": list(result.notes),
        "elsewhere": result.elsewhere,
        "purged": result.purged,
    }


def _repaired_json(repaired: RepairReport, dry_run: bool) -> dict[str, Any]:
    aside = str(repaired.aside) if repaired.aside is not None else None
    return {"repaired": [one._asdict() for one in repaired.done], "aside": aside, "dry_run": dry_run}


def _tell_repaired(repaired: RepairReport, dry_run: bool) -> None:
    word = "would repair" if dry_run else "repaired"
    for (kind, text), names in _alike(repaired).items():
        for name in names if len(names) <= ALIKE else ():
            out(f"{word}: {shown(name) if kind == name else f'{kind} {shown(name)}'}: {shown(text)}")
        if len(names) > ALIKE:
            out(f"{word}: {plural(len(names), kind)}: {shown(text)}")
    if not repaired.done:
        out("nothing to repair" if not repaired.after.damage else "nothing could be repaired")
    if repaired.aside is not None:
        out(f"what was replaced lies in {shown(str(repaired.aside))}")


def _alike(repaired: RepairReport) -> dict[tuple[str, str], list[str]]:
    """The names of what was repaired, by its kind and what was done."""
    found: dict[tuple[str, str], list[str]] = {}
    for one in repaired.done:
        found.setdefault((one.kind, one.text), []).append(one.name)
    return found


def _remote_names(repository: Repository) -> list[str]:
    """The remotes that media may lie at."""
    from dsvc.remote.settings import is_trusted, list_remotes

    return [remote.name for remote in list_remotes(repository) if is_trusted(repository, remote)]


def _tell(result: CheckReport, remotes: Sequence[str]) -> None:
    _print_damage(result.damage)
    _print("odd", [finding._asdict() for finding in result.findings])
    for text in result.notes:
        out(f"note: {shown(text)}")
    if result.elsewhere:
        out(f"{_media(result.elsewhere)} not here, and at {listed(remotes) if remotes else 'a remote'}")
    if result.purged:
        out(f"{_media(result.purged)} purged" + fit("; why: dsvc purge --list"))
    out(f"{plural(result.objects, 'object')}: {_verdict(len(result.damage), len(result.findings))}")


def _media(count: int) -> str:
    return f"{plural(count, 'media file')} {'is' if count == 1 else 'are'}"


def _damage_json(one: Damage) -> dict[str, Any]:
    objects, needed = [id.hex() for id in sorted(one.objects)], {**one.needed.json(), "operations": one.is_past}
    return {"kind": one.kind, "name": one.name, "text": one.text, "objects": objects, "needed": needed}


def _print_damage(damage: Sequence[Damage]) -> None:
    for one in damage[:SHOWN]:
        out(f"damaged: {one.kind} {shown(one.name)}: {shown(one.text)}")
        if one.objects:
            out(f"  {_needs(one)}")
    if len(damage) > SHOWN:
        out(f"... and {len(damage) - SHOWN:,} more; all: --json")


def _needs(one: Damage) -> str:
    words = one.needed.words()
    if words:
        return f"needed by {shown(words)}"
    return "only earlier operations need it, which dsvc gc lets go of" if one.is_past else "nothing needs it"


def _verdict(damage: int, findings: int) -> str:
    if damage:
        return f"{damage:,} damaged"
    return "all whole" + (f", {plural(findings, 'odd record')}" if findings else "")


def _print(word: str, findings: list[dict[str, str]]) -> None:
    for finding in findings[:SHOWN]:
        out(f"{word}: {finding['kind']} {shown(finding['name'])}: {shown(finding['text'])}")
    if len(findings) > SHOWN:
        out(f"... and {len(findings) - SHOWN:,} more; all: --json")
