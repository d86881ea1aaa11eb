"""One person, one project: what Git does to the code happens to the data, told exactly."""

from pathlib import Path

import pytest

from .telling import Teller, begin


@pytest.fixture
def tell(tmp_path: Path) -> Teller:
    """A teller of a project in which data and code lie side by side."""
    return begin(tmp_path / "people")


def test_branches(tell: Teller) -> None:
    """The data goes where Git's branches go, forth and back."""
    tell(r"""Ada$ git log --stat --format=%s
Begin

 .gitattributes | 1 +
 .gitignore     | 1 +
 dsvc.lock      | 2 ++
 3 files changed, 4 insertions(+)
Ada$ cat dsvc.lock
# The data that goes with this code, one dataset a line: dataset, branch, commit, version. See: dsvc lock --help
pets main C2
Ada$ git switch -c night
Switched to a new branch 'night'
Ada$ dsvc add images/b.png
1 input added
next: dsvc commit -m TEXT
Ada$ dsvc commit -m "A second picture"
[pets main C3] A second picture
holds 2 inputs, 1 annotation, 1 concept
next: dsvc version create, or dsvc log
Ada$ git status --short
 M dsvc.lock
Ada$ git commit -am "Night shift"
[night G2] Night shift
 1 file changed, 1 insertion(+), 1 deletion(-)
Ada$ git switch main
Switched to branch 'main'
dsvc: pets at C2, was at C3
Ada$ dsvc show --inputs
images/a.png
Ada$ git switch night
Switched to branch 'night'
dsvc: pets at C3, was at C2
Ada$ dsvc show --inputs
images/a.png
images/b.png
Ada$ git checkout HEAD~1
HEAD is now at G1 Begin
dsvc: pets at C2, was at C3
Ada$ dsvc log --oneline
C2 First picture
Ada$ git checkout -
Previous HEAD position was G1 Begin
Switched to branch 'night'
dsvc: pets at C3, was at C2
Ada$ dsvc log --git
G2  TIME  C3  Ada  Night shift
G1  TIME  C2  Ada  Begin
Ada$ dsvc log --git main
G1  TIME  C2  Ada  Begin
Ada$ dsvc diff pets@git:main HEAD
+ input images/b.png
Ada$ dsvc show pets@git:night~1
pets, commit C2
Ada <ada@example.org>, TIME
    First picture
1 input, 1 annotation, 1 concept
media: 1 file, 83 bytes (1 image/png)
tasks: 1 box
concepts:
  cat  1
Ada$ dsvc show @git:HEAD~7
error: Git has no commit 'HEAD~7'
hint: see: git log; in a shallow clone: git fetch --unshallow
exit 4
""")


def test_drafts(tell: Teller) -> None:
    """What is staged goes along, laid over what the data has become, and no commit of Git's pins it."""
    tell(r"""Ada$ git switch -q -c night
Ada$ dsvc add images/b.png
1 input added
next: dsvc commit -m TEXT
Ada$ dsvc commit -m "A second picture"
[pets main C3] A second picture
holds 2 inputs, 1 annotation, 1 concept
next: dsvc version create, or dsvc log
Ada$ git commit -qam "Night shift"
Ada$ dsvc annotate images/a.png --concept dog
added images/a.png#C4 dog
new concept dog
next: dsvc commit -m TEXT
Ada$ git switch main
Switched to branch 'main'
dsvc: pets at C2, was at C3
dsvc:   staged changes were laid over it
Ada$ dsvc status
dataset pets, branch main, at C2
holds 1 input, 2 annotations, 2 concepts
staged:
  annotations: 1 added
  concepts: 1 added
next: dsvc diff, then dsvc commit -m TEXT
Ada$ git commit --allow-empty -m "Code only"
dsvc: pets has staged changes that this commit does not pin
dsvc:   to commit them: dsvc -d pets commit -m TEXT; to drop them: dsvc -d pets discard
[main G2] Code only
Ada$ printf '[git]\ndraft = "block"\n' > dsvc.toml
Ada$ git commit --allow-empty -m "Code only"
dsvc: pets has staged changes that this commit does not pin
dsvc:   to commit them: dsvc -d pets commit -m TEXT; to drop them: dsvc -d pets discard
dsvc:   dsvc.toml has draft = "block" under [git]; to go on without: git commit --no-verify
exit 1
Ada$ printf '[git]\ndraft = "commit"\n' > dsvc.toml
Ada$ git commit --allow-empty -m "Code and data"
dsvc: committed what was staged in pets: C5
dsvc: this commit pins pets at C5
dsvc: dsvc.lock is staged now, and nothing else: where Git says that nothing is, say git commit again
[main G3] Code and data
 1 file changed, 1 insertion(+), 1 deletion(-)
Ada$ dsvc status
dataset pets, branch main, at C5
holds 1 input, 2 annotations, 2 concepts
nothing staged
Ada$ printf '[git]\ndraft = "maybe"\n' > dsvc.toml
Ada$ git commit --allow-empty -m "Code and data"
error: the setting draft under [git] is 'maybe'
hint: it is one of: warn, block, commit
dsvc: this stopped Git; to go on without dsvc: git commit --no-verify
exit 1
""")


