"""dsvc train and dsvc runs, as they are typed: what they print, and their exit codes."""

from __future__ import annotations

import errno
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import dsvc as library

AUTO = r"auto-generated-\d{8}T\d{6}Z-[0-9a-f]{8}"
METRICS = 'echo {\\"acc\\": 0.5, \\"loss\\": 1e-9} > $DSVC_RUN/metrics.json'


@pytest.fixture(autouse=True)
def signed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DSVC_AUTHOR_NAME", "Ada")


def matches(pattern: str, text: str) -> bool:
    """Whether a text is as a pattern says; `{ID}`, `{AUTO}`, `{S}` and `{WHEN}` stand for what differs."""
    parts = {"ID": "[0-9a-f]{8}", "AUTO": AUTO, "S": r"\d+\.\d s", "WHEN": r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4}"}
    parts["MINUTE"] = r"\d{4}-\d\d-\d\d \d\d:\d\d"
    expression = re.escape(pattern)
    for name, part in parts.items():
        expression = expression.replace(re.escape("{" + name + "}"), part)
    assert re.fullmatch(expression, text), text
    return True


def train(dsvc: Callable[..., Any], script: str, *options: str, code: int = 0) -> str:
    """Run a script of the shell; the run's id."""
    out = dsvc("train", *options, "--", "sh", "-c", script, code=code).out
    return str(re.findall(r"^run ([0-9a-f]{8})", out, re.M)[0])


def document(dsvc: Callable[..., Any], *arguments: str, code: int = 0) -> Any:
    return json.loads(dsvc(*arguments, "--json", code=code).out)


def test_the_story(dsvc, project: Path) -> None:
    result = dsvc("train", "-m", "first try", "--", "sh", "-c", f"echo hello; echo w > $DSVC_RUN/model/w; {METRICS}")
    text = r"""made version {AUTO} of pets
laid out 2 inputs, 2 annotations as coco/1
run {ID}: sh -c 'echo hello; echo w > $DSVC_RUN/model/w; echo {\"acc\": 0.5, \"loss\": 1e-9} > $DSVC_RUN/metrics.json'
hello
run {ID} is done, after {S}: acc 0.5, loss 1e-09
kept 3 files, 35 bytes
next: dsvc runs show {ID}
"""
    assert matches(text, result.out) and result.err == ""
    first = document(dsvc, "runs", "list")["runs"][0]["id"]
    row = "{ID}  {MINUTE}  auto  done  acc 0.5, loss 1e-09  {S}  first try\n"
    assert matches(row, dsvc("runs", "list").out)
    text = r"""run {ID} of pets@{AUTO} is done
Ada, {WHEN}, after {S}
    first try
command: sh -c 'echo hello; echo w > $DSVC_RUN/model/w; echo {\"acc\": 0.5, \"loss\": 1e-9} > $DSVC_RUN/metrics.json'
data: 2 inputs, 2 annotations, 2 concepts; laid out as coco
2 metrics:
  acc   0.5
  loss  1e-09
3 files:
  log.txt        6 bytes  dc5a4edb8240
  metrics.json  27 bytes  HASH
  model/w        2 bytes  HASH
"""
    shown = re.sub(r"(?<=bytes  )[0-9a-f]{12}", "HASH", dsvc("runs", "show", first[:4]).out)
    assert matches(text.replace("dc5a4edb8240", "HASH"), shown)
    assert dsvc("runs", "show", first, "--log").out == "hello\n"
    assert [version["name"] for version in document(dsvc, "version", "list")["versions"]] == ["v1"]
    assert dsvc("status").out.endswith("nothing staged\n")


def test_the_list_is_no_wider_than_it_must_be(dsvc, project: Path) -> None:
    made = train(
        dsvc, 'echo "{\\"accuracy\\": 0.8571, \\"loss\\": 0.3333}" > $DSVC_RUN/metrics.json', "-m", "long " * 40
    )
    name = document(dsvc, "runs", "show", made)["version"]
    train(dsvc, "true", f"pets@{name}", "-m", "the same data")
    first, second = dsvc("runs", "list").out.splitlines()
    assert "  auto           done  accuracy 0.8571, loss 0.3333  " in first and first.endswith("...")
    assert len(first) == 100 and f"  auto {made}  done  " in second and second.endswith("  the same data")
    assert f"pets@{name} is done" in dsvc("runs", "show", "last").out


