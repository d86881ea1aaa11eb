"""Clones, working trees, remotes, other people's hooks, damage: what each person sees, told exactly."""

from pathlib import Path

import pytest

from .telling import Teller, begin


@pytest.fixture
def tell(tmp_path: Path) -> Teller:
    """A teller of a project in which data and code lie side by side."""
    return begin(tmp_path / "people")


def test_push_and_clone(tell: Teller) -> None:
    """Data goes along with the code, and a newcomer's clone arrives at the same commits."""
    tell(r"""Ada$ git init -q --bare ../hub.git
Ada$ git remote add origin ../hub.git
Ada$ git push -q origin main
dsvc: no remote is set, and the data that the lock names stays here; to push it along with the code:
dsvc:   dsvc remote add origin PATH
Ada$ git push origin main
Everything up-to-date
Ada$ dsvc remote add origin ../store
remote origin: ../store
note: it stands in dsvc.toml: commit that to Git, and everybody has it
next: dsvc push origin, or dsvc fetch origin
Ada$ git add dsvc.toml
Ada$ git commit -qm "Where the data lies"
Ada$ git push origin main
dsvc: pushed 1 commit of data, 884 bytes, to ../store
To ../hub.git
   G1..G2  main -> main
Bo$ git clone -q ../hub.git .
Bo$ dsvc status
error: /bo has a dsvc.lock, and its data is not here yet
hint: dsvc pull
exit 4
Bo$ dsvc lock --check
error: /bo has a dsvc.lock, and its data is not here yet
hint: dsvc pull
exit 4
Bo$ dsvc init
error: . has a dsvc.lock, and its data is not here yet
hint: dsvc pull
exit 4
Bo$ dsvc pull
error: remote origin came with the project, and was not used here yet: ../store
hint: if that is the right place: dsvc pull --yes
exit 3
Bo$ dsvc pull --yes
pets at C2
Bo$ dsvc git install
.git/config: what hooks and drivers need
.git/hooks/pre-commit: written
.git/hooks/post-checkout: written
.git/hooks/post-commit: written
.git/hooks/post-merge: written
.git/hooks/post-rewrite: written
.git/hooks/pre-push: written
Bo$ git status --short
Bo$ dsvc log --oneline
C2 First picture
Bo$ dsvc lock --check
dsvc.lock is current: 1 dataset
Bo$ dsvc check
12 objects: all whole
""")


def test_both_merge(tell: Teller) -> None:
    """Two people who merge the same branches have one commit."""
    tell(r"""Ada$ git init -q --bare ../hub.git
Ada$ git remote add origin ../hub.git
Ada$ dsvc remote add origin ../store
remote origin: ../store
note: it stands in dsvc.toml: commit that to Git, and everybody has it
next: dsvc push origin, or dsvc fetch origin
Ada$ git add dsvc.toml
Ada$ git commit -qm "Where the data lies"
Ada$ git push -q origin main
dsvc: pushed 1 commit of data, 884 bytes, to ../store
Bo$ git clone -q ../hub.git .
Bo$ dsvc pull --yes
made a repository in /bo/.dsvc
pets at C2
so that the data follows the code from now on: dsvc git install
Bo$ dsvc git install
.git/config: what hooks and drivers need
.git/hooks/pre-commit: written
.git/hooks/post-checkout: written
.git/hooks/post-commit: written
.git/hooks/post-merge: written
.git/hooks/post-rewrite: written
.git/hooks/pre-push: written
Bo$ git switch -q -c bo
Bo$ dsvc annotate images/a.png --concept dog --box 1,1,1,1
added images/a.png#C3 dog
new concept dog
next: dsvc commit -m TEXT
Bo$ dsvc commit -m "A dog"
[pets main C4] A dog
holds 1 input, 2 annotations, 2 concepts
next: dsvc version create, or dsvc log
Bo$ git commit -qam "A dog"
Bo$ git push -q origin bo
dsvc: pushed 1 commit of data, 660 bytes, to ../store
Ada$ dsvc add images/b.png
1 input added
next: dsvc commit -m TEXT
Ada$ dsvc annotate images/b.png --concept cat
added images/b.png#C5 cat
next: dsvc commit -m TEXT
Ada$ dsvc commit -m "A second picture"
[pets main C6] A second picture
holds 2 inputs, 2 annotations, 1 concept
next: dsvc version create, or dsvc log
Ada$ git commit -qam "A second picture"
Ada$ git push -q origin main
dsvc: pushed 1 commit of data, 930 bytes, to ../store
Ada$ git fetch -q
Ada$ git merge -q origin/bo -m "Bo's"
[pets main C7] merged C6 and C4
  annotations  1 added
  concepts     1 added
Auto-merging dsvc.lock
dsvc: pets at C7, was at C6
Bo$ git fetch -q
Bo$ git merge -q origin/main -m "Ada's"
[pets main C7] merged C4 and C6
  inputs       1 added
  annotations  1 added
Auto-merging dsvc.lock
dsvc: pets at C7, was at C4
Ada$ tail -n 1 dsvc.lock
pets main C7
Bo$ tail -n 1 dsvc.lock
pets main C7
Bo$ dsvc show --inputs
images/a.png
images/b.png
Ada$ mv ../store ../away
Ada$ dsvc version create v1
made version v1 of pets at C7
holds 2 inputs, 3 annotations, 2 concepts
next: dsvc export pets@v1 -o OUT
Ada$ git commit -qam "Version 1"
Ada$ git push origin main
error: remote origin: /store does not exist
hint: is its disk mounted? if it is gone for good: dsvc remote remove origin, and add it again
dsvc: this stopped Git; to go on without dsvc: git push --no-verify
error: failed to push some refs to '../hub.git'
exit 1
Ada$ git push --no-verify -q origin main
Bo$ git switch -q main
dsvc: pets at C2, was at C7
Bo$ git pull -q
note: remote origin: /store does not exist
dsvc: pets at C7, was at C2
Ada$ mv ../away ../store
Ada$ git push -q origin main:again
dsvc: pushed 1 commit of data, 669 bytes, to ../store
Bo$ dsvc pull
all is as dsvc.lock says
Bo$ dsvc version list
v1  C7  TIME  Ada  2 inputs  3 annotations
""")


