"""The merge of one record: the union of both sides' facts, less what either took away since the base.

For the values of a field on the sides L and R and in the base B:

    L = R -> L        L = B -> R        R = B -> L
    else  (L and R) + ((L or R) - B), and whatever single value a side holds; if that is empty while both have values,
          L or R

Three fields never clash: of numbers and of spellings of a concept's name the smaller holds, of the lists of what a COCO
file did not have what is in both. In the groups *media* and *shape*, parts that one side has alone join the other's
where all parts that both have are equal.
"""

from __future__ import annotations

from typing import Any, Literal

from dsvc.errors import DamagedError
from dsvc.model.facts import EXISTS, GROUPS, SHAPE, Facts, Fields, Values, facts_of, fields_of, values_of
from dsvc.model.stored import stored_fields
from dsvc.store import codec

Prefer = Literal["ours", "theirs"]
Value = bytes | None
# What numbers a record is no part of what it says.
NUMBERING = frozenset(("number", "n"))
# Which fields of COCO's a source did not have: what one side had is there.
_ABSENT = ":absent"
# The part of a shape that says what its numbers mean.
_UNIT = "u"
_YES, _NO = values_of(True), values_of(False)
_BOTH = {**_NO, **_YES}


def merge_record(base: Value, ours: Value, theirs: Value, prefer: Prefer | None = None) -> Value:
    """A record as both sides have it; None where it is absent or goes. Stored values in and out.

    What clashes is a conflict in what comes out; with `prefer`, that side's word holds instead.
    """
    if ours == theirs or theirs == base:
        return ours
    if ours == base:
        return theirs
    if ours is None or theirs is None:
        return _one_sided(base, ours, theirs, prefer)
    mine, other = facts_of(stored_fields(ours, "record")), facts_of(stored_fields(theirs, "record"))
    was = facts_of(stored_fields(base, "record")) if base is not None else None
    merged = merge_facts(was or {}, mine, other, prefer)
    exists = _merge_existence(was, mine, other, prefer)
    if len(exists) > 1:
        merged[EXISTS] = exists
    return codec.encode(fields_of(merged))


def _one_sided(base: Value, ours: Value, theirs: Value, prefer: Prefer | None) -> Value:
    """One side has no such record. It was never there, or it was deleted: against a change, that is a conflict."""
    left = ours if ours is not None else theirs
    if left is None or base is None:
        return left
    if same_but_number(base, left):
        return None
    if prefer is not None:
        return ours if prefer == "ours" else theirs
    facts = facts_of(stored_fields(left, "record"))
    facts[EXISTS] = _BOTH
    return codec.encode(fields_of(facts))


def _merge_existence(base: Facts | None, ours: Facts, theirs: Facts, prefer: Prefer | None) -> Values:
    was = base.get(EXISTS, _YES) if base is not None else {}
    return _merged(was, ours.get(EXISTS, _YES), theirs.get(EXISTS, _YES), prefer)


def same_but_number(a: bytes, b: bytes) -> bool:
    """Whether two stored records say the same: their numbering does not count."""
    if a == b:
        return True
    left, right = codec.unpack(a, "record"), codec.unpack(b, "record")
    for fields in (left, right):
        for name in NUMBERING:
            fields.pop(name, None)
    # Values that differ have encodings that do. Of values that don't, 1 and true are two.
    return bool(left == right) and codec.repack(left) == codec.repack(right)


def merge_facts(base: Facts, ours: Facts, theirs: Facts, prefer: Prefer | None = None) -> Facts:
    """The facts of both sides, field by field, existence apart."""
    merged: Facts = {}
    for path in ours.keys() | theirs.keys():
        if path == EXISTS:
            continue
        was, mine, other = base.get(path, {}), ours.get(path, {}), theirs.get(path, {})
        values = merge_field(path, was, mine, other, prefer)
        if values:
            merged[path] = values
    return merged


