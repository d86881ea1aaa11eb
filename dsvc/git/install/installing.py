"""Putting hooks and drivers into a Git repository, and taking them out again, to the byte."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from dsvc.core.repository import LOCK_FILE
from dsvc.errors import RefusedError
from dsvc.git.install import attributes, hookfiles
from dsvc.git.install.place import Place, find_place
from dsvc.git.install.record import Record, read_record, would_change, write_record
from dsvc.git.lockfile import write_lock
from dsvc.store.files import refusing, replace_file


class Change(NamedTuple):
    """A file, and what was done to it in words."""

    file: str
    done: str


def install(
    project: Path, command: Path | None, *, shared: bool = False, dry_run: bool = False
) -> tuple[Place, list[Change]]:
    """Install hooks and drivers for a project, and write its lock where there is none; what changed.

    `command` is the dsvc that the hooks call. Hooks that other repositories run too are written with `shared` only.
    Raises NotFoundError, RefusedError.
    """
    place = find_place(project)
    folder = place.inside(project)
    _check(place, place.root / folder, shared)
    with _alone(place):
        before = load(place)
        wanted, files = _plan(place, folder, before, command)
        _put_hooks(place, dry_run=True)  # what is refused is refused before anything changes
        done = _write_config(place, wanted, "what hooks and drivers need", dry_run)
        for old in _other_folders(place, before):
            done += _take_hooks(place, old, dry_run)
        done += _put_hooks(place, dry_run)
        done += [_put_file(place, file, dry_run) for file in files]
    return place, done


def _plan(place: Place, folder: str, before: Record, command: Path | None) -> tuple[Record, list[Path]]:
    """What is to be recorded, and the files beside the lock that are to be written."""
    said = _hooks_said(place)
    wanted = replace(before, command=str(command) if command else before.command, hooks=said).with_project(folder)
    project, files = place.root / folder, list[Path]()
    lock, names = project / LOCK_FILE, project / attributes.FILE
    if not os.path.lexists(lock):
        wanted, files = wanted.with_made(_beside(folder, lock.name)), [lock]
    if not attributes.are_named(place, lock) and not attributes.has_line(names):
        name = _beside(folder, names.name)
        if not names.exists():
            wanted = wanted.with_made(name)
        elif name not in wanted.made:
            wanted = wanted.with_put(name)
        files.append(names)
    return wanted, files


def _put_file(place: Place, file: Path, dry_run: bool) -> Change:
    if file.name == attributes.FILE:
        if not dry_run:
            attributes.put_line(file)
        return Change(place.named(file), attributes.LINE.decode())
    if not dry_run:
        write_lock(file, [])
    return Change(place.named(file), "written")


def uninstall(project: Path, *, every: bool = False, shared: bool = False, dry_run: bool = False) -> list[Change]:
    """Take out what install has put there for a project, or for `every` one of the Git repository; what changed.

    Hooks and drivers stay while another project needs them. Raises NotFoundError, RefusedError.
    """
    place = find_place(project)
    with _alone(place):
        before = load(place)
        going = before.projects if every else (place.inside(project),)
        rest = before
        for folder in going:
            rest = rest.without_project(folder)
        done = list[Change]()
        if not rest.projects:
            folders = [*_other_folders(place, before), *([] if place.is_shared and not shared else [place.hooks])]
            done += [change for folder in folders for change in _take_hooks(place, folder, dry_run)]
        for name in sorted({*before.made, *before.put} - {*rest.made, *rest.put}):
            done += _take_file(place, place.root / name, name in before.made, dry_run)
        last = rest if rest.projects else None
        done += _write_config(place, last, "what install put there is taken out", dry_run)
    return done


def _write_config(place: Place, record: Record | None, words: str, dry_run: bool) -> list[Change]:
    differs = would_change(place.config, record) if dry_run else write_record(place.config, record)
    return [Change(place.named(place.config), words)] if differs else []


def _take_file(place: Place, file: Path, made: bool, dry_run: bool) -> list[Change]:
    if file.name == attributes.FILE:
        left = attributes.without_line(file)
        if left is None:
            return []
        if left or not made:
            if not dry_run:
                replace_file(file, left)
            return [Change(place.named(file), "the line taken out")]
    elif not os.path.lexists(file) or place.is_tracked(file):  # what is committed is a part of the project
        return []
    if not dry_run:
        with refusing(file):
            file.unlink()
    return [Change(place.named(file), "taken away")]


def _put_hooks(place: Place, dry_run: bool) -> list[Change]:
    if not dry_run:
        with refusing(place.hooks):
            place.hooks.mkdir(parents=True, exist_ok=True)
    found = ((name, hookfiles.install(place.hooks, name, dry_run=dry_run)) for name in hookfiles.NAMES)
    return [Change(place.named(place.hooks / name), done) for name, done in found if done]


def _take_hooks(place: Place, folder: Path, dry_run: bool) -> list[Change]:
    found = [(name, hookfiles.uninstall(folder, name, dry_run=dry_run)) for name in hookfiles.NAMES]
    done = [Change(place.named(folder / name), said) for name, said in found if said]
    if done and not dry_run:
        with contextlib.suppress(OSError):
            folder.rmdir()  # where nothing else is in it
    return done


def _other_folders(place: Place, record: Record) -> list[Path]:
    """Where hooks may have been put when core.hooksPath said something else."""
    folders = [place.usual_hooks, *([place.root / record.hooks] if record.hooks else [])]
    return [
        folder for folder in dict.fromkeys(folders) if folder.is_dir() and folder.resolve() != place.hooks.resolve()
    ]


def _hooks_said(place: Place) -> str | None:
    """Where the hooks lie, as it is recorded: nothing for the usual folder."""
    if place.hooks.resolve() == place.usual_hooks.resolve():
        return None
    return place.named(place.hooks)


def _beside(folder: str, name: str) -> str:
    return name if folder == "." else f"{folder}/{name}"


def load(place: Place) -> Record:
    """What was installed. Raises RefusedError where Git's configuration cannot be read."""
    with refusing(place.config):
        try:
            return read_record(place.config)
        except ValueError as error:
            message = f"{place.config} is no configuration of Git: {error}"
            raise RefusedError(message, "see what Git says: git config -l") from None


def _check(place: Place, project: Path, shared: bool) -> None:
    """Refuse before anything is changed. Raises RefusedError."""
    said = f"core.hooksPath is {place.hooks_path}, as {place.hooks_origin} says"
    here = f"for this repository alone: git config core.hooksPath {place.usual_hooks}"
    if place.hooks.exists() and not place.hooks.is_dir():
        raise RefusedError(f"Git runs no hooks: {said}, and that is no folder", f"to have hooks {here}")
    if place.is_shared and not shared:
        raise RefusedError(
            f"other repositories run the hooks of {place.hooks} too: {said}",
            f"put ours there, which leave repositories without dsvc alone: dsvc git install --shared; or {here}",
        )
    for folder in (place.hooks, place.common, project):
        there = next(near for near in (folder, *folder.parents) if near.exists())
        if not os.access(there, os.W_OK | os.X_OK):
            raise RefusedError(f"{there} cannot be written", "check who owns it, and its permissions")


@contextlib.contextmanager
def _alone(place: Place) -> Iterator[None]:
    """Let one process at a time install or uninstall, as far as the file system knows locks."""
    with contextlib.ExitStack() as stack:
        for folder in sorted({place.common.resolve(), place.hooks.resolve()}):
            with contextlib.suppress(OSError, ImportError):
                import fcntl

                descriptor = os.open(folder, os.O_RDONLY)
                stack.callback(os.close, descriptor)
                fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