def test_a_run_that_goes_on_is_listed(dsvc, project: Path) -> None:
    out = dsvc("train", "--", sys.executable, "-m", "dsvc.cli.main", "runs", "list").out
    assert re.search(r"^[0-9a-f]{8}  \d{4}-\d\d-\d\d \d\d:\d\d  auto  running$", out, re.M), out


def test_comparing_two_versions(dsvc, project: Path) -> None:
    script = "ls $DSVC_DATA/images > $DSVC_RUN/model/seen; n=$(ls $DSVC_DATA/images | wc -l)"
    script += '; echo "{\\"n\\": $n}" > $DSVC_RUN/metrics.json; echo x > $DSVC_RUN/model/x'
    one = train(dsvc, script, "pets@v1")
    dsvc("rm", "b.jpg")
    two = train(dsvc, script, "pets", "--format", "clarifai-json", code=0)
    three = train(dsvc, f"true; {script}", "pets", "--where", "key = 'a.jpg'")
    same = dsvc("runs", "compare", one, one).out
    text = "run {ID} -> {ID}\ndata: the same\ncommand: the same\n"
    text += "metric  before  after  change\nn            2      2    same\n"
    assert matches(text + "all files the same: 2\n", same)
    found = document(dsvc, "runs", "compare", one, three)
    assert found["data"]["same"] is False and found["data"]["stat"]["inputs"]["removed"] == 1
    assert found["metrics"] == [{"name": "n", "old": 2, "new": 1, "delta": -1}]
    assert [(file["name"], file["verb"]) for file in found["files"]] == [("model/seen", "changed"), ("model/x", "same")]
    assert found["where"] == {"old": None, "new": "key = 'a.jpg'"}
    told = dsvc("runs", "compare", two, three).out
    assert "data: pets@auto-" not in told and "format: clarifai-json -> coco\nwhere: all -> key = 'a.jpg'\n" in told
    assert "command: differs\n  - sh -c " in told
    four = train(dsvc, script, "pets@v1", "--where", "key = 'a.jpg'")
    assert "data: the same but for where\ncommand: the same\nwhere: all -> " in dsvc("runs", "compare", one, four).out
    found = document(dsvc, "runs", "compare", one, four)
    assert found["data"]["same"] is False and not found["data"]["stat"]["inputs"]["removed"]
    assert "data: the same\n" in dsvc("runs", "compare", four, four).out


def test_names_that_are_very_long_are_cut(dsvc, project: Path) -> None:
    script = f'echo {{\\"{"m" * 300}\\": 1}} > $DSVC_RUN/metrics.json; date +%N > $DSVC_RUN/model/{"f" * 255}'
    one = train(dsvc, script, "pets@v1")
    dsvc("annotate", "a.jpg", "--concept", "c" * 1000)
    two = train(dsvc, script, "pets")
    for words in (("runs", "show", two), ("runs", "compare", one, two), ("diff", "--stat")):
        lines = [line for line in dsvc(*words).out.splitlines() if not line.startswith("command: ")]
        assert max(map(len, lines)) <= 100 and any("..." in line for line in lines), words
    assert len(dsvc("runs", "list").out.splitlines()[0]) <= 100
    assert "f" * 255 in dsvc("runs", "show", two, "--json").out


