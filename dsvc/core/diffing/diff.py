"""What differs between two snapshots: concepts, then input by input."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from dsvc.core.diffing.annotations import Sides, annotation_changes
from dsvc.core.diffing.change import Change, one_sided, two_sided
from dsvc.core.diffing.fields import difference
from dsvc.core.diffing.grouping import Group, group_of, groups
from dsvc.core.diffing.renames import Rename, find_renames
from dsvc.core.recasting import concept_of
from dsvc.errors import NotFoundError
from dsvc.model.geometry import Size, size_of
from dsvc.model.incoming import Progress
from dsvc.model.records import Input, decode_concept, decode_input
from dsvc.model.snapshot import Snapshot
from dsvc.model.treediff import Change as Entry
from dsvc.model.treediff import diff_trees

if TYPE_CHECKING:
    from dsvc.core.diffing.stat import Stat


class InputDiff:
    """What differs in one input and in its annotations."""

    def __init__(self, diff: Diff, group: Group) -> None:
        self.group = group
        self._diff = diff

    @property
    def key(self) -> str:
        """The input's key; where it was removed, the one that it had."""
        return self.group.key

    @cached_property
    def input(self) -> Change | None:
        """The change of the input itself, or None."""
        old, new = self._records
        name, old_name = self.group.key, self.group.old_key
        if old is None or new is None:
            return one_sided("input", name, old, new) if not self.group.same else None
        assert self.group.old is not None and self.group.new is not None
        change = two_sided("input", name, old, new, difference("input", self.group.old, self.group.new), old_name)
        return change if change.kinds else None

    @property
    def _records(self) -> tuple[Input | None, Input | None]:
        group = self.group
        old = decode_input((group.old_key or group.key).encode(), group.old) if group.old is not None else None
        new = decode_input(group.key.encode(), group.new) if group.new is not None else None
        return old, new

    @cached_property
    def annotations(self) -> list[Change]:
        """The changes of its annotations, by id."""
        group, old_key = self.group, self.group.old_key or self.group.key
        sides = Sides(old_key, group.key, lambda: self._size(0), lambda: self._size(1))
        found = annotation_changes(group.annotations, sides)
        if (wanted := self._diff.wanted(group.key)) is None:
            return found
        names = {f"{key}#{id}" for key in (group.key, old_key) for id in wanted}
        return [change for change in found if change.name in names or change.old_name in names]

    @property
    def is_whole(self) -> bool:
        """Whether all of the input was asked for, and not some of its annotations."""
        return self._diff.wanted(self.key) is None

    @property
    def is_one_sided(self) -> bool:
        """Whether the input, and so all of its annotations, was added or removed."""
        return not self.group.same and (self.group.old is None or self.group.new is None)

    def concept_counts(self) -> Counter[str | None]:
        """How many of the annotations that differ have which concept, on the new side if they are there."""
        key = self.key.encode()
        return Counter(concept_of(key, one.new or one.old or b"") for one in self.group.annotations)

    def _size(self, side: int) -> Size | None:
        record = self._records[side]
        if record is None and self.group.same:
            snapshot = (self._diff.old, self._diff.new)[side]
            record = snapshot.input(self.group.key)
        return size_of(record)

    def __iter__(self) -> Iterator[Change]:
        if self.input is not None and self.is_whole:
            yield self.input
        yield from self.annotations

    def __bool__(self) -> bool:
        return next(iter(self), None) is not None


