"""Sheets: what is chosen, the two sides of a difference, media that is absent, letters, and notebooks."""

from __future__ import annotations

import base64
import io
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dsvc.core.dataset import Dataset
from dsvc.core.pictures.choosing import Thinned, choose, spread
from dsvc.core.pictures.colours import ADDED, REMOVED, SAME, WELL
from dsvc.core.pictures.encoding import encoded
from dsvc.core.pictures.labels import Label, write_labels
from dsvc.core.pictures.lettering import ELLIPSIS, Lettering
from dsvc.core.pictures.looks import look_at
from dsvc.core.pictures.previews import Options, preview_diff, preview_state
from dsvc.core.pictures.sheets import lay_out
from dsvc.core.state import State
from dsvc.errors import FilterError, NotFoundError, RefusedError, UsageError
from dsvc.model.commit import Author
from dsvc.model.records import Annotation, Input, Media, Reference, Shape

WHITE = (255, 255, 255)


def png(size: tuple[int, int] = (100, 100), color: Any = WHITE) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, color).save(file, "PNG")
    return file.getvalue()


def add(pets: Dataset, **files: bytes) -> None:
    assert pets.repository.root is not None
    for name, data in files.items():
        path = pets.repository.root / name.replace("__", ".")
        path.write_bytes(data)
        pets.add(path)


def box(*numbers: float) -> Shape:
    return Shape(box=numbers)


def cell(image: Any, number: int, count: int, side: int, captions: int, columns: int | None = None) -> np.ndarray:
    """The square of one input on a sheet."""
    layout = lay_out(count, side, columns, captions)
    assert image.height == layout.size[1] and image.width >= layout.size[0]
    x, y = layout.corner(number)
    return np.asarray(image)[y : y + side, x : x + side]


def at(pixels: np.ndarray, x: int, y: int) -> tuple[int, ...]:
    return tuple(int(value) for value in pixels[y, x])


# ---- what is chosen


def test_an_even_spread() -> None:
    assert list(spread(3, 25)) == [0, 1, 2] and spread(100, 4) == [0, 25, 50, 75]
    assert spread(118_287, 25)[:3] == [0, 4731, 9462]
    for count in (1, 7, 50, 1000):
        thinned = Thinned[int](5)
        thinned.take(range(count))
        assert thinned.count == count and len(thinned.items) == min(count, 5) and thinned.items[0] == 0
        assert thinned.items == sorted(set(thinned.items))
        gaps = np.diff([*thinned.items, count])
        assert gaps.max() <= 3 * gaps.min()


def test_what_goes_on_a_sheet(pets: Dataset) -> None:
    with pytest.raises(RefusedError, match="there are no inputs to show"):
        pets.draft().preview()
    add(pets, **{f"p{number:02}__png": png((10, 10), (number, 0, 0)) for number in range(30)})
    with pets.edit() as draft:
        for number in (3, 7):
            draft.annotate(Annotation(key=f"p{number:02}.png", id="", concept="cat"))
    state = pets.draft()
    assert preview_state(state, Options()).keys[:8] == tuple(f"p{n:02}.png" for n in (0, 1, 2, 3, 4, 6, 7, 8))
    found = preview_state(state, Options(where="concept = 'cat'"))
    assert found.keys == ("p03.png", "p07.png") and found.of == 2
    assert choose(state, ("p09.png", "p01.png", "p09.png"), None, 1).keys == ("p09.png", "p01.png")
    assert choose(state, (), None, 3).keys == ("p00.png", "p10.png", "p20.png")
    with pytest.raises(NotFoundError, match="no input 'p99") as lost:
        state.preview(keys=["p99.png"])
    assert "did you mean" in str(lost.value.hint)
    with pytest.raises(RefusedError, match="no input matches"):
        state.preview(where="concept = 'dog'")
    with pytest.raises(FilterError):
        state.preview(where="no such")
    with pytest.raises(UsageError, match="a filter and keys"):
        state.preview(keys=["p01.png"], where="true")


@pytest.mark.parametrize(
    "options", [{"limit": 0}, {"limit": 1001}, {"size": 10}, {"size": 5000}, {"columns": 0}, {"columns": -3}]
)
def test_sheets_that_cannot_be(pets: Dataset, options: dict[str, int]) -> None:
    add(pets, a__png=png())
    with pytest.raises(UsageError):
        pets.draft().preview(**options)


def test_a_sheet_that_is_too_large_is_refused_before_anything_is_drawn(pets: Dataset) -> None:
    add(pets, **{f"p{number:02}__png": png((1, 1), (number, 0, 0)) for number in range(40)})
    with pytest.raises(RefusedError, match=r"a sheet of [\d,]+ x [\d,]+ pixels is too large"):
        pets.draft().preview(limit=40, size=2048)


