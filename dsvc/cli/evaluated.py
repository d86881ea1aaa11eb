"""An evaluation, and what changed between two, as lines for people and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dsvc.cli.render import author_json, iso, plural, short, shown, subject, table, when
from dsvc.core.evaluating.record import describe, plain_record
from dsvc.core.scoring.scores import NOTHING

if TYPE_CHECKING:
    from dsvc.core.evaluating.comparing import Compared
    from dsvc.core.evaluating.record import Described
    from dsvc.core.ledger import Entry
    from dsvc.core.scoring.comparing import Change, InputChange
    from dsvc.core.scoring.scores import Confusion, Counts, Figures, Scores

_WORST = 5  # concepts that are shown when an evaluation is made
_MOST = 20
_TOP = 10
_USUAL = 0.5
_PLURALS = {"box": "boxes", "mask": "masks", "keypoints": "keypoints", "classification": "classes"}
_WORDS = {
    "AP": "average precision, over IoUs from 0.50 to 0.95",
    "AP50": "average precision at IoU 0.50",
    "AP75": "average precision at IoU 0.75",
    "APs": "of small ones, below 32 x 32 pixels",
    "APm": "of medium ones",
    "APl": "of large ones, above 96 x 96 pixels",
    "AR": "average recall, over IoUs from 0.50 to 0.95",
    "AR50": "average recall at IoU 0.50",
    "AR75": "average recall at IoU 0.75",
    "AR1": "average recall with 1 prediction an input",
    "AR10": "average recall with 10",
    "AR100": "average recall with 100",
    "ARs": "recall of small ones",
    "ARm": "recall of medium ones",
    "ARl": "recall of large ones",
    "accuracy": "share of inputs that are right",
    "precision": "of what was predicted, the share that is right; mean over concepts",
    "recall": "of what is there, the share that was predicted; mean over concepts",
    "f1": "harmonic mean of both; mean over concepts",
    "roc_auc": "area under the ROC curve; mean over concepts",
    "average_precision": "area under the precision-recall curve; mean over concepts",
}
_HEADLINES = ("AP", "accuracy")
_OF_CONCEPTS = ("AP", "f1")


# ---- one evaluation


def evaluation_lines(entry: Entry, scores: Scores, dataset: str | None = None, *, brief: bool = False) -> Iterator[str]:
    """An evaluation for people; `dataset` is its dataset's present name (by default the recorded one), `brief` leaves
    out what `show` shows beside the figures."""
    yield from _head(entry, dataset)
    yield ""
    figures = scores.figures.items()
    yield from table([(shown(name), _number(value), _WORDS.get(name, "")) for name, value in figures], (1,))
    yield from _totals(scores)
    yield from _concept_lines(scores, _WORST if brief else _MOST)
    if brief:
        yield ""
    else:
        yield from _confusion_lines(scores.confusion)
        yield from _input_lines(scores)


def _head(entry: Entry, dataset: str | None) -> Iterator[str]:
    said, counts = describe(entry, dataset), entry.record["counts"]
    kind = _PLURALS[entry.record["type"]]
    yield f"evaluation {entry.id} of {shown(said.truth)}: {kind}"
    yield f"{shown(str(entry.author))}, {when(entry.time)}"
    for line in said.message.strip().splitlines():
        yield f"    {shown(line)}".rstrip()
    inputs, annotations = (plural(counts.get(f"{noun}s", 0), noun) for noun in ("input", "annotation"))
    yield f"{plural(counts.get('predictions', 0), 'prediction')} of {shown(said.source)}, {inputs}, {annotations}"
    narrowed = _narrowed(said)
    if narrowed:
        yield f"only inputs of {' '.join(narrowed)}"


def _narrowed(said: Described) -> list[str]:
    """The options that chose inputs."""
    narrowed = [f"--where {shown(said.where)}"] if said.where is not None else []
    return [*narrowed, "--predicted"] if said.predicted else narrowed


def _number(value: int | float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}"


def _totals(scores: Scores) -> Iterator[str]:
    counts = scores.inputs.values()
    found, wrong, missed = (sum(getattr(one, name) for one in counts) for name in ("found", "wrong", "missed"))
    at = f"score {scores.score:g}" if scores.kind == "classification" else f"IoU {scores.iou:g}, score {scores.score:g}"
    yield f"at {at}: {found:,} found, {wrong:,} wrong, {missed:,} missed"


def _headline(figures: Figures | Mapping[str, Change], names: Sequence[str]) -> str:
    return next((name for name in names if name in figures), next(iter(figures), ""))


def _concept_lines(scores: Scores, limit: int) -> Iterator[str]:
    """The concepts, the worst first; those that are nowhere in the ground truth come last."""
    concepts = scores.concepts
    if not concepts:
        return
    first = next(iter(concepts.values()))
    by = _headline(first, _OF_CONCEPTS)
    ordered = sorted(concepts, key=lambda id: (concepts[id].get(by) is None, concepts[id].get(by) or 0.0, id))
    yield ""
    yield f"concepts, the worst {shown(by)} first:"
    rows = [("concept", *map(shown, first))]
    rows += [(short(id), *(_number(concepts[id].get(name)) for name in first)) for id in ordered[:limit]]
    yield from _indented(table(rows, range(1, len(first) + 1)))
    if len(ordered) > limit:
        yield f"  ... and {len(ordered) - limit:,} more; all are in --json"


def _indented(lines: Iterable[str]) -> Iterator[str]:
    return (f"  {line}" for line in lines)


def _confusion_lines(confusion: Confusion) -> Iterator[str]:
    """What was taken for what, the most frequent first."""
    labels = confusion.labels
    pairs = [
        (count, labels[row], labels[column])
        for row, counts in enumerate(confusion.rows)
        for column, count in enumerate(counts)
        if count and row != column
    ]
    if not pairs:
        return
    yield ""
    yield "confused most often:"
    pairs.sort(key=lambda pair: (-pair[0], pair[1:]))
    yield from _indented(table([(f"{count:,}", _confused(is_, said)) for count, is_, said in pairs[:_TOP]], (0,)))
    if len(pairs) > _TOP:
        yield f"  ... and {len(pairs) - _TOP:,} more; all are in --json"


def _confused(is_: str, said: str) -> str:
    if said == NOTHING:
        return f"{short(is_)} missed"
    return f"{short(said)} where there is none" if is_ == NOTHING else f"{short(is_)} taken for {short(said)}"


def _input_lines(scores: Scores) -> Iterator[str]:
    """The inputs with the most mistakes."""
    wrong = [(key, counts) for key, counts in scores.inputs.items() if counts.wrong + counts.missed]
    if not wrong:
        return
    wrong.sort(key=lambda one: (-(one[1].wrong + one[1].missed), one[0]))
    yield ""
    yield f"most mistakes, of {plural(len(wrong), 'input')} with some:"
    yield from _indented(table([(shown(key), _counted(counts)) for key, counts in wrong[:_TOP]]))


def _counted(counts: Counts) -> str:
    return f"{counts.found:,} found, {counts.wrong:,} wrong, {counts.missed:,} missed"


def list_lines(entries: Sequence[Entry], dataset: str) -> Iterator[str]:
    """Evaluations of a dataset, one a line."""
    return table([_row(entry, dataset) for entry in entries])


def _row(entry: Entry, dataset: str) -> tuple[str, ...]:
    said, figures = describe(entry, dataset), entry.record["figures"]
    by = _headline(figures, _HEADLINES)
    of = f"{shown(said.source)} on {shown(said.truth)}"
    figure = f"{shown(by)} {_number(figures.get(by))}"
    options = " ".join(map(short, [*_narrowed(said), *_thresholds(entry)]))
    return entry.id, when(entry.time), entry.record["type"], figure, of, options, shown(subject(said.message))


def _thresholds(entry: Entry) -> list[str]:
    """The thresholds that are not the usual ones."""
    found = [(f"--{name}", entry.record.get(name)) for name in ("iou", "score")]
    return [f"{option} {value:g}" for option, value in found if value not in (None, _USUAL)]


def entry_json(entry: Entry, dataset: str | None = None) -> dict[str, Any]:
    """The record of an evaluation, its figures in the order in which they are shown, with who made it and when.

    `dataset` is its dataset's present name, by default the recorded one."""
    record = plain_record(entry, dataset)
    figures = {name: record["figures"][name] for name in _WORDS if name in record["figures"]}
    return {**record, "figures": figures, "author": author_json(entry.author), "time": iso(entry.time)}


