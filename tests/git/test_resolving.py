"""Locks that Git left in conflict, finished from the index's stages or from the markers in the text."""

from collections.abc import Callable
from pathlib import Path

import pytest
from working_copies import Copy, new_copy

from dsvc.errors import RefusedError
from dsvc.git.conflicts import Sides, split
from dsvc.git.lockfile import HEADER, Locked, parse_lock
from dsvc.git.merging import MergedLock, Wanted, merge_locks, resolve_lock
from dsvc.git.working import GitRepository
from dsvc.store.ids import ObjectId

Stages = dict[int, bytes]


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    """A working copy in which no driver is set up."""
    copy = new_copy(tmp_path / "project", tmp_path / "home")
    copy.git("config", "--remove-section", "merge.dsvc-lock")
    return copy


@pytest.fixture
def lines(copy: Copy) -> list[Locked]:
    """A start and two lines that went on from it, with Git in a conflict of both."""
    start = copy.commit("a.png")
    cars = copy.commit("x.png", dataset="cars")
    copy.pin("start", start, cars)
    copy.git("checkout", "-q", "-b", "side")
    theirs = copy.commit("c.png", on=start.commit)
    copy.pin("theirs", theirs, cars)
    copy.git("checkout", "-q", "main")
    ours = copy.commit("b.png", on=start.commit)
    copy.pin("ours", ours, copy.commit("y.png", dataset="cars"))
    copy.git("merge", "side", code=1)
    return [start, ours, theirs]


def stages(copy: Copy) -> Stages:
    git = GitRepository.find(copy.folder)
    assert git is not None
    with git:
        return git.stages(b"dsvc.lock")


def nothing(repository: object, wanted: Wanted) -> Wanted:
    return wanted


@pytest.fixture
def resolve(copy: Copy) -> Callable[..., MergedLock]:
    def resolve(stages: Stages | None = None, text: str | None = None) -> MergedLock:
        text = copy.lock_file.read_text() if text is None else text
        return resolve_lock(copy.repository, stages or {}, text, nothing)

    return resolve


def test_from_the_stages(copy: Copy, lines: list[Locked], resolve: Callable[..., MergedLock]) -> None:
    merged = resolve(stages(copy))
    assert [one.merged.kind for one in merged.joined] == ["merged"]
    assert copy.keys(merged.lines["pets"]) == ["a.png", "b.png", "c.png"]
    assert copy.keys(merged.lines["cars"]) == ["x.png", "y.png"]
    assert parse_lock(merged.text()) == merged.lines


