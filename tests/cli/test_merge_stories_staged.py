"""Merges under what somebody has staged: see telling.py."""

import dsvc as library
from dsvc.model.commit import Author, Moment

from .telling import Teller, pets, tell

__all__ = ["pets", "tell"]  # fixtures


# ---- merge under a dirty draft

MERGE_UNDER_A_DIRTY_DRAFT_BEFORE = """\
Bo$ dsvc switch bo
Bo$ dsvc annotate a.png#A1 --box 0,0,3,3
Bo$ dsvc annotate b.png#A2 --concept wolf
Bo$ dsvc commit -m "Larger, and a wolf"
Ada$ dsvc switch main
Ada$ dsvc annotate a.png#A1 --concept lynx
Ada$ dsvc annotate b.png#A2 --concept fox
"""

MERGE_UNDER_A_DIRTY_DRAFT = """\
Ada$ dsvc merge bo --dry-run
[pets main C2] would go forward to bo
  annotations  2 changed
  concepts     1 added
staged changes would be laid over it, 1 record of them in conflict with it
1 record would have open conflicts: versions and exports wait until they are settled
nothing was changed
Ada$ dsvc merge bo
[pets main C2] went forward to bo
  annotations  2 changed
  concepts     1 added
staged changes were laid over it, 1 record of them in conflict with it
1 record with open conflicts: versions and exports wait until they are settled
next: dsvc conflicts, or take it back: dsvc undo
Ada$ dsvc status
dataset pets, branch main, at C2
holds 2 inputs, 2 annotations, 5 concepts
staged:
  annotations: 2 changed
  concepts: 2 added
1 record with open conflicts; next: dsvc conflicts
next: dsvc diff, then dsvc commit -m TEXT
Ada$ dsvc show a.png#A1
annotation a.png#A1
  lynx  box 0,0,3,3
Ada$ dsvc conflicts
b.png#A2  concept
  1  fox   staged
  2  wolf  Bo <bo@example.org>  2024-05-01 12:01  C2
1 open conflict; next: dsvc resolve 'b.png#A2' concept --take N
Ada$ dsvc export HEAD --format coco -o out
error: pets has staged changes that are in no commit
hint: commit them: dsvc commit -m TEXT, or leave them out: --committed
exit 3
Ada$ dsvc resolve b.png#A2 --take 1
settled 1 conflict: b.png#A2 concept
next: dsvc commit -m TEXT
Ada$ dsvc commit -m "Lynx and fox"
[pets main C3] Lynx and fox
holds 2 inputs, 2 annotations, 5 concepts
next: dsvc version create, or dsvc log
Ada$ dsvc conflicts
no open conflicts
Ada$ dsvc export HEAD --format coco -o out
wrote out: coco/1, 2 inputs, 2 annotations
Ada$ dsvc undo
undid: commit -m Lynx and fox (branch pets main, draft pets main)
dsvc redo brings it back
Ada$ dsvc undo
undid: resolve b.png#A2 (draft pets main)
dsvc redo brings it back
Ada$ dsvc undo
undid: merge pets:bo (branch pets main, draft pets main)
dsvc redo brings it back
Ada$ dsvc status
dataset pets, branch main, at C1
holds 2 inputs, 2 annotations, 4 concepts
staged:
  annotations: 2 changed
  concepts: 2 added
next: dsvc diff, then dsvc commit -m TEXT
Ada$ dsvc show a.png#A1
annotation a.png#A1
  lynx  box 0,0,2,2
"""


def test_merge_under_a_dirty_draft(pets: Teller) -> None:
    """What Ada has staged lies over the merge; where it clashes she is asked."""
    pets.do(MERGE_UNDER_A_DIRTY_DRAFT_BEFORE)
    pets(MERGE_UNDER_A_DIRTY_DRAFT)


# ---- the branch moves under a dirty draft

THE_BRANCH_MOVES_UNDER_A_DIRTY_DRAFT_BEFORE = """\
Ada$ dsvc annotate a.png#A1 --concept lynx
Ada$ dsvc annotate b.png#A2 --concept fox
"""

