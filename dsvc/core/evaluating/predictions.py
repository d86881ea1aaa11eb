"""Predictions, wherever they come from, as sorted entries of a tree of annotations."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

from dsvc.core.evaluating.annotated import left_out, read_annotated
from dsvc.core.evaluating.truth import Truth, called
from dsvc.core.filters.matching import Part
from dsvc.core.filters.narrowing import matching_keys
from dsvc.core.imports.importing import MappedFile
from dsvc.core.imports.sorter import Sorter, many_objects
from dsvc.core.imports.sources import with_ordinals
from dsvc.core.ledger import Entry as Kept
from dsvc.core.ledger import find_entry, read_file
from dsvc.core.merging.conflicts import require_settled
from dsvc.core.registry import results
from dsvc.core.revisions import Revision
from dsvc.errors import DsvcError, InvalidRecordsError, NotFoundError, UsageError
from dsvc.model.incoming import Entry, Progress
from dsvc.model.stored import require_makeable
from dsvc.model.view import RUN
from dsvc.model.walk import Walk
from dsvc.store.limits import FEW_BYTES

if TYPE_CHECKING:
    from dsvc.core.dataset import Dataset
    from dsvc.core.scoring.scores import Kind
    from dsvc.core.state import State

RUN_FILE = "predictions.json"
# How images are numbered: those of each split by themselves, as in an export to a folder; or as in one to one file.
Numbers = Literal["split", "single"]
NUMBERS: tuple[Numbers, ...] = get_args(Numbers)


class Asked(NamedTuple):
    """Where predictions are: a file, a state, or a run's, and how they are to be read."""

    file: Path | None = None
    state: State | None = None
    run: Kept | None = None
    made_on: State | None = None
    kind: Kind | None = None
    numbers: Numbers = "split"


class Predictions(NamedTuple):
    """Predictions that are sound. `entries` come sorted, each key once; `kind` is what they are, None where there is
    none that tells; `notes` say what was left out."""

    entries: Iterable[Entry]
    kind: Kind | None
    notes: Sequence[str] = ()


def ask(
    dataset: Dataset,
    predictions: str | Path | None,
    run: str | None,
    made_on: str | None,
    kind: Kind | None,
    numbers: Numbers = "split",
) -> Asked:
    """What is meant by the arguments of an evaluation. Raises UsageError, NotFoundError."""
    if (predictions is None) == (run is None):
        text = "both predictions and a run are named" if run is not None else "no predictions are named"
        raise UsageError(text, "give a results file, or a revision, or the run that made them: --run ID")
    if numbers not in NUMBERS:
        raise UsageError(f"images are not numbered by {numbers!r}", f"there is: {', '.join(NUMBERS)}")
    if run is not None:
        if made_on is not None or numbers != "split":
            hint = "leave out --made-on" if made_on is not None else "leave out --numbers"
            raise UsageError("the images of a run's predictions have its own version's numbers", hint)
        return Asked(run=find_entry(dataset, RUN, run), kind=kind)
    assert predictions is not None
    found = _find(dataset, predictions)
    if isinstance(found, Path):
        state = dataset.at(made_on) if made_on is not None else None
        return Asked(file=found, made_on=state, kind=kind, numbers=numbers)
    if made_on is not None or numbers != "split":
        hint = "leave out --made-on" if made_on is not None else "leave out --numbers"
        raise UsageError("the inputs of a revision go by their keys, not by numbers", hint)
    return Asked(state=found, kind=kind)


