"""COCO in and out: every record comes back, and every trap does what the documentation says."""

import gzip
import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from dsvc.core.dataset import Dataset
from dsvc.errors import InvalidRecordsError, NotFoundError, RefusedError
from dsvc.model.records import Mask

Write = Callable[..., Path]
Document = dict[str, Any]
LISTS = ("images", "annotations", "categories")

VALID = [
    "clarifai_coco10/annotations/instances_val2017_subset.json",
    "coco/datumaro_stuff_val.json",
    "coco/instances_val2014_100.json",
    "coco/labelformat_instances_with_binary_mask.json",
    "coco/labelformat_weird_filenames/train.json",
    "coco/lvis_val_100.json",
    "coco/mmdet_vis_sample.json",
    "coco/mmpose_coco_wholebody.json",
    "coco/roboflow_bccd_train.coco.json",
    "coco/roboflow_bccd_valid.coco.json",
    "coco_invalid/datumaro_labels_val_no_bbox.json",
    "panoptic/panoptic_coco_detection_format.json",
]


def export(dataset: Dataset, folder: Path) -> dict[str, Document]:
    """Every COCO file of the draft, by name; pycocotools must load each."""
    if dataset.has_draft():
        dataset.commit("state")
    dataset.at().export("coco", folder)
    files = {path.stem: json.loads(path.read_text()) for path in (folder / "annotations").iterdir()}
    load_with_pycocotools(folder)
    return files


def load_with_pycocotools(folder: Path) -> None:
    import contextlib
    import io

    from pycocotools.coco import COCO

    for path in (folder / "annotations").iterdir():
        document = json.loads(path.read_text())
        if "categories" in document and any("category_id" not in a for a in document.get("annotations", ())):
            continue  # pycocotools has no notion of an annotation without a category
        with contextlib.redirect_stdout(io.StringIO()):
            loaded = COCO(str(path))
        assert len(loaded.anns) == len(document.get("annotations", []))
        assert len(loaded.imgs) == len(document["images"])


def round_trip(dataset: Dataset, path: Path, folder: Path) -> Document:
    dataset.import_(path)
    files = export(dataset, folder)
    assert len(files) == 1
    return next(iter(files.values()))


def same_records(document: Document, other: Document) -> None:
    assert document.keys() == other.keys()
    for name, value in document.items():
        if name in LISTS:
            assert in_order(other[name]) == in_order(value), name
        else:
            assert other[name] == value, name


def in_order(records: list[Any]) -> list[Any]:
    return sorted(records, key=lambda record: (str(record["id"]), json.dumps(record, sort_keys=True)))


# ---- real files


@pytest.mark.parametrize("name", VALID)
def test_real_files_come_back_whole(pets: Dataset, corpus: Path, tmp_path: Path, name: str) -> None:
    same_records(json.loads((corpus / name).read_text()), round_trip(pets, corpus / name, tmp_path / "out"))


@pytest.mark.parametrize("name", VALID)
def test_importing_again_changes_nothing(pets: Dataset, corpus: Path, name: str) -> None:
    pets.import_(corpus / name)
    commit = pets.commit("first")
    assert not pets.import_(corpus / name).changed
    assert not pets.has_draft() and pets.head == commit.id


def test_a_duplicate_annotation_id_is_renumbered_and_told(pets: Dataset, corpus: Path, tmp_path: Path) -> None:
    path = corpus / "coco_invalid/mmdet_coco_wrong_format_sample.json"
    back = round_trip(pets, path, tmp_path / "out")
    before = json.loads(path.read_text())
    assert back["info"] is None and back["licenses"] == []
    for document in (back, before):
        bare = [{k: v for k, v in a.items() if k != "id"} for a in document["annotations"]]
        assert all(row in bare for row in ({k: v for k, v in a.items() if k != "id"} for a in before["annotations"]))
    assert len({a["id"] for a in back["annotations"]}) == 2 and 1 in {a["id"] for a in back["annotations"]}
    assert pets.at().export("coco", tmp_path / "again").notes == (
        "1 annotation renumbered, since their numbers were taken",
    )


def test_iscrowd_as_text_is_an_error_that_names_the_annotation(pets: Dataset, corpus: Path) -> None:
    with pytest.raises(InvalidRecordsError) as error:
        pets.import_(corpus / "coco_invalid/coco_annotator_iscrowd_string.json")
    assert len(error.value.problems) == 2
    assert error.value.problems[0] == "annotation 0 (image 'image1.jpg'): iscrowd is 'false'; it must be 0 or 1"
    assert not pets.has_draft()