def test_the_sheet_is_the_same_each_time(pets: Dataset) -> None:
    add(pets, a__png=png(), b__png=png((30, 80), (9, 8, 200)))
    pets.annotate("a.png", "cat", shape=box(20, 40, 50, 30))
    for suffix in (".jpg", ".png"):
        first, second = (encoded(pets.draft().preview(), suffix) for _ in range(2))
        assert first == second
    assert Image.open(io.BytesIO(encoded(pets.draft().preview(), ".png"))).mode == "RGB"


def test_cells_lie_in_rows(pets: Dataset) -> None:
    colours = [(200, 0, 0), (0, 200, 0), (0, 0, 200), (9, 9, 9), (80, 80, 0)]
    add(pets, **{f"p{number}__png": png((10, 10), colour) for number, colour in enumerate(colours)})
    for columns in (None, 1, 2, 5, 40):
        image = pets.draft().preview(size=64, columns=columns)
        for number, colour in enumerate(colours):
            assert at(cell(image, number, 5, 64, 1, columns), 32, 32) == colour


# ---- differences


def test_differences_are_drawn_in_their_colours(pets: Dataset) -> None:
    add(pets, a__png=png(), gone__png=png((100, 100), (250, 250, 250)), same__png=png((100, 100), (245, 245, 245)))
    with pets.edit() as draft:
        removed = draft.annotate(Annotation(key="a.png", id="", concept="cat", shape=box(2, 30, 20, 20)))
        changed = draft.annotate(Annotation(key="a.png", id="", concept="cat", shape=box(30, 30, 20, 20)))
        draft.annotate(Annotation(key="a.png", id="", concept="cat", shape=box(78, 30, 20, 20)))
    old = pets.draft()
    pets.remove(f"a.png#{removed.id}", "gone.png")
    add(pets, new__png=png((100, 100), (240, 240, 240)))
    with pets.edit() as draft:
        draft.change_annotation("a.png", changed.id, {"shape": box(30, 70, 20, 20)})
        draft.annotate(Annotation(key="a.png", id="", concept="dog", shape=box(60, 70, 20, 20)))
    found = preview_diff(old, pets.draft(), Options(size=200))
    assert found.keys == ("a.png", "gone.png", "new.png") and found.of == 3
    pixels = cell(found.image, 0, 3, 200, 2)
    assert at(pixels, 4, 80) == REMOVED and at(pixels, 120, 160) == ADDED and at(pixels, 60, 160) == ADDED
    assert at(pixels, 156, 80) == SAME
    assert {at(pixels, x, 99) == REMOVED for x in range(64, 96)} == {True, False}
    # A frame around what is gone, and what came.
    layout, sheet = lay_out(3, 200, None, 2), np.asarray(found.image)
    for number, colour in ((0, WHITE), (1, REMOVED), (2, ADDED)):
        x, y = layout.corner(number)
        assert at(sheet, x - 2, y + 100) == colour
    assert preview_diff(old, pets.draft(), Options(keys=("new.png",))).keys == ("new.png",)
    assert preview_diff(old, pets.draft(), Options(limit=1)).of == 3
    assert old.preview(pets.draft(), size=200).tobytes() == found.image.tobytes()
    with pytest.raises(RefusedError, match="no input differs"):
        old.preview(old)


def test_what_differs_is_told_beside_the_picture(pets: Dataset) -> None:
    from dsvc.core.pictures.differences import differing
    from dsvc.core.pictures.marks import Marker

    add(pets, a__png=png(), b__png=png((9, 9)))
    first = pets.annotate("a.png", "cat")
    old = pets.draft()
    with pets.edit() as draft:
        draft.change_annotation("a.png", first.id, {"concept": "dog"})
    pets.set("a.png", split="val")
    pets.move("b.png", to="c.png")
    subjects = [differing(one, old, pets.draft(), Marker({}, {})) for one in old.diff(pets.draft()).inputs()]
    assert [subject.title for subject in subjects] == ["a.png", "b.png -> c.png"]
    assert [entry.text for entry in subjects[0].legend or ()] == ["~ cat -> dog", "1 changed"]
    assert subjects[0].notices == ("split",) and subjects[0].frame is None


# ---- media


def test_media_that_is_not_there_has_a_card(pets: Dataset, write: Callable[..., Path], coco: Any) -> None:
    with pets.edit() as draft:
        draft.import_(write(coco()))
    add(pets, cut__png=png((300, 300))[:80], empty__png=b"", text__txt=b"one\ntwo\n", noise__bin=b"\xff\xfe\x00junk")
    found = preview_state(pets.draft(), Options())
    problems = dict(found.problems)
    assert problems["a.jpg"] == problems["b.jpg"] == "the repository does not hold its bytes"
    assert problems["cut.png"].startswith("cannot be decoded: ") and problems["empty.png"] == "has no bytes"
    assert len(problems) == 4 and found.keys[-1] == "text.txt"


