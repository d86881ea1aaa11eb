"""What merges and resolves can be told, and how each is taken back: see telling.py."""

from .telling import Teller, pets, tell

__all__ = ["pets", "tell"]  # fixtures


# ---- messages

MESSAGES_BEFORE = """\
Bo$ dsvc switch bo
Bo$ dsvc annotate a.png#A1 --concept lynx
Bo$ dsvc commit -m "A lynx"
Ada$ dsvc switch main
"""

MESSAGES = """\
Ada$ dsvc merge bo --no-commit -m "What Bo saw"
error: with --no-commit there is no commit yet that -m could describe
hint: leave one of the two out
exit 2
Ada$ dsvc merge bo -m "What Bo saw"
[pets main C2] went forward to bo
  annotations  1 changed
  concepts     1 added
note: the branch only goes forward, and there is no commit that -m could describe
next: dsvc diff @C1 HEAD, or take it back: dsvc undo
Ada$ dsvc undo
undid: merge pets:bo (branch pets main)
dsvc redo brings it back
Ada$ dsvc set b.png --split val
1 input changed, 0 unchanged
next: dsvc commit -m TEXT, or take it back: dsvc undo
Ada$ dsvc commit -m "A split"
[pets main C3] A split
holds 2 inputs, 2 annotations, 2 concepts
next: dsvc version create, or dsvc log
Ada$ dsvc merge bo -m "What Bo saw"
[pets main C4] merged bo
  annotations  1 changed
  concepts     1 added
next: dsvc diff HEAD~1 HEAD, or take it back: dsvc undo
Ada$ dsvc log --graph --oneline
* C4 [main] What Bo saw
|\\
* | C3 A split
| * C2 [bo] A lynx
|/
* C1 First labels
"""


def test_messages(pets: Teller) -> None:
    """-m is the merge's; where there is no commit to describe, that is said."""
    pets.do(MESSAGES_BEFORE)
    pets(MESSAGES)


# ---- no commit

NO_COMMIT_BEFORE = """\
Bo$ dsvc switch bo
Bo$ dsvc annotate a.png#A1 --concept lynx
Bo$ dsvc commit -m "A lynx"
Ada$ dsvc switch main
Ada$ dsvc annotate a.png#A1 --concept tiger
Ada$ dsvc commit -m "A tiger"
"""

NO_COMMIT = """\
Ada$ dsvc merge bo --no-commit --dry-run
would stage the merge of bo
  annotations  1 in conflict
  concepts     1 added
1 record would have open conflicts: versions and exports wait until they are settled
nothing was changed
Ada$ dsvc merge bo --no-commit
staged the merge of bo
  annotations  1 in conflict
  concepts     1 added
1 record with open conflicts: versions and exports wait until they are settled
next: dsvc conflicts, dsvc resolve; then: dsvc commit -m TEXT
Ada$ dsvc status
dataset pets, branch main, at C3
holds 2 inputs, 2 annotations, 4 concepts
staged:
  annotations: 1 changed
  concepts: 1 added
merging C2: the next commit has both lines behind it
1 record with open conflicts; next: dsvc conflicts
next: dsvc diff, then dsvc commit -m TEXT
Ada$ dsvc conflicts
a.png#A1  concept
  1  lynx   Bo <bo@example.org>    2024-05-01 12:01  C2
  2  tiger  Ada <ada@example.org>  2024-05-01 12:02  C3
1 open conflict; next: dsvc resolve 'a.png#A1' concept --take N
Ada$ dsvc undo
undid: merge pets:bo (draft pets main)
dsvc redo brings it back
Ada$ dsvc status
dataset pets, branch main, at C3
holds 2 inputs, 2 annotations, 3 concepts
nothing staged
Ada$ dsvc redo
did again: merge pets:bo (draft pets main)
Ada$ dsvc resolve a.png#A1 --take 1
settled 1 conflict: a.png#A1 concept
next: dsvc commit -m TEXT
Ada$ dsvc status
dataset pets, branch main, at C3
holds 2 inputs, 2 annotations, 4 concepts
staged:
  annotations: 1 changed
  concepts: 1 added
merging C2: the next commit has both lines behind it
next: dsvc diff, then dsvc commit -m TEXT
Ada$ dsvc commit -m "What Bo saw"
[pets main C4] What Bo saw
holds 2 inputs, 2 annotations, 4 concepts
next: dsvc version create, or dsvc log
Ada$ dsvc log --graph --oneline
* C4 [main] What Bo saw
|\\
* | C3 A tiger
| * C2 [bo] A lynx
|/
* C1 First labels
Ada$ dsvc merge bo
already up to date with bo
"""


