"""dsvc annotate."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import click

from dsvc.cli.arguments import TEXT, text
from dsvc.cli.render import NEXT, json_option, out, plural, print_json, shown
from dsvc.cli.session import Session, pass_session, shared_options
from dsvc.errors import RefusedError

if TYPE_CHECKING:
    from dsvc.core.draft import Draft
    from dsvc.model.records import Annotation, Numbers, Shape


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


@click.command("annotate")
@click.argument("name", metavar="KEY|KEY#ANN", type=TEXT)
@click.option("--concept", metavar="NAME", type=TEXT, help="What it is; a new concept is made.")
@click.option("--box", metavar="X,Y,W,H", type=BoxType(4, 4, 4), help="Its box: left, top, width, height.")
@click.option(
    "--polygon", "polygons", metavar="X,Y,...", type=NumbersType(6, 2), multiple=True, help="May be repeated."
)
@click.option("--point", metavar="X,Y", type=NumbersType(2, 2, 2))
@click.option("--keypoints", metavar="X,Y,V,...", type=NumbersType(3, 3), help="V: 0 not there, 1 hidden, 2 visible.")
@click.option("--text", metavar="TEXT", type=TEXT, help="What is said or written there, or a caption.")
@click.option("--crowd/--no-crowd", default=None, help="Whether it stands for many.")
@click.option("--unit", type=click.Choice(["pixel", "relative"]), help="Of box and polygons; relative: 0 to 1.")
@click.option("--attribute", "attributes", metavar="NAME=VALUE", type=AttributeType(), multiple=True)
@json_option
@shared_options
@pass_session
def annotate_command(session: Session, /, name: str, as_json: bool, **options: Any) -> None:
    """Add an annotation to an input, or change one.

    KEY names an input, and a new annotation is made; KEY#ANN names an annotation, and what is given is set in it.
    Its id stays, and so do the other parts of its shape.

    \b
    JSON: {"dataset", "verb": "added" or "changed", "new_concept": whether its concept was made,
           "annotation": as in `dsvc show KEY --json`}
    """
    given = {field: value for field, value in options.items() if value is not None and value != ()}
    if not given.keys() - {"unit"}:
        raise click.UsageError("say what the annotation says, such as --concept NAME or --box X,Y,W,H")
    if "concept" in given and not given["concept"].strip():
        raise click.UsageError("a concept needs a name")
    dataset = session.dataset(signed=True)
    with dataset.edit(f"annotate {name}"[:200]) as draft:
        old = _existing(draft, name)
        key = name if old is None else old.key
        made = _new_concept(draft, given.get("concept"))
        new = _change(draft, old, given) if old is not None else _add(draft, key, given)
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
    out(NEXT)


def _new_concept(draft: Draft, name: str | None) -> str | None:
    """What to say of a concept that is not there yet, with those that are spelled like it; None of one that is."""
    if name is None:
        return None
    from dsvc.model.records import concept_id

    id = concept_id(name)
    if draft.snapshot.concept(id) is not None:
        return None
    import difflib

    known = {concept.id.casefold(): concept.id for concept in draft.snapshot.concepts()}
    near = [shown(known[found]) for found in difflib.get_close_matches(id.casefold(), known, 3)]
    return f"new concept {shown(id)}" + (f"; did you mean {', '.join(near)}?" if near else "")


def _existing(draft: Draft, name: str) -> Annotation | None:
    """The annotation that KEY#ANN names; None for a KEY. Raises NotFoundError."""
    from dsvc.errors import NotFoundError

    if draft.snapshot.input(name) is not None:
        return None
    key, mark, id = name.rpartition("#")
    if not mark:
        raise NotFoundError(f"no input '{shown(name)}' in the dataset", "add it first: dsvc add PATH")
    found = draft.snapshot.annotation(key, id)
    if found is None:
        raise NotFoundError(f"no annotation {shown(name)}", f"see: dsvc show {shown(key)}")
    return found


def _add(draft: Draft, key: str, given: dict[str, Any]) -> Annotation:
    from dsvc.core.draft import new_annotation

    concept = given.get("concept")
    return draft.annotate(new_annotation(key, concept, **_fields(None, given)))


def _change(draft: Draft, old: Annotation, given: dict[str, Any]) -> Annotation:
    from dsvc.model.records import concept_id

    fields = _fields(old, given)
    if "concept" in given:
        fields["concept"] = concept_id(given["concept"])
    draft.change_annotation(old.key, old.id, fields)
    changed = draft.snapshot.annotation(old.key, old.id)
    assert changed is not None
    return changed


def _fields(old: Annotation | None, given: dict[str, Any]) -> dict[str, Any]:
    """The fields of an annotation that the options set, but the concept."""
    fields: dict[str, Any] = {name: given[name] for name in ("point", "keypoints", "text") if name in given}
    if "crowd" in given:
        fields["crowd"] = int(given["crowd"])
    if "attributes" in given:
        fields["attributes"] = {**((old.attributes if old else None) or {}), **dict(given["attributes"])}
    if given.keys() & {"box", "polygons", "unit"}:
        fields["shape"] = _shape(old.shape if old else None, given)
    return fields


def _shape(old: Shape | None, given: dict[str, Any]) -> Shape | None:
    """The old shape with the parts that are given; the area follows the parts that it was the area of."""
    import msgspec

    from dsvc.model.records import Shape

    parts: dict[str, Any] = {name: given[name] for name in ("box", "polygons") if name in given}
    if not parts and (old is None or given["unit"] == old.unit):
        if old is None:
            raise click.UsageError("--unit goes with --box or --polygon")
        return old
    before = old or Shape(unit=given.get("unit", "pixel"))
    kept = [part for part in ("box", "polygons", "mask") if getattr(before, part) is not None and part not in parts]
    unit = given.get("unit", before.unit)
    if unit != before.unit and kept:
        hint = f"give all parts of the shape in the new unit, or leave --unit {before.unit}"
        raise RefusedError(f"the shape keeps its {', '.join(kept)}, in unit {before.unit}", hint)
    return msgspec.structs.replace(before, **parts, unit=unit, area=_area(before, parts))


def _area(before: Shape, parts: dict[str, Any]) -> float | None:
    if before.area is None or before.mask is not None:
        return before.area
    if "polygons" in parts:
        return _number(repr(sum(map(_ring_area, parts["polygons"]))))
    box = before.box if before.polygons is None and "box" in parts else None
    if box is not None and math.isclose(before.area, box[2] * box[3], rel_tol=1e-3):
        return _number(repr(parts["box"][2] * parts["box"][3]))
    return before.area


def _ring_area(ring: Numbers) -> float:
    points = list(zip(ring[::2], ring[1::2], strict=True))
    turned = zip(points, points[1:] + points[:1], strict=True)
    return abs(sum(x * b - a * y for (x, y), (a, b) in turned)) / 2
