"""What somebody may have meant by a name that is not there."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice

from dsvc.errors import NotFoundError
from dsvc.model.snapshot import Snapshot
from dsvc.model.tree import Tree

SHOWN = 3
# How many keys before and after the place of one that is not there are looked at.
BESIDE = 50
FILTERED = "--inputs --where \"key like 'FOLDER%'\""


def near_names(name: str, known: Iterable[str]) -> list[str]:
    """The names that are spelled most like `name`, the nearest first; case is no difference."""
    import difflib

    folded = {text.casefold(): text for text in known}
    return [folded[found] for found in difflib.get_close_matches(name.casefold(), folded, SHOWN)]


def no_input(key: str, snapshot: Snapshot, of_folder: str = FILTERED) -> NotFoundError:
    """The error for a key that is not there. It names keys of that file name, else those spelled like it.

    `of_folder` says what to do with all inputs of a folder, which it calls FOLDER.
    """
    folder = key.rstrip("/") + "/"
    if folder != "/" and next(iter(snapshot.input_tree.prefix(folder.encode())), None) is not None:
        hint = f"it is a folder of inputs: {of_folder.replace('FOLDER', folder)}"
        return NotFoundError(f"no input {key!r} in the dataset", hint)
    name = f"/{key}".rpartition("/")[2]
    found = list(islice(_keys_named(name, snapshot.input_tree), SHOWN)) if name else []
    found = found or near_names(key, _keys_beside(key.encode(), snapshot.input_tree))
    hint = f"did you mean {', '.join(found)}?" if found else "add it first: dsvc add PATH; list: dsvc show --inputs"
    return NotFoundError(f"no input {key!r} in the dataset", hint)


def _keys_named(name: str, tree: Tree) -> Iterator[str]:
    end = name.encode()
    for key, _ in tree:
        if key == end or key.endswith(b"/" + end):
            yield key.decode()


def _keys_beside(key: bytes, tree: Tree) -> list[str]:
    before: deque[bytes] = deque(maxlen=BESIDE)
    entries = iter(tree)
    for found, _ in entries:
        before.append(found)
        if found > key:
            break
    return [found.decode() for found in (*before, *(k for k, _ in islice(entries, BESIDE)))]
