"""Concepts as a whole: counting, renaming, merging and deleting them. What names them follows."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from dsvc.core.nearest import near_names
from dsvc.core.recasting import Names, Recast, Relist, concept_of, owner_of
from dsvc.errors import NotFoundError, RefusedError, UsageError
from dsvc.model.incoming import Progress
from dsvc.model.node import Store
from dsvc.model.records import MAX_NAME, Concept, Number, concept_id, encode_concept
from dsvc.model.rewrite import Entry, Rewriter, chunks_of, rewrite_tree
from dsvc.model.snapshot import Roots, Snapshot

if TYPE_CHECKING:
    from dsvc.core.draft import Draft, DraftState
    from dsvc.core.looking_back import LoggedCommit


class ConceptCount(NamedTuple):
    """A concept, how many annotations name it, and on how many inputs they are."""

    concept: Concept
    annotations: int
    inputs: int


class ConceptReport(msgspec.Struct):
    """What followed: annotations, the inputs that they are on, and inputs whose lists of concepts changed.

    `names` maps the ids of concepts to their new ones, None where they went. `doubles` counts annotations that a merge
    made equal to another one in all but id and number. `commit` is the commit, where one was made.
    """

    names: dict[str, str | None] = {}
    annotations: int = 0
    inputs: int = 0
    lists: int = 0
    doubles: int = 0
    commit: LoggedCommit | None = None


def count_concepts(snapshot: Snapshot) -> list[ConceptCount]:
    """All concepts, by id, with what uses them."""
    annotations: dict[str | None, int] = {}
    inputs: dict[str | None, int] = {}
    last: dict[str | None, bytes] = {}
    for key, value in snapshot.annotation_tree:
        concept = concept_of(key, value)
        annotations[concept] = annotations.get(concept, 0) + 1
        owner = owner_of(key)
        if last.get(concept) != owner:
            last[concept] = owner
            inputs[concept] = inputs.get(concept, 0) + 1
    return [ConceptCount(c, annotations.get(c.id, 0), inputs.get(c.id, 0)) for c in snapshot.concepts()]


def rename_concept(draft: Draft, old: str, new: str, progress: Progress | None = None) -> ConceptReport:
    """Give a concept another name. Raises NotFoundError, UsageError, RefusedError where the name is taken."""
    id = check_concept(new)

    def decide(snapshot: Snapshot) -> Decision:
        concept = find_concept(snapshot, old)
        if (concept.id, concept.name) == (id, new):
            raise RefusedError(f"concept {id!r} has this name already", "give another one")
        if id != concept.id and snapshot.concept(id) is not None:
            hint = f"join them: dsvc concept merge {shlex.quote(concept.id)} into {shlex.quote(id)}"
            raise RefusedError(f"there is a concept {id!r} already", hint)
        record = msgspec.structs.replace(concept, id=id, name=new)
        return Decision({concept.id: id} if id != concept.id else {}, record)

    return _apply(draft, decide, progress)


def merge_concepts(draft: Draft, names: Sequence[str], into: str, progress: Progress | None = None) -> ConceptReport:
    """Make one concept of several. `into` keeps its record; where it is new, it gets that of the first of `names`.

    The smallest of their numbers is kept. Raises NotFoundError, UsageError, and RefusedError where the points of
    their keypoints are not the same.
    """

    def decide(snapshot: Snapshot) -> Decision:
        found = {concept.id: concept for concept in (find_concept(snapshot, name) for name in names)}
        target = _known(snapshot, into)
        id = target.id if target is not None else check_concept(into)
        found.pop(id, None)
        if not found:
            raise UsageError("nothing to merge: it takes another concept", "dsvc concept merge A B into C")
        first = next(iter(found.values()))
        kept = target or msgspec.structs.replace(first, id=id, name=into)
        record = _joined(kept, [*found.values(), *([target] if target else [])])
        return Decision(dict.fromkeys(found, id), record)

    return _apply(draft, decide, progress)


def delete_concept(
    draft: Draft, name: str, with_annotations: bool = False, progress: Progress | None = None
) -> ConceptReport:
    """Take a concept away; with `with_annotations` also what names it. Raises NotFoundError, and RefusedError where
    something does."""

    def decide(snapshot: Snapshot) -> Decision:
        id = find_concept(snapshot, name).id
        if not with_annotations:
            plan_deletion(snapshot, name)
        return Decision({id: None}, None)

    return _apply(draft, decide, progress)


def plan_deletion(snapshot: Snapshot, name: str, with_annotations: bool = False) -> ConceptReport:
    """What deleting a concept would do. Raises what `delete_concept` does."""
    id = find_concept(snapshot, name).id
    names: dict[str, str | None] = {id: None}
    recast, relist = Recast(names), Relist(names)
    for rewriter, tree in ((recast, snapshot.annotation_tree), (relist, snapshot.input_tree)):
        for chunk in chunks_of(tree):
            rewriter(chunk)
    if not with_annotations and (recast.annotations or relist.inputs):
        hint = f"take them away too: dsvc concept delete {shlex.quote(id)} --with-annotations"
        raise RefusedError(f"concept {id!r} is used by {_use(recast, relist)}", hint)
    return ConceptReport(names, recast.annotations, recast.inputs, relist.inputs)


def _use(recast: Recast, relist: Relist) -> str:
    parts = []
    if recast.annotations:
        parts.append(f"{_plural(recast.annotations, 'annotation')} on {_plural(recast.inputs, 'input')}")
    if relist.inputs:
        parts.append(f"the lists of {_plural(relist.inputs, 'input')}")
    return " and ".join(parts)


def _plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def check_concept(name: str) -> str:
    """The id of a concept that is to have this name. Raises UsageError."""
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        size = 0
    if not name.strip() or not 0 < size <= MAX_NAME or "\0" in name:
        hint = f"1 to {MAX_NAME:,} bytes of Unicode, not only spaces, and no NUL"
        raise UsageError(f"{name[:80]!r} cannot name a concept", hint)
    return concept_id(name)


def find_concept(snapshot: Snapshot, name: str) -> Concept:
    """The concept of a name. Raises NotFoundError, which names those that are spelled like it."""
    found = _known(snapshot, name)
    if found is None:
        near = near_names(name, (concept.id for concept in snapshot.concepts()))
        hint = f"did you mean {', '.join(near)}?" if near else "see: dsvc concept list"
        raise NotFoundError(f"no concept {name!r} in the dataset", hint)
    return found


def _known(snapshot: Snapshot, name: str) -> Concept | None:
    try:
        name.encode()
    except UnicodeEncodeError:
        return None
    return snapshot.concept(name) or snapshot.concept(concept_id(name))


def _joined(kept: Concept, all: Sequence[Concept]) -> Concept:
    """`kept` with the smallest number of all, and the keypoints of those that have some."""
    parts: dict[str, Any] = {}
    holders: dict[str, Concept] = {}
    for concept in all:
        for name in ("keypoints", "skeleton"):
            part = getattr(concept, name)
            if part is None:
                continue
            other = holders.setdefault(name, concept)
            if getattr(other, name) != part:
                message = f"concepts {other.id!r} and {concept.id!r} have different {name}"
                raise RefusedError(f"{message}: their annotations do not mean the same points", KEYPOINTS_HINT)
            parts[name] = part
    numbers = [concept.number for concept in all if concept.number is not None]
    if numbers:
        parts["number"] = min(numbers, key=_by_kind)
    return msgspec.structs.replace(kept, **parts)


KEYPOINTS_HINT = "merge only concepts of the same keypoints; see: dsvc concept list --json"


def _by_kind(number: Number) -> tuple[bool, Number]:
    return isinstance(number, str), number


class Decision(NamedTuple):
    """What becomes of concepts: old id -> new id or None, and the record that takes their place."""

    names: Names
    record: Concept | None


def _apply(draft: Draft, decide: Callable[[Snapshot], Decision], progress: Progress | None) -> ConceptReport:
    """Let everything that names a concept follow a decision, which is taken anew on each replay."""
    from dsvc.core.merging.conflicts import require_settled

    report = ConceptReport()

    def step(store: Store, state: DraftState) -> DraftState:
        snapshot = Snapshot(store, state.roots, draft.dataset.repository.cache)
        require_settled(snapshot)  # a conflict's values may name a concept, too; what is rewritten are settled fields
        return msgspec.structs.replace(state, roots=_followed(store, snapshot, decide(snapshot), report, progress))

    draft.apply(step)
    return report


def _followed(
    store: Store, snapshot: Snapshot, decision: Decision, report: ConceptReport, progress: Progress | None
) -> Roots:
    names, record = decision
    concepts: dict[bytes, bytes | None] = {id.encode(): None for id in names}
    joined = None
    if record is not None:
        concepts[record.id.encode()] = encode_concept(record)
        joined = record.id if len(names) > 1 or snapshot.concept(record.id) is not None else None
    roots = msgspec.structs.replace(snapshot.roots, concepts=snapshot.concept_tree.edit(store, concepts))
    report.names = dict(names)
    if not names:  # only the spelling changes
        return roots
    recast, relist = Recast(names, joined), Relist(names)
    annotations = snapshot.annotation_tree
    roots = msgspec.structs.replace(
        roots,
        inputs=rewrite_tree(store, snapshot.input_tree, relist),
        annotations=rewrite_tree(store, annotations, _watched(recast, len(annotations), progress)),
    )
    recast.finish()
    report.annotations, report.inputs = recast.annotations, recast.inputs
    report.lists, report.doubles = relist.inputs, recast.doubles
    return roots


def _watched(rewriter: Rewriter, total: int, progress: Progress | None) -> Rewriter:
    if progress is None:
        return rewriter
    done, tell = 0, progress

    def watched(chunk: list[Entry]) -> Mapping[int, bytes | None]:
        nonlocal done
        done += len(chunk)
        tell("read annotations", done, total)
        return rewriter(chunk)

    return watched
