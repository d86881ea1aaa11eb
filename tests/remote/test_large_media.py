"""Large files between stores: what is missing of their chunks travels, and no wrong list is taken."""

from __future__ import annotations

from pathlib import Path

import pytest
from bare import bare_clone
from blake3 import blake3

from dsvc.core.dataset import Dataset
from dsvc.errors import DsvcError
from dsvc.remote.pulling import pull_branch
from dsvc.remote.sending import push
from dsvc.remote.settings import Remote
from dsvc.remote.tracking import fetch
from dsvc.store.chunklist import ChunkList
from dsvc.store.frame import CHUNKED, RAW, Entry, Packed, frame_parts
from dsvc.store.ids import Kind, ObjectId, object_id
from dsvc.store.objects import ObjectStore

from .workspaces import clone, is_whole, opened

MIB = 1 << 20
LARGE = blake3(b"large").digest(length=20 * MIB)
CHANGED = LARGE[: 9 * MIB] + b"changed" + LARGE[9 * MIB :]
BLOB = object_id(Kind.BLOB, LARGE)


def store_large(dataset: Dataset, data: bytes = LARGE) -> None:
    root = dataset.repository.root
    assert root is not None
    (root / "large.bin").write_bytes(data)
    dataset.add(root / "large.bin", root=root)
    dataset.commit("a large file")


def size(store: ObjectStore) -> int:
    return sum(store.backend.size(name) for name in store.backend.names("packs/"))


def test_what_changes_in_a_large_file_is_all_that_travels(ours: Dataset, origin: Remote, tmp_path: Path) -> None:
    store_large(ours)
    push(ours.repository, origin)
    there = opened(tmp_path / "store")
    assert is_whole(there) and "chunked" in there.store.head.must
    theirs, remote = clone(tmp_path / "theirs", tmp_path / "store")
    pull_branch(theirs.create("pets"), remote)
    assert theirs.dataset("pets").at()["large.bin"].read_bytes() == LARGE
    before = size(there.store), size(theirs.store)
    store_large(ours, CHANGED)
    sent = push(ours.repository, origin)
    pull_branch(theirs.dataset("pets"), remote)
    assert sent.bytes < 4 * MIB
    there.store.refresh()
    assert size(there.store) - before[0] < 4 * MIB and size(theirs.store) - before[1] < 4 * MIB
    assert theirs.dataset("pets").at()["large.bin"].read_bytes() == CHANGED
    assert is_whole(there) and is_whole(theirs)


def replace_list(store: ObjectStore, payload: bytes, raw: int, codec: int = CHUNKED) -> None:
    """Put another frame under the large file's id."""
    frame = b"".join(frame_parts(BLOB, Kind.BLOB, codec, raw, payload))
    with store.writer() as writer:
        assert writer.base is not None
        writer.put_packed(Packed(BLOB, Entry(0, len(payload), raw, Kind.BLOB, codec), frame, b""))
        writer.publish(writer.base.operation)


def wrong_list(store: ObjectStore, what: str) -> None:
    chunks = store.chunk_list(BLOB)
    assert chunks is not None
    ids, lengths = list(chunks.ids()), list(chunks.lengths())
    if what == "order":
        ids[1:3], lengths[1:3] = ids[2:0:-1], lengths[2:0:-1]
    elif what == "missing":
        ids[3] = ObjectId(b"\7" * 32)
    elif what == "length":
        lengths[4] += 1
    elif what == "itself":
        ids[0] = BLOB
    replace_list(store, ChunkList(b"".join(ids), lengths).encode(), sum(lengths))


@pytest.mark.parametrize("what", ["order", "missing", "length", "itself"])
def test_a_wrong_list_is_not_taken(ours: Dataset, origin: Remote, tmp_path: Path, what: str) -> None:
    """Or it would stand in the way of the right one, where its file is added some day."""
    store_large(ours)
    push(ours.repository, origin)
    wrong_list(opened(tmp_path / "store").store, what)
    theirs, remote = clone(tmp_path / "theirs", tmp_path / "store")
    with pytest.raises(DsvcError) as caught:
        fetch(theirs, remote)
    assert caught.value.hint
    theirs.store.refresh()
    assert not theirs.store.has(BLOB) and is_whole(theirs)
    store_large(theirs.create("own"))
    assert theirs.dataset("own").at()["large.bin"].read_bytes() == LARGE and is_whole(theirs)


