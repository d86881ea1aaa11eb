"""Splits that stay put: the rule is pinned, adding inputs moves nobody, groups stay together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

import dsvc
from dsvc.core.dataset import Dataset
from dsvc.core.operations import undo
from dsvc.core.splitting import new_rule, parse_ratio, plan_split, split_inputs
from dsvc.errors import InvalidRecordsError, UsageError
from dsvc.model.records import Input, Media, Reference, encode_input
from dsvc.model.snapshot import Snapshot, empty_roots
from dsvc.model.tree import build_tree
from dsvc.store.ids import Kind, ObjectId, object_id

PAGE = Path(__file__).parents[2] / "docs/reference/splits.md"


class DictStore(dict[ObjectId, bytes]):
    """Objects in memory."""

    def get(self, id: ObjectId, kind: Kind) -> bytes:
        return self[id]

    def put(self, kind: Kind, data: bytes) -> ObjectId:
        id = object_id(kind, data)
        self[id] = data
        return id


def snapshot_of(*records: Input) -> Snapshot:
    store = DictStore()
    entries = sorted((record.key.encode(), encode_input(record)) for record in records)
    roots = empty_roots(store)
    return Snapshot(
        store, type(roots)(concepts=roots.concepts, inputs=build_tree(store, entries), annotations=roots.annotations)
    )


def parts_of(snapshot: Snapshot, *rule: Any, **options: Any) -> dict[str, str]:
    """The part of each input, all of which have none before."""
    from dsvc.store import codec

    edits, report = plan_split(snapshot, new_rule(*rule, **options))
    assert report.changed == len(edits) == len(snapshot)
    return {key.decode(): codec.decode(value or b"")["split"] for key, value in edits.items()}


@pytest.fixture
def labelled(pets: Dataset, coco: Callable[..., Any], write: Callable[..., Path]) -> Dataset:
    pets.import_(write(coco()))
    pets.commit("first")
    return pets


# ---- the rule


def test_the_rule_is_for_ever() -> None:
    rule = new_rule("80/10/10")
    found = [rule.part_of(f"images/{n:02}.jpg".encode()) for n in range(30)]
    # The second letters: tRain, vAl, tEst.
    assert "".join(name[1] for name in found) == "rrrrerrreerraararrrrrrrrerrrrr"
    other = new_rule("train=50,dev=50", "metadata.video", seed=7)
    assert [other.part_of(b"\xa5clip%d" % n) for n in range(8)] == [
        "train",
        "train",
        "train",
        "train",
        "dev",
        "train",
        "train",
        "train",
    ]


def test_the_rule_is_what_the_page_says() -> None:
    digest = blake3(b"1\nkey\nimages/07.jpg").hexdigest()
    place = int(digest[:16], 16) / 2**64
    expected = "train" if place < 0.8 else "val" if place < 0.9 else "test"
    assert new_rule("80/10/10").part_of(b"images/07.jpg") == expected
    assert f"    {digest[:16]}\n" in PAGE.read_text(encoding="utf-8")


def test_limits_belong_to_the_next_part() -> None:
    rule = new_rule("a=0,b=100,c=0")
    assert {rule.part_of(b"%d" % n) for n in range(2000)} == {"b"}
    assert {new_rule("a=100").part_of(b"%d" % n) for n in range(10)} == {"a"}


def test_many_inputs_come_near_the_ratio() -> None:
    rule = new_rule("80/10/10")
    found = [rule.part_of(f"{n:012}.jpg".encode()) for n in range(20_000)]
    for name, percent in rule.parts:
        assert abs(found.count(name) / 200 - percent) < 1


# ---- laws

names = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=6)
keys = st.sets(names, min_size=1, max_size=30)
ratios = st.integers(0, 100).flatmap(lambda a: st.integers(0, 100 - a).map(lambda b: f"{a}/{b}/{100 - a - b}"))


@given(keys, keys, ratios, st.integers(0, 5))
def test_adding_inputs_moves_nobody(first: set[str], more: set[str], ratio: str, seed: int) -> None:
    before = parts_of(snapshot_of(*(Input(key=key) for key in first)), ratio, seed=seed)
    after = parts_of(snapshot_of(*(Input(key=key) for key in first | more)), ratio, seed=seed)
    assert {key: after[key] for key in before} == before


@given(st.lists(names, unique=True, min_size=1, max_size=30), st.randoms(use_true_random=False), ratios)
def test_order_does_not_matter(found: list[str], dice: Any, ratio: str) -> None:
    shuffled = dice.sample(found, len(found))
    records = [snapshot_of(*(Input(key=key) for key in order)) for order in (found, shuffled)]
    assert parts_of(records[0], ratio) == parts_of(records[1], ratio)


values = st.one_of(st.integers(), st.booleans(), names, st.floats(allow_nan=False, allow_infinity=False))


@given(st.dictionaries(names, values, min_size=1, max_size=30), ratios)
def test_groups_stay_together(found: dict[str, Any], ratio: str) -> None:
    snapshot = snapshot_of(*(Input(key=key, metadata={"video": value}) for key, value in found.items()))
    parts = parts_of(snapshot, ratio, "metadata.video")
    for key, value in found.items():
        same = {parts[k] for k, v in found.items() if v == value and isinstance(v, bool) == isinstance(value, bool)}
        assert same == {parts[key]}


@given(st.lists(st.tuples(names, names), unique=True, min_size=1, max_size=30))
def test_keys_of_one_group_stay_together(found: list[tuple[str, str]]) -> None:
    snapshot = snapshot_of(*(Input(key=f"{video}_frame{frame}") for video, frame in found))
    parts = parts_of(snapshot, "50/25/25", group="(.*)_frame")
    of_videos = {video: {parts[k] for k in parts if k.startswith(f"{video}_frame")} for video, _ in found}
    assert all(len(of_one) == 1 for of_one in of_videos.values())
    assert parts == {key: new_rule("50/25/25").part_of(key.partition("_frame")[0].encode()) for key in parts}


@given(keys)
def test_another_ratio_moves_only_what_must(found: set[str]) -> None:
    snapshot = snapshot_of(*(Input(key=key) for key in found))
    before, after = parts_of(snapshot, "80/10/10"), parts_of(snapshot, "70/20/10")
    assert {(before[key], after[key]) for key in found} <= {
        ("train", "train"), ("train", "val"), ("val", "val"), ("test", "test")
    }  # fmt: skip


@given(keys, ratios, ratios)
def test_an_input_moves_only_where_the_limits_moved(found: set[str], old: str, new: str) -> None:
    snapshot = snapshot_of(*(Input(key=key) for key in found))
    before, after = parts_of(snapshot, old), parts_of(snapshot, new)
    limits = [[sum(int(p) for p in ratio.split("/")[: n + 1]) for n in range(3)] for ratio in (old, new)]
    for key in found:
        place = int(blake3(f"1\nkey\n{key}".encode()).hexdigest()[:16], 16) / 2**64 * 100
        stays = [next(n for n, limit in enumerate(side) if place < limit) for side in limits]
        assert (before[key] == after[key]) == (stays[0] == stays[1])


def test_kinds_of_values_are_told_apart_but_not_whole_floats() -> None:
    kinds = [1, "1", True, [1], {"a": 1}, 1.5]
    records = [Input(key=f"{n}", metadata={"v": value}) for n, value in enumerate([*kinds, 1.0])]
    _, report = plan_split(snapshot_of(*records), new_rule("80/20", "metadata.v"))
    assert report.groups == len(kinds)


# ---- what is split


def test_content_is_what_the_bytes_are() -> None:
    same, other = object_id(Kind.BLOB, b"same"), object_id(Kind.BLOB, b"other")
    records = [
        Input(key="a", media=Media(blob=same)),
        Input(key="b", media=Media(blob=same)),
        Input(key="c", media=Media(reference=Reference(place="s3://b/c", hash=same))),
        Input(key="d", media=Media(blob=other)),
    ]
    parts = parts_of(snapshot_of(*records), "50/50", "content")
    assert parts["a"] == parts["b"] == parts["c"] == new_rule("50/50", "content").part_of(same.hex().encode())
    _, report = plan_split(snapshot_of(*records), new_rule("50/50", "content"))
    assert report.groups == 2


@pytest.mark.parametrize(
    ("options", "said", "hint"),
    [
        ({"by": "content"}, "2 inputs have no bytes that are known", "store them: dsvc add PATH, "),
        ({"by": "metadata.video"}, "2 inputs have no metadata.video", "set it: dsvc set KEY... --metadata video=VALUE"),
        ({"group": "(x)"}, r"2 inputs have no match of '\(x\)' in the key", r"let the rest of the keys be groups"),
        ({"group": "a(x)?"}, r"2 inputs have no match", ""),
    ],
)
def test_inputs_that_lack_what_is_hashed_are_named(
    labelled: Dataset, options: dict[str, str], said: str, hint: str
) -> None:
    with pytest.raises(InvalidRecordsError, match=said) as caught:
        labelled.split("80/20", **options)
    assert caught.value.problems == ("a.jpg", "b.jpg") and (caught.value.hint or "").startswith(hint)
    assert not labelled.has_draft()


def test_alternatives_of_a_group(labelled: Dataset) -> None:
    report = labelled.split("80/20", group=r"(a)\.jpg|(.*)")
    assert report.groups == 2 and report.changed == 2


def test_splits_are_set_and_one_undo_takes_them_back(labelled: Dataset) -> None:
    report = labelled.split("80/10/10")
    assert (report.changed, report.unchanged, report.kept, report.groups, report.inputs) == (2, 0, 0, 2, 2)
    expected = {key: new_rule("80/10/10").part_of(key.encode()) for key in ("a.jpg", "b.jpg")}
    assert {record.key: record.split for record in labelled.draft().inputs()} == expected
    again = labelled.split("80/10/10")
    assert (again.changed, again.unchanged) == (0, 2)
    assert [(p.name, p.asked) for p in report.parts] == [("train", 80), ("val", 10), ("test", 10)]
    undo(labelled.repository)
    assert not labelled.has_draft()


def test_kept_splits_stay(labelled: Dataset) -> None:
    labelled.set("a.jpg", split="mine")
    report = labelled.split("val=100", keep=True)
    assert (report.changed, report.kept, report.inputs) == (1, 1, 1)
    assert [record.split for record in labelled.draft().inputs()] == ["mine", "val"]
    assert labelled.split("val=100").changed == 1


def test_an_empty_dataset(pets: Dataset) -> None:
    report = pets.split("80/20")
    assert (report.inputs, report.changed, report.groups) == (0, 0, 0)
    assert not pets.has_draft()


def test_what_another_program_added_meanwhile_is_split_too(labelled: Dataset, tmp_path: Path) -> None:
    other = dsvc.open(labelled.repository.root or "", author=dsvc.Author("Bob")).dataset("pets")
    (tmp_path / "c.jpg").write_bytes(b"\xff\xd8\xff")
    with labelled.edit() as draft:
        report = split_inputs(draft, new_rule("all=100"))
        other.add(tmp_path / "c.jpg", root=tmp_path)
    assert report.changed == 3
    assert {record.split for record in labelled.draft().inputs()} == {"all"}


# ---- what a rule can be


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("80/10/10", (("train", 80), ("val", 10), ("test", 10))),
        ("80/20", (("train", 80), ("val", 20))),
        ("80,20", (("train", 80), ("val", 20))),
        ("train=80,val=10,test=10", (("train", 80), ("val", 10), ("test", 10))),
        (" a = 50 / b = 50 ", (("a", 50), ("b", 50))),
        ("all=100", (("all", 100),)),
        ("a=25,b=25,c=25,d=25", (("a", 25), ("b", 25), ("c", 25), ("d", 25))),
    ],
)
def test_ratios(text: str, parts: Any) -> None:
    assert parse_ratio(text) == parts


@pytest.mark.parametrize(
    ("ratio", "said"),
    [
        ("80/10/11", "the parts sum to 101, and must sum to 100"),
        ("0/0", "the parts sum to 0"),
        ("80", "'80' is no ratio"),
        ("", "'' is no ratio"),
        ("20/20/20/40", "is no ratio"),
        ("train=80,20", "is no ratio"),
        ("80/x", "'x' in the ratio '80/x' is no whole number"),
        ("0.8/0.2", "'0.8' in the ratio"),
        ("-10/110", "'-10' in the ratio"),
        ("80/", "'' in the ratio"),
        ("1e2/0", "'1e2' in the ratio"),
        ("\u0665\u0660/\u0665\u0660", "in the ratio"),
        ("9999/1", "'9999' in the ratio"),
        ("a=50,a=50", "a part of the ratio comes twice"),
        ("../x=100", "is no ratio"),
        ("..=100", "'..' cannot name a split"),
        ("=100", "'' cannot name a split"),
        ((("a", 110), ("b", -10)), "b cannot be -10 percent"),
        ((), "the parts sum to 0"),
    ],
)
def test_what_is_no_ratio(ratio: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        new_rule(ratio)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"by": "name"}, "'name' is nothing to split by"),
        ({"by": "metadata."}, "is nothing to split by"),
        ({"by": "content", "group": "(.)"}, "a group is found in the key"),
        ({"group": "("}, "is no regular expression"),
        ({"group": "x"}, "has no part in parentheses"),
    ],
)
def test_what_is_no_rule(options: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        new_rule("80/20", **options)
