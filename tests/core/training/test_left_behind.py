"""Runs that nobody looks after any more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from trained import files, runs

from dsvc.core.dataset import Dataset
from dsvc.core.training.dropping import find_folder
from dsvc.core.training.folder import Note, RunFolder
from dsvc.core.training.form import run_record
from dsvc.core.training.record import enter_left, going_on
from dsvc.core.training.running import find_source
from dsvc.errors import RefusedError
from dsvc.model.commit import Author

pytestmark = pytest.mark.usefixtures("labelled")


def left_behind(pets: Dataset, stage: str = "running", **record: Any) -> RunFolder:
    """The folder of a run that nobody looks after."""
    folder = RunFolder.make(runs(pets.repository))
    folder.release()
    source = find_source(pets, "v1")
    fields = {"id": folder.id, "dataset": "pets", "version": "v1", "commit": source.commit.hex(), "command": ["x"]}
    fields |= {"began": "2024-05-01T12:00:00+00:00", **record}
    folder.write(Note(stage, Author("Ada"), run_record(fields)))  # type: ignore[arg-type]
    (folder.model / "part").write_text("half")
    folder.data.mkdir()
    return folder


def test_a_run_that_was_left_behind_is_entered_as_killed(pets: Dataset) -> None:
    folder = left_behind(pets)
    (found,) = enter_left(pets.repository)
    assert (found.id, found.status, found.process, found.error) == (folder.id, "killed", None, None)
    (entry,) = pets.runs()
    assert entry.record["notes"] == ["dsvc itself was killed, or the machine went down"]
    assert files(pets, entry) == {"model/part": b"half"} and not folder.data.exists()
    assert list(enter_left(pets.repository)) == []


def test_a_run_that_was_over_is_entered_as_what_it_was(pets: Dataset) -> None:
    left_behind(pets, "over", status="failed", exit_code=7)
    (found,) = enter_left(pets.repository)
    assert found.status == "failed" and pets.runs()[0].record["exit_code"] == 7


def test_a_run_that_goes_on_is_left_alone(pets: Dataset) -> None:
    folder = left_behind(pets)
    assert folder.hold()
    assert list(enter_left(pets.repository)) == []
    assert [note.record["id"] for note in going_on(pets.repository, "pets")] == [folder.id]
    assert list(going_on(pets.repository, "other")) == []
    with pytest.raises(RefusedError, match="is going on"):
        find_folder(pets.repository, folder.id)
    folder.release()
    assert list(going_on(pets.repository, "pets")) == []


def test_one_that_broke_off_before_its_version(pets: Dataset) -> None:
    folder = left_behind(pets, version="auto-generated-20240101T000000Z-12345678", commit="")
    assert list(enter_left(pets.repository)) == [] and not folder.path.exists()


def test_a_folder_that_nothing_came_into_is_taken_away(pets: Dataset) -> None:
    going_on = RunFolder.make(runs(pets.repository))
    left, filled, bare = (RunFolder.make(runs(pets.repository)) for _ in range(3))
    for folder in (left, filled, bare):
        folder.release()
    (filled.model / "part").write_text("half")
    (bare.path / "lock").unlink()
    bare.model.rmdir()
    linked = RunFolder(runs(pets.repository) / "0123abcd")
    linked.path.mkdir()
    (linked.path / "model").symlink_to(filled.model)
    assert list(enter_left(pets.repository)) == []
    assert [folder.path.exists() for folder in (left, bare)] == [False, False]
    assert [folder.path.exists() for folder in (going_on, filled, linked)] == [True, True, True]
    going_on.release()
    assert list(enter_left(pets.repository)) == [] and not going_on.path.exists()


def test_a_folder_that_is_taken_away_while_it_is_made_is_made_anew(
    pets: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dsvc.core.training import folder as module

    take, others = module.take_lock, []

    def slowly(handle: int, path: Path) -> None:
        if not others:
            others.append(path.parent)
            RunFolder(path.parent).remove_empty()  # as another process that comes first would
        take(handle, path)

    monkeypatch.setattr(module, "take_lock", slowly)
    made = RunFolder.make(runs(pets.repository))
    assert made.path not in others and made.model.is_dir() and not others[0].exists()


@pytest.mark.parametrize("text", ["", "{}", "[]", "{", '{"stage": "running", "record": {"dataset": 1}}', "[" * 100_000])
def test_a_note_that_cannot_be_read_is_no_run(pets: Dataset, text: str) -> None:
    folder = left_behind(pets)
    (folder.path / "run.json").write_text(text)
    (runs(pets.repository) / "not an id").mkdir()
    assert list(enter_left(pets.repository)) == []
    found = find_folder(pets.repository, folder.id)
    assert found is not None and found.remove() and not folder.path.exists()


@pytest.mark.parametrize("record", [{"commit": "zz"}, {"commit": "00" * 32}, {"dataset": "gone"}, {"began": "never"}])
def test_a_note_that_says_nonsense_is_told(pets: Dataset, record: dict[str, str]) -> None:
    left_behind(pets, **record)
    (found,) = enter_left(pets.repository)
    assert isinstance(found.error, RefusedError) and pets.runs() == []
