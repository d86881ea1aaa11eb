"""The remotes that the settings name, and which of them this workspace trusts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from dsvc.core.clouds import agreed_targets, team_target
from dsvc.core.keys import display
from dsvc.core.names import check_name
from dsvc.core.nearest import near_names
from dsvc.core.references.places import scheme, shown_place
from dsvc.core.repository import LOCK_FILE
from dsvc.core.workspace import FILE, TEAM_FILE
from dsvc.errors import DamagedError, NotFoundError, RefusedError, UsageError
from dsvc.remote.places import check_url

if TYPE_CHECKING:
    from dsvc.core.repository import Repository

SECTION = "remotes"
DEFAULT_NAME = "origin"


class Remote(NamedTuple):
    """Another place with this repository's layout. `is_team` tells that the team's file names it, so that it may have
    come with the code.

    A fetch leaves media there unless `media`, and brings `datasets` and no others, where any are named.
    """

    name: str
    url: str
    is_team: bool
    media: bool = True
    datasets: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        """The URL as it may be shown."""
        return shown_place(self.url)


def list_remotes(repository: Repository) -> list[Remote]:
    """All remotes, the default one first: in the order of the team's file, then of the workspace's, which wins.

    Raises DamagedError where the settings make no sense.
    """
    found: dict[str, Remote] = {}
    for table, is_team in repository.workspace.sections(SECTION):
        for name, fields in table.items():
            found[name] = _remote(name, fields if isinstance(fields, dict) else {}, is_team)
    return list(found.values())


def _remote(name: str, fields: dict[str, Any], is_team: bool) -> Remote:
    url, media, datasets = fields.get("url"), fields.get("media", True), fields.get("datasets", [])
    file = TEAM_FILE if is_team else FILE
    if not isinstance(url, str) or not url:
        raise DamagedError(f"{file}: remote {name!r} has no url", f'write: [{SECTION}.{name}] url = "PATH"')
    if not isinstance(media, bool):
        raise DamagedError(f"{file}: media of remote {name!r} is neither true nor false", "write: media = false")
    if not isinstance(datasets, list) or not all(isinstance(dataset, str) for dataset in datasets):
        raise DamagedError(f"{file}: datasets of remote {name!r} is no list of names", 'write: datasets = ["NAME"]')
    return Remote(name, url, is_team, media, tuple(datasets))


def find_remote(repository: Repository, name: str | None = None) -> Remote:
    """The remote of a name, or the default one. Raises NotFoundError."""
    remotes = list_remotes(repository)
    if name is None and remotes:
        return remotes[0]
    found = next((remote for remote in remotes if remote.name == name), None)
    if found is not None:
        return found
    if name is None:
        raise NotFoundError("no remote is set", f"name one: dsvc remote add {DEFAULT_NAME} PATH")
    names = [remote.name for remote in remotes]
    if near := near_names(name, names):
        hint = f"did you mean {', '.join(near)}?"
    else:
        hint = f"there is: {', '.join(names[:8])}" if names else f"add it: dsvc remote add {name} PATH"
    raise NotFoundError(f"no remote named {name!r}", hint)


def add_remote(
    repository: Repository,
    name: str,
    url: str,
    *,
    local: bool = False,
    media: bool = True,
    datasets: tuple[str, ...] = (),
) -> Remote:
    """Name a remote in the team's file, or with `local` in the workspace's, and trust it. Raises RefusedError."""
    check_name(name, "remote")
    known = {remote.name: remote.place for remote in list_remotes(repository)}
    if any(name in table for table, is_team in repository.workspace.sections(SECTION) if is_team != local):
        hint = f"take it away first: dsvc remote remove {name}"
        raise RefusedError(f"there is a remote {name!r} already: {known[name]}", hint)
    workspace = repository.workspace
    remote = Remote(name, check_url(url), not local, media, datasets)
    fields: dict[str, Any] = {"url": remote.url}
    fields |= {} if media else {"media": False}
    fields |= {"datasets": list(datasets)} if datasets else {}
    save = workspace.saving if local else workspace.saving_team
    with save(**{SECTION: lambda table: {**(table or {}), name: fields}}):
        trust(repository, remote)
    return remote


def pull_hint(repository: Repository, remote: Remote) -> str:
    """The command that merges what a remote has of the current branch."""
    known = list_remotes(repository)
    is_default = bool(known) and known[0].name == remote.name
    has_lock = repository.root is not None and (repository.root / LOCK_FILE).exists()  # which a bare pull follows
    return "dsvc pull" if is_default and not has_lock else f"dsvc pull {remote.name}"


def remove_remote(repository: Repository, name: str, *, dry_run: bool = False) -> Remote:
    """Name a remote no more; the place stays as it is. Of two of a name, the workspace's goes. Raises NotFoundError."""
    remote = find_remote(repository, name)
    if not dry_run:
        workspace = repository.workspace
        save = workspace.saving_team if remote.is_team else workspace.saving
        with save(**{SECTION: lambda table: {k: v for k, v in (table or {}).items() if k != name} or None}):
            pass
    return remote


