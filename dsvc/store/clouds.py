"""Opening the buckets of object stores, with the credentials that each cloud's own tools use."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from dsvc.errors import DsvcError, RefusedError
from dsvc.store.profiles import log_in, read_aws

CLOUD = ("s3", "gs", "az")
_CONNECT = timedelta(seconds=5)
_WHOLE = timedelta(minutes=10)  # for a request and its answer: a pack of 64 MiB at 1 Mbit/s
_STALL = timedelta(seconds=40)  # without a byte of the answer


class CloudSettings(NamedTuple):
    """How buckets are reached: another endpoint than Amazon's, a region, whether http is allowed, Azure's account.

    With `is_own` false the endpoint or account is not this person's choice: nothing is signed then.
    """

    endpoint: str | None = None
    region: str | None = None
    allow_http: bool = False
    account: str | None = None
    is_own: bool = True


def import_obstore() -> Any:
    """The client of object stores. Raises RefusedError where it is missing."""
    try:
        import obstore
    except ImportError:
        raise RefusedError("object stores need the package obstore", "pip install obstore") from None
    return obstore


def open_bucket(kind: str, bucket: str, settings: CloudSettings, retries: int = 0, *, for_uploads: bool = False) -> Any:
    """A store of obstore for a bucket of S3 ("s3"), Google ("gs") or a container of Azure ("az"); no request is made.

    `retries` are those that the client makes by itself. One `for_uploads` waits for an answer as long as it takes to
    send much; others end when nothing comes. Raises RefusedError.
    """
    import_obstore()
    from obstore.store import AzureStore, GCSStore

    client: dict[str, Any] = {"connect_timeout": _CONNECT, "timeout": _WHOLE, "user_agent": "dsvc"}
    if not for_uploads:
        client["read_timeout"] = _STALL
    options: dict[str, Any] = {"client_options": client, "retry_config": {"max_retries": retries}}
    try:
        if kind == "gs":
            return GCSStore(bucket, **options)
        if kind == "az":
            if settings.account:
                options |= {"account_name": settings.account}
                options |= {} if settings.is_own else {"skip_signature": True}
            return AzureStore(bucket, **options)
        return _open_s3(bucket, settings, options)
    except DsvcError:
        raise
    except Exception as error:  # what is wrong with the settings of the environment
        hint = "name its account: AZURE_STORAGE_ACCOUNT_NAME, or account below [az]" if kind == "az" else None
        told = type(error).__name__ if kind != "az" or "Account must" not in str(error) else "no account is named"
        raise RefusedError(f"{kind}://{bucket} cannot be opened: {told}", hint or "see its settings") from error


def _open_s3(bucket: str, settings: CloudSettings, options: dict[str, Any]) -> Any:
    from obstore.store import S3Store

    own = read_aws()
    endpoint, region = settings.endpoint or own.endpoint, settings.region or own.region
    if endpoint is not None:
        options["aws_endpoint_url_s3"] = endpoint.rstrip("/")
        options["client_options"]["allow_http"] = _may_be_plain(endpoint, settings)
    if region is not None:
        options["region"] = region
    if settings.endpoint is not None and not settings.is_own:
        return S3Store(bucket, **options | {"skip_signature": True})
    if own.login is not None and own.profile is not None:
        options["credential_provider"] = log_in(own.profile, own.login)
    return S3Store(bucket, **options | (own.keys or {}))


def _may_be_plain(endpoint: str, settings: CloudSettings) -> bool:
    """Whether an endpoint is reached without encryption. Raises RefusedError where that is not allowed."""
    if check_endpoint(endpoint).scheme == "https":
        return False
    if settings.endpoint is not None and not settings.allow_http and not is_loopback(endpoint):
        message = f"the endpoint {endpoint} is not encrypted"
        raise RefusedError(message, "where that is meant: allow_http = true below [s3] in dsvc.toml")
    return True


def check_endpoint(endpoint: str) -> Any:
    """The parts of an endpoint's URL. Raises RefusedError for what is none, and for one with a secret in it."""
    try:
        parts = urlsplit(endpoint)
        _ = parts.port
    except ValueError:
        parts = urlsplit("")
    if "@" in parts.netloc or parts.query:
        raise RefusedError("the endpoint of [s3] holds a secret", "write it without; credentials lie elsewhere")
    if parts.scheme not in ("http", "https") or not parts.hostname or any(mark in endpoint for mark in "\r\n\t "):
        raise RefusedError(f"the endpoint {endpoint[:80]!r} is no URL", "https://HOST")
    return parts


def is_loopback(url: str) -> bool:
    """Whether a URL leads to this machine itself."""
    import ipaddress

    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
