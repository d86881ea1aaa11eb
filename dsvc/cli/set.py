"""dsvc set, split."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from dsvc.cli.arguments import TEXT, text
from dsvc.cli.render import NEXT, json_option, out, plural, print_json, table
from dsvc.cli.session import Session, pass_session, shared_options

if TYPE_CHECKING:
    from dsvc.core.setting import SetReport
    from dsvc.core.splitting import SplitReport

# Points of percent by which a part may miss what was asked before the report explains it.
NEAR = 2


class MetadataType(click.ParamType):  # type: ignore[type-arg] # generic in newer clicks only
    """NAME=VALUE."""

    name = "NAME=VALUE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The name, and what the value is in JSON; what is no JSON is text."""
        name, equals, content = text(value).partition("=")
        if not equals or not name:
            self.fail(f"{value!r} is not of the form NAME=VALUE", param, ctx)
        try:
            return name, _parsed(content)
        except _NoValueError as error:
            self.fail(f"{name}: {error}", param, ctx)


class _NoValueError(Exception):
    """What JSON, or Python's reader of it, takes for a value, and dsvc does not."""


def _parsed(content: str) -> Any:
    try:
        found = json.loads(content, parse_constant=_refuse_number, parse_float=_float, object_pairs_hook=_map)
    except RecursionError:
        raise _NoValueError("is nested too deep") from None
    except ValueError:
        return content
    if found is None:
        raise _NoValueError("null is no value; to take a field away: --unset metadata.NAME; for the text: '\"null\"'")
    return found


def _refuse_number(name: str) -> Any:
    raise _NoValueError(f"{name} is no number; for the text: '\"{name}\"'")


def _float(digits: str) -> float:
    number = float(digits)
    return number if abs(number) != float("inf") else _refuse_number(digits)


