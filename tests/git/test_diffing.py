"""Git shows what changed in the data, with the real `git`: diff, show and log -p."""

import json
from pathlib import Path

import pytest
from working_copies import BOB, START, Copy, new_copy

import dsvc
from dsvc.git.diffing import WINDOW, Behind, Told, changed_lines
from dsvc.git.lockfile import HEADER, Locked, format_lock, parse_lock
from dsvc.model.commit import Moment
from dsvc.model.records import Annotation, Media
from dsvc.store.ids import ObjectId

UNKNOWN = ObjectId(b"x" * 32)
DAY = "2023-11-14 22:13:20 +0000"


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    return new_copy(tmp_path / "project", tmp_path / "home")


@pytest.fixture
def two(copy: Copy) -> tuple[Locked, Locked]:
    """Two commits of a dataset, both pinned."""
    old = copy.commit("a.png")
    copy.pin("old", old)
    new = copy.commit("b.png", concept="dog", author=BOB, time=1)._replace(version="v1")
    copy.pin("new", new)
    return old, new


def body(text: str) -> list[str]:
    """The lines of a textual diff, without what tells where they are."""
    lines = text.splitlines()
    start = next(at for at, line in enumerate(lines) if line.startswith("@@"))
    return [line for line in lines[start:] if not line.startswith("@@")]


def test_git_diff(copy: Copy, two: tuple[Locked, Locked]) -> None:
    old, new = two
    assert copy.git("diff", "HEAD~1", "HEAD").out == (
        "diff --git a/dsvc.lock b/dsvc.lock\n"
        f"~ pets main {old.commit.short()} -> {new.commit.short()} (v1)\n"
        "  inputs: 1 added\n"
        "  annotations: 1 added, 1 changed (1 relabelled)\n"
        "  concepts: 1 added\n"
        "  by concept  added  relabelled from  relabelled to\n"
        "    cat           1                1              -\n"
        "    dog           -                -              1\n"
        "  + concept dog\n"
        "    input a.png\n"
        "      ~ dog 1: relabelled cat -> dog\n"
        "  + input b.png: 1 cat\n"
    )


def test_git_diff_of_what_is_not_committed(copy: Copy, two: tuple[Locked, Locked]) -> None:
    old, new = two
    copy.lock_file.write_text(format_lock([old]))
    assert f"~ pets main {new.commit.short()} (v1) -> {old.commit.short()}\n" in copy.git("diff").out
    copy.git("add", "dsvc.lock")
    assert "  - input b.png: 1 cat\n" in copy.git("diff", "--staged").out
    assert copy.git("diff", "--staged", "--exit-code", code=1).out == copy.git("diff", "--staged").out


@pytest.mark.parametrize("command", [("show", "--format="), ("log", "-p", "-1", "--format=")])
def test_git_show_and_log(copy: Copy, two: tuple[Locked, Locked], command: tuple[str, ...]) -> None:
    """The commits that came are the lines that were added, each with what it changed."""
    old, new = two
    assert body(copy.git(*command).out) == [
        f"-pets main {old.commit.short()}",
        "-  1 input, 1 annotation, 1 concept",
        f"+pets main {new.commit.short()} (v1)",
        "+  2 inputs, 2 annotations, 2 concepts",
        "   commits:",
        f"     {old.commit.short()} {DAY} Ada: a.png",
        "         inputs: 1 added",
        "           cat           1",
        "         + concept cat",
        "         + input a.png: 1 cat",
        f"+    {new.commit.short()} 2023-11-14 22:13:21 +0000 Bob: b.png dog",
        "+        inputs: 1 added",
        "+        annotations: 1 added, 1 changed (1 relabelled)",
        "+        concepts: 1 added",
        "+        by concept  added  relabelled from  relabelled to",
        "+          cat           1                1              -",
        "+          dog           -                -              1",
        "+        + concept dog",
        "+          input a.png",
        "+            ~ dog 1: relabelled cat -> dog",
        "+        + input b.png: 1 cat",
    ]


