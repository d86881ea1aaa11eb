"""Commits that go to a folder and come from there: all that they reach, pins, versions and branches."""

from pathlib import Path

import pytest

from dsvc.core.dataset import Dataset
from dsvc.errors import RefusedError
from dsvc.model.view import BRANCH, DATASET, DRAFT, PIN, VERSION, DatasetRef
from dsvc.remote.fetching import fetch_commits
from dsvc.remote.pushing import push_commits
from dsvc.remote.settings import Remote, add_remote
from dsvc.store.ids import ObjectId

from .workspaces import clone, head, is_whole, opened, project, refs, say

NOWHERE = ObjectId(bytes(range(32)))


def test_a_commit_goes_there_and_comes_elsewhere_whole(ours: Dataset, origin: Remote, tmp_path: Path) -> None:
    id = head(ours)
    ours.annotate("images/0.txt", text="staged")
    pushed = push_commits(ours.repository, origin, {"pets": {id}})
    assert pushed.branches["pets"][:3] == ("main", id, "new") and pushed.versions == [("pets", "v1")]
    assert pushed.commits == 2 and pushed.missing == {}, "the commit, and that of the file's line"
    store = opened(tmp_path / "store")
    assert store.view.get(DATASET, "pets") == DatasetRef("cats and dogs") and refs(store, PIN) == [("pets", id.hex())]
    assert refs(store, DRAFT) == [] and is_whole(store)
    assert {path.name for path in (tmp_path / "store").iterdir()} == {
        "head",
        "index",
        "lock",
        "manifests",
        "packs",
        "tmp",
    }

    there, remote = clone(tmp_path / "theirs", tmp_path / "store")
    fetched = fetch_commits(there, remote, {"pets": {id}})
    assert (fetched.commits, fetched.objects, fetched.bytes) == (pushed.commits, pushed.objects, pushed.bytes)
    assert fetched.versions == [("pets", "v1")] and fetched.kept == [] and fetched.missing == {}
    assert refs(there, DATASET) == [("pets",)] and refs(there, PIN) == [("pets", id.hex())]
    assert refs(there, BRANCH) == [], "what stands where is for those to say who asked for the commits"
    state = there.dataset("pets").at(f"@{id.hex()}")
    assert [(s.key, s.read_bytes(), s.annotations) for s in state] == [
        (s.key, s.read_bytes(), s.annotations) for s in ours.at()
    ]
    assert is_whole(there)


def test_what_is_there_does_not_travel_again(ours: Dataset, origin: Remote, tmp_path: Path) -> None:
    push_commits(ours.repository, origin, {"pets": {head(ours)}})
    there, remote = clone(tmp_path / "theirs", tmp_path / "store")
    fetch_commits(there, remote, {"pets": {head(ours)}})
    operations = [there.store.head.operation, opened(tmp_path / "store").store.head.operation]
    again = push_commits(ours.repository, origin, {"pets": {head(ours)}})
    assert (again.commits, again.objects, again.bytes, again.versions) == (0, 0, 0, [])
    assert fetch_commits(there, remote, {"pets": {head(ours)}}).objects == 0
    assert operations == [there.store.head.operation, opened(tmp_path / "store").store.head.operation]

    id = say(ours, "one more")
    pushed = push_commits(ours.repository, origin, {"pets": {id}})
    assert pushed.branches["pets"][:3] == ("main", id, "forward")
    fetched = fetch_commits(there, remote, {"pets": {id}})
    assert pushed.objects == fetched.objects == 3, "the commit, its snapshot, and the one node of the annotations"
    assert is_whole(there)


def test_a_project_folder_is_a_remote_too(ours: Dataset, tmp_path: Path) -> None:
    other = project(tmp_path / "other")
    remote = add_remote(ours.repository, "colleague", (tmp_path / "other").as_uri(), local=True)
    id = say(other, "theirs")
    assert fetch_commits(ours.repository, remote, {"pets": {id}}).commits == 2, "the line of the file is here"
    assert ours.at(f"@{id.hex()}").revision.commit == id
    pushed = push_commits(ours.repository, remote, {"pets": {head(ours)}})
    assert pushed.branches["pets"][:3] == ("main", id, "diverged") and head(other) == id
    assert ("pets", head(ours).hex()) in refs(other.repository, PIN)
    assert is_whole(ours.repository) and is_whole(other.repository)


def test_commits_that_are_nowhere_are_named(ours: Dataset, origin: Remote, tmp_path: Path) -> None:
    id = head(ours)
    pushed = push_commits(ours.repository, origin, {"pets": {id, NOWHERE}, "zoo": {NOWHERE}})
    assert pushed.missing == {"pets": {NOWHERE}, "zoo": {NOWHERE}} and pushed.branches["pets"].move == "new"
    there, remote = clone(tmp_path / "theirs", tmp_path / "store")
    fetched = fetch_commits(there, remote, {"pets": {id, NOWHERE}, "zoo": {NOWHERE}})
    assert fetched.missing == {"pets": {NOWHERE}, "zoo": {NOWHERE}} and refs(there, PIN) == [("pets", id.hex())]
    assert refs(there, DATASET) == [("pets",)]


