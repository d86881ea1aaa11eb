"""Views and operations: every ref of a repository at one moment, and the transactions that moved them.

A view is a prolly tree of refs. A ref's key is its kind and its names, joined by NUL; its value is a map.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import cast

import msgspec

from dsvc.errors import DamagedError
from dsvc.model.commit import Author, Moment, is_signature
from dsvc.model.node import Reader, Store
from dsvc.model.tree import NodeCache, Tree
from dsvc.store import codec
from dsvc.store.ids import Kind, ObjectId

DATASET, BRANCH, VERSION, DRAFT, PIN, REMOTE = "dataset", "branch", "version", "draft", "pin", "remote"
TOMBSTONE = "tombstone"
RUN, EVALUATION = "run", "evaluation"
# Where versions come from: people, or training and evaluation, which make them by themselves.
MANUAL, TRAINING, EVAL_TRUTH, EVAL_PREDICTIONS = "manual", "training", "eval_ground_truth", "eval_predictions"
ORIGINS = (MANUAL, TRAINING, EVAL_TRUTH, EVAL_PREDICTIONS)
Ref = tuple[str, ...]


class DatasetRef(msgspec.Struct, frozen=True):
    """That a dataset exists, and what it is for. The ref ("dataset", name)."""

    description: str = ""


class BranchRef(msgspec.Struct, frozen=True):
    """Where a branch stands; no commit yet is None. The ref ("branch", dataset, branch)."""

    commit: ObjectId | None = None


class VersionRef(msgspec.Struct, frozen=True):
    """A named, described tag. The ref ("version", dataset, name). `origin` is one of `ORIGINS`."""

    commit: ObjectId
    message: str
    author: Author
    time: Moment
    origin: str = MANUAL


class DraftRef(msgspec.Struct, frozen=True):
    """A workspace's uncommitted work. The ref ("draft", workspace, dataset, branch).

    `base` is the commit it was begun on, `snapshot` its state, `sources` what it has imported, `merged` the commits
    that were merged into it beside the base.
    """

    base: ObjectId | None
    snapshot: ObjectId
    sources: Mapping[str, ObjectId] = {}
    merged: tuple[ObjectId, ...] = ()


class PinRef(msgspec.Struct, frozen=True):
    """A commit that a lock file somewhere in Git's history names, and that no branch need reach. The ref ("pin",
    dataset, commit in hex)."""

    commit: ObjectId


class RemoteRef(msgspec.Struct, frozen=True):
    """Where a branch or a version stood at a remote when it was last seen. The ref ("remote", remote, dataset,
    "branch" or "version", name)."""

    commit: ObjectId


class TombstoneRef(msgspec.Struct, frozen=True):
    """That a blob was purged: its bytes, `size` of them, are to be nowhere, while what names it stays. The ref
    ("tombstone", blob in hex)."""

    reason: str
    author: Author
    time: Moment
    size: int


class RunRef(msgspec.Struct, frozen=True):
    """The commit that keeps a training run: see `dsvc.core.ledger`. The ref ("run", dataset, id)."""

    commit: ObjectId


class EvaluationRef(msgspec.Struct, frozen=True):
    """The commit that keeps an evaluation: see `dsvc.core.ledger`. The ref ("evaluation", dataset, id)."""

    commit: ObjectId


AnyRef = DatasetRef | BranchRef | VersionRef | DraftRef | PinRef | RemoteRef | TombstoneRef | RunRef | EvaluationRef


def pin_of(dataset: str, commit: ObjectId) -> Ref:
    """The ref that pins a commit."""
    return (PIN, dataset, commit.hex())


def tombstone_of(blob: ObjectId) -> Ref:
    """The ref that says that a blob was purged."""
    return (TOMBSTONE, blob.hex())


def ref_key(ref: Ref) -> bytes:
    """The tree key of a ref."""
    return "\0".join(ref).encode()


# How many parts the refs of a kind have.
_NAMES = {DATASET: 2, BRANCH: 3, VERSION: 3, DRAFT: 4, PIN: 3, REMOTE: 5, TOMBSTONE: 2, RUN: 3, EVALUATION: 3}


def split_ref(key: bytes) -> Ref:
    """The ref of a tree key. Raises DamagedError where it is none, or has too few names or too many."""
    try:
        ref = tuple(key.decode().split("\0"))
    except UnicodeDecodeError as error:
        raise DamagedError("a ref has a name that is no text") from error
    if _NAMES.get(ref[0], len(ref)) != len(ref):
        raise DamagedError(f"a {ref[0]} ref is damaged: it has {len(ref) - 1} names")
    return ref


def encode_ref(ref: AnyRef) -> bytes:
    """The value of a ref."""
    match ref:
        case DatasetRef():
            return codec.encode({"description": ref.description})
        case BranchRef():
            return codec.encode({"commit": ref.commit} if ref.commit else {})
        case PinRef() | RemoteRef() | RunRef() | EvaluationRef():
            return codec.encode({"commit": ref.commit})
        case VersionRef():
            fields = {**_signature(ref), "commit": ref.commit, "message": ref.message}
            return codec.encode(fields if ref.origin == MANUAL else {**fields, "origin": ref.origin})
        case TombstoneRef():
            return codec.encode({**_signature(ref), "reason": ref.reason, "size": ref.size})
        case DraftRef():
            fields = {"snapshot": ref.snapshot, "sources": ref.sources}
            fields |= {"base": ref.base} if ref.base else {}
            fields |= {"merged": list(ref.merged)} if ref.merged else {}
            return codec.encode(fields)


def _signature(ref: VersionRef | TombstoneRef) -> dict[str, object]:
    return {"author": [ref.author.name, ref.author.email], "time": [ref.time.seconds, ref.time.offset]}


def decode_ref(kind: str, value: bytes) -> AnyRef:
    """The ref of its value. Raises DamagedError."""
    fields = codec.decode(value, f"{kind} ref")
    try:
        if kind == DATASET:
            return DatasetRef(_text(fields["description"]))
        if kind == BRANCH:
            return BranchRef(_id(fields.get("commit")))
        if kind == PIN:
            return PinRef(ObjectId(fields["commit"]))
        if kind == REMOTE:
            return RemoteRef(ObjectId(fields["commit"]))
        if kind in (RUN, EVALUATION):
            commit = ObjectId(fields["commit"])
            return RunRef(commit) if kind == RUN else EvaluationRef(commit)
        if kind in (VERSION, TOMBSTONE):
            author, time = Author(*fields["author"]), Moment(*fields["time"])
            if not is_signature(author, time):
                raise ValueError("no signature")
            if kind == VERSION:
                origin = fields.get("origin", MANUAL)
                if origin not in ORIGINS:
                    raise ValueError("no origin")
                return VersionRef(ObjectId(fields["commit"]), _text(fields["message"]), author, time, origin)
            return TombstoneRef(_text(fields["reason"]), author, time, _size(fields["size"]))
        if kind == DRAFT:
            sources = {name: ObjectId(source) for name, source in fields["sources"].items()}
            merged = tuple(ObjectId(id) for id in fields.get("merged", ()))
            return DraftRef(_id(fields.get("base")), ObjectId(fields["snapshot"]), sources, merged)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DamagedError(f"a {kind} ref is damaged") from error
    raise DamagedError(f"a ref of unknown kind {kind!r}")


def _text(value: object) -> str:
    if type(value) is not str:
        raise ValueError("no text")
    return value


def _size(value: object) -> int:
    if type(value) is not int or value < 0:
        raise ValueError("no size")
    return value


def _id(raw: bytes | None) -> ObjectId | None:
    return ObjectId(raw) if raw is not None else None


class View:
    """The refs of one moment."""

    def __init__(self, store: Reader, root: ObjectId, cache: NodeCache | None = None) -> None:
        self.tree = Tree(store, root, cache)

    def get(self, *ref: str) -> AnyRef | None:
        """The ref of a kind and names, or None."""
        value = self.tree.get(ref_key(ref))
        return decode_ref(ref[0], value) if value is not None else None

    def list(self, *prefix: str) -> Iterator[tuple[Ref, AnyRef]]:
        """The refs whose key begins with these parts, in order."""
        for key, value in self.tree.prefix(ref_key(prefix) + b"\0"):
            ref = split_ref(key)
            yield ref, decode_ref(ref[0], value)


def tombstones(view: View) -> dict[ObjectId, TombstoneRef]:
    """The blobs that were purged. Raises DamagedError."""
    found = {}
    for ref, value in view.list(TOMBSTONE):
        try:
            found[ObjectId.parse(ref[1])] = cast(TombstoneRef, value)
        except (ValueError, IndexError) as error:
            raise DamagedError("a tombstone ref names no blob") from error
    return found


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One transaction. `view` is the root of the refs after it; `inverts` names the operation it undid or redid,
    `action` says which: "undo", "redo" or "restore"; None for all else. `nonce` is random: two writers that do the same
    in the same second make two operations, and each can tell whether its own was published."""

    view: ObjectId
    parents: tuple[ObjectId, ...]
    author: Author
    time: Moment
    workspace: str
    command: str
    inverts: ObjectId | None = None
    action: str | None = None
    nonce: bytes = b""


