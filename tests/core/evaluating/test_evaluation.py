"""Evaluations as they are made and kept: their numbers, their versions, their record."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from core.evaluating.conftest import CAT, DOG
from studied import evaluation_record

import dsvc
from dsvc.core.dataset import Dataset
from dsvc.core.evaluating.comparing import compare_evaluations
from dsvc.core.evaluating.record import describe, plain_record
from dsvc.core.ledger import Entry, set_entry, stage_file, store_entry
from dsvc.core.repository import Repository
from dsvc.core.transaction import Refs
from dsvc.errors import DamagedError, InvalidRecordsError, NotFoundError, RefusedError, UsageError
from dsvc.model.commit import Author, Moment, load_commit
from dsvc.model.records import Annotation, Media, Shape
from dsvc.model.view import EVAL_PREDICTIONS, EVAL_TRUTH, EVALUATION, RUN

ADA = Author("Ada", "ada@example.org")
Write = Callable[..., Path]
# What pycocotools says of the corpus.
BOX = "0.5046 0.6970 0.5730 0.5856 0.5194 0.5014 0.3868 0.5937 0.5954 0.6398 0.5664 0.5643"
MASK = "0.3195 0.5623 0.2989 0.3874 0.3102 0.3269 0.2682 0.4154 0.4168 0.4694 0.3768 0.3815"


@pytest.mark.parametrize(("file", "kind", "figures"), [("bbox", "box", BOX), ("segm", "mask", MASK)])
def test_the_known_figures(pets: Dataset, corpus: Path, file: str, kind: str, figures: str) -> None:
    with pets.edit(message="all") as draft:
        draft.import_(corpus / "coco" / "instances_val2014_100.json")
    made = pets.evaluate("pets", corpus / "results" / f"instances_val2014_fake{file}100_results.json")
    assert " ".join(f"{value:.4f}" for value in made.scores.figures.values()) == figures
    assert (made.scores.kind, made.entry.record["figures"]) == (kind, dict(made.scores.figures))
    assert made.entry.record["counts"] == {"inputs": 100, "annotations": 839, "predictions": 734}


def test_ground_truth_against_itself(pets: Dataset, corpus: Path) -> None:
    with pets.edit(message="all") as draft:
        draft.import_(corpus / "coco" / "roboflow_bccd_valid.coco.json")
    figures = pets.evaluate("pets", "pets").scores.figures
    assert {name: figures[name] for name in ("AP", "AP50", "AP75", "AR100")} == dict.fromkeys(
        ("AP", "AP50", "AP75", "AR100"), 1.0
    )


def test_what_is_kept(labelled: Dataset, write: Write) -> None:
    time = Moment(1_700_000_000, 60)
    bob = Author("Bob", "bob@example.org")
    file = write([DOG, {**CAT, "extra": [1]}], "results.json")
    made = labelled.evaluate("pets@v1", file, score=0.25, message="first", author=bob, time=time)
    entry = made.entry
    assert labelled.evaluations() == [entry] and labelled.evaluation(entry.id[:4]) == entry
    assert (entry.author, entry.time) == (bob, time)
    truth, predictions = labelled.versions(auto=True)
    if truth.version.origin != EVAL_TRUTH:
        truth, predictions = predictions, truth
    assert (truth.version.origin, predictions.version.origin) == (EVAL_TRUTH, EVAL_PREDICTIONS)
    assert predictions.name == f"auto-generated-20231114T221320Z-{entry.id}"
    assert (truth.version.message, predictions.version.message) == (f"ground truth of evaluation {entry.id}", "first")
    assert truth.version.commit == labelled.head and entry.of == (labelled.head, predictions.version.commit)
    record = {name: value for name, value in entry.record.items() if name not in ("figures", "concepts")}
    assert record == {
        "id": entry.id,
        "type": "box",
        "dataset": "pets",
        "message": "first",
        "truth": {"version": truth.name, "commit": truth.version.commit.hex(), "revision": "pets@v1"},
        "predictions": {
            "version": predictions.name,
            "commit": predictions.version.commit.hex(),
            "run": None,
            "file": "results.json",
            "revision": None,
        },
        "where": None,
        "predicted": False,
        "iou": 0.5,
        "score": 0.25,
        "counts": {"inputs": 2, "annotations": 2, "predictions": 2},
    }
    assert entry.record["figures"]["AP"] == 1.0 and entry.record["concepts"]["dog"]["AP"] == 1.0
    assert labelled.scores(entry.id) == made.scores


def test_the_commit_of_predictions(labelled: Dataset, write: Write) -> None:
    file = write([DOG, {**CAT, "extra": [1], "id": 7}, CAT, CAT], "results.json")
    entry = labelled.evaluate("pets@v1", file).entry
    commit = load_commit(labelled.repository.store, entry.of[1])
    assert (commit.parents, dict(commit.notes)) == ((), {"predicts": bytes(entry.of[0])})
    assert commit.message == "predictions of results.json on pets@v1"
    state = labelled.at(f"@{entry.record['predictions']['version']}")
    truth = labelled.at("@v1")
    assert list(state.inputs()) == list(truth.inputs()) and list(state.concepts()) == list(truth.concepts())
    cats = sorted(state.annotations("a.jpg"), key=lambda one: int(one.number or 0))
    assert [one.number for one in cats] == [2, 3, 4] and len({one.id for one in cats}) == 3
    assert [(one.concept, one.value, one.shape) for one in cats] == [("cat", 0.9, Shape(box=(1, 2, 3, 4.5)))] * 3
    assert cats[0].extras == {"coco": {"extra": [1], "id": 7}} and cats[1].extras == {}
    assert [one.value for one in state.annotations("b.jpg")] == [0.8]
    assert labelled.repository.check().damage == ()


def test_a_file_whose_name_is_no_text(labelled: Dataset, write: Write) -> None:
    file = write([CAT], "results\udcff.json")
    assert labelled.evaluate("pets@v1", file).entry.record["predictions"]["file"] == "results\\udcff.json"


def test_undo_takes_all_of_it_away(labelled: Dataset, write: Write) -> None:
    view = labelled.repository.operation.view
    labelled.evaluate("pets@v1", write([CAT], "results.json"))
    labelled.repository.undo()
    assert labelled.repository.operation.view == view
    assert (labelled.evaluations(), labelled.versions(auto=True)) == ([], [])
    labelled.repository.redo()
    assert len(labelled.evaluations()) == 1


def test_a_deleted_evaluation_takes_its_versions_with_it(labelled: Dataset, write: Write) -> None:
    file = write([CAT], "results.json")
    first, second = (labelled.evaluate("pets@v1", file).entry for _ in range(2))
    names = [second.record["truth"]["version"], second.record["predictions"]["version"]]
    gone = labelled.delete_evaluation(first.id, dry_run=True)
    assert len(labelled.evaluations()) == 2
    assert labelled.delete_evaluation(first.id[:5]) == gone and len(gone) == 2
    assert labelled.evaluations() == [second]
    assert sorted(version.name for version in labelled.versions(auto=True)) == sorted(names)
    with pytest.raises(RefusedError, match=f"is the data of evaluation {second.id}"):
        labelled.delete_version(names[1])
    assert labelled.delete_evaluation(second.id) == sorted(names)
    assert labelled.versions(auto=True) == []
    labelled.repository.undo()
    assert labelled.evaluations() == [second]


def test_evaluations_that_are_not_there(labelled: Dataset) -> None:
    for ask in (labelled.scores, labelled.delete_evaluation, labelled.evaluation):
        with pytest.raises(NotFoundError, match="has no evaluation 'aaaa1111'"):
            ask("aaaa1111")


def test_numbers_that_are_damaged(labelled: Dataset) -> None:
    commit = labelled.version("v1").version.commit
    record = evaluation_record("aaaa1111", "pets", ("v1", commit), ("v1", commit))
    enter(labelled, EVALUATION, record, {"scores.json": b'{"kind": "box"}'})
    with pytest.raises(DamagedError, match="the scores of an evaluation cannot be read"):
        labelled.scores("aaaa1111")
    enter(labelled, EVALUATION, record | {"id": "bbbb1111"}, {})
    with pytest.raises(NotFoundError, match=r"has no file 'scores.json'"):
        labelled.scores("bbbb1111")


def enter(pets: Dataset, kind: str, record: dict[str, Any], files: dict[str, bytes]) -> None:
    """Enter a run or an evaluation of the head."""
    assert pets.head is not None
    with pets.repository.transaction(kind) as transaction:
        staged: dict[str, Media] = {name: stage_file(transaction.writer, data) for name, data in files.items()}

        def change(refs: Refs) -> None:
            assert pets.head is not None
            commit = store_entry(transaction.writer, kind, record, staged, [pets.head], ADA, Moment(5))
            set_entry(refs, kind, pets.name, record["id"], commit)

        transaction.run(change)


def test_what_somebody_else_wrote_is_told_as_far_as_it_goes(labelled: Dataset, write: Write) -> None:
    entry = labelled.evaluate("pets@v1", write([CAT], "results.json"), where="true").entry
    assert describe(entry) == ("", "pets@v1", "results.json", "true", False)
    record = {name: value for name, value in entry.record.items() if name not in ("message", "predicted")}
    sides = {
        name: {"version": None, "commit": record[name]["commit"], "run": 5, "x": b""}
        for name in ("truth", "predictions")
    }
    other = entry._replace(record=record | sides)
    truth, predictions = (f"@{commit.hex()[:12]}" for commit in entry.of)
    assert describe(other) == ("", truth, predictions, "true", False)
    plain = plain_record(other)
    assert plain["truth"] == {"version": None, "commit": entry.of[0].hex(), "revision": None}
    assert json.loads(json.dumps(plain)) == plain and plain.keys() == plain_record(entry).keys()


# ---- what is evaluated


def test_a_filter_narrows_the_ground_truth(labelled: Dataset, write: Write) -> None:
    file = write([CAT, DOG, DOG], "results.json")
    made = labelled.evaluate("pets@v1", file, where="key = 'a.jpg'")
    assert made.entry.record["counts"] == {"inputs": 1, "annotations": 1, "predictions": 1}
    assert made.notes == ("left out 2 predictions of inputs that the filter leaves out",)
    assert made.entry.record["where"] == "key = 'a.jpg'" and set(made.scores.inputs) == {"a.jpg"}
    state = labelled.at(f"@{made.entry.record['predictions']['version']}")
    assert [record.key for record in state.inputs()] == ["a.jpg"] and len(list(state.concepts())) == 2


def test_only_what_was_predicted(labelled: Dataset, write: Write) -> None:
    file = write([DOG], "results.json")
    assert set(labelled.evaluate("pets@v1", file).scores.inputs) == {"a.jpg", "b.jpg"}
    made = labelled.evaluate("pets@v1", file, predicted=True)
    assert set(made.scores.inputs) == {"b.jpg"} and made.entry.record["predicted"]
    assert made.entry.record["counts"]["inputs"] == 1
    state = labelled.at(f"@{made.entry.record['predictions']['version']}")
    assert [record.key for record in state.inputs()] == ["b.jpg"]


def test_what_is_staged_is_no_part(labelled: Dataset, write: Write) -> None:
    file = write([CAT], "results.json")
    labelled.annotate("a.jpg", "cat", shape=Shape(box=(50, 50, 9, 9)))
    made = labelled.evaluate("pets", file)
    assert made.notes == ("what is staged on pets is no part of it",)
    assert made.entry.record["counts"]["annotations"] == 2 and made.entry.of[0] == labelled.head
    assert labelled.evaluate("pets@v1", file).notes == () and labelled.has_draft()


def test_a_revision_of_another_dataset(labelled: Dataset, repo: Repository, write: Write) -> None:
    other = repo.create("other")
    file = write([CAT, DOG], "results.json")
    made = other.evaluate("pets@v1", file)
    assert labelled.evaluations() == [made.entry] and other.evaluations() == []


# ---- numbers and names


def test_images_by_file_name(labelled: Dataset, write: Write) -> None:
    plain = {name: value for name, value in CAT.items() if name != "image_id"}
    rows = [{**plain, "file_name": "./a.jpg"}, {**plain, "file_name": "b.jpg"}, {**CAT, "file_name": "a.jpg"}]
    # Some tools number images by what is in the file's name.
    rows.append({**plain, "image_id": 77, "file_name": "b.jpg"})
    state = labelled.at(f"@{labelled.evaluate('pets@v1', write(rows)).entry.record['predictions']['version']}")
    assert [len(sample.annotations) for sample in state] == [2, 2]


def test_concepts_by_name(pets: Dataset, write: Write, coco: Callable[..., Any]) -> None:
    names = {1: "cat", 2: "big dog", 3: "owl", 4: "owl"}
    categories = [{"id": number, "name": name} for number, name in names.items()]
    with pets.edit(message="all") as draft:
        draft.import_(write(coco(categories=categories, annotations=[])))
    ids = {concept.number: concept.id for concept in pets.at("pets").concepts()}
    plain = {name: value for name, value in CAT.items() if name != "category_id"}
    rows = [{**plain, "category": ids[number]} for number in names]
    rows += [{**plain, "category": name, "category_id": number} for number, name in names.items()]
    rows.append({**plain, "category": "cat", "extra": 1})
    state = pets.at(f"@{pets.evaluate('pets', write(rows)).entry.record['predictions']['version']}")
    found = sorted(state.annotations("a.jpg"), key=lambda one: int(one.number or 0))
    assert len(set(ids.values())) == 4
    assert [one.concept for one in found] == [*(ids[number] for number in (1, 2, 3, 4) * 2), "cat"]


def test_predictions_made_on_another_version(labelled: Dataset, write: Write, coco: Callable[..., Any]) -> None:
    other = labelled.repository.create("renumbered")
    images = [{"id": 51, "file_name": "a.jpg"}, {"id": 52, "file_name": "b.jpg"}]
    with other.edit(message="all") as draft:
        draft.import_(write(coco(images=images, categories=[{"id": 9, "name": "cat"}], annotations=[])))
    file = write([{**CAT, "image_id": 51, "category_id": 9}], "results.json")
    made = labelled.evaluate("pets@v1", file, made_on="renumbered")
    assert made.scores.inputs["a.jpg"].found == 1
    with pytest.raises(InvalidRecordsError) as error:
        labelled.evaluate("pets@v1", file)
    assert error.value.problems == ("record 1 (image 51): its image is not in pets@v1",)
    with other.edit(message="more") as draft:
        draft.import_(write(coco(images=[*images, {"id": 53, "file_name": "c.jpg"}], annotations=[])))
    rows = [{**CAT, "image_id": 53}, {**CAT, "image_id": 52, "category_id": 3}]
    with pytest.raises(InvalidRecordsError) as error:
        labelled.evaluate("pets@v1", write(rows), made_on="renumbered")
    assert error.value.problems[0] == "record 1 (image 53): its image 'c.jpg' is not in pets@v1"


def test_numbers_are_those_of_the_export(
    repo: Repository, write: Write, coco: Callable[..., Any], tmp_path: Path
) -> None:
    pets = repo.create("pets")
    with pets.edit(message="all") as draft:
        draft.import_(write(coco(), "one.json"))
        images = [{"id": 1, "file_name": "z.jpg"}, {"id": 2, "file_name": "0.jpg"}]
        categories = [{"id": 1, "name": "zebra"}]
        draft.import_(write(coco(images=images, annotations=[], categories=categories), "two.json"))
    pets.at("pets").export("coco", tmp_path / "out.json")
    out = json.loads((tmp_path / "out.json").read_text())
    numbers = {row["file_name"]: row["id"] for row in out["images"]}
    zebra = next(row["id"] for row in out["categories"] if row["name"] == "zebra")
    assert len(set(numbers.values())) == 4 and zebra != 1
    rows = [{**CAT, "image_id": number, "category_id": zebra} for number in numbers.values()]
    made = pets.evaluate("pets", write(rows, "results.json"))
    assert list(pets.evaluations()[0].record["counts"].values()) == [2, 4, 4]
    state = pets.at(f"@{made.entry.record['predictions']['version']}")
    assert [(s.key, [one.concept for one in s.annotations]) for s in state] == [
        (key, ["zebra"]) for key in ("0.jpg", "a.jpg", "b.jpg", "z.jpg")
    ]


def test_each_split_is_numbered_by_itself(repo: Repository, write: Write, coco: Callable[..., Any]) -> None:
    pets = repo.create("pets")
    with pets.edit(message="all") as draft:
        for split in ("train", "val"):
            document = coco(images=[{"id": 1, "file_name": f"{split}.jpg"}], annotations=[])
            draft.import_(write(document, f"{split}.json"), split=split)
    file = write([CAT], "results.json")
    with pytest.raises(InvalidRecordsError) as error:
        pets.evaluate("pets", file)
    assert error.value.problems == ("record 1 (image 1): its image may be each of 'train.jpg', 'val.jpg'",)
    assert "--where \"split = 'val'\"" in (error.value.hint or "")
    assert list(pets.evaluate("pets", file, where="split = 'val'").scores.inputs) == ["val.jpg"]
    named = write([{**CAT, "file_name": "train.jpg"}], "named.json")
    assert pets.evaluate("pets", named, predicted=True).scores.inputs.keys() == {"train.jpg"}


def test_numbers_of_an_export_to_one_file(repo: Repository, write: Write, coco: Callable[..., Any]) -> None:
    pets = repo.create("pets")
    with pets.edit(message="all") as draft:
        for split in ("train", "val"):
            document = coco(images=[{"id": 1, "file_name": f"{split}.jpg"}], annotations=[])
            draft.import_(write(document, f"{split}.json"), split=split)
    pets.at("pets").export("coco", (one := write("", "x").parent / "one.json"))
    numbers = [image["id"] for image in json.loads(one.read_text())["images"]]
    assert len(set(numbers)) == 2 and 1 in numbers
    file = write([{**CAT, "image_id": number} for number in numbers], "results.json")
    for where in (None, "split = 'val'"):
        with pytest.raises(InvalidRecordsError) as error:
            pets.evaluate("pets", file, where=where)
        hint = "they are numbered as in an export to one file: say --numbers single, or give file_name"
        assert error.value.hint == hint
    made = pets.evaluate("pets", file, numbers="single")
    state = pets.at(f"@{made.entry.record['predictions']['version']}")
    assert [len(sample.annotations) for sample in state] == [1, 1]
    one_split = pets.evaluate("pets", file, numbers="single", where="split = 'val'")
    assert one_split.notes[0] == "left out 1 prediction of inputs that the filter leaves out"
    first = write([{**CAT, "image_id": 1}], "first.json")
    with pytest.raises(InvalidRecordsError) as error:
        pets.evaluate("pets", first)
    assert (error.value.hint or "").endswith("are they those of an export to one file? --numbers single")
    assert pets.evaluate("pets", first, numbers="single", predicted=True).scores.inputs.keys() == {"train.jpg"}


def test_numbers_are_said_of_files_alone(labelled: Dataset, write: Write) -> None:
    file = write([CAT, DOG], "results.json")
    figures = labelled.evaluate("pets@v1", file).scores.figures
    assert labelled.evaluate("pets@v1", file, numbers="single").scores.figures == figures
    with pytest.raises(UsageError, match="go by their keys") as error:
        labelled.evaluate("pets", "pets@v1", numbers="single")
    assert error.value.hint == "leave out --numbers"
    enter(labelled, RUN, {"id": "cccc1111", "dataset": "pets", "version": "v1", "where": None}, {})
    with pytest.raises(UsageError, match="have its own version's numbers"):
        labelled.evaluate(run="cccc", numbers="single")
    with pytest.raises(UsageError, match="are not numbered by 'one'"):
        labelled.evaluate("pets", file, numbers="one")  # type: ignore[arg-type]
    with pytest.raises(InvalidRecordsError) as unknown:
        labelled.evaluate("pets@v1", write([{**CAT, "image_id": 9}], "other.json"), numbers="single")
    assert (unknown.value.hint or "").startswith("were they made on another version?")


def test_a_ground_truth_that_has_nothing_of_the_kind(labelled: Dataset, write: Write) -> None:
    made = labelled.evaluate("pets@v1", write([{"image_id": 1, "category_id": 1, "score": 0.5}], "results.json"))
    assert set(made.scores.figures.values()) == {None}
    assert made.notes == ("pets@v1 has no concepts of whole inputs that count, so that no figure is defined",)
    assert labelled.evaluate("pets@v1", write([CAT], "boxes.json")).notes == ()


# ---- other sources


def test_classes(repo: Repository, write: Write, coco: Callable[..., Any]) -> None:
    pets = repo.create("pets")
    with pets.edit(message="all") as draft:
        draft.import_(write(coco(annotations=[])))
        for key, concept in (("a.jpg", "cat"), ("b.jpg", "dog")):
            draft.annotate(Annotation(key=key, id="", concept=concept))
    scores = {1: (0.9, 0.1), 2: (0.6, 0.4)}
    rows = [
        {"image_id": image, "category_id": category, "score": score}
        for image, pair in scores.items()
        for category, score in zip((1, 3), pair, strict=True)
    ]
    made = pets.evaluate("pets", write(rows, "results.json"))
    assert (made.entry.record["type"], made.scores.figures["accuracy"]) == ("classification", 0.5)
    assert made.scores.figures["roc_auc"] == 1.0
    some = write(rows[:2], "some.json")
    with pytest.raises(InvalidRecordsError) as error:
        pets.evaluate("pets", some)
    assert error.value.problems == ("b.jpg: no class was predicted",) and "--predicted" in (error.value.hint or "")
    assert pets.evaluate("pets", some, predicted=True).scores.figures["accuracy"] == 1.0


def test_a_revision_as_predictions(labelled: Dataset, write: Write, coco: Callable[..., Any]) -> None:
    other = labelled.repository.create("model")
    with other.edit(message="predicted") as draft:
        draft.import_(write(coco(annotations=[])))
        for value in (0.25, 0.75):
            box = Shape(box=(1, 2, 3, 4.5))
            draft.annotate(Annotation(key="a.jpg", id="", concept="cat", shape=box, value=value))
    made = labelled.evaluate("pets@v1", "model")
    assert made.entry.record["predictions"]["revision"] == f"model@{other.head.short()}"
    assert made.entry.record["concepts"]["cat"]["AP"] == 1.0
    state = labelled.at(f"@{made.entry.record['predictions']['version']}")
    assert sorted(one.value for one in state.annotations("a.jpg")) == [0.25, 0.75]
    with other.edit(message="one without") as draft:
        draft.annotate(Annotation(key="b.jpg", id="x", concept="dog", shape=Shape(box=(1, 1, 2, 2))))
    with pytest.raises(InvalidRecordsError) as error:
        labelled.evaluate("pets@v1", "model")
    name = f"model@{other.head.short()}"
    assert error.value.message == f"{name}: 1 error; it cannot be evaluated on pets@v1"
    (found,) = other.at().annotations("b.jpg")
    assert error.value.problems == (f"b.jpg#{found.id}: has no value, which is the score, and others have one",)


def test_a_revision_of_what_the_truth_has_not(labelled: Dataset, write: Write, coco: Callable[..., Any]) -> None:
    other = labelled.repository.create("model")
    images = [{"id": 1, "file_name": "a.jpg"}, {"id": 2, "file_name": "c.jpg"}]
    with other.edit(message="all") as draft:
        draft.import_(write(coco(images=images, categories=[{"id": 1, "name": "cat"}, {"id": 3, "name": "emu"}])))
        draft.annotate(Annotation(key="a.jpg", id="", concept="emu", shape=Shape(box=(1, 1, 2, 2))))
    with pytest.raises(InvalidRecordsError) as error:
        labelled.evaluate("pets@v1", "model")
    emu = next(one.id for one in other.at().annotations("a.jpg") if one.concept == "emu")
    assert error.value.problems == (
        f"a.jpg#{emu}: its concept 'emu' is not in pets@v1",
        "input 'c.jpg' (1 annotation) is not in pets@v1",
    )


def test_what_a_revision_predicts(labelled: Dataset) -> None:
    made = labelled.evaluate("pets", "pets")
    # One has a box alone, the other polygons too: boxes are what both have.
    name = f"pets@{labelled.head.short()}"
    bare = f"no annotation of {name} has a value, which would be the score: each counts as 1"
    assert (made.entry.record["type"], made.notes) == ("box", (bare,))
    made = labelled.evaluate("pets", "pets", kind="mask")
    assert made.notes == (f"left out 1 prediction of {name} that have not polygons or a mask", bare)
    assert (made.scores.figures["AP"], made.entry.record["counts"]["predictions"]) == (1.0, 1)
    labelled.annotate("a.jpg", "dog")
    labelled.annotate("a.jpg", text="no concept")
    labelled.commit("a class")
    with pytest.raises(UsageError, match="of 3 annotations 1 have polygons or a mask, 2 have a box, 1 have a concept"):
        labelled.evaluate("pets", "pets")
    assert labelled.evaluate("pets", "pets", kind="classification", predicted=True).scores.figures["accuracy"] == 1.0
    assert labelled.evaluate("pets@v1", "pets", kind="box", where="key = 'b.jpg'").scores.figures["AP"] == 1.0


def test_scores_that_a_file_of_annotations_had(
    labelled: Dataset, repo: Repository, write: Callable[..., Path], coco: Callable[..., dict[str, Any]]
) -> None:
    scored = coco()
    for annotation, score in zip(scored["annotations"], (0.25, 1), strict=True):
        annotation["score"] = score
    model = repo.create("model")
    with model.edit() as draft:
        draft.import_(write(scored))
    model.commit("predictions")
    made = labelled.evaluate("pets@v1", "model", kind="box")
    assert made.notes == ()
    version = labelled.at(f"@{made.entry.record['predictions']['version']}")
    assert sorted(one.value for key in ("a.jpg", "b.jpg") for one in version.annotations(key)) == [0.25, 1]


def test_a_revision_that_predicts_nothing(labelled: Dataset, repo: Repository) -> None:
    empty = repo.create("empty")
    empty.commit("nothing", allow_empty=True)
    with pytest.raises(InvalidRecordsError, match="holds no predictions"):
        labelled.evaluate("pets", "empty")
    assert labelled.evaluate("pets", "empty", kind="box").scores.figures["AP"] == 0.0


def test_the_predictions_of_a_run(labelled: Dataset) -> None:
    record = {"id": "cccc1111", "dataset": "pets", "version": "v1", "where": None}
    enter(labelled, RUN, record, {"predictions.json": json.dumps([CAT, DOG]).encode()})
    made = labelled.evaluate(run="cccc")
    assert made.entry.record["predictions"]["run"] == "cccc1111"
    assert made.entry.record["truth"]["revision"] == "pets@v1" and made.scores.figures["AP"] == 1.0
    labelled.evaluate("pets", run="cccc1111")
    enter(
        labelled,
        RUN,
        record | {"id": "dddd1111", "where": "key = 'a.jpg'"},
        {"predictions.json": json.dumps([DOG]).encode()},
    )
    with pytest.raises(InvalidRecordsError) as error:
        labelled.evaluate("pets", run="dddd")
    assert error.value.problems == ("record 1 (image 2): its image is not in pets@v1",)
    enter(labelled, RUN, record | {"id": "eeee1111"}, {"log.txt": b""})
    with pytest.raises(NotFoundError, match="run eeee1111 left no predictions"):
        labelled.evaluate("pets", run="eeee")
    enter(labelled, RUN, record | {"id": "ffff1111"}, {"predictions.json": b""})
    with pytest.raises(InvalidRecordsError, match=r"predictions.json of run ffff1111 is empty"):
        labelled.evaluate("pets", run="ffff")
    with pytest.raises(UsageError, match="have its own version's numbers"):
        labelled.evaluate("pets", run="cccc", made_on="pets")


# ---- two of them


def test_comparing(labelled: Dataset, write: Write) -> None:
    some, all = write([CAT], "some.json"), write([CAT, DOG], "all.json")
    old, new = labelled.evaluate("pets@v1", some).entry, labelled.evaluate("pets@v1", all).entry
    found = compare_evaluations(labelled, old, new)
    assert found.notes == () and [one.key for one in found.comparison.better] == ["b.jpg"]
    assert found.comparison.figures["AP"].delta == 0.5
    labelled.annotate("a.jpg", "dog", shape=Shape(box=(100, 100, 9, 9)))
    labelled.commit("one more")
    other = labelled.evaluate("pets", some, where="key = 'a.jpg'", predicted=True).entry
    before, after = (labelled.at(name).commit for name in ("@v1", "pets"))
    assert before is not None and after is not None
    assert compare_evaluations(labelled, old, other).notes == (
        f"the ground truths differ, pets@v1 and pets@{after.short()}; see how: "
        f"dsvc diff @{before.short()} @{after.short()}",
        "the filters differ: all inputs, and key = 'a.jpg'",
        "one is of inputs that have predictions only, the other of all",
        "1 input only in the first evaluation",
    )
    mask = labelled.evaluate("pets@v1", "pets@v1", kind="mask").entry
    with pytest.raises(RefusedError, match="of different type"):
        compare_evaluations(labelled, old, mask)


def test_two_at_once(labelled: Dataset, write: Write) -> None:
    file = write([CAT], "results.json")
    other = dsvc.open(labelled.repository.root, author=ADA).dataset("pets")
    entries: list[Entry] = []
    make = labelled.repository.transaction

    def overtaken(command: str) -> Any:
        if not entries:
            labelled.repository.transaction = make  # type: ignore[method-assign]
            transaction = make(command)
            entries.append(other.evaluate("pets@v1", file).entry)
            return transaction
        return make(command)

    labelled.repository.transaction = overtaken  # type: ignore[method-assign]
    entries.append(labelled.evaluate("pets@v1", file).entry)
    assert {entry.id for entry in labelled.evaluations()} == {entry.id for entry in entries}
    assert len(labelled.versions(auto=True)) == 4
