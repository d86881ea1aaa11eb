"""Plain leaves: the quick look takes nothing that the close one refuses, and says the same of what it takes."""

from __future__ import annotations

from typing import Any

import msgpack
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dsvc.core.keys import check_key
from dsvc.model.node import CONFLICT_MARK, MAX_INLINE, MAX_KEY, Child, Leaf, decode_node, encode_inner, encode_leaf
from dsvc.model.plain import are_annotation_keys, plain_inputs, plain_leaf
from dsvc.model.reach import blobs_of
from dsvc.model.records import decode_input
from dsvc.store import codec
from dsvc.store.ids import ObjectId
from dsvc.store.limits import MAX_ITEMS

ID = ObjectId(bytes(range(32)))
BLOB = bytes(range(32, 64))


def agree(data: bytes) -> bool:
    """Whether the quick look takes a node; then the close one must, and find the same."""
    found = plain_leaf(data)
    if found is None:
        return False
    keys, values = found
    node = decode_node(data, ID)
    assert isinstance(node, Leaf) and not node.has_pointers and node.conflicts == 0
    assert (node.keys, node.values, node.count) == (keys, values, len(keys))
    assert are_annotation_keys(keys) == all(b"\0" in key for key in keys)
    agree_on_inputs(keys, values)
    return True


def agree_on_inputs(keys: list[bytes], values: list[bytes]) -> bool:
    """Whether the quick look takes some inputs; then the close one must, and find the same blobs."""
    found = plain_inputs(keys, values)
    if found is None:
        return False
    assert len(found) == len(keys) == len(values)
    for key, value, blob in zip(keys, values, found, strict=True):
        record = decode_input(key, value)
        check_key(record.key)
        assert list(blobs_of(record)) == ([] if blob is None else [blob])
    return True


# ---- what is plain is taken

FIELDS = {
    "extras": {"coco": {"date": "today", "flags": [1, 2.5, None, True, "x"], "id": 7}},
    "height": 2.5,
    "license": "CC",
    "media": {"blob": BLOB, "duration": 1.5, "fps": 25, "height": 4, "size": 9, "type": "image/png", "width": 4},
    "metadata": {"a": 1, "é": [0.5]},
    "number": 1 << 40,
    "split": "train",
    "width": 3,
}
PLAIN = codec.encode(FIELDS)


def test_plain_ones_are_taken() -> None:
    assert agree(encode_leaf([b"images/0.txt", b"images/1.txt"], [PLAIN, b"\x80"]))
    assert plain_inputs([b"a", b"b"], [PLAIN, b"\x80"]) == [BLOB, None]
    assert agree(encode_leaf([b"a\0x", b"b\0y"], [b"\x80", b"\x80"]))
    assert plain_inputs([], []) == []


# ---- what is not, is not


def packed(value: Any) -> bytes:
    data: bytes = msgpack.Packer(use_bin_type=True).pack(value)
    return data


