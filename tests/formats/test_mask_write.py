"""PNG masks out: what came in goes out, exact to the pixel; the bytes are fixed; and what has no place is counted."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from pycocotools import mask as tools

from dsvc.core.dataset import Dataset
from dsvc.errors import RefusedError
from dsvc.formats.container import open_target
from dsvc.formats.mask_form import Form, fixed_form, write_picture
from dsvc.formats.mask_png import Picture, read_picture
from dsvc.formats.mask_write import MaskExporter
from dsvc.model.records import Annotation, Concept, Mask, Media, Shape, encode_concept, encode_input
from dsvc.model.snapshot import SnapshotEdits, edit_roots

# pycocotools asks numpy in an old way.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")

Bring = Callable[..., Any]
SMALL = np.array([[0, 1, 1, 0], [2, 1, 0, 0], [2, 2, 0, 3]], dtype=np.uint8)
COLORS = np.array([[[255, 0, 0], [0, 0, 0], [9, 9, 9]], [[0, 0, 255], [255, 0, 0], [0, 0, 0]]], dtype=np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "masks"
    made.mkdir()
    return made


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def save(pixels: Any, path: Path, form: Form | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if form is None:
        Image.fromarray(np.asarray(pixels)).save(path)
    else:
        path.write_bytes(write_picture(pixels, form))


def export(dataset: Dataset, path: Path, **options: Any) -> Any:
    if dataset.has_draft():
        dataset.commit("state")
    return dataset.at().export("mask", path, **options)


def files(root: Path) -> dict[str, bytes]:
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def pictures(root: Path) -> dict[str, Picture]:
    return {name: read_picture(data) for name, data in files(root).items() if name.endswith(".png")}


def same_pictures(came: Path, went: Path) -> None:
    """Every decoded PNG has the same values, in the same form; and Pillow sees the same picture."""
    wanted, found = pictures(came), pictures(went)
    assert wanted.keys() == found.keys() and wanted
    for name, picture in wanted.items():
        assert found[name].form == picture.form, name
        assert (found[name].pixels == picture.pixels).all(), name
        with Image.open(came / name) as old, Image.open(went / name) as new:
            assert old.mode == new.mode and old.getpalette() == new.getpalette(), name
            assert (np.asarray(old) == np.asarray(new)).all(), name


def comes_back(repo: Any, bring: Bring, out: Path, **setup: Any) -> None:
    """What was exported, imported into a new dataset, is exported as the same bytes."""
    pets = repo.dataset("pets")
    other = repo.create("other")
    with other.edit() as draft:
        draft.put_media({record.key: record.media or Media() for record in pets.at().inputs()})
    setup = setup or {"classes": out / "classes.json"}
    bring(out / "masks", dataset=other, source="again", **setup)
    export(other, out.with_name("again"))
    assert files(out.with_name("again")) == files(out)


def annotate(dataset: Dataset, key: str, concept: str | None, area: Any, **fields: Any) -> None:
    runs = tools.encode(np.asfortranarray(np.asarray(area), dtype=np.uint8))
    mask = Mask(height=runs["size"][0], width=runs["size"][1], counts=runs["counts"].decode())
    dataset.annotate(Annotation(key=key, id="", concept=concept, shape=Shape(mask=mask), **fields))


# ---- what came in goes out


@pytest.mark.parametrize("classes", ["background\ncat\ndog\nbird\n", "road\ncat\ndog\nbird\n", "1 a\n2 a\n3 b\n"])
@pytest.mark.parametrize(
    "form",
    [
        Form(0, 2),
        Form(0, 4),
        Form(0, 8),
        Form(0, 16),
        Form(0, 8, b"", b"\0\3"),
        Form(3, 2, bytes(range(12))),
        Form(3, 8, bytes(range(30))),
        Form(3, 8, bytes(range(30)), b"\0\x80\xff"),
        Form(4, 8),
        Form(2, 8),
        Form(6, 8),
    ],
    ids=lambda form: form.name,
)
def test_masks_of_classes_come_back(form, classes, folder, out, bring, inputs, pets, repo):
    inputs("a.jpg", "sub/b.jpg", "c.jpg")
    spread = 0x010101 if form.is_color else 1
    for name, pixels in (("a", SMALL), ("sub/b", SMALL[::-1]), ("c", SMALL * 0)):
        save(pixels.astype(np.uint32) * spread, folder / f"{name}.png", form)
    bring(folder, classes=classes)
    report = export(pets, out)
    same_pictures(folder, out / "masks")
    assert report.entries == 4 and report.inputs == 3 and not report.notes
    comes_back(repo, bring, out)


def test_files_of_many_forms_come_back(folder, out, bring, inputs, pets, repo):
    forms = [Form(0, 2), Form(0, 16), Form(3, 4, bytes(range(48))), Form(3, 8, bytes(12)), Form(6, 8)]
    inputs(*(f"{n}.jpg" for n in range(len(forms))))
    for n, form in enumerate(forms):
        spread = 0x010101 if form.is_color else 1
        save(SMALL.astype(np.uint32) * spread, folder / f"{n}.png", form)
    bring(folder, classes="1 cat\n2 dog", ignore=(3,))
    export(pets, out)
    same_pictures(folder, out / "masks")
    comes_back(repo, bring, out)


def test_masks_that_pillow_wrote_come_back(folder, out, bring, inputs, pets, repo):
    inputs("a.jpg", "b.jpg", "c.jpg", "d.jpg")
    colored = Image.fromarray(SMALL)
    colored.putpalette(bytes(range(0, 240, 3)))
    colored.save(folder / "a.png", transparency=0)
    save(SMALL, folder / "b.png")
    save(SMALL.astype(np.uint16), folder / "c.png")
    save(np.dstack([SMALL] * 3), folder / "d.png")
    bring(folder, classes="1 cat\n2 dog\n3 bird\n")
    export(pets, out)
    same_pictures(folder, out / "masks")
    comes_back(repo, bring, out)


def test_ignored_values_come_back(folder, out, bring, inputs, pets, repo):
    inputs("a.jpg")
    save(np.array([[0, 255, 1], [254, 255, 255]], dtype=np.uint8), folder / "a.png")
    bring(folder, classes='{"0": "background", "1": {"name": "cat", "mine": 1}, "254": "void"}', ignore=(254, 255))
    export(pets, out)
    same_pictures(folder, out / "masks")
    assert (out / "classes.json").read_text() == (
        '{\n"0": {"name": "background"},\n"1": {"name": "cat", "mine": 1},\n'
        '"254": {"name": "void", "ignore": true},\n"255": {"ignore": true}\n}\n'
    )
    comes_back(repo, bring, out)


def test_colours_come_back(folder, out, bring, inputs, pets, repo):
    inputs("a.jpg", "b.jpg")
    save(COLORS, folder / "a.png")
    save(np.dstack([COLORS, np.full(COLORS.shape[:2], 255, np.uint8)]), folder / "b.png")
    bring(folder, classes="255 0 0 cat\n0 0 255 dog\n", ignore=(9,))
    export(pets, out)
    same_pictures(folder, out / "masks")
    wanted = {"#0000ff": {"name": "dog"}, "#090909": {"ignore": True}, "#ff0000": {"name": "cat"}}
    assert json.loads((out / "classes.json").read_text()) == wanted
    comes_back(repo, bring, out)


@pytest.mark.parametrize("way", ["classes", "concept"])
def test_binary_masks_come_back(way, folder, out, bring, inputs, pets, repo):
    inputs("a.jpg", "b.jpg", "c.jpg", "d.jpg", "e.jpg")
    save(SMALL > 0, folder / "a.png")
    save((SMALL > 0) * np.uint8(255), folder / "b.png")
    save(np.array([[0, 7, 100], [200, 255, 255]], dtype=np.uint8), folder / "c.png")
    save(SMALL * 0, folder / "d.png")
    save(np.dstack([(SMALL > 0) * np.uint8(255)] * 3), folder / "e.png")
    bring(folder, concept="cat", ignore=(100,))
    report = export(pets, out)
    same_pictures(folder, out / "masks")
    assert not report.notes
    cat = {"name": "cat"}
    wanted = {"1": cat, "7": cat, "100": {"ignore": True}, "200": cat, "255": cat}
    assert json.loads((out / "classes.json").read_text()) == wanted
    comes_back(repo, bring, out, **({"concept": "cat", "ignore": (100,)} if way == "concept" else {}))


def test_binary_masks_of_a_colour_come_back(folder, out, bring, inputs, pets, repo):
    inputs("a.jpg")
    save(COLORS, folder / "a.png")
    bring(folder, concept="cat")
    export(pets, out)
    same_pictures(folder, out / "masks")
    assert list(json.loads((out / "classes.json").read_text())) == ["#0000ff", "#090909", "#ff0000"]
    comes_back(repo, bring, out)


def test_folders_of_concepts_come_back(folder, out, bring, inputs, pets, repo):
    inputs("a.jpg", "b.jpg")
    save(SMALL > 1, folder / "cat/a.png")
    save((SMALL > 0) * np.uint8(9), folder / "big dog/a.png")
    save(SMALL * 0, folder / "big dog/b.png")
    bring(folder, concept="from-folder")
    report = export(pets, out)
    same_pictures(folder, out / "masks")
    assert not (out / "classes.json").exists() and not report.notes
    comes_back(repo, bring, out, concept="from-folder")


def test_two_sources_of_binary_masks_get_a_folder_each(folder, out, bring, inputs, pets):
    inputs("a.jpg")
    save(SMALL > 0, folder / "cat/a.png")
    save((SMALL == 1) * np.uint8(255), folder / "dog/a.png")
    for concept in ("cat", "dog"):
        bring(folder / concept, source=concept, concept=concept)
    annotate(pets, "a.jpg", "bird", SMALL == 3)
    export(pets, out)
    save((SMALL == 3) * np.uint8(255), folder / "bird/a.png")
    same_pictures(folder, out / "masks")


labels = st.integers(0, 2**32 - 1).flatmap(
    lambda seed: st.tuples(st.just(seed), st.integers(1, 12), st.integers(1, 12), st.integers(1, 5))
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(labels, min_size=1, max_size=3), st.sampled_from(["classes", "binary"]), st.booleans())
def test_any_masks_come_back(repo, bring, tmp_path, drawn, way, deep):
    folder = tmp_path / "any"
    shutil.rmtree(folder, ignore_errors=True)
    dataset = repo.create(f"d{len(list(repo.datasets()))}")
    for n, (seed, height, width, most) in enumerate(drawn):
        pixels = np.random.default_rng(seed).integers(0, most, (height, width))
        save(pixels.astype(np.uint16 if deep else np.uint8), folder / "in" / f"{n}.png")
    with dataset.edit() as draft:
        draft.put_media({f"images/{n}.jpg": Media() for n in range(len(drawn))})
    setup = {"classes": "bg\na\nb\na\nc"} if way == "classes" else {"concept": "a"}
    bring(folder / "in", dataset=dataset, prefix="images", **setup)
    export(dataset, folder / "out")
    wanted, found = pictures(folder / "in"), pictures(folder / "out/masks/images")
    assert wanted.keys() == found.keys()
    assert all((found[name].pixels == wanted[name].pixels).all() for name in wanted)
    for one in dataset.at().input_entries():
        key = one[0].decode()
        for annotation in dataset.at().annotations(key):
            mask = annotation.shape.mask
            area = tools.decode({"size": [mask.height, mask.width], "counts": mask.counts})
            came = wanted[f"{key.removeprefix('images/').removesuffix('.jpg')}.png"].pixels
            assert len(set(came[area == 1])) == 1 or way == "binary"


# ---- masks that came from elsewhere


def test_masks_from_coco_get_values_of_their_own(corpus, out, pets, repo, bring):
    pets.import_(corpus / "coco/labelformat_instances_with_binary_mask.json")
    report = export(pets, out)
    assert report.profile == "mask/1" and report.annotations > 0
    for picture in pictures(out).values():
        assert picture.form == fixed_form()
    other = repo.create("again")
    with other.edit() as draft:
        draft.put_media({record.key: Media() for record in pets.at().inputs()})
    bring(out / "masks", dataset=other, classes=out / "classes.json")
    runs = {(s.key, a.concept, decode(a)) for s in pets.at() for a in s.annotations if a.shape and a.shape.mask}
    again = {(s.key, a.concept, decode(a)) for s in other.draft() for a in s.annotations}
    assert again == runs


def decode(annotation: Annotation) -> bytes:
    mask = annotation.shape.mask
    size, counts = [mask.height, mask.width], mask.counts
    if not isinstance(counts, str):
        counts = tools.frPyObjects({"size": size, "counts": list(counts)}, *size)["counts"]
    return tools.decode({"size": size, "counts": counts}).tobytes()


def test_values_go_by_concept_and_colours_by_value(out, inputs, pets, repo, bring):
    inputs("a.jpg", "b.jpg", "c.jpg")
    annotate(pets, "a.jpg", "dog", SMALL == 1)
    annotate(pets, "a.jpg", "cat", SMALL == 2)
    annotate(pets, "b.jpg", "é", SMALL == 3)
    report = export(pets, out)
    assert (report.entries, report.inputs, report.annotations) == (3, 2, 3)
    found = pictures(out)
    assert (found["masks/a.png"].pixels == np.where(SMALL == 1, 2, np.where(SMALL == 2, 1, 0))).all()
    assert (found["masks/b.png"].pixels == np.where(SMALL == 3, 3, 0)).all()
    assert (out / "classes.json").read_text(encoding="utf-8") == (
        '{\n"0": {"name": "background", "color": "#000000"},\n"1": {"name": "cat", "color": "#800000"},\n'
        '"2": {"name": "dog", "color": "#008000"},\n"3": {"name": "é", "color": "#808000"}\n}\n'
    )
    digest = hashlib.sha256(b"".join(files(out).values())).hexdigest()
    assert digest == "d5770801d0374f9dbb955c1c8db1116097102110c1ebd04453c8c6da3f2d5c8a"
    comes_back(repo, bring, out)


def test_more_concepts_than_a_byte_has_values(out, inputs, pets, repo, bring):
    inputs("a.jpg", "b.jpg")
    for n in range(300):
        annotate(pets, "a.jpg" if n else "b.jpg", f"c{n:03}", np.arange(400).reshape(20, 20) == n)
    export(pets, out)
    found = pictures(out)
    assert found["masks/a.png"].form == found["masks/b.png"].form == Form(0, 16)
    assert found["masks/a.png"].pixels.max() == 300
    comes_back(repo, bring, out)


def test_new_concepts_get_free_values_in_wider_forms(folder, out, bring, inputs, pets, repo):
    inputs("a.jpg", "b.jpg")
    save(SMALL, folder / "a.png", Form(3, 2, bytes(range(12))))
    bring(folder, classes="1 cat\n2 dog\n3 bird\n")
    annotate(pets, "a.jpg", "ant", SMALL == 0)
    annotate(pets, "b.jpg", "cat", SMALL == 1)
    export(pets, out)
    found = pictures(out)
    assert (found["masks/a.png"].pixels == np.where(SMALL == 0, 4, SMALL)).all()
    assert found["masks/a.png"].form == Form(3, 4, bytes(range(12)) + bytes([0, 0, 0x80]))
    assert found["masks/b.png"].form == Form(3, 2, bytes(range(12)))
    comes_back(repo, bring, out)


def test_renamed_concepts_keep_their_values(folder, out, bring, inputs, pets):
    inputs("a.jpg")
    save(SMALL, folder / "a.png")
    bring(folder, classes="1 cat\n2 dog\n3 bird\n")
    with pets.edit() as draft:
        snapshot, edits = draft.snapshot, SnapshotEdits()
        cat = snapshot.concept("cat")
        assert cat is not None
        edits.concepts = {
            b"cat": None,
            b"tiger": encode_concept(msgspec.structs.replace(cat, id="tiger", name="tiger")),
        }
        draft.apply(lambda store, state: msgspec.structs.replace(state, roots=edit_roots(store, state.roots, edits)))
        for one in snapshot.annotations("a.jpg"):
            if one.concept == "cat":
                draft.change_annotation("a.jpg", one.id, {"concept": "tiger"})
    export(pets, out)
    same_pictures(folder, out / "masks")
    assert json.loads((out / "classes.json").read_text())["1"] == {"name": "tiger"}


def test_sources_that_agree_are_one_and_others_get_new_values(folder, out, bring, inputs, pets):
    inputs("a.jpg", "b.jpg", "c.jpg")
    for name in "abc":
        save(SMALL, folder / name / f"{name}.png")
    bring(folder / "a", source="a", classes="1 cat\n2 dog\n3 bird\n")
    bring(folder / "b", source="b", classes="1 cat\n3 bird\n", ignore=(2,), errors=[])
    report = export(pets, out)
    assert report.notes == (
        "1 input has no mask, so that nothing names them",
        "2 sources say different things about their values, so that all have new ones",
    )
    found = pictures(out)
    # 2 is ignored by one of them, so it names nothing: bird, cat, dog.
    assert json.loads((out / "classes.json").read_text())["2"] == {"ignore": True, "color": "#008000"}
    assert (found["masks/a.png"].pixels == np.array([0, 3, 4, 1])[SMALL]).all()
    assert (found["masks/b.png"].pixels == np.array([0, 3, 2, 1])[SMALL]).all()
    bring(folder / "c", source="c", classes="1 cat\n2 dog\n3 bird\n")


def test_sources_that_agree(folder, out, bring, inputs, pets):
    inputs("a.jpg", "b.jpg")
    save(SMALL, folder / "a.png")
    save(np.where(SMALL == 2, 0, SMALL).astype(np.uint8), folder / "b.png")
    for name, classes in (("a", "1 cat\n2 dog\n3 bird\n"), ("b", "1 cat\n3 bird\n9 cow\n")):
        alone = folder.with_name(name)
        alone.mkdir()
        shutil.copy(folder / f"{name}.png", alone)
        bring(alone, source=name, classes=classes)
    assert not export(pets, out).notes
    same_pictures(folder, out / "masks")


# ---- names


def test_names_that_clash_are_whole(out, inputs, pets, repo, bring):
    keys = ("a.jpg", "a.png", "b.jpg", "b.jpg.gif", "c", "c.jpg", "d", "x/d.jpg", "e.tar.gz")
    inputs(*keys)
    for key in keys:
        annotate(pets, key, "cat", SMALL == 1)
    export(pets, out)
    names = ("a.jpg", "a.png", "b", "b.jpg.gif", "c", "c.jpg", "d", "x/d", "e.tar")
    assert sorted(pictures(out)) == sorted(f"masks/{name}.png" for name in names)
    comes_back(repo, bring, out)


def test_concepts_that_no_folder_can_be_called_like(folder, out, bring, inputs, pets):
    inputs("a.jpg")
    save(SMALL > 0, folder / "a.png")
    bring(folder, source="one", concept="n/a")
    bring(folder, source="two", concept="cat")
    report = export(pets, out)
    assert "1 concept cannot name a folder, so that all have values of their own" in report.notes
    assert list(pictures(out)) == ["masks/a.png"]


# ---- what has no place


def test_what_is_left_out_is_counted(out, inputs, pets):
    inputs("a.jpg", size=(4, 3))
    inputs("b.jpg")
    whole = np.ones((3, 4))
    annotate(pets, "a.jpg", "cat", whole)
    annotate(pets, "a.jpg", "cat", SMALL == 1)
    annotate(pets, "a.jpg", "dog", SMALL == 1)
    annotate(pets, "a.jpg", None, SMALL == 1)
    annotate(pets, "a.jpg", "dog", np.ones((5, 5)))
    broken = Mask(height=3, width=4, counts="000")
    pets.annotate(Annotation(key="a.jpg", id="", concept="dog", shape=Shape(mask=broken)))
    huge = Mask(height=1 << 20, width=1 << 20, counts="000")
    pets.annotate(Annotation(key="b.jpg", id="", concept="dog", shape=Shape(mask=huge)))
    pets.annotate(Annotation(key="b.jpg", id="", concept="dog", shape=Shape(box=(1, 2, 3, 4))))
    pets.annotate(Annotation(key="b.jpg", id="", concept="dog", shape=Shape(polygons=((1, 2, 3, 4, 5, 6),))))
    pets.annotate("b.jpg", "cat")
    report = export(pets, out)
    assert (report.inputs, report.annotations) == (1, 3)
    assert report.notes == (
        "1 annotation with a box and no mask was left out",
        "1 annotation with no shape was left out",
        "1 annotation with polygons and no mask was left out",
        "1 input has no mask, so that nothing names them",
        "1 mask is too large to be drawn, or empty, and was left out",
        "1 mask covers a part of another, which is lost there",
        "1 mask has the value of another one of their input, and come back as one with it",
        "1 mask of another size than their input's was left out",
        "1 mask whose runs is damaged was left out",
        "1 mask without a concept was left out",
    )


def test_what_masks_cannot_say_is_counted(out, inputs, pets):
    put = {"attributes": {"a": 1}, "track": 3, "crowd": 1, "keypoints": (1, 2, 2), "extras": {"other": {"a": 1}}}
    inputs("a.jpg")
    annotate(pets, "a.jpg", "cat", SMALL == 1, **put)
    annotate(pets, "a.jpg", "dog", SMALL == 2, crowd=0)
    with pets.edit() as draft:
        edits = SnapshotEdits()
        record = draft.snapshot.input("a.jpg")
        assert record is not None
        changed = msgspec.structs.replace(record, split="train", metadata={"city": "Paris"})
        edits.inputs = {b"a.jpg": encode_input(changed)}
        cat = Concept(id="cat", name="cat", supercategory="animal")
        edits.concepts = {b"cat": encode_concept(cat)}
        draft.apply(lambda store, state: msgspec.structs.replace(state, roots=edit_roots(store, state.roots, edits)))
    pets.commit("state")
    with open_target(out, "folder") as target:
        report = MaskExporter().export(pets.at(), target)
    assert (
        report.losses
        == report.notes
        == (
            "1 annotation lost fields of other formats, which masks cannot say",
            "1 annotation lost its attributes, which masks cannot say",
            "1 annotation lost its crowd, which masks cannot say",
            "1 annotation lost its keypoints, which masks cannot say",
            "1 annotation lost its track, which masks cannot say",
            "1 concept lost its supercategory, which masks cannot say",
            "1 input lost its metadata, which masks cannot say",
            "1 input lost its split, which masks cannot say",
        )
    )


def test_the_later_mask_wins(out, inputs, pets):
    inputs("a.jpg")
    annotate(pets, "a.jpg", "cat", np.ones((3, 4)))
    annotate(pets, "a.jpg", "dog", SMALL > 0)
    export(pets, out)
    order = [one.concept for one in pets.at().annotations("a.jpg")]
    wanted = np.ones((3, 4)) if order == ["dog", "cat"] else np.where(SMALL > 0, 2, 1)
    assert (pictures(out)["masks/a.png"].pixels == wanted).all()


def test_uncovered_pixels_are_no_concept(folder, out, bring, inputs, pets):
    inputs("a.jpg", "b.jpg")
    save(SMALL, folder / "a.png")
    bring(folder, classes="road\ncat\ndog\nbird\n")
    annotate(pets, "b.jpg", "cat", SMALL == 1)
    assert export(pets, out).notes == ("1 mask has pixels that no annotation covers, and 0 says a concept there",)
    bring(folder, source="other", classes="road\ncat\ndog\nbird\n", ignore=(255,))
    export(pets, out, force=True)
    assert (pictures(out)["masks/b.png"].pixels == np.where(SMALL == 1, 1, 255)).all()


def test_nothing_to_export(out, inputs, pets):
    inputs("a.jpg")
    pets.annotate("a.jpg", "cat")
    with pytest.raises(RefusedError, match=r"^no annotation has a mask$") as caught:
        export(pets, out)
    assert caught.value.hint == "polygons and boxes go to: --format coco" and not out.exists()


# ---- the container


def test_images_and_archives(tmp_path, pets, repo, folder, bring):
    images = repo.root / "images"
    images.mkdir()
    save(SMALL, images / "a.png")
    pets.add(images)
    save(SMALL, folder / "a.png")
    bring(folder, concept="cat", prefix="images")
    report = export(pets, tmp_path / "out.zip", media=True)
    assert report.entries == 3
    with pytest.raises(RefusedError, match="differs"):
        export(pets, tmp_path / "out.zip")
    import zipfile

    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        assert archive.namelist() == ["masks/images/a.png", "classes.json", "images/images/a.png"]
        assert archive.read("images/images/a.png") == (images / "a.png").read_bytes()


def test_force_replaces_an_earlier_export_only(folder, out, bring, inputs, pets):
    inputs("a.jpg", "sub/b.jpg")
    save(SMALL, folder / "a.png")
    bring(folder, concept="cat")
    export(pets, out)
    annotate(pets, "sub/b.jpg", "cat", SMALL == 1)
    export(pets, out, force=True)
    assert sorted(pictures(out)) == ["masks/a.png", "masks/sub/b.png"]
    (out / "masks/mine.txt").write_text("mine")
    with pytest.raises(RefusedError, match=r"holds what no export writes: masks/mine\.txt"):
        export(pets, out, force=True)


def test_other_formats_take_masks(folder, bring, inputs, pets, tmp_path):
    inputs("a.jpg", size=(4, 3))
    save(SMALL, folder / "a.png")
    bring(folder, classes="1 cat\n2 dog", ignore=(3,))
    pets.commit("masks")
    pets.at().export("clarifai-json", tmp_path / "x.zip")
    pets.at().export("clarifai-protobuf", tmp_path / "y.zip")
    pets.at().export("coco", tmp_path / "coco")
    document = json.loads((tmp_path / "coco/annotations/instances.json").read_text())
    assert sorted(row["area"] for row in document["annotations"]) == [3, 3]
    assert all(row["segmentation"]["size"] == [3, 4] for row in document["annotations"])