def test_missing(tell: Teller) -> None:
    """Where a side's data cannot be had, Git shows a conflict, and dsvc finishes it once the data is there."""
    tell(r"""Ada$ git init -q --bare ../hub.git
Ada$ git remote add origin ../hub.git
Ada$ dsvc remote add origin ../store
remote origin: ../store
note: it stands in dsvc.toml: commit that to Git, and everybody has it
next: dsvc push origin, or dsvc fetch origin
Ada$ git add dsvc.toml
Ada$ git commit -qm "Where the data lies"
Ada$ git push -q origin main
dsvc: pushed 1 commit of data, 884 bytes, to ../store
Bo$ git clone -q ../hub.git .
Bo$ dsvc pull --yes
made a repository in /bo/.dsvc
pets at C2
so that the data follows the code from now on: dsvc git install
Bo$ dsvc git install
.git/config: what hooks and drivers need
.git/hooks/pre-commit: written
.git/hooks/post-checkout: written
.git/hooks/post-commit: written
.git/hooks/post-merge: written
.git/hooks/post-rewrite: written
.git/hooks/pre-push: written
Bo$ dsvc annotate images/a.png --concept dog
added images/a.png#C3 dog
new concept dog
next: dsvc commit -m TEXT
Bo$ dsvc commit -m "A dog"
[pets main C4] A dog
holds 1 input, 2 annotations, 2 concepts
next: dsvc version create, or dsvc log
Bo$ git commit -qam "A dog"
Ada$ dsvc add images/b.png
1 input added
next: dsvc commit -m TEXT
Ada$ dsvc commit -m "A second picture"
[pets main C5] A second picture
holds 2 inputs, 1 annotation, 1 concept
next: dsvc version create, or dsvc log
Ada$ git commit -qam "A second picture"
Ada$ git push -q --no-verify origin main
Bo$ git pull -q
error: dsvc.lock: pets cannot be merged: commit C5 is not here
hint: dsvc pull, then finish it with: dsvc lock --resolve; or keep one line a dataset and no marker, and: git add dsvc.lock
Auto-merging dsvc.lock
CONFLICT (content): Merge conflict in dsvc.lock
Automatic merge failed; fix conflicts and then commit the result.
exit 1
Bo$ git status --short
UU dsvc.lock
Bo$ grep -v '^#' dsvc.lock
<<<<<<< ours
pets main C4
||||||| base
pets main C2
=======
pets main C5
>>>>>>> theirs
Bo$ git commit -m "Merged"
error: Committing is not possible because you have unmerged files.
hint: Fix them up in the work tree, and then use 'git add/rm <file>'
hint: as appropriate to mark resolution and make a commit.
fatal: Exiting because of an unresolved conflict.
U	dsvc.lock
exit 128
Bo$ dsvc status
dataset pets, branch main, at C4
holds 1 input, 2 annotations, 2 concepts
dsvc.lock holds the conflict markers of a Git merge; finish it with: dsvc lock --resolve
nothing staged
Bo$ dsvc pull
error: dsvc.lock holds the conflict markers of a Git merge
hint: finish it: dsvc lock --resolve
exit 3
Bo$ dsvc lock --resolve
error: pets cannot be merged: commit C5 is not here
hint: dsvc remote add names who has them, then again; or keep one line a dataset, and: git add dsvc.lock
exit 3
Ada$ dsvc push
pets:main: C2 -> C5
sent 1 commit, 4 objects, 785 bytes to origin: ../store
Bo$ dsvc lock --resolve
[pets main C6] merged C4 and C5
  inputs  1 added
dsvc.lock is merged and staged
next: git commit, or git rebase --continue; then dsvc pull
Bo$ git commit -m "Merged"
dsvc: pets at C6, was at C4
[main G2] Merged
Bo$ dsvc show --inputs
images/a.png
images/b.png
Bo$ git status --short
""")