def test_files_whose_ids_all_collide(pets: Dataset, corpus: Path, tmp_path: Path) -> None:
    for part in ("train", "valid"):
        pets.import_(corpus / f"coco/roboflow_bccd_{part}.coco.json")
    (document,) = export(pets, tmp_path / "out").values()
    assert len(document["images"]) == 230 and len(document["annotations"]) == 5417
    assert len({a["id"] for a in document["annotations"]}) == 5417
    assert len({i["id"] for i in document["images"]}) == 230
    found = boxes_by_name(document)
    for part in ("train", "valid"):
        for key, boxes in boxes_by_name(
            json.loads((corpus / f"coco/roboflow_bccd_{part}.coco.json").read_text())
        ).items():
            assert found[key] == boxes


def boxes_by_name(document: Document) -> dict[str, list[Any]]:
    names = {i["id"]: i["file_name"] for i in document["images"]}
    concepts = {c["id"]: c["name"] for c in document["categories"]}
    boxes: dict[str, list[Any]] = {}
    for a in document["annotations"]:
        boxes.setdefault(names[a["image_id"]], []).append((concepts[a["category_id"]], a["bbox"]))
    return {name: sorted(rows) for name, rows in boxes.items()}


def test_a_results_file_is_recognised(pets: Dataset, corpus: Path) -> None:
    with pytest.raises(InvalidRecordsError, match="looks like a results file"):
        pets.import_(corpus / "results/instances_val2014_fakebbox100_results.json")


# ---- traps: what must come back


def variants() -> dict[str, Callable[[Document], None]]:
    def set_(path: str, value: Any) -> Callable[[Document], None]:
        def change(document: Document) -> None:
            *parts, last = path.split(".")
            place: Any = document
            for part in parts:
                place = place[int(part) if part.isdigit() else part]
            place[last] = value

        return change

    def drop(path: str) -> Callable[[Document], None]:
        def change(document: Document) -> None:
            *parts, last = path.split(".")
            place: Any = document
            for part in parts:
                place = place[int(part) if part.isdigit() else part]
            del place[last]

        return change

    def renumber(section: str, reference: str | None, numbers: list[Any]) -> Callable[[Document], None]:
        def change(document: Document) -> None:
            table = {record["id"]: n for record, n in zip(document[section], numbers, strict=False)}
            for record in document[section]:
                record["id"] = table[record["id"]]
            for annotation in document["annotations"] if reference else ():
                annotation[reference] = table[annotation[reference]]

        return change

    return {
        "annotation id 0": renumber("annotations", None, [0, 1]),
        "category id 0": renumber("categories", "category_id", [0, 1]),
        "image id 0": renumber("images", "image_id", [0, 1]),
        "gaps in category ids": renumber("categories", "category_id", [7, 90]),
        "huge ids": renumber("annotations", None, [900100000000, 2**63 + 11]),
        "ids beyond 64 bits": renumber("annotations", None, [2**70, -(2**70)]),
        "image ids beyond 2**53": renumber("images", "image_id", [2**53 + 1, 2**53 + 3]),
        "text image ids": renumber("images", "image_id", ["x", "y"]),
        "text annotation ids": renumber("annotations", None, ["x", "y"]),
        "null info": set_("info", None),
        "null licenses": set_("licenses", None),
        "null fields of an image": set_("images.0.flickr_url", None),
        "null size": set_("images.0.width", None),
        "null bbox": set_("annotations.0.bbox", None),
        "null segmentation": set_("annotations.0.segmentation", None),
        "null iscrowd": set_("annotations.0.iscrowd", None),
        "null area": set_("annotations.0.area", None),
        "null supercategory": set_("categories.0.supercategory", None),
        "null category": set_("annotations.0.category_id", None),
        "no iscrowd": drop("annotations.0.iscrowd"),
        "no area": drop("annotations.0.area"),
        "no bbox": drop("annotations.0.bbox"),
        "no category": drop("annotations.0.category_id"),
        "no info": drop("info"),
        "no licenses": drop("licenses"),
        "no size": drop("images.0.width"),
        "an unknown licence": set_("images.1.license", 99),
        "a compressed mask": set_("annotations.0.segmentation", {"size": [480, 640], "counts": "abc0`1"}),
        "an uncompressed mask": set_("annotations.0.segmentation", {"size": [2, 3], "counts": [1, 2, 3]}),
        "a mask with more keys": set_("annotations.0.segmentation", {"size": [2, 3], "counts": [6], "x": 1}),
        "a crowd": set_("annotations.0.iscrowd", 1),
        "a short polygon": set_("annotations.0.segmentation", [[1, 2, 3, 4]]),
        "an empty ring": set_("annotations.0.segmentation", [[], [1, 2, 3, 4, 5, 6]]),
        "an empty segmentation": set_("annotations.0.segmentation", []),
        "a flat segmentation": set_("annotations.0.segmentation", [1, 2, 3, 4, 5, 6]),
        "an empty bbox": set_("annotations.0.bbox", []),
        "a box of size zero": set_("annotations.0.bbox", [5, 5, 0, 0]),
        "a box of negative size": set_("annotations.0.bbox", [5, 5, -3, -4]),
        "a box out of bounds": set_("annotations.0.bbox", [600, 400, 500, 500]),
        "a rotated box": set_("annotations.0.bbox", [1, 2, 3, 4, 45]),
        "long decimals": set_("annotations.0.bbox", [0.1 + 0.2, 1e-17, 123456.789012345, 1e300]),
        "keypoints and boxes mixed": set_("annotations.0.keypoints", [1, 2, 2] * 5),
        "a caption in an instance": set_("annotations.0.caption", "a cat"),
        "attributes": set_("annotations.0.attributes", {"occluded": True, "n": None, "deep": {"a": [1, 2.5]}}),
        "attributes that are a list": set_("annotations.0.attributes", ["x"]),
        "unknown fields everywhere": lambda d: (
            [
                record.update(zz={"a": [None, 1.5, "é", {"b": False}]}, aa=0.0)
                for record in (*d["images"], *d["annotations"], *d["categories"])
            ]
            and d.update(custom=[1, {"x": None}])
        ),
        "names in any script": set_("images.0.file_name", "日本/кот é e\u0301.jpg"),
        "control characters in a name": set_("images.0.file_name", "a\nb\t.jpg"),
        "one base name in two folders": lambda d: (
            set_("images.0.file_name", "x/a.jpg")(d),
            set_("images.1.file_name", "y/a.jpg")(d),
        ),
        "a.jpg and a.png": set_("images.1.file_name", "a.png"),
        "a name with backslashes": set_("images.0.file_name", "x\\a.jpg"),
        "no file_name, as LVIS has it": lambda d: (
            drop("images.0.file_name")(d),
            set_("images.0.coco_url", "http://h/val/7.jpg")(d),
        ),
        "neg_category_ids": set_("images.0.neg_category_ids", [3, 1]),
        "neg_category_ids of no category": set_("images.0.neg_category_ids", [3, 77]),
        "a category name twice": set_("categories.1.name", "cat"),
        "a category name with a skeleton": lambda d: d["categories"][0].update(keypoints=["a", "b"], skeleton=[[1, 2]]),
        "no annotations": set_("annotations", []),
        "no list of annotations": drop("annotations"),
        "nothing but images": lambda d: (drop("annotations")(d), drop("categories")(d)),
        "colons and quotes in text": set_("annotations.0.note", 'he said: "a": b\\"c": d'),
        "-0.0": set_("annotations.0.area", -0.0),
    }


