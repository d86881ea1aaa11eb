"""What a command leaves in its run folder, and commands that misbehave."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from trained import files, run

from dsvc.core.dataset import Dataset
from dsvc.core.ledger import entry_files
from dsvc.core.training import outputs
from dsvc.core.training.folder import RunFolder
from dsvc.core.training.record import enter_left
from dsvc.errors import RefusedError

pytestmark = pytest.mark.usefixtures("labelled")


@pytest.mark.parametrize(
    ("text", "metrics", "notes"),
    [
        ("", {}, ["cannot be read"]),
        ("[1]", {}, ["holds no object of names and numbers"]),
        ('{"a": NaN, "b": Infinity, "c": 1e999, "d": 1}', {"d": 1}, ["a is NaN", "b is NaN or infinite", "c is NaN"]),
        (
            '{"a": true, "b": null, "c": "1", "d": [1]}',
            {},
            ["a is true or false", "b is null", "c is a text", "d is a"],
        ),
        ('{"a": {"b": 1}, "a.b": 2}', {"a.b": 1}, ["a.b is there a second time"]),
        (
            '{"a": 1, "a": 2, "b": {"c": 3, "c": 4}}',
            {"a": 1, "b.c": 3},
            ["a is there a second time", "b.c is there a second time"],
        ),
        ('{"a": {"b": 1}, "a": {"b": 2, "c": 3}}', {"a.b": 1, "a.c": 3}, ["a.b is there a second time"]),
        ('{"": 1, "a": {"": 2}}', {"a.": 2}, ["metrics.json: a value without a name; left out"]),
        ('{"": "x"}', {}, ["a value without a name"]),
        ('{"a": ' + "9" * 400 + "}", {}, ["a is too large"]),
        ('{"\\ud800": 1, "é": 2}', {"é": 2}, ["is a name that is not Unicode"]),
        ('{"a":' * 30 + "1" + "}" * 30, {}, ["nested too deeply"]),
        ("[" * 100_000, {}, ["nested too deeply"]),
        (b"\xff\xfe", {}, ["cannot be read"]),
        ("﻿{}", {}, []),
        (json.dumps(dict.fromkeys(map(str, range(1002)), 1)), None, ["one too many", "one too many"]),
        (json.dumps({str(n): "" for n in range(50)}), {}, ["is a text"] * 20 + ["and 30 more"]),
        (b"{" + b" " * (1 << 20) + b"}", {}, ["more than 1,048,576 bytes"]),
    ],
)
def test_metrics_that_are_wrong_are_told(
    tmp_path: Path, text: str | bytes, metrics: dict[str, Any] | None, notes: list[str]
) -> None:
    folder = RunFolder.make(tmp_path / "runs")
    (folder.path / "metrics.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    found = outputs.gather(folder)
    folder.release()
    assert "metrics.json" in found.files
    assert found.metrics == metrics or (metrics is None and len(found.metrics) == outputs.METRICS)
    assert len(found.notes) == len(notes)
    assert all(part in note for part, note in zip(notes, found.notes, strict=True)), found.notes


def test_links_pipes_and_bad_names_are_left_out_and_told(tmp_path: Path) -> None:
    folder = RunFolder.make(tmp_path / "runs")
    folder.release()
    model = folder.model
    (tmp_path / "secret").write_text("s")
    (model / "last.pt").write_text("w")
    (model / "best.pt").symlink_to("last.pt")
    (model / "out").symlink_to(tmp_path / "secret")
    (model / "all").symlink_to(tmp_path)
    (model / "gone").symlink_to("nowhere")
    os.mkfifo(model / "pipe")
    with open(os.fsencode(model) + b"/\xff", "w"):
        pass
    (folder.path / "predictions.json").symlink_to(tmp_path / "secret")
    (folder.path / "metrics.json").mkdir()
    found = outputs.gather(folder)
    assert set(found.files) == {"model/last.pt", "model/best.pt"} and found.metrics == {}
    assert sorted(found.notes) == [
        "'model/\\udcff' is not Unicode: it holds bytes that are not UTF-8, or half of a surrogate pair; not kept",
        "metrics.json is no regular file; not kept",
        "model/all is a link to a folder; not kept",
        "model/gone: No such file or directory; not kept",
        "model/out is a link that leads out of the run folder; not kept",
        "model/pipe is no regular file; not kept",
        "predictions.json is a link that leads out of the run folder; not kept",
    ]


def test_a_model_that_is_no_folder(pets: Dataset) -> None:
    for script in ("rm -r $DSVC_RUN/model; echo w > $DSVC_RUN/model", "rm -r $DSVC_RUN/model; ln -s / $DSVC_RUN/model"):
        entry = run(pets, script)
        assert entry.record["notes"] == ["model is no folder: nothing of it is kept"]


def test_many_files(pets: Dataset) -> None:
    entry = run(pets, "cd $DSVC_RUN/model; for n in $(seq 2000); do echo $n > $n; done")
    assert len(list(entry_files(pets, entry))) == 2001
    assert files(pets, entry)["model/1234"] == b"1234\n"


def test_a_large_model_is_kept_in_chunks(pets: Dataset) -> None:
    entry = run(pets, "head -c 20000000 /dev/urandom > $DSVC_RUN/model/w; cp $DSVC_RUN/model/w $DSVC_RUN/model/again")
    medias = [file.media for file in entry_files(pets, entry) if file.key.startswith("model/")]
    assert [media.size for media in medias if media] == [20_000_000] * 2
    assert medias[0] == medias[1] and medias[0].chunks is not None  # type: ignore[union-attr]


# ---- hostile commands


def test_a_command_that_removes_its_run_folder(pets: Dataset) -> None:
    entry = run(pets, "echo still here; sleep 0.3; rm -rf $DSVC_RUN")
    assert files(pets, entry) == {"log.txt": b"still here\n"}
    assert entry.record["notes"] == ["the command took its run folder away, with all that it had left there"]
    assert entry.record["status"] == "done"
    entry = run(pets, "sleep 0.3; rm -rf .dsvc/runs; touch .dsvc/runs")
    assert entry.record["status"] == "done" and list(enter_left(pets.repository)) == []


def test_a_command_that_works_on_the_dataset(pets: Dataset) -> None:
    script = f"""{sys.executable} -c "
