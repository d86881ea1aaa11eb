"""Copying what commits reach from one store to another: what the other one lacks, found by walking differences.

A commit, a snapshot or a node that is listed there has all that it reaches there, since all of it became visible in
one publish. So a walk stops at every object that is there, and reads no more than what differs. It goes level by level,
many nodes at once, since a far store answers many questions as fast as one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from dsvc.core.keys import check_key
from dsvc.errors import DamagedError, RefusedError
from dsvc.model.commit import decode_commit
from dsvc.model.incoming import Progress
from dsvc.model.node import Child, Inner, Leaf, decode_node, keeps_promise
from dsvc.model.plain import plain_inputs
from dsvc.model.reach import blobs_of
from dsvc.model.records import decode_concept, decode_input
from dsvc.model.snapshot import decode_roots
from dsvc.remote.carrying import Carrier
from dsvc.remote.looking import ANNOTATIONS, INPUTS
from dsvc.store.ids import Kind, ObjectId

if TYPE_CHECKING:
    from dsvc.remote.source import Source
    from dsvc.store.writer import ObjectWriter

_INNER, _LEAVES, _OUTSIDE = 256, 8192, 64  # how many are taken at once: inner nodes, leaves, leaves with values outside
T = TypeVar("T")


class _Step(NamedTuple):
    """A node to visit: what its parent says of it, and who looks at its entries if it is a leaf."""

    id: ObjectId
    promised: Child | None
    level: int
    take: Callable[[Leaf, list[bytes]], None]
    tree: str | None = None


def _is_of_another_tree(step: _Step) -> bool:
    """Whether a node's last key shows that it belongs to annotations rather than inputs, or the other way round."""
    if step.tree is None or step.promised is None:
        return False
    return (0 in step.promised.key) != (step.tree == ANNOTATIONS)