def test_alone(tell: Teller) -> None:
    """A commit of the data alone takes -a, or a second try: Git looks for changes before the hook stages them."""
    tell(r"""Ada$ dsvc add images/b.png
1 input added
next: dsvc commit -m TEXT
Ada$ dsvc commit -m "A second picture"
[pets main C3] A second picture
holds 2 inputs, 1 annotation, 1 concept
next: dsvc version create, or dsvc log
Ada$ git commit -m "More data"
dsvc: dsvc.lock is staged now, and nothing else: where Git says that nothing is, say git commit again
On branch main
Changes not staged for commit:
  (use "git add <file>..." to update what will be committed)
  (use "git restore <file>..." to discard changes in working directory)
	modified:   dsvc.lock

no changes added to commit (use "git add" and/or "git commit -a")
exit 1
Ada$ git commit -m "More data"
[main G2] More data
 1 file changed, 1 insertion(+), 1 deletion(-)
Ada$ git status --short
Ada$ dsvc add images/c.png
1 input added
next: dsvc commit -m TEXT
Ada$ dsvc commit -m "A third picture"
[pets main C4] A third picture
holds 3 inputs, 1 annotation, 1 concept
next: dsvc version create, or dsvc log
Ada$ echo "print(1)" > run.py
Ada$ git add run.py
Ada$ git commit -m "Code and data"
[main G3] Code and data
 2 files changed, 2 insertions(+), 1 deletion(-)
 create mode 100644 run.py
Ada$ dsvc add images/d.png
1 input added
next: dsvc commit -m TEXT
Ada$ dsvc commit -m "A fourth picture"
[pets main C5] A fourth picture
holds 4 inputs, 1 annotation, 1 concept
next: dsvc version create, or dsvc log
Ada$ echo "print(2)" > run.py
Ada$ git commit -m "Code alone" run.py
[main G4] Code alone
 1 file changed, 1 insertion(+), 1 deletion(-)
Ada$ git status --short
 M dsvc.lock
Ada$ git commit -q --amend --no-edit -a
Ada$ dsvc status
dataset pets, branch main, at C5
holds 4 inputs, 1 annotation, 1 concept
nothing staged
""")


def test_merge(tell: Teller) -> None:
    """Both sides change, and Git's merge is the set union of the data."""
    tell(r"""Ada$ git switch -q -c night
Ada$ dsvc add images/b.png
1 input added
next: dsvc commit -m TEXT
Ada$ dsvc annotate images/a.png --concept dog
added images/a.png#C3 dog
new concept dog
next: dsvc commit -m TEXT
Ada$ dsvc commit -m "Night shift"
[pets main C4] Night shift
holds 2 inputs, 2 annotations, 2 concepts
next: dsvc version create, or dsvc log
Ada$ git commit -qam "Night shift"
Ada$ git switch main
Switched to branch 'main'
dsvc: pets at C2, was at C4
Ada$ dsvc add images/c.png
1 input added
next: dsvc commit -m TEXT
Ada$ dsvc commit -m "Day shift"
[pets main C5] Day shift
holds 2 inputs, 1 annotation, 1 concept
next: dsvc version create, or dsvc log
Ada$ git commit -qam "Day shift"
Ada$ git merge night -m "Night into day"
[pets main C6] merged C5 and C4
  inputs       1 added
  annotations  1 added
  concepts     1 added
Auto-merging dsvc.lock
Merge made by the 'ort' strategy.
 dsvc.lock | 2 +-
 1 file changed, 1 insertion(+), 1 deletion(-)
dsvc: pets at C6, was at C5
Ada$ dsvc show --inputs
images/a.png
images/b.png
images/c.png
Ada$ git log --graph --format=%s
*   Night into day
|\
| * Night shift
* | Day shift
|/
* Begin
Ada$ dsvc log --oneline --graph
* C6 merge C4 and C5
|\
| * C5 Day shift
* | C4 Night shift
|/
* C2 First picture
Ada$ git switch night
Switched to branch 'night'
dsvc: pets at C4, was at C6
Ada$ git merge main
Updating G2..G3
Fast-forward
 dsvc.lock | 2 +-
 1 file changed, 1 insertion(+), 1 deletion(-)
dsvc: pets at C6, was at C4
Ada$ dsvc log --oneline -n 1
C6 merge C4 and C5
""")


