"""Setting fields of inputs: metadata, the split, the place on earth."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from dsvc.core.names import check_name
from dsvc.core.selecting import selected
from dsvc.errors import UsageError
from dsvc.model.clashes import settle
from dsvc.model.facts import stored_path
from dsvc.model.node import Store
from dsvc.model.numbers import pack_numbers
from dsvc.model.snapshot import Snapshot, SnapshotEdits, edit_roots
from dsvc.model.stored import stored_fields
from dsvc.store import codec

if TYPE_CHECKING:
    from dsvc.core.draft import Draft, DraftState

METADATA = "metadata."
MAX_FIELD = 1024
GEO_HINT = "geo is longitude,latitude in degrees: -180 to 180, then -90 to 90"


class Fields(msgspec.Struct, frozen=True, kw_only=True):
    """What to set in inputs, encoded, and what to take away: "split", "geo", or "metadata.NAME"."""

    metadata: Mapping[str, Any] = {}
    split: str | None = None
    geo: bytes | None = None
    unset: tuple[str, ...] = ()

    def lay_over(self, fields: dict[str, Any]) -> None:
        """Change the decoded fields of an input."""
        metadata = {**fields.get("metadata", {}), **self.metadata}
        for name in self.unset:
            if name.startswith(METADATA):
                metadata.pop(name.removeprefix(METADATA), None)
            else:
                fields.pop(name, None)
        for name, value in (("metadata", metadata), ("split", self.split), ("geo", self.geo)):
            if value:
                fields[name] = value
        if not metadata:
            fields.pop("metadata", None)
        settle(fields, self._paths())

    def _paths(self) -> Iterator[str]:
        """The paths of the fields that are set or taken away."""
        yield from (f"metadata\0{name}" for name in self.metadata)
        yield from (stored_path("input", name) for name in self.unset)
        yield from (name for name in ("split", "geo") if getattr(self, name) is not None)


class SetReport(msgspec.Struct):
    """How many inputs changed, and how many had it all already."""

    changed: int = 0
    unchanged: int = 0


def new_fields(
    metadata: Mapping[str, Any] | None = None,
    split: str | None = None,
    geo: Sequence[float] | None = None,
    unset: Sequence[str] = (),
) -> Fields:
    """Fields to set: metadata by name (text, numbers, booleans, or lists and maps of them), the name of a split, geo
    as longitude and latitude in degrees. Raises UsageError for what cannot be meant."""
    values = dict(metadata or {})
    made = Fields(
        metadata={name: _checked(name, value) for name, value in values.items()},
        split=check_name(split, "split") if split is not None else None,
        geo=pack_numbers(_checked_geo(geo)) if geo is not None else None,
        unset=tuple(_checked_unset(name) for name in unset),
    )
    given = {f"{METADATA}{name}" for name in values}
    given |= {name for name in ("split", "geo") if getattr(made, name) is not None}
    if not given and not made.unset:
        raise UsageError("say what to set", "--metadata NAME=VALUE, --split NAME, --geo LON,LAT, or --unset NAME")
    if both := sorted(given.intersection(made.unset)):
        raise UsageError(f"{both[0]} is to be set and taken away", "leave one of them out")
    return made


def set_fields(draft: Draft, fields: Fields, keys: Sequence[str] | None = None, where: str | None = None) -> SetReport:
    """Set fields of the inputs that are named or that `where` matches. Raises NotFoundError, UsageError."""
    report = SetReport()

    def step(store: Store, state: DraftState) -> DraftState:
        cache = draft.dataset.repository.cache
        edits = SnapshotEdits()
        edits.inputs, made = plan_fields(Snapshot(store, state.roots, cache), fields, keys, where)
        report.changed, report.unchanged = made.changed, made.unchanged
        return msgspec.structs.replace(state, roots=edit_roots(store, state.roots, edits, cache))

    draft.apply(step)
    return report


def plan_fields(
    snapshot: Snapshot, fields: Fields, keys: Sequence[str] | None = None, where: str | None = None
) -> tuple[dict[bytes, bytes | None], SetReport]:
    """The edits that set fields, and what they come to. Raises what `set_fields` does."""
    if (keys is None) == (where is None):
        raise UsageError("name inputs by key, or match them with --where: one of the two")
    edits: dict[bytes, bytes | None] = {}
    report = SetReport()
    for key, value in selected(snapshot, keys, where):
        record = stored_fields(value, "input")
        fields.lay_over(record)
        made = codec.encode(record)
        if made == value:
            report.unchanged += 1
        else:
            report.changed += 1
            edits[key] = made
    return edits, report


def _checked(name: str, value: Any) -> Any:
    label = f"metadata {str(name)[:80]!r}"
    _check_field(name, label)
    if value is None:
        raise UsageError(f"{label} cannot be null", f"to take it away: --unset {METADATA}{name[:80]}")
    try:
        codec.canonical(value, 2)  # two levels down: it lies in a map in the record's map
    except (codec.EncodeError, RecursionError) as error:
        raise UsageError(
            f"{label}: {error}", "a value is text, a number, true or false, a list or an object"
        ) from error
    return value


def _check_field(name: str, label: str) -> None:
    try:
        size = len(name.encode())
    except (UnicodeEncodeError, AttributeError):
        size = 0
    if not 0 < size <= MAX_FIELD or "\0" in name:
        raise UsageError(f"{label}: the name must be text of 1 to {MAX_FIELD:,} bytes, and no NUL")


def _checked_geo(geo: Sequence[float]) -> tuple[float, float]:
    if len(geo) != 2 or not all(isinstance(part, int | float) and math.isfinite(part) for part in geo):
        raise UsageError(f"{','.join(map(str, geo))!r} is no place", GEO_HINT)
    longitude, latitude = geo
    if not -180 <= longitude <= 180:
        raise UsageError(f"the longitude {longitude:.12g}, which comes first, is beyond 180 degrees", GEO_HINT)
    if not -90 <= latitude <= 90:
        raise UsageError(f"the latitude {latitude:.12g}, which comes second, is beyond 90 degrees", GEO_HINT)
    return longitude, latitude


def _checked_unset(name: str) -> str:
    if name not in ("split", "geo") and not (name.startswith(METADATA) and name != METADATA):
        raise UsageError(f"{name[:80]!r} cannot be taken away", f"split, geo, or {METADATA}NAME")
    return name
