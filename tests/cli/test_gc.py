"""Collecting as it is typed: what it says, what it asks, what is refused."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from dsvc.store.local import LocalBackend

from .conftest import SIGNED, Result

Run = Callable[..., Result]
ALL = ("gc", "--keep", "now", "--grace", "now")


def told(text: str) -> str:
    """A text with counts and sizes as they come."""
    return re.sub(r"\d[\d,.]*( bytes| kB)?\b", "N", text)


@pytest.fixture
def deleted(project: Path, dsvc: Run) -> Path:
    """The project, whose only dataset was deleted just now."""
    dsvc("delete", "pets", "--yes")
    return project


def old(folder: Path, days: int) -> None:
    """Let every file of a repository have been written some days ago."""
    then = time.time() - days * 86400
    for path in folder.rglob("*"):
        if path.is_file():
            os.utime(path, (then, then))


def test_a_look_says_what_would_go_and_changes_nothing(deleted: Path, dsvc: Run) -> None:
    before = {path: path.read_bytes() for path in (deleted / ".dsvc").rglob("*") if path.is_file()}
    assert dsvc("gc", "--dry-run").out == "nothing to free\n"
    out = dsvc(*ALL, "--dry-run").out
    assert told(out) == (
        "would free N objects that nothing reaches: N\nwould free N operations older than is kept: N\n"
    )
    assert {path: path.read_bytes() for path in (deleted / ".dsvc").rglob("*") if path.is_file()} == before


def test_who_keeps_less_than_usual_is_asked(deleted: Path, dsvc: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = dsvc(*ALL, code=3)
    assert refused.err == (
        "error: what is gone cannot be undone; nothing was changed\n"
        "hint: see what would go: --dry-run; and agree: --yes\n"
    )
    monkeypatch.setattr("dsvc.cli.gc.is_watched", lambda: True)
    monkeypatch.setattr(click, "confirm", lambda *_, **__: False)
    assert dsvc(*ALL, code=3).err == "error: nothing was changed\nhint: see what would go: dsvc gc --dry-run\n"
    dsvc("undo")
    dsvc("redo")
    asked: list[str] = []
    monkeypatch.setattr(click, "confirm", lambda text, **_: asked.append(text) or True)
    assert told(dsvc(*ALL).out).endswith("removed N files, N; wrote N in their place\n")
    assert asked == ["what is gone cannot be undone; go on?"]


def test_what_is_gone_cannot_be_undone_and_that_is_said(deleted: Path, dsvc: Run) -> None:
    dsvc(*ALL, "--yes")
    refused = dsvc("undo", code=3)
    assert refused.err == (
        "error: 'delete pets' cannot be undone: what was before it was collected by dsvc gc\n"
        "hint: dsvc gc keeps what operations of the last 30 days need, unless --keep says less\n"
    )
    assert dsvc("op", "log").out.splitlines()[1:] == ["older operations were collected by dsvc gc"]
    assert json.loads(dsvc("op", "log", "--json").out)["collected"] is True
    assert dsvc("op", "restore", "0123456789", code=4).err.startswith("error: no operation '0123456789'\n")
    assert dsvc("check").out.endswith("all whole\n")
    assert dsvc(*ALL, "--yes").out == "nothing to free\n"


def test_redo_of_an_undo_whose_operation_was_collected(
    project: Path, dsvc: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    dsvc("create", "birds")
    made = json.loads(dsvc("op", "log", "-n", "1", "--json").out)["operations"][0]["id"]
    dsvc("create", "fish")
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + 40 * 86400)
    monkeypatch.setattr(LocalBackend, "clock", lambda _: time.time())
    dsvc("undo", "--op", made)
    dsvc("gc")
    assert [line.split("  ")[-1] for line in dsvc("op", "log").out.splitlines()] == [
        f"undo {made[:12]} (create birds)",
        "create fish",
        "older operations were collected by dsvc gc",
    ]
    assert dsvc("redo").out.startswith(f"took back: undo {made[:12]} (create birds) (branch birds main, ")
    assert "birds" in dsvc("list").out


def test_without_options_it_keeps_thirty_days_and_needs_no_answer(deleted: Path, dsvc: Run) -> None:
    out = dsvc("gc").out
    assert out.startswith("nothing to free\n")
    dsvc("undo")
    assert "2 inputs" in dsvc("show").out


def test_what_the_grace_spares_is_said(deleted: Path, dsvc: Run) -> None:
    out = dsvc("gc", "--keep", "0", "--yes").out
    assert told(out).startswith("spares what was written within N day: N objects, N\nnothing to free\n")
    old(deleted / ".dsvc", 2)
    assert told(dsvc("gc", "--keep", "0", "--yes").out).startswith("frees N objects that nothing reaches: N\n")


def test_the_document(deleted: Path, dsvc: Run) -> None:
    found = json.loads(dsvc(*ALL, "--json", "--dry-run").out)
    assert (found["remote"], found["keep"], found["grace"], found["files"]) == (None, 0, 0, None)
    assert found["dry_run"] is True and found["operations"] == 1 and found["objects"] > found["freed"]["count"] > 0
    assert [row["reason"] for row in found["reasons"]] == ["unreached", "operations", "purged", "twice", "leftover"]
    done = json.loads(dsvc(*ALL, "--json", "--yes").out)
    assert done["reasons"] == found["reasons"] and done["files"]["removed"] > 0 and done["damaged"] == []
    assert json.loads(dsvc(*ALL, "--json", "--yes").out)["files"] is None


@pytest.mark.parametrize("age", ["", "5", "-1d", "1y", "1d2h"])
def test_what_is_no_age_is_refused(project: Path, dsvc: Run, age: str) -> None:
    for option in ("--keep", "--grace"):
        assert dsvc("gc", option, age, code=2).err.splitlines()[0] == f"error: {age!r} is no age"


# ---- remotes


@pytest.fixture
def shared(project: Path, dsvc: Run, tmp_path: Path) -> Path:
    """A remote that had a dataset, which it has no more."""
    from dsvc.core.repository import Repository

    dsvc("remote", "add", "origin", "../store")
    dsvc("push")
    Repository(LocalBackend(tmp_path / "store")).delete("pets")
    return tmp_path / "store"


def test_a_remote_is_looked_at_and_not_collected_unless_somebody_agrees(shared: Path, dsvc: Run) -> None:
    size = sum(path.stat().st_size for path in shared.rglob("*"))
    assert dsvc("gc", "--remote", "origin", "--dry-run").out == "nothing to free\n"
    refused = dsvc("gc", "--remote", "origin", "--keep", "0", "--grace", "0", code=3)
    assert refused.out.startswith("would free ") or refused.out.startswith("frees ")
    assert refused.err.startswith("error: origin is collected for all who use it; nothing was changed\n")
    assert sum(path.stat().st_size for path in shared.rglob("*")) == size
    done = dsvc("gc", "--remote", "origin", "--keep", "0", "--grace", "0", "--yes")
    assert done.out.startswith("frees ") and sum(path.stat().st_size for path in shared.rglob("*")) < size
    # What is here is not touched, and can be pushed again.
    assert "all whole" in dsvc("check", code=None).out
    assert "pets:main" in dsvc("push").out
    assert dsvc("clone", "../store", "../again").code == 0


def test_a_remote_that_is_not_there_is_named(project: Path, dsvc: Run) -> None:
    assert "origin" in dsvc("gc", "--remote", "origin", "--yes", code=4).err


def test_damage_of_a_remote_is_told_as_the_remotes(shared: Path, dsvc: Run) -> None:
    for path in (shared / "packs").iterdir():
        path.write_bytes(path.read_bytes()[:-100] + bytes(100))
        data = bytearray(path.read_bytes())
        for at in range(30, len(data) - 200, 40):
            data[at] ^= 1
        path.write_bytes(bytes(data))
    before = sorted(shared.rglob("*"))
    assert dsvc("gc", "--remote", "origin", "--yes", code=6).err.startswith("error: remote origin: ")
    assert sorted(shared.rglob("*")) == before


# ---- pins


def test_pins_go_that_no_lock_in_gits_history_names(project: Path, dsvc: Run) -> None:
    def git(*arguments: str) -> None:
        identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
        subprocess.run(["git", *identity, *arguments], cwd=project, check=True, capture_output=True)

    assert "is in no Git repository" in dsvc("gc", "--pins", code=3).err
    git("init", "-q")
    dsvc("lock")
    git("add", "dsvc.lock")
    git("commit", "-q", "-m", "one")
    dsvc("annotate", "a.jpg", "--text", "more")
    dsvc("commit", "-m", "more", *SIGNED)
    pin_all()
    assert "drop" not in dsvc("gc", "--dry-run").out
    dsvc("lock")  # which names the second commit by now
    assert "drop" not in dsvc("gc", "--pins", "--dry-run").out
    git("checkout", "-q", "--", "dsvc.lock")
    assert "would drop 1 pin that no dsvc.lock names\n" in dsvc("gc", "--pins", "--dry-run").out
    assert "drops 1 pin that no dsvc.lock names\n" in dsvc("gc", "--pins").out
    assert dsvc("undo").out.startswith("undid: gc: 1 pin (pin of pets@")


def pin_all() -> None:
    """Pin every commit of the dataset."""
    import dsvc
    from dsvc.model.view import PinRef, pin_of

    repository = dsvc.open(".")
    ids = [logged.id for logged in repository.dataset("pets").log()]

    def change(refs):  # type: ignore[no-untyped-def]
        for id in ids:
            refs.set(pin_of("pets", id), PinRef(id))

    repository.change("pin", change)


def test_pins_of_a_remote_are_not_for_one_project_to_drop(project: Path, dsvc: Run) -> None:
    assert dsvc("gc", "--pins", "--remote", "origin", code=2).err.startswith("error: --pins asks the Git history")
