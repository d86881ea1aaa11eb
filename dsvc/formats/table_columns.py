"""The columns of a table: which are known, what an unknown one may have been meant as."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from dsvc.core.keys import display
from dsvc.errors import InvalidRecordsError

LONGITUDE, LATITUDE = "geo.longitude", "geo.latitude"
NAMING = ("key", "path", "url")
KNOWN = (*NAMING, "text", "concepts", "split", "geo", LONGITUDE, LATITUDE)
METADATA = "metadata"
PREFIX = f"{METADATA}."
_SHOWN = 12
# How many names are looked at for what they may have been meant as.
_GUESSED = 100
_SHOWN_CHARACTERS = 60
# What other tools call the columns.
_CALLED = {
    "key": "id ids uid uuid guid name input input_id image_id sample sample_id index",
    "path": "file files filename file_name filepath file_path image images img image_path img_path image_file audio"
    " audio_path video video_path media paths",
    "url": "urls uri link href image_url img_url coco_url s3_path",
    "text": "sentence content document body",
    "concepts": "concept label labels class classes class_name category categories tag tags target",
    "split": "splits subset set fold partition",
    "geo": "coordinates location gps",
    LONGITUDE: "longitude long lon lng geo_longitude",
    LATITUDE: "latitude lat geo_latitude",
    f"{PREFIX}NAME": "meta metadata attributes",
}
_ALIASES = {alias: name for name, aliases in _CALLED.items() for alias in aliases.split()}


def refuse(name: str, looks: str, hint: str) -> InvalidRecordsError:
    """The error for a file that cannot be read as a table at all."""
    return InvalidRecordsError(f"{name}: {looks}", (), hint)


def is_known(name: str) -> bool:
    """Whether a column has a meaning."""
    return name in KNOWN or is_metadata(name)


def is_metadata(name: str) -> bool:
    """Whether a column is `metadata.NAME`."""
    return name.startswith(PREFIX) and len(name) > len(PREFIX)


def nearest(name: str) -> str | None:
    """The known column that an unknown one was probably meant as, or None."""
    plain = name.strip().lower().replace("-", "_").replace(" ", "_")
    for lead in ("metadata", "meta"):
        if plain.startswith((f"{lead}.", f"{lead}_", f"{lead}:")) and len(plain) > len(lead) + 1:
            return PREFIX + name.strip()[len(lead) + 1 :]
    if plain in KNOWN:
        return plain
    close = get_close_matches(plain, KNOWN, n=1, cutoff=0.75)
    return _ALIASES.get(plain) or (close[0] if close else None)


def check_names(names: Sequence[str], file: str, where: str) -> None:
    """Raise InvalidRecordsError unless the columns say which inputs the table is about.

    `where` says in the hint where columns are named, such as "the first row".
    """
    if any(name in names for name in NAMING):
        return
    near = next(((name, meant) for name in names[:_GUESSED] if (meant := nearest(name)) in NAMING), None)
    hint = f"{where} must name the columns: key (the input's key), path (a file) or url (a place elsewhere)"
    if near is not None:
        hint = f"did you mean {near[1]} by {shown(near[0])}? rename it"
    raise refuse(file, f"has no column key (nor path, nor url); its columns are {listed(names)}", hint)


def check_twice(names: Sequence[str], file: str) -> None:
    """Raise InvalidRecordsError where two columns have one name, other than none."""
    places: dict[str, int] = {}
    for place, name in enumerate(names, 1):
        first = places.setdefault(name, place)
        if name and first != place:
            raise refuse(file, f"columns {first} and {place} are both named {shown(name)}", "rename one of the two")


def unknown_note(names: Iterable[str], nested: bool = False) -> str | None:
    """What to tell about columns that have no meaning; None where all have one.

    `nested` where a column `metadata` may hold objects.
    """
    unknown = [name for name in names if not is_known(name) and not (nested and name == METADATA)]
    if not unknown:
        return None
    meant = {name: nearest(name) for name in unknown[:_SHOWN]}
    parts = [shown(name) + (f" (did you mean {shown(near)}?)" if near else "") for name, near in meant.items()]
    tail = f" and {len(unknown) - _SHOWN} more" if len(unknown) > _SHOWN else ""
    noun, them = ("columns", "them") if len(unknown) > 1 else ("column", "it")
    example = next((name for name, near in meant.items() if not near), unknown[0])
    rename = f"rename {them}, or " if any(meant.values()) else ""
    way = f"{rename}name {them} {PREFIX}{shown(example.strip()) or 'NAME'} to keep the values"
    return f"{noun} not known and left out: {', '.join(parts)}{tail}; {way}"


def listed(names: Sequence[str]) -> str:
    """Names for a message, the first dozen."""
    tail = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(map(shown, names[:_SHOWN])) + tail


def shown(name: str) -> str:
    """A column's name for a message: without control characters, and not too long."""
    return display(name[:_SHOWN_CHARACTERS]) + ("..." if len(name) > _SHOWN_CHARACTERS else "")
