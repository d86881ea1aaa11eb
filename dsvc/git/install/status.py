"""Whether what install put into a Git repository still stands there, and still does its work."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from dsvc.core.repository import LOCK_FILE
from dsvc.git.install import attributes, hookfiles
from dsvc.git.install.hookfiles import State
from dsvc.git.install.installing import load
from dsvc.git.install.place import Place, find_place
from dsvc.git.install.record import DIFF_DRIVER, MERGE_DRIVER, Record

AGAIN = "dsvc git install"
_OURS = {"merge.dsvc-lock.driver": MERGE_DRIVER, "diff.dsvc-lock.command": DIFF_DRIVER}
_OURS["diff.dsvc-lock.textconv"] = DIFF_DRIVER


class Part(NamedTuple):
    """A part of what install puts there: installed, outdated, missing, disabled or overridden; and what to do."""

    kind: str  # hook, driver, attributes, lock or command
    name: str
    state: str
    where: str
    hint: str | None = None


def status(project: Path, found: Path | None = None) -> list[Part]:
    """How everything stands for a project; `found` is the dsvc on the path. Raises NotFoundError, RefusedError."""
    place = find_place(project)
    record = load(place)
    folder = place.inside(project)
    hooks = [_hook(place, record, name, folder in record.projects) for name in hookfiles.NAMES]
    drivers = [_driver(place, key) for key in _OURS]
    lock = place.root / folder / LOCK_FILE
    return [*hooks, *drivers, _attributes(place, lock), _lock(place, lock), _command(record, found)]


def _hook(place: Place, record: Record, name: str, is_known: bool) -> Part:
    found = hookfiles.state(place.hooks, name) if place.hooks.is_dir() else State.MISSING
    where = place.named(place.hooks / name)
    if found is State.MISSING:
        elsewhere = [place.usual_hooks, *([place.root / record.hooks] if record.hooks else [])]
        for folder in elsewhere:
            if folder.is_dir() and hookfiles.state(folder, name) is not State.MISSING:
                said = f"core.hooksPath is {place.hooks_path}, as {place.hooks_origin} says; {AGAIN}"
                return Part("hook", name, "overridden", place.named(folder / name), said)
    if found is State.INSTALLED and not is_known:
        return Part("hook", name, "outdated", where, f"this project is not among those that the hooks look at; {AGAIN}")
    hint = {State.INSTALLED: None, State.DISABLED: f"Git runs no hook that is not executable; {AGAIN}"}.get(
        found, AGAIN
    )
    return Part("hook", name, found.value, where, hint)


def _driver(place: Place, key: str) -> Part:
    said = place.ask("config", "--show-origin", "-z", "--get", key)
    if said is None:
        return Part("driver", key, "missing", place.named(place.config), AGAIN)
    origin, value = map(os.fsdecode, said.split(b"\0")[:2])
    where = place.root / origin.removeprefix("file:")
    if value == _OURS[key]:
        return Part("driver", key, "installed", place.named(where))
    if where.resolve() == place.config.resolve():
        return Part("driver", key, "outdated", place.named(where), AGAIN)
    return Part("driver", key, "overridden", place.named(where), f"take it out of {where}")


def _attributes(place: Place, lock: Path) -> Part:
    file = lock.with_name(attributes.FILE)
    if attributes.are_named(place, lock):
        return Part("attributes", attributes.FILE, "installed", place.named(file))
    if not attributes.has_line(file):
        return Part("attributes", attributes.FILE, "missing", place.named(file), AGAIN)
    said = " ".join(f"{name}={value}" for name, value in attributes.drivers_of(place, lock).items())
    hint = f"another line says {said}: see git check-attr -a {LOCK_FILE}, .git/info/attributes comes last"
    return Part("attributes", attributes.FILE, "overridden", place.named(file), hint)


def _lock(place: Place, lock: Path) -> Part:
    there = os.path.lexists(lock)
    return Part("lock", LOCK_FILE, "installed" if there else "missing", place.named(lock), None if there else AGAIN)


def _command(record: Record, found: Path | None) -> Part:
    """The dsvc that hooks call: the recorded one, or else the one on the path."""
    if record.command and os.path.isfile(record.command) and os.access(record.command, os.X_OK):  # noqa: PTH113
        return Part("command", "dsvc", "installed", record.command)
    if found is None:
        hint = f"pip install dsvc, and see that it is on the path; then {AGAIN}"
        return Part("command", "dsvc", "missing", record.command or "", hint)
    if record.command:
        return Part("command", "dsvc", "outdated", record.command, f"it is gone: hooks call {found}; {AGAIN}")
    return Part("command", "dsvc", "installed", str(found))
