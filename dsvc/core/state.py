"""A state of a dataset to read: a commit's, a version's, or the draft's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from dsvc.core.keys import display
from dsvc.core.loading.loads import Loads
from dsvc.core.revisions import Revision
from dsvc.errors import NotFoundError, RefusedError, RemoteError
from dsvc.model.incoming import Progress
from dsvc.model.records import Annotation, Concept, Input
from dsvc.model.snapshot import Roots, Snapshot
from dsvc.model.walk import Sample
from dsvc.store.ids import ObjectId

if TYPE_CHECKING:
    from dsvc.core.diffing.diff import Diff
    from dsvc.core.exporting import ExportReport
    from dsvc.core.metrics.metrics import Metrics
    from dsvc.core.queries.answer import Answer
    from dsvc.core.references.places import Places
    from dsvc.core.repository import Repository
    from dsvc.model.incoming import Progress


class SampleView:
    """One input with its annotations, and its bytes on demand."""

    __slots__ = ("_reading", "_state", "annotations", "input")

    def __init__(self, state: State, sample: Sample, reading: Callable[[], None] | None = None) -> None:
        self._state = state
        self._reading = reading
        self.input = sample.input
        self.annotations = sample.annotations

    @property
    def key(self) -> str:
        """The input's key."""
        return self.input.key

    def read_bytes(self, start: int = 0, length: int | None = None) -> bytes:
        """The media's bytes, verified, or `length` of them from `start`: see `State.read_media` for the errors.

        Of a big file, only what covers these is read.
        """
        if start == 0 and length is None:
            if self._reading is not None:
                self._reading()
            return b"".join(self._state.read_media(self.input))
        with self.open() as file:
            file.seek(start)
            return file.read(-1 if length is None else length)

    def open(self) -> BinaryIO:
        """The media as a file that can be read and sought in; of a big one, only what is read there is read."""
        return self._state.open_media(self.input)

    @property
    def state(self) -> State:
        """The state that it is of."""
        return self._state

    def _repr_html_(self) -> str:
        from dsvc.core.pictures.notebook import sample_html

        return sample_html(self)

    def __repr__(self) -> str:
        return f"Sample({self.key!r}, {len(self.annotations)} annotations)"