def test_forge(tell: Teller) -> None:
    """A merge that was made without the driver is finished by dsvc."""
    tell(r"""Ada$ git switch -q -c night
Ada$ dsvc add images/b.png
1 input added
next: dsvc commit -m TEXT
Ada$ dsvc commit -m "Night shift"
[pets main C3] Night shift
holds 2 inputs, 1 annotation, 1 concept
next: dsvc version create, or dsvc log
Ada$ git commit -qam "Night shift"
Ada$ git switch -q main
dsvc: pets at C2, was at C3
Ada$ dsvc add images/c.png
1 input added
next: dsvc commit -m TEXT
Ada$ dsvc commit -m "Day shift"
[pets main C4] Day shift
holds 2 inputs, 1 annotation, 1 concept
next: dsvc version create, or dsvc log
Ada$ git commit -qam "Day shift"
Ada$ dsvc git uninstall
.git/hooks/pre-commit: taken away
.git/hooks/post-checkout: taken away
.git/hooks/post-commit: taken away
.git/hooks/post-merge: taken away
.git/hooks/post-rewrite: taken away
.git/hooks/pre-push: taken away
.gitattributes: taken away
.git/config: what install put there is taken out
Ada$ git merge night
Auto-merging dsvc.lock
CONFLICT (content): Merge conflict in dsvc.lock
Automatic merge failed; fix conflicts and then commit the result.
exit 1
Ada$ dsvc lock --check
error: dsvc.lock holds the conflict markers of a Git merge
hint: finish it with: dsvc lock --resolve
exit 3
Ada$ dsvc lock
error: dsvc.lock holds the conflict markers of a Git merge
hint: finish it with: dsvc lock --resolve
exit 3
Ada$ dsvc lock --resolve
[pets main C5] merged C4 and C3
  inputs  1 added
dsvc.lock is merged and staged
next: git commit, or git rebase --continue; then dsvc pull
Ada$ git commit -qm "Night into day"
Ada$ dsvc pull
pets at C5, was at C4
Ada$ dsvc show --inputs
images/a.png
images/b.png
images/c.png
""")


def test_newcomer(tell: Teller) -> None:
    """A shallow clone, a detached HEAD, and a linked working tree."""
    tell(r"""Ada$ dsvc add images/b.png
1 input added
next: dsvc commit -m TEXT
Ada$ dsvc commit -m "A second picture"
[pets main C3] A second picture
holds 2 inputs, 1 annotation, 1 concept
next: dsvc version create, or dsvc log
Ada$ git commit -qam "More data"
Ada$ git worktree add -q ../linked HEAD~1
dsvc: dsvc.lock names data that is not here yet; to bring it: dsvc pull
Ada$ cd ../linked && dsvc status
error: /linked has a dsvc.lock, and its data is not here yet
hint: dsvc pull
exit 4
Ada$ cd ../linked && dsvc pull
made a repository in /linked/.dsvc
pets at C2
Ada$ cd ../linked && dsvc add ../ada/images/c.png --root ../ada
1 input added
next: dsvc commit -m TEXT
Ada$ cd ../linked && dsvc commit -m "In the linked tree"
[pets main C4] In the linked tree
holds 2 inputs, 1 annotation, 1 concept
next: dsvc version create, or dsvc log
Ada$ cd ../linked && git commit -qam "In the linked tree"
Ada$ git merge $(git -C ../linked rev-parse HEAD) -m "From the linked tree"
[pets main C5] merged C3 and C4
  inputs  1 added
Auto-merging dsvc.lock
Merge made by the 'ort' strategy.
 dsvc.lock | 2 +-
 1 file changed, 1 insertion(+), 1 deletion(-)
dsvc: pets at C5, was at C3
Ada$ dsvc show --inputs
images/a.png
images/b.png
images/c.png
Ada$ dsvc remote add origin ../store
remote origin: ../store
note: it stands in dsvc.toml: commit that to Git, and everybody has it
next: dsvc push origin, or dsvc fetch origin
Ada$ git add dsvc.toml
Ada$ git commit -qm "Where the data lies"
Ada$ dsvc push
pets:main: new, at C5
sent 4 commits, 17 objects, 3.2 kB to origin: ../store
Bo$ git clone -q --depth 1 "file://$PWD/../ada" .
Bo$ git checkout -q --detach
Bo$ dsvc pull --yes
made a repository in /bo/.dsvc
pets at C5
so that the data follows the code from now on: dsvc git install
Bo$ dsvc git install
.git/config: what hooks and drivers need
.git/hooks/pre-commit: written
.git/hooks/post-checkout: written
.git/hooks/post-commit: written
.git/hooks/post-merge: written
.git/hooks/post-rewrite: written
.git/hooks/pre-push: written
Bo$ dsvc annotate images/a.png --concept dog
added images/a.png#C6 dog
new concept dog
next: dsvc commit -m TEXT
Bo$ dsvc commit -m "On no branch of Git's"
[pets main C7] On no branch of Git's
holds 3 inputs, 2 annotations, 2 concepts
next: dsvc version create, or dsvc log
Bo$ git commit -qam "On no branch"
Bo$ git switch main
Warning: you are leaving 1 commit behind, not connected to
any of your branches:

  G2 On no branch

Switched to branch 'main'
Your branch is up to date with 'origin/main'.
dsvc: pets at C5, was at C7
Bo$ dsvc log --git
G3  TIME  C5  Ada  Where the data lies
Bo$ dsvc show @git:HEAD~9
error: Git has no commit 'HEAD~9'
hint: see: git log; in a shallow clone: git fetch --unshallow
exit 4
""")


