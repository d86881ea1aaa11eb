"""Only what lay in a tracked folder of this workspace can be missing from it: what came from elsewhere never was."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from project_files import OLD, put

from dsvc.core.dataset import Dataset
from dsvc.core.files.adding import AddReport
from dsvc.core.files.seen import load_seen, mark, note_seen
from dsvc.core.files.workfiles import FileStatus
from dsvc.core.workspace import Workspace
from dsvc.errors import RefusedError

Fresh = Callable[..., Dataset]
ALL = ["data/a.jpg", "data/b.jpg", "data/sub/c.jpg"]
BLOB = bytes(range(32))


def keys(dataset: Dataset) -> list[str]:
    return [sample.key for sample in dataset.draft()]


def taken(report: AddReport) -> tuple[int, int, int, int]:
    return report.new, report.changed, report.moved, report.removed


def rest(status: FileStatus) -> tuple[bool, tuple[str, ...], int]:
    return status.is_clean, status.missing, status.elsewhere


@pytest.fixture
def bo(root: Path, data: Path, fresh: Fresh) -> Dataset:
    """Bo's branch, with an annotated data/bo.jpg, whose file lies in no tracked folder."""
    branch = fresh().create_branch("bo")
    put(root, "desk/data/bo.jpg")
    branch.add(root / "desk/data/bo.jpg", root=root / "desk")
    branch.annotate("data/bo.jpg", "owl")
    branch.commit("an owl")
    return branch


# ---- what came from elsewhere


def test_what_a_merge_brought_is_not_missing(bo: Dataset, data: Path, root: Path, fresh: Fresh) -> None:
    fresh().merge("bo")
    assert rest(fresh().files()) == rest(fresh().files()) == (True, (), 1)
    report = fresh().add_all()
    assert taken(report) == (0, 0, 0, 0) and report.unchanged == 3
    assert not fresh().has_draft() and len(list(fresh().draft().annotations("data/bo.jpg"))) == 1
    # Other deletions count as ever, whatever else is not here.
    (data / "a.jpg").unlink()
    assert rest(fresh().files()) == (False, ("data/a.jpg",), 1)
    assert taken(fresh().add_all()) == (0, 0, 0, 1) and keys(fresh()) == ["data/b.jpg", "data/bo.jpg", *ALL[2:]]
    # Its file comes, as with `git pull`, and then it is one like any other.
    put(data, "bo.jpg")
    assert rest(fresh().files()) == (True, (), 0) and fresh().add_all().unchanged == 3
    (data / "bo.jpg").unlink()
    assert rest(fresh().files()) == (False, ("data/bo.jpg",), 0)


def test_a_switch_there_and_back(bo: Dataset, data: Path, fresh: Fresh) -> None:
    ours = fresh()
    ours.switch("bo")
    assert rest(fresh().files()) == (True, (), 1) and taken(fresh().add_all()) == (0, 0, 0, 0)
    (data / "a.jpg").unlink()
    assert rest(fresh().files()) == (False, ("data/a.jpg",), 1)
    put(data, "a.jpg")
    ours.switch("main")
    assert rest(fresh().files()) == (True, (), 0) and taken(fresh().add_all()) == (0, 0, 0, 0)
    assert keys(fresh()) == ALL


def test_undo_brings_nothing_that_is_missing(bo: Dataset, fresh: Fresh) -> None:
    fresh().merge("bo")
    fresh().remove("data/bo.jpg")
    fresh().repository.undo()
    assert rest(fresh().files()) == (True, (), 1) and taken(fresh().add_all()) == (0, 0, 0, 0)
    fresh().repository.undo()
    assert rest(fresh().files()) == (True, (), 0)


def test_undo_of_an_add(data: Path, fresh: Fresh) -> None:
    """What was seen stays seen: the file was here, whatever becomes of the input."""
    put(data, "d.jpg")
    fresh().add_all()
    fresh().repository.undo()
    assert fresh().files().new == ("data/d.jpg",)
    (data / "d.jpg").unlink()
    assert rest(fresh().files()) == (True, (), 0)
    fresh().repository.redo()
    assert rest(fresh().files()) == (False, ("data/d.jpg",), 0)


def test_other_bytes_than_those_that_were_here(bo: Dataset, root: Path, data: Path, fresh: Fresh) -> None:
    """What is deleted here and mended there is not deleted by whoever never saw the mended one."""
    put(root, "desk/data/a.jpg", data=b"mended")
    bo.add(root / "desk/data/a.jpg", root=root / "desk")
    bo.commit("mended")
    (data / "a.jpg").unlink()
    assert fresh().files().missing == ("data/a.jpg",)
    fresh().merge("bo")
    assert rest(fresh().files()) == (True, (), 2)


