"""A random walk of several people through clones of one Git repository, and what must hold after each step."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import cast

from pictures import picture

from dsvc.core.dataset import Dataset
from dsvc.core.draft import load_state
from dsvc.core.merging.graph import Graph
from dsvc.core.repository import Repository
from dsvc.core.transaction import Refs
from dsvc.errors import DsvcError
from dsvc.git.lockfile import parse_lock
from dsvc.git.pinning import readable
from dsvc.model.commit import load_commit
from dsvc.model.snapshot import Snapshot, load_roots
from dsvc.model.view import BRANCH, DRAFT, PIN, VERSION, BranchRef, PinRef, VersionRef
from dsvc.store.ids import ObjectId
from dsvc.store.local import LocalBackend

CONCEPTS = ("cat", "dog", "emu", "fox")
UNDER_WAY = ("MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "rebase-merge", "rebase-apply")


class BrokenError(AssertionError):
    """Something that must hold does not; the message ends with all that was typed."""


class Person:
    """Somebody at a clone."""

    def __init__(self, walk: Walk, name: str, folder: Path) -> None:
        self.walk, self.name, self.folder = walk, name, folder
        self.mine: dict[ObjectId, str] = {}
        self.has_hooks = False

    def run(self, command: str, *, quiet: bool = False) -> tuple[int, str]:
        """The exit code of a command and all that it prints."""
        walk = self.walk
        walk.minutes += 1
        date = f"2024-05-{1 + walk.minutes // 1440:02}T{walk.minutes // 60 % 24:02}:{walk.minutes % 60:02}:00+00:00"
        if command.startswith("dsvc commit "):
            command += f" --date {date}"
        env = {**os.environ, "TZ": "UTC", "GIT_EDITOR": "true", "GIT_MERGE_AUTOEDIT": "no"}
        env["PATH"] = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
        for role in ("AUTHOR", "COMMITTER"):
            env |= {f"GIT_{role}_NAME": self.name, f"GIT_{role}_EMAIL": f"{self.name}@example.org"}
            env |= {f"GIT_{role}_DATE": date}
        env |= {"DSVC_AUTHOR_NAME": self.name, "DSVC_AUTHOR_EMAIL": f"{self.name}@example.org"}
        done = subprocess.run(
            ["sh", "-c", command],
            cwd=self.folder,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
        if not quiet:
            walk.log.append(f"{self.folder.name}$ {command}   # {done.returncode}")
            walk.log += ["    " + line for line in done.stdout.replace("\r", "\n").splitlines()]
        if "Traceback" in done.stdout or "internal error" in done.stdout:
            walk.fail("an internal error")
        return done.returncode, done.stdout

    def git(self, command: str) -> list[str]:
        """The lines that a command of Git's prints, untold."""
        return self.run(f"git {command}", quiet=True)[1].splitlines()

    # ---- what is so

    @property
    def repository(self) -> Repository:
        return Repository.open(self.folder)

    @property
    def git_folder(self) -> Path:
        return self.folder / self.git("rev-parse --git-dir")[0]

    @property
    def under_way(self) -> str | None:
        folder = self.git_folder
        return next((name for name in UNDER_WAY if (folder / name).exists()), None)

    @property
    def is_unmerged(self) -> list[str]:
        return self.git("diff --name-only --diff-filter=U")

    def places(self) -> dict[str, tuple[str, ObjectId | None]]:
        """Where each dataset is: its current branch, and the commit."""
        repository = self.repository
        return {
            dataset.name: (dataset.branch, cast(BranchRef, ref).commit)
            for dataset in repository.datasets()
            if (ref := repository.view.get(BRANCH, dataset.name, dataset.branch)) is not None
        }

    def reachable(self) -> set[ObjectId]:
        """All commits that branches, versions and pins reach."""
        repository = self.repository
        heads = [
            cast("BranchRef | VersionRef | PinRef", ref).commit
            for kind in (BRANCH, VERSION, PIN)
            for _, ref in repository.view.list(kind)
        ]
        return Graph(repository.store).behind([head for head in heads if head is not None])

    def locked(self) -> set[ObjectId]:
        """What the locks of all that Git keeps name, and what is behind it."""
        repository, found = self.repository, set[ObjectId]()
        texts = self.walk.locks(self, "--all --reflog")
        for text in texts:
            found |= {line.commit for line in readable(text).values()}
        return Graph(repository.store).behind([id for id in found if repository.store.has(id)])

    def staged(self) -> dict[tuple[str, str], set[bytes]]:
        """Per dataset and branch the annotations that are staged and new."""
        repository, found = self.repository, {}
        for ref, _ in repository.view.list(DRAFT):
            dataset = Dataset(repository, ref[2], ref[3])
            if repository.view.get(BRANCH, ref[2], ref[3]) is None:
                continue
            state = load_state(repository.store, Refs(repository.view), dataset)
            head = cast(BranchRef, repository.view.get(BRANCH, ref[2], ref[3])).commit
            before = self.walk.annotations(repository, head)
            after = {key for key, _ in Snapshot(repository.store, state.roots).annotation_tree}
            found[ref[2], ref[3]] = after - before
        return found


