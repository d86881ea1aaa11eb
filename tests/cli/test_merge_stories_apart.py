"""Merges of other datasets, and through filters: see telling.py."""

import json
from pathlib import Path

from .conftest import picture
from .telling import Teller, pets, tell, write_coco

__all__ = ["pets", "tell"]  # fixtures


# ---- concept lists numbered differently

CONCEPT_LISTS_NUMBERED_DIFFERENTLY_BEFORE = """\
Ada$ dsvc init
Ada$ dsvc create pets
Ada$ dsvc import ada.json
Ada$ dsvc commit -m "Ada's labels"
Bo$ dsvc create zoo
Bo$ dsvc import bo.json
Bo$ dsvc commit -m "Bo's labels"
Ada$ dsvc use pets
"""

CONCEPT_LISTS_NUMBERED_DIFFERENTLY = """\
Ada$ dsvc merge zoo
[pets main C3] merged zoo
  inputs       1 added
  annotations  2 added
  concepts     1 added
next: dsvc diff HEAD~1 HEAD, or take it back: dsvc undo
Ada$ dsvc concept list
cat  2 annotations  2 inputs  number 1
dog   1 annotation   1 input  number 1
owl   1 annotation   1 input  number 2
Ada$ dsvc show b.png
input b.png
  media: none yet; give it: dsvc add PATH
  declared size: 4 x 3
  number: 1
2 annotations:
  b.png#A1  cat  box 0,0,1,1, area 1
  b.png#A2  dog  box 1,1,3,2, area 6
Ada$ dsvc conflicts
no open conflicts
Ada$ dsvc status
dataset pets, branch main, at C3
holds 3 inputs, 4 annotations, 3 concepts
nothing staged
Ada$ dsvc export HEAD --format coco -o out
wrote out: coco/1, 3 inputs, 4 annotations
note: 1 image renumbered, since their numbers were taken
note: 1 category renumbered, since their numbers were taken
note: 1 annotation renumbered, since their numbers were taken
Ada$ dsvc merge zoo
already up to date with zoo
"""


def check_export(path: Path) -> None:
    """All numbers are given once, and every annotation is on its own image with its own concept."""
    document = json.loads(path.read_text())
    images, names = ({one["id"]: one for one in document[part]} for part in ("images", "categories"))
    assert (len(images), len(names), len({one["id"] for one in document["annotations"]})) == (3, 3, 4)
    found = {
        (images[one["image_id"]]["file_name"], names[one["category_id"]]["name"], *one["bbox"])
        for one in document["annotations"]
    }
    assert found == {
        ("a.png", "cat", 0, 0, 2, 2),
        ("b.png", "dog", 1, 1, 3, 2),
        ("b.png", "cat", 0, 0, 1, 1),
        ("c.png", "owl", 0, 1, 2, 2),
    }


def test_concept_lists_numbered_differently(tell: Teller) -> None:
    """Concepts meet by name; at export every number is given once."""
    write_coco("ada.json", ["cat", "dog"], [("a.png", "cat", (0, 0, 2, 2)), ("b.png", "dog", (1, 1, 3, 2))])
    bo = [("b.png", "dog", (1, 1, 3, 2)), ("b.png", "cat", (0, 0, 1, 1)), ("c.png", "owl", (0, 1, 2, 2))]
    write_coco("bo.json", ["dog", "owl", "cat"], bo)
    tell.do(CONCEPT_LISTS_NUMBERED_DIFFERENTLY_BEFORE)
    tell(CONCEPT_LISTS_NUMBERED_DIFFERENTLY)
    check_export(Path("out/annotations/instances.json"))


# ---- unrelated datasets with a shared picture

UNRELATED_DATASETS_WITH_A_SHARED_PICTURE_BEFORE = """\
Ada$ dsvc init
Ada$ dsvc create pets
Ada$ dsvc add a.png b.png
Ada$ dsvc annotate a.png --concept cat --box 0,0,2,2
Ada$ dsvc annotate b.png --concept dog --box 1,1,3,2
Ada$ dsvc commit -m "Ada's pets"
Bo$ dsvc create zoo
Bo$ dsvc add shots/one.png shots/two.png
Bo$ dsvc add b.png
Bo$ dsvc annotate shots/one.png --concept lynx --box 0,0,2,2
Bo$ dsvc annotate shots/two.png --concept emu
Bo$ dsvc annotate b.png --concept dog --box 1,1,3,2
Bo$ dsvc set b.png --split val
Bo$ dsvc commit -m "Bo's zoo"
Ada$ dsvc use pets
"""