def store_operation(store: Store, operation: Operation) -> ObjectId:
    """Keep an operation and give its id."""
    fields = {
        "author": [operation.author.name, operation.author.email],
        "command": operation.command,
        "parents": list(operation.parents),
        "time": [operation.time.seconds, operation.time.offset],
        "view": operation.view,
        "workspace": operation.workspace,
    }
    if operation.inverts:
        fields |= {"inverts": operation.inverts}
    if operation.action:
        fields |= {"action": operation.action}
    if operation.nonce:
        fields |= {"nonce": operation.nonce}
    return store.put(Kind.OPERATION, codec.encode(fields))


def load_operation(store: Reader, id: ObjectId) -> Operation:
    """The operation of an id. Raises DamagedError."""
    return decode_operation(store.get(id, Kind.OPERATION), id)


def decode_operation(data: bytes, id: ObjectId) -> Operation:
    """The operation of its bytes. Raises DamagedError."""
    fields = codec.decode(data, f"operation {id.short()}")
    try:
        operation = Operation(
            view=ObjectId(fields["view"]),
            parents=tuple(ObjectId(parent) for parent in fields["parents"]),
            author=Author(*fields["author"]),
            time=Moment(*fields["time"]),
            workspace=fields["workspace"],
            command=fields["command"],
            inverts=_id(fields.get("inverts")),
            action=fields.get("action"),
            nonce=fields.get("nonce", b""),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DamagedError(f"operation {id.short()} is damaged") from error
    texts = (operation.workspace, operation.command, operation.action or "")
    if not is_signature(operation.author, operation.time) or not all(type(text) is str for text in texts):
        raise DamagedError(f"operation {id.short()} is damaged")
    return operation
