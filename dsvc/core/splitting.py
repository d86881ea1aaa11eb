"""Splits that stay put: which part an input falls into is decided by a hash, so adding inputs moves nobody.

The rule is for ever (docs/reference/splits.md): the first 8 bytes of BLAKE3 of seed, line feed, `by`, line feed and
the value, as a fraction of 2^64, beside the cumulated percentages.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from blake3 import blake3

from dsvc.core.names import check_name
from dsvc.core.selecting import selected
from dsvc.core.setting import METADATA
from dsvc.errors import InvalidRecordsError, UsageError
from dsvc.model.clashes import settle
from dsvc.model.facts import clashing
from dsvc.model.incoming import Problems
from dsvc.model.node import Store
from dsvc.model.records import plain_number
from dsvc.model.snapshot import Snapshot, SnapshotEdits, edit_roots
from dsvc.model.stored import stored_fields
from dsvc.store import codec

if TYPE_CHECKING:
    from dsvc.core.draft import Draft, DraftState

NAMES = {2: ("train", "val"), 3: ("train", "val", "test")}
RATIO_HINT = "--ratio 80/20, 80/10/10, or with names: --ratio train=80,val=10,test=10"
_WHOLE = re.compile(r"[0-9]{1,3}")


class SplitRule(msgspec.Struct, frozen=True, kw_only=True):
    """How inputs are split: `parts` are names and percentages that sum to 100; `by` is "key", "content" or
    "metadata.FIELD"; `group` a regular expression whose first group in the key is hashed in the key's place."""

    parts: tuple[tuple[str, int], ...]
    by: str = "key"
    group: str | None = None
    seed: int = 1

    def part_of(self, value: bytes) -> str:
        """The part that a value falls into."""
        message = f"{self.seed}\n{self.by}\n".encode() + value
        # In hundredths of 2^64, so that nothing is rounded.
        place = int.from_bytes(blake3(message).digest(length=8), "big") * 100
        limit = 0
        for name, percent in self.parts[:-1]:
            limit += percent << 64
            if place < limit:
                return name
        return self.parts[-1][0]


class SplitPart(msgspec.Struct):
    """A part: its name, the percentage that was asked for, and how many inputs fell into it."""

    name: str
    asked: int
    inputs: int = 0


class SplitReport(msgspec.Struct):
    """What a split came to. `groups` counts the different values that were hashed; `kept` inputs were left alone."""

    parts: list[SplitPart] = []
    groups: int = 0
    changed: int = 0
    unchanged: int = 0
    kept: int = 0

    @property
    def inputs(self) -> int:
        """How many inputs were split."""
        return sum(part.inputs for part in self.parts)


def new_rule(
    ratio: str | Sequence[tuple[str, int]], by: str = "key", group: str | None = None, seed: int = 1
) -> SplitRule:
    """A rule, its ratio as text or as names and percentages. Raises UsageError."""
    parts = parse_ratio(ratio) if isinstance(ratio, str) else tuple(ratio)
    _check_parts(parts)
    if by not in ("key", "content") and not (by.startswith(METADATA) and by != METADATA):
        raise UsageError(f"{by!r} is nothing to split by", f"--by key, content, or {METADATA}FIELD")
    if group is not None:
        if by != "key":
            raise UsageError("a group is found in the key", "leave --group out, or split --by key")
        _check_group(group)
    return SplitRule(parts=parts, by=by, group=group, seed=seed)


def parse_ratio(text: str) -> tuple[tuple[str, int], ...]:
    """The parts of `80/10/10` or `train=80,val=10,test=10`. Raises UsageError."""
    pieces = [piece.strip() for piece in re.split("[/,]", text)]
    named = [piece.partition("=") for piece in pieces]
    if all(equals for _, equals, _ in named):
        names: Sequence[str] = [name.strip() for name, _, _ in named]
        pieces = [percent.strip() for _, _, percent in named]
    elif len(pieces) in NAMES and not any(equals for _, equals, _ in named):
        names = NAMES[len(pieces)]
    else:
        raise UsageError(f"{text!r} is no ratio of two or three parts, or of parts with names", RATIO_HINT)
    for piece in pieces:
        if not _WHOLE.fullmatch(piece):
            raise UsageError(f"{piece!r} in the ratio {text!r} is no whole number of percent", RATIO_HINT)
    return tuple(zip(names, map(int, pieces), strict=True))


def _check_parts(parts: Sequence[tuple[str, int]]) -> None:
    for name, percent in parts:
        check_name(name, "split")
        if percent < 0:
            raise UsageError(f"{name} cannot be {percent} percent", RATIO_HINT)
    if len({name for name, _ in parts}) < len(parts):
        raise UsageError("a part of the ratio comes twice", RATIO_HINT)
    if (total := sum(percent for _, percent in parts)) != 100:
        raise UsageError(f"the parts sum to {total}, and must sum to 100", RATIO_HINT)