class Walk:
    """The walk of a seed."""

    def __init__(
        self, folder: Path, seed: int, *, people: int = 2, worktrees: bool = True, check_every: int = 10
    ) -> None:
        self.folder, self.random, self.seed = folder, random.Random(seed), seed
        self.log: list[str] = []
        self.minutes = 0
        self.check_every = check_every
        self.people: list[Person] = []
        self.count = 0
        self._begin(people)
        self.actions = self._actions(worktrees)

    # ---- the beginning

    def _begin(self, people: int) -> None:
        folder = self.folder
        folder.mkdir(parents=True)
        for name in ("ada", "bo", "cy")[:people]:
            person = Person(self, name, folder / name)
            self.people.append(person)
            if name != "ada":
                self.must(person, "git clone -q ../hub.git .")
                self._pictures(person)
                self.must(person, "dsvc pull --yes && dsvc git install")
                continue
            self._pictures(person)
            self.must(person, "git init -q -b main && dsvc init && dsvc create pets")
            self.must(person, "dsvc add images/a.png images/b.png")
            self.must(person, "dsvc annotate images/a.png --concept cat --box 0,0,1,1")
            self.must(person, "dsvc commit -m First")
            self.must(person, "dsvc git install && dsvc remote add store ../store")
            self.must(person, "echo images > .gitignore && echo 0 > code.txt && git add . && git commit -qm Begin")
            self.must(person, "git init -q --bare -b main ../hub.git && git remote add origin ../hub.git")
            self.must(person, "git push -q -u origin main")

    def _pictures(self, person: Person) -> None:
        for color, name in enumerate("abcdefgh"):
            path = person.folder / "images" / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(picture(color=color))

    def must(self, person: Person, command: str) -> None:
        person.folder.mkdir(exist_ok=True)
        code, _ = person.run(command)
        if code:
            self.fail(f"{command} failed")

    def fail(self, what: str) -> None:
        raise BrokenError(f"seed {self.seed}, step {self.count}: {what}\n" + "\n".join(self.log))

    # ---- reading

    def locks(self, person: Person, revisions: str) -> set[bytes]:
        """The texts of the locks in all commits of some revisions."""
        commits = person.git(f"rev-list {revisions}")
        names = "".join(f"{commit}:dsvc.lock\n" for commit in commits)
        lines = person.git(f"cat-file --batch-check='%(objectname) %(objecttype)' <<E\n{names}E")
        blobs = {line.split()[0] for line in lines if line.endswith(" blob")}
        found = set()
        for blob in blobs:
            done = subprocess.run(["git", "cat-file", "blob", blob], cwd=person.folder, capture_output=True, check=True)
            found.add(done.stdout)
        return found

    def annotations(self, repository: Repository, id: ObjectId | None) -> set[bytes]:
        if id is None:
            return set()
        roots = load_roots(repository.store, load_commit(repository.store, id).snapshot)
        return {key for key, _ in Snapshot(repository.store, roots).annotation_tree}

    # ---- steps

    def run(self, steps: int) -> None:
        """Take some steps. Raises BrokenError."""
        while self.count < steps:
            self.step()

    def step(self) -> None:
        """One person does one thing."""
        self.count += 1
        person = self.random.choice(self.people)
        if person.under_way or person.is_unmerged:
            self._go_on(person)
        else:
            names, weights = zip(*((name, weight) for name, (weight, _) in self.actions.items()), strict=True)
            name = self.random.choices(names, weights)[0]
            self.log.append(f"--- {self.count} {person.folder.name}: {name}")
            self.actions[name][1](person)
        self._invariants(person)

    def _actions(self, worktrees: bool) -> dict[str, tuple[int, Callable[[Person], object]]]:
        actions = {
            "annotate": (14, self.annotate),
            "add": (5, self.add),
            "rm": (2, self.rm),
            "set": (2, self.set),
            "commit data": (14, self.commit_data),
            "undo": (2, self.undo),
            "version": (2, self.version),
            "data branch": (2, self.data_branch),
            "data switch": (2, self.data_switch),
            "data merge": (1, self.data_merge),
            "create": (1, self.create),
            "use": (1, self.use),
            "code": (5, self.code),
            "commit all": (14, self.commit_all),
            "commit some": (3, self.commit_some),
            "commit staged": (3, self.commit_staged),
            "amend": (3, self.amend),
            "switch": (7, self.switch),
            "branch": (4, self.branch),
            "merge": (8, self.merge),
            "rebase": (5, self.rebase),
            "cherry-pick": (3, self.pick),
            "revert": (3, self.revert),
            "stash": (2, self.stash),
            "pop": (4, self.pop),
            "reset hard": (2, self.reset_hard),
            "reset soft": (2, self.reset_soft),
            "push": (6, self.push),
            "pull": (6, self.pull),
            "pull rebase": (3, self.pull_rebase),
            "look back": (3, self.look_back),
            "dsvc pull": (2, self.data_pull),
            "dsvc lock": (1, self.data_lock),
            "both merge": (2, self.both_merge),
            "squash": (2, self.squash),
            "no commit": (2, self.no_commit),
            "tag": (1, self.tag),
            "data delete": (1, self.data_delete),
            "data rename": (1, self.data_rename),
            "resolve": (2, self.resolve),
            "discard": (1, self.discard),
            "hooks off": (2, self.hooks_off),
            "driver off": (3, self.driver_off),
        }
        if worktrees:
            actions["worktree"] = (1, self.worktree)
        return actions

    def _box(self) -> str:
        return ",".join(str(self.random.randint(0, 3)) for _ in range(4))

    def _key(self, person: Person) -> str | None:
        code, said = person.run("dsvc show --inputs", quiet=True)
        keys = [line for line in said.splitlines() if line.startswith("images/")] if code == 0 else []
        return self.random.choice(keys) if keys else None

    def annotate(self, person: Person) -> None:
        key = self._key(person)
        if key:
            person.run(f"dsvc annotate {key} --concept {self.random.choice(CONCEPTS)} --box {self._box()}")

    def add(self, person: Person) -> None:
        person.run(f"dsvc add images/{self.random.choice('abcdefgh')}.png")

    def rm(self, person: Person) -> None:
        key = self._key(person)
        if key:
            person.run(f"dsvc rm {key}")

    def set(self, person: Person) -> None:
        key = self._key(person)
        if key:
            person.run(f"dsvc set {key} --split {self.random.choice(('train', 'val', 'test'))}")

    def commit_data(self, person: Person) -> None:
        code, _ = person.run(f"dsvc commit -m {self._word()}")
        if code == 0:
            repository = person.repository
            dataset = repository.dataset()
            ref = cast(BranchRef, repository.view.get(BRANCH, dataset.name, dataset.branch))
            assert ref.commit is not None
            person.mine[ref.commit] = f"step {self.count}"

    def _word(self) -> str:
        return f"{self.count}"

    def undo(self, person: Person) -> None:
        person.run("dsvc undo")
        kept = person.reachable()
        person.mine = {id: at for id, at in person.mine.items() if id in kept}

    def version(self, person: Person) -> None:
        person.run(f"dsvc version create v{self.random.randint(1, 4)}")

    def data_branch(self, person: Person) -> None:
        person.run(f"dsvc switch -c b{self.random.randint(1, 3)}")

    def _data_branches(self, person: Person) -> list[str]:
        _, said = person.run("dsvc branch", quiet=True)
        return [
            line.lstrip("* ").split()[0]
            for line in said.splitlines()
            if line.strip() and "error" not in line and "hint" not in line
        ]

    def data_switch(self, person: Person) -> None:
        names = self._data_branches(person)
        if names:
            person.run(f"dsvc switch {self.random.choice(names)}")

    def data_merge(self, person: Person) -> None:
        names = self._data_branches(person)
        if names:
            person.run(f"dsvc merge {self.random.choice(names)}")

    def create(self, person: Person) -> None:
        name = self.random.choice(("toys", "cars"))
        annotate = f"dsvc annotate images/c.png --concept emu --box {self._box()}"
        person.run(f"dsvc create {name} && dsvc add images/c.png && {annotate}")

    def use(self, person: Person) -> None:
        names = list(person.places())
        if names:
            person.run(f"dsvc use {self.random.choice(names)}")

    def code(self, person: Person) -> None:
        file = self.random.choice(("code.txt", f"{person.name}.txt"))
        person.run(f"echo {self.count} > {file}; git add {file}")

    def _committed(self, person: Person, code: int) -> None:
        """A clean commit leaves nothing behind."""
        if code == 0 and not person.under_way:
            left = person.git("status --porcelain --untracked-files=no")
            if left:
                self.fail(f"after a commit of all, git status tells {left}")

    def commit_all(self, person: Person) -> None:
        code, _ = person.run(f"git commit -qam {self._word()}")
        self._committed(person, code)

    def commit_some(self, person: Person) -> None:
        self.code(person)
        files = self.random.choice(
            ("code.txt", "dsvc.lock", "code.txt dsvc.lock", "-i code.txt", "-o code.txt dsvc.lock")
        )
        person.run(f"git commit -qm {self._word()} {files}")

    def commit_staged(self, person: Person) -> None:
        person.run(f"git commit -qm {self._word()}")

    def amend(self, person: Person) -> None:
        person.run("git commit -q --amend --no-edit" + self.random.choice(("", " -a")))

    def _others(self, person: Person) -> list[str]:
        return person.git("for-each-ref --format='%(refname:short)' refs/heads refs/remotes/origin/* refs/tags")

    def switch(self, person: Person) -> None:
        heads = person.git("for-each-ref --format='%(refname:short)' refs/heads")
        remote = [
            name.removeprefix("origin/")
            for name in self._others(person)
            if name.startswith("origin/") and name != "origin/HEAD"
        ]
        name = self.random.choice(sorted({*heads, *remote}))
        self.follows(person, f"git switch {name}")

    def branch(self, person: Person) -> None:
        self.follows(person, f"git switch -c g{self.random.randint(1, 5)}")

    def _other(self, person: Person) -> str:
        return self.random.choice([name for name in self._others(person) if name not in ("origin", "origin/HEAD")])

    def merge(self, person: Person) -> None:
        other = self._other(person)
        bases = person.git(f"merge-base --all HEAD {other}")
        sides = [person.git(f"rev-parse {name}^{{commit}}")[0] for name in ("HEAD", other)]
        code, _ = self.follows(person, f"git merge {self.random.choice(('', '--no-ff '))}-q -m {self._word()} {other}")
        if code == 0 and len(bases) == 1:
            self._union(person, bases[0], *sides)

    def _union(self, person: Person, base: str, ours: str, theirs: str) -> None:
        """No annotation that neither side took away is gone, and none came from nowhere."""
        repository = person.repository
        texts = ["\n".join(person.git(f"cat-file blob {side}:dsvc.lock")) for side in (base, ours, theirs, "HEAD")]
        locks = [readable(text.encode()) for text in texts]
        for name in {*locks[1], *locks[2]}:
            if name not in locks[3]:
                if name in locks[0] and (name not in locks[1] or name not in locks[2]):
                    continue
                self.fail(f"{name} is gone from the merged lock")
            commits = [lock[name].commit if name in lock else None for lock in locks]
            if any(id is not None and not repository.store.has(id) for id in commits):
                continue
            b, o, t, merged = (self.annotations(repository, id) for id in commits)
            wanted = (o | t) - (b - o) - (b - t)
            if not wanted <= merged:
                self.fail(f"{name}: annotations are gone by a merge: {sorted(wanted - merged)}")
            if not merged <= (o | t | b):
                self.fail(f"{name}: annotations are new by a merge: {sorted(merged - o - t)}")

    def rebase(self, person: Person) -> None:
        onto = self._other(person)
        options = self.random.choice(("", "", "-i ", "--onto HEAD~1 ", "--no-ff ", "-r "))
        self.follows(person, f"git rebase {options}{onto}")

    def _commit(self, person: Person) -> str:
        return self.random.choice(person.git("rev-list --all -n 30 --min-parents=1") or ["HEAD"])

    def pick(self, person: Person) -> None:
        self.follows(person, f"git cherry-pick {self._commit(person)[:10]}")

    def revert(self, person: Person) -> None:
        found = person.git("rev-list HEAD -n 5 --min-parents=1")
        self.random.shuffle(found)
        if found:
            self.follows(person, f"git revert --no-edit {found[0][:10]}")

    def stash(self, person: Person) -> None:
        person.run("git stash")

    def pop(self, person: Person) -> None:
        if person.git("stash list"):
            person.run("git stash pop")

    def reset_hard(self, person: Person) -> None:
        person.run("git reset -q --hard " + self.random.choice(("HEAD", "HEAD~1", "ORIG_HEAD")))

    def reset_soft(self, person: Person) -> None:
        person.run("git reset -q " + self.random.choice(("--soft", "--mixed")) + " HEAD~1")

    def push(self, person: Person) -> None:
        code, _ = person.run(
            "git push -q " + self.random.choice(("", "--force ")) + "origin HEAD"
            if person.git("branch --show-current")
            else "git push -q origin --all"
        )
        if code == 0:
            self._pushed(person)

    def _pushed(self, person: Person) -> None:
        hub = Person(self, "hub", self.folder / "hub.git")
        store = Repository(LocalBackend(self.folder / "store"))
        for text in self.locks(hub, "--all"):
            for line in readable(text).values():
                if not store.store.has(line.commit):
                    self.fail(f"after a push, the store lacks {line.commit.hex()} of {line.dataset}")

    def pull(self, person: Person) -> None:
        self.follows(person, f"git pull -q --no-rebase origin {self.random.choice(self._hub(person))}")

    def _hub(self, person: Person) -> list[str]:
        return [line.split("/")[-1] for line in person.git("ls-remote --heads origin")]

    def pull_rebase(self, person: Person) -> None:
        self.follows(person, f"git pull -q --rebase origin {self.random.choice(self._hub(person))}")

    def look_back(self, person: Person) -> None:
        self.follows(person, f"git checkout -q {self._commit(person)[:10]}")

    def data_pull(self, person: Person) -> None:
        person.run("dsvc pull")

    def data_lock(self, person: Person) -> None:
        person.run("dsvc lock")

    def data_delete(self, person: Person) -> None:
        names = [name for name in person.places() if name != "pets"]
        if names:
            person.run(f"dsvc delete {names[0]}")
            kept = person.reachable()
            person.mine = {id: at for id, at in person.mine.items() if id in kept}

    def data_rename(self, person: Person) -> None:
        names = [name for name in person.places() if name != "pets"]
        if names:
            person.run(f"dsvc rename {names[0]} {self.random.choice(('boats', 'toys', 'cars'))}")

    def resolve(self, person: Person) -> None:
        person.run("dsvc resolve --all --author ada")

    def hooks_off(self, person: Person) -> None:
        """As if the hook was killed; then the data is brought along by hand."""
        other = self._other(person)
        command = self.random.choice(
            (f"git switch --detach {other}", f"git merge -q -m {self._word()} {other}", f"git rebase {other}")
        )
        person.run(f"DSVC_HOOKS=0 {command}")
        if person.under_way or self.random.random() < 0.3:
            return
        self.follows(person, "dsvc pull  # checkout")

    def driver_off(self, person: Person) -> None:
        """As on a forge, or by somebody without dsvc."""
        code, _ = person.run(f"git -c merge.dsvc-lock.driver=false merge -q -m {self._word()} {self._other(person)}")
        if code:
            driver = "-c merge.dsvc-lock.driver='git merge-file %A %O %B'"
            person.run(f"git {driver} merge -q -m {self._word()} {self._other(person)}")

    def discard(self, person: Person) -> None:
        person.run("dsvc discard --all")

    def squash(self, person: Person) -> None:
        code, _ = person.run(f"git merge -q --squash {self._other(person)}")
        if code == 0 and not person.is_unmerged:
            self.follows(person, f"git commit -qm {self._word()}")

    def no_commit(self, person: Person) -> None:
        person.run(f"git merge -q --no-ff --no-commit {self._other(person)}")
        if self.random.random() < 0.5:
            person.run("git merge --abort")

    def tag(self, person: Person) -> None:
        person.run(f"git tag t{self.count}")

    def worktree(self, person: Person) -> None:
        if person.folder.name != person.name:
            return
        name = f"{person.name}-tree"
        if (self.folder / name).exists():
            person.run(f"git worktree remove --force ../{name}")
            self.people = [one for one in self.people if one.folder.name != name]
            return
        code, _ = person.run(f"git worktree add -q --detach ../{name}")
        if code == 0:
            other = Person(self, person.name, self.folder / name)
            self._pictures(other)
            other.run("dsvc pull --yes")
            self.people.append(other)

    def both_merge(self, person: Person) -> None:
        """Two people merge the same two branches, each from another side."""
        heads = self._hub(person)
        if len(heads) < 2 or len(self.people) < 2:
            return
        one, two = self.random.sample(heads, 2)
        other = next(who for who in self.people if who is not person and who.name != person.name)
        found = []
        for who, (ours, theirs) in ((person, (one, two)), (other, (two, one))):
            if who.under_way or who.is_unmerged or who.git("status --porcelain --untracked-files=no"):
                return
            was = who.git("branch --show-current") or who.git("rev-parse HEAD")
            who.run("git fetch -q")
            code, _ = who.run(f"git checkout -q --detach origin/{ours}")
            if code:
                return
            code, _ = self.follows(who, f"git merge -q --no-ff -m {self._word()} origin/{theirs}")
            text = (who.folder / "dsvc.lock").read_text()
            stuck = who.is_unmerged
            if code:
                who.run("git merge --abort")
            self.follows(who, f"git checkout -q {was[0]}")
            if "dsvc.lock" not in stuck:
                found.append({name: line.commit for name, line in parse_lock(text).items()})
        bases = person.git(f"merge-base --all origin/{one} origin/{two}")
        if len(found) == 2 and found[0] != found[1] and len(bases) == 1:
            self.fail(f"the merges of {one} and {two} differ: {found}")

    # ---- going on

    def _go_on(self, person: Person) -> None:
        at = person.under_way
        self.log.append(f"--- {self.count} {person.folder.name}: in {at}")
        word = {"MERGE_HEAD": "merge", "CHERRY_PICK_HEAD": "cherry-pick", "REVERT_HEAD": "revert", None: None}.get(
            at, "rebase"
        )
        if at and self.random.random() < 0.25:
            self.follows(person, f"git {word} --abort")
            return
        if at and self.random.random() < 0.2:
            self.random.choice((self.annotate, self.commit_data, self.data_pull))(person)
            return
        stuck = person.is_unmerged
        if "dsvc.lock" in stuck:
            code, _ = person.run("dsvc lock --resolve")
            if code:
                person.run("dsvc pull --yes")
                code, _ = person.run("dsvc lock --resolve")
            if code:
                person.run(f"git checkout {self.random.choice(('--ours', '--theirs'))} dsvc.lock; git add dsvc.lock")
                if "dsvc.lock" in person.is_unmerged:
                    person.run("git rm -q dsvc.lock")
        for file in person.is_unmerged:
            person.run(
                f"git checkout --ours {file} || git checkout --theirs {file} || git rm -q {file}; git add {file}"
            )
        if at is None:
            person.run("git stash drop; git reset -q")
            return
        code, _ = self.follows(person, "git commit -q --no-edit" if word == "merge" else f"git {word} --continue")
        if code and not person.is_unmerged and word in ("cherry-pick", "revert", "rebase"):
            person.run(f"git {word} --skip")
        person.run("dsvc pull")

    # ---- what must hold

    def follows(self, person: Person, command: str) -> tuple[int, str]:
        """Run a command of Git's after which the data follows the lock."""
        before, pinned = person.places(), person.locked()
        staged, stood = person.staged(), self._stood(person)
        code, said = person.run(command)
        moved = self._stood(person)
        # Git runs no hook where it does nothing; and what a reset left elsewhere, a commit of other files leaves there.
        hooked = moved[0] != stood[0] and (moved[1] != stood[1] or ("pick" not in command and "revert" not in command))
        hooked = hooked or "switch" in command or "checkout" in command
        hooked = hooked and "--abort" not in command
        if code == 0 and hooked and not person.under_way and not person.is_unmerged:
            self._followed(person, before, pinned, command)
        self._staged_stays(person, staged)
        return code, said

    def _stood(self, person: Person) -> tuple[list[str], list[str]]:
        return person.git("rev-parse HEAD"), person.git("rev-parse HEAD:dsvc.lock")

    def _followed(
        self, person: Person, before: dict[str, tuple[str, ObjectId | None]], pinned: set[ObjectId], command: str
    ) -> None:
        lock = self._lock(person)
        places, store = person.places(), person.repository.store
        for name, line in lock.items():
            was = before.get(name, ("", None))[1]
            if not store.has(line.commit):
                if "is not here" not in "\n".join(self.log[-30:]):
                    self.fail(f"{name}: {line.commit.short()} is missing, untold")
                continue
            if places.get(name) != (line.branch, line.commit) and (was is None or was in pinned):
                view = person.repository.view
                there = cast("BranchRef | None", view.get(BRANCH, name, line.branch))
                if there is not None and there.commit is not None and there.commit not in {*pinned, was}:
                    continue  # the branch that the lock names has work of its own
                self.fail(
                    f"{name} is at {places.get(name)} after {command}, and not at {line}; was at {before.get(name)}"
                )

    def _staged_stays(self, person: Person, before: dict[tuple[str, str], set[bytes]]) -> None:
        if not any(before.values()):
            return
        repository, after = person.repository, person.staged()
        for (name, branch), keys in before.items():
            ref = cast("BranchRef | None", repository.view.get(BRANCH, name, branch))
            if ref is None:
                self.fail(f"{name} {branch} is gone, and had staged changes")
            found = self.annotations(repository, ref.commit) | after.get((name, branch), set())
            if not keys <= found:
                self.fail(f"{name} {branch}: what was staged is gone: {sorted(keys - found)}")

    def _lock(self, person: Person) -> dict[str, object]:
        path = person.folder / "dsvc.lock"
        if not path.exists():
            return {}
        try:
            return dict(parse_lock(path.read_text()))
        except DsvcError as error:
            self.fail(f"the lock of {person.folder.name} cannot be read: {error}\n{path.read_text()}")
            raise

    def _invariants(self, person: Person) -> None:
        if not person.is_unmerged:
            self._lock(person)
        kept = person.reachable()
        for id, at in person.mine.items():
            if id not in kept:
                self.fail(f"{person.folder.name}'s commit {id.short()} of {at} is out of reach")
        if self.count % self.check_every == 0:
            report = person.repository.check()
            if report.damage:
                self.fail(f"dsvc check of {person.folder.name}: {report.damage}")
