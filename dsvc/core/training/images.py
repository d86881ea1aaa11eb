"""The ready trainer: learns the classes of pictures, and says what it makes of those that were held out.

The same data, options and libraries give the same numbers and the same files: nothing in it is random.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from dsvc.core.training.classified import Picture, read_classified
from dsvc.core.training.holding import hold_out
from dsvc.core.training.learning import learn, measure, store_model
from dsvc.core.training.pixels import Form, UnreadableError, find_form, read_row
from dsvc.core.training.trainers import find_trainer
from dsvc.errors import InvalidRecordsError, RefusedError

if TYPE_CHECKING:
    from dsvc.core.training.learning import Learned
    from dsvc.core.training.pixels import Row

_DIGITS = 6  # of a score
Number = int | str
Say = Callable[[str], object]


class Options(NamedTuple):
    """How to learn.

    `model`: svm or logistic. `size`: pictures become so many pixels wide and high; None: as large as they are, 32 at
    most. `holdout`: the split that is held out, or a percentage, see `hold_out`; `seed` is that of its hash. With
    `skip`, pictures that cannot be read are left out.
    """

    model: str = "svm"
    size: int | None = None
    holdout: str | None = None
    seed: int = 0
    skip: bool = False


def train_images(data: Path, run: Path, options: Options | None = None, say: Say = lambda _: None) -> dict[str, float]:
    """Learn from the COCO export with media in `data`; write metrics.json, predictions.json and model/ into `run`.

    Gives the metrics: accuracy and macro precision, recall and f1 of the pictures that were held out, and counts.
    Raises RefusedError, UsageError; InvalidRecordsError names pictures of several classes, and such as cannot be read.
    """
    options = options or Options()
    find_trainer("sklearn")
    found = read_classified(data)
    train, test, rule = hold_out(found.pictures, options.holdout, options.seed)
    say(f"{len(train):,} to learn from, {len(test):,} held out: {rule}")
    if found.without_class:
        say(f"{found.without_class:,} without a class passed over")
    problems: list[str] = []
    form = find_form([one.file for one in train if one.file], options.size)
    train, rows = _read(train, form, problems)
    test, others = _read(test, form, problems)
    _require_read(problems, train, test, options.skip, say)
    classes = _classes(train, test, found.names, say)
    say(f"{options.model} on {form}")
    learned = learn(options.model, rows, [classes.index(one.concept) for one in train], others)
    scores = learned.scores.round(_DIGITS)
    said = [str(classes[at]) for at in scores.argmax(axis=1)]
    metrics = measure([str(one.concept) for one in test], said)
    metrics |= {"n_train": len(train), "n_test": len(test), "n_classes": len(classes), "n_skipped": len(problems)}
    say(f"of what was held out: accuracy {metrics['accuracy']:.1%}, f1 {metrics['f1']:.1%}")
    _write(run / "metrics.json", metrics)
    _write(run / "predictions.json", _predictions(test, classes, scores.tolist(), found.is_numbered))
    _write_model(run / "model", learned, options.model, form, [found.names[concept] for concept in classes])
    return metrics


def _read(pictures: Sequence[Picture], form: Form, problems: list[str]) -> tuple[list[Picture], list[Row]]:
    """The pictures that can be read, and their pixels; what is wrong with the others goes to `problems`."""
    kept, rows = [], []
    for one in pictures:
        try:
            if one.file is None:
                raise UnreadableError("its bytes are not there")
            rows.append(read_row(one.file, form))
            kept.append(one)
        except UnreadableError as error:
            problems.append(f"{one.key}: {error}")
    return kept, rows


def _require_read(problems: list[str], train: Sequence[Picture], test: Sequence[Picture], skip: bool, say: Say) -> None:
    """Raise InvalidRecordsError where pictures could not be read and none is to be skipped, or none is left."""
    if not problems:
        return
    what = "1 picture" if len(problems) == 1 else f"{len(problems):,} pictures"
    if not skip:
        raise InvalidRecordsError(f"{what} cannot be read", problems, "mend them, or leave them out: --on-error skip")
    if not train or not test:
        which = "to learn from" if not train else "that is held out"
        raise InvalidRecordsError(f"no picture {which} can be read", problems, "see: dsvc check --media")
    say(f"{what} skipped:")
    for problem in problems:
        say(f"  {problem}")


def _classes(train: Sequence[Picture], test: Sequence[Picture], names: dict[Number, str], say: Say) -> list[Number]:
    """The numbers of the classes to learn, by name. Raises RefusedError where there is one."""
    classes = sorted({one.concept for one in train}, key=lambda concept: (names[concept], str(concept)))
    if len(classes) == 1:
        message = f"all pictures to learn from are of one class: {names[classes[0]]}"
        raise RefusedError(message, "there must be two at least: label more, or hold out others: --holdout SPLIT")
    unknown = {one.concept for one in test}.difference(classes)
    if unknown:
        say(f"held out, but never learned from: {', '.join(sorted(names[concept] for concept in unknown))}")
    return classes


# ---- what is left behind


def _predictions(
    test: Sequence[Picture], classes: Sequence[Number], scores: list[list[float]], by_number: bool
) -> list[dict[str, Number | float]]:
    """COCO results without a box: of each picture that was held out, a score for every class."""
    return [
        {**({"image_id": one.number} if by_number else {"file_name": one.key}), "category_id": concept, "score": score}
        for one, row in zip(test, scores, strict=True)
        for concept, score in zip(classes, row, strict=True)
    ]


def _write_model(folder: Path, learned: Learned, model: str, form: Form, names: list[str]) -> None:
    """The model, and what whoever uses it must know."""
    folder.mkdir(exist_ok=True)
    store_model(learned, folder / "model.joblib")
    about = {
        "labels": names,
        "model": model,
        "size": form.size,
        "mode": form.mode,
        "pixels": "one row a picture, line by line, each value divided by 255",
        "scikit-learn": learned.version,
    }
    _write(folder / "labels.json", about)


def _write(file: Path, content: Any) -> None:
    if isinstance(content, list):
        text = "[" + ",\n".join(json.dumps(row, ensure_ascii=False) for row in content) + "]\n"
    else:
        text = json.dumps(content, ensure_ascii=False, indent=1) + "\n"
    file.write_text(text, encoding="utf-8")
