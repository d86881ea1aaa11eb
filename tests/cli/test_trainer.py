"""The ready trainer as a program: its options, what it prints, and how it fails."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cli.conftest import Run
from pictures import picture

from dsvc.cli.trainers.sklearn import run


@pytest.fixture
def shades(tmp_path: Path, dsvc: Run, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A dataset of dark and light pictures, committed; the current folder. None has a split."""
    monkeypatch.setenv("DSVC_AUTHOR_NAME", "Ada")
    for number in range(60):
        file = tmp_path / ("dark", "light")[number // 30] / f"{number:02}.png"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(picture(6, 6, number * 4))
    dsvc("init")
    dsvc("create", "shades")
    dsvc("import", ".", "--format", "folder")
    dsvc("commit", "-m", "All")
    return tmp_path


@pytest.fixture
def data(shades: Path, dsvc: Run, monkeypatch: pytest.MonkeyPatch) -> Path:
    """That dataset laid out as a run has it."""
    dsvc("export", "HEAD", "--format", "coco", "--media", "-o", "data")
    (shades / "run").mkdir()
    monkeypatch.setenv("DSVC_DATA", str(shades / "data"))
    monkeypatch.setenv("DSVC_RUN", str(shades / "run"))
    return shades


def test_it_says_what_it_does(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--holdout", "30", "--seed", "3", "--size", "4", "--model", "logistic"]) == 0
    lines = capsys.readouterr().out.splitlines()
    metrics = json.loads((data / "run/metrics.json").read_text())
    assert lines == [
        f"{metrics['n_train']} to learn from, {metrics['n_test']} held out: 30 % by a hash of the keys, seed 3, "
        "since no picture has a split",
        "logistic on 4 x 4 grey pixels",
        f"of what was held out: accuracy {metrics['accuracy']:.1%}, f1 {metrics['f1']:.1%}",
    ]
    assert metrics["n_train"] + metrics["n_test"] == 60
    assert json.loads((data / "run/model/labels.json").read_text())["model"] == "logistic"


@pytest.mark.parametrize(
    ("arguments", "code", "message", "hint"),
    [
        (
            ["--model", "forest"],
            2,
            "'forest' is not one of 'svm', 'logistic'",
            "dsvc train --trainer sklearn -- --help",
        ),
        (["--size", "1"], 2, "1 is not in the range 2<=x<=256", "--help"),
        (["--seed", "x"], 2, "'x' is not a valid integer", "--help"),
        (["extra"], 2, "unexpected extra argument (extra)", "--help"),
        (["--holdout", "dev"], 2, "no picture has the split 'dev': none has a split", "--holdout SPLIT, or PERCENT"),
    ],
)
def test_arguments_that_it_does_not_take(
    arguments: list[str], code: int, message: str, hint: str, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == code
    error, *rest = capsys.readouterr().err.splitlines()
    assert error.startswith("error: ") and message in error
    assert len(rest) == 1 and rest[0].startswith("hint: ") and hint in rest[0]
    assert not any((data / "run").iterdir())


def test_pictures_that_cannot_be_read(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (data / "data/images/dark/03.png").write_bytes(picture(6, 6)[:50])
    assert run([]) == 3
    assert capsys.readouterr().err.splitlines() == [
        "error: 1 picture cannot be read",
        "  dark/03.png: cannot be decoded: image file is truncated",
        "hint: mend them, or leave them out: --on-error skip",
    ]
    assert run(["--on-error", "skip"]) == 0
    assert "  dark/03.png: cannot be decoded" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["DSVC_DATA", "DSVC_RUN"])
def test_it_is_run_by_dsvc_train(
    name: str, data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hint = "hint: this is what runs in: dsvc train DATASET --trainer sklearn\n"
    monkeypatch.setenv(name, "gone")
    assert run([]) == 2
    assert capsys.readouterr().err == f"error: {name} is 'gone', which is no folder\n{hint}"
    monkeypatch.delenv(name)
    assert run([]) == 2
    assert capsys.readouterr().err == f"error: {name} is not set\n{hint}"


# ---- as dsvc train runs it


def test_what_it_does_not_take_makes_no_version(shades: Path, dsvc: Run) -> None:
    result = dsvc("train", "shades", "--trainer", "sklearn", "--", "--holdou", "3", code=2)
    assert result.err.startswith("error: no such option") and "--trainer sklearn -- --help" in result.err
    assert "--on-error [stop|skip]" in dsvc("train", "--trainer", "sklearn", "--", "--help").out
    assert dsvc("runs", "list").out.startswith("no runs yet")
    assert json.loads(dsvc("version", "list", "--json").out)["versions"] == []


@pytest.mark.parametrize(("module", "name"), [("sklearn", "scikit-learn"), ("PIL", "Pillow")])
def test_a_library_that_is_not_installed_makes_no_version(
    module: str, name: str, shades: Path, dsvc: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    find: Callable[..., Any] = importlib.util.find_spec
    monkeypatch.setattr(
        "dsvc.core.training.trainers.find_spec", lambda wanted: None if wanted == module else find(wanted)
    )
    result = dsvc("train", "shades", "--trainer", "sklearn", code=3)
    assert result.err == f"error: the trainer sklearn needs {name}\nhint: pip install 'dsvc[sklearn]'\n"
    assert dsvc("runs", "list").out.startswith("no runs yet")


def test_files_beside_the_project_are_no_part_of_it(shades: Path, dsvc: Run) -> None:
    (shades / "random.py").write_text("raise RuntimeError('not this one')\n")
    dsvc("train", "shades", "--trainer", "sklearn", "--", "--holdout", "40")
    record = json.loads(dsvc("runs", "show", "last", "--json").out)
    assert (record["status"], record["trainer"], record["command"][-2:]) == ("done", "sklearn", ["--holdout", "40"])
    assert record["metrics"]["accuracy"] > 0.8
    assert [file["name"] for file in record["files"]] == [
        "log.txt",
        "metrics.json",
        "model/labels.json",
        "model/model.joblib",
        "predictions.json",
    ]


def test_the_newest_run_is_one_of_the_dataset(shades: Path, dsvc: Run) -> None:
    dsvc("create", "other")
    dsvc("train", "shades", "--", "true")
    assert json.loads(dsvc("runs", "show", "last", "-d", "shades", "--json").out)["status"] == "done"
    assert dsvc("runs", "show", "last", code=4).err.startswith("error: dataset 'other' has no runs\n")
