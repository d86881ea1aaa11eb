"""Which of dsvc's concepts the concepts of an archive are: by dsvc's own table, else by their names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from dsvc.formats.clarifai.read_schema import BadMessage
from dsvc.formats.clarifai.residue_read import KeptConcept
from dsvc.model.records import MAX_NAME, Concept, concept_id


class Concepts:
    """Gives ids. Of several concepts at Clarifai with one name, the first by id has the name, the others `name#id`.

    Which is the first shows only once all are known: `is_stale` says that ids given before are not the right ones.
    """

    def __init__(self) -> None:
        self.is_stale = False
        # Where only dsvc's own table counts.
        self.is_closed = False
        self._own: dict[str, Concept] = {}
        self._ids: dict[str, str] = {}
        self._named: dict[str, dict[str, tuple[str, Mapping[str, Any]]]] = {}

    def learn(self, table: Iterable[KeptConcept]) -> None:
        """Take dsvc's own table of all concepts. Raises BadMessage where two tables say different things."""
        for row in table:
            concept = row.concept()
            if not concept.id or "\0" in concept.id:
                raise BadMessage("has a concept without an id")
            if self._own.setdefault(row.clarifai, concept) != concept:
                raise BadMessage(f"has concept {concept.id!r} with other fields than another table of this archive")
            self.is_stale |= self._ids.get(row.clarifai, concept.id) != concept.id
            self._ids[row.clarifai] = concept.id

    @property
    def ids(self) -> dict[str, str]:
        """The ids of dsvc's own table, by those at Clarifai."""
        return {id_: concept.id for id_, concept in self._own.items()}

    def id_of(self, id_: str, name: str, more: Mapping[str, Any]) -> str:
        """The id of a concept of an id and a name at Clarifai. Raises BadMessage."""
        known = self._ids.get(id_)
        return known if known is not None else self._new(id_, name or id_, more)

    def _new(self, id_: str, name: str, more: Mapping[str, Any]) -> str:
        if self.is_closed:
            raise BadMessage(f"has a concept {id_!r} that is not in the table")
        plain = concept_id(name)
        if not name or "\0" in name or len(plain.encode()) > MAX_NAME:
            raise BadMessage(f"has a concept with no name, or with one of more than {MAX_NAME:,} bytes")
        same = self._named.setdefault(plain, {})
        if same and id_ < min(same):
            self.is_stale = True
        same[id_] = name, more
        self._ids[id_] = found = plain if id_ == min(same) else f"{plain}#{id_}"
        return found

    def again(self) -> None:
        """Begin again, with all that is known."""
        self.is_stale = False
        self._ids = {id_: concept.id for id_, concept in self._own.items()}
        for plain, same in self._named.items():
            first = min(same)
            for id_ in same:
                self._ids.setdefault(id_, plain if id_ == first else f"{plain}#{id_}")

    def records(self) -> list[Concept]:
        """All concepts: dsvc's own, and those that were met."""
        found = {concept.id: concept for concept in self._own.values()}
        for same in self._named.values():
            for id_, (name, more) in same.items():
                made = self._ids[id_]
                if made not in found:
                    extras = {**({"id": id_} if id_ != name else {}), **more}
                    found[made] = Concept(id=made, name=name, extras={"clarifai": extras} if extras else {})
        return [found[id_] for id_ in sorted(found)]
