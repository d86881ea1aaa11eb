"""Media types by a file name's extension: for files whose bytes are not read, and to tell media from other files.

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
    "apng": "image/png",
    "avi": "video/x-msvideo",
    "avif": "image/avif",
    "bmp": "image/bmp",
    "csv": "text/csv",
    "dib": "image/bmp",
    "flac": "audio/x-flac",
    "flv": "video/x-flv",
    "geojson": "application/geo+json",
    "gif": "image/gif",
    "heic": "image/heic",
    "heif": "image/heic",
    "htm": "text/html",
    "html": "text/html",
    "jfif": "image/jpeg",
    "jp2": "image/jpx",
    "jpe": "image/jpeg",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "jpx": "image/jpx",
    "json": "application/json",
    "jsonl": "application/x-ndjson",
    "m2ts": "video/mp2t",
    "m4a": "audio/mp4",
    "m4v": "video/x-m4v",
    "md": "text/markdown",
    "mid": "audio/midi",
    "midi": "audio/midi",
    "mkv": "video/x-matroska",
    "mov": "video/quicktime",
    "mp3": "audio/mpeg",
    "mp4": "video/mp4",
    "mpeg": "video/mpeg",
    "mpg": "video/mpeg",
    "mpo": "image/jpeg",
    "mts": "video/mp2t",
    "ndjson": "application/x-ndjson",
    "oga": "audio/ogg",
    "ogg": "audio/ogg",
    "opus": "audio/ogg",
    "pbm": "image/x-portable-bitmap",
    "pdf": "application/pdf",
    "pgm": "image/x-portable-graymap",
    "png": "image/png",
    "pnm": "image/x-portable-pixmap",
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

# Of files with these extensions, too, it is known without a look that they are no samples.
_NAMES = """
    bat bz2 c cc cfg conf cpp css db dll doc docx exe go gz h hpp ini ipynb java js lock log o obj parquet pkl ppt pptx
    proto py pyc pyi rar rs rst sh so sql sqlite swp tar toml whl xls xlsx xz zip zst 7z
"""
_OTHERS = frozenset(_NAMES.split())


def type_of_name(name: str) -> str | None:
    """The MIME type that a file name's extension stands for; None for another or none."""
    stem, dot, extension = name.rpartition(".")
    return TYPES.get(extension.lower()) if dot and not stem.endswith("/") else None


def is_media_name(name: str) -> bool | None:
    """Whether a file is an image, a video, a sound or plain text by its name; None where only its bytes can tell."""
    stem, dot, extension = name.rpartition(".")
    if not dot or not stem or stem.endswith("/"):
        return None
    found = TYPES.get(extension.lower())
    if found is not None:
        return found.startswith(("image/", "video/", "audio/")) or found == "text/plain"
    return False if extension.lower() in _OTHERS else None
