"""Whatever is done to files, inputs, ignore files and the cache: what is found is what a plain look at all finds."""

from __future__ import annotations

import contextlib
import fnmatch
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from project_files import PNG

import dsvc
from dsvc.core.files.workfiles import FileStatus
from dsvc.errors import RefusedError
from dsvc.model.commit import Author
from dsvc.store.ids import Kind, object_id

AUTHOR = Author("Ada", "ada@example.org")
FOLDERS = ("data", "data/sub", "data/sub/deep", "data/ign", "data/.hid", "other", "")
NAMES = ("a.jpg", "b.jpg", "c.txt", "d", "e.json", ".h.jpg")
CONTENTS = (b"", b"A", b"B", b"CC", PNG)
PATTERNS = ("", "*.txt\n", "ign/\n", "a.jpg\n", "*.jpg\n!a.jpg\n", "sub\n", "/data/b.jpg\n", "deep/\n!deep/\n")
TRACKED = (
    ({"folder": "data"},),
    ({"folder": "data", "root": "data"},),
    ({"folder": "."},),
    ({"folder": "data"}, {"folder": "data/sub", "root": "data/sub"}),
    ({"folder": "data", "root": "data"}, {"folder": "other", "root": "other"}),
    ({"folder": "data", "all_files": True}, {"folder": "data/sub", "root": "data"}, {"folder": "other"}),
    ({"folder": "data/sub", "root": "data"}, {"folder": "other"}),
)
places = st.tuples(st.sampled_from(FOLDERS), st.sampled_from(NAMES)).map(lambda pair: "/".join(filter(None, pair)))
PASSED = object()


