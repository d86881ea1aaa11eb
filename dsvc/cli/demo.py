"""dsvc demo: the whole story on a small dataset, each command as a person would type it."""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from dsvc.cli.arguments import PATH
from dsvc.cli.exit import Exit
from dsvc.cli.render import out, shown
from dsvc.errors import RefusedError

FOLDER = "dsvc-demo"


def _signed(day: int) -> str:
    return f"--author 'Ada <ada@example.org>' --date 2024-05-{day:02}T12:00:00+00:00"


# What is said, and the commands that follow it. {wrong} is the annotation that the demo mends.
STORY: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("A repository, and a dataset in it.", ("init", "create shapes -m 'Circles, squares and triangles'")),
    (
        "Take in the COCO file and its images, commit, and tag a version.",
        (
            "import shapes.json --images images",
            "status",
            f"commit -m 'First batch' {_signed(1)}",
            f"version create v1 -m 'As it came' {_signed(1)}",
            "show v1",
        ),
    ),
    (
        "One square of meadow.png is called a triangle. Mend it, and tag another version.",
        (
            "show meadow.png",
            "annotate {wrong} --concept square",
            "diff",
            f"commit -m 'A square is no triangle' {_signed(2)}",
            f"version create v2 -m 'One label mended' {_signed(2)}",
            "diff v1 v2",
            "log --oneline",
        ),
    ),
    ("Make a mistake, and take it back.", ("rm tower.png", "diff --stat", "undo", "status")),
    (
        "Export the first version, three ways.",
        (
            "export shapes@v1 -o v1-protobuf.zip --media",
            "export shapes@v1 --format clarifai-json -o v1-json.zip",
            "export shapes@v1 --format coco -o v1-coco --media",
        ),
    ),
)
TRY = ("dsvc show v2", "dsvc rm lake.png", "dsvc diff", "dsvc undo", "dsvc op log", "dsvc check", "dsvc --help")


@click.command("demo")
@click.argument("path", type=PATH, default=FOLDER)
def demo_command(path: Path) -> int:
    """Make a small dataset in a new folder and show the whole story.

    PATH is the folder (by default dsvc-demo); it stays, to play in.
    """
    from dsvc.cli.demo_data import write_demo

    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise RefusedError(f"{shown(str(path))} exists already", "name a new folder: dsvc demo PATH")
    path.mkdir(parents=True, exist_ok=True)
    write_demo(path)
    out(f"Six drawn pictures are in {shown(str(path / 'images'))}, and shapes.json says what is on them.")
    out()
    _type(f"cd {shlex.quote(str(path))}")
    with _inside(path):
        code = _tell_story()
    if code == Exit.DONE:
        out()
        out(f"The folder {shown(str(path))} is yours to play in. Try there:")
        for command in TRY:
            out(f"  {command}")
    return code


def _tell_story() -> int:
    for said, commands in STORY:
        out()
        out(f"# {said}")
        for command in commands:
            if "{wrong}" in command:
                command = command.replace("{wrong}", _wrong())
            _type(f"dsvc {command}")
            code = _run(shlex.split(command))
            if code != Exit.DONE:
                return code
    return Exit.DONE


def _wrong() -> str:
    """The name of the annotation that has the wrong class."""
    from dsvc.cli.demo_data import MISTAKE, PICTURES
    from dsvc.core.repository import Repository

    key, at, _ = MISTAKE
    wrong = PICTURES[key][at]
    annotations = Repository.open(Path()).dataset().draft().annotations(key)
    for annotation in annotations:
        box = annotation.shape.box if annotation.shape else None
        if box and box[0] < wrong.x < box[0] + box[2] and box[1] < wrong.y < box[1] + box[3]:
            return f"{key}#{annotation.id}"
    raise AssertionError(key)


def _type(line: str) -> None:
    click.echo(click.style(f"$ {line}", bold=True))


def _run(arguments: list[str]) -> int:
    from dsvc.cli.main import run

    sys.stdout.flush()
    return run(arguments)


@contextlib.contextmanager
def _inside(folder: Path) -> Iterator[None]:
    """Work in a folder, with the dataset that is current there."""
    before, selected = Path.cwd(), os.environ.pop("DSVC_DATASET", None)
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
        if selected is not None:
            os.environ["DSVC_DATASET"] = selected
