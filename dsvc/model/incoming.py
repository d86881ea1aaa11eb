"""What an importer gives: the records of one source file, ready to be stored."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from dsvc.model.records import Concept, Input

# Reports how far long work has come: what is being done, how much is done, and of how much, where that is known.
Progress = Callable[[str, int, int | None], None]
# What is done of these is bytes.
IN_BYTES = frozenset(("send", "receive", "fetch media"))


# An encoded annotation: its stem, which is its tree key still without the ordinal that tells equal copies apart, and
# its value. A plain tuple, since there are so many.
Entry = tuple[bytes, bytes]


class Problems:
    """The errors of a source, in its order. Beyond `limit` they are counted, not kept."""

    def __init__(self, limit: int = 1000) -> None:
        self.found: list[str] = []
        self.count = 0
        self._limit = limit

    def add(self, text: str) -> None:
        """Note one error; its text names the record."""
        self.count += 1
        if len(self.found) < self._limit:
            self.found.append(text)


class Origin(NamedTuple):
    """Where an input's bytes come from; one of: a file to take in, a place to refer to, the bytes themselves."""

    file: str | None = None
    place: str | None = None
    data: bytes | None = None


class Incoming(Protocol):
    """One source file, read. `annotations` may be walked once; problems and rejects are complete after that."""

    format: str
    problems: Problems
    notes: list[str]

    @property
    def meta(self) -> Mapping[str, Any]:
        """What belongs to the file as a whole."""

    def concepts(self) -> list[Concept]:
        """The concepts that the file declares."""

    def inputs(self) -> Iterator[Input]:
        """The inputs that the file declares, without media."""

    def annotations(self) -> Iterator[list[Entry]]:
        """The annotations, in batches."""

    def rejects(self) -> bytes | None:
        """The refused records as a file of the same format that can be mended and imported; None without any."""


class IncomingMedia(Incoming, Protocol):
    """A source that also says where its inputs' bytes are: input key -> origin. Complete after `inputs`."""

    origins: dict[str, Origin]


class Importer(Protocol):
    """Reads one format."""

    def open(self, data: memoryview, name: str, progress: Progress | None = None) -> Incoming:
        """Read a file's bytes. Raises InvalidRecordsError where it is not of this format at all."""


class Setup(NamedTuple):
    """What an importer of folders is told beside the folder. `inputs` gives the inputs that the dataset has.

    `root` is the folder that keys are relative to. `classes` is a file that names the values of a source, `concept` the
    one concept of all of it, `ignore` values that say nothing. An input `prefix/a.jpg` has what is called `a` and
    `suffix` in the folder.
    """

    inputs: Callable[[], Iterator[Input]]
    root: Path = Path()
    classes: Path | None = None
    concept: str | None = None
    ignore: tuple[int, ...] = ()
    suffix: str = ""
    prefix: str = ""


class FolderImporter(Protocol):
    """Reads a format whose source is a folder."""

    def open_folder(self, folder: Path, setup: Setup, progress: Progress | None = None) -> Incoming:
        """Look through a folder. Raises RefusedError, UsageError where it cannot be of this format at all."""
