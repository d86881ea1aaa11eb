"""The commands as a person uses them, with their exact output."""

import json
import os
from pathlib import Path

import pytest

SIGNED = ("--author", "Ada <ada@example.org>", "--date", "2024-05-01T12:00:00+00:00")
HOLDS = "2 inputs, 2 annotations, 2 concepts"


def head(dsvc) -> str:
    return json.loads(dsvc("log", "--json").out)["commits"][0]["id"][:12]


def annotation(dsvc, key: str) -> str:
    return json.loads(dsvc("show", key, "--json").out)["annotations"][0]["id"]


class TestBegin:
    def test_init(self, dsvc, tmp_path: Path) -> None:
        result = dsvc("init", "new/project")
        assert result.out == "made a repository in new/project/.dsvc\nnext: dsvc create NAME -m TEXT\n"
        assert (tmp_path / "new/project/.dsvc/.gitignore").read_text() == "*\n"

    def test_init_twice_is_refused(self, dsvc, project: Path) -> None:
        result = dsvc("init", code=3)
        assert result.err == "error: . holds a repository already\nhint: use it as it is: dsvc list\n"

    def test_the_first_operation_is_signed(self, dsvc, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DSVC_AUTHOR_NAME", "Grace")
        dsvc("init")
        (operation,) = json.loads(dsvc("op", "log", "--json").out)["operations"]
        assert operation["author"] == {"name": "Grace", "email": ""}


class TestDatasets:
    def test_create_makes_it_the_current_one(self, dsvc, project: Path) -> None:
        result = dsvc("create", "birds")
        assert result.out == (
            "made dataset birds, now the current one\nnext: dsvc add PATH, or dsvc import FILE --images DIR\n"
        )
        assert dsvc("list").out == (
            "* birds  0 inputs  0 annotations  0 versions\n"
            "  pets   2 inputs  2 annotations   1 version  Cats and dogs\n"
        )

    def test_list_without_any(self, dsvc) -> None:
        dsvc("init")
        assert dsvc("list").out == "no datasets yet; next: dsvc create NAME -m TEXT\n"
        assert json.loads(dsvc("list", "--json").out) == {"datasets": []}

    def test_create_twice_is_refused(self, dsvc, project: Path) -> None:
        assert dsvc("create", "pets", code=3).err == (
            "error: dataset 'pets' exists already\nhint: use it: dsvc use pets\n"
        )

    @pytest.mark.parametrize("name", ["", "a b", "-x", "a/b", "x" * 65, "auto-generated-1"])
    def test_names_that_cannot_be(self, dsvc, project: Path, name: str) -> None:
        dsvc("create", "--", name, code=2)
        dsvc("rename", "pets", "--", name, code=2)

    def test_use(self, dsvc, project: Path) -> None:
        dsvc("create", "birds")
        assert dsvc("use", "pets").out == "now on dataset pets\n"
        assert dsvc("list").out.startswith("  birds")

    def test_use_says_when_the_environment_overrides_it(self, dsvc, project: Path, monkeypatch) -> None:
        dsvc("create", "birds")
        monkeypatch.setenv("DSVC_DATASET", "pets")
        assert dsvc("status").out.startswith("dataset pets")
        result = dsvc("use", "birds")
        assert result.err == "note: DSVC_DATASET is set, and still selects pets\n"
        assert dsvc("-d", "birds", "status").out.startswith("dataset birds")

    def test_the_environment_is_no_choice(self, dsvc, project: Path, monkeypatch) -> None:
        dsvc("create", "birds")
        monkeypatch.setenv("DSVC_DATASET", "pets")
        dsvc("use", "pets")
        dsvc("rename", "pets", "animals")
        monkeypatch.delenv("DSVC_DATASET")
        assert dsvc("status").out.startswith("dataset animals")

    def test_options_stand_before_and_after_the_command(self, dsvc, project: Path, monkeypatch) -> None:
        dsvc("create", "birds")
        monkeypatch.chdir(project.parent)
        wanted = "v1  "
        assert dsvc("-C", "project", "-d", "pets", "version", "list").out.startswith(wanted)
        monkeypatch.chdir(project.parent)
        assert dsvc("version", "-C", "project", "list", "-d", "pets").out.startswith(wanted)
        monkeypatch.chdir(project.parent)
        assert dsvc("version", "list", "--dataset", "pets", "-C", "project").out.startswith(wanted)

    def test_describe(self, dsvc, project: Path) -> None:
        assert dsvc("describe", "-m", "Fur").out == "described pets\n"
        assert dsvc("describe", "pets", "-m", "Fur and\npaws").out == "described pets\n"
        assert "Fur and\\npaws" in dsvc("list").out

    def test_rename(self, dsvc, project: Path) -> None:
        assert dsvc("rename", "pets", "animals").out == "renamed pets to animals\n"
        assert dsvc("status").out.startswith("dataset animals")
        assert dsvc("version", "list").out.startswith("v1")

    def test_delete_and_undo(self, dsvc, project: Path) -> None:
        commit = head(dsvc)
        held = f"{HOLDS}, 1 version"
        assert dsvc("delete", "pets", "--dry-run").out == f"would delete pets: {held}\n"
        assert dsvc("delete", "pets", "--yes").out == f"deleted pets: {held}\ndsvc undo brings it back\n"
        assert dsvc("list").out.startswith("no datasets yet")
        undone = dsvc("undo").out
        assert undone.startswith("undid: delete pets (branch pets main, dataset pets, version pets v1)\n")
        assert dsvc("status").out.startswith(f"dataset pets, branch main, at {commit} (v1)\n")

    def test_delete_asks_a_terminal_only(self, dsvc, project: Path) -> None:
        assert dsvc("delete", "pets", code=3).err == (
            "error: deleting 'pets' needs its name typed on a terminal\nhint: or say: --yes\n"
        )

    @pytest.mark.skipif(not hasattr(os, "openpty"), reason="this system has no pseudo-terminals")
    @pytest.mark.parametrize(("typed", "code"), [("pets\n", 0), ("pet\n", 3), ("\n", 3), ("\x04", 130)])
    def test_delete_asks_for_the_name(self, dsvc, project: Path, monkeypatch, typed: str, code: int) -> None:
        controller, terminal = os.openpty()
        os.write(controller, typed.encode())
        with open(terminal) as stdin:
            monkeypatch.setattr("sys.stdin", stdin)
            result = dsvc("delete", "pets", code=code)
        os.close(controller)
        assert f"pets holds {HOLDS}, 1 version.\nType its name to delete it" in result.err
        assert len(json.loads(dsvc("list", "--json").out)["datasets"]) == (0 if code == 0 else 1)


class TestStatus:
    def test_clean(self, dsvc, project: Path) -> None:
        expected = f"dataset pets, branch main, at {head(dsvc)} (v1)\nholds {HOLDS}\nnothing staged\n"
        assert dsvc("status").out == expected

    def test_new(self, dsvc, project: Path) -> None:
        dsvc("create", "birds")
        assert dsvc("status").out == (
            "dataset birds, branch main, no commits yet\nholds 0 inputs, 0 annotations, 0 concepts\n"
            "nothing staged; next: dsvc add PATH, or dsvc import FILE\n"
        )
        assert dsvc("log").out.startswith("no commits yet")
        assert dsvc("version", "list").out == "no versions yet; next: dsvc version create\n"
        assert dsvc("show").out == "dataset birds, no commits yet\n0 inputs, 0 annotations, 0 concepts\n"

    def test_staged(self, dsvc, project: Path) -> None:
        dsvc("annotate", "a.jpg", "--concept", "bird")
        dsvc("rm", "b.jpg")
        assert dsvc("status").out.splitlines()[1:] == [
            "holds 1 input, 2 annotations, 3 concepts",
            "staged:",
            "  inputs: 1 removed",
            "  annotations: 1 added, 1 removed",
            "  concepts: 1 added",
            "next: dsvc diff, then dsvc commit -m TEXT",
        ]
        assert "staged changes" in dsvc("list").out


TWICE = (
    "note: a.jpg and 1 more are in the dataset without images/: the same files? "
    "dsvc undo, then: dsvc add images --root images\n"
)


class TestAddAndImport:
    def test_add(self, dsvc, project: Path) -> None:
        (project / "images" / "c.png").write_bytes(b"not a picture")
        (project / "images" / ".hidden").touch()
        result = dsvc("add", "images")
        assert result.out == (
            f"3 inputs added\npassed over: 1 hidden file\n{TWICE}"
            "tracked from now on: images\nnext: dsvc commit -m TEXT\n"
        )
        assert dsvc("add", "images").out == "3 unchanged\npassed over: 1 hidden file\n"
        (project / "images" / "c.png").write_bytes(b"still no picture")
        assert dsvc("add", "images/c.png").out == "1 changed\nnext: dsvc commit -m TEXT\n"

    def test_add_below_a_root(self, dsvc, project: Path) -> None:
        assert dsvc("add", "images", "--root", "images").out == "2 unchanged\ntracked from now on: images\n"

    def test_add_an_empty_folder(self, dsvc, project: Path) -> None:
        (project / "empty").mkdir()
        assert dsvc("add", "empty").out == "no files found\ntracked from now on: empty\n"

    def test_add_names_what_it_could_not_take(self, dsvc, project: Path) -> None:
        os.mkfifo(project / "images" / "pipe")
        result = dsvc("add", "images", code=1)
        assert result.out == f"2 inputs added\n{TWICE}tracked from now on: images\nnext: dsvc commit -m TEXT\n"
        assert result.err.startswith("error: 1 file could not be taken\n  ")
        assert "images/pipe: " in result.err

    def test_add_of_nothing_that_can_be_taken_is_refused(self, dsvc, project: Path) -> None:
        os.mkfifo(project / "pipe")
        result = dsvc("add", "pipe", code=3)
        assert result.err.startswith("error: nothing could be taken\n  ")
        assert "pipe" in result.err.splitlines()[1]

    def test_add_a_name_that_is_not_unicode(self, dsvc, project: Path) -> None:
        (project / "odd").mkdir()
        Path(os.fsdecode(os.fsencode(project / "odd") + b"/\xff.png")).write_bytes(b"x")
        (project / "odd" / "fine.png").write_bytes(b"x")
        result = dsvc("add", "odd", code=1)
        assert result.out.startswith("1 input added")
        assert "\\udcff.png" in result.err
        dsvc("add", os.fsdecode(b"odd/\xff.png"), "odd/fine.png", code=1)

    def test_import_with_images(self, dsvc, files: Path, monkeypatch) -> None:
        monkeypatch.chdir(files)
        dsvc("init")
        dsvc("create", "pets")
        (files / "images" / "b.jpg").unlink()
        (files / "images" / "c.jpg").write_bytes(b"x")
        assert dsvc("import", "pets.json", "--images", "images", "--source", "vendor").out == (
            f"imported {HOLDS} from source vendor\n"
            "1 input without a file: b.jpg\n"
            "1 file that no record names, not taken: c.jpg\n"
            "next: dsvc commit -m TEXT\n"
        )

    def test_import_again_changes_nothing(self, dsvc, project: Path) -> None:
        assert dsvc("import", "pets.json").out == f"nothing new from source pets: {HOLDS}, as before\n"
        assert dsvc("status").out.endswith("nothing staged\n")

    def test_import_of_a_file_with_errors(self, dsvc, project: Path, write, coco) -> None:
        wrong = [{"id": n, "image_id": 99, "category_id": 1, "bbox": [1, 2, 3, 4]} for n in range(30)]
        write(coco(annotations=wrong), "project/wrong.json")
        result = dsvc("import", "wrong.json", code=3)
        lines = result.err.splitlines()
        assert lines[0] == "error: wrong.json: 30 errors"
        assert all(line.startswith("  ") for line in lines[1:22])
        assert lines[21:] == [
            "  ... and 10 more",
            "hint: nothing was imported; mend the file, or import the rest: --on-error skip",
        ]
        assert dsvc("status").out.endswith("nothing staged\n")

    def test_import_the_rest(self, dsvc, project: Path, write, coco) -> None:
        annotations = [*coco()["annotations"], {"id": 9, "image_id": 99, "category_id": 1, "bbox": [1, 2, 3, 4]}]
        write(coco(annotations=annotations), "project/wrong.json")
        dsvc("create", "other")
        result = dsvc("import", "wrong.json", "--on-error", "skip")
        assert result.err.startswith("1 error in wrong.json:\n  ")
        assert result.out == (
            f"imported {HOLDS} from source wrong\n"
            "refused records are in wrong.rejects.json: mend them, and import that file too\n"
            "next: dsvc commit -m TEXT\n"
        )

    def test_import_of_a_file_that_lists_less_takes_nothing_away(self, dsvc, project: Path, write, coco) -> None:
        write(coco(annotations=[]), "project/pets.json")
        assert dsvc("import", "pets.json").out == (
            "nothing new from source pets: 2 inputs, 0 annotations, 2 concepts, as before\n"
            "note: 2 annotations that the source listed before, and does not list now, stay; remove them with --sync\n"
        )

    def test_unknown_format(self, dsvc, project: Path) -> None:
        assert dsvc("import", "pets.json", "--format", "yolo", code=2).err == (
            "error: no format named 'yolo'\nhint: there is: clarifai, coco, table\n"
        )


class TestAnnotate:
    def shown(self, dsvc, name: str) -> dict:
        return json.loads(dsvc("show", name, "--json").out)["annotation"]

    def test_a_new_annotation(self, dsvc, project: Path) -> None:
        options = ("--box", "1,2,3,4.5", "--polygon", "0,0,1,0,1,1", "--polygon", "2,2,3,2,3,3", "--point", "1,1")
        more = ("--keypoints", "1,1,2", "--text", "hi", "--crowd", "--attribute", "n=3", "--attribute", "s=x=y")
        result = dsvc("annotate", "a.jpg", "--concept", "bird", *options, *more, "--json")
        record = json.loads(result.out)
        assert record["verb"] == "added"
        id = record["annotation"].pop("id")
        assert record["annotation"] == {
            "key": "a.jpg",
            "concept": "bird",
            "shape": {"box": [1, 2, 3, 4.5], "polygons": [[0, 0, 1, 0, 1, 1], [2, 2, 3, 2, 3, 3]], "unit": "pixel"},
            "keypoints": [1, 1, 2],
            "point": [1, 1],
            "text": "hi",
            "crowd": 1,
            "attributes": {"n": 3, "s": "x=y"},
        }
        assert dsvc("show", f"a.jpg#{id}").out.startswith(f"annotation a.jpg#{id}\n  bird  box 1,2,3,4.5, 2 polygons")

    def test_a_new_concept_is_told(self, dsvc, project: Path) -> None:
        for name, line in (
            ("cta", "new concept cta; did you mean cat?"),
            ("CAT", "new concept CAT; did you mean cat, cta?"),
            ("giraffe", "new concept giraffe"),
        ):
            out = dsvc("annotate", "a.jpg", "--concept", name).out.splitlines()
            assert out[1:] == [line, "next: dsvc commit -m TEXT"]
            again = dsvc("annotate", "a.jpg", "--concept", name).out.splitlines()
            assert again[1:] == ["next: dsvc commit -m TEXT"]
        name = "b.jpg#" + annotation(dsvc, "b.jpg")
        assert dsvc("annotate", name, "--concept", "dgo").out.splitlines()[1] == "new concept dgo; did you mean dog?"
        assert dsvc("annotate", name, "--text", "x").out == f"changed {name} dgo\nnext: dsvc commit -m TEXT\n"
        for concept, is_new in (("bird", True), ("bird", False)):
            result = dsvc("annotate", "a.jpg", "--concept", concept, "--json")
            assert (json.loads(result.out)["new_concept"], result.err) == (is_new, "")

    def test_one_of_a_kind_is_singular(self, dsvc, project: Path) -> None:
        assert "1 number, where 4 are needed" in dsvc("annotate", "a.jpg", "--box", "1", code=2).err
        assert "1 number: give 6 or more" in dsvc("annotate", "a.jpg", "--polygon", "1", code=2).err
        dsvc("annotate", "a.jpg", "--concept", "cat", "--keypoints", "1,1,2")
        dsvc("annotate", "a.jpg", "--concept", "cat")
        assert "  cat  1 keypoint\n" in dsvc("show", "a.jpg").out
        assert "\ntasks: 2 boxes, 1 class, 1 keypoint, 1 polygon\n" in dsvc("show").out

    def test_a_changed_box_keeps_the_rest_of_the_shape(self, dsvc, project: Path) -> None:
        id = annotation(dsvc, "b.jpg")
        result = dsvc("annotate", f"b.jpg#{id}", "--box", "1,1,5,5", "--no-crowd")
        assert result.out == f"changed b.jpg#{id} dog\nnext: dsvc commit -m TEXT\n"
        shape = self.shown(dsvc, f"b.jpg#{id}")["shape"]
        assert shape["box"] == [1, 1, 5, 5]
        assert shape["polygons"] == [[0.5, 0.5, 9, 0, 9, 9.25], [1, 1, 2, 2, 3, 1]]
        assert shape["area"] == 81
        assert dsvc("diff").out == f"  input b.jpg\n    ~ dog {id}: moved by 3 px (IoU 0.308), crowd none -> 0\n"

    def test_the_area_of_a_plain_box_follows_it(self, dsvc, project: Path) -> None:
        id = annotation(dsvc, "a.jpg")
        dsvc("annotate", f"a.jpg#{id}", "--box", "1,2,4,4")
        assert self.shown(dsvc, f"a.jpg#{id}")["shape"] == {"box": [1, 2, 4, 4], "area": 16, "unit": "pixel"}

    def test_the_area_of_polygons_follows_them(self, dsvc, project: Path) -> None:
        id = annotation(dsvc, "b.jpg")
        dsvc("annotate", f"b.jpg#{id}", "--polygon", "0,0,4,0,4,4")
        assert self.shown(dsvc, f"b.jpg#{id}")["shape"]["area"] == 8

    def test_a_unit_is_that_of_the_whole_shape(self, dsvc, project: Path) -> None:
        id = annotation(dsvc, "b.jpg")
        assert dsvc("annotate", f"b.jpg#{id}", "--box", "0,0,1,1", "--unit", "relative", code=3).err == (
            "error: the shape keeps its polygons, in unit pixel\n"
            "hint: give all parts of the shape in the new unit, or leave --unit pixel\n"
        )

    def test_attributes_are_set_one_by_one(self, dsvc, project: Path) -> None:
        name = "a.jpg#" + annotation(dsvc, "a.jpg")
        dsvc("annotate", name, "--attribute", "x=1", "--attribute", "y=true")
        dsvc("annotate", name, "--attribute", "y=NaN", "--attribute", "z=[1]")
        assert self.shown(dsvc, name)["attributes"] == {"x": 1, "y": "NaN", "z": "[1]"}

    def test_spans_times_frames_and_tracks(self, dsvc, project: Path) -> None:
        when = ("--time", "1.5,4", "--frame", "12", "--track", "7", "--negative")
        result = dsvc("annotate", "a.jpg", "--concept", "cat", "--span", "3,9", *when, "--json")
        made = json.loads(result.out)["annotation"]
        name = f"a.jpg#{made['id']}"
        assert made == {
            "key": "a.jpg",
            "id": made["id"],
            "concept": "cat",
            "span": [3, 9],
            "time": [1.5, 4],
            "frame": 12,
            "track": 7,
            "value": 0,
        }
        line = "cat  characters 3,9  seconds 1.5,4  frame 12  track 7  negative"
        assert dsvc("show", name).out == f"annotation {name}\n  {line}\n"
        dsvc("annotate", name, "--track", "007", "--positive", "--frame", "0")
        assert {**made, "track": "007", "value": 1, "frame": 0} == self.shown(dsvc, name)
        assert "  cat  characters 3,9  seconds 1.5,4  frame 0  track 007\n" in dsvc("show", "a.jpg").out
        assert ", 1 span\n" in dsvc("show").out

    def test_the_concept_of_an_annotation(self, dsvc, project: Path) -> None:
        name = "a.jpg#" + annotation(dsvc, "a.jpg")
        dsvc("annotate", name, "--concept", "cafe\u0301")
        id = name.partition("#")[2]
        relabelled = f"  input a.jpg\n    ~ caf\u00e9 {id}: relabelled cat -> caf\u00e9\n"
        assert dsvc("diff").out == f"+ concept caf\u00e9\n{relabelled}"

    @pytest.mark.parametrize(
        "options",
        [
            (),
            ("--box", "1,2,3"),
            ("--box", "1,2,x,4"),
            ("--box", "1,2,nan,4"),
            ("--box", "1,2,0,4"),
            ("--polygon", "1,2,3,4"),
            ("--polygon", "1,2,3,4,5,6,7"),
            ("--point", "1"),
            ("--keypoints", "1,2"),
            ("--concept", " "),
            ("--unit", "relative"),
            ("--unit", "metre"),
            ("--attribute", "x"),
            ("--concept", "\udcff"),
            ("--span", "4,3"),
            ("--span", "-1,3"),
            ("--span", "1,2.5"),
            ("--span", "1"),
            ("--time", "2,1"),
            ("--time", "-1,1"),
            ("--time", "0,inf"),
            ("--frame", "-1"),
            ("--frame", "x"),
            ("--track", "\udcff"),
            ("--negative",),
        ],
    )
    def test_what_cannot_be_meant(self, dsvc, project: Path, options: tuple[str, ...]) -> None:
        dsvc("annotate", "a.jpg", *options, code=2)
        assert dsvc("status").out.endswith("nothing staged\n")

    def test_what_is_not_there(self, dsvc, project: Path) -> None:
        assert dsvc("annotate", "x.jpg", "--text", "t", code=4).err.startswith("error: no input 'x.jpg'")
        assert dsvc("annotate", "a.jpg#x", "--text", "t", code=4).err.startswith("error: no annotation a.jpg#x")


class TestRemoveAndDiscard:
    def test_rm(self, dsvc, project: Path) -> None:
        name = "b.jpg#" + annotation(dsvc, "b.jpg")
        assert dsvc("rm", "a.jpg", name, "--dry-run").out == (
            "would remove 1 input, 2 annotations; files on disk are not touched\n"
        )
        assert dsvc("status").out.endswith("nothing staged\n")
        assert dsvc("rm", "a.jpg", name, "a.jpg").out == (
            "removed 1 input, 2 annotations; files on disk are not touched\n"
            "next: dsvc commit -m TEXT, or take it back: dsvc undo\n"
        )
        assert dsvc("status").out.splitlines()[1] == "holds 1 input, 0 annotations, 2 concepts"
        assert (project / "images" / "a.jpg").exists()

    def test_rm_of_an_input_and_its_own_annotation(self, dsvc, project: Path) -> None:
        name = "b.jpg#" + annotation(dsvc, "b.jpg")
        assert dsvc("rm", name, "b.jpg").out.startswith("removed 1 input, 1 annotation;")

    def test_rm_of_all_equal_copies(self, dsvc, project: Path) -> None:
        for _ in range(3):
            dsvc("annotate", "a.jpg", "--concept", "bird")
        found = json.loads(dsvc("show", "a.jpg", "--json").out)["annotations"]
        names = [f"a.jpg#{one['id']}" for one in found if one["concept"] == "bird"]
        assert dsvc("rm", *names).out.startswith("removed 3 annotations;")

    def test_rm_of_what_is_not_there_changes_nothing(self, dsvc, project: Path) -> None:
        assert dsvc("rm", "a.jpg", "x.jpg", code=4).err == (
            "error: no input 'x.jpg' in the dataset\nhint: did you mean b.jpg, a.jpg?\n"
        )
        assert dsvc("rm", "a.jpg#x", code=4).err == "error: no annotation a.jpg#x\nhint: see: dsvc show a.jpg\n"
        assert dsvc("status").out.endswith("nothing staged\n")

    def test_discard(self, dsvc, project: Path) -> None:
        assert dsvc("discard").out == "nothing to discard\n"
        name = "b.jpg#" + annotation(dsvc, "b.jpg")
        dsvc("rm", "a.jpg", name)
        assert dsvc("discard", "b.jpg", "--dry-run").out == f"would discard 1 change: annotation {name}\n"
        assert dsvc("discard", "b.jpg").out == (f"discarded 1 change: annotation {name}\ndsvc undo brings it back\n")
        assert dsvc("discard").out.startswith("discarded 2 changes: input a.jpg, annotation a.jpg#")
        assert dsvc("status").out.endswith("nothing staged\n")


class TestHistory:
    def test_commit(self, dsvc, project: Path) -> None:
        dsvc("annotate", "a.jpg", "--concept", "cat")
        out = dsvc("commit", "-m", "Another cat\n\nSeen late", *SIGNED).out
        assert out == (
            f"[pets main {head(dsvc)}] Another cat\nholds 2 inputs, 3 annotations, 2 concepts\n"
            "next: dsvc version create, or dsvc log\n"
        )

    def test_commit_of_nothing_is_refused(self, dsvc, project: Path) -> None:
        assert dsvc("commit", "-m", "x", *SIGNED, code=3).err == (
            "error: nothing to commit\nhint: stage something first: dsvc add, import, annotate, rm\n"
        )
        dsvc("commit", "-m", "x", "--allow-empty", *SIGNED)

    def test_commit_without_an_author_is_refused(self, dsvc, project: Path) -> None:
        dsvc("rm", "a.jpg")
        assert dsvc("commit", "-m", "x", code=3).err == (
            "error: no author is known\nhint: give --author 'NAME <EMAIL>', set DSVC_AUTHOR_NAME and "
            "DSVC_AUTHOR_EMAIL, or: git config user.name NAME\n"
        )

    @pytest.mark.parametrize("message", ["", " \n", "\udcff"])
    def test_a_commit_needs_a_message(self, dsvc, project: Path, message: str) -> None:
        dsvc("commit", "-m", message, *SIGNED, code=2)

    def test_log(self, dsvc, project: Path) -> None:
        first = head(dsvc)
        dsvc("rm", "a.jpg")
        dsvc("commit", "-m", "Less\n\nOne cat left", *SIGNED[:2], "--date", "@1714564800 +0530")
        second = head(dsvc)
        assert dsvc("log", "--oneline").out == f"{second} Less\n{first} (v1) First batch\n"
        assert dsvc("log", "-n", "1", "--oneline").out == f"{second} Less\n"
        assert dsvc("log").out == (
            f"commit {second}\nauthor Ada <ada@example.org>\ndate   2024-05-01 17:30:00 +0530\n"
            "change inputs -1, annotations -1\n\n"
            f"    Less\n\n    One cat left\n\n"
            f"commit {first} (v1)\nauthor Ada <ada@example.org>\ndate   2024-05-01 12:00:00 +0000\nsource pets\n"
            "change inputs +2, annotations +2, concepts +2\n\n    First batch\n"
        )
        assert dsvc("log", "HEAD~1", "--oneline").out == f"{first} (v1) First batch\n"

    def test_diff(self, dsvc, project: Path) -> None:
        assert dsvc("diff") == (0, "", "")
        assert dsvc("diff", "--exit-code") == (0, "", "")
        assert dsvc("diff", "--stat").out == "no differences\n"
        cat = annotation(dsvc, "a.jpg")
        dsvc("rm", "b.jpg")
        dsvc("annotate", f"a.jpg#{cat}", "--concept", "bird", "--text", "x" * 100)
        expected = (
            f"+ concept bird\n  input a.jpg\n    ~ bird {cat}: relabelled cat -> bird, text none -> {'x' * 57}...\n"
            "- input b.jpg: 1 dog\n"
        )
        assert dsvc("diff").out == expected
        assert dsvc("diff", "--exit-code", code=1).out == expected
        assert dsvc("diff", "--stat", "--exit-code", code=1).out == (
            "inputs: 1 removed\nannotations: 1 changed (1 relabelled), 1 removed\nconcepts: 1 added\n"
            "by concept  removed  relabelled from  relabelled to\n"
            "  bird            -                -              1\n"
            "  cat             -                1              -\n"
            "  dog             1                -              -\n"
        )
        dsvc("commit", "-m", "x", *SIGNED)
        dsvc("version", "create", "v2", *SIGNED)
        assert dsvc("diff", "v1", "v2").out == expected
        assert dsvc("diff", "v2", "v1").out.startswith("- concept bird\n  input a.jpg\n")
        assert dsvc("diff", "v2", "v2").out == ""

    def test_a_long_diff_is_cut(self, dsvc, project: Path) -> None:
        (project / "many").mkdir()
        for number in range(210):
            (project / "many" / f"{number:03}.txt").write_text(str(number))
        dsvc("add", "many")
        lines = dsvc("diff").out.splitlines()
        assert lines[0] == "+ input many/000.txt"
        assert lines[200:] == ["... and 10 more inputs; counts: --stat, all: --json"]
        assert len(json.loads(dsvc("diff", "--json").out)["changes"]) == 210

    def test_names_are_shown_safely(self, dsvc, project: Path) -> None:
        (project / "odd").mkdir()
        (project / "odd" / "a\x1b[31m\nb.txt").write_text("x")
        dsvc("add", "odd")
        assert dsvc("diff").out == "+ input odd/a\\x1b[31m\\nb.txt\n"
        assert dsvc("show", "--inputs").out.splitlines()[-1] == "odd/a\\x1b[31m\\nb.txt"


class TestVersions:
    def test_create_numbers_them(self, dsvc, project: Path) -> None:
        commit = head(dsvc)
        assert dsvc("version", "create", *SIGNED).out == (
            f"made version v2 of pets at {commit}\nholds {HOLDS}\nnext: dsvc export pets@v2 -o OUT\n"
        )
        assert dsvc("version", "create", "v2", *SIGNED).out == f"version v2 of pets is at {commit} already\n"

    def test_create_on_staged_changes(self, dsvc, project: Path) -> None:
        dsvc("rm", "a.jpg")
        assert dsvc("version", "create", "v2", *SIGNED, code=3).err == (
            "error: the draft has changes that are in no commit\n"
            "hint: commit them first: dsvc commit -m TEXT, or: dsvc version create --commit\n"
        )
        assert dsvc("version", "create", "v2", "--commit", "-m", "Less", *SIGNED).code == 0
        assert dsvc("log", "--oneline").out.splitlines()[0].endswith("(v2) Less")
        assert dsvc("version", "create", "v1", *SIGNED, code=3).err.startswith(
            "error: version 'v1' is bound to another commit"
        )
        dsvc("version", "create", "old", "--at", "HEAD~1", *SIGNED)
        assert dsvc("diff", "v1", "old").out == ""

    def test_list_and_show(self, dsvc, project: Path) -> None:
        commit = head(dsvc)
        assert dsvc("version", "list").out == (
            f"v1  {commit}  2024-05-01 12:00:00 +0000  Ada  2 inputs  2 annotations  As it came\n"
        )
        assert dsvc("version", "show", "v1").out == (
            f"version v1 of pets, commit {commit}\nAda <ada@example.org>, 2024-05-01 12:00:00 +0000\n"
            f"    As it came\nholds {HOLDS}\n"
        )

    def test_delete_and_undo(self, dsvc, project: Path) -> None:
        commit = head(dsvc)
        assert dsvc("version", "delete", "v1", "--dry-run").out == f"would delete version v1 of pets, at {commit}\n"
        assert dsvc("version", "delete", "v1").out == (
            f"deleted version v1 of pets, at {commit}\ndsvc undo brings it back\n"
        )
        dsvc("version", "show", "v1", code=4)
        dsvc("undo")
        dsvc("version", "show", "v1")


class TestShow:
    def test_a_version(self, dsvc, project: Path) -> None:
        size = sum(path.stat().st_size for path in (project / "images").iterdir())
        assert dsvc("show", "v1").out == (
            f"pets@v1, commit {head(dsvc)}\nAda <ada@example.org>, 2024-05-01 12:00:00 +0000\n"
            f"    First batch\n{HOLDS}\n"
            f"media: 2 files, {size} bytes (2 image/png)\ntasks: 2 boxes, 1 polygon\nconcepts:\n  cat  1\n  dog  1\n"
        )

    def test_the_draft(self, dsvc, project: Path) -> None:
        dsvc("rm", "a.jpg")
        assert dsvc("show").out.startswith(
            f"dataset pets, at {head(dsvc)}, with staged changes\nCats and dogs\n1 input, 1 annotation, 2 concepts\n"
        )

    def test_an_input(self, dsvc, project: Path) -> None:
        id = annotation(dsvc, "a.jpg")
        lines = dsvc("show", "a.jpg").out.splitlines()
        assert lines[0] == "input a.jpg"
        assert lines[1].startswith("  media: image/png, 4 x 3, ")
        assert lines[2:] == [
            "  declared size: 640 x 480",
            "  license: Free",
            "  number: 1",
            "1 annotation:",
            f"  a.jpg#{id}  cat  box 1,2,3,4.5, area 13.5",
        ]
        dsvc("rm", "a.jpg")
        assert dsvc("show", "v1", "a.jpg").out.splitlines() == lines
        dsvc("show", "a.jpg", code=4)
        dsvc("show", "HEAD", "x.jpg", code=4)
        dsvc("show", "a.jpg#nope", code=4)
        dsvc("show", "b.jpg#nope", code=4)

    def test_inputs(self, dsvc, project: Path) -> None:
        assert dsvc("show", "--inputs").out == "a.jpg\nb.jpg\n"
        assert json.loads(dsvc("show", "v1", "--inputs", "--json").out) == {"inputs": ["a.jpg", "b.jpg"]}


class TestExport:
    @pytest.mark.parametrize("format", ["clarifai-protobuf", "clarifai-json", "coco"])
    def test_formats(self, dsvc, project: Path, format: str) -> None:
        options = ("--format", format, "-o", "out.zip", "--media")
        wrote = dsvc("export", *options).out.splitlines()
        assert wrote[0] == f"wrote out.zip: {format}/1, 2 inputs, 2 annotations"
        again = dsvc("export", "v1", *options).out.splitlines()
        assert again[0] == f"out.zip holds the same already: {format}/1, 2 inputs, 2 annotations"

    def test_another_target_is_refused(self, dsvc, project: Path) -> None:
        (project / "out").mkdir()
        (project / "out" / "mine").write_text("x")
        error = dsvc("export", "v1", "--format", "coco", "-o", "out", code=3).err
        assert error.endswith("differs from this export\nhint: choose another folder, or move it away\n")
        assert dsvc("export", "v1", "--format", "coco", "-o", "out", "--force", code=3).err == (
            f"error: {project / 'out'} holds what no export writes: mine; --force replaces earlier exports only\n"
            "hint: choose another folder, or move it away\n"
        )
        assert (project / "out" / "mine").read_text() == "x"

    def test_force_replaces_an_earlier_export(self, dsvc, project: Path) -> None:
        dsvc("export", "v1", "--format", "coco", "-o", "out", "--media")
        error = dsvc("export", "v1", "-o", "out", code=3).err
        assert error.endswith("differs from this export\nhint: use --force to replace it\n")
        for format in ("clarifai-protobuf", "clarifai-json", "coco"):
            dsvc("export", "v1", "--format", format, "-o", "out", "--force")
            assert "holds the same already" in dsvc("export", "v1", "--format", format, "-o", "out", "--force").out
        files = [path for path in sorted((project / "out").rglob("*")) if path.is_file()]
        assert [path.name for path in files] == [".dsvc-export", "instances.json"]

    @pytest.mark.parametrize("output", ["", " ", "-", "out.tar", "out.tar.gz", "out.TXT", "../x.csv"])
    def test_outputs_that_cannot_be_meant(self, dsvc, project: Path, output: str) -> None:
        before = sorted(project.iterdir())
        for format in ("clarifai-json", "coco"):
            error = dsvc("export", "v1", "--format", format, "-o", output, code=2).err
            assert error.endswith("\nhint: name a folder, a .zip or, with --format coco, a .json\n")
        assert sorted(project.iterdir()) == before

    @pytest.mark.parametrize("output", ["pets-1.2", "v1.0.tar.d", ".hidden", "a b"])
    def test_folders_with_a_dot(self, dsvc, project: Path, output: str) -> None:
        dsvc("export", "v1", "--format", "coco", "-o", output)
        assert (project / output / "annotations").is_dir()

    def test_staged_changes(self, dsvc, project: Path) -> None:
        dsvc("rm", "a.jpg")
        assert dsvc("export", "-o", "out", code=3).err == (
            "error: pets has staged changes that are in no commit\n"
            "hint: commit them: dsvc commit -m TEXT, or leave them out: --committed\n"
        )
        for number, pinned in enumerate((("HEAD", "--committed"), ("pets@v1",), ("HEAD~0",))):
            out = dsvc("export", *pinned, "-o", f"out{number}", "--format", "coco").out
            assert "2 inputs, 2 annotations" in out

    def test_without_a_commit(self, dsvc, project: Path) -> None:
        dsvc("create", "birds")
        assert dsvc("export", "-o", "out", code=3).err.startswith("error: birds has no commit yet\n")

    def test_unknown_format(self, dsvc, project: Path) -> None:
        dsvc("export", "-o", "out", "--format", "yolo", code=2)
        dsvc("export", "-o", "out", "--format", "coco/7", code=2)
        dsvc("export", "-o", "out.json", code=2)


class TestUndo:
    def test_undo_and_redo_say_what_they_did(self, dsvc, project: Path) -> None:
        dsvc("rm", "a.jpg")
        assert dsvc("undo").out == "undid: rm a.jpg (draft pets main)\ndsvc redo brings it back\n"
        assert dsvc("undo").out.startswith("undid: version create v1 (version pets v1)\n")
        assert dsvc("redo").out == "did again: version create v1 (version pets v1)\n"
        assert dsvc("redo").out == "did again: rm a.jpg (draft pets main)\n"
        assert dsvc("redo", code=3).err == "error: nothing to redo\nhint: redo follows an undo: dsvc op log\n"

    def test_undo_of_one_operation(self, dsvc, project: Path) -> None:
        logged = json.loads(dsvc("op", "log", "--json").out)["operations"]
        version = next(op["id"] for op in logged if op["command"] == "version create v1")
        dsvc("describe", "-m", "other")
        assert dsvc("undo", "--op", version[:12]).out.startswith("undid: version create v1")
        dsvc("undo", "--op", version[:12], code=3)
        dsvc("undo", "--op", "0" * 12, code=4)
        dsvc("undo", "--op", "0", code=2)

    def test_op_log_and_restore(self, dsvc, project: Path) -> None:
        lines = dsvc("op", "log").out.splitlines()
        assert [line.split("  ")[-1] for line in lines] == [
            "version create v1",
            "commit -m First batch",
            "import pets.json",
            "create pets",
            "init",
        ]
        assert dsvc("op", "log", "-n", "2").out.splitlines() == lines[:2]
        created = lines[3].split()[0]
        assert dsvc("op", "restore", created).out == (
            f"everything is as it was after {created}: create pets\ndsvc undo takes this back\n"
        )
        assert dsvc("version", "list").out.startswith("no versions")
        dsvc("undo")
        assert dsvc("version", "list").out.startswith("v1")


class TestCheck:
    def test_whole(self, dsvc, project: Path) -> None:
        # b.jpg says 320 x 240 and a.jpg 640 x 480, but both files are 4 x 3.
        result = dsvc("check", code=1)
        assert "odd: input a.jpg: declared width 640, but the file says 4\n" in result.out
        assert result.out.splitlines()[-1].endswith("objects: all whole, 4 odd records")
        document = json.loads(dsvc("check", "--json", "--media", code=1).out)
        assert document["damage"] == []
        assert set(document["findings"][0]) == {"kind", "name", "text"}

    def test_nothing_odd(self, dsvc) -> None:
        dsvc("init")
        assert dsvc("check").out == "2 objects: all whole\n"

    def test_damage(self, dsvc, project: Path) -> None:
        for pack in (project / ".dsvc" / "packs").iterdir():
            data = bytearray(pack.read_bytes())
            data[len(data) // 3] ^= 1
            pack.chmod(0o600)
            pack.write_bytes(data)
        result = dsvc("check", code=None)
        assert result.code == 5
        assert "damaged" in result.out + result.err