def test_reproducing(dsvc, project: Path) -> None:
    steady = train(dsvc, f"echo w > $DSVC_RUN/model/w; {METRICS}", "pets@v1")
    result = dsvc("runs", "reproduce", steady)
    text = """run {ID} reproduces {ID}: the same
metric  before  after  change
acc        0.5    0.5    same
loss     1e-09  1e-09    same
all files the same: 1
"""
    assert matches(text, "".join(result.out.splitlines(keepends=True)[5:]))
    chance = train(dsvc, "date +%N > $DSVC_RUN/model/w", "pets@v1")
    result = dsvc("runs", "reproduce", chance, code=1)
    assert "not the same\nno metrics\n~ model/w  " in result.out and result.err == ""
    found = document(dsvc, "runs", "reproduce", steady)
    assert found["same"] is True and found["run"]["reproduces"] == steady and found["metrics"][0]["delta"] == 0
    failed = train(dsvc, "exit 3", code=1)
    again = dsvc("runs", "reproduce", failed, code=1)
    assert "error: the command failed with exit code 3\n" in again.err


def test_the_code_is_another_one_now(dsvc, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def git(*arguments: str) -> str:
        settings = ("-c", "user.name=Ada", "-c", "user.email=a@x", "-c", "commit.gpgsign=false")
        return subprocess.run(["git", *settings, *arguments], check=True, capture_output=True, text=True).stdout.strip()

    outside = train(dsvc, "true")
    assert dsvc("runs", "reproduce", outside).err == ""
    git("init", "-q")
    (project / "train.sh").write_text("true\n")
    git("add", "train.sh")
    git("commit", "-qm", "one")
    first = git("rev-parse", "HEAD")
    clean = document(dsvc, "runs", "show", train(dsvc, ". ./train.sh"))
    assert clean["git"] == {"commit": first, "dirty": False}
    (project / "train.sh").write_text("date\n")  # of the same length as before
    dirty = train(dsvc, ". ./train.sh")
    assert document(dsvc, "runs", "show", dirty)["git"] == {"commit": first, "dirty": True}
    git("add", "train.sh")
    assert document(dsvc, "runs", "show", train(dsvc, "true"))["git"]["dirty"] is True
    git("commit", "-qm", "two")
    notes = dsvc("runs", "reproduce", dirty).err
    assert notes == (
        f"note: the code is at Git's commit {git('rev-parse', 'HEAD')[:12]} now; it was at {first[:12]}\n"
        "note: the code had changes then that are in no commit of Git\n"
    )
    now = git("rev-parse", "HEAD")[:12]
    told = f"note: the code is at Git's commit {now} now; Git knew none then\n"
    assert dsvc("runs", "reproduce", outside).err == told
    (project / ".git").rename(project / "git")
    told = f"note: Git knows no commit of the code now; it was at {first[:12]}\n"
    assert dsvc("runs", "reproduce", clean["id"]).err == told
    (project / "git").rename(project / ".git")
    (project / "train.sh").unlink()
    assert document(dsvc, "runs", "show", train(dsvc, "true"))["git"]["dirty"] is True
    assert git("status", "--porcelain").splitlines() == ["D train.sh", "?? images/", "?? pets.json"]


def test_failing_commands(dsvc, project: Path) -> None:
    result = dsvc("train", "--", "sh", "-c", "echo oops >&2; exit 3", code=1)
    assert "oops\nrun " in result.out and " failed with exit code 3, after " in result.out
    assert matches(
        "error: the command failed with exit code 3\nhint: what it printed is kept: dsvc runs show {ID} --log\n",
        result.err,
    )
    killed = dsvc("train", "--", "sh", "-c", "kill -TERM $$", code=1)
    assert killed.err.startswith("error: the command was killed by SIGTERM\n")
    assert [run["status"] for run in document(dsvc, "runs", "list")["runs"]].count("failed") == 1


def test_usage(dsvc, project: Path) -> None:
    before = dsvc("op", "log").out
    for arguments, code, error in (
        (("train",), 2, "there is no command to run\nhint: such as: dsvc train pets -- python train.py"),
        (("train", "pets", "--"), 2, "there is no command to run\nhint: such as: dsvc train pets -- python train.py"),
        (
            ("train", "pets", "python", "x.py"),
            2,
            "the command to run comes after --, not 'python'\nhint: such as: dsvc train pets -- python train.py",
        ),
        (
            ("train", "--", "nope"),
            4,
            "no command 'nope'\nhint: see that it is installed, and in PATH; or give its path",
        ),
        (("train", "cats", "--", "true"), 4, "no dataset, branch, version or commit named 'cats'\nhint: "),
        (("train", "--trainer", "x"), 2, "no trainer named 'x'\nhint: there is: sklearn"),
        (("train", "--format", "x", "--", "true"), 2, "no format named 'x'\nhint: there is: "),
        (("runs", "show", "abcd"), 4, "dataset 'pets' has no run 'abcd'\nhint: see: dsvc runs list"),
        (("runs", "delete", "abcd1234"), 4, "dataset 'pets' has no run 'abcd1234'\nhint: see: dsvc runs list"),
    ):
        result = dsvc(*arguments, code=code)
        assert result.err.startswith(f"error: {error}") and result.out == ""
    assert dsvc("op", "log").out == before
    assert dsvc("runs", "list").out == "no runs yet; next: dsvc train -- COMMAND\n"


def test_json_is_alone_on_stdout(dsvc, project: Path) -> None:
    result = dsvc("train", "v1", "--json", "--", "sh", "-c", "echo loud; echo louder >&2", "x", "--json", "--", "-m")
    found = json.loads(result.out)
    assert result.err == "loud\nlouder\n"
    assert list(found) == [
        "id", "dataset", "version", "commit", "command", "trainer", "folder", "format", "where", "message", "status",
        "exit_code", "signal", "began", "seconds", "git", "environment", "metrics", "reproduces", "notes", "author",
        "time", "files",
    ]  # fmt: skip
    assert found["command"][-3:] == ["--json", "--", "-m"] and found["version"] == "v1"
    assert document(dsvc, "runs", "show", found["id"]) == found
    assert document(dsvc, "runs", "list") == {"dataset": "pets", "runs": [found], "running": []}


def test_from_a_folder_below(dsvc, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    below = project / "my code"
    below.mkdir()
    (below / "go.sh").write_text("#!/bin/sh\npwd\necho $DSVC_RUN\n")
    (below / "go.sh").chmod(0o755)
    monkeypatch.chdir(below)
    out = dsvc("train", "-d", "pets", "v1", "--", "./go.sh").out
    found = document(dsvc, "runs", "list")["runs"][0]
    assert f"\n{below}\n{project}/.dsvc/runs/{found['id']}\n" in out and found["folder"] == "my code"
    monkeypatch.chdir(project)
    assert f"\n{below}\n" in dsvc("runs", "reproduce", found["id"]).out
    assert dsvc("-C", "my code", "train", "--", "./go.sh").code == 0


def test_extracting_and_deleting(dsvc, project: Path) -> None:
    id = train(dsvc, "echo w > $DSVC_RUN/model/w")
    assert dsvc("runs", "extract", id, "-o", "a folder").out == "wrote 2 files, 2 bytes to a folder\n"
    assert (project / "a folder" / "model" / "w").read_text() == "w\n"
    dsvc("runs", "extract", id, "-o", "a folder", code=3)
    assert document(dsvc, "runs", "extract", id, "-o", "out")["files"] == 2
    would = dsvc("runs", "delete", id, "--dry-run").out
    assert re.fullmatch(rf"would delete run {id} of pets, made \S+\nwould delete version {AUTO}\n", would)
    assert dsvc("runs", "show", id).code == 0
    result = dsvc("runs", "delete", id)
    assert matches("deleted run {ID} of pets\ndeleted version {AUTO}\ndsvc undo brings it back\n", result.out)
    assert not (project / ".dsvc" / "runs" / id).exists() and dsvc("runs", "list").out.startswith("no runs")
    dsvc("undo")
    assert dsvc("runs", "show", id).code == 0
    dsvc("undo")
    assert "has no run" in dsvc("runs", "show", id, code=4).err


def test_deleting_a_dataset_tells_of_its_runs(dsvc, project: Path) -> None:
    train(dsvc, "true")
    train(dsvc, "true")
    assert dsvc("delete", "pets", "--dry-run").out.endswith(", 1 version, 2 runs\n")


def test_a_run_of_another_dataset_is_found(dsvc, project: Path) -> None:
    id = train(dsvc, "true")
    dsvc("create", "other")
    assert f"run {id} of pets@" in dsvc("runs", "show", id).out
    assert dsvc("runs", "list").out.startswith("no runs")
    assert id in dsvc("runs", "list", "-d", "pets").out
    dsvc("runs", "delete", id)


def test_read_from_elsewhere(dsvc, project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    id = train(dsvc, "echo w > $DSVC_RUN/model/w")
    monkeypatch.chdir(tmp_path)
    refused = dsvc("-R", project, "train", "--", "true", code=3)
    assert refused.err.startswith("error: dsvc train needs a clone; -R only reads\n")
    for command in ("delete", "reproduce"):
        dsvc("runs", command, id, "-R", project, code=3)
    assert id in dsvc("runs", "list", "-R", project, "-d", "pets").out
    assert f"run {id} of pets@" in dsvc("runs", "show", id, "-R", project).out
    assert dsvc("runs", "show", id, "--log", "-R", project).out == ""
    assert dsvc("runs", "extract", id, "-o", "out", "-R", project).out == "wrote 2 files, 2 bytes to out\n"
    assert "data: the same" in dsvc("runs", "compare", id, id, "-R", project).out


def test_what_a_command_prints_does_not_act_on_the_terminal_later(dsvc, project: Path) -> None:
    (project / "garbage").write_bytes(b"a\x1b[31mred\r50%\r100%\n\xff\tb")
    pets = library.open(project, author=library.Author("Ada")).dataset("pets")
    id = pets.train(["cat", "garbage"], environment=os.environ, folder=project).id
    assert dsvc("runs", "show", id, "--log").out == "a\\x1b[31mred\n50%\n100%\n\\xff\tb"


def test_data_that_stays_and_notes(dsvc, project: Path) -> None:
    out = dsvc(
        "train", "v1", "--keep-data", "--", "sh", "-c", "echo {} > $DSVC_RUN/metrics.json; ln -s / $DSVC_RUN/model/x"
    ).out
    id = document(dsvc, "runs", "list")["runs"][0]["id"]
    lines = [f"its data stays in .dsvc/runs/{id}/data", "note: model/x is a link to a folder; not kept"]
    assert out.splitlines()[-3:] == [*lines, f"next: dsvc runs show {id}"]
    assert (project / ".dsvc" / "runs" / id / "data" / "images" / "a.jpg").is_file()


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk(dsvc, project: Path, monkeypatch: pytest.MonkeyPatch, error: int) -> None:
    def full(_: Path) -> None:
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr("dsvc.formats.container._create", full)
    result = dsvc("train", "v1", "--", "true", code=3)
    assert result.err.endswith("\nhint: free some room there, or take less of it: --where EXPR\n")
    assert document(dsvc, "runs", "list")["runs"][0]["status"] == "failed"


def test_media_that_is_not_here(dsvc, project: Path) -> None:
    (project / ".dsvc" / "packs").rename(project / "gone")
    (project / ".dsvc" / "packs").mkdir()
    assert dsvc("train", "v1", "--", "true", code=None).code != 0


def test_a_run_that_was_left_behind_is_told(dsvc, project: Path) -> None:
    id = train(dsvc, "echo w > $DSVC_RUN/model/w")
    dsvc("undo")
    note = project / ".dsvc" / "runs" / id / "run.json"
    note.write_text(note.read_text().replace('"recorded"', '"running"'))
    result = dsvc("runs", "list")
    assert result.err == f"note: run {id} of pets was left behind; it is kept as killed\n"
    assert "  killed  " in result.out
    assert dsvc("runs", "list").err == ""


def test_the_library_does_the_same(project: Path) -> None:
    pets = library.open(project, author=library.Author("Ada")).dataset("pets")
    entry = pets.train([sys.executable, "-c", "print('hi')"], environment=os.environ, folder=project)
    assert pets.run(entry.id).record["status"] == "done"
