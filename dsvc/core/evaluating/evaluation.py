"""Evaluating: predictions become a version beside their ground truth, and the numbers an entry of the ledger."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from dsvc.core.automatic import drop_entry
from dsvc.core.evaluating.predictions import Asked, Numbers, ask, reading, state_of_run
from dsvc.core.evaluating.truth import Truth, called, find_truth
from dsvc.core.ledger import (
    Entry,
    auto_name,
    bare_entry,
    new_id,
    read_file,
    set_auto_version,
    set_entry,
    stage_file,
    store_entry,
)
from dsvc.core.revisions import Revision
from dsvc.core.scoring.kept import decode_scores, encode_scores
from dsvc.core.scoring.scores import KINDS, Kind, Scores
from dsvc.core.transaction import Refs
from dsvc.errors import InvalidRecordsError, NotFoundError, UsageError
from dsvc.model.commit import Author, Commit, Moment, store_commit
from dsvc.model.incoming import Entry as Stored
from dsvc.model.incoming import Progress
from dsvc.model.records import Annotation, Media
from dsvc.model.snapshot import Roots, Snapshot, store_roots
from dsvc.model.tree import build_tree
from dsvc.model.view import DATASET, EVAL_PREDICTIONS, EVAL_TRUTH, EVALUATION, VersionRef
from dsvc.model.walk import Sample

if TYPE_CHECKING:
    from dsvc.core.dataset import Dataset
    from dsvc.core.transaction import Transaction
    from dsvc.store.ids import ObjectId
    from dsvc.store.writer import ObjectWriter

SCORES = "scores.json"
# In the notes of a commit of predictions: the commit of their ground truth.
PREDICTS = "predicts"


_THINGS: dict[Kind, str] = {
    "box": "boxes",
    "mask": "masks or polygons",
    "keypoints": "keypoints",
    "classification": "concepts of whole inputs",
}


class Evaluation(NamedTuple):
    """An evaluation that was made: its entry in the ledger, all its numbers, and what is to be told of it."""

    entry: Entry
    scores: Scores
    notes: tuple[str, ...] = ()


class _Settings(NamedTuple):
    kind: Kind | None
    predicted: bool
    iou: float
    score: float
    message: str


def evaluate(
    dataset: Dataset,
    revision: str | None,
    predictions: str | Path | None,
    *,
    kind: Kind | None = None,
    where: str | None = None,
    predicted: bool = False,
    iou: float = 0.5,
    score: float = 0.5,
    made_on: str | None = None,
    numbers: Numbers = "split",
    run: str | None = None,
    message: str = "",
    author: Author | None = None,
    time: Moment | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Score predictions against a revision and keep it all in one transaction; see `Dataset.evaluate`."""
    if kind is not None and kind not in KINDS:
        raise UsageError(f"nothing of the type {kind!r} is evaluated", f"there is: {', '.join(KINDS)}")
    asked = ask(dataset, predictions, run, made_on, kind, numbers)
    if revision is not None:
        state = dataset.at(revision)
    elif asked.run is not None:
        state = state_of_run(dataset, asked.run)
    else:
        raise UsageError("no ground truth is named", "dsvc evaluate REV PREDICTIONS")
    truth = find_truth(state, where, progress)
    settings = _Settings(kind, predicted, iou, score, message)
    who = dataset._author(author)
    with dataset.repository.transaction(f"evaluate {truth.name}") as transaction:
        made = _Making(transaction, truth, asked, settings, progress)
        entry = made.enter(who, time or dataset._now())
    return Evaluation(truth.dataset.evaluation(entry), made.scores, (*made.notes, *_staged(state.revision, truth)))


def _staged(revision: Revision, truth: Truth) -> list[str]:
    """What to tell where a branch was evaluated on which something is staged."""
    if revision.is_pinned or not truth.dataset.repository.dataset(revision.dataset, revision.branch).has_draft():
        return []
    return [f"what is staged on {revision.dataset} is no part of it"]


