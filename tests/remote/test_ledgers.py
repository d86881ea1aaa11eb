"""Runs, evaluations and auto-generated versions that travel: they are united at either end, and nothing moves them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from studied import ADA, WHEN, enter_evaluation, enter_run, run_record

from dsvc.core.dataset import Dataset
from dsvc.core.ledger import auto_name, read_file, set_entry, stage_file, store_entry
from dsvc.core.repository import Repository
from dsvc.errors import NotFoundError, RefusedError
from dsvc.model.commit import Commit, load_commit, store_commit
from dsvc.model.records import Input, Media, Reference, encode_input
from dsvc.model.snapshot import SnapshotEdits, edit_roots, empty_roots, store_roots
from dsvc.model.view import EVALUATION, RUN, TRAINING, VERSION, VersionRef
from dsvc.remote.cloning import clone as clone_all
from dsvc.remote.deleting import delete_refs
from dsvc.remote.direct import open_distant
from dsvc.remote.fetching import fetch_commits
from dsvc.remote.pulling import pull_branch
from dsvc.remote.pushing import push_commits
from dsvc.remote.sending import push
from dsvc.remote.settings import Remote
from dsvc.remote.tracking import fetch
from dsvc.store.ids import ObjectId

from .workspaces import clone, head, is_whole, opened, refs

AAAA, BBBB, EEEE = "aaaa1111", "bbbb2222", "eeee3333"


def names(dataset: Dataset) -> tuple[list[str], list[str], list[str]]:
    """The runs, the evaluations and the auto-generated versions of a dataset."""
    return (
        [run.id for run in dataset.runs()],
        [evaluation.id for evaluation in dataset.evaluations()],
        sorted(version.name for version in dataset.versions(auto=True)),
    )


@pytest.fixture
def studied(ours: Dataset) -> Dataset:
    """The dataset with a run of its head, one of what is staged, and an evaluation."""
    enter_run(ours, AAAA, {"model/weights": b"w" * 5000, "log.txt": b"log"})
    enter_evaluation(ours, EEEE)
    ours.annotate("images/0.txt", text="staged")
    enter_run(ours, BBBB)
    return ours


@pytest.fixture
def theirs(studied: Dataset, origin: Remote, tmp_path: Path) -> Dataset:
    """A clone of what was pushed of it."""
    push(studied.repository, origin, "pets", "main")
    return clone_all(str(tmp_path / "store"), tmp_path / "theirs").repository.dataset("pets")


# ---- there and back


def test_a_push_brings_the_ledger_of_the_dataset(studied: Dataset, origin: Remote, tmp_path: Path) -> None:
    sent = push(studied.repository, origin, "pets", "main")
    there = opened(tmp_path / "store")
    assert names(there.dataset("pets")) == names(studied)
    assert is_whole(there)
    assert [ref[2] for ref in sent.entered.new if ref[0] != VERSION] == [AAAA, BBBB, EEEE]
    assert sent.versions == [("pets", "v1")], "what people made is told apart"
    staged = studied.run(BBBB).of[0]
    assert sent.commits == len({head(studied), staged, *studied.evaluation(EEEE).of} | lines(studied))
    again = push(studied.repository, origin, "pets", "main")
    assert (again.entered.new, again.objects) == ((), 0)


def lines(dataset: Dataset) -> set[ObjectId]:
    """The commits of the lines of a dataset's sources, and before its head."""
    from dsvc.core.merging.graph import Graph

    behind, queue = set[ObjectId](), [head(dataset)]
    while queue:
        id = queue.pop()
        commit = load_commit(dataset.repository.store, id)
        behind.add(id)
        queue += [*commit.parents, *commit.sources.values()]
    assert Graph(dataset.repository.store).behind([head(dataset)]) <= behind
    return behind


def test_a_dry_run_says_what_would_go(studied: Dataset, origin: Remote) -> None:
    planned = push(studied.repository, origin, "pets", "main", dry_run=True)
    sent = push(studied.repository, origin, "pets", "main")
    assert (planned.entered, planned.commits) == (sent.entered, sent.commits)