def _find(dataset: Dataset, text: str | Path) -> Path | State:
    """A file, or the state of a revision. Raises UsageError where it is both, NotFoundError where it is neither."""
    path = Path(text)
    if isinstance(text, Path):
        return path
    # These say no of what can be no path, where those of Path raise.
    is_folder = os.path.isdir(path)  # noqa: PTH112 - see above
    is_file = os.path.exists(path) and not is_folder  # noqa: PTH110 - see above
    try:
        state = dataset.at(text)
    except DsvcError as error:
        if is_file:
            return path
        if is_folder:
            raise UsageError(f"{text} is a folder", "name the results file in it") from None
        if isinstance(error, NotFoundError) and (os.sep in text or path.suffix):
            raise NotFoundError(f"no file {text}", "name a COCO results file, or a revision") from None
        raise
    if is_file:
        raise UsageError(f"{text!r} is a file and a revision", f"say ./{text} for the file, {text}@HEAD for a dataset")
    return state


@contextmanager
def reading(asked: Asked, truth: Truth, progress: Progress | None) -> Iterator[Predictions]:
    """Read predictions for a ground truth; they are at hand within the context. Raises InvalidRecordsError that names
    each wrong record, RefusedError, NotFoundError."""
    if asked.state is not None:
        require_settled(asked.state.snapshot)
        yield read_annotated(asked.state, truth, asked.kind)
        return
    root = truth.dataset.repository.root
    sorter = Sorter(root / ".dsvc" if root is not None else None)
    try:
        if asked.file is not None:
            with MappedFile(asked.file) as data:
                read = _read(sorter, data, asked, truth, progress)
        else:
            assert asked.run is not None
            read = _read(sorter, _of_run(truth.dataset, asked.run), asked, truth, progress)
        yield read._replace(entries=with_ordinals(sorter.sorted()))
    finally:
        sorter.close()


def _read(sorter: Sorter, data: memoryview, asked: Asked, truth: Truth, progress: Progress | None) -> Predictions:
    """Read a results file into a sorter."""
    name = str(asked.file) if asked.file is not None else RUN_FILE
    numbered, numbered_name = _numbered(asked, truth, progress)
    module = results()
    chosen = frozenset(truth.keys) if truth.keys is not None else None
    is_single = asked.numbers == "single"
    read_for = module.Asked(numbered, numbered_name, truth.state, truth.name, chosen, asked.kind, is_single)
    found = module.CocoResults(data, name, read_for)
    with many_objects():
        for batch in found.annotations(progress):
            for key, value in batch:
                if len(value) > FEW_BYTES:
                    require_makeable(value, "prediction", key.decode().replace("\0", "#"))
            sorter.extend(batch)
    if found.problems.count:
        count, wrong = found.total, found.problems.count
        what = f"{wrong:,} of {count:,} record{'' if count == 1 else 's'} cannot be evaluated"
        raise InvalidRecordsError(f"{name}: {what}", found.problems.found, found.hint, count=wrong)
    notes = [f"{left_out(found.left_out)} of inputs that the filter leaves out"] if found.left_out else []
    return Predictions((), found.kind, notes)


def _numbered(asked: Asked, truth: Truth, progress: Progress | None) -> tuple[Walk, str]:
    """What was exported to the model that predicted, and what it is called."""
    if asked.run is None:
        state = asked.made_on or truth.state
        require_settled(state.snapshot)
        return state, called(state.revision)
    state, where = state_of_run(truth.dataset, asked.run), asked.run.record.get("where")
    keys = matching_keys(state.snapshot, where, progress) if where else None
    return Part(state, keys), called(state.revision)


def state_of_run(dataset: Dataset, run: Kept) -> State:
    """The data of a run."""
    version = run.record.get("version")
    return dataset.state_of(Revision(dataset.name, None, version, run.of[0], True))


def _of_run(dataset: Dataset, run: Kept) -> memoryview:
    try:
        data = b"".join(read_file(dataset, run, RUN_FILE))
    except NotFoundError:
        hint = f"its command writes COCO results to {RUN_FILE} in the folder DSVC_RUN; or name a file of predictions"
        raise NotFoundError(f"run {run.id} left no predictions", hint) from None
    if not data:
        raise InvalidRecordsError(f"{RUN_FILE} of run {run.id} is empty", (), "train again, or name another file")
    return memoryview(data)
