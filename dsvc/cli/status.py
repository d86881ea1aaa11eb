"""dsvc status."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dsvc.cli.progress import progress
from dsvc.cli.render import holdings, json_option, listed, out, plural, print_json, shown, word
from dsvc.cli.session import Session, pass_session, shared_options
from dsvc.core.files.scanning import lister_of
from dsvc.errors import RefusedError

if TYPE_CHECKING:
    from dsvc.core.compare import Summary
    from dsvc.core.dataset import Dataset, Status
    from dsvc.core.files.workfiles import FileStatus
    from dsvc.core.layout.changes import FolderChanges

_PROBLEMS = 3  # that many are named; `dsvc add -A` and --json name all


@click.command("status")
@json_option
@shared_options
@pass_session
def status_command(session: Session, as_json: bool) -> None:
    """Show where the dataset stands, what is staged, and what changed in its folders.

    Its folders are those that are tracked, and those that `dsvc checkout` has laid out.

    A file counts as modified when its bytes are others, and as missing when it was here and is gone. Files are read
    only where their size, time or inode changed.

    \b
    JSON: {"dataset", "branch", "version": the one that is looked at or null, "head", "versions": [NAME...], "inputs",
           "annotations", "concepts", "clean", "staged": {NOUN: {"added", "changed", "removed"}},
           "merging": [ID of a commit that the draft merges...], "conflicts",
           "files": {"tracked": [FOLDER...], "new": [KEY...], "modified": [KEY...], "missing": [KEY...],
                     "renamed": [{"old", "new"}...], "absent": [FOLDER...],
                     "elsewhere": COUNT of inputs under the tracked folders that never had a file here,
                     "left_out": {"hidden", "ignored", "other"}, "problems": [{"path", "reason"}...]},
           "folders": [{"folder", "revision", "commit", "new": [KEY...], "modified": [KEY...], "missing": [KEY...],
                        "renamed": [{"old", "new"}...], "edited": [NAME of an annotation file...], "lost": [NAME...],
                        "wanted": the commit to be brought to or null, "problem": TEXT or null,
                        "kept": [{"key", "new": KEY or null, "folder"}...]: whose file is gone, or has the new name,
                        there, and is still in that tracked folder,
                        "problems": [{"path", "reason"}...]}...]: those that `dsvc checkout` laid out}
    """
    with closing(lister_of(".")) as lister:
        dataset = session.dataset()
        with progress() as report:
            files = dataset.files(report, lister)
            folders = dataset.folders(report)
    status = dataset.status()
    if as_json:
        print_json({**_json(status), "files": _files_json(files), "folders": [_folder_json(one) for one in folders]})
    else:
        _tell(dataset, status, files, folders)


def _tell(dataset: Dataset, status: Status, files: FileStatus, folders: list[FolderChanges]) -> None:
    at = f"at {status.head.short()}" if status.head else "no commits yet"
    versions = f" ({', '.join(status.versions)})" if status.versions else ""
    place = f"version {status.version}, read-only" if status.version else f"branch {status.branch}"
    out(f"dataset {status.dataset}, {place}, {at}{versions}")
    out(f"holds {holdings(status.counts)}")
    for line in staged_lines(status.summary):
        out(line)
    if status.merged:
        out(f"merging {', '.join(id.short() for id in status.merged)}: the next commit has both lines behind it")
    if status.conflicts:
        out(f"{plural(status.conflicts, 'record')} with open conflicts; next: dsvc conflicts")
    # A folder that holds the whole of a revision has its files.
    way = None if any(one.checkout.where is None for one in folders) else f"dsvc checkout {word(status.dataset)} FOLDER"
    for line in (*file_lines(files, way), *folder_lines(folders)):
        out(line)
    for line in lock_lines(dataset):
        out(line)
    if status.version is not None:
        out(f"back to branch {status.branch}: dsvc use {status.dataset}")
    elif files.absent:
        folder = shown(files.absent[0])
        out(
            f"next: bring {folder} back; if it was renamed: dsvc add NAME; to look there no more: dsvc untrack {folder}"
        )
    elif not files.is_clean or any(not one.is_clean for one in folders):
        out("next: dsvc add -A")
    elif any(one.problem or one.wanted or one.lost or one.kept for one in folders):
        out("next: dsvc checkout")
    else:
        out(_next(status, dataset.has_draft()))


def lock_lines(dataset: Dataset) -> list[str]:
    """Where the lock beside the repository names another commit of the dataset: what to do about it."""
    from dsvc.core.repository import LOCK_FILE

    root = dataset.repository.root
    if root is None or not (root / LOCK_FILE).is_file():
        return _gone_lines(root)
    from dsvc.cli.locking import standing_lines
    from dsvc.git.lockfile import read_lock
    from dsvc.git.pinning import stand

    try:
        found = stand(dataset.repository, read_lock(root / LOCK_FILE), dataset.name)
    except RefusedError as error:
        return [f"{error.message}; {error.hint}"]
    return standing_lines(dataset.repository, root / LOCK_FILE, (one for one in found if one.place != "same"))


def folder_lines(folders: list[FolderChanges]) -> list[str]:
    """What was changed in folders that are laid out, a line per kind under each one's name."""
    if not folders:
        return []
    from dsvc.core.layout.kept import kept_lines

    lines = []
    for one in folders:
        found = [f"  {one.problem}"] if one.problem else []
        found += [f"  to be brought to {one.wanted.short()}"] if one.wanted else []
        found += _changed_lines(one.media)
        found += [f"  edited: {listed(one.edited)}"] if one.edited else []
        found += [f"  missing: {listed(one.lost)}"] if one.lost else []
        found += [f"  {line}" for line in kept_lines(one.kept, one.checkout.media)]
        at = f" at {one.commit.short()}" if one.commit else ""
        lines += (
            [f"{shown(one.checkout.folder)}, a checkout of {shown(one.checkout.revision)}{at}:", *found]
            if found
            else []
        )
    return lines