def test_a_clone_has_it_all_and_its_files(studied: Dataset, theirs: Dataset) -> None:
    assert names(theirs) == names(studied)
    assert theirs.runs() == studied.runs()
    assert b"".join(read_file(theirs, theirs.run(AAAA), "model/weights")) == b"w" * 5000
    assert theirs.at(f"@{auto_name(BBBB, WHEN)}").counts() == studied.draft().counts()
    assert is_whole(theirs.repository)
    assert [ref[3:] for ref in refs(theirs.repository, "remote")] == [("main",), ("v1",)], "none of it is tracked"


def test_a_clone_without_media_leaves_the_files_until_they_are_read(
    studied: Dataset, origin: Remote, tmp_path: Path
) -> None:
    from dsvc.remote.lazy import attach

    push(studied.repository, origin, "pets", "main")
    repository = clone_all(str(tmp_path / "store"), tmp_path / "lazy", media=False).repository
    attach(repository)
    dataset = repository.dataset("pets")
    run = dataset.run(AAAA)
    assert not any(repository.store.has(blob) for blob in blobs(studied, AAAA))
    assert b"".join(read_file(dataset, run, "model/weights")) == b"w" * 5000
    assert is_whole(repository)


def blobs(dataset: Dataset, id: str) -> list[ObjectId]:
    from dsvc.core.ledger import entry_files

    media = [file.media for file in entry_files(dataset, dataset.run(id))]
    return [one.blob for one in media if one is not None and one.blob is not None]


def test_a_fetch_takes_in_what_is_new_where_the_dataset_is_here(
    studied: Dataset, origin: Remote, theirs: Dataset, tmp_path: Path
) -> None:
    before = theirs.head
    name = enter_run(studied, "cccc4444")
    push(studied.repository, origin, "pets", "main")
    fetched = fetch(theirs.repository, dsvc_remote(theirs))
    assert set(fetched.entered.new) == {(RUN, "pets", "cccc4444"), (VERSION, "pets", name)}
    assert (names(theirs), theirs.head) == (names(studied), before)
    assert fetch(theirs.repository, dsvc_remote(theirs)).entered.new == ()
    other, remote = clone(tmp_path / "other", tmp_path / "store")
    assert fetch(other, remote).entered.new == ()
    assert refs(other, RUN) == refs(other, VERSION) == []
    dataset = other.create("pets")
    pulled = pull_branch(dataset, remote)
    assert names(dataset) == names(studied)
    assert len(pulled.fetched.entered.new) == 9
    assert is_whole(other)


def dsvc_remote(dataset: Dataset) -> Remote:
    from dsvc.remote.settings import find_remote

    return find_remote(dataset.repository, "origin")


def test_a_clone_of_other_datasets_leaves_it_there(studied: Dataset, origin: Remote, tmp_path: Path) -> None:
    studied.repository.create("birds")
    push(studied.repository, origin)
    repository = clone_all(str(tmp_path / "store"), tmp_path / "birds", datasets=("birds",)).repository
    assert refs(repository, RUN) == refs(repository, EVALUATION) == refs(repository, VERSION) == []


def test_both_ends_are_united_and_neither_moves(
    studied: Dataset, origin: Remote, theirs: Dataset, tmp_path: Path
) -> None:
    enter_run(theirs, "dddd5555")
    enter_run(studied, "cccc4444")
    kept = studied.run(AAAA).commit
    push(theirs.repository, dsvc_remote(theirs), "pets", "main")
    push(studied.repository, origin, "pets", "main")
    fetch(studied.repository, origin)
    fetch(theirs.repository, dsvc_remote(theirs))
    assert names(studied) == names(theirs) == names(opened(tmp_path / "store").dataset("pets"))
    assert [run.id for run in studied.runs()] == [AAAA, BBBB, "dddd5555", "cccc4444"], (
        "in the order in which they were entered"
    )
    assert studied.run(AAAA).commit == kept


def test_another_run_of_the_same_id_stays_what_it_is_at_either_end(
    studied: Dataset, origin: Remote, theirs: Dataset, tmp_path: Path
) -> None:
    enter_run(studied, "cccc4444", {"log.txt": b"mine"})
    theirs.annotate("images/1.txt", text="other")
    enter_run(theirs, "cccc4444", {"log.txt": b"theirs"})
    push(studied.repository, origin, "pets", "main")
    kept = {(RUN, "pets", "cccc4444"), (VERSION, "pets", auto_name("cccc4444", WHEN))}
    sent = push(theirs.repository, dsvc_remote(theirs), "pets", "main")
    assert (set(sent.entered.kept), sent.entered.new) == (kept, ())
    fetched = fetch(theirs.repository, dsvc_remote(theirs))
    assert (set(fetched.entered.kept), fetched.entered.new) == (kept, ())
    assert b"".join(read_file(theirs, theirs.run("cccc4444"), "log.txt")) == b"theirs"
    there = opened(tmp_path / "store").dataset("pets")
    assert b"".join(read_file(there, there.run("cccc4444"), "log.txt")) == b"mine"


