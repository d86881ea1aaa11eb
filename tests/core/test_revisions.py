"""Expressions that name commits."""

import pytest

from dsvc.core.dataset import Dataset
from dsvc.core.repository import Repository
from dsvc.core.revisions import resolve
from dsvc.errors import NotFoundError, UsageError


@pytest.fixture
def line(repo: Repository, pets: Dataset) -> list[str]:
    """Three commits, the first two of them tagged v1 and v2; their ids."""
    assert repo.root is not None
    ids = []
    for number in range(3):
        (repo.root / f"{number}.txt").write_text(str(number))
        pets.add(repo.root / f"{number}.txt")
        ids.append(pets.commit(f"c{number}").id.hex())
        if number < 2:
            pets.create_version(f"v{number + 1}")
    return ids


def test_every_form(repo: Repository, line: list[str]) -> None:
    forms = {
        "HEAD": 2, "pets": 2, "pets:main": 2, "main": 2, "pets@v1": 0, "v1": 0, "@v2": 1, "HEAD~1": 1, "HEAD~~": 0,
        "pets~2": 0, "pets@v2~1": 0, "~1": 1, f"@{line[0][:6]}": 0, f"pets@{line[1]}": 1, line[1][:8]: 1,
    }  # fmt: skip
    for text, number in forms.items():
        commit = resolve(repo, text).commit
        assert commit is not None and commit.hex() == line[number], text
    assert not resolve(repo, "pets").is_pinned and not resolve(repo, "main").is_pinned
    assert resolve(repo, "@v1").is_pinned and resolve(repo, "HEAD~1").is_pinned


@pytest.mark.parametrize("text", ["nope", "pets@v9", "pets:other", "HEAD~9", "nope@v1", "@ffff"])
def test_what_is_not_there(repo: Repository, line: list[str], text: str) -> None:
    with pytest.raises(NotFoundError) as error:
        resolve(repo, text)
    assert error.value.hint or text in str(error.value)


@pytest.mark.parametrize("text", ["", "pets@", "a@b@c", "pets:main@v1", "pets~x"])
def test_what_is_no_revision(repo: Repository, line: list[str], text: str) -> None:
    with pytest.raises(UsageError):
        resolve(repo, text)


def test_an_ambiguous_word_lists_its_candidates(repo: Repository, pets: Dataset, line: list[str]) -> None:
    pets.create_version("main", revision="@v1")
    with pytest.raises(UsageError, match="a branch and a version") as error:
        resolve(repo, "main")
    assert "pets:main" in str(error.value.hint) and "pets@main" in str(error.value.hint)


def test_a_branch_without_commits(repo: Repository) -> None:
    repo.create("empty")
    assert resolve(repo, "empty").commit is None
    with pytest.raises(NotFoundError):
        resolve(repo, "empty~1")
