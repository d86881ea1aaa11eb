"""What a collection takes and what it leaves, how long undo goes back, and that files become few."""

from __future__ import annotations

import pytest
from collections_at_work import ADA, World, commit, stage

from dsvc.core.check import check
from dsvc.core.collecting.age import DAY, age_words, parse_age
from dsvc.core.collecting.collector import KEEP, Collector
from dsvc.core.collecting.pins import drop_pins, idle_pins
from dsvc.core.operations import operations, redo, restore, undo
from dsvc.core.transaction import Refs
from dsvc.errors import DamagedError, NotFoundError, RefusedError, UsageError
from dsvc.model.records import Media
from dsvc.model.view import PIN, BranchRef, PinRef, TombstoneRef, pin_of, tombstone_of
from dsvc.store import codec
from dsvc.store.head import HeadMovedError
from dsvc.store.ids import Kind, ObjectId, object_id
from dsvc.store.objects import ObjectStore


def commands(world: World) -> list[str]:
    return [logged.operation.command for logged in operations(world.repository())]


def holds(world: World, text: bytes) -> bool:
    """Whether any object that is listed holds some bytes."""
    store = ObjectStore(world.place)
    segments = [store.state.catalog.segment(at) for at in range(len(store.state.catalog.manifest.segments))]
    rows = [row for segment in segments for row in segment.rows()]
    found = (store.get(ObjectId(row[:32]), Kind(row[56])) for row in rows)
    return any(text in data for data in found)


def files(world: World) -> int:
    return len(world.place.names())


# ---- what stays, and how long


def test_what_refs_reach_stays_and_all_else_goes(world: World) -> None:
    pets = world.pets()
    commit(pets, "a", "b")
    pets.create_version("v1")
    pets.remove("a")
    pets.commit("no a")
    stage(pets, "staged")
    stage(pets, "dropped")
    pets.discard("dropped")
    assert holds(world, b"the media of dropped")
    world.collect()
    assert world.is_whole()
    assert not holds(world, b"the media of dropped")
    assert all(holds(world, f"the media of {key}".encode()) for key in ("a", "b", "staged"))
    assert [sample.key for sample in world.pets().at("v1")] == ["a", "b"]
    assert [sample.key for sample in world.pets().draft()] == ["b", "staged"]


def test_operations_that_are_kept_can_be_undone_wholly(world: World) -> None:
    commit(world.pets(), "a")
    world.clock.now += 40 * DAY
    commit(world.pets(), "b")
    world.clock.now += 10 * DAY
    world.repository().delete("pets")
    world.clock.now += DAY
    world.collect(keep=KEEP)
    # Of the operations before the 30 days the last one stays, to go back to.
    assert commands(world) == ["delete pets", "commit -m b", "edit", "commit -m a"]
    assert world.is_whole()
    repository = world.repository()
    undo(repository)
    assert world.keys() == ["a", "b"] and len(world.blobs()) == 2
    undo(repository)
    undo(repository)
    assert world.keys() == ["a"]
    with pytest.raises(RefusedError, match="collected by dsvc gc"):
        undo(repository)
    redo(repository)
    assert world.is_whole()


def test_with_an_age_of_nothing_only_the_present_stays(world: World) -> None:
    commit(world.pets(), "a")
    world.repository().delete("pets")
    first = list(operations(world.repository()))[-1]
    world.collect()
    assert commands(world) == ["delete pets"] and not holds(world, b"the media of a")
    assert world.is_whole()
    with pytest.raises(RefusedError, match="what was before it was collected"):
        undo(world.repository())
    with pytest.raises(NotFoundError, match="no operation") as raised:
        restore(world.repository(), first.id.hex())
    assert "was collected" in (raised.value.hint or "")
    world.repository().create("birds")
    undo(world.repository())  # what came later can be undone
    assert list(world.repository().datasets()) == []


def test_going_back_to_the_oldest_operation_works(world: World) -> None:
    commit(world.pets(), "a")
    world.clock.now += 40 * DAY
    world.repository().delete("pets")
    world.collect(keep=KEEP)
    *_, oldest = operations(world.repository())
    restore(world.repository(), oldest.id.hex())
    assert world.keys() == ["a"] and world.is_whole()


def test_collecting_again_and_again_moves_the_end_of_the_chain(world: World) -> None:
    for number in range(6):
        commit(world.pets(), f"{number}")
        world.clock.now += 10 * DAY
        world.collect(keep=20 * DAY)
        assert world.is_whole()
    assert commands(world)[-1] == "commit -m 3"
    assert world.keys() == [f"{number}" for number in range(6)]


def test_a_clock_that_is_ahead_takes_no_more(world: World) -> None:
    """Of the clocks of this machine and of the place the one that is behind counts."""
    commit(world.pets(), "a")
    world.repository().delete("pets")
    repository = world.repository()
    repository.now = lambda: type(world.clock.moment())(int(world.clock.now) + 1000 * DAY)
    repository.collect(keep=KEEP, grace=0)
    undo(world.repository())
    assert world.keys() == ["a"] and world.is_whole()


