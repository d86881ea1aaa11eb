"""What a person's environment and AWS profiles say, and what of it becomes of a bucket's client."""

from __future__ import annotations

import datetime
import sys
from pathlib import Path
from typing import Any

import pytest

from dsvc.errors import RefusedError
from dsvc.store import clouds
from dsvc.store.clouds import CloudSettings, open_bucket
from dsvc.store.profiles import Aws, read_aws

CONFIG = """
[default]
region = eu-west-1
[profile lab]
region = eu-central-1
endpoint_url = https://all.example.org
[profile minio]
services = local
[services local]
s3 =
  endpoint_url = https://minio.example.org
  max_concurrent_requests = 5
[profile office]
sso_session = corp
sso_account_id = 1
[profile deploy]
role_arn = arn:aws:iam::1:role/deploy
source_profile = lab
[lab]
region = never
"""
CREDENTIALS = """
[default]
aws_access_key_id = DEFAULTID
aws_secret_access_key = hunter2
[lab]
aws_access_key_id = LABID
aws_secret_access_key = hunter3
aws_session_token = hunter4
[half]
aws_access_key_id = HALFID
"""
DEFAULT = {"access_key_id": "DEFAULTID", "secret_access_key": "hunter2"}
LAB = {"access_key_id": "LABID", "secret_access_key": "hunter3", "session_token": "hunter4"}


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "config").write_text(CONFIG)
    (tmp_path / ".aws" / "credentials").write_text(CREDENTIALS)
    return {"HOME": str(tmp_path)}


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, Aws(None, "eu-west-1", DEFAULT)),
        ({"AWS_PROFILE": "lab"}, Aws("https://all.example.org", "eu-central-1", LAB)),
        ({"AWS_PROFILE": "minio"}, Aws("https://minio.example.org")),
        ({"AWS_PROFILE": "half"}, Aws()),
        ({"AWS_PROFILE": "office"}, Aws(profile="office", login="single sign-on")),
        ({"AWS_PROFILE": "deploy"}, Aws(profile="deploy", login="a role that it takes on")),
        ({"AWS_PROFILE": "lab", "AWS_REGION": "us-west-2"}, Aws("https://all.example.org", "us-west-2", LAB)),
        ({"AWS_ENDPOINT_URL": "https://env", "AWS_DEFAULT_REGION": "r"}, Aws("https://env", "r", DEFAULT)),
        (
            {"AWS_ENDPOINT_URL": "https://a", "AWS_ENDPOINT_URL_S3": "https://s3"},
            Aws("https://s3", "eu-west-1", DEFAULT),
        ),
        # Keys in the environment come before any profile's, which still says where things are.
        ({"AWS_ACCESS_KEY_ID": "x", "AWS_PROFILE": "office"}, Aws()),
        ({"AWS_ACCESS_KEY_ID": "x", "AWS_PROFILE": "lab"}, Aws("https://all.example.org", "eu-central-1")),
        ({"AWS_WEB_IDENTITY_TOKEN_FILE": "/x"}, Aws(None, "eu-west-1")),
        ({"AWS_SKIP_SIGNATURE": "true", "AWS_PROFILE": "office"}, Aws()),
    ],
)
def test_the_environment_and_the_profile(environment: dict[str, str], expected: Aws, home: dict[str, str]) -> None:
    assert read_aws(home | environment) == expected