def test_damage(tell: Teller) -> None:
    """A lock that is damaged, or names what nobody has, stops nothing without a way out."""
    tell(r"""Ada$ cp dsvc.lock kept
Ada$ echo "pets main 12" > dsvc.lock
Ada$ git commit -qam "Broken"
error: dsvc.lock cannot be read
  line 1: '12' is no commit's id
hint: bring it back from Git: git checkout HEAD -- dsvc.lock; or write it anew: dsvc lock
dsvc: this stopped Git; to go on without dsvc: git commit --no-verify
exit 1
Ada$ git commit -q --no-verify -am "Broken"
error: dsvc.lock cannot be read
  line 1: '12' is no commit's id
hint: bring it back from Git: git checkout HEAD -- dsvc.lock; or write it anew: dsvc lock
Ada$ dsvc status
dataset pets, branch main, at C2
holds 1 input, 1 annotation, 1 concept
dsvc.lock cannot be read; bring it back from Git: git checkout HEAD -- dsvc.lock; or write it anew: dsvc lock
nothing staged
Ada$ dsvc lock --check
error: dsvc.lock cannot be read
  line 1: '12' is no commit's id
hint: bring it back from Git: git checkout HEAD -- dsvc.lock; or write it anew: dsvc lock
exit 3
Ada$ git switch -c other
Switched to a new branch 'other'
error: dsvc.lock cannot be read
  line 1: '12' is no commit's id
hint: bring it back from Git: git checkout HEAD -- dsvc.lock; or write it anew: dsvc lock
Ada$ dsvc pull
error: dsvc.lock cannot be read
  line 1: '12' is no commit's id
hint: bring it back from Git: git checkout HEAD -- dsvc.lock; or write it anew: dsvc lock
exit 3
Ada$ git show --stat --format=%s
Broken

 dsvc.lock | 3 +--
 1 file changed, 1 insertion(+), 2 deletions(-)
Ada$ dsvc lock
wrote dsvc.lock
  pets  main  C2
Ada$ git commit -qam "Mended"
Ada$ printf 'pets main %064d\n' 7 > dsvc.lock
Ada$ git commit -qam "Unknown"
dsvc: pets: dsvc.lock names C3, which is not here; to bring it: dsvc pull
dsvc: pets: C3, which dsvc.lock names, is not here; to bring it: dsvc pull
Ada$ git switch -c third
Switched to a new branch 'third'
dsvc: pets: C3, which dsvc.lock names, is not here; to bring it: dsvc pull
exit 1
Ada$ dsvc pull
error: not all that dsvc.lock names could be brought: pets
hint: name the place where they are: dsvc remote add origin PATH
exit 6
Ada$ git diff HEAD~1 --stat
 dsvc.lock | 3 +--
 1 file changed, 1 insertion(+), 2 deletions(-)
Ada$ rm dsvc.lock
Ada$ git commit -qam "No lock"
Ada$ git switch -q main
error: dsvc.lock cannot be read
  line 1: '12' is no commit's id
hint: bring it back from Git: git checkout HEAD -- dsvc.lock; or write it anew: dsvc lock
Ada$ dsvc lock --check
error: dsvc.lock cannot be read
  line 1: '12' is no commit's id
hint: bring it back from Git: git checkout HEAD -- dsvc.lock; or write it anew: dsvc lock
exit 3
""")