def test_external_diff_on_request(copy: Copy, two: tuple[Locked, Locked]) -> None:
    assert copy.git("show", "--ext-diff", "--format=").out.strip() == copy.git("diff", "HEAD~1", "HEAD").out.strip()


def test_datasets_that_come_go_and_get_names(copy: Copy, two: tuple[Locked, Locked]) -> None:
    _, new = two
    cars = copy.commit("x.png", dataset="cars")
    copy.pin("cars", new._replace(branch="night", version=None), cars)
    assert copy.git("diff", "HEAD~1", "HEAD").out == (
        "diff --git a/dsvc.lock b/dsvc.lock\n"
        f"+ cars main {cars.commit.short()}\n"
        "  1 input, 1 annotation, 1 concept\n"
        "  inputs: 1 added\n"
        "  annotations: 1 added\n"
        "  concepts: 1 added\n"
        "  by concept  added\n"
        "    cat           1\n"
        "  + concept cat\n"
        "  + input x.png: 1 cat\n"
        f"~ pets main -> night {new.commit.short()} (v1) -> {new.commit.short()}\n"
    )
    assert copy.git("diff", "HEAD", "HEAD~1").out.splitlines()[1:3] == [
        f"- cars main {cars.commit.short()}",
        "  it held 1 input, 1 annotation, 1 concept",
    ]


def test_what_is_told_is_bounded(copy: Copy) -> None:
    old = copy.commit("a.png")
    new = copy.commit(*(f"n{number:03}.png" for number in range(200)), on=old.commit)
    copy.pin("old", old)
    copy.pin("new", new)
    lines = copy.git("diff", "HEAD~1", "HEAD").out.splitlines()
    assert len(lines) == 42
    assert lines[-1] == f"  ... the rest: dsvc diff @{old.commit.short()} @{new.commit.short()}"
    added = [line for line in body(copy.git("show").out) if line.startswith("+  ")]
    assert len(added) == 18
    assert added[-1] == "+        ..."


def test_many_concepts_leave_room_for_inputs(copy: Copy) -> None:
    old = copy.commit("a.png")
    place = copy.repository.dataset("pets")
    with place.edit() as draft:
        draft.put_media({f"{number}.png": Media(type="image/png") for number in range(50)})
        for number in range(50):
            draft.annotate(Annotation(key="a.png", id=f"n{number}", concept=f"c{number}"))
    new = old._replace(commit=place.commit("many").id)
    copy.pin("old", old)
    copy.pin("new", new)
    lines = copy.git("diff", "HEAD~1", "HEAD").out.splitlines()
    assert len(lines) == 42
    assert lines[16:24] == [
        "    ... and 40 more concepts",
        "  + concept c0",
        "  + concept c1",
        "  + concept c10",
        "  + concept c11",
        "  + concept c12",
        "  ... and 45 more concepts",
        "  + input 0.png",
    ]
    show = copy.git("show").out
    assert "+        + concept c1\n+        ... and 48 more concepts\n+        + input 0.png\n" in show


def test_a_merge_shows_what_it_brought(copy: Copy) -> None:
    start = copy.commit("a.png")
    copy.pin("start", start)
    copy.git("checkout", "-q", "-b", "side")
    theirs = copy.commit("b.png", on=start.commit)
    copy.pin("theirs", theirs)
    copy.git("checkout", "-q", "main")
    ours = copy.commit(concept="dog", on=start.commit)
    copy.pin("ours", ours)
    copy.git("merge", "-q", "side", "-m", "merged")
    earlier, later = sorted((ours.commit, theirs.commit))
    merge = copy.lock()["pets"].commit.short()
    assert f"++    {merge} {DAY} " in copy.git("show").out
    lines = body(copy.git("show", "-m", "--first-parent").out)
    assert f"+    {theirs.commit.short()} {DAY} Ada: b.png" in lines
    assert any(line.endswith(f": merge {earlier.short()} and {later.short()}") for line in lines)


