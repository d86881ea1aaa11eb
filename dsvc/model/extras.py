"""What the whole program must know of the fields that formats keep in an input's extras.

Some of them name concepts, and follow where a concept gets another name; some spell the input's key. All functions
here take an input as it is stored: the decoded map of its fields.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from dsvc.model.clashes import settle
from dsvc.model.facts import clashing
from dsvc.model.records import CONFLICTS

COCO = "coco"
# The lists of concepts by name that an image of COCO's (LVIS') may have.
CATEGORY_LISTS = ("neg_category_ids", "not_exhaustive_category_ids")
# The spelling of the key that a COCO file had, where that is not the key itself.
SPELLING = "file_name"
# Where an input's extras note which of COCO's own fields its source did not have.
ABSENT = "coco:absent"


def concept_lists(fields: Mapping[str, Any]) -> Iterator[tuple[str, list[Any]]]:
    """The lists of concepts that an input has, by field."""
    coco = fields.get("extras", {}).get(COCO)
    if isinstance(coco, dict):
        for name in CATEGORY_LISTS:
            if isinstance(coco.get(name), list):
                yield name, coco[name]


def listed_concepts(fields: Mapping[str, Any]) -> Iterator[list[Any]]:
    """The lists of concepts that an input has, and those that are candidates where such a list is in conflict."""
    for _, listed in concept_lists(fields):
        yield listed
    clashes = fields.get(CONFLICTS, {})
    for name in CATEGORY_LISTS:
        yield from (one for one in clashes.get(f"extras\0{COCO}\0{name}", ()) if isinstance(one, list))


def rename_listed(fields: dict[str, Any], names: Mapping[str, str | None]) -> bool:
    """Let an input's lists of concepts follow: old id -> new id, or None to take it out. Whether one changed."""
    changed = False
    for name, listed in list(concept_lists(fields)):
        renamed = _renamed(listed, names)
        if renamed != listed:
            fields["extras"][COCO][name] = renamed
            changed = True
    return changed


def _renamed(listed: list[Any], names: Mapping[str, str | None]) -> list[Any]:
    made: list[Any] = []
    for item in listed:
        if not isinstance(item, str) or item not in names:
            made.append(item)
        elif (new := names[item]) is not None and new not in made and new not in listed:
            made.append(new)
    return made


def forget_spelling(fields: dict[str, Any]) -> bool:
    """Drop what a source said of an input's key: it has another one now. Whether there was something."""
    extras = fields.get("extras", {})
    coco = extras.get(COCO)
    changed = isinstance(coco, dict) and coco.pop(SPELLING, None) is not None
    if extras.get(ABSENT) == [SPELLING]:
        del extras[ABSENT]
        changed = True
    path = f"extras\0{COCO}\0{SPELLING}"
    if path in clashing(fields):
        settle(fields, (path,))
        changed = True
    if changed:
        fields["extras"] = {name: value for name, value in extras.items() if value}
    return changed
