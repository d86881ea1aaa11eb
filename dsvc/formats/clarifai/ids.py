"""Ids as Clarifai allows them: one's own where it fits, else a readable part and a hash of the original.

A mapped id is a function of the original alone, and no original that fits looks like a mapped one, so that two
originals never get the same id (but for a collision of the hash).
"""

from __future__ import annotations

import re
from functools import cache

from blake3 import blake3

_CONTEXT = "dsvc clarifai id 1"
_MAPPED = re.compile(r"-[0-9a-f]{16}\Z|-p[0-9]+\Z")
_FITS = re.compile(r"[A-Za-z0-9_-]{1,32}\Z")
_INPUT_FITS = re.compile(r"[a-z0-9_-]{1,128}\Z")
_DIGITS = 16
_READABLE = 32 - _DIGITS - 1
_INPUT_MAPPED = re.compile(r"-[0-9a-f]{24}\Z")
_INPUT_DIGITS = 24
_INPUT_READABLE = 64


def short_id(text: str) -> str:
    """The id of a concept, a region or a split: 1 to 32 of `A-Za-z0-9_-`."""
    if _FITS.match(text) and ("-" not in text or not _MAPPED.search(text)):
        return text
    slug = re.sub(r"[^A-Za-z0-9_]+", "-", text).strip("-")[:_READABLE].rstrip("-")
    return f"{slug or 'x'}-{_hash(text)[:_DIGITS]}"


def input_id(key: str) -> str:
    """The id of an input: `a-z0-9_-`, never longer than 128."""
    if _INPUT_FITS.match(key) and not _INPUT_MAPPED.search(key):
        return key
    slug = re.sub(r"[^a-z0-9_]+", "-", key.lower()).strip("-")[-_INPUT_READABLE:].strip("-")
    return f"{slug or 'x'}-{_hash(key)[:_INPUT_DIGITS]}"


def part_id(region: str, part: int) -> str:
    """The id of the region that carries ring `part` (from 2) of an annotation in several rings."""
    return f"{region}-p{part}"


def _hash(text: str) -> str:
    return _hasher().copy().update(text.encode()).hexdigest()


@cache
def _hasher() -> blake3:
    """The start of every hash: deriving its key takes longer than the rest."""
    return blake3(derive_key_context=_CONTEXT)
