"""Two commits become one, without a branch, whoever merges them."""

from collections.abc import Callable

import pytest

from dsvc.core.dataset import Dataset
from dsvc.core.merging.commits import MergedCommit, merge_commits
from dsvc.core.transaction import ReadOnly
from dsvc.errors import DamagedError
from dsvc.model.commit import Author, Commit, Moment, load_commit
from dsvc.model.records import Annotation, Media, Shape
from dsvc.model.snapshot import Snapshot, load_roots
from dsvc.store.ids import ObjectId
from dsvc.store.writer import ObjectWriter

BOX = Shape(box=(1, 2, 3, 4))
ADA, BOB = Author("Ada", "ada@example.org"), Author("Bob", "bob@example.org")
Commits = Callable[..., ObjectId]


@pytest.fixture
def store(pets: Dataset) -> ObjectWriter:
    return pets.repository.store.writer()


@pytest.fixture
def start(pets: Dataset) -> ObjectId:
    """One input with a cat, in a commit of the year 2001."""
    with pets.edit() as draft:
        draft.put_media({"a.png": Media(type="image/png")})
        draft.annotate(Annotation(key="a.png", id="1", concept="cat", shape=BOX))
    return pets.commit("start", author=ADA, time=Moment(1_000_000_000)).id


@pytest.fixture
def commit(pets: Dataset, start: ObjectId) -> Commits:
    """A commit on another one, on no branch that is kept: new inputs, the concept of the cat, inputs to take out."""

    def commit(
        *inputs: str, on: ObjectId = start, time: int = 0, author: Author = ADA, concept: str = "", out: str = ""
    ) -> ObjectId:
        branch = f"b{len(pets.branches())}"
        pets.create_branch(branch, f"@{on}")
        dataset = pets.repository.dataset("pets", branch)
        with dataset.edit() as draft:
            draft.put_media({key: Media(type="image/png") for key in inputs})
            if concept:
                draft.change_annotation("a.png", "1", {"concept": concept})
            if out:
                draft.remove_inputs([out])
        name = " ".join((*inputs, concept, out)).strip()
        return dataset.commit(name, author=author, time=Moment(1_000_000_000 + time)).id

    return commit


def keys(store: ObjectWriter, merged: MergedCommit) -> list[str]:
    return [one.key for one in Snapshot(store, load_roots(store, read(store, merged).snapshot)).inputs()]


def read(store: ObjectWriter, merged: MergedCommit) -> Commit:
    return load_commit(store, merged.commit)


def test_both_sides_are_in_a_commit_that_tells_of_no_one_who_merged(store: ObjectWriter, commit: Commits) -> None:
    one, two = commit("b.png", time=20, author=BOB), commit("c.png", time=10)
    mine, other = merge_commits(store, None, one, two), merge_commits(store, None, two, one)
    assert mine.commit == other.commit
    assert (mine.kind, mine.conflicts) == ("merged", 0)
    assert (mine.report.inputs.added, other.report.inputs.added) == (1, 1)
    made = read(store, mine)
    assert made.parents == (two, one)
    assert (made.author, made.time.seconds) == (BOB, 1_000_000_020)
    assert made.message == f"merge {two.short()} and {one.short()}"
    assert keys(store, mine) == ["a.png", "b.png", "c.png"]


def test_of_two_at_one_time_the_id_decides(store: ObjectWriter, commit: Commits) -> None:
    one, two = commit("b.png", author=BOB), commit("c.png")
    assert read(store, merge_commits(store, None, one, two)).parents == tuple(sorted((one, two)))


def test_who_is_behind_goes_forward(store: ObjectWriter, start: ObjectId, commit: Commits) -> None:
    later = commit("b.png", on=commit("c.png"))
    forward = merge_commits(store, None, start, later, start)
    assert (forward.commit, forward.kind, forward.report.inputs.added) == (later, "forward", 2)
    back = merge_commits(store, None, later, start, start)
    assert (back.commit, back.kind, bool(back.report)) == (later, "same", False)
    assert merge_commits(store, None, later, later).kind == "same"


def test_what_clashes_is_a_conflict_in_the_commit(store: ObjectWriter, commit: Commits) -> None:
    one, two = commit(concept="dog"), commit(concept="cow")
    merged = merge_commits(store, None, one, two)
    assert (merged.kind, merged.conflicts, merged.report.conflicts) == ("merged", 1, 1)
    assert merge_commits(store, None, two, one).commit == merged.commit


