"""Which remotes there are, where they may lie, and which of them this workspace trusts."""

import os
from pathlib import Path

import pytest

import dsvc
from dsvc.core.dataset import Dataset
from dsvc.errors import DamagedError, DsvcError, NotFoundError, RefusedError, RemoteError, UsageError
from dsvc.remote.fetching import fetch_commits
from dsvc.remote.places import check_url, open_place
from dsvc.remote.pushing import push_commits
from dsvc.remote.sending import push
from dsvc.remote.settings import (
    Remote,
    add_remote,
    find_remote,
    is_trusted,
    list_remotes,
    remove_remote,
    require_trusted,
    trust,
)
from dsvc.remote.tracking import fetch

from .workspaces import ADA, head, opened, project, say


def test_the_team_has_remotes_and_a_workspace_its_own(ours: Dataset) -> None:
    repository = ours.repository
    assert repository.root is not None
    with pytest.raises(NotFoundError, match="no remote is set"):
        find_remote(repository)
    (repository.root / "dsvc.toml").write_text("# ours\n[git]\ndraft = 'warn'\n")
    add_remote(repository, "origin", "../store")
    add_remote(repository, "backup", "/backup", local=True)
    text = "# ours\n[git]\ndraft = 'warn'\n\n[remotes.origin]\nurl = \"../store\"\n"
    assert (repository.root / "dsvc.toml").read_text() == text
    assert list_remotes(repository) == [Remote("origin", "../store", True), Remote("backup", "/backup", False)]
    assert find_remote(repository).name == "origin" and find_remote(repository, "backup").url == "/backup"
    again = dsvc.open(repository.root)
    assert list_remotes(again) == list_remotes(repository)

    with pytest.raises(RefusedError, match="there is a remote 'origin' already"):
        add_remote(repository, "origin", "/elsewhere")
    add_remote(repository, "origin", "/mine", local=True)
    assert list_remotes(repository)[0] == Remote("origin", "/mine", False), "the workspace's wins, in the same place"
    assert remove_remote(repository, "origin").url == "/mine" and find_remote(repository).url == "../store"
    remove_remote(repository, "origin", dry_run=True)
    assert find_remote(repository).url == "../store"
    remove_remote(repository, "origin")
    assert (repository.root / "dsvc.toml").read_text().rstrip() == "# ours\n[git]\ndraft = 'warn'"
    with pytest.raises(NotFoundError, match="no remote named 'origin'") as error:
        remove_remote(repository, "origin")
    assert error.value.hint == "there is: backup"


def test_what_came_with_the_project_is_used_once_somebody_agrees(ours: Dataset, origin: Remote, tmp_path: Path) -> None:
    push_commits(ours.repository, origin, {"pets": {head(ours)}})
    root = ours.repository.root
    assert root is not None
    there = dsvc.init(tmp_path / "theirs", author=ADA)
    (tmp_path / "theirs" / "dsvc.toml").write_text((root / "dsvc.toml").read_text() + '[trusted]\nremotes = ["x"]\n')
    there = dsvc.open(tmp_path / "theirs", author=ADA)
    remote = find_remote(there)
    wanted = {"pets": {head(ours)}}
    for use in (
        lambda: require_trusted(there, remote),
        lambda: fetch_commits(there, remote, wanted),
        lambda: push_commits(there, remote, wanted),
        lambda: fetch(there, remote),
        lambda: push(there, remote),
    ):
        with pytest.raises(RefusedError, match="origin came with the project, and was not used here yet") as error:
            use()
        assert error.value.hint == "if that is the right place, say --yes"
    trust(there, remote)
    assert is_trusted(dsvc.open(tmp_path / "theirs"), remote) and fetch(there, remote).commits == 2
    assert not is_trusted(there, remote._replace(url="/another")), "another URL under that name is asked about again"


@pytest.mark.parametrize(
    ("url", "kind", "message"),
    [
        ("", RefusedError, "an empty text: names no file"),
        ("a\0b", RefusedError, "names no file"),
        ("https://ada:hunter2@host/x", RefusedError, "holds a user name or password"),
        ("https://host/x?X-Amz-Signature=hunter2", RefusedError, "is signed or holds a token"),
        ("s3://key:hunter2@bucket/x", RefusedError, "holds a user name or password"),
        ("s3://bucket/a//b", RefusedError, "names no object"),
        ("https://host/x?list=1", RefusedError, "is no beginning of URLs"),
        ("ftp://host/x", RefusedError, "no place of this kind is known"),
        ("ftp://ada:hunter2@host/x", RefusedError, "no place of this kind is known"),
        ("file://server/share", RefusedError, "lies on another machine"),
    ],
)
def test_urls_that_are_no_remotes(url: str, kind: type[DsvcError], message: str, ours: Dataset) -> None:
    with pytest.raises(kind, match=message) as error:
        add_remote(ours.repository, "origin", url)
    assert "hunter2" not in f"{error.value.message}{error.value.hint}" and list_remotes(ours.repository) == []
    with pytest.raises(kind, match=message):
        open_place(url, None)


def test_names_that_are_none(ours: Dataset) -> None:
    for name in ("", "a/b", "-x", "a:b", "x" * 65, "HEAD"):
        with pytest.raises(UsageError):
            add_remote(ours.repository, name, "../store")


