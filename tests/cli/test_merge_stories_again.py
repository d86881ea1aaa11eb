"""What is merged more than once, and what is settled: see telling.py."""

from .telling import Teller, pets, tell

__all__ = ["pets", "tell"]  # fixtures


# ---- both resolved a conflict differently

BOTH_RESOLVED_A_CONFLICT_DIFFERENTLY_BEFORE = """\
Ada$ dsvc annotate a.png#A1 --concept lynx
Ada$ dsvc commit -m "A lynx"
Bo$ dsvc switch bo
Bo$ dsvc annotate a.png#A1 --concept tiger
Bo$ dsvc commit -m "A tiger"
Ada$ dsvc switch main
Ada$ dsvc merge bo
"""

BOTH_RESOLVED_A_CONFLICT_DIFFERENTLY = """\
Bo$ dsvc switch bo
now on branch bo of pets, at C3
Bo$ dsvc merge main
[pets bo C4] went forward to main
  annotations  1 in conflict
  concepts     1 added
1 record with open conflicts: versions and exports wait until they are settled
next: dsvc conflicts, or take it back: dsvc undo
Bo$ dsvc resolve a.png#A1 concept --take 2
settled 1 conflict: a.png#A1 concept
next: dsvc commit -m TEXT
Bo$ dsvc commit -m "Still a tiger"
[pets bo C5] Still a tiger
holds 2 inputs, 2 annotations, 4 concepts
next: dsvc version create, or dsvc log
Ada$ dsvc switch main
now on branch main of pets, at C4
Ada$ dsvc resolve a.png#A1 concept --take 1
settled 1 conflict: a.png#A1 concept
next: dsvc commit -m TEXT
Ada$ dsvc commit -m "Still a lynx"
[pets main C6] Still a lynx
holds 2 inputs, 2 annotations, 4 concepts
next: dsvc version create, or dsvc log
Ada$ dsvc merge bo
[pets main C7] merged bo
  annotations  1 in conflict
1 record with open conflicts: versions and exports wait until they are settled
next: dsvc conflicts, or take it back: dsvc undo
Ada$ dsvc conflicts
a.png#A1  concept
  1  lynx   Ada <ada@example.org>  2024-05-01 12:01  C2
  2  tiger  Bo <bo@example.org>    2024-05-01 12:02  C3
1 open conflict; next: dsvc resolve 'a.png#A1' concept --take N
Ada$ dsvc show a.png
input a.png
  media: image/png, 4 x 3, 83 bytes, blob e98a9dd5f428
1 annotation:
  a.png#A1  box 0,0,2,2  in conflict: concept
Ada$ dsvc status
dataset pets, branch main, at C7
holds 2 inputs, 2 annotations, 4 concepts
1 record with open conflicts; next: dsvc conflicts
nothing staged
Ada$ dsvc export HEAD --format coco -o out
error: there are open conflicts, in 1 record
hint: list them: dsvc conflicts; settle them: dsvc resolve; then: dsvc commit -m TEXT
exit 3
Ada$ dsvc resolve --all --author bo
settled 1 conflict: a.png#A1 concept
next: dsvc commit -m TEXT
Ada$ dsvc commit -m "Bo is right"
[pets main C8] Bo is right
holds 2 inputs, 2 annotations, 4 concepts
next: dsvc version create, or dsvc log
Ada$ dsvc show a.png
input a.png
  media: image/png, 4 x 3, 83 bytes, blob e98a9dd5f428
1 annotation:
  a.png#A1  tiger  box 0,0,2,2
Ada$ dsvc export HEAD --format coco -o out
wrote out: coco/1, 2 inputs, 2 annotations
Ada$ dsvc merge bo
already up to date with bo
"""


def test_both_resolved_a_conflict_differently(pets: Teller) -> None:
    """Two answers to one question are a question again."""
    pets.do(BOTH_RESOLVED_A_CONFLICT_DIFFERENTLY_BEFORE)
    pets(BOTH_RESOLVED_A_CONFLICT_DIFFERENTLY)


# ---- one deleted a picture one labelled it

