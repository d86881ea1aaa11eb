"""What an import refuses: an error that names it all, or a file beside the source that can be mended."""

from __future__ import annotations

from pathlib import Path

from dsvc.core.imports.reports import OnError
from dsvc.errors import InvalidRecordsError, RefusedError
from dsvc.model.incoming import Incoming


def stop_on_errors(incoming: Incoming, path: Path, on_error: OnError) -> None:
    """Raise InvalidRecordsError for a source with errors, unless they are to be skipped."""
    problems = incoming.problems
    if problems.count and on_error == "stop":
        noun = "error" if problems.count == 1 else "errors"
        what = "them" if path.is_dir() else "the file"
        hint = f"nothing was imported; mend {what}, or import the rest: --on-error skip"
        raise InvalidRecordsError(f"{path}: {problems.count} {noun}", problems.found, hint, count=problems.count)


def write_rejects(incoming: Incoming, path: Path) -> Path | None:
    """Write the refused records to a file beside the source; None without any. Raises RefusedError."""
    content = incoming.rejects() if incoming.problems.count else None
    if content is None:
        return None
    return _write_beside(path, content, getattr(incoming, "rejects_suffix", ".json"))


def _write_beside(path: Path, content: bytes, suffix: str) -> Path:
    stem = path.name.removesuffix(path.suffix)
    for number in range(1, 1000):
        target = path.with_name(f"{stem}.rejects{'' if number == 1 else f'-{number}'}{suffix}")
        try:
            with target.open("xb") as file:
                file.write(content)
            return target
        except FileExistsError:
            if target.is_file() and target.read_bytes() == content:
                return target
        except OSError as error:
            raise RefusedError(
                f"{target} cannot be written: {error.strerror}", "the refused records need it"
            ) from error
    raise RefusedError(f"too many files of rejects beside {path}", "take the old ones away")
