"""Who signs, and when."""

import json
import subprocess
from pathlib import Path

import pytest

from dsvc.cli.author import parse_date
from dsvc.git.identity import git_user
from dsvc.model.commit import Moment


def signer(dsvc, *options: str) -> str:
    commit = json.loads(dsvc("commit", "-m", "x", "--allow-empty", *options, "--json").out)
    return "{name} <{email}>".format(**commit["author"])


@pytest.fixture
def git_config(tmp_path: Path) -> Path:
    path = tmp_path / "home" / "gitconfig"
    path.parent.mkdir(exist_ok=True)
    path.write_text("[user]\n\tname = Gil Global\n\temail = gil@example.org\n")
    return path


def test_order(dsvc, project: Path, git_config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert signer(dsvc) == "Gil Global <gil@example.org>"
    (project / ".git").mkdir()
    (project / ".git" / "config").write_text('[user]\n\tname = "Rita Repository"\n')
    assert signer(dsvc) == "Rita Repository <gil@example.org>"
    (project / "dsvc.toml").write_text('[author]\nname = "Tom Team"\nemail = "tom@example.org"\n')
    assert signer(dsvc) == "Tom Team <tom@example.org>"
    with (project / ".dsvc" / "workspace.toml").open("a") as file:
        file.write('[author]\nname = "Wanda Workspace"\nemail = "wanda@example.org"\n')
    assert signer(dsvc) == "Wanda Workspace <wanda@example.org>"
    monkeypatch.setenv("DSVC_AUTHOR_EMAIL", "other@example.org")
    assert signer(dsvc) == "Wanda Workspace <other@example.org>"
    monkeypatch.setenv("DSVC_AUTHOR_NAME", "Eve Environment")
    assert signer(dsvc) == "Eve Environment <other@example.org>"
    assert signer(dsvc, "--author", "Otto Option <otto@example.org>") == "Otto Option <otto@example.org>"
    assert signer(dsvc, "--author", "Otto") == "Otto <>"


def test_operations_are_signed_too(dsvc, project: Path, git_config: Path) -> None:
    dsvc("rm", "a.jpg")
    operation = json.loads(dsvc("op", "log", "-n", "1", "--json").out)["operations"][0]
    assert operation["author"] == {"name": "Gil Global", "email": "gil@example.org"}


@pytest.mark.parametrize("author", ["", " ", "<a@b>", "A <a", "A <a@b> c", "A\nB", "\udcff"])
def test_what_is_no_author(dsvc, project: Path, author: str) -> None:
    dsvc("commit", "-m", "x", "--allow-empty", "--author", author, code=2)


def test_broken_git_settings_say_nothing(dsvc, project: Path, git_config: Path) -> None:
    git_config.write_text("[user\nname")
    dsvc("commit", "-m", "x", "--allow-empty", code=3)
    git_config.unlink()
    git_config.mkdir()
    dsvc("commit", "-m", "x", "--allow-empty", code=3)


class TestGitUser:
    def test_nobody(self, tmp_path: Path) -> None:
        assert git_user(tmp_path, [tmp_path / "no"]) is None

    def test_an_address_alone_is_nobody(self, tmp_path: Path) -> None:
        (tmp_path / "c").write_text("[user]\nemail = x\n")
        assert git_user(tmp_path, [tmp_path / "c"]) is None

    def test_the_first_file_that_has_a_name(self, tmp_path: Path) -> None:
        (tmp_path / "a").write_text("[core]\nbare = false\n")
        (tmp_path / "b").write_text("[user]\nname = Björn\n")
        assert git_user(tmp_path, [tmp_path / "a", tmp_path / "b"]) == ("Björn", "")

    def test_an_included_file(self, tmp_path: Path) -> None:
        (tmp_path / "a").write_text(f"[include]\npath = {tmp_path}/b\n")
        (tmp_path / "b").write_text("[user]\nname = Ina\n")
        assert git_user(tmp_path, [tmp_path / "a"]) == ("Ina", "")

    def test_a_folder_in_a_repository_and_a_worktree(self, tmp_path: Path) -> None:
        main, linked = tmp_path / "main", tmp_path / "linked"
        (main / ".git" / "worktrees" / "linked").mkdir(parents=True)
        (main / ".git" / "config").write_text("[user]\nname = Mia\n")
        (main / ".git" / "worktrees" / "linked" / "commondir").write_text("../..\n")
        (linked / "below").mkdir(parents=True)
        (linked / ".git").write_text(f"gitdir: {main}/.git/worktrees/linked\n")
        assert git_user(main / "below", []) == ("Mia", "")
        assert git_user(linked / "below", []) == ("Mia", "")

    def test_git_agrees(self, tmp_path: Path) -> None:
        try:
            subprocess.run(["git", "init", "-q", str(tmp_path / "r")], check=True)
        except FileNotFoundError:
            pytest.skip("git is not installed")
        subprocess.run(["git", "-C", str(tmp_path / "r"), "config", "user.name", 'A "quoted" \\ name; #1'], check=True)
        assert git_user(tmp_path / "r", []) == ('A "quoted" \\ name; #1', "")


class TestDates:
    @pytest.mark.parametrize(
        ("text", "moment"),
        [
            ("2024-05-01T12:00:00Z", Moment(1714564800, 0)),
            ("2024-05-01T12:00:00+02:00", Moment(1714557600, 120)),
            ("2024-05-01 12:00:00.75-05:30", Moment(1714584600, -330)),
            ("@1714564800", Moment(1714564800, 0)),
            ("@1714564800 +0200", Moment(1714564800, 120)),
            ("@0 -00:30", Moment(0, -30)),
            ("1969-12-31T23:59:59Z", Moment(-1, 0)),
        ],
    )
    def test_forms(self, text: str, moment: Moment) -> None:
        assert parse_date(text) == moment

    def test_without_an_offset_the_clock_of_here_counts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        import time

        monkeypatch.setenv("TZ", "Asia/Kolkata")
        time.tzset()
        try:
            assert parse_date("2024-05-01T12:00:00") == Moment(1714545000, 330)
            assert parse_date("2024-05-01") == Moment(1714501800, 330)
        finally:
            monkeypatch.undo()
            time.tzset()

    @pytest.mark.parametrize(
        "text", ["", "yesterday", "2024-13-01", "2024-05-01T25:00", "@", "@x", "@1 +2", "@999999999999999", "@1 +9900"]
    )
    def test_what_is_no_date(self, dsvc, project: Path, text: str) -> None:
        dsvc("commit", "-m", "x", "--allow-empty", "--author", "A", "--date", text, code=2)

    def test_dates_that_only_another_program_writes_are_shown(self) -> None:
        from dsvc.cli.render import iso, when

        assert iso(Moment(10**17, 5)) == when(Moment(10**17, 5)) == "@100000000000000000 +5min"
        assert iso(Moment(0, 10**6)) == "@0 +1000000min"