class _Making:
    """One evaluation as it is made: all objects but the entry are staged when it is begun."""

    def __init__(
        self,
        transaction: Transaction,
        truth: Truth,
        asked: Asked,
        settings: _Settings,
        progress: Progress | None,
    ) -> None:
        self._transaction = transaction
        self._writer: ObjectWriter = transaction.writer
        self._asked = asked
        self._settings = settings
        with reading(asked, truth, progress) as found:
            if found.kind is None:
                hint = "to count all of the ground truth as missed, say of what: --type box, mask, keypoints"
                raise InvalidRecordsError(f"{_told(asked)} holds no predictions", (), hint)
            noted = _Noted(found.entries)
            annotations = build_tree(self._writer, noted)
            self.notes: tuple[str, ...] = tuple(found.notes)
        self._truth = truth = truth._replace(keys=noted.keys) if settings.predicted else truth
        if settings.predicted and not noted.keys:
            raise InvalidRecordsError(
                f"{_told(asked)} holds no predictions of these inputs", (), "leave out --predicted"
            )
        self._roots = Roots(
            concepts=truth.state.snapshot.roots.concepts,
            inputs=truth.inputs_root(self._writer),
            annotations=annotations,
        )
        self._counts = {"inputs": 0, "annotations": 0, "predictions": noted.count}
        lookup = Predicted(Snapshot(self._writer, self._roots), noted.keys)
        self.scores = self._score(found.kind, lookup, progress)
        if all(figure is None for figure in self.scores.figures.values()):
            what = f"has no {_THINGS[found.kind]} that count, so that no figure is defined"
            self.notes = (*self.notes, f"{truth.name} {what}")
        self._file = stage_file(self._writer, encode_scores(self.scores))

    def _score(self, kind: Kind, lookup: Predicted, progress: Progress | None) -> Scores:
        iou, score = self._settings.iou, self._settings.score
        if kind == "classification":
            from dsvc.core.scoring.classes import score_classes

            return score_classes(self._samples(), lookup, score=score, progress=progress)
        from dsvc.core.scoring.shapes import score_shapes

        return score_shapes(kind, self._samples(), lookup, iou=iou, score=score, progress=progress)

    def _samples(self) -> Iterator[Sample]:
        for sample in self._truth.part().samples():
            self._counts["inputs"] += 1
            self._counts["annotations"] += len(sample.annotations)
            yield sample

    def enter(self, who: Author, time: Moment) -> str:
        """Publish it, and give its id."""
        id = new_id()
        name, truth_name = auto_name(id, time), auto_name(new_id(), time)
        message = self._settings.message

        def change(refs: Refs) -> None:
            dataset = self._truth.dataset.name
            if refs.get(DATASET, dataset) is None:
                raise NotFoundError(f"no dataset named {dataset!r}", "see: dsvc list")
            commit = self._commit(who, time)
            truth = VersionRef(self._truth.commit, f"ground truth of evaluation {id}", who, time, EVAL_TRUTH)
            set_auto_version(refs, dataset, truth_name, truth)
            told = message or f"predictions of {_told(self._asked)}"
            set_auto_version(refs, dataset, name, VersionRef(commit, told, who, time, EVAL_PREDICTIONS))
            record = self._record(id, truth_name, name, commit)
            files: dict[str, Media] = {SCORES: self._file}
            of = (self._truth.commit, commit)
            set_entry(
                refs, EVALUATION, dataset, id, store_entry(self._writer, EVALUATION, record, files, of, who, time)
            )

        self._transaction.run(change)
        return id

    def _commit(self, who: Author, time: Moment) -> ObjectId:
        """The commit of the predictions. It has no parents, so that merging it is a union."""
        commit = Commit(
            snapshot=store_roots(self._writer, self._roots),
            author=who,
            time=time,
            message=f"predictions of {_told(self._asked)} on {self._truth.name}",
            notes={PREDICTS: bytes(self._truth.commit)},
        )
        return store_commit(self._writer, commit)

    def _record(self, id: str, truth_name: str, name: str, commit: ObjectId) -> dict[str, Any]:
        asked, truth, scores = self._asked, self._truth, self.scores
        return {
            "id": id,
            "type": scores.kind,
            "dataset": truth.dataset.name,
            "message": self._settings.message,
            "truth": {"version": truth_name, "commit": truth.commit.hex(), "revision": called(truth.state.revision)},
            "predictions": {
                "version": name,
                "commit": commit.hex(),
                "run": asked.run.id if asked.run is not None else None,
                "file": _file_name(asked.file) if asked.file is not None else None,
                "revision": called(asked.state.revision) if asked.state is not None else None,
            },
            "where": truth.where,
            "predicted": self._settings.predicted,
            "iou": scores.iou,
            "score": scores.score,
            "counts": dict(self._counts),
            "figures": dict(scores.figures),
            "concepts": {concept: dict(figures) for concept, figures in scores.concepts.items()},
        }


def _told(asked: Asked) -> str:
    """What predictions are called."""
    if asked.file is not None:
        return _file_name(asked.file)
    if asked.run is not None:
        return f"run {asked.run.id}"
    assert asked.state is not None  # one of the three is
    return called(asked.state.revision)


def _file_name(file: Path) -> str:
    """The name of a file; what of it is no Unicode comes as escapes."""
    return file.name.encode("utf-8", "backslashreplace").decode()


class _Noted:
    """Entries as they come, of which the count and the inputs are noted."""

    def __init__(self, entries: Iterable[Stored]) -> None:
        self._entries = entries
        self.count = 0
        self.keys: list[bytes] = []

    def __iter__(self) -> Iterator[Stored]:
        for entry in self._entries:
            key = entry[0].partition(b"\0")[0]
            if not self.keys or self.keys[-1] != key:
                self.keys.append(key)
            self.count += 1
            yield entry


class Predicted(Mapping[str, Sequence[Annotation]]):
    """Stored predictions by input, in the order in which they came. Read as they are asked for: quickly in the order of
    the keys. `keys` are the sorted tree keys of the inputs that have some."""

    def __init__(self, snapshot: Snapshot, keys: list[bytes]) -> None:
        self._snapshot = snapshot
        self._ordered = keys
        self._known = frozenset(keys)

    def __getitem__(self, key: str) -> Sequence[Annotation]:
        if key.encode() not in self._known:
            raise KeyError(key)
        return sorted(self._snapshot.annotations(key), key=_place)

    def __iter__(self) -> Iterator[str]:
        return (key.decode() for key in self._ordered)

    def __len__(self) -> int:
        return len(self._ordered)


def _place(annotation: Annotation) -> int:
    """Where a prediction stood in its file; those of a revision stay in the order of their ids."""
    return annotation.number if type(annotation.number) is int else 0


def read_scores(dataset: Dataset, entry: Entry) -> Scores:
    """All numbers of an evaluation. Raises DamagedError; RemoteError where they are elsewhere."""
    return decode_scores(b"".join(read_file(dataset, entry, SCORES)))


def delete_evaluation(dataset: Dataset, id: str, dry_run: bool) -> list[str]:
    """Take an evaluation away, with the versions that it made; see `Dataset.delete_evaluation`."""
    entry = bare_entry(dataset, EVALUATION, id)
    gone: list[str] = []

    def change(refs: Refs) -> None:
        gone[:] = sorted(drop_entry(refs, dataset, EVALUATION, entry.id))

    if dry_run:
        change(Refs(dataset.repository.view))
    else:
        dataset.repository.change(f"evaluate delete {entry.id}", change)
    return gone
