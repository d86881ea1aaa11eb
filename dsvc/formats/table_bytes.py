"""What a table's bytes are before they are text: other formats under its name, encodings, a cut end."""

from __future__ import annotations

from dsvc.formats.table_columns import refuse

PARQUET = b"PAR1"
BOM = b"\xef\xbb\xbf"
_HEAD = 4096
_AS_CSV = "save it as CSV in UTF-8, and import that"
_UNPACK = "unpack it first, and import the table in it"
# What bytes begin with, what that is, and what to do about it.
_BEGINNINGS = (
    (b"\x1f\x8b", "looks gzipped", "unpack it first: gunzip FILE"),
    (b"\x28\xb5\x2f\xfd", "looks compressed with zstd", "unpack it first: unzstd FILE"),
    (b"\xfd7zXZ\0", "looks compressed with xz", "unpack it first: unxz FILE"),
    (b"BZh91AY&SY", "looks compressed with bzip2", "unpack it first: bunzip2 FILE"),
    (b"\xd0\xcf\x11\xe0", "looks like an old Excel workbook", _AS_CSV),
    (PARQUET, "looks like Parquet", "give it a name that ends in .parquet"),
    (b"ARROW1", "looks like an Arrow file", "save it as Parquet, and import that"),
    (b"SQLite format 3\0", "looks like an SQLite database", _AS_CSV),
    (b"%PDF", "looks like a PDF", _AS_CSV),
    (b"version https://git-lfs", "is a pointer of Git LFS, not the file itself", "fetch the file: git lfs pull"),
    (b"\xff\xfe\0\0", "looks like UTF-32 text", "save it as UTF-8"),
    (b"\0\0\xfe\xff", "looks like UTF-32 text", "save it as UTF-8"),
    (b"\xff\xfe", "looks like UTF-16 text", "save it as UTF-8"),
    (b"\xfe\xff", "looks like UTF-16 text", "save it as UTF-8"),
)


def check_beginning(data: memoryview, name: str) -> None:
    """Raise InvalidRecordsError for bytes that are plainly something else than a table's text."""
    head = bytes(data[:_HEAD])
    if head.startswith(b"PK\x03\x04"):
        if b"xl/" in head or b"[Content_Types].xml" in head:
            raise refuse(name, "looks like an Excel workbook", _AS_CSV)
        if b"opendocument.spreadsheet" in head:
            raise refuse(name, "looks like an OpenDocument spreadsheet", _AS_CSV)
        raise refuse(name, "looks like a ZIP archive", _UNPACK)
    for beginning, looks, hint in _BEGINNINGS:
        if head.startswith(beginning):
            raise refuse(name, looks, hint.replace("FILE", name))
    if 0.3 < head.count(0) / max(len(head), 1) < 0.7 and head[:2].count(0) == 1:
        raise refuse(name, "looks like UTF-16 text", "save it as UTF-8")
    if head.count(0) > 16 and head.count(0) * 10 > len(head):
        raise refuse(name, "is not text: it holds NUL bytes", "name a CSV, TSV, JSON lines or Parquet file")
    if head.removeprefix(BOM).lstrip()[:9].lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        raise refuse(name, "looks like a web page or XML", "download the table itself")


def decode(data: memoryview, name: str) -> str:
    """The text of UTF-8 bytes, without a byte order mark. Raises InvalidRecordsError."""
    start = len(BOM) if bytes(data[: len(BOM)]) == BOM else 0
    try:
        return str(data[start:], "utf-8")
    except UnicodeDecodeError as error:
        at = start + error.start
        line = bytes(data[:at]).count(b"\n") + 1
        wrong = f"is not UTF-8 text: line {line:,} holds the byte 0x{data[at]:02x} (byte {at + 1:,} of the file)"
        raise refuse(name, wrong, "save it as UTF-8; it may be Latin-1 or Windows-1252, or cut short") from None
