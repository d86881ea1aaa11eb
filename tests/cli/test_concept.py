"""dsvc concept: exact output, exit codes, and one undo for each."""

import json
import re
from pathlib import Path

import pytest

SIGNED = ("--author", "Ada <ada@example.org>", "--date", "2024-05-01T12:00:00+00:00")
NEXT = "next: dsvc commit -m TEXT, or take it back: dsvc undo\n"


def document(dsvc, *arguments: str):
    return json.loads(dsvc(*arguments, "--json").out)


def concepts(dsvc) -> dict[str, int]:
    return {c["id"]: c["annotations"] for c in document(dsvc, "concept", "list")["concepts"]}


class TestList:
    def test_counts_and_numbers(self, dsvc, project: Path) -> None:
        dsvc("annotate", "b.jpg", "--concept", "bird\x1b", "--text", "x")
        dsvc("annotate", "b.jpg", "--concept", "cat")
        assert dsvc("concept", "list").out == (
            "bird\\x1b   1 annotation   1 input\n"
            "cat       2 annotations  2 inputs  number 1\n"
            "dog        1 annotation   1 input  number 3\n"
        )
        assert dsvc("concept", "list", "v1").out == (
            "cat  1 annotation  1 input  number 1\ndog  1 annotation  1 input  number 3\n"
        )

    def test_json(self, dsvc, project: Path) -> None:
        none = {"keypoints": None, "skeleton": None}
        cat = {"id": "cat", "name": "cat", "supercategory": "animal", **none, "number": 1}
        dog = {"id": "dog", "name": "dog", "supercategory": None, **none, "number": 3}
        used = {"annotations": 1, "inputs": 1}
        assert document(dsvc, "concept", "list") == {"dataset": "pets", "concepts": [{**cat, **used}, {**dog, **used}]}

    def test_none(self, dsvc, project: Path) -> None:
        dsvc("create", "empty")
        assert dsvc("concept", "list").out == (
            "no concepts yet; next: dsvc import FILE, or dsvc annotate KEY --concept NAME\n"
        )
        assert dsvc("concept", "list", "v9", code=4).err.startswith("error: ")


class TestRename:
    def test_staged(self, dsvc, project: Path) -> None:
        result = dsvc("concept", "rename", "cat", "house cat")
        assert result.out == f"renamed concept cat to house cat, with 1 annotation on 1 input\n{NEXT}"
        assert concepts(dsvc) == {"dog": 1, "house cat": 1}
        assert dsvc("undo").out == ("undid: concept rename cat house cat (draft pets main)\ndsvc redo brings it back\n")
        assert concepts(dsvc) == {"cat": 1, "dog": 1}

    def test_committed_at_once_and_undone_at_once(self, dsvc, project: Path) -> None:
        before = document(dsvc, "log")
        result = dsvc("concept", "rename", "cat", "kitty", "-m", "Kitties\nand more", *SIGNED)
        (commit, _) = document(dsvc, "log")["commits"]
        assert result.out == (
            "renamed concept cat to kitty, with 1 annotation on 1 input\n"
            f"[pets main {commit['id'][:12]}] Kitties\n"
            "dsvc undo takes back both the commit and the change\n"
        )
        assert (commit["message"], commit["author"]["name"]) == ("Kitties\nand more", "Ada")
        assert commit["time"] == "2024-05-01T12:00:00+00:00"
        assert dsvc("undo").out.startswith("undid: concept rename cat kitty (branch pets main)\n")
        assert document(dsvc, "log") == before and concepts(dsvc) == {"cat": 1, "dog": 1}
        dsvc("status")

    def test_refused_with_other_changes(self, dsvc, project: Path) -> None:
        dsvc("rm", "b.jpg")
        assert dsvc("concept", "rename", "cat", "kitty", "-m", "x", *SIGNED, code=3).err == (
            "error: other changes are staged, and -m would commit them too\n"
            "hint: commit them first: dsvc commit -m TEXT, or drop them: dsvc discard\n"
        )
        assert concepts(dsvc) == {"cat": 1, "dog": 0}

    def test_a_commit_needs_an_author(self, dsvc, project: Path) -> None:
        error = dsvc("concept", "rename", "cat", "kitty", "-m", "x", code=3).err
        assert error.startswith("error: no author is known\nhint: give --author")
        assert dsvc("concept", "rename", "cat", "kitty", "-m", " ", *SIGNED, code=2).err == (
            "error: a commit needs a message\nhint: -m TEXT\n"
        )

    @pytest.mark.parametrize(
        ("old", "new", "code", "error"),
        [
            ("cat", "dog", 3, "there is a concept 'dog' already\nhint: join them: dsvc concept merge cat into dog"),
            ("cats", "x", 4, "no concept 'cats' in the dataset\nhint: did you mean cat?"),
            ("q", "x", 4, "no concept 'q' in the dataset\nhint: see: dsvc concept list"),
            ("cat", "cat", 3, "concept 'cat' has this name already\nhint: give another one"),
            (
                "cat",
                " ",
                2,
                "' ' cannot name a concept\nhint: 1 to 1,024 bytes of Unicode, not only spaces, and no NUL",
            ),
        ],
    )
    def test_errors(self, dsvc, project: Path, old: str, new: str, code: int, error: str) -> None:
        assert dsvc("concept", "rename", old, new, code=code).err == f"error: {error}\n"
        assert dsvc("status").out.endswith("nothing staged\n")

    def test_json(self, dsvc, project: Path) -> None:
        expected = {"dataset": "pets", "dry_run": False, "names": {"cat": "kitty"}, "annotations": 1, "inputs": 1}
        counts = {"lists": 0, "doubles": 0}
        assert document(dsvc, "concept", "rename", "cat", "kitty") == {**expected, **counts, "commit": None}
        dsvc("discard")
        found = document(dsvc, "concept", "rename", "cat", "kitty", "-m", "x", *SIGNED)
        assert found == {**expected, **counts, "commit": document(dsvc, "log")["commits"][0]["id"]}