def test_foreign(tell: Teller) -> None:
    """Other hooks run with ours, in order, and a failing one stops the commit."""
    tell(r"""Ada$ dsvc git uninstall
.git/hooks/pre-commit: taken away
.git/hooks/post-checkout: taken away
.git/hooks/post-commit: taken away
.git/hooks/post-merge: taken away
.git/hooks/post-rewrite: taken away
.git/hooks/pre-push: taken away
.gitattributes: taken away
.git/config: what install put there is taken out
Ada$ printf '#!/bin/sh\necho "their shell: $1"\ntest ! -e stop\n' > .git/hooks/pre-commit
Ada$ printf '#!/usr/bin/env python3\nimport sys\nprint("their Python:", sys.argv[3], file=sys.stderr)\n' > .git/hooks/post-checkout
Ada$ chmod +x .git/hooks/pre-commit .git/hooks/post-checkout
Ada$ cp .git/hooks/pre-commit .git/hooks/post-checkout ..
Ada$ dsvc git install
.git/config: what hooks and drivers need
.git/hooks/pre-commit: a block put in; what was there runs first
.git/hooks/post-checkout: written; what was there is kept as post-checkout.before-dsvc and runs first
.git/hooks/post-commit: written
.git/hooks/post-merge: written
.git/hooks/post-rewrite: written
.git/hooks/pre-push: written
.gitattributes: dsvc.lock merge=dsvc-lock diff=dsvc-lock
next: git add .gitattributes
Ada$ git switch -q -c night
their Python: 1
Ada$ dsvc add images/b.png
1 input added
next: dsvc commit -m TEXT
Ada$ dsvc commit -m "A second picture"
[pets main C3] A second picture
holds 2 inputs, 1 annotation, 1 concept
next: dsvc version create, or dsvc log
Ada$ touch stop
Ada$ git commit -qam "Stopped"
their shell:
exit 1
Ada$ rm stop
Ada$ git commit -qam "Night shift"
their shell:
Ada$ git switch -q main
their Python: 1
dsvc: pets at C2, was at C3
Ada$ dsvc git status
hook pre-commit                 installed  .git/hooks/pre-commit
hook post-checkout              installed  .git/hooks/post-checkout
hook post-commit                installed  .git/hooks/post-commit
hook post-merge                 installed  .git/hooks/post-merge
hook post-rewrite               installed  .git/hooks/post-rewrite
hook pre-push                   installed  .git/hooks/pre-push
driver merge.dsvc-lock.driver   installed  .git/config
driver diff.dsvc-lock.command   installed  .git/config
driver diff.dsvc-lock.textconv  installed  .git/config
attributes .gitattributes       installed  .gitattributes
lock dsvc.lock                  installed  dsvc.lock
command dsvc                    installed  BIN/dsvc
Ada$ dsvc git uninstall
.git/hooks/pre-commit: the block taken out
.git/hooks/post-checkout: what was there before is back
.git/hooks/post-commit: taken away
.git/hooks/post-merge: taken away
.git/hooks/post-rewrite: taken away
.git/hooks/pre-push: taken away
.gitattributes: taken away
.git/config: what install put there is taken out
Ada$ cmp .git/hooks/pre-commit ../pre-commit && cmp .git/hooks/post-checkout ../post-checkout && echo the same
the same
Ada$ git switch -q night
their Python: 1
Ada$ dsvc status
dataset pets, branch main, at C2
holds 1 input, 1 annotation, 1 concept
pets is at C2, and dsvc.lock names C3; to go there: dsvc pull; to pin C2: dsvc lock
nothing staged
""")


