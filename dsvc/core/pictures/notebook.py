"""What notebooks show of a state, a sample and a dataset: HTML that stands alone.

Whatever a key or a name holds, it is text here: all of it is escaped. Nothing is fetched to be shown: only media that
the repository itself holds is looked at, and no more than some megabytes of it.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING

from dsvc.core.keys import display
from dsvc.errors import DsvcError, RefusedError

if TYPE_CHECKING:
    from dsvc.core.dataset import Dataset
    from dsvc.core.state import SampleView, State
    from dsvc.model.records import Input

_INPUTS = 8
_SIDE = 200
_SAMPLE_SIDE = 480
_MOST_BYTES = 8 << 20  # of one input's media
_ALL_BYTES = 32 << 20  # of all that are shown
_CONCEPTS = 10
_VERSIONS = 20
_LETTERS = 80
# Of more annotations than this, concepts are not counted: that reads all of them.
_COUNTED = 200_000
_TABLE = '<table style="border-collapse:collapse;text-align:left">'


def state_html(state: State) -> str:
    """A state as a table of its counts and its concepts, and a sheet of a few inputs where Pillow is installed."""
    from dsvc.core.pictures.naming import called

    rows = [(noun, f"{count:,}") for noun, count in state.counts().items()]
    if (concepts := _concepts(state)) is not None:
        rows.append(("most", concepts))
    return _page(called(state), _table(rows), _sheet(state))


def sample_html(sample: SampleView) -> str:
    """A sample as its picture with its annotations drawn on, and a table of its facts."""
    record, media = sample.input, sample.input.media
    rows = [("annotations", f"{len(sample.annotations):,}")]
    if media is not None:
        size = f"{media.width} x {media.height}" if media.width is not None and media.height is not None else None
        bytes_ = f"{media.size:,} bytes" if media.size is not None else None
        rows.append(("media", ", ".join(part for part in (media.type, size, bytes_) if part)))
    rows += [("split", record.split)] if record.split is not None else []
    return _page(record.key, _table(rows), _sample_sheet(sample))


def dataset_html(dataset: Dataset) -> str:
    """A dataset as a table of the versions that people made, the last first."""
    versions = dataset.versions()
    rows = [(one.name, one.version.message or "") for one in reversed(versions)][:_VERSIONS]
    more = f"<p>and {len(versions) - _VERSIONS:,} more</p>" if len(versions) > _VERSIONS else ""
    about = f"<p>{_text(dataset.description)}</p>" if dataset.description else ""
    return _page(dataset.name, about + (_table(rows) if rows else "<p>no versions yet</p>"), more)


# ---- sheets


def _sheet(state: State) -> str:
    from dsvc.core.pictures.choosing import choose
    from dsvc.core.pictures.previews import Options, preview_state

    if state.repository.store.is_distant:
        return ""
    try:
        chosen = choose(state, (), None, _INPUTS)
        options = Options(chosen.keys, None, _INPUTS, min(4, len(chosen.keys)), _SIDE)
        image = preview_state(state, options, may_read=_Near(state)).image
    except DsvcError:  # no Pillow, no inputs, or something that is not here or damaged: the table says enough
        return ""
    return _image(image, f"{len(chosen.keys)} of {chosen.of:,} inputs")


def _sample_sheet(sample: SampleView) -> str:
    from dsvc.core.pictures.extras import require_pillow
    from dsvc.core.pictures.previews import cell_of

    try:
        require_pillow()
    except RefusedError:
        return ""
    state = sample.state
    return _image(cell_of(state, sample.input, sample.annotations, _SAMPLE_SIDE, _Near(state)).image, sample.key)


class _Near:
    """Tells which media may be looked at unasked: what the repository itself holds, up to some megabytes in all."""

    def __init__(self, state: State) -> None:
        self._store = state.repository.store
        self._left = _ALL_BYTES

    def __call__(self, record: Input) -> bool:
        media = record.media
        if media is None or media.blob is None or media.size is None or self._store.is_distant:
            return False
        if media.size > min(_MOST_BYTES, self._left) or not self._store.has_media(media.blob):
            return False
        self._left -= media.size
        return True


def _image(image: object, alt: str) -> str:
    from dsvc.core.pictures.encoding import encoded

    data = base64.b64encode(encoded(image, ".jpg", quality=80)).decode()
    return f'<img alt="{_text(alt)}" style="max-width:100%" src="data:image/jpeg;base64,{data}">'


# ---- text


def _concepts(state: State) -> str | None:
    """The concepts that most annotations have, counted; None where there are none, or too many annotations."""
    if state.repository.store.is_distant or not 0 < state.counts()["annotations"] <= _COUNTED:
        return None
    sql = "select concept, count(*) from annotations where concept is not null group by 1 order by 2 desc, 1"
    try:
        found = list(state.query(sql))
    except DsvcError:
        return None
    text = ", ".join(f"{concept} {count:,}" for concept, count in ((_cut(c), n) for c, n in found[:_CONCEPTS]))
    return text + (f" and {len(found) - _CONCEPTS:,} more" if len(found) > _CONCEPTS else "") if found else None


def _page(title: str, *parts: str) -> str:
    return f"<div><p><b>{_text(title)}</b></p>{''.join(parts)}</div>"


def _table(rows: Iterable[Sequence[str]]) -> str:
    lines = (f'<tr><th style="text-align:left">{_text(name)}</th><td>{_text(value)}</td></tr>' for name, value in rows)
    return f"{_TABLE}{''.join(lines)}</table>"


def _text(text: str) -> str:
    """A text as HTML shows it: no markup, no controls."""
    return escape(display(text))


def _cut(text: str) -> str:
    return text if len(text) <= _LETTERS else text[:_LETTERS] + "\u2026"