def test_other_media(pets: Dataset, video: Callable[..., bytes], sound: Callable[..., bytes]) -> None:
    add(
        pets,
        film__mp4=video(),
        tone__flac=sound(),
        text__txt="\ufeffone\ntwo \u732b\n".encode(),
        bad__mp4=video()[:200],
    )
    state = pets.draft()
    looks = {record.key: look_at(state, record, 96) for record in state.inputs()}
    film = looks["film.mp4"].picture
    assert film is not None and film.image.size == (96, 72) and film.image.getpixel((40, 40))[0] < 20
    assert looks["text.txt"].lines == ("one", "two \u732b") and looks["text.txt"].word == ""
    assert looks["tone.flac"].word == "audio" and looks["tone.flac"].lines[0] == "1.0 s"
    bad = looks["bad.mp4"]
    assert bad.picture is None and bad.problem is not None and bad.problem.startswith("cannot be decoded")
    assert preview_state(state, Options()).problems[0][0] == "bad.mp4"


def test_images_without_a_decoder(pets: Dataset) -> None:
    add(pets, a__svg=b"<svg xmlns='http://www.w3.org/2000/svg'/>")
    state = pets.draft()
    record = state.input("a.svg")
    assert record is not None and record.media is not None
    assert look_at(state, record, 96).problem == "there is no decoder for image/svg+xml here"
    heic = Input(key="a.heic", media=Media(type="image/heic", blob=record.media.blob, size=record.media.size))
    assert look_at(state, heic, 96).problem == "cannot be decoded: there is no decoder for image/heic here"


def test_a_place_that_is_gone(pets: Dataset, tmp_path: Path) -> None:
    state = pets.draft()
    media = Media(type="image/png", reference=Reference(place=str(tmp_path / "gone.png")))
    look = look_at(state, Input(key="gone.png", media=media), 96)
    assert look.picture is None and look.problem is not None and look.word in ("not here", "not read")