def scores_json(scores: Scores) -> dict[str, Any]:
    """What scores have beside the record; figures in the order in which they are shown."""
    import msgspec

    plain = msgspec.to_builtins(scores)
    return {name: plain[name] for name in ("figures", "concepts", "confusion", "inputs", "curves")}


# ---- two evaluations


def comparison_lines(old: Entry, new: Entry, compared: Compared, dataset: str) -> Iterator[str]:
    """What changed from one evaluation of a dataset to another, for people."""
    found = compared.comparison
    for lead, entry in (("from", old), ("to  ", new)):
        said = describe(entry, dataset)
        yield f"{lead} {entry.id}: {shown(said.source)} on {shown(said.truth)}"
    for text in compared.notes:
        yield f"note: {shown(text)}"
    yield ""
    rows = [(shown(name), _number(one.old), _number(one.new), _delta(one.delta)) for name, one in found.figures.items()]
    yield from table(rows, (1, 2, 3))
    yield from _concept_changes(found.concepts)
    yield from _changed_inputs("fewer mistakes", found.better)
    yield from _changed_inputs("more mistakes", found.worse)
    if not found.better and not found.worse:
        yield ""
        yield "no input has more mistakes, or fewer"


def _delta(delta: int | float | None) -> str:
    if delta is None:
        return "-"
    return f"{delta:+,}" if isinstance(delta, int) else f"{delta:+.4f}"