UNRELATED_DATASETS_WITH_A_SHARED_PICTURE = """\
Ada$ dsvc merge zoo
[pets main C3] merged zoo
  inputs       2 added, 1 changed
  annotations  2 added
  concepts     2 added
same bytes, both stay: shots/one.png and a.png
to make one of each two: dsvc undo, then dsvc merge zoo --dedupe
next: dsvc diff HEAD~1 HEAD, or take it back: dsvc undo
Ada$ dsvc show --inputs
a.png
b.png
shots/one.png
shots/two.png
Ada$ dsvc show b.png
input b.png
  media: image/png, 4 x 3, 83 bytes, blob 8fcfb6b75ff5
  split: val
1 annotation:
  b.png#A2  dog  box 1,1,3,2
Ada$ dsvc undo
undid: merge zoo (branch pets main)
dsvc redo brings it back
Ada$ dsvc merge zoo --dedupe --dry-run
would merge zoo into pets main
  inputs       1 added, 1 changed
  annotations  2 added
  concepts     2 added
same bytes, would be made one: shots/one.png and a.png
nothing was changed
Ada$ dsvc merge zoo --dedupe
[pets main C4] merged zoo
  inputs       1 added, 1 changed
  annotations  2 added
  concepts     2 added
same bytes, made one: shots/one.png and a.png
next: dsvc diff HEAD~1 HEAD, or take it back: dsvc undo
Ada$ dsvc show --inputs
a.png
b.png
shots/two.png
Ada$ dsvc show a.png
input a.png
  media: image/png, 4 x 3, 83 bytes, blob e98a9dd5f428
2 annotations:
  a.png#A1  cat  box 0,0,2,2
  a.png#A3  lynx  box 0,0,2,2
Ada$ dsvc conflicts
no open conflicts
Ada$ dsvc status
dataset pets, branch main, at C4
holds 3 inputs, 4 annotations, 4 concepts
nothing staged
Ada$ dsvc export HEAD --format coco -o out
wrote out: coco/1, 3 inputs, 4 annotations
"""


def test_unrelated_datasets_with_a_shared_picture(tell: Teller) -> None:
    """One picture under one key is one; under two keys it is told of, and made one on demand."""
    Path("shots").mkdir()
    for old, new in (("a", "one"), ("d", "two")):
        Path(f"shots/{new}.png").write_bytes(Path(f"{old}.png").read_bytes())
    tell.do(UNRELATED_DATASETS_WITH_A_SHARED_PICTURE_BEFORE)
    tell(UNRELATED_DATASETS_WITH_A_SHARED_PICTURE)


# ---- filtered then full

FILTERED_THEN_FULL_BEFORE = """\
Bo$ dsvc switch bo
Bo$ dsvc add c.png d.png
Bo$ dsvc annotate c.png --concept owl --box 0,0,1,1
Bo$ dsvc annotate d.png --concept cat --box 0,0,1,1
Bo$ dsvc annotate a.png --concept owl --box 2,0,2,2
Bo$ dsvc annotate b.png#A2 --concept wolf
Bo$ dsvc commit -m "More"
Ada$ dsvc switch main
"""

FILTERED_THEN_FULL = """\
Ada$ dsvc merge bo --where "concept = 'owl'" --dry-run
would merge bo into pets main, of which 2 inputs match
  inputs       1 added
  annotations  2 added
  concepts     1 added
nothing was changed
Ada$ dsvc merge bo --where "concept = 'owl'"
[pets main C3] merged bo, of which 2 inputs match
  inputs       1 added
  annotations  2 added
  concepts     1 added
next: dsvc diff HEAD~1 HEAD, or take it back: dsvc undo
Ada$ dsvc show --inputs
a.png
b.png
c.png
Ada$ dsvc show a.png
input a.png
  media: image/png, 4 x 3, 83 bytes, blob e98a9dd5f428
2 annotations:
  a.png#A1  cat  box 0,0,2,2
  a.png#A5  owl  box 2,0,2,2
Ada$ dsvc log --graph --oneline
* C3 [main] merge pets:bo where concept = 'owl'
|\\
| * C4 part of C2 where concept = 'owl'
|/
* C1 First labels
Ada$ dsvc merge bo
[pets main C5] merged bo
  inputs       1 added
  annotations  1 added, 1 changed
  concepts     1 added
next: dsvc diff HEAD~1 HEAD, or take it back: dsvc undo
Ada$ dsvc diff bo HEAD --stat
no differences
Ada$ dsvc conflicts
no open conflicts
Ada$ dsvc status
dataset pets, branch main, at C5
holds 4 inputs, 5 annotations, 4 concepts
nothing staged
Ada$ dsvc export HEAD --format coco -o out
wrote out: coco/1, 4 inputs, 5 annotations
"""


def test_filtered_then_full(pets: Teller) -> None:
    """First the owls, then the rest: as if all had been merged at once."""
    pets.do(FILTERED_THEN_FULL_BEFORE)
    pets(FILTERED_THEN_FULL)


# ---- filtered twice

FILTERED_TWICE_BEFORE = """\
Bo$ dsvc switch bo
Bo$ dsvc add c.png d.png
Bo$ dsvc annotate c.png --concept owl --box 0,0,1,1
Bo$ dsvc commit -m "An owl"
Ada$ dsvc switch main
"""

