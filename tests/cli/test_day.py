"""A day in the life of a project folder, and all of it undone step by step: commands, and exactly what they print."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import picture

MORNING = """\
$ dsvc init
made a repository in .dsvc
next: dsvc create NAME -m TEXT
$ dsvc create pets
made dataset pets, now the current one
next: dsvc add PATH, or dsvc import FILE --images DIR
$ dsvc add images
3 inputs added
tracked from now on: images
next: dsvc commit -m TEXT
$ dsvc annotate images/barn.png --concept cat --box 0,0,2,2
added images/barn.png#42f40be1d8b4 cat
new concept cat
next: dsvc commit -m TEXT
$ dsvc annotate images/cellar.png --concept dog
added images/cellar.png#85f155d46446 dog
new concept dog
next: dsvc commit -m TEXT
$ dsvc commit -m "First batch"
[pets main COMMIT] First batch
holds 3 inputs, 2 annotations, 2 concepts
next: dsvc version create, or dsvc log
$ dsvc status
dataset pets, branch main, at COMMIT
holds 3 inputs, 2 annotations, 2 concepts
nothing staged
"""

# A picture came, one was edited, one has another name, one is gone; and a note lies beside them.
NOON = """\
$ dsvc status
dataset pets, branch main, at COMMIT
holds 3 inputs, 2 annotations, 2 concepts
files:
  1 new: images/dune.png
  1 modified: images/attic.png
  1 renamed: images/barn.png -> images/beach.png
  1 missing: images/cellar.png
next: dsvc add -A
$ dsvc add -A
1 input added, 1 changed, 1 renamed, 1 removed with 1 annotation
passed over: 1 that is no media
next: dsvc commit -m TEXT
$ dsvc status
dataset pets, branch main, at COMMIT
holds 3 inputs, 1 annotation, 2 concepts
staged:
  inputs: 2 added, 1 changed, 2 removed
  annotations: 1 added, 2 removed
next: dsvc diff, then dsvc commit -m TEXT
$ dsvc diff
~ input images/attic.png: media blob e98a9dd5f428 -> 6c87207fbc04
~ input images/barn.png -> images/beach.png: renamed
- input images/cellar.png: 1 dog
+ input images/dune.png
$ dsvc commit -m "What the folder has now"
[pets main COMMIT] What the folder has now
holds 3 inputs, 1 annotation, 2 concepts
next: dsvc version create, or dsvc log
"""

SHEET = """\
key,metadata.camera,metadata.year,concepts
images/attic.png,left,2024,cat
images/beach.png,right,2023,
images/dune.png,left,,-dog
"""

EVENING = """\
$ dsvc import meta.csv
imported 3 inputs, 2 annotations, 2 concepts from source meta
next: dsvc commit -m TEXT
$ dsvc show images/attic.png
input images/attic.png
  media: image/png, 4 x 3, 83 bytes, blob 6c87207fbc04
  metadata: {"camera": "left", "year": 2024}
1 annotation:
  images/attic.png#980175eda70b  cat
$ dsvc commit -m Cameras
[pets main COMMIT] Cameras
holds 3 inputs, 3 annotations, 2 concepts
next: dsvc version create, or dsvc log
$ dsvc split --by key --ratio 50/50 --seed 1
train   1 input  asked 50 %  got 33.3 %
val    2 inputs  asked 50 %  got 66.7 %
3 inputs changed, 0 unchanged
note: with only 3 inputs a hash strays from the ratio; with more it comes nearer
next: dsvc commit -m TEXT, or take it back: dsvc undo
$ dsvc commit -m Splits
[pets main COMMIT] Splits
holds 3 inputs, 3 annotations, 2 concepts
next: dsvc version create, or dsvc log
$ dsvc concept rename cat feline -m "One name"
renamed concept cat to feline, with 2 annotations on 2 inputs
[pets main COMMIT] One name
dsvc undo takes back both the commit and the change
$ dsvc concept list
dog      1 annotation   1 input
feline  2 annotations  2 inputs
$ dsvc version create v1 -m Ready
made version v1 of pets at COMMIT
holds 3 inputs, 3 annotations, 2 concepts
next: dsvc export pets@v1 -o OUT
"""

NIGHT = """\
$ dsvc undo
undid: version create v1 (version pets v1)
dsvc redo brings it back
$ dsvc undo
undid: concept rename cat feline (branch pets main)
dsvc redo brings it back
$ dsvc concept list
cat  2 annotations  2 inputs
dog   1 annotation   1 input
$ dsvc undo
undid: commit -m Splits (branch pets main, draft pets main)
dsvc redo brings it back
$ dsvc undo
undid: split --by key --ratio train=50,val=50 --seed 1 (draft pets main)
dsvc redo brings it back
$ dsvc undo
undid: commit -m Cameras (branch pets main, draft pets main)
dsvc redo brings it back
$ dsvc undo
undid: import meta.csv (draft pets main)
dsvc redo brings it back
$ dsvc show images/attic.png
input images/attic.png
  media: image/png, 4 x 3, 83 bytes, blob 6c87207fbc04
