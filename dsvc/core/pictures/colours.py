"""Colours: one for each concept, the same on every machine, and those of a sheet."""

from __future__ import annotations

from blake3 import blake3

Colour = tuple[int, int, int]

# Told apart by most people with a colour-blindness too, and seen on photographs; after Okabe and Ito, and Tol.
_PALETTE = (
    "e69f00 56b4e9 009e73 f0e442 0072b2 d55e00 cc79a7 4b3fbf 44aa99 117733 "
    "a5a52d cc6677 aa3366 aa4499 ee3377 7b3ff2 9be15d 00d5c8 ff8a65 b07d3a"
)
_HUES: tuple[Colour, ...] = tuple(
    (int(text[:2], 16), int(text[2:4], 16), int(text[4:], 16)) for text in _PALETTE.split()
)


def _lighter(colour: Colour) -> Colour:
    red, green, blue = (round(part + (255 - part) * 0.45) for part in colour)
    return red, green, blue


# Each as it is, and lighter. Darker ones are hard to see on photographs; fewer are too often the same.
PALETTE = (*_HUES, *map(_lighter, _HUES))
# What has no concept.
NEUTRAL: Colour = (190, 196, 204)

PAGE: Colour = (255, 255, 255)
WELL: Colour = (236, 238, 242)  # around a thumbnail
BLANK: Colour = (250, 251, 253)  # in the place of a picture that is not there
INK: Colour = (28, 34, 43)
FAINT_INK: Colour = (98, 108, 122)
WARNING_INK: Colour = (172, 74, 0)

# A red and a green of different lightness, so that they differ without their hue too.
REMOVED: Colour = (214, 39, 56)
ADDED: Colour = (0, 190, 120)
ADDED_INK: Colour = (0, 122, 76)  # for letters, which are thin
SAME: Colour = (168, 174, 182)

_DARK: Colour = (20, 24, 31)
_LIGHT: Colour = (255, 255, 255)


def colour_of(concept: str | None) -> Colour:
    """The colour of a concept: a function of its id alone."""
    if concept is None:
        return NEUTRAL
    digest = blake3(concept.encode()).digest(length=8)
    return PALETTE[int.from_bytes(digest, "big") % len(PALETTE)]


def ink_on(colour: Colour) -> Colour:
    """Black or white: what is read better on a colour (WCAG's contrast)."""
    light = _luminance(colour)
    return _DARK if (light + 0.05) / (_luminance(_DARK) + 0.05) >= 1.05 / (light + 0.05) else _LIGHT


def _luminance(colour: Colour) -> float:
    parts = [value / 255 for value in colour]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def hexadecimal(colour: Colour) -> str:
    """A colour as `#rrggbb`."""
    return "#{:02x}{:02x}{:02x}".format(*colour)
