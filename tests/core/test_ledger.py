"""The ledger: what keeps a run or an evaluation, its files and its data."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from dsvc.core.automatic import commit_data, drop_entry
from dsvc.core.dataset import Dataset
from dsvc.core.ledger import (
    auto_name,
    entry_files,
    new_id,
    read_file,
    set_auto_version,
    set_entry,
    stage_file,
    store_entry,
)
from dsvc.core.transaction import Refs
from dsvc.errors import NotFoundError, RefusedError, UsageError
from dsvc.model.commit import Author, Moment, load_commit, store_commit
from dsvc.model.snapshot import load_roots, store_roots
from dsvc.model.view import RUN, TRAINING, VersionRef

ADA = Author("Ada")


@pytest.fixture(autouse=True)
def labelled(pets: Dataset, write: Callable[..., Path], coco: Callable[..., dict[str, Any]]) -> None:
    with pets.edit() as draft:
        draft.import_(write(coco()))


def enter(pets: Dataset, id: str, version: str | None = None, **files: bytes) -> str:
    """Enter a run of what the dataset holds now; the name of the version that it made."""
    name = auto_name(id, Moment(1_700_000_000))
    with pets.repository.transaction("train") as transaction:
        writer = transaction.writer
        staged = {file: stage_file(writer, data) for file, data in files.items()}

        def change(refs: Refs) -> None:
            data = commit_data(pets, refs, writer, "training data", ADA, Moment(5))
            set_auto_version(refs, pets.name, name, VersionRef(data, "", ADA, Moment(5), TRAINING))
            record = {"id": id, "accuracy": 0.5, "version": version or name}
            set_entry(refs, RUN, pets.name, id, store_entry(writer, RUN, record, staged, [data], ADA, Moment(5)))

        transaction.run(change)
    return name


def drop(pets: Dataset, id: str) -> list[str]:
    gone: list[str] = []
    pets.repository.change("runs delete", lambda refs: gone.extend(drop_entry(refs, pets, RUN, id)))
    return gone


def test_a_run_keeps_its_record_its_files_and_its_data(pets: Dataset) -> None:
    enter(pets, "aaaa1111", weights=b"w" * 100, log=b"")
    run = pets.run("aaaa")
    assert (run.id, run.record["accuracy"], run.author) == ("aaaa1111", 0.5, ADA)
    assert [(file.key, file.media.size) for file in entry_files(pets, run) if file.media] == [
        ("log", 0),
        ("weights", 100),
    ]
    assert b"".join(read_file(pets, run, "weights")) == b"w" * 100
    assert pets.runs() == [run]
    assert pets.evaluations() == []
    with pytest.raises(NotFoundError, match="no file 'x'"):
        read_file(pets, run, "x")


def test_what_is_staged_is_kept_and_stays_staged(pets: Dataset) -> None:
    head, staged = pets.head, pets.draft().counts()
    assert pets.has_draft()
    name = enter(pets, "aaaa1111")
    assert pets.head == head
    assert pets.has_draft()
    assert pets.at(f"@{name}").counts() == staged


def test_a_clean_dataset_is_kept_by_its_head(pets: Dataset) -> None:
    pets.commit("all", author=ADA)
    assert pets.at(f"@{enter(pets, 'aaaa1111')}").commit == pets.head


def test_auto_generated_versions_are_listed_apart_and_stay_while_something_names_them(pets: Dataset) -> None:
    pets.commit("all", author=ADA)
    pets.create_version("v1", author=ADA)
    name = enter(pets, "aaaa1111")
    assert re.fullmatch(r"auto-generated-20231114T221320Z-aaaa1111", name)
    assert [version.name for version in pets.versions()] == ["v1"]
    assert [version.name for version in pets.versions(auto=True)] == [name]
    with pytest.raises(RefusedError, match="is the data of run aaaa1111"):
        pets.delete_version(name)
    assert drop(pets, "aaaa") == [name]
    assert (pets.runs(), pets.versions(auto=True)) == ([], [])
    pets.repository.undo()
    assert [run.id for run in pets.runs()] == ["aaaa1111"]
    assert [version.name for version in pets.versions(auto=True)] == [name]


def test_a_version_of_two_runs_goes_with_the_last(pets: Dataset) -> None:
    pets.commit("all", author=ADA)
    name = enter(pets, "aaaa1111")
    enter(pets, "bbbb2222", version=name)
    enter(pets, "cccc3333")
    assert drop(pets, "aaaa1111") == []
    assert drop(pets, "bbbb2222") == [name]
    assert drop(pets, "cccc3333") == [auto_name("cccc3333", Moment(1_700_000_000))]


def test_an_id_is_found_by_its_first_digits(pets: Dataset) -> None:
    enter(pets, "aaaa1111")
    enter(pets, "aaaa2222")
    assert pets.run("aaaa2").id == "aaaa2222"
    with pytest.raises(UsageError, match="may be each of aaaa1111, aaaa2222"):
        pets.run("aaaa")
    for unknown in ("aaa", "", "bbbb"):
        with pytest.raises(NotFoundError, match="has no run"):
            pets.run(unknown)


def test_the_newest_have_names(pets: Dataset) -> None:
    for id in ("ffff0001", "0000ffff", "88880003"):  # all within one second, as their times tell
        enter(pets, id)
    assert [run.id for run in pets.runs()] == ["ffff0001", "0000ffff", "88880003"]
    assert [pets.run(name).id for name in ("last", "last~0", "last~1", "last~2")] == [
        "88880003", "88880003", "0000ffff", "ffff0001",
    ]  # fmt: skip
    with pytest.raises(NotFoundError, match="'pets' has 3 runs") as error:
        pets.run("last~3")
    assert error.value.hint == "see: dsvc runs list"
    for unknown in ("last~", "last~x", "last~-1", "LAST", "last~1111111111", "last~1~1"):
        with pytest.raises(NotFoundError, match=r"has no run '(last|LAST)"):
            pets.run(unknown)


def test_without_any_there_is_no_newest(pets: Dataset) -> None:
    with pytest.raises(NotFoundError, match="'pets' has no evaluations") as error:
        pets.evaluation("last")
    assert error.value.hint == "make one: dsvc evaluate REV PREDICTIONS"


@pytest.mark.parametrize("entered", ["now", None, 2.5, [1]])
def test_what_others_note_of_the_order_is_taken_with_care(pets: Dataset, entered: Any) -> None:
    enter(pets, "aaaa1111")
    with pets.repository.transaction("train") as transaction:
        writer = transaction.writer

        def change(refs: Refs) -> None:
            made = load_commit(writer, pets.run("aaaa1111").commit)
            roots = load_roots(writer, made.snapshot)
            named = msgspec.structs.replace(roots, meta={RUN: {**roots.meta[RUN], "id": "bbbb2222"}})
            notes = {"entered": entered}
            other = store_commit(
                writer, msgspec.structs.replace(made, snapshot=store_roots(writer, named), notes=notes)
            )
            set_entry(refs, RUN, pets.name, "bbbb2222", other)

        transaction.run(change)
    assert [run.id for run in pets.runs()] == ["bbbb2222", "aaaa1111"]


def test_runs_follow_their_dataset(pets: Dataset) -> None:
    enter(pets, "aaaa1111")
    repository = pets.repository
    repository.rename("pets", "animals")
    assert [run.id for run in repository.dataset("animals").runs()] == ["aaaa1111"]
    repository.delete("animals")
    repository.undo()
    assert [run.id for run in repository.dataset("animals").runs()] == ["aaaa1111"]
    assert repository.check().damage == ()


def test_ids_are_random() -> None:
    assert len({new_id() for _ in range(100)}) == 100