def test_what_has_no_commit_yet_can_be_read(world: World) -> None:
    """It is read as the tree without entries, which nothing need name."""
    world.collect()
    assert len(world.pets().draft()) == 0
    commit(world.pets(), "a")
    world.collect()
    world.repository().create("birds")
    assert len(world.repository().dataset("birds").draft()) == 0 and world.is_whole()


def test_pins_keep_and_are_dropped_where_no_lock_names_them(world: World) -> None:
    pets = world.pets()
    first, second = commit(pets, "a"), commit(pets, "b")
    repository = world.repository()

    def pin(refs: Refs) -> None:
        for id in (first, second):
            refs.set(pin_of("pets", id), PinRef(id))

    repository.change("pin", pin)
    repository.delete("pets")
    world.collect()
    assert world.is_whole() and repository.store.has(second)
    idle = idle_pins(repository, lambda dataset, id: (dataset, id) == ("pets", first))
    assert idle == {pin_of("pets", second)}
    assert Collector(world.repository(), keep=0, grace=0).look(idle).reasons["unreached"].number > 0
    drop_pins(repository, idle)
    world.collect()
    kept = ObjectStore(world.place)
    assert kept.has(first) and not kept.has(second) and world.is_whole()
    assert [ref for ref, _ in world.repository().view.list(PIN)] == [pin_of("pets", first)]


def test_media_that_a_tombstone_names_goes_though_it_is_young_and_reached(world: World) -> None:
    commit(world.pets(), "a", "b")
    gone = object_id(Kind.BLOB, b"the media of a" * 9)
    tombstone = TombstoneRef("a face", ADA, world.clock.moment(), 126)
    world.repository().change("purge", lambda refs: refs.set(tombstone_of(gone), tombstone))
    plan = world.collect(keep=KEEP, grace=10 * DAY)
    assert plan.reasons["purged"].number == 1
    assert not holds(world, b"the media of a") and holds(world, b"the media of b")
    assert not any(b"the media of a" in data for data in world.place.held.values())
    assert check(world.repository()).damage == ()


def test_values_outside_their_nodes_and_big_blobs_stay_whole(world: World) -> None:
    pets = world.pets()
    commit(pets, "a")
    pets.annotate("a", text="long " * 2000)
    with pets.edit() as draft:
        big = bytes(range(256)) * (80 << 10)
        blob = draft.transaction.writer.put_blob([big], len(big))
        draft.put_media({"big": Media(blob=blob, type="video/mp4", size=len(big))})
    pets.commit("more")
    stage(pets, "dropped")
    pets.discard("dropped")
    world.collect()
    store = ObjectStore(world.place)
    assert world.is_whole() and b"".join(store.open_blob(blob)) == big
    pets.remove("big")
    pets.commit("no big")
    world.repository().change("forget", lambda refs: refs.set(("branch", "pets", "main"), None))
    world.collect()
    assert sum(map(len, world.place.held.values())) < 20_000


# ---- the grace


def test_what_is_younger_than_the_grace_stays_with_all_that_it_names(world: World) -> None:
    commit(world.pets(), "a")
    world.clock.now += 10
    head = commit(world.pets(), "b")
    world.repository().delete("pets")
    world.clock.now += 50
    plan = world.collect(grace=55)
    store = ObjectStore(world.place)
    assert plan.young.number > 0 and store.has(head, Kind.COMMIT)
    world.repository().create("pets")
    world.repository().change("back", lambda refs: refs.set(("branch", "pets", "main"), BranchRef(head)))
    assert world.keys() == ["a", "b"] and world.is_whole() and len(world.blobs()) == 2


def test_the_grace_runs_out_however_often_is_collected(world: World) -> None:
    commit(world.pets(), "a", "b", "c")
    stage(world.pets(), "dropped")
    world.pets().discard()
    for _ in range(7):
        assert holds(world, b"the media of dropped")
        world.collect(grace=60)
        world.clock.now += 10
    assert world.is_whole()
    assert not holds(world, b"the media of dropped")


def test_files_left_over_go_when_they_are_old_enough(world: World) -> None:
    commit(world.pets(), "a")
    for name in ("packs/" + "0" * 64, "index/" + "1" * 64, "manifests/" + "2" * 64, "tmp/xyz"):
        world.place.keep(name, b"left over")
    world.clock.now += 100
    world.place.keep("packs/" + "3" * 64, b"young")
    assert world.collect(grace=50).reasons["leftover"] == (4, 36)
    assert [name for name in world.place.names() if world.place.held[name] in (b"left over", b"young")] == [
        "packs/" + "3" * 64
    ]


# ---- files


