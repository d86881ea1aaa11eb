"""dsvc log --graph, --key, blame, restore, revert."""

import json
from pathlib import Path

import pytest

from .conftest import SIGNED

TIME = "2024-05-01 12:00:00 +0000"


def ids(dsvc) -> dict[str, str]:
    """The commits by their messages."""
    commits = json.loads(dsvc("log", "--json").out)["commits"]
    return {commit["message"]: commit["id"][:12] for commit in commits}


@pytest.fixture
def merged(dsvc, project: Path) -> dict[str, str]:
    """Two branches that each annotated a picture, merged: the commits by their messages."""
    dsvc("switch", "-c", "side")
    dsvc("annotate", "b.jpg", "--concept", "bird")
    dsvc("commit", "-m", "Bird", *SIGNED)
    dsvc("switch", "main")
    dsvc("annotate", "a.jpg", "--concept", "fox")
    dsvc("commit", "-m", "Fox", *SIGNED)
    dsvc("merge", "side", "-m", "Both", *SIGNED)
    return ids(dsvc)


# ---- log


def test_a_merge_in_the_log(dsvc, merged: dict[str, str]) -> None:
    both, fox, bird, first = (merged[name] for name in ("Both", "Fox", "Bird", "First batch"))
    assert dsvc("log", "--oneline").out == (
        f"{both} [main] Both\n{fox} Fox\n{bird} [side] Bird\n{first} (v1) First batch\n"
    )
    assert dsvc("log", "-n", "1").out == (
        f"commit {both} [main]\nmerge  {fox} {bird}\nauthor Ada <ada@example.org>\ndate   {TIME}\n"
        "change annotations +1, concepts +1\n\n    Both\n"
    )
    assert "change" not in dsvc("log", "-n", "1", "--no-stat").out


def test_the_picture(dsvc, merged: dict[str, str]) -> None:
    both, fox, bird, first = (merged[name] for name in ("Both", "Fox", "Bird", "First batch"))
    assert dsvc("log", "--graph", "--oneline").out == (
        f"* {both} [main] Both\n|\\\n* | {fox} Fox\n| * {bird} [side] Bird\n|/\n* {first} (v1) First batch\n"
    )
    assert dsvc("log", "--graph").out == (
        f"*   commit {both} [main]\n"
        f"|\\  merge  {fox} {bird}\n"
        "| | author Ada <ada@example.org>\n"
        f"| | date   {TIME}\n"
        "| | change annotations +1, concepts +1\n"
        "| |\n"
        "| |     Both\n"
        "| |\n"
        f"* | commit {fox}\n"
        "| | author Ada <ada@example.org>\n"
        f"| | date   {TIME}\n"
        "| | change annotations +1, concepts +1\n"
        "| |\n"
        "| |     Fox\n"
        "| |\n"
        f"| * commit {bird} [side]\n"
        "| | author Ada <ada@example.org>\n"
        f"| | date   {TIME}\n"
        "| | change annotations +1, concepts +1\n"
        "| |\n"
        "| |     Bird\n"
        "| |\n"
        "|/\n"
        f"* commit {first} (v1)\n"
        "  author Ada <ada@example.org>\n"
        f"  date   {TIME}\n"
        "  source pets\n"
        "  change inputs +2, annotations +2, concepts +2\n"
        "\n"
        "      First batch\n"
    )
    assert dsvc("log", "--graph", "--json", code=2).err.startswith("error: --graph draws a picture")


def test_the_log_of_one_input(dsvc, merged: dict[str, str]) -> None:
    first = merged["First batch"]
    assert dsvc("log", "--key", "a.jpg", "--oneline").out == f"{merged['Fox']} Fox\n{first} (v1) First batch\n"
    assert dsvc("log", "--key", "b.jpg", "--oneline", "--graph").out == (
        f"* {merged['Bird']} [side] Bird\n* {first} (v1) First batch\n"
    )
    dsvc("rm", "b.jpg")
    dsvc("commit", "-m", "Less", *SIGNED)
    assert dsvc("log", "--key", "b.jpg", "--oneline").out.splitlines()[0].endswith("Less")
    assert dsvc("log", "--key", "b.jgp", code=4).err.startswith("error: no input 'b.jgp' in the dataset\n")
    Path("c.txt").write_text("c")
    dsvc("add", "c.txt")
    assert dsvc("log", "--key", "c.txt").out == "no commit has c.txt: it is staged; next: dsvc commit -m TEXT\n"
    dsvc("commit", "-m", "More", *SIGNED)
    assert dsvc("log", "v1", "--key", "c.txt").out == "no commit behind this revision has c.txt\n"


def test_a_part_that_was_merged(dsvc, merged: dict[str, str]) -> None:
    dsvc("create", "birds")
    dsvc("merge", "pets", "--where", "key = 'b.jpg'", "-m", "Only b", *SIGNED)
    ids = {c["message"]: c["id"][:12] for c in json.loads(dsvc("log", "--json").out)["commits"]}
    part = next(message for message in ids if message.startswith("part of"))
    assert dsvc("log", "--oneline").out == f"{ids['Only b']} Only b\n{ids[part]} {part}\n"
    assert f"bird  brought by Ada, {TIME}, commit {merged['Bird']}\n" in dsvc("blame", "b.jpg").out