def _map(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise _NoValueError("a key of an object comes twice")
    return made


class GeoType(click.ParamType):  # type: ignore[type-arg] # generic in newer clicks only
    """LON,LAT."""

    name = "LON,LAT"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Two numbers; which ones can be a place is known to the library."""
        try:
            longitude, latitude = (float(part) for part in text(value).split(","))
        except ValueError:
            self.fail(f"{value!r} is not of the form LON,LAT: longitude first, in degrees", param, ctx)
        return longitude, latitude


dry_run_option = click.option("--dry-run", is_flag=True, help="Only say what would change.")
where_option = click.option("--where", metavar="EXPR", type=TEXT, help="Only inputs that match this expression.")


@click.command("set")
@click.argument("keys", metavar="[KEY...]", type=TEXT, nargs=-1)
@where_option
@click.option("--metadata", metavar="NAME=VALUE", type=MetadataType(), multiple=True, help="May be repeated.")
@click.option("--split", metavar="NAME", type=TEXT, help="The part that it belongs to: train, val, test, ...")
@click.option("--geo", metavar="LON,LAT", type=GeoType(), help="Where it was taken: longitude, latitude in degrees.")
@click.option("--unset", metavar="NAME", type=TEXT, multiple=True, help="Take away: split, geo, metadata.NAME.")
@dry_run_option
@json_option
@shared_options
@pass_session
def set_command(session: Session, /, keys: tuple[str, ...], dry_run: bool, as_json: bool, **options: Any) -> None:
    """Set fields of inputs: metadata, split, geo.

    A value of metadata is what it is in JSON: a number, true, false, "text", a list or an object. Everything else is
    text: zip=007 and name=cat are, and zip='"7"' is the text 7.

    \b
    JSON: {"dataset", "dry_run", "changed": COUNT, "unchanged": COUNT}
    """
    where, metadata = options.pop("where"), _once(options.pop("metadata"))
    if not keys and where is None:
        raise click.UsageError("name inputs, or match them with --where")
    if keys and where is not None:
        raise click.UsageError("name inputs, or match them with --where, not both")
    dataset = session.dataset(signed=True)
    report: SetReport
    if dry_run:
        from dsvc.core.setting import new_fields, plan_fields

        _, report = plan_fields(dataset.draft().snapshot, new_fields(metadata, **options), keys or None, where)
    else:
        report = dataset.set(*keys, where=where, metadata=metadata, **options)
    if as_json:
        counts = {"changed": report.changed, "unchanged": report.unchanged}
        print_json({"dataset": dataset.name, "dry_run": dry_run, **counts})
        return
    out(_changes(report, dry_run))
    if report.changed and not dry_run:
        out(f"{NEXT}, or take it back: dsvc undo")


def _once(pairs: tuple[tuple[str, Any], ...]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise click.UsageError("a name of --metadata comes twice")
    return made


def _changes(report: SetReport | SplitReport, dry_run: bool) -> str:
    if not report.changed + report.unchanged:
        return "no input matches"
    verb = "would change" if dry_run else "changed"
    return f"{plural(report.changed, 'input')} {verb}, {report.unchanged:,} unchanged"


@click.command("split")
@click.option("--ratio", metavar="RATIO", type=TEXT, required=True, help="80/20, 80/10/10, or train=80,val=20.")
@click.option("--by", metavar="WHAT", type=TEXT, default="key", help="key (the default), content or metadata.FIELD.")
@click.option("--group", metavar="REGEX", type=TEXT, help="Keys whose part in parentheses is equal stay together.")
@click.option("--seed", metavar="N", type=click.IntRange(min=0), default=1, help="Another seed, another split; else 1.")
@click.option("--keep", is_flag=True, help="Leave inputs alone that have a split already.")
@where_option
@dry_run_option
@json_option
@shared_options
@pass_session
def split_command(session: Session, /, dry_run: bool, as_json: bool, **options: Any) -> None:
    """Split inputs into train, val and test by a hash.

    Each input's part hangs on the seed, the ratio and its own value alone: adding inputs moves nobody, and inputs of
    one value (of a field, say the video) stay together. The ratio is of whole percents that sum to 100.

    \b
    JSON: {"dataset", "dry_run", "by", "group", "seed", "parts": [{"name", "asked": PERCENT, "got": PERCENT or null,
           "inputs": COUNT}], "groups": COUNT, "changed": COUNT, "unchanged": COUNT, "kept": COUNT}
    """
    dataset = session.dataset(signed=True)
    report: SplitReport
    if dry_run:
        from dsvc.core.splitting import new_rule, plan_split

        rule = new_rule(options["ratio"], options["by"], options["group"], options["seed"])
        _, report = plan_split(dataset.draft().snapshot, rule, options["where"], options["keep"])
    else:
        report = dataset.split(**options)
    if as_json:
        head = {"dataset": dataset.name, "dry_run": dry_run}
        print_json({**head, **{name: options[name] for name in ("by", "group", "seed")}, **_split_json(report)})
        return
    _print_split(report, dry_run)
    if report.changed and not dry_run:
        out(f"{NEXT}, or take it back: dsvc undo")


def _split_json(report: SplitReport) -> dict[str, Any]:
    parts = [
        {"name": part.name, "asked": part.asked, "got": _got(report, part.inputs), "inputs": part.inputs}
        for part in report.parts
    ]
    counts = {name: getattr(report, name) for name in ("groups", "changed", "unchanged", "kept")}
    return {"parts": parts, **counts}


def _got(report: SplitReport, count: int) -> float | None:
    return round(100 * count / report.inputs, 1) if report.inputs else None


def _print_split(report: SplitReport, dry_run: bool) -> None:
    kept = f", {report.kept:,} kept their split" if report.kept else ""
    if not report.inputs:
        out(f"no inputs to split{kept}")
        return
    got = {part.name: _got(report, part.inputs) or 0.0 for part in report.parts}
    rows = [
        (part.name, plural(part.inputs, "input"), f"asked {part.asked} %", f"got {got[part.name]:.1f} %")
        for part in report.parts
    ]
    for line in table(rows, right=(1, 2, 3)):
        out(line)
    out(f"{_changes(report, dry_run)}{kept}")
    if any(abs(got[part.name] - part.asked) > NEAR for part in report.parts):
        few = plural(report.inputs, "input") if report.groups == report.inputs else plural(report.groups, "group")
        out(f"note: with only {few} a hash strays from the ratio; with more it comes nearer")
