"""What Amazon's own tools would use: the environment, and the profiles of ~/.aws.

The client of object stores reads the environment by itself, and asks the machine for its role; profiles it does not
know. Nothing that is read here is ever shown, save names and addresses.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from dsvc.errors import RefusedError

if TYPE_CHECKING:
    import configparser

_KEYS = {"aws_access_key_id": "access_key_id", "aws_secret_access_key": "secret_access_key"}
# What in a profile names a way to log in that takes more than two keys.
_LOGINS = {
    "sso_session": "single sign-on",
    "sso_start_url": "single sign-on",
    "login_session": "a login session",
    "credential_process": "a program of its own",
    "role_arn": "a role that it takes on",
}
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
# Where one of these is set, the client finds the credentials by itself, or needs none.
_OTHERS = (
    "AWS_SKIP_SIGNATURE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)


class Aws(NamedTuple):
    """An endpoint and a region, where the person has set them; the keys of a profile, or the name of one that logs in
    by what `login` says."""

    endpoint: str | None = None
    region: str | None = None
    keys: dict[str, str] | None = None
    profile: str | None = None
    login: str | None = None


def read_aws(environment: Mapping[str, str] | None = None) -> Aws:
    """What the environment and the profile that it names say. Raises RefusedError."""
    environment = os.environ if environment is None else environment
    endpoint = next((environment[name] for name in _ENDPOINTS if environment.get(name)), None)
    region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or None
    chosen = environment.get("AWS_PROFILE") or environment.get("AWS_DEFAULT_PROFILE")
    name = chosen or "default"
    fields, services = _read_profile(environment, name)
    if chosen and not fields:
        raise RefusedError(f"there is no AWS profile {chosen!r}", "see which there are: aws configure list-profiles")
    found = Aws(endpoint or _endpoint(fields, services), region or fields.get("region"))
    if environment.get("AWS_ACCESS_KEY_ID") or any(environment.get(name) for name in _OTHERS):
        return found
    login = next((what for field, what in _LOGINS.items() if fields.get(field)), None)
    if login is not None:
        return found._replace(profile=name, login=login)
    keys = {name: fields[field] for field, name in _KEYS.items() if fields.get(field)}
    if len(keys) < len(_KEYS):
        return found
    if fields.get("aws_session_token"):
        keys["session_token"] = fields["aws_session_token"]
    return found._replace(keys=keys)


def _read_profile(environment: Mapping[str, str], name: str) -> tuple[dict[str, str], dict[str, str]]:
    """The fields of a profile, those of the file of credentials before those of the other; and of its services."""
    home = Path(environment.get("HOME") or "~").expanduser()
    config = _read(environment.get("AWS_CONFIG_FILE"), home / ".aws" / "config")
    keys = _read(environment.get("AWS_SHARED_CREDENTIALS_FILE"), home / ".aws" / "credentials")
    fields: dict[str, str] = {}
    for parser, sections in ((config, (name, f"profile {name}")), (keys, (name,))):
        for section in sections:
            # The sections of the other profiles in `config` begin with a word.
            if parser.has_section(section) and (parser is keys or section == "default" or section != name):
                fields.update(parser.items(section))
    section = f"services {fields.get('services')}"
    return fields, dict(config.items(section)) if config.has_section(section) else {}


def _read(named: str | None, usual: Path) -> configparser.RawConfigParser:
    import configparser

    parser = configparser.RawConfigParser(default_section="", strict=False)
    path = Path(named).expanduser() if named else usual
    try:
        parser.read(path, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError, OSError):  # their texts show lines of it, with keys perhaps
        raise RefusedError(f"{path}: cannot be read as a file of AWS profiles", "see it, or leave it out") from None
    return parser


def _endpoint(fields: Mapping[str, str], services: Mapping[str, str]) -> str | None:
    """The endpoint that a profile names for S3, in its services or for all of them."""
    for line in services.get("s3", "").splitlines():
        name, _, value = line.partition("=")
        if name.strip() == "endpoint_url":
            return value.strip()
    return fields.get("endpoint_url") or None


def log_in(profile: str, login: str) -> Any:
    """What gives the client credentials of a profile that takes more than keys. Raises RefusedError."""
    try:
        import boto3
        from obstore.auth.boto3 import Boto3CredentialProvider
    except ImportError:
        message = f"the AWS profile {profile!r} logs in by {login}, which takes the package boto3"
        raise RefusedError(message, "pip install boto3") from None
    try:
        return Boto3CredentialProvider(boto3.Session(profile_name=profile))
    except Exception as error:  # a session that ended, say; of many kinds
        told = type(error).__name__
        hint = f"log in again: aws sso login --profile {profile}"
        raise RefusedError(f"the AWS profile {profile!r} gives no credentials: {told}", hint) from error