import dsvc
from dsvc.model.commit import Author
pets = dsvc.open('.', author=Author('Bo')).dataset('pets')
pets.annotate('a.jpg', 'bird')
pets.commit('meanwhile')
pets.repository.rename('pets', 'animals')
" """
    environment = {**os.environ}
    entry = pets.train(["sh", "-c", script], environment=environment, folder=pets.repository.root)
    assert entry.record["status"] == "done", files(pets, entry)
    assert entry.record["dataset"] == "animals"
    animals = pets.repository.dataset("animals")
    assert animals.runs() == [entry] and len(list(animals.log())) == 2


def test_a_dataset_that_is_gone_at_the_end(pets: Dataset) -> None:
    script = f"{sys.executable} -c \"import dsvc; dsvc.open('.').delete('pets')\""
    with pytest.raises(RefusedError, match="is done, but cannot be kept: dataset 'pets'") as found:
        pets.train(["sh", "-c", script], environment={**os.environ}, folder=pets.repository.root)
    assert "dsvc runs list" in (found.value.hint or "")
    (left,) = enter_left(pets.repository)
    assert left.error is not None
    pets.repository.undo()
    (left,) = enter_left(pets.repository)
    assert (left.status, left.error) == ("done", None)
    assert [entry.id for entry in pets.runs()] == [left.id]


def test_a_version_that_was_undone_meanwhile_is_there_again(pets: Dataset) -> None:
    script = f"{sys.executable} -c \"import dsvc; dsvc.open('.').undo()\""
    entry = pets.train(["sh", "-c", script], environment={**os.environ}, folder=pets.repository.root)
    assert [v.name for v in pets.versions(auto=True)] == [entry.record["version"]]
