"""Conflicts of records with odd names and of long values: what is shown can be told apart, and typed."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import dsvc as library
from dsvc.cli.render import shown, word
from dsvc.model.records import Annotation, Shape

from .conftest import SIGNED

ODD = ["it's a cat.jpg", "a#b.jpg", "-x.jpg", "two\nlines\\.jpg", "left\u202eright.jpg", "日本.jpg", "$HOME `id`.jpg"]


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize("text", [*ODD, "'\n\\'", "\x1b[31m", ""])
def test_a_word_means_the_text(text: str) -> None:
    assert word(text).isprintable()
    told = subprocess.run(["bash", "-c", f"printf %s {word(text)}"], capture_output=True, env={"LC_ALL": "C.UTF-8"})
    assert told.stdout.decode() == text


@pytest.fixture
def clash(dsvc: Callable[..., Any], project: Path) -> Callable[..., None]:
    """Merge two branches, on each of which an annotation of some inputs has fields of its own."""

    def clash(keys: list[str], ours: dict[str, Any], theirs: dict[str, Any]) -> None:
        def edit(act: Callable[[Any, str], object]) -> None:
            pets = library.open(".", author=library.Author("Ada")).dataset("pets")
            with pets.edit() as draft:
                for key in keys:
                    act(draft, key)

        for key in keys:
            if not (project / key).exists():
                (project / key).write_text(key)
            dsvc("add", "--", key) if not key.startswith("-") else dsvc("add", f"./{key}")
        edit(lambda draft, key: draft.annotate(Annotation(key=key, id="1", text="x")))
        dsvc("commit", "-m", "First", *SIGNED)
        dsvc("branch", "bo")
        for branch, fields in (("main", ours), ("bo", theirs)):
            dsvc("switch", branch)
            edit(lambda draft, key, fields=fields: draft.change_annotation(key, "1", fields))
            dsvc("commit", "-m", "Changed", *SIGNED)
        dsvc("switch", "main")
        dsvc("merge", "bo", *SIGNED)

    return clash


@pytest.mark.parametrize("key", ODD)
def test_an_odd_key_is_shown_and_found(dsvc, clash, key: str) -> None:
    clash([key], {"text": "ours"}, {"text": "theirs"})
    first, *_, last = dsvc("conflicts").out.splitlines()
    assert first == f"{shown(key)}#1  text"
    name = word(f"{key}#1")
    way = f"--take N -- {name} text" if key.startswith("-") else f"{name} text --take N"
    assert last == f"1 open conflict; next: dsvc resolve {way}"
    assert dsvc("conflicts", "--", key).out == dsvc("conflicts", "--", f"{key}#1").out == dsvc("conflicts").out
    assert dsvc("resolve", "--take", "1", "--", f"{key}#1", "text").out.startswith("settled 1 conflict: ")
    assert dsvc("conflicts").out == "no open conflicts\n"


def test_one_key_is_no_beginning_of_another(dsvc, clash) -> None:
    clash(["a#b.txt", "a#b.txt#c.txt"], {"text": "ours"}, {"text": "theirs"})
    assert dsvc("conflicts", "a#b.txt").out.splitlines()[0] == "a#b.txt#1  text"
    assert dsvc("conflicts", "a#b.txt").out.splitlines()[-1].startswith("1 open conflict; ")
    assert dsvc("conflicts").out.splitlines()[-2].startswith("2 open conflicts; ")


def test_values_that_are_alike_in_short_are_told_apart(dsvc, clash) -> None:
    ring = [float(n % 100) for n in range(100)]
    other = [*ring[:-1], 12.25]
    clash(["a.jpg"], {"shape": Shape(polygons=(tuple(ring),))}, {"shape": Shape(polygons=(tuple(other),))})
    texts = [line.split("  ")[2] for line in dsvc("conflicts").out.splitlines()[1:3]]
    assert sorted(texts) == [
        '1 polygon of 50 points: ...94, 95, 96, 97, 98, 12.25]], "unit": "pixel"}',
        '1 polygon of 50 points: ...94, 95, 96, 97, 98, 99]], "unit": "pixel"}',
    ]


def test_long_texts_are_cut_around_the_difference(dsvc, clash) -> None:
    clash(["a.jpg"], {"text": "a" * 500 + "b" * 500}, {"text": "a" * 500 + "c" * 500})
    lines = dsvc("conflicts").out.splitlines()[1:3]
    assert all(len(line) < 220 for line in lines)
    assert [("b" * 30 in line, "c" * 30 in line) for line in lines] == [(True, False), (False, True)]


def test_many_conflicts_are_cut(dsvc, clash, project: Path) -> None:
    keys = [f"{n:02}.txt" for n in range(60)]
    clash(keys, {"text": "ours"}, {"text": "theirs"})
    told = dsvc("conflicts").out.splitlines()
    assert told[-3:] == [
        "... and 10 more; all: --json",
        "60 open conflicts; next: dsvc resolve '00.txt#1' text --take N",
        "or many at once: dsvc resolve --all --from REV, dsvc resolve --all --author NAME",
    ]
    assert dsvc("resolve", "--all", "--from", "bo").out == (
        "settled 60 conflicts: 00.txt#1 text, 01.txt#1 text, 02.txt#1 text and 57 more\nnext: dsvc commit -m TEXT\n"
    )
    assert dsvc("status").out.splitlines()[-1] == "next: dsvc diff, then dsvc commit -m TEXT"


def test_the_exit_code_tells_whether_any_are_open(dsvc, clash) -> None:
    assert dsvc("conflicts", "--exit-code").out == "no open conflicts\n"
    clash(["a.jpg"], {"text": "ours"}, {"text": "theirs"})
    assert dsvc("conflicts", "--exit-code", code=1).out == dsvc("conflicts").out
    assert dsvc("conflicts", "--exit-code", "--json", code=1).out == dsvc("conflicts", "--json").out
