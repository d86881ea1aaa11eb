"""What is found out about a dataset's versions: its training runs and its evaluations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from dsvc.model.view import EVALUATION, RUN

if TYPE_CHECKING:
    from dsvc.core.dataset import Dataset
    from dsvc.core.ledger import Entry


class Studies:
    """A dataset's training runs and evaluations."""

    def runs(self) -> list[Entry]:
        """The training runs that are over, the oldest first. Raises DamagedError."""
        from dsvc.core.ledger import entries

        return entries(cast("Dataset", self), RUN)

    def run(self, id: str) -> Entry:
        """The training run of an id, of its first digits (4 or more), or of `last`, `last~1`.

        Raises NotFoundError, UsageError.
        """
        from dsvc.core.ledger import find_entry

        return find_entry(cast("Dataset", self), RUN, id)

    def train(
        self,
        command: Sequence[str],
        version: str | None = None,
        *,
        environment: Mapping[str, str],
        folder: str | Path = ".",
        format: str = "coco",
        where: str | None = None,
        message: str = "",
        keep_data: bool = False,
        show: Callable[[bytes], None] | None = None,
    ) -> Entry:
        """Run a command on what the dataset holds, or on a version, in a folder, and keep the run, however it ends.

        `environment` (`os.environ`, say) is what the command gets, beside DSVC_VERSION, DSVC_DATA and DSVC_RUN; what
        it prints goes to `show` in pieces. Raises NotFoundError for a command or version that is not there,
        FilterError, RefusedError, UsageError.
        """
        from dsvc.core.training.running import Plan, Watch, find_source, train

        dataset, watch = cast("Dataset", self), Watch()
        watch.show = show
        source = find_source(dataset, "HEAD" if version is None else f"{dataset.name}@{version}")
        plan = Plan(tuple(command), environment, Path(folder).absolute(), format, where, None, message, keep_data)
        return train(source, plan, watch)

    def evaluations(self) -> list[Entry]:
        """The evaluations, the oldest first. Raises DamagedError."""
        from dsvc.core.ledger import entries

        return entries(cast("Dataset", self), EVALUATION)

    def evaluation(self, id: str) -> Entry:
        """The evaluation of an id, of its first digits (4 or more), or of `last`, `last~1`.

        Raises NotFoundError, UsageError.
        """
        from dsvc.core.ledger import find_entry

        return find_entry(cast("Dataset", self), EVALUATION, id)