def test_conflicts(tell: Teller) -> None:
    """A clash is data: Git sees no conflict, and dsvc tells of it until somebody settles it."""
    tell(r"""Ada$ git switch -q -c night
Ada$ dsvc set images/a.png --split train
1 input changed, 0 unchanged
next: dsvc commit -m TEXT, or take it back: dsvc undo
Ada$ dsvc commit -m "For training"
[pets main C3] For training
holds 1 input, 1 annotation, 1 concept
next: dsvc version create, or dsvc log
Ada$ git commit -qam "For training"
Ada$ git switch -q main
dsvc: pets at C2, was at C3
Ada$ dsvc set images/a.png --split val
1 input changed, 0 unchanged
next: dsvc commit -m TEXT, or take it back: dsvc undo
Ada$ dsvc commit -m "For validation"
[pets main C4] For validation
holds 1 input, 1 annotation, 1 concept
next: dsvc version create, or dsvc log
Ada$ git commit -qam "For validation"
Ada$ git merge night -m "Night into day"
[pets main C5] merged C4 and C3
  inputs  1 in conflict
1 record with open conflicts: versions and exports wait until they are settled
next, once Git has the merge: dsvc -d pets conflicts
Auto-merging dsvc.lock
Merge made by the 'ort' strategy.
 dsvc.lock | 2 +-
 1 file changed, 1 insertion(+), 1 deletion(-)
dsvc: pets at C5, was at C4
Ada$ git status --short
Ada$ dsvc status
dataset pets, branch main, at C5
holds 1 input, 1 annotation, 1 concept
1 record with open conflicts; next: dsvc conflicts
nothing staged
Ada$ dsvc conflicts --exit-code
images/a.png  split
  1  val    Ada <ada@example.org>  TIME  C4
  2  train  Ada <ada@example.org>  TIME  C3
1 open conflict; next: dsvc resolve images/a.png split --take N
exit 1
Ada$ dsvc resolve images/a.png split --take 1
settled 1 conflict: images/a.png split
next: dsvc commit -m TEXT
Ada$ dsvc commit -m "Settled"
[pets main C6] Settled
holds 1 input, 1 annotation, 1 concept
next: dsvc version create, or dsvc log
Ada$ git commit -qam "Settled"
Ada$ dsvc conflicts --exit-code
no open conflicts
""")


def test_stash(tell: Teller) -> None:
    """A stash takes the lock along, and the data follows at the next step."""
    tell(r"""Ada$ git branch night
Ada$ dsvc annotate images/a.png --concept owl
added images/a.png#C3 owl
new concept owl
next: dsvc commit -m TEXT
Ada$ dsvc commit -m Owl
[pets main C4] Owl
holds 1 input, 2 annotations, 2 concepts
next: dsvc version create, or dsvc log
Ada$ git stash
Saved working directory and index state WIP on main: G1 Begin
Ada$ dsvc status
dataset pets, branch main, at C4
holds 1 input, 2 annotations, 2 concepts
pets is at C4, and dsvc.lock names C2; to go there: dsvc pull; to pin C4: dsvc lock
nothing staged
Ada$ git switch night
Switched to branch 'night'
dsvc: pets at C2, was at C4
Ada$ git switch main
Switched to branch 'main'
Ada$ git stash pop
On branch main
Changes not staged for commit:
  (use "git add <file>..." to update what will be committed)
  (use "git restore <file>..." to discard changes in working directory)
	modified:   dsvc.lock

no changes added to commit (use "git add" and/or "git commit -a")
Dropped refs/stash@{0} (G2)
Ada$ dsvc status
dataset pets, branch main, at C2
holds 1 input, 1 annotation, 1 concept
pets is at C2, and dsvc.lock names C4; to go there: dsvc pull; to pin C2: dsvc lock
nothing staged
Ada$ git commit -am "An owl"
dsvc: pets at C4, was at C2
[main G3] An owl
 1 file changed, 1 insertion(+), 1 deletion(-)
Ada$ dsvc status
dataset pets, branch main, at C4
holds 1 input, 2 annotations, 2 concepts
nothing staged
""")


