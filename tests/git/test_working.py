"""A Git repository as dsvc sees it, beside what `git` itself says."""

import subprocess
from pathlib import Path

import pytest

from dsvc.errors import NotFoundError, RefusedError
from dsvc.git.siblings import sibling_projects
from dsvc.git.working import GitRepository

from .conftest import Git


@pytest.fixture
def tree(tmp_path: Path, git: Git) -> Path:
    """A repository of three commits that change a file, on two branches, with a tag and a stash."""
    root = tmp_path / "tree"
    git(tmp_path, "init", "-q", str(root))
    for text in ("one", "two", "three"):
        (root / "sub").mkdir(exist_ok=True)
        (root / "sub" / "file").write_text(text)
        git(root, "add", "-A")
        git(root, "commit", "-qm", text)
    git(root, "tag", "-a", "named", "-m", "a tag", "HEAD~1")
    git(root, "branch", "old", "HEAD~2")
    return root


@pytest.mark.parametrize("revision", ["HEAD", "HEAD~2", "HEAD^", "main", "old", "named", "refs/heads/old", "HEAD@{1}"])
def test_revisions_are_what_git_says(tree: Path, git: Git, revision: str) -> None:
    expected = git(tree, "rev-parse", f"{revision}^{{commit}}").strip()
    with GitRepository.find(tree / "sub") as found:
        assert found.commit(revision).decode() == expected
        assert found.commit(expected).decode() == expected
        assert found.commit(expected[:8]).decode() == expected


@pytest.mark.parametrize("revision", ["nope", "HEAD~9", "", "HEAD:sub", "-x", "0" * 40, "abcd", "HEAD@{99}", "a b"])
def test_unknown_revisions_are_not_found(tree: Path, revision: str) -> None:
    with GitRepository.find(tree) as found, pytest.raises(NotFoundError, match="Git has no commit"):
        found.commit(revision)


def test_files_of_commits(tree: Path) -> None:
    with GitRepository.find(tree) as found:
        texts = [found.read(found.commit(revision), b"sub/file") for revision in ("HEAD", "old")]
        assert texts == [b"three", b"one"]
        head = found.head()
        assert head is not None
        assert [found.read(head, path) for path in (b"sub", b"sub/none", b"sub/file/more", b"")] == [None] * 4
        assert found.read(b"1" * 40, b"sub/file") is None
        assert len(list(found.walk([head], b"sub/file"))) == 3
        assert found.parents(head) == [found.commit("HEAD~1")]


def test_refs_and_reflog_reach_what_was_left(tree: Path, git: Git) -> None:
    (tree / "sub" / "file").write_text("stashed")
    git(tree, "stash", "-q")
    left = git(tree, "rev-parse", "HEAD").strip().encode()
    git(tree, "reset", "-q", "--hard", "old")
    with GitRepository.find(tree) as found:
        refs = found.refs()
        assert refs[b"ORIG_HEAD"] == left and refs[b"refs/tags/named"] == found.commit("named")
        assert found.read(refs[b"refs/stash"], b"sub/file") == b"stashed"
        assert left in found.reflog(100)
        assert found.reflog(100, "refs/heads/nope") == []


def test_stages_of_a_conflict(tree: Path, git: Git) -> None:
    with GitRepository.find(tree) as found:
        assert found.stages(b"sub/file") == {0: b"three"}
        assert found.stages(b"none") == {}
    git(tree, "checkout", "-q", "old")
    (tree / "sub" / "file").write_text("other")
    git(tree, "commit", "-qam", "other")
    git(tree, "merge", "-q", "main", code=1)
    with GitRepository.find(tree) as found:
        assert found.stages(b"sub/file") == {1: b"one", 2: b"other", 3: b"three"}


def test_places(tree: Path, tmp_path: Path, git: Git) -> None:
    assert GitRepository.find(tmp_path / "home") is None
    git(tree, "worktree", "add", "-q", str(tmp_path / "linked"), "old")
    for folder in (tree, tmp_path / "linked"):
        with GitRepository.find(folder / "sub") as found:
            assert found.root == folder
            assert found.common == tree / ".git"
            assert str(found.folder) == git(folder, "rev-parse", "--absolute-git-dir").strip()
            assert found.inside(folder / "sub" / "file") == b"sub/file"
            with pytest.raises(RefusedError, match="outside"):
                found.inside(tmp_path / "else")


def test_working_trees_with_data_are_siblings(tree: Path, tmp_path: Path, git: Git) -> None:
    git(tree, "worktree", "add", "-q", str(tmp_path / "linked"), "old")
    for folder in (tree, tmp_path / "linked"):
        (folder / "sub" / ".dsvc").mkdir()
    (tree / "sub" / ".dsvc" / "head").write_text("")
    with GitRepository.find(tmp_path / "linked") as found:
        assert sibling_projects(found, tmp_path / "linked" / "sub") == [tree / "sub"]
        assert sibling_projects(found, tmp_path / "linked") == []
    with GitRepository.find(tree) as found:
        assert sibling_projects(found, tree / "sub") == []


def test_an_empty_and_a_damaged_repository(tmp_path: Path, git: Git) -> None:
    git(tmp_path, "init", "-q", "empty")
    with GitRepository.find(tmp_path / "empty") as found:
        assert found.head() is None
        assert found.refs() == {}
        assert found.stages(b"file") == {}
        with pytest.raises(NotFoundError):
            found.commit("HEAD")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / ".git").write_text("gitdir: nowhere")
    with pytest.raises(RefusedError, match="cannot be read"):
        GitRepository.find(tmp_path / "broken")


def test_a_shallow_clone_ends_quietly(tree: Path, tmp_path: Path, git: Git) -> None:
    subprocess.run(["git", "clone", "-q", "--depth", "1", f"file://{tree}", str(tmp_path / "shallow")], check=True)
    with GitRepository.find(tmp_path / "shallow") as found:
        head = found.head()
        assert head is not None and found.parents(head) == []
        assert [commit.id for commit in found.walk([head], b"sub/file")] == [head]
        with pytest.raises(NotFoundError, match="unshallow"):
            try:
                found.commit("HEAD~1")
            except NotFoundError as error:
                raise NotFoundError(f"{error.message} {error.hint}") from error