def test_a_rename_pairs_only_with_what_was_here(bo: Dataset, root: Path, data: Path, fresh: Fresh) -> None:
    fresh().merge("bo")
    put(data, "owl.jpg", data=(root / "desk/data/bo.jpg").read_bytes())
    (data / "b.jpg").rename(data / "moved.jpg")
    status = fresh().files()
    assert status.new == ("data/owl.jpg",) and status.renamed == (("data/b.jpg", "data/moved.jpg"),)
    assert taken(fresh().add_all()) == (1, 0, 1, 0)
    assert "data/bo.jpg" in keys(fresh()) and rest(fresh().files()) == (True, (), 1)


def test_a_folder_that_is_gone_and_never_held_them(bo: Dataset, root: Path, data: Path, fresh: Fresh) -> None:
    """Its own inputs go to the folder's new name, and others stay what they are."""
    fresh().merge("bo")
    data.rename(root / "pics")
    assert fresh().files().absent == ("data",)
    with pytest.raises(RefusedError, match="3 inputs came from it"):
        fresh().add_all()
    put(root, "pics/owl.jpg", data=(root / "desk/data/bo.jpg").read_bytes())
    assert taken(fresh().add(root / "pics")) == (1, 0, 3, 0)
    assert "data/bo.jpg" in keys(fresh())


def test_a_tracked_folder_without_any_files_of_its_own(pets: Dataset, root: Path, fresh: Fresh) -> None:
    """As after a clone where the team has noted the folder: nothing is gone, and nothing goes."""
    put(root, "desk/data/bo.jpg")
    pets.add(root / "desk/data/bo.jpg", root=root / "desk")
    fresh().repository.workspace.save(track=[{"folder": "data"}])
    for _ in range(2):
        assert fresh().files().absent == () and rest(fresh().files()) == (True, (), 1)
        assert taken(fresh().add_all()) == (0, 0, 0, 0)
        (root / "data").mkdir(exist_ok=True)
    assert keys(fresh()) == ["data/bo.jpg"]


def test_references_and_other_folders_do_not_count(bo: Dataset, root: Path, fresh: Fresh) -> None:
    put(root, "other/x.jpg", "far/y.jpg")
    fresh().add(root / "other/x.jpg")
    fresh().merge("bo")
    fresh().add_references(root / "far")
    (root / "far/y.jpg").unlink()
    (root / "other/x.jpg").unlink()
    assert rest(fresh().files()) == (True, (), 1)


# ---- what is seen


def test_a_second_dataset_with_the_same_keys(data: Path, root: Path, fresh: Fresh) -> None:
    """What one of them saw says nothing of the other."""
    birds = fresh().repository.create("birds")
    put(root, "desk/data/b.jpg", data=(data / "b.jpg").read_bytes())
    birds.add(root / "desk/data/b.jpg", root=root / "desk")
    fresh().repository.workspace.save(track=[{"folder": "data"}])
    (data / "b.jpg").unlink()
    assert rest(fresh().files()) == (False, ("data/b.jpg",), 0)
    status = fresh("birds").files()
    assert status.missing == () and status.elsewhere == 1
    report = fresh("birds").add_all()
    assert taken(report) == (2, 0, 0, 0) and keys(fresh("birds")) == ALL


@pytest.mark.parametrize("name", ["data", "data/bo.jpg"])
def test_naming_a_folder_or_a_file_marks_what_is_there(
    name: str, bo: Dataset, data: Path, root: Path, fresh: Fresh
) -> None:
    fresh().merge("bo")
    put(data, "bo.jpg")
    assert fresh().add(root / name).unchanged
    (data / "bo.jpg").unlink()
    assert rest(fresh().files()) == (False, ("data/bo.jpg",), 0)


def test_a_file_under_another_key_than_its_folder_gives(data: Path, root: Path, fresh: Fresh) -> None:
    """The input's file would lie elsewhere, so that it never was here."""
    put(root, "data/data/x.jpg")
    fresh().add(root / "data/data/x.jpg", root=data)
    (root / "data/data/x.jpg").unlink()
    assert "data/x.jpg" in keys(fresh()) and rest(fresh().files()) == (True, (), 1)


def test_keys_that_lead_elsewhere_now(data: Path, root: Path, fresh: Fresh) -> None:
    """Under another root, the inputs' files would lie elsewhere, where none ever lay."""
    fresh().add(data, root=data)
    assert rest(fresh().files()) == (True, (), 3) and taken(fresh().add_all()) == (0, 0, 0, 0)
    (data / "a.jpg").unlink()
    assert rest(fresh().files()) == (False, ("a.jpg",), 3)


