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

from dsvc.model.facts import EXISTS, GROUPS, Facts, Values, facts_of, fields_of, values_of
from dsvc.store import codec

Prefer = Literal["ours", "theirs"]
Value = bytes | None
# What numbers a record is no part of what it says.
NUMBERING = frozenset(("number", "n"))
# Which fields of COCO's a source did not have: what one side had is there.
_ABSENT = ":absent"
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
    mine, other = facts_of(codec.decode(ours, "record")), facts_of(codec.decode(theirs, "record"))
    was = facts_of(codec.decode(base, "record")) if base is not None else None
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
    facts = facts_of(codec.decode(left, "record"))
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
        return values_of(min(_all(ours, theirs), key=lambda number: (isinstance(number, str), number)))
    if path == "name":
        return values_of(min(_all(ours, theirs)))
    if path.endswith(_ABSENT) and path.startswith(("extras\0", "x\0")):
        return _common(ours, theirs)
    if path in GROUPS and len(base) == len(ours) == len(theirs) == 1:
        joined = _joined(*(next(iter(side.values())) for side in (base, ours, theirs)))
        if joined is not None:
            return values_of(joined)
    return _merged(base, ours, theirs, prefer, path in GROUPS)


def _merged(base: Values, ours: Values, theirs: Values, prefer: Prefer | None, is_group: bool = False) -> Values:
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
    if is_group:
        kept = _largest(kept)
    if prefer is not None and len(kept) > 1:
        chosen = ours if prefer == "ours" else theirs
        return chosen or kept
    return kept


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


def _joined(base: Any, ours: Any, theirs: Any) -> Any:
    """A group whose parts both sides have alike, with what either added and without what either took away; or None."""
    if not (type(base) is type(ours) is type(theirs) is dict):
        return None
    joined = {}
    for name in ours.keys() | theirs.keys():
        was, mine, other = (codec.encode(side[name]) if name in side else None for side in (base, ours, theirs))
        if mine is not None and other is not None:
            if mine != other:
                return None
            joined[name] = ours[name]
        elif (mine or other) != was:
            joined[name] = ours[name] if mine is not None else theirs[name]
    return joined if joined else None


def _largest(values: Values) -> Values:
    """The values of a group, without those whose parts another one has all."""
    if len(values) < 2:
        return values
    parts = {
        encoded: {(name, codec.encode(part)) for name, part in value.items()} if type(value) is dict else set()
        for encoded, value in values.items()
    }
    return {
        encoded: value
        for encoded, value in values.items()
        if not any(parts[encoded] < other for other in parts.values()) or not parts[encoded]
    }
