"""A team that shares through a bucket, by the command."""

from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import SIGNED, Result

Run = Callable[..., Result]


def test_two_people_and_a_bucket(
    project: Path, bucket_url: str, dsvc: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DSVC_AUTHOR_NAME", "Ada")
    monkeypatch.setenv("DSVC_AUTHOR_EMAIL", "ada@example.org")
    assert dsvc("remote", "add", "origin", bucket_url).out.startswith(f"remote origin: {bucket_url}\n")
    sent = dsvc("push")
    assert sent.out.startswith("pets:main: new, at ") and sent.out.endswith(f" to origin: {bucket_url}\n")
    assert dsvc("push").out.endswith(f"origin has all of it: {bucket_url}\n")
    made = dsvc("clone", bucket_url, tmp_path / "bo")
    assert f" from origin: {bucket_url}\n* pets\n" in made.out
    monkeypatch.chdir(tmp_path / "bo")
    dsvc("annotate", "a.jpg", "--text", "from Bo")
    dsvc("commit", "-m", "Of Bo", *SIGNED)
    assert dsvc("push").out.startswith("pets:main: ")
    monkeypatch.chdir(project)
    dsvc("annotate", "b.jpg", "--text", "from Ada")
    dsvc("commit", "-m", "Of Ada", *SIGNED)
    late = dsvc("push", code=3)
    assert late.err.startswith("error: pets:main has commits at origin that are not here; nothing was pushed\n")
    assert dsvc("fetch").out.startswith("origin/pets:main: ")
    dsvc("pull")
    dsvc("push")
    monkeypatch.chdir(tmp_path / "bo")
    dsvc("pull")
    log = dsvc("log").out
    assert "Of Bo" in log and "Of Ada" in log and "damaged" not in dsvc("check", code=None).out
    assert bucket_url in dsvc("remote", "list").out


def test_a_colleague_is_asked_where_the_endpoint_leads(
    project: Path, bucket_url: str, bucket_server: object, dsvc: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    dsvc("remote", "add", "origin", bucket_url, "--local")
    dsvc("push")
    (project / "dsvc.toml").write_text('[s3]\nendpoint = "https://evil.example.org"\n')
    for command in ("push", "fetch", "pull"):
        refused = dsvc(command, code=3)
        assert f"{bucket_url} at https://evil.example.org\n" in refused.err and "--yes" in refused.err
    (project / "dsvc.toml").write_text('[s3]\nsecret_access_key = "hunter2"\n')
    refused = dsvc("fetch", code=3)
    assert "hunter2" not in refused.err and refused.err.startswith(
        "error: dsvc.toml: secret_access_key under [s3] may be a secret, which does not belong there\n"
    )


def test_what_goes_wrong_is_one_message_and_exit_code_6(
    bucket_url: str, dsvc: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dsvc.store.attempts.FIRST_PATIENCE", 0.0)
    target = tmp_path / "target"
    assert dsvc("clone", bucket_url, target, code=6).err == (
        f"error: {bucket_url} holds no repository yet\nhint: see its spelling, or push there first: dsvc push\n"
    )
    assert dsvc("clone", "s3://no-such-bucket/x", target, code=6).err == (
        "error: s3://no-such-bucket/x: there is no such bucket\n"
        "hint: see its name, or make it with the cloud's own tools\n"
    )
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    assert dsvc("clone", bucket_url, target, code=6).err == (
        f"error: {bucket_url}: cannot be reached: nothing answers there\n"
        "hint: see that the place can be reached from here, and run the command again\n"
    )
    monkeypatch.setenv("AWS_ENDPOINT_URL", "minio")
    assert dsvc("clone", bucket_url, target, code=3).err == (
        "error: the endpoint 'minio' is no URL\nhint: https://HOST\n"
    )
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    assert dsvc("clone", bucket_url, target, code=3).err == (
        "error: there is no AWS profile 'nobody'\nhint: see which there are: aws configure list-profiles\n"
    )
    assert not target.exists()
