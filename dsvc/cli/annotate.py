"""dsvc annotate."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import click

from dsvc.cli.arguments import TEXT, text
from dsvc.cli.progress import progress
from dsvc.cli.render import NEXT, json_option, out, plural, print_json, shown, word
from dsvc.cli.session import Session, pass_session, shared_options
from dsvc.cli.where import NOTHING, find_noun, where_options
from dsvc.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from dsvc.core.dataset import Dataset
    from dsvc.core.draft import Draft
    from dsvc.core.filters.bulk import Noun, Outcome
    from dsvc.core.filters.patch import Patch
    from dsvc.core.state import State
    from dsvc.model.records import Annotation


class NumbersType(click.ParamType):  # type: ignore[type-arg] # generic in newer clicks only
    """Numbers parted by commas: exactly `count` of them, or at least `least` in groups of `group`."""

    name = "NUMBERS"

    def __init__(self, least: int, group: int, count: int | None = None) -> None:
        self.least, self.group, self.count = least, group, count

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The numbers of a text, whole ones as integers."""
        try:
            numbers = tuple(_number(part) for part in value.split(","))
        except ValueError:
            self.fail(f"{value!r} is not a list of numbers such as 1,2.5", param, ctx)
        if self.count is not None and len(numbers) != self.count:
            self.fail(f"{plural(len(numbers), 'number')}, where {self.count} are needed", param, ctx)
        if len(numbers) < self.least or len(numbers) % self.group:
            count = plural(len(numbers), "number")
            self.fail(f"{count}: give {self.least} or more, {self.group} at a time", param, ctx)
        return numbers


class BoxType(NumbersType):
    """X,Y,WIDTH,HEIGHT."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The four numbers; a box has a width and a height."""
        box = super().convert(value, param, ctx)
        if box[2] <= 0 or box[3] <= 0:
            self.fail(f"a box of {box[2]:g} x {box[3]:g}: width and height are above 0", param, ctx)
        return box


class SpanType(NumbersType):
    """BEGIN,END in characters."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The two whole numbers."""
        span = super().convert(value, param, ctx)
        if not all(isinstance(number, int) for number in span):
            self.fail(f"{value!r}: characters are counted in whole numbers", param, ctx)
        return span


class TrackType(click.ParamType):  # type: ignore[type-arg] # generic in newer clicks only
    """A number or a text."""

    name = "TRACK"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number where it is spelled as numbers are, else the text."""
        track = text(str(value))
        return int(track) if track.isdecimal() and track.isascii() and str(int(track)) == track else track


class AttributeType(click.ParamType):  # type: ignore[type-arg] # generic in newer clicks only
    """NAME=VALUE."""

    name = "NAME=VALUE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The name and the value: a JSON number, true, false or null, or else the text itself."""
        name, equals, content = text(value).partition("=")
        if not equals or not name:
            self.fail(f"{value!r} is not of the form NAME=VALUE", param, ctx)
        try:
            found = json.loads(content, parse_constant=_refuse_constant)
        except ValueError:
            found = content
        finite = not isinstance(found, float) or math.isfinite(found)
        return name, found if finite and not isinstance(found, list | dict) else content


def _number(part: str) -> float:
    value = float(part)
    if not math.isfinite(value):
        raise ValueError(part)
    return int(value) if value.is_integer() and abs(value) < 1e15 else value


def _refuse_constant(text: str) -> Any:
    raise ValueError(text)


WAYS: dict[Noun, tuple[str, str]] = {
    "inputs": ("to add one to each input", "dsvc annotate --inputs --where EXPR ..."),
    "annotations": ("to change each annotation", "dsvc annotate --annotations --where EXPR ..."),
}
_FIELDS = ("concept", "point", "keypoints", "text", "span", "time", "frame", "track")