0 annotations
$ dsvc undo
undid: commit -m What the folder has now (branch pets main, draft pets main)
dsvc redo brings it back
$ dsvc undo
undid: add -A (draft pets main)
dsvc redo brings it back
$ dsvc status
dataset pets, branch main, at COMMIT
holds 3 inputs, 2 annotations, 2 concepts
files:
  1 new: images/dune.png
  1 modified: images/attic.png
  1 renamed: images/barn.png -> images/beach.png
  1 missing: images/cellar.png
next: dsvc add -A
$ dsvc undo
undid: commit -m First batch (branch pets main, draft pets main)
dsvc redo brings it back
$ dsvc undo
undid: annotate images/cellar.png (draft pets main)
dsvc redo brings it back
$ dsvc undo
undid: annotate images/barn.png (draft pets main)
dsvc redo brings it back
$ dsvc undo
undid: add images (draft pets main)
dsvc redo brings it back
$ dsvc status
dataset pets, branch main, no commits yet
holds 0 inputs, 0 annotations, 0 concepts
files:
  3 new: images/attic.png, images/beach.png, images/dune.png
next: dsvc add -A
$ dsvc undo
undid: create pets (branch pets main, dataset pets)
dsvc redo brings it back
"""


@pytest.fixture
def tell(dsvc, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Run the commands of a text and compare what they print; the ids of commits may be any."""
    import shlex

    monkeypatch.setenv("DSVC_AUTHOR_NAME", "Ada")
    monkeypatch.setenv("DSVC_AUTHOR_EMAIL", "ada@example.org")

    def tell(story: str) -> None:
        told = ""
        for line in re.findall(r"^\$ dsvc (.*)$", story, re.M):
            result = dsvc(*shlex.split(line))
            assert result.err == ""
            told += f"$ dsvc {line}\n" + re.sub(r"(?<=main )[0-9a-f]{12}|(?<=at )[0-9a-f]{12}", "COMMIT", result.out)
        assert told == story

    return tell


def test_a_day_in_the_life(tell: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    images = tmp_path / "images"
    images.mkdir()
    for color, name in enumerate(("attic", "barn", "cellar")):
        (images / f"{name}.png").write_bytes(picture(color=color))
    tell(MORNING)
    (images / "dune.png").write_bytes(picture(color=9))
    (images / "attic.png").write_bytes(picture(color=77))
    (images / "barn.png").rename(images / "beach.png")
    (images / "cellar.png").unlink()
    (images / "notes.md").write_text("no media")
    tell(NOON)
    (tmp_path / "meta.csv").write_text(SHEET)
    tell(EVENING)
    files = sorted(path.name for path in images.iterdir())
    tell(NIGHT)
    assert sorted(path.name for path in images.iterdir()) == files


def test_an_export_in_the_project_is_no_data(dsvc, project: Path) -> None:
    dsvc("export", "v1", "-o", "out", "--format", "coco", "--media")
    dsvc("create", "other")
    assert dsvc("add", ".").out == (
        "2 inputs added\npassed over: 3 ignored, 1 that is no media\n"
        "tracked from now on: .\nnext: dsvc commit -m TEXT\n"
    )
    assert dsvc("show", "--inputs").out == "images/a.jpg\nimages/b.jpg\n"
    assert dsvc("add", "out").out.startswith("2 inputs added\n")
