"""Two people, Ada and Bo, label one dataset on two branches and merge: what each types, and exactly what they see."""

from .telling import Teller, pets, tell

__all__ = ["pets", "tell"]  # fixtures


# ---- both added

BOTH_ADDED_BEFORE = """\
Ada$ dsvc add c.png
Ada$ dsvc annotate c.png --concept cat --box 0,0,1,1
Ada$ dsvc commit -m "A third picture"
Bo$ dsvc switch bo
Bo$ dsvc add d.png
Bo$ dsvc annotate d.png --concept owl
Bo$ dsvc annotate a.png --concept owl --box 2,2,1,1
Bo$ dsvc commit -m "Owls"
Ada$ dsvc switch main
"""

BOTH_ADDED = """\
Ada$ dsvc merge bo --dry-run
would merge bo into pets main
  inputs       1 added
  annotations  2 added
  concepts     1 added
nothing was changed
Ada$ dsvc merge bo
[pets main C4] merged bo
  inputs       1 added
  annotations  2 added
  concepts     1 added
next: dsvc diff HEAD~1 HEAD, or take it back: dsvc undo
Ada$ dsvc show --inputs
a.png
b.png
c.png
d.png
Ada$ dsvc show a.png
input a.png
  media: image/png, 4 x 3, 83 bytes, blob e98a9dd5f428
2 annotations:
  a.png#A5  owl  box 2,2,1,1
  a.png#A1  cat  box 0,0,2,2
Ada$ dsvc conflicts
no open conflicts
Ada$ dsvc status
dataset pets, branch main, at C4
holds 4 inputs, 5 annotations, 3 concepts
nothing staged
Ada$ dsvc export HEAD --format coco -o out
wrote out: coco/1, 4 inputs, 5 annotations
Ada$ dsvc merge bo
already up to date with bo
Bo$ dsvc switch bo
now on branch bo of pets, at C3
Bo$ dsvc merge main
[pets bo C4] went forward to main
  inputs       1 added
  annotations  1 added
next: dsvc diff @C3 HEAD, or take it back: dsvc undo
Bo$ dsvc log --oneline
C4 [bo, main] merge pets:bo
C3 Owls
C2 A third picture
C1 First labels
"""


def test_both_added(pets: Teller) -> None:
    """Each finds the other's picture and labels beside their own."""
    pets.do(BOTH_ADDED_BEFORE)
    pets(BOTH_ADDED)


# ---- one deleted one untouched

ONE_DELETED_ONE_UNTOUCHED_BEFORE = """\
Ada$ dsvc rm a.png#A1
Ada$ dsvc commit -m "No cat there"
Bo$ dsvc switch bo
Bo$ dsvc set b.png --split val
Bo$ dsvc commit -m "A split"
"""

ONE_DELETED_ONE_UNTOUCHED = """\
Bo$ dsvc merge main
[pets bo C4] merged main
  annotations  1 removed
next: dsvc diff HEAD~1 HEAD, or take it back: dsvc undo
Bo$ dsvc show a.png
input a.png
  media: image/png, 4 x 3, 83 bytes, blob e98a9dd5f428
0 annotations
Bo$ dsvc show b.png
input b.png
  media: image/png, 4 x 3, 83 bytes, blob 8fcfb6b75ff5
  split: val
1 annotation:
  b.png#A2  dog  box 1,1,3,2
Bo$ dsvc conflicts
no open conflicts
Bo$ dsvc status
dataset pets, branch bo, at C4
holds 2 inputs, 1 annotation, 2 concepts
nothing staged
Bo$ dsvc export HEAD --format coco -o out
wrote out: coco/1, 2 inputs, 1 annotation
"""


def test_one_deleted_one_untouched(pets: Teller) -> None:
    """What one side took away and the other left alone is gone."""
    pets.do(ONE_DELETED_ONE_UNTOUCHED_BEFORE)
    pets(ONE_DELETED_ONE_UNTOUCHED)


# ---- one deleted one edited

ONE_DELETED_ONE_EDITED_BEFORE = """\
Ada$ dsvc rm a.png#A1
Ada$ dsvc commit -m "No cat there"
Bo$ dsvc switch bo
Bo$ dsvc annotate a.png#A1 --concept lynx
Bo$ dsvc commit -m "A lynx"
Ada$ dsvc switch main
"""

