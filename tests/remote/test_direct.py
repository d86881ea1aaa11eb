"""A repository elsewhere is read without a clone, and never changed."""

from pathlib import Path
from typing import Any

import pytest

import dsvc
from dsvc.errors import NotFoundError, RefusedError, RemoteError
from dsvc.remote.sending import push
from dsvc.remote.settings import add_remote
from dsvc.store.local import LocalBackend

from .workspaces import project


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A remote with forty small files."""
    ours = project(tmp_path / "ours", images=40)
    ours.create_version("v1")
    push(ours.repository, add_remote(ours.repository, "origin", str(tmp_path / "store")))
    return tmp_path / "store"


def test_reads(store: Path) -> None:
    """All that reads works: the only dataset is the current one."""
    repo = dsvc.open(store.as_uri())
    pets = repo.dataset()
    assert pets.name == "pets"
    v1 = pets.at("v1")
    assert len(v1) == 40
    assert [sample.read_bytes()[:4] for sample in v1] == [b"ours"] * 40
    assert [logged.commit.message for logged in pets.log()] == ["first"]
    assert len(repo.at("pets@v1")) == 40
    assert repr(repo) == f"Repository('{store.as_uri()}')"


def test_media_comes_in_few_requests(store: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whoever reads much is told ahead of."""
    repo = dsvc.open(store.as_uri())
    found: list[Any] = []
    plain = LocalBackend.read

    def read(self: LocalBackend, name: str, *rest: Any) -> bytes:
        found.append(name)
        return plain(self, name, *rest)

    monkeypatch.setattr(LocalBackend, "read", read)
    repo.dataset().at().export("coco", tmp_path / "out", media=True)
    assert len(list((tmp_path / "out" / "images").rglob("*.txt"))) == 40
    assert len(found) <= 20


def test_changes_nothing(store: Path, tmp_path: Path) -> None:
    """What would change it is refused, and says how to go on."""
    repo = dsvc.open(store.as_uri())
    head = (store / "head").read_bytes()
    pets = repo.dataset()
    changes = [
        lambda: repo.create("cats"),
        lambda: repo.rename("pets", "cats"),
        lambda: repo.delete("pets"),
        lambda: pets.commit("x"),
        lambda: pets.annotate("images/0.txt", text="x"),
        lambda: pets.create_version("v2"),
        lambda: pets.add(tmp_path / "ours" / "images", root=tmp_path / "ours"),
    ]
    for change in changes:
        with pytest.raises(RefusedError, match="is only read here; nothing was changed") as error:
            change()
        assert error.value.hint == f"clone it: dsvc clone {store.as_uri()}"
    assert (store / "head").read_bytes() == head
    assert {found.name for found in repo.datasets()} == {"pets"}


def test_what_is_not_there(store: Path, tmp_path: Path) -> None:
    """A place without a repository, and a dataset that it has not."""
    with pytest.raises(RemoteError, match="does not exist"):
        dsvc.open((tmp_path / "nowhere").as_uri())
    with pytest.raises(NotFoundError, match="no dataset named 'cats'"):
        dsvc.open(store.as_uri()).dataset("cats")


def test_follows_the_place(store: Path, tmp_path: Path) -> None:
    """What is pushed there meanwhile is seen."""
    repo = dsvc.open(store.as_uri())
    before = repo.dataset().head
    ours = dsvc.open(tmp_path / "ours", dsvc.Author("Ada", "")).dataset("pets")
    ours.annotate("images/0.txt", text="x")
    after = ours.commit("second").id
    push(ours.repository, add_remote(ours.repository, "again", store.as_uri()))
    assert before != after
    assert repo.dataset().head == after