def test_who_merged_each_other_by_hand_merge_alike(pets: Dataset, store: ObjectWriter, commit: Commits) -> None:
    one, two = commit("b.png"), commit("c.png")
    for name, at, other in (("one", one, two), ("two", two, one)):
        pets.create_branch(name, f"@{at}")
        pets.repository.dataset("pets", name).merge(f"@{other}", author=BOB if name == "two" else ADA)
    heads = [pets.repository.dataset("pets", name).head for name in ("one", "two")]
    assert heads[0] is not None and heads[1] is not None and heads[0] != heads[1]
    merged = merge_commits(store, None, heads[0], heads[1])
    assert merged.commit == merge_commits(store, None, heads[1], heads[0]).commit
    assert keys(store, merged) == ["a.png", "b.png", "c.png"]


def test_of_a_line_that_is_picked_from_one_change_comes(store: ObjectWriter, commit: Commits) -> None:
    ours, first = commit("o.png"), commit("b.png")
    second = commit("c.png", on=first, author=BOB, time=50)
    merged = merge_commits(store, None, ours, second, first)
    assert (merged.kind, keys(store, merged)) == ("changed", ["a.png", "c.png", "o.png"])
    made = read(store, merged)
    assert (made.parents, made.author, made.message) == ((ours,), BOB, "c.png")
    assert made.time.seconds == 1_000_000_050
    assert merge_commits(store, None, merged.commit, second, first).commit == merged.commit


def test_a_change_is_taken_back(store: ObjectWriter, commit: Commits) -> None:
    """`git revert`: the base is the commit that is taken back, the other side the one before it."""
    first = commit("b.png")
    second = commit("c.png", on=first)
    third = commit("d.png", on=second, author=BOB, time=5)
    merged = merge_commits(store, None, third, first, second)
    assert merged.kind == "reverted"
    assert keys(store, merged) == ["a.png", "b.png", "d.png"]
    made = read(store, merged)
    assert (made.parents, made.author) == ((third,), BOB)
    assert made.message == f"take back {second.short()} to {first.short()}"


def test_a_line_that_was_moved_back_stays_back(store: ObjectWriter, start: ObjectId, commit: Commits) -> None:
    """Ours went from the base back to the start, and theirs went on: what the base had brought stays out."""
    base = commit("b.png")
    theirs = commit("c.png", on=base)
    assert keys(store, merge_commits(store, None, start, theirs, base)) == ["a.png", "c.png"]
    assert keys(store, merge_commits(store, None, theirs, start, base)) == ["a.png", "c.png"]


def test_a_base_that_git_merged_in_passing_counts_as_had(store: ObjectWriter, pets: Dataset, commit: Commits) -> None:
    """Criss-cross in Git: of several bases Git makes one by the driver, which neither side has in its history."""
    one, two = commit("b.png"), commit("c.png")
    heads = []
    for name, at, other in (("one", one, two), ("two", two, one)):
        pets.create_branch(name, f"@{at}")
        dataset = pets.repository.dataset("pets", name)
        dataset.merge(f"@{other}")
        assert dataset.head is not None
        heads.append(commit(f"{name}.png", on=dataset.head))
    passing = merge_commits(store, None, one, two).commit
    merged = merge_commits(store, None, heads[0], heads[1], passing)
    assert (merged.kind, keys(store, merged)) == ("merged", ["a.png", "b.png", "c.png", "one.png", "two.png"])
    assert merge_commits(store, None, heads[1], heads[0], passing).commit == merged.commit


def test_what_went_on_one_side_is_gone_and_what_a_change_needs_stays(store: ObjectWriter, commit: Commits) -> None:
    gone, added = commit(out="a.png"), commit("b.png")
    assert keys(store, merge_commits(store, None, gone, added)) == ["b.png"]
    kept = merge_commits(store, None, gone, commit(concept="dog"))
    assert (keys(store, kept), kept.conflicts) == (["a.png"], 1)


def test_a_commit_that_is_not_here_is_damage(pets: Dataset, start: ObjectId) -> None:
    with pytest.raises(DamagedError):
        merge_commits(ReadOnly(pets.repository.store), None, start, ObjectId(b"x" * 32))