def test_conflicts_are_told_of(copy: Copy) -> None:
    start = copy.commit("a.png")
    copy.pin("start", start)
    copy.git("checkout", "-q", "-b", "side")
    copy.pin("theirs", copy.commit(concept="cow", on=start.commit))
    copy.git("checkout", "-q", "main")
    copy.pin("ours", copy.commit(concept="dog", on=start.commit))
    copy.git("merge", "-q", "side", "-m", "merged")
    lines = body(copy.git("show", "-m", "--first-parent").out)
    assert "+  1 in conflict" in lines
    assert "+        1 came into conflict" in lines
    assert "  annotations: 1 changed, 1 in conflict" in copy.git("diff", "HEAD~1", "HEAD").out.splitlines()


def test_a_project_below(copy: Copy) -> None:
    """Of an old lock Git gives the text alone, not where it lay."""
    dsvc.init(copy.folder / "data" / "vision")
    old = copy.commit("a.png", folder="data/vision")
    copy.pin("old", old, file="data/vision/dsvc.lock")
    copy.pin("new", copy.commit("b.png", folder="data/vision"), file="data/vision/dsvc.lock")
    assert "  + input b.png: 1 cat\n" in copy.git("diff", "HEAD~1", "HEAD").out
    assert "+        + input b.png: 1 cat\n" in copy.git("show", folder="data").out


def test_a_project_that_moved(copy: Copy) -> None:
    """Git gives two words more where a file was renamed."""
    dsvc.init(copy.folder / "old")
    old = copy.commit("a.png", folder="old")
    copy.pin("old", old, file="old/dsvc.lock")
    (copy.folder / "old").rename(copy.folder / "new")
    new = copy.commit("b.png", folder="new")
    copy.pin("new", new, file="new/dsvc.lock")
    copy.git("add", "-A")
    lines = copy.git("diff", "-M10%", "HEAD~1", "--staged").out.splitlines()
    assert lines[:2] == [
        "diff --git a/old/dsvc.lock b/new/dsvc.lock",
        f"~ pets main {old.commit.short()} -> {new.commit.short()}",
    ]
    assert "  + input b.png: 1 cat" in lines


# ---- what is in the way


def test_commits_that_are_not_here(copy: Copy, two: tuple[Locked, Locked]) -> None:
    _, new = two
    cars = copy.commit("x.png", dataset="cars")
    copy.pin("unknown", new._replace(commit=UNKNOWN), cars)
    lines = copy.git("diff", "HEAD~1", "HEAD").out.splitlines()
    assert lines[1].startswith("+ cars main ")
    assert lines[-3:] == [
        f"-pets main {new.commit} v1",
        f"+pets main {UNKNOWN} v1",
        "  what it holds is not here; to bring it: dsvc pull",
    ]
    assert "+pets main 787878787878 (v1)\n+  what it holds is not here; to bring it: dsvc pull" in copy.git("show").out


def test_a_clone_without_any_data(copy: Copy, two: tuple[Locked, Locked]) -> None:
    old, new = two
    (copy.folder / ".dsvc").rename(copy.folder / "elsewhere")
    assert copy.git("diff", "HEAD~1", "HEAD").out.splitlines()[1:] == [
        f"-pets main {old.commit}",
        f"+pets main {new.commit} v1",
        "  what it holds is not here; to bring it: dsvc pull",
    ]
    assert body(copy.git("show").out)[1:] == [f"-pets main {old.commit}", f"+pets main {new.commit} v1"]