def test_shown(tell: Teller) -> None:
    """What changed in the data is shown where Git shows what changed in the code."""
    tell(r"""Ada$ dsvc add images/b.png images/c.png
2 inputs added
next: dsvc commit -m TEXT
Ada$ dsvc annotate images/b.png --concept dog
added images/b.png#C3 dog
new concept dog
next: dsvc commit -m TEXT
Ada$ dsvc commit -m "Two pictures"
[pets main C4] Two pictures
holds 3 inputs, 2 annotations, 2 concepts
next: dsvc version create, or dsvc log
Ada$ git diff
diff --git a/dsvc.lock b/dsvc.lock
~ pets main C2 -> C4
  inputs: 2 added
  annotations: 1 added
  concepts: 1 added
  by concept  added
    dog           1
  + concept dog
  + input images/b.png: 1 dog
  + input images/c.png
Ada$ git commit -qam "Two pictures"
Ada$ git show
commit G2
Author: Ada <ada@example.org>
Date:   Wed May 1 12:14:00 2024 +0000

    Two pictures

diff --git a/dsvc.lock b/dsvc.lock
index G3..G4 100644
--- a/dsvc.lock
+++ b/dsvc.lock
@@ -1,5 +1,5 @@
-pets main C2
-  1 input, 1 annotation, 1 concept
+pets main C4
+  3 inputs, 2 annotations, 2 concepts
   commits:
     C2 TIME Ada: First picture
         inputs: 1 added
@@ -9,3 +9,12 @@ pets main C2
           cat           1
         + concept cat
         + input images/a.png: 1 cat
+    C4 TIME Ada: Two pictures
+        inputs: 2 added
+        annotations: 1 added
+        concepts: 1 added
+        by concept  added
+          dog           1
+        + concept dog
+        + input images/b.png: 1 dog
+        + input images/c.png
Ada$ git log -p --format=%s
Two pictures

diff --git a/dsvc.lock b/dsvc.lock
index G3..G4 100644
--- a/dsvc.lock
+++ b/dsvc.lock
@@ -1,5 +1,5 @@
-pets main C2
-  1 input, 1 annotation, 1 concept
+pets main C4
+  3 inputs, 2 annotations, 2 concepts
   commits:
     C2 TIME Ada: First picture
         inputs: 1 added
@@ -9,3 +9,12 @@ pets main C2
           cat           1
         + concept cat
         + input images/a.png: 1 cat
+    C4 TIME Ada: Two pictures
+        inputs: 2 added
+        annotations: 1 added
+        concepts: 1 added
+        by concept  added
+          dog           1
+        + concept dog
+        + input images/b.png: 1 dog
+        + input images/c.png
Begin

diff --git a/.gitattributes b/.gitattributes
new file mode 100644
index G5..G6
--- /dev/null
+++ b/.gitattributes
@@ -0,0 +1 @@
+dsvc.lock merge=dsvc-lock diff=dsvc-lock
diff --git a/.gitignore b/.gitignore
new file mode 100644
index G5..G7
--- /dev/null
+++ b/.gitignore
@@ -0,0 +1 @@
+images
diff --git a/dsvc.lock b/dsvc.lock
new file mode 100644
index G5..G3
--- /dev/null
+++ b/dsvc.lock
@@ -0,0 +1,11 @@
+pets main C2
+  1 input, 1 annotation, 1 concept
+  commits:
+    C2 TIME Ada: First picture
+        inputs: 1 added
+        annotations: 1 added
+        concepts: 1 added
+        by concept  added
+          cat           1
+        + concept cat
+        + input images/a.png: 1 cat
Ada$ git diff HEAD~1 HEAD
diff --git a/dsvc.lock b/dsvc.lock
~ pets main C2 -> C4
  inputs: 2 added
  annotations: 1 added
  concepts: 1 added
  by concept  added
    dog           1
  + concept dog
  + input images/b.png: 1 dog
  + input images/c.png
""")


def test_nothing(tell: Teller) -> None:
    """No Git, and a repository of Git's without a working tree."""
    tell(r"""Ada$ mv .git ../away
Ada$ dsvc lock
nothing to write: dsvc.lock is current
  pets  main  C2
Ada$ dsvc lock --check
dsvc.lock is current: 1 dataset
Ada$ dsvc git install
error: no Git repository in /ada or above
hint: make one with: git init; or go on without Git
exit 4
Ada$ dsvc git status
error: no Git repository in /ada or above
hint: make one with: git init; or go on without Git
exit 4
Ada$ dsvc pull
all is as dsvc.lock says
Ada$ dsvc log --git
error: this project is in no Git repository
hint: see: dsvc log
exit 4
Ada$ dsvc show @git:HEAD
error: this project is in no Git repository
hint: see: dsvc log
exit 4
Bo$ git init -q --bare .
Bo$ dsvc git install
error: no dsvc repository in /bo or above
hint: make one with: dsvc init
exit 4
Bo$ dsvc git hook post-checkout 0 0 1
dsvc: no .git lies here or above, and the data does not follow where GIT_DIR names another folder
dsvc:   by hand: dsvc lock before a commit, dsvc pull after a checkout or a merge, dsvc push before a push
""")


def test_taken_out(tell: Teller) -> None:
    """A dataset that somebody took out of the lock stays out."""
    tell(r"""Ada$ dsvc create cars
made dataset cars, now the current one
next: dsvc add PATH, or dsvc import FILE --images DIR
Ada$ dsvc add images/b.png
1 input added
next: dsvc commit -m TEXT
Ada$ dsvc commit -m "A car"
[cars main C3] A car
holds 1 input, 0 annotations, 0 concepts
next: dsvc version create, or dsvc log
Ada$ git commit -qam "Cars"
Bo$ git clone -q ../ada .
Bo$ dsvc pull
made a repository in /bo/.dsvc
so that the data follows the code from now on: dsvc git install
error: not all that dsvc.lock names could be brought: cars, pets
hint: name the place where they are: dsvc remote add origin PATH
exit 6
Bo$ dsvc remote add origin ../ada --local
remote origin: ../ada
next: dsvc push origin, or dsvc fetch origin
Bo$ dsvc pull
cars at C3
pets at C2
Bo$ dsvc git install
.git/config: what hooks and drivers need
.git/hooks/pre-commit: written
.git/hooks/post-checkout: written
.git/hooks/post-commit: written
.git/hooks/post-merge: written
.git/hooks/post-rewrite: written
.git/hooks/pre-push: written
Ada$ dsvc delete cars --yes
deleted cars: 1 input, 0 annotations, 0 concepts, 0 versions
dsvc undo brings it back
Ada$ git commit -qam "No cars"
dsvc: now on dataset pets
Bo$ git pull -q
Bo$ dsvc list
* cars  1 input  0 annotations  0 versions
  pets  1 input   1 annotation  0 versions  Cats and dogs
Bo$ git commit -q --allow-empty -m "Code only"
Bo$ grep -v '^#' dsvc.lock
pets main C2
Bo$ git switch -q -c again HEAD~3
Bo$ grep -v '^#' dsvc.lock
pets main C2
Bo$ dsvc lock --check
dsvc.lock is current: 1 dataset
""")


