"""Files of ignore patterns in Git's syntax."""

from __future__ import annotations

import io
import logging
import os
from collections.abc import Callable

# A path below the pattern file's folder, one that ends in a slash being a folder: True ignored, False taken in spite of
# earlier patterns, None not spoken of. What is said of the folders above it is not looked at.
Ignore = Callable[[str], bool | None]
_BOM = b"\xef\xbb\xbf"


def read_patterns(content: bytes) -> Ignore:
    """What the patterns of a file say of paths below its folder. Lines that are no pattern are passed over."""
    from dulwich.ignore import IgnoreFilter, read_ignore_patterns

    # A broken pattern matches nothing, as in Git; without a handler, dulwich's note of it would go to the terminal.
    logging.getLogger(IgnoreFilter.__module__).addHandler(logging.NullHandler())
    patterns = IgnoreFilter(read_ignore_patterns(io.BytesIO(content.removeprefix(_BOM)))).patterns
    patterns = patterns[::-1]  # the last one that matches counts

    def is_ignored(path: str) -> bool | None:
        name, is_folder = os.fsencode(path.removesuffix("/")), path.endswith("/")
        for pattern in patterns:
            if pattern.matches(name, is_folder):
                return pattern.is_exclude
        return None

    return is_ignored