class Files(RuleBasedStateMachine):
    @initialize(tracked=st.sampled_from(TRACKED))
    def begin(self, tracked: tuple[dict[str, Any], ...]) -> None:
        self.base = Path(tempfile.mkdtemp(prefix="dsvc-laws-"))
        self.root = self.base / "project"
        repository = dsvc.init(self.root, author=AUTHOR)
        repository.create("pets")
        repository.workspace.save(track=[{"dataset": "pets", **one} for one in tracked])
        self.tracked = sorted(
            (_plain(one["folder"]), _plain(one.get("root", "")), one.get("all_files", False)) for one in tracked
        )
        (self.base / "outside.jpg").write_bytes(b"outside")
        self.seen: set[tuple[str, bytes]] = set()
        self.clock = 1_600_000_000_000_000_000

    def teardown(self) -> None:
        if hasattr(self, "base"):
            shutil.rmtree(self.base)

    @property
    def pets(self) -> dsvc.Dataset:
        return dsvc.open(self.root, author=AUTHOR).dataset("pets")

    # ---- what happens to files

    @rule(place=places, content=st.sampled_from(CONTENTS), is_fresh=st.booleans(), in_place=st.booleans())
    def write(self, place: str, content: bytes, is_fresh: bool, in_place: bool) -> None:
        path = self.root / place
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            if not in_place or path.is_symlink() or path.is_fifo():
                path.unlink(missing_ok=True)
            path.write_bytes(content)
            if not is_fresh:
                self.clock += 1
                os.utime(path, ns=(self.clock, self.clock))

    @rule(place=places)
    def touch(self, place: str) -> None:
        with contextlib.suppress(OSError):
            self.clock += 1
            os.utime(self.root / place, ns=(self.clock, self.clock), follow_symlinks=False)

    @rule(old=places, new=places)
    def rename(self, old: str, new: str) -> None:
        with contextlib.suppress(OSError):
            (self.root / new).parent.mkdir(parents=True, exist_ok=True)
            (self.root / old).replace(self.root / new)

    @rule(first=places, second=places)
    def swap(self, first: str, second: str) -> None:
        paths = [self.root / first, self.root / second]
        if first != second and all(path.is_file() for path in paths):
            paths[0].rename(self.root / "swapped")
            paths[1].rename(paths[0])
            (self.root / "swapped").rename(paths[1])

    @rule(old=st.sampled_from(FOLDERS[1:]), new=st.sampled_from(FOLDERS[1:]))
    def rename_folder(self, old: str, new: str) -> None:
        with contextlib.suppress(OSError):
            (self.root / new).parent.mkdir(parents=True, exist_ok=True)
            (self.root / old).rename(self.root / new)

    @rule(place=places)
    def delete(self, place: str) -> None:
        with contextlib.suppress(OSError):
            (self.root / place).unlink()

    @rule(folder=st.sampled_from(FOLDERS[:-1]))
    def delete_folder(self, folder: str) -> None:
        shutil.rmtree(self.root / folder, ignore_errors=True)

    @rule(place=places, end=st.sampled_from(("a.jpg", "../a.jpg", "sub/b.jpg", "sub", "nowhere.jpg", "OUT", "pipe")))
    def link(self, place: str, end: str) -> None:
        path = self.root / place
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            if end == "pipe":
                os.mkfifo(path)
            else:
                path.symlink_to(self.base / "outside.jpg" if end == "OUT" else end)

    @rule(place=places)
    def move_out_and_link(self, place: str) -> None:
        path, out = self.root / place, self.base / f"out-{place.replace('/', '-')}"
        if path.is_file() and not path.is_symlink():
            path.rename(out)
            path.symlink_to(out)

    @rule(place=places)
    def move_in_what_is_linked(self, place: str) -> None:
        path = self.root / place
        if path.is_symlink() and path.is_file():
            target = path.resolve()
            path.unlink()
            target.rename(path)

    @rule(folder=st.sampled_from(FOLDERS), patterns=st.sampled_from(PATTERNS), is_there=st.booleans())
    def ignore(self, folder: str, patterns: str, is_there: bool) -> None:
        with contextlib.suppress(OSError):
            (self.root / folder / ".dsvcignore").unlink(missing_ok=True)
            if is_there:
                (self.root / folder / ".dsvcignore").write_text(patterns)

    @rule()
    def drop_the_cache(self) -> None:
        shutil.rmtree(self.root / ".dsvc" / "cache", ignore_errors=True)

    # ---- what happens to inputs

    @rule()
    def add_all(self) -> None:
        before, labels = self.pets.files(), self.labels()
        try:
            report = self.pets.add_all()
        except RefusedError:
            assert before.absent
            return
        after = self.pets.files()
        assert after.is_clean and after.problems == before.problems
        assert (report.moved, report.removed) == (len(before.renamed), len(before.missing))
        assert report.new + report.changed == len(before.new) + len(before.modified)
        self.note_seen()
        moved = dict(before.renamed)
        kept = {moved.get(key, key): ids for key, ids in labels.items() if key not in before.missing}
        assert self.labels() == kept
        assert report.removed_annotations == sum(len(labels.get(key, ())) for key in before.missing)
        again = self.pets.add_all()
        assert (again.new, again.changed, again.moved, again.removed) == (0, 0, 0, 0)

    @rule(place=places)
    def add_file(self, place: str) -> None:
        path = self.root / place
        if path.is_file() and not path.is_symlink():
            report = self.pets.add(path)
            assert report.new + report.changed + report.unchanged == 1
            one = self.owner(place)
            key = self.key(one, place) if one else place
            assert key in self.pets.draft()
            if one and place in self.paths(key):
                self.seen.add((place, bytes(object_id(Kind.BLOB, path.read_bytes()))))

    @rule(at=st.integers(0, 20))
    def add_folder(self, at: int) -> None:
        folder, _, _ = self.tracked[at % len(self.tracked)]
        if (self.root / folder).is_dir():
            before = self.pets.files()
            report = self.pets.add(self.root / folder)
            assert report.tracked == ()
            self.note_seen(folder)
            after = self.pets.files()
            for key in (*before.new, *before.modified):
                # Where two folders have files of one key, the other one's may be the one that was found.
                if all(_in(path, folder) for path in self.paths(key) if os.path.lexists(self.root / path)):
                    assert key not in after.new and key not in after.modified

    @precondition(lambda self: len(self.pets) > 0)
    @rule(at=st.integers(0, 20))
    def remove(self, at: int) -> None:
        keys = [sample.key for sample in self.pets.draft()]
        self.pets.remove(keys[at % len(keys)])

    @precondition(lambda self: len(self.pets) > 0)
    @rule(at=st.integers(0, 20))
    def annotate(self, at: int) -> None:
        keys = [sample.key for sample in self.pets.draft()]
        self.pets.annotate(keys[at % len(keys)], "cat")

    @rule()
    def undo(self) -> None:
        repository = self.pets.repository
        repository.undo()
        if not list(repository.datasets()):
            repository.redo()

    @rule()
    def commit(self) -> None:
        with contextlib.suppress(RefusedError):
            self.pets.commit("so far")

    def labels(self) -> dict[str, list[str]]:
        return {sample.key: [a.id for a in sample.annotations] for sample in self.pets.draft() if sample.annotations}

    # ---- what must be found

    @invariant()
    def what_is_found_is_what_a_plain_look_finds(self) -> None:
        if not hasattr(self, "base"):
            return
        found = self.pets.files()
        assert self.pets.files() == found
        cache, kept = self.root / ".dsvc" / "cache", self.root / ".dsvc" / "kept"
        if cache.exists():
            cache.rename(kept)
        fresh = self.pets.files()
        shutil.rmtree(cache, ignore_errors=True)
        if kept.exists():
            kept.rename(cache)
        assert found == fresh
        self.check(found)

    def check(self, found: FileStatus) -> None:
        files, wrong = self.look()
        inputs = {
            sample.key: bytes(sample.input.media.blob)
            for sample in self.pets.draft()
            if sample.input.media is not None and sample.input.media.blob is not None
        }
        there = {key: blob for key, (blob, _) in files.items()}
        new = {key for key, (_, is_taken) in files.items() if is_taken and key not in inputs}
        modified = {key for key in inputs if key in there and there[key] != inputs[key]}
        fileless = {key for key in inputs if key not in there and key not in wrong and self.paths(key)}
        missing = {key for key in fileless if any((path, inputs[key]) in self.seen for path in self.paths(key))}
        assert found.elsewhere == len(fileless - missing)
        renamed = dict(found.renamed)
        assert len(renamed) == len(set(renamed.values()))
        for old, target in renamed.items():
            assert old in missing or (old in modified and old in renamed.values())
            assert target in new | modified and there[target] == inputs[old]
        assert set(found.new) == new - set(renamed.values())
        assert set(found.modified) == modified - set(renamed.values())
        assert set(found.missing) == (missing | (modified & set(renamed.values()))) - set(renamed)
        # No rename is overlooked: no bytes are missing at one name and new at another.
        plainly_missing = {inputs[key] for key in set(found.missing) & missing}
        assert not plainly_missing & {there[key] for key in found.new}
        # What the rules pass over, and is no file, is found to be none only when an input has its key.
        assert set(found.unread) <= wrong & inputs.keys()

    def look(self) -> tuple[dict[str, tuple[bytes, bool]], set[str]]:
        """By key: the bytes' id of the file and whether it is to be taken; the keys of what cannot be read."""
        files: dict[str, tuple[bytes, bool]] = {}
        wrong: set[str] = set()
        for folder, _, _ in self.tracked:
            for above, _, names in sorted(os.walk(self.root / folder)):
                path = os.path.relpath(above, self.root).replace(os.sep, "/")
                for name in (*names, *(path.name for path in Path(above).iterdir() if path.is_symlink())):
                    place = name if path == "." else f"{path}/{name}"
                    one = self.owner(place)
                    if one is None or one[0] != folder or place.startswith(".dsvc/"):
                        continue
                    kind = self.kind(one, place)
                    key = self.key(one, place)
                    if kind is None:
                        if key not in files:
                            wrong.add(key)
                    else:
                        data = object_id(Kind.BLOB, (self.root / place).read_bytes())
                        if key not in files or (kind and not files[key][1]):
                            files[key] = (bytes(data), kind)
        return files, wrong - files.keys()

    def kind(self, one: tuple[str, str, bool], place: str) -> bool | None:
        """Whether a file is to be taken; None for one that should be and cannot."""
        folder, _, all_files = one
        parts = place.split("/")
        passed = self.is_ignored(place) or (
            not all_files and any(part.startswith(".") for part in place[len(folder) :].split("/"))
        )
        passed = passed or parts[-1] == ".dsvcignore"
        path = self.root / place
        if not passed and not all_files and parts[-1].endswith(".json"):
            passed = True
        if path.is_symlink() or not path.is_file():
            target = path.resolve() if path.exists() else None
            is_fine = target is not None and target.is_file() and _in(str(target), str(self.root / folder))
            if not is_fine:
                return None
        if not passed and not all_files and "." not in parts[-1][1:]:
            passed = path.read_bytes() != PNG
        return not passed

    def is_ignored(self, place: str) -> bool:
        parts = place.split("/")
        for end in range(1, len(parts) + 1):
            is_folder = end < len(parts)
            verdict = None
            for depth in range(end - 1, -1, -1):
                file = self.root.joinpath(*parts[:depth], ".dsvcignore")
                if verdict is None and file.is_file():
                    verdict = _verdict(file.read_text(), "/".join(parts[depth:end]), is_folder)
            if verdict:
                return True
        return False

    # ---- keys

    def owner(self, place: str) -> tuple[str, str, bool] | None:
        return max((one for one in self.tracked if _in(place, one[0])), key=lambda one: len(one[0]), default=None)

    def key(self, one: tuple[str, str, bool], place: str) -> str:
        return os.path.relpath(place, one[1] or ".")

    def paths(self, key: str) -> list[str]:
        paths = [(one, os.path.normpath(f"{one[1] or '.'}/{key}")) for one in self.tracked]
        return [path for one, path in paths if self.owner(path) == one]

    def note_seen(self, within: str = "") -> None:
        for folder, _, _ in self.tracked:
            for above, _, names in os.walk(self.root / folder):
                path = os.path.relpath(above, self.root).replace(os.sep, "/")
                for name in names:
                    place = name if path == "." else f"{path}/{name}"
                    one = self.owner(place)
                    if one is not None and one[0] == folder and _in(place, within) and self.kind(one, place):
                        blob = object_id(Kind.BLOB, (self.root / place).read_bytes())
                        self.seen.add((place, bytes(blob)))


def _plain(path: str) -> str:
    return "" if path == "." else path


def _in(path: str, folder: str) -> bool:
    return not folder or path == folder or path.startswith(f"{folder}/")


def _verdict(text: str, path: str, is_folder: bool) -> bool | None:
    """The few forms of patterns above, by the words of Git's manual."""
    found = None
    for line in text.splitlines():
        pattern = line.removeprefix("!")
        if pattern.endswith("/") and not is_folder:
            continue
        pattern = pattern.rstrip("/")
        name = path if "/" in pattern else path.rsplit("/", 1)[-1]
        if fnmatch.fnmatchcase(name, pattern.lstrip("/")):
            found = not line.startswith("!")
    return found


Files.TestCase.settings = settings(
    derandomize=True,  # the same walks in every run; others are found by taking this away
    max_examples=30,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestFiles = Files.TestCase
