"""Files of ignore patterns in Git's syntax."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable

# A path below the pattern file's folder, one that ends in a slash being a folder: True ignored, False taken in spite of
# earlier patterns, None not spoken of.
Ignore = Callable[[str], bool | None]


def read_patterns(content: bytes) -> Ignore:
    """What the patterns of a file say of paths below its folder. Lines that are no pattern are passed over."""
    from dulwich.ignore import IgnoreFilter, read_ignore_patterns

    def is_ignored(path: str) -> bool | None:
        try:
            return found.is_ignored(path)
        except UnicodeError:  # a name that is not Unicode
            return None

    # A broken pattern matches nothing, as in Git; without a handler, dulwich's note of it would go to the terminal.
    logging.getLogger(IgnoreFilter.__module__).addHandler(logging.NullHandler())
    found = IgnoreFilter(read_ignore_patterns(io.BytesIO(content.removeprefix(b"\xef\xbb\xbf"))))
    return is_ignored
