"""Runs as text and as JSON, for dsvc train and dsvc runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dsvc.cli.render import author_json, holdings, iso, plural, short, shown, size, subject, table, when, word
from dsvc.core.names import RESERVED

if TYPE_CHECKING:
    from dsvc.core.training.comparing import KeptRun, Pair

METRICS_SHOWN = 3
FILES_SHOWN = 50
_DIGITS = 12
_MINUTE = len("2024-05-01 12:00")
_LINE = 100  # places that a row of the table takes, where what is before the message leaves room for it
_MESSAGE = 12  # places that it gets in any case
_SIGNS = {"added": "+", "removed": "-", "changed": "~", "same": " "}


def command_text(command: Sequence[str]) -> str:
    """A command as a person would type it."""
    return " ".join(map(word, command))


def number_text(value: float) -> str:
    """A metric for people: six digits that count."""
    return f"{value:.6g}" if isinstance(value, float) else f"{value}"


def metrics_text(metrics: Mapping[str, Any]) -> str:
    """The first metrics in a line."""
    words = [f"{short(name, 24)} {number_text(value)}" for name, value in list(metrics.items())[:METRICS_SHOWN]]
    return ", ".join(words) + (", ..." if len(metrics) > METRICS_SHOWN else "")


def seconds_text(seconds: float) -> str:
    """How long something took: `4.2 s`, `3 min 20 s`, `2 h 5 min`."""
    whole = int(seconds)
    if whole < 60:
        return f"{seconds:.1f} s"
    return f"{whole // 60} min {whole % 60} s" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60} min"


def how_it_ended(record: Mapping[str, Any]) -> str:
    """The end of a sentence on the command: `is done`, `failed with exit code 3`, `was killed by SIGTERM`."""
    if record["status"] == "done":
        return "is done"
    if record["status"] == "killed":
        return f"was killed by {record['signal']}" if record["signal"] else "was killed"
    code = record["exit_code"]
    return f"failed with exit code {code}" if code is not None else "could not begin"


# ---- JSON


def run_json(run: KeptRun) -> dict[str, Any]:
    """A run as JSON."""
    entry = run.entry
    signed = {"author": author_json(entry.author), "time": iso(entry.time)}
    return {**run.record, "id": entry.id, "dataset": run.dataset.name, **signed, "files": _files(run)}


def _files(run: KeptRun) -> list[dict[str, Any]]:
    from dsvc.core.ledger import entry_files

    found = [(file.key, file.media) for file in entry_files(run.dataset, run.entry)]
    return [
        {"name": key, "size": media.size, "hash": media.blob.hex()}
        for key, media in found
        if media is not None and media.blob is not None
    ]


def pairs_json(pairs: Sequence[Pair]) -> list[dict[str, Any]]:
    """What two runs have by name, with what became of it."""
    return [{"name": pair.name, "verb": pair.verb, "old": pair.old, "new": pair.new} for pair in pairs]


def metrics_json(pairs: Sequence[Pair]) -> list[dict[str, Any]]:
    """The metrics of two runs, with their differences."""
    return [{"name": pair.name, "old": pair.old, "new": pair.new, "delta": _delta(pair)} for pair in pairs]


def _delta(pair: Pair) -> float | None:
    if pair.old is None or pair.new is None:
        return None
    try:
        delta: float = pair.new - pair.old
        return delta if -1e308 < delta < 1e308 else None
    except OverflowError:
        return None


# ---- text


def run_row(run: KeptRun) -> tuple[str, ...]:
    """A run as a row: id, when, version, status, metrics, seconds, message."""
    record, time = run.record, when(run.entry.time)[:_MINUTE]
    metrics = metrics_text(record["metrics"])
    cells = (run.entry.id, time, version_text(record["version"], run.entry.id), shown(record["status"]), metrics)
    return (*cells, seconds_text(record["seconds"]), subject(record["message"]))


def running_row(id: str, version: str, began: str) -> tuple[str, ...]:
    """A run that goes on as a row."""
    return (id, shown(began.replace("T", " ")[:_MINUTE]), version_text(version, id), "running", "", "", "")


def run_table(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    """Rows of runs as lines; the messages, in the last column, are cut to what room is left."""
    others = [max(map(len, column)) for column in list(zip(*rows, strict=True))[:-1]]
    room = max(_MESSAGE, _LINE - sum(places + 2 for places in others if places))
    yield from table([(*cells, short(message, room)) for *cells, message in rows])


def version_text(version: str, id: str) -> str:
    """The version of the run of an id: `auto` for the one that it made itself, `auto ID` for that of another run."""
    if not version.startswith(RESERVED):
        return short(version, 24)
    made = version.rpartition("-")[2]
    return "auto" if made == id else shown(f"auto {made}")


def run_lines(run: KeptRun) -> Iterator[str]:
    """All that is known of a run."""
    record, entry = run.record, run.entry
    yield f"run {entry.id} of {shown(run.dataset.name)}@{shown(record['version'])} {how_it_ended(record)}"
    yield f"{shown(str(entry.author))}, {when(entry.time)}, after {seconds_text(record['seconds'])}"
    yield from (f"    {shown(line)}".rstrip() for line in record["message"].strip().splitlines())
    yield f"command: {command_text(record['command'])}"
    if record["folder"] not in (None, "."):
        yield f"in the folder: {shown(record['folder'])}"
    if record["reproduces"]:
        yield f"reproduces: run {shown(record['reproduces'])}"
    yield from _data_lines(run)
    if record["git"] is not None:
        yield f"code: Git's commit {shown(record['git']['commit'][:_DIGITS])}{_changes(record['git'])}"
    yield from _metric_lines(record["metrics"])
    yield from _file_lines(_files(run))
    yield from (f"note: {shown(line)}" for line in record["notes"])


def _data_lines(run: KeptRun) -> Iterator[str]:
    record, state = run.record, run.data()
    where = f", where {shown(record['where'])}" if record["where"] is not None else ""
    yield f"data: {holdings(state.counts())}; laid out as {shown(record['format'])}{where}"


def _changes(git: Mapping[str, Any]) -> str:
    return {True: ", with changes that are in no commit", False: ""}.get(git["dirty"], "")


def _metric_lines(metrics: Mapping[str, Any]) -> Iterator[str]:
    yield f"{plural(len(metrics), 'metric')}{':' if metrics else ''}"
    for line in table([(short(name), number_text(value)) for name, value in metrics.items()]) if metrics else ():
        yield f"  {line}"


def _file_lines(files: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield f"{plural(len(files), 'file')}{':' if files else ''}"
    rows = [(short(file["name"]), size(file["size"] or 0), file["hash"][:_DIGITS]) for file in files[:FILES_SHOWN]]
    for line in table(rows, right=(1,)) if rows else ():
        yield f"  {line}"
    if len(files) > FILES_SHOWN:
        yield f"  ... and {plural(len(files) - FILES_SHOWN, 'more file')}; all are in --json"


def metric_pairs(pairs: Sequence[Pair]) -> Iterator[str]:
    """The metrics of two runs, side by side."""
    rows: list[tuple[str, ...]] = [("metric", "before", "after", "change")]
    for pair in pairs:
        delta = _delta(pair)
        change = "same" if pair.verb == "same" else "" if delta is None else f"{delta:+.6g}"
        numbers = [number_text(value) if value is not None else "-" for value in (pair.old, pair.new)]
        rows.append((short(pair.name), *numbers, change))
    yield from table(rows, right=(1, 2, 3)) if pairs else ("no metrics",)


def file_pairs(pairs: Sequence[Pair]) -> Iterator[str]:
    """The files of two runs that differ, and how many are the same."""
    differ = [pair for pair in pairs if pair.verb != "same"]
    for pair in differ[:FILES_SHOWN]:
        hashes = " -> ".join(value[:_DIGITS] for value in (pair.old, pair.new) if value is not None)
        yield f"{_SIGNS[pair.verb]} {short(pair.name)}  {hashes}"
    if len(differ) > FILES_SHOWN:
        yield f"... and {plural(len(differ) - FILES_SHOWN, 'more file')}; all are in --json"
    same = len(pairs) - len(differ)
    if not pairs:
        yield "no files in model, and no predictions"
    elif same:
        yield f"{plural(same, 'file')} the same" if differ else f"all files the same: {same:,}"