ONE_DELETED_ONE_EDITED = """\
Ada$ dsvc merge bo
[pets main C4] merged bo
  annotations  1 in conflict
  concepts     1 added
1 record with open conflicts: versions and exports wait until they are settled
next: dsvc conflicts, or take it back: dsvc undo
Ada$ dsvc status
dataset pets, branch main, at C4
holds 2 inputs, 2 annotations, 3 concepts
1 record with open conflicts; next: dsvc conflicts
nothing staged
Ada$ dsvc show a.png
input a.png
  media: image/png, 4 x 3, 83 bytes, blob e98a9dd5f428
1 annotation:
  a.png#A1  lynx  box 0,0,2,2  in conflict: exists
Ada$ dsvc conflicts
a.png#A1  exists
  1  no (deleted)   Ada <ada@example.org>  2024-05-01 12:01  C2
  2  yes (changed)  Bo <bo@example.org>    2024-05-01 12:02  C3
1 open conflict; next: dsvc resolve 'a.png#A1' exists --take N
Ada$ dsvc export HEAD --format coco -o out
error: there are open conflicts, in 1 record
hint: list them: dsvc conflicts; settle them: dsvc resolve; then: dsvc commit -m TEXT
exit 3
Ada$ dsvc version create v1
error: there are open conflicts, in 1 record
hint: list them: dsvc conflicts; settle them: dsvc resolve; then: dsvc commit -m TEXT
exit 3
Ada$ dsvc resolve a.png#A1 --take 1
settled 1 conflict: a.png#A1 exists
removed 1 annotation
next: dsvc commit -m TEXT
Ada$ dsvc show a.png
input a.png
  media: image/png, 4 x 3, 83 bytes, blob e98a9dd5f428
0 annotations
Ada$ dsvc undo
undid: resolve a.png#A1 (draft pets main)
dsvc redo brings it back
Ada$ dsvc resolve a.png#A1 exists --author bo
settled 1 conflict: a.png#A1 exists
next: dsvc commit -m TEXT
Ada$ dsvc show a.png
input a.png
  media: image/png, 4 x 3, 83 bytes, blob e98a9dd5f428
1 annotation:
  a.png#A1  lynx  box 0,0,2,2
Ada$ dsvc commit -m "It is a lynx"
[pets main C5] It is a lynx
holds 2 inputs, 2 annotations, 3 concepts
next: dsvc version create, or dsvc log
Ada$ dsvc export HEAD --format coco -o out
wrote out: coco/1, 2 inputs, 2 annotations
"""


def test_one_deleted_one_edited(pets: Teller) -> None:
    """Nobody's work is lost: whether the box exists is asked, and both answers can be given."""
    pets.do(ONE_DELETED_ONE_EDITED_BEFORE)
    pets(ONE_DELETED_ONE_EDITED)


# ---- both moved the same box

BOTH_MOVED_THE_SAME_BOX_BEFORE = """\
Ada$ dsvc annotate a.png#A1 --box 0,0,3,3
Ada$ dsvc commit -m "Larger"
Bo$ dsvc switch bo
Bo$ dsvc annotate a.png#A1 --box 0,0,2,1
Bo$ dsvc commit -m "Flatter"
Ada$ dsvc switch main
"""

