"""Comparing runs: their data, commands, metrics, and the files that they left."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from dsvc.core.draft import committed_state
from dsvc.core.ledger import Entry, entry_files
from dsvc.core.revisions import Revision
from dsvc.core.state import State
from dsvc.core.training.form import run_record
from dsvc.core.transaction import ReadOnly
from dsvc.errors import DamagedError

if TYPE_CHECKING:
    from dsvc.core.dataset import Dataset
    from dsvc.model.incoming import Progress

# Of these, what a run says and prints is compared otherwise, or differs from run to run.
_APART = ("log.txt", "metrics.json")


class KeptRun(NamedTuple):
    """A run and the dataset that it is of."""

    dataset: Dataset
    entry: Entry

    @property
    def record(self) -> dict[str, Any]:
        """What is said of it, every field of it there."""
        return run_record(self.entry.record)

    def data(self) -> State:
        """The data of the run. Raises DamagedError where it names none."""
        if not self.entry.of:
            raise DamagedError(f"run {self.entry.id} names no data")
        repository, commit = self.dataset.repository, self.entry.of[0]
        revision = Revision(self.dataset.name, None, None, commit, True)
        return State(repository, committed_state(ReadOnly(repository.store), commit).roots, revision)

    def hashes(self) -> dict[str, str]:
        """The files that it left, by name, with their hashes: models and predictions."""
        files = entry_files(self.dataset, self.entry)
        found = {file.key: file.media.blob for file in files if file.media is not None and file.key not in _APART}
        return {name: blob.hex() for name, blob in found.items() if blob is not None}


def kept_runs(dataset: Dataset) -> list[KeptRun]:
    """The runs of a dataset, the oldest first. Raises DamagedError."""
    return [KeptRun(dataset, entry) for entry in dataset.runs()]


def find_run(dataset: Dataset, name: str) -> KeptRun:
    """The run of an id, of its first digits, or of `last`, `last~1`, ... Raises NotFoundError, UsageError."""
    return KeptRun(dataset, dataset.run(name))


class Pair(NamedTuple):
    """A metric or a file on both sides, None where a side has none."""

    name: str
    old: Any
    new: Any

    @property
    def verb(self) -> str:
        """What became of it: same, changed, added or removed."""
        if self.old == self.new:
            return "same"
        return "added" if self.old is None else "removed" if self.new is None else "changed"


def compare_metrics(old: KeptRun, new: KeptRun) -> list[Pair]:
    """The metrics of two runs, by name."""
    return _pairs(old.record["metrics"], new.record["metrics"])


def compare_files(old: KeptRun, new: KeptRun) -> list[Pair]:
    """The models and predictions of two runs by their hashes, by name."""
    return _pairs(old.hashes(), new.hashes())


def compare_data(old: KeptRun, new: KeptRun, progress: Progress | None = None) -> Any:
    """Counts of what differs between the data of two runs, a `dsvc.core.diffing.stat.Stat`."""
    return old.data().diff(new.data(), progress=progress).stat()


def _pairs(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Pair]:
    return [Pair(name, old.get(name), new.get(name)) for name in sorted({*old, *new})]
