"""What is taken: media, but for hidden files and for what ignore files name, as Git would read them."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from project_files import OLD, PNG, put

import dsvc
from dsvc.core.dataset import Dataset
from dsvc.core.files.choosing import IGNORED, OTHER, TAKEN, Rules, looks_like_media, rules_for
from dsvc.core.files.extensions import is_media_name
from dsvc.git.ignore import read_patterns

Fresh = Callable[..., Dataset]
needs_git = pytest.mark.skipif(not shutil.which("git"), reason="needs git")

# ---- beside Git

PARTS = ["a", "b", "ab", "*", "**", "?", "[ab]", "[!a]", "[^b]", "a*", "*b", "\\a", "\\*", "[", "[a-", "a**b", "\\ "]
PARTS += ["a\\ ", "[[:alpha:]]", "[a\\]]", "#", "!", "\\#", "\\!", "é", "*.jpg", "a.jpg", "[]a]", "\\", "{a,b}", "x"]
NAMES = ["a", "b", "ab", "aab", "a b", "a ", "#a", "!a", "é", "*", "[", "]", "{a,b}", "x", "y", "a\nb", "A"]
patterns = st.builds(
    lambda negated, first, parts, last, end: negated + first + "/".join(parts) + last + end,
    st.sampled_from(["", "", "!"]),
    st.sampled_from(["", "", "/"]),
    st.lists(st.lists(st.sampled_from(PARTS), min_size=1, max_size=2).map("".join), min_size=1, max_size=3),
    st.sampled_from(["", "", "/", "/**", "/*"]),
    st.sampled_from(["", "", "", "  ", "\r"]),
)
ignore_files = st.builds(
    lambda mark, lines, end: (mark + "\n".join(lines) + end).encode(),
    st.sampled_from(["", "", "", "\ufeff"]),
    st.lists(patterns, min_size=1, max_size=4),
    st.sampled_from(["", "\n", "\r\n"]),
)
folders = st.lists(st.sampled_from(NAMES), max_size=3).map("/".join)


@needs_git
@example(places=[("a", "a")], ignores={"": b"a\r\r\n"}, tracked="")
@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    places=st.lists(st.tuples(folders, st.sampled_from(NAMES)), min_size=1, max_size=25),
    ignores=st.dictionaries(folders, ignore_files, min_size=1, max_size=3),
    tracked=st.sampled_from(["", "", "a", "ab/b"]),
)
def test_what_git_would_not_ignore_is_taken(
    places: list[tuple[str, str]], ignores: dict[str, bytes], tracked: str
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        subprocess.run(["git", "init", "-q", root], check=True)
        for above, name in places:
            put(root, f"{above}/f{name}.jpg" if above else f"f{name}.jpg")
        for above, content in ignores.items():
            if (root / above).is_dir():
                (root / above / ".dsvcignore").write_bytes(content)
        # Git's word on all files that it does not have, by the patterns of files of our name.
        command = ["git", "ls-files", "--others", "--exclude-per-directory=.dsvcignore", "-z"]
        listed = subprocess.run(command, cwd=root, capture_output=True, check=True).stdout.decode().split("\0")
        within = f"{tracked}/" if tracked else ""
        expected = {key for key in listed if key.endswith(".jpg") and key.startswith(within)}
        if not (root / tracked).is_dir():
            return
        repository = dsvc.init(root, author=dsvc.Author("Ada"))
        pets = repository.create("pets")
        repository.workspace.save(track=[{"folder": tracked or "."}])
        assert set(pets.files().new) == expected
        assert set(pets.files().new) == expected
        report = pets.add(root / tracked)
        assert {sample.key for sample in pets.draft()} == expected and not report.problems


@pytest.mark.parametrize(
    ("content", "ignored", "taken"),
    [
        ("dir/*\n!dir/keep.jpg\n", ["dir/x.jpg"], ["dir/keep.jpg"]),
        ("dir/\n!dir/keep.jpg\n", ["dir/x.jpg", "dir/keep.jpg"], []),
        ("dir\n", ["dir/x.jpg", "sub/dir/x.jpg"], ["sub/x.jpg"]),
        ("/dir\n", ["dir/x.jpg"], ["sub/dir/x.jpg"]),
        ("x.jpg/\n", [], ["x.jpg", "dir/x.jpg"]),
        ("dir/**/x.jpg\n", ["dir/x.jpg", "dir/a/b/x.jpg"], ["x.jpg"]),
        ("**/dir\n", ["dir/x.jpg", "sub/dir/x.jpg"], []),
        ("# x.jpg\n\\#.jpg\n\n   \n", ["#.jpg"], ["x.jpg"]),
        ("\ufeffx.jpg\r\ny.jpg\r\n", ["x.jpg", "y.jpg"], ["z.jpg"]),
        ("x.jpg   \ny.jpg\\ \n", ["x.jpg"], ["y.jpg"]),
        ("*.jpg\n!dir/\n", ["x.jpg", "dir/x.jpg"], []),
        ("[\n[z-a]\n\\\nx.jpg\n", ["x.jpg"], ["[.jpg"]),
        ("é.jpg\n", ["é.jpg", "dir/é.jpg"], ["e.jpg"]),
        ("*\n!*/\n!*.jpg\n", ["x.txt", "dir/x.txt"], ["x.jpg", "dir/x.jpg"]),
    ],
)
def test_patterns(content: str, ignored: list[str], taken: list[str], root: Path, pets: Dataset) -> None:
    put(root, *ignored, *taken)
    (root / ".dsvcignore").write_text(content, newline="")
    report = pets.add(root)
    assert {sample.key for sample in pets.draft()} == set(taken)
    assert bool(report.left_out.ignored) == bool(ignored)


def test_the_innermost_file_counts(root: Path, pets: Dataset) -> None:
    put(root, "data/x/y/f.jpg", "data/x/z/f.jpg", "data/y/f.jpg")
    (root / ".dsvcignore").write_text("y\n")
    (root / "data/x/.dsvcignore").write_text("!y\nz\n")
    pets.add(root / "data")
    assert [sample.key for sample in pets.draft()] == ["data/x/y/f.jpg"]


def test_names_that_are_no_unicode_are_matched_as_bytes() -> None:
    is_ignored = read_patterns(b"caf\xe9.jpg\n*.txt\n")
    assert is_ignored(os.fsdecode(b"caf\xe9.jpg")) and is_ignored(os.fsdecode(b"d\xff/x.txt"))
    assert is_ignored(os.fsdecode(b"caf\xff.jpg")) is None


def test_any_bytes_are_patterns() -> None:
    chance = random.Random(1)
    for size in (0, 1, 10, 10_000):
        is_ignored = read_patterns(chance.randbytes(size))
        assert is_ignored("a/b.jpg") in (None, True, False)


# ---- as ignore files come, change and go


def test_each_change_of_an_ignore_file_counts(data: Path, root: Path, fresh: Fresh) -> None:
    put(data, "new.jpg", "sub/new.jpg")
    both = ("data/new.jpg", "data/sub/new.jpg")
    for place in (root, data):
        assert fresh().files().new == both
        (place / ".dsvcignore").write_text("new.jpg\n")
        assert fresh().files().new == () and fresh().files().left_out.ignored == 2
        (place / ".dsvcignore").write_text("!ne.jpg\n")
        assert fresh().files().new == both
        (place / ".dsvcignore").write_text("new.txt\nsub")
        stamp = (place / ".dsvcignore").stat().st_mtime_ns
        assert fresh().files().new == both[:1]
        (place / ".dsvcignore").write_text("new.txt\nsu?")  # of the same size and time
        os.utime(place / ".dsvcignore", ns=(stamp, stamp))
        assert fresh().files().new == both[:1]
        (place / ".dsvcignore").unlink()
    (data / "sub" / ".dsvcignore").write_text("new.jpg\n")
    assert fresh().files().new == both[:1]
    assert fresh().add(data / "sub")[:3] == (0, 0, 1)
    assert fresh().add_all()[:3] == (1, 0, 3)


def test_what_lies_in_an_ignored_folder_stays_out_when_it_is_named(root: Path, pets: Dataset) -> None:
    put(root, "data/sub/a.jpg", "data/sub/deep/b.jpg", "data/c.jpg")
    (root / ".dsvcignore").write_text("sub/\n")
    for folder in ("data/sub", "data/sub/deep"):
        for all_files in (False, True):
            report = pets.add(root / folder, all_files=all_files)
            assert report[:3] == (0, 0, 0) and report.left_out.ignored
    assert pets.files().is_clean
    # A file that is named itself is taken.
    assert pets.add(root / "data/sub/a.jpg")[:3] == (1, 0, 0)


@pytest.mark.parametrize("outside", [False, True])
def test_an_ignore_file_that_cannot_be_used_lets_nothing_in(outside: bool, root: Path, pets: Dataset) -> None:
    put(root, "data/a.jpg", "data/sub/b.jpg", "other/c.jpg")
    line = b"x" * 1023 + b"\n"
    (root / "data" / ".dsvcignore").write_bytes(line * (1 << 10) + b"y")
    base = root.parent if outside else None
    report = pets.add(root / "data", root / "other", root=base)
    assert [sample.key.split("/")[-2:] for sample in pets.draft()] == [["other", "c.jpg"]]
    assert [str(problem) for problem in report.problems] == [
        f"{root / 'data' / '.dsvcignore'}: cannot be read: it is larger than 1 MiB; "
        + ("nothing is taken of what it may name" if outside else "nothing new is taken of what it may name")
    ]
    (root / "data" / ".dsvcignore").write_bytes(line * (1 << 10))
    assert pets.add(root / "data", root / "other", root=base)[:3] == (2, 0, 1)


def test_an_unusable_ignore_file_loses_no_input(data: Path, fresh: Fresh) -> None:
    (data / ".dsvcignore").symlink_to(".dsvcignore")
    put(data, "a.jpg", data=b"other", mtime=OLD + 1)
    put(data, "new.jpg")
    status = fresh().files()
    assert (status.new, status.modified, status.missing) == ((), ("data/a.jpg",), ())
    assert ["circle" in str(problem) for problem in status.problems] == [True]


@pytest.mark.parametrize("kind", ["folder", "pipe", "dangling", "link"])
def test_what_else_goes_by_the_name_of_an_ignore_file(kind: str, data: Path, fresh: Fresh) -> None:
    place = data / ".dsvcignore"
    put(data, "new.jpg")
    if kind == "folder":
        place.mkdir()
    elif kind == "pipe":
        os.mkfifo(place)
    else:
        place.symlink_to("patterns.txt")
    if kind == "link":
        (data / "patterns.txt").write_text("*.txt\nnew.jpg\n")
    assert fresh().files().new == (() if kind == "link" else ("data/new.jpg",))


# ---- what counts as media


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.jpg", True),
        ("A.JPEG", True),
        ("a.b.png", True),
        ("a.txt", True),
        ("a.mp4", True),
        ("a.wav", True),
        ("a.json", False),
        ("a.tar.gz", False),
        ("a.py", False),
        ("a", None),
        ("a.", None),
        ("a.xyz", None),
        (".jpg", None),
        ("a.ts", None),  # a video or a program
    ],
)
def test_media_by_name(name: str, expected: bool | None) -> None:
    assert is_media_name(name) is expected
    kind = Rules((), False, b"").file(f"d/{name}", name)
    assert name == ".jpg" or kind == {True: TAKEN, False: OTHER, None: None}[expected]


def test_what_bytes_tell(tmp_path: Path) -> None:
    put(tmp_path, "png", data=PNG)
    put(tmp_path, "text", "empty", data=b"")
    put(tmp_path, "text", data=b"words")
    (tmp_path / "link").symlink_to("png")
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "pipe")
    found = {path.name: looks_like_media(str(path)) for path in tmp_path.iterdir()}
    expected = {"empty": False, "link": True, "loop": False, "pipe": False, "png": True, "text": False}
    assert found == expected and looks_like_media(str(tmp_path / "nowhere")) is None


def test_a_kind_that_bytes_tell_is_looked_at_again(data: Path, fresh: Fresh) -> None:
    for content, new in ((bytes(len(PNG)), ()), (PNG, ("data/x",)), (bytes(len(PNG)), ())):
        with open(data / "x", "wb") as file:
            file.write(content)
        stamp = (data / "x").stat().st_mtime_ns if content != PNG else stamp  # noqa: F821
        os.utime(data / "x", ns=(stamp, stamp))
        assert fresh().files().new == new


def test_the_rules_of_a_folder_do_not_depend_on_the_way_there(tmp_path: Path) -> None:
    """Else looks from different starts would each find that all has changed."""
    put(tmp_path, "a/b/c/x.jpg")
    for folder in ("", "a", "a/b"):
        (tmp_path / folder / ".dsvcignore").write_text(f"{len(folder)}.jpg\nx.jpg\n")
    root = str(tmp_path)

    def fail(place: str, error: OSError) -> None:
        raise error

    rules = rules_for(root, "", False, fail, b"seed")
    for part in ("", "a", "a/b", "a/b/c"):
        assert rules_for(root, part, False, fail, b"seed").digest == rules.digest
        rules = rules.read(root, part, fail)
    others = [rules_for(root, "a/b/c", True, fail, b"seed"), rules_for(root, "a/b/c", False, fail, b"other")]
    assert len({rules.digest, *(one.digest for one in others)}) == 3
    (tmp_path / ".dsvcignore").write_text("b/\n")
    assert rules_for(root, "a/b/c", True, fail).file("a/b/c/z.jpg", "z.jpg") == IGNORED
