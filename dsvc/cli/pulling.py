"""What `dsvc pull` does without a lock: a fetch from a remote, and a merge of the current branch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dsvc.cli.entered import tell_entered
from dsvc.cli.merge import tell_merged
from dsvc.cli.progress import progress
from dsvc.cli.remote import chosen_remote, left_out
from dsvc.cli.render import out, plural, print_json, shown, size

if TYPE_CHECKING:
    from dsvc.core.dataset import Dataset
    from dsvc.core.repository import Repository
    from dsvc.remote.pulling import Pulled
    from dsvc.remote.settings import Remote
    from dsvc.store.ids import ObjectId


def pull_current(repository: Repository, name: str | None, yes: bool, as_json: bool) -> None:
    """Pull the current branch from a remote, and tell what came. Raises NotFoundError, RefusedError, RemoteError."""
    from dsvc.remote.pulling import pull_branch

    dataset, remote = repository.dataset(), chosen_remote(repository, name, yes)
    before = dataset.head
    with progress() as report:
        done = pull_branch(dataset, remote, report)
    if as_json:
        print_json(_json(dataset, done, before))
    else:
        _tell(dataset, remote, done, before)


def _tell(dataset: Dataset, remote: Remote, done: Pulled, before: ObjectId | None) -> None:
    fetched = done.fetched
    came = f"{plural(fetched.commits, 'commit')}, {plural(fetched.objects, 'object')}, {size(fetched.bytes)}"
    if fetched.objects:
        out(f"received {came} from {remote.name}: {shown(remote.place)}")
    left_out(fetched.left_out, f"here or at {remote.name}")
    tell_entered(done.fetched.entered, f"at {remote.name}", "here")
    for name, version in done.versions:
        out(f"{name}@{version}: new")
    for name, version in done.kept:
        out(f"note: {name}@{version} is another commit at {remote.name}, and stays what it is here")
    tell_merged(dataset, f"{remote.name}/{dataset.name}:{dataset.branch}", done.merged, before)


def _json(dataset: Dataset, done: Pulled, before: ObjectId | None) -> dict[str, object]:
    head, merged = dataset.head, done.merged
    row = {
        "dataset": dataset.name,
        "branch": dataset.branch,
        "commit": head.hex() if head is not None else None,
        "before": before.hex() if before is not None else None,
        "what": "here" if merged.kind == "up to date" else "moved",
        "rebased": merged.rebased,
        "conflicts": merged.draft_conflicts if merged.rebased else merged.conflicts,
    }
    return {"made": False, "datasets": [row]}
