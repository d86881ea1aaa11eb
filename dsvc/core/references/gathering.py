"""Finding the files that places stand for: files themselves, all below a folder, all below a prefix of a bucket."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple

from dsvc.core.files.extensions import is_media_name
from dsvc.core.references.asked import Start, file_key, folder_key
from dsvc.core.references.folders import FolderWalk, Listing, Report, Row
from dsvc.core.references.journal import Journal
from dsvc.core.references.places import CLOUD, Look, Patience, PlaceError, Places, is_folder, scheme, shown_place
from dsvc.core.references.threads import side_by_side
from dsvc.errors import NotFoundError, RefusedError

_SOME = 256  # single places, before they are handed on


class Found(NamedTuple):
    """Files of one folder or prefix: `place` stands before their names, and `key` before their keys.

    Single files have "" and None there: their rows name the whole place, and `Gathering.keys` has their keys.
    """

    place: str
    key: str | None
    rows: list[Row]


class Gathering:
    """The files of some places, in batches. What a journal has is taken from it, and what is found is noted there.

    With `look` False, sizes and times are left out where they would cost a question. What cannot be taken goes to
    `report`. `keys` has the keys of single files by place; `hidden` counts the dot files that were passed over,
    `others` those of folders and prefixes that are no media by their names; with `all_files` these are taken.
    """

    def __init__(
        self,
        starts: list[Start],
        places: Places,
        journal: Journal,
        report: Report,
        look: bool,
        all_files: bool = False,
    ) -> None:
        self.keys: dict[str, list[str]] = {}
        self.hidden = self.others = 0
        # Whether files are media, by their names' endings.
        self._media: dict[str, bool] | None = None if all_files else {}
        self._places = places
        self._journal = journal
        self._report = report
        self._look = look
        self._patience = Patience()
        self._prefixes: list[Start] = []
        self._files: dict[str, list[Start]] = {}
        self._folders: list[Start] = []
        for start in starts:
            kind = scheme(start.place)
            if kind in CLOUD and start.place.endswith("/"):
                self._prefixes.append(start)
            else:
                self._files.setdefault(start.place, []).append(start)

    def __iter__(self) -> Iterator[Found]:
        yield from self._singles()
        for start in self._folders:
            yield from self._folder(start)
        for start in self._prefixes:
            try:
                yield from self._prefix(start)
            except PlaceError as error:
                self._report(start.place, error.reason)

    # ---- single places

    def _singles(self) -> Iterator[Found]:
        listed = self._journal.listed.get("")
        known = {row[0]: row for row in listed.rows} if listed is not None else {}
        if not self._look:
            known |= {place: (place, None, None, None) for place in self._journal.read}
        rows = [known[place] for place in self._files if place in known and self._name(place)]
        if rows:
            yield Found("", None, rows)
        fresh = [place for place in self._files if place not in known]
        batch = 1 if any(map(scheme, fresh)) else 16
        rows = []
        for place, answer in zip(fresh, side_by_side(self._ask, fresh, batch), strict=True):
            self._patience.see(answer)
            row = self._answered(place, answer)
            if row is not None and self._name(place):
                rows.append(row)
            if len(rows) >= _SOME:
                yield self._note(rows)
                rows = []
        if rows:
            yield self._note(rows)

    def _note(self, rows: list[Row]) -> Found:
        if self._look:
            self._journal.note_listed(Listing("", rows))
        return Found("", None, rows)

    def _ask(self, place: str) -> Look | PlaceError | None:
        """What a place tells; None of a folder."""
        try:
            if scheme(place):
                return self._places.look(place) if self._look else Look()
            return self._places.look(place)
        except PlaceError as error:
            if not scheme(place) and error.trouble == "refused":
                try:
                    return None if is_folder(place) else error
                except PlaceError as other:
                    return other
            return error

    def _answered(self, place: str, answer: Look | PlaceError | None) -> Row | None:
        if isinstance(answer, Look):
            return (place, *answer)
        starts = self._files[place]
        if answer is None:
            for start in starts:
                if start.given is not None:
                    self._report(place, "is a folder, and a key names one input")
                else:
                    self._folders.append(start)
        elif answer.trouble == "gone" and not scheme(place) and not all(start.is_listed for start in starts):
            raise NotFoundError(f"{shown_place(place)}: there is no such file or folder")
        else:
            self._report(place, answer.reason)
        return None

    def _name(self, place: str) -> bool:
        """Give a single place its keys; whether there are any."""
        for start in self._files[place]:
            try:
                self.keys.setdefault(place, []).append(file_key(start))
            except RefusedError as error:
                self._report(place, error.message)
        return place in self.keys

    # ---- folders and prefixes

    def _chosen(self, rows: list[Row]) -> list[Row]:
        """The rows of media."""
        media = self._media
        if media is None:
            return rows
        chosen = []
        for row in rows:
            name = row[0]
            ending = name[name.rfind(".") :] if "." in name else ""
            if ending not in media:
                media[ending] = bool(is_media_name(f"x{ending}"))
            if media[ending]:
                chosen.append(row)
        self.others += len(rows) - len(chosen)
        return chosen

    def _folder(self, start: Start) -> Iterator[Found]:
        try:
            lead = folder_key(start)
        except RefusedError as error:
            self._report(start.place, error.message)
            return
        walk = FolderWalk(start.place, self._journal.listed, self._report, self._look)
        for listing, is_new in walk:
            if is_new and self._look:
                self._journal.note_listed(listing)
            self.hidden += listing.hidden
            inner = listing.folder[len(start.place) :].strip(os.sep)
            key = lead + (inner.replace(os.sep, "/") + "/" if inner else "")
            place = listing.folder if listing.folder.endswith(os.sep) else listing.folder + os.sep
            yield Found(place, key, self._chosen(listing.rows))

    def _prefix(self, start: Start) -> Iterator[Found]:
        try:
            lead = folder_key(start)
        except RefusedError as error:
            self._report(start.place, error.message)
            return
        known, after, hidden = self._journal.listed.get(start.place), "", 0
        if known is not None:
            hidden = known.hidden
            self.hidden += hidden
            yield Found(start.place, lead, self._chosen(known.rows))
            if known.inner is not None:
                return
            after = max((row[0] for row in known.rows), default="", key=str.encode)
        for batch in self._places.cloud.list(start.place, after):
            shown = [(name, *look) for name, look in batch if not name.startswith(".") and "/." not in name]
            hidden += len(batch) - len(shown)
            self.hidden += len(batch) - len(shown)
            if self._look:
                self._journal.note_listed(Listing(start.place, shown, None, hidden))
            yield Found(start.place, lead, self._chosen(shown))
        if self._look:
            self._journal.note_listed(Listing(start.place, [], [], hidden))
