"""Ledgers on their way: the runs, the evaluations and the auto-generated versions of datasets.

They are united: whoever pushes or fetches adds what the other end lacks, and moves nothing. What goes away at one end
comes back from the other, unless it goes away there too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from dsvc.core.record_forms import AUTO_NAME, wrong_entry
from dsvc.model.commit import decode_commit
from dsvc.model.view import (
    BRANCH,
    DATASET,
    EVALUATION,
    MANUAL,
    RUN,
    VERSION,
    AnyRef,
    EvaluationRef,
    Ref,
    RunRef,
    VersionRef,
    View,
)
from dsvc.store.ids import Kind, ObjectId

if TYPE_CHECKING:
    from dsvc.core.transaction import Refs
    from dsvc.model.node import Reader
    from dsvc.remote.copying import Copier
    from dsvc.remote.source import Source

LedgerRef = RunRef | EvaluationRef | VersionRef
Ledger = dict[Ref, LedgerRef]


class Entered(NamedTuple):
    """What became of ledgers at the end that they came to: `new` there; `kept`, since another one has the id there; and
    `refused`, each with what is wrong with it."""

    new: tuple[Ref, ...] = ()
    kept: tuple[Ref, ...] = ()
    refused: tuple[tuple[Ref, str], ...] = ()

    def count_new(self, kind: str, dataset: str) -> int:
        """How many of a kind are new in a dataset."""
        return sum(ref[:2] == (kind, dataset) for ref in self.new)

    @property
    def datasets(self) -> list[str]:
        """The datasets in which runs or evaluations are new."""
        return sorted({ref[1] for ref in self.new if ref[0] != VERSION})


def is_generated(value: AnyRef) -> bool:
    """Whether a ref is an auto-generated version."""
    return isinstance(value, VersionRef) and value.origin != MANUAL


def ledger_of(refs: View | Refs, datasets: Iterable[str]) -> Ledger:
    """The runs, the evaluations and the auto-generated versions of some datasets. Raises DamagedError."""
    found: Ledger = {}
    for dataset in datasets:
        for kind in (RUN, EVALUATION, VERSION):
            for ref, value in refs.list(kind, dataset):
                if isinstance(value, RunRef | EvaluationRef) or (isinstance(value, VersionRef) and is_generated(value)):
                    found[ref] = value
    return found


def lacking(refs: View | Refs, found: Mapping[Ref, LedgerRef]) -> Ledger:
    """What of a ledger some refs lack, or have otherwise."""
    present = ledger_of(refs, dict.fromkeys(ref[1] for ref in found))
    return {ref: value for ref, value in found.items() if ref not in present or present[ref].commit != value.commit}


def commits_in(found: Mapping[Ref, LedgerRef]) -> set[ObjectId]:
    """The commits that keep entries, and those of versions."""
    return {value.commit for value in found.values()}


def entry_commits(found: Mapping[Ref, LedgerRef]) -> set[ObjectId]:
    """The commits that keep entries, which are none of a dataset's history."""
    return {value.commit for value in found.values() if not isinstance(value, VersionRef)}


def standing(found: Ledger, source: Source, has: Callable[[ObjectId], bool]) -> Ledger:
    """What of a ledger is of data that `has` says is there: of an evaluation, its ground truth. With it go the
    versions of all that such an entry is of."""
    parents = dict(_parents(source, sorted(entry_commits(found))))
    entries = {ref: value for ref, value in found.items() if _is_of(parents.get(value.commit, ()), has)}
    data = {parent for value in entries.values() for parent in parents[value.commit]}
    versions = ((ref, value) for ref, value in found.items() if isinstance(value, VersionRef))
    return entries | {ref: value for ref, value in versions if value.commit in data or has(value.commit)}


def _is_of(parents: tuple[ObjectId, ...], has: Callable[[ObjectId], bool]) -> bool:
    return bool(parents) and has(parents[0])


def _parents(source: Source, commits: list[ObjectId]) -> Iterator[tuple[ObjectId, tuple[ObjectId, ...]]]:
    for packed in source.objects(commits, Kind.COMMIT):
        with source.blamed():
            yield packed.id, decode_commit(packed.data, packed.id).parents


def sift(store: Reader, found: Ledger) -> tuple[Ledger, tuple[tuple[Ref, str], ...]]:
    """What of a ledger that came is what it claims to be, and what is not, each with what is wrong. Raises
    DamagedError."""
    sound: Ledger = {}
    refused = []
    for ref, value in found.items():
        wrong = _wrong(store, ref, value)
        if wrong is None:
            sound[ref] = value
        else:
            refused.append((ref, wrong))
    return sound, tuple(refused)


def bring_ledger(copier: Copier, store: Reader, found: Ledger) -> tuple[Ledger, tuple[tuple[Ref, str], ...]]:
    """Bring what some entries and versions reach, and `sift` them."""
    if found:
        copier.copy(commits_in(found))
    return sift(store, found)


def _wrong(store: Reader, ref: Ref, value: LedgerRef) -> str | None:
    kind, _, name = ref
    if kind == VERSION:
        return None if AUTO_NAME.fullmatch(name) else "its name is none of an auto-generated version"
    return wrong_entry(store, kind, name, value.commit)


def enter(refs: Refs, found: Mapping[Ref, LedgerRef], refused: Iterable[tuple[Ref, str]] = ()) -> Entered:
    """Set the refs of a ledger that are free, in datasets that are there."""
    new, kept = [], []
    for ref, value in found.items():
        present = refs.get(*ref) or (refs.get(BRANCH, *ref[1:]) if ref[0] == VERSION else None)
        if present is None and refs.get(DATASET, ref[1]) is not None:
            refs.set(ref, value)
            new.append(ref)
        elif present is not None and getattr(present, "commit", None) != value.commit:
            kept.append(ref)
    return Entered(tuple(new), tuple(kept), tuple(refused))
