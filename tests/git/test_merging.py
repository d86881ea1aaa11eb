"""Git merges locks, with the real `git`: merge, rebase, cherry-pick, revert, and what is in the way."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from working_copies import BOB, Copy, new_copy

from dsvc.cli.main import run
from dsvc.core.merging.commits import merge_commits
from dsvc.git import merging
from dsvc.git.lockfile import HEADER, Locked
from dsvc.model.commit import load_commit
from dsvc.model.view import PIN
from dsvc.store.ids import ObjectId

Sides = Callable[..., None]


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    return new_copy(tmp_path / "project", tmp_path / "home")


@pytest.fixture
def start(copy: Copy) -> Locked:
    """A dataset of one input, pinned on main; the branch side begins there."""
    line = copy.commit("a.png")
    copy.pin("start", line)
    copy.git("branch", "side")
    return line


@pytest.fixture
def sides(copy: Copy, start: Locked) -> Sides:
    """Pin lines on main, and others on side; main is checked out then."""

    def sides(ours: list[Locked], theirs: list[Locked]) -> None:
        copy.git("checkout", "-q", "side")
        copy.pin("theirs", *theirs)
        copy.git("checkout", "-q", "main")
        copy.pin("ours", *ours)

    return sides


def test_both_sides_moved_a_dataset(copy: Copy, start: Locked, sides: Sides) -> None:
    ours, theirs = copy.commit("b.png"), copy.commit("c.png", time=9, author=BOB)
    sides([ours], [theirs])
    done = copy.git("merge", "side", "-m", "merged")
    line = copy.lock()["pets"]
    assert done.err == (
        f"[pets main {line.commit.short()}] merged {ours.commit.short()} and {theirs.commit.short()}\n"
        "  inputs       1 added\n"
        "  annotations  1 added\n"
    )
    assert copy.keys(line) == ["a.png", "b.png", "c.png"]
    made = load_commit(copy.repository.store, line.commit)
    assert (made.parents, made.author) == ((ours.commit, theirs.commit), BOB)
    assert copy.git("status", "--porcelain").out == ""
    assert [ref for ref, _ in copy.repository.view.list(PIN)] == [(PIN, "pets", line.commit.hex())]
    assert copy.repository.dataset("pets").head == start.commit  # no branch moves


def test_two_people_who_merge_the_same_have_one_commit(copy: Copy, sides: Sides, tmp_path: Path) -> None:
    sides([copy.commit("b.png")], [copy.commit("c.png", author=BOB)])
    other = copy.clone(tmp_path / "other")
    copy.git("merge", "side", "-m", "merged")
    other.git("checkout", "-q", "side")
    other.git("merge", "main", "-m", "merged by another one")
    assert copy.lock() == other.lock()
    # And so Git has nothing to merge of the lock when both meet.
    copy.git("pull", "-q", "--no-rebase", "--no-edit", str(other.folder), "side")
    assert copy.lock() == other.lock()


def test_who_is_behind_goes_forward_whatever_git_thinks(copy: Copy, start: Locked, sides: Sides) -> None:
    ours = copy.commit("b.png")
    theirs = copy.commit("c.png", on=ours.commit)
    sides([ours], [theirs])
    done = copy.git("merge", "side", "-m", "merged")
    assert copy.lock() == {"pets": theirs}
    assert done.err.startswith(f"[pets main {theirs.commit.short()}] went forward from {ours.commit.short()}\n")
    assert list(copy.repository.view.list(PIN)) == []


def test_what_clashes_is_data_and_no_conflict_of_git(copy: Copy, sides: Sides) -> None:
    sides([copy.commit(concept="dog")], [copy.commit(concept="cow")])
    done = copy.git("merge", "side", "-m", "merged")
    assert done.err.splitlines()[1:] == [
        "  annotations  1 in conflict",
        "  concepts     1 added",
        "1 record with open conflicts: versions and exports wait until they are settled",
        "next, once Git has the merge: dsvc -d pets conflicts",
    ]
    assert copy.git("status", "--porcelain").out == ""


def test_rebase(copy: Copy, start: Locked, sides: Sides) -> None:
    first = copy.commit("b.png", time=1)
    second = copy.commit("c.png", on=first.commit, time=2)
    sides([copy.commit("o.png")], [first])
    copy.git("checkout", "-q", "side")
    copy.pin("second", second)
    done = copy.git("rebase", "main")
    assert "[pets main " in done.err
    assert copy.keys(copy.lock()["pets"]) == ["a.png", "b.png", "c.png", "o.png"]
    assert copy.git("log", "--format=%s").out.split("\n")[:4] == ["second", "theirs", "ours", "start"]
    copy.git("checkout", "-q", "HEAD~1")
    assert copy.keys(copy.lock()["pets"]) == ["a.png", "b.png", "o.png"]


def test_rebase_without_a_commit_in_between(copy: Copy, sides: Sides) -> None:
    """`git rebase --onto main side~1 side`: what the dropped commit brought stays out."""
    first = copy.commit("b.png")
    second = copy.commit("c.png", on=first.commit, author=BOB)
    sides([copy.commit("o.png")], [first])
    copy.git("checkout", "-q", "side")
    copy.pin("second", second)
    copy.git("rebase", "--onto", "main", "side~1", "side")
    assert copy.keys(copy.lock()["pets"]) == ["a.png", "c.png", "o.png"]


def test_cherry_pick_takes_one_change_and_again_nothing(copy: Copy, sides: Sides) -> None:
    first = copy.commit("b.png")
    second = copy.commit("c.png", on=first.commit, author=BOB)
    ours = copy.commit("o.png")
    sides([ours], [first])
    copy.git("checkout", "-q", "side")
    copy.pin("second", second)
    copy.git("checkout", "-q", "main")
    done = copy.git("cherry-pick", "side")
    line = copy.lock()["pets"]
    assert f"[pets main {line.commit.short()}] took the change of {second.commit.short()}" in done.err
    assert copy.keys(line) == ["a.png", "c.png", "o.png"]
    made = load_commit(copy.repository.store, line.commit)
    assert (made.parents, made.author, made.message) == ((ours.commit,), BOB, "c.png")
    copy.git("cherry-pick", "--keep-redundant-commits", "--allow-empty", "side")
    assert copy.lock()["pets"] == line
    copy.git("merge", "side", "-m", "all of it")
    assert copy.keys(copy.lock()["pets"]) == ["a.png", "b.png", "c.png", "o.png"]


def test_revert_takes_a_change_back(copy: Copy, start: Locked) -> None:
    first = copy.commit("b.png")
    copy.pin("first", first)
    second = copy.commit("c.png", on=first.commit)
    copy.pin("second", second)
    third = copy.commit("d.png", on=second.commit)
    copy.pin("third", third)
    done = copy.git("revert", "--no-edit", "HEAD~1")
    ids = [line.commit.short() for line in (copy.lock()["pets"], second, first, third)]
    assert done.err.startswith("[pets main {}] took {} back to {}, on {}\n".format(*ids))
    assert copy.keys(copy.lock()["pets"]) == ["a.png", "b.png", "d.png"]


def test_stash_pop(copy: Copy, start: Locked) -> None:
    copy.lock_file.write_text(copy.lock_file.read_text().replace(start.commit.hex(), copy.commit("b.png").commit.hex()))
    copy.git("stash")
    copy.pin("ours", copy.commit("c.png"))
    copy.git("stash", "pop")
    assert copy.keys(copy.lock()["pets"]) == ["a.png", "b.png", "c.png"]


def test_criss_cross_merges_of_different_people(copy: Copy, sides: Sides) -> None:
    """Git merges the bases by the driver first, and so asks with a base that neither side has."""
    one, two = copy.commit("b.png"), copy.commit("c.png")
    sides([one], [two])
    copy.git("tag", "one")
    copy.git("tag", "two", "side")
    heads = []
    for branch, other, mine, theirs in (("main", "two", one, two), ("side", "one", two, one)):
        dataset = copy.repository.dataset("pets")
        dataset.create_branch(branch + "-line", f"@{mine.commit}")
        place = copy.repository.dataset("pets", branch + "-line")
        place.merge(f"@{theirs.commit}", message=f"by {branch}")
        assert place.head is not None
        heads.append(copy.commit(f"{branch}.png", on=place.head))
        copy.git("checkout", "-q", branch)
        copy.git("merge", "-q", "--no-commit", other)
        copy.pin(f"merge {other}", heads[-1])
    assert len({line.commit for line in heads}) == 2
    copy.git("checkout", "-q", "main")
    copy.git("merge", "side", "-m", "merged")
    line = copy.lock()["pets"]
    assert copy.keys(line) == ["a.png", "b.png", "c.png", "main.png", "side.png"]
    assert set(load_commit(copy.repository.store, line.commit).parents) == {line.commit for line in heads}


# ---- line by line


def test_datasets_side_by_side(copy: Copy, start: Locked) -> None:
    """Each moves where only one side moved it; new ones are there, and what one side took out is gone."""
    cars, birds, fish = (copy.commit("x.png", dataset=name) for name in ("cars", "birds", "fish"))
    copy.pin("all", start, cars, birds, fish)
    copy.git("checkout", "-q", "-B", "side")
    more = copy.commit("y.png", dataset="cars")
    copy.pin("theirs", start, more._replace(branch="night", version="v2"), birds, copy.commit("n.png", dataset="new"))
    copy.git("checkout", "-q", "main")
    birds = copy.commit("y.png", dataset="birds")
    copy.pin("ours", start._replace(version="v1"), cars, birds, fish, copy.commit("n.png", dataset="own"))
    done = copy.git("merge", "side", "-m", "merged")
    lock = copy.lock()
    assert list(lock) == ["birds", "cars", "new", "own", "pets"]
    assert lock["birds"] == birds
    assert lock["cars"] == more._replace(branch="night", version="v2")
    assert lock["pets"] == start._replace(version="v1")
    assert done.err == ""
    assert list(copy.repository.view.list(PIN)) == []


def test_all_datasets_are_merged_in_one_operation(copy: Copy, start: Locked) -> None:
    cars = copy.commit("x.png", dataset="cars")
    copy.pin("both", start, cars)
    copy.git("checkout", "-q", "-B", "side")
    copy.pin("theirs", copy.commit("b.png"), copy.commit("y.png", dataset="cars"))
    copy.git("checkout", "-q", "main")
    copy.pin("ours", copy.commit("c.png"), copy.commit("z.png", dataset="cars"))
    copy.git("merge", "side", "-m", "merged")
    assert copy.repository.operation.command == "git merge cars, pets"
    assert str(copy.repository.operation.author) == "Ada <ada@example.org>"
    assert len(list(copy.repository.view.list(PIN))) == 2


def test_added_on_both_sides(copy: Copy, sides: Sides, start: Locked) -> None:
    one, two = copy.commit("x.png", dataset="cars"), copy.commit("y.png", dataset="other")
    sides([start, one], [start, two._replace(dataset="cars")])
    copy.git("merge", "side", "-m", "merged")
    assert copy.keys(copy.lock()["cars"]) == ["x.png", "y.png"]


def test_a_lock_that_came_on_both_sides(copy: Copy) -> None:
    line = copy.commit("a.png")
    copy.git("checkout", "-q", "-b", "side")
    copy.pin("theirs", copy.commit("b.png"))
    copy.git("checkout", "-q", "main")
    copy.pin("ours", line, copy.commit("x.png", dataset="cars"))
    copy.git("merge", "side", "-m", "merged")
    assert copy.keys(copy.lock()["pets"]) == ["a.png", "b.png"]
    assert list(copy.lock()) == ["cars", "pets"]


def test_taken_out_on_one_side_and_changed_on_the_other(copy: Copy, sides: Sides, start: Locked) -> None:
    moved = copy.commit("b.png")
    sides([], [moved])
    done = copy.git("merge", "side", "-m", "merged")
    assert copy.lock() == {"pets": moved}
    assert done.err == (
        "pets was taken out on one side and changed on the other: it stays; to take it out: dsvc delete pets\n"
    )


@pytest.mark.parametrize("went_on", [False, True])
def test_renamed_on_one_side(copy: Copy, sides: Sides, start: Locked, went_on: bool) -> None:
    theirs, ours = copy.commit("b.png"), copy.commit("c.png") if went_on else start
    sides([ours._replace(dataset="animals")], [theirs])
    done = copy.git("merge", "side", "-m", "merged")
    lock = copy.lock()
    assert list(lock) == ["animals"]
    assert copy.keys(lock["animals"]) == ["a.png", "b.png", *(["c.png"] if went_on else [])]
    assert done.err.startswith("pets was renamed to animals, and goes by that name\n")


def test_octopus_merges_are_left_to_git(copy: Copy, sides: Sides) -> None:
    """Git asks no driver there, and refuses; one after the other is fine."""
    sides([copy.commit("b.png")], [copy.commit("c.png")])
    copy.git("checkout", "-q", "-b", "third", "main~1")
    copy.pin("third", copy.commit("d.png"))
    copy.git("checkout", "-q", "main")
    assert "Should not be doing an octopus" in copy.git("merge", "side", "third", code=2).out
    copy.git("reset", "-q", "--hard", "main")
    for other in ("side", "third"):
        copy.git("merge", other, "-m", other)
    assert copy.keys(copy.lock()["pets"]) == ["a.png", "b.png", "c.png", "d.png"]


def test_several_projects_in_one_repository(copy: Copy, tmp_path: Path) -> None:
    import dsvc

    for name in ("vision", "speech"):
        dsvc.init(copy.folder / name)
        copy.pin(name, copy.commit("a.png", folder=name), file=f"{name}/dsvc.lock")
    copy.git("checkout", "-q", "-b", "side")
    for name in ("vision", "speech"):
        copy.pin("theirs", copy.commit("b.png", folder=name), file=f"{name}/dsvc.lock")
    copy.git("checkout", "-q", "main")
    for name in ("vision", "speech"):
        copy.pin("ours", copy.commit("c.png", folder=name), file=f"{name}/dsvc.lock")
    copy.git("merge", "side", "-m", "merged", folder="vision")
    for name in ("vision", "speech"):
        line = Copy(copy.folder / name, copy.home).lock()["pets"]
        assert copy.keys(line, folder=name) == ["a.png", "b.png", "c.png"]


# ---- what is in the way


def test_another_process_that_writes_at_the_same_moment(
    copy: Copy, start: Locked, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The merge is made again on what that one left."""
    ours, theirs = copy.commit("b.png", on=start.commit), copy.commit("c.png", on=start.commit)
    repository, calls = copy.repository, 0

    def slow(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 1:
            copy.repository.create("others")
        return merge_commits(*arguments)

    monkeypatch.setattr(merging, "merge_commits", slow)
    merged = merging.merge_locks(
        repository, {"pets": start}, {"pets": ours}, {"pets": theirs}, lambda _, wanted: wanted
    )
    assert calls == 2
    line = merged.lines["pets"]
    assert [one.line for one in merged.joined] == [line]
    assert copy.keys(line) == ["a.png", "b.png", "c.png"]
    assert copy.repository.view.get(PIN, "pets", line.commit.hex()) is not None
    assert "others" in [dataset.name for dataset in copy.repository.datasets()]


def test_commits_that_are_not_here(copy: Copy, sides: Sides, start: Locked) -> None:
    """Markers around the dataset that they belong to; all else is merged."""
    ours, unknown = copy.commit("b.png"), start._replace(commit=ObjectId(b"x" * 32))
    cars = copy.commit("x.png", dataset="cars")
    sides([ours], [cars, unknown])
    done = copy.git("merge", "side", code=1)
    assert done.err == (
        "error: dsvc.lock: pets cannot be merged: commit 787878787878 is not here\n"
        "hint: dsvc pull, then finish it with: dsvc lock --resolve; "
        "or keep one line a dataset and no marker, and: git add dsvc.lock\n"
    )
    assert copy.lock_file.read_text() == (
        f"{HEADER}cars main {cars.commit}\n"
        f"<<<<<<< ours\npets main {ours.commit}\n||||||| base\npets main {start.commit}\n"
        f"=======\npets main {unknown.commit}\n>>>>>>> theirs\n"
    )
    assert copy.git("status", "--porcelain").out == "UU dsvc.lock\n"


def test_a_clone_without_any_data(copy: Copy, sides: Sides, start: Locked) -> None:
    sides([copy.commit("b.png")], [copy.commit("c.png")])
    shutil.rmtree(copy.folder / ".dsvc")
    done = copy.git("merge", "side", code=1)
    assert done.err.startswith("error: dsvc.lock: pets cannot be merged: commits ")
    assert done.err.splitlines()[1].startswith("hint: dsvc pull, then finish it with: dsvc lock --resolve")
    assert copy.lock_file.read_text().count("\npets ") == 3
    assert not (copy.folder / ".dsvc").exists()


def test_a_project_without_data_below_another_one(copy: Copy) -> None:
    """The repository above is not its own."""
    (copy.folder / "sub").mkdir()
    lines = [copy.commit(f"{name}.png") for name in "abc"]
    copy.pin("start", lines[0], file="sub/dsvc.lock")
    copy.git("checkout", "-q", "-b", "side")
    copy.pin("theirs", lines[1], file="sub/dsvc.lock")
    copy.git("checkout", "-q", "main")
    copy.pin("ours", lines[2], file="sub/dsvc.lock")
    assert "sub/dsvc.lock: pets cannot be merged" in copy.git("merge", "side", code=1).err


def test_files_that_cannot_be_read_stop_git(
    copy: Copy, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond 128, Git takes the merge for failed, and not for a conflict that stands in the file."""
    monkeypatch.chdir(copy.folder)
    assert run(["git", "merge-driver", "base", "ours", "theirs", "dsvc.lock"]) == 129
    assert capsys.readouterr().err == (
        "error: base: No such file or directory\nhint: check the disk and the path, and run the command again\n"
    )


@pytest.mark.parametrize("text", ["pets main\n", "no lock\x01\n", "<<<<<<< ours\npets\n"])
def test_a_damaged_side(copy: Copy, start: Locked, text: str) -> None:
    """Both sides stay, whole, and Git is told of a conflict."""
    copy.git("checkout", "-q", "side")
    copy.pin_text("theirs", text)
    copy.git("checkout", "-q", "main")
    ours = copy.commit("b.png")
    copy.pin("ours", ours)
    done = copy.git("merge", "side", code=1)
    assert "their side of dsvc.lock" in done.err
    assert "hint: see both sides in the file" in done.err
    assert copy.lock_file.read_text() == (
        f"<<<<<<< ours\n{HEADER}pets main {ours.commit}\n=======\n{text}>>>>>>> theirs\n"
    )


def test_a_damaged_repository(copy: Copy, sides: Sides) -> None:
    sides([copy.commit("b.png")], [copy.commit("c.png")])
    (copy.folder / ".dsvc" / "head").write_bytes(b"nothing of the kind")
    done = copy.git("merge", "side", code=1)
    assert done.err.startswith("error: ")
    assert copy.lock_file.read_text().startswith("<<<<<<< ours\n")


def test_the_size_of_markers_is_an_attribute(copy: Copy, sides: Sides, start: Locked) -> None:
    copy.pin_text("size", "dsvc.lock merge=dsvc-lock conflict-marker-size=12\n", ".gitattributes")
    sides([copy.commit("b.png")], [start._replace(commit=ObjectId(b"x" * 32))])
    copy.git("merge", "side", code=1)
    assert f"\n{'<' * 12} ours\n" in copy.lock_file.read_text()