def test_pillow_s_own_limit_is_kept(pets: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    add(pets, a__png=png((60, 60)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 3000)
    found = preview_state(pets.draft(), Options())
    assert found.problems == (("a.png", "its header promises more than 3,000 pixels"),)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert not preview_state(pets.draft(), Options()).problems


def test_only_known_decoders_are_let_near_the_bytes(pets: Dataset) -> None:
    """What calls itself a PNG and is PostScript is not handed to Ghostscript."""
    writer = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n"
    add(pets, a__txt=writer)
    state = pets.draft()
    stored = state.input("a.txt")
    assert stored is not None and stored.media is not None
    media = Media(type="image/png", blob=stored.media.blob, size=len(writer))
    look = look_at(state, Input(key="a.png", media=media), 96)
    assert look.problem == "cannot be decoded: its header cannot be read"


# ---- letters


def test_letters_that_the_fonts_lack() -> None:
    letters = Lettering(14)
    assert letters.prepared("cat") == "cat" and letters.prepared("\u00e9t\u00e9 \u043a\u043e\u0448\u043a\u0430") == (
        "\u00e9t\u00e9 \u043a\u043e\u0448\u043a\u0430"
    )
    assert letters.prepared("\u732b!") == "\\u732b!"
    assert letters.prepared("a\nb\x1b[31m\u202ec") == "a\\nb\\x1b[31m\\u202ec"
    assert letters.prepared("e\u0301") == "\u00e9"
    for text in ("x" * 1000, "\u732b" * 1000, "\u05d0" * 300, "\u0301" * 300, "\U0001f600" * 40):
        for width in (1, 60, 200):
            assert letters.width(letters.fitted(text, width)) <= max(width, letters.width(ELLIPSIS))
    assert letters.fitted("images/long/name.jpg", 90, keep_end=True).endswith("e.jpg")


def test_names_do_not_cover_each_other() -> None:
    from PIL import ImageDraw

    image = Image.new("RGB", (200, 200), WHITE)
    labels = [Label(f"n{n}", (n, 0, 255 - n), (20, 20, 120, 120)) for n in range(40)]
    write_labels(ImageDraw.Draw(image), labels, Lettering(12), 200, 2)
    seen = {colour for _, colour in image.getcolors(100_000) or () if colour[1] == 0 and colour[0] + colour[2] == 255}
    assert 5 <= len(seen) < 40
    assert image.getpixel((199, 199)) == WHITE


# ---- notebooks

EVIL = "<img src=x onerror=alert(1)>\u202e&\n\"'.png"


def picture_of(html: str) -> Any:
    found = re.search(r'src="data:image/jpeg;base64,([^"]*)"', html)
    assert found is not None
    return Image.open(io.BytesIO(base64.b64decode(found[1])))


def test_a_state_shows_itself(pets: Dataset) -> None:
    assert "<img" not in pets.draft()._repr_html_()
    add(pets, **{f"p{number:02}__png": png((10, 10), (number, 0, 0)) for number in range(12)})
    pets.annotate("p01.png", "<b>cat</b>", shape=box(1, 1, 3, 3))
    html = pets.draft()._repr_html_()
    assert "<td>12</td>" in html and "&lt;b&gt;cat&lt;/b&gt; 1" in html and "<b>cat" not in html
    assert "8 of 12 inputs" in html and picture_of(html).width > 800 and len(html) < 500_000


def test_hostile_names_are_text_in_a_notebook(pets: Dataset) -> None:
    assert pets.repository.root is not None
    path = pets.repository.root / EVIL.replace("/", "_")
    path.write_bytes(png())
    pets.add(path)
    key = next(pets.draft().inputs()).key
    pets.annotate(key, EVIL, shape=box(1, 1, 30, 30))
    pets.commit(EVIL)
    pets.create_version("v1", EVIL)
    for html in (pets.draft()._repr_html_(), pets.draft()[key]._repr_html_(), pets._repr_html_()):
        assert "onerror" not in html.replace("&lt;img src=x onerror=alert(1)&gt;", "")
        assert "\u202e" not in html and "\n" not in html
        assert set(re.findall(r"<(\w+)", html)) <= {"div", "p", "b", "table", "tr", "th", "td", "img"}
    assert "&lt;img src=x" in pets._repr_html_()


def test_without_pillow_a_state_shows_its_table(pets: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    add(pets, a__png=png())
    state = pets.draft()
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert "<table" in state._repr_html_() and "<img" not in state._repr_html_() + state["a.png"]._repr_html_()
    with pytest.raises(RefusedError, match="a preview needs Pillow") as refused:
        state.preview()
    assert refused.value.hint == "pip install 'dsvc[pictures]'"


def test_nothing_is_fetched_for_a_notebook(pets: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is a file read that lies elsewhere, or one that is large."""
    add(pets, a__png=png(), b__png=png((20, 20)))
    read: list[str] = []
    reading = State.open_media

    def open_media(self: State, record: Input) -> Any:
        read.append(record.key)
        return reading(self, record)

    monkeypatch.setattr(State, "open_media", open_media)
    state = pets.draft()
    assert state._repr_html_() and read == ["a.png", "b.png"]
    monkeypatch.setattr(state.repository.store, "has_media", lambda id: False)
    announced: list[Any] = []
    monkeypatch.setattr(state.repository.store, "prefetch", announced.append)
    read.clear()
    html = state._repr_html_() + state["a.png"]._repr_html_()
    assert read == [] and announced == [] and html.count("<img") == 2


def test_versions_in_a_notebook(pets: Dataset) -> None:
    assert "no versions yet" in pets._repr_html_() and "cats and dogs" in pets._repr_html_()
    add(pets, a__png=png())
    pets.commit("one", author=Author("Ada"))
    pets.create_version("v1", "First <one>")
    assert '<th style="text-align:left">v1</th><td>First &lt;one&gt;</td>' in pets._repr_html_()


def test_wells_are_around_pictures(pets: Dataset) -> None:
    add(pets, a__png=png((100, 50)))
    image = pets.draft().preview(size=64)
    pixels = cell(image, 0, 1, 64, 1)
    assert at(pixels, 32, 4) == WELL and at(pixels, 32, 32) == WHITE


def test_what_is_large_and_elsewhere_is_not_brought(pets: Dataset) -> None:
    media = Media(type="video/mp4", size=1 << 30, reference=Reference(place="https://example.org/film.mp4"))
    look = look_at(pets.draft(), Input(key="film.mp4", media=media), 96)
    assert look.problem == "it lies elsewhere, and is too large to be brought for a picture"


def test_the_key_of_a_difference_has_room(pets: Dataset) -> None:
    add(pets, a__png=png())
    old = pets.draft()
    pets.annotate("a.png", "cat", shape=box(1, 1, 30, 30))
    for size in (48, 96, 320):
        image = old.preview(pets.draft(), size=size)
        colours = {colour for _, colour in image.crop((0, 0, image.width, 90)).getcolors(100_000) or ()}
        assert {ADDED, REMOVED, SAME} <= colours