def merge_field(path: str, base: Values, ours: Values, theirs: Values, prefer: Prefer | None = None) -> Values:
    """The values of one field. Empty where it goes."""
    if ours.keys() == theirs.keys() or theirs.keys() == base.keys():
        return ours
    if ours.keys() == base.keys():
        return theirs
    if not ours or not theirs:  # taken away against changed: absent is no clash
        return _merged(base, ours, theirs, prefer)
    if path in NUMBERING:
        return values_of(min(_all(ours, theirs), key=_number_order))
    if path == "name":
        return values_of(min(_all(ours, theirs)))
    if path.endswith(_ABSENT) and path.count("\0") == 1 and path.startswith(("extras\0", "x\0")):
        return _common(ours, theirs)
    if path in GROUPS:
        return _merge_group(path, base, ours, theirs, prefer)
    return _merged(base, ours, theirs, prefer)


def _number_order(number: Any) -> tuple[bool, Any, bytes]:
    """Integers before texts; what is no other number and yet another value has its place too."""
    return isinstance(number, str), number, codec.encode(number)


def _merge_group(path: str, base: Values, ours: Values, theirs: Values, prefer: Prefer | None) -> Values:
    """The values of a group, whose parts join where those that both sides have are equal."""
    if len(base) == len(ours) == len(theirs) == 1:
        joined = _joined(path, *(next(iter(side.values())) for side in (base, ours, theirs)))
        if joined is not None:
            return values_of(joined)
    return _preferred(_largest(path, _merged(base, ours, theirs)), ours, theirs, prefer)


def _merged(base: Values, ours: Values, theirs: Values, prefer: Prefer | None = None) -> Values:
    """The formula."""
    if ours.keys() == theirs.keys() or theirs.keys() == base.keys():
        return ours
    if ours.keys() == base.keys():
        return theirs
    either = {**ours, **theirs}
    kept = {
        encoded: value
        for encoded, value in either.items()
        if (encoded in ours and encoded in theirs) or encoded not in base
    }
    for side in (ours, theirs):
        if len(side) == 1:
            kept |= side
    if not kept and ours and theirs:
        kept = either
    return _preferred(kept, ours, theirs, prefer)


def _preferred(kept: Values, ours: Values, theirs: Values, prefer: Prefer | None) -> Values:
    """What is kept, or where it clashes what a side has that is preferred and has something."""
    if prefer is None or len(kept) < 2:
        return kept
    return (ours if prefer == "ours" else theirs) or kept


def _all(ours: Values, theirs: Values) -> list[Any]:
    return [*ours.values(), *theirs.values()]


def _common(ours: Values, theirs: Values) -> Values:
    """What all lists have in common."""
    lists = _all(ours, theirs)
    if not all(type(one) is list for one in lists):
        return {**ours, **theirs}
    encoded = [{codec.encode(item): item for item in one} for one in lists]
    common = set.intersection(*(set(one) for one in encoded))
    return values_of([encoded[0][item] for item in sorted(common)])


def _joined(path: str, base: Any, ours: Any, theirs: Any) -> Any:
    """A group whose parts both sides have alike, with what either added and without what either took away; or None."""
    was, mine, other = (_parts(path, side) for side in (base, ours, theirs))
    if any(mine[name] != other[name] for name in mine.keys() & other.keys()):
        return None
    either = {**mine, **other}
    kept = {name for name in either if (name in mine and name in other) or either[name] != was.get(name)}
    joined = {name: part for name, part in {**ours, **theirs}.items() if name in kept}
    return joined if joined.keys() - {_UNIT} else None


def _largest(path: str, values: Values) -> Values:
    """The values of a group, without those whose parts another one has all."""
    if len(values) < 2:
        return values
    parts = {encoded: _parts(path, value).items() for encoded, value in values.items()}
    return {
        encoded: value
        for encoded, value in values.items()
        if not any(parts[encoded] < other for other in parts.values())
    }


def _parts(path: str, value: Fields) -> dict[str, bytes]:
    """The parts of a group's value, encoded. A shape has a unit always: without one, its numbers are pixels."""
    if type(value) is not dict:
        raise DamagedError(f"a record cannot be merged: its {path} is no map")
    parts = {name: codec.encode(part) for name, part in value.items()}
    return {_UNIT: b"", **parts} if path == SHAPE else parts
