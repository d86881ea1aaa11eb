"""Settings: this workspace's before the team's; and where caches are kept."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import dsvc
from dsvc.core.repository import Repository
from dsvc.errors import RefusedError

PAGE = Path(__file__).parents[2] / "docs/reference/settings.md"
PACKAGE = Path(__file__).parents[2] / "dsvc"


def settings(repo: Repository, text: str, file: str = "dsvc.toml") -> Repository:
    assert repo.root is not None
    with (repo.root / file).open("a") as settings:
        settings.write(f"\n{text}\n")
    return dsvc.open(repo.root)


def test_the_cache_lies_in_the_repository(repo: Repository) -> None:
    assert repo.root is not None and repo.cache_folder == repo.root / ".dsvc/cache"


def test_the_cache_can_live_on_another_disk(repo: Repository, tmp_path: Path) -> None:
    elsewhere = tmp_path / "disk"
    opened = settings(repo, f'[cache]\nfolder = "{elsewhere}"')
    assert opened.cache_folder == elsewhere / repo.workspace.id


def test_a_relative_folder_is_below_the_project(repo: Repository) -> None:
    opened = settings(repo, '[cache]\nfolder = "../scratch"')
    assert opened.root is not None and opened.cache_folder == opened.root / "../scratch" / repo.workspace.id


def test_this_workspace_comes_before_the_team(repo: Repository) -> None:
    settings(repo, '[cache]\nfolder = "/team"\n[author]\nname = "Team"\nemail = "t@example.org"')
    opened = settings(repo, '[cache]\nfolder = "/mine"', ".dsvc/workspace.toml")
    assert opened.cache_folder == Path("/mine") / repo.workspace.id
    assert opened.author is not None and opened.author.name == "Team"


def test_a_folder_that_is_no_text_is_refused(repo: Repository) -> None:
    opened = settings(repo, "[cache]\nfolder = 5")
    with pytest.raises(RefusedError, match=r"folder under \[cache\] is no text"):
        _ = opened.cache_folder


def test_every_setting_that_is_read_is_documented() -> None:
    read = set()
    for path in PACKAGE.rglob("*.py"):
        read |= set(re.findall(r'\bsetting\(\s*"(\w+)",\s*"(\w+)"', path.read_text(encoding="utf-8")))
    assert len(read) >= 4
    page = PAGE.read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `\[(\w+)\]` \| `(\w+)` \|", page, re.MULTILINE)) == read
