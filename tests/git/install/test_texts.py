"""The texts that install changes: put in and taken out again, whatever stood there, they are the same bytes."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsvc.errors import RefusedError
from dsvc.git.install import attributes, gitconfig, hookfiles
from dsvc.git.install.record import DIFF_DRIVER, MERGE_DRIVER, Record, changed, read_record, write_record

RECORD = Record('/a "b"/dsvc', None, (".", "ü\nx", "back\\slash", "\\n"), ("dsvc.lock",), (".gitattributes",))
LINES = st.sampled_from(
    [
        b"", b"# a comment", b"; another", b"[core]", b"\tbare = false", b'[remote "origin"]', b"\turl = x \\",
        b"[alias]", b'[user] name = "A ; # B" ; who', b"\tfetch = +refs/heads/*:refs/remotes/origin/*", b"[dsvc]",
        b"\tother = 1", b"[old.Section]", b"\tflag", b'[diff "dsvc-lock"]', b"\tbinary = true # stays", b"\t \t",
        b'[a "with \\"quotes\\" and [b]"]', b"[include]", b"\tpath = \xff\xfe", b"[dsvc] # why",
    ]
)  # fmt: skip


@st.composite
def configurations(draw: st.DrawFn) -> bytes:
    end = draw(st.sampled_from([b"\n", b"\r\n"]))
    text = end.join([b"[first]", *draw(st.lists(LINES, max_size=12))])
    return draw(st.sampled_from([b"", b"\xef\xbb\xbf"])) + text + draw(st.sampled_from([b"", end, end * 2]))


def is_valid(data: bytes) -> bool:
    done = subprocess.run(["git", "config", "-f", "-", "-l"], input=data, capture_output=True, check=False)
    return done.returncode == 0


@settings(max_examples=150, deadline=None)
@given(configurations())
def test_a_configuration_comes_back_to_the_byte(data: bytes) -> None:
    if not is_valid(data):
        return
    if data.removesuffix(b"\n").removesuffix(b"\r").endswith(b"\\"):
        with pytest.raises(ValueError, match="backslash"):
            changed(data, RECORD)
        return
    new = changed(data, RECORD)
    assert changed(new, RECORD) == new
    assert changed(new, None) == data
    assert is_valid(new)


@settings(max_examples=150, deadline=None)
@given(configurations(), configurations())
def test_what_others_write_afterwards_stays(before: bytes, after: bytes) -> None:
    whole = is_valid(before) and not before.removesuffix(b"\n").removesuffix(b"\r").endswith(b"\\")
    new = changed(before, RECORD) if whole else b""
    if new.endswith(b"\n") and is_valid(new + after):
        assert changed(new + after, None) == before + after


@settings(max_examples=100, deadline=None)
@given(configurations())
def test_values_are_read_as_git_reads_them(data: bytes) -> None:
    done = subprocess.run(["git", "config", "-f", "-", "-l", "-z"], input=data, capture_output=True, check=False)
    if done.returncode == 0:
        said = [entry.partition(b"\n")[2] for entry in done.stdout.split(b"\0")[:-1]]
        found = [item.value for item in gitconfig.items(data) if item.key is not None]
        assert [value.replace(b"\t", b" ") for value in found] == said  # older Gits read a tab as a space


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=40).filter(lambda value: b"\0" not in value))
def test_values_are_written_as_git_reads_them(value: bytes) -> None:
    data = b"[a]\n\tb = " + gitconfig.quote(value) + b"\n"
    done = subprocess.run(["git", "config", "-f", "-", "-z", "a.b"], input=data, capture_output=True, check=True)
    assert done.stdout == value.replace(b"\r\n", b"\n") + b"\0" or done.stdout == value + b"\0"
    assert [item.value for item in gitconfig.items(data) if item.key] == [value]


@pytest.mark.parametrize(
    "text",
    [
        b"[core\n", b"x = 1\n", b"[core]\n= 1\n", b"[a]\n\tb = 1\n]\n", b"\0\1\2", b'[a "b]\n', b"[a]\n\t1b = 2\n",
    ],
)  # fmt: skip
def test_what_is_no_configuration_is_refused(tmp_path: Path, text: bytes) -> None:
    file = tmp_path / "config"
    file.write_bytes(text)
    with pytest.raises(RefusedError, match="is no configuration of Git"):
        write_record(file, RECORD)
    assert file.read_bytes() == text
    assert [path.name for path in tmp_path.iterdir()] == ["config"]


def test_what_git_itself_edits_afterwards(tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.write_bytes(b"# mine\n[core]\n\tbare = false ; why\n# last, without an end")

    def git(*arguments: str) -> bytes:
        return subprocess.run(["git", "config", "-f", file, *arguments], capture_output=True, check=True).stdout

    write_record(file, RECORD)
    assert read_record(file) == RECORD
    assert git("merge.dsvc-lock.driver").decode().rstrip("\n") == MERGE_DRIVER
    assert git("diff.dsvc-lock.command") == git("diff.dsvc-lock.textconv") == DIFF_DRIVER.encode() + b"\n"
    git("user.name", "Ada")
    git("core.editor", "vi")
    git("dsvc.mine", "1")
    git("merge.dsvc-lock.recursive", "text")
    write_record(file, None)
    text = file.read_bytes()
    assert text.startswith(b"# mine\n[core]\n\tbare = false ; why\n\teditor = vi\n# last, without an end\n")
    assert git("-l") == (
        b"core.bare=false\ncore.editor=vi\ndsvc.mine=1\nmerge.dsvc-lock.recursive=text\nuser.name=Ada\n"
    )


def test_another_program_holds_the_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gitconfig, "_PATIENCE", 0.1)
    file, lock = tmp_path / "config", tmp_path / "config.lock"
    file.write_bytes(b"[core]\n")
    lock.write_bytes(b"[core]\n\tbare")
    with pytest.raises(RefusedError, match=r"config\.lock is there") as caught:
        write_record(file, RECORD)
    assert caught.value.hint == f"if no Git command is running, take it away and run it again: rm {lock}"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config", "config.lock"]
    # One that a killed run of the same command has left holds what is to be written.
    lock.write_bytes(changed(b"[core]\n", RECORD))
    assert write_record(file, RECORD)
    assert [path.name for path in tmp_path.iterdir()] == ["config"]
    assert changed(file.read_bytes(), None) == b"[core]\n"


def test_permissions_and_a_link_stay(tmp_path: Path) -> None:
    file = tmp_path / "real" / "config"
    file.parent.mkdir()
    file.write_bytes(b"")
    file.chmod(0o600)
    (tmp_path / "config").symlink_to("real/config")
    write_record(tmp_path / "config", RECORD)
    assert (tmp_path / "config").is_symlink()
    assert file.stat().st_mode & 0o777 == 0o600
    write_record(tmp_path / "config", None)
    assert file.read_bytes() == b""


# ---- attributes

PIECES = [b"*.png binary", b"# c", b"", b"dsvc.lock -text", attributes.LINE, b"\t" + attributes.LINE]


@given(st.lists(st.sampled_from(PIECES)), st.sampled_from([b"\n", b"\r\n"]), st.booleans())
def test_attributes_come_back_to_the_byte(lines: list[bytes], end: bytes, ended: bool) -> None:
    data = end.join(lines) + (end if ended and lines else b"")
    new = attributes.added(data)
    assert attributes.LINE in [line.strip() for line in new.splitlines()]
    assert attributes.removed(new) == data


# ---- hooks

SCRIPTS = [
    b"#!/bin/sh", b"#!/bin/sh\n", b"#!/bin/bash -e\nexit 0", b"#!/usr/bin/env bash\n\n\nexec true\n",
    b"#! /usr/bin/zsh\n# \xff\xfe\n", b"#!/usr/bin/env -S dash -eu\ntrue\r\n", b"#!/opt/my shells/ksh\n:\n",
]  # fmt: skip
OTHERS = [
    b"#!/usr/bin/env python3\nprint()\n", b"\x7fELF\0\1", b"", b"echo no first line\n", b"#!/bin/sh\n\0payload",
    b"#!/bin/sh\r\nexit 0\r\n", b"#!/usr/bin/fish\n", b"#!/bin/sh\n# File generated by pre-commit: x\n",
    b"#!/bin/sh\nif [ \"$LEFTHOOK\" = 0 ]; then exit 0; fi\n", b"#!/usr/bin/env python3 sh\n", b"#!/bin/bashful\n",
]  # fmt: skip


@pytest.mark.parametrize("mode", [0o755, 0o700, 0o644])
@pytest.mark.parametrize("text", [*SCRIPTS, *OTHERS])
def test_a_hook_comes_back_to_the_byte(tmp_path: Path, text: bytes, mode: int) -> None:
    file = tmp_path / "pre-commit"
    file.write_bytes(text)
    file.chmod(mode)
    done = hookfiles.install(tmp_path, "pre-commit", dry_run=True)
    assert file.read_bytes() == text
    assert hookfiles.install(tmp_path, "pre-commit", dry_run=False) == done
    assert hookfiles.install(tmp_path, "pre-commit", dry_run=False) is None
    assert hookfiles.state(tmp_path, "pre-commit") is hookfiles.State.INSTALLED
    kept = tmp_path / "pre-commit.before-dsvc"
    if text in SCRIPTS and mode != 0o644 and b" shells/" not in text:
        assert not kept.exists()
        assert file.read_bytes().startswith(text.partition(b"\n")[0] + b"\n# >>> dsvc >>>\n")
        assert file.stat().st_mode & 0o777 == mode
    else:
        assert (kept.read_bytes(), kept.stat().st_mode & 0o777) == (text, mode)
        assert file.read_bytes() == hookfiles.shim("pre-commit")
        assert file.stat().st_mode & 0o111
    assert hookfiles.uninstall(tmp_path, "pre-commit", dry_run=True)
    assert hookfiles.uninstall(tmp_path, "pre-commit", dry_run=False)
    assert [path.name for path in tmp_path.iterdir()] == ["pre-commit"]
    assert (file.read_bytes(), file.stat().st_mode & 0o777) == (text, mode)
    assert hookfiles.uninstall(tmp_path, "pre-commit", dry_run=False) is None


@pytest.mark.parametrize("target", ["pre-commit.sh", "nowhere", "."])
def test_a_link_comes_back(tmp_path: Path, target: str) -> None:
    (tmp_path / "pre-commit.sh").write_bytes(b"#!/bin/sh\n")
    file = tmp_path / "pre-commit"
    file.symlink_to(target)
    if target == ".":
        with pytest.raises(RefusedError, match="is a folder"):
            hookfiles.install(tmp_path, "pre-commit", dry_run=False)
        return
    hookfiles.install(tmp_path, "pre-commit", dry_run=False)
    assert not file.is_symlink()
    hookfiles.uninstall(tmp_path, "pre-commit", dry_run=False)
    assert str(file.readlink()) == target
    assert not (tmp_path / "pre-commit.before-dsvc").is_symlink()


def test_a_block_of_an_older_dsvc_is_brought_up_to_date_where_it_stands(tmp_path: Path) -> None:
    file = tmp_path / "pre-push"
    for text in (b"#!/bin/sh\n", b"#!/bin/sh\nexit 0", b"#!/bin/bash"):
        file.write_bytes(text)
        file.chmod(0o755)
        hookfiles.install(tmp_path, "pre-push", dry_run=False)
        today = file.read_bytes()
        file.write_bytes(today.replace(b"dsvc_feed", b"old"))
        assert hookfiles.state(tmp_path, "pre-push") is hookfiles.State.OUTDATED
        assert hookfiles.install(tmp_path, "pre-push", dry_run=False) == "brought up to date"
        assert file.read_bytes() == today
        hookfiles.uninstall(tmp_path, "pre-push", dry_run=False)
        assert file.read_bytes() == text


def test_lines_that_others_added_to_ours_stay(tmp_path: Path) -> None:
    file = tmp_path / "pre-push"
    hookfiles.install(tmp_path, "pre-push", dry_run=False)
    with file.open("ab") as stream:
        stream.write(b"echo mine\n")
    assert hookfiles.install(tmp_path, "pre-push", dry_run=False) is None
    done = hookfiles.uninstall(tmp_path, "pre-push", dry_run=False)
    assert done == "the block taken out; lines that others added stay"
    assert file.read_bytes() == b"#!/bin/sh\necho mine\n"


def test_lines_that_others_added_and_a_program_that_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "pre-push"
    file.write_bytes(b"#!/usr/bin/python3\n")
    file.chmod(0o755)
    hookfiles.install(tmp_path, "pre-push", dry_run=False)
    with file.open("ab") as stream:
        stream.write(b"echo mine\n")
    done = hookfiles.uninstall(tmp_path, "pre-push", dry_run=False)
    assert done == (
        "the block taken out; lines that others added stay; what was there before stays as pre-push.before-dsvc"
    )
    assert file.read_bytes() == b"#!/bin/sh\necho mine\n"
    assert (tmp_path / "pre-push.before-dsvc").read_bytes() == b"#!/usr/bin/python3\n"


def test_where_there_are_no_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise NotImplementedError

    monkeypatch.setattr("os.link", lambda *_, **__: (tmp_path / "no such file").stat())
    monkeypatch.setattr("os.symlink", refuse)
    file, config = tmp_path / "pre-push", tmp_path / "config"
    file.write_bytes(b"#!/usr/bin/python3\n# argv[0]\n")
    file.chmod(0o711)
    config.write_bytes(b"[core]")
    hookfiles.install(tmp_path, "pre-push", dry_run=False)
    write_record(config, RECORD)
    assert (tmp_path / "pre-push.before-dsvc").stat().st_mode & 0o777 == 0o711
    assert read_record(config) == RECORD
    hookfiles.uninstall(tmp_path, "pre-push", dry_run=False)
    write_record(config, None)
    assert file.read_bytes() == b"#!/usr/bin/python3\n# argv[0]\n"
    assert config.read_bytes() == b"[core]"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config", "pre-push"]


@pytest.mark.parametrize("lost", ["# >>> dsvc >>>", "# <<< dsvc <<<"])
def test_half_a_block_is_left_to_a_person(tmp_path: Path, lost: str) -> None:
    file = tmp_path / "pre-push"
    file.write_bytes(b"#!/bin/sh\n")
    file.chmod(0o755)
    hookfiles.install(tmp_path, "pre-push", dry_run=False)
    damaged = file.read_bytes().replace(lost.encode() + b"\n", b"")
    file.write_bytes(damaged)
    for act in (hookfiles.install, hookfiles.uninstall):
        with pytest.raises(RefusedError, match="holds a part of the block"):
            act(tmp_path, "pre-push", dry_run=False)
    assert file.read_bytes() == damaged


def test_another_program_has_replaced_ours(tmp_path: Path) -> None:
    file, kept = tmp_path / "pre-push", tmp_path / "pre-push.before-dsvc"
    first, second = b"#!/usr/bin/python3\n", b"#!/usr/bin/python3\n2\n"
    file.write_bytes(first)
    file.chmod(0o755)
    hookfiles.install(tmp_path, "pre-push", dry_run=False)
    file.write_bytes(second)
    with pytest.raises(RefusedError, match=r"was replaced after dsvc was installed, and pre-push\.before-dsvc"):
        hookfiles.install(tmp_path, "pre-push", dry_run=False)
    assert (file.read_bytes(), kept.read_bytes()) == (second, first)
    assert hookfiles.uninstall(tmp_path, "pre-push", dry_run=False) is None
    # The same program, set up again: it is kept once.
    file.write_bytes(first)
    assert hookfiles.install(tmp_path, "pre-push", dry_run=False)
    assert (file.read_bytes(), kept.read_bytes()) == (hookfiles.shim("pre-push"), first)


@pytest.mark.parametrize("name", hookfiles.NAMES)
def test_every_shim_is_one_block_behind_a_first_line(name: str) -> None:
    text = hookfiles.shim(name).decode("ascii")
    assert text.startswith("#!/bin/sh\n# >>> dsvc >>> whole file\n")
    assert text.endswith("\n# <<< dsvc <<<\n")
    assert f'dsvc_here="{name}:$PWD"' in text
    assert f" git hook {name} " in text
    assert all(len(line) <= 120 for line in text.splitlines())
    assert not [other for other in hookfiles.NAMES if other != name and f"{other}:" in text]
