"""The mask importer: PNG files beside images become annotations with run-length masks, exact to the pixel."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from itertools import groupby, islice
from pathlib import Path
from typing import Any, NamedTuple

from dsvc.core.files.reading import ReadFile, read_files
from dsvc.core.files.worktree import FoundFile, Problem, find_files
from dsvc.core.imports.sorter import Sorter
from dsvc.core.keys import display
from dsvc.errors import RefusedError, UsageError
from dsvc.formats.mask_classes import CLASSES, is_color, read_classes, to_meta, with_ignored
from dsvc.formats.mask_form import Form, Value
from dsvc.formats.mask_match import Match, Matcher, stem
from dsvc.formats.mask_png import Picture, read_picture
from dsvc.formats.mask_shapes import binary_entries, class_entries
from dsvc.model.incoming import Entry, Problems, Progress, Setup
from dsvc.model.records import Concept, Input, concept_id
from dsvc.store.codec import EncodeError, check_text

FROM_FOLDER = "from-folder"
MAX_BYTES = 1 << 29
BATCH = 1000
RUN_BYTES = 64 << 20
_HINT = (
    "name the values: --classes FILE; or the one concept of binary masks: --concept NAME; "
    f"or let the folders in it name concepts: --concept {FROM_FOLDER}"
)


class MaskImporter:
    """Reads folders of PNG masks."""

    format = "mask"

    def open_folder(self, folder: Path, setup: Setup, progress: Progress | None = None) -> MaskIncoming:
        """Find a folder's masks and their inputs.

        Raises RefusedError where there are none, UsageError and NotFoundError where the setup cannot be meant.
        """
        if (setup.classes is None) == (setup.concept is None):
            both = setup.concept is not None
            raise UsageError("classes or a concept, not both" if both else "what the values mean is not said", _HINT)
        if setup.concept is not None and not _is_name(setup.concept):
            raise UsageError(f"{setup.concept!r} is no name of a concept", _HINT)
        if find_spec("PIL") is None:
            raise RefusedError("PNG masks are read with Pillow, which is not here", "pip install 'dsvc[images]'")
        if folder.exists() and not folder.is_dir():
            raise RefusedError(f"{display(str(folder))} is no folder", "name the folder of the masks")
        return MaskIncoming(folder, setup, progress)


class Planned(NamedTuple):
    """A mask file, the input that it belongs to, and its layer."""

    file: FoundFile
    match: Match
    layer: str


class Read(NamedTuple):
    """A mask that was read: its input's key, its layer, its size and form as text."""

    key: str
    layer: str
    form: str


