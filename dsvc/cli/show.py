"""dsvc show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dsvc.cli.arguments import TEXT
from dsvc.cli.distant import fit
from dsvc.cli.progress import progress
from dsvc.cli.render import (
    author_json,
    holdings,
    iso,
    json_option,
    out,
    plural,
    print_json,
    print_json_list,
    shown,
    size,
    table,
    when,
    word,
)
from dsvc.cli.session import Session, pass_session, shared_options
from dsvc.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from dsvc.core.dataset import Dataset
    from dsvc.core.metrics.metrics import Metrics
    from dsvc.core.state import State
    from dsvc.model.records import Annotation

CONCEPTS_SHOWN = 50


@click.command("show")
@click.argument("revision", metavar="[REV]", type=TEXT, required=False)
@click.argument("key", metavar="[KEY|KEY#ANN]", type=TEXT, required=False)
@click.option("--inputs", is_flag=True, help="List the keys of all inputs.")
@json_option
@shared_options
@pass_session
def show_command(session: Session, revision: str | None, key: str | None, inputs: bool, as_json: bool) -> None:
    """Show what a dataset, a revision, an input or an annotation holds.

    Without REV: what the dataset holds now, staged changes included. `dsvc show KEY` shows an input of that; where
    a word is both a revision and a key, it is the revision.

    \b
    JSON of a state: {"dataset", "revision", "commit", "author", "time", "message", "inputs", "annotations",
      "concepts", "conflicts", "media": {"stored", "elsewhere", "absent", "bytes", "types": {TYPE: COUNT}},
      "tasks": {TASK: COUNT}, "concept_counts": {CONCEPT: COUNT}}; of --inputs: {"inputs": [KEY...]};
    of an input: {"input": {...}, "annotations": [{...}...]}; of an annotation: {"annotation": {...}}
    """
    dataset = session.dataset()
    state, name = _find(dataset, revision, key)
    if name is not None:
        _show_record(state, name, as_json)
    elif inputs:
        _list_inputs(state, as_json)
    else:
        _show_state(dataset, state, revision, as_json)


def _find(dataset: Dataset, revision: str | None, key: str | None) -> tuple[State, str | None]:
    """The state that is meant, and the record in it. Raises NotFoundError, UsageError."""
    if revision is None:
        return dataset.draft(), None
    try:
        return dataset.at(revision), key
    except (NotFoundError, UsageError) as error:
        if key is not None:
            raise
        draft = dataset.draft()
        if _holds(draft, revision):
            return draft, revision
        if any(mark in revision for mark in "@~:"):
            raise
        hint = error.hint if isinstance(error, UsageError) else "see: dsvc version list, dsvc show --inputs"
        raise type(error)(f"no revision, input or annotation {shown(revision)!r}", hint) from None


def _holds(state: State, name: str) -> bool:
    key, mark, _ = name.rpartition("#")
    snapshot = state.snapshot
    return snapshot.input(name) is not None or (bool(mark) and snapshot.input(key) is not None)


# ---- records


def _show_record(state: State, name: str, as_json: bool) -> None:
    key, _, id = name.rpartition("#")
    if state.snapshot.input(name) is not None:
        _show_input(state, name, as_json)
    elif (annotation := state.snapshot.annotation(key, id)) is not None:
        _show_annotation(annotation, as_json)
    else:
        raise NotFoundError(f"no input or annotation {shown(name)!r} there", "list the inputs: dsvc show --inputs")


def _show_input(state: State, key: str, as_json: bool) -> None:
    from dsvc.cli.records import annotation_json, annotation_text, conflict_text, input_json, media_text, plain

    sample = state[key]
    record = sample.input
    if as_json:
        annotations = [annotation_json(annotation) for annotation in sample.annotations]
        print_json({"input": input_json(record), "annotations": annotations})
        return
    out(f"input {shown(key)}")
    if record.media is not None:
        out(f"  media: {media_text(record.media)}")
    elif "media" not in record.conflicts:
        out("  media: none yet" + fit("; give it: dsvc add PATH"))
    if record.declared_width is not None and record.declared_height is not None:
        out(f"  declared size: {record.declared_width:.12g} x {record.declared_height:.12g}")
    for name in ("split", "license", "geo", "number", "metadata"):
        if getattr(record, name) not in (None, {}):
            out(f"  {name}: {shown(_short_json(plain(getattr(record, name))))}")
    if record.conflicts:
        out(f"  {conflict_text(record)}" + fit(f"; see: dsvc conflicts {word(key)}"))
    out(plural(len(sample.annotations), "annotation") + (":" if sample.annotations else ""))
    rows = [(f"  {shown(f'{key}#{a.id}')}", annotation_text(a)) for a in sample.annotations]
    for line in table(rows):
        out(line)


def _short_json(value: Any) -> str:
    """A text as it is; anything else as JSON, so that 7 and "7" are told apart."""
    import json

    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _show_annotation(annotation: Annotation, as_json: bool) -> None:
    from dsvc.cli.records import annotation_json, annotation_text

    if as_json:
        print_json({"annotation": annotation_json(annotation)})
        return
    out(f"annotation {shown(f'{annotation.key}#{annotation.id}')}")
    out(f"  {annotation_text(annotation)}")
    for ring in (annotation.shape.polygons if annotation.shape else None) or ():
        out(f"  polygon {','.join(f'{value:.12g}' for value in ring)}")
    if annotation.keypoints is not None:
        out(f"  keypoints {','.join(f'{value:.12g}' for value in annotation.keypoints)}")
    if annotation.conflicts:
        out(fit(f"  see: dsvc conflicts {word(f'{annotation.key}#{annotation.id}')}"))


def _list_inputs(state: State, as_json: bool) -> None:
    if as_json:
        print_json_list({}, "inputs", (record.key for record in state.inputs()))
        return
    for record in state.inputs():
        out(shown(record.key))


# ---- a state


def _task_text(name: str, count: int) -> str:
    one = {"boxes": "box", "classes": "class"}.get(name, name.removesuffix("s"))
    return f"{count:,} {one if count == 1 else name}"


def _media(metrics: Metrics) -> dict[str, int]:
    return {name: metrics.counts[f"media_{name}"] for name in ("stored", "elsewhere", "absent", "bytes")}


def _concept_counts(metrics: Metrics) -> dict[str, int]:
    """Annotations by concept, the most first."""
    from dsvc.core.metrics.metrics import sorted_counts

    return sorted_counts({name: found["annotations"] for name, found in metrics.concepts.items()})


def _show_state(dataset: Dataset, state: State, revision: str | None, as_json: bool) -> None:
    with progress() as report:
        metrics = state.metrics(progress=report)
    if as_json:
        print_json(_state_json(state, revision, metrics))
        return
    media, concepts = _media(metrics), _concept_counts(metrics)
    _print_head(dataset, state, revision)
    out(holdings(state.counts()))
    if state.snapshot.conflicts:
        out(f"{plural(state.snapshot.conflicts, 'record')} with open conflicts" + fit("; see: dsvc conflicts"))
    if media["stored"] or media["elsewhere"]:
        types = ", ".join(f"{count:,} {shown(name)}" for name, count in metrics.types.items())
        out(f"media: {plural(media['stored'] + media['elsewhere'], 'file')}, {size(media['bytes'])} ({types})")
    if media["elsewhere"]:
        out(f"elsewhere, by reference: {plural(media['elsewhere'], 'file')}")
    if media["absent"]:
        out(f"without media: {plural(media['absent'], 'input')}")
    if metrics.tasks:
        out("tasks: " + ", ".join(_task_text(name, count) for name, count in metrics.tasks.items()))
    if concepts:
        _print_concepts(concepts)


def _print_concepts(counts: dict[str, int]) -> None:
    out("concepts:")
    rows = [(f"  {shown(name)}", f"{count:,}") for name, count in list(counts.items())[:CONCEPTS_SHOWN]]
    for line in table(rows, right=(1,)):
        out(line)
    if len(counts) > CONCEPTS_SHOWN:
        out(f"  ... and {len(counts) - CONCEPTS_SHOWN:,} more; all: --json")


def _print_head(dataset: Dataset, state: State, revision: str | None) -> None:
    where = state.revision
    if revision is None:
        at = f"at {dataset.head.short()}" if dataset.head else "no commits yet"
        version = f"version {where.version}, " if where.version else ""
        out(f"dataset {where.dataset}, {version}{at}{', with staged changes' if dataset.has_draft() else ''}")
        if dataset.description:
            out(shown(dataset.description))
        return
    name = f"{where.dataset}@{where.version}" if where.version else f"{where.dataset}"
    if state.commit is None:
        out(f"{name}, no commits yet")
        return
    commit = _commit(state)
    out(f"{name}, commit {state.commit.short()}")
    out(f"{shown(str(commit.author))}, {when(commit.time)}")
    for line in commit.message.strip().splitlines():
        out(f"    {shown(line)}".rstrip())


def _commit(state: State) -> Any:
    from dsvc.model.commit import load_commit

    assert state.commit is not None
    return load_commit(state.repository.store, state.commit)


def _state_json(state: State, revision: str | None, metrics: Metrics) -> dict[str, Any]:
    commit = _commit(state) if state.commit is not None else None
    return {
        "dataset": state.revision.dataset,
        "revision": revision,
        "commit": state.commit.hex() if state.commit else None,
        "author": author_json(commit.author) if commit else None,
        "time": iso(commit.time) if commit else None,
        "message": commit.message if commit else None,
        **state.counts(),
        "conflicts": state.snapshot.conflicts,
        "media": {**_media(metrics), "types": metrics.types},
        "tasks": metrics.tasks,
        "concept_counts": _concept_counts(metrics),
    }