@pytest.mark.parametrize("text", ["pets\n", "\x1b[31mred\n", "<<<<<<< ours\n"])
def test_a_lock_that_cannot_be_read(copy: Copy, two: tuple[Locked, Locked], text: str) -> None:
    """Its lines are shown, and nothing that a terminal takes for a command."""
    copy.pin_text("damaged", text)
    shown = text.replace("\x1b", "\\x1b")
    note = "this lock cannot be read; to write it anew: dsvc lock"
    if text.startswith("<"):
        note = "Git left this lock in conflict; to finish it: dsvc lock --resolve"
    diff = copy.git("diff", "HEAD~1", "HEAD").out
    assert f"-pets main {two[1].commit} v1\n+{shown}{note}\n" in diff
    show = copy.git("show", "--no-color").out
    assert f"+{shown}+{note}\n" in show
    assert "\x1b" not in diff + show


def test_a_lock_in_conflict(copy: Copy, two: tuple[Locked, Locked]) -> None:
    """`git diff` goes on, with both sides."""
    copy.git("checkout", "-q", "-b", "side", "HEAD~1")
    copy.pin("theirs", two[0]._replace(commit=UNKNOWN))
    copy.git("merge", "main", code=1)
    done = copy.git("diff")
    assert f"pets main {two[1].commit} v1" in done.out


def test_a_damaged_repository(copy: Copy, two: tuple[Locked, Locked]) -> None:
    (copy.folder / ".dsvc" / "head").write_bytes(b"nothing of the kind")
    for command in (("diff", "HEAD~1", "HEAD"), ("show",)):
        lines = copy.git(*command).out
        assert "this is all that can be shown: " in lines
        assert f"pets main {two[1].commit} v1" in lines


# ---- what is kept


def told_file(copy: Copy) -> Path:
    return copy.folder / ".dsvc" / "cache" / "told.json"


def test_what_was_told_is_kept_and_anything_wrong_with_it_passed_over(copy: Copy, two: tuple[Locked, Locked]) -> None:
    first = copy.git("show").out
    kept = json.loads(told_file(copy).read_text())
    assert set(kept["lines"]) == {line.commit.hex() for line in two}
    for damage in ("{", "[]", '{"form": 1}', json.dumps({**kept, "form": "0"}), json.dumps({**kept, "lines": [1]})):
        told_file(copy).write_text(damage)
        assert copy.git("show").out == first
    told_file(copy).write_text(json.dumps({**kept, "lines": {id: ["told before"] for id in kept["lines"]}}))
    assert "+  told before\n" in copy.git("show").out


def test_so_many_are_kept(copy: Copy, two: tuple[Locked, Locked]) -> None:
    told = Told(copy.repository, "form")
    for number in range(Told.LIMIT + 10):
        told.keep(ObjectId(number.to_bytes(32, "big")), [str(number)])
    told.save()
    again = Told(copy.repository, "form")
    assert again.get(ObjectId((9).to_bytes(32, "big"))) is None
    assert again.get(ObjectId((10).to_bytes(32, "big"))) == ["10"]


def test_a_long_history_begins_where_it_began(copy: Copy) -> None:
    """The last commits are told of, and the first of them stays the same for many commits."""
    dataset = copy.repository.create("pets")
    heads = []
    for number in range(2 * WINDOW + 1):
        with dataset.edit() as draft:
            draft.put_media({f"{number}.png": Media(type="image/png")})
        heads.append(dataset.commit(str(number), time=Moment(START + number)).id)
    behind = Behind(copy.repository)
    begins = set()
    for count, head in enumerate(heads, 1):
        earlier, ids = behind.last(head)
        assert (earlier + len(ids), ids[-1]) == (count, head)
        assert len(ids) <= WINDOW
        assert count <= WINDOW // 2 or len(ids) > WINDOW // 2
        begins.add(earlier)
    assert len(begins) == 4


def test_lines_that_differ() -> None:
    a, b = (f"pets main {bytes([n]).hex() * 32}" for n in (1, 2))
    old, new = (
        parse_lock(HEADER + text) for text in (f"{a}\ncars main {'00' * 32}\n", f"{b}\ncars main {'00' * 32}\n")
    )
    assert changed_lines(old, new) == [("pets", old["pets"], new["pets"])]
    assert changed_lines(old, {})[0] == ("cars", old["cars"], None)
