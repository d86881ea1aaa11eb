"""Columns that are kept: what they save, and that whatever happens to them changes no answer."""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import zstandard

from dsvc.core.dataset import Dataset
from dsvc.core.filters import columncache, gathering
from dsvc.core.filters.query import match_annotations, match_inputs
from dsvc.model.records import Annotation, Input, Shape, annotation_key, encode_annotation, encode_input
from dsvc.model.snapshot import SnapshotEdits, edit_roots

COUNT = 2500
WHERE = "concept = 'c1' and area >= 500 and width < 1000 and metadata->>'n' <> '7' and not conflicted and id <> '1'"


def edit(dataset: Dataset, edits: SnapshotEdits) -> None:
    with dataset.edit() as draft:
        draft.apply(lambda store, state: msgspec.structs.replace(state, roots=edit_roots(store, state.roots, edits)))


def annotated(number: int, width: float = 1) -> tuple[bytes, bytes]:
    key = f"{number % COUNT:05d}"
    annotation = Annotation(
        key=key,
        id=str(number),
        concept=f"c{number % 3}" if number % 5 else None,
        shape=Shape(box=(number, 0, width, number / 8)) if number % 7 else None,
    )
    return annotation_key(key, annotation.id), encode_annotation(annotation)


@pytest.fixture
def many(pets: Dataset, monkeypatch: pytest.MonkeyPatch) -> Dataset:
    """2,500 inputs with 5 annotations each, of which everything is kept."""
    edits = SnapshotEdits()
    for number in range(COUNT):
        record = Input(key=f"{number:05d}", declared_width=number, metadata={"n": number % 10} if number % 4 else {})
        edits.inputs[record.key.encode()] = encode_input(record)
    edits.annotations = dict(annotated(number) for number in range(5 * COUNT))
    edit(pets, edits)
    monkeypatch.setattr(columncache, "SMALL", 0)
    return pets


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[int, frozenset[str]]]]:
    """What is read from the trees: how many records, and the columns."""
    found: list[tuple[int, frozenset[str]]] = []
    real = gathering._Reader.read

    def read(self, tree, names):
        found.append((len(tree), frozenset(names)))
        return real(self, tree, names)

    monkeypatch.setattr(gathering._Reader, "read", read)
    return found


def ask(dataset: Dataset) -> tuple[list[tuple[str, str]], list[str]]:
    snapshot = dataset.draft().snapshot
    return match_annotations(snapshot, WHERE), match_inputs(snapshot, WHERE)


