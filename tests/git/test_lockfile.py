"""The text of a lock: one way to write it, and what is wrong with any other named by its line."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsvc.errors import InvalidRecordsError, NotFoundError, RefusedError
from dsvc.git.lockfile import HEADER, Locked, format_lock, parse_lock, read_lock, write_lock
from dsvc.store.ids import ObjectId

ONE, TWO = ObjectId(bytes(range(32))), ObjectId(b"\xff" * 32)
names = st.from_regex(r"(?!auto-generated-|HEAD\Z)[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True)
ids = st.binary(min_size=32, max_size=32).map(ObjectId)
lines = st.builds(Locked, names, names, ids, st.none() | names)


def test_a_lock_has_one_line_a_dataset_sorted() -> None:
    text = format_lock([Locked("pets", "main", TWO), Locked("cars", "night", ONE, "v1")])
    assert text == HEADER + f"cars night {ONE.hex()} v1\npets main {TWO.hex()}\n"


@given(st.lists(lines, unique_by=lambda line: line.dataset))
def test_a_lock_reads_as_it_was_written_in_any_order(found: list[Locked]) -> None:
    text = format_lock(found)
    assert parse_lock(text) == {line.dataset: line for line in found}
    assert format_lock(reversed(found)) == text
    assert parse_lock(text.replace("\n", "\r\n")) == parse_lock(text)  # as Git may check it out


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("pets main", "not dataset, branch, commit and perhaps version: 'pets main'"),
        (f"pets main {ONE.hex()} v1 v2", f"not dataset, branch, commit and perhaps version: 'pets main {ONE.hex()} v"),
        (f"pets main {ONE.hex()[:12]}", f"'{ONE.hex()[:12]}' is no commit's id"),
        (f"pets main {'x' * 64}", f"'{'x' * 64}' is no commit's id"),
        (f"../pets main {ONE.hex()}", "'../pets' is no name"),
        (f"pets ma:in {ONE.hex()}", "'ma:in' is no name"),
        (f"pets main {ONE.hex()} -v", "'-v' is no name"),
        (f"pets HEAD {ONE.hex()}", "'HEAD' is no name"),
        (f"auto-generated-x main {ONE.hex()}", "'auto-generated-x' is no name"),
        (f"cars main {ONE.hex()}", "dataset 'cars' stands there twice"),
        ("\0", "not dataset, branch, commit and perhaps version: '\\x00'"),
    ],
)
def test_what_is_no_lock_is_told_by_line(line: str, reason: str) -> None:
    with pytest.raises(InvalidRecordsError) as caught:
        parse_lock(f"{HEADER}cars main {TWO.hex()}\n{line}\n")
    (problem,) = caught.value.problems
    assert problem.startswith(f"line 3: {reason}")


def test_all_wrong_lines_are_named() -> None:
    with pytest.raises(InvalidRecordsError) as caught:
        parse_lock("a\nb\n")
    assert [problem.partition(":")[0] for problem in caught.value.problems] == ["line 1", "line 2"]


def test_markers_of_a_merge_have_a_hint_of_their_own() -> None:
    text = f"<<<<<<< HEAD\npets main {ONE.hex()}\n=======\npets main {TWO.hex()}\n>>>>>>> theirs\n"
    with pytest.raises(RefusedError, match="conflict markers") as caught:
        parse_lock(text)
    assert caught.value.hint == "finish it with: dsvc lock --resolve"


def test_files(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    path = folder / "dsvc.lock"
    with pytest.raises(NotFoundError):
        read_lock(path)
    assert write_lock(path, [Locked("pets", "main", ONE)])
    assert not write_lock(path, [Locked("pets", "main", ONE)])
    assert read_lock(path) == {"pets": Locked("pets", "main", ONE)}
    path.write_bytes(b"pets \xff")
    with pytest.raises(RefusedError, match="byte 5 is not UTF-8"):
        read_lock(path)
    path.write_bytes(b"#" * 2_000_000)
    with pytest.raises(RefusedError, match="larger than any lock file"):
        read_lock(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(RefusedError, match="cannot be read"):
        read_lock(path)
    with pytest.raises(RefusedError):
        write_lock(path, [])
    assert [entry.name for entry in folder.iterdir()] == ["dsvc.lock"]