# ---- by the commits that a lock names


def test_a_push_of_commits_brings_what_is_of_data_that_is_there(
    studied: Dataset, origin: Remote, tmp_path: Path
) -> None:
    """As the hooks of Git push. What was trained on staged changes stays until `dsvc push`."""
    pushed = push_commits(studied.repository, origin, {"pets": {head(studied)}})
    there = opened(tmp_path / "store").dataset("pets")
    assert names(there)[:2] == ([AAAA], [EEEE])
    assert auto_name(BBBB, WHEN) not in names(there)[2]
    assert pushed.versions == [("pets", "v1")]
    assert is_whole(there.repository)
    enter_run(studied, "cccc4444")
    studied.discard()
    enter_run(studied, "dddd5555")
    pushed = push_commits(studied.repository, origin, {"pets": {head(studied)}})
    assert [ref[2] for ref in pushed.entered.new if ref[0] == RUN] == ["dddd5555"], "though no commit is new"


def test_a_fetch_of_commits_brings_what_is_of_data_that_is_here(
    studied: Dataset, origin: Remote, tmp_path: Path
) -> None:
    push(studied.repository, origin, "pets", "main")
    repository, remote = clone(tmp_path / "other", tmp_path / "store")
    fetched = fetch_commits(repository, remote, {"pets": {head(studied)}})
    dataset = repository.dataset("pets")
    assert names(dataset)[:2] == ([AAAA], [EEEE])
    assert {ref[2] for ref in fetched.entered.new if ref[0] != VERSION} == {AAAA, EEEE}
    assert is_whole(repository)


# ---- away


def test_what_is_deleted_at_a_remote_comes_back_from_whoever_has_it(
    studied: Dataset, origin: Remote, theirs: Dataset, tmp_path: Path
) -> None:
    there = opened(tmp_path / "store").dataset("pets")
    with pytest.raises(RefusedError, match=f"is the data of run {AAAA} there; nothing was deleted"):
        delete_refs(studied.repository, origin, [f"pets@{auto_name(AAAA, WHEN)}"])
    planned = delete_refs(studied.repository, origin, [BBBB, f"pets@{EEEE}"], "pets", dry_run=True)
    assert names(there) == names(studied)
    gone = delete_refs(studied.repository, origin, [BBBB, f"pets@{EEEE}"], "pets")
    assert gone == planned
    assert [(one.kind, one.name.removeprefix("pets@")) for one in gone] == [
        ("run", BBBB),
        ("evaluation", EEEE),
        ("version", auto_name(BBBB, WHEN)),
        ("version", auto_name("cccc0000", WHEN)),
        ("version", auto_name(EEEE, WHEN)),
    ]
    assert names(there)[:2] == ([AAAA], [])
    push(theirs.repository, dsvc_remote(theirs), "pets", "main")
    assert names(there) == names(theirs)
    with pytest.raises(NotFoundError, match="origin has no pets@ffff0000"):
        delete_refs(studied.repository, origin, ["pets@ffff0000"])


def test_all_of_it_goes_with_its_dataset(studied: Dataset, origin: Remote, theirs: Dataset, tmp_path: Path) -> None:
    delete_refs(studied.repository, origin, ["pets", f"pets@{AAAA}"])
    there = opened(tmp_path / "store")
    assert refs(there, RUN) == refs(there, EVALUATION) == refs(there, VERSION) == []
    assert is_whole(there)


def test_a_fetch_is_undone_with_what_it_brought(studied: Dataset, origin: Remote, theirs: Dataset) -> None:
    before = names(theirs)
    enter_run(studied, "cccc4444")
    push(studied.repository, origin, "pets", "main")
    fetch(theirs.repository, dsvc_remote(theirs))
    theirs.repository.undo()
    assert names(theirs) == before
    theirs.repository.redo()
    assert names(theirs) == names(studied)