class TestMerge:
    def test_into_a_known_one(self, dsvc, project: Path) -> None:
        dsvc("annotate", "b.jpg", "--concept", "hound", "--text", "x")
        dsvc("annotate", "b.jpg", "--concept", "dog", "--text", "x")
        assert dsvc("concept", "merge", "hound", "cat", "into", "dog").out == (
            "merged hound, cat into dog, with 2 annotations on 2 inputs\n"
            f"note: 1 annotation now equals another; none is taken away\n{NEXT}"
        )
        assert concepts(dsvc) == {"dog": 4}
        dsvc("undo")
        assert concepts(dsvc) == {"cat": 1, "dog": 2, "hound": 1}

    def test_into_a_new_one_and_committed(self, dsvc, project: Path) -> None:
        result = dsvc("concept", "merge", "cat", "dog", "into", "into", "-m", "Pets", *SIGNED)
        assert re.fullmatch(
            r"merged cat, dog into into, with 2 annotations on 2 inputs\n\[pets main \w{12}\] Pets\n.*\n", result.out
        )
        dsvc("concept", "merge", "into", "into", "pet")
        assert concepts(dsvc) == {"pet": 2}

    @pytest.mark.parametrize("names", [("cat",), ("cat", "dog"), ("cat", "dog", "pet"), ("cat", "into"), ("into", "x")])
    def test_without_saying_into_what(self, dsvc, project: Path, names: tuple[str, ...]) -> None:
        assert dsvc("concept", "merge", *names, code=2).err == (
            "error: say what goes into what: dsvc concept merge A B into C\nhint: see: dsvc concept merge --help\n"
        )

    def test_nothing(self, dsvc, project: Path) -> None:
        assert dsvc("concept", "merge", "cat", "into", "cat", code=2).err == (
            "error: nothing to merge: it takes another concept\nhint: dsvc concept merge A B into C\n"
        )


class TestDelete:
    def test_used(self, dsvc, project: Path) -> None:
        for extra in ((), ("--dry-run",)):
            assert dsvc("concept", "delete", "cat", *extra, code=3).err == (
                "error: concept 'cat' is used by 1 annotation on 1 input\n"
                "hint: take them away too: dsvc concept delete cat --with-annotations\n"
            )

    def test_with_annotations(self, dsvc, project: Path) -> None:
        dry = dsvc("concept", "delete", "cat", "--with-annotations", "--dry-run")
        assert dry.out == "would delete concept cat, with 1 annotation on 1 input\n"
        assert concepts(dsvc) == {"cat": 1, "dog": 1}
        result = dsvc("concept", "delete", "cat", "--with-annotations")
        assert result.out == f"deleted concept cat, with 1 annotation on 1 input\n{NEXT}"
        assert concepts(dsvc) == {"dog": 1}
        dsvc("undo")
        assert concepts(dsvc) == {"cat": 1, "dog": 1}

    def test_json_of_a_dry_run(self, dsvc, project: Path) -> None:
        found = document(dsvc, "concept", "delete", "cat", "--with-annotations", "--dry-run")
        assert (found["dry_run"], found["names"], found["annotations"]) == (True, {"cat": None}, 1)

    def test_lists_are_told(self, dsvc, project: Path, coco, write) -> None:
        images = [{"id": 1, "file_name": "c.jpg", "neg_category_ids": [1]}]
        write(coco(images=images, annotations=[]), "project/lvis.json")
        dsvc("create", "lvis")
        dsvc("import", "lvis.json")
        assert dsvc("concept", "delete", "cat", code=3).err.startswith(
            "error: concept 'cat' is used by the lists of 1 input\n"
        )
        assert dsvc("concept", "delete", "cat", "--with-annotations").out == (
            "deleted concept cat, with 0 annotations on 0 inputs\n"
            f"the lists of concepts of 1 input changed with it\n{NEXT}"
        )
