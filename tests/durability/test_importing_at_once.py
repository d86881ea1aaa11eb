"""Imports beside each other: two processes, one source or two, and another writer in between."""

from __future__ import annotations

from pathlib import Path

from harness import is_whole, needs_fork, pets, project, together, write_files

pytestmark = needs_fork


def start(folder: Path) -> Path:
    """A project with three inputs, and two tables about them."""
    project(folder, images=3)
    pets(folder).add(folder / "images")
    for name, fields in (("one", "split,metadata.one\n"), ("two", "concepts,metadata.two\n")):
        rows = "".join(f"images/{n:03}.jpg,{'val' if name == 'one' else 'x;y'},{n}\n" for n in range(3))
        (folder / f"{name}.csv").write_text(f"key,{fields}{rows}")
    return folder


def told(folder: Path) -> dict[str, tuple[str | None, dict[str, object], list[str | None]]]:
    return {
        one.key: (one.input.split, dict(one.input.metadata), sorted(str(mark.concept) for mark in one.annotations))
        for one in pets(folder).draft()
    }


def test_one_table_in_two_processes_is_taken_once(tmp_path: Path) -> None:
    folder = start(tmp_path / "p")
    for _ in range(3):
        together(*[lambda: pets(folder).import_(folder / "two.csv") for _ in range(3)])
        assert told(folder) == {f"images/{n:03}.jpg": (None, {"two": n}, ["x", "y"]) for n in range(3)}
    assert is_whole(folder)


def test_two_tables_at_once_are_both_taken(tmp_path: Path) -> None:
    folder = start(tmp_path / "p")
    together(*[lambda name=name: pets(folder).import_(folder / f"{name}.csv") for name in ("one", "two")])
    assert told(folder) == {f"images/{n:03}.jpg": ("val", {"one": n, "two": n}, ["x", "y"]) for n in range(3)}
    assert is_whole(folder)


def test_a_corrected_table_follows_what_came_in_between(tmp_path: Path) -> None:
    """Another writer publishes while a table is followed: the import is laid over what that left."""
    folder = start(tmp_path / "p")
    pets(folder).import_(folder / "one.csv")
    text = (folder / "one.csv").read_text()
    (folder / "one.csv").write_text(text.replace("val", "test"))
    with pets(folder).edit() as draft:
        draft.import_(folder / "one.csv")
        pets(folder).set("images/000.jpg", metadata={"ours": 1})
        pets(folder).import_(folder / "two.csv")
        write_files(folder / "more", 1)
        pets(folder).add(folder / "more")
    found = told(folder)
    assert found.pop("more/000.jpg") == (None, {}, [])
    assert found == {
        f"images/{n:03}.jpg": ("test", {"one": n, "two": n, **({"ours": 1} if n == 0 else {})}, ["x", "y"])
        for n in range(3)
    }
    assert is_whole(folder)
