"""What is found out about a dataset's versions: its training runs and its evaluations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from dsvc.errors import UsageError
from dsvc.model.view import EVALUATION, RUN

if TYPE_CHECKING:
    from pathlib import Path

    from dsvc.core.dataset import Dataset
    from dsvc.core.evaluating.evaluation import Evaluation
    from dsvc.core.evaluating.predictions import Numbers
    from dsvc.core.ledger import Entry, Uses
    from dsvc.core.scoring.scores import Kind, Scores
    from dsvc.model.commit import Author, Moment
    from dsvc.model.incoming import Progress


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

        if isinstance(command, str):
            raise UsageError("a command is a list of words, not one text", 'such as: ["python", "train.py"]')
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

    def evaluate(
        self,
        revision: str | None = None,
        predictions: str | Path | None = None,
        *,
        kind: Kind | None = None,
        where: str | None = None,
        predicted: bool = False,
        iou: float = 0.5,
        score: float = 0.5,
        made_on: str | None = None,
        numbers: Numbers = "split",
        run: str | None = None,
        message: str = "",
        author: Author | None = None,
        time: Moment | None = None,
        progress: Progress | None = None,
    ) -> Evaluation:
        """Score predictions against a revision, and keep it all: two auto-generated versions, and an entry.

        `predictions` is a COCO results file, or a revision whose values are scores (1 where no annotation has one);
        with `run` they are those of a training run, and the revision is by default the run's own. `kind` is box, mask,
        keypoints or classification, by default what they are. `where` is a filter of inputs; with `predicted` only
        those are evaluated that have a prediction. `made_on` is the revision whose export has the numbers that the file
        names images by; with `numbers` "single" an export to one file is meant, whose numbers differ where splits have
        the same ones. `iou` and `score` are the thresholds of the confusion matrix and of what is counted.

        Raises InvalidRecordsError that names each wrong record; RefusedError, NotFoundError, UsageError, FilterError.
        """
        from dsvc.core.evaluating.evaluation import evaluate

        return evaluate(
            cast("Dataset", self),
            revision,
            predictions,
            kind=kind,
            where=where,
            predicted=predicted,
            iou=iou,
            score=score,
            made_on=made_on,
            numbers=numbers,
            run=run,
            message=message,
            author=author,
            time=time,
            progress=progress,
        )

    def scores(self, evaluation: str) -> Scores:
        """All numbers of an evaluation, by its id or its first digits. Raises NotFoundError, UsageError,
        DamagedError."""
        from dsvc.core.evaluating.evaluation import read_scores

        return read_scores(cast("Dataset", self), self.evaluation(evaluation))

    def delete_evaluation(self, id: str, *, dry_run: bool = False) -> list[str]:
        """Take an evaluation away, with the auto-generated versions that it made; their names.

        `undo` brings all of it back; `dry_run` only says what would go. Raises NotFoundError, UsageError.
        """
        from dsvc.core.evaluating.evaluation import delete_evaluation

        return delete_evaluation(cast("Dataset", self), id, dry_run)

    def uses(self) -> Uses:
        """Which runs and evaluations are of which versions."""
        from dsvc.core.ledger import Uses

        dataset = cast("Dataset", self)
        return Uses(dataset.repository.view, dataset.repository.store, dataset.name)
