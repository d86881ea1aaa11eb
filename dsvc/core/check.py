"""Checking a repository: every byte, every link between objects, and what is odd in the records."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from dsvc.core.decoding import MediaChecker
from dsvc.core.dependents import Needed, find_dependents
from dsvc.core.links import Broken, Links
from dsvc.core.oddities import Finding, find_oddities
from dsvc.model.incoming import Progress
from dsvc.store.ids import ObjectId
from dsvc.store.objects import ObjectStore
from dsvc.store.verify import Finding as StoreFinding
from dsvc.store.verify import verify

if TYPE_CHECKING:
    from dsvc.core.repository import Repository

FOLDERS = ("packs/", "index/", "manifests/")


class Damage(NamedTuple):
    """Something that is lost or changed: `name` is the object or file, `text` what is wrong with it, `objects` which
    objects it holds or is, and `needed` what depends on them today. `is_past` tells that earlier operations do."""

    kind: str
    name: str
    text: str
    objects: frozenset[ObjectId] = frozenset()
    needed: Needed = Needed()
    is_past: bool = False


class CheckReport(NamedTuple):
    """What a check found. `damage` is lost or changed data; `findings` are records that are odd but whole.

    `notes` say what could not be looked at. `elsewhere` counts the media that a remote has and this repository has not,
    `purged` those that a tombstone names: neither is damage.
    """

    objects: int
    damage: tuple[Damage, ...]
    findings: tuple[Finding, ...]
    orphans: int = 0
    notes: tuple[str, ...] = ()
    elsewhere: int = 0
    purged: int = 0


def check(repository: Repository, *, media: bool = False, progress: Progress | None = None) -> CheckReport:
    """Verify all stored bytes and all links from every ref and operation, and look at the records.

    With `media`, media is decoded too, as far as there are libraries to do it and it is here: none is fetched for it.
    """
    store = repository.store
    store.refresh()
    found = verified(store)
    links = Links(repository)
    damage = _grouped(found, links)
    checker = MediaChecker(store) if media else None
    findings = list(find_oddities(repository, checker, progress)) if not damage else []
    notes = [*checker.notes()] if checker is not None else []
    if links.going:
        count = len(links.going)
        what = "1 media file has" if count == 1 else f"{count:,} media files have"
        notes.append(f"{what} a tombstone, and bytes here still, which dsvc gc removes")
    return CheckReport(
        store.state.catalog.count(),
        tuple(_with_dependents(repository, damage, links)),
        tuple(findings),
        sum(one.problem == "orphan" and one.message.startswith(FOLDERS) for one in found),
        tuple(notes),
        links.elsewhere,
        links.purged,
    )


def verified(store: ObjectStore) -> list[StoreFinding]:
    """What `verify` finds. Files that others merged away meanwhile are no damage: then it looks again."""
    for _ in range(3):
        before = store.backend.read_head()
        found = list(verify(store))
        if store.backend.read_head() == before or all(finding.problem == "orphan" for finding in found):
            return found
    with store.backend.turn():
        return list(verify(store))


def _grouped(found: Iterable[StoreFinding], links: Links) -> list[Damage]:
    """What is damaged, a pack that is as a whole only once."""
    found = [one for one in found if one.problem != "orphan"]
    packs = {one.pack for one in found if one.object_id is None and one.pack is not None}
    held: dict[ObjectId | None, set[ObjectId]] = {pack: set() for pack in packs}
    damage: list[Damage] = []
    for one in found:
        if one.object_id in links.going:
            continue  # of media whose purge is under way, a part may be gone
        if one.object_id is not None and one.pack in packs:
            held[one.pack].add(one.object_id)
        elif one.pack is None or one.object_id is not None:
            name = str(one.object_id or "repository")
            damage.append(Damage("object", name, one.message, frozenset([one.object_id] if one.object_id else [])))
    for one in found:
        if one.object_id is None and one.pack is not None:
            objects = held[one.pack]
            text = one.message if not objects else f"{one.message}; {_count(len(objects))} in it cannot be read"
            damage.append(Damage("pack", str(one.pack), text, frozenset(objects)))
    known = frozenset[ObjectId]().union(*(one.objects for one in damage))
    return damage + [_broken(link) for link in links.broken if link.id not in known]


def _count(objects: int) -> str:
    return "1 object" if objects == 1 else f"{objects:,} objects"


def _broken(link: Broken) -> Damage:
    objects = frozenset([link.id] if link.id is not None else [])
    return Damage(link.kind, link.name, link.text, objects)


def _with_dependents(repository: Repository, damage: list[Damage], links: Links) -> list[Damage]:
    """The same damage, each with what needs it."""
    if not damage:
        return []
    needed = find_dependents(repository, {f"{at}": one.objects for at, one in enumerate(damage)})
    return [
        one._replace(needed=needed[f"{at}"], is_past=not one.objects.isdisjoint(links.seen))
        for at, one in enumerate(damage)
    ]
