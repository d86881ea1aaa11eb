"""Media types by a file name's extension: for bytes that are referred to and were never read.

The types are those that reading the bytes would tell. A table, and not `mimetypes`, since that reads the machine's
own files, and what is told here is part of what is committed.
"""

from __future__ import annotations

TYPES = {
    "3gp": "video/3gpp",
    "aac": "audio/aac",
    "aif": "audio/x-aiff",
    "aiff": "audio/x-aiff",
    "amr": "audio/amr",
    "avi": "video/x-msvideo",
    "avif": "image/avif",
    "bmp": "image/bmp",
    "csv": "text/csv",
    "flac": "audio/x-flac",
    "flv": "video/x-flv",
    "geojson": "application/geo+json",
    "gif": "image/gif",
    "heic": "image/heic",
    "htm": "text/html",
    "html": "text/html",
    "jfif": "image/jpeg",
    "jp2": "image/jpx",
    "jpe": "image/jpeg",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "json": "application/json",
    "jsonl": "application/x-ndjson",
    "m4a": "audio/mp4",
    "m4v": "video/x-m4v",
    "md": "text/markdown",
    "mkv": "video/x-matroska",
    "mov": "video/quicktime",
    "mp3": "audio/mpeg",
    "mp4": "video/mp4",
    "mpeg": "video/mpeg",
    "mpg": "video/mpeg",
    "ndjson": "application/x-ndjson",
    "ogg": "audio/ogg",
    "pbm": "image/x-portable-bitmap",
    "pdf": "application/pdf",
    "pgm": "image/x-portable-graymap",
    "png": "image/png",
    "ppm": "image/x-portable-pixmap",
    "psd": "image/vnd.adobe.photoshop",
    "srt": "application/x-subrip",
    "svg": "image/svg+xml",
    "tif": "image/tiff",
    "tiff": "image/tiff",
    "tsv": "text/tab-separated-values",
    "txt": "text/plain",
    "vtt": "text/vtt",
    "wav": "audio/x-wav",
    "webm": "video/webm",
    "webp": "image/webp",
    "wmv": "video/x-ms-wmv",
    "xml": "application/xml",
    "yaml": "application/yaml",
    "yml": "application/yaml",
}


def type_of_name(name: str) -> str | None:
    """The MIME type that a file name's extension stands for; None for another or none."""
    stem, dot, extension = name.rpartition(".")
    return TYPES.get(extension.lower()) if dot and not stem.endswith("/") else None