@pytest.mark.parametrize("name", variants())
def test_what_is_odd_but_whole_comes_back(
    pets: Dataset, coco: Callable[..., Document], write: Write, tmp_path: Path, name: str
) -> None:
    document = coco()
    variants()[name](document)
    same_records(document, round_trip(pets, write(document), tmp_path / "out"))


def test_exact_duplicates_are_both_kept(
    pets: Dataset, coco: Callable[..., Document], write: Write, tmp_path: Path
) -> None:
    document = coco()
    twin = document["annotations"][0]
    document["annotations"] += [{**twin, "id": 7}, {**twin, "id": 8}]
    same_records(document, round_trip(pets, write(document), tmp_path / "out"))
    ids = sorted(annotation.id for annotation in pets.at().annotations("a.jpg"))
    assert ids == [ids[0], f"{ids[0]}-2", f"{ids[0]}-3"]


def test_iscrowd_false_is_zero(pets: Dataset, coco: Callable[..., Document], write: Write, tmp_path: Path) -> None:
    document = coco()
    document["annotations"][0]["iscrowd"] = False
    back = round_trip(pets, write(document), tmp_path / "out")
    crowds = [a.get("iscrowd") for a in back["annotations"] if a["id"] == 5]
    assert crowds == [0] and type(crowds[0]) is int


def test_a_byte_order_mark_is_accepted(pets: Dataset, coco: Callable[..., Document], write: Write) -> None:
    assert pets.import_(write(b"\xef\xbb\xbf" + json.dumps(coco()).encode())).annotations == 2


def test_spaces_before_colons_are_json_too(pets: Dataset, coco: Callable[..., Document], write: Write) -> None:
    assert pets.import_(write(json.dumps(coco(), separators=(" , ", " : "), indent=2))).annotations == 2


def test_a_mask_is_stored_as_a_mask(pets: Dataset, coco: Callable[..., Document], write: Write) -> None:
    document = coco()
    document["annotations"][0]["segmentation"] = {"size": [2, 3], "counts": [1, 2, 3]}
    pets.import_(write(document))
    (annotation,) = pets.draft().annotations("a.jpg")
    assert annotation.shape is not None
    assert annotation.shape.mask == Mask(height=2, width=3, counts=(1, 2, 3))


def test_ids_depend_on_content_alone(repo: Any, coco: Callable[..., Document], write: Write) -> None:
    document, shuffled = coco(), deepcopy(coco())
    shuffled["annotations"].reverse()
    shuffled["images"].reverse()
    for annotation in shuffled["annotations"]:
        annotation["id"] += 100
    roots = []
    for name, content in (("one", document), ("two", shuffled)):
        dataset = repo.create(name)
        dataset.import_(write(content, f"{name}.json"))
        roots.append(sorted((a.key, a.id) for s in dataset.draft() for a in s.annotations))
    assert roots[0] == roots[1]


