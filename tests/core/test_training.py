"""Training runs by the library: what is checked, what the command gets, what is kept of it."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pictures import picture

from dsvc.core.dataset import Dataset
from dsvc.core.ledger import Entry, entry_files, read_file
from dsvc.core.repository import Repository
from dsvc.core.training import outputs, process
from dsvc.core.training.again import plan_again
from dsvc.core.training.comparing import KeptRun, compare_data, compare_files, compare_metrics
from dsvc.core.training.dropping import drop_run, find_folder
from dsvc.core.training.extracting import extract
from dsvc.core.training.folder import Note, RunFolder
from dsvc.core.training.form import run_record
from dsvc.core.training.record import enter_left, going_on
from dsvc.core.training.running import Plan, Source, find_source, train
from dsvc.errors import DsvcError, FilterError, NotFoundError, RefusedError, UsageError
from dsvc.model.commit import Author
from dsvc.model.view import EVALUATION, RUN

ENVIRONMENT = {"PATH": os.environ["PATH"]}


@pytest.fixture(autouse=True)
def labelled(pets: Dataset, tmp_path: Path, write: Callable[..., Path], coco: Callable[..., dict[str, Any]]) -> None:
    """Two pictures with an annotation each, committed, and version v1."""
    for number, name in enumerate(("a.jpg", "b.jpg")):
        write(picture(color=number), f"images/{name}")
    with pets.edit() as draft:
        draft.import_(write(coco()), images=tmp_path / "images")
    pets.commit("first")
    pets.create_version("v1")


def run(pets: Dataset, script: str, version: str | None = None, **options: Any) -> Entry:
    folder = options.pop("folder", pets.repository.root)
    return pets.train(["sh", "-c", script], version, environment=ENVIRONMENT, folder=folder, **options)


def files(pets: Dataset, entry: Entry) -> dict[str, bytes]:
    return {file.key: b"".join(read_file(pets, entry, file.key)) for file in entry_files(pets, entry)}


def runs(repo: Repository) -> Path:
    return repo.root / ".dsvc" / "runs"  # type: ignore[operator]


# ---- the run


def test_a_run_keeps_what_the_command_leaves(pets: Dataset) -> None:
    script = """
    echo out; echo err >&2; printf '%s' weights > $DSVC_RUN/model/w.bin; mkdir $DSVC_RUN/model/deep
    echo x > "$DSVC_RUN/model/deep/a b.txt"; echo '{"acc": 0.5, "a": {"b": 3}}' > $DSVC_RUN/metrics.json
    echo '[]' > $DSVC_RUN/predictions.json; echo scratch > $DSVC_RUN/other"""
    entry = run(pets, script, message="try")
    record = entry.record
    assert files(pets, entry) == {
        "log.txt": b"out\nerr\n",
        "metrics.json": b'{"acc": 0.5, "a": {"b": 3}}\n',
        "model/deep/a b.txt": b"x\n",
        "model/w.bin": b"weights",
        "predictions.json": b"[]\n",
    }
    assert record["metrics"] == {"acc": 0.5, "a.b": 3}
    assert (record["status"], record["exit_code"], record["signal"], record["notes"]) == ("done", 0, None, [])
    assert record["version"].endswith(f"-{entry.id}") and record["version"].startswith("auto-generated-")
    assert record["command"] == ["sh", "-c", script] and record["message"] == "try"
    state = pets.at(f"@{record['version']}")
    assert entry.of == (state.commit,) and record["commit"] == state.commit.hex() and state.commit == pets.head
    assert pets.runs() == [entry] and pets.repository.check().damage == ()


def test_the_command_finds_the_data_where_it_is_told(pets: Dataset) -> None:
    entry = run(pets, "echo $DSVC_VERSION; cd $DSVC_DATA; find . -type f | sort; cat annotations/*.json", "v1")
    first, *lines = files(pets, entry)["log.txt"].decode().splitlines()
    start = next(at for at, line in enumerate(lines) if line.startswith("{"))
    listed, document = lines[:start], "".join(lines[start:])
    assert first == "pets@v1"
    assert {"./images/a.jpg", "./images/b.jpg", "./annotations/instances.json"} <= set(listed)
    assert [image["file_name"] for image in json.loads(document)["images"]] == ["a.jpg", "b.jpg"]
    assert not (runs(pets.repository) / entry.id / "data").exists()
    assert pets.versions(auto=True) == [] and entry.record["version"] == "v1"


def test_format_filter_and_data_that_stays(pets: Dataset) -> None:
    entry = run(pets, "true", where="key = 'a.jpg'", format="clarifai-json", keep_data=True)
    data = runs(pets.repository) / entry.id / "data"
    assert any(data.rglob("*")) and not (data / "images" / "b.jpg").exists()
    assert (entry.record["format"], entry.record["where"]) == ("clarifai-json", "key = 'a.jpg'")


def test_what_is_staged_is_part_of_the_data(pets: Dataset) -> None:
    head = pets.head
    pets.remove("b.jpg")
    entry = run(pets, "true")
    assert len(pets.at(f"@{entry.record['version']}")) == 1
    assert pets.head == head and pets.has_draft()


def test_a_commit_gets_a_version_of_its_own(pets: Dataset) -> None:
    first = pets.head
    pets.annotate("a.jpg", "cat")
    pets.commit("second")
    source = find_source(pets, f"@{first.hex()}")
    entry = train(source, Plan(("true",), ENVIRONMENT, pets.repository.root))
    assert entry.of == (first,) and [v.version.commit for v in pets.versions(auto=True)] == [first]


def test_another_dataset_and_branch(pets: Dataset) -> None:
    pets.create_branch("side")
    pets.repository.create("other")
    here = pets.repository.dataset()
    assert here.name == "other"
    assert find_source(here, "pets:side").dataset.branch == "side"
    assert find_source(here, "pets").dataset.name == "pets"
    with pytest.raises(RefusedError, match="dataset 'other' holds nothing yet"):
        run(here, "true")
    assert not any(runs(pets.repository).iterdir())


@pytest.mark.parametrize(
    ("command", "options", "error", "message"),
    [
        (["nope"], {}, NotFoundError, "no command 'nope'"),
        ([], {}, UsageError, "there is no command"),
        (["a\0b"], {}, UsageError, "NUL"),
        (["images"], {}, NotFoundError, "no command|is a folder"),
        (["true"], {"format": "tfrecord"}, UsageError, "no format named 'tfrecord'"),
        (["true"], {"where": "nonsense ="}, FilterError, None),
        (["true"], {"where": "key = 'zzz'"}, RefusedError, "no input matches"),
        (["true"], {"version": "v9"}, NotFoundError, "v9"),
        (["true"], {"folder": "/nowhere at all"}, NotFoundError, "no folder /nowhere at all"),
    ],
    ids=str,
)
def test_what_is_wrong_is_refused_before_anything_is_made(
    pets: Dataset, command: list[str], options: dict[str, Any], error: type[DsvcError], message: str | None
) -> None:
    before = pets.repository.operation
    options = {"folder": pets.repository.root, **options}
    with pytest.raises(error, match=message):
        pets.train(command, environment=ENVIRONMENT, **options)
    assert pets.repository.operation == before
    assert not runs(pets.repository).exists() or not any(runs(pets.repository).iterdir())


def test_open_conflicts_are_refused(pets: Dataset) -> None:
    annotation = next(iter(pets.draft().annotations("a.jpg")))
    pets.create_branch("side")
    for branch, concept in (("main", "one"), ("side", "two")):
        dataset = pets.repository.dataset("pets", branch)
        with dataset.edit(message=concept) as draft:
            draft.change_annotation("a.jpg", annotation.id, {"concept": concept})
    pets.repository.dataset("pets", "main").merge("side")
    with pytest.raises(RefusedError, match="open conflicts"):
        run(pets, "true")
    assert pets.versions(auto=True) == []


def test_a_file_that_is_no_command_is_told(pets: Dataset) -> None:
    root = pets.repository.root
    (root / "train.py").write_text("print()")
    (root / "broken").write_text("no shebang, no program")
    (root / "broken").chmod(0o755)
    with pytest.raises(NotFoundError) as found:
        pets.train(["./train.py"], environment=ENVIRONMENT, folder=root)
    assert found.value.hint == "did you mean: python ./train.py"
    with pytest.raises(RefusedError, match=r"\./broken cannot be started: Exec format error"):
        pets.train(["./broken"], environment=ENVIRONMENT, folder=root)
    (entry,) = pets.runs()
    assert (entry.record["status"], entry.record["exit_code"]) == ("failed", None)


def test_a_failed_and_a_killed_command_are_kept(pets: Dataset) -> None:
    failed = run(pets, "echo oops; exit 3")
    assert (failed.record["status"], failed.record["exit_code"], failed.record["signal"]) == ("failed", 3, None)
    killed = run(pets, "kill -9 $$")
    assert (killed.record["status"], killed.record["exit_code"], killed.record["signal"]) == ("killed", None, "SIGKILL")
    assert {entry.id for entry in pets.runs()} == {failed.id, killed.id}


def test_a_run_and_its_version_are_two_operations_and_do_not_come_back(pets: Dataset) -> None:
    entry = run(pets, "true")
    repository = pets.repository
    assert repository.operation.command == f"train: run {entry.id}"
    repository.undo()
    assert list(enter_left(repository)) == [] and pets.runs() == []
    assert len(pets.versions(auto=True)) == 1
    repository.undo()
    assert pets.versions(auto=True) == []
    repository.redo()
    repository.redo()
    assert pets.runs() == [entry]


def test_the_log_is_shown_as_it_comes(pets: Dataset) -> None:
    pieces: list[bytes] = []
    garbage = bytes(range(256)) * 100
    (pets.repository.root / "garbage").write_bytes(garbage)
    entry = run(pets, "cat garbage; cat garbage >&2", show=pieces.append)
    assert b"".join(pieces) == garbage * 2 == files(pets, entry)["log.txt"]

    def broken(data: bytes) -> None:
        raise BrokenPipeError

    assert files(pets, run(pets, "cat garbage", show=broken))["log.txt"] == garbage


def test_of_a_long_log_the_end_is_kept(pets: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outputs, "LOG_BYTES", 100)
    entry = run(pets, "for n in 1 2 3 4 5 6 7 8 9; do echo line $n, which is rather long; done")
    log = files(pets, entry)["log.txt"]
    lines = b"".join(b"line %d, which is rather long\n" % n for n in (7, 8, 9))
    assert log == b"... (174 bytes before this are left out)\n" + lines
    whole = (runs(pets.repository) / entry.id / "log.txt").read_bytes()
    assert whole.count(b"\n") == 9


def test_what_goes_on_in_the_background_is_not_waited_for(pets: Dataset) -> None:
    entry = run(pets, "sleep 30 & echo $!; exit 0")
    os.kill(int(files(pets, entry)["log.txt"]), signal.SIGKILL)
    assert entry.record["seconds"] < 20


def test_runs_in_a_thread_and_many_at_once(pets: Dataset) -> None:
    threads = [threading.Thread(target=run, args=(pets, f"echo {n} > $DSVC_RUN/model/n")) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(files(pets, entry)["model/n"] for entry in pets.runs()) == [b"0\n", b"1\n", b"2\n"]
    assert len(pets.versions(auto=True)) == 3


# ---- what a command leaves


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
        ('{"a": {"b": 1}, "a.b": 2}', {"a.b": 1}, ["a.b is there twice"]),
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


# ---- broken off


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


# ---- comparing, reproducing, extracting, deleting


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