def test_reset(tell: Teller) -> None:
    """After a reset, for which Git runs no hook, the data stays until it is asked to follow."""
    tell(r"""Ada$ dsvc add images/b.png
1 input added
next: dsvc commit -m TEXT
Ada$ dsvc commit -m "A second picture"
[pets main C3] A second picture
holds 2 inputs, 1 annotation, 1 concept
next: dsvc version create, or dsvc log
Ada$ git commit -qam "More data"
Ada$ git reset --hard HEAD~1
HEAD is now at G1 Begin
Ada$ dsvc status
dataset pets, branch main, at C3
holds 2 inputs, 1 annotation, 1 concept
pets is at C3, and dsvc.lock names C2; to go there: dsvc pull; to pin C3: dsvc lock
nothing staged
Ada$ dsvc lock --check
dsvc.lock does not say what is here
  pets is at C3, and dsvc.lock names C2; to go there: dsvc pull; to pin C3: dsvc lock
exit 1
Ada$ git commit --allow-empty -m "Code only"
dsvc: pets is at C3, and dsvc.lock names C2; to go there: dsvc pull; to pin C3: dsvc lock
[main G2] Code only
Ada$ dsvc pull
pets at C2, was at C3
Ada$ dsvc status
dataset pets, branch main, at C2
holds 1 input, 1 annotation, 1 concept
nothing staged
Ada$ git reset -q --hard ORIG_HEAD
Ada$ git switch -c other
Switched to a new branch 'other'
dsvc: pets at C3, was at C2
Ada$ dsvc status
dataset pets, branch main, at C3
holds 2 inputs, 1 annotation, 1 concept
nothing staged
""")


def test_rebase(tell: Teller) -> None:
    """A rebase and a cherry-pick take the changes of the data along."""
    tell(r"""Ada$ git switch -q -c night
Ada$ dsvc add images/b.png
1 input added
next: dsvc commit -m TEXT
Ada$ dsvc commit -m "A second picture"
[pets main C3] A second picture
holds 2 inputs, 1 annotation, 1 concept
next: dsvc version create, or dsvc log
Ada$ git commit -qam "A second picture"
Ada$ dsvc annotate images/b.png --concept dog
added images/b.png#C4 dog
new concept dog
next: dsvc commit -m TEXT
Ada$ dsvc commit -m "A dog on it"
[pets main C5] A dog on it
holds 2 inputs, 2 annotations, 2 concepts
next: dsvc version create, or dsvc log
Ada$ git commit -qam "A dog on it"
Ada$ git switch -q main
dsvc: pets at C2, was at C5
Ada$ dsvc add images/c.png
1 input added
next: dsvc commit -m TEXT
Ada$ dsvc commit -m "Day shift"
[pets main C6] Day shift
holds 2 inputs, 1 annotation, 1 concept
next: dsvc version create, or dsvc log
Ada$ git commit -qam "Day shift"
Ada$ git switch -q night
dsvc: pets at C5, was at C6
Ada$ git rebase main
dsvc: pets at C6, was at C5
Rebasing (1/2)
[pets main C7] merged C6 and C3
  inputs  1 added
dsvc: pets at C7, was at C6
Rebasing (2/2)
[pets main C8] merged C7 and C5
  annotations  1 added
  concepts     1 added
dsvc: pets at C8, was at C7

Successfully rebased and updated refs/heads/night.
Ada$ git log --graph --format=%s
* A dog on it
* A second picture
* Day shift
* Begin
Ada$ dsvc log --oneline --graph
* C8 merge C5 and C7
|\
| * C7 merge C3 and C6
| |\
| | * C6 Day shift
* | | C5 A dog on it
|/ /
* | C3 A second picture
|/
* C2 First picture
Ada$ dsvc show --inputs
images/a.png
images/b.png
images/c.png
Ada$ git switch -q -c picked HEAD~2
dsvc: pets at C6, was at C8
Ada$ git cherry-pick night
[pets main C9] took the change of C8 on C6
  inputs       1 restored
  annotations  1 added
  concepts     1 added
restored: one side deleted them, and what the other side has needs them
Auto-merging dsvc.lock
dsvc: pets at C9, was at C6
[picked G2] A dog on it
 Date: Wed May 1 12:16:00 2024 +0000
 1 file changed, 1 insertion(+), 1 deletion(-)
Ada$ dsvc log --oneline
C9 merge C5 and C7
C6 Day shift
C2 First picture
Ada$ dsvc diff pets@git:HEAD~1 HEAD
+ concept dog
+ input images/b.png: 1 dog
Ada$ git revert --no-edit HEAD
dsvc: pets at C6, was at C9
[picked G3] Revert "A dog on it"
 Date: Wed May 1 12:30:00 2024 +0000
 1 file changed, 1 insertion(+), 1 deletion(-)
Ada$ dsvc show --inputs
images/a.png
images/c.png
Ada$ dsvc undo
undid: git post-commit (branch pets main)
dsvc redo brings it back
Ada$ git diff --no-ext-diff --no-textconv --stat
 dsvc.lock | 2 +-
 1 file changed, 1 insertion(+), 1 deletion(-)
Ada$ git checkout dsvc.lock
Updated 1 path from the index
dsvc: pets at C6, was at C9
""")