def test_a_collection_leaves_few_files_and_a_second_one_nothing_to_do(world: World) -> None:
    for number in range(20):
        commit(world.pets(), f"{number}")
    world.collect(keep=KEEP)
    before = world.place.image()
    manifest = world.repository().store.state.catalog.manifest
    assert len(manifest.segments) == 1 and files(world) <= 2 + 3
    world.collect(keep=KEEP)
    assert world.place.image() == before


def test_a_look_changes_nothing_and_says_what_goes(world: World) -> None:
    commit(world.pets(), "a")
    world.repository().delete("pets")
    before = world.place.image()
    plan = world.repository().collect(keep=0, grace=0, dry_run=True)
    assert world.place.image() == before
    assert plan.reasons["unreached"].number > 3 and plan.operations == 1
    assert world.collect() == plan


def test_damage_on_the_way_stops_a_collection_and_names_the_object(world: World) -> None:
    commit(world.pets(), "a")
    store = ObjectStore(world.place)
    found = store.state.catalog.find(world.pets().head)
    assert found is not None
    data = bytearray(world.place.held[found.pack.name])
    data[found.entry.offset + 30] ^= 1
    world.place.held[found.pack.name] = bytes(data)
    before = world.place.image()
    with pytest.raises(DamagedError, match="commit"):
        world.collect()
    assert world.place.image() == before


def test_a_pack_that_is_damaged_stays_and_is_told(world: World) -> None:
    commit(world.pets(), "a", "b")
    stage(world.pets(), *(f"dropped {number}" for number in range(9)))
    world.pets().discard()
    store = ObjectStore(world.place)
    found = store.state.catalog.find(object_id(Kind.BLOB, b"the media of a" * 9))
    assert found is not None
    data = bytearray(world.place.held[found.pack.name])
    data[found.entry.offset + 30] ^= 1
    world.place.held[found.pack.name] = bytes(data)
    outcome = Collector(world.repository(), keep=0, grace=0).run()
    assert outcome.swept is not None and list(outcome.swept.damaged) == [found.pack.id]
    assert world.place.held[found.pack.name] == bytes(data)
    assert len(check(world.repository()).damage) == 1  # as before
    with pytest.raises(DamagedError):
        ObjectStore(world.place).get(object_id(Kind.BLOB, b"the media of a" * 9), Kind.BLOB)
    assert ObjectStore(world.place).get(object_id(Kind.BLOB, b"the media of b" * 9), Kind.BLOB)


def test_an_object_that_is_listed_twice_is_kept_where_it_is_whole(world: World) -> None:
    """Two writers that knew nothing of each other stored the same bytes; one copy went bad."""
    blob = b"the media of a" * 9
    blob, other = b"the media of a" * 9, ObjectStore(world.place).writer()
    other.put(Kind.BLOB, blob)
    commit(world.pets(), "a", *(f"{number}" for number in range(60)))
    with pytest.raises(HeadMovedError):
        other.publish(other.put(Kind.OPERATION, operation(world)))
    other.publish(other.put(Kind.OPERATION, operation(world)))
    store = ObjectStore(world.place)
    catalog = store.state.catalog
    copies = [catalog.segment(at).find(object_id(Kind.BLOB, blob)) for at in range(len(catalog.manifest.segments))]
    assert len([row for row in copies if row is not None]) == 2
    found = catalog.find(object_id(Kind.BLOB, blob))
    assert found is not None
    data = bytearray(world.place.held[found.pack.name])
    data[found.entry.offset + 30] ^= 1
    world.place.held[found.pack.name] = bytes(data)
    plan = world.collect(keep=KEEP)
    assert plan.reasons["twice"].number == 1
    assert ObjectStore(world.place).get(object_id(Kind.BLOB, blob), Kind.BLOB) == blob
    assert world.is_whole()


def operation(world: World) -> bytes:
    """An operation that changes nothing, behind the last one."""
    store = ObjectStore(world.place)
    fields = codec.decode(store.get(store.head.operation, Kind.OPERATION))
    return codec.encode({**fields, "parents": [bytes(store.head.operation)]})


# ---- ages


@pytest.mark.parametrize(
    ("text", "seconds"), [("30d", 2592000), ("12h", 43200), ("2w", 1209600), ("45m", 2700), ("0", 0), ("now", 0)]
)
def test_ages_are_read(text: str, seconds: int) -> None:
    assert parse_age(text) == seconds


@pytest.mark.parametrize("text", ["", "d", "-1d", "1.5d", "5", "5y", "1d2h", " 1d", "9999999d", "٣d"])
def test_what_is_no_age_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is no age"):
        parse_age(text)


def test_ages_in_words() -> None:
    assert [age_words(n) for n in (0, 1, 60, 90, 3600, 86400, 1209600)] == [
        "0 days",
        "1 second",
        "1 minute",
        "90 seconds",
        "1 hour",
        "1 day",
        "14 days",
    ]