def test_no_commit(pets: Teller) -> None:
    """A staged merge is looked at, settled, and committed with both lines behind it."""
    pets.do(NO_COMMIT_BEFORE)
    pets(NO_COMMIT)


# ---- no commit of the same

NO_COMMIT_OF_THE_SAME_BEFORE = """\
Bo$ dsvc switch bo
Bo$ dsvc annotate a.png#A1 --concept lynx
Bo$ dsvc commit -m "A lynx"
Ada$ dsvc switch main
Ada$ dsvc annotate a.png#A1 --concept lynx
Ada$ dsvc commit -m "A lynx, too"
"""

NO_COMMIT_OF_THE_SAME = """\
Ada$ dsvc merge bo --no-commit
staged the merge of bo
  no record changes: all of it was here
next: dsvc commit -m TEXT
Ada$ dsvc status
dataset pets, branch main, at C3
holds 2 inputs, 2 annotations, 3 concepts
merging C2: the next commit has both lines behind it
next: dsvc commit -m TEXT
Ada$ dsvc commit -m "Of one mind"
[pets main C4] Of one mind
holds 2 inputs, 2 annotations, 3 concepts
next: dsvc version create, or dsvc log
Ada$ dsvc status
dataset pets, branch main, at C4
holds 2 inputs, 2 annotations, 3 concepts
nothing staged
"""


def test_no_commit_of_the_same(pets: Teller) -> None:
    """A merge that changes no record is a merge all the same."""
    pets.do(NO_COMMIT_OF_THE_SAME_BEFORE)
    pets(NO_COMMIT_OF_THE_SAME)


# ---- prefer

PREFER_BEFORE = """\
Bo$ dsvc switch bo
Bo$ dsvc annotate a.png#A1 --concept lynx
Bo$ dsvc annotate b.png#A2 --box 0,0,1,1
Bo$ dsvc commit -m "A lynx"
Ada$ dsvc switch main
Ada$ dsvc annotate a.png#A1 --concept tiger
Ada$ dsvc commit -m "A tiger"
"""

PREFER = """\
Ada$ dsvc merge bo --prefer ours
[pets main C4] merged bo
  annotations  1 changed
  concepts     1 added
next: dsvc diff HEAD~1 HEAD, or take it back: dsvc undo
Ada$ dsvc show a.png#A1
annotation a.png#A1
  tiger  box 0,0,2,2
Ada$ dsvc show b.png#A2
annotation b.png#A2
  dog  box 0,0,1,1
Ada$ dsvc undo
undid: merge pets:bo (branch pets main)
dsvc redo brings it back
Ada$ dsvc merge bo --prefer theirs
[pets main C5] merged bo
  annotations  2 changed
  concepts     1 added
next: dsvc diff HEAD~1 HEAD, or take it back: dsvc undo
Ada$ dsvc show a.png#A1
annotation a.png#A1
  lynx  box 0,0,2,2
Ada$ dsvc status
dataset pets, branch main, at C5
holds 2 inputs, 2 annotations, 4 concepts
nothing staged
Ada$ dsvc undo
undid: merge pets:bo (branch pets main)
dsvc redo brings it back
Ada$ dsvc merge bo --prefer mine
error: invalid value for '--prefer': 'mine' is not one of 'ours', 'theirs'
hint: see: dsvc merge --help
exit 2
"""


def test_prefer(pets: Teller) -> None:
    """--prefer settles what clashes at once; what does not clash comes in all the same."""
    pets.do(PREFER_BEFORE)
    pets(PREFER)


# ---- many at once