def test_left(tell: Teller) -> None:
    """Work that nothing else keeps is left alone, and named."""
    tell(r"""Ada$ git branch night
Ada$ dsvc add images/b.png
1 input added
next: dsvc commit -m TEXT
Ada$ dsvc commit -m "Not pinned by Git yet"
[pets main C3] Not pinned by Git yet
holds 2 inputs, 1 annotation, 1 concept
next: dsvc version create, or dsvc log
Ada$ git checkout -q -f HEAD dsvc.lock
dsvc: pets stays at C3: it has commits that nothing else keeps, and dsvc.lock names C2
dsvc:   to pin them: dsvc lock; to go there: dsvc -d pets branch NAME keeps them, then dsvc pull
Ada$ dsvc status
dataset pets, branch main, at C3
holds 2 inputs, 1 annotation, 1 concept
pets, at C3, goes on from C2, which dsvc.lock names; to pin it: dsvc lock
nothing staged
Ada$ git switch night
Switched to branch 'night'
dsvc: pets stays at C3: it has commits that nothing else keeps, and dsvc.lock names C2
dsvc:   to pin them: dsvc lock; to go there: dsvc -d pets branch NAME keeps them, then dsvc pull
exit 1
Ada$ dsvc status
dataset pets, branch main, at C3
holds 2 inputs, 1 annotation, 1 concept
pets, at C3, goes on from C2, which dsvc.lock names; to pin it: dsvc lock
nothing staged
Ada$ dsvc add images/c.png
1 input added
next: dsvc commit -m TEXT
Ada$ dsvc commit -m "More"
[pets main C4] More
holds 3 inputs, 1 annotation, 1 concept
next: dsvc version create, or dsvc log
Ada$ git commit -am "Both"
dsvc: this commit pins pets at C4
dsvc: dsvc.lock is staged now, and nothing else: where Git says that nothing is, say git commit again
On branch night
nothing to commit, working tree clean
exit 1
Ada$ dsvc log --oneline
C4 More
C3 Not pinned by Git yet
C2 First picture
""")


def test_bisect(tell: Teller) -> None:
    """Which commit of Git's brought too many pictures?"""
    tell(r"""Ada$ for n in b c d e; do (dsvc add images/$n.png; dsvc commit -m $n) > out; git commit -qam $n; done
Ada$ git bisect start HEAD HEAD~4
Bisecting: 1 revision left to test after this (roughly 1 step)
dsvc: pets at C3, was at C4
[G2] c
Ada$ git bisect run sh -c 'test $(dsvc query --format csv "select count(*) from inputs" | tail -n 1) -lt 4'
running  'sh' '-c' 'test $(dsvc query --format csv "select count(*) from inputs" | tail -n 1) -lt 4'
dsvc: pets at C5, was at C3
Bisecting: 0 revisions left to test after this (roughly 0 steps)
[G3] d
running  'sh' '-c' 'test $(dsvc query --format csv "select count(*) from inputs" | tail -n 1) -lt 4'
G3 is the first bad commit
commit G3
Author: Ada <ada@example.org>
Date:   Wed May 1 12:10:00 2024 +0000

    d

 dsvc.lock | 2 +-
 1 file changed, 1 insertion(+), 1 deletion(-)
bisect found first bad commit
Ada$ git bisect reset
Previous HEAD position was G3 d
Switched to branch 'main'
dsvc: pets at C4, was at C5
Ada$ dsvc show --inputs
images/a.png
images/b.png
images/c.png
images/d.png
images/e.png
""")


