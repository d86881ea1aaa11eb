"""What is said of an evaluation, for those who read it: the record may have been written by somebody else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dsvc.core.ledger import Entry


class Described(NamedTuple):
    """An evaluation in words: `truth` is what was evaluated (pets@v1), `source` where the predictions came from."""

    message: str
    truth: str
    source: str
    where: str | None
    predicted: bool


def describe(entry: Entry, dataset: str | None = None) -> Described:
    """An evaluation in words; `dataset` is the present name of the dataset, which may have been renamed since."""
    record = renamed(entry.record, dataset)
    truth, predictions = record["truth"], record["predictions"]
    source = _text(predictions.get("file")) or _text(predictions.get("revision")) or f"@{predictions['commit'][:12]}"
    return Described(
        message=_text(record.get("message")) or "",
        truth=_text(truth.get("revision")) or f"@{truth['commit'][:12]}",
        source=f"run {predictions['run']}" if _text(predictions.get("run")) else source,
        where=_text(record.get("where")),
        predicted=record.get("predicted") is True,
    )


def renamed(record: Mapping[str, Any], dataset: str | None) -> Mapping[str, Any]:
    """A record in which a dataset has its present name, wherever it is named as when the record was made."""
    before = record["dataset"]
    if dataset is None or dataset == before:
        return record
    sides = {name: dict(record[name]) for name in ("truth", "predictions")}
    for side in sides.values():
        revision = _text(side.get("revision"))
        if revision is not None and (revision == before or revision.startswith(f"{before}@")):
            side["revision"] = dataset + revision[len(before) :]
    return {**record, **sides, "dataset": dataset}


def plain_record(entry: Entry, dataset: str | None = None) -> dict[str, Any]:
    """The record, of the fields that it is to have; `dataset` as in `describe`."""
    record, said = renamed(entry.record, dataset), describe(entry, dataset)
    truth = {name: _text(record["truth"].get(name)) for name in ("version", "commit", "revision")}
    names = ("version", "commit", "run", "file", "revision")
    return {
        "id": entry.id,
        "type": record["type"],
        "dataset": record["dataset"],
        "message": said.message,
        "truth": truth,
        "predictions": {name: _text(record["predictions"].get(name)) for name in names},
        "where": said.where,
        "predicted": said.predicted,
        **{name: record[name] for name in ("iou", "score", "counts", "figures", "concepts")},
    }


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