BAD_RECORDS = {
    "a long integer": b"\x81\xa6number\xcd\x00\x01",
    "a float of four bytes": b"\x81\xa6height\xca\x3f\x80\x00\x00",
    "unsorted keys": b"\x82\xa5split\xa1a\xa6number\x01",
    "a key twice": b"\x82\xa6number\x01\xa6number\x02",
    "a key twice, with what was the same": b"\x82\xa6number\x01\xa6number\x01",
    "a key twice in a map of somebody's own": b"\x81\xa8metadata\x82\xa1a\x01\xa1a\x02",
    "unsorted keys below": b"\x81\xa8metadata\x82\xa1b\x01\xa1a\x02",
    "an extension": packed({"metadata": {"a": msgpack.ExtType(5, b"x")}}),
    "a big integer": codec.encode({"metadata": {"a": 1 << 70}}),
    "a time": b"\x81\xa8metadata\x81\xa1a\xd6\xff\x00\x00\x00\x01",
    "not a number": packed({"metadata": {"a": float("nan")}}),
    "infinity": packed({"height": float("-inf")}),
    "no UTF-8": b"\x81\xa5split\xa1\xff",
    "half of a surrogate pair": b"\x81\xa5split\xa3\xed\xa0\x80",
    "no UTF-8 in a key": b"\x81\xa8metadata\x81\xa1\xff\x01",
    "something behind it": PLAIN + b"\xc0",
    "another record behind it": PLAIN + PLAIN,
    "half of it": PLAIN[: len(PLAIN) // 2],
    "nothing": b"",
    "no map": b"\x90",
    "a null": b"\xc0",
    "a field that is unknown": packed({"colour": 1}),
    "a field of media that is unknown": packed({"media": {"path": "/etc/passwd"}}),
    "a number for a text": packed({"license": 1}),
    "a truth for a number": packed({"number": True}),
    "a text for bytes": packed({"media": {"blob": "b" * 32}}),
    "an id too short": packed({"media": {"blob": BLOB[1:]}}),
    "an id too long": packed({"media": {"blob": BLOB + b"x"}}),
    "a null for media": packed({"media": None}),
    "a whole float for pixels": packed({"media": {"width": 4.0}}),
    "a key that is a number": b"\x81\xa8metadata\x81\x01\x01",
    "a conflict": codec.encode({"!": {"media": [{"blob": BLOB}, {"blob": BLOB[::-1]}]}}),
    "a short name in a long form": b"\x81\xd9\x06number\x01",
    "a long form of a map": b"\xde\x00\x01\xa6number\x01",
    "too deep": packed({"metadata": {"a": 0}})[:-1] + b"\x91" * 100 + b"\xc0",
    "far too deep": packed({"metadata": {"a": 0}})[:-1] + b"\x91" * 5000 + b"\xc0",
    "too many parts": codec.pack({"metadata": {"a": [None] * (MAX_ITEMS + 1)}}),
}


@pytest.mark.parametrize("what", BAD_RECORDS)
def test_other_records_are_not_plain(what: str) -> None:
    value = BAD_RECORDS[what]
    assert not agree_on_inputs([b"a"], [value]) and not agree_on_inputs([b"a", b"b", b"c"], [PLAIN, value, PLAIN])
    agree(encode_leaf([b"a"], [value]))


@pytest.mark.parametrize("values", [[PLAIN[:9], PLAIN[9:]], [PLAIN + PLAIN, b""], [b"", PLAIN + PLAIN], [b"\x80\x80"]])
def test_no_record_ends_where_another_begins(values: list[bytes]) -> None:
    keys = [b"a", b"b"][: len(values)]
    assert not agree_on_inputs(keys, values)


BAD_KEYS = [b"", b"..", b"../a", b"a/../b", b"/a", b"a//b", b"a/", b"./a", b"a/.", b"a\0b", b"\xff", b"C:/a", b"..\\a"]
BAD_KEYS += [b"\xed\xa0\x80", b"x" * 1025, b"a/" * 600 + b"a", b"\\a", b"a\n", b"\xc3"]


@pytest.mark.parametrize("key", BAD_KEYS, ids=repr)
def test_other_keys_are_not_plain(key: bytes) -> None:
    assert not agree_on_inputs([key], [PLAIN]) and not agree_on_inputs([b"a", key], [PLAIN, PLAIN])


BAD_NODES = {
    "keys out of order": encode_leaf([b"b", b"a"], [b"", b""]),
    "a key twice": encode_leaf([b"a", b"a"], [b"", b""]),
    "more keys": encode_leaf([b"a", b"b"], [b""]),
    "more values": encode_leaf([b"a"], [b"", b""]),
    "no keys": encode_leaf([], []),
    "a value outside": encode_leaf([b"a"], [msgpack.ExtType(codec.OUTSIDE_VALUE, b"\0" + ID)]),
    "a conflict outside": encode_leaf([b"a", b"b"], [b"", msgpack.ExtType(codec.OUTSIDE_VALUE, b"\1" + ID)]),
    "a conflict": encode_leaf([b"a"], [b"\x81" + CONFLICT_MARK + b"\x80"]),
    "an inner node": encode_inner(1, [Child(b"a", ID, 1, 0)]),
    "another level": packed((1, [b"a"], [b""])),
    "a truth for a level": b"\x93\xc2" + packed([b"a"]) + packed([b""]),
    "a level in a long form": b"\x93\xcc\x00" + packed([b"a"]) + packed([b""]),
    "a list in a long form": b"\x93\x00\xdc\x00\x01\xc4\x01a" + packed([b""]),
    "bytes in a long form": b"\x93\x00\x91\xc5\x00\x01a" + packed([b""]),
    "a text for a key": packed((0, ["a"], [b""])),
    "a text for a value": packed((0, [b"a"], [""])),
    "a list for a value": packed((0, [b"a"], [[]])),
    "a map for keys": packed((0, {"a": b""}, [b""])),
    "bytes for keys": packed((0, b"a", [b""])),
    "something behind it": encode_leaf([b"a"], [b""]) + b"\xc0",
    "a fourth part": packed((0, [b"a"], [b""], [])),
    "half of it": encode_leaf([b"a"], [b"abc"])[:-2],
    "a key too long": encode_leaf([b"a" * (MAX_KEY + 1)], [b""]),
    "a value too long": encode_leaf([b"a"], [b"a" * (MAX_INLINE + 1)]),
    "too deep": b"\x93\x00" + b"\x91" * 5000,
    "nothing": b"",
}


@pytest.mark.parametrize("what", BAD_NODES)
def test_other_nodes_are_not_plain(what: str) -> None:
    assert not agree(BAD_NODES[what])


# ---- whatever comes

_TEXTS = st.text(max_size=5)
_SCALARS = st.none() | st.booleans() | st.integers(-(1 << 66), 1 << 66) | st.floats() | _TEXTS | st.binary(max_size=4)
_ANY = st.recursive(
    _SCALARS, lambda below: st.lists(below, max_size=3) | st.dictionaries(_TEXTS, below, max_size=3), max_leaves=6
)
_IDS = st.binary(min_size=31, max_size=33) | st.just(BLOB)
_MEDIA_NAMES = st.sampled_from(["blob", "chunks", "duration", "fps", "height", "size", "type", "width", "reference"])
_MEDIA = st.dictionaries(_MEDIA_NAMES, st.integers(0, 9) | st.floats() | _TEXTS | _IDS, max_size=4)
_OWN = st.dictionaries(_TEXTS, _SCALARS | st.lists(_SCALARS, max_size=3), max_size=3)
_SOUND = st.fixed_dictionaries(
    {},
    optional={
        "!": _OWN,
        "extras": st.dictionaries(_TEXTS, _OWN, max_size=2),
        "height": st.integers() | st.floats(),
        "media": st.fixed_dictionaries({"blob": _IDS}, optional={"size": st.integers(0), "fps": st.floats()}) | _MEDIA,
        "metadata": _OWN,
        "number": st.integers() | _TEXTS,
        "split": _TEXTS,
    },
)
_FREE = st.dictionaries(st.sampled_from([*FIELDS, "geo", "embeddings", "!", "x"]), _ANY, max_size=4)


def encoded(value: Any) -> bytes:
    """A canonical encoding where there is one, else any."""
    try:
        return codec.encode(value)
    except codec.EncodeError:
        return msgpack.packb(value, use_bin_type=True, default=str, unicode_errors="surrogatepass")  # type: ignore[no-any-return]


_RECORDS = (_SOUND | _FREE).map(encoded)
_KEYS = st.sampled_from([b"images/0.txt", b"a", b"b.png", b"c/d-e", b"a\0x", b"b\0y"]) | st.binary(max_size=6)
_ENTRIES = st.dictionaries(_KEYS | st.sampled_from(BAD_KEYS), _RECORDS | st.binary(max_size=6), max_size=4)


@st.composite
def changed(draw: st.DrawFn, whole: st.SearchStrategy[bytes]) -> bytes:
    """Bytes, some of which are others, are gone or are more."""
    data = bytearray(draw(whole))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(data)))
        data[at : at + draw(st.integers(0, 2))] = draw(st.binary(max_size=2))
    return bytes(data)