def _gone_lines(root: Path | None) -> list[str]:
    """Where the drivers of the lock are set up, and it is not there: how to have it back."""
    from dsvc.core.repository import LOCK_FILE

    try:
        is_named = root is not None and f"{LOCK_FILE} merge=" in (root / ".gitattributes").read_text(errors="replace")
    except OSError:
        return []
    return [f"{LOCK_FILE} is gone; to have it back: git checkout {LOCK_FILE}, or dsvc lock"] if is_named else []


def file_lines(files: FileStatus, way: str | None) -> list[str]:
    """What changed in the tracked folders, a line per kind; and the command that lays out what has no file here."""
    lines = _changed_lines(files)
    if files.elsewhere and way:
        have = "has" if files.elsewhere == 1 else "have"
        lines.append(f"  {plural(files.elsewhere, 'input')} {have} no file here; to lay files out: {way}")
    return ["files:", *lines] if lines else []


def _changed_lines(files: FileStatus) -> list[str]:
    lines = [f"  {len(files.new):,} new: {listed(files.new)}"] if files.new else []
    lines += [f"  {len(files.modified):,} modified: {listed(files.modified)}"] if files.modified else []
    if files.renamed:
        pairs = ", ".join(f"{shown(old)} -> {shown(new)}" for old, new in files.renamed[:3])
        more = f" and {len(files.renamed) - 3:,} more" if len(files.renamed) > 3 else ""
        lines.append(f"  {len(files.renamed):,} renamed: {pairs}{more}")
    lines += [f"  {len(files.missing):,} missing: {listed(files.missing)}"] if files.missing else []
    lines += [f"  {shown(folder)} is not there, or has no files: is it mounted?" for folder in files.absent]
    if files.problems:
        lines.append(f"  {plural(len(files.problems), 'file')} cannot be taken:")
        lines += [f"    {problem}" for problem in files.problems[:_PROBLEMS]]
        rest = len(files.problems) - _PROBLEMS
        lines += [f"    and {rest:,} more"] if rest > 0 else []
    return lines


def _folder_json(one: FolderChanges) -> dict[str, object]:
    return {
        "folder": one.checkout.folder,
        "revision": one.checkout.revision,
        "commit": one.commit.hex() if one.commit is not None else None,
        "new": list(one.media.new),
        "modified": list(one.media.modified),
        "missing": list(one.media.missing),
        "renamed": [{"old": old, "new": new} for old, new in one.media.renamed],
        "edited": list(one.edited),
        "lost": list(one.lost),
        "wanted": one.wanted.hex() if one.wanted is not None else None,
        "problem": one.problem,
        "kept": [kept._asdict() for kept in one.kept],
        "problems": [{"path": str(problem.path), "reason": problem.reason} for problem in one.media.problems],
    }


def _files_json(files: FileStatus) -> dict[str, object]:
    return {
        "tracked": [one.folder or "." for one in files.tracked],
        "new": list(files.new),
        "modified": list(files.modified),
        "missing": list(files.missing),
        "renamed": [{"old": old, "new": new} for old, new in files.renamed],
        "absent": list(files.absent),
        "elsewhere": files.elsewhere,
        "left_out": files.left_out._asdict(),
        "problems": [{"path": str(problem.path), "reason": problem.reason} for problem in files.problems],
    }


def _next(status: Status, has_draft: bool) -> str:
    if has_draft and status.is_clean and status.merged:
        return "next: dsvc commit -m TEXT"
    if has_draft and status.is_clean:
        return "staged: no records, only what was taken from a source; next: dsvc commit -m TEXT"
    if has_draft:
        return "next: dsvc diff, then dsvc commit -m TEXT"
    if status.head is None:
        return "nothing staged; next: dsvc add PATH, or dsvc import FILE"
    return "nothing staged"


def staged_lines(summary: Summary) -> list[str]:
    """Counts of changes, a line per noun."""
    lines = []
    for noun in ("input", "annotation", "concept"):
        verbs = getattr(summary, f"{noun}s")
        words = [f"{verbs[verb]:,} {verb}" for verb in ("added", "changed", "removed") if verbs[verb]]
        if words:
            lines.append(f"  {noun}s: {', '.join(words)}")
    return ["staged:", *lines] if lines else []


def _json(status: Status) -> dict[str, object]:
    return {
        "dataset": status.dataset,
        "branch": status.branch if status.version is None else None,
        "version": status.version,
        "head": status.head.hex() if status.head else None,
        "versions": status.versions,
        **status.counts,
        "clean": status.is_clean,
        "staged": summary_json(status.summary),
        "merging": [id.hex() for id in status.merged],
        "conflicts": status.conflicts,
    }


def summary_json(summary: Summary) -> dict[str, dict[str, int]]:
    """Counts of changes as JSON, by noun and verb."""
    return {noun: getattr(summary, noun) for noun in ("inputs", "annotations", "concepts")}
