"""Reproducing: the command of a run once more, on the same data."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, cast

from dsvc.core.registry import code_reader
from dsvc.core.training.comparing import KeptRun
from dsvc.core.training.running import Plan, Source
from dsvc.core.training.trainers import trainer_arguments, trainer_command
from dsvc.model.view import VERSION, VersionRef


class Again(NamedTuple):
    """How to run a run again; `notes` say what is not as it was then."""

    source: Source
    plan: Plan
    notes: list[str]


def plan_again(run: KeptRun, environment: Mapping[str, str], folder: Path, keep_data: bool = False) -> Again:
    """Plan to run a run again: in the same folder of the project, where it is there, else in `folder`.

    Raises UsageError for a trainer that is not known here, DamagedError.
    """
    record, notes = run.record, list[str]()
    command, trainer = tuple(record["command"]), record["trainer"]
    if trainer is not None:  # Python may lie elsewhere here
        command = trainer_command(trainer, trainer_arguments(command))
    place = _place(run, folder, record["folder"], notes)
    notes += _code_notes(record["git"], place)
    plan = Plan(
        command,
        environment,
        place,
        format=record["format"],
        where=record["where"],
        trainer=trainer,
        message=record["message"],
        keep_data=keep_data,
        reproduces=run.entry.id,
    )
    return Again(_source(run, record["version"]), plan, notes)


def _source(run: KeptRun, version: str) -> Source:
    """The data of a run, by the same version where that is there still."""
    state = run.data()
    found = cast("VersionRef | None", run.dataset.repository.view.get(VERSION, run.dataset.name, version))
    is_there = found is not None and found.commit == state.commit
    return Source(run.dataset, state, version if is_there else None, state.commit)


def _place(run: KeptRun, folder: Path, inside: str | None, notes: list[str]) -> Path:
    root = run.dataset.repository.root
    if inside is not None and root is not None:
        place = Path(os.path.abspath(root / inside))  # noqa: PTH100 - no link is followed
        if place.is_dir() and place.is_relative_to(root.absolute()):
            return place
        notes.append(f"the folder {inside}, where it ran, is not here")
    return folder


def _code_notes(then: Mapping[str, object] | None, folder: Path) -> list[str]:
    """What to say where the code is not the code of then."""
    found = code_reader()(folder)
    now = found[0] if found is not None else None
    before = then["commit"] if then is not None else None
    notes = []
    if now is None and before is not None:
        notes.append(f"Git knows no commit of the code now; it was at {_short(before)}")
    elif now is not None and now != before:
        then_at = f"it was at {_short(before)}" if before is not None else "Git knew none then"
        notes.append(f"the code is at Git's commit {_short(now)} now; {then_at}")
    if then is not None and then["dirty"]:
        notes.append("the code had changes then that are in no commit of Git")
    if found is not None and found[1]:
        notes.append("the code has changes now that are in no commit of Git")
    return notes


def _short(commit: object) -> str:
    return str(commit)[:12]
