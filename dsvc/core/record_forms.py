"""What is said of runs and evaluations, field by field: whether what others wrote is what it claims to be."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from dsvc.core.names import RESERVED
from dsvc.core.transaction import ReadOnly
from dsvc.model.commit import Commit, load_commit
from dsvc.model.snapshot import Roots, Snapshot, decode_roots, empty_roots
from dsvc.model.view import EVALUATION, RUN
from dsvc.store.ids import Kind
from dsvc.store.limits import MAX_SAID

if TYPE_CHECKING:
    from dsvc.model.node import Reader
    from dsvc.store.ids import ObjectId

ID = re.compile(r"[0-9a-f]{8}")
AUTO_NAME = re.compile(re.escape(RESERVED) + r"\d{8}T\d{6}Z-[0-9a-f]{8}")
TYPES = ("box", "mask", "keypoints", "classification")
STATUSES = ("done", "failed", "killed")
Form = Callable[[object], bool]


def _is_text(value: object) -> bool:
    return type(value) is str


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_count(value: object) -> bool:
    return type(value) is int


def _is_flag(value: object) -> bool:
    return type(value) is bool


def _one_of(*texts: str) -> Form:
    return lambda value: value in texts


def _maybe(*forms: Form) -> Form:
    return lambda value: value is None or any(form(value) for form in forms)


def _each(form: Form) -> Form:
    return lambda value: type(value) is list and all(map(form, value))


def _named(form: Form) -> Form:
    return lambda value: type(value) is dict and all(map(form, value.values()))


def _with(**forms: Form) -> Form:
    return lambda value: type(value) is dict and _wrong_field(value, forms) is None


_FORMS: Mapping[str, Mapping[str, Form]] = {
    RUN: {
        "id": _is_text,
        "command": _each(_is_text),
        "trainer": _maybe(_is_text),
        "dataset": _is_text,
        "version": _is_text,
        "commit": _is_text,
        "format": _is_text,
        "where": _maybe(_is_text),
        "status": _one_of(*STATUSES),
        "exit_code": _maybe(_is_count),
        "signal": _maybe(_is_count, _is_text),
        "began": _is_text,
        "seconds": _maybe(_is_number),
        "git": _maybe(_with(commit=_is_text, dirty=_is_flag)),
        "metrics": _named(_is_number),
        "reproduces": _maybe(_is_text),
    },
    EVALUATION: {
        "id": _is_text,
        "type": _one_of(*TYPES),
        "dataset": _is_text,
        "truth": _with(version=_is_text, commit=_is_text),
        "predictions": _with(version=_is_text, commit=_is_text, run=_maybe(_is_text), file=_maybe(_is_text)),
        "where": _maybe(_is_text),
        "iou": _maybe(_is_number),
        "score": _maybe(_is_number),
        "counts": _named(_is_count),
        "figures": _named(_maybe(_is_number)),
        "concepts": _named(_named(_maybe(_is_number))),
    },
}


def _wrong_field(record: Mapping[str, Any], forms: Mapping[str, Form]) -> str | None:
    """The first field that is absent or not what it is called; None where all are well."""
    return next((name for name, form in forms.items() if name not in record or not form(record[name])), None)


def wrong_field(kind: str, record: Mapping[str, Any]) -> str | None:
    """What is wrong with the first field of a record that is not what it is called; None where all are well."""
    field = _wrong_field(record, _FORMS[kind])
    return f"{field!r} of its record is missing, or is not what it is called" if field is not None else None


def wrong_entry(store: Reader, kind: str, id: str, commit: ObjectId) -> str | None:
    """What is wrong with a commit that is to keep an entry, in words; None where nothing is. Raises DamagedError for
    what cannot be read at all."""
    if not ID.fullmatch(id):
        return "its id is not 8 hex digits"
    kept = load_commit(store, commit)
    data = store.get(kept.snapshot, Kind.SNAPSHOT)
    if len(data) > MAX_SAID:
        return f"its record has {len(data):,} bytes, and {MAX_SAID:,} are the most"
    roots = decode_roots(data, kept.snapshot)
    record = roots.meta.get(kind)
    if record is None or len(roots.meta) != 1:
        return f"its commit is no record of {'a run' if kind == RUN else 'an evaluation'}"
    if (wrong := wrong_field(kind, record)) is not None:
        return wrong
    if record["id"] != id:
        return "its record is that of another one"
    return _wrong_data(kind, record, kept) or _wrong_files(store, roots)


def _wrong_data(kind: str, record: Mapping[str, Any], commit: Commit) -> str | None:
    sides = (record["truth"], record["predictions"]) if kind == EVALUATION else (record,)
    if [side["commit"] for side in sides] != [parent.hex() for parent in commit.parents] or commit.sources:
        return "its commit stands on other data than its record names"
    return None


def _wrong_files(store: Reader, roots: Roots) -> str | None:
    empty = empty_roots(ReadOnly(store))
    if (roots.concepts, roots.annotations) != (empty.concepts, empty.annotations):
        return "it holds what is no file"
    for file in Snapshot(store, roots).inputs():
        if file.media is None or file.media.blob is None or file.conflicts:
            return f"its file {file.key!r} has no bytes"
    return None
