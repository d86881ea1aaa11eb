"""One input with its annotations, or one annotation, through history: the commits that changed it."""

from __future__ import annotations

from collections.abc import Iterator

from dsvc.core.compare import Noun
from dsvc.core.history.walking import History
from dsvc.model.merging import same_but_number
from dsvc.model.records import annotation_key
from dsvc.model.snapshot import Roots
from dsvc.model.tree import Tree
from dsvc.store.ids import ObjectId

# What stands at one moment: (noun, tree key) -> encoded record.
Place = tuple[Noun, bytes]
Entries = dict[Place, bytes]
# So many trees are remembered.
_KEPT = 64


class Focus:
    """The input of a name with its annotations, and the annotation of that name: KEY or KEY#ANN.

    Only the paths to them are read, and none where a tree is one that was looked at before.
    """

    def __init__(self, history: History, name: str) -> None:
        self.history = history
        self.name = name
        key, mark, id = name.rpartition("#")
        self._input = name.encode()
        self._annotation = annotation_key(key, id) if mark else None
        self._known: dict[tuple[Noun, ObjectId], Entries] = {}

    def at(self, id: ObjectId) -> Entries:
        """What stands at a commit."""
        return self.in_roots(self.history.roots(id))

    def in_roots(self, roots: Roots) -> Entries:
        """What stands in a snapshot."""
        return self._in_tree("input", roots.inputs) | self._in_tree("annotation", roots.annotations)

    def _in_tree(self, noun: Noun, root: ObjectId) -> Entries:
        found = self._known.get((noun, root))
        if found is None:
            if len(self._known) >= _KEPT:
                self._known.clear()
            tree = Tree(self.history.store, root, self.history.nodes)
            found = self._known[noun, root] = dict(self._read_input(tree) if noun == "input" else self._read(tree))
        return found

    def _read_input(self, tree: Tree) -> Iterator[tuple[Place, bytes]]:
        value = tree.get(self._input)
        if value is not None:
            yield ("input", self._input), value

    def _read(self, tree: Tree) -> Iterator[tuple[Place, bytes]]:
        for key, value in tree.prefix(self._input + b"\0"):
            yield ("annotation", key), value
        if self._annotation is not None and (one := tree.get(self._annotation)) is not None:
            yield ("annotation", self._annotation), one

    def is_same(self, a: ObjectId, b: ObjectId) -> bool:
        """Whether the same stands at two commits. Numbering does not count."""
        left, right = self.at(a), self.at(b)
        return left.keys() == right.keys() and all(same_but_number(left[place], right[place]) for place in left)


class Trace:
    """The commits behind a head that changed what a focus is on, as a graph of their own.

    A merge that has what one of its parents has is passed over, and so is its other side: what happened there did not
    come through. A commit that has something else than each of its parents changed it.
    """

    def __init__(self, focus: Focus) -> None:
        self._focus = focus
        self._history = focus.history
        self._found: dict[ObjectId, ObjectId | None] = {}
        self._parents: dict[ObjectId, tuple[ObjectId, ...]] = {}

    def walk(self, head: ObjectId) -> Iterator[ObjectId]:
        """The commits, each before its parents, else the newest first."""
        first = self._last_change(head)
        return self._history.walk([first] if first is not None else [], self.parents)

    def parents(self, id: ObjectId) -> tuple[ObjectId, ...]:
        """The changes before one of them."""
        known = self._parents.get(id)
        if known is None:
            before = (self._last_change(parent) for parent in self._history.parents(id))
            known = self._parents[id] = tuple(dict.fromkeys(found for found in before if found is not None))
        return known

    def _last_change(self, id: ObjectId) -> ObjectId | None:
        """The last commit, from this one back, that changed something."""
        passed, at = list[ObjectId](), id
        found: ObjectId | None = None
        while at not in self._found:
            passed.append(at)
            parents = self._history.parents(at)
            same = next((parent for parent in parents if self._focus.is_same(at, parent)), None)
            if same is None:
                found = at if parents or self._focus.at(at) else None
                break
            at = same
        else:
            found = self._found[at]
        self._found.update(dict.fromkeys(passed, found))
        return found
