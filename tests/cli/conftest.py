"""A command to run in this process, and a small project to run it in."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from pictures import picture

from dsvc.cli.main import run

__all__ = ["picture"]

SIGNED = ("--author", "Ada <ada@example.org>", "--date", "2024-05-01T12:00:00+00:00")


class Result(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Result]


@pytest.fixture(autouse=True)
def clean_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings of the person who runs the tests; the current folder comes back at the end."""
    for name in ("DSVC_DATASET", "DSVC_AUTHOR_NAME", "DSVC_AUTHOR_EMAIL", "DSVC_DEBUG", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "home" / "gitconfig"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def dsvc(capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """Run a command line; `code` is what it must exit with (None: any)."""

    def call(*arguments: object, code: int | None = 0) -> Result:
        capsys.readouterr()
        exit_code = run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        result = Result(int(exit_code), captured.out, captured.err)
        if code is not None:
            assert result.code == code, result
        assert "Traceback" not in result.err
        if result.code not in (0, 1, 130):
            check_error(result)
        return result

    yield call


def check_error(result: Result) -> None:
    """One `error:` (after a prompt perhaps), and at most one `hint:` line, last."""
    lines = result.err.splitlines()
    assert result.err.startswith("Usage: ") or sum("error: " in line for line in lines) == 1, result.err
    assert [n for n, line in enumerate(lines) if line.startswith("hint: ")] in ([], [len(lines) - 1])


@pytest.fixture
def files(tmp_path: Path, coco: Callable[..., dict[str, Any]], write: Callable[..., Path]) -> Path:
    """A project folder with `pets.json` and the two pictures that it names, and no repository."""
    write(coco(), "project/pets.json")
    for number, name in enumerate(("a.jpg", "b.jpg")):
        path = tmp_path / "project" / "images" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(picture(color=number))
    return tmp_path / "project"


@pytest.fixture(scope="session")
def made() -> dict[str, Path]:
    """The project once it is made: it is made once, and copied for every test."""
    return {}


@pytest.fixture
def project(
    made: dict[str, Path],
    files: Path,
    dsvc: Run,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """The folder as a repository: dataset pets, imported and committed as version v1. It is the current folder."""
    monkeypatch.chdir(files)
    if not made:
        dsvc("init")
        dsvc("create", "pets", "-m", "Cats and dogs")
        dsvc("import", "pets.json", "--images", "images")
        dsvc("commit", "-m", "First batch", *SIGNED)
        dsvc("version", "create", "v1", "-m", "As it came", *SIGNED)
        made["project"] = tmp_path_factory.mktemp("made") / ".dsvc"
        shutil.copytree(files / ".dsvc", made["project"])
    elif not (files / ".dsvc").exists():
        shutil.copytree(made["project"], files / ".dsvc")
    return files
