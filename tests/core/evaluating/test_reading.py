"""Results files that are wrong: each wrong record is named, and nothing is stored."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
from core.evaluating.conftest import CAT, DOG

from dsvc.core.dataset import Dataset
from dsvc.errors import DsvcError, InvalidRecordsError, NotFoundError, RefusedError, UsageError

Refused = Callable[..., Any]
NAMED = "record 2 (image 2): "
LIST = "a results file is a list of objects with image_id, category_id and score"
MEND = "nothing was stored; mend the records"


@pytest.mark.parametrize(
    ("content", "message", "hint"),
    [
        (b"", "is empty", "export it again, or name another file"),
        (b"\xef\xbb\xbf \n", "holds only white space", "export it again, or name another file"),
        (b"[", "is cut short: the text ends in the middle", "copy or export it again"),
        (b'[{"image_id": 1}, {"image', "is cut short: the text ends in the middle", "copy or export it again"),
        (b"[] x", "is not valid JSON: Extra data: line 1 column 4 (char 3)", "export it again"),
        (b"\x1f\x8b\x08", "looks gzipped", "unpack it first: gunzip results.json"),
        (b"PK\x03\x04", "looks like a ZIP archive", "unpack it first"),
        ("[]".encode("utf-16"), "looks like UTF-16 text", "save it as UTF-8"),
        *(
            (text, "looks like JSON lines; a results file is one JSON list", "write [RECORD, RECORD, ...]")
            for text in (
                b'{"image_id": 1}\n{"image_id": 2}\n',
                b'\xef\xbb\xbf{"image_id": 1}\r\n\r\n{"image_id": 2',
                b'{"image_id": 1}{"image_id": NaN}',
                b'[{"image_id": 1}]\n[{"image_id": 2}]',
            )
        ),
        (b"image_id,score", "does not look like JSON", LIST),
        (b"[" * 100_000, "holds lists or objects that are nested too deeply", "write it again"),
        (b"{}", "is an object, not a list of results: it is {}", LIST),
        (b'{"predictions": []}', "is an object, not a list of results: its keys are predictions", LIST),
        (
            b'{"images": [], "x": NaN}',
            "looks like a COCO annotation file, not like a list of results",
            "for predictions that it holds, import it into a dataset and give that: dsvc import results.json",
        ),
    ],
)
def test_what_is_no_results_file(refused: Refused, content: bytes, message: str, hint: str) -> None:
    error = refused(content)
    assert error.message.endswith(message)
    assert error.hint.replace(str(Path(error.hint.split()[-1]).parent) + "/", "") == hint


def test_text_that_is_no_utf_8(refused: Refused) -> None:
    error = refused(b'[{"image_id": "\xff"}]')
    assert "results.json" in error.message and "is not UTF-8 text" in error.message


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"score": ...}, "has no score"),
        ({"score": "0.9"}, 'score is "0.9", which is no number'),
        ({"score": None}, "score is null, which is no number"),
        ({"score": True}, "score is true, which is no number"),
        ({"score": float("nan")}, "score is NaN, which is no number"),
        ({"score": float("-inf")}, "score is -Infinity, which is no number"),
        ({"score": 10**400}, "score is too large"),
        (
            {"score": [0.5] * 50},
            f"score is {json.dumps([0.5] * 50, separators=(',', ':'))[:60]}..., which is no number",
        ),
        ({"bbox": ...}, "has no bbox, which the first record has"),
        ({"bbox": []}, "bbox is an empty list, which is no place"),
        ({"bbox": "x"}, 'bbox is "x", which is no list of numbers'),
        ({"bbox": [1, 2, 3]}, "bbox has 3 numbers, not 4"),
        ({"bbox": [1, 2, 3, None]}, "bbox[3] is null, which is no number"),
        ({"bbox": [1, 2, 3, float("inf")]}, "bbox[3] is Infinity, which is no number"),
        ({"bbox": [1, 2, 3, -(10**400)]}, "bbox[3] is too large"),
        ({"image_id": 2.0}, "image_id is 2.0, which is neither a whole number nor text"),
        ({"image_id": None}, "image_id is null, which is neither a whole number nor text"),
        ({"category_id": ...}, "has no category_id"),
        ({"category_id": None}, "category_id is null, which is neither a whole number nor text"),
        ({"category_id": 2}, "its category 2 is not in pets@v1"),
        ({"category_id": "dog"}, "its category 'dog' is not in pets@v1"),
        ({"category": "cat"}, "its category_id is that of 'dog', and its category is 'cat'"),
        ({"category": "bird"}, "its category_id is that of 'dog', and its category is 'bird'"),
        ({"category": 5}, "category is 5, which is no text"),
        ({"category": None}, "category is null, which is no text"),
        ({"category_id": ..., "category": "bird"}, "its category 'bird' is not in pets@v1"),
        ({"file_name": 5}, "file_name is 5, which is no text"),
        ({"file_name": "a.jpg"}, "its image_id is that of 'b.jpg', and its file_name that of 'a.jpg'"),
        ({"keypoints": [1, 2]}, "keypoints has 2 numbers, not 3 for each point"),
        ({"segmentation": 5}, "segmentation is 5, which is neither a run-length mask nor a list of polygons"),
        ({"segmentation": [[1, 2, 3, 4]]}, "segmentation[0] has 4 numbers; a polygon has x and y of 3 points or more"),
        ({"segmentation": ["x"]}, "segmentation[0] is no list of numbers"),
        ({"segmentation": {"counts": "x"}}, "segmentation has no size of two whole numbers: height and width"),
        ({"segmentation": {"size": [240, 320]}}, "segmentation has no counts that are text or a list of whole numbers"),
        (
            {"segmentation": {"size": [320, 240], "counts": [76800]}},
            "its mask is of 240 x 320 pixels, the input of 320 x 240",
        ),
        (
            {"segmentation": {"size": [240, 320], "counts": [5]}},
            "segmentation: the runs of a mask cover 5 pixels, not 76800",
        ),
        (
            {"segmentation": {"size": [240, 320], "counts": [-5, 76805]}},
            "segmentation: a run of a mask is below 0",
        ),
        ({"segmentation": {"size": [240, 320], "counts": "P"}}, "segmentation: the text of a mask ends too early"),
        ({"other": {"a": [float("nan")]}}, "other.a[0] is NaN, which is no number"),
        ({"other": "\ud800"}, "other: a lone surrogate in '\\ud800'"),
    ],
)
def test_a_wrong_record_is_named(refused: Refused, fields: dict[str, Any], wrong: str) -> None:
    record = {name: value for name, value in {**DOG, **fields}.items() if value is not ...}
    error = refused([CAT, record, CAT])
    assert error.message.endswith("results.json: 1 of 3 records cannot be evaluated")
    named = (
        NAMED if type(record["image_id"]) in (int, str) else "record 2: " if fields.keys() == {"image_id"} else NAMED
    )
    assert error.problems == (named + wrong,)
    numbered = wrong.startswith("its category ") and "category" not in fields
    assert ("dsvc export --format coco" in error.hint) == numbered


def test_other_wrong_records_are_named(refused: Refused) -> None:
    no_image = {"category_id": 1, "bbox": [1, 2, 3, 4], "score": 1}
    lost = {**no_image, "file_name": "../x.jpg"}
    text = json.dumps([5, no_image, lost, {**CAT, "image_id": 7}])
    twice = text[:-1] + ', {"image_id": 1, "score": 1, "score": 0.5}]'
    assert refused(twice).problems == (
        "record 1: is not an object",
        "record 2: has no image_id",
        "record 3 (image '../x.jpg'): its image is not in pets@v1",
        "record 4 (image 7): its image is not in pets@v1",
        "record 5 (image 1): the key 'score' comes twice",
    )
    many = refused(f'[{{"image_id": {"9" * 5000}, "category_id": 1, "score": 1}}]').problems
    assert many == ("record 1: image_id is 99999999999999999999... of 5,000 digits, which is no number",)


def test_what_was_made_on_another_version_is_told(refused: Refused, labelled: Dataset) -> None:
    strange = [{**CAT, "image_id": number} for number in range(100, 1300)]
    error = refused(strange)
    assert error.problems[0] == "record 1 (image 100): its image is not in pets@v1"
    assert (len(error.problems), error.count) == (1000, 1200)
    assert error.hint == "were they made on another version? its images have other numbers; say which: --made-on REV"
    assert refused([CAT, DOG, strange[0]]).hint == MEND


@pytest.mark.parametrize("part", ["bbox", "segmentation", "keypoints"])
@pytest.mark.parametrize("kind", [None, "classification", "box"])
def test_an_empty_place_is_no_place(refused: Refused, part: str, kind: Any) -> None:
    plain = {"image_id": 1, "category_id": 1, "score": 1}
    for more in ({}, {"extra": 1}):
        error = refused([{**plain, **more, part: []}], kind=kind)
        assert error.problems == (f"record 1 (image 1): {part} is an empty list, which is no place",)


def test_a_first_record_of_an_empty_place_tells_what_the_others_are(refused: Refused) -> None:
    empty = {"image_id": 1, "category_id": 1, "score": 1, "bbox": []}
    assert len(refused([empty, CAT, DOG]).problems) == 1


def test_an_empty_place_beside_another_is_left_out(labelled: Dataset, write: Callable[..., Path]) -> None:
    rows = [{**CAT, "segmentation": [], "keypoints": []}, {**DOG, "segmentation": [], "extra": 1}]
    assert labelled.evaluate("pets@v1", write(rows, "results.json")).scores.figures["AP"] == 1.0


def test_where_names_are_used_nothing_is_said_of_numbers(refused: Refused) -> None:
    plain = {name: value for name, value in CAT.items() if name != "image_id"}
    by_name = [{**plain, "file_name": f"{number}.jpg"} for number in range(3)]
    see = 'dsvc query "select key from inputs"'
    hint = f"file_name is the key of an input, or as its annotation file spelled it; see: {see}"
    assert refused(by_name).hint == hint
    assert refused([*[{**plain, "file_name": "a.jpg"}] * 9, by_name[0]]).hint == hint
    assert "numbers" in refused([{**by_name[0], "image_id": 9}]).hint
    named = {name: value for name, value in plain.items() if name != "category_id"}
    error = refused([{**named, "file_name": "a.jpg", "category": "bird"}])
    assert (error.problems, error.hint) == (
        ("record 1 (image 'a.jpg'): its category 'bird' is not in pets@v1",),
        "nothing was stored; category is the id of a concept, or its name: dsvc concept list",
    )


def test_kinds_are_not_mixed(refused: Refused) -> None:
    mask = {**DOG, "segmentation": {"size": [240, 320], "counts": [76800]}}
    error = refused([mask, CAT])
    assert error.problems == ("record 2 (image 1): has no segmentation, which the first record has",)
    assert error.hint == "say what is meant: --type box, mask, keypoints or classification"
    classes = [{"image_id": 1, "category_id": 1, "score": 1}, DOG]
    assert refused(classes).problems == ("record 2 (image 2): has a bbox, which the first record has not",)
    assert refused([CAT], kind="mask").problems == ("record 1 (image 1): has no segmentation",)
    assert refused([CAT], kind="classification").problems == ("record 1 (image 1): has a bbox",)
    assert refused([CAT], kind="keypoints").hint == "leave out --type: the first record tells what is predicted"


def test_keypoints_are_as_many_as_the_concept_has(
    pets: Dataset, write: Callable[..., Path], coco: Callable[..., dict[str, Any]]
) -> None:
    people = [{"id": 1, "name": "person", "keypoints": ["nose", "tail"]}]
    with pets.edit(message="all") as draft:
        draft.import_(write(coco(categories=people, annotations=[])))
    record = {"image_id": 1, "category_id": 1, "score": 1, "keypoints": [1, 2, 2]}
    with pytest.raises(InvalidRecordsError) as error:
        pets.evaluate("pets", write([record], "results.json"))
    assert error.value.problems == ("record 1 (image 1): keypoints has 3 numbers, not 6: x, y, visibility of 2 points",)


def test_files_that_hold_nothing(refused: Refused, labelled: Dataset, write: Callable[..., Path]) -> None:
    error = refused([])
    assert error.message == "results.json holds no predictions"
    assert error.hint == "to count all of the ground truth as missed, say of what: --type box, mask, keypoints"
    error = refused([CAT], where="key = 'b.jpg'", predicted=True)
    assert error.message == "results.json holds no predictions of these inputs"
    found = labelled.evaluate("pets@v1", write([], "results.json"), kind="box")
    assert (found.scores.figures["AP"], found.entry.record["counts"]["predictions"]) == (0.0, 0)


def test_arguments_that_cannot_be_meant(refused: Refused, labelled: Dataset, tmp_path: Path) -> None:
    assert "nothing of the type 'boxes'" in refused([CAT], UsageError, kind="boxes").message
    assert "an IoU" in refused([CAT], UsageError, iou=0).message
    assert "a score" in refused([CAT], UsageError, score=float("nan")).message
    assert "no input matches" in refused([CAT], RefusedError, where="key = 'x'").message
    assert "both predictions and a run" in refused([CAT], UsageError, run="aaaa").message
    for arguments, error, message in (
        (("pets@v1",), UsageError, "no predictions are named"),
        (("pets@v1", str(tmp_path)), UsageError, "is a folder"),
        (("pets@v1", "none.json"), NotFoundError, "no file none.json"),
        (("pets@v1", Path("none")), NotFoundError, "no file none"),
        (("pets@v1", "none"), NotFoundError, "no dataset, branch, version or commit named 'none'"),
        (("pets@v1", "a\0b"), UsageError, "is not a revision"),
        (("pets@v1", "x" * 300), NotFoundError, "no dataset, branch, version or commit named"),
        (("none", "pets"), NotFoundError, "no dataset, branch, version or commit named 'none'"),
    ):
        with pytest.raises(error, match=message):
            labelled.evaluate(*arguments)
    with pytest.raises(UsageError, match="no ground truth is named"):
        labelled.evaluate(None, "pets")
    with pytest.raises(UsageError, match="go by their keys"):
        labelled.evaluate("pets", "pets@v1", made_on="pets@v1")
    with pytest.raises(NotFoundError, match="has no run 'aaaa'"):
        labelled.evaluate("pets", run="aaaa")


def test_a_file_and_a_revision_of_one_name(labelled: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("pets").write_text(json.dumps([CAT]))
    with pytest.raises(UsageError, match="'pets' is a file and a revision"):
        labelled.evaluate("pets", "pets")
    assert labelled.evaluate("pets", "./pets").entry.record["predictions"]["file"] == "pets"
    assert labelled.evaluate("pets", "pets@HEAD", kind="box").entry.record["predictions"]["file"] is None


def test_a_dataset_without_a_commit(pets: Dataset, write: Callable[..., Path]) -> None:
    with pytest.raises(RefusedError, match="pets has no commit yet"):
        pets.evaluate("pets", write([CAT]))


NASTY: list[Any] = [
    None,
    True,
    "",
    "x",
    [],
    {},
    [[]],
    [None],
    -1,
    0,
    2**63,
    -(10**30),
    1.5,
    1e308,
    float("nan"),
    "\ud800",
]


def mutated(rng: Random) -> bytes:
    """The text of a results file in which something is not what it was."""
    mask = {"size": [240, 320], "counts": [76800]}
    rows: list[Any] = [
        dict(CAT),
        {**DOG, "segmentation": mask, "keypoints": [1, 2, 2]},
        {**DOG, "extra": {"a": [1]}},
    ]
    for _ in range(rng.randint(1, 3)):
        row = rng.choice(rows)
        name = rng.choice([*row, "segmentation", "keypoints", "other"])
        if name == "segmentation" and rng.random() < 0.5:
            row[name] = {
                **mask,
                rng.choice(["size", "counts", "x"]): rng.choice([*NASTY, [2, 2], [4], [76799, 1], "04"]),
            }
        elif rng.random() < 0.5 and isinstance(row.get(name), list) and row[name]:
            row[name] = [*row[name]]
            row[name][rng.randrange(len(row[name]))] = rng.choice(NASTY)
        else:
            row[name] = rng.choice(NASTY)
    text = bytearray(json.dumps(rows).encode())
    for _ in range(rng.choice([0, 0, 1, 2])):
        at = rng.randrange(len(text))
        text[at : at + rng.choice([0, 1, 1, 9])] = rng.choice([b"", b'"', b"{", b"]", b"9", b",", b"\xff", b"\0"])
    return bytes(text)


def test_mutated_files_give_clean_errors(labelled: Dataset, write: Callable[..., Path]) -> None:
    rng, outcomes = Random(7), Counter[str]()
    for _ in range(300):
        data = mutated(rng)
        try:
            labelled.evaluate("pets@v1", write(data, "results.json"), kind=rng.choice([None, "box", "mask"]))
            outcomes["fine"] += 1
        except DsvcError as error:
            assert isinstance(error, InvalidRecordsError), error
            outcomes["refused"] += 1
        except Exception as error:
            raise AssertionError(data) from error
    assert outcomes["fine"] > 5 and outcomes["refused"] > 100
    assert len(labelled.evaluations()) == outcomes["fine"]
