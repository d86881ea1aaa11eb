"""The promises that a user relies on, over the whole way from files to exports."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

import dsvc
from dsvc.core.check import check
from dsvc.core.dataset import Dataset
from dsvc.model.commit import Author, Moment

ADA, NOON = Author("Ada", "ada@example.org"), Moment(1_714_564_800)
FORMATS = ("clarifai-protobuf", "clarifai-json", "coco")
FILE = "clarifai_coco10/annotations/instances_val2017_subset.json"


def digests(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in walk(folder)}


def walk(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def export_all(dataset: Dataset, folder: Path) -> dict[str, str]:
    folder.mkdir()
    for format in FORMATS:
        for media in (False, True):
            dataset.at("@v1").export(format, folder / f"{format}-{media}.zip", media=media)
    dataset.at("@v1").export("coco", folder / "coco", media=True)
    dataset.at("@v1").export("coco", folder / "instances.json")
    return digests(folder)


def publish(dataset: Dataset) -> None:
    dataset.commit("all", author=ADA, time=NOON)
    dataset.create_version("v1", author=ADA, time=NOON)


@pytest.fixture
def one(pets: Dataset, corpus: Path) -> Dataset:
    """The ten pictures and their annotations, in one go."""
    pets.import_(corpus / FILE, images=corpus / "clarifai_coco10/images")
    publish(pets)
    return pets


def test_the_same_version_gives_the_same_bytes(one: Dataset, tmp_path: Path) -> None:
    assert export_all(one, tmp_path / "first") == export_all(one, tmp_path / "second")


def test_the_same_facts_in_another_order_give_the_same_bytes(one: Dataset, corpus: Path, tmp_path: Path) -> None:
    images = corpus / "clarifai_coco10/images"
    other = dsvc.init(tmp_path / "other", author=Author("Bo")).create("elsewhere")
    for path in sorted(images.iterdir(), reverse=True):
        other.add(path, root=images)
    made = other.annotate(next(iter(other.draft())).key, "cat")
    other.import_(corpus / FILE)
    other.remove(f"{made.key}#{made.id}")
    publish(other)
    assert other.at().snapshot.roots == one.at().snapshot.roots
    assert other.head == one.head
    assert export_all(other, tmp_path / "theirs") == export_all(one, tmp_path / "ours")


def test_everything_is_whole(one: Dataset) -> None:
    report = check(one.repository, media=True)
    assert report.damage == () and report.objects > 20


def test_broken_and_lying_pictures_are_taken_as_bytes_and_named_by_check(pets: Dataset, corpus: Path) -> None:
    pytest.importorskip("PIL", reason="decoding needs Pillow")
    pets.add(corpus / "images", root=corpus / "images")
    for sample in pets.draft():
        assert sample.read_bytes() == (corpus / "images" / sample.key).read_bytes()
    found = {finding.name for finding in check(pets.repository, media=True).findings}
    assert {"broken.png", "broken_data_stream.png", "decompression_bomb.gif"} <= found
    assert not {"hopper.jpg", "hopper.png", "flower.webp"} & found


def test_a_flipped_bit_anywhere_is_noticed(one: Dataset) -> None:
    assert one.repository.root is not None
    for path in walk(one.repository.root / ".dsvc" / "packs"):
        whole = path.read_bytes()
        at = len(whole) // 2
        path.chmod(0o644)
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
        report = check(dsvc.open(one.repository.root))
        assert report.damage, path.name
        path.write_bytes(whole)
    assert not check(dsvc.open(one.repository.root)).damage


def test_missing_bytes_of_an_old_commit_are_damage(pets: Dataset) -> None:
    from dsvc.model.records import Media
    from dsvc.store.ids import ObjectId

    with pets.edit() as draft:
        draft.put_media({"a.jpg": Media(blob=ObjectId(b"x" * 32), size=1)})
    pets.commit("names bytes that nobody stored")
    pets.remove("a.jpg")
    pets.commit("gone")
    (damage,) = check(pets.repository).damage
    assert damage.text == "the bytes of input 'a.jpg' are missing"