@pytest.mark.parametrize("style", ["merge", "diff3"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_from_the_markers(
    copy: Copy, lines: list[Locked], resolve: Callable[..., MergedLock], style: str, ending: str
) -> None:
    """The same as from the stages, in the styles of Git and of editors."""
    wanted = resolve(stages(copy)).lines
    copy.git("-c", f"merge.conflictStyle={style}", "checkout", "--conflict", style, "dsvc.lock")
    text = copy.lock_file.read_text()
    assert ("|||||||" in text) == (style == "diff3")
    assert resolve(text=text.replace("\n", ending)).lines == wanted


def test_from_our_own_markers(copy: Copy, lines: list[Locked], resolve: Callable[..., MergedLock]) -> None:
    """What the driver wrote while commits were missing is read back whole."""
    start, ours, theirs = ({line.dataset: line} for line in lines)
    unfinished = merge_locks(None, start, ours, theirs, nothing)
    assert list(unfinished.missing) == ["pets"]
    assert unfinished.text().count("\npets ") == 3
    assert resolve(text=unfinished.text()).lines["pets"] == resolve(stages(copy)).lines["pets"]


def test_several_hunks(copy: Copy, lines: list[Locked], resolve: Callable[..., MergedLock]) -> None:
    start, ours, theirs = lines
    hunk = f"<<<<<<< HEAD\n% main {ours.commit}\n=======\n% main {theirs.commit}\n>>>>>>> side\nm% x {start.commit}\n"
    merged = resolve(text=HEADER + hunk.replace("%", "a") + hunk.replace("%", "b")).lines
    assert sorted(merged) == ["a", "b", "ma", "mb"]
    assert merged["a"].commit == merged["b"].commit
    assert copy.keys(merged["a"]) == ["a.png", "b.png", "c.png"]


def test_a_base_that_is_no_lock(copy: Copy, lines: list[Locked], resolve: Callable[..., MergedLock]) -> None:
    merged = resolve({**stages(copy), 1: b"\xff<<<<<<<"})
    assert merged.is_baseless
    assert copy.keys(merged.lines["pets"]) == ["a.png", "b.png", "c.png"]


def test_what_is_missing_is_fetched_first(copy: Copy, lines: list[Locked]) -> None:
    start, ours, theirs = lines
    unknown = theirs._replace(commit=ObjectId(b"x" * 32))
    asked: list[Wanted] = []

    def bring(repository: object, wanted: Wanted) -> Wanted:
        asked.append(wanted)
        return wanted

    merged = merge_locks(copy.repository, {"pets": start}, {"pets": ours}, {"pets": unknown}, bring)
    assert asked == [{"pets": {unknown.commit}}]
    assert merged.missing == {"pets": {unknown.commit}}
    assert (merged.lines, merged.joined) == ({}, [])


def test_commits_that_are_brought_are_merged(copy: Copy, tmp_path: Path) -> None:
    start = copy.commit("a.png")
    other = copy.clone(tmp_path / "other")
    theirs = other.commit("c.png", on=start.commit)
    ours = copy.commit("b.png", on=start.commit)

    def bring(repository: object, wanted: Wanted) -> Wanted:
        assert wanted == {"pets": {theirs.commit}}
        copy.commit("c.png", on=start.commit)  # it comes to be here, in another process's operation
        return {}

    merged = merge_locks(copy.repository, {"pets": start}, {"pets": ours}, {"pets": theirs}, bring)
    assert copy.keys(merged.lines["pets"]) == ["a.png", "b.png", "c.png"]


# ---- refused


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("<<<<<<< a\n<<<<<<< b\n=======\n>>>>>>> c\n", "line 2 has a conflict marker where none can be"),
        ("<<<<<<< a\n=======\n", "its last conflict has no end"),
        ("=======\n", "line 1 has a conflict marker where none can be"),
        ("<<<<<<< a\n>>>>>>> b\n", "line 2 has a conflict marker where none can be"),
        ("<<<<<<< a\n=======\n||||||| b\n>>>>>>> b\n", "line 3 has a conflict marker"),
    ],
)
def test_broken_markers(text: str, what: str) -> None:
    with pytest.raises(RefusedError, match=what) as error:
        split(text)
    assert error.value.hint is not None and "git add dsvc.lock" in error.value.hint


def test_no_conflict(resolve: Callable[..., MergedLock]) -> None:
    with pytest.raises(RefusedError, match=r"dsvc\.lock is in no conflict"):
        resolve(text=HEADER)


def test_gone_on_one_side(copy: Copy, lines: list[Locked], resolve: Callable[..., MergedLock]) -> None:
    found = stages(copy)
    del found[3]
    with pytest.raises(RefusedError, match="gone on one side") as error:
        resolve(found)
    assert error.value.hint == (
        "keep it: git checkout --ours dsvc.lock and git add dsvc.lock; or take it out: git rm dsvc.lock"
    )


@pytest.mark.parametrize("side", [2, 3])
def test_a_damaged_side(copy: Copy, lines: list[Locked], resolve: Callable[..., MergedLock], side: int) -> None:
    for damage in (b"\xff", b"pets main\n"):
        with pytest.raises(RefusedError, match=r"(our|their) side of dsvc\.lock"):
            resolve({**stages(copy), side: damage})


def test_sides_of_a_text() -> None:
    text = "a\n<<<<<<< x\nb\n||||||| y\nc\n=======\nd\n>>>>>>> z\ne\n"
    assert split(text) == Sides("a\nc\ne", "a\nb\ne", "a\nd\ne")
    assert split(text.replace("||||||| y\nc\n", "")) == Sides(None, "a\nb\ne", "a\nd\ne")
    assert split("a\n") is None