def test_half_way(tell: Teller) -> None:
    """Where nobody reads what a command says to its end, the lock follows all the same."""
    tell(r"""Ada$ dsvc add images/b.png | true
Ada$ dsvc commit -m "A second picture" | true
Ada$ dsvc lock --check
dsvc.lock is current: 1 dataset
Ada$ git status --short
 M dsvc.lock
""")


def test_an_old_lock_and_named_files(tell: Teller) -> None:
    """A lock that fell behind is written by a commit of named files too, so that the next one can name it."""
    tell(r"""Ada$ dsvc add images/b.png
1 input added
next: dsvc commit -m TEXT
Ada$ python -c "import dsvc; dsvc.open().dataset().commit('Second', dsvc.Author('Ada'))"
Ada$ echo 1 >> .gitignore
Ada$ git commit -qm "Code alone" .gitignore
dsvc: dsvc.lock is not part of a commit of named files; commit it too: git commit dsvc.lock
Ada$ git commit -qm "Data" dsvc.lock
Ada$ dsvc lock --check
dsvc.lock is current: 1 dataset
Ada$ git status --short
""")


def test_apart(tell: Teller) -> None:
    """Where data and lock went different ways, the merge that is offered brings the lock up to date."""
    tell(r"""Ada$ git switch -q -c night
Ada$ dsvc annotate images/a.png --concept dog
added images/a.png#C3 dog
new concept dog
next: dsvc commit -m TEXT
Ada$ dsvc commit -m "Night shift"
[pets main C4] Night shift
holds 1 input, 2 annotations, 2 concepts
next: dsvc version create, or dsvc log
Ada$ git commit -qam "Night shift"
Ada$ git switch -q main
dsvc: pets at C2, was at C4
Ada$ dsvc annotate images/a.png --concept fox
added images/a.png#C5 fox
new concept fox
next: dsvc commit -m TEXT
Ada$ dsvc commit -m "Day shift"
[pets main C6] Day shift
holds 1 input, 2 annotations, 2 concepts
next: dsvc version create, or dsvc log
Ada$ git checkout -q night -- dsvc.lock
dsvc: pets stays at C6: it has commits that nothing else keeps, and dsvc.lock names C4
dsvc:   to combine both: dsvc -d pets merge pets@C4; to go there: dsvc -d pets branch NAME keeps them, then dsvc pull
Ada$ dsvc merge -d pets pets@C4
[pets main C7] merged pets@C4
  annotations  1 added
  concepts     1 added
next: dsvc diff HEAD~1 HEAD, or take it back: dsvc undo
Ada$ dsvc lock --check
dsvc.lock is current: 1 dataset
Ada$ git commit -qam "Both shifts"
Ada$ git status --short
""")


def test_ends_of_lines(tell: Teller) -> None:
    """A lock that Git checks out with other ends of lines is the same lock."""
    tell(r"""Ada$ git config core.autocrlf true
Ada$ rm dsvc.lock
Ada$ git checkout -q dsvc.lock
Ada$ tr -cd '\r' < dsvc.lock | wc -c
2
Ada$ git commit -q --allow-empty -m "Nothing"
Ada$ git status --short
Ada$ dsvc lock --check
dsvc.lock is current: 1 dataset
""")


def test_a_git_folder_elsewhere(tell: Teller) -> None:
    """Where Git keeps its folder in another place, the hooks say what is to be done by hand."""
    tell(r"""Ada$ mv .git ../elsewhere.git
Ada$ GIT_DIR=$PWD/../elsewhere.git GIT_WORK_TREE=$PWD git commit --allow-empty -qm "Nothing"
dsvc: no .git lies here or above, and the data does not follow where GIT_DIR names another folder
dsvc:   by hand: dsvc lock before a commit, dsvc pull after a checkout or a merge, dsvc push before a push
""")


