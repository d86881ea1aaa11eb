"""dsvc import of tables and folders, as it is typed: what it prints, and its exit codes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SIGNED = ("--author", "Ada <ada@example.org>")
NEXT = "next: dsvc commit -m TEXT\n"
SKIP = "hint: nothing was imported; mend the file, or import the rest: --on-error skip\n"
JPEG = b"\xff\xd8\xff"


@pytest.fixture
def table(project: Path) -> Callable[..., Path]:
    """Write lines to a file of the project, which holds the inputs a.jpg and b.jpg."""

    def table(*lines: str, name: str = "meta.csv") -> Path:
        path = project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        return path

    return table


# ---- tables


def test_a_sheet_that_is_corrected(dsvc, table) -> None:
    table("key,split,concepts,metadata.site", "a.jpg,train,sunny;-night,1", "b.jpg,val,,2")
    result = dsvc("import", "meta.csv")
    assert (result.out, result.err) == (
        f"imported 2 inputs, 2 annotations, 2 concepts from source meta\n{NEXT}",
        "",
    )
    shown = dsvc("show", "a.jpg").out
    assert "  split: train\n" in shown and '  metadata: {"site": 1}\n' in shown
    assert "  sunny\n" in shown and "  night  negative\n" in shown
    assert dsvc("import", "meta.csv").out == (
        "nothing new from source meta: 2 inputs, 2 annotations, 2 concepts, as before\n"
    )
    table("key,split,concepts,metadata.site", "a.jpg,test,sunny,1")
    assert dsvc("import", "meta.csv").out == (
        "imported 1 input, 1 annotation, 1 concept from source meta\n"
        "annotations: 1 unchanged, 1 listed no more\ninputs: 1 changed\nremoved 1 annotation\n"
        "note: 1 input that the source listed before, and does not list now, stays; remove it with --sync=inputs\n"
        f"{NEXT}"
    )
    shown = dsvc("show", "a.jpg").out
    assert "  split: test\n" in shown and "night" not in shown
    assert "  split: val\n" in dsvc("show", "b.jpg").out


def test_a_key_that_is_not_there(dsvc, table) -> None:
    table("key,split", "a.jpeg,train", "quite/other.png,val")
    result = dsvc("import", "meta.csv", code=3)
    assert (result.out, result.err) == (
        "",
        "error: meta.csv: 2 errors\n"
        "  row 2 (key 'a.jpeg'): is not in the dataset; there is 'a.jpg'\n"
        "  row 3 (key 'quite/other.png'): is not in the dataset; add it, or give its path, url or text\n"
        f"{SKIP}",
    )


def test_rejects_are_mended(dsvc, table, project: Path) -> None:
    table("key,split", "a.jpeg,train", "b.jpg,80/10/10", "b.jpg,val")
    result = dsvc("import", "meta.csv", "--on-error", "skip")
    assert result.err == (
        "3 errors in meta.csv:\n"
        "  row 2 (key 'a.jpeg'): is not in the dataset; there is 'a.jpg'\n"
        "  row 3 (key 'b.jpg'): '80/10/10' cannot name a split: letters, digits, '.', '_' and '-', up to 64, "
        "beginning with a letter or digit\n"
        "  row 4 (key 'b.jpg'): its key is also that of row 3\n"
    )
    assert result.out == (
        "nothing imported from source meta\n"
        "refused records are in meta.rejects.csv: mend them, and import that file too with --source meta\n"
    )
    table("key,split", "a.jpeg,train", "b.jpg,val")
    result = dsvc("import", "meta.csv", "--on-error", "skip")
    assert result.out == (
        "imported 1 input, 0 annotations, 0 concepts from source meta\n"
        "refused records are in meta.rejects-2.csv: mend them, and import that file too with --source meta\n"
        f"{NEXT}"
    )
    rejects = project / "meta.rejects-2.csv"
    assert rejects.read_text() == "key,split\na.jpeg,train\n"
    rejects.write_text("key,split\na.jpg,train\n")
    assert dsvc("import", rejects.name, "--source", "meta").out == (
        "imported 1 input, 0 annotations, 0 concepts from source meta\ninputs: 1 changed\n"
        f"note: 1 input that the source listed before, and does not list now, stays\n{NEXT}"
    )


def test_what_both_changed(dsvc, table) -> None:
    table("key,split", "a.jpg,train")
    dsvc("import", "meta.csv")
    dsvc("set", "a.jpg", "--split", "val")
    table("key,split", "a.jpg,test")
    conflict = "1 record %s in conflict: what the source says and what is here differ; see: dsvc conflicts\n"
    assert dsvc("import", "meta.csv", "--dry-run").out == (
        "would import 1 input, 0 annotations, 0 concepts from source meta\n" + conflict % "would be"
    )
    assert "  split: val\n" in dsvc("show", "a.jpg").out
    assert dsvc("import", "meta.csv").out == (
        f"imported 1 input, 0 annotations, 0 concepts from source meta\n{conflict % 'is'}{NEXT}"
    )
    assert json.loads(dsvc("status", "--json").out)["conflicts"] == 1
    dsvc("version", "create", "v2", "--commit", "-m", "Open", code=3)


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", "error: meta.csv is empty\nhint: export it again, or name another file\n"),
        (
            b"file,split\na.jpg,train\n",
            "error: meta.csv: has no column key (nor path, nor url); its columns are file, split\n"
            "hint: did you mean path by file? rename it\n",
        ),
        (
            b"key split\na.jpg train\n",
            "error: meta.csv: has no column key (nor path, nor url): its first row is one cell, 'key split', without a "
            "comma, semicolon, tab or '|'\nhint: the first row must name the columns\n",
        ),
        (
            "key,split\nà.jpg,train\n".encode("latin-1"),
            "error: meta.csv: is not UTF-8 text: line 2 holds the byte 0xe0 (byte 11 of the file)\n"
            "hint: save it as UTF-8; it may be Latin-1 or Windows-1252, or cut short\n",
        ),
        (b"\x1f\x8b\x08", "error: meta.csv: looks gzipped\nhint: unpack it first: gunzip meta.csv\n"),
        (
            b'key,split\n"a.jpg,train\n',
            "error: meta.csv: row 2 (lines 2 to 2): a quote is opened and never closed\n"
            'hint: close the quote; one inside a quoted cell is doubled: ""\n',
        ),
    ],
    ids=["empty", "no key", "spaces", "Latin-1", "gzip", "quote"],
)
def test_files_that_are_no_tables(dsvc, project: Path, content: bytes, error: str) -> None:
    (project / "meta.csv").write_bytes(content)
    result = dsvc("import", "meta.csv", code=3)
    assert (result.out, result.err.replace("(line 2)", "(lines 2 to 2)")) == ("", error)
    assert "nothing staged" in dsvc("status").out


def test_oddities_that_are_taken_are_told(dsvc, table, project: Path) -> None:
    (project / "meta.csv").write_bytes(
        "\ufeffkey;split;camera;metadata.iso\r\na.jpg;train;left;1\r\nb.jpg;val;left;x\r\n".encode()
    )
    assert dsvc("import", "meta.csv").out == (
        "imported 2 inputs, 0 annotations, 0 concepts from source meta\n"
        "note: its cells are parted by semicolons\n"
        "note: column not known and left out: camera; name it metadata.camera to keep the values\n"
        f"{NEXT}"
    )
    table("key,split", name="none.csv")
    assert dsvc("import", "none.csv").out == "nothing imported from source none\nnote: none.csv has no rows\n"


def test_a_table_of_the_name_of_another_source(dsvc, table) -> None:
    table("key,split", "a.jpg,train", name="pets.csv")
    assert dsvc("import", "pets.csv", code=3).err == (
        "error: source 'pets' is of the format coco here, and not table\nhint: give this one a name: --source NAME\n"
    )
    assert dsvc("import", "pets.csv", "--source", "splits").out.startswith("imported 1 input, 0 annotations")


def test_paths_that_cannot_be_taken(dsvc, table, project: Path) -> None:
    (project.parent / "out.jpg").write_bytes(JPEG)
    (project / "set").mkdir()
    (project / "set/link.jpg").symlink_to(project.parent / "out.jpg")
    (project / "set/ok.jpg").write_bytes(JPEG)
    table("path", "ok.jpg", "../../out.jpg", "link.jpg", "none.jpg", ".", name="set/list.csv")
    assert dsvc("import", "set/list.csv", code=3).err == (
        "error: set/list.csv: 4 errors\n"
        "  row 3: the input key '../../out.jpg' has a component `..`, which leads out of the folder\n"
        f"  row 4 (key 'link.jpg'): path 'link.jpg' leads out of {project / 'set'} and of the project\n"
        "  row 5 (key 'none.jpg'): path 'none.jpg' is not there\n"
        "  row 6: the input key '.' is empty\n"
        f"{SKIP}"
    )
    assert "ok.jpg" not in dsvc("show", "--inputs").out


def test_places(dsvc, table, web: Any) -> None:
    web.files = {"/x/a%20b.txt": b"AB"}
    table("url,split", f"{web.url('/x/a%20b.txt')},train", name="list.csv")
    line = "imported 1 input, 0 annotations, 0 concepts from source list\n"
    assert dsvc("import", "list.csv", "--no-hash").out == line + NEXT
    assert "not hashed yet" in dsvc("show", "x/a b.txt").out
    assert dsvc("import", "list.csv").out == line + NEXT
    assert ", hash " in dsvc("show", "x/a b.txt").out
    table("url", web.url("/none.txt"), name="list.csv")
    result = dsvc("import", "list.csv", code=3)
    head, row, hint = result.err.splitlines()
    assert head == "error: list.csv: 1 place cannot be referred to"
    assert row.startswith(f"  row 2 (key 'none.txt'): {web.url('/none.txt')}: ")
    assert hint == "hint: nothing was imported"


def test_json_has_it_all(dsvc, table) -> None:
    table("key,split", "a.jpg,train", "c.jpg,val")
    result = dsvc("import", "meta.csv", "--on-error", "skip", "--json")
    assert json.loads(result.out) == {
        "dataset": "pets",
        "source": "meta",
        "changed": True,
        "inputs": 1,
        "annotations": 0,
        "concepts": 0,
        "missing": [],
        "extra": [],
        "notes": [],
        "refused": 1,
        "problems": ["row 3 (key 'c.jpg'): is not in the dataset; add it, or give its path, url or text"],
        "rejects": "meta.rejects.csv",
        "dry_run": False,
        "conflicts": 0,
        "removed": {"inputs": 0, "annotations": 0},
        "unlisted_inputs": 0,
        "matched": {
            "unchanged": 0,
            "renumbered": 0,
            "by_number": 0,
            "by_place": 0,
            "joined": 0,
            "new": 0,
            "gone": 0,
        },
        "altered_inputs": {"new": 0, "changed": 1},
    }


# ---- folders of classes


@pytest.fixture
def shelter(project: Path) -> Path:
    """A folder of classes in the project."""
    for name in ("train/cat/1.jpg", "train/dog/2.jpg", "valid/cat/3.jpg"):
        path = project / "shelter" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(JPEG + name.encode())
    return project / "shelter"


def test_a_folder_of_classes(dsvc, shelter: Path) -> None:
    assert dsvc("import", "shelter", code=3).err == (
        "error: shelter is a folder without COCO files\n"
        "hint: subfolders that are classes: --format folder; PNG masks: --format mask; plain media: dsvc add FOLDER\n"
    )
    assert dsvc("import", "shelter", "--format", "folder").out == (
        f"imported 3 inputs, 3 annotations, 2 concepts from source shelter\n{NEXT}"
    )
    shown = dsvc("show", "shelter/valid/cat/3.jpg").out
    assert "  split: val\n" in shown and "  cat\n" in shown
    assert dsvc("import", "shelter", "--format", "folder").out == (
        "nothing new from source shelter: 3 inputs, 3 annotations, 2 concepts, as before\n"
    )
    (shelter / "train/cat/4.jpg").write_bytes(JPEG)
    (shelter / "train/cat/notes.xyz").write_text("no media")
    (shelter / "train/5.jpg").write_bytes(JPEG)
    assert dsvc("import", "shelter", "--format", "folder").out == (
        "imported 5 inputs, 4 annotations, 2 concepts from source shelter\n"
        "annotations: 3 unchanged, 1 new\ninputs: 2 new\n"
        "note: 1 file lies in no class's folder, and has no annotation: shelter/train/5.jpg\n"
        f"note: 1 file that is no media was passed over\n{NEXT}"
    )
    dsvc("undo")
    assert "shelter/train/cat/4.jpg" not in dsvc("show", "--inputs").out


def test_a_folder_without_classes(dsvc, project: Path) -> None:
    assert dsvc("import", "images", "--format", "folder", code=3).err == (
        "error: no file in images lies in the folder of a class\n"
        "hint: a folder of classes holds a subfolder for each, with its images; plain images: dsvc add FOLDER\n"
    )


# ---- folders of COCO files


@pytest.fixture
def bccd(project: Path, coco: Callable[..., dict[str, Any]]) -> Path:
    """Two splits with the same numbers, without images."""
    for split in ("train", "valid"):
        place = project / "bccd" / split / "_annotations.coco.json"
        place.parent.mkdir(parents=True)
        place.write_text(json.dumps(coco()))
    return project / "bccd"


def test_splits(dsvc, bccd: Path) -> None:
    parts = (
        "source bccd-train: 2 inputs, 2 annotations, 2 concepts\nsource bccd-val: 2 inputs, 2 annotations, 2 concepts\n"
    )
    names = ", ".join(f"bccd/{split}/{name}.jpg" for split in ("train", "valid") for name in "ab")
    missing = f"4 inputs without a file: {names}\n"
    assert dsvc("import", "bccd").out == (
        f"{parts}imported 4 inputs, 4 annotations, 2 concepts from 2 sources\n{missing}{NEXT}"
    )
    for split in ("train", "valid"):
        for name in ("a.jpg", "b.jpg", "c.jpg"):
            (bccd / split / name).write_bytes(JPEG + f"{split}{name}".encode())
    extra = "2 files that no record names, not taken: bccd/train/c.jpg, bccd/valid/c.jpg\n"
    assert dsvc("import", "bccd").out == (
        f"{parts}imported 4 inputs, 4 annotations, 2 concepts from 2 sources\n{extra}{NEXT}"
    )
    assert dsvc("import", "bccd").out == (
        f"{parts}nothing new from 2 sources: 4 inputs, 4 annotations, 2 concepts, as before\n{extra}"
    )
    assert "  split: val\n" in dsvc("show", "bccd/valid/a.jpg").out
    dsvc("commit", "-m", "Splits", *SIGNED)
    assert dsvc("export", "HEAD", "--format", "coco", "-o", "out", "--media").out.splitlines()[0] == (
        "wrote out: coco/1, 6 inputs, 6 annotations"
    )
    assert sorted(path.name for path in Path("out/annotations").iterdir()) == [
        "instances.json",
        "instances_train.json",
        "instances_val.json",
    ]


def test_an_import_of_several_files_is_one_operation(dsvc, bccd: Path) -> None:
    before = dsvc("show", "--inputs").out
    dsvc("import", "bccd")
    assert dsvc("undo").out.splitlines()[0] == "undid: import bccd (draft pets main)"
    assert dsvc("show", "--inputs").out == before
    dsvc("redo")
    assert len(dsvc("show", "--inputs").out.splitlines()) == 6


def test_errors_of_both_splits(dsvc, bccd: Path) -> None:
    for split in ("train", "valid"):
        place = bccd / split / "_annotations.coco.json"
        place.write_text(place.read_text().replace('"category_id": 3', '"category_id": 9'))
    wrong = "its category 9 is not declared in the file"
    assert dsvc("import", "bccd", code=3).err == (
        "error: bccd: errors in 2 files\n"
        f"  train/_annotations.coco.json: annotation 6 (image 'bccd/train/b.jpg'): {wrong}\n"
        f"  valid/_annotations.coco.json: annotation 6 (image 'bccd/valid/b.jpg'): {wrong}\n"
        f"{SKIP}"
    )
    place = "bccd/valid/_annotations.coco.rejects.json"
    told = f"note: bccd-val: refused records are in {place}: mend them, and import that file too with --split val\n"
    assert told in dsvc("import", "bccd", "--on-error", "skip").out


# ---- masks


@pytest.fixture
def masks(project: Path) -> Callable[[list[list[int]]], None]:
    """Write the mask of the one picture images/a.png, 4 x 3."""
    image = pytest.importorskip("PIL.Image", reason="needs the extra 'images': pip install 'dsvc[images]'")

    def masks(rows: list[list[int]]) -> None:
        (project / "masks").mkdir(exist_ok=True)
        image.frombytes("L", (4, 3), b"".join(map(bytes, rows))).save(project / "masks/a_mask.png")

    image.new("L", (4, 3)).save(project / "images/a.png")
    (project / "classes.txt").write_text("0 background\n1 road\n")
    return masks


def test_masks_are_followed_and_come_back(dsvc, masks, project: Path) -> None:
    dsvc("create", "roads")
    dsvc("add", "images/a.png")
    masks([[1, 1, 0, 7], [0, 0, 0, 8], [0, 0, 0, 255]])
    given = (
        "import",
        "masks",
        "--format",
        "mask",
        "--classes",
        "classes.txt",
        "--images",
        "images",
        "--suffix",
        "_mask",
    )
    assert dsvc(*given, "--ignore", "255", code=3).err == (
        "error: masks: 1 error\n"
        "  a_mask.png: has pixels that are neither in the classes nor ignored: 1 of value 7, 1 of value 8\n"
        "hint: nothing was imported; mend them, or import the rest: --on-error skip\n"
    )
    ignored = ("--ignore", "7,8", "--ignore", "255")
    assert dsvc(*given, *ignored).out == f"imported 1 input, 4 annotations, 1 concept from source masks\n{NEXT}"
    assert dsvc(*given, *ignored).out == (
        "nothing new from source masks: 1 input, 4 annotations, 1 concept, as before\n"
    )
    masks([[1, 1, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
    assert dsvc(*given, *ignored).out == (
        "imported 1 input, 1 annotation, 1 concept from source masks\n"
        f"annotations: 1 new, 4 listed no more\nremoved 4 annotations\n{NEXT}"
    )
    shown = dsvc("show", "images/a.png").out
    assert "1 annotation:\n" in shown and "box 0,0,3,1, mask 4 x 3, area 3" in shown
    dsvc("commit", "-m", "Roads", *SIGNED)
    dsvc("export", "HEAD", "--format", "mask", "-o", "out")
    image = pytest.importorskip("PIL.Image")
    with image.open("out/masks/images/a.png") as out, image.open(project / "masks/a_mask.png") as came:
        assert out.tobytes() == came.tobytes()


# ---- what cannot be meant


@pytest.mark.parametrize(
    ("arguments", "code", "error"),
    [
        (("none.csv",), 4, "no file none.csv\n"),
        (("pets.json", "--images", "none"), 4, "no folder none\nhint: --images takes the folder that the file's names "
         "are relative to\n"),
        (("pets.json", "--no-hash"), 2, "--no-hash goes with tables\n"),
        (("pets.json", "--root", "."), 2, "--root goes with folders of COCO files beside their images and --format "
         "folder\n"),
        (("pets.json", "--format", "mask"), 2, "pets.json is no folder\nhint: --format mask takes a folder\n"),
        (("pets.json", "--split", "80/20"), 2, "'80/20' cannot name a split\nhint: letters, digits, '.', '_' and '-', "
         "up to 64, beginning with a letter or digit\n"),
        (("images", "--format", "yolo"), 2, "no format named 'yolo'\nhint: there is: coco, folder, mask\n"),
        ((".",), 3, ". is a folder whose files don't say by their names what they are\n"
         "hint: name the file, and where its images are: dsvc import pets.json --images DIR\n"),
        (("/dev/null",), 3, "/dev/null is no regular file\nhint: save it to a file first, and import that\n"),
    ],
)  # fmt: skip
def test_refusals(dsvc, project: Path, arguments: tuple[str, ...], code: int, error: str) -> None:
    result = dsvc("import", *arguments, code=code)
    assert (result.out, result.err) == ("", f"error: {error}")
