"""How runs, evaluations and auto-generated versions live with all else: undo, check, gc, purge, branches, names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from studied import ADA, WHEN, drop, enter_again, enter_evaluation, enter_run, evaluation_record, run_record

from dsvc.core.automatic import drop_entry
from dsvc.core.check import check
from dsvc.core.dataset import Dataset
from dsvc.core.ledger import auto_name, bare_entry, read_file, store_entry
from dsvc.core.operations import describe_ref, operations
from dsvc.core.record_forms import AUTO_NAME, ID, wrong_entry
from dsvc.core.transaction import Refs
from dsvc.errors import DamagedError, NotFoundError, PurgedError, RefusedError, UsageError
from dsvc.model.commit import Moment, load_commit
from dsvc.model.records import Media, Shape
from dsvc.model.view import EVALUATION, RUN, VERSION
from dsvc.remote.purging import purge
from dsvc.store.ids import ObjectId

from .test_dependents import spoil

AAAA, BBBB, EEEE = "aaaa1111", "bbbb2222", "eeee3333"


@pytest.fixture
def photos(pets: Dataset, write: Callable[..., Path]) -> Dataset:
    """Two files with a box each, in one commit."""
    root = pets.repository.root or Path()
    for name in ("a", "b"):
        write(name.encode() * 50, f"project/{name}.txt")
        with pets.edit() as draft:
            draft.add(root / f"{name}.txt")
        pets.annotate(f"{name}.txt", shape=Shape(box=(1, 2, 3, 4)), concept="cat")
    pets.commit("all", author=ADA)
    return pets


def auto(dataset: Dataset) -> list[str]:
    return [version.name for version in dataset.versions(auto=True)]


def head(dataset: Dataset) -> ObjectId:
    assert dataset.head is not None
    return dataset.head


# ---- operations


def test_training_is_undone_step_by_step(photos: Dataset) -> None:
    name = enter_run(photos, AAAA)
    version_made = list(operations(photos.repository))[1].id
    with pytest.raises(RefusedError, match=f"cannot be inverted: {name} is the data of run pets {AAAA}"):
        photos.repository.undo(version_made.hex()[:12])
    assert photos.repository.undo().operation.command == f"train: run {AAAA}"
    assert (photos.runs(), auto(photos)) == ([], [name])
    assert photos.repository.undo().operation.command == f"train: version {name}"
    assert auto(photos) == []
    photos.repository.redo()
    photos.repository.redo()
    assert ([run.id for run in photos.runs()], auto(photos)) == ([AAAA], [name])


def test_a_version_that_another_run_was_made_of_is_not_undone_before_that(photos: Dataset) -> None:
    name = enter_run(photos, AAAA)
    enter_again(photos, BBBB, name)
    version_made = list(operations(photos.repository))[2].id
    with pytest.raises(RefusedError, match=f"{name} is the data of run pets {AAAA}"):
        photos.repository.undo(version_made.hex()[:12])
    drop_run = list(operations(photos.repository))[1].id
    photos.repository.undo(drop_run.hex()[:12])
    with pytest.raises(RefusedError, match=f"{name} is the data of run pets {BBBB}"):
        photos.repository.undo(version_made.hex()[:12])


def test_runs_of_one_commit_are_undone_apart(photos: Dataset) -> None:
    enter_run(photos, AAAA)
    enter_run(photos, BBBB)
    photos.repository.undo()
    photos.repository.undo()
    assert ([run.id for run in photos.runs()], auto(photos)) == ([AAAA], [auto_name(AAAA, WHEN)])


def test_an_evaluation_and_its_deletion_are_undone_whole(photos: Dataset) -> None:
    names = enter_evaluation(photos, EEEE)
    entered = photos.evaluations()
    drop(photos, EVALUATION, EEEE[:4])
    assert (photos.evaluations(), auto(photos)) == ([], [])
    photos.repository.undo()
    assert (photos.evaluations(), auto(photos)) == (entered, sorted(names))
    photos.repository.undo()
    assert (photos.evaluations(), auto(photos)) == ([], [])


def test_a_restored_operation_has_the_ledger_of_then(photos: Dataset) -> None:
    enter_run(photos, AAAA)
    then = next(operations(photos.repository)).id
    drop(photos, RUN, AAAA)
    enter_evaluation(photos, EEEE)
    from dsvc.core.operations import restore

    restore(photos.repository, then.hex())
    assert ([run.id for run in photos.runs()], photos.evaluations()) == ([AAAA], [])
    assert check(photos.repository).damage == ()


def test_refs_in_words() -> None:
    assert describe_ref((RUN, "pets", AAAA)) == "run pets aaaa1111"
    assert describe_ref((EVALUATION, "pets", EEEE)) == "evaluation pets eeee3333"


def test_a_dataset_under_another_name_has_the_same_runs(photos: Dataset) -> None:
    name, repository = enter_run(photos, AAAA, {"log.txt": b"log"}), photos.repository
    enter_evaluation(photos, EEEE)
    repository.rename("pets", "animals")
    animals = repository.dataset("animals")
    assert ([run.id for run in animals.runs()], len(animals.evaluations())) == ([AAAA], 1)
    assert b"".join(read_file(animals, animals.run(AAAA), "log.txt")) == b"log"
    with pytest.raises(RefusedError, match="is the data of run"):
        animals.delete_version(name)
    repository.undo()
    assert len(repository.dataset("pets").evaluations()) == 1


def test_creating_a_dataset_is_not_undone_under_its_runs(photos: Dataset) -> None:
    enter_run(photos, AAAA)
    photos.repository.change("x", lambda refs: [refs.set(ref, None) for ref, _ in list(refs.list(VERSION))] and None)
    first = next(one for one in operations(photos.repository) if one.operation.command == "create pets")
    with pytest.raises(RefusedError, match=r"moved since|it would leave"):
        photos.repository.undo(first.id.hex())


# ---- names


def test_auto_generated_versions_are_suggested_to_who_asks_for_one(photos: Dataset) -> None:
    photos.create_version("auto", author=ADA)
    name = enter_run(photos, AAAA)
    with pytest.raises(NotFoundError) as error:
        photos.at(f"@{name[:-1]}2")
    assert error.value.hint == f"did you mean pets@{name}?"
    with pytest.raises(NotFoundError) as error:
        photos.version(f"{name[:-1]}2")
    assert error.value.hint == f"did you mean {name}?"
    with pytest.raises(NotFoundError) as error:
        photos.at("@v1")
    assert error.value.hint == "there is: auto; of a commit's id, give 4 digits or more"
    with pytest.raises(NotFoundError) as error:
        photos.repository.at("generated")
    assert name not in str(error.value.hint)


def test_nobody_makes_or_rebinds_one(photos: Dataset) -> None:
    name = enter_run(photos, AAAA)
    for text in (name, "auto-generated-mine"):
        with pytest.raises(UsageError, match="are reserved"):
            photos.create_version(text, author=ADA)
        with pytest.raises(UsageError, match="are reserved"):
            photos.create_branch(text)
    photos.annotate("a.txt", text="more")
    with pytest.raises(RefusedError, match="is there already"):
        enter_run(photos, AAAA)
    assert photos.at(f"@{name}").commit == head(photos)


def test_the_commits_of_entries_are_no_revisions(photos: Dataset) -> None:
    names = enter_evaluation(photos, EEEE)
    truth, guess = photos.evaluation(EEEE).of
    assert photos.at(f"@{guess.hex()[:8]}").commit == photos.at(f"@{names[1]}").commit == guess
    assert photos.at(f"@{truth.hex()[:8]}").commit == head(photos)
    with pytest.raises(NotFoundError, match="has no version or commit"):
        photos.at(f"@{photos.evaluation(EEEE).commit.hex()}")


def test_a_branch_goes_only_where_something_else_than_a_run_keeps_its_commits(photos: Dataset) -> None:
    photos.create_branch("side")
    side = photos.repository.dataset("pets", "side")
    side.annotate("a.txt", text="side")
    side.commit("side", author=ADA)
    enter_run(side, AAAA)
    with pytest.raises(RefusedError, match="has a commit that no other branch or version reaches"):
        photos.delete_branch("side")


def test_a_version_that_is_looked_at(photos: Dataset) -> None:
    name = enter_run(photos, AAAA)
    pinned = photos.repository.use("pets", version=name)
    assert (pinned.status().version, pinned.at().commit) == (name, head(photos))
    enter_run(pinned, BBBB)
    assert pinned.run(BBBB).of == (head(photos),)
    with pytest.raises(RefusedError, match="is a version, which is read-only"):
        pinned.annotate("a.txt", text="x")


# ---- records


def test_what_is_entered_is_sound(photos: Dataset) -> None:
    """The helpers of the tests enter what travels."""
    enter_run(photos, AAAA, {"log.txt": b"log"})
    enter_evaluation(photos, EEEE)
    store = photos.repository.store
    for entry in (*photos.runs(), *photos.evaluations()):
        assert wrong_entry(store, entry.kind, entry.id, entry.commit) is None
        assert ID.fullmatch(entry.id)
    assert all(AUTO_NAME.fullmatch(name) for name in auto(photos))


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"type": "boxes"}, "type"),
        ({"figures": {"AP": "1"}}, "figures"),
        ({"figures": {"AP": True}}, "figures"),
        ({"concepts": {"cat": 1.0}}, "concepts"),
        ({"counts": {"inputs": 1.5}}, "counts"),
        ({"truth": None}, "truth"),
        ({"predictions": {"version": "v1"}}, "predictions"),
        ({"iou": [0.5]}, "iou"),
    ],
)
def test_what_is_said_of_an_evaluation_is_what_it_is_called(
    photos: Dataset, fields: dict[str, Any], field: str
) -> None:
    enter_evaluation(photos, EEEE, **fields)
    commit = bare_entry(photos, EVALUATION, EEEE).commit
    wrong = wrong_entry(photos.repository.store, EVALUATION, EEEE, commit)
    assert wrong == f"{field!r} of its record is missing, or is not what it is called"
    with pytest.raises(DamagedError, match=f"evaluation {EEEE} is damaged: '{field}' of its record is missing, or"):
        photos.evaluations()


def test_the_commit_of_an_entry_belongs_to_the_format(photos: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """If this fails, the format has changed."""
    monkeypatch.setattr("dsvc.core.ledger.clock.time_ns", lambda: 1_700_000_000_123_456_789)
    data, blob = ObjectId(bytes(range(32))), ObjectId(bytes(range(1, 33)))
    files = {"model/weights": Media(blob=blob, size=10), "log.txt": Media(blob=blob, size=10)}
    with photos.repository.transaction("x") as transaction:
        writer = transaction.writer
        run = store_entry(writer, RUN, run_record(AAAA, "pets", "v1", data), files, [data], ADA, WHEN)
        record = evaluation_record(EEEE, "pets", ("v1", data), ("v2", blob))
        evaluation = store_entry(writer, EVALUATION, record, {}, [data, blob], ADA, WHEN)
        assert load_commit(writer, run).notes == {"entered": 1_700_000_000_123_456_789}
        assert (load_commit(writer, run).message, load_commit(writer, run).parents) == ("run aaaa1111", (data,))
    assert run.hex() == "64e1566716aef5c2d4612718e25d7cd9469a7c288b1d13df55f068e615e38731"
    assert evaluation.hex() == "b9450fe815a43af4ee3efb0f65129e3dfd0e9e1317796f4e665c13a8cc180a83"


def test_a_record_has_bounds(photos: Dataset) -> None:
    record = run_record(AAAA, "pets", "v1", head(photos)) | {"note": "x" * (8 << 20)}
    with (
        photos.repository.transaction("x") as transaction,
        pytest.raises(RefusedError, match="bytes cannot be kept: 8,387,584 are the most"),
    ):
        store_entry(transaction.writer, RUN, record, {}, [head(photos)], ADA, WHEN)


def test_a_name_of_a_file_that_leads_out_is_refused(photos: Dataset) -> None:
    photos.create_version("v1", author=ADA)
    for name in ("../x", "/x", "a/../../x", "C:\\x", ""):
        with pytest.raises(RefusedError, match="the input key"):
            enter_again(photos, AAAA, "v1", {name: b"x"})
    assert photos.runs() == []


def test_runs_are_found_by_their_versions(photos: Dataset) -> None:
    photos.create_version("v1", author=ADA)
    name = enter_run(photos, AAAA)
    for number in range(3):
        enter_again(photos, f"{number:08x}", name if number else "v1")
    uses = photos.uses()
    assert [ref[2] for ref in uses.of(*photos.version("v1"))] == ["00000000", "00000001", "00000002", AAAA]
    assert [ref[2] for ref in uses.of(*photos.version(name))] == ["00000001", "00000002", AAAA]
    assert uses.damage is None


# ---- check


def test_predictions_are_not_odd(photos: Dataset) -> None:
    photos.annotate("a.txt", shape=Shape(box=(1, 2, 0, 4)), concept="cat")
    odd = [finding.text for finding in check(photos.repository).findings]
    assert odd == ["box of size 0 x 4"]
    enter_evaluation(photos, EEEE)
    enter_run(photos, AAAA)
    assert [finding.text for finding in check(photos.repository).findings] == odd
    photos.discard()
    assert check(photos.repository).findings == ()


def blob_of(dataset: Dataset, id: str, name: str) -> ObjectId:
    from dsvc.core.ledger import entry_files

    (media,) = [file.media for file in entry_files(dataset, dataset.run(id)) if file.key == name]
    assert media is not None and media.blob is not None
    return media.blob


def test_a_damaged_run_is_named_and_can_be_deleted(photos: Dataset) -> None:
    name = enter_run(photos, AAAA, {"model/weights": b"w" * 500})
    enter_run(photos, BBBB)
    commit = photos.run(AAAA).commit
    spoil(photos, blob_of(photos, AAAA, "model/weights"))
    (damage,) = check(photos.repository).damage
    assert damage.needed.others == (f"run pets {AAAA}",)
    assert damage.needed.inputs == ("model/weights",)
    spoil(photos, commit)
    repository = type(photos.repository).open(photos.repository.root or Path())
    assert {damage.needed.others for damage in check(repository).damage} == {(), (f"run pets {AAAA}",)}
    dataset = repository.dataset("pets")
    with pytest.raises(DamagedError):
        dataset.runs()
    drop(dataset, RUN, bare_entry(dataset, RUN, AAAA[:4]).id)
    assert [run.id for run in dataset.runs()] == [BBBB]
    assert name in auto(dataset), "what it was of is unknown, so nothing else goes"
    dataset.delete_version(name)
    assert all(not damage.needed for damage in check(repository).damage), "only earlier operations need it"


def test_a_commit_that_is_no_run_is_told_of(photos: Dataset) -> None:
    from dsvc.core.ledger import set_entry

    photos.repository.change("x", lambda refs: set_entry(refs, RUN, "pets", AAAA, head(photos)))
    for look in (photos.runs, lambda: photos.run(AAAA)):
        with pytest.raises(DamagedError, match=f"run {AAAA} is damaged: commit {head(photos).short()} says nothing"):
            look()


# ---- gc


def later(dataset: Dataset, days: float) -> None:
    import time

    moment = int(time.time() + days * 86400)
    dataset.repository.now = lambda: Moment(moment)


def test_what_a_run_names_stays_until_it_is_gone_and_forgotten(photos: Dataset) -> None:
    repository = photos.repository
    photos.annotate("a.txt", text="staged")
    enter_run(photos, AAAA, {"model/weights": b"w" * 500})
    photos.discard()
    weights, data, commit = blob_of(photos, AAAA, "model/weights"), photos.run(AAAA).of[0], photos.run(AAAA).commit
    kept = repository.root / ".dsvc" / "runs" / AAAA / "data" / "a.txt"  # type: ignore[operator]
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"a")

    def here() -> list[bool]:
        repository.store.refresh()
        return [repository.store.has(id) for id in (weights, data, commit)]

    repository.collect(keep=0, grace=0)
    assert here() == [True] * 3
    drop(photos, RUN, AAAA)
    repository.collect(grace=0)
    assert here() == [True] * 3, "undo needs it"
    photos.annotate("a.txt", text="more")
    repository.collect(keep=0, grace=0)
    assert here() == [False] * 3
    assert check(repository).damage == ()
    assert kept.read_bytes() == b"a"


# ---- purge


def test_media_that_a_run_was_of_is_purged_and_the_run_stays(photos: Dataset) -> None:
    name = enter_run(photos, AAAA, {"a.txt": b"a log of the name of an input"})
    photos.remove("a.txt")
    photos.commit("without", author=ADA)
    receipt = purge(photos.repository, "pets", ["a.txt"], "they asked", [])
    assert [(one.key, len(one.commits)) for one in receipt.doomed] == [("a.txt", 1)], "a run's file is no input"
    state = photos.at(f"@{name}")
    with pytest.raises(PurgedError, match="they asked"):
        next(iter(state)).read_bytes()
    assert b"".join(read_file(photos, photos.run(AAAA), "a.txt")) == b"a log of the name of an input"
    assert photos.run(AAAA).record["version"] == name
    assert check(photos.repository).damage == ()


def test_bytes_that_a_run_keeps_too_are_purged_where_that_is_said(photos: Dataset) -> None:
    enter_run(photos, AAAA, {"model/seen.txt": b"a" * 50})
    with pytest.raises(RefusedError, match=rf"same bytes: model/seen.txt of run {AAAA} \(dataset pets\)"):
        purge(photos.repository, "pets", ["a.txt"], "they asked", [])
    purge(photos.repository, "pets", ["a.txt"], "they asked", [], everywhere=True)
    with pytest.raises(PurgedError, match="they asked"):
        list(read_file(photos, photos.run(AAAA), "model/seen.txt"))
    assert check(photos.repository).damage == ()


def test_the_files_of_runs_are_not_purged_by_name(photos: Dataset) -> None:
    enter_run(photos, AAAA, {"model/weights": b"w" * 500})
    with pytest.raises(NotFoundError, match="no input 'model/weights' in the history of pets"):
        purge(photos.repository, "pets", ["model/weights"], "they asked", [])


def test_a_transaction_that_drops_two_runs_leaves_no_version_behind(photos: Dataset) -> None:
    enter_run(photos, AAAA)
    enter_run(photos, BBBB)

    def both(refs: Refs) -> None:
        for id in (AAAA, BBBB):
            drop_entry(refs, photos, RUN, id)

    photos.repository.change("delete both", both)
    assert (photos.runs(), auto(photos)) == ([], [])
