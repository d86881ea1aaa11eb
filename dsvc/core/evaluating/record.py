"""What is said of an evaluation, for those who read it: the record may have been written by somebody else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from dsvc.core.ledger import Entry


class Described(NamedTuple):
    """An evaluation in words: `truth` is what was evaluated (pets@v1), `source` where the predictions came from."""

    message: str
    truth: str
    source: str
    where: str | None
    predicted: bool


def describe(entry: Entry) -> Described:
    """An evaluation in words."""
    record = entry.record
    truth, predictions = record["truth"], record["predictions"]
    source = _text(predictions.get("file")) or _text(predictions.get("revision")) or f"@{predictions['commit'][:12]}"
    return Described(
        message=_text(record.get("message")) or "",
        truth=_text(truth.get("revision")) or f"@{truth['commit'][:12]}",
        source=f"run {predictions['run']}" if _text(predictions.get("run")) else source,
        where=_text(record.get("where")),
        predicted=record.get("predicted") is True,
    )


def plain_record(entry: Entry) -> dict[str, Any]:
    """The record, of the fields that it is to have."""
    record, said = entry.record, describe(entry)
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