FILTERED_TWICE = """\
Ada$ dsvc merge bo --where "concept = 'owl'"
[pets main C3] merged bo, of which 1 input matches
  inputs       1 added
  annotations  1 added
  concepts     1 added
next: dsvc diff HEAD~1 HEAD, or take it back: dsvc undo
Ada$ dsvc merge bo --where "concept = 'owl'"
already up to date with bo, of which 1 input matches
Ada$ dsvc merge bo --where "concept = 'emu'"
nothing to take: no input of bo matches; what there is: dsvc show bo
Bo$ dsvc switch bo
now on branch bo of pets, at C2
Bo$ dsvc annotate c.png#A3 --box 0,0,2,2
changed c.png#A3 owl
next: dsvc commit -m TEXT
Bo$ dsvc annotate d.png --concept owl
added d.png#A4 owl
next: dsvc commit -m TEXT
Bo$ dsvc commit -m "Another owl"
[pets bo C4] Another owl
holds 4 inputs, 4 annotations, 3 concepts
next: dsvc version create, or dsvc log
Ada$ dsvc switch main
now on branch main of pets, at C3
Ada$ dsvc annotate c.png#A3 --concept "barn owl"
changed c.png#A3 barn owl
new concept barn owl
next: dsvc commit -m TEXT
Ada$ dsvc commit -m "What kind of owl"
[pets main C5] What kind of owl
holds 3 inputs, 3 annotations, 4 concepts
next: dsvc version create, or dsvc log
Ada$ dsvc merge bo --where "concept = 'owl'"
[pets main C6] merged bo, of which 2 inputs match
  inputs       1 added
  annotations  1 added, 1 combined
next: dsvc diff HEAD~1 HEAD, or take it back: dsvc undo
Ada$ dsvc show c.png
input c.png
  media: image/png, 4 x 3, 83 bytes, blob 4f4fbb113955
1 annotation:
  c.png#A3  barn owl  box 0,0,2,2
Ada$ dsvc conflicts
no open conflicts
Ada$ dsvc status
dataset pets, branch main, at C6
holds 4 inputs, 4 annotations, 4 concepts
nothing staged
Ada$ dsvc export HEAD --format coco -o out
wrote out: coco/1, 4 inputs, 4 annotations
Ada$ dsvc log --graph --oneline
* C6 [main] merge pets:bo where concept = 'owl'
|\\
* | C5 What kind of owl
| * C7 part of C4 where concept = 'owl'
* | C3 merge pets:bo where concept = 'owl'
|\\ \\
| |/
| * C8 part of C2 where concept = 'owl'
|/
* C1 First labels
"""


def test_filtered_twice(pets: Teller) -> None:
    """The same filter again takes what is new, and keeps what was changed here meanwhile."""
    pets.do(FILTERED_TWICE_BEFORE)
    pets(FILTERED_TWICE)


# ---- tracked folders, and another dataset with other bytes and other files

TRACKED_BEFORE = """\
Ada$ dsvc init
Ada$ dsvc create pets
Ada$ dsvc add ours --root ours
Ada$ dsvc commit -m "Ours"
Bo$ dsvc create zoo
Bo$ dsvc add theirs --root theirs
Bo$ dsvc annotate two.png --concept emu
Bo$ dsvc commit -m "Theirs"
Ada$ dsvc use pets
"""

TRACKED = """\
Ada$ dsvc merge zoo
[pets main C3] merged zoo
  inputs       1 added, 1 in conflict
  annotations  1 added
  concepts     1 added
1 record with open conflicts: versions and exports wait until they are settled
next: dsvc conflicts, or take it back: dsvc undo
Ada$ dsvc show one.png
input one.png
  in conflict: media; see: dsvc conflicts one.png
0 annotations
Ada$ dsvc untrack ours
tracked no more: ours; their inputs and files stay
dsvc add FOLDER tracks one again; dsvc undo does not, since this is a setting
Ada$ dsvc add ours --root ours
1 changed
tracked from now on: ours
next: dsvc commit -m TEXT
Ada$ dsvc conflicts
no open conflicts
Ada$ dsvc undo
undid: add ours (draft pets main)
dsvc redo brings it back
Ada$ dsvc status
dataset pets, branch main, at C3
holds 2 inputs, 1 annotation, 1 concept
1 record with open conflicts; next: dsvc conflicts
files:
  1 input has no file here; to lay files out: dsvc checkout pets FOLDER
nothing staged
"""


def test_tracked_folders(tell: Teller, tmp_path: Path) -> None:
    """What came has no file here, which is not missing; and a file that lies there settles no conflict by itself."""
    for color, name in enumerate(("ours/one.png", "theirs/one.png", "theirs/two.png"), 10):
        path = tmp_path / "project" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(picture(color=color))
    tell.do(TRACKED_BEFORE)
    tell(TRACKED)
