"""Clarifai's messages as far as an import reads them: what an export writes, and what Clarifai's own has beside it."""

from __future__ import annotations

from dsvc.formats.clarifai.schema import SCHEMA, Field

_HOSTED = {"hosted": Field(5, "HostedURL")}
_MORE: dict[str, dict[str, Field]] = {
    "Input": {
        "createdAt": Field(4, "Timestamp"),
        "modifiedAt": Field(5, "Timestamp"),
        "status": Field(6, "Status"),
        "datasetIds": Field(7, "string", True),
    },
    "Status": {"code": Field(1, "int32"), "description": Field(2, "string"), "details": Field(3, "string")},
    "Timestamp": {"seconds": Field(1, "int64"), "nanos": Field(2, "int32")},
    "Data": {"tracks": Field(15, "Track", True), "intValue": Field(21, "int64")},
    "Image": _HOSTED,
    "ImageInfo": {"format": Field(3, "string"), "colorMode": Field(4, "string")},
    "Video": {"hosted": Field(6, "HostedURL"), "thumbnailUrl": Field(5, "string")},
    "VideoInfo": {
        "videoFormat": Field(4, "string"),
        "bitRate": Field(5, "int32"),
        "frameCount": Field(6, "int32"),
    },
    "Audio": _HOSTED,
    "AudioInfo": {"audioFormat": Field(1, "string"), "sampleRate": Field(2, "int32"), "bitRate": Field(4, "int32")},
    "Text": {"hosted": Field(4, "HostedURL"), "textInfo": Field(5, "TextInfo")},
    "TextInfo": {"charCount": Field(1, "int32"), "encoding": Field(2, "string")},
    "HostedURL": {
        "prefix": Field(1, "string"),
        "suffix": Field(2, "string"),
        "sizes": Field(3, "string", True),
        "crossorigin": Field(4, "string"),
    },
    "Concept": {
        "createdAt": Field(4, "Timestamp"),
        "language": Field(5, "string"),
        "appId": Field(6, "string"),
        "definition": Field(7, "string"),
        "vocabId": Field(8, "string"),
        "userId": Field(10, "string"),
    },
    "Region": {"value": Field(4, "float")},
    "RegionInfo": {"token": Field(8, "Span")},
    "Point": {"z": Field(3, "float")},
    "Frame": {"id": Field(3, "string")},
    "Track": {
        "id": Field(1, "string"),
        "data": Field(2, "Data"),
        "timeInfo": Field(4, "TimeInfo"),
        "quality": Field(5, "float"),
    },
    "TimeInfo": {"numFrames": Field(1, "uint32")},
}
READ: dict[str, dict[str, Field]] = {
    kind: {**SCHEMA.get(kind, {}), **_MORE.get(kind, {})} for kind in dict.fromkeys((*SCHEMA, *_MORE))
}
# Where what is in a message and has no name here stands among its fields.
UNKNOWN = "?"


class BadMessage(ValueError):  # noqa: N818 - told as the end of a sentence that names the record
    """A message that cannot be read. The text is the end of a sentence that begins with what it is in."""