def test_what_was_modified_or_renamed_is_seen_too(data: Path, fresh: Fresh) -> None:
    put(data, "a.jpg", data=b"other", mtime=OLD + 1)
    (data / "b.jpg").rename(data / "d.jpg")
    assert taken(fresh().add_all()) == (0, 1, 1, 0)
    (data / "a.jpg").unlink()
    (data / "d.jpg").unlink()
    assert fresh().files().missing == ("data/a.jpg", "data/d.jpg")


def test_it_is_noted_before_anything_is_taken(data: Path, root: Path, fresh: Fresh) -> None:
    put(data, "d.jpg")
    with pytest.raises(RuntimeError), fresh().edit() as draft:
        draft.add_all()
        raise RuntimeError
    blob = fresh().at()["data/a.jpg"].input.media
    workspace = Workspace(root / ".dsvc")
    assert blob is not None and blob.blob is not None
    assert mark("data/a.jpg", bytes(blob.blob)) in load_seen(workspace, "pets")
    assert fresh().files().new == ("data/d.jpg",) and keys(fresh()) == ALL
    fresh().add_all()
    assert keys(fresh()) == [*ALL[:2], "data/d.jpg", *ALL[2:]]


def test_a_dataset_takes_it_along_to_its_new_name(data: Path, fresh: Fresh) -> None:
    fresh().repository.rename("pets", "animals")
    (data / "a.jpg").unlink()
    assert fresh("animals").files().missing == ("data/a.jpg",)
    fresh("animals").repository.undo()
    assert fresh().files().missing == ("data/a.jpg",)


def test_without_the_record_nothing_is_missing(data: Path, root: Path, fresh: Fresh) -> None:
    (data / "a.jpg").unlink()
    assert fresh().files().missing == ("data/a.jpg",)
    for path in (root / ".dsvc/seen").iterdir():
        path.unlink()
    assert rest(fresh().files()) == (True, (), 1)
    fresh().add_all()
    (data / "b.jpg").unlink()
    assert rest(fresh().files()) == (False, ("data/b.jpg",), 1)


# ---- the file


def test_marks_are_kept_line_by_line(root: Path) -> None:
    workspace = Workspace(root / ".dsvc")
    first, second, third = mark("a", BLOB), mark("b", BLOB), mark("\udcff\n", BLOB)
    assert len({first, second, third, mark("a", BLOB[::-1])}) == 4
    note_seen(workspace, "pets", [first, second, first])
    [path] = (root / ".dsvc/seen").iterdir()
    size = path.stat().st_size
    note_seen(workspace, "pets", [second])
    note_seen(workspace, "pets", [])
    assert path.stat().st_size == size
    note_seen(workspace, "../birds\n", [third])
    assert load_seen(workspace, "../birds\n") > {third} and len(list((root / ".dsvc/seen").iterdir())) == 2
    assert not load_seen(workspace, "pets") & {third} and load_seen(workspace, "cats") == frozenset()
    note_seen(Workspace(None), "pets", [first])
    assert load_seen(Workspace(None), "pets") == frozenset()


def test_an_end_that_was_cut_off_is_passed_over(root: Path) -> None:
    """At every length: no mark is lost but the one that was cut, and what follows is whole."""
    workspace = Workspace(root / ".dsvc")
    first, second = sorted(mark(name, BLOB) for name in "ab")
    note_seen(workspace, "pets", [first, second])
    [path] = (root / ".dsvc/seen").iterdir()
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        found = load_seen(workspace, "pets") & {first, second}
        assert found == {one for one in (first, second) if one in whole[:length]}
        note_seen(workspace, "pets", [second])
        assert load_seen(workspace, "pets") >= found | {second}
    path.write_bytes(b"\0" * 4096 + b"\xff\r\n")
    note_seen(workspace, "pets", [first])
    assert load_seen(workspace, "pets") >= {first}


def test_a_record_that_may_not_be_read_is_an_error(data: Path, root: Path, fresh: Fresh) -> None:
    [path] = (root / ".dsvc/seen").iterdir()
    path.unlink()
    path.mkdir()
    assert fresh().files().is_clean, "nothing has to be known of it as long as all files are there"
    (data / "a.jpg").unlink()
    with pytest.raises(RefusedError, match="seen"):
        fresh().files()
    with pytest.raises(RefusedError, match="seen"):
        fresh().add_all()