ONE_DELETED_A_PICTURE_ONE_LABELLED_IT_BEFORE = """\
Ada$ dsvc rm b.png
Ada$ dsvc commit -m "Blurred"
Bo$ dsvc switch bo
Bo$ dsvc annotate b.png --concept cat --box 0,0,1,1
Bo$ dsvc commit -m "A small cat"
Ada$ dsvc switch main
"""

ONE_DELETED_A_PICTURE_ONE_LABELLED_IT = """\
Ada$ dsvc show --inputs
a.png
Ada$ dsvc merge bo
[pets main C4] merged bo
  inputs       1 restored
  annotations  1 added, 1 restored
restored: one side deleted them, and what the other side has needs them
next: dsvc diff HEAD~1 HEAD, or take it back: dsvc undo
Ada$ dsvc show b.png
input b.png
  media: image/png, 4 x 3, 83 bytes, blob 8fcfb6b75ff5
2 annotations:
  b.png#A2  dog  box 1,1,3,2
  b.png#A3  cat  box 0,0,1,1
Ada$ dsvc conflicts
no open conflicts
Ada$ dsvc status
dataset pets, branch main, at C4
holds 2 inputs, 3 annotations, 2 concepts
nothing staged
Ada$ dsvc export HEAD --format coco -o out
wrote out: coco/1, 2 inputs, 3 annotations
"""


def test_one_deleted_a_picture_one_labelled_it(pets: Teller) -> None:
    """A picture that somebody still works on stays whole."""
    pets.do(ONE_DELETED_A_PICTURE_ONE_LABELLED_IT_BEFORE)
    pets(ONE_DELETED_A_PICTURE_ONE_LABELLED_IT)


# ---- criss cross

CRISS_CROSS_BEFORE = """\
Ada$ dsvc annotate a.png#A1 --box 0,0,3,3
Ada$ dsvc commit -m "Larger"
Bo$ dsvc switch bo
Bo$ dsvc annotate b.png#A2 --concept wolf
Bo$ dsvc commit -m "A wolf"
Bo$ dsvc branch bo-before
Bo$ dsvc merge main
Ada$ dsvc switch main
Ada$ dsvc merge bo-before
Ada$ dsvc annotate a.png#A1 --concept lynx
Ada$ dsvc commit -m "A lynx"
Bo$ dsvc switch bo
Bo$ dsvc annotate b.png#A2 --box 0,0,3,2
Bo$ dsvc commit -m "Wider"
"""

CRISS_CROSS = """\
Bo$ dsvc merge main
[pets bo C8] merged main
  annotations  1 changed
  concepts     1 added
next: dsvc diff HEAD~1 HEAD, or take it back: dsvc undo
Bo$ dsvc log --graph --oneline
* C8 [bo] merge pets
|\\
* | C7 Wider
| * C6 [main] A lynx
| * C5 merge pets:bo-before
| |\\
* | | C4 merge pets
|\\ \\ \\
|_|_|/
* | | C3 [bo-before] A wolf
| |/
| * C2 Larger
|/
* C1 First labels
Bo$ dsvc show a.png#A1
annotation a.png#A1
  lynx  box 0,0,3,3
Bo$ dsvc show b.png#A2
annotation b.png#A2
  wolf  box 0,0,3,2
Bo$ dsvc conflicts
no open conflicts
Bo$ dsvc status
dataset pets, branch bo, at C8
holds 2 inputs, 2 annotations, 4 concepts
nothing staged
Bo$ dsvc export HEAD --format coco -o out
wrote out: coco/1, 2 inputs, 2 annotations
Ada$ dsvc switch main
now on branch main of pets, at C6
Ada$ dsvc merge bo
[pets main C8] went forward to bo
  annotations  1 changed
next: dsvc diff @C6 HEAD, or take it back: dsvc undo
"""


def test_criss_cross(pets: Teller) -> None:
    """Both merged each other's work, and went on: what was settled stays settled."""
    pets.do(CRISS_CROSS_BEFORE)
    pets(CRISS_CROSS)
