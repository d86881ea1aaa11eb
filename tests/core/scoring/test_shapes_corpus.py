"""Real COCO files, taken in and scored: the same figures as pycocotools gives for the files themselves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from scored import direct, from_results, stats

from dsvc.core.dataset import Dataset
from dsvc.core.scoring.shapes import score_shapes
from dsvc.core.state import State

VAL = "coco/instances_val2014_100.json"
BOX = (0.5046, 0.6970, 0.5730, 0.5856, 0.5194, 0.5014, 0.3868, 0.5937, 0.5954, 0.6398, 0.5664, 0.5643)
MASK = (0.3195, 0.5623, 0.2989, 0.3874, 0.3102, 0.3269, 0.2682, 0.4154, 0.4168, 0.4694, 0.3768, 0.3815)
NAMES = ["AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl"]


def taken_in(dataset: Dataset, file: Path) -> State:
    with dataset.edit() as draft:
        draft.import_(file)
    return dataset.draft()


@pytest.mark.parametrize(("kind", "file", "known"), [("box", "bbox", BOX), ("mask", "segm", MASK)])
def test_the_twelve_figures_of_real_results(
    corpus: Path, pets: Dataset, capsys: pytest.CaptureFixture[str], kind, file, known
) -> None:
    document = json.loads((corpus / VAL).read_text())
    rows = json.loads((corpus / f"results/instances_val2014_fake{file}100_results.json").read_text())
    state = taken_in(pets, corpus / VAL)
    numbers = {record.number: record.key for record in state.inputs()}
    names = {category["id"]: category["name"] for category in document["categories"]}
    capsys.readouterr()

    scores = score_shapes(kind, state.samples(), from_results(rows, numbers, names))

    assert capsys.readouterr() == ("", "")
    assert list(scores.figures) == NAMES
    assert tuple(round(value or 0, 4) for value in scores.figures.values()) == known
    evaluation = direct(kind, document, rows)
    assert list(scores.figures.values()) == pytest.approx(stats(evaluation), abs=1e-12)
    precision, recall = evaluation.eval["precision"], evaluation.eval["recall"]
    for at, category in enumerate(evaluation.params.catIds):
        own, name = precision[:, :, at, 0, 2], names[category]
        if own.max() < 0:
            assert scores.concepts.get(name, {}).get("AP") is None
            continue
        figures, curve = scores.concepts[name], scores.curves[name]
        assert figures["AP"] == pytest.approx(own.mean(), abs=1e-12)
        assert figures["AP50"] == pytest.approx(own[0].mean(), abs=1e-12)
        assert figures["AP75"] == pytest.approx(own[5].mean(), abs=1e-12)
        assert figures["AR100"] == pytest.approx(recall[:, at, 0, 2].mean(), abs=1e-12)
        assert curve.precision == tuple(own[0].tolist())
        assert curve.scores == tuple(evaluation.eval["scores"][0, :, at, 0, 2].tolist())


def test_ground_truth_against_itself_is_right_in_all(corpus: Path, pets: Dataset) -> None:
    state = taken_in(pets, corpus / "coco/roboflow_bccd_valid.coco.json")
    assert any(annotation.number == 0 for sample in state for annotation in sample.annotations)
    itself = {sample.key: sample.annotations for sample in state}

    scores = score_shapes("box", state.samples(), itself)

    assert [scores.figures[name] for name in ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR100")] == [1.0] * 7
    assert all(concept["AP"] == 1.0 for concept in scores.concepts.values())
    assert sum(counts.found for counts in scores.inputs.values()) == sum(len(sample) for sample in itself.values())
    assert not any(counts.wrong or counts.missed for counts in scores.inputs.values())


def test_masks_against_themselves(corpus: Path, pets: Dataset) -> None:
    """Polygons, and crowds as runs, of ground truth are what predictions are, too; what is a crowd is no mistake."""
    state = taken_in(pets, corpus / VAL)

    scores = score_shapes("mask", state.samples(), {sample.key: sample.annotations for sample in state})

    assert scores.figures["AP50"] == pytest.approx(1.0)
    assert not any(counts.wrong or counts.missed for counts in scores.inputs.values())
