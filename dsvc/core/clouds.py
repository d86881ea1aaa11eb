"""What the settings say of object stores and web servers: [s3], [az] and [web] of the workspace's file and the team's.

The team's file comes with somebody else's code. An endpoint that it names decides where requests go, so it counts as
this person's choice only once somebody here has agreed to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dsvc.errors import RefusedError
from dsvc.store.clouds import CloudSettings, check_endpoint

if TYPE_CHECKING:
    from dsvc.core.workspace import Workspace

_KNOWN = {"s3": {"endpoint", "region", "allow_http"}, "az": {"account"}, "web": {"allow_http"}}
_SECRET = ("key", "secret", "token", "password", "credential", "sas")
_SECTION = {"s3": "s3", "az": "az", "http": "web", "https": "web"}


def cloud_settings(workspace: Workspace | None, kind: str) -> CloudSettings:
    """The settings for a kind of URL ("s3", "gs", "az", "http", "https"). Raises RefusedError."""
    section = _SECTION.get(kind)
    if workspace is None or section is None:
        return CloudSettings()
    _check_names(workspace, section)
    if section == "web":
        return CloudSettings(allow_http=_bool(workspace.setting("web", "allow_http"), section))
    is_own = team_target(workspace, kind) in (None, *agreed_targets(workspace))
    if section == "az":
        return CloudSettings(account=_text(workspace.setting("az", "account"), section, "account"), is_own=is_own)
    endpoint = _text(workspace.setting("s3", "endpoint"), section, "endpoint")
    if endpoint is not None:
        check_endpoint(endpoint)
    return CloudSettings(
        endpoint=endpoint,
        region=_text(workspace.setting("s3", "region"), section, "region"),
        allow_http=_bool(workspace.setting("s3", "allow_http"), section),
        is_own=is_own,
    )


def team_target(workspace: Workspace, kind: str) -> str | None:
    """The endpoint or account by which the team's file decides where requests for a kind of URL go, if it does."""
    section, name = {"s3": ("s3", "endpoint"), "az": ("az", "account")}.get(kind, ("", ""))
    for table, is_team in reversed(workspace.sections(section) if section else []):
        if name in table:
            return str(table[name]) if is_team else None
    return None


def agreed_targets(workspace: Workspace) -> list[str]:
    """The endpoints and accounts that somebody here has agreed to."""
    # The team's file has no say in this: it is what is not trusted yet.
    agreed = [table.get("targets") for table, is_team in workspace.sections("trusted") if not is_team]
    return [str(one) for one in agreed[0]] if agreed and isinstance(agreed[0], list) else []


def _check_names(workspace: Workspace, section: str) -> None:
    for table, is_team in workspace.sections(section):
        for name in table:
            if name in _KNOWN[section]:
                continue
            where = f"{'dsvc.toml' if is_team else 'workspace.toml'}: {name} under [{section}]"
            if any(mark in name.lower() for mark in _SECRET):
                hint = "take it out, and see that it was not committed; credentials come as for the cloud's own tools"
                raise RefusedError(f"{where} may be a secret, which does not belong there", hint)
            raise RefusedError(f"{where} is no setting", f"there is: {', '.join(sorted(_KNOWN[section]))}")


def _text(value: Any, section: str, name: str) -> str | None:
    if value is None or (isinstance(value, str) and value):
        return value
    raise RefusedError(f"{name} under [{section}] is no text", f'write: {name} = "TEXT"')


def _bool(value: Any, section: str) -> bool:
    if value is None or isinstance(value, bool):
        return value is True
    raise RefusedError(f"allow_http under [{section}] is neither true nor false", "write: allow_http = true")