def answer(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> tuple[list[tuple[str, str]], list[str]]:
    """The right answer, with nothing kept."""
    with monkeypatch.context() as patch:
        patch.setattr(columncache, "SMALL", 10**9)
        return ask(dataset)


def kept(dataset: Dataset) -> Path:
    folder = dataset.repository.cache_folder
    assert folder is not None
    return folder / "columns.sqlite"


def test_a_second_look_reads_no_records(many: Dataset, reads, monkeypatch: pytest.MonkeyPatch) -> None:
    right = answer(many, monkeypatch)
    assert right[0] and right[1] and not kept(many).exists()
    reads.clear()
    assert ask(many) == right
    assert reads and kept(many).exists()
    reads.clear()
    assert ask(many) == right
    assert reads == []
    match_annotations(many.draft().snapshot, "concept = 'c1' and x > 5")
    assert {names for _, names in reads} == {frozenset("x")}


def test_after_an_edit_little_is_read(many: Dataset, reads, monkeypatch: pytest.MonkeyPatch) -> None:
    ask(many)
    reads.clear()
    edits = SnapshotEdits()
    edits.annotations = dict([annotated(4 * COUNT + 1, width=9)])
    edit(many, edits)
    found = ask(many)
    assert 0 < sum(count for count, _ in reads) < 5 * COUNT
    assert found == answer(many, monkeypatch)


def test_small_trees_are_not_kept(pets: Dataset) -> None:
    edits = SnapshotEdits()
    edits.inputs = {b"a": encode_input(Input(key="a"))}
    edit(pets, edits)
    assert match_inputs(pets.draft().snapshot, "key = 'a'") == ["a"]
    assert not kept(pets).exists()


def test_an_empty_dataset(pets: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columncache, "SMALL", 0)
    for _ in range(2):
        assert ask(pets) == ([], [])


def damaged(path: Path, damage: str) -> None:
    if damage == "garbage":
        path.write_bytes(b"no database" * 1000)
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
    elif damage == "flipped":
        data = bytearray(path.read_bytes())
        for at in range(8192, len(data), 501):
            data[at] ^= 0x55
        path.write_bytes(data)
    else:
        made = {
            "text": "update part set data = 'text'",
            "count": f"update part set data = x'{zstandard.compress(b'#' + bytes(24)).hex()}'",
            "part": f"update part set data = x'{zstandard.compress(b'').hex()}'",
            "older": "drop table part; create table part (x); pragma user_version = 0",
        }
        with sqlite3.connect(path) as database:
            database.executescript(made[damage])


@pytest.mark.parametrize("damage", ["garbage", "empty", "cut", "flipped", "text", "count", "part", "older"])
def test_what_is_damaged_is_made_anew(many: Dataset, damage: str, reads) -> None:
    right = ask(many)
    damaged(kept(many), damage)
    reads.clear()
    assert ask(many) == right
    assert reads
    assert ask(many) == right  # a damaged file may have been removed only now
    reads.clear()
    assert ask(many) == right
    assert reads == []


def test_where_nothing_can_be_kept(many: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    path = kept(many)
    right = answer(many, monkeypatch)
    path.mkdir(parents=True)
    assert ask(many) == right
    path.rmdir()
    path.parent.rmdir()
    path.parent.write_text("a file where the folder should be")
    assert ask(many) == right
    path.parent.unlink()
    monkeypatch.setitem(sys.modules, "sqlite3", None)  # a Python without it
    assert ask(many) == right
    assert not path.exists()


def test_while_another_process_writes(many: Dataset, reads, monkeypatch: pytest.MonkeyPatch) -> None:
    right = answer(many, monkeypatch)
    match_inputs(many.draft().snapshot, "width > 5")
    monkeypatch.setattr(columncache, "_PATIENCE", 0.01)
    with sqlite3.connect(kept(many), isolation_level=None) as other:
        other.execute("begin immediate")
        assert ask(many) == right
        other.execute("rollback")
        other.execute("begin exclusive")
        assert ask(many) == right
        other.execute("rollback")
    reads.clear()
    assert ask(many) == right and reads
    reads.clear()
    assert ask(many) == right and not reads


def test_a_file_that_can_only_be_read(many: Dataset, reads, monkeypatch: pytest.MonkeyPatch) -> None:
    match_annotations(many.draft().snapshot, "concept = 'c1'")
    path, real = kept(many), sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda path, **more: real(f"file:{path}?mode=ro", uri=True, **more))
    before, right = path.read_bytes(), answer(many, monkeypatch)
    reads.clear()
    assert ask(many) == right
    assert reads and all("concept" not in names for _, names in reads)
    assert path.read_bytes() == before


def test_a_kill_while_it_is_written(many: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process ends within the transaction, when some of the file has been written."""
    right = answer(many, monkeypatch)
    code = """if True:
        import os, sys
        import dsvc
        from dsvc.core.filters import columncache
        from dsvc.core.filters.query import match_annotations
        columncache.SMALL = 0
        real = columncache._make_room
        def end(database):
            database.execute("pragma cache_spill = 1")
            database.execute("insert into part (node, name, data) values (x'00', 'big', zeroblob(9000000))")
            os._exit(9)
        columncache._make_room = end
        match_annotations(dsvc.open(sys.argv[1]).dataset("pets").draft().snapshot, sys.argv[2])
    """
    done = subprocess.run([sys.executable, "-c", code, str(many.repository.root), WHERE])
    assert done.returncode == 9
    assert ask(many) == right
    with sqlite3.connect(kept(many)) as database:
        assert database.execute("pragma integrity_check").fetchone() == ("ok",)
        assert database.execute("select count(*) from part where name = 'big'").fetchone() == (0,)


def test_the_oldest_go(many: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    right = ask(many)
    size = kept(many).stat().st_size
    monkeypatch.setattr(columncache, "LIMIT", size // 2)
    match_annotations(many.draft().snapshot, "text is null or status is null")
    with sqlite3.connect(kept(many)) as database:
        (kept_bytes,) = database.execute("select sum(length(data)) from part").fetchone()
        names = {name for (name,) in database.execute("select distinct name from part")}
    assert kept_bytes < size // 2
    assert {"text", "status"} <= names
    assert ask(many) == right
