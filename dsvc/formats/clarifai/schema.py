"""Clarifai's messages as far as an export writes them: field names (as JSON has them), numbers and types.

A type in lower case is a Protobuf scalar, `enum` the visibility of a point; a capital letter begins a message.
"""

from __future__ import annotations

from typing import NamedTuple


class Field(NamedTuple):
    """One field of a message."""

    number: int
    type: str
    repeated: bool = False


SCHEMA: dict[str, dict[str, Field]] = {
    "InputBatch": {"inputs": Field(1, "Input", True)},
    "Input": {"id": Field(1, "string"), "data": Field(2, "Data")},
    "Data": {
        "image": Field(1, "Image"),
        "video": Field(2, "Video"),
        "concepts": Field(3, "Concept", True),
        "metadata": Field(5, "Struct"),
        "geo": Field(6, "Geo"),
        "embeddings": Field(9, "Embedding", True),
        "regions": Field(11, "Region", True),
        "frames": Field(12, "Frame", True),
        "text": Field(13, "Text"),
        "audio": Field(14, "Audio"),
        "timeSegments": Field(16, "TimeSegment", True),
    },
    "Image": {"url": Field(1, "string"), "base64": Field(2, "bytes"), "imageInfo": Field(6, "ImageInfo")},
    "ImageInfo": {"width": Field(1, "int32"), "height": Field(2, "int32")},
    "Video": {"url": Field(1, "string"), "base64": Field(2, "bytes"), "videoInfo": Field(7, "VideoInfo")},
    "VideoInfo": {
        "width": Field(1, "int32"),
        "height": Field(2, "int32"),
        "fps": Field(3, "float"),
        "durationSeconds": Field(7, "float"),
    },
    "Audio": {"url": Field(1, "string"), "base64": Field(2, "bytes"), "audioInfo": Field(6, "AudioInfo")},
    "AudioInfo": {"durationSeconds": Field(3, "float")},
    "Text": {"raw": Field(1, "string"), "url": Field(2, "string")},
    "Concept": {"id": Field(1, "string"), "name": Field(2, "string"), "value": Field(3, "float")},
    "Geo": {"geoPoint": Field(1, "GeoPoint")},
    "GeoPoint": {"longitude": Field(1, "float"), "latitude": Field(2, "float")},
    "Embedding": {"vector": Field(1, "float", True), "numDimensions": Field(2, "uint32")},
    "Region": {
        "id": Field(1, "string"),
        "regionInfo": Field(2, "RegionInfo"),
        "data": Field(3, "Data"),
        "trackId": Field(5, "string"),
    },
    "RegionInfo": {
        "boundingBox": Field(1, "BoundingBox"),
        "mask": Field(4, "Mask"),
        "polygon": Field(5, "Polygon"),
        "point": Field(6, "Point"),
        "span": Field(7, "Span"),
        "keypointLocations": Field(9, "Point", True),
    },
    "BoundingBox": {
        "topRow": Field(1, "float"),
        "leftCol": Field(2, "float"),
        "bottomRow": Field(3, "float"),
        "rightCol": Field(4, "float"),
    },
    "Mask": {"image": Field(2, "Image")},
    "Polygon": {"points": Field(1, "Point", True)},
    "Point": {"row": Field(1, "float"), "col": Field(2, "float"), "visibility": Field(4, "enum")},
    "Span": {"charStart": Field(1, "uint32"), "charEnd": Field(2, "uint32"), "rawText": Field(3, "string")},
    "Frame": {"frameInfo": Field(1, "FrameInfo"), "data": Field(2, "Data")},
    "FrameInfo": {"index": Field(1, "uint32"), "time": Field(2, "uint64"), "number": Field(3, "uint32")},
    "TimeSegment": {"id": Field(1, "string"), "data": Field(2, "Data"), "timeInfo": Field(3, "TimeInfo")},
    "TimeInfo": {"beginTime": Field(4, "float"), "endTime": Field(5, "float")},
}
VISIBILITY = ("NOT_SET", "VISIBLE", "NOT_VISIBLE", "NOT_PRESENT")
# The names of `Data`'s fields for each kind of media.
MEDIA_FIELDS = {"image": "Image", "video": "Video", "text": "Text", "audio": "Audio"}