def test_other_files_can_be_named(home: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "c").write_text("[lab]\naws_access_key_id=A\naws_secret_access_key=B\n")
    found = read_aws({"HOME": "/nowhere", "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "c"), "AWS_PROFILE": "lab"})
    assert found == Aws(keys={"access_key_id": "A", "secret_access_key": "B"})
    assert read_aws({"HOME": "/nowhere"}) == Aws()


def test_a_profile_that_is_not_there_is_named(home: dict[str, str]) -> None:
    with pytest.raises(RefusedError, match="there is no AWS profile 'lba'") as error:
        read_aws(home | {"AWS_PROFILE": "lba"})
    assert error.value.hint == "see which there are: aws configure list-profiles"


@pytest.mark.parametrize("text", [b"hunter2 = 3\n", b"[lab]\nhunter2", b"\xff\xfe[lab]"])
def test_a_file_that_makes_no_sense_is_named_and_not_shown(text: bytes, home: dict[str, str]) -> None:
    path = Path(home["HOME"]) / ".aws" / "credentials"
    path.write_bytes(text)
    with pytest.raises(RefusedError) as error:
        read_aws(home)
    assert error.value.message == f"{path}: cannot be read as a file of AWS profiles"
    assert error.value.__cause__ is None and error.value.__suppress_context__


# ---- opening


@pytest.fixture
def person(home: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A person with these profiles, and nothing of whoever runs the tests."""
    import os

    pytest.importorskip("obstore")
    for name in list(os.environ):
        if name.startswith(("AWS_", "AZURE_", "GOOGLE_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", home["HOME"])
    return monkeypatch


def test_a_profile_s_keys_and_places_are_used(person: pytest.MonkeyPatch) -> None:
    person.setenv("AWS_PROFILE", "lab")
    config = open_bucket("s3", "bucket", CloudSettings()).config
    assert config == {
        "bucket": "bucket", "region": "eu-central-1", "endpoint_url_s3": "https://all.example.org", **LAB,
    }  # fmt: skip


def test_the_settings_come_before_the_person_s_endpoint(person: pytest.MonkeyPatch) -> None:
    person.setenv("AWS_ENDPOINT_URL_S3", "https://env.example.org")
    config = open_bucket("s3", "bucket", CloudSettings("https://team.example.org/", "us-west-2")).config
    assert config["endpoint_url_s3"] == "https://team.example.org"
    assert config["region"] == "us-west-2"


def test_an_endpoint_that_is_not_this_person_s_choice_gets_no_keys(person: pytest.MonkeyPatch) -> None:
    config = open_bucket("s3", "bucket", CloudSettings("https://team.example.org", is_own=False)).config
    assert "hunter" not in str(config) and "DEFAULTID" not in str(config)
    assert config["skip_signature"] in (True, "true")


def test_http_is_for_this_machine_and_for_who_allows_it(person: pytest.MonkeyPatch) -> None:
    plain = CloudSettings("http://minio.example.org")
    with pytest.raises(RefusedError, match="is not encrypted") as error:
        open_bucket("s3", "bucket", plain)
    assert "allow_http = true" in (error.value.hint or "")
    for settings in (plain._replace(allow_http=True), CloudSettings("http://127.0.0.1:9")):
        assert open_bucket("s3", "bucket", settings).client_options["allow_http"] in (True, "true")
    person.setenv("AWS_ENDPOINT_URL", "http://minio.example.org")  # this person's own choice
    assert open_bucket("s3", "bucket", CloudSettings()).client_options["allow_http"] in (True, "true")
    assert "allow_http" not in str(open_bucket("s3", "b", CloudSettings("https://x")).client_options) or (
        open_bucket("s3", "b", CloudSettings("https://x")).client_options["allow_http"] in (False, "false")
    )


@pytest.mark.parametrize(
    ("endpoint", "told"),
    [
        ("minio", "the endpoint 'minio' is no URL"),
        ("ftp://x", "is no URL"),
        ("https://[x", "is no URL"),
        ("https://host:port", "is no URL"),
        ("https://a\nb", "is no URL"),
        ("https://key:hunter2@host", "holds a secret"),
        ("https://host?token=hunter2", "holds a secret"),
    ],
)
def test_endpoints_that_are_none(endpoint: str, told: str, person: pytest.MonkeyPatch) -> None:
    with pytest.raises(RefusedError, match=told) as error:
        open_bucket("s3", "bucket", CloudSettings(endpoint))
    assert "hunter2" not in f"{error.value.message}{error.value.hint}"
    person.setenv("AWS_ENDPOINT_URL", endpoint)
    with pytest.raises(RefusedError, match=told):
        open_bucket("s3", "bucket", CloudSettings())


def test_a_login_takes_boto3(person: pytest.MonkeyPatch) -> None:
    person.setenv("AWS_PROFILE", "deploy")
    person.setitem(sys.modules, "boto3", None)  # type: ignore[arg-type]
    with pytest.raises(RefusedError, match="logs in by a role that it takes on, which takes the package") as error:
        open_bucket("s3", "bucket", CloudSettings())
    assert error.value.hint == "pip install boto3"


def test_a_login_is_boto3_s(person: pytest.MonkeyPatch, home: dict[str, str]) -> None:
    pytest.importorskip("boto3")
    script = Path(home["HOME"]) / "login"
    script.write_text(
        '#!/bin/sh\necho \'{"Version": 1, "AccessKeyId": "PROC", "SecretAccessKey": "s", "SessionToken": "t"}\'\n'
    )
    script.chmod(0o755)
    config = Path(home["HOME"]) / ".aws" / "config"
    config.write_text(f"[profile proc]\nregion = eu-west-3\ncredential_process = {script}\n")
    person.setenv("AWS_PROFILE", "proc")
    store = open_bucket("s3", "bucket", CloudSettings())
    found: Any = store.credential_provider()
    assert (found["access_key_id"], found["token"]) == ("PROC", "t")
    assert found["expires_at"] > datetime.datetime.now(datetime.UTC)
    script.write_text("#!/bin/sh\nexit 1\n")
    config.write_text("[profile proc]\nsso_start_url = https://x\n")
    with pytest.raises(RefusedError, match="the AWS profile 'proc' gives no credentials") as error:
        open_bucket("s3", "bucket", CloudSettings())
    assert error.value.hint == "log in again: aws sso login --profile proc"


def test_azure_has_accounts(person: pytest.MonkeyPatch) -> None:
    with pytest.raises(RefusedError, match="az://box cannot be opened: no account is named") as error:
        open_bucket("az", "box", CloudSettings())
    assert "account below [az]" in (error.value.hint or "")
    ours = open_bucket("az", "box", CloudSettings(account="team")).config
    theirs = open_bucket("az", "box", CloudSettings(account="team", is_own=False)).config
    assert "team" in str(ours) and "skip_signature" not in str(ours) and "skip_signature" in str(theirs)
    person.setenv("AZURE_STORAGE_ACCOUNT_NAME", "mine")
    assert open_bucket("az", "box", CloudSettings()).config["container_name"] == "box"


def test_keys_that_cannot_be_read_are_not_shown(person: pytest.MonkeyPatch) -> None:
    person.setenv("GOOGLE_SERVICE_ACCOUNT_KEY", "{hunter2: 1}")
    with pytest.raises(RefusedError) as error:
        open_bucket("gs", "box", CloudSettings())
    assert error.value.message.startswith("gs://box cannot be opened: ")
    assert "hunter2" not in f"{error.value.message}{error.value.hint}"


def test_only_loopback_is_this_machine() -> None:
    for url, is_it in (
        ("http://127.0.0.1:5", True),
        ("http://127.8.8.8", True),
        ("http://localhost/x", True),
        ("http://[::1]:5/x", True),
        ("http://127.0.0.1.example.org", False),
        ("http://127.evil.org", False),
        ("http://localhost.example.org", False),
        ("http://10.0.0.1", False),
    ):
        assert clouds.is_loopback(url) is is_it, url
