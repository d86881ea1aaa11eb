"""Stories of a tracked folder and what others bring: it is not missing here, and `add -A` leaves it alone."""

import json
from pathlib import Path
from typing import Any

import pytest

from .conftest import picture
from .telling import Teller, tell

__all__ = ["tell"]

BEFORE = """\
Ada$ dsvc init
Ada$ dsvc create pets
Ada$ dsvc add images --root images
Ada$ dsvc commit -m "First pictures"
Bo$ dsvc switch -c bo
Bo$ dsvc add desk/owl.png --root desk
Bo$ dsvc annotate owl.png --concept owl
Bo$ dsvc commit -m "An owl"
Ada$ dsvc switch main
"""


@pytest.fixture
def images(tell: Teller, tmp_path: Path) -> Path:
    """Ada's folder of cat.png and dog.png, tracked; on the branch bo is owl.png, too, whose file is on Bo's desk."""
    place = tmp_path / "project"
    for color, name in enumerate(("images/cat.png", "images/dog.png", "desk/owl.png"), 10):
        (place / name).parent.mkdir(exist_ok=True)
        (place / name).write_bytes(picture(color=color))
    tell.do(BEFORE)
    return place / "images"


MERGE = """\
Ada$ dsvc merge bo
[pets main C2] went forward to bo
  inputs       1 added
  annotations  1 added
  concepts     1 added
next: dsvc diff @C1 HEAD, or take it back: dsvc undo
Ada$ dsvc status
dataset pets, branch main, at C2
holds 3 inputs, 1 annotation, 1 concept
files:
  1 input has no file here; to lay files out: dsvc checkout pets FOLDER
nothing staged
Ada$ dsvc add -A
2 unchanged
Ada$ dsvc status
dataset pets, branch main, at C2
holds 3 inputs, 1 annotation, 1 concept
files:
  1 input has no file here; to lay files out: dsvc checkout pets FOLDER
nothing staged
Ada$ dsvc checkout pets lay
lay holds pets at C2: 3 files added, annotations/instances.json, annotations/labels.json written
Ada$ dsvc status
dataset pets, branch main, at C2
holds 3 inputs, 1 annotation, 1 concept
nothing staged
Ada$ dsvc add -A
2 unchanged
"""

DELETED = """\
Ada$ dsvc status
dataset pets, branch main, at C2
holds 3 inputs, 1 annotation, 1 concept
files:
  1 renamed: dog.png -> puppy.png
  1 missing: cat.png
  1 input has no file here; to lay files out: dsvc checkout pets FOLDER
next: dsvc add -A
Ada$ dsvc add -A
1 renamed, 1 removed
next: dsvc commit -m TEXT
"""


def test_a_merge(tell: Teller, images: Path) -> None:
    """Ada merges Bo's owl: nothing is to be taken in, before and after its file is laid out. Her own deletions are."""
    tell(MERGE)
    (images / "cat.png").unlink()
    (images / "dog.png").rename(images / "puppy.png")
    tell.do("Ada$ dsvc checkout --forget lay\n")
    tell(DELETED)


SWITCH = """\
Ada$ dsvc switch bo
now on branch bo of pets, at C2
Ada$ dsvc add -A
2 unchanged
Ada$ dsvc switch main
now on branch main of pets, at C1
Ada$ dsvc status
dataset pets, branch main, at C1
holds 2 inputs, 0 annotations, 0 concepts
nothing staged
Ada$ dsvc add -A
2 unchanged
"""


def test_a_switch_there_and_back(tell: Teller, images: Path) -> None:
    tell(SWITCH)


def test_counts_in_json(tell: Teller, images: Path, dsvc: Any) -> None:
    tell.do("Ada$ dsvc merge bo\n")
    found = json.loads(dsvc("status", "--json").out)["files"]
    assert (found["tracked"], found["missing"], found["elsewhere"]) == (["images"], [], 1)


KEPT = """\
Ada$ dsvc status
dataset pets, branch main, at C3
holds 2 inputs, 1 annotation, 1 concept
lay, a checkout of pets at C3:
  lay/images/cat.png is gone, and left alone: its file is still in images
  lay/images/dog.png is renamed to puppy.png, and left alone: its file is still in images
next: dsvc checkout
Ada$ dsvc add -A
2 unchanged
note: lay/images/cat.png is gone, and left alone: its file is still in images
note: lay/images/dog.png is renamed to puppy.png, and left alone: its file is still in images
Ada$ dsvc checkout
lay holds pets at C3: 2 files added
Ada$ dsvc status
dataset pets, branch main, at C3
holds 2 inputs, 1 annotation, 1 concept
lay, a checkout of pets at C3:
  1 new: puppy.png
next: dsvc add -A
"""

DELETED_IN_BOTH = """\
Ada$ dsvc add -A
1 removed with 1 annotation, 1 unchanged
next: dsvc commit -m TEXT
Ada$ dsvc commit -m "No cat"
[pets main C4] No cat
holds 1 input, 0 annotations, 1 concept
next: dsvc version create, or dsvc log
lay is now at C4: 1 removed, annotations/instances.json written
"""


def test_a_checkout_beside_a_tracked_folder(tell: Teller, images: Path, dsvc: Any) -> None:
    """What goes in the checkout alone stays in the dataset; what goes in the tracked folder goes from both."""
    tell.do("Ada$ dsvc annotate cat.png --concept cat\nAda$ dsvc commit -m Labels\nAda$ dsvc checkout pets lay\n")
    laid = images.parent / "lay/images"
    (laid / "cat.png").unlink()
    (laid / "dog.png").rename(laid / "puppy.png")
    [found] = json.loads(dsvc("status", "--json").out)["folders"]
    assert (found["missing"], found["renamed"]) == ([], []) and found["kept"] == [
        {"key": "cat.png", "new": None, "folder": "images"},
        {"key": "dog.png", "new": "puppy.png", "folder": "images"},
    ]
    tell(KEPT)
    (laid / "puppy.png").unlink()
    (images / "cat.png").unlink()
    tell(DELETED_IN_BOTH)
    assert [path.name for path in laid.iterdir()] == ["dog.png"]
