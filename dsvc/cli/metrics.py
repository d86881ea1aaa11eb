"""dsvc metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dsvc.cli.arguments import TEXT
from dsvc.cli.distant import fit
from dsvc.cli.progress import progress
from dsvc.cli.render import json_option, out, plural, print_json, shown
from dsvc.cli.session import Session, pass_session, shared_options
from dsvc.errors import UsageError

if TYPE_CHECKING:
    from dsvc.core.dataset import Dataset
    from dsvc.core.metrics.comparing import Comparison, Differences
    from dsvc.core.metrics.metrics import Metrics, Range
    from dsvc.core.state import State

_BY = "Group the numbers: by concept, type, split or metadata.FIELD."


@click.command("metrics")
@click.argument("revision", metavar="[REV", type=TEXT, required=False)
@click.argument("other", metavar="[OTHER]]", type=TEXT, required=False)
@click.option("--by", metavar="WHAT", type=TEXT, help=_BY)
@click.option("--duplicates", is_flag=True, help="List the inputs that have the same bytes, instead.")
@json_option
@shared_options
@pass_session
def metrics_command(
    session: Session, revision: str | None, other: str | None, by: str | None, duplicates: bool, as_json: bool
) -> None:
    """Count what a revision holds, or compare the numbers of two.

    Without REV: what the dataset holds now, staged changes included. With OTHER, only what differs from REV to OTHER
    is told. The reference, Metrics, says what each number means. What was counted once is kept: a new version costs
    what changed in it.

    \b
    JSON: {"dataset", "revision", "commit", "conflicts", NAME: COUNT... ("inputs", "unlabeled_inputs", "regions", ...),
           "region_location_matrix": [[COUNT...]...], "groups": {"input_type", "split", "concept_id",
           "concepts_count", "annotations_count", "bounding_boxes_count", ...: {VALUE: INPUTS},
           "pixels_count", "aspect_ratio": [{"from", "below": NUMBER or null, "count"}...]},
           "box_sizes": {"small", "medium", "large", "unknown"}, "box_aspect_ratios": [as above],
           "class_balance": {"concepts", "most", "least", "ratio", "evenness"},
           "co_occurrence": [{"concepts": [CONCEPT, CONCEPT], "inputs"}...], "by_concept": {CONCEPT: {NAME: COUNT}},
           "media": {NAME: COUNT, "types": {TYPE: COUNT}}, "tasks": {TASK: COUNT},
           "by": WHAT or null, "by_value": {VALUE: {NAME: COUNT}} or null}
    of two: {"from", "to": {"revision", "commit"}, "counts": {NAME: {"from", "to", "change"}},
           "by_concept": {CONCEPT: {NAME: {...}}}, "by", "by_value": {VALUE: {NAME: {...}}}}, only what differs;
    of --duplicates: {"duplicates": [[KEY...]...]}
    """
    if duplicates and (other is not None or by is not None):
        raise UsageError("--duplicates goes with one revision and nothing else", "dsvc metrics REV --duplicates")
    if by is not None:
        from dsvc.core.metrics.metrics import require_grouping

        require_grouping(by)
    dataset = session.dataset()
    state = dataset.draft() if revision is None else dataset.at(revision)
    if duplicates:
        _list_duplicates(state, as_json)
    elif other is None:
        _tell(dataset, state, revision, by, as_json)
    else:
        _compare((state, dataset.at(other)), (revision or "", other), by, as_json)


def _count(state: State, by: str | None) -> Metrics:
    with progress() as report:
        return state.metrics(by, report)


def _tell(dataset: Dataset, state: State, revision: str | None, by: str | None, as_json: bool) -> None:
    metrics = _count(state, by)
    if as_json:
        head = {"dataset": state.revision.dataset, "revision": revision, **_commit(state)}
        print_json({**head, "conflicts": state.snapshot.conflicts, **metrics_json(metrics)})
        return
    from dsvc.cli.metrics_text import group_lines, metrics_lines

    out(_head(state) if revision is not None else _draft_head(dataset, state))
    if state.snapshot.conflicts:
        clashing = plural(state.snapshot.conflicts, "record")
        out(f"{clashing} with open conflicts, which count as absent" + fit("; see: dsvc conflicts"))
    for line in metrics_lines(metrics, revision or "") if metrics.groups is None else group_lines(metrics):
        out(line)


def _commit(state: State) -> dict[str, str | None]:
    return {"commit": state.commit.hex() if state.commit is not None else None}


def _draft_head(dataset: Dataset, state: State) -> str:
    """What was counted where no revision was named: `pets, at 3fa9c1, with staged changes`."""
    where = state.revision
    name = f"{where.dataset}@{where.version}" if where.version else where.dataset
    at = f"at {dataset.head.short()}" if dataset.head else "no commits yet"
    return f"{name}, {at}{', with staged changes' if dataset.has_draft() else ''}"


def _head(state: State) -> str:
    """What was counted: `pets@v1, commit 3fa9c1`."""
    where = state.revision
    name = f"{where.dataset}@{where.version}" if where.version else where.dataset
    if state.commit is None:
        return f"{name}, no commits yet"
    return f"{name}, commit {state.commit.short()}"


def _list_duplicates(state: State, as_json: bool) -> None:
    from dsvc.core.metrics.duplicates import find_duplicates

    found = find_duplicates(state.snapshot)
    if as_json:
        print_json({"duplicates": found})
        return
    for keys in found:
        out(", ".join(map(shown, keys)))
    if not found:
        out("no two inputs have the same bytes")


# ---- JSON


def metrics_json(metrics: Metrics) -> dict[str, Any]:
    """Metrics as JSON."""
    apart = ("task_", "media_")
    counts = {name: count for name, count in metrics.counts.items() if not name.startswith(apart)}
    media = {n.removeprefix("media_"): count for n, count in metrics.counts.items() if n.startswith("media_")}
    balance = metrics.balance
    return {
        **counts,
        "region_location_matrix": metrics.locations,
        "groups": {
            "input_type": metrics.kinds,
            "split": metrics.splits,
            "concept_id": {name: found["inputs"] for name, found in metrics.concepts.items()},
            **metrics.per_input,
            "pixels_count": _ranges(metrics.pixels),
            "aspect_ratio": _ranges(metrics.aspect_ratios),
        },
        "box_sizes": metrics.box_sizes,
        "box_aspect_ratios": _ranges(metrics.box_aspect_ratios),
        "class_balance": {name: getattr(balance, name) for name in balance.__struct_fields__},
        "co_occurrence": [{"concepts": pair[:2], "inputs": pair[2]} for pair in metrics.co_occurrence],
        "by_concept": {name: _without_tasks(found) for name, found in metrics.concepts.items()},
        "media": {**media, "types": metrics.types},
        "tasks": metrics.tasks,
        "by": metrics.by,
        "by_value": {name: _without_tasks(found) for name, found in metrics.groups.items()} if metrics.groups else None,
    }


def _without_tasks(counts: dict[str, int]) -> dict[str, int]:
    return {name: count for name, count in counts.items() if not name.startswith(("task_", "media_"))}


def _ranges(ranges: tuple[Range, ...]) -> list[dict[str, float | None]]:
    return [{"from": one.start, "below": one.end, "count": one.count} for one in ranges]


# ---- two


def _compare(states: tuple[State, State], names: tuple[str, str], by: str | None, as_json: bool) -> None:
    from dsvc.core.metrics.comparing import compare_metrics

    old, new = (_count(state, by) for state in states)
    found = compare_metrics(old, new)
    if as_json:
        ends = [{"revision": name, **_commit(state)} for state, name in zip(states, names, strict=True)]
        print_json({"from": ends[0], "to": ends[1], "by": by, **_comparison_json(found, by)})
        return
    from dsvc.cli.metrics_text import comparison_lines

    out(f"{_head(states[0])} -> {_head(states[1])}")
    for line in comparison_lines(found, by):
        out(line)
    if not found:
        out("the numbers are the same")


def _comparison_json(found: Comparison, by: str | None) -> dict[str, Any]:
    return {
        "counts": _differences(found.counts),
        "by_concept": {name: _differences(differences) for name, differences in found.concepts.items()},
        "by_value": {name: _differences(one) for name, one in found.groups.items()} if by is not None else None,
    }


def _differences(found: Differences) -> dict[str, dict[str, int]]:
    return {name: {"from": old, "to": new, "change": new - old} for name, (old, new) in found.items()}
