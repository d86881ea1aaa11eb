"""What is found out about a dataset's versions: its training runs and its evaluations."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from dsvc.model.view import EVALUATION, RUN

if TYPE_CHECKING:
    from dsvc.core.dataset import Dataset
    from dsvc.core.ledger import Entry
    from dsvc.store.ids import ObjectId


class Studies:
    """A dataset's training runs and evaluations."""

    def runs(self) -> list[Entry]:
        """The training runs that are over, the oldest first. Raises DamagedError."""
        from dsvc.core.ledger import entries

        return entries(cast("Dataset", self), RUN)

    def run(self, id: str) -> Entry:
        """The training run of an id, or of its first digits, at least 4. Raises NotFoundError, UsageError."""
        from dsvc.core.ledger import find_entry

        return find_entry(cast("Dataset", self), RUN, id)

    def evaluations(self) -> list[Entry]:
        """The evaluations, the oldest first. Raises DamagedError."""
        from dsvc.core.ledger import entries

        return entries(cast("Dataset", self), EVALUATION)

    def evaluation(self, id: str) -> Entry:
        """The evaluation of an id, or of its first digits, at least 4. Raises NotFoundError, UsageError."""
        from dsvc.core.ledger import find_entry

        return find_entry(cast("Dataset", self), EVALUATION, id)

    def uses(self) -> dict[ObjectId, list[tuple[str, str]]]:
        """The commits that are the data of runs and evaluations, each with the kinds and ids of these. Raises
        DamagedError."""
        from dsvc.core.ledger import uses

        dataset = cast("Dataset", self)
        found = uses(dataset.repository.view, dataset.repository.store, dataset.name)
        return {commit: [(ref[0], ref[2]) for ref in refs] for commit, refs in found.items()}
