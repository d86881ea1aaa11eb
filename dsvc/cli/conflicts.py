"""dsvc conflicts, resolve."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dsvc.cli.arguments import TEXT
from dsvc.cli.distant import fit
from dsvc.cli.exit import Exit
from dsvc.cli.render import (
    NEXT,
    NOUNS,
    author_json,
    iso,
    json_option,
    out,
    plural,
    print_json,
    print_json_list,
    shown,
    table,
    word,
)
from dsvc.cli.session import Session, pass_session, shared_options
from dsvc.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from dsvc.core.dataset import Dataset
    from dsvc.core.merging.conflicts import Candidate, Conflict, Place
    from dsvc.core.merging.resolving import Resolved

SHOWN = 50
# Of values that are alike in short: how many characters are shown, and how many of them before the difference.
_LONG, _BEFORE = 60, 20


@click.command("conflicts")
@click.argument("key", metavar="[KEY|KEY#ANN]", type=TEXT, required=False)
@click.option("--exit-code", is_flag=True, help="Exit with 1 where any are open.")
@json_option
@shared_options
@pass_session
def conflicts_command(session: Session, key: str | None, exit_code: bool, as_json: bool) -> int:
    """List the open conflicts, each with its candidates and who brought them.

    With KEY, those of an input and of its annotations; with KEY#ANN, of one annotation. The first 50 are shown; --json
    gives all.

    \b
    JSON: {"dataset", "conflicts": [{"noun", "name", "field", "candidates": [{"number", "value",
           "author": {"name", "email"} or null, "time", "commit": ID or null for what is staged, "source"}]}]}
    """
    dataset = session.dataset()
    if key is not None:
        _require_known(dataset, key)
    found = dataset.conflicts(key, None if as_json else SHOWN)
    code = Exit.NO if found and exit_code else Exit.DONE
    if as_json:
        print_json_list({"dataset": dataset.name}, "conflicts", map(_json, found))
        return code
    if not found:
        out(f"{shown(key)} has no open conflicts" if key is not None else "no open conflicts")
        return code
    for conflict in found:
        _print(conflict)
    count = dataset.count_conflicts(key) if len(found) == SHOWN else len(found)
    if count > SHOWN:
        out(f"... and {count - SHOWN:,} more; all: --json")
    out(plural(count, "open conflict") + (next_ := fit(f"; next: {_command(found[0].place)}")))
    if count > 1 and next_:
        out("or many at once: dsvc resolve --all --from REV, dsvc resolve --all --author NAME")
    return code


def _require_known(dataset: Dataset, key: str) -> None:
    """Raise NotFoundError where nothing in the draft is named so."""
    snapshot = dataset.draft().snapshot
    owner, _, id = key.rpartition("#")
    if snapshot.input(key) is None and snapshot.annotation(owner, id) is None and snapshot.concept(key) is None:
        raise NotFoundError(f"no input, annotation or concept {key!r}", "all that are in conflict: dsvc conflicts")


def _json(conflict: Conflict) -> dict[str, Any]:
    from dsvc.cli.records import plain

    place = conflict.place
    return {
        "noun": place.noun,
        "name": place.name,
        "field": place.field,
        "candidates": [
            {
                "number": number,
                "value": plain(one.value),
                "author": author_json(one.origin.commit.author) if one.origin else None,
                "time": iso(one.origin.commit.time) if one.origin else None,
                "commit": one.origin.id.hex() if one.origin else None,
                "source": one.origin.source if one.origin else None,
            }
            for number, one in enumerate(conflict.candidates, 1)
        ],
    }


def _print(conflict: Conflict) -> None:
    place = conflict.place
    noun = "concept " if place.noun == "concept" else ""
    out(f"{noun}{shown(place.name)}  {shown(place.field)}")
    texts = _texts(conflict)
    rows = [(f"  {at + 1}", texts[at], *_origin(one)) for at, one in enumerate(conflict.candidates)]
    for line in table(rows):
        out(line)


def _texts(conflict: Conflict) -> list[str]:
    """The candidates in a few words that tell them apart."""
    import json

    from dsvc.cli.records import candidate_text, plain

    values = [one.value for one in conflict.candidates]
    if conflict.place.field == "exists":
        return ["no (deleted)" if value == "no" else "yes (changed)" for value in values]
    texts = [candidate_text(value) for value in values]
    if len(set(texts)) == len(texts):
        return texts
    whole = [json.dumps(_even(plain(value)), ensure_ascii=False) for value in values]
    differing = (at for at, chars in enumerate(zip(*whole, strict=False)) if len(set(chars)) > 1)
    start = max(0, next(differing, min(map(len, whole))) - _BEFORE)
    dots = "..." if start else ""
    return [
        f"{text}: {dots}{shown(full[start : start + _LONG])}{'...' if len(full) > start + _LONG else ''}"
        for text, full in zip(texts, whole, strict=True)
    ]


def _even(value: Any) -> Any:
    """A value in which 2 and 2.0 are written alike: how numbers are stored is no difference to look at."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_even(part) for part in value]
    return {name: _even(part) for name, part in value.items()} if isinstance(value, dict) else value


