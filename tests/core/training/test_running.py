"""Training runs by the library: what is checked, what the command gets, how it ends."""

from __future__ import annotations

import json
import os
import signal
import threading
from typing import Any

import pytest
from trained import ENVIRONMENT, files, run, runs

from dsvc.core.dataset import Dataset
from dsvc.core.ledger import Entry
from dsvc.core.training import process
from dsvc.core.training.record import enter_left
from dsvc.core.training.running import Plan, Watch, find_source, train
from dsvc.errors import DsvcError, FilterError, NotFoundError, RefusedError, UsageError

pytestmark = pytest.mark.usefixtures("labelled")


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


def test_a_command_is_a_list_of_words(pets: Dataset) -> None:
    with pytest.raises(UsageError, match="a command is a list of words, not one text"):
        pets.train("python train.py", environment=ENVIRONMENT)
    assert pets.runs() == [] and pets.versions(auto=True) == []


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
    monkeypatch.setattr(process, "LOG_BYTES", 100)
    entry = run(pets, "for n in 1 2 3 4 5 6 7 8 9; do echo line $n, which is rather long; done")
    log = files(pets, entry)["log.txt"]
    lines = b"".join(b"line %d, which is rather long\n" % n for n in (7, 8, 9))
    assert log == process.LEFT_OUT + lines
    assert (runs(pets.repository) / entry.id / "log.txt").read_bytes() == log


def test_a_short_log_stays_as_it_is_and_of_a_long_one_left_behind_the_end(
    pets: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = run(pets, "echo short; touch -d 2001-01-01 $DSVC_RUN/log.txt")
    assert (runs(pets.repository) / entry.id / "log.txt").stat().st_mtime < 1_000_000_000
    folder = runs(pets.repository) / entry.id
    pets.repository.undo()
    (folder / "log.txt").write_bytes(b"a line\n" * 50)
    (folder / "run.json").write_text((folder / "run.json").read_text().replace('"recorded"', '"running"'))
    monkeypatch.setattr(process, "LOG_BYTES", 100)
    assert [left.id for left in enter_left(pets.repository)] == [entry.id]
    assert (folder / "log.txt").read_bytes() == process.LEFT_OUT + b"a line\n" * 14


def test_a_command_that_never_stops_printing_does_not_fill_the_disk(
    pets: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "LOG_BYTES", 1000)
    monkeypatch.setattr(process, "LOG_LIMIT", 200_000)
    entry = run(pets, "yes | head -c 1000000; echo the end")
    whole = runs(pets.repository) / entry.id / "log.txt"
    log = files(pets, entry)["log.txt"]
    assert whole.read_bytes() == log
    growing = process.Log(whole.with_name("growing"), None)
    for _ in range(50):
        growing.write(b"y\n" * 10_000)
    growing.file.close()
    assert whole.with_name("growing").stat().st_size < 220_000
    assert log.startswith(process.LEFT_OUT + b"y\ny\n") and log.endswith(b"y\nthe end\n") and len(log) < 1100


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


class Stopping(Watch):
    """Stops dsvc once the data is laid out."""

    def __init__(self, stop: BaseException) -> None:
        self.stop = stop
        self.ended: Entry | None = None

    def begins(self, *_: object) -> None:
        raise self.stop

    def kept(self, entry: Entry) -> None:
        self.ended = entry


@pytest.mark.parametrize(
    ("stop", "name"), [(KeyboardInterrupt(), "SIGINT"), (process.Stopped(signal.SIGTERM), "SIGTERM")], ids=repr
)
def test_dsvc_is_stopped_before_the_command_begins(pets: Dataset, stop: KeyboardInterrupt, name: str) -> None:
    watch = Stopping(stop)
    with pytest.raises(type(stop)):
        train(find_source(pets, "v1"), Plan(("true",), ENVIRONMENT, pets.repository.root), watch)
    (entry,) = pets.runs()
    assert watch.ended == entry
    assert (entry.record["status"], entry.record["signal"], entry.record["exit_code"]) == ("killed", name, None)
    assert files(pets, entry) == {} and not (runs(pets.repository) / entry.id / "data").exists()


def test_data_that_cannot_be_laid_out(pets: Dataset) -> None:
    watch = Stopping(RefusedError("no room", "make some"))
    with pytest.raises(RefusedError, match="no room"):
        train(find_source(pets, "HEAD"), Plan(("true",), ENVIRONMENT, pets.repository.root), watch)
    (entry,) = pets.runs()
    assert (entry.record["status"], entry.record["notes"]) == ("failed", ["no room"])
