"""Bytes and ids that belong to format 1 for ever. If one of these fails, the format has changed."""

from dsvc.model.commit import Author, Commit, Moment, store_commit
from dsvc.model.records import (
    Annotation,
    Concept,
    Input,
    Mask,
    Media,
    Reference,
    Shape,
    annotation_fields,
    content_id,
    decode_annotation,
    decode_concept,
    decode_input,
    encode_annotation,
    encode_concept,
    encode_input,
    stable_number,
)
from dsvc.model.snapshot import Roots, load_roots, store_roots
from dsvc.model.tree import build_tree, empty_tree
from dsvc.model.view import (
    BranchRef,
    DatasetRef,
    DraftRef,
    EvaluationRef,
    Operation,
    RunRef,
    VersionRef,
    decode_ref,
    encode_ref,
    load_operation,
    store_operation,
)
from dsvc.store.ids import Kind, ObjectId, object_id

ID = ObjectId(bytes(range(32)))


class DictStore(dict[ObjectId, bytes]):
    def get(self, id: ObjectId, kind: Kind) -> bytes:
        return self[id]

    def put(self, kind: Kind, data: bytes) -> ObjectId:
        id = object_id(kind, data)
        self[id] = data
        return id


CONCEPT = Concept(
    id="cat", name="cat", supercategory="animal", keypoints=("nose",), skeleton=((1, 2),), number=7,
    extras={"coco": {"frequency": "r", "n": None}},
)  # fmt: skip
INPUT = Input(
    key="x/ä.jpg",
    media=Media(
        blob=ID, type="image/jpeg", size=10, width=4, height=3, duration=1.5, fps=25.0,
        reference=Reference(place="s3://b/k", size=10, etag="e", mtime=5, hash=ID),
    ),
    declared_width=640.0, declared_height=480, split="train", license="Free", geo=(13.4, 52.5),
    embeddings={"clip": (0.5, -1.0)}, number="a", metadata={"camera": "left"}, extras={"coco": {"z": None, "a": 1}},
)  # fmt: skip
ANNOTATION = Annotation(
    key="x/ä.jpg", id="i", concept="cat",
    shape=Shape(box=(1, 2.5, 3, 4), polygons=((0.25, 1, 2, 3, 4, 5), ()), mask=Mask(height=2, width=3, counts=(1, 5)),
                area=12.0, unit="relative"),
    keypoints=(1, 2, 2), point=(0.5, 0.5), text="t", span=(0, 3), time=(0.5, 2), frame=4, track=9, value=1.0, crowd=1,
    status="done", author="Ada", number=2**70, attributes={"b": 1, "a": [None]}, extras={"coco": {"q": -0.0}},
)  # fmt: skip


def test_records_come_back() -> None:
    assert decode_concept(b"cat", encode_concept(CONCEPT)) == CONCEPT
    assert decode_input("x/ä.jpg".encode(), encode_input(INPUT)) == INPUT
    assert decode_annotation("x/ä.jpg\0i".encode(), encode_annotation(ANNOTATION)) == ANNOTATION


def test_record_bytes() -> None:
    assert (
        object_id(Kind.VALUE, encode_concept(CONCEPT)).hex()
        == "94034630d22f6cf6a97cf2be194c6d9253ea414242d2327ffab5864a5bcc60ad"
    )
    assert (
        object_id(Kind.VALUE, encode_input(INPUT)).hex()
        == "472f77fa4d54fcd48754790a15daf3ae033f85c36038f43f5c9221124222ecbf"
    )
    assert (
        object_id(Kind.VALUE, encode_annotation(ANNOTATION)).hex()
        == "189dc06c6445cfd8ca1f71bd10896e30a84e61f0d6cbbb81ea47f6ce3c901561"
    )


def test_ids_and_numbers_of_records_that_came_with_none() -> None:
    assert content_id("x/ä.jpg", annotation_fields(ANNOTATION)) == "78a0be5b88c9"
    assert stable_number("x/ä.jpg") == 213550597067938


def test_trees() -> None:
    store = DictStore()
    assert empty_tree(store).hex() == "1523d418f31ba969af3390aa3a3cd9b1cb25f400efc9688c9155a03627caf2f9"
    entries = [(b"%06d" % n, b"value %d" % n) for n in range(20_000)]
    assert build_tree(store, entries).hex() == "599d36415d2bb3a28375a2f818765b26a283662e7b8c485f8f718d9e50cbf551"
    entries[77] = (entries[77][0], b"long" * 2000)
    assert build_tree(store, entries).hex() == "618b220e2100bca68d9622de017adb50ced2eb8cbbe45afdf611a0d2231e53fd"


def test_snapshots_commits_operations_and_refs() -> None:
    store = DictStore()
    roots = Roots(concepts=ID, inputs=ID, annotations=ID, meta={"coco": {"s": {"task": "instances"}}})
    snapshot = store_roots(store, roots)
    assert load_roots(store, snapshot) == roots
    assert snapshot.hex() == "4d93ca681494cf1551ee7a2452e7a71fbc888455c8fffcd8fc93f2738605597e"
    commit = Commit(
        snapshot=ID, parents=(ID,), author=Author("Ada", "a@b"), time=Moment(5, 60), message="m", sources={"s": ID},
        notes={"source": "s"},
    )  # fmt: skip
    assert store_commit(store, commit).hex() == "47a822ecb1d4c3597c119af3957245913cff79b07c5c24923cbcabeee78c54bb"
    operation = Operation(
        view=ID, parents=(ID,), author=Author("Ada"), time=Moment(5), workspace="w", command="c",
        inverts=ID, action="undo",
    )  # fmt: skip
    made = store_operation(store, operation)
    assert load_operation(store, made) == operation
    assert made.hex() == "68f9418c0f53e112d4eec52c08ab07de2d2f79348ea074d1e81aa0d8a576dbcf"
    refs = (
        ("dataset", DatasetRef("d")),
        ("branch", BranchRef(ID)),
        ("branch", BranchRef()),
        ("version", VersionRef(ID, "m", Author("Ada"), Moment(5))),
        ("draft", DraftRef(ID, ID, {"s": ID})),
        ("draft", DraftRef(None, ID)),
    )
    assert all(decode_ref(kind, encode_ref(ref)) == ref for kind, ref in refs)
    later = (
        ("version", VersionRef(ID, "m", Author("Ada"), Moment(5), "training")),
        ("run", RunRef(ID)),
        ("evaluation", EvaluationRef(ID)),
    )
    assert all(decode_ref(kind, encode_ref(ref)) == ref for kind, ref in later)
    assert encode_ref(later[0][1]).endswith(b"\xa6origin\xa8training\xa4time\x92\x05\x00")
    joined = b"".join(encode_ref(ref) for _, ref in refs)
    assert object_id(Kind.VALUE, joined).hex() == "225571b7b6bbc7d3f938f20f9a7f4fdfc4a6dc939033778ce3dd12389ab5ccaa"