# ---- blame


def test_blame(dsvc, merged: dict[str, str]) -> None:
    first, fox = merged["First batch"], merged["Fox"]
    records = json.loads(dsvc("blame", "a.jpg", "--json").out)["records"]
    names = {record["concept"]: record["name"].partition("#")[2] for record in records}
    dsvc("annotate", f"a.jpg#{names['cat']}", "--concept", "dog")
    staged = json.loads(dsvc("annotate", "a.jpg", "--concept", "bird", "--json").out)["annotation"]["id"]
    by = f"brought by Ada, {TIME}, commit"
    rows = {
        names["cat"]: f"dog   {by} {first} from source pets  changed: staged",
        names["fox"]: f"fox   {by} {fox}",
        staged: "bird  staged",
    }
    width = max(len(id) for id in rows) + 1
    assert dsvc("blame", "a.jpg").out == f"a.jpg\n  {'input':{width}}        {by} {first} from source pets\n" + "".join(
        f"  {'#' + id:{width}}  {text}\n" for id, text in sorted(rows.items())
    )
    found = json.loads(dsvc("blame", f"a.jpg#{names['fox']}", "--json").out)
    ada = {"name": "Ada", "email": "ada@example.org"}
    (record,) = found["records"]
    assert record["brought"] == record["changed"] and record["brought"]["commit"].startswith(fox)
    assert {**record["brought"], "commit": ""} == {
        "commit": "", "author": ada, "time": "2024-05-01T12:00:00+00:00", "message": "Fox", "source": None,
    }  # fmt: skip


def test_blame_of_what_is_not_there(dsvc, project: Path) -> None:
    dsvc("rm", "a.jpg")
    assert dsvc("blame", "a.jpg", code=4).err == (
        "error: 'a.jpg' is not in the dataset any more\nhint: its history: dsvc log --key 'a.jpg'\n"
    )


# ---- restore, revert


def test_restore(dsvc, project: Path) -> None:
    dsvc("rm", "a.jpg")
    dsvc("commit", "-m", "Less", *SIGNED)
    text = "from v1: inputs +1, annotations +1\n"
    assert dsvc("restore", "v1", "a.jpg", "--dry-run").out == f"would restore {text}"
    assert dsvc("status").out.endswith("nothing staged\n")
    assert dsvc("restore", "v1", "a.jpg").out == (
        f"restored {text}next: dsvc commit -m 'Restore v1', or take it back: dsvc undo\n"
    )
    assert dsvc("restore", "v1").out == "nothing to restore: the draft has the same as v1\n"
    dsvc("undo")
    done = json.loads(dsvc("restore", "v1", "--json").out)
    assert done["dataset"] == "pets" and done["dry_run"] is False
    assert done["changes"]["inputs"] == {"added": 1, "removed": 0, "changed": 0}
    assert dsvc("restore", "v1", "nope", code=4).err.startswith("error: v1 has no 'nope'\n")
    assert dsvc("restore", "v7", code=4).err == (
        "error: no dataset, branch, version or commit named 'v7'\n"
        "hint: there is: pets, main, v1; of a commit's id, give 4 digits or more\n"
    )


def test_revert(dsvc, project: Path) -> None:
    dsvc("rm", "a.jpg")
    dsvc("commit", "-m", "Less", *SIGNED)
    less = ids(dsvc)["Less"]
    text = f"{less} Less: inputs +1, annotations +1\n"
    assert dsvc("revert", "HEAD", "--dry-run").out == f"would revert {text}"
    assert dsvc("revert", less[:6]).out == (
        f"reverted {text}next: dsvc commit -m 'Revert {less}', or take it back: dsvc undo\n"
    )
    dsvc("commit", "-m", "Back", *SIGNED)
    assert dsvc("revert", less).out == f"nothing to revert: the draft has no change of {less} Less\n"
    assert dsvc("revert", "Less", code=4).err.startswith("error: no dataset, branch, version or commit named 'Less'\n")


def test_revert_of_what_was_changed_since_and_of_a_merge(dsvc, merged: dict[str, str]) -> None:
    error = dsvc("revert", "HEAD", code=3).err
    assert error == (
        f"error: {merged['Both']} is a merge\nhint: say which of its parents to go back to: --parent N; "
        f"1 is {merged['Fox']}, 2 is {merged['Bird']}\n"
    )
    assert dsvc("revert", "HEAD", "--parent", "1").out.startswith(f"reverted {merged['Both']} Both: annotations -1")
    dsvc("discard")
    (fox,) = [
        record["name"]
        for record in json.loads(dsvc("blame", "a.jpg", "--json").out)["records"]
        if record["concept"] == "fox"
    ]
    dsvc("annotate", fox, "--concept", "elk")
    dsvc("commit", "-m", "Elk", *SIGNED)
    done = dsvc("revert", merged["Fox"])
    assert done.out.splitlines()[1] == "1 record with open conflicts; next: dsvc conflicts"
    assert json.loads(dsvc("status", "--json").out)["conflicts"] == 1
