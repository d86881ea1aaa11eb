"""What a dataset offers for editing many records at once; the work is done in modules of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from dsvc.core.concepts import ConceptCount, ConceptReport
    from dsvc.core.draft import Draft
    from dsvc.core.moving import MoveReport
    from dsvc.core.setting import SetReport
    from dsvc.core.splitting import SplitReport
    from dsvc.core.state import State
    from dsvc.model.commit import Author, Moment
    from dsvc.model.incoming import Progress


class _Editable(Protocol):
    def at(self, revision: str = "HEAD") -> State: ...
    def draft(self) -> State: ...
    def edit(
        self,
        command: str = "edit",
        *,
        message: str | None = None,
        author: Author | None = None,
        time: Moment | None = None,
    ) -> AbstractContextManager[Draft]: ...


class RecordEdits:
    """A dataset's edits of concepts and inputs. Each is one operation, staged in the draft."""

    def count_concepts(self: _Editable, revision: str | None = None) -> list[ConceptCount]:
        """The concepts of a revision, by default of the draft, with how many annotations and inputs use each."""
        from dsvc.core.concepts import count_concepts

        return count_concepts((self.draft() if revision is None else self.at(revision)).snapshot)

    def rename_concept(
        self: _Editable, old: str, new: str, *, progress: Progress | None = None, **signed: Any
    ) -> ConceptReport:
        """Give a concept another name; annotations follow. With `message` (and `author`, `time`) it is committed at
        once. Raises NotFoundError, UsageError, RefusedError."""
        from dsvc.core.concepts import rename_concept

        with self.edit(_cut(f"concept rename {old} {new}"), **signed) as draft:
            report = rename_concept(draft, old, new, progress)
        report.commit = draft.committed
        return report

    def merge_concepts(
        self: _Editable, *names: str, into: str, progress: Progress | None = None, **signed: Any
    ) -> ConceptReport:
        """Make one concept of several; annotations follow. With `message` (and `author`, `time`) it is committed at
        once. Raises NotFoundError, UsageError, RefusedError."""
        from dsvc.core.concepts import merge_concepts

        with self.edit(_cut(f"concept merge {' '.join(names)} into {into}"), **signed) as draft:
            report = merge_concepts(draft, names, into, progress)
        report.commit = draft.committed
        return report

    def delete_concept(
        self: _Editable,
        name: str,
        with_annotations: bool = False,
        *,
        progress: Progress | None = None,
        **signed: Any,
    ) -> ConceptReport:
        """Take a concept away that nothing uses, or with all that uses it. With `message` (and `author`, `time`) it is
        committed at once. Raises NotFoundError, RefusedError."""
        from dsvc.core.concepts import delete_concept

        with self.edit(_cut(f"concept delete {name}"), **signed) as draft:
            report = delete_concept(draft, name, with_annotations, progress)
        report.commit = draft.committed
        return report

    def move(self: _Editable, *keys: str, to: str) -> MoveReport:
        """Give an input the key `to`, or, where that ends in `/`, move inputs to that folder; their annotations
        follow. Raises NotFoundError, UsageError, RefusedError."""
        from dsvc.core.moving import move_inputs, plan_moves

        moves = plan_moves(keys, to)
        with self.edit(_cut(f"mv {' '.join(keys)} {to}")) as draft:
            return move_inputs(draft, moves)

    def set(
        self: _Editable,
        *keys: str,
        where: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        split: str | None = None,
        geo: Sequence[float] | None = None,
        unset: Sequence[str] = (),
    ) -> SetReport:
        """Set fields of the inputs that are named, or that `where` matches.

        `geo` is longitude and latitude in degrees; `unset` names what to take away: "split", "geo", "metadata.NAME".
        Raises NotFoundError, UsageError.
        """
        from dsvc.core.setting import new_fields, set_fields

        fields = new_fields(metadata, split, geo, unset)
        what = [f"{name}={value}" for name, value in (metadata or {}).items()] + [f"no {name}" for name in unset]
        what += [f"split={split}"] if split is not None else []
        what += [f"geo={geo[0]},{geo[1]}"] if geo is not None and len(geo) == 2 else []
        which = f"{len(keys)} inputs" if len(keys) > 3 else " ".join(keys)
        with self.edit(_cut(f"set {', '.join(what)}: {which if where is None else f'--where {where}'}")) as draft:
            return set_fields(draft, fields, keys or None, where)

    def split(
        self: _Editable,
        ratio: str | Sequence[tuple[str, int]],
        by: str = "key",
        *,
        group: str | None = None,
        seed: int = 1,
        where: str | None = None,
        keep: bool = False,
    ) -> SplitReport:
        """Split all inputs, or those that `where` matches, by a hash of what `by` says: see docs/reference/splits.md.

        `ratio` is text such as "80/10/10", or names with percentages. Raises UsageError, InvalidRecordsError.
        """
        from dsvc.core.splitting import new_rule, split_inputs

        rule = new_rule(ratio, by, group, seed)
        words = f"split --by {by} --ratio {','.join(f'{name}={percent}' for name, percent in rule.parts)} --seed {seed}"
        with self.edit(_cut(words)) as draft:
            return split_inputs(draft, rule, where, keep)


def _cut(command: str) -> str:
    return command[:200]