THE_BRANCH_MOVES_UNDER_A_DIRTY_DRAFT = """\
Ada$ dsvc status
dataset pets, branch main, at C2
holds 2 inputs, 2 annotations, 4 concepts
staged:
  annotations: 2 changed
  concepts: 2 added
next: dsvc diff, then dsvc commit -m TEXT
Ada$ dsvc commit -m "Lynx and fox"
[pets main C3] Lynx and fox
holds 2 inputs, 2 annotations, 5 concepts
1 record with open conflicts; next: dsvc conflicts
Ada$ dsvc status
dataset pets, branch main, at C3
holds 2 inputs, 2 annotations, 5 concepts
1 record with open conflicts; next: dsvc conflicts
nothing staged
Ada$ dsvc conflicts
b.png#A2  concept
  1  fox   Ada <ada@example.org>  2024-05-01 12:01  C3
  2  wolf  Bo <bo@example.org>    2024-05-01 12:00  C2
1 open conflict; next: dsvc resolve 'b.png#A2' concept --take N
Ada$ dsvc show a.png#A1
annotation a.png#A1
  lynx  box 0,0,2,2  'large'
Ada$ dsvc export HEAD --format coco -o out
error: there are open conflicts, in 1 record
hint: list them: dsvc conflicts; settle them: dsvc resolve; then: dsvc commit -m TEXT
exit 3
Ada$ dsvc resolve b.png#A2 --take 1
settled 1 conflict: b.png#A2 concept
next: dsvc commit -m TEXT
Ada$ dsvc commit -m "A fox"
[pets main C4] A fox
holds 2 inputs, 2 annotations, 5 concepts
next: dsvc version create, or dsvc log
Ada$ dsvc export HEAD --format coco -o out
wrote out: coco/1, 2 inputs, 2 annotations
Ada$ dsvc log --oneline
C4 [main] A fox
C3 Lynx and fox
C2 A wolf
C1 [bo] First labels
"""


def commit_elsewhere(tell: Teller) -> None:
    """Another process, with a workspace of its own, commits to main: A1 gets a text, and A2 another concept."""
    other = library.open(".", author=Author("Bo", "bo@example.org"))
    other.workspace._id, other.workspace._path = "1" * 16, None
    pets = other.dataset("pets")
    with pets.edit() as draft:
        draft.change_annotation("a.png", tell.id("A1"), {"text": "large"})
        draft.change_annotation("b.png", tell.id("A2"), {"concept": "wolf"})
    pets.commit("A wolf", time=Moment(1714564800))


def test_the_branch_moves_under_a_dirty_draft(pets: Teller) -> None:
    """Another process commits while Ada has something staged: it is laid over that at her commit."""
    pets.do(THE_BRANCH_MOVES_UNDER_A_DIRTY_DRAFT_BEFORE)
    commit_elsewhere(pets)
    pets(THE_BRANCH_MOVES_UNDER_A_DIRTY_DRAFT)


# ---- a staged merge, of which a part or all is discarded

DISCARDED_BEFORE = """\
Bo$ dsvc switch bo
Bo$ dsvc annotate a.png --concept owl
Bo$ dsvc annotate b.png --concept owl
Bo$ dsvc commit -m "Owls"
Ada$ dsvc switch main
Ada$ dsvc merge bo --no-commit
"""

DISCARDED = """\
Ada$ dsvc discard a.png
discarded 1 change: annotation a.png#A3
note: C2 counts as merged all the same, and a later merge does not bring this again
dsvc undo brings it back
Ada$ dsvc discard --dry-run
would discard 2 changes: concept owl, annotation b.png#A4
would drop the merge of C2, too
Ada$ dsvc discard
discarded 2 changes: concept owl, annotation b.png#A4
dropped the merge of C2, too
dsvc undo brings them back
Ada$ dsvc status
dataset pets, branch main, at C1
holds 2 inputs, 2 annotations, 2 concepts
nothing staged
"""


def test_discarded(pets: Teller) -> None:
    """What is dropped of a staged merge is told to be merged all the same; dropping all drops the merge."""
    pets.do(DISCARDED_BEFORE)
    pets(DISCARDED)