def test_a_remote_is_read_without_a_clone(studied: Dataset, theirs: Dataset, tmp_path: Path) -> None:
    distant = open_distant(str(tmp_path / "store")).dataset("pets")
    assert names(distant) == names(studied)
    assert b"".join(read_file(distant, distant.run(AAAA), "log.txt")) == b"log"


def test_a_name_that_is_here_stays_what_it_is_when_the_versions_of_a_branch_come(
    studied: Dataset, theirs: Dataset
) -> None:
    pulled = pull_branch(theirs, dsvc_remote(theirs))
    assert (pulled.versions, pulled.kept) == ([], [])


# ---- hostile remotes


Make = Callable[[Repository, ObjectId], ObjectId]


def entry(repository: Repository, commit: Commit) -> ObjectId:
    with repository.transaction("x") as transaction:
        id = store_commit(transaction.writer, commit)
        transaction.run(lambda refs: refs.set((VERSION, "pets", "holds"), VersionRef(id, "", ADA, WHEN)))
    return id


def recorded(repository: Repository, data: ObjectId, record: dict[str, Any], *parents: ObjectId) -> ObjectId:
    with repository.transaction("x") as transaction:
        writer = transaction.writer
        files = {"log.txt": stage_file(writer, b"log")}
        id = store_entry(writer, RUN, record, files, parents or (data,), ADA, WHEN)
        transaction.run(lambda refs: refs.set((VERSION, "pets", "holds"), VersionRef(id, "", ADA, WHEN)))
    return id


def as_run(id: str = AAAA, **fields: Any) -> Make:
    def make(repository: Repository, data: ObjectId) -> ObjectId:
        return recorded(repository, data, run_record(id, "pets", "v1", data) | fields)

    return make


def without_record(repository: Repository, data: ObjectId) -> ObjectId:
    return entry(repository, load_commit(repository.store, data))


def of_two(repository: Repository, data: ObjectId) -> ObjectId:
    return recorded(repository, data, run_record(AAAA, "pets", "v1", data), data, data)


def of_nothing(repository: Repository, data: ObjectId) -> ObjectId:
    id = recorded(repository, data, run_record(AAAA, "pets", "v1", data))
    kept = load_commit(repository.store, id)
    return entry(repository, Commit(snapshot=kept.snapshot, author=ADA, time=WHEN, message=""))


def with_a_reference(repository: Repository, data: ObjectId) -> ObjectId:
    media = Media(reference=Reference(place="/etc/passwd"), size=1)
    with repository.transaction("x") as transaction:
        writer, edits = transaction.writer, SnapshotEdits()
        edits.inputs[b"log.txt"] = encode_input(Input(key="log.txt", media=media))
        edits.meta = {RUN: run_record(AAAA, "pets", "v1", data)}
        snapshot = store_roots(writer, edit_roots(writer, empty_roots(writer), edits))
        id = store_commit(writer, Commit(snapshot=snapshot, parents=(data,), author=ADA, time=WHEN, message=""))
        transaction.run(lambda refs: refs.set((VERSION, "pets", "holds"), VersionRef(id, "", ADA, WHEN)))
    return id


