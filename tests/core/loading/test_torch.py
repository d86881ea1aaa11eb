"""Samples in PyTorch's DataLoader: tensors, workers, ranks, and going on in the middle of an epoch."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dsvc.core.dataset import Dataset
from dsvc.core.loading.samples import Samples
from dsvc.errors import RefusedError
from dsvc.model.records import Annotation, Shape

from .conftest import encoded, flat, opened

torch = pytest.importorskip("torch", reason="needs the extra 'torch': pip install 'dsvc[torch]'")
loading = pytest.importorskip("torch.utils.data")


def number(picture: Image.Image) -> Any:
    """What `flat` put into a picture."""
    return torch.tensor(picture.getpixel((0, 0))[0])


def load(data: Samples, **options: Any) -> Any:
    return loading.DataLoader(data, **{"batch_size": 4, **options})


# ---- items


def test_an_item_is_a_picture_and_its_target(pictures: Dataset) -> None:
    item = pictures.at("v1").to_torch()[3]
    assert list(item) == ["key", "image", "target"] and item["key"] == "03.png"
    assert (item["image"].mode, item["image"].size, item["image"].getpixel((1, 1))) == ("RGB", (12, 8), (3, 3, 3))
    assert list(item["target"]) == ["label", "boxes", "labels"] and item["target"]["label"] == 1
    assert item["target"]["boxes"].shape == (0, 4) and item["target"]["boxes"].dtype == torch.float32
    assert item["target"]["labels"].dtype == torch.int64


def test_a_picture_is_a_tensor(pets: Dataset, add: Callable[..., None]) -> None:
    pixels = np.arange(8 * 12 * 3, dtype=np.uint8).reshape(8, 12, 3)
    add(pets, {"a.png": encoded(Image.fromarray(pixels)), "b.png": encoded(Image.fromarray(pixels[:, :, 0]))})
    data = pets.draft().to_torch(decode="tensor", mode=None)
    assert data[0]["image"].dtype == torch.uint8
    assert torch.equal(data[0]["image"], torch.from_numpy(pixels).permute(2, 0, 1))
    assert data[1]["image"].shape == (1, 8, 12)


def test_transforms_are_called(pictures: Dataset) -> None:
    v1 = pictures.at("v1")
    assert v1.to_torch(number, target="label")[7] == {"key": "07.png", "image": torch.tensor(7), "target": 1}
    both = v1.to_torch(transforms=lambda image, target: (number(image), target + 1), target="label")
    assert both[7] == {"key": "07.png", "image": torch.tensor(7), "target": 2}


BOXES = [[1, 2, 4, 6.5], [3, 4, 9, 6], [2, 2, 6, 6], [1, 0, 3, 8], [1, 1, 4, 5], [3, 5, 5, 7]]
WANTED = {
    "labels": [0, 1, 1, 0, 0, 0],
    "area": [13.5, 9.6, 7, 16, 12, 4],
    "iscrowd": [0, 0, 1, 0, 0, 0],
    "label": 1,
    "multi_hot": [0.25, 1],
}


@pytest.mark.parametrize("also", [(), ("ids",)], ids=["from the table", "from the records"])
def test_shapes_become_rows(shapes: Dataset, also: tuple[str, ...]) -> None:
    """Both ways that targets are made give the same."""
    data = shapes.at().to_torch(target=("boxes", *WANTED, *also))
    target = data[1]["target"]
    assert target["boxes"].numpy() == pytest.approx(np.array(BOXES))
    for part, wanted in WANTED.items():
        assert torch.as_tensor(target[part]).tolist() == pytest.approx(wanted), part
    assert target.get("ids", ["01"])[-1] in ("01", "06")
    empty = data[0]["target"]
    assert [tuple(empty[part].shape) for part in ("boxes", "labels", "area", "iscrowd")] == [(0, 4), (0,), (0,), (0,)]
    assert empty["label"] == -1 and empty["multi_hot"].tolist() == [0, 0]


def test_masks_and_keypoints(shapes: Dataset) -> None:
    target = shapes.at().to_torch(target=("ids", "masks", "keypoints"))[1]["target"]
    assert target["ids"] == ["01", "02", "03", "04", "05", "06"]
    assert target["masks"].shape == (6, 8, 12) and target["masks"].dtype == torch.uint8
    assert target["masks"].flatten(1).sum(1).tolist() == [0, 0, 16, 16, 0, 0]
    assert target["masks"][2, 2:6, 2:6].all() and target["masks"][3, :, 1:3].all()
    assert target["keypoints"].shape == (6, 3, 3) and target["keypoints"].dtype == torch.float32
    assert target["keypoints"][4].tolist() == [[1, 1, 2], [4, 5, 1], [0, 0, 0]]
    assert not target["keypoints"][[0, 1, 2, 3, 5]].any()


def test_relative_places_need_a_size(pets: Dataset, add: Callable[..., None]) -> None:
    add(pets, {"a.txt": b"no picture"})
    pets.annotate(Annotation(key="a.txt", id="", concept="cat", shape=Shape(box=(0, 0, 1, 1), unit="relative")))
    for target in ("boxes", "masks"):
        with pytest.raises(RefusedError, match=r"a\.txt: .* size of the picture, which is not known"):
            pets.draft().to_torch(target=target)[0]


def test_pictures_stand_as_their_declared_size_says(
    pets: Dataset, add: Callable[..., None], coco: Callable[..., Any], write: Callable[..., Any]
) -> None:
    """EXIF turns a picture where its source declared the turned size, so that boxes fit; else it is as it is stored."""
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = encoded(flat(5, (16, 8)), "JPEG", exif=exif)
    add(pets, {"a.jpg": turned, "b.jpg": turned})
    images = [
        {"id": 1, "file_name": "a.jpg", "width": 8, "height": 16},
        {"id": 2, "file_name": "b.jpg", "width": 16, "height": 8},
    ]
    pets.import_(write(coco(images=images)))
    data = pets.draft().to_torch()
    assert [data[at]["image"].size for at in (0, 1)] == [(8, 16), (16, 8)]


@pytest.mark.parametrize("mode", ["L", "LA", "1", "P", "RGBA", "CMYK"])
def test_pictures_come_in_one_mode(pets: Dataset, add: Callable[..., None], mode: str) -> None:
    add(pets, {"a.img": encoded(flat(255).convert(mode), "TIFF" if mode == "CMYK" else "PNG")})
    state = pets.draft()
    assert state.to_torch()[0]["image"].mode == "RGB" and state.to_torch()[0]["image"].getpixel((0, 0)) == (255,) * 3
    assert state.to_torch(mode=None)[0]["image"].mode == mode
    assert state.to_torch(mode="L", decode="tensor")[0]["image"].shape == (1, 8, 12)


def test_sixteen_bits_become_the_upper_eight(pets: Dataset, add: Callable[..., None]) -> None:
    deep = np.array([[0, 255, 256, 0x7FFF, 0xFFFF]], dtype=np.uint16)
    add(pets, {"a.png": encoded(Image.fromarray(deep))})
    assert pets.draft().to_torch(mode="L", decode="tensor")[0]["image"].tolist() == [[[0, 0, 1, 127, 255]]]


# ---- the loader


@pytest.mark.parametrize("workers", [0, 2])
def test_the_loader_gives_batches(pictures: Dataset, workers: int) -> None:
    data = opened(pictures).to_torch(number, target="label")
    order = list(data.sampler(seed=4))
    batches = list(load(data, sampler=data.sampler(seed=4), num_workers=workers))
    assert [int(n) for batch in batches for n in batch["image"]] == order
    assert [int(n) for batch in batches for n in batch["target"]] == [n % 2 for n in order]
    assert [key for batch in batches for key in batch["key"]] == [f"{n:02d}.png" for n in order]


def test_items_of_many_sizes_are_collated(shapes: Dataset) -> None:
    data = shapes.at().to_torch()
    (batch,) = load(data, collate_fn=data.collate)
    assert batch["key"] == ["a.png", "b.png"]
    assert [target["boxes"].shape[0] for target in batch["target"]] == [0, 6]


@pytest.mark.parametrize("world", [1, 3])
def test_ranks_share_the_inputs(pictures: Dataset, world: int) -> None:
    data = opened(pictures).to_torch(number, target="label")
    read = [
        [int(n) for batch in load(data, sampler=data.sampler(7, rank=rank, world_size=world)) for n in batch["image"]]
        for rank in range(world)
    ]
    assert len({len(numbers) for numbers in read}) == 1
    assert set().union(*read) == set(range(40)) and sum(map(len, read)) - 40 < world


def test_a_run_goes_on_in_the_middle_of_an_epoch(pictures: Dataset) -> None:
    """Whatever the workers had read ahead, what comes next is what would have come."""
    data = opened(pictures).to_torch(number, target="label")

    def train(sampler: Any, until: int = 1000) -> tuple[list[list[int]], dict[str, Any]]:
        loader, seen = load(data, sampler=sampler, num_workers=2, prefetch_factor=3), list[list[int]]()
        for epoch in range(sampler.epoch, 3):
            sampler.set_epoch(epoch)
            for batch in loader:
                seen.append(batch["image"].tolist())
                sampler.done += len(batch["key"])
                if len(seen) == until:
                    return seen, sampler.state_dict()
        return seen, sampler.state_dict()

    whole, _ = train(data.sampler(seed=3))
    assert len(whole) == 30 and all(
        sorted(n for batch in whole[at : at + 10] for n in batch) == [*range(40)] for at in (0, 10, 20)
    )
    for until in (10, 14):
        before, state = train(data.sampler(seed=3), until)
        sampler = data.sampler()
        sampler.load_state_dict(state)
        after, _ = train(sampler)
        assert before + after == whole


def test_an_error_in_a_worker_names_the_input(pets: Dataset, add: Callable[..., None]) -> None:
    add(pets, {"a.png": encoded(flat(1)), "b.png": encoded(flat(9, (40, 40)))[:60]})
    with pytest.raises(RefusedError, match=r"b\.png: cannot be decoded"):
        list(load(opened(pets, draft=True).to_torch(number, target="label"), num_workers=1))
    data = pets.draft().to_torch(number, target="label", on_error="skip")
    with pytest.warns(UserWarning, match=r"b\.png"):
        (batch,) = load(data)
    assert batch["key"] == ["a.png"]
