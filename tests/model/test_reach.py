"""What objects may name is found in their bytes without decoding them: nothing that they do name is missed."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from dsvc.model.node import encode_inner, encode_leaf, store_value
from dsvc.model.reach import children_of, find_blobs, find_values
from dsvc.model.records import Input, Media, encode_input
from dsvc.store.ids import Kind, ObjectId, object_id

BLOB = b"\xa4blob\xc4\x20"
POINTER = b"\xc7\x21\x02\x00"
# Ids that hold by chance how another one begins, at their start, their middle and across their end.
hostile = st.sampled_from([BLOB * 5, POINTER * 9, b"\0" * 28 + BLOB, b"x" * 30 + POINTER, BLOB + b"\xff" * 32])
ids = st.one_of(st.binary(min_size=32, max_size=32), hostile.map(lambda raw: raw[:32])).map(ObjectId)


def split(joined: bytes) -> set[bytes]:
    return {joined[at : at + 32] for at in range(0, len(joined), 32)}


@given(st.lists(ids, max_size=30), st.binary(max_size=50))
@example([ObjectId((BLOB * 5)[:32])] * 2, BLOB)
def test_every_blob_of_a_leaf_is_found(blobs: list[ObjectId], text: bytes) -> None:
    values = [
        encode_input(Input(key=f"{n}", media=Media(blob=blob, type=text.decode("latin-1"), size=1)))
        for n, blob in enumerate(blobs)
    ]
    leaf = encode_leaf([b"%03d" % n for n in range(len(values))], values)
    found = find_blobs(leaf)
    assert len(found) % 32 == 0 and set(blobs) <= split(found)


class _Kept:
    """A store that gives each value an id of its own choice."""

    def __init__(self, names: list[ObjectId]) -> None:
        self._names = iter(names)

    def get(self, id: ObjectId, kind: Kind) -> bytes:
        raise KeyError(id)

    def put(self, kind: Kind, data: bytes) -> ObjectId:
        return next(self._names)


@given(st.lists(ids, max_size=20))
def test_every_value_outside_of_a_leaf_is_found(names: list[ObjectId]) -> None:
    store = _Kept(names)
    values = [store_value(store, bytes(5000)) for _ in names]
    leaf = encode_leaf([b"%03d" % n for n in range(len(values))], values)
    assert set(names) <= split(find_values(leaf))
    assert children_of(leaf) is None


def test_the_children_of_an_inner_node_are_told_with_its_level() -> None:
    from dsvc.model.node import Child

    children = [Child(b"%d" % n, object_id(Kind.NODE, b"%d" % n), 1, 0) for n in range(5)]
    assert children_of(encode_inner(3, children)) == (3, b"".join(child.id for child in children))