# ---- trust: a place that came with the code is used once somebody here has agreed


def is_trusted(repository: Repository, remote: Remote) -> bool:
    """Whether somebody here has named a remote, or agreed to it, and to the endpoint that the team's file gives it."""
    target = team_target(repository.workspace, scheme(remote.url))
    agreed = target is None or target in agreed_targets(repository.workspace)
    return agreed and (not remote.is_team or remote.url in _noted(repository, "remotes"))


def require_trusted(repository: Repository, remote: Remote) -> None:
    """Raises RefusedError where a remote came with the repository and nobody here has agreed to it."""
    if not is_trusted(repository, remote):
        place = full_place(repository, remote)
        if remote.is_team:
            message = f"remote {remote.name} came with the project, and was not used here yet: {place}"
        else:
            message = f"remote {remote.name} leads to a place that came with the project: {place}"
        raise RefusedError(message, "if that is the right place, say --yes")


def full_place(repository: Repository, remote: Remote) -> str:
    """The URL as it may be shown, with the endpoint or account that the team's file gives it."""
    target = team_target(repository.workspace, scheme(remote.url))
    return remote.place if target is None else f"{remote.place} at {display(target)}"


def trust(repository: Repository, remote: Remote) -> None:
    """Agree to a remote: it is used in this workspace without asking, as long as its URL and its endpoint stay."""
    if is_trusted(repository, remote):
        return
    if remote.url not in _noted(repository, "remotes"):
        _note(repository, "remotes", remote.url)
    target = team_target(repository.workspace, scheme(remote.url))
    if target is not None and target not in agreed_targets(repository.workspace):
        _note(repository, "targets", target)


def was_used(repository: Repository, remote: Remote) -> bool:
    """Whether this workspace has found a repository at a remote before: then it is not made there again."""
    return remote.url in _noted(repository, "used")


def note_used(repository: Repository, remote: Remote) -> None:
    """Note that a repository was found at a remote."""
    if not was_used(repository, remote):
        _note(repository, "used", remote.url)


def _note(repository: Repository, name: str, place: str) -> None:
    def change(table: Any) -> dict[str, Any]:
        kept = table if isinstance(table, dict) else {}
        return {**kept, name: [*kept.get(name, []), place]}

    repository.workspace.save(trusted=change)


def _noted(repository: Repository, name: str) -> list[str]:
    """The URLs that this workspace has noted under a name."""
    # The team's file has no say in this: it is what is not trusted yet.
    tables = [table for table, is_team in repository.workspace.sections("trusted") if not is_team]
    urls = tables[0].get(name, []) if tables else []
    if not isinstance(urls, list):
        raise UsageError(f"{FILE}: {name} under [trusted] is no list", f'write: {name} = ["URL"]')
    return urls
