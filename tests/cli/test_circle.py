"""The whole circle, as somebody new goes it: pictures, a model, its score; better labels, and what they gave."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from digits import write_digits
from test_docs import pattern, steps

from .conftest import Run

# A folder of sevens was dropped into that of the ones.
FIRST = """\
$ dsvc init
...
$ dsvc create digits -m "Handwriting"
...
$ dsvc import digits --format folder
imported 599 inputs, 599 annotations, 10 concepts from source digits
next: dsvc commit -m TEXT
$ dsvc split --ratio train=75,test=25
...
599 inputs changed, 0 unchanged
...
$ dsvc version create v1 --commit -m "As they came"
made version v1 of digits at ...
holds 599 inputs, 599 annotations, 10 concepts
...
$ dsvc train digits@v1 --trainer sklearn
on digits@v1
laid out 599 inputs, 599 annotations as coco/1
run ...: ... -m dsvc.cli.trainers.sklearn
... to learn from, ... held out: split test
svm on 8 x 8 grey pixels
of what was held out: accuracy ...%, f1 ...%
run ... is done, after ... s: accuracy 0...
kept 5 files, ...
next: dsvc runs show ...
"""

# Nothing is committed yet: what is staged is what is learned from, and is kept as a version.
MENDED = """\
$ dsvc annotate --annotations --where "key like 'digits/1/sevens/%'" --concept 7
changed 32 annotations
...
$ dsvc train digits --trainer sklearn
made version auto-generated-...-... of digits
laid out 599 inputs, 599 annotations as coco/1
...
run ... is done, after ... s: accuracy 0.9...
...
$ dsvc version create v2 --commit -m "Sevens are sevens"
made version v2 of digits at ...
...
$ dsvc metrics v1 v2
digits@v1, commit ... -> digits@v2, commit ...
concepts:
  1  positive labels  ...  -32
  1  annotations      ...  -32
  7  positive labels  ...  +32
  7  annotations      ...  +32
"""

ANSWER = """\
$ dsvc evaluate digits@v2 --run last~1 --where "split = 'test'"
evaluation ... of digits@v2: classes
...
accuracy           0...  share of inputs that are right
...
$ dsvc evaluate digits@v2 --run last --where "split = 'test'"
evaluation ... of digits@v2: classes
...
accuracy           0.9...  share of inputs that are right
...
$ dsvc evaluate compare last~1 last
from ...: run ... on digits@v2
to   ...: run ... on digits@v2

accuracy           0...  0.9...  +0...
...
fewer mistakes on ... inputs, ... in all:
...
$ dsvc runs compare last~1 last
run ... -> ...
data: digits@v1 -> digits@auto-generated-...
...
command: the same
...
"""

BACK = """\
$ dsvc undo
undid: evaluate...
dsvc redo brings it back
$ dsvc undo
undid: evaluate...
dsvc redo brings it back
$ dsvc evaluate list
no evaluations yet; next: dsvc evaluate REV PREDICTIONS
$ dsvc redo
...
$ dsvc redo
...
$ dsvc check
...
"""


@pytest.fixture
def tell(dsvc: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Run a story's commands, and compare what each prints; `...` stands for any text or lines."""
    monkeypatch.setenv("DSVC_AUTHOR_NAME", "Ada")
    write_digits(tmp_path / "digits", every=3)
    (tmp_path / "digits/1/sevens").mkdir()
    for file in sorted((tmp_path / "digits/7").iterdir())[::2]:
        file.rename(tmp_path / "digits/1/sevens" / file.name)

    def tell(story: str) -> None:
        for command, expected in steps(f"```console\n{story}```\n"):
            printed = dsvc(*shlex.split(command)[1:]).out
            assert re.fullmatch(pattern(expected), printed), f"{command}\n{printed}"

    return tell


def test_from_a_folder_of_pictures_to_an_answer(tell: Callable[[str], None], dsvc: Run) -> None:
    def accuracy(command: str, name: str) -> float:
        shown = json.loads(dsvc(command, "show", name, "--json").out)
        return shown["figures" if command == "evaluate" else "metrics"]["accuracy"]

    tell(FIRST)
    tell(MENDED)
    tell(ANSWER)
    # By the mended labels, which for the second model are those that its own program went by.
    assert accuracy("evaluate", "last") == accuracy("runs", "last") > accuracy("evaluate", "last~1") + 0.02
    found = json.loads(dsvc("evaluate", "compare", "last~1", "last", "--json").out)
    sevens = [
        sum(one["key"].startswith("digits/1/sevens") for one in found["inputs"][side]) for side in ("better", "worse")
    ]
    assert sevens[0] > sevens[1]
    tell(BACK)
    assert len(json.loads(dsvc("runs", "list", "--json").out)["runs"]) == 2
    assert len(json.loads(dsvc("evaluate", "list", "--json").out)["evaluations"]) == 2