class State(Loads):
    """What a dataset holds at one moment. Iterating gives its samples in the order of their keys."""

    def __init__(self, repository: Repository, roots: Roots, revision: Revision) -> None:
        self.repository = repository
        self.revision = revision
        self.snapshot = Snapshot(repository.store, roots, repository.cache)

    @property
    def commit(self) -> ObjectId | None:
        """The commit that this is the state of; None for a draft."""
        return self.revision.commit

    @property
    def meta(self) -> Mapping[str, Any]:
        """The dataset's metadata, by source format."""
        return self.snapshot.meta

    def concepts(self) -> Iterator[Concept]:
        """All concepts, by id."""
        return self.snapshot.concepts()

    def input(self, key: str) -> Input | None:
        """The input of a key, or None."""
        return self.snapshot.input(key)

    def inputs(self) -> Iterator[Input]:
        """All inputs, by key."""
        return self.snapshot.inputs()

    def annotations(self, key: str) -> Iterator[Annotation]:
        """The annotations of one input, by id."""
        return self.snapshot.annotations(key)

    def input_entries(self) -> Iterator[tuple[bytes, bytes]]:
        """All inputs as they are stored: tree key and encoded value."""
        return iter(self.snapshot.input_tree)

    def annotation_entries(self) -> Iterator[tuple[bytes, bytes]]:
        """All annotations as they are stored: tree key and encoded value."""
        return iter(self.snapshot.annotation_tree)

    def samples(self) -> Iterator[Sample]:
        """All inputs with their annotations, as plain tuples."""
        return self.snapshot.samples()

    def read_blob(self, blob: ObjectId) -> Iterator[bytes]:
        """The bytes of a blob, in pieces, verified."""
        return self.repository.store.open_blob(blob)

    def read_media(self, record: Input) -> Iterator[bytes]:
        """The bytes of an input, in pieces, verified: those that are stored, else those of the place it refers to.

        Raises NotFoundError where there are none, RemoteError where a remote has them that is out of reach, and for a
        place RefusedError too: see `read_reference`.
        """
        media = record.media
        if media is not None and media.blob is not None:
            return _named(record.key, media.blob, self.read_blob)
        if media is None or media.reference is None:
            raise NotFoundError(f"{record.key}: the repository does not hold its bytes", "add them: dsvc add PATH")
        from dsvc.core.references.references import read_reference

        return read_reference(self._places, record.key, media.reference)

    def open_media(self, record: Input) -> BinaryIO:
        """The bytes of an input as a file to read and to seek in, verified. Raises what `read_media` does."""
        from dsvc.core.mediafile import open_blob, require_list, spooled

        media = record.media
        if media is None or media.blob is None:
            return spooled(self.read_media(record))
        require_list(self.repository.store, media)
        return open_blob(self.repository.store, media.blob)

    @cached_property
    def _places(self) -> Places:
        from dsvc.core.references.places import Places

        return Places(self.repository.workspace)

    def counts(self) -> dict[str, int]:
        """How many concepts, inputs and annotations there are."""
        return self.snapshot.counts()

    def __len__(self) -> int:
        return len(self.snapshot)

    def __contains__(self, key: object) -> bool:
        """Whether there is an input of this key."""
        return isinstance(key, str) and key.encode() in self.snapshot.input_tree

    def __repr__(self) -> str:
        counts = ", ".join(f"{count} {noun}" for noun, count in self.counts().items())
        name = f"@{self.revision.version}" if self.revision.version else f":{self.revision.branch or ''}"
        return f"State({self.revision.dataset}{name}, {counts})"

    def _repr_html_(self) -> str:
        from dsvc.core.pictures.notebook import state_html

        return state_html(self)

    def __iter__(self) -> Iterator[SampleView]:
        from dsvc.core.ahead import Ahead, sample_media

        ahead = Ahead(self.repository.store, self.snapshot.samples(), sample_media)
        return (SampleView(self, sample, ahead.read) for sample in ahead)

    def __getitem__(self, at: int | str) -> SampleView:
        """The sample of an index or an input key. Raises IndexError, NotFoundError."""
        key = at if isinstance(at, str) else self.snapshot.input_tree.at(at)[0].decode()
        record = self.snapshot.input(key)
        if record is None:
            raise NotFoundError(f"no input {key!r}")
        return SampleView(self, Sample(record, tuple(self.snapshot.annotations(key))))

    def diff(
        self,
        other: State,
        *,
        keys: Iterable[str] = (),
        where: str | None = None,
        progress: Progress | None = None,
    ) -> Diff:
        """What changed from this state to another, in the words of annotators: iterate over it, or count: `stat`.

        `keys` (KEY or KEY#ANN) and `where`, a filter, choose inputs. Raises NotFoundError for a key on neither side.
        """
        from dsvc.core.diffing.diff import Diff

        return Diff(self.snapshot, other.snapshot, keys, where, progress)

    def metrics(self, by: str | None = None, progress: Progress | None = None) -> Metrics:
        """The numbers of this state, grouped besides by concept, type, split or metadata.FIELD.

        What did not change since a state that was counted before is not counted again. Raises UsageError.
        """
        from dsvc.core.metrics.metrics import measure_snapshot

        return measure_snapshot(self.snapshot, by, progress)

    def query(self, sql: str, **others: State) -> Answer:
        """The answer to one SELECT over the tables inputs, annotations and concepts of this state.

        Those of other states go by the names that these are given by: `v2.query("... old.annotations ...", old=v1)`.
        Raises FilterError.
        """
        from dsvc.core.queries.answer import ask

        return ask({"": self.snapshot, **{name: state.snapshot for name, state in others.items()}}, sql)

    def preview(
        self,
        other: State | None = None,
        *,
        keys: Iterable[str] = (),
        where: str | None = None,
        limit: int = 25,
        columns: int | None = None,
        size: int = 320,
        progress: Progress | None = None,
    ) -> Any:
        """A contact sheet of inputs with their annotations drawn on, as an image of Pillow's.

        Of `keys`, else of at most `limit` of all inputs or of those that a filter is true of, evenly spread by key;
        `size` is that of a thumbnail in pixels. With `other`, of what differs from this state to that one: removed
        red, added green. Raises FilterError, NotFoundError, UsageError; RefusedError without Pillow, or without inputs.
        """
        from dsvc.core.pictures.previews import Options, preview_diff, preview_state

        options = Options(tuple(keys), where, limit, columns, size)
        found = (
            preview_state(self, options, progress) if other is None else preview_diff(self, other, options, progress)
        )
        return found.image

    def plot(self, *kinds: str) -> Any:
        """A figure of Matplotlib's: class balance, sizes and locations of boxes, annotations of an input.

        `kinds` are "balance", "sizes", "locations", "inputs"; all of them by default. `savefig` writes it to a file.
        Raises UsageError; RefusedError without Matplotlib, or without inputs.
        """
        from dsvc.core.pictures.plots import plot_state

        return plot_state(self, kinds)

    def export(
        self,
        format: str = "clarifai-protobuf",
        target: str | Path = ".",
        *,
        media: bool = False,
        force: bool = False,
        strict: bool = False,
        where: str | None = None,
        progress: Progress | None = None,
    ) -> ExportReport:
        """Write this state to a folder, a `.zip` or (COCO) one `.json`. Raises RefusedError.

        With `strict`, it is refused where anything would be left out. With `where`, only the inputs that a filter is
        true of go out, with all their annotations, and all concepts: FilterError where it is none.
        """
        from dsvc.core.exporting import export_state, walk_of

        walk = walk_of(self, media=media, where=where, progress=progress)
        return export_state(walk, format, Path(target), media=media, force=force, strict=strict)


def _named(key: str, blob: ObjectId, read: Callable[[ObjectId], Iterator[bytes]]) -> Iterator[bytes]:
    """The bytes of an input's blob; an error of what is not here names the input."""
    try:
        yield from read(blob)
    except (NotFoundError, RefusedError, RemoteError) as error:
        raise type(error)(f"{display(key)}: {error.message}", error.hint) from error
