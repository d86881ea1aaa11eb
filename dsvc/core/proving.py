"""Proving records: whether what went wrong with a state is the fault of what is stored.

Records that came from elsewhere may name what is not there. To look at all of them before every use would cost as much
as the use, so it is done once something went wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dsvc.errors import DamagedError

if TYPE_CHECKING:
    from dsvc.model.walk import Walk

_WRONG = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


@contextmanager
def proving(walk: Walk) -> Iterator[None]:
    """Where the body fails, and a record of the state is at fault, tell of that record: raises DamagedError."""
    try:
        yield
    except _WRONG as error:
        prove_records(walk, error)
        raise


def prove_records(walk: Walk, cause: BaseException | None = None) -> None:
    """Raise DamagedError for the first record that cannot be read, or that names a concept that is not there."""
    concepts = {concept.id for concept in walk.concepts()}
    for sample in walk.samples():
        for annotation in sample.annotations:
            if annotation.concept is not None and annotation.concept not in concepts:
                name = f"{annotation.key}#{annotation.id}"
                message = f"annotation {name!r} names the concept {annotation.concept!r}, which is not there"
                raise DamagedError(message, "see all that is wrong: dsvc check") from cause
