"""Changes as text and as JSON, for dsvc diff."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from dsvc.cli.records import annotation_words, media_facts, numbers_text, plain, value_text
from dsvc.cli.render import short, shown, table

if TYPE_CHECKING:
    from dsvc.core.diffing.change import Change
    from dsvc.core.diffing.diff import InputDiff
    from dsvc.core.diffing.fields import Path
    from dsvc.core.diffing.stat import Stat
    from dsvc.model.records import Annotation, Media

# So many of an input's annotations are told, and so many of its concepts named.
ANNOTATIONS_SHOWN = 100
CONCEPTS_NAMED = 5
# So many concepts have a row in the counts.
ROWS = 50
NO_CONCEPT = "(no concept)"
_MARKS = {"added": "+", "removed": "-", "changed": "~"}
_SHORT = (str, int, float)
_SPANS = {"span": "characters", "time": "seconds", "frame": "frame"}


_OUTLINES = {"shape.polygons": "polygons", "shape.mask": "mask", "keypoints": "keypoints", "point": "point"}
_SIZES = {"shape.box": "box", "shape.area": "area"}


# ---- text


def concept_line(change: Change) -> str:
    """A concept that differs: `~ concept cat: supercategory pet -> animal`."""
    words = _conflict_words(change) if change.verb != "changed" else _field_words(change)
    return _joined(f"{_MARKS[change.verb]} concept {shown(change.name)}", words)


def input_lines(found: InputDiff) -> Iterator[str]:
    """An input that differs, and below it its annotations; those of one that came or went only as counts."""
    if found.is_whole and found.is_one_sided and found.input is not None:
        words = [*_conflict_words(found.input), *_counted(found)]
        yield _joined(f"{_MARKS[found.input.verb]} input {shown(found.key)}", words)
        return
    yield _input_line(found)
    for change in found.annotations[:ANNOTATIONS_SHOWN]:
        yield f"    {annotation_line(change)}"
    more = len(found.annotations) - ANNOTATIONS_SHOWN
    if more > 0:
        yield f"    ... and {more:,} more {'annotation' if more == 1 else 'annotations'}"


def _input_line(found: InputDiff) -> str:
    change = found.input
    if change is None or not found.is_whole:
        return f"  input {shown(found.key)}"
    if change.old_name is None:
        return _joined(f"~ input {shown(found.key)}", _field_words(change))
    return _joined(f"~ input {shown(change.old_name)} -> {shown(found.key)}", ["renamed", *_field_words(change)])


def _counted(found: InputDiff) -> list[str]:
    counts = sorted(found.concept_counts().items(), key=lambda item: (-item[1], item[0] is None, item[0] or ""))
    words = [f"{count:,} {NO_CONCEPT if name is None else shown(name)}" for name, count in counts[:CONCEPTS_NAMED]]
    rest = sum(count for _, count in counts[CONCEPTS_NAMED:])
    return [*words, *([f"{rest:,} of other concepts"] if rest else [])]


def annotation_line(change: Change) -> str:
    """An annotation that differs: `~ cat 42f40be1d8b4: moved by 12 px (IoU 0.87) and relabelled dog -> cat`."""
    old: Any = change.old
    new: Any = change.new
    names = [side.concept for side in (new, old) if side is not None and side.concept is not None]
    ids = [side.id for side in (old, new) if side is not None]
    name = f"{shown(names[0]) if names else NO_CONCEPT} {' -> '.join(shown(id) for id in dict.fromkeys(ids))}"
    if change.verb != "changed":
        words = annotation_words(old if new is None else new)  # which tell of conflicts
    else:
        verbs = _verbs(change, old, new)
        words = [*_same_place(change), *([" and ".join(verbs)] if verbs else []), *_other_words(change)]
    return _joined(f"{_MARKS[change.verb]} {name}", words)


def _same_place(change: Change) -> list[str]:
    if "new_id" not in change.kinds:
        return []
    return ["same place, new id" if change.iou is not None else "same content, new id"]


def _verbs(change: Change, old: Annotation, new: Annotation) -> list[str]:
    fields = change.fields()
    verbs = []
    if "moved" in change.kinds:
        verbs.append(_moved(change, fields))
    if "reshaped" in change.kinds:
        verbs.append(_reshaped(change, fields))
    if "relabelled" in change.kinds:
        verbs.append(f"relabelled {_short(old.concept)} -> {_short(new.concept)}")
    return verbs


def _moved(change: Change, fields: dict[str, tuple[Any, Any]]) -> str:
    how = [f"{word} {_short(fields[name][0])} -> {_short(fields[name][1])}"
           for name, word in _SPANS.items() if name in fields]  # fmt: skip
    far = f" by {_pixels(change.pixels)} px" if change.pixels is not None else ""
    how += [_iou(change.iou)] if change.iou is not None and change.iou < 1 else []
    return f"moved{far} ({', '.join(how)})" if how else f"moved{far}"


def _reshaped(change: Change, fields: dict[str, tuple[Any, Any]]) -> str:
    how = [_part(part, *fields[name]) for name, part in _OUTLINES.items() if name in fields]
    for name, part in _SIZES.items():
        # These follow the outline, unless they came or went.
        if name in fields and (not how or None in fields[name]):
            how.append(_part(part, *fields[name]))
    if "moved" not in change.kinds and change.iou is not None and change.iou < 1:
        how.append(_iou(change.iou))
    return f"reshaped ({', '.join(how)})"


def _part(name: str, old: Any, new: Any) -> str:
    if None in (old, new):
        return f"{name} {'added' if old is None else 'taken away'}"
    return f"area {_short(old)} -> {_short(new)}" if name == "area" else name


def _other_words(change: Change) -> list[str]:
    """Attributes, text and other fields, as far as no verb tells of them; and conflicts."""
    told = {"concept"} if "relabelled" in change.kinds else set()
    if {"moved", "reshaped"} & set(change.kinds):
        told |= {"shape", "keypoints", "point", *_SPANS}
    settled = set(change.settled)
    paths = [p for p in change.paths if p == ("shape", "unit") or p[0] not in told]
    paths = [p for p in paths if p[0] not in settled and ".".join(p) not in settled]
    return [*(_path_words(change, path) for path in paths), *_conflict_words(change)]


def _field_words(change: Change) -> list[str]:
    settled = set(change.settled)
    paths = [path for path in change.paths if path[0] not in settled and ".".join(path) not in settled]
    return [*(_path_words(change, path) for path in paths), *_conflict_words(change)]


def _conflict_words(change: Change) -> list[str]:
    words = [f"in conflict: {', '.join(map(shown, change.opened))}"] if change.opened else []
    return [*words, *([f"conflict settled: {', '.join(_settled(change))}"] if change.settled else [])]


def _settled(change: Change) -> Iterator[str]:
    """The fields whose conflicts were settled, each with the value that it has now where that is short."""
    from dsvc.core.diffing.fields import value_at

    for field in change.settled:
        path = next((path for path in change.paths if ".".join(path) == field), (field,))
        value = value_at(change.new, path) if hasattr(change.new, path[0]) else None
        text = _media_text(value) if field == "media" else _short(value) if value is not None else None
        yield f"{shown(field)} -> {text}" if text else shown(field)


def _media_text(media: Media | None) -> str | None:
    return ", ".join(media_facts(media).values()) if media is not None else None


def _path_words(change: Change, path: Path) -> str:
    """One field that differs, with its values where these are short: `split train -> val`."""
    from dsvc.core.diffing.fields import value_at

    name, old, new = shown(".".join(path)), value_at(change.old, path), value_at(change.new, path)
    if path == ("media",):
        return _media_words(old, new)
    texts = [_short(value) for value in (old, new)]
    if None not in texts and texts[0] != texts[1]:
        return f"{name} {texts[0]} -> {texts[1]}"
    return f"{name} {'added' if old is None else 'taken away' if new is None else 'changed'}"


def _short(value: Any) -> str | None:
    """A value as text, where it is short."""
    if value is None or isinstance(value, _SHORT):
        return value_text(value)
    if isinstance(value, tuple) and len(value) <= 4 and all(type(part) in (int, float) for part in value):
        return numbers_text(value)
    return None


def _media_words(old: Media | None, new: Media | None) -> str:
    before, after = ({} if side is None else media_facts(side) for side in (old, new))
    if not before or not after:
        return f"media {', '.join(after.values())} added" if after else "media taken away"
    names = [name for name in before | after if before.get(name) != after.get(name)]
    words = [f"{before.get(name, 'none')} -> {after.get(name, 'none').removeprefix('blob ')}" for name in names]
    return f"media {', '.join(words)}" if words else "media changed"


def _joined(line: str, words: list[str]) -> str:
    return f"{line}: {', '.join(words)}" if words else line


def _iou(share: float) -> str:
    """An IoU below 1, rounded down so that it does not read as 1."""
    return f"IoU {int(share * 1000) / 1000:g}"


def _pixels(count: float) -> str:
    return f"{count:,.0f}" if count >= 100 else f"{count:.2g}" if count < 1 else f"{count:.3g}"


# ---- counts


def stat_lines(stat: Stat) -> Iterator[str]:
    """Counts of what differs: a line a noun, then a table by concept."""
    for noun in ("inputs", "annotations", "concepts"):
        counts = getattr(stat, noun)
        words = [f"{counts[verb]:,} {verb}" for verb in ("added", "changed", "renamed", "removed") if counts.get(verb)]
        if noun == "annotations":
            words = [word + _how(counts) if word.endswith("changed") else word for word in words]
            words += [f"{counts['conflict']:,} in conflict"] if counts["conflict"] else []
        if words:
            yield f"{noun}: {', '.join(words)}"
    if stat.by_concept:
        yield from _concept_table(stat)


def _how(counts: dict[str, int]) -> str:
    """How annotations changed: ` (4 moved, 2 relabelled)`; one may have done both."""
    names = {"moved": "moved", "reshaped": "reshaped", "relabelled": "relabelled", "new_id": "with a new id"}
    words = [f"{counts[name]:,} {word}" for name, word in names.items() if counts[name]]
    return f" ({', '.join(words)})" if words else ""


def _concept_table(stat: Stat) -> Iterator[str]:
    rows = list(itertools.islice(stat.by_concept.items(), ROWS))
    columns = [name for name in rows[0][1] if any(counts[name] for counts in stat.by_concept.values())]
    head = ("by concept", *(name.replace("_", " ") for name in columns))
    cells = [
        (
            f"  {NO_CONCEPT if name is None else short(name)}",
            *(f"{counts[column]:,}" if counts[column] else "-" for column in columns),
        )
        for name, counts in rows
    ]
    yield from table([head, *cells], right=range(1, len(head)))
    more = len(stat.by_concept) - len(rows)
    if more:
        yield f"  ... and {more:,} more; all: --json"


# ---- JSON


def change_json(change: Change) -> dict[str, Any]:
    """A change as JSON: `fields` names what differs, `old` and `new` are the records or null."""
    return {
        "verb": change.verb,
        "noun": change.noun,
        "name": change.name,
        "old_name": change.old_name,
        "kind": list(change.kinds),
        "iou": change.iou,
        "pixels": change.pixels,
        "fields": list(change.fields()),
        "in_conflict": list(change.opened),
        "settled": list(change.settled),
        "old": plain(change.old) if change.old is not None else None,
        "new": plain(change.new) if change.new is not None else None,
    }


def stat_json(stat: Stat) -> dict[str, Any]:
    """Counts as JSON; `by_concept` is a list, as annotations without a concept are counted too."""
    by_concept = [{"concept": name, **counts} for name, counts in stat.by_concept.items()]
    return {"inputs": stat.inputs, "annotations": stat.annotations, "concepts": stat.concepts, "by_concept": by_concept}
