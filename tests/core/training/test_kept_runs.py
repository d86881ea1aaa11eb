"""Runs that are kept: compared, reproduced, extracted, deleted."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from trained import ENVIRONMENT, files, run, runs

from dsvc.core.dataset import Dataset
from dsvc.core.ledger import Entry
from dsvc.core.training import process
from dsvc.core.training.again import plan_again
from dsvc.core.training.comparing import KeptRun, compare_data, compare_files, compare_metrics
from dsvc.core.training.dropping import drop_run
from dsvc.core.training.extracting import extract
from dsvc.core.training.form import run_record
from dsvc.core.training.running import Source, train
from dsvc.errors import RefusedError
from dsvc.model.view import EVALUATION, RUN

pytestmark = pytest.mark.usefixtures("labelled")


def kept(pets: Dataset, entry: Entry) -> KeptRun:
    return KeptRun(pets, entry)


def test_comparing(pets: Dataset) -> None:
    one = run(
        pets, "echo 1 > $DSVC_RUN/model/a; echo 1 > $DSVC_RUN/model/b; echo '{\"x\": 1}' > $DSVC_RUN/metrics.json"
    )
    pets.remove("b.jpg")
    two = run(
        pets, "echo 1 > $DSVC_RUN/model/a; echo 2 > $DSVC_RUN/model/b; echo '{\"y\": 2}' > $DSVC_RUN/metrics.json"
    )
    pair = kept(pets, one), kept(pets, two)
    assert [tuple(found) for found in compare_metrics(*pair)] == [("x", 1, None), ("y", None, 2)]
    assert [(found.name, found.verb) for found in compare_files(*pair)] == [("model/a", "same"), ("model/b", "changed")]
    assert compare_data(*pair).inputs["removed"] == 1
    assert not compare_data(pair[0], pair[0])


def test_reproducing_uses_the_same_data(pets: Dataset) -> None:
    entry = run(pets, "true", where="key = 'a.jpg'", message="m")
    again = plan_again(kept(pets, entry), ENVIRONMENT, Path("/"))
    assert again.source.version == entry.record["version"]
    assert (again.plan.where, again.plan.folder, again.plan.reproduces) == (
        "key = 'a.jpg'",
        pets.repository.root,
        entry.id,
    )
    new = train(again.source, again.plan)
    assert new.of == entry.of and new.record["reproduces"] == entry.id
    assert len(pets.versions(auto=True)) == 1


def test_reproducing_where_the_version_and_the_folder_are_gone(pets: Dataset) -> None:
    folder = pets.repository.root / "code"
    folder.mkdir()
    entry = run(pets, "true", "v1", folder=folder)
    pets.delete_version("v1")
    folder.rmdir()
    again = plan_again(kept(pets, entry), ENVIRONMENT, pets.repository.root)
    assert again.notes == ["the folder code, where it ran, is not here"]
    assert isinstance(again.source, Source) and again.source.version is None
    new = train(again.source, again.plan)
    assert new.of == entry.of and new.record["version"].endswith(new.id)


def test_extracting(pets: Dataset, tmp_path: Path) -> None:
    entry = run(pets, "mkdir $DSVC_RUN/model/a; echo 1 > $DSVC_RUN/model/a/b")
    out = tmp_path / "out"
    assert extract(pets, entry, out) == (2, 2)
    assert (out / "model/a/b").read_text() == "1\n"
    with pytest.raises(RefusedError, match="is there already"):
        extract(pets, entry, out)
    with pytest.raises(RefusedError, match="own folder"):
        extract(pets, entry, pets.repository.root / ".dsvc/x")
    with pytest.raises(RefusedError, match="there is no folder"):
        extract(pets, entry, tmp_path / "no" / "out")
    (tmp_path / "empty").mkdir()
    extract(pets, entry, tmp_path / "empty")
    assert [path.name for path in tmp_path.glob(".dsvc-extract*")] == []


def test_deleting_takes_the_folder_too(pets: Dataset) -> None:
    entry = run(pets, "chmod 500 $DSVC_RUN/model")
    assert drop_run(kept(pets, entry)) == ([entry.record["version"]], True)
    assert pets.runs() == [] and not (runs(pets.repository) / entry.id).exists()
    pets.repository.undo()
    assert pets.runs() == [entry]


def test_a_record_of_another_program_has_every_field() -> None:
    odd = {"metrics": {"a": 1, "b": "x", "c": True}, "command": [1, "x"], "git": {"commit": 5}, "exit_code": True}
    found = run_record({**odd, "seconds": "long", "notes": "none"})
    assert (found["metrics"], found["command"], found["git"], found["exit_code"]) == ({"a": 1}, ["x"], None, None)
    assert (found["seconds"], found["notes"], found["status"]) == (0.0, [], "killed")


def test_run_folders_are_nobodys_business(pets: Dataset, tmp_path: Path) -> None:
    entry = run(pets, "echo 1 > $DSVC_RUN/model/w.jpg", keep_data=True)
    repository = pets.repository
    assert repository.check().damage == ()
    repository.collect(keep=0, grace=0)
    assert files(pets, pets.run(entry.id))["model/w.jpg"] == b"1\n"
    assert (runs(repository) / entry.id / "data").is_dir()
    report = pets.add(repository.root)  # type: ignore[arg-type]
    assert not any(".dsvc" in record.key or "w.jpg" in record.key for record in pets.draft().inputs()), report
    assert list(repository.view.list(EVALUATION)) == [] and len(list(repository.view.list(RUN))) == 1


def test_the_process_of_a_run_is_known_again() -> None:
    own = process.Process(os.getpid(), process.process_mark(os.getpid()))
    assert process.is_running(own)
    assert not process.is_running(own._replace(mark="1")) or own.mark is None
