"""Files of ignore patterns in Git's syntax."""

from __future__ import annotations

import io
import logging
import os
from collections.abc import Callable, Iterator

# A path below the pattern file's folder, one that ends in a slash being a folder: True ignored, False taken in spite of
# earlier patterns, None not spoken of. What is said of the folders above it is not looked at.
Ignore = Callable[[str], bool | None]
_BOM = b"\xef\xbb\xbf"


def read_patterns(content: bytes) -> Ignore:
    """What the patterns of a file say of paths below its folder. Lines that are no pattern are passed over."""
    from dulwich.ignore import IgnoreFilter

    # A broken pattern matches nothing, as in Git; without a handler, dulwich's note of it would go to the terminal.
    logging.getLogger(IgnoreFilter.__module__).addHandler(logging.NullHandler())
    patterns = IgnoreFilter(_lines(content.removeprefix(_BOM))).patterns
    patterns = patterns[::-1]  # the last one that matches counts

    def is_ignored(path: str) -> bool | None:
        name, is_folder = os.fsencode(path.removesuffix("/")), path.endswith("/")
        for pattern in patterns:
            if pattern.matches(name, is_folder):
                return pattern.is_exclude
        return None

    return is_ignored


def _lines(content: bytes) -> Iterator[bytes]:
    """The patterns of a file, a line each. Git takes one carriage return off a line's end, and dulwich all of them."""
    from dulwich.ignore import read_ignore_patterns

    for line in content.split(b"\n"):
        kept = line.removesuffix(b"\r")
        if kept.endswith(b"\r") and not kept.startswith(b"#"):
            yield kept.replace(b"\\ ", b" ")
        else:
            yield from read_ignore_patterns(io.BytesIO(kept))