def _check_group(group: str) -> None:
    try:
        count = re.compile(group).groups
    except (re.error, RecursionError, OverflowError) as error:
        raise UsageError(f"{group!r} is no regular expression: {error}", GROUP_HINT) from error
    if not count:
        raise UsageError(f"{group!r} has no part in parentheses, which would name the group", GROUP_HINT)


GROUP_HINT = "--group '(.*)_frame' keeps clip7_frame001.jpg and clip7_frame002.jpg together"


def split_inputs(draft: Draft, rule: SplitRule, where: str | None = None, keep: bool = False) -> SplitReport:
    """Split inputs by a rule: all of them, or those that `where` matches; with `keep`, those that have a split already
    keep it. Raises InvalidRecordsError, which names inputs that lack what is hashed."""
    report = SplitReport()

    def step(store: Store, state: DraftState) -> DraftState:
        cache = draft.dataset.repository.cache
        edits = SnapshotEdits()
        edits.inputs, made = plan_split(Snapshot(store, state.roots, cache), rule, where, keep)
        for name in made.__struct_fields__:
            setattr(report, name, getattr(made, name))
        return msgspec.structs.replace(state, roots=edit_roots(store, state.roots, edits, cache))

    draft.apply(step)
    return report


def plan_split(
    snapshot: Snapshot, rule: SplitRule, where: str | None = None, keep: bool = False
) -> tuple[dict[bytes, bytes | None], SplitReport]:
    """The edits that split inputs, and what they come to. Raises what `split_inputs` does."""
    parts = {name: SplitPart(name, percent) for name, percent in rule.parts}
    report = SplitReport(parts=list(parts.values()))
    edits: dict[bytes, bytes | None] = {}
    known: dict[bytes, str] = {}
    for key, fields, value in _hashed(selected(snapshot, None, where), rule, keep, report):
        name = known.get(value) or known.setdefault(value, rule.part_of(value))
        parts[name].inputs += 1
        if fields.get("split") == name:
            report.unchanged += 1
        else:
            report.changed += 1
            fields["split"] = name
            settle(fields, ("split",))
            edits[key] = codec.encode(fields)
    report.groups = len(known)
    return edits, report


def _hashed(
    entries: Iterator[tuple[bytes, bytes]], rule: SplitRule, keep: bool, report: SplitReport
) -> Iterator[tuple[bytes, dict[str, Any], bytes]]:
    """Each input's key, its fields and the value that is hashed. Raises InvalidRecordsError at the end."""
    problems = Problems()
    group = re.compile(rule.group) if rule.group is not None else None
    for key, encoded in entries:
        fields = stored_fields(encoded, "input")
        if keep and ("split" in fields or "split" in clashing(fields)):
            report.kept += 1
            continue
        value = _group_of(key, group) if rule.by == "key" else _value_of(fields, rule.by)
        if value is None:
            problems.add(key.decode())
        else:
            yield key, fields, value
    if problems.count:
        lack, hint = _lack(rule)
        noun = "input has" if problems.count == 1 else "inputs have"
        raise InvalidRecordsError(f"{problems.count:,} {noun} {lack}", problems.found, hint, count=problems.count)


def _group_of(key: bytes, group: re.Pattern[str] | None) -> bytes | None:
    if group is None:
        return key
    match = group.search(key.decode())
    # Of alternatives, the part that matched: '(.*)_frame|(.*)'.
    found = next((part for part in match.groups() if part is not None), None) if match else None
    return found.encode() if found is not None else None


def _value_of(fields: dict[str, Any], by: str) -> bytes | None:
    if by == "content":
        media = fields.get("media", {})
        hash = media.get("blob") or media.get("reference", {}).get("hash")
        return hash.hex().encode() if hash is not None else None
    value = fields.get("metadata", {}).get(by.removeprefix(METADATA))
    return codec.encode(plain_number(value)) if value is not None else None


def _lack(rule: SplitRule) -> tuple[str, str]:
    """What an input lacks that cannot be split, and what to do."""
    if rule.by == "content":
        return "no bytes that are known", "store them: dsvc add PATH, or leave these inputs out with --where"
    if rule.by == "key":
        return f"no match of {rule.group!r} in the key", "let the rest of the keys be groups of their own: (...)|(.*)"
    field = rule.by.removeprefix(METADATA)
    return f"no {rule.by}", f"set it: dsvc set KEY... --metadata {field}=VALUE, or leave these inputs out with --where"
