"""What a merge and a resolve refuse, and the way out that they name: see telling.py."""

from .telling import Teller, pets, tell

__all__ = ["pets", "tell"]  # fixtures


# ---- itself

ITSELF = """\
Ada$ dsvc merge pets
error: pets is the current branch, and a merge takes in another one
hint: name another one: dsvc merge DATASET, dsvc merge BRANCH; there is: dsvc list, dsvc branch
exit 3
Ada$ dsvc merge main
error: pets is the current branch, and a merge takes in another one
hint: name another one: dsvc merge DATASET, dsvc merge BRANCH; there is: dsvc list, dsvc branch
exit 3
Ada$ dsvc merge HEAD
error: pets is the current branch, and a merge takes in another one
hint: name another one: dsvc merge DATASET, dsvc merge BRANCH; there is: dsvc list, dsvc branch
exit 3
Ada$ dsvc merge bo
already up to date with bo
Ada$ dsvc merge bo --where "concept = 'dog'"
already up to date with bo, of which 1 input matches
Ada$ dsvc merge @C1
already up to date with @C1
Ada$ dsvc version create v1
made version v1 of pets at C1
holds 2 inputs, 2 annotations, 2 concepts
next: dsvc export pets@v1 -o OUT
Ada$ dsvc merge v1
already up to date with v1
"""


def test_itself(pets: Teller) -> None:
    """A branch is not merged into itself; what is behind it already is no news."""
    pets(ITSELF)


# ---- unknown

UNKNOWN_BEFORE = """\
Bo$ dsvc create empty
Ada$ dsvc use pets
"""

UNKNOWN = """\
Ada$ dsvc merge bob
error: no dataset, branch, version or commit named 'bob'
hint: did you mean bo?
exit 4
Ada$ dsvc merge @ffff
error: dataset 'pets' has no version or commit 'ffff'
hint: see: dsvc log pets; of a commit's id, give 4 digits or more
exit 4
Ada$ dsvc merge HEAD~7
error: HEAD~7: history does not go back that far
hint: see: dsvc log
exit 4
Ada$ dsvc merge ""
error: '' is not a revision
hint: such as pets, pets:branch, pets@v1, @3fa9c1, pets@v1~2
exit 2
Ada$ dsvc merge empty
error: empty has no commit yet
hint: commit what is staged there: dsvc -d empty commit -m TEXT
exit 3
Ada$ dsvc status
dataset pets, branch main, at C1
holds 2 inputs, 2 annotations, 2 concepts
nothing staged
"""


def test_unknown(pets: Teller) -> None:
    """What names nothing is told with what is near it."""
    pets.do(UNKNOWN_BEFORE)
    pets(UNKNOWN)


# ---- filters

FILTERS_BEFORE = """\
Bo$ dsvc switch bo
Bo$ dsvc annotate a.png#A1 --concept lynx
Bo$ dsvc commit -m "A lynx"
Ada$ dsvc switch main
"""

FILTERS = """\
Ada$ dsvc merge bo --where "concept = ) or x"
error: in the filter: syntax error at or near ")"
  concept = ) or x
            ^
hint: a filter is an expression such as: concept = 'cat' and area > 1024
exit 2
Ada$ dsvc merge bo --where "concpt = 'owl'"
error: in the filter: no column 'concpt'
  concpt = 'owl'
  ^
hint: did you mean concept, conflicted? a text stands in single quotes: 'concpt'
exit 2
Ada$ dsvc merge bo --where ""
error: the filter is empty
hint: a filter is an expression such as: concept = 'cat' and area > 1024
exit 2
Ada$ dsvc merge bo --where "concept = 'emu'"
nothing to take: no input of bo matches; what there is: dsvc show bo
Ada$ dsvc merge HEAD~0 --where "concept = ) or x"
error: in the filter: syntax error at or near ")"
  concept = ) or x
            ^
hint: a filter is an expression such as: concept = 'cat' and area > 1024
exit 2
Ada$ dsvc status
dataset pets, branch main, at C1
holds 2 inputs, 2 annotations, 2 concepts
nothing staged
"""


def test_filters(pets: Teller) -> None:
    """A wrong filter is told of with its place, whether or not there is something to merge."""
    pets.do(FILTERS_BEFORE)
    pets(FILTERS)


# ---- resolve refused

RESOLVE_REFUSED_BEFORE = """\
Bo$ dsvc switch bo
Bo$ dsvc annotate a.png#A1 --concept lynx --box 0,0,1,1
Bo$ dsvc commit -m "A lynx"
Ada$ dsvc switch main
Ada$ dsvc annotate a.png#A1 --concept tiger --box 0,0,3,3
Ada$ dsvc commit -m "A tiger"
Ada$ dsvc merge bo
"""