class MaskIncoming:
    """The masks of one folder; see `dsvc.model.incoming.Incoming`. Pixels are read while `inputs` is walked."""

    format = "mask"

    def __init__(self, folder: Path, setup: Setup, progress: Progress | None) -> None:
        self.problems = Problems()
        self.notes: list[str] = []
        self._folder = folder.resolve()
        self._setup = setup
        self._progress = progress
        self.classes = read_classes(setup.classes) if setup.classes is not None else []
        self.classes = with_ignored(self.classes, setup.ignore, is_color(self.classes))
        self._concepts: dict[str, str] = {}
        self._values: Counter[Value] = Counter()
        self._forms: dict[str, Form] = {}
        self._entries = Sorter(run_bytes=RUN_BYTES)
        self._masks = self._find(folder)

    # ---- before: which files there are

    def _find(self, folder: Path) -> dict[str, Planned]:
        """The masks by name, those of one input side by side."""
        matcher = Matcher(self._setup.inputs(), self._setup.prefix)
        if not matcher.count:
            where = f" below {display(self._setup.prefix)}" if self._setup.prefix else ""
            raise RefusedError(f"the dataset has no images{where}", "masks lie beside images: dsvc add them first")
        planned: dict[tuple[str, str], Planned] = {}
        others = found = 0
        for file in find_files([folder], folder, report=self._report):
            name, extension = stem(file.key), file.key.rpartition(".")[2]
            if extension.lower() != "png" or not self._has_suffix(name):
                others += 1
                continue
            found += 1
            self._plan(file, name.removesuffix(self._setup.suffix), matcher, planned)
        if not found and not self.problems.count:
            what = f"*{self._setup.suffix}.png"
            raise RefusedError(f"{display(str(folder))} holds no mask {what}", "name the folder of the masks")
        if others:
            passed = "1 file that is" if others == 1 else f"{others:,} files that are"
            self.notes.append(f"{passed} not called *{self._setup.suffix}.png passed over")
        without = matcher.count - len({key for key, _ in planned})
        if without:
            self.notes.append("1 input has no mask" if without == 1 else f"{without:,} inputs have no mask")
        return {planned[place].file.key: planned[place] for place in sorted(planned)}

    def _has_suffix(self, name: str) -> bool:
        base = name.rpartition("/")[2]
        return base.endswith(self._setup.suffix) and len(base) > len(self._setup.suffix)

    def _plan(self, file: FoundFile, name: str, matcher: Matcher, planned: dict[tuple[str, str], Planned]) -> None:
        shown, layer = display(file.key), self._setup.concept or CLASSES
        if layer == FROM_FOLDER:
            layer, slash, name = name.partition("/")
            if not slash:
                self.problems.add(f"{shown}: lies in no folder that names its concept")
                return
        try:
            match = matcher.find(name)
        except ValueError as error:
            self.problems.add(f"{shown}: {error}")
            return
        id = concept_id(layer)
        other = planned.setdefault((match.key, id), Planned(file, match, id))
        if other.file is not file:
            self.problems.add(f"{shown}: input {display(match.key)} has a mask already, {display(other.file.key)}")
        elif layer:
            self._concepts.setdefault(id, layer)

    def _report(self, problem: Problem) -> None:
        try:
            name = problem.path.relative_to(self._folder).as_posix()
        except ValueError:
            name = str(problem.path)
        self.problems.add(f"{display(name)}: {problem.reason}")

    # ---- what there is

    @property
    def meta(self) -> Mapping[str, Any]:
        """What the values mean, the forms of the files and, of binary masks, the commonest value of the object."""
        meta: dict[str, Any] = {
            "classes": to_meta(self.classes),
            "forms": {name: self._forms[name].fields for name in sorted(self._forms)},
        }
        if self._setup.concept is None:
            return {**meta, "kind": "colors" if is_color(self.classes) else "values"}
        common = min(self._values, key=lambda value: (-self._values[value], str(value)), default=255)
        return {**meta, "kind": "binary", "concepts": sorted(self._concepts), "value": common}

    def concepts(self) -> list[Concept]:
        """The classes' concepts, or those of binary masks. Each keeps what it is called in the masks."""
        names = {one.concept: one.entry["name"] for one in self.classes if one.concept is not None} or self._concepts
        return [Concept(id=id, name=name, extras={"mask": {"class": id}}) for id, name in sorted(names.items()) if id]

    def inputs(self) -> Iterator[Input]:
        """The inputs that have masks, each with the sizes and forms of its files by layer."""
        for key, group in groupby(self._read_all(), key=lambda read: read.key):
            yield Input(key=key, extras={"mask": {read.layer: read.form for read in group}})

    def annotations(self) -> Iterator[list[Entry]]:
        """The annotations, in batches. The inputs must have been walked before."""
        try:
            entries = iter(self._entries.sorted())
            while batch := list(islice(entries, BATCH)):
                yield batch
        finally:
            self._entries.close()

    def rejects(self) -> bytes | None:
        """None: a mask that was refused is mended where it is."""
        return None

    # ---- one mask after the other

    def _read_all(self) -> Iterator[Read]:
        files = (planned.file for planned in self._masks.values())
        for done, file in enumerate(read_files(files, report=self._report, large=MAX_BYTES)):
            if self._progress:
                self._progress("read masks", done, len(self._masks))
            planned = self._masks[file.key]
            try:
                picture = _picture(file)
                _check_size(picture, planned.match)
                self._entries.extend(self._entries_of(picture, planned))
            except ValueError as error:
                self.problems.add(f"{display(file.key)}: {error}")
                continue
            height, width = picture.pixels.shape
            self._forms[picture.form.name] = picture.form
            yield Read(planned.match.key, planned.layer, f"{width}x{height} {picture.form.name}")

    def _entries_of(self, picture: Picture, planned: Planned) -> list[Entry]:
        if not planned.layer:
            return list(class_entries(planned.match.key, picture, self.classes))
        found = binary_entries(planned.match.key, planned.layer, picture, self.classes)
        if found.value is not None:
            self._values[found.value] += 1
        return found.entries


def _is_name(concept: str) -> bool:
    try:
        check_text(concept)
    except EncodeError:
        return False
    return bool(concept.strip()) and "\0" not in concept


def _picture(file: ReadFile) -> Picture:
    if file.data is None:
        raise ValueError(f"has {file.size:,} bytes; at most {MAX_BYTES:,} are read")
    if file.size and file.facts.type != "image/png":
        raise ValueError(f"is no PNG file, but {file.facts.type or 'something else'}")
    return read_picture(file.data)


def _check_size(picture: Picture, match: Match) -> None:
    height, width = picture.pixels.shape
    if match.sizes and (width, height) not in match.sizes:
        sizes = " or ".join(f"{w:g} × {h:g}" for w, h in dict.fromkeys(match.sizes))
        raise ValueError(f"has {width} × {height} pixels, and its input {display(match.key)} has {sizes}")
