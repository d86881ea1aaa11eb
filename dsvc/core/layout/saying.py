"""Whether a commit says already what an edited annotation file says: then the file may be written anew."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from dsvc.core.draft import Draft, committed_state
from dsvc.core.layout.changes import taken_of
from dsvc.core.layout.edits import FileEdits
from dsvc.core.merging.roots import merge_roots
from dsvc.errors import DsvcError
from dsvc.model.commit import load_commit
from dsvc.store.ids import ObjectId

if TYPE_CHECKING:
    from dsvc.core.layout.folders import Checkout
    from dsvc.core.layout.record import Record
    from dsvc.core.repository import Repository


def is_said(repository: Repository, checkout: Checkout, record: Record, name: str, hash: str, commit: ObjectId) -> bool:
    """Whether a commit has all edits of an annotation file, whose bytes have a hash."""
    taken = taken_of(record, name, load_commit(repository.store, commit).sources)
    if taken is not None and taken[0] == hash:
        return True
    try:
        with repository.transaction("checkout") as transaction:
            store = transaction.writer
            draft = Draft(repository.dataset(checkout.dataset), transaction)
            laid = record.behind.get(f"/{name}") or (record.commit or commit).hex()
            base = committed_state(store, ObjectId(bytes.fromhex(laid))).roots
            new = committed_state(store, commit).roots
            with FileEdits(draft, checkout, record) as reader:
                edit = reader.read(name, taken[1] if taken is not None else None, base, base)
            merged = merge_roots(store, edit.base, new, edit.edited).roots
            return not edit.has_other_meta and msgspec.structs.replace(merged, meta=new.meta) == new
    except (DsvcError, OSError):  # it cannot be read: then it is being edited
        return False
