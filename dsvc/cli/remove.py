"""dsvc rm, discard."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import click

from dsvc.cli.arguments import TEXT
from dsvc.cli.progress import progress
from dsvc.cli.render import NEXT, dry_run_option, json_option, out, plural, print_json, shown
from dsvc.cli.session import Session, pass_session, shared_options
from dsvc.cli.where import NOTHING, find_noun, where_options
from dsvc.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from dsvc.core.compare import RecordChange
    from dsvc.core.filters.bulk import Noun
    from dsvc.model.snapshot import Snapshot


WAYS: dict[Noun, tuple[str, str]] = {
    "inputs": ("inputs, with their annotations", "dsvc rm --inputs --where EXPR"),
    "annotations": ("annotations alone", "dsvc rm --annotations --where EXPR"),
}


@click.command("rm")
@click.argument("names", metavar="[KEY|KEY#ANN]...", type=TEXT, nargs=-1)
@where_options
@dry_run_option
@json_option
@shared_options
@pass_session
def rm_command(
    session: Session,
    names: tuple[str, ...],
    inputs: bool,
    annotations: bool,
    where: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Take inputs and annotations out of the draft.

    Those that are named, or all that a filter is true of: --inputs --where EXPR, --annotations --where EXPR. An input
    goes with all its annotations. Files on disk are not touched. Of equal copies of an annotation, the one with the
    highest number goes.

    \b
    JSON: {"dataset", "dry_run", "inputs": [KEY...], "annotations": COUNT}
    """
    noun = find_noun(names, inputs, annotations, where, WAYS)
    if noun is None and not names:
        raise UsageError("nothing is named", "dsvc rm KEY, dsvc rm KEY#ANN, dsvc rm --inputs --where EXPR")
    dataset = session.dataset(signed=True)
    if noun is not None and where is not None:
        with progress() as report:
            found = dataset.remove_matching(noun, where, dry_run=dry_run, progress=report)
        keys, count = list(found.inputs), found.annotations
    else:
        keys, single, count = _plan(dataset.draft().snapshot, names)
        if not dry_run:
            dataset.remove(*keys, *single)
    if as_json:
        print_json({"dataset": dataset.name, "dry_run": dry_run, "inputs": keys, "annotations": count})
    elif not keys and not count:
        out(f"{NOTHING}; nothing {'would go' if dry_run else 'removed'}")
    else:
        _tell_removed(len(keys), count, dry_run)


def _tell_removed(inputs: int, annotations: int, dry_run: bool) -> None:
    what = [plural(inputs, "input")] if inputs else []
    what += [plural(annotations, "annotation")] if annotations or not inputs else []
    out(f"{'would remove' if dry_run else 'removed'} {', '.join(what)}; files on disk are not touched")
    if not dry_run:
        out(f"{NEXT}, or take it back: dsvc undo")


def _plan(state: Snapshot, names: tuple[str, ...]) -> tuple[list[str], list[str], int]:
    """The inputs and the single annotations that are meant, and how many annotations go in all."""
    inputs, single, count = [], [], 0
    for name in dict.fromkeys(names):
        if state.input(name) is not None:
            inputs.append(name)
            count += sum(1 for _ in state.annotation_tree.prefix(f"{name}\0".encode()))
        else:
            single.append(name)
    for name in list(single):
        key, mark, id = name.rpartition("#")
        if not mark:
            from dsvc.core.nearest import no_input

            raise no_input(name, state)
        if state.annotation(key, id) is None:
            raise NotFoundError(f"no annotation {shown(name)}", f"see: dsvc show {shown(key)}")
        if key in inputs:
            single.remove(name)
    # Of equal copies the highest goes first, so that naming all of them takes all of them.
    single.sort(key=lambda name: (len(name), name), reverse=True)
    return inputs, single, count + len(single)


@click.command("discard")
@click.argument("keys", metavar="[KEY...]", type=TEXT, nargs=-1)
@dry_run_option
@json_option
@shared_options
@pass_session
def discard_command(session: Session, keys: tuple[str, ...], dry_run: bool, as_json: bool) -> None:
    """Drop staged changes: all, or those of some inputs.

    Those of an input and of its annotations go together. Files on disk are not touched.

    \b
    JSON: {"dataset", "dry_run", "changes": COUNT}
    """
    dataset = session.dataset(signed=True)
    chosen = (change for change in dataset.changes() if not keys or _input_of(change) in keys)
    names = [shown_name(change) for change in itertools.islice(chosen, 5)]
    count = len(names) + sum(1 for _ in chosen)
    staged = dataset.has_draft()
    merging = [id.short() for id in dataset.status().merged] if staged else []
    if not dry_run:
        dataset.discard(*keys)
    if as_json:
        print_json({"dataset": dataset.name, "dry_run": dry_run, "changes": count})
    elif not count and not (staged and not keys):
        out("nothing to discard")
    else:
        more = f" and {count - len(names):,} more" if count > len(names) else ""
        verb = "would discard" if dry_run else "discarded"
        out(f"{verb} {plural(count, 'change')}{': ' if names else ''}{', '.join(names)}{more}")
        if merging and not keys:
            out(f"{'would drop' if dry_run else 'dropped'} the merge of {', '.join(merging)}, too")
        elif merging and count:
            out(
                f"note: {', '.join(merging)} counts as merged all the same, and a later merge does not bring this again"
            )
        if not dry_run:
            out(f"dsvc undo brings {'it' if count == 1 and (keys or not merging) else 'them'} back")


def shown_name(change: RecordChange) -> str:
    """What a change is about: `input a.jpg`."""
    return f"{change.noun} {shown(change.name)}"


def _input_of(change: RecordChange) -> Any:
    return change.name if change.noun == "input" else getattr(change.old or change.new, "key", None)