def test_a_dataset_of_another_branch(tell: Teller) -> None:
    """A dataset that another branch of Git's has is none of this lock, until work goes on in it."""
    tell(r"""Ada$ git switch -q -c night
Ada$ dsvc create toys -m "Toys"
made dataset toys, now the current one
next: dsvc add PATH, or dsvc import FILE --images DIR
Ada$ dsvc add images/c.png
1 input added
next: dsvc commit -m TEXT
Ada$ dsvc commit -m "A toy"
[toys main C3] A toy
holds 1 input, 0 annotations, 0 concepts
next: dsvc version create, or dsvc log
Ada$ git commit -qam "Toys"
Ada$ git switch -q main
Ada$ dsvc lock --check
dsvc.lock is current: 1 dataset
Ada$ git status --short
Ada$ dsvc add images/d.png
1 input added
next: dsvc commit -m TEXT
Ada$ dsvc commit -m "Another"
[toys main C4] Another
holds 2 inputs, 0 annotations, 0 concepts
next: dsvc version create, or dsvc log
Ada$ git commit -qam "Toys by day"
Ada$ tail -n 2 dsvc.lock
pets main C2
toys main C4
""")


def test_a_renamed_dataset(tell: Teller) -> None:
    """The current dataset goes by the name that it has on the branch of Git's, and a merge keeps name and work."""
    tell(r"""Ada$ git switch -q -c night
Ada$ dsvc rename pets beasts
renamed pets to beasts
Ada$ git commit -qam "Beasts"
Ada$ git switch -q main
dsvc: pets at C2
dsvc: now on dataset pets
Ada$ dsvc add images/b.png
1 input added
next: dsvc commit -m TEXT
Ada$ dsvc commit -m "A second picture"
[pets main C3] A second picture
holds 2 inputs, 1 annotation, 1 concept
next: dsvc version create, or dsvc log
Ada$ git commit -qam "More pets"
Ada$ git merge -q night -m "Both"
pets was renamed to beasts, and goes by that name
Auto-merging dsvc.lock
dsvc: beasts at C3, was at C2
dsvc: now on dataset beasts
Ada$ dsvc lock --check
dsvc.lock is current: 1 dataset
Ada$ git status --short
""")


def test_a_lock_of_very_many_datasets(tell: Teller) -> None:
    """A lock that names very many datasets does not flood the terminal."""
    tell(r"""Ada$ git switch -q -c many
Ada$ line=$(tail -n 1 dsvc.lock); for n in $(seq 100 130); do echo "d$n ${line#pets }"; done >> dsvc.lock
Ada$ git commit -qam "Many" 2> told; wc -l < told; tail -n 2 told
21
dsvc: d119 at C2
dsvc: ... and 11 more datasets
Ada$ dsvc lock --check
dsvc.lock is current: 32 datasets
""")


def test_a_new_name_in_a_merge_with_conflicts(tell: Teller) -> None:
    """A dataset that a merge brings by a new name stays in the lock, though the merge stops at something else."""
    tell(r"""Ada$ git switch -q -c night
Ada$ sed -i s/pets/beasts/ dsvc.lock; echo night > note; git add note
Ada$ DSVC_HOOKS=0 git commit -qam "Beasts, by somebody else"
Ada$ DSVC_HOOKS=0 git switch -q main
Ada$ echo day > note; git add note
Ada$ git commit -qm "Day"
Ada$ git merge -q night
Auto-merging note
CONFLICT (add/add): Merge conflict in note
Automatic merge failed; fix conflicts and then commit the result.
exit 1
Ada$ echo both > note; git add note
Ada$ git commit -qm "Both"
dsvc: beasts at C2
dsvc: now on dataset beasts
Ada$ tail -n 1 dsvc.lock
beasts main C2
Ada$ git status --short
""")


def test_a_new_name_that_was_not_followed(tell: Teller) -> None:
    """Where a hook was killed, a commit does not take a dataset out of the lock that was never here by its new name."""
    tell(r"""Ada$ sed -i s/pets/beasts/ dsvc.lock
Ada$ DSVC_HOOKS=0 git commit -qam "Beasts, by somebody else"
Ada$ git commit -q --allow-empty -m "Code"
dsvc: beasts: dsvc.lock names C2, and the branch has no commit; to go there: dsvc pull
Ada$ tail -n 1 dsvc.lock
beasts main C2
Ada$ dsvc pull
beasts at C2
now on dataset beasts
Ada$ dsvc delete beasts --yes > told
Ada$ git commit -qam "No beasts"
Ada$ tail -n 1 dsvc.lock | cut -c 1
#
""")
