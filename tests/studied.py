"""Runs and evaluations as `dsvc train` and `dsvc evaluate` enter them, without training or comparing anything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dsvc.core.automatic import commit_data, drop_entry
from dsvc.core.dataset import Dataset
from dsvc.core.ledger import auto_name, set_auto_version, set_entry, stage_file, store_entry
from dsvc.core.transaction import Refs
from dsvc.model.commit import Author, Commit, Moment, load_commit, store_commit
from dsvc.model.records import Annotation, encode_annotation
from dsvc.model.snapshot import Snapshot, SnapshotEdits, edit_roots, load_roots, store_roots
from dsvc.model.view import EVAL_PREDICTIONS, EVAL_TRUTH, EVALUATION, RUN, TRAINING, VersionRef
from dsvc.store.ids import ObjectId
from dsvc.store.writer import ObjectWriter

ADA = Author("Ada")
WHEN = Moment(1_700_000_000)


def run_record(id: str, dataset: str, version: str, commit: ObjectId) -> dict[str, Any]:
    """What is said of a run that went well."""
    return {
        "id": id,
        "command": ["python", "train.py"],
        "trainer": None,
        "dataset": dataset,
        "version": version,
        "commit": commit.hex(),
        "format": "coco",
        "where": None,
        "status": "done",
        "exit_code": 0,
        "signal": None,
        "began": "2023-11-14T22:13:20+00:00",
        "seconds": 1.5,
        "git": {"commit": "a" * 40, "dirty": False},
        "metrics": {"accuracy": 0.5},
        "reproduces": None,
    }


def make_version(dataset: Dataset, id: str) -> str:
    """Make the version of a run of what the dataset holds now, as one operation; its name."""
    name = auto_name(id, WHEN)
    with dataset.repository.transaction(f"train: version {name}") as transaction:
        writer = transaction.writer

        def change(refs: Refs) -> None:
            data = commit_data(dataset, refs, writer, "training data", ADA, WHEN)
            set_auto_version(refs, dataset.name, name, VersionRef(data, "", ADA, WHEN, TRAINING))

        transaction.run(change)
    return name


def enter_run(dataset: Dataset, id: str, files: Mapping[str, bytes] | None = None, **fields: Any) -> str:
    """Enter a run of what the dataset holds now, as two operations; the name of the version that it is of."""
    name = make_version(dataset, id)
    enter_again(dataset, id, name, files, **fields)
    return name


def enter_again(
    dataset: Dataset, id: str, version: str, files: Mapping[str, bytes] | None = None, **fields: Any
) -> None:
    """Enter a run of a version that is there."""
    data = dataset.version(version).version.commit
    with dataset.repository.transaction(f"train: run {id}") as transaction:
        writer = transaction.writer
        staged = {name: stage_file(writer, content) for name, content in (files or {}).items()}
        record = run_record(id, dataset.name, version, data) | fields
        commit = store_entry(writer, RUN, record, staged, [data], ADA, WHEN)
        transaction.run(lambda refs: set_entry(refs, RUN, dataset.name, id, commit))


def drop(dataset: Dataset, kind: str, id: str) -> None:
    """Take a run or an evaluation away."""
    dataset.repository.change(f"delete {id}", lambda refs: drop_entry(refs, dataset, kind, id) and None)


def store_predictions(writer: ObjectWriter, truth: ObjectId, score: float = 0.75) -> ObjectId:
    """The commit of predictions on the inputs of another one: each annotation moved by one, with a score."""
    kept = Snapshot(writer, load_roots(writer, load_commit(writer, truth).snapshot))
    edits = SnapshotEdits()
    for key, _ in kept.annotation_tree:
        edits.annotations[key] = None
    for sample in kept.samples():
        for number, one in enumerate(sample.annotations):
            guess = Annotation(key=one.key, id=f"p{number}", concept=one.concept, shape=one.shape, value=score)
            edits.annotations[f"{one.key}\0p{number}".encode()] = encode_annotation(guess)
    snapshot = store_roots(writer, edit_roots(writer, kept.roots, edits))
    return store_commit(
        writer,
        Commit(snapshot=snapshot, author=ADA, time=WHEN, message="predictions", notes={"predicts": truth.hex()}),
    )


def evaluation_record(
    id: str, dataset: str, truth: tuple[str, ObjectId], guess: tuple[str, ObjectId]
) -> dict[str, Any]:
    """What is said of an evaluation."""
    return {
        "id": id,
        "type": "box",
        "dataset": dataset,
        "truth": {"version": truth[0], "commit": truth[1].hex()},
        "predictions": {"version": guess[0], "commit": guess[1].hex(), "run": None, "file": "guess.json"},
        "where": None,
        "iou": 0.5,
        "score": 0.5,
        "counts": {"inputs": 2, "annotations": 2, "predictions": 2},
        "figures": {"AP": 0.5, "APs": None},
        "concepts": {"cat": {"AP": 0.5}},
    }


def enter_evaluation(dataset: Dataset, id: str, truth_id: str = "cccc0000", **fields: Any) -> tuple[str, str]:
    """Enter an evaluation of what the dataset holds now; the names of its two versions."""
    names = auto_name(truth_id, WHEN), auto_name(id, WHEN)
    with dataset.repository.transaction(f"evaluate: {id}") as transaction:
        writer = transaction.writer
        scores = {"scores.json": stage_file(writer, f"scores of {id}".encode())}

        def change(refs: Refs) -> None:
            truth = commit_data(dataset, refs, writer, "ground truth", ADA, WHEN)
            guess = store_predictions(writer, truth)
            set_auto_version(refs, dataset.name, names[0], VersionRef(truth, "", ADA, WHEN, EVAL_TRUTH))
            set_auto_version(refs, dataset.name, names[1], VersionRef(guess, "", ADA, WHEN, EVAL_PREDICTIONS))
            record = evaluation_record(id, dataset.name, (names[0], truth), (names[1], guess)) | fields
            commit = store_entry(writer, EVALUATION, record, scores, [truth, guess], ADA, WHEN)
            set_entry(refs, EVALUATION, dataset.name, id, commit)

        transaction.run(change)
    return names