# ---- traps: what must be refused


def bad(change: Callable[[Document], Any]) -> Callable[[Document], Document]:
    def made(document: Document) -> Document:
        change(document)
        return document

    return made


ERRORS: dict[str, tuple[Callable[[Document], Any], list[str]]] = {
    "undeclared category": (
        lambda d: d["annotations"][0].update(category_id=9),
        ["annotation 5 (image 'a.jpg'): its category 9 is not declared in the file"],
    ),
    "unknown image": (
        lambda d: d["annotations"][0].update(image_id=9),
        ["annotation 5 (image 9): its image 9 is not in the file"],
    ),
    "duplicate image ids": (
        lambda d: d["images"][1].update(id=1),
        ["image 1 ('b.jpg'): its id is also that of 'a.jpg'", "annotation 6 (image 2): its image 2 is not in the file"],
    ),
    "duplicate file names": (
        lambda d: d["images"][1].update(file_name="a.jpg"),
        ["image 2 ('a.jpg'): its file_name is also that of image 1", "annotation 6 (image 2): its image 2 was refused"],
    ),
    "duplicate category ids": (
        lambda d: d["categories"][1].update(id=1),
        [
            "category 1 ('dog'): its id is also that of 'cat'",
            "annotation 6 (image 'b.jpg'): its category 3 is not declared in the file",
        ],
    ),
    "mixed image ids": (
        lambda d: (d["images"][1].update(id="2"), d["annotations"][1].update(image_id="2")),
        [
            "image '2' ('b.jpg'): its id is text where others are numbers, or the other way; ids must be of one type",
            "annotation 6 (image '2'): its image '2' was refused",
        ],
    ),
    "a box of text": (
        lambda d: d["annotations"][0].update(bbox=["1", 2, 3, 4]),
        ["annotation 5 (image 'a.jpg'): bbox[0] is '1', which is no number"],
    ),
    "an area of text": (
        lambda d: d["annotations"][0].update(area="13"),
        ["annotation 5 (image 'a.jpg'): area is '13', which is no number"],
    ),
    "a width of text": (
        lambda d: d["images"][0].update(width="640"),
        [
            "image 1 ('a.jpg'): width is '640', which is no number",
            "annotation 5 (image 1): its image 1 was refused",
        ],
    ),
    "a polygon of text": (
        lambda d: d["annotations"][1].update(segmentation=[[1, 2, "x", 4, 5, 6]]),
        ["annotation 6 (image 'b.jpg'): segmentation[0] holds 'x', which is no number"],
    ),
    "a caption that is no text": (
        lambda d: d["annotations"][0].update(caption=7),
        ["annotation 5 (image 'a.jpg'): caption is 7, which is no text"],
    ),
    "an id that is true": (
        lambda d: d["annotations"][0].update(id=True),
        ["an annotation (image 'a.jpg'): id is True, which is neither a whole number nor text"],
    ),
    "no image_id": (lambda d: d["annotations"][0].pop("image_id"), ["annotation 5: has no image_id"]),
    "a whole number beyond 2**53": (
        lambda d: d["annotations"][0].update(bbox=[2**53 + 1, 1, 1, 1]),
        ["annotation 5 (image 'a.jpg'): bbox holds a whole number beyond 2**53"],
    ),
    "a category without a name": (
        lambda d: (d["categories"][1].pop("name"), d["annotations"].pop()),
        ["category 3: has no name that is text"],
    ),
    "an image that is no object": (lambda d: d["images"].append(7), ["image number 3: is not an object"]),
    "a file_name that is a number": (
        lambda d: (d["images"][1].update(file_name=7), d["annotations"].pop()),
        ["image 2: file_name is not text"],
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_name_their_records_and_nothing_is_imported(
    pets: Dataset, coco: Callable[..., Document], write: Write, name: str
) -> None:
    change, expected = ERRORS[name]
    document = bad(change)(coco())
    operation = pets.repository.store.head.operation
    with pytest.raises(InvalidRecordsError) as error:
        pets.import_(write(document))
    assert list(error.value.problems) == expected
    assert error.value.hint is not None and "--on-error skip" in error.value.hint
    assert not pets.has_draft() and pets.repository.store.head.operation == operation


@pytest.mark.parametrize(
    "name", ["/etc/a.jpg", "../a.jpg", "x/../../a.jpg", "C:\\a.jpg", "..\\a.jpg", "\\\\h\\a.jpg", "", "a\0b"]
)
def test_unsafe_file_names_are_refused(pets: Dataset, coco: Callable[..., Document], write: Write, name: str) -> None:
    document = coco()
    document["images"][1]["file_name"] = name
    del document["annotations"][1]
    with pytest.raises(InvalidRecordsError) as error:
        pets.import_(write(document))
    assert len(error.value.problems) == 1 and error.value.problems[0].startswith("image 2")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_none_name_each_annotation(
    pets: Dataset, coco: Callable[..., Document], write: Write, number: str
) -> None:
    text = json.dumps(coco()).replace("4.5", number).replace("81", number)
    with pytest.raises(InvalidRecordsError) as error:
        pets.import_(write(text))
    assert list(error.value.problems) == [
        f"annotation 5 (image 'a.jpg'): bbox[3] is {number}, which is no number",
        f"annotation 6 (image 'b.jpg'): area is {number}, which is no number",
    ]


def test_a_key_that_comes_twice_names_its_record(pets: Dataset, coco: Callable[..., Document], write: Write) -> None:
    text = json.dumps(coco())
    for twice in ('"iscrowd": 0, "area": 9', '"iscrowd" :0, "area": 9'):
        with pytest.raises(InvalidRecordsError) as error:
            pets.import_(write(text.replace('"iscrowd": 0', twice)))
        assert list(error.value.problems) == ["annotation 5 (image 'a.jpg'): the key 'area' comes twice"]
    with pytest.raises(InvalidRecordsError, match="comes twice: 'images'"):
        pets.import_(write(text.replace('"categories"', '"images": [], "categories"')))
    with pytest.raises(InvalidRecordsError) as error:
        pets.import_(write(text.replace('"width": 640', '"width": 640, "width": 641')))
    assert "the key 'width' comes twice" in error.value.problems[0]


def test_a_lone_surrogate_names_its_record(pets: Dataset, coco: Callable[..., Document], write: Write) -> None:
    text = json.dumps(coco()).replace('"dog"', '"d\\ud800g"')
    with pytest.raises(InvalidRecordsError) as error:
        pets.import_(write(text))
    assert "category 3" in error.value.problems[0] and "surrogate" in error.value.problems[0]


WRONG_FILES: dict[str, tuple[bytes, str]] = {
    "gzipped": (gzip.compress(b"{}"), "looks gzipped"),
    "zipped": (b"PK\x03\x04abc", "is no ZIP archive, or is cut short"),
    "UTF-16": ("{}".encode("utf-16"), "UTF-16"),
    "UTF-16 without a mark": ("{}".encode("utf-16-be"), "UTF-16"),
    "truncated": (b'{"images": [{"id": 1, "file_', "cut short"),
    "empty": (b"", "is empty"),
    "white space": (b" \n ", "white space"),
    "a list": (b'[{"image_id": 1}]', "results file"),
    "another kind": (b'{"shapes": [], "imagePath": "x"}', "has no 'images': its keys are"),
    "text": (b"hello", "does not look like JSON"),
    "Latin-1": (b'{"images": [], "x": "\xe9"}', "not UTF-8"),
    "images that are no list": (b'{"images": {"1": 2}}', "'images' is not a list"),
    "garbage behind the end": (b'{"images": []} x', "not valid JSON"),
    "deep nesting": (b'{"images": [], "x": ' + b"[" * 5000 + b"]" * 5000 + b"}", ""),
    "panoptic": (b'{"images": [], "annotations": [{"image_id": 1, "segments_info": []}]}', "panoptic: not yet"),
}


@pytest.mark.parametrize("name", WRONG_FILES)
def test_files_that_are_not_coco_say_what_they_look_like(pets: Dataset, write: Write, name: str) -> None:
    content, expected = WRONG_FILES[name]
    with pytest.raises(InvalidRecordsError) as error:
        pets.import_(write(content))
    assert expected in error.value.message and error.value.hint
    assert not pets.has_draft()


def test_no_file_and_a_folder(pets: Dataset, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        pets.import_(tmp_path / "none.json")
    with pytest.raises(RefusedError, match="is a folder"):
        pets.import_(tmp_path)


def test_many_errors_are_counted(pets: Dataset, coco: Callable[..., Document], write: Write) -> None:
    document = coco()
    document["annotations"] = [{**document["annotations"][0], "id": n, "category_id": 9} for n in range(2500)]
    with pytest.raises(InvalidRecordsError, match="2500 errors") as error:
        pets.import_(write(document))
    assert error.value.problems[2] == "annotation 2 (image 'a.jpg'): its category 9 is not declared in the file"


# ---- skipping what is wrong


def test_rejects_can_be_mended_and_imported(
    pets: Dataset, coco: Callable[..., Document], write: Write, tmp_path: Path
) -> None:
    text = json.dumps(coco()).replace("4.5", "NaN")
    report = pets.import_(write(text), on_error="skip")
    assert (report.inputs, report.annotations, report.refused) == (2, 1, 1)
    assert report.rejects == tmp_path / "file.rejects.json"
    mended = report.rejects.read_text().replace("NaN", "4.5")
    report.rejects.write_text(mended)
    report = pets.import_(report.rejects)
    assert (report.annotations, report.refused) == (1, 0)
    (document,) = export(pets, tmp_path / "out").values()
    for name in LISTS:
        assert in_order(document[name]) == in_order(coco()[name])


def test_a_rejects_file_is_never_overwritten(pets: Dataset, coco: Callable[..., Document], write: Write) -> None:
    document = coco()
    document["annotations"][0]["category_id"] = 9
    first = pets.import_(write(document), on_error="skip").rejects
    document["annotations"][0]["category_id"] = 10
    pets.discard()
    second = pets.import_(write(document), on_error="skip").rejects
    assert first is not None and second is not None
    assert first.name == "file.rejects.json" and second.name == "file.rejects-2.json"


# ---- several files


def test_a_changed_file_is_followed(pets: Dataset, coco: Callable[..., Document], write: Write) -> None:
    document = coco()
    pets.import_(write(document))
    document["annotations"].pop()
    report = pets.import_(write(document))
    assert (report.changed, report.tally.unchanged, report.tally.gone, report.removed) == (False, 1, 1, (0, 0))
    stays = "1 annotation that the source listed before, and does not list now, stays; remove it with --sync"
    assert report.notes == (stays,)
    assert pets.import_(write(document), sync="annotations").removed == (0, 1)
    assert len(list(pets.draft().annotation_entries())) == 1


def test_instances_keypoints_and_captions_of_one_picture_meet(
    pets: Dataset, coco: Callable[..., Document], write: Write, tmp_path: Path
) -> None:
    instances = coco()
    del instances["annotations"][0]["iscrowd"]
    keypoints = coco(
        annotations=[{**instances["annotations"][0], "keypoints": [1, 2, 2, 0, 0, 0], "num_keypoints": 1}],
        categories=[{**instances["categories"][0], "keypoints": ["nose", "tail"], "skeleton": [[1, 2]]}],
    )
    captions = coco(annotations=[{"id": 5, "image_id": 1, "caption": "a cat"}])
    del captions["categories"]
    for name, document in (("instances", instances), ("person_keypoints", keypoints), ("captions", captions)):
        pets.import_(write(document, f"{name}.json"))
    assert len(list(pets.draft().annotations("a.jpg"))) == 2
    files = export(pets, tmp_path / "out")
    assert files.keys() == {"instances", "person_keypoints", "captions"}
    same_records(instances, files["instances"])
    assert in_order(files["person_keypoints"]["annotations"]) == in_order(keypoints["annotations"])
    assert keypoints["categories"][0] in files["person_keypoints"]["categories"]
    same_records(captions, files["captions"])


def test_only_captions(pets: Dataset, coco: Callable[..., Document], write: Write, tmp_path: Path) -> None:
    document = coco(annotations=[{"id": n, "image_id": 1, "caption": f"cat {n}"} for n in range(3)])
    del document["categories"]
    pets.import_(write(document))
    files = export(pets, tmp_path / "out")
    same_records(document, files["captions"])


def test_files_that_disagree_are_in_conflict(pets: Dataset, coco: Callable[..., Document], write: Write) -> None:
    pets.import_(write(coco(), "one.json"))
    document = coco()
    document["images"][0]["width"] = 641
    assert pets.import_(write(document, "two.json")).conflicts == 1
    found = pets.draft()["a.jpg"].input
    assert (found.declared_width, found.conflicts) == (None, {"width": (640, 641)})


# ---- media


def test_images_are_stored_and_missing_and_extra_ones_are_told(
    pets: Dataset, coco: Callable[..., Document], write: Write, tmp_path: Path
) -> None:
    write(b"\x89PNG not really", "images/a.jpg")
    write(b"more", "images/c.jpg")
    report = pets.import_(write(coco()), images=tmp_path / "images")
    assert report.missing == ("b.jpg",) and report.extra == ("c.jpg",)
    pets.commit("with media")
    assert pets.at()["a.jpg"].read_bytes() == b"\x89PNG not really"
    files = pets.at().export("coco", tmp_path / "out", media=True)
    assert (tmp_path / "out/images/a.jpg").read_bytes() == b"\x89PNG not really"
    assert files.notes == ("1 image has no bytes in the repository",)


def test_inputs_known_by_name_get_their_bytes_later(
    pets: Dataset, coco: Callable[..., Document], write: Write, tmp_path: Path
) -> None:
    path = write(coco())
    pets.import_(path)
    write(b"later", "images/b.jpg")
    report = pets.import_(path, images=tmp_path / "images")
    assert report.changed and report.missing == ("a.jpg",)
    assert not pets.import_(path, images=tmp_path / "images").changed
    assert pets.add(tmp_path / "images", root=tmp_path / "images").unchanged == 1


# ---- the fast ways give the bytes of the careful one


def test_plain_and_careful_reading_give_the_same_bytes(corpus: Path, coco: Callable[..., Document]) -> None:
    from msgspec import Raw

    from dsvc.formats.coco_annotations import read_carefully
    from dsvc.formats.coco_file import join_batch
    from dsvc.formats.coco_plain import read_plain
    from dsvc.formats.coco_read import CocoIncoming

    def entries(document: bytes) -> tuple[Any, Any]:
        incoming = CocoIncoming(memoryview(document), "x")
        list(incoming.inputs())
        rows = incoming._annotations
        assert all(isinstance(row, Raw) for row in rows)
        return read_plain(join_batch(rows), incoming.tables), read_carefully(rows, incoming)

    documents = [(corpus / name).read_bytes() for name in VALID]
    for name, change in variants().items():
        document = coco()
        change(document)
        if document.get("annotations") and name != "a name with backslashes":
            documents += [json.dumps(document).encode(), json.dumps(document, indent=1).encode()]
    plain_ones = 0
    for document in documents:
        plain, careful = entries(document)
        if plain is not None:
            plain_ones += 1
            assert plain.entries == careful
    assert plain_ones > 60


def test_a_worker_gives_the_same_bytes_and_may_die(
    pets: Dataset, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dsvc.formats import coco_read, worker

    path = corpus / "coco/instances_val2014_100.json"
    monkeypatch.setattr(coco_read, "worker_count", lambda: 1)
    monkeypatch.setattr(coco_file_module(), "BATCH", 100)
    pets.import_(path)
    alone = pets.draft().snapshot.roots
    monkeypatch.setattr(coco_read, "WORTHWHILE", 0)
    answered = []
    run = worker.Worker._take
    monkeypatch.setattr(worker.Worker, "_take", lambda self: answered.append(run(self)) or answered[-1])
    for program in (worker._PROGRAM, "raise SystemExit"):
        monkeypatch.setattr(worker, "_PROGRAM", program)
        other = pets.repository.create(f"other{len(answered)}")
        other.import_(path, source="instances_val2014_100")
        assert other.draft().snapshot.roots == alone
    assert any(answered) and not answered[-1]


def test_a_worker_writes_the_same_rows_and_may_die(
    pets: Dataset, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dsvc.formats import coco_write, worker

    for part in ("train", "valid"):  # ids collide, so that some batches are not plain
        pets.import_(corpus / f"coco/roboflow_bccd_{part}.coco.json")
    monkeypatch.setattr(coco_write, "worker_count", lambda: 1)
    monkeypatch.setattr(coco_write, "ROWS", 100)
    pets.commit("both")
    pets.at().export("coco", tmp_path / "alone.json")
    monkeypatch.setattr(coco_write, "WORTHWHILE", 0)
    answered = []
    run = worker.Worker._take
    monkeypatch.setattr(worker.Worker, "_take", lambda self: answered.append(run(self)) or answered[-1])
    for program in (worker._PROGRAM, "raise SystemExit"):
        monkeypatch.setattr(worker, "_PROGRAM", program)
        assert pets.at().export("coco", tmp_path / "alone.json").unchanged
    assert any(answered) and not answered[-1]


def coco_file_module() -> Any:
    from dsvc.formats import coco_file

    return coco_file


def test_an_annotation_of_our_own_has_what_cocos_tools_need(
    pets: Dataset, coco: Callable[..., Document], write: Write, tmp_path: Path
) -> None:
    import dsvc

    pets.import_(write(coco(annotations=[])))
    pets.annotate("a.jpg", "cat", shape=dsvc.Shape(box=(1, 2, 3, 4)))
    pets.annotate("b.jpg", "bird", shape=dsvc.Shape(polygons=((0, 0, 4, 0, 4, 2),)))
    (document,) = export(pets, tmp_path / "out").values()
    rows = {row["image_id"]: row for row in document["annotations"]}
    assert (rows[1]["area"], rows[1]["iscrowd"], rows[1]["bbox"]) == (12, 0, [1, 2, 3, 4])
    assert (rows[2]["area"], rows[2]["bbox"]) == (4, [0, 0, 4, 2])
    assert rows[2]["category_id"] in {c["id"] for c in document["categories"] if c["name"] == "bird"}


def test_cocos_tools_work_on_annotations_of_our_own(
    pets: Dataset, coco: Callable[..., Document], write: Write, tmp_path: Path
) -> None:
    from pycocotools.coco import COCO

    import dsvc

    pets.import_(write(coco(annotations=[])))
    pets.annotate("a.jpg", "cat", shape=dsvc.Shape(box=(1, 2, 3, 4)))
    pets.annotate("a.jpg", "cat")
    pets.annotate("a.jpg", shape=dsvc.Shape(box=(1, 2, 3, 4)))
    pets.annotate("a.jpg", text="a cat")
    pets.commit("ours")
    report = pets.at().export("coco", tmp_path / "out.json")
    whole = (
        "annotations of whole images were left out: COCO's tools need a box, and one file has no place for them beside"
    )
    unnamed = "2 annotations without a concept were left out, since COCO's tools cannot read them"
    assert report.notes == (f"1 {whole.replace('annotations', 'annotation', 1).replace('were', 'was', 1)}", unnamed)
    loaded = COCO(str(tmp_path / "out.json"))
    assert len(loaded.getAnnIds(areaRng=[-1, 100])) == 1
    assert all(loaded.anns[id]["segmentation"] == [] for id in loaded.getAnnIds())


def test_whole_images_have_a_file_of_their_own_and_negatives_none(
    pets: Dataset, coco: Callable[..., Document], write: Write, tmp_path: Path
) -> None:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    import dsvc

    pets.import_(write(coco(annotations=[])))
    pets.annotate("a.jpg", "cat", shape=dsvc.Shape(box=(1, 2, 3, 4)))
    pets.annotate("a.jpg", "dog")
    pets.annotate("b.jpg", "cat", value=0)
    pets.annotate("b.jpg", "dog", value=0, shape=dsvc.Shape(box=(1, 2, 3, 4)))
    pets.annotate("b.jpg", "cat", keypoints=(1, 2, 2, 5, 9, 1, 0, 0, 0))
    pets.annotate("b.jpg", "dog", shape=dsvc.Shape(mask=dsvc.Mask(height=4, width=4, counts=(5, 2, 2, 1, 6))))
    pets.set("a.jpg", split="val")
    pets.commit("ours")
    report = pets.at().export("coco", tmp_path / "out")
    negatives = "2 negative annotations were left out, since COCO can only say what is there"
    assert report.losses == (negatives,) and (report.entries, report.annotations) == (3, 4)
    files = sorted(path.name for path in (tmp_path / "out" / "annotations").iterdir())
    assert files == ["instances.json", "instances_val.json", "labels_val.json"]
    (label,) = json.loads((tmp_path / "out/annotations/labels_val.json").read_text())["annotations"]
    assert label.keys() == {"id", "image_id", "category_id"} and label["category_id"] == 3
    loaded = COCO(str(tmp_path / "out/annotations/instances.json"))
    boxes = sorted((found["bbox"], found["area"]) for found in loaded.anns.values())
    assert boxes == [([1.0, 1.0, 2.0, 2.0], 3.0), ([1, 2, 4, 7], 28)]
    found = [{"image_id": 2, "category_id": 1, "bbox": [1, 2, 4, 7], "score": 0.9}]
    evaluation = COCOeval(loaded, loaded.loadRes(found), "bbox")
    evaluation.evaluate()
    # The way back: the same records, and the same files again.
    again = pets.repository.create("again")
    again.import_(tmp_path / "out")
    again.commit("back")
    assert again.at().export("coco", tmp_path / "back").losses == ()
    for name in files:
        first, second = (json.loads((tmp_path / place / "annotations" / name).read_text()) for place in ("out", "back"))
        for document in (first, second):
            document["annotations"].sort(key=lambda row: row["id"])
        assert first == second


def test_numbers_that_come_again_with_other_content_are_told(
    pets: Dataset, coco: Callable[..., Document], write: Write
) -> None:
    pets.import_(write(coco(), "one.json"))
    document = coco()
    for annotation in document["annotations"]:
        annotation["bbox"][0] += 1
    report = pets.import_(write(document, "two.json"))
    assert report.notes == (
        "2 annotations have the number of one that was there, but say something else: both stand",
        "if this is a new delivery of source one: dsvc undo, then import it with --source one",
    )


def test_a_mended_reject_may_name_any_category(pets: Dataset, coco: Callable[..., Document], write: Write) -> None:
    document = coco()
    document["annotations"][0]["category_id"] = 9
    rejects = pets.import_(write(document), on_error="skip").rejects
    assert rejects is not None
    rejects.write_text(rejects.read_text().replace('"category_id": 9', '"category_id": 3'))
    assert pets.import_(rejects).annotations == 1


@pytest.mark.parametrize("name", ["", "x" * 2000, "a\0b"])
def test_a_category_needs_a_usable_name(pets: Dataset, coco: Callable[..., Document], write: Write, name: str) -> None:
    with pytest.raises(InvalidRecordsError) as error:
        pets.import_(write(coco(annotations=[], categories=[{"id": 1, "name": name}])))
    assert error.value.problems[0].startswith("category 1")


@pytest.mark.parametrize("place", ["images", "annotations", "categories", "info"])
def test_what_is_nested_too_deeply_is_named(
    pets: Dataset, coco: Callable[..., Document], write: Write, place: str
) -> None:
    document, deep = coco(), json.loads("[" * 63 + "]" * 63)
    (document[place] if place == "info" else document[place][0])["deep"] = deep
    with pytest.raises(InvalidRecordsError) as error:
        pets.import_(write(document))
    assert "nested deeper" in error.value.message + " ".join(error.value.problems)


def test_a_pipe_is_no_file(pets: Dataset, tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "pipe.json")
    with pytest.raises(RefusedError, match="no regular file"):
        pets.import_(tmp_path / "pipe.json")
