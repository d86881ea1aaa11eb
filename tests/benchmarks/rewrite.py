"""Splitting all inputs and renaming the most used concept, beside reading and writing all annotations once.

python tests/benchmarks/rewrite.py
"""

from __future__ import annotations

import shutil
import statistics
from collections import Counter
from time import perf_counter
from typing import Any

from measure import MB, Bench, Row, main

DATASET = "coco"


def walk_and_write(folder: str, target: str) -> dict[str, Any]:
    """The floor: read every annotation of a repository, and write the same tree to an empty one, durably."""
    import msgspec
    from repositories import author

    import dsvc
    from dsvc.model.tree import build_tree

    tree = dsvc.open(folder).dataset(DATASET).at().snapshot.annotation_tree
    copy = dsvc.init(target, author=author()).create(DATASET)
    begin = perf_counter()
    with copy.edit() as draft:
        draft.apply(
            lambda store, state: msgspec.structs.replace(
                state, roots=msgspec.structs.replace(state.roots, annotations=build_tree(store, tree))
            )
        )
    return {"seconds": perf_counter() - begin, "annotations": len(copy.draft().snapshot.annotation_tree)}


def split(folder: str) -> dict[str, Any]:
    """Split all inputs by key, and publish."""
    dataset = opened(folder)
    begin = perf_counter()
    report = dataset.split("80/10/10")
    return {"seconds": perf_counter() - begin, "changed": report.changed}


def rename(folder: str, concept: str) -> dict[str, Any]:
    """Rename a concept, and publish."""
    dataset = opened(folder)
    begin = perf_counter()
    report = dataset.rename_concept(concept, "another name")
    return {"seconds": perf_counter() - begin, "changed": report.annotations}


def concepts_by_use(folder: str) -> dict[str, Any]:
    """The most and the least used concept, and how many annotations each has."""
    counts = Counter({c.concept.id: c.annotations for c in opened(folder).count_concepts()}).most_common()
    return {"most": counts[0], "least": counts[-1]}


def opened(folder: str) -> Any:
    """The dataset of a folder, to change."""
    from repositories import author

    import dsvc

    return dsvc.open(folder, author=author()).dataset(DATASET)


def run(bench: Bench) -> list[Row]:
    made = bench.repository()
    used = bench.child(__file__, "concepts_by_use", made)
    rounds = [_round(bench, made, used) for _ in range(bench.repeats(3))]
    floors, splits, common, rare = zip(*rounds, strict=True)
    floor = statistics.median(side["seconds"] for side in floors)
    sides = (
        ("split all inputs by key", splits),
        (f"rename the most used concept ({100 * used['most'][1] / floors[0]['annotations']:.0f} % of all)", common),
        (f"rename the least used concept ({100 * used['least'][1] / floors[0]['annotations']:.1f} % of all)", rare),
    )
    return [_row(bench, name, side, floor) for name, side in sides]


def _round(bench: Bench, made: Any, used: dict[str, Any]) -> list[dict[str, Any]]:
    """Each side once, every one on a fresh copy."""
    with bench.scratch() as scratch:
        found = [bench.child(__file__, "walk_and_write", made, scratch / "floor")]
        for function, *arguments in (("split",), ("rename", used["most"][0]), ("rename", used["least"][0])):
            folder = scratch / "copy"
            shutil.copytree(made, folder)
            found.append(bench.child(__file__, function, folder, *arguments))
            shutil.rmtree(folder)
    return found


def _row(bench: Bench, name: str, side: tuple[dict[str, Any], ...], floor: float) -> Row:
    seconds = statistics.median(found["seconds"] for found in side)
    return Row(
        work=bench.label(f"860k: {name}"),
        value=seconds / floor,
        target=1.5,
        unit="x",
        measured="the library's call until it is durable, beside the floor: walk over all annotations, and build their "
        "tree anew in an empty repository",
        times={
            "dsvc": f"{seconds:.2f} s, {side[0]['peak'] / MB:.0f} MB, {side[0]['changed']:,} changed",
            "floor": f"{floor:.2f} s",
        },
    )


if __name__ == "__main__":
    main(run)