RESOLVE_REFUSED = """\
Ada$ dsvc conflicts
a.png#A1  concept
  1  lynx   Bo <bo@example.org>    2024-05-01 12:01  C2
  2  tiger  Ada <ada@example.org>  2024-05-01 12:02  C3
a.png#A1  shape
  1  box 0,0,1,1  Bo <bo@example.org>    2024-05-01 12:01  C2
  2  box 0,0,3,3  Ada <ada@example.org>  2024-05-01 12:02  C3
2 open conflicts; next: dsvc resolve 'a.png#A1' concept --take N
or many at once: dsvc resolve --all --from REV, dsvc resolve --all --author NAME
Ada$ dsvc resolve
error: say what is to be settled
hint: dsvc resolve KEY[#ANN] [FIELD] --take N, or: --all --from REV
exit 2
Ada$ dsvc resolve a.png#A1
error: say which candidate holds
hint: one of: --take N, --from REV, --author NAME
exit 2
Ada$ dsvc resolve a.png#A1 --take 1 --author bo
error: say which candidate holds
hint: one of: --take N, --from REV, --author NAME
exit 2
Ada$ dsvc resolve a.png#A1 --take 1
error: --take numbers the candidates of one field, and 2 are meant: a.png#A1 concept, a.png#A1 shape
hint: see: dsvc conflicts
exit 2
Ada$ dsvc resolve a.png#A1 concept --take 0
error: a.png#A1 concept has no candidate 0
hint: there are 1 to 2; see: dsvc conflicts
exit 3
Ada$ dsvc resolve a.png#A1 concept --take 3
error: a.png#A1 concept has no candidate 3
hint: there are 1 to 2; see: dsvc conflicts
exit 3
Ada$ dsvc resolve a.png#A1 text --take 1
error: a.png#A1 has no open conflict in text
hint: in conflict there: concept, shape
exit 3
Ada$ dsvc resolve a.png#A1 box --take 1
error: a.png#A1 has no open conflict in box
hint: in conflict there: concept, shape
exit 3
Ada$ dsvc resolve a.png#A1 concept --author Cy
error: a.png#A1 concept: no candidate is by Cy
hint: they are by Bo, Ada; see: dsvc conflicts
exit 3
Ada$ dsvc resolve a.png --author example.org
error: a.png#A1 concept and 1 more: several candidates are by example.org
hint: choose by --take N; see: dsvc conflicts
exit 3
Ada$ dsvc resolve a.png#A1 concept --from @C1
error: a.png#A1 concept: the revision has none of its candidates
hint: the commits that have them: dsvc conflicts
exit 3
Ada$ dsvc resolve a.png#A1 concept --from HEAD
error: a.png#A1 concept: the revision has none of its candidates
hint: the commits that have them: dsvc conflicts
exit 3
Ada$ dsvc resolve a.png#A1 concept --from nowhere
error: no dataset, branch, version or commit named 'nowhere'
hint: there is: pets, bo, main; of a commit's id, give 4 digits or more
exit 4
Ada$ dsvc resolve b.png --take 1
error: b.png has no open conflict
hint: see: dsvc conflicts
exit 3
Ada$ dsvc resolve c.png --take 1
error: no input or annotation 'c.png'
hint: see: dsvc conflicts
exit 4
Ada$ dsvc resolve --concept cat --take 1
error: cat has no open conflict
hint: see: dsvc conflicts
exit 3
Ada$ dsvc conflicts c.png
error: no input, annotation or concept 'c.png'
hint: all that are in conflict: dsvc conflicts
exit 4
Ada$ dsvc conflicts b.png
b.png has no open conflicts
Ada$ dsvc status
dataset pets, branch main, at C4
holds 2 inputs, 2 annotations, 4 concepts
1 record with open conflicts; next: dsvc conflicts
nothing staged
Ada$ dsvc annotate a.png#A1 --concept wolf
changed a.png#A1 wolf
new concept wolf
settled 1 conflict: concept
still in conflict: shape; see: dsvc conflicts 'a.png#A1'
next: dsvc commit -m TEXT
Ada$ dsvc annotate a.png#A1 --box 1,1,1,1
changed a.png#A1 wolf
settled 1 conflict: shape
next: dsvc commit -m TEXT
Ada$ dsvc status
dataset pets, branch main, at C4
holds 2 inputs, 2 annotations, 5 concepts
staged:
  annotations: 1 changed
  concepts: 1 added
next: dsvc diff, then dsvc commit -m TEXT
"""


def test_resolve_refused(pets: Teller) -> None:
    """What decides nothing is refused, with what would."""
    pets.do(RESOLVE_REFUSED_BEFORE)
    pets(RESOLVE_REFUSED)
