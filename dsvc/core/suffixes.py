"""Types of media by the names of their files, where their bytes are not looked at.

A table of its own, not `mimetypes`, which reads the machine's files: the same name says the same everywhere.
"""

from __future__ import annotations

_TYPES = {
    "image/avif": "avif",
    "image/bmp": "bmp dib",
    "image/gif": "gif",
    "image/heic": "heic heif",
    "image/jp2": "jp2 j2k jpx",
    "image/jpeg": "jpg jpeg jpe jfif mpo",
    "image/png": "png apng",
    "image/svg+xml": "svg",
    "image/tiff": "tif tiff",
    "image/vnd.adobe.photoshop": "psd",
    "image/webp": "webp",
    "image/x-portable-bitmap": "pbm",
    "image/x-portable-graymap": "pgm",
    "image/x-portable-pixmap": "ppm pnm",
    "video/mp4": "mp4",
    "video/mp2t": "mts m2ts",
    "video/mpeg": "mpg mpeg",
    "video/quicktime": "mov",
    "video/webm": "webm",
    "video/x-flv": "flv",
    "video/x-m4v": "m4v",
    "video/x-matroska": "mkv",
    "video/x-ms-wmv": "wmv",
    "video/x-msvideo": "avi",
    "video/3gpp": "3gp",
    "audio/aac": "aac",
    "audio/aiff": "aif aiff",
    "audio/amr": "amr",
    "audio/midi": "mid midi",
    "audio/mp4": "m4a",
    "audio/mpeg": "mp3",
    "audio/ogg": "ogg oga opus",
    "audio/x-flac": "flac",
    "audio/x-wav": "wav",
    "text/plain": "txt",
}
_BY_SUFFIX = {suffix: kind for kind, suffixes in _TYPES.items() for suffix in suffixes.split()}
# Of files with these suffixes it is known without a look that they are no samples.
_OTHER_NAMES = """
    bat bz2 c cc cfg conf cpp css csv db dll doc docx exe geojson go gz h htm html ini ipynb java js json jsonl
    lock log md ndjson o obj parquet pdf pkl ppt pptx proto py pyc pyi rar rs rst sh so sql sqlite srt swp tar toml
    ts tsv vtt whl xls xlsx xml xz yaml yml zip zst 7z
"""
_OTHERS = frozenset(_OTHER_NAMES.split())


def suffix_of(name: str) -> str:
    """The suffix of a file's name in lower case, without the dot; "" without one."""
    stem, dot, suffix = name.rpartition(".")
    return suffix.lower() if dot and stem and "/" not in suffix else ""


def type_by_suffix(name: str) -> str | None:
    """The MIME type of media that a file's name promises, or None."""
    return _BY_SUFFIX.get(suffix_of(name))


def is_media_name(name: str) -> bool | None:
    """Whether a file is media by its name; None where only its bytes can tell."""
    suffix = suffix_of(name)
    if suffix in _BY_SUFFIX:
        return True
    return False if suffix in _OTHERS else None