@pytest.mark.parametrize(
    ("id", "make", "wrong"),
    [
        ("zzzz1111", as_run("zzzz1111"), "its id is not 8 hex digits"),
        ("../../etc", as_run("../../etc"), "its id is not 8 hex digits"),
        (AAAA, without_record, "its commit is no record of a run"),
        (AAAA, as_run(BBBB), "its record is that of another one"),
        (AAAA, as_run(metrics={"accuracy": "\x1b[2J"}), "'metrics' of its record is missing, or is not"),
        (AAAA, as_run(command="rm -rf /"), "'command' of its record is missing, or is not"),
        (AAAA, as_run(git={"commit": "a"}), "'git' of its record is missing, or is not"),
        (AAAA, as_run(status={}), "'status' of its record is missing, or is not"),
        (AAAA, as_run(note="x" * (8 << 20)), "and 8,388,608 are the most"),
        (AAAA, of_two, "stands on other data"),
        (AAAA, of_nothing, "stands on other data"),
        (AAAA, with_a_reference, "its file 'log.txt' has no bytes"),
    ],
)
def test_what_is_no_run_is_left_out_and_named(
    id: str, make: Make, wrong: str, ours: Dataset, origin: Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dsvc.core.ledger._MOST", 1 << 30)
    push(ours.repository, origin, "pets", "main")
    there = opened(tmp_path / "store")
    commit = make(there, head(ours))
    with there.transaction("harm") as transaction:

        def change(refs: Any) -> None:
            refs.set((VERSION, "pets", "holds"), None)
            set_entry(refs, RUN, "pets", id, commit)

        transaction.run(change)
    fetched = fetch(ours.repository, origin)
    assert [ref for ref, _ in fetched.entered.refused] == [(RUN, "pets", id)]
    assert wrong in fetched.entered.refused[0][1]
    assert (refs(ours.repository, RUN), fetched.entered.new) == ([], ())
    done = clone_all(str(tmp_path / "store"), tmp_path / "clone")
    assert [ref for ref, _ in done.fetched.entered.refused] == [(RUN, "pets", id)]
    assert refs(done.repository, RUN) == []
    assert done.repository.dataset("pets").at("v1").counts() == ours.at("v1").counts(), "the rest comes"


def test_a_file_that_leads_out_is_refused(ours: Dataset, origin: Remote, tmp_path: Path) -> None:
    from dsvc.errors import RemoteError

    push(ours.repository, origin, "pets", "main")
    there = opened(tmp_path / "store")
    with there.transaction("harm") as transaction:
        writer, edits = transaction.writer, SnapshotEdits()
        media = stage_file(writer, b"harm")
        edits.inputs[b"../../x"] = encode_input(Input(key="../../x", media=media))
        edits.meta = {RUN: run_record(AAAA, "pets", "v1", head(ours))}
        snapshot = store_roots(writer, edit_roots(writer, empty_roots(writer), edits))
        id = store_commit(writer, Commit(snapshot=snapshot, parents=(head(ours),), author=ADA, time=WHEN, message=""))
        transaction.run(lambda refs: set_entry(refs, RUN, "pets", AAAA, id))
    with pytest.raises(RemoteError, match=r"the input key '\.\./\.\./x' has a component"):
        fetch(ours.repository, origin)
    assert refs(ours.repository, RUN) == []


def test_versions_under_names_that_are_not_theirs_are_left_out(ours: Dataset, origin: Remote, tmp_path: Path) -> None:
    push(ours.repository, origin, "pets", "main")
    there = opened(tmp_path / "store")
    made = auto_name(AAAA, WHEN)

    def change(refs: Any) -> None:
        refs.set((VERSION, "pets", "v2"), VersionRef(head(ours), "", ADA, WHEN, TRAINING))
        refs.set((VERSION, "pets", made), VersionRef(head(ours), "", ADA, WHEN))

    there.change("harm", change)
    fetched = fetch(ours.repository, origin)
    assert [ref for ref, _ in fetched.entered.refused] == [(VERSION, "pets", "v2")]
    pulled = pull_branch(ours, origin)
    assert (pulled.versions, refs(ours.repository, VERSION)) == ([], [("pets", "v1")])
    assert not [ref for ref in refs(ours.repository, "remote") if made in ref]


def test_a_run_whose_commit_is_not_there_stops_the_fetch(ours: Dataset, origin: Remote, tmp_path: Path) -> None:
    from dsvc.errors import RemoteError

    push(ours.repository, origin, "pets", "main")
    missing = ObjectId(bytes(32))
    opened(tmp_path / "store").change("harm", lambda refs: set_entry(refs, RUN, "pets", AAAA, missing))
    with pytest.raises(RemoteError, match=r"remote origin: .*000"):
        fetch(ours.repository, origin)
    assert refs(ours.repository, RUN) == []


def test_the_predictions_of_an_evaluation_merge_as_a_union(studied: Dataset) -> None:
    """Predictions merged into a branch are labels to begin with: nothing that was there goes."""
    studied.discard()
    version = auto_name(EEEE, WHEN)
    before = {(one.key, one.id) for sample in studied.at("HEAD") for one in sample.annotations}
    merged = studied.merge(f"@{version}")
    after = {(one.key, one.id): one for sample in studied.at("HEAD") for one in sample.annotations}
    assert before < after.keys()
    assert {id for _, id in after.keys() - before} == {"p0", "p1", "p2", "p3"}
    assert all(after[name].value == 0.75 for name in after.keys() - before)
    assert merged.conflicts == 0
    assert studied.at("HEAD").counts()["inputs"] == 3