def test_a_list_that_cannot_be_read_is_not_taken(ours: Dataset, origin: Remote, tmp_path: Path) -> None:
    store_large(ours)
    push(ours.repository, origin)
    replace_list(opened(tmp_path / "store").store, b"\x81" * 500, len(LARGE))
    theirs, remote = clone(tmp_path / "theirs", tmp_path / "store")
    with pytest.raises(DsvcError, match="damaged"):
        fetch(theirs, remote)
    assert is_whole(theirs)


def test_a_large_file_in_one_frame_arrives_in_chunks(ours: Dataset, origin: Remote, tmp_path: Path) -> None:
    """A remote gets it as new files are stored; what is here stays as it is."""
    from dsvc.model.records import Media

    with ours.edit() as draft:
        frame = b"".join(frame_parts(BLOB, Kind.BLOB, RAW, len(LARGE), LARGE))
        entry = Entry(0, len(LARGE), len(LARGE), Kind.BLOB, RAW)
        draft.transaction.writer.put_packed(Packed(BLOB, entry, frame, LARGE))
        draft.put_media({"large.bin": Media(blob=BLOB, size=len(LARGE))})
    ours.commit("as it was done")
    push(ours.repository, origin)
    there = opened(tmp_path / "store")
    assert len(there.store.chunks(BLOB)) > 10 and ours.repository.store.chunks(BLOB) == ()
    assert is_whole(there)
    theirs, remote = clone(tmp_path / "theirs", tmp_path / "store")
    pull_branch(theirs.create("pets"), remote)
    assert theirs.dataset("pets").at()["large.bin"].read_bytes() == LARGE
    store_large(ours, CHANGED)
    push(ours.repository, origin)
    pull_branch(theirs.dataset("pets"), remote)
    assert theirs.dataset("pets").at()["large.bin"].read_bytes() == CHANGED and is_whole(theirs)


def test_a_part_of_a_file_that_is_elsewhere_brings_what_covers_it(
    ours: Dataset, origin: Remote, tmp_path: Path
) -> None:
    store_large(ours)
    push(ours.repository, origin)
    bare = bare_clone(tmp_path / "store", tmp_path / "bare")
    sample = bare.dataset("pets").at()["large.bin"]
    assert not bare.store.has_media(BLOB)
    assert sample.read_bytes(9 * MIB, MIB) == LARGE[9 * MIB : 10 * MIB]
    with sample.open() as file:
        assert file.seek(-5, 2) and file.read() == LARGE[-5:]
    bare.store.close()
    bare.store.refresh()
    assert not bare.store.has_media(BLOB) and 0 < size(bare.store) < 6 * MIB
    before = size(bare.store)
    assert sample.read_bytes() == LARGE
    bare.store.close()
    bare.store.refresh()
    assert bare.store.has_media(BLOB) and size(bare.store) - before < len(LARGE) and is_whole(bare)


def test_a_wrong_list_of_a_file_that_is_elsewhere_is_noticed(ours: Dataset, origin: Remote, tmp_path: Path) -> None:
    store_large(ours)
    push(ours.repository, origin)
    wrong_list(opened(tmp_path / "store").store, "order")
    bare = bare_clone(tmp_path / "store", tmp_path / "bare")
    sample = bare.dataset("pets").at()["large.bin"]
    with pytest.raises(DsvcError, match="has other chunks than its input says"):
        sample.read_bytes(9 * MIB, 10)
    with pytest.raises(DsvcError, match="do not hash to its id"):
        sample.read_bytes()
    bare.store.close()
    bare.store.refresh()
    assert not bare.store.has_media(BLOB)
