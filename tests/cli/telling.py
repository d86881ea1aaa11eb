"""Stories of several people at one project: their commands, and exactly what each of them sees."""

import json
import re
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from storytelling import Storyteller

from .conftest import picture

NAMED = re.compile(r"(?<!blob )(?<![0-9a-f])[0-9a-f]{12}(?:-\d+)?(?![0-9a-f])")
DATED = ("commit", "merge", "revert")


class Teller(Storyteller):
    """Runs the commands of a story and writes down what they print.

    Ids are called by the order in which they turn up: commits C1, C2, ..., annotations A1, A2, ...; these names can be
    used in commands. The first commit or merge is made at noon of the first of May 2024, the next a minute later.
    """

    def __init__(self, dsvc: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        self._dsvc, self._patch = dsvc, monkeypatch

    def run(self, who: str, line: str) -> str:
        """What a command prints, and its exit code where that is not 0."""
        self._patch.setenv("DSVC_AUTHOR_NAME", who)
        self._patch.setenv("DSVC_AUTHOR_EMAIL", f"{who.lower()}@example.org")
        _, *arguments = shlex.split(re.sub(r"\b[AC]\d+\b", lambda match: self.id(match[0]), line))
        if arguments[0] in DATED:
            arguments += ["--date", f"2024-05-01T12:{self._minutes:02}:00+00:00"]
            self._minutes += 1
        result = self._dsvc(*arguments, code=None)
        printed = self._named(result.out + result.err)
        return printed + (f"exit {result.code}\n" if result.code else "")

    def _named(self, text: str) -> str:
        return NAMED.sub(lambda match: self._name(match[0], text[match.start() - 1]), text)

    def _name(self, id: str, before: str) -> str:
        letter = "A" if before == "#" else "C"
        count = sum(name.startswith(letter) for name in self._names.values())
        return self._names.setdefault(id, f"{letter}{count + 1}")


@pytest.fixture
def tell(dsvc: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Teller:
    """A teller in a folder with the pictures a.png to d.png."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for color, name in enumerate("abcd"):
        (folder / f"{name}.png").write_bytes(picture(color=color))
    return Teller(dsvc, monkeypatch)


BEGIN = """\
Ada$ dsvc init
Ada$ dsvc create pets
Ada$ dsvc add a.png b.png
Ada$ dsvc annotate a.png --concept cat --box 0,0,2,2
Ada$ dsvc annotate b.png --concept dog --box 1,1,3,2
Ada$ dsvc commit -m "First labels"
Ada$ dsvc branch bo
"""


@pytest.fixture
def pets(tell: Teller) -> Teller:
    """Two labelled pictures on main, a.png with a cat (A1), b.png with a dog (A2), and a branch bo where main is."""
    tell.do(BEGIN)
    return tell


def write_coco(path: str, names: Sequence[str], boxes: Sequence[tuple[str, str, tuple[int, ...]]]) -> None:
    """A COCO file of these categories and of boxes, each of a picture and a category; all numbered from 1."""
    keys = sorted({key for key, _, _ in boxes})
    document = {
        "images": [{"id": n, "file_name": key, "width": 4, "height": 3} for n, key in enumerate(keys, 1)],
        "annotations": [
            {
                "id": n,
                "image_id": keys.index(key) + 1,
                "category_id": names.index(name) + 1,
                "bbox": box,
                "area": box[2] * box[3],
                "iscrowd": 0,
            }
            for n, (key, name, box) in enumerate(boxes, 1)
        ],
        "categories": [{"id": n, "name": name} for n, name in enumerate(names, 1)],
    }
    Path(path).write_text(json.dumps(document))
