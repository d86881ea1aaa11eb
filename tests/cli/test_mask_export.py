"""dsvc export --format mask, end to end."""

from pathlib import Path


def test_masks_go_to_a_folder_or_an_archive(dsvc, files, coco, write, monkeypatch):
    monkeypatch.chdir(files)
    runs = {"size": [240, 320], "counts": [0, 240, 76_560]}
    document = coco()
    document["annotations"][0]["segmentation"] = {"size": [480, 640], "counts": [480, 960, 305_760]}
    document["annotations"].append({"id": 7, "image_id": 2, "category_id": 1, "segmentation": runs})
    write(document, "project/pets.json")
    dsvc("init")
    dsvc("create", "pets")
    dsvc("import", "pets.json", "--images", "images")
    dsvc("commit", "-m", "First", "--author", "Ada <ada@example.org>")
    done = dsvc("export", "--format", "mask", "-o", "out")
    assert done.out == (
        "wrote out: mask/1, 2 inputs, 2 annotations\n"
        "note: 1 annotation with polygons and no mask was left out\n"
        "note: 1 concept lost its supercategory, which masks cannot say\n"
        "note: 1 dataset lost what files of other formats said of the whole\n"
        "note: 1 input lost its license, which masks cannot say\n"
    )
    assert sorted(p.name for p in Path("out").rglob("*") if p.is_file()) == [
        ".dsvc-export",
        "a.png",
        "b.png",
        "classes.json",
    ]
    assert dsvc("export", "--format", "mask/1", "-o", "out").out.startswith("out holds the same already: mask/1, ")
    dsvc("export", "--format", "mask", "-o", "out.zip", "--media")
    refused = dsvc("export", "--format", "mask", "-o", "out.json", code=2)
    assert refused.err == "error: mask has no form of one .json file\nhint: name a folder or a .zip\n"


def test_nothing_has_a_mask(dsvc, project):
    refused = dsvc("export", "--format", "mask", "-o", "out", code=3)
    assert (refused.out, refused.err) == (
        "",
        "error: no annotation has a mask\nhint: polygons and boxes go to: --format coco\n",
    )
    assert not (project / "out").exists()