def test_projects(tell: Teller) -> None:
    """Several projects in one repository of Git's, each with its own data."""
    tell(r"""Ada$ mkdir sub
Ada$ cd sub && dsvc init
made a repository in .dsvc
next: dsvc create NAME -m TEXT
Ada$ cd sub && dsvc create birds
made dataset birds, now the current one
next: dsvc add PATH, or dsvc import FILE --images DIR
Ada$ cd sub && dsvc add ../images/b.png --root ..
1 input added
next: dsvc commit -m TEXT
Ada$ cd sub && dsvc commit -m "A bird"
[birds main C3] A bird
holds 1 input, 0 annotations, 0 concepts
next: dsvc version create, or dsvc log
Ada$ cd sub && dsvc git install
.git/config: what hooks and drivers need
sub/dsvc.lock: written
next: git add sub/dsvc.lock
Ada$ git add .
Ada$ git commit -qm "A project in it"
Ada$ git switch -q -c night
Ada$ cd sub && dsvc annotate images/b.png --concept wren
added images/b.png#C4 wren
new concept wren
next: dsvc commit -m TEXT
Ada$ cd sub && dsvc commit -m "A wren"
[birds main C5] A wren
holds 1 input, 1 annotation, 1 concept
next: dsvc version create, or dsvc log
Ada$ dsvc add images/c.png
1 input added
next: dsvc commit -m TEXT
Ada$ dsvc commit -m "Another picture"
[pets main C6] Another picture
holds 2 inputs, 1 annotation, 1 concept
next: dsvc version create, or dsvc log
Ada$ git commit -qam "Both"
Ada$ git switch main
Switched to branch 'main'
dsvc: pets at C2, was at C6
dsvc: sub: birds at C3, was at C5
Ada$ cd sub && dsvc git uninstall
.git/config: what install put there is taken out
Ada$ git switch night
Switched to branch 'night'
dsvc: pets at C6, was at C2
""")


def test_another_place(tell: Teller) -> None:
    """A branch that names another place for the data sends nothing there before somebody agrees."""
    tell(r"""Ada$ git init -q --bare ../hub.git
Ada$ git remote add origin ../hub.git
Ada$ printf '[remotes.origin]\nurl = "../other"\n' > dsvc.toml
Ada$ git add dsvc.toml
Ada$ git commit -qm "Where the data lies"
Ada$ git push -q origin main
error: remote origin came with the project, and was not used here yet: ../other
hint: if that is the right place: dsvc push --yes origin, then git push again
dsvc: this stopped Git; to go on without dsvc: git push --no-verify
error: failed to push some refs to '../hub.git'
exit 1
Ada$ ls ..
ada
hub.git
Ada$ dsvc push --yes origin > pushed
Ada$ git push -q origin main
""")


def test_linked_tree_goes(tell: Teller) -> None:
    """What was committed in a linked working tree is in the main one when it goes."""
    tell(r"""Ada$ git worktree add -q ../linked -b side
dsvc: dsvc.lock names data that is not here yet; to bring it: dsvc pull
Ada$ cd ../linked && dsvc pull
made a repository in /linked/.dsvc
pets at C2
Ada$ cd ../linked && dsvc annotate images/a.png --concept lady && dsvc commit -m lady && git commit -qam lady
added images/a.png#C3 lady
new concept lady
next: dsvc commit -m TEXT
[pets main C4] lady
holds 1 input, 2 annotations, 2 concepts
next: dsvc version create, or dsvc log
Ada$ git worktree remove ../linked
Ada$ git merge side
Updating G1..G2
Fast-forward
 dsvc.lock | 2 +-
 1 file changed, 1 insertion(+), 1 deletion(-)
dsvc: pets at C4, was at C2
Ada$ dsvc log --oneline
C4 lady
C2 First picture
""")


