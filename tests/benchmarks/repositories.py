"""What the benchmarks do with dsvc, each in a process of its own: make a repository, change annotations."""

from __future__ import annotations

import random
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dsvc.core.draft import DraftState
    from dsvc.model.node import Store
    from dsvc.model.records import Annotation
    from dsvc.model.snapshot import Snapshot

DATASET = "coco"


def import_and_commit(source: str, folder: str) -> dict[str, Any]:
    """Import a COCO file into a new repository and commit it, durably; then name the version v1."""
    begin = perf_counter()
    import dsvc

    repository = dsvc.init(folder, author=author())
    dataset = repository.create(DATASET)
    dataset.import_(source)
    dataset.commit("import")
    seconds = perf_counter() - begin
    dataset.create_version("v1")
    return {"seconds": seconds}


def change_annotations(folder: str, count: int, together: bool) -> None:
    """Make version v2, in which the boxes of `count` annotations have moved by a pixel.

    `together` takes all annotations of inputs chosen at random until there are enough; else each annotation is
    chosen at random. All go in as one edit.
    """
    import dsvc

    dataset = dsvc.open(folder, author=author()).dataset(DATASET)
    with dataset.edit("move boxes") as draft:
        draft.apply(_moving(_chosen(draft.snapshot, count, together)))
    dataset.commit("move boxes")
    dataset.create_version("v2")


def change_again_and_again(folder: str, commits: int) -> None:
    """Make so many commits, each of which moves the boxes of one input and of 100 annotations chosen at random."""
    import dsvc
    from dsvc.model.records import decode_annotation

    dataset = dsvc.open(folder, author=author()).dataset(DATASET)
    chance, key = random.Random(1), first_annotation(folder)["key"]
    for number in range(commits):
        with dataset.edit("move boxes") as draft:
            tree = draft.snapshot.annotation_tree
            places = chance.sample(range(len(tree)), min(100, len(tree)))
            scattered = [decode_annotation(*tree.at(place)) for place in places]
            draft.apply(_moving([*draft.snapshot.annotations(key), *(one for one in scattered if one.key != key)]))
        dataset.commit(f"move boxes {number}")


def diverge(folder: str, count: int) -> None:
    """Begin a branch `side`, and move the boxes of `count` annotations on it and of `count` others on the main one."""
    import dsvc

    main = dsvc.open(folder, author=author()).dataset(DATASET)
    chosen = _chosen(main.at().snapshot, 2 * count, False)
    for at, dataset in enumerate((main.create_branch("side"), main)):
        with dataset.edit("move boxes") as draft:
            draft.apply(_moving(chosen[at::2]))
        dataset.commit("move boxes")


def first_annotation(folder: str) -> dict[str, str]:
    """The key and id of an annotation in the middle of the dataset."""
    import dsvc
    from dsvc.model.records import split_annotation_key

    tree = dsvc.open(folder).dataset(DATASET).at().snapshot.annotation_tree
    key, annotation = split_annotation_key(tree.at(len(tree) // 2)[0])
    return {"key": key, "annotation": annotation}


def author() -> Any:
    """Who signs."""
    import dsvc

    return dsvc.Author("Benchmark", "benchmark@example.org")


def _chosen(snapshot: Snapshot, count: int, together: bool) -> list[Annotation]:
    from dsvc.model.records import decode_annotation

    chance = random.Random(1)
    if not together:
        tree = snapshot.annotation_tree
        return [decode_annotation(*tree.at(place)) for place in sorted(chance.sample(range(len(tree)), count))]
    inputs, found = snapshot.input_tree, list["Annotation"]()
    for place in chance.sample(range(len(inputs)), len(inputs)):
        if len(found) >= count:
            break
        found.extend(snapshot.annotations(inputs.at(place)[0].decode()))
    return found[:count]


def _moving(chosen: list[Annotation]) -> Any:
    """A draft's step that moves boxes by a pixel."""
    import msgspec

    from dsvc.model.records import annotation_key, encode_annotation
    from dsvc.model.snapshot import SnapshotEdits, edit_roots

    def step(store: Store, state: DraftState) -> DraftState:
        edits = SnapshotEdits()
        for old in chosen:
            assert old.shape is not None and old.shape.box is not None
            x, *others = old.shape.box
            shape = msgspec.structs.replace(old.shape, box=(x + 1, *others))
            new = msgspec.structs.replace(old, shape=shape)
            edits.annotations[annotation_key(old.key, old.id)] = encode_annotation(new)
        return msgspec.structs.replace(state, roots=edit_roots(store, state.roots, edits))

    return step


def exported(folder: str, format: str, target: str) -> dict[str, Any]:
    """Export version v1."""
    begin = perf_counter()
    import dsvc

    dsvc.open(folder).dataset(DATASET).at("@v1").export(format, target)
    return {"seconds": perf_counter() - begin, "bytes": Path(target).stat().st_size}
