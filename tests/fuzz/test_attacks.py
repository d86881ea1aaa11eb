"""What somebody builds who knows the format: trees that go in circles, bombs, impossible lengths."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from random import Random
from unittest import mock

import msgspec
import pytest
import zstandard
from forge import backend_of, copied, manifest_of, put_head, put_manifest, put_row, rows_of
from readers import CLEAN, REMOTE, Sample, checking, diffing, exporting, fetching, listing, log, merging, samples
from samples import sample_repository

from dsvc.core.repository import Repository
from dsvc.errors import DamagedError, RefusedError
from dsvc.model.commit import Author, Commit, Moment, decode_commit, store_commit
from dsvc.model.node import Child, encode_inner, encode_leaf
from dsvc.model.snapshot import Roots, store_roots
from dsvc.model.tree import Tree, build_tree, empty_tree
from dsvc.model.treediff import diff_trees
from dsvc.model.view import DATASET, BranchRef, DatasetRef, Operation, encode_ref, ref_key, store_operation
from dsvc.remote.tracking import bring
from dsvc.store import codec
from dsvc.store.frame import Entry, Packed, frame_parts
from dsvc.store.ids import Kind, ObjectId, object_id
from dsvc.store.limits import MAX_BYTES, MAX_ITEMS
from dsvc.store.local import LocalBackend
from dsvc.store.memory import MemoryBackend
from dsvc.store.objects import ObjectStore

ADA = Author("Ada")


class Objects:
    """Objects of any size, in a dict."""

    def __init__(self) -> None:
        self.held: dict[ObjectId, tuple[Kind, bytes]] = {}

    def put(self, kind: Kind, data: bytes) -> ObjectId:
        id = object_id(kind, data)
        self.held[id] = kind, data
        return id

    def get(self, id: ObjectId, kind: Kind) -> bytes:
        return self.held[id][1]


def repository_of(objects: Objects, commit: ObjectId) -> MemoryBackend:
    """A repository whose one branch stands on a commit."""
    refs = {("dataset", "pets"): DatasetRef(), ("branch", "pets", "main"): BranchRef(commit)}
    entries = sorted((ref_key(ref), encode_ref(value)) for ref, value in refs.items())
    operation = Operation(
        view=build_tree(objects, entries), parents=(), author=ADA, time=Moment(0), workspace="0" * 16, command="x"
    )
    return backend_of(objects.held, store_operation(objects, operation))


def commit_of(objects: Objects, **trees: ObjectId) -> ObjectId:
    empty = empty_tree(objects)
    roots = Roots(**{"concepts": empty, "inputs": empty, "annotations": empty, **trees})
    return store_commit(objects, Commit(snapshot=store_roots(objects, roots), author=ADA, time=Moment(0), message="x"))


def thicket(objects: Objects, levels: int, width: int = 16) -> ObjectId:
    """A tree of few nodes that unfolds into very many: each node names those that the one before it names, too."""
    keys = [b"%03d\0x" % number for number in range(width)]
    nodes = [Child(key, objects.put(Kind.NODE, encode_leaf([key], [codec.encode({})])), 1, 0) for key in keys]
    for level in range(1, levels + 1):
        named = []
        for number in range(width):
            children = nodes[: number + 1]
            id = objects.put(Kind.NODE, encode_inner(level, children))
            named.append(Child(keys[number], id, sum(child.entries for child in children) % 2**50, 0))
        nodes = named
    return nodes[-1].id


READ = (listing, log, samples, checking, exporting, merging, diffing, fetching)


def is_refused(backend: MemoryBackend, *readers: Callable[[MemoryBackend, Random], None]) -> list[str]:
    """The readers that a repository did not stop."""
    passed = []
    for reader in readers:
        try:
            reader(backend, Random(1))
        except CLEAN:
            continue
        passed.append(reader.__name__)
    return passed


@pytest.mark.parametrize("tree", ["concepts", "inputs", "annotations"])
def test_a_tree_that_unfolds_without_end_is_refused(tree: str) -> None:
    objects = Objects()
    backend = repository_of(objects, commit_of(objects, **{tree: thicket(objects, 30)}))
    assert is_refused(backend, samples, exporting) == []
    is_refused(backend, *READ)  # none of them hangs


def test_no_walk_over_such_a_tree_ends_otherwise() -> None:
    objects = Objects()
    tree, other = Tree(objects, thicket(objects, 30)), Tree(objects, build_tree(objects, [(b"000\0x", b"\x80")]))
    walks: list[Callable[[], object]] = [
        lambda: list(iter(tree)),
        lambda: list(tree.leaves()),
        lambda: list(tree.parts()),
        lambda: list(tree.runs()),
        lambda: list(diff_trees(other, tree)),
        lambda: list(diff_trees(tree, other)),
        lambda: tree.edit(objects, {b"0000": b"\x80"}),
    ]
    for walk in walks:
        with pytest.raises(DamagedError):
            walk()


def test_more_parents_than_a_commit_may_have() -> None:
    objects = Objects()
    fields = codec.decode(objects.get(commit_of(objects), Kind.COMMIT))
    fields["parents"] = [n.to_bytes(32, "big") for n in range(100_000)]
    backend = repository_of(objects, objects.put(Kind.COMMIT, codec.encode(fields)))
    assert is_refused(backend, log, samples, exporting, fetching) == []


@pytest.mark.parametrize("time", [[2**62, 0], [-(2**62), 0], [0, 1440], [0, -1440], [10**30, 0]])
def test_times_that_no_clock_tells(time: list[int]) -> None:
    objects = Objects()
    fields = codec.decode(objects.get(commit_of(objects), Kind.COMMIT))
    data = codec.encode({**fields, "time": time})
    with pytest.raises(DamagedError, match="commit"):
        decode_commit(data, object_id(Kind.COMMIT, data))


@pytest.mark.parametrize("kind", list(MAX_BYTES))
def test_structure_that_is_too_big_is_neither_read_nor_written(kind: Kind) -> None:
    data = bytes(MAX_BYTES[kind] + 1)
    objects = Objects()
    id = objects.put(kind, data)
    backend = repository_of(objects, commit_of(objects))
    with ObjectStore(backend).writer() as writer:
        writer.put_packed(
            Packed(
                id, Entry(0, len(data), len(data), kind, 0), b"".join(frame_parts(id, kind, 0, len(data), data)), data
            )
        )
        writer.publish(writer.put(Kind.OPERATION, b"op"))
    with pytest.raises(DamagedError, match="a length that none of its kind may have"):
        ObjectStore(backend).get(id, kind)
    with ObjectStore(backend).writer() as writer, pytest.raises(RefusedError, match="cannot be stored"):
        writer.put(kind, data + b"x")


def test_lengths_that_are_not_there_reserve_nothing() -> None:
    """Lists that say they have many elements, in each other."""
    claims = b"\xdd\x00\x0f\xff\x00" * 1000 + bytes(1 << 20)
    for data in (claims, claims.replace(b"\xdd", b"\xdf"), b"\xdd\xff\xff\xff\xff" * 20_000):
        assert codec.count_items(data, MAX_ITEMS) > MAX_ITEMS
        with pytest.raises(DamagedError, match="parts"):
            codec.unpack(data)


@pytest.mark.parametrize(
    "value",
    [None, [1, 2.5, "x", b"y", None, {"a": [True, -5, 2**40, "z" * 70000]}], {"k": [[], {}, [[]]]}, [2**80] * 3],
)
def test_items_are_counted(value: object) -> None:
    def count(value: object) -> int:
        if isinstance(value, dict):
            return len(value) + sum(map(count, value.values()))
        return len(value) + sum(map(count, value)) if isinstance(value, list) else 0

    assert codec.count_items(codec.encode(value), 100) == count(value)


def test_a_manifest_that_lists_a_segment_very_often(tmp_path: Path) -> None:
    backend = copied(sample_repository(tmp_path))
    value = manifest_of(backend)
    value["segments"] *= 2000
    put_manifest(backend, codec.encode(value))
    assert is_refused(backend, *READ) == []


def test_features_that_nobody_knows(tmp_path: Path) -> None:
    Sample.backend = backend = sample_repository(tmp_path)
    put_head(backend, must=("a", "b"))
    assert is_refused(backend, *READ) == []


@pytest.mark.parametrize("field", ["stored", "raw"])
def test_lengths_of_rows_at_their_extremes(field: str, tmp_path: Path) -> None:
    whole = sample_repository(tmp_path)
    Sample.backend = whole
    for row in rows_of(whole)[::7]:
        for value in (0, 2**31, 2**63, 2**64 - 1):
            backend = copied(whole)
            put_row(backend, row.id, row.entry._replace(**{field: value}))
            is_refused(backend, samples, fetching, checking)


def bombs(count: int) -> MemoryBackend:
    """A repository of inputs whose media, a few kB each, unfold into 64 MiB."""
    objects = Objects()
    found: list[Packed] = []
    entries = []
    for number in range(count):
        data = number.to_bytes(4, "big") + bytes((64 << 20) - 4)
        id, payload = object_id(Kind.BLOB, data), zstandard.compress(data)
        frame = b"".join(frame_parts(id, Kind.BLOB, 1, len(data), payload))
        found.append(Packed(id, Entry(0, len(payload), len(data), Kind.BLOB, 1), frame, b""))
        entries.append((b"%03d.txt" % number, codec.encode({"media": {"blob": id, "size": len(data)}})))
    backend = repository_of(objects, commit_of(objects, inputs=build_tree(objects, entries)))
    store = ObjectStore(backend)
    with store.writer() as writer:
        for one in found:
            writer.put_packed(one)
        edits = {ref_key((DATASET, "x")): encode_ref(DatasetRef())}
        last = Repository(backend).operation
        view = Repository(backend).view.tree.edit(writer, edits)
        writer.publish(store_operation(writer, msgspec.structs.replace(last, view=view)))
    return backend


def big_values(count: int) -> MemoryBackend:
    """A repository of records of as many parts as a record may have, and of the most bytes."""
    objects = Objects()
    many = codec.encode({"metadata": {"a": [["x"] for _ in range(MAX_ITEMS // 2 - 8)]}})
    long = codec.encode({"metadata": {"a": "x" * (MAX_BYTES[Kind.VALUE] - 100)}})
    entries = [(b"%03d.txt" % number, (many, long)[number % 2]) for number in range(count)]
    return repository_of(objects, commit_of(objects, inputs=build_tree(objects, entries)))


def fetch_to_disk(backend: MemoryBackend) -> None:
    """Fetch into a repository in a folder."""
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch("dsvc.remote.opening.open_place", lambda *_, **__: backend),
    ):
        bring(Repository.create_in(LocalBackend(folder), None, ADA), REMOTE, "fetch")


@pytest.mark.parametrize(("name", "count"), [("bombs", 12), ("big_values", 4)])
def test_memory_stays_bounded(name: str, count: int) -> None:
    """In a process of its own: a fetch takes no more than 200 MB, whatever the media unfold into."""
    code = (
        "from test_attacks import *\n"
        f"backend = {name}({count})\n"
        "open('/proc/self/clear_refs', 'w').write('5')\n"
        "def peak(): return int([l for l in open('/proc/self/status') if l.startswith('VmHWM')][0].split()[1]) >> 10\n"
        "before = peak()\n"
        "fetch_to_disk(backend)\n"
        "print(peak() - before)\n"
    )
    here = Path(__file__).parent
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(here.parents[1]), str(here)])}
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("the peak of memory cannot be measured here")
    run = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-2000:]
    assert json.loads(run.stdout) <= 200