def test_data_nowhere(tell: Teller) -> None:
    """No push of a lock whose data nobody has; and nobody is stopped for what others have pushed."""
    tell(r"""Ada$ git init -q --bare -b main ../hub.git
Ada$ git remote add origin ../hub.git
Ada$ dsvc remote add origin ../store
remote origin: ../store
note: it stands in dsvc.toml: commit that to Git, and everybody has it
next: dsvc push origin, or dsvc fetch origin
Ada$ git add dsvc.toml
Ada$ git commit -qm "Where the data lies"
Ada$ git push -q origin main
dsvc: pushed 1 commit of data, 884 bytes, to ../store
Ada$ mkdir ../away && mv .dsvc ../away
Ada$ printf 'pets main %064d\n' 7 > dsvc.lock
Ada$ git commit -qam "Unknown"
Ada$ git push origin main
dsvc: what is pushed changes dsvc.lock, and its data is not here; to bring it: dsvc pull
dsvc: this stopped Git; to go on without dsvc: git push --no-verify
error: failed to push some refs to '../hub.git'
exit 1
Ada$ mv ../away/.dsvc .
Ada$ git push origin main
dsvc: pets: C3 is neither here nor there
error: dsvc.lock would name data that nobody has: pets
hint: whoever made it has to push it; or pin what is here, and commit: dsvc lock, git commit dsvc.lock
dsvc: this stopped Git; to go on without dsvc: git push --no-verify
error: failed to push some refs to '../hub.git'
exit 1
Ada$ git push -q --no-verify origin main
Ada$ echo 1 > x; git add x; git commit -qm code
dsvc: pets: dsvc.lock names C3, which is not here; to bring it: dsvc pull
Ada$ git push origin main
dsvc: pets: C3 is neither here nor there
To ../hub.git
   G2..G3  main -> main
""")


def test_remote_comes_later(tell: Teller) -> None:
    """A remote that is set late gets all that the lock names, whatever branches it has."""
    tell(r"""Ada$ git init -q --bare -b main ../hub.git
Ada$ git remote add origin ../hub.git
Ada$ git push -q origin main
dsvc: no remote is set, and the data that the lock names stays here; to push it along with the code:
dsvc:   dsvc remote add origin PATH
Ada$ dsvc remote add origin ../store
remote origin: ../store
note: it stands in dsvc.toml: commit that to Git, and everybody has it
next: dsvc push origin, or dsvc fetch origin
Ada$ dsvc push
pets:main: new, at C2
sent 1 commit, 6 objects, 884 bytes to origin: ../store
Ada$ git switch -q -c bo
Ada$ dsvc add images/b.png; dsvc commit -m b; git commit -qam b
1 input added
next: dsvc commit -m TEXT
[pets main C3] b
holds 2 inputs, 1 annotation, 1 concept
next: dsvc version create, or dsvc log
Ada$ git switch -q main
dsvc: pets at C2, was at C3
Ada$ dsvc add images/c.png; dsvc commit -m c; git commit -qam c
1 input added
next: dsvc commit -m TEXT
[pets main C4] c
holds 2 inputs, 1 annotation, 1 concept
next: dsvc version create, or dsvc log
Ada$ dsvc push
pets:main: C2 -> C4
sent 1 commit, 4 objects, 770 bytes to origin: ../store
Ada$ git switch -q bo
dsvc: pets at C3, was at C4
Ada$ dsvc push
note: what dsvc.lock names went there all the same, and is pinned; the branch is not moved
error: pets:main has commits at origin that are not here; nothing was pushed
hint: take them in first: dsvc pull origin
exit 3
""")


def test_put_back(tell: Teller) -> None:
    """A lock that somebody put back is not written again for what it had named."""
    tell(r"""Ada$ dsvc add images/b.png
1 input added
next: dsvc commit -m TEXT
Ada$ dsvc commit -m b
[pets main C3] b
holds 2 inputs, 1 annotation, 1 concept
next: dsvc version create, or dsvc log
Ada$ git checkout dsvc.lock
Updated 1 path from the index
dsvc: pets stays at C3: it has commits that nothing else keeps, and dsvc.lock names C2
dsvc:   to pin them: dsvc lock; to go there: dsvc -d pets branch NAME keeps them, then dsvc pull
Ada$ git commit -q --allow-empty -m "Code only"
dsvc: pets is at C3, and dsvc.lock names C2; to go there: dsvc pull; to pin C3: dsvc lock
Ada$ dsvc status
dataset pets, branch main, at C3
holds 2 inputs, 1 annotation, 1 concept
pets, at C3, goes on from C2, which dsvc.lock names; to pin it: dsvc lock
nothing staged
Ada$ dsvc add images/c.png
1 input added
next: dsvc commit -m TEXT
Ada$ dsvc commit -m c
[pets main C4] c
holds 3 inputs, 1 annotation, 1 concept
next: dsvc version create, or dsvc log
Ada$ git commit -q --allow-empty -m "Code only"
dsvc: this commit pins pets at C4
dsvc: dsvc.lock is staged now, and nothing else: where Git says that nothing is, say git commit again
Ada$ dsvc log --git
G2  TIME  C4  Ada  Code only
G1  TIME  C2  Ada  Begin
""")