def _concept_changes(concepts: Mapping[str, Mapping[str, Change]]) -> Iterator[str]:
    """The concepts that got better, and those that got worse, the greatest change first."""
    by = _headline(next(iter(concepts.values()), {}), _OF_CONCEPTS)
    changes = [(id, figures[by]) for id, figures in concepts.items() if by in figures]
    for word, sign in (("better", -1), ("worse", 1)):
        found = [(id, one) for id, one in changes if one.delta is not None and one.delta * sign < 0]
        if not found:
            continue
        found.sort(key=lambda one: ((one[1].delta or 0) * sign, one[0]))
        yield ""
        yield f"{plural(len(found), 'concept')} {word}, by {shown(by)}:"
        rows = [(short(id), _number(one.old), _number(one.new), _delta(one.delta)) for id, one in found[:_TOP]]
        yield from _indented(table(rows, (1, 2, 3)))


def _changed_inputs(what: str, changes: Sequence[InputChange]) -> Iterator[str]:
    if not changes:
        return
    yield ""
    total = sum(abs(one.mistakes) for one in changes)
    yield f"{what} on {plural(len(changes), 'input')}, {total:,} in all:"
    rows = [
        (shown(one.key), f"{one.mistakes:+,}", _counted(one.old), "to", _counted(one.new)) for one in changes[:_TOP]
    ]
    yield from _indented(table(rows, (1,)))
    if len(changes) > _TOP:
        yield f"  ... and {len(changes) - _TOP:,} more; all are in --json"


def comparison_json(compared: Compared) -> dict[str, Any]:
    """What changed, as JSON."""
    import msgspec

    plain = msgspec.to_builtins(compared.comparison)
    names = ("better", "worse", "even", "removed", "added")
    head = {name: plain[name] for name in ("iou", "score", "figures", "concepts")}
    inputs = {name: plain[name] for name in names}
    return {"type": plain["kind"], **head, "inputs": inputs, "notes": list(compared.notes)}