@click.command("annotate")
@click.argument("name", metavar="[KEY|KEY#ANN]", type=TEXT, required=False)
@where_options
@click.option("--concept", metavar="NAME", type=TEXT, help="What it is; a new concept is made.")
@click.option("--box", metavar="X,Y,W,H", type=BoxType(4, 4, 4), help="Its box: left, top, width, height.")
@click.option(
    "--polygon", "polygons", metavar="X,Y,...", type=NumbersType(6, 2), multiple=True, help="May be repeated."
)
@click.option("--unit", type=click.Choice(["pixel", "relative"]), help="Of box and polygons; relative: 0 to 1.")
@click.option("--point", metavar="X,Y", type=NumbersType(2, 2, 2))
@click.option("--keypoints", metavar="X,Y,V,...", type=NumbersType(3, 3), help="V: 0 not there, 1 hidden, 2 visible.")
@click.option("--text", metavar="TEXT", type=TEXT, help="What is said or written there, or a caption.")
@click.option(
    "--span", metavar="BEGIN,END", type=SpanType(2, 2, 2), help="The first character, and the one after the last."
)
@click.option("--time", metavar="BEGIN,END", type=NumbersType(2, 2, 2), help="From when to when, in seconds.")
@click.option("--frame", metavar="N", type=click.IntRange(min=0), help="The frame of a video, counted from 0.")
@click.option("--track", metavar="TRACK", type=TrackType(), help="What is the same from frame to frame.")
@click.option("--negative/--positive", default=None, help="Whether it says that the concept is not there.")
@click.option("--crowd/--no-crowd", default=None, help="Whether it stands for many.")
@click.option("--attribute", "attributes", metavar="NAME=VALUE", type=AttributeType(), multiple=True)
@click.option("--dry-run", is_flag=True, help="With --where: only say how many would change.")
@json_option
@shared_options
@pass_session
def annotate_command(
    session: Session,
    /,
    name: str | None,
    inputs: bool,
    annotations: bool,
    where: str | None,
    dry_run: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Add an annotation to an input, or change one.

    KEY names an input, and a new annotation is made; KEY#ANN names an annotation, and what is given is set in it.
    Its id stays, and so do the other parts of its shape. --inputs --where EXPR adds one annotation to every input
    that a filter is true of; --annotations --where EXPR changes every such annotation.

    \b
    JSON: {"dataset", "verb": "added" or "changed", "new_concept": whether its concept was made,
           "annotation": as in `dsvc show KEY --json`}; with --where in place of "annotation":
           "dry_run", "matched": COUNT of inputs or annotations, "changed": COUNT of annotations
    """
    noun = find_noun([name] if name is not None else [], inputs, annotations, where, WAYS)
    patch = _patch({field: value for field, value in options.items() if value is not None and value != ()})
    if noun is not None and where is not None:
        _annotate_matching(session.dataset(signed=True), noun, where, patch, (dry_run, as_json))
    elif name is None:
        raise UsageError(
            "nothing is named", "dsvc annotate KEY --concept NAME, dsvc annotate --inputs --where EXPR ..."
        )
    elif dry_run:
        raise UsageError("--dry-run goes with --where", "dsvc undo takes one annotation back")
    else:
        _annotate_one(session.dataset(signed=True), name, patch, as_json)


def _patch(given: dict[str, Any]) -> Patch:
    """What the options say."""
    if not given.keys() - {"unit"}:
        raise click.UsageError("say what the annotation says, such as --concept NAME or --box X,Y,W,H")
    if "concept" in given and not given["concept"].strip():
        raise click.UsageError("a concept needs a name")
    from dsvc.core.filters.patch import Patch

    fields: dict[str, Any] = {field: given[field] for field in _FIELDS if field in given}
    if "crowd" in given:
        fields["crowd"] = int(given["crowd"])
    if "negative" in given:
        fields["value"] = int(not given["negative"])
    shape = {part: given[part] for part in ("box", "polygons", "unit") if part in given}
    return Patch(fields=fields, attributes=dict(given.get("attributes", ())), **shape)


def _annotate_one(dataset: Dataset, name: str, patch: Patch, as_json: bool) -> None:
    with dataset.edit(f"annotate {name}"[:200]) as draft:
        old = _existing(draft, name)
        made = _new_concept(draft, patch)
        new = _change(draft, old, patch) if old is not None else _add(draft, name, patch)
    if old is None and draft.annotated is not None:
        new = draft.annotated  # where another writer added an equal one first, publishing gave it another id
    verb = "added" if old is None else "changed"
    if as_json:
        from dsvc.cli.records import annotation_json

        head = {"dataset": dataset.name, "verb": verb, "new_concept": made is not None}
        print_json({**head, "annotation": annotation_json(new)})
        return
    out(f"{verb} {shown(f'{new.key}#{new.id}')}" + (f" {shown(new.concept)}" if new.concept else ""))
    if made is not None:
        out(made)
    if old is not None and old.conflicts.keys() - new.conflicts.keys():
        out(_settled(old, new))
    if new.conflicts:
        from dsvc.cli.records import conflict_text

        out(f"still {conflict_text(new)}; see: dsvc conflicts {word(f'{new.key}#{new.id}')}")
    out(NEXT)


def _settled(old: Annotation, new: Annotation) -> str:
    """Which conflicts were settled by setting their fields."""
    from dsvc.model.clashes import clashes_of

    fields = [shown(clash.field) for clash in clashes_of(old) if clash.path not in new.conflicts]
    return f"settled {plural(len(fields), 'conflict')}: {', '.join(fields)}"


def _annotate_matching(dataset: Dataset, noun: Noun, where: str, patch: Patch, how: tuple[bool, bool]) -> None:
    dry_run, as_json = how
    made = _new_concept(dataset.draft(), patch)
    with progress() as report:
        found = dataset.annotate_matching(noun, where, patch, dry_run=dry_run, progress=report)
    if not found.changed:
        made = None
    if as_json:
        verb = "added" if noun == "inputs" else "changed"
        counts = {"matched": found.annotations, "changed": found.changed}
        head = {"dataset": dataset.name, "verb": verb, "new_concept": made is not None}
        print_json({**head, "dry_run": dry_run, **counts})
        return
    out(_told(noun, found, dry_run))
    if made is not None:
        out(made)
    if found.changed and not dry_run:
        out(f"{NEXT}, or take it back: dsvc undo")


def _told(noun: Noun, found: Outcome, dry_run: bool) -> str:
    if not found.annotations:
        return f"{NOTHING}; nothing {'would change' if dry_run else 'changed'}"
    if noun == "inputs":
        return f"{'would add' if dry_run else 'added'} {plural(found.changed, 'annotation')}, one to each input"
    if not found.changed:
        return f"{plural(found.annotations, 'annotation')} matched, and nothing had to change"
    if found.changed < found.annotations:
        count = f"{found.changed:,} of {plural(found.annotations, 'annotation')}; the rest is so already"
    else:
        count = plural(found.changed, "annotation")
    return f"{'would change' if dry_run else 'changed'} {count}"


def _new_concept(state: Draft | State, patch: Patch) -> str | None:
    """What to say of a concept that is not there yet, with those that are spelled like it; None of one that is."""
    name = patch.fields.get("concept")
    if name is None:
        return None
    from dsvc.model.records import concept_id

    id = concept_id(name)
    if state.snapshot.concept(id) is not None:
        return None
    import difflib

    known = {concept.id.casefold(): concept.id for concept in state.snapshot.concepts()}
    near = [shown(known[found]) for found in difflib.get_close_matches(id.casefold(), known, 3)]
    return f"new concept {shown(id)}" + (f"; did you mean {', '.join(near)}?" if near else "")


def _existing(draft: Draft, name: str) -> Annotation | None:
    """The annotation that KEY#ANN names; None for a KEY. Raises NotFoundError."""
    if draft.snapshot.input(name) is not None:
        return None
    key, mark, id = name.rpartition("#")
    if not mark:
        from dsvc.core.nearest import no_input

        raise no_input(name, draft.snapshot)
    found = draft.snapshot.annotation(key, id)
    if found is None:
        raise NotFoundError(f"no annotation {shown(name)}", f"see: dsvc show {shown(key)}")
    return found


def _add(draft: Draft, key: str, patch: Patch) -> Annotation:
    from dsvc.core.draft import new_annotation

    return draft.annotate(new_annotation(key, **patch.changes()))


def _change(draft: Draft, old: Annotation, patch: Patch) -> Annotation:
    draft.change_annotation(old.key, old.id, patch)
    changed = draft.snapshot.annotation(old.key, old.id)
    assert changed is not None
    return changed
