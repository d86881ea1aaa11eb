"""The lock beside the command: it follows what commands do, whatever becomes of their output."""

from pathlib import Path

from .telling import begin


def test_a_reader_that_leaves_early_leaves_no_old_lock(tmp_path: Path) -> None:
    (tmp_path / "people").mkdir()
    tell = begin(tmp_path / "people")
    tell.do("Ada$ dsvc add images/b.png\n")
    tell.run("Ada", "(dsvc commit -m Second --date @1714564800; :) | true")
    assert tell.run("Ada", "dsvc lock --check") == "dsvc.lock is current: 1 dataset\n"
    assert tell.run("Ada", "dsvc log -n 1 --oneline").endswith(" Second\n")


def test_a_clone_whose_lock_is_damaged_is_told_before_anything_is_made(tmp_path: Path) -> None:
    (tmp_path / "people").mkdir()
    tell = begin(tmp_path / "people")
    tell.do("Bo$ git clone -q ../ada .\nBo$ echo pets >> dsvc.lock\n")
    told = tell.run("Bo", "dsvc pull")
    assert told.startswith("error: dsvc.lock cannot be read\n  line 3: ") and told.endswith("exit 3\n")
    assert tell.run("Bo", "ls -A") == ".git\n.gitattributes\n.gitignore\ndsvc.lock\n"