class Copier:
    """Stages what a transaction of one store needs of another. The counts are those of what travelled, and
    of purged blobs that were left out.

    Without `media` no blob is taken; those that are `purged` never are.
    """

    def __init__(
        self,
        source: Source,
        writer: ObjectWriter,
        progress: Progress | None = None,
        *,
        media: bool = True,
        purged: Collection[ObjectId] = (),
    ) -> None:
        self._source = source
        self._carrier = Carrier(source, writer, progress, media=media, purged=frozenset(purged))
        self.commits: set[ObjectId] = set()
        self.objects = self.bytes = self.left_out = 0

    def copy(self, commits: Iterable[ObjectId], *, whole: bool = False) -> None:
        """Stage what these commits reach and what is not there yet. With `whole`, they are known to reach nearly all
        that the source has."""
        try:
            roots = self._roots(self._commits(commits))
            if whole and roots:
                self._carrier.bring_whole()
            self._trees(roots)
            self._carrier.bring_blobs(is_last=True)
            self._carrier.forget_rest()
        finally:
            self._source.close()
        self.objects, self.bytes = self._carrier.objects, self._carrier.bytes
        self.left_out = len(self._carrier.left_out)
        self._carrier.tell(self.bytes)

    def _commits(self, heads: Iterable[ObjectId]) -> list[ObjectId]:
        """Commits that are not there, and their snapshots."""
        snapshots: dict[ObjectId, None] = {}
        queue = sorted(heads)
        while queue:
            wanted, queue = self._carrier.lacking(queue, Kind.COMMIT), []
            for id, data in self._carrier.bring(wanted, Kind.COMMIT):
                commit = self._decoded(decode_commit, data, id)
                self.commits.add(id)
                snapshots[commit.snapshot] = None
                queue += [*commit.parents, *commit.sources.values()]
        return list(snapshots)

    def _roots(self, snapshots: list[ObjectId]) -> list[_Step]:
        steps = []
        for id, data in self._carrier.bring(self._carrier.lacking(snapshots, Kind.SNAPSHOT), Kind.SNAPSHOT):
            roots = self._decoded(decode_roots, data, id)
            steps.append(_Step(roots.concepts, None, 0, self._concepts))
            steps.append(_Step(roots.inputs, None, 0, self._inputs, INPUTS))
            steps.append(_Step(roots.annotations, None, 0, self._annotations, ANNOTATIONS))
        return steps

    def _trees(self, roots: list[_Step]) -> None:
        """The nodes of trees, level by level and in the order of their keys, with what else their leaves name."""
        stack = [roots]
        while stack:
            steps = stack.pop()
            many = _LEAVES if steps and steps[0].level == 0 and steps[0].promised is not None else _INNER
            if len(steps) > many:
                stack.append(steps[many:])
            below = list(self._visit(steps[:many]))
            if below:
                stack.append(below)

    def _visit(self, steps: list[_Step]) -> Iterator[_Step]:
        """Bring some nodes; the steps to their children."""
        known = {step.id: step for step in reversed(steps)}
        for step in steps:
            first = known[step.id].promised
            is_other = None not in (first, step.promised) and first != step.promised
            if is_other or _is_of_another_tree(step):
                raise self._source.failure(DamagedError(f"node {step.id.short()} is not what its parent says"))
        for step in steps:
            if step.level or step.promised is None or step.tree is None:
                continue
            # A leaf of two trees is looked at closely, for the first of them.
            if known.get(step.id) is step and self._carrier.stage_plain(step.id, step.promised, step.tree):
                del known[step.id]
        outside: list[tuple[_Step, Leaf]] = []
        for id, data in self._carrier.bring(self._carrier.lacking(known, Kind.NODE), Kind.NODE):
            step = known[id]
            node = self._decoded(decode_node, data, id)
            if step.promised is not None and not keeps_promise(node, step.promised, step.level, data):
                raise self._source.failure(DamagedError(f"node {id.short()} is not what its parent says"))
            if isinstance(node, Inner):
                for child in node.children:
                    yield _Step(child.id, child, node.level - 1, step.take, step.tree)
            elif node.has_pointers:
                outside.append((step, node))
            else:
                step.take(node, node.values)
        for at in range(0, len(outside), _OUTSIDE):
            self._visit_outside(outside[at : at + _OUTSIDE])

    def _visit_outside(self, leaves: list[tuple[_Step, Leaf]]) -> None:
        """Look at leaves of which some values lie outside, which are brought first."""
        names = [value.data[1:] for _, leaf in leaves for value in leaf.values if type(value) is not bytes]
        ids = [ObjectId(name) for name in dict.fromkeys(names)]
        lacking = self._carrier.lacking(ids, Kind.VALUE)
        values = dict(self._carrier.bring(lacking, Kind.VALUE))
        values |= {id: self._carrier.held(id, Kind.VALUE) for id in ids if id not in values}
        for step, leaf in leaves:
            resolved = (value if type(value) is bytes else values[ObjectId(value.data[1:])] for value in leaf.values)
            step.take(leaf, list(resolved))

    # A leaf that is here counts as one of which all is here. So no leaf may pass for one of another tree, whose media
    # would be left out; the keys of annotations alone hold a NUL.

    def _concepts(self, leaf: Leaf, values: list[bytes]) -> None:
        with self._source.blamed():
            for key, value in zip(leaf.keys, values, strict=True):
                decode_concept(key, value)

    def _annotations(self, leaf: Leaf, values: list[bytes]) -> None:
        for key in leaf.keys:
            if 0 not in key:
                raise self._source.failure(DamagedError(f"annotation {key.decode(errors='replace')!r} has no input"))

    def _inputs(self, leaf: Leaf, values: list[bytes]) -> None:
        plain = plain_inputs(leaf.keys, values)
        for number, key in enumerate(leaf.keys):
            if plain is None:
                for blob in self._blobs(key, values[number]):
                    self._carrier.want(blob, key)
            elif (found := plain[number]) is not None:
                self._carrier.want(ObjectId(found), key)
        if self._carrier.has_many:
            self._carrier.bring_blobs()

    def _blobs(self, key: bytes, value: bytes) -> list[ObjectId]:
        try:
            record = decode_input(key, value)
            check_key(record.key)  # which may become the name of a file here
            return list(blobs_of(record))
        except (DamagedError, RefusedError) as error:
            raise self._source.failure(DamagedError(error.message, error.hint)) from error

    def _decoded(self, decode: Callable[[bytes, ObjectId], T], data: bytes, id: ObjectId) -> T:
        with self._source.blamed():
            return decode(data, id)