MANY_AT_ONCE_BEFORE = """\
Bo$ dsvc switch bo
Bo$ dsvc annotate a.png#A1 --concept lynx --box 0,0,1,1
Bo$ dsvc set a.png b.png --metadata light=dim
Bo$ dsvc commit -m "A lynx"
Ada$ dsvc switch main
Ada$ dsvc annotate a.png#A1 --concept tiger --box 0,0,3,3
Ada$ dsvc set a.png b.png --metadata light=bright
Ada$ dsvc commit -m "A tiger"
Ada$ dsvc merge bo
"""

MANY_AT_ONCE = """\
Ada$ dsvc conflicts
a.png  metadata.light
  1  dim     Bo <bo@example.org>    2024-05-01 12:01  C2
  2  bright  Ada <ada@example.org>  2024-05-01 12:02  C3
b.png  metadata.light
  1  dim     Bo <bo@example.org>    2024-05-01 12:01  C2
  2  bright  Ada <ada@example.org>  2024-05-01 12:02  C3
a.png#A1  concept
  1  lynx   Bo <bo@example.org>    2024-05-01 12:01  C2
  2  tiger  Ada <ada@example.org>  2024-05-01 12:02  C3
a.png#A1  shape
  1  box 0,0,1,1  Bo <bo@example.org>    2024-05-01 12:01  C2
  2  box 0,0,3,3  Ada <ada@example.org>  2024-05-01 12:02  C3
4 open conflicts; next: dsvc resolve a.png metadata.light --take N
or many at once: dsvc resolve --all --from REV, dsvc resolve --all --author NAME
Ada$ dsvc show a.png
input a.png
  media: image/png, 4 x 3, 83 bytes, blob e98a9dd5f428
  in conflict: metadata.light; see: dsvc conflicts a.png
1 annotation:
  a.png#A1  in conflict: concept, shape
Ada$ dsvc resolve a.png metadata.light --from bo
settled 1 conflict: a.png metadata.light
3 conflicts still open; next: dsvc conflicts
Ada$ dsvc set b.png --metadata light=dusk
1 input changed, 0 unchanged
next: dsvc commit -m TEXT, or take it back: dsvc undo
Ada$ dsvc conflicts
a.png#A1  concept
  1  lynx   Bo <bo@example.org>    2024-05-01 12:01  C2
  2  tiger  Ada <ada@example.org>  2024-05-01 12:02  C3
a.png#A1  shape
  1  box 0,0,1,1  Bo <bo@example.org>    2024-05-01 12:01  C2
  2  box 0,0,3,3  Ada <ada@example.org>  2024-05-01 12:02  C3
2 open conflicts; next: dsvc resolve 'a.png#A1' concept --take N
or many at once: dsvc resolve --all --from REV, dsvc resolve --all --author NAME
Ada$ dsvc undo
undid: set light=dusk: b.png (draft pets main)
dsvc redo brings it back
Ada$ dsvc resolve --all --author ada
settled 3 conflicts: b.png metadata.light, a.png#A1 concept, a.png#A1 shape
next: dsvc commit -m TEXT
Ada$ dsvc show a.png
input a.png
  media: image/png, 4 x 3, 83 bytes, blob e98a9dd5f428
  metadata: {"light": "dim"}
1 annotation:
  a.png#A1  tiger  box 0,0,3,3
Ada$ dsvc undo
undid: resolve --all (draft pets main)
dsvc redo brings it back
Ada$ dsvc resolve --all --from @C2
settled 3 conflicts: b.png metadata.light, a.png#A1 concept, a.png#A1 shape
next: dsvc commit -m TEXT
Ada$ dsvc show b.png
input b.png
  media: image/png, 4 x 3, 83 bytes, blob 8fcfb6b75ff5
  metadata: {"light": "dim"}
1 annotation:
  b.png#A2  dog  box 1,1,3,2
"""


def test_many_at_once(pets: Teller) -> None:
    """All conflicts are settled by whom they are of, or by a revision; undo opens them again."""
    pets.do(MANY_AT_ONCE_BEFORE)
    pets(MANY_AT_ONCE)