_LEAVES = _ENTRIES.map(lambda found: encode_leaf(sorted(found), [found[key] for key in sorted(found)]))


@settings(max_examples=300, deadline=None)
@given(data=changed(_LEAVES) | _LEAVES | st.binary(max_size=40))
@example(data=encode_leaf([b"a"], [PLAIN]))
def test_no_node_is_taken_that_a_close_look_refuses(data: bytes) -> None:
    agree(data)


@settings(max_examples=300, deadline=None)
@given(entries=st.dictionaries(_KEYS, changed(_RECORDS) | _RECORDS, min_size=1, max_size=4))
@example(entries={b"a": PLAIN, b"b": b"\x80"})
def test_no_inputs_are_taken_that_a_close_look_refuses(entries: dict[bytes, bytes]) -> None:
    agree_on_inputs(list(entries), list(entries.values()))


@settings(max_examples=100, deadline=None)
@given(at=st.integers(0, len(PLAIN) - 1), byte=st.integers(0, 255), more=st.binary(max_size=3))
def test_no_change_of_a_plain_record_is_taken_that_a_close_look_refuses(at: int, byte: int, more: bytes) -> None:
    agree_on_inputs([b"a", b"b"], [PLAIN[:at] + bytes([byte]) + more + PLAIN[at + 1 :], PLAIN])