def _origin(candidate: Candidate) -> tuple[str, str, str]:
    origin = candidate.origin
    if origin is None:
        return "staged", "", ""
    if "source" in origin.commit.notes:
        return f"source {shown(str(origin.commit.notes['source']))}", "", origin.id.short()
    by = f"{shown(str(origin.commit.author))}{f', source {shown(origin.source)}' if origin.source else ''}"
    return by, iso(origin.commit.time)[:16].replace("T", " "), origin.id.short()


def _command(place: Place) -> str:
    """The command that settles a conflict."""
    if place.noun == "concept":
        return f"dsvc resolve --concept={word(place.name)} {word(place.field)} --take N"
    words = f"{word(place.name)} {word(place.field)}"
    return f"dsvc resolve --take N -- {words}" if place.name.startswith("-") else f"dsvc resolve {words} --take N"


@click.command("resolve")
@click.argument("names", metavar="[KEY[#ANN]] [FIELD]", type=TEXT, nargs=-1)
@click.option("--concept", metavar="NAME", type=TEXT, help="A conflict of a concept, in place of KEY.")
@click.option("--all", "all_", is_flag=True, help="All open conflicts, with --from or --author.")
@click.option("--take", metavar="N", type=int, help="The candidate of this number holds: see dsvc conflicts.")
@click.option("--from", "revision", metavar="REV", type=TEXT, help="The candidate that this revision has.")
@click.option("--author", metavar="NAME", type=TEXT, help="The candidate that this person, or source, brought.")
@click.option("--dry-run", is_flag=True, help="Only say what would be settled.")
@json_option
@shared_options
@pass_session
def resolve_command(
    session: Session,
    names: tuple[str, ...],
    concept: str | None,
    all_: bool,
    take: int | None,
    revision: str | None,
    author: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Settle conflicts in the draft: say which candidate of a field holds.

    Without FIELD, those of a record are meant; of an input, its annotations' too. A record whose `exists` is settled as
    no goes; an input goes with its annotations. Any other value can be set as always: dsvc annotate, dsvc set.

    \b
    JSON: {"dataset", "settled": [{"noun", "name", "field"}...], "left": [{"noun", "name", "field"}...],
           "removed": {"inputs", "annotations", "concepts"}, "open": COUNT of conflicts, "dry_run"}
    """
    name, field = _meant(names, concept, all_)
    dataset = session.dataset(signed=True)
    result = dataset.resolve(
        name, field, concept=concept is not None, take=take, revision=revision, author=author, dry_run=dry_run
    )
    if as_json:
        print_json(
            {
                "dataset": dataset.name,
                "settled": [_place_json(place) for place in result.settled],
                "left": [_place_json(place) for place in result.left],
                "removed": {f"{noun}s": result.removed[noun] for noun in NOUNS},
                "open": result.open,
                "dry_run": dry_run,
            }
        )
        return
    _print_resolved(result, dry_run)


def _meant(names: tuple[str, ...], concept: str | None, all_: bool) -> tuple[str | None, str | None]:
    if concept is not None:
        names = (concept, *names)
    if all_ == bool(names) or len(names) > 2:
        raise UsageError("say what is to be settled", "dsvc resolve KEY[#ANN] [FIELD] --take N, or: --all --from REV")
    return (names[0] if names else None), (names[1] if len(names) == 2 else None)


def _place_json(place: Place) -> dict[str, str]:
    return {"noun": place.noun, "name": place.name, "field": place.field}


def _print_resolved(result: Resolved, dry_run: bool) -> None:
    first = [f"{shown(place.name)} {shown(place.field)}" for place in result.settled[:3]]
    more = f" and {len(result.settled) - 3:,} more" if len(result.settled) > 3 else ""
    verb = "would settle" if dry_run else "settled"
    out(f"{verb} {plural(len(result.settled), 'conflict')}: {', '.join(first)}{more}")
    gone = [plural(result.removed[noun], noun) for noun in NOUNS if result.removed[noun]]
    if gone:
        out(f"{'would remove' if dry_run else 'removed'} {', '.join(gone)}")
    if result.left:
        out(f"{plural(len(result.left), 'conflict')} left as they are: none of their candidates is meant")
    if dry_run:
        out("nothing was changed")
    elif result.open:
        out(f"{plural(result.open, 'conflict')} still open; next: dsvc conflicts")
    else:
        out(NEXT)