@pytest.mark.parametrize("text", ["remotes = 3", "[remotes]\norigin = 3", "[remotes.origin]\nurl = 3"])
def test_settings_that_make_no_sense(text: str, ours: Dataset) -> None:
    assert ours.repository.root is not None
    (ours.repository.root / "dsvc.toml").write_text(text)
    with pytest.raises(DamagedError, match=r"dsvc.toml: remote"):
        list_remotes(dsvc.open(ours.repository.root))


def test_paths_are_relative_to_the_project(ours: Dataset, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir("/")
    push(ours.repository, add_remote(ours.repository, "near", "shared/../../deep store"), "pets", "main")
    assert (tmp_path / "deep store" / "head").is_file()
    url = (tmp_path / "deep store").as_uri()
    assert "%20" in url and check_url(url) == url
    assert push(ours.repository, add_remote(ours.repository, "far", url), "pets", "main").commits == 0


def test_folders_that_are_no_remotes(ours: Dataset, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("x")
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    (tmp_path / "lost" / "packs").mkdir(parents=True)
    (tmp_path / "lost" / "packs" / "x").write_bytes(bytes(9000))
    (tmp_path / "closed").mkdir(mode=0)
    told = {
        "nowhere": (f"{tmp_path / 'nowhere'} does not exist", False),
        "empty": (f"{tmp_path / 'empty'} holds no repository yet", False),
        "full": (f"{tmp_path / 'full'} holds other files, and no dsvc repository", True),
        "file": (f"{tmp_path / 'file'}: Not a directory", True),
        "lost": (f"{tmp_path / 'lost'} holds a repository's packs but no head, which names them", True),
    }
    if os.geteuid():
        told["closed"] = (f"{tmp_path / 'closed' / '.dsvc'}: Permission denied", True)
    deep = add_remote(ours.repository, "deep", "../nowhere/deep", local=True)
    with pytest.raises(RemoteError, match=r"nowhere/deep does not exist$"):
        fetch(ours.repository, deep)
    with pytest.raises(RemoteError, match=r"nowhere does not exist$"):  # where a push would make it
        push(ours.repository, deep, "pets", "main")
    for name, (message, also_for_pushes) in told.items():
        remote = add_remote(ours.repository, name, f"../{name}", local=True)
        works = [lambda remote=remote: fetch(ours.repository, remote)]
        works += [lambda remote=remote: push(ours.repository, remote, "pets", "main")] if also_for_pushes else []
        for work in works:
            with pytest.raises(RemoteError) as error:
                work()
            assert error.value.message.endswith(message), error.value.message
            assert error.value.hint
    assert sorted(path.name for path in (tmp_path / "full").iterdir()) == ["thesis.txt"]
    assert list((tmp_path / "empty").iterdir()) == []


def test_a_repository_is_no_remote_of_itself(ours: Dataset) -> None:
    for name, url in (("one", "."), ("two", ".dsvc")):
        with pytest.raises(RefusedError, match="is this repository itself"):
            push(ours.repository, add_remote(ours.repository, name, url), "pets", "main")


def test_a_dry_run_makes_no_folder(ours: Dataset, origin: Remote, tmp_path: Path) -> None:
    sent = push(ours.repository, origin, "pets", "main", dry_run=True)
    assert (sent.commits, sent.objects, sent.versions) == (2, 0, [("pets", "v1")])
    assert sent.branches[0][1].move == "new" and not (tmp_path / "store").exists()
    assert push(ours.repository, origin, "pets", "main").commits == 2
    assert push(ours.repository, origin, "pets", "main", dry_run=True).commits == 0


def test_two_projects_at_once_make_one_remote(ours: Dataset, origin: Remote, tmp_path: Path) -> None:
    """A first push that broke off leaves folders behind: the next one goes on there."""
    for name in ("packs", "index", "manifests", "tmp"):
        (tmp_path / "store" / name).mkdir(parents=True)
    (tmp_path / "store" / "lock").touch()
    (tmp_path / "store" / "tmp" / "x").write_bytes(b"dsvcpack")
    push(ours.repository, origin, "pets", "main")
    other = project(tmp_path / "other")
    other.repository.rename("pets", "zoo")
    assert push(other.repository, add_remote(other.repository, "origin", "../store")).branches[0][0] == "zoo"


def test_a_disk_without_locks_is_read_but_not_written(
    ours: Dataset, origin: Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    push(ours.repository, origin, "pets", "main")
    table = tmp_path / "mountinfo"
    disk = f"40 22 0:50 / {tmp_path / 'store'} rw shared:2 - nfs4 server:/share rw,local_lock=all"
    table.write_text(f"22 1 8:1 / / rw shared:1 - ext4 /dev/sda1 rw\n{disk}\n")
    monkeypatch.setattr("dsvc.store.locks.MOUNTS", table)
    id = say(ours, "more")
    with pytest.raises(RemoteError, match=r"^remote origin: locks on the file system of .* don't reach other") as error:
        push(ours.repository, origin, "pets", "main")
    assert error.value.hint == "mount it with locking, or name a remote on another disk; fetching works as it is"
    assert not opened(tmp_path / "store").store.has(id)
    assert fetch(ours.repository, origin).changes == []
