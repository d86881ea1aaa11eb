"""Expressions that name commits."""

import re

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


@pytest.mark.parametrize(
    "text", ["", "pets@", "a@b@c", "pets:main@v1", "pets~x", "a\0b", "\ud800", "pets~" + "9" * 5000, ":", "@"]
)
def test_what_is_no_revision(repo: Repository, line: list[str], text: str) -> None:
    with pytest.raises(UsageError):
        resolve(repo, text)


def test_an_ambiguous_word_lists_its_candidates(repo: Repository, pets: Dataset, line: list[str]) -> None:
    version = pets.version("v1").version
    repo.change("as another program may", lambda refs: refs.set(("version", "pets", "main"), version))
    with pytest.raises(UsageError, match="a branch and a version") as error:
        resolve(repo, "main")
    assert "pets:main" in str(error.value.hint) and "pets@main" in str(error.value.hint)


def test_a_word_that_is_a_dataset_too_is_ambiguous(repo: Repository, pets: Dataset, line: list[str]) -> None:
    pets.create_branch("birds")
    repo.create("birds")
    repo.use("pets")
    with pytest.raises(UsageError, match="'birds' is a dataset and a branch") as error:
        resolve(repo, "birds")
    assert error.value.hint == "say birds@HEAD for the dataset, pets:birds for the branch"
    assert resolve(repo, "birds@HEAD").dataset == "birds" and str(resolve(repo, "pets:birds").commit) == line[2]
    repo.use("birds")
    assert resolve(repo, "birds").dataset == "birds", "of another dataset, no branch is meant"


def test_an_id_that_begins_several_lists_them(
    repo: Repository, pets: Dataset, line: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from dsvc.core import revisions

    monkeypatch.setattr(revisions, "_DIGITS", re.compile("[0-9a-f]+"))
    starts: dict[str, list[str]] = {}
    for number in range(20):
        starts.setdefault(pets.commit(f"c{number}", allow_empty=True).id.hex()[0], []).append(f"(c{number})")
    digit, messages = next((digit, found) for digit, found in starts.items() if len(found) > 1)
    with pytest.raises(UsageError, match="begins the ids of") as error:
        resolve(repo, digit)
    assert all(message in str(error.value.hint) for message in messages)


def test_names_go_before_the_ids_that_they_look_like(repo: Repository, pets: Dataset, line: list[str]) -> None:
    name = line[2][:4]
    pets.create_version(name, revision="@v1")
    assert [str(resolve(repo, text).commit) for text in (name, f"@{name}", f"pets@{name}")] == [line[0]] * 3
    assert str(resolve(repo, line[2][:5]).commit) == line[2], "one digit more names the commit"


def test_head_of_a_dataset(repo: Repository, pets: Dataset, line: list[str]) -> None:
    repo.create("other")
    assert str(resolve(repo, "pets@HEAD~1").commit) == line[1]
    assert str(resolve(repo, "@HEAD", pets).commit) == line[2] == str(pets.at("@HEAD").commit)


def test_parents_are_never_what_a_source_delivered(repo: Repository, pets: Dataset, coco, write) -> None:
    pets.import_(write(coco()))
    logged = pets.commit("import")
    with pytest.raises(NotFoundError, match="history does not go back that far"):
        resolve(repo, "HEAD~1")
    (line,) = logged.commit.sources.values()
    assert resolve(repo, line.hex()[:10]).commit == line, "by its id it is found"


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("man", "did you mean main?"),
        ("head", "did you mean HEAD?"),
        ("@v9", "there is: v1, v2; of a commit's id, give 4 digits or more"),
        ("@v11", "did you mean pets@v1?"),
        ("@main", "main is a branch: pets:main"),
        ("pets:v1", "v1 is a version: pets@v1; to look at it: dsvc use pets@v1"),
        ("zzz", "there is: pets, main, v1, v2; of a commit's id, give 4 digits or more"),
        ("@ab", "there is: v1, v2; of a commit's id, give 4 digits or more"),
    ],
)
def test_what_is_unknown_tells_the_way_out(repo: Repository, line: list[str], text: str, hint: str) -> None:
    with pytest.raises(NotFoundError) as error:
        resolve(repo, text)
    assert error.value.hint == hint


def test_a_branch_without_commits(repo: Repository) -> None:
    repo.create("empty")
    assert resolve(repo, "empty").commit is None
    with pytest.raises(NotFoundError):
        resolve(repo, "empty~1")
