"""How the real git calls the drivers of dsvc.lock, from wherever dsvc lies, and how it goes on without dsvc."""

from pathlib import Path

import pytest
from hooked import World

from dsvc.git.install.attributes import LINE

# For a merge it writes what both sides say; for a diff it says how it was called, with how much of a file.
DRIVER = """#!/bin/sh
shift
case $1:$# in
hook:*) exit ;;
merge-driver:*) echo "[$5]" && sort -u "$3" "$4" >"$3.new" && mv "$3.new" "$3" ;;
diff-driver:2) sed 's/^/one: /' "$2" ;;
diff-driver:8) echo "both: $2: $(cat "$3" 2>&1) -> $(cat "$6" 2>&1)" ;;
esac
"""


@pytest.fixture(params=["dsvc.lock", "süß 'and' \"b\"/dsvc.lock"])
def sides(world: World, request: pytest.FixtureRequest) -> Path:
    """A lock that two branches, main and side, have changed, each in a line of its own."""
    world.script(world.dsvc, DRIVER)
    lock = world.work / request.param
    lock.parent.mkdir(exist_ok=True)
    lock.write_text("base\n")
    world.install(lock.parent)
    world.git("add", "-A")
    world.git("commit", "-q", "-m", "base")
    world.git("checkout", "-q", "-b", "side")
    lock.write_text("base\ntheirs\n")
    world.git("commit", "-q", "-a", "-m", "theirs")
    world.git("checkout", "-q", "main")
    lock.write_text("base\nours\n")
    world.git("commit", "-q", "-a", "-m", "ours")
    return lock


@pytest.mark.parametrize("act", ["merge", "cherry-pick", "rebase"])
def test_a_merge_is_dsvcs(world: World, sides: Path, act: str) -> None:
    said = world.git(act, "side")
    assert f"[{sides.relative_to(world.work)}]" in said
    assert sides.read_text() == "base\nours\ntheirs\n"
    assert world.git("status", "--porcelain") == ""


def test_a_stash_is_merged_too(world: World, sides: Path) -> None:
    sides.write_text("base\nours\nstashed\n")
    world.git("stash")
    sides.write_text("base\nours\nmore\n")
    world.git("commit", "-q", "-a", "-m", "more")
    world.git("stash", "pop")
    assert sides.read_text() == "base\nmore\nours\nstashed\n"


def test_a_merge_without_dsvc_has_markers(world: World, sides: Path) -> None:
    world.dsvc.unlink()
    said = world.git("merge", "side", code=1)
    assert "warning: the command dsvc is not found: dsvc.lock is merged as text\n" in said
    assert "CONFLICT" in said
    assert sides.read_text() == "base\n<<<<<<< ours\nours\n=======\ntheirs\n>>>>>>> theirs\n"


def test_a_merge_without_dsvc_of_changes_that_do_not_meet(world: World, sides: Path) -> None:
    sides.write_text("one\n\n\n\n\ntwo\n")
    world.git("commit", "-q", "-a", "-m", "far")
    world.git("checkout", "-q", "-B", "side")
    sides.write_text("one\n\n\n\n\n2\n")
    world.git("commit", "-q", "-a", "-m", "2")
    world.git("checkout", "-q", "main")
    sides.write_text("1\n\n\n\n\ntwo\n")
    world.git("commit", "-q", "-a", "-m", "1")
    world.dsvc.unlink()
    world.git("merge", "side")
    assert sides.read_text() == "1\n\n\n\n\n2\n"


def test_diff_show_and_log_are_dsvcs(world: World, sides: Path) -> None:
    sides.write_text("new\n")
    assert world.git("diff") == f"both: {sides.relative_to(world.work)}: base\nours -> new\n"
    for command in (["show"], ["log", "-p", "-1"]):
        said = world.git(*command)
        assert "\n one: base\n+one: ours\n" in said
    assert "\n+ours\n" in world.git("format-patch", "-1", "--stdout")  # a patch stays one
    sides.unlink()
    assert "No such file" not in (said := world.git("diff"))
    assert said == f"both: {sides.relative_to(world.work)}: base\nours -> \n"


@pytest.mark.parametrize("how", ["gone", "fails"])
def test_diffs_without_dsvc_are_of_the_text(world: World, sides: Path, how: str) -> None:
    if how == "gone":
        world.dsvc.unlink()
    else:
        world.script(world.dsvc, "#!/bin/sh\nexit 70\n")
    sides.write_text("base\nnew\n")
    assert world.git("diff").endswith("\n base\n-ours\n+new\n")
    assert world.git("show").endswith("\n base\n+ours\n")
    assert world.git("log", "-p", "-1").endswith("\n base\n+ours\n")


def test_nothing_is_written_into_the_repository_by_a_diff(world: World, sides: Path) -> None:
    before = world.git("for-each-ref")
    world.git("log", "-p")
    assert world.git("for-each-ref") == before
    assert LINE in sides.with_name(".gitattributes").read_bytes()