def test_a_branch_goes_no_further_than_the_commits_and_never_back(ours: Dataset, origin: Remote) -> None:
    first, second, third = head(ours), say(ours, "two"), say(ours, "three")
    moves = [
        push_commits(ours.repository, origin, {"pets": wanted}).branches["pets"][1:3]
        for wanted in ({first, second}, {first}, {third}, {second})
    ]
    there = [(second, "new"), (second, "current"), (third, "forward"), (third, "current")]
    assert moves == there
    ours.create_branch("side", f"@{first.hex()}")
    aside = say(ours.repository.dataset("pets", "side"), "aside")
    assert push_commits(ours.repository, origin, {"pets": {aside}}).branches == {}, "the current branch is main"


def test_a_branch_can_be_named_with_where_it_should_stand(ours: Dataset, origin: Remote, tmp_path: Path) -> None:
    first, second = head(ours), say(ours, "two")
    pushed = push_commits(ours.repository, origin, {"pets": {first, second}}, tips={"pets": ("release", first)})
    assert pushed.branches == {"pets": ("release", first, "new", None)}
    assert refs(opened(tmp_path / "store"), BRANCH) == [("pets", "release")]
    assert push_commits(ours.repository, origin, {"pets": {second}}, tips={}).branches == {}

    there, remote = clone(tmp_path / "theirs", tmp_path / "store")
    wanted, tips = {"pets": {second}}, {"pets": ("release", second)}
    pushed = push_commits(there, remote, wanted, tips=tips)
    assert (pushed.branches, pushed.missing) == ({}, {}), "it is there, and not here: nothing can be told of it"
    fetch_commits(there, remote, wanted)
    assert push_commits(there, remote, wanted, tips=tips).branches["pets"][1:] == (second, "forward", first)


def test_a_version_is_never_moved(ours: Dataset, origin: Remote, tmp_path: Path) -> None:
    push_commits(ours.repository, origin, {"pets": {head(ours)}})
    there = project(tmp_path / "theirs", images=2)
    there.create_version("v1", "another")
    remote = add_remote(there.repository, "origin", str(tmp_path / "store"))
    fetched = fetch_commits(there.repository, remote, {"pets": {head(ours)}})
    assert fetched.versions == [] and fetched.kept == [("pets", "v1")]
    assert there.at("pets@v1").revision.commit == head(there)

    store = opened(tmp_path / "store")
    with pytest.raises(RefusedError, match=r"pets@v1 is .* at origin, and .* here; nothing was pushed") as error:
        push_commits(there.repository, remote, {"pets": {head(there)}})
    assert error.value.hint == "give yours another name: dsvc version create NAME --at v1; dsvc version delete v1"
    assert refs(store, PIN) == [("pets", head(ours).hex())] and not store.store.has(head(there))
    assert refs(store, VERSION) == [("pets", "v1")]


def test_undo_takes_a_fetch_back(ours: Dataset, origin: Remote, tmp_path: Path) -> None:
    push_commits(ours.repository, origin, {"pets": {head(ours)}})
    there, remote = clone(tmp_path / "theirs", tmp_path / "store")
    fetch_commits(there, remote, {"pets": {head(ours)}})
    there.undo()
    assert refs(there, PIN) == refs(there, VERSION) == refs(there, DATASET) == []
    fetched = fetch_commits(there, remote, {"pets": {head(ours)}})
    assert fetched.objects == 0 and refs(there, PIN) == [("pets", head(ours).hex())]


def test_what_is_fetched_from_the_undone_is_whole(ours: Dataset, origin: Remote, tmp_path: Path) -> None:
    """Media that clash, values that lie outside their nodes, and big blobs come along."""
    root = ours.repository.root
    assert root is not None
    ours.create_branch("side")
    side = ours.repository.dataset("pets", "side")
    for dataset, text in ((ours, b"mine"), (side, b"theirs")):
        (root / "images" / "1.txt").write_bytes(text)
        with dataset.edit() as draft:
            draft.add(root / "images")
        say(dataset, "x" * 5000, key="images/2.txt")
    (root / "images" / "big.bin").write_bytes(bytes(range(256)) * (17 << 12))
    with ours.edit() as draft:
        draft.add(root / "images" / "big.bin")
    ours.commit("big")
    assert ours.merge("side").conflicts == 1
    id = head(ours)
    push_commits(ours.repository, origin, {"pets": {id}})
    there, remote = clone(tmp_path / "theirs", tmp_path / "store")
    fetch_commits(there, remote, {"pets": {id}})
    assert is_whole(there) and is_whole(opened(tmp_path / "store"))
    sample = next(s for s in there.dataset("pets").at(f"@{id.hex()}") if s.key == "images/big.bin")
    assert sample.read_bytes() == (root / "images" / "big.bin").read_bytes()