BOTH_MOVED_THE_SAME_BOX = """\
Ada$ dsvc merge bo
[pets main C4] merged bo
  annotations  1 in conflict
1 record with open conflicts: versions and exports wait until they are settled
next: dsvc conflicts, or take it back: dsvc undo
Ada$ dsvc status
dataset pets, branch main, at C4
holds 2 inputs, 2 annotations, 2 concepts
1 record with open conflicts; next: dsvc conflicts
nothing staged
Ada$ dsvc show a.png#A1
annotation a.png#A1
  cat  in conflict: shape
  see: dsvc conflicts 'a.png#A1'
Ada$ dsvc conflicts a.png
a.png#A1  shape
  1  box 0,0,2,1  Bo <bo@example.org>    2024-05-01 12:02  C3
  2  box 0,0,3,3  Ada <ada@example.org>  2024-05-01 12:01  C2
1 open conflict; next: dsvc resolve 'a.png#A1' shape --take N
Ada$ dsvc resolve a.png#A1 shape --from bo
settled 1 conflict: a.png#A1 shape
next: dsvc commit -m TEXT
Ada$ dsvc show a.png#A1
annotation a.png#A1
  cat  box 0,0,2,1
Ada$ dsvc export HEAD --format coco -o out --committed
error: there are open conflicts, in 1 record
hint: list them: dsvc conflicts; settle them: dsvc resolve; then: dsvc commit -m TEXT
exit 3
Ada$ dsvc undo
undid: resolve a.png#A1 (draft pets main)
dsvc redo brings it back
Ada$ dsvc annotate a.png#A1 --box 0,0,3,1
changed a.png#A1 cat
settled 1 conflict: shape
next: dsvc commit -m TEXT
Ada$ dsvc conflicts
no open conflicts
Ada$ dsvc commit -m "Both a little"
[pets main C5] Both a little
holds 2 inputs, 2 annotations, 2 concepts
next: dsvc version create, or dsvc log
Ada$ dsvc status
dataset pets, branch main, at C5
holds 2 inputs, 2 annotations, 2 concepts
nothing staged
Ada$ dsvc export HEAD --format coco -o out
wrote out: coco/1, 2 inputs, 2 annotations
"""


def test_both_moved_the_same_box(pets: Teller) -> None:
    """Two places for one box are two candidates; the rest of the box is no question."""
    pets.do(BOTH_MOVED_THE_SAME_BOX_BEFORE)
    pets(BOTH_MOVED_THE_SAME_BOX)


# ---- one moved and one relabelled

ONE_MOVED_AND_ONE_RELABELLED_BEFORE = """\
Ada$ dsvc annotate a.png#A1 --box 0,0,3,3
Ada$ dsvc commit -m "Larger"
Bo$ dsvc switch bo
Bo$ dsvc annotate a.png#A1 --concept lynx
Bo$ dsvc commit -m "A lynx"
Ada$ dsvc switch main
"""

ONE_MOVED_AND_ONE_RELABELLED = """\
Ada$ dsvc merge bo
[pets main C4] merged bo
  annotations  1 combined
  concepts     1 added
next: dsvc diff HEAD~1 HEAD, or take it back: dsvc undo
Ada$ dsvc show a.png#A1
annotation a.png#A1
  lynx  box 0,0,3,3
Ada$ dsvc conflicts
no open conflicts
Ada$ dsvc status
dataset pets, branch main, at C4
holds 2 inputs, 2 annotations, 3 concepts
nothing staged
Ada$ dsvc export HEAD --format coco -o out
wrote out: coco/1, 2 inputs, 2 annotations
"""


def test_one_moved_and_one_relabelled(pets: Teller) -> None:
    """Different fields of one box combine by themselves."""
    pets.do(ONE_MOVED_AND_ONE_RELABELLED_BEFORE)
    pets(ONE_MOVED_AND_ONE_RELABELLED)


# ---- both added the same box

BOTH_ADDED_THE_SAME_BOX_BEFORE = """\
Ada$ dsvc annotate a.png --concept owl --box 1,0,2,2
Ada$ dsvc commit -m "An owl"
Bo$ dsvc switch bo
Bo$ dsvc annotate a.png --concept owl --box 1,0,2,2
Bo$ dsvc commit -m "I see an owl"
Ada$ dsvc switch main
"""

BOTH_ADDED_THE_SAME_BOX = """\
Ada$ dsvc merge bo
[pets main C4] merged bo
  no record changes: all of it was here
next: dsvc diff HEAD~1 HEAD, or take it back: dsvc undo
Ada$ dsvc show a.png
input a.png
  media: image/png, 4 x 3, 83 bytes, blob e98a9dd5f428
2 annotations:
  a.png#A1  cat  box 0,0,2,2
  a.png#A3  owl  box 1,0,2,2
Ada$ dsvc conflicts
no open conflicts
Ada$ dsvc status
dataset pets, branch main, at C4
holds 2 inputs, 3 annotations, 3 concepts
nothing staged
Ada$ dsvc export HEAD --format coco -o out
wrote out: coco/1, 2 inputs, 3 annotations
"""


def test_both_added_the_same_box(pets: Teller) -> None:
    """The same box has the same id, whoever draws it."""
    pets.do(BOTH_ADDED_THE_SAME_BOX_BEFORE)
    pets(BOTH_ADDED_THE_SAME_BOX)