class Diff:
    """What differs between two snapshots. Iterating gives every change: concepts, then each input and its annotations.

    Nothing is read before it is asked for, and one input at a time is in memory, with the keys of those renamed.
    """

    def __init__(
        self,
        old: Snapshot,
        new: Snapshot,
        names: Iterable[str] = (),
        where: str | None = None,
        progress: Progress | None = None,
    ) -> None:
        self.old = old
        self.new = new
        self.where = where
        self._progress = progress
        self._wanted = self._find(names)

    def _find(self, names: Iterable[str]) -> Mapping[str, set[str] | None]:
        """The inputs that are named, KEY or KEY#ANN, and of each the annotations, or None for all."""
        found: dict[str, set[str] | None] = {}
        for name in names:
            key, mark, id = name.rpartition("#")
            if self._holds(name):
                found[name] = None
            elif not (mark and self._holds(key)):
                raise self._neither(name if not mark else key)
            elif self.old.annotation(key, id) is None and self.new.annotation(key, id) is None:
                raise NotFoundError(f"no annotation {name!r} on either side", f"see: dsvc diff --key {key}")
            elif (ids := found.setdefault(key, set())) is not None:
                ids.add(id)
        return found

    def _neither(self, key: str) -> NotFoundError:
        from dsvc.core.nearest import no_input

        folder = key.rstrip("/") + "/"
        hint = no_input(key, self.new).hint or ""
        if any(next(side.input_tree.prefix(folder.encode()), None) for side in (self.old, self.new)):
            quoted = folder.replace("'", "''")
            hint = f"it is a folder of inputs: --where \"key like '{quoted}%'\""
        elif not hint.startswith("did you mean"):
            hint = "list the inputs: dsvc show --inputs"
        return NotFoundError(f"no input {key!r} on either side", hint)

    def _holds(self, key: str) -> bool:
        return any(key.encode() in side.input_tree for side in (self.old, self.new))

    def wanted(self, key: str) -> set[str] | None:
        """The annotations of an input that were asked for alone; None where all were."""
        return self._wanted.get(key)

    @property
    def is_whole(self) -> bool:
        """Whether all that differs was asked for."""
        return not self._wanted and self.where is None

    def __iter__(self) -> Iterator[Change]:
        yield from self.concepts()
        for one in self.inputs():
            yield from one

    def concepts(self) -> Iterator[Change]:
        """The changes of concepts, by id; none where only some inputs were asked for."""
        if not self.is_whole:
            return
        for entry in diff_trees(self.old.concept_tree, self.new.concept_tree):
            old, new = (decode_concept(entry.key, v) if v is not None else None for v in (entry.old, entry.new))
            if entry.old is None or entry.new is None or old is None or new is None:
                yield one_sided("concept", entry.key.decode(), old, new)
                continue
            change = two_sided("concept", entry.key.decode(), old, new, difference("concept", entry.old, entry.new))
            if change.kinds:
                yield change

    def inputs(self) -> Iterator[InputDiff]:
        """The inputs that differ, or whose annotations do, by key. Raises FilterError."""
        for group in self.groups():
            if found := InputDiff(self, group):
                yield found

    def groups(self, annotations: bool = True) -> Iterator[Group]:
        """The inputs of which something is stored otherwise, be it a number, by key. Raises FilterError.

        Without `annotations`, only those that differ themselves.
        """
        matching = self._matching
        old_keys = {rename.old_key for rename in self._renames.values()}
        for group in self._all_groups(annotations):
            if group.key in old_keys:
                continue
            if group.key in self._renames:
                group = self._renamed(group, self._renames[group.key])
            if matching is None or group.key in matching[group.new is None and not group.same]:
                yield group

    def _renamed(self, group: Group, rename: Rename) -> Group:
        if rename.is_plain:
            old = self.old.input_tree.get(rename.old_key.encode())
            return group._replace(old=old, annotations=[], old_key=rename.old_key)
        found = group_of(self.old, self.new, group.key, rename.old_key)
        assert found is not None
        return found

    def _all_groups(self, annotations: bool) -> Iterator[Group]:
        if not self._wanted:
            return groups(self.old, self.new, annotations)
        found = (group_of(self.old, self.new, key) for key in sorted(self._wanted))
        return (group for group in found if group is not None)

    @cached_property
    def _renames(self) -> dict[str, Rename]:
        if not self._wanted:
            return find_renames(self.old, self.new, diff_trees(self.old.input_tree, self.new.input_tree))
        gets = ((key.encode(), self.old.input_tree, self.new.input_tree) for key in self._wanted)
        entries = (Entry(key, old.get(key), new.get(key)) for key, old, new in gets)
        return find_renames(self.old, self.new, entries)

    @cached_property
    def _matching(self) -> tuple[set[str], set[str]] | None:
        """The inputs that the filter is true of: those of the new side, and those of the old one; None for all."""
        if self.where is None:
            return None
        from dsvc.core.filters.query import match_inputs

        new, old = (set(match_inputs(side, self.where, self._progress)) for side in (self.new, self.old))
        return new, old

    def stat(self) -> Stat:
        """How many records of each kind changed, and how, in all and by concept."""
        from dsvc.core.diffing.stat import stat_of

        return stat_of(self)
